//! What proves to a registry who we are.

use transport::Secret;

/// What proves to a registry who we are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// User name and password.
    Basic {
        /// The user.
        username: String,
        /// The password.
        password: Secret,
    },
    /// An OAuth2 refresh token, exchanged for an access token (`identitytoken`).
    IdentityToken(Secret),
    /// A bearer token that is sent as it is (`registrytoken`).
    RegistryToken(Secret),
}

impl Credential {
    /// The user, where there is one.
    #[must_use]
    pub fn username(&self) -> Option<&str> {
        match self {
            Credential::Basic { username, .. } => Some(username),
            Credential::IdentityToken(_) | Credential::RegistryToken(_) => None,
        }
    }
}

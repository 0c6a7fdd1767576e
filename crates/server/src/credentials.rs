//! The one user that a registry may know: a name and a password, as HTTP Basic has them.

use std::fmt;

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use oci::Digest;

/// A user's name and password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    user: String,
    password: String,
}

impl Credentials {
    /// Credentials; the name cannot have a colon in it ([RFC 7617](https://www.rfc-editor.org/rfc/rfc7617)).
    #[must_use]
    pub fn new(user: &str, password: &str) -> Self {
        Credentials { user: user.to_owned(), password: password.to_owned() }
    }

    /// True if a request carries them.
    #[must_use]
    pub fn are_in(&self, headers: &HeaderMap) -> bool {
        let given = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("basic"))
            .and_then(|(_, encoded)| BASE64_STANDARD.decode(encoded.trim()).ok());
        let wanted = format!("{}:{}", self.user, self.password);
        // Digests are compared, so the time it takes tells nothing about the password.
        given.is_some_and(|given| Digest::of(&given) == Digest::of(wanted.as_bytes()))
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({}:…)", self.user)
    }
}

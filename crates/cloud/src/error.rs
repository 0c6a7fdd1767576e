//! Why a cloud gave no identity.

/// A failure, told so that the reader knows which of the ways to an identity it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nothing here gives an identity in this cloud.
    #[error("{0}")]
    None(String),
    /// One that was found does not work.
    #[error("{who}: {reason}")]
    Failed {
        /// The way, or the service.
        who: String,
        /// What came of it. Never a secret.
        reason: String,
    },
}

impl Error {
    /// A way that does not work.
    #[must_use]
    pub fn failed(who: impl ToString, reason: impl ToString) -> Self {
        Error::Failed { who: who.to_string(), reason: reason.to_string() }
    }
}

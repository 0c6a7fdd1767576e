//! What can be wrong with credentials before any registry sees them.

/// Why a source cannot be used. Its contents are never quoted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeychainError {
    /// It is not JSON of the expected form.
    #[error("{source_name}: malformed docker config at line {line}, column {column}")]
    Malformed {
        /// The name given for the text.
        source_name: String,
        /// One-based line.
        line: usize,
        /// One-based column.
        column: usize,
    },
    /// An entry's `auth` is not base64 of `user:password`.
    #[error("{source_name}: the auth of {key:?} is not base64 of user:password")]
    Auth {
        /// The name given for the text.
        source_name: String,
        /// The entry's key.
        key: String,
    },
    /// A name of a helper that is no name.
    #[error("{source_name}: {helper:?} is no name of a credential helper")]
    Helper {
        /// The name given for the text.
        source_name: String,
        /// What stands there.
        helper: String,
    },
    /// A file cannot be read.
    #[error("{path}: {reason}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
}

/// Why a match has no credentials in the end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{source_name}: {reason}")]
pub struct AnswerError {
    /// Who should have given them.
    pub source_name: String,
    /// What happened.
    pub reason: String,
}

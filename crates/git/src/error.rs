//! What can go wrong with a repository, told so that the reader knows what to do next.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use transport::{Cause, GetError};

/// A failed checkout. Displayed as one line: which repository, and what came of it.
#[derive(Debug)]
pub struct Error {
    /// Where the repository is, without credentials.
    pub location: String,
    /// What came of it.
    pub kind: ErrorKind,
}

/// The kinds of failure that callers tell apart.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The repository has no such branch, tag or commit.
    #[error("repository does not contain {revision}")]
    NoSuchRevision {
        /// What was asked for.
        revision: String,
    },
    /// The reference leads to another commit than it has to.
    #[error("expected checksum to match {expected}, got {actual}")]
    Checksum {
        /// What was to come.
        expected: String,
        /// What came.
        actual: String,
    },
    /// A checksum, name or path that can be none.
    #[error("{reason}")]
    Invalid {
        /// Which and why.
        reason: String,
    },
    /// The server wants other credentials than those it was sent.
    #[error("{host} answers with status {status}")]
    Denied {
        /// Host and port.
        host: String,
        /// 401 or 403, or 404 if nothing is there for who we are.
        status: u16,
        /// Whether an authorization was sent.
        authorized: bool,
    },
    /// The server answers with another status that is no success, also when asked again where that may help.
    #[error("{host} answers with status {status}")]
    Status {
        /// Host and port.
        host: String,
        /// The HTTP status.
        status: u16,
    },
    /// No connection, or one that broke or fell silent.
    #[error("cannot reach {host}: {reason}")]
    Unreachable {
        /// Host and port.
        host: String,
        /// What happened.
        reason: String,
        /// What that means.
        cause: Cause,
    },
    /// The program that speaks ssh is not there.
    #[error("there is no program {}, which it takes to reach a repository by ssh", .program.display())]
    NoSsh {
        /// The program.
        program: PathBuf,
    },
    /// The other side does not behave as git's protocol has it, or refuses in its words.
    #[error("{reason}")]
    Protocol {
        /// What happened.
        reason: String,
    },
    /// The commit holds what no checkout may write.
    #[error("{path}: {reason}")]
    Hostile {
        /// Which path of it.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A submodule failed.
    #[error("submodule {path}: {source}")]
    Submodule {
        /// Where it was to be.
        path: String,
        /// Why.
        source: Box<Error>,
    },
    /// A file cannot be written.
    #[error("{}: {source}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Certificates, proxies or credentials that cannot be used.
    #[error("{reason}")]
    Options {
        /// Which and why.
        reason: String,
    },
    /// The caller has ended it.
    #[error("cancelled")]
    Cancelled,
}

impl Error {
    /// What the reader can do about it, where we know.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match &self.kind {
            ErrorKind::Denied { host, authorized: false, .. } => {
                Some(format!("no credentials were given for {host}; a private repository needs some"))
            }
            ErrorKind::Denied { host, authorized: true, .. } => {
                Some(format!("the credentials given for {host} are not accepted for this repository"))
            }
            ErrorKind::NoSsh { .. } => Some(
                "give the repository's https:// address and a token, or a builder image that has ssh"
                    .to_owned(),
            ),
            ErrorKind::Unreachable { host, cause: Cause::Certificate, .. } => {
                Some(format!("give the certificate of the authority that signs for {host}"))
            }
            ErrorKind::Checksum { .. } => Some(
                "the reference has moved since its checksum was written down, or is not the one meant"
                    .to_owned(),
            ),
            ErrorKind::Submodule { source, .. } => source.hint(),
            _ => None,
        }
    }

    /// True if it was the caller who ended it.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        match &self.kind {
            ErrorKind::Cancelled => true,
            ErrorKind::Submodule { source, .. } => source.is_cancelled(),
            _ => false,
        }
    }
}

impl ErrorKind {
    pub(crate) fn protocol(reason: impl Into<String>) -> Self {
        ErrorKind::Protocol { reason: reason.into() }
    }

    pub(crate) fn write(path: &Path, source: io::Error) -> Self {
        ErrorKind::Write { path: path.to_owned(), source }
    }

    /// True if the same request may succeed later.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            ErrorKind::Status { status, .. } => transport::is_retriable(*status),
            ErrorKind::Unreachable { cause, .. } => *cause == Cause::Network,
            _ => false,
        }
    }
}

impl From<GetError> for ErrorKind {
    fn from(error: GetError) -> Self {
        match error {
            GetError::Failure(host, failure) => {
                ErrorKind::Unreachable { host, reason: failure.reason, cause: failure.cause }
            }
            GetError::Redirect(reason) => ErrorKind::Protocol { reason },
            GetError::Options(reason) => ErrorKind::Options { reason },
        }
    }
}

/// What gix says, from the outermost to the innermost cause, on one line and without what a terminal would obey.
pub(crate) fn words(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let said = error.to_string();
        let first = said.lines().next().unwrap_or_default().trim();
        if !first.is_empty() && !text.contains(first) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(first);
        }
        next = error.source();
    }
    text.chars().filter(|c| !c.is_control()).take(500).collect()
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.location, self.kind)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.kind)
    }
}

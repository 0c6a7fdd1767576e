//! What can go wrong with a download, told so that the reader knows what to do next.

use std::fmt;
use std::path::PathBuf;

use transport::{Cause, GetError};

use crate::Checksum;

/// A failed download. Displayed as one line: which URL, and what came of it.
#[derive(Debug)]
pub struct Error {
    /// The URL, without credentials and query.
    pub url: String,
    /// What came of it.
    pub kind: ErrorKind,
}

/// The kinds of failure that callers tell apart.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The server answers with a status that is no success, also when asked again where that may help.
    #[error("the server answers with status {status}{}{}", reason(*.status), colon(.message))]
    Status {
        /// The HTTP status.
        status: u16,
        /// Whether an authorization was sent.
        authorized: bool,
        /// What the server says, where it says it in a form that we know.
        message: String,
        /// What can be done about it, if the server says that.
        hint: Option<String>,
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
    /// A redirect that is not followed, or an answer that HTTP does not allow.
    #[error("{reason}")]
    Protocol {
        /// What is wrong with it.
        reason: String,
    },
    /// Not the file that was asked for.
    #[error("digest mismatch {actual}: {expected}")]
    Checksum {
        /// What came.
        actual: Checksum,
        /// What was to come.
        expected: Checksum,
    },
    /// More bytes than are allowed.
    #[error("it has more than the allowed {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// Certificates, proxies or an authorization that cannot be used.
    #[error("{reason}")]
    Options {
        /// Which and why.
        reason: String,
    },
    /// The file cannot be written.
    #[error("{}: {source}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl Error {
    /// What the reader can do about it, where we know.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match &self.kind {
            ErrorKind::Status { hint: Some(hint), .. } => Some(hint.clone()),
            ErrorKind::Status { status: 401 | 403, authorized: false, .. } => {
                Some("no credentials were given for this server".to_owned())
            }
            ErrorKind::Status { status: 401 | 403, authorized: true, .. } => {
                Some("the credentials given for this server are not accepted".to_owned())
            }
            ErrorKind::Status { status: 407, .. } => {
                Some("the proxy wants a login: a user and a password are a part of its URL".to_owned())
            }
            ErrorKind::Unreachable { host, cause: Cause::Certificate, .. } => {
                Some(format!("give the certificate of the authority that signs for {host}"))
            }
            ErrorKind::Unreachable { host, cause: Cause::PlainHttp, .. } => {
                Some(format!("{host} does not speak TLS on this port: is http:// meant?"))
            }
            ErrorKind::Checksum { .. } => Some(
                "the file has changed since its checksum was written down, or is not the one meant"
                    .to_owned(),
            ),
            _ => None,
        }
    }
}

impl ErrorKind {
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

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.url, self.kind)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.kind)
    }
}

fn colon(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

/// The usual words for a status.
fn reason(status: u16) -> String {
    let status = reqwest::StatusCode::from_u16(status).ok();
    status.and_then(|status| status.canonical_reason()).map(|words| format!(" ({words})")).unwrap_or_default()
}

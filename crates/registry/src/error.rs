//! What can go wrong between us and a registry, told so that the reader knows what to do next.

use std::fmt;
use std::time::Duration;

use oci::ManifestError;
use reqwest::StatusCode;
use transport::{Cause, Failure, is_retriable};

use crate::tried::Tried;

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failed exchange with a registry. Displayed as one line: what was done to what, and what came of it.
#[derive(Debug)]
pub struct Error {
    /// What was being done, as in `push registry.example/app:1.4`.
    pub subject: String,
    /// What came of it.
    pub kind: ErrorKind,
    /// How long the registry asked us to wait.
    pub(crate) retry_after: Option<Duration>,
}

/// The kinds of failure that callers tell apart.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The registry has no such repository, manifest or blob, or will not say.
    #[error("not found{}", colon(.message))]
    NotFound {
        /// The registry's words.
        message: String,
    },
    /// The registry knows who we are and refuses (403).
    #[error("denied{}", colon(.message))]
    Denied {
        /// The registry's words.
        message: String,
    },
    /// The registry, or its token service, wants other credentials than those we have (401).
    #[error("unauthorized{}", colon(.message))]
    Unauthorized {
        /// Host and port of the registry.
        registry: String,
        /// Which credentials were tried, if any.
        credentials: Tried,
        /// The registry's words.
        message: String,
    },
    /// What came, or arrived, is not what its digest or size promises.
    #[error("corrupt: {reason}")]
    Corrupt {
        /// What differs.
        reason: String,
    },
    /// No connection, or one that broke or fell silent.
    #[error("cannot reach {registry}: {reason}")]
    Unreachable {
        /// Host and port of the registry.
        registry: String,
        /// What happened.
        reason: String,
        /// What that means.
        cause: Cause,
    },
    /// The registry limits our rate, and waiting within the retry policy was not enough (429).
    #[error("too many requests{}", colon(.message))]
    TooManyRequests {
        /// The registry's words.
        message: String,
    },
    /// The registry failed (5xx, 408), also when asked again.
    #[error("registry error {status}{}", colon(.message))]
    Server {
        /// The HTTP status.
        status: u16,
        /// The registry's words.
        message: String,
    },
    /// The registry refused the request as such (another 4xx).
    #[error("refused with status {status}{}", colon(.message))]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The registry's words.
        message: String,
    },
    /// The answer is none that the distribution protocol allows, or none we may follow.
    #[error("unexpected answer: {reason}")]
    Protocol {
        /// What is wrong with it.
        reason: String,
    },
    /// A document is larger than what we are willing to hold in memory.
    #[error("{what} is larger than {limit} bytes")]
    TooLarge {
        /// What document.
        what: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// The manifest is none of an image, or not for the wanted platform.
    #[error(transparent)]
    Manifest(ManifestError),
    /// What was to be pushed could not be read.
    #[error("{reason}")]
    Source {
        /// The file and the cause.
        reason: String,
    },
    /// The client's options cannot be used.
    #[error("{reason}")]
    Options {
        /// Which and why.
        reason: String,
    },
}

impl Error {
    pub(crate) fn new(subject: &str, kind: ErrorKind) -> Self {
        Error { subject: subject.to_owned(), kind, retry_after: None }
    }

    pub(crate) fn corrupt(subject: &str, reason: impl Into<String>) -> Self {
        Error::new(subject, ErrorKind::Corrupt { reason: reason.into() })
    }

    pub(crate) fn protocol(subject: &str, reason: impl Into<String>) -> Self {
        Error::new(subject, ErrorKind::Protocol { reason: reason.into() })
    }

    pub(crate) fn unreachable(subject: &str, registry: &str, failure: Failure) -> Self {
        let Failure { reason, cause } = failure;
        Error::new(subject, ErrorKind::Unreachable { registry: registry.to_owned(), reason, cause })
    }

    /// The error for an answer that is no success. A 401 is not told here, since it needs to know the credentials.
    pub(crate) fn from_status(subject: &str, status: StatusCode, message: String) -> Self {
        let code = status.as_u16();
        let kind = match code {
            403 => ErrorKind::Denied { message },
            404 => ErrorKind::NotFound { message },
            429 => ErrorKind::TooManyRequests { message },
            408 | 500..=599 => ErrorKind::Server { status: code, message },
            400..=499 => ErrorKind::Refused { status: code, message },
            _ => ErrorKind::Protocol { reason: format!("status {code}{}", colon(&message)) },
        };
        Error::new(subject, kind)
    }

    /// True if the thing does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self.kind, ErrorKind::NotFound { .. })
    }

    /// True if a tag cannot be moved, by the words in which registries say so: ECR, Artifact Registry, Harbor and
    /// Quay, none of which has a code for it. Some say only that the tag is there already.
    #[must_use]
    pub fn is_immutable_tag(&self) -> bool {
        match &self.kind {
            ErrorKind::Denied { message } | ErrorKind::Refused { message, .. } => {
                let message = message.to_ascii_lowercase();
                message.contains("immutab") || message.contains("already exists")
            }
            _ => false,
        }
    }

    /// True if the bytes are wrong, so that asking the same registry again is no help.
    #[must_use]
    pub fn is_corrupt(&self) -> bool {
        matches!(self.kind, ErrorKind::Corrupt { .. })
    }

    /// True if the same request may succeed later: the network, a rate limit or a failing server.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match &self.kind {
            ErrorKind::Unreachable { cause, .. } => *cause == Cause::Network,
            ErrorKind::TooManyRequests { .. } => true,
            ErrorKind::Server { status, .. } => is_retriable(*status),
            _ => false,
        }
    }

    /// The status of a refusal that has no kind of its own.
    pub(crate) fn refused_with(&self) -> Option<u16> {
        match self.kind {
            ErrorKind::Refused { status, .. } => Some(status),
            _ => None,
        }
    }

    /// What the reader can do about it, where we know.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match &self.kind {
            ErrorKind::Unauthorized { registry, credentials, .. } => Some(credentials.hint(registry)),
            ErrorKind::Unreachable { registry, cause: Cause::Certificate, .. } => Some(format!(
                "give the certificate of the authority that signs for {registry}, as in --registry-certificate {registry}=/path/ca.pem"
            )),
            ErrorKind::Unreachable { registry, cause: Cause::PlainHttp, .. } => {
                Some(format!("plain HTTP has to be allowed, as in --insecure-registry {registry}"))
            }
            ErrorKind::Refused { status: 407, .. } => {
                Some("the proxy wants a login: a user and a password are a part of its URL".to_owned())
            }
            ErrorKind::TooManyRequests { .. } => {
                Some("many registries allow more to who is logged in; a mirror or a cache helps too".to_owned())
            }
            ErrorKind::Corrupt { .. } => Some(
                "the registry, or a proxy before it, holds or sends wrong bytes; push the image again or ask another mirror"
                    .to_owned(),
            ),
            _ => None,
        }
    }

    /// The registry's error inside an I/O error of a [`crate::BlobRead`].
    #[must_use]
    pub fn of_io(error: &std::io::Error) -> Option<&Error> {
        error.get_ref()?.downcast_ref()
    }

    /// As an I/O error, for readers; [`Error::of_io`] gives it back.
    pub(crate) fn into_io(self) -> std::io::Error {
        use std::io::ErrorKind as Io;
        let kind = match &self.kind {
            ErrorKind::Corrupt { .. } => Io::InvalidData,
            ErrorKind::NotFound { .. } => Io::NotFound,
            ErrorKind::Denied { .. } | ErrorKind::Unauthorized { .. } => Io::PermissionDenied,
            ErrorKind::Unreachable { .. } => Io::ConnectionAborted,
            _ => Io::Other,
        };
        std::io::Error::new(kind, self)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.subject, self.kind)
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

/// What a registry says in the body of a refusal, on one line: the `errors` of the distribution spec, the
/// `error` of OAuth2, else the first line of a plain text.
pub(crate) fn message_of(body: &[u8], content_type: Option<&str>) -> String {
    let json: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let texts: Vec<String> = match &json {
        Some(json) => {
            let of = |entry: &serde_json::Value| -> Option<String> {
                let text = |name: &str| entry[name].as_str().filter(|text| !text.is_empty());
                match (text("message"), text("code")) {
                    (Some(message), Some(code)) => Some(format!("{message} ({code})")),
                    (message, code) => message.or(code).map(str::to_owned),
                }
            };
            match json["errors"].as_array() {
                Some(errors) => errors.iter().filter_map(of).collect(),
                None => ["error_description", "error", "message", "details"]
                    .iter()
                    .find_map(|name| json[*name].as_str())
                    .map(str::to_owned)
                    .into_iter()
                    .collect(),
            }
        }
        None if content_type.is_some_and(|kind| kind.starts_with("text/plain")) => {
            String::from_utf8_lossy(body).lines().next().map(str::to_owned).into_iter().collect()
        }
        None => Vec::new(),
    };
    // A registry's words go to a terminal: no control characters, and no novels.
    texts.join("; ").chars().filter(|c| !c.is_control()).take(300).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_registry() {
        let check = |body: &str, kind: &str, text: &str| {
            assert_eq!(message_of(body.as_bytes(), Some(kind)), text, "{body}");
        };
        let json = "application/json";
        check(
            r#"{"errors":[{"code":"DENIED","message":"no"},{"code":"X"}]}"#,
            "application/json; charset=utf-8",
            "no (DENIED); X",
        );
        check(r#"{"error":"invalid_grant"}"#, json, "invalid_grant");
        check(r#"{"details":"bad user"}"#, json, "bad user");
        check("slow down\nplease", "text/plain; charset=utf-8", "slow down");
        check("<html>", "text/html", "");
        check("{\"errors\":[{\"message\":\"a\\u001b[31mb\"}]}", json, "a[31mb");
        check("", json, "");
    }
}

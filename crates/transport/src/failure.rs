//! Failures: why there was no answer, or not the whole of one.

use std::time::Duration;

use crate::tls;

/// Why a server cannot be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The network: it may pass.
    Network,
    /// The server shows a certificate that we do not accept.
    Certificate,
    /// The server does not speak TLS.
    PlainHttp,
}

/// Why there was no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What happened, without a URL.
    pub reason: String,
    /// What that means.
    pub cause: Cause,
}

impl Failure {
    /// A failure that may pass.
    #[must_use]
    pub fn network(reason: String) -> Self {
        Failure { reason, cause: Cause::Network }
    }

    /// Of a request that got no answer, or of one whose body broke off.
    #[must_use]
    pub fn of(error: &reqwest::Error) -> Self {
        match tls::error_of(error) {
            Some(error @ rustls::Error::InvalidCertificate(_)) => {
                Failure { reason: error.to_string(), cause: Cause::Certificate }
            }
            Some(rustls::Error::InvalidMessage(_)) => {
                Failure { reason: "it does not answer in TLS".to_owned(), cause: Cause::PlainHttp }
            }
            Some(_) | None => Failure::network(reason_of(error)),
        }
    }

    /// Nothing came for so long.
    #[must_use]
    pub fn silence(limit: Duration) -> Self {
        Failure::network(format!("no data for {} seconds", limit.as_secs_f32()))
    }
}

/// The innermost cause, which is the one that means something; the outer ones may quote a URL, and a URL of
/// a blob store is a credential.
#[must_use]
pub fn reason_of(error: &reqwest::Error) -> String {
    let mut innermost: &(dyn std::error::Error + 'static) = match std::error::Error::source(error) {
        Some(source) => source,
        None if error.is_timeout() => return "it took too long".to_owned(),
        None => return "the request could not be sent".to_owned(),
    };
    // What hyper calls the way that a proxy is asked for by CONNECT.
    const BY_PROXY: &str = "tunnel error: ";
    let (mut resolving, mut by_proxy) = (false, innermost.to_string().starts_with(BY_PROXY));
    while let Some(source) = innermost.source() {
        resolving |= innermost.to_string() == "dns error";
        innermost = source;
        by_proxy |= innermost.to_string().starts_with(BY_PROXY);
    }
    let text = innermost.to_string();
    let text = text.strip_prefix(BY_PROXY).unwrap_or(&text).to_owned();
    let text = match text.split_at_checked(1) {
        Some((first, rest)) if rest.starts_with(|c: char| c.is_ascii_lowercase()) => {
            first.to_ascii_lowercase() + rest
        }
        _ => text,
    };
    let text = if resolving { format!("its name cannot be resolved: {text}") } else { text };
    if by_proxy { format!("the proxy does not lead there: {text}") } else { text }
}

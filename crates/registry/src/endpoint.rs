//! Endpoints: one registry as it is reached, by which scheme and name, with which trust.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Method, Request, Response, Url};
use rustls::RootCertStore;
use tokio::sync::OnceCell;

use crate::auth::Authenticator;
use crate::error::{Cause, Error, ErrorKind, Result};
use crate::options::{Access, ClientOptions};
use crate::tls::{self, Trust};

/// How long a registry that may speak plain HTTP is given to answer by HTTPS.
const PROBE: Duration = Duration::from_secs(5);

/// A connection pool to one registry, and what we learnt about it.
#[derive(Debug)]
pub(crate) struct Endpoint {
    /// Host and port, as references name it.
    pub(crate) registry: String,
    pub(crate) http: reqwest::Client,
    pub(crate) auth: Authenticator,
    plain_http: bool,
    base: OnceCell<Url>,
}

/// What tells two endpoints of the same registry apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct EndpointKey {
    registry: String,
    plain_http: bool,
    anybody: bool,
}

impl EndpointKey {
    pub(crate) fn new(options: &ClientOptions, registry: &str, access: Access) -> Self {
        EndpointKey {
            registry: registry.to_owned(),
            plain_http: is_loopback(registry) || options.plain_http.covers(registry, access),
            anybody: options.skip_tls_verify.covers(registry, access),
        }
    }
}

impl Endpoint {
    /// An endpoint, without a connection yet.
    pub(crate) fn new(key: &EndpointKey, options: &ClientOptions, roots: Arc<RootCertStore>) -> Result<Self> {
        let subject = format!("connect to {}", key.registry);
        let unusable = |reason: String| Error::new(&subject, ErrorKind::Options { reason });
        let trust = Trust {
            certificates: options.certificates.get(&key.registry).map(String::as_str),
            client: options.client_certificates.get(&key.registry),
            anybody: key.anybody,
        };
        let tls = tls::config(roots, &trust).map_err(|reason| unusable(format!("certificates: {reason}")))?;
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .no_proxy()
            .connect_timeout(options.timeouts.connect)
            .pool_idle_timeout(Duration::from_secs(60))
            .pool_max_idle_per_host(options.parallel.max(1))
            .http2_initial_stream_window_size(1 << 20)
            .http2_initial_connection_window_size(4 << 20)
            .user_agent(options.user_agent.as_str());
        // No proxy can reach our own machine for us; Go's programs go there directly, too.
        if !is_loopback(&key.registry) {
            for proxy in proxies(options)? {
                builder = builder.proxy(proxy);
            }
        }
        let http = builder.build().map_err(|error| unusable(reason_of(&error)))?;
        Ok(Endpoint {
            registry: key.registry.clone(),
            http,
            auth: Authenticator::default(),
            plain_http: key.plain_http,
            base: OnceCell::new(),
        })
    }

    /// The URL that all paths are relative to. The first call finds out whether HTTPS is spoken, where plain HTTP is
    /// allowed too: as with Docker, being allowed to be insecure is no reason to be.
    pub(crate) async fn base(&self, subject: &str) -> Result<&Url> {
        self.base.get_or_try_init(|| self.probe(subject)).await
    }

    async fn probe(&self, subject: &str) -> Result<Url> {
        let host = match self.registry.as_str() {
            "docker.io" => "registry-1.docker.io",
            other => other,
        };
        let url = |scheme: &str| {
            format!("{scheme}://{host}/").parse::<Url>().map_err(|error| {
                Error::new(subject, ErrorKind::Options { reason: format!("registry {host}: {error}") })
            })
        };
        let https = url("https")?;
        if !self.plain_http {
            return Ok(https);
        }
        let secure = match self.ping(&https, PROBE).await {
            Ok(response) => {
                self.auth.learn(&response);
                return Ok(https);
            }
            Err(failure) if failure.cause == Cause::Certificate => {
                return Err(failure.error(subject, &self.registry));
            }
            Err(failure) => failure,
        };
        let http = url("http")?;
        match self.ping(&http, PROBE * 2).await {
            Ok(response) => {
                self.auth.learn(&response);
                Ok(http)
            }
            Err(mut plain) => {
                if plain.reason != secure.reason {
                    plain.reason = format!("{} (by https: {})", plain.reason, secure.reason);
                }
                Err(plain.error(subject, &self.registry))
            }
        }
    }

    async fn ping(&self, base: &Url, limit: Duration) -> Result<Response, Failure> {
        let url = base.join("v2/").expect("a relative path joins any http URL");
        self.send(Request::new(Method::GET, url), limit).await
    }

    /// Sends one request that has no body to speak of, and waits for the head of its answer.
    pub(crate) async fn send(&self, request: Request, limit: Duration) -> Result<Response, Failure> {
        match tokio::time::timeout(limit, self.http.execute(request)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(Failure::of(&error)),
            Err(_) => Err(Failure::silence(limit)),
        }
    }
}

/// The proxies that the options name.
pub(crate) fn proxies(options: &ClientOptions) -> Result<Vec<reqwest::Proxy>> {
    let no_proxy = options.proxies.no_proxy.as_deref().and_then(reqwest::NoProxy::from_string);
    let http = options.proxies.http.as_ref().map(|url| reqwest::Proxy::http(url.expose()));
    let https = options.proxies.https.as_ref().map(|url| reqwest::Proxy::https(url.expose()));
    // The URL may hold a password, and the message would quote it.
    let unusable = |_| {
        let reason = "the proxy's address is not a URL".to_owned();
        Error::new("connect by a proxy", ErrorKind::Options { reason })
    };
    let with_exceptions = |proxy: reqwest::Proxy| proxy.no_proxy(no_proxy.clone());
    http.into_iter().chain(https).map(|proxy| proxy.map(with_exceptions).map_err(unusable)).collect()
}

/// Why there was no answer.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) reason: String,
    pub(crate) cause: Cause,
}

impl Failure {
    /// A failure that may pass.
    pub(crate) fn network(reason: String) -> Self {
        Failure { reason, cause: Cause::Network }
    }

    pub(crate) fn of(error: &reqwest::Error) -> Self {
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

    pub(crate) fn silence(limit: Duration) -> Self {
        Failure::network(format!("no data for {} seconds", limit.as_secs_f32()))
    }

    pub(crate) fn error(self, subject: &str, registry: &str) -> Error {
        let Failure { reason, cause } = self;
        Error::new(subject, ErrorKind::Unreachable { registry: registry.to_owned(), reason, cause })
    }
}

/// The innermost cause, which is the one that means something; the outer ones may quote a URL, and a URL of
/// a blob store is a credential.
fn reason_of(error: &reqwest::Error) -> String {
    let mut innermost: &(dyn std::error::Error + 'static) = match std::error::Error::source(error) {
        Some(source) => source,
        None if error.is_timeout() => return "it took too long".to_owned(),
        None => return "the request could not be sent".to_owned(),
    };
    let mut resolving = false;
    while let Some(source) = innermost.source() {
        resolving |= innermost.to_string() == "dns error";
        innermost = source;
    }
    let text = innermost.to_string();
    let text = match text.split_at_checked(1) {
        Some((first, rest)) if rest.starts_with(|c: char| c.is_ascii_lowercase()) => {
            first.to_ascii_lowercase() + rest
        }
        _ => text,
    };
    if resolving { format!("its name cannot be resolved: {text}") } else { text }
}

/// Docker takes every registry on the loopback interface as one that may be insecure.
fn is_loopback(registry: &str) -> bool {
    let host = match registry.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => registry,
    };
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// True if both are the same server: scheme, host and port.
pub(crate) fn same_origin(one: &Url, other: &Url) -> bool {
    one.scheme() == other.scheme()
        && one.host_str() == other.host_str()
        && one.port_or_known_default() == other.port_or_known_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback() {
        for yes in ["localhost", "localhost:5000", "127.0.0.1", "127.8.9.10:80", "[::1]:5000", "[::1]"] {
            assert!(is_loopback(yes), "{yes}");
        }
        for no in
            ["localhost.example", "docker.io", "10.0.0.1:5000", "128.0.0.1", "[::2]:1", "127.0.0.1.example:1"]
        {
            assert!(!is_loopback(no), "{no}");
        }
    }
}

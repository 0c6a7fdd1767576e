//! Endpoints: one registry as it is reached, by which scheme and name, with which trust.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Method, Request, Response, Url};
use rustls::RootCertStore;
use tokio::sync::OnceCell;

use transport::{Cause, Failure, Trust, is_loopback, reason_of};

use crate::auth::Authenticator;
use crate::error::{Error, ErrorKind, Result};
use crate::options::{Access, ClientOptions};

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
        let tls = transport::tls_config(roots, &trust)
            .map_err(|reason| unusable(format!("certificates: {reason}")))?;
        let builder =
            transport::client(tls, &options.proxies, options.timeouts.connect, is_loopback(&key.registry))
                .map_err(unusable)?
                .pool_max_idle_per_host(options.parallel.max(1))
                .user_agent(options.user_agent.as_str());
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
                return Err(Error::unreachable(subject, &self.registry, failure));
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
                Err(Error::unreachable(subject, &self.registry, plain))
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

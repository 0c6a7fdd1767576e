//! The network as plain downloads see it: any number of servers, each with its trust.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Method, Request, Response};
use rustls::RootCertStore;
use url::Url;

use crate::{
    Backoff, Cause, ClientCertificate, Failure, Proxies, RetryPolicy, Trust, client, is_near, is_retriable,
    reason_of, retry_after, same_origin, tls,
};

/// Redirects followed for one request.
const REDIRECTS: usize = 10;

/// How servers are met. Decided by whoever makes the [`Clients`].
#[derive(Debug, Clone)]
pub struct Network {
    /// PEM texts of further authorities, by host and, if it is in the URL, port.
    pub certificates: BTreeMap<String, String>,
    /// What to show to a server that wants a certificate of us, by host and port.
    pub client_certificates: BTreeMap<String, ClientCertificate>,
    /// Whose certificate is not verified, by host and port.
    pub skip_tls_verify: BTreeSet<String>,
    /// To verify nobody's certificate.
    pub skip_tls_verify_all: bool,
    /// Proxies.
    pub proxies: Proxies,
    /// When to try again.
    pub retry: RetryPolicy,
    /// How long a connection may take to stand.
    pub connect: Duration,
    /// How long silence is borne: between two pieces of data, and until an answer begins.
    pub idle: Duration,
    /// `User-Agent`.
    pub user_agent: String,
}

impl Default for Network {
    fn default() -> Self {
        Network {
            certificates: BTreeMap::new(),
            client_certificates: BTreeMap::new(),
            skip_tls_verify: BTreeSet::new(),
            skip_tls_verify_all: false,
            proxies: Proxies::default(),
            retry: RetryPolicy::default(),
            connect: Duration::from_secs(30),
            idle: Duration::from_secs(60),
            user_agent: concat!("bako/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// Connections to any number of servers. Clones share them.
#[derive(Debug, Clone)]
pub struct Clients {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    network: Network,
    clients: Mutex<HashMap<String, reqwest::Client>>,
    roots: OnceLock<Arc<RootCertStore>>,
}

/// Why a GET has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GetError {
    /// The server at this host and port cannot be reached.
    Failure(String, Failure),
    /// A redirect that is not followed.
    Redirect(String),
    /// Certificates or proxies that cannot be used.
    Options(String),
}

impl Clients {
    /// Nothing is connected yet, but proxies and certificates that cannot be used are found now.
    pub fn new(network: Network) -> Result<Self, String> {
        network.proxies.check()?;
        let inner = Inner { network, clients: Mutex::default(), roots: OnceLock::new() };
        let clients = Clients { inner: Arc::new(inner) };
        let network = clients.network();
        for authority in network.certificates.keys().chain(network.client_certificates.keys()) {
            clients.client(authority).map_err(|reason| format!("{authority}: {reason}"))?;
        }
        Ok(clients)
    }

    /// What they were made from.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.inner.network
    }

    /// The connections to the server with this host and port.
    fn client(&self, authority: &str) -> Result<reqwest::Client, String> {
        let mut clients = self.inner.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(authority) {
            return Ok(client.clone());
        }
        let network = &self.inner.network;
        let trust = Trust {
            certificates: network.certificates.get(authority).map(String::as_str),
            client: network.client_certificates.get(authority),
            anybody: network.skip_tls_verify_all || network.skip_tls_verify.contains(authority),
        };
        let roots = Arc::clone(self.inner.roots.get_or_init(tls::system_roots));
        let tls = tls::config(roots, &trust).map_err(|reason| format!("certificates: {reason}"))?;
        let built = client(tls, &network.proxies, network.connect, is_near(authority))?
            .user_agent(network.user_agent.as_str())
            .build()
            .map_err(|error| reason_of(&error))?;
        clients.insert(authority.to_owned(), built.clone());
        Ok(built)
    }

    /// Sends one request and waits for the head of its answer.
    pub async fn send(&self, request: Request) -> Result<Response, GetError> {
        let authority = authority(request.url());
        let idle = self.inner.network.idle;
        let client = self.client(&authority).map_err(GetError::Options)?;
        // A query may hold a signature, so it is left out of the log.
        tracing::trace!(method = %request.method(), authority, path = request.url().path(), "request");
        match tokio::time::timeout(idle, client.execute(request)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(GetError::Failure(authority, Failure::of(&error))),
            Err(_) => Err(GetError::Failure(authority, Failure::silence(idle))),
        }
    }

    /// Sends a GET and follows redirects. The authorization is for the server of `url`: it goes nowhere else, and once
    /// a redirect has left that server it is not taken up again. A redirect from HTTPS to plain HTTP is followed
    /// only if what comes will be `checked`.
    pub async fn get(
        &self,
        url: &Url,
        headers: &HeaderMap,
        authorization: Option<&HeaderValue>,
        checked: bool,
    ) -> Result<Response, GetError> {
        let mut at = url.clone();
        let mut trusted = true;
        for _ in 0..=REDIRECTS {
            trusted &= same_origin(&at, url);
            let mut request = Request::new(Method::GET, at.clone());
            *request.headers_mut() = headers.clone();
            if let Some(authorization) = authorization.filter(|_| trusted) {
                request.headers_mut().insert(AUTHORIZATION, authorization.clone());
            }
            let response = self.send(request).await?;
            if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
                return Ok(response);
            }
            let next = location(&at, response.headers())
                .ok_or_else(|| GetError::Redirect("a redirect without an address".to_owned()))?;
            if at.scheme() == "https" && next.scheme() == "http" && !checked {
                return Err(GetError::Redirect(format!(
                    "a redirect from HTTPS to plain HTTP on {}, which is not followed",
                    authority(&next)
                )));
            }
            at = next;
        }
        Err(GetError::Redirect(format!("more than {REDIRECTS} redirects")))
    }

    /// Sends a few bytes by PUT, and again after passing failures. The reason why they did not arrive has no URL in it,
    /// since that may be one that carries its own signature. Redirects are not followed.
    pub async fn put(&self, url: &str, content_type: &'static str, body: &[u8]) -> Result<(), String> {
        let url: Url = url.parse().map_err(|error: url::ParseError| error.to_string())?;
        let mut backoff = Backoff::new(&self.inner.network.retry);
        loop {
            let mut request = Request::new(Method::PUT, url.clone());
            request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
            *request.body_mut() = Some(body.to_vec().into());
            let (reason, passes, wait) = match self.send(request).await {
                Ok(response) if response.status().is_success() => return Ok(()),
                Ok(response) => {
                    let status = response.status().as_u16();
                    let wait = retry_after(response.headers(), SystemTime::now());
                    (format!("{} answers with status {status}", authority(&url)), is_retriable(status), wait)
                }
                Err(GetError::Failure(host, failure)) => {
                    let reason = format!("cannot reach {host}: {}", failure.reason);
                    (reason, failure.cause == Cause::Network, None)
                }
                Err(GetError::Redirect(reason) | GetError::Options(reason)) => (reason, false, None),
            };
            match backoff.next(wait).filter(|_| passes) {
                Some(delay) => tokio::time::sleep(delay).await,
                None => return Err(reason),
            }
        }
    }
}

/// Host and, if it is not the usual one, port.
fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// The absolute form of `Location`.
fn location(from: &Url, headers: &HeaderMap) -> Option<Url> {
    let next = from.join(headers.get(LOCATION)?.to_str().ok()?).ok()?;
    matches!(next.scheme(), "http" | "https").then_some(next)
}

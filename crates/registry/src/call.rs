//! Calls: one exchange with a registry, with all that stands between a request and its answer: authentication,
//! redirects, and trying again.

use std::sync::Arc;
use std::time::SystemTime;

use reqwest::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION,
};
use reqwest::{Method, Request, Response, StatusCode, Url};
use transport::{Backoff, Failure, retry_after, same_origin};

use crate::auth::{self, Authorization, Candidates, Refusal};
use crate::client::Client;
use crate::endpoint::Endpoint;
use crate::error::{self, Error, ErrorKind, Result};
use crate::payload::{Payload, Pulse};
use crate::tried::Tried;

/// Redirects followed for one request.
const REDIRECTS: usize = 10;

/// What is read of a refusal.
const REFUSAL_LIMIT: usize = 64 << 10;

/// A request as the protocol means it.
#[derive(Debug, Clone)]
pub(crate) struct Call<'a> {
    pub(crate) endpoint: &'a Endpoint,
    /// For messages: what is done to what.
    pub(crate) subject: &'a str,
    pub(crate) repository: &'a str,
    /// What a token has to allow, the most important first: some registries look at no other.
    pub(crate) scopes: Vec<String>,
    pub(crate) method: Method,
    pub(crate) address: Address,
    pub(crate) headers: HeaderMap,
    pub(crate) payload: Payload,
    pub(crate) redirects: Redirects,
    /// Whether to send it again after a passing failure. Not for what changes the state of an upload.
    pub(crate) retry: bool,
}

/// Where a request goes.
#[derive(Debug, Clone)]
pub(crate) enum Address {
    /// Relative to `/v2/`.
    Path(String),
    /// What a registry named as the next step.
    Url(Url),
}

/// Which redirects are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Redirects {
    /// None.
    No,
    /// Those that do not leave TLS.
    Secure,
    /// Any, since what comes is checked against a digest.
    Any,
}

impl<'a> Call<'a> {
    pub(crate) fn new(
        endpoint: &'a Endpoint,
        subject: &'a str,
        repository: &'a str,
        method: Method,
        path: impl Into<String>,
    ) -> Self {
        let writes = !matches!(method, Method::GET | Method::HEAD);
        Call {
            endpoint,
            subject,
            repository,
            scopes: vec![if writes { push_scope(repository) } else { pull_scope(repository) }],
            method,
            address: Address::Path(path.into()),
            headers: HeaderMap::new(),
            payload: Payload::Empty,
            redirects: if writes { Redirects::No } else { Redirects::Secure },
            retry: true,
        }
    }

    pub(crate) fn header(mut self, name: reqwest::header::HeaderName, value: &str) -> Result<Self> {
        let value = HeaderValue::from_str(value)
            .map_err(|_| Error::protocol(self.subject, format!("a header cannot hold {value:?}")))?;
        self.headers.append(name, value);
        Ok(self)
    }
}

pub(crate) fn pull_scope(repository: &str) -> String {
    format!("repository:{repository}:pull")
}

pub(crate) fn push_scope(repository: &str) -> String {
    format!("repository:{repository}:pull,push")
}

impl Client {
    /// The answer, whatever its status, after as many tries as the policy has.
    pub(crate) async fn execute(&self, call: &Call<'_>) -> Result<Response> {
        let mut backoff = Backoff::new(&self.options().retry);
        loop {
            let outcome = self.attempt(call).await;
            let wait = match &outcome {
                Ok(response) if transport::is_retriable(response.status().as_u16()) => {
                    retry_after(response.headers(), SystemTime::now())
                }
                Err(error) if error.is_transient() => error.retry_after,
                _ => return outcome,
            };
            let Some(delay) = call.retry.then(|| backoff.next(wait)).flatten() else { return outcome };
            match &outcome {
                Ok(response) => {
                    tracing::debug!(subject = call.subject, status = %response.status(), ?delay, "again");
                }
                Err(error) => tracing::debug!(%error, ?delay, "again"),
            }
            drop(outcome);
            tokio::time::sleep(delay).await;
        }
    }

    /// The answer, if its status is one of these.
    pub(crate) async fn expect(&self, call: &Call<'_>, statuses: &[StatusCode]) -> Result<Response> {
        let response = self.execute(call).await?;
        if statuses.contains(&response.status()) {
            return Ok(response);
        }
        Err(self.refusal(call, response).await)
    }

    /// The head and body of a successful answer that fits into memory. A body that breaks off is asked for again.
    pub(crate) async fn document(&self, call: &Call<'_>, limit: usize) -> Result<(HeaderMap, Vec<u8>)> {
        let mut backoff = Backoff::new(&self.options().retry);
        loop {
            let response = self.expect(call, &[StatusCode::OK]).await?;
            let headers = response.headers().clone();
            match self.read(call, response, limit).await {
                Ok(body) => return Ok((headers, body)),
                Err(error) => match error.is_transient().then(|| backoff.next(None)).flatten() {
                    Some(delay) => tokio::time::sleep(delay).await,
                    None => return Err(error),
                },
            }
        }
    }

    /// The body of an answer, up to a limit.
    pub(crate) async fn read(
        &self,
        call: &Call<'_>,
        mut response: Response,
        limit: usize,
    ) -> Result<Vec<u8>> {
        let too_large = || {
            let kind = ErrorKind::TooLarge { what: "the registry's answer".to_owned(), limit: limit as u64 };
            Error::new(call.subject, kind)
        };
        if response.content_length().is_some_and(|length| length > limit as u64) {
            return Err(too_large());
        }
        let idle = self.options().timeouts.idle;
        let mut body = Vec::new();
        loop {
            let failure = match tokio::time::timeout(idle, response.chunk()).await {
                Ok(Ok(Some(bytes))) if body.len() + bytes.len() > limit => return Err(too_large()),
                Ok(Ok(Some(bytes))) => {
                    body.extend_from_slice(&bytes);
                    continue;
                }
                Ok(Ok(None)) => return Ok(body),
                Ok(Err(error)) => Failure::of(&error),
                Err(_) => Failure::silence(idle),
            };
            return Err(Error::unreachable(call.subject, &call.endpoint.registry, failure));
        }
    }

    /// The error that an answer amounts to.
    pub(crate) async fn refusal(&self, call: &Call<'_>, response: Response) -> Error {
        let status = response.status();
        let wait = retry_after(response.headers(), SystemTime::now());
        let kind =
            response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
        // The status has said what matters; the words are lost if they do not come.
        let body = self.read(call, response, REFUSAL_LIMIT).await.unwrap_or_default();
        let message = error::message_of(&body, kind.as_deref());
        Error { retry_after: wait, ..Error::from_status(call.subject, status, message) }
    }

    pub(crate) fn unauthorized(&self, call: &Call<'_>, credentials: Tried, message: String) -> Error {
        let registry = call.endpoint.registry.clone();
        Error::new(call.subject, ErrorKind::Unauthorized { registry, credentials, message })
    }

    /// One try. A 401 is answered: with credentials where none were sent, with a new token where the old one has expired,
    /// also in the middle of an upload, and with the next of the credentials that match where these are refused.
    async fn attempt(&self, call: &Call<'_>) -> Result<Response> {
        let base = call.endpoint.base(call.subject).await?;
        let url = match &call.address {
            Address::Path(path) => base.join("v2/").and_then(|base| base.join(path)).map_err(|error| {
                Error::protocol(call.subject, format!("{path:?} is no path of a registry: {error}"))
            })?,
            Address::Url(url) => url.clone(),
        };
        let ours = same_origin(&url, base);
        let mut candidates = Candidates::new(self, call);
        let mut call = call.clone();
        // What this candidate has sent already, and the words of the first refusal.
        let mut sent: Option<Authorization> = None;
        let mut words: Option<String> = None;
        loop {
            let authorization = match auth::authorize(self, &call, &candidates).await {
                Ok(authorization) => authorization,
                Err(Refusal::Fatal(error)) => return Err(error),
                Err(Refusal::Candidate(refused, message)) => {
                    candidates.tried.refused.extend(refused);
                    words = words.or(Some(message).filter(|message| !message.is_empty()));
                    sent = None;
                    if candidates.advance() {
                        continue;
                    }
                    return Err(self.unauthorized(&call, candidates.tried, words.unwrap_or_default()));
                }
            };
            // The same again would have the same answer.
            let is_new = sent.as_ref().is_none_or(|sent| sent.header != authorization.header);
            if is_new {
                let response = self.follow(&call, base, url.clone(), &authorization).await?;
                let asks = response.status() == StatusCode::UNAUTHORIZED;
                // Who is known and not allowed may be allowed as somebody else.
                let denies = response.status() == StatusCode::FORBIDDEN
                    && authorization.header.is_some()
                    && candidates.has_more();
                if !asks && !denies {
                    candidates.accept(&call, &authorization);
                    return Ok(response);
                }
                if !ours || !same_origin(response.url(), base) {
                    // It is not the registry that asks, and nobody else gets an answer.
                    return Err(self.as_unauthorized(&call, response, candidates.tried).await);
                }
                let mut wanted = Vec::new();
                if asks {
                    wanted = call.endpoint.auth.learn(&response);
                    auth::forget(self, &call, &candidates, &authorization).await;
                }
                auth::add_scopes(&mut call.scopes, wanted);
                if authorization.header.is_some() || candidates.current().is_none() {
                    match self.as_unauthorized(&call, response, Tried::default()).await.kind {
                        ErrorKind::Unauthorized { message, .. } | ErrorKind::Denied { message } => {
                            words = words.or(Some(message).filter(|message| !message.is_empty()));
                        }
                        kind => return Err(Error::new(call.subject, kind)),
                    }
                }
                // Once more by the same, who may now know better what to say.
                if asks && sent.is_none() {
                    sent = Some(authorization);
                    continue;
                }
            }
            candidates.refuse(&authorization);
            sent = None;
            if !candidates.advance() {
                return Err(self.unauthorized(&call, candidates.tried, words.unwrap_or_default()));
            }
        }
    }

    async fn as_unauthorized(&self, call: &Call<'_>, response: Response, tried: Tried) -> Error {
        match self.refusal(call, response).await.kind {
            ErrorKind::Refused { message, .. } => self.unauthorized(call, tried, message),
            kind => Error::new(call.subject, kind),
        }
    }

    /// Sends, and follows redirects. The authorization is the registry's: it goes nowhere else, and once a redirect
    /// has left the registry it is not taken up again.
    async fn follow(
        &self,
        call: &Call<'_>,
        base: &Url,
        mut url: Url,
        authorization: &Authorization,
    ) -> Result<Response> {
        let mut trusted = true;
        for _ in 0..=REDIRECTS {
            trusted &= same_origin(&url, base);
            let response =
                self.transmit(call, &url, authorization.header.as_ref().filter(|_| trusted)).await?;
            let is_redirect = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
            if !is_redirect || call.redirects == Redirects::No {
                return Ok(response);
            }
            let next = location(&url, response.headers())
                .ok_or_else(|| Error::protocol(call.subject, "a redirect without an address"))?;
            if call.redirects == Redirects::Secure && url.scheme() == "https" && next.scheme() == "http" {
                let host = next.host_str().unwrap_or_default();
                let reason = format!("a redirect from HTTPS to plain HTTP on {host}, which is not followed");
                return Err(Error::protocol(call.subject, reason));
            }
            url = next;
        }
        Err(Error::protocol(call.subject, format!("more than {REDIRECTS} redirects")))
    }

    /// Sends one request and waits for the head of the answer, for as long as bytes leave.
    async fn transmit(
        &self,
        call: &Call<'_>,
        url: &Url,
        authorization: Option<&HeaderValue>,
    ) -> Result<Response> {
        let mut request = Request::new(call.method.clone(), url.clone());
        let headers = request.headers_mut();
        *headers = call.headers.clone();
        // What was hashed is what we want, in no other coding.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let Some(authorization) = authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        if !matches!(call.method, Method::GET | Method::HEAD) {
            headers.insert(CONTENT_LENGTH, call.payload.length().into());
        }
        let pulse = Arc::new(Pulse::new());
        *request.body_mut() = call.payload.body(&pulse);
        // A query may hold the state of an upload or a signature, so it is left out of the log.
        tracing::trace!(method = %call.method, host = url.host_str(), path = url.path(), "request");

        let timeouts = &self.options().timeouts;
        let then = if call.method == Method::PUT || call.method == Method::PATCH {
            timeouts.commit
        } else {
            timeouts.idle
        };
        let sending = call.endpoint.http.execute(request);
        tokio::pin!(sending);
        let failure = loop {
            let (_, deadline) = pulse.deadline(timeouts.idle, then);
            tokio::select! {
                outcome = &mut sending => match outcome {
                    Ok(response) => return Ok(response),
                    Err(error) => break Failure::of(&error),
                },
                () = tokio::time::sleep_until(deadline) => {
                    let (limit, now) = pulse.deadline(timeouts.idle, then);
                    if now <= deadline {
                        break Failure::silence(limit);
                    }
                }
            }
        };
        // A source that cannot be read looks like a broken connection from outside.
        Err(pulse
            .failure()
            .unwrap_or_else(|| Error::unreachable(call.subject, &call.endpoint.registry, failure)))
    }
}

/// The absolute form of `Location`.
pub(crate) fn location(from: &Url, headers: &HeaderMap) -> Option<Url> {
    let next = from.join(headers.get(LOCATION)?.to_str().ok()?).ok()?;
    matches!(next.scheme(), "http" | "https").then_some(next)
}

//! Downloads: from the first request to the whole file.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONTENT_RANGE, DATE, ETAG, HeaderMap, HeaderName, HeaderValue,
    IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, LAST_MODIFIED, RANGE,
};
use reqwest::{Response, StatusCode};
use transport::{Backoff, Clients, Failure, Network, retry_after};

use crate::checksum::Hasher;
use crate::error::{Error, ErrorKind};
use crate::partial::Partial;
use crate::{Checksum, Request, file_name};

/// As much progress makes a later break a first one. Less does not, or a server could hold us with a byte at a time.
const PROGRESS: u64 = 1 << 20;

/// What is read of a refusal.
const WORDS: usize = 64 << 10;

/// So much older than its answer a `Last-Modified` must be to say that the file is the same to the byte ([RFC 9110,
/// section 8.8.2.2]): a file can change twice within a second, and clocks differ.
///
/// [RFC 9110, section 8.8.2.2]: https://www.rfc-editor.org/rfc/rfc9110#section-8.8.2.2
const SETTLED: Duration = Duration::from_secs(60);

/// Fetches files. Clones share connections.
#[derive(Debug, Clone)]
pub struct Downloader {
    clients: Clients,
}

/// By what a server can say later whether a file is still the same. To be kept by the caller with the file.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Validators {
    /// `ETag`.
    pub etag: Option<String>,
    /// `Last-Modified`.
    pub last_modified: Option<String>,
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The file.
    Fetched(Fetched),
    /// It is still the one of [`Request::known`], whose file the caller has. A checksum is not compared.
    NotModified,
}

/// A file that is here, whole and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The file, with a new name in the directory that was given. It is the caller's from now on.
    pub path: PathBuf,
    /// The name that the URL gives it: [`file_name`].
    pub name: Vec<u8>,
    /// Its size in bytes.
    pub size: u64,
    /// Its checksum, by the algorithm of [`Request::checksum`], else SHA-256.
    pub checksum: Checksum,
    /// `Last-Modified` in seconds since 1970, if the server says.
    pub modified: Option<i64>,
    /// For the next time.
    pub validators: Validators,
}

/// A download under way.
struct Transfer<'a> {
    request: &'a Request,
    partial: Partial,
    hasher: Hasher,
    /// So many bytes are written.
    offset: u64,
    /// What the first answer said, until another file is begun.
    head: HeaderMap,
}

impl Downloader {
    /// Nothing is connected yet. Proxies and certificates that cannot be used are found now; the error says which.
    pub fn new(network: Network) -> Result<Self, String> {
        Clients::new(network).map(|clients| Downloader { clients })
    }

    /// Fetches a file into `directory`. Dropping the future ends the download, and removes what has come.
    pub async fn fetch(&self, request: &Request, directory: &Path) -> Result<Outcome, Error> {
        self.run(request, directory).await.map_err(|kind| {
            let mut url = request.url.clone();
            // A query may be a signature.
            url.set_query(None);
            Error { url: url.into(), kind }
        })
    }

    async fn run(&self, request: &Request, directory: &Path) -> Result<Outcome, ErrorKind> {
        let mut transfer: Option<Transfer<'_>> = None;
        let mut backoff = Backoff::new(&self.clients.network().retry);
        let mut broken_at = 0;
        loop {
            let mut wait = None;
            let error = match self.attempt(request, directory, &mut transfer, &mut wait).await {
                Ok(true) => return Ok(Outcome::NotModified),
                Ok(false) => {
                    let transfer = transfer.take().expect("an attempt that ends well has begun a transfer");
                    return transfer.finish().await.map(Outcome::Fetched);
                }
                Err(error) if error.is_transient() => error,
                Err(error) => return Err(error),
            };
            let offset = transfer.as_ref().map_or(0, |transfer| transfer.offset);
            if offset.saturating_sub(broken_at) >= PROGRESS {
                backoff.reset();
            }
            broken_at = offset;
            let Some(delay) = backoff.next(wait) else { return Err(error) };
            tracing::debug!(host = request.url.host_str(), offset, %error, ?delay, "again");
            tokio::time::sleep(delay).await;
        }
    }

    /// One request, and what comes of it. True if the file is the known one.
    async fn attempt<'a>(
        &self,
        request: &'a Request,
        directory: &Path,
        transfer: &mut Option<Transfer<'a>>,
        wait: &mut Option<Duration>,
    ) -> Result<bool, ErrorKind> {
        let headers = headers(request, transfer.as_ref())?;
        let ranged = headers.contains_key(RANGE);
        let (response, authorized) = self.ask(request, &headers).await?;
        match response.status() {
            StatusCode::OK => {
                let begun = match transfer.take() {
                    Some(transfer) => transfer.restart().await?,
                    None => Transfer::new(request, directory)?,
                };
                transfer.insert(begun).head = response.headers().clone();
            }
            StatusCode::PARTIAL_CONTENT if ranged => {
                let transfer = transfer.as_mut().expect("a range is asked for only to go on");
                let first = first_byte(response.headers())
                    .ok_or_else(|| protocol("a part of the file came without a valid Content-Range"))?;
                if first != transfer.offset {
                    let reason = format!(
                        "the part from byte {} was asked for, that from {first} came",
                        transfer.offset
                    );
                    return Err(protocol(reason));
                }
                // Not every server that knows ranges knows their condition.
                let etag = response.headers().get(ETAG);
                if etag.is_some_and(|etag| transfer.head.get(ETAG).is_some_and(|before| before != etag)) {
                    transfer.head.clear();
                    return Err(changed(request));
                }
            }
            // It is another file now, and shorter.
            StatusCode::RANGE_NOT_SATISFIABLE if ranged => {
                if let Some(transfer) = transfer {
                    transfer.head.clear();
                }
                return Err(changed(request));
            }
            StatusCode::NOT_MODIFIED if request.known.is_some() && !ranged => return Ok(true),
            status => {
                *wait = retry_after(response.headers(), SystemTime::now());
                let hint = request.authorize.as_ref().and_then(|by| by.hint(response.headers()));
                let message = self.words(response).await;
                return Err(ErrorKind::Status { status: status.as_u16(), authorized, message, hint });
            }
        }
        let transfer = transfer.as_mut().expect("a transfer was begun above");
        self.receive(transfer, response).await.map(|()| false)
    }

    /// Sends a GET with whatever authorizes it; true if something does.
    async fn ask(&self, request: &Request, headers: &HeaderMap) -> Result<(Response, bool), ErrorKind> {
        let Some(by) = &request.authorize else {
            let authorization = authorization(request)?;
            let checked = request.checksum.is_some();
            let response = self.clients.get(&request.url, headers, authorization.as_ref(), checked).await?;
            return Ok((response, authorization.is_some()));
        };
        let mut is_last = false;
        loop {
            let mut get = reqwest::Request::new(reqwest::Method::GET, request.url.clone());
            *get.headers_mut() = headers.clone();
            let authorized = by.authorize(&request.url, get.headers_mut()).await;
            authorized.map_err(|reason| ErrorKind::Options { reason })?;
            let authorized = get.headers().contains_key(AUTHORIZATION);
            let response = self.clients.send(get).await?;
            // It may have ended since it was given.
            let is_refused = matches!(response.status().as_u16(), 400 | 401 | 403) && authorized;
            if !is_refused || is_last {
                return Ok((response, authorized));
            }
            by.refused().await;
            is_last = true;
        }
    }

    /// What a server says of a refusal.
    async fn words(&self, mut response: Response) -> String {
        let mut body = Vec::new();
        let reading = async {
            while let Ok(Some(bytes)) = response.chunk().await {
                body.extend_from_slice(&bytes);
                if body.len() > WORDS {
                    return;
                }
            }
        };
        // The status has said what matters; what does not come in time is lost.
        let _ = tokio::time::timeout(self.clients.network().idle, reading).await;
        transport::words(&body)
    }

    /// The body of an answer.
    async fn receive(&self, transfer: &mut Transfer<'_>, mut response: Response) -> Result<(), ErrorKind> {
        let limit = transfer.request.limit.unwrap_or(u64::MAX);
        let rest = response.content_length().unwrap_or(0);
        if rest > limit.saturating_sub(transfer.offset) {
            return Err(ErrorKind::TooLarge { limit });
        }
        let idle = self.clients.network().idle;
        let total = response.content_length().map(|rest| transfer.offset + rest);
        loop {
            let failure = match tokio::time::timeout(idle, response.chunk()).await {
                Ok(Ok(Some(bytes))) => {
                    if bytes.len() as u64 > limit - transfer.offset {
                        return Err(ErrorKind::TooLarge { limit });
                    }
                    transfer.partial.write(&bytes).await?;
                    transfer.hasher.update(&bytes);
                    transfer.offset += bytes.len() as u64;
                    if let Some(progress) = &transfer.request.progress {
                        progress.tell(transfer.offset, total);
                    }
                    continue;
                }
                Ok(Ok(None)) => return Ok(()),
                Ok(Err(error)) => Failure::of(&error),
                Err(_) => Failure::silence(idle),
            };
            let host = response.url().host_str().unwrap_or_default().to_owned();
            return Err(ErrorKind::Unreachable { host, reason: failure.reason, cause: failure.cause });
        }
    }
}

impl<'a> Transfer<'a> {
    fn new(request: &'a Request, directory: &Path) -> Result<Self, ErrorKind> {
        let partial = Partial::create(directory)?;
        Ok(Transfer { request, partial, hasher: hasher(request), offset: 0, head: HeaderMap::new() })
    }

    async fn restart(mut self) -> Result<Self, ErrorKind> {
        self.partial.clear().await?;
        Ok(Transfer { hasher: hasher(self.request), offset: 0, head: HeaderMap::new(), ..self })
    }

    /// By what the server can tell that it still has the file we have the beginning of.
    fn same(&self) -> Option<HeaderValue> {
        match self.head.get(ETAG) {
            // A weak one promises the same meaning, not the same bytes.
            Some(etag) if !etag.as_bytes().starts_with(b"W/") => return Some(etag.clone()),
            _ => {}
        }
        let modified = date(&self.head, LAST_MODIFIED)?;
        let answered = date(&self.head, DATE)?;
        let age = answered.duration_since(modified).ok()?;
        (age >= SETTLED).then(|| self.head.get(LAST_MODIFIED).cloned()).flatten()
    }

    async fn finish(self) -> Result<Fetched, ErrorKind> {
        let actual = self.hasher.finish();
        if let Some(expected) = &self.request.checksum
            && *expected != actual
        {
            return Err(ErrorKind::Checksum { actual, expected: expected.clone() });
        }
        let text = |name: HeaderName| Some(self.head.get(name)?.to_str().ok()?.to_owned());
        let seconds = |time: SystemTime| i64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok();
        Ok(Fetched {
            path: self.partial.keep().await?,
            name: file_name(&self.request.url),
            size: self.offset,
            checksum: actual,
            modified: date(&self.head, LAST_MODIFIED).and_then(seconds),
            validators: Validators { etag: text(ETAG), last_modified: text(LAST_MODIFIED) },
        })
    }
}

fn hasher(request: &Request) -> Hasher {
    request.checksum.as_ref().map_or_else(Hasher::default, Hasher::new)
}

/// What the next request says besides its URL.
fn headers(request: &Request, transfer: Option<&Transfer<'_>>) -> Result<HeaderMap, ErrorKind> {
    // What is checked and stored is the file, in no other coding.
    let mut headers = HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static("identity"))]);
    if let Some(transfer) = transfer.filter(|transfer| transfer.offset > 0)
        && let Some(same) = transfer.same()
    {
        headers.insert(IF_RANGE, same);
        let range = format!("bytes={}-", transfer.offset);
        headers.insert(RANGE, HeaderValue::try_from(range).expect("digits are visible ASCII"));
        return Ok(headers);
    }
    if transfer.is_none()
        && let Some(known) = &request.known
    {
        for (name, value) in [(IF_NONE_MATCH, &known.etag), (IF_MODIFIED_SINCE, &known.last_modified)] {
            if let Some(value) = value {
                let value = HeaderValue::from_str(value).map_err(|_| ErrorKind::Options {
                    reason: format!("the record of an earlier download has no valid {name}"),
                })?;
                headers.insert(name, value);
            }
        }
    }
    Ok(headers)
}

fn authorization(request: &Request) -> Result<Option<HeaderValue>, ErrorKind> {
    let Some(secret) = &request.authorization else { return Ok(None) };
    let mut value = HeaderValue::from_str(secret.expose()).map_err(|_| ErrorKind::Options {
        reason: "the authorization holds characters that no header can".to_owned(),
    })?;
    value.set_sensitive(true);
    Ok(Some(value))
}

fn date(headers: &HeaderMap, name: HeaderName) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(name)?.to_str().ok()?).ok()
}

/// The first byte of `Content-Range: bytes first-last/total`.
fn first_byte(headers: &HeaderMap) -> Option<u64> {
    let text = headers.get(CONTENT_RANGE)?.to_str().ok()?;
    text.trim().strip_prefix("bytes ")?.split_once('-')?.0.trim().parse().ok()
}

/// What has come is of another file: it begins again.
fn changed(request: &Request) -> ErrorKind {
    ErrorKind::Unreachable {
        host: request.url.host_str().unwrap_or_default().to_owned(),
        reason: "the file has changed meanwhile".to_owned(),
        cause: transport::Cause::Network,
    }
}

fn protocol(reason: impl Into<String>) -> ErrorKind {
    ErrorKind::Protocol { reason: reason.into() }
}

//! The smart HTTP protocol's requests, sent by our own client and not by one of gix's.
//!
//! So one TLS stack, one set of proxies and one rule for credentials holds for all of the program. The thread that runs
//! git's protocol blocks on the runtime for each piece.

use std::any::Any;
use std::io::{self, BufRead, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use gix::error::Error as GixError;
use gix_transport::client::blocking_io::http::{GetResponse, Http, PostBodyDataKind, PostResponse};
use reqwest::header::{ACCEPT_ENCODING, AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Request, Response};
use tokio::runtime::Handle;
use transport::{Clients, Failure, same_origin};
use url::Url;

use crate::error::ErrorKind;
use crate::stop::Stop;

/// What went wrong in our own words, since those that come back through gix are text.
pub(crate) type Blame = Arc<Mutex<Option<ErrorKind>>>;

/// Requests to one repository.
pub(crate) struct HttpClient {
    shared: Arc<Shared>,
    /// The address that the first redirect led to.
    redirected: Option<String>,
}

struct Shared {
    clients: Clients,
    runtime: Handle,
    stop: Stop,
    /// Whose the authorization is.
    origin: Url,
    authorization: Option<HeaderValue>,
    blame: Blame,
}

/// A request before and after it is sent. A POST is sent when its answer is first looked at: its body is complete then.
struct Exchange {
    shared: Arc<Shared>,
    request: Option<Request>,
    /// The body of a request of git's is some dozens of lines.
    body: Vec<u8>,
    /// The lines of the answer's head, until they are read.
    head: Bytes,
    response: Option<Response>,
}

/// One part of an answer.
pub(crate) struct Reader {
    exchange: Arc<Mutex<Exchange>>,
    part: Part,
    piece: Bytes,
}

#[derive(Clone, Copy)]
enum Part {
    Head,
    Body,
}

/// Where a request's body is written.
pub(crate) struct Post(Arc<Mutex<Exchange>>);

impl HttpClient {
    pub(crate) fn new(
        clients: Clients,
        runtime: Handle,
        stop: Stop,
        origin: Url,
        authorization: Option<HeaderValue>,
        blame: Blame,
    ) -> Self {
        let shared = Shared { clients, runtime, stop, origin, authorization, blame };
        HttpClient { shared: Arc::new(shared), redirected: None }
    }
}

impl Shared {
    /// Waits for what the network gives, unless the work is ended.
    fn wait<T>(&self, future: impl Future<Output = Result<T, ErrorKind>>) -> io::Result<T> {
        let result = self.runtime.block_on(self.stop.or(future)).unwrap_or(Err(ErrorKind::Cancelled));
        result.map_err(|kind| {
            let error = io::Error::other(kind.to_string());
            *self.blame.lock().unwrap_or_else(PoisonError::into_inner) = Some(kind);
            error
        })
    }

    fn authorization_for(&self, url: &Url) -> Option<&HeaderValue> {
        self.authorization.as_ref().filter(|_| same_origin(url, &self.origin))
    }

    /// An answer that is a success.
    fn accepted(&self, response: Response) -> Result<Response, ErrorKind> {
        let status = response.status().as_u16();
        if response.status().is_success() {
            return Ok(response);
        }
        let host = host_of(response.url());
        Err(match status {
            // Who may not see a repository is told that there is none.
            401 | 403 | 404 => ErrorKind::Denied {
                host,
                status,
                authorized: self.authorization_for(response.url()).is_some(),
            },
            _ => ErrorKind::Status { host, status },
        })
    }
}

impl Exchange {
    /// Sends the request, if that is not done yet.
    fn send(&mut self) -> io::Result<()> {
        let Some(mut request) = self.request.take() else { return Ok(()) };
        *request.body_mut() = Some(std::mem::take(&mut self.body).into());
        let shared = Arc::clone(&self.shared);
        let response = shared.wait(async {
            let response = shared.clients.send(request).await?;
            shared.accepted(response)
        })?;
        self.answered(response);
        Ok(())
    }

    fn answered(&mut self, response: Response) {
        let mut head = Vec::new();
        for (name, value) in response.headers() {
            head.extend_from_slice(name.as_str().as_bytes());
            head.extend_from_slice(b": ");
            // gix wants lines of UTF-8.
            head.extend_from_slice(String::from_utf8_lossy(value.as_bytes()).as_bytes());
            head.push(b'\n');
        }
        self.head = head.into();
        self.response = Some(response);
    }

    fn next(&mut self, part: Part) -> io::Result<Bytes> {
        self.send()?;
        if matches!(part, Part::Head) {
            return Ok(std::mem::take(&mut self.head));
        }
        let Some(response) = &mut self.response else { return Ok(Bytes::new()) };
        let idle = self.shared.clients.network().idle;
        let host = host_of(response.url());
        let piece = self.shared.wait(async {
            let failure = match tokio::time::timeout(idle, response.chunk()).await {
                Ok(Ok(piece)) => return Ok(piece),
                Ok(Err(error)) => Failure::of(&error),
                Err(_) => Failure::silence(idle),
            };
            Err(ErrorKind::Unreachable { host, reason: failure.reason, cause: failure.cause })
        })?;
        if piece.is_none() {
            self.response = None;
        }
        Ok(piece.unwrap_or_default())
    }
}

impl BufRead for Reader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.piece.is_empty() {
            let mut exchange = self.exchange.lock().unwrap_or_else(PoisonError::into_inner);
            self.piece = exchange.next(self.part)?;
        }
        Ok(&self.piece)
    }

    fn consume(&mut self, amount: usize) {
        drop(self.piece.split_to(amount));
    }
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let piece = self.fill_buf()?;
        let length = piece.len().min(buffer.len());
        buffer[..length].copy_from_slice(&piece[..length]);
        self.consume(length);
        Ok(length)
    }
}

impl Write for Post {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut exchange = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        exchange.body.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Http for HttpClient {
    type Headers = Reader;
    type ResponseBody = Reader;
    type PostBody = Post;

    fn get(
        &mut self,
        url: &str,
        base_url: &str,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<GetResponse<Reader, Reader>, GixError> {
        let tail = url.strip_prefix(base_url).unwrap_or_default();
        let parsed = parse(url)?;
        let headers = header_map(headers);
        let shared = &self.shared;
        let authorization = shared.authorization_for(&parsed).cloned();
        let response = shared
            .wait(async {
                let response = shared.clients.get(&parsed, &headers, authorization.as_ref(), false).await?;
                shared.accepted(response)
            })
            .map_err(GixError::from_error)?;
        if response.url() != &parsed {
            // Only what leads to the same request elsewhere is a move of the repository.
            let base = response.url().as_str().strip_suffix(tail).map(str::to_owned);
            let base = base.ok_or_else(|| {
                let reason =
                    format!("it redirects to something that is no repository on {}", host_of(response.url()));
                let kind = ErrorKind::protocol(reason);
                let error = io::Error::other(kind.to_string());
                *shared.blame.lock().unwrap_or_else(PoisonError::into_inner) = Some(kind);
                GixError::from_error(error)
            })?;
            self.redirected = Some(base);
        }
        let mut exchange = Exchange::new(&self.shared, None);
        exchange.answered(response);
        let exchange = Arc::new(Mutex::new(exchange));
        Ok(GetResponse {
            headers: Reader::new(&exchange, Part::Head),
            body: Reader::new(&exchange, Part::Body),
        })
    }

    fn post(
        &mut self,
        url: &str,
        _base_url: &str,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
        _body: PostBodyDataKind,
    ) -> Result<PostResponse<Reader, Reader, Post>, GixError> {
        let url = parse(url)?;
        let authorization = self.shared.authorization_for(&url).cloned();
        let mut request = Request::new(Method::POST, url);
        *request.headers_mut() = header_map(headers);
        if let Some(authorization) = authorization {
            request.headers_mut().insert(AUTHORIZATION, authorization);
        }
        let exchange = Arc::new(Mutex::new(Exchange::new(&self.shared, Some(request))));
        Ok(PostResponse {
            post_body: Post(Arc::clone(&exchange)),
            headers: Reader::new(&exchange, Part::Head),
            body: Reader::new(&exchange, Part::Body),
        })
    }

    fn configure(&mut self, _config: &dyn Any) -> Result<(), GixError> {
        Ok(())
    }

    fn redirected_base_url(&self) -> Option<String> {
        self.redirected.clone()
    }
}

impl Exchange {
    fn new(shared: &Arc<Shared>, request: Option<Request>) -> Self {
        let shared = Arc::clone(shared);
        Exchange { shared, request, body: Vec::new(), head: Bytes::new(), response: None }
    }
}

impl Reader {
    fn new(exchange: &Arc<Mutex<Exchange>>, part: Part) -> Self {
        Reader { exchange: Arc::clone(exchange), part, piece: Bytes::new() }
    }
}

fn parse(url: &str) -> Result<Url, GixError> {
    url.parse().map_err(GixError::from_error)
}

/// The lines that gix writes, as headers. What it writes is its own, so none is lost by being malformed.
fn header_map(lines: impl IntoIterator<Item = impl AsRef<str>>) -> HeaderMap {
    let mut headers = HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static("identity"))]);
    for line in lines {
        let Some((name, value)) = line.as_ref().split_once(':') else { continue };
        let name = HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value.trim())) {
            headers.append(name, value);
        }
    }
    headers
}

fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

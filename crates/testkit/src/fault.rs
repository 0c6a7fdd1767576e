//! Faults to order: what a registry does wrong, to which requests, how often.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::{Kind, Port, Recorded};

/// Something that goes wrong with the requests it is ordered for, as often as it is ordered.
#[derive(Debug, Clone)]
pub struct Fault {
    action: Action,
    port: Port,
    method: Option<String>,
    kind: Option<Kind>,
    repository: Option<String>,
    path: Option<String>,
    skip: usize,
    times: usize,
}

/// What goes wrong.
#[derive(Debug, Clone)]
pub enum Action {
    /// The request is not served but answered with this.
    Answer {
        /// The HTTP status.
        status: u16,
        /// The headers.
        headers: Vec<(String, String)>,
        /// The body.
        body: String,
    },
    /// The answer comes late.
    Delay(Duration),
    /// The connection ends after so many bytes of the answer's body.
    Truncate(u64),
    /// Nothing more comes after so many bytes of the answer's body, but the connection stays.
    Stall(u64),
    /// The byte at this offset of the answer's body is another one.
    Corrupt(u64),
    /// So many bytes of the request's body are served, then the connection ends without an answer.
    Cut(u64),
    /// The connection ends without an answer, and nothing is served.
    Disconnect,
    /// The request is served, but the connection ends without an answer.
    Forget,
    /// The client is sent to another port for the same path.
    Redirect,
}

impl Fault {
    /// A fault of the next request, whatever it is.
    #[must_use]
    pub fn new(action: Action) -> Self {
        Fault {
            action,
            port: Port::Registry,
            method: None,
            kind: None,
            repository: None,
            path: None,
            skip: 0,
            times: 1,
        }
    }

    /// An answer with a status and a body that says so in the registry's way.
    #[must_use]
    pub fn status(status: u16) -> Self {
        let body = r#"{"errors":[{"code":"UNKNOWN","message":"ordered by the test"}]}"#.to_owned();
        Fault::new(Action::Answer { status, headers: Vec::new(), body })
    }

    /// Adds a header to the answer that takes the place of the right one.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        match &mut self.action {
            Action::Answer { headers, .. } => headers.push((name.to_owned(), value.to_owned())),
            other => panic!("{other:?} has no headers"),
        }
        self
    }

    /// Of this kind of thing only.
    #[must_use]
    pub fn on(mut self, kind: Kind) -> Self {
        self.kind = Some(kind);
        self
    }

    /// Where blobs are redirected to, instead of at the registry.
    #[must_use]
    pub fn at(mut self, port: Port) -> Self {
        self.port = port;
        self
    }

    /// With this method only.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        self.method = Some(method.to_owned());
        self
    }

    /// In this repository only.
    #[must_use]
    pub fn repository(mut self, repository: &str) -> Self {
        self.repository = Some(repository.to_owned());
        self
    }

    /// With this in the path only.
    #[must_use]
    pub fn path(mut self, part: &str) -> Self {
        self.path = Some(part.to_owned());
        self
    }

    /// Not of the first ones that would match.
    #[must_use]
    pub fn after(mut self, requests: usize) -> Self {
        self.skip = requests;
        self
    }

    /// Of so many requests instead of one.
    #[must_use]
    pub fn times(mut self, requests: usize) -> Self {
        self.times = requests;
        self
    }

    /// Of all requests.
    #[must_use]
    pub fn always(self) -> Self {
        self.times(usize::MAX)
    }

    /// What is to go wrong with a request, if the fault is for it and not used up.
    pub(crate) fn take(&mut self, request: &Recorded) -> Option<Action> {
        let matches = self.port == request.port
            && self.method.as_ref().is_none_or(|method| *method == request.method)
            && self.kind.is_none_or(|kind| kind == request.kind)
            && self.repository.as_ref().is_none_or(|repository| *repository == request.repository)
            && self.path.as_ref().is_none_or(|path| request.path.contains(path));
        if !matches || self.times == 0 {
            return None;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return None;
        }
        self.times -= 1;
        Some(self.action.clone())
    }
}

/// An answer of a fault's own.
pub(crate) fn answer(status: u16, headers: Vec<(String, String)>, body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    for (name, value) in headers {
        let name = HeaderName::try_from(name).unwrap();
        response.headers_mut().insert(name, HeaderValue::try_from(value).unwrap());
    }
    response
}

/// Ends the connection without an answer: hyper closes it when the task that serves it is gone. Nothing
/// is printed, as this is no panic.
pub(crate) fn disconnect() -> ! {
    std::panic::resume_unwind(Box::new("ordered by the test"))
}

/// A request that has only the first bytes of its body.
pub(crate) fn cut(request: Request, after: u64) -> Request {
    request.map(|body| Body::from_stream(shorten(body, after, End::Broken)))
}

/// An answer that lacks the end of its body.
pub(crate) fn truncate(response: Response, after: u64) -> Response {
    with_length(response, |body| Body::from_stream(shorten(body, after, End::Broken)))
}

/// An answer whose end does not come.
pub(crate) fn stall(response: Response, after: u64) -> Response {
    with_length(response, |body| Body::from_stream(shorten(body, after, End::Never)))
}

/// An answer with one wrong byte.
pub(crate) fn corrupt(response: Response, offset: u64) -> Response {
    with_length(response, |body| {
        let mut position = 0;
        Body::from_stream(body.into_data_stream().map_ok(move |bytes| {
            let start = position;
            position += bytes.len() as u64;
            if !(start..position).contains(&offset) {
                return bytes;
            }
            let mut bytes = bytes.to_vec();
            bytes[(offset - start) as usize] ^= 0x20;
            Bytes::from(bytes)
        }))
    })
}

/// Changes a body but not the length that is announced.
fn with_length(mut response: Response, change: impl FnOnce(Body) -> Body) -> Response {
    let size = axum::body::HttpBody::size_hint(response.body()).exact();
    if let Some(size) = size {
        response.headers_mut().entry(header::CONTENT_LENGTH).or_insert(HeaderValue::from(size));
    }
    response.map(change)
}

#[derive(Clone, Copy)]
enum End {
    Broken,
    Never,
}

fn shorten(body: Body, after: u64, end: End) -> impl futures_util::Stream<Item = Result<Bytes, axum::Error>> {
    let mut left = after;
    body.into_data_stream()
        .map_ok(move |mut bytes| {
            bytes.truncate(usize::try_from(left).unwrap_or(usize::MAX));
            left -= bytes.len() as u64;
            (bytes, left == 0)
        })
        .flat_map(move |item| {
            let (bytes, last) = match item {
                Ok((bytes, last)) => (Ok(bytes), last),
                Err(error) => (Err(error), false),
            };
            let tail = match (last, end) {
                (false, _) => stream::empty().boxed(),
                // In between, hyper has the time to send what it has.
                (true, End::Broken) => stream::once(async {
                    tokio::task::yield_now().await;
                    Err(axum::Error::new("ordered by the test"))
                })
                .boxed(),
                (true, End::Never) => stream::pending().boxed(),
            };
            stream::iter([bytes]).chain(tail)
        })
}

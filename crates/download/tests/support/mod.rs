//! A server that answers as it is told, and remembers what it was asked.
#![allow(
    dead_code,
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "each test file has a copy of its own, and uses another part of it"
)]

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Response, StatusCode};
use download::Downloader;
use futures_util::StreamExt as _;
use transport::{Network, RetryPolicy};

/// One answer.
#[derive(Debug, Clone)]
pub struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Bytes,
    end: End,
}

/// How an answer ends.
#[derive(Debug, Clone, Copy)]
enum End {
    Well,
    /// The connection breaks.
    Break,
    /// Nothing more comes.
    Stall,
}

impl Answer {
    pub fn new(status: u16, body: &[u8]) -> Answer {
        Answer { status, headers: Vec::new(), body: Bytes::copy_from_slice(body), end: End::Well }
    }

    pub fn with(mut self, name: &str, value: &str) -> Answer {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The connection breaks after so many bytes of the body.
    pub fn broken_after(mut self, bytes: usize) -> Answer {
        self.headers.push(("content-length".to_owned(), self.body.len().to_string()));
        self.body.truncate(bytes);
        self.end = End::Break;
        self
    }

    /// Nothing comes after so many bytes of the body.
    pub fn silent_after(mut self, bytes: usize) -> Answer {
        self = self.broken_after(bytes);
        self.end = End::Stall;
        self
    }

    /// The length of the body is not told before.
    pub fn chunked(mut self) -> Answer {
        self.end = End::Well;
        self.headers.push(("transfer-encoding".to_owned(), "chunked".to_owned()));
        self
    }
}

/// A server. When it has nothing more to answer, it answers 418.
pub struct Server {
    pub address: SocketAddr,
    state: Arc<Shared>,
    pub runtime: tokio::runtime::Runtime,
}

#[derive(Default)]
struct Shared {
    answers: Mutex<VecDeque<Answer>>,
    seen: Mutex<Vec<HeaderMap>>,
}

impl Server {
    pub fn new(answers: impl IntoIterator<Item = Answer>) -> Server {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let state =
            Arc::new(Shared { answers: Mutex::new(answers.into_iter().collect()), ..Shared::default() });
        let app = axum::Router::new().fallback(answer).with_state(Arc::clone(&state));
        runtime.spawn(async move { axum::serve(listener, app).await });
        Server { address, state, runtime }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// A header of each request so far.
    pub fn seen(&self, name: &str) -> Vec<Option<String>> {
        let seen = self.state.seen.lock().unwrap();
        seen.iter().map(|head| Some(head.get(name)?.to_str().unwrap().to_owned())).collect()
    }
}

async fn answer(State(state): State<Arc<Shared>>, request: Request) -> Response<Body> {
    state.seen.lock().unwrap().push(request.headers().clone());
    let answer = state.answers.lock().unwrap().pop_front();
    let answer = answer.unwrap_or_else(|| Answer::new(418, b""));
    let mut response = Response::builder().status(StatusCode::from_u16(answer.status).unwrap());
    let chunked = answer.headers.iter().any(|(name, _)| name == "transfer-encoding");
    for (name, value) in answer.headers.iter().filter(|(name, _)| name != "transfer-encoding") {
        response = response.header(name, value);
    }
    let first = futures_util::stream::iter([Ok(answer.body.clone())]);
    let body = match answer.end {
        End::Well if chunked => Body::from_stream(first),
        End::Well => Body::from(answer.body),
        End::Break => Body::from_stream(first.chain(futures_util::stream::once(cut()))),
        End::Stall => Body::from_stream(first.chain(futures_util::stream::pending())),
    };
    response.body(body).unwrap()
}

/// The end of a connection, once what came before it has left.
async fn cut() -> Result<Bytes, std::io::Error> {
    tokio::task::yield_now().await;
    Err(std::io::Error::other("cut"))
}

/// A client that tries again at once.
pub fn downloader() -> Downloader {
    let retry = RetryPolicy {
        retries: 3,
        first_delay: Duration::from_millis(1),
        max_delay: Duration::from_millis(5),
        max_elapsed: Duration::from_secs(60),
    };
    Downloader::new(Network { retry, idle: Duration::from_millis(500), ..Network::default() }).unwrap()
}

//! Servers: git's own `http-backend` behind one that can be told to misbehave, and git's daemon.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Response, StatusCode};
use futures_util::StreamExt as _;
use tokio::io::AsyncWriteExt as _;

/// What a server does before it serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Answers with a status.
    Status(u16),
    /// Serves, but ends the body after so many bytes.
    Cut(usize),
    /// Sends the client to the same path at another address.
    Redirect(String),
}

/// A server of the repositories in a directory.
pub struct HttpServer {
    pub address: SocketAddr,
    state: Arc<Shared>,
    _runtime: tokio::runtime::Runtime,
}

struct Shared {
    root: String,
    /// The `Authorization` that is asked for.
    secret: Option<String>,
    /// For requests whose path and query hold the text: what happens, once each.
    faults: Mutex<Vec<(String, Fault)>>,
    /// Path, and `Authorization`, of each request.
    seen: Mutex<Vec<(String, Option<String>)>>,
    /// The version of git's protocol that is spoken at most.
    old: bool,
}

impl HttpServer {
    pub fn new(root: &Path) -> HttpServer {
        HttpServer::start(root, None, false)
    }

    pub fn private(root: &Path, secret: &str) -> HttpServer {
        HttpServer::start(root, Some(secret.to_owned()), false)
    }

    /// One that does not know the second version of the protocol.
    pub fn old(root: &Path) -> HttpServer {
        HttpServer::start(root, None, true)
    }

    fn start(root: &Path, secret: Option<String>, old: bool) -> HttpServer {
        let runtime = super::runtime();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Shared {
            root: root.to_str().unwrap().to_owned(),
            secret,
            faults: Mutex::default(),
            seen: Mutex::default(),
            old,
        });
        let app = axum::Router::new().fallback(serve).with_state(Arc::clone(&state));
        runtime.spawn(async move { axum::serve(listener, app).await });
        HttpServer { address, state, _runtime: runtime }
    }

    pub fn url(&self, name: &str) -> String {
        format!("http://{}/{name}", self.address)
    }

    /// For the next request whose path and query hold the text.
    pub fn fail(&self, text: &str, fault: Fault) {
        self.state.faults.lock().unwrap().push((text.to_owned(), fault));
    }

    pub fn seen(&self) -> Vec<(String, Option<String>)> {
        self.state.seen.lock().unwrap().clone()
    }
}

async fn serve(State(state): State<Arc<Shared>>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let target = parts.uri.path_and_query().unwrap().to_string();
    let header =
        |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let authorization = header("authorization");
    state.seen.lock().unwrap().push((target.clone(), authorization.clone()));
    let fault = {
        let mut faults = state.faults.lock().unwrap();
        let place = faults.iter().position(|(text, _)| target.contains(text.as_str()));
        place.map(|place| faults.remove(place).1)
    };
    let answer = |status: u16| Response::builder().status(StatusCode::from_u16(status).unwrap());
    match &fault {
        Some(Fault::Status(status)) => return answer(*status).body(Body::empty()).unwrap(),
        Some(Fault::Redirect(base)) => {
            return answer(302).header("location", format!("{base}{target}")).body(Body::empty()).unwrap();
        }
        _ => {}
    }
    if state.secret.is_some() && authorization != state.secret {
        return answer(401).header("www-authenticate", "Basic realm=\"git\"").body(Body::empty()).unwrap();
    }
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let (head, mut body) = backend(&state, &parts.method, &target, header, body).await;
    let status = head.get("status").map_or(200, |value| value.to_str().unwrap()[..3].parse().unwrap());
    let mut response = answer(status);
    *response.headers_mut().unwrap() = head;
    if let Some(Fault::Cut(bytes)) = fault {
        body.truncate(bytes);
        let cut = async {
            // What came before it is to leave first.
            tokio::task::yield_now().await;
            Err(std::io::Error::other("cut"))
        };
        let stream = futures_util::stream::iter([Ok(body)]).chain(futures_util::stream::once(cut));
        return response.body(Body::from_stream(stream)).unwrap();
    }
    response.body(body.into()).unwrap()
}

/// One request to git's CGI program.
async fn backend(
    state: &Shared,
    method: &axum::http::Method,
    target: &str,
    header: impl Fn(&str) -> Option<String>,
    body: Bytes,
) -> (HeaderMap, Bytes) {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut command = tokio::process::Command::new("git");
    command
        .arg("http-backend")
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", "/nonexistent")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_PROJECT_ROOT", &state.root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REQUEST_METHOD", method.as_str())
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("CONTENT_TYPE", header("content-type").unwrap_or_default())
        .env("CONTENT_LENGTH", body.len().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    if let Some(version) = header("git-protocol").filter(|_| !state.old) {
        command.env("GIT_PROTOCOL", version);
    }
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&body).await.unwrap();
    drop(stdin);
    let output = Bytes::from(child.wait_with_output().await.unwrap().stdout);
    let end = output.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let mut head = HeaderMap::new();
    for line in std::str::from_utf8(&output[..end]).unwrap().lines() {
        let (name, value) = line.split_once(':').unwrap();
        let name = axum::http::HeaderName::from_bytes(name.as_bytes()).unwrap();
        head.append(name, value.trim().parse().unwrap());
    }
    (head, output.slice(end + 4..))
}

/// Git's own daemon.
pub struct Daemon {
    child: Child,
    port: u16,
}

impl Daemon {
    /// None, with the reason printed, where git comes without one.
    pub fn new(root: &Path) -> Option<Daemon> {
        let found = Command::new("git").args(["daemon", "-h"]).output().unwrap();
        if String::from_utf8_lossy(&found.stderr).contains("not a git command") {
            println!("skipped: git has no daemon here");
            return None;
        }
        // The port may be taken by somebody else before the daemon has it.
        for _ in 0..10 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let mut child = Command::new("git")
                .args(["daemon", "--export-all", "--listen=127.0.0.1"])
                .arg(format!("--port={port}"))
                .arg(format!("--base-path={}", root.display()))
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            while child.try_wait().unwrap().is_none() {
                if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                    return Some(Daemon { child, port });
                }
                std::thread::yield_now();
            }
        }
        panic!("the daemon does not start");
    }

    pub fn url(&self, name: &str) -> String {
        format!("git://127.0.0.1:{}/{name}", self.port)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // The daemon is git, which runs git-daemon as a child; the child ends by the signal that git passes on.
        let id = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
        let _ = self.child.wait();
    }
}

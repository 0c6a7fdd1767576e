//! A web server on loopback for what builds download: a folder of files, and git repositories in it, which git's own
//! `git http-backend` serves (git-http-backend(1)).

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

/// `Last-Modified` of every file, but for those whose name has `undated` in it: 2015-10-21.
pub const MODIFIED: i64 = 1_445_412_480;
const LAST_MODIFIED: &str = "Wed, 21 Oct 2015 07:28:00 GMT";

/// A running server. A file has a `Last-Modified`, but for those whose name has `undated` in it, and an `ETag` of its
/// contents if its name has `tagged` in it; who has it already is told so. Paths below `/private/` want an
/// authorization, `/redirect/x` leads to `/x`, a path that ends in a slash is an empty document, and what is put becomes
/// a file of its type and its body.
#[derive(Debug)]
pub struct Web {
    /// `127.0.0.1:PORT`
    pub address: String,
    /// What is served.
    pub folder: TempDir,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    folder: PathBuf,
    /// What `/private/` wants as the value of `Authorization`.
    authorization: String,
    /// Paths that were asked for, with the authorization that came along.
    requests: Mutex<Vec<(String, String)>>,
    /// Files that were asked for, with the status of the answer.
    answers: Mutex<Vec<(String, String)>>,
    stop: AtomicBool,
}

struct Request {
    method: String,
    path: String,
    query: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Web {
    /// Serves a new folder.
    pub fn start(authorization: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?.to_string();
        let state = Arc::new(State {
            folder: folder.path().to_owned(),
            authorization: authorization.to_owned(),
            ..State::default()
        });
        let shared = state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if shared.stop.load(Ordering::Relaxed) {
                    return;
                }
                let state = shared.clone();
                // A client that goes away in the middle is none of the server's concern.
                std::thread::spawn(move || serve(&stream, &state).ok());
            }
        });
        Ok(Self { address, folder, state })
    }

    /// Puts a file there.
    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> Result<()> {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().context("a file is in a folder")?)?;
        Ok(std::fs::write(path, contents)?)
    }

    /// The authorizations that came with requests for a path.
    #[must_use]
    pub fn authorizations(&self, path: &str) -> Vec<String> {
        let requests = self.state.requests.lock().unwrap_or_else(PoisonError::into_inner);
        requests.iter().filter(|(asked, _)| asked == path).map(|(_, sent)| sent.clone()).collect()
    }
}

impl Web {
    /// The statuses of the answers to requests for a file.
    #[must_use]
    pub fn answers(&self, path: &str) -> Vec<String> {
        let answers = self.state.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.iter().filter(|(asked, _)| asked == path).map(|(_, status)| status.clone()).collect()
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.state.stop.store(true, Ordering::Relaxed);
        // Wakes the thread that waits for a connection, so that it sees the flag.
        TcpStream::connect(&self.address).ok();
    }
}

fn read(stream: &TcpStream) -> Result<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace();
    let method = words.next().context("no method")?.to_owned();
    let target = words.next().context("no path")?;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        ensure!(reader.read_line(&mut line)? > 0, "the connection ended in the headers");
        match line.trim_end().split_once(':') {
            Some((name, value)) => headers.push((name.to_lowercase(), value.trim().to_owned())),
            None => break,
        }
    }
    let mut request =
        Request { method, path: path.to_owned(), query: query.to_owned(), headers, body: Vec::new() };
    if request.header("transfer-encoding") == "chunked" {
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let size = u64::from_str_radix(line.trim(), 16).context("a chunk's size")?;
            reader.by_ref().take(size).read_to_end(&mut request.body)?;
            reader.read_line(&mut String::new())?;
            if size == 0 {
                break;
            }
        }
    } else {
        let length = request.header("content-length").parse().unwrap_or(0);
        reader.take(length).read_to_end(&mut request.body)?;
    }
    Ok(request)
}

impl Request {
    fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str())
    }
}

fn serve(stream: &TcpStream, state: &State) -> Result<()> {
    let request = read(stream)?;
    let sent = request.header("authorization").to_owned();
    state.requests.lock().unwrap_or_else(PoisonError::into_inner).push((request.path.clone(), sent.clone()));
    if request.path.starts_with("/private/") && sent != state.authorization {
        return answer(stream, "401 Unauthorized", "WWW-Authenticate: Basic realm=\"test\"\r\n", b"");
    }
    if request.method == "PUT" {
        let kept = format!("{}\n{}", request.header("content-type"), String::from_utf8_lossy(&request.body));
        std::fs::write(state.folder.join(request.path.trim_start_matches('/')), kept)?;
        return answer(stream, "201 Created", "", b"");
    }
    if let Some(path) = request.path.strip_prefix("/redirect") {
        return answer(stream, "302 Found", &format!("Location: {path}\r\n"), b"");
    }
    if request.path.contains(".git/") {
        return git(stream, state, &request);
    }
    if request.path.ends_with('/') {
        return answer(stream, "200 OK", "", b"");
    }
    let name = request.path.trim_start_matches('/').replace("%20", " ");
    let Ok(bytes) = std::fs::read(state.folder.join(&name)) else {
        return answer(stream, "404 Not Found", "", b"no such file");
    };
    let mut headers = String::new();
    let mut is_known = false;
    if name.contains("tagged") {
        let tag = format!("\"{}\"", String::from_utf8_lossy(&bytes).trim());
        is_known |= request.header("if-none-match") == tag;
        headers += &format!("ETag: {tag}\r\n");
    }
    if !name.contains("undated") {
        is_known |= !name.contains("tagged") && request.header("if-modified-since") == LAST_MODIFIED;
        headers += &format!("Last-Modified: {LAST_MODIFIED}\r\n");
    }
    let (status, body) = if is_known { ("304 Not Modified", &b""[..]) } else { ("200 OK", &bytes[..]) };
    let mut answers = state.answers.lock().unwrap_or_else(PoisonError::into_inner);
    answers.push((request.path.clone(), status[..3].to_owned()));
    drop(answers);
    answer(stream, status, &headers, body)
}

fn answer(mut stream: &TcpStream, status: &str, headers: &str, body: &[u8]) -> Result<()> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    Ok(stream.write_all(body)?)
}

/// Answers by the common gateway interface (RFC 3875).
fn git(mut stream: &TcpStream, state: &State, request: &Request) -> Result<()> {
    let mut command = Command::new("git");
    command
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", &state.folder)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REQUEST_METHOD", &request.method)
        .env("PATH_INFO", &request.path)
        .env("QUERY_STRING", &request.query)
        .env("CONTENT_TYPE", request.header("content-type"))
        .env("CONTENT_LENGTH", request.body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", request.header("content-encoding"))
        .env("GIT_PROTOCOL", request.header("git-protocol"))
        .env("REMOTE_ADDR", "127.0.0.1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = command.spawn().context("git http-backend")?;
    let mut input = child.stdin.take().context("standard input")?;
    let body = request.body.clone();
    let feeder = std::thread::spawn(move || input.write_all(&body));
    let output = child.wait_with_output()?;
    // It may have read no more than it needed.
    drop(feeder.join());
    let end = output.stdout.windows(4).position(|part| part == b"\r\n\r\n").context("no headers")?;
    let headers = String::from_utf8_lossy(&output.stdout[..end]).into_owned();
    let status = headers.lines().find_map(|line| line.strip_prefix("Status: ")).unwrap_or("200 OK");
    write!(stream, "HTTP/1.1 {status}\r\n{headers}\r\nConnection: close\r\n\r\n")?;
    Ok(stream.write_all(&output.stdout[end + 4..])?)
}

/// Runs git in a folder, as somebody, at a time of its own.
pub fn run_git(folder: &Path, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new("git");
    command.args(["-c", "init.defaultBranch=main", "-c", "protocol.file.allow=always"]).args(arguments);
    for who in ["AUTHOR", "COMMITTER"] {
        command
            .env(format!("GIT_{who}_NAME"), "Somebody")
            .env(format!("GIT_{who}_EMAIL"), "some@body.example");
        command.env(format!("GIT_{who}_DATE"), "1500000000 +0000");
    }
    command.env("GIT_CONFIG_NOSYSTEM", "1").env("HOME", folder).current_dir(folder);
    crate::process::output(&mut command)
}

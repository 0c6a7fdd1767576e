//! As much HTTP as loopback needs: single requests, and a proxy that spoils chosen answers.

use std::io::{BufReader, Read, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

/// An answer, all of it.
#[derive(Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// A header's value; names are lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// Gets a path; manifests of every kind are accepted.
pub fn get(address: &str, path: &str) -> Result<Response> {
    send(address, "GET", path, "", &[])
}

/// Puts a document.
pub fn put(address: &str, path: &str, media_type: &str, body: &[u8]) -> Result<Response> {
    send(address, "PUT", path, &format!("Content-Type: {media_type}\r\n"), body)
}

const ACCEPT: &str = "Accept: application/vnd.oci.image.manifest.v1+json, \
    application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.v2+json, \
    application/vnd.docker.distribution.manifest.list.v2+json\r\n";

fn send(address: &str, method: &str, path: &str, headers: &str, body: &[u8]) -> Result<Response> {
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\n{ACCEPT}{headers}Content-Length: {length}\r\n\
         Connection: close\r\n\r\n"
    );
    forward(address, method, &head, body)
}

/// Sends a request that says `Connection: close`, and reads the answer to its end.
fn forward(address: &str, method: &str, head: &str, body: &[u8]) -> Result<Response> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    let mut reader = BufReader::new(stream);
    let (line, headers) = read_head(&mut reader)?;
    let status = line.split(' ').nth(1).context("no status")?.parse()?;
    let mut response = Response { status, headers, body: Vec::new() };
    if method != "HEAD" {
        match response.header("transfer-encoding") {
            Some("chunked") => response.body = read_chunks(&mut reader)?,
            _ => drop(reader.read_to_end(&mut response.body)?),
        }
    }
    Ok(response)
}

/// The first line and the headers, up to the empty line.
fn read_head(reader: &mut impl std::io::BufRead) -> Result<(String, Vec<(String, String)>)> {
    let mut first = String::new();
    ensure!(reader.read_line(&mut first)? > 0, "the connection ended");
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        ensure!(reader.read_line(&mut line)? > 0, "the connection ended in the headers");
        match line.trim_end().split_once(':') {
            Some((name, value)) => headers.push((name.to_lowercase(), value.trim().to_owned())),
            None => return Ok((first.trim_end().to_owned(), headers)),
        }
    }
}

fn read_chunks(reader: &mut impl std::io::BufRead) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let size = u64::from_str_radix(line.trim(), 16).context("a chunk's size")?;
        std::io::copy(&mut reader.take(size), &mut body)?;
        reader.read_line(&mut String::new())?;
        if size == 0 {
            return Ok(body);
        }
    }
}

/// What is to go wrong with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Half of the body comes, then the connection ends.
    Truncate,
    /// The last byte is another one.
    Corrupt,
    /// The body is no JSON.
    Malformed,
    /// 401, with a challenge for a user name and a password.
    Unauthorized,
}

/// A proxy before a registry on loopback that spoils answers.
#[derive(Debug)]
pub struct Proxy {
    /// `127.0.0.1:PORT`
    pub address: String,
    stop: Arc<AtomicBool>,
}

impl Proxy {
    /// Starts a proxy; `fault` says by method and path what is to go wrong.
    pub fn start(
        upstream: &str,
        fault: impl Fn(&str, &str) -> Option<Fault> + Send + Sync + 'static,
    ) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?.to_string();
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, upstream, fault) = (stop.clone(), upstream.to_owned(), Arc::new(fault));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let (upstream, fault) = (upstream.clone(), fault.clone());
                if let Ok(stream) = stream {
                    // A client that goes away in the middle is none of the proxy's concern.
                    std::thread::spawn(move || serve(stream, &upstream, &*fault).ok());
                }
            }
        });
        Ok(Self { address, stop })
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes the thread that waits for a connection, so that it sees the flag.
        TcpStream::connect(&self.address).ok();
    }
}

/// Answers one request and closes the connection.
fn serve(stream: TcpStream, upstream: &str, fault: &dyn Fn(&str, &str) -> Option<Fault>) -> Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (line, headers) = read_head(&mut reader)?;
    let mut words = line.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let header = |name: &str| headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let body = match header("content-length") {
        Some(length) => {
            let mut body = vec![0; length.parse()?];
            reader.read_exact(&mut body)?;
            body
        }
        None if header("transfer-encoding") == Some("chunked") => read_chunks(&mut reader)?,
        None => Vec::new(),
    };

    let fault = fault(method, path);
    if fault == Some(Fault::Unauthorized) {
        let challenge = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"test\"\r\n\
            Content-Length: 0\r\nConnection: close\r\n\r\n";
        return Ok((&stream).write_all(challenge.as_bytes())?);
    }
    let mut head = format!("{line}\r\n");
    for (name, value) in &headers {
        let ours = matches!(name.as_str(), "connection" | "transfer-encoding" | "content-length" | "expect");
        if !ours {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    head.push_str(&format!("content-length: {}\r\nconnection: close\r\n\r\n", body.len()));
    let mut response = forward(upstream, method, &head, &body)?;

    let mut shown = response.body.len();
    match fault {
        Some(Fault::Corrupt) => {
            if let Some(last) = response.body.last_mut() {
                *last = !*last;
            }
        }
        Some(Fault::Malformed) => {
            response.body = b"{\"schemaVersion\": 2, \"layers\": nothing}".to_vec();
            shown = response.body.len();
        }
        Some(Fault::Truncate) => shown /= 2,
        Some(Fault::Unauthorized) | None => {}
    }
    let mut head = format!("HTTP/1.1 {} Proxied\r\n", response.status);
    for (name, value) in &response.headers {
        // The malformed document would else be caught by its digest, and not by its contents.
        let spoiled = fault == Some(Fault::Malformed) && name == "docker-content-digest";
        let ours = matches!(name.as_str(), "connection" | "transfer-encoding" | "content-length");
        if !ours && !spoiled {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    let length = match (method, response.header("content-length")) {
        ("HEAD", Some(length)) => length.to_owned(),
        _ => response.body.len().to_string(),
    };
    head.push_str(&format!("content-length: {length}\r\nconnection: close\r\n\r\n"));
    (&stream).write_all(head.as_bytes())?;
    (&stream).write_all(&response.body[..shown])?;
    Ok(())
}

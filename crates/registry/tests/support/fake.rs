//! A server that answers as a function says, and can break off wherever the function wants.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// A server; its threads end with the process.
pub struct Fake {
    pub address: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    left: Arc<AtomicUsize>,
}

/// A request, without its body.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: String,
    /// With the query.
    pub path: String,
    /// By name in lower case.
    pub headers: BTreeMap<String, String>,
    /// How many requests with this method and path (without its query) came before.
    pub before: usize,
}

impl Seen {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// `GET /v2/…`, without the query.
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.path.split('?').next().unwrap())
    }

    /// First byte of a `Range: bytes=n-`.
    pub fn range(&self) -> Option<usize> {
        self.header("range").strip_prefix("bytes=")?.split('-').next()?.parse().ok()
    }
}

/// The body of a request, to be read as far as wanted.
pub struct Body<'a> {
    from: &'a mut BufReader<TcpStream>,
    left: usize,
}

impl Body<'_> {
    /// As much as comes, up to a limit.
    pub fn read(&mut self, limit: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.from.take(self.left.min(limit) as u64).read_to_end(&mut bytes).unwrap_or_default();
        self.left -= bytes.len();
        bytes
    }

    /// False if the client has hung up.
    pub fn is_complete(&self) -> bool {
        self.left == 0
    }

    pub fn all(&mut self) -> Vec<u8> {
        self.read(usize::MAX)
    }
}

/// An answer.
#[derive(Default, Clone)]
pub struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// The length announced, if not that of the body; the connection ends after the body then.
    announced: Option<usize>,
    /// No length is announced: the end of the connection is the end of the body.
    unannounced: bool,
    /// After the body, nothing happens any more.
    open: bool,
}

impl Reply {
    pub fn new(status: u16) -> Self {
        Reply { status, ..Reply::default() }
    }

    /// No answer at all: the connection ends.
    pub fn hang_up() -> Self {
        Reply::default()
    }

    /// No answer, and nothing more is read.
    pub fn stuck() -> Self {
        Reply { open: true, ..Reply::default() }
    }

    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// True for a 200 that says nothing yet.
    pub fn is_empty_success(&self) -> bool {
        self.status == 200 && self.body.is_empty()
    }

    pub fn truncated(mut self, length: usize) -> Self {
        self.body.truncate(length);
        self
    }

    pub fn unannounced(mut self) -> Self {
        self.unannounced = true;
        self
    }

    pub fn keeping_open(mut self) -> Self {
        self.open = true;
        self
    }

    pub fn announcing(mut self, length: usize) -> Self {
        self.announced = Some(length);
        self
    }
}

impl Fake {
    pub fn start(answer: impl Fn(&Seen, &mut Body<'_>) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let left = Arc::new(AtomicUsize::new(0));
        let (log, count, answer) = (Arc::clone(&seen), Arc::clone(&left), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, count, answer) = (Arc::clone(&log), Arc::clone(&count), Arc::clone(&answer));
                std::thread::spawn(move || serve(stream, &log, &count, &*answer));
            }
        });
        Fake { address, seen, left }
    }

    /// How many answers that were kept open were left by the client.
    pub fn left(&self) -> usize {
        self.left.load(Ordering::SeqCst)
    }

    /// What was asked so far, but for the client's finding out which scheme is spoken.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().iter().filter(|seen| seen.path != "/v2/").cloned().collect()
    }

    pub fn lines(&self) -> Vec<String> {
        self.seen().iter().map(Seen::line).collect()
    }
}

fn serve(
    stream: TcpStream,
    log: &Mutex<Vec<Seen>>,
    left_by_client: &AtomicUsize,
    answer: &(dyn Fn(&Seen, &mut Body<'_>) -> Reply + Send + Sync),
) {
    let mut writer = stream.try_clone().unwrap();
    let mut reader = BufReader::new(stream);
    while let Some(mut seen) = head(&mut reader) {
        {
            let mut log = log.lock().unwrap();
            seen.before = log.iter().filter(|earlier| earlier.line() == seen.line()).count();
            log.push(seen.clone());
        }
        let left = seen.header("content-length").parse().unwrap_or(0);
        let mut body = Body { from: &mut reader, left };
        let reply = answer(&seen, &mut body);
        let unread = body.left;
        if reply.status == 0 {
            if reply.open {
                loop {
                    std::thread::park();
                }
            }
            return;
        }
        let length = reply.announced.unwrap_or(reply.body.len());
        let mut text = format!("HTTP/1.1 {} X\r\n", reply.status);
        for (name, value) in &reply.headers {
            text += &format!("{name}: {value}\r\n");
        }
        if reply.unannounced {
            text += "connection: close\r\n";
        } else if reply.status != 204 {
            text += &format!("content-length: {length}\r\n");
        }
        text += "\r\n";
        let _ = writer.write_all(text.as_bytes());
        if seen.method != "HEAD" {
            let _ = writer.write_all(&reply.body);
            if reply.open {
                // Until the client has had enough.
                let _ = std::io::copy(&mut reader, &mut std::io::sink());
                left_by_client.fetch_add(1, Ordering::SeqCst);
            }
            if reply.open || reply.unannounced || length != reply.body.len() {
                return;
            }
        }
        if unread > 0 {
            // What the client still sends is taken, or the kernel would reset the connection under the answer.
            let _ = writer.shutdown(std::net::Shutdown::Write);
            let _ = std::io::copy(&mut reader, &mut std::io::sink());
            return;
        }
    }
}

/// The head of a request; nothing at the end, or if it is not HTTP.
fn head(reader: &mut BufReader<TcpStream>) -> Option<Seen> {
    // TLS begins with a handshake record. Most servers answer it in the language they speak.
    if reader.fill_buf().ok()?.first()? == &0x16 {
        reader.get_mut().write_all(b"HTTP/1.0 400 Bad Request\r\n\r\n").ok()?;
        return None;
    }
    let mut line = || {
        let mut line = String::new();
        let length = reader.read_line(&mut line).ok()?;
        (length > 0).then(|| line.trim_end().to_owned())
    };
    let first = line()?;
    let mut words = first.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let line = line()?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    Some(Seen { method, path, headers, before: 0 })
}

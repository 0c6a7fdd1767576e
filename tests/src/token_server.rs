//! A token service for the reference registry, as its documentation has it
//! (<https://distribution.github.io/distribution/spec/auth/jwt/>): tokens are signed with an authority's key.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};

use crate::authority::{Authority, Pair};
use crate::process::output;

/// A running token service; it ends with the tests. It knows two users by their `Authorization`: one who may do
/// everything, and one who may only pull. Nobody else gets a token.
#[derive(Debug)]
pub struct TokenServer {
    /// `http://127.0.0.1:PORT/token`
    pub realm: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl TokenServer {
    /// Starts one for a writer and a reader, each the value of an `Authorization`.
    pub fn start(authority: &Authority, writer: &str, reader: &str) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let realm = format!("http://{}/token", listener.local_addr()?);
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (log, pair) = (asked.clone(), authority.own());
        let (writer, reader) = (writer.to_owned(), reader.to_owned());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // Who hangs up early is judged by its own test.
                drop(serve(&stream, &pair, &log, &writer, &reader));
            }
        });
        Ok(Self { realm, asked })
    }

    /// The scopes that were asked for so far, in order.
    #[must_use]
    pub fn scopes(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn serve(
    mut stream: &TcpStream,
    pair: &Pair,
    log: &Mutex<Vec<String>>,
    writer: &str,
    reader: &str,
) -> Result<()> {
    let mut lines = BufReader::new(stream).lines().map_while(std::io::Result::ok);
    let first = lines.next().context("no request")?;
    let headers: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let sent = headers.iter().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("authorization").then_some(value)
    });
    let query = first.split(' ').nth(1).and_then(|path| path.split_once('?')).context("no query")?.1;
    let parameter = |name: &str| {
        let text = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        text.unwrap_or_default().replace("%3A", ":").replace("%2F", "/").replace("%2C", ",").replace('+', " ")
    };
    let scope = parameter("scope");
    log.lock().unwrap_or_else(PoisonError::into_inner).push(scope.clone());
    let may: &[&str] = match sent {
        Some(sent) if sent == writer => &["pull", "push"],
        Some(sent) if sent == reader => &["pull"],
        _ => &[],
    };
    let (status, body) = if may.is_empty() {
        let error = serde_json::json!({"errors": [{"code": "UNAUTHORIZED", "message": "nobody we know"}]});
        ("401 Unauthorized", error)
    } else {
        ("200 OK", serde_json::json!({"token": token(pair, &parameter("service"), &scope, may)?}))
    };
    let body = body.to_string();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )?;
    Ok(())
}

/// A token for what of the scope is allowed.
fn token(pair: &Pair, service: &str, scope: &str, may: &[&str]) -> Result<String> {
    let access: Vec<_> = scope
        .split(' ')
        .filter_map(|scope| scope.strip_prefix("repository:")?.rsplit_once(':'))
        .map(|(name, actions)| {
            let actions: Vec<&str> = actions.split(',').filter(|action| may.contains(action)).collect();
            serde_json::json!({"type": "repository", "name": name, "actions": actions})
        })
        .collect();
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let pem = fs::read_to_string(&pair.certificate)?;
    let certificate: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let header = serde_json::json!({"typ": "JWT", "alg": "RS256", "x5c": [certificate]});
    let claims = serde_json::json!({
        "iss": "test", "sub": "somebody", "aud": service, "jti": "1",
        "iat": now, "nbf": now - 60, "exp": now + 300, "access": access,
    });
    let signed =
        format!("{}.{}", base64url(header.to_string().as_bytes()), base64url(claims.to_string().as_bytes()));
    let folder = tempfile::tempdir()?;
    let (text, signature) = (folder.path().join("text"), folder.path().join("signature"));
    fs::write(&text, &signed)?;
    let mut sign = Command::new("openssl");
    output(sign.args(["dgst", "-sha256", "-sign"]).arg(&pair.key).arg("-out").arg(&signature).arg(text))?;
    Ok(format!("{signed}.{}", base64url(&fs::read(signature)?)))
}

/// RFC 4648, section 5, without padding.
fn base64url(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for part in bytes.chunks(3) {
        let value =
            part.iter().fold(0, |value, byte| (value << 8) | usize::from(*byte)) << (8 * (3 - part.len()));
        for digit in 0..=part.len() {
            text.push(char::from(DIGITS[(value >> (18 - 6 * digit)) & 63]));
        }
    }
    text
}

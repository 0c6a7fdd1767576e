//! A proxy on loopback that counts what passes through it.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;

/// Hands every connection on to a server, until this program ends.
pub(crate) struct Proxy {
    /// `127.0.0.1:PORT`
    pub(crate) address: String,
    bytes: Arc<AtomicU64>,
}

impl Proxy {
    pub(crate) fn start(server: &str) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?.to_string();
        let bytes = Arc::new(AtomicU64::new(0));
        let (server, counter) = (server.to_owned(), bytes.clone());
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // A server that does not answer is its client's problem.
                let Ok(server) = TcpStream::connect(&server) else { continue };
                let pairs = [(client.try_clone(), server.try_clone()), (Ok(server), Ok(client))];
                for (from, to) in pairs {
                    let (Ok(from), Ok(to)) = (from, to) else { continue };
                    let counter = counter.clone();
                    std::thread::spawn(move || pass(from, to, &counter));
                }
            }
        });
        Ok(Proxy { address, bytes })
    }

    /// How many bytes have passed, in either direction.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, counter: &AtomicU64) {
    let mut buffer = [0; 16 << 10];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        counter.fetch_add(read as u64, Ordering::Relaxed);
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    // Whoever has gone away already needs no end.
    let _ = to.shutdown(Shutdown::Write);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_counted() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Proxy::start(&server.local_addr().unwrap().to_string()).unwrap();
        let mut client = TcpStream::connect(&proxy.address).unwrap();
        client.write_all(b"question").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let (mut connection, _) = server.accept().unwrap();
        let mut asked = String::new();
        connection.read_to_string(&mut asked).unwrap();
        connection.write_all(b"answer").unwrap();
        drop(connection);
        let mut answered = String::new();
        client.read_to_string(&mut answered).unwrap();
        assert_eq!((asked.as_str(), answered.as_str(), proxy.bytes()), ("question", "answer", 14));
    }
}

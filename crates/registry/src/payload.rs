//! Payloads: what a request carries, so that it can be sent again from its beginning.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::stream;
use oci::{Descriptor, Reference};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio::time::Instant;

use crate::client::Client;
use crate::download::BlobReader;
use crate::error::{Error, ErrorKind, Result};
use crate::options::Direction;

/// What is held of a blob at a time.
const PIECE: usize = 128 << 10;

/// Where the bytes of a blob are, to be read as often as needed.
#[derive(Debug, Clone)]
pub enum BlobSource {
    /// In memory.
    Bytes(Bytes),
    /// In a file.
    File(PathBuf),
    /// In another repository: mounted from there if it is of the same registry and the registry can, else copied
    /// through us, without a disk.
    Repository(Reference),
}

/// The body of a request.
#[derive(Debug, Clone)]
pub(crate) enum Payload {
    Empty,
    Document(Bytes),
    Blob(Piece),
}

/// A part of a blob.
#[derive(Debug, Clone)]
pub(crate) struct Piece {
    pub(crate) client: Client,
    pub(crate) source: BlobSource,
    pub(crate) descriptor: Descriptor,
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

impl Payload {
    pub(crate) fn length(&self) -> u64 {
        match self {
            Payload::Empty => 0,
            Payload::Document(bytes) => bytes.len() as u64,
            Payload::Blob(piece) => piece.length,
        }
    }

    /// A body from its beginning, which tells the pulse how far it is.
    pub(crate) fn body(&self, pulse: &Arc<Pulse>) -> Option<reqwest::Body> {
        let piece = match self {
            Payload::Empty => return None,
            Payload::Document(bytes) => return Some(bytes.clone().into()),
            Payload::Blob(piece) => piece.clone(),
        };
        if piece.length > 0 {
            pulse.start();
        }
        let sending = Sending { left: piece.length, opened: None, piece, pulse: Arc::clone(pulse) };
        Some(reqwest::Body::wrap_stream(stream::try_unfold(sending, |mut sending| async move {
            match sending.next().await {
                Ok(Some(bytes)) => Ok(Some((bytes, sending))),
                Ok(None) => Ok(None),
                Err(error) => {
                    let text = error.to_string();
                    sending.pulse.fail(error);
                    Err(std::io::Error::other(text))
                }
            }
        })))
    }
}

/// A payload on its way.
struct Sending {
    piece: Piece,
    opened: Option<Opened>,
    left: u64,
    pulse: Arc<Pulse>,
}

enum Opened {
    Bytes(Bytes),
    File(tokio::fs::File),
    Remote(Box<BlobReader>),
}

impl Sending {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        if self.left == 0 {
            return Ok(None);
        }
        let opened = match &mut self.opened {
            Some(opened) => opened,
            closed => closed.insert(self.piece.open().await?),
        };
        let length = PIECE.min(usize::try_from(self.left).unwrap_or(PIECE));
        let bytes = match opened {
            Opened::Bytes(rest) => rest.split_to(length.min(rest.len())),
            Opened::File(file) => {
                let mut buffer = BytesMut::with_capacity(length);
                let read = file.take(self.left).read_buf(&mut buffer).await;
                read.map_err(|error| self.piece.unreadable(&error.to_string()))?;
                buffer.freeze()
            }
            Opened::Remote(reader) => {
                let bytes = reader.chunk().await?.unwrap_or_default();
                // The last bytes of a copy are sent only if all were the right ones, which the reader tells at its end.
                if bytes.len() as u64 == self.left {
                    reader.chunk().await?;
                }
                bytes
            }
        };
        if bytes.is_empty() {
            return Err(self.piece.unreadable(&format!("it ends {} bytes too early", self.left)));
        }
        self.left = self.left.saturating_sub(bytes.len() as u64);
        // Nobody asks for more than the length that was announced, so that the last bytes are not followed by a `None`.
        if self.left == 0 {
            self.pulse.finish()
        } else {
            self.pulse.beat()
        }
        if let Some(progress) = &self.piece.client.options().progress {
            progress.tell(self.piece.descriptor.digest, Direction::Sent, bytes.len() as u64);
        }
        Ok(Some(bytes))
    }
}

impl Piece {
    async fn open(&self) -> Result<Opened> {
        match &self.source {
            BlobSource::Bytes(bytes) => {
                let from = usize::try_from(self.offset).unwrap_or(usize::MAX).min(bytes.len());
                Ok(Opened::Bytes(bytes.slice(from..)))
            }
            BlobSource::File(path) => {
                let file = open(path, self.offset).await;
                Ok(Opened::File(file.map_err(|error| self.unreadable(&error.to_string()))?))
            }
            BlobSource::Repository(reference) => {
                let range = self.offset..self.offset + self.length;
                let reader = BlobReader::open(&self.client, reference, &self.descriptor, range, None).await?;
                Ok(Opened::Remote(Box::new(reader)))
            }
        }
    }

    fn unreadable(&self, reason: &str) -> Error {
        let digest = self.descriptor.digest;
        let subject = match &self.source {
            BlobSource::Bytes(_) => format!("read blob {digest}"),
            BlobSource::File(path) => format!("read {}", path.display()),
            BlobSource::Repository(reference) => format!("pull {}", reference.at(digest)),
        };
        Error::new(&subject, ErrorKind::Source { reason: reason.to_owned() })
    }
}

async fn open(path: &Path, offset: u64) -> std::io::Result<tokio::fs::File> {
    let mut file = tokio::fs::File::open(path).await?;
    file.seek(std::io::SeekFrom::Start(offset)).await?;
    Ok(file)
}

/// The life of a request as its payload shows it: a long upload is no silence as long as bytes leave.
#[derive(Debug)]
pub(crate) struct Pulse {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    last: Instant,
    sending: bool,
    failure: Option<Error>,
}

impl Pulse {
    pub(crate) fn new() -> Self {
        Pulse { state: Mutex::new(State { last: Instant::now(), sending: false, failure: None }) }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(&self) {
        self.state().sending = true;
    }

    fn beat(&self) {
        self.state().last = Instant::now();
    }

    fn finish(&self) {
        let mut state = self.state();
        state.sending = false;
        state.last = Instant::now();
    }

    fn fail(&self, error: Error) {
        self.state().failure = Some(error);
    }

    /// Why our own side ended the request, if it did.
    pub(crate) fn failure(&self) -> Option<Error> {
        self.state().failure.take()
    }

    /// How long silence is borne now, and the moment at which that is over.
    pub(crate) fn deadline(&self, while_sending: Duration, then: Duration) -> (Duration, Instant) {
        let state = self.state();
        let limit = if state.sending { while_sending } else { then };
        (limit, state.last + limit)
    }
}

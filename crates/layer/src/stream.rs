//! Streams: a blob's uncompressed bytes, made ready by other threads while the caller works on them.
//!
//! One thread reads and inflates, one hashes, and the caller parses and writes: the three cost about the
//! same, and on two cores none of them waits for long. Chunks go round in a circle of bounded length, so
//! memory does not grow with the blob.

use std::io::Read;
use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;

use oci::{DiffId, Hasher};

use crate::ReadError;
use crate::inflate::{self, Format, SourceError};

/// The bytes that go from thread to thread at once.
const CHUNK: usize = 256 * 1024;
/// The chunks in the circle.
const CHUNKS: usize = 6;

/// The next chunk, or why there is none. After the last chunk the channel is closed.
type Message = Result<Vec<u8>, ReadError>;

/// Uncompressed bytes, in order.
#[derive(Debug)]
pub(crate) struct Stream {
    chunks: Receiver<Message>,
    empty: Sender<Vec<u8>>,
    chunk: Vec<u8>,
    /// What of `chunk` was consumed.
    position: usize,
    /// What was consumed in all.
    offset: u64,
}

/// Inflates `source` on a thread of its own while `work` takes the bytes. The second value is the diff id
/// and the length of everything that came, also of what `work` left unread.
///
/// If `work` gives up, the source is dropped once its current read returns.
pub(crate) fn hashed<R>(source: impl Read + Send, work: impl FnOnce(&mut Stream) -> R) -> (R, DiffId, u64) {
    let (inflated, to_hash) = sync_channel(CHUNKS);
    let (hashed, chunks) = sync_channel(CHUNKS);
    let (empty, recycled) = circle();
    thread::scope(|scope| {
        scope.spawn(move || inflate(source, &recycled, &inflated));
        let hashing = scope.spawn(move || hash(&to_hash, &hashed));
        let mut stream = Stream::new(chunks, empty);
        let result = work(&mut stream);
        drop(stream);
        let (diff_id, size) = hashing.join().unwrap_or_else(|panic| resume_unwind(panic));
        (result, diff_id, size)
    })
}

/// Inflates `source` on a thread of its own while `work` takes the bytes.
pub(crate) fn plain<R>(source: impl Read + Send, work: impl FnOnce(&mut Stream) -> R) -> R {
    let (inflated, chunks) = sync_channel(CHUNKS);
    let (empty, recycled) = circle();
    thread::scope(|scope| {
        scope.spawn(move || inflate(source, &recycled, &inflated));
        work(&mut Stream::new(chunks, empty))
    })
}

fn circle() -> (Sender<Vec<u8>>, Receiver<Vec<u8>>) {
    let (empty, recycled) = channel();
    // One less: the stream starts with an empty one of its own, which joins them.
    for _ in 1..CHUNKS {
        // The receiver is at hand, so this cannot fail.
        let _ = empty.send(Vec::new());
    }
    (empty, recycled)
}

/// Fills chunks until the source ends, fails, or nobody wants them any more.
fn inflate(source: impl Read, recycled: &Receiver<Vec<u8>>, inflated: &SyncSender<Message>) {
    let mut format = Format::Plain;
    let fill = || -> std::io::Result<()> {
        let (found, mut reader) = inflate::open(source)?;
        format = found;
        while let Ok(mut chunk) = recycled.recv() {
            chunk.resize(CHUNK, 0);
            let mut length = 0;
            let end = loop {
                match reader.read(&mut chunk[length..]) {
                    Ok(0) => break Some(Ok(())),
                    Ok(more) => length += more,
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    Err(error) => break Some(Err(error)),
                }
                if length == CHUNK {
                    break None;
                }
            };
            chunk.truncate(length);
            if length > 0 && inflated.send(Ok(chunk)).is_err() {
                return Ok(());
            }
            if let Some(end) = end {
                return end;
            }
        }
        Ok(())
    };
    if let Err(error) = fill() {
        let error = match error.downcast::<SourceError>() {
            Ok(SourceError(error)) => ReadError::Source(error),
            Err(source) => ReadError::Compression { format: format.name(), source },
        };
        // Whoever has left does not want to know.
        let _ = inflated.send(Err(error));
    }
}

/// Hashes chunks on their way. Once nobody wants them any more, the result means nothing.
fn hash(inflated: &Receiver<Message>, hashed: &SyncSender<Message>) -> (DiffId, u64) {
    let mut hasher = Hasher::new();
    let mut size = 0;
    for message in inflated {
        if let Ok(chunk) = &message {
            hasher.update(chunk);
            size += chunk.len() as u64;
        }
        if hashed.send(message).is_err() {
            break;
        }
    }
    (DiffId(hasher.finish()), size)
}

impl Stream {
    fn new(chunks: Receiver<Message>, empty: Sender<Vec<u8>>) -> Self {
        Stream { chunks, empty, chunk: Vec::new(), position: 0, offset: 0 }
    }

    /// Some bytes that were not consumed yet; none at the end.
    pub(crate) fn fill(&mut self) -> Result<&[u8], ReadError> {
        while self.position == self.chunk.len() {
            match self.chunks.recv() {
                Ok(message) => {
                    // The inflating thread may have ended already.
                    let _ = self.empty.send(std::mem::replace(&mut self.chunk, message?));
                    self.position = 0;
                }
                Err(_) => break,
            }
        }
        Ok(&self.chunk[self.position..])
    }

    /// Takes `length` of the bytes that [`Stream::fill`] returned.
    pub(crate) fn consume(&mut self, length: usize) {
        self.position += length;
        self.offset += length as u64;
    }

    /// The number of bytes consumed.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }
}

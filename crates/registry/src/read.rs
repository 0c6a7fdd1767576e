//! A download as a [`std::io::Read`], for threads that inflate.

use std::io::{self, Read};

use bytes::Bytes;
use oci::{Descriptor, Reference};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::client::Client;
use crate::error::{Error, ErrorKind, Result};

/// Chunks between the network and the thread that reads.
const CHUNKS: usize = 4;

/// A blob that a thread reads while it is downloaded. Its end (`Ok(0)`) comes only if all bytes came and were the
/// right ones. [`Error::of_io`] tells a corrupt blob from a dead network. Dropping it ends the download.
#[derive(Debug)]
pub struct BlobRead {
    chunks: mpsc::Receiver<Result<Option<Bytes>>>,
    rest: Bytes,
    state: State,
    subject: String,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Reading,
    Verified,
    Failed,
}

impl Client {
    /// Begins a download, driven by `runtime`, to be read on a thread that may block: reading inside an async task
    /// panics, as every blocking call of tokio does.
    #[must_use]
    pub fn blob_to_reader(
        &self,
        runtime: &Handle,
        reference: &Reference,
        descriptor: &Descriptor,
    ) -> BlobRead {
        let (sender, chunks) = mpsc::channel(CHUNKS);
        let subject = format!("pull {}", reference.at(descriptor.digest));
        let (client, reference, descriptor) = (self.clone(), reference.clone(), descriptor.clone());
        runtime.spawn(async move {
            let pump = async {
                let mut reader = match client.blob(&reference, &descriptor).await {
                    Ok(reader) => reader,
                    Err(error) => return drop(sender.send(Err(error)).await),
                };
                loop {
                    let chunk = reader.chunk().await;
                    let is_last = !matches!(chunk, Ok(Some(_)));
                    if sender.send(chunk).await.is_err() || is_last {
                        return;
                    }
                }
            };
            tokio::select! {
                () = pump => {}
                () = sender.closed() => {}
            }
        });
        BlobRead { chunks, rest: Bytes::new(), state: State::Reading, subject }
    }
}

impl BlobRead {
    /// Reads what is left, so that the blob is verified even if its format ended before its bytes did.
    pub fn finish(mut self) -> Result<()> {
        while self.next()? {}
        Ok(())
    }

    /// Fetches the next chunk; false at the end.
    fn next(&mut self) -> Result<bool> {
        match self.state {
            State::Verified => return Ok(false),
            State::Failed => return Err(self.gone("the download has failed before")),
            State::Reading => {}
        }
        match self.chunks.blocking_recv() {
            Some(Ok(Some(bytes))) => self.rest = bytes,
            Some(Ok(None)) => self.state = State::Verified,
            Some(Err(error)) => {
                self.state = State::Failed;
                return Err(error);
            }
            None => {
                self.state = State::Failed;
                return Err(self.gone("the download was cancelled"));
            }
        }
        Ok(self.state == State::Reading)
    }

    fn gone(&self, reason: &str) -> Error {
        Error::new(&self.subject, ErrorKind::Source { reason: reason.to_owned() })
    }
}

impl Read for BlobRead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        while self.rest.is_empty() {
            if !self.next().map_err(Error::into_io)? {
                return Ok(0);
            }
        }
        let length = buffer.len().min(self.rest.len());
        buffer[..length].copy_from_slice(&self.rest.split_to(length));
        Ok(length)
    }
}

//! Downloads: the bytes of a blob, as they come, verified at their end.
//!
//! A connection that breaks is taken up again where it broke. What was handed out is never taken back, so a consumer
//! must not rely on it before the end has been reached without an error.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, stream};
use oci::{Descriptor, Hasher, Reference};
use reqwest::header::{CONTENT_RANGE, HeaderMap, RANGE};
use reqwest::{Method, Response, StatusCode};
use tokio::sync::OwnedSemaphorePermit;
use transport::{Backoff, Failure};

use crate::call::{Call, Redirects};
use crate::client::Client;
use crate::endpoint::Endpoint;
use crate::error::{Error, ErrorKind, Result};
use crate::options::{Access, Direction};

/// As much progress makes a later break a first one. Less does not, or a registry could hold us with a byte at a time.
const PROGRESS: u64 = 1 << 20;

/// A blob on its way to us. Dropping it ends the download.
#[derive(Debug)]
pub struct BlobReader {
    client: Client,
    endpoint: Arc<Endpoint>,
    repository: String,
    descriptor: Descriptor,
    subject: String,
    response: Option<Response>,
    /// Bytes that come before those we want, because the registry ignores ranges.
    skip: u64,
    /// What was handed out ends here.
    offset: u64,
    end: u64,
    /// The offset at the last break.
    broken_at: u64,
    /// None if not the whole blob is read.
    hasher: Option<Hasher>,
    backoff: Backoff,
    _place: Option<OwnedSemaphorePermit>,
}

impl Client {
    /// Begins the download of a blob, once there is a place for it among the transfers.
    ///
    /// The place is held until the reader is dropped: whoever holds many readers at once must read from all of them.
    pub async fn blob(&self, reference: &Reference, descriptor: &Descriptor) -> Result<BlobReader> {
        let place = self.place(&subject(reference, descriptor)).await?;
        BlobReader::open(self, reference, descriptor, 0..descriptor.size, Some(place)).await
    }

    /// A whole small blob.
    pub async fn blob_bytes(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
        limit: u64,
    ) -> Result<Vec<u8>> {
        if descriptor.size > limit {
            let kind = ErrorKind::TooLarge { what: descriptor.media_type.to_string(), limit };
            return Err(Error::new(&subject(reference, descriptor), kind));
        }
        let mut reader = self.blob(reference, descriptor).await?;
        // Not as large as promised but as large as it comes: the size is the registry's word.
        let mut bytes = Vec::new();
        while let Some(chunk) = reader.chunk().await? {
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }
}

impl BlobReader {
    /// Begins to read a part of a blob. Only the whole can be verified.
    pub(crate) async fn open(
        client: &Client,
        reference: &Reference,
        descriptor: &Descriptor,
        range: Range<u64>,
        place: Option<OwnedSemaphorePermit>,
    ) -> Result<Self> {
        let whole = range == (0..descriptor.size);
        let mut reader = BlobReader {
            client: client.clone(),
            endpoint: client.endpoint(reference.registry(), Access::Pull)?,
            repository: reference.repository().to_owned(),
            descriptor: descriptor.clone(),
            subject: subject(reference, descriptor),
            response: None,
            skip: 0,
            offset: range.start,
            end: range.end,
            broken_at: range.start,
            hasher: whole.then(Hasher::new),
            backoff: Backoff::new(&client.options().retry),
            _place: place,
        };
        reader.connect().await?;
        Ok(reader)
    }

    /// The next bytes. `None` comes only after all of them have, and were the right ones. Cancel-safe.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
        let idle = self.client.options().timeouts.idle;
        loop {
            if self.offset == self.end && (self.response.is_none() || self.hasher.is_none()) {
                self.response = None;
                return self.verify().map(|()| None);
            }
            let Some(response) = &mut self.response else {
                self.connect().await?;
                continue;
            };
            let failure = match tokio::time::timeout(idle, response.chunk()).await {
                Ok(Ok(Some(bytes))) => match self.take(bytes)? {
                    Some(bytes) => return Ok(Some(bytes)),
                    None => continue,
                },
                Ok(Ok(None)) => {
                    Failure::network(format!("it ended after {} of {} bytes", self.offset, self.end))
                }
                Ok(Err(error)) => Failure::of(&error),
                Err(_) => Failure::silence(idle),
            };
            self.response = None;
            if self.offset == self.end {
                continue;
            }
            if self.offset - self.broken_at >= PROGRESS {
                self.backoff.reset();
            }
            self.broken_at = self.offset;
            let Some(delay) = self.backoff.next(None) else {
                return Err(Error::unreachable(&self.subject, &self.endpoint.registry, failure));
            };
            tracing::debug!(subject = self.subject, offset = self.offset, reason = failure.reason, "resume");
            tokio::time::sleep(delay).await;
        }
    }

    /// The same as a stream.
    pub fn into_stream(self) -> impl Stream<Item = Result<Bytes>> + Send {
        stream::try_unfold(self, |mut reader| async move {
            Ok(reader.chunk().await?.map(|bytes| (bytes, reader)))
        })
    }

    /// Asks for what is still missing.
    async fn connect(&mut self) -> Result<()> {
        let path = format!("{}/blobs/{}", self.repository, self.descriptor.digest);
        let mut call = Call::new(&self.endpoint, &self.subject, &self.repository, Method::GET, path);
        call.redirects = Redirects::Any;
        let size = self.descriptor.size;
        if self.offset > 0 || self.end < size {
            call = call.header(RANGE, &format!("bytes={}-{}", self.offset, self.end.saturating_sub(1)))?;
        }
        let response = self.client.execute(&call).await?;
        let differs = |actual: u64| {
            Error::corrupt(&self.subject, format!("it has {actual} bytes where {size} were promised"))
        };
        match response.status() {
            StatusCode::OK => {
                if let Some(actual) = response.content_length()
                    && actual != size
                {
                    return Err(differs(actual));
                }
                self.skip = self.offset;
            }
            StatusCode::PARTIAL_CONTENT => {
                let (first, total) = content_range(response.headers()).ok_or_else(|| {
                    Error::protocol(&self.subject, "a part of the blob without a valid Content-Range")
                })?;
                if let Some(actual) = total
                    && actual != size
                {
                    return Err(differs(actual));
                }
                if first != self.offset {
                    let reason =
                        format!("the part from byte {} was asked for, that from {first} came", self.offset);
                    return Err(Error::protocol(&self.subject, reason));
                }
                self.skip = 0;
            }
            StatusCode::RANGE_NOT_SATISFIABLE => {
                return Err(Error::corrupt(
                    &self.subject,
                    format!("it ends before byte {} of {size}", self.offset),
                ));
            }
            _ => return Err(self.client.refusal(&call, response).await),
        }
        self.response = Some(response);
        Ok(())
    }

    /// Takes bytes as they came, and returns those that were wanted.
    fn take(&mut self, mut bytes: Bytes) -> Result<Option<Bytes>> {
        let known = usize::try_from(self.skip).unwrap_or(usize::MAX).min(bytes.len());
        self.skip -= known as u64;
        drop(bytes.split_to(known));
        let wanted = self.end - self.offset;
        if bytes.len() as u64 > wanted {
            if let Some(hasher) = &mut self.hasher {
                // So that it stays wrong, whoever goes on reading after the error.
                hasher.update(&bytes);
                let reason = format!("it has more than the promised {} bytes", self.descriptor.size);
                return Err(Error::corrupt(&self.subject, reason));
            }
            bytes.truncate(usize::try_from(wanted).unwrap_or(usize::MAX));
        }
        if bytes.is_empty() {
            return Ok(None);
        }
        self.offset += bytes.len() as u64;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&bytes);
        }
        if let Some(progress) = &self.client.options().progress {
            progress.tell(self.descriptor.digest, Direction::Received, bytes.len() as u64);
        }
        Ok(Some(bytes))
    }

    fn verify(&self) -> Result<()> {
        match self.hasher.clone().map(Hasher::finish) {
            Some(digest) if digest != self.descriptor.digest => {
                Err(Error::corrupt(&self.subject, format!("the bytes sent are {digest}")))
            }
            _ => Ok(()),
        }
    }
}

fn subject(reference: &Reference, descriptor: &Descriptor) -> String {
    format!("pull {}", reference.at(descriptor.digest))
}

/// First byte and total of `Content-Range: bytes first-last/total`.
fn content_range(headers: &HeaderMap) -> Option<(u64, Option<u64>)> {
    let text = headers.get(CONTENT_RANGE)?.to_str().ok()?;
    let (range, total) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, _) = range.split_once('-')?;
    let total = if total == "*" { None } else { Some(total.trim().parse().ok()?) };
    Some((first.trim().parse().ok()?, total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges() {
        for (value, expected) in [
            ("bytes 5-9/10", Some((5, Some(10)))),
            ("bytes 0-0/*", Some((0, None))),
            ("bytes */10", None),
            ("bytes 5-9", None),
            ("items 5-9/10", None),
        ] {
            let headers = HeaderMap::from_iter([(CONTENT_RANGE, value.parse().unwrap())]);
            assert_eq!(content_range(&headers), expected, "{value}");
        }
    }
}

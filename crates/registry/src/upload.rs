//! Uploads: a blob to where it belongs, by the cheapest way there is.
//!
//! It may be there already; the registry may have it in another repository and mount it; else its bytes are sent, in
//! one request if possible, and in chunks where a registry or a proxy before it limits requests or the network breaks.

use std::sync::Arc;
use std::time::SystemTime;

use oci::{Descriptor, Reference};
use reqwest::header::{CONTENT_RANGE, CONTENT_TYPE, HeaderMap, HeaderValue, RANGE};
use reqwest::{Method, Response, StatusCode, Url};

use crate::call::{Address, Call, Redirects, location, pull_scope};
use crate::client::Client;
use crate::endpoint::Endpoint;
use crate::error::{Error, ErrorKind, Result};
use crate::manifest::content_digest;
use crate::options::{Access, UploadMethod};
use crate::payload::{BlobSource, Payload, Piece};
use transport::{Backoff, retry_after, same_origin};

/// What a chunk has when the registry does not name a number.
const CHUNK: u64 = 8 << 20;

/// What a chunk has at least when a proxy finds chunks too large.
const SMALLEST_CHUNK: u64 = 256 << 10;

/// Repositories that a mount is tried from.
const MOUNTS: usize = 3;

/// Whole uploads that may break before chunks are tried.
const BREAKS: u32 = 2;

/// What became of a blob that was to be pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pushed {
    /// It was there.
    Existed,
    /// The registry took it from this repository of its own.
    Mounted {
        /// Which one.
        from: String,
    },
    /// It was sent.
    Uploaded {
        /// Its size in bytes.
        bytes: u64,
    },
}

/// Where the next bytes of an upload go.
#[derive(Debug)]
struct Session {
    url: Url,
    /// `OCI-Chunk-Min-Length`.
    smallest: u64,
}

enum Mount {
    Done(String),
    Session(Option<Session>),
}

struct Upload<'a> {
    client: &'a Client,
    endpoint: Arc<Endpoint>,
    repository: &'a str,
    descriptor: &'a Descriptor,
    source: &'a BlobSource,
    subject: String,
}

impl Client {
    /// Brings a blob into the reference's repository.
    ///
    /// `mount_from` are repositories where the registry may have it too; those of other registries are passed over.
    pub async fn push_blob(
        &self,
        to: &Reference,
        descriptor: &Descriptor,
        source: &BlobSource,
        mount_from: &[Reference],
    ) -> Result<Pushed> {
        let subject = format!("push {}", to.at(descriptor.digest));
        let upload = Upload {
            client: self,
            endpoint: self.endpoint(to.registry(), Access::Push)?,
            repository: to.repository(),
            descriptor,
            source,
            subject,
        };
        // A question is no transfer: all of an image's may be asked at once.
        if upload.exists().await? {
            return Ok(Pushed::Existed);
        }
        let _place = self.place(&upload.subject).await?;
        let mut candidates: Vec<&str> = Vec::new();
        let own = match source {
            BlobSource::Repository(reference) => Some(reference),
            BlobSource::Bytes(_) | BlobSource::File(_) => None,
        };
        for from in own.into_iter().chain(mount_from) {
            let name = from.repository();
            if from.registry() == to.registry() && name != to.repository() && !candidates.contains(&name) {
                candidates.push(name);
            }
        }
        candidates.truncate(MOUNTS);
        match upload.mount(&candidates).await? {
            Mount::Done(from) => Ok(Pushed::Mounted { from }),
            Mount::Session(session) => upload.send(session).await,
        }
    }

    /// Copies a blob from one repository to another, of the same registry or not, through memory at most.
    pub async fn copy_blob(
        &self,
        from: &Reference,
        to: &Reference,
        descriptor: &Descriptor,
    ) -> Result<Pushed> {
        self.push_blob(to, descriptor, &BlobSource::Repository(from.clone()), &[]).await
    }

    /// Finds out whether we may push, by beginning an upload and cancelling it.
    pub async fn check_push(&self, to: &Reference) -> Result<()> {
        let subject = format!("check that we may push to {}", to.name());
        let endpoint = self.endpoint(to.registry(), Access::Push)?;
        let call = Call::new(&endpoint, &subject, to.repository(), Method::POST, uploads(to.repository()));
        let response = self.expect(&call, &[StatusCode::ACCEPTED, StatusCode::CREATED]).await?;
        let session = Session::of(&call, &response).await?;
        session.cancel(self, &call).await;
        Ok(())
    }
}

impl Upload<'_> {
    fn call(&self, method: Method, address: Address) -> Call<'_> {
        let mut call = Call::new(&self.endpoint, &self.subject, self.repository, method, "");
        call.scopes = vec![crate::call::push_scope(self.repository)];
        call.address = address;
        call
    }

    /// True if the repository has the blob.
    async fn exists(&self) -> Result<bool> {
        let path = format!("{}/blobs/{}", self.repository, self.descriptor.digest);
        let mut call = self.call(Method::HEAD, Address::Path(path));
        call.redirects = Redirects::Any;
        let response = self.client.execute(&call).await?;
        let base = self.endpoint.base(&self.subject).await?;
        match response.status().as_u16() {
            200..=299 => Ok(true),
            403 | 500.. if same_origin(response.url(), base) => {
                Err(self.client.refusal(&call, response).await)
            }
            // A store behind a redirect may have signed for GET alone, and a registry may know no HEAD: then sending
            // the blob finds out.
            _ => Ok(false),
        }
    }

    /// Tries to have the blob taken over from another repository. What is refused is no error, only more work.
    async fn mount(&self, candidates: &[&str]) -> Result<Mount> {
        let mut session: Option<Session> = None;
        for &from in candidates {
            // Both are letters, digits and marks that a query can hold as they are.
            let path = format!("{}?mount={}&from={from}", uploads(self.repository), self.descriptor.digest);
            let mut call = self.call(Method::POST, Address::Path(path));
            call.scopes.push(pull_scope(from));
            let response = match self.client.execute(&call).await {
                Ok(response) => response,
                Err(error) if matches!(error.kind, ErrorKind::Unauthorized { .. }) => continue,
                Err(error) => return Err(error),
            };
            match response.status() {
                StatusCode::CREATED => {
                    if let Some(unused) = session {
                        unused.cancel(self.client, &call).await;
                    }
                    return Ok(Mount::Done(from.to_owned()));
                }
                StatusCode::ACCEPTED => {
                    let offered = Session::of(&call, &response).await?;
                    if let Some(unused) = session.replace(offered) {
                        unused.cancel(self.client, &call).await;
                    }
                }
                _ => tracing::debug!(subject = self.subject, from, status = %response.status(), "no mount"),
            }
        }
        Ok(Mount::Session(session))
    }

    /// Sends the bytes, from the beginning as often as the policy allows.
    async fn send(&self, mut session: Option<Session>) -> Result<Pushed> {
        let bytes = self.descriptor.size;
        let mut backoff = Backoff::new(&self.client.options().retry);
        let mut chunk = match self.client.options().upload {
            UploadMethod::Whole => None,
            UploadMethod::Chunked(length) => Some(length.max(1)),
        };
        let mut breaks = 0;
        loop {
            let current = match session.take() {
                Some(session) => session,
                None => self.begin().await?,
            };
            let outcome = match chunk {
                None => self.send_whole(&current).await,
                Some(length) => self.send_chunks(current, length).await,
            };
            let error = match outcome {
                Ok(()) => return Ok(Pushed::Uploaded { bytes }),
                Err(error) => error,
            };
            if error.refused_with() == Some(413) && chunk.is_none() {
                chunk = Some(CHUNK.min(bytes / 2).max(SMALLEST_CHUNK));
                continue;
            }
            // Where the bytes come from has been tried again already.
            if error.subject != self.subject {
                return Err(error);
            }
            // A session that is gone, or that has other bytes than we think, is replaced by a new one.
            let lost = error.is_not_found() || error.refused_with() == Some(416);
            if !lost && !error.is_transient() {
                return Err(error);
            }
            if matches!(error.kind, ErrorKind::Unreachable { .. }) {
                breaks += 1;
                if breaks >= BREAKS && bytes > CHUNK {
                    chunk.get_or_insert(CHUNK);
                }
            }
            let Some(delay) = backoff.next(error.retry_after) else { return Err(error) };
            tracing::debug!(%error, ?delay, "upload again");
            tokio::time::sleep(delay).await;
            // Perhaps it was only the answer that got lost.
            if self.exists().await? {
                return Ok(Pushed::Uploaded { bytes });
            }
        }
    }

    async fn begin(&self) -> Result<Session> {
        let call = self.call(Method::POST, Address::Path(uploads(self.repository)));
        let response = self.client.expect(&call, &[StatusCode::ACCEPTED]).await?;
        Session::of(&call, &response).await
    }

    async fn send_whole(&self, session: &Session) -> Result<()> {
        let mut call = self.call(Method::PUT, Address::Url(self.closing(&session.url)));
        call.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        call.payload = self.piece(0, self.descriptor.size);
        call.retry = false;
        self.stored(&call).await
    }

    /// Sends chunk after chunk, and where one breaks asks how much of it arrived.
    async fn send_chunks(&self, mut session: Session, length: u64) -> Result<()> {
        let size = self.descriptor.size;
        let mut length = length.max(session.smallest);
        let mut offset = 0;
        let mut backoff = Backoff::new(&self.client.options().retry);
        while offset < size {
            let end = size.min(offset + length);
            let mut call = self
                .call(Method::PATCH, Address::Url(session.url.clone()))
                .header(CONTENT_RANGE, &format!("{offset}-{}", end - 1))?;
            call.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
            call.payload = self.piece(offset, end - offset);
            call.retry = false;
            let error = match self.client.execute(&call).await {
                Ok(response) if response.status().is_success() => {
                    session.advance(&call, &response).await?;
                    let arrived = match received(response.headers()) {
                        Some(0) if end == 1 => 1,
                        said => said.unwrap_or(end),
                    };
                    if arrived > end {
                        let reason = format!("the registry has {arrived} bytes of an upload of {end}");
                        return Err(Error::protocol(&self.subject, reason));
                    }
                    if arrived > offset {
                        offset = arrived;
                        backoff.reset();
                        continue;
                    }
                    Error::protocol(
                        &self.subject,
                        "the registry takes a chunk and has no more bytes than before",
                    )
                }
                Ok(response) if response.status() == StatusCode::PAYLOAD_TOO_LARGE => {
                    let floor = SMALLEST_CHUNK.max(session.smallest);
                    if end - offset <= floor {
                        return Err(self.client.refusal(&call, response).await);
                    }
                    length = ((end - offset) / 2).max(floor);
                    continue;
                }
                Ok(response) => {
                    let wait = retry_after(response.headers(), SystemTime::now());
                    Error { retry_after: wait, ..self.client.refusal(&call, response).await }
                }
                Err(error) => error,
            };
            let passing = error.is_transient() || error.refused_with() == Some(416);
            if error.subject != self.subject || !passing {
                return Err(error);
            }
            let Some(delay) = backoff.next(error.retry_after) else { return Err(error) };
            tracing::debug!(%error, offset, ?delay, "resume");
            tokio::time::sleep(delay).await;
            offset = self.progress(&mut session).await?.min(size);
        }
        let mut call = self.call(Method::PUT, Address::Url(self.closing(&session.url)));
        call.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        self.stored(&call).await
    }

    /// How many bytes of an upload the registry has.
    async fn progress(&self, session: &mut Session) -> Result<u64> {
        let mut call = self.call(Method::GET, Address::Url(session.url.clone()));
        call.redirects = Redirects::No;
        let response = self
            .client
            .expect(&call, &[StatusCode::NO_CONTENT, StatusCode::ACCEPTED, StatusCode::OK])
            .await?;
        session.advance(&call, &response).await?;
        Ok(received(response.headers()).unwrap_or(0))
    }

    async fn stored(&self, call: &Call<'_>) -> Result<()> {
        let stored = [StatusCode::CREATED, StatusCode::NO_CONTENT, StatusCode::OK, StatusCode::ACCEPTED];
        let response = self.client.expect(call, &stored).await.map_err(|error| match error.kind {
            ErrorKind::Refused { status: 400, ref message } if message.contains("DIGEST_INVALID") => {
                Error::corrupt(
                    &self.subject,
                    format!("the bytes that arrived have another digest: {message}"),
                )
            }
            _ => error,
        })?;
        match content_digest(response.headers()) {
            Some(digest) if digest != self.descriptor.digest => {
                Err(Error::corrupt(&self.subject, format!("the registry has stored {digest}")))
            }
            _ => Ok(()),
        }
    }

    fn piece(&self, offset: u64, length: u64) -> Payload {
        Payload::Blob(Piece {
            client: self.client.clone(),
            source: self.source.clone(),
            descriptor: self.descriptor.clone(),
            offset,
            length,
        })
    }

    /// The address that ends an upload.
    fn closing(&self, url: &Url) -> Url {
        let mut url = url.clone();
        url.query_pairs_mut().append_pair("digest", &self.descriptor.digest.to_string());
        url
    }
}

impl Session {
    /// The session that an answer begins.
    async fn of(call: &Call<'_>, response: &Response) -> Result<Session> {
        let url = next(call, response)
            .await?
            .ok_or_else(|| Error::protocol(call.subject, "an upload without a Location"))?;
        let smallest = response.headers().get("oci-chunk-min-length").and_then(|value| value.to_str().ok());
        Ok(Session { url, smallest: smallest.and_then(|text| text.trim().parse().ok()).unwrap_or(0) })
    }

    /// Moves on to where the answer says; a registry need not say it again.
    async fn advance(&mut self, call: &Call<'_>, response: &Response) -> Result<()> {
        if let Some(url) = next(call, response).await? {
            self.url = url;
        }
        Ok(())
    }

    /// Tells the registry that nothing more comes. It would find out by itself, so it does not matter if this fails.
    async fn cancel(self, client: &Client, begun: &Call<'_>) {
        let mut call = begun.clone();
        call.method = Method::DELETE;
        call.address = Address::Url(self.url);
        call.payload = Payload::Empty;
        call.retry = false;
        if let Err(error) = client.execute(&call).await {
            tracing::debug!(%error, "cancel upload");
        }
    }
}

/// Where an upload goes on. A registry behind a proxy that ends TLS may think it is asked by plain HTTP, and say so:
/// at the same host we stay with TLS, and at another one we do not go without.
async fn next(call: &Call<'_>, response: &Response) -> Result<Option<Url>> {
    let Some(mut url) = location(response.url(), response.headers()) else { return Ok(None) };
    let base = call.endpoint.base(call.subject).await?;
    if base.scheme() == "https" && url.scheme() == "http" {
        let same_host = url.host_str() == base.host_str() && url.port() == base.port();
        if !same_host || url.set_scheme("https").is_err() {
            let host = url.host_str().unwrap_or_default();
            let reason = format!("the upload is to go on by plain HTTP on {host}, which is not followed");
            return Err(Error::protocol(call.subject, reason));
        }
    }
    Ok(Some(url))
}

fn uploads(repository: &str) -> String {
    format!("{repository}/blobs/uploads/")
}

/// The number of bytes that `Range: 0-last` of an upload means. Without any the reference implementation says `0-0`,
/// which is also what it says for one: that one is sent again, and the upload begun again if it was there.
fn received(headers: &HeaderMap) -> Option<u64> {
    let text = headers.get(RANGE)?.to_str().ok()?.trim();
    let text = text.strip_prefix("bytes=").unwrap_or(text);
    match text.split_once('-')?.1.parse::<u64>().ok()? {
        0 => Some(0),
        last => last.checked_add(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_uploads() {
        for (value, expected) in [
            ("0-99", Some(100)),
            ("bytes=0-99", Some(100)),
            ("0-0", Some(0)),
            ("0-18446744073709551615", None),
            ("x", None),
            ("0-", None),
        ] {
            let headers = HeaderMap::from_iter([(RANGE, value.parse().unwrap())]);
            assert_eq!(received(&headers), expected, "{value}");
        }
    }
}

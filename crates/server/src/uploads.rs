//! Uploads: blobs on their way in, in one piece or in many.
//!
//! What has arrived is in a file of the repository's layout and hashed already; in memory is only the
//! batch that is being written. A session ends with its blob, with an error of the disk, or when it has
//! not been touched for an hour; those of a process that is gone are collected when the registry opens.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Response};
use bytes::Bytes;
use futures_util::StreamExt;
use layout::{BlobWriter, Import};
use oci::Digest;
use tokio::sync::OwnedMutexGuard;

use crate::refusal::{Refusal, blocking};
use crate::registry::{CONTENT_DIGEST, Parameters};
use crate::route::parse_digest;
use crate::{Registry, Repository};

/// How many bytes are gathered before they are written.
const BATCH: usize = 256 * 1024;
/// How long a session may be left alone.
const IDLE: Duration = Duration::from_secs(3600);
/// How many sessions there may be; each has an open file.
const SESSIONS: usize = 500;
/// How long a request waits for another one that writes to the same session.
const TURN: Duration = Duration::from_secs(5);

const UPLOAD_ID: HeaderName = HeaderName::from_static("docker-upload-uuid");

/// The sessions under way, by their ids.
#[derive(Debug, Default)]
pub(crate) struct Uploads(Mutex<HashMap<String, Arc<tokio::sync::Mutex<Session>>>>);

/// One blob on its way in.
#[derive(Debug)]
struct Session {
    repository: Repository,
    /// `None` once the blob is finished or could not be written.
    writer: Option<BlobWriter>,
    touched: Instant,
}

/// A session in the hands of one request. It travels into the blocking calls and back, so a request that
/// is given up in between lets it go only when the call has ended.
type Turn = OwnedMutexGuard<Session>;

impl Registry {
    /// `POST /v2/NAME/blobs/uploads/`: begins a session, takes a whole blob (`digest`), or links one from
    /// another repository (`mount`, `from`).
    pub(crate) async fn begin_upload(
        self: Arc<Self>,
        repository: Repository,
        parameters: Parameters,
        body: Body,
    ) -> Result<Response, Refusal> {
        if let (Some(digest), Some(from)) = (parameters.get("mount"), parameters.get("from")) {
            let digest = parse_digest(digest)?;
            if self.clone().mount(repository.clone(), digest, from.clone()).await? {
                return Ok(created(&repository, digest));
            }
        }
        let expected = parameters.get("digest").map(|text| parse_digest(text)).transpose()?;
        let session = {
            let (registry, repository) = (self.clone(), repository.clone());
            blocking(move || {
                let writer = Some(registry.create(&repository)?.blob_writer()?);
                Ok(Session { repository, writer, touched: Instant::now() })
            })
            .await?
        };
        let session = Arc::new(tokio::sync::Mutex::new(session));
        if let Some(expected) = expected {
            let turn = receive(session.lock_owned().await, body).await?;
            return commit(turn, expected).await;
        }
        let id = self.uploads.insert(session)?;
        Ok(accepted(StatusCode::ACCEPTED, &repository, &id, 0))
    }

    /// Links a blob from another repository; false if it is not there.
    async fn mount(self: Arc<Self>, to: Repository, digest: Digest, from: String) -> Result<bool, Refusal> {
        blocking(move || {
            let Some(source) = from.parse().ok().and_then(|from| self.layout(&from).ok()) else {
                return Ok(false);
            };
            if source.has(digest)?.is_none() {
                return Ok(false);
            }
            self.create(&to)?.import_file(&source.blob_path(digest), digest, Import::Link)?;
            Ok(true)
        })
        .await
    }

    /// `GET /v2/NAME/blobs/uploads/ID`: how much has arrived.
    pub(crate) async fn upload_status(&self, repository: Repository, id: &str) -> Result<Response, Refusal> {
        let turn = self.uploads.turn(&repository, id).await?;
        Ok(accepted(StatusCode::NO_CONTENT, &repository, id, turn.size()))
    }

    /// `PATCH /v2/NAME/blobs/uploads/ID`: takes the next bytes.
    pub(crate) async fn continue_upload(
        &self,
        repository: Repository,
        id: &str,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Response, Refusal> {
        let turn = self.uploads.turn(&repository, id).await?;
        check_order(&turn, id, headers)?;
        let turn = self.received(id, receive(turn, body).await)?;
        Ok(accepted(StatusCode::ACCEPTED, &repository, id, turn.size()))
    }

    /// `PUT /v2/NAME/blobs/uploads/ID?digest=DIGEST`: takes the last bytes, if there are any left, and
    /// makes a blob of them all.
    pub(crate) async fn finish_upload(
        &self,
        repository: Repository,
        id: &str,
        parameters: Parameters,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Response, Refusal> {
        let expected = parameters.get("digest").map_or("", String::as_str);
        let expected = parse_digest(expected)?;
        let turn = self.uploads.turn(&repository, id).await?;
        check_order(&turn, id, headers)?;
        let turn = self.received(id, receive(turn, body).await)?;
        self.uploads.remove(id);
        commit(turn, expected).await
    }

    /// `DELETE /v2/NAME/blobs/uploads/ID`
    pub(crate) async fn cancel_upload(&self, repository: Repository, id: &str) -> Result<Response, Refusal> {
        let mut turn = self.uploads.turn(&repository, id).await?;
        self.uploads.remove(id);
        turn.writer = None;
        Ok(StatusCode::NO_CONTENT.into_response())
    }

    /// Forgets a session that the disk has ended.
    fn received(&self, id: &str, result: Result<Turn, Refusal>) -> Result<Turn, Refusal> {
        if let Err(refusal) = &result
            && refusal.status.is_server_error()
        {
            self.uploads.remove(id);
        }
        result
    }
}

impl Uploads {
    fn insert(&self, session: Arc<tokio::sync::Mutex<Session>>) -> Result<String, Refusal> {
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sessions
            .retain(|_, session| session.try_lock().map_or(true, |session| session.touched.elapsed() < IDLE));
        if sessions.len() >= SESSIONS {
            let message = format!("there are {SESSIONS} uploads under way already");
            return Err(Refusal::new(StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS", message)
                .with(header::RETRY_AFTER, "10"));
        }
        let id = format!("{:032x}", fastrand::u128(..));
        sessions.insert(id.clone(), session);
        Ok(id)
    }

    fn remove(&self, id: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    /// Waits until no other request has the session.
    async fn turn(&self, repository: &Repository, id: &str) -> Result<Turn, Refusal> {
        let unknown =
            || Refusal::new(StatusCode::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN", format!("there is no upload {id}"));
        let session = {
            let sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            sessions.get(id).cloned().ok_or_else(unknown)?
        };
        let mut turn = tokio::time::timeout(TURN, session.lock_owned()).await.map_err(|_| {
            let message = "another request writes to this upload";
            Refusal::new(StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS", message)
                .with(header::RETRY_AFTER, "1")
        })?;
        if turn.writer.is_none() || turn.repository != *repository {
            return Err(unknown());
        }
        turn.touched = Instant::now();
        Ok(turn)
    }
}

impl Session {
    fn size(&self) -> u64 {
        self.writer.as_ref().map_or(0, BlobWriter::size)
    }

    /// Writes a batch; if that fails the session is over, and its file gone.
    fn append(&mut self, batch: &[Bytes]) -> Result<(), Refusal> {
        let writer = self.writer.as_mut().ok_or_else(|| {
            Refusal::new(StatusCode::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN", "the upload has ended")
        })?;
        let written = batch.iter().try_for_each(|bytes| writer.append(bytes));
        if written.is_err() {
            self.writer = None;
        }
        self.touched = Instant::now();
        Ok(written?)
    }
}

/// Takes a body in. What has arrived before a connection broke is kept, so the client can go on.
async fn receive(mut turn: Turn, body: Body) -> Result<Turn, Refusal> {
    let mut frames = body.into_data_stream();
    loop {
        let (mut batch, mut size, mut end) = (Vec::new(), 0, None);
        while size < BATCH && end.is_none() {
            match frames.next().await {
                Some(Ok(bytes)) => {
                    size += bytes.len();
                    batch.push(bytes);
                }
                Some(Err(error)) => end = Some(Err(error)),
                None => end = Some(Ok(())),
            }
        }
        if !batch.is_empty() {
            turn = blocking(move || turn.append(&batch).map(|()| turn)).await?;
        }
        match end {
            None => {}
            Some(Ok(())) => return Ok(turn),
            Some(Err(error)) => {
                let message = format!("the upload broke off: {error}");
                return Err(Refusal::new(StatusCode::BAD_REQUEST, "BLOB_UPLOAD_INVALID", message));
            }
        }
    }
}

/// Makes a blob of what has arrived, if it is what was promised.
async fn commit(mut turn: Turn, expected: Digest) -> Result<Response, Refusal> {
    blocking(move || {
        let writer = turn.writer.take().ok_or_else(|| {
            Refusal::new(StatusCode::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN", "the upload has ended")
        })?;
        writer.commit(Some(expected))?;
        Ok(created(&turn.repository, expected))
    })
    .await
}

/// Refuses bytes that are not the next ones. The spec's `Content-Range` is `FIRST-LAST`, without a unit.
fn check_order(turn: &Turn, id: &str, headers: &HeaderMap) -> Result<(), Refusal> {
    let Some(range) = headers.get(header::CONTENT_RANGE) else { return Ok(()) };
    let size = turn.size();
    let out_of_order = |message: String| {
        Refusal::new(StatusCode::RANGE_NOT_SATISFIABLE, "BLOB_UPLOAD_INVALID", message)
            .with(header::LOCATION, location(&turn.repository, id))
            .with(header::RANGE, progress(size))
            .with(UPLOAD_ID, id)
    };
    let bounds = range.to_str().ok().and_then(|text| {
        let (first, last) = text.strip_prefix("bytes ").unwrap_or(text).split_once('-')?;
        let last = last.split('/').next()?;
        Some((first.parse::<u64>().ok()?, last.parse::<u64>().ok()?))
    });
    let Some((first, last)) = bounds else {
        return Err(out_of_order(format!("Content-Range is not FIRST-LAST: {range:?}")));
    };
    if first != size {
        return Err(out_of_order(format!("the next byte is {size} and not {first}")));
    }
    let length =
        headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| first.checked_add(length) != last.checked_add(1)) {
        let message = "Content-Length and Content-Range disagree";
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "SIZE_INVALID", message));
    }
    Ok(())
}

fn location(repository: &Repository, id: &str) -> String {
    format!("/v2/{repository}/blobs/uploads/{id}")
}

/// The bytes that have arrived, both ends included; clients know that nothing looks the same as one byte.
fn progress(size: u64) -> String {
    format!("0-{}", size.saturating_sub(1))
}

fn accepted(status: StatusCode, repository: &Repository, id: &str, size: u64) -> Response {
    let headers = [
        (header::LOCATION, location(repository, id)),
        (header::RANGE, progress(size)),
        (UPLOAD_ID, id.to_owned()),
    ];
    (status, AppendHeaders(headers)).into_response()
}

fn created(repository: &Repository, digest: Digest) -> Response {
    let headers = [
        (header::LOCATION, format!("/v2/{repository}/blobs/{digest}")),
        (CONTENT_DIGEST, digest.to_string()),
    ];
    (StatusCode::CREATED, AppendHeaders(headers)).into_response()
}

//! Blobs on their way out, whole or in part.

use std::io::{self, Seek, SeekFrom};
use std::ops::Range;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, stream};
use layout::LayoutError;
use oci::Digest;
use tokio::io::AsyncReadExt;

use crate::refusal::{Refusal, blocking};
use crate::registry::CONTENT_DIGEST;
use crate::{Registry, Repository};

/// How much of a blob is in memory at a time for each request.
const PIECE: usize = 128 * 1024;

impl Registry {
    /// `GET` and `HEAD /v2/NAME/blobs/DIGEST`
    pub(crate) async fn get_blob(
        self: Arc<Self>,
        repository: Repository,
        digest: Digest,
        headers: &HeaderMap,
    ) -> Result<Response, Refusal> {
        let (file, size) = blocking(move || Ok(self.layout(&repository)?.open_blob(digest)?)).await?;
        let range = headers.get(header::RANGE).and_then(|value| value.to_str().ok());
        let (status, range) = match range.and_then(|text| parse_range(text, size)) {
            None => (StatusCode::OK, 0..size),
            Some(Some(range)) => (StatusCode::PARTIAL_CONTENT, range),
            Some(None) => {
                let message = format!("the blob has {size} bytes only");
                return Err(Refusal::new(StatusCode::RANGE_NOT_SATISFIABLE, "SIZE_INVALID", message)
                    .with(header::CONTENT_RANGE, format!("bytes */{size}")));
            }
        };
        let mut response = (
            status,
            [
                (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
                (header::CONTENT_LENGTH, (range.end - range.start).to_string()),
                (header::ACCEPT_RANGES, "bytes".to_owned()),
                (header::ETAG, format!("\"{digest}\"")),
                (CONTENT_DIGEST, digest.to_string()),
            ],
        )
            .into_response();
        if status == StatusCode::PARTIAL_CONTENT {
            let value = format!("bytes {}-{}/{size}", range.start, range.end - 1);
            response.headers_mut().extend(value.parse().ok().map(|value| (header::CONTENT_RANGE, value)));
        }
        *response.body_mut() = Body::from_stream(pieces(file, range));
        Ok(response)
    }

    /// `DELETE /v2/NAME/blobs/DIGEST`
    pub(crate) async fn delete_blob(
        self: Arc<Self>,
        repository: Repository,
        digest: Digest,
    ) -> Result<Response, Refusal> {
        blocking(move || {
            let layout = self.layout(&repository)?;
            if layout.index()?.manifests.iter().any(|descriptor| descriptor.digest == digest) {
                let message = format!("{digest} is a manifest: delete it as one");
                return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", message));
            }
            if !layout.remove_blob(digest)? {
                return Err(LayoutError::Unknown { digest, path: layout.dir().to_owned() }.into());
            }
            Ok(StatusCode::ACCEPTED.into_response())
        })
        .await
    }
}

/// A range of a file, piece by piece.
fn pieces(mut file: std::fs::File, range: Range<u64>) -> impl Stream<Item = io::Result<Bytes>> {
    let sought = file.seek(SeekFrom::Start(range.start)).map(|_| tokio::fs::File::from_std(file));
    stream::try_unfold((Some(sought), None, range.end - range.start), |(sought, file, left)| async move {
        let mut file = match (sought, file) {
            (Some(sought), _) => sought?,
            (None, Some(file)) => file,
            (None, None) => return Ok(None),
        };
        if left == 0 {
            return Ok(None);
        }
        let mut piece = BytesMut::with_capacity(PIECE.min(usize::try_from(left).unwrap_or(PIECE)));
        let count = (&mut file).take(left).read_buf(&mut piece).await? as u64;
        if count == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
        }
        Ok(Some((piece.freeze(), (None, Some(file), left - count))))
    })
}

/// Reads a `Range` header ([RFC 9110](https://www.rfc-editor.org/rfc/rfc9110#name-range)). The outer
/// `None` means that it is to be ignored, the inner one that there are no such bytes.
fn parse_range(text: &str, size: u64) -> Option<Option<Range<u64>>> {
    let (first, last) = text.trim().strip_prefix("bytes=")?.split_once('-')?;
    let range = match (first.trim(), last.trim()) {
        ("", last) => size.saturating_sub(last.parse().ok()?)..size,
        (first, "") => first.parse().ok()?..size,
        (first, last) => {
            let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
            if last < first {
                return None;
            }
            first..size.min(last.saturating_add(1))
        }
    };
    Some((range.start < range.end).then_some(range))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        for (text, expected) in [
            ("bytes=0-4", Some(Some(0..5))),
            ("bytes=5-", Some(Some(5..10))),
            ("bytes=-3", Some(Some(7..10))),
            ("bytes=-30", Some(Some(0..10))),
            ("bytes=9-99", Some(Some(9..10))),
            ("bytes=0-18446744073709551615", Some(Some(0..10))),
            ("bytes=10-", Some(None)),
            ("bytes=10-11", Some(None)),
            ("bytes=-0", Some(None)),
            ("bytes=4-3", None),
            ("bytes=0-1,3-4", None),
            ("bytes=a-b", None),
            ("bytes=-", None),
            ("items=0-1", None),
        ] {
            assert_eq!(parse_range(text, 10), expected, "{text}");
        }
        assert_eq!(parse_range("bytes=0-", 0), Some(None));
    }
}

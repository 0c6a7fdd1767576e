//! Refusals: how the registry says no, in the words of the distribution spec.

use std::io;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use layout::LayoutError;
use serde_json::json;

/// An answer that is not the wished one.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// The HTTP status.
    pub(crate) status: StatusCode,
    /// One of the [codes of the spec](https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes).
    pub(crate) code: &'static str,
    message: String,
    headers: Vec<(HeaderName, String)>,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Refusal { status, code, message: message.into(), headers: Vec::new() }
    }

    /// Adds a header to the answer.
    pub(crate) fn with(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = json!({ "errors": [{ "code": self.code, "message": self.message }] });
        let mut response = Response::new(Body::from(body.to_string()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(name, value);
            }
        }
        response
    }
}

impl From<LayoutError> for Refusal {
    fn from(error: LayoutError) -> Self {
        match &error {
            LayoutError::Mismatch { .. } => {
                Refusal::new(StatusCode::BAD_REQUEST, "DIGEST_INVALID", error.to_string())
            }
            LayoutError::Unknown { digest, .. } => {
                Refusal::new(StatusCode::NOT_FOUND, "BLOB_UNKNOWN", format!("there is no blob {digest}"))
            }
            LayoutError::NotALayout { .. } => {
                Refusal::new(StatusCode::NOT_FOUND, "NAME_UNKNOWN", "there is no such repository")
            }
            _ => {
                // Paths are the owner's concern, so they go to the log and not to the client.
                tracing::error!(%error, "storage failed");
                match error.io_kind() {
                    Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => Refusal::new(
                        StatusCode::INSUFFICIENT_STORAGE,
                        "UNKNOWN",
                        "the registry's disk is full",
                    ),
                    Some(kind) => storage_failed(&kind.to_string()),
                    None => storage_failed("a stored file is damaged"),
                }
            }
        }
    }
}

fn storage_failed(reason: &str) -> Refusal {
    Refusal::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "UNKNOWN",
        format!("the registry's storage failed: {reason}"),
    )
}

/// Runs what reads and writes files where it holds up nobody.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|_| Err(storage_failed("the request was given up")))
}

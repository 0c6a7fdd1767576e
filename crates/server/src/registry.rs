//! The registry: a directory of repositories, and who may use it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use layout::{Layout, LayoutError};

use crate::refusal::Refusal;
use crate::route::Route;
use crate::uploads::Uploads;
use crate::{Credentials, Repository, ServeError};

/// A registry's files and the uploads under way.
#[derive(Debug)]
pub struct Registry {
    dir: PathBuf,
    credentials: Option<Credentials>,
    pub(crate) uploads: Uploads,
}

/// The query of a request, decoded; of a repeated name the last value counts.
pub(crate) type Parameters = BTreeMap<String, String>;

/// The header that gives the digest of what is answered. Clients of before the OCI rely on it.
pub(crate) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");

impl Registry {
    /// Opens a registry's directory, which is made if it is not there, and removes the halves of uploads
    /// that an earlier process left.
    pub fn open(dir: impl Into<PathBuf>, credentials: Option<Credentials>) -> Result<Self, ServeError> {
        let registry = Registry { dir: dir.into(), credentials, uploads: Uploads::default() };
        let failed = |source| ServeError::Directory { dir: registry.dir.clone(), source };
        fs::create_dir_all(&registry.dir).map_err(failed)?;
        for repository in registry.repositories().map_err(failed)? {
            // One that is damaged is no reason to keep the others from being served.
            if let Err(error) = registry.layout(&repository) {
                tracing::warn!(%repository, %error, "a folder cannot be served");
            }
        }
        Ok(registry)
    }

    /// The directory of the repositories.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The protocol over HTTP.
    pub fn router(self: Arc<Self>) -> Router {
        Router::new().fallback(handle).with_state(self)
    }

    /// A repository that is there.
    pub(crate) fn layout(&self, repository: &Repository) -> Result<Layout, LayoutError> {
        Layout::open(self.dir.join(repository.folder()))
    }

    /// A repository to put something into.
    pub(crate) fn create(&self, repository: &Repository) -> Result<Layout, LayoutError> {
        Layout::create(self.dir.join(repository.folder()))
    }

    /// All folders that may be repositories, sorted by name.
    pub(crate) fn repositories(&self) -> std::io::Result<Vec<Repository>> {
        let mut repositories = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            repositories.extend(entry?.file_name().to_str().and_then(Repository::of_folder));
        }
        repositories.sort();
        Ok(repositories)
    }

    async fn answer(self: Arc<Self>, request: Request) -> Result<Response, Refusal> {
        if let Some(credentials) = &self.credentials
            && !credentials.are_in(request.headers())
        {
            return Err(Refusal::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", "authentication is required")
                .with(header::WWW_AUTHENTICATE, r#"Basic realm="registry", charset="UTF-8""#));
        }
        let route = Route::parse(request.uri().path())?;
        let (parts, body) = request.into_parts();
        let Query(parameters): Query<Parameters> = Query::try_from_uri(&parts.uri)
            .map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, "UNSUPPORTED", error.to_string()))?;
        let (method, headers) = (parts.method, parts.headers);
        match (method.as_str(), route) {
            ("GET" | "HEAD", Route::Base) => Ok(json("{}".to_owned())),
            ("GET" | "HEAD", Route::Catalog) => self.catalog(parameters).await,
            ("GET" | "HEAD", Route::Tags(repository)) => self.tags(repository, parameters).await,
            ("GET" | "HEAD", Route::Manifest(repository, reference)) => {
                self.get_manifest(repository, reference).await
            }
            ("PUT", Route::Manifest(repository, reference)) => {
                self.put_manifest(repository, reference, &headers, body).await
            }
            ("DELETE", Route::Manifest(repository, reference)) => {
                self.delete_manifest(repository, reference).await
            }
            ("GET" | "HEAD", Route::Referrers(repository, digest)) => {
                self.referrers(repository, digest, parameters).await
            }
            ("GET" | "HEAD", Route::Blob(repository, digest)) => {
                self.get_blob(repository, digest, &headers).await
            }
            ("DELETE", Route::Blob(repository, digest)) => self.delete_blob(repository, digest).await,
            ("POST", Route::Uploads(repository)) => self.begin_upload(repository, parameters, body).await,
            ("GET" | "HEAD", Route::Upload(repository, id)) => self.upload_status(repository, &id).await,
            ("PATCH", Route::Upload(repository, id)) => {
                self.continue_upload(repository, &id, &headers, body).await
            }
            ("PUT", Route::Upload(repository, id)) => {
                self.finish_upload(repository, &id, parameters, &headers, body).await
            }
            ("DELETE", Route::Upload(repository, id)) => self.cancel_upload(repository, &id).await,
            (method, _) => Err(Refusal::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "UNSUPPORTED",
                format!("{method} is not possible here"),
            )),
        }
    }
}

async fn handle(State(registry): State<Arc<Registry>>, request: Request) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let mut response = registry.answer(request).await.unwrap_or_else(Refusal::into_response);
    let status = response.status();
    tracing::debug!(%method, path, status = status.as_u16(), "answered");
    response.headers_mut().insert(API_VERSION, HeaderValue::from_static("registry/2.0"));
    if method == Method::HEAD {
        // The length stays what it is for GET; the answers with bodies that have none get it here.
        let size = axum::body::HttpBody::size_hint(response.body()).exact();
        if let Some(size) = size
            && !response.headers().contains_key(header::CONTENT_LENGTH)
        {
            response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(size));
        }
        *response.body_mut() = Body::empty();
    }
    response
}

/// A small JSON document as an answer.
pub(crate) fn json(text: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}

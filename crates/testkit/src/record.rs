//! What a registry was asked.

use axum::extract::Request;
use axum::http::header;

/// What kind of thing a request is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// `/v2/`
    Base,
    /// A manifest or an index.
    Manifest,
    /// A blob that is there.
    Blob,
    /// A blob on its way in.
    Upload,
    /// The list of tags.
    Tags,
    /// The list of referrers.
    Referrers,
    /// The token endpoint.
    Token,
    /// Anything else.
    Other,
}

/// Where a request arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Port {
    /// At the registry.
    Registry,
    /// At the store that blobs can be redirected to.
    Blobs,
}

/// One request, and how it was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// Where it arrived.
    pub port: Port,
    /// The method.
    pub method: String,
    /// What it is about.
    pub kind: Kind,
    /// The repository; empty if it is about none.
    pub repository: String,
    /// The path, as it came.
    pub path: String,
    /// The query, as it came; empty if there is none.
    pub query: String,
    /// The header `Authorization`.
    pub authorization: Option<String>,
    /// The header `Range`, or `Content-Range`.
    pub range: Option<String>,
    /// The status of the answer; 0 until there is one, and if there never is.
    pub status: u16,
}

impl Recorded {
    pub(crate) fn of(request: &Request, port: Port) -> Self {
        let path = request.uri().path().to_owned();
        let (kind, repository) = kind_of(&path);
        let header = |name| Some(request.headers().get(name)?.to_str().ok()?.to_owned());
        Recorded {
            port,
            method: request.method().to_string(),
            kind,
            repository: repository.to_owned(),
            query: request.uri().query().unwrap_or_default().to_owned(),
            authorization: header(header::AUTHORIZATION),
            range: header(header::RANGE).or_else(|| header(header::CONTENT_RANGE)),
            status: 0,
            path,
        }
    }

    /// `METHOD PATH STATUS`, with short digests and without what is different in every run.
    #[must_use]
    pub fn line(&self) -> String {
        let path: Vec<String> = self
            .path
            .split('/')
            .map(|part| match part.parse::<oci::Digest>() {
                Ok(digest) => digest.short(),
                Err(_) if self.kind == Kind::Upload && is_id(part) => "ID".to_owned(),
                Err(_) => part.to_owned(),
            })
            .collect();
        let port = if self.port == Port::Blobs { " (blobs)" } else { "" };
        format!("{} {} {}{port}", self.method, path.join("/"), self.status)
    }
}

fn is_id(part: &str) -> bool {
    part.len() == 32 && part.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The kind of thing a path is about, and the repository.
fn kind_of(path: &str) -> (Kind, &str) {
    if path == "/token" {
        return (Kind::Token, "");
    }
    let Some(rest) = path.strip_prefix("/v2") else { return (Kind::Other, "") };
    if rest.is_empty() || rest == "/" {
        return (Kind::Base, "");
    }
    let rest = rest.trim_start_matches('/');
    for (word, kind) in [
        ("/blobs/uploads", Kind::Upload),
        ("/manifests/", Kind::Manifest),
        ("/blobs/", Kind::Blob),
        ("/tags/list", Kind::Tags),
        ("/referrers/", Kind::Referrers),
    ] {
        if let Some((repository, _)) = rest.rsplit_once(word) {
            return (kind, repository);
        }
    }
    (Kind::Other, "")
}

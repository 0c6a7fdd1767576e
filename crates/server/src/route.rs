//! Routes: what a path of the distribution protocol means.
//!
//! A repository's name has slashes in it and may even have the protocol's own words, so a path is read
//! from its end.

use axum::http::StatusCode;
use oci::Digest;
use percent_encoding::percent_decode_str;

use crate::Repository;
use crate::refusal::Refusal;

/// What a request is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    /// `/v2/`
    Base,
    /// `/v2/_catalog`
    Catalog,
    /// `/v2/NAME/tags/list`
    Tags(Repository),
    /// `/v2/NAME/manifests/TAG_OR_DIGEST`; what comes last is checked by the method.
    Manifest(Repository, String),
    /// `/v2/NAME/blobs/DIGEST`
    Blob(Repository, Digest),
    /// `/v2/NAME/blobs/uploads/`
    Uploads(Repository),
    /// `/v2/NAME/blobs/uploads/ID`
    Upload(Repository, String),
    /// `/v2/NAME/referrers/DIGEST`
    Referrers(Repository, Digest),
}

impl Route {
    /// Reads a path, percent-encoded as it comes.
    pub(crate) fn parse(path: &str) -> Result<Self, Refusal> {
        let unknown =
            || Refusal::new(StatusCode::NOT_FOUND, "UNSUPPORTED", format!("there is nothing at {path}"));
        let decoded = percent_decode_str(path).decode_utf8().map_err(|_| unknown())?;
        let rest = match decoded.strip_prefix("/v2") {
            Some("" | "/") => return Ok(Route::Base),
            Some("/_catalog") => return Ok(Route::Catalog),
            Some(rest) => rest.strip_prefix('/').ok_or_else(unknown)?,
            None => return Err(unknown()),
        };
        let parts: Vec<&str> = rest.split('/').collect();
        match parts[..] {
            [ref name @ .., "tags", "list"] => Ok(Route::Tags(repository(name)?)),
            [ref name @ .., "manifests", reference] => {
                Ok(Route::Manifest(repository(name)?, reference.to_owned()))
            }
            [ref name @ .., "blobs", "uploads", ""] | [ref name @ .., "blobs", "uploads"] => {
                Ok(Route::Uploads(repository(name)?))
            }
            [ref name @ .., "blobs", "uploads", id] => Ok(Route::Upload(repository(name)?, id.to_owned())),
            [ref name @ .., "blobs", digest] => Ok(Route::Blob(repository(name)?, parse_digest(digest)?)),
            [ref name @ .., "referrers", digest] => {
                Ok(Route::Referrers(repository(name)?, parse_digest(digest)?))
            }
            _ => Err(unknown()),
        }
    }
}

fn repository(parts: &[&str]) -> Result<Repository, Refusal> {
    parts
        .join("/")
        .parse()
        .map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, "NAME_INVALID", format!("{error}")))
}

/// A digest that a client named.
pub(crate) fn parse_digest(text: &str) -> Result<Digest, Refusal> {
    text.parse().map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, "DIGEST_INVALID", format!("{error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let digest = Digest::of(b"x");
        let check = |path: &str, expected: Result<Route, &str>| {
            assert_eq!(Route::parse(path).map_err(|refusal| refusal.code), expected, "{path}");
        };
        let name = |text: &str| text.parse::<Repository>().unwrap();
        check("/v2", Ok(Route::Base));
        check("/v2/", Ok(Route::Base));
        check("/v2/_catalog", Ok(Route::Catalog));
        check("/v2/a/tags/list", Ok(Route::Tags(name("a"))));
        check("/v2/a/b/tags/list", Ok(Route::Tags(name("a/b"))));
        check("/v2/tags/tags/list", Ok(Route::Tags(name("tags"))));
        check("/v2/a/manifests/1.0", Ok(Route::Manifest(name("a"), "1.0".into())));
        check("/v2/a/blobs/b/manifests/1", Ok(Route::Manifest(name("a/blobs/b"), "1".into())));
        check(&format!("/v2/a/blobs/{digest}"), Ok(Route::Blob(name("a"), digest)));
        check(&format!("/v2/a/blobs/sha256%3A{}", digest.hex()), Ok(Route::Blob(name("a"), digest)));
        check("/v2/a/blobs/uploads/", Ok(Route::Uploads(name("a"))));
        check("/v2/a/blobs/uploads", Ok(Route::Uploads(name("a"))));
        check("/v2/a/blobs/uploads/1f", Ok(Route::Upload(name("a"), "1f".into())));
        check(&format!("/v2/a/referrers/{digest}"), Ok(Route::Referrers(name("a"), digest)));
        check("/v2/a/blobs/sha256:1", Err("DIGEST_INVALID"));
        check("/v2/A/tags/list", Err("NAME_INVALID"));
        check("/v2/tags/list", Err("NAME_INVALID"));
        check("/v2/a/%2e%2e/tags/list", Err("NAME_INVALID"));
        check("/v2/..%2fa/tags/list", Err("NAME_INVALID"));
        check("/", Err("UNSUPPORTED"));
        check("/v1/", Err("UNSUPPORTED"));
        check("/v2x/", Err("UNSUPPORTED"));
        check("/v2/a", Err("UNSUPPORTED"));
        check("/v2/%ff/tags/list", Err("UNSUPPORTED"));
    }
}

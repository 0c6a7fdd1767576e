//! Requests: which file, and what it has to be.

use std::fmt;
use std::sync::Arc;

use transport::Secret;
use url::Url;

use crate::{Authorize, Checksum, Validators};

/// A function that is called as bytes pass; it has to be quick.
#[derive(Clone)]
pub struct Progress(Arc<dyn Fn(u64, Option<u64>) + Send + Sync>);

impl Progress {
    /// Wraps a function.
    pub fn new(function: impl Fn(u64, Option<u64>) + Send + Sync + 'static) -> Self {
        Progress(Arc::new(function))
    }

    pub(crate) fn tell(&self, here: u64, total: Option<u64>) {
        (self.0)(here, total);
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Progress(..)")
    }
}

/// A file to be fetched.
#[derive(Debug, Clone)]
pub struct Request {
    /// Where it is, without credentials.
    pub(crate) url: Url,
    /// The value of an `Authorization` header, for the server of the URL and for none that it redirects to.
    pub authorization: Option<Secret>,
    /// Who gives each try its authorization, instead.
    pub authorize: Option<Arc<dyn Authorize>>,
    /// Who is told of bytes that arrive: how many there are of it, and how many there will be if that is known.
    pub progress: Option<Progress>,
    /// What the file has to be.
    pub checksum: Option<Checksum>,
    /// The most bytes it may have.
    pub limit: Option<u64>,
    /// What an earlier download was, if it is still there: the answer may be [`crate::Outcome::NotModified`].
    pub known: Option<Validators>,
}

/// Why a text is no URL that we can fetch from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{url}: {reason}")]
pub struct UrlError {
    /// The text, less what may be a password.
    pub url: String,
    /// What is wrong with it.
    pub reason: String,
}

impl Request {
    /// A request without further conditions. A user and password in the URL become the authorization, as with curl.
    pub fn new(url: &str) -> Result<Self, UrlError> {
        let wrong = |reason: String| UrlError { url: without_user(url), reason };
        let mut parsed: Url = url.parse().map_err(|error: url::ParseError| wrong(error.to_string()))?;
        if !matches!(parsed.scheme(), "http" | "https") {
            return Err(wrong("expected http:// or https://".to_owned()));
        }
        let authorization = transport::take_credentials(&mut parsed);
        parsed.set_fragment(None);
        Ok(Request {
            url: parsed,
            authorization,
            authorize: None,
            progress: None,
            checksum: None,
            limit: None,
            known: None,
        })
    }

    /// Where the file is, without credentials.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }
}

/// A URL that could not be parsed, without what stands before an `@` and without its query.
fn without_user(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://{rest}"),
        (None, Some((_, rest))) => rest.to_owned(),
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        let check = |text: &str, url: &str, authorization: Option<&str>| {
            let request = Request::new(text).unwrap();
            assert_eq!(request.url().as_str(), url, "{text}");
            assert_eq!(request.authorization.as_ref().map(Secret::expose), authorization, "{text}");
        };
        check("https://x.example/a?b#c", "https://x.example/a?b", None);
        check("http://u:p%40@x.example/a", "http://x.example/a", Some("Basic dTpwQA=="));
        check("http://u@x.example/a", "http://x.example/a", Some("Basic dTo="));
        let refuse = |text: &str, message: &str| {
            assert_eq!(Request::new(text).unwrap_err().to_string(), message, "{text}");
        };
        refuse("ftp://u:secret@x.example/a?k=v", "ftp://x.example/a: expected http:// or https://");
        refuse("http://u:secret@:0x/", "http://:0x/: empty host");
    }
}

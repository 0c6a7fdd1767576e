//! Objects in the buckets of Amazon, Google and Microsoft, as requests of downloads.
//!
//! What a bucket adds to a file over HTTP is who we are. So an object becomes a [`download::Request`] that signs each of
//! its tries, and resuming, trying again and limits are those of every download. What is open to everybody is fetched by
//! nobody: without any identity, nothing is signed.
#![forbid(unsafe_code)]

mod azure;
mod gcs;
mod s3;

use cloud::{Clouds, Environment};
use download::Request;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What Kaniko takes where only a bucket is named.
const USUAL: &str = "context.tar.gz";

/// Where an object is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// `s3://BUCKET/KEY`.
    S3 {
        /// The bucket.
        bucket: String,
        /// The key, without a slash before it.
        key: String,
    },
    /// `gs://BUCKET/OBJECT`.
    Gcs {
        /// The bucket.
        bucket: String,
        /// The name, without a slash before it.
        object: String,
    },
    /// `https://ACCOUNT.blob.core.windows.net/CONTAINER/BLOB`.
    Azure {
        /// The account.
        account: String,
        /// The whole URL; a signature may be in its query.
        url: url::Url,
    },
}

/// Why an object cannot be asked for. No secret is in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Error(pub(crate) String);

impl Location {
    /// The object that a text names; none if the text names no object at all.
    pub fn parse(text: &str) -> Result<Option<Self>, Error> {
        let Some((scheme, rest)) = text.split_once("://") else { return Ok(None) };
        match scheme {
            "s3" | "gs" => {
                let (bucket, name) = rest.split_once('/').unwrap_or((rest, ""));
                let is_bucket = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
                if bucket.is_empty() || !bucket.chars().all(is_bucket) {
                    return Err(Error(format!(
                        "{bucket:?} is no name of a bucket: expected {scheme}://BUCKET/NAME"
                    )));
                }
                if name.ends_with('/') {
                    return Err(Error(format!("{name:?} is a prefix: give the object, a tar archive")));
                }
                let bucket = bucket.to_owned();
                let name = if name.is_empty() { USUAL } else { name }.to_owned();
                Ok(Some(match scheme {
                    "s3" => Location::S3 { bucket, key: name },
                    _ => Location::Gcs { bucket, object: name },
                }))
            }
            "https" => azure::location(text),
            _ => Ok(None),
        }
    }

    /// The request for the object, signed as who we are.
    pub fn request(&self, clouds: &Clouds, environment: &Environment) -> Result<Request, Error> {
        match self {
            Location::S3 { bucket, key } => s3::request(bucket, key, clouds, environment),
            Location::Gcs { bucket, object } => gcs::request(bucket, object, clouds, environment),
            Location::Azure { account, url } => azure::request(account, url, clouds, environment),
        }
    }
}

/// All but letters, digits and `-._~`, as AWS wants it and the others take it.
const STRICT: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The same, and slashes.
const PATH: AsciiSet = STRICT.remove(b'/');

/// A name as a part of a path; slashes stay.
fn encoded_path(name: &str) -> String {
    utf8_percent_encode(name, &PATH).to_string()
}

/// A name as one component of a path.
fn encoded_component(name: &str) -> String {
    utf8_percent_encode(name, &STRICT).to_string()
}

fn request_of(url: &str) -> Result<Request, Error> {
    Request::new(url).map_err(|error| Error(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations() {
        let shown = |text: &str| match Location::parse(text) {
            Ok(Some(Location::S3 { bucket, key })) => format!("s3 {bucket} {key}"),
            Ok(Some(Location::Gcs { bucket, object })) => format!("gs {bucket} {object}"),
            Ok(Some(Location::Azure { account, url })) => format!("azure {account} {}", url.path()),
            Ok(None) => "-".to_owned(),
            Err(error) => error.to_string(),
        };
        for (text, expected) in [
            ("s3://b/a/context.tar", "s3 b a/context.tar"),
            ("s3://b", "s3 b context.tar.gz"),
            ("gs://b/", "gs b context.tar.gz"),
            ("gs://my.bucket/ä b", "gs my.bucket ä b"),
            ("s3://b/a/", "\"a/\" is a prefix: give the object, a tar archive"),
            ("s3:///a", "\"\" is no name of a bucket: expected s3://BUCKET/NAME"),
            ("s3://b@evil.example/a", "\"b@evil.example\" is no name of a bucket: expected s3://BUCKET/NAME"),
            ("https://acct.blob.core.windows.net/c/d/b.tar?sig=x", "azure acct /c/d/b.tar"),
            ("https://acct.blob.core.chinacloudapi.cn/c/b", "azure acct /c/b"),
            (
                "https://acct.blob.core.windows.net/c",
                "https://acct.blob.core.windows.net/c: expected https://ACCOUNT.blob…/CONTAINER/BLOB",
            ),
            ("https://acct.blob.core.windows.net.evil.example/c/b", "-"),
            ("https://evil.example/acct.blob.core.windows.net/b", "-"),
            ("https://a.b.blob.core.windows.net/c/b", "-"),
            ("https://blob.core.windows.net/c/b", "-"),
            ("https://acct.blob.core.windows.net:8443/c/b", "-"),
            ("http://acct.blob.core.windows.net/c/b", "-"),
            ("/a/directory", "-"),
            ("git://x", "-"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }
}

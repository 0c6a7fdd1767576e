//! S3, and what speaks its protocol ([GetObject]).
//!
//! [GetObject]: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html

use std::sync::Arc;
use std::time::SystemTime;

use cloud::aws::{Aws, EMPTY_HASH, Signer, domain};
use cloud::{Clouds, Environment};
use download::{Authorize, Authorizing, Request};
use reqwest::header::HeaderMap;
use url::{Host, Url};

use crate::{Error, encoded_path, request_of};

pub(crate) fn request(
    bucket: &str,
    key: &str,
    clouds: &Clouds,
    environment: &Environment,
) -> Result<Request, Error> {
    let region = clouds.aws.region().unwrap_or_else(|| "us-east-1".to_owned());
    let given = match environment.get("S3_ENDPOINT") {
        Some(text) => {
            Some(text.parse::<Url>().map_err(|error| Error(format!("S3_ENDPOINT={text}: {error}")))?)
        }
        None => clouds.aws.endpoint("S3").map_err(|error| Error(error.to_string()))?,
    };
    let endpoint = match given {
        Some(endpoint) if matches!(endpoint.scheme(), "http" | "https") && endpoint.has_host() => endpoint,
        Some(_) => return Err(Error("S3_ENDPOINT: expected http:// or https:// and a host".to_owned())),
        None => {
            let text = format!("https://s3.{region}.{}/", domain(&region));
            text.parse().map_err(|_| Error(format!("{region:?} is no name of a region")))?
        }
    };
    let by_path = environment.flag("S3_FORCE_PATH_STYLE") || !can_be_host(bucket, &endpoint);
    let mut request = request_of(&address(&endpoint, bucket, key, by_path))?;
    request.authorize = Some(Arc::new(S3 { aws: clouds.aws.clone(), region }));
    Ok(request)
}

/// The URL of an object: the bucket in the host's name or in the path.
fn address(endpoint: &Url, bucket: &str, key: &str, by_path: bool) -> String {
    let scheme = endpoint.scheme();
    let host = endpoint.host_str().unwrap_or_default();
    let port = endpoint.port().map(|port| format!(":{port}")).unwrap_or_default();
    let base = endpoint.path().trim_end_matches('/');
    let key = encoded_path(key);
    if by_path {
        format!("{scheme}://{host}{port}{base}/{bucket}/{key}")
    } else {
        format!("{scheme}://{bucket}.{host}{port}{base}/{key}")
    }
}

/// True if the bucket's name can be a part of the host's: not before an address, and not with a dot, which the
/// certificate for `*.s3…` would not cover.
fn can_be_host(bucket: &str, endpoint: &Url) -> bool {
    let is_name = matches!(endpoint.host(), Some(Host::Domain(name)) if name.contains('.'));
    is_name && bucket.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// Who we are in S3.
#[derive(Debug)]
struct S3 {
    aws: Aws,
    region: String,
}

impl Authorize for S3 {
    fn authorize<'a>(
        &'a self,
        url: &'a Url,
        headers: &'a mut HeaderMap,
    ) -> Authorizing<'a, Result<(), String>> {
        Box::pin(async move {
            let credentials = match self.aws.credentials().await {
                Ok(credentials) => credentials,
                Err(cloud::Error::None(reason)) => {
                    tracing::debug!(reason, "asked without credentials");
                    return Ok(());
                }
                Err(error) => return Err(error.to_string()),
            };
            let signer = Signer {
                credentials: &credentials,
                region: &self.region,
                service: "s3",
                time: SystemTime::now(),
            };
            signer.sign("GET", url, headers, EMPTY_HASH).map_err(|error| error.to_string())
        })
    }

    fn refused(&self) -> Authorizing<'_, ()> {
        Box::pin(self.aws.forget())
    }

    fn hint(&self, answer: &HeaderMap) -> Option<String> {
        let region = answer.get("x-amz-bucket-region")?.to_str().ok()?;
        (region != self.region).then(|| format!("the bucket is in the region {region}: set AWS_REGION to it"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (endpoint, bucket, key, by_path, expected) in [
            (
                "https://s3.eu-central-1.amazonaws.com",
                "b",
                "a/x y+z.tar",
                false,
                "https://b.s3.eu-central-1.amazonaws.com/a/x%20y%2Bz.tar",
            ),
            (
                "https://s3.eu-central-1.amazonaws.com",
                "b",
                "k",
                true,
                "https://s3.eu-central-1.amazonaws.com/b/k",
            ),
            (
                "https://s3.eu-central-1.amazonaws.com",
                "b.c",
                "k",
                false,
                "https://s3.eu-central-1.amazonaws.com/b.c/k",
            ),
            ("http://127.0.0.1:9000", "b", "k", false, "http://127.0.0.1:9000/b/k"),
            ("http://minio:9000", "b", "k", false, "http://minio:9000/b/k"),
            ("https://minio.example/s3/", "b", "k", false, "https://b.minio.example/s3/k"),
            ("https://minio.example", "B", "k", false, "https://minio.example/B/k"),
        ] {
            let endpoint = endpoint.parse().unwrap();
            let found = address(&endpoint, bucket, key, by_path || !can_be_host(bucket, &endpoint));
            assert_eq!(found, expected);
        }
    }
}

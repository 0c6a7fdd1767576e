//! Signatures of AWS, version 4 ([description]).
//!
//! [description]: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html

use std::fmt::Write as _;
use std::time::SystemTime;

use aws_lc_rs::{digest, hmac};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use url::Url;

use super::Credentials;
use crate::{Error, compact};

/// The SHA-256 of nothing.
pub const EMPTY_HASH: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// In place of a hash: the body is not signed.
pub const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

/// The SHA-256 of a body, in hexadecimal.
#[must_use]
pub fn hash(body: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, body).as_ref())
}

/// Signs requests for one service of one region.
#[derive(Debug, Clone)]
pub struct Signer<'a> {
    /// With what.
    pub credentials: &'a Credentials,
    /// `eu-central-1`.
    pub region: &'a str,
    /// `ecr`, `s3`, `sts`.
    pub service: &'a str,
    /// When.
    pub time: SystemTime,
}

impl Signer<'_> {
    /// Adds the signature to the headers of a request. `hash` is that of its body. Signed are the host, the type of the
    /// content and what begins with `x-amz-`: headers that are added later are not.
    ///
    /// The path of the URL has to be encoded as AWS wants it, all but letters, digits, `-_.~` and slashes.
    pub fn sign(&self, method: &str, url: &Url, headers: &mut HeaderMap, hash: &str) -> Result<(), Error> {
        let time = compact(self.time);
        let date = &time[..8];
        let mut set = |name: &'static str, text: &str| {
            let mut value = HeaderValue::from_str(text)
                .map_err(|_| Error::failed(&self.credentials.source, "no header can hold what it gives"))?;
            value.set_sensitive(true);
            headers.insert(HeaderName::from_static(name), value);
            Ok(())
        };
        set("x-amz-date", &time)?;
        if self.service == "s3" {
            set("x-amz-content-sha256", hash)?;
        }
        if let Some(token) = &self.credentials.session_token {
            set("x-amz-security-token", token.expose())?;
        }
        let host = match url.port() {
            Some(port) => format!("{}:{port}", url.host_str().unwrap_or_default()),
            None => url.host_str().unwrap_or_default().to_owned(),
        };
        let mut signed = vec![("host", host)];
        for (name, value) in headers.iter() {
            if name == "content-type" || name.as_str().starts_with("x-amz-") {
                let text = value.to_str().unwrap_or_default();
                signed.push((name.as_str(), text.split_whitespace().collect::<Vec<_>>().join(" ")));
            }
        }
        signed.sort();
        let names = signed.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
        let mut query: Vec<&str> =
            url.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()).collect();
        query.sort_unstable();
        let mut request = format!("{method}\n{}\n{}\n", url.path(), query.join("&"));
        for (name, value) in &signed {
            request.push_str(&format!("{name}:{value}\n"));
        }
        request.push_str(&format!("\n{names}\n{hash}"));
        let scope = format!("{date}/{}/{}/aws4_request", self.region, self.service);
        let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", self::hash(request.as_bytes()));
        let mut key = format!("AWS4{}", self.credentials.secret_access_key.expose()).into_bytes();
        for part in [date, self.region, self.service, "aws4_request"] {
            key = mac(&key, part.as_bytes());
        }
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={}",
            self.credentials.access_key_id,
            hex(&mac(&key, text.as_bytes()))
        );
        let mut value = HeaderValue::from_str(&authorization)
            .map_err(|_| Error::failed(&self.credentials.source, "no header can hold what it gives"))?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
        Ok(())
    }
}

fn mac(key: &[u8], text: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text).as_ref().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use transport::Secret;

    use super::*;

    fn credentials(session_token: Option<&str>) -> Credentials {
        Credentials {
            access_key_id: "AKIDEXAMPLE".to_owned(),
            secret_access_key: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
            session_token: session_token.map(Secret::new),
            expires: None,
            source: "test".to_owned(),
        }
    }

    /// From AWS's own test suite and from botocore.
    #[test]
    fn signatures() {
        let check = |token: Option<&str>,
                     time: &str,
                     service: &str,
                     method: &str,
                     url: &str,
                     headers: &[(&'static str, &str)],
                     body: &[u8],
                     expected: &str| {
            let credentials = credentials(token);
            let time = crate::parse_time(time).unwrap();
            let signer = Signer { credentials: &credentials, region: "us-east-1", service, time };
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.insert(*name, value.parse().unwrap());
            }
            signer.sign(method, &url.parse().unwrap(), &mut map, &hash(body)).unwrap();
            let found = map[AUTHORIZATION].to_str().unwrap();
            let (_, found) = found.split_once("SignedHeaders=").unwrap();
            assert_eq!(found, expected, "{url}");
        };
        let suite = "2015-08-30T12:36:00Z";
        check(
            None,
            suite,
            "service",
            "GET",
            "https://example.amazonaws.com/",
            &[],
            b"",
            "host;x-amz-date, Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        );
        check(
            None,
            suite,
            "service",
            "GET",
            "https://example.amazonaws.com/?Param2=value2&Param1=value1",
            &[],
            b"",
            "host;x-amz-date, Signature=b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        );
        check(
            None,
            suite,
            "service",
            "POST",
            "https://example.amazonaws.com/",
            &[("content-type", "application/x-www-form-urlencoded")],
            b"Param1=value1",
            "content-type;host;x-amz-date, Signature=ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
        );
        check(
            Some("SESSIONTOKEN"),
            "2026-01-02T03:04:05Z",
            "ecr",
            "POST",
            "https://api.ecr.us-east-1.amazonaws.com/",
            &[
                ("content-type", "application/x-amz-json-1.1"),
                ("x-amz-target", "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken"),
            ],
            br#"{"registryIds":["123456789012"]}"#,
            "content-type;host;x-amz-date;x-amz-security-token;x-amz-target, Signature=a00fc089f136a3257c395ca8e2daee66d309ec65855dafbf7163c5218cb16b1c",
        );
    }
}

//! Azure's blob storage ([Get Blob]).
//!
//! [Get Blob]: https://learn.microsoft.com/en-us/rest/api/storageservices/get-blob

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::SystemTime;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cloud::azure::Azure;
use cloud::{Clouds, Environment, Token};
use download::{Authorize, Authorizing, Request};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, RANGE};
use transport::Secret;
use url::Url;

use crate::{Error, Location, request_of};

/// The version of the protocol: tokens need one of 2017-11-09 or later.
const VERSION: &str = "2021-12-02";

/// What a token for the storage is for.
const RESOURCE: &str = "https://storage.azure.com";

const DOMAINS: [&str; 4] = [
    ".blob.core.windows.net",
    ".blob.core.chinacloudapi.cn",
    ".blob.core.cloudapi.de",
    ".blob.core.usgovcloudapi.net",
];

/// A blob, if the host is one of Azure's as a whole: to another one no token would go, and it is a file like any other.
pub(crate) fn location(text: &str) -> Result<Option<Location>, Error> {
    let Ok(url) = text.parse::<Url>() else { return Ok(None) };
    let host = url.host_str().unwrap_or_default();
    let account = DOMAINS.iter().find_map(|domain| host.strip_suffix(domain));
    let Some(account) = account.filter(|account| !account.is_empty() && !account.contains('.')) else {
        return Ok(None);
    };
    if url.port().is_some() || !url.username().is_empty() {
        return Ok(None);
    }
    let parts = url.path_segments().into_iter().flatten().filter(|part| !part.is_empty()).count();
    if parts < 2 {
        return Err(Error(format!(
            "https://{host}{}: expected https://ACCOUNT.blob…/CONTAINER/BLOB",
            url.path()
        )));
    }
    Ok(Some(Location::Azure { account: account.to_owned(), url }))
}

pub(crate) fn request(
    account: &str,
    url: &Url,
    clouds: &Clouds,
    environment: &Environment,
) -> Result<Request, Error> {
    let mut url = url.clone();
    let is_signed = |url: &Url| url.query_pairs().any(|(name, _)| name == "sig");
    if let Some(text) = environment.get("AZURE_STORAGE_SAS_TOKEN").filter(|_| !is_signed(&url)) {
        url.set_query(Some(text.trim_start_matches('?')));
    }
    let mut request = request_of(url.as_str())?;
    // A shared access signature says all there is to say.
    if is_signed(&url) {
        return Ok(request);
    }
    let key = environment.first(&["AZURE_STORAGE_ACCESS_KEY", "AZURE_STORAGE_KEY"]);
    let identity = match key {
        Some(text) => {
            let key = STANDARD
                .decode(text.trim())
                .map_err(|_| Error("AZURE_STORAGE_ACCESS_KEY is not base64".to_owned()))?;
            Identity::Key {
                account: account.to_owned(),
                key: Box::new(hmac::Key::new(hmac::HMAC_SHA256, &key)),
            }
        }
        None => Identity::Token(clouds.azure.clone()),
    };
    request.authorize = Some(Arc::new(identity));
    Ok(request)
}

/// Who we are in Azure's storage.
#[derive(Debug)]
enum Identity {
    /// Whoever has the account's key.
    Key { account: String, key: Box<hmac::Key> },
    /// An identity of Entra ID.
    Token(Azure),
}

impl Authorize for Identity {
    fn authorize<'a>(
        &'a self,
        url: &'a Url,
        headers: &'a mut HeaderMap,
    ) -> Authorizing<'a, Result<(), String>> {
        Box::pin(async move {
            headers.insert(HeaderName::from_static("x-ms-version"), HeaderValue::from_static(VERSION));
            match self {
                Identity::Key { account, key } => {
                    let date = date(SystemTime::now());
                    let date = HeaderValue::from_str(&date).map_err(|error| error.to_string())?;
                    headers.insert(HeaderName::from_static("x-ms-date"), date);
                    let signature = hmac::sign(key, string_to_sign(account, url, headers).as_bytes());
                    let text = format!("SharedKey {account}:{}", STANDARD.encode(signature.as_ref()));
                    let mut value = HeaderValue::from_str(&text).map_err(|error| error.to_string())?;
                    value.set_sensitive(true);
                    headers.insert(AUTHORIZATION, value);
                    Ok(())
                }
                Identity::Token(azure) => match azure.token(RESOURCE).await {
                    Ok(token) => {
                        headers.insert(AUTHORIZATION, bearer(&token)?);
                        Ok(())
                    }
                    Err(cloud::Error::None(reason)) => {
                        tracing::debug!(reason, "asked without credentials");
                        Ok(())
                    }
                    Err(error) => Err(error.to_string()),
                },
            }
        })
    }

    fn refused(&self) -> Authorizing<'_, ()> {
        Box::pin(async move {
            if let Identity::Token(azure) = self {
                azure.forget(RESOURCE).await;
            }
        })
    }
}

pub(crate) fn bearer(token: &Token) -> Result<HeaderValue, String> {
    let text = Secret::new(format!("Bearer {}", token.secret.expose()));
    let mut value = HeaderValue::from_str(text.expose())
        .map_err(|_| "the token holds characters that no header can".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}

/// What a key signs of a GET ([Shared Key]).
///
/// [Shared Key]: https://learn.microsoft.com/en-us/rest/api/storageservices/authorize-with-shared-key
fn string_to_sign(account: &str, url: &Url, headers: &HeaderMap) -> String {
    let value =
        |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    // Encoding, language, length, MD5, type, date and four conditions, none of which a GET of ours has.
    let mut text = format!("GET\n{}{}\n", "\n".repeat(10), value(&RANGE));
    let mut own: Vec<(&str, &str)> = headers
        .iter()
        .filter(|(name, _)| name.as_str().starts_with("x-ms-"))
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap_or_default()))
        .collect();
    own.sort_unstable();
    for (name, value) in own {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name}:{value}");
    }
    let _ = write!(text, "/{account}{}", url.path());
    let mut query: Vec<(String, String)> =
        url.query_pairs().map(|(name, value)| (name.to_lowercase(), value.into_owned())).collect();
    query.sort();
    for (name, value) in query {
        let _ = write!(text, "\n{name}:{value}");
    }
    text
}

/// `Fri, 02 Jan 2026 03:04:05 GMT`.
fn date(time: SystemTime) -> String {
    httpdate::fmt_http_date(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_signed() {
        let url: Url = "https://acct.blob.core.windows.net/c/a%20b?Timeout=1&a=2".parse().unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("x-ms-version", HeaderValue::from_static(VERSION));
        headers.insert("x-ms-date", HeaderValue::from_static("Fri, 02 Jan 2026 03:04:05 GMT"));
        headers.insert(RANGE, HeaderValue::from_static("bytes=7-"));
        let expected = "GET\n\n\n\n\n\n\n\n\n\n\nbytes=7-\nx-ms-date:Fri, 02 Jan 2026 03:04:05 GMT\n\
            x-ms-version:2021-12-02\n/acct/c/a%20b\na:2\ntimeout:1";
        assert_eq!(string_to_sign("acct", &url, &headers), expected);
    }
}

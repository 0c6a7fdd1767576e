//! Workload identity federation: a token of somebody else's, exchanged for one of Google's ([description]).
//!
//! [description]: https://google.aip.dev/auth/4117

use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Method, Request};
use serde::Deserialize;

use super::{SCOPE, address, exchange, impersonate};
use crate::{Error, Services, Token, ask};

/// What a file of this type says.
#[derive(Deserialize)]
pub(crate) struct ExternalAccount {
    audience: String,
    subject_token_type: String,
    token_url: String,
    service_account_impersonation_url: Option<String>,
    credential_source: Source,
}

/// Where the other token is.
#[derive(Deserialize)]
struct Source {
    file: Option<String>,
    url: Option<String>,
    #[serde(default)]
    headers: std::collections::BTreeMap<String, String>,
    #[serde(default)]
    format: Format,
    environment_id: Option<String>,
    executable: Option<serde::de::IgnoredAny>,
}

/// How it is written.
#[derive(Deserialize, Default)]
struct Format {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    subject_token_field_name: String,
}

impl ExternalAccount {
    pub(crate) async fn token(&self, services: &Services, who: &str) -> Result<Token, Error> {
        let subject = self.subject(services, who).await?;
        // With impersonation, only the last token needs to be good for anything else.
        let form = [
            ("audience", self.audience.as_str()),
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
            ("subject_token_type", &self.subject_token_type),
            ("subject_token", &subject),
            ("scope", SCOPE),
        ];
        let token = exchange(&services.far, who, &self.token_url, &form).await?;
        match &self.service_account_impersonation_url {
            Some(url) => impersonate(&services.far, who, url, &token, &[]).await,
            None => Ok(token),
        }
    }

    /// The other token, read anew each time since it is short-lived.
    async fn subject(&self, services: &Services, who: &str) -> Result<String, Error> {
        let source = &self.credential_source;
        let text = match (&source.file, &source.url) {
            (Some(file), _) => std::fs::read_to_string(file)
                .map_err(|error| Error::failed(who, format!("{file}: {error}")))?,
            (None, Some(url)) if source.environment_id.is_none() => {
                let url = address(who, url)?;
                let answer = ask(&services.far, who, || {
                    let mut request = Request::new(Method::GET, url.clone());
                    for (name, value) in &source.headers {
                        let name = HeaderName::from_bytes(name.as_bytes());
                        let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) else {
                            return Err(Error::failed(who, "its headers are none"));
                        };
                        request.headers_mut().insert(name, value);
                    }
                    Ok(request)
                });
                answer.await?.success()?.text()
            }
            _ => {
                let kind = match (&source.environment_id, &source.executable) {
                    (Some(id), _) => format!("of {id}"),
                    (None, Some(_)) => "of an executable".to_owned(),
                    (None, None) => "that it gives".to_owned(),
                };
                let reason = format!("the credential_source {kind} is not supported: a file or a URL is");
                return Err(Error::failed(who, reason));
            }
        };
        if source.format.kind != "json" {
            return Ok(text.trim().to_owned());
        }
        let json: serde_json::Value = serde_json::from_str(&text)
            .map_err(|_| Error::failed(who, "the token of its credential_source is not in JSON"))?;
        let name = &source.format.subject_token_field_name;
        let missing = || Error::failed(who, format!("its credential_source gives no {name:?}"));
        json[name.as_str()].as_str().map(str::to_owned).ok_or_else(missing)
    }
}

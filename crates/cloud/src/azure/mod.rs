//! Azure: access tokens of Microsoft Entra ID for a resource.
//!
//! A service principal with a secret, workload identity, or the managed identity of the machine, in this order, by the
//! variables that [Azure's libraries] read.
//!
//! [Azure's libraries]: https://learn.microsoft.com/en-us/azure/developer/go/azure-sdk-authentication

mod managed;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Request};
use serde::Deserialize;
use transport::Secret;
use url::{Url, form_urlencoded};

use crate::kept::Kept;
use crate::{Error, Services, Token, ask};

/// Azure as this process sees it.
#[derive(Debug, Clone)]
pub struct Azure {
    services: Arc<Services>,
    /// By resource.
    kept: Arc<Mutex<HashMap<String, Arc<Kept<Token>>>>>,
}

/// A token; the numbers come as texts from some services.
#[derive(Deserialize)]
struct TokenJson {
    access_token: String,
    expires_in: Option<serde_json::Value>,
}

impl TokenJson {
    fn token(self) -> Token {
        let seconds = match &self.expires_in {
            Some(serde_json::Value::String(text)) => text.parse().ok(),
            Some(number) => number.as_u64(),
            None => None,
        };
        let seconds = seconds.unwrap_or(600).clamp(60, 86_400);
        Token {
            secret: Secret::new(self.access_token),
            expires: Some(SystemTime::now() + Duration::from_secs(seconds)),
        }
    }
}

impl Azure {
    pub(crate) fn new(services: Arc<Services>) -> Self {
        Azure { services, kept: Arc::default() }
    }

    fn kept(&self, resource: &str) -> Arc<Kept<Token>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(kept.entry(resource.to_owned()).or_default())
    }

    /// A token for a resource (`https://storage.azure.com`), kept until shortly before its end.
    pub async fn token(&self, resource: &str) -> Result<Token, Error> {
        self.kept(resource)
            .get(async {
                let (token, source) = self.find(resource).await?;
                tracing::debug!(source, resource, "Azure access token");
                Ok(token)
            })
            .await
    }

    /// Forgets a token, since it was refused.
    pub async fn forget(&self, resource: &str) {
        self.kept(resource).forget().await;
    }

    /// The tenant that is configured.
    #[must_use]
    pub fn tenant(&self) -> Option<&str> {
        self.services.environment.get("AZURE_TENANT_ID")
    }

    async fn find(&self, resource: &str) -> Result<(Token, &'static str), Error> {
        let environment = &self.services.environment;
        let client = environment.get("AZURE_CLIENT_ID");
        if let Some(secret) = environment.get("AZURE_CLIENT_SECRET") {
            let who = "AZURE_CLIENT_SECRET";
            return Ok((self.login(resource, client, who, &[("client_secret", secret)]).await?, who));
        }
        let file = environment.get("AZURE_FEDERATED_TOKEN_FILE");
        let assertion = match (environment.get("AZURE_FEDERATED_TOKEN"), file) {
            (Some(token), _) => Some((token.to_owned(), "AZURE_FEDERATED_TOKEN")),
            (None, Some(file)) => {
                let who = "AZURE_FEDERATED_TOKEN_FILE";
                // Kubernetes replaces it while we run.
                let text = std::fs::read_to_string(file)
                    .map_err(|error| Error::failed(who, format!("{file}: {error}")))?;
                Some((text.trim().to_owned(), who))
            }
            (None, None) => None,
        };
        if let Some((assertion, who)) = assertion {
            let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
            let form = [("client_assertion", assertion.as_str()), ("client_assertion_type", kind)];
            return Ok((self.login(resource, client, who, &form).await?, who));
        }
        if environment.first(&["AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_CERTIFICATE_PATH"]).is_some() {
            return Err(Error::failed(
                "AZURE_CLIENT_CERTIFICATE_PATH",
                "a certificate is not supported: give AZURE_CLIENT_SECRET or AZURE_FEDERATED_TOKEN_FILE",
            ));
        }
        Ok((managed::token(&self.services, resource).await?, "managed identity"))
    }

    /// Asks the login service for a token ([client credentials]).
    ///
    /// [client credentials]: https://learn.microsoft.com/en-us/entra/identity-platform/v2-oauth2-client-creds-grant-flow
    async fn login(
        &self,
        resource: &str,
        client: Option<&str>,
        who: &'static str,
        proof: &[(&str, &str)],
    ) -> Result<Token, Error> {
        let missing = |name: &str| Error::failed(who, format!("{name} is not set"));
        let client = client.ok_or_else(|| missing("AZURE_CLIENT_ID"))?;
        let tenant = self.tenant().ok_or_else(|| missing("AZURE_TENANT_ID"))?;
        let authority = match self.services.environment.get("AZURE_AUTHORITY_HOST") {
            Some(host) => host.trim_end_matches('/').to_owned(),
            None => format!("https://{}", self.cloud()?.login),
        };
        let text = format!("{authority}/{tenant}/oauth2/v2.0/token");
        let url: Url = text.parse().map_err(|_| Error::failed(who, format!("{text:?} is not a URL")))?;
        let host = url.host_str().unwrap_or_default();
        if url.scheme() != "https" && !transport::is_loopback(host) {
            return Err(Error::failed(who, format!("{host} would be asked without TLS")));
        }
        let scope = format!("{}/.default", resource.trim_end_matches('/'));
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "client_credentials")
            .append_pair("client_id", client)
            .append_pair("scope", &scope)
            .extend_pairs(proof)
            .finish();
        let answer = ask(&self.services.far, who, || {
            let mut request = Request::new(Method::POST, url.clone());
            let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
            request.headers_mut().insert(CONTENT_TYPE, kind);
            *request.body_mut() = Some(form.clone().into());
            Ok(request)
        });
        answer.await?.success()?.json::<TokenJson>().map(TokenJson::token)
    }

    /// The cloud that `AZURE_ENVIRONMENT` names.
    pub fn cloud(&self) -> Result<&'static Cloud, Error> {
        let name = self.services.environment.get("AZURE_ENVIRONMENT").unwrap_or("AzurePublicCloud");
        CLOUDS
            .iter()
            .find(|cloud| cloud.names.iter().any(|known| known.eq_ignore_ascii_case(name)))
            .ok_or_else(|| Error::failed("AZURE_ENVIRONMENT", format!("there is no cloud {name:?}")))
    }
}

/// One of Azure's clouds.
#[derive(Debug)]
pub struct Cloud {
    names: &'static [&'static str],
    /// Where one logs in.
    login: &'static str,
    /// The resource that a registry's tokens are exchanged for.
    pub management: &'static str,
}

const CLOUDS: [Cloud; 3] = [
    Cloud {
        names: &["AzurePublicCloud", "AzureCloud"],
        login: "login.microsoftonline.com",
        management: "https://management.azure.com",
    },
    Cloud {
        names: &["AzureUSGovernmentCloud", "AzureUSGovernment"],
        login: "login.microsoftonline.us",
        management: "https://management.usgovcloudapi.net",
    },
    Cloud {
        names: &["AzureChinaCloud"],
        login: "login.chinacloudapi.cn",
        management: "https://management.chinacloudapi.cn",
    },
];

//! Google: access tokens, found as [Application Default Credentials] are.
//!
//! `GOOGLE_APPLICATION_CREDENTIALS`, the file that `gcloud auth application-default login` writes, and the metadata
//! server of a machine, which on GKE is also that of workload identity.
//!
//! [Application Default Credentials]: https://cloud.google.com/docs/authentication/application-default-credentials

mod federation;
mod service_account;

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Request};
use serde::Deserialize;
use transport::{Clients, Secret};
use url::{Url, form_urlencoded};

use crate::kept::Kept;
use crate::{Environment, Error, Services, Token, ask, parse_time};

/// What we ask to be allowed. What the identity may do in fact is decided by its roles.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// Google as this process sees it.
#[derive(Debug, Clone)]
pub struct Google {
    services: Arc<Services>,
    kept: Arc<Kept<Token>>,
}

/// A file of credentials, by its `type`.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum CredentialsFile {
    ServiceAccount(service_account::Key),
    AuthorizedUser {
        client_id: String,
        client_secret: String,
        refresh_token: String,
        token_uri: Option<String>,
    },
    ExternalAccount(federation::ExternalAccount),
    ImpersonatedServiceAccount {
        service_account_impersonation_url: String,
        source_credentials: Box<CredentialsFile>,
        #[serde(default)]
        delegates: Vec<String>,
    },
}

/// A token as token services and the metadata server give it.
#[derive(Deserialize)]
struct TokenJson {
    access_token: String,
    #[serde(default)]
    expires_in: u64,
}

impl Google {
    pub(crate) fn new(services: Arc<Services>) -> Self {
        Google { services, kept: Arc::default() }
    }

    /// A token for what the identity may do, kept until shortly before its end.
    pub async fn token(&self) -> Result<Token, Error> {
        self.kept
            .get(async {
                let (token, source) = self.find().await?;
                tracing::debug!(source, "Google access token");
                Ok(token)
            })
            .await
    }

    /// Forgets the token, since it was refused.
    pub async fn forget(&self) {
        self.kept.forget().await;
    }

    /// True if something here says that we have an identity.
    #[must_use]
    pub fn is_configured(&self) -> bool {
        let environment = &self.services.environment;
        environment.first(&["GOOGLE_APPLICATION_CREDENTIALS", "GCE_METADATA_HOST"]).is_some()
            || default_file(environment).is_some_and(|path| path.exists())
            || is_machine()
    }

    async fn find(&self) -> Result<(Token, String), Error> {
        let environment = &self.services.environment;
        if let Some(path) = environment.path("GOOGLE_APPLICATION_CREDENTIALS") {
            let text = std::fs::read_to_string(&path).map_err(|error| {
                Error::failed("GOOGLE_APPLICATION_CREDENTIALS", format!("{}: {error}", path.display()))
            })?;
            return self.of_file(&text, path).await;
        }
        if let Some(path) = default_file(environment) {
            match std::fs::read_to_string(&path) {
                Ok(text) => return self.of_file(&text, path).await,
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::NotFound | ErrorKind::PermissionDenied | ErrorKind::NotADirectory
                    ) => {}
                Err(error) => return Err(Error::failed(path.display(), error)),
            }
        }
        Ok((self.of_metadata().await?, "metadata server".to_owned()))
    }

    async fn of_file(&self, text: &str, path: PathBuf) -> Result<(Token, String), Error> {
        let who = path.display().to_string();
        // What is in it is not quoted.
        let file: CredentialsFile = serde_json::from_str(text).map_err(|error| {
            Error::failed(
                &who,
                format!("no credentials of Google that are known here (line {})", error.line()),
            )
        })?;
        Ok((self.of_credentials(&file, &who).await?, who))
    }

    async fn of_credentials(&self, file: &CredentialsFile, who: &str) -> Result<Token, Error> {
        let clients = &self.services.far;
        match file {
            CredentialsFile::ServiceAccount(key) => key.token(clients, who).await,
            CredentialsFile::AuthorizedUser { client_id, client_secret, refresh_token, token_uri } => {
                let url = token_uri.as_deref().unwrap_or("https://oauth2.googleapis.com/token");
                let form = [
                    ("client_id", client_id.as_str()),
                    ("client_secret", client_secret),
                    ("refresh_token", refresh_token),
                    ("grant_type", "refresh_token"),
                ];
                exchange(clients, who, url, &form).await
            }
            CredentialsFile::ExternalAccount(account) => account.token(&self.services, who).await,
            CredentialsFile::ImpersonatedServiceAccount {
                service_account_impersonation_url,
                source_credentials,
                delegates,
            } => {
                if matches!(**source_credentials, CredentialsFile::ImpersonatedServiceAccount { .. }) {
                    return Err(Error::failed(
                        who,
                        "impersonates with what impersonates; give the delegates instead",
                    ));
                }
                let source = Box::pin(self.of_credentials(source_credentials, who)).await?;
                impersonate(clients, who, service_account_impersonation_url, &source, delegates).await
            }
        }
    }

    async fn of_metadata(&self) -> Result<Token, Error> {
        let who = "Google's metadata server";
        let host = self.services.environment.get("GCE_METADATA_HOST").unwrap_or("169.254.169.254");
        let text = format!(
            "http://{host}/computeMetadata/v1/instance/service-accounts/default/token?scopes={SCOPE}"
        );
        let url: Url = text.parse().map_err(|_| Error::failed(who, format!("{host:?} is no host")))?;
        let asked = ask(&self.services.near, who, || {
            let mut request = Request::new(Method::GET, url.clone());
            request.headers_mut().insert("metadata-flavor", HeaderValue::from_static("Google"));
            Ok(request)
        });
        let none = |why: String| Error::None(format!("no Google credentials are configured, and {why}"));
        let answer = asked.await.map_err(|error| none(format!("no machine has any for us ({error})")))?;
        // The same address has other services in other clouds.
        if answer.headers.get("metadata-flavor").is_none_or(|flavor| flavor != "Google") {
            return Err(none(format!("{host} is not Google's metadata server")));
        }
        if answer.status == 404 {
            return Err(none("this machine has no service account".to_owned()));
        }
        answer.success()?.json::<TokenJson>().map(token)
    }
}

/// What `gcloud auth application-default login` writes.
fn default_file(environment: &Environment) -> Option<PathBuf> {
    let name = "application_default_credentials.json";
    let directory = environment.path("CLOUDSDK_CONFIG");
    Some(directory.or_else(|| Some(environment.path("HOME")?.join(".config/gcloud")))?.join(name))
}

/// True if the firmware says that this is a machine of Google's.
fn is_machine() -> bool {
    let name = std::fs::read_to_string("/sys/class/dmi/id/product_name").unwrap_or_default();
    matches!(name.trim(), "Google" | "Google Compute Engine")
}

fn token(json: TokenJson) -> Token {
    let expires = Some(SystemTime::now() + Duration::from_secs(json.expires_in.clamp(60, 86_400)));
    Token { secret: Secret::new(json.access_token), expires }
}

/// Asks a token service of OAuth2.
async fn exchange(clients: &Clients, who: &str, url: &str, form: &[(&str, &str)]) -> Result<Token, Error> {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let url = address(who, url)?;
    let answer = ask(clients, who, || {
        let mut request = Request::new(Method::POST, url.clone());
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
        request.headers_mut().insert(CONTENT_TYPE, kind);
        *request.body_mut() = Some(body.clone().into());
        Ok(request)
    });
    answer.await?.success()?.json::<TokenJson>().map(token)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Impersonated {
    access_token: String,
    expire_time: String,
}

/// The token of a service account that an identity may act as ([description]).
///
/// [description]: https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateAccessToken
async fn impersonate(
    clients: &Clients,
    who: &str,
    url: &str,
    with: &Token,
    delegates: &[String],
) -> Result<Token, Error> {
    let url = address(who, url)?;
    let mut body = serde_json::json!({ "scope": [SCOPE], "lifetime": "3600s" });
    if !delegates.is_empty() {
        body["delegates"] = delegates.into();
    }
    let answer = ask(clients, who, || {
        let mut request = Request::new(Method::POST, url.clone());
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        request.headers_mut().insert(AUTHORIZATION, bearer(who, with)?);
        *request.body_mut() = Some(body.to_string().into());
        Ok(request)
    });
    let answer: Impersonated = answer.await?.success()?.json()?;
    Ok(Token { secret: Secret::new(answer.access_token), expires: parse_time(&answer.expire_time) })
}

fn bearer(who: &str, token: &Token) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.secret.expose()))
        .map_err(|_| Error::failed(who, "the token holds characters that no header can"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// A URL of a credentials file. It is plain HTTP only on this machine, since secrets go there.
fn address(who: &str, text: &str) -> Result<Url, Error> {
    let url: Url = text.parse().map_err(|_| Error::failed(who, format!("{text:?} is not a URL")))?;
    let host = url.host_str().unwrap_or_default();
    match url.scheme() {
        "https" => Ok(url),
        "http" if transport::is_loopback(host) => Ok(url),
        _ => Err(Error::failed(who, format!("{host} would be asked without TLS"))),
    }
}

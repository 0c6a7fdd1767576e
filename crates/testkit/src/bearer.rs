//! Token authentication: a registry that sends its clients for a token first.
//!
//! As `distribution` has it: a challenge names a realm and a scope, the realm gives a token for it
//! ([specification](https://distribution.github.io/distribution/spec/auth/token/)).

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{Query, Request};
use axum::http::{Uri, header};
use axum::response::Response;
use server::Credentials;

use crate::Recorded;
use crate::fault::answer;

/// To whom the token endpoint gives what.
#[derive(Debug, Clone)]
pub struct Bearer {
    /// The user who may pull and push.
    pub credentials: Option<(String, String)>,
    /// A refresh token (Docker's "identity token") that does as well as the credentials.
    pub refresh_token: Option<String>,
    /// True if everybody may pull.
    pub anonymous_pull: bool,
    /// How long a token is good.
    pub expires_in: Duration,
}

impl Default for Bearer {
    /// A user `user` with the password `secret`, and nobody else; tokens for five minutes.
    fn default() -> Self {
        Bearer {
            credentials: Some(("user".to_owned(), "secret".to_owned())),
            refresh_token: None,
            anonymous_pull: false,
            expires_in: Duration::from_secs(300),
        }
    }
}

/// The tokens that were given out.
#[derive(Debug)]
pub(crate) struct Tokens {
    bearer: Bearer,
    given: Mutex<HashMap<String, Token>>,
}

#[derive(Debug)]
struct Token {
    until: Instant,
    /// Repositories and what may be done there.
    scopes: Vec<(String, String)>,
}

impl Tokens {
    pub(crate) fn new(bearer: Bearer) -> Self {
        Tokens { bearer, given: Mutex::default() }
    }

    /// Makes all tokens of no use.
    pub(crate) fn expire(&self) {
        self.given.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// `GET` (Basic authentication) and `POST` (OAuth 2) of the token endpoint.
    pub(crate) async fn give(&self, request: Request) -> Response {
        let (parts, body) = request.into_parts();
        let mut parameters = pairs(&parts.uri);
        let form = axum::body::to_bytes(body, 64 * 1024).await.unwrap_or_default();
        if !form.is_empty() {
            let form = String::from_utf8_lossy(&form);
            parameters.extend(Uri::try_from(format!("/?{form}")).map(|uri| pairs(&uri)).unwrap_or_default());
        }
        let value =
            |name: &str| parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        let basic = self
            .bearer
            .credentials
            .as_ref()
            .is_some_and(|(user, password)| Credentials::new(user, password).are_in(&parts.headers));
        let password = self.bearer.credentials.as_ref().is_some_and(|(user, password)| {
            value("username").as_ref() == Some(user) && value("password").as_ref() == Some(password)
        });
        let refresh =
            self.bearer.refresh_token.is_some() && value("refresh_token") == self.bearer.refresh_token;
        let known = basic || password || refresh;
        let tried = parts.headers.contains_key(header::AUTHORIZATION) || value("grant_type").is_some();
        if tried && !known {
            return refuse(401, "UNAUTHORIZED", Vec::new());
        }
        let scopes: Vec<(String, String)> = parameters
            .iter()
            .filter(|(name, _)| name == "scope")
            // One parameter for each, or all in one with blanks between.
            .flat_map(|(_, scopes)| scopes.split(' '))
            .filter_map(|scope| scope.strip_prefix("repository:")?.rsplit_once(':'))
            .flat_map(|(repository, actions)| actions.split(',').map(move |action| (repository, action)))
            .filter(|(_, action)| known || (self.bearer.anonymous_pull && *action == "pull"))
            .map(|(repository, action)| (repository.to_owned(), action.to_owned()))
            .collect();
        let text = format!("{:032x}", fastrand::u128(..));
        let token = Token { until: Instant::now() + self.bearer.expires_in, scopes };
        self.given.lock().unwrap_or_else(PoisonError::into_inner).insert(text.clone(), token);
        let body = serde_json::json!({ "token": text, "expires_in": self.bearer.expires_in.as_secs() });
        answer(200, vec![("content-type".to_owned(), "application/json".to_owned())], body.to_string())
    }

    /// Lets a request through, or challenges it.
    pub(crate) fn check(
        &self,
        request: Request<Body>,
        recorded: &Recorded,
        host: &str,
    ) -> Result<Request, Box<Response>> {
        let pull = matches!(recorded.method.as_str(), "GET" | "HEAD");
        let wanted = if pull { "pull" } else { "push" };
        let given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        let token = recorded
            .authorization
            .as_ref()
            .and_then(|value| value.strip_prefix("Bearer "))
            .and_then(|text| given.get(text))
            .filter(|token| Instant::now() < token.until);
        let may = |repository: &str, wanted: &str| {
            repository.is_empty()
                || token.is_some_and(|token| {
                    token
                        .scopes
                        .iter()
                        .any(|(name, action)| name == repository && (action == wanted || action == "*"))
                })
        };
        if token.is_none() || !may(&recorded.repository, wanted) {
            let mut challenge = format!(r#"Bearer realm="http://{host}/token",service="testkit""#);
            if !recorded.repository.is_empty() {
                let actions = if pull { "pull" } else { "pull,push" };
                challenge.push_str(&format!(r#",scope="repository:{}:{actions}""#, recorded.repository));
            }
            if token.is_some() {
                challenge.push_str(r#",error="insufficient_scope""#);
            }
            let headers = vec![("www-authenticate".to_owned(), challenge)];
            return Err(Box::new(refuse(401, "UNAUTHORIZED", headers)));
        }
        // A mount from where the client may not read is no error: it has to push the blob.
        let from = pairs(request.uri()).into_iter().find(|(name, _)| name == "from");
        match from {
            Some((_, from)) if !may(&from, "pull") => {
                let (mut parts, body) = request.into_parts();
                parts.uri = Uri::try_from(recorded.path.as_str()).unwrap();
                Ok(Request::from_parts(parts, body))
            }
            _ => Ok(request),
        }
    }
}

fn pairs(uri: &Uri) -> Vec<(String, String)> {
    Query::try_from_uri(uri).map(|Query(pairs)| pairs).unwrap_or_default()
}

fn refuse(status: u16, code: &str, headers: Vec<(String, String)>) -> Response {
    let body = serde_json::json!({ "errors": [{ "code": code, "message": "authentication is required" }] });
    answer(status, headers, body.to_string())
}

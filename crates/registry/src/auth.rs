//! Authentication: from a challenge to the `Authorization` that answers it.
//!
//! Either the credentials themselves (Basic), or a token that a token service gives for them ([token
//! authentication]), bound to a few repositories and living for minutes.
//!
//! [token authentication]: https://distribution.github.io/distribution/spec/auth/token/

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use credentials::{Answer, Credential, Match};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use reqwest::{Method, Request, Response, Url};
use serde::Deserialize;
use transport::{Failure, Secret};
use url::{Host, form_urlencoded};

use crate::call::Call;
use crate::challenge::{self, Challenge};
use crate::client::Client;
use crate::error::{Error, ErrorKind, Result};
use crate::tried::{Refused, Tried};

/// What is read of a token service's answer at most.
const TOKEN_LIMIT: usize = 64 << 10;

/// What one registry asked for, and the tokens it was satisfied with.
#[derive(Debug, Default)]
pub(crate) struct Authenticator {
    scheme: Mutex<Option<Scheme>>,
    /// One lock for each token, so that requests that need the same wait for one answer.
    tokens: Mutex<HashMap<TokenKey, Arc<tokio::sync::Mutex<Option<Token>>>>>,
    /// By repository and whether it is for writing: the candidate that was accepted last.
    accepted: Mutex<HashMap<(String, bool), usize>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Scheme {
    Basic,
    Bearer {
        realm: String,
        service: Option<String>,
    },
    /// Something we do not speak.
    Other(String),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct TokenKey {
    realm: String,
    service: Option<String>,
    scopes: Vec<String>,
    /// Whose it is.
    candidate: usize,
}

#[derive(Debug, Clone)]
struct Token {
    secret: Secret,
    valid_until: Instant,
}

#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

/// Who we may be for a request: what matches in the keychain, best first, and then nobody.
#[derive(Debug)]
pub(crate) struct Candidates {
    matches: Vec<Match>,
    /// Whether nobody is a candidate too: for what only reads, as many registries let everybody, and where there is
    /// no other.
    nobody: bool,
    /// The one that is tried now.
    pub(crate) at: usize,
    /// Those that were tried.
    pub(crate) tried: Tried,
    key: (String, bool),
}

/// The answer to a challenge.
#[derive(Debug, Default)]
pub(crate) struct Authorization {
    /// The header; none if there is nothing to say.
    pub(crate) header: Option<HeaderValue>,
    /// Whose credentials are behind it.
    answer: Option<Answer>,
    token: Option<(TokenKey, Secret)>,
}

/// Why a candidate cannot answer.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// It is the candidate, and another may do better: what became of it, if there is anything to say, and the words
    /// of the token service.
    Candidate(Option<Refused>, String),
    /// Nobody could.
    Fatal(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Refusal::Fatal(error)
    }
}

impl Candidates {
    /// The candidates for a call, the one first that was accepted for its like before.
    pub(crate) fn new(client: &Client, call: &Call<'_>) -> Self {
        let keychain = &client.options().keychain;
        let matches = keychain.matches(&call.endpoint.registry, call.repository);
        let writes = !matches!(call.method, Method::GET | Method::HEAD);
        let writes = writes || call.scopes.first().is_some_and(|scope| scope.ends_with(",push"));
        let key = (call.repository.to_owned(), writes);
        let at = lock(&call.endpoint.auth.accepted).get(&key).copied().unwrap_or(0);
        let tried = Tried { refused: Vec::new(), sources: keychain.source_names() };
        Candidates { nobody: !writes || matches.is_empty(), matches, at, tried, key }
    }

    /// The candidate that is tried now; none is nobody.
    pub(crate) fn current(&self) -> Option<&Match> {
        self.matches.get(self.at)
    }

    /// Goes on to the next; false if there is none.
    pub(crate) fn advance(&mut self) -> bool {
        self.at += 1;
        self.at < self.matches.len() || self.at == self.matches.len() && self.nobody
    }

    /// True if there is somebody after this one.
    pub(crate) fn has_more(&self) -> bool {
        self.at + 1 < self.matches.len()
    }

    /// Takes note that the registry let this one in.
    pub(crate) fn accept(&self, call: &Call<'_>, authorization: &Authorization) {
        if authorization.header.is_none() && self.at == 0 {
            return;
        }
        let before = lock(&call.endpoint.auth.accepted).insert(self.key.clone(), self.at);
        if before == Some(self.at) {
            return;
        }
        let (registry, repository) = (&call.endpoint.registry, call.repository);
        match (self.current(), &authorization.answer) {
            (Some(found), Some(answer)) => {
                let user = answer.credential.username();
                tracing::debug!(registry, repository, source = found.source, user, "credentials");
            }
            _ => tracing::debug!(registry, repository, "no credentials"),
        }
    }

    /// Takes note that the registry did not let this one in.
    pub(crate) fn refuse(&mut self, authorization: &Authorization) {
        if let (Some(found), Some(answer)) = (self.current(), &authorization.answer) {
            let username = answer.credential.username().map(str::to_owned);
            self.tried.refused.push(Refused::ByRegistry { source: found.source.clone(), username });
        }
    }
}

impl Authenticator {
    /// Takes note of a 401, and returns the scopes it names.
    pub(crate) fn learn(&self, response: &Response) -> Vec<String> {
        let headers = response.headers().get_all(WWW_AUTHENTICATE);
        let offered: Vec<Challenge> =
            headers.iter().filter_map(|value| value.to_str().ok()).flat_map(challenge::parse).collect();
        // A token is worth less than a password to whoever may see it.
        let by_scheme = |name: &str| offered.iter().find(|challenge| challenge.scheme == name);
        let bearer = by_scheme("bearer").filter(|challenge| challenge.parameters.contains_key("realm"));
        let (scheme, scopes) = match (bearer, by_scheme("basic"), offered.first()) {
            (Some(bearer), _, _) => {
                let parameter = |name: &str| bearer.parameters.get(name).filter(|text| !text.is_empty());
                let scheme = Scheme::Bearer {
                    realm: parameter("realm").cloned().unwrap_or_default(),
                    service: parameter("service").cloned(),
                };
                let scopes = parameter("scope").map_or("", |scope| scope.as_str());
                (scheme, scopes.split_whitespace().map(str::to_owned).collect())
            }
            (None, Some(_), _) => (Scheme::Basic, Vec::new()),
            (None, None, Some(other)) => (Scheme::Other(other.scheme.clone()), Vec::new()),
            (None, None, None) => return Vec::new(),
        };
        *lock(&self.scheme) = Some(scheme);
        scopes
    }

    /// Drops the token of an authorization that was refused.
    async fn forget(&self, authorization: &Authorization) {
        let Some((key, refused)) = &authorization.token else { return };
        let cell = lock(&self.tokens).get(key).cloned();
        if let Some(cell) = cell {
            let mut token = cell.lock().await;
            if token.as_ref().is_some_and(|token| token.secret == *refused) {
                *token = None;
            }
        }
    }
}

/// Drops what was refused: the token, and, if its source may give others than some time ago, the credentials.
pub(crate) async fn forget(
    client: &Client,
    call: &Call<'_>,
    candidates: &Candidates,
    authorization: &Authorization,
) {
    call.endpoint.auth.forget(authorization).await;
    if let (Some(found), Some(answer)) = (candidates.current(), &authorization.answer)
        && answer.is_kept
    {
        client.options().keychain.refuse(found, &answer.credential).await;
    }
}

/// The best answer to what the registry asks for, as far as we know it, by the candidate that is tried now.
pub(crate) async fn authorize(
    client: &Client,
    call: &Call<'_>,
    candidates: &Candidates,
) -> Result<Authorization, Refusal> {
    let endpoint = call.endpoint;
    let Some(scheme) = lock(&endpoint.auth.scheme).clone() else { return Ok(Authorization::default()) };
    let answer = match candidates.current() {
        None => None,
        Some(found) => match client.options().keychain.answer(found).await {
            Ok(Some(answer)) => Some(answer),
            Ok(None) => return Err(Refusal::Candidate(None, String::new())),
            Err(error) => {
                let refused = Refused::BySource { source: error.source_name, reason: error.reason };
                return Err(Refusal::Candidate(Some(refused), String::new()));
            }
        },
    };
    let (header, token) = match (scheme, answer.as_ref().map(|answer| &answer.credential)) {
        (_, Some(Credential::RegistryToken(token))) => (Some(bearer(token)), None),
        (Scheme::Basic, Some(Credential::Basic { username, password })) => {
            (Some(basic(username, password)), None)
        }
        (Scheme::Basic, _) => (None, None),
        (Scheme::Other(name), _) => {
            let message =
                format!("the registry wants the authentication scheme {name}, which is not supported");
            return Err(client.unauthorized(call, candidates.tried.clone(), message).into());
        }
        (Scheme::Bearer { realm, service }, credential) => {
            let key = TokenKey { realm, service, scopes: call.scopes.clone(), candidate: candidates.at };
            let cell = Arc::clone(lock(&endpoint.auth.tokens).entry(key.clone()).or_default());
            let mut cached = cell.lock().await;
            let secret = match &*cached {
                Some(token) if Instant::now() < token.valid_until => token.secret.clone(),
                _ => {
                    let token = fetch(client, call, &key, credential, candidates).await?;
                    cached.insert(token).secret.clone()
                }
            };
            (Some(bearer(&secret)), Some((key, secret)))
        }
    };
    Ok(Authorization { header, answer, token })
}

/// Asks a token service, once: by POST with an identity token, else by GET.
async fn fetch(
    client: &Client,
    call: &Call<'_>,
    key: &TokenKey,
    credential: Option<&Credential>,
    candidates: &Candidates,
) -> Result<Token, Refusal> {
    let registry = call.endpoint.base(call.subject).await?;
    let realm = realm(registry, &key.realm).map_err(|reason| {
        let reason = format!("the registry names the token service {:?}, {reason}", key.realm);
        Error::protocol(call.subject, reason)
    })?;
    let request = token_request(realm.clone(), key, credential);
    tracing::debug!(host = realm.host_str(), scopes = ?key.scopes, "token");
    let asked = Instant::now();
    let response = match call.endpoint.send(request, client.options().timeouts.idle).await {
        Ok(response) => response,
        Err(failure) => {
            let reason =
                format!("token service {}: {}", realm.host_str().unwrap_or_default(), failure.reason);
            let failure = Failure { reason, ..failure };
            return Err(Error::unreachable(call.subject, &call.endpoint.registry, failure).into());
        }
    };
    if response.status().is_success() {
        let body = client.read(call, response, TOKEN_LIMIT).await?;
        return token(&body, asked).ok_or_else(|| {
            Error::protocol(call.subject, "the token service's answer holds no token").into()
        });
    }
    let error = client.refusal(call, response).await;
    let retry_after = error.retry_after;
    match error.kind {
        ErrorKind::Denied { message } | ErrorKind::Refused { status: 400 | 401, message } => {
            let refused = candidates.current().map(|found| Refused::ByRegistry {
                source: found.source.clone(),
                username: credential.and_then(Credential::username).map(str::to_owned),
            });
            Err(Refusal::Candidate(refused, message))
        }
        kind => Err(Error { retry_after, ..Error::new(call.subject, kind) }.into()),
    }
}

/// The token service's URL, if it is one that credentials may be sent to.
///
/// A registry names it freely. So a registry that is reached by TLS cannot make us send a password without, and none
/// can make us ask the machine we run on or the metadata service of its cloud, unless it is there itself.
fn realm(registry: &Url, text: &str) -> Result<Url, &'static str> {
    let realm: Url = text.parse().map_err(|_| "which is not a URL")?;
    if !matches!(realm.scheme(), "http" | "https") {
        return Err("which is not an http URL");
    }
    if realm.scheme() == "http" && registry.scheme() == "https" {
        return Err("which is not secured by TLS as the registry is");
    }
    if is_local(&realm) && !is_local(registry) {
        return Err("which is on this machine or its link, where the registry is not");
    }
    Ok(realm)
}

/// True for an address that means another machine to each who uses it.
fn is_local(url: &Url) -> bool {
    let v4 = |address: std::net::Ipv4Addr| {
        address.is_loopback() || address.is_link_local() || address.is_unspecified()
    };
    match url.host() {
        Some(Host::Ipv4(address)) => v4(address),
        Some(Host::Ipv6(address)) => {
            address.is_loopback()
                || address.is_unicast_link_local()
                || address.is_unspecified()
                || address.to_ipv4_mapped().is_some_and(v4)
        }
        Some(Host::Domain(name)) => name == "localhost",
        None => true,
    }
}

fn token_request(mut realm: Url, key: &TokenKey, credential: Option<&Credential>) -> Request {
    if let Some(Credential::IdentityToken(refresh)) = credential {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "refresh_token");
        form.append_pair("client_id", "bako");
        form.append_pair("refresh_token", refresh.expose());
        if let Some(service) = &key.service {
            form.append_pair("service", service);
        }
        form.append_pair("scope", &key.scopes.join(" "));
        let mut request = Request::new(Method::POST, realm);
        request
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        *request.body_mut() = Some(form.finish().into());
        return request;
    }
    {
        let mut query = realm.query_pairs_mut();
        if let Some(service) = &key.service {
            query.append_pair("service", service);
        }
        for scope in &key.scopes {
            query.append_pair("scope", scope);
        }
    }
    let mut request = Request::new(Method::GET, realm);
    if let Some(Credential::Basic { username, password }) = credential {
        request.headers_mut().insert(AUTHORIZATION, basic(username, password));
    }
    request
}

/// Reads a token. It is renewed a little before its end, which is counted from when we asked: clocks differ.
fn token(body: &[u8], asked: Instant) -> Option<Token> {
    let answer: TokenAnswer = serde_json::from_slice(body).ok()?;
    let text = [answer.token, answer.access_token].into_iter().flatten().find(|text| !text.is_empty())?;
    // By the specification a token without a term lives for a minute; none is trusted for more than a day.
    let seconds = answer.expires_in.filter(|seconds| *seconds > 0).unwrap_or(60).min(86_400);
    let margin = (seconds / 5).min(10);
    Some(Token { secret: Secret::new(text), valid_until: asked + Duration::from_secs(seconds - margin) })
}

/// Adds what a registry says it needs to what we meant to ask for.
pub(crate) fn add_scopes(scopes: &mut Vec<String>, wanted: Vec<String>) {
    for scope in wanted {
        let Some((resource, actions)) = scope.rsplit_once(':') else { continue };
        let granted = |own: &String| {
            own.rsplit_once(':').is_some_and(|(own_resource, own_actions)| {
                own_resource == resource
                    && actions.split(',').all(|action| own_actions.split(',').any(|own| own == action))
            })
        };
        if !scopes.iter().any(granted) {
            scopes.push(scope);
        }
    }
}

fn basic(username: &str, password: &Secret) -> HeaderValue {
    header(&format!("Basic {}", STANDARD.encode(format!("{username}:{}", password.expose()))))
}

fn bearer(token: &Secret) -> HeaderValue {
    header(&format!("Bearer {}", token.expose()))
}

/// A header that is left out of every log. A token with characters that a header cannot hold is no token; what is
/// sent instead is refused by the registry, with a message of its own.
fn header(text: &str) -> HeaderValue {
    let mut value = HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("Bearer invalid"));
    value.set_sensitive(true);
    value
}

/// Nothing is left half done under these locks, so that a panic elsewhere does not matter to them.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_added_once() {
        let check = |wanted: &str, expected: &[&str]| {
            let mut scopes = vec!["repository:a/b:pull,push".to_owned()];
            add_scopes(&mut scopes, wanted.split_whitespace().map(str::to_owned).collect());
            assert_eq!(scopes, expected, "{wanted}");
        };
        let own = "repository:a/b:pull,push";
        check("", &[own]);
        check("repository:a/b:pull", &[own]);
        check("repository:a/b:push,pull", &[own]);
        check("repository:a/b:delete", &[own, "repository:a/b:delete"]);
        check("repository:c:pull registry:catalog:*", &[own, "repository:c:pull", "registry:catalog:*"]);
    }

    #[test]
    fn realms() {
        for (registry, text, accepted) in [
            ("https://r.example/", "https://auth.example/token?x=1", true),
            ("https://r.example/", "https://10.0.0.1/token", true),
            ("https://r.example/", "http://r.example/token", false),
            ("http://r.example/", "http://auth.example/token", true),
            ("http://r.example/", "http://127.0.0.1/token", false),
            ("http://r.example/", "http://localhost:8080/token", false),
            ("http://r.example/", "http://169.254.169.254/latest/api/token", false),
            ("http://r.example/", "http://[::1]/token", false),
            ("http://r.example/", "http://[::ffff:169.254.169.254]/token", false),
            ("http://r.example/", "http://[fe80::1]/token", false),
            ("http://r.example/", "http://0.0.0.0/token", false),
            ("http://127.0.0.1:5000/", "http://127.0.0.1:5001/token", true),
            ("http://127.0.0.1:5000/", "https://auth.example/token", true),
            ("https://r.example/", "ftp://auth.example/", false),
            ("https://r.example/", "/token", false),
        ] {
            let outcome = realm(&registry.parse().unwrap(), text);
            assert_eq!(outcome.is_ok(), accepted, "{registry} names {text}: {outcome:?}");
        }
    }

    #[test]
    fn terms_of_tokens() {
        let now = Instant::now();
        let term = |body: &str| token(body.as_bytes(), now).map(|token| (token.valid_until - now).as_secs());
        assert_eq!(term(r#"{"token":"t"}"#), Some(50));
        assert_eq!(term(r#"{"access_token":"t","expires_in":300}"#), Some(290));
        assert_eq!(term(r#"{"token":"","access_token":"t","expires_in":2}"#), Some(2));
        assert_eq!(term(r#"{"token":"t","expires_in":18446744073709551615}"#), Some(86_390));
        assert_eq!(term(r#"{"expires_in":300}"#), None);
        assert_eq!(term("<html>"), None);
    }
}

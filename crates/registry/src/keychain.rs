//! The keychain: which credentials belong to which registry, and which file said so.
//!
//! The format is that of Docker's `config.json` ([docker login]); keys may carry a path, as Podman and
//! Kubernetes allow, and the longest one that covers the repository wins.
//!
//! [docker login]: https://docs.docker.com/reference/cli/docker/login/

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;

use transport::Secret;

/// What proves to a registry who we are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// User name and password.
    Basic {
        /// The user.
        username: String,
        /// The password.
        password: Secret,
    },
    /// An OAuth2 refresh token, exchanged for an access token (`identitytoken`).
    IdentityToken(Secret),
    /// A bearer token that is sent as it is (`registrytoken`).
    RegistryToken(Secret),
}

/// Credentials from several sources; the first source that knows a registry answers for it.
#[derive(Debug, Clone, Default)]
pub struct Keychain {
    sources: Vec<Source>,
}

#[derive(Debug, Clone, Default)]
struct Source {
    name: String,
    /// By normal key: `host[:port][/path]`.
    credentials: BTreeMap<String, Credential>,
    /// `credHelpers`, by normal key.
    helpers: BTreeMap<String, String>,
    /// `credsStore`.
    store: Option<String>,
}

/// The answer of a keychain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup<'a> {
    /// These credentials.
    Found {
        /// The credentials.
        credential: &'a Credential,
        /// Who gave them, as a file name.
        source: &'a str,
    },
    /// A credential helper would have to be asked, and the keychain runs no programs.
    Helper {
        /// The helper's name, without `docker-credential-`.
        helper: &'a str,
        /// Who named it.
        source: &'a str,
    },
    /// Nothing is known: anonymous.
    None,
}

/// Which credentials were used for a request, to be told when they were refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialsUsed {
    /// None, because none matched in these sources.
    Anonymous {
        /// The names of the sources.
        sources: Vec<String>,
    },
    /// None, because only a helper program could give them.
    Helper {
        /// The helper's name, without `docker-credential-`.
        helper: String,
        /// Who named it.
        source: String,
    },
    /// Those of this source.
    Sent {
        /// Its name.
        source: String,
        /// The user, where there is one.
        username: Option<String>,
    },
}

/// Why a text is no Docker config. Its contents are never quoted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeychainError {
    /// It is not JSON of the expected form.
    #[error("{source_name}: malformed docker config at line {line}, column {column}")]
    Malformed {
        /// The name given for the text.
        source_name: String,
        /// One-based line.
        line: usize,
        /// One-based column.
        column: usize,
    },
    /// An entry's `auth` is not base64 of `user:password`.
    #[error("{source_name}: the auth of {key:?} is not base64 of user:password")]
    Auth {
        /// The name given for the text.
        source_name: String,
        /// The entry's key.
        key: String,
    },
}

/// Docker pads, Kubernetes' tools do not always.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DockerConfig {
    #[serde(default)]
    auths: Option<BTreeMap<String, Entry>>,
    #[serde(default)]
    cred_helpers: Option<BTreeMap<String, String>>,
    #[serde(default)]
    creds_store: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
    registrytoken: Option<String>,
}

impl Keychain {
    /// A keychain that knows nobody.
    #[must_use]
    pub fn anonymous() -> Self {
        Keychain::default()
    }

    /// The credentials of a Docker `config.json`. `source` is what the text is called in messages.
    pub fn from_docker_config(text: &str, source: &str) -> Result<Self, KeychainError> {
        // The message of serde_json quotes what it found, which may be a password: its position is enough.
        let config: DockerConfig = serde_json::from_str(text).map_err(|error| KeychainError::Malformed {
            source_name: source.to_owned(),
            line: error.line(),
            column: error.column(),
        })?;
        let mut credentials = BTreeMap::new();
        for (key, entry) in config.auths.unwrap_or_default() {
            let credential = entry
                .credential()
                .map_err(|()| KeychainError::Auth { source_name: source.to_owned(), key: key.clone() })?;
            if let Some(credential) = credential {
                credentials.insert(normal_key(&key), credential);
            }
        }
        let helpers = config.cred_helpers.unwrap_or_default();
        Ok(Keychain {
            sources: vec![Source {
                name: source.to_owned(),
                credentials,
                helpers: helpers.into_iter().map(|(key, helper)| (normal_key(&key), helper)).collect(),
                store: config.creds_store.filter(|store| !store.is_empty()),
            }],
        })
    }

    /// One credential, for a registry or for a path of it. `source` is what it is called in messages.
    #[must_use]
    pub fn of(key: &str, credential: Credential, source: &str) -> Self {
        let credentials = BTreeMap::from([(normal_key(key), credential)]);
        Keychain { sources: vec![Source { name: source.to_owned(), credentials, ..Source::default() }] }
    }

    /// This keychain, and where it knows nothing, the other.
    #[must_use]
    pub fn or(mut self, other: Keychain) -> Self {
        self.sources.extend(other.sources);
        self
    }

    /// The credentials for a repository of a registry: of `host/a/b`, `host/a` and `host` the longest that is there.
    ///
    /// Credentials that stand in a file go before a helper that the file names, and before a source further on.
    #[must_use]
    pub fn lookup(&self, registry: &str, repository: &str) -> Lookup<'_> {
        let host = normal_key(registry);
        for source in &self.sources {
            let mut key = format!("{host}/{repository}");
            loop {
                if let Some(credential) = source.credentials.get(&key) {
                    return Lookup::Found { credential, source: &source.name };
                }
                match key.rfind('/') {
                    Some(slash) => key.truncate(slash),
                    None => break,
                }
            }
            if let Some(helper) = source.helpers.get(&host).or(source.store.as_ref()) {
                return Lookup::Helper { helper, source: &source.name };
            }
        }
        Lookup::None
    }

    /// The names of the sources, for a message that says where nothing was found.
    pub(crate) fn source_names(&self) -> Vec<String> {
        self.sources.iter().map(|source| source.name.clone()).collect()
    }
}

impl Entry {
    /// `auth` goes before `username` and `password`, as in Docker; an entry that says nothing is none.
    fn credential(&self) -> Result<Option<Credential>, ()> {
        let text = |field: &Option<String>| field.clone().filter(|text| !text.is_empty());
        if let Some(token) = text(&self.registrytoken) {
            return Ok(Some(Credential::RegistryToken(Secret::new(token))));
        }
        if let Some(token) = text(&self.identitytoken) {
            return Ok(Some(Credential::IdentityToken(Secret::new(token))));
        }
        let (username, password) = match text(&self.auth) {
            Some(auth) => {
                let bytes = BASE64.decode(auth.trim()).map_err(|_| ())?;
                let text = String::from_utf8(bytes).map_err(|_| ())?;
                let (username, password) = text.split_once(':').ok_or(())?;
                (username.to_owned(), password.trim_end_matches('\0').to_owned())
            }
            None => match (text(&self.username), text(&self.password)) {
                (Some(username), Some(password)) => (username, password),
                _ => return Ok(None),
            },
        };
        if username.is_empty() {
            return Err(());
        }
        Ok(Some(Credential::Basic { username, password: Secret::new(password) }))
    }
}

impl CredentialsUsed {
    pub(crate) fn hint(&self, registry: &str) -> String {
        match self {
            CredentialsUsed::Anonymous { sources } if sources.is_empty() => {
                format!("there are no credentials at all; give some for {registry} in docker's config.json")
            }
            CredentialsUsed::Anonymous { sources } => {
                format!("no credentials matched {registry} in {}", sources.join(", "))
            }
            CredentialsUsed::Helper { helper, source } => format!(
                "{source} leaves {registry} to the credential helper docker-credential-{helper}, which was not run"
            ),
            CredentialsUsed::Sent { source, username: Some(username) } => {
                format!("{registry} did not accept user {username} of {source}")
            }
            CredentialsUsed::Sent { source, username: None } => {
                format!("{registry} did not accept the token of {source}")
            }
        }
    }
}

/// `host[:port][/path]`: without a scheme, without the `/v1/` or `/v2/` of an API, and one name for Docker Hub.
fn normal_key(key: &str) -> String {
    let key = key.split_once("://").map_or(key, |(_, rest)| rest).trim_end_matches('/');
    let (host, path) = key.split_once('/').unwrap_or((key, ""));
    let path = match path.split_once('/') {
        Some(("v1" | "v2", rest)) => rest,
        None if matches!(path, "v1" | "v2") => "",
        _ => path,
    };
    let host = host.to_ascii_lowercase();
    let host = match host.as_str() {
        "index.docker.io" | "registry-1.docker.io" => "docker.io",
        other => other,
    };
    if path.is_empty() { host.to_owned() } else { format!("{host}/{path}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(config: &str, reference: &str) -> String {
        let keychain = match Keychain::from_docker_config(config, "config.json") {
            Ok(keychain) => keychain,
            Err(error) => return error.to_string(),
        };
        let reference: oci::Reference = reference.parse().unwrap();
        match keychain.lookup(reference.registry(), reference.repository()) {
            Lookup::Found { credential: Credential::Basic { username, password }, .. } => {
                format!("{username}:{}", password.expose())
            }
            Lookup::Found { credential: Credential::IdentityToken(token), .. } => {
                format!("identity {}", token.expose())
            }
            Lookup::Found { credential: Credential::RegistryToken(token), .. } => {
                format!("bearer {}", token.expose())
            }
            Lookup::Helper { helper, .. } => format!("helper {helper}"),
            Lookup::None => "none".to_owned(),
        }
    }

    #[test]
    fn lookups() {
        let auths = |entries: &str| format!(r#"{{"auths":{{{entries}}}}}"#);
        let user = |key: &str, name: &str| format!(r#""{key}":{{"username":"{name}","password":"p"}}"#);
        let one = |key: &str| auths(&user(key, "u"));
        let paths = auths(
            &[user("h.example", "host"), user("h.example/a", "a"), user("h.example/a/b", "ab")].join(","),
        );
        for (config, reference, expected) in [
            (one("https://index.docker.io/v1/"), "busybox", "u:p"),
            (one("docker.io"), "user/app", "u:p"),
            (one("registry-1.docker.io"), "user/app", "u:p"),
            (one("https://h.example"), "h.example/a", "u:p"),
            (one("https://h.example/v2/"), "h.example/a", "u:p"),
            (one("http://h.example:5000/v1/"), "h.example:5000/a", "u:p"),
            (one("h.example"), "h.example:5000/a", "none"),
            (one("h.example/a"), "h.example/ab", "none"),
            (one("h.example"), "busybox", "none"),
            (paths.clone(), "h.example/a/b/c", "ab:p"),
            (paths.clone(), "h.example/a/b", "ab:p"),
            (paths.clone(), "h.example/a/c", "a:p"),
            (paths, "h.example/b", "host:p"),
            // base64 of `u:p:q`, padded and not, and with the NULs that docker trims.
            (auths(r#""h.example":{"auth":"dTpwOnE="}"#), "h.example/a", "u:p:q"),
            (auths(r#""h.example":{"auth":"dTpwOnE"}"#), "h.example/a", "u:p:q"),
            (auths(r#""h.example":{"auth":"dTpwAAA="}"#), "h.example/a", "u:p"),
            (auths(r#""h.example":{"auth":"dTpw","username":"x","password":"y"}"#), "h.example/a", "u:p"),
            (auths(r#""h.example":{"auth":"eDo=","identitytoken":"t"}"#), "h.example/a", "identity t"),
            (auths(r#""h.example":{"registrytoken":"t"}"#), "h.example/a", "bearer t"),
            (auths(r#""h.example":{}"#), "h.example/a", "none"),
            ("{}".to_owned(), "h.example/a", "none"),
            (
                r#"{"auths":null,"credHelpers":{"h.example":"ecr-login"}}"#.to_owned(),
                "h.example/a",
                "helper ecr-login",
            ),
            (r#"{"credHelpers":{"h.example":"ecr-login"}}"#.to_owned(), "i.example/a", "none"),
            (r#"{"credsStore":"desktop"}"#.to_owned(), "h.example/a", "helper desktop"),
            (
                auths(r#""h.example":{"auth":"bm9jb2xvbg=="}"#),
                "h.example/a",
                r#"config.json: the auth of "h.example" is not base64 of user:password"#,
            ),
            (
                r#"{"auths":{"h":"hunter2"}}"#.to_owned(),
                "h.example/a",
                "config.json: malformed docker config at line 1, column 23",
            ),
        ] {
            assert_eq!(answer(&config, reference), expected, "{config} for {reference}");
        }
    }

    #[test]
    fn the_first_source_wins() {
        let user =
            |name: &str| Credential::Basic { username: name.to_owned(), password: Secret::new("hunter2") };
        let keychain = Keychain::of("h.example", user("first"), "environment").or(Keychain::of(
            "h.example/a",
            user("second"),
            "file",
        ));
        assert_eq!(
            keychain.lookup("h.example", "a"),
            Lookup::Found { credential: &user("first"), source: "environment" }
        );
        assert!(!format!("{keychain:?}").contains("hunter2"));
    }
}

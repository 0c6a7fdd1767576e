//! Docker's `config.json`, its older form `.dockercfg`, and those who took over the format: containers' `auth.json`, the
//! two types of Kubernetes secrets, `DOCKER_AUTH_CONFIG` ([docker login]).
//!
//! [docker login]: https://docs.docker.com/reference/cli/docker/login/

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use transport::Secret;

use crate::key::Key;
use crate::{Credential, KeychainError};

/// What a text says.
#[derive(Debug, Clone, Default)]
pub(crate) struct DockerConfig {
    /// `auths`, the keys that say most first.
    pub(crate) credentials: Vec<(Key, Credential)>,
    /// `credHelpers`.
    pub(crate) helpers: Vec<(Key, String)>,
    /// `credsStore`.
    pub(crate) store: Option<String>,
}

/// Docker pads, Kubernetes' tools do not always.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ConfigJson {
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

impl DockerConfig {
    /// Reads a text in either form. `source` is what it is called in messages.
    pub(crate) fn parse(text: &str, source: &str) -> Result<Self, KeychainError> {
        // The message of serde_json quotes what it found, which may be a password: its position is enough.
        let malformed = |error: serde_json::Error| KeychainError::Malformed {
            source_name: source.to_owned(),
            line: error.line(),
            column: error.column(),
        };
        let config = if is_legacy(text) {
            let entries = serde_json::from_str(text).map_err(malformed)?;
            ConfigJson { auths: Some(entries), cred_helpers: None, creds_store: None }
        } else {
            serde_json::from_str(text).map_err(malformed)?
        };
        let mut credentials = Vec::new();
        for (key, entry) in config.auths.unwrap_or_default() {
            let wrong = |()| KeychainError::Auth { source_name: source.to_owned(), key: key.clone() };
            if let Some(credential) = entry.credential().map_err(wrong)? {
                credentials.push((Key::new(&key), credential));
            }
        }
        credentials.sort_by_key(|(key, _)| key.order());
        let name = |helper: String| {
            // It becomes a part of a file's name.
            let is_name = helper.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
            if is_name {
                Ok(helper)
            } else {
                Err(KeychainError::Helper { source_name: source.to_owned(), helper })
            }
        };
        let mut helpers = Vec::new();
        for (key, helper) in config.cred_helpers.unwrap_or_default() {
            // An empty name takes a helper back, which for us is none.
            if !helper.is_empty() {
                helpers.push((Key::new(&key), name(helper)?));
            }
        }
        helpers.sort_by_key(|(key, _)| key.order());
        let store = config.creds_store.filter(|store| !store.is_empty());
        let store = store.map(name).transpose()?;
        Ok(DockerConfig { credentials, helpers, store })
    }
}

/// True for the form of `.dockercfg`, which has registries where the other has `auths`.
fn is_legacy(text: &str) -> bool {
    let Ok(entries) = serde_json::from_str::<BTreeMap<String, serde_json::Value>>(text) else { return false };
    let known = ["auth", "username", "password", "identitytoken", "registrytoken", "email"];
    let is_entry = |value: &serde_json::Value| known.iter().any(|name| value[*name].is_string());
    !entries.contains_key("auths") && !entries.is_empty() && entries.values().all(is_entry)
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

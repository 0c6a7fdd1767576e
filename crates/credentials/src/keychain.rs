//! The keychain: sources in an order, what of them matches a repository, and what a match comes to.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use cloud::{Clouds, Environment};

use crate::chain::{self, Helper};
use crate::docker_config::DockerConfig;
use crate::hosts::CloudRegistry;
use crate::key::Key;
use crate::native::{self, Given};
use crate::{AnswerError, Credential, KeychainError, helper};

/// What a helper gave is asked for again after so long: nobody says when it ends.
const HELPER_TERM: Duration = Duration::from_secs(1800);

/// One that failed is not asked again for so long.
const FAILURE_TERM: Duration = Duration::from_secs(60);

/// Credentials from several sources. Clones share what was asked for.
#[derive(Debug, Clone, Default)]
pub struct Keychain {
    sources: Vec<Source>,
    asked: Arc<Mutex<HashMap<Question, Arc<tokio::sync::Mutex<Slot>>>>>,
}

#[derive(Debug, Clone)]
enum Source {
    /// A text in Docker's format.
    Config { name: String, config: Arc<DockerConfig>, helpers: Arc<Helpers> },
    /// One credential for one key.
    One { name: String, key: Key, credential: Credential },
    /// The variables `KANIKO_HOST_USER` and `KANIKO_HOST_PASSWORD`.
    Variables { environment: Environment },
    /// Clouds, for their own registries.
    Clouds { clouds: Clouds, helpers: Vec<Helper> },
}

/// How helper programs are run.
#[derive(Debug)]
struct Helpers {
    environment: Environment,
    limit: Duration,
}

/// Something that may have the credentials for a repository.
#[derive(Debug, Clone)]
pub struct Match {
    /// What it is called in messages.
    pub source: String,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Ready(Credential),
    Helper { helper: String, key: String, helpers: Arc<Helpers> },
    Cloud { registry: CloudRegistry, clouds: Clouds },
}

/// What is asked for at most once at a time.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Question {
    Helper { helper: String, key: String },
    Cloud(CloudRegistry),
}

#[derive(Debug, Default)]
struct Slot {
    kept: Option<Kept>,
    /// What was given last has been refused.
    refused: bool,
}

#[derive(Debug)]
struct Kept {
    outcome: Result<Option<Credential>, String>,
    until: Instant,
}

/// What a match came to.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The credentials.
    pub credential: Credential,
    /// True if they were given some time ago, and asking again may give others.
    pub is_kept: bool,
}

impl Keychain {
    /// A keychain that knows nobody.
    #[must_use]
    pub fn anonymous() -> Self {
        Keychain::default()
    }

    /// The credentials of a Docker `config.json`. `source` is what the text is called in messages. A helper that it
    /// names is not found.
    pub fn from_docker_config(text: &str, source: &str) -> Result<Self, KeychainError> {
        Keychain::with_helpers(text, source, Environment::default())
    }

    /// The same, and helpers that it names are run: those that the environment's `PATH` leads to, with that
    /// environment.
    pub fn with_helpers(text: &str, source: &str, environment: Environment) -> Result<Self, KeychainError> {
        let config = Arc::new(DockerConfig::parse(text, source)?);
        let helpers = Arc::new(Helpers { environment, limit: helper::LIMIT });
        Ok(Keychain::default().and(Source::Config { name: source.to_owned(), config, helpers }))
    }

    /// One credential, for a registry or for a path of it. `source` is what it is called in messages.
    #[must_use]
    pub fn of(key: &str, credential: Credential, source: &str) -> Self {
        Keychain::default().and(Source::One { name: source.to_owned(), key: Key::new(key), credential })
    }

    /// The variables `KANIKO_HOST_USER` and `KANIKO_HOST_PASSWORD`.
    pub(crate) fn of_variables(environment: Environment) -> Self {
        Keychain::default().and(Source::Variables { environment })
    }

    /// Clouds, each for its own registries and if it is among the helpers.
    #[must_use]
    pub fn of_clouds(clouds: Clouds, helpers: &[Helper]) -> Self {
        Keychain::default().and(Source::Clouds { clouds, helpers: helpers.to_vec() })
    }

    fn and(mut self, source: Source) -> Self {
        self.sources.push(source);
        self
    }

    /// This keychain, and behind it the other.
    #[must_use]
    pub fn or(mut self, other: Keychain) -> Self {
        self.sources.extend(other.sources);
        self
    }

    /// What may have the credentials for a repository of a registry, best first: source by source, and in one source
    /// helpers that are named for the registry, then keys, the longest path first, then the helper for all registries.
    #[must_use]
    pub fn matches(&self, registry: &str, repository: &str) -> Vec<Match> {
        let key = Key::new(registry);
        let mut matches = Vec::new();
        for source in &self.sources {
            match source {
                Source::One { name, key: own, credential } if own.covers(&key, repository) => {
                    matches.push(Match { source: name.clone(), kind: Kind::Ready(credential.clone()) });
                }
                Source::One { .. } => {}
                Source::Config { name, config, helpers } => {
                    let ask = |helper: &String| Match {
                        source: format!("docker-credential-{helper} of {name}"),
                        kind: Kind::Helper {
                            helper: helper.clone(),
                            key: helper_key(registry),
                            helpers: Arc::clone(helpers),
                        },
                    };
                    let named = config.helpers.iter().find(|(own, _)| own.is_registry(&key));
                    matches.extend(named.map(|(_, helper)| ask(helper)));
                    let ready = config.credentials.iter().filter(|(own, _)| own.covers(&key, repository));
                    matches.extend(ready.map(|(_, credential)| Match {
                        source: name.clone(),
                        kind: Kind::Ready(credential.clone()),
                    }));
                    let is_named = |helper: &&String| named.is_none_or(|(_, named)| named != *helper);
                    matches.extend(config.store.as_ref().filter(is_named).map(ask));
                }
                Source::Variables { environment } => {
                    if let Some((name, credential)) = chain::variables(environment, registry) {
                        matches.push(Match { source: name, kind: Kind::Ready(credential) });
                    }
                }
                Source::Clouds { clouds, helpers } => {
                    let host = registry.to_ascii_lowercase();
                    let found = CloudRegistry::of(&host).filter(|found| helpers.contains(&Helper::of(found)));
                    if let Some(registry) = found {
                        let source = native::name(&registry).to_owned();
                        matches
                            .push(Match { source, kind: Kind::Cloud { registry, clouds: clouds.clone() } });
                    }
                }
            }
        }
        // A cloud of ours does what its helper does, so one that is not installed is not missed.
        let has_cloud = matches.iter().any(|found| matches!(found.kind, Kind::Cloud { .. }));
        matches.retain(|found| match &found.kind {
            Kind::Helper { helper, helpers, .. } => {
                !(has_cloud
                    && chain::is_native(helper)
                    && helper::find(helper, &helpers.environment).is_none())
            }
            _ => true,
        });
        matches
    }

    /// The names of the sources, for a message that says where nothing was found.
    #[must_use]
    pub fn source_names(&self) -> Vec<String> {
        let named = |source: &Source| match source {
            Source::Config { name, .. } | Source::One { name, .. } => Some(name.clone()),
            Source::Variables { .. } | Source::Clouds { .. } => None,
        };
        self.sources.iter().filter_map(named).collect()
    }

    /// The credentials of a match; none if it knows none after all.
    pub async fn answer(&self, found: &Match) -> Result<Option<Answer>, AnswerError> {
        let question = match &found.kind {
            Kind::Ready(credential) => {
                return Ok(Some(Answer { credential: credential.clone(), is_kept: false }));
            }
            kind => question(kind),
        };
        let slot = self.slot(question);
        let mut slot = slot.lock().await;
        let is_kept = !slot.refused && slot.kept.as_ref().is_some_and(|kept| Instant::now() < kept.until);
        if !is_kept {
            let outcome = ask(&found.kind, slot.refused).await;
            slot.refused = false;
            let (outcome, until) = match outcome {
                Ok((credential, term)) => (Ok(credential), Instant::now() + term),
                Err(reason) => (Err(reason), Instant::now() + FAILURE_TERM),
            };
            tracing::debug!(
                source = found.source,
                found = matches!(outcome, Ok(Some(_))),
                "asked for credentials"
            );
            slot.kept = Some(Kept { outcome, until });
        }
        match slot.kept.as_ref().map(|kept| &kept.outcome) {
            Some(Ok(credential)) => Ok(credential.clone().map(|credential| Answer { credential, is_kept })),
            Some(Err(reason)) => {
                Err(AnswerError { source_name: found.source.clone(), reason: reason.clone() })
            }
            None => Ok(None),
        }
    }

    /// Takes note that what a match gave was refused: the next answer is asked for anew, unless that has happened
    /// meanwhile.
    pub async fn refuse(&self, found: &Match, refused: &Credential) {
        if matches!(found.kind, Kind::Ready(_)) {
            return;
        }
        let slot = self.slot(question(&found.kind));
        let mut slot = slot.lock().await;
        if let Some(Kept { outcome: Ok(Some(credential)), .. }) = &slot.kept
            && credential == refused
        {
            slot.refused = true;
        }
    }

    fn slot(&self, question: Question) -> Arc<tokio::sync::Mutex<Slot>> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(asked.entry(question).or_default())
    }
}

impl Match {
    /// True if asking again can give something else.
    #[must_use]
    pub fn can_renew(&self) -> bool {
        !matches!(self.kind, Kind::Ready(_))
    }
}

fn question(kind: &Kind) -> Question {
    match kind {
        Kind::Cloud { registry, .. } => Question::Cloud(registry.clone()),
        Kind::Helper { helper, key, .. } => Question::Helper { helper: helper.clone(), key: key.clone() },
        Kind::Ready(_) => Question::Helper { helper: String::new(), key: String::new() },
    }
}

/// Runs the helper or asks the cloud. `again`: what it gave before was refused.
async fn ask(kind: &Kind, again: bool) -> Result<(Option<Credential>, Duration), String> {
    match kind {
        Kind::Ready(credential) => Ok((Some(credential.clone()), HELPER_TERM)),
        Kind::Helper { helper, key, helpers } => {
            let path = helper::find(helper, &helpers.environment)
                .ok_or_else(|| format!("docker-credential-{helper} is not installed"))?;
            let found = helper::get(path, key, &helpers.environment, helpers.limit).await?;
            Ok((found, HELPER_TERM))
        }
        Kind::Cloud { registry, clouds } => match native::give(clouds, registry, again).await {
            Ok(Given { credential, expires }) => {
                let left = expires.and_then(|end| end.duration_since(SystemTime::now()).ok());
                Ok((Some(credential), if expires.is_some() { left.unwrap_or_default() } else { HELPER_TERM }))
            }
            Err(error) => Err(error.to_string()),
        },
    }
}

/// What helpers know a registry as: Docker Hub by its old address.
fn helper_key(registry: &str) -> String {
    match registry {
        "docker.io" | "index.docker.io" | "registry-1.docker.io" => "https://index.docker.io/v1/".to_owned(),
        other => other.to_owned(),
    }
}

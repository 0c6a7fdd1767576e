//! The chain: every place where users of Docker, Kaniko, Podman, Kubernetes and GitLab put credentials, in one order.

use std::path::PathBuf;
use std::str::FromStr;

use cloud::{Clouds, Environment};
use transport::Secret;

use crate::hosts::CloudRegistry;
use crate::{Credential, Keychain, KeychainError, files};

/// What of the chain can be left out: Kaniko's `--credential-helpers`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Helper {
    /// `KANIKO_HOST_USER` and `KANIKO_HOST_PASSWORD`.
    Env,
    /// Google's registries.
    Google,
    /// Amazon's registries.
    Ecr,
    /// Microsoft's registries.
    Acr,
    /// `CI_REGISTRY` and its kin.
    Gitlab,
}

impl Helper {
    /// All of them.
    pub const ALL: [Helper; 5] = [Helper::Env, Helper::Google, Helper::Ecr, Helper::Acr, Helper::Gitlab];

    pub(crate) fn of(registry: &CloudRegistry) -> Self {
        match registry {
            CloudRegistry::Ecr { .. } | CloudRegistry::EcrPublic => Helper::Ecr,
            CloudRegistry::Google => Helper::Google,
            CloudRegistry::Acr { .. } => Helper::Acr,
        }
    }
}

impl FromStr for Helper {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "env" => Ok(Helper::Env),
            "google" => Ok(Helper::Google),
            "ecr" => Ok(Helper::Ecr),
            "acr" => Ok(Helper::Acr),
            "gitlab" => Ok(Helper::Gitlab),
            _ => Err(format!("{text:?} is none of env, google, ecr, acr, gitlab")),
        }
    }
}

/// True for a helper program that does what we do ourselves.
pub(crate) fn is_native(helper: &str) -> bool {
    matches!(helper, "ecr-login" | "gcr" | "gcloud" | "acr" | "acr-env" | "acr-linux")
}

/// What the chain is made from.
#[derive(Debug, Clone)]
pub struct ChainOptions {
    /// Files or directories that go before everything else.
    pub authfiles: Vec<PathBuf>,
    /// What may answer beside files.
    pub helpers: Vec<Helper>,
    /// The user we are, for `/run/containers`.
    pub uid: u32,
}

/// The chain, and what there is to say of it.
#[derive(Debug)]
pub struct Chain {
    /// The credentials.
    pub keychain: Keychain,
    /// What was found where, for whoever looks for a mistake.
    pub notes: Vec<String>,
    /// What is probably a mistake.
    pub warnings: Vec<String>,
}

/// The whole chain. Files are read now; helpers and clouds are asked when a registry wants somebody.
pub fn chain(
    options: &ChainOptions,
    environment: &Environment,
    clouds: Clouds,
) -> Result<Chain, KeychainError> {
    let mut chain = Chain { keychain: Keychain::anonymous(), notes: Vec::new(), warnings: Vec::new() };
    let mut seen = Vec::new();
    for path in &options.authfiles {
        if !path.exists() {
            let reason = "there is no such file".to_owned();
            return Err(KeychainError::Read { path: path.display().to_string(), reason });
        }
        chain.add_path(path.clone(), true, environment, &mut seen)?;
    }
    if options.helpers.contains(&Helper::Env) {
        chain.keychain = chain.keychain.or(Keychain::of_variables(environment.clone()));
        chain.warnings.extend(halves(environment));
    }
    if let Some(text) = environment.get("DOCKER_AUTH_CONFIG") {
        chain.add_text(text, "DOCKER_AUTH_CONFIG", environment)?;
    }
    for (path, deep) in places(environment, options.uid) {
        chain.add_path(path, deep, environment, &mut seen)?;
    }
    if options.helpers.contains(&Helper::Gitlab) {
        for (key, username, password, name) in gitlab(environment) {
            let credential = Credential::Basic { username, password: Secret::new(password) };
            chain.keychain = chain.keychain.or(Keychain::of(&key, credential, name));
            chain.notes.push(format!("credentials for {key} in {name}"));
        }
    }
    chain.keychain = chain.keychain.or(Keychain::of_clouds(clouds, &options.helpers));
    Ok(chain)
}

impl Chain {
    fn add_text(&mut self, text: &str, name: &str, environment: &Environment) -> Result<(), KeychainError> {
        let found = Keychain::with_helpers(text, name, environment.clone())?;
        self.keychain = std::mem::take(&mut self.keychain).or(found);
        self.notes.push(format!("credentials are read from {name}"));
        Ok(())
    }

    /// Adds the files of a path. Those that were there already, by whatever way, are not.
    fn add_path(
        &mut self,
        path: PathBuf,
        deep: bool,
        environment: &Environment,
        seen: &mut Vec<PathBuf>,
    ) -> Result<(), KeychainError> {
        for file in files::of(&path, deep)? {
            let real = file.canonicalize().unwrap_or_else(|_| file.clone());
            if seen.contains(&real) {
                continue;
            }
            if let Some(text) = files::read(&file)? {
                // An empty file is what some mount where they have nothing to give.
                if !text.trim().is_empty() {
                    self.add_text(&text, &file.display().to_string(), environment)?;
                }
                seen.push(real);
            } else if file.exists() {
                self.notes.push(format!("{} cannot be read by us, and is passed over", file.display()));
            }
        }
        Ok(())
    }
}

/// Where files of credentials are, and whether directories in a directory count.
fn places(environment: &Environment, uid: u32) -> Vec<(PathBuf, bool)> {
    let home = environment.path("HOME");
    let below_home = |path: &str| home.as_ref().map(|home| home.join(path));
    let runtime = environment.path("XDG_RUNTIME_DIR").map(|path| path.join("containers/auth.json"));
    let config = environment.path("XDG_CONFIG_HOME").map(|path| path.join("containers/auth.json"));
    let all = [
        (environment.path("REGISTRY_AUTH_FILE"), true),
        (environment.path("DOCKER_CONFIG"), false),
        (below_home(".docker"), false),
        // Kaniko's `DOCKER_CONFIG` follows its directory.
        (environment.path("KANIKO_DIR").map(|path| path.join(".docker")), false),
        (Some(PathBuf::from("/kaniko/.docker")), false),
        (runtime.or_else(|| Some(PathBuf::from(format!("/run/containers/{uid}/auth.json")))), false),
        (config.or_else(|| below_home(".config/containers/auth.json")), false),
        (below_home(".dockercfg"), false),
        // The root of the file system is where the kubelet looks last.
        (Some(PathBuf::from("/.docker")), false),
        (Some(PathBuf::from("/.dockercfg")), false),
    ];
    all.into_iter().filter_map(|(path, deep)| Some((path?, deep))).collect()
}

/// What GitLab's jobs are given: the host, the user, the password, and the variable that says so.
fn gitlab(environment: &Environment) -> Vec<(String, String, String, &'static str)> {
    let value = |name: &str| environment.get(name).map(str::to_owned);
    let mut found = Vec::new();
    if let Some(host) = value("CI_REGISTRY") {
        if let (Some(user), Some(password)) = (value("CI_REGISTRY_USER"), value("CI_REGISTRY_PASSWORD")) {
            found.push((host.clone(), user, password, "CI_REGISTRY_USER"));
        } else if let Some(token) = value("CI_JOB_TOKEN") {
            found.push((host.clone(), "gitlab-ci-token".to_owned(), token, "CI_JOB_TOKEN"));
        }
        if let (Some(user), Some(password)) = (value("CI_DEPLOY_USER"), value("CI_DEPLOY_PASSWORD")) {
            found.push((host, user, password, "CI_DEPLOY_USER"));
        }
    }
    let proxy = ["SERVER", "USER", "PASSWORD"].map(|name| value(&format!("CI_DEPENDENCY_PROXY_{name}")));
    if let [Some(host), Some(user), Some(password)] = proxy {
        found.push((host, user, password, "CI_DEPENDENCY_PROXY_USER"));
    }
    found
}

/// What `KANIKO_HOST_USER` and `KANIKO_HOST_PASSWORD` say of a registry: the host in capitals, everything else an
/// underscore, and ever shorter ends of it.
pub(crate) fn variables(environment: &Environment, registry: &str) -> Option<(String, Credential)> {
    let host = match registry {
        "docker.io" | "registry-1.docker.io" => "index.docker.io",
        other => other,
    };
    let mut rest = host;
    loop {
        let name: String = rest
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' })
            .collect();
        let (user, password) = (format!("KANIKO_{name}_USER"), format!("KANIKO_{name}_PASSWORD"));
        if let (Some(username), Some(password)) = (environment.get(&user), environment.get(&password)) {
            let password = Secret::new(password);
            return Some((user, Credential::Basic { username: username.to_owned(), password }));
        }
        rest = match rest.split_once('.') {
            Some((_, shorter)) => shorter,
            // The port is tried with the whole host, and then no more.
            None => return without_port(environment, host),
        };
    }
}

fn without_port(environment: &Environment, host: &str) -> Option<(String, Credential)> {
    let (name, port) = host.rsplit_once(':')?;
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit());
    if is_port { variables(environment, name) } else { None }
}

/// Users without passwords and the other way round.
fn halves(environment: &Environment) -> Vec<String> {
    let mut warnings = Vec::new();
    for (name, _) in environment.iter() {
        let Some(rest) = name.strip_prefix("KANIKO_") else { continue };
        let other = match (rest.strip_suffix("_USER"), rest.strip_suffix("_PASSWORD")) {
            (Some(host), _) => format!("KANIKO_{host}_PASSWORD"),
            (_, Some(host)) => format!("KANIKO_{host}_USER"),
            _ => continue,
        };
        if environment.get(&other).is_none() {
            warnings.push(format!("{name} is set, and {other} is not: it says nothing"));
        }
    }
    warnings
}

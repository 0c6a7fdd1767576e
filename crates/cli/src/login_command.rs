//! `bako login`: a user and a password into docker's `config.json`, as `docker login` puts them there.

use std::fs;
use std::io::{IsTerminal, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use base64::Engine as _;
use clap::Args;
use serde_json::{Map, Value, json};

use crate::{environment, terminal};

/// A login.
#[derive(Debug, Args)]
pub(crate) struct LoginArgs {
    /// The registry, as HOST[:PORT]; Docker Hub if not given.
    #[arg(value_name = "REGISTRY", default_value = "docker.io")]
    pub(crate) registry: String,
    /// The user.
    #[arg(long, short = 'u')]
    pub(crate) username: String,
    /// The password. Other users of the machine can see it while this runs.
    #[arg(long, short = 'p', required_unless_present = "password_stdin", conflicts_with = "password_stdin")]
    pub(crate) password: Option<String>,
    /// Read the password from standard input.
    #[arg(long)]
    pub(crate) password_stdin: bool,
}

/// Notes them. Whether the registry accepts them is seen at the first build.
pub(crate) fn run(args: &LoginArgs) -> ExitCode {
    match login(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            terminal::print_error(&format!("login: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn login(args: &LoginArgs) -> Result<()> {
    let password = match &args.password {
        Some(password) => password.clone(),
        None => password_of_stdin()?,
    };
    if args.username.is_empty() || args.username.contains(':') || password.is_empty() {
        bail!("a user without a colon and a password are needed");
    }
    let directory = environment::docker_config().context("neither DOCKER_CONFIG nor HOME is set")?;
    // It may be the file itself, as everywhere here.
    let (directory, path) = match directory.is_file() {
        true => (directory.parent().map(Path::to_owned).unwrap_or_default(), directory),
        false => (directory.clone(), directory.join("config.json")),
    };
    let before = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error).with_context(|| path.display().to_string()),
    };
    let text = with_login(&before, &args.registry, &args.username, &password)
        .with_context(|| path.display().to_string())?;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&directory)
        .with_context(|| directory.display().to_string())?;
    replace(&path, &text).with_context(|| path.display().to_string())
}

/// One line, whose end is no part of the password.
fn password_of_stdin() -> Result<String> {
    let mut stdin = std::io::stdin();
    if stdin.is_terminal() {
        bail!("--password-stdin: standard input is a terminal; pipe the password into it");
    }
    let mut text = String::new();
    stdin.read_to_string(&mut text).context("standard input")?;
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}

/// The file with one more entry, or with another one; everything else in it stays.
fn with_login(before: &str, registry: &str, user: &str, password: &str) -> Result<String> {
    let mut config: Map<String, Value> = match before.trim() {
        "" => Map::new(),
        // What stands there may be a secret, so only the place is told.
        text => serde_json::from_str(text)
            .map_err(|error| anyhow::anyhow!("malformed at line {}", error.line()))?,
    };
    let auth = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
    let auths = config.entry("auths").or_insert_with(|| json!({}));
    let Value::Object(auths) = auths else { bail!("`auths` is no object") };
    auths.insert(key(registry)?, json!({ "auth": auth }));
    Ok(serde_json::to_string_pretty(&config)? + "\n")
}

/// What a registry is called in that file.
fn key(registry: &str) -> Result<String> {
    let host = registry.trim_start_matches("https://").trim_start_matches("http://");
    let host = host.split('/').next().unwrap_or_default();
    Ok(match host {
        "" => bail!("a registry is needed, as HOST[:PORT]"),
        "docker.io" | "index.docker.io" | "registry-1.docker.io" => "https://index.docker.io/v1/".to_owned(),
        host => host.to_owned(),
    })
}

/// Whole or not at all, and for nobody else to read.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let beside = path.with_extension(format!("json.{}", std::process::id()));
    let written = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // Best effort: the error that matters is the first one.
        let _ = fs::remove_file(&beside);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries() {
        for (before, registry, expected) in [
            ("", "r.example:5000", r#"{"auths":{"r.example:5000":{"auth":"dTpwOnE="}}}"#),
            ("{}", "docker.io", r#"{"auths":{"https://index.docker.io/v1/":{"auth":"dTpwOnE="}}}"#),
            (
                r#"{"auths":{"a":{"auth":"x"},"r":{"auth":"y","email":"z"}},"credsStore":"s"}"#,
                "https://r/v2/",
                r#"{"auths":{"a":{"auth":"x"},"r":{"auth":"dTpwOnE="}},"credsStore":"s"}"#,
            ),
        ] {
            let text = with_login(before, registry, "u", "p:q").unwrap();
            let found: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(found, serde_json::from_str::<Value>(expected).unwrap(), "{registry}");
        }
        for (before, registry, says) in [
            ("{\"auths\": secret}", "r", "malformed at line 1"),
            ("{\"auths\": []}", "r", "`auths` is no object"),
            ("", "https://", "a registry is needed"),
        ] {
            let error = with_login(before, registry, "u", "p").unwrap_err().to_string();
            assert!(error.contains(says) && !error.contains("secret"), "{error}");
        }
    }
}

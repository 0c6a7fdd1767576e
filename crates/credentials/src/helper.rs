//! Credential helpers: programs `docker-credential-NAME` that know the credentials ([protocol]).
//!
//! [protocol]: https://docs.docker.com/reference/cli/docker/login/#credential-helper-protocol

use std::path::PathBuf;
use std::time::Duration;

use cloud::{Environment, Program, ProgramError};
use serde::Deserialize;
use transport::Secret;

use crate::Credential;

/// How long a helper may take. One that asks a cloud takes seconds.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// What a helper says if it knows nothing.
const NOT_FOUND: &str = "credentials not found in native keychain";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Found {
    #[serde(default)]
    username: String,
    #[serde(default)]
    secret: String,
}

/// The file of a helper, if it is installed.
pub(crate) fn find(suffix: &str, environment: &Environment) -> Option<PathBuf> {
    cloud::find_program(&format!("docker-credential-{suffix}"), environment)
}

/// Asks a helper about a key; nothing if it knows none.
pub(crate) async fn get(
    path: PathBuf,
    key: &str,
    environment: &Environment,
    limit: Duration,
) -> Result<Option<Credential>, String> {
    let program = Program { path, arguments: vec!["get".to_owned()], input: key.as_bytes().to_vec(), limit };
    let output = match program.run(environment).await {
        Ok(output) => output,
        Err(ProgramError::Failed { output }) if output.contains(NOT_FOUND) => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    // Its answer is not quoted: it is a password.
    let found: Found = serde_json::from_slice(&output).map_err(|_| "did not answer in JSON".to_owned())?;
    if found.secret.is_empty() {
        return Ok(None);
    }
    let secret = Secret::new(found.secret);
    Ok(Some(match found.username.as_str() {
        "<token>" => Credential::IdentityToken(secret),
        "" => return Err("gave a password without a user".to_owned()),
        _ => Credential::Basic { username: found.username, password: secret },
    }))
}

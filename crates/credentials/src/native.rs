//! Clouds as sources: what each gives for its own registries.

use std::time::{Duration, SystemTime};

use cloud::{Clouds, Error};

use crate::hosts::CloudRegistry;
use crate::{Credential, acr, ecr};

/// Credentials of a cloud, and their end.
#[derive(Debug, Clone)]
pub(crate) struct Given {
    pub(crate) credential: Credential,
    pub(crate) expires: Option<SystemTime>,
}

/// What the user of Google's registries is called whose password is an access token.
const GOOGLE_USER: &str = "oauth2accesstoken";

/// What messages call a cloud.
pub(crate) fn name(registry: &CloudRegistry) -> &'static str {
    match registry {
        CloudRegistry::Ecr { .. } | CloudRegistry::EcrPublic => "AWS",
        CloudRegistry::Google => "Google Cloud",
        CloudRegistry::Acr { .. } => "Azure",
    }
}

/// Asks the cloud of a registry. `again`: what it gave before was refused, so nothing that is kept is used.
pub(crate) async fn give(clouds: &Clouds, registry: &CloudRegistry, again: bool) -> Result<Given, Error> {
    match registry {
        CloudRegistry::Ecr { .. } | CloudRegistry::EcrPublic => {
            if again {
                clouds.aws.forget().await;
            }
            ecr::token(clouds, registry).await
        }
        CloudRegistry::Google => {
            if again {
                clouds.google.forget().await;
            }
            let token = clouds.google.token().await?;
            let credential = Credential::Basic { username: GOOGLE_USER.to_owned(), password: token.secret };
            Ok(Given { credential, expires: token.expires.map(|end| end - Duration::from_secs(60)) })
        }
        CloudRegistry::Acr { host } => acr::token(clouds, host, again).await,
    }
}

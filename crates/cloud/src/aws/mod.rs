//! AWS: credentials as the SDKs find them, and signatures made with them.
//!
//! The order is that of the [SDKs]: environment, web identity (IRSA), profile, container (ECS, EKS pod identity),
//! instance metadata. The first that is configured answers; if it fails, that is an error and not a reason to be
//! somebody else.
//!
//! [SDKs]: https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html

mod container;
mod instance;
mod profile;
mod sign;
mod sts;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use transport::Secret;
use url::Url;

use crate::kept::{Ends, Kept};
use crate::{Environment, Error, Program, Services};

use profile::Profiles;
pub use sign::{EMPTY_HASH, Signer, UNSIGNED, hash};

/// How long a `credential_process` may take.
const PROCESS: std::time::Duration = std::time::Duration::from_secs(60);

/// Profiles that lead to each other at most.
const CHAIN: usize = 8;

/// What signs a request.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The public half.
    pub access_key_id: String,
    /// The secret half.
    pub secret_access_key: Secret,
    /// What comes with the two if they are temporary.
    pub session_token: Option<Secret>,
    /// Their end.
    pub expires: Option<SystemTime>,
    /// Which of the ways gave them.
    pub source: String,
}

impl Ends for Credentials {
    fn end(&self) -> Option<SystemTime> {
        self.expires
    }
}

/// The domain of a region's services.
#[must_use]
pub fn domain(region: &str) -> &'static str {
    match region {
        region if region.starts_with("cn-") => "amazonaws.com.cn",
        region if region.starts_with("us-iso-") => "c2s.ic.gov",
        region if region.starts_with("us-isob-") => "sc2s.sgov.gov",
        _ => "amazonaws.com",
    }
}

/// AWS as this process sees it.
#[derive(Debug, Clone)]
pub struct Aws {
    services: Arc<Services>,
    kept: Arc<Kept<Credentials>>,
}

/// Credentials as JSON, as containers, instances and processes give them.
#[derive(serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CredentialsJson {
    code: Option<String>,
    message: Option<String>,
    access_key_id: Option<String>,
    secret_access_key: Option<String>,
    token: Option<String>,
    session_token: Option<String>,
    expiration: Option<String>,
}

impl CredentialsJson {
    fn credentials(self, source: &str) -> Result<Credentials, Error> {
        if let Some(code) = self.code.filter(|code| code != "Success") {
            let message = self.message.unwrap_or_default();
            return Err(Error::failed(source, format!("{code} {message}").trim()));
        }
        let (Some(access_key_id), Some(secret)) = (self.access_key_id, self.secret_access_key) else {
            return Err(Error::failed(source, "its answer holds no credentials"));
        };
        Ok(Credentials {
            access_key_id,
            secret_access_key: Secret::new(secret),
            session_token: self.token.or(self.session_token).map(Secret::new),
            expires: self.expiration.as_deref().and_then(crate::parse_time),
            source: source.to_owned(),
        })
    }
}

impl Aws {
    pub(crate) fn new(services: Arc<Services>) -> Self {
        Aws { services, kept: Arc::default() }
    }

    fn environment(&self) -> &Environment {
        &self.services.environment
    }

    /// The credentials, kept until shortly before their end.
    pub async fn credentials(&self) -> Result<Credentials, Error> {
        self.kept
            .get(async {
                let found = self.find().await?;
                tracing::debug!(source = found.source, "AWS credentials");
                Ok(found)
            })
            .await
    }

    /// Forgets the credentials, since they were refused.
    pub async fn forget(&self) {
        self.kept.forget().await;
    }

    /// The region, if one is configured: `AWS_REGION`, `AWS_DEFAULT_REGION`, that of the profile.
    #[must_use]
    pub fn region(&self) -> Option<String> {
        let given = self.environment().first(&["AWS_REGION", "AWS_DEFAULT_REGION"]).map(str::to_owned);
        given.or_else(|| {
            let profiles = Profiles::read(self.environment()).ok()?;
            profiles.get(&self.profile_name())?.get("region").cloned()
        })
    }

    /// The address of a service that the environment gives in place of AWS's own: `AWS_ENDPOINT_URL_SERVICE`, else
    /// `AWS_ENDPOINT_URL`.
    pub fn endpoint(&self, service: &str) -> Result<Option<Url>, Error> {
        let own = format!("AWS_ENDPOINT_URL_{service}");
        if self.environment().flag("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS") {
            return Ok(None);
        }
        let Some(text) = self.environment().first(&[&own, "AWS_ENDPOINT_URL"]) else { return Ok(None) };
        match text.parse::<Url>() {
            Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(Some(url)),
            _ => Err(Error::failed(own, "is not an http URL")),
        }
    }

    /// True if something here says that we have an identity, so that it is worth to look for it.
    #[must_use]
    pub fn is_configured(&self) -> bool {
        let names = [
            "AWS_ACCESS_KEY_ID",
            "AWS_WEB_IDENTITY_TOKEN_FILE",
            "AWS_PROFILE",
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        ];
        self.environment().first(&names).is_some()
            || Profiles::read(self.environment()).is_ok_and(|profiles| profiles.get("default").is_some())
    }

    fn profile_name(&self) -> String {
        self.environment().first(&["AWS_PROFILE", "AWS_DEFAULT_PROFILE"]).unwrap_or("default").to_owned()
    }

    async fn find(&self) -> Result<Credentials, Error> {
        if let Some(found) = self.of_environment()? {
            return Ok(found);
        }
        let variables =
            ["AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN"].map(|name| self.environment().get(name));
        if let [Some(file), Some(role)] = variables {
            let session = self.environment().get("AWS_ROLE_SESSION_NAME").unwrap_or("bako").to_owned();
            let source = "the web identity of AWS_WEB_IDENTITY_TOKEN_FILE";
            return sts::with_web_identity(self, &PathBuf::from(file), role, &session, source).await;
        }
        let profiles = Profiles::read(self.environment())?;
        let name = self.profile_name();
        if profiles.get(&name).is_some() {
            return self.of_profile(&profiles, &name).await;
        }
        if self.environment().get("AWS_PROFILE").is_some() {
            return Err(Error::failed(format!("AWS profile {name}"), "there is none of this name"));
        }
        if let Some(found) = container::credentials(&self.services).await? {
            return Ok(found);
        }
        instance::credentials(&self.services).await
    }

    fn of_environment(&self) -> Result<Option<Credentials>, Error> {
        let value = |name: &str| self.environment().get(name).map(str::to_owned);
        let source = "AWS_ACCESS_KEY_ID";
        match (value("AWS_ACCESS_KEY_ID"), value("AWS_SECRET_ACCESS_KEY")) {
            (Some(access_key_id), Some(secret)) => Ok(Some(Credentials {
                access_key_id,
                secret_access_key: Secret::new(secret),
                session_token: value("AWS_SESSION_TOKEN").map(Secret::new),
                expires: None,
                source: source.to_owned(),
            })),
            (Some(_), None) => Err(Error::failed(source, "is set without AWS_SECRET_ACCESS_KEY")),
            (None, _) => Ok(None),
        }
    }

    /// The credentials of a profile: those it starts from, and then each role that is assumed on the way.
    async fn of_profile(&self, profiles: &Profiles, name: &str) -> Result<Credentials, Error> {
        // From the profile that was asked for to the one that has credentials.
        let mut roles = Vec::new();
        let mut at = name.to_owned();
        let mut found = loop {
            let who = format!("AWS profile {at}");
            let Some(profile) = profiles.get(&at) else {
                return Err(Error::failed(who, "there is none of this name"));
            };
            let value = |key: &str| profile.get(key).map(String::as_str);
            let session = value("role_session_name").unwrap_or("bako").to_owned();
            if let Some(role) = value("role_arn") {
                if let Some(file) = value("web_identity_token_file") {
                    break sts::with_web_identity(self, &PathBuf::from(file), role, &session, &who).await?;
                }
                if value("mfa_serial").is_some() {
                    return Err(Error::failed(
                        who,
                        "wants a code from a device, which nobody can enter here",
                    ));
                }
                if roles.len() == CHAIN {
                    return Err(Error::failed(who, "leads from profile to profile without end"));
                }
                roles.push(sts::Role {
                    arn: role.to_owned(),
                    session,
                    external_id: value("external_id").map(str::to_owned),
                });
                match (value("source_profile"), value("credential_source")) {
                    (Some(source), _) if source != at => {
                        at = source.to_owned();
                        continue;
                    }
                    // One that names itself has the keys for its own role.
                    (Some(_), _) => {}
                    (None, Some("Environment")) => match self.of_environment()? {
                        Some(found) => break found,
                        None => return Err(Error::failed(who, "AWS_ACCESS_KEY_ID is not set")),
                    },
                    (None, Some("Ec2InstanceMetadata")) => {
                        break instance::credentials(&self.services).await?;
                    }
                    (None, Some("EcsContainer")) => match container::credentials(&self.services).await? {
                        Some(found) => break found,
                        None => return Err(Error::failed(who, "no container credentials are configured")),
                    },
                    (None, Some(other)) => {
                        return Err(Error::failed(who, format!("credential_source {other} is not known")));
                    }
                    (None, None) => {
                        return Err(Error::failed(who, "has a role_arn, and nothing to assume it with"));
                    }
                }
            }
            if let (Some(id), Some(secret)) = (value("aws_access_key_id"), value("aws_secret_access_key")) {
                break Credentials {
                    access_key_id: id.to_owned(),
                    secret_access_key: Secret::new(secret),
                    session_token: value("aws_session_token").map(Secret::new),
                    expires: None,
                    source: who,
                };
            }
            if let Some(line) = value("credential_process") {
                break self.of_process(line, &who).await?;
            }
            if value("sso_session").or(value("sso_start_url")).is_some() {
                return Err(Error::failed(who, "is one of IAM Identity Center, whose login needs a browser"));
            }
            return Err(Error::failed(who, "has no credentials that are known here"));
        };
        for role in roles.iter().rev() {
            found = sts::assume(self, &found, role).await?;
        }
        Ok(found)
    }

    async fn of_process(&self, line: &str, who: &str) -> Result<Credentials, Error> {
        let who = format!("credential_process of {who}");
        let program = Program {
            path: "/bin/sh".into(),
            arguments: vec!["-c".to_owned(), line.to_owned()],
            input: Vec::new(),
            limit: PROCESS,
        };
        let output = program.run(self.environment()).await.map_err(|error| Error::failed(&who, error))?;
        let json: CredentialsJson = serde_json::from_slice(&output)
            .map_err(|_| Error::failed(&who, "wrote no credentials in JSON"))?;
        json.credentials(&who)
    }
}

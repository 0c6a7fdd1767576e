//! AWS's Security Token Service: from an identity to the credentials of a role.

use std::path::Path;
use std::time::SystemTime;

use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Request};
use transport::{Secret, element};
use url::{Url, form_urlencoded};

use super::{Aws, Credentials, Signer, hash};
use crate::{Error, ask, parse_time};

/// A role to be assumed.
#[derive(Debug, Clone)]
pub(crate) struct Role {
    pub(crate) arn: String,
    pub(crate) session: String,
    pub(crate) external_id: Option<String>,
}

/// The credentials of a role that a token of a Kubernetes service account (IRSA) or the like is good for. The file is
/// read each time, as whoever mounts it replaces it.
pub(crate) async fn with_web_identity(
    aws: &Aws,
    file: &Path,
    role: &str,
    session: &str,
    source: &str,
) -> Result<Credentials, Error> {
    let token = std::fs::read_to_string(file)
        .map_err(|error| Error::failed(source, format!("{}: {error}", file.display())))?;
    let form = form_urlencoded::Serializer::new(String::new())
        .append_pair("Action", "AssumeRoleWithWebIdentity")
        .append_pair("Version", "2011-06-15")
        .append_pair("RoleArn", role)
        .append_pair("RoleSessionName", session)
        .append_pair("WebIdentityToken", token.trim())
        .finish();
    call(aws, &form, None, source).await
}

/// The credentials of a role that these credentials may take on.
pub(crate) async fn assume(aws: &Aws, with: &Credentials, role: &Role) -> Result<Credentials, Error> {
    let form = form_urlencoded::Serializer::new(String::new())
        .append_pair("Action", "AssumeRole")
        .append_pair("Version", "2011-06-15")
        .append_pair("RoleArn", &role.arn)
        .append_pair("RoleSessionName", &role.session)
        .extend_pairs(role.external_id.as_ref().map(|id| ("ExternalId", id)))
        .finish();
    call(aws, &form, Some(with), &format!("role {} of {}", role.arn, with.source)).await
}

async fn call(aws: &Aws, form: &str, with: Option<&Credentials>, source: &str) -> Result<Credentials, Error> {
    let region = aws.region();
    let legacy = aws.environment().get("AWS_STS_REGIONAL_ENDPOINTS") == Some("legacy");
    let (url, region) = match (aws.endpoint("STS")?, region) {
        (Some(url), region) => (url, region.unwrap_or_else(|| "us-east-1".to_owned())),
        (None, Some(region)) if !legacy => {
            (address(&format!("sts.{region}.{}", super::domain(&region)), source)?, region)
        }
        (None, _) => (address("sts.amazonaws.com", source)?, "us-east-1".to_owned()),
    };
    let who = format!("{source}: STS");
    let answer = ask(&aws.services.far, &who, || {
        let mut request = Request::new(Method::POST, url.clone());
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
        request.headers_mut().insert(CONTENT_TYPE, kind);
        if let Some(credentials) = with {
            let signer = Signer { credentials, region: &region, service: "sts", time: SystemTime::now() };
            signer.sign("POST", &url, request.headers_mut(), &hash(form.as_bytes()))?;
        }
        *request.body_mut() = Some(form.to_owned().into());
        Ok(request)
    });
    let text = answer.await?.success()?.text();
    let part = |name: &str| {
        element(&text, name).ok_or_else(|| Error::failed(&who, format!("its answer has no {name}")))
    };
    Ok(Credentials {
        access_key_id: part("AccessKeyId")?,
        secret_access_key: Secret::new(part("SecretAccessKey")?),
        session_token: Some(Secret::new(part("SessionToken")?)),
        expires: parse_time(&part("Expiration")?),
        source: source.to_owned(),
    })
}

fn address(host: &str, source: &str) -> Result<Url, Error> {
    format!("https://{host}/").parse().map_err(|_| Error::failed(source, format!("{host} is no host")))
}

//! Credentials of an instance: its metadata service, in version 2 with a token and in version 1 ([description]).
//!
//! [description]: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-metadata-security-credentials.html

use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Method, Request};
use url::Url;

use super::{Credentials, CredentialsJson};
use crate::{Answer, Error, Services, ask};

const WHO: &str = "the metadata service of the instance";

/// The credentials of the role that this instance has.
pub(crate) async fn credentials(services: &Services) -> Result<Credentials, Error> {
    let environment = &services.environment;
    if environment.flag("AWS_EC2_METADATA_DISABLED") {
        return Err(Error::None(
            "no AWS credentials are configured, and AWS_EC2_METADATA_DISABLED is set".to_owned(),
        ));
    }
    let ipv6 = environment.get("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE") == Some("IPv6");
    let usual = if ipv6 { "http://[fd00:ec2::254]/" } else { "http://169.254.169.254/" };
    let text = environment.get("AWS_EC2_METADATA_SERVICE_ENDPOINT").unwrap_or(usual);
    let base: Url =
        text.parse().map_err(|_| Error::failed(WHO, "AWS_EC2_METADATA_SERVICE_ENDPOINT is not a URL"))?;
    let token = token(services, &base).await?;
    let names = get(services, &base, "latest/meta-data/iam/security-credentials/", token.as_ref()).await?;
    let role = match names.status {
        404 => return Err(Error::None("no AWS credentials: this instance has no role".to_owned())),
        _ => names.success()?.text(),
    };
    let role = role.lines().next().unwrap_or_default().to_owned();
    let path = format!("latest/meta-data/iam/security-credentials/{role}");
    let answer = get(services, &base, &path, token.as_ref()).await?;
    answer.success()?.json::<CredentialsJson>()?.credentials(&format!("the role {role} of this instance"))
}

/// The token of version 2. Without one, version 1 is asked: where the token does not reach a container, since its
/// packets may make no hop, and where the service does not know of it.
async fn token(services: &Services, base: &Url) -> Result<Option<HeaderValue>, Error> {
    let url = join(base, "latest/api/token")?;
    let asked = ask(&services.near, WHO, || {
        let mut request = Request::new(Method::PUT, url.clone());
        let name = HeaderName::from_static("x-aws-ec2-metadata-token-ttl-seconds");
        request.headers_mut().insert(name, HeaderValue::from_static("21600"));
        Ok(request)
    });
    let version_1 = !services.environment.flag("AWS_EC2_METADATA_V1_DISABLED");
    let answer = match asked.await {
        Ok(answer) if matches!(answer.status, 403..=405) && version_1 => return Ok(None),
        Ok(answer) => answer.success()?,
        Err(_) if version_1 => return Ok(None),
        Err(error) => return Err(unreachable(error)),
    };
    let mut value = HeaderValue::from_str(&answer.text())
        .map_err(|_| Error::failed(WHO, "its token holds characters that no header can"))?;
    value.set_sensitive(true);
    Ok(Some(value))
}

async fn get(
    services: &Services,
    base: &Url,
    path: &str,
    token: Option<&HeaderValue>,
) -> Result<Answer, Error> {
    let url = join(base, path)?;
    let asked = ask(&services.near, WHO, || {
        let mut request = Request::new(Method::GET, url.clone());
        if let Some(token) = token {
            let name = HeaderName::from_static("x-aws-ec2-metadata-token");
            request.headers_mut().insert(name, token.clone());
        }
        Ok(request)
    });
    asked.await.map_err(unreachable)
}

/// Nobody answers: then this is no instance, and nothing is configured.
fn unreachable(error: Error) -> Error {
    Error::None(format!("no AWS credentials are configured, and no instance has any for us ({error})"))
}

fn join(base: &Url, path: &str) -> Result<Url, Error> {
    base.join(path).map_err(|_| Error::failed(WHO, format!("{path:?} is no path")))
}

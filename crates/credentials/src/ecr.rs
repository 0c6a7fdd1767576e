//! Amazon's registries: a password for AWS credentials ([GetAuthorizationToken]).
//!
//! [GetAuthorizationToken]: https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_GetAuthorizationToken.html

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cloud::aws::{Signer, domain, hash};
use cloud::{Clouds, Error, ask};
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Method, Request};
use serde::Deserialize;
use serde_json::json;
use transport::Secret;
use url::Url;

use crate::Credential;
use crate::hosts::CloudRegistry;
use crate::native::Given;

/// How long a password is good, if nobody says; then half of it is as long as we trust it.
const TERM: Duration = Duration::from_secs(12 * 3600);

#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "authorizationData")]
    data: Data,
}

/// A list from the private registries, one from the public.
#[derive(Deserialize)]
#[serde(untagged)]
enum Data {
    Many(Vec<Authorization>),
    One(Authorization),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Authorization {
    authorization_token: String,
    expires_at: Option<f64>,
}

/// How the service of a registry is asked.
struct Service {
    name: &'static str,
    region: String,
    host: String,
    target: &'static str,
    body: String,
    /// The end of the variable that gives another address.
    variable: &'static str,
}

impl Service {
    fn of(registry: &CloudRegistry) -> Option<Self> {
        match registry {
            CloudRegistry::Ecr { account, region, fips, dual } => Some(Service {
                name: "ecr",
                region: region.clone(),
                host: match (fips, dual) {
                    (false, false) => format!("api.ecr.{region}.{}", domain(region)),
                    (true, false) => format!("ecr-fips.{region}.{}", domain(region)),
                    (false, true) => format!("ecr.{region}.api.aws"),
                    (true, true) => format!("ecr-fips.{region}.api.aws"),
                },
                target: "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken",
                body: json!({ "registryIds": [account] }).to_string(),
                variable: "ECR",
            }),
            CloudRegistry::EcrPublic => Some(Service {
                name: "ecr-public",
                region: "us-east-1".to_owned(),
                host: "api.ecr-public.us-east-1.amazonaws.com".to_owned(),
                target: "SpencerFrontendService.GetAuthorizationToken",
                body: "{}".to_owned(),
                variable: "ECR_PUBLIC",
            }),
            CloudRegistry::Google | CloudRegistry::Acr { .. } => None,
        }
    }
}

pub(crate) async fn token(clouds: &Clouds, registry: &CloudRegistry) -> Result<Given, Error> {
    let Some(service) = Service::of(registry) else {
        return Err(Error::None("this is no registry of AWS".to_owned()));
    };
    let credentials = clouds.aws.credentials().await?;
    let who = format!("{}, with {}", service.host, credentials.source);
    let url = match clouds.aws.endpoint(service.variable)? {
        Some(url) => url,
        None => {
            format!("https://{}/", service.host).parse::<Url>().map_err(|error| Error::failed(&who, error))?
        }
    };
    let asked = SystemTime::now();
    let answer = ask(clouds.clients(), &who, || {
        let mut request = Request::new(Method::POST, url.clone());
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.1"));
        headers.insert(HeaderName::from_static("x-amz-target"), HeaderValue::from_static(service.target));
        let signer = Signer {
            credentials: &credentials,
            region: &service.region,
            service: service.name,
            time: SystemTime::now(),
        };
        signer.sign("POST", &url, headers, &hash(service.body.as_bytes()))?;
        *request.body_mut() = Some(service.body.clone().into());
        Ok(request)
    });
    let answer: Answer = answer.await?.success()?.json()?;
    let authorization = match answer.data {
        Data::One(one) => Some(one),
        Data::Many(many) => many.into_iter().next(),
    };
    let (username, password, expires_at) = authorization
        .and_then(|authorization| {
            let text = STANDARD.decode(&authorization.authorization_token).ok()?;
            let text = String::from_utf8(text).ok()?;
            let (username, password) = text.split_once(':')?;
            Some((username.to_owned(), password.to_owned(), authorization.expires_at))
        })
        .ok_or_else(|| Error::failed(&who, "its answer holds no user and password"))?;
    // An end that has passed is a clock that is wrong: what was given just now is good.
    let end = expires_at
        .and_then(|seconds| UNIX_EPOCH.checked_add(Duration::try_from_secs_f64(seconds).ok()?))
        .and_then(|end| end.duration_since(asked).ok())
        .unwrap_or(TERM);
    let credential = Credential::Basic { username, password: Secret::new(password) };
    Ok(Given { credential, expires: Some(asked + end / 2) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_asked() {
        for (registry, host) in [
            ("123456789012.dkr.ecr.eu-central-1.amazonaws.com", "api.ecr.eu-central-1.amazonaws.com"),
            ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", "api.ecr.cn-north-1.amazonaws.com.cn"),
            ("123456789012.dkr.ecr-fips.us-east-1.amazonaws.com", "ecr-fips.us-east-1.amazonaws.com"),
            ("123456789012.dkr-ecr.us-west-2.on.aws", "ecr.us-west-2.api.aws"),
            ("public.ecr.aws", "api.ecr-public.us-east-1.amazonaws.com"),
        ] {
            let service = Service::of(&CloudRegistry::of(registry).unwrap()).unwrap();
            assert_eq!(service.host, host, "{registry}");
        }
    }
}

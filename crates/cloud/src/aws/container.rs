//! Credentials of a container: those of an ECS task, and of a pod by EKS Pod Identity ([description]).
//!
//! [description]: https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html

use std::net::IpAddr;

use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use reqwest::{Method, Request};
use url::{Host, Url};

use super::{Credentials, CredentialsJson};
use crate::{Error, Services, ask};

/// Where ECS gives credentials.
const ECS: &str = "http://169.254.170.2";

/// The credentials, if the environment says where they are.
pub(crate) async fn credentials(services: &Services) -> Result<Option<Credentials>, Error> {
    let environment = &services.environment;
    let relative = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI";
    let full = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
    let (name, text) = match (environment.get(relative), environment.get(full)) {
        (Some(path), _) => (relative, format!("{ECS}{path}")),
        (None, Some(text)) => (full, text.to_owned()),
        (None, None) => return Ok(None),
    };
    let url: Url = text.parse().map_err(|_| Error::failed(name, "is not a URL"))?;
    if !may_be_asked(&url) {
        return Err(Error::failed(
            name,
            "is neither https, nor of this machine or its link: nothing is sent there",
        ));
    }
    let answer = ask(&services.near, name, || {
        let mut request = Request::new(Method::GET, url.clone());
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
        // The file is replaced while we run.
        let token = match environment.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") {
            Some(file) => Some(
                std::fs::read_to_string(file)
                    .map_err(|error| Error::failed(name, format!("{file}: {error}")))?,
            ),
            None => environment.get("AWS_CONTAINER_AUTHORIZATION_TOKEN").map(str::to_owned),
        };
        if let Some(token) = token {
            let mut value = HeaderValue::from_str(token.trim())
                .map_err(|_| Error::failed(name, "its token holds characters that no header can"))?;
            value.set_sensitive(true);
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        Ok(request)
    });
    answer.await?.success()?.json::<CredentialsJson>()?.credentials(name).map(Some)
}

/// A token goes by plain HTTP only where it does not leave the machine or its link.
fn may_be_asked(url: &Url) -> bool {
    let near = |address: IpAddr| {
        address.is_loopback()
            || ["169.254.170.2", "169.254.170.23", "fd00:ec2::23"]
                .iter()
                .any(|known| known.parse() == Ok(address))
    };
    match (url.scheme(), url.host()) {
        ("https", Some(_)) => true,
        ("http", Some(Host::Ipv4(address))) => near(address.into()),
        ("http", Some(Host::Ipv6(address))) => near(address.into()),
        ("http", Some(Host::Domain(name))) => name == "localhost",
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_told_the_token() {
        for (url, may) in [
            ("http://169.254.170.2/v2/credentials", true),
            ("http://169.254.170.23/v1/credentials", true),
            ("http://[fd00:ec2::23]/v1/credentials", true),
            ("http://127.0.0.1:1/x", true),
            ("http://localhost:1/x", true),
            ("https://elsewhere.example/x", true),
            ("http://elsewhere.example/x", false),
            ("http://localhost.example/x", false),
            ("http://169.254.169.254/x", false),
            ("file:///etc/passwd", false),
        ] {
            assert_eq!(may_be_asked(&url.parse().unwrap()), may, "{url}");
        }
    }
}

//! Microsoft's registries: a refresh token for an access token of Entra ID ([description]).
//!
//! [description]: https://github.com/Azure/acr/blob/main/docs/AAD-OAuth.md

use std::time::{Duration, SystemTime};

use cloud::{Clouds, Error, ask};
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Request};
use serde::Deserialize;
use transport::Secret;
use url::{Url, form_urlencoded};

use crate::Credential;
use crate::native::Given;

/// A refresh token is good for three hours; we trust it for two.
const TERM: Duration = Duration::from_secs(2 * 3600);

#[derive(Deserialize)]
struct Answer {
    refresh_token: String,
}

/// The exchange goes to the registry itself, whose name has been found to be one of Azure's.
pub(crate) async fn token(clouds: &Clouds, host: &str, again: bool) -> Result<Given, Error> {
    let resource = clouds.azure.cloud()?.management;
    if again {
        clouds.azure.forget(resource).await;
    }
    let token = clouds.azure.token(resource).await?;
    let url: Url =
        format!("https://{host}/oauth2/exchange").parse().map_err(|error| Error::failed(host, error))?;
    let form = form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "access_token")
        .append_pair("service", host)
        .extend_pairs(clouds.azure.tenant().map(|tenant| ("tenant", tenant)))
        .append_pair("access_token", token.secret.expose())
        .finish();
    let asked = SystemTime::now();
    let who = format!("the exchange of {host}");
    let answer = ask(clouds.clients(), &who, || {
        let mut request = Request::new(Method::POST, url.clone());
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
        request.headers_mut().insert(CONTENT_TYPE, kind);
        *request.body_mut() = Some(form.clone().into());
        Ok(request)
    });
    let answer: Answer = answer.await?.success()?.json()?;
    let credential = Credential::IdentityToken(Secret::new(answer.refresh_token));
    Ok(Given { credential, expires: Some(asked + TERM) })
}

//! Managed identities: a token for whoever runs on this machine ([virtual machines], [App Service]).
//!
//! [virtual machines]: https://learn.microsoft.com/en-us/entra/identity/managed-identities-azure-resources/how-to-use-vm-token
//! [App Service]: https://learn.microsoft.com/en-us/azure/app-service/overview-managed-identity#rest-endpoint-reference

use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Method, Request};
use url::Url;

use super::TokenJson;
use crate::{Error, Services, Token, ask};

/// A token for a resource.
pub(crate) async fn token(services: &Services, resource: &str) -> Result<Token, Error> {
    let environment = &services.environment;
    let client = environment.get("AZURE_CLIENT_ID");
    let service =
        |url: &str, secret: &str| (environment.get(url).map(str::to_owned), environment.get(secret));
    let (who, text, version, header, client_name) =
        match (service("IDENTITY_ENDPOINT", "IDENTITY_HEADER"), service("MSI_ENDPOINT", "MSI_SECRET")) {
            ((Some(url), Some(secret)), _) => {
                ("IDENTITY_ENDPOINT", url, "2019-08-01", ("x-identity-header", secret), "client_id")
            }
            (_, (Some(url), Some(secret))) => {
                ("MSI_ENDPOINT", url, "2017-09-01", ("secret", secret), "clientid")
            }
            _ => {
                let host =
                    environment.get("AZURE_POD_IDENTITY_AUTHORITY_HOST").unwrap_or("http://169.254.169.254");
                let text = format!("{}/metadata/identity/oauth2/token", host.trim_end_matches('/'));
                ("Azure's metadata service", text, "2018-02-01", ("metadata", "true"), "client_id")
            }
        };
    let mut url: Url = text.parse().map_err(|_| Error::failed(who, "is not a URL"))?;
    url.query_pairs_mut().append_pair("api-version", version).append_pair("resource", resource);
    if let Some(client) = client {
        url.query_pairs_mut().append_pair(client_name, client);
    }
    let mut value = HeaderValue::from_str(header.1)
        .map_err(|_| Error::failed(who, "its secret holds characters that no header can"))?;
    value.set_sensitive(true);
    let asked = ask(&services.near, who, || {
        let mut request = Request::new(Method::GET, url.clone());
        request.headers_mut().insert(HeaderName::from_static(header.0), value.clone());
        Ok(request)
    });
    let answer = asked.await.map_err(|error| {
        Error::None(format!("no Azure credentials are configured, and no machine has any for us ({error})"))
    })?;
    answer.success()?.json::<TokenJson>().map(TokenJson::token)
}

//! Google Cloud Storage ([objects.get]).
//!
//! [objects.get]: https://cloud.google.com/storage/docs/json_api/v1/objects/get

use std::sync::Arc;

use cloud::google::Google;
use cloud::{Clouds, Environment};
use download::{Authorize, Authorizing, Request};
use reqwest::header::{AUTHORIZATION, HeaderMap};
use url::Url;

use crate::{Error, azure, encoded_component, request_of};

pub(crate) fn request(
    bucket: &str,
    object: &str,
    clouds: &Clouds,
    environment: &Environment,
) -> Result<Request, Error> {
    // What Google's own libraries read. An emulator knows nobody, and gets no token.
    let emulator = environment
        .get("STORAGE_EMULATOR_HOST")
        .map(|host| if host.contains("://") { host.to_owned() } else { format!("http://{host}") });
    let base = emulator.as_deref().unwrap_or("https://storage.googleapis.com").trim_end_matches('/');
    let object = encoded_component(object);
    let mut request = request_of(&format!("{base}/storage/v1/b/{bucket}/o/{object}?alt=media"))?;
    if emulator.is_none() {
        request.authorize = Some(Arc::new(Gcs { google: clouds.google.clone() }));
    }
    Ok(request)
}

/// Who we are at Google.
#[derive(Debug)]
struct Gcs {
    google: Google,
}

impl Authorize for Gcs {
    fn authorize<'a>(
        &'a self,
        _url: &'a Url,
        headers: &'a mut HeaderMap,
    ) -> Authorizing<'a, Result<(), String>> {
        Box::pin(async move {
            match self.google.token().await {
                Ok(token) => {
                    headers.insert(AUTHORIZATION, azure::bearer(&token)?);
                    Ok(())
                }
                Err(cloud::Error::None(reason)) => {
                    tracing::debug!(reason, "asked without credentials");
                    Ok(())
                }
                Err(error) => Err(error.to_string()),
            }
        })
    }

    fn refused(&self) -> Authorizing<'_, ()> {
        Box::pin(self.google.forget())
    }
}

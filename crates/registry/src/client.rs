//! The client: options, the endpoints made from them, and the places for transfers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rustls::RootCertStore;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::endpoint::{Endpoint, EndpointKey};
use crate::error::{Error, ErrorKind, Result};
use crate::mirror;
use crate::options::{Access, ClientOptions};

/// A client of any number of registries. Clones share connections, tokens and the limit on transfers.
#[derive(Debug, Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    options: ClientOptions,
    endpoints: Mutex<HashMap<EndpointKey, Arc<Endpoint>>>,
    roots: OnceLock<Arc<RootCertStore>>,
    places: Arc<Semaphore>,
}

impl Client {
    /// A client. Nothing is connected yet, but certificates, mirrors and proxies that cannot be used are found now.
    pub fn new(options: ClientOptions) -> Result<Self> {
        options
            .proxies
            .check()
            .map_err(|reason| Error::new("connect by a proxy", ErrorKind::Options { reason }))?;
        mirror::check(&options)?;
        let places = Arc::new(Semaphore::new(options.parallel.max(1)));
        let inner = Inner { options, endpoints: Mutex::default(), roots: OnceLock::new(), places };
        let client = Client { inner: Arc::new(inner) };
        let configured =
            client.options().certificates.keys().chain(client.options().client_certificates.keys());
        for registry in configured {
            client.endpoint(registry, Access::Pull)?;
        }
        Ok(client)
    }

    /// What the client was made from.
    #[must_use]
    pub fn options(&self) -> &ClientOptions {
        &self.inner.options
    }

    /// How a registry is reached for a purpose.
    pub(crate) fn endpoint(&self, registry: &str, access: Access) -> Result<Arc<Endpoint>> {
        let options = &self.inner.options;
        let key = EndpointKey::new(options, registry, access);
        let mut endpoints = self.inner.endpoints.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(endpoint) = endpoints.get(&key) {
            return Ok(Arc::clone(endpoint));
        }
        let roots = Arc::clone(self.inner.roots.get_or_init(transport::system_roots));
        let endpoint = Arc::new(Endpoint::new(&key, options, roots)?);
        endpoints.insert(key, Arc::clone(&endpoint));
        Ok(endpoint)
    }

    /// A place among the transfers that run at the same time.
    pub(crate) async fn place(&self, subject: &str) -> Result<OwnedSemaphorePermit> {
        let places = Arc::clone(&self.inner.places);
        places.acquire_owned().await.map_err(|_| {
            Error::new(subject, ErrorKind::Options { reason: "the client is shut down".to_owned() })
        })
    }
}

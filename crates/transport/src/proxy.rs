//! Proxies: by whom servers are reached.

use crate::Secret;

/// Proxies, in the form of the usual environment variables; reading those is the caller's. What is on the loopback
/// interface is reached without.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    /// For `http://`.
    pub http: Option<Secret>,
    /// For `https://`.
    pub https: Option<Secret>,
    /// Hosts that are reached without, comma separated; `*` is all of them.
    pub no_proxy: Option<String>,
}

impl Proxies {
    /// Says why these proxies cannot be used, if they cannot.
    pub fn check(&self) -> Result<(), String> {
        self.to_reqwest().map(drop)
    }

    pub(crate) fn to_reqwest(&self) -> Result<Vec<reqwest::Proxy>, String> {
        let no_proxy = self.no_proxy.as_deref().and_then(reqwest::NoProxy::from_string);
        let http = self.http.as_ref().map(|url| reqwest::Proxy::http(url.expose()));
        let https = self.https.as_ref().map(|url| reqwest::Proxy::https(url.expose()));
        // The URL may hold a password, and the message would quote it.
        let unusable = |_| "the proxy's address is not a URL".to_owned();
        let with_exceptions = |proxy: reqwest::Proxy| proxy.no_proxy(no_proxy.clone());
        let proxies = http.into_iter().chain(https);
        let proxies: Vec<_> =
            proxies.map(|proxy| proxy.map(with_exceptions).map_err(unusable)).collect::<Result<_, _>>()?;
        // For reqwest it is every name, and no address.
        let nobody = self.no_proxy.as_deref().unwrap_or_default().split(',').any(|host| host.trim() == "*");
        Ok(if nobody { Vec::new() } else { proxies })
    }
}

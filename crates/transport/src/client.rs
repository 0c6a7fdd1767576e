//! A connection pool with what all of ours have in common.

use std::time::Duration;

use rustls::ClientConfig;

use crate::Proxies;

/// The pool to one server. Redirects are the caller's to follow, since who may see a credential is its to know. No proxy
/// can reach our own machine for us, so what is `local` is reached without; Go's programs do the same.
pub fn client(
    tls: ClientConfig,
    proxies: &Proxies,
    connect: Duration,
    local: bool,
) -> Result<reqwest::ClientBuilder, String> {
    let mut builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .no_proxy()
        .connect_timeout(connect)
        .pool_idle_timeout(Duration::from_secs(60))
        .http2_initial_stream_window_size(1 << 20)
        .http2_initial_connection_window_size(4 << 20);
    if !local {
        for proxy in proxies.to_reqwest()? {
            builder = builder.proxy(proxy);
        }
    }
    Ok(builder)
}

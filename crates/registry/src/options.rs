//! Options: how this client behaves towards which registry. All of it is decided by whoever makes the client.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use oci::Digest;
use transport::{ClientCertificate, Proxies, RetryPolicy};

use credentials::Keychain;

/// What a [`crate::Client`] is made from.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// Credentials.
    pub keychain: Keychain,
    /// Where plain HTTP may be used if HTTPS is not spoken. A registry on the loopback interface may always.
    pub plain_http: Exemption,
    /// Where the server's certificate is not verified.
    pub skip_tls_verify: Exemption,
    /// PEM texts of further authorities, by registry. They are trusted for that registry, for its token service and
    /// for where it redirects to, and for no other registry.
    pub certificates: BTreeMap<String, String>,
    /// What to show to a registry that wants a certificate of us, by registry.
    pub client_certificates: BTreeMap<String, ClientCertificate>,
    /// For images of these registries, other places to ask first, as `host[:port][/path]`.
    pub mirrors: BTreeMap<String, Vec<String>>,
    /// Not to ask a registry itself if it has mirrors.
    pub mirrors_only: bool,
    /// Proxies.
    pub proxies: Proxies,
    /// When to try again.
    pub retry: RetryPolicy,
    /// How long silence is borne.
    pub timeouts: Timeouts,
    /// `User-Agent`.
    pub user_agent: String,
    /// Blobs that are transferred at the same time.
    pub parallel: usize,
    /// How blobs are sent.
    pub upload: UploadMethod,
    /// Who is told about bytes that pass.
    pub progress: Option<Progress>,
}

impl ClientOptions {
    /// How servers are met that are no registries, as those of `ADD`: by the same proxies and with the same
    /// certificates, and verified always.
    #[must_use]
    pub fn network(&self) -> transport::Network {
        transport::Network {
            certificates: self.certificates.clone(),
            client_certificates: self.client_certificates.clone(),
            proxies: self.proxies.clone(),
            retry: self.retry.clone(),
            connect: self.timeouts.connect,
            idle: self.timeouts.idle,
            user_agent: self.user_agent.clone(),
            ..transport::Network::default()
        }
    }
}

impl Default for ClientOptions {
    fn default() -> Self {
        ClientOptions {
            keychain: Keychain::anonymous(),
            plain_http: Exemption::default(),
            skip_tls_verify: Exemption::default(),
            certificates: BTreeMap::new(),
            client_certificates: BTreeMap::new(),
            mirrors: BTreeMap::new(),
            mirrors_only: false,
            proxies: Proxies::default(),
            retry: RetryPolicy::default(),
            timeouts: Timeouts::default(),
            user_agent: concat!("bako/", env!("CARGO_PKG_VERSION")).to_owned(),
            parallel: 4,
            upload: UploadMethod::default(),
            progress: None,
        }
    }
}

/// What we want of a registry, since flags can exempt one and not the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Access {
    /// To read.
    Pull,
    /// To write, and to read what is needed for it.
    Push,
}

/// Which registries a safety rule is lifted for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exemption {
    /// Every registry that is pulled from.
    pub pull: bool,
    /// Every registry that is pushed to.
    pub push: bool,
    /// These, by host and port, for both.
    pub registries: BTreeSet<String>,
}

impl Exemption {
    /// True if the rule is lifted.
    #[must_use]
    pub fn covers(&self, registry: &str, access: Access) -> bool {
        self.registries.contains(registry)
            || match access {
                Access::Pull => self.pull,
                Access::Push => self.push,
            }
    }
}

/// How long silence is borne. There is no limit on a whole transfer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeouts {
    /// Until a connection stands.
    pub connect: Duration,
    /// Between two pieces of data, either way, and until an answer begins.
    pub idle: Duration,
    /// Until a registry has stored what was sent to its end: with some, that is a copy of the whole blob.
    pub commit: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts {
            connect: Duration::from_secs(30),
            idle: Duration::from_secs(60),
            commit: Duration::from_secs(300),
        }
    }
}

/// How the bytes of a blob are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UploadMethod {
    /// In one request, which is the fastest; in chunks if the registry will not have it, or if it breaks twice.
    #[default]
    Whole,
    /// In requests of so many bytes.
    Chunked(u64),
}

/// Some bytes of a blob that went by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transferred {
    /// The blob.
    pub digest: Digest,
    /// To us or from us.
    pub direction: Direction,
    /// The number of bytes. Those sent again count again.
    pub bytes: u64,
}

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From a registry.
    Received,
    /// To a registry.
    Sent,
}

/// A function that is called as bytes pass; it has to be quick.
#[derive(Clone)]
pub struct Progress(Arc<dyn Fn(Transferred) + Send + Sync>);

impl Progress {
    /// Wraps a function.
    pub fn new(function: impl Fn(Transferred) + Send + Sync + 'static) -> Self {
        Progress(Arc::new(function))
    }

    pub(crate) fn tell(&self, digest: Digest, direction: Direction, bytes: u64) {
        (self.0)(Transferred { digest, direction, bytes });
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Progress(..)")
    }
}

//! Who we are in a cloud: credentials of AWS, access tokens of Google and Azure, and AWS's signatures.
//!
//! Each of the three finds an identity as its cloud's own libraries do, in their order, and keeps what it got until
//! shortly before its end. What the identity is for (a registry, a bucket) is its user's business. An identity
//! service is asked only when somebody wants a token, so a build that meets no cloud asks none.
//!
//! The variables of the environment are given as an [`Environment`]; files are read where those variables, or the
//! clouds' conventions, say they are.
#![forbid(unsafe_code)]

mod answer;
pub mod aws;
pub mod azure;
mod environment;
mod error;
pub mod google;
mod kept;
mod program;
mod time;

pub use environment::Environment;
pub use error::Error;
pub use program::{Program, ProgramError, find as find_program};
pub use time::{compact, parse as parse_time};

use std::sync::Arc;
use std::time::Duration;

use transport::{Clients, Network, RetryPolicy, Secret};

use aws::Aws;
use azure::Azure;
use google::Google;

/// How long a metadata service may keep silent. Where there is none, its address leads nowhere, and nobody wants to
/// wait for that.
const METADATA: Duration = Duration::from_secs(2);

/// A token, and until when it is good.
#[derive(Debug, Clone)]
pub struct Token {
    /// What is sent.
    pub secret: Secret,
    /// Its end, if the one who gave it said so.
    pub expires: Option<std::time::SystemTime>,
}

/// The three clouds as this process sees them. Clones share what was found.
#[derive(Debug, Clone)]
pub struct Clouds {
    /// Amazon's.
    pub aws: Aws,
    /// Google's.
    pub google: Google,
    /// Microsoft's.
    pub azure: Azure,
    clients: Clients,
}

impl Clouds {
    /// Nothing is asked yet. Proxies and certificates that cannot be used are found now; the error says which.
    pub fn new(network: Network, environment: Environment) -> Result<Self, String> {
        let near = Network {
            connect: METADATA,
            idle: METADATA,
            retry: RetryPolicy { retries: 2, max_elapsed: METADATA * 3, ..network.retry.clone() },
            ..network.clone()
        };
        let far = Network {
            idle: Duration::from_secs(30),
            retry: RetryPolicy { max_elapsed: Duration::from_secs(60), ..network.retry.clone() },
            ..network
        };
        let services = Arc::new(Services { far: Clients::new(far)?, near: Clients::new(near)?, environment });
        Ok(Clouds {
            aws: Aws::new(Arc::clone(&services)),
            google: Google::new(Arc::clone(&services)),
            azure: Azure::new(Arc::clone(&services)),
            clients: services.far.clone(),
        })
    }

    /// The connections to services of the clouds.
    #[must_use]
    pub fn clients(&self) -> &Clients {
        &self.clients
    }
}

/// How identity services are reached, and what the environment says of them.
#[derive(Debug)]
pub(crate) struct Services {
    /// On the Internet.
    far: Clients,
    /// On the link of this machine.
    near: Clients,
    environment: Environment,
}

/// Sends a request to a service of a cloud, again after a passing failure, and reads its answer, which has to be short.
/// `make` is called for each try: what it gives may hold a time.
pub async fn ask(
    clients: &Clients,
    who: &str,
    make: impl FnMut() -> Result<reqwest::Request, Error>,
) -> Result<Answer, Error> {
    answer::ask(clients, who, make).await
}

pub use answer::Answer;

//! A running registry: a socket, and a way to stop.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::{Credentials, Registry};

/// What a registry serves, and to whom.
#[derive(Debug, Clone)]
pub struct Options {
    /// The directory of the repositories; it is made if it is not there.
    pub dir: PathBuf,
    /// Where to listen; with port 0 the system chooses one.
    pub listen: SocketAddr,
    /// The user whom everybody has to be, if not everybody is welcome.
    pub credentials: Option<Credentials>,
}

/// Why a registry cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The socket cannot be had.
    #[error("listen on {address}: {source}")]
    Listen {
        /// The wanted address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The directory cannot be used.
    #[error("open the registry {}: {source}", dir.display())]
    Directory {
        /// The directory.
        dir: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A registry that is being served, until [`shutdown`](Server::shutdown) or the end of its runtime.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<io::Result<()>>,
}

/// How long requests may take to end once the registry is told to stop.
const GRACE: Duration = Duration::from_secs(10);

/// Opens a registry and serves it.
pub async fn serve(options: Options) -> Result<Server, ServeError> {
    let Options { dir, listen, credentials } = options;
    let registry = Registry::open(dir, credentials)?;
    Server::start(Arc::new(registry).router(), listen).await
}

impl Server {
    /// Serves a router, which may be a registry's with something around it.
    pub async fn start(router: Router, listen: SocketAddr) -> Result<Self, ServeError> {
        let failed = |source| ServeError::Listen { address: listen, source };
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        // Answers are small and waited for; a socket that refuses the option is only slower.
        let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
        let (stop, stopped) = oneshot::channel();
        let served = axum::serve(listener, router).with_graceful_shutdown(async {
            // A handle that is dropped does not end the server.
            if stopped.await.is_err() {
                std::future::pending().await
            }
        });
        let task = tokio::spawn(served.into_future());
        Ok(Server { address, stop, task })
    }

    /// Where the registry listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more requests, and waits a while for those that are under way.
    pub async fn shutdown(self) {
        // The receiver is gone only if the server has ended by itself.
        let _ = self.stop.send(());
        let mut task = self.task;
        if tokio::time::timeout(GRACE, &mut task).await.is_err() {
            task.abort();
        }
    }
}

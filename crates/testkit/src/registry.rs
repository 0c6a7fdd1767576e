//! A registry of the test's own: our server on a free port, which remembers what it was asked and does
//! wrong what it was ordered to.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use layout::Layout;
use oci::Reference;
use server::{Credentials, Registry, Repository, Server};
use tokio::runtime::Runtime;

use crate::bearer::Tokens;
use crate::fault::{self, answer};
use crate::{Action, Bearer, Fault, Kind, Port, Recorded};

/// Who may use a registry.
#[derive(Debug, Clone, Default)]
pub enum Access {
    /// Everybody.
    #[default]
    Open,
    /// One user, who says so with each request.
    Basic(Credentials),
    /// Whoever has a token.
    Bearer(Bearer),
}

/// A registry in a directory of its own. It ends, and its directory goes, when it is dropped.
#[derive(Debug)]
pub struct TestRegistry {
    dir: tempfile::TempDir,
    desk: Arc<Desk>,
    address: SocketAddr,
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
}

/// What the test and the server both look at.
#[derive(Debug)]
struct Desk {
    faults: Mutex<Vec<Fault>>,
    requests: Mutex<Vec<(u64, Recorded)>>,
    tokens: Option<Tokens>,
    address: OnceLock<SocketAddr>,
    blobs: OnceLock<SocketAddr>,
}

impl TestRegistry {
    /// A registry for everybody.
    #[must_use]
    pub fn start() -> Self {
        Self::with(Access::Open)
    }

    /// A registry for those who are let in.
    #[must_use]
    pub fn with(access: Access) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (credentials, tokens) = match access {
            Access::Open => (None, None),
            Access::Basic(credentials) => (Some(credentials), None),
            Access::Bearer(bearer) => (None, Some(Tokens::new(bearer))),
        };
        let desk = Arc::new(Desk {
            faults: Mutex::default(),
            requests: Mutex::default(),
            tokens,
            address: OnceLock::new(),
            blobs: OnceLock::new(),
        });
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let start = |credentials, port| {
            let registry = Arc::new(Registry::open(dir.path(), credentials).unwrap());
            let router: Router = registry.router().layer(from_fn_with_state((desk.clone(), port), attend));
            let listen = (Ipv4Addr::LOCALHOST, 0).into();
            runtime.block_on(Server::start(router, listen)).unwrap().local_addr()
        };
        let address = start(credentials, Port::Registry);
        desk.address.set(address).expect("it is set here only");
        desk.blobs.set(start(None, Port::Blobs)).expect("it is set here only");
        TestRegistry { dir, desk, address, runtime: Some(runtime) }
    }

    /// Host and port.
    #[must_use]
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Host and port of where [`Action::Redirect`] sends.
    #[must_use]
    pub fn blob_address(&self) -> String {
        self.desk.blobs.get().expect("it was set at the start").to_string()
    }

    /// A reference to a tag here.
    #[must_use]
    pub fn reference(&self, repository: &str, tag: &str) -> Reference {
        Reference::tagged(&self.address(), repository, tag).unwrap()
    }

    /// The registry's directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The files of a repository, which is made if it is not there.
    #[must_use]
    pub fn layout(&self, repository: &str) -> Layout {
        let repository: Repository = repository.parse().unwrap();
        Layout::create(self.dir.path().join(repository.folder())).unwrap()
    }

    /// Orders a fault. Of those that are for a request, the one that was ordered first happens.
    pub fn order(&self, fault: Fault) {
        lock(&self.desk.faults).push(fault);
    }

    /// Ends all faults.
    pub fn recover(&self) {
        lock(&self.desk.faults).clear();
    }

    /// Makes all tokens of no use, as if their time was over.
    pub fn expire_tokens(&self) {
        self.desk.tokens.as_ref().expect("the registry has tokens").expire();
    }

    /// What was asked so far, in order.
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        lock(&self.desk.requests).iter().map(|(_, recorded)| recorded.clone()).collect()
    }

    /// How often something of a kind was asked for, in any repository; the method `*` is every method.
    #[must_use]
    pub fn count(&self, method: &str, kind: Kind) -> usize {
        self.requests()
            .iter()
            .filter(|request| request.kind == kind && (method == "*" || method == request.method))
            .count()
    }

    /// What was asked so far, a line for each request.
    #[must_use]
    pub fn transcript(&self) -> Vec<String> {
        self.requests().iter().map(Recorded::line).collect()
    }

    /// Forgets what was asked so far.
    pub fn forget_requests(&self) {
        lock(&self.desk.requests).clear();
    }
}

impl Drop for TestRegistry {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes a request down, does what was ordered, and leaves the rest to the server.
async fn attend(State((desk, port)): State<(Arc<Desk>, Port)>, request: Request, next: Next) -> Response {
    let recorded = Recorded::of(&request, port);
    let id = {
        let mut requests = lock(&desk.requests);
        let id = requests.last().map_or(0, |(id, _)| id + 1);
        requests.push((id, recorded.clone()));
        id
    };
    let action = lock(&desk.faults).iter_mut().find_map(|fault| fault.take(&recorded));
    let response = match action {
        None => desk.serve(request, next, &recorded).await,
        Some(Action::Answer { status, headers, body }) => answer(status, headers, body),
        Some(Action::Delay(time)) => {
            tokio::time::sleep(time).await;
            desk.serve(request, next, &recorded).await
        }
        Some(Action::Truncate(after)) => fault::truncate(desk.serve(request, next, &recorded).await, after),
        Some(Action::Stall(after)) => fault::stall(desk.serve(request, next, &recorded).await, after),
        Some(Action::Corrupt(offset)) => fault::corrupt(desk.serve(request, next, &recorded).await, offset),
        Some(Action::Cut(after)) => {
            desk.serve(fault::cut(request, after), next, &recorded).await;
            fault::disconnect()
        }
        Some(Action::Forget) => {
            desk.serve(request, next, &recorded).await;
            fault::disconnect()
        }
        Some(Action::Disconnect) => fault::disconnect(),
        Some(Action::Redirect) => desk.redirect(request, &recorded),
    };
    if let Some((_, recorded)) = lock(&desk.requests).iter_mut().find(|(other, _)| *other == id) {
        recorded.status = response.status().as_u16();
    }
    response
}

impl Desk {
    async fn serve(&self, request: Request<Body>, next: Next, recorded: &Recorded) -> Response {
        match (&self.tokens, recorded.port) {
            // As object stores do with a signed address that comes with a second authentication.
            (_, Port::Blobs) if recorded.authorization.is_some() => {
                answer(400, Vec::new(), "only one authentication is allowed".to_owned())
            }
            (Some(tokens), Port::Registry) if recorded.kind == Kind::Token => tokens.give(request).await,
            (Some(tokens), Port::Registry) => {
                let host = self.address.get().map(SocketAddr::to_string).unwrap_or_default();
                match tokens.check(request, recorded, &host) {
                    Ok(request) => next.run(request).await,
                    Err(response) => *response,
                }
            }
            _ => next.run(request).await,
        }
    }

    /// Sends a client that is let in to the other port.
    fn redirect(&self, request: Request, recorded: &Recorded) -> Response {
        let host = self.address.get().map(SocketAddr::to_string).unwrap_or_default();
        if let Some(tokens) = &self.tokens
            && let Err(response) = tokens.check(request, recorded, &host)
        {
            return *response;
        }
        let blobs = self.blobs.get().expect("it was set at the start");
        let location = format!("http://{blobs}{}?signature=1", recorded.path);
        answer(307, vec![("location".to_owned(), location)], String::new())
    }
}

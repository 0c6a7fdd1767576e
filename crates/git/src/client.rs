//! The client: a request from its beginning to the directory that is asked for.

use std::fs;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::runtime::Handle;
use transport::Clients;

use crate::connect::Connector;
use crate::error::{Error, ErrorKind};
use crate::repository::{Wanted, check_out};
use crate::stop::{Stop, StopOnDrop};
use crate::{Options, Request};

/// Checks repositories out. Clones share connections.
#[derive(Debug, Clone)]
pub struct Git {
    options: Arc<Options>,
    clients: Clients,
}

/// A repository that is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkout {
    /// What was asked for: the directory that was given, or the subdirectory in it.
    pub path: PathBuf,
    /// The commit's id, 40 hexadecimal digits.
    pub commit: String,
    /// When it was committed, in seconds since 1970.
    pub time: i64,
}

impl Git {
    /// Nothing is connected yet. Proxies and certificates that cannot be used are found now; the error says which.
    pub fn new(options: Options) -> Result<Self, String> {
        let clients = Clients::new(options.network.clone())?;
        Ok(Git { options: Arc::new(options), clients })
    }

    /// Checks a commit out into a directory that is empty, or is made. It ends early, with [`ErrorKind::Cancelled`],
    /// when `stop` is ready. Whatever goes wrong, the directory is empty again.
    ///
    /// The work is done on a thread of the runtime's for blocking work. If the future is dropped, that thread ends soon
    /// after, and empties the directory then: who wants to remove it at once uses `stop`.
    pub async fn checkout(
        &self,
        request: &Request,
        directory: &Path,
        stop: impl Future<Output = ()>,
    ) -> Result<Checkout, Error> {
        let switch = Stop::default();
        let connector = Connector {
            options: Arc::clone(&self.options),
            clients: self.clients.clone(),
            runtime: Handle::current(),
            stop: switch.clone(),
        };
        let (owned, place) = (request.clone(), directory.to_owned());
        let mut work = tokio::task::spawn_blocking(move || run(&connector, &owned, &place));
        let _dropped = StopOnDrop(switch.clone());
        let result = tokio::select! {
            result = &mut work => result,
            () = stop => {
                switch.throw();
                work.await
            }
        };
        result.unwrap_or_else(|error| {
            let location = request.location.to_string();
            Err(Error { location, kind: ErrorKind::protocol(format!("the checkout broke off: {error}")) })
        })
    }
}

fn run(connector: &Connector, request: &Request, directory: &Path) -> Result<Checkout, Error> {
    let failed = |kind| Error { location: request.location.to_string(), kind };
    check(request).map_err(failed)?;
    let made = prepare(directory).map_err(|error| failed(ErrorKind::write(directory, error)))?;
    let wanted = Wanted {
        location: &request.location,
        authorization: None,
        revision: &request.revision,
        checksum: request.checksum.as_deref(),
        time: None,
        nesting: 0,
    };
    let result = check_out(connector, request, wanted, directory).and_then(|commit| {
        let path = subdirectory(directory, request.subdirectory.as_deref()).map_err(failed)?;
        Ok(Checkout { path, commit: commit.id.to_string(), time: commit.time })
    });
    // An error that the end of the work has caused is no news.
    let result = match result {
        Err(_) if connector.stop.is_thrown() => Err(failed(ErrorKind::Cancelled)),
        result => result,
    };
    if result.is_err() {
        clear(directory, made);
    }
    result
}

/// What is wrong with a request whatever the repository holds.
fn check(request: &Request) -> Result<(), ErrorKind> {
    let invalid = |reason: String| Err(ErrorKind::Invalid { reason });
    if let Some(checksum) = &request.checksum
        && (checksum.is_empty()
            || checksum.len() > 40
            || !checksum.bytes().all(|byte| byte.is_ascii_hexdigit()))
    {
        return invalid(format!(
            "checksum {checksum:?} is not the beginning of a commit's 40 hexadecimal digits"
        ));
    }
    let (crate::Revision::Name(name)
    | crate::Revision::Branch(name)
    | crate::Revision::Tag(name)
    | crate::Revision::Commit(name)) = &request.revision
    else {
        return Ok(());
    };
    if matches!(request.revision, crate::Revision::Commit(_)) {
        if name.len() != 40 || !name.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return invalid(format!("{name:?} is not the 40 hexadecimal digits of a commit"));
        }
        return Ok(());
    }
    if gix::validate::reference::name_partial(name.as_str().into()).is_err() {
        return invalid(format!("{name:?} is no name of a reference"));
    }
    Ok(())
}

/// Makes the directory, or finds it empty. True if it was made.
fn prepare(directory: &Path) -> io::Result<bool> {
    match fs::create_dir(directory) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            if fs::read_dir(directory)?.next().is_some() {
                return Err(io::Error::new(io::ErrorKind::DirectoryNotEmpty, "the directory is not empty"));
            }
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// Takes back what a failed checkout has left. What cannot be removed is its owner's, with the whole directory.
fn clear(directory: &Path, made: bool) {
    if made {
        let _ = fs::remove_dir_all(directory);
        return;
    }
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let _ = if is_directory { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
    }
}

/// Where a subdirectory is, followed through links as long as they stay inside.
fn subdirectory(directory: &Path, path: Option<&str>) -> Result<PathBuf, ErrorKind> {
    let Some(path) = path.map(|path| path.trim_matches('/')).filter(|path| !path.is_empty()) else {
        return Ok(directory.to_owned());
    };
    let invalid = |reason: &str| ErrorKind::Invalid { reason: format!("subdirectory {path}: {reason}") };
    let root = directory.canonicalize().map_err(|error| ErrorKind::write(directory, error))?;
    let found = root.join(path).canonicalize().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => invalid("the repository has no such directory"),
        _ => invalid(&error.to_string()),
    })?;
    let inside = found.strip_prefix(&root).map_err(|_| invalid("it leads out of the repository"))?;
    if inside.components().any(|part| part.as_os_str() == ".git") {
        return Err(invalid("it leads into .git"));
    }
    if !found.is_dir() {
        return Err(invalid("it is no directory"));
    }
    Ok(directory.join(inside))
}

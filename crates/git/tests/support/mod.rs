//! Repositories made by the real git, servers of theirs, and checkouts as text.
#![allow(
    dead_code,
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "each test file has a copy of its own, and uses another part of it"
)]

pub mod server;
pub mod upstream;

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::Duration;

use git::{Checkout, Error, Git, Location, Options, Request};
use transport::{Network, RetryPolicy};

/// A client that tries again at once, and reads this machine's repositories.
pub fn client() -> Git {
    let retry = RetryPolicy {
        retries: 3,
        first_delay: Duration::from_millis(1),
        max_delay: Duration::from_millis(5),
        max_elapsed: Duration::from_secs(60),
    };
    let network = Network { retry, idle: Duration::from_secs(20), ..Network::default() };
    Git::new(Options { network, local: true, ..Options::default() }).unwrap()
}

/// A request for a repository at an address.
pub fn request(address: &str) -> Request {
    Request::new(Location::parse(address).unwrap().0)
}

/// Checks out into a directory of its own, which is given back with what came of it.
pub fn checkout(request: &Request) -> (tempfile::TempDir, Result<Checkout, Error>) {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("checkout");
    let result = runtime().block_on(client().checkout(request, &directory, std::future::pending()));
    if result.is_err() {
        assert!(!directory.exists(), "something is left of a failed checkout");
    }
    (place, result)
}

pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// What is below a directory, a line for each entry, sorted; of `.git` the name alone.
pub fn tree(root: &Path) -> String {
    let mut lines = Vec::new();
    list(root, root, &mut lines);
    lines.sort();
    lines.join("\n")
}

fn list(root: &Path, directory: &Path, lines: &mut Vec<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
        let metadata = fs::symlink_metadata(&path).unwrap();
        let mode = metadata.permissions().mode() & 0o7777;
        if name.ends_with(".git") {
            lines.push(name);
        } else if metadata.is_symlink() {
            lines.push(format!("{name} -> {}", fs::read_link(&path).unwrap().display()));
        } else if metadata.is_dir() {
            lines.push(format!("{name}/ {mode:o}"));
            list(root, &path, lines);
        } else {
            lines.push(format!("{name} {mode:o} {:?}", String::from_utf8_lossy(&fs::read(&path).unwrap())));
        }
    }
}

/// The modification times below a directory, which are to be all the same.
pub fn times(root: &Path) -> Vec<i64> {
    let mut times = vec![fs::metadata(root).unwrap().mtime()];
    let mut pending = vec![root.to_owned()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            times.push(metadata.mtime());
            if metadata.is_dir() {
                pending.push(path);
            }
        }
    }
    times.sort_unstable();
    times.dedup();
    times
}

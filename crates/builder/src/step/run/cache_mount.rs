//! Cache mounts: directories that outlive a build, by id.
//!
//! ```text
//! DIR/mounts/HEX/key           what HEX is the SHA-256 of
//! DIR/mounts/HEX/0/data        what a RUN sees
//! DIR/mounts/HEX/0/lock        held by the RUN that uses it: shared, or by one alone
//! DIR/mounts/HEX/0/kept        what of it is in a repository
//! DIR/mounts/HEX/0/owners      whose its files are, where the kernel does not know (`supervised`)
//! DIR/mounts/HEX/0/owners.lock held by those who use it with such owners
//! DIR/mounts/HEX/0/in-use      held by what may still be changing it after that build was killed
//! DIR/mounts/HEX/1/…           a second one, for sharing=private
//! ```
//!
//! Locks are flock(2)'s, which end with whoever holds them. Nothing but a user ever removes a cache.

use std::ffi::OsString;
use std::fs::{DirBuilder, File};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use cache::KeptMount;
use dockerfile::mount::{Cache, Sharing};
use dockerfile::{Span, Spanned};
use layer::TreePath;
use rootfs::{OwnersInUse, Ownership, Root, RunRoot, StubKind, remove_tree};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::mounts::Mounting;
use super::shown::write_out;
use crate::cache_mounts::{KeptMounts, MountName, OWNERS};
use crate::engine::Engine;
use crate::error::{Context, Error, Result};
use crate::event::Warning;
use crate::step::{Place, Surroundings, located};

/// How often a cache that somebody else uses is tried again.
const RETRY: Duration = Duration::from_millis(50);

/// How long it is waited for before that is told: what only takes a moment is no news.
const PATIENCE: Duration = Duration::from_millis(500);

/// A cache that a RUN wants.
pub(super) struct CacheRequest {
    /// Where its directories are.
    home: PathBuf,
    /// For messages.
    id: String,
    key: String,
    sharing: Sharing,
    look: Look,
    /// As repositories know it.
    name: MountName,
    /// What a new one is filled with: where from, and which path.
    seed: Option<(Spanned<String>, TreePath)>,
    span: Span,
}

/// Mode, owner and group of a new one; of what it is filled with, if that says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Look {
    mode: Option<u32>,
    owner: Option<(u32, u32)>,
}

impl CacheRequest {
    /// As BuildKit has it, a cache is told from others by its id, by the owner and mode that were asked for, and
    /// by what it was filled with.
    pub(super) fn new(
        around: &Surroundings<'_>,
        from: Option<&Spanned<String>>,
        cache: &Cache,
        target: &TreePath,
        platform: &str,
        span: Span,
    ) -> Result<Self> {
        let engine = around.engine;
        let id = cache.id.clone().unwrap_or_else(|| target.to_string());
        let namespace = engine.build_arg("BUILDKIT_CACHE_MOUNT_NS").unwrap_or_default();
        let id = clean(&if namespace.is_empty() { id } else { format!("{namespace}/{id}") });
        let owner = (cache.uid.is_some() || cache.gid.is_some())
            .then(|| (cache.uid.unwrap_or(0), cache.gid.unwrap_or(0)));
        let look = Look { mode: cache.mode, owner };
        let (seed, content) = match from {
            Some(from) => {
                let path = TreePath::root().join_clean(&cache.source)?;
                let content = format!("{} {path}", identity(around, from)?);
                (Some((from.clone(), path)), content)
            }
            None => (None, String::new()),
        };
        let (mode, (uid, gid)) = (cache.mode.unwrap_or(0o755), owner.unwrap_or_default());
        let key = format!("{id}\n{mode:04o} {uid}:{gid}\n{content}\n");
        let home = home(engine, &key, span)?;
        let name = MountName::new(&id, &key, platform);
        Ok(CacheRequest { home, id, key, sharing: cache.sharing, look, name, seed, span })
    }
}

/// What tells one thing to fill a cache with from another.
fn identity(around: &Surroundings<'_>, from: &Spanned<String>) -> Result<String> {
    Ok(match around.place(Some(from))? {
        Place::Stage(stage) => {
            let layers: Vec<String> =
                stage.read().image.layers.iter().map(|layer| layer.diff_id.to_string()).collect();
            layers.join(",")
        }
        // What is in a directory is not known without reading it all.
        Place::Directory(_) => format!("context {}", from.value),
    })
}

/// An id as a path is cleaned, which is what BuildKit does with it.
fn clean(id: &str) -> String {
    let cleaned = match TreePath::root().join_clean(id) {
        Ok(path) => path.to_string(),
        Err(_) => return id.to_owned(),
    };
    if id.starts_with('/') { cleaned } else { cleaned.trim_start_matches('/').to_owned() }
}

fn home(engine: &Engine, key: &str, span: Span) -> Result<PathBuf> {
    let directory = match &engine.options.cache_dir {
        Some(directory) => directory.join("mounts"),
        None => {
            let is_kept = engine.kept_mounts.as_ref().is_some_and(KeptMounts::keeps);
            if !is_kept && !engine.mounting.told_of_caches.swap(true, Ordering::Relaxed) {
                let text = "without a --cache-dir, cache mounts last as long as this build".to_owned();
                engine.report(Warning::new(text).at(span).into());
            }
            Mounting::caches_of_build(engine)
        }
    };
    let home = directory.join(oci::Digest::of(key.as_bytes()).hex());
    // Nobody but us needs to find a way to them: a mount leads there.
    DirBuilder::new().recursive(true).mode(0o700).create(&home).during(home.display())?;
    home.canonicalize().during(home.display())
}

/// A cache that is ours to use until this is dropped.
pub(super) struct CacheLock {
    directory: PathBuf,
    /// Whose its files are, where the kernel does not know.
    owners: Option<OwnersInUse>,
    _lock: File,
}

impl CacheLock {
    /// Takes all caches of one RUN. Each is taken once, and all RUNs take them in the same order, so that no two
    /// wait for each other. Tells for each request which lock is its.
    pub(super) fn take_all(
        around: &Surroundings<'_>,
        ownership: &Ownership,
        requests: Vec<CacheRequest>,
    ) -> Result<(Vec<CacheLock>, Vec<usize>)> {
        let mut order: Vec<usize> = (0..requests.len()).collect();
        order.sort_by(|a, b| {
            // The strictest wish for one cache counts for all of this RUN; a private one never waits.
            let rank = |request: &CacheRequest| match request.sharing {
                Sharing::Locked => 0,
                Sharing::Shared => 1,
                Sharing::Private => 2,
            };
            let (a, b) = (&requests[*a], &requests[*b]);
            (&a.home, rank(a)).cmp(&(&b.home, rank(b)))
        });
        let mut locks: Vec<CacheLock> = Vec::new();
        let mut of_request = vec![0; requests.len()];
        let mut last: Option<(&Path, usize)> = None;
        for number in order {
            let request = &requests[number];
            let known = last.filter(|(home, _)| *home == request.home && request.sharing != Sharing::Private);
            of_request[number] = match known {
                Some((_, lock)) => lock,
                None => {
                    let lock = Self::take(around, ownership, request)
                        .map_err(|error| located(request.span, error))?;
                    locks.push(lock);
                    locks.len() - 1
                }
            };
            if request.sharing != Sharing::Private {
                last = Some((&request.home, of_request[number]));
            }
        }
        Ok((locks, of_request))
    }

    /// The file that says whether something may be changing it.
    pub(super) fn in_use(&self) -> PathBuf {
        self.directory.join("in-use")
    }

    /// Keeps what was said of its files in a RUN that has ended.
    pub(super) fn keep_owners(&self, root: &RunRoot) -> Result<()> {
        match (root, &self.owners) {
            (RunRoot::Described { owners: table, .. }, Some(owners)) => {
                owners.keep(table).during(self.directory.join(OWNERS).display())
            }
            _ => Ok(()),
        }
    }

    fn data(&self) -> PathBuf {
        self.directory.join(KeptMount::DIRECTORY)
    }

    /// What is to be mounted: all of it, or a directory in it. Links lead nowhere outside.
    pub(super) fn path(&self, below: &str) -> Result<PathBuf> {
        let data = self.data();
        let path = TreePath::root().join_clean(below)?;
        if path.is_root() {
            return Ok(data);
        }
        let during = || format!("\"{path}\" in the cache");
        let opened = Root::open(&data).and_then(|root| root.open_directory(&path)).during(during())?;
        // Without links, by the kernel's word; the isolation follows none either, should they change.
        let link = format!("/proc/self/fd/{}", opened.as_raw_fd());
        let real = rustix::fs::readlink(link, Vec::new()).during(during())?;
        let real = PathBuf::from(OsString::from_vec(real.into_bytes()));
        if real.starts_with(&data) {
            Ok(real)
        } else {
            Err(Error::new(format!("{} is being moved", during())))
        }
    }

    fn take(around: &Surroundings<'_>, ownership: &Ownership, request: &CacheRequest) -> Result<Self> {
        let mut taken = Self::take_one(around, request)?;
        let owners = taken.directory.join(OWNERS);
        taken.owners = OwnersInUse::begin(ownership, &taken.data(), &owners).during(owners.display())?;
        if taken.owners.as_ref().is_some_and(OwnersInUse::is_unknown) {
            // So it was made, unless a RUN that was killed has changed that.
            let Look { mode, owner } = request.look;
            ownership.give(&taken.data(), owner, mode).during(taken.data().display())?;
        }
        // Of several private ones the first is kept.
        if let Some(mounts) = &around.engine.kept_mounts
            && taken.directory == request.home.join("0")
        {
            mounts.note(&taken.directory, &request.name);
        }
        Ok(taken)
    }

    fn take_one(around: &Surroundings<'_>, request: &CacheRequest) -> Result<Self> {
        match request.sharing {
            Sharing::Shared => Self::wait_for(around, request, FlockOperation::NonBlockingLockShared),
            Sharing::Locked => Self::wait_for(around, request, FlockOperation::NonBlockingLockExclusive),
            Sharing::Private => {
                for number in 0u32.. {
                    let directory = place(request, number)?;
                    let lock = open(&directory.join("lock"))?;
                    let in_use = open(&directory.join("in-use"))?;
                    let exclusive = FlockOperation::NonBlockingLockExclusive;
                    if try_lock(&lock, exclusive)? && try_lock(&in_use, exclusive)? {
                        fill(around, request, &directory)?;
                        return Ok(CacheLock { directory, owners: None, _lock: lock });
                    }
                }
                unreachable!("there are more numbers than builds")
            }
        }
    }

    fn wait_for(
        around: &Surroundings<'_>,
        request: &CacheRequest,
        operation: FlockOperation,
    ) -> Result<Self> {
        let engine = around.engine;
        let directory = place(request, 0)?;
        let lock = open(&directory.join("lock"))?;
        let data = directory.join("data");
        let (mut told, start) = (false, Instant::now());
        let mut wait = |lock: &File, operation, is_done: &dyn Fn() -> bool| {
            while !try_lock(lock, operation)? && !is_done() {
                if start.elapsed() > PATIENCE && !std::mem::replace(&mut told, true) {
                    let text = format!("waiting for the cache {}, which another RUN uses", request.id);
                    engine.report(Warning::new(text).at(request.span).into());
                }
                if let Some(signal) = engine.cancel().signal() {
                    return Err(Error::ended_by(signal));
                }
                std::thread::sleep(RETRY);
            }
            Ok(())
        };
        loop {
            wait(&lock, operation, &|| false)?;
            // What a killed build had is being brought back.
            let in_use = open(&directory.join("in-use"))?;
            wait(&in_use, operation, &|| false)?;
            drop(in_use);
            if data.is_dir() {
                return Ok(CacheLock { directory, owners: None, _lock: lock });
            }
            // One that is made is nobody else's yet. Of several that come for it, one makes it and may use it at once, and
            // then the others need not have it alone; flock(2) takes from who asks in vain what it had.
            wait(&lock, FlockOperation::NonBlockingLockExclusive, &|| data.is_dir())?;
            fill(around, request, &directory)?;
        }
    }
}

/// The directory of one of a request's caches.
fn place(request: &CacheRequest, number: u32) -> Result<PathBuf> {
    let key = request.home.join("key");
    if !key.exists() {
        std::fs::write(&key, &request.key).during(key.display())?;
    }
    let directory = request.home.join(number.to_string());
    DirBuilder::new().recursive(true).mode(0o700).create(&directory).during(directory.display())?;
    Ok(directory)
}

/// Makes a cache that is not there. All of it is there at once, so that a kill leaves none that is half filled.
fn fill(around: &Surroundings<'_>, request: &CacheRequest, directory: &Path) -> Result<()> {
    let data = directory.join("data");
    if data.is_dir() {
        return Ok(());
    }
    let fresh = directory.join("data.new");
    let during = || format!("cache {}: {}", request.id, fresh.display());
    remove_tree(&fresh).during(during())?;
    DirBuilder::new().mode(0o755).create(&fresh).during(during())?;
    let engine = around.engine;
    let ownership = engine.new_ownership()?;
    // Before it has its place, so that no kill comes between, and after it, which changes it itself once more.
    let keep = |data: &Path| ownership.keep(data, &directory.join(OWNERS)).during(during());
    if let Some(mounts) = &engine.kept_mounts
        && let Some(fetched) = mounts.fetch(engine, &ownership, &request.name, &fresh)?
    {
        // Its own mode and owner are those that it had.
        keep(&fresh.join(KeptMount::DIRECTORY))?;
        std::fs::rename(fresh.join(KeptMount::DIRECTORY), &data).during(during())?;
        keep(&data)?;
        remove_tree(&fresh).during(during())?;
        return mounts.fetched(&ownership, directory, fetched);
    }
    if let Some((from, path)) = &request.seed
        && write_out(around, &ownership, Some(from), path, &fresh)? == StubKind::File
    {
        return Err(Error::new(format!("\"{path}\" is a file, and a cache is a directory")));
    }
    let Look { mode, owner } = request.look;
    let mode = mode.or(request.seed.is_none().then_some(0o755));
    ownership.give(&fresh, owner, mode).during(during())?;
    keep(&fresh)?;
    std::fs::rename(&fresh, &data).during(during())?;
    keep(&data)
}

/// Opens a file to be locked. Its time says when the cache was last used.
fn open(path: &Path) -> Result<File> {
    let file = File::options().read(true).write(true).create(true).truncate(false).open(path);
    let file = file.during(path.display())?;
    file.set_modified(SystemTime::now()).during(path.display())?;
    Ok(file)
}

/// Tries to take a lock, or to change the one that is held; false if somebody else is in the way.
fn try_lock(file: &File, operation: FlockOperation) -> Result<bool> {
    match flock(file, operation) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK | Errno::INTR) => Ok(false),
        Err(error) => Err(error).during("lock a cache"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_cleaned_like_paths() {
        for (id, cleaned) in [
            ("c", "c"),
            ("/c/", "/c"),
            ("/a/../c", "/c"),
            ("a//b/.", "a/b"),
            ("ns//c", "ns/c"),
            ("with space", "with space"),
        ] {
            assert_eq!(clean(id), cleaned);
        }
    }
}

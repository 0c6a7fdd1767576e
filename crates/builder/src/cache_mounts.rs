//! Kept mounts: cache mounts of RUN that outlast the machine, in a repository.
//!
//! A mount is fetched when it is first wanted and is not on this disk, and brought back when everything is built, if
//! it has changed. Beside its directory, the file `kept` says what of it is where. As with everything in a cache,
//! what goes wrong is told once, and then the mount is empty, or is not kept.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use cache::{
    Domain, EMPTY, KeptMount, Key, Location, Pending, Repository, RepositoryError, SigningKey, Store,
    VerifyingKey, empty_config,
};
use layer::{Content, LayerWriter, Metadata, Sink, TreePath, WriteOptions, read_layer};
use oci::{Compression, Descriptor, MediaType, Raw};
use registry::BlobSource;
use rootfs::{Applier, Look, Ownership, Root, Whole};
use rustix::fs::{FlockOperation, flock};
use sandbox::Cancel;
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;

use crate::engine::Engine;
use crate::error::{Context, Error, Result};
use crate::event::{Event, Report, Warning};
use crate::interruptible::Interruptible;
use crate::once::lock;
use crate::waiting::cancelled;

/// Where cache mounts are kept for other machines.
#[derive(Debug, Clone)]
pub struct CacheMountsOptions {
    /// Where to look, the first first.
    pub from: Vec<Location>,
    /// Where to keep them.
    pub to: Vec<Location>,
    /// How long one is used after it was last kept or found useful; `None` for ever.
    pub ttl: Option<Duration>,
    /// What the files of one may have together, in bytes. A larger one is neither kept nor fetched.
    pub max_size: u64,
    /// What time it is, in seconds since 1970.
    pub clock: i64,
    /// What is kept is signed with this.
    pub sign: Option<Arc<SigningKey>>,
    /// Only what is signed with the key that belongs to this one is used.
    pub verify: Option<VerifyingKey>,
}

/// The file that says what of a mount is where.
const KEPT: &str = "kept";
/// The file that says whose a mount's files are, where the kernel does not know. Also what files that are shown have beside
/// them, as an extension.
pub(crate) const OWNERS: &str = "owners";

/// One that is not changed is kept again when it is a quarter of its time old, so that it does not grow old.
const REFRESH: u64 = 4;

/// Which mount it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct MountName {
    /// For people.
    id: String,
    platform: String,
    tag: String,
}

impl MountName {
    /// `name` is what tells it from other mounts.
    pub(crate) fn new(id: &str, name: &str, platform: &str) -> Self {
        let key: Key = KeptMount::key(name, platform);
        MountName { id: id.to_owned(), platform: platform.to_owned(), tag: key.tag(Domain::Mount) }
    }
}

/// The mounts that one build keeps.
pub(crate) struct KeptMounts<'a> {
    options: &'a CacheMountsOptions,
    places: OnceLock<Places>,
    /// The directories that were used, since those before were brought back.
    used: Mutex<BTreeMap<PathBuf, BTreeSet<MountName>>>,
    keeper: Mutex<Option<JoinHandle<()>>>,
}

/// Repositories, opened when the first mount is wanted.
struct Places {
    from: Vec<Place>,
    to: Vec<Place>,
}

#[derive(Clone)]
struct Place {
    repository: Arc<Repository>,
    /// It has failed, and is left alone.
    has_failed: Arc<AtomicBool>,
}

/// What the file `kept` says.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Kept {
    /// What the directory looked like.
    fingerprint: String,
    /// Where that is kept: a repository, a blank, and a tag.
    places: BTreeSet<String>,
    /// Since when, in seconds since 1970.
    used: i64,
}

/// Where a mount came from.
pub(crate) struct Fetched {
    place: String,
    used: i64,
}

impl<'a> KeptMounts<'a> {
    pub(crate) fn new(options: &'a CacheMountsOptions) -> Self {
        KeptMounts { options, places: OnceLock::new(), used: Mutex::default(), keeper: Mutex::default() }
    }

    /// True if mounts go anywhere.
    pub(crate) fn keeps(&self) -> bool {
        !self.options.to.is_empty()
    }

    fn places(&self, engine: &Engine<'_>) -> &Places {
        self.places.get_or_init(|| {
            let place = |repository| Place { repository, has_failed: Arc::new(AtomicBool::new(false)) };
            let open = |location: &Location, write| match Repository::open(
                location.clone(),
                engine.options.client.clone(),
                write,
            ) {
                Ok(repository) => Some(place(Arc::new(repository))),
                Err(error) => {
                    let text = format!("cache mounts in {location}: {}", Error::from_chain(&error));
                    engine.report(Warning::new(text).into());
                    None
                }
            };
            let to: Vec<Place> = self.options.to.iter().filter_map(|location| open(location, true)).collect();
            let known = |location: &Location| {
                let opened = to.iter().find(|place| place.repository.location() == location);
                opened.map(|opened| place(opened.repository.clone()))
            };
            let from =
                self.options.from.iter().filter_map(|location| match self.options.to.contains(location) {
                    true => known(location),
                    false => open(location, false),
                });
            let from = from.collect();
            Places { from, to }
        })
    }

    /// Notes that a directory is used as a mount.
    pub(crate) fn note(&self, directory: &Path, name: &MountName) {
        lock(&self.used).entry(directory.to_owned()).or_default().insert(name.clone());
    }

    /// Brings a mount here: [`KeptMount::DIRECTORY`] in the directory `into`, which is empty. `None` if it is kept
    /// nowhere, or of no use.
    pub(crate) fn fetch(
        &self,
        engine: &Engine<'_>,
        ownership: &Ownership,
        name: &MountName,
        into: &Path,
    ) -> Result<Option<Fetched>> {
        for place in &self.places(engine).from {
            if place.has_failed.load(Ordering::Relaxed) {
                continue;
            }
            let fetched = engine.timings.measure("fetch cache mounts", || {
                // One that was replaced while it was fetched is fetched as it is now.
                match self.fetch_from(engine, ownership, place, name, into) {
                    Err(Failure { is_gone: true, .. }) => {
                        self.fetch_from(engine, ownership, place, name, into)
                    }
                    outcome => outcome,
                }
            });
            engine.check_cancel()?;
            match fetched {
                Ok(Some(used)) => {
                    let location = place.repository.location();
                    engine.report(Event::Note(format!("the cache mount {} is from {location}", name.id)));
                    return Ok(Some(Fetched { place: at(place, name), used }));
                }
                Ok(None) => {}
                Err(Failure { text, is_of_place, .. }) => {
                    clear(into).during(into.display())?;
                    place.has_failed.fetch_or(is_of_place, Ordering::Relaxed);
                    let location = place.repository.location();
                    let text =
                        format!("the cache mount {} is not to be had from {location}: {text}", name.id);
                    engine.report(Warning::new(text).into());
                }
            }
        }
        Ok(None)
    }

    fn fetch_from(
        &self,
        engine: &Engine<'_>,
        ownership: &Ownership,
        place: &Place,
        name: &MountName,
        into: &Path,
    ) -> Result<Option<i64>, Failure> {
        let (repository, tag) = (place.repository.clone(), name.tag.clone());
        let answer = engine.unless_ended(async move { repository.manifest(&tag).await })?;
        let Some(manifest) = answer? else { return Ok(None) };
        let is_signed = |key: &VerifyingKey| key.verifies(manifest.value(), &name.tag);
        if !self.options.verify.as_ref().is_none_or(is_signed) {
            return Err(Failure::new("it is not signed with the key"));
        }
        let kept = KeptMount::parse(manifest.value()).map_err(|error| Failure::new(error.to_string()))?;
        let age = u64::try_from(self.options.clock.saturating_sub(kept.used)).unwrap_or_default();
        if self.options.ttl.is_some_and(|ttl| age >= ttl.as_secs()) {
            return Ok(None);
        }
        let limit = self.options.max_size;
        if kept.size > limit {
            return Err(Failure::new(format!("it holds {} bytes, and may hold {limit}", kept.size)));
        }
        let blob = place.repository.blob_reader(&engine.runtime, &kept.layer)?;
        let blob = Interruptible { inner: blob, cancel: engine.cancel() };
        clear(into)?;
        let root = Root::open(into)?;
        let mut limited = Limited { inner: Applier::new(&root, ownership.clone()), left: limit };
        let compression = kept.layer.media_type.layer_compression().unwrap_or(Compression::Zstd);
        let read = read_layer(blob, compression, &mut limited);
        if !matches!(&read, Ok(index) if index.diff_id == kept.diff_id) {
            engine.check_cancel()?;
            // If what is made anew is the same, it is to be kept.
            place.repository.discard_damaged(kept.layer.digest)?;
        }
        let index = read.map_err(|error| Failure::new(Error::from_chain(&error).message))?;
        limited.inner.finish()?;
        if index.diff_id != kept.diff_id {
            return Err(Failure::new(format!("its layer is damaged: it holds {}", index.diff_id)));
        }
        match into.join(KeptMount::DIRECTORY).symlink_metadata() {
            Ok(metadata) if metadata.is_dir() => Ok(Some(kept.used)),
            _ => Err(Failure::new("its layer does not hold a mount")),
        }
    }

    /// Notes beside a mount that was fetched where it is from; its directory has its place now.
    pub(crate) fn fetched(&self, ownership: &Ownership, directory: &Path, fetched: Fetched) -> Result<()> {
        let look = Whole::new(directory, KeptMount::DIRECTORY, ownership.clone())?.look()?;
        let kept =
            Kept { fingerprint: hex(&look), places: BTreeSet::from([fetched.place]), used: fetched.used };
        Ok(kept.write(directory)?)
    }

    /// Starts to bring back what has changed.
    pub(crate) fn begin(&self, engine: &Engine<'_>) -> Result<()> {
        let used = std::mem::take(&mut *lock(&self.used));
        if used.is_empty() || !self.keeps() {
            return Ok(());
        }
        let keeper = Keeper {
            options: self.options.clone(),
            to: self.places(engine).to.clone(),
            ownership: engine.new_ownership()?,
            store: engine.store().clone(),
            runtime: engine.runtime.clone(),
            report: engine.options.report.clone(),
            cancel: engine.cancel().clone(),
        };
        let mut running = lock(&self.keeper);
        let before = running.take();
        let keep = move || {
            // A panic in it is nobody's loss but the mounts'.
            if let Some(before) = before {
                let _ = before.join();
            }
            keeper.keep_all(&used);
        };
        *running = Some(std::thread::Builder::new().name("cache mounts".to_owned()).spawn(keep)?);
        Ok(())
    }

    /// Waits until all is back.
    pub(crate) fn finish(&self, engine: &Engine<'_>) -> Result<()> {
        self.begin(engine)?;
        let running = lock(&self.keeper).take();
        engine.timings.measure("wait for cache mounts", || {
            if let Some(running) = running {
                let _ = running.join();
            }
        });
        engine.check_cancel()
    }
}

/// What brings mounts back, on a thread of its own.
struct Keeper {
    options: CacheMountsOptions,
    to: Vec<Place>,
    ownership: Ownership,
    store: Store,
    runtime: Handle,
    report: Arc<dyn Report>,
    cancel: Cancel,
}

impl Keeper {
    fn keep_all(&self, used: &BTreeMap<PathBuf, BTreeSet<MountName>>) {
        for (directory, names) in used {
            for name in names {
                if self.cancel.signal().is_some() {
                    return;
                }
                if let Err(failure) = self.keep(directory, name) {
                    self.warn(format!("the cache mount {} is not kept: {}", name.id, failure.text));
                }
            }
        }
    }

    fn keep(&self, directory: &Path, name: &MountName) -> Result<(), Failure> {
        // Others may use it, and it is theirs to keep.
        let Some(locks) = Locks::take(directory)? else {
            let text = format!("the cache mount {} is left to the build that uses it", name.id);
            self.report.event(Event::Note(text));
            return Ok(());
        };
        self.ownership.recall(&directory.join(KeptMount::DIRECTORY), &directory.join(OWNERS))?;
        let whole = Whole::new(directory, KeptMount::DIRECTORY, self.ownership.clone())?;
        let look = whole.look()?;
        let mut kept =
            Kept::read(directory).filter(|kept| kept.fingerprint == hex(&look)).unwrap_or_default();
        let age = u64::try_from(self.options.clock.saturating_sub(kept.used)).unwrap_or_default();
        if self.options.ttl.is_some_and(|ttl| age > ttl.as_secs() / REFRESH) {
            kept.places.clear();
        }
        let to: Vec<&Place> =
            self.to.iter().filter(|place| !kept.places.contains(&at(place, name))).collect();
        if to.is_empty() {
            return Ok(());
        }
        if look.size > self.options.max_size {
            let (size, limit) = (look.size, self.options.max_size);
            return Err(Failure::new(format!(
                "it holds {size} bytes, and --cache-mounts-max-size is {limit}"
            )));
        }
        let (mount, file) = self.pack(&whole, &look, name)?;
        drop(locks);
        let mut manifest = mount.manifest();
        if let Some(key) = &self.options.sign {
            key.sign(&mut manifest, std::slice::from_ref(&name.tag));
        }
        let manifest = Raw::write(manifest);
        let mut places = kept.places;
        for place in to.into_iter().filter(|place| !place.has_failed.load(Ordering::Relaxed)) {
            let location = place.repository.location();
            let push = push(&place.repository, &name.tag, &mount.layer, &file, &manifest);
            let outcome = self.runtime.block_on(async {
                tokio::select! {
                    outcome = push => Some(outcome),
                    _ = cancelled(&self.cancel) => None,
                }
            });
            match outcome {
                None => return Ok(()),
                Some(Ok(())) => {
                    places.insert(at(place, name));
                    let text = format!("the cache mount {} is kept in {location}", name.id);
                    self.report.event(Event::Note(text));
                }
                Some(Err(error)) if error.is_immutable_tag() => {
                    let text = format!("the cache mount {} stays as it is in {location}: {error}", name.id);
                    self.report.event(Event::Note(text));
                }
                Some(Err(error)) => {
                    place.has_failed.store(true, Ordering::Relaxed);
                    let error = Error::from_chain(&error);
                    self.warn(format!("cache mounts in {location}: nothing more is kept there: {error}"));
                }
            }
        }
        // What is not used any more need not wait for the end of the build.
        self.store.remove_blob(mount.layer.digest)?;
        Kept { fingerprint: hex(&look), places, used: self.options.clock }.write(directory)?;
        Ok(())
    }

    fn pack(&self, whole: &Whole, look: &Look, name: &MountName) -> Result<(KeptMount, PathBuf), Failure> {
        let options = WriteOptions { compression: Compression::Zstd, ..WriteOptions::default() };
        let mut writer = LayerWriter::new(self.store.pending()?, options)?;
        whole.write(&mut Packing { writer: &mut writer, cancel: &self.cancel })?;
        let written = writer.finish()?;
        let media_type = MediaType::oci_layer(written.compression);
        let layer = Descriptor::new(media_type, written.digest, written.size);
        let file = self.store.commit_blob(written.digest, written.destination)?;
        let mount = KeptMount {
            id: name.id.clone(),
            platform: name.platform.clone(),
            layer,
            diff_id: written.index.diff_id,
            size: look.size,
            used: self.options.clock,
        };
        Ok((mount, file))
    }

    fn warn(&self, text: String) {
        self.report.event(Warning::new(text).into());
    }
}

/// Blobs first: a tag is moved only when all is there that it names.
async fn push(
    repository: &Repository,
    tag: &str,
    layer: &Descriptor,
    file: &Path,
    manifest: &Raw<oci::Manifest>,
) -> Result<(), RepositoryError> {
    repository.push_blob(&empty_config(), &BlobSource::Bytes(Bytes::from_static(EMPTY)), &[]).await?;
    repository.push_blob(layer, &BlobSource::File(file.to_owned()), &[]).await?;
    repository.put_mount(tag, manifest).await?;
    // Another build that has just replaced one with the same layer may have taken it for nobody's.
    repository.push_blob(layer, &BlobSource::File(file.to_owned()), &[]).await
}

/// Nobody else uses the mount while these are held.
struct Locks(#[allow(dead_code, reason = "they are held, and not used")] [File; 2]);

impl Locks {
    fn take(directory: &Path) -> io::Result<Option<Self>> {
        let take = |name: &str| {
            let file = File::options()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(directory.join(name))?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => Ok(Some(file)),
                Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
                Err(error) => Err(io::Error::from(error)),
            }
        };
        let Some(lock) = take("lock")? else { return Ok(None) };
        Ok(take("in-use")?.map(|in_use| Locks([lock, in_use])))
    }
}

impl Kept {
    /// What is written beside a mount; `None` if nothing that can be read is.
    fn read(directory: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(directory.join(KEPT)).ok()?).ok()
    }

    fn write(&self, directory: &Path) -> io::Result<()> {
        let (fresh, file) = (directory.join("kept.new"), directory.join(KEPT));
        std::fs::write(&fresh, serde_json::to_vec(self)?)?;
        std::fs::rename(fresh, file)
    }
}

/// Where a mount is kept, as the file `kept` has it.
fn at(place: &Place, name: &MountName) -> String {
    format!("{} {}", place.repository.location(), name.tag)
}

fn hex(look: &Look) -> String {
    look.fingerprint.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Removes what is in a directory.
fn clear(directory: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        rootfs::remove_tree(&entry?.path())?;
    }
    Ok(())
}

/// Why a mount could not be had, or kept.
struct Failure {
    text: String,
    /// A blob that was named was not there.
    is_gone: bool,
    /// The repository has failed, and would for others too.
    is_of_place: bool,
}

impl Failure {
    fn new(text: impl Into<String>) -> Self {
        Failure { text: text.into(), is_gone: false, is_of_place: false }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::new(error.message)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure::new(Error::from_chain(&error).message)
    }
}

impl From<RepositoryError> for Failure {
    fn from(error: RepositoryError) -> Self {
        let is_gone = error.is_not_found();
        let is_of_place = !is_gone && !matches!(error, RepositoryError::Malformed { .. });
        Failure { text: Error::from_chain(&error).message, is_gone, is_of_place }
    }
}

/// Takes what a layer holds, up to so many bytes.
struct Limited<'a> {
    inner: Applier<'a>,
    left: u64,
}

impl Sink for Limited<'_> {
    fn put(&mut self, path: &TreePath, metadata: &Metadata, content: Content<'_>) -> io::Result<()> {
        if let Content::File { size, .. } = &content {
            let left = self.left.checked_sub(*size);
            self.left = left.ok_or_else(|| io::Error::other("it holds more than it says"))?;
        }
        self.inner.put(path, metadata, content)
    }

    fn link(&mut self, path: &TreePath, target: &TreePath) -> io::Result<()> {
        self.inner.link(path, target)
    }

    fn remove(&mut self, path: &TreePath) -> io::Result<()> {
        self.inner.remove(path)
    }

    fn clear(&mut self, path: &TreePath) -> io::Result<()> {
        self.inner.clear(path)
    }
}

/// Packs a mount until the build is told to end.
struct Packing<'a> {
    writer: &'a mut LayerWriter<Pending>,
    cancel: &'a Cancel,
}

impl Sink for Packing<'_> {
    fn put(&mut self, path: &TreePath, metadata: &Metadata, content: Content<'_>) -> io::Result<()> {
        match content {
            Content::File { size, data } => {
                let mut data = Interruptible { inner: data, cancel: self.cancel };
                Sink::put(&mut *self.writer, path, metadata, Content::File { size, data: &mut data })
            }
            content => Sink::put(&mut *self.writer, path, metadata, content),
        }
    }

    fn link(&mut self, path: &TreePath, target: &TreePath) -> io::Result<()> {
        Sink::link(&mut *self.writer, path, target)
    }

    fn remove(&mut self, path: &TreePath) -> io::Result<()> {
        Sink::remove(&mut *self.writer, path)
    }

    fn clear(&mut self, path: &TreePath) -> io::Result<()> {
        Sink::clear(&mut *self.writer, path)
    }
}

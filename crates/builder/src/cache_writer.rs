//! What brings results into caches, while the build goes on.
//!
//! Each repository has a task of its own, which does one thing after the other: a record names blobs, and they
//! have to be there before it. What fails is told once, and from then on nothing is kept there.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use cache::{
    EMPTY, INDEX_TYPE, Location, Record, RecordLayer, Repository, RepositoryError, SigningKey, empty_config,
    indexes_manifest, list_manifest,
};
use oci::{Descriptor, DiffId, Digest, Manifest, MediaType, Raw, Reference};
use registry::BlobSource;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::event::{Event, Report, Warning};
use crate::explain::INPUTS_TYPE;
use crate::image::{Layer, LayerOrigin};
use crate::layer_cache::{CacheOptions, Found};

/// A record is told to be of use when it is a quarter of its time old.
const REFRESH: u64 = 4;

/// Brings results into every repository that wants them.
pub(crate) struct CacheWriter {
    targets: Vec<Target>,
    clock: i64,
    key: Option<Arc<SigningKey>>,
}

struct Target {
    repository: Arc<Repository>,
    jobs: UnboundedSender<Job>,
    task: JoinHandle<()>,
}

/// Something to keep: blobs first, and then a manifest under its tags.
#[derive(Clone)]
struct Job {
    blobs: Vec<Blob>,
    manifest: Raw<Manifest>,
    tags: Vec<String>,
    is_new: bool,
}

#[derive(Clone)]
struct Blob {
    descriptor: Descriptor,
    source: BlobSource,
    /// Where it is kept already, if it is from a cache.
    home: Option<Location>,
    near: Vec<Reference>,
}

impl CacheWriter {
    pub(crate) fn start(
        repositories: Vec<Arc<Repository>>,
        runtime: &Handle,
        report: Arc<dyn Report>,
        options: &CacheOptions,
    ) -> Self {
        let start = |repository: Arc<Repository>| {
            let (jobs, queue) = unbounded_channel();
            let task = runtime.spawn(work(repository.clone(), queue, report.clone()));
            Target { repository, jobs, task }
        };
        let targets = repositories.into_iter().map(start).collect();
        CacheWriter { targets, clock: options.clock, key: options.sign.clone() }
    }

    /// A record is of use. Repositories that do not have it get it; the one that has it is told, if that is new
    /// to it, so that the record does not grow old.
    pub(crate) fn found(
        &self,
        found: &Found,
        tag: &str,
        options: &CacheOptions,
        has: impl Fn(&Location) -> bool,
    ) {
        let Found { record, manifest, repository } = found;
        let age = u64::try_from(self.clock.saturating_sub(record.used)).unwrap_or_default();
        let is_ageing = options.ttl.is_some_and(|ttl| age > ttl.as_secs() / REFRESH);
        for target in &self.targets {
            if has(target.repository.location()) && !is_ageing {
                continue;
            }
            let mut blobs = vec![empty()];
            for layer in &record.layers {
                blobs.extend([&layer.descriptor, &layer.index].map(|blob| cached_blob(repository, blob)));
            }
            // Its signature stays what it was.
            let mut manifest = manifest.clone();
            Record::touch(&mut manifest, self.clock);
            let manifest = Raw::write(manifest);
            let tags = vec![tag.to_owned()];
            // A task that is gone has told why.
            let _ = target.jobs.send(Job { blobs, manifest, tags, is_new: false });
        }
    }

    /// Keeps what a build was made of.
    pub(crate) fn inputs(&self, bytes: Vec<u8>, tag: String) {
        let media_type = MediaType::from(INPUTS_TYPE);
        let descriptor = Descriptor::new(media_type, Digest::of(&bytes), bytes.len() as u64);
        let manifest =
            self.seal(list_manifest(vec![descriptor.clone()], self.clock), std::slice::from_ref(&tag));
        let source = BlobSource::Bytes(Bytes::from(bytes));
        let blobs = vec![empty(), Blob { descriptor, source, home: None, near: Vec::new() }];
        self.send(&Job { blobs, manifest, tags: vec![tag], is_new: false });
    }

    /// Keeps the top one of these layers, with what is beneath it.
    pub(crate) fn record(&self, engine: &Engine<'_>, layers: &[Layer], tags: Vec<String>, command: String) {
        if self.targets.is_empty() {
            return;
        }
        let mut blobs = vec![empty()];
        let mut kept = Vec::new();
        for layer in layers {
            match kept_layer(engine, layer) {
                Ok(Some((layer, found))) => {
                    blobs.extend(found);
                    kept.push(layer);
                }
                Ok(None) => {}
                Err(error) => return engine.report(Event::Note(format!("a step is not kept: {error}"))),
            }
        }
        let manifest =
            self.seal(Record { layers: kept, used: self.clock, command: Some(command) }.manifest(), &tags);
        self.send(&Job { blobs, manifest, tags, is_new: true });
    }

    /// Keeps the indexes of an image's layers, if all are here.
    pub(crate) fn indexes(&self, engine: &Engine<'_>, layers: &[Layer], tag: String) {
        if self.targets.is_empty() {
            return;
        }
        let mut blobs = vec![empty()];
        let mut list: Vec<(DiffId, Descriptor)> = Vec::new();
        for layer in layers {
            let Ok(Some(blob)) = index_blob(engine, layer.diff_id) else { return };
            list.push((layer.diff_id, blob.descriptor.clone()));
            blobs.push(blob);
        }
        let manifest = self.seal(indexes_manifest(&list, self.clock), std::slice::from_ref(&tag));
        self.send(&Job { blobs, manifest, tags: vec![tag], is_new: true });
    }

    /// Waits until all is there.
    pub(crate) async fn finish(self) {
        for Target { jobs, task, .. } in self.targets {
            drop(jobs);
            // It ends with what it was sent, and a panic in it is nobody's loss but the cache's.
            let _ = task.await;
        }
    }

    /// A manifest in its final form, signed if there is a key.
    fn seal(&self, mut manifest: Manifest, tags: &[String]) -> Raw<Manifest> {
        if let Some(key) = &self.key {
            key.sign(&mut manifest, tags);
        }
        Raw::write(manifest)
    }

    fn send(&self, job: &Job) {
        for target in &self.targets {
            // A task that is gone has told why.
            let _ = target.jobs.send(job.clone());
        }
    }
}

/// Does one job after the other, until one fails.
async fn work(repository: Arc<Repository>, mut jobs: UnboundedReceiver<Job>, report: Arc<dyn Report>) {
    let mut present = BTreeSet::new();
    while let Some(job) = jobs.recv().await {
        let kept = keep(&repository, &job, &mut present).await;
        // Somebody else was faster, or it cannot be said there that it is of use still.
        if let Err(error) = &kept
            && error.is_immutable_tag()
        {
            let (location, tags) = (repository.location(), job.tags.join(" "));
            report.event(Event::Note(format!("{tags} stays as it is in {location}: {error}")));
            continue;
        }
        if let Err(error) = kept {
            let mut text = format!(
                "cache {}: nothing more is kept there: {}",
                repository.location(),
                Error::from_chain(&error)
            );
            if let RepositoryError::Registry(error) = &error
                && let Some(hint) = error.hint()
            {
                text = format!("{text} ({hint})");
            }
            return report.event(Warning::new(text).into());
        }
        if job.is_new {
            report.event(Event::Note(format!("kept in {}: {}", repository.location(), job.tags.join(" "))));
        }
    }
}

async fn keep(
    repository: &Repository,
    job: &Job,
    present: &mut BTreeSet<Digest>,
) -> Result<(), RepositoryError> {
    for blob in &job.blobs {
        let is_home = blob.home.as_ref() == Some(repository.location());
        if is_home || present.contains(&blob.descriptor.digest) {
            continue;
        }
        repository.push_blob(&blob.descriptor, &blob.source, &blob.near).await?;
        present.insert(blob.descriptor.digest);
    }
    repository.put(&job.tags, &job.manifest).await
}

fn empty() -> Blob {
    let source = BlobSource::Bytes(Bytes::from_static(EMPTY));
    Blob { descriptor: empty_config(), source, home: None, near: Vec::new() }
}

/// A layer as a record has it, and its blobs; `None` if such layers are not kept.
fn kept_layer(engine: &Engine<'_>, layer: &Layer) -> Result<Option<(RecordLayer, Vec<Blob>)>> {
    let Some(made) = layer.made.as_ref().filter(|made| made.is_kept) else { return Ok(None) };
    let mut blobs = Vec::new();
    let index = match &made.cached {
        Some((repository, index)) => {
            blobs.extend([&layer.descriptor, index].map(|blob| cached_blob(repository, blob)));
            index.clone()
        }
        None => {
            let Some(index) = index_blob(engine, layer.diff_id)? else { return Ok(None) };
            let near = engine.options.outputs.destinations.clone();
            let source = match &layer.origin {
                LayerOrigin::Registry(reference) => BlobSource::Repository(reference.clone()),
                LayerOrigin::Built | LayerOrigin::Layout(_) => BlobSource::File(engine.blob_file(layer)?),
            };
            blobs.push(Blob { descriptor: layer.descriptor.clone(), source, home: None, near });
            let descriptor = index.descriptor.clone();
            blobs.push(index);
            descriptor
        }
    };
    let layer = RecordLayer {
        step: made.step,
        descriptor: layer.descriptor.clone(),
        diff_id: layer.diff_id,
        content: made.content,
        created: made.created.clone(),
        index,
    };
    Ok(Some((layer, blobs)))
}

/// A blob that a cache has.
fn cached_blob(repository: &Repository, blob: &Descriptor) -> Blob {
    let source = match (repository.location(), repository.layout()) {
        (Location::Registry(reference), _) => BlobSource::Repository(reference.clone()),
        (Location::Directory(_), Some(layout)) => BlobSource::File(layout.blob_path(blob.digest)),
        // It is not there, and who reads it says so.
        (Location::Directory(directory), None) => BlobSource::File(directory.clone()),
    };
    Blob { descriptor: blob.clone(), source, home: Some(repository.location().clone()), near: Vec::new() }
}

/// The index of a layer, if it is on this disk.
fn index_blob(engine: &Engine<'_>, diff_id: DiffId) -> Result<Option<Blob>> {
    let Some(path) = engine.index_file(diff_id) else { return Ok(None) };
    let bytes = std::fs::read(&path)?;
    let digest = Digest::of(&bytes);
    let descriptor = Descriptor::new(MediaType::from(INDEX_TYPE), digest, bytes.len() as u64);
    let source = BlobSource::File(path);
    Ok(Some(Blob { descriptor, source, home: None, near: Vec::new() }))
}

//! Pushes: layers go up while later steps still run; the manifest, which gives the image its name, goes last.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use oci::{Descriptor, Digest, MediaType, Reference};
use registry::{BlobSource, Client, Pushed};
use sandbox::Cancel;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use super::{Finished, repositories};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::event::{Event, Report, Warning};
use crate::image::{Image, Layer};
use crate::waiting::{cancelled, registry_error};

/// What the subject of an error begins with that is about where a blob comes from.
const PULL: &str = "pull ";

/// Uploads to every repository among the destinations. Dropped before the end, it stops what is under way;
/// what has arrived by then has no name and is the registry's to collect.
pub(crate) struct Uploads {
    client: Client,
    runtime: Handle,
    destinations: Vec<Reference>,
    keep_immutable_tags: bool,
    report: Arc<dyn Report>,
    cancel: Cancel,
    started: BTreeSet<Digest>,
    tasks: JoinSet<Result<()>>,
}

impl Uploads {
    pub(crate) fn new(
        client: Client,
        runtime: Handle,
        destinations: &[Reference],
        keep_immutable_tags: bool,
        report: Arc<dyn Report>,
        cancel: Cancel,
    ) -> Self {
        Uploads {
            client,
            runtime,
            destinations: destinations.to_vec(),
            keep_immutable_tags,
            report,
            cancel,
            started: BTreeSet::new(),
            tasks: JoinSet::new(),
        }
    }

    /// Starts with the base: what a registry has already is only mounted, which costs a request.
    pub(crate) fn begin(&mut self, base: &Image) {
        for layer in &base.layers {
            let Some(origin) = layer.repository() else { continue };
            let is_near = |destination: &Reference| destination.registry() == origin.registry();
            if self.destinations.iter().all(is_near) {
                self.start_everywhere(
                    &layer.descriptor,
                    &BlobSource::Repository(origin.clone()),
                    Some(origin),
                    layer.is_cached(),
                );
            }
        }
    }

    /// Starts to bring a layer to every repository, unless that is under way: from this disk or, if it is
    /// not here, from the repository it came from.
    pub(crate) fn layer(&mut self, engine: &Engine<'_>, layer: &Layer) -> Result<()> {
        let source = match (engine.local_blob(layer)?, layer.repository()) {
            (Some(file), _) => BlobSource::File(file),
            (None, Some(origin)) => BlobSource::Repository(origin.clone()),
            (None, None) => return engine.blob_file(layer).map(drop),
        };
        self.start_everywhere(&layer.descriptor, &source, layer.repository(), layer.is_cached());
        Ok(())
    }

    /// `is_cached` says that the source is a cache, which may turn out not to have it.
    fn start_everywhere(
        &mut self,
        descriptor: &Descriptor,
        source: &BlobSource,
        origin: Option<&Reference>,
        is_cached: bool,
    ) {
        if self.started.insert(descriptor.digest) {
            let repositories: Vec<Reference> =
                repositories(&self.destinations).into_iter().cloned().collect();
            for repository in repositories {
                self.start(
                    repository,
                    descriptor.clone(),
                    source.clone(),
                    origin.cloned().into_iter().collect(),
                    is_cached,
                );
            }
        }
    }

    /// Starts to bring a file of this disk to every repository.
    pub(crate) fn file(&mut self, descriptor: &Descriptor, file: PathBuf) {
        self.start_everywhere(descriptor, &BlobSource::File(file), None, false);
    }

    /// Starts to bring a document to every repository.
    pub(crate) fn document(&mut self, descriptor: &Descriptor, bytes: &[u8]) {
        self.start_everywhere(descriptor, &BlobSource::Bytes(Bytes::copy_from_slice(bytes)), None, false);
    }

    /// Waits for the layers, then pushes config and manifest under every name; in vain if the build is told
    /// to end.
    pub(crate) fn finish(mut self, image: &Finished) -> Result<()> {
        self.document(&Descriptor::of(image.format.config(), &image.config), image.config.bytes());
        self.finish_with(&image.format.manifest(), image.manifest.bytes())
    }

    /// Waits for the blobs, then pushes a manifest under every name; in vain if it is all to end.
    pub(crate) fn finish_with(mut self, media_type: &MediaType, manifest: &[u8]) -> Result<()> {
        let (runtime, cancel) = (self.runtime.clone(), self.cancel.clone());
        runtime.block_on(async {
            tokio::select! {
                biased;
                signal = cancelled(&cancel) => Err(Error::ended_by(signal)),
                outcome = self.complete(media_type, manifest) => outcome,
            }
        })
    }

    async fn complete(&mut self, media_type: &MediaType, manifest: &[u8]) -> Result<()> {
        while let Some(outcome) = self.tasks.join_next().await {
            outcome.map_err(|error| Error::new(format!("upload: {error}")))??;
        }
        for destination in &self.destinations {
            let bytes = Bytes::copy_from_slice(manifest);
            // A destination without a tag is named by what is pushed there.
            let named = match destination.tag() {
                Some(_) => destination.clone(),
                None => destination.at(Digest::of(manifest)),
            };
            let pushed = self.client.push_manifest(&named, media_type, bytes).await;
            match pushed {
                Ok(digest) => self.report.event(Event::Image { reference: destination.clone(), digest }),
                Err(error) if self.keep_immutable_tags && error.is_immutable_tag() => {
                    let text = format!("{destination} is immutable and stays as it is: {}", error.kind);
                    self.report.event(Warning::new(text).into());
                }
                Err(error) => return Err(registry_error(error)),
            }
        }
        Ok(())
    }

    fn start(
        &mut self,
        destination: Reference,
        descriptor: Descriptor,
        source: BlobSource,
        mount_from: Vec<Reference>,
        is_cached: bool,
    ) {
        let (client, report) = (self.client.clone(), self.report.clone());
        self.tasks.spawn_on(
            async move {
                let how = client.push_blob(&destination, &descriptor, &source, &mount_from).await;
                let how = how.map_err(|error| {
                    // What fails at the destination fails without the cache too.
                    let damaged = is_cached && error.subject.starts_with(PULL);
                    let mut error = registry_error(error);
                    error.damaged = damaged.then_some(descriptor.digest);
                    error
                })?;
                let (repository, how) = (destination.name(), shown(&how));
                report.event(Event::Pushed {
                    repository,
                    digest: descriptor.digest,
                    size: descriptor.size,
                    how,
                });
                Ok(())
            },
            &self.runtime,
        );
    }
}

fn shown(how: &Pushed) -> &'static str {
    match how {
        Pushed::Existed => "was there",
        Pushed::Mounted { .. } => "mounted",
        Pushed::Uploaded { .. } => "sent",
    }
}

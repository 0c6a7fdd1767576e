//! Warming: bases are brought into a cache directory before a build asks for them, with the index of each layer.
//!
//! One warmer at a time fills a directory: who comes second finds what the first has brought. Builds need not wait.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cache::Store;
use dockerfile::graph::Origin;
use dockerfile::{GlobalScope, Graph, PlatformArgs};
use layer::{discard, read_layer};
use oci::{Compression, DiffId, Platform, Reference};
use sandbox::Cancel;
use tokio::runtime::Handle;

use crate::build::parse_error;
use crate::error::{Context, Error, Result};
use crate::event::{Event, Report, Warning};
use crate::fetch::Fetcher;
use crate::new_layer::KeepAccounts;
use crate::waiting::wait;

/// What it takes to warm a cache.
#[derive(Debug)]
pub struct Warm<'a> {
    /// The cache directory.
    pub cache_dir: &'a Path,
    /// For which platform.
    pub platform: Platform,
    /// The client for registries.
    pub client: registry::Client,
    /// Where requests run.
    pub runtime: Handle,
    /// What ends it early.
    pub cancel: Cancel,
}

/// A cache directory that no other warmer fills until this is dropped.
#[derive(Debug)]
pub struct WarmLock(#[allow(dead_code, reason = "it is held, and not used")] File);

/// How often a directory that somebody else fills is tried again.
const RETRY: Duration = Duration::from_millis(50);

impl Warm<'_> {
    /// Waits until no other warmer fills the directory.
    pub fn lock(&self, report: &Arc<dyn Report>) -> Result<WarmLock> {
        let path = self.cache_dir.join("warmer.lock");
        let file =
            File::options().write(true).create(true).truncate(false).open(&path).during(path.display())?;
        let mut is_told = false;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(WarmLock(file)),
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(error).during(path.display()),
            }
            if !std::mem::replace(&mut is_told, true) {
                let text = format!("waiting for another warmer of {}", self.cache_dir.display());
                report.event(Warning::new(text).into());
            }
            if let Some(signal) = self.cancel.signal() {
                return Err(Error::ended_by(signal));
            }
            std::thread::sleep(RETRY);
        }
    }

    /// The images that a Dockerfile's stages start from or copy from, in its order, and what each is wanted for:
    /// what a `FROM --platform` says, if it does.
    pub fn images_of(
        &self,
        dockerfile: &str,
        build_args: &std::collections::BTreeMap<String, String>,
    ) -> Result<Vec<(Reference, Platform)>> {
        let dockerfile = dockerfile::parse(dockerfile).map_err(parse_error)?;
        let platform = self.platform.to_string();
        let platform_args = PlatformArgs::new(&Platform::host().to_string(), &platform, None);
        let scope = GlobalScope::new(&dockerfile, &platform_args, build_args)
            .map_err(|error| Error::new(format!("ARG {}: {}", error.name, error.source)).at(error.span))?;
        let graph = Graph::new(&dockerfile, &scope, &[], &platform)?;
        let mut images: Vec<(Reference, Platform)> = Vec::new();
        for (number, node) in graph.nodes.iter().enumerate() {
            let of_base = match &node.platform {
                Some(text) => text.parse::<Platform>().map_err(|error| Error::new(error.to_string()))?,
                None => self.platform.clone(),
            };
            let sources =
                graph.sources(number)?.into_iter().map(|source| (source.value, self.platform.clone()));
            for (origin, platform) in std::iter::once((node.base.clone(), of_base)).chain(sources) {
                if let Origin::Image(name) = origin {
                    let image = (name.parse::<Reference>()?, platform);
                    if !images.contains(&image) {
                        images.push(image);
                    }
                }
            }
        }
        Ok(images)
    }
}

/// Brings one image's layers here, checked, and notes what they say, as far as that is not known.
pub fn warm(warm: &Warm<'_>, image: &Reference, platform: &Platform, report: &Arc<dyn Report>) -> Result<()> {
    let Warm { client, runtime, cancel, .. } = warm;
    let store = Store::open(warm.cache_dir).during("cache directory")?;
    let fetcher =
        Fetcher::new(client.clone(), runtime.clone(), store.clone(), report.clone(), cancel.clone());
    let resolved = wait(runtime, cancel, client.resolve(image, platform))?;
    report.event(Event::Resolved { reference: image.clone(), digest: resolved.manifest.digest() });
    let manifest = resolved.manifest.value();
    let config = wait(runtime, cancel, client.config(&resolved.reference, &manifest.config))?;
    let diff_ids: &[DiffId] = &config.value().rootfs.diff_ids;
    let layers = &manifest.layers;
    if diff_ids.len() != layers.len() {
        let (layers, known) = (layers.len(), diff_ids.len());
        return Err(Error::new(format!("its manifest lists {layers} layers, its config {known}")));
    }
    for layer in layers {
        fetcher.start(&resolved.reference, layer);
    }
    for (layer, &diff_id) in layers.iter().zip(diff_ids) {
        let during = format!("layer {}", layer.digest);
        let file = File::open(fetcher.file(&resolved.reference, layer)?).during(&during)?;
        if store.index(diff_id).is_some() {
            continue;
        }
        let compression = layer.media_type.layer_compression().unwrap_or(Compression::Gzip);
        let mut sink = KeepAccounts { store: &store, sink: &mut discard() };
        let index = read_layer(file, compression, &mut sink).during(&during)?;
        if index.diff_id != diff_id {
            let text = format!("it holds {}, the image's config says {diff_id}", index.diff_id);
            return Err(Error::new(text).during(during));
        }
        store.put_index(&index)?;
    }
    Ok(())
}

//! Warming: bases are brought into a cache directory before a build asks for them, with the index of each layer.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use cache::Store;
use dockerfile::graph::Origin;
use dockerfile::{GlobalScope, Graph, PlatformArgs};
use layer::{Discard, read_layer};
use oci::{Compression, Platform, Reference};
use sandbox::Cancel;
use tokio::runtime::Handle;

use crate::build::parse_error;
use crate::engine::wait;
use crate::error::{Context, Error, Result};
use crate::event::{Event, Report};
use crate::fetch::Fetcher;
use crate::new_layer::KeepAccounts;

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

impl Warm<'_> {
    /// The images that a Dockerfile's stages start from or copy from, in its order.
    pub fn images_of(
        &self,
        dockerfile: &str,
        build_args: &std::collections::BTreeMap<String, String>,
    ) -> Result<Vec<Reference>> {
        let dockerfile = dockerfile::parse(dockerfile).map_err(parse_error)?;
        let platform = self.platform.to_string();
        let platform_args = PlatformArgs::new(&Platform::host().to_string(), &platform, None);
        let scope = GlobalScope::new(&dockerfile, &platform_args, build_args)
            .map_err(|error| Error::new(format!("ARG {}: {}", error.name, error.source)).at(error.span))?;
        let graph = Graph::new(&dockerfile, &scope, &[], &platform)?;
        let mut images: Vec<Reference> = Vec::new();
        for (number, node) in graph.nodes.iter().enumerate() {
            let sources = graph.sources(number)?.into_iter().map(|source| source.value);
            for origin in std::iter::once(node.base.clone()).chain(sources) {
                if let Origin::Image(name) = origin {
                    let reference: Reference = name.parse()?;
                    if !images.contains(&reference) {
                        images.push(reference);
                    }
                }
            }
        }
        Ok(images)
    }
}

/// Brings one image's layers here, checked, and notes what they say.
pub fn warm(warm: &Warm<'_>, image: &Reference, report: &Arc<dyn Report>) -> Result<()> {
    let Warm { client, runtime, cancel, .. } = warm;
    let store = Store::open(warm.cache_dir).during("cache directory")?;
    let fetcher =
        Fetcher::new(client.clone(), runtime.clone(), store.clone(), report.clone(), cancel.clone());
    let resolved = wait(runtime, cancel, client.resolve(image, &warm.platform))?;
    report.event(Event::Resolved { reference: image.clone(), digest: resolved.manifest.digest() });
    let layers = &resolved.manifest.value().layers;
    for layer in layers {
        fetcher.start(&resolved.reference, layer);
    }
    for layer in layers {
        let during = format!("layer {}", layer.digest);
        let file = File::open(fetcher.file(&resolved.reference, layer)?).during(&during)?;
        let compression = layer.media_type.layer_compression().unwrap_or(Compression::Gzip);
        let mut sink = KeepAccounts { store: &store, sink: &mut Discard };
        let index = read_layer(file, compression, &mut sink).during(&during)?;
        store.put_index(&index)?;
    }
    Ok(())
}

//! An image that is in a file or a directory, on its way to a registry: a `docker save` archive, an OCI layout, or an
//! OCI layout in an archive.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use images::{ArchiveKind, unpack};
use layout::Layout;
use oci::{Descriptor, Digest, ImageFormat, Manifest, ManifestOrIndex, Raw};
use registry::Client;

use crate::context::Fetching;
use crate::engine::check_destinations;
use crate::error::{Error, Result};
use crate::event::Report;
use crate::interruptible::check;
use crate::output::{Outputs, Uploads, write_digest_files};

/// What it takes to push an image.
#[derive(Debug)]
pub struct Push<'a> {
    /// The archive or the layout.
    pub from: &'a Path,
    /// Where to, and what is written afterwards. The media types count for archives of `docker save` alone: what an
    /// OCI layout has keeps its bytes.
    pub outputs: &'a Outputs,
    /// The client for registries.
    pub client: Client,
    /// Where requests run, and where an archive is unpacked.
    pub fetching: Fetching<'a>,
}

/// Pushes the one image that is there; the digest of its manifest.
pub fn push(push: &Push<'_>, report: &Arc<dyn Report>) -> Result<Digest> {
    let Push { outputs, fetching, client, .. } = push;
    let image = open(push)?;
    if !outputs.skip_push_check {
        check_destinations(client, &outputs.destinations, fetching.runtime, fetching.cancel)?;
    }
    let mut uploads = Uploads::new(
        client.clone(),
        fetching.runtime.clone(),
        &outputs.destinations,
        outputs.keep_immutable_tags,
        report.clone(),
        fetching.cancel.clone(),
    );
    for (descriptor, file) in image.layers {
        uploads.file(&descriptor, file);
    }
    let manifest = image.manifest.value();
    uploads.document(&manifest.config, &image.config);
    let media_type = manifest.media_type.clone().unwrap_or_else(|| ImageFormat::Oci.manifest());
    uploads.finish_with(&media_type, image.manifest.bytes())?;
    let digest = image.manifest.digest();
    write_digest_files(*fetching, outputs, digest)?;
    Ok(digest)
}

/// An image whose blobs are files.
struct Stored {
    manifest: Raw<Manifest>,
    config: Vec<u8>,
    layers: Vec<(Descriptor, PathBuf)>,
}

/// What a manifest or a config may be large, as registries have it.
const DOCUMENT_LIMIT: u64 = 8 << 20;

fn open(push: &Push<'_>) -> Result<Stored> {
    if push.from.is_dir() {
        return of_layout(&Layout::open(push.from)?).map_err(|error| error.during(push.from.display()));
    }
    let unpacked = push.fetching.work_dir.path().join("image");
    let interrupted = || check(push.fetching.cancel);
    let layout = unpack(push.from, ArchiveKind::Any, push.outputs.format, &unpacked, &interrupted);
    let layout = layout.map_err(|error| Error::from_chain(&error))?;
    of_layout(&layout).map_err(|error| error.during(push.from.display()))
}

/// The only image of a layout; one that is listed under several names is one.
fn of_layout(layout: &Layout) -> Result<Stored> {
    let mut listed: Vec<Digest> = layout.index()?.manifests.iter().map(|entry| entry.digest).collect();
    listed.sort();
    listed.dedup();
    let [digest] = listed[..] else {
        return Err(Error::new(format!("it holds {} images, and not one", listed.len())));
    };
    let manifest = match ManifestOrIndex::parse(layout.read_blob(digest, DOCUMENT_LIMIT)?, None)? {
        ManifestOrIndex::Manifest(manifest) => manifest,
        ManifestOrIndex::Index(_) => {
            return Err(Error::new(
                "it holds an index, that is images for several platforms, and not one image",
            ));
        }
    };
    let config = layout.read_blob(manifest.value().config.digest, DOCUMENT_LIMIT)?;
    let layers = manifest.value().layers.iter();
    let layers = layers.map(|layer| (layer.clone(), layout.blob_path(layer.digest))).collect();
    Ok(Stored { manifest, config, layers })
}

//! Copies: an image, or an index with all its images, from one location to another.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};
use layout::Layout;
use oci::{Descriptor, Digest, ImageFormat, ManifestOrIndex, Platform};
use registry::Client;

use crate::place::pack;
use crate::unpack::{ArchiveKind, unpack};
use crate::{Error, Location, Place, Result};

/// What of an index is copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// The index and all its images.
    All,
    /// One image.
    Platform(Platform),
}

/// Blobs of an image that are on their way at once. The client has a limit of its own for all.
const BLOBS: usize = 4;

/// Indexes in one another.
pub(crate) const NESTING: usize = 4;

/// Copies an image; the digest of what has the new name. Archives are unpacked and packed in `work`.
pub async fn copy(
    client: &Client,
    from: &Location,
    to: &Location,
    selection: &Selection,
    work: &Path,
) -> Result<Digest> {
    if let Location::DockerArchive(..) = to {
        return Err(Error::new(format!(
            "{to}: such archives are read and not written; use oci-archive:FILE, which docker load reads since version 25"
        )));
    }
    let source = match from {
        Location::Registry(reference) => Place::Registry(client.clone(), reference.clone()),
        Location::Layout(dir, name) => Place::Layout(Layout::open(dir)?, name.clone()),
        Location::Archive(file, name) => {
            let layout = unpacked(file.clone(), None, work.join("from")).await?;
            Place::Layout(layout, name.clone())
        }
        Location::DockerArchive(file, name) => {
            let layout = unpacked(file.clone(), Some(name.clone()), work.join("from")).await?;
            Place::Layout(layout, None)
        }
    };
    let destination = match to {
        Location::Registry(reference) => {
            if reference.digest().is_some() && reference.tag().is_some() {
                return Err(Error::new(format!("{reference}: give a tag or a digest, not both")));
            }
            Place::Registry(client.clone(), reference.clone())
        }
        Location::Layout(dir, name) => Place::Layout(Layout::create(dir)?, name.clone()),
        Location::Archive(_, name) | Location::DockerArchive(_, name) => {
            Place::Layout(Layout::create(work.join("to"))?, name.clone())
        }
    };
    let mut root = source.root().await?;
    if let Selection::Platform(platform) = selection {
        for _ in 0..NESTING {
            let ManifestOrIndex::Index(index) = &root else { break };
            let chosen = index
                .value()
                .for_platform(platform)
                .map_err(|error| Error::new(format!("{from}: {error}")))?;
            root = source.manifest(&chosen.clone()).await?;
        }
    }
    bring(&source, &destination, &root, 0).await?;
    let digest = destination.put_root(&root.media_type(), root.bytes()).await?;
    if let (Location::Archive(file, _), Place::Layout(layout, _)) = (to, &destination) {
        pack(layout, file)?;
    }
    Ok(digest)
}

/// Unpacks an archive on a thread for such work, which ends if nobody waits for it any more. What `docker` holds is the
/// name of an image in an archive of `docker save`; without it the archive is one of a layout.
async fn unpacked(file: PathBuf, docker: Option<Option<String>>, dir: PathBuf) -> Result<Layout> {
    let waiting = Arc::new(());
    let waited_for = Arc::downgrade(&waiting);
    let interrupted = move || match waited_for.strong_count() {
        0 => Err(io::Error::other("nobody waits for it any more")),
        _ => Ok(()),
    };
    let work = tokio::task::spawn_blocking(move || {
        let kind = match &docker {
            Some(name) => ArchiveKind::Docker(name.as_deref()),
            None => ArchiveKind::Oci,
        };
        unpack(&file, kind, ImageFormat::Oci, &dir, &interrupted)
    });
    let outcome = work.await;
    drop(waiting);
    outcome.map_err(|_| Error::new("unpacking ended without a result"))?
}

/// Brings everything that a manifest or index needs, but not itself.
pub(crate) async fn bring(from: &Place, to: &Place, root: &ManifestOrIndex, depth: usize) -> Result<()> {
    match root {
        ManifestOrIndex::Manifest(manifest) => {
            let manifest = manifest.value();
            // What only its maker may distribute stays where it is.
            let is_ours = |layer: &&Descriptor| layer.urls.is_empty();
            let blobs = manifest.layers.iter().filter(is_ours).chain([&manifest.config]);
            stream::iter(blobs.map(|blob| to.take_blob(from, blob)))
                .buffer_unordered(BLOBS)
                .try_collect::<Vec<()>>()
                .await?;
            Ok(())
        }
        ManifestOrIndex::Index(index) => {
            if depth == NESTING {
                return Err(Error::new(format!("more than {NESTING} indexes in one another")));
            }
            for child in &index.value().manifests {
                let found = from.manifest(child).await?;
                Box::pin(bring(from, to, &found, depth + 1)).await?;
                to.put_manifest(&found.media_type(), found.bytes()).await?;
            }
            Ok(())
        }
    }
}

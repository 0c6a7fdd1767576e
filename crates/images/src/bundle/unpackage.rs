//! Unpackaging: everything in a bundle into one repository.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use oci::{Descriptor, Digest, Hasher, MediaType, Reference};
use registry::{BlobSource, Client};
use tokio::task::JoinSet;

use super::list::{
    ImageEntry, IndexEntry, ManifestEntry, Wanted, check_image, check_index, damaged, read_list,
};
use super::{BundleEvent, check_tag, kept_tag};
use crate::error::during;
use crate::{Error, Result};

/// Pushes everything in a bundle to one repository, each image under the tag [`kept_tag`]; the names in the bundle with
/// their digests. Layers are unpacked in `work`, `at_once` at a time.
pub async fn unpackage(
    client: &Client,
    bundle: &Path,
    to: &Reference,
    at_once: usize,
    work: &Path,
    report: &(dyn Fn(BundleEvent<'_>) + Sync),
) -> Result<Vec<(String, Digest)>> {
    let entries = read_list(bundle)?;
    let mut wanted = BTreeMap::new();
    for entry in &entries {
        let name = entry.refs().first().map_or("an image", String::as_str);
        match (&entry.image_index, &entry.image) {
            (Some(index), None) => check_index(index, name, &mut wanted, 0)?,
            (None, Some(image)) => check_image(image, name, &mut wanted)?,
            _ => return Err(damaged(bundle, "an entry of manifest.json is neither an image nor an index")),
        }
    }
    push_layers(client, bundle, to, at_once, work, wanted).await?;
    let pushed = entries.iter().map(|entry| async move {
        let name = entry.refs().first().map_or("", String::as_str);
        report(BundleEvent::Importing(name));
        let (media_type, digest, raw) = match (&entry.image_index, &entry.image) {
            (Some(index), _) => {
                push_children(client, to, index).await?;
                (&index.media_type, index.digest, &index.raw)
            }
            (None, Some(image)) => {
                push_config(client, to, image).await?;
                (&image.manifest.media_type, image.manifest.digest, &image.manifest.raw)
            }
            (None, None) => return Ok(Vec::new()),
        };
        let tagged = to.with_tag(&kept_tag(digest));
        let media_type = MediaType::from(media_type.as_str());
        client.push_manifest(&tagged, &media_type, Bytes::copy_from_slice(raw.as_bytes())).await?;
        check_tag(client, &tagged, digest).await?;
        Ok::<_, Error>(entry.refs().iter().map(|name| (name.clone(), digest)).collect::<Vec<_>>())
    });
    let pushed: Vec<Vec<(String, Digest)>> =
        stream::iter(pushed).buffered(at_once.max(1)).try_collect().await?;
    Ok(pushed.into_iter().flatten().collect())
}

/// Goes through the bundle once, and pushes each layer that is wanted.
async fn push_layers(
    client: &Client,
    bundle: &Path,
    to: &Reference,
    at_once: usize,
    work: &Path,
    wanted: Wanted,
) -> Result<()> {
    let what = || format!("read {}", bundle.display());
    let file = std::fs::File::open(bundle).map_err(during(what()))?;
    let mut tar = tar::Archive::new(file);
    let (mut tasks, mut done) = (JoinSet::new(), BTreeSet::new());
    for entry in tar.entries_with_seek().map_err(during(what()))? {
        let mut entry = entry.map_err(during(what()))?;
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let hex = path.strip_prefix("sha256-").and_then(|rest| rest.strip_suffix(".tar.gz"));
        let digest = hex.and_then(|hex| format!("sha256:{hex}").parse::<Digest>().ok());
        let Some(digest) = digest.filter(|digest| wanted.contains_key(digest)) else { continue };
        if !done.insert(digest) {
            continue;
        }
        let unpacked = work.join(digest.hex());
        let size = write_verified(&mut entry, &unpacked, digest)
            .map_err(during(what()))?
            .ok_or_else(|| damaged(bundle, &format!("{path} is something else")))?;
        if tasks.len() >= at_once.max(1) {
            pushed(tasks.join_next().await)?;
        }
        let (client, to) = (client.clone(), to.clone());
        tasks.spawn(async move {
            let descriptor = Descriptor::new(MediaType::OciLayerGzip, digest, size);
            let sent = client.push_blob(&to, &descriptor, &BlobSource::File(unpacked.clone()), &[]).await;
            sent?;
            std::fs::remove_file(&unpacked).map_err(during(format!("remove {}", unpacked.display())))
        });
    }
    while let Some(task) = tasks.join_next().await {
        pushed(Some(task))?;
    }
    match wanted.keys().find(|digest| !done.contains(digest)) {
        Some(digest) => Err(damaged(bundle, &format!("the layer {digest} is missing"))),
        None => Ok(()),
    }
}

fn pushed(task: Option<std::result::Result<Result<()>, tokio::task::JoinError>>) -> Result<()> {
    match task {
        Some(Ok(outcome)) => outcome,
        Some(Err(_)) => Err(Error::new("a push ended without a result")),
        None => Ok(()),
    }
}

/// Writes a file of the bundle; its size, or nothing if it is not what its name says.
fn write_verified(data: &mut dyn Read, to: &PathBuf, digest: Digest) -> std::io::Result<Option<u64>> {
    let mut out = std::fs::File::create(to)?;
    let (mut hasher, mut size, mut buffer) = (Hasher::new(), 0, vec![0; 1 << 17]);
    loop {
        let length = match data.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        hasher.update(&buffer[..length]);
        out.write_all(&buffer[..length])?;
        size += length as u64;
    }
    Ok((hasher.finish() == digest).then_some(size))
}

async fn push_config(client: &Client, to: &Reference, image: &ImageEntry) -> Result<()> {
    let bytes = Bytes::copy_from_slice(image.config.raw.as_bytes());
    let descriptor = Descriptor::new(MediaType::OciConfig, image.config.digest, bytes.len() as u64);
    client.push_blob(to, &descriptor, &BlobSource::Bytes(bytes), &[]).await?;
    Ok(())
}

/// Pushes what an index needs, by digest.
async fn push_children(client: &Client, to: &Reference, index: &IndexEntry) -> Result<()> {
    for image in index.images.iter().flatten() {
        push_config(client, to, image).await?;
        let ManifestEntry { media_type, digest, raw } = &image.manifest;
        let media_type = MediaType::from(media_type.as_str());
        client.push_manifest(&to.at(*digest), &media_type, Bytes::copy_from_slice(raw.as_bytes())).await?;
    }
    for inner in index.indexes.iter().flatten() {
        Box::pin(push_children(client, to, inner)).await?;
        let (media_type, raw) = (MediaType::from(inner.media_type.as_str()), inner.raw.as_bytes());
        client.push_manifest(&to.at(inner.digest), &media_type, Bytes::copy_from_slice(raw)).await?;
    }
    Ok(())
}

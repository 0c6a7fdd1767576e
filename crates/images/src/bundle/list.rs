//! The list: `manifest.json`, which has all of a bundle but the layers.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use oci::{Digest, ManifestOrIndex};
use serde::{Deserialize, Serialize};

use super::is_foreign;
use crate::copy::NESTING;
use crate::error::during;
use crate::{Error, Result};

/// What `manifest.json` has at most: it is held in memory.
const LIST: u64 = 256 << 20;

/// The file that is first.
pub(super) const LIST_NAME: &str = "manifest.json";

/// An entry of `manifest.json`: one of the two is there.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Entry {
    pub(super) image_index: Option<IndexEntry>,
    pub(super) image: Option<ImageEntry>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct IndexEntry {
    pub(super) refs: Option<Vec<String>>,
    pub(super) images: Option<Vec<ImageEntry>>,
    pub(super) indexes: Option<Vec<IndexEntry>>,
    pub(super) media_type: String,
    pub(super) digest: Digest,
    pub(super) raw: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ImageEntry {
    pub(super) refs: Option<Vec<String>>,
    pub(super) layers: Option<Vec<LayerEntry>>,
    pub(super) config: ConfigEntry,
    pub(super) manifest: ManifestEntry,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct LayerEntry {
    pub(super) media_type: String,
    pub(super) digest: Digest,
    #[serde(rename = "DiffID", default)]
    pub(super) diff_id: String,
    pub(super) size: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ConfigEntry {
    pub(super) digest: Digest,
    pub(super) raw: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ManifestEntry {
    pub(super) media_type: String,
    pub(super) digest: Digest,
    pub(super) raw: String,
}

impl Entry {
    pub(super) fn digest(&self) -> Option<Digest> {
        let index = self.image_index.as_ref().map(|index| index.digest);
        index.or_else(|| self.image.as_ref().map(|image| image.manifest.digest))
    }

    pub(super) fn refs(&self) -> &[String] {
        let index = self.image_index.as_ref().and_then(|index| index.refs.as_deref());
        index.or_else(|| self.image.as_ref().and_then(|image| image.refs.as_deref())).unwrap_or_default()
    }
}

pub(super) fn damaged(bundle: &Path, reason: &str) -> Error {
    Error::new(format!("{} is damaged: {reason}", bundle.display()))
}

pub(super) fn read_list(bundle: &Path) -> Result<Vec<Entry>> {
    let what = || format!("read {}", bundle.display());
    let file = std::fs::File::open(bundle).map_err(during(what()))?;
    let mut tar = tar::Archive::new(file);
    for entry in tar.entries_with_seek().map_err(during(what()))? {
        let entry = entry.map_err(during(what()))?;
        if entry.path_bytes().as_ref() != LIST_NAME.as_bytes() {
            continue;
        }
        let mut bytes = Vec::new();
        entry.take(LIST + 1).read_to_end(&mut bytes).map_err(during(what()))?;
        if bytes.len() as u64 > LIST {
            return Err(damaged(bundle, "its manifest.json is too large"));
        }
        return serde_json::from_slice(&bytes).map_err(|source| Error::Json {
            what: format!("manifest.json of {}", bundle.display()),
            source,
        });
    }
    Err(Error::new(format!("{} has no manifest.json: expected what `package` has written", bundle.display())))
}

/// The layers that are needed, with their sizes.
pub(super) type Wanted = BTreeMap<Digest, u64>;

fn is(what: &str, name: &str, digest: Digest, raw: &str) -> Result<()> {
    match Digest::of(raw.as_bytes()) == digest {
        true => Ok(()),
        false => Err(Error::new(format!("{name}: its {what} is not {digest}"))),
    }
}

pub(super) fn check_image(image: &ImageEntry, name: &str, wanted: &mut Wanted) -> Result<()> {
    is("manifest", name, image.manifest.digest, &image.manifest.raw)?;
    is("config", name, image.config.digest, &image.config.raw)?;
    let parsed = ManifestOrIndex::parse(
        image.manifest.raw.clone().into_bytes(),
        Some(image.manifest.media_type.as_str()),
    );
    let ManifestOrIndex::Manifest(manifest) =
        parsed.map_err(|error| Error::new(format!("{name}: {error}")))?
    else {
        return Err(Error::new(format!("{name}: it is said to be an image, and is an index")));
    };
    for layer in manifest.value().layers.iter().filter(|layer| !is_foreign(layer)) {
        wanted.insert(layer.digest, layer.size);
    }
    Ok(())
}

pub(super) fn check_index(index: &IndexEntry, name: &str, wanted: &mut Wanted, depth: usize) -> Result<()> {
    if depth == NESTING {
        return Err(Error::new(format!("{name}: more than {NESTING} indexes in one another")));
    }
    is("index", name, index.digest, &index.raw)?;
    for image in index.images.iter().flatten() {
        check_image(image, name, wanted)?;
    }
    for inner in index.indexes.iter().flatten() {
        check_index(inner, name, wanted, depth + 1)?;
    }
    Ok(())
}

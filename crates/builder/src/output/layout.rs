//! The OCI layout: a directory that skopeo, umoci and others read, with this one image in it.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use layout::{Layout, REFERENCE_NAME};
use oci::{Descriptor, Digest, Reference};
use sandbox::Cancel;

use super::Finished;
use crate::error::{Context, Result};
use crate::interruptible::Interruptible;

/// Writes the image. What the layout's index listed before is listed no more, as with Kaniko; an image
/// with several tags is listed once for each.
pub(crate) fn write_layout(
    path: &Path,
    image: &Finished,
    tags: &[Reference],
    descriptor: &Descriptor,
    blob: impl Fn(Digest) -> Result<PathBuf>,
    cancel: &Cancel,
) -> Result<()> {
    let during = || format!("OCI layout {}", path.display());
    let layout = Layout::create(path).during(during())?;
    for layer in &image.layers {
        let digest = layer.descriptor.digest;
        let file = blob(digest)?;
        // A base's blob may be kept for later builds, and a layout is its owner's to change.
        if layer.is_built() && layout.link_blob(&file, digest).during(during())? {
            continue;
        }
        let mut writer = layout.blob_writer().during(during())?;
        let mut bytes = Interruptible { inner: File::open(&file).during(file.display())?, cancel };
        io::copy(&mut bytes, &mut writer).during(during())?;
        writer.commit(Some(digest)).during(during())?;
    }
    layout.write_blob(image.config.bytes()).during(during())?;
    layout.write_blob(image.manifest.bytes()).during(during())?;
    let mut listed: Vec<Descriptor> = Vec::new();
    for tag in tags.iter().filter_map(Reference::tag) {
        let mut descriptor = descriptor.clone();
        descriptor.annotations.insert(REFERENCE_NAME.to_owned(), tag.to_owned());
        if !listed.contains(&descriptor) {
            listed.push(descriptor);
        }
    }
    if listed.is_empty() {
        listed.push(descriptor.clone());
    }
    layout.edit_index(|index| index.manifests = listed).during(during())
}

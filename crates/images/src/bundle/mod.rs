//! Bundles: images in one tar with no layer twice, in the form of `kbld package` and imgpkg's `--tar`.
//!
//! `manifest.json` comes first and has manifests, indexes and configs as texts; the layers follow in the order of their
//! digests, each a file `sha256-HEX.tar.gz` whatever it is packed with. Equal images make equal bytes.

mod list;
mod package;
mod relocate;
mod unpackage;

use std::time::Duration;

use oci::{Descriptor, Digest, Reference};
use registry::Client;

use crate::{Error, Result};

pub use package::package;
pub use relocate::relocate;
pub use unpackage::unpackage;

/// An image, or an index with all its images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundled {
    /// Its name in the bundle, by digest.
    pub name: String,
    /// Where it is.
    pub reference: Reference,
}

/// What is done with a bundle, as it is done.
#[derive(Debug, Clone, Copy)]
pub enum BundleEvent<'e> {
    /// An image is looked at.
    Exporting(&'e str),
    /// All images were looked at, and their layers come now.
    Layers,
    /// A layer is in the bundle.
    Layer(&'e str, Duration),
    /// An image goes to its new place.
    Importing(&'e str),
}

/// True for layers that only their maker may hand out; they are not in bundles.
fn is_foreign(layer: &Descriptor) -> bool {
    let media_type = layer.media_type.as_str();
    !layer.urls.is_empty() || media_type.contains("nondistributable") || media_type.contains(".foreign.")
}

fn layer_file(digest: Digest) -> String {
    format!("sha256-{}.tar.gz", digest.hex())
}

/// The tag that keeps an image from being collected where only its digest is used.
#[must_use]
pub fn kept_tag(digest: Digest) -> String {
    format!("kbld-sha256-{}", digest.hex())
}

/// Makes sure that a tag means what was pushed: another may have pushed too.
async fn check_tag(client: &Client, tagged: &Reference, digest: Digest) -> Result<()> {
    let found = client.head_manifest(tagged).await?.digest;
    match found == digest {
        true => Ok(()),
        false => Err(Error::new(format!("expected {tagged} to be {digest}, but it is {found}"))),
    }
}

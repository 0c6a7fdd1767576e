//! Relocating: images from their repositories to one, without a bundle in between.

use std::path::Path;

use futures_util::{StreamExt, TryStreamExt, stream};
use oci::{Digest, Reference};
use registry::Client;

use super::{BundleEvent, Bundled, check_tag, kept_tag};
use crate::{Error, Result};

/// Copies images to one repository, as [`unpackage`] does it without a bundle in between.
pub async fn relocate(
    client: &Client,
    images: &[Bundled],
    to: &Reference,
    at_once: usize,
    report: &(dyn Fn(BundleEvent<'_>) + Sync),
) -> Result<Vec<(String, Digest)>> {
    let copied = images.iter().map(|image| async move {
        report(BundleEvent::Importing(&image.name));
        let digest = image
            .reference
            .digest()
            .ok_or_else(|| Error::new(format!("expected image '{}' to be in digest form", image.name)))?;
        let tagged = to.with_tag(&kept_tag(digest));
        let (from, destination) =
            (crate::Location::Registry(image.reference.clone()), crate::Location::Registry(tagged.clone()));
        // Nothing is unpacked between registries.
        crate::copy(client, &from, &destination, &crate::Selection::All, Path::new("")).await?;
        check_tag(client, &tagged, digest).await?;
        Ok::<_, Error>((image.name.clone(), digest))
    });
    stream::iter(copied).buffered(at_once.max(1)).try_collect().await
}

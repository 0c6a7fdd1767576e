//! An image in an OCI layout on this machine: found by digest or by tag, for a platform.

use std::path::Path;

use layout::{Layout, REFERENCE_NAME};
use oci::{Descriptor, Digest, ImageConfig, Index, Manifest, ManifestOrIndex, Platform, Raw};

use crate::error::{Context, Error, Result};

/// What a manifest or a config may be large, as registries have it.
const DOCUMENT_LIMIT: u64 = 8 << 20;

/// Indexes within indexes.
const NESTING: usize = 4;

/// An image that was found.
pub(crate) struct LayoutImage {
    pub(crate) layout: Layout,
    /// What messages call it.
    pub(crate) name: String,
    pub(crate) manifest: Raw<Manifest>,
    pub(crate) config: ImageConfig,
}

/// Finds an image. Its manifest and config are verified; its layers are not touched.
pub(crate) fn find(
    directory: &Path,
    tag: Option<&str>,
    digest: Option<Digest>,
    platform: &Platform,
) -> Result<LayoutImage> {
    let name = match (digest, tag) {
        (Some(digest), _) => format!("oci-layout://{}@{digest}", directory.display()),
        (None, tag) => format!("oci-layout://{}:{}", directory.display(), tag.unwrap_or("latest")),
    };
    let during = |error: Error| error.during(&name);
    let layout = Layout::open(directory).during(&name)?;
    let start = match digest {
        Some(digest) => digest,
        None => {
            tagged(&layout.index().during(&name)?, tag.unwrap_or("latest"), platform).map_err(during)?.digest
        }
    };
    let manifest = manifest(&layout, start, platform).map_err(during)?;
    let config = &manifest.value().config;
    let bytes = layout.read_blob(config.digest, DOCUMENT_LIMIT).during(&name)?;
    let config = Raw::parse(bytes).during(format!("{name}: malformed image config"))?.into_value();
    Ok(LayoutImage { layout, name, manifest, config })
}

/// The entry of a tag: its name is the tag or a reference that ends with it. A layout with one image, as
/// tools write it that know of no tags, has it as `latest` too. One name may stand at an image for each of
/// several platforms.
fn tagged(index: &Index, tag: &str, platform: &Platform) -> Result<Descriptor> {
    let name = |descriptor: &Descriptor| descriptor.annotations.get(REFERENCE_NAME).cloned();
    let named = |wanted: &dyn Fn(&str) -> bool| -> Vec<Descriptor> {
        let has = |descriptor: &&Descriptor| name(descriptor).is_some_and(|name| wanted(&name));
        index.manifests.iter().filter(has).cloned().collect()
    };
    let mut found = named(&|name| name == tag);
    if found.is_empty() {
        found = named(&|name| name.strip_suffix(tag).is_some_and(|rest| rest.ends_with(':')));
    }
    if found.is_empty() && tag == "latest" && index.manifests.len() == 1 {
        found.clone_from(&index.manifests);
    }
    match &found[..] {
        [] => {
            let names: Vec<String> = index.manifests.iter().filter_map(name).collect();
            let has = if names.is_empty() { "no image with a name".to_owned() } else { names.join(", ") };
            Err(Error::new(format!("no image {tag:?} in the layout, which has {has}"))
                .hint("give the digest: oci-layout://DIRECTORY@sha256:…"))
        }
        [only] => Ok(only.clone()),
        _ => Ok(Index::new(found).for_platform(platform)?.clone()),
    }
}

/// The manifest behind a digest, through indexes.
fn manifest(layout: &Layout, start: Digest, platform: &Platform) -> Result<Raw<Manifest>> {
    let mut digest = start;
    for _ in 0..NESTING {
        let bytes = layout.read_blob(digest, DOCUMENT_LIMIT).during("manifest")?;
        match ManifestOrIndex::parse(bytes, None)? {
            ManifestOrIndex::Manifest(manifest) => return Ok(manifest),
            ManifestOrIndex::Index(index) => digest = index.value().for_platform(platform)?.digest,
        }
    }
    Err(Error::new(format!("more than {NESTING} indexes in one another")))
}

#[cfg(test)]
mod tests {
    use oci::MediaType;

    use super::*;

    fn entry(content: &str, name: Option<&str>, platform: Option<&str>) -> Descriptor {
        let mut entry = Descriptor::new(MediaType::OciManifest, Digest::of(content.as_bytes()), 1);
        entry.annotations.extend(name.map(|name| (REFERENCE_NAME.to_owned(), name.to_owned())));
        entry.platform = platform.map(|platform| platform.parse().unwrap());
        entry
    }

    #[test]
    fn tags() {
        let amd64 = "linux/amd64".parse().unwrap();
        let check = |entries: &[(&str, Option<&str>, Option<&str>)],
                     tag: &str,
                     expected: Result<&str, &str>| {
            let entries = entries.iter().map(|(content, name, platform)| entry(content, *name, *platform));
            let found = tagged(&Index::new(entries.collect()), tag, &amd64);
            match expected {
                Ok(content) => assert_eq!(found.unwrap().digest, Digest::of(content.as_bytes()), "{tag}"),
                Err(text) => {
                    let error = found.unwrap_err().message;
                    assert!(error.contains(text), "{error}");
                }
            }
        };
        let two = [("a", Some("1"), None), ("b", Some("r.example/app:2"), None)];
        check(&two, "1", Ok("a"));
        check(&two, "2", Ok("b"));
        check(&two, "latest", Err("no image \"latest\" in the layout, which has 1, r.example/app:2"));
        check(&[("a", None, None)], "latest", Ok("a"));
        check(&[("a", Some("1"), None)], "latest", Ok("a"));
        check(&[("a", None, None)], "1", Err("which has no image with a name"));
        check(&[], "latest", Err("no image"));
        let platforms = [("a", Some("1"), Some("linux/arm64")), ("b", Some("1"), Some("linux/amd64"))];
        check(&platforms, "1", Ok("b"));
        let foreign = [("a", Some("1"), Some("linux/arm64")), ("b", Some("1"), Some("linux/s390x"))];
        check(&foreign, "1", Err("no image for linux/amd64: the index offers linux/arm64, linux/s390x"));
    }
}

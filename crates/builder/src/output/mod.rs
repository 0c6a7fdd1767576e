//! Where a finished image goes: registries, an OCI layout, a docker archive, digest files.

mod annotations;
mod archive;
mod digest_file;
mod layout;
mod metadata_file;
mod push;
mod replace;
mod signature;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use attest::key::SigningKey;
use attest::statement::Attestation;
use oci::{Descriptor, ImageConfig, ImageFormat, Manifest, Platform, Raw, Reference};

pub use annotations::{Annotation, AnnotationLevel};
pub(crate) use annotations::{at as annotations_at, check as check_annotations};
pub(crate) use archive::write_archive;
pub use digest_file::DigestFile;
pub(crate) use digest_file::write_digest_files;
pub(crate) use layout::write_layout;
pub(crate) use metadata_file::{write_index_metadata, write_metadata_file};
pub(crate) use push::Uploads;
pub(crate) use signature::write_signatures;

use crate::attestation::Attestations;
use crate::image::{Image, Layer};

/// One destination of each repository: what a repository is asked, or gets, is the same for all its tags.
pub(crate) fn repositories(destinations: &[Reference]) -> Vec<&Reference> {
    let mut seen = BTreeSet::new();
    destinations.iter().filter(|destination| seen.insert(destination.name())).collect()
}

/// What is to be done with the image.
#[derive(Debug, Clone, Default)]
pub struct Outputs {
    /// Where to push it; every one has a tag and no digest.
    pub destinations: Vec<Reference>,
    /// Do not push; destinations are names only.
    pub no_push: bool,
    /// An archive that `docker load` reads.
    pub tar_path: Option<PathBuf>,
    /// A directory for an OCI layout with this one image.
    pub oci_layout_path: Option<PathBuf>,
    /// Where to write the digest.
    pub digest_file: Option<DigestFile>,
    /// A file for `REPOSITORY@DIGEST` of each destination.
    pub name_with_digest_file: Option<PathBuf>,
    /// A file for `REPOSITORY:TAG@DIGEST` of each destination.
    pub name_tag_with_digest_file: Option<PathBuf>,
    /// A file for name and digest of each destination, one JSON object a line, as Skaffold and Cloud Build read it
    /// from custom builders.
    pub builder_output: Option<PathBuf>,
    /// A file for digests, descriptor and names, as JSON.
    pub metadata_file: Option<PathBuf>,
    /// The media types of the image.
    pub format: ImageFormat,
    /// Notes in its documents.
    pub annotations: Vec<Annotation>,
    /// What is stated of it beside it.
    pub attestations: Attestations,
    /// Sign what was pushed.
    pub sign_key: Option<Arc<SigningKey>>,
    /// Not to ask repositories, before the build, whether they would take the image.
    pub skip_push_check: bool,
    /// Say what its layers are, once it is made.
    pub summarize_layers: bool,
    /// The image is one that the caller will list in an index.
    pub in_index: bool,
    /// A tag that is there and cannot be moved is no error.
    pub keep_immutable_tags: bool,
}

/// An image in its final form.
#[derive(Debug, Clone)]
pub(crate) struct Finished {
    pub(crate) format: ImageFormat,
    pub(crate) manifest: Raw<Manifest>,
    pub(crate) config: Raw<ImageConfig>,
    pub(crate) layers: Vec<Layer>,
    /// What is stated of it.
    pub(crate) attestation: Option<Attestation>,
}

impl Finished {
    /// Writes config and manifest, once.
    pub(crate) fn new(
        image: Image,
        created: &str,
        format: ImageFormat,
        annotations: BTreeMap<String, String>,
    ) -> Self {
        let Image { mut config, layers, made_at } = image;
        config.rootfs.diff_ids = layers.iter().map(|layer| layer.diff_id).collect();
        config.created = Some(made_at.unwrap_or_else(|| created.to_owned()));
        let config = Raw::write(config);
        let descriptor = Descriptor::of(format.config(), &config);
        let blobs = layers.iter().map(|layer| layer.descriptor_in(format)).collect();
        let mut manifest = Manifest::new(format.manifest(), descriptor, blobs);
        manifest.annotations = annotations;
        let manifest = Raw::write(manifest);
        Finished { format, manifest, config, layers, attestation: None }
    }

    /// The descriptor of the manifest, with the platform and its notes, as a layout has it.
    pub(crate) fn listed(&self, annotations: &[Annotation]) -> Descriptor {
        let platform = self.config.value().platform();
        let mut descriptor = self.descriptor();
        descriptor.annotations =
            annotations_at(annotations, AnnotationLevel::ManifestDescriptor, Some(&platform));
        // Hosts of Windows choose by the version; it is that of the base.
        let said = |name: &str| self.config.value().other.get(name);
        let os_version = said("os.version").and_then(|version| version.as_str()).map(str::to_owned);
        let features = said("os.features").and_then(|features| features.as_array()).into_iter().flatten();
        let os_features = features.filter_map(|feature| feature.as_str().map(str::to_owned)).collect();
        descriptor.platform = Some(Platform { os_version, os_features, ..platform });
        descriptor
    }

    /// The descriptor of the manifest.
    pub(crate) fn descriptor(&self) -> Descriptor {
        Descriptor::of(self.format.manifest(), &self.manifest)
    }
}

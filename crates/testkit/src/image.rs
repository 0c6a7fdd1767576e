//! Images for tests: layers and a config, stored or pushed without a client.

use layout::{Layout, REFERENCE_NAME};
use oci::{
    Compression, Config, Descriptor, DiffId, Digest, History, ImageConfig, Index, Manifest, MediaType, Raw,
};

use crate::{Layer, TestRegistry, pack};

/// An image that is being put together.
#[derive(Debug, Clone)]
pub struct ImageBuilder {
    config: ImageConfig,
    layers: Vec<(Vec<u8>, Compression)>,
    compression: Compression,
    docker: bool,
}

/// An image that is in a layout.
#[derive(Debug, Clone)]
pub struct StoredImage {
    /// The manifest's descriptor, with the platform.
    pub descriptor: Descriptor,
    /// The manifest.
    pub manifest: Manifest,
    /// The config.
    pub config: ImageConfig,
}

impl Default for ImageBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl ImageBuilder {
    /// An image without layers, in OCI's types, for `linux/amd64`; layers are packed with gzip.
    #[must_use]
    pub fn new() -> Self {
        let config = ImageConfig {
            architecture: "amd64".to_owned(),
            os: "linux".to_owned(),
            created: Some("1970-01-01T00:00:00Z".to_owned()),
            ..ImageConfig::default()
        };
        ImageBuilder { config, layers: Vec::new(), compression: Compression::Gzip, docker: false }
    }

    /// Adds a layer that a text describes (see [`Layer`]).
    #[must_use]
    pub fn layer(self, text: &str) -> Self {
        self.layer_tar(Layer::new().tree(text).tar())
    }

    /// Adds a layer that is a tar already.
    #[must_use]
    pub fn layer_tar(mut self, tar: Vec<u8>) -> Self {
        self.layers.push((tar, self.compression));
        self
    }

    /// How the next layers are packed.
    #[must_use]
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// Changes how a container starts.
    #[must_use]
    pub fn config(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(&mut self.config.config);
        self
    }

    /// The platform the image is for, as in `linux/arm64`.
    #[must_use]
    pub fn platform(mut self, platform: &str) -> Self {
        let platform: oci::Platform = platform.parse().unwrap();
        (self.config.os, self.config.architecture) = (platform.os, platform.architecture);
        self.config.variant = platform.variant;
        self
    }

    /// Uses Docker's media types.
    #[must_use]
    pub fn docker(mut self) -> Self {
        self.docker = true;
        self
    }

    /// Stores the image, and names it if there is a name.
    pub fn store(&self, layout: &Layout, name: Option<&str>) -> StoredImage {
        let mut config = self.config.clone();
        let mut layers = Vec::new();
        for (tar, compression) in &self.layers {
            config.rootfs.diff_ids.push(DiffId(Digest::of(tar)));
            let created_by = Some("made for a test".to_owned());
            config.history.push(History { created_by, ..History::default() });
            let bytes = pack(tar, *compression);
            let media_type = match self.docker {
                true => MediaType::docker_layer(*compression),
                false => MediaType::oci_layer(*compression),
            };
            let digest = layout.write_blob(&bytes).unwrap();
            layers.push(Descriptor::new(media_type, digest, bytes.len() as u64));
        }
        let (manifest_type, config_type) = match self.docker {
            true => (MediaType::DockerManifest, MediaType::DockerConfig),
            false => (MediaType::OciManifest, MediaType::OciConfig),
        };
        let config = Raw::write(config);
        layout.write_blob(config.bytes()).unwrap();
        let described = Descriptor::of(config_type, &config);
        let manifest = Raw::write(Manifest::new(manifest_type.clone(), described, layers));
        layout.write_blob(manifest.bytes()).unwrap();
        let mut descriptor = Descriptor::of(manifest_type, &manifest);
        put(layout, descriptor.clone(), name);
        descriptor.platform = Some(config.value().platform());
        StoredImage { descriptor, manifest: manifest.into_value(), config: config.into_value() }
    }

    /// Puts the image into a registry, past the protocol.
    pub fn push(&self, registry: &TestRegistry, repository: &str, tag: &str) -> StoredImage {
        self.store(&registry.layout(repository), Some(tag))
    }
}

/// Stores an index of images that are in the layout already.
pub fn store_index(layout: &Layout, name: Option<&str>, images: &[&StoredImage]) -> Descriptor {
    let index = Raw::write(Index::new(images.iter().map(|image| image.descriptor.clone()).collect()));
    layout.write_blob(index.bytes()).unwrap();
    let descriptor = Descriptor::of(MediaType::OciIndex, &index);
    put(layout, descriptor.clone(), name);
    descriptor
}

fn put(layout: &Layout, mut descriptor: Descriptor, name: Option<&str>) {
    descriptor.annotations.extend(name.map(|name| (REFERENCE_NAME.to_owned(), name.to_owned())));
    layout.put_reference(descriptor).unwrap();
}

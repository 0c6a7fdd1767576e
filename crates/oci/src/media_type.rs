//! Media types: what a descriptor says its bytes are, in OCI's words or in Docker's.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How a layer's tar is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Compression {
    /// A plain tar.
    None,
    /// RFC 1952, possibly of several members.
    Gzip,
    /// RFC 8878, possibly of several frames.
    Zstd,
}

/// In whose words an image is described. The documents are alike; their media types are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ImageFormat {
    /// The image spec's.
    #[default]
    Oci,
    /// Docker's, of its image manifest version 2, schema 2.
    Docker,
}

impl ImageFormat {
    /// The type of an image's manifest.
    #[must_use]
    pub fn manifest(self) -> MediaType {
        match self {
            ImageFormat::Oci => MediaType::OciManifest,
            ImageFormat::Docker => MediaType::DockerManifest,
        }
    }

    /// The type of an image's config.
    #[must_use]
    pub fn config(self) -> MediaType {
        match self {
            ImageFormat::Oci => MediaType::OciConfig,
            ImageFormat::Docker => MediaType::DockerConfig,
        }
    }

    /// The type of a layer.
    #[must_use]
    pub fn layer(self, compression: Compression) -> MediaType {
        match self {
            ImageFormat::Oci => MediaType::oci_layer(compression),
            ImageFormat::Docker => MediaType::docker_layer(compression),
        }
    }

    /// The type of an index of images.
    #[must_use]
    pub fn index(self) -> MediaType {
        match self {
            ImageFormat::Oci => MediaType::OciIndex,
            ImageFormat::Docker => MediaType::DockerIndex,
        }
    }
}

macro_rules! media_types {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// The media types of images, of both vocabularies; anything else is kept as [`MediaType::Other`].
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub enum MediaType { $($(#[$doc])* $name,)* /** A type with no meaning here. */ Other(String) }

        impl MediaType {
            /// The text form.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self { $(MediaType::$name => $text,)* MediaType::Other(text) => text }
            }
        }

        impl From<&str> for MediaType {
            fn from(text: &str) -> Self {
                match text { $($text => MediaType::$name,)* other => MediaType::Other(other.to_owned()) }
            }
        }
    };
}

media_types! {
    /// OCI image index.
    OciIndex = "application/vnd.oci.image.index.v1+json",
    /// OCI image manifest.
    OciManifest = "application/vnd.oci.image.manifest.v1+json",
    /// OCI image config.
    OciConfig = "application/vnd.oci.image.config.v1+json",
    /// OCI layer, plain tar.
    OciLayer = "application/vnd.oci.image.layer.v1.tar",
    /// OCI layer, gzip.
    OciLayerGzip = "application/vnd.oci.image.layer.v1.tar+gzip",
    /// OCI layer, zstd.
    OciLayerZstd = "application/vnd.oci.image.layer.v1.tar+zstd",
    /// OCI's empty JSON object, the config of an artifact that has none.
    OciEmpty = "application/vnd.oci.empty.v1+json",
    /// Docker manifest list.
    DockerIndex = "application/vnd.docker.distribution.manifest.list.v2+json",
    /// Docker image manifest, schema 2.
    DockerManifest = "application/vnd.docker.distribution.manifest.v2+json",
    /// Docker image config.
    DockerConfig = "application/vnd.docker.container.image.v1+json",
    /// Docker layer, plain tar.
    DockerLayer = "application/vnd.docker.image.rootfs.diff.tar",
    /// Docker layer, gzip.
    DockerLayerGzip = "application/vnd.docker.image.rootfs.diff.tar.gzip",
    /// Docker layer, zstd.
    DockerLayerZstd = "application/vnd.docker.image.rootfs.diff.tar.zstd",
    /// Docker layer that may not be pushed (Windows bases).
    DockerForeignLayer = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    /// Docker manifest of schema 1, which is refused.
    DockerSchema1 = "application/vnd.docker.distribution.manifest.v1+json",
    /// Docker manifest of schema 1, signed, which is refused.
    DockerSchema1Signed = "application/vnd.docker.distribution.manifest.v1+prettyjws",
}

impl MediaType {
    /// The manifest and index types that a client asks for, best first.
    pub const ACCEPTED: [MediaType; 4] =
        [MediaType::OciIndex, MediaType::OciManifest, MediaType::DockerIndex, MediaType::DockerManifest];

    /// True for an index or a manifest list.
    #[must_use]
    pub fn is_index(&self) -> bool {
        matches!(self, MediaType::OciIndex | MediaType::DockerIndex)
    }

    /// True for an image manifest.
    #[must_use]
    pub fn is_manifest(&self) -> bool {
        matches!(self, MediaType::OciManifest | MediaType::DockerManifest)
    }

    /// How a layer of this type is packed; `None` if it is no layer.
    #[must_use]
    pub fn layer_compression(&self) -> Option<Compression> {
        match self {
            MediaType::OciLayer | MediaType::DockerLayer => Some(Compression::None),
            MediaType::OciLayerGzip | MediaType::DockerLayerGzip => Some(Compression::Gzip),
            MediaType::OciLayerZstd | MediaType::DockerLayerZstd => Some(Compression::Zstd),
            _ => None,
        }
    }

    /// The OCI layer type for a packing.
    #[must_use]
    pub fn oci_layer(compression: Compression) -> MediaType {
        match compression {
            Compression::None => MediaType::OciLayer,
            Compression::Gzip => MediaType::OciLayerGzip,
            Compression::Zstd => MediaType::OciLayerZstd,
        }
    }

    /// The Docker layer type for a packing.
    #[must_use]
    pub fn docker_layer(compression: Compression) -> MediaType {
        match compression {
            Compression::None => MediaType::DockerLayer,
            Compression::Gzip => MediaType::DockerLayerGzip,
            Compression::Zstd => MediaType::DockerLayerZstd,
        }
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for MediaType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for MediaType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(MediaType::from(String::deserialize(deserializer)?.as_str()))
    }
}

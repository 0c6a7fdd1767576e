//! Manifests and indexes: which blobs make an image, and which images make a multi-platform one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Digest, MediaType, Platform, Raw};

/// A pointer to some bytes: their type, digest and size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What the bytes are.
    pub media_type: MediaType,
    /// Their digest.
    pub digest: Digest,
    /// Their number.
    pub size: u64,
    /// Where they may be had besides the registry (foreign layers).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    /// Free-form notes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// The platform of the image, in an index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// What kind of artifact the manifest is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
}

/// An image manifest, OCI's or Docker's schema 2.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    pub schema_version: u8,
    /// The type of this document; Docker requires it, OCI recommends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<MediaType>,
    /// What kind of artifact this is, if no image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The image config.
    pub config: Descriptor,
    /// The layers, bottom first.
    pub layers: Vec<Descriptor>,
    /// The manifest that this one is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Free-form notes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// An image index (OCI) or manifest list (Docker).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    pub schema_version: u8,
    /// The type of this document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<MediaType>,
    /// What kind of artifact this is, if no image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The manifests, in order of preference.
    pub manifests: Vec<Descriptor>,
    /// The manifest that this one is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Free-form notes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// What a reference can point to.
#[derive(Debug, Clone, PartialEq)]
pub enum ManifestOrIndex {
    /// One image.
    Manifest(Raw<Manifest>),
    /// One image for each of several platforms.
    Index(Raw<Index>),
}

/// Why some bytes are no manifest.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// The JSON is not one, or a field is missing or of the wrong type.
    #[error("malformed manifest: {0}")]
    Json(#[from] serde_json::Error),
    /// A type that is not an image's.
    #[error("unsupported manifest type {0}")]
    Unsupported(String),
    /// Schema 1, which registries and builders have dropped.
    #[error(
        "the image has a Docker schema 1 manifest, which is no longer supported: push it again with a current tool"
    )]
    Schema1,
    /// No image of the index is for the wanted platform.
    #[error("no image for {wanted}: the index offers {offered}")]
    NoPlatform {
        /// The platform asked for.
        wanted: Platform,
        /// Those that are there, comma separated.
        offered: String,
    },
}

impl Descriptor {
    /// A descriptor with the three required fields.
    #[must_use]
    pub fn new(media_type: MediaType, digest: Digest, size: u64) -> Self {
        Descriptor {
            media_type,
            digest,
            size,
            urls: Vec::new(),
            annotations: BTreeMap::new(),
            platform: None,
            artifact_type: None,
        }
    }

    /// The descriptor of a document.
    #[must_use]
    pub fn of<T>(media_type: MediaType, document: &Raw<T>) -> Self {
        Descriptor::new(media_type, document.digest(), document.size())
    }
}

impl Manifest {
    /// A manifest of a given type (OCI's or Docker's).
    #[must_use]
    pub fn new(media_type: MediaType, config: Descriptor, layers: Vec<Descriptor>) -> Self {
        Manifest {
            schema_version: 2,
            media_type: Some(media_type),
            artifact_type: None,
            config,
            layers,
            subject: None,
            annotations: BTreeMap::new(),
        }
    }
}

impl Index {
    /// An OCI index of these manifests.
    #[must_use]
    pub fn new(manifests: Vec<Descriptor>) -> Self {
        Index {
            schema_version: 2,
            media_type: Some(MediaType::OciIndex),
            artifact_type: None,
            manifests,
            subject: None,
            annotations: BTreeMap::new(),
        }
    }

    /// The first image for a platform. Attestations (`unknown/unknown`) are never an answer.
    pub fn for_platform(&self, wanted: &Platform) -> Result<&Descriptor, ManifestError> {
        let platform_of = |descriptor: &Descriptor| descriptor.platform.clone();
        self.manifests
            .iter()
            .find(|descriptor| platform_of(descriptor).is_some_and(|platform| wanted.accepts(&platform)))
            .or_else(|| {
                // An index of one image that names no platform can only mean that image.
                let [only] = &self.manifests[..] else { return None };
                only.platform.is_none().then_some(only)
            })
            .ok_or_else(|| {
                let offered: Vec<String> = self
                    .manifests
                    .iter()
                    .filter_map(platform_of)
                    .filter(|platform| platform.os != "unknown")
                    .map(|platform| platform.to_string())
                    .collect();
                let offered = if offered.is_empty() { "none".to_owned() } else { offered.join(", ") };
                ManifestError::NoPlatform { wanted: wanted.clone(), offered }
            })
    }
}

impl ManifestOrIndex {
    /// Parses a manifest or an index. The document's own `mediaType` decides; without one, the
    /// `content_type` under which it was served; without that, its shape.
    pub fn parse(bytes: Vec<u8>, content_type: Option<&str>) -> Result<Self, ManifestError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Probe {
            schema_version: Option<u8>,
            media_type: Option<MediaType>,
            manifests: Option<serde::de::IgnoredAny>,
        }
        let probe: Probe = serde_json::from_slice(&bytes)?;
        if probe.schema_version == Some(1) {
            return Err(ManifestError::Schema1);
        }
        let media_type = probe.media_type.unwrap_or_else(|| {
            let essence = content_type.map(|text| text.split(';').next().unwrap_or(text).trim());
            match essence.map(MediaType::from) {
                Some(media_type) if media_type.is_index() || media_type.is_manifest() => media_type,
                _ if probe.manifests.is_some() => MediaType::OciIndex,
                _ => MediaType::OciManifest,
            }
        });
        match media_type {
            media_type if media_type.is_index() => Ok(ManifestOrIndex::Index(Raw::parse(bytes)?)),
            media_type if media_type.is_manifest() => Ok(ManifestOrIndex::Manifest(Raw::parse(bytes)?)),
            MediaType::DockerSchema1 | MediaType::DockerSchema1Signed => Err(ManifestError::Schema1),
            other => Err(ManifestError::Unsupported(other.to_string())),
        }
    }

    /// The exact bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match self {
            ManifestOrIndex::Manifest(manifest) => manifest.bytes(),
            ManifestOrIndex::Index(index) => index.bytes(),
        }
    }

    /// The digest of the bytes.
    #[must_use]
    pub fn digest(&self) -> Digest {
        match self {
            ManifestOrIndex::Manifest(manifest) => manifest.digest(),
            ManifestOrIndex::Index(index) => index.digest(),
        }
    }

    /// The media type, which is OCI's where the document does not say.
    #[must_use]
    pub fn media_type(&self) -> MediaType {
        match self {
            ManifestOrIndex::Manifest(manifest) => {
                manifest.value().media_type.clone().unwrap_or(MediaType::OciManifest)
            }
            ManifestOrIndex::Index(index) => index.value().media_type.clone().unwrap_or(MediaType::OciIndex),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn descriptor(platform: Option<&str>, name: &str) -> Descriptor {
        Descriptor {
            platform: platform.map(|text| text.parse().unwrap()),
            ..Descriptor::new(MediaType::OciManifest, Digest::of(name.as_bytes()), 1)
        }
    }

    #[test]
    fn chooses_by_platform() {
        let index = Index::new(vec![
            descriptor(Some("unknown/unknown"), "attestation"),
            descriptor(Some("linux/arm64/v8"), "arm"),
            descriptor(Some("linux/amd64"), "amd"),
        ]);
        let chosen = |text: &str| index.for_platform(&text.parse().unwrap()).map(|found| found.digest);
        assert_eq!(chosen("linux/arm64").unwrap(), Digest::of(b"arm"));
        assert_eq!(chosen("linux/amd64").unwrap(), Digest::of(b"amd"));
        assert_eq!(
            chosen("linux/s390x").unwrap_err().to_string(),
            "no image for linux/s390x: the index offers linux/arm64/v8, linux/amd64"
                .replace("arm64/v8", "arm64")
        );
        let only = Index::new(vec![descriptor(None, "only")]);
        assert!(only.for_platform(&"linux/s390x".parse().unwrap()).is_ok());
    }

    #[test]
    fn what_we_write_is_what_oci_spec_reads() {
        let config = descriptor(None, "config");
        let manifest = Manifest::new(MediaType::OciManifest, config.clone(), vec![config]);
        let raw = Raw::write(manifest);
        let theirs: oci_spec::image::ImageManifest = serde_json::from_slice(raw.bytes()).unwrap();
        assert_eq!(theirs.layers().len(), 1);
        let index = Raw::write(Index::new(vec![descriptor(Some("linux/arm/v7"), "x")]));
        let theirs: oci_spec::image::ImageIndex = serde_json::from_slice(index.bytes()).unwrap();
        assert_eq!(theirs.manifests()[0].platform().as_ref().unwrap().variant().as_deref(), Some("v7"));
    }

    #[test]
    fn tells_kinds_apart() {
        let kind = |json: &str, content_type| match ManifestOrIndex::parse(json.into(), content_type) {
            Ok(ManifestOrIndex::Manifest(_)) => "manifest".to_owned(),
            Ok(ManifestOrIndex::Index(_)) => "index".to_owned(),
            Err(error) => error.to_string(),
        };
        let index = r#"{"schemaVersion":2,"manifests":[]}"#;
        assert_eq!(kind(index, None), "index");
        assert_eq!(kind(index, Some("application/vnd.docker.distribution.manifest.list.v2+json")), "index");
        assert!(kind("{}", None).starts_with("malformed manifest"));
        assert!(kind(r#"{"schemaVersion":1}"#, None).contains("schema 1"));
        assert!(kind(r#"{"schemaVersion":2,"mediaType":"text/html"}"#, None).contains("text/html"));
        assert!(kind("<html>", None).starts_with("malformed manifest"));
    }
}

//! Statements about an image in [in-toto's form](https://github.com/in-toto/attestation), and how BuildKit keeps them:
//! as layers of a manifest that stands beside the image in an index, for a platform that no machine is
//! ([attestation storage](https://github.com/moby/buildkit/blob/master/docs/attestations/attestation-storage.md)).

use oci::{Descriptor, DiffId, Digest, ImageConfig, Manifest, MediaType, Platform, Raw, Reference, RootFs};
use serde_json::{Value, json};

/// The type of a statement's blob.
pub const STATEMENT_TYPE: &str = "application/vnd.in-toto+json";
/// The annotation of a statement's blob that says what it is about.
pub const PREDICATE_TYPE: &str = "in-toto.io/predicate-type";
/// The annotation that says what a manifest in an index is to another.
pub const REFERENCE_TYPE: &str = "vnd.docker.reference.type";
/// The annotation that names the other one.
pub const REFERENCE_DIGEST: &str = "vnd.docker.reference.digest";

/// What is stated.
#[derive(Debug, Clone, PartialEq)]
pub struct Predicate {
    /// Its type, a URI.
    pub kind: &'static str,
    /// What it says.
    pub value: Value,
}

/// Statements about one image, ready to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Attestation {
    /// The manifest.
    pub manifest: Raw<Manifest>,
    /// The config.
    pub config: Raw<ImageConfig>,
    /// The statements.
    pub statements: Vec<Raw<Value>>,
}

/// A reference as package URLs of Docker's images have it: the tag is the version, and those of Docker Hub are known
/// without their host.
#[must_use]
pub fn docker_name(reference: &Reference) -> String {
    let name = reference.name();
    let plain = name.strip_prefix("docker.io/library/").or(name.strip_prefix("docker.io/")).unwrap_or(&name);
    reference.tag().map_or_else(|| plain.to_owned(), |tag| format!("{plain}@{tag}"))
}

/// States something of an image. It is named by the package URLs of its references; `_` if it has none.
#[must_use]
pub fn statement(
    names: &[Reference],
    platform: &Platform,
    digest: Digest,
    predicate: &Predicate,
) -> Raw<Value> {
    let platform = crate::sbom::percent(&platform.to_string());
    let mut urls: Vec<String> =
        names.iter().map(|name| format!("pkg:docker/{}?platform={platform}", docker_name(name))).collect();
    if urls.is_empty() {
        urls.push("_".to_owned());
    }
    let subjects: Vec<Value> =
        urls.iter().map(|name| json!({"name": name, "digest": {"sha256": digest.hex()}})).collect();
    Raw::write(json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": subjects,
        "predicateType": predicate.kind,
        "predicate": predicate.value,
    }))
}

impl Attestation {
    /// Statements about an image that has these names and this manifest.
    #[must_use]
    pub fn new(names: &[Reference], platform: &Platform, digest: Digest, predicates: &[Predicate]) -> Self {
        let statements: Vec<Raw<Value>> =
            predicates.iter().map(|predicate| statement(names, platform, digest, predicate)).collect();
        let layers = statements.iter().zip(predicates).map(|(statement, predicate)| {
            let mut layer = Descriptor::of(STATEMENT_TYPE.into(), statement);
            layer.annotations.insert(PREDICATE_TYPE.to_owned(), predicate.kind.to_owned());
            layer
        });
        let config = Raw::write(ImageConfig {
            architecture: "unknown".to_owned(),
            os: "unknown".to_owned(),
            rootfs: RootFs {
                diff_ids: statements.iter().map(|statement| DiffId(statement.digest())).collect(),
                ..RootFs::default()
            },
            ..ImageConfig::default()
        });
        let described = Descriptor::of(MediaType::OciConfig, &config);
        let manifest = Raw::write(Manifest::new(MediaType::OciManifest, described, layers.collect()));
        Attestation { manifest, config, statements }
    }

    /// How an index lists it beside the image that it is about.
    #[must_use]
    pub fn descriptor(&self, image: Digest) -> Descriptor {
        let mut descriptor = Descriptor::of(MediaType::OciManifest, &self.manifest);
        descriptor.annotations.insert(REFERENCE_DIGEST.to_owned(), image.to_string());
        descriptor.annotations.insert(REFERENCE_TYPE.to_owned(), "attestation-manifest".to_owned());
        descriptor.platform = Some(Platform {
            architecture: "unknown".to_owned(),
            os: "unknown".to_owned(),
            os_version: None,
            os_features: Vec::new(),
            variant: None,
        });
        descriptor
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_buildkit_keeps_them() {
        let digest = Digest::of(b"manifest");
        let names = ["r.example/a:1".parse().unwrap(), "alpine:3".parse().unwrap()];
        let predicate = Predicate { kind: "https://x.example/p", value: json!({"a": 1}) };
        let platform: Platform = "linux/amd64".parse().unwrap();
        let attestation = Attestation::new(&names, &platform, digest, std::slice::from_ref(&predicate));
        let statement = attestation.statements[0].value();
        assert_eq!(statement["subject"][0]["name"], "pkg:docker/r.example/a@1?platform=linux%2Famd64");
        assert_eq!(statement["subject"][1]["name"], "pkg:docker/alpine@3?platform=linux%2Famd64");
        assert_eq!(statement["subject"][0]["digest"]["sha256"], digest.hex());
        assert_eq!(statement["predicateType"], predicate.kind);
        let manifest = attestation.manifest.value();
        assert_eq!(manifest.layers[0].digest, attestation.statements[0].digest());
        assert_eq!(manifest.layers[0].annotations[PREDICATE_TYPE], predicate.kind);
        assert_eq!(attestation.config.value().rootfs.diff_ids[0].0, manifest.layers[0].digest);
        let listed = serde_json::to_value(attestation.descriptor(digest)).unwrap();
        assert_eq!(listed["platform"], json!({"architecture": "unknown", "os": "unknown"}));
        assert_eq!(listed["annotations"][REFERENCE_DIGEST], digest.to_string());
        assert_eq!(listed["annotations"][REFERENCE_TYPE], "attestation-manifest");
        let unnamed = Attestation::new(&[], &platform, digest, &[predicate]);
        assert_eq!(unnamed.statements[0].value()["subject"][0]["name"], "_");
    }
}

//! Signatures in cosign's form: a small text about an image ("simple signing"), and a manifest that holds it.
//!
//! The text names the digest. Its signature is an annotation of the text's descriptor, as a layer of a manifest that is
//! tagged with the image's digest (`sha256-….sig`), or refers to it as its `subject` (OCI 1.1). The forms are those of
//! [cosign's specification](https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md).

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oci::{Descriptor, Digest, Manifest, MediaType};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::key::{KeyError, SigningKey, VerifyingKey};

/// The type of the text that is signed.
pub const PAYLOAD_TYPE: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// The annotation with the signature, in base64.
pub const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
/// What a manifest of signatures is called that refers to its image.
pub const ARTIFACT_TYPE: &str = "application/vnd.dev.cosign.artifact.sig.v1+json";

/// More than the text has.
pub const PAYLOAD_LIMIT: u64 = 1 << 20;

/// A text and its signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The text.
    pub payload: Vec<u8>,
    /// Its descriptor, with the signature.
    pub descriptor: Descriptor,
}

/// Why a signature is not one of an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The descriptor has no signature, or none in base64.
    #[error("it has no signature")]
    Missing,
    /// Another key has made it, or another text was signed.
    #[error("it was not made with this key")]
    Key,
    /// What was signed is not what signatures of images are over.
    #[error("it is over something else than an image")]
    Payload,
    /// It is over another image.
    #[error("it is of {0}")]
    Image(String),
}

/// The text that is signed. `repository` is the image's name without a tag.
#[must_use]
pub fn payload(repository: &str, digest: Digest) -> Vec<u8> {
    // In the order in which cosign writes it, which readers do not rely on.
    format!(
        r#"{{"critical":{{"identity":{{"docker-reference":{}}},"image":{{"docker-manifest-digest":"{digest}"}},"type":"cosign container image signature"}},"optional":null}}"#,
        json!(repository)
    )
    .into_bytes()
}

/// Signs an image.
pub fn sign(key: &SigningKey, repository: &str, digest: Digest) -> Result<Signed, KeyError> {
    let payload = payload(repository, digest);
    let signature = STANDARD.encode(key.sign(&payload)?);
    let mut descriptor = Descriptor::new(PAYLOAD_TYPE.into(), Digest::of(&payload), payload.len() as u64);
    descriptor.annotations.insert(SIGNATURE.to_owned(), signature);
    Ok(Signed { payload, descriptor })
}

/// Checks a signature of an image; what else its text says, which nobody has to believe without it.
pub fn verify(
    key: &VerifyingKey,
    descriptor: &Descriptor,
    payload: &[u8],
    digest: Digest,
) -> Result<Value, SignatureError> {
    #[derive(Deserialize)]
    struct Payload {
        critical: Critical,
    }
    #[derive(Deserialize)]
    struct Critical {
        image: Image,
        #[serde(rename = "type")]
        kind: String,
    }
    #[derive(Deserialize)]
    struct Image {
        #[serde(rename = "docker-manifest-digest")]
        digest: String,
    }
    let text = descriptor.annotations.get(SIGNATURE).ok_or(SignatureError::Missing)?;
    let signature = STANDARD.decode(text).map_err(|_| SignatureError::Missing)?;
    if !key.verifies(payload, &signature) {
        return Err(SignatureError::Key);
    }
    let value: Value = serde_json::from_slice(payload).map_err(|_| SignatureError::Payload)?;
    let Payload { critical } = Payload::deserialize(&value).map_err(|_| SignatureError::Payload)?;
    if critical.kind != "cosign container image signature" {
        return Err(SignatureError::Payload);
    }
    if critical.image.digest != digest.to_string() {
        return Err(SignatureError::Image(critical.image.digest));
    }
    Ok(value)
}

/// The tag under which cosign looks for an image's signatures.
#[must_use]
pub fn tag(digest: Digest) -> String {
    format!("{}-{}.sig", digest.algorithm(), digest.hex())
}

/// The config of a manifest of signatures: an image's, with the texts as if they were layers.
#[must_use]
pub fn config(layers: &[Descriptor]) -> Vec<u8> {
    let diff_ids: Vec<Digest> = layers.iter().map(|layer| layer.digest).collect();
    json!({
        "architecture": "",
        "created": "0001-01-01T00:00:00Z",
        "history": vec![json!({"created": "0001-01-01T00:00:00Z"}); layers.len()],
        "os": "",
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
        "config": {},
    })
    .to_string()
    .into_bytes()
}

/// A manifest of signatures: tagged, if it has no subject, or referring to its subject.
#[must_use]
pub fn manifest(layers: Vec<Descriptor>, config: &[u8], subject: Option<Descriptor>) -> Manifest {
    let config_type = match subject {
        None => MediaType::OciConfig,
        // Registries without `artifactType` take the config's type for it (image-spec, manifest.md).
        Some(_) => ARTIFACT_TYPE.into(),
    };
    let config = Descriptor::new(config_type, Digest::of(config), config.len() as u64);
    let mut manifest = Manifest::new(MediaType::OciManifest, config, layers);
    manifest.artifact_type = subject.as_ref().map(|_| ARTIFACT_TYPE.to_owned());
    manifest.subject =
        subject.map(|subject| Descriptor { annotations: BTreeMap::new(), platform: None, ..subject });
    manifest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> (SigningKey, VerifyingKey) {
        let key = SigningKey::from_pem(include_str!("../tests/keys/plain.key"), None).unwrap();
        let public = key.verifying_key();
        (key, public)
    }

    #[test]
    fn the_text_is_cosigns() {
        let digest = Digest::of(b"manifest");
        let text = payload("r.example/a\"b", digest);
        assert_eq!(
            String::from_utf8(text).unwrap(),
            format!(
                r#"{{"critical":{{"identity":{{"docker-reference":"r.example/a\"b"}},"image":{{"docker-manifest-digest":"{digest}"}},"type":"cosign container image signature"}},"optional":null}}"#
            )
        );
        assert_eq!(tag(digest), format!("sha256-{}.sig", digest.hex()));
    }

    #[test]
    fn what_is_signed_is_what_is_there() {
        let (key, public) = keys();
        let digest = Digest::of(b"manifest");
        let Signed { payload, descriptor } = sign(&key, "r.example/a", digest).unwrap();
        assert_eq!(descriptor.digest, Digest::of(&payload));
        let check = |descriptor: &Descriptor, payload: &[u8], digest: Digest| {
            verify(&public, descriptor, payload, digest).map(drop)
        };
        assert_eq!(check(&descriptor, &payload, digest), Ok(()));
        assert_eq!(
            check(&descriptor, &payload, Digest::of(b"other")),
            Err(SignatureError::Image(digest.to_string()))
        );
        assert_eq!(check(&descriptor, b"{}", digest), Err(SignatureError::Key));
        let mut without = descriptor.clone();
        without.annotations.clear();
        assert_eq!(check(&without, &payload, digest), Err(SignatureError::Missing));
        without.annotations.insert(SIGNATURE.to_owned(), "?".to_owned());
        assert_eq!(check(&without, &payload, digest), Err(SignatureError::Missing));
        // What is signed with the right key, but is over something else.
        for other in [
            "{}".to_owned(),
            String::from_utf8(payload.clone()).unwrap().replace("cosign container image signature", "else"),
        ] {
            let signature = STANDARD.encode(key.sign(other.as_bytes()).unwrap());
            without.annotations.insert(SIGNATURE.to_owned(), signature);
            assert_eq!(check(&without, other.as_bytes(), digest), Err(SignatureError::Payload));
        }
    }

    #[test]
    fn manifests() {
        let (key, _) = keys();
        let signed = sign(&key, "r.example/a", Digest::of(b"manifest")).unwrap();
        let config = config(std::slice::from_ref(&signed.descriptor));
        let tagged = manifest(vec![signed.descriptor.clone()], &config, None);
        assert_eq!((tagged.artifact_type, tagged.config.media_type), (None, MediaType::OciConfig));
        let subject = Descriptor::new(MediaType::OciIndex, Digest::of(b"manifest"), 8);
        let referring = manifest(vec![signed.descriptor], &config, Some(subject.clone()));
        assert_eq!(referring.artifact_type.as_deref(), Some(ARTIFACT_TYPE));
        assert_eq!(referring.config.media_type.as_str(), ARTIFACT_TYPE);
        assert_eq!(referring.subject, Some(subject));
        let config: Value = serde_json::from_slice(&config).unwrap();
        assert_eq!(config["rootfs"]["diff_ids"][0], Digest::of(&signed.payload).to_string());
    }
}

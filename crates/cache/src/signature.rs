//! Signatures: who has put something into a cache.
//!
//! A signature is Ed25519 over the tags that a manifest was made for and over every descriptor in it, so that
//! neither can be exchanged. When it was last of use is not signed: whoever finds it useful may say so.

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use oci::Manifest;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};

/// The annotation with the tags that a manifest was made for, separated by blanks.
const TAGS: &str = "bako.tags";
/// The annotation with the signature, as hex digits.
const SIGNATURE: &str = "bako.signature";

/// What a public key of Ed25519 begins with (RFC 8410), before its 32 bytes.
const PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// A private key, to sign with.
pub struct SigningKey(Ed25519KeyPair);

/// A public key, to check signatures with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyingKey([u8; 32]);

/// Why a text is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyFileError {
    /// As a private key.
    #[error("expected an Ed25519 private key in PEM, as openssl genpkey -algorithm ed25519 writes it")]
    Private,
    /// As a public key.
    #[error("expected an Ed25519 public key in PEM, as openssl pkey -pubout writes it")]
    Public,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey")
    }
}

impl SigningKey {
    /// Reads a private key in PKCS #8, as PEM.
    pub fn from_pem(text: &str) -> Result<Self, KeyFileError> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(text.as_bytes()).map_err(|_| KeyFileError::Private)?;
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der());
        pair.map(SigningKey).map_err(|_| KeyFileError::Private)
    }

    /// The public key that belongs to it.
    #[must_use]
    pub fn verifying_key(&self) -> VerifyingKey {
        let bytes = self.0.public_key().as_ref().try_into();
        VerifyingKey(bytes.expect("a public key of Ed25519 is 32 bytes long"))
    }

    /// Signs a manifest for its tags.
    pub fn sign(&self, manifest: &mut Manifest, tags: &[String]) {
        manifest.annotations.insert(TAGS.to_owned(), tags.join(" "));
        let signature = self.0.sign(&payload(manifest));
        let hex: String = signature.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        manifest.annotations.insert(SIGNATURE.to_owned(), hex);
    }
}

impl VerifyingKey {
    /// Reads a public key, as PEM.
    pub fn from_pem(text: &str) -> Result<Self, KeyFileError> {
        let der =
            SubjectPublicKeyInfoDer::from_pem_slice(text.as_bytes()).map_err(|_| KeyFileError::Public)?;
        let key = der.as_ref().strip_prefix(&PREFIX[..]).and_then(|key| key.try_into().ok());
        key.map(VerifyingKey).ok_or(KeyFileError::Public)
    }

    /// True if a manifest was signed for this tag with the key that belongs to this one.
    #[must_use]
    pub fn verifies(&self, manifest: &Manifest, tag: &str) -> bool {
        let note = |name: &str| manifest.annotations.get(name).map(String::as_str).unwrap_or_default();
        if !note(TAGS).split(' ').any(|signed| signed == tag) {
            return false;
        }
        let Some(signature) = bytes(note(SIGNATURE)) else { return false };
        UnparsedPublicKey::new(&ED25519, self.0).verify(&payload(manifest), &signature).is_ok()
    }
}

/// True if somebody has signed it, with whatever key.
pub(crate) fn is_signed(manifest: &Manifest) -> bool {
    manifest.annotations.contains_key(SIGNATURE)
}

/// What is signed, every part with its length before it.
fn payload(manifest: &Manifest) -> Vec<u8> {
    let mut payload = Vec::new();
    let mut frame = |bytes: &[u8]| {
        payload.extend((bytes.len() as u64).to_le_bytes());
        payload.extend(bytes);
    };
    frame(b"bako-cache-signature");
    frame(b"1");
    frame(manifest.annotations.get(TAGS).map(String::as_bytes).unwrap_or_default());
    for descriptor in std::iter::once(&manifest.config).chain(&manifest.layers) {
        frame(descriptor.media_type.as_str().as_bytes());
        frame(descriptor.digest.to_string().as_bytes());
        frame(descriptor.size.to_string().as_bytes());
        frame(descriptor.annotations.len().to_string().as_bytes());
        for (name, value) in &descriptor.annotations {
            frame(name.as_bytes());
            frame(value.as_bytes());
        }
    }
    payload
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    if !hex.is_ascii() || !hex.len().is_multiple_of(2) {
        return None;
    }
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use oci::Digest;

    use super::*;
    use crate::record::list_manifest;

    /// Made with openssl, for this test alone.
    const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIGXfFWx4VcytmtH6eLdLn5z4v+uqjDUH2KM6AY/xkv8D\n-----END PRIVATE KEY-----\n";
    const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA8w+nMW2K4slZF6L4FjBiYzfheBrkyynzojzwxAP5zSo=\n-----END PUBLIC KEY-----\n";

    fn manifest(text: &str) -> Manifest {
        let media_type = oci::MediaType::OciLayer;
        let layer = oci::Descriptor::new(media_type, Digest::of(text.as_bytes()), text.len() as u64);
        list_manifest(vec![layer], 0)
    }

    #[test]
    fn what_was_signed_is_what_is_there() {
        let (signing, verifying) =
            (SigningKey::from_pem(PRIVATE).unwrap(), VerifyingKey::from_pem(PUBLIC).unwrap());
        assert_eq!(signing.verifying_key(), verifying);
        let mut signed = manifest("a");
        assert!(!verifying.verifies(&signed, "d1-a"), "not signed yet");
        signing.sign(&mut signed, &["d1-a".to_owned(), "c1-b".to_owned()]);
        assert!(verifying.verifies(&signed, "d1-a") && verifying.verifies(&signed, "c1-b"));
        assert!(!verifying.verifies(&signed, "d1-b"), "it was signed for other tags");
        let check = |change: &dyn Fn(&mut Manifest), expected: bool| {
            let mut changed = signed.clone();
            change(&mut changed);
            assert_eq!(verifying.verifies(&changed, "d1-a"), expected, "{changed:?}");
        };
        check(&|manifest| drop(manifest.annotations.insert("bako.used".into(), "1".into())), true);
        check(&|manifest| drop(manifest.annotations.insert(TAGS.into(), "d1-a".into())), false);
        check(&|manifest| drop(manifest.annotations.insert(SIGNATURE.into(), "00".into())), false);
        check(&|manifest| drop(manifest.annotations.remove(SIGNATURE)), false);
        check(&|manifest| manifest.layers[0].digest = Digest::of(b"b"), false);
        check(&|manifest| drop(manifest.layers[0].annotations.insert("x".into(), "y".into())), false);
        check(&|manifest| manifest.layers.push(manifest.config.clone()), false);
        let other = VerifyingKey([7; 32]);
        assert!(!other.verifies(&signed, "d1-a"));
    }

    #[test]
    fn what_is_no_key() {
        assert_eq!(SigningKey::from_pem(PUBLIC).err(), Some(KeyFileError::Private));
        assert_eq!(VerifyingKey::from_pem(PRIVATE).err(), Some(KeyFileError::Public));
        for text in ["", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"] {
            assert!(SigningKey::from_pem(text).is_err() && VerifyingKey::from_pem(text).is_err());
        }
    }
}

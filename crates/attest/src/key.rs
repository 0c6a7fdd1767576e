//! Keys: ECDSA on P-256, which is what cosign makes and every verifier of its signatures understands.

use std::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _, UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use salsa20::XSalsa20;
use salsa20::cipher::{KeyIvInit as _, StreamCipher as _};
use serde::Deserialize;

use crate::pem;

/// What a public key on P-256 begins with (RFC 5480), before its point of 65 bytes.
const PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// A private key, to sign with.
pub struct SigningKey(EcdsaKeyPair);

/// A public key, to check signatures with: its point, not compressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyingKey(Vec<u8>);

/// Why a text is no key that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It is no private key on P-256.
    #[error("expected an ECDSA private key on P-256 in PEM, as cosign generate-key-pair or openssl write it")]
    Private,
    /// It is no public key on P-256.
    #[error("expected an ECDSA public key on P-256 in PEM, as in cosign.pub")]
    Public,
    /// It is encrypted in a way that is not known here.
    #[error(
        "private keys with the label ENCRYPTED PRIVATE KEY are not supported: openssl pkey decrypts them"
    )]
    Pkcs8Encryption,
    /// It is encrypted by cosign, and nobody has said with what.
    #[error("the private key is encrypted, and COSIGN_PASSWORD is not set")]
    NoPassword,
    /// It is encrypted by cosign, with another password.
    #[error("the private key cannot be decrypted with COSIGN_PASSWORD")]
    WrongPassword,
    /// What cosign has written about the encryption is malformed, or of another kind, or asks for too much memory.
    #[error("the private key is encrypted in a form that is not known here: {0}")]
    Encryption(&'static str),
    /// The system has no random numbers.
    #[error("cannot sign: there are no random numbers")]
    Random,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey")
    }
}

impl SigningKey {
    /// Reads a private key: plain PKCS #8, what openssl calls an EC key, or one that cosign has encrypted.
    pub fn from_pem(text: &str, password: Option<&[u8]>) -> Result<Self, KeyError> {
        let (label, der) = pem::decode(text).ok_or(KeyError::Private)?;
        let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
        let pair = match label {
            "PRIVATE KEY" => EcdsaKeyPair::from_pkcs8(algorithm, &der).ok(),
            "EC PRIVATE KEY" => EcdsaKeyPair::from_private_key_der(algorithm, &der).ok(),
            "ENCRYPTED SIGSTORE PRIVATE KEY" | "ENCRYPTED COSIGN PRIVATE KEY" => {
                let der = decrypt(&der, password.ok_or(KeyError::NoPassword)?)?;
                EcdsaKeyPair::from_pkcs8(algorithm, &der).ok()
            }
            "ENCRYPTED PRIVATE KEY" => return Err(KeyError::Pkcs8Encryption),
            // openssl ecparam writes the curve first.
            "EC PARAMETERS" => {
                let rest = text.split_once("-----END EC PARAMETERS-----").map_or("", |(_, rest)| rest);
                return SigningKey::from_pem(rest, password);
            }
            _ => None,
        };
        pair.map(SigningKey).ok_or(KeyError::Private)
    }

    /// The public key that belongs to it.
    #[must_use]
    pub fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey(self.0.public_key().as_ref().to_vec())
    }

    /// A signature over SHA-256 of some bytes, in DER.
    pub fn sign(&self, bytes: &[u8]) -> Result<Vec<u8>, KeyError> {
        let signature = self.0.sign(&SystemRandom::new(), bytes).map_err(|_| KeyError::Random)?;
        Ok(signature.as_ref().to_vec())
    }
}

impl VerifyingKey {
    /// Reads a public key.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let (_, der) =
            pem::decode(text).filter(|(label, _)| *label == "PUBLIC KEY").ok_or(KeyError::Public)?;
        let point = der.strip_prefix(&PREFIX[..]).filter(|point| point.len() == 65 && point[0] == 4);
        point.map(|point| VerifyingKey(point.to_vec())).ok_or(KeyError::Public)
    }

    /// True if it is a signature in DER over SHA-256 of these bytes, made with the key that belongs to this one.
    #[must_use]
    pub fn verifies(&self, bytes: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &self.0).verify(bytes, signature).is_ok()
    }
}

/// What cosign writes about an encrypted key, in JSON (go-securesystemslib's `encrypted`).
#[derive(Deserialize)]
struct Encrypted {
    kdf: Kdf,
    cipher: Cipher,
    ciphertext: String,
}

#[derive(Deserialize)]
struct Kdf {
    name: String,
    params: Params,
    salt: String,
}

#[derive(Deserialize)]
struct Params {
    #[serde(rename = "N")]
    n: u64,
    r: u32,
    p: u32,
}

#[derive(Deserialize)]
struct Cipher {
    name: String,
    nonce: String,
}

/// What making a key of a password may take, in bytes. The strongest that cosign writes takes half of it.
const KDF_MEMORY: u64 = 128 << 20;

/// Opens what cosign has encrypted: scrypt makes the key, NaCl's secretbox (XSalsa20 and Poly1305) holds the rest.
fn decrypt(json: &[u8], password: &[u8]) -> Result<Vec<u8>, KeyError> {
    let Encrypted { kdf, cipher, ciphertext } =
        serde_json::from_slice(json).map_err(|_| KeyError::Encryption("malformed JSON"))?;
    if kdf.name != "scrypt" {
        return Err(KeyError::Encryption("its key is not made by scrypt"));
    }
    if cipher.name != "nacl/secretbox" {
        return Err(KeyError::Encryption("its cipher is not nacl/secretbox"));
    }
    let bytes = |text: &str| STANDARD.decode(text).map_err(|_| KeyError::Encryption("malformed base64"));
    let Params { n, r, p } = kdf.params;
    let strange = KeyError::Encryption("strange parameters of scrypt");
    let memory = n.checked_mul(u64::from(r)).and_then(|blocks| blocks.checked_mul(128));
    if !n.is_power_of_two() || n < 2 || p > 16 || memory.is_none_or(|memory| memory > KDF_MEMORY) {
        return Err(strange);
    }
    let log_n = u8::try_from(n.trailing_zeros()).unwrap_or(u8::MAX);
    let params = scrypt::Params::new(log_n, r, p).map_err(|_| strange)?;
    let mut key = [0; 32];
    scrypt::scrypt(password, &bytes(&kdf.salt)?, &params, &mut key)
        .map_err(|_| KeyError::Encryption("strange parameters of scrypt"))?;
    let nonce: [u8; 24] =
        bytes(&cipher.nonce)?.try_into().map_err(|_| KeyError::Encryption("a nonce of another length"))?;
    open_secretbox(&key, &nonce, &bytes(&ciphertext)?).ok_or(KeyError::WrongPassword)
}

/// NaCl's `crypto_secretbox_open`: an authenticator of 16 bytes, then what it is about.
fn open_secretbox(key: &[u8; 32], nonce: &[u8; 24], sealed: &[u8]) -> Option<Vec<u8>> {
    use poly1305::Poly1305;
    use poly1305::universal_hash::KeyInit as _;
    let (tag, text) = sealed.split_at_checked(16)?;
    let mut stream = XSalsa20::new(key.into(), nonce.into());
    // The stream's first 32 bytes are the authenticator's key; what is encrypted begins behind them.
    let mut one_time = [0; 32];
    stream.apply_keystream(&mut one_time);
    let found = Poly1305::new((&one_time).into()).compute_unpadded(text);
    aws_lc_rs::constant_time::verify_slices_are_equal(found.as_slice(), tag).ok()?;
    let mut text = text.to_vec();
    stream.apply_keystream(&mut text);
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    // All made for these tests alone: by openssl, and the encrypted one with libsodium, in the form that cosign has.
    const PKCS8: &str = include_str!("../tests/keys/plain.key");
    const SEC1: &str = include_str!("../tests/keys/sec1.key");
    const ENCRYPTED: &str = include_str!("../tests/keys/cosign.key");
    const PUBLIC: &str = include_str!("../tests/keys/cosign.pub");

    #[test]
    fn every_form_is_one_key() {
        let public = VerifyingKey::from_pem(PUBLIC).unwrap();
        for (text, password) in [(PKCS8, None), (SEC1, None), (ENCRYPTED, Some(&b"for tests"[..]))] {
            let key = SigningKey::from_pem(text, password).unwrap();
            assert_eq!(key.verifying_key(), public);
            let signature = key.sign(b"text").unwrap();
            assert!(public.verifies(b"text", &signature));
            assert!(!public.verifies(b"texT", &signature));
            assert!(!public.verifies(b"text", &signature[..signature.len() - 1]));
        }
    }

    #[test]
    fn what_is_no_key() {
        let wrong = |text: &str, password: Option<&[u8]>| SigningKey::from_pem(text, password).unwrap_err();
        assert_eq!(wrong(ENCRYPTED, None), KeyError::NoPassword);
        assert_eq!(wrong(ENCRYPTED, Some(b"For tests")), KeyError::WrongPassword);
        assert_eq!(wrong(PUBLIC, None), KeyError::Private);
        let ed25519 = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIGXfFWx4VcytmtH6eLdLn5z4v+uqjDUH2KM6AY/xkv8D\n-----END PRIVATE KEY-----\n";
        assert_eq!(wrong(ed25519, None), KeyError::Private);
        let label = PKCS8.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
        assert_eq!(wrong(&label, None), KeyError::Pkcs8Encryption);
        for text in ["", PKCS8, "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"] {
            assert_eq!(VerifyingKey::from_pem(text), Err(KeyError::Public), "{text}");
        }
    }

    #[test]
    fn what_is_encrypted_otherwise() {
        let sealed = |json: &str| {
            let body = STANDARD.encode(json);
            let label = "ENCRYPTED SIGSTORE PRIVATE KEY";
            format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
        };
        let json = |kdf: &str, n: u64, p: u32, cipher: &str| {
            format!(
                r#"{{"kdf":{{"name":"{kdf}","params":{{"N":{n},"r":8,"p":{p}}},"salt":"AAAA"}},"cipher":{{"name":"{cipher}","nonce":"AAAA"}},"ciphertext":"AAAA"}}"#
            )
        };
        for (text, expected) in [
            ("{}".to_owned(), "malformed JSON"),
            (json("argon2", 2, 1, "nacl/secretbox"), "its key is not made by scrypt"),
            (json("scrypt", 2, 1, "aes"), "its cipher is not nacl/secretbox"),
            (json("scrypt", 3, 1, "nacl/secretbox"), "strange parameters of scrypt"),
            (json("scrypt", 1 << 40, 1, "nacl/secretbox"), "strange parameters of scrypt"),
            (json("scrypt", 2, 17, "nacl/secretbox"), "strange parameters of scrypt"),
            (json("scrypt", 2, 1, "nacl/secretbox"), "a nonce of another length"),
        ] {
            let found = SigningKey::from_pem(&sealed(&text), Some(b"")).unwrap_err();
            assert_eq!(found, KeyError::Encryption(expected), "{text}");
        }
    }
}

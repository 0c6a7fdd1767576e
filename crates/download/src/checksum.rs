//! Checksums: what a file has to be, as `--checksum` gives it.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256, Sha384, Sha512};

/// A digest of one of the algorithms that the [image spec] knows, with SHA-384 as moby's digests have it.
///
/// [image spec]: https://github.com/opencontainers/image-spec/blob/main/descriptor.md#digests
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Checksum {
    algorithm: Algorithm,
    /// Lower case, of the algorithm's length.
    hex: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Algorithm {
    Sha256,
    Sha384,
    Sha512,
}

impl Algorithm {
    fn name(self) -> &'static str {
        match self {
            Algorithm::Sha256 => "sha256",
            Algorithm::Sha384 => "sha384",
            Algorithm::Sha512 => "sha512",
        }
    }

    fn digits(self) -> usize {
        match self {
            Algorithm::Sha256 => 64,
            Algorithm::Sha384 => 96,
            Algorithm::Sha512 => 128,
        }
    }
}

/// Why a text is no checksum.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChecksumError {
    /// There is no colon.
    #[error("checksum {0:?} is not of the form ALGORITHM:HEX")]
    Form(String),
    /// The algorithm is none of those we know.
    #[error("checksum algorithm {0:?} is not supported: sha256, sha384 and sha512 are")]
    Algorithm(String),
    /// Not the digits that the algorithm gives.
    #[error("a {algorithm} checksum has {expected} digits of 0-9 and a-f")]
    Digits {
        /// The algorithm.
        algorithm: &'static str,
        /// How many digits there are to be.
        expected: usize,
    },
}

impl FromStr for Checksum {
    type Err = ChecksumError;

    fn from_str(text: &str) -> Result<Self, ChecksumError> {
        let (name, hex) = text.split_once(':').ok_or_else(|| ChecksumError::Form(text.to_owned()))?;
        let algorithm = [Algorithm::Sha256, Algorithm::Sha384, Algorithm::Sha512]
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
            .ok_or_else(|| ChecksumError::Algorithm(name.to_owned()))?;
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if hex.len() != algorithm.digits() || !hex.bytes().all(is_digit) {
            return Err(ChecksumError::Digits { algorithm: algorithm.name(), expected: algorithm.digits() });
        }
        Ok(Checksum { algorithm, hex: hex.to_owned() })
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm.name(), self.hex)
    }
}

/// What a stream's checksum is computed by.
pub(crate) enum Hasher {
    Sha256(Sha256),
    Sha384(Sha384),
    Sha512(Sha512),
}

impl Default for Hasher {
    fn default() -> Self {
        Hasher::Sha256(Sha256::new())
    }
}

impl Hasher {
    pub(crate) fn new(checksum: &Checksum) -> Self {
        match checksum.algorithm {
            Algorithm::Sha256 => Hasher::Sha256(Sha256::new()),
            Algorithm::Sha384 => Hasher::Sha384(Sha384::new()),
            Algorithm::Sha512 => Hasher::Sha512(Sha512::new()),
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Hasher::Sha256(hasher) => hasher.update(bytes),
            Hasher::Sha384(hasher) => hasher.update(bytes),
            Hasher::Sha512(hasher) => hasher.update(bytes),
        }
    }

    pub(crate) fn finish(self) -> Checksum {
        let (algorithm, bytes) = match self {
            Hasher::Sha256(hasher) => (Algorithm::Sha256, hasher.finalize().to_vec()),
            Hasher::Sha384(hasher) => (Algorithm::Sha384, hasher.finalize().to_vec()),
            Hasher::Sha512(hasher) => (Algorithm::Sha512, hasher.finalize().to_vec()),
        };
        let hex = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        Checksum { algorithm, hex }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        let check = |text: String, error: Option<&str>| {
            let result = text.parse::<Checksum>();
            match error {
                None => assert_eq!(result.unwrap().to_string(), text),
                Some(error) => assert_eq!(result.unwrap_err().to_string(), error, "{text}"),
            }
        };
        check(format!("sha256:{}", "0a".repeat(32)), None);
        check(format!("sha384:{}", "0a".repeat(48)), None);
        check(format!("sha512:{}", "0a".repeat(64)), None);
        let digits = Some("a sha256 checksum has 64 digits of 0-9 and a-f");
        check(format!("sha256:{}", "0A".repeat(32)), digits);
        check(format!("sha256:{}", "0a".repeat(31)), digits);
        check("sha256:".to_owned(), digits);
        check(
            format!("md5:{}", "0a".repeat(16)),
            Some("checksum algorithm \"md5\" is not supported: sha256, sha384 and sha512 are"),
        );
        check("abc".to_owned(), Some("checksum \"abc\" is not of the form ALGORITHM:HEX"));
    }

    #[test]
    fn digests() {
        // Of "abc", from FIPS 180-2.
        for expected in [
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            "sha384:cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7",
            "sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        ] {
            let mut hasher = Hasher::new(&expected.parse().unwrap());
            hasher.update(b"ab");
            hasher.update(b"c");
            assert_eq!(hasher.finish().to_string(), expected);
        }
    }
}

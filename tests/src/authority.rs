//! A certificate authority of a test's own, made by the `openssl` program.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use tempfile::TempDir;

use crate::process::output;

/// An authority that nobody else knows.
#[derive(Debug)]
pub struct Authority {
    folder: TempDir,
}

/// A certificate and its key, both as PEM.
#[derive(Debug, Clone)]
pub struct Pair {
    /// The file of the certificate.
    pub certificate: PathBuf,
    /// The file of the key.
    pub key: PathBuf,
}

impl Authority {
    /// A new one; needs `openssl`.
    pub fn new() -> Result<Self> {
        let authority = Self { folder: tempfile::tempdir()? };
        let Pair { certificate, key } = authority.pair("authority");
        let mut command = request("/CN=Authority of a test", &key);
        // What RFC 7519's tokens are signed with has to be RSA for the reference registry.
        output(command.args(["-x509", "-newkey", "rsa:2048", "-days", "2", "-out"]).arg(certificate))?;
        Ok(authority)
    }

    /// Its own certificate and key.
    #[must_use]
    pub fn own(&self) -> Pair {
        self.pair("authority")
    }

    /// A certificate for these names, as `subjectAltName` has them: `DNS:localhost,IP:127.0.0.1`.
    pub fn issue(&self, name: &str, alternatives: &str) -> Result<Pair> {
        let (own, pair) = (self.own(), self.pair(name));
        let (wish, extensions) = (self.path(&format!("{name}.csr")), self.path(&format!("{name}.ext")));
        let mut command = request(&format!("/CN={name}"), &pair.key);
        command.args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-out"]).arg(&wish);
        output(&mut command)?;
        fs::write(
            &extensions,
            format!("subjectAltName={alternatives}\nbasicConstraints=critical,CA:FALSE\n"),
        )?;
        let mut sign = Command::new("openssl");
        sign.args(["x509", "-req", "-days", "2", "-CAcreateserial", "-in"]).arg(wish);
        sign.arg("-CA").arg(own.certificate).arg("-CAkey").arg(own.key);
        output(sign.arg("-extfile").arg(extensions).arg("-out").arg(&pair.certificate))?;
        Ok(pair)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn pair(&self, name: &str) -> Pair {
        Pair { certificate: self.path(&format!("{name}.pem")), key: self.path(&format!("{name}.key")) }
    }
}

fn request(subject: &str, key: &Path) -> Command {
    let mut command = Command::new("openssl");
    command.args(["req", "-nodes", "-subj", subject, "-keyout"]).arg(key);
    command
}

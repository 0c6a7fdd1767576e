//! Bills of materials: the packages that an image holds, as its package databases and lock files say.
//!
//! No program of the image is run, and nothing of it is unpacked: a [`Collector`] sees the layers' entries pass, reads
//! those that list packages, and remembers where they were. What a later layer replaces or removes does not count.

mod collector;
mod go_program;
mod java;
mod javascript;
mod languages;
mod lines;
mod rpm;
mod spdx;
mod sqlite;
mod system;

pub use collector::{Collector, Contents};
pub use spdx::{PREDICATE_TYPE, Subject, document};

/// A package that is in an image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Package {
    /// In whose terms: the type of a [package URL](https://github.com/package-url/purl-spec).
    pub ecosystem: &'static str,
    /// The part of the name that a package URL keeps apart: a scope, a group, a module's path.
    pub namespace: String,
    /// The name.
    pub name: String,
    /// The version, if the source says one.
    pub version: String,
    /// Qualifiers of the package URL, in order.
    pub qualifiers: Vec<(&'static str, String)>,
    /// The package that it was built from, if that has another name.
    pub source: String,
    /// Who maintains it, as the source has it.
    pub maintainer: String,
    /// Its licence, as the source has it, which need not be an expression of SPDX.
    pub license: String,
}

impl Package {
    /// A package of this kind.
    pub(crate) fn new(ecosystem: &'static str, name: impl Into<String>, version: impl Into<String>) -> Self {
        Package { ecosystem, name: name.into(), version: version.into(), ..Package::default() }
    }

    /// Its package URL.
    #[must_use]
    pub fn purl(&self) -> String {
        let mut url = format!("pkg:{}", self.ecosystem);
        for part in self.namespace.split('/').filter(|part| !part.is_empty()) {
            url.push('/');
            url.push_str(&percent(part));
        }
        url.push('/');
        url.push_str(&percent(&self.name));
        if !self.version.is_empty() {
            url.push('@');
            url.push_str(&percent(&self.version));
        }
        let mut separator = '?';
        for (name, value) in self.qualifiers.iter().filter(|(_, value)| !value.is_empty()) {
            url.push(separator);
            url.push_str(&format!("{name}={}", percent(value)));
            separator = '&';
        }
        url
    }
}

/// Percent-encoding as package URLs have it: all but letters, digits, `.`, `-`, `_`, `~` and the colon.
pub(crate) fn percent(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' | b'~' | b':' => {
                out.push(char::from(byte));
            }
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn package_urls() {
        let mut deb = Package::new("deb", "g++-12", "1:12.2.0-14+deb12u1");
        deb.namespace = "debian".to_owned();
        deb.qualifiers = vec![("arch", "amd64".to_owned()), ("distro", "debian-12".to_owned())];
        let mut npm = Package::new("npm", "core", "7.0.0");
        npm.namespace = "@babel".to_owned();
        let mut go = Package::new("golang", "genproto", "");
        go.namespace = "google.golang.org".to_owned();
        for (package, expected) in [
            (deb, "pkg:deb/debian/g%2B%2B-12@1:12.2.0-14%2Bdeb12u1?arch=amd64&distro=debian-12"),
            (npm, "pkg:npm/%40babel/core@7.0.0"),
            (go, "pkg:golang/google.golang.org/genproto"),
            (Package::new("pypi", "é x", "1"), "pkg:pypi/%C3%A9%20x@1"),
        ] {
            assert_eq!(package.purl(), expected);
        }
    }
}

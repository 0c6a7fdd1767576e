//! Mirrors: other places where a registry's images are.

use oci::Reference;

use crate::client::Client;
use crate::error::{Error, ErrorKind, Result};
use crate::options::ClientOptions;

impl Client {
    /// Where an image may be, best first: at the mirrors of its registry, and, unless the options want mirrors alone,
    /// at the registry itself.
    #[must_use]
    pub fn locations(&self, reference: &Reference) -> Vec<Reference> {
        let options = self.options();
        let mirrors = options.mirrors.get(reference.registry()).map_or(&[][..], Vec::as_slice);
        let mut locations: Vec<Reference> =
            mirrors.iter().filter_map(|mirror| at_mirror(reference, mirror)).collect();
        if locations.is_empty() || !options.mirrors_only {
            locations.push(reference.clone());
        }
        locations
    }
}

/// Finds mirrors that are none.
pub(crate) fn check(options: &ClientOptions) -> Result<()> {
    for (registry, mirrors) in &options.mirrors {
        let reference = format!("{registry}/a/b").parse().ok();
        for mirror in mirrors {
            if reference.as_ref().and_then(|reference| at_mirror(reference, mirror)).is_none() {
                let reason = format!("{mirror:?} is not host[:port][/path]");
                return Err(Error::new(&format!("mirror of {registry}"), ErrorKind::Options { reason }));
            }
        }
    }
    Ok(())
}

/// The same image below `host[:port][/path]`.
fn at_mirror(reference: &Reference, mirror: &str) -> Option<Reference> {
    let mirror = mirror.trim_end_matches('/');
    let mut text = format!("{mirror}/{}", reference.repository());
    if let Some(tag) = reference.tag() {
        text += &format!(":{tag}");
    }
    if let Some(digest) = reference.digest() {
        text += &format!("@{digest}");
    }
    let found: Reference = text.parse().ok()?;
    // A name without a dot or a port is a part of Docker Hub's, and would be asked for there.
    (mirror.split('/').next() == Some(found.registry())).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn below_a_mirror() {
        for (mirror, reference, expected) in [
            ("m.example", "busybox:1", Some("m.example/library/busybox:1")),
            ("m.example:5000/", "busybox:1", Some("m.example:5000/library/busybox:1")),
            ("m.example/proxy/hub", "a/b", Some("m.example/proxy/hub/a/b")),
            ("localhost", "a/b", Some("localhost/a/b")),
            ("mirror", "a/b", None),
            ("https://m.example", "a/b", None),
            ("m.example/UPPER", "a/b", None),
            ("", "a/b", None),
        ] {
            let found = at_mirror(&reference.parse().unwrap(), mirror);
            assert_eq!(found.map(|found| found.to_string()).as_deref(), expected, "{mirror}");
        }
    }
}

//! Platforms as kbld selects by them: exactly what was asked for, nothing taken for granted.

use oci::{Descriptor, Platform};

/// What an entry of an index has to be for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlatformSelection {
    /// The system.
    pub os: String,
    /// The processor.
    pub architecture: String,
    /// Its variant; empty for any.
    pub variant: String,
    /// The system's version; empty for any.
    pub os_version: String,
    /// Features of the system that it has to name.
    pub os_features: Vec<String>,
}

impl PlatformSelection {
    /// Reads `os/arch[/variant][:osversion]`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let fails = |reason: &str| Err(format!("Parsing platform '{text}': {reason}"));
        let (rest, os_version) = text.split_once(':').unwrap_or((text, ""));
        let parts: Vec<&str> = rest.split('/').collect();
        let (os, architecture, variant) = match parts[..] {
            [os, architecture] => (os, architecture, ""),
            [os, architecture, variant] => (os, architecture, variant),
            [] | [_] => return fails("expected format os/arch[/variant]"),
            _ => return fails("too many slashes"),
        };
        Ok(PlatformSelection {
            os: os.to_owned(),
            architecture: architecture.to_owned(),
            variant: variant.to_owned(),
            os_version: os_version.to_owned(),
            os_features: Vec::new(),
        })
    }

    /// The one entry that is for it; the error says what is wrong with the index at a place.
    pub fn choose<'a>(&self, manifests: &'a [Descriptor], url: &str) -> Result<&'a Descriptor, String> {
        let mut found = manifests
            .iter()
            .filter(|entry| entry.platform.as_ref().is_some_and(|platform| self.fits(platform)));
        match (found.next(), found.next()) {
            (Some(one), None) => Ok(one),
            (None, _) => Err(format!(
                "Expected to find one image under index '{url}' with matching platform, but found none"
            )),
            (Some(_), Some(_)) => Err(format!(
                "Expected to find only one image under index '{url}' with matching platform, but found more than one"
            )),
        }
    }

    fn fits(&self, platform: &Platform) -> bool {
        let asked = |wanted: &str, has: Option<&str>| wanted.is_empty() || has == Some(wanted);
        platform.os == self.os
            && platform.architecture == self.architecture
            && asked(&self.variant, platform.variant.as_deref())
            && asked(&self.os_version, platform.os_version.as_deref())
            && self.os_features.iter().all(|feature| platform.os_features.contains(feature))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags() {
        for (text, expected) in [
            ("linux", Err("Parsing platform 'linux': expected format os/arch[/variant]")),
            ("a/b/c/d", Err("Parsing platform 'a/b/c/d': too many slashes")),
            ("windows/amd64:10.0", Ok(("windows", "amd64", "", "10.0"))),
            ("linux/arm/v7", Ok(("linux", "arm", "v7", ""))),
        ] {
            let found = PlatformSelection::parse(text);
            let found = found.map(|p| (p.os, p.architecture, p.variant, p.os_version));
            let expected = expected
                .map_err(str::to_owned)
                .map(|(a, b, c, d)| (a.to_owned(), b.to_owned(), c.to_owned(), d.to_owned()));
            assert_eq!(found, expected, "{text}");
        }
    }
}

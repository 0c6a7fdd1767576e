//! Locations: where an image is, or is to be, in the words of skopeo.

use std::path::PathBuf;
use std::str::FromStr;

use oci::Reference;

/// A place for an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// `docker://REFERENCE`, or a reference alone.
    Registry(Reference),
    /// `oci:DIR[:NAME]`, an OCI image layout.
    Layout(PathBuf, Option<String>),
    /// `oci-archive:FILE[:NAME]`, a layout in a tar.
    Archive(PathBuf, Option<String>),
    /// `docker-archive:FILE[:REFERENCE]` or `docker-archive:FILE:@NUMBER`, what `docker save` writes.
    DockerArchive(PathBuf, Option<String>),
}

impl FromStr for Location {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = |rest: &str| -> Result<(PathBuf, Option<String>), String> {
            let (path, name) = match rest.split_once(':') {
                Some((path, name)) if !name.is_empty() => (path, Some(name.to_owned())),
                Some((path, _)) => (path, None),
                None => (rest, None),
            };
            if path.is_empty() { Err(format!("{text}: a path is missing")) } else { Ok((path.into(), name)) }
        };
        if let Some(rest) = text.strip_prefix("docker://") {
            return rest
                .parse()
                .map(Location::Registry)
                .map_err(|error: oci::ReferenceError| error.to_string());
        }
        if let Some(rest) = text.strip_prefix("oci:") {
            return named(rest).map(|(path, name)| Location::Layout(path, name));
        }
        if let Some(rest) = text.strip_prefix("oci-archive:") {
            return named(rest).map(|(path, name)| Location::Archive(path, name));
        }
        if let Some(rest) = text.strip_prefix("docker-archive:") {
            return named(rest).map(|(path, name)| Location::DockerArchive(path, name));
        }
        for (scheme, instead) in [
            ("docker-daemon:", "docker save, and docker-archive:FILE: there is no daemon here"),
            ("containers-storage:", "a registry, or oci:DIR"),
            ("dir:", "oci:DIR"),
        ] {
            if text.starts_with(scheme) {
                return Err(format!("{text}: {scheme} is not supported; use {instead}"));
            }
        }
        text.parse().map(Location::Registry).map_err(|error: oci::ReferenceError| error.to_string())
    }
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (kind, path, name) = match self {
            Location::Registry(reference) => return reference.fmt(f),
            Location::Layout(path, name) => ("oci", path, name),
            Location::Archive(path, name) => ("oci-archive", path, name),
            Location::DockerArchive(path, name) => ("docker-archive", path, name),
        };
        write!(f, "{kind}:{}", path.display())?;
        name.as_ref().map_or(Ok(()), |name| write!(f, ":{name}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_skopeo() {
        for (text, expected) in [
            ("docker://r.example/a:1", Ok("r.example/a:1")),
            ("r.example/a:1", Ok("r.example/a:1")),
            ("oci:/x/y:tag", Ok("oci:/x/y:tag")),
            ("oci:/x/y", Ok("oci:/x/y")),
            ("oci-archive:a.tar:r.example/a:1", Ok("oci-archive:a.tar:r.example/a:1")),
            ("docker-archive:a.tar:r.example/a:1", Ok("docker-archive:a.tar:r.example/a:1")),
            ("docker-archive:a.tar:@1", Ok("docker-archive:a.tar:@1")),
            ("docker-archive:a.tar", Ok("docker-archive:a.tar")),
            ("docker-archive:", Err("docker-archive:: a path is missing")),
            ("oci:", Err("oci:: a path is missing")),
            ("dir:/x", Err("dir:/x: dir: is not supported; use oci:DIR")),
        ] {
            let found = text.parse::<Location>().map(|location| location.to_string());
            assert_eq!(found.as_deref().map_err(String::as_str), expected, "{text}");
        }
    }
}

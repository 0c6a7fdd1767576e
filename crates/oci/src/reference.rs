//! References: where an image is, as `registry/repository:tag@digest`.
//!
//! The grammar is that of `distribution/reference`: a first component with a dot, a colon, or equal to
//! `localhost` is a registry, otherwise the registry is Docker Hub and a single name is below `library/`.

use std::fmt;
use std::str::FromStr;

use crate::Digest;

/// A whole image reference; the registry is never left out and Docker Hub has one spelling.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// What of a repository is meant.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Target {
    /// A name that can move.
    Tag(String),
    /// Exactly these bytes.
    Digest(Digest),
}

/// Why a text is no image reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid image reference {text:?}: {reason}")]
pub struct ReferenceError {
    /// What was given.
    pub text: String,
    /// What is wrong with it.
    pub reason: String,
}

/// Docker Hub's name in references.
const DOCKER_HUB: &str = "docker.io";

impl Reference {
    /// A reference to a repository's tag.
    pub fn tagged(registry: &str, repository: &str, tag: &str) -> Result<Self, ReferenceError> {
        format!("{registry}/{repository}:{tag}").parse()
    }

    /// Host and port, `docker.io` for Docker Hub.
    #[must_use]
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The path within the registry.
    #[must_use]
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag that was written, if any.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest that was written, if any.
    #[must_use]
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// What to ask the registry for: the digest if there is one, else the tag, else `latest`.
    #[must_use]
    pub fn target(&self) -> Target {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => Target::Digest(*digest),
            (None, Some(tag)) => Target::Tag(tag.clone()),
            (None, None) => Target::Tag("latest".to_owned()),
        }
    }

    /// `registry/repository`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    /// The same repository at a digest, without a tag.
    #[must_use]
    pub fn at(&self, digest: Digest) -> Self {
        Reference { tag: None, digest: Some(digest), ..self.clone() }
    }

    /// The same repository at a tag, without a digest.
    #[must_use]
    pub fn with_tag(&self, tag: &str) -> Self {
        Reference { tag: Some(tag.to_owned()), digest: None, ..self.clone() }
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let error = |reason: &str| ReferenceError { text: text.to_owned(), reason: reason.to_owned() };
        if text.is_empty() {
            return Err(error("it is empty"));
        }
        if text.contains("://") {
            return Err(error("it has a scheme; write registry/repository:tag"));
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.parse().map_err(|cause| error(&format!("{cause}")))?)),
            None => (text, None),
        };
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (rest, None),
        };
        if let Some(tag) = tag
            && !is_tag(tag)
        {
            return Err(error(
                "a tag has up to 128 letters, digits, '_', '.' and '-', and starts with neither '.' nor '-'",
            ));
        }
        let (registry, repository) = match name.split_once('/') {
            Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => (first, rest),
            // Upper case cannot be a repository, so Docker takes it for a host.
            Some((first, rest)) if first.bytes().any(|byte| byte.is_ascii_uppercase()) => (first, rest),
            _ => (DOCKER_HUB, name),
        };
        if !is_host(registry) {
            return Err(error("the registry is not a host name, with or without a port"));
        }
        let registry = if registry == "index.docker.io" { DOCKER_HUB } else { registry };
        let repository = if registry == DOCKER_HUB && !repository.contains('/') {
            format!("library/{repository}")
        } else {
            repository.to_owned()
        };
        if repository.len() > 255 || !repository.split('/').all(is_component) {
            return Err(error(
                "a repository is made of lower-case letters, digits and separators ('.', '_', '__', '-'), in parts joined by '/'",
            ));
        }
        Ok(Reference { registry: registry.to_owned(), repository, tag: tag.map(str::to_owned), digest })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        self.digest.map_or(Ok(()), |digest| write!(f, "@{digest}"))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Tag(tag) => f.write_str(tag),
            Target::Digest(digest) => digest.fmt(f),
        }
    }
}

/// `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`
fn is_tag(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let bytes = text.as_bytes();
    (1..=128).contains(&bytes.len())
        && word(bytes[0])
        && bytes.iter().all(|&byte| word(byte) || byte == b'.' || byte == b'-')
}

/// A DNS name, an IPv4 address or a bracketed IPv6 address, and a port.
fn is_host(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    };
    let port_is_number = port.is_none_or(|port| port.parse::<u16>().is_ok());
    let is_ipv6 = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .is_some_and(|host| host.parse::<std::net::Ipv6Addr>().is_ok());
    let is_name = host.split('.').all(|part| {
        !part.is_empty()
            && !part.starts_with('-')
            && !part.ends_with('-')
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    });
    port_is_number && (is_ipv6 || is_name)
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_component(text: &str) -> bool {
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    let (Some(&first), Some(&last)) = (bytes.first(), bytes.last()) else { return false };
    alphanumeric(first)
        && alphanumeric(last)
        && bytes.split(|&byte| alphanumeric(byte)).all(|separator| {
            matches!(separator, b"" | b"." | b"_" | b"__") || separator.iter().all(|&b| b == b'-')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_form() {
        let digest = Digest::of(b"x");
        for (text, whole) in [
            ("busybox", "docker.io/library/busybox"),
            ("busybox:1", "docker.io/library/busybox:1"),
            ("user/app", "docker.io/user/app"),
            ("docker.io/busybox", "docker.io/library/busybox"),
            ("index.docker.io/library/busybox", "docker.io/library/busybox"),
            ("localhost/app", "localhost/app"),
            ("localhost:5000/app:v1", "localhost:5000/app:v1"),
            ("127.0.0.1:5000/a/b", "127.0.0.1:5000/a/b"),
            ("[::1]:5000/a", "[::1]:5000/a"),
            ("r.example/a__b/c--d", "r.example/a__b/c--d"),
        ] {
            assert_eq!(text.parse::<Reference>().unwrap().to_string(), whole);
        }
        let both = format!("r.example/a:1@{digest}").parse::<Reference>().unwrap();
        assert_eq!(both.target(), Target::Digest(digest));
        assert_eq!(both.tag(), Some("1"));
        assert_eq!(both.with_tag("2").to_string(), "r.example/a:2");
        assert_eq!(both.at(digest).to_string(), format!("r.example/a@{digest}"));
    }

    #[test]
    fn refuses() {
        for bad in [
            "",
            ":",
            "a:",
            "a:-x",
            "A",
            "a//b",
            "a/",
            "/a",
            "a_-b",
            "a___b",
            "-a",
            "a-",
            "r.example/A",
            "https://r.example/a",
            "r.example:x/a",
            "a@sha256:1",
            "a b",
            "r..example/a",
            "[zz]:1/a",
            "a:b:c",
        ] {
            assert!(bad.parse::<Reference>().is_err(), "{bad} was accepted");
        }
    }
}

//! Names of images, as go-containerregistry reads them: the first part is a registry if it has a dot or a colon, and
//! Docker Hub is `index.docker.io`.

use std::fmt;
use std::net::IpAddr;

use oci::{Digest, DigestError, Reference};

/// Docker Hub.
const HUB: &str = "index.docker.io";

/// What a repository may be made of.
const REPOSITORY: &str = "abcdefghijklmnopqrstuvwxyz0123456789_-./";

/// What a tag may be made of.
const TAG: &str = "abcdefghijklmnopqrstuvwxyz0123456789_-.ABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// A whole name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    /// Host and port.
    pub registry: String,
    /// The path within the registry.
    pub repository: String,
    /// The tag, if one is written.
    pub tag: Option<String>,
    /// The digest, if one is written.
    pub digest: Option<Digest>,
}

impl Name {
    /// Reads a name with a tag, or without.
    pub fn tagged(text: &str) -> Result<Self, String> {
        let (base, tag) = match text.rsplit_once(':') {
            Some((base, tag)) if !tag.contains('/') => (base, Some(tag)),
            _ => (text, None),
        };
        let (registry, repository) = repository(base)?;
        if let Some(tag) = tag.filter(|tag| !tag.is_empty()) {
            element("tag", tag, TAG, 1, 128)?;
        }
        let tag = tag.filter(|tag| !tag.is_empty()).map(str::to_owned);
        Ok(Name { registry, repository, tag, digest: None })
    }

    /// Reads a name with a digest; a tag before it counts for nothing.
    pub fn digested(text: &str) -> Result<Self, String> {
        let reason =
            |reason: &str| format!("Expected valid digest reference, but found '{text}', reason: {reason}");
        let (base, digest) =
            text.split_once('@').ok_or_else(|| reason("a digest must contain exactly one '@' separator"))?;
        if digest.contains('@') {
            return Err(reason(
                "a digest must contain exactly one '@' separator (e.g. registry/repository@digest)",
            ));
        }
        let digest = match digest.parse::<Digest>() {
            Ok(digest) => digest,
            Err(DigestError::Unsupported(_)) if digest.starts_with("sha") || digest.contains(':') => {
                return Err(reason(&format!("unsupported digest algorithm: {digest}")));
            }
            Err(_) => {
                let hex = digest.strip_prefix("sha256:").unwrap_or(digest);
                return Err(reason(match hex.len() {
                    64 => "invalid checksum digest format",
                    _ => "invalid checksum digest length",
                }));
            }
        };
        let base = match base.rsplit_once(':') {
            Some((before, tag)) if !tag.contains('/') => before,
            _ => base,
        };
        let (registry, repository) = repository(base).map_err(|error| reason(&error))?;
        Ok(Name { registry, repository, tag: None, digest: Some(digest) })
    }

    /// The same repository at a digest.
    #[must_use]
    pub fn at(&self, digest: Digest) -> Name {
        Name { tag: None, digest: Some(digest), ..self.clone() }
    }

    /// Registry and repository.
    #[must_use]
    pub fn base(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    /// What a registry is asked for.
    pub fn reference(&self) -> Result<Reference, String> {
        let registry = if self.registry == HUB { "docker.io" } else { &self.registry };
        let mut text = format!("{registry}/{}", self.repository);
        match (&self.digest, &self.tag) {
            (Some(digest), _) => text.push_str(&format!("@{digest}")),
            (None, tag) => text.push_str(&format!(":{}", tag.as_deref().unwrap_or("latest"))),
        }
        text.parse().map_err(|error: oci::ReferenceError| error.reason)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.base())?;
        match (&self.tag, &self.digest) {
            (_, Some(digest)) => write!(f, "@{digest}"),
            (Some(tag), None) => write!(f, ":{tag}"),
            (None, None) => Ok(()),
        }
    }
}

fn repository(text: &str) -> Result<(String, String), String> {
    if text.is_empty() {
        return Err("a repository name must be specified".to_owned());
    }
    let (registry, repository) = match text.split_once('/') {
        Some((first, rest)) if first.contains(['.', ':']) => (first, rest),
        _ => (HUB, text),
    };
    element("repository", repository, REPOSITORY, 2, 255)?;
    let registry = if registry == "docker.io" { HUB } else { registry };
    let repository = match registry == HUB && !repository.contains('/') {
        true => format!("library/{repository}"),
        false => repository.to_owned(),
    };
    Ok((registry.to_owned(), repository))
}

fn element(what: &str, text: &str, allowed: &str, least: usize, most: usize) -> Result<(), String> {
    let length = text.chars().count();
    if length < least || length > most {
        return Err(format!("{what} must be between {least} and {most} characters in length: {text}"));
    }
    if text.chars().any(|c| !allowed.contains(c)) {
        return Err(format!("{what} can only contain the characters `{allowed}`: {text}"));
    }
    Ok(())
}

/// What is before tag and digest: `\A(.+?)(:[A-Za-z0-9_\-\.]+)?(@.+:.+)?\z`. Nothing is normalised.
#[must_use]
pub fn repository_part(text: &str) -> &str {
    let is_digest = |(at, _): &(usize, char)| {
        let rest = &text[at + 1..];
        *at > 0 && rest.char_indices().any(|(at, c)| c == ':' && at > 0 && at + 1 < rest.len())
    };
    let digest = text.char_indices().filter(|(_, c)| *c == '@').find(is_digest).map(|(at, _)| at);
    let base = digest.map_or(text, |at| &text[..at]);
    let is_tag = |tag: &str| {
        !tag.is_empty() && tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
    };
    match base.rsplit_once(':') {
        Some((before, tag)) if !before.is_empty() && is_tag(tag) => before,
        _ => base,
    }
}

/// True for registries that may speak plain HTTP without being told so: those of this machine and of private networks.
#[must_use]
pub fn is_plain_http(registry: &str) -> bool {
    let host = registry.rsplit_once(':').map_or(registry, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let private = match host.parse() {
        Ok(IpAddr::V4(address)) => address.is_private() || address.is_loopback(),
        Ok(IpAddr::V6(address)) => address.is_loopback(),
        Err(_) => false,
    };
    private || host == "localhost" || host.ends_with(".local") || host.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_names() {
        for (text, expected) in [
            ("nginx", "index.docker.io/library/nginx"),
            ("nginx:1.14.2", "index.docker.io/library/nginx:1.14.2"),
            ("docker.io/library/nginx", "index.docker.io/library/nginx"),
            ("localhost/x", "index.docker.io/localhost/x"),
            ("localhost:5000/xx:1", "localhost:5000/xx:1"),
            ("r.example/a/b:v1", "r.example/a/b:v1"),
            ("", "a repository name must be specified"),
            ("x", "repository must be between 2 and 255 characters in length: x"),
            (
                "Nginx",
                "repository can only contain the characters `abcdefghijklmnopqrstuvwxyz0123456789_-./`: Nginx",
            ),
        ] {
            let found = Name::tagged(text).map_or_else(|error| error, |name| name.to_string());
            assert_eq!(found, expected, "{text}");
        }
        let hex = "0".repeat(64);
        for (text, expected) in [
            (format!("nginx:1@sha256:{hex}"), format!("index.docker.io/library/nginx@sha256:{hex}")),
            ("nginx@sha256:digest".to_owned(), "Expected valid digest reference, but found 'nginx@sha256:digest', reason: invalid checksum digest length".to_owned()),
            (format!("nginx@sha512:{hex}"), format!("Expected valid digest reference, but found 'nginx@sha512:{hex}', reason: unsupported digest algorithm: sha512:{hex}")),
        ] {
            let found = Name::digested(&text).map_or_else(|error| error, |name| name.to_string());
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn repositories() {
        for (text, expected) in [
            ("nginx", "nginx"),
            ("nginx:1.2", "nginx"),
            ("r:5000/a", "r:5000/a"),
            ("r:5000/a:1", "r:5000/a"),
            ("a@sha256:0", "a"),
            ("a:1@sha256:0", "a"),
            ("a@b", "a@b"),
            (":1", ":1"),
        ] {
            assert_eq!(repository_part(text), expected, "{text}");
        }
    }
}

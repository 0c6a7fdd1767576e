//! Named contexts: `--build-context name=source`, other places than the main context to take files from.
//!
//! A name stands before stages and images of that name. It may be for one platform alone: `name::linux/arm64`.

use crate::{GitUrl, GitUrlError, familiar_name, is_image_name};

/// A named context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedContext {
    /// The name, as [`familiar_name`] has it.
    pub name: String,
    /// The platform it is for; every one if `None`.
    pub platform: Option<String>,
    /// Where its files come from.
    pub source: ContextSource,
}

/// Where the files of a context come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContextSource {
    /// A directory.
    Directory(String),
    /// `docker-image://`: an image, by its reference.
    Image(String),
    /// `oci-layout://`: an image in an OCI layout.
    OciLayout {
        /// The layout's directory.
        path: String,
        /// The tag; `latest` if neither it nor a digest is given.
        tag: Option<String>,
        /// The digest, which counts before the tag.
        digest: Option<String>,
    },
    /// An archive to download.
    Http(String),
    /// A git repository.
    Git(Box<GitUrl>),
}

/// Why a text is no named context.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum NamedContextError {
    #[error("invalid context value: {0}, expected key=value")]
    NoValue(String),
    #[error("invalid context name {name:?}: {reason}")]
    Name { name: String, reason: &'static str },
    #[error("context {name}: no {what} in {value:?}")]
    Empty { name: String, what: &'static str, value: String },
    #[error(
        "context {name}: {scheme} is known to buildx only: give a directory, docker-image://, oci-layout://, a URL or a git repository"
    )]
    Scheme { name: String, scheme: String },
    #[error("context {name}: {source}")]
    Git { name: String, source: GitUrlError },
}

impl NamedContext {
    /// Reads `name=source` or `name::platform=source`.
    pub fn parse(text: &str) -> Result<Self, NamedContextError> {
        let (name, value) =
            text.split_once('=').ok_or_else(|| NamedContextError::NoValue(text.to_owned()))?;
        let (name, platform) = match name.split_once("::") {
            Some((name, platform)) => (name, Some(platform)),
            None => (name, None),
        };
        let wrong = |reason| NamedContextError::Name { name: name.to_owned(), reason };
        if name.is_empty() {
            return Err(wrong("it is empty"));
        }
        if name == "context" || name == "scratch" {
            return Err(wrong("it is reserved"));
        }
        if !is_image_name(name) {
            return Err(wrong("it has to be a name as a stage or an image has it"));
        }
        if platform.is_some_and(|platform| !platform.contains('/')) {
            return Err(wrong("the platform after :: has to be os/architecture"));
        }
        let name = familiar_name(name);
        let source = ContextSource::read(&name, value)?;
        Ok(NamedContext { name, platform: platform.map(str::to_owned), source })
    }

    /// The context of a name, as it was written in `FROM` or `--from`, for a platform: one for just that
    /// platform, else one for every platform; of several the last. Case does not count for names.
    #[must_use]
    pub fn find<'a>(contexts: &'a [NamedContext], name: &str, platform: &str) -> Option<&'a NamedContext> {
        let name = familiar_name(name);
        let named = || contexts.iter().rev().filter(|context| context.name.eq_ignore_ascii_case(&name));
        let exact = named().find(|context| context.platform.as_deref() == Some(platform));
        exact.or_else(|| named().find(|context| context.platform.is_none()))
    }
}

impl ContextSource {
    fn read(name: &str, value: &str) -> Result<Self, NamedContextError> {
        let empty = |what| NamedContextError::Empty { name: name.to_owned(), what, value: value.to_owned() };
        if let Some(image) = value.strip_prefix("docker-image://") {
            return if image.is_empty() {
                Err(empty("image"))
            } else {
                Ok(ContextSource::Image(image.to_owned()))
            };
        }
        if let Some(layout) = value.strip_prefix("oci-layout://") {
            let (rest, digest) = match layout.split_once('@') {
                Some((rest, digest)) => (rest, Some(digest)),
                None => (layout, None),
            };
            let (path, tag) = match rest.rsplit_once(':') {
                Some((path, tag)) if !tag.contains('/') => (path, Some(tag)),
                _ => (rest, None),
            };
            if path.is_empty() {
                return Err(empty("path"));
            }
            if tag == Some("") {
                return Err(empty("tag"));
            }
            if digest == Some("") {
                return Err(empty("digest"));
            }
            let tag = tag.or(if digest.is_none() { Some("latest") } else { None });
            return Ok(ContextSource::OciLayout {
                path: path.to_owned(),
                tag: tag.map(str::to_owned),
                digest: digest.map(str::to_owned),
            });
        }
        for scheme in ["target:", "input:"] {
            if value.starts_with(scheme) {
                return Err(NamedContextError::Scheme { name: name.to_owned(), scheme: scheme.to_owned() });
            }
        }
        let git = GitUrl::parse_context(value)
            .map_err(|source| NamedContextError::Git { name: name.to_owned(), source })?;
        if let Some(url) = git {
            return Ok(ContextSource::Git(Box::new(url)));
        }
        if ["http://", "https://"].iter().any(|scheme| value.starts_with(scheme)) {
            return Ok(ContextSource::Http(value.to_owned()));
        }
        if value.is_empty() {
            Err(empty("directory"))
        } else {
            Ok(ContextSource::Directory(value.to_owned()))
        }
    }
}

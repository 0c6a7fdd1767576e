//! Frontends: what `# syntax=` asks for, and whether it can be had.
//!
//! A frontend is a program from a registry that reads the Dockerfile in its own way. None is ever run. Docker's
//! own, wherever it is mirrored, speaks the language that is spoken here; what another one would do is unknown.

use crate::Syntax;

/// The version of Docker's frontend whose language is spoken here.
pub const LANGUAGE_VERSION: (u32, u32) = (1, 26);

/// What there is to say to a `# syntax=`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frontend {
    /// The language that is built in.
    BuiltIn {
        /// The features of the `labs` channel are asked for too.
        labs: bool,
        /// The version asked for, if it is newer than [`LANGUAGE_VERSION`].
        newer: Option<String>,
    },
    /// An image that does nobody knows what.
    Other {
        /// Its reference.
        image: String,
    },
}

impl Frontend {
    /// Decides by the image's name alone: Docker's frontend is `docker/dockerfile`, or
    /// `docker/dockerfile-upstream`, or whatever is called `dockerfile` in any registry.
    #[must_use]
    pub fn of(syntax: &Syntax) -> Self {
        let image = syntax.image.as_str();
        let undigested = image.split_once('@').map_or(image, |(name, _)| name);
        let (name, tag) = match undigested.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, tag),
            _ => (undigested, ""),
        };
        let component = name.rsplit('/').next().unwrap_or(name);
        let upstream = component == "dockerfile-upstream" && name.contains("docker/");
        if component != "dockerfile" && !upstream {
            return Frontend::Other { image: image.to_owned() };
        }
        let (version, channel) = tag.split_once('-').unwrap_or((tag, ""));
        let labs = version == "labs" || channel.split('-').any(|part| part == "labs");
        let newer = is_newer(version).then(|| tag.to_owned());
        Frontend::BuiltIn { labs, newer }
    }
}

/// `1.27` is, `1.26.3` and `1` are not, and what is no version is not.
fn is_newer(version: &str) -> bool {
    let mut numbers = version.split('.').map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) > LANGUAGE_VERSION,
        (Some(Ok(major)), None) => major > LANGUAGE_VERSION.0,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_or_not() {
        for (image, labs, newer) in [
            ("docker/dockerfile", false, None),
            ("docker/dockerfile:1", false, None),
            ("docker/dockerfile:latest", false, None),
            ("docker.io/docker/dockerfile:1.26.3", false, None),
            ("docker/dockerfile:1.27", false, Some("1.27")),
            ("docker/dockerfile:1.100.1-labs", true, Some("1.100.1-labs")),
            ("docker/dockerfile:2", false, Some("2")),
            ("docker/dockerfile:1-labs", true, None),
            ("docker/dockerfile:labs", true, None),
            ("docker/dockerfile-upstream:master", false, None),
            ("docker/dockerfile-upstream:master-labs", true, None),
            ("docker/dockerfile:1.4@sha256:00", false, None),
            ("mirror.example:5000/a/b/dockerfile:1", false, None),
            ("mirror.example:5000/dockerfile", false, None),
            ("dockerfile", false, None),
        ] {
            let syntax = Syntax { image: image.to_owned(), arguments: String::new() };
            let newer = newer.map(str::to_owned);
            assert_eq!(Frontend::of(&syntax), Frontend::BuiltIn { labs, newer }, "{image}");
        }
        for image in [
            "",
            "docker/dockerfile-copy",
            "tonistiigi/dockerfile-x:1",
            "x.example/dockerfile/y",
            "dockerfile-upstream",
        ] {
            let syntax = Syntax { image: image.to_owned(), arguments: String::new() };
            assert_eq!(Frontend::of(&syntax), Frontend::Other { image: image.to_owned() });
        }
    }
}

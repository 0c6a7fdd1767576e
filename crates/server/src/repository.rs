//! A repository's name, and the folder that holds it.

use std::fmt;
use std::str::FromStr;

use oci::Reference;

/// The name of a repository, checked: it is a safe file name once its slashes are replaced.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Repository(String);

/// The text is no name of a repository.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid repository name {0:?}")]
pub struct RepositoryError(String);

impl Repository {
    /// The name of its folder: `a+b` for `a/b`. A `+` cannot be part of a name, so no two names share
    /// a folder.
    #[must_use]
    pub fn folder(&self) -> String {
        self.0.replace('/', "+")
    }

    /// The repository that a folder holds, if it is one of ours.
    #[must_use]
    pub fn of_folder(folder: &str) -> Option<Self> {
        if folder.contains('/') { None } else { folder.replace('+', "/").parse().ok() }
    }

    /// True if the text can be a tag.
    pub(crate) fn is_tag(text: &str) -> bool {
        Reference::tagged("localhost", "a", text).is_ok_and(|reference| reference.tag() == Some(text))
    }
}

impl FromStr for Repository {
    type Err = RepositoryError;

    /// The grammar is the one of whole references, which begin with a registry.
    fn from_str(text: &str) -> Result<Self, RepositoryError> {
        match format!("localhost/{text}").parse::<Reference>() {
            Ok(reference) if reference.repository() == text && reference.digest().is_none() => {
                Ok(Repository(text.to_owned()))
            }
            _ => Err(RepositoryError(text.to_owned())),
        }
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders() {
        for (name, folder) in [("a", "a"), ("a/b", "a+b"), ("a.b/c__d/e--f", "a.b+c__d+e--f")] {
            let repository: Repository = name.parse().unwrap();
            assert_eq!(repository.folder(), folder);
            assert_eq!(Repository::of_folder(folder), Some(repository));
        }
    }

    #[test]
    fn refuses() {
        for bad in
            ["", "A", "a+b", "..", "../a", "a/../b", ".a", "a/", "/a", "a//b", "a:1", "a@b", "a b", "a\0b"]
        {
            assert!(bad.parse::<Repository>().is_err(), "{bad:?}");
        }
        assert!(format!("a@{}", oci::Digest::of(b"")).parse::<Repository>().is_err());
        for bad in ["", ".", "..", "a++b", ".bako-x", "a/b", "lost+Found"] {
            assert_eq!(Repository::of_folder(bad), None, "{bad:?}");
        }
        for (text, is_tag) in
            [("latest", true), ("_1.2-x", true), ("", false), ("-x", false), ("a:b", false), ("a/b", false)]
        {
            assert_eq!(Repository::is_tag(text), is_tag, "{text:?}");
        }
    }
}

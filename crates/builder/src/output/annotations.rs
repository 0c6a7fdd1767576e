//! Annotations: notes in the documents of an image, each at the level that `docker buildx build --annotation` has
//! names for.

use std::collections::BTreeMap;

use oci::{ImageFormat, Platform};

use crate::error::{Error, Result};

/// Which document a note is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnnotationLevel {
    /// The image's manifest.
    Manifest,
    /// The index.
    Index,
    /// What the index, or the layout, says of the image.
    ManifestDescriptor,
    /// What the layout says of the index.
    IndexDescriptor,
}

/// A note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotation {
    /// Where it is.
    pub level: AnnotationLevel,
    /// Of which images, if not of all.
    pub platform: Option<Platform>,
    /// Its name.
    pub name: String,
    /// What it says.
    pub value: String,
}

/// The notes at one level that are about an image for this platform.
pub(crate) fn at(
    all: &[Annotation],
    level: AnnotationLevel,
    platform: Option<&Platform>,
) -> BTreeMap<String, String> {
    let is_meant = |annotation: &&Annotation| {
        annotation.level == level
            && match (&annotation.platform, platform) {
                (Some(wanted), Some(platform)) => wanted.accepts(platform),
                (Some(_), None) => false,
                (None, _) => true,
            }
    };
    all.iter().filter(is_meant).map(|one| (one.name.clone(), one.value.clone())).collect()
}

/// Refuses notes that would be nowhere. `has_index` says that there will be one.
pub(crate) fn check(all: &[Annotation], format: ImageFormat, has_index: bool) -> Result<()> {
    for Annotation { level, name, .. } in all {
        let (word, of_index) = match level {
            AnnotationLevel::Manifest => continue,
            AnnotationLevel::Index => ("index", true),
            AnnotationLevel::ManifestDescriptor => ("manifest-descriptor", false),
            AnnotationLevel::IndexDescriptor => ("index-descriptor", true),
        };
        let during = format!("--annotation {word}:{name}");
        if of_index && !has_index {
            return Err(Error::new(format!("{during}: an image for one platform has no index"))
                .hint("there is one with --platform a,b, with --sbom and with --provenance"));
        }
        if format == ImageFormat::Docker {
            return Err(Error::new(format!("{during}: Docker's types have no annotations there"))
                .hint("leave out --image-format docker"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn annotation(level: AnnotationLevel, platform: Option<&str>, name: &str) -> Annotation {
        let platform = platform.map(|text| text.parse().unwrap());
        Annotation { level, platform, name: name.to_owned(), value: "v".to_owned() }
    }

    #[test]
    fn each_at_its_level() {
        let all = [
            annotation(AnnotationLevel::Manifest, None, "a"),
            annotation(AnnotationLevel::Manifest, Some("linux/arm64"), "b"),
            annotation(AnnotationLevel::Index, None, "c"),
        ];
        let names = |level, platform: Option<&str>| {
            let platform: Option<Platform> = platform.map(|text| text.parse().unwrap());
            at(&all, level, platform.as_ref()).into_keys().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(names(AnnotationLevel::Manifest, Some("linux/amd64")), "a");
        assert_eq!(names(AnnotationLevel::Manifest, Some("linux/arm64")), "a b");
        assert_eq!(names(AnnotationLevel::Index, None), "c");
        assert_eq!(names(AnnotationLevel::IndexDescriptor, None), "");
    }

    #[test]
    fn what_would_be_nowhere() {
        for (level, format, has_index, expected) in [
            (AnnotationLevel::Manifest, ImageFormat::Docker, false, None),
            (AnnotationLevel::Index, ImageFormat::Oci, true, None),
            (AnnotationLevel::ManifestDescriptor, ImageFormat::Oci, false, None),
            (AnnotationLevel::Index, ImageFormat::Oci, false, Some("has no index")),
            (AnnotationLevel::IndexDescriptor, ImageFormat::Oci, false, Some("has no index")),
            (AnnotationLevel::ManifestDescriptor, ImageFormat::Docker, true, Some("Docker's types")),
        ] {
            let found = check(&[annotation(level, None, "a")], format, has_index);
            match expected {
                None => assert!(found.is_ok(), "{level:?}"),
                Some(part) => assert!(found.unwrap_err().message.contains(part), "{level:?}"),
            }
        }
    }
}

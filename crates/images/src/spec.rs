//! Specifications: the YAML in which manifest-tool is told what to join.

use std::collections::BTreeMap;

use oci::{Platform, Reference};
use yaml::Node;

use crate::{Error, Result};

/// A list and its members.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// Its name.
    pub image: Reference,
    /// More tags for it.
    pub tags: Vec<String>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
    /// Its members, each with what is said of its platform.
    pub members: Vec<(Reference, SpecPlatform)>,
}

/// What a specification says of a platform. What it leaves out the image itself tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SpecPlatform {
    /// The system.
    pub os: String,
    /// The processor.
    pub architecture: String,
    /// Its variant.
    pub variant: String,
    /// The system's version.
    pub os_version: String,
    /// Features of the system.
    pub os_features: Vec<String>,
}

impl Spec {
    /// Reads a specification.
    pub fn parse(text: &str) -> Result<Spec> {
        let wrong = |reason: String| Error::new(format!("specification: {reason}"));
        let root = yaml::parse(text).map_err(|error| wrong(error.to_string()))?;
        let root = root.ok_or_else(|| wrong("it is empty".to_owned()))?;
        let reference = |node: &Node| -> Result<Reference> {
            let text = node.get("image").and_then(Node::as_str);
            let text = text.ok_or_else(|| wrong("an image is missing".to_owned()))?;
            text.parse().map_err(|error: oci::ReferenceError| wrong(error.to_string()))
        };
        let texts = |node: Option<&Node>| -> Vec<String> {
            let items = node.and_then(Node::items).unwrap_or_default();
            items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect()
        };
        let member = |node: &Node| {
            let platform = node.get("platform");
            let text = |name: &str| {
                platform.and_then(|node| node.get(name)?.as_str()).unwrap_or_default().to_owned()
            };
            let said = SpecPlatform {
                os: text("os"),
                architecture: text("architecture"),
                variant: text("variant"),
                os_version: text("os.version"),
                os_features: texts(platform.and_then(|node| node.get("os.features"))),
            };
            Ok((reference(node)?, said))
        };
        let annotations = root.get("annotations").and_then(Node::entries).unwrap_or_default();
        let annotation = |entry: &yaml::Entry| {
            let value = entry
                .value
                .as_str()
                .ok_or_else(|| wrong(format!("the annotation {} is no text", entry.key.name)))?;
            Ok((entry.key.name.clone(), value.to_owned()))
        };
        let members = root.get("manifests").and_then(Node::items).unwrap_or_default();
        if members.is_empty() {
            return Err(wrong("it lists no manifests".to_owned()));
        }
        Ok(Spec {
            image: reference(&root)?,
            tags: texts(root.get("tags")),
            annotations: annotations.iter().map(annotation).collect::<Result<_>>()?,
            members: members.iter().map(member).collect::<Result<_>>()?,
        })
    }
}

impl SpecPlatform {
    /// What an image is for: what is said goes before what the image tells.
    #[must_use]
    pub fn over(&self, image: &Platform) -> Platform {
        let given = |said: &str| (!said.is_empty()).then(|| said.to_owned());
        let both_absent = self.os.is_empty() && self.architecture.is_empty();
        Platform {
            os: if both_absent { image.os.clone() } else { self.os.clone() },
            architecture: if both_absent { image.architecture.clone() } else { self.architecture.clone() },
            variant: given(&self.variant).or_else(|| image.variant.clone()),
            os_version: given(&self.os_version).or_else(|| image.os_version.clone()),
            os_features: match self.os_features.is_empty() {
                true => image.os_features.clone(),
                false => self.os_features.clone(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads() {
        let spec = Spec::parse(
            "image: r.example/a:1\ntags: ['2']\nannotations: {k: v}\nmanifests:\n- image: r.example/a:amd64\n  platform: {os: linux, architecture: arm, variant: v6}\n- image: r.example/a:b\n",
        )
        .unwrap();
        assert_eq!(
            (spec.image.to_string().as_str(), spec.tags.len(), spec.members.len()),
            ("r.example/a:1", 1, 2)
        );
        let own: Platform = "linux/arm/v7".parse().unwrap();
        assert_eq!(spec.members[0].1.over(&own).to_string(), "linux/arm/v6");
        assert_eq!(spec.members[1].1.over(&own).to_string(), "linux/arm/v7");
        for bad in ["", "image: r.example/a", "manifests: [{}]", "image: [1"] {
            assert!(Spec::parse(bad).is_err(), "{bad}");
        }
    }
}

//! Locks: what was resolved, in a file that makes the next run come to the same.

use std::collections::BTreeMap;

use oci::Digest;
use yaml::{Node, Value, print};

use crate::config::{API_VERSION, IMGPKG_VERSION, VERSION};
use crate::{Config, Error, ImageMatch, Name, Origin, Override, Resolution};

/// A `Config` with an override for each reference, and the search rules of the input.
pub fn lock(resolved: &BTreeMap<String, Resolution>, config: &Config) -> Result<String, Error> {
    let one = |(reference, resolution): (&String, &Resolution)| {
        Node::mapping([
            ("image", Node::text(reference)),
            ("newImage", Node::text(&resolution.url)),
            ("preresolved", Node::new(Value::Bool(true))),
        ])
    };
    let mut lock = Node::mapping([
        ("apiVersion", Node::text(API_VERSION)),
        ("kind", Node::text("Config")),
        ("minimumRequiredVersion", Node::text(VERSION)),
        ("overrides", Node::new(Value::Sequence(resolved.iter().map(one).collect()))),
    ]);
    let rules = config.own_rules();
    if !rules.is_empty() {
        lock.set("searchRules", Node::new(Value::Sequence(rules.iter().map(crate::Rule::node).collect())));
    }
    print(&lock).map_err(|error| Error::new(error.to_string()))
}

/// An `ImagesLock` of imgpkg, with origins or without.
pub fn images_lock(resolved: &BTreeMap<String, Resolution>, with_origins: bool) -> Result<String, Error> {
    let mut images = Vec::new();
    for (reference, resolution) in resolved {
        let url = &resolution.url;
        let has_digest = url.split_once('@').is_some_and(|(_, digest)| digest.parse::<Digest>().is_ok());
        if !has_digest {
            let text = format!("Validating images lock: Expected ref to be in digest form, got '{url}'");
            return Err(Error::new(text));
        }
        let mut annotations = Node::mapping([("kbld.carvel.dev/id", Node::text(reference))]);
        if with_origins && !resolution.origins.is_empty() {
            let origins =
                print(&Origin::nodes(&resolution.origins)).map_err(|error| Error::new(error.to_string()))?;
            annotations.set("kbld.carvel.dev/origins", Node::text(origins));
        }
        images.push(Node::mapping([("annotations", annotations), ("image", Node::text(url))]));
    }
    let lock = Node::mapping([
        ("apiVersion", Node::text(IMGPKG_VERSION)),
        ("images", Node::new(Value::Sequence(images))),
        ("kind", Node::text("ImagesLock")),
    ]);
    Ok(format!("---\n{}", print(&lock).map_err(|error| Error::new(error.to_string()))?))
}

/// The overrides of an image map, a JSON object of old names and new ones.
pub fn image_map(text: &str) -> Result<Vec<Override>, Error> {
    let map: BTreeMap<String, String> =
        serde_json::from_str(text).map_err(|error| Error::new(format!("Parsing image map: {error}")))?;
    let one = |(old, new): (String, String)| Override {
        image: ImageMatch { image: old, image_repo: String::new() },
        new_image: new,
        preresolved: true,
        ..Override::default()
    };
    Ok(map.into_iter().map(one).collect())
}

/// True if a name is by digest.
pub(crate) fn is_digest(url: &str) -> bool {
    url.contains('@') && Name::digested(url).is_ok()
}

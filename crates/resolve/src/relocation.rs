//! Relocation: images that are digests already, and the documents and the lock with their new places.

use std::collections::BTreeMap;

use yaml::{Node, Value, print};

use crate::config::{API_VERSION, VERSION};
use crate::{Config, Error, Inputs, Name, Resolution, Rule};

impl Inputs {
    /// All images of the documents and of the overrides that are final: each text with what it means. It has to be a
    /// digest.
    pub fn pinned(&mut self) -> Result<BTreeMap<String, Name>, Error> {
        let references = self.references()?.into_keys();
        let overrides = self.config().overrides.iter().filter(|one| one.preresolved);
        let texts: Vec<String> = overrides.map(|one| one.new_image.clone()).chain(references).collect();
        let pinned = texts.into_iter().map(|text| {
            let name = Name::digested(&text).map_err(|_| {
                Error::new(format!("Expected image '{text}' to be in digest form (i.e. image@digest)"))
            })?;
            Ok((text, name))
        });
        pinned.collect()
    }
}

/// The new places of images, by the texts that meant the old ones; `places` has them by the whole name and digest.
pub fn relocated(
    pinned: &BTreeMap<String, Name>,
    places: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, Resolution>, Error> {
    let mut missing = Vec::new();
    let mut found = BTreeMap::new();
    for (text, name) in pinned {
        match places.get(&name.to_string()) {
            Some(url) => {
                found.insert(text.clone(), Resolution { url: url.clone(), origins: Vec::new() });
            }
            None => missing.push(format!("Expected to find image for '{text}'")),
        }
    }
    if missing.is_empty() { Ok(found) } else { Err(Error::Several(missing)) }
}

/// A `Config` that leads to the new places: first from what the overrides are for, then from the images themselves.
pub fn relocation_lock(relocated: &BTreeMap<String, Resolution>, config: &Config) -> Result<String, Error> {
    let mut overrides: Vec<Node> = Vec::new();
    let mut said: Vec<(&str, &str, &str)> = Vec::new();
    for one in config.overrides.iter().filter(|one| one.preresolved) {
        if let Some(resolution) = relocated.get(&one.new_image) {
            let (field, image) = match one.image.image.is_empty() {
                false => ("image", one.image.image.as_str()),
                true => ("imageRepo", one.image.image_repo.as_str()),
            };
            said.push((field, image, &resolution.url));
        }
    }
    said.extend(
        relocated.iter().map(|(image, resolution)| ("image", image.as_str(), resolution.url.as_str())),
    );
    for (at, (field, image, url)) in said.iter().enumerate() {
        if said[..at].contains(&(*field, *image, *url)) {
            continue;
        }
        overrides.push(Node::mapping([
            (*field, Node::text(*image)),
            ("newImage", Node::text(*url)),
            ("preresolved", Node::new(Value::Bool(true))),
        ]));
    }
    let mut lock = Node::mapping([
        ("apiVersion", Node::text(API_VERSION)),
        ("kind", Node::text("Config")),
        ("minimumRequiredVersion", Node::text(VERSION)),
        ("overrides", Node::new(Value::Sequence(overrides))),
    ]);
    let rules = config.own_rules();
    if !rules.is_empty() {
        lock.set("searchRules", Node::new(Value::Sequence(rules.iter().map(Rule::node).collect())));
    }
    print(&lock).map_err(|error| Error::new(error.to_string()))
}

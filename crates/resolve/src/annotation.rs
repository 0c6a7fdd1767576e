//! The annotation that says, on a resource, where its images come from.

use yaml::{Node, Value};

use crate::fields::text_or_empty;
use crate::{Origin, Resolution};

/// Its key.
pub const IMAGES_ANNOTATION: &str = "kbld.k14s.io/images";

/// The text for the images of a resource, in the order in which they were found; `None` if there is nothing to say.
///
/// Images that were digests already have no origins. What an earlier run said of them stays; of other images it goes.
pub(crate) fn text(found: &[&Resolution], existing: Option<&str>) -> Option<String> {
    let earlier = existing.and_then(|text| yaml::parse(text).ok().flatten());
    let mut entries: Vec<(String, Node)> = Vec::new();
    let mut add = |url: &str, origins: Node| {
        let is_there = |(other, node): &(String, Node)| other == url && same(node, &origins);
        if !entries.iter().any(is_there) {
            entries.push((url.to_owned(), origins));
        }
    };
    for resolution in found {
        if !resolution.origins.is_empty() {
            add(&resolution.url, Origin::nodes(&resolution.origins));
            continue;
        }
        for entry in earlier.as_ref().and_then(Node::items).unwrap_or_default() {
            if text_or_empty(entry, "url") == resolution.url
                && let Some(origins) = entry.get("origins").filter(|origins| origins.items().is_some())
            {
                add(&resolution.url, origins.clone());
            }
        }
    }
    if entries.is_empty() {
        return None;
    }
    entries.sort_by(|(left, _), (right, _)| left.cmp(right));
    let node =
        |(url, origins): (String, Node)| Node::mapping([("origins", origins), ("url", Node::text(url))]);
    let list = Node::new(Value::Sequence(entries.into_iter().map(node).collect()));
    yaml::print(&list).ok()
}

/// What an earlier run said of an image: its origins as they are written.
pub(crate) fn origins_of(resource: &Node, url: &str) -> Option<String> {
    let text = resource.get("metadata")?.get("annotations")?.get(IMAGES_ANNOTATION)?.as_str()?;
    let list = yaml::parse(text).ok()??;
    let entry = list.items()?.iter().find(|entry| text_or_empty(entry, "url") == url)?;
    yaml::print(entry.get("origins")?).ok()
}

fn same(left: &Node, right: &Node) -> bool {
    matches!((yaml::print_json(left), yaml::print_json(right)), (Ok(left), Ok(right)) if left == right)
}

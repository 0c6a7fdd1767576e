//! Resources: what a document of Kubernetes is called.

use std::fmt;

use yaml::Node;

use crate::fields::text_or_empty;

/// A resource's names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Resource {
    kind: String,
    name: String,
    api_version: String,
    namespace: String,
}

impl Resource {
    /// The names of a document.
    #[must_use]
    pub fn of(node: &Node) -> Resource {
        let metadata =
            |name: &str| node.get("metadata").map(|node| text_or_empty(node, name)).unwrap_or_default();
        let (name, generated) = (metadata("name"), metadata("generateName"));
        Resource {
            kind: text_or_empty(node, "kind").to_lowercase(),
            name: if name.is_empty() && !generated.is_empty() { format!("{generated}*") } else { name },
            api_version: text_or_empty(node, "apiVersion"),
            namespace: metadata("namespace"),
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} ({}) ", self.kind, self.name, self.api_version)?;
        match self.namespace.is_empty() {
            true => f.write_str("cluster"),
            false => write!(f, "namespace: {}", self.namespace),
        }
    }
}

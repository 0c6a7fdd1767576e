//! Origins: how a reference came to its digest, as the annotation and the lock files tell it.

use yaml::{Node, Value};

use crate::fields::text_or_empty;

/// One step of the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Built from a directory.
    Local {
        /// Its absolute path.
        path: String,
    },
    /// Which is in a git work tree.
    Git {
        /// Whether it had changes that are in no commit.
        dirty: bool,
        /// Where the repository comes from, without secrets.
        remote_url: String,
        /// The commit, or `<no commits>`.
        sha: String,
        /// The tags of that commit.
        tags: Vec<String>,
    },
    /// Tagged when it was pushed.
    Tagged {
        /// The tags.
        tags: Vec<String>,
    },
    /// A tag was looked up.
    Resolved {
        /// The tag.
        tag: String,
        /// The text that was resolved.
        url: String,
    },
    /// One image was chosen from an index.
    PlatformSelected {
        /// The processor that was asked for.
        architecture: String,
        /// The index.
        index: String,
        /// The system that was asked for.
        os: String,
        /// The processor's variant.
        variant: String,
    },
    /// Somebody had resolved it before.
    Preresolved {
        /// To this.
        url: String,
    },
    /// What another program wrote.
    Other,
}

impl Origin {
    /// The origin as a tree; fields that say nothing are left out.
    #[must_use]
    pub fn node(&self) -> Node {
        let texts = |pairs: &[(&str, &str)]| {
            let said = pairs.iter().filter(|(_, value)| !value.is_empty());
            Node::mapping(said.map(|(name, value)| (*name, Node::text(*value))))
        };
        let list = |tags: &[String]| Node::new(Value::Sequence(tags.iter().map(Node::text).collect()));
        let (kind, value) = match self {
            Origin::Local { path } => ("local", texts(&[("path", path)])),
            Origin::Git { dirty, remote_url, sha, tags } => {
                let mut node = Node::mapping([
                    ("dirty", Node::new(Value::Bool(*dirty))),
                    ("remoteURL", Node::text(remote_url)),
                    ("sha", Node::text(sha)),
                ]);
                if !tags.is_empty() {
                    node.set("tags", list(tags));
                }
                ("git", node)
            }
            Origin::Tagged { tags } => ("tagged", Node::mapping([("tags", list(tags))])),
            Origin::Resolved { tag, url } => ("resolved", texts(&[("tag", tag), ("url", url)])),
            Origin::PlatformSelected { architecture, index, os, variant } => (
                "platformSelected",
                texts(&[("architecture", architecture), ("index", index), ("os", os), ("variant", variant)]),
            ),
            Origin::Preresolved { url } => ("preresolved", texts(&[("url", url)])),
            Origin::Other => return Node::mapping::<&str>([]),
        };
        Node::mapping([(kind, value)])
    }

    /// Several origins as a tree.
    #[must_use]
    pub fn nodes(origins: &[Origin]) -> Node {
        Node::new(Value::Sequence(origins.iter().map(Origin::node).collect()))
    }

    /// Reads one origin; a kind that is not known is [`Origin::Other`].
    #[must_use]
    pub fn read(node: &Node) -> Origin {
        let tags = |node: &Node| {
            let items = node.get("tags").and_then(Node::items).unwrap_or_default();
            items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect()
        };
        let Some([entry]) = node.entries() else { return Origin::Other };
        let value = &entry.value;
        match entry.key.name.as_str() {
            "local" => Origin::Local { path: text_or_empty(value, "path") },
            "git" => Origin::Git {
                dirty: matches!(value.get("dirty").map(|node| &node.value), Some(Value::Bool(true))),
                remote_url: text_or_empty(value, "remoteURL"),
                sha: text_or_empty(value, "sha"),
                tags: tags(value),
            },
            "tagged" => Origin::Tagged { tags: tags(value) },
            "resolved" => {
                Origin::Resolved { tag: text_or_empty(value, "tag"), url: text_or_empty(value, "url") }
            }
            "platformSelected" => Origin::PlatformSelected {
                architecture: text_or_empty(value, "architecture"),
                index: text_or_empty(value, "index"),
                os: text_or_empty(value, "os"),
                variant: text_or_empty(value, "variant"),
            },
            "preresolved" => Origin::Preresolved { url: text_or_empty(value, "url") },
            _ => Origin::Other,
        }
    }
}

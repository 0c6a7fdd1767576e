//! Nodes: what a document says, and where.

use crate::Number;

/// A part of a text, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The first byte.
    pub start: u32,
    /// The byte after the last.
    pub end: u32,
}

impl Span {
    /// That part of the text.
    #[must_use]
    pub fn of<'a>(&self, text: &'a str) -> &'a str {
        text.get(self.range()).unwrap_or_default()
    }

    pub(crate) fn range(&self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }

    pub(crate) fn contains(&self, other: Span) -> bool {
        self.start <= other.start && other.end <= self.end
    }
}

/// How a node is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// A scalar without marks.
    Plain,
    /// `'…'`
    Single,
    /// `"…"`
    Double,
    /// `|` or `>`; the span begins with the first character of the content.
    Block,
    /// A mapping or sequence by indentation.
    Indented,
    /// `{…}` or `[…]`
    Flow,
}

/// The way to a node that stands elsewhere in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Via {
    /// The alias, `*name`.
    pub alias: Span,
    /// The node that has the anchor.
    pub target: Span,
}

/// A node. One that is reached through an alias has the span of its definition.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// What it says.
    pub value: Value,
    /// Where it stands. That of a collection begins with its first entry, or its bracket, and ends with its last one.
    pub span: Span,
    /// How it is written.
    pub style: Style,
    /// The alias it is reached through, the outermost if there are several.
    pub via: Option<Via>,
}

/// What a node says.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `null`, or nothing at all.
    Null,
    /// A boolean.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A text.
    Text(String),
    /// A sequence.
    Sequence(Vec<Node>),
    /// A mapping: each key once, in the order of the text. Of keys that are equal the last one counts.
    Mapping(Vec<Entry>),
}

/// A key and its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: Key,
    /// Its value.
    pub value: Node,
    /// True if a merge (`<<`) brought it here.
    pub merged: bool,
}

/// A key; all keys are texts in the end.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    /// The text.
    pub name: String,
    /// Where it stands.
    pub span: Span,
    /// How it is written.
    pub style: Style,
}

impl Node {
    /// A node that stands nowhere.
    #[must_use]
    pub fn new(value: Value) -> Node {
        Node { value, span: Span { start: 0, end: 0 }, style: Style::Plain, via: None }
    }

    /// A text that stands nowhere.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Node {
        Node::new(Value::Text(text.into()))
    }

    /// A mapping that stands nowhere.
    #[must_use]
    pub fn mapping<K: Into<String>>(entries: impl IntoIterator<Item = (K, Node)>) -> Node {
        let nowhere = Span { start: 0, end: 0 };
        let entry = |(name, value): (K, Node)| Entry {
            key: Key { name: name.into(), span: nowhere, style: Style::Plain },
            value,
            merged: false,
        };
        Node::new(Value::Mapping(entries.into_iter().map(entry).collect()))
    }

    /// The value of a key, if this is a mapping that has it.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Node> {
        self.entry(name).map(|entry| &entry.value)
    }

    /// The entry of a key, if this is a mapping that has it.
    #[must_use]
    pub fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries()?.iter().find(|entry| entry.key.name == name)
    }

    /// The entries, if this is a mapping.
    #[must_use]
    pub fn entries(&self) -> Option<&[Entry]> {
        match &self.value {
            Value::Mapping(entries) => Some(entries),
            _ => None,
        }
    }

    /// The entries, if this is a mapping.
    pub fn entries_mut(&mut self) -> Option<&mut Vec<Entry>> {
        match &mut self.value {
            Value::Mapping(entries) => Some(entries),
            _ => None,
        }
    }

    /// The items, if this is a sequence.
    #[must_use]
    pub fn items(&self) -> Option<&[Node]> {
        match &self.value {
            Value::Sequence(items) => Some(items),
            _ => None,
        }
    }

    /// The text, if this is one.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Puts a value under a key, in place of what is there.
    pub fn set(&mut self, name: &str, value: Node) {
        let Some(entries) = self.entries_mut() else { return };
        match entries.iter_mut().find(|entry| entry.key.name == name) {
            Some(entry) => entry.value = value,
            None => {
                let span = Span { start: 0, end: 0 };
                let key = Key { name: name.to_owned(), span, style: Style::Plain };
                entries.push(Entry { key, value, merged: false });
            }
        }
    }
}

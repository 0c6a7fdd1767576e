//! Fields of a configuration, read as Go reads JSON into a struct: names in any case, types checked, the rest ignored.

use yaml::{Node, Value};

/// A mapping of a configuration, and where in it we are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields<'a> {
    node: &'a Node,
    /// `Config.sources`, as Go names it in errors.
    place: &'a str,
}

/// The text of a key, or nothing.
pub(crate) fn text_or_empty(node: &Node, name: &str) -> String {
    node.get(name).and_then(Node::as_str).unwrap_or_default().to_owned()
}

/// What JSON calls a value.
pub(crate) fn kind(node: &Node) -> &'static str {
    match &node.value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::Text(_) => "string",
        Value::Sequence(_) => "array",
        Value::Mapping(_) => "object",
    }
}

impl<'a> Fields<'a> {
    /// The fields of a mapping; null has none.
    pub(crate) fn of(node: &'a Node, place: &'a str) -> Result<Self, String> {
        match &node.value {
            Value::Mapping(_) | Value::Null => Ok(Fields { node, place }),
            _ => Err(wrong(node, place, "object")),
        }
    }

    /// A field that is there and not null. An exact name goes before one in another case.
    pub(crate) fn get(&self, name: &str) -> Option<&'a Node> {
        let entries = self.node.entries()?;
        let exact = entries.iter().find(|entry| entry.key.name == name);
        let found =
            exact.or_else(|| entries.iter().find(|entry| entry.key.name.eq_ignore_ascii_case(name)))?;
        Some(&found.value).filter(|node| !matches!(node.value, Value::Null))
    }

    /// True if a field is there.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    fn wrong(&self, name: &str, node: &Node, wanted: &str) -> String {
        wrong(node, &format!("{}.{name}", self.place), wanted)
    }

    pub(crate) fn text(&self, name: &str) -> Result<String, String> {
        match self.get(name) {
            None => Ok(String::new()),
            Some(node) => match &node.value {
                Value::Text(text) => Ok(text.clone()),
                _ => Err(self.wrong(name, node, "string")),
            },
        }
    }

    pub(crate) fn flag(&self, name: &str) -> Result<bool, String> {
        match self.get(name) {
            None => Ok(false),
            Some(Node { value: Value::Bool(value), .. }) => Ok(*value),
            Some(node) => Err(self.wrong(name, node, "bool")),
        }
    }

    pub(crate) fn list(&self, name: &str) -> Result<&'a [Node], String> {
        match self.get(name) {
            None => Ok(&[]),
            Some(node) => match &node.value {
                Value::Sequence(items) => Ok(items),
                _ => Err(self.wrong(name, node, "[]object")),
            },
        }
    }

    pub(crate) fn texts(&self, name: &str) -> Result<Vec<String>, String> {
        let items = self.list(name)?.iter();
        items
            .map(|item| item.as_str().map(str::to_owned).ok_or_else(|| self.wrong(name, item, "string")))
            .collect()
    }

    /// Does something with the fields of a field, if it is there.
    pub(crate) fn inside<T>(
        &self,
        name: &str,
        read: impl FnOnce(Fields<'_>) -> Result<T, String>,
    ) -> Result<Option<T>, String> {
        let place = format!("{}.{name}", self.place);
        match self.get(name) {
            None => Ok(None),
            Some(node) => read(Fields::of(node, &place)?).map(Some),
        }
    }

    /// Does something with the fields of each item of a field.
    pub(crate) fn each<T>(
        &self,
        name: &str,
        mut read: impl FnMut(Fields<'_>) -> Result<T, String>,
    ) -> Result<Vec<T>, String> {
        let place = format!("{}.{name}", self.place);
        self.list(name)?.iter().map(|item| read(Fields::of(item, &place)?)).collect()
    }

    /// A name that is none of these.
    pub(crate) fn unknown(&self, known: &[&str]) -> Option<&'a str> {
        let entries = self.node.entries()?.iter();
        entries.map(|entry| entry.key.name.as_str()).find(|name| !known.contains(name))
    }
}

fn wrong(node: &Node, place: &str, wanted: &str) -> String {
    format!(
        "error unmarshaling JSON: json: cannot unmarshal {} into Go struct field {place} of type {wanted}",
        kind(node)
    )
}

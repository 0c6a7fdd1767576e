//! Search rules: where in a document references stand, and how they are written there.

use yaml::{Documents, Editor, Node, Value, json_documents, print, print_json};

use crate::output::Printer;
use crate::repository_part;

/// A rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Which places.
    pub key: Option<KeyMatcher>,
    /// Which values.
    pub value: Option<ValueMatcher>,
    /// What is done there.
    pub strategy: Strategy,
}

/// Places.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyMatcher {
    /// Values of this key.
    pub name: String,
    /// The whole way from the top, if there is no name.
    pub path: Vec<PathPart>,
}

/// A step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathPart {
    /// A key.
    Key(String),
    /// One item.
    Index(usize),
    /// Any item.
    AllIndexes,
}

/// Values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ValueMatcher {
    /// This one.
    pub image: String,
    /// Those of this repository, if there is no image.
    pub image_repo: String,
}

/// What is done with a value.
#[derive(Debug, Clone, PartialEq)]
pub enum Strategy {
    /// It is a reference.
    EntireValue,
    /// Nothing.
    None,
    /// It is JSON, in which these rules find references.
    Json(Vec<Rule>),
    /// It is YAML, or JSON.
    Yaml(Vec<Rule>),
}

/// Where we are in a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

/// A node that has to say something else.
#[derive(Debug)]
pub(crate) struct Change<'a> {
    pub(crate) node: &'a Node,
    pub(crate) text: String,
}

/// What is to be had in place of a reference; `None` leaves it. It is told where the reference stands.
pub(crate) type Replace<'r> = dyn FnMut(&str, &[Step<'_>]) -> Option<String> + 'r;

impl Rule {
    /// The rule that the values of a key are references.
    #[must_use]
    pub fn key(name: &str) -> Rule {
        let key = KeyMatcher { name: name.to_owned(), path: Vec::new() };
        Rule { key: Some(key), value: None, strategy: Strategy::EntireValue }
    }

    /// A rule that matches nothing in particular is a mistake.
    pub(crate) fn check(&self) -> Result<(), String> {
        let key = self.key.as_ref().is_some_and(|key| !key.name.is_empty() || !key.path.is_empty());
        let value =
            self.value.as_ref().is_some_and(|value| !value.image.is_empty() || !value.image_repo.is_empty());
        if !key && !value {
            return Err("Expected KeyMatcher or ValueMatcher to be non-empty".to_owned());
        }
        if let Strategy::Json(rules) | Strategy::Yaml(rules) = &self.strategy {
            for (index, rule) in rules.iter().enumerate() {
                rule.check().map_err(|error| format!("Validating SearchRules[{index}]: {error}"))?;
            }
        }
        Ok(())
    }

    fn matches(&self, path: &[Step<'_>], node: &Node) -> bool {
        let key = self.key.as_ref().is_none_or(|key| key.matches(path));
        key && self.value.as_ref().is_none_or(|value| value.matches(node))
    }

    /// The rule as a lock file has it.
    #[must_use]
    pub fn node(&self) -> Node {
        let mut rule = Node::new(Value::Mapping(Vec::new()));
        if let Some(key) = &self.key {
            let mut matcher = Node::new(Value::Mapping(Vec::new()));
            if !key.name.is_empty() {
                matcher.set("name", Node::text(&key.name));
            }
            if !key.path.is_empty() {
                let part = |part: &PathPart| match part {
                    PathPart::Key(name) => Node::text(name),
                    PathPart::Index(index) => {
                        let index = Value::Number(yaml::Number::Whole(*index as i128));
                        Node::mapping([("index", Node::new(index))])
                    }
                    PathPart::AllIndexes => Node::mapping([("allIndexes", Node::new(Value::Bool(true)))]),
                };
                matcher.set("path", Node::new(Value::Sequence(key.path.iter().map(part).collect())));
            }
            rule.set("keyMatcher", matcher);
        }
        if let Some(value) = &self.value {
            let pairs = [("image", &value.image), ("imageRepo", &value.image_repo)];
            let said = pairs.into_iter().filter(|(_, text)| !text.is_empty());
            rule.set("valueMatcher", Node::mapping(said.map(|(name, text)| (name, Node::text(text)))));
        }
        let nothing = || Node::new(Value::Mapping(Vec::new()));
        let nested = |rules: &[Rule]| {
            let rules = Value::Sequence(rules.iter().map(Rule::node).collect());
            Node::mapping([("searchRules", Node::new(rules))])
        };
        let strategy = match &self.strategy {
            Strategy::EntireValue => None,
            Strategy::None => Some(("none", nothing())),
            Strategy::Json(rules) => Some(("json", nested(rules))),
            Strategy::Yaml(rules) => Some(("yaml", nested(rules))),
        };
        if let Some(strategy) = strategy {
            rule.set("updateStrategy", Node::mapping([strategy]));
        }
        rule
    }
}

impl KeyMatcher {
    fn matches(&self, path: &[Step<'_>]) -> bool {
        if !self.name.is_empty() {
            return path.last() == Some(&Step::Key(&self.name));
        }
        self.path.len() == path.len()
            && self.path.iter().zip(path).all(|(part, step)| match (part, step) {
                (PathPart::Key(name), Step::Key(key)) => name == key,
                (PathPart::Index(wanted), Step::Index(index)) => wanted == index,
                (PathPart::AllIndexes, Step::Index(_)) => true,
                _ => false,
            })
    }
}

impl ValueMatcher {
    fn matches(&self, node: &Node) -> bool {
        let Some(text) = node.as_str() else { return false };
        match self.image.is_empty() {
            false => self.image == text,
            true => self.image_repo == repository_part(text),
        }
    }
}

/// Finds the references of a resource, and collects what has to change in it.
pub(crate) fn search<'a>(
    root: &'a Node,
    rules: &[Rule],
    printer: Printer,
    replace: &mut Replace<'_>,
) -> Vec<Change<'a>> {
    let mut search = Search { rules, printer, changes: Vec::new() };
    search.children(root, &mut Vec::new(), replace);
    search.changes
}

struct Search<'a, 'r> {
    rules: &'r [Rule],
    printer: Printer,
    changes: Vec<Change<'a>>,
}

impl<'a> Search<'a, '_> {
    fn children(&mut self, node: &'a Node, path: &mut Vec<Step<'a>>, replace: &mut Replace<'_>) {
        let mut visit = |step, node| {
            path.push(step);
            self.node(node, path, replace);
            path.pop();
        };
        match &node.value {
            Value::Sequence(items) => {
                items.iter().enumerate().for_each(|(index, item)| visit(Step::Index(index), item));
            }
            Value::Mapping(entries) => {
                entries.iter().for_each(|entry| visit(Step::Key(&entry.key.name), &entry.value));
            }
            _ => {}
        }
    }

    fn node(&mut self, node: &'a Node, path: &mut Vec<Step<'a>>, replace: &mut Replace<'_>) {
        let rule = self.rules.iter().find(|rule| rule.matches(path, node));
        let (Some(rule), Some(text)) = (rule, node.as_str()) else {
            return self.children(node, path, replace);
        };
        let new = match &rule.strategy {
            Strategy::None => None,
            Strategy::EntireValue => replace(text, path),
            Strategy::Json(rules) => in_json(text, rules, self.printer, &mut |text, _| replace(text, path)),
            Strategy::Yaml(rules) => in_json(text, rules, self.printer, &mut |text, _| replace(text, path))
                .or_else(|| in_yaml(text, rules, self.printer, &mut |text, _| replace(text, path))),
        };
        if let Some(text) = new {
            self.changes.push(Change { node, text });
        }
    }
}

/// A text of JSON with its references replaced; `None` if it is none.
fn in_json(text: &str, rules: &[Rule], printer: Printer, replace: &mut Replace<'_>) -> Option<String> {
    serde_json::from_str::<serde::de::IgnoredAny>(text).ok()?;
    let root = yaml::parse(text).ok()??;
    let edited = edit(text, root, rules, printer, replace)?;
    match edited {
        Edited::Text(text) => Some(text),
        Edited::Tree(tree) => print_json(&tree).ok(),
    }
}

/// A text of YAML with its references replaced; `None` if it is none, or has no document.
fn in_yaml(text: &str, rules: &[Rule], printer: Printer, replace: &mut Replace<'_>) -> Option<String> {
    let mut documents = Documents::new(text.as_bytes());
    let mut parts = Vec::new();
    while let Some(part) = documents.next_part().ok()? {
        let part = part.ok()?;
        // Two objects in a row are no YAML.
        if json_documents(&part.body).is_some() {
            return None;
        }
        let root = yaml::parse(&part.body).ok()?;
        parts.push((part, root));
    }
    let mut out = String::new();
    for (part, root) in parts {
        let edited = match root {
            Some(root) => edit(&part.body, root, rules, printer, replace)?,
            None if printer == Printer::InPlace => Edited::Text(part.body),
            None => continue,
        };
        match edited {
            Edited::Text(text) => {
                out.push_str(&part.lead);
                out.push_str(&text);
            }
            Edited::Tree(tree) => {
                out.push_str("---\n");
                out.push_str(&print(&tree).ok()?);
            }
        }
    }
    (!out.is_empty()).then_some(out)
}

enum Edited {
    Text(String),
    Tree(Node),
}

fn edit(
    text: &str,
    mut root: Node,
    rules: &[Rule],
    printer: Printer,
    replace: &mut Replace<'_>,
) -> Option<Edited> {
    match printer {
        Printer::InPlace => {
            let mut editor = Editor::new();
            for change in search(&root, rules, printer, replace) {
                editor.set(change.node, &change.text);
            }
            editor.finish(text, root).ok().map(Edited::Text)
        }
        Printer::Kbld => {
            rewrite(&mut root, rules, replace);
            Some(Edited::Tree(root))
        }
    }
}

/// Replaces the references of a tree in it.
pub(crate) fn rewrite(root: &mut Node, rules: &[Rule], replace: &mut Replace<'_>) {
    let found = search(root, rules, Printer::Kbld, replace);
    let mut texts: Vec<(*const Node, String)> =
        found.into_iter().map(|change| (std::ptr::from_ref(change.node), change.text)).collect();
    texts.sort_by_key(|(node, _)| *node);
    put(root, &texts);
}

/// Changes the nodes that were found; they are told by their place in memory, which does not change meanwhile.
fn put(node: &mut Node, texts: &[(*const Node, String)]) {
    let me = std::ptr::from_ref::<Node>(node);
    if let Ok(at) = texts.binary_search_by_key(&me, |(node, _)| *node) {
        node.value = Value::Text(texts[at].1.clone());
        return;
    }
    match &mut node.value {
        Value::Sequence(items) => items.iter_mut().for_each(|item| put(item, texts)),
        Value::Mapping(entries) => entries.iter_mut().for_each(|entry| put(&mut entry.value, texts)),
        _ => {}
    }
}

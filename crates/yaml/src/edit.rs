//! Changes in place: a few values of a text get new ones, and every other byte stays.
//!
//! A value that aliases lead to is changed where it is defined if all ways to it want the same; an alias that wants
//! something else is replaced by what it stands for. When all is done the new text is read again and compared with
//! what it has to say, so that a text that cannot be changed in place is an error and never another document.

use crate::quote::{self, double};
use crate::{Entry, Error, Node, Span, Style, Value, Via, parse, scalar};

/// Collects changes of one document.
#[derive(Debug, Default)]
pub struct Editor {
    changes: Vec<Change>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Change {
    /// The node.
    at: Span,
    via: Option<Via>,
    what: What,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    /// The text that it has.
    Set(String),
    /// A text at the end of a path of keys in it.
    Put(Vec<String>, String),
}

/// A piece of the text and what takes its place.
struct Splice {
    span: Span,
    text: String,
}

impl Editor {
    /// An editor without changes.
    #[must_use]
    pub fn new() -> Self {
        Editor::default()
    }

    /// True if nothing is to be changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Gives a scalar of the document another text.
    pub fn set(&mut self, node: &Node, text: &str) {
        self.add(node, What::Set(text.to_owned()));
    }

    /// Gives a mapping of the document a text at the end of a path of keys; what is missing on the way is made. False
    /// if something on the way is neither a mapping nor null.
    pub fn put(&mut self, mapping: &Node, path: &[&str], text: &str) -> bool {
        let Some((last, way)) = path.split_last() else { return false };
        let (mut at, mut rest) = (mapping, path);
        for name in way {
            match at.get(name) {
                Some(next) if next.entries().is_some() => (at, rest) = (next, &rest[1..]),
                Some(Node { value: Value::Null, .. }) | None => break,
                Some(_) => return false,
            }
        }
        if rest.len() == 1 {
            match at.get(last) {
                Some(Node { value: Value::Sequence(_) | Value::Mapping(_), .. }) => return false,
                Some(scalar) if !matches!(scalar.value, Value::Null) => {
                    self.set(scalar, text);
                    return true;
                }
                _ => {}
            }
        }
        if at.entries().is_none() {
            return false;
        }
        let rest = rest.iter().map(|name| (*name).to_owned()).collect();
        self.add(at, What::Put(rest, text.to_owned()));
        true
    }

    fn add(&mut self, node: &Node, what: What) {
        let change = Change { at: node.span, via: node.via, what };
        if !self.changes.contains(&change) {
            self.changes.push(change);
        }
    }

    /// The changed text. The tree is used up: it is changed too, to compare.
    pub fn finish(self, text: &str, mut root: Node) -> Result<String, Error> {
        if self.changes.is_empty() {
            return Ok(text.to_owned());
        }
        let mut splices = Vec::new();
        for change in self.changes.iter().filter(|change| change.via.is_none()) {
            let node = find(&root, &|node| node.span == change.at && node.via.is_none());
            let splice = node.and_then(|node| match &change.what {
                What::Set(new) => Some(scalar_splice(text, node, new, in_flow(&root, node.span))),
                What::Put(path, new) => put_splice(text, node, path, new, root.style == Style::Flow),
            });
            splices.push(splice.ok_or(Error::Place)?);
        }
        for via in aliases(&root) {
            let wanted: Vec<(Span, &What)> = self
                .changes
                .iter()
                .filter(|change| change.via.is_some_and(|other| other.alias == via.alias))
                .map(|change| (change.at, &change.what))
                .collect();
            let defined: Vec<(Span, &What)> = self
                .changes
                .iter()
                .filter(|change| change.via.is_none() && via.target.contains(change.at))
                .map(|change| (change.at, &change.what))
                .collect();
            let same = wanted.len() == defined.len() && wanted.iter().all(|one| defined.contains(one));
            if same {
                continue;
            }
            let there = find(&root, &|node| node.span == via.target && node.via == Some(via));
            let target =
                there.or_else(|| find(&root, &|node| node.span == via.target)).ok_or(Error::Place)?;
            let mut target = target.clone();
            for (span, what) in wanted {
                change_at(&mut target, &|node| node.span == span, what);
            }
            splices.push(Splice { span: via.alias, text: flow(&target) });
        }
        let new = splice(text, splices)?;
        for change in &self.changes {
            let is_it = |node: &Node| {
                node.span == change.at
                    && match (node.via, change.via) {
                        (None, None) => true,
                        (Some(left), Some(right)) => left.alias == right.alias,
                        _ => false,
                    }
            };
            change_at(&mut root, &is_it, &change.what);
        }
        match parse(&new)? {
            Some(read) if says_the_same(&read, &root) => Ok(new),
            _ => Err(Error::Place),
        }
    }
}

/// Changes a tree where a node is the one.
fn change_at(node: &mut Node, is_it: &dyn Fn(&Node) -> bool, what: &What) {
    if is_it(node) {
        match what {
            What::Set(text) if !matches!(node.value, Value::Sequence(_) | Value::Mapping(_)) => {
                node.value = Value::Text(text.clone());
                return;
            }
            What::Put(path, text) if node.entries().is_some() => {
                let mut at = node;
                let (last, way) = path.split_last().expect("a path has at least one key");
                for name in way {
                    if at.get(name).and_then(Node::entries).is_none() {
                        at.set(name, Node::new(Value::Mapping(Vec::new())));
                    }
                    let entries = at.entries_mut().expect("it is one or was just made one");
                    let entry = entries.iter_mut().find(|entry| entry.key.name == *name);
                    at = &mut entry.expect("it was there or was just set").value;
                }
                at.set(last, Node::text(text.clone()));
                return;
            }
            _ => {}
        }
    }
    match &mut node.value {
        Value::Sequence(items) => items.iter_mut().for_each(|item| change_at(item, is_it, what)),
        Value::Mapping(entries) => {
            entries.iter_mut().for_each(|entry| change_at(&mut entry.value, is_it, what));
        }
        _ => {}
    }
}

fn find<'a>(node: &'a Node, is_it: &dyn Fn(&Node) -> bool) -> Option<&'a Node> {
    if is_it(node) {
        return Some(node);
    }
    match &node.value {
        Value::Sequence(items) => items.iter().find_map(|item| find(item, is_it)),
        Value::Mapping(entries) => entries.iter().find_map(|entry| find(&entry.value, is_it)),
        _ => None,
    }
}

/// The aliases of a document, each once.
fn aliases(root: &Node) -> Vec<Via> {
    fn collect(node: &Node, found: &mut Vec<Via>) {
        if let Some(via) = node.via
            && found.last() != Some(&via)
        {
            found.push(via);
        }
        match &node.value {
            Value::Sequence(items) => items.iter().for_each(|item| collect(item, found)),
            Value::Mapping(entries) => entries.iter().for_each(|entry| collect(&entry.value, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    collect(root, &mut found);
    found.sort_by_key(|via| via.alias);
    found.dedup_by_key(|via| via.alias);
    found
}

/// True if a node stands between brackets.
fn in_flow(root: &Node, span: Span) -> bool {
    let is_it = |node: &Node| {
        node.style == Style::Flow && node.via.is_none() && node.span.contains(span) && node.span != span
    };
    find(root, &is_it).is_some()
}

/// True if two trees mean the same, wherever they stand.
fn says_the_same(left: &Node, right: &Node) -> bool {
    match (&left.value, &right.value) {
        (Value::Sequence(left), Value::Sequence(right)) => {
            left.len() == right.len()
                && left.iter().zip(right).all(|(left, right)| says_the_same(left, right))
        }
        (Value::Mapping(left), Value::Mapping(right)) => {
            let same = |(left, right): (&Entry, &Entry)| {
                left.key.name == right.key.name && says_the_same(&left.value, &right.value)
            };
            if left.len() != right.len() {
                return false;
            }
            let mut sorted: [Vec<&Entry>; 2] = [left.iter().collect(), right.iter().collect()];
            sorted.iter_mut().for_each(|list| list.sort_by(|a, b| a.key.name.cmp(&b.key.name)));
            let [left, right] = sorted;
            left.into_iter().zip(right).all(same)
        }
        (Value::Number(left), Value::Number(right)) => left.to_string() == right.to_string(),
        (left, right) => left == right,
    }
}

/// Puts pieces into a text.
fn splice(text: &str, mut splices: Vec<Splice>) -> Result<String, Error> {
    splices.sort_by_key(|splice| (splice.span.start, splice.span.end));
    let mut out = String::with_capacity(text.len() + splices.iter().map(|one| one.text.len()).sum::<usize>());
    let mut at = 0;
    for Splice { span, text: new } in splices {
        let before = text.get(at..span.start as usize).ok_or(Error::Place)?;
        out.push_str(before);
        out.push_str(&new);
        at = span.end as usize;
    }
    out.push_str(text.get(at..).ok_or(Error::Place)?);
    Ok(out)
}

/// A scalar in the style it has, if that can hold the new text.
fn scalar_splice(text: &str, node: &Node, new: &str, in_flow: bool) -> Splice {
    let forms = quote::forms(new);
    let one_line = !new.contains(quote::is_break);
    let replaced = match node.style {
        _ if matches!(node.value, Value::Null) => double(new),
        Style::Plain
            if one_line && scalar::is_plain_text(new) && forms.plain && (!in_flow || plain_in_flow(new)) =>
        {
            new.to_owned()
        }
        Style::Single if one_line && forms.single => format!("'{}'", new.replace('\'', "''")),
        Style::Block => return block_splice(text, node, new),
        _ => double(new),
    };
    Splice { span: node.span, text: replaced }
}

/// Between brackets, readers differ on marks that others use there.
fn plain_in_flow(text: &str) -> bool {
    !text.contains([',', '[', ']', '{', '}', '?']) && !text.contains(": ")
}

/// A literal or folded scalar: its one line is changed, or all of it is written as a literal.
fn block_splice(text: &str, node: &Node, new: &str) -> Splice {
    let content = node.span.of(text);
    let line = content.trim_end_matches(['\n', '\r']);
    let old = node.as_str().unwrap_or_default();
    let ending = |text: &str| text.len() - text.trim_end_matches('\n').len();
    let is_line =
        |text: &str| !text.is_empty() && !text.contains(quote::is_break) && quote::forms(text).block;
    let (old_line, new_line) = (old.trim_end_matches('\n'), new.trim_end_matches('\n'));
    if line == old_line
        && is_line(old_line)
        && is_line(new_line)
        && !new.starts_with(' ')
        && ending(old) == ending(new)
    {
        let end = node.span.start + u32::try_from(line.len()).unwrap_or_default();
        return Splice { span: Span { start: node.span.start, end }, text: new_line.to_owned() };
    }
    let (header, comment) = block_header(text, node.span.start as usize);
    let head_end = text[header..].find('\n').map_or(text.len(), |at| header + at);
    let body_start = head_end.min(node.span.start as usize);
    let ends_line = content.ends_with('\n');
    let end = node.span.end as usize - usize::from(ends_line);
    let end = if end < body_start { node.span.end as usize } else { end };
    // What follows a literal on its lines is its content, so the comment goes with the mark.
    let indent = line_indent(text, node.span.start as usize);
    let new = match literal(new, &" ".repeat(indent), newline_of(text)) {
        Some((mark, lines)) => format!("{mark}{comment}{lines}"),
        None => double(new),
    };
    Splice { span: span(header, end), text: new }
}

/// Where the mark of a block scalar is, and the comment behind it.
fn block_header(text: &str, content: usize) -> (usize, &str) {
    let before = text[..content].trim_end_matches([' ', '\n', '\r', '\t']);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let line = &before[line_start..];
    let (marks, comment) = match line.find(" #") {
        Some(at) if line[..at].trim_end().ends_with(|c: char| "|>+-0123456789".contains(c)) => {
            line.split_at(at)
        }
        _ => (line, ""),
    };
    let marks = marks.trim_end();
    let mark = marks.rfind(['|', '>']).unwrap_or(marks.len());
    (line_start + mark, comment)
}

/// The spaces before a place on its line.
fn line_indent(text: &str, at: usize) -> usize {
    let start = text[..at].rfind('\n').map_or(0, |at| at + 1);
    text[start..at].chars().count()
}

/// The line ending of a text.
fn newline_of(text: &str) -> &'static str {
    match text.find('\n') {
        Some(at) if at > 0 && text.as_bytes()[at - 1] == b'\r' => "\r\n",
        _ => "\n",
    }
}

/// A text as a literal block: the mark, and the lines with a newline before each. `None` if it cannot be one.
fn literal(text: &str, indent: &str, newline: &str) -> Option<(&'static str, String)> {
    let printable = |c: char| quote::is_printable(c) && (c == '\n' || !quote::is_break(c)) || c == '\t';
    let is_bad_line = |line: &str| line.ends_with([' ', '\t']) || line.starts_with('\t');
    let body = text.trim_end_matches('\n');
    let chomp = match text.len() - body.len() {
        0 => "|-",
        1 => "|",
        _ => return None,
    };
    if body.is_empty()
        || body.starts_with([' ', '\n'])
        || !text.chars().all(printable)
        || body.split('\n').any(is_bad_line)
    {
        return None;
    }
    let mut lines = String::new();
    for line in body.split('\n') {
        lines.push_str(newline);
        if !line.is_empty() {
            lines.push_str(indent);
            lines.push_str(line);
        }
    }
    Some((chomp, lines))
}

fn span(start: usize, end: usize) -> Span {
    let narrow = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
    Span { start: narrow(start), end: narrow(end) }
}

/// A new entry, or a null that becomes one, in a mapping that stands in the text.
fn put_splice(text: &str, mapping: &Node, path: &[String], new: &str, is_json: bool) -> Option<Splice> {
    let (first, rest) = path.split_first()?;
    let quoted =
        |name: &str| if is_json || !scalar::is_plain_text(name) { double(name) } else { name.to_owned() };
    let inline = |path: &[String]| {
        let (mut open, mut close) = (String::new(), String::new());
        for name in path {
            open.push_str(&format!("{{{}: ", quoted(name)));
            close.push('}');
        }
        format!("{open}{}{close}", double(new))
    };
    if let Some(entry) = mapping.entry(first).filter(|entry| !entry.merged) {
        // Only what is null gets here.
        let null = &entry.value;
        if let Some(via) = null.via {
            return Some(Splice { span: via.alias, text: inline(rest) });
        }
        if null.span.start < null.span.end {
            return Some(Splice { span: null.span, text: inline(rest) });
        }
        let after_key = entry.key.span.end as usize;
        let blanks = text[after_key..].len() - text[after_key..].trim_start_matches([' ', '\t']).len();
        let colon = after_key + blanks;
        return Some(if text[colon..].starts_with(':') {
            let line = text[colon..].find('\n').map_or(text.len(), |at| colon + at);
            let line_rest = text[colon + 1..line].trim();
            if mapping.style == Style::Indented && line_rest.is_empty() && !rest.is_empty() {
                let column = line_indent(text, mapping.span.start as usize);
                let entries = indented(rest, new, column + 2, newline_of(text), &quoted);
                return Some(Splice { span: span(colon + 1, line.max(colon + 1)), text: entries });
            }
            Splice { span: span(colon + 1, colon + 1), text: format!(" {}", inline(rest)) }
        } else {
            Splice { span: span(after_key, after_key), text: format!(": {}", inline(rest)) }
        });
    }
    match mapping.style {
        Style::Flow => {
            let start = mapping.span.start as usize + 1;
            let inside = text.get(start..mapping.span.end as usize - 1)?;
            let blanks = inside.len() - inside.trim_start().len();
            let name = match mapping.entries()?.first() {
                Some(entry) if entry.key.style == Style::Double => double(first),
                _ => quoted(first),
            };
            let value = if rest.is_empty() { double(new) } else { inline(rest) };
            let is_empty = inside.trim().is_empty();
            let entry = match is_empty {
                true => format!("{name}: {value}"),
                false if inside[blanks..].starts_with('#') => format!(" {name}: {value}, "),
                false if blanks == 0 => format!("{name}: {value}, "),
                false => format!("{}{name}: {value},", &inside[..blanks]),
            };
            Some(Splice { span: span(start, start), text: entry })
        }
        _ => {
            let column = line_indent(text, mapping.span.start as usize);
            let newline = newline_of(text);
            let entries = indented(path, new, column, newline, &quoted);
            let end = mapping_end(text, mapping);
            let at_line_start = end == 0 || text[..end].ends_with('\n');
            Some(Splice {
                span: span(end, end),
                text: match at_line_start {
                    true => format!("{}{newline}", entries.strip_prefix(newline).unwrap_or(&entries)),
                    false => format!("{entries}{newline}"),
                },
            })
        }
    }
}

/// Entries below one another, with a newline before each.
fn indented(
    path: &[String],
    new: &str,
    column: usize,
    newline: &str,
    quoted: &dyn Fn(&str) -> String,
) -> String {
    let mut out = String::new();
    for (depth, name) in path.iter().enumerate() {
        let indent = " ".repeat(column + 2 * depth);
        out.push_str(&format!("{newline}{indent}{}:", quoted(name)));
    }
    let indent = " ".repeat(column + 2 * path.len());
    match literal(new, &indent, newline) {
        Some((mark, lines)) => out.push_str(&format!(" {mark}{lines}")),
        None => out.push_str(&format!(" {}", double(new))),
    }
    out
}

/// Where a further entry of a mapping by indentation goes: behind the line on which its last one ends.
fn mapping_end(text: &str, mapping: &Node) -> usize {
    let end = mapping.span.end as usize;
    if !text[..end].ends_with('\n') {
        return text[end..].find('\n').map_or(text.len(), |at| end + at + 1);
    }
    // A block scalar. The empty lines behind it are its own only if it keeps them.
    let last = |node: &Node| node.span.end as usize == end && node.style == Style::Block;
    let keeps = find(mapping, &last)
        .and_then(Node::as_str)
        .is_none_or(|value| value.ends_with("\n\n") || value.trim().is_empty());
    if keeps {
        return end;
    }
    let mut at = end;
    loop {
        let before = text[..at].strip_suffix('\n').map(|text| text.strip_suffix('\r').unwrap_or(text));
        match before {
            Some(before) if before.ends_with('\n') => at = before.len(),
            _ => return at,
        }
    }
}

/// A tree on one line, in a form that is JSON too wherever JSON has a word for it.
fn flow(node: &Node) -> String {
    match &node.value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number.to_string(),
        Value::Text(text) => double(text),
        Value::Sequence(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::Mapping(entries) => {
            let entry = |entry: &Entry| format!("{}: {}", double(&entry.key.name), flow(&entry.value));
            format!("{{{}}}", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sets every `image` and puts an annotation.
    fn edit(text: &str) -> String {
        fn images<'a>(node: &'a Node, found: &mut Vec<&'a Node>) {
            match &node.value {
                Value::Sequence(items) => items.iter().for_each(|item| images(item, found)),
                Value::Mapping(entries) => {
                    for entry in entries {
                        if entry.key.name == "image" && entry.value.as_str().is_some() {
                            found.push(&entry.value);
                        } else {
                            images(&entry.value, found);
                        }
                    }
                }
                _ => {}
            }
        }
        let root = parse(text).unwrap().unwrap();
        let mut editor = Editor::new();
        let mut found = Vec::new();
        images(&root, &mut found);
        found.into_iter().for_each(|node| editor.set(node, "r/a@sha256:0"));
        editor.put(&root, &["metadata", "annotations", "k.io/i"], "- a: b\n- c\n");
        editor.finish(text, root).unwrap_or_else(|error| format!("{error}\n"))
    }

    #[test]
    fn changes_what_is_meant_and_nothing_else() {
        for (text, expected) in [
            // Styles.
            ("image: nginx # c\n", "image: r/a@sha256:0 # c\n+0"),
            ("image: 'nginx'\n", "image: 'r/a@sha256:0'\n+0"),
            ("image: \"nginx\"\n", "image: \"r/a@sha256:0\"\n+0"),
            ("image: >-\n  nginx\nb: 1\n", "image: >-\n  r/a@sha256:0\nb: 1\n+0"),
            ("image: | # c\n  nginx\n\nb: 1\n", "image: |- # c\n  r/a@sha256:0\nb: 1\n+0"),
            // Annotations, where there are some, where there are none.
            (
                "metadata:\n  annotations:\n    a: b # c\n    # d\nspec: {}\n",
                "metadata:\n  annotations:\n    a: b # c\n    k.io/i: |\n      - a: b\n      - c\n    # d\nspec: {}\n",
            ),
            (
                "metadata:\n    name: x\nspec: {}\n",
                "metadata:\n    name: x\n    annotations:\n      k.io/i: |\n        - a: b\n        - c\nspec: {}\n",
            ),
            (
                "metadata:\n  annotations:\n    k.io/i: |\n      old\n      text\n  name: a\n",
                "metadata:\n  annotations:\n    k.io/i: |\n      - a: b\n      - c\n  name: a\n",
            ),
            (
                "metadata:\n  annotations:\n    a: |\n      x\n\nspec: {}\n",
                "metadata:\n  annotations:\n    a: |\n      x\n    k.io/i: |\n      - a: b\n      - c\n\nspec: {}\n",
            ),
            (
                "metadata:\n  annotations:\n  name: a\n",
                "metadata:\n  annotations:\n    k.io/i: |\n      - a: b\n      - c\n  name: a\n",
            ),
            (
                "metadata: {name: a, annotations: {}}\n",
                "metadata: {name: a, annotations: {k.io/i: \"- a: b\\n- c\\n\"}}\n",
            ),
            ("metadata: ~ # none\n", "metadata: {annotations: {k.io/i: \"- a: b\\n- c\\n\"}} # none\n"),
            (
                "{\n  \"image\": \"x\",\n  \"metadata\": {\n    \"annotations\": {\n      \"a\": \"b\"\n    }\n  }\n}",
                "{\n  \"image\": \"r/a@sha256:0\",\n  \"metadata\": {\n    \"annotations\": {\n      \"k.io/i\": \"- a: b\\n- c\\n\",\n      \"a\": \"b\"\n    }\n  }\n}",
            ),
            (
                "{\"image\":\"x\"}",
                "{\"metadata\": {\"annotations\": {\"k.io/i\": \"- a: b\\n- c\\n\"}}, \"image\":\"r/a@sha256:0\"}",
            ),
            ("a: 1", "a: 1\n+0"),
            (
                "a: 1\r\nimage: x\r\n",
                "a: 1\r\nimage: r/a@sha256:0\r\nmetadata:\r\n  annotations:\r\n    k.io/i: |\r\n      - a: b\r\n      - c\r\n",
            ),
            // Aliases.
            ("x: &i nginx\nimage: *i\n", "x: &i nginx\nimage: \"r/a@sha256:0\"\n+0"),
            ("image: &i nginx\nb:\n  image: *i\n", "image: &i r/a@sha256:0\nb:\n  image: *i\n+0"),
            ("image: &i nginx\nb: *i\n", "image: &i r/a@sha256:0\nb: \"nginx\"\n+0"),
            (
                "b: &b {image: x, c: 1}\nd:\n  <<: *b\n  c: 2\n",
                "b: &b {image: r/a@sha256:0, c: 1}\nd:\n  <<: *b\n  c: 2\n+0",
            ),
            (
                "metadata: &m\n  name: a\ntemplate:\n  metadata: *m\n",
                "metadata: &m\n  name: a\n  annotations:\n    k.io/i: |\n      - a: b\n      - c\ntemplate:\n  metadata: {\"name\": \"a\"}\n",
            ),
            (
                "c: &c {a: b}\nmetadata:\n  annotations: *c\n",
                "c: &c {a: b}\nmetadata:\n  annotations: {\"a\": \"b\", \"k.io/i\": \"- a: b\\n- c\\n\"}\n",
            ),
        ] {
            let added = "metadata:\n  annotations:\n    k.io/i: |\n      - a: b\n      - c\n";
            let expected = match expected.strip_suffix("+0") {
                Some(before) => format!("{before}{added}"),
                None => expected.to_owned(),
            };
            assert_eq!(edit(text), expected, "{text}");
        }
    }
}

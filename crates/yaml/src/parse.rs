//! From a text to its nodes.

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle, ScanError, StructureStyle, Tag};

use crate::scalar;
use crate::{Entry, Error, Key, Node, Number, Span, Style, Value, Via};

/// The longest document, in MiB: it is held as a whole.
const LIMIT: usize = 64;

/// Collections in one another.
const DEPTH: usize = 250;

/// Nodes that aliases may add to a document, and bytes of text in them. Far above anything that is meant.
const ALIASED: usize = 100_000;
const ALIASED_BYTES: usize = 8 << 20;

/// Reads one document; `None` if it says nothing at all.
pub fn parse(text: &str) -> Result<Option<Node>, Error> {
    if text.len() > LIMIT << 20 {
        return Err(Error::Size(LIMIT));
    }
    let options = granit_parser::options! {
        emit_comments: false,
        flow_nesting_limit: DEPTH,
        block_nesting_limit: DEPTH,
    };
    let mut reader = Reader {
        text,
        events: Parser::new_from_str_with_options(text, options),
        anchors: HashMap::new(),
        aliased: 0,
        aliased_bytes: 0,
        depth: 0,
    };
    reader.document()
}

/// What an anchor stands for.
struct Anchored {
    node: Node,
    nodes: usize,
    bytes: usize,
    height: usize,
}

struct Reader<'a> {
    text: &'a str,
    events: Parser<'a, granit_parser::StrInput<'a>>,
    anchors: HashMap<usize, Anchored>,
    aliased: usize,
    aliased_bytes: usize,
    depth: usize,
}

/// A node with what matters to whoever holds it.
struct Read {
    node: Node,
    /// The last byte that belongs to it, which for an alias is not that of its span.
    end: u32,
    /// The collections in it, one in another.
    height: usize,
    /// True for a plain `<<`.
    is_merge: bool,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, granit_parser::Span), Error> {
        match self.events.next() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(syntax(&error)),
            None => Err(Error::Syntax { line: 1, reason: "it ends too early".to_owned() }),
        }
    }

    fn document(&mut self) -> Result<Option<Node>, Error> {
        loop {
            match self.next()?.0 {
                Event::StreamStart | Event::DocumentStart(..) => {}
                Event::StreamEnd => return Ok(None),
                event => {
                    let _ = event;
                    return Err(Error::Syntax { line: 1, reason: "it has no beginning".to_owned() });
                }
            }
            if !matches!(self.events.peek(), Some(Ok((Event::StreamStart | Event::DocumentStart(..), _)))) {
                break;
            }
        }
        if let Some(Ok((Event::StreamEnd, _))) = self.events.peek() {
            return Ok(None);
        }
        let (event, span) = self.next()?;
        let read = self.node(event, span)?;
        self.next()?;
        match self.next()? {
            (Event::StreamEnd, _) => {}
            (_, span) => {
                let reason = "did not find expected <document start>".to_owned();
                return Err(Error::Syntax { line: span.start.line(), reason });
            }
        }
        let nothing = matches!(read.node.value, Value::Null);
        Ok(if nothing && read.node.span.of(self.text).is_empty() { None } else { Some(read.node) })
    }

    fn node(&mut self, event: Event<'a>, at: granit_parser::Span) -> Result<Read, Error> {
        let start = at.start.byte_offset().unwrap_or_default();
        let span = Span { start: narrow(start), end: narrow(at.end.byte_offset().unwrap_or(start)) };
        let line = at.start.line();
        let (read, anchor) = match event {
            Event::Alias(id) => return self.alias(id, span, line),
            Event::Scalar(text, style, anchor, tag) => {
                let is_merge = style == ScalarStyle::Plain && text == "<<" && tag.is_none();
                let value = scalar_value(&text, style, span, tag.as_deref())
                    .map_err(|reason| Error::Syntax { line, reason })?;
                let style = match style {
                    ScalarStyle::SingleQuoted => Style::Single,
                    ScalarStyle::DoubleQuoted => Style::Double,
                    ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
                    _ => Style::Plain,
                };
                let span = if style == Style::Block { whole_lines(self.text, span) } else { span };
                let node = Node { value, span, style, via: None };
                (Read { node, end: span.end, height: 0, is_merge }, anchor)
            }
            Event::SequenceStart(style, anchor, _) => (self.sequence(style, span)?, anchor),
            Event::MappingStart(style, anchor, _) => (self.mapping(style, span)?, anchor),
            _ => {
                return Err(Error::Syntax { line, reason: "a node was expected".to_owned() });
            }
        };
        if anchor != 0 {
            let (nodes, bytes) = weigh(&read.node);
            self.spend(nodes, bytes)?;
            let anchored = Anchored { node: read.node.clone(), nodes, bytes, height: read.height };
            self.anchors.insert(anchor, anchored);
        }
        Ok(read)
    }

    fn spend(&mut self, nodes: usize, bytes: usize) -> Result<(), Error> {
        self.aliased += nodes;
        self.aliased_bytes += bytes;
        if self.aliased > ALIASED || self.aliased_bytes > ALIASED_BYTES {
            return Err(Error::Aliasing);
        }
        Ok(())
    }

    fn alias(&mut self, id: usize, span: Span, line: usize) -> Result<Read, Error> {
        let Some(found) = self.anchors.get(&id) else {
            let name = span.of(self.text).trim_start_matches('*');
            return Err(Error::Syntax { line, reason: format!("anchor '{name}' value contains itself") });
        };
        let (nodes, bytes, height) = (found.nodes, found.bytes, found.height);
        if self.depth + height > 2 * DEPTH {
            return Err(Error::Depth(2 * DEPTH));
        }
        let mut node = found.node.clone();
        self.spend(nodes, bytes)?;
        let via = Via { alias: span, target: node.span };
        reached(&mut node, via);
        Ok(Read { node, end: span.end, height, is_merge: false })
    }

    fn enter(&mut self) -> Result<(), Error> {
        self.depth += 1;
        if self.depth > 2 * DEPTH { Err(Error::Depth(2 * DEPTH)) } else { Ok(()) }
    }

    fn sequence(&mut self, style: StructureStyle, span: Span) -> Result<Read, Error> {
        self.enter()?;
        let (mut items, mut end, mut height) = (Vec::new(), span.end, 0);
        loop {
            match self.next()? {
                (Event::SequenceEnd, at) => {
                    end = collection_end(style, end, at);
                    break;
                }
                (event, at) => {
                    let read = self.node(event, at)?;
                    end = end.max(read.end);
                    height = height.max(read.height);
                    items.push(read.node);
                }
            }
        }
        self.depth -= 1;
        items.shrink_to_fit();
        let span = Span { start: span.start, end };
        let node = Node { value: Value::Sequence(items), span, style: style_of(style), via: None };
        Ok(Read { node, end, height: height + 1, is_merge: false })
    }

    fn mapping(&mut self, style: StructureStyle, span: Span) -> Result<Read, Error> {
        self.enter()?;
        let (mut entries, mut merges, mut end, mut height) = (Entries::default(), Vec::new(), span.end, 0);
        loop {
            let (event, at) = self.next()?;
            if event == Event::MappingEnd {
                end = collection_end(style, end, at);
                break;
            }
            let line = at.start.line();
            let key = self.node(event, at)?;
            let (event, at) = self.next()?;
            let value = self.node(event, at)?;
            // The colon of a key without a value is not part of any span; the rest of its line is looked at later.
            end = end.max(key.end).max(value.end);
            height = height.max(value.height);
            if key.is_merge {
                merges.push((value.node, line));
                continue;
            }
            let name = key_text(&key.node).ok_or_else(|| Error::Syntax {
                line,
                reason: "a key that is no text, number or boolean".to_owned(),
            })?;
            let key = Key { name, span: key.node.span, style: key.node.style };
            entries.put(Entry { key, value: value.node, merged: false });
        }
        for (node, line) in merges {
            merge(&mut entries, node, line)?;
        }
        self.depth -= 1;
        let span = Span { start: span.start, end };
        let value = Value::Mapping(entries.finish());
        let node = Node { value, span, style: style_of(style), via: None };
        Ok(Read { node, end, height: height + 1, is_merge: false })
    }
}

/// The entries of a mapping that is read, by key once there are many.
#[derive(Default)]
struct Entries {
    list: Vec<Entry>,
    places: HashMap<String, usize>,
}

/// So many entries are searched one by one.
const FEW: usize = 16;

impl Entries {
    fn place(&mut self, name: &str) -> Option<usize> {
        if self.list.len() <= FEW {
            return self.list.iter().position(|entry| entry.key.name == name);
        }
        if self.places.is_empty() {
            self.places =
                self.list.iter().enumerate().map(|(place, entry)| (entry.key.name.clone(), place)).collect();
        }
        self.places.get(name).copied()
    }

    fn put(&mut self, entry: Entry) {
        match self.place(&entry.key.name) {
            Some(place) => self.list[place] = entry,
            None => {
                if !self.places.is_empty() {
                    self.places.insert(entry.key.name.clone(), self.list.len());
                }
                self.list.push(entry);
            }
        }
    }

    fn finish(mut self) -> Vec<Entry> {
        self.list.shrink_to_fit();
        self.list
    }
}

/// Adds what a merge brings: nothing that is there already, and of several mappings the first that has it
/// ([merge](https://yaml.org/type/merge.html)).
fn merge(entries: &mut Entries, node: Node, line: usize) -> Result<(), Error> {
    match node.value {
        Value::Mapping(merged) => {
            for entry in merged {
                if entries.place(&entry.key.name).is_none() {
                    entries.put(Entry { merged: true, ..entry });
                }
            }
            Ok(())
        }
        Value::Sequence(items) if items.iter().all(|item| item.entries().is_some()) => {
            items.into_iter().try_for_each(|item| merge(entries, item, line))
        }
        _ => Err(Error::Syntax {
            line,
            reason: "map merge requires map or sequence of maps as the value".to_owned(),
        }),
    }
}

fn syntax(error: &ScanError) -> Error {
    Error::Syntax { line: error.marker().line(), reason: error.info() }
}

/// A block scalar without the spaces of the line that ends it.
fn whole_lines(text: &str, span: Span) -> Span {
    let before = text[..span.end as usize].trim_end_matches(' ');
    match before.ends_with('\n') && before.len() > span.start as usize {
        true => Span { end: narrow(before.len()), ..span },
        false => span,
    }
}

/// Documents of more than 4 GiB are refused before.
fn narrow(offset: usize) -> u32 {
    u32::try_from(offset).unwrap_or(u32::MAX)
}

fn style_of(style: StructureStyle) -> Style {
    match style {
        StructureStyle::Flow => Style::Flow,
        StructureStyle::Block => Style::Indented,
    }
}

/// A bracket ends a collection; without one its last entry does.
fn collection_end(style: StructureStyle, last: u32, at: granit_parser::Span) -> u32 {
    match style {
        StructureStyle::Flow => at.end.byte_offset().map_or(last, narrow),
        StructureStyle::Block => last,
    }
}

fn scalar_value(text: &str, style: ScalarStyle, span: Span, tag: Option<&Tag>) -> Result<Value, String> {
    if let Some(tag) = tag {
        return match tag.core_suffix().or_else(|| tag.suffix_if_yaml()) {
            Some(suffix) => scalar::tagged(suffix, text),
            // `!` alone, and tags of an application.
            None => Ok(Value::Text(text.to_owned())),
        };
    }
    Ok(match style {
        ScalarStyle::Plain if span.start == span.end => Value::Null,
        ScalarStyle::Plain => scalar::plain(text),
        _ => Value::Text(text.to_owned()),
    })
}

/// Tags of YAML's own that its newest version does not list.
trait YamlTag {
    fn suffix_if_yaml(&self) -> Option<&str>;
}

impl YamlTag for Tag {
    fn suffix_if_yaml(&self) -> Option<&str> {
        let is_ours = self.handle() == "tag:yaml.org,2002:";
        Some(self.suffix()).filter(|suffix| is_ours && matches!(*suffix, "binary" | "timestamp"))
    }
}

/// Keys as Go's conversion to JSON makes texts of them.
fn key_text(node: &Node) -> Option<String> {
    match &node.value {
        Value::Text(text) => Some(text.clone()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Sequence(_) | Value::Mapping(_) => None,
    }
}

/// Nodes, and bytes of text, in a node.
fn weigh(node: &Node) -> (usize, usize) {
    let add = |(nodes, bytes): (usize, usize), node: &Node| {
        let (more, texts) = weigh(node);
        (nodes + more, bytes + texts)
    };
    match &node.value {
        Value::Text(text) => (1, text.len()),
        Value::Number(Number::Large(digits)) => (1, digits.len()),
        Value::Sequence(items) => items.iter().fold((1, 0), add),
        Value::Mapping(entries) => entries.iter().fold((1, 0), |sum, entry| {
            let (nodes, bytes) = add(sum, &entry.value);
            (nodes, bytes + entry.key.name.len())
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => (1, 0),
    }
}

fn reached(node: &mut Node, via: Via) {
    node.via = Some(via);
    match &mut node.value {
        Value::Sequence(items) => items.iter_mut().for_each(|item| reached(item, via)),
        Value::Mapping(entries) => entries.iter_mut().for_each(|entry| reached(&mut entry.value, via)),
        _ => {}
    }
}

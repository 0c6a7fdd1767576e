//! Printing a tree anew, byte for byte as Go's YAML library (version 2) prints what it has read as JSON.
//!
//! Two spaces a level, sequences not indented below their key, keys in natural order, long scalars folded at eighty
//! columns. The state that is carried from one token to the next (the column, whether a space was written) decides
//! where lines break, so it is kept the way that library keeps it.

use crate::quote::{self, is_break, is_printable};
use crate::{Entry, Error, Node, Value, scalar, sort};

/// Where scalars are folded.
const WIDTH: usize = 80;

/// Spaces a level.
const INDENT: isize = 2;

/// Keys that are longer are marked with `?`.
const LONGEST_KEY: usize = 128;

/// Prints a document, with a newline at its end and without a separator. Numbers that JSON has no word for are errors.
pub fn print(node: &Node) -> Result<String, Error> {
    let mut printer = Printer { out: String::new(), column: 0, blank: true, indention: true, indent: -1 };
    printer.node(node, false)?;
    printer.new_line();
    Ok(printer.out)
}

struct Printer {
    out: String,
    /// Characters since the last newline.
    column: usize,
    /// What was written last separates tokens.
    blank: bool,
    /// Nothing but indentation is on this line.
    indention: bool,
    indent: isize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Plain,
    Single,
    Double,
    Literal,
}

impl Printer {
    fn put(&mut self, c: char) {
        self.out.push(c);
        self.column += 1;
    }

    fn put_break(&mut self) {
        self.out.push('\n');
        self.column = 0;
    }

    fn write_break(&mut self, c: char) {
        if c == '\n' {
            self.put_break();
        } else {
            self.out.push(c);
            self.column = 0;
        }
    }

    fn new_line(&mut self) {
        let indent = usize::try_from(self.indent).unwrap_or(0);
        if !self.indention || self.column > indent || (self.column == indent && !self.blank) {
            self.put_break();
        }
        while self.column < indent {
            self.put(' ');
        }
        self.blank = true;
        self.indention = true;
    }

    fn indicator(&mut self, text: &str, wants_blank: bool, blank: bool, indention: bool) {
        if wants_blank && !self.blank {
            self.put(' ');
        }
        text.chars().for_each(|c| self.put(c));
        self.blank = blank;
        self.indention &= indention;
    }

    /// Goes a level deeper, and says what to come back to.
    fn deeper(&mut self, flow: bool, indentless: bool) -> isize {
        let before = self.indent;
        if self.indent < 0 {
            self.indent = if flow { INDENT } else { 0 };
        } else if !indentless {
            self.indent += INDENT;
        }
        before
    }

    fn node(&mut self, node: &Node, in_mapping: bool) -> Result<(), Error> {
        match &node.value {
            Value::Null => self.scalar("null", Form::Plain, false),
            Value::Bool(value) => self.scalar(if *value { "true" } else { "false" }, Form::Plain, false),
            Value::Number(number) => {
                let text = number.yaml().ok_or_else(|| no_json(number))?;
                self.scalar(&text, Form::Plain, false);
            }
            Value::Text(text) => self.scalar(text, wanted(text), false),
            Value::Sequence(items) if items.is_empty() => self.empty("[", "]"),
            Value::Mapping(entries) if entries.is_empty() => self.empty("{", "}"),
            Value::Sequence(items) => {
                let before = self.deeper(false, in_mapping && !self.indention);
                for item in items {
                    self.new_line();
                    self.indicator("-", true, false, true);
                    self.node(item, false)?;
                }
                self.indent = before;
            }
            Value::Mapping(entries) => {
                let before = self.deeper(false, false);
                let mut sorted: Vec<&Entry> = entries.iter().collect();
                sorted.sort_by(|a, b| sort::natural(&a.key.name, &b.key.name));
                for entry in sorted {
                    self.new_line();
                    self.key(&entry.key.name);
                    self.node(&entry.value, true)?;
                }
                self.indent = before;
            }
        }
        Ok(())
    }

    fn empty(&mut self, open: &str, close: &str) {
        self.indicator(open, true, true, false);
        self.indicator(close, false, false, false);
    }

    fn key(&mut self, name: &str) {
        let is_simple = !quote::forms(name).multiline && name.len() <= LONGEST_KEY;
        if is_simple {
            self.scalar(name, wanted(name), true);
            self.indicator(":", false, false, false);
        } else {
            self.indicator("?", true, false, true);
            self.scalar(name, wanted(name), false);
            self.new_line();
            self.indicator(":", true, false, true);
        }
    }

    fn scalar(&mut self, text: &str, wanted: Form, is_key: bool) {
        let forms = quote::forms(text);
        let mut form = wanted;
        if is_key && forms.multiline {
            form = Form::Double;
        }
        if form == Form::Plain && (!forms.plain || text.is_empty() && is_key) {
            form = Form::Single;
        }
        if form == Form::Single && !forms.single {
            form = Form::Double;
        }
        if form == Form::Literal && (!forms.block || is_key) {
            form = Form::Double;
        }
        let before = self.deeper(true, false);
        match form {
            Form::Plain => self.plain(text, !is_key),
            Form::Single => self.single(text, !is_key),
            Form::Double => self.double(text, !is_key),
            Form::Literal => self.literal(text),
        }
        self.indent = before;
    }

    fn plain(&mut self, text: &str, folds: bool) {
        if !self.blank {
            self.put(' ');
        }
        self.words(text, folds, false);
        self.blank = false;
        self.indention = false;
    }

    fn single(&mut self, text: &str, folds: bool) {
        self.indicator("'", true, false, false);
        self.words(text, folds, true);
        self.indicator("'", false, false, false);
        self.blank = false;
        self.indention = false;
    }

    /// Plain and single-quoted text, which fold alike.
    fn words(&mut self, text: &str, folds: bool, quoted: bool) {
        let (mut spaces, mut breaks) = (false, false);
        let mut chars = text.chars().peekable();
        let mut first = true;
        while let Some(c) = chars.next() {
            let next = chars.peek().copied();
            if c == ' ' {
                let inside = !quoted || !first && next.is_some();
                if folds && !spaces && self.column > WIDTH && inside && next != Some(' ') {
                    self.new_line();
                } else {
                    self.put(' ');
                }
                spaces = true;
            } else if is_break(c) {
                if !breaks && c == '\n' {
                    self.put_break();
                }
                self.write_break(c);
                self.indention = true;
                breaks = true;
            } else {
                if breaks {
                    self.new_line();
                }
                if quoted && c == '\'' {
                    self.put('\'');
                }
                self.put(c);
                self.indention = false;
                spaces = false;
                breaks = false;
            }
            first = false;
        }
    }

    fn double(&mut self, text: &str, folds: bool) {
        let mut spaces = false;
        self.indicator("\"", true, false, false);
        let mut chars = text.chars().peekable();
        let mut first = true;
        while let Some(c) = chars.next() {
            let next = chars.peek().copied();
            if !is_printable(c) || is_break(c) || matches!(c, '"' | '\\') {
                escape(c).chars().for_each(|c| self.put(c));
                spaces = false;
            } else if c == ' ' {
                if folds && !spaces && self.column > WIDTH && !first && next.is_some() {
                    self.new_line();
                    if next == Some(' ') {
                        self.put('\\');
                    }
                } else {
                    self.put(' ');
                }
                spaces = true;
            } else {
                self.put(c);
                spaces = false;
            }
            first = false;
        }
        self.indicator("\"", false, false, false);
        self.blank = false;
        self.indention = false;
    }

    fn literal(&mut self, text: &str) {
        self.indicator("|", true, false, false);
        let mut chars = text.chars();
        if text.starts_with(|c| c == ' ' || is_break(c)) {
            self.indicator("2", false, false, false);
        }
        let (last, before) = (chars.next_back(), chars.next_back());
        let chomp = match (before, last) {
            (_, Some(last)) if !is_break(last) => "-",
            (None, _) => "+",
            (Some(before), _) if is_break(before) => "+",
            _ => "",
        };
        self.indicator(chomp, false, false, false);
        self.put_break();
        self.indention = true;
        self.blank = true;
        let mut breaks = true;
        for c in text.chars() {
            if is_break(c) {
                self.write_break(c);
                self.indention = true;
                breaks = true;
            } else {
                if breaks {
                    self.new_line();
                }
                self.put(c);
                self.indention = false;
                breaks = false;
            }
        }
    }
}

/// The form that a text is given unless it cannot have it.
fn wanted(text: &str) -> Form {
    if text.contains('\n') {
        Form::Literal
    } else if scalar::is_plain_text(text) {
        Form::Plain
    } else {
        Form::Double
    }
}

pub(crate) fn no_json(number: &crate::Number) -> Error {
    Error::NoJson(match number {
        crate::Number::Float(value) if value.is_nan() => "NaN",
        crate::Number::Float(value) if *value < 0.0 => "-Inf",
        _ => "+Inf",
    })
}

fn escape(c: char) -> String {
    match c {
        '\0' => "\\0".to_owned(),
        '\u{7}' => "\\a".to_owned(),
        '\u{8}' => "\\b".to_owned(),
        '\t' => "\\t".to_owned(),
        '\n' => "\\n".to_owned(),
        '\u{b}' => "\\v".to_owned(),
        '\u{c}' => "\\f".to_owned(),
        '\r' => "\\r".to_owned(),
        '\u{1b}' => "\\e".to_owned(),
        '"' => "\\\"".to_owned(),
        '\\' => "\\\\".to_owned(),
        '\u{85}' => "\\N".to_owned(),
        '\u{a0}' => "\\_".to_owned(),
        '\u{2028}' => "\\L".to_owned(),
        '\u{2029}' => "\\P".to_owned(),
        c if u32::from(c) <= 0xff => format!("\\x{:02X}", u32::from(c)),
        c if u32::from(c) <= 0xffff => format!("\\u{:04X}", u32::from(c)),
        c => format!("\\U{:08X}", u32::from(c)),
    }
}

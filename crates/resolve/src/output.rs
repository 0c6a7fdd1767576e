//! Output: the documents with their references replaced, in one of two forms.

use std::io::Write;

use yaml::{Editor, Node, Value, print};

use crate::annotation::{self, IMAGES_ANNOTATION};
use crate::input::{Inputs, Kind, Open, resources};
use crate::rules::{rewrite, search};
use crate::{Error, Resolution};

/// The form of the documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Printer {
    /// As they were written; only references and the annotation change.
    InPlace,
    /// As kbld prints them: each resource by itself, keys sorted, no comments.
    Kbld,
}

/// What is written where.
struct Output<'o> {
    out: &'o mut dyn Write,
    /// True once there is something.
    begun: bool,
    /// True if what there is ends with a newline.
    at_line_start: bool,
}

impl Inputs {
    /// Writes all documents. What `resolution` does not know stays.
    pub fn print<'r>(
        &mut self,
        printer: Printer,
        annotate: bool,
        resolution: &dyn Fn(&str) -> Option<&'r Resolution>,
        out: &mut dyn Write,
    ) -> Result<(), Error> {
        let rules = self.config().rules();
        let several = self.len() > 1;
        let mut output = Output { out, begun: false, at_line_start: true };
        self.each(|inputs, open, root| {
            let Some(root) = root else {
                return match printer {
                    Printer::InPlace => output.document(&open, &open.body, several),
                    Printer::Kbld => Ok(()),
                };
            };
            if printer == Printer::Kbld || open.document.kind == Kind::Mixed {
                for resource in resources(&root) {
                    let resource = renewed(resource, &rules, annotate, resolution);
                    let text = print(&resource).map_err(|error| {
                        Error::new(format!("Printing {}: {error}", crate::Resource::of(&resource)))
                    })?;
                    output.write("---\n")?;
                    output.write(&text)?;
                }
                return Ok(());
            }
            let mut editor = Editor::new();
            for resource in resources(&root) {
                let mut used = Vec::new();
                let changes = search(resource, &rules, printer, &mut |text, _| {
                    let found = resolution(text)?;
                    used.push(found);
                    (found.url != text).then(|| found.url.clone())
                });
                for change in changes {
                    editor.set(change.node, &change.text);
                }
                let existing = existing(resource);
                if annotate
                    && let Some(text) = annotation::text(&used, existing)
                    && existing != Some(&text)
                {
                    editor.put(resource, &["metadata", "annotations", IMAGES_ANNOTATION], &text);
                }
            }
            let text = editor
                .finish(&open.body, root)
                .map_err(|error| Error::new(format!("Changing {}: {error}", inputs.place(&open.document))))?;
            output.document(&open, &text, several)
        })
    }
}

/// The annotation that a resource has.
fn existing(resource: &Node) -> Option<&str> {
    resource.get("metadata")?.get("annotations")?.get(IMAGES_ANNOTATION)?.as_str()
}

/// A resource with its references replaced.
fn renewed<'r>(
    resource: &Node,
    rules: &[crate::Rule],
    annotate: bool,
    resolution: &dyn Fn(&str) -> Option<&'r Resolution>,
) -> Node {
    let mut resource = resource.clone();
    let mut used = Vec::new();
    rewrite(&mut resource, rules, &mut |text, _| {
        let found = resolution(text)?;
        used.push(found);
        Some(found.url.clone())
    });
    let text = if annotate { annotation::text(&used, existing(&resource)) } else { None };
    if let Some(text) = text {
        // What is no mapping has no place for it.
        let mut at = Some(&mut resource);
        for name in ["metadata", "annotations"] {
            at = at.and_then(|node| {
                if matches!(node.get(name).map(|node| &node.value), None | Some(Value::Null)) {
                    node.set(name, Node::new(Value::Mapping(Vec::new())));
                }
                let entries = node.entries_mut()?;
                entries.iter_mut().find(|entry| entry.key.name == name).map(|entry| &mut entry.value)
            });
        }
        if let Some(annotations) = at {
            annotations.set(IMAGES_ANNOTATION, Node::text(text));
        }
    }
    resource
}

impl Output<'_> {
    fn write(&mut self, text: &str) -> Result<(), Error> {
        if text.is_empty() {
            return Ok(());
        }
        self.begun = true;
        self.at_line_start = text.ends_with('\n');
        let written = self.out.write_all(text.as_bytes());
        written.map_err(|source| Error::Io { what: "write the documents".to_owned(), source })
    }

    /// A document as it was written, separated from the one before it.
    fn document(&mut self, open: &Open, text: &str, several: bool) -> Result<(), Error> {
        let separator = open.lead.trim_start_matches('\u{feff}');
        if !self.begun {
            self.write(&open.lead)?;
            // A reader that begins with an object may take the whole stream for JSON.
            if separator.is_empty() && several && text.trim_start().starts_with('{') {
                self.write("---\n")?;
            }
        } else {
            if !self.at_line_start {
                self.write("\n")?;
            }
            self.write(if separator.is_empty() { "---\n" } else { separator })?;
        }
        self.write(text)
    }
}

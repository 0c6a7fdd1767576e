//! Input: documents from files, directories and streams, kept on disk so that they can be gone through again.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tempfile::SpooledTempFile;
use yaml::{Documents, Node, json_documents, parse};

use crate::config::is_config;
use crate::output::Printer;
use crate::rules::{Step, search};
use crate::{Config, Error, Resource};

/// As much is kept in memory.
const IN_MEMORY: usize = 4 << 20;

/// Everything that was given, in order.
#[derive(Debug)]
pub struct Inputs {
    spool: SpooledTempFile,
    end: u64,
    labels: Vec<String>,
    documents: Vec<Document>,
    config: Config,
}

/// Where a document is, in the input and on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Document {
    label: usize,
    /// Its number within its file, from 1.
    pub number: usize,
    /// The line of the file on which it begins, from 1.
    pub line: usize,
    offset: u64,
    lead: u32,
    body: u32,
    pub(crate) kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A resource, a list of some, or nothing.
    Ordinary,
    /// Configuration, which is not printed.
    Config,
    /// A list with configuration among its items.
    Mixed,
}

/// A document that is being looked at.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) document: Document,
    pub(crate) lead: String,
    pub(crate) body: String,
}

impl Inputs {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Inputs {
            spool: tempfile::spooled_tempfile(IN_MEMORY),
            end: 0,
            labels: Vec::new(),
            documents: Vec::new(),
            config: Config::default(),
        }
    }

    /// The configuration that was found so far.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The configuration that was found so far, to be added to.
    pub fn config_mut(&mut self) -> &mut Config {
        &mut self.config
    }

    /// Reads a file, or the `.json`, `.yaml` and `.yml` files of a directory and what is below it, in the order of
    /// their paths.
    pub fn add_path(&mut self, path: &Path) -> Result<(), Error> {
        for file in files(path)? {
            let label = format!("file '{}'", file.display());
            let opened =
                File::open(&file).map_err(|source| Error::Io { what: format!("Reading {label}"), source })?;
            self.add(&label, BufReader::with_capacity(64 << 10, opened))?;
        }
        Ok(())
    }

    /// Reads a stream to its end. The label names it in messages.
    pub fn add(&mut self, label: &str, reader: impl BufRead) -> Result<(), Error> {
        self.labels.push(label.to_owned());
        let mut documents = Documents::new(reader);
        let mut number = 0;
        loop {
            let read = documents
                .next_part()
                .map_err(|source| Error::Io { what: format!("Reading {label}"), source })?;
            let Some(part) = read else { return Ok(()) };
            let part = part.map_err(|error| Error::new(format!("Parsing {label}: {error}")))?;
            let pieces = match json_documents(&part.body) {
                Some(ranges) => ranges.into_iter().map(|range| &part.body[range]).collect(),
                None => vec![part.body.as_str()],
            };
            number += usize::from(!part.body.is_empty());
            let mut lead = part.lead.as_str();
            for piece in pieces {
                self.add_document(lead, piece, number, part.line)?;
                lead = "";
            }
        }
    }

    fn add_document(&mut self, lead: &str, body: &str, number: usize, line: usize) -> Result<(), Error> {
        let mut document = Document {
            label: self.labels.len() - 1,
            number,
            line,
            offset: self.end,
            lead: lead.len() as u32,
            body: body.len() as u32,
            kind: Kind::Ordinary,
        };
        // Reading all of it costs time, so only what may be configuration is looked into now.
        if ["k14s.io", "carvel.dev", "\\"].iter().any(|word| body.contains(word)) {
            let root = parse(body).map_err(|error| self.at(&document, &error.to_string()))?;
            if let Some(root) = root {
                document.kind = self.take_config(&root)?;
            }
        }
        if document.kind != Kind::Config {
            let failed = |source| Error::Io { what: "keep the input".to_owned(), source };
            self.spool.seek(SeekFrom::Start(self.end)).map_err(failed)?;
            self.spool
                .write_all(lead.as_bytes())
                .and_then(|()| self.spool.write_all(body.as_bytes()))
                .map_err(failed)?;
            self.end += (lead.len() + body.len()) as u64;
            self.documents.push(document);
        }
        Ok(())
    }

    /// Reads the configuration in a document, and says what is left of it.
    fn take_config(&mut self, root: &Node) -> Result<Kind, Error> {
        let mut read = |node: &Node| {
            let config = Config::read(node).map_err(Error::new)?;
            self.config.add(config);
            Ok::<_, Error>(())
        };
        if is_config(root) {
            read(root)?;
            return Ok(Kind::Config);
        }
        let Some(items) = root.get("items").and_then(Node::items) else { return Ok(Kind::Ordinary) };
        let mut kind = Kind::Ordinary;
        for item in items.iter().filter(|item| is_config(item)) {
            read(item)?;
            kind = Kind::Mixed;
        }
        Ok(kind)
    }

    fn at(&self, document: &Document, error: &str) -> Error {
        Error::new(format!("Parsing {}: {error}", self.place(document)))
    }

    /// A document as messages name it.
    pub(crate) fn place(&self, document: &Document) -> String {
        let label = self.labels.get(document.label).map_or("input", String::as_str);
        format!("{label} doc {}", document.number)
    }

    /// Looks at one document after the other.
    pub(crate) fn each(
        &mut self,
        mut look: impl FnMut(&Inputs, Open, Option<Node>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        for at in 0..self.documents.len() {
            let document = self.documents[at];
            let (lead, body) = self.text(&document)?;
            let root = parse(&body).map_err(|error| self.at(&document, &error.to_string()))?;
            if let Some(root) = &root {
                check(root).map_err(|error| self.at(&document, &error))?;
            }
            look(self, Open { document, lead, body }, root)?;
        }
        Ok(())
    }

    pub(crate) fn len(&self) -> usize {
        self.documents.len()
    }

    fn text(&mut self, document: &Document) -> Result<(String, String), Error> {
        let failed = |source| Error::Io { what: "read the input again".to_owned(), source };
        self.spool.seek(SeekFrom::Start(document.offset)).map_err(failed)?;
        let mut read = |length: u32| {
            let mut text = String::with_capacity(length as usize);
            (&mut self.spool).take(u64::from(length)).read_to_string(&mut text).map_err(failed)?;
            Ok::<_, Error>(text)
        };
        Ok((read(document.lead)?, read(document.body)?))
    }

    /// The references in all documents, each with the place where it was found first.
    pub fn references(&mut self) -> Result<BTreeMap<String, String>, Error> {
        let rules = self.config.rules();
        let mut found = BTreeMap::new();
        self.each(|inputs, open, root| {
            let Some(root) = root else { return Ok(()) };
            let label = inputs.labels.get(open.document.label).map_or("input", String::as_str);
            for resource in resources(&root) {
                search(resource, &rules, Printer::InPlace, &mut |text, path| {
                    if !found.contains_key(text) {
                        let place = format!("{label}, {}, {}", Resource::of(resource), dotted(path));
                        found.insert(text.to_owned(), place);
                    }
                    None
                });
            }
            Ok(())
        })?;
        Ok(found)
    }
}

impl Default for Inputs {
    fn default() -> Self {
        Inputs::new()
    }
}

/// The resources of a document: its items if it has some, without configuration, else itself.
pub(crate) fn resources(root: &Node) -> Vec<&Node> {
    match root.get("items").and_then(Node::items) {
        Some(items) => items.iter().filter(|item| !is_config(item)).collect(),
        None => vec![root],
    }
}

fn check(root: &Node) -> Result<(), String> {
    if root.entries().is_none() {
        let kind = crate::fields::kind(root);
        return Err(format!(
            "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {kind} into Go value of type map[string]interface {{}}"
        ));
    }
    match root.get("items").and_then(Node::items) {
        Some(items) if items.iter().any(|item| item.entries().is_none()) => {
            Err("an item of a list is no mapping".to_owned())
        }
        _ => Ok(()),
    }
}

/// A place as people write it: `spec.containers[0].image`.
fn dotted(path: &[Step<'_>]) -> String {
    let mut out = String::new();
    for step in path {
        match step {
            Step::Index(index) => out.push_str(&format!("[{index}]")),
            Step::Key(key) if out.is_empty() => out.push_str(key),
            Step::Key(key) => out.push_str(&format!(".{key}")),
        }
    }
    out
}

/// The files that a path means.
fn files(path: &Path) -> Result<Vec<PathBuf>, Error> {
    let stat = |path: &Path| {
        std::fs::metadata(path).map_err(|error| {
            let reason = match error.kind() {
                std::io::ErrorKind::NotFound => "no such file or directory".to_owned(),
                std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
                _ => error.to_string(),
            };
            Error::new(format!("Unable to stat file: stat {}: {reason}", path.display()))
        })
    };
    if !stat(path)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        let failed = |source| Error::Io { what: format!("Listing files '{}'", folder.display()), source };
        for entry in std::fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let path = entry.path();
            // Links to folders are not followed, so there are no circles.
            if entry.file_type().map_err(failed)?.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "json" || end == "yaml" || end == "yml") {
                found.push(path);
            }
        }
    }
    found
        .sort_by(|left, right| left.as_os_str().as_encoded_bytes().cmp(right.as_os_str().as_encoded_bytes()));
    Ok(found)
}

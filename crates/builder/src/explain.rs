//! Explanations: why a cache had a step, or had it not.
//!
//! A build that has made something leaves what its steps were made of beside their results, under a key of the
//! build: names of inputs and marks of their values, from which none can be read. A later build compares.
//!
//! The file form is lines of JSON, compressed with zstd: a header, and for each step a line with its stage, its
//! text and its keys, followed by a line for each input.

use std::collections::{BTreeMap, HashSet};
use std::io::{self, BufRead, BufReader, Write};

use cache::{Domain, Input, Key, KeyWriter};
use serde::{Deserialize, Serialize};

/// The type of the file form.
pub const INPUTS_TYPE: &str = "application/vnd.bako.cache.inputs.v1+zstd";

const VERSION: u64 = 1;
/// It holds little that is worth more effort.
const LEVEL: i32 = 3;
/// More steps and inputs than any build has.
const LINES_MAX: usize = 2_000_000;

/// What a step was made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The stage's name, or its number.
    pub stage: String,
    /// The instruction on one line.
    pub text: String,
    /// The key of what its stage starts from, as hex digits.
    pub root: String,
    /// Its key, as hex digits.
    pub definition: String,
    /// Names of inputs, and marks of their values, from which none can be read.
    pub inputs: Vec<(String, String)>,
}

/// How a step and an earlier one compare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Comparison {
    /// No earlier build has one like it.
    New,
    /// These inputs are otherwise.
    Inputs(Vec<String>),
    /// The stage starts from something else.
    Root,
    /// What is beneath it is made otherwise.
    Beneath,
    /// Nothing is otherwise.
    Same,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Header {
    bako_inputs: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Line {
    Step { stage: String, text: String, root: String, definition: String },
    Input { n: String, m: String },
}

/// The key under which a build leaves this: the same for later builds of the same thing.
pub(crate) fn build_key(repository: Option<&str>, target: &str, platform: &str) -> Key {
    let mut writer = KeyWriter::new(Domain::Build);
    writer.field("repository", repository.unwrap_or_default());
    writer.field("target", target);
    writer.field("platform", platform);
    writer.finish().0
}

impl Told {
    pub(crate) fn new(stage: &str, text: String, root: Key, definition: Key, inputs: &[Input]) -> Self {
        Told {
            stage: stage.to_owned(),
            text,
            root: root.hex(),
            definition: definition.hex(),
            inputs: inputs.iter().map(|input| (input.name.clone(), input.mark_text())).collect(),
        }
    }

    /// Compares with the nearest of earlier steps: of the same stage, if it has any, the one that has most in common.
    pub(crate) fn compare(&self, earlier: &[Told]) -> Comparison {
        let inputs: HashSet<&(String, String)> = self.inputs.iter().collect();
        let common = |other: &&Told| {
            let same = other.inputs.iter().filter(|input| inputs.contains(input)).count();
            (other.stage == self.stage, other.text == self.text, same)
        };
        let keyword = |text: &str| text.split(' ').next().unwrap_or_default().to_owned();
        let alike = earlier.iter().filter(|other| keyword(&other.text) == keyword(&self.text));
        let Some(nearest) = alike.max_by_key(common) else { return Comparison::New };
        let differences = differences(&nearest.inputs, &self.inputs);
        if !differences.is_empty() {
            Comparison::Inputs(differences)
        } else if nearest.root != self.root {
            Comparison::Root
        } else if nearest.definition != self.definition {
            Comparison::Beneath
        } else {
            Comparison::Same
        }
    }
}

/// What was and is not, what is and was not, and what is otherwise.
fn differences(was: &[(String, String)], is: &[(String, String)]) -> Vec<String> {
    let by_name = |inputs: &[(String, String)]| {
        let mut names: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, mark) in inputs {
            names.entry(name.clone()).or_default().push(mark.clone());
        }
        names
    };
    let (was_named, is_named) = (by_name(was), by_name(is));
    let mut found = Vec::new();
    for (name, marks) in &is_named {
        match was_named.get(name) {
            None => found.push(format!("{name} is new")),
            Some(before) if before != marks => found.push(format!("{name} has changed")),
            Some(_) => {}
        }
    }
    let gone = was_named.keys().filter(|name| !is_named.contains_key(*name));
    found.extend(gone.map(|name| format!("{name} is gone")));
    if found.is_empty() && was != is {
        found.push("the order is another one".to_owned());
    }
    found
}

/// Writes the file form. The same steps give the same bytes.
pub(crate) fn encode(steps: &[Told]) -> io::Result<Vec<u8>> {
    let mut out = zstd::Encoder::new(Vec::new(), LEVEL)?;
    serde_json::to_writer(&mut out, &Header { bako_inputs: VERSION })?;
    out.write_all(b"\n")?;
    let mut line = |line: &Line| -> io::Result<()> {
        serde_json::to_writer(&mut out, line)?;
        out.write_all(b"\n")
    };
    for step in steps {
        let Told { stage, text, root, definition, inputs } = step.clone();
        line(&Line::Step { stage, text, root, definition })?;
        for (n, m) in inputs {
            line(&Line::Input { n, m })?;
        }
    }
    out.finish()
}

/// Reads the file form; `None` if it is another's.
pub fn decode(bytes: &[u8]) -> Option<Vec<Told>> {
    let mut lines = BufReader::new(zstd::Decoder::new(bytes).ok()?).lines();
    let header: Header = serde_json::from_str(&lines.next()?.ok()?).ok()?;
    if header.bako_inputs != VERSION {
        return None;
    }
    let mut steps: Vec<Told> = Vec::new();
    for line in lines.take(LINES_MAX) {
        match serde_json::from_str(&line.ok()?).ok()? {
            Line::Step { stage, text, root, definition } => {
                steps.push(Told { stage, text, root, definition, inputs: Vec::new() });
            }
            Line::Input { n, m } => steps.last_mut()?.inputs.push((n, m)),
        }
    }
    Some(steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(stage: &str, text: &str, definition: &str, inputs: &[(&str, &str)]) -> Told {
        Told {
            stage: stage.to_owned(),
            text: text.to_owned(),
            root: "root".to_owned(),
            definition: definition.to_owned(),
            inputs: inputs.iter().map(|(n, m)| ((*n).to_owned(), (*m).to_owned())).collect(),
        }
    }

    #[test]
    fn comes_back_as_it_was() {
        let steps =
            [told("a", "RUN x", "d", &[("argument", "1"), ("argument", "2")]), told("b", "COPY", "e", &[])];
        let bytes = encode(&steps).unwrap();
        assert_eq!(decode(&bytes).as_deref(), Some(&steps[..]));
        assert_eq!(decode(b"something else"), None);
        let other = zstd::encode_all(&b"{\"bako-inputs\":2}\n"[..], 1).unwrap();
        assert_eq!(decode(&other), None);
    }

    #[test]
    fn what_is_otherwise() {
        let earlier = [
            told("a", "RUN make", "1", &[("argument", "make"), ("variable CC", "gcc")]),
            told("b", "COPY src /src", "2", &[("file a.c", "1"), ("file b.c", "1")]),
        ];
        let inputs = |list: &[&str]| Comparison::Inputs(list.iter().map(|text| (*text).to_owned()).collect());
        for (step, expected) in [
            (told("a", "RUN make", "1", &[("argument", "make"), ("variable CC", "gcc")]), Comparison::Same),
            (
                told("a", "RUN make", "9", &[("argument", "make"), ("variable CC", "gcc")]),
                Comparison::Beneath,
            ),
            (
                told("a", "RUN make", "9", &[("argument", "make"), ("variable CC", "clang")]),
                inputs(&["variable CC has changed"]),
            ),
            (
                told("a", "RUN make", "9", &[("variable CC", "gcc"), ("argument", "make")]),
                inputs(&["the order is another one"]),
            ),
            (
                told("b", "COPY src /src", "9", &[("file a.c", "2"), ("file c.c", "1")]),
                inputs(&["file a.c has changed", "file c.c is new", "file b.c is gone"]),
            ),
            (told("a", "WORKDIR /", "1", &[]), Comparison::New),
        ] {
            assert_eq!(step.compare(&earlier), expected);
        }
        let moved = Told { root: "other".to_owned(), definition: "9".to_owned(), ..earlier[0].clone() };
        assert_eq!(moved.compare(&earlier), Comparison::Root);
    }
}

//! Instructions, each carried out on the stage it stands in.

mod config;
mod copy;
mod refusal;
mod run;
mod workdir;

pub(crate) use refusal::refuse;
pub(crate) use run::{Mounting, foresee};

use std::collections::BTreeMap;
use std::rc::Rc;

use dockerfile::graph::Origin;
use dockerfile::{Escape, Graph, Instruction, InstructionKind, ParseError, Span, Spanned, Word};
use oci::Reference;

use crate::copy::DirectorySource;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::image::Image;
use crate::stage::Stage;

/// Everything of this build that files can be taken from.
#[derive(Default)]
pub(crate) struct Sources {
    /// Stages that are done, by number.
    pub(crate) stages: BTreeMap<usize, Stage>,
    /// Images, by reference.
    images: BTreeMap<String, Stage>,
}

/// Something that files can be taken from, by COPY or by a mount.
pub(crate) enum Place<'a> {
    /// A stage that is done, or an image: known as a tree, its files in layers or unpacked.
    Stage(&'a mut Stage),
    /// The build context, or a named one that is a directory.
    Directory(Rc<DirectorySource>),
}

/// What a step may use besides its own stage.
pub(crate) struct Surroundings<'a> {
    pub(crate) engine: &'a Engine<'a>,
    pub(crate) sources: &'a mut Sources,
    pub(crate) graph: &'a Graph<'a>,
    /// The stage it stands in.
    pub(crate) number: usize,
    /// The Dockerfile's `# escape=`.
    pub(crate) escape: Escape,
}

/// Carries out one instruction.
pub(crate) fn carry_out(
    around: &mut Surroundings<'_>,
    stage: &mut Stage,
    instruction: &Instruction,
) -> Result<()> {
    match &instruction.kind {
        InstructionKind::Run(run) => run::run(around, stage, run),
        InstructionKind::Copy(copy) => copy::copy(around, stage, copy),
        InstructionKind::Add(add) => copy::add(around, stage, add),
        InstructionKind::Workdir(path) => workdir::workdir(around, stage, path),
        _ => config::configure(around, stage, instruction),
    }
}

impl Surroundings<'_> {
    /// What the `--from` of a COPY or the `from=` of a mount names; the build context if it is not given, or
    /// is empty. A stage is done by then.
    pub(crate) fn place(&mut self, from: Option<&Spanned<String>>) -> Result<Place<'_>> {
        match (from, self.origin(from)?) {
            (Some(from), Some(origin)) => {
                self.sources.get(self.engine, &origin).map_err(|error| located(from.span, error))
            }
            _ => Ok(Place::Directory(self.engine.context()?)),
        }
    }

    /// The same as a value; `None` is the build context.
    fn origin(&self, from: Option<&Spanned<String>>) -> Result<Option<Origin>> {
        let Some(from) = from.filter(|from| !from.value.is_empty()) else { return Ok(None) };
        let origin = self.graph.origin(self.number, from);
        origin.map(Some).map_err(|error| located(from.span, error.into()))
    }
}

impl Sources {
    /// What an origin stands for. An image is resolved once.
    fn get(&mut self, engine: &Engine<'_>, origin: &Origin) -> Result<Place<'_>> {
        let (name, pull): (&str, _) = match origin {
            Origin::Stage(number) => {
                let stage = self.stages.get_mut(number).ok_or_else(|| Error::new("the stage is not built"));
                return stage.map(Place::Stage);
            }
            Origin::Context(name) => {
                return Err(Error::new(format!("named context {name:?} is not supported yet")));
            }
            Origin::Scratch => ("scratch", false),
            Origin::Image(name) => (name, true),
        };
        if !self.images.contains_key(name) {
            let platform = &engine.options.platform;
            let image = if pull {
                engine.pull(&name.parse::<Reference>()?, platform)?
            } else {
                Image::scratch(platform)
            };
            self.images.insert(name.to_owned(), Stage::new(name, image));
        }
        Ok(Place::Stage(self.images.get_mut(name).expect("it was put there just now")))
    }
}

/// The value of a word at this point of a stage. A variable that is not set becomes nothing, which a lint tells.
pub(crate) fn expand(around: &Surroundings<'_>, stage: &Stage, word: &Word) -> Result<String> {
    let expansion = dockerfile::expand(word, around.escape, &|name| stage.scope.get(name).map(str::to_owned))
        .map_err(|error| at(word, Error::new(error.to_string())))?;
    Ok(expansion.text)
}

/// The error for something that only shows to be wrong once variables have values.
fn wrong(error: ParseError) -> Error {
    let converted = Error::new(error.message);
    match error.hint {
        Some(hint) => converted.hint(hint),
        None => converted,
    }
}

/// Says which word an error is about.
pub(crate) fn at(word: &Word, error: Error) -> Error {
    located(word.span, error)
}

/// Says where an error is.
pub(crate) fn located(span: Span, error: Error) -> Error {
    error.lines(span.first_line..=span.last_line)
}

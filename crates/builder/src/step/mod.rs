//! Instructions, each carried out on the stage it stands in.

mod config;
mod copy;
mod refusal;
mod run;
mod workdir;

pub(crate) use refusal::refuse;

use std::collections::BTreeMap;

use dockerfile::graph::Origin;
use dockerfile::{Escape, Instruction, InstructionKind, Span, Word};
use oci::Reference;

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::event::Event;
use crate::image::Image;
use crate::stage::Stage;

/// What can be copied from.
#[derive(Default)]
pub(crate) struct Sources {
    /// Stages that are done, by number.
    pub(crate) stages: BTreeMap<usize, Stage>,
    /// Images, by reference.
    pub(crate) images: BTreeMap<String, Stage>,
}

/// What a step may use besides its own stage.
pub(crate) struct Surroundings<'a> {
    pub(crate) engine: &'a Engine<'a>,
    pub(crate) sources: &'a mut Sources,
    /// What the `--from` of a COPY means.
    pub(crate) origin: Option<Origin>,
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

impl Sources {
    /// What a `COPY --from` copies from. An image is resolved once.
    fn get(&mut self, engine: &Engine<'_>, origin: &Origin) -> Result<&mut Stage> {
        let (name, pull): (&str, _) = match origin {
            Origin::Stage(number) => {
                return self.stages.get_mut(number).ok_or_else(|| Error::new("the stage is not built"));
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
        Ok(self.images.get_mut(name).expect("it was put there just now"))
    }
}

/// The value of a word at this point of a stage. A variable that is not set is worth a warning.
pub(crate) fn expand(around: &Surroundings<'_>, stage: &Stage, word: &Word) -> Result<String> {
    let expansion = dockerfile::expand(word, around.escape, &|name| stage.scope.get(name).map(str::to_owned))
        .map_err(|error| at(word, Error::new(error.to_string())))?;
    warn_unset(around, word.span, expansion.unset);
    Ok(expansion.text)
}

/// Says which variables have become nothing.
fn warn_unset(around: &Surroundings<'_>, span: Span, names: Vec<String>) {
    for name in names {
        let line = Some(span.first_line);
        around.engine.report(Event::Warning { line, text: format!("variable ${name} is not set") });
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

//! Instructions, each carried out on the stage it stands in.

mod config;
mod copy;
mod inputs;
mod refusal;
mod run;
mod workdir;

pub(crate) use copy::Added;
pub(crate) use inputs::{Foretold, Level, StepKey, directory_key, foretell, step_key};
pub(crate) use refusal::refuse;
pub(crate) use run::{Mounting, for_windows, foresee};

use std::sync::Arc;

use dockerfile::graph::Origin;
use dockerfile::{Escape, Graph, Instruction, InstructionKind, ParseError, Span, Spanned, Word};

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::event::StageName;
use crate::sources::{Place, Sources};
use crate::stage::Stage;

/// What a step may use besides its own stage.
pub(crate) struct Surroundings<'a> {
    pub(crate) engine: &'a Engine<'a>,
    pub(crate) sources: &'a Sources,
    pub(crate) graph: &'a Graph<'a>,
    /// The stage it stands in.
    pub(crate) number: usize,
    /// The same in events.
    pub(crate) name: Arc<StageName>,
    /// The Dockerfile's `# escape=`.
    pub(crate) escape: Escape,
}

/// Carries out one instruction.
pub(crate) fn carry_out(
    around: &Surroundings<'_>,
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
    pub(crate) fn place(&self, from: Option<&Spanned<String>>) -> Result<Place> {
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
    error.at(span)
}

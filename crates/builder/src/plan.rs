//! The plan of a build: the stages that the target needs, and what the Dockerfile says of each.

use dockerfile::graph::Origin;
use dockerfile::{Dockerfile, Graph, Instruction, InstructionKind};
use oci::Platform;

use crate::context::describe;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::image::WINDOWS;
use crate::step::{for_windows, foresee, refuse};

/// The stages of one build.
pub(crate) struct Plan<'a> {
    pub(crate) dockerfile: &'a Dockerfile,
    pub(crate) graph: &'a Graph<'a>,
    /// Those that the target needs, in the order of the file.
    pub(crate) needed: &'a [usize],
    pub(crate) target: usize,
    /// Stages that are to be built too, though nothing becomes of them.
    pub(crate) others: &'a [usize],
    /// What it is for, where a FROM says nothing.
    pub(crate) platform: &'a Platform,
}

impl Plan<'_> {
    /// A build that cannot succeed fails before anything is pulled.
    pub(crate) fn refuse_what_cannot_be_done(&self, engine: &Engine) -> Result<()> {
        for (number, instruction) in self.needed.iter().flat_map(|stage| {
            self.graph.instructions(*stage).iter().map(move |instruction| (*stage, instruction))
        }) {
            let blame = |error: Error| error.at(instruction.span);
            refuse(instruction).map_err(blame)?;
            if let InstructionKind::Run(run) = &instruction.kind {
                let platform = self.own_platform(number)?;
                if platform.os == WINDOWS {
                    return Err(blame(for_windows(&self.stage_name(number), &platform)));
                }
                foresee(engine, run).map_err(blame)?;
            }
        }
        Ok(())
    }

    /// What a stage is for, which for one that starts from another is what that is for.
    fn own_platform(&self, number: usize) -> Result<Platform> {
        match &self.graph.nodes[number].base {
            Origin::Stage(base) => self.own_platform(*base),
            _ => self.platform(number),
        }
    }

    /// A stage's name, or its number.
    pub(crate) fn stage_name(&self, number: usize) -> String {
        self.dockerfile.stages[number].name.clone().unwrap_or_else(|| number.to_string())
    }

    /// What messages call that from which a stage starts.
    pub(crate) fn base_name(&self, number: usize) -> String {
        match &self.graph.nodes[number].base {
            Origin::Scratch => "scratch".to_owned(),
            Origin::Stage(base) => format!("stage {}", self.stage_name(*base)),
            Origin::Context(name) => describe(name),
            Origin::Image(name) => name.clone(),
        }
    }

    /// What a stage is for.
    pub(crate) fn platform(&self, number: usize) -> Result<Platform> {
        match &self.graph.nodes[number].platform {
            Some(text) => text.parse::<Platform>().map_err(|error| Error::new(error.to_string())),
            None => Ok(self.platform.clone()),
        }
    }

    /// The stages that an instruction of a stage takes files from.
    pub(crate) fn taken_from(&self, number: usize, instruction: &Instruction) -> Result<Vec<usize>> {
        let mut stages = Vec::new();
        for from in instruction.froms() {
            if let Origin::Stage(other) = self.graph.origin(number, from)? {
                stages.push(other);
            }
        }
        Ok(stages)
    }

    /// True if a stage is for a platform of its own, so that it may be the same whatever the build is for.
    pub(crate) fn names_platforms(&self) -> bool {
        self.needed.iter().any(|number| self.graph.nodes[*number].platform.is_some())
    }

    /// True if another stage starts from the same, and needs it in a directory too.
    pub(crate) fn shares_base(&self, number: usize) -> bool {
        let nodes = &self.graph.nodes;
        let same = |other: usize| {
            nodes[other].base == nodes[number].base && nodes[other].platform == nodes[number].platform
        };
        self.others_with_runs(number).any(same)
    }

    /// True if a stage that needs a directory starts from this one.
    pub(crate) fn is_base_of_runs(&self, number: usize) -> bool {
        self.others_with_runs(number).any(|other| self.graph.nodes[other].base == Origin::Stage(number))
    }

    /// The other stages that are built and have a RUN, and so need a directory.
    fn others_with_runs(&self, number: usize) -> impl Iterator<Item = usize> {
        let runs = |stage: &usize| self.graph.instructions(*stage).iter().any(is_run);
        self.needed.iter().copied().filter(move |other| *other != number).filter(move |other| runs(other))
    }
}

pub(crate) fn is_run(instruction: &Instruction) -> bool {
    matches!(instruction.kind, InstructionKind::Run(_))
}

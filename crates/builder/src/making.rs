//! The making of one stage: its FROM, then one instruction after the other, by a cache or by hand.

use std::sync::Arc;
use std::time::Instant;

use cache::{Domain, Key, Location as CacheLocation, RecordLayer};
use dockerfile::Instruction;
use dockerfile::graph::Origin;
use oci::Platform;

use crate::attempt::Attempt;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::event::{Event, StageName, Warning};
use crate::forecast::{Files, Hit};
use crate::image::{Image, Layer, LayerOrigin, Made};
use crate::jobs::Seat;
use crate::layer_cache::{Found, content_key};
use crate::once::lock;
use crate::plan::{Plan, is_run};
use crate::sources::Given;
use crate::stage::Stage;
use crate::step::{Foretold, Level, StepKey, carry_out, foretell, refuse, step_key};

/// A stage on its way.
pub(crate) struct Making<'m, 'a> {
    attempt: &'m Attempt<'a>,
    engine: &'a Engine<'a>,
    plan: &'a Plan<'a>,
    seat: &'m Seat<'m>,
    number: usize,
    name: Arc<StageName>,
}

/// Where an instruction stands.
struct Position {
    /// From one, triggers included.
    number: usize,
    /// Of how many.
    total: usize,
}

impl<'m, 'a> Making<'m, 'a> {
    pub(crate) fn new(attempt: &'m Attempt<'a>, seat: &'m Seat<'m>, number: usize) -> Self {
        let (engine, plan) = (attempt.engine, attempt.plan);
        Making { attempt, engine, plan, seat, number, name: attempt.name(number) }
    }

    /// Makes all of it.
    pub(crate) fn make(&self) -> Result<Stage> {
        self.engine.check_cancel()?;
        let from = self.plan.dockerfile.stages[self.number].span;
        let forecast = self.attempt.forecasts.get(&self.number);
        let hit = forecast.and_then(|forecast| forecast.hit.as_ref());
        if let (None, Origin::Stage(base)) = (hit, &self.plan.graph.nodes[self.number].base) {
            // It begins when what it starts from is there, and is told then.
            self.attempt.complete(self.seat, *base)?;
        }
        self.engine.report(Event::Stage { stage: self.name.clone(), base: self.plan.base_name(self.number) });
        let begun = match hit {
            Some(hit) => self.revive(hit),
            None => self.start(),
        };
        let mut stage = begun.map_err(|error| error.at(from))?;
        stage.shares_base = self.plan.shares_base(self.number);
        let triggered = triggers(&mut stage).map_err(|error| error.at(from))?;
        triggered.iter().try_for_each(refuse).map_err(|error| error.only_at(from))?;
        let (graph, globals) = (self.plan.graph, &self.engine.globals);
        self.attempt.checks.stage(graph, globals, self.number, &stage.image, &triggered)?;

        let is_target = self.number == self.plan.target;
        if is_target {
            lock(&self.attempt.uploads).begin(&stage.image);
        }
        let instructions: Vec<(&Instruction, bool)> = triggered
            .iter()
            .map(|instruction| (instruction, true))
            .chain(graph.instructions(self.number).iter().map(|instruction| (instruction, false)))
            .collect();
        let first_new = hit.map_or(0, |hit| hit.position + 1);
        for (position, (instruction, is_trigger)) in instructions.iter().enumerate() {
            let blame = |error: Error| {
                if *is_trigger { error.only_at(from) } else { located(error, instruction) }
            };
            let still_to_run = &instructions[position.max(first_new).min(instructions.len())..];
            stage.will_run = still_to_run.iter().any(|(instruction, _)| is_run(instruction));
            stage.runs_now = position >= first_new && is_run(instruction);
            let before = stage.image.layers.len();
            let foreseen = forecast.and_then(|forecast| forecast.steps.get(position));
            let known = Known {
                files: foreseen.and_then(|step| step.files.as_ref()),
                hit: hit.filter(|_| position < first_new),
            };
            let position = Position { number: position + 1, total: instructions.len() };
            self.step(&mut stage, instruction, &position, &known).map_err(blame)?;
            let is_final = is_target && !self.engine.options.single_snapshot;
            for layer in stage.image.layers.iter().skip(before).filter(|_| is_final) {
                lock(&self.attempt.uploads).layer(self.engine, layer).map_err(blame)?;
            }
        }
        if self.plan.is_base_of_runs(self.number) {
            stage.share(self.engine)?;
        }
        Ok(stage)
    }

    /// A stage as its FROM leaves it.
    fn start(&self) -> Result<Stage> {
        let node = &self.plan.graph.nodes[self.number];
        if let Origin::Stage(base) = &node.base {
            let base = self.attempt.complete(self.seat, *base)?;
            let base = base.read();
            let platform = self.plan.platform(self.number)?;
            let has = base.image.config.platform();
            if node.platform.is_some() && !platform.accepts(&has) {
                let text =
                    format!("--platform={platform} does not change the stage {}: it is for {has}", base.name);
                let from = self.plan.dockerfile.stages[self.number].span;
                self.engine.report(Warning::new(text).at(from).into());
            }
            return Ok(base.derive(&self.name.name));
        }
        let mut stage = self.attempt.root(self.number)?;
        self.attempt.check_platform(self.number, &stage.image)?;
        if let Origin::Context(context) = &node.base
            && let Given::Directory(directory) =
                self.attempt.sources.context(self.engine, context, &self.plan.platform(self.number)?)?
        {
            self.engine.lay(&mut stage, &directory, format!("FROM {context}"))?;
        }
        Ok(stage)
    }

    /// A stage as its FROM leaves it, of which a cache has what comes next: stages that it starts from are not
    /// built for it, but for what the cache does not keep.
    fn revive(&self, hit: &Hit) -> Result<Stage> {
        let mut line = vec![self.number];
        while let Some(base) = self.attempt.forecasts[line.last().expect("it is not empty")].base {
            line.push(base);
        }
        let root = line.pop().expect("it is not empty");
        let mut stage = self.of(root).start()?;
        stage.image.made_at = hit.found.record.layers.first().map(|layer| layer.created.clone());
        let mut at = root;
        while at != self.number {
            let forecast = &self.attempt.forecasts[&at];
            stage.image.config.config.on_build.clear();
            let instructions = forecast.triggered.iter().chain(self.plan.graph.instructions(at));
            for (instruction, foreseen) in instructions.zip(&forecast.steps) {
                let known = Known { files: foreseen.files.as_ref(), hit: Some(hit) };
                self.of(at)
                    .perform(&mut stage, instruction, &known)
                    .map_err(|error| located(error, instruction))?;
            }
            stage = stage.derive(&self.name.name);
            at = line.pop().expect("it ends with this stage");
        }
        Ok(stage)
    }

    /// The same work for a stage that this one starts from.
    fn of(&self, number: usize) -> Making<'m, 'a> {
        Making::new(self.attempt, self.seat, number)
    }

    fn step(
        &self,
        stage: &mut Stage,
        instruction: &Instruction,
        position: &Position,
        known: &Known<'_>,
    ) -> Result<()> {
        self.engine.check_cancel()?;
        if known.layer().is_none() {
            self.complete_sources(instruction)?;
        }
        self.engine.report(Event::Step {
            number: position.number,
            total: position.total,
            stage: self.name.clone(),
            text: one_line(&instruction.text),
        });
        let start = Instant::now();
        let layers = stage.image.layers.len();
        self.perform(stage, instruction, known).map_err(|error| for_another_machine(error, stage))?;
        let layer = stage.image.layers.get(layers);
        let cached = layer.is_some_and(Layer::is_cached);
        let layer = layer.map(|layer| layer.descriptor.size);
        let (stage, elapsed) = (self.name.clone(), start.elapsed());
        self.engine.report(Event::StepDone { stage, elapsed, layer, cached });
        Ok(())
    }

    /// Does what an instruction says, or takes what a cache has for it.
    fn perform(&self, stage: &mut Stage, instruction: &Instruction, known: &Known<'_>) -> Result<()> {
        if let Some((found, layer)) = known.layer() {
            return self.adopt(stage, instruction, (found, layer.clone()));
        }
        self.complete_sources(instruction)?;
        let definition = known.files.and_then(|files| files.definition);
        let Some(definition) = definition.filter(|key| self.attempt.common.contains(key)) else {
            return self.carry_out(stage, instruction, known);
        };
        let family = self.engine.member.family;
        family.steps.alone(definition.hex(), || {
            let made = lock(&family.made).get(&definition).cloned();
            if let Some(layer) = made {
                return self.join(stage, instruction, layer);
            }
            self.carry_out(stage, instruction, known)?;
            // What a cache has may turn out to be damaged, and a later attempt does without.
            let made = stage.image.layers.last().filter(|layer| layer.is_built());
            lock(&family.made).extend(made.map(|layer| (definition, layer.clone())));
            Ok(())
        })
    }

    /// Does what an instruction says, unless a cache knows what comes of it on files like these.
    fn carry_out(&self, stage: &mut Stage, instruction: &Instruction, known: &Known<'_>) -> Result<()> {
        let around = self.attempt.surroundings(self.number);
        let (Some(cache), Some(files)) = (&self.engine.layer_cache, known.files) else {
            return carry_out(&around, stage, instruction);
        };
        let content = match &files.step {
            Some(step) => self.content_key(stage, instruction, step),
            None => None,
        };
        let takes_from_stages = files.step.as_ref().is_some_and(|step| step.takes_from_stages);
        if let Some(content) = content.filter(|_| files.is_kept && !files.is_anew)
            && (stage.lineage.is_new || takes_from_stages)
            && let Some(found) = cache.by_content(self.engine, content)?
            && let Some(layer) = found.record.last().cloned()
        {
            // It is known by its files, and so is what comes next.
            stage.lineage.is_new = true;
            self.adopt(stage, instruction, (&found, layer))?;
            if let Some(definition) = files.definition {
                let keys = [(Domain::Definition, definition)];
                cache.keep(self.engine, &stage.image.layers, &keys, &one_line(&instruction.text));
            }
            return Ok(());
        }
        stage.lineage.keeps = files.is_kept;
        carry_out(&around, stage, instruction)?;
        stage.lineage.is_new = true;
        let keys: Vec<(Domain, Key)> = files
            .definition
            .map(|key| (Domain::Definition, key))
            .into_iter()
            .chain(content.map(|key| (Domain::Content, key)))
            .collect();
        if files.is_kept && !keys.is_empty() {
            cache.keep(self.engine, &stage.image.layers, &keys, &one_line(&instruction.text));
        }
        Ok(())
    }

    /// Waits for the stages that an instruction takes files from.
    fn complete_sources(&self, instruction: &Instruction) -> Result<()> {
        for other in self.plan.taken_from(self.number, instruction)? {
            self.attempt.complete(self.seat, other)?;
        }
        Ok(())
    }

    /// The key of a step by the files it is made on, if a cache knows what those are.
    fn content_key(&self, stage: &Stage, instruction: &Instruction, step: &StepKey) -> Option<Key> {
        let again;
        let step = if step.takes_from_stages {
            // What is wrong with it will be told by the step itself.
            let around = self.attempt.surroundings(self.number);
            again = step_key(&around, stage, instruction, Level::Content).unwrap_or_default()?;
            &again
        } else {
            step
        };
        let layers = stage.image.layers.iter().filter_map(|layer| layer.made.as_ref());
        Some(content_key(stage.lineage.root, layers.map(|made| made.content), step))
    }

    /// Takes what another stage has made by the same instruction on the same files.
    fn join(&self, stage: &mut Stage, instruction: &Instruction, layer: Layer) -> Result<()> {
        self.engine.check_cancel()?;
        let foretold = foretell(&self.attempt.surroundings(self.number), stage, instruction)?;
        let Foretold::Files(created_by) = foretold else { return Ok(()) };
        stage.lineage.is_new = true;
        stage.adopt(self.engine, layer, created_by)
    }

    /// Takes a layer of a cache as the result of an instruction.
    fn adopt(
        &self,
        stage: &mut Stage,
        instruction: &Instruction,
        (found, layer): (&Found, RecordLayer),
    ) -> Result<()> {
        let foretold = foretell(&self.attempt.surroundings(self.number), stage, instruction)?;
        let Foretold::Files(created_by) = foretold else { return Ok(()) };
        let origin = match (found.repository.location(), found.repository.layout()) {
            (CacheLocation::Registry(reference), _) => LayerOrigin::Registry(reference.clone()),
            (CacheLocation::Directory(_), Some(layout)) => LayerOrigin::Layout(layout.clone()),
            (CacheLocation::Directory(directory), None) => {
                return Err(Error::new(format!("{} is gone", directory.display())));
            }
        };
        let made = Made {
            step: stage.lineage.steps,
            content: layer.content,
            created: layer.created,
            is_kept: true,
            cached: Some((found.repository.clone(), layer.index)),
        };
        let layer = Layer { descriptor: layer.descriptor, diff_id: layer.diff_id, origin, made: Some(made) };
        stage.adopt(self.engine, layer, created_by)
    }
}

impl Attempt<'_> {
    /// Says so if a stage starts from an image for another platform.
    pub(crate) fn check_platform(&self, number: usize, image: &Image) -> Result<()> {
        let (Origin::Image(name) | Origin::Context(name)) = &self.plan.graph.nodes[number].base else {
            return Ok(());
        };
        let wanted = self.plan.platform(number)?.to_string();
        let actual = image.config.platform().to_string();
        self.checks.base_platform(number, name, &wanted, &actual)
    }
}

/// What is known of an instruction that is to be done.
struct Known<'a> {
    /// If it makes a layer: which, and its keys.
    files: Option<&'a Files>,
    /// What a cache has that goes as far as to it, or further.
    hit: Option<&'a Hit>,
}

impl Known<'_> {
    /// The layer that a cache has for it, and where.
    fn layer(&self) -> Option<(&Found, &RecordLayer)> {
        let (hit, files) = (self.hit?, self.files?);
        let layer = hit.found.record.layers.iter().find(|layer| layer.step == files.number)?;
        Some((&hit.found, layer))
    }
}

/// The triggers of what a stage starts from, which are not its own.
pub(crate) fn triggers(stage: &mut Stage) -> Result<Vec<Instruction>> {
    std::mem::take(&mut stage.image.config.config.on_build)
        .iter()
        .map(|text| dockerfile::parse_trigger(text))
        .collect::<std::result::Result<Vec<_>, _>>()
        .map_err(|error| Error::new(format!("ONBUILD trigger of the base: {}", error.message)))
}

/// Says which instruction an error is about, unless it knows better.
fn located(error: Error, instruction: &Instruction) -> Error {
    error.at(instruction.span)
}

/// Says why a program that is there cannot be executed, if the image is for machines of another kind.
fn for_another_machine(error: Error, stage: &Stage) -> Error {
    let (image, machine) = (stage.image.config.platform(), Platform::host());
    if error.exit_code == Some(126) && !machine.accepts(&image) {
        return error.hint(format!(
            "the image is for {image} and this machine is {machine}: a RUN needs qemu registered with binfmt_misc here"
        ));
    }
    error
}

/// An instruction as a progress line shows it, without the contents of heredocs.
pub(crate) fn one_line(text: &str) -> String {
    let more = |line: &str| line.trim_end().ends_with(['\\', '`']) || line.trim_start().starts_with('#');
    let end = text.lines().position(|line| !more(line)).unwrap_or(usize::MAX);
    let text = text.lines().take(end.saturating_add(1)).collect::<Vec<_>>().join("\n");
    text.split_whitespace().filter(|word| *word != "\\").collect::<Vec<_>>().join(" ")
}

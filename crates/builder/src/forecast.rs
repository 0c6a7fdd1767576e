//! Forecasts: what is known of a stage before anything of it is built.
//!
//! Every instruction that only changes the config is done, to see what the others come to; and those others get
//! their keys. So all keys of all stages are known at the beginning, and a cache is asked for all of them at
//! once, through `FROM` and `COPY --from` of stages that nobody will have to build.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use cache::{Domain, Key};
use dockerfile::graph::Origin;
use dockerfile::{Instruction, InstructionKind};
use oci::{Platform, Reference};

use crate::build::{Plan, Progress, one_line, triggers};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::event::Event;
use crate::explain::{Comparison, Told, build_key};
use crate::image::Image;
use crate::layer_cache::{Found, LayerCache, definition_key};
use crate::lineage::Lineage;
use crate::planned::{Planned, PlannedStage, PlannedStep};
use crate::sources::Given;
use crate::stage::Stage;
use crate::step::{Foretold, Level, StepKey, Surroundings, directory_key, foretell, step_key};

/// What is known of a stage.
pub(crate) struct Forecast {
    /// The stage that it starts from, if it is one.
    pub(crate) base: Option<usize>,
    /// The triggers of its base, which come before its own instructions.
    pub(crate) triggered: Vec<Instruction>,
    /// One for each instruction, triggers included, as far as they are known.
    pub(crate) steps: Vec<Foreseen>,
    /// The last of its steps that a cache has, and what it has for it.
    pub(crate) hit: Option<Hit>,
    /// What its FROM leaves.
    pub(crate) start: Image,
    /// What it starts from, through other stages.
    root: Key,
    /// What comes of its config, if all of it is known.
    end: Option<Stage>,
    /// Its results are to be made anew.
    anew: bool,
}

/// What is known of an instruction.
#[derive(Debug, Clone)]
pub(crate) struct Foreseen {
    /// `None` if it makes no layer.
    pub(crate) files: Option<Files>,
}

/// What is known of an instruction that makes a layer.
#[derive(Debug, Clone)]
pub(crate) struct Files {
    /// Which of those it is, counted from the image that the stage starts from.
    pub(crate) number: u32,
    /// By what it says.
    pub(crate) step: Option<StepKey>,
    /// By that and how all beneath it is made.
    pub(crate) definition: Option<Key>,
    /// Its result is kept, and looked for.
    pub(crate) is_kept: bool,
    /// A cache may be asked for it by its definition.
    pub(crate) may_be_found: bool,
    /// Its stage is built anew, so that it is not looked for at all.
    pub(crate) is_anew: bool,
}

impl Forecast {
    /// True if a cache has the layer of an instruction.
    fn has(&self, position: usize, files: &Files) -> bool {
        self.hit.as_ref().is_some_and(|hit| {
            let mut layers = hit.found.record.layers.iter();
            position <= hit.position && layers.any(|layer| layer.step == files.number)
        })
    }
}

/// What a cache has of a stage.
#[derive(Clone)]
pub(crate) struct Hit {
    /// The instruction up to which it goes.
    pub(crate) position: usize,
    pub(crate) found: Rc<Found>,
}

impl Plan<'_> {
    /// Looks ahead, and asks the cache.
    pub(crate) fn foresee(
        &self,
        engine: &Engine,
        cache: &LayerCache,
        progress: &mut Progress<'_>,
    ) -> Result<()> {
        let names: Vec<&str> =
            self.dockerfile.stages.iter().map(|stage| stage.name.as_deref().unwrap_or_default()).collect();
        cache.tell_unknown_stages(&*engine.options.report, &names);
        let destinations = engine.begin_to_check_destinations();
        engine.pull_ahead(self.images(engine))?;
        let mut forecasts: BTreeMap<usize, Forecast> = BTreeMap::new();
        for &number in self.needed {
            match engine
                .timings
                .measure("keys", || self.forecast(engine, cache, number, &forecasts, progress))
            {
                Ok(forecast) => {
                    forecasts.insert(number, forecast);
                }
                // The build will come to it, and then it is an error; or it is not needed.
                Err(error) => {
                    engine.check_cancel()?;
                    let name = self.stage_name(number);
                    engine
                        .report(Event::Note(format!("stage {name} is not looked for in the cache: {error}")));
                }
            }
        }
        self.ask(engine, cache, &mut forecasts)?;
        engine.end_to_check_destinations(destinations)?;
        if engine.options.explain {
            self.explain(engine, cache, &forecasts)?;
        }
        progress.forecasts =
            forecasts.into_iter().map(|(number, forecast)| (number, Rc::new(forecast))).collect();
        Ok(())
    }

    /// The images of registries that will be asked for, as far as they are named.
    fn images(&self, engine: &Engine) -> Vec<(Reference, Platform)> {
        let mut wanted = Vec::new();
        for &number in self.needed {
            let node = &self.graph.nodes[number];
            let platform = match &node.platform {
                Some(text) => text.parse().ok(),
                None => Some(engine.options.platform.clone()),
            };
            let origins = self
                .graph
                .instructions(number)
                .iter()
                .flat_map(Instruction::froms)
                .filter_map(|from| self.graph.origin(number, from).ok())
                .map(|origin| (origin, Some(engine.options.platform.clone())));
            for (origin, platform) in origins.chain([(node.base.clone(), platform)]) {
                if let (Origin::Image(name), Some(platform)) = (origin, platform)
                    && let Ok(reference) = name.parse::<Reference>()
                    && !wanted.contains(&(reference.clone(), platform.clone()))
                {
                    wanted.push((reference, platform));
                }
            }
        }
        wanted
    }

    fn forecast(
        &self,
        engine: &Engine,
        cache: &LayerCache,
        number: usize,
        forecasts: &BTreeMap<usize, Forecast>,
        progress: &mut Progress<'_>,
    ) -> Result<Forecast> {
        let name = self.stage_name(number);
        let (mut stage, base) = match &self.graph.nodes[number].base {
            Origin::Stage(base) => {
                let end = forecasts.get(base).and_then(|forecast| forecast.end.as_ref());
                let end = end.ok_or_else(|| Error::new("what it starts from is not known"))?;
                (end.derive(&name), Some(*base))
            }
            _ => (self.root(engine, number, progress)?, None),
        };
        let triggered = triggers(&mut stage)?;
        let (start, root) = (stage.image.clone(), stage.root_key());
        let mut anew = cache.leaves_out(&name, number);
        let is_anew = anew;
        // What is made on something new is found by what that has come to, and not by how it is made.
        anew |= base.is_some_and(|base| forecasts[&base].anew);
        let instructions = triggered.iter().chain(self.graph.instructions(number));
        let mut steps = Vec::new();
        let mut is_known = true;
        for instruction in instructions {
            for from in instruction.froms() {
                if let Ok(Origin::Stage(other)) = self.graph.origin(number, from) {
                    anew |= forecasts.get(&other).is_none_or(|other| other.anew);
                }
            }
            let mut around = self.surroundings(engine, number, progress);
            let Ok(foretold) = foretell(&mut around, &mut stage, instruction) else {
                is_known = false;
                break;
            };
            let files = match foretold {
                Foretold::Configured => None,
                Foretold::Files(created_by) => {
                    let step = match stage.lineage.definition {
                        Some(_) => {
                            step_key(&mut around, &stage, instruction, Level::Definition).unwrap_or_default()
                        }
                        None => None,
                    };
                    let definition = match (&step, stage.lineage.definition) {
                        (Some(step), Some(beneath)) => Some(definition_key(beneath, step)),
                        _ => None,
                    };
                    stage.lineage.definition = definition;
                    stage.image.push_history(engine.created(), created_by, false);
                    let options = cache.options();
                    let is_kept = match instruction.kind {
                        InstructionKind::Run(_) => options.run_layers,
                        InstructionKind::Workdir(_) => options.run_layers || options.copy_layers,
                        _ => options.copy_layers,
                    };
                    let files = Files {
                        number: stage.lineage.steps,
                        step,
                        definition,
                        is_kept,
                        may_be_found: is_kept && !anew,
                        is_anew,
                    };
                    stage.lineage.steps += 1;
                    Some(files)
                }
            };
            steps.push(Foreseen { files });
        }
        if let Some(definition) = stage.lineage.definition.filter(|_| is_known) {
            progress.sources.definitions.insert(number, definition);
        }
        Ok(Forecast { base, triggered, steps, hit: None, start, root, end: is_known.then_some(stage), anew })
    }

    /// Asks for everything at once, and notes the last hit of each stage.
    fn ask(
        &self,
        engine: &Engine,
        cache: &LayerCache,
        forecasts: &mut BTreeMap<usize, Forecast>,
    ) -> Result<()> {
        let may_be_found = |files: &Files| files.definition.filter(|_| files.may_be_found);
        let mut tags: Vec<String> = forecasts
            .values()
            .flat_map(|forecast| &forecast.steps)
            .filter_map(|step| step.files.as_ref().and_then(may_be_found))
            .map(|key| key.tag(Domain::Definition))
            .collect();
        tags.sort();
        tags.dedup();
        let found = engine.timings.measure("ask the cache", || cache.records(engine, &tags))?;
        let found: BTreeMap<String, Rc<Found>> =
            found.into_iter().map(|(tag, found)| (tag, Rc::new(found))).collect();
        for forecast in forecasts.values_mut() {
            let hits = forecast.steps.iter().enumerate().rev();
            forecast.hit = hits.into_iter().find_map(|(position, step)| {
                let files = step.files.as_ref()?;
                let found = found.get(&may_be_found(files)?.tag(Domain::Definition))?;
                // A record that is about another step is none of ours, whatever its tag says.
                let is_right = found.record.last().is_some_and(|layer| layer.step == files.number);
                is_right.then(|| Hit { position, found: found.clone() })
            });
        }
        Ok(())
    }

    /// Says of every step why it was found, or was not.
    fn explain(
        &self,
        engine: &Engine,
        cache: &LayerCache,
        forecasts: &BTreeMap<usize, Forecast>,
    ) -> Result<()> {
        let earlier = cache.earlier(engine, self.build_key(engine))?;
        for (&number, forecast) in forecasts {
            for (position, (instruction, foreseen)) in self.instructions(number, forecast).enumerate() {
                let Some(files) = &foreseen.files else { continue };
                let found = forecast.has(position, files);
                let mut differences = Vec::new();
                let reason = match (self.told(number, forecast, instruction, files), &earlier) {
                    _ if found => "it is in the cache".to_owned(),
                    _ if !files.is_kept => "results of such steps are not kept".to_owned(),
                    _ if files.is_anew => "its stage is to be built anew".to_owned(),
                    _ if !files.may_be_found => "it stands on a stage that is to be built anew".to_owned(),
                    (None, _) => "what it is made of is not known before it is built".to_owned(),
                    (_, None) => "no earlier build is known".to_owned(),
                    (Some(told), Some(earlier)) => match told.compare(earlier) {
                        Comparison::New => "no earlier build has such a step".to_owned(),
                        Comparison::Root => "its stage starts from another image".to_owned(),
                        Comparison::Beneath => "what is before it has changed".to_owned(),
                        Comparison::Same => "its result is not there any more".to_owned(),
                        Comparison::Inputs(list) => {
                            differences = list;
                            "it has changed".to_owned()
                        }
                    },
                };
                let (stage, step) = (self.stage_name(number), one_line(&instruction.text));
                engine.report(Event::Explained { stage, step, found, reason, differences });
            }
        }
        Ok(())
    }

    /// Leaves what the steps were made of for later builds, if this one has made something.
    pub(crate) fn keep_inputs(
        &self,
        engine: &Engine,
        cache: &LayerCache,
        progress: &Progress<'_>,
    ) -> Result<()> {
        if !progress.sources.stages.values().any(|stage| stage.lineage.is_new) {
            return Ok(());
        }
        let mut steps = Vec::new();
        for (&number, forecast) in &progress.forecasts {
            let told = self.instructions(number, forecast).filter_map(|(instruction, foreseen)| {
                self.told(number, forecast, instruction, foreseen.files.as_ref()?)
            });
            steps.extend(told);
        }
        cache.keep_inputs(self.build_key(engine), &steps)
    }

    fn build_key(&self, engine: &Engine) -> Key {
        let repository = engine.options.outputs.destinations.first().map(Reference::name);
        let platform = engine.options.platform.to_string();
        build_key(repository.as_deref(), &self.stage_name(self.target), &platform)
    }

    fn told(
        &self,
        number: usize,
        forecast: &Forecast,
        instruction: &Instruction,
        files: &Files,
    ) -> Option<Told> {
        let (step, definition) = (files.step.as_ref()?, files.definition?);
        let text = one_line(&instruction.text);
        Some(Told::new(&self.stage_name(number), text, forecast.root, definition, &step.inputs))
    }

    /// The instructions of a stage, with what is known of each.
    fn instructions<'f>(
        &'f self,
        number: usize,
        forecast: &'f Forecast,
    ) -> impl Iterator<Item = (&'f Instruction, &'f Foreseen)> {
        forecast.triggered.iter().chain(self.graph.instructions(number)).zip(&forecast.steps)
    }

    /// What a build would do.
    pub(crate) fn planned(&self, progress: &Progress<'_>) -> Result<Vec<PlannedStage>> {
        let needed = self.needed_of(progress)?;
        let mut stages = Vec::new();
        for (&number, forecast) in &progress.forecasts {
            let is_needed = needed.contains(&number);
            let steps = self.instructions(number, forecast).enumerate();
            let steps = steps.map(|(position, (instruction, foreseen))| {
                let files = foreseen.files.as_ref();
                let what = match files {
                    _ if !is_needed => Planned::Pruned,
                    None => Planned::Config,
                    Some(files) if forecast.has(position, files) => Planned::Cached,
                    Some(_) => Planned::Build,
                };
                let key = files.and_then(|files| files.definition).map(|key| key.hex());
                PlannedStep { text: one_line(&instruction.text), key, what }
            });
            let steps = steps.collect();
            stages.push(PlannedStage {
                name: self.stage_name(number),
                base: self.base_name(number),
                is_needed,
                steps,
            });
        }
        Ok(stages)
    }

    /// The stages of which something has to be done.
    fn needed_of(&self, progress: &Progress<'_>) -> Result<BTreeSet<usize>> {
        let mut needed = BTreeSet::new();
        let mut pending: Vec<usize> = self.others.iter().copied().chain([self.target]).collect();
        while let Some(number) = pending.pop() {
            let Some(forecast) = progress.forecasts.get(&number) else { continue };
            if !needed.insert(number) {
                continue;
            }
            if let (Some(base), None) = (forecast.base, &forecast.hit) {
                pending.push(base);
            }
            for (position, (instruction, foreseen)) in self.instructions(number, forecast).enumerate() {
                if foreseen.files.as_ref().is_none_or(|files| forecast.has(position, files)) {
                    continue;
                }
                for from in instruction.froms() {
                    if let Origin::Stage(other) = self.graph.origin(number, from)? {
                        pending.push(other);
                    }
                }
            }
        }
        Ok(needed)
    }

    /// A stage that starts from no other, as its FROM leaves it; from a directory, without its files.
    pub(crate) fn root(&self, engine: &Engine, number: usize, progress: &mut Progress<'_>) -> Result<Stage> {
        let node = &self.graph.nodes[number];
        let name = self.stage_name(number);
        let platform = self.platform(engine, number)?;
        Ok(match &node.base {
            Origin::Scratch => Stage::new(&name, Image::scratch(&platform)),
            Origin::Stage(_) => {
                return Err(Error::new("a stage that starts from a stage has no root of its own"));
            }
            Origin::Image(reference) => {
                Stage::new(&name, engine.pull(&reference.parse::<Reference>()?, &platform)?)
            }
            Origin::Context(context) => match progress.sources.context(engine, context, &platform)? {
                Given::Image(image) => Stage::new(&name, image),
                Given::Directory(directory) => {
                    let mut stage = Stage::new(&name, Image::scratch(&platform));
                    stage.lineage = Lineage::of_root(directory_key(&*directory)?);
                    stage
                }
            },
        })
    }

    /// What a step of a stage may use.
    pub(crate) fn surroundings<'p>(
        &'p self,
        engine: &'p Engine<'p>,
        number: usize,
        progress: &'p mut Progress<'_>,
    ) -> Surroundings<'p> {
        let escape = self.dockerfile.directives.escape;
        Surroundings { engine, sources: &mut progress.sources, graph: self.graph, number, escape }
    }
}

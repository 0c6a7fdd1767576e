//! Forecasts: what is known of a stage before anything of it is built.
//!
//! Every instruction that only changes the config is done, to see what the others come to; and those others get
//! their keys. So all keys of all stages are known at the beginning, and a cache is asked for all of them at
//! once, through `FROM` and `COPY --from` of stages that nobody will have to build.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cache::{Domain, Key};
use dockerfile::graph::Origin;
use dockerfile::{Instruction, InstructionKind};
use oci::{Platform, Reference};

use crate::attempt::Attempt;
use crate::error::{Error, Result};
use crate::event::Event;
use crate::explain::{Comparison, Told, build_key};
use crate::image::Image;
use crate::layer_cache::{Found, LayerCache, definition_key};
use crate::lineage::Lineage;
use crate::making::{one_line, triggers};
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
    pub(crate) found: Arc<Found>,
}

impl Attempt<'_> {
    /// Looks ahead, and asks the cache.
    pub(crate) fn foresee(&mut self, cache: &LayerCache) -> Result<()> {
        let engine = self.engine;
        let stages = &self.plan.dockerfile.stages;
        let names: Vec<&str> = stages.iter().map(|stage| stage.name.as_deref().unwrap_or_default()).collect();
        cache.tell_unknown_stages(&*engine.options.report, &names);
        let destinations = engine.begin_to_check_destinations();
        let mut forecasts = self.look_ahead(Some(cache))?;
        self.ask(cache, &mut forecasts)?;
        engine.end_to_check_destinations(destinations)?;
        if engine.options.explain {
            self.explain(cache, &forecasts)?;
        }
        self.forecasts = forecasts;
        Ok(())
    }

    /// Looks ahead only to learn what the builds for other platforms do as well.
    pub(crate) fn foresee_for_others(&mut self) -> Result<()> {
        self.forecasts = self.look_ahead(None)?;
        Ok(())
    }

    fn look_ahead(&mut self, cache: Option<&LayerCache>) -> Result<BTreeMap<usize, Forecast>> {
        let engine = self.engine;
        engine.pull_ahead(self.images())?;
        let mut forecasts: BTreeMap<usize, Forecast> = BTreeMap::new();
        for &number in self.plan.needed {
            let forecast = engine.timings.measure("keys", || self.forecast(cache, number, &forecasts));
            match forecast {
                Ok(forecast) => {
                    let known = forecast.end.as_ref().and_then(|end| end.lineage.definition);
                    self.sources.definitions.extend(known.map(|definition| (number, definition)));
                    forecasts.insert(number, forecast);
                }
                // The build will come to it, and then it is an error; or it is not needed.
                Err(error) => {
                    engine.check_cancel()?;
                    let name = self.plan.stage_name(number);
                    let what = match cache {
                        Some(_) => "looked for in the cache",
                        None => "compared with those for other platforms",
                    };
                    engine.report(Event::Note(format!("stage {name} is not {what}: {error}")));
                }
            }
        }
        Ok(forecasts)
    }

    /// The images of registries that will be asked for, as far as they are named.
    fn images(&self) -> Vec<(Reference, Platform)> {
        let mut wanted = Vec::new();
        for &number in self.plan.needed {
            let node = &self.plan.graph.nodes[number];
            let platform = match &node.platform {
                Some(text) => text.parse().ok(),
                None => Some(self.plan.platform.clone()),
            };
            let origins = self
                .plan
                .graph
                .instructions(number)
                .iter()
                .flat_map(Instruction::froms)
                .filter_map(|from| self.plan.graph.origin(number, from).ok())
                .map(|origin| (origin, Some(self.plan.platform.clone())));
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
        cache: Option<&LayerCache>,
        number: usize,
        forecasts: &BTreeMap<usize, Forecast>,
    ) -> Result<Forecast> {
        let name = self.plan.stage_name(number);
        let (mut stage, base) = match &self.plan.graph.nodes[number].base {
            Origin::Stage(base) => {
                let end = forecasts.get(base).and_then(|forecast| forecast.end.as_ref());
                let end = end.ok_or_else(|| Error::new("what it starts from is not known"))?;
                (end.derive(&name), Some(*base))
            }
            _ => (self.root(number)?, None),
        };
        let triggered = triggers(&mut stage)?;
        let (start, root) = (stage.image.clone(), stage.root_key());
        let mut anew = cache.is_some_and(|cache| cache.leaves_out(&name, number));
        let is_anew = anew;
        // What is made on something new is found by what that has come to, and not by how it is made.
        anew |= base.is_some_and(|base| forecasts[&base].anew);
        let instructions = triggered.iter().chain(self.plan.graph.instructions(number));
        let mut steps = Vec::new();
        let mut is_known = true;
        for instruction in instructions {
            for from in instruction.froms() {
                if let Ok(Origin::Stage(other)) = self.plan.graph.origin(number, from) {
                    anew |= forecasts.get(&other).is_none_or(|other| other.anew);
                }
            }
            let around = self.surroundings(number);
            let Ok(foretold) = foretell(&around, &mut stage, instruction) else {
                is_known = false;
                break;
            };
            let files = match foretold {
                Foretold::Configured => None,
                Foretold::Files(created_by) => {
                    let step = match stage.lineage.definition {
                        Some(_) => {
                            step_key(&around, &stage, instruction, Level::Definition).unwrap_or_default()
                        }
                        None => None,
                    };
                    let definition = match (&step, stage.lineage.definition) {
                        (Some(step), Some(beneath)) => Some(definition_key(beneath, step)),
                        _ => None,
                    };
                    stage.lineage.definition = definition;
                    stage.image.push_history(self.engine.created(), created_by, false);
                    let is_kept =
                        cache.map(LayerCache::options).is_some_and(|options| match instruction.kind {
                            InstructionKind::Run(_) => options.run_layers,
                            InstructionKind::Workdir(_) => options.run_layers || options.copy_layers,
                            _ => options.copy_layers,
                        });
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
        Ok(Forecast { base, triggered, steps, hit: None, start, root, end: is_known.then_some(stage), anew })
    }

    /// Asks for everything at once, and notes the last hit of each stage.
    fn ask(&self, cache: &LayerCache, forecasts: &mut BTreeMap<usize, Forecast>) -> Result<()> {
        let may_be_found = |files: &Files| files.definition.filter(|_| files.may_be_found);
        let mut tags: Vec<String> = forecasts
            .values()
            .flat_map(|forecast| &forecast.steps)
            .filter_map(|step| step.files.as_ref().and_then(may_be_found))
            .map(|key| key.tag(Domain::Definition))
            .collect();
        tags.sort();
        tags.dedup();
        let found = self.engine.timings.measure("ask the cache", || cache.records(self.engine, &tags))?;
        let found: BTreeMap<String, Arc<Found>> =
            found.into_iter().map(|(tag, found)| (tag, Arc::new(found))).collect();
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
    fn explain(&self, cache: &LayerCache, forecasts: &BTreeMap<usize, Forecast>) -> Result<()> {
        let earlier = cache.earlier(self.engine, self.build_key())?;
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
                let (stage, step) = (self.plan.stage_name(number), one_line(&instruction.text));
                self.engine.report(Event::Explained { stage, step, found, reason, differences });
            }
        }
        Ok(())
    }

    /// Leaves what the steps were made of for later builds, if this one has made something.
    pub(crate) fn keep_inputs(&self, cache: &LayerCache) -> Result<()> {
        if !self.sources.stages.done().iter().any(|stage| stage.read().lineage.is_new) {
            return Ok(());
        }
        let mut steps = Vec::new();
        for (&number, forecast) in &self.forecasts {
            let told = self.instructions(number, forecast).filter_map(|(instruction, foreseen)| {
                self.told(number, forecast, instruction, foreseen.files.as_ref()?)
            });
            steps.extend(told);
        }
        cache.keep_inputs(self.build_key(), &steps)
    }

    fn build_key(&self) -> Key {
        let repository = self.engine.options.outputs.destinations.first().map(Reference::name);
        let platform = self.plan.platform.to_string();
        build_key(repository.as_deref(), &self.plan.stage_name(self.plan.target), &platform)
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
        Some(Told::new(&self.plan.stage_name(number), text, forecast.root, definition, &step.inputs))
    }

    /// The instructions of a stage, with what is known of each.
    fn instructions<'f>(
        &'f self,
        number: usize,
        forecast: &'f Forecast,
    ) -> impl Iterator<Item = (&'f Instruction, &'f Foreseen)> {
        forecast.triggered.iter().chain(self.plan.graph.instructions(number)).zip(&forecast.steps)
    }

    /// What a build would do.
    pub(crate) fn planned(&self) -> Result<Vec<PlannedStage>> {
        let needed = self.needed()?;
        let mut stages = Vec::new();
        let mut begun = BTreeSet::new();
        for (&number, forecast) in &self.forecasts {
            let is_needed = needed.contains(&number);
            let mut steps = Vec::new();
            for (position, (instruction, foreseen)) in self.instructions(number, forecast).enumerate() {
                let files = foreseen.files.as_ref();
                let definition = files.and_then(|files| files.definition);
                let what = match files {
                    _ if !is_needed => Planned::Pruned,
                    None => Planned::Config,
                    Some(files) if forecast.has(position, files) => Planned::Cached,
                    Some(_) if definition.is_some_and(|key| !begun.insert(key)) => Planned::Joined,
                    Some(_) => Planned::Build,
                };
                let key = definition.map(|key| key.hex());
                steps.push(PlannedStep { text: one_line(&instruction.text), key, what });
            }
            let after = if is_needed { self.awaited(number, forecast)? } else { BTreeSet::new() };
            stages.push(PlannedStage {
                name: self.plan.stage_name(number),
                base: self.plan.base_name(number),
                after: after.into_iter().map(|other| self.plan.stage_name(other)).collect(),
                is_needed,
                steps,
            });
        }
        Ok(stages)
    }

    /// The stages of which something has to be done.
    pub(crate) fn needed(&self) -> Result<BTreeSet<usize>> {
        let mut needed = BTreeSet::new();
        let mut pending: Vec<usize> = self.plan.others.iter().copied().chain([self.plan.target]).collect();
        while let Some(number) = pending.pop() {
            if !needed.insert(number) {
                continue;
            }
            // One of which nothing is known asks for what it needs when it comes to it.
            if let Some(forecast) = self.forecasts.get(&number) {
                pending.extend(self.awaited(number, forecast)?);
            }
        }
        Ok(needed)
    }

    /// The stages that have to be built for one.
    fn awaited(&self, number: usize, forecast: &Forecast) -> Result<BTreeSet<usize>> {
        let mut awaited: BTreeSet<usize> =
            forecast.base.filter(|_| forecast.hit.is_none()).into_iter().collect();
        for (position, (instruction, foreseen)) in self.instructions(number, forecast).enumerate() {
            if foreseen.files.as_ref().is_some_and(|files| !forecast.has(position, files)) {
                awaited.extend(self.plan.taken_from(number, instruction)?);
            }
        }
        Ok(awaited)
    }

    /// The definitions of steps that several stages have to carry out: those of this build, and whatever the builds for
    /// other platforms may have as well.
    pub(crate) fn common(&self, needed: &BTreeSet<usize>) -> BTreeSet<Key> {
        let (mut seen, mut common) = (BTreeSet::new(), BTreeSet::new());
        let has_others = self.engine.member.family.has_several;
        for number in needed {
            let Some(forecast) = self.forecasts.get(number) else { continue };
            for (position, step) in forecast.steps.iter().enumerate() {
                let files = step.files.as_ref().filter(|files| !forecast.has(position, files));
                common.extend(
                    files.and_then(|files| files.definition).filter(|key| !seen.insert(*key) || has_others),
                );
            }
        }
        common
    }

    /// A stage that starts from no other, as its FROM leaves it; from a directory, without its files.
    pub(crate) fn root(&self, number: usize) -> Result<Stage> {
        let name = self.plan.stage_name(number);
        let platform = self.plan.platform(number)?;
        Ok(match &self.plan.graph.nodes[number].base {
            Origin::Scratch => Stage::new(&name, Image::scratch(&platform)),
            Origin::Stage(_) => {
                return Err(Error::new("a stage that starts from a stage has no root of its own"));
            }
            Origin::Image(reference) => {
                Stage::new(&name, self.engine.pull(&reference.parse::<Reference>()?, &platform)?)
            }
            Origin::Context(context) => match self.sources.context(self.engine, context, &platform)? {
                Given::Image(image) => Stage::new(&name, image),
                Given::Directory(directory) => {
                    let mut stage = Stage::new(&name, Image::scratch(&platform));
                    stage.lineage =
                        Lineage::of_root(directory_key(&*directory, self.engine.options.jobs.get())?);
                    stage
                }
            },
        })
    }

    /// What a step of a stage may use.
    pub(crate) fn surroundings(&self, number: usize) -> Surroundings<'_> {
        Surroundings {
            engine: self.engine,
            sources: &self.sources,
            graph: self.plan.graph,
            number,
            name: self.name(number),
            escape: self.plan.dockerfile.directives.escape,
        }
    }
}

//! One attempt at a build: its stages side by side, and what they share.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use cache::Key;

use crate::checks::Checks;
use crate::deliver::deliver;
use crate::engine::Engine;
use crate::error::{Context, Error, Result};
use crate::event::{Event, StageName, Warning};
use crate::forecast::Forecast;
use crate::jobs::Seat;
use crate::layer_cache::{LayerCache, base_layers};
use crate::making::Making;
use crate::once::lock;
use crate::output::{Finished, Uploads};
use crate::plan::Plan;
use crate::sources::Sources;
use crate::stages::{Claimed, SharedStage};

/// What the stages of a build share until one of them fails, or all are done.
pub(crate) struct Attempt<'a> {
    pub(crate) engine: &'a Engine<'a>,
    pub(crate) plan: &'a Plan<'a>,
    pub(crate) checks: &'a Checks<'a>,
    pub(crate) sources: Sources,
    pub(crate) uploads: Mutex<Uploads>,
    /// What is known of stages before they are built, where a cache is asked.
    pub(crate) forecasts: BTreeMap<usize, Forecast>,
    /// Steps that several stages have, by their definitions. One stage carries each out.
    pub(crate) common: BTreeSet<Key>,
    /// What has gone wrong first; what goes wrong later does so for that reason.
    failure: Mutex<Option<Error>>,
}

/// What other stages are ended with when one has failed: SIGTERM, as if somebody had ended the build.
pub(crate) const TERMINATE: i32 = 15;

/// The stack of a stage's thread in bytes: what the first thread of a program has. Only what is used takes memory.
pub(crate) const STACK: usize = 8 << 20;

impl<'a> Attempt<'a> {
    /// Nothing is built yet.
    pub(crate) fn new(engine: &'a Engine<'a>, plan: &'a Plan<'a>, checks: &'a Checks<'a>) -> Self {
        Attempt {
            engine,
            plan,
            checks,
            sources: Sources::default(),
            uploads: Mutex::new(engine.uploads()),
            forecasts: BTreeMap::new(),
            common: BTreeSet::new(),
            failure: Mutex::default(),
        }
    }

    /// Builds what is needed, and brings the target to every output.
    pub(crate) fn carry_through(mut self) -> Result<Finished> {
        self.build_stages()?;
        let stage = self.sources.stages.take(self.plan.target).expect("it is done, and everybody else is");
        let Attempt { engine, sources, uploads, .. } = self;
        engine.check_cancel()?;
        if let Some(mounts) = &engine.kept_mounts {
            mounts.begin(engine)?;
        }
        // What other stages have on disk is not needed any more.
        drop(sources);
        deliver(engine, stage, uploads.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    fn build_stages(&mut self) -> Result<()> {
        let engine = self.engine;
        match &engine.layer_cache {
            None => {
                let needed = self.plan.needed.iter().copied().collect();
                if engine.member.family.has_several && self.plan.names_platforms() {
                    self.foresee_for_others()?;
                    self.common = self.common(&needed);
                }
                self.side_by_side(&needed)?;
            }
            Some(cache) => {
                self.foresee(cache)?;
                let needed = self.needed()?;
                self.common = self.common(&needed);
                self.side_by_side(&needed)?;
                self.pass_over()?;
                self.keep_indexes(cache);
                self.keep_inputs(cache)?;
            }
        }
        for context in &engine.options.contexts {
            if !self.sources.has_used(&context.name) {
                let text = format!("named context {} is not used", context.name);
                engine.report(Warning::new(text).into());
            }
        }
        Ok(())
    }

    /// Builds stages, each in a thread of its own. The first that fails ends the others.
    fn side_by_side(&self, wanted: &BTreeSet<usize>) -> Result<()> {
        let member = self.engine.member;
        let (jobs, platform) = (&member.family.jobs, member.number);
        jobs.announce(wanted.iter().map(|number| (platform, *number)));
        std::thread::scope(|scope| {
            for &number in wanted {
                let turn = (platform, number);
                let work = move || {
                    let seat = jobs.begin(turn);
                    // Why it has failed is known by then.
                    let _ = self.complete(&seat, number);
                };
                let name = format!("stage {}", self.plan.stage_name(number));
                let thread = std::thread::Builder::new().name(name).stack_size(STACK);
                if let Err(error) = thread.spawn_scoped(scope, work).during("start a thread") {
                    jobs.withdraw(turn);
                    self.fail(error);
                }
            }
        });
        match lock(&self.failure).take() {
            Some(error) => {
                self.engine.cancel().restore();
                Err(error)
            }
            None => Ok(()),
        }
    }

    /// A stage that is done: built now, unless it is built or somebody is at it.
    pub(crate) fn complete(&self, seat: &Seat<'_>, number: usize) -> Result<SharedStage> {
        let failed = || Error::new(format!("stage {} has failed", self.plan.stage_name(number)));
        match self.sources.stages.claim(number, seat) {
            Claimed::Done(stage) => Ok(stage),
            Claimed::Failed => Err(failed()),
            Claimed::Ours(claim) => match Making::new(self, seat, number).make() {
                Ok(stage) => Ok(claim.done(stage)),
                Err(error) => {
                    // Before anybody learns that there is no such stage.
                    self.fail(error);
                    Err(failed())
                }
            },
        }
    }

    fn fail(&self, error: Error) {
        lock(&self.failure).get_or_insert(error);
        self.engine.cancel().cancel(TERMINATE);
    }

    /// A stage as events name it.
    pub(crate) fn name(&self, number: usize) -> Arc<StageName> {
        Arc::new(StageName {
            name: self.plan.stage_name(number),
            platform: self.engine.member.family.has_several.then(|| self.plan.platform.to_string()),
            is_one_of_several: self.plan.needed.len() > 1,
        })
    }

    /// Says of stages that were not built what is said of every stage.
    fn pass_over(&self) -> Result<()> {
        for &number in self.plan.needed {
            if self.sources.stages.get(number).is_some() {
                continue;
            }
            let Some(forecast) = self.forecasts.get(&number) else { continue };
            let from = self.plan.dockerfile.stages[number].span;
            if forecast.base.is_none() {
                self.check_platform(number, &forecast.start).map_err(|error| error.at(from))?;
            }
            let (graph, globals) = (self.plan.graph, &self.engine.globals);
            self.checks.stage(graph, globals, number, &forecast.start, &forecast.triggered)?;
            let name = self.plan.stage_name(number);
            let text = format!("stage {name} is not built: all that is taken from it is cached");
            self.engine.report(Event::Note(text));
        }
        Ok(())
    }

    /// Keeps what the layers of bases say, so that nobody has to fetch those to know it.
    fn keep_indexes(&self, cache: &LayerCache) {
        for stage in self.sources.all() {
            let stage = stage.read();
            let layers = base_layers(&stage.image.layers);
            if layers.iter().all(|layer| self.engine.has_index(layer.diff_id)) {
                cache.keep_indexes(self.engine, layers);
            }
        }
    }
}

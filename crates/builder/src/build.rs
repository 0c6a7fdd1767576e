//! A build from end to end: which stages, in which order, and what becomes of the last one.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use cache::{Domain, Key, Location as CacheLocation, RecordLayer};
use dockerfile::graph::Origin;
use dockerfile::{Dockerfile, GlobalScope, Graph, Instruction, InstructionKind, PlatformArgs};
use oci::{Descriptor, Digest, Platform};
use tokio::runtime::Handle;

use crate::attestation;
use crate::checks::{Checks, obey_syntax};
use crate::context::describe;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::event::{Event, Warning};
use crate::forecast::{Files, Forecast, Hit};
use crate::image::{Image, Layer, LayerOrigin, Made};
use crate::layer_cache::{Found, LayerCache, base_layers, content_key};
use crate::layer_summary::summaries;
use crate::options::Options;
use crate::output::{
    AnnotationLevel, Finished, Uploads, annotations_at, check_annotations, write_archive, write_digest_files,
    write_layout, write_metadata_file,
};
use crate::planned::PlannedStage;
use crate::sources::{self, Given, Sources};
use crate::squash::squash;
use crate::stage::Stage;
use crate::step::{Foretold, Level, StepKey, carry_out, foresee, foretell, refuse, step_key};
use crate::timings::Timings;

/// What a build has come to.
#[derive(Debug)]
pub struct Outcome {
    /// The image's manifest.
    pub digest: Digest,
    /// Its type, digest and size.
    pub descriptor: Descriptor,
    /// The config, if it is one image.
    pub config: Option<Digest>,
    /// How an index lists what is stated of the image.
    pub(crate) attestation: Option<Descriptor>,
    /// Where the time went.
    pub timings: Timings,
}

/// Builds the target stage and brings it to every output. Nothing has a name anywhere until all of it is
/// there; what is on disk is removed, whatever the outcome.
pub fn build(options: &Options, runtime: Handle) -> Result<Outcome> {
    build_target(options, runtime).map_err(|error| match options.cancel.signal() {
        // Whatever went wrong then went wrong for that reason.
        Some(signal) => Error::ended_by(signal),
        None => error,
    })
}

fn build_target(options: &Options, runtime: Handle) -> Result<Outcome> {
    let outputs = &options.outputs;
    check_annotations(&outputs.annotations, outputs.format, outputs.in_index)?;
    with_plan(options, runtime, |engine, plan, checks| {
        plan.refuse_what_cannot_be_done(engine)?;
        if engine.layer_cache.is_none() {
            engine.end_to_check_destinations(engine.begin_to_check_destinations())?;
        }
        let finished = plan.execute(engine, checks)?;
        let attestation = finished.attestation.as_ref();
        let attestation = attestation.map(|stated| attestation::descriptor(&finished, stated));
        Ok((finished.descriptor(), finished.config.digest(), attestation))
    })
    .map(|((descriptor, config, attestation), timings)| {
        let (digest, config) = (descriptor.digest, Some(config));
        Outcome { digest, descriptor, config, attestation, timings }
    })
}

/// Says what a build would do, and does nothing of it. The options must have a cache, if one with nothing in it.
pub fn plan(options: &Options, runtime: Handle) -> Result<Vec<PlannedStage>> {
    with_plan(options, runtime, |engine, plan, checks| {
        let cache = engine.layer_cache.as_ref().ok_or_else(|| Error::new("a plan needs a cache"))?;
        let mut progress = plan.begin(engine, checks);
        plan.foresee(engine, cache, &mut progress)?;
        plan.planned(&progress)
    })
    .map(|(planned, _)| planned)
}

/// Makes everything ready that a build needs, and removes it after the work.
fn with_plan<T>(
    options: &Options,
    runtime: Handle,
    work: impl FnOnce(&Engine<'_>, &Plan<'_>, Checks<'_>) -> Result<T>,
) -> Result<(T, Timings)> {
    if options.platform.os == "windows" {
        return Err(Error::new(format!("an image for {} cannot be built", options.platform))
            .hint("layers of Windows have another form, which is not written here"));
    }
    obey_syntax(options)?;
    let dockerfile = dockerfile::parse(&options.dockerfile).map_err(parse_error)?;
    let platform = options.platform.to_string();
    let platform_args =
        PlatformArgs::new(&Platform::host().to_string(), &platform, options.target.as_deref());
    let mut checks = Checks::begin(&dockerfile, &platform_args, options, true)?;
    let scope = GlobalScope::new(&dockerfile, &platform_args, &options.build_args)
        .map_err(|error| Error::new(format!("ARG {}: {}", error.name, error.source)).at(error.span))?;
    for (name, meant) in scope.unused_build_args(&dockerfile) {
        let hint = meant.map_or(String::new(), |meant| format!(" (did you mean {meant}?)"));
        let text = format!("build argument {name} is declared by no ARG{hint}");
        options.report.event(Warning::new(text).into());
    }
    for (name, why) in WITHOUT_EFFECT {
        if options.build_args.contains_key(name) {
            let text = format!("build argument {name} is without effect: {why}");
            options.report.event(Warning::new(text).into());
        }
    }
    let graph = Graph::new(&dockerfile, &scope, &options.contexts, &platform)?;
    let target = graph.target(options.target.as_deref())?;
    let mut needed: BTreeSet<usize> = graph.reachable(target)?.into_iter().collect();
    let mut others = Vec::new();
    for other in &options.other_targets {
        let other = graph.target(Some(other))?;
        needed.extend(graph.reachable(other)?);
        others.push(other);
    }
    let needed: Vec<usize> = needed.into_iter().collect();
    checks.stages(&graph, &scope, &needed)?;

    sources::check(&options.contexts)?;
    let engine = Engine::new(options, runtime, scope)?;
    let plan = Plan { dockerfile: &dockerfile, graph: &graph, needed: &needed, target, others: &others };
    let done = work(&engine, &plan, checks)?;
    engine.clean_up()?;
    Ok((done, engine.timings))
}

/// Build arguments that mean something to BuildKit alone. `BUILDKIT_BUILD_NAME` is left out: it is for its
/// display, and nobody misses it.
const WITHOUT_EFFECT: [(&str, &str); 4] = [
    ("BUILDKIT_INLINE_CACHE", "no cache is put into images"),
    ("BUILDKIT_MULTI_PLATFORM", "--platform with several makes an index, with one a manifest"),
    ("BUILDKIT_SBOM_SCAN_CONTEXT", "a bill of materials is of the image alone"),
    ("BUILDKIT_SBOM_SCAN_STAGE", "a bill of materials is of the image alone"),
];

/// The stages of one build.
pub(crate) struct Plan<'a> {
    pub(crate) dockerfile: &'a Dockerfile,
    pub(crate) graph: &'a Graph<'a>,
    /// Those that the target needs.
    pub(crate) needed: &'a [usize],
    pub(crate) target: usize,
    /// Stages that are to be built too, though nothing becomes of them.
    pub(crate) others: &'a [usize],
}

/// What has been built so far.
pub(crate) struct Progress<'a> {
    pub(crate) sources: Sources,
    uploads: Uploads,
    checks: Checks<'a>,
    /// Instructions begun, and how many there are in all as far as is known.
    begun: usize,
    total: usize,
    /// What is known of stages before they are built, where a cache is asked.
    pub(crate) forecasts: BTreeMap<usize, Rc<Forecast>>,
}

impl Plan<'_> {
    /// A build that cannot succeed fails before anything is pulled.
    fn refuse_what_cannot_be_done(&self, engine: &Engine) -> Result<()> {
        for instruction in self.needed.iter().flat_map(|stage| self.graph.instructions(*stage)) {
            refuse(instruction).map_err(|error| located(error, instruction))?;
            if let InstructionKind::Run(run) = &instruction.kind {
                foresee(engine, run).map_err(|error| located(error, instruction))?;
            }
        }
        Ok(())
    }

    /// Builds what is needed. If something of a cache turns out to be damaged, once more without that.
    fn execute(&self, engine: &Engine, checks: Checks) -> Result<Finished> {
        let mut checks = Some(checks);
        let mut told = false;
        let outcome = loop {
            let attempt = self.attempt(engine, &mut checks);
            match (&attempt, &engine.layer_cache) {
                (Err(error), Some(cache)) if engine.cancel().signal().is_none() => {
                    let Some(blob) = error.damaged.filter(|blob| cache.distrust(*blob)) else {
                        break attempt;
                    };
                    let text = format!("the cache has no use for {blob}, so what needs it is built: {error}");
                    // Once is enough to know that something is wrong there.
                    engine.report(match std::mem::replace(&mut told, true) {
                        false => Warning::new(text).into(),
                        true => {
                            cache.stop_asking();
                            Event::Note(text)
                        }
                    });
                }
                _ => break attempt,
            }
        };
        if let Some(cache) = &engine.layer_cache
            && engine.cancel().signal().is_none()
        {
            // What was made before a failure is of use to the next build.
            cache.finish(engine)?;
        }
        if let Some(mounts) = &engine.kept_mounts
            && engine.cancel().signal().is_none()
        {
            mounts.finish(engine)?;
        }
        outcome
    }

    fn attempt<'c>(&self, engine: &Engine, checks: &mut Option<Checks<'c>>) -> Result<Finished> {
        let mut progress = self.begin(engine, checks.take().expect("every attempt gives them back"));
        let built = self.build_stages(engine, &mut progress);
        *checks = Some(progress.checks);
        built?;
        let stage = progress.sources.stages.remove(&self.target).expect("the target is among what it needs");
        engine.check_cancel()?;
        if let Some(mounts) = &engine.kept_mounts {
            mounts.begin(engine)?;
        }
        // What other stages have on disk is not needed any more.
        drop(progress.sources);
        self.output(engine, stage, progress.uploads)
    }

    /// Nothing is built yet.
    fn begin<'c>(&self, engine: &Engine, checks: Checks<'c>) -> Progress<'c> {
        let total = self.needed.iter().map(|stage| self.graph.instructions(*stage).len()).sum();
        let (sources, uploads) = (Sources::default(), engine.uploads());
        Progress { sources, uploads, checks, begun: 0, total, forecasts: BTreeMap::new() }
    }

    fn build_stages(&self, engine: &Engine, progress: &mut Progress<'_>) -> Result<()> {
        match &engine.layer_cache {
            None => self.needed.iter().try_for_each(|number| self.complete(engine, *number, progress))?,
            Some(cache) => {
                self.foresee(engine, cache, progress)?;
                for number in self.others.iter().chain([&self.target]) {
                    self.complete(engine, *number, progress)?;
                }
                self.pass_over(engine, progress)?;
                self.keep_indexes(engine, cache, progress);
                self.keep_inputs(engine, cache, progress)?;
            }
        }
        for context in &engine.options.contexts {
            if !progress.sources.has_used(&context.name) {
                let text = format!("named context {} is not used", context.name);
                engine.report(Warning::new(text).into());
            }
        }
        Ok(())
    }

    /// Says of stages that were not built what is said of every stage.
    fn pass_over(&self, engine: &Engine, progress: &mut Progress<'_>) -> Result<()> {
        for &number in self.needed {
            if progress.sources.stages.contains_key(&number) {
                continue;
            }
            let Some(forecast) = progress.forecasts.get(&number).cloned() else { continue };
            let from = self.dockerfile.stages[number].span;
            if forecast.base.is_none() {
                self.check_platform(engine, number, &forecast.start, progress)
                    .map_err(|error| error.at(from))?;
            }
            let (globals, start) = (&engine.globals, &forecast.start);
            progress.checks.stage(self.graph, globals, number, start, &forecast.triggered)?;
            let text = format!(
                "stage {} is not built: all that is taken from it is cached",
                self.stage_name(number)
            );
            engine.report(Event::Note(text));
        }
        Ok(())
    }

    /// Keeps what the layers of bases say, so that nobody has to fetch those to know it.
    fn keep_indexes(&self, engine: &Engine, cache: &LayerCache, progress: &Progress<'_>) {
        for stage in progress.sources.all() {
            let layers = base_layers(&stage.image.layers);
            if layers.iter().all(|layer| engine.has_index(layer.diff_id)) {
                cache.keep_indexes(engine, layers);
            }
        }
    }

    /// Builds a stage, unless it is built, and what it turns out to need.
    fn complete(&self, engine: &Engine, number: usize, progress: &mut Progress<'_>) -> Result<()> {
        if progress.sources.stages.contains_key(&number) {
            return Ok(());
        }
        let written = &self.dockerfile.stages[number];
        let from = written.span;
        let forecast = progress.forecasts.get(&number).cloned();
        let hit = forecast.as_ref().and_then(|forecast| forecast.hit.clone());
        engine.report(Event::Stage { name: self.stage_name(number), base: self.base_name(number) });
        let mut stage = match &hit {
            Some(hit) => self.revive(engine, number, hit, progress),
            None => self.start(engine, number, progress),
        }
        .map_err(|error| error.at(from))?;
        stage.shares_base = self.shares_base(number);
        let triggered = triggers(&mut stage).map_err(|error| error.at(from))?;
        triggered.iter().try_for_each(refuse).map_err(|error| error.only_at(from))?;
        progress.checks.stage(self.graph, &engine.globals, number, &stage.image, &triggered)?;
        progress.total += triggered.len();

        let is_target = number == self.target;
        if is_target {
            progress.uploads.begin(&stage.image);
        }
        let instructions: Vec<(&Instruction, bool)> = triggered
            .iter()
            .map(|instruction| (instruction, true))
            .chain(self.graph.instructions(number).iter().map(|instruction| (instruction, false)))
            .collect();
        let first_new = hit.as_ref().map_or(0, |hit| hit.position + 1);
        for (position, (instruction, is_trigger)) in instructions.iter().enumerate() {
            let blame = |error: Error| {
                if *is_trigger { error.only_at(from) } else { located(error, instruction) }
            };
            let still_to_run = &instructions[position.max(first_new).min(instructions.len())..];
            stage.will_run = still_to_run.iter().any(|(instruction, _)| is_run(instruction));
            stage.runs_now = position >= first_new && is_run(instruction);
            let before = stage.image.layers.len();
            let foreseen = forecast.as_ref().and_then(|forecast| forecast.steps.get(position));
            let known = Known { files: foreseen.and_then(|step| step.files.as_ref()), hit: None };
            let known = Known { hit: hit.as_ref().filter(|_| position < first_new), ..known };
            self.step(engine, number, &mut stage, instruction, &known, progress).map_err(blame)?;
            let is_final = is_target && !engine.options.single_snapshot;
            for layer in stage.image.layers.iter().skip(before).filter(|_| is_final) {
                progress.uploads.layer(engine, layer).map_err(blame)?;
            }
        }
        if self.others_with_runs(number).any(|other| self.graph.nodes[other].base == Origin::Stage(number)) {
            stage.share(engine)?;
        }
        progress.sources.stages.insert(number, stage);
        Ok(())
    }

    /// The other stages that are built and have a RUN, and so need a directory.
    fn others_with_runs(&self, number: usize) -> impl Iterator<Item = usize> {
        let runs = |stage: &usize| self.graph.instructions(*stage).iter().any(is_run);
        self.needed.iter().copied().filter(move |other| *other != number).filter(move |other| runs(other))
    }

    /// True if another stage starts from the same, and needs it in a directory too.
    fn shares_base(&self, number: usize) -> bool {
        let nodes = &self.graph.nodes;
        let same = |other: usize| {
            nodes[other].base == nodes[number].base && nodes[other].platform == nodes[number].platform
        };
        self.others_with_runs(number).any(same)
    }

    /// A stage's name, or its number.
    pub(crate) fn stage_name(&self, number: usize) -> String {
        self.dockerfile.stages[number].name.clone().unwrap_or_else(|| number.to_string())
    }

    /// What a stage is for.
    pub(crate) fn platform(&self, engine: &Engine, number: usize) -> Result<Platform> {
        match &self.graph.nodes[number].platform {
            Some(text) => text.parse::<Platform>().map_err(|error| Error::new(error.to_string())),
            None => Ok(engine.options.platform.clone()),
        }
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

    /// A stage as its FROM leaves it.
    fn start(&self, engine: &Engine, number: usize, progress: &mut Progress<'_>) -> Result<Stage> {
        let node = &self.graph.nodes[number];
        if let Origin::Stage(base) = &node.base {
            self.complete(engine, *base, progress)?;
            let platform = self.platform(engine, number)?;
            let stage = &progress.sources.stages[base];
            let has = stage.image.config.platform();
            if node.platform.is_some() && !platform.accepts(&has) {
                let text = format!(
                    "--platform={platform} does not change the stage {}: it is for {has}",
                    stage.name
                );
                engine.report(Warning::new(text).at(self.dockerfile.stages[number].span).into());
            }
            return Ok(stage.derive(&self.stage_name(number)));
        }
        let mut stage = self.root(engine, number, progress)?;
        self.check_platform(engine, number, &stage.image, progress)?;
        if let Origin::Context(context) = &node.base
            && let Given::Directory(directory) =
                progress.sources.context(engine, context, &self.platform(engine, number)?)?
        {
            engine.lay(&mut stage, &directory, format!("FROM {context}"))?;
        }
        Ok(stage)
    }

    fn check_platform(
        &self,
        engine: &Engine,
        number: usize,
        image: &Image,
        progress: &mut Progress<'_>,
    ) -> Result<()> {
        let (Origin::Image(name) | Origin::Context(name)) = &self.graph.nodes[number].base else {
            return Ok(());
        };
        let wanted = self.platform(engine, number)?.to_string();
        let actual = image.config.platform().to_string();
        progress.checks.base_platform(number, name, &wanted, &actual)
    }

    /// A stage as its FROM leaves it, of which a cache has what comes next: stages that it starts from are not
    /// built for it, but for what the cache does not keep.
    fn revive(
        &self,
        engine: &Engine,
        number: usize,
        hit: &Hit,
        progress: &mut Progress<'_>,
    ) -> Result<Stage> {
        let mut line = vec![number];
        while let Some(base) = progress.forecasts[line.last().expect("it is not empty")].base {
            line.push(base);
        }
        let root = line.pop().expect("it is not empty");
        let mut stage = self.start(engine, root, progress)?;
        stage.image.made_at = hit.found.record.layers.first().map(|layer| layer.created.clone());
        let mut at = root;
        while at != number {
            let forecast = progress.forecasts[&at].clone();
            stage.image.config.config.on_build.clear();
            let instructions = forecast.triggered.iter().chain(self.graph.instructions(at));
            for (instruction, foreseen) in instructions.zip(&forecast.steps) {
                let known = Known { files: foreseen.files.as_ref(), hit: Some(hit) };
                self.perform(engine, at, &mut stage, instruction, &known, progress)
                    .map_err(|error| located(error, instruction))?;
            }
            stage = stage.derive(&self.stage_name(number));
            at = line.pop().expect("it ends with this stage");
        }
        Ok(stage)
    }

    fn step(
        &self,
        engine: &Engine,
        number: usize,
        stage: &mut Stage,
        instruction: &Instruction,
        known: &Known<'_>,
        progress: &mut Progress<'_>,
    ) -> Result<()> {
        engine.check_cancel()?;
        if known.layer().is_none() {
            self.complete_sources(engine, number, instruction, progress)?;
        }
        progress.begun += 1;
        engine.report(Event::Step {
            number: progress.begun,
            total: progress.total,
            stage: stage.name.clone(),
            text: one_line(&instruction.text),
        });
        let start = std::time::Instant::now();
        let layers = stage.image.layers.len();
        self.perform(engine, number, stage, instruction, known, progress)
            .map_err(|error| for_another_machine(error, stage))?;
        let layer = stage.image.layers.get(layers);
        let cached = layer.is_some_and(Layer::is_cached);
        let layer = layer.map(|layer| layer.descriptor.size);
        engine.report(Event::StepDone { elapsed: start.elapsed(), layer, cached });
        Ok(())
    }

    /// Does what an instruction says, or takes what a cache has for it.
    fn perform(
        &self,
        engine: &Engine,
        number: usize,
        stage: &mut Stage,
        instruction: &Instruction,
        known: &Known<'_>,
        progress: &mut Progress<'_>,
    ) -> Result<()> {
        if let Some((found, layer)) = known.layer() {
            return self.adopt(engine, number, stage, instruction, (found, layer.clone()), progress);
        }
        self.complete_sources(engine, number, instruction, progress)?;
        let (Some(cache), Some(files)) = (&engine.layer_cache, known.files) else {
            return carry_out(&mut self.surroundings(engine, number, progress), stage, instruction);
        };
        let content = match &files.step {
            Some(step) => self.content_key(engine, number, stage, instruction, step, progress)?,
            None => None,
        };
        let takes_from_stages = files.step.as_ref().is_some_and(|step| step.takes_from_stages);
        if let Some(content) = content.filter(|_| files.is_kept && !files.is_anew)
            && (stage.lineage.is_new || takes_from_stages)
            && let Some(found) = cache.by_content(engine, content)?
            && let Some(layer) = found.record.last().cloned()
        {
            // It is known by its files, and so is what comes next.
            stage.lineage.is_new = true;
            self.adopt(engine, number, stage, instruction, (&found, layer), progress)?;
            if let Some(definition) = files.definition {
                let keys = [(Domain::Definition, definition)];
                cache.keep(engine, &stage.image.layers, &keys, &one_line(&instruction.text));
            }
            return Ok(());
        }
        stage.lineage.keeps = files.is_kept;
        carry_out(&mut self.surroundings(engine, number, progress), stage, instruction)?;
        stage.lineage.is_new = true;
        let keys: Vec<(Domain, Key)> = files
            .definition
            .map(|key| (Domain::Definition, key))
            .into_iter()
            .chain(content.map(|key| (Domain::Content, key)))
            .collect();
        if files.is_kept && !keys.is_empty() {
            cache.keep(engine, &stage.image.layers, &keys, &one_line(&instruction.text));
        }
        Ok(())
    }

    /// Builds the stages that an instruction takes files from.
    fn complete_sources(
        &self,
        engine: &Engine,
        number: usize,
        instruction: &Instruction,
        progress: &mut Progress<'_>,
    ) -> Result<()> {
        for from in instruction.froms() {
            if let Origin::Stage(other) = self.graph.origin(number, from)? {
                self.complete(engine, other, progress)?;
            }
        }
        Ok(())
    }

    /// The key of a step by the files it is made on, if a cache knows what those are.
    fn content_key(
        &self,
        engine: &Engine,
        number: usize,
        stage: &Stage,
        instruction: &Instruction,
        step: &StepKey,
        progress: &mut Progress<'_>,
    ) -> Result<Option<Key>> {
        let mut around = self.surroundings(engine, number, progress);
        let again;
        let step = if step.takes_from_stages {
            // What is wrong with it will be told by the step itself.
            again = step_key(&mut around, stage, instruction, Level::Content).unwrap_or_default();
            again.as_ref()
        } else {
            Some(step)
        };
        let layers = stage.image.layers.iter().filter_map(|layer| layer.made.as_ref());
        Ok(step.map(|step| content_key(stage.lineage.root, layers.map(|made| made.content), step)))
    }

    /// Takes a layer of a cache as the result of an instruction.
    fn adopt(
        &self,
        engine: &Engine,
        number: usize,
        stage: &mut Stage,
        instruction: &Instruction,
        (found, layer): (&Found, RecordLayer),
        progress: &mut Progress<'_>,
    ) -> Result<()> {
        let foretold = foretell(&mut self.surroundings(engine, number, progress), stage, instruction)?;
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
        stage.adopt(engine, layer, created_by)
    }

    fn output(&self, engine: &Engine, mut stage: Stage, mut uploads: Uploads) -> Result<Finished> {
        let options = engine.options;
        if options.single_snapshot {
            engine.timings.measure("join layers", || squash(engine, &mut stage))?;
        }
        let mut image = stage.image;
        image.config.config.labels.extend(options.labels.iter().cloned());
        let outputs = &options.outputs;
        let platform = image.config.platform();
        let notes = annotations_at(&outputs.annotations, AnnotationLevel::Manifest, Some(&platform));
        let mut finished = Finished::new(image, engine.created(), outputs.format, notes);
        if outputs.attestations.are_wanted() {
            finished.attestation =
                engine.timings.measure("attest", || attestation::attest(engine, &finished))?;
        }
        let blob = |digest| {
            let layer = finished.layers.iter().find(|layer| layer.descriptor.digest == digest);
            engine.blob_file(layer.expect("only layers of the image are asked for"))
        };
        if let Some(path) = &outputs.oci_layout_path {
            let listed = finished.listed(&outputs.annotations);
            engine.timings.measure("write layout", || {
                write_layout(path, &finished, &outputs.destinations, &listed, blob, engine.cancel())
            })?;
            if let Some(attestation) = &finished.attestation {
                attestation::write(path, attestation)?;
            }
        }
        if let Some(path) = &outputs.tar_path {
            engine.timings.measure("write archive", || {
                write_archive(path, &finished, &outputs.destinations, blob, engine.cancel())
            })?;
        }
        if !outputs.no_push {
            for layer in &finished.layers {
                uploads.layer(engine, layer)?;
            }
            engine.timings.measure("wait for uploads", || uploads.finish(&finished))?;
            if let Some(attestation) = &finished.attestation {
                attestation::push(engine, attestation)?;
            }
        }
        if outputs.summarize_layers {
            let summaries = summaries(engine, finished.config.value(), &finished.layers);
            engine.report(Event::Layers(summaries));
        }
        write_metadata_file(outputs, &finished)?;
        write_digest_files(engine.fetching(), outputs, finished.manifest.digest())?;
        Ok(finished)
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

fn is_run(instruction: &Instruction) -> bool {
    matches!(instruction.kind, InstructionKind::Run(_))
}

/// Says which instruction an error is about, unless it knows better.
fn located(error: Error, instruction: &Instruction) -> Error {
    error.at(instruction.span)
}

pub(crate) fn parse_error(error: dockerfile::ParseError) -> Error {
    let converted = Error::new(error.message);
    let converted = match error.span {
        Some(span) => converted.at(span),
        None => converted,
    };
    match error.hint {
        Some(hint) => converted.hint(hint),
        None => converted,
    }
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

//! A build from end to end: which stages, in which order, and what becomes of the last one.

use std::collections::BTreeSet;

use dockerfile::graph::Origin;
use dockerfile::{Dockerfile, GlobalScope, Graph, Instruction, InstructionKind, PlatformArgs};
use oci::{Digest, Platform, Reference};
use tokio::runtime::Handle;

use crate::checks::{Checks, obey_syntax};
use crate::context::describe;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::event::{Event, Warning};
use crate::image::Image;
use crate::options::Options;
use crate::output::{
    Finished, Outputs, Uploads, write_archive, write_digest_files, write_layout, write_metadata_file,
};
use crate::sources::{self, Given, Sources};
use crate::squash::squash;
use crate::stage::Stage;
use crate::step::{Surroundings, carry_out, foresee, refuse};
use crate::timings::Timings;

/// What a build has come to.
#[derive(Debug)]
pub struct Outcome {
    /// The image's manifest.
    pub digest: Digest,
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
    for other in &options.other_targets {
        needed.extend(graph.reachable(graph.target(Some(other))?)?);
    }
    let needed: Vec<usize> = needed.into_iter().collect();
    checks.stages(&graph, &scope, &needed)?;

    sources::check(&options.contexts)?;
    let engine = Engine::new(options, runtime, scope)?;
    let plan = Plan { dockerfile: &dockerfile, graph: &graph, needed: &needed, target };
    plan.refuse_what_cannot_be_done(&engine)?;
    engine.check_destinations()?;
    let finished = plan.execute(&engine, checks)?;
    engine.clean_up()?;
    Ok(Outcome { digest: finished.manifest.digest(), timings: engine.timings })
}

/// Build arguments that mean something to BuildKit alone. `BUILDKIT_BUILD_NAME` is left out: it is for its
/// display, and nobody misses it.
const WITHOUT_EFFECT: [(&str, &str); 4] = [
    ("BUILDKIT_INLINE_CACHE", "no cache is put into images"),
    ("BUILDKIT_MULTI_PLATFORM", "the result is one manifest, for one platform"),
    ("BUILDKIT_SBOM_SCAN_CONTEXT", "no bill of materials is made"),
    ("BUILDKIT_SBOM_SCAN_STAGE", "no bill of materials is made"),
];

/// The stages of one build.
struct Plan<'a> {
    dockerfile: &'a Dockerfile,
    graph: &'a Graph<'a>,
    /// Those that the target needs.
    needed: &'a [usize],
    target: usize,
}

/// What has been built so far.
struct Progress<'a> {
    sources: Sources,
    uploads: Uploads,
    checks: Checks<'a>,
    /// Instructions begun, and how many there are in all as far as is known.
    begun: usize,
    total: usize,
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

    fn execute(&self, engine: &Engine, checks: Checks) -> Result<Finished> {
        let total = self.needed.iter().map(|stage| self.graph.instructions(*stage).len()).sum();
        let mut progress =
            Progress { sources: Sources::default(), uploads: engine.uploads(), checks, begun: 0, total };
        for &number in self.needed {
            self.complete(engine, number, &mut progress)?;
        }
        for context in &engine.options.contexts {
            if !progress.sources.has_used(&context.name) {
                let text = format!("named context {} is not used", context.name);
                engine.report(Warning::new(text).into());
            }
        }
        let stage = progress.sources.stages.remove(&self.target).expect("the target is among what it needs");
        engine.check_cancel()?;
        // What other stages have on disk is not needed any more.
        drop(progress.sources);
        self.output(engine, stage, progress.uploads)
    }

    /// Builds a stage, unless it is built, and what it turns out to need.
    fn complete(&self, engine: &Engine, number: usize, progress: &mut Progress<'_>) -> Result<()> {
        if progress.sources.stages.contains_key(&number) {
            return Ok(());
        }
        let written = &self.dockerfile.stages[number];
        let from = written.span;
        let mut stage = self.start(engine, number, progress).map_err(|error| error.at(from))?;
        stage.shares_base = self.shares_base(number);
        let triggers = std::mem::take(&mut stage.image.config.config.on_build);
        let triggered = triggers
            .iter()
            .map(|text| dockerfile::parse_trigger(text))
            .collect::<std::result::Result<Vec<_>, _>>()
            .map_err(|error| {
                Error::new(format!("ONBUILD trigger of the base: {}", error.message)).at(from)
            })?;
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
        for (position, (instruction, is_trigger)) in instructions.iter().enumerate() {
            let blame = |error: Error| {
                if *is_trigger { error.only_at(from) } else { located(error, instruction) }
            };
            stage.will_run = instructions[position..].iter().any(|(instruction, _)| is_run(instruction));
            let before = stage.image.layers.len();
            self.step(engine, number, &mut stage, instruction, progress).map_err(blame)?;
            let is_final = is_target && !engine.options.single_snapshot;
            for layer in stage.image.layers.iter().skip(before).filter(|_| is_final) {
                progress.uploads.layer(engine, layer).map_err(blame)?;
            }
        }
        if self.others(number).any(|other| self.graph.nodes[other].base == Origin::Stage(number)) {
            stage.share(engine)?;
        }
        progress.sources.stages.insert(number, stage);
        Ok(())
    }

    /// The other stages that are built and have a RUN, and so need a directory.
    fn others(&self, number: usize) -> impl Iterator<Item = usize> {
        let runs = |stage: &usize| self.graph.instructions(*stage).iter().any(is_run);
        self.needed.iter().copied().filter(move |other| *other != number).filter(move |other| runs(other))
    }

    /// True if another stage starts from the same, and needs it in a directory too.
    fn shares_base(&self, number: usize) -> bool {
        let nodes = &self.graph.nodes;
        let same = |other: usize| {
            nodes[other].base == nodes[number].base && nodes[other].platform == nodes[number].platform
        };
        self.others(number).any(same)
    }

    /// A stage's name, or its number.
    fn stage_name(&self, number: usize) -> String {
        self.dockerfile.stages[number].name.clone().unwrap_or_else(|| number.to_string())
    }

    /// A stage as its FROM leaves it.
    fn start(&self, engine: &Engine, number: usize, progress: &mut Progress<'_>) -> Result<Stage> {
        let node = &self.graph.nodes[number];
        let name = self.stage_name(number);
        let shown = match &node.base {
            Origin::Scratch => "scratch".to_owned(),
            Origin::Stage(base) => format!("stage {}", self.stage_name(*base)),
            Origin::Context(name) => describe(name),
            Origin::Image(name) => name.clone(),
        };
        engine.report(Event::Stage { name: name.clone(), base: shown });
        let platform = match &node.platform {
            Some(text) => text.parse::<Platform>().map_err(|error| Error::new(error.to_string()))?,
            None => engine.options.platform.clone(),
        };
        Ok(match &node.base {
            Origin::Scratch => Stage::new(&name, Image::scratch(&platform)),
            Origin::Stage(base) => {
                self.complete(engine, *base, progress)?;
                let stage = &progress.sources.stages[base];
                let has = stage.image.config.platform();
                if node.platform.is_some() && !platform.accepts(&has) {
                    let text = format!(
                        "--platform={platform} does not change the stage {}: it is for {has}",
                        stage.name
                    );
                    engine.report(Warning::new(text).at(self.dockerfile.stages[number].span).into());
                }
                stage.derive(&name)
            }
            Origin::Image(reference) => {
                let image = engine.pull(&reference.parse::<Reference>()?, &platform)?;
                let actual = image.config.platform().to_string();
                progress.checks.base_platform(number, reference, &platform.to_string(), &actual)?;
                Stage::new(&name, image)
            }
            Origin::Context(context) => match progress.sources.context(engine, context, &platform)? {
                Given::Image(image) => {
                    let actual = image.config.platform().to_string();
                    progress.checks.base_platform(number, context, &platform.to_string(), &actual)?;
                    Stage::new(&name, image)
                }
                Given::Directory(directory) => {
                    let mut stage = Stage::new(&name, Image::scratch(&platform));
                    engine.lay(&mut stage, &directory, format!("FROM {context}"))?;
                    stage
                }
            },
        })
    }

    fn step(
        &self,
        engine: &Engine,
        number: usize,
        stage: &mut Stage,
        instruction: &Instruction,
        progress: &mut Progress<'_>,
    ) -> Result<()> {
        engine.check_cancel()?;
        for from in instruction.froms() {
            if let Origin::Stage(other) = self.graph.origin(number, from)? {
                self.complete(engine, other, progress)?;
            }
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
        let escape = self.dockerfile.directives.escape;
        let (sources, graph) = (&mut progress.sources, self.graph);
        let mut around = Surroundings { engine, sources, graph, number, escape };
        carry_out(&mut around, stage, instruction).map_err(|error| for_another_machine(error, stage))?;
        let layer = stage.image.layers.get(layers).map(|layer| layer.descriptor.size);
        engine.report(Event::StepDone { elapsed: start.elapsed(), layer });
        Ok(())
    }

    fn output(&self, engine: &Engine, mut stage: Stage, mut uploads: Uploads) -> Result<Finished> {
        let options = engine.options;
        if options.single_snapshot {
            engine.timings.measure("join layers", || squash(engine, &mut stage))?;
        }
        let mut image = stage.image;
        image.config.config.labels.extend(options.labels.iter().cloned());
        let Outputs { format, annotations, .. } = &options.outputs;
        let finished = Finished::new(image, engine.created(), *format, annotations);
        let outputs = &options.outputs;
        let blob = |digest| {
            let layer = finished.layers.iter().find(|layer| layer.descriptor.digest == digest);
            engine.blob_file(layer.expect("only layers of the image are asked for"))
        };
        if let Some(path) = &outputs.oci_layout_path {
            engine.timings.measure("write layout", || {
                write_layout(path, &finished, &outputs.destinations, blob, engine.cancel())
            })?;
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
        }
        write_metadata_file(outputs, &finished)?;
        write_digest_files(engine.fetching(), outputs, finished.manifest.digest())?;
        Ok(finished)
    }
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
fn one_line(text: &str) -> String {
    let more = |line: &str| line.trim_end().ends_with(['\\', '`']) || line.trim_start().starts_with('#');
    let end = text.lines().position(|line| !more(line)).unwrap_or(usize::MAX);
    let text = text.lines().take(end.saturating_add(1)).collect::<Vec<_>>().join("\n");
    text.split_whitespace().filter(|word| *word != "\\").collect::<Vec<_>>().join(" ")
}

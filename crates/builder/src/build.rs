//! A build from end to end: what is read before anything is done, and how often it is tried.

use std::collections::BTreeSet;

use dockerfile::{GlobalScope, Graph, PlatformArgs};
use oci::{Descriptor, Digest, Platform};
use tokio::runtime::Handle;

use crate::attempt::Attempt;
use crate::attestation;
use crate::checks::{Checks, obey_syntax};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::event::{Event, Warning};
use crate::family::{Family, Member};
use crate::options::Options;
use crate::output::{Finished, check_annotations};
use crate::plan::Plan;
use crate::planned::PlannedStage;
use crate::sources;
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
    build_member(options, runtime, Member::first(&Family::of_one(options)?))
}

/// The same for one of several platforms.
pub(crate) fn build_member(options: &Options, runtime: Handle, member: Member<'_>) -> Result<Outcome> {
    let outputs = &options.outputs;
    check_annotations(&outputs.annotations, outputs.format, outputs.in_index)?;
    let built = with_plan(options, runtime, member, |engine, plan, checks| {
        plan.refuse_what_cannot_be_done(engine)?;
        if engine.layer_cache.is_none() {
            engine.end_to_check_destinations(engine.begin_to_check_destinations())?;
        }
        let finished = execute(engine, plan, checks)?;
        let attestation = finished.attestation.as_ref();
        let attestation = attestation.map(|stated| attestation::descriptor(&finished, stated));
        Ok((finished.descriptor(), finished.config.digest(), attestation))
    });
    let ((descriptor, config, attestation), timings) =
        built.map_err(|error| match options.cancel.signal() {
            // Whatever went wrong then went wrong for that reason.
            Some(signal) => Error::ended_by(signal),
            None => error,
        })?;
    Ok(Outcome { digest: descriptor.digest, descriptor, config: Some(config), attestation, timings })
}

/// Says what a build would do, and does nothing of it. The options must have a cache, if one with nothing in it.
pub fn plan(options: &Options, runtime: Handle) -> Result<Vec<PlannedStage>> {
    let family = Family::of_one(options)?;
    with_plan(options, runtime, Member::first(&family), |engine, plan, checks| {
        let cache = engine.layer_cache.as_ref().ok_or_else(|| Error::new("a plan needs a cache"))?;
        let mut attempt = Attempt::new(engine, plan, checks);
        attempt.foresee(cache)?;
        attempt.planned()
    })
    .map(|(planned, _)| planned)
}

/// Builds what is needed. If something of a cache turns out to be damaged, once more without that.
fn execute<'a>(engine: &'a Engine<'a>, plan: &'a Plan<'a>, checks: &'a Checks<'a>) -> Result<Finished> {
    let mut told = false;
    let outcome = loop {
        let attempt = Attempt::new(engine, plan, checks).carry_through();
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

/// Makes everything ready that a build needs, and removes it after the work.
fn with_plan<T>(
    options: &Options,
    runtime: Handle,
    member: Member<'_>,
    work: impl for<'a> FnOnce(&'a Engine<'a>, &'a Plan<'a>, &'a Checks<'a>) -> Result<T>,
) -> Result<(T, Timings)> {
    obey_syntax(options)?;
    let dockerfile = dockerfile::parse(&options.dockerfile).map_err(parse_error)?;
    let platform = options.platform.to_string();
    let platform_args =
        PlatformArgs::new(&Platform::host().to_string(), &platform, options.target.as_deref());
    let checks = Checks::begin(&dockerfile, &platform_args, options, true)?;
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
    let engine = Engine::new(options, runtime, member, scope)?;
    let plan = Plan {
        dockerfile: &dockerfile,
        graph: &graph,
        needed: &needed,
        target,
        others: &others,
        platform: &options.platform,
    };
    let done = work(&engine, &plan, &checks)?;
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

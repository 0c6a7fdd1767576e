//! What a Dockerfile is asked besides being built. Nothing is built for it.

use dockerfile::{Dockerfile, GlobalScope, Graph, Origin, Outline, PlatformArgs, Targets};
use oci::{Platform, Reference};
use tokio::runtime::Handle;

use crate::build::parse_error;
use crate::checks::{Checks, obey_syntax};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::event::Warning;
use crate::family::{Family, Member};
use crate::image::Image;
use crate::options::Options;

/// Tells what the lints find in the file and in the stages that the target needs. Only configs of bases are
/// fetched; of a base that cannot be had, what depends on it is not checked.
pub fn check(options: &Options, runtime: Handle) -> Result<()> {
    let dockerfile = read(options)?;
    let platform_args = platform_args(options);
    let checks = Checks::begin(&dockerfile, &platform_args, options, false)?;
    let scope = scope(&dockerfile, &platform_args, options)?;
    let graph = Graph::new(&dockerfile, &scope, &options.contexts, &options.platform.to_string())?;
    let needed = graph.reachable(graph.target(options.target.as_deref())?)?;
    checks.stages(&graph, &scope, &needed)?;
    let family = Family::of_one(options)?;
    let engine = Engine::new(options, runtime, Member::first(&family), scope)?;
    for number in needed {
        let node = &graph.nodes[number];
        let Origin::Image(reference) = &node.base else { continue };
        let span = dockerfile.stages[number].base.span;
        match base(&engine, node.platform.as_deref(), reference) {
            Ok((image, platform)) => {
                let triggers = &image.config.config.on_build;
                let triggers: Vec<_> =
                    triggers.iter().filter_map(|text| dockerfile::parse_trigger(text).ok()).collect();
                let actual = image.config.platform().to_string();
                checks.base_platform(number, reference, &platform.to_string(), &actual)?;
                checks.stage(&graph, &engine.globals, number, &image, &triggers)?;
            }
            Err(error) => {
                let text = format!("what depends on this base is not checked: {error}");
                options.report.event(Warning::new(text).at(span).into());
            }
        }
    }
    Ok(())
}

/// What a build of the target can be given.
pub fn outline(options: &Options) -> Result<Outline> {
    let dockerfile = read(options)?;
    let scope = scope(&dockerfile, &platform_args(options), options)?;
    let graph = Graph::new(&dockerfile, &scope, &options.contexts, &options.platform.to_string())?;
    let target = graph.target(options.target.as_deref())?;
    Ok(Outline::of(&dockerfile, &graph, &scope, target)?)
}

/// The stages that can be built.
pub fn targets(options: &Options) -> Result<Targets> {
    Ok(Targets::of(&read(options)?))
}

fn read(options: &Options) -> Result<Dockerfile> {
    obey_syntax(options)?;
    dockerfile::parse(&options.dockerfile).map_err(parse_error)
}

fn platform_args(options: &Options) -> PlatformArgs {
    let target = options.platform.to_string();
    PlatformArgs::new(&Platform::host().to_string(), &target, options.target.as_deref())
}

fn scope(dockerfile: &Dockerfile, platform: &PlatformArgs, options: &Options) -> Result<GlobalScope> {
    GlobalScope::new(dockerfile, platform, &options.build_args)
        .map_err(|error| Error::new(format!("ARG {}: {}", error.name, error.source)).at(error.span))
}

/// The config of a base, and the platform that was asked for.
fn base(engine: &Engine, platform: Option<&str>, reference: &str) -> Result<(Image, Platform)> {
    let platform = match platform {
        Some(text) => text.parse::<Platform>().map_err(|error| Error::new(error.to_string()))?,
        None => engine.options.platform.clone(),
    };
    let image = engine.pull(&reference.parse::<Reference>()?, &platform)?;
    Ok((image, platform))
}

//! `cargo xtask demo`: an image from a registry to a registry, built by bako alone, and run.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use e2e::process::{Finished, finish};
use e2e::{Bako, Image, Registry, bases, host, image, program};

use crate::cargo::build_bako;

pub(crate) fn run() -> Result<()> {
    step("building bako");
    let bako = build_bako("dev")?;
    say(&bako.program.display().to_string());

    step("which isolations for RUN work here (bako probe)");
    let probe = finish(bako.command().arg("probe"))?.success()?;
    probe.stdout.lines().for_each(say);

    step("starting a registry on loopback (bako registry serve)");
    let registry = Registry::ours(&bako)?;
    say(&registry.address);

    step("a base image from an archive (examples/busybox-base: FROM scratch, ADD)");
    let base = bases::busybox(&bako, &registry)?;
    say(&format!("pushed {base}"));

    step("two stages with RUN on that base (examples/quickstart)");
    let context = host::repository().join("examples/quickstart");
    let image = registry.reference("quickstart:latest");
    let work = tempfile::tempdir()?;
    let mut build = bako.build(&context);
    build.args(["--destination", &image, "--build-arg", &format!("BASE={base}")]);
    build.args(["--timings", "--work-dir"]).arg(work.path());
    let built = finish(&mut build)?.success()?;
    built.stderr.lines().for_each(say);
    let digest = program::digest(&built)?;
    say(&format!("pushed {image} at {digest} in {:.1} s", built.took.as_secs_f64()));

    step("pulling it back and running it");
    let ran = run_image(&bako, &image)?;
    ran.lines().for_each(say);

    drop(registry);
    step("done; the registry is stopped and what it held is gone");
    Ok(())
}

/// Runs an image with runc where that is installed, and else as a RUN of one more build.
fn run_image(bako: &Bako, reference: &str) -> Result<String> {
    let tools = image::JUDGES.iter().chain(&["runc"]).all(|tool| match *tool {
        "root" => host::is_root(),
        tool => host::find(tool).is_some(),
    });
    if tools {
        say("with skopeo, umoci and runc");
        return Ok(Image::pull(reference)?.run()?.success()?.stdout);
    }
    say("in a RUN of another build on it, as this machine has no other runtime");
    let context = tempfile::tempdir()?;
    fs::write(context.path().join("Dockerfile"), format!("FROM {reference}\nRUN /usr/local/bin/greet\n"))?;
    let ran = build_only(bako, context.path()).context("run the image")?;
    Ok(ran.stderr)
}

fn build_only(bako: &Bako, context: &Path) -> Result<Finished> {
    let work = tempfile::tempdir()?;
    let mut build = bako.build(context);
    build.args(["--no-push", "--work-dir"]).arg(work.path());
    finish(&mut build)?.success()
}

fn step(text: &str) {
    println!("\n==> {text}");
}

fn say(line: &str) {
    println!("    {line}");
}

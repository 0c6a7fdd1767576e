//! The Dockerfiles of six languages, as they stand: their images are looked for where this machine made its own.
#![forbid(unsafe_code)]

use std::fs;

use anyhow::Result;
use e2e::process::finish;
use e2e::toolchains::Toolchains;
use e2e::{Bako, Image, Registry, host, image, require};

/// Builds `examples/languages/NAME` and runs the image, which prints `expected`. Other tests compile under the best
/// isolation; here it is the one that most pods get, if this machine has it.
fn check(name: &str, expected: &str) -> Result<()> {
    if !require(image::JUDGES) || !require(&["runc", "mmdebstrap"]) {
        return Ok(());
    }
    let context = host::repository().join("examples/languages").join(name);
    let bako = Bako::built()?;
    let toolchains = Toolchains::of(&bako, &fs::read_to_string(context.join("Dockerfile"))?)?;
    let registry = Registry::ours(&bako)?;
    let isolations = bako.isolations()?;
    let isolation = if isolations.iter().any(|name| name == "supervised") { "supervised" } else { "auto" };
    let reference = registry.reference(&format!("{name}:latest"));
    let work = tempfile::tempdir()?;
    let mut build = bako.build(&context);
    build
        .args(["--destination", &reference, "--isolation", isolation, "--work-dir"])
        .arg(work.path())
        .args(toolchains.arguments());
    finish(&mut build)?.success()?;
    let image = Image::pull(&reference)?;
    let ran = image.run()?.success()?;
    // Mono says before it what it thinks of the priority that it is run at.
    assert_eq!(ran.stdout.lines().last(), Some(expected), "{name}: {ran:?}");
    // None of them runs as root.
    let user = image.config["config"]["User"].as_str().unwrap_or_default();
    assert!(!matches!(user, "" | "0" | "root"), "{name} runs as {user:?}");
    Ok(())
}

#[test]
fn go() -> Result<()> {
    check("go", "Hello, world, from Go on linux")
}

#[test]
fn rust() -> Result<()> {
    check("rust", "Hello, world, from Rust on linux")
}

#[test]
fn python() -> Result<()> {
    check("python", "Hello, world, from Python on linux")
}

#[test]
fn node() -> Result<()> {
    check("node", "Hello, world, from Node on linux: a minute is 60000 ms")
}

#[test]
fn java() -> Result<()> {
    check("java", "Hello, world, from Java on Linux")
}

#[test]
fn dotnet() -> Result<()> {
    check("dotnet", "Hello, world, from .NET on Unix")
}

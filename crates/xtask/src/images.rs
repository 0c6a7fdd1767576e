//! `cargo xtask images`: how large bako's own images are, and how fast a container of them starts; and that the one
//! for arm64 holds a program for it, which an emulator can run.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::process::finish;
use e2e::{Bako, Image, Registry, bases, host, image, own};

use crate::cargo::{build_bako, build_bako_for};

/// How often a container is started; the median of these counts.
const STARTS: usize = 20;

/// With a profile of cargo's; what is told of sizes and times is of use for `release` alone.
pub(crate) fn run(profile: &str) -> Result<()> {
    if let Some(reason) = host::missing(image::JUDGES).or_else(|| host::missing(&["runc"])) {
        println!("{reason}");
        return Ok(());
    }
    let bako = build_bako(profile)?;
    let registry = Registry::ours(&bako)?;
    bases::busybox(&bako, &registry)?;
    println!("| image | to download | unpacked | `bako version` in a container |");
    println!("|---|---|---|---|");
    for target in ["executor", "debug", "warmer"] {
        let image = Image::pull(&own::image(&bako, &registry, target)?)?;
        let layers = image.manifest["layers"].as_array().context("a manifest has layers")?;
        let compressed: u64 = layers.iter().filter_map(|layer| layer["size"].as_u64()).sum();
        let unpacked = size(&image.bundle()?.join("rootfs"))?;
        println!(
            "| {target} | {} | {} | {} ms |",
            megabytes(compressed),
            megabytes(unpacked),
            start(&image)?.as_millis()
        );
    }
    arm64(&bako, &registry, profile)
}

/// Compiles for arm64, makes the image, and lets its program build something: to the same digest as this machine's.
fn arm64(bako: &Bako, registry: &Registry, profile: &str) -> Result<()> {
    if let Some(reason) = host::missing(&["aarch64-linux-gnu-gcc", "qemu-aarch64-static"]) {
        println!("\nlinux/arm64: {reason}");
        return Ok(());
    }
    let other = build_bako_for(Some("aarch64-unknown-linux-gnu"), profile)?;
    let reference =
        own::image_around(bako, &other.program, "linux/arm64", registry, "bako:arm64", "executor")?;
    let image = Image::pull(&reference)?;
    ensure!(
        image.config["architecture"] == "arm64",
        "the image says it is for {}",
        image.config["architecture"]
    );
    let program = image.bundle()?.join("rootfs/kaniko/executor");

    let context = tempfile::tempdir()?;
    std::fs::write(context.path().join("Dockerfile"), "FROM scratch\nCOPY Dockerfile /a\nENV A=b\n")?;
    let build = |mut command: Command| -> Result<String> {
        command.args(["--no-push", "--reproducible", "--platform", "linux/arm64", "--context"]);
        Ok(finish(command.arg(context.path()))?.success()?.stdout)
    };
    let mut emulated = Command::new("qemu-aarch64-static");
    emulated.arg(&program);
    let (there, here) = (build(emulated)?, build(Command::new(&bako.program))?);
    ensure!(there == here && !here.is_empty(), "{there} on arm64, {here} here");
    println!(
        "\nlinux/arm64: the program of the image builds {} under an emulator, as this machine does",
        here.trim()
    );
    Ok(())
}

/// The median time from runc's start to its end.
fn start(image: &Image) -> Result<Duration> {
    let mut times = Vec::new();
    for _ in 0..STARTS {
        let ran = image.run_with(|spec| {
            spec["process"]["args"] = serde_json::json!(["/kaniko/bako", "version"]);
        })?;
        let ran = ran.success()?;
        ensure!(!ran.stdout.is_empty(), "`bako version` says nothing");
        times.push(ran.took);
    }
    times.sort_unstable();
    Ok(times[STARTS / 2])
}

/// What the files of a folder hold, in bytes.
fn size(folder: &Path) -> Result<u64> {
    let mut sum = 0;
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let metadata = path.symlink_metadata()?;
        sum += if metadata.is_dir() { size(&path)? } else { metadata.size() };
    }
    Ok(sum)
}

fn megabytes(bytes: u64) -> String {
    format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000)
}

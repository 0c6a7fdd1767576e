//! `cargo xtask images`: how large bako's own images are, and how fast a container of them starts.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::{Bako, Image, Registry, bases, host, image, own};

use crate::cargo::build_bako;

/// How often a container is started; the median of these counts.
const STARTS: usize = 20;

pub(crate) fn run() -> Result<()> {
    if let Some(reason) = host::missing(image::JUDGES).or_else(|| host::missing(&["runc"])) {
        println!("{reason}");
        return Ok(());
    }
    let bako = match std::env::var_os("BAKO") {
        Some(_) => Bako::built()?,
        None => build_bako("release")?,
    };
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

//! bako's own images: made from the `Dockerfile` of this repository, around the program that is there.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::host;
use crate::process::finish;
use crate::program::Bako;
use crate::registry::Registry;

/// Builds a target of the `Dockerfile`, with all of its stages but the one that compiles, and puts it into a registry
/// that has `busybox:latest`; its reference.
pub fn image(bako: &Bako, registry: &Registry, target: &str) -> Result<String> {
    image_around(bako, &bako.program, "linux/amd64", registry, &format!("bako:{target}"), target)
}

/// The same for a platform, around a program that was compiled for it, as a repository and tag of the registry.
pub fn image_around(
    bako: &Bako,
    program: &Path,
    platform: &str,
    registry: &Registry,
    tag: &str,
    target: &str,
) -> Result<String> {
    let context = tempfile::tempdir()?;
    fs::copy(host::repository().join("Dockerfile"), context.path().join("Dockerfile"))?;
    let built = context.path().join("built");
    let certificates = built.join("etc/ssl/certs");
    fs::create_dir_all(&certificates)?;
    fs::create_dir_all(built.join("out"))?;
    let bundle = "/etc/ssl/certs/ca-certificates.crt";
    fs::copy(bundle, certificates.join("ca-certificates.crt")).context(bundle)?;
    let place = built.join("out/bako");
    fs::hard_link(program, &place).or_else(|_| fs::copy(program, &place).map(drop))?;
    let reference = registry.reference(tag);
    let work = tempfile::tempdir()?;
    let mut build = bako.build(context.path());
    build.args(["--target", target, "--platform", platform, "--destination", &reference, "--work-dir"]);
    build.arg(work.path()).arg("--build-context").arg(format!("build={}", built.display()));
    build.arg("--build-arg").arg(format!("BUSYBOX_IMAGE={}", registry.reference("busybox")));
    finish(&mut build)?.success().with_context(|| format!("build the image {target} for {platform}"))?;
    Ok(reference)
}

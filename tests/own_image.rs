//! bako builds its own image from its own Dockerfile, and that image builds an image.
#![forbid(unsafe_code)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use e2e::process::{finish, output};
use e2e::{Bako, Image, Registry, bases, host, image, pod, require};

#[test]
fn the_image_of_bako_builds_an_image() -> Result<()> {
    if !require(image::JUDGES) || !require(&["runc", "mmdebstrap"]) {
        return Ok(());
    }
    let bako = Bako::built()?;
    let registry = Registry::ours(&bako)?;
    let base = bases::busybox(&bako, &registry)?;
    let toolchain = rust_image(&bako, &registry)?;

    let folder = tempfile::tempdir()?;
    let reference = registry.reference("bako:latest");
    let mut build = bako.build(host::repository());
    build.args(["--target", "executor", "--destination", &reference, "--work-dir"]).arg(folder.path());
    for argument in [
        format!("RUST_IMAGE={toolchain}"),
        format!("BUSYBOX_IMAGE={base}"),
        "PROFILE=dev".to_owned(),
        // The registry's packages are in the image; optimising what runs once is not worth the time.
        "CARGO_FLAGS=--locked --offline --config profile.dev.opt-level=0 --config profile.dev.package.\"*\".opt-level=0"
            .to_owned(),
    ] {
        build.args(["--build-arg", &argument]);
    }
    finish(&mut build)?.success()?;

    let image = Image::pull(&reference)?;
    let names: Vec<String> = image.tree()?.into_keys().collect();
    for name in [
        "/cache",
        "/kaniko/.docker",
        "/kaniko/executor",
        "/kaniko/ssl/certs/ca-certificates.crt",
        "/kaniko/warmer",
        "/workspace",
    ] {
        assert!(names.contains(&name.to_owned()), "{name} is not in {names:?}");
    }
    assert!(names.len() < 25, "the image holds the program and little else: {names:?}");

    let context = tempfile::tempdir()?;
    let dockerfile =
        format!("FROM {base}\nRUN echo built in a container > /built\nCMD [\"cat\", \"/built\"]\n");
    fs::write(context.path().join("Dockerfile"), dockerfile)?;
    let result = registry.reference("result:latest");
    let arguments = ["/kaniko/executor", "--context", "/workspace", "--destination", &result];
    let built = image.run_with(|spec| {
        pod::unprivileged(spec, &arguments);
        pod::volume(spec, context.path(), "/workspace");
    })?;
    built.success()?;
    assert_eq!(Image::pull(&result)?.run()?.success()?.stdout, "built in a container\n");
    Ok(())
}

/// An image with a C compiler and this machine's own Rust toolchain and downloaded packages, so that
/// nothing has to be fetched.
fn rust_image(bako: &Bako, registry: &Registry) -> Result<String> {
    let packages = ["ca-certificates", "gcc", "libc6-dev"];
    let base = bases::push_debian(
        bako,
        registry,
        bases::Debian { name: "compiler", packages: &packages, downloads: &[] },
    )?;
    let context = tempfile::tempdir()?;
    let sysroot = PathBuf::from(output(Command::new("rustc").args(["--print", "sysroot"]))?.trim());
    copy(
        &sysroot,
        &context.path().join("rust"),
        &["share", "etc", "rustlib/src", "rust-analyzer", "clippy", "doc"],
    )?;
    let cargo = match std::env::var_os("CARGO_HOME") {
        Some(home) => PathBuf::from(home),
        None => PathBuf::from(std::env::var_os("HOME").context("HOME is not set")?).join(".cargo"),
    };
    copy(&cargo.join("registry"), &context.path().join("cargo/registry"), &["registry/src"])?;
    let settings = cargo.join("config.toml");
    if settings.is_file() {
        // Where this machine has its packages from decides under which name they are kept.
        fs::copy(settings, context.path().join("cargo/config.toml"))?;
    }
    let text = format!(
        "FROM {base}\nCOPY rust /usr/local/rust\nCOPY cargo /usr/local/cargo\n\
         ENV PATH=/usr/local/rust/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n\
         ENV CARGO_HOME=/usr/local/cargo\n"
    );
    fs::write(context.path().join("Dockerfile"), text)?;
    let reference = registry.reference("rust:latest");
    let work = tempfile::tempdir()?;
    let mut build = bako.build(context.path());
    build.args(["--destination", &reference, "--work-dir"]).arg(work.path());
    finish(&mut build)?.success()?;
    Ok(reference)
}

/// Copies a folder with hard links where that is possible, leaving out paths that contain one of `without`.
fn copy(from: &Path, to: &Path, without: &[&str]) -> Result<()> {
    ensure!(from.is_dir(), "{} is not a folder", from.display());
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        let shown = path.to_string_lossy();
        if without.iter().any(|part| shown.ends_with(part)) {
            continue;
        }
        let target = to.join(path.file_name().context("an entry has a name")?);
        let kind = path.symlink_metadata()?.file_type();
        if kind.is_dir() {
            copy(&path, &target, without)?;
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(&path)?, &target)?;
        } else {
            fs::hard_link(&path, &target).or_else(|_| fs::copy(&path, &target).map(drop))?;
        }
    }
    Ok(())
}

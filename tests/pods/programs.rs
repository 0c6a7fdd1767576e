//! Programs with ways of their own with processes, memory and files: what they print, and leave in the layer, is the same
//! for root outside of any container and under `supervised` in the pod that is allowed the least.
//!
//! They are checks as those of `checks/` are, in `programs/`, a file for each image: its first line names that.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use e2e::bases::{self, Debian};
use e2e::process::finish;
use e2e::toolchains::Toolchains;
use e2e::{Bako, Registry, host};

use crate::EPOCH;
use crate::check::Check;
use crate::container::{Container, VOLUME};
use crate::isolation::{CHECKS, judge, unpack, write_checks};
use crate::security::RESTRICTED;

/// What is not one of the images that Dockerfiles know.
const DEBIAN: Debian<'_> = Debian {
    name: "programs",
    packages: &[
        "ca-certificates",
        "chromium",
        "createrepo-c",
        "dnf",
        "gcc",
        "libc6-dev",
        "musl-tools",
        "rpm",
        "systemd-standalone-sysusers",
    ],
    downloads: &[],
};

/// The files with programs, by their names.
pub(crate) fn all() -> Result<Vec<(String, PathBuf)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(host::repository().join("tests/pods/programs"))? {
        let file = entry?.path();
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        files.push((name, file));
    }
    files.sort();
    Ok(files)
}

/// Runs what is in a file, both ways.
pub(crate) fn check(file: &Path) -> Result<()> {
    let bako = Bako::built()?;
    let text = fs::read_to_string(file)?;
    let image = text.lines().next().and_then(|line| line.strip_prefix("# FROM "));
    let image = image.context("a file begins with its image")?;
    let registry = Registry::ours(&bako)?;
    // The registry with the image is there as long as this is.
    let (dockerfile, toolchains) = if image == DEBIAN.name {
        let base = bases::push_debian(&bako, &registry, DEBIAN)?;
        (CHECKS.replace("BASE", &base), None)
    } else {
        let dockerfile = CHECKS.replace("BASE", image);
        let toolchains = Toolchains::of(&bako, &dockerfile)?;
        (dockerfile, Some(toolchains))
    };
    let arguments = toolchains.as_ref().map(Toolchains::arguments).unwrap_or_default();
    let checks = Check::read(file)?;
    let prepare = |folder: &Path| {
        fs::create_dir(folder)?;
        fs::write(folder.join("Dockerfile"), &dockerfile)?;
        write_checks(folder, &checks)
    };

    let outside = tempfile::tempdir()?;
    let context = outside.path().join("context");
    prepare(&context)?;
    let mut build = bako.build(&context);
    build.args(["--destination", &registry.reference("app:outside"), "--work-dir"]);
    build.arg(outside.path().join("work")).args(&arguments);
    finish(&mut build)?.success().context("outside of any container")?;

    let container = Container::new(&bako, RESTRICTED)?;
    prepare(&container.volume().join("context"))?;
    let (context, work) = (format!("{VOLUME}/context"), format!("{VOLUME}/work"));
    let to = registry.reference("app:pod");
    let mut words = vec![
        "bako",
        "--context",
        &context,
        "--work-dir",
        &work,
        "--isolation",
        "supervised",
        "--destination",
        &to,
    ];
    words.extend(arguments.iter().map(String::as_str));
    container.run(&words, &[EPOCH])?.success().context("in the pod")?;

    let mut wrong = String::new();
    for tag in ["outside", "pod"] {
        let layers = tempfile::tempdir()?;
        unpack(&registry, tag, layers.path())?;
        for (check, how) in judge(&checks, layers.path())? {
            wrong += &format!("{tag}, {}:\n{how}\n", check.name);
        }
    }
    ensure!(wrong.is_empty(), "{wrong}");
    Ok(())
}

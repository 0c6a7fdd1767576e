//! Debian packages that the tests and the comparison need.

use std::process::Command;

use anyhow::Result;
use e2e::host;
use e2e::process::finish;

/// What the tests use beside bako: judges of images, runtimes, registries, a maker of Debian bases.
pub(crate) const FOR_TESTS: &[&str] = &[
    "busybox-static",
    "bzip2",
    "ca-certificates",
    "catatonit",
    "crun",
    "docker-registry",
    "git",
    "mmdebstrap",
    "perl-base",
    "podman",
    "runc",
    "skopeo",
    "uidmap",
    "umoci",
    "xz-utils",
    "zstd",
];

/// What the comparison of images uses.
pub(crate) const FOR_COMPARE: &[&str] = &["buildah", "busybox-static", "skopeo", "umoci"];

/// What the comparison of speed uses.
pub(crate) const FOR_BENCH: &[&str] = &["buildah", "docker-registry", "e2fsprogs", "mmdebstrap"];

/// Installs what is missing, if this is a Debian machine and we may; says so if not.
pub(crate) fn install(packages: &[&str]) -> Result<()> {
    if host::find("dpkg-query").is_none() {
        println!("no Debian packages on this machine: tests that need one are skipped");
        return Ok(());
    }
    let missing: Vec<&str> = packages.iter().copied().filter(|package| !is_installed(package)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !host::is_root() {
        println!("not root, so not installed: apt-get install {}", missing.join(" "));
        return Ok(());
    }
    println!("installing {}", missing.join(" "));
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    finish(&mut apt(&["update", "-qq"]))?.success()?;
    finish(apt(&["install", "-y", "-qq", "--no-install-recommends"]).args(&missing))?.success()?;
    Ok(())
}

fn is_installed(package: &str) -> bool {
    let status = finish(Command::new("dpkg-query").args(["-W", "-f", "${Status}", package]));
    status.is_ok_and(|finished| finished.stdout.ends_with(" installed"))
}

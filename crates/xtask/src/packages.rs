//! Packages that the tests and the comparison need: Debian's, and emulators of clouds from elsewhere.

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
    "chromium",
    "crun",
    "docker-registry",
    "git",
    "mmdebstrap",
    "openssl",
    "perl-base",
    "podman",
    "rsync",
    "runc",
    "skopeo",
    "tinyproxy-bin",
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

/// Emulators of clouds, and the validator of SPDX, as Python and Node packages.
const PYTHON: [&str; 3] = ["moto[server,s3,ecr,sts]", "gcp-storage-emulator", "spdx-tools"];
const NODE: &str = "azurite";

/// Installs the emulators below `target/emulators`, once; where that cannot be done says so, and the tests that need
/// them are skipped.
pub(crate) fn install_emulators() -> Result<()> {
    // Not Debian's where there are others: those of two sources do not get on.
    for (program, packages) in [("python3", &["python3", "python3-venv"][..]), ("npm", &["npm"])] {
        if host::find(program).is_none() {
            install(packages)?;
        }
    }
    let folder = host::repository().join("target/emulators");
    let (python, node) = (folder.join("python"), folder.join("node"));
    std::fs::create_dir_all(&folder)?;
    let mut steps = Vec::new();
    let programs = ["moto_server", "gcp-storage-emulator", "pyspdxtools"];
    if !programs.iter().all(|program| python.join("bin").join(program).exists()) {
        let mut environment = Command::new("python3");
        environment.args(["-m", "venv"]).arg(&python);
        let mut pip = Command::new(python.join("bin/pip"));
        pip.args(["install", "-q", "--disable-pip-version-check"]).args(PYTHON);
        steps.extend([environment, pip]);
    }
    if !node.join("node_modules/.bin/azurite-blob").exists() {
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-audit", "--no-fund", "--prefix"]).arg(&node).arg(NODE);
        steps.push(npm);
    }
    for mut step in steps {
        println!("installing emulators: {}", step.get_program().to_string_lossy());
        if let Err(error) = finish(&mut step).and_then(|finished| finished.success().map(drop)) {
            println!("not installed, so tests against emulators are skipped: {error:#}");
        }
    }
    Ok(())
}

/// Programs of npm that the tests use: GitLab's jobs are run by gitlab-ci-local.
const OF_NPM: &[&str] = &["gitlab-ci-local"];

/// Installs them below the target folder, which needs no privilege. Tests skip what they lack, so a failure is told
/// and no more.
pub(crate) fn install_npm() -> Result<()> {
    let missing: Vec<&str> =
        OF_NPM.iter().copied().filter(|name| host::npm_program(name).is_none()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if host::find("npm").is_none() {
        println!("no npm, so not installed: {}", missing.join(" "));
        return Ok(());
    }
    println!("installing {} with npm", missing.join(" "));
    let folder = host::npm_folder()?;
    std::fs::create_dir_all(&folder)?;
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-fund", "--no-audit", "--prefix"]).arg(folder).args(&missing);
    if let Err(error) = finish(&mut npm).and_then(|finished| finished.success().map(drop)) {
        println!("npm: {error}");
    }
    Ok(())
}

fn is_installed(package: &str) -> bool {
    let status = finish(Command::new("dpkg-query").args(["-W", "-f", "${Status}", package]));
    status.is_ok_and(|finished| finished.stdout.ends_with(" installed"))
}

//! Base images that the tests and the demonstration build from, made with what the machine has.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

use crate::host;
use crate::process::{finish, output};
use crate::program::Bako;
use crate::registry::Registry;

/// Builds `examples/busybox-base` and puts it into a registry; its reference.
pub fn busybox(bako: &Bako, registry: &Registry) -> Result<String> {
    let context = busybox_context()?;
    let reference = registry.reference("busybox:latest");
    let work = tempfile::tempdir()?;
    let mut build = bako.build(context.path());
    build.args(["--destination", &reference, "--insecure", "--work-dir"]).arg(work.path());
    build.env("SOURCE_DATE_EPOCH", "1600000000");
    finish(&mut build)?.success().context("build examples/busybox-base")?;
    Ok(reference)
}

/// The context of `examples/busybox-base`: its Dockerfile and `busybox.tar.gz`, a small root filesystem.
pub fn busybox_context() -> Result<TempDir> {
    let context = tempfile::tempdir()?;
    let root = context.path().join("rootfs");
    for folder in ["bin", "dev", "etc", "home/app", "proc", "root", "sys", "tmp", "usr/bin", "var/tmp"] {
        fs::create_dir_all(root.join(folder))?;
    }
    for (folder, mode) in [("tmp", 0o1777), ("var/tmp", 0o1777), ("root", 0o700)] {
        fs::set_permissions(root.join(folder), fs::Permissions::from_mode(mode))?;
    }
    let busybox = root.join("bin/busybox");
    let binary = busybox_binary()?;
    fs::copy(&binary, &busybox)?;
    fs::set_permissions(&busybox, fs::Permissions::from_mode(0o755))?;
    for applet in output(Command::new(&binary).arg("--list"))?.lines().filter(|name| *name != "busybox") {
        symlink("busybox", root.join("bin").join(applet))?;
    }
    let files = [
        (
            "etc/passwd",
            "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:app:/home/app:/bin/sh\n\
             nobody:x:65534:65534:nobody:/:/bin/false\n",
        ),
        ("etc/group", "root:x:0:\nstaff:x:50:app\napp:x:1000:\nnogroup:x:65534:\n"),
        ("etc/shadow", "root:*:::::::\n"),
    ];
    for (file, text) in files {
        fs::write(root.join(file), text)?;
    }

    let mut tar = Command::new("tar");
    tar.args(["--sort=name", "--mtime=@1500000000", "--owner=0", "--group=0", "--numeric-owner"]);
    tar.arg("-C").arg(&root).arg("-czf").arg(context.path().join("busybox.tar.gz")).arg(".");
    output(&mut tar)?;
    fs::remove_dir_all(&root)?;
    let dockerfile = host::repository().join("examples/busybox-base/Dockerfile");
    fs::copy(dockerfile, context.path().join("Dockerfile"))?;
    Ok(context)
}

/// A statically linked busybox: the installed one, or the one in Debian's package, which is fetched
/// without being installed.
pub fn busybox_binary() -> Result<PathBuf> {
    if let Some(installed) = host::find("busybox")
        && is_static(&installed)?
    {
        return Ok(installed);
    }
    let folder = cache_folder()?.join("busybox");
    let binary = folder.join("bin/busybox");
    if binary.is_file() {
        return Ok(binary);
    }
    if host::find("apt-get").is_none() || host::find("dpkg-deb").is_none() {
        bail!("a static busybox is needed: put one on PATH (on Debian: apt-get install busybox-static)");
    }
    fs::create_dir_all(&folder)?;
    let download = |folder: &Path| {
        finish(Command::new("apt-get").args(["download", "busybox-static"]).current_dir(folder))
    };
    if download(&folder)?.code != 0 {
        // A new machine has no package lists yet.
        output(Command::new("apt-get").args(["update", "-qq"]))?;
        download(&folder)?.success().context("apt-get download busybox-static")?;
    }
    let package = fs::read_dir(&folder)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .context("apt-get download left no package")?;
    output(Command::new("dpkg-deb").arg("-x").arg(package).arg(&folder))?;
    Ok(binary)
}

/// Whether a binary needs no shared library: it names no interpreter.
fn is_static(binary: &Path) -> Result<bool> {
    let bytes = fs::read(binary)?;
    let interpreter = b"/ld-";
    let linked = bytes[..bytes.len().min(4096)].windows(interpreter.len()).any(|part| part == interpreter);
    Ok(!linked)
}

/// Where what takes long to make is kept between runs: below cargo's target folder.
pub fn cache_folder() -> Result<PathBuf> {
    let folder = host::target_folder()?.join("bases");
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// What a Debian base is to have beside the packages that are in every one.
#[derive(Debug, Clone, Copy)]
pub struct Debian<'a> {
    /// Names the archive in the cache.
    pub name: &'a str,
    /// Packages.
    pub packages: &'a [&'a str],
    /// Packages that are there as files, with what they need: in `/debs/NAME`.
    pub downloads: &'a [(&'a str, &'a [&'a str])],
}

impl Debian<'_> {
    /// Its packages, a line for those that are in it and one for each folder of files.
    fn list(&self) -> String {
        let folders =
            self.downloads.iter().map(|(name, packages)| format!("{name}: {}\n", packages.join(" ")));
        std::iter::once(self.packages.join(" ") + "\n").chain(folders).collect()
    }
}

/// The base of the real-world tests: apt and certificates, as `debian:bookworm-slim` has.
pub const SLIM: Debian<'_> = Debian { name: "slim", packages: &["ca-certificates"], downloads: &[] };

/// Makes a Debian root filesystem with mmdebstrap from the mirror that this machine uses; the archive is
/// kept, so that it is made once.
pub fn debian(base: Debian<'_>) -> Result<PathBuf> {
    let archive = cache_folder()?.join(format!("debian-{}.tar", base.name));
    // An archive with other packages is an older one.
    let (list, packages) = (archive.with_extension("packages"), base.list());
    let is_made = || archive.is_file() && fs::read_to_string(&list).is_ok_and(|found| found == packages);
    if is_made() {
        return Ok(archive);
    }
    // Several tests may want it at the same time: the first one makes it, the others wait.
    let lock = fs::File::create(archive.with_extension("lock"))?;
    lock.lock()?;
    if is_made() {
        return Ok(archive);
    }
    let part = archive.with_extension("part.tar");
    let sources = sources()?;
    let mut command = Command::new("mmdebstrap");
    command.args(["--variant=apt", "--quiet"]);
    if !base.packages.is_empty() {
        command.arg(format!("--include={}", base.packages.join(",")));
    }
    for entry in fs::read_dir("/etc/apt/apt.conf.d")?.filter_map(Result::ok) {
        // How this machine reaches its mirror is needed inside too.
        let text = fs::read_to_string(entry.path()).unwrap_or_default();
        if text.lines().any(|line| line.trim_start().starts_with("Acquire::")) {
            command.arg("--aptopt").arg(entry.path());
        }
    }
    for (name, packages) in base.downloads {
        let packages = packages.join(" ");
        command.arg(format!(
            "--customize-hook=chroot \"$1\" apt-get install -y -qq --no-install-recommends --download-only {packages} && \
             mkdir -p \"$1/debs/{name}\" && mv \"$1\"/var/cache/apt/archives/*.deb \"$1/debs/{name}\""
        ));
    }
    command.arg(codename()?).arg(&part).args(&sources);
    output(&mut command).context("mmdebstrap")?;
    fs::rename(&part, &archive)?;
    fs::write(&list, packages)?;
    Ok(archive)
}

/// Makes a Debian base and puts it into a registry as `name:latest`; its reference.
pub fn push_debian(bako: &Bako, registry: &Registry, base: Debian<'_>) -> Result<String> {
    let reference = registry.reference(&format!("{}:latest", base.name));
    push_debian_as(bako, base, std::slice::from_ref(&reference))?;
    Ok(reference)
}

/// Makes a Debian base and gives it these references.
pub fn push_debian_as(bako: &Bako, base: Debian<'_>, references: &[String]) -> Result<()> {
    let archive = debian(base)?;
    let context = tempfile::tempdir()?;
    fs::write(context.path().join("Dockerfile"), "FROM scratch\nADD base.tar /\nCMD [\"/bin/sh\"]\n")?;
    fs::hard_link(&archive, context.path().join("base.tar"))
        .or_else(|_| fs::copy(&archive, context.path().join("base.tar")).map(drop))?;
    let work = tempfile::tempdir()?;
    let mut build = bako.build(context.path());
    build.args(references.iter().flat_map(|reference| ["--destination", reference]));
    build.args(["--insecure", "--work-dir"]).arg(work.path());
    finish(&mut build)?.success().context("build the Debian base").map(drop)
}

/// Puts into a folder what clients on this machine are told about their registries and certificates: `pip.conf`,
/// `npmrc` and `ca-certificates.crt`.
pub fn machine_settings(folder: &Path) -> Result<()> {
    let home = std::env::var("HOME").unwrap_or_default();
    let joined = |files: &[String]| -> String {
        files.iter().filter_map(|file| fs::read_to_string(file).ok()).map(|text| text + "\n").collect()
    };
    let pip =
        ["/etc/pip.conf".to_owned(), format!("{home}/.config/pip/pip.conf"), format!("{home}/.pip/pip.conf")];
    // pip takes one section once: the file nearest to the user decides.
    let pip = pip.iter().rev().find_map(|file| fs::read_to_string(file).ok()).unwrap_or_default();
    fs::write(folder.join("pip.conf"), pip)?;
    fs::write(folder.join("npmrc"), joined(&["/etc/npmrc".to_owned(), format!("{home}/.npmrc")]))?;
    let bundle = joined(&["/etc/ssl/certs/ca-certificates.crt".to_owned()]);
    fs::write(folder.join("ca-certificates.crt"), bundle)?;
    Ok(())
}

/// The files of apt's configuration that name this distribution's own archive.
fn sources() -> Result<Vec<PathBuf>> {
    let codename = codename()?;
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    for entry in fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten() {
        files.push(entry?.path());
    }
    files.retain(|file| {
        let text = fs::read_to_string(file).unwrap_or_default();
        text.lines()
            .filter(|line| !line.trim_start().starts_with('#'))
            .any(|line| line.split_whitespace().any(|word| word == codename))
    });
    if files.is_empty() {
        bail!("apt's sources name no archive of {codename}");
    }
    Ok(files)
}

/// This machine's Debian release.
fn codename() -> Result<String> {
    let text = fs::read_to_string("/etc/os-release")?;
    text.lines()
        .find_map(|line| line.strip_prefix("VERSION_CODENAME="))
        .map(|name| name.trim_matches('"').to_owned())
        .context("/etc/os-release names no release")
}

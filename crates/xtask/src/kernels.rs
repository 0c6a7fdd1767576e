//! `cargo xtask test kernels`: the tests of the isolations under other kernels than this machine's, and on aarch64.
//!
//! What a RUN finds is the kernel's affair as much as ours, and clusters have older ones. Debian's kernels are started in
//! an emulator (without KVM, so that it is the same everywhere) with a root in memory that has the test program, the children
//! that it starts and busybox, and an empty disk to work on.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use e2e::process::{finish, output};
use e2e::{bases, host};

use crate::cargo::cargo;
use crate::packages;

/// What the emulation takes.
const PACKAGES: [&str; 10] = [
    "apparmor",
    "busybox-static",
    "e2fsprogs",
    "gcc",
    "gcc-aarch64-linux-gnu",
    "kmod",
    "libc6-dev-arm64-cross",
    "qemu-system-arm",
    "qemu-system-x86",
    "libc6-dev",
];

/// A machine to emulate.
struct Machine {
    name: &'static str,
    what: &'static str,
    /// The Debian release whose kernel it has.
    release: &'static str,
    processor: &'static Processor,
}

/// What depends on the processor.
struct Processor {
    /// Debian's name of it.
    debian: &'static str,
    target: &'static str,
    compiler: &'static str,
    emulator: &'static [&'static str],
    console: &'static str,
}

const X86_64: Processor = Processor {
    debian: "amd64",
    target: "x86_64-unknown-linux-gnu",
    compiler: "gcc",
    emulator: &["qemu-system-x86_64", "-machine", "q35", "-cpu", "max"],
    console: "ttyS0",
};

const AARCH64: Processor = Processor {
    debian: "arm64",
    target: "aarch64-unknown-linux-gnu",
    compiler: "aarch64-linux-gnu-gcc",
    // Its signatures of pointers as the architecture has them would take most of the time.
    emulator: &["qemu-system-aarch64", "-machine", "virt", "-cpu", "max,pauth-impdef=on"],
    console: "ttyAMA0",
};

const MACHINES: [Machine; 3] = [
    Machine { name: "5.10", what: "Linux 5.10, x86-64", release: "bullseye", processor: &X86_64 },
    Machine { name: "6.1", what: "Linux 6.1, x86-64", release: "bookworm", processor: &X86_64 },
    Machine { name: "aarch64", what: "Linux 6.1, aarch64", release: "bookworm", processor: &AARCH64 },
];

/// Children of the tests: `crates/sandbox/tests/NAME/child.c`.
const CHILDREN: [&str; 2] = ["conformance", "hostile"];

/// The first program of the machine.
const INIT: &str = r#"#!/bin/sh
export PATH=/bin:/sbin HOME=/root SANDBOX_TEST_CHILDREN=/children
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/shm /dev/pts; mount -t devpts devpts /dev/pts; ln -s /proc/self/fd /dev/fd
for module in virtio_pci virtio_blk overlay; do modprobe $module; done
mount -t ext4 /dev/vda /tmp && chmod 1777 /tmp
/test --color never "$@" 2>&1
# A user whom AppArmor confines and who may trace children alone, as on Ubuntu; and one who may not do that either.
mount -t securityfs securityfs /sys/kernel/security
cat /container.apparmor > /sys/kernel/security/apparmor/.load
echo 1 > /proc/sys/kernel/yama/ptrace_scope
/as-user --skip hostile supervised:
echo 2 > /proc/sys/kernel/yama/ptrace_scope
/as-user skipped
poweroff -f
"#;

/// Runs tests as a user, confined by AppArmor.
const AS_USER: &str = r#"#!/bin/sh
echo 'exec container' > /proc/self/attr/exec && exec su -s /bin/sh user -c "
    export PATH=$PATH SANDBOX_TEST_CHILDREN=$SANDBOX_TEST_CHILDREN
    cat /proc/self/attr/current; /test --color never $*" 2>&1
"#;

pub(crate) fn run(arguments: &[String]) -> Result<ExitCode> {
    packages::install(&PACKAGES)?;
    // The machines are made of Debian's packages, and their files are root's.
    let needs = ["root", "dpkg-deb", "qemu-system-aarch64", "qemu-system-x86_64", "aarch64-linux-gnu-gcc"];
    if let Some(reason) = host::missing(&needs) {
        host::skip_named("kernels", &reason);
        return Ok(ExitCode::SUCCESS);
    }
    let (names, filters): (Vec<&String>, Vec<&String>) =
        arguments.iter().partition(|word| MACHINES.iter().any(|machine| machine.name == **word));
    let (mut good, mut tested) = (true, false);
    let mut rows = Vec::new();
    for machine in
        MACHINES.iter().filter(|machine| names.is_empty() || names.iter().any(|name| *name == machine.name))
    {
        let begin = Instant::now();
        let packages = match machine.packages() {
            Ok(packages) => packages,
            Err(error) => {
                rows.push(format!("{}: skipped: its packages cannot be fetched: {error:#}", machine.what));
                continue;
            }
        };
        tested = true;
        let result = match machine.test(&packages, &filters) {
            Ok(result) => result,
            Err(error) => {
                good = false;
                rows.push(format!("{}: {error:#}", machine.what));
                continue;
            }
        };
        let totals = |index| {
            let line = result.lines().filter_map(|line| line.strip_prefix("test result: ")).nth(index);
            line.map_or("did not end", |line| line.split("; 0 measured").next().unwrap_or(line))
        };
        // A word that is neither a machine nor in a test's name chooses nothing.
        let is_good = |totals: &str| totals.starts_with("ok.") && !totals.starts_with("ok. 0 passed");
        good &= [0, 1].iter().all(|index| is_good(totals(*index)));
        let confined = result.contains("container (enforce)");
        good &= confined;
        let user = if confined { "a confined user" } else { "a user whom AppArmor does NOT CONFINE" };
        // Nothing is left to such a user, and that is said.
        let refused = result.contains("supervised: ptrace a child: Operation not permitted");
        good &= refused;
        let without = if refused { "told" } else { "NOT TOLD" };
        let took = begin.elapsed().as_secs();
        rows.push(format!(
            "{}: {}; as {user}, supervised: {}; that ptrace is refused: {without} ({took} s)",
            machine.what,
            totals(0),
            totals(1)
        ));
    }
    println!("\n{}", rows.join("\n"));
    ensure!(tested, "no kernel could be fetched");
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What a machine has of Debian's: the content of the kernel's package, and a program.
struct Packages {
    kernel: PathBuf,
    busybox: PathBuf,
}

impl Machine {
    /// What it has of Debian's.
    fn packages(&self) -> Result<Packages> {
        let kernel = self.package(&format!("linux-image-cloud-{}", self.processor.debian))?;
        Ok(Packages { kernel, busybox: self.package("busybox-static")?.join("bin/busybox") })
    }

    /// Runs the tests in it; what they print.
    fn test(&self, Packages { kernel, busybox }: &Packages, filters: &[&String]) -> Result<String> {
        println!("{}", self.what);
        let work = tempfile::tempdir()?;
        let root = work.path().join("root");
        self.make_root(&root, kernel, busybox, filters)?;
        let (memory, disk) = (work.path().join("root.cpio"), work.path().join("disk"));
        let pack = "cd \"$1\" && find . | busybox cpio -o -H newc > \"$2\"";
        output(Command::new("sh").args(["-c", pack, "sh"]).args([&root, &memory]))?;
        fs::File::create(&disk)?.set_len(4 << 30)?;
        output(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&disk))?;

        let [program, arguments @ ..] = self.processor.emulator else { bail!("an emulator has a name") };
        let append = format!("console={} quiet panic=-1", self.processor.console);
        let mut emulator = Command::new("timeout");
        emulator.args(["1500", program]).args(arguments);
        emulator.args(["-smp", "2", "-m", "2G", "-nographic", "-no-reboot", "-append", &append, "-kernel"]);
        emulator.arg(first_in(&kernel.join("boot"), "vmlinuz-")?).arg("-initrd").arg(memory);
        emulator.arg("-drive").arg(format!("file={},if=virtio,format=raw,cache=unsafe", disk.display()));
        let text = output(emulator.stdin(Stdio::null()))?;
        let text = text.replace('\r', "");
        // Before that is what the firmware says.
        let begin = text.find("running ").unwrap_or_default();
        for line in text[begin..].lines().filter(|line| !line.trim_end().ends_with("... ok")) {
            println!("  {line}");
        }
        Ok(text)
    }

    /// The directory that the machine has in memory.
    fn make_root(&self, root: &Path, kernel: &Path, busybox: &Path, filters: &[&String]) -> Result<()> {
        for folder in ["bin", "sbin", "children", "dev", "etc", "proc", "root", "sys", "tmp"] {
            fs::create_dir_all(root.join(folder))?;
        }
        let install = |from: &Path, to: &str| -> Result<()> {
            fs::copy(from, root.join(to)).with_context(|| from.display().to_string())?;
            Ok(fs::set_permissions(root.join(to), fs::Permissions::from_mode(0o755))?)
        };
        install(busybox, "bin/busybox")?;
        for name in ["cat", "chmod", "ln", "mkdir", "mount", "poweroff", "sh", "su"] {
            symlink("busybox", root.join("bin").join(name))?;
        }
        symlink("../bin/busybox", root.join("sbin/modprobe"))?;
        install(&self.build_tests()?, "test")?;
        for child in CHILDREN {
            let source = host::repository().join(format!("crates/sandbox/tests/{child}/child.c"));
            let mut compiler = Command::new(self.processor.compiler);
            compiler.args(["-O1", "-w", "-static", "-pthread", "-o"]);
            output(compiler.arg(root.join("children").join(child)).arg(source))?;
        }
        let words: String = filters.iter().map(|filter| format!(" '{filter}'")).collect();
        for (name, text) in [("init", INIT.replace(" \"$@\"", &words)), ("as-user", AS_USER.to_owned())] {
            fs::write(root.join(name), text)?;
            fs::set_permissions(root.join(name), fs::Permissions::from_mode(0o755))?;
        }
        let mut parser = Command::new("apparmor_parser");
        parser.args(["--skip-kernel-load", "--stdout", "--skip-cache"]);
        parser.args(["--features-file", "/etc/apparmor.d/abi/3.0"]);
        parser.arg(host::repository().join("crates/xtask/src/container.apparmor"));
        let file = fs::File::create(root.join("container.apparmor"))?;
        ensure!(parser.stdout(file).status()?.success(), "apparmor_parser failed");
        let files = [
            ("passwd", "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/tmp:/bin/sh\n"),
            ("group", "root:x:0:\nuser:x:1000:\n"),
            ("hosts", "127.0.0.1 localhost\n"),
            ("resolv.conf", ""),
        ];
        for (name, text) in files {
            fs::write(root.join("etc").join(name), text)?;
        }
        // Of the modules those for the disk and overlays.
        let modules = first_in(&kernel.join("lib/modules"), "")?;
        let version = modules.file_name().context("a kernel has a version")?;
        let to = root.join("lib/modules").join(version);
        for part in ["fs/overlayfs", "drivers/virtio", "drivers/block"] {
            let parent = to.join("kernel").join(part);
            fs::create_dir_all(&parent)?;
            output(Command::new("cp").arg("-rT").arg(modules.join("kernel").join(part)).arg(parent))?;
        }
        for name in ["modules.order", "modules.builtin", "modules.builtin.modinfo"] {
            fs::copy(modules.join(name), to.join(name))?;
        }
        output(Command::new("depmod").arg("-b").arg(root).arg(version))?;
        Ok(())
    }

    /// The program of the sandbox's tests, for this processor.
    fn build_tests(&self) -> Result<PathBuf> {
        let target = self.processor.target;
        let mut build = cargo(&["test", "--no-run", "-p", "sandbox", "--test", "run", "--target", target]);
        build.args(["--message-format", "json-render-diagnostics"]).stderr(Stdio::inherit());
        if target != X86_64.target {
            // Without rustup it has to be there already, which cargo says.
            if host::find("rustup").is_some() {
                output(Command::new("rustup").args(["target", "add", target]))?;
            }
            let name = format!("CARGO_TARGET_{}_LINKER", target.replace('-', "_").to_uppercase());
            build.env(name, self.processor.compiler);
        }
        let built = build.output().context("start cargo")?;
        ensure!(built.status.success(), "the tests do not compile");
        let messages = String::from_utf8_lossy(&built.stdout);
        let executable = messages.lines().find_map(|line| {
            let message: serde_json::Value = serde_json::from_str(line).ok()?;
            message["executable"].as_str().map(PathBuf::from)
        });
        executable.context("cargo names no test program")
    }

    /// The content of a package of this release and processor, fetched once.
    fn package(&self, name: &str) -> Result<PathBuf> {
        let folder = bases::cache_folder()?.join(format!("{}-{}", self.release, self.processor.debian));
        let content = folder.join(name);
        if content.is_dir() {
            return Ok(content);
        }
        let lists = folder.join("apt");
        for part in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(lists.join(part))?;
        }
        let (sources, configuration) = (lists.join("sources.list"), lists.join("apt.conf"));
        fs::write(&sources, format!("deb {} {} main\n", archive()?, self.release))?;
        let (at, processor) = (lists.display(), self.processor.debian);
        let text = format!(
            "Dir::Etc::sourcelist \"{at}/sources.list\";\nDir::Etc::sourceparts \"/dev/null\";\n\
             Dir::State::lists \"{at}/lists\";\nDir::State::status \"/dev/null\";\nDir::Cache \"{at}/cache\";\n\
             APT::Architecture \"{processor}\";\nAPT::Architectures \"{processor}\";\nAPT::Sandbox::User \"root\";\n"
        );
        fs::write(&configuration, text)?;
        let apt = |program: &str, arguments: &[&str]| {
            let mut command = Command::new(program);
            command.args(arguments).env("APT_CONFIG", &configuration).current_dir(&folder);
            command
        };
        output(&mut apt("apt-get", &["update", "-qq"]))?;
        // The kernel's own package is the one that the name stands for.
        let depends = output(&mut apt("apt-cache", &["depends", "--no-recommends", "--no-suggests", name]))?;
        let real = depends.lines().find_map(|line| line.trim().strip_prefix("Depends: ")).unwrap_or(name);
        let real = if real.starts_with("linux-image-") { real } else { name };
        println!("fetching {real} of {}", self.release);
        output(&mut apt("apt-get", &["download", "-qq", real]))?;
        let package = first_in(&folder, &format!("{real}_"))?;
        let part = tempfile::tempdir_in(&folder)?;
        finish(Command::new("dpkg-deb").arg("-x").arg(&package).arg(part.path()))?.success()?;
        fs::remove_file(package)?;
        fs::rename(part.keep(), &content)?;
        Ok(content)
    }
}

/// The archive that this machine has its own packages from.
fn archive() -> Result<String> {
    let format = "$(REPO_URI) $(CODENAME)";
    let of_packages = ["Created-By: Packages", "Component: main"];
    let text = output(Command::new("apt-get").args(["indextargets", "--format", format]).args(of_packages))?;
    // Of those for updates the names are longer.
    let archives =
        text.lines().filter_map(|line| line.split_once(' ')).filter(|(_, name)| !name.contains('-'));
    let archive = archives.map(|(archive, _)| archive.to_owned()).next();
    archive.context("apt's sources name no archive of Debian")
}

/// The entry of a folder whose name begins like this.
fn first_in(folder: &Path, beginning: &str) -> Result<PathBuf> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let found = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(beginning)));
    found.with_context(|| format!("{}: nothing begins with {beginning}", folder.display()))
}

//! RUN for another machine: without an emulator the error says which stage and what to do, and with one it runs.
#![forbid(unsafe_code)]

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::process::{Finished, finish, wait_until};
use e2e::{Bako, Registry, host, require};

/// Where the emulator is in the kernel's table.
const EMULATOR: &str = "/proc/sys/fs/binfmt_misc/qemu-aarch64";

/// A program for arm64 that makes the directory `/ran` and ends: `mkdirat(AT_FDCWD, "/ran", 0755); exit(0)`.
fn program() -> Vec<u8> {
    let instructions: [u32; 8] = [
        0x9280_0c60, // mov x0, #-100
        0x1000_00e1, // adr x1, path
        0xd280_3da2, // mov x2, #0755
        0xd280_0448, // mov x8, #34
        0xd400_0001, // svc #0
        0xd280_0000, // mov x0, #0
        0xd280_0ba8, // mov x8, #93
        0xd400_0001, // svc #0
    ];
    let code = [instructions.map(u32::to_le_bytes).concat(), b"/ran\0".to_vec()].concat();
    let (base, head) = (0x40_0000_u64, 120_u64);
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(16, 0);
    for half in [2_u16, 183] {
        file.extend(half.to_le_bytes());
    }
    file.extend(1_u32.to_le_bytes());
    for long in [base + head, 64, 0] {
        file.extend(long.to_le_bytes());
    }
    file.extend(0_u32.to_le_bytes());
    for half in [64_u16, 56, 1, 64, 0, 0] {
        file.extend(half.to_le_bytes());
    }
    // One segment, to be read and executed: the whole file.
    file.extend([1_u32, 5].map(u32::to_le_bytes).concat());
    let length = head + code.len() as u64;
    file.extend([0, base, base, length, length, 0x1_0000].map(u64::to_le_bytes).concat());
    file.extend(code);
    file
}

fn context(folder: &Path) -> Result<()> {
    fs::write(folder.join("program"), program())?;
    let dockerfile = "FROM scratch AS tools\nCOPY --chmod=755 program /program\nRUN [\"/program\"]\n\
                      FROM scratch\nCOPY --from=tools /ran /ran\n";
    Ok(fs::write(folder.join("Dockerfile"), dockerfile)?)
}

#[test]
fn without_an_emulator_the_error_says_what_to_do() -> Result<()> {
    if Path::new(EMULATOR).exists() {
        host::skip("this machine has an emulator");
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    context(folder.path())?;
    let bako = Bako::built()?;
    let mut build = bako.build(folder.path());
    build.args(["--no-push", "--platform", "linux/arm64", "--work-dir"]).arg(folder.path());
    let failed = finish(&mut build)?;
    ensure!(failed.code != 0, "it ran");
    for words in [
        "stage tools",
        "Dockerfile:3",
        "the image is for linux/arm64 and this machine is linux/amd64",
        "qemu registered with binfmt_misc",
    ] {
        assert!(failed.stderr.contains(words), "{words:?} is missing in\n{}", failed.stderr);
    }
    Ok(())
}

/// A user namespace of all users, and with it a table of emulators of its own (since Linux 6.7). It is there until it is
/// dropped.
struct Namespace(Child);

impl Namespace {
    fn new() -> Result<Self> {
        // It waits for the end of its input, which is ours.
        let mut command = Command::new("unshare");
        let child =
            command.args(["--user", "--mount", "cat"]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
        let own = fs::read_link("/proc/self/ns/user")?;
        let theirs = format!("/proc/{}/ns/user", child.id());
        let apart =
            wait_until(Duration::from_secs(10), || fs::read_link(&theirs).is_ok_and(|theirs| theirs != own));
        let namespace = Self(child);
        ensure!(apart, "there is no namespace");
        for map in ["uid_map", "gid_map"] {
            fs::write(format!("/proc/{}/{map}", namespace.0.id()), "0 0 65536")?;
        }
        Ok(namespace)
    }

    fn run(&self, script: &str) -> Result<Finished> {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.0.id().to_string(), "--user", "--mount", "sh", "-ec", script]);
        finish(&mut command)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[test]
fn with_an_emulator_it_runs() -> Result<()> {
    if !require(&["qemu-aarch64-static", "unshare", "nsenter"]) {
        return Ok(());
    }
    let emulator = host::find("qemu-aarch64-static").context("it was found before")?;
    let Ok(namespace) = Namespace::new() else {
        host::skip("there is no user namespace of all users: that takes root");
        return Ok(());
    };
    let magic = "\\x7fELF\\x02\\x01\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x02\\x00\\xb7\\x00";
    let mask = "\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\x00\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xfe\\xff\\xff\\xff";
    let entry = format!(":qemu-aarch64:M::{magic}:{mask}:{}:F", emulator.display());
    let table = "/proc/sys/fs/binfmt_misc";
    let registered = namespace
        .run(&format!("mount -t binfmt_misc none {table} && printf %s '{entry}' > {table}/register"))?;
    if registered.code != 0 {
        host::skip("the kernel has no table of emulators for a user namespace");
        return Ok(());
    }
    let bako = Bako::built()?;
    let registry = Registry::ours(&bako)?;
    let folder = tempfile::tempdir()?;
    context(folder.path())?;
    let reference = registry.reference("foreign:1");
    let (program, folder) = (bako.program.display(), folder.path().display());
    // The supervisor of `supervised` loads programs itself, and knows those of this machine.
    let built = namespace.run(&format!(
        "exec '{program}' --context '{folder}' --destination {reference} --platform linux/arm64 --isolation ns --work-dir '{folder}'"
    ))?;
    built.success()?;
    let config = registry.config("foreign", "1")?;
    assert_eq!(config["architecture"], "arm64");
    assert_eq!(config["rootfs"]["diff_ids"].as_array().map(Vec::len), Some(1));
    Ok(())
}

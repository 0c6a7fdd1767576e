//! Builds that cannot work: one clear message that names its subject, an exit code, no tag, nothing left.
#![forbid(unsafe_code)]

use std::fs::{self, Permissions};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::http::{Fault, Proxy};
use e2e::process::{Finished, finish, output, wait_until};
use e2e::{Bako, Registry, bases, require};
use tempfile::TempDir;

/// Somebody who is not root.
const USER: u32 = 1000;

struct Fixture {
    bako: Bako,
    registry: Registry,
    folder: TempDir,
}

impl Fixture {
    fn new() -> Result<Self> {
        let bako = Bako::built()?;
        let registry = Registry::ours(&bako)?;
        bases::busybox(&bako, &registry)?;
        let folder = tempfile::tempdir()?;
        fs::create_dir(folder.path().join("context"))?;
        fs::create_dir(folder.path().join("work"))?;
        Ok(Self { bako, registry, folder })
    }

    /// The command that builds a Dockerfile; BASE in its text is the base's reference at `address`.
    fn command(&self, address: &str, dockerfile: &str) -> Result<Command> {
        let context = self.folder.path().join("context");
        fs::write(context.join("Dockerfile"), dockerfile.replace("BASE", &format!("{address}/busybox")))?;
        let mut command = self.bako.build(&context);
        command.args(["--destination", &self.registry.reference("app:latest")]);
        command.arg("--work-dir").arg(self.folder.path().join("work"));
        Ok(command)
    }

    /// Builds what must fail, and checks all that holds for every failure.
    fn fails(&self, command: &mut Command, says: &[&str]) -> Result<Finished> {
        let finished = finish(command)?;
        self.left_nothing(&finished)?;
        let errors: Vec<&str> = finished.stderr.lines().filter(|line| line.starts_with("error:")).collect();
        ensure!(errors.len() == 1, "one message, but there are {}:\n{}", errors.len(), finished.stderr);
        for text in says {
            ensure!(finished.stderr.contains(text), "{text:?} is not in:\n{}", finished.stderr);
        }
        Ok(finished)
    }

    fn left_nothing(&self, finished: &Finished) -> Result<()> {
        ensure!(finished.code != 0, "the build was to fail");
        ensure!(finished.stdout.is_empty(), "standard output: {}", finished.stdout);
        ensure!(!self.registry.has_tag("app", "latest")?, "a tag was left");
        let work = self.folder.path().join("work");
        let left: Vec<_> = fs::read_dir(&work).into_iter().flatten().flatten().map(|e| e.path()).collect();
        ensure!(left.is_empty(), "left in the work directory: {left:?}");
        Ok(())
    }
}

/// The whole of a build against the registry, with nothing in its way.
fn check(dockerfile: &str, arguments: &[&str], says: &[&str]) -> Result<()> {
    let fixture = Fixture::new()?;
    let mut command = fixture.command(&fixture.registry.address, dockerfile)?;
    fixture.fails(command.args(arguments), says).map(drop)
}

/// A build through a proxy that spoils answers to requests for paths with `part` in them.
fn check_fault(fault: Fault, part: &'static str, says: &[&str]) -> Result<()> {
    let fixture = Fixture::new()?;
    let faults = move |method: &str, path: &str| (method != "HEAD" && path.contains(part)).then_some(fault);
    let proxy = Proxy::start(&fixture.registry.address, faults)?;
    let mut command = fixture.command(&proxy.address, "FROM BASE\nRUN true\n")?;
    fixture.fails(&mut command, says).map(drop)
}

#[test]
fn a_base_that_does_not_exist() -> Result<()> {
    check("FROM BASE-missing\nRUN true\n", &[], &["Dockerfile:1", "/busybox-missing"])
}

#[test]
fn a_tag_that_does_not_exist() -> Result<()> {
    check("FROM BASE:9.9\nRUN true\n", &[], &["Dockerfile:1", "/busybox:9.9"])
}

#[test]
fn a_digest_that_does_not_exist() -> Result<()> {
    let digest = format!("sha256:{}", "0".repeat(64));
    check(&format!("FROM BASE@{digest}\nRUN true\n"), &[], &["Dockerfile:1", &digest])
}

#[test]
fn a_registry_that_is_not_there() -> Result<()> {
    check("FROM 127.0.0.1:1/nothing:here\nRUN true\n", &[], &["Dockerfile:1", "127.0.0.1:1/nothing:here"])
}

/// RFC 6761: no name below `invalid` is anybody's. It is asked for again, as a name server may fail for a while.
#[test]
fn a_registry_whose_name_is_nobody_s() -> Result<()> {
    let says = ["Dockerfile:1", "its name cannot be resolved", "nobody.invalid"];
    check("FROM nobody.invalid/base:1\nRUN true\n", &[], &says)
}

#[test]
fn a_context_whose_host_is_nobody_s() -> Result<()> {
    let says = ["its name cannot be resolved", "nobody.invalid"];
    check("FROM scratch\n", &["--context", "https://nobody.invalid/context.tar"], &says)
}

#[test]
fn a_stage_that_does_not_exist() -> Result<()> {
    check("FROM BASE AS build\n", &["--target", "buidl"], &["buidl", "build"])
}

#[test]
fn a_file_that_does_not_exist() -> Result<()> {
    check("FROM BASE\nCOPY no/such.txt /\n", &[], &["Dockerfile:2", "no/such.txt"])
}

/// As a user who may read the context but for one file, and may write nothing there.
#[test]
fn a_file_that_may_not_be_read() -> Result<()> {
    if !require(&["root"]) {
        return Ok(());
    }
    let mut fixture = Fixture::new()?;
    let folder = fixture.folder.path().to_owned();
    // A user has to reach the program, which may be below root's home.
    let program = folder.join("bako");
    fs::copy(&fixture.bako.program, &program)?;
    fixture.bako.program = program;
    chown(folder.join("work"), Some(USER), Some(USER))?;
    fs::write(folder.join("context/open"), "open\n")?;
    fs::write(folder.join("context/closed"), "closed\n")?;
    let mut command = fixture.command(&fixture.registry.address, "FROM scratch\nCOPY . /\n")?;
    for (path, mode) in [("", 0o755), ("context/closed", 0o600), ("context", 0o555)] {
        fs::set_permissions(folder.join(path), Permissions::from_mode(mode))?;
    }
    command.uid(USER).gid(USER);
    fixture.fails(&mut command, &["Dockerfile:2", "closed", "ermission denied"])?;

    // What is ignored is not read, and a context that cannot be written to is one like others.
    fs::write(folder.join("context/.dockerignore"), "closed\n")?;
    finish(&mut command)?.success()?;
    Ok(())
}

#[test]
fn a_dockerfile_that_does_not_exist() -> Result<()> {
    check("FROM BASE\n", &["--dockerfile", "Elsewhere"], &["Elsewhere"])
}

#[test]
fn a_context_that_does_not_exist() -> Result<()> {
    let fixture = Fixture::new()?;
    let mut command = fixture.bako.build(Path::new("/no/such/context"));
    command.args(["--destination", &fixture.registry.reference("app:latest")]);
    command.arg("--work-dir").arg(fixture.folder.path().join("work"));
    fixture.fails(&mut command, &["/no/such/context"]).map(drop)
}

#[test]
fn a_destination_that_is_no_reference() -> Result<()> {
    check("FROM BASE\n", &["--destination", "Not A Reference"], &["Not A Reference"])
}

/// The exit code is the command's, for scripts that look at it.
#[test]
fn a_command_that_fails() -> Result<()> {
    let fixture = Fixture::new()?;
    let dockerfile = "FROM BASE\nRUN echo first\nRUN echo the last words; exit 42\n";
    let mut command = fixture.command(&fixture.registry.address, dockerfile)?;
    let finished = fixture.fails(&mut command, &["Dockerfile:3", "the last words", "42"])?;
    assert_eq!(finished.code, 42);
    Ok(())
}

#[test]
fn a_layer_that_ends_early() -> Result<()> {
    check_fault(Fault::Truncate, "/blobs/", &["/busybox"])
}

#[test]
fn a_layer_with_other_bytes() -> Result<()> {
    check_fault(Fault::Corrupt, "/blobs/", &["/busybox", "sha256:"])
}

#[test]
fn a_manifest_that_is_no_json() -> Result<()> {
    check_fault(Fault::Malformed, "/manifests/", &["Dockerfile:1", "/busybox"])
}

#[test]
fn a_registry_that_wants_a_login() -> Result<()> {
    check_fault(Fault::Unauthorized, "/v2/", &["Dockerfile:1", "/busybox", "credentials"])
}

/// A login that is refused for the push alone: found out before anything is built.
#[test]
fn a_destination_that_refuses_the_push() -> Result<()> {
    let fixture = Fixture::new()?;
    let proxy = Proxy::start(&fixture.registry.address, |method, _| {
        matches!(method, "POST" | "PUT" | "PATCH").then_some(Fault::Unauthorized)
    })?;
    let context = fixture.folder.path().join("context");
    fs::write(
        context.join("Dockerfile"),
        format!("FROM {}/busybox\nRUN echo was-run\n", fixture.registry.address),
    )?;
    let mut command = fixture.bako.build(&context);
    command.args(["--destination", &format!("{}/app:latest", proxy.address)]);
    command.arg("--work-dir").arg(fixture.folder.path().join("work"));
    let finished = fixture.fails(&mut command, &["/app", "credentials"])?;
    ensure!(!finished.stderr.contains("was-run"), "built before the login was tried:\n{}", finished.stderr);
    Ok(())
}

/// A disk with no room left; a tmpfs plays it.
#[test]
fn a_full_disk() -> Result<()> {
    if !require(&["root"]) {
        return Ok(());
    }
    let fixture = Fixture::new()?;
    let work = fixture.folder.path().join("work");
    if output(Command::new("mount").args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"]).arg(&work)).is_err() {
        e2e::skip("mounting a tmpfs is not allowed here");
        return Ok(());
    }
    let big = fixture.folder.path().join("context/big");
    output(
        Command::new("dd")
            .args(["if=/dev/urandom", "bs=1M", "count=20"])
            .arg(format!("of={}", big.display())),
    )?;
    let dockerfile = "FROM BASE\nCOPY big /\nRUN true\n";
    let result = fixture
        .command(&fixture.registry.address, dockerfile)
        .and_then(|mut command| fixture.fails(&mut command, &["No space left on device"]));
    output(Command::new("umount").arg(&work))?;
    result.map(drop)
}

/// A build that is told to stop takes its commands with it, those of all stages, and cleans up.
#[test]
fn a_signal_in_the_middle() -> Result<()> {
    for isolation in Bako::built()?.isolations()? {
        let fixture = Fixture::new()?;
        let mark = format!("bako-test-{}-{isolation}", std::process::id());
        // With this one there is one command at a time.
        let stages: &[&str] = if isolation == "supervised" { &["a"] } else { &["a", "b"] };
        let run = "RUN echo started-$MARK; (sleep 1000 &); sleep 1000\n";
        let mut dockerfile: String = stages
            .iter()
            .map(|stage| format!("FROM BASE AS {stage}\nENV MARK={mark}-{stage}\n{run}"))
            .collect();
        dockerfile.push_str("FROM scratch\n");
        dockerfile.extend(stages.iter().map(|stage| format!("COPY --from={stage} / /\n")));
        let mut command = fixture.command(&fixture.registry.address, &dockerfile)?;
        command.args(["--isolation", &isolation, "--jobs", "2"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let mut stderr = BufReader::new(child.stderr.take().context("a pipe")?);
        let mut said = String::new();
        let all_run =
            |said: &str| stages.iter().all(|stage| said.contains(&format!("| started-{mark}-{stage}\n")));
        while !all_run(&said) {
            ensure!(stderr.read_line(&mut said)? > 0, "ended before the command began:\n{said}");
        }
        output(Command::new("kill").args(["-TERM", &child.id().to_string()]))?;
        let rest = std::thread::spawn(move || std::io::read_to_string(stderr));
        let stopped = wait_until(Duration::from_secs(20), || !matches!(child.try_wait(), Ok(None)));
        if !stopped {
            child.kill()?;
        }
        let status = child.wait()?;
        let rest = rest.join().map_err(|_| anyhow::anyhow!("the reader panicked"))??;
        ensure!(stopped, "{isolation}: still there 20 s after SIGTERM:\n{rest}");
        use std::os::unix::process::ExitStatusExt as _;
        let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
        let finished = Finished { code, stdout: String::new(), stderr: rest, took: Duration::ZERO };
        fixture.left_nothing(&finished).with_context(|| format!("{isolation}: {}", finished.stderr))?;
        assert_eq!(code, 143, "{isolation}: {}", finished.stderr);
        let gone = wait_until(Duration::from_secs(5), || !is_running(&mark));
        ensure!(gone, "{isolation}: a process of the command is still there");
    }
    Ok(())
}

/// Ends a build that was started, once `ready` is true of the work directory, and checks that it says so and
/// leaves nothing.
fn is_ended_early(
    fixture: &Fixture,
    command: &mut Command,
    ready: impl Fn(&Path) -> bool,
    process: impl Fn(u32) -> Option<u32>,
) -> Result<()> {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let work = fixture.folder.path().join("work");
    let began = wait_until(Duration::from_secs(20), || ready(&work));
    let number = process(child.id()).context("the process is gone")?;
    output(Command::new("kill").args(["-TERM", &number.to_string()]))?;
    let stopped = wait_until(Duration::from_secs(20), || !matches!(child.try_wait(), Ok(None)));
    if !stopped {
        child.kill()?;
    }
    let ended = child.wait_with_output()?;
    use std::os::unix::process::ExitStatusExt as _;
    let code = ended.status.code().unwrap_or_else(|| 128 + ended.status.signal().unwrap_or(0));
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let finished =
        Finished { code, stdout: text(ended.stdout), stderr: text(ended.stderr), took: Duration::ZERO };
    ensure!(began && stopped, "began: {began}, stopped: {stopped}\n{}", finished.stderr);
    fixture.left_nothing(&finished).with_context(|| finished.stderr.clone())?;
    assert_eq!(code, 143, "{}", finished.stderr);
    Ok(())
}

fn is_empty(directory: &Path) -> bool {
    fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_none())
}

/// A signal while it is still being found out what works here.
#[test]
fn a_signal_at_the_beginning() -> Result<()> {
    for delay in [0, 1, 2, 5, 10, 20, 50, 100] {
        let fixture = Fixture::new()?;
        let mut command = fixture.command(&fixture.registry.address, "FROM BASE\nRUN sleep 1000\n")?;
        command.stdin(Stdio::null());
        let waits = |work: &Path| {
            let made = !is_empty(work);
            if made {
                std::thread::sleep(Duration::from_millis(delay));
            }
            made
        };
        is_ended_early(&fixture, &mut command, waits, Some).with_context(|| format!("after {delay} ms"))?;
    }
    Ok(())
}

/// A signal for process 1 of a container, which the kernel drops if there is no handler.
#[test]
fn a_signal_at_the_beginning_for_process_1() -> Result<()> {
    if !require(&["root", "unshare"]) {
        return Ok(());
    }
    let flags = ["--pid", "--fork", "--kill-child", "--mount-proc"];
    if output(Command::new("unshare").args(flags).arg("true")).is_err() {
        e2e::skip("a process namespace is not allowed here");
        return Ok(());
    }
    let fixture = Fixture::new()?;
    let build = fixture.command(&fixture.registry.address, "FROM BASE\nRUN sleep 1000\n")?;
    let mut command = Command::new("unshare");
    command.args(flags).arg(build.get_program()).args(build.get_args()).stdin(Stdio::null());
    let child = |parent: u32| {
        let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).ok()?;
        children.split_whitespace().next()?.parse().ok()
    };
    is_ended_early(&fixture, &mut command, |work| !is_empty(work), child)
}

/// A signal while a context is awaited that does not come.
#[test]
fn a_signal_while_the_context_comes() -> Result<()> {
    let fixture = Fixture::new()?;
    let mut command = fixture.command(&fixture.registry.address, "FROM BASE\n")?;
    command.args(["--context", "-"]);
    // Nobody writes to it, and nobody closes it.
    let (silent, _open) = std::io::pipe()?;
    command.stdin(silent);
    let waits = |work: &Path| {
        let of_build = fs::read_dir(work).into_iter().flatten().flatten().next();
        of_build.is_some_and(|entry| entry.path().join("context").exists())
    };
    is_ended_early(&fixture, &mut command, waits, Some)
}

/// What a command leaves running in the background is ended with it.
#[test]
fn a_process_left_in_the_background() -> Result<()> {
    for isolation in Bako::built()?.isolations()? {
        let fixture = Fixture::new()?;
        let mark = format!("bako-left-{}-{isolation}", std::process::id());
        let dockerfile = format!(
            "FROM BASE\nENV MARK={mark}\nRUN (trap '' TERM HUP; setsid sleep 1000) > /dev/null 2>&1 &\n"
        );
        let mut command = fixture.command(&fixture.registry.address, &dockerfile)?;
        finish(command.args(["--isolation", &isolation]))?.success()?;
        ensure!(!is_running(&mark), "{isolation}: the process is still there");
    }
    Ok(())
}

/// Whether a process on this machine has the mark in its environment.
fn is_running(mark: &str) -> bool {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes.filter_map(|process| fs::read(process.path().join("environ")).ok()).any(|environment| {
        environment
            .split(|byte| *byte == 0)
            .any(|variable| variable.starts_with(format!("MARK={mark}").as_bytes()))
    })
}

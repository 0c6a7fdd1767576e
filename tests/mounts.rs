//! Mounts of a RUN, as far as one build and its image do not tell: two builds at once, builds that are killed,
//! and where a secret is while a command has it.
#![forbid(unsafe_code)]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::process::{Finished, finish, output, wait_until};
use e2e::registry::Registry;
use e2e::stock::Stock;
use e2e::{Bako, Image};
use tempfile::TempDir;

/// How long something may take that takes no time on a machine with nothing else to do.
const LONG: Duration = Duration::from_secs(60);

/// A folder to build in, with the busybox base in a registry.
struct Fixture {
    bako: Bako,
    registry: Registry,
    folder: TempDir,
    isolation: String,
}

/// Runs `test` under every isolation that works here.
fn under_each(test: impl Fn(&Fixture) -> Result<()>) -> Result<()> {
    let bako = Bako::built()?;
    for isolation in bako.isolations()? {
        let registry = Stock::of(&bako)?.registry(&bako)?;
        let folder = tempfile::tempdir()?;
        for name in ["context", "work", "cache"] {
            fs::create_dir(folder.path().join(name))?;
        }
        let fixture = Fixture { bako: bako.clone(), registry, folder, isolation };
        test(&fixture).with_context(|| format!("under {}", fixture.isolation))?;
    }
    Ok(())
}

impl Fixture {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The command that builds these instructions on busybox, with a cache directory, as `app:TAG`.
    fn command(&self, tag: &str, instructions: &str) -> Result<Command> {
        let file = self.path(&format!("Dockerfile.{tag}"));
        let text = format!("FROM {}/busybox AS base\n{instructions}", self.registry.address);
        fs::write(&file, text.replace("REGISTRY", &self.registry.address))?;
        let mut command = self.bako.build(&self.path("context"));
        command.arg("--dockerfile").arg(&file).args(["--isolation", &self.isolation]);
        command.args(["--destination", &self.registry.reference(&format!("app:{tag}"))]);
        command.arg("--work-dir").arg(self.path("work")).arg("--cache-dir").arg(self.path("cache"));
        Ok(command)
    }

    fn build(&self, tag: &str, instructions: &str, arguments: &[&str]) -> Result<Finished> {
        finish(self.command(tag, instructions)?.args(arguments))?.success()
    }

    /// Looks for bytes anywhere in what was built, where the programs are that look into images.
    fn has_in_image(&self, tag: &str, bytes: &[u8]) -> Result<Option<String>> {
        if let Some(reason) = e2e::host::missing(e2e::image::JUDGES) {
            e2e::skip(&format!("looking into the image {reason}"));
            return Ok(None);
        }
        Image::pull(&self.registry.reference(&format!("app:{tag}")))?.holds(bytes)
    }

    /// Starts a build and waits until its command prints `up`.
    fn started(&self, tag: &str, instructions: &str, arguments: &[&str]) -> Result<Building> {
        let mut building = Building::start(self.command(tag, instructions)?.args(arguments))?;
        building.wait_for("| up")?;
        Ok(building)
    }
}

/// A build in progress.
struct Building {
    child: Child,
    stderr: BufReader<ChildStderr>,
    said: String,
}

impl Building {
    fn start(command: &mut Command) -> Result<Self> {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let stderr = BufReader::new(child.stderr.take().context("a pipe")?);
        Ok(Self { child, stderr, said: String::new() })
    }

    /// Reads what it says until a line holds `text`.
    fn wait_for(&mut self, text: &str) -> Result<()> {
        let mut line = String::new();
        while !line.contains(text) {
            line.clear();
            ensure!(self.stderr.read_line(&mut line)? > 0, "ended before it said {text:?}:\n{}", self.said);
            self.said.push_str(&line);
        }
        Ok(())
    }

    /// Waits for its end, which is a success.
    fn end(mut self) -> Result<String> {
        self.stderr.read_to_string(&mut self.said)?;
        let status = self.child.wait()?;
        ensure!(status.success(), "{status}:\n{}", self.said);
        Ok(std::mem::take(&mut self.said))
    }
}

impl Drop for Building {
    fn drop(&mut self) {
        // After a failure it may still be there.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Holds a command of a build until the test lets it go: the command asks for a page, and waits for it.
struct Gate(TcpListener);

impl Gate {
    fn new() -> Result<Self> {
        Ok(Self(TcpListener::bind("127.0.0.1:0")?))
    }

    /// What a command waits with.
    fn command(&self) -> Result<String> {
        Ok(format!("wget -q -O /dev/null http://{}/", self.0.local_addr()?))
    }

    /// Waits until a command waits.
    fn closed(&self) -> Result<Held> {
        self.0.set_nonblocking(true)?;
        let mut found = None;
        wait_until(LONG, || {
            found = self.0.accept().ok();
            found.is_some()
        });
        let (stream, _) = found.context("no command has come to the gate")?;
        stream.set_nonblocking(false)?;
        Ok(Held(stream))
    }
}

/// A command that waits.
struct Held(TcpStream);

impl Held {
    fn let_go(mut self) -> Result<()> {
        let mut line = String::new();
        BufReader::new(&self.0).read_line(&mut line)?;
        Ok(self.0.write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n")?)
    }
}

/// Two builds of one locked cache: the second waits, and says so.
#[test]
fn a_locked_cache_is_for_one() -> Result<()> {
    under_each(|fixture| {
        let gate = Gate::new()?;
        let mount = "RUN --mount=type=cache,id=c,target=/c,sharing=locked";
        let text = format!("{mount} {}; echo first >> /c/log\n", gate.command()?);
        let first = Building::start(&mut fixture.command("one", &text)?)?;
        let held = gate.closed()?;
        let text = format!("{mount} cat /c/log; echo second >> /c/log\n");
        let mut second = Building::start(&mut fixture.command("two", &text)?)?;
        second.wait_for("waiting for the cache c")?;
        held.let_go()?;
        first.end()?;
        let said = second.end()?;
        ensure!(said.contains("| first"), "the second did not come after the first:\n{said}");
        let said = fixture.build("three", &format!("{mount} cat /c/log\n"), &[])?.stderr;
        ensure!(said.contains("| first") && said.contains("| second"), "{said}");
        Ok(())
    })
}

/// Two builds of a shared cache see each other, where the isolation can show one directory to both; elsewhere
/// the second comes after the first.
#[test]
fn a_shared_cache_is_for_all() -> Result<()> {
    under_each(|fixture| {
        let gate = Gate::new()?;
        let mount = "RUN --mount=type=cache,id=c,target=/c";
        let text = format!("{mount} {}; ls /c; touch /c/first\n", gate.command()?);
        let first = Building::start(&mut fixture.command("one", &text)?)?;
        let held = gate.closed()?;
        let mut second =
            Building::start(&mut fixture.command("two", &format!("{mount} ls /c; touch /c/second\n"))?)?;
        if fixture.isolation == "chroot" {
            second.wait_for("waiting for the cache c")?;
            held.let_go()?;
            first.end()?;
            let said = second.end()?;
            ensure!(said.contains("| first"), "{said}");
        } else {
            second.end()?;
            held.let_go()?;
            let said = first.end()?;
            ensure!(said.contains("| second"), "{said}");
        }
        fixture.build("three", &format!("{mount} test -e /c/first && test -e /c/second\n"), &[]).map(drop)
    })
}

/// Two builds of a private cache have one each, and later ones use them again.
#[test]
fn a_private_cache_is_anothers() -> Result<()> {
    under_each(|fixture| {
        let gate = Gate::new()?;
        let mount = "RUN --mount=type=cache,id=c,target=/c,sharing=private";
        let text = format!("{mount} touch /c/first; {}\n", gate.command()?);
        let first = Building::start(&mut fixture.command("one", &text)?)?;
        let held = gate.closed()?;
        let said =
            fixture.build("two", &format!("{mount} test ! -e /c/first && touch /c/second\n"), &[])?.stderr;
        ensure!(!said.contains("waiting"), "{said}");
        held.let_go()?;
        first.end()?;
        fixture.build("three", &format!("{mount} test -e /c/first && test ! -e /c/second\n"), &[]).map(drop)
    })
}

/// A build that is killed leaves no mount, no process and no lock; its cache is what it was.
#[test]
fn a_killed_build_lets_go() -> Result<()> {
    under_each(|fixture| {
        let mount = "RUN --mount=type=cache,id=c,target=/c,sharing=locked --mount=type=tmpfs,target=/t --mount=target=/m,rw";
        let mark = format!("bako-killed-{}-{}", std::process::id(), fixture.isolation);
        fixture.build("before", &format!("{mount} echo kept > /c/kept\n"), &[])?;
        let text = format!("ENV MARK={mark}\n{mount} touch /c/during /m/x; echo up; sleep 1000\n");
        let mut building = fixture.started("one", &text, &[])?;
        building.child.kill()?;
        building.child.wait()?;
        let gone = wait_until(LONG, || !is_running(&mark));
        ensure!(gone, "a process of the command is still there");
        // What takes the mounts out of the root outlives the build by a moment, and has its work directory till then.
        let work = fixture.path("work");
        ensure!(wait_until(LONG, || !is_used(&work)), "a process of the build is still there");
        let said = fixture.build("two", &format!("{mount} cat /c/kept; ls /c /m /t\n"), &[])?.stderr;
        ensure!(
            said.contains("| kept") && said.contains("| during"),
            "the cache is not what it was:\n{said}"
        );
        ensure!(!said.contains("| x"), "what was to be lost was kept:\n{said}");
        let folder = fixture.folder.path().display().to_string();
        let mounts = fs::read_to_string("/proc/self/mountinfo")?;
        ensure!(!mounts.contains(&folder), "a mount is left:\n{mounts}");
        let left: Vec<_> = fs::read_dir(fixture.path("work"))?.flatten().map(|entry| entry.path()).collect();
        ensure!(left.is_empty(), "left in the work directory: {left:?}");
        Ok(())
    })
}

/// Without a directory to keep caches in, that is said once, and they last as long as the build.
#[test]
fn caches_without_a_place() -> Result<()> {
    under_each(|fixture| {
        if Path::new("/cache").exists() {
            e2e::skip("there is a /cache here, which is used");
            return Ok(());
        }
        let mount = "RUN --mount=type=cache,target=/c";
        let text = format!("{mount} test ! -e /c/x && touch /c/x\n{mount} test -e /c/x\n");
        for tag in ["one", "two"] {
            let mut command = fixture.command(tag, &text)?;
            let said = finish(command.args(["--cache-dir", ""]))?.success()?.stderr;
            let notices = said.matches("cache mounts last as long as this build").count();
            ensure!(notices == 1, "said {notices} times:\n{said}");
        }
        Ok(())
    })
}

/// While a command has a secret, and afterwards, it is in no file, no command line, no environment but the
/// command's own, and in nothing that was said.
#[test]
fn a_secret_is_nowhere_else() -> Result<()> {
    under_each(|fixture| {
        let value = format!("hidden-{}-value", std::process::id());
        // Its file is outside of everything that is looked through.
        let elsewhere = tempfile::NamedTempFile::new()?;
        elsewhere.as_file().write_all(value.as_bytes())?;
        let secret = format!("id=s,src={}", elsewhere.path().display());
        let as_file = if fixture.isolation == "chroot" { "" } else { ",target=/run/s" };
        let gate = Gate::new()?;
        let text = format!(
            "RUN --mount=type=secret,id=s,env=S{as_file} echo up $S; {}; echo $S >&2; test -n \"$S\"\n\
             RUN env; cat /run/s 2>/dev/null; true\n",
            gate.command()?
        );
        let mut building = Building::start(fixture.command("one", &text)?.args([
            "--secret",
            &secret,
            "--verbosity",
            "trace",
        ]))?;
        building.wait_for("| up ***")?;
        let held = gate.closed()?;
        let found = files_with(fixture.folder.path(), &value)?;
        ensure!(found.is_empty(), "during the build in {found:?}");
        let lines = command_lines_with(&value);
        ensure!(lines.is_empty(), "on a command line: {lines:?}");
        held.let_go()?;
        let said = building.end()?;
        ensure!(!said.contains(&value), "said:\n{said}");
        let found = files_with(fixture.folder.path(), &value)?;
        ensure!(found.is_empty(), "after the build in {found:?}");
        let found = files_with(&fixture.registry.images(), &value)?;
        ensure!(found.is_empty(), "in the registry: {found:?}");
        let place = fixture.has_in_image("one", value.as_bytes())?;
        ensure!(place.is_none(), "in the image: {place:?}");
        Ok(())
    })
}

/// Where the work directory is in memory, a chroot may have a secret as a file.
#[test]
fn a_secret_in_a_chroot_in_memory() -> Result<()> {
    if !e2e::require(&["root"]) {
        return Ok(());
    }
    under_each(|fixture| {
        if fixture.isolation != "chroot" {
            return Ok(());
        }
        let work = fixture.path("work");
        if output(Command::new("mount").args(["-t", "tmpfs", "tmpfs"]).arg(&work)).is_err() {
            e2e::skip("mounting a tmpfs is not allowed here");
            return Ok(());
        }
        let secret = fixture.path("secret");
        fs::write(&secret, "hidden-in-memory")?;
        let text = "RUN --mount=type=secret,id=s,mode=0440,gid=50 stat -c '%a %u:%g %s' /run/secrets/s\n\
                    RUN ls -d /run/secrets || echo gone\n";
        let built = fixture.build("one", text, &["--secret", &format!("id=s,src={}", secret.display())]);
        output(Command::new("umount").arg(&work))?;
        let said = built?.stderr;
        ensure!(said.contains("| 440 0:50 16") && said.contains("| gone"), "{said}");
        let place = fixture.has_in_image("one", b"hidden-in-memory")?;
        ensure!(place.is_none(), "in the image: {place:?}");
        Ok(())
    })
}

/// A command that wants an agent finds a socket with the owner and mode that it asks for, while it runs.
#[test]
fn an_agent_is_there() -> Result<()> {
    under_each(|fixture| {
        let socket = fixture.path("agent");
        let _listener = UnixListener::bind(&socket)?;
        let text = "RUN --mount=type=ssh,mode=0666,uid=1000,gid=50 ls -ln \"$SSH_AUTH_SOCK\"\n\
                    RUN --mount=type=ssh,id=other,target=/s --mount=type=ssh ls -ln /s /run/buildkit; echo $SSH_AUTH_SOCK\n\
                    RUN ls -d /run/buildkit /s || echo gone\n";
        let [default, other] = ["default", "other"].map(|id| format!("{id}={}", socket.display()));
        let said = fixture.build("one", text, &["--ssh", &default, "--ssh", &other])?.stderr;
        let lines: Vec<&str> = said.lines().filter(|line| line.starts_with("  | s")).collect();
        ensure!(lines.len() == 3, "{said}");
        ensure!(lines[0].starts_with("  | srw-rw-rw-") && lines[0].contains(" 1000 "), "{said}");
        ensure!(lines[0].ends_with("/run/buildkit/ssh_agent.0"), "{said}");
        ensure!(lines[1].starts_with("  | srw-------") && lines[2].ends_with("ssh_agent.1"), "{said}");
        ensure!(said.contains("  | /s\n") && said.contains("| gone"), "{said}");
        Ok(())
    })
}

/// A mount may be from an image.
#[test]
fn a_mount_from_an_image() -> Result<()> {
    under_each(|fixture| {
        let text = "RUN --mount=from=REGISTRY/data:1,target=/i ls -R /i > /listed && test -s /listed\n\
                    RUN --mount=from=REGISTRY/data:1,target=/i ls -d /i\n";
        fixture.build("one", text, &[]).map(drop)
    })
}

/// A work directory in the context is not shown with it.
#[test]
fn a_work_directory_in_the_context() -> Result<()> {
    under_each(|fixture| {
        fs::write(fixture.path("context/f"), "")?;
        let mut command = fixture.command("one", "RUN --mount=target=/m find /m; cat /m/f\n")?;
        let said = finish(command.arg("--work-dir").arg(fixture.path("context/w")))?.success()?.stderr;
        ensure!(said.contains("| /m/w") && !said.contains("| /m/w/bako-"), "{said}");
        Ok(())
    })
}

/// Files below a folder that hold a text.
fn files_with(folder: &Path, text: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut pending = vec![folder.to_owned()];
    while let Some(path) = pending.pop() {
        // What the build removes meanwhile is not there.
        let Ok(metadata) = path.symlink_metadata() else { continue };
        if metadata.is_dir() {
            pending.extend(fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path()));
        } else if metadata.is_file() && fs::read(&path).is_ok_and(|bytes| contains(&bytes, text.as_bytes())) {
            found.push(path);
        }
    }
    Ok(found)
}

/// Command lines of this machine that hold a text.
fn command_lines_with(text: &str) -> Vec<String> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let lines = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    lines
        .filter(|line| contains(line, text.as_bytes()))
        .map(|line| String::from_utf8_lossy(&line).into_owned())
        .collect()
}

fn contains(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}

/// Whether a process has something below a folder open.
fn is_used(folder: &Path) -> bool {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let open =
        processes.filter_map(|process| fs::read_dir(process.path().join("fd")).ok()).flatten().flatten();
    open.filter_map(|descriptor| fs::read_link(descriptor.path()).ok()).any(|file| file.starts_with(folder))
}

/// Whether a process on this machine has the mark in its environment.
fn is_running(mark: &str) -> bool {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let variable = format!("MARK={mark}");
    processes
        .filter_map(|process| fs::read(process.path().join("environ")).ok())
        .any(|environment| environment.split(|byte| *byte == 0).any(|found| found == variable.as_bytes()))
}

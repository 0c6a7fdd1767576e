//! The isolations as a build meets them: a process in a small root, and what it can see and do.
//!
//! Every case runs under every isolation that works here, and under `ns` in a user namespace. One that does not work
//! is reported as an ignored test with the reason as its name.

mod conformance;
mod fixture;
mod hostile;

use std::ffi::OsString;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::time::{Duration, Instant};

use fixture::{Fixture, Way};
use libtest_mimic::{Arguments, Failed, Trial};
use sandbox::{
    Cancel, ExecErrorKind, Exit, Mount, Network, RootShape, RunError, Secret, Stream, User, Writes,
};

/// A script for `/bin/sh -c` and everything it prints, whatever the isolation.
const SCRIPTS: &[(&str, &str, &str)] = &[
    ("environment is exactly as given", "env | sort", "A=1\nEMPTY=\nPATH=/bin\nPWD=/tmp\nSHLVL=1\n"),
    ("runs as root", "id -u; id -g; id -G", "0\n0\n0\n"),
    ("umask", "umask", "0022\n"),
    ("standard input is empty", "cat; readlink -f /dev/null", "/dev/null\n"),
    (
        "devices work",
        "echo lost > /dev/null; head -c 3 /dev/zero | wc -c; head -c 3 /dev/urandom | wc -c",
        "3\n3\n",
    ),
    ("/dev/full is full", "echo x 2>/dev/null > /dev/full || echo refused", "refused\n"),
    ("/dev/shm is for everybody", "stat -c %a /dev/shm; echo x > /dev/shm/x; cat /dev/shm/x", "1777\nx\n"),
    ("device links", "readlink /dev/fd; readlink /dev/stderr", "/proc/self/fd\n/proc/self/fd/2\n"),
    ("cannot leave by ..", "cd ../../../..; pwd; ls -d /marker", "/\n/marker\n"),
    ("owners are real", "touch f; chown 12345:23456 f; stat -c %u:%g f; rm f", "12345:23456\n"),
    (
        "other users are real",
        "chmod 700 /marker; su alice -c 'id -u; cat /marker 2>/dev/null || echo refused'",
        "1000\nrefused\n",
    ),
    ("a pipe's far end closing ends the writer", "yes | head -n 1", "y\n"),
];

fn main() -> std::process::ExitCode {
    sandbox::init_if_asked();
    fixture::play_a_part();
    fixture::with_secret();
    let ways = fixture::ways();
    sandbox::protect_self().expect("every process may protect itself");
    let mut trials = Vec::new();
    let mut tested: Vec<std::sync::Arc<Way>> = Vec::new();
    for way in ways {
        let name = way.name;
        let isolation = match way.isolation {
            Ok(isolation) => isolation,
            Err(reason) => {
                trials.push(skipped(name, &reason));
                continue;
            }
        };
        let way = std::sync::Arc::new(Way { name, isolation: Ok(isolation) });
        tested.push(way.clone());
        for &(title, script, expected) in SCRIPTS {
            let way = way.clone();
            trials
                .push(Trial::test(format!("{name}: {title}"), move || check_script(&way, script, expected)));
        }
        for &(title, case) in CASES.iter().chain(hostile::CASES) {
            let way = way.clone();
            trials.push(Trial::test(format!("{name}: {title}"), move || case(&Fixture::new(&way)?)));
        }
    }
    let named = |name: &str| tested.iter().find(|way| way.name == name).cloned();
    if let (Some(chroot), Some(supervised)) = (named("chroot"), named("supervised")) {
        let title = "supervised: every call returns what it returns in a chroot";
        trials.push(Trial::test(title, move || conformance::check(&chroot, &supervised)));
    }
    trials.push(Trial::test("a rehearsal leaves nothing behind", rehearsal));
    trials.push(
        fixture::again_in_user_namespace().unwrap_or_else(|reason| skipped("in a user namespace", reason)),
    );
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn rehearsal() -> Result<(), Failed> {
    let directory = tempfile::tempdir()?;
    let probe = sandbox::probe(directory.path());
    same(&probe.to_string(), &fixture::names(directory.path())?, &Vec::<String>::new())?;
    // The same directory, named from here: more levels up than there are, then down.
    let relative = Path::new(&"../".repeat(64)).join(directory.path().strip_prefix("/")?);
    same("by a relative path", &sandbox::probe(&relative).to_string(), &probe.to_string())?;
    if let Some(overlay) = fixture::overlay_with_privilege() {
        same("an overlay in a user namespace", &probe.ns.is_ok_and(|plan| plan.overlay.is_ok()), &overlay)?;
    }
    Ok(())
}

/// A test that shows up as ignored, with the reason in its name.
fn skipped(name: &str, reason: &str) -> Trial {
    let reason = reason.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
    Trial::test(format!("{name}: skipped: {reason}"), || Ok(())).with_ignored_flag(true)
}

fn check_script(way: &Way, script: &str, expected: &str) -> Result<(), Failed> {
    let fixture = Fixture::new(way)?;
    let outcome = fixture.sh(script)?;
    same("output", &outcome.output, expected)?;
    same("exit", &outcome.exit, &Exit::Code(0))
}

type Case = fn(&Fixture) -> Result<(), Failed>;

const CASES: &[(&str, Case)] = &[
    ("exit codes and signals", exits),
    ("both outputs arrive", outputs),
    ("user, groups and directory", user),
    ("programs that cannot be executed", exec_errors),
    ("capabilities", capabilities),
    ("mounts", mounts),
    ("discarded writes", discarded),
    ("mounts in mounts", nested),
    ("secrets", secrets),
    ("sockets", sockets),
    ("links in the place of sources", linked_sources),
    ("changes are found", changes),
    ("no trace of the set-up", no_trace),
    ("lent directories come back", lent),
    ("leftovers are gone", leftovers),
    ("large outputs are whole", large_output),
    ("cancel", cancel),
    ("a cancel is a signal first", cancel_trap),
    ("no descriptor leaks", descriptors),
    ("sync costs nothing", sync),
    ("own namespaces", own_namespaces),
    ("no network", no_network),
    ("terminals of others are out of reach", terminals),
    ("the builder is out of reach", builder),
    ("the builder's program cannot be overwritten", own_program),
    ("nothing outlives the builder", outlived),
    ("many layers", many_layers),
];

fn exits(fixture: &Fixture) -> Result<(), Failed> {
    for (script, expected) in [
        ("exit 0", Exit::Code(0)),
        ("exit 37", Exit::Code(37)),
        ("exit 127", Exit::Code(127)),
        ("kill -9 $$", Exit::Signal(9)),
        ("kill -15 $$", Exit::Signal(15)),
    ] {
        same(script, &fixture.sh(script)?.exit, &expected)?;
    }
    Ok(())
}

fn outputs(fixture: &Fixture) -> Result<(), Failed> {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let process = fixture.process("echo out; echo err >&2; echo more");
    fixture.run_with(&process, &Cancel::new(), &mut |stream, bytes| match stream {
        Stream::Stdout => stdout.extend_from_slice(bytes),
        Stream::Stderr => stderr.extend_from_slice(bytes),
    })?;
    same("both", &(stdout, stderr), &(b"out\nmore\n".to_vec(), b"err\n".to_vec()))
}

fn user(fixture: &Fixture) -> Result<(), Failed> {
    let mut process =
        fixture.process("id -u; id -g; id -G; pwd; (echo x > /marker) 2>/dev/null || echo refused");
    process.user = User { uid: 1000, gid: 1001, groups: vec![1001, 20, 30] };
    process.cwd = "/home/alice".into();
    same("user", &fixture.run(&process)?.output, "1000\n1001\n1001 20 30\n/home/alice\nrefused\n")
}

fn exec_errors(fixture: &Fixture) -> Result<(), Failed> {
    let not_in_path = || ExecErrorKind::NotInPath("/bin".into());
    let interpreter = |path: &str| ExecErrorKind::NoInterpreter(path.into());
    let no_cwd = || ExecErrorKind::WorkingDirectory { dir: "/no/such".into(), errno: 2 };
    for (argv, cwd, kind, code) in [
        (&["/bin/nosuch"][..], "/", ExecErrorKind::NotFound, 127),
        (&["nosuch", "x"], "/", not_in_path(), 127),
        (&["/etc/passwd"], "/", ExecErrorKind::NotExecutable, 126),
        (&["/etc"], "/", ExecErrorKind::Directory, 126),
        (&["/opt/script"], "/", interpreter("/no/interpreter"), 126),
        (&["opt/script"], "/", interpreter("/no/interpreter"), 126),
        (&["/opt/text"], "/", ExecErrorKind::Format, 126),
        (&["/bin/true"], "/no/such", no_cwd(), 126),
        (&[], "/", ExecErrorKind::NotFound, 127),
    ] {
        let mut process = fixture.process("");
        process.argv = argv.iter().map(OsString::from).collect();
        process.cwd = cwd.into();
        match fixture.run(&process) {
            Err(RunError::Exec(error)) => {
                same(&format!("{argv:?}"), &error.kind, &kind)?;
                same(&format!("code of {argv:?}"), &error.code(), &code)?;
            }
            other => return Err(format!("{argv:?} in {cwd}: {other:?}").into()),
        }
    }
    Ok(())
}

/// Docker's set as `/proc` prints it, wherever there is a `/proc`.
fn capabilities(fixture: &Fixture) -> Result<(), Failed> {
    if fixture.name() == "chroot" {
        return Ok(());
    }
    let status = "grep -E '^(Cap|NoNewPrivs)' /proc/self/status | tr -d '\\t'";
    let root = "CapInh:0000000000000000\nCapPrm:00000000a80425fb\nCapEff:00000000a80425fb\n\
                CapBnd:00000000a80425fb\nCapAmb:0000000000000000\nNoNewPrivs:0\n";
    same("root", &fixture.sh(status)?.output, root)?;
    let mut process = fixture.process(status);
    process.user = User { uid: 1000, gid: 1000, groups: vec![] };
    let user = root.replacen("a80425fb", "00000000", 2);
    same("user", &fixture.run(&process)?.output, &user)
}

fn mounts(fixture: &Fixture) -> Result<(), Failed> {
    let hosts = fixture.outside("hosts", "127.0.0.1 here\n")?;
    let script = "cat /etc/hosts; cat /cache/kept; echo new > /cache/new; echo tmp > /scratch/x; ls -A /scratch; \
                  stat -c %a /scratch";
    let mut process = fixture.process(script);
    let cache = fixture.outside_directory("cache", "kept")?;
    process.mounts = vec![
        read_only(&hosts, "/etc/hosts"),
        Mount::Tmpfs { target: "/scratch".into(), size: Some(1 << 20), mode: 0o750, read_only: false },
        kept(fixture, &cache, "/cache")?,
    ];
    same("mounts", &fixture.run(&process)?.output, "127.0.0.1 here\nkept\nx\n750\n")?;
    same("cache", &std::fs::read_to_string(cache.join("new"))?, "new\n")?;

    let mut process =
        fixture.process("cat /cache/kept; (echo x > /cache/x; rm -r /cache/*) 2>/dev/null; ls /cache");
    process.mounts = vec![read_only(&cache, "/cache")];
    let output = fixture.run(&process)?.output;
    if fixture.name() == "chroot" {
        same("a copy", &output, "kept\n")?;
    } else {
        same("read-only", &output, "kept\nkept\nnew\n")?;
    }
    same("what was shown", &fixture::names(&cache)?, &["kept", "new"].map(String::from).to_vec())?;
    // The image has its own file back, and nothing of the mounts.
    same(
        "image's hosts",
        &fixture.sh("cat /etc/hosts; ls -A /scratch /cache | grep -v :")?.output,
        "image\n\n",
    )
}

fn read_only(source: &Path, target: &str) -> Mount {
    Mount::Bind { source: source.into(), target: target.into(), writes: Writes::Refused }
}

fn kept(fixture: &Fixture, source: &Path, target: &str) -> std::io::Result<Mount> {
    let writes = Writes::Kept { in_use: fixture.outside("in-use", "")? };
    Ok(Mount::Bind { source: source.into(), target: target.into(), writes })
}

fn secret(target: &str, content: &str, mode: u32) -> Mount {
    Mount::Secret { target: target.into(), content: Secret::new(content), mode, uid: 1000, gid: 1001 }
}

/// Written to, and as it was for the next one.
fn discarded(fixture: &Fixture) -> Result<(), Failed> {
    let directory = fixture.outside_directory("shown", "file")?;
    std::fs::set_permissions(&directory, std::os::unix::fs::PermissionsExt::from_mode(0o750))?;
    let file = fixture.outside("one", "one\n")?;
    for number in 0..2 {
        let scratch = |name: &str| {
            let path = directory.with_file_name(format!("{name}{number}"));
            std::fs::create_dir(&path).map(|()| path)
        };
        let mut process = fixture.process(
            "stat -c %a /cache; cat /cache/file /marker; echo x > /cache/new; rm /cache/file; echo two >> /marker; \
             ls /cache; cat /marker",
        );
        process.mounts = vec![
            Mount::Bind {
                source: directory.clone(),
                target: "/cache".into(),
                writes: Writes::Discarded { scratch: scratch("a")? },
            },
            Mount::Bind {
                source: file.clone(),
                target: "/marker".into(),
                writes: Writes::Discarded { scratch: scratch("b")? },
            },
        ];
        same("output", &fixture.run(&process)?.output, "750\nfile\none\nnew\none\ntwo\n")?;
    }
    same("the source", &fixture::names(&directory)?, &vec!["file".to_owned()])?;
    same("the file", &std::fs::read_to_string(file)?, "one\n")?;
    same("the image", &fixture.sh("cat /marker; ls -A /cache")?.output, "marker\n")
}

/// What is missing in a mount is made in it, but not where it could not be.
fn nested(fixture: &Fixture) -> Result<(), Failed> {
    let outer = fixture.outside_directory("outer", "file")?;
    let file = fixture.outside("inner", "inner\n")?;
    let tmpfs = || Mount::Tmpfs { target: "/scratch".into(), size: None, mode: 0o755, read_only: false };
    let mut process = fixture.process("cat /scratch/a/b/file /dev/pipes/x; ls -A /scratch");
    process.mounts = vec![tmpfs(), read_only(&file, "/scratch/a/b/file"), read_only(&file, "/dev/pipes/x")];
    same("in a tmpfs", &fixture.run(&process)?.output, "inner\ninner\na\n")?;
    process = fixture.process("cat /cache/file");
    process.mounts = vec![read_only(&outer, "/cache"), read_only(&file, "/cache/file")];
    same("over a file", &fixture.run(&process)?.output, "inner\n")?;
    process.mounts = vec![read_only(&outer, "/cache"), read_only(&file, "/cache/missing")];
    let error = fixture.run(&process).err().map(|error| error.to_string());
    let text =
        "set up the root: the mount target /cache/missing does not exist in the read-only mount around it";
    same("missing", &error.as_deref(), &Some(text))?;
    same("outer", &fixture::names(&outer)?, &vec!["file".to_owned()])?;
    same("image", &fixture.sh("ls -A /scratch /cache | grep -v :")?.output, "\n")
}

/// Seen where it is meant to be, with owner and mode, and nowhere else.
fn secrets(fixture: &Fixture) -> Result<(), Failed> {
    let mut process = fixture.process(
        "stat -c '%a %u:%g' /marker; cat /marker /scratch/x; echo; (echo x > /marker) 2>/dev/null || echo refused; \
         ls -A /dev | grep -i secret; :",
    );
    process.mounts = vec![
        secret("/marker", "hidden", 0o440),
        Mount::Tmpfs { target: "/scratch".into(), size: None, mode: 0o755, read_only: false },
        secret("/scratch/x", "too", 0o500),
    ];
    same("not told", &format!("{process:?}").contains("hidden"), &false)?;
    match fixture.run(&process) {
        Err(RunError::Unsupported { isolation: "chroot", what, .. }) => {
            same("refused", &what.as_str(), &"the secret /marker")?;
        }
        outcome => {
            same("output", &outcome?.output, "440 1000:1001\nhiddentoo\nrefused\n")?;
        }
    }
    same("image", &fixture.sh("cat /marker; ls -A /scratch")?.output, "marker\n")
}

/// A socket that somebody outside listens on.
fn sockets(fixture: &Fixture) -> Result<(), Failed> {
    let path = fixture.outside("socket", "")?;
    std::fs::remove_file(&path)?;
    let listener = std::os::unix::net::UnixListener::bind(&path)?;
    let mut process = fixture.process("test -S /dev/agent && ls /dev/agent");
    process.mounts = vec![read_only(&path, "/dev/agent")];
    same("output", &fixture.run(&process)?.output, "/dev/agent\n")?;
    drop(listener);
    same("still there", &path.symlink_metadata()?.file_type().is_socket(), &true)
}

/// A link that somebody puts in the place of a source leads nowhere.
fn linked_sources(fixture: &Fixture) -> Result<(), Failed> {
    if fixture.name() == "chroot" {
        return Ok(());
    }
    let directory = fixture.outside_directory("real", "file")?;
    let link = directory.with_file_name("link");
    std::os::unix::fs::symlink(&directory, &link)?;
    let mut process = fixture.process("ls /cache");
    process.mounts = vec![kept(fixture, &link, "/cache")?];
    same("refused", &matches!(fixture.run(&process), Err(RunError::SetUp(_))), &true)
}

fn changes(fixture: &Fixture) -> Result<(), Failed> {
    let script =
        "echo a > /new; rm /marker; rm -r /opt; mkdir /opt; touch /opt/x; ln -s a /link; mkfifo /fifo";
    same("exit", &fixture.sh(script)?.exit, &Exit::Code(0))?;
    let changed = fixture.changed();
    let kind = |path: &str| changed.join(path).symlink_metadata().map(|found| found.file_type());
    same("new", &std::fs::read_to_string(changed.join("new"))?, "a\n")?;
    same("link", &kind("link")?.is_symlink(), &true)?;
    same("fifo", &kind("fifo")?.is_fifo(), &true)?;
    if fixture.shape() == RootShape::Stacked {
        same(
            "whiteout",
            &(kind("marker")?.is_char_device(), changed.join("marker").symlink_metadata()?.rdev()),
            &(true, 0),
        )?;
        let top: Vec<_> = fixture::names(&changed)?;
        same("upper", &top, &["fifo", "link", "marker", "new", "opt"].map(String::from).to_vec())
    } else {
        same("removed", &changed.join("marker").exists(), &false)
    }
}

/// What was put into the root for the run is not in it afterwards, whatever the process did to it.
fn no_trace(fixture: &Fixture) -> Result<(), Failed> {
    let before = fixture.tree()?;
    let script =
        "echo x > /dev/file; mkdir -p /dev/shm/a/b; rm -f /dev/null; echo x > /dev/null; echo x > /proc/x; :";
    fixture.sh(script)?;
    same("tree", &fixture.tree()?, &before)?;
    same("beside the root", &fixture.beside()?, &Vec::<String>::new())?;

    // The process sees the times of the image, and a directory that it changes itself has a new one.
    let output = fixture.sh("stat -c %Y / /etc; touch /etc/new; rm /etc/new; touch /new")?.output;
    same(
        "times in the root",
        &output,
        if fixture.shape() == RootShape::Stacked { output.as_str() } else { "0\n0\n" },
    )?;
    let time = |path: &str| fixture.changed().join(path).metadata().map(|found| found.mtime());
    same("a changed directory has a new time", &(time(".")? > 0 && time("etc")? > 0), &true)
}

/// Cache directories outlive what is done to them.
fn lent(fixture: &Fixture) -> Result<(), Failed> {
    let cache = fixture.outside_directory("cache", "kept")?;
    for script in ["rm -rf /cache; :", "rm -rf /cache; echo x > /cache; :", "touch /cache/x"] {
        let mut process = fixture.process(script);
        process.mounts = vec![kept(fixture, &cache, "/cache")?];
        same(script, &fixture.run(&process)?.exit, &Exit::Code(0))?;
        same("still a directory", &cache.is_dir(), &true)?;
        same("in the image", &fixture.sh("ls -d /cache; ls -A /cache")?.output, "/cache\n")?;
    }
    same("cache", &fixture::names(&cache)?, &vec!["x".to_owned()])
}

/// A daemon that left its session and its parent, and one that ignores every polite signal.
fn leftovers(fixture: &Fixture) -> Result<(), Failed> {
    let token = format!("{}", 100_000 + std::process::id());
    let script = format!(
        "(setsid sh -c 'trap \"\" TERM HUP; (sleep {token} &) ; sleep {token}' >/dev/null 2>&1 &); sleep {token} & echo done"
    );
    let begun = Instant::now();
    same("output", &fixture.sh(&script)?.output, "done\n")?;
    same("in time", &(begun.elapsed() < Duration::from_secs(10)), &true)?;
    let alive = fixture::processes_with(&token);
    same("alive", &alive, &Vec::<String>::new())
}

fn large_output(fixture: &Fixture) -> Result<(), Failed> {
    let outcome = fixture.sh("head -c 5000000 /dev/zero; head -c 3000000 /dev/zero >&2; echo end")?;
    same("length", &outcome.output.len(), &8_000_004)
}

fn cancel(fixture: &Fixture) -> Result<(), Failed> {
    // Deaf to the signal, so that it must be killed.
    for script in ["echo up; sleep 1000", "trap '' TERM; echo up; while :; do sleep 1000; done"] {
        let begun = Instant::now();
        let outcome = fixture.cancelled_when_up(script)?;
        same("ended", &matches!(outcome.exit, Exit::Signal(9 | 15)), &true)?;
        same("in time", &(begun.elapsed() < Duration::from_secs(9)), &true)?;
    }
    let cancel = Cancel::new();
    cancel.cancel(2);
    let outcome = fixture.run_with(&fixture.process("echo never"), &cancel, &mut |_, _| {})?;
    same("cancelled before it began", &outcome, &Exit::Signal(2))
}

fn cancel_trap(fixture: &Fixture) -> Result<(), Failed> {
    let outcome = fixture.cancelled_when_up("trap 'echo asked; exit 7' TERM; echo up; sleep 1000 & wait")?;
    same("exit", &outcome.exit, &Exit::Code(7))?;
    same("output", &outcome.output, "up\nasked\n")
}

/// Only the three standard descriptors, though this program has one more open without close-on-exec.
fn descriptors(fixture: &Fixture) -> Result<(), Failed> {
    if fixture.name() == "chroot" {
        // No /proc to list them in: try the first few.
        let script =
            "for fd in 3 4 5 6 7 8 9; do (eval \": >&$fd\") 2>/dev/null && echo $fd; done; echo none";
        return same("descriptors", &fixture.sh(script)?.output, "none\n");
    }
    same("descriptors", &fixture.sh("ls /proc/$$/fd; :")?.output, "0\n1\n2\n")
}

fn sync(fixture: &Fixture) -> Result<(), Failed> {
    let script = "i=0; while [ $i -lt 40 ]; do dd if=/dev/zero of=/tmp/f bs=100k count=1 conv=fsync 2>/dev/null; \
                  i=$((i+1)); done; sync; rm /tmp/f; echo ok";
    same("output", &fixture.sh(script)?.output, "ok\n")?;
    if fixture.name() != "chroot" {
        let filtered = fixture.sh("grep -c '^Seccomp:.2' /proc/self/status")?;
        same("a filter is in force", &filtered.output, "1\n")?;
    }
    Ok(())
}

fn own_namespaces(fixture: &Fixture) -> Result<(), Failed> {
    if fixture.name() == "chroot" {
        return Ok(());
    }
    let script = "hostname; ls -A /proc/scsi /proc/acpi 2>/dev/null | grep -v : ; cat /proc/keys; \
                  (echo 1 > /proc/sys/kernel/panic) 2>/dev/null || echo refused; \
                  mkdir /sys/x 2>/dev/null || echo refused; mount -t tmpfs x /tmp 2>/dev/null || echo refused";
    let output = fixture.sh(script)?.output;
    let (host_name, view) = output.split_once('\n').unwrap_or_default();
    same("view", view, "refused\nrefused\nrefused\n")?;
    if fixture.name() == "supervised" {
        // The container's name; and no process but its own. The shell reads for itself, so that it is the only one.
        let script = "cd /proc; for p in [0-9]*; do read name < $p/comm && echo $name; done 2>/dev/null";
        return same("processes", &fixture.sh(script)?.output, "sh\n");
    }
    same("host name", host_name, "builder")?;
    if std::fs::read_link("/proc/self/ns/pid")?.to_str()
        == Some(fixture.sh("readlink /proc/self/ns/pid")?.output.trim())
    {
        // The container's /proc cannot be mounted anew, so its processes are in sight.
        return Ok(());
    }
    // The first process and the shell.
    same("processes", &fixture.sh("cd /proc; echo [0-9]*")?.output, "1 2\n")
}

fn terminals(fixture: &Fixture) -> Result<(), Failed> {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
    grantpt(&ours)?;
    unlockpt(&ours)?;
    let path = ptsname(&ours, Vec::new())?.into_string()?;
    let outcome = fixture.sh(&format!("(: < {path}) 2> /dev/null && echo opened || echo refused"))?;
    same("output", &outcome.output, "refused\n")
}

fn no_network(fixture: &Fixture) -> Result<(), Failed> {
    let mut process =
        fixture.process("ip -o link | cut -d: -f2; ping -c 1 -W 1 127.0.0.1 >/dev/null 2>&1 && echo up");
    process.network = Network::None;
    if fixture.name() != "ns" {
        let refused = matches!(fixture.run(&process), Err(RunError::Unsupported { .. }));
        return same("refused", &refused, &true);
    }
    let output = fixture.run(&process)?.output;
    // It is down where we have no CAP_NET_ADMIN.
    same("interfaces", output.trim_end_matches("up\n"), " lo\n")?;
    same("up", &output.ends_with("up\n"), &fixture::may_administer_networks())
}

/// Neither the environment of this program nor its root can be read, nor is it in sight where there is a pid
/// namespace.
fn builder(fixture: &Fixture) -> Result<(), Failed> {
    let me = std::process::id();
    let script = format!(
        "cat /proc/{me}/environ /proc/{me}/root/etc/passwd /proc/1/environ /proc/1/root/etc/passwd 2>/dev/null; \
         ls -l /proc/1/fd 2>/dev/null; env -i /bin/true; echo end"
    );
    let output = fixture.sh(&script)?.output;
    // Process 1 may show what the root has anyway.
    let secret = output.contains(fixture::SECRET);
    same("secret", &secret, &false)?;
    same("end", &output.ends_with("end\n"), &true)
}

/// An image may have its kernel execute what it runs from: us.
fn own_program(fixture: &Fixture) -> Result<(), Failed> {
    let mut process = fixture.process("");
    process.argv = ["/proc/self/exe", fixture::LOOK_AT_MYSELF].map(OsString::from).to_vec();
    if fixture.name() != "ns" {
        return same("nothing of ours", &matches!(fixture.run(&process), Err(RunError::Exec(_))), &true);
    }
    same("not on a read-only mount", &fixture.run(&process)?.exit, &Exit::Code(0))
}

fn outlived(fixture: &Fixture) -> Result<(), Failed> {
    let token = (200_000 + std::process::id()).to_string();
    fixture.abandon(&format!("(setsid sleep {token} &); echo up; sleep {token}"))?;
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut alive = fixture::processes_with(&token);
    let mut last_seen = Instant::now();
    // While a process executes another program it has no arguments: not to be seen once is not to be gone.
    while last_seen.elapsed() < Duration::from_millis(300) && Instant::now() < deadline {
        std::thread::yield_now();
        alive = fixture::processes_with(&token);
        if !alive.is_empty() {
            last_seen = Instant::now();
        }
    }
    same("alive", &alive, &Vec::<String>::new())
}

/// More layers than have room with their names in one page of mount options.
fn many_layers(fixture: &Fixture) -> Result<(), Failed> {
    if fixture.shape() != RootShape::Stacked {
        return Ok(());
    }
    for (count, length) in [(3, 5), (120, 60)] {
        let fixture = fixture.with_layers(count, length)?;
        let outcome = fixture.sh("cat /layer-0 /layer-1 /top; ls / | grep -c ^layer-")?;
        same("layers", &outcome.output, &format!("0\n1\n{}\n{count}\n", count - 1))?;
    }
    Ok(())
}

/// `Ok` if both are the same, else both of them in the message.
fn same<T: PartialEq<U> + std::fmt::Debug + ?Sized, U: std::fmt::Debug + ?Sized>(
    what: &str,
    actual: &T,
    expected: &U,
) -> Result<(), Failed> {
    if actual == expected { Ok(()) } else { Err(format!("{what}: {actual:?}, expected {expected:?}").into()) }
}

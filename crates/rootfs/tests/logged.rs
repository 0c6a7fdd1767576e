//! What a command changes as its supervisor's log says: the same as a scan finds. The comparison itself is in the
//! workspace, in builds with debug assertions, and fails the run; here are commands that are hard to follow.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says why it was skipped"
)]

mod common;

use std::fs;
use std::path::Path;

use layer::{LayerWriter, Tree, TreePath, WriteOptions};
use rootfs::{Ownership, RunRoot, Shape, Shared, Stub, StubKind, Workspace};
use sandbox::{Cancel, Choice, Exit, Isolation, Network, Process, RootFiles, User};

const BUSYBOX: &str = "/bin/busybox";

/// What every case starts from.
const BASE: &str = "
umask 022
mkdir -p etc usr/lib/deep/er var/lib home tmp dev proc sys
echo one > usr/lib/one
echo two > usr/lib/two
echo deep > usr/lib/deep/er/file
echo linked > var/lib/a
ln var/lib/a var/lib/b
ln var/lib/a usr/lib/c
mkdir 'home/x (deleted)'
echo y > 'home/x (deleted)/y'
ln -s lib usr/link
find . -exec touch -h -d @1000000 {} +
";

/// Commands, and what they change; times are as they were where that is asked for.
const CASES: &[(&str, &str)] = &[
    (":", ""),
    ("cat /usr/lib/one; ls -lR /usr > /dev/null", ""),
    ("echo x > /home/new", "+/home/ +/home/new"),
    ("echo x >> /usr/lib/one", "+/usr/lib/one"),
    ("chmod 600 /usr/lib/one; chown 5:6 /usr/lib/two", "+/usr/lib/one +/usr/lib/two"),
    ("chown -h 5:6 /usr/link", "+/usr/link"),
    ("touch -d @5 /usr/lib/deep", "+/usr/lib/deep/"),
    ("chmod 600 /usr/lib/one; chmod 644 /usr/lib/one", ""),
    ("rm /usr/lib/one; touch -d @1000000 /usr/lib", "-/usr/lib/one"),
    ("mkdir -p /new/a/b; echo x > /new/a/b/c", "+/new/ +/new/a/ +/new/a/b/ +/new/a/b/c"),
    // Moved with what was changed in it before, and changed afterwards.
    (
        "echo x >> /usr/lib/deep/er/file; mv /usr/lib/deep /home/deep; echo x > /home/deep/er/more; touch -d @1000000 /usr/lib /home",
        "+/home/deep/ +/home/deep/er/ +/home/deep/er/file +/home/deep/er/more -/usr/lib/deep",
    ),
    (
        "mv /usr/lib /usr/a; mv /usr/a/deep /usr/b; mv /usr/b /usr/a/deep; mv /usr/a /usr/lib; touch -d @1000000 /usr /usr/lib",
        "",
    ),
    // Changed by one of several names, which is gone afterwards.
    ("echo x >> /var/lib/a", "+/usr/lib/c /var/lib/a=/usr/lib/c /var/lib/b=/usr/lib/c"),
    (
        "echo x >> /var/lib/a; rm /var/lib/a; touch -d @1000000 /var/lib",
        "+/usr/lib/c -/var/lib/a /var/lib/b=/usr/lib/c",
    ),
    (
        "exec 3>> /usr/lib/one; ln /usr/lib/one /home/other; rm /usr/lib/one; echo x >&3; touch -d @1000000 /home /usr/lib",
        "+/home/other -/usr/lib/one",
    ),
    ("echo x >> '/home/x (deleted)/y'", "+/home/x (deleted)/y"),
    (
        "echo x > '/home/x (deleted)/z'; chmod 700 '/home/x (deleted)'",
        "+/home/x (deleted)/ +/home/x (deleted)/z",
    ),
    // Changed through a descriptor that another has opened, and through a link.
    ("exec 3>> /usr/link/two; (cd /tmp; sh -c 'echo x >&3')", "+/usr/lib/two"),
    ("chroot / /bin/true; cd /usr/lib/deep; echo x > er/../../up; touch -d @1000000 ..", "+/usr/lib/up"),
    ("mkdir /home/gone; echo x > /home/gone/x; rm -r /home/gone; touch -d @1000000 /home", ""),
    ("rm -r /usr/lib/deep; ln -s /home /usr/lib/deep; touch -d @1000000 /usr/lib", "+/usr/lib/deep"),
    (
        "echo x > /usr/lib/deep/new; rm -r /usr/lib/deep; ln -s deep /usr/lib/deep; touch -d @1000000 /usr/lib",
        "+/usr/lib/deep",
    ),
    ("mkfifo /home/f; mknod /home/d c 1 3; touch -d @1000000 /home", "+/home/d +/home/f"),
    ("setsid sh -c 'sleep 0.2; echo late > /home/late' & sleep 0.5", "+/home/ +/home/late"),
    ("ulimit -c unlimited; sh -c 'kill -SEGV $$'; true", "?"),
];

const APPLETS: &str = "sh cat chmod chown chroot ln ls mkdir mkfifo mknod mv rm setsid sleep touch true";

fn main() {
    sandbox::init_if_asked();
    // The list that cargo-nextest asks for, and the one test in it.
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        if !arguments.iter().any(|argument| argument == "--ignored") {
            println!("logs_say_what_scans_find: test");
        }
        return;
    }
    if !Path::new(BUSYBOX).exists() {
        return println!("skipped: {BUSYBOX} is not installed");
    }
    match sandbox::choose(&[Choice::Supervised], &std::env::temp_dir()) {
        Ok(isolation) => logs_say_what_scans_find(&*isolation),
        Err(error) => println!("skipped: {error}"),
    }
}

fn logs_say_what_scans_find(isolation: &dyn Isolation) {
    let scratch = tempfile::tempdir().unwrap();
    let source = scratch.path().join("source");
    fs::create_dir_all(source.join("bin")).unwrap();
    fs::copy(BUSYBOX, source.join("bin/busybox")).unwrap();
    for applet in APPLETS.split_ascii_whitespace() {
        std::os::unix::fs::symlink("busybox", source.join("bin").join(applet)).unwrap();
    }
    common::script(&source, BASE);
    let base = common::tar(&source);
    let mut wrong = String::new();
    for (number, (script, expected)) in CASES.iter().enumerate() {
        let directory = scratch.path().join(number.to_string());
        let ownership = Ownership::Table(Shared::default());
        let mut workspace = Workspace::create(&directory, Shape::InPlace, ownership).unwrap();
        let mut tree = Tree::new();
        let index = common::apply(&mut workspace, &base, &tree).unwrap();
        tree.apply(0, &index);
        match run(isolation, &mut workspace, &tree, script) {
            Ok(found) if *expected == "?" || found == *expected => {}
            Ok(found) => wrong += &format!("{script}\n  expected {expected}\n  found    {found}\n"),
            Err(error) => wrong += &format!("{script}\n  {error}\n"),
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Runs a script; what it has changed.
fn run(
    isolation: &dyn Isolation,
    workspace: &mut Workspace,
    tree: &Tree,
    script: &str,
) -> Result<String, String> {
    let stubs = ["dev", "proc", "sys"]
        .map(|path| Stub { path: TreePath::new(path).unwrap(), kind: StubKind::Directory });
    let run = workspace.begin(tree, &stubs, &[], &[]).unwrap();
    let RunRoot::Described { directory, owners, log } = run.root.clone() else { unreachable!() };
    let process = Process {
        argv: ["/bin/sh", "-c", script].map(Into::into).to_vec(),
        env: vec![("PATH".into(), "/bin".into())],
        cwd: "/".into(),
        user: User::default(),
        hostname: String::new(),
        network: Network::Host,
        mounts: Vec::new(),
    };
    let root = RootFiles::Described { dir: directory, owners, log };
    let mut said = Vec::new();
    let exit = isolation.run(&process, &root, &mut |_, bytes| said.extend_from_slice(bytes), &Cancel::new());
    match exit {
        Ok(Exit::Code(0)) => {}
        other => return Err(format!("{other:?}: {}", String::from_utf8_lossy(&said))),
    }
    let mut writer = LayerWriter::new(Vec::new(), WriteOptions::default()).unwrap();
    workspace.changes(run, tree, None, &mut writer).map_err(|error| format!("{error:?}"))?;
    Ok(common::changes(&writer.finish().unwrap().index))
}

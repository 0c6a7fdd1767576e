//! What a command changes, found in both shapes, and whether that layer over its base is what there was.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says why it was skipped"
)]

mod common;

use std::path::{Path, PathBuf};

use common::CLAMP;
use layer::{LayerIndex, LayerWriter, Tree, TreePath, WriteOptions};
use oci::Compression;
use rootfs::{Applier, Ownership, Root, RunRoot, Shape, Stub, StubKind, Workspace};

/// What every case starts from.
const BASE: &str = "
umask 022
mkdir -p etc usr/bin usr/lib/deep/er home var/lib empty dev proc sys
echo passwd > etc/passwd
echo hosts > etc/hosts
ln -s ../run/resolv etc/resolv.link
printf same > usr/bin/tool
chmod 4755 usr/bin/tool
echo one > usr/lib/one
echo two > usr/lib/two
echo deep > usr/lib/deep/er/file
ln -s one usr/lib/link
echo linked > var/lib/a
ln var/lib/a var/lib/b
ln var/lib/a usr/lib/c
mkfifo var/fifo
chown 33:44 home
echo cap > usr/bin/cap
touch dev/console
xattr usr/lib/two user.note hello
find . -exec touch -h -d @1000000 {} +
";

struct Case {
    name: &'static str,
    run: &'static str,
    expected: &'static str,
}

const fn case(name: &'static str, run: &'static str, expected: &'static str) -> Case {
    Case { name, run, expected }
}

const CASES: &[Case] = &[
    case("nothing", ":", ""),
    case("reading", "cat etc/passwd > /dev/null\nls -lR > /dev/null", ""),
    case("a new file", "echo x > home/new", "+/home/ +/home/new"),
    case("new directories", "mkdir -p opt/a/b\necho x > opt/a/b/c", "+/opt/ +/opt/a/ +/opt/a/b/ +/opt/a/b/c"),
    case("an empty directory", "mkdir opt", "+/opt/"),
    case("mode only", "chmod 600 etc/passwd", "+/etc/passwd"),
    case("mode of a directory", "chmod 700 etc", "+/etc/"),
    case("mode there and back", "chmod 600 etc/passwd\nchmod 644 etc/passwd", ""),
    case("owner only", "chown 5:6 etc/passwd", "+/etc/passwd"),
    case("owner of a link", "chown -h 5:6 usr/lib/link", "+/usr/lib/link"),
    case("setuid", "chmod 6755 usr/lib/one", "+/usr/lib/one"),
    case("chown to the same", "chown 0:0 etc/passwd etc", ""),
    case("touched back", "touch etc/passwd\ntouch -d @1000000 etc/passwd", ""),
    case("touched", "touch -d @1000001 etc/passwd", "+/etc/passwd"),
    case(
        "same size and time, other content",
        "printf emas > usr/bin/tool\nchmod 4755 usr/bin/tool\ntouch -d @1000000 usr/bin/tool",
        "+/usr/bin/tool",
    ),
    case(
        "rewritten with the same",
        "printf same > t\nchmod 4755 t\ntouch -d @1000000 t\nmv t usr/bin/tool\ntouch -d @1000000 usr/bin .",
        "",
    ),
    case("made and removed", "echo x > home/new\nrm home/new\ntouch -d @1000000 home", ""),
    case("a file removed", "rm etc/passwd\ntouch -d @1000000 etc", "-/etc/passwd"),
    case("a tree removed", "rm -r usr/lib", "+/usr/ -/usr/lib"),
    case(
        "removed and made again",
        "rm -r usr/lib/deep\nmkdir usr/lib/deep\ntouch -d @1000000 usr/lib usr/lib/deep",
        "-/usr/lib/deep/er",
    ),
    case(
        "removed and made again with one left",
        "rm -r usr/lib\nmkdir usr/lib\necho one > usr/lib/one\ntouch -d @1000000 usr/lib/one",
        "+/usr/ +/usr/lib/ -/usr/lib/c -/usr/lib/deep -/usr/lib/link -/usr/lib/two",
    ),
    case(
        "a directory becomes a file",
        "rm -r usr/lib/deep\necho x > usr/lib/deep",
        "+/usr/lib/ +/usr/lib/deep",
    ),
    case(
        "a directory becomes a link",
        "mv usr/lib/deep opt\nln -s ../../opt usr/lib/deep",
        "+/opt/ +/opt/er/ +/opt/er/file +/usr/lib/ +/usr/lib/deep",
    ),
    case(
        "a file becomes a directory",
        "rm etc/passwd\nmkdir etc/passwd\necho x > etc/passwd/x",
        "+/etc/ +/etc/passwd/ +/etc/passwd/x",
    ),
    case(
        "a link becomes a file",
        "rm usr/lib/link\ncp usr/lib/one usr/lib/link",
        "+/usr/lib/ +/usr/lib/link",
    ),
    case(
        "a link's text",
        "ln -sfn two usr/lib/link\ntouch -h -d @1000000 usr/lib/link usr/lib",
        "+/usr/lib/link",
    ),
    case("a fifo becomes a file", "rm var/fifo\necho x > var/fifo", "+/var/ +/var/fifo"),
    case("a new fifo", "mkfifo home/p", "+/home/ +/home/p"),
    case("devices", "mknod home/null c 1 3\nmknod home/loop b 7 0", "+/home/ +/home/loop +/home/null"),
    case(
        "a directory renamed, contents with their old times",
        "mv usr/lib/deep usr/lib/deeper",
        "+/usr/lib/ -/usr/lib/deep +/usr/lib/deeper/ +/usr/lib/deeper/er/ +/usr/lib/deeper/er/file",
    ),
    case(
        "directories renamed in a ring",
        "mv usr/bin t\nmv usr/lib/deep usr/bin\nmv t usr/lib/deep\ntouch -d @1000000 . usr usr/lib",
        "-/usr/bin/cap -/usr/bin/tool +/usr/bin/er/ +/usr/bin/er/file -/usr/lib/deep/er +/usr/lib/deep/cap \
         +/usr/lib/deep/tool",
    ),
    case(
        "files swapped",
        "mv usr/lib/one t\nmv usr/lib/two usr/lib/one\nmv t usr/lib/two\ntouch -d @1000000 usr/lib .",
        "+/usr/lib/one +/usr/lib/two",
    ),
    case("a new hard link", "ln usr/lib/one home/one", "+/home/ +/home/one /usr/lib/one=/home/one"),
    case(
        "new files linked",
        "echo x > home/x\nln home/x home/y\nln home/x etc/x",
        "+/etc/ +/etc/x +/home/ /home/x=/etc/x /home/y=/etc/x",
    ),
    case("one link of three removed", "rm var/lib/a\ntouch -d @1000000 var/lib", "-/var/lib/a"),
    case(
        "linked files, all with a new mode",
        "chmod 600 var/lib/a var/lib/b usr/lib/c",
        "+/usr/lib/c /var/lib/a=/usr/lib/c /var/lib/b=/usr/lib/c",
    ),
    case(
        "one link replaced",
        "rm var/lib/b\necho other > var/lib/b\ntouch -d @1000000 var/lib",
        "+/var/lib/b",
    ),
    case("an attribute", "xattr usr/lib/one user.x 1", "+/usr/lib/one"),
    case("an attribute of a directory", "xattr home user.x 1", "+/home/"),
    case("another value", "xattr usr/lib/two user.note olleh", "+/usr/lib/two"),
    case("the same value", "xattr usr/lib/two user.note hello", ""),
    case("attributes of the host", "xattr usr/lib/one trusted.x 1", ""),
    case("a capability", "setcap cap_net_raw+ep usr/bin/cap", "+/usr/bin/cap"),
    case(
        "a socket",
        "python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"home/s\")'\ntouch -d @1000000 home",
        "",
    ),
    case(
        "a socket over a file",
        "rm etc/passwd\npython3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"etc/passwd\")'\ntouch -d @1000000 etc",
        "-/etc/passwd",
    ),
    case("a name that is no text", "printf x > \"home/$(printf 'a\\nb\\377')\"", "+/home/ +/home/a\\nb\\xff"),
    case("a name like a whiteout's", "echo x > home/.wh", "+/home/ +/home/.wh"),
    case("a file of the future", "touch -d @3000000 etc/passwd", "+/etc/passwd"),
    case("a sparse file", "truncate -s 3M home/big", "+/home/ +/home/big"),
    case(
        "modes that forbid",
        "mkdir -m 0 home/no\necho x > home/none\nchmod 0 home/none",
        "+/home/ +/home/no/ +/home/none",
    ),
    case("in the kernel's directories", "mkdir dev/x\necho x > proc/x\necho x > sys/x", ""),
];

/// The mounts of every run: over what is there, over what is not, and below what is not.
fn stubs() -> Vec<Stub> {
    let stub = |path: &str, kind| Stub { path: TreePath::new(path).unwrap(), kind };
    vec![
        stub("dev", StubKind::Directory),
        stub("proc", StubKind::Directory),
        stub("sys", StubKind::Directory),
        stub("etc/hosts", StubKind::File),
        stub("etc/resolv.conf", StubKind::File),
        stub("cache/of/mine", StubKind::Directory),
    ]
}

/// Paths that are the sandbox's.
const HIDDEN: [&str; 6] = ["/dev", "/proc", "/sys", "/etc/hosts", "/etc/resolv.conf", "/cache"];

struct Outcome {
    index: LayerIndex,
    blob: Vec<u8>,
    /// The root as it was when the command ended.
    seen: String,
}

/// Runs a script in a workspace as a sandbox would, and takes what it changed.
fn run(
    workspace: &mut Workspace,
    tree: &Tree,
    stubs: &[Stub],
    merged: &Path,
    text: &str,
) -> Result<Outcome, String> {
    let run = workspace.begin(tree, stubs, &[], &[]).unwrap();
    let look = |root: &Path| {
        common::script(root, text);
        common::directory(root, &HIDDEN)
    };
    let seen = match &run.root {
        RunRoot::InPlace { directory } | RunRoot::Described { directory, .. } => look(directory),
        RunRoot::Stacked { lower, upper, work } => {
            let overlay = common::Overlay::mount(merged, lower, upper, work)?;
            look(&overlay.at)
        }
    };
    let mut writer = LayerWriter::new(Vec::new(), WriteOptions::default()).unwrap();
    workspace.changes(run, tree, Some(CLAMP), &mut writer).unwrap();
    let written = writer.finish().unwrap();
    Ok(Outcome { index: written.index, blob: written.destination, seen })
}

fn base(scratch: &Path) -> Vec<u8> {
    let source = scratch.join("source");
    std::fs::create_dir(&source).unwrap();
    common::script(&source, BASE);
    common::tar(&source)
}

/// The base in a workspace, and as a value.
fn workspace(scratch: &Path, shape: Shape, base: &[u8]) -> (Workspace, Tree, PathBuf) {
    let directory = scratch.join(format!("{shape:?}"));
    let mut workspace = Workspace::create(&directory, shape, Ownership::Kernel).unwrap();
    let mut tree = Tree::new();
    let index = common::apply(&mut workspace, base, &tree).unwrap();
    tree.apply(0, &index);
    (workspace, tree, scratch.join("merged"))
}

fn check(case: &Case, base: &[u8]) {
    let name = case.name;
    let mut layers = Vec::new();
    for shape in [Shape::InPlace, Shape::Stacked] {
        let scratch = tempfile::tempdir().unwrap();
        let (mut workspace, mut tree, merged) = workspace(scratch.path(), shape, base);
        let outcome = match run(&mut workspace, &tree, &stubs(), &merged, case.run) {
            Ok(outcome) => outcome,
            Err(reason) => {
                println!("skipped {name:?} for {shape:?}: {reason}");
                continue;
            }
        };
        assert_eq!(common::changes(&outcome.index), case.expected, "{name}, {shape:?}");
        tree.apply(1, &outcome.index);
        if !name.starts_with("linked") || shape == Shape::InPlace {
            assert_eq!(common::tree(&tree, &HIDDEN), outcome.seen, "{name}: the tree, {shape:?}");
        }

        let again = scratch.path().join("again");
        std::fs::create_dir(&again).unwrap();
        let root = Root::open(&again).unwrap();
        for blob in [base, &outcome.blob] {
            let mut applier = Applier::new(&root, Ownership::Kernel);
            layer::read_layer(blob, Compression::None, &mut applier).unwrap();
            applier.finish().unwrap();
        }
        assert_eq!(common::directory(&again, &[]), common::tree(&tree, &[]), "{name}: on disk, {shape:?}");

        let second = run(&mut workspace, &tree, &stubs(), &merged, ":").unwrap();
        assert_eq!(common::changes(&second.index), "", "{name}: a second run that does nothing, {shape:?}");
        assert_eq!(second.seen, outcome.seen, "{name}: seen by a second run, {shape:?}");

        layers.push(outcome.blob);
    }
    if let [first, second] = &layers[..] {
        assert_eq!(first, second, "{name}: the bytes of the layer");
    }
}

#[test]
fn what_a_run_changes() {
    if !common::is_root() {
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let base = base(scratch.path());
    for case in CASES {
        check(case, &base);
    }
}

/// Workspaces on one snapshot: what becomes of one is in no other.
#[test]
fn a_snapshot_stays_what_it_was() {
    if !common::is_root() {
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let base = base(scratch.path());
    let (mut first, tree, merged) = workspace(scratch.path(), Shape::Stacked, &base);
    let before = match run(&mut first, &tree, &[], &merged, ":") {
        Ok(outcome) => outcome.seen,
        Err(reason) => return println!("skipped: {reason}"),
    };
    let snapshot = first.snapshot().unwrap();
    // A layer and a command on top of the one that the snapshot is of.
    let layer = scratch.path().join("layer");
    std::fs::create_dir(&layer).unwrap();
    common::script(&layer, "mkdir etc\necho layer > etc/passwd\necho new > new");
    let mut changed = tree.clone();
    changed.apply(1, &common::apply(&mut first, &common::tar(&layer), &tree).unwrap());
    let after = run(&mut first, &changed, &[], &merged, "rm -r usr/lib\necho run >> etc/passwd").unwrap();
    assert_eq!(common::changes(&after.index), "+/etc/passwd +/usr/ -/usr/lib");
    assert!(after.seen.contains("/new "), "{}", after.seen);

    for name in ["second", "third"] {
        let directory = scratch.path().join(name);
        let mut other = Workspace::create_on(&directory, &snapshot, Ownership::Kernel).unwrap();
        let outcome = run(&mut other, &tree, &[], &merged, ":").unwrap();
        assert_eq!(outcome.seen, before, "{name}");
        let outcome = run(&mut other, &tree, &[], &merged, "rm -r home\necho x > etc/passwd").unwrap();
        assert_eq!(common::changes(&outcome.index), "-/home +/etc/passwd", "{name}");
    }
    let (mut in_place, ..) = workspace(scratch.path(), Shape::InPlace, &base);
    assert!(in_place.snapshot().is_none());
}

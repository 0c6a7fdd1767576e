//! Mount targets: they are there while a run lasts, and there is no trace of them afterwards.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says why it was skipped"
)]

mod common;

use std::path::Path;

use layer::{LayerWriter, Tree, TreePath, WriteOptions};
use rootfs::{Ownership, RunRoot, Shape, Stub, StubKind, Workspace};

const BASE: &str = "
mkdir etc mnt dev
echo image > etc/hosts
ln -s ../run/x etc/resolv.conf
touch dev/null
find . -exec touch -h -d @1000000 {} +
";

struct Case {
    name: &'static str,
    stubs: &'static [(&'static str, StubKind)],
    /// What is looked at while the run lasts.
    run: &'static str,
    changes: &'static str,
}

use StubKind::{Directory as DIRECTORY, File as FILE};

const CASES: &[Case] = &[
    Case {
        name: "what is missing is made",
        stubs: &[("proc", DIRECTORY), ("etc/hostname", FILE), ("a/b/c", DIRECTORY), ("a/b/f", FILE)],
        run: "test -d proc -a -f etc/hostname -a -d a/b/c -a -f a/b/f",
        changes: "",
    },
    Case {
        name: "what is there stays",
        stubs: &[("mnt", DIRECTORY), ("etc/hosts", FILE)],
        run: "grep image etc/hosts",
        changes: "",
    },
    Case {
        name: "what is there as a link",
        stubs: &[("etc/resolv.conf", FILE)],
        run: "test -L etc/resolv.conf",
        changes: "",
    },
    Case {
        name: "what the command changed",
        stubs: &[("etc/new", FILE), ("z/new", FILE)],
        run: "echo x >> etc/new\nchmod 0 z/new",
        changes: "",
    },
    Case {
        name: "what the command removed",
        stubs: &[("etc/new", FILE), ("z/new", FILE), ("z/d", DIRECTORY)],
        run: "rm -r etc/new z\ntouch -d @1000000 etc",
        changes: "",
    },
    Case {
        name: "what the command replaced",
        stubs: &[("etc/new", FILE), ("z", DIRECTORY)],
        run: "rm -r etc/new z\nmkdir etc/new\necho x > etc/new/x\necho x > z\ntouch -d @1000000 etc",
        changes: "",
    },
    Case {
        name: "something beside a stub",
        stubs: &[("etc/new", FILE), ("a/b/c", DIRECTORY)],
        run: "echo x > etc/x\necho x > a/x",
        changes: "+/a/ +/a/x +/etc/ +/etc/x",
    },
    Case {
        name: "something in a stub",
        stubs: &[("a/b/c", DIRECTORY), ("mnt", DIRECTORY), ("dev", DIRECTORY)],
        run: "echo x > a/b/c/x\necho x > mnt/x\nmkdir dev/pts\necho x > dev/pts/0",
        changes: "",
    },
    Case {
        name: "another mode above a stub",
        stubs: &[("a/b/c", DIRECTORY)],
        run: "chmod 700 a",
        changes: "",
    },
];

fn check(case: &Case, shape: Shape) {
    let Case { name, stubs, run: text, changes } = case;
    let scratch = tempfile::tempdir().unwrap();
    let source = scratch.path().join("source");
    std::fs::create_dir(&source).unwrap();
    common::script(&source, BASE);
    let mut workspace = Workspace::create(&scratch.path().join("w"), shape, Ownership::Kernel).unwrap();
    let mut tree = Tree::new();
    let index = common::apply(&mut workspace, &common::tar(&source), &tree).unwrap();
    tree.apply(0, &index);
    let stubs: Vec<Stub> =
        stubs.iter().map(|(path, kind)| Stub { path: TreePath::new(path).unwrap(), kind: *kind }).collect();
    for stubs in [&stubs[..], &[]] {
        let again = stubs.is_empty();
        let run = workspace.begin(&tree, stubs, &[], &[]).unwrap();
        let look = |root: &Path| match again {
            true => assert_eq!(common::directory(root, &[]), common::tree(&tree, &[]), "{name}, {shape:?}"),
            false => common::script(root, text),
        };
        match &run.root {
            RunRoot::InPlace { directory } | RunRoot::Described { directory, .. } => look(directory),
            RunRoot::Stacked { lower, upper, work } => {
                match common::Overlay::mount(&scratch.path().join("merged"), lower, upper, work) {
                    Ok(overlay) => look(&overlay.at),
                    Err(reason) => return println!("skipped {name:?}: {reason}"),
                }
            }
        }
        let mut writer = LayerWriter::new(Vec::new(), WriteOptions::default()).unwrap();
        workspace.changes(run, &tree, Some(common::CLAMP), &mut writer).unwrap();
        let index = writer.finish().unwrap().index;
        assert_eq!(common::changes(&index), if again { "" } else { changes }, "{name}, {shape:?}");
        tree.apply(1, &index);
    }
}

#[test]
fn no_trace_is_left() {
    if !common::is_root() {
        return;
    }
    for case in CASES {
        check(case, Shape::InPlace);
        check(case, Shape::Stacked);
    }
}

/// In place nothing keeps a command from renaming what is above a stub. What comes to rest elsewhere is the
/// image's own.
#[test]
fn a_directory_with_a_stub_moves_away() {
    if !common::is_root() {
        return;
    }
    let case = Case {
        name: "moved",
        stubs: &[("etc/new", FILE)],
        run: "mv etc other\ntouch -d @1000000 .",
        changes: "-/etc +/other/ +/other/hosts +/other/resolv.conf",
    };
    check(&case, Shape::InPlace);
}

/// A directory where a file is wanted, or a file where a directory is, is an error that names it.
#[test]
fn the_image_is_in_the_way() {
    if !common::is_root() {
        return;
    }
    for shape in [Shape::InPlace, Shape::Stacked] {
        let scratch = tempfile::tempdir().unwrap();
        let source = scratch.path().join("source");
        std::fs::create_dir(&source).unwrap();
        common::script(&source, BASE);
        let mut workspace = Workspace::create(&scratch.path().join("w"), shape, Ownership::Kernel).unwrap();
        let mut tree = Tree::new();
        tree.apply(0, &common::apply(&mut workspace, &common::tar(&source), &tree).unwrap());
        for (path, kind) in [("etc/hosts", DIRECTORY), ("mnt", FILE)] {
            let stub = Stub { path: TreePath::new(path).unwrap(), kind };
            let error = workspace.begin(&tree, &[stub], &[], &[]).unwrap_err();
            assert_eq!(error.to_string(), format!("cannot make a mount target at /{path}"), "{shape:?}");
        }
    }
}

//! Many layers and commands at random, in both shapes at once: the directory is always what the tree says,
//! and both shapes find the same changes, byte for byte.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says why it was skipped"
)]

mod common;

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;

use common::CLAMP;
use layer::{
    Change, Content, ContentHash, Inode, Kind, LayerWriter, Metadata, Node, Tree, TreePath, WriteOptions,
};
use rootfs::{Ownership, RunRoot, Shape, Stub, StubKind, Workspace};

/// Numbers that are the same each time (xorshift64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides as u64).unwrap()
    }

    fn path(&mut self) -> TreePath {
        let depth = 1 + self.roll(3);
        let parts: Vec<&str> = (0..depth).map(|_| ["a", "b", "c", "d"][self.roll(4)]).collect();
        TreePath::new(parts.join("/")).unwrap()
    }

    fn metadata(&mut self) -> Metadata {
        let mode = [0o755, 0o700, 0o4711, 0o555][self.roll(4)];
        let owner = u32::try_from(self.roll(3)).unwrap();
        Metadata { mode, uid: owner, gid: owner, mtime: 1000 + self.0 as i64 % 7, ..Metadata::default() }
    }
}

/// A layer at random over a tree, and the tree with it.
fn layer(dice: &mut Dice, tree: &Tree, number: u32) -> (Vec<u8>, Tree) {
    let mut writer = LayerWriter::new(Vec::new(), WriteOptions::default()).unwrap();
    let mut after = tree.clone();
    let mut files: Vec<TreePath> = Vec::new();
    for _ in 0..1 + dice.roll(8) {
        let path = dice.path();
        // Names that lead through links or files are another matter.
        let is_open = |above: &TreePath| after.get(above).is_none_or(|inode| inode.node.is_directory());
        if !path.ancestors().iter().all(is_open) {
            continue;
        }
        let change = match dice.roll(8) {
            0 | 1 => Change::Put { path, node: Node { metadata: dice.metadata(), kind: Kind::Directory } },
            2 | 3 => {
                let text = format!("{}", dice.roll(3));
                let kind = Kind::File { size: text.len() as u64, content: ContentHash::of(text.as_bytes()) };
                let metadata = dice.metadata();
                let mut data = text.as_bytes();
                let content = Content::File { size: text.len() as u64, data: &mut data };
                writer.put(&path, &metadata, content).unwrap();
                after.change(number, &Change::Put { path: path.clone(), node: Node { metadata, kind } });
                files.push(path);
                continue;
            }
            4 => {
                let target = ["a", "../b", "/c/d"][dice.roll(3)].as_bytes().into();
                Change::Put { path, node: Node { metadata: dice.metadata(), kind: Kind::Symlink { target } } }
            }
            5 => {
                let of_this_layer = |inode: &std::sync::Arc<Inode>| {
                    inode.layer == number && matches!(inode.node.kind, Kind::File { .. })
                };
                files.retain(|file| after.get(file).is_some_and(of_this_layer));
                let Some(target) = files.get(dice.roll(files.len().max(1))).cloned() else { continue };
                if target.is_within(&path) {
                    continue;
                }
                Change::Link { path, target }
            }
            6 => Change::Remove { path },
            _ if is_open(&path) => Change::Clear { path },
            _ => continue,
        };
        let written = match &change {
            Change::Put { path, node } => {
                let content = match &node.kind {
                    Kind::Symlink { target } => Content::Symlink { target },
                    _ => Content::Directory,
                };
                writer.put(path, &node.metadata, content).map(drop)
            }
            Change::Link { path, target } => writer.link(path, target),
            Change::Remove { path } => writer.remove(path),
            Change::Clear { path } => writer.clear(path),
        };
        if written.is_ok() {
            after.change(number, &change);
        }
    }
    let written = writer.finish().unwrap();
    println!("layer: {}", common::changes(&written.index));
    let mut again = tree.clone();
    again.apply(number, &written.index);
    assert_eq!(common::tree(&again, &[]), common::tree(&after, &[]), "the layer says what was written");
    (written.destination, after)
}

/// A command at random. What fails, fails in both shapes.
fn command(dice: &mut Dice, root: &Path, tree: &Tree) {
    for _ in 0..1 + dice.roll(8) {
        let at = |path: &TreePath| root.join(path.as_relative());
        let (path, other) = (dice.path(), dice.path());
        // An overlay takes the names of an old file apart when one of them is touched.
        let was_linked = tree.get(&path).is_some_and(|inode| {
            tree.iter().filter(|(_, other)| std::sync::Arc::ptr_eq(inode, other)).count() > 1
        });
        let (path, other) = (at(&path), at(&other));
        let (what, number) = (dice.roll(12), dice.roll(3));
        // Never the same: names that were one file and are equal again would be joined.
        let text = dice.roll(1_000_000_000).to_string();
        // A link on the way would lead out of here, since nobody is chrooted.
        let is_real = |path: &Path| {
            let above = path.ancestors().skip(1).take_while(|above| *above != root);
            above.into_iter().all(|above| above.symlink_metadata().is_ok_and(|found| found.is_dir()))
        };
        if !is_real(&path) || !is_real(&other) {
            continue;
        }
        let found = path.symlink_metadata();
        let is_link = found.as_ref().is_ok_and(|found| found.is_symlink());
        let is_directory = found.as_ref().is_ok_and(|found| found.is_dir());
        match what {
            0 | 1 => drop(fs::create_dir_all(&path)),
            2 | 3 => {
                // Writing through one of several names is where overlays differ.
                let _ = fs::remove_file(&path);
                let _ = fs::write(&path, &text);
            }
            4 if !is_link => {
                let new = root.join("new");
                fs::write(&new, &text).unwrap();
                if fs::rename(&new, &path).is_err() {
                    fs::remove_file(&new).unwrap();
                }
            }
            5 => drop(symlink(["a", "../b", "/c/d"][number], &path)),
            6 => {
                let _ = fs::remove_file(&path);
                let _ = fs::write(&path, &text).and_then(|()| fs::hard_link(&path, &other));
            }
            7 if is_directory => drop(fs::remove_dir_all(&path)),
            7 => drop(fs::remove_file(&path)),
            8 if was_linked => {}
            8 if !is_directory => drop(fs::rename(&path, &other)),
            // As mv(1) does where the kernel says EXDEV.
            8 if !other.starts_with(&path) && other.symlink_metadata().is_err() => {
                let copied =
                    std::process::Command::new("cp").arg("-a").args([&path, &other]).status().unwrap();
                assert!(copied.success());
                fs::remove_dir_all(&path).unwrap();
            }
            9 if is_directory => {
                drop(fs::set_permissions(&path, fs::Permissions::from_mode([0o700, 0o755, 0o1777][number])));
            }
            10 if is_directory => drop(chown(&path, Some(number as u32), Some(7))),
            11 if is_directory => {
                let _ = fs::remove_dir_all(&path);
                let _ = fs::create_dir(&path);
            }
            _ => {}
        }
    }
}

const HIDDEN: [&str; 3] = ["/proc", "/c/a/b", "/c/a/mine"];

fn check(seed: u64) -> bool {
    let scratch = tempfile::tempdir().unwrap();
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut workspaces = [Shape::InPlace, Shape::Stacked].map(|shape| {
        let directory = scratch.path().join(format!("{shape:?}"));
        (shape, Workspace::create(&directory, shape, Ownership::Kernel).unwrap())
    });
    let mut tree = Tree::new();
    for step in 0..6 {
        if dice.roll(2) == 0 {
            let (blob, after) = layer(&mut dice, &tree, step);
            for (_, workspace) in &mut workspaces {
                common::apply(workspace, &blob, &tree).unwrap();
            }
            tree = after;
            continue;
        }
        let stubs = [Stub { path: TreePath::new("proc").unwrap(), kind: StubKind::Directory }];
        let (seed, mut outcomes) = (dice.0.wrapping_mul(0x2545_f491_4f6c_dd1d) | 1, Vec::new());
        for (shape, workspace) in &mut workspaces {
            let run = workspace.begin(&tree, &stubs, &[], &[]).unwrap();
            let mut overlay = None;
            let root = match &run.root {
                RunRoot::InPlace { directory } | RunRoot::Described { directory, .. } => directory.clone(),
                RunRoot::Stacked { lower, upper, work } => {
                    match common::Overlay::mount(&scratch.path().join("merged"), lower, upper, work) {
                        Ok(mounted) => overlay.insert(mounted).at.clone(),
                        Err(reason) => {
                            println!("skipped: {reason}");
                            return false;
                        }
                    }
                }
            };
            let before = common::directory(&root, &HIDDEN);
            assert_eq!(before, common::tree(&tree, &HIDDEN), "step {step}, before a command, {shape:?}");
            command(&mut Dice(seed), &root, &tree);
            let seen = common::directory(&root, &HIDDEN);
            drop(overlay);
            let mut writer = LayerWriter::new(Vec::new(), WriteOptions::default()).unwrap();
            workspace.changes(run, &tree, Some(CLAMP), &mut writer).unwrap();
            let written = writer.finish().unwrap();
            let mut after = tree.clone();
            after.apply(step, &written.index);
            assert_eq!(common::tree(&after, &HIDDEN), seen, "step {step}, after a command, {shape:?}");
            println!("command: {}", common::changes(&written.index));
            outcomes.push((common::changes(&written.index), written.destination, after));
        }
        assert_eq!(outcomes[0].0, outcomes[1].0, "step {step}, the changes");
        assert_eq!(outcomes[0].1, outcomes[1].1, "step {step}, the bytes");
        tree = outcomes.pop().unwrap().2;
        dice.roll(2);
    }
    true
}

#[test]
fn both_shapes_say_the_same() {
    if !common::is_root() {
        return;
    }
    let seeds = std::env::var("SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(40);
    let first = std::env::var("FIRST").ok().and_then(|first| first.parse().ok()).unwrap_or(0);
    for seed in first..first + seeds {
        println!("seed {seed}");
        if !check(seed) {
            return;
        }
    }
}

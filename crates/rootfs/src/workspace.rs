//! Workspace: a stage's tree as a directory, for as long as a stage has commands to run.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use layer::{Content, Metadata, ReadError, Sink, Tree, TreePath};
use owners::Log;
use rustix::fs::Mode;

use crate::apply::Applier;
use crate::changes::{Comparison, Excluded, View};
use crate::logged::Logged;
use crate::lower::LowerWriter;
use crate::node::NodeWriter;
use crate::ownership::Ownership;
use crate::record::Record;
use crate::remove::remove_all;
use crate::root::Root;
use crate::scan::Walk;
use crate::stat::Stat;
use crate::stub::{PlacedStubs, Stub, clean_upper, prune};
use crate::transcript::Transcript;

/// Whether what a log leads to is compared with what a scan finds: an assertion of the builds that tests are made with,
/// as it costs all that a log saves.
const CHECKED: bool = cfg!(debug_assertions);

/// What a run's root is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Directories to be mounted as an overlay: what a run changed is in the upper one.
    Stacked,
    /// One directory, which is scanned before and after a run.
    InPlace,
}

/// Why a workspace failed.
#[derive(Debug, thiserror::Error)]
pub enum WorkspaceError {
    /// The directory failed.
    #[error("cannot {action} in {}", directory.display())]
    Io {
        /// What was done.
        action: &'static str,
        /// The workspace's directory.
        directory: PathBuf,
        /// What the kernel said, and of which path.
        #[source]
        source: io::Error,
    },
    /// A layer could not be read or written to disk.
    #[error(transparent)]
    Layer(#[from] ReadError),
    /// A mount target cannot be there.
    #[error("cannot make a mount target at {path}")]
    Stub {
        /// The target.
        path: TreePath,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// A stage's tree as a directory. The tree is the truth; the directory is a copy of it that commands can run in.
#[derive(Debug)]
pub struct Workspace {
    home: Arc<Home>,
    shape: Shape,
    ownership: Ownership,
    /// Directories that hold the tree, bottom first; in place, the one that does.
    lowers: Vec<Lower>,
    /// Others build on the lower directories that are there: nothing is written to them any more.
    is_shared: bool,
    /// How many directories were numbered.
    numbered: u32,
}

/// The tree of a stacked workspace as it was once, for other workspaces to start from.
#[derive(Debug, Clone)]
pub struct Snapshot {
    lowers: Vec<Lower>,
}

/// Where a workspace keeps its directories.
#[derive(Debug)]
struct Home {
    directory: PathBuf,
    root: Root,
}

/// A directory that holds a part of a tree.
#[derive(Debug, Clone)]
struct Lower {
    home: Arc<Home>,
    path: TreePath,
}

impl Lower {
    fn open(&self) -> io::Result<Root> {
        self.home.root.sub(&self.path)
    }

    fn path(&self) -> PathBuf {
        self.home.path(&self.path)
    }
}

impl Home {
    /// Makes the directory, whose parent must be there.
    fn create(directory: &Path) -> io::Result<Self> {
        std::fs::create_dir(directory)?;
        let directory = directory.canonicalize()?;
        Ok(Home { root: Root::open(&directory)?, directory })
    }

    fn path(&self, below: &TreePath) -> PathBuf {
        self.directory.join(below.as_relative())
    }
}

/// A run that was begun.
#[derive(Debug)]
pub struct Run {
    /// What the sandbox makes the root of.
    pub root: RunRoot,
    excluded: Excluded,
    before: Before,
}

/// What it takes to find what a run changed.
#[derive(Debug)]
enum Before {
    InPlace {
        stubs: Vec<Stub>,
        placed: PlacedStubs,
        scan: Option<Scanned>,
        /// What is a change whatever a log says.
        made: BTreeSet<TreePath>,
    },
    /// The directory that belongs to the run alone.
    Stacked { own: TreePath },
}

/// What a directory was like before a run, and what the tree has and it had not.
#[derive(Debug)]
struct Scanned {
    record: Record,
    absent: BTreeSet<TreePath>,
}

/// What a sandbox makes the root of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunRoot {
    /// This directory.
    InPlace {
        /// The root.
        directory: PathBuf,
    },
    /// This directory, and what its files are said to be.
    Described {
        /// The root.
        directory: PathBuf,
        /// The table, which the run changes.
        owners: PathBuf,
        /// The log of what it may have changed, which the run writes.
        log: PathBuf,
    },
    /// An overlay, mounted with `index=off`, `redirect_dir=nofollow` and `metacopy=off`, so that its upper
    /// directory holds what changed, and all of it; with `userxattr` besides where the mount is made in a
    /// user namespace.
    Stacked {
        /// Lower directories, topmost first.
        lower: Vec<PathBuf>,
        /// The upper directory.
        upper: PathBuf,
        /// The directory that overlayfs wants for itself.
        work: PathBuf,
    },
}

impl Workspace {
    /// Makes a workspace in `directory`, which must not exist and whose parent must.
    pub fn create(directory: &Path, shape: Shape, ownership: Ownership) -> Result<Self, WorkspaceError> {
        let home = Self::home(directory)?;
        let first = TreePath::root().child(match shape {
            Shape::Stacked => b"base",
            Shape::InPlace => b"root",
        });
        let lowers = vec![Lower { home: home.clone(), path: first.clone() }];
        let workspace = Workspace { home, shape, ownership, lowers, is_shared: false, numbered: 0 };
        workspace
            .make_tree_root(&first, &Tree::new())
            .map_err(|source| workspace.failed("make a workspace", source))?;
        Ok(workspace)
    }

    /// Makes a stacked workspace that starts where another was when `snapshot` was taken, without a copy.
    pub fn create_on(
        directory: &Path,
        snapshot: &Snapshot,
        ownership: Ownership,
    ) -> Result<Self, WorkspaceError> {
        let (home, lowers) = (Self::home(directory)?, snapshot.lowers.clone());
        Ok(Workspace { home, shape: Shape::Stacked, ownership, lowers, is_shared: true, numbered: 0 })
    }

    fn home(directory: &Path) -> Result<Arc<Home>, WorkspaceError> {
        let failed =
            |source| WorkspaceError::Io { action: "make a workspace", directory: directory.into(), source };
        Home::create(directory).map(Arc::new).map_err(failed)
    }

    /// The tree as it is now, for others to start from; `None` in place, where the next run changes it.
    pub fn snapshot(&mut self) -> Option<Snapshot> {
        let is_stacked = self.shape == Shape::Stacked;
        self.is_shared |= is_stacked;
        is_stacked.then(|| Snapshot { lowers: self.lowers.clone() })
    }

    /// Lays a layer on top of the tree that is there: what `write` puts into the sink it is given. After a
    /// failure the workspace is of no more use.
    pub fn with_sink<T>(
        &mut self,
        beneath: &Tree,
        write: impl FnOnce(&mut dyn Sink) -> Result<T, WorkspaceError>,
    ) -> Result<T, WorkspaceError> {
        let directory = self.home.directory.clone();
        let failed =
            |source| WorkspaceError::Io { action: "apply a layer", directory: directory.clone(), source };
        if self.shape == Shape::InPlace || (self.lowers.len() == 1 && !self.is_shared) {
            let root = self.lowers[0].open().map_err(failed)?;
            let mut applier = Applier::new(&root, self.ownership.clone());
            let result = write(&mut applier)?;
            applier.finish().map_err(failed)?;
            Ok(result)
        } else {
            let own = self.numbered("layer");
            let below = self.below().map_err(failed)?;
            self.make_tree_root(&own, beneath).map_err(failed)?;
            let root = self.home.root.sub(&own).map_err(failed)?;
            let mut writer = LowerWriter::new(&root, beneath, &below, self.ownership.clone());
            let result = write(&mut writer)?;
            writer.finish().map_err(failed)?;
            self.lowers.push(Lower { home: self.home.clone(), path: own });
            Ok(result)
        }
    }

    /// Prepares a run. `tree` is what the layers so far add up to; what the run does at `ignored` paths and below
    /// them is not looked for. Directories of `made`, outermost first, which the tree has not, are there as if the
    /// run had made them, and so are among its changes.
    pub fn begin(
        &mut self,
        tree: &Tree,
        stubs: &[Stub],
        ignored: &[TreePath],
        made: &[(TreePath, Metadata)],
    ) -> Result<Run, WorkspaceError> {
        let mut stubs = stubs.to_vec();
        // Directories come before what is in them.
        stubs.sort_by(|a, b| a.path.cmp(&b.path));
        let missing = stubs.iter().flat_map(|stub| stub.path.ancestors());
        let excluded = Excluded {
            mounts: stubs.iter().map(|stub| stub.path.clone()).collect(),
            made: missing.filter(|above| tree.get(above).is_none()).collect(),
            ignored: ignored.to_vec(),
        };
        match self.shape {
            Shape::InPlace => {
                if !made.is_empty() {
                    self.with_sink(tree, |sink| make(made, sink))?;
                }
                let made = made.iter().map(|(path, _)| path.clone()).collect();
                self.begin_in_place(tree, stubs, excluded, made)
            }
            Shape::Stacked => self.begin_stacked(tree, &stubs, excluded, made),
        }
    }

    fn begin_in_place(
        &self,
        tree: &Tree,
        stubs: Vec<Stub>,
        excluded: Excluded,
        made: BTreeSet<TreePath>,
    ) -> Result<Run, WorkspaceError> {
        let failed = |source| self.failed("begin a run", source);
        let root = self.lowers[0].open().map_err(failed)?;
        let placed = PlacedStubs::place(&root, &stubs, &self.ownership)?;
        let is_logged = matches!(self.ownership, Ownership::Table(_));
        let scan = if is_logged && !CHECKED {
            None
        } else {
            let (record, absent) = record(&root, tree, &excluded).map_err(failed)?;
            record.settle(&self.home.root).map_err(failed)?;
            Some(Scanned { record, absent })
        };
        let directory = self.lowers[0].path();
        let root = match self.ownership {
            Ownership::Kernel => RunRoot::InPlace { directory },
            Ownership::Table(_) => {
                self.ownership.save(&self.owners()).map_err(failed)?;
                RunRoot::Described { directory, owners: self.owners(), log: self.log() }
            }
        };
        Ok(Run { root, excluded, before: Before::InPlace { stubs, placed, scan, made } })
    }

    fn begin_stacked(
        &mut self,
        tree: &Tree,
        stubs: &[Stub],
        excluded: Excluded,
        made: &[(TreePath, Metadata)],
    ) -> Result<Run, WorkspaceError> {
        let own = self.numbered("run");
        let failed = |source| self.failed("begin a run", source);
        let [upper, work, under] = ["upper", "work", "under"].map(|name| own.child(name.as_bytes()));
        self.make_directory(&own).map_err(failed)?;
        self.make_tree_root(&upper, tree).map_err(failed)?;
        self.make_directory(&work).map_err(failed)?;
        if !made.is_empty() {
            let below = self.below().map_err(failed)?;
            let root = self.home.root.sub(&upper).map_err(failed)?;
            let mut writer = LowerWriter::new(&root, tree, &below, self.ownership.clone());
            make(made, &mut writer)?;
            writer.finish().map_err(failed)?;
        }
        let mut lower: Vec<PathBuf> = self.lowers.iter().rev().map(Lower::path).collect();
        // Beneath everything a stub leaves no trace in the upper directory.
        if self.lay_out(&under, tree, stubs)? {
            lower.push(self.home.path(&under));
        }
        let root = RunRoot::Stacked { lower, upper: self.home.path(&upper), work: self.home.path(&work) };
        Ok(Run { root, excluded, before: Before::Stacked { own } })
    }

    /// Makes a lower directory of the stubs that are missing. False if none is.
    fn lay_out(&self, own: &TreePath, tree: &Tree, stubs: &[Stub]) -> Result<bool, WorkspaceError> {
        let failed = |source| self.failed("begin a run", source);
        self.make_tree_root(own, tree).map_err(failed)?;
        let root = self.home.root.sub(own).map_err(failed)?;
        let mut writer = LowerWriter::new(&root, tree, &[], self.ownership.clone());
        let mut any = false;
        for Stub { path, kind } in stubs {
            let failed = |source| WorkspaceError::Stub { path: path.clone(), source };
            let there = tree.get(path).map(|inode| inode.node.is_directory());
            if kind.is_there(there).map_err(failed)? {
                continue;
            }
            let mut nothing = io::empty();
            let (metadata, content) = kind.node(&mut nothing);
            writer.put(path, &metadata, content).map_err(failed)?;
            any = true;
        }
        writer.finish().map_err(failed)?;
        Ok(any)
    }

    /// Writes what a run changed to `sink`, relative to the tree it was begun with, and keeps its outcome for
    /// the next run. The run's processes must be gone and its overlay unmounted. Times later than
    /// `clamp_mtime` become that.
    pub fn changes(
        &mut self,
        run: Run,
        tree: &Tree,
        clamp_mtime: Option<i64>,
        sink: &mut dyn Sink,
    ) -> Result<(), WorkspaceError> {
        self.find_changes(run, tree, clamp_mtime, sink)
            .map_err(|source| self.failed("find what the run changed", source))
    }

    fn find_changes(
        &mut self,
        run: Run,
        tree: &Tree,
        clamp_mtime: Option<i64>,
        sink: &mut dyn Sink,
    ) -> io::Result<()> {
        let Run { root: _, excluded, before } = run;
        let ownership = self.ownership.clone();
        let compare = |root: &Root, view: View<'_>, sink: &mut dyn Sink| {
            Comparison { tree, view, excluded: &excluded, ownership: ownership.clone(), clamp_mtime }
                .write(root, sink)
        };
        match before {
            Before::InPlace { stubs, placed, scan, made } => {
                ownership.load(&self.owners())?;
                let root = self.lowers[0].open()?;
                placed.undo()?;
                prune(&root, tree, &stubs, &ownership)?;
                let scanned =
                    scan.as_ref().map(|scan| View::Whole { record: &scan.record, absent: &scan.absent });
                let log = match self.ownership {
                    Ownership::Table(_) => Some(Log::load(&self.log()).map_err(io::Error::from)?),
                    Ownership::Kernel => None,
                };
                let logged = log.map(|log| {
                    let others = made.into_iter().chain(excluded.made.iter().cloned());
                    Logged::new(&log, others, &root, &excluded)
                });
                match (logged.transpose()?, scanned) {
                    (Some(logged), None) => compare(&root, View::Logged(&logged), sink),
                    (None, Some(scanned)) => compare(&root, scanned, sink),
                    (Some(logged), Some(scanned)) => {
                        let (mut by_scan, mut by_log) = (Transcript::default(), Transcript::default());
                        compare(&root, scanned, &mut by_scan)?;
                        compare(&root, View::Logged(&logged), &mut by_log)?;
                        by_scan.compare(&by_log)?;
                        compare(&root, View::Logged(&logged), sink)
                    }
                    (None, None) => {
                        Err(io::Error::other("a run was begun without a way to find its changes"))
                    }
                }
            }
            Before::Stacked { own } => {
                let upper = own.child(b"upper");
                let root = self.home.root.sub(&upper)?;
                clean_upper(&root, &excluded)?;
                compare(&root, View::Upper, sink)?;
                let directory = self.home.root.open_directory(&own)?;
                for name in [c"work", c"under"] {
                    remove_all(&directory, name)?;
                }
                self.lowers.push(Lower { home: self.home.clone(), path: upper });
                Ok(())
            }
        }
    }

    /// Who keeps the owners of its files.
    pub fn ownership(&self) -> &Ownership {
        &self.ownership
    }

    /// Opens a regular file of the tree for reading: the topmost directory that has it.
    pub fn open_file(&self, path: &TreePath) -> io::Result<File> {
        for root in self.below()? {
            match root.open_file(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                outcome => return outcome,
            }
        }
        Err(io::Error::new(io::ErrorKind::NotFound, format!("{path} is in none of its directories")))
    }

    /// Every directory that holds the tree, topmost first.
    fn below(&self) -> io::Result<Vec<Root>> {
        self.lowers.iter().rev().map(Lower::open).collect()
    }

    /// A path in the workspace that was never used.
    fn numbered(&mut self, purpose: &str) -> TreePath {
        self.numbered += 1;
        TreePath::root().child(format!("{purpose}-{}", self.numbered).as_bytes())
    }

    /// Where the log of a run is.
    fn log(&self) -> PathBuf {
        self.home.directory.join("log")
    }

    /// Where the table of owners is while a run lasts.
    fn owners(&self) -> PathBuf {
        self.home.directory.join("owners")
    }

    fn make_directory(&self, path: &TreePath) -> io::Result<OwnedFd> {
        let (directory, name) = self.home.root.parent(path)?;
        rustix::fs::mkdirat(directory, name, Mode::RWXU)?;
        self.home.root.open_directory(path)
    }

    /// Makes a directory to hold a tree or a part of it, which is like the tree's root: in an overlay, the
    /// topmost one's owner and mode are seen.
    fn make_tree_root(&self, path: &TreePath, tree: &Tree) -> io::Result<()> {
        let directory = self.make_directory(path)?;
        match tree.get(&TreePath::root()) {
            Some(root) => NodeWriter::new(self.ownership.clone()).redescribe(directory, &root.node.metadata),
            None => Ok(()),
        }
    }

    fn failed(&self, action: &'static str, source: io::Error) -> WorkspaceError {
        WorkspaceError::Io { action, directory: self.home.directory.clone(), source }
    }
}

fn make(directories: &[(TreePath, Metadata)], sink: &mut dyn Sink) -> Result<(), WorkspaceError> {
    directories.iter().try_for_each(|(path, metadata)| {
        let put = sink.put(path, metadata, Content::Directory);
        put.map_err(|source| ReadError::Sink { path: path.clone(), source }.into())
    })
}

/// What the tree's part of a root is like before a run, and what the tree has and the root has not: both come in
/// order. What the tree has not is a change, whoever made it.
fn record(root: &Root, tree: &Tree, excluded: &Excluded) -> io::Result<(Record, BTreeSet<TreePath>)> {
    let mut record = Record::default();
    let mut absent = BTreeSet::new();
    let mut expected = tree.iter().map(|(path, _)| path).filter(|path| !excluded.has(path)).peekable();
    record.insert(&TreePath::root(), &Stat::of(root)?);
    let mut walk = Walk::new(root.open_directory(&TreePath::root())?, TreePath::root())?;
    while let Some(found) = walk.next()? {
        if excluded.has(&found.path) {
            continue;
        }
        while let Some(missing) = expected.next_if(|path| **path < found.path) {
            absent.insert(missing.clone());
        }
        if expected.next_if(|path| **path == found.path).is_some() {
            record.insert(&found.path, &found.stat);
        }
        if found.stat.is_directory() {
            walk.enter(&found)?;
        }
    }
    absent.extend(expected.cloned());
    record.sort();
    Ok((record, absent))
}

//! What a bind mount shows: files of the context, a stage or an image, as a path that can be mounted.
//!
//! A directory of the context that may be seen as it is, is mounted itself. Everything else is written to the work
//! directory once, however many RUNs mount it.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use dockerfile::Spanned;
use dockerfile::graph::Origin;
use layer::{Content, Sink, TreePath};
use rootfs::{Applier, Ownership, Root, StubKind};

use crate::cache_mounts::OWNERS;
use crate::copy::{FoundKind, Opened, Source, TreeSource, not_found};
use crate::engine::Engine;
use crate::error::{Context, Error, Result};
use crate::once::lock;
use crate::stage::Files;
use crate::step::{Place, Surroundings};

/// What was written out already: from where, and which path; without links.
pub(super) type Shown = HashMap<(Option<Origin>, TreePath), Sight>;

/// What can be mounted.
#[derive(Debug, Clone)]
pub(super) struct Sight {
    path: PathBuf,
    kind: StubKind,
    /// The directory that it was written to. Whose its files are is kept beside it.
    written: Option<PathBuf>,
}

/// The name under which a single file is written.
const FILE: &[u8] = b"file";

/// Where `path` of `from` (the context if there is none) can be mounted from, and what it is.
pub(super) fn show(
    around: &Surroundings<'_>,
    ownership: &Ownership,
    from: Option<&Spanned<String>>,
    path: &str,
) -> Result<(PathBuf, StubKind)> {
    let engine = around.engine;
    let path = TreePath::root().join_clean(path)?;
    let key = (around.origin(from)?, path.clone());
    let Sight { path, kind, written } = engine.once.alone(format!("show {key:?}"), || {
        if let Some(known) = lock(&engine.mounting.shown).get(&key).cloned() {
            return Ok(known);
        }
        let found = show_anew(around, from, &path)?;
        lock(&engine.mounting.shown).insert(key.clone(), found.clone());
        Ok::<_, Error>(found)
    })?;
    if let Some(directory) = written {
        ownership.recall(&directory, &directory.with_extension(OWNERS)).during("work directory")?;
    }
    Ok((path, kind))
}

fn show_anew(around: &Surroundings<'_>, from: Option<&Spanned<String>>, path: &TreePath) -> Result<Sight> {
    let engine = around.engine;
    let as_it_is = match around.place(from)? {
        Place::Directory(source) => {
            let work_dir = engine.options.work_dir.path().canonicalize().during("work directory")?;
            source.as_it_is(&source.resolve(path)?, &work_dir)?
        }
        Place::Stage(_) => None,
    };
    Ok(match as_it_is {
        Some((path, true)) => Sight { path, kind: StubKind::Directory, written: None },
        Some((path, false)) => Sight { path, kind: StubKind::File, written: None },
        None => {
            let directory = engine.scratch_directory("shown")?.canonicalize().during("work directory")?;
            let ownership = engine.new_ownership()?;
            let kind = write_out(around, &ownership, from, path, &directory)?;
            ownership.keep(&directory, &directory.with_extension(OWNERS)).during("work directory")?;
            let path = match kind {
                StubKind::Directory => directory.clone(),
                StubKind::File => directory.join("file"),
            };
            Sight { path, kind, written: Some(directory) }
        }
    })
}

/// Writes `path` of `from` to an empty directory: what is in it, if it is a directory, else itself as `file`.
pub(super) fn write_out(
    around: &Surroundings<'_>,
    ownership: &Ownership,
    from: Option<&Spanned<String>>,
    path: &TreePath,
    directory: &Path,
) -> Result<StubKind> {
    let engine = around.engine;
    match around.place(from)? {
        Place::Directory(source) => {
            let work_dir = engine.options.work_dir.path().canonicalize().during("work directory")?;
            write_source(engine, ownership, &*source, path, directory, source.place_of(&work_dir))
        }
        Place::Stage(other) => {
            let tree = other.tree(engine)?;
            let other = &*other.read();
            let files = Files::new(other, engine)?;
            let name = from.map_or_else(|| other.name.clone(), |from| format!("{:?}", from.value));
            let open = Box::new(|path: &TreePath| files.open(other, &tree, path));
            let source = TreeSource { tree: &tree, name, open };
            let real = source.resolve(path)?;
            let wanted = tree.below(&real).map(|(path, _)| path.clone()).chain([real.clone()]);
            let is_file = |path: &TreePath| {
                tree.get(path).is_some_and(|inode| matches!(inode.node.kind, layer::Kind::File { .. }))
            };
            let wanted: BTreeSet<TreePath> = wanted.filter(is_file).collect();
            files.prepare(other, engine, &tree, &wanted)?;
            write_source(engine, ownership, &source, path, directory, None)
        }
    }
}

fn write_source(
    engine: &Engine,
    ownership: &Ownership,
    source: &dyn Source,
    path: &TreePath,
    directory: &Path,
    except: Option<TreePath>,
) -> Result<StubKind> {
    engine.timings.measure("write files for mounts", || {
        let real = source.resolve(path)?;
        let kind = match source.get(&real)?.map(|found| found.kind) {
            // Nothing has put anything into it, as in scratch.
            None if real.is_root() => StubKind::Directory,
            None => return Err(not_found(path, source)),
            Some(FoundKind::Directory) => StubKind::Directory,
            Some(FoundKind::File { .. }) => StubKind::File,
            Some(_) => {
                let text = format!("\"{path}\" in {} is neither a file nor a directory", source.describe());
                return Err(Error::new(text));
            }
        };
        let root = Root::open(directory).during("work directory")?;
        let mut writer = Writer {
            engine,
            source,
            sink: Applier::new(&root, ownership.clone()),
            written: HashMap::new(),
            except,
        };
        let to = match kind {
            StubKind::Directory => TreePath::root(),
            StubKind::File => TreePath::root().child(FILE),
        };
        writer.write(&real, &to)?;
        writer.sink.finish().during("work directory")?;
        Ok(kind)
    })
}

/// Writes files of a source to a directory, with everything that is known of them.
struct Writer<'a> {
    engine: &'a Engine<'a>,
    source: &'a dyn Source,
    sink: Applier<'a>,
    /// Files with several names: the first that was written.
    written: HashMap<(u64, u64), TreePath>,
    /// The work directory, if it is in the source.
    except: Option<TreePath>,
}

impl Writer<'_> {
    fn write(&mut self, from: &TreePath, to: &TreePath) -> Result<()> {
        if let Some(signal) = self.engine.cancel().signal() {
            return Err(Error::ended_by(signal));
        }
        if self.except.as_ref() == Some(from) {
            return Ok(());
        }
        let Some(found) = self.source.get(from)? else { return Ok(()) };
        let during = || format!("write {from} of {} to the work directory", self.source.describe());
        let mut metadata = found.metadata;
        if found.kind == FoundKind::Directory {
            self.sink.put(to, &metadata, Content::Directory).during(during())?;
            for name in self.source.names(from)? {
                self.write(&from.child(&name), &to.child(&name))?;
            }
            return Ok(());
        }
        if let Some(link) = found.link {
            if let Some(first) = self.written.get(&link) {
                return self.sink.link(to, first).during(during());
            }
            self.written.insert(link, to.clone());
        }
        match found.kind {
            FoundKind::Directory => Ok(()),
            FoundKind::File { size } => {
                let Opened { mut data, xattrs } = self.source.open(from)?;
                metadata.xattrs.extend(xattrs);
                self.sink.put(to, &metadata, Content::File { size, data: &mut data })
            }
            FoundKind::Symlink { target } => {
                self.sink.put(to, &metadata, Content::Symlink { target: &target })
            }
            FoundKind::CharDevice { major, minor } => {
                self.sink.put(to, &metadata, Content::CharDevice { major, minor })
            }
            FoundKind::BlockDevice { major, minor } => {
                self.sink.put(to, &metadata, Content::BlockDevice { major, minor })
            }
            FoundKind::Fifo => self.sink.put(to, &metadata, Content::Fifo),
        }
        .during(during())
    }
}

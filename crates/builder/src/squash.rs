//! One layer in place of several: what `--single-snapshot` asks for.
//!
//! Nothing is unpacked for it. The trees before and after say what the layer holds; the bytes of files come from the
//! layers that have them, each read once.

use std::collections::BTreeMap;
use std::io::{self, Read};

use layer::{Change, Content, FilesOnly, Inode, Kind, Metadata, Sink, Tree, TreePath};

use crate::engine::Engine;
use crate::error::{Context, Error, Result};
use crate::new_layer::NewLayer;
use crate::stage::{Stage, about, layer_number, read};

/// Joins the layers that were made since the image that the stage is built on.
pub(crate) fn squash(engine: &Engine<'_>, stage: &mut Stage) -> Result<()> {
    let first = stage.foreign_layers;
    if stage.image.layers.len() < first + 2 {
        return Ok(());
    }
    let after = stage.tree(engine)?;
    let mut before = Tree::new();
    for (number, layer) in stage.image.layers[..first].iter().enumerate() {
        let index = engine.index(layer).ok_or_else(|| gone(&about(layer)))?;
        before.apply(layer_number(number), &index);
    }
    let mut joined = NewLayer::create(engine, stage.image.form())?;
    write_all_but_files(&before, &after, layer_number(first), &mut joined).during("join layers")?;
    for (number, layer) in stage.image.layers.iter().enumerate().skip(first) {
        let mut wanted: BTreeMap<TreePath, Vec<TreePath>> = BTreeMap::new();
        let index = engine.index(layer).ok_or_else(|| gone(&about(layer)))?;
        // The bytes of a file are under the first of its names.
        let links: BTreeMap<&TreePath, &TreePath> = index
            .changes
            .iter()
            .filter_map(|change| match change {
                Change::Link { path, target } => Some((path, target)),
                _ => None,
            })
            .collect();
        let is_here = |inode: &Inode| inode.layer == layer_number(number) && is_file(inode);
        for (path, _) in after.iter().filter(|(_, inode)| is_here(inode)) {
            let mut named = path;
            while let Some(target) = links.get(named) {
                named = target;
            }
            wanted.entry(named.clone()).or_default().push(path.clone());
        }
        if !wanted.is_empty() {
            let mut take =
                FilesOnly(|path: &TreePath, metadata: &Metadata, size: u64, data: &mut dyn Read| {
                    let Some(names) = wanted.remove(path) else { return Ok(()) };
                    let (first, others) = names.split_first().expect("an entry is made with a name");
                    joined.put(first, metadata, Content::File { size, data })?;
                    others.iter().try_for_each(|other| joined.link(other, first))
                });
            read(engine, layer, engine.read_blob(layer)?, &mut take).during(about(layer))?;
            if let Some(path) = wanted.keys().next() {
                return Err(Error::new(format!("{}: it does not hold {path}", about(layer))));
            }
        }
    }
    let (joined, _) = joined.finish()?;
    stage.replace_own_layers(joined);
    // As many entries of the history have a layer as there are layers; the last one has this one.
    let mut left = stage.image.layers.len();
    let history = &mut stage.image.config.history;
    let total = history.iter().filter(|entry| !entry.empty_layer).count();
    for (position, entry) in history.iter_mut().filter(|entry| !entry.empty_layer).enumerate() {
        let keeps = position + 1 == total || left > 1;
        entry.empty_layer = !keeps;
        left = left.saturating_sub(1);
    }
    Ok(())
}

fn gone(what: &str) -> Error {
    Error::new(format!("{what}: what it says is not known any more"))
}

fn is_file(inode: &Inode) -> bool {
    matches!(inode.node.kind, Kind::File { .. })
}

/// What is gone, and everything new that has no bytes: directories before what is in them.
fn write_all_but_files(before: &Tree, after: &Tree, first: u32, sink: &mut dyn Sink) -> io::Result<()> {
    for (path, _) in before.iter().filter(|(path, _)| after.get(path).is_none()) {
        // Below what is gone itself, or is no directory now, nothing need be said.
        let above = path.parent().and_then(|above| after.get(&above));
        if above.is_some_and(|above| above.node.is_directory()) {
            sink.remove(path)?;
        }
    }
    let root = TreePath::root();
    let all = after.get(&root).map(|inode| (&root, inode)).into_iter().chain(after.iter());
    let mut names: BTreeMap<*const Inode, &TreePath> = BTreeMap::new();
    for (path, inode) in all.filter(|(_, inode)| inode.layer >= first && !is_file(inode)) {
        if path.is_root() && before.get(path) == Some(inode) {
            continue;
        }
        if let Some(name) = names.get(&std::sync::Arc::as_ptr(inode)) {
            sink.link(path, name)?;
            continue;
        }
        names.insert(std::sync::Arc::as_ptr(inode), path);
        let content = match &inode.node.kind {
            Kind::Directory => Content::Directory,
            Kind::Symlink { target } => Content::Symlink { target },
            Kind::CharDevice { major, minor } => Content::CharDevice { major: *major, minor: *minor },
            Kind::BlockDevice { major, minor } => Content::BlockDevice { major: *major, minor: *minor },
            Kind::Fifo => Content::Fifo,
            Kind::File { .. } => continue,
        };
        sink.put(path, &inode.node.metadata, content)?;
    }
    Ok(())
}

//! WORKDIR: the folder that later instructions and the container start in, made if it is not there.

use dockerfile::Word;
use layer::{Content, Metadata, Sink};

use super::{Surroundings, at, expand};
use crate::error::{Error, Result};
use crate::new_layer::NewLayer;
use crate::stage::Stage;

/// Directories that are missing belong to the USER, all of them, with mode 0755. Except for `/`, there is
/// always a layer, if an empty one: so it is with BuildKit.
pub(super) fn workdir(around: &Surroundings<'_>, stage: &mut Stage, word: &Word) -> Result<()> {
    let engine = around.engine;
    let written = expand(around, stage, word)?;
    if written.is_empty() {
        return Err(at(word, Error::new("WORKDIR requires a path, but this one is empty after expansion")));
    }
    let written = stage.path(written).map_err(|error| at(word, error))?;
    let path = stage.working_dir()?.join_clean(&written)?;
    let history = format!("WORKDIR {}", stage.set_working_dir(&path));
    if path.is_root() {
        stage.image.push_history(engine.created(), history, true);
        return Ok(());
    }
    let tree = stage.tree(engine)?;
    let mut real = tree.resolve(&path, true).map_err(|error| at(word, error.into()))?;
    let mut missing = Vec::new();
    while real.inode.is_none() {
        let parent = real.path.parent().expect("the root is always there");
        missing.push(std::mem::replace(&mut real.path, parent));
        real.inode = tree.get(&real.path).cloned();
    }
    if real.inode.is_some_and(|inode| !inode.node.is_directory()) {
        return Err(at(word, Error::new(format!("{}: not a directory", real.path))));
    }
    let mut layer = NewLayer::create(engine, stage.image.form())?;
    if !missing.is_empty() {
        // On Windows rights are those of the directory above.
        let (uid, gid) = if stage.image.is_for_windows() {
            (0, 0)
        } else {
            let who = stage.accounts(engine)?.user(&stage.image.config.config.user)?;
            (who.uid, who.gid)
        };
        let metadata = Metadata { mode: 0o755, uid, gid, mtime: engine.now(), ..Metadata::default() };
        for directory in missing.iter().rev() {
            layer.put(directory, &metadata, Content::Directory)?;
        }
    }
    engine.finish_layer(stage, layer, history)
}

//! A stage being built: an image so far, and as much of its filesystem as somebody has needed.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;

use cache::Key;
use layer::{
    Change, FilesOnly, Kind, LayerIndex, Metadata, ReadError, Sink, Tree, TreePath, discard, read_layer,
};
use rootfs::{Ownership, Workspace};

use crate::engine::Engine;
use crate::error::{Context, Error, Result};
use crate::image::{Image, Layer};
use crate::lineage::Lineage;
use crate::new_layer::{ACCOUNT_FILE_LIMIT, ACCOUNT_FILES, KeepAccounts};
use crate::scope::Scope;
use crate::users::Accounts;
use crate::windows;

/// A stage, from its FROM on.
pub(crate) struct Stage {
    /// Its name, or its number.
    pub(crate) name: String,
    /// What it would be if it ended here.
    pub(crate) image: Image,
    /// What `$NAME` means.
    pub(crate) scope: Scope,
    /// A CMD of this stage is kept by a later ENTRYPOINT; one of the base is not.
    pub(crate) has_own_cmd: bool,
    /// A RUN is still to come, so that layers are better unpacked than only indexed.
    pub(crate) will_run: bool,
    /// The step that is being carried out is a RUN.
    pub(crate) runs_now: bool,
    /// Other stages start from the same base, and are to find it unpacked.
    pub(crate) shares_base: bool,
    /// What it is made of, as a cache sees it.
    pub(crate) lineage: Lineage,
    /// How many layers it has from its base.
    base_layers: usize,
    /// How many of them no stage has made: those of the image that the first of its bases is.
    pub(crate) foreign_layers: usize,
    tree: Option<Arc<Tree>>,
    workspace: Option<Workspace>,
    /// How many layers are in the workspace.
    applied: usize,
}

impl Stage {
    pub(crate) fn new(name: &str, image: Image) -> Self {
        let scope = Scope::of_environment(&image.config.config.env);
        let lineage = Lineage::of_image(&image);
        Stage {
            name: name.to_owned(),
            base_layers: image.layers.len(),
            foreign_layers: image.layers.len(),
            image,
            scope,
            has_own_cmd: false,
            will_run: false,
            runs_now: false,
            shares_base: false,
            lineage,
            tree: None,
            workspace: None,
            applied: 0,
        }
    }

    /// A stage that starts where this one has ended.
    pub(crate) fn derive(&self, name: &str) -> Self {
        Stage {
            name: name.to_owned(),
            base_layers: self.image.layers.len(),
            foreign_layers: self.foreign_layers,
            image: self.image.clone(),
            scope: self.scope.clone(),
            has_own_cmd: false,
            will_run: false,
            runs_now: false,
            shares_base: false,
            lineage: self.lineage.clone(),
            tree: self.tree.clone(),
            workspace: None,
            applied: 0,
        }
    }

    /// The key of what it starts from.
    pub(crate) fn root_key(&self) -> Key {
        self.lineage.root
    }

    /// The folder that relative paths are relative to.
    pub(crate) fn working_dir(&self) -> Result<TreePath> {
        Ok(TreePath::root().join_clean(&self.path(self.image.config.config.working_dir.clone())?)?)
    }

    /// Goes to a folder; its name as an image for this system has it.
    pub(crate) fn set_working_dir(&mut self, path: &TreePath) -> String {
        let shown = if self.image.is_for_windows() { windows::shown(path) } else { path.to_string() };
        self.image.config.config.working_dir.clone_from(&shown);
        shown
    }

    /// A path of an instruction as the tree has it.
    pub(crate) fn path(&self, written: String) -> Result<String> {
        if self.image.is_for_windows() { windows::path(&written) } else { Ok(written) }
    }

    /// The filesystem as a value, if somebody has needed it.
    pub(crate) fn known_tree(&self) -> Option<&Arc<Tree>> {
        self.tree.as_ref()
    }

    /// The filesystem as a value. Layers whose index is not known are read for it: into a directory if a RUN
    /// will need one, else by themselves.
    pub(crate) fn tree(&mut self, engine: &Engine) -> Result<Arc<Tree>> {
        if let Some(tree) = &self.tree {
            return Ok(tree.clone());
        }
        engine.gather_indexes(&self.image.layers)?;
        let all_known = || self.image.layers.iter().all(|layer| engine.has_index(layer.diff_id));
        if self.runs_now || self.will_run && (self.workspace.is_some() || !all_known()) {
            self.materialise(engine)?;
        } else {
            let mut tree = Tree::new();
            for layer in self.image.layers.iter().filter(|layer| !engine.has_index(layer.diff_id)) {
                engine.prefetch(layer);
            }
            for (number, layer) in self.image.layers.iter().enumerate() {
                let index = match engine.index(layer) {
                    Some(index) => index,
                    None => self.read_index(engine, layer)?,
                };
                tree.apply(layer_number(number), &index);
            }
            self.tree = Some(Arc::new(tree));
        }
        Ok(self.tree.clone().expect("it was made just now"))
    }

    /// Adds a finished layer on top.
    pub(crate) fn push_layer(&mut self, layer: Layer, index: &LayerIndex) {
        if let Some(tree) = &mut self.tree {
            Arc::make_mut(tree).apply(layer_number(self.image.layers.len()), index);
        }
        self.image.layers.push(layer);
    }

    /// Adds the layer that a cache, or another stage, has for the next step.
    pub(crate) fn adopt(&mut self, engine: &Engine, layer: Layer, created_by: String) -> Result<()> {
        if self.tree.is_some() || self.workspace.is_some() {
            let one = std::slice::from_ref(&layer);
            engine.gather_indexes(one)?;
            let index = match engine.index(&layer) {
                Some(index) => index,
                None => self.read_index(engine, &layer)?,
            };
            if let Some(tree) = &mut self.tree {
                Arc::make_mut(tree).apply(layer_number(self.image.layers.len()), &index);
            }
        }
        let made = layer.made.as_ref().filter(|_| layer.is_cached());
        self.image.made_at = made.map(|made| made.created.clone());
        self.image.layers.push(layer);
        self.lineage.steps += 1;
        self.image.push_history(engine.created(), created_by, false);
        Ok(())
    }

    /// Reads a layer for what it says.
    fn read_index(&self, engine: &Engine, layer: &Layer) -> Result<LayerIndex> {
        engine.once.alone(format!("index {}", layer.diff_id), || {
            if let Some(index) = engine.index(layer) {
                return Ok(index);
            }
            engine.timings.measure("index layers", || {
                let index = read(engine, layer, engine.read_blob(layer)?, &mut discard());
                let index = index.during(about(layer)).map_err(|error| engine.blame_cache(layer, error))?;
                checked(engine, layer, index)
            })
        })
    }

    /// Brings every layer into the workspace, and hands it out. Of stages that start from the same, one unpacks
    /// that, and the others wait for it.
    pub(crate) fn materialise(&mut self, engine: &Engine) -> Result<&mut Workspace> {
        if self.shares_base && self.workspace.is_none() {
            let base: Vec<String> =
                self.image.layers[..self.base_layers].iter().map(|layer| layer.diff_id.to_string()).collect();
            engine.once.alone(format!("unpack {}", base.join(" ")), || self.unpack(engine))?;
        } else {
            self.unpack(engine)?;
        }
        Ok(self.workspace.as_mut().expect("it was made just now"))
    }

    /// Who keeps the owners of its files, once it is unpacked.
    pub(crate) fn ownership(&self) -> Ownership {
        self.workspace.as_ref().map_or(Ownership::Kernel, |workspace| workspace.ownership().clone())
    }

    fn unpack(&mut self, engine: &Engine) -> Result<()> {
        let mut tree = Tree::new();
        if self.workspace.is_none() {
            let unpacked = engine.unpacked(&self.image.layers);
            let below = unpacked.as_ref().map(|(snapshot, _)| snapshot);
            self.workspace = Some(engine.new_workspace(below)?);
            if let Some((_, indexes)) = unpacked {
                // The layers on top have to see what is beneath each of them, and not what comes of all.
                self.tree = None;
                self.applied = indexes.len();
                for (number, index) in indexes.iter().enumerate() {
                    tree.apply(layer_number(number), index);
                }
            }
        }
        let workspace = self.workspace.as_mut().expect("it was made just now");
        for layer in &self.image.layers[self.applied..] {
            engine.prefetch(layer);
        }
        let known = self.tree.take();
        for (number, layer) in self.image.layers.iter().enumerate().skip(self.applied) {
            let beneath = known.as_deref().unwrap_or(&tree);
            let index = engine.timings.measure("unpack layers", || {
                let blob = engine.read_blob(layer)?;
                let index = workspace
                    .with_sink(beneath, |sink| Ok(read(engine, layer, blob, sink)?))
                    .during(about(layer))
                    .map_err(|error| engine.blame_cache(layer, error))?;
                checked(engine, layer, index)
            })?;
            if known.is_none() {
                tree.apply(layer_number(number), &index);
            }
            self.applied += 1;
            if self.shares_base && self.applied == self.base_layers {
                engine.keep_unpacked(&self.image.layers[..self.applied], workspace);
            }
        }
        self.tree = Some(known.unwrap_or_else(|| Arc::new(tree)));
        Ok(())
    }

    /// Lets stages that start from this one, which is done, find it unpacked, if any of it is.
    pub(crate) fn share(&mut self, engine: &Engine) -> Result<()> {
        if self.workspace.is_some() {
            self.materialise(engine)?;
            let workspace = self.workspace.as_mut().expect("it was there");
            engine.keep_unpacked(&self.image.layers, workspace);
        }
        Ok(())
    }

    /// Puts one layer in place of all that no image has brought.
    pub(crate) fn replace_own_layers(&mut self, layer: Layer) {
        self.image.layers.truncate(self.foreign_layers);
        self.image.layers.push(layer);
        // They count layers.
        (self.tree, self.workspace, self.applied) = (None, None, 0);
    }

    /// Says that the layer pushed last is in the workspace, since it was made of it.
    pub(crate) fn layer_is_in_workspace(&mut self) {
        self.applied = self.image.layers.len();
    }

    /// Users and groups.
    pub(crate) fn accounts(&mut self, engine: &Engine) -> Result<Accounts> {
        let tree = self.tree(engine)?;
        let [passwd, group] = ACCOUNT_FILES;
        Ok(Accounts {
            passwd: self.small_file(engine, &tree, passwd)?,
            group: self.small_file(engine, &tree, group)?,
        })
    }

    fn small_file(&mut self, engine: &Engine, tree: &Tree, path: &str) -> Result<Option<Vec<u8>>> {
        let resolved = tree.resolve(&TreePath::new(path)?, true)?;
        let Some(inode) = resolved.inode else { return Ok(None) };
        let Kind::File { size, content } = inode.node.kind else {
            return Err(Error::new(format!("/{path} of the image is no regular file")));
        };
        if size > ACCOUNT_FILE_LIMIT {
            return Err(Error::new(format!(
                "/{path} of the image is larger than {ACCOUNT_FILE_LIMIT} bytes"
            )));
        }
        if let Some(bytes) = engine.store().content(content).or_else(|| engine.base_store().content(content))
        {
            return Ok(Some(bytes));
        }
        let files = Files::new(self, engine)?;
        files.prepare(self, engine, tree, &BTreeSet::from([resolved.path.clone()]))?;
        let mut bytes = Vec::new();
        files.open(self, tree, &resolved.path)?.read_to_end(&mut bytes)?;
        engine.store().put_content(&bytes)?;
        Ok(Some(bytes))
    }

    /// Where a file is in the workspace, if the workspace has what the tree has there.
    fn in_workspace(&self, tree: &Tree, path: &TreePath) -> Option<&Workspace> {
        let inode = tree.get(path)?;
        self.workspace.as_ref().filter(|_| (inode.layer as usize) < self.applied)
    }
}

/// The files of a stage, for those who copy from it. What is not in a directory already is taken from the
/// layers that have it, and only what is wanted.
pub(crate) struct Files {
    directory: PathBuf,
    picked: RefCell<BTreeMap<TreePath, PathBuf>>,
}

impl Files {
    pub(crate) fn new(stage: &Stage, engine: &Engine) -> Result<Self> {
        let directory = engine.scratch_directory(&stage.name)?;
        Ok(Files { directory, picked: RefCell::default() })
    }

    /// Makes regular files at hand. Layers that hold none of them are not touched.
    pub(crate) fn prepare(
        &self,
        stage: &Stage,
        engine: &Engine,
        tree: &Tree,
        wanted: &BTreeSet<TreePath>,
    ) -> Result<()> {
        let mut by_layer: BTreeMap<u32, BTreeSet<TreePath>> = BTreeMap::new();
        for path in wanted {
            let Some(inode) = tree.get(path) else { continue };
            if stage.in_workspace(tree, path).is_none() {
                by_layer.entry(inode.layer).or_default().insert(path.clone());
            }
        }
        for (number, wanted) in by_layer {
            let layer = &stage.image.layers[number as usize];
            engine.timings.measure("read layers for COPY", || self.pick(engine, layer, wanted))?;
        }
        Ok(())
    }

    fn pick(&self, engine: &Engine, layer: &Layer, wanted: BTreeSet<TreePath>) -> Result<()> {
        // A hard link's bytes are under the first name that its layer gave the file.
        let index = engine.index(layer);
        let links: BTreeMap<&TreePath, &TreePath> = index
            .iter()
            .flat_map(|index| &index.changes)
            .filter_map(|change| match change {
                Change::Link { path, target } => Some((path, target)),
                _ => None,
            })
            .collect();
        let mut names: BTreeMap<TreePath, Vec<TreePath>> = BTreeMap::new();
        for path in wanted {
            let mut first = &path;
            while let Some(target) = links.get(first) {
                first = target;
            }
            names.entry(first.clone()).or_default().push(path.clone());
        }
        // The wanted files are written under numbers.
        let mut pick = FilesOnly(|path: &TreePath, _: &Metadata, _: u64, data: &mut dyn Read| {
            let Some(names) = names.get(path) else { return Ok(()) };
            let mut found = self.picked.borrow_mut();
            let place = self.directory.join(found.len().to_string());
            let mut file = File::create(&place)?;
            io::copy(data, &mut file)?;
            file.flush()?;
            found.extend(names.iter().map(|name| (name.clone(), place.clone())));
            Ok(())
        });
        let index = read(engine, layer, engine.read_blob(layer)?, &mut pick)
            .during(about(layer))
            .map_err(|error| engine.blame_cache(layer, error))?;
        checked(engine, layer, index).map(drop)
    }

    /// Opens a file that was prepared.
    pub(crate) fn open(&self, stage: &Stage, tree: &Tree, path: &TreePath) -> Result<Box<dyn Read + Send>> {
        let file = match (stage.in_workspace(tree, path), self.picked.borrow().get(path)) {
            (Some(workspace), _) => workspace.open_file(path),
            (None, Some(file)) => File::open(file),
            (None, None) => return Err(Error::new(format!("{path}: its layer does not hold it"))),
        };
        Ok(Box::new(file.during(path)?))
    }
}

/// Reads a layer's blob into `sink`.
pub(crate) fn read(
    engine: &Engine,
    layer: &Layer,
    blob: Box<dyn Read + Send>,
    sink: &mut dyn Sink,
) -> std::result::Result<LayerIndex, ReadError> {
    read_layer(blob, layer.compression(), &mut KeepAccounts { store: engine.base_store(), sink })
}

/// Checks that a layer was what its image says, and keeps its index.
fn checked(engine: &Engine, layer: &Layer, index: LayerIndex) -> Result<LayerIndex> {
    if index.diff_id != layer.diff_id {
        engine.base_store().remove_blob(layer.descriptor.digest)?;
        let (found, said) = (index.diff_id, layer.diff_id);
        let text = format!("{}: it holds {found}, the image's config says {said}", about(layer));
        let error = Error::new(text).hint("the image is damaged or forged; build or push it again");
        return Err(engine.blame_cache(layer, error));
    }
    engine.base_store().put_index(&index)?;
    Ok(index)
}

pub(crate) fn about(layer: &Layer) -> String {
    format!("layer {}", layer.descriptor.digest)
}

pub(crate) fn layer_number(number: usize) -> u32 {
    u32::try_from(number).expect("a manifest of 4 MiB cannot list so many layers")
}

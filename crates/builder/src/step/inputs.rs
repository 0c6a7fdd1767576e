//! Inputs: what a step says, and what it takes besides the files beneath it, as the key of the step.
//!
//! What is in a key is what changes the result, and nothing else: no times, no owners of a checkout, no names
//! of the machine, no secrets. `docs/cache.md` lists it.

use std::sync::Arc;

use cache::{Domain, Key, KeyWriter};
use dockerfile::graph::Origin;
use dockerfile::instruction::{Network, Run, Script};
use dockerfile::{Instruction, InstructionKind, ModeChange, MountFlag, Spanned};
use layer::{Node, Tree, TreePath};
use oci::Compression;

use super::config::configure;
use super::copy::{Added, Terms};
use super::{Surroundings, at, expand, located, run, wrong};
use crate::copy::{Destination, FoundKind, Look, Nodes, Plan, Source, TreeSource, hash_beside, select};
use crate::error::{Error, Result};
use crate::sources::Place;
use crate::stage::Stage;

/// How another stage that a step takes files from is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// By how it is made, whether it is built or not.
    Definition,
    /// By the files that are taken; it is built.
    Content,
}

/// What can be told of a step without carrying it out.
#[derive(Debug)]
pub(crate) enum Foretold {
    /// It changes no file, and is done.
    Configured,
    /// It makes a layer, which the history notes with this text.
    Files(String),
}

/// The key of a step.
#[derive(Debug, Clone)]
pub(crate) struct StepKey {
    pub(crate) key: Key,
    /// What it was made of.
    pub(crate) inputs: Vec<cache::Input>,
    /// It takes files of other stages, and so has another key on the other level.
    pub(crate) takes_from_stages: bool,
}

/// Does to a stage's config what an instruction does to it, and says what would come of the rest.
pub(crate) fn foretell(
    around: &Surroundings<'_>,
    stage: &mut Stage,
    instruction: &Instruction,
) -> Result<Foretold> {
    let created_by = match &instruction.kind {
        InstructionKind::Run(run) => run::history(stage, &run::command(stage, run)),
        InstructionKind::Copy(copy) => Terms::of_copy(around, stage, copy)?.history(),
        InstructionKind::Add(add) => Terms::of_add(around, stage, add)?.history(),
        InstructionKind::Workdir(word) => {
            let written = stage.path(expand(around, stage, word)?).map_err(|error| at(word, error))?;
            let path = stage.working_dir()?.join_clean(&written)?;
            let created_by = format!("WORKDIR {}", stage.set_working_dir(&path));
            if path.is_root() {
                stage.image.push_history(around.engine.created(), created_by, true);
                return Ok(Foretold::Configured);
            }
            created_by
        }
        _ => {
            configure(around, stage, instruction)?;
            return Ok(Foretold::Configured);
        }
    };
    Ok(Foretold::Files(created_by))
}

/// The key of an instruction that makes a layer, with the stage as it is before it (for WORKDIR, after it).
/// `None` if it depends on a stage whose own is not known.
pub(crate) fn step_key(
    around: &Surroundings<'_>,
    stage: &Stage,
    instruction: &Instruction,
    level: Level,
) -> Result<Option<StepKey>> {
    let mut writer = KeyWriter::new(Domain::Step);
    if let Some(clamp) = around.engine.clamp() {
        // No time in the layer is later, so that another value is another layer.
        writer.field("SOURCE_DATE_EPOCH", clamp.to_string());
    }
    let options = around.engine.options;
    if (options.compression, options.compression_level) != (Compression::Gzip, None) {
        let level = options.compression_level.map_or(String::new(), |level| level.to_string());
        writer.field("--compression", format!("{:?} {level}", options.compression).to_lowercase());
    }
    let mut inputs = Inputs { around, writer, level, takes_from_stages: false };
    let known = match &instruction.kind {
        InstructionKind::Run(run) => inputs.run(stage, run)?,
        InstructionKind::Copy(copy) => {
            let terms = Terms::of_copy(inputs.around, stage, copy)?;
            terms.refuse_remotes()?;
            inputs.terms(stage, "COPY", &terms)?;
            let known = inputs.files_of(copy.from.as_ref(), &terms)?;
            inputs.heredocs(&terms);
            known
        }
        InstructionKind::Add(add) => {
            let terms = Terms::of_add(inputs.around, stage, add)?;
            inputs.terms(stage, "ADD", &terms)?;
            let unpack = add.unpack.as_ref().map(|flag| flag.value);
            inputs.writer.field("unpack", unpack.map_or("", |unpack| if unpack { "true" } else { "false" }));
            let added = terms.fetch(inputs.around, stage, add)?;
            inputs.added(&terms, &added)?;
            inputs.heredocs(&terms);
            true
        }
        InstructionKind::Workdir(_) => {
            let config = &stage.image.config.config;
            inputs.writer.field("instruction", "WORKDIR");
            inputs.writer.field("working directory", &config.working_dir);
            inputs.writer.field("user", &config.user);
            true
        }
        _ => return Err(Error::new(format!("{} makes no layer", instruction.keyword()))),
    };
    let Inputs { writer, takes_from_stages, .. } = inputs;
    let (key, inputs) = writer.finish();
    Ok(known.then_some(StepKey { key, inputs, takes_from_stages }))
}

/// The key of what a directory holds that a stage starts from; its files are hashed by so many threads.
pub(crate) fn directory_key(source: &dyn Source, threads: usize) -> Result<Key> {
    let mut writer = KeyWriter::new(Domain::Root);
    all_of(source, &TreePath::root(), threads, &mut writer)?;
    Ok(writer.finish().0)
}

/// Takes a file, or what a directory holds, into a key.
fn all_of(source: &dyn Source, path: &TreePath, threads: usize, writer: &mut KeyWriter) -> Result<()> {
    let (tree, nothing) = (Tree::new(), dockerfile::Ignore::default());
    let (plan, hashes) = hash_beside(threads, |hashing| {
        let mut plan = Plan::new(&tree, Look::default(), &nothing).hashed_by(hashing);
        plan.copy(source, path, &root())?;
        Ok(plan.end_hashing())
    })?;
    plan.tell(hashes, &mut KeyNodes { writer, with_mode: true })
}

/// Collects the inputs of one step.
struct Inputs<'a, 'b> {
    around: &'a Surroundings<'b>,
    writer: KeyWriter,
    level: Level,
    takes_from_stages: bool,
}

impl Inputs<'_, '_> {
    fn terms(&mut self, stage: &Stage, keyword: &str, terms: &Terms<'_>) -> Result<()> {
        let written = &terms.destination.1;
        let place = Destination::new(&Tree::new(), &stage.working_dir()?, written)?;
        let into = if place.is_directory && !place.path.is_root() { "/" } else { "" };
        self.writer.field("instruction", keyword);
        self.writer.field("destination", format!("{}{into}", place.path));
        self.writer.field("--chown", terms.chown.as_ref().map_or("", |(_, owner)| owner));
        self.writer.field("--chmod", terms.chmod.as_ref().map_or("", |(mode, _)| mode));
        for (flag, is_set) in [("--link", terms.link), ("--parents", terms.parents)] {
            self.writer.field(flag, if is_set { "true" } else { "" });
        }
        Ok(())
    }

    fn heredocs(&mut self, terms: &Terms<'_>) {
        for (heredoc, content) in &terms.heredocs {
            self.writer.field(format!("document {}", heredoc.name), content);
        }
    }

    /// What COPY takes; false if that is of a stage that is not known.
    fn files_of(&mut self, from: Option<&Spanned<String>>, terms: &Terms<'_>) -> Result<bool> {
        let paths: Vec<&str> = terms.paths.iter().map(|(_, path)| path.as_str()).collect();
        if paths.is_empty() {
            return Ok(true);
        }
        if let Some(key) = self.made_elsewhere(from)? {
            let Some(key) = key else { return Ok(false) };
            self.writer.field("from", key.to_bytes());
            for path in paths {
                // As far as it matters: where the source is and, with --parents, what of it is kept.
                let cleaned = TreePath::root().join_clean(path)?;
                let text = if terms.parents { path.to_owned() } else { cleaned.to_string() };
                self.writer.field("source", text);
            }
            for pattern in &terms.exclude_patterns {
                self.writer.field("--exclude", pattern);
            }
            return Ok(true);
        }
        let engine = self.around.engine;
        match self.around.place(from)? {
            Place::Directory(source) => self.entries(terms, &*source, &paths)?,
            Place::Stage(other) => {
                let tree = other.tree(engine)?;
                self.entries(terms, &tree_source(&tree), &paths)?;
            }
        }
        Ok(true)
    }

    /// The key of a stage or an image that is known by how it is made: all of them on the level of definitions,
    /// images on both. The inner `None` is a stage whose key is not known.
    fn made_elsewhere(&mut self, from: Option<&Spanned<String>>) -> Result<Option<Option<Key>>> {
        Ok(match self.around.origin(from)? {
            Some(Origin::Stage(number)) => {
                self.takes_from_stages = true;
                match self.level {
                    Level::Definition => Some(self.around.sources.definition(number)),
                    Level::Content => None,
                }
            }
            None => None,
            Some(_) => match self.around.place(from)? {
                Place::Stage(image) => Some(Some(image.read().root_key())),
                Place::Directory(_) => None,
            },
        })
    }

    fn added(&mut self, terms: &Terms<'_>, added: &Arc<[Added]>) -> Result<()> {
        let context = self.around.engine.context()?;
        for ((_, path), added) in terms.paths.iter().zip(added.iter()) {
            match added {
                Added::Context => self.entries(terms, &*context, &[path])?,
                Added::File(file) => {
                    self.writer.field("download", file.name.as_bytes());
                    // What the server says of its time is the file's only time that anybody could want.
                    self.writer.field("time", file.metadata.mtime.to_string());
                    let name = file.name.to_string();
                    self.entries(terms, file, &[&name])?;
                }
                Added::Checkout(directory) => self.entries(terms, &**directory, &["/"])?,
            }
        }
        Ok(())
    }

    /// What paths of a source name: the names, in order, as they decide what goes where; and what is there, as
    /// it would be in a directory of its own.
    fn entries(&mut self, terms: &Terms<'_>, source: &dyn Source, paths: &[impl AsRef<str>]) -> Result<()> {
        let tree = Tree::new();
        let look = Look { owner: terms.chown.as_ref().map(|_| (0, 0)), ..Look::default() };
        let threads = self.around.engine.options.jobs.get();
        let (plan, hashes) = hash_beside(threads, |hashing| {
            let mut plan = Plan::new(&tree, look, &terms.exclude).hashed_by(hashing);
            for path in paths {
                let path = path.as_ref();
                if terms.parents {
                    plan.copy_with_parents(source, path, &root())?;
                    continue;
                }
                for found in select(source, path, &terms.exclude)? {
                    let there = source.get(&source.resolve(&found)?)?;
                    let is_directory = there.is_some_and(|there| there.kind == FoundKind::Directory);
                    // Of a directory, only what is in it is copied.
                    self.writer.field("source", if is_directory { b"/" } else { found.name() });
                    plan.copy(source, &found, &root())?;
                }
            }
            Ok(plan.end_hashing())
        })?;
        let octal = matches!(&terms.chmod, Some((_, ModeChange::Octal(_))));
        plan.tell(hashes, &mut KeyNodes { writer: &mut self.writer, with_mode: !octal })
    }

    fn run(&mut self, stage: &Stage, run: &Run) -> Result<bool> {
        let config = &stage.image.config.config;
        self.writer.field("instruction", "RUN");
        for argument in run::command(stage, run) {
            self.writer.field("argument", argument);
        }
        if let Script::File { content, .. } = run.script() {
            self.writer.field("script", content.as_bytes());
        }
        for (name, value) in stage.scope.environment() {
            self.writer.field(format!("variable {name}"), value);
        }
        self.writer.field("user", &config.user);
        self.writer.field("working directory", stage.working_dir()?.to_string());
        let alone = run.network.as_ref().is_some_and(|network| network.value == Network::None);
        self.writer.field("network", if alone { "none" } else { "" });
        self.writer.field("host name", self.around.engine.hostname());
        for (name, _) in &self.around.engine.options.add_hosts {
            self.writer.field("--add-host", name);
        }
        for path in &self.around.engine.options.ignored_paths {
            self.writer.field("--ignore-path", path.as_bytes());
        }
        for flag in &run.mounts {
            if !self.mount(stage, flag).map_err(|error| located(flag.span, error))? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// False if it shows a stage that is not known.
    fn mount(&mut self, stage: &Stage, flag: &MountFlag) -> Result<bool> {
        let lookup = |name: &str| stage.scope.get(name).map(str::to_owned);
        let target = |written: &str| Ok::<_, Error>(stage.working_dir()?.join_clean(written)?.to_string());
        let number = |number: Option<u32>| number.map_or(String::new(), |number| number.to_string());
        let mut say = |parts: &[&str]| self.writer.field("mount", parts.join("\n"));
        match flag.resolve(self.around.escape, &lookup).map_err(wrong)? {
            dockerfile::Mount::Bind(bind) => {
                let writable = if bind.writable { "writable" } else { "" };
                say(&["bind", &target(&bind.target)?, writable]);
                let from = flag.from.as_ref().filter(|from| !from.value.is_empty());
                return self.shown(from, &bind.source);
            }
            // What is in a cache must not matter, and so its id does not either.
            dockerfile::Mount::Cache(cache) => {
                say(&["cache", &target(&cache.target)?, if cache.read_only { "readonly" } else { "" }]);
            }
            dockerfile::Mount::Tmpfs(tmpfs) => {
                let size = tmpfs.size.map_or(String::new(), |size| size.to_string());
                let read_only = if tmpfs.read_only { "readonly" } else { "" };
                say(&["tmpfs", &target(&tmpfs.target)?, &size, read_only]);
            }
            dockerfile::Mount::Secret(secret) => {
                let target = secret.target.as_deref().map_or(Ok(String::new()), target)?;
                say(&[
                    "secret",
                    &secret.id,
                    &target,
                    secret.env.as_deref().unwrap_or_default(),
                    if secret.required { "required" } else { "" },
                    &number(secret.mode),
                    &number(secret.uid),
                    &number(secret.gid),
                ]);
            }
            dockerfile::Mount::Ssh(ssh) => {
                let target = ssh.target.as_deref().map_or(Ok(String::new()), target)?;
                say(&[
                    "ssh",
                    ssh.id.as_deref().unwrap_or_default(),
                    &target,
                    if ssh.required { "required" } else { "" },
                    &number(ssh.mode),
                    &number(ssh.uid),
                    &number(ssh.gid),
                ]);
            }
        }
        Ok(true)
    }

    /// What a bind mount shows.
    fn shown(&mut self, from: Option<&Spanned<String>>, path: &str) -> Result<bool> {
        let path = TreePath::root().join_clean(path)?;
        if let Some(key) = self.made_elsewhere(from)? {
            let Some(key) = key else { return Ok(false) };
            self.writer.field("from", key.to_bytes());
            self.writer.field("source", path.to_string());
            return Ok(true);
        }
        let engine = self.around.engine;
        let mut of = |source: &dyn Source| all_of(source, &path, engine.options.jobs.get(), &mut self.writer);
        match self.around.place(from)? {
            Place::Directory(source) => of(&*source)?,
            Place::Stage(other) => of(&tree_source(&*other.tree(engine)?))?,
        }
        Ok(true)
    }
}

/// Where sources are put to see what they are.
fn root() -> Destination {
    Destination { path: TreePath::root(), written: "/".to_owned(), is_directory: true }
}

/// A tree of which only hashes are asked for, which it knows.
fn tree_source(tree: &Tree) -> TreeSource<'_> {
    let open = |path: &TreePath| Err(Error::new(format!("{path} is not read to make a key")));
    TreeSource { tree, name: "the stage".to_owned(), open: Box::new(open) }
}

/// Takes what would be in a layer into a key.
struct KeyNodes<'a> {
    writer: &'a mut KeyWriter,
    with_mode: bool,
}

impl Nodes for KeyNodes<'_> {
    fn put(&mut self, path: &TreePath, node: &Node) {
        self.writer.node(b"file", path.as_bytes(), node, self.with_mode);
    }

    fn link(&mut self, path: &TreePath, target: &TreePath) {
        self.writer.pair(b"link", path.as_bytes(), target.as_bytes());
    }
}

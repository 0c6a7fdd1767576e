//! COPY and ADD: from what the Dockerfile says to a plan, and from the plan to a layer.

use std::collections::BTreeSet;
use std::rc::Rc;

use dockerfile::instruction::{Add, Copy, Remote, Source as Written};
use dockerfile::{Heredoc, ModeChange, Word};
use layer::{Tree, TreePath};

use super::refusal::unsupported;
use super::{Place, Surroundings, at, expand, located, warn_unset};
use crate::copy::{Destination, DirectorySource, FoundKind, Look, Plan, Source, TreeSource, extract, select};
use crate::engine::Engine;
use crate::error::{Context, Error, Result};
use crate::event::Event;
use crate::new_layer::NewLayer;
use crate::stage::{Files, Stage};

pub(super) fn copy(around: &mut Surroundings<'_>, stage: &mut Stage, copy: &Copy) -> Result<()> {
    let job = Job::new(around, stage, &copy.sources, &copy.destination, &copy.chown, &copy.chmod)?;
    let history = job.history("COPY");
    let engine = around.engine;
    let mut layer = NewLayer::create(engine)?;
    let tree = stage.tree(engine)?;
    match around.place(copy.from.as_ref())? {
        Place::Directory(source) => {
            let plan = job.plan(engine, &tree, &*source)?;
            engine.timings.measure("copy files", || plan.emit(&mut layer))?;
        }
        Place::Stage(other) => {
            let other_tree = other.tree(engine)?;
            let other = &*other;
            let files = Files::new(other, engine)?;
            let source = TreeSource {
                tree: &other_tree,
                name: copy
                    .from
                    .as_ref()
                    .map_or_else(|| other.name.clone(), |from| format!("{:?}", from.value)),
                open: Box::new(|path| files.open(other, &other_tree, path)),
            };
            let plan = job.plan(engine, &tree, &source)?;
            let wanted: BTreeSet<TreePath> = plan.files().cloned().collect();
            files.prepare(other, engine, &other_tree, &wanted)?;
            engine.timings.measure("copy files", || plan.emit(&mut layer))?;
        }
    }
    engine.finish_layer(stage, layer, history)
}

pub(super) fn add(around: &mut Surroundings<'_>, stage: &mut Stage, add: &Add) -> Result<()> {
    let job = Job::new(around, stage, &add.sources, &add.destination, &add.chown, &add.chmod)?;
    for (word, expanded) in &job.paths {
        match Remote::of(expanded) {
            Some(Remote::Http) => {
                return Err(unsupported("ADD of a URL", word.span)
                    .hint("download the file before the build, or in a RUN"));
            }
            Some(Remote::Git) => return Err(unsupported("ADD of a git repository", word.span)),
            None => {}
        }
    }
    let unpack = add.unpack.as_ref().is_none_or(|flag| flag.value);
    let history = job.history("ADD");
    let engine = around.engine;
    let context = engine.context()?;
    let tree = stage.tree(engine)?;
    let mut layer = NewLayer::create(engine)?;
    engine.timings.measure("copy files", || job.add(engine, tree, &context, unpack, &mut layer))?;
    engine.finish_layer(stage, layer, history)
}

/// What one COPY or ADD says, with its variables replaced.
struct Job<'a> {
    paths: Vec<(&'a Word, String)>,
    heredocs: Vec<(&'a Heredoc, Vec<u8>)>,
    destination: Destination,
    look: Look,
    shown_flags: String,
    /// Where it stands.
    line: usize,
}

impl<'a> Job<'a> {
    fn new(
        around: &Surroundings<'_>,
        stage: &mut Stage,
        sources: &'a [Written],
        destination: &Word,
        chown: &Option<Word>,
        chmod: &Option<Word>,
    ) -> Result<Self> {
        let engine = around.engine;
        let mut shown_flags = String::new();
        let mut look = Look { now: engine.now(), ..Look::default() };
        if let Some(word) = chown {
            let owner = expand(around, stage, word)?;
            if !owner.is_empty() {
                let needs_names =
                    owner.split(':').any(|part| !part.is_empty() && part.parse::<u32>().is_err());
                let accounts = if needs_names { stage.accounts(engine)? } else { Default::default() };
                look.owner = Some(accounts.owner(&owner).map_err(|error| at(word, error))?);
                shown_flags.push_str(&format!("--chown={owner} "));
            }
        }
        if let Some(word) = chmod {
            let mode = expand(around, stage, word)?;
            look.mode =
                Some(ModeChange::parse(&mode).map_err(|error| at(word, Error::new(error.to_string())))?);
            shown_flags.push_str(&format!("--chmod={mode} "));
        }
        let (mut paths, mut heredocs) = (Vec::new(), Vec::new());
        for source in sources {
            match source {
                Written::Path(word) => paths.push((word, expand(around, stage, word)?)),
                Written::Heredoc(heredoc) => {
                    let lookup = |name: &str| stage.scope.get(name).map(str::to_owned);
                    let failed = |text: String| located(heredoc.span, Error::new(text));
                    if !is_file_name(&heredoc.name) {
                        return Err(failed(format!("heredoc name {:?} is no name of a file", heredoc.name))
                            .hint("give the folder in the destination, as in COPY <<name /folder/"));
                    }
                    let content = heredoc.expanded(&lookup).map_err(|error| failed(error.to_string()))?;
                    warn_unset(around, heredoc.span, content.unset);
                    heredocs.push((heredoc, content.text.into_bytes()));
                }
            }
        }
        let written = expand(around, stage, destination)?;
        let working_dir = stage.working_dir()?;
        let tree = stage.tree(engine)?;
        let mut place =
            Destination::new(&tree, &working_dir, &written).map_err(|error| at(destination, error))?;
        if place.written.is_empty() {
            ".".clone_into(&mut place.written);
        }
        Ok(Job { paths, heredocs, destination: place, look, shown_flags, line: destination.span.first_line })
    }

    /// BuildKit's form: of the flags only the owner and the mode are shown, and heredocs come after paths,
    /// which is also the order they are copied in.
    fn history(&self, keyword: &str) -> String {
        let heredocs = self.heredocs.iter().map(|(heredoc, _)| format!("<<{}", heredoc.name));
        let sources: Vec<String> = self.paths.iter().map(|(_, path)| path.clone()).chain(heredocs).collect();
        format!("{keyword} {}{} {} # buildkit", self.shown_flags, sources.join(" "), self.destination.written)
    }

    fn plan<'p>(&self, engine: &Engine, tree: &'p Tree, source: &'p dyn Source) -> Result<Plan<'p>> {
        let mut selected = Vec::new();
        for (word, path) in &self.paths {
            if let Some(remote) = Remote::of(path) {
                let what = match remote {
                    Remote::Http => "a URL",
                    Remote::Git => "a git ref",
                };
                return Err(at(word, Error::new(format!("source can't be {what} for COPY"))));
            }
            let found = self.select(engine, source, word, path)?;
            selected.extend(found.into_iter().map(|path| (*word, path)));
        }
        let mut plan = self.plan_of(tree, source, &selected)?;
        self.plan_heredocs(&mut plan)?;
        self.warn_if_last_wins(engine, &plan);
        Ok(plan)
    }

    /// Brings one source after the other into the layer, archives unpacked if `unpack` says so. Each sees
    /// what those before it have put.
    fn add(
        &self,
        engine: &Engine,
        mut tree: Rc<Tree>,
        context: &DirectorySource,
        unpack: bool,
        layer: &mut NewLayer,
    ) -> Result<()> {
        let mut plain = Vec::new();
        for (word, path) in &self.paths {
            for found in self.select(engine, context, word, path)? {
                let real = context.resolve(&found)?;
                if !(unpack && is_archive(context, &real)?) {
                    plain.push((*word, found));
                    continue;
                }
                let mut plan = self.plan_of(&tree, context, &std::mem::take(&mut plain))?;
                plan.make_directory(&self.destination.path).map_err(|error| at(word, error))?;
                let changes = plan.changes();
                plan.emit(layer)?;
                let tree = Rc::make_mut(&mut tree);
                changes.iter().for_each(|change| tree.change(u32::MAX, change));
                let (owner, now) = (self.look.owner, self.look.now);
                extract(context.open(&real)?, &self.destination.path, owner, now, tree, layer)
                    .map_err(|error| at(word, error.during(&found)))?;
            }
        }
        let mut plan = self.plan_of(&tree, context, &plain)?;
        self.plan_heredocs(&mut plan)?;
        self.warn_if_last_wins(engine, &plan);
        plan.emit(layer)
    }

    /// Plans sources that are selected already.
    fn plan_of<'p>(
        &self,
        tree: &'p Tree,
        source: &'p dyn Source,
        selected: &[(&Word, TreePath)],
    ) -> Result<Plan<'p>> {
        let mut plan = Plan::new(tree, self.look.clone());
        for (word, path) in selected {
            plan.copy(source, path, &self.destination).map_err(|error| at(word, error))?;
        }
        Ok(plan)
    }

    fn select(&self, engine: &Engine, source: &dyn Source, word: &Word, path: &str) -> Result<Vec<TreePath>> {
        let found = select(source, path).map_err(|error| at(word, error))?;
        if found.is_empty() {
            let text = format!("{path:?} matches nothing in {}", source.describe());
            engine.report(Event::Warning { line: Some(word.span.first_line), text });
        }
        Ok(found)
    }

    fn plan_heredocs(&self, plan: &mut Plan<'_>) -> Result<()> {
        for (heredoc, content) in &self.heredocs {
            plan.write(heredoc.name.as_bytes(), content.clone(), &self.destination)
                .map_err(|error| located(heredoc.span, error))?;
        }
        Ok(())
    }

    fn warn_if_last_wins(&self, engine: &Engine, plan: &Plan<'_>) {
        if plan.last_wins() {
            let written = &self.destination.written;
            let text = format!(
                "several sources are copied to {written:?}, which is no directory: the last one wins; end it \
                 with a slash"
            );
            engine.report(Event::Warning { line: Some(self.line), text });
        }
    }
}

/// True for a regular file that ADD unpacks.
fn is_archive(context: &DirectorySource, path: &TreePath) -> Result<bool> {
    let is_file = context.get(path)?.is_some_and(|found| matches!(found.kind, FoundKind::File { .. }));
    Ok(is_file && layer::is_archive(context.open(path)?).during(path)?)
}

/// True for one part of a path.
fn is_file_name(name: &str) -> bool {
    !name.contains('/') && TreePath::new(name).is_ok_and(|path| !path.is_root())
}

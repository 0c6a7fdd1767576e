//! COPY and ADD: from what the Dockerfile says to a plan, and from the plan to a layer.

use std::collections::BTreeSet;

use dockerfile::graph::Origin;
use dockerfile::instruction::{Add, Copy, Remote, Source as Written};
use dockerfile::{Heredoc, ModeChange, Word};
use layer::TreePath;

use super::refusal::unsupported;
use super::{Surroundings, at, expand};
use crate::copy::{ContextSource, Destination, FoundKind, Look, Plan, Source, TreeSource, extract, select};
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
    match &copy.from {
        None => {
            let context = engine.context()?;
            let plan = job.plan(engine, &tree, context)?;
            engine.timings.measure("copy files", || plan.emit(&mut layer))?;
        }
        Some(from) => {
            let line = from.span.first_line..=from.span.last_line;
            let origin = around.origin.clone().unwrap_or(Origin::Scratch);
            let other = around.sources.get(engine, &origin).map_err(|error| error.lines(line))?;
            let other_tree = other.tree(engine)?;
            let other = &*other;
            let files = Files::new(other, engine)?;
            let source = TreeSource {
                tree: &other_tree,
                name: format!("{:?}", from.value),
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
    let history = job.history("ADD");
    let engine = around.engine;
    let context = engine.context()?;
    let tree = stage.tree(engine)?;
    let mut layer = NewLayer::create(engine)?;
    let (plan, archives) = job.plan_with_archives(engine, &tree, context)?;
    engine.timings.measure("copy files", || {
        // Archives come after plain files, and see what those have put.
        if archives.is_empty() {
            return plan.emit(&mut layer);
        }
        let mut beneath = (*tree).clone();
        plan.foresee(&mut beneath);
        plan.emit(&mut layer)?;
        for path in archives {
            let archive = context.open(&path)?;
            let destination = beneath.resolve(&job.destination.path, true)?.path;
            extract(archive, &destination, job.look.owner, engine.now(), &mut beneath, &mut layer)
                .map_err(|error| error.during(&path))?;
        }
        Ok::<_, Error>(())
    })?;
    engine.finish_layer(stage, layer, history)
}

/// What one COPY or ADD says, with its variables replaced.
struct Job<'a> {
    paths: Vec<(&'a Word, String)>,
    heredocs: Vec<(&'a Heredoc, Vec<u8>)>,
    destination: Destination,
    look: Look,
    shown_flags: String,
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
            let needs_names = owner.split(':').any(|part| !part.is_empty() && part.parse::<u32>().is_err());
            let accounts = if needs_names { stage.accounts(engine)? } else { Default::default() };
            look.owner = Some(accounts.owner(&owner).map_err(|error| at(word, error))?);
            shown_flags.push_str(&format!("--chown={owner} "));
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
                    let lines = heredoc.span.first_line..=heredoc.span.last_line;
                    let content = heredoc
                        .expanded(&lookup)
                        .map_err(|error| Error::new(error.to_string()).lines(lines))?;
                    heredocs.push((heredoc, content.text.into_bytes()));
                }
            }
        }
        let written = expand(around, stage, destination)?;
        let working_dir = stage.working_dir()?;
        let tree = stage.tree(engine)?;
        let mut place =
            Destination::new(&tree, &working_dir, &written).map_err(|error| at(destination, error))?;
        if sources.len() > 1 && !place.is_directory {
            engine.report(Event::Warning {
                line: Some(destination.span.first_line),
                text: format!("several sources are copied to {written:?}, which is no directory: the last one wins; end it with a slash"),
            });
        }
        if place.written.is_empty() {
            ".".clone_into(&mut place.written);
        }
        Ok(Job { paths, heredocs, destination: place, look, shown_flags })
    }

    /// BuildKit's form: of the flags only the owner and the mode are shown.
    fn history(&self, keyword: &str) -> String {
        let heredocs = self.heredocs.iter().map(|(heredoc, _)| format!("<<{}", heredoc.name));
        let sources: Vec<String> = self.paths.iter().map(|(_, path)| path.clone()).chain(heredocs).collect();
        format!("{keyword} {}{} {} # buildkit", self.shown_flags, sources.join(" "), self.destination.written)
    }

    fn plan<'p>(&self, engine: &Engine, tree: &'p layer::Tree, source: &'p dyn Source) -> Result<Plan<'p>> {
        let mut plan = Plan::new(tree, self.look.clone());
        for (word, path) in &self.paths {
            if let Some(remote) = Remote::of(path) {
                let what = match remote {
                    Remote::Http => "a URL",
                    Remote::Git => "a git ref",
                };
                return Err(at(word, Error::new(format!("source can't be {what} for COPY"))));
            }
            for found in self.select(engine, source, word, path)? {
                plan.copy(source, &found, &self.destination).map_err(|error| at(word, error))?;
            }
        }
        self.plan_heredocs(&mut plan)?;
        Ok(plan)
    }

    /// As [`Job::plan`], with the archives among the sources apart.
    fn plan_with_archives<'p>(
        &self,
        engine: &Engine,
        tree: &'p layer::Tree,
        context: &'p ContextSource,
    ) -> Result<(Plan<'p>, Vec<TreePath>)> {
        let mut plan = Plan::new(tree, self.look.clone());
        let mut archives = Vec::new();
        for (word, path) in &self.paths {
            for found in self.select(engine, context, word, path)? {
                let real = context.resolve(&found)?;
                let is_file =
                    context.get(&real)?.is_some_and(|found| matches!(found.kind, FoundKind::File { .. }));
                if is_file && layer::is_archive(context.open(&real)?).during(&real)? {
                    plan.make_directory(&self.destination.path).map_err(|error| at(word, error))?;
                    archives.push(real);
                } else {
                    plan.copy(context, &found, &self.destination).map_err(|error| at(word, error))?;
                }
            }
        }
        self.plan_heredocs(&mut plan)?;
        Ok((plan, archives))
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
            let path = self.destination.of_file(heredoc.name.as_bytes());
            plan.write(path, content.clone())
                .map_err(|error| error.lines(heredoc.span.first_line..=heredoc.span.last_line))?;
        }
        Ok(())
    }
}

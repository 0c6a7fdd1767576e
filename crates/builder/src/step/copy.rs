//! COPY and ADD: from what the Dockerfile says to a plan, and from the plan to a layer.

use std::collections::BTreeSet;
use std::sync::Arc;

use dockerfile::instruction::{Add, Copy, Remote, Source as Written};
use dockerfile::{GitUrl, Heredoc, Ignore, Literal, ModeChange, Span, Word};
use download::{Checksum, ChecksumError};
use layer::{Change, Tree, TreePath};

use super::{Surroundings, at, expand, located};
use crate::copy::{
    Destination, DirectorySource, Extraction, FileSource, FoundKind, Look, Plan, Source, THIS_LAYER,
    TreeSource, select,
};
use crate::engine::Engine;
use crate::error::{Context, Error, Result};
use crate::event::Warning;
use crate::new_layer::NewLayer;
use crate::remote::without_credentials;
use crate::sources::Place;
use crate::stage::{Files, Stage};

pub(super) fn copy(around: &Surroundings<'_>, stage: &mut Stage, copy: &Copy) -> Result<()> {
    let terms = Terms::of_copy(around, stage, copy)?;
    let history = terms.history();
    terms.refuse_remotes()?;
    let engine = around.engine;
    let job = Job::new(engine, stage, terms)?;
    let mut layer = NewLayer::create(engine, stage.image.form())?;
    let ground = Ground::new(stage.tree(engine)?, job.terms.link);
    match around.place(copy.from.as_ref())? {
        Place::Directory(source) => {
            let plan = job.plan(engine, &ground, &*source)?;
            engine.timings.measure("copy files", || plan.emit(&mut layer))?;
        }
        Place::Stage(other) => {
            let other_tree = other.tree(engine)?;
            let other = &*other.read();
            let files = Files::new(other, engine)?;
            let source = TreeSource {
                tree: &other_tree,
                name: copy
                    .from
                    .as_ref()
                    .map_or_else(|| other.name.clone(), |from| format!("{:?}", from.value)),
                open: Box::new(|path| files.open(other, &other_tree, path)),
            };
            let plan = job.plan(engine, &ground, &source)?;
            let wanted: BTreeSet<TreePath> = plan.files().cloned().collect();
            files.prepare(other, engine, &other_tree, &wanted)?;
            engine.timings.measure("copy files", || plan.emit(&mut layer))?;
        }
    }
    engine.finish_layer(stage, layer, history)
}

pub(super) fn add(around: &Surroundings<'_>, stage: &mut Stage, add: &Add) -> Result<()> {
    let terms = Terms::of_add(around, stage, add)?;
    let history = terms.history();
    let engine = around.engine;
    let sources = terms.fetch(around, stage, add)?;
    let job = Job::new(engine, stage, terms)?;
    let context = engine.context()?;
    let parts = job.parts(engine, &sources, &*context, add.unpack.as_ref().map(|flag| flag.value))?;
    let ground = Ground::new(stage.tree(engine)?, job.terms.link);
    let mut layer = NewLayer::create(engine, stage.image.form())?;
    engine.timings.measure("copy files", || job.add(engine, stage, ground, &parts, &mut layer))?;
    engine.finish_layer(stage, layer, history)
}

/// A source of ADD.
pub(crate) enum Added {
    /// A path or a pattern in the build context.
    Context,
    /// A file that was downloaded.
    File(FileSource),
    /// A repository, or a directory of one.
    Checkout(Arc<DirectorySource>),
}

/// One thing that ADD brings.
struct Part<'s> {
    word: &'s Word,
    source: &'s dyn Source,
    path: TreePath,
    /// What an archive holds is meant, and not the archive.
    unpack: bool,
}

/// The flags that COPY and ADD share, as they are written.
struct Flags<'a> {
    chown: Option<&'a Word>,
    chmod: Option<&'a Word>,
    link: bool,
    parents: bool,
    exclude: &'a [Literal],
}

/// What a layer comes to lie on.
struct Ground {
    /// What its entries are planned for: the stage's tree or, for `--link`, an empty one.
    tree: Arc<Tree>,
    /// The stage's tree, for `--link`.
    base: Option<Arc<Tree>>,
}

impl Ground {
    fn new(tree: Arc<Tree>, link: bool) -> Self {
        if link {
            Ground { tree: Arc::new(Tree::new()), base: Some(tree) }
        } else {
            Ground { tree, base: None }
        }
    }
}

/// What one COPY or ADD says, with its variables replaced. Nothing of the stage's files is looked at for it.
pub(super) struct Terms<'a> {
    keyword: &'static str,
    pub(super) paths: Vec<(&'a Word, String)>,
    pub(super) heredocs: Vec<(&'a Heredoc, Vec<u8>)>,
    pub(super) destination: (&'a Word, String),
    pub(super) chown: Option<(&'a Word, String)>,
    pub(super) chmod: Option<(String, ModeChange)>,
    pub(super) link: bool,
    pub(super) parents: bool,
    pub(super) exclude: Ignore,
    /// The same as it is written.
    pub(super) exclude_patterns: Vec<&'a str>,
    shown_flags: String,
}

/// One COPY or ADD on the stage it stands in.
struct Job<'a> {
    terms: Terms<'a>,
    destination: Destination,
    look: Look,
    /// Where it stands.
    span: Span,
}

impl<'a> Terms<'a> {
    pub(super) fn of_copy(around: &Surroundings<'_>, stage: &Stage, copy: &'a Copy) -> Result<Self> {
        let flags = Flags {
            chown: copy.chown.as_ref(),
            chmod: copy.chmod.as_ref(),
            link: copy.link.as_ref().is_some_and(|flag| flag.value),
            parents: copy.parents.as_ref().is_some_and(|flag| flag.value),
            exclude: &copy.exclude,
        };
        Self::new("COPY", around, stage, (&copy.sources, &copy.destination), &flags)
    }

    pub(super) fn of_add(around: &Surroundings<'_>, stage: &Stage, add: &'a Add) -> Result<Self> {
        let flags = Flags {
            chown: add.chown.as_ref(),
            chmod: add.chmod.as_ref(),
            link: add.link.as_ref().is_some_and(|flag| flag.value),
            parents: false,
            exclude: &add.exclude,
        };
        Self::new("ADD", around, stage, (&add.sources, &add.destination), &flags)
    }

    fn new(
        keyword: &'static str,
        around: &Surroundings<'_>,
        stage: &Stage,
        (sources, destination): (&'a [Written], &'a Word),
        flags: &Flags<'a>,
    ) -> Result<Self> {
        for (flag, word) in [("--chown", flags.chown), ("--chmod", flags.chmod)] {
            if let Some(word) = word.filter(|_| stage.image.is_for_windows()) {
                let text = format!("{flag} says nothing to Windows, which this stage is for");
                return Err(at(word, Error::new(text))
                    .hint("files belong to administrators there, and users may read and execute them"));
            }
        }
        let mut shown_flags = String::new();
        if flags.parents {
            shown_flags.push_str("--parents ");
        }
        let mut chown = None;
        if let Some(word) = flags.chown {
            let owner = expand(around, stage, word)?;
            if !owner.is_empty() {
                shown_flags.push_str(&format!("--chown={owner} "));
                chown = Some((word, owner));
            }
        }
        let mut chmod = None;
        if let Some(word) = flags.chmod {
            let mode = expand(around, stage, word)?;
            let change = ModeChange::parse(&mode).map_err(|error| at(word, Error::new(error.to_string())))?;
            shown_flags.push_str(&format!("--chmod={mode} "));
            chmod = Some((mode, change));
        }
        let exclude_patterns: Vec<&str> =
            flags.exclude.iter().map(|pattern| pattern.value.as_str()).collect();
        let exclude = Ignore::from_patterns(exclude_patterns.iter().copied()).map_err(|error| {
            let culprit = &flags.exclude[error.line - 1];
            located(culprit.span, Error::new(format!("--exclude={}: {}", culprit.value, error.reason)))
        })?;
        let (mut paths, mut heredocs) = (Vec::new(), Vec::new());
        for source in sources {
            match source {
                Written::Path(word) => {
                    let path = expand(around, stage, word)?;
                    let is_here = Remote::of(&path).is_none();
                    let path = if is_here { stage.path(path) } else { Ok(path) };
                    paths.push((word, path.map_err(|error| at(word, error))?));
                }
                Written::Heredoc(heredoc) => {
                    let lookup = |name: &str| stage.scope.get(name).map(str::to_owned);
                    let failed = |text: String| located(heredoc.span, Error::new(text));
                    if !is_file_name(&heredoc.name) {
                        return Err(failed(format!("heredoc name {:?} is no name of a file", heredoc.name))
                            .hint("give the folder in the destination, as in COPY <<name /folder/"));
                    }
                    let content = heredoc.expanded(&lookup).map_err(|error| failed(error.to_string()))?;
                    heredocs.push((heredoc, content.text.into_bytes()));
                }
            }
        }
        let written = stage.path(expand(around, stage, destination)?);
        let written = written.map_err(|error| at(destination, error))?;
        Ok(Terms {
            keyword,
            paths,
            heredocs,
            destination: (destination, written),
            chown,
            chmod,
            link: flags.link,
            parents: flags.parents,
            exclude,
            exclude_patterns,
            shown_flags,
        })
    }

    /// BuildKit's form: of the flags only the owner and the mode are shown, and heredocs come after paths,
    /// which is also the order they are copied in.
    pub(super) fn history(&self) -> String {
        let heredocs = self.heredocs.iter().map(|(heredoc, _)| format!("<<{}", heredoc.name));
        let paths = self.paths.iter().map(|(_, path)| without_credentials(path));
        let sources: Vec<String> = paths.chain(heredocs).collect();
        let to = if self.destination.1.is_empty() { "." } else { &self.destination.1 };
        format!("{} {}{} {to} # buildkit", self.keyword, self.shown_flags, sources.join(" "))
    }

    /// COPY takes nothing from a network.
    pub(super) fn refuse_remotes(&self) -> Result<()> {
        for (word, path) in &self.paths {
            let what = match Remote::of(path) {
                Some(Remote::Http) => "a URL",
                Some(Remote::Git) => "a git ref",
                None => continue,
            };
            return Err(at(word, Error::new(format!("source can't be {what} for COPY"))));
        }
        Ok(())
    }

    /// Brings what is not in the context, each source in its place.
    /// That is done once for each instruction.
    pub(super) fn fetch(&self, around: &Surroundings<'_>, stage: &Stage, add: &Add) -> Result<Arc<[Added]>> {
        let engine = around.engine;
        let key = (around.number, self.destination.0.span, self.history());
        if let Some(known) = engine.added(&key) {
            return Ok(known);
        }
        if let Some(word) = &add.checksum {
            if self.paths.len() != 1 {
                return Err(at(word, Error::new("checksum can't be specified for multiple sources")));
            }
            if self.paths.iter().all(|(_, path)| Remote::of(path).is_none()) {
                return Err(at(word, Error::new("checksum requires HTTP(S) or Git sources")));
            }
        }
        if let Some(flag) = add.keep_git_dir.as_ref().filter(|flag| flag.value)
            && self.paths.iter().all(|(_, path)| Remote::of(path) != Some(Remote::Git))
        {
            let text = "--keep-git-dir is without effect: no source is a git repository";
            engine.report(Warning::new(text).at(flag.span).into());
        }
        let mut sources = Vec::with_capacity(self.paths.len());
        for (word, path) in &self.paths {
            sources.push(match Remote::of(path) {
                None => Added::Context,
                Some(Remote::Git) => {
                    let url =
                        self.git_url(around, stage, add, (word, path)).map_err(|error| at(word, error))?;
                    Added::Checkout(engine.checkout(&url).map_err(|error| at(word, error))?)
                }
                Some(Remote::Http) => {
                    let checksum = match &add.checksum {
                        Some(word) => Some(checksum(&expand(around, stage, word)?).map_err(|e| at(word, e))?),
                        None => None,
                    };
                    let download = || engine.download(path, checksum);
                    let file =
                        engine.timings.measure("download", download).map_err(|error| at(word, error))?;
                    Added::File(file)
                }
            });
        }
        Ok(engine.keep_added(key, sources.into()))
    }

    /// A git URL, with what the flags say of it.
    fn git_url(
        &self,
        around: &Surroundings<'_>,
        stage: &Stage,
        add: &Add,
        (word, path): (&Word, &str),
    ) -> Result<GitUrl> {
        let url = GitUrl::parse(path).map_err(|error| {
            let shown = format!("{:?}", without_credentials(path));
            Error::new(error.to_string().replace(&format!("{path:?}"), &shown))
        })?;
        let mut url = url.ok_or_else(|| Error::new("the source is no git URL"))?;
        if let Some(flag) = &add.keep_git_dir {
            if url.keep_git_dir.is_some_and(|said| said != flag.value) {
                return Err(Error::new("inconsistent keep-git-dir configuration"));
            }
            url.keep_git_dir = Some(flag.value);
        }
        if let Some(flag) = &add.checksum {
            let checksum = expand(around, stage, flag)?;
            if let Some(said) = url.checksum.as_ref().filter(|said| !said.eq_ignore_ascii_case(&checksum)) {
                return Err(Error::new(format!("checksum mismatch {checksum:?} != {said:?}")));
            }
            url.checksum = Some(checksum);
        }
        if let Some(subdirectory) = url.subdirectory.as_ref().filter(|_| url.keep_git_dir == Some(true)) {
            let text =
                format!("keep-git-dir is without effect: of the repository, only {subdirectory:?} is added");
            around.engine.report(Warning::new(text).at(word.span).into());
        }
        Ok(url)
    }
}

impl<'a> Job<'a> {
    fn new(engine: &Engine, stage: &mut Stage, terms: Terms<'a>) -> Result<Self> {
        let mut look = Look { now: engine.now(), ..Look::default() };
        if let Some((word, owner)) = &terms.chown {
            let needs_names = owner.split(':').any(|part| !part.is_empty() && part.parse::<u32>().is_err());
            let accounts = if needs_names { stage.accounts(engine)? } else { Default::default() };
            look.owner = Some(accounts.owner(owner).map_err(|error| at(word, error))?);
        }
        look.mode = terms.chmod.as_ref().map(|(_, change)| change.clone());
        let (destination, written) = &terms.destination;
        let working_dir = stage.working_dir()?;
        // With --link, nothing of the stage is looked at.
        let tree = if terms.link { Arc::new(Tree::new()) } else { stage.tree(engine)? };
        let mut place =
            Destination::new(&tree, &working_dir, written).map_err(|error| at(destination, error))?;
        if place.written.is_empty() {
            ".".clone_into(&mut place.written);
        }
        Ok(Job { destination: place, look, span: destination.span, terms })
    }

    fn plan<'p>(&'p self, engine: &Engine, ground: &'p Ground, source: &'p dyn Source) -> Result<Plan<'p>> {
        let mut plan = self.empty_plan(&ground.tree, ground.base.as_deref());
        for (word, path) in &self.terms.paths {
            let plan = &mut plan;
            if self.terms.parents {
                let any = plan.copy_with_parents(source, path, &self.destination);
                if !any.map_err(|error| at(word, error))? {
                    self.warn_of_nothing(engine, word, path, source);
                }
                continue;
            }
            for found in self.select(engine, source, word, path)? {
                plan.copy(source, &found, &self.destination).map_err(|error| at(word, error))?;
            }
        }
        self.plan_heredocs(&mut plan)?;
        self.warn(engine, &plan);
        Ok(plan)
    }

    fn empty_plan<'p>(&'p self, tree: &'p Tree, base: Option<&'p Tree>) -> Plan<'p> {
        Plan::new(tree, self.look.clone(), &self.terms.exclude).linked_onto(base)
    }

    /// What the sources come to. `unpack` is what the flag says: without it, archives of the context are
    /// unpacked, and downloaded ones are not.
    fn parts<'s>(
        &'s self,
        engine: &Engine,
        sources: &'s [Added],
        context: &'s dyn Source,
        unpack: Option<bool>,
    ) -> Result<Vec<Part<'s>>> {
        let mut parts = Vec::new();
        for ((word, written), added) in self.terms.paths.iter().zip(sources) {
            match added {
                Added::Context => {
                    for path in self.select(engine, context, word, written)? {
                        parts.push(Part { word, source: context, path, unpack: unpack.unwrap_or(true) });
                    }
                }
                Added::File(file) => {
                    let path = file.name.clone();
                    parts.push(Part { word, source: file, path, unpack: unpack.unwrap_or(false) });
                }
                Added::Checkout(directory) => {
                    parts.push(Part { word, source: &**directory, path: TreePath::root(), unpack: false });
                }
            }
        }
        Ok(parts)
    }

    /// Brings one part after the other into the layer. Each sees what those before it have put.
    fn add(
        &self,
        engine: &Engine,
        stage: &Stage,
        ground: Ground,
        parts: &[Part<'_>],
        layer: &mut NewLayer,
    ) -> Result<()> {
        let Ground { mut tree, base } = ground;
        let base = base.as_deref();
        let before = tree.clone();
        let open = |path: &TreePath| {
            let files = Files::new(stage, engine)?;
            files.prepare(stage, engine, &before, &BTreeSet::from([path.clone()]))?;
            files.open(stage, &before, path)
        };
        let mut plain = 0;
        for (number, part) in parts.iter().enumerate() {
            let real = part.source.resolve(&part.path)?;
            if !(part.unpack && is_archive(part.source, &real)?) {
                continue;
            }
            self.warn_of_archive(engine, part);
            let plan = self.plan_of(&tree, base, &parts[plain..number])?;
            plain = number + 1;
            let changes = self.put(engine, plan, layer)?;
            note(&mut tree, &changes);
            // The directory that is unpacked into is 0755, whatever --chmod says.
            let look = Look { mode: None, ..self.look.clone() };
            let mut plan = Plan::new(&tree, look, &self.terms.exclude).linked_onto(base);
            plan.make_directory(&self.destination.path).map_err(|error| at(part.word, error))?;
            let changes = self.put(engine, plan, layer)?;
            note(&mut tree, &changes);
            let mut extraction = Extraction {
                destination: &self.destination.path,
                owner: self.look.owner,
                now: self.look.now,
                tree: Arc::make_mut(&mut tree),
                base,
                open: &open,
                sink: layer,
            };
            extraction
                .extract(part.source.open(&real)?)
                .map_err(|error| at(part.word, error.during(&part.path)))?;
        }
        let mut plan = self.plan_of(&tree, base, &parts[plain..])?;
        self.plan_heredocs(&mut plan)?;
        self.put(engine, plan, layer).map(drop)
    }

    /// Streams a plan into the layer, and says what it changes.
    fn put(&self, engine: &Engine, plan: Plan<'_>, layer: &mut NewLayer) -> Result<Vec<Change>> {
        self.warn(engine, &plan);
        let changes = plan.changes();
        plan.emit(layer)?;
        Ok(changes)
    }

    /// Plans parts that are not unpacked.
    fn plan_of<'p>(&'p self, tree: &'p Tree, base: Option<&'p Tree>, parts: &[Part<'p>]) -> Result<Plan<'p>> {
        let mut plan = self.empty_plan(tree, base);
        for part in parts {
            let copied = plan.copy(part.source, &part.path, &self.destination);
            copied.map_err(|error| at(part.word, error))?;
        }
        Ok(plan)
    }

    fn select(&self, engine: &Engine, source: &dyn Source, word: &Word, path: &str) -> Result<Vec<TreePath>> {
        let found = select(source, path, &self.terms.exclude).map_err(|error| at(word, error))?;
        if found.is_empty() {
            self.warn_of_nothing(engine, word, path, source);
        }
        Ok(found)
    }

    fn warn_of_nothing(&self, engine: &Engine, word: &Word, path: &str, source: &dyn Source) {
        let or_excluded =
            if self.terms.exclude.is_empty() { "" } else { " that --exclude does not leave out" };
        let text = format!("{path:?} matches nothing in {}{or_excluded}", source.describe());
        engine.report(Warning::new(text).at(word.span).into());
    }

    /// What an archive holds is as the archive says.
    fn warn_of_archive(&self, engine: &Engine, part: &Part<'_>) {
        for (flag, is_given) in
            [("--chmod", self.look.mode.is_some()), ("--exclude", !self.terms.exclude.is_empty())]
        {
            if is_given {
                let text = format!("{flag} does not concern what is unpacked from {}", part.path);
                engine.report(Warning::new(text).at(part.word.span).into());
            }
        }
    }

    fn plan_heredocs(&self, plan: &mut Plan<'_>) -> Result<()> {
        for (heredoc, content) in &self.terms.heredocs {
            plan.write(heredoc.name.as_bytes(), content.clone(), &self.destination)
                .map_err(|error| located(heredoc.span, error))?;
        }
        Ok(())
    }

    /// Tells what the author may not have meant.
    fn warn(&self, engine: &Engine, plan: &Plan<'_>) {
        let written = &self.destination.written;
        if plan.last_wins() {
            let text = format!(
                "several sources are copied to {written:?}, which is no directory: the last one wins; end it \
                 with a slash"
            );
            engine.report(Warning::new(text).at(self.span).into());
        }
        for (path, what) in plan.replaced() {
            let text = format!("--link does not look at what is there: the {what} {path} is replaced");
            engine.report(Warning::new(text).at(self.span).into());
        }
    }
}

/// Keeps a tree in step with the layer that is being made.
fn note(tree: &mut Arc<Tree>, changes: &[Change]) {
    let tree = Arc::make_mut(tree);
    changes.iter().for_each(|change| tree.change(THIS_LAYER, change));
}

/// True for a regular file that ADD unpacks.
fn is_archive(source: &dyn Source, path: &TreePath) -> Result<bool> {
    let is_file = source.get(path)?.is_some_and(|found| matches!(found.kind, FoundKind::File { .. }));
    Ok(is_file && layer::is_archive(source.open(path)?).during(path)?)
}

/// What `--checksum` says of a download.
fn checksum(text: &str) -> Result<Checksum> {
    text.parse().map_err(|error: ChecksumError| Error::new(error.to_string()))
}

/// True for one part of a path.
pub(super) fn is_file_name(name: &str) -> bool {
    !name.contains('/') && TreePath::new(name).is_ok_and(|path| !path.is_root())
}

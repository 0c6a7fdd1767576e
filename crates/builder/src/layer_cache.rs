//! The cache of a build: which repositories it asks, what they had, and which of it is not to be used.
//!
//! Nothing that is wrong with a cache ends a build. What fails is told once, and done without from then on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cache::{
    Domain, Key, Location, Record, Repository, RepositoryError, SigningKey, VerifyingKey, parse_indexes,
};
use dockerfile::did_you_mean;
use layer::LayerIndex;
use oci::{Descriptor, DiffId, Digest, Manifest, Raw};
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use crate::cache_writer::CacheWriter;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::event::{Event, Report, Warning};
use crate::explain::{self, Told};
use crate::image::Layer;
use crate::once::lock;
use crate::options::Options;
use crate::step::StepKey;

/// How results of steps are kept between builds.
#[derive(Debug, Clone)]
pub struct CacheOptions {
    /// Where to look, the first first.
    pub from: Vec<Location>,
    /// Where to keep what is made.
    pub to: Vec<Location>,
    /// How long a result is used after it was last found useful; `None` for ever.
    pub ttl: Option<Duration>,
    /// Keep what COPY and ADD make.
    pub copy_layers: bool,
    /// Keep what RUN makes.
    pub run_layers: bool,
    /// Stages whose results are made anew, by name or number.
    pub no_cache: NoCache,
    /// What time it is, in seconds since 1970.
    pub clock: i64,
    /// What is kept is signed with this.
    pub sign: Option<Arc<SigningKey>>,
    /// Only what is signed with the key that belongs to this one is used.
    pub verify: Option<VerifyingKey>,
}

/// What is made anew although a cache may have it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum NoCache {
    /// Nothing.
    #[default]
    Nothing,
    /// Stages, by name or number.
    Stages(Vec<String>),
    /// Everything.
    Everything,
}

/// No layer has so large an index, compressed: some million files.
const INDEX_LIMIT: u64 = 32 << 20;

/// What builds leave to be compared with, compressed: some hundred thousand files.
pub const INPUTS_LIMIT: u64 = 16 << 20;

/// A record that was found, and where.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) record: Record,
    /// The record as it is kept.
    pub(crate) manifest: Manifest,
    pub(crate) repository: Arc<Repository>,
}

/// The cache of one build.
pub(crate) struct LayerCache<'a> {
    options: &'a CacheOptions,
    sources: Vec<Source>,
    writer: Mutex<Option<CacheWriter>>,
    /// Blobs that turned out to be missing or damaged.
    distrusted: Mutex<BTreeSet<Digest>>,
    /// Indexes of layers that a cache has.
    indexes: Mutex<BTreeMap<DiffId, (Arc<Repository>, Descriptor)>>,
    /// Lists of indexes that were asked for.
    asked: Mutex<BTreeSet<Key>>,
}

struct Source {
    repository: Arc<Repository>,
    /// It has failed, and is not asked any more.
    has_failed: AtomicBool,
    /// It has something that is not signed as it has to be.
    has_refused: AtomicBool,
}

impl<'a> LayerCache<'a> {
    /// Opens what the options name. What cannot be opened is told, and done without.
    pub(crate) fn open(build: &Options, options: &'a CacheOptions, runtime: &Handle) -> Self {
        let open = |location: &Location, write| match Repository::open(
            location.clone(),
            build.client.clone(),
            write,
        ) {
            Ok(repository) => Some(Arc::new(repository)),
            Err(error) => {
                warn(&*build.report, location, &error, write);
                None
            }
        };
        let targets: Vec<Arc<Repository>> =
            options.to.iter().filter_map(|location| open(location, true)).collect();
        let known =
            |location: &Location| targets.iter().find(|target| target.location() == location).cloned();
        let sources =
            options.from.iter().filter_map(|location| known(location).or_else(|| open(location, false)));
        let sources = sources
            .map(|repository| Source {
                repository,
                has_failed: AtomicBool::new(false),
                has_refused: AtomicBool::new(false),
            })
            .collect();
        let writer = CacheWriter::start(targets, runtime, build.report.clone(), options);
        LayerCache {
            options,
            sources,
            writer: Mutex::new(Some(writer)),
            distrusted: Mutex::default(),
            indexes: Mutex::default(),
            asked: Mutex::default(),
        }
    }

    pub(crate) fn options(&self) -> &CacheOptions {
        self.options
    }

    /// Says of stages that are to be built anew and are none what they are; `names` are the stages that there are.
    pub(crate) fn tell_unknown_stages(&self, report: &dyn Report, names: &[&str]) {
        let NoCache::Stages(stages) = &self.options.no_cache else { return };
        // A second attempt need not say it again.
        if !lock(&self.distrusted).is_empty() {
            return;
        }
        for stage in stages {
            let is_number = stage.parse::<usize>().is_ok_and(|number| number < names.len());
            if is_number || names.iter().any(|name| name.eq_ignore_ascii_case(stage)) {
                continue;
            }
            let meant = did_you_mean(stage, names.iter().copied());
            let hint = meant.map_or(String::new(), |meant| format!(" (did you mean {meant}?)"));
            let text = format!("--no-cache-filter {stage}: no stage is called so{hint}");
            report.event(Warning::new(text).into());
        }
    }

    /// True if a stage is to be built anew.
    pub(crate) fn leaves_out(&self, name: &str, number: usize) -> bool {
        match &self.options.no_cache {
            NoCache::Nothing => false,
            NoCache::Everything => true,
            NoCache::Stages(stages) => {
                stages.iter().any(|stage| stage.eq_ignore_ascii_case(name) || *stage == number.to_string())
            }
        }
    }

    /// Asks every repository for every tag, all at once. For each tag, the first repository that has a record of
    /// use wins.
    pub(crate) fn records(&self, engine: &Engine<'_>, tags: &[String]) -> Result<BTreeMap<String, Found>> {
        let mut found: BTreeMap<String, Found> = BTreeMap::new();
        let answers = self.manifests(engine, tags)?;
        let have: BTreeSet<(String, usize)> =
            answers.iter().map(|(source, tag, _)| (tag.clone(), *source)).collect();
        for (source, tag, manifest) in answers {
            let repository = &self.sources[source].repository;
            let record = match Record::parse(manifest.value()) {
                Ok(record) => record,
                Err(error) => {
                    engine.report(Event::Note(format!("{}:{tag}: {error}", repository.location())));
                    continue;
                }
            };
            if !self.is_usable(&record) {
                continue;
            }
            self.know_indexes(repository, &record);
            let repository = repository.clone();
            let is_first = !found.contains_key(&tag);
            let found = found.entry(tag.clone()).or_insert_with(|| {
                let manifest = manifest.into_value();
                Found { record, manifest, repository }
            });
            if is_first && let Some(writer) = &*lock(&self.writer) {
                let has = |target: &Location| {
                    let of = |source: &Source| source.repository.location() == target;
                    self.sources
                        .iter()
                        .position(of)
                        .is_some_and(|source| have.contains(&(tag.clone(), source)))
                };
                writer.found(found, &tag, self.options, has);
            }
        }
        Ok(found)
    }

    /// What the last build that has made something was made of, if that is known.
    pub(crate) fn earlier(&self, engine: &Engine<'_>, key: Key) -> Result<Option<Vec<Told>>> {
        for (source, _, manifest) in self.manifests(engine, &[key.tag(Domain::Build)])? {
            let Some(blob) = manifest.value().layers.first().cloned() else { continue };
            let repository = self.sources[source].repository.clone();
            let bytes = engine.unless_ended(async move { repository.blob(&blob, INPUTS_LIMIT).await })?;
            if let Some(steps) = bytes.ok().and_then(|bytes| explain::decode(&bytes)) {
                return Ok(Some(steps));
            }
        }
        Ok(None)
    }

    /// Leaves what this build was made of, for those who want to know why a later one is different.
    pub(crate) fn keep_inputs(&self, key: Key, steps: &[Told]) -> Result<()> {
        if let Some(writer) = &*lock(&self.writer) {
            writer.inputs(explain::encode(steps)?, key.tag(Domain::Build));
        }
        Ok(())
    }

    /// One record, by the content of what it was made on.
    pub(crate) fn by_content(&self, engine: &Engine<'_>, key: Key) -> Result<Option<Found>> {
        let tag = key.tag(Domain::Content);
        Ok(self.records(engine, std::slice::from_ref(&tag))?.remove(&tag))
    }

    /// Every answer to every question: the number of the source, the tag, and what it has.
    fn manifests(&self, engine: &Engine<'_>, tags: &[String]) -> Result<Vec<(usize, String, Raw<Manifest>)>> {
        let mut requests = JoinSet::new();
        for (number, source) in self.sources.iter().enumerate() {
            for tag in tags.iter().filter(|_| !source.has_failed.load(Ordering::Relaxed)) {
                let (repository, tag) = (source.repository.clone(), tag.clone());
                let request = async move {
                    let answer = repository.manifest(&tag).await;
                    (number, tag, answer)
                };
                requests.spawn_on(request, &engine.runtime);
            }
        }
        let answers = engine.unless_ended(requests.join_all())?;
        let mut found = Vec::new();
        for (number, tag, answer) in answers {
            match answer {
                Ok(Some(manifest)) if self.is_signed(&manifest, &tag) => found.push((number, tag, manifest)),
                Ok(Some(_)) => self.refuse(engine, number),
                Ok(None) => {}
                Err(error) => self.fail(engine, number, &error),
            }
        }
        found.sort_by(|a, b| (&a.1, a.0).cmp(&(&b.1, b.0)));
        Ok(found)
    }

    /// True if a manifest is from somebody who may say so.
    fn is_signed(&self, manifest: &Raw<Manifest>, tag: &str) -> bool {
        self.options.verify.as_ref().is_none_or(|key| key.verifies(manifest.value(), tag))
    }

    fn refuse(&self, engine: &Engine<'_>, source: usize) {
        let source = &self.sources[source];
        if !source.has_refused.swap(true, Ordering::Relaxed) {
            let location = source.repository.location();
            let text = format!("cache {location}: what is not signed with the key is passed over");
            engine.report(Warning::new(text).into());
        }
    }

    fn fail(&self, engine: &Engine<'_>, source: usize, error: &RepositoryError) {
        let source = &self.sources[source];
        if !source.has_failed.swap(true, Ordering::Relaxed) {
            warn(&*engine.options.report, source.repository.location(), error, false);
        }
    }

    fn is_usable(&self, record: &Record) -> bool {
        let distrusted = lock(&self.distrusted);
        let is_fresh = self.options.ttl.is_none_or(|ttl| {
            let age = self.options.clock.saturating_sub(record.used);
            age < i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX)
        });
        let is_trusted = |digest| !distrusted.contains(&digest);
        is_fresh
            && record.last().is_some()
            && record
                .layers
                .iter()
                .all(|layer| is_trusted(layer.descriptor.digest) && is_trusted(layer.index.digest))
    }

    fn know_indexes(&self, repository: &Arc<Repository>, record: &Record) {
        let mut indexes = lock(&self.indexes);
        for layer in &record.layers {
            indexes.entry(layer.diff_id).or_insert_with(|| (repository.clone(), layer.index.clone()));
        }
    }

    /// From now on, nothing with this blob is used. False if that was known.
    pub(crate) fn distrust(&self, blob: Digest) -> bool {
        let is_news = lock(&self.distrusted).insert(blob);
        if is_news {
            for source in &self.sources {
                // What cannot be removed is found damaged by the next build too.
                let _ = source.repository.discard_damaged(blob);
            }
        }
        is_news
    }

    /// From now on, nothing of any repository is used.
    pub(crate) fn stop_asking(&self) {
        self.sources.iter().for_each(|source| source.has_failed.store(true, Ordering::Relaxed));
        lock(&self.indexes).clear();
    }

    /// The tag of the indexes of an image's layers.
    pub(crate) fn indexes_key(layers: &[Layer]) -> Key {
        let mut writer = cache::KeyWriter::new(Domain::Indexes);
        layers.iter().for_each(|layer| writer.field("layer", layer.diff_id.to_string()));
        writer.finish().0
    }

    /// Brings the indexes of layers here that a cache has, as far as they are not: those of an image's own by
    /// one list. What is damaged is passed over, as it can be made again.
    pub(crate) fn gather_indexes(&self, engine: &Engine<'_>, layers: &[Layer]) -> Result<()> {
        if self.sources.is_empty() {
            return Ok(());
        }
        // Who comes second finds them here.
        engine.once.alone("gather indexes".to_owned(), || self.gather_missing_indexes(engine, layers))
    }

    fn gather_missing_indexes(&self, engine: &Engine<'_>, layers: &[Layer]) -> Result<()> {
        let missing: Vec<DiffId> = layers
            .iter()
            .filter(|layer| !engine.has_index(layer.diff_id))
            .map(|layer| layer.diff_id)
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let base = base_layers(layers);
        if base.iter().any(|layer| missing.contains(&layer.diff_id)) {
            let key = Self::indexes_key(base);
            if lock(&self.asked).insert(key) {
                for (source, _, manifest) in self.manifests(engine, &[key.tag(Domain::Indexes)])? {
                    let repository = &self.sources[source].repository;
                    let Ok(list) = parse_indexes(manifest.value()) else { continue };
                    let mut indexes = lock(&self.indexes);
                    for (diff_id, index) in list {
                        indexes.entry(diff_id).or_insert_with(|| (repository.clone(), index));
                    }
                }
            }
        }
        let mut requests = JoinSet::new();
        for diff_id in missing {
            let Some((repository, index)) = lock(&self.indexes).get(&diff_id).cloned() else { continue };
            let request = async move { (diff_id, repository.blob(&index, INDEX_LIMIT).await) };
            requests.spawn_on(request, &engine.runtime);
        }
        for (diff_id, answer) in engine.unless_ended(requests.join_all())? {
            // What is wrong further on shows when it is read, and then it is made again too.
            let outcome = answer.map_err(|error| error.to_string()).and_then(|bytes| {
                let found = LayerIndex::decode_diff_id(&bytes[..]).map_err(|error| error.to_string())?;
                if found == diff_id { Ok(bytes) } else { Err(format!("it is of {found}")) }
            });
            match outcome {
                Ok(bytes) => engine.base_store().put_index_file(diff_id, &bytes)?,
                Err(reason) => self.forget_index(engine, diff_id, &reason),
            }
        }
        Ok(())
    }

    fn forget_index(&self, engine: &Engine<'_>, diff_id: DiffId, reason: &str) {
        lock(&self.indexes).remove(&diff_id);
        let text = format!("the cached index of layer {diff_id} is of no use, and made again: {reason}");
        engine.report(Event::Note(text));
    }

    /// Keeps the result of a step, for those who come to it either way.
    pub(crate) fn keep(&self, engine: &Engine<'_>, layers: &[Layer], keys: &[(Domain, Key)], command: &str) {
        if let Some(writer) = &*lock(&self.writer) {
            let tags = keys.iter().map(|(domain, key)| key.tag(*domain)).collect();
            writer.record(engine, layers, tags, command.to_owned());
        }
    }

    /// Keeps the indexes of an image's layers, if they are known and no cache had them.
    pub(crate) fn keep_indexes(&self, engine: &Engine<'_>, layers: &[Layer]) {
        let is_new = |layer: &Layer| !lock(&self.indexes).contains_key(&layer.diff_id);
        if layers.iter().any(is_new)
            && let Some(writer) = &*lock(&self.writer)
        {
            writer.indexes(engine, layers, Self::indexes_key(layers).tag(Domain::Indexes));
        }
    }

    /// Waits until everything is kept.
    pub(crate) fn finish(&self, engine: &Engine<'_>) -> Result<()> {
        let writer = lock(&self.writer).take();
        let Some(writer) = writer else { return Ok(()) };
        engine.timings.measure("wait for the cache", || engine.unless_ended(writer.finish()))
    }
}

/// The layers of the image that a stage starts from.
pub(crate) fn base_layers(layers: &[Layer]) -> &[Layer] {
    let length = layers.iter().position(|layer| layer.made.is_some()).unwrap_or(layers.len());
    &layers[..length]
}

/// The key of a step on something that is known by how it is made.
pub(crate) fn definition_key(beneath: Key, step: &StepKey) -> Key {
    let mut writer = cache::KeyWriter::new(Domain::Definition);
    writer.field("beneath", beneath.to_bytes());
    writer.field("step", step.key.to_bytes());
    writer.finish().0
}

/// The key of a step on layers that are known by what they hold.
pub(crate) fn content_key(root: Key, layers: impl Iterator<Item = Key>, step: &StepKey) -> Key {
    let mut writer = cache::KeyWriter::new(Domain::Content);
    writer.field("root", root.to_bytes());
    layers.for_each(|layer| writer.field("layer", layer.to_bytes()));
    writer.field("step", step.key.to_bytes());
    writer.finish().0
}

fn warn(report: &dyn Report, location: &Location, error: &RepositoryError, write: bool) {
    let what = if write { "nothing is kept there" } else { "it is not asked any more" };
    let error = Error::from_chain(error);
    report.event(Warning::new(format!("cache {location}: {what}: {error}")).into());
}

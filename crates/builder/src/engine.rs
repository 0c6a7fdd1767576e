//! The engine: what all stages of one build share.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use cache::{Key, Store};
use dockerfile::{GitUrl, GlobalScope, Ignore, Span};
use layer::{LayerIndex, TreePath};
use oci::{DiffId, Digest, ImageConfig, Platform, Reference};
use registry::ImageManifest;
use rootfs::{Ownership, RunRoot, Shape, Shared, Snapshot, Workspace};
use sandbox::{Cancel, Isolation, RootFiles, RootShape};
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use crate::cache_mounts::KeptMounts;
use crate::context::{BUILD_CONTEXT, Fetching};
use crate::copy::{Destination, DirectorySource, Look, Plan};
use crate::error::{Context, Error, Result};
use crate::event::Event;
use crate::family::Member;
use crate::fetch::{Fetcher, is_blob};
use crate::image::{Image, Layer, LayerOrigin, Made};
use crate::layer_cache::LayerCache;
use crate::layout_image;
use crate::new_layer::NewLayer;
use crate::once::{Once, lock};
use crate::options::Options;
use crate::output::{Uploads, repositories};
use crate::rfc3339::rfc3339;
use crate::stage::Stage;
use crate::step::{Added, Mounting};
use crate::timings::Timings;
use crate::waiting::{registry_error, wait};

/// One build in progress.
pub(crate) struct Engine<'a> {
    pub(crate) options: &'a Options,
    pub(crate) runtime: Handle,
    /// Which of the builds for several platforms it is.
    pub(crate) member: Member<'a>,
    /// What ends the stages: a signal, or one of them that has failed.
    cancel: Cancel,
    /// What stages want at the same time, and one of them does.
    pub(crate) once: Once,
    pub(crate) timings: Timings,
    /// Values of the ARGs before the first FROM, of the caller's, and of those the platform gives.
    pub(crate) globals: GlobalScope,
    created: String,
    /// What it gets from elsewhere: in the cache directory, if there is one.
    base_store: Store,
    fetcher: Fetcher,
    context: OnceLock<Arc<DirectorySource>>,
    /// Images of registries that were asked for: a tag means the same throughout a build.
    pulled: Mutex<BTreeMap<(Reference, String), Image>>,
    /// Blobs in layouts that were found to be what their names say.
    verified: Mutex<BTreeSet<Digest>>,
    /// Layers that are in directories, bottom first, for stages that start from the same.
    unpacked: Mutex<BTreeMap<Vec<DiffId>, Snapshot>>,
    /// Repositories that are here.
    pub(crate) checkouts: Mutex<Vec<(GitUrl, Arc<DirectorySource>)>>,
    scratch: AtomicUsize,
    /// What the mounts of RUNs share.
    pub(crate) mounting: Mounting,
    /// Results of earlier builds, if they are kept.
    pub(crate) layer_cache: Option<LayerCache<'a>>,
    /// Cache mounts that outlast the machine, if they do.
    pub(crate) kept_mounts: Option<KeptMounts<'a>>,
    /// What ADDs have brought here.
    added: Mutex<Vec<(AddKey, Arc<[Added]>)>>,
}

/// Which ADD it is: its stage, where it stands, and what it comes to.
pub(crate) type AddKey = (usize, Span, String);

/// The host name inside a RUN, which is what BuildKit's users find there.
const HOSTNAME: &str = "buildkitsandbox";

/// BuildKit's build argument for another one.
const HOSTNAME_ARGUMENT: &str = "BUILDKIT_SANDBOX_HOSTNAME";

/// The longest host name that Linux takes (`__NEW_UTS_LEN`).
const HOSTNAME_LENGTH: usize = 64;

impl<'a> Engine<'a> {
    pub(crate) fn new(
        options: &'a Options,
        runtime: Handle,
        member: Member<'a>,
        globals: GlobalScope,
    ) -> Result<Self> {
        if let Some(name) = options.build_args.get(HOSTNAME_ARGUMENT) {
            let usable = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
            if name.len() > HOSTNAME_LENGTH || !name.bytes().all(usable) {
                return Err(Error::new(format!(
                    "build argument {HOSTNAME_ARGUMENT}: {name:?} is no host name"
                )));
            }
        }
        let base_store = match &options.cache_dir {
            Some(directory) => Store::open(directory).during("cache directory")?,
            None => member.family.store.clone(),
        };
        let cancel = options.cancel.child();
        let fetcher = Fetcher::new(
            options.client.clone(),
            runtime.clone(),
            base_store.clone(),
            options.report.clone(),
            cancel.clone(),
        );
        let layer_cache = options.cache.as_ref().map(|cache| LayerCache::open(options, cache, &runtime));
        Ok(Engine {
            options,
            runtime,
            member,
            cancel,
            once: Once::default(),
            timings: Timings::default(),
            globals,
            created: rfc3339(options.now),
            base_store,
            fetcher,
            context: OnceLock::new(),
            pulled: Mutex::default(),
            verified: Mutex::default(),
            unpacked: Mutex::default(),
            checkouts: Mutex::default(),
            scratch: AtomicUsize::new(0),
            mounting: Mounting::new(&options.secrets),
            layer_cache,
            kept_mounts: options.cache_mounts.as_ref().map(KeptMounts::new),
            added: Mutex::default(),
        })
    }

    /// Tells whoever watches.
    pub(crate) fn report(&self, event: Event) {
        self.options.report.event(event);
    }

    /// Where layers of this build are.
    pub(crate) fn store(&self) -> &Store {
        &self.member.family.store
    }

    /// Where layers from elsewhere are.
    pub(crate) fn base_store(&self) -> &Store {
        &self.base_store
    }

    /// The time of the build, as images note it.
    pub(crate) fn created(&self) -> &str {
        &self.created
    }

    /// The time of the build, as files note it.
    pub(crate) fn now(&self) -> i64 {
        self.options.now
    }

    /// The latest time that a new layer may hold.
    pub(crate) fn clamp(&self) -> Option<i64> {
        self.options.clamp
    }

    /// What ends the stages early.
    pub(crate) fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    /// An error if the build is to end.
    pub(crate) fn check_cancel(&self) -> Result<()> {
        self.cancel().signal().map_or(Ok(()), |signal| Err(Error::ended_by(signal)))
    }

    /// The caller's value for an ARG.
    pub(crate) fn build_arg(&self, name: &str) -> Option<&str> {
        self.options.build_args.get(name).map(String::as_str)
    }

    /// The host name that a RUN sees.
    pub(crate) fn hostname(&self) -> &str {
        self.build_arg(HOSTNAME_ARGUMENT).filter(|name| !name.is_empty()).unwrap_or(HOSTNAME)
    }

    /// The build context. It is opened when something is first taken from it.
    pub(crate) fn context(&self) -> Result<Arc<DirectorySource>> {
        if let Some(context) = self.context.get() {
            return Ok(context.clone());
        }
        let options = self.options;
        let context = DirectorySource::open(BUILD_CONTEXT, &options.context, options.ignore.as_deref())?;
        Ok(self.context.get_or_init(|| Arc::new(context)).clone())
    }

    /// What it takes to bring files here.
    pub(crate) fn fetching(&self) -> Fetching<'_> {
        let Options { network, secrets, agents, work_dir, .. } = self.options;
        let limit = self.options.download_limit;
        Fetching { network, limit, secrets, agents, runtime: &self.runtime, work_dir, cancel: &self.cancel }
    }

    /// How a RUN is kept to its root.
    pub(crate) fn isolation(&self) -> Result<&Arc<dyn Isolation>> {
        self.options.isolation.as_ref().map_err(|reason| Error::new(reason.clone()))
    }

    /// A directory for the layers of a stage that has a RUN, on top of what is unpacked already.
    pub(crate) fn new_workspace(&self, below: Option<&Snapshot>) -> Result<Workspace> {
        let shape = match self.isolation()?.shape() {
            RootShape::Stacked => Shape::Stacked,
            RootShape::InPlace | RootShape::Described => Shape::InPlace,
        };
        let directory = self.scratch_directory("stage")?.join("files");
        let made = match below {
            Some(snapshot) => Workspace::create_on(&directory, snapshot, self.new_ownership()?),
            None => Workspace::create(&directory, shape, self.new_ownership()?),
        };
        made.during("work directory")
    }

    /// Who keeps the owners of what RUNs see: the kernel, or a table that says nothing yet.
    pub(crate) fn new_ownership(&self) -> Result<Ownership> {
        Ok(match self.isolation()?.shape() {
            RootShape::Described => Ownership::Table(Shared::default()),
            RootShape::Stacked | RootShape::InPlace => Ownership::Kernel,
        })
    }

    /// Lets later stages start from a workspace that holds these layers, where its shape allows that.
    pub(crate) fn keep_unpacked(&self, layers: &[Layer], workspace: &mut Workspace) {
        if let Some(snapshot) = workspace.snapshot() {
            let chain = layers.iter().map(|layer| layer.diff_id).collect();
            lock(&self.unpacked).insert(chain, snapshot);
        }
    }

    /// What is unpacked of these layers, from the bottom, and what those say.
    pub(crate) fn unpacked(&self, layers: &[Layer]) -> Option<(Snapshot, Vec<LayerIndex>)> {
        let chain: Vec<DiffId> = layers.iter().map(|layer| layer.diff_id).collect();
        let (length, snapshot) = {
            let unpacked = lock(&self.unpacked);
            let longest = |length| Some((length, unpacked.get(&chain[..length])?.clone()));
            (1..=chain.len()).rev().find_map(longest)?
        };
        let indexes: Option<Vec<LayerIndex>> =
            layers[..length].iter().map(|layer| self.index(layer)).collect();
        Some((snapshot, indexes?))
    }

    /// The same places, in the words of the sandbox.
    pub(crate) fn root_files(&self, root: &RunRoot) -> RootFiles {
        match root {
            RunRoot::InPlace { directory } => RootFiles::InPlace { dir: directory.clone() },
            RunRoot::Described { directory, owners, log } => {
                RootFiles::Described { dir: directory.clone(), owners: owners.clone(), log: log.clone() }
            }
            RunRoot::Stacked { lower, upper, work } => {
                RootFiles::Stacked { lower: lower.clone(), upper: upper.clone(), work: work.clone() }
            }
        }
    }

    /// An empty directory that lasts as long as the build.
    pub(crate) fn scratch_directory(&self, purpose: &str) -> Result<PathBuf> {
        let number = self.scratch.fetch_add(1, Ordering::Relaxed);
        let name: String = purpose.chars().filter(char::is_ascii_alphanumeric).collect();
        let path = self.options.work_dir.path().join(format!("{number}-{name}"));
        std::fs::create_dir(&path).during(path.display())?;
        Ok(path)
    }

    /// `/etc/hosts` and `/etc/resolv.conf` as a RUN is to see them: path in the root, and a file of ours.
    pub(crate) fn network_files(&self) -> Result<Vec<(&'static str, PathBuf)>> {
        // Without links, as a mount wants its source.
        let directory = self.options.work_dir.path().canonicalize().during("work directory")?;
        let hosts = directory.join("hosts");
        let resolv = directory.join("resolv.conf");
        self.once.alone("network files".to_owned(), || self.write_network_files(&hosts, &resolv))?;
        Ok(vec![("etc/hosts", hosts), ("etc/resolv.conf", resolv)])
    }

    fn write_network_files(&self, hosts: &Path, resolv: &Path) -> Result<()> {
        if !hosts.exists() {
            // The pod's own aliases are kept; they come after ours, as the first match counts.
            let name = self.hostname();
            let own = format!("127.0.0.1\tlocalhost {name}\n::1\tlocalhost ip6-localhost ip6-loopback\n");
            let added = &self.options.add_hosts;
            let added: String = added.iter().map(|(name, address)| format!("{address}\t{name}\n")).collect();
            let pods = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
            std::fs::write(hosts, format!("{own}{added}{pods}")).during("work directory")?;
            // A builder without one has no names to resolve either.
            let pods = std::fs::read("/etc/resolv.conf").unwrap_or_default();
            std::fs::write(resolv, pods).during("work directory")?;
        }
        Ok(())
    }

    /// What a layer says, if that is known without reading it.
    pub(crate) fn index(&self, layer: &Layer) -> Option<LayerIndex> {
        self.store().index(layer.diff_id).or_else(|| self.base_store.index(layer.diff_id))
    }

    /// True if what a layer says is known without reading it.
    pub(crate) fn has_index(&self, diff_id: DiffId) -> bool {
        self.index_file(diff_id).is_some()
    }

    /// The file with what a layer says, if that is known.
    pub(crate) fn index_file(&self, diff_id: DiffId) -> Option<PathBuf> {
        self.store().index_file(diff_id).or_else(|| self.base_store.index_file(diff_id))
    }

    /// Learns from caches what these layers say.
    pub(crate) fn gather_indexes(&self, layers: &[Layer]) -> Result<()> {
        self.layer_cache.as_ref().map_or(Ok(()), |cache| cache.gather_indexes(self, layers))
    }

    /// Says of an error in reading a layer that it is a cache's fault, if it is.
    pub(crate) fn blame_cache(&self, layer: &Layer, mut error: Error) -> Error {
        if layer.is_cached() {
            error.damaged.get_or_insert(layer.descriptor.digest);
        }
        error
    }

    /// What an ADD has brought here before.
    pub(crate) fn added(&self, key: &AddKey) -> Option<Arc<[Added]>> {
        lock(&self.added).iter().find(|(known, _)| known == key).map(|(_, added)| added.clone())
    }

    /// Keeps what an ADD has brought here.
    pub(crate) fn keep_added(&self, key: AddKey, added: Arc<[Added]>) -> Arc<[Added]> {
        lock(&self.added).push((key, added.clone()));
        added
    }

    /// Starts to fetch a layer that will be read soon.
    pub(crate) fn prefetch(&self, layer: &Layer) {
        if let LayerOrigin::Registry(origin) = &layer.origin {
            self.fetcher.start(origin, &layer.descriptor);
        }
    }

    /// Reads a layer's blob, which may still be arriving.
    pub(crate) fn read_blob(&self, layer: &Layer) -> Result<Box<dyn std::io::Read + Send>> {
        match &layer.origin {
            LayerOrigin::Registry(origin) => Ok(Box::new(self.fetcher.read(origin, &layer.descriptor))),
            _ => Ok(Box::new(std::fs::File::open(self.blob_file(layer)?)?)),
        }
    }

    /// Where a layer's blob is, if it is on this disk already, or on its way here.
    pub(crate) fn local_blob(&self, layer: &Layer) -> Result<Option<PathBuf>> {
        let descriptor = &layer.descriptor;
        let is_here = match &layer.origin {
            LayerOrigin::Registry(_) => self.base_store.blob(descriptor.digest, descriptor.size).is_some(),
            LayerOrigin::Built | LayerOrigin::Layout(_) => true,
        };
        if is_here { self.blob_file(layer).map(Some) } else { Ok(None) }
    }

    /// Where a layer's blob is, fetched if need be.
    pub(crate) fn blob_file(&self, layer: &Layer) -> Result<PathBuf> {
        self.blob_file_of(layer).map_err(|error| self.blame_cache(layer, error))
    }

    fn blob_file_of(&self, layer: &Layer) -> Result<PathBuf> {
        let descriptor = &layer.descriptor;
        match &layer.origin {
            LayerOrigin::Registry(origin) => self.fetcher.file(origin, descriptor),
            LayerOrigin::Layout(layout) => {
                let path = layout.blob_path(descriptor.digest);
                if !lock(&self.verified).contains(&descriptor.digest) {
                    let size = std::fs::metadata(&path).during(path.display())?.len();
                    if size != descriptor.size || !is_blob(&path, descriptor.digest).during(path.display())? {
                        let text =
                            format!("layer {} in {} is damaged", descriptor.digest, layout.dir().display());
                        return Err(Error::new(text));
                    }
                    lock(&self.verified).insert(descriptor.digest);
                }
                Ok(path)
            }
            LayerOrigin::Built => self.store().blob(descriptor.digest, descriptor.size).ok_or_else(|| {
                Error::new(format!("layer {} is gone from the work directory", descriptor.digest))
            }),
        }
    }

    /// Completes a step that has made a layer.
    pub(crate) fn finish_layer(&self, stage: &mut Stage, layer: NewLayer, created_by: String) -> Result<()> {
        let (mut layer, index) = layer.finish()?;
        if self.layer_cache.is_some() {
            layer.made = Some(Made {
                step: stage.lineage.steps,
                content: Key::of_layer(&index),
                created: self.created.clone(),
                is_kept: stage.lineage.keeps,
                cached: None,
            });
        }
        stage.lineage.steps += 1;
        stage.push_layer(layer, &index);
        stage.image.made_at = None;
        stage.image.push_history(&self.created, created_by, false);
        Ok(())
    }

    /// Makes a directory the layer of an empty stage.
    pub(crate) fn lay(&self, stage: &mut Stage, source: &DirectorySource, created_by: String) -> Result<()> {
        let tree = stage.tree(self)?;
        let mut layer = NewLayer::create(self, stage.image.form())?;
        let nothing = Ignore::default();
        let mut plan = Plan::new(&tree, Look { now: self.now(), ..Look::default() }, &nothing);
        plan.copy(source, &TreePath::root(), &Destination::new(&tree, &TreePath::root(), "/")?)?;
        self.timings.measure("copy files", || plan.emit(&mut layer))?;
        self.finish_layer(stage, layer, created_by)?;
        // It is what the stage starts from, and no step of it.
        stage.image.layers.iter_mut().for_each(|layer| layer.made = None);
        stage.lineage.steps = 0;
        Ok(())
    }

    /// Asks for images at once, so that they are known when they are needed. Those that fail will be asked for again.
    pub(crate) fn pull_ahead(&self, wanted: Vec<(Reference, Platform)>) -> Result<()> {
        let mut requests = JoinSet::new();
        for (reference, platform) in wanted {
            let client = self.options.client.clone();
            let request = async move {
                let resolved = client.resolve(&reference, &platform).await.ok()?;
                let config =
                    client.config(&resolved.reference, &resolved.manifest.value().config).await.ok()?;
                Some((reference, platform, resolved, config.into_value()))
            };
            requests.spawn_on(request, &self.runtime);
        }
        for (reference, platform, resolved, config) in
            self.unless_ended(requests.join_all())?.into_iter().flatten()
        {
            if !lock(&self.pulled).contains_key(&(reference.clone(), platform.to_string())) {
                self.keep_pulled(&reference, &platform, &resolved, config)?;
            }
        }
        Ok(())
    }

    /// The image a reference names.
    pub(crate) fn pull(&self, reference: &Reference, platform: &Platform) -> Result<Image> {
        let key = (reference.clone(), platform.to_string());
        self.once.alone(format!("pull {reference} {platform}"), || {
            let known = lock(&self.pulled).get(&key).cloned();
            known.map_or_else(|| self.pull_anew(reference, platform), Ok)
        })
    }

    fn pull_anew(&self, reference: &Reference, platform: &Platform) -> Result<Image> {
        let resolved = self.wait(self.options.client.resolve(reference, platform))?;
        // From where the manifest is, which may be a mirror.
        let config = &resolved.manifest.value().config;
        let config = self.wait(self.options.client.config(&resolved.reference, config))?.into_value();
        self.keep_pulled(reference, platform, &resolved, config)
    }

    fn keep_pulled(
        &self,
        reference: &Reference,
        platform: &Platform,
        resolved: &ImageManifest,
        config: ImageConfig,
    ) -> Result<Image> {
        self.report(Event::Resolved { reference: reference.clone(), digest: resolved.manifest.digest() });
        let manifest = resolved.manifest.value();
        let name = reference.to_string();
        let origin = LayerOrigin::Registry(resolved.reference.clone());
        let image = Image::from_manifest(&name, manifest, config, &origin)?;
        let key = (reference.clone(), platform.to_string());
        lock(&self.pulled).insert(key, image.clone());
        Ok(image)
    }

    /// An image of an OCI layout: by its digest or else by its tag.
    pub(crate) fn image_of_layout(
        &self,
        directory: &Path,
        tag: Option<&str>,
        digest: Option<Digest>,
        platform: &Platform,
    ) -> Result<Image> {
        let found = layout_image::find(directory, tag, digest, platform)?;
        self.report(Event::Note(format!("{} is {}", found.name, found.manifest.digest())));
        let origin = LayerOrigin::Layout(found.layout);
        Image::from_manifest(&found.name, found.manifest.value(), found.config, &origin)
    }

    /// Begins to ask every repository among the destinations whether it takes an image of ours, before any work is
    /// put into one.
    pub(crate) fn begin_to_check_destinations(&self) -> JoinSet<registry::Result<()>> {
        let outputs = &self.options.outputs;
        let mut requests = JoinSet::new();
        if outputs.no_push || outputs.skip_push_check {
            return requests;
        }
        for destination in repositories(&outputs.destinations) {
            let (client, destination) = (self.options.client.clone(), destination.clone());
            requests.spawn_on(async move { client.check_push(&destination).await }, &self.runtime);
        }
        requests
    }

    /// Waits for what they say.
    pub(crate) fn end_to_check_destinations(&self, requests: JoinSet<registry::Result<()>>) -> Result<()> {
        let answers = self.unless_ended(requests.join_all())?;
        answers.into_iter().try_for_each(|answer| answer.map_err(registry_error))
    }

    /// Waits for a registry; in vain if the build is told to end.
    fn wait<T>(&self, request: impl Future<Output = registry::Result<T>>) -> Result<T> {
        wait(&self.runtime, self.cancel(), request)
    }

    /// Uploads to every destination.
    pub(crate) fn uploads(&self) -> Uploads {
        let outputs = &self.options.outputs;
        let destinations = if outputs.no_push { &[][..] } else { &outputs.destinations };
        Uploads::new(
            self.options.client.clone(),
            self.runtime.clone(),
            destinations,
            outputs.keep_immutable_tags,
            self.options.report.clone(),
            self.cancel.clone(),
        )
    }

    /// Removes everything the build has on disk.
    pub(crate) fn clean_up(&self) -> Result<()> {
        let work_dir = &self.options.work_dir;
        work_dir.remove().during(format!("work directory {}", work_dir.path().display()))
    }
}

/// Asks every repository among the destinations whether it takes an image of ours.
pub(crate) fn check_destinations(
    client: &registry::Client,
    destinations: &[Reference],
    runtime: &Handle,
    cancel: &Cancel,
) -> Result<()> {
    for destination in repositories(destinations) {
        wait(runtime, cancel, client.check_push(destination))?;
    }
    Ok(())
}

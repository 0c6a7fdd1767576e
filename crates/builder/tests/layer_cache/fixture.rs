//! A registry that can be ordered to fail, with a base in it, and a folder to build in.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};

use builder::{CacheLocation, CacheOptions, Event, NoCache, Options, Outputs, PlannedStage, Report, WorkDir};
use oci::{Compression, Digest, Reference};
use registry::{ClientOptions, RetryPolicy};
use sandbox::Cancel;
use testkit::{ImageBuilder, Kind, Recorded, TestRegistry};
use tokio::runtime::Runtime;

/// Every time in an image.
pub(crate) const NOW: i64 = 1_700_000_000;

/// Where builds of a test are made.
pub(crate) struct Fixture {
    pub(crate) registry: TestRegistry,
    pub(crate) folder: tempfile::TempDir,
    runtime: Runtime,
}

/// A build that has succeeded.
pub(crate) struct Built {
    pub(crate) digest: Digest,
    pub(crate) events: Vec<Event>,
    /// What the registry was asked for it.
    pub(crate) requests: Vec<Recorded>,
}

#[derive(Default)]
struct Gathered(Mutex<Vec<Event>>);

impl Report for Gathered {
    fn event(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let registry = TestRegistry::start();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let fixture = Fixture { registry, folder: tempfile::tempdir().unwrap(), runtime };
        fixture.lay_out_context();
        fixture.push_base("");
        fixture
    }

    /// A path below the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The base, with some more in it.
    pub(crate) fn push_base(&self, more: &str) {
        let passwd = "/etc/passwd file = root:x:0:0::/root:/bin/sh\\napp:x:1000:1000::/:/bin/sh\\nwww:x:33:33::/:/bin/sh\\n";
        let mut image =
            ImageBuilder::new().layer(&format!("/etc dir\n{passwd}\n/bin dir\n/bin/sh file 0755 = sh\n"));
        if !more.is_empty() {
            image = image.layer(more);
        }
        image.push(&self.registry, "base", "latest");
    }

    /// The context as every test finds it.
    pub(crate) fn lay_out_context(&self) {
        let context = self.path("context");
        if context.exists() {
            fs::remove_dir_all(&context).unwrap();
        }
        fs::create_dir_all(context.join("src/deep")).unwrap();
        for (name, text) in [
            ("src/a.txt", "a\n"),
            ("src/b.txt", "b\n"),
            ("src/copy-of-a.txt", "a\n"),
            ("src/deep/c.txt", "c\n"),
            ("other.txt", "other\n"),
            ("ignored.log", "ignored\n"),
        ] {
            fs::write(context.join(name), text).unwrap();
        }
        std::os::unix::fs::symlink("a.txt", context.join("src/link")).unwrap();
        self.run("chmod -R u=rwX,go=rX .");
    }

    /// Writes a file of the context.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path("context").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Runs a command of the shell in the context.
    pub(crate) fn run(&self, command: &str) {
        let status =
            Command::new("sh").arg("-ec").arg(command).current_dir(self.path("context")).status().unwrap();
        assert!(status.success(), "{command}");
    }

    /// The cache of a build: a repository for everything.
    pub(crate) fn cache(&self) -> CacheOptions {
        let place = CacheLocation::Registry(self.registry.reference("cache", "latest"));
        CacheOptions {
            from: vec![place.clone()],
            to: vec![place],
            ttl: None,
            copy_layers: true,
            run_layers: true,
            no_cache: NoCache::Nothing,
            clock: NOW,
            sign: None,
            verify: None,
        }
    }

    /// A build of a Dockerfile as `app:latest`, on an empty disk; `BASE` stands for the base.
    pub(crate) fn options(&self, dockerfile: &str) -> Options {
        let retry = RetryPolicy { retries: 0, ..RetryPolicy::default() };
        let client = registry::Client::new(ClientOptions { retry, ..ClientOptions::default() }).unwrap();
        let base = self.registry.reference("base", "latest").to_string();
        Options {
            context: self.path("context"),
            contexts: Vec::new(),
            dockerfile: dockerfile.replace("BASE", &base),
            ignore: None,
            build_args: BTreeMap::new(),
            secrets: BTreeMap::new(),
            agents: BTreeMap::new(),
            syntax_ignore: false,
            target: None,
            other_targets: Vec::new(),
            labels: Vec::new(),
            platform: "linux/amd64".parse().unwrap(),
            jobs: std::num::NonZeroUsize::new(4).unwrap(),
            add_hosts: Vec::new(),
            outputs: Outputs {
                destinations: vec![self.registry.reference("app", "latest")],
                ..Outputs::default()
            },
            compression: Compression::Gzip,
            compression_level: None,
            single_snapshot: false,
            ignored_paths: Vec::new(),
            now: NOW,
            clamp: None,
            work_dir: Arc::new(WorkDir::create(&self.path("work")).unwrap()),
            cache_dir: None,
            cache: Some(self.cache()),
            cache_mounts: None,
            explain: false,
            isolation: Err("there is no RUN".to_owned()),
            network: transport::Network::default(),
            download_limit: None,
            client,
            report: Arc::new(Gathered::default()),
            cancel: Cancel::new(),
        }
    }

    /// Waits for something that is asked of a cache.
    pub(crate) fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// What a build would do.
    pub(crate) fn plan(&self, options: &Options) -> Vec<PlannedStage> {
        builder::plan(options, self.runtime.handle().clone())
            .unwrap_or_else(|error| panic!("{}: {error}", options.dockerfile))
    }

    /// Builds a Dockerfile.
    pub(crate) fn build(&self, dockerfile: &str) -> Built {
        self.build_with(self.options(dockerfile))
    }

    /// Builds, and leaves nothing on the disk.
    pub(crate) fn build_with(&self, options: Options) -> Built {
        let built = self.build_beside(options);
        assert_eq!(fs::read_dir(self.path("work")).unwrap().count(), 0, "something is left");
        built
    }

    /// Builds, perhaps beside others.
    pub(crate) fn build_beside(&self, mut options: Options) -> Built {
        let gathered = Arc::new(Gathered::default());
        options.report = gathered.clone();
        let before = self.registry.requests().len();
        let outcome = builder::build(&options, self.runtime.handle().clone());
        let events = std::mem::take(&mut *gathered.0.lock().unwrap());
        let outcome = outcome.unwrap_or_else(|error| panic!("{error}\n{events:#?}"));
        let requests = self.registry.requests().split_off(before);
        Built { digest: outcome.digest, events, requests }
    }

    /// Builds what must fail, and leaves nothing on the disk.
    pub(crate) fn fail(&self, options: Options) -> builder::Error {
        let error = builder::build(&options, self.runtime.handle().clone()).unwrap_err();
        drop(options);
        assert_eq!(fs::read_dir(self.path("work")).unwrap().count(), 0, "something is left");
        error
    }

    /// Builds for several platforms.
    pub(crate) fn build_platforms(
        &self,
        mut options: Options,
        platforms: &[oci::Platform],
    ) -> builder::Result<Built> {
        let gathered = Arc::new(Gathered::default());
        options.report = gathered.clone();
        let before = self.registry.requests().len();
        let outcome = builder::build_platforms(&options, platforms, self.runtime.handle().clone())?;
        let events = std::mem::take(&mut *gathered.0.lock().unwrap());
        let requests = self.registry.requests().split_off(before);
        Ok(Built { digest: outcome.digest, events, requests })
    }

    /// A tag of the cache, as a reference.
    pub(crate) fn place(&self, repository: &str) -> CacheLocation {
        let reference: Reference = self.registry.reference(repository, "latest");
        CacheLocation::Registry(reference)
    }
}

impl Built {
    /// How many steps a cache had, and how many made a layer.
    pub(crate) fn steps(&self) -> (usize, usize) {
        let of = |wanted: bool| {
            let is = |event: &&Event| matches!(event, Event::StepDone { layer: Some(_), cached, .. } if *cached == wanted);
            self.events.iter().filter(is).count()
        };
        (of(true), of(false))
    }

    /// What was warned of.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let text = |event: &Event| match event {
            Event::Warning(warning) if warning.rule.is_none() => Some(warning.text.clone()),
            _ => None,
        };
        self.events.iter().filter_map(text).collect()
    }

    /// Requests of a kind by their method.
    pub(crate) fn count(&self, method: &str, kind: Kind) -> usize {
        self.requests.iter().filter(|request| request.method == method && request.kind == kind).count()
    }

    /// Fails unless so many steps were found, and so many made.
    #[track_caller]
    pub(crate) fn expect(self, cached: usize, made: usize) -> Self {
        assert_eq!(self.steps(), (cached, made), "cached and made\n{:#?}", self.events);
        self
    }
}

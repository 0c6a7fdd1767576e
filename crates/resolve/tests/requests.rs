//! What resolving asks of a registry: how often, and how much at once.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use registry::{Client, ClientOptions};
use resolve::{Build, Built, Config, Job, PlatformSelection, Resolver, ResolverOptions};
use testkit::{Action, Fault, ImageBuilder, Kind, TestRegistry, store_index};

/// There is nothing to build.
struct Nobody;

impl Build for Nobody {
    fn build(&self, job: &Job) -> Result<Built, String> {
        Err(format!("{} is not to be built", job.image))
    }
}

/// Resolves so many tags of one index, each named twice; how long it took.
fn resolve(registry: &TestRegistry, tags: usize, platform: Option<&str>, concurrency: usize) -> Duration {
    let layout = registry.layout("app");
    let image = ImageBuilder::new().layer("/f file = x").store(&layout, None);
    for tag in 0..tags {
        store_index(&layout, Some(&format!("t{tag}")), &[&image]);
    }
    let options = ResolverOptions {
        config: Config::default(),
        platform: platform.map(|text| PlatformSelection::parse(text).unwrap()),
        build: true,
        concurrency,
        build_concurrency: 1,
    };
    let client = Client::new(ClientOptions { parallel: 16, ..ClientOptions::default() }).unwrap();
    let resolver = Resolver::new(options, client, Arc::new(Nobody));
    let references = (0..tags).flat_map(|tag| {
        let name = registry.reference("app", &format!("t{tag}")).to_string();
        [name.clone(), name]
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let start = Instant::now();
    let resolved = runtime.block_on(resolver.resolve_all(references));
    let took = start.elapsed();
    assert_eq!(resolved.len(), tags);
    assert!(resolved.values().all(Result::is_ok), "{resolved:?}");
    took
}

#[test]
fn one_request_for_a_reference_and_two_with_a_platform() {
    for (platform, heads, gets) in [(None, 60, 0), (Some("linux/amd64"), 60, 1)] {
        let registry = TestRegistry::start();
        resolve(&registry, 60, platform, 16);
        let asked = (registry.count("HEAD", Kind::Manifest), registry.count("GET", Kind::Manifest));
        // All tags are of one index, which is looked into once.
        assert_eq!(asked, (heads, gets), "{platform:?}");
        assert_eq!(registry.count("*", Kind::Blob), 0);
    }
}

#[test]
fn so_many_at_once_and_no_more() {
    let (delay, tags) = (Duration::from_millis(40), 64);
    for at_once in [4, 16] {
        let registry = TestRegistry::start();
        registry.order(Fault::new(Action::Delay(delay)).on(Kind::Manifest).times(tags));
        let took = resolve(&registry, tags, None, at_once);
        let rounds = u32::try_from(tags / at_once).unwrap();
        assert!(took >= delay * rounds, "{at_once} at once: {took:?}");
        assert!(took < delay * u32::try_from(tags).unwrap(), "{at_once} at once: {took:?}");
    }
}

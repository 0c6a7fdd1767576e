//! Bundles against a registry that fails: transfers go on where they broke, and what is damaged is refused.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use std::path::Path;

use images::{Bundled, kept_tag, package, relocate, unpackage};
use oci::Reference;
use registry::{Client, ClientOptions};
use testkit::{Action, Fault, ImageBuilder, Kind, TestRegistry, store_index};

fn stock(registry: &TestRegistry) -> Vec<Bundled> {
    let layout = registry.layout("team/app");
    let images: Vec<_> = ["linux/amd64", "linux/arm64", "linux/s390x"]
        .iter()
        .map(|platform| {
            let of = format!("/for file = {}", platform.replace('/', "-"));
            ImageBuilder::new().platform(platform).layer("/same file = x").layer(&of).store(&layout, None)
        })
        .collect();
    let index = store_index(&layout, Some("1"), &images.iter().collect::<Vec<_>>());
    let digests = [index.digest, images[2].descriptor.digest];
    let reference = registry.reference("team/app", "1");
    digests
        .iter()
        .map(|digest| Bundled {
            name: format!("{}@{digest}", reference.name()),
            reference: reference.at(*digest),
        })
        .collect()
}

fn client() -> Client {
    let mut options = ClientOptions::default();
    options.retry.first_delay = std::time::Duration::from_millis(1);
    Client::new(options).unwrap()
}

fn wait<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

fn name(registry: &TestRegistry, repository: &str) -> Reference {
    registry.reference(repository, "x")
}

fn pack(registry: &TestRegistry, folder: &Path) -> std::path::PathBuf {
    let bundle = folder.join("a.tar");
    wait(package(&client(), &stock(registry), &bundle, 5, &|_| ())).unwrap();
    bundle
}

#[test]
fn broken_transfers_go_on() {
    let (from, to) = (TestRegistry::start(), TestRegistry::start());
    let folder = tempfile::tempdir().unwrap();
    let whole = std::fs::read(pack(&from, folder.path())).unwrap();
    from.order(Fault::new(Action::Truncate(20)).on(Kind::Blob).method("GET"));
    from.order(Fault::status(503).on(Kind::Manifest).method("GET"));
    let bundle = pack(&from, folder.path());
    assert_eq!(std::fs::read(&bundle).unwrap(), whole);

    to.order(Fault::status(503).on(Kind::Upload).method("POST"));
    to.order(Fault::new(Action::Forget).on(Kind::Manifest).method("PUT"));
    let target = name(&to, "moved");
    let names = wait(unpackage(&client(), &bundle, &target, 2, folder.path(), &|_| ())).unwrap();
    assert_eq!(names.len(), 2);
    for (_, digest) in &names {
        let kept = wait(client().head_manifest(&target.with_tag(&kept_tag(*digest)))).unwrap();
        assert_eq!(kept.digest, *digest);
    }
    // Four layers and three configs, each sent once; a second time, none.
    let sent = to.count("PUT", Kind::Upload) + to.count("POST", Kind::Upload);
    wait(unpackage(&client(), &bundle, &target, 2, folder.path(), &|_| ())).unwrap();
    assert_eq!(to.count("PUT", Kind::Upload) + to.count("POST", Kind::Upload), sent);
    let left: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["a.tar"]);

    let other = TestRegistry::start();
    wait(relocate(&client(), &stock(&from), &name(&other, "there"), 2, &|_| ())).unwrap();
    let sent = other.count("*", Kind::Upload);
    wait(relocate(&client(), &stock(&from), &name(&other, "there"), 2, &|_| ())).unwrap();
    assert_eq!(other.count("*", Kind::Upload), sent);
}

#[test]
fn damaged_bundles_are_refused() {
    let registry = TestRegistry::start();
    let folder = tempfile::tempdir().unwrap();
    let bundle = pack(&registry, folder.path());
    let whole = std::fs::read(&bundle).unwrap();
    let text = String::from_utf8_lossy(&whole).into_owned();
    let of_layer = text.find("sha256-").unwrap();
    let flip = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        bytes
    };
    let config = text.find("\\\"architecture\\\":\\\"").unwrap() + "\\\"architecture\\\":\\\"".len();
    for (bytes, message) in [
        // The block of data behind the header of the first layer.
        (flip(of_layer + 512 + 30), "is something else"),
        (whole[..of_layer].to_vec(), "is missing"),
        (flip(config), "is not sha256:"),
        (b"no tar at all".to_vec(), "a.tar"),
        (Vec::new(), "has no manifest.json"),
    ] {
        std::fs::write(&bundle, bytes).unwrap();
        let target = name(&registry, "moved");
        let work = folder.path();
        let error = wait(unpackage(&client(), &bundle, &target, 2, work, &|_| ())).unwrap_err().to_string();
        assert!(error.contains(message), "{message}: {error}");
    }
}

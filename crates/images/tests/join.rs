//! What joining images to an index asks of a registry.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use std::collections::BTreeMap;

use images::{ListType, Members, gather, push};
use registry::{Client, ClientOptions};
use testkit::{ImageBuilder, Kind, TestRegistry};

#[test]
fn ten_platforms_take_no_request_twice() {
    let registry = TestRegistry::start();
    let platforms = [
        "linux/amd64",
        "linux/arm64",
        "linux/arm/v6",
        "linux/arm/v7",
        "linux/s390x",
        "linux/ppc64le",
        "linux/riscv64",
        "linux/386",
        "linux/mips64le",
        "windows/amd64",
    ];
    let references: Vec<_> = platforms
        .iter()
        .enumerate()
        .map(|(number, platform)| {
            let image = ImageBuilder::new().platform(platform).layer(&format!("/of file = {number}"));
            let stored = image.push(&registry, "app", &number.to_string());
            registry.reference("app", "x").at(stored.descriptor.digest)
        })
        .collect();
    let client = Client::new(ClientOptions::default()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let digest = runtime.block_on(async {
        let mut members = Vec::new();
        for reference in &references {
            members.extend(gather(&client, reference, Members::Images).await.unwrap());
        }
        let name = registry.reference("app", "all");
        push(&client, &[name], &members, ListType::Auto, &BTreeMap::new(), |_| ()).await.unwrap()
    });
    // A manifest names no platform, its config does: so each is fetched once, and the index is sent.
    for (method, kind, expected) in [
        ("GET", Kind::Manifest, 10),
        ("GET", Kind::Blob, 10),
        ("HEAD", Kind::Manifest, 0),
        ("HEAD", Kind::Blob, 0),
        ("*", Kind::Upload, 0),
        ("PUT", Kind::Manifest, 1),
    ] {
        assert_eq!(registry.count(method, kind), expected, "{method} {kind:?}: {:?}", registry.transcript());
    }
    let index = runtime.block_on(client.manifest(&registry.reference("app", "all"))).unwrap();
    assert_eq!(index.digest(), digest);
}

//! What joining images to an index asks of a registry.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use images::{ListType, Members, Stored, Wanted, gather, gather_all, push};
use oci::{Descriptor, Platform};
use registry::{Client, ClientOptions};
use testkit::{Action, Fault, ImageBuilder, Kind, TestRegistry, store_index};

const PLATFORMS: [&str; 10] = [
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

fn wait<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

fn client() -> Client {
    Client::new(ClientOptions { parallel: 16, ..ClientOptions::default() }).unwrap()
}

/// An image for each platform, by digest.
fn stock(registry: &TestRegistry) -> Vec<Wanted> {
    let images = PLATFORMS.iter().enumerate().map(|(number, platform)| {
        let image = ImageBuilder::new().platform(platform).layer(&format!("/of file = {number}"));
        let stored = image.push(registry, "app", &number.to_string());
        let reference = registry.reference("app", "x").at(stored.descriptor.digest);
        Wanted { reference, members: Members::Images, platform: None }
    });
    images.collect()
}

#[test]
fn one_request_a_member_and_a_second_for_what_it_does_not_say() {
    let mut pushed = Vec::new();
    // A manifest names no platform, its config does.
    for (told, configs) in [(false, 10), (true, 0)] {
        let registry = TestRegistry::start();
        let mut wanted = stock(&registry);
        for (one, platform) in wanted.iter_mut().zip(PLATFORMS) {
            one.platform = told.then(|| platform.parse().unwrap());
        }
        let delay = Duration::from_millis(100);
        registry.order(Fault::new(Action::Delay(delay)).on(Kind::Manifest).method("GET").times(10));
        let name = registry.reference("app", "all");
        let client = client();
        let start = Instant::now();
        let digest = wait(async {
            let members: Result<Vec<Vec<Stored>>, _> =
                gather_all(&client, &wanted).await.into_iter().collect();
            let members = members.unwrap().concat();
            push(&client, std::slice::from_ref(&name), &members, ListType::Auto, &BTreeMap::new(), |_| ())
                .await
                .unwrap()
        });
        let took = start.elapsed();
        assert!(took < delay * 5, "they are fetched side by side: {took:?}");
        for (method, kind, expected) in [
            ("GET", Kind::Manifest, 10),
            ("GET", Kind::Blob, configs),
            ("HEAD", Kind::Manifest, 0),
            ("HEAD", Kind::Blob, 0),
            ("*", Kind::Upload, 0),
            ("PUT", Kind::Manifest, 1),
        ] {
            let count = registry.count(method, kind);
            assert_eq!(count, expected, "{told} {method} {kind:?}: {:?}", registry.transcript());
        }
        assert_eq!(wait(client.manifest(&name)).unwrap().digest(), digest);
        pushed.push(digest);
    }
    assert_eq!(pushed[0], pushed[1], "what is told and what is asked is the same");
}

#[test]
fn of_an_index_what_is_for_a_platform() {
    let registry = TestRegistry::start();
    let layout = registry.layout("app");
    let mut images: Vec<_> = ["linux/amd64", "linux/arm64"]
        .iter()
        .map(|platform| ImageBuilder::new().platform(platform).layer("/f file = x").store(&layout, None))
        .collect();
    for of in [0, 1] {
        let mut said = ImageBuilder::new().layer(&format!("/said file = {of}")).store(&layout, None);
        let digest = images[of].descriptor.digest.to_string();
        let descriptor: &mut Descriptor = &mut said.descriptor;
        descriptor.platform = Some("unknown/unknown".parse().unwrap());
        descriptor.annotations.insert("vnd.docker.reference.digest".to_owned(), digest);
        images.push(said);
    }
    store_index(&layout, Some("1"), &images.iter().collect::<Vec<_>>());
    let digests = |at: &[usize]| at.iter().map(|at| images[*at].descriptor.digest).collect::<Vec<_>>();
    for (platform, expected) in [
        (None, Ok(digests(&[0, 1, 2, 3]))),
        (Some("linux/arm64"), Ok(digests(&[1, 3]))),
        (Some("linux/s390x"), Err("linux/s390x")),
    ] {
        let platform: Option<Platform> = platform.map(|text| text.parse().unwrap());
        let wanted = |members| Wanted {
            reference: registry.reference("app", "1"),
            members,
            platform: platform.clone(),
        };
        let found = wait(gather(&client(), &wanted(Members::Indexes)));
        match (found, expected) {
            (Ok(found), Ok(expected)) => {
                let found: Vec<_> = found.iter().map(|one| one.descriptor.digest).collect();
                assert_eq!(found, expected, "{platform:?}");
            }
            (Err(error), Err(expected)) => assert!(error.to_string().contains(expected), "{error}"),
            (found, expected) => panic!("{platform:?}: {found:?}, and not {expected:?}"),
        }
        let error = wait(gather(&client(), &wanted(Members::Images))).unwrap_err().to_string();
        assert!(error.contains("is a manifest list"), "{error}");
    }
}

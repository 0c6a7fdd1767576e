//! A cache that is not what it should be costs time, and never a build.

use testkit::{Action, Fault, Kind};

use crate::fixture::Fixture;

const DOCKERFILE: &str =
    "FROM BASE AS one\nCOPY src/a.txt /a\nCOPY src/b.txt /b\nFROM BASE\nCOPY --from=one /a /a\n";
/// What the cache has of it has to be read.
const READS: &str =
    "FROM BASE AS one\nCOPY src/a.txt /a\nCOPY src/b.txt /b\nFROM BASE\nCOPY --from=one /b /b\n";

/// Builds with a full cache and something wrong with it: there is one warning, and the image is the one that a build
/// without a cache gives.
#[track_caller]
fn check(dockerfile: &str, faults: &[Fault], warning: &str) {
    let fixture = Fixture::new();
    fixture.build(DOCKERFILE);
    let mut alone = fixture.options(dockerfile);
    alone.cache = None;
    let sound = fixture.build_with(alone);
    for fault in faults {
        fixture.registry.order(fault.clone());
    }
    let built = fixture.build(dockerfile);
    assert_eq!(built.digest, sound.digest);
    let warnings = built.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:#?}");
    assert!(warnings[0].contains(warning), "{warnings:?}");
}

fn of_cache(fault: Fault) -> Fault {
    fault.repository("cache").always()
}

#[test]
fn look_ups_that_fail() {
    for status in [401, 403, 500] {
        let fault = of_cache(Fault::status(status)).on(Kind::Manifest).method("GET");
        check(DOCKERFILE, &[fault], "it is not asked any more");
    }
}

#[test]
fn a_registry_that_takes_nothing() {
    let fixture = Fixture::new();
    fixture.registry.order(of_cache(Fault::status(403)).on(Kind::Upload));
    let built = fixture.build(DOCKERFILE).expect(0, 3);
    assert_eq!(built.warnings().len(), 1, "{:#?}", built.warnings());
    assert!(built.warnings()[0].contains("nothing more is kept there"));
    fixture.registry.recover();
    fixture.registry.order(of_cache(Fault::status(500)).on(Kind::Manifest).method("PUT"));
    let built = fixture.build(DOCKERFILE).expect(0, 3);
    assert_eq!(built.warnings().len(), 1, "{:#?}", built.warnings());
}

#[test]
fn layers_that_are_missing_or_wrong() {
    let gone = of_cache(Fault::status(404)).on(Kind::Blob).method("GET");
    check(READS, &[gone], "the cache has no use for");
    let failing = of_cache(Fault::status(500)).on(Kind::Blob).method("GET");
    check(READS, &[failing], "the cache has no use for");
    let wrong = of_cache(Fault::new(Action::Corrupt(0))).on(Kind::Blob).method("GET");
    check(READS, &[wrong], "the cache has no use for");
}

/// A layer that is made again comes to the same blob, which is stored although there is a damaged one.
#[test]
fn what_is_damaged_in_a_directory_is_stored_again() {
    let fixture = Fixture::new();
    let directory = fixture.path("kept");
    let build = |dockerfile: &str| {
        let mut options = fixture.options(dockerfile);
        options.clamp = Some(options.now);
        let place = builder::CacheLocation::Directory(directory.clone());
        options.cache =
            Some(builder::CacheOptions { from: vec![place.clone()], to: vec![place], ..fixture.cache() });
        fixture.build_with(options)
    };
    build(DOCKERFILE);
    let layout = layout::Layout::open(&directory).unwrap();
    for blob in layout.blobs().unwrap() {
        let path = layout.blob_path(blob.unwrap());
        let mut bytes = std::fs::read(&path).unwrap();
        if bytes.starts_with(&[0x1f, 0x8b]) {
            *bytes.last_mut().unwrap() ^= 1;
            std::fs::write(&path, bytes).unwrap();
        }
    }
    let damaged = build(READS);
    assert_eq!(damaged.warnings().len(), 1, "{:?}", damaged.warnings());
    let whole = build(READS);
    assert_eq!(whole.warnings(), Vec::<String>::new());
    assert_eq!(whole.steps().1, 0, "{:#?}", whole.events);
    assert_eq!(whole.digest, damaged.digest);
}

/// What layers say is made again from them, in silence.
#[test]
fn indexes_that_are_damaged() {
    let fixture = Fixture::new();
    fixture.build(DOCKERFILE);
    let layout = fixture.registry.layout("cache");
    let mut damaged = 0;
    for blob in layout.blobs().unwrap() {
        let path = layout.blob_path(blob.unwrap());
        let bytes = std::fs::read(&path).unwrap();
        if zstd::decode_all(&bytes[..]).is_ok_and(|text| text.starts_with(b"{\"bako-index\"")) {
            std::fs::write(&path, vec![b'x'; bytes.len()]).unwrap();
            damaged += 1;
        }
    }
    assert!(damaged >= 3, "{damaged}");
    let built = fixture.build(READS).expect(2, 1);
    assert_eq!(built.warnings(), Vec::<String>::new());
}

/// Images that somebody has tagged with keys are passed over.
#[test]
fn records_that_are_none() {
    let fixture = Fixture::new();
    fixture.build(DOCKERFILE);
    let layout = fixture.registry.layout("cache");
    let base = fixture.registry.layout("base").reference("latest").unwrap().unwrap();
    let source = fixture.registry.layout("base");
    let bytes = source.read_blob(base.digest, 1 << 20).unwrap();
    layout.write_blob(&bytes).unwrap();
    let tags: Vec<String> = layout
        .index()
        .unwrap()
        .manifests
        .iter()
        .filter_map(|entry| entry.annotations.get(layout::REFERENCE_NAME).cloned())
        .collect();
    assert!(tags.len() >= 6, "{tags:?}");
    for tag in tags {
        let mut entry = base.clone();
        entry.annotations.insert(layout::REFERENCE_NAME.to_owned(), tag);
        layout.put_reference(entry).unwrap();
    }
    let built = fixture.build(DOCKERFILE).expect(0, 3);
    assert_eq!(built.warnings(), Vec::<String>::new());
    fixture.build(DOCKERFILE).expect(1, 0);
}

/// Where tags cannot be moved, what is there stays, and the rest is kept.
#[test]
fn tags_that_cannot_be_moved() {
    for (status, code, message) in [
        (
            400,
            "TAG_INVALID",
            "The image tag 'd1' already exists in the 'cache' repository and cannot be overwritten because the repository is immutable.",
        ),
        (412, "PRECONDITION", "Failed to process request due to 'cache:d1' configured as immutable."),
        (409, "ImageTagAlreadyExistsException", "tag invalid: the tag already exists"),
    ] {
        let fixture = Fixture::new();
        let body = format!(r#"{{"errors":[{{"code":"{code}","message":"{message}"}}]}}"#);
        let fault = Fault::new(Action::Answer { status, headers: Vec::new(), body });
        fixture.registry.order(fault.repository("cache").on(Kind::Manifest).method("PUT"));
        let built = fixture.build(DOCKERFILE).expect(0, 3);
        assert_eq!(built.warnings(), Vec::<String>::new(), "{status}");
        let again = fixture.build(DOCKERFILE).expect(1, 0);
        assert_eq!(again.digest, built.digest, "{status}");
    }
}

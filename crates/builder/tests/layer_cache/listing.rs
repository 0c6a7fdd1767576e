//! What a cache has, and how it is removed.

use builder::CacheLocation;
use cache::{Domain, Keep, Repository, prune};
use testkit::{Fault, Kind};

use crate::fixture::{Fixture, NOW};

const DOCKERFILE: &str = "FROM BASE\nCOPY src /src\nWORKDIR /work\n";

fn build(fixture: &Fixture, place: &CacheLocation, cached: usize, made: usize) {
    let mut options = fixture.options(DOCKERFILE);
    let cache = options.cache.as_mut().unwrap();
    (cache.from, cache.to) = (vec![place.clone()], vec![place.clone()]);
    fixture.build_with(options).expect(cached, made);
}

fn open(fixture: &Fixture, place: &CacheLocation) -> Repository {
    let client = fixture.options(DOCKERFILE).client;
    Repository::open(place.clone(), client, false).unwrap()
}

#[test]
fn everything_is_listed_and_can_be_removed() {
    let fixture = Fixture::new();
    for place in [fixture.place("cache"), CacheLocation::Directory(fixture.path("layers"))] {
        build(&fixture, &place, 0, 2);
        let repository = open(&fixture, &place);
        let listing = fixture.wait(repository.list()).unwrap();
        assert!(listing.others.is_empty(), "{:?}", listing.others);
        let mut shown: Vec<String> = listing
            .entries
            .iter()
            .map(|entry| format!("{:?} {} {} {:?}", entry.kind, entry.tags.len(), entry.what, entry.used))
            .collect();
        shown.sort();
        assert_eq!(
            shown,
            [
                format!("Build 1  {:?}", Some(NOW)),
                format!("Definition 2 COPY src /src {:?}", Some(NOW)),
                format!("Definition 2 WORKDIR /work {:?}", Some(NOW)),
                format!("Indexes 1  {:?}", Some(NOW)),
            ]
        );
        // The upper step names the layer of the lower.
        let steps: Vec<_> = listing.entries.iter().filter(|entry| entry.kind == Domain::Definition).collect();
        let prunable: Vec<_> = steps.iter().map(|entry| entry.prunable()).collect();
        let all: u64 = prunable.iter().map(|item| item.parts.iter().map(|(_, size)| size).sum::<u64>()).sum();
        let (going, freed) = prune(&prunable, Keep { since: Some(NOW + 1), size: None });
        assert!(going.len() == 2 && freed < all, "{freed} of {all}");

        let lower = steps.iter().find(|entry| entry.what.starts_with("COPY")).unwrap();
        fixture.wait(repository.remove(lower)).unwrap();
        build(&fixture, &place, 2, 0);
        for entry in fixture.wait(repository.list()).unwrap().entries {
            fixture.wait(repository.remove(&entry)).unwrap();
        }
        assert!(fixture.wait(repository.list()).unwrap().entries.is_empty());
        build(&fixture, &place, 0, 2);
    }
    let repository = open(&fixture, &CacheLocation::Directory(fixture.path("layers")));
    for entry in fixture.wait(repository.list()).unwrap().entries {
        fixture.wait(repository.remove(&entry)).unwrap();
    }
    assert_eq!(repository.layout().unwrap().blobs().unwrap().count(), 1, "but for the empty config");
}

#[test]
fn a_registry_that_deletes_nothing_is_told() {
    for status in [405, 403, 400] {
        let fixture = Fixture::new();
        let place = fixture.place("cache");
        build(&fixture, &place, 0, 2);
        fixture.registry.order(Fault::status(status).repository("cache").on(Kind::Manifest).method("DELETE"));
        let repository = open(&fixture, &place);
        let entry = fixture.wait(repository.list()).unwrap().entries.remove(0);
        let error = fixture.wait(repository.remove(&entry)).unwrap_err();
        assert!(error.is_refused(), "{status}: {error}");
    }
}

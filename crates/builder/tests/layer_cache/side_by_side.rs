//! Stages and platforms that are built at the same time: what comes of them is what would come of one after the other.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use builder::{Event, Options};
use testkit::{Action, Fault};

use crate::fixture::Fixture;

/// What is told of each stage, in order.
fn told(events: &[Event]) -> BTreeMap<String, Vec<String>> {
    let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for event in events {
        let (stage, text) = match event {
            Event::Stage { stage, base } => (stage, format!("from {base}")),
            Event::Step { stage, number, total, text } => (stage, format!("{number}/{total} {text}")),
            Event::StepDone { stage, layer, cached, .. } => (stage, format!("done {layer:?} {cached}")),
            _ => continue,
        };
        told.entry(stage.label()).or_default().push(text);
    }
    told
}

#[test]
fn jobs_do_not_matter() {
    let fixture = Fixture::new();
    let mut dockerfile = "FROM BASE AS first\nCOPY src /src\n".to_owned();
    for number in 0..6 {
        let base = ["BASE", "first"][number % 2];
        dockerfile.push_str(&format!("FROM {base} AS s{number}\nCOPY --from=first /src/a.txt /{number}/\n"));
        dockerfile.push_str("ENV A=1\nCOPY --chown=app other.txt /w/\nWORKDIR /w\n");
    }
    dockerfile.push_str("FROM scratch\n");
    (0..6).for_each(|number| dockerfile.push_str(&format!("COPY --from=s{number} / /s{number}\n")));
    let build = |jobs: usize, with_cache: bool| {
        let mut options = fixture.options(&dockerfile);
        options.jobs = NonZeroUsize::new(jobs).unwrap();
        if !with_cache {
            options.cache = None;
        }
        fixture.build_with(options)
    };
    let expected = build(1, false);
    let order: Vec<String> = expected
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Stage { stage, .. } => Some(stage.name.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(order, ["first", "s0", "s1", "s2", "s3", "s4", "s5", "7"], "one job is in order");
    for _ in 0..4 {
        let built = build(8, false);
        assert_eq!(built.digest, expected.digest);
        assert_eq!(told(&built.events), told(&expected.events));
    }
    assert_eq!(build(8, true).digest, expected.digest);
    assert_eq!(build(8, true).expect(6, 0).digest, expected.digest);
}

#[test]
fn the_first_error_is_told() {
    let fixture = Fixture::new();
    for jobs in [1, 8] {
        let mut options = fixture.options(
            "FROM BASE AS one\nCOPY src /src\nFROM BASE AS two\nCOPY no-such-file /\nFROM one\nCOPY --from=two / /two\nCOPY --from=one / /one\n",
        );
        options.jobs = NonZeroUsize::new(jobs).unwrap();
        options.cache = None;
        let error = fixture.fail(options);
        assert!(error.message.contains("no-such-file"), "{error}");
        assert!(error.span.is_some());
    }
}

fn platforms(options: &mut Options) -> Vec<oci::Platform> {
    options.cache = None;
    ["linux/amd64", "linux/arm64"].map(|name| name.parse().unwrap()).to_vec()
}

#[test]
fn platforms_make_an_index() {
    let fixture = Fixture::new();
    let mut digests = Vec::new();
    for jobs in [1, 2, 8] {
        let mut options =
            fixture.options("FROM BASE AS one\nCOPY src /src\nFROM BASE\nCOPY --from=one /src /\n");
        options.jobs = NonZeroUsize::new(jobs).unwrap();
        let platforms = platforms(&mut options);
        let built = fixture.build_platforms(options, &platforms).unwrap();
        let told = told(&built.events);
        let labels: Vec<&str> = told.keys().map(String::as_str).collect();
        assert_eq!(labels, ["linux/amd64 1", "linux/amd64 one", "linux/arm64 1", "linux/arm64 one"]);
        digests.push(built.digest);
    }
    assert!(digests.iter().all(|digest| *digest == digests[0]), "{digests:?}");
}

#[test]
fn a_tag_of_an_index_that_cannot_be_moved() {
    for keeps in [true, false] {
        let fixture = Fixture::new();
        let body = r#"{"errors":[{"code":"DENIED","message":"the tag is immutable"}]}"#.to_owned();
        let answer = Action::Answer { status: 403, headers: Vec::new(), body };
        fixture.registry.order(Fault::new(answer).method("PUT").path("/v2/app/manifests/latest").always());
        let mut options = fixture.options("FROM BASE\nCOPY src /src\n");
        options.outputs.keep_immutable_tags = keeps;
        let platforms = platforms(&mut options);
        match fixture.build_platforms(options, &platforms) {
            Ok(built) => {
                assert!(keeps);
                let warnings = built.warnings();
                assert!(
                    warnings.iter().any(|text| text.contains("is immutable and stays as it is")),
                    "{warnings:?}"
                );
            }
            Err(error) => assert!(!keeps && error.message.contains("immutable"), "{error}"),
        }
    }
}

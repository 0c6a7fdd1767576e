//! What is found again.

use std::time::{Duration, Instant};

use builder::{CacheLocation, NoCache};
use testkit::{Action, Fault, Kind};

use crate::fixture::{Fixture, NOW};

const TWO_STAGES: &str = "FROM BASE AS build
WORKDIR /src
COPY src .
FROM BASE
ENV A=1
COPY --from=build /src/a.txt /out
COPY --chown=app src/b.txt /b
CMD [\"cat\", \"/out\"]
";

#[test]
fn a_second_build_makes_nothing_and_gives_the_same() {
    let fixture = Fixture::new();
    let cold = fixture.build(TWO_STAGES).expect(0, 4);
    let warm = fixture.build(TWO_STAGES).expect(2, 0);
    assert_eq!(warm.digest, cold.digest);
    assert_eq!(warm.warnings(), Vec::<String>::new());
    assert_eq!(warm.count("GET", Kind::Blob), 1, "the base's config: {:#?}", warm.requests);
}

#[test]
fn an_edit_makes_what_depends_on_it() {
    let fixture = Fixture::new();
    fixture.build(TWO_STAGES);
    fixture.write("src/a.txt", "edited\n");
    let edited = fixture.build(TWO_STAGES).expect(1, 3);
    // The base's config, and what layers say; none of them.
    assert!(edited.count("GET", Kind::Blob) <= 4, "{:#?}", edited.requests);
    let again = fixture.build(TWO_STAGES).expect(2, 0);
    assert_eq!(again.digest, edited.digest);
    fixture.write("src/a.txt", "a\n");
    fixture.build(TWO_STAGES).expect(2, 0);
}

#[test]
fn a_stage_that_comes_to_the_same_files_is_found_by_them() {
    let fixture = Fixture::new();
    let stages = |first: &str| {
        format!(
            "FROM BASE AS build\n{first}\nFROM BASE\nCOPY --from=build /d/a.txt /out\nCOPY src/b.txt /b\n"
        )
    };
    let cold = fixture.build(&stages("COPY src/a.txt /d/")).expect(0, 3);
    let other = fixture.build(&stages("COPY src /d/")).expect(2, 1);
    assert_eq!(other.digest, cold.digest);
    fixture.build(&stages("COPY src /d/")).expect(2, 0);
}

#[test]
fn a_stage_on_a_stage() {
    let fixture = Fixture::new();
    let dockerfile = "FROM BASE AS deps\nWORKDIR /app\nCOPY src/b.txt deps\nENV DEPS=1\n\
                      FROM deps AS app\nLABEL a=$DEPS\nCOPY src/a.txt .\nCOPY src/deep .\nUSER 1\n";
    let cold = fixture.build(dockerfile).expect(0, 4);
    let warm = fixture.build(dockerfile).expect(2, 0);
    assert_eq!(warm.digest, cold.digest);
    fixture.write("src/a.txt", "edited\n");
    fixture.build(dockerfile).expect(2, 2);
}

#[test]
fn copies_are_made_again_unless_they_are_to_be_kept() {
    let fixture = Fixture::new();
    let dockerfile = "FROM BASE\nWORKDIR /one\nCOPY src /src\nWORKDIR /two\n";
    let build = |copy_layers, run_layers| {
        let mut options = fixture.options(dockerfile);
        let cache = options.cache.as_mut().unwrap();
        (cache.copy_layers, cache.run_layers) = (copy_layers, run_layers);
        fixture.build_with(options)
    };
    let cold = build(false, true).expect(0, 3);
    let warm = build(false, true).expect(2, 1);
    assert_eq!(warm.digest, cold.digest);
    build(false, false).expect(0, 3);
}

#[test]
fn a_directory_does_as_well_and_one_place_fills_another() {
    let fixture = Fixture::new();
    let directory = CacheLocation::Directory(fixture.path("layers"));
    let build = |from: &[CacheLocation], to: &[CacheLocation]| {
        let mut options = fixture.options(TWO_STAGES);
        let cache = options.cache.as_mut().unwrap();
        (cache.from, cache.to) = (from.to_vec(), to.to_vec());
        fixture.build_with(options)
    };
    let (one, two) = (directory, fixture.place("other"));
    let cold = build(std::slice::from_ref(&one), std::slice::from_ref(&one)).expect(0, 4);
    let warm = build(std::slice::from_ref(&one), std::slice::from_ref(&two)).expect(2, 0);
    assert_eq!(warm.digest, cold.digest);
    build(&[two.clone(), CacheLocation::Directory(fixture.path("none"))], &[]).expect(2, 0);
    let third = CacheLocation::Directory(fixture.path("third"));
    build(&[two], std::slice::from_ref(&third)).expect(2, 0);
    build(&[third], &[]).expect(2, 0);
}

#[test]
fn what_is_to_be_new_is_made() {
    let fixture = Fixture::new();
    fixture.build(TWO_STAGES);
    let build = |no_cache| {
        let mut options = fixture.options(TWO_STAGES);
        options.cache.as_mut().unwrap().no_cache = no_cache;
        fixture.build_with(options)
    };
    build(NoCache::Everything).expect(0, 4);
    // What comes of the stage is known by its files.
    build(NoCache::Stages(vec!["build".to_owned()])).expect(2, 2);
    build(NoCache::Stages(vec!["1".to_owned()])).expect(2, 2);
    let other = build(NoCache::Stages(vec!["biuld".to_owned(), "7".to_owned()])).expect(2, 0);
    assert_eq!(
        other.warnings(),
        [
            "--no-cache-filter biuld: no stage is called so (did you mean build?)",
            "--no-cache-filter 7: no stage is called so",
        ]
    );
}

#[test]
fn results_grow_old_unless_they_are_of_use() {
    let fixture = Fixture::new();
    let build = |clock| {
        let mut options = fixture.options(TWO_STAGES);
        let cache = options.cache.as_mut().unwrap();
        (cache.ttl, cache.clock) = (Some(Duration::from_secs(100)), clock);
        fixture.build_with(options)
    };
    build(NOW).expect(0, 4);
    build(NOW + 90).expect(2, 0);
    build(NOW + 180).expect(2, 0);
    build(NOW + 300).expect(0, 4);
}

/// 20 steps in three stages, all of them cached: the number of round trips that follow each other.
#[test]
fn a_cached_build_costs_few_round_trips() {
    let fixture = Fixture::new();
    let mut dockerfile = String::new();
    for stage in 0..3 {
        dockerfile.push_str(&format!("FROM BASE AS s{stage}\n"));
        if stage > 0 {
            dockerfile.push_str(&format!("COPY --from=s{} / /from/\n", stage - 1));
        }
        for step in 0..if stage == 0 { 8 } else { 5 } {
            dockerfile.push_str(&format!("WORKDIR /s{stage}/{step}\n"));
        }
    }
    let cold = fixture.build(&dockerfile).expect(0, 20);
    let start = Instant::now();
    let warm = fixture.build(&dockerfile).expect(6, 0);
    let without = start.elapsed();
    assert_eq!(warm.digest, cold.digest);
    assert_eq!(warm.count("GET", Kind::Blob), 1, "the base's config: {:#?}", warm.requests);
    let delay = Duration::from_secs(2);
    fixture.registry.order(Fault::new(Action::Delay(delay)).always());
    let start = Instant::now();
    fixture.build(&dockerfile).expect(6, 0);
    let trips = (start.elapsed().saturating_sub(without)).as_secs_f64() / delay.as_secs_f64();
    assert!(trips < 6.9, "{trips} round trips, not 3 stages and 3");
}

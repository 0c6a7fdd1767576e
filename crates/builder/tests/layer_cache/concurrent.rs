//! Builds at once that share a cache repository and a cache directory.

use builder::CacheLocation;

use crate::fixture::{Fixture, NOW};

const ROUNDS: usize = 50;

#[test]
fn two_builds_at_once() {
    let fixture = Fixture::new();
    let directory = CacheLocation::Directory(fixture.path("layers"));
    for round in 0..ROUNDS {
        let dockerfile = format!(
            "FROM BASE AS one\nCOPY src /src\nWORKDIR /round{round}\nFROM BASE\nCOPY --from=one /src /from\nCOPY --chown=app other.txt /other{round}\n"
        );
        let build = || {
            let mut options = fixture.options(&dockerfile);
            (options.now, options.clamp) = (NOW, Some(NOW));
            options.cache_dir = Some(fixture.path("kept"));
            let cache = options.cache.as_mut().unwrap();
            if round % 2 == 1 {
                (cache.from, cache.to) = (vec![directory.clone()], vec![directory.clone()]);
            }
            fixture.build_beside(options)
        };
        let (one, two) = std::thread::scope(|scope| {
            let (one, two) = (scope.spawn(build), scope.spawn(build));
            (one.join().unwrap(), two.join().unwrap())
        });
        assert_eq!(one.digest, two.digest, "{round}");
        assert_eq!([one.warnings(), two.warnings()], [vec![], vec![]] as [Vec<String>; 2], "{round}");
        let after = build();
        assert_eq!((after.digest, after.steps().1), (one.digest, 0), "{round}");
    }
}

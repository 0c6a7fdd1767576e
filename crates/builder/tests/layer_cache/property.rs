//! Whatever is built and edited: a cache changes nothing about what comes of it.

use std::collections::BTreeMap;

use crate::fixture::{Fixture, NOW};

/// Numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        // Of Knuth's MMIX.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }

    fn of<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len())]
    }
}

const FILES: [&str; 4] = ["src/a.txt", "src/b.txt", "src/deep/c.txt", "other.txt"];

/// An instruction; `stages` is how many there are to copy from.
fn instruction(numbers: &mut Numbers, stages: usize) -> String {
    match numbers.below(if stages > 0 { 8 } else { 6 }) {
        0 => format!("WORKDIR /{}", numbers.of(&["w", "w/x", "d"])),
        1 => format!("COPY {} /d/", numbers.of(&FILES)),
        2 => format!(
            "COPY {} src /d{}/",
            numbers.of(&["--chmod=640", "--chown=1:2", "--link", ""]),
            numbers.below(2)
        ),
        3 => format!("ENV V={}", numbers.below(3)),
        4 => format!("USER {}", numbers.below(2)),
        5 => format!("COPY <<doc /{}/\n{}\ndoc", numbers.of(&["h", "d"]), numbers.of(&["one", "two", "$V"])),
        6 => format!("COPY --from=s{} /d /from/", numbers.below(stages)),
        _ => format!("COPY --from=s{} --exclude=*.txt / /all/", numbers.below(stages)),
    }
}

fn dockerfile(numbers: &mut Numbers) -> Vec<String> {
    let mut lines = Vec::new();
    for stage in 0..1 + numbers.below(3) {
        let base = match stage > 0 && numbers.below(3) == 0 {
            true => format!("s{}", numbers.below(stage)),
            false => "BASE".to_owned(),
        };
        lines.push(format!("FROM {base} AS s{stage}"));
        lines.push("WORKDIR /d".to_owned());
        for _ in 0..1 + numbers.below(4) {
            lines.push(instruction(numbers, stage));
        }
    }
    lines
}

/// Something is otherwise than before.
fn edit(fixture: &Fixture, numbers: &mut Numbers, lines: &mut Vec<String>) {
    match numbers.below(4) {
        0 => fixture.write(numbers.of(&FILES), numbers.of(&["one\n", "two\n", "three\n"])),
        1 => fixture.run(numbers.of(&[
            "touch -d 2001-01-01 src/a.txt",
            "chmod 600 src/b.txt",
            "chmod 644 src/b.txt",
        ])),
        2 => {
            let line = 1 + numbers.below(lines.len() - 1);
            if !lines[line].starts_with("FROM") {
                lines[line] = instruction(numbers, 0);
            }
        }
        _ => lines.push(instruction(numbers, 0)),
    }
}

#[test]
fn cold_is_warm() {
    let fixture = Fixture::new();
    let mut keys: BTreeMap<String, String> = BTreeMap::new();
    let mut found = 0;
    for seed in 0..12 {
        let mut numbers = Numbers(seed);
        fixture.lay_out_context();
        let mut lines = dockerfile(&mut numbers);
        for _ in 0..3 {
            let text = lines.join("\n");
            // Times of sources are in no key, so they are made to be in no layer.
            let options = |with_cache: bool| {
                let mut options = fixture.options(&text);
                options.clamp = Some(0);
                options.now = NOW;
                if !with_cache {
                    options.cache = None;
                }
                options
            };
            let stages = fixture.plan(&options(true));
            let warm = fixture.build_with(options(true));
            let cold = fixture.build_with(options(false));
            assert_eq!(warm.digest, cold.digest, "{text}\n{:#?}", warm.events);
            let again = fixture.build_with(options(true));
            assert_eq!((again.digest, again.steps().1), (cold.digest, 0), "{text}");
            found += warm.steps().0;
            // One key, one image: the last step's stands for all that made it, but for the config.
            let last = stages.last().unwrap();
            let key = last.steps.iter().filter_map(|step| step.key.clone()).next_back().unwrap();
            let config: Vec<&str> =
                last.steps.iter().filter(|step| step.key.is_none()).map(|step| step.text.as_str()).collect();
            let texts: Vec<&str> = last.steps.iter().map(|step| step.text.as_str()).collect();
            let name = format!("{key} {config:?} {texts:?} {}", last.base);
            let digest = keys.entry(name).or_insert_with(|| cold.digest.to_string());
            assert_eq!(*digest, cold.digest.to_string(), "{text}");
            edit(&fixture, &mut numbers, &mut lines);
        }
    }
    assert!(found > 10, "{found} steps were found");
}

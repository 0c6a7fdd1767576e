//! What is in a key: every block of `matrix.txt`.

use std::collections::BTreeMap;

use builder::{Options, TreePath};
use oci::Compression;
use sandbox::Secret;

use crate::fixture::Fixture;

/// One change, and what is to come of it.
#[derive(Default)]
struct Row {
    what: String,
    is_hit: bool,
    file: Vec<String>,
    then: Vec<String>,
    set: Vec<(String, String)>,
    then_set: Vec<(String, String)>,
    change: Vec<String>,
    base: Vec<String>,
}

fn rows(text: &str) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (key, value) = line.split_once(':').unwrap();
        let value = value.strip_prefix(' ').unwrap_or(value).to_owned();
        let pair = || {
            let (key, value) = value.split_once(' ').unwrap();
            (key.to_owned(), value.to_owned())
        };
        if matches!(key, "hit" | "miss") {
            rows.push(Row { what: value, is_hit: key == "hit", ..Row::default() });
            continue;
        }
        let row = rows.last_mut().unwrap();
        match key {
            "file" => row.file.push(value),
            "then" => row.then.push(value),
            "set" => row.set.push(pair()),
            "then-set" => row.then_set.push(pair()),
            "change" => row.change.push(value),
            "base" => row.base.push(value),
            other => panic!("{other}"),
        }
    }
    rows
}

fn set(options: &mut Options, settings: &[(String, String)]) {
    for (key, value) in settings {
        let pair = || {
            let (name, value) = value.split_once('=').unwrap();
            (name.to_owned(), value.to_owned())
        };
        match key.as_str() {
            "arg" => drop(options.build_args.insert(pair().0, pair().1)),
            "host" => options.add_hosts.push((pair().0, pair().1.parse().unwrap())),
            "secret" => drop(options.secrets.insert(pair().0, Secret::new(pair().1.into_bytes()))),
            "epoch" => options.clamp = Some(value.parse().unwrap()),
            "platform" => options.platform = value.parse().unwrap(),
            "compression" => {
                assert_eq!(value, "zstd");
                options.compression = Compression::Zstd;
            }
            "ignore-path" => options.ignored_paths.push(TreePath::new(value.as_str()).unwrap()),
            other => panic!("{other}"),
        }
    }
}

/// The key of the last step that makes a layer.
fn key(fixture: &Fixture, row: &Row, is_second: bool) -> String {
    let lines = if is_second && !row.then.is_empty() { &row.then } else { &row.file };
    let mut text = lines.join("\n");
    if !text.contains("FROM ") {
        text = format!("FROM BASE\n{text}");
    }
    let mut options = fixture.options(&text);
    options.ignore = Some("*.log\n".to_owned());
    let mut settings = row.set.clone();
    if is_second {
        settings.retain(|(key, _)| !row.then_set.iter().any(|(other, _)| other == key));
        settings.extend(row.then_set.clone());
    }
    set(&mut options, &settings);
    let stages = fixture.plan(&options);
    let steps = stages.iter().filter(|stage| stage.is_needed).flat_map(|stage| &stage.steps);
    steps.filter_map(|step| step.key.clone()).next_back().unwrap_or_else(|| panic!("{}: no key", row.what))
}

#[test]
fn every_row() {
    let rows = rows(include_str!("matrix.txt"));
    assert!(rows.len() >= 60, "{}", rows.len());
    let mut wrong = Vec::new();
    let mut counts: BTreeMap<bool, usize> = BTreeMap::new();
    let fixture = Fixture::new();
    for row in &rows {
        fixture.lay_out_context();
        fixture.push_base("");
        let before = key(&fixture, row, false);
        for command in &row.change {
            fixture.run(command);
        }
        if !row.base.is_empty() {
            fixture.push_base(&row.base.join("\n"));
        }
        let after = key(&fixture, row, true);
        *counts.entry(row.is_hit).or_default() += 1;
        if (before == after) != row.is_hit {
            wrong.push(row.what.as_str());
        }
    }
    assert!(wrong.is_empty(), "otherwise than expected: {wrong:#?}");
    assert!(counts[&true] > 20 && counts[&false] > 30, "{counts:?}");
}

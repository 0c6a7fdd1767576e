//! Runs every folder of `tests/cases` as a test: built under each isolation that works here, twice each (all stages
//! side by side, and one after the other), of which one finds the beginning of its Dockerfile in a cache, and once more
//! with everything in that cache, to one digest; then what is in the registry is compared with the case's `expect`.
#![forbid(unsafe_code)]
#![allow(clippy::print_stderr, reason = "cargo xtask test counts what a test says it did")]

use anyhow::{Context as _, Result, ensure};
use e2e::process::Finished;
use e2e::registry::Registry;
use e2e::site::Site;
use e2e::stock::{Base, Stock};
use e2e::{Bako, Case, Expect, Image, conventions, host, image, program, tree};
use libtest_mimic::{Arguments, Trial};
use serde_json::Value;

fn main() -> Result<()> {
    let arguments = Arguments::from_args();
    let cases = Case::all(&host::repository().join("tests/cases"))?;
    let mut trials = vec![Trial::test("conventions", {
        let cases = cases.clone();
        move || Ok(conventions::check(&cases).map_err(|error| causes(&error))?)
    })];
    trials.extend(cases.into_iter().map(|case| {
        let name = case.name.clone();
        Trial::test(name, move || Ok(check(&case).map_err(|error| causes(&error))?))
    }));
    libtest_mimic::run(&arguments, trials).exit()
}

/// An error with its causes, a line each.
fn causes(error: &anyhow::Error) -> String {
    let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
    causes.join("\n")
}

fn check(case: &Case) -> Result<()> {
    let bako = Bako::built()?;
    let here = bako.isolations()?;
    ensure!(!here.is_empty(), "no isolation works here");
    let mut isolations = here.clone();
    if let Some((only, reason)) = &case.expect.isolation {
        isolations.retain(|isolation| only.contains(isolation));
        for left_out in here.iter().filter(|isolation| !only.contains(isolation)) {
            eprintln!("left out: {}: under {left_out}: {reason}", case.name);
        }
        if isolations.is_empty() {
            host::skip_named(&case.name, &format!("is for {}, which does not work here", only.join(" and ")));
            return Ok(());
        }
    }
    let stock = Stock::of(&bako)?;
    let registry = stock.registry(&bako)?;
    let site = Site::new(case, &registry)?;

    let destination = registry.reference("case:latest");
    let mut digest: Option<String> = None;
    let rounds = ["first", "second"];
    let cached = ["--cache", "--cache-copy-layers", "--cache-repo"].map(str::to_owned);
    let cached = [&cached[..], &[registry.reference("cache")]].concat();
    // Builds of the beginning, and whether there is something of it to be found.
    let (mut begun, mut finds_a_part) = (0, false);
    for (number, isolation) in isolations.iter().enumerate() {
        for round in rounds {
            let is_incremental = number == 0 && round == "second";
            if is_incremental && case.expect.errors.is_empty() && case.expect.whole.is_none() {
                let shorter = registry.reference("beginning:latest");
                if let Some(built) = site.build_beginning(&bako, Some(isolation), &shorter, &cached)? {
                    begun += 1;
                    finds_a_part = built.stderr.lines().any(is_made);
                }
            }
            // One of them leaves its results in a cache.
            let mut words = if is_incremental { cached.clone() } else { Vec::new() };
            if !case.expect.arguments.iter().any(|word| word == "--jobs") {
                words.extend(["--jobs", if round == "first" { "8" } else { "1" }].map(str::to_owned));
            }
            let built = site.build_with(&bako, Some(isolation), &destination, &words)?;
            let context = format!("{round} build under {isolation}, standard error:\n{}", built.stderr);
            let same = after(case, &registry, &built, begun > 0 && is_incremental).context(context)?;
            let expected = digest.get_or_insert_with(|| same.clone());
            ensure!(*expected == same, "{round} build under {isolation}: {same}, but before: {expected}");
            if is_incremental && finds_a_part {
                let finds = built.stderr.lines().any(|line| line.contains("cached, layer of"));
                ensure!(finds, "nothing of its beginning is found in the cache:\n{}", built.stderr);
            }
        }
    }
    let mut warm = 0;
    if let Some(expected) = digest.filter(|_| case.expect.errors.is_empty()) {
        let built = site.build_with(&bako, Some(&isolations[0]), &destination, &cached)?.success()?;
        let same = program::digest(&built)?;
        let context =
            format!("from the cache: {same}, but before: {expected}, standard error:\n{}", built.stderr);
        ensure!(expected == same, "{context}");
        ensure!(!built.stderr.lines().any(is_made), "made again though it is cached:\n{}", built.stderr);
        warm = 1;
    }
    // `cargo xtask test` adds these lines up.
    let builds = (isolations.len() * rounds.len() + warm) * (1 + case.expect.before.len()) + begun;
    eprintln!("built: {}: {builds} times under {}", case.name, isolations.join(" "));
    if !case.expect.errors.is_empty() {
        return Ok(());
    }
    if let Some(reason) = host::missing(image::JUDGES) {
        host::skip_named(&case.name, &format!("looking into the image {reason}"));
        return Ok(());
    }
    let actual = observe(case, &stock.busybox(&registry)?, &registry)?;
    if std::env::var_os("BLESS").is_some() {
        return Ok(std::fs::write(case.folder.join("expect"), actual.text())?);
    }
    compare(&case.expect.text(), &actual.text())
}

/// True if a line of a build says that a layer was made.
fn is_made(line: &str) -> bool {
    let done = line.starts_with("  done in") || line.contains(": done in");
    done && line.contains(", layer of")
}

/// What a build must have left behind it; the image's digest, or the empty text for a build that was to
/// fail.
fn after(case: &Case, registry: &Registry, built: &Finished, is_incremental: bool) -> Result<String> {
    let expect = &case.expect;
    // Of what is found in a cache, nothing is told again.
    let warnings = expect.warnings.iter().filter(|_| !is_incremental);
    for text in expect.errors.iter().chain(warnings) {
        let text = text.replace("REGISTRY", &registry.address);
        ensure!(built.stderr.contains(&text), "{text:?} is not in standard error");
    }
    for text in &expect.hidden {
        let shown = built.stderr.contains(text) || built.stdout.contains(text);
        ensure!(!shown, "{text:?} is shown, though it is hidden");
    }
    if expect.errors.is_empty() {
        ensure!(built.code == 0, "exit code {}", built.code);
        let digest = program::digest(built)?;
        ensure!(registry.digest("case", "latest")? == digest, "the tag is not at the digest printed");
        return Ok(digest);
    }
    ensure!(built.code != 0, "the build was to fail");
    ensure!(expect.exit.is_none_or(|code| code == built.code), "exit code {}", built.code);
    ensure!(built.stdout.is_empty(), "a failed build prints nothing on standard output");
    ensure!(!registry.has_tag("case", "latest")?, "a failed build left a tag");
    Ok(String::new())
}

/// What is in the registry, in the words of an `expect` file.
fn observe(case: &Case, busybox: &Base, registry: &Registry) -> Result<Expect> {
    let image = Image::pull(&registry.reference("case:latest"))?;
    let on_base = image.diff_ids().starts_with(&busybox.diff_ids);
    let nothing = tree::Tree::new();
    let (below, history) = match on_base {
        true => (&busybox.tree, entries(&busybox.history).len()),
        false => (&nothing, 0),
    };
    let neutral = |line: String| line.replace(&registry.address, "REGISTRY");
    let changes = tree::changes(below, &image.tree()?).into_iter().map(neutral).collect();
    check_consistency(&image)?;
    for text in &case.expect.hidden {
        let found = image.holds(text.as_bytes())?;
        ensure!(
            found.is_none(),
            "{text:?} is in the image, though it is hidden: {}",
            found.unwrap_or_default()
        );
    }
    Ok(Expect {
        config: config(&image.config).into_iter().map(neutral).collect(),
        history: entries(&image.config["history"]).into_iter().skip(history).map(neutral).collect(),
        tree: changes,
        ..case.expect.clone()
    })
}

/// What holds for every image: one diff id and one layer for each history entry with a layer, and the
/// time that was asked for.
fn check_consistency(image: &image::Image) -> Result<()> {
    let history = entries(&image.config["history"]);
    let with_layer = history.iter().filter(|entry| entry.starts_with("layer ")).count();
    let layers = image.manifest["layers"].as_array().map_or(0, Vec::len);
    let diff_ids = image.diff_ids().len();
    ensure!(with_layer == layers && layers == diff_ids, "{with_layer} in history, {layers}, {diff_ids}");
    let created = image.config["created"].as_str().context("`created` is missing")?;
    ensure!(created.starts_with("2023-11-14T22:13:20"), "created {created}, not SOURCE_DATE_EPOCH");
    Ok(())
}

/// History entries as lines: whether there is a layer, and what made it.
fn entries(history: &Value) -> Vec<String> {
    let list = history.as_array();
    let line = |entry: &Value| {
        let kind = if entry["empty_layer"] == true { "empty" } else { "layer" };
        format!("{kind} {}", entry["created_by"].as_str().unwrap_or_default().replace('\n', "\\n"))
    };
    list.into_iter().flatten().map(line).collect()
}

/// The config's entries as lines, by name.
fn config(document: &Value) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let author = document.get("author").map(|author| format!("author: {author}"));
    lines.extend(author);
    for (key, value) in document["config"].as_object().into_iter().flatten() {
        lines.push(format!("{key}: {value}"));
    }
    lines.sort();
    lines
}

/// Both texts, line by line, with what is only in one of them marked.
fn compare(expected: &str, actual: &str) -> Result<()> {
    if expected == actual {
        return Ok(());
    }
    let mut message = String::from("not as expected (- expected, + actual; BLESS=1 writes it anew)\n");
    for line in expected.lines().filter(|line| !actual.lines().any(|other| other == *line)) {
        message.push_str(&format!("- {line}\n"));
    }
    for line in actual.lines().filter(|line| !expected.lines().any(|other| other == *line)) {
        message.push_str(&format!("+ {line}\n"));
    }
    anyhow::bail!(message)
}

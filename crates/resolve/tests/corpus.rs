//! The corpus: manifests as data, each with what is printed of it in both forms, against a registry with fixed images.
//!
//! A case is a file in `corpus/` with sections that begin with `#### NAME`. `input FILE` is read in order; `options` are
//! words. The other sections are what comes of it: `final` (what each reference is), `text` and `kbld` (the documents in
//! the two forms), `lock`, `imgpkg`, or `error`. `BLESS=1` writes them anew; read every change before it is committed.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use oci::{Descriptor, Platform};
use registry::{Client, ClientOptions};
use resolve::{Build, Built, Inputs, Job, PlatformSelection, Printer, Resolution, Resolver, ResolverOptions};
use testkit::{ImageBuilder, TestRegistry, store_index};

/// As many as there have to be.
const LEAST: usize = 120;

/// Puts the images that the cases refer to into a registry.
fn stock(registry: &TestRegistry) {
    let image = |name: &str, platform: &str| {
        ImageBuilder::new().platform(platform).layer(&format!("/name file = {}", name.replace(' ', "\\s")))
    };
    for tag in ["1.14.2", "latest", "13", "v1", "1.0"] {
        image(&format!("nginx {tag}"), "linux/amd64").push(registry, "nginx", tag);
    }
    for name in ["app", "team/app", "library/redis", "sidecar"] {
        image(name, "linux/amd64").docker().push(registry, name, "latest");
        image(&format!("{name} 1"), "linux/amd64").docker().push(registry, name, "1");
    }
    for tag in ["v1.0.0", "1.1.0", "1.10.0", "2.0.0-rc.1", "2.0.0-beta.2", "nightly"] {
        image(&format!("versions {tag}"), "linux/amd64").push(registry, "versions", tag);
    }
    let layout = registry.layout("multi");
    let mut stored: Vec<_> =
        ["linux/amd64", "linux/arm64", "linux/arm/v6", "linux/arm/v7", "windows/amd64", "windows/amd64"]
            .iter()
            .enumerate()
            .map(|(at, platform)| image(&format!("multi {at}"), platform).store(&layout, None))
            .collect();
    for (index, version) in [(4, "10.0.17763.1"), (5, "10.0.20348.1")] {
        let platform = stored[index].descriptor.platform.as_mut().unwrap();
        platform.os_version = Some(version.to_owned());
    }
    let mut attestation = image("attestation", "linux/amd64").store(&layout, None);
    attestation.descriptor.platform =
        Some(Platform { os: "unknown".into(), architecture: "unknown".into(), ..Platform::host() });
    let mut nowhere = image("nowhere", "linux/amd64").store(&layout, None);
    nowhere.descriptor = Descriptor { platform: None, ..nowhere.descriptor };
    stored.extend([attestation, nowhere]);
    store_index(&layout, Some("1"), &stored.iter().collect::<Vec<_>>());
}

/// A builder that builds nothing, but says what it was asked for.
struct Pretended;

impl Build for Pretended {
    fn build(&self, job: &Job) -> Result<Built, String> {
        let destination = job.destination.as_ref().ok_or("no destination")?;
        let digest = oci::Digest::of(format!("{:?}", job.source).as_bytes());
        let origins = vec![resolve::Origin::Local { path: format!("/work/{}", job.source.path) }];
        Ok(Built { url: format!("{}@{digest}", destination.new_image), origins })
    }
}

fn sections(text: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    for line in text.split_inclusive('\n') {
        match line.strip_prefix("#### ") {
            Some(name) => found.push((name.trim().to_owned(), String::new())),
            None => found.last_mut().expect("a case begins with a section").1.push_str(line),
        }
    }
    found
}

/// What comes of a case, as sections.
fn outcome(given: &[(String, String)], options: &str, client: &Client) -> Vec<(&'static str, String)> {
    match try_outcome(given, options, client) {
        Ok(sections) => sections,
        Err(error) => vec![("error", format!("{}\n", error.trim_start()))],
    }
}

fn try_outcome(
    given: &[(String, String)],
    options: &str,
    client: &Client,
) -> Result<Vec<(&'static str, String)>, String> {
    let option = |name: &str| options.split_whitespace().any(|word| word == name);
    let value = |name: &str| {
        options
            .split_whitespace()
            .find_map(|word| word.strip_prefix(name)?.strip_prefix('=').map(str::to_owned))
    };
    let mut inputs = Inputs::new();
    for (name, text) in given {
        let text = if option("no-newline") { text.trim_end_matches('\n') } else { text };
        inputs.add(&format!("file '{name}'"), text.as_bytes()).map_err(|error| error.to_string())?;
    }
    let references = inputs.references().map_err(|error| error.to_string())?;
    let platform = value("platform").map(|text| PlatformSelection::parse(&text)).transpose()?;
    let options = ResolverOptions {
        config: inputs.config().clone(),
        platform,
        build: !option("no-build"),
        concurrency: 16,
        build_concurrency: 1,
    };
    let resolver = Resolver::new(options, client.clone(), Arc::new(Pretended));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let outcomes = runtime.block_on(resolver.resolve_all(references.into_keys()));
    let mut resolved: BTreeMap<String, Resolution> = BTreeMap::new();
    let mut failed = String::new();
    for (reference, outcome) in outcomes {
        match outcome {
            Ok(resolution) => drop(resolved.insert(reference, resolution)),
            Err(error) => writeln!(failed, "{reference}: {error}").unwrap(),
        }
    }
    if !failed.is_empty() {
        return Err(failed.trim_end().to_owned());
    }
    let mut sections = Vec::new();
    let lines: Vec<String> = resolved.iter().map(|(old, new)| format!("{old} -> {}\n", new.url)).collect();
    sections.push(("final", lines.concat()));
    let annotate = !option("no-annotation");
    for (name, printer) in [("text", Printer::InPlace), ("kbld", Printer::Kbld)] {
        let mut out = Vec::new();
        inputs
            .print(printer, annotate, &|reference| resolved.get(reference), &mut out)
            .map_err(|error| error.to_string())?;
        sections.push((name, String::from_utf8(out).unwrap()));
    }
    if option("lock") {
        sections.push(("lock", resolve::lock(&resolved, inputs.config()).unwrap()));
    }
    if option("imgpkg") {
        let lock =
            resolve::images_lock(&resolved, !option("no-origins")).map_err(|error| error.to_string())?;
        sections.push(("imgpkg", lock));
    }
    Ok(sections)
}

#[test]
fn every_case_comes_out_as_it_says() {
    let registry = TestRegistry::start();
    stock(&registry);
    let address = registry.address();
    let client = Client::new(ClientOptions::default()).unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= LEAST, "{} cases", files.len());
    let mut wrong = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let sections = sections(&text);
        let given: Vec<(String, String)> = sections
            .iter()
            .filter_map(|(name, text)| {
                Some((name.strip_prefix("input ")?.to_owned(), text.replace("$REGISTRY", &address)))
            })
            .collect();
        let options = sections.iter().find(|(name, _)| name == "options").map_or("", |(_, text)| text);
        let mut written: String = sections
            .iter()
            .filter(|(name, _)| name.starts_with("input ") || name == "options")
            .map(|(name, text)| format!("#### {name}\n{text}"))
            .collect();
        for (name, text) in outcome(&given, options, &client) {
            let text = text.replace(&address, "$REGISTRY");
            let newline = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
            written.push_str(&format!("#### {name}\n{text}{newline}"));
        }
        if written == text {
            continue;
        }
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&file, written).unwrap();
        } else {
            let line = text.lines().zip(written.lines()).position(|(one, other)| one != other);
            let found = line.and_then(|line| written.lines().nth(line)).unwrap_or("the end");
            wrong.push(format!("{}, line {:?}: {found}", file.display(), line.map(|line| line + 1)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_printed_comes_out_the_same_again() {
    let registry = TestRegistry::start();
    stock(&registry);
    let address = registry.address();
    let client = Client::new(ClientOptions::default()).unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    for file in std::fs::read_dir(folder).unwrap() {
        let file = file.unwrap().path();
        let text = std::fs::read_to_string(&file).unwrap();
        let sections = sections(&text);
        // What an override leaves by its tag is found by that now.
        let by_tag = |(name, text): &(String, String)| {
            name == "final" && text.lines().any(|line| !line.contains("@sha256:"))
        };
        if sections.iter().any(by_tag) {
            continue;
        }
        // A rule of the input, which is not in what is printed, has found what is not looked for now.
        if text.contains("searchRules:") || text.contains("\nkeys:") {
            continue;
        }
        for (name, text) in sections {
            if name != "text" && name != "kbld" || text.is_empty() {
                continue;
            }
            let text = text.replace("$REGISTRY", &address);
            let given = [("out.yaml".to_owned(), text.clone())];
            let Ok(again) = try_outcome(&given, "", &client) else { continue };
            let printed = &again.iter().find(|(other, _)| *other == name).unwrap().1;
            assert_eq!(printed, &text, "{}: {name}", file.display());
        }
    }
}

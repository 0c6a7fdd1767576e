//! `bako cache inspect`: all that is known of one thing.

use anyhow::{Result, anyhow, bail};
use builder::{INPUTS_TYPE, Told, decode_inputs};
use cache::{Domain, Entry, Repository, inventory};
use clap::Args;
use report::text;
use serde_json::{Value, json};

use super::line::Line;
use super::{Format, PlaceArgs, places};
use crate::images_command::runtime;
use crate::terminal::print_result;

/// What `cache inspect` is told.
#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// The key, its beginning, or a tag.
    #[arg(value_name = "KEY")]
    key: String,
    #[command(flatten)]
    place: PlaceArgs,
}

pub(super) fn run(args: &InspectArgs) -> Result<()> {
    let places = places(&args.place)?;
    let hex = args.key.split_once('-').map_or(args.key.as_str(), |(_, hex)| hex);
    let mut found = Vec::new();
    if let Some(repository) = &places.repository {
        let runtime = runtime()?;
        let place = repository.location().to_string();
        let entries =
            runtime.block_on(repository.list()).map_err(|error| anyhow!("{place}: {error}"))?.entries;
        let has_key = |entry: &&Entry| {
            let mut keys = entry.tags.iter().filter_map(|tag| tag.split_once('-'));
            !hex.is_empty() && keys.any(|(_, key)| key.starts_with(hex))
        };
        for entry in entries.iter().filter(has_key) {
            let told = runtime.block_on(inputs(repository, &entries, entry));
            found.push(described(&place, entry, &told));
        }
    }
    if let Some(directory) = &places.directory {
        let place = directory.display().to_string();
        let items = inventory(directory)?;
        for item in items.iter().filter(|item| !hex.is_empty() && item.key.starts_with(hex)) {
            let mut value = Line::of_item(&place, item).json();
            value["path"] = json!(item.path);
            found.push(value);
        }
    }
    match &found[..] {
        [] => bail!("nothing has a key that begins with {hex}"),
        [one] if args.place.format == Format::Json => print_result(&one.to_string()),
        [one] => print_result(shown(one).trim_end()),
        several => {
            let keys: Vec<&str> = several.iter().filter_map(|value| value["key"].as_str()).collect();
            bail!("{} things have keys that begin with {hex}: {}", several.len(), keys.join(", "));
        }
    }
    Ok(())
}

/// What a step was made of, or the steps of a build; as far as a build has left that.
async fn inputs(repository: &Repository, entries: &[Entry], entry: &Entry) -> Vec<Told> {
    let builds = entries.iter().filter(|other| match entry.kind {
        Domain::Build => other.manifest == entry.manifest,
        _ => other.kind == Domain::Build,
    });
    let mut found = Vec::new();
    for build in builds {
        let Some(blob) = build.layers.first().filter(|blob| blob.media_type.as_str() == INPUTS_TYPE) else {
            continue;
        };
        // What cannot be read is not known.
        let Ok(bytes) = repository.blob(blob, builder::INPUTS_LIMIT).await else { continue };
        let steps = decode_inputs(&bytes).unwrap_or_default();
        let is_wanted = |step: &Told| entry.kind == Domain::Build || step.definition == entry.key();
        for step in steps.into_iter().filter(is_wanted) {
            if !found.contains(&step) {
                found.push(step);
            }
        }
    }
    found
}

fn described(place: &str, entry: &Entry, told: &[Told]) -> Value {
    let mut value = Line::of_entry(place, entry, None).json();
    let layers = entry.layers.iter().map(|layer| {
        json!({
            "mediaType": layer.media_type.as_str(), "digest": layer.digest, "size": layer.size,
            "annotations": layer.annotations,
        })
    });
    let steps = told.iter().map(|step| {
        let inputs = step.inputs.iter().map(|(name, mark)| json!({ "name": name, "mark": mark }));
        json!({
            "stage": step.stage, "step": step.text, "root": step.root, "definition": step.definition,
            "inputs": inputs.collect::<Vec<_>>(),
        })
    });
    value["tags"] = json!(entry.tags);
    value["manifest"] = json!(entry.manifest);
    value["signed"] = json!(entry.is_signed);
    value["layers"] = layers.collect();
    value["steps"] = steps.collect();
    value
}

/// The same for people.
fn shown(value: &Value) -> String {
    let mut text = String::new();
    let mut line = |name: &str, shown: String| text.push_str(&format!("{name:<9} {shown}\n"));
    for name in ["kind", "key", "what", "created", "used", "manifest", "signed", "path"] {
        match &value[name] {
            Value::Null => {}
            Value::String(shown) if shown.is_empty() => {}
            Value::String(shown) => line(name, shown.clone()),
            other => line(name, other.to_string()),
        }
    }
    line("size", text::bytes(value["size"].as_u64().unwrap_or_default()));
    let list = |name: &str| value[name].as_array().cloned().unwrap_or_default();
    for tag in list("tags") {
        line("tag", tag.as_str().unwrap_or_default().to_owned());
    }
    for layer in list("layers") {
        let size = text::bytes(layer["size"].as_u64().unwrap_or_default());
        let of = |name: &str| layer[name].as_str().unwrap_or_default().to_owned();
        line("blob", format!("{} {size} {}", of("digest"), of("mediaType")));
    }
    for step in list("steps") {
        let of = |name: &str| step[name].as_str().unwrap_or_default().to_owned();
        line("step", format!("{}: {}", of("stage"), of("step")));
        for input in step["inputs"].as_array().into_iter().flatten() {
            let of = |name: &str| input[name].as_str().unwrap_or_default().to_owned();
            line("  input", format!("{} {}", of("mark"), of("name")));
        }
    }
    text
}

//! `bako cache`: what is in a cache repository and in a cache directory, and what of it may go.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, anyhow, bail};
use builder::{CacheLocation, INPUTS_TYPE, Told, decode_inputs};
use cache::{Domain, Entry, Inventory, Keep, Repository, inventory, prune};
use clap::{Args, Subcommand, ValueEnum};
use report::text;
use serde_json::{Value, json};

use crate::images_command::{client, finish, runtime};
use crate::layer_cache::location;
use crate::registry_args::RegistryArgs;
use crate::terminal::{print_line, print_result};
use crate::values::{duration, given, path, size};

/// What to do with a cache.
#[derive(Debug, Subcommand)]
pub(crate) enum CacheCommand {
    /// List what is there, what was of use last first.
    Ls(LsArgs),
    /// Remove what is old, or too much.
    Prune(PruneArgs),
    /// Show all that is known of one thing.
    Inspect(InspectArgs),
}

/// Which cache.
#[derive(Debug, Args)]
pub(crate) struct PlaceArgs {
    /// The cache repository, or oci:DIR for a directory.
    #[arg(value_name = "REPOSITORY")]
    repository: Option<String>,
    /// A cache directory, instead or as well.
    #[arg(long, value_name = "DIR", value_parser = path())]
    cache_dir: Option<PathBuf>,
    #[command(flatten)]
    registries: RegistryArgs,
    /// How to say it.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// What `cache ls` is told.
#[derive(Debug, Args)]
pub(crate) struct LsArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// How long a build would use a result, as with its flag of this name.
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "336h")]
    cache_ttl: Duration,
}

/// What `cache prune` is told.
#[derive(Debug, Args)]
pub(crate) struct PruneArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// Remove what was not of use for so long, as 336h.
    #[arg(long, value_name = "DURATION", value_parser = duration, required_unless_present = "keep_size")]
    older_than: Option<Duration>,
    /// Keep so much of what was of use last, as in 500m or 2g, in each place.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    keep_size: Option<u64>,
    /// Only say what would go.
    #[arg(long)]
    dry_run: bool,
}

/// What `cache inspect` is told.
#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// The key, its beginning, or a tag.
    #[arg(value_name = "KEY")]
    key: String,
    #[command(flatten)]
    place: PlaceArgs,
}

pub(crate) fn run(command: CacheCommand) -> ExitCode {
    finish(|| match command {
        CacheCommand::Ls(args) => ls(&args),
        CacheCommand::Prune(args) => remove(&args),
        CacheCommand::Inspect(args) => inspect(&args),
    })
}

/// The places that were named, opened.
struct Places {
    repository: Option<Repository>,
    directory: Option<PathBuf>,
}

fn places(args: &PlaceArgs) -> Result<Places> {
    let directory = given(&args.cache_dir);
    let repository = match given(&args.repository) {
        Some(text) => {
            let location = location(&text).with_context(|| text.clone())?;
            if let CacheLocation::Directory(directory) = &location
                && !directory.is_dir()
            {
                bail!("{text}: there is no such directory");
            }
            Some(Repository::open(location, client(&args.registries)?, false)?)
        }
        None => None,
    };
    if let Some(directory) = directory.as_ref().filter(|directory| !directory.is_dir()) {
        bail!("--cache-dir {}: there is no such directory", directory.display());
    }
    if repository.is_none() && directory.is_none() {
        bail!("name a cache repository, oci:DIR, or a --cache-dir");
    }
    Ok(Places { repository, directory })
}

fn now() -> i64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs() as i64)
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

/// One line of a list.
struct Line {
    place: String,
    kind: &'static str,
    key: String,
    size: u64,
    created: Option<String>,
    used: Option<i64>,
    /// When builds stop to use it, if they do.
    expires: Option<i64>,
    what: String,
}

impl Line {
    fn of_entry(place: &str, entry: &Entry, ttl: Option<Duration>) -> Self {
        let has_end = matches!(entry.kind, Domain::Definition | Domain::Content | Domain::Mount);
        let expires = ttl.filter(|_| has_end).zip(entry.used);
        Line {
            place: place.to_owned(),
            kind: kind(entry.kind),
            key: entry.key().to_owned(),
            size: entry.size,
            created: entry.created.clone(),
            used: entry.used,
            expires: expires.map(|(ttl, used)| used.saturating_add(seconds(ttl))),
            what: match &entry.platform {
                Some(platform) => format!("{} ({platform})", entry.what),
                None => entry.what.clone(),
            },
        }
    }

    fn of_item(place: &str, item: &Inventory) -> Self {
        Line {
            place: place.to_owned(),
            kind: item.kind.name(),
            key: item.key.clone(),
            size: item.size,
            created: None,
            used: Some(item.used),
            expires: None,
            what: item.what.clone(),
        }
    }

    fn json(&self) -> Value {
        json!({
            "place": self.place, "kind": self.kind, "key": self.key, "size": self.size,
            "created": self.created, "used": self.used.map(builder::rfc3339),
            "expires": self.expires.map(builder::rfc3339), "what": self.what,
        })
    }

    fn text(&self, now: i64) -> String {
        let used = self.used.map_or_else(|| "-".to_owned(), |used| format!("{} ago", span(now - used)));
        let expires = match self.expires {
            Some(expires) if expires <= now => "expired".to_owned(),
            Some(expires) => format!("in {}", span(expires - now)),
            None => "-".to_owned(),
        };
        let key = self.key.get(..12).unwrap_or(&self.key);
        format!(
            "{:<8} {key:<12} {:>9} {used:>10} {expires:>10}  {}",
            self.kind,
            text::bytes(self.size),
            self.what
        )
        .trim_end()
        .to_owned()
    }
}

/// What people call what has a key.
fn kind(domain: Domain) -> &'static str {
    match domain {
        Domain::Definition | Domain::Content => "step",
        Domain::Indexes => "indexes",
        Domain::Build => "build",
        Domain::Mount => "mount",
        Domain::Root | Domain::Step | Domain::Layer => "other",
    }
}

/// `3d`, `5h`, `20m`, `7s`.
fn span(seconds: i64) -> String {
    match seconds.max(0) {
        seconds @ 172_800.. => format!("{}d", seconds / 86_400),
        seconds @ 7_200.. => format!("{}h", seconds / 3_600),
        seconds @ 120.. => format!("{}m", seconds / 60),
        seconds => format!("{seconds}s"),
    }
}

fn ls(args: &LsArgs) -> Result<()> {
    let places = places(&args.place)?;
    let mut lines = Vec::new();
    if let Some(repository) = &places.repository {
        let place = repository.location().to_string();
        let listing = runtime()?.block_on(repository.list()).map_err(|error| anyhow!("{place}: {error}"))?;
        lines.extend(listing.entries.iter().map(|entry| Line::of_entry(&place, entry, Some(args.cache_ttl))));
        for (tag, reason) in listing.others {
            print_line(&format!("note: {place}:{tag}: {reason}"));
        }
    }
    if let Some(directory) = &places.directory {
        let place = directory.display().to_string();
        lines.extend(inventory(directory)?.iter().map(|item| Line::of_item(&place, item)));
    }
    if args.place.format == Format::Json {
        let lines: Vec<Value> = lines.iter().map(Line::json).collect();
        print_result(&json!(lines).to_string());
        return Ok(());
    }
    let now = now();
    print_result(&format!(
        "{:<8} {:<12} {:>9} {:>10} {:>10}  WHAT",
        "KIND", "KEY", "SIZE", "USED", "EXPIRES"
    ));
    lines.iter().for_each(|line| print_result(&line.text(now)));
    Ok(())
}

fn remove(args: &PruneArgs) -> Result<()> {
    let places = places(&args.place)?;
    let now = now();
    let keep =
        Keep { since: args.older_than.map(|age| now.saturating_sub(seconds(age))), size: args.keep_size };
    let mut gone = Gone { args, now, lines: Vec::new(), freed: 0 };
    if let Some(repository) = &places.repository {
        let runtime = runtime()?;
        let place = repository.location().to_string();
        let entries =
            runtime.block_on(repository.list()).map_err(|error| anyhow!("{place}: {error}"))?.entries;
        let prunable: Vec<_> = entries.iter().map(Entry::prunable).collect();
        let (going, freed) = prune(&prunable, keep);
        for &number in &going {
            let entry = &entries[number];
            if !args.dry_run {
                let removed = runtime.block_on(repository.remove(entry));
                removed.map_err(|error| not_deleted(&place, &error, gone.lines.len()))?;
            }
            gone.tell(Line::of_entry(&place, entry, None));
        }
        gone.freed += freed;
        if !going.is_empty() && !args.dry_run && matches!(repository.location(), CacheLocation::Registry(_)) {
            print_line(&format!(
                "note: {place} has the room again when the registry next collects its garbage"
            ));
        }
    }
    if let Some(directory) = &places.directory {
        let place = directory.display().to_string();
        let items = inventory(directory)?;
        let prunable: Vec<_> = items.iter().map(Inventory::prunable).collect();
        for number in prune(&prunable, keep).0 {
            let item = &items[number];
            let line = Line::of_item(&place, item);
            if !args.dry_run && !item.remove()? {
                print_line(&format!("note: {} {} stays: a build is using it", line.kind, line.what));
                continue;
            }
            gone.freed += item.size;
            gone.tell(line);
        }
    }
    gone.sum_up();
    Ok(())
}

/// A registry's refusal, in words that help.
fn not_deleted(place: &str, error: &cache::RepositoryError, before: usize) -> anyhow::Error {
    if error.is_refused() {
        return anyhow!(
            "{place} does not let us delete: {error} (removed before that: {before}; many registries have to be told to allow it, or have rules of their own for old tags)"
        );
    }
    anyhow!("{place}: {error}")
}

/// What was removed, or would be.
struct Gone<'a> {
    args: &'a PruneArgs,
    now: i64,
    lines: Vec<Line>,
    freed: u64,
}

impl Gone<'_> {
    fn tell(&mut self, line: Line) {
        if self.args.place.format == Format::Text {
            print_result(&line.text(self.now));
        }
        self.lines.push(line);
    }

    fn sum_up(&self) {
        let removed: Vec<Value> = self.lines.iter().map(Line::json).collect();
        match self.args.place.format {
            Format::Json => {
                print_result(
                    &json!({ "removed": removed, "bytes": self.freed, "dryRun": self.args.dry_run })
                        .to_string(),
                );
            }
            Format::Text => {
                let verb = if self.args.dry_run { "would go" } else { "removed" };
                print_result(&format!("{verb}: {}, {}", self.lines.len(), text::bytes(self.freed)));
            }
        }
    }
}

fn inspect(args: &InspectArgs) -> Result<()> {
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
        [one] => print_result(text(one).trim_end()),
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
fn text(value: &Value) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        for (seconds, text) in [
            (-1, "0s"),
            (7, "7s"),
            (119, "119s"),
            (120, "2m"),
            (7_200, "2h"),
            (172_800, "2d"),
            (1_000_000, "11d"),
        ] {
            assert_eq!(span(seconds), text);
        }
    }

    #[test]
    fn a_line() {
        let line = Line {
            place: "r.example/c".to_owned(),
            kind: "step",
            key: "0123456789abcdef".to_owned(),
            size: 1_500_000,
            created: None,
            used: Some(1_000),
            expires: Some(1_060),
            what: "RUN make".to_owned(),
        };
        assert_eq!(line.text(1_010), "step     0123456789ab    1.5 MB    10s ago     in 50s  RUN make");
        assert_eq!(line.text(1_060), "step     0123456789ab    1.5 MB    60s ago    expired  RUN make");
        assert_eq!(line.json()["used"], "1970-01-01T00:16:40Z");
    }
}

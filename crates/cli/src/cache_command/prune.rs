//! `bako cache prune`: what is old, or too much, goes.

use std::time::Duration;

use anyhow::{Result, anyhow};
use builder::CacheLocation;
use cache::{Entry, Inventory, Keep, inventory, prune};
use clap::Args;
use report::text;
use serde_json::{Value, json};

use super::line::{Line, now, seconds};
use super::{Format, PlaceArgs, places};
use crate::images_command::runtime;
use crate::terminal::{print_line, print_result};
use crate::values::{duration, size};

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

pub(super) fn run(args: &PruneArgs) -> Result<()> {
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

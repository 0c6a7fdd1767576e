//! `bako cache ls`: what is there.

use std::time::Duration;

use anyhow::{Result, anyhow};
use cache::inventory;
use clap::Args;
use serde_json::{Value, json};

use super::line::{Line, now};
use super::{Format, PlaceArgs, places};
use crate::images_command::runtime;
use crate::terminal::{print_line, print_result};
use crate::values::duration;

/// What `cache ls` is told.
#[derive(Debug, Args)]
pub(crate) struct LsArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// How long a build would use a result, as with its flag of this name.
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "336h")]
    cache_ttl: Duration,
}

pub(super) fn run(args: &LsArgs) -> Result<()> {
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

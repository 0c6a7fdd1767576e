//! `bako cache`: what is in a cache repository and in a cache directory, and what of it may go.

mod inspect;
mod line;
mod ls;
mod prune;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use builder::CacheLocation;
use cache::Repository;
use clap::{Args, Subcommand, ValueEnum};

use self::inspect::InspectArgs;
use self::ls::LsArgs;
use self::prune::PruneArgs;
use crate::images_command::{client, finish};
use crate::layer_cache::location;
use crate::registry_args::RegistryArgs;
use crate::values::{given, path};

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

pub(crate) fn run(command: CacheCommand) -> ExitCode {
    finish(|| match command {
        CacheCommand::Ls(args) => ls::run(&args),
        CacheCommand::Prune(args) => prune::run(&args),
        CacheCommand::Inspect(args) => inspect::run(&args),
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

//! The command line: Kaniko's flags for a build, and a few commands beside it.
//!
//! Only text is checked here; nothing is opened.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::build_args::BuildArgs;
use crate::cache_command::CacheCommand;
use crate::images_command::{CopyArgs, DigestArgs, InspectArgs, LsArgs, ManifestCommand, VerifyArgs};
use crate::kaniko::{self, EXECUTOR, Entry, PUSH, WARMER};
use crate::login_command::LoginArgs;
use crate::probe_command::ProbeArgs;
use crate::push_command::PushArgs;
use crate::resolve_command::ResolveArgs;
use crate::switch::with_switches;
use crate::warmer_command::WarmerArgs;

/// Builds OCI images from a Dockerfile, without a daemon, in any container.
///
/// Without a command, builds: the flags are those of Kaniko's executor. The digest of the image goes to
/// stdout, everything else to stderr.
#[derive(Debug, Parser)]
#[command(
    name = "bako",
    version,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    // As with Go's flags, the last one counts.
    args_override_self = true
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) build: BuildArgs,
}

impl Cli {
    /// The command line that people are told of.
    pub(crate) fn documented() -> clap::Command {
        with_switches(Cli::command())
    }

    /// The command line, with flags of Kaniko's that are known only to say what becomes of them.
    pub(crate) fn with_kaniko() -> clap::Command {
        kaniko::add_to(Cli::documented(), EXECUTOR)
            .mut_subcommand("push", |command| kaniko::add_to(command, PUSH))
            .mut_subcommand("warmer", |command| kaniko::add_to(command, WARMER))
    }

    /// Reads a command line; also which flags of Kaniko's there is something to be said of.
    pub(crate) fn read(
        arguments: impl Iterator<Item = OsString>,
    ) -> Result<(Cli, Vec<&'static Entry>), clap::Error> {
        let arguments = kaniko::by_name(arguments);
        let matches: ArgMatches = Cli::with_kaniko().try_get_matches_from(arguments)?;
        let used = match matches.subcommand() {
            None => kaniko::used(&matches, EXECUTOR),
            Some(("push", matches)) => kaniko::used(matches, PUSH),
            Some(("warmer", matches)) => kaniko::used(matches, WARMER),
            Some(_) => Vec::new(),
        };
        Ok((Cli::from_arg_matches(&matches)?, used))
    }
}

/// What else there is to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show which isolations for RUN work here, and why the others do not.
    Probe(ProbeArgs),
    /// A small registry for laptops, tests and sites without a network.
    #[command(subcommand)]
    Registry(RegistryCommand),
    /// Push an image that is in a docker archive or an OCI layout.
    Push(PushArgs),
    /// Note a user and a password for a registry in docker's config.json.
    Login(LoginArgs),
    /// Bring base images into a cache directory before builds ask for them.
    Warmer(WarmerArgs),
    /// See what is in a cache, and make room in it.
    #[command(subcommand)]
    Cache(Box<CacheCommand>),
    /// Copy an image, or an index with all its images, between registries, layouts and archives.
    Copy(Box<CopyArgs>),
    /// Print the digest of an image.
    Digest(Box<DigestArgs>),
    /// Show what an image is: config, layers, what each of them adds and hides, the biggest files.
    Inspect(Box<InspectArgs>),
    /// List the tags of a repository.
    Ls(Box<LsArgs>),
    /// Join images to an index of several platforms: what docker manifest does.
    #[command(subcommand)]
    Manifest(Box<ManifestCommand>),
    /// Pin the images of manifests to digests, and build those that have a source: what kbld does.
    Resolve(Box<ResolveArgs>),
    /// Check that an image is signed with a key: what cosign verify --key does.
    Verify(Box<VerifyArgs>),
    /// Print the version.
    Version,
}

/// What to do with a registry.
#[derive(Debug, Subcommand)]
pub(crate) enum RegistryCommand {
    /// Serve the OCI distribution protocol. Each repository is kept as an OCI layout.
    Serve {
        /// Where the repositories are.
        #[arg(long)]
        dir: PathBuf,
        /// Address and port; port 0 takes a free one and prints it.
        #[arg(long, default_value = "127.0.0.1:5000")]
        listen: std::net::SocketAddr,
    },
}

/// True if a command line that cannot be understood as a whole wants its log as JSON.
pub(crate) fn asks_for_json(arguments: impl Iterator<Item = std::ffi::OsString>) -> bool {
    let arguments: Vec<String> = arguments.map(|text| text.to_string_lossy().to_ascii_lowercase()).collect();
    arguments.iter().any(|text| text == "--log-format=json")
        || arguments.windows(2).any(|pair| pair == ["--log-format", "json"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_consistent() {
        Cli::with_kaniko().debug_assert();
    }

    #[test]
    fn json_is_asked_for() {
        for (line, json) in [
            ("bako --log-format=json --bogus", true),
            ("bako --bogus --log-format JSON", true),
            ("bako --log-format text", false),
            ("bako json", false),
        ] {
            assert_eq!(asks_for_json(line.split(' ').map(Into::into)), json, "{line}");
        }
    }
}

//! Commands on whole images: `copy`, `digest`, `inspect`, `ls`, `verify`, and `manifest` for indexes.

mod inspect;
mod manifest;
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail};
use builder::WorkDir;
use clap::Args;
use images::{Location, Selection};
use oci::{ManifestOrIndex, Platform, Reference};
use registry::Client;

pub(crate) use inspect::{InspectArgs, run as inspect};
pub(crate) use manifest::{ManifestCommand, run as manifest};
pub(crate) use verify::{VerifyArgs, run as verify, signing_key};

use crate::registry_args::RegistryArgs;
use crate::values::path;
use crate::{environment, terminal};

/// What `copy` is told.
#[derive(Debug, Args)]
pub(crate) struct CopyArgs {
    /// Where it is: a reference, oci:DIR[:NAME], oci-archive:FILE[:NAME] or docker-archive:FILE[:NAME].
    from: Location,
    /// Where it goes, in the same words but for docker-archive.
    to: Location,
    /// Copy only the image for this platform, if there are several.
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<Platform>,
    /// Copy an index with all its images, which is done without this flag too.
    #[arg(long, short = 'a', conflicts_with = "platform")]
    all: bool,
    /// Where to work, if there are archives.
    #[arg(long, value_name = "DIR", value_parser = path())]
    work_dir: Option<PathBuf>,
    #[command(flatten)]
    registries: RegistryArgs,
}

/// What `digest` is told.
#[derive(Debug, Args)]
pub(crate) struct DigestArgs {
    /// The image.
    image: Reference,
    /// The digest of the image for this platform, if there are several.
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<Platform>,
    #[command(flatten)]
    registries: RegistryArgs,
}

/// What `ls` is told.
#[derive(Debug, Args)]
pub(crate) struct LsArgs {
    /// The repository.
    repository: Reference,
    #[command(flatten)]
    registries: RegistryArgs,
}

/// Copies an image; prints the digest of what is there now.
pub(crate) fn copy(args: CopyArgs) -> ExitCode {
    finish(|| {
        let parent = environment::work_dir(&args.work_dir);
        let work_dir = WorkDir::create(&parent).map_err(|error| anyhow!("{error}"))?;
        let selection = args.platform.clone().map_or(Selection::All, Selection::Platform);
        let client = client(&args.registries)?;
        let copied = runtime()?.block_on(async {
            tokio::select! {
                copied = images::copy(&client, &args.from, &args.to, &selection, work_dir.path()) => copied.map_err(told),
                signal = ended() => Err(anyhow!("ended by {signal}")),
            }
        });
        let digest = copied.with_context(|| format!("copy {} to {}", args.from, args.to))?;
        terminal::print_result(&digest.to_string());
        Ok(())
    })
}

/// Prints the digest of an image.
pub(crate) fn digest(args: DigestArgs) -> ExitCode {
    finish(|| {
        let client = client(&args.registries)?;
        let found = runtime()?.block_on(async {
            match &args.platform {
                None => Ok(client.head_manifest(&args.image).await?.digest),
                Some(platform) => match client.manifest(&args.image).await? {
                    ManifestOrIndex::Manifest(manifest) => Ok(manifest.digest()),
                    ManifestOrIndex::Index(index) => match index.value().for_platform(platform) {
                        Ok(chosen) => Ok(chosen.digest),
                        Err(error) => bail!("{}: {error}", args.image),
                    },
                },
            }
        })?;
        terminal::print_result(&found.to_string());
        Ok(())
    })
}

/// Prints the tags of a repository.
pub(crate) fn ls(args: LsArgs) -> ExitCode {
    finish(|| {
        let client = client(&args.registries)?;
        let tags = runtime()?.block_on(client.tags(&args.repository))?;
        for tag in tags {
            terminal::print_result(&tag);
        }
        Ok(())
    })
}

/// Does it, and says why it could not be done.
pub(crate) fn finish(work: impl FnOnce() -> Result<()>) -> ExitCode {
    match work() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            terminal::print_error(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

pub(crate) fn client(args: &RegistryArgs) -> Result<Client> {
    Ok(Client::new(environment::client_options(args)?.0)?)
}

pub(crate) fn runtime() -> Result<tokio::runtime::Runtime> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.context("start")
}

fn told(error: images::Error) -> anyhow::Error {
    anyhow!("{error}")
}

/// A signal that asks us to end, so that what is unpacked is removed.
async fn ended() -> &'static str {
    use tokio::signal::unix::{SignalKind, signal};
    match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        (Ok(mut terminate), Ok(mut interrupt)) => tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        },
        // Then signals end the program as they do.
        _ => std::future::pending().await,
    }
}

//! `bako warmer`: base images into a cache directory.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use builder::{Error, Report, Warm, WarmLock};
use clap::Args;
use oci::{Platform, Reference};

use crate::environment;
use crate::kaniko::Entry;
use crate::log_args::LogArgs;
use crate::registry_args::RegistryArgs;
use crate::session::Session;
use crate::values::{Platforms, path, platforms};

/// What a cache is to hold.
#[derive(Debug, Args)]
pub(crate) struct WarmerArgs {
    /// An image to fetch. May be repeated.
    #[arg(long, short = 'i', value_name = "IMAGE")]
    pub(crate) image: Vec<String>,
    /// A Dockerfile, all of whose bases are fetched.
    #[arg(long, short = 'd', value_name = "FILE", value_parser = path())]
    pub(crate) dockerfile: Option<PathBuf>,
    /// Value of an ARG before its first FROM, as NAME=VALUE. May be repeated.
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) build_arg: Vec<String>,
    /// The cache directory; made if it is not there.
    #[arg(long, short = 'c', value_name = "DIR", value_parser = path(), default_value = "/cache")]
    pub(crate) cache_dir: PathBuf,
    /// What for, as OS/ARCHITECTURE[/VARIANT], several with commas; this machine's platform if not given.
    #[arg(long, aliases = ["custom-platform", "customPlatform"], value_name = "PLATFORM", value_parser = platforms)]
    pub(crate) platform: Option<Platforms>,
    #[command(flatten)]
    pub(crate) registries: RegistryArgs,
    #[command(flatten)]
    pub(crate) logging: LogArgs,
}

/// Fetches all of them, and fails if one of them could not be fetched.
pub(crate) fn run(args: &WarmerArgs, used: &[&Entry]) -> ExitCode {
    let session = match Session::start(&args.logging, &None, used) {
        Ok(session) => session,
        Err(code) => return code,
    };
    let outcome = warm(args, &session).map_err(|error| match error.downcast::<Error>() {
        Ok(error) => error,
        Err(error) => Error::new(format!("{error:#}")),
    });
    session.end(outcome.map(|()| None))
}

fn warm(args: &WarmerArgs, session: &Session) -> anyhow::Result<()> {
    if args.image.is_empty() && args.dockerfile.is_none() {
        bail!("there is nothing to fetch; give --image or --dockerfile");
    }
    let mut named: Vec<Reference> = Vec::new();
    for text in &args.image {
        named.push(text.parse().with_context(|| format!("--image {text}"))?);
    }
    let cache_dir = &args.cache_dir;
    std::fs::create_dir_all(cache_dir).with_context(|| format!("--cache-dir {}", cache_dir.display()))?;
    let options = session.client_options(&args.registries)?;
    let client = registry::Client::new(options)?;
    let platforms = args.platform.as_ref().map_or_else(|| vec![Platform::host()], |given| given.0.clone());
    let warm = |platform: &Platform| Warm {
        cache_dir,
        platform: platform.clone(),
        client: client.clone(),
        runtime: session.runtime.handle().clone(),
        cancel: session.cancel.clone(),
    };
    let mut images: Vec<(Reference, Platform)> = Vec::new();
    for platform in &platforms {
        let mut wanted: Vec<_> = named.iter().map(|image| (image.clone(), platform.clone())).collect();
        if let Some(path) = &args.dockerfile {
            let during = || format!("--dockerfile {}", path.display());
            let text = std::fs::read_to_string(path).with_context(during)?;
            let build_args = environment::build_args(&args.build_arg, |_| {});
            let of_file = warm(platform).images_of(&text, &build_args);
            wanted.extend(of_file.map_err(|error| error.during(during()))?);
        }
        for image in wanted {
            if !images.contains(&image) {
                images.push(image);
            }
        }
    }
    let report: Arc<dyn Report> = session.terminal.clone();
    let warm = warm(&platforms[0]);
    let _lock: WarmLock = warm.lock(&report)?;
    let mut failed: Vec<String> = Vec::new();
    for (image, platform) in &images {
        if let Err(error) = builder::warm(&warm, image, platform, &report) {
            failed.push(format!("{image} for {platform}: {error}"));
        }
        if session.cancel.signal().is_some() {
            break;
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    bail!("{} of {} images could not be fetched: {}", failed.len(), images.len(), failed.join("; "))
}

//! `bako push`: an archive or an OCI layout to registries.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use builder::{Error, Outputs, Push, Report};
use clap::Args;

use crate::build_options::destinations;
use crate::delivery_args::DeliveryArgs;
use crate::kaniko::Entry;
use crate::log_args::LogArgs;
use crate::registry_args::RegistryArgs;
use crate::session::Session;
use crate::values::path;

/// A push of what is there already.
#[derive(Debug, Args)]
pub(crate) struct PushArgs {
    /// The archive (of docker save, of --tar-path, or an OCI layout in a tar) or the OCI layout.
    #[arg(value_name = "ARCHIVE|LAYOUT")]
    pub(crate) from: PathBuf,
    /// Where to push the image, as REGISTRY/REPOSITORY:TAG. May be repeated.
    #[arg(long, short = 'd', value_name = "IMAGE", required = true)]
    pub(crate) destination: Vec<String>,
    #[command(flatten)]
    pub(crate) delivery: DeliveryArgs,
    #[command(flatten)]
    pub(crate) registries: RegistryArgs,
    #[command(flatten)]
    pub(crate) logging: LogArgs,
    /// Where to unpack an archive. A directory is made in it, and removed at the end.
    #[arg(long, value_name = "DIR", value_parser = path())]
    pub(crate) work_dir: Option<PathBuf>,
}

/// Pushes, and prints the digest.
pub(crate) fn run(args: &PushArgs, used: &[&Entry]) -> ExitCode {
    let session = match Session::start(&args.logging, &args.work_dir, used) {
        Ok(session) => session,
        Err(code) => return code,
    };
    let outcome = push(args, &session);
    session.end(outcome)
}

fn push(args: &PushArgs, session: &Session) -> Result<Option<String>, Error> {
    let plain = |error: anyhow::Error| Error::new(format!("{error:#}"));
    let outputs = outputs(args).map_err(plain)?;
    let options = session.client_options(&args.registries).map_err(plain)?;
    let network = options.network();
    let client = registry::Client::new(options).map_err(|error| Error::new(error.to_string()))?;
    let report: Arc<dyn Report> = session.terminal.clone();
    let push = Push { from: &args.from, outputs: &outputs, client, fetching: session.fetching(&network) };
    Ok(Some(builder::push(&push, &report)?.to_string()))
}

fn outputs(args: &PushArgs) -> anyhow::Result<Outputs> {
    let destinations = destinations(&args.destination, false)?;
    Ok(Outputs { destinations, ..args.delivery.outputs(&args.destination)? })
}

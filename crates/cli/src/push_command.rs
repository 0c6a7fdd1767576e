//! `bako push`: an archive or an OCI layout to registries.

use std::process::ExitCode;
use std::sync::Arc;

use builder::{Error, Outputs, Push, Report};
use oci::ImageFormat;

use crate::args::{ImageFormatArg, PushArgs};
use crate::build_command::{destinations, digest_file, named_output};
use crate::environment;
use crate::kaniko::Entry;
use crate::session::Session;

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
    let given = &args.destination;
    let (name, name_tag) = ("--image-name-with-digest-file", "--image-name-tag-with-digest-file");
    Ok(Outputs {
        destinations: destinations(given, false)?,
        digest_file: digest_file(&args.digest_file)?,
        name_with_digest_file: named_output(name, &args.image_name_with_digest_file, given)?,
        name_tag_with_digest_file: named_output(name_tag, &args.image_name_tag_with_digest_file, given)?,
        builder_output: environment::builder_output(),
        format: match args.image_format {
            ImageFormatArg::Oci => ImageFormat::Oci,
            ImageFormatArg::Docker => ImageFormat::Docker,
        },
        skip_push_check: args.skip_push_permission_check,
        keep_immutable_tags: args.push_ignore_immutable_tag_errors,
        ..Outputs::default()
    })
}

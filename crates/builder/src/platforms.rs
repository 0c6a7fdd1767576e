//! Several platforms in one go: an image for each, and an index that names them in the order asked for.
//!
//! The images are built one after the other, each in a work directory of its own, and share `--cache-dir`. They are
//! pushed by their digests; the index alone gets the tags, once all of them are there.

use std::sync::Arc;

use layout::{Layout, REFERENCE_NAME};
use oci::{Descriptor, Index, Platform, Raw, Reference};
use tokio::runtime::Handle;

use crate::build::{Outcome, build};
use crate::context::Fetching;
use crate::engine::{check_destinations, registry_error};
use crate::error::{Context, Error, Result};
use crate::event::Event;
use crate::options::Options;
use crate::output::{Outputs, write_digest_files, write_index_metadata};
use crate::timings::Timings;
use crate::workdir::WorkDir;

/// Builds the target for each platform, and brings an index of the images to every output.
pub fn build_platforms(options: &Options, platforms: &[Platform], runtime: Handle) -> Result<Outcome> {
    let outputs = &options.outputs;
    if outputs.tar_path.is_some() {
        return Err(Error::new("an archive for docker load holds one platform, and several are asked for")
            .hint("write an OCI layout, or build each platform into an archive of its own"));
    }
    if !outputs.no_push && !outputs.skip_push_check {
        check_destinations(&options.client, &outputs.destinations, &runtime, &options.cancel)?;
    }
    let mut members: Vec<Descriptor> = Vec::new();
    let mut timings = Timings::default();
    for platform in platforms {
        let one = Options {
            platform: platform.clone(),
            work_dir: Arc::new(WorkDir::create(options.work_dir.path())?),
            outputs: Outputs {
                destinations: by_digest(&outputs.destinations)?,
                no_push: outputs.no_push,
                oci_layout_path: outputs.oci_layout_path.clone(),
                format: outputs.format,
                annotations: outputs.annotations.clone(),
                skip_push_check: true,
                ..Outputs::default()
            },
            ..options.clone()
        };
        let outcome = build(&one, runtime.clone()).map_err(|error| {
            let message = format!("{platform}: {}", error.message);
            Error { message, ..error }
        })?;
        timings = outcome.timings;
        members.push(Descriptor { platform: Some(platform.clone()), ..outcome.descriptor });
    }
    let mut index = Index::new(members);
    index.media_type = Some(outputs.format.index());
    if outputs.format == oci::ImageFormat::Oci {
        index.annotations.clone_from(&outputs.annotations);
    }
    let index = Raw::write(index);
    let descriptor = Descriptor::of(outputs.format.index(), &index);
    if let Some(path) = &outputs.oci_layout_path {
        let during = || format!("OCI layout {}", path.display());
        let layout = Layout::create(path).during(during())?;
        layout.write_blob(index.bytes()).during(during())?;
        let named = |tag: &str| {
            let mut descriptor = descriptor.clone();
            descriptor.annotations.insert(REFERENCE_NAME.to_owned(), tag.to_owned());
            descriptor
        };
        let mut listed: Vec<Descriptor> =
            outputs.destinations.iter().filter_map(Reference::tag).map(named).collect();
        if listed.is_empty() {
            listed.push(descriptor.clone());
        }
        layout.edit_index(|all| all.manifests = listed).during(during())?;
    }
    if !outputs.no_push {
        for destination in &outputs.destinations {
            // One without a tag is named by what is pushed there, as with a single image.
            let named = match destination.tag() {
                Some(_) => destination.clone(),
                None => destination.at(descriptor.digest),
            };
            let pushed = options.client.push_manifest(&named, &descriptor.media_type, index.bytes().to_vec());
            let digest = runtime.block_on(pushed).map_err(registry_error)?;
            options.report.event(Event::Image { reference: destination.clone(), digest });
        }
    }
    write_index_metadata(outputs, &descriptor)?;
    let Options { network, work_dir, cancel, secrets, agents, .. } = options;
    let fetching = Fetching { network, limit: None, secrets, agents, runtime: &runtime, work_dir, cancel };
    write_digest_files(fetching, outputs, descriptor.digest)?;
    work_dir.remove().during(format!("work directory {}", work_dir.path().display()))?;
    Ok(Outcome { digest: descriptor.digest, descriptor, timings })
}

/// The repositories of the destinations, each once and without a tag: what goes there is named by its digest.
fn by_digest(destinations: &[Reference]) -> Result<Vec<Reference>> {
    let mut found: Vec<Reference> = Vec::new();
    for destination in destinations {
        let name: Reference = destination.name().parse()?;
        if !found.contains(&name) {
            found.push(name);
        }
    }
    Ok(found)
}

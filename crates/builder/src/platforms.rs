//! Several platforms in one go: an image for each, and an index that names them in the order asked for.
//!
//! The images are built one after the other, each in a work directory of its own, and share `--cache-dir`. They are
//! pushed by their digests; the index alone gets the tags, once all of them are there.

use std::sync::Arc;

use layout::{Layout, REFERENCE_NAME};
use oci::{Descriptor, Index, Platform, Raw, Reference};
use tokio::runtime::Handle;

use crate::attestation::{Attestations, Recorder};
use crate::build::{Outcome, build};
use crate::context::Fetching;
use crate::engine::{check_destinations, registry_error};
use crate::error::{Context, Error, Result};
use crate::event::Event;
use crate::options::Options;
use crate::output::{
    AnnotationLevel, Outputs, annotations_at, check_annotations, write_digest_files, write_index_metadata,
};
use crate::timings::Timings;
use crate::workdir::WorkDir;

/// Builds the target for each platform, and brings an index of the images to every output.
pub fn build_platforms(options: &Options, platforms: &[Platform], runtime: Handle) -> Result<Outcome> {
    let outputs = &options.outputs;
    if outputs.tar_path.is_some() {
        let (why, remedy) = match platforms {
            [_] => ("does not hold attestations", "leave out --sbom and --provenance"),
            _ => (
                "holds one platform, and several are asked for",
                "build each platform into an archive of its own",
            ),
        };
        return Err(Error::new(format!("an archive for docker load {why}"))
            .hint(format!("write an OCI layout, or {remedy}")));
    }
    if !outputs.no_push && !outputs.skip_push_check {
        check_destinations(&options.client, &outputs.destinations, &runtime, &options.cancel)?;
    }
    check_annotations(&outputs.annotations, outputs.format, true)?;
    if outputs.attestations.are_wanted() && outputs.format == oci::ImageFormat::Docker {
        return Err(Error::new("indexes of Docker's types do not hold attestations")
            .hint("leave out --image-format docker, or --sbom and --provenance"));
    }
    let mut members: Vec<Descriptor> = Vec::new();
    let mut stated: Vec<Descriptor> = Vec::new();
    let mut config = None;
    let mut timings = Timings::default();
    for platform in platforms {
        let recorder = Arc::new(Recorder::new(options.report.clone()));
        let one = Options {
            platform: platform.clone(),
            work_dir: Arc::new(WorkDir::create(options.work_dir.path())?),
            outputs: Outputs {
                destinations: by_digest(&outputs.destinations)?,
                no_push: outputs.no_push,
                oci_layout_path: outputs.oci_layout_path.clone(),
                format: outputs.format,
                annotations: outputs.annotations.clone(),
                attestations: Attestations {
                    names: outputs.destinations.clone(),
                    recorder: Some(recorder.clone()),
                    ..outputs.attestations.clone()
                },
                in_index: true,
                summarize_layers: outputs.summarize_layers,
                skip_push_check: true,
                ..Outputs::default()
            },
            report: recorder.clone(),
            ..options.clone()
        };
        let outcome = build(&one, runtime.clone()).map_err(|error| {
            let message = match platforms.len() {
                1 => error.message,
                _ => format!("{platform}: {}", error.message),
            };
            Error { message, ..error }
        })?;
        timings = outcome.timings;
        let annotations =
            annotations_at(&outputs.annotations, AnnotationLevel::ManifestDescriptor, Some(platform));
        members.push(Descriptor { platform: Some(platform.clone()), annotations, ..outcome.descriptor });
        stated.extend(outcome.attestation);
        config = outcome.config.filter(|_| platforms.len() == 1);
    }
    // Behind the images, so that what takes the first entry takes an image.
    members.extend(stated);
    let mut index = Index::new(members);
    index.media_type = Some(outputs.format.index());
    if outputs.format == oci::ImageFormat::Oci {
        index.annotations = annotations_at(&outputs.annotations, AnnotationLevel::Index, None);
    }
    let index = Raw::write(index);
    let descriptor = Descriptor::of(outputs.format.index(), &index);
    let annotations = annotations_at(&outputs.annotations, AnnotationLevel::IndexDescriptor, None);
    let described = Descriptor { annotations, ..descriptor.clone() };
    if let Some(path) = &outputs.oci_layout_path {
        let during = || format!("OCI layout {}", path.display());
        let layout = Layout::create(path).during(during())?;
        layout.write_blob(index.bytes()).during(during())?;
        let named = |tag: &str| {
            let mut descriptor = described.clone();
            descriptor.annotations.insert(REFERENCE_NAME.to_owned(), tag.to_owned());
            descriptor
        };
        let mut listed: Vec<Descriptor> =
            outputs.destinations.iter().filter_map(Reference::tag).map(named).collect();
        if listed.is_empty() {
            listed.push(described.clone());
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
    write_index_metadata(outputs, &described, config)?;
    let Options { network, work_dir, cancel, secrets, agents, .. } = options;
    let fetching = Fetching { network, limit: None, secrets, agents, runtime: &runtime, work_dir, cancel };
    write_digest_files(fetching, outputs, descriptor.digest)?;
    work_dir.remove().during(format!("work directory {}", work_dir.path().display()))?;
    Ok(Outcome { digest: descriptor.digest, descriptor, config, attestation: None, timings })
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

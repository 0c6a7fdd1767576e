//! Several platforms in one go: an image for each, and an index that names them in the order asked for.
//!
//! The images are built side by side, each in a work directory of its own; a step that several platforms have is carried
//! out once. They are pushed by their digests; the index alone gets the tags, once all of them are there.

use std::sync::{Arc, Mutex, PoisonError};

use layout::{Layout, REFERENCE_NAME};
use oci::{Descriptor, Index, Platform, Raw, Reference};
use sandbox::Cancel;
use tokio::runtime::Handle;

use crate::attempt::{STACK, TERMINATE};
use crate::attestation::{Attestations, Recorder};
use crate::build::{Outcome, build_member};
use crate::context::Fetching;
use crate::engine::check_destinations;
use crate::error::{Context, Error, Result};
use crate::family::{Family, Member};
use crate::once::lock;
use crate::options::Options;
use crate::output::{
    AnnotationLevel, Outputs, Uploads, annotations_at, check_annotations, repositories, write_digest_files,
    write_index_metadata, write_signatures,
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
    let (built, timings) = build_members(options, platforms, &runtime)?;
    let config = match &built[..] {
        [only] => only.config,
        _ => None,
    };
    let member = |(platform, outcome): (&Platform, &Outcome)| {
        let annotations =
            annotations_at(&outputs.annotations, AnnotationLevel::ManifestDescriptor, Some(platform));
        Descriptor { platform: Some(platform.clone()), annotations, ..outcome.descriptor.clone() }
    };
    // Statements are behind the images, so that what takes the first entry takes an image.
    let stated = built.iter().filter_map(|outcome| outcome.attestation.clone());
    let mut index = Index::new(platforms.iter().zip(&built).map(member).chain(stated).collect());
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
        let uploads = Uploads::new(
            options.client.clone(),
            runtime.clone(),
            &outputs.destinations,
            outputs.keep_immutable_tags,
            options.report.clone(),
            options.cancel.clone(),
        );
        uploads.finish_with(&descriptor.media_type, index.bytes())?;
    }
    write_signatures(options, &runtime, &descriptor)?;
    write_index_metadata(outputs, &described, config)?;
    let Options { network, work_dir, cancel, secrets, agents, .. } = options;
    let fetching = Fetching { network, limit: None, secrets, agents, runtime: &runtime, work_dir, cancel };
    write_digest_files(fetching, outputs, descriptor.digest)?;
    work_dir.remove().during(format!("work directory {}", work_dir.path().display()))?;
    Ok(Outcome { digest: descriptor.digest, descriptor, config, attestation: None, timings })
}

/// Builds the image of each platform, all at once. The first that fails ends the others.
fn build_members(
    options: &Options,
    platforms: &[Platform],
    runtime: &Handle,
) -> Result<(Vec<Outcome>, Timings)> {
    let outputs = &options.outputs;
    let destinations = by_digest(&outputs.destinations)?;
    let (family, cancel) = (Family::new(options, platforms)?, options.cancel.child());
    let timings = Timings::default();
    let failure: Mutex<Option<Error>> = Mutex::default();
    let mut built: Vec<Option<Outcome>> = platforms.iter().map(|_| None).collect();
    std::thread::scope(|scope| {
        for ((number, platform), built) in platforms.iter().enumerate().zip(&mut built) {
            let (family, cancel, timings, failure) = (&family, &cancel, &timings, &failure);
            let destinations = destinations.clone();
            let work = move || {
                let recorder = Arc::new(Recorder::new(options.report.clone()));
                let options = Options {
                    platform: platform.clone(),
                    work_dir: Arc::new(WorkDir::create(options.work_dir.path())?),
                    cancel: cancel.clone(),
                    outputs: Outputs {
                        destinations,
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
                    report: recorder,
                    ..options.clone()
                };
                build_member(&options, runtime.clone(), Member { family, number })
            };
            let thread = std::thread::Builder::new().name(platform.to_string()).stack_size(STACK);
            let spawned = thread.spawn_scoped(scope, move || match work() {
                Ok(outcome) => {
                    timings.add_all(&outcome.timings);
                    *built = Some(outcome);
                }
                Err(error) => {
                    let message = match family.has_several {
                        true => format!("{platform}: {}", error.message),
                        false => error.message,
                    };
                    fail(failure, cancel, Error { message, ..error });
                }
            });
            if let Err(error) = spawned.during("start a thread") {
                fail(failure, cancel, error);
            }
        }
    });
    match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => Ok((built.into_iter().flatten().collect(), timings)),
    }
}

/// Keeps what has gone wrong first, and ends the rest.
fn fail(failure: &Mutex<Option<Error>>, cancel: &Cancel, error: Error) {
    lock(failure).get_or_insert(error);
    cancel.cancel(TERMINATE);
}

/// The repositories of the destinations, each once and without a tag: what goes there is named by its digest.
fn by_digest(destinations: &[Reference]) -> Result<Vec<Reference>> {
    repositories(destinations).into_iter().map(|destination| Ok(destination.name().parse()?)).collect()
}

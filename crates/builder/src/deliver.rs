//! Delivery: a stage that is done becomes an image, and goes wherever it is wanted.

use crate::attestation;
use crate::engine::Engine;
use crate::error::Result;
use crate::event::Event;
use crate::layer_summary::summaries;
use crate::output::{
    AnnotationLevel, Finished, Uploads, annotations_at, write_archive, write_digest_files, write_layout,
    write_metadata_file, write_signatures,
};
use crate::squash::squash;
use crate::stage::Stage;

/// Brings a stage to every output. Nothing has a name anywhere until all of it is there.
pub(crate) fn deliver(engine: &Engine, mut stage: Stage, mut uploads: Uploads) -> Result<Finished> {
    let options = engine.options;
    if options.single_snapshot {
        engine.timings.measure("join layers", || squash(engine, &mut stage))?;
    }
    let mut image = stage.image;
    image.config.config.labels.extend(options.labels.iter().cloned());
    let outputs = &options.outputs;
    let platform = image.config.platform();
    let notes = annotations_at(&outputs.annotations, AnnotationLevel::Manifest, Some(&platform));
    let mut finished = Finished::new(image, engine.created(), outputs.format, notes);
    if outputs.attestations.are_wanted() {
        finished.attestation = engine.timings.measure("attest", || attestation::attest(engine, &finished))?;
    }
    let blob = |digest| {
        let layer = finished.layers.iter().find(|layer| layer.descriptor.digest == digest);
        engine.blob_file(layer.expect("only layers of the image are asked for"))
    };
    if let Some(path) = &outputs.oci_layout_path {
        let listed = finished.listed(&outputs.annotations);
        engine.timings.measure("write layout", || {
            write_layout(path, &finished, &outputs.destinations, &listed, blob, engine.cancel())
        })?;
        if let Some(attestation) = &finished.attestation {
            attestation::write(path, attestation)?;
        }
    }
    if let Some(path) = &outputs.tar_path {
        engine.timings.measure("write archive", || {
            write_archive(path, &finished, &outputs.destinations, blob, engine.cancel())
        })?;
    }
    if !outputs.no_push {
        for layer in &finished.layers {
            uploads.layer(engine, layer)?;
        }
        engine.timings.measure("wait for uploads", || uploads.finish(&finished))?;
        if let Some(attestation) = &finished.attestation {
            attestation::push(engine, attestation)?;
        }
    }
    if outputs.summarize_layers {
        let summaries = summaries(engine, finished.config.value(), &finished.layers);
        engine.report(Event::Layers(summaries));
    }
    write_signatures(options, &engine.runtime, &finished.descriptor())?;
    write_metadata_file(outputs, &finished)?;
    write_digest_files(engine.fetching(), outputs, finished.manifest.digest())?;
    Ok(finished)
}

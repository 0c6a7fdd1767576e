//! Records: what a hit gives, as an OCI image manifest.
//!
//! A record lists the layers of a step and of all steps beneath it down to the image that the stage starts
//! from, each followed by its index. So one request says everything a hit needs, and the registry keeps every
//! blob for as long as a record names it. That it lists those beneath too has another reason: they are the
//! very layers that this result was made on, and taken together they fit each other, whatever was rebuilt
//! since.

use std::collections::BTreeMap;

use oci::{Descriptor, DiffId, Manifest, MediaType};

use crate::Key;

/// The type of a record, so that nobody takes it for an image to run.
pub const RECORD_TYPE: &str = "application/vnd.bako.cache.record.v1+json";
/// The type of a layer's index.
pub const INDEX_TYPE: &str = "application/vnd.bako.layer-index.v1+zstd";
/// The config of a record: there is nothing in it.
pub const EMPTY: &[u8] = b"{}";

const DIFF_ID: &str = "bako.diff-id";
const CONTENT: &str = "bako.content";
const CREATED: &str = "bako.created";
const STEP: &str = "bako.step";
pub(crate) const USED: &str = "bako.used";
pub(crate) const COMMAND: &str = "bako.command";

/// More than any image has.
const LAYERS_MAX: usize = 10_000;

/// What a hit gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Layers of steps, bottom first. Those of steps that are not kept are missing.
    pub layers: Vec<RecordLayer>,
    /// When it was made or last found useful, in seconds since 1970.
    pub used: i64,
    /// The instruction on one line, as it was written, for people.
    pub command: Option<String>,
}

/// The layer of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordLayer {
    /// Which of the steps that make layers it is, counted from the image that the stage starts from.
    pub step: u32,
    /// The blob.
    pub descriptor: Descriptor,
    /// What the blob holds.
    pub diff_id: DiffId,
    /// What it holds, without times.
    pub content: Key,
    /// When it was made, as images note it.
    pub created: String,
    /// The blob of its index.
    pub index: Descriptor,
}

/// Why a manifest is no record that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it is no cache record: {0}")]
pub struct RecordError(String);

impl RecordError {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        RecordError(text.into())
    }
}

impl Record {
    /// The record as a manifest. The same record gives the same bytes.
    #[must_use]
    pub fn manifest(&self) -> Manifest {
        let mut layers = Vec::with_capacity(2 * self.layers.len());
        for layer in &self.layers {
            let mut descriptor = layer.descriptor.clone();
            descriptor.annotations = BTreeMap::from([
                (STEP.to_owned(), layer.step.to_string()),
                (DIFF_ID.to_owned(), layer.diff_id.to_string()),
                (CONTENT.to_owned(), layer.content.hex()),
                (CREATED.to_owned(), layer.created.clone()),
            ]);
            let index = &layer.index;
            layers.extend([descriptor, Descriptor::new(index.media_type.clone(), index.digest, index.size)]);
        }
        let command = self.command.iter().map(|command| (COMMAND.to_owned(), command.clone()));
        artifact(layers, [(USED.to_owned(), self.used.to_string())].into_iter().chain(command).collect())
    }

    /// Reads a manifest. What is not understood is no record: somebody else's, or a later version's.
    pub fn parse(manifest: &Manifest) -> Result<Self, RecordError> {
        let wrong = |text: &str| RecordError(text.to_owned());
        check_type(manifest)?;
        if manifest.layers.len() > 2 * LAYERS_MAX || !manifest.layers.len().is_multiple_of(2) {
            return Err(wrong("a strange number of layers"));
        }
        let used = manifest.annotations.get(USED).and_then(|text| text.parse().ok());
        let mut layers = Vec::with_capacity(manifest.layers.len() / 2);
        for pair in manifest.layers.chunks_exact(2) {
            let (descriptor, index) = (&pair[0], &pair[1]);
            let note = |name: &str| descriptor.annotations.get(name).map(String::as_str);
            if index.media_type.as_str() != INDEX_TYPE || descriptor.media_type.layer_compression().is_none()
            {
                return Err(wrong("not layers and their indexes"));
            }
            let layer = RecordLayer {
                step: note(STEP).and_then(|text| text.parse().ok()).ok_or(wrong("a layer without a step"))?,
                diff_id: note(DIFF_ID)
                    .and_then(|text| text.parse().ok())
                    .map(DiffId)
                    .ok_or(wrong("a layer without a diff id"))?,
                content: note(CONTENT)
                    .and_then(|text| text.parse().ok())
                    .ok_or(wrong("a layer without its content"))?,
                created: note(CREATED).ok_or(wrong("a layer without a time"))?.to_owned(),
                descriptor: Descriptor::new(
                    descriptor.media_type.clone(),
                    descriptor.digest,
                    descriptor.size,
                ),
                index: Descriptor::new(index.media_type.clone(), index.digest, index.size),
            };
            if layers.last().is_some_and(|last: &RecordLayer| last.step >= layer.step) {
                return Err(wrong("layers in disorder"));
            }
            layers.push(layer);
        }
        let command = manifest.annotations.get(COMMAND).cloned();
        Ok(Record { layers, used: used.ok_or(wrong("without a time"))?, command })
    }

    /// Says in a record's manifest that it was of use at this time, in seconds since 1970.
    pub fn touch(manifest: &mut Manifest, now: i64) {
        manifest.annotations.insert(USED.to_owned(), now.to_string());
    }

    /// The layer of the step that the record is about.
    #[must_use]
    pub fn last(&self) -> Option<&RecordLayer> {
        self.layers.last()
    }
}

/// The indexes of an image's layers, bottom first, as a manifest that is made now, in seconds since 1970.
#[must_use]
pub fn indexes_manifest(indexes: &[(DiffId, Descriptor)], now: i64) -> Manifest {
    let layers = indexes.iter().map(|(diff_id, index)| {
        let mut index = Descriptor::new(index.media_type.clone(), index.digest, index.size);
        index.annotations.insert(DIFF_ID.to_owned(), diff_id.to_string());
        index
    });
    artifact(layers.collect(), used(now))
}

/// Something else that is kept beside records, as a manifest that is made now, in seconds since 1970.
#[must_use]
pub fn list_manifest(blobs: Vec<Descriptor>, now: i64) -> Manifest {
    artifact(blobs, used(now))
}

fn used(now: i64) -> BTreeMap<String, String> {
    BTreeMap::from([(USED.to_owned(), now.to_string())])
}

/// What [`indexes_manifest`] has written.
pub fn parse_indexes(manifest: &Manifest) -> Result<Vec<(DiffId, Descriptor)>, RecordError> {
    check_type(manifest)?;
    let one = |index: &Descriptor| {
        let diff_id = index.annotations.get(DIFF_ID)?.parse().ok().map(DiffId)?;
        (index.media_type.as_str() == INDEX_TYPE).then(|| (diff_id, index.clone()))
    };
    let all: Option<Vec<_>> = manifest.layers.iter().map(one).collect();
    all.ok_or(RecordError("not a list of indexes".to_owned()))
}

pub(crate) fn check_type(manifest: &Manifest) -> Result<(), RecordError> {
    match manifest.config.media_type.as_str() {
        RECORD_TYPE => Ok(()),
        other => Err(RecordError(format!("its config is of type {other}"))),
    }
}

/// A manifest of ours. Its config has a type of its own, which is what registries without a word for artifacts
/// tell kinds apart by.
pub(crate) fn artifact(layers: Vec<Descriptor>, annotations: BTreeMap<String, String>) -> Manifest {
    let mut manifest = Manifest::new(MediaType::OciManifest, empty_config(), layers);
    manifest.annotations = annotations;
    manifest
}

/// The descriptor of every record's config.
#[must_use]
pub fn empty_config() -> Descriptor {
    Descriptor::new(MediaType::from(RECORD_TYPE), oci::Digest::of(EMPTY), EMPTY.len() as u64)
}

#[cfg(test)]
mod tests {
    use oci::{Compression, Digest};

    use super::*;
    use crate::{Domain, KeyWriter};

    fn record() -> Record {
        let layer = |step: u32| RecordLayer {
            step,
            descriptor: Descriptor::new(MediaType::oci_layer(Compression::Gzip), Digest::of(b"blob"), 4),
            diff_id: DiffId(Digest::of(b"tar")),
            content: KeyWriter::new(Domain::Layer).finish().0,
            created: "2023-11-14T22:13:20Z".to_owned(),
            index: Descriptor::new(MediaType::from(INDEX_TYPE), Digest::of(b"index"), 5),
        };
        let command = Some("RUN make".to_owned());
        Record { layers: vec![layer(0), layer(2)], used: 1_700_000_000, command }
    }

    #[test]
    fn comes_back_as_it_was() {
        let manifest = record().manifest();
        assert_eq!(Record::parse(&manifest), Ok(record()));
        assert_eq!(manifest, record().manifest());
        let indexes = vec![(DiffId(Digest::of(b"tar")), record().layers[0].index.clone())];
        let found = parse_indexes(&indexes_manifest(&indexes, 1)).unwrap();
        assert_eq!((found[0].0, found[0].1.digest), (indexes[0].0, indexes[0].1.digest));
    }

    #[test]
    fn what_is_no_record() {
        let check = |change: &dyn Fn(&mut Manifest), text: &str| {
            let mut manifest = record().manifest();
            change(&mut manifest);
            let error = Record::parse(&manifest).unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
        };
        check(&|manifest| manifest.config.media_type = MediaType::OciConfig, "config is of type");
        check(&|manifest| drop(manifest.layers.pop()), "strange number");
        check(&|manifest| manifest.layers.swap(0, 1), "not layers");
        check(&|manifest| manifest.layers.swap(0, 2), "disorder");
        check(&|manifest| drop(manifest.annotations.remove(USED)), "without a time");
        for note in [STEP, DIFF_ID, CONTENT, CREATED] {
            check(&|manifest| drop(manifest.layers[0].annotations.remove(note)), "a layer without");
        }
    }
}

//! Attestations of an image that was built: how it was made, and what is in it; stored beside it.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use attest::provenance::{self, Detail};
use attest::sbom::{self, Collector};
use attest::statement::{Attestation, Predicate, docker_name};
use layer::read_layer;
use layout::Layout;
use oci::{Descriptor, Digest, MediaType, Reference};

use crate::engine::Engine;
use crate::error::{Context, Error, Result};
use crate::event::{Event, Report, Warning};
use crate::interruptible::Interruptible;
use crate::output::Finished;
use crate::rfc3339::rfc3339;

/// What is to be stated of an image.
#[derive(Clone, Default)]
pub struct Attestations {
    /// How it was made.
    pub provenance: Option<Provenance>,
    /// What is in it.
    pub sbom: bool,
    /// What the image will be called.
    pub(crate) names: Vec<Reference>,
    /// What it was made from.
    pub(crate) recorder: Option<Arc<Recorder>>,
}

impl std::fmt::Debug for Attestations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Attestations")
            .field("provenance", &self.provenance)
            .field("sbom", &self.sbom)
            .finish()
    }
}

/// How much is told of how an image was made.
#[derive(Debug, Clone, Default)]
pub struct Provenance {
    /// How much.
    pub detail: Detail,
    /// Who vouches for it, as a URI.
    pub builder: String,
    /// The context, if it was a repository: where it is, and its commit.
    pub repository: Option<(String, String)>,
}

impl Attestations {
    /// What is to be stated.
    #[must_use]
    pub fn new(provenance: Option<Provenance>, sbom: bool) -> Self {
        Attestations { provenance, sbom, ..Attestations::default() }
    }

    /// True if anything is to be stated.
    #[must_use]
    pub fn are_wanted(&self) -> bool {
        self.sbom || self.provenance.is_some()
    }
}

/// Listens for which images a build is made from.
pub(crate) struct Recorder {
    report: Arc<dyn Report>,
    images: Mutex<BTreeMap<String, Digest>>,
}

impl Recorder {
    /// One that passes on what it hears.
    pub(crate) fn new(report: Arc<dyn Report>) -> Self {
        Recorder { report, images: Mutex::default() }
    }

    fn images(&self) -> BTreeMap<String, Digest> {
        self.images.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Report for Recorder {
    fn event(&self, event: Event) {
        if let Event::Resolved { reference, digest } = &event {
            let mut images = self.images.lock().unwrap_or_else(PoisonError::into_inner);
            images.insert(docker_name(reference), *digest);
        }
        self.report.event(event);
    }
}

/// States what is to be stated of an image.
pub(crate) fn attest(engine: &Engine, image: &Finished) -> Result<Option<Attestation>> {
    let wanted = &engine.options.outputs.attestations;
    if !wanted.are_wanted() {
        return Ok(None);
    }
    let mut predicates = Vec::new();
    if wanted.sbom {
        predicates.push(bill(engine, image)?);
    }
    predicates.extend(wanted.provenance.as_ref().map(|wanted| how(engine, wanted)));
    let digest = image.manifest.digest();
    let platform = image.config.value().platform();
    Ok(Some(Attestation::new(&wanted.names, &platform, digest, &predicates)))
}

/// The version of this program.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What is in the image: every layer is read once more, also those of the base.
fn bill(engine: &Engine, image: &Finished) -> Result<Predicate> {
    let mut collector = Collector::new(engine.options.work_dir.path());
    for layer in &image.layers {
        let path = engine.blob_file(layer)?;
        let file = File::open(&path).during(path.display())?;
        let bytes = Interruptible { inner: file, cancel: engine.cancel() };
        let index = read_layer(bytes, layer.compression(), &mut collector).map_err(|error| {
            Error::from_chain(&error).during(format!("layer {}", layer.descriptor.digest))
        })?;
        collector.laid(&index);
    }
    let contents = collector.finish();
    for note in &contents.notes {
        engine.report(Warning::new(format!("not in the bill of materials: {note}")).into());
    }
    let names = &engine.options.outputs.attestations.names;
    let subject = sbom::Subject {
        name: names.first(),
        digest: image.manifest.digest(),
        created: engine.created(),
        tool: &format!("bako-{VERSION}"),
    };
    Ok(Predicate { kind: sbom::PREDICATE_TYPE, value: sbom::document(&subject, &contents) })
}

/// How the image was made.
fn how(engine: &Engine, wanted: &Provenance) -> Predicate {
    let options = engine.options;
    let recorder = options.outputs.attestations.recorder.as_ref();
    let times = options.clamp.is_none().then(|| {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs());
        (rfc3339(options.now), rfc3339(i64::try_from(now).unwrap_or(i64::MAX)))
    });
    let build = provenance::Build {
        builder: wanted.builder.clone(),
        repository: wanted.repository.clone(),
        dockerfile: Some(Digest::of(options.dockerfile.as_bytes())),
        target: options.target.clone(),
        build_args: options.build_args.clone(),
        labels: options.labels.iter().cloned().collect(),
        secrets: options.secrets.keys().cloned().collect(),
        agents: options.agents.keys().cloned().collect(),
        images: recorder.map(|recorder| recorder.images()).unwrap_or_default(),
        times,
    };
    provenance::predicate(&build, &options.platform, wanted.detail, VERSION)
}

/// Pushes the statements to every repository, by digest.
pub(crate) fn push(engine: &Engine, attestation: &Attestation) -> Result<()> {
    let mut uploads = engine.uploads();
    let manifest = attestation.manifest.value();
    for (layer, statement) in manifest.layers.iter().zip(&attestation.statements) {
        uploads.document(layer, statement.bytes());
    }
    uploads.document(&manifest.config, attestation.config.bytes());
    uploads.finish_with(&MediaType::OciManifest, attestation.manifest.bytes())
}

/// Adds the statements to a layout; its index is for others to write.
pub(crate) fn write(path: &Path, attestation: &Attestation) -> Result<()> {
    let during = || format!("OCI layout {}", path.display());
    let layout = Layout::create(path).during(during())?;
    let statements = attestation.statements.iter().map(|statement| statement.bytes());
    for bytes in statements.chain([attestation.config.bytes(), attestation.manifest.bytes()]) {
        layout.write_blob(bytes).during(during())?;
    }
    Ok(())
}

/// How an index lists them.
pub(crate) fn descriptor(image: &Finished, attestation: &Attestation) -> Descriptor {
    attestation.descriptor(image.manifest.digest())
}

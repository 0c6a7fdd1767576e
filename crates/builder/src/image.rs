//! Images as a build sees them: a config and layers, of which some have no bytes here yet.

use std::sync::Arc;

use cache::{Key, Repository};
use layer::{Form, TreePath};
use layout::Layout;
use oci::{Compression, Descriptor, DiffId, History, ImageConfig, ImageFormat, Manifest, Reference};

use crate::error::{Error, Result};
use crate::windows;

/// The search path of an image that sets none.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The same on Windows, as BuildKit has it.
const DEFAULT_PATH_OF_WINDOWS: &str = "c:\\Windows\\System32;c:\\Windows";

/// What platforms call it.
pub(crate) const WINDOWS: &str = "windows";

/// The state of a stage: what it would be if it ended here.
#[derive(Debug, Clone)]
pub(crate) struct Image {
    /// The config; its `rootfs` follows `layers` when it is written.
    pub(crate) config: ImageConfig,
    /// The layers, bottom first.
    pub(crate) layers: Vec<Layer>,
    /// When the step at the top was made, if a cache had it: what only notes something after it is as old.
    pub(crate) made_at: Option<String>,
}

/// One layer of an image.
#[derive(Debug, Clone)]
pub(crate) struct Layer {
    /// The blob.
    pub(crate) descriptor: Descriptor,
    /// What the blob holds.
    pub(crate) diff_id: DiffId,
    /// Where the blob can be had.
    pub(crate) origin: LayerOrigin,
    /// How it was made, if a step of this build or of an earlier one has made it and a cache may keep it.
    pub(crate) made: Option<Made>,
}

/// What a cache knows of a layer.
#[derive(Debug, Clone)]
pub(crate) struct Made {
    /// Which of the steps that make layers has made it, counted from the image that the stage starts from.
    pub(crate) step: u32,
    /// What it holds, without times.
    pub(crate) content: Key,
    /// When.
    pub(crate) created: String,
    /// False if results of such steps are not kept.
    pub(crate) is_kept: bool,
    /// The cache that it is from, and its index there.
    pub(crate) cached: Option<(Arc<Repository>, Descriptor)>,
}

/// Where a layer's blob comes from.
#[derive(Debug, Clone)]
pub(crate) enum LayerOrigin {
    /// This build has made it; it is in the build's store.
    Built,
    /// A registry, and from then on the store of bases.
    Registry(Reference),
    /// An OCI layout of the user's, where it stays.
    Layout(Layout),
}

impl Image {
    /// `FROM scratch`.
    pub(crate) fn scratch(platform: &oci::Platform) -> Self {
        let root = if platform.os == WINDOWS { windows::shown(&TreePath::root()) } else { "/".to_owned() };
        let config = ImageConfig {
            architecture: platform.architecture.clone(),
            os: platform.os.clone(),
            variant: platform.variant.clone(),
            config: oci::Config { working_dir: root, ..oci::Config::default() },
            ..ImageConfig::default()
        };
        let mut image = Image { config, layers: Vec::new(), made_at: None };
        image.give_path();
        image
    }

    /// An image from elsewhere, called `name` in messages.
    pub(crate) fn from_manifest(
        name: &str,
        manifest: &Manifest,
        config: ImageConfig,
        origin: &LayerOrigin,
    ) -> Result<Self> {
        let (listed, known) = (manifest.layers.len(), config.rootfs.diff_ids.len());
        if known != listed {
            return Err(Error::new(format!(
                "{name}: malformed image: its manifest lists {listed} layers, its config {known}"
            )));
        }
        if let Some(foreign) =
            manifest.layers.iter().find(|layer| layer.media_type.layer_compression().is_none())
        {
            return Err(Error::new(format!("{name}: unsupported layer type {}", foreign.media_type)));
        }
        let layers = manifest.layers.iter().zip(&config.rootfs.diff_ids);
        let layers = layers.map(|(descriptor, diff_id)| Layer {
            descriptor: descriptor.clone(),
            diff_id: *diff_id,
            origin: origin.clone(),
            made: None,
        });
        let mut image = Image { layers: layers.collect(), config, made_at: None };
        image.give_path();
        Ok(image)
    }

    /// An image without a `PATH` gets the usual one, so that instructions can add to it.
    pub(crate) fn give_path(&mut self) {
        let env = &mut self.config.config.env;
        if !env.iter().any(|pair| pair.starts_with("PATH=")) {
            let path = if self.config.os == WINDOWS { DEFAULT_PATH_OF_WINDOWS } else { DEFAULT_PATH };
            env.push(format!("PATH={path}"));
        }
    }

    /// True for an image for Windows.
    pub(crate) fn is_for_windows(&self) -> bool {
        self.config.os == WINDOWS
    }

    /// How its layers are laid out.
    pub(crate) fn form(&self) -> Form {
        if self.is_for_windows() { Form::Windows } else { Form::Unix }
    }

    /// Notes an instruction that has made a layer, or none. `created` is the time of this build.
    pub(crate) fn push_history(&mut self, created: &str, created_by: String, empty_layer: bool) {
        self.config.history.push(History {
            created: Some(self.made_at.as_deref().unwrap_or(created).to_owned()),
            created_by: Some(created_by),
            comment: Some("bako".to_owned()),
            empty_layer,
            ..History::default()
        });
    }
}

impl Layer {
    /// The repository that has the blob.
    pub(crate) fn repository(&self) -> Option<&Reference> {
        match &self.origin {
            LayerOrigin::Registry(reference) => Some(reference),
            LayerOrigin::Built | LayerOrigin::Layout(_) => None,
        }
    }

    /// True for a layer that was found in a cache.
    pub(crate) fn is_cached(&self) -> bool {
        self.made.as_ref().is_some_and(|made| made.cached.is_some())
    }

    /// True for a layer that this build has made, whose blob is nobody else's.
    pub(crate) fn is_built(&self) -> bool {
        matches!(self.origin, LayerOrigin::Built)
    }

    /// How the blob is packed.
    pub(crate) fn compression(&self) -> Compression {
        self.descriptor.media_type.layer_compression().unwrap_or(Compression::Gzip)
    }

    /// The descriptor as a manifest has it: the same blob, by the name that the format gives its type.
    pub(crate) fn descriptor_in(&self, format: ImageFormat) -> Descriptor {
        let media_type = match self.descriptor.media_type.layer_compression() {
            Some(compression) => format.layer(compression),
            None => self.descriptor.media_type.clone(),
        };
        let mut descriptor = Descriptor::new(media_type, self.descriptor.digest, self.descriptor.size);
        if format == ImageFormat::Oci {
            // Docker's descriptors have none.
            descriptor.annotations.clone_from(&self.descriptor.annotations);
        }
        descriptor
    }
}

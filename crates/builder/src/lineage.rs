//! Lineage: how a stage has come to be, as a cache sees it.

use cache::{Domain, Key, KeyWriter};

use crate::image::Image;

/// What the next step of a stage is made on.
#[derive(Debug, Clone)]
pub(crate) struct Lineage {
    /// The image or the directory that it starts from, through other stages.
    pub(crate) root: Key,
    /// How all of it is made, so far; `None` if that is not known.
    pub(crate) definition: Option<Key>,
    /// How many steps have made layers since the root.
    pub(crate) steps: u32,
    /// Some of it was made by this build, so that files may be known of which a cache knows by another way.
    pub(crate) is_new: bool,
    /// The result of the next step is to be kept.
    pub(crate) keeps: bool,
}

impl Lineage {
    /// That of a stage that starts from an image: what it is for, and its layers by what they hold.
    pub(crate) fn of_image(image: &Image) -> Self {
        let mut writer = KeyWriter::new(Domain::Root);
        writer.field("platform", image.config.platform().to_string());
        for layer in &image.layers {
            writer.field("layer", layer.diff_id.to_string());
        }
        Self::of_root(writer.finish().0)
    }

    /// That of a stage that starts from something with a key.
    pub(crate) fn of_root(root: Key) -> Self {
        Lineage { root, definition: Some(root), steps: 0, is_new: false, keeps: false }
    }
}

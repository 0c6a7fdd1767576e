//! Summaries: how much of an image each of its layers is, and where in the tree that is, for those who want to show it.

use std::collections::BTreeMap;

use layer::{Change, Kind, LayerIndex};
use oci::{Descriptor, ImageConfig};

use crate::engine::Engine;
use crate::image::Layer;

/// A layer of an image that was built.
#[derive(Debug, Clone)]
pub struct LayerSummary {
    /// Its blob.
    pub descriptor: Descriptor,
    /// The instruction that made it.
    pub created_by: String,
    /// Where it is from.
    pub origin: SummaryOrigin,
    /// Directories, at most two names deep, and the bytes of the files below them, most first. Empty if what the layer
    /// holds is not known, since nothing needed it.
    pub directories: Vec<(String, u64)>,
}

/// Where a layer is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SummaryOrigin {
    /// What the Dockerfile starts from.
    Base,
    /// A cache.
    Cache,
    /// This build.
    Built,
}

/// More are too small to be seen.
const DIRECTORIES: usize = 24;

/// Summaries of the layers of an image, bottom first.
pub(crate) fn summaries(engine: &Engine, config: &ImageConfig, layers: &[Layer]) -> Vec<LayerSummary> {
    let mut makers = config.history.iter().filter(|entry| !entry.empty_layer);
    let summary = |layer: &Layer| LayerSummary {
        descriptor: layer.descriptor.clone(),
        created_by: makers.next().and_then(|entry| entry.created_by.clone()).unwrap_or_default(),
        origin: match (layer.is_cached(), layer.is_built()) {
            (true, _) => SummaryOrigin::Cache,
            (false, true) => SummaryOrigin::Built,
            (false, false) => SummaryOrigin::Base,
        },
        directories: engine.index(layer).map(|index| directories(&index)).unwrap_or_default(),
    };
    layers.iter().map(summary).collect()
}

fn directories(index: &LayerIndex) -> Vec<(String, u64)> {
    let mut sums: BTreeMap<String, u64> = BTreeMap::new();
    for change in &index.changes {
        let Change::Put { path, node } = change else { continue };
        if let Kind::File { size, .. } = node.kind
            && size > 0
        {
            let above = path.parent().unwrap_or_default();
            let mut directory = layer::TreePath::root();
            for part in above.parts().take(2) {
                directory = directory.child(part);
            }
            *sums.entry(directory.to_string()).or_default() += size;
        }
    }
    let mut sums: Vec<(String, u64)> = sums.into_iter().collect();
    sums.sort_by(|(one, size), (other, larger)| larger.cmp(size).then_with(|| one.cmp(other)));
    sums.truncate(DIRECTORIES);
    sums
}

#[cfg(test)]
mod tests {
    use layer::{discard, read_layer};
    use oci::Compression;

    use super::*;

    #[test]
    fn directories_by_what_is_below_them() {
        let text = "/a file = 1\n/usr/lib/x/y file = 1234\n/usr/lib/z file = 12\n/usr/f file = 123\n/e file\n/l symlink -> a";
        let tar = testkit::Layer::new().tree(text).tar();
        let index = read_layer(&tar[..], Compression::None, &mut discard()).unwrap();
        let expected = [("/usr/lib", 6), ("/usr", 3), ("/", 1)];
        assert_eq!(directories(&index), expected.map(|(path, size)| (path.to_owned(), size)));
    }
}

//! Kept mounts: what is in a cache mount of RUN, for builds on other machines.
//!
//! One layer, under a tag of the mount. Whoever puts another one there last has won; a layer that was there is whole
//! until then, because a tag is moved only when all that it names is there.

use std::collections::BTreeMap;

use oci::{Descriptor, DiffId, Manifest};

use crate::record::{RecordError, USED, artifact, check_type};
use crate::{Domain, Key, KeyWriter};

const DIFF_ID: &str = "bako.diff-id";
const ID: &str = "bako.mount";
const PLATFORM: &str = "bako.platform";
const SIZE: &str = "bako.size";

/// What is in a cache mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptMount {
    /// Its id, for people.
    pub id: String,
    /// What it was used for.
    pub platform: String,
    /// The layer: everything in the mount, in a directory [`KeptMount::DIRECTORY`].
    pub layer: Descriptor,
    /// What the layer holds.
    pub diff_id: DiffId,
    /// What the files have together, in bytes.
    pub size: u64,
    /// When it was kept or last found useful, in seconds since 1970.
    pub used: i64,
}

impl KeptMount {
    /// The directory of the layer that is the mount: so its own mode and owner are there too.
    pub const DIRECTORY: &str = "data";

    /// The key of a mount: `name` is what tells it from others for the same platform.
    #[must_use]
    pub fn key(name: &str, platform: &str) -> Key {
        let mut writer = KeyWriter::new(Domain::Mount);
        writer.field("mount", name);
        writer.field("platform", platform);
        writer.finish().0
    }

    /// As a manifest. The same mount gives the same bytes.
    #[must_use]
    pub fn manifest(&self) -> Manifest {
        let mut layer = Descriptor::new(self.layer.media_type.clone(), self.layer.digest, self.layer.size);
        layer.annotations = BTreeMap::from([
            (DIFF_ID.to_owned(), self.diff_id.to_string()),
            (SIZE.to_owned(), self.size.to_string()),
        ]);
        let notes = [(ID, self.id.clone()), (PLATFORM, self.platform.clone()), (USED, self.used.to_string())];
        artifact(vec![layer], notes.map(|(name, value)| (name.to_owned(), value)).into())
    }

    /// Reads a manifest. What is not understood is no mount.
    pub fn parse(manifest: &Manifest) -> Result<Self, RecordError> {
        check_type(manifest)?;
        let [layer] = &manifest.layers[..] else { return Err(RecordError::new("not one layer")) };
        if layer.media_type.layer_compression().is_none() {
            return Err(RecordError::new("not a layer"));
        }
        let note = |name: &str| manifest.annotations.get(name).cloned();
        let of_layer = |name: &str| layer.annotations.get(name);
        let without = |what: &str| RecordError::new(format!("without {what}"));
        Ok(KeptMount {
            id: note(ID).ok_or_else(|| without("an id"))?,
            platform: note(PLATFORM).unwrap_or_default(),
            layer: Descriptor::new(layer.media_type.clone(), layer.digest, layer.size),
            diff_id: of_layer(DIFF_ID)
                .and_then(|text| text.parse().ok())
                .map(DiffId)
                .ok_or_else(|| without("a diff id"))?,
            size: of_layer(SIZE)
                .and_then(|text| text.parse().ok())
                .ok_or_else(|| without("the size of its files"))?,
            used: note(USED).and_then(|text| text.parse().ok()).ok_or_else(|| without("a time"))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use oci::{Digest, MediaType};

    use super::*;

    fn mount() -> KeptMount {
        KeptMount {
            id: "/root/.cache".to_owned(),
            platform: "linux/amd64".to_owned(),
            layer: Descriptor::new(
                MediaType::from("application/vnd.oci.image.layer.v1.tar+zstd"),
                Digest::of(b"layer"),
                5,
            ),
            diff_id: DiffId(Digest::of(b"tar")),
            size: 7,
            used: 1_700_000_000,
        }
    }

    #[test]
    fn comes_back_as_it_was() {
        assert_eq!(KeptMount::parse(&mount().manifest()), Ok(mount()));
    }

    #[test]
    fn what_is_no_mount() {
        let check = |change: &dyn Fn(&mut Manifest), expected: &str| {
            let mut manifest = mount().manifest();
            change(&mut manifest);
            let error = KeptMount::parse(&manifest).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        check(
            &|manifest| manifest.config.media_type = MediaType::from("application/json"),
            "its config is of type",
        );
        check(&|manifest| manifest.layers.push(manifest.layers[0].clone()), "not one layer");
        check(&|manifest| manifest.layers[0].media_type = MediaType::from("text/plain"), "not a layer");
        check(&|manifest| drop(manifest.layers[0].annotations.remove(DIFF_ID)), "without a diff id");
        check(
            &|manifest| drop(manifest.annotations.insert(USED.to_owned(), "once".to_owned())),
            "without a time",
        );
    }

    #[test]
    fn every_mount_has_a_key_of_its_own() {
        let keys = [("a", "linux/amd64"), ("a", "linux/arm64"), ("b", "linux/amd64")]
            .map(|(name, platform)| KeptMount::key(name, platform).hex());
        assert!(keys[0] != keys[1] && keys[0] != keys[2] && keys[1] != keys[2]);
        let tag = KeptMount::key("a", "linux/amd64").tag(Domain::Mount);
        assert!(tag.starts_with("m1-") && tag.len() == 67, "{tag}");
    }
}

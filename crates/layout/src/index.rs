//! `index.json`: the names that a layout gives to its images.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;

use oci::{Descriptor, Index, Raw};

use crate::error::failed;
use crate::temporary::{Temporary, lock};
use crate::{Layout, LayoutError};

/// The annotation that holds an image's name, as the image spec has it: a tag, or a whole reference.
pub const REFERENCE_NAME: &str = "org.opencontainers.image.ref.name";

impl Layout {
    /// The index as it is now.
    pub fn index(&self) -> Result<Index, LayoutError> {
        let path = self.index_path();
        match fs::read(&path) {
            Ok(bytes) => {
                serde_json::from_slice(&bytes).map_err(|source| LayoutError::Malformed { path, source })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(LayoutError::NotALayout { path: self.dir().to_owned(), reason: "it has no index.json" })
            }
            Err(error) => Err(failed("read", &path)(error)),
        }
    }

    /// What a name stands for.
    pub fn reference(&self, name: &str) -> Result<Option<Descriptor>, LayoutError> {
        Ok(self.index()?.manifests.into_iter().find(|descriptor| is_named(descriptor, name)))
    }

    /// Lets a name stand for a manifest or an index whose blobs are in the layout; what it stood for
    /// before loses its entry. The name is the descriptor's [`REFERENCE_NAME`]; a descriptor without one
    /// is listed by its digest alone.
    pub fn put_reference(&self, descriptor: Descriptor) -> Result<(), LayoutError> {
        let name = descriptor.annotations.get(REFERENCE_NAME).cloned();
        self.edit_index(|index| {
            index.manifests.retain(|other| match &name {
                Some(name) => !is_named(other, name),
                None => other.digest != descriptor.digest || other.annotations.contains_key(REFERENCE_NAME),
            });
            index.manifests.push(descriptor);
        })
    }

    /// Takes a name away; false if there was none. The blobs stay.
    pub fn remove_reference(&self, name: &str) -> Result<bool, LayoutError> {
        self.edit_index(|index| {
            let before = index.manifests.len();
            index.manifests.retain(|descriptor| !is_named(descriptor, name));
            index.manifests.len() < before
        })
    }

    /// Changes the index while no other process of ours does.
    pub fn edit_index<T>(&self, edit: impl FnOnce(&mut Index) -> T) -> Result<T, LayoutError> {
        // `oci-layout` is written once and never replaced, which is what a lock file has to be.
        let path = self.marker_path();
        let marker = File::options().read(true).write(true).open(&path).map_err(failed("open", &path))?;
        lock(&marker).map_err(failed("lock", &path))?;
        let before = self.index()?;
        let mut after = before.clone();
        let result = edit(&mut after);
        if after != before {
            self.write_index(after)?;
        }
        Ok(result)
    }

    /// Puts a new index in place of the old one; the caller holds the lock.
    pub(crate) fn write_index(&self, index: Index) -> Result<(), LayoutError> {
        let mut file = Temporary::create(self.dir())?;
        file.write(Raw::write(index).bytes())?;
        file.persist(&self.index_path())
    }

    pub(crate) fn index_path(&self) -> PathBuf {
        self.dir().join("index.json")
    }
}

fn is_named(descriptor: &Descriptor, name: &str) -> bool {
    descriptor.annotations.get(REFERENCE_NAME).is_some_and(|other| other == name)
}

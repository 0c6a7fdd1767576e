//! A directory of things kept by digest.
//!
//! ```text
//! blobs/sha256/HEX       layers and configs, as registries have them
//! indexes/sha256/HEX     what a layer says, by diff id
//! contents/blake3/HEX    files that later builds read without the layer: /etc/passwd, /etc/group
//! downloads/HEX          what is known of a file of the web, by the digest of its URL
//! pending/               files being written
//! ```

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use layer::{ContentHash, LayerIndex};
use oci::{DiffId, Digest};

use crate::Pending;
use crate::pending::at;

/// Blobs, layer indexes and small contents, by digest. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    directory: PathBuf,
}

impl Store {
    /// Opens a store, making it if it is not there, and removes what killed builds have left in it.
    pub fn open(directory: &Path) -> io::Result<Self> {
        for below in ["blobs/sha256", "indexes/sha256", "contents/blake3", "downloads", "pending"] {
            let path = directory.join(below);
            std::fs::create_dir_all(&path).map_err(|error| at(&path, &error))?;
        }
        Pending::collect(&directory.join("pending"))?;
        Ok(Store { directory: directory.to_owned() })
    }

    /// A file to write a blob to; see [`Store::commit_blob`].
    pub fn pending(&self) -> io::Result<Pending> {
        Pending::create(&self.directory.join("pending"))
    }

    /// Keeps a blob whose bytes were checked against `digest`. Returns where it is.
    pub fn commit_blob(&self, digest: Digest, blob: Pending) -> io::Result<PathBuf> {
        let path = self.blob_path(digest);
        blob.commit(&path)?;
        Ok(path)
    }

    /// Where a blob is, if it is here and has the size it must have.
    #[must_use]
    pub fn blob(&self, digest: Digest, size: u64) -> Option<PathBuf> {
        let path = self.blob_path(digest);
        std::fs::metadata(&path).is_ok_and(|metadata| metadata.len() == size).then_some(path)
    }

    /// Forgets a blob, which has turned out to be damaged.
    pub fn remove_blob(&self, digest: Digest) -> io::Result<()> {
        remove(&self.blob_path(digest))
    }

    /// The index of a layer. One that cannot be read is forgotten, as it can be made again.
    #[must_use]
    pub fn index(&self, diff_id: DiffId) -> Option<LayerIndex> {
        let path = self.index_path(diff_id);
        let file = File::open(&path).ok()?;
        match LayerIndex::decode(file) {
            Ok(index) if index.diff_id == diff_id => Some(index),
            _ => {
                // If it cannot be removed it will be replaced when it has been made again.
                let _ = remove(&path);
                None
            }
        }
    }

    /// Keeps the index of a layer.
    pub fn put_index(&self, index: &LayerIndex) -> io::Result<()> {
        let mut pending = self.pending()?;
        index.encode(&mut pending)?;
        pending.commit(&self.index_path(index.diff_id))
    }

    /// Keeps the file form of a layer's index as it came. Whoever reads it finds out whether it can be used.
    pub fn put_index_file(&self, diff_id: DiffId, bytes: &[u8]) -> io::Result<()> {
        let mut pending = self.pending()?;
        pending.write_all(bytes)?;
        pending.commit(&self.index_path(diff_id))
    }

    /// Where the file form of a layer's index is, if it is here.
    #[must_use]
    pub fn index_file(&self, diff_id: DiffId) -> Option<PathBuf> {
        let path = self.index_path(diff_id);
        path.exists().then_some(path)
    }

    /// A small file's contents, checked.
    #[must_use]
    pub fn content(&self, hash: ContentHash) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(self.content_path(hash)).ok()?.read_to_end(&mut bytes).ok()?;
        (ContentHash::of(&bytes) == hash).then_some(bytes)
    }

    /// Keeps a small file's contents.
    pub fn put_content(&self, bytes: &[u8]) -> io::Result<()> {
        let path = self.content_path(ContentHash::of(bytes));
        if path.exists() {
            return Ok(());
        }
        let mut pending = self.pending()?;
        pending.write_all(bytes)?;
        pending.commit(&path)
    }

    /// What was kept of the file at a URL, by the digest of that.
    #[must_use]
    pub fn download(&self, url: Digest) -> Option<Vec<u8>> {
        std::fs::read(self.download_path(url)).ok()
    }

    /// Keeps what is known of the file at a URL, in the place of what was known before.
    pub fn put_download(&self, url: Digest, record: &[u8]) -> io::Result<()> {
        let mut pending = self.pending()?;
        pending.write_all(record)?;
        pending.commit(&self.download_path(url))
    }

    fn download_path(&self, url: Digest) -> PathBuf {
        self.directory.join("downloads").join(url.hex())
    }

    fn blob_path(&self, digest: Digest) -> PathBuf {
        self.directory.join("blobs/sha256").join(digest.hex())
    }

    fn index_path(&self, diff_id: DiffId) -> PathBuf {
        self.directory.join("indexes/sha256").join(diff_id.0.hex())
    }

    fn content_path(&self, hash: ContentHash) -> PathBuf {
        self.directory.join("contents/blake3").join(hash.to_string())
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(path, &error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        (directory, store)
    }

    #[test]
    fn a_blob_is_there_only_when_committed_and_whole() {
        let (directory, store) = store();
        let digest = Digest::of(b"blob");
        let mut pending = store.pending().unwrap();
        pending.write_all(b"blob").unwrap();
        assert!(store.blob(digest, 4).is_none());
        let path = store.commit_blob(digest, pending).unwrap();
        assert_eq!(store.blob(digest, 4), Some(path));
        assert!(store.blob(digest, 5).is_none(), "a truncated blob is not there");
        assert_eq!(std::fs::read_dir(directory.path().join("pending")).unwrap().count(), 0);
    }

    #[test]
    fn a_killed_build_leaves_nothing_and_a_running_one_is_left_alone() {
        let (directory, store) = store();
        let running = store.pending().unwrap();
        std::fs::write(directory.path().join("pending/killed"), b"half").unwrap();
        Store::open(directory.path()).unwrap();
        assert!(running.path().exists());
        assert!(!directory.path().join("pending/killed").exists());
        drop(running);
        assert_eq!(std::fs::read_dir(directory.path().join("pending")).unwrap().count(), 0);
    }

    #[test]
    fn damage_is_forgotten() {
        let (directory, store) = store();
        let index = LayerIndex { diff_id: DiffId(Digest::of(b"x")), size: 1024, changes: Vec::new() };
        store.put_index(&index).unwrap();
        assert_eq!(store.index(index.diff_id), Some(index.clone()));
        let path = directory.path().join("indexes/sha256").join(index.diff_id.0.hex());
        std::fs::write(&path, b"rubbish").unwrap();
        assert_eq!(store.index(index.diff_id), None);
        assert!(!path.exists());

        store.put_content(b"root:x:0:0::/root:/bin/sh\n").unwrap();
        let hash = ContentHash::of(b"root:x:0:0::/root:/bin/sh\n");
        assert!(store.content(hash).is_some());
        std::fs::write(directory.path().join("contents/blake3").join(hash.to_string()), b"y").unwrap();
        assert_eq!(store.content(hash), None);
    }

    #[test]
    fn of_a_url_the_last_is_known() {
        let (_directory, store) = store();
        let url = Digest::of(b"https://x.example/a");
        assert_eq!(store.download(url), None);
        for record in [&b"one"[..], b"two"] {
            store.put_download(url, record).unwrap();
            assert_eq!(store.download(url).as_deref(), Some(record));
        }
    }
}

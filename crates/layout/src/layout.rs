//! The layout: a directory of blobs, each under its digest.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use oci::{Digest, Hasher, Index};
use serde::Deserialize;

use crate::error::failed;
use crate::temporary::{self, sync_directory};
use crate::{BlobWriter, LayoutError};

/// The content of the file `oci-layout`.
const MARKER: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;

/// An OCI image layout. It holds nothing but its path, so it can be cloned and shared at will.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    dir: PathBuf,
}

/// How a finished file becomes a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Import {
    /// It stays where it is too, and shares its bytes if both places are on one filesystem. Nobody may
    /// change it from now on.
    Link,
    /// It goes into the layout.
    Move,
    /// It stays where it is and remains its owner's.
    Copy,
}

impl Layout {
    /// Opens a layout, or makes one of a directory that is none yet. A directory that is half a layout
    /// is completed.
    pub fn create(dir: impl Into<PathBuf>) -> Result<Self, LayoutError> {
        let layout = Layout { dir: dir.into() };
        let blobs = layout.blob_dir();
        fs::create_dir_all(&blobs).map_err(failed("create", &blobs))?;
        let path = layout.marker_path();
        let mut marker = File::options()
            .read(true)
            .append(true)
            .create(true)
            .open(&path)
            .map_err(failed("create", &path))?;
        // Whoever comes second waits here, and finds a whole layout.
        temporary::lock(&marker).map_err(failed("lock", &path))?;
        if !layout.index_path().exists() {
            layout.write_index(Index::new(Vec::new()))?;
        }
        if marker.metadata().map_err(failed("read", &path))?.len() == 0 {
            marker
                .write_all(MARKER.as_bytes())
                .and_then(|()| marker.sync_all())
                .map_err(failed("write", &path))?;
            sync_directory(&layout.dir)?;
        }
        layout.check()?;
        temporary::collect(&layout.dir)?;
        Ok(layout)
    }

    /// Opens a layout, ours or another tool's, and removes what dead processes left in it.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self, LayoutError> {
        let layout = Layout { dir: dir.into() };
        layout.check()?;
        temporary::collect(&layout.dir)?;
        Ok(layout)
    }

    fn check(&self) -> Result<(), LayoutError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Marker {
            image_layout_version: String,
        }
        let path = self.marker_path();
        let not_a_layout = |reason| LayoutError::NotALayout { path: self.dir.clone(), reason };
        let bytes = match fs::read(&path) {
            Ok(bytes) if bytes.is_empty() => return Err(not_a_layout("its file oci-layout is empty")),
            Ok(bytes) => bytes,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Err(not_a_layout("it has no file oci-layout"));
            }
            Err(error) => return Err(failed("read", &path)(error)),
        };
        let marker: Marker =
            serde_json::from_slice(&bytes).map_err(|source| LayoutError::Malformed { path, source })?;
        match marker.image_layout_version.as_str() {
            "1.0.0" => Ok(()),
            other => Err(LayoutError::Version { path: self.dir.clone(), version: other.to_owned() }),
        }
    }

    /// The layout's directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where a blob is, or would be.
    #[must_use]
    pub fn blob_path(&self, digest: Digest) -> PathBuf {
        self.blob_dir().join(digest.hex())
    }

    /// The size of a blob in bytes; `None` if there is no such blob.
    pub fn has(&self, digest: Digest) -> Result<Option<u64>, LayoutError> {
        let path = self.blob_path(digest);
        match fs::metadata(&path) {
            Ok(metadata) => Ok(metadata.is_file().then_some(metadata.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("read", &path)(error)),
        }
    }

    /// A blob's bytes and their number. Who reads them has to verify them, as with bytes from anywhere.
    pub fn open_blob(&self, digest: Digest) -> Result<(File, u64), LayoutError> {
        let path = self.blob_path(digest);
        match File::open(&path) {
            Ok(file) => {
                let size = file.metadata().map_err(failed("read", &path))?.len();
                Ok((file, size))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(LayoutError::Unknown { digest, path: self.dir.clone() })
            }
            Err(error) => Err(failed("open", &path)(error)),
        }
    }

    /// A small blob as a whole, verified: a manifest, a config. More than `limit` bytes are refused.
    pub fn read_blob(&self, digest: Digest, limit: u64) -> Result<Vec<u8>, LayoutError> {
        let (file, size) = self.open_blob(digest)?;
        if size > limit {
            return Err(LayoutError::TooLarge { digest, size, limit });
        }
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
        file.take(size).read_to_end(&mut bytes).map_err(failed("read", &self.blob_path(digest)))?;
        match Digest::of(&bytes) {
            actual if actual == digest => Ok(bytes),
            actual => Err(LayoutError::Mismatch { expected: digest, actual, size: bytes.len() as u64 }),
        }
    }

    /// Begins a new blob.
    pub fn blob_writer(&self) -> Result<BlobWriter, LayoutError> {
        BlobWriter::new(self)
    }

    /// Writes a small blob as a whole.
    pub fn write_blob(&self, bytes: &[u8]) -> Result<Digest, LayoutError> {
        let mut writer = self.blob_writer()?;
        writer.append(bytes)?;
        Ok(writer.commit(None)?.0)
    }

    /// Makes a blob of a finished file whose digest the caller knows to be right; the digest is checked
    /// only where the bytes have to be copied.
    pub fn import_file(&self, path: &Path, digest: Digest, how: Import) -> Result<(), LayoutError> {
        let blob = self.blob_path(digest);
        let placed = match how {
            Import::Copy => false,
            Import::Link => self.link_blob(path, digest)?,
            Import::Move => self.place(digest, fs::rename(path, &blob))?,
        };
        if placed {
            return Ok(());
        }
        let mut file = File::open(path).map_err(failed("open", path))?;
        let mut writer = self.blob_writer()?;
        io::copy(&mut file, &mut writer).map_err(failed("copy", path))?;
        writer.commit(Some(digest))?;
        if how == Import::Move {
            fs::remove_file(path).map_err(failed("remove", path))?;
        }
        Ok(())
    }

    /// Makes a blob of a finished file that nobody changes from now on, without a copy. False if that is not
    /// possible: they are on different filesystems, or on one without hard links, or it is somebody else's.
    pub fn link_blob(&self, path: &Path, digest: Digest) -> Result<bool, LayoutError> {
        self.place(digest, fs::hard_link(path, self.blob_path(digest)))
    }

    /// Makes a blob that has just got its name outlast a power failure.
    fn place(&self, digest: Digest, named: io::Result<()>) -> Result<bool, LayoutError> {
        let blob = self.blob_path(digest);
        match named {
            Ok(()) => {
                File::open(&blob).and_then(|file| file.sync_all()).map_err(failed("write", &blob))?;
                sync_directory(&self.blob_dir())?;
                Ok(true)
            }
            Err(error) => Ok(error.kind() == io::ErrorKind::AlreadyExists),
        }
    }

    /// Removes a blob; false if there was none. References to it are not looked for.
    pub fn remove_blob(&self, digest: Digest) -> Result<bool, LayoutError> {
        let path = self.blob_path(digest);
        match fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(failed("remove", &path)(error)),
        }
    }

    /// Removes a blob that is not what its name says, so that it can be written again; false if there is none such.
    pub fn remove_damaged(&self, digest: Digest) -> Result<bool, LayoutError> {
        let mut file = match self.open_blob(digest) {
            Err(LayoutError::Unknown { .. }) => return Ok(false),
            opened => opened?.0,
        };
        let (mut hasher, mut buffer) = (Hasher::new(), vec![0; 1 << 16]);
        loop {
            match file.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => hasher.update(&buffer[..length]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // What cannot be read is of no more use.
                Err(_) => return self.remove_blob(digest),
            }
        }
        if hasher.finish() == digest { Ok(false) } else { self.remove_blob(digest) }
    }

    /// The digests of all blobs, in no order. Files that are no blobs are passed over.
    pub fn blobs(&self) -> Result<impl Iterator<Item = Result<Digest, LayoutError>> + use<>, LayoutError> {
        let dir = self.blob_dir();
        let entries = fs::read_dir(&dir).map_err(failed("list", &dir))?;
        Ok(entries.filter_map(move |entry| match entry {
            Ok(entry) => format!("sha256:{}", entry.file_name().to_str()?).parse().ok().map(Ok),
            Err(error) => Some(Err(failed("list", &dir)(error))),
        }))
    }

    fn blob_dir(&self) -> PathBuf {
        self.dir.join("blobs").join("sha256")
    }

    pub(crate) fn marker_path(&self) -> PathBuf {
        self.dir.join("oci-layout")
    }
}

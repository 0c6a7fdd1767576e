//! The base images of the cases: made once for this binary, and shared by all processes that test it.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::site::Site;
use crate::tree::Tree;
use crate::{Bako, Case, Image, Registry, bases, host};

/// A registry's folder with `busybox`, and each folder of `tests/bases` as `NAME:1` and `NAME:index`.
#[derive(Debug)]
pub struct Stock {
    folder: PathBuf,
    /// Held shared for as long as the folder is in use; whoever throws it away needs it alone.
    _lock: File,
}

/// The busybox base, as umoci sees it.
#[derive(Debug)]
pub struct Base {
    /// Its layers' contents.
    pub diff_ids: Vec<String>,
    /// The entries of its history.
    pub history: Value,
    /// Its filesystem.
    pub tree: Tree,
}

impl Stock {
    /// The stock for this binary and these bases; the first one to ask makes it, others wait for it.
    pub fn of(bako: &Bako) -> Result<Self> {
        let stocks = bases::cache_folder()?.join("stock");
        fs::create_dir_all(&stocks)?;
        let key = format!("{:016x}", key(bako)?);
        let folder = stocks.join(&key);
        let lock = File::create(stocks.join(format!("{key}.lock")))?;
        lock.lock_shared()?;
        if !folder.exists() {
            lock.unlock()?;
            lock.lock()?;
            if !folder.exists() {
                remove_others(&stocks, &key);
                make(bako, &folder)?;
            }
            // Not atomic, but nobody throws away a stock that is the newest.
            lock.unlock()?;
            lock.lock_shared()?;
        }
        Ok(Self { folder, _lock: lock })
    }

    /// A registry of one's own with these images.
    pub fn registry(&self, bako: &Bako) -> Result<Registry> {
        Registry::stocked(bako, &self.folder.join("images"))
    }

    /// The busybox base, once it has been looked into; needs [`crate::image::JUDGES`] the first time.
    pub fn busybox(&self, registry: &Registry) -> Result<Base> {
        let file = self.folder.join("busybox.json");
        let document: Value = match fs::read(&file) {
            Ok(bytes) => serde_json::from_slice(&bytes)?,
            Err(_) => {
                let image = Image::pull(&registry.reference("busybox:latest"))?;
                let document = serde_json::json!({
                    "diff_ids": image.diff_ids(), "history": image.config["history"], "tree": image.tree()?,
                });
                // Several may do so at a time: each writes the same, and renames it into place.
                let part = tempfile::NamedTempFile::new_in(&self.folder)?;
                fs::write(part.path(), serde_json::to_vec(&document)?)?;
                part.persist(&file)?;
                document
            }
        };
        Ok(Base {
            diff_ids: serde_json::from_value(document["diff_ids"].clone())?,
            history: document["history"].clone(),
            tree: serde_json::from_value(document["tree"].clone())?,
        })
    }
}

/// Builds all of it into a folder beside, and renames that.
fn make(bako: &Bako, folder: &Path) -> Result<()> {
    let registry = Registry::ours(bako)?;
    bases::busybox(bako, &registry)?;
    for case in Case::all(&host::repository().join("tests/bases"))? {
        let reference = registry.reference(&format!("{}:1", case.name));
        let built = Site::new(&case, &registry)?.build(bako, None, &reference)?;
        built.success().with_context(|| format!("tests/bases/{}", case.name))?;
        registry.put_index(&case.name, "index", "1")?;
    }
    let part = tempfile::tempdir_in(folder.parent().context("a stock is in a folder")?)?;
    crate::registry::copy_folder(&registry.images(), &part.path().join("images"))?;
    fs::rename(part.keep(), folder)?;
    Ok(())
}

/// Throws away the stocks of other binaries that nobody uses.
fn remove_others(stocks: &Path, key: &str) {
    for entry in fs::read_dir(stocks).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(other) = name.strip_suffix(".lock").filter(|other| *other != key) else {
            continue;
        };
        if File::open(entry.path()).is_ok_and(|lock| lock.try_lock().is_ok()) {
            // The lock itself stays: somebody may have opened it just now.
            fs::remove_dir_all(stocks.join(other)).ok();
        }
    }
}

/// Changes with the binary, the user, and everything that bases are made of.
fn key(bako: &Bako) -> Result<u64> {
    let mut hasher = DefaultHasher::new();
    for program in [&bako.program, &bases::busybox_binary()?] {
        let metadata = program.metadata()?;
        (program, metadata.len(), metadata.mtime(), metadata.mtime_nsec()).hash(&mut hasher);
    }
    host::is_root().hash(&mut hasher);
    include_str!("bases.rs").hash(&mut hasher);
    for folder in ["tests/bases", "examples/busybox-base"] {
        hash_folder(&host::repository().join(folder), &mut hasher)?;
    }
    Ok(hasher.finish())
}

fn hash_folder(folder: &Path, hasher: &mut DefaultHasher) -> Result<()> {
    let mut entries: Vec<_> = fs::read_dir(folder)?.collect::<Result<_, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        entry.file_name().hash(hasher);
        if entry.file_type()?.is_dir() {
            hash_folder(&entry.path(), hasher)?;
        } else {
            fs::read(entry.path())?.hash(hasher);
        }
    }
    Ok(())
}

//! Archives: tars that hold images, read where they are. Which file is where is found by skipping through once; nothing
//! is unpacked for it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use oci::{Digest, Index, ManifestOrIndex, Reference};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::error::during;
use crate::place::{DOCUMENT_LIMIT, named, parse};
use crate::{Error, Result};

/// Entries of an archive of an image: some per layer, so that this is far more than any has.
const ENTRIES: usize = 100_000;

/// A tar, and where in it each file is.
#[derive(Debug)]
pub(crate) struct Archive {
    path: PathBuf,
    /// Offset and length.
    files: BTreeMap<String, (u64, u64)>,
    /// Links with what they lead to: `docker save` made them of layers that are alike.
    links: BTreeMap<String, String>,
}

impl Archive {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let what = || format!("read {}", path.display());
        let mut file = File::open(path).map_err(during(what()))?;
        refuse_packed(&mut file, path)?;
        let mut tar = tar::Archive::new(file);
        let mut found = Archive { path: path.to_owned(), files: BTreeMap::new(), links: BTreeMap::new() };
        for entry in tar.entries_with_seek().map_err(during(what()))? {
            let entry = entry.map_err(during(what()))?;
            let name = cleaned("", &String::from_utf8_lossy(&entry.path_bytes()));
            if found.files.len() + found.links.len() == ENTRIES {
                let text = format!("{} is no archive of an image: it has too many entries", path.display());
                return Err(Error::new(text));
            }
            let kind = entry.header().entry_type();
            if kind.is_symlink() || kind.is_hard_link() {
                let target = entry.link_name_bytes().unwrap_or_default();
                // A symbolic link begins where it is, a hard link at the top.
                let above = name.rsplit_once('/').map_or("", |(above, _)| above);
                let above = if kind.is_symlink() { above } else { "" };
                let target = cleaned(above, &String::from_utf8_lossy(&target));
                found.links.insert(name, target);
            } else if kind.is_file() {
                found.files.insert(name, (entry.raw_file_position(), entry.size()));
            }
        }
        Ok(found)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The names of its files.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.files.contains_key(name)
    }

    /// Offset and length of a file. A link is followed once.
    pub(crate) fn find(&self, name: &str) -> Result<(u64, u64)> {
        let name = cleaned("", name);
        let found = self.files.get(self.links.get(&name).unwrap_or(&name)).copied();
        found.ok_or_else(|| Error::new(format!("{} does not hold {name}", self.path.display())))
    }

    /// The bytes of a file.
    pub(crate) fn part(&self, (offset, size): (u64, u64)) -> io::Result<io::Take<File>> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(offset))?;
        Ok(file.take(size))
    }

    /// A small file as a whole.
    pub(crate) fn read(&self, name: &str) -> Result<Vec<u8>> {
        let what = || format!("read {name} of {}", self.path.display());
        let place = self.find(name)?;
        if place.1 > DOCUMENT_LIMIT {
            return Err(Error::new(format!("{}: {name} is too large", self.path.display())));
        }
        let mut bytes = Vec::new();
        self.part(place).and_then(|mut part| part.read_to_end(&mut bytes)).map_err(during(what()))?;
        Ok(bytes)
    }

    /// A small file as what it says.
    pub(crate) fn json<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        let what = || format!("{name} of {}", self.path.display());
        serde_json::from_slice(&self.read(name)?).map_err(|source| Error::Json { what: what(), source })
    }

    /// The index of the layout that is in it.
    pub(crate) fn index(&self) -> Result<Index> {
        if !self.has("index.json") {
            let shown = self.path.display();
            let text = format!("{shown} is no archive of an OCI layout: it has no index.json");
            return Err(Error::new(text));
        }
        self.json("index.json")
    }

    /// The manifest or index that the layout in it has under a name.
    pub(crate) fn root(&self, name: Option<&str>) -> Result<ManifestOrIndex> {
        let shown = format!("oci-archive:{}", self.path.display());
        let chosen = named(&self.index()?, name, &shown)?;
        let bytes = self.read(&blob_name(chosen.digest))?;
        if Digest::of(&bytes) != chosen.digest {
            return Err(Error::new(format!("{}: {} is damaged", self.path.display(), chosen.digest)));
        }
        parse(bytes, &chosen)
    }
}

/// A packed tar has no places that one could read from.
fn refuse_packed(file: &mut File, path: &Path) -> Result<()> {
    let what = || format!("read {}", path.display());
    let mut magic = Vec::new();
    file.take(4).read_to_end(&mut magic).map_err(during(what()))?;
    file.rewind().map_err(during(what()))?;
    let program = match magic[..] {
        [0x1f, 0x8b, ..] => "gunzip",
        [0x28, 0xb5, 0x2f, 0xfd] => "unzstd",
        _ => return Ok(()),
    };
    Err(Error::new(format!("{} is compressed as a whole; unpack it with {program} first", path.display())))
}

/// Where a layout has a blob.
pub(crate) fn blob_name(digest: Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// A name in an archive without `.` and `..`; it is compared, and never opened.
fn cleaned(above: &str, name: &str) -> String {
    let mut parts: Vec<&str> = above.split('/').filter(|part| !part.is_empty()).collect();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// An image of `docker save`: an entry of its `manifest.json`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Saved {
    /// The file that is its config.
    pub(crate) config: String,
    /// What it is called; nothing, where it was saved by its ID.
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    /// The files that are its layers, bottom first.
    pub(crate) layers: Vec<String>,
}

impl Saved {
    /// The image of an archive that is meant: by a name of its own, as `@NUMBER` counted from 0, or the only one.
    pub(crate) fn of(archive: &Archive, name: Option<&str>) -> Result<Saved> {
        let shown = format!("docker-archive:{}", archive.path.display());
        if !archive.has("manifest.json") {
            let text =
                format!("{} is no archive of docker save: it has no manifest.json", archive.path.display());
            return Err(Error::new(text));
        }
        let mut saved: Vec<Saved> = archive.json("manifest.json")?;
        if let Some(number) = name.and_then(|name| name.strip_prefix('@')) {
            let found = number.parse().ok().filter(|number| *number < saved.len());
            return match found {
                Some(number) => Ok(saved.swap_remove(number)),
                None => Err(Error::new(format!("{shown} has {} images, and no @{number}", saved.len()))),
            };
        }
        saved.retain(|image| name.is_none_or(|name| image.is_called(name)));
        match (&saved[..], name) {
            ([_], _) => Ok(saved.swap_remove(0)),
            ([], Some(name)) => Err(Error::new(format!("{shown} has no image of the name {name}"))),
            ([], None) => Err(Error::new(format!("{shown} has no image"))),
            (several, _) => {
                let names: Vec<&str> =
                    several.iter().flat_map(|image| image.tags()).map(String::as_str).collect();
                let names = if names.is_empty() { "@0, @1 …".to_owned() } else { names.join(", ") };
                Err(Error::new(format!("{shown} has several images; say which, as in {shown}:NAME: {names}")))
            }
        }
    }

    fn tags(&self) -> &[String] {
        self.repo_tags.as_deref().unwrap_or_default()
    }

    /// True if it has the name, whether that is written in full or not.
    fn is_called(&self, name: &str) -> bool {
        let wanted: Option<Reference> = name.parse().ok();
        self.tags().iter().any(|tag| tag == name || wanted.is_some() && tag.parse().ok() == wanted)
    }
}

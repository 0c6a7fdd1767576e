//! An image that is in a file or a directory, on its way to a registry: a `docker save` archive, an OCI layout, or an
//! OCI layout in an archive.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use layer::{discard, read_layer};
use layout::Layout;
use oci::{
    Compression, Descriptor, DiffId, Digest, Hasher, ImageConfig, ImageFormat, Manifest, ManifestOrIndex, Raw,
};
use registry::Client;
use sandbox::Cancel;
use serde::Deserialize;

use crate::context::Fetching;
use crate::engine::check_destinations;
use crate::error::{Context, Error, Result};
use crate::event::Report;
use crate::interruptible::Interruptible;
use crate::output::{Outputs, Uploads, write_digest_files};

/// What it takes to push an image.
#[derive(Debug)]
pub struct Push<'a> {
    /// The archive or the layout.
    pub from: &'a Path,
    /// Where to, and what is written afterwards. The media types count for archives of `docker save` alone: what an
    /// OCI layout has keeps its bytes.
    pub outputs: &'a Outputs,
    /// The client for registries.
    pub client: Client,
    /// Where requests run, and where an archive is unpacked.
    pub fetching: Fetching<'a>,
}

/// Pushes the one image that is there; the digest of its manifest.
pub fn push(push: &Push<'_>, report: &Arc<dyn Report>) -> Result<Digest> {
    let Push { outputs, fetching, client, .. } = push;
    let image = open(push).map_err(|error| error.during(push.from.display()))?;
    if !outputs.skip_push_check {
        check_destinations(client, &outputs.destinations, fetching.runtime, fetching.cancel)?;
    }
    let mut uploads = Uploads::new(
        client.clone(),
        fetching.runtime.clone(),
        &outputs.destinations,
        outputs.keep_immutable_tags,
        report.clone(),
        fetching.cancel.clone(),
    );
    for (descriptor, file) in image.layers {
        uploads.file(&descriptor, file);
    }
    let manifest = image.manifest.value();
    uploads.document(&manifest.config, &image.config);
    let media_type = manifest.media_type.clone().unwrap_or_else(|| ImageFormat::Oci.manifest());
    uploads.finish_with(&media_type, image.manifest.bytes())?;
    let digest = image.manifest.digest();
    write_digest_files(*fetching, outputs, digest)?;
    Ok(digest)
}

/// An image whose blobs are files.
struct Stored {
    manifest: Raw<Manifest>,
    config: Vec<u8>,
    layers: Vec<(Descriptor, PathBuf)>,
}

/// What a manifest or a config may be large, as registries have it.
const DOCUMENT_LIMIT: u64 = 8 << 20;

fn open(push: &Push<'_>) -> Result<Stored> {
    if push.from.is_dir() {
        return of_layout(&Layout::open(push.from)?);
    }
    let unpacked = push.fetching.work_dir.path().join("image");
    std::fs::create_dir(&unpacked).during(unpacked.display())?;
    let file = File::open(push.from)?;
    let entries = unpack(file, &unpacked, push.fetching.cancel)?;
    if entries.contains_key("manifest.json") {
        of_docker_archive(&entries, push.outputs.format, &unpacked, push.fetching.cancel)
    } else if entries.contains_key("index.json") {
        of_layout(&laid_out(&entries, &unpacked.join("layout"))?)
    } else {
        Err(Error::new("it holds neither manifest.json nor index.json")
            .hint("expected an archive of docker save or of --tar-path, or an OCI layout"))
    }
}

/// The only image of a layout; one that is listed under several names is one.
fn of_layout(layout: &Layout) -> Result<Stored> {
    let mut listed: Vec<Digest> = layout.index()?.manifests.iter().map(|entry| entry.digest).collect();
    listed.sort();
    listed.dedup();
    let [digest] = listed[..] else {
        return Err(Error::new(format!("it holds {} images, and not one", listed.len())));
    };
    let manifest = match ManifestOrIndex::parse(layout.read_blob(digest, DOCUMENT_LIMIT)?, None)? {
        ManifestOrIndex::Manifest(manifest) => manifest,
        ManifestOrIndex::Index(_) => {
            return Err(Error::new(
                "it holds an index, that is images for several platforms, and not one image",
            ));
        }
    };
    let config = layout.read_blob(manifest.value().config.digest, DOCUMENT_LIMIT)?;
    let layers = manifest.value().layers.iter();
    let layers = layers.map(|layer| (layer.clone(), layout.blob_path(layer.digest))).collect();
    Ok(Stored { manifest, config, layers })
}

/// A file of an archive, where it is now.
#[derive(Debug, Clone)]
struct Entry {
    file: PathBuf,
    digest: Digest,
    size: u64,
    /// How it begins.
    magic: [u8; 4],
}

/// Writes every file of an archive under a name of ours. Links are followed by name: `docker save` made them of layers
/// that were there twice.
fn unpack(archive: File, directory: &Path, cancel: &Cancel) -> Result<BTreeMap<String, Entry>> {
    let mut archive = tar::Archive::new(Interruptible { inner: archive, cancel });
    let mut entries: BTreeMap<String, Entry> = BTreeMap::new();
    let mut links: Vec<(String, String)> = Vec::new();
    for (number, entry) in archive.entries()?.enumerate() {
        let mut entry = entry?;
        let name = cleaned("", &String::from_utf8_lossy(&entry.path_bytes()));
        match entry.header().entry_type() {
            tar::EntryType::Regular => {
                let file = directory.join(number.to_string());
                let stored = write_hashed(&mut entry, file)?;
                entries.insert(name, stored);
            }
            tar::EntryType::Symlink | tar::EntryType::Link => {
                let target = entry.link_name_bytes().unwrap_or_default();
                let above = name.rsplit_once('/').map_or("", |(above, _)| above);
                let above = if entry.header().entry_type().is_symlink() { above } else { "" };
                let target = cleaned(above, &String::from_utf8_lossy(&target));
                links.push((name, target));
            }
            _ => {}
        }
    }
    for (name, target) in links {
        if let Some(entry) = entries.get(&target).cloned() {
            entries.insert(name, entry);
        }
    }
    Ok(entries)
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

fn write_hashed(data: &mut dyn Read, file: PathBuf) -> Result<Entry> {
    let mut out = File::create(&file).during(file.display())?;
    let (mut hasher, mut size, mut magic) = (Hasher::new(), 0, [0; 4]);
    let mut buffer = vec![0; 1 << 18];
    loop {
        let length = match data.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        };
        for (position, byte) in buffer[..length].iter().enumerate().take(4) {
            if let Some(place) = usize::try_from(size).ok().and_then(|size| magic.get_mut(size + position)) {
                *place = *byte;
            }
        }
        hasher.update(&buffer[..length]);
        out.write_all(&buffer[..length]).during(file.display())?;
        size += length as u64;
    }
    Ok(Entry { file, digest: hasher.finish(), size, magic })
}

/// Gives the blobs of an archived layout their places.
fn laid_out(entries: &BTreeMap<String, Entry>, directory: &Path) -> Result<Layout> {
    let blobs = directory.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).during(blobs.display())?;
    for (name, entry) in entries {
        let place = match name.strip_prefix("blobs/sha256/") {
            Some(hex) if hex == entry.digest.hex() => blobs.join(hex),
            Some(_) => return Err(Error::new(format!("{name} is damaged: it is {}", entry.digest))),
            None if name == "index.json" || name == "oci-layout" => directory.join(name),
            None => continue,
        };
        std::fs::hard_link(&entry.file, &place).during(place.display())?;
    }
    Ok(Layout::open(directory)?)
}

/// `manifest.json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    config: String,
    layers: Vec<String>,
}

fn of_docker_archive(
    entries: &BTreeMap<String, Entry>,
    format: ImageFormat,
    directory: &Path,
    cancel: &Cancel,
) -> Result<Stored> {
    let entry = |name: &str| {
        entries.get(&cleaned("", name)).ok_or_else(|| Error::new(format!("it does not hold {name}")))
    };
    let list: Vec<Listed> = serde_json::from_slice(&document(entry("manifest.json")?)?)
        .map_err(|error| Error::new(format!("malformed manifest.json: {error}")))?;
    let [listed] = &list[..] else {
        return Err(Error::new(format!("it holds {} images, and not one", list.len())));
    };
    let bytes = document(entry(&listed.config)?)?;
    let config: Raw<ImageConfig> =
        Raw::parse(bytes.clone()).map_err(|error| Error::new(format!("malformed image config: {error}")))?;
    let diff_ids = &config.value().rootfs.diff_ids;
    if diff_ids.len() != listed.layers.len() {
        let (layers, known) = (listed.layers.len(), diff_ids.len());
        return Err(Error::new(format!("its manifest lists {layers} layers, its config {known}")));
    }
    let mut layers = Vec::new();
    for (number, (name, diff_id)) in listed.layers.iter().zip(diff_ids).enumerate() {
        let packed = packed(entry(name)?, *diff_id, &directory.join(format!("{number}.gz")), cancel);
        let (compression, entry) = packed.map_err(|error| error.during(name))?;
        if format == ImageFormat::Docker && compression == Compression::Zstd {
            return Err(Error::new(format!("{name}: images in Docker's format have no zstd layers")));
        }
        layers.push((Descriptor::new(format.layer(compression), entry.digest, entry.size), entry.file));
    }
    let descriptors = layers.iter().map(|(descriptor, _)| descriptor.clone()).collect();
    let descriptor = Descriptor::of(format.config(), &config);
    let manifest = Raw::write(Manifest::new(format.manifest(), descriptor, descriptors));
    Ok(Stored { manifest, config: bytes, layers })
}

/// A layer as registries want it: packed, and what the config says it is.
fn packed(entry: &Entry, diff_id: DiffId, place: &Path, cancel: &Cancel) -> Result<(Compression, Entry)> {
    let compression = match entry.magic {
        [0x1f, 0x8b, ..] => Compression::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd] => Compression::Zstd,
        _ => Compression::None,
    };
    let open = || -> Result<_> { Ok(Interruptible { inner: File::open(&entry.file)?, cancel }) };
    let found = match compression {
        Compression::None => DiffId(entry.digest),
        packed => {
            read_layer(open()?, packed, &mut discard()).map_err(|error| Error::from_chain(&error))?.diff_id
        }
    };
    if found != diff_id {
        return Err(Error::new(format!("it holds {found}, the image's config says {diff_id}"))
            .hint("the archive is damaged; write it again"));
    }
    if compression != Compression::None {
        return Ok((compression, entry.clone()));
    }
    let out = File::create(place).during(place.display())?;
    let written = layer::gzip(open()?, out).during(place.display())?;
    let entry =
        Entry { file: place.to_owned(), digest: written.0, size: written.1, magic: [0x1f, 0x8b, 8, 0] };
    Ok((Compression::Gzip, entry))
}

fn document(entry: &Entry) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(&entry.file)?.take(DOCUMENT_LIMIT + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > DOCUMENT_LIMIT {
        return Err(Error::new(format!("a document in it is larger than {DOCUMENT_LIMIT} bytes")));
    }
    Ok(bytes)
}

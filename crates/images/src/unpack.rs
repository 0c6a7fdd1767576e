//! Unpacking: the images of an archive as an OCI layout in a directory.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;

use layer::{discard, read_layer};
use layout::Layout;
use oci::{Compression, Descriptor, DiffId, Digest, ImageConfig, ImageFormat, Manifest, Raw};

use crate::archive::{Archive, Saved};
use crate::error::{chain, during};
use crate::hashed::Hashed;
use crate::{Error, Result};

/// What an archive is taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArchiveKind<'n> {
    /// An OCI layout in a tar, with all its images.
    Oci,
    /// What `docker save` writes. One image of it, which has this name, or is the only one.
    Docker(Option<&'n str>),
    /// What `docker save` writes, with one image; else an OCI layout. Newer versions write both in one.
    Any,
}

/// Unpacks an archive into a directory, which is made. What an OCI layout has keeps its bytes. Of an archive of
/// `docker save` come a config with the same bytes, layers that are packed unless they were, and a manifest in the given
/// format. `interrupted` is asked now and then; its error ends the work.
pub fn unpack(
    archive: &Path,
    kind: ArchiveKind<'_>,
    format: ImageFormat,
    dir: &Path,
    interrupted: &(dyn Fn() -> io::Result<()> + Sync),
) -> Result<Layout> {
    let archive = Archive::open(archive)?;
    let kind = match kind {
        ArchiveKind::Any if archive.has("manifest.json") => ArchiveKind::Docker(None),
        ArchiveKind::Any if archive.has("index.json") => ArchiveKind::Oci,
        ArchiveKind::Any => {
            return Err(Error::new(format!(
                "{} holds neither manifest.json nor index.json: it is no archive of docker save or --tar-path, \
                 and no OCI layout",
                archive.path().display()
            )));
        }
        kind => kind,
    };
    let unpacking = Unpacking { archive: &archive, layout: Layout::create(dir)?, interrupted };
    match kind {
        ArchiveKind::Docker(name) => unpacking.docker(&Saved::of(&archive, name)?, format)?,
        ArchiveKind::Oci | ArchiveKind::Any => unpacking.oci()?,
    }
    Ok(unpacking.layout)
}

struct Unpacking<'a> {
    archive: &'a Archive,
    layout: Layout,
    interrupted: &'a (dyn Fn() -> io::Result<()> + Sync),
}

impl Unpacking<'_> {
    /// Only what a layout has is taken.
    fn oci(&self) -> Result<()> {
        let index = self.archive.index()?;
        for name in self.archive.names() {
            let Some(hex) = name.strip_prefix("blobs/sha256/").filter(|hex| hex.len() == 64) else {
                continue;
            };
            let digest: Digest = format!("sha256:{hex}")
                .parse()
                .map_err(|error| Error::new(format!("{}: {error}", self.archive.path().display())))?;
            let mut writer = self.layout.blob_writer()?;
            let mut part = self.open(self.archive.find(name)?).map_err(during(self.reading(name)))?;
            io::copy(&mut part, &mut writer).map_err(during(self.reading(name)))?;
            writer.commit(Some(digest))?;
        }
        self.layout.edit_index(|own| *own = index)?;
        Ok(())
    }

    fn docker(&self, image: &Saved, format: ImageFormat) -> Result<()> {
        let shown = self.archive.path().display();
        let bytes = self.archive.read(&image.config)?;
        let config: Raw<ImageConfig> = Raw::parse(bytes)
            .map_err(|error| Error::new(format!("{shown}: malformed image config: {error}")))?;
        let diff_ids = &config.value().rootfs.diff_ids;
        if diff_ids.len() != image.layers.len() {
            let (layers, known) = (image.layers.len(), diff_ids.len());
            let text = format!("{shown}: its manifest lists {layers} layers, its config {known}");
            return Err(Error::new(text));
        }
        // Layers that are alike are one file.
        let mut done: BTreeMap<DiffId, Descriptor> = BTreeMap::new();
        for (name, diff_id) in image.layers.iter().zip(diff_ids) {
            if !done.contains_key(diff_id) {
                let layer = self.layer(name, *diff_id, format);
                let layer = layer.map_err(|error| Error::new(format!("{shown}: {name}: {error}")))?;
                done.insert(*diff_id, layer);
            }
        }
        let layers = diff_ids.iter().filter_map(|diff_id| done.get(diff_id).cloned()).collect();
        self.layout.write_blob(config.bytes())?;
        let descriptor = Descriptor::of(format.config(), &config);
        let manifest = Raw::write(Manifest::new(format.manifest(), descriptor, layers));
        self.layout.write_blob(manifest.bytes())?;
        self.layout.put_reference(Descriptor::of(format.manifest(), &manifest))?;
        Ok(())
    }

    /// A layer as registries want it: packed, and what the config says it is.
    fn layer(&self, name: &str, diff_id: DiffId, format: ImageFormat) -> Result<Descriptor> {
        let place = self.archive.find(name)?;
        let open = || self.open(place).map_err(during(self.reading(name)));
        let mut magic = Vec::new();
        open()?.take(4).read_to_end(&mut magic).map_err(during(self.reading(name)))?;
        let compression = match magic[..] {
            [0x1f, 0x8b, ..] => Compression::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd] => Compression::Zstd,
            _ => Compression::None,
        };
        if format == ImageFormat::Docker && compression == Compression::Zstd {
            return Err(Error::new("images in Docker's format have no zstd layers"));
        }
        let mut writer = self.layout.blob_writer()?;
        let found = if compression == Compression::None {
            let mut tar = Hashed::new(open()?);
            layer::gzip(&mut tar, &mut writer).map_err(during("pack it"))?;
            DiffId(tar.finish().map_err(during(self.reading(name)))?)
        } else {
            let read = read_layer(open()?, compression, &mut discard());
            let index = read.map_err(|error| Error::new(chain(&error)))?;
            io::copy(&mut open()?, &mut writer).map_err(during(self.reading(name)))?;
            index.diff_id
        };
        if found != diff_id {
            return Err(Error::new(format!(
                "it holds {found}, the image's config says {diff_id}: the archive is damaged; write it again"
            )));
        }
        let (digest, size) = writer.commit(None)?;
        let packed = if compression == Compression::None { Compression::Gzip } else { compression };
        Ok(Descriptor::new(format.layer(packed), digest, size))
    }

    fn open(&self, place: (u64, u64)) -> io::Result<impl Read + Send + use<'_>> {
        Ok(Interruptible { inner: self.archive.part(place)?, interrupted: self.interrupted })
    }

    fn reading(&self, name: &str) -> String {
        format!("read {name} of {}", self.archive.path().display())
    }
}

/// Reads until it is told to end.
struct Interruptible<'a, R> {
    inner: R,
    interrupted: &'a (dyn Fn() -> io::Result<()> + Sync),
}

impl<R: Read> Read for Interruptible<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (self.interrupted)()?;
        self.inner.read(buffer)
    }
}

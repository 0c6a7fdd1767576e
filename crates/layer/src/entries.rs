//! Entries: a tar's headers, extensions and data, put together.
//!
//! The framing is as Go's `archive/tar` understands it, since that is what decides what a runtime makes of a
//! layer: where two readers could disagree about a tar, we side with it or refuse the tar. Long names come
//! from PAX or GNU headers; sparse files of every GNU kind are delivered at their full length.

use tar::{EntryType, Header};

use crate::header::{BLOCK, Block, MAX_RECORDS, is_header, number};
use crate::pax::{Pax, decimal};
use crate::sparse::{self, Extent, MAX_EXTENTS};
use crate::stream::Stream;
use crate::{Metadata, ReadError};

/// Iterates over the entries of a tar.
#[derive(Debug)]
pub(crate) struct Entries<'a> {
    stream: &'a mut Stream,
    /// A header that was read to see whether it is one.
    peeked: Option<Block>,
    /// What the current entry's data still takes, with the padding apart.
    remaining: u64,
    padding: u64,
    /// The current file.
    extents: Vec<Extent>,
    size: u64,
}

/// An entry, its extensions taken into account.
#[derive(Debug)]
pub(crate) struct Entry {
    /// The name as it is in the tar.
    pub(crate) name: Vec<u8>,
    /// A file may be of several kinds in a tar; here it is a [`EntryType::Regular`].
    pub(crate) kind: EntryType,
    /// Mode, owner, time and all extended attributes.
    pub(crate) metadata: Metadata,
    /// The text of a link.
    pub(crate) link: Vec<u8>,
    /// The length of a file.
    pub(crate) size: u64,
    /// Major and minor number of a device.
    pub(crate) device: (u32, u32),
    /// It has attributes of Windows.
    pub(crate) is_for_windows: bool,
}

/// The data of the current file.
#[derive(Debug)]
pub(crate) struct Data<'e, 'a> {
    entries: &'e mut Entries<'a>,
    /// Where in the file.
    position: u64,
    /// The extent that is at or after it.
    extent: usize,
}

/// What holes read as.
static ZEROS: [u8; 1 << 16] = [0; 1 << 16];

impl Entry {
    /// An error about this entry.
    pub(crate) fn fault(&self, fault: impl Into<String>) -> ReadError {
        entry_fault(&self.name, fault)
    }
}

fn entry_fault(name: &[u8], fault: impl Into<String>) -> ReadError {
    // A name may be a megabyte long; whoever sends one needs no more than its beginning.
    let entry = String::from_utf8_lossy(&name[..name.len().min(300)]).into_owned();
    ReadError::Entry { entry, fault: fault.into() }
}

impl<'a> Entries<'a> {
    /// The entries of the tar that `stream` is.
    pub(crate) fn new(stream: &'a mut Stream) -> Self {
        Entries { stream, peeked: None, remaining: 0, padding: 0, extents: Vec::new(), size: 0 }
    }

    /// The next entry; what is left of the current one is passed over. At the end of the archive the rest
    /// of the stream is read too.
    pub(crate) fn next(&mut self) -> Result<Option<Entry>, ReadError> {
        let (mut pax, mut long_name, mut long_link) = (None, None, None);
        loop {
            self.pass_over()?;
            let Some(block) = self.header()? else {
                if pax.is_some() || long_name.is_some() || long_link.is_some() {
                    return Err(self.damaged("extended header without an entry"));
                }
                self.read_rest()?;
                return Ok(None);
            };
            let header = Header::from_byte_slice(&block);
            let name = header.path_bytes();
            let kind = header.entry_type();
            let size = field(&name, "size", &header.as_old().size)?;
            match kind {
                EntryType::XHeader => {
                    let records = self.extension(&name, size)?;
                    let parsed = Pax::parse(&records).map_err(|fault| entry_fault(&name, fault))?;
                    if pax.replace(parsed).is_some() {
                        return Err(entry_fault(&name, "two extended headers for one entry"));
                    }
                }
                EntryType::XGlobalHeader => drop(self.extension(&name, size)?),
                EntryType::GNULongName | EntryType::GNULongLink => {
                    let mut text = self.extension(&name, size)?;
                    text.truncate(text.iter().position(|&byte| byte == 0).unwrap_or(text.len()));
                    let long = if kind == EntryType::GNULongName { &mut long_name } else { &mut long_link };
                    if long.replace(text).is_some() {
                        return Err(entry_fault(&name, "two long names for one entry"));
                    }
                }
                _ => {
                    return self.entry(header, size, pax.unwrap_or_default(), long_name, long_link).map(Some);
                }
            }
        }
    }

    /// The current file's data, from its beginning. To be asked for once.
    pub(crate) fn data(&mut self) -> Data<'_, 'a> {
        Data { entries: self, position: 0, extent: 0 }
    }

    fn entry(
        &mut self,
        header: &Header,
        stored: u64,
        mut pax: Pax,
        long_name: Option<Vec<u8>>,
        long_link: Option<Vec<u8>>,
    ) -> Result<Entry, ReadError> {
        let old = header.as_old();
        let in_header = || header.path_bytes().into_owned();
        let name = long_name.or(pax.sparse.name.take()).or(pax.path.take()).unwrap_or_else(in_header);
        let in_header = || header.link_name_bytes().unwrap_or_default().into_owned();
        let link = long_link.or(pax.link.take()).unwrap_or_else(in_header);
        let metadata = Metadata {
            mode: field::<u64>(&name, "mode", &old.mode)? as u32 & 0o7777,
            uid: pax.uid.map_or_else(|| field(&name, "owner", &old.uid), Ok)?,
            gid: pax.gid.map_or_else(|| field(&name, "group", &old.gid), Ok)?,
            mtime: pax.mtime.map_or_else(|| field(&name, "time", &old.mtime), Ok)?,
            xattrs: std::mem::take(&mut pax.xattrs),
        };
        let kind = match header.entry_type() {
            // The seventh edition had no directories in a tar, but for the slash.
            EntryType::Regular if old.linkflag == [0] && name.ends_with(b"/") => EntryType::Directory,
            EntryType::Continuous | EntryType::GNUSparse => EntryType::Regular,
            kind => kind,
        };
        let is_for_windows = pax.is_for_windows;
        let mut entry = Entry { name, kind, metadata, link, size: 0, device: (0, 0), is_for_windows };
        let stored = pax.size.unwrap_or(stored);
        match kind {
            EntryType::Regular => {
                self.expect_data(&entry, stored)?;
                self.map(&entry, header, &pax, stored)?;
                entry.size = self.size;
            }
            // Whatever the size says, no data follows these.
            EntryType::Directory | EntryType::Symlink | EntryType::Fifo => {}
            EntryType::Char | EntryType::Block => {
                if let Some(ustar) = header.as_ustar() {
                    entry.device = device(&entry.name, &ustar.dev_major, &ustar.dev_minor)?;
                } else if let Some(gnu) = header.as_gnu() {
                    entry.device = device(&entry.name, &gnu.dev_major, &gnu.dev_minor)?;
                }
            }
            EntryType::Link => self.pass_over_link_data(&entry, stored)?,
            kind => {
                let flag = [kind.as_byte()].escape_ascii().to_string();
                return Err(entry.fault(format!("entries of type '{flag}' are not supported")));
            }
        }
        Ok(entry)
    }

    /// Makes `stored` bytes what is to be passed over.
    fn expect_data(&mut self, entry: &Entry, stored: u64) -> Result<(), ReadError> {
        let padded = stored.checked_next_multiple_of(BLOCK as u64);
        self.padding =
            padded.filter(|&padded| padded <= i64::MAX as u64).ok_or_else(|| entry.fault("absurd size"))?
                - stored;
        self.remaining = stored;
        Ok(())
    }

    /// Finds out where the current file's bytes belong.
    fn map(&mut self, entry: &Entry, header: &Header, pax: &Pax, stored: u64) -> Result<(), ReadError> {
        let fault = |fault: String| entry.fault(fault);
        self.extents.clear();
        self.size = stored;
        if header.entry_type() == EntryType::GNUSparse {
            let gnu = header.as_gnu().ok_or_else(|| entry.fault("sparse file without a GNU header"))?;
            self.size = field(&entry.name, "sparse size", &gnu.realsize)?;
            let mut more = self
                .gnu_extents(entry, gnu.sparse.iter().map(|one| (&one.offset, &one.numbytes)))?
                && gnu.is_extended();
            while more {
                let block = self.block()?.ok_or_else(|| self.damaged("it ends in a sparse map"))?;
                let pairs = block[..504].chunks_exact(24).map(|pair| {
                    let (offset, length) = pair.split_at(12);
                    (offset.try_into().expect("twelve of 24"), length.try_into().expect("twelve of 24"))
                });
                more = self.gnu_extents(entry, pairs)? && block[504] != 0;
            }
        } else if pax.sparse.map_in_data {
            self.size = pax.sparse.size.ok_or_else(|| entry.fault("sparse file without a size"))?;
            self.map_in_data(entry)?;
        } else if let Some(map) = &pax.sparse.map {
            self.size = pax.sparse.size.ok_or_else(|| entry.fault("sparse file without a size"))?;
            self.extents.extend_from_slice(map);
        } else {
            self.extents.push(Extent { offset: 0, length: stored });
        }
        if self.extents.len() > MAX_EXTENTS {
            return Err(entry.fault("sparse map is too long"));
        }
        sparse::check(&self.extents, self.size, self.remaining).map_err(fault)
    }

    /// Adds extents as old GNU headers list them; false if the list has ended.
    fn gnu_extents<'f>(
        &mut self,
        entry: &Entry,
        pairs: impl Iterator<Item = (&'f [u8; 12], &'f [u8; 12])>,
    ) -> Result<bool, ReadError> {
        for (offset, length) in pairs {
            if length[0] == 0 {
                return Ok(false);
            }
            if self.extents.len() >= MAX_EXTENTS {
                return Err(entry.fault("sparse map is too long"));
            }
            self.extents.push(Extent {
                offset: field(&entry.name, "sparse offset", offset)?,
                length: field(&entry.name, "sparse length", length)?,
            });
        }
        Ok(true)
    }

    /// Reads the map of version 1.0: the number of extents, then their offsets and lengths, a line each, up
    /// to the end of a block.
    fn map_in_data(&mut self, entry: &Entry) -> Result<(), ReadError> {
        let mut wanted = None;
        let (mut line, mut offset) = (Vec::new(), None);
        while wanted.is_none_or(|wanted| self.extents.len() < wanted) {
            if self.remaining < BLOCK as u64 {
                return Err(entry.fault("sparse map goes beyond the data"));
            }
            let block = self.block()?.ok_or_else(|| self.damaged("it ends in a sparse map"))?;
            self.remaining -= BLOCK as u64;
            for &byte in &block {
                if byte != b'\n' {
                    if line.len() == 20 {
                        return Err(entry.fault("malformed sparse map"));
                    }
                    line.push(byte);
                    continue;
                }
                let number: u64 = decimal(&line).ok_or_else(|| entry.fault("malformed sparse map"))?;
                line.clear();
                match (wanted, offset.take()) {
                    (None, _) => {
                        let count = usize::try_from(number).ok().filter(|&count| count <= MAX_EXTENTS);
                        wanted = Some(count.ok_or_else(|| entry.fault("sparse map is too long"))?);
                    }
                    (Some(_), None) => offset = Some(number),
                    (Some(_), Some(offset)) => self.extents.push(Extent { offset, length: number }),
                }
                if wanted == Some(self.extents.len()) {
                    break;
                }
            }
        }
        Ok(())
    }

    /// A hard link with a size: by POSIX the file's data follows, but most archives that give a size have no
    /// data there, and readers take the size for a mere remark. The next block tells.
    fn pass_over_link_data(&mut self, entry: &Entry, stored: u64) -> Result<(), ReadError> {
        if stored == 0 {
            return Ok(());
        }
        match self.block()? {
            Some(block) if block != [0; BLOCK] && !is_header(&block) => {
                self.expect_data(entry, stored)?;
                let read = self.remaining.min(BLOCK as u64);
                self.remaining -= read;
                self.padding -= BLOCK as u64 - read;
            }
            block => self.peeked = block,
        }
        Ok(())
    }

    /// The contents of an extension header.
    fn extension(&mut self, name: &[u8], size: u64) -> Result<Vec<u8>, ReadError> {
        if size > MAX_RECORDS {
            return Err(entry_fault(name, format!("extended header of {size} bytes, more than 1 MiB")));
        }
        let mut data = Vec::new();
        let length = size.next_multiple_of(BLOCK as u64);
        while (data.len() as u64) < length {
            let block = self.block()?.ok_or_else(|| self.damaged("it ends in an extended header"))?;
            data.extend_from_slice(&block);
        }
        data.truncate(size as usize);
        Ok(data)
    }

    /// The next header; `None` at the end of the archive, which is two blocks of zeros or, as all readers
    /// have it, the end of the stream.
    fn header(&mut self) -> Result<Option<Block>, ReadError> {
        match self.peeked.take().map_or_else(|| self.block(), |block| Ok(Some(block)))? {
            None => Ok(None),
            Some(block) if block == [0; BLOCK] => match self.block()? {
                None => Ok(None),
                Some(block) if block == [0; BLOCK] => Ok(None),
                Some(_) => Err(self.damaged("one block of zeros where there should be two")),
            },
            Some(block) if is_header(&block) => Ok(Some(block)),
            Some(_) => Err(self.damaged("header with a wrong checksum")),
        }
    }

    /// The next block; `None` at the end of the stream.
    fn block(&mut self) -> Result<Option<Block>, ReadError> {
        let mut block = [0; BLOCK];
        let mut length = 0;
        while length < BLOCK {
            let bytes = self.stream.fill()?;
            if bytes.is_empty() {
                if length == 0 {
                    return Ok(None);
                }
                return Err(self.damaged("it ends within a block"));
            }
            let more = bytes.len().min(BLOCK - length);
            block[length..length + more].copy_from_slice(&bytes[..more]);
            self.stream.consume(more);
            length += more;
        }
        Ok(Some(block))
    }

    /// Passes over what is left of the current entry.
    fn pass_over(&mut self) -> Result<(), ReadError> {
        let mut length = self.remaining + self.padding;
        while length > 0 {
            let available = self.stream.fill()?.len();
            if available == 0 {
                return Err(self.damaged("it ends in an entry's data"));
            }
            let step = length.min(available as u64);
            self.stream.consume(step as usize);
            length -= step;
        }
        (self.remaining, self.padding) = (0, 0);
        Ok(())
    }

    /// Reads what follows the archive's end, which is part of what the blob's digests are made over.
    fn read_rest(&mut self) -> Result<(), ReadError> {
        loop {
            let length = self.stream.fill()?.len();
            if length == 0 {
                return Ok(());
            }
            self.stream.consume(length);
        }
    }

    fn damaged(&self, fault: &str) -> ReadError {
        ReadError::Tar { offset: self.stream.offset(), fault: fault.to_owned() }
    }
}

impl Data<'_, '_> {
    /// Some bytes that were not consumed yet; none at the end.
    pub(crate) fn fill(&mut self) -> Result<&[u8], ReadError> {
        let Entries { stream, extents, size, .. } = &mut *self.entries;
        while extents.get(self.extent).is_some_and(|extent| self.position == extent.offset + extent.length) {
            self.extent += 1;
        }
        let next = extents.get(self.extent);
        let hole = next.map_or(*size, |extent| extent.offset).saturating_sub(self.position);
        if hole > 0 {
            return Ok(&ZEROS[..hole.min(ZEROS.len() as u64) as usize]);
        }
        let Some(extent) = next else { return Ok(&[]) };
        let offset = stream.offset();
        let bytes = stream.fill()?;
        if bytes.is_empty() {
            return Err(ReadError::Tar { offset, fault: "it ends in an entry's data".to_owned() });
        }
        let left = extent.offset + extent.length - self.position;
        Ok(&bytes[..left.min(bytes.len() as u64) as usize])
    }

    /// Takes `length` of the bytes that [`Data::fill`] returned.
    pub(crate) fn consume(&mut self, length: usize) {
        let entries = &mut *self.entries;
        if entries.extents.get(self.extent).is_some_and(|extent| self.position >= extent.offset) {
            entries.stream.consume(length);
            entries.remaining -= length as u64;
        }
        self.position += length as u64;
    }
}

/// A number in a header of the entry `name`.
fn field<T: TryFrom<i64>>(name: &[u8], what: &str, field: &[u8]) -> Result<T, ReadError> {
    let value = number(field).and_then(|value| value.try_into().ok());
    value.ok_or_else(|| entry_fault(name, format!("malformed {what} {:?}", field.escape_ascii().to_string())))
}

fn device(name: &[u8], major: &[u8; 8], minor: &[u8; 8]) -> Result<(u32, u32), ReadError> {
    Ok((field(name, "device number", major)?, field(name, "device number", minor)?))
}

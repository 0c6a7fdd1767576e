//! Packing: the bytes of a tar on their way to the destination, hashed on both sides of the compressor.

use std::fmt;
use std::io::{self, Read, Write};

use oci::{Compression, DiffId, Digest, Hasher};

use crate::deflate::{Gzip, MEMBER};
use crate::header::BLOCK;
use crate::{ContentHash, TreePath, WriteOptions};

/// A tar that is being written.
#[derive(Debug)]
pub(crate) struct Tar<W: Write> {
    /// As large as a gzip member.
    buffer: Box<[u8]>,
    filled: usize,
    hasher: Hasher,
    /// What went before the buffer.
    passed: u64,
    packer: Packer<W>,
}

/// The compressor.
enum Packer<W: Write> {
    Plain(Hashed<W>),
    Gzip(Gzip<Hashed<W>>),
    Zstd(zstd::Encoder<'static, Hashed<W>>),
}

/// The destination, with its digest.
struct Hashed<W> {
    inner: W,
    hasher: Hasher,
    size: u64,
}

/// What a finished tar comes to.
pub(crate) struct Finished<W> {
    pub(crate) diff_id: DiffId,
    pub(crate) plain_size: u64,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    pub(crate) destination: W,
}

/// The level that suits builds.
const GZIP_LEVEL: u32 = 1;

/// What zstd's threads compress at once. Its own choice, four windows, makes layers 2 % smaller and takes
/// tens of megabytes more; where a level's window is larger than this, zstd goes by that.
const ZSTD_JOB: u32 = 1 << 20;

impl<W: Write> Tar<W> {
    /// A tar with nothing in it yet. Fails if there is no such level.
    pub(crate) fn new(destination: W, options: WriteOptions) -> io::Result<Self> {
        let destination = Hashed { inner: destination, hasher: Hasher::new(), size: 0 };
        let packer = match options.compression {
            Compression::None => Packer::Plain(destination),
            Compression::Gzip => {
                Packer::Gzip(Gzip::new(destination, options.level.unwrap_or(GZIP_LEVEL), options.threads)?)
            }
            Compression::Zstd => {
                let level = options.level.unwrap_or(3);
                let known = i32::try_from(level).ok().filter(|level| (1..=22).contains(level));
                let level = known.ok_or_else(|| {
                    io::Error::new(io::ErrorKind::InvalidInput, "zstd levels are from 1 to 22")
                })?;
                let mut encoder = zstd::Encoder::new(destination, level)?;
                // Without a thread of its own it would make other bytes than with any number of them.
                encoder.multithread(u32::try_from(options.threads.max(1)).unwrap_or(u32::MAX))?;
                encoder.set_parameter(zstd::zstd_safe::CParameter::JobSize(ZSTD_JOB))?;
                encoder.include_checksum(true)?;
                Packer::Zstd(encoder)
            }
        };
        let buffer = vec![0; MEMBER].into();
        Ok(Tar { buffer, filled: 0, hasher: Hasher::new(), passed: 0, packer })
    }

    /// Writes a file's data and its padding.
    pub(crate) fn file(
        &mut self,
        path: &TreePath,
        size: u64,
        data: &mut dyn Read,
    ) -> io::Result<ContentHash> {
        let changed = |fault: &str| {
            let fault = format!("{path}: the file changed while it was read: it {fault} {size} bytes");
            io::Error::new(io::ErrorKind::InvalidData, fault)
        };
        let mut hasher = blake3::Hasher::new();
        let mut left = size;
        while left > 0 {
            let free = &mut self.buffer[self.filled..];
            let most = left.min(free.len() as u64) as usize;
            let length = read(data, &mut free[..most])?;
            if length == 0 {
                return Err(changed("has no more"));
            }
            hasher.update(&free[..length]);
            left -= length as u64;
            self.filled += length;
            self.pass_if_full()?;
        }
        if read(data, &mut [0])? > 0 {
            return Err(changed("has more than"));
        }
        let padding = size.next_multiple_of(BLOCK as u64) - size;
        self.write(&[0; BLOCK][..padding as usize])?;
        Ok(ContentHash(*hasher.finalize().as_bytes()))
    }

    /// Writes headers, or whatever else is at hand.
    pub(crate) fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let free = &mut self.buffer[self.filled..];
            let (now, later) = bytes.split_at(bytes.len().min(free.len()));
            free[..now.len()].copy_from_slice(now);
            self.filled += now.len();
            bytes = later;
            self.pass_if_full()?;
        }
        Ok(())
    }

    fn pass_if_full(&mut self) -> io::Result<()> {
        if self.filled < self.buffer.len() {
            return Ok(());
        }
        self.hasher.update(&self.buffer);
        match &mut self.packer {
            Packer::Plain(destination) => destination.write_all(&self.buffer)?,
            Packer::Zstd(encoder) => encoder.write_all(&self.buffer)?,
            Packer::Gzip(gzip) => gzip.member(&mut self.buffer)?,
        }
        self.passed += self.filled as u64;
        self.filled = 0;
        Ok(())
    }

    /// Writes the two blocks of zeros that end a tar, and all that is still held back.
    pub(crate) fn finish(mut self) -> io::Result<Finished<W>> {
        self.write(&[0; 2 * BLOCK])?;
        let rest = &self.buffer[..self.filled];
        self.hasher.update(rest);
        let mut destination = match self.packer {
            Packer::Plain(mut destination) => {
                destination.write_all(rest)?;
                destination
            }
            Packer::Zstd(mut encoder) => {
                encoder.write_all(rest)?;
                encoder.finish()?
            }
            Packer::Gzip(gzip) => gzip.finish(self.buffer, self.filled)?,
        };
        destination.flush()?;
        Ok(Finished {
            diff_id: DiffId(self.hasher.finish()),
            plain_size: self.passed + self.filled as u64,
            digest: destination.hasher.finish(),
            size: destination.size,
            destination: destination.inner,
        })
    }
}

/// Packs bytes as layers are packed, for a tar that is finished: digest and size of what is written.
pub fn gzip(mut data: impl Read, destination: impl Write) -> io::Result<(Digest, u64)> {
    let options = WriteOptions::default();
    let destination = Hashed { inner: destination, hasher: Hasher::new(), size: 0 };
    let mut packer = Gzip::new(destination, GZIP_LEVEL, options.threads)?;
    let (mut buffer, mut filled) = (vec![0; MEMBER].into_boxed_slice(), 0);
    loop {
        let length = read(&mut data, &mut buffer[filled..])?;
        filled += length;
        if length == 0 {
            break;
        }
        if filled == buffer.len() {
            packer.member(&mut buffer)?;
            filled = 0;
        }
    }
    let mut written = packer.finish(buffer, filled)?;
    written.flush()?;
    Ok((written.hasher.finish(), written.size))
}

/// [`Read::read`], begun again when a signal interrupts it.
fn read(data: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match data.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..length]);
        self.size += length as u64;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<W: Write> fmt::Debug for Packer<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Packer::Plain(_) => "Plain",
            Packer::Gzip(_) => "Gzip",
            Packer::Zstd(_) => "Zstd",
        })
    }
}

//! Decompression: whatever a blob's first bytes say it is, read as a plain tar.

use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::GzDecoder;

/// How some bytes are packed, as their first bytes tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Plain,
    Gzip,
    Zstd,
    Bzip2,
    Xz,
}

/// Bytes that tell the format.
const MAGIC: usize = 10;
/// What is read from the source at once.
const SOURCE_BUFFER: usize = 128 * 1024;
/// What an xz stream may make us allocate. `xz -9` needs 65 MiB.
const XZ_MEMORY: u64 = 128 << 20;

/// An error of the source itself, marked so that it can be told from what a decoder says of its bytes.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(crate) struct SourceError(pub(crate) io::Error);

/// A reader whose errors are marked.
struct Source<R>(R);

/// A gzip file: members one after another, then perhaps zeros up to a block of some tape.
struct Gzip<R> {
    /// The member being read; `None` once the last one has ended.
    member: Option<GzDecoder<R>>,
}

impl Format {
    /// The format that these first bytes are of.
    pub(crate) fn of(start: &[u8]) -> Self {
        match start {
            [0x1f, 0x8b, 8, ..] => Format::Gzip,
            // RFC 8878: a frame, or a skippable frame, which `pzstd` puts first.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Format::Zstd,
            // With the magic of the first block, or of the end: `BZh` alone may begin a file's name in a tar.
            [b'B', b'Z', b'h', b'1'..=b'9', rest @ ..]
                if rest.starts_with(b"1AY&SY") || rest.starts_with(b"\x17\x72\x45\x38\x50\x90") =>
            {
                Format::Bzip2
            }
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Format::Xz,
            _ => Format::Plain,
        }
    }

    /// Its name in errors.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Format::Plain => "plain",
            Format::Gzip => "gzip",
            Format::Zstd => "zstd",
            Format::Bzip2 => "bzip2",
            Format::Xz => "xz",
        }
    }
}

/// Finds out how `source` is packed and unpacks it. Errors of the source itself come as [`SourceError`].
pub(crate) fn open<'a>(source: impl Read + 'a) -> io::Result<(Format, Box<dyn Read + 'a>)> {
    let mut source = Source(source);
    let mut start = Vec::with_capacity(MAGIC);
    source.by_ref().take(MAGIC as u64).read_to_end(&mut start)?;
    let format = Format::of(&start);
    let whole = BufReader::with_capacity(SOURCE_BUFFER, io::Cursor::new(start).chain(source));
    Ok((
        format,
        match format {
            Format::Plain => Box::new(whole),
            Format::Gzip => Box::new(Gzip { member: Some(GzDecoder::new(whole)) }),
            Format::Zstd => Box::new(zstd::Decoder::with_buffer(whole)?),
            Format::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(whole)),
            Format::Xz => {
                let stream = xz2::stream::Stream::new_stream_decoder(XZ_MEMORY, xz2::stream::CONCATENATED)?;
                Box::new(xz2::bufread::XzDecoder::new_stream(whole, stream))
            }
        },
    ))
}

impl<R: Read> Read for Source<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::Interrupted => error,
            _ => io::Error::other(SourceError(error)),
        })
    }
}

impl<R: BufRead> Read for Gzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            let length = member.read(buffer)?;
            if length > 0 || buffer.is_empty() {
                return Ok(length);
            }
            let mut source = self.member.take().map(GzDecoder::into_inner).expect("it is matched above");
            match source.fill_buf()?.first() {
                Some(0x1f) => self.member = Some(GzDecoder::new(source)),
                _ => only_zeros(&mut source)?,
            }
        }
        Ok(0)
    }
}

/// Reads to the end, where nothing but padding may be.
fn only_zeros(source: &mut impl BufRead) -> io::Result<()> {
    loop {
        let rest = source.fill_buf()?;
        if rest.is_empty() {
            return Ok(());
        }
        if rest.iter().any(|&byte| byte != 0) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "something else follows the gzip data"));
        }
        let length = rest.len();
        source.consume(length);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn check(packed: &[u8], format: Format, expected: Result<&[u8], &str>) {
        let mut plain = Vec::new();
        let (found, mut reader) = open(packed).unwrap();
        assert_eq!(found, format);
        match (reader.read_to_end(&mut plain), expected) {
            (Ok(_), Ok(expected)) => assert_eq!(plain, expected),
            (Err(error), Err(expected)) => assert!(error.to_string().contains(expected), "{error}"),
            (got, expected) => panic!("{got:?} is not {expected:?}"),
        }
    }

    #[test]
    fn formats() {
        let zstd = zstd::encode_all(&b"bako"[..], 3).unwrap();
        let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3], &zstd[..]].concat();
        let mut xz = Vec::new();
        xz2::read::XzEncoder::new(&b"bako"[..], 6).read_to_end(&mut xz).unwrap();
        let mut bzip2 = Vec::new();
        bzip2::read::BzEncoder::new(&b"bako"[..], bzip2::Compression::best())
            .read_to_end(&mut bzip2)
            .unwrap();

        check(b"bako", Format::Plain, Ok(b"bako"));
        check(b"", Format::Plain, Ok(b""));
        check(b"BZh9 is a fine name for a file", Format::Plain, Ok(b"BZh9 is a fine name for a file"));
        check(&gzip(b"bako"), Format::Gzip, Ok(b"bako"));
        check(&[gzip(b"ba"), gzip(b""), gzip(b"ko")].concat(), Format::Gzip, Ok(b"bako"));
        check(&[gzip(b"bako"), vec![0; 1000]].concat(), Format::Gzip, Ok(b"bako"));
        check(&[gzip(b"bako"), b"\0\0x".to_vec()].concat(), Format::Gzip, Err("something else"));
        check(&gzip(b"bako")[..20], Format::Gzip, Err(""));
        check(&zstd, Format::Zstd, Ok(b"bako"));
        check(&[&zstd[..], &skippable, &zstd].concat(), Format::Zstd, Ok(b"bakobakobako"));
        check(&skippable, Format::Zstd, Ok(b"bako"));
        check(&zstd[..zstd.len() - 1], Format::Zstd, Err(""));
        check(&xz, Format::Xz, Ok(b"bako"));
        check(&[&xz[..], &xz].concat(), Format::Xz, Ok(b"bakobako"));
        check(&xz[..xz.len() - 1], Format::Xz, Err(""));
        check(&bzip2, Format::Bzip2, Ok(b"bako"));
        check(&[&bzip2[..], &bzip2].concat(), Format::Bzip2, Ok(b"bakobako"));
        check(&bzip2[..bzip2.len() - 1], Format::Bzip2, Err(""));
    }

    #[test]
    fn an_error_of_the_source_is_told_from_damage() {
        struct Failing;
        impl Read for Failing {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::ConnectionReset.into())
            }
        }
        let half = gzip(&[7; 10_000])[..20].to_vec();
        let (_, mut reader) = open(io::Cursor::new(half).chain(Failing)).unwrap();
        let error = io::copy(&mut reader, &mut io::sink()).unwrap_err();
        let SourceError(error) = error.downcast().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }
}

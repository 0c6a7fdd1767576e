//! Tars that were not made by anyone friendly, or not recently: what is refused, and what is understood.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::io::{self, Read};

use layer::{Content, LayerIndex, Metadata, ReadError, Sink, TreePath, discard, read_archive, read_layer};
use oci::{Compression, Digest};
use proptest::prelude::*;

/// A header, sealed when it is put into a tar.
struct Header([u8; 512]);

fn header(name: &str, kind: u8, size: u64) -> Header {
    let mut block = [0; 512];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[257..265].copy_from_slice(b"ustar\x0000");
    block[156] = kind;
    Header(block).set(100, "0000644").set(124, &format!("{size:011o}"))
}

impl Header {
    fn set(self, at: usize, text: &str) -> Self {
        self.bytes(at, text.as_bytes())
    }

    fn bytes(mut self, at: usize, bytes: &[u8]) -> Self {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
        self
    }

    fn link(self, target: &str) -> Self {
        self.set(157, target)
    }

    fn gnu(self) -> Self {
        self.bytes(257, b"ustar  \0")
    }

    fn with(mut self, data: &[u8]) -> Vec<u8> {
        self.0[148..156].fill(b' ');
        let sum: u32 = self.0.iter().map(|&byte| u32::from(byte)).sum();
        let mut out = self.set(148, &format!("{sum:06o}\0 ")).0.to_vec();
        out.extend_from_slice(data);
        out.resize(out.len().next_multiple_of(512), 0);
        out
    }
}

fn file(name: &str, data: &[u8]) -> Vec<u8> {
    header(name, b'0', data.len() as u64).with(data)
}

fn records(kind: u8, pairs: &[(&str, &str)]) -> Vec<u8> {
    let mut data = Vec::new();
    for (key, value) in pairs {
        let rest = key.len() + value.len() + 3;
        let length = (rest..).find(|length| rest + length.to_string().len() == *length).unwrap();
        data.extend_from_slice(format!("{length} {key}={value}\n").as_bytes());
    }
    header("PaxHeaders.0/x", kind, data.len() as u64).with(&data)
}

fn end() -> Vec<u8> {
    vec![0; 1024]
}

/// Writes down what it is given.
#[derive(Default)]
struct Notes(Vec<String>);

impl Sink for Notes {
    fn put(&mut self, path: &TreePath, metadata: &Metadata, content: Content<'_>) -> io::Result<()> {
        let mut note = format!("{path} {:o}", metadata.mode);
        if (metadata.uid, metadata.gid) != (0, 0) {
            note += &format!(" {}:{}", metadata.uid, metadata.gid);
        }
        if metadata.mtime != 0 {
            note += &format!(" @{}", metadata.mtime);
        }
        for (name, value) in &metadata.xattrs {
            note += &format!(" {}={}", name.escape_ascii(), value.escape_ascii());
        }
        match content {
            Content::File { size, data } => {
                let mut bytes = Vec::new();
                data.read_to_end(&mut bytes)?;
                assert_eq!(bytes.len() as u64, size);
                note += &format!(" {:?}", String::from_utf8_lossy(&bytes));
            }
            other => note += &format!(" {other:?}"),
        }
        self.0.push(note);
        Ok(())
    }

    fn link(&mut self, path: &TreePath, target: &TreePath) -> io::Result<()> {
        self.0.push(format!("{path} = {target}"));
        Ok(())
    }

    fn remove(&mut self, path: &TreePath) -> io::Result<()> {
        self.0.push(format!("-{path}"));
        Ok(())
    }

    fn clear(&mut self, path: &TreePath) -> io::Result<()> {
        self.0.push(format!("!{path}"));
        Ok(())
    }
}

fn read(tar: &[u8]) -> Result<(Vec<String>, LayerIndex), ReadError> {
    let mut notes = Notes::default();
    let index = read_layer(tar, Compression::None, &mut notes)?;
    assert_eq!(index.diff_id.0, Digest::of(tar), "the diff id is over every byte");
    assert_eq!(index.size, tar.len() as u64);
    // A sink that reads nothing changes nothing.
    assert_eq!(index, read_layer(tar, Compression::None, &mut discard()).unwrap());
    Ok((notes.0, index))
}

#[track_caller]
fn understood(entries: &[Vec<u8>], expected: &[&str]) {
    let tar = [&entries.concat()[..], &file("last", b""), &end()].concat();
    let (notes, index) = read(&tar).unwrap();
    assert_eq!(notes, [expected, &["/last 644 \"\""]].concat());
    assert_eq!(index.changes.len(), notes.len());
}

#[track_caller]
fn refused(entries: &[Vec<u8>], named: &str, fault: &str) {
    let tar = [&entries.concat()[..], &end()].concat();
    match read(&tar) {
        Err(ReadError::Entry { entry, fault: found }) => {
            assert!(entry.starts_with(named), "{entry:?} is not {named:?}");
            assert!(found.contains(fault), "{entry}: {found:?} says nothing of {fault:?}");
        }
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn damaged(tar: &[u8], fault: &str) {
    match read(tar) {
        Err(ReadError::Tar { fault: found, .. }) => assert!(found.contains(fault), "{found}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_kind_of_entry() {
    understood(
        &[
            header("./", b'5', 0).set(100, "0040755").with(b""),
            file("f", b"bako"),
            header("old", 0, 1).with(b"x"),
            header("olddir/", 0, 0).with(b""),
            header("contiguous", b'7', 1).with(b"x"),
            header("link", b'1', 0).link("./f").with(b""),
            header("symlink", b'2', 0).link("../../f").with(b""),
            header("char", b'3', 0).set(329, "0000001").set(337, "0000003").with(b""),
            header("block", b'4', 0).set(329, "0000010").set(337, "0000001").with(b""),
            header("fifo", b'6', 0).with(b""),
            header("setuid", b'0', 0).set(100, "0106755").with(b""),
            header("owned", b'0', 0)
                .set(108, "0001750")
                .set(116, "0000144")
                .set(136, "14524770400")
                .with(b""),
        ],
        &[
            "/ 755 Directory",
            "/f 644 \"bako\"",
            "/old 644 \"x\"",
            "/olddir 644 Directory",
            "/contiguous 644 \"x\"",
            "/link = /f",
            "/symlink 644 Symlink(../../f)",
            "/char 644 CharDevice(1, 3)",
            "/block 644 BlockDevice(8, 1)",
            "/fifo 644 Fifo",
            "/setuid 6755 \"\"",
            "/owned 644 1000:100 @1700000000 \"\"",
        ],
    );
}

#[test]
fn names_and_numbers_that_do_not_fit() {
    let long = "n".repeat(150);
    let deep = format!("{}/f", "d".repeat(120));
    understood(
        &[
            header("f", b'0', 0).set(345, &"p".repeat(155)).with(b""),
            header("././@LongLink", b'L', 151).gnu().with(format!("{long}\0").as_bytes()),
            header("././@LongLink", b'K', deep.len() as u64).gnu().with(deep.as_bytes()),
            header("cut", b'2', 0).gnu().link("cut").with(b""),
            records(
                b'x',
                &[("path", &deep), ("mtime", "1700000000.999"), ("uid", "3000000"), ("gid", "4294967294")],
            ),
            file("cut", b"x"),
            records(b'x', &[("linkpath", &deep)]),
            header("l", b'1', 0).link("cut").with(b""),
            header("binary", b'0', 0)
                .bytes(108, b"\x80\0\0\0\0\x30\0\0")
                .bytes(136, b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe")
                .bytes(124, b"\x80\0\0\0\0\0\0\0\0\0\0\x02")
                .with(b"ab"),
            // What a size in a record says, counts; a header that cannot hold it says zero.
            records(b'x', &[("size", "3")]),
            header("sized", b'0', 0).with(b"abc"),
            // Global records are for nobody.
            records(b'g', &[("path", "elsewhere"), ("uid", "7"), ("comment", "of git")]),
            file("plain", b""),
        ],
        &[
            &format!("/{}/f 644 \"\"", "p".repeat(155)),
            &format!("/{long} 644 Symlink({deep})"),
            &format!("/{deep} 644 3000000:4294967294 @1700000000 \"x\""),
            &format!("/l = /{deep}"),
            "/binary 644 3145728:0 @-2 \"ab\"",
            "/sized 644 \"abc\"",
            "/plain 644 \"\"",
        ],
    );
}

#[test]
fn extended_attributes() {
    understood(
        &[
            records(
                b'x',
                &[
                    ("LIBARCHIVE.xattr.user.a", "b3RoZXI"),
                    ("LIBARCHIVE.xattr.user.b", "Yg"),
                    ("SCHILY.xattr.security.capability", "\u{1}\n\n"),
                    ("SCHILY.xattr.security.selinux", "label"),
                    ("SCHILY.xattr.trusted.overlay.opaque", "y"),
                    ("SCHILY.xattr.user.a", "a=1"),
                    ("SCHILY.xattr.user.overlay.whiteout", "y"),
                    // Behind a value with a newline, where a careless reader finds nothing any more.
                    ("size", "2"),
                ],
            ),
            header("f", b'0', 0).with(b"ab"),
        ],
        &["/f 644 security.capability=\\x01\\n\\n user.a=a=1 user.b=b \"ab\""],
    );
}

#[test]
fn sizes_where_no_data_is() {
    let not_a_header = b"this is the file's data".as_slice();
    understood(
        &[
            file("f", not_a_header),
            header("d/", b'5', 4096).with(b""),
            header("s", b'2', 9).link("f").with(b""),
            header("h", b'1', not_a_header.len() as u64).link("f").with(b""),
            header("with-data", b'1', not_a_header.len() as u64).link("f").with(not_a_header),
            header("with-more", b'1', 1300).link("f").with(&[b'x'; 1300]),
        ],
        &[
            "/f 644 \"this is the file's data\"",
            "/d 644 Directory",
            "/s 644 Symlink(f)",
            "/h = /f",
            "/with-data = /f",
            "/with-more = /f",
        ],
    );
    // The same at the very end.
    let tar = [&header("h", b'1', 5).link("f").with(b"")[..], &end()].concat();
    assert_eq!(read(&tar).unwrap().0, ["/h = /f"]);
}

#[test]
fn sparse_files() {
    let pair = |offset: u64, length: u64| format!("{offset:011o}\0{length:011o}\0");
    let gnu = |extents: &[(u64, u64)], stored: u64, size: u64| {
        let mut header = header("sparse", b'S', stored).gnu().set(483, &format!("{size:011o}"));
        for (index, &(offset, length)) in extents.iter().enumerate() {
            header = header.set(386 + 24 * index, &pair(offset, length));
        }
        header
    };
    let mut more = gnu(&[(0, 1), (2, 1), (4, 1), (6, 1)], 6, 12).set(482, "\u{1}").with(b"");
    more.extend_from_slice(format!("{}{}", pair(8, 1), pair(10, 1)).as_bytes());
    more.resize(1024, 0);
    more.extend_from_slice(b"abcdef");
    more.resize(1536, 0);
    let newest = [("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.name", "sparse")];
    let newest = |size| records(b'x', &[&newest[..], &[("GNU.sparse.realsize", size)]].concat());
    let mut map = b"2\n1\n2\n5\n1\n".to_vec();
    map.resize(512, 0);
    map.extend_from_slice(b"abc");
    let expected = "/sparse 644 \"\\0ab\\0\\0c\\0\\0\"";
    understood(
        &[
            gnu(&[(1, 2), (5, 1), (8, 0)], 3, 8).with(b"abc"),
            more,
            records(
                b'x',
                &[
                    ("GNU.sparse.size", "8"),
                    ("GNU.sparse.numblocks", "2"),
                    ("GNU.sparse.offset", "1"),
                    ("GNU.sparse.numbytes", "2"),
                    ("GNU.sparse.offset", "5"),
                    ("GNU.sparse.numbytes", "1"),
                ],
            ),
            file("sparse", b"abc"),
            records(
                b'x',
                &[("GNU.sparse.map", "1,2,5,1"), ("GNU.sparse.size", "8"), ("GNU.sparse.name", "sparse")],
            ),
            file("GNUSparseFile.0/sparse", b"abc"),
            newest("8"),
            file("GNUSparseFile.0/sparse", &map),
        ],
        &[expected, "/sparse 644 \"a\\0b\\0c\\0d\\0e\\0f\\0\"", expected, expected, expected],
    );
    let many = records(b'x', &[("GNU.sparse.map", "0,1,0,1"), ("GNU.sparse.size", "8")]);
    for (entries, fault) in [
        (vec![gnu(&[(5, 1), (1, 2)], 3, 8).with(b"abc")], "backwards"),
        (vec![gnu(&[(1, 2), (7, 2)], 4, 8).with(b"abcd")], "beyond the end"),
        (vec![gnu(&[(1, 2)], 3, 8).with(b"abc")], "stored"),
        (vec![header("sparse", b'S', 0).with(b"")], "GNU"),
        (vec![many, file("sparse", b"ab")], "backwards"),
        (vec![records(b'x', &[("GNU.sparse.map", "0,1")]), file("sparse", b"a")], "size"),
        (vec![newest("8"), file("made-up", b"2\n1\n")], "beyond the data"),
        (vec![newest("8"), file("made-up", &[b'1'; 512])], "malformed"),
        (vec![newest("8"), file("made-up", &[&b"9999999\n"[..], &[0; 504]].concat())], "too long"),
        (vec![newest("8"), file("made-up", &[&b"-1\n"[..], &[0; 509]].concat())], "malformed"),
    ] {
        refused(&entries, "sparse", fault);
    }
}

#[test]
fn whiteouts() {
    understood(
        &[
            file(".wh.a", b""),
            file("d/.wh.a", b"ignored"),
            file("./d/.wh..wh..opq", b""),
            file(".wh..wh..opq", b""),
            file(".wh..wh.aufs", b""),
            file(".wh..wh.plnk/1234.5", b"x"),
            file(".wh...a", b""),
            file("a.wh.b", b""),
            header("d/.wh.b/", b'5', 0).with(b""),
        ],
        &["-/a", "-/d/a", "!/d", "!/", "-/..a", "/a.wh.b 644 \"\"", "-/d/b"],
    );
    for name in [".wh.", "d/.wh..", ".wh...", "d/.wh.a/b"] {
        refused(&[file(name, b"")], name, "whiteout");
    }
}

#[test]
fn in_an_archive_names_mean_only_themselves() {
    let tar = [
        file(".wh.a", b""),
        file("d/.wh..wh..opq", b""),
        file("../../up", b""),
        file("/abs/../x", b""),
        header("h", b'1', 0).link("/../x").with(b""),
        end(),
    ]
    .concat();
    let mut notes = Notes::default();
    read_archive(&tar[..], &mut notes).unwrap();
    assert_eq!(
        notes.0,
        ["/.wh.a 644 \"\"", "/d/.wh..wh..opq 644 \"\"", "/up 644 \"\"", "/x 644 \"\"", "/h = /x"]
    );
}

#[test]
fn entries_that_are_refused() {
    let pax = |key, value| records(b'x', &[(key, value)]);
    let text = "t".repeat(4096);
    for (entries, named, fault) in [
        (vec![file("../etc/passwd", b"")], "../etc/passwd", "'..'"),
        (vec![file("a/../b", b"")], "a/../b", "'..'"),
        (vec![file("a/..", b"")], "a/..", "'..'"),
        (vec![header("h", b'1', 0).link("../x").with(b"")], "h", "'..'"),
        (vec![header("h", b'1', 0).link("h").with(b"")], "h", "link to /h"),
        (vec![header("h", b'1', 0).link("/").with(b"")], "h", "link to /"),
        (vec![header("h", b'1', 0).with(b"")], "h", "link to /"),
        (vec![file("./", b"")], "./", "root"),
        (vec![header("/", b'2', 0).link("x").with(b"")], "/", "root"),
        (vec![header("s", b'2', 0).with(b"")], "s", "without a text"),
        (vec![pax("linkpath", "a\0b"), header("s", b'2', 0).with(b"")], "s", "NUL"),
        (vec![pax("linkpath", &text), header("s", b'2', 0).with(b"")], "s", "4095"),
        (vec![pax("path", "a\0b"), file("x", b"")], "a\0b", "NUL"),
        (vec![pax("path", &"a/".repeat(3000)), file("x", b"")], "a/a/a", "too long"),
        (vec![pax("path", &"a".repeat(256)), file("x", b"")], "aaa", "too long"),
        (vec![pax("uid", "-1"), file("x", b"")], "Pax", "uid"),
        (vec![pax("path", "a"), pax("path", "b"), file("x", b"")], "Pax", "two extended"),
        (vec![header("x", b'x', 3).with(b"1 a")], "x", "malformed pax"),
        (vec![header("x", b'x', (1 << 20) + 1).with(b"")], "x", "1 MiB"),
        (vec![header("x", b'L', 1 << 30).gnu().with(b"")], "x", "1 MiB"),
        (vec![header("x", b'g', 1 << 30).with(b"")], "x", "1 MiB"),
        (vec![header("a", b'L', 1).with(b"a"), header("a", b'L', 1).with(b"a")], "a", "two long"),
        (vec![header("socket", b's', 0).with(b"")], "socket", "type 's'"),
        (vec![header("volume", b'V', 0).with(b"")], "volume", "type 'V'"),
        (vec![header("odd", 0xff, 0).with(b"")], "odd", "type '\\xff'"),
        (vec![header("x", b'0', 0).set(124, "9").with(b"")], "x", "size"),
        (vec![header("x", b'0', 0).set(100, "rwx").with(b"")], "x", "mode"),
        (vec![header("x", b'0', 0).bytes(124, &[0xff; 12]).with(b"")], "x", "size"),
        (vec![header("x", b'0', 0).bytes(108, &[0xff; 8]).with(b"")], "x", "owner"),
        (vec![header("x", b'3', 0).set(329, "x").with(b"")], "x", "device"),
        (vec![pax("size", "18446744073709551615"), file("x", b"")], "x", "absurd"),
    ] {
        refused(&entries, named, fault);
    }
}

#[test]
fn framing() {
    let whole = file("f", &[7; 600]);
    for length in [100, 511] {
        damaged(&whole[..length], "within a block");
    }
    for length in [512, 1024, 1111, 1535] {
        damaged(&whole[..length], "ends in an entry's data");
    }
    let mut wrong = whole.clone();
    wrong[0] ^= 1;
    damaged(&wrong, "checksum");
    damaged(b"not a tar", "within a block");
    damaged(&[b'x'; 1000], "checksum");
    damaged(&[&whole[..], &[0; 512], &whole].concat(), "two");
    damaged(&[&records(b'x', &[("path", "a")])[..], &end()].concat(), "without an entry");
    damaged(&records(b'x', &[("path", "a")])[..512], "extended header");
    // No end at all, half of it, and something behind it: as every reader has it.
    for tail in [vec![], vec![0; 512], vec![0; 10_240], [end(), b"anything".to_vec()].concat()] {
        let tar = [&whole[..], &tail].concat();
        assert_eq!(read(&tar).unwrap().0.len(), 1);
    }
    assert_eq!(read(b"").unwrap().0.len(), 0);
    assert_eq!(read(&end()).unwrap().0.len(), 0);
    // Sums of signed bytes.
    let mut signed = header("\u{e9}", b'0', 0).with(b"");
    let sum: i64 = signed[..148]
        .iter()
        .chain(b"        ")
        .chain(&signed[156..])
        .map(|&b| i64::from(b.cast_signed()))
        .sum();
    signed[148..154].copy_from_slice(format!("{sum:06o}").as_bytes());
    assert_eq!(read(&signed).unwrap().0, ["/é 644 \"\""]);
}

#[test]
fn more_than_eight_gigabytes() {
    struct Size(Option<u64>);
    impl Sink for Size {
        fn put(&mut self, _: &TreePath, _: &Metadata, content: Content<'_>) -> io::Result<()> {
            let Content::File { size, .. } = content else { panic!("{content:?}") };
            self.0 = Some(size);
            Err(io::ErrorKind::StorageFull.into())
        }
        fn link(&mut self, _: &TreePath, _: &TreePath) -> io::Result<()> {
            unreachable!()
        }
        fn remove(&mut self, _: &TreePath) -> io::Result<()> {
            unreachable!()
        }
        fn clear(&mut self, _: &TreePath) -> io::Result<()> {
            unreachable!()
        }
    }
    let big = 9u64 << 30;
    for tar in [
        [records(b'x', &[("size", &big.to_string())]), header("big", b'0', 0).with(b"")].concat(),
        header("big", b'0', 0).bytes(124, &[&[0x80, 0, 0, 0][..], &big.to_be_bytes()].concat()).with(b""),
    ] {
        let mut size = Size(None);
        let endless = tar.chain(io::repeat(0));
        match read_layer(endless, Compression::None, &mut size) {
            Err(ReadError::Sink { path, source }) => {
                assert_eq!((path.to_string().as_str(), source.kind()), ("/big", io::ErrorKind::StorageFull));
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(size.0, Some(big));
    }
}

#[test]
fn whose_fault_it_was() {
    struct Reset;
    impl Read for Reset {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::ConnectionReset.into())
        }
    }
    let noise = common::noise(3_000_000);
    let written = common::layer_of(layer::WriteOptions::default(), &[("a", b"x"), ("noise", &noise)]);
    let blob = &written.destination[..];
    let half = blob.len() / 2;
    // The sink is reading the file when it happens, and its error is but an echo.
    match read_layer(blob[..half].chain(Reset), Compression::Gzip, &mut Notes::default()) {
        Err(ReadError::Source(error)) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset),
        other => panic!("{other:?}"),
    }
    match read_layer(&blob[..half], Compression::Gzip, &mut Notes::default()) {
        Err(ReadError::Compression { format: "gzip", .. }) => {}
        other => panic!("{other:?}"),
    }
    let mut flipped = blob.to_vec();
    flipped[half] ^= 0x55;
    match read_layer(&flipped[..], Compression::Gzip, &mut discard()) {
        Err(ReadError::Compression { format: "gzip", .. }) => {}
        other => panic!("{other:?}"),
    }
    match read_layer(&b""[..], Compression::Zstd, &mut discard()) {
        Err(ReadError::Compression { .. }) => {}
        other => panic!("{other:?}"),
    }
    // The bytes decide what they are, not the name they come under.
    for compression in [Compression::None, Compression::Zstd] {
        assert_eq!(read_layer(blob, compression, &mut discard()).unwrap(), written.index);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// Whatever is changed in a tar, it is read or refused.
    #[test]
    fn nothing_panics(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut tar = [
            records(b'x', &[("path", "long"), ("size", "3"), ("SCHILY.xattr.user.a", "1"), ("mtime", "1.5")]),
            file("f", b"abc"),
            records(b'x', &[("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.realsize", "8")]),
            file("s", &[&b"1\n2\n3\n"[..], &[0; 506], b"abc"].concat()),
            header("g", b'S', 3).gnu().set(386, "00000000002\x0000000000003").set(483, "00000000008").with(b"abc"),
            header("l", b'L', 4).gnu().with(b"long"),
            header("h", b'1', 3).link("f").with(b""),
            header("d", b'3', 0).set(329, "0000001").with(b""),
            end(),
        ]
        .concat();
        for (at, byte) in changes {
            let at = at.index(tar.len());
            tar[at] = byte;
        }
        // Seal what looks like headers again, or nothing behind the checksum would ever be reached.
        for block in tar.chunks_exact_mut(512).filter(|block| block[257..262] == *b"ustar") {
            block[148..156].fill(b' ');
            let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
            block[148..154].copy_from_slice(format!("{sum:06o}").as_bytes());
        }
        if let Some(cut) = cut {
            tar.truncate(cut.index(tar.len()));
        }
        let _ = read_layer(&tar[..], Compression::None, &mut discard());
        let _ = read_archive(&tar[..], &mut discard());
    }
}

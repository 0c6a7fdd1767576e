//! Archives that mean harm, applied beside a canary: it must stay as it is, and the archive is either refused
//! or becomes what the same entries would be inside a root that nothing can leave.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says why it was skipped"
)]

mod common;

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};
use std::path::{Path, PathBuf};

use layer::{Tree, discard};
use oci::Compression;
use rootfs::{Applier, Ownership, Resolver, Root, RunRoot, Shape, Workspace};

/// One header of 512 bytes, and what follows it.
#[derive(Clone)]
struct Entry {
    name: Vec<u8>,
    kind: u8,
    link: Vec<u8>,
    data: Vec<u8>,
    mode: &'static [u8],
    uid: &'static [u8],
    mtime: &'static [u8],
    size: Option<&'static [u8]>,
    device: [&'static [u8]; 2],
}

fn entry(name: impl AsRef<[u8]>, kind: u8) -> Entry {
    Entry {
        name: name.as_ref().to_vec(),
        kind,
        link: Vec::new(),
        data: Vec::new(),
        mode: if kind == b'5' { b"0000755" } else { b"0000644" },
        uid: b"0000000",
        mtime: b"00000000001",
        size: None,
        device: [b"0000001", b"0000003"],
    }
}

fn file(name: impl AsRef<[u8]>, data: &str) -> Entry {
    Entry { data: data.into(), ..entry(name, b'0') }
}

fn dir(name: impl AsRef<[u8]>) -> Entry {
    entry(name, b'5')
}

fn link(name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Entry {
    Entry { link: target.as_ref().to_vec(), ..entry(name, b'2') }
}

fn hard(name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Entry {
    Entry { link: target.as_ref().to_vec(), ..entry(name, b'1') }
}

/// Records for the entry that follows, in the form of POSIX.
fn pax(records: &[(&str, &[u8])]) -> Entry {
    let mut data = Vec::new();
    for (key, value) in records {
        let rest = key.len() + value.len() + 3;
        let mut length = rest + 1;
        while length != rest + length.to_string().len() {
            length = rest + length.to_string().len();
        }
        data.extend(format!("{length} {key}=").bytes());
        data.extend(*value);
        data.push(b'\n');
    }
    Entry { data, ..entry("pax", b'x') }
}

/// A name for the entry that follows, in the form of GNU.
fn long(name: &str) -> Entry {
    Entry { data: [name.as_bytes(), b"\0"].concat(), ..entry("././@LongLink", b'L') }
}

fn archive(entries: &[Entry]) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in entries {
        let mut header = [0; 512];
        let mut field = |at: usize, length: usize, bytes: &[u8]| {
            let length = length.min(bytes.len());
            header[at..at + length].copy_from_slice(&bytes[..length]);
        };
        field(0, 100, &entry.name);
        field(100, 8, entry.mode);
        field(108, 8, entry.uid);
        field(116, 8, b"0000000");
        let size = format!("{:011o}", entry.data.len());
        field(124, 12, entry.size.unwrap_or(size.as_bytes()));
        field(136, 12, entry.mtime);
        field(148, 8, b"        ");
        field(156, 1, &[entry.kind]);
        field(157, 100, &entry.link);
        field(257, 8, b"ustar\x0000");
        field(329, 8, entry.device[0]);
        field(337, 8, entry.device[1]);
        let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        all.extend(header);
        all.extend(&entry.data);
        all.resize(all.len().next_multiple_of(512), 0);
    }
    all.resize(all.len() + 1024, 0);
    all
}

/// What lower layers have in every case.
fn base(canary: &Path) -> Vec<Entry> {
    vec![
        dir("d"),
        file("d/x", "x"),
        file("d/y", "y"),
        file("f", "f"),
        link("s", "d"),
        link("up", "../canary"),
        link("out", canary.as_os_str().as_bytes()),
        link("loop", "loop"),
        link("dangling", "/new/place"),
    ]
}

/// What of the base a case leaves alone.
const BASE: &str = "d/ d/x=x d/y=y f=f s->d up->../canary out->CANARY loop->loop dangling->/new/place";

enum Becomes {
    /// The base, and this.
    With(&'static str),
    /// Exactly this.
    Exactly(&'static str),
    /// An error.
    Refused,
}
use Becomes::{Exactly, Refused, With};

type Case = (&'static str, Vec<Entry>, Becomes);

/// `canary` is the path of the canary on the host.
fn cases(canary: &Path) -> Vec<Case> {
    let c = canary.as_os_str().as_bytes();
    let inside = |rest: &str| [c, rest.as_bytes()].concat();
    let deep = |levels: usize| "n/".repeat(levels);
    let with = |entry: Entry, change: fn(&mut Entry)| {
        let mut entry = entry;
        change(&mut entry);
        entry
    };
    let mut cases = vec![
        // Names that lead outside.
        ("dot dot", vec![file("../canary/evil", "evil")], Refused),
        ("dot dot inside", vec![file("d/../../canary/evil", "evil")], Refused),
        ("dot dot at the end", vec![dir("d/..")], Refused),
        ("dot dot alone", vec![dir("..")], Refused),
        ("dot dot that stays inside", vec![file("d/../e", "e")], Refused),
        ("absolute", vec![file(inside("/evil"), "evil")], With("CANARYDIRS CANARYREL/evil=evil")),
        ("many slashes", vec![file("///d//./z", "z")], With("d/z=z")),
        ("a name of nothing", vec![file("", "evil")], Refused),
        ("a name of a slash", vec![file("/", "evil")], Refused),
        ("a root that is a link", vec![link(".", "d")], Refused),
        ("a root that is a file", vec![file("./", "evil")], Refused),
        ("entries for the root", vec![dir("."), dir("./"), dir("/")], With("")),
        // Links on the way.
        ("a link that leads up", vec![file("up/evil", "evil")], With("canary/ canary/evil=evil")),
        ("a link that is absolute", vec![file("out/evil", "evil")], With("CANARYDIRS CANARYREL/evil=evil")),
        (
            "a file of the canary through a link",
            vec![file("up/file", "evil")],
            With("canary/ canary/file=evil"),
        ),
        (
            "a link, then a file",
            vec![link("l", "../canary"), file("l/evil", "evil")],
            With("l->../canary canary/ canary/evil=evil"),
        ),
        ("a link, then a file over it", vec![link("l", inside("/file")), file("l", "evil")], With("l=evil")),
        (
            "a link to a directory, then a directory",
            vec![dir("up"), file("up/z", "z")],
            Exactly("d/ d/x=x d/y=y f=f s->d up/ up/z=z out->CANARY loop->loop dangling->/new/place"),
        ),
        (
            "a directory, then a link, then a file",
            vec![dir("p"), file("p/a", "a"), link("p", "../canary"), file("p/evil", "evil")],
            With("p->../canary canary/ canary/evil=evil"),
        ),
        (
            "a parent swapped back and forth",
            vec![
                link("p", "/"),
                file("p/q", "q"),
                dir("p"),
                file("p/q", "r"),
                link("p", "../.."),
                file("p/t", "t"),
            ],
            With("q=q p->../.. t=t"),
        ),
        (
            "links in a chain",
            vec![link("a", "b/c"), dir("b"), link("b/c", "/../../../canary"), file("a/evil", "evil")],
            With("a->b/c b/ b/c->/../../../canary canary/ canary/evil=evil"),
        ),
        ("a link to itself", vec![file("loop/evil", "evil")], Refused),
        ("links to each other", vec![link("a", "b"), link("b", "a"), dir("a/c")], Refused),
        ("a link to nothing", vec![file("dangling/z", "z")], With("new/ new/place/ new/place/z=z")),
        ("a link to the root", vec![link("r", "/"), file("r/d/z", "z")], With("r->/ d/z=z")),
        ("a link to here", vec![link("h", "."), file("h/h/h/z", "z")], With("h->. z=z")),
        ("through a file", vec![file("f/evil", "evil")], Refused),
        ("through a pipe", vec![entry("p", b'6'), file("p/evil", "evil")], Refused),
        (
            "through proc",
            vec![link("l", "/proc/self/root"), file("l/evil", "evil")],
            With("l->/proc/self/root proc/ proc/self/ proc/self/root/ proc/self/root/evil=evil"),
        ),
        (
            "a mode through a link",
            vec![with(dir("up"), |e| e.mode = b"0000777"), link("up", "../canary")],
            With(""),
        ),
        // Hard links.
        ("a hard link outside", vec![hard("l", "../canary/file")], Refused),
        ("a hard link to an absolute path", vec![hard("l", inside("/file"))], Refused),
        ("a hard link through a link up", vec![hard("l", "up/file")], Refused),
        ("a hard link through an absolute link", vec![hard("l", "out/file")], Refused),
        (
            "a hard link to a link",
            vec![link("l", inside("/file")), hard("h", "l"), file("h", "evil")],
            With("l->CANARY/file h=evil"),
        ),
        (
            "a hard link to a link, written through the other",
            vec![link("l", inside("/file")), hard("h", "l"), file("l", "evil")],
            With("h->CANARY/file l=evil"),
        ),
        ("a hard link below a link", vec![hard("up/l", "d/x")], With("canary/ canary/l=x")),
        ("a hard link to a directory", vec![hard("l", "d")], Refused),
        ("a hard link to nothing", vec![hard("l", "nothing")], Refused),
        ("a hard link to itself", vec![hard("f", "f")], Refused),
        ("a hard link to itself by another path", vec![hard("d/x", "s/x")], With("")),
        ("a hard link to the root", vec![hard("l", ".")], Refused),
        ("a hard link over what it links to", vec![hard("d", "d/x")], Refused),
        (
            "a hard link, then another file of its name",
            vec![hard("l", "d/x"), file("l", "evil")],
            With("l=evil"),
        ),
        (
            "hard links to a file that was replaced",
            vec![file("a", "1"), hard("b", "a"), file("a", "2"), hard("c", "a")],
            With("a=2 b=1 c=2"),
        ),
        // Whiteouts.
        ("a whiteout of dot dot", vec![file("d/.wh...", "")], Refused),
        ("a whiteout of dot", vec![file("d/.wh..", "")], Refused),
        ("a whiteout of no name", vec![file("d/.wh.", "")], Refused),
        ("a whiteout below dot dot", vec![file("../.wh.canary", "")], Refused),
        ("a whiteout through a link up", vec![file("up/.wh.file", "")], With("")),
        ("a whiteout through an absolute link", vec![file("out/.wh.file", "")], With("")),
        (
            "a whiteout of a link",
            vec![file(".wh.up", "")],
            Exactly("d/ d/x=x d/y=y f=f s->d out->CANARY loop->loop dangling->/new/place"),
        ),
        (
            "a whiteout through a link inside",
            vec![file("s/.wh.x", "")],
            Exactly("d/ d/y=y f=f s->d up->../canary out->CANARY loop->loop dangling->/new/place"),
        ),
        ("a whiteout of what is not there", vec![file("a/b/.wh.c", "")], With("")),
        ("a whiteout of this layer's own", vec![file("d/z", "z"), file("d/.wh.z", "")], With("d/z=z")),
        (
            "a whiteout, then the same again",
            vec![file(".wh.d", ""), dir("d"), file("d/z", "z")],
            Exactly("d/ d/z=z f=f s->d up->../canary out->CANARY loop->loop dangling->/new/place"),
        ),
        (
            "a whiteout after something in it",
            vec![file("d/z", "z"), file(".wh.d", "")],
            Exactly("d/ d/z=z f=f s->d up->../canary out->CANARY loop->loop dangling->/new/place"),
        ),
        ("an opaque directory through a link up", vec![file("up/.wh..wh..opq", "")], With("")),
        (
            "an opaque directory through a link inside",
            vec![file("s/.wh..wh..opq", "")],
            Exactly("d/ f=f s->d up->../canary out->CANARY loop->loop dangling->/new/place"),
        ),
        (
            "an opaque directory after its contents",
            vec![file("d/z", "z"), file("d/.wh..wh..opq", "")],
            Exactly("d/ d/z=z f=f s->d up->../canary out->CANARY loop->loop dangling->/new/place"),
        ),
        (
            "an opaque directory, contents through a link",
            vec![file("s/z", "z"), file("d/.wh..wh..opq", "")],
            Exactly("d/ d/z=z f=f s->d up->../canary out->CANARY loop->loop dangling->/new/place"),
        ),
        ("an opaque root", vec![file("new", "n"), file(".wh..wh..opq", "")], Exactly("new=n")),
        ("an opaque file", vec![file("f/.wh..wh..opq", "")], With("")),
        (
            "an opaque directory twice",
            vec![file("d/.wh..wh..opq", ""), file("d/.wh..wh..opq", "")],
            Exactly("d/ f=f s->d up->../canary out->CANARY loop->loop dangling->/new/place"),
        ),
        ("something in a whiteout", vec![file(".wh.d/evil", "evil")], Refused),
        (
            "bookkeeping of aufs",
            vec![file(".wh..wh.plnk", "x"), dir(".wh..wh.orph"), file(".wh..wh.orph/evil", "evil")],
            With(""),
        ),
        (
            "a whiteout as a directory",
            vec![dir(".wh.f")],
            Exactly("d/ d/x=x d/y=y s->d up->../canary out->CANARY loop->loop dangling->/new/place"),
        ),
        // One name, several things.
        ("a name twice", vec![file("a", "1"), file("a", "2")], With("a=2")),
        (
            "a file where a directory was",
            vec![file("d", "d")],
            Exactly("d=d f=f s->d up->../canary out->CANARY loop->loop dangling->/new/place"),
        ),
        (
            "a directory where a file was",
            vec![dir("f"), file("f/z", "z")],
            Exactly("d/ d/x=x d/y=y f/ f/z=z s->d up->../canary out->CANARY loop->loop dangling->/new/place"),
        ),
        (
            "everything in turn",
            vec![
                file("a", "1"),
                dir("a"),
                link("a", "f"),
                entry("a", b'6'),
                hard("a", "f"),
                dir("a"),
                file("a/b", "b"),
            ],
            With("a/ a/b=b"),
        ),
        (
            "a directory where a full one was, by way of a file",
            vec![file("d", "d"), dir("d")],
            Exactly("d/ f=f s->d up->../canary out->CANARY loop->loop dangling->/new/place"),
        ),
        // Odd names.
        ("a name with a newline", vec![file("a\nb", "1")], With("a\\nb=1")),
        ("a name that is no text", vec![file(b"a\xff\xfe", "1")], With("a\\xff\\xfe=1")),
        ("a name with a NUL, by records", vec![pax(&[("path", b"a\0b")]), file("c", "1")], Refused),
        ("a name of nothing, by records", vec![pax(&[("path", b"")]), file("c", "1")], With("c=1")),
        ("dot dot, by records", vec![pax(&[("path", b"../canary/evil")]), file("c", "1")], Refused),
        ("dot dot, by a long name", vec![long("../canary/evil"), file("c", "1")], Refused),
        (
            "a link's text by records",
            vec![pax(&[("linkpath", b"../canary")]), link("l", "d"), file("l/evil", "1")],
            With("l->../canary canary/ canary/evil=1"),
        ),
        (
            "a hard link outside, by records",
            vec![pax(&[("linkpath", b"../canary/file")]), hard("l", "f")],
            Refused,
        ),
        ("a part that is too long", vec![long(&"a".repeat(256)), file("c", "1")], Refused),
        ("a path that is too long", vec![long(&deep(2100)), dir("c")], Refused),
        (
            "a link's text that is too long",
            vec![pax(&[("linkpath", &[b'a'; 5000])]), link("l", "d")],
            Refused,
        ),
        ("a name like one of ours", vec![file("root/../../root", "1")], Refused),
        // Odd kinds and numbers.
        ("devices", vec![entry("n", b'3'), entry("b", b'4')], With("n(c1:3) b(b1:3)")),
        (
            "a device of overlayfs",
            vec![with(entry("d", b'3'), |e| e.device = [b"0000000", b"0000000"])],
            Exactly("f=f s->d up->../canary out->CANARY loop->loop dangling->/new/place the-tree-differs"),
        ),
        ("set-id bits", vec![with(file("a", "1"), |e| e.mode = b"0006755")], With("a=1(6755)")),
        ("a mode with more bits", vec![with(file("a", "1"), |e| e.mode = b"0177777")], With("a=1(7777)")),
        (
            "a negative time",
            vec![with(file("a", "1"), |e| e.mtime = b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")],
            With("a=1"),
        ),
        ("a time by records that is no number", vec![pax(&[("mtime", b"evil")]), file("a", "1")], Refused),
        (
            "a time at the end of time",
            vec![pax(&[("mtime", b"9223372036854775807")]), file("a", "1")],
            With("a=1"),
        ),
        ("an owner that is none", vec![pax(&[("uid", b"4294967295")]), file("a", "1")], Refused),
        (
            "a negative owner",
            vec![with(file("a", "1"), |e| e.uid = b"\xff\xff\xff\xff\xff\xff\xff\xfe")],
            Refused,
        ),
        (
            "a negative size",
            vec![with(file("a", "1"), |e| {
                e.size = Some(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")
            })],
            Refused,
        ),
        ("a size that is not there", vec![with(file("a", "1"), |e| e.size = Some(b"77777777777"))], Refused),
        (
            "a size by records that is not there",
            vec![pax(&[("size", b"99999999999999")]), file("a", "1")],
            Refused,
        ),
        ("a size that is no number", vec![with(file("a", "1"), |e| e.size = Some(b"evil"))], Refused),
        ("an unknown kind", vec![with(file("a", "1"), |e| e.kind = b'Z')], Refused),
        // Attributes.
        (
            "attributes of overlayfs",
            vec![
                pax(&[
                    ("SCHILY.xattr.trusted.overlay.redirect", b"/d"),
                    ("SCHILY.xattr.user.overlay.opaque", b"y"),
                ]),
                dir("e"),
            ],
            With("e/"),
        ),
        ("an attribute without a name", vec![pax(&[("SCHILY.xattr.", b"1")]), file("a", "1")], Refused),
        (
            "an attribute without a namespace",
            vec![pax(&[("SCHILY.xattr.evil", b"1")]), file("a", "1")],
            With("a=1"),
        ),
        (
            "an attribute with a NUL in its name",
            vec![pax(&[("SCHILY.xattr.user.a\0b", b"1")]), file("a", "1")],
            Refused,
        ),
        (
            "an attribute with a long name",
            vec![pax(&[(&format!("SCHILY.xattr.user.{}", "a".repeat(300)), b"1")]), file("a", "1")],
            Refused,
        ),
        (
            "an attribute that is too large",
            vec![pax(&[("SCHILY.xattr.user.a", &[1; 70_000])]), file("a", "1")],
            With("a=1"),
        ),
        (
            "a capability that is none",
            vec![pax(&[("SCHILY.xattr.security.capability", b"evil")]), file("a", "1")],
            With("a=1"),
        ),
        (
            "an attribute of a link to outside",
            vec![pax(&[("SCHILY.xattr.user.a", b"1")]), link("l", inside("/file"))],
            With("l->CANARY/file"),
        ),
    ];
    let mut levels = Vec::new();
    for level in 1..=1000 {
        levels.extend([long(&deep(level)), dir("deep")]);
    }
    levels.push(file(".wh.n", ""));
    levels.push(file("n", "n"));
    cases.push(("a thousand levels, then a file", levels, With("n=n")));
    cases
}

/// A directory in short, in no order.
fn shown(root: &Path) -> Vec<String> {
    let mut all = Vec::new();
    let mut stack = vec![root.to_path_buf()];
    while let Some(directory) = stack.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().as_os_str().as_bytes().escape_ascii();
            let metadata = path.symlink_metadata().unwrap();
            let (major, minor) = (rustix::fs::major(metadata.rdev()), rustix::fs::minor(metadata.rdev()));
            all.push(if metadata.is_dir() {
                stack.push(path.clone());
                format!("{name}/")
            } else if metadata.is_symlink() {
                format!("{name}->{}", fs::read_link(&path).unwrap().display())
            } else if metadata.file_type().is_char_device() {
                format!("{name}(c{major}:{minor})")
            } else if metadata.file_type().is_block_device() {
                format!("{name}(b{major}:{minor})")
            } else if metadata.file_type().is_fifo() {
                format!("{name}(p)")
            } else {
                let mode = metadata.mode() & 0o7777;
                let mode = if mode == 0o644 { String::new() } else { format!("({mode:o})") };
                format!("{name}={}{mode}", String::from_utf8(fs::read(&path).unwrap()).unwrap())
            });
        }
    }
    all.sort();
    all
}

/// The same, and a note if the tree as a value has other names.
fn shown_with_tree(root: &Path, tree: &Tree) -> Vec<String> {
    let names = |text: String| -> Vec<String> {
        text.lines().map(|line| line.split(' ').next().unwrap().to_owned()).collect()
    };
    let mut all = shown(root);
    if names(common::tree(tree, &[])) != names(common::directory(root, &[])) {
        all.push("the-tree-differs".into());
        all.sort();
    }
    all
}

/// What a case becomes, in the same form.
fn wanted(becomes: &Becomes, canary: &Path) -> Option<Vec<String>> {
    let text = match becomes {
        With(text) => format!("{BASE} {text}"),
        Exactly(text) => (*text).to_owned(),
        Refused => return None,
    };
    let below = canary.strip_prefix("/").unwrap();
    let mut above: Vec<String> = below.ancestors().map(|path| format!("{}/", path.display())).collect();
    above.pop();
    let text = text
        .replace("CANARYDIRS", &above.join(" "))
        .replace("CANARYREL", &below.display().to_string())
        .replace("CANARY", &canary.display().to_string());
    let mut all: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
    all.sort();
    Some(all)
}

/// A place for a root, with the canary beside it.
struct Place {
    _scratch: tempfile::TempDir,
    root: PathBuf,
    canary: PathBuf,
    before: String,
}

impl Place {
    fn new() -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let at = scratch.path().canonicalize().unwrap();
        let (root, canary) = (at.join("root"), at.join("canary"));
        fs::create_dir(&canary).unwrap();
        fs::create_dir(canary.join("directory")).unwrap();
        fs::write(canary.join("file"), "alive").unwrap();
        symlink("file", canary.join("link")).unwrap();
        let before = Self::look(&canary);
        Place { _scratch: scratch, root, canary, before }
    }

    /// Everything about the canary, its change times and the number of links included.
    fn look(canary: &Path) -> String {
        let mut all = shown(canary).join(" ");
        for name in ["", "directory", "file", "link"] {
            let metadata = fs::symlink_metadata(canary.join(name)).unwrap();
            let owner = (metadata.uid(), metadata.gid(), metadata.mode(), metadata.nlink());
            let times = (metadata.mtime(), metadata.mtime_nsec(), metadata.ctime(), metadata.ctime_nsec());
            all += &format!("\n{name:?} {owner:?} {times:?}");
        }
        all
    }

    fn check_canary(&self, name: &str) {
        assert_eq!(Self::look(&self.canary), self.before, "{name}: the canary");
        let beside = fs::read_dir(self.root.parent().unwrap()).unwrap().count();
        assert!(beside <= 3, "{name}: something new beside the root");
    }
}

/// What is wrong with the outcome of a case.
fn fault(becomes: &Becomes, place: &Place, applied: Result<Vec<String>, String>) -> Option<String> {
    match (wanted(becomes, &place.canary), applied) {
        (None, Err(_)) => None,
        (Some(wanted), Ok(found)) if found == wanted => None,
        (wanted, found) => Some(format!("wanted {wanted:?}\n found {found:?}")),
    }
}

/// Merged into one directory.
fn merged(place: &Place, resolver: Resolver, layers: [&[u8]; 2]) -> Result<Vec<String>, String> {
    fs::create_dir(&place.root).unwrap();
    let root = Root::with_resolver(OwnedFd::from(fs::File::open(&place.root).unwrap()), resolver);
    let mut tree = Tree::new();
    for (number, layer) in (0..).zip(layers) {
        let mut applier = Applier::new(&root, Ownership::Kernel);
        let index = layer::read_layer(layer, Compression::None, &mut applier);
        tree.apply(number, &index.map_err(|error| format!("{error:?}"))?);
        applier.finish().map_err(|error| format!("{error:?}"))?;
    }
    Ok(shown_with_tree(&place.root, &tree))
}

/// As a directory of its own, seen through an overlay.
fn stacked(place: &Place, layers: [&[u8]; 2]) -> Result<Vec<String>, String> {
    let mut workspace = Workspace::create(&place.root, Shape::Stacked, Ownership::Kernel).unwrap();
    let mut tree = Tree::new();
    let index = common::apply(&mut workspace, layers[0], &tree).unwrap();
    tree.apply(0, &index);
    let first = workspace.begin(&tree, &[], &[], &[]).unwrap();
    workspace.changes(first, &tree, None, &mut discard()).unwrap();
    let applied = common::apply(&mut workspace, layers[1], &tree);
    let shown = applied.map_err(|error| format!("{error:?}")).and_then(|index| {
        tree.apply(1, &index);
        let second = workspace.begin(&tree, &[], &[], &[]).unwrap();
        let RunRoot::Stacked { lower, upper, work } = &second.root else { unreachable!() };
        let overlay = common::Overlay::mount(&place.root.with_file_name("merged"), lower, upper, work)?;
        Ok(shown_with_tree(&overlay.at, &tree))
    });
    rootfs::remove_tree(&place.root).unwrap();
    shown
}

fn check_all(apply: impl Fn(&Place, [&[u8]; 2]) -> Result<Vec<String>, String>) {
    if !common::is_root() {
        return;
    }
    let count = cases(Path::new("/")).len();
    assert!(count > 60);
    let mut faults = String::new();
    for number in 0..count {
        let place = Place::new();
        let (name, entries, becomes) = cases(&place.canary).swap_remove(number);
        let layers = [archive(&base(&place.canary)), archive(&entries)];
        let applied = apply(&place, [&layers[0], &layers[1]]);
        place.check_canary(name);
        if let Some(fault) = fault(&becomes, &place, applied) {
            faults += &format!("{name}\n{fault}\n");
        }
    }
    assert!(faults.is_empty(), "\n{faults}");
}

#[test]
fn with_the_kernel_resolving() {
    check_all(|place, layers| merged(place, Resolver::Kernel, layers));
}

#[test]
fn with_us_resolving() {
    check_all(|place, layers| merged(place, Resolver::Walk, layers));
}

#[test]
fn as_a_lower_directory() {
    check_all(stacked);
}

/// An archive that ends anywhere is refused, and leaves the canary alone.
#[test]
fn cut_off() {
    if !common::is_root() {
        return;
    }
    let place = Place::new();
    let whole = archive(&[dir("a"), file("a/b", "some text"), link("a/c", "../canary"), file("a/c/d", "x")]);
    let ends = [1, 100, 511, 513, 600, 1024, 1025, 1030, 1536, 1537, 2100];
    for end in ends {
        fs::create_dir(&place.root).unwrap();
        let root = Root::open(&place.root).unwrap();
        let mut applier = Applier::new(&root, Ownership::Kernel);
        let read = layer::read_layer(&whole[..end], Compression::None, &mut applier);
        let at_a_boundary = end % 512 == 0;
        assert!(read.is_err() || at_a_boundary, "{end}");
        place.check_canary("cut off");
        fs::remove_dir_all(&place.root).unwrap();
    }
}

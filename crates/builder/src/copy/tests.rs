//! COPY and ADD as values: trees in, entries of a layer out.

use std::io;

use dockerfile::{Ignore, ModeChange};
use layer::{Change, Content, ContentHash, Kind, Metadata, Node, Sink, Tree, TreePath};

use super::*;
use crate::error::Result;

/// A tree in shorthand, one thing a line: `d/` directory, `f` file, `l -> t` symbolic link, `h = t` hard link;
/// after that perhaps a mode, an owner and a time, as in `f 0640 5:6 @7`.
fn tree(lines: &[&str]) -> Tree {
    let mut tree = Tree::new();
    for line in lines {
        let mut words = line.split(' ');
        let name = words.next().unwrap();
        let path = TreePath::new(name).unwrap();
        let mut metadata =
            Metadata { mode: if name.ends_with('/') { 0o755 } else { 0o644 }, ..Metadata::default() };
        let mut kind = if name.ends_with('/') {
            Kind::Directory
        } else {
            Kind::File { size: name.len() as u64, content: ContentHash::of(name.as_bytes()) }
        };
        let mut link = None;
        while let Some(word) = words.next() {
            if word == "->" {
                kind = Kind::Symlink { target: words.next().unwrap().as_bytes().into() };
            } else if word == "=" {
                link = Some(TreePath::new(words.next().unwrap()).unwrap());
            } else if let Some(time) = word.strip_prefix('@') {
                metadata.mtime = time.parse().unwrap();
            } else if let Some((uid, gid)) = word.split_once(':') {
                (metadata.uid, metadata.gid) = (uid.parse().unwrap(), gid.parse().unwrap());
            } else {
                metadata.mode = u32::from_str_radix(word, 8).unwrap();
            }
        }
        tree.change(
            0,
            &match link {
                Some(target) => Change::Link { path, target },
                None => Change::Put { path, node: Node { metadata, kind } },
            },
        );
    }
    tree
}

fn source(tree: &Tree) -> TreeSource<'_> {
    let open = Box::new(|path: &TreePath| {
        let bytes = path.as_bytes().to_vec();
        Ok(Box::new(io::Cursor::new(bytes)) as Box<dyn io::Read + Send>)
    });
    TreeSource { tree, name: "the source".to_owned(), open }
}

/// A sink that writes down what it is given.
#[derive(Default)]
struct Entries(Vec<String>);

impl Sink for Entries {
    fn put(&mut self, path: &TreePath, metadata: &Metadata, content: Content<'_>) -> io::Result<()> {
        let what = match content {
            Content::Directory => "dir".to_owned(),
            Content::File { data, .. } => {
                let mut text = String::new();
                data.read_to_string(&mut text)?;
                format!("file({text})")
            }
            Content::Symlink { target } => format!("-> {}", String::from_utf8_lossy(target)),
            other => format!("{other:?}"),
        };
        let Metadata { mode, uid, gid, mtime, .. } = metadata;
        self.0.push(format!("{path} {what} {mode:04o} {uid}:{gid} @{mtime}"));
        Ok(())
    }

    fn link(&mut self, path: &TreePath, target: &TreePath) -> io::Result<()> {
        self.0.push(format!("{path} = {target}"));
        Ok(())
    }

    fn remove(&mut self, path: &TreePath) -> io::Result<()> {
        panic!("{path} is removed")
    }

    fn clear(&mut self, path: &TreePath) -> io::Result<()> {
        panic!("{path} is cleared")
    }
}

const NOW: i64 = 99;

fn look(flags: &str) -> Look {
    let mut look = Look { now: NOW, ..Look::default() };
    for flag in flags.split_whitespace() {
        match flag.split_once(':') {
            Some((uid, gid)) => look.owner = Some((uid.parse().unwrap(), gid.parse().unwrap())),
            None => look.mode = Some(ModeChange::parse(flag).unwrap()),
        }
    }
    look
}

/// What `COPY sources destination` puts into a layer, or why it cannot.
fn copied(from: &[&str], onto: &[&str], flags: &str, arguments: &str) -> Result<Vec<String>> {
    let (from, onto) = (tree(from), tree(onto));
    let source = source(&from);
    let (sources, written) = arguments.rsplit_once(' ').unwrap();
    let working_dir = TreePath::new("w").unwrap();
    let destination = Destination::new(&onto, &working_dir, written)?;
    let exclude = Ignore::default();
    let mut plan = Plan::new(&onto, look(flags), &exclude);
    for written in sources.split(' ') {
        match written.strip_prefix("<<") {
            Some(name) => plan.write(name.as_bytes(), b"text".to_vec(), &destination)?,
            None => {
                for path in select(&source, written, &exclude)? {
                    plan.copy(&source, &path, &destination)?;
                }
            }
        }
    }
    let mut entries = Entries::default();
    plan.emit(&mut entries)?;
    Ok(entries.0)
}

fn check(from: &[&str], onto: &[&str], flags: &str, arguments: &str, expected: &[&str]) {
    let found = copied(from, onto, flags, arguments).unwrap_or_else(|error| vec![error.to_string()]);
    assert_eq!(found, expected, "COPY {flags} {arguments}, from {from:?} onto {onto:?}");
}

#[test]
fn destinations() {
    let from = ["f 0640 5:6 @7", "d/ 0700 5:6 @8", "d/x @9"];
    let file = |path: &str| format!("/{path} file(f) 0640 5:6 @7");
    let folder = |path: &str| format!("/{path} dir 0755 0:0 @99");
    for (onto, arguments, expected) in [
        (&[][..], "f /a", &[file("a")][..]),
        (&[], "f /a/", &[folder("a"), file("a/f")]),
        (&[], "f /a/b", &[folder("a"), file("a/b")]),
        (&[], "f .", &[folder("w"), file("w/f")]),
        (&["w/"], "f ./", &[file("w/f")]),
        (&["w/"], "f x", &[file("w/x")]),
        (&["w/"], "f ../x", &[file("x")]),
        (&[], "f ../../../x", &[file("x")]),
        (&["a/"], "f /a", &[file("a/f")]),
        (&["a"], "f /a", &[file("a")]),
        // Links of the destination are followed inside the root, to where nothing is as well.
        (&["a/", "l -> a"], "f /l", &[file("a/f")]),
        (&["a/", "l -> ../../a"], "f /l/b", &[file("a/b")]),
        (&["l -> /a/b"], "f /l", &[folder("a"), file("a/b")]),
        (&["l -> a"], "f /l/", &[folder("a"), file("a/f")]),
        // But not one that has the name of the file.
        (&["a/", "a/f -> /g", "g"], "f /a/", &[file("a/f")]),
        (&["g"], "f /g/x", &["/g: not a directory".to_owned()]),
        (&["g"], "f /g/", &["/g: not a directory".to_owned()]),
        (&["l -> l"], "f /l", &["/l: too many levels of symbolic links".to_owned()]),
    ] {
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        check(&from, onto, "", arguments, &expected);
    }
}

#[test]
fn folders() {
    let from =
        ["d/ 1777 5:6 @8", "d/s/ 0700 5:6 @9", "d/s/x 4755 5:6 @10", "d/l -> s", "e/ @20", "e/s/ 0750"];
    let below = |top: &str| -> Vec<String> {
        vec![
            format!("/{top}/l -> s 0644 0:0 @0"),
            format!("/{top}/s dir 0700 5:6 @9"),
            format!("/{top}/s/x file(d/s/x) 4755 5:6 @10"),
        ]
    };
    let with = |top: &str, first: &[&str]| -> Vec<String> {
        first.iter().map(|line| (*line).to_owned()).chain(below(top)).collect()
    };
    for (onto, arguments, expected) in [
        // The top is never the source's but for its time; what is below always is.
        (&[][..], "d /n", with("n", &["/n dir 0755 0:0 @8"])),
        (&[], "d/ /n/", with("n", &["/n dir 0755 0:0 @8"])),
        (&[], "d/. /n", with("n", &["/n dir 0755 0:0 @8"])),
        (&[], "d /a/n", with("a/n", &["/a dir 0755 0:0 @99", "/a/n dir 0755 0:0 @8"])),
        (&["n/ 0711 1:2 @3"], "d /n", with("n", &["/n dir 0711 1:2 @8"])),
        (&["n/", "n/s/ 0711 1:2"], "d /n", with("n", &["/n dir 0755 0:0 @8"])),
        (&["n/", "n/l"], "d /n", with("n", &["/n dir 0755 0:0 @8"])),
        (&["m/ 0711", "n -> m"], "d /n", with("m", &["/m dir 0711 0:0 @8"])),
        (&["n"], "d /n", vec!["cannot copy to non-directory: /n".to_owned()]),
        (&["n/", "n/s"], "d /n", vec!["cannot copy to non-directory: /n/s".to_owned()]),
        (&["n/", "n/l/"], "d /n", vec!["cannot replace directory /n/l with a file".to_owned()]),
    ] {
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        check(&from, onto, "", arguments, &expected);
    }
    // Two folders become one; the later one's look counts.
    let merged = ["/n dir 0755 0:0 @20", "/n/l -> s 0644 0:0 @0", "/n/s dir 0750 0:0 @0"];
    check(&from, &[], "", "d e /n", &[&merged[..], &["/n/s/x file(d/s/x) 4755 5:6 @10"]].concat());
}

#[test]
fn several_sources() {
    let from = ["a", "b", "d/", "d/x", "d/b"];
    for (arguments, expected) in [
        ("a b /n/", &["/n dir 0755 0:0 @99", "/n/a file(a) 0644 0:0 @0", "/n/b file(b) 0644 0:0 @0"][..]),
        // Not a folder: the last one wins.
        ("a b /n", &["/n file(b) 0644 0:0 @0"]),
        ("<<h b /n", &["/n file(b) 0644 0:0 @0"]),
        // A folder makes one of the destination, for the sources after it.
        (
            "d a /n",
            &[
                "/n dir 0755 0:0 @0",
                "/n/a file(a) 0644 0:0 @0",
                "/n/b file(d/b) 0644 0:0 @0",
                "/n/x file(d/x) 0644 0:0 @0",
            ],
        ),
        ("d b <<x /n", &["/n dir 0755 0:0 @0", "/n/b file(b) 0644 0:0 @0", "/n/x file(text) 0644 0:0 @99"]),
        ("a d /n", &["cannot copy to non-directory: /n"]),
    ] {
        check(&from, &[], "", arguments, expected);
    }
}

#[test]
fn whether_the_last_one_wins_is_known() {
    let (from, onto) = (tree(&["a", "b", "d/", "d/a"]), Tree::new());
    let source = source(&from);
    for (sources, written, last_wins) in [
        (&["a"][..], "/n", false),
        (&["a", "b"], "/n", true),
        (&["a", "b"], "/n/", false),
        (&["d", "a"], "/n", false),
    ] {
        let destination = Destination::new(&onto, &TreePath::root(), written).unwrap();
        let exclude = Ignore::default();
        let mut plan = Plan::new(&onto, look(""), &exclude);
        for path in sources {
            plan.copy(&source, &TreePath::new(path).unwrap(), &destination).unwrap();
        }
        assert_eq!(plan.last_wins(), last_wins, "{sources:?} {written}");
    }
}

#[test]
fn owners_and_modes() {
    let from = ["f 0640 5:6", "d/ 0700 5:6", "d/s/ 0711 5:6", "d/s/x 0600 5:6", "d/l -> x 0777 5:6"];
    for (flags, arguments, expected) in [
        ("1:2", "f /a/", &["/a dir 0755 1:2 @99", "/a/f file(f) 0640 1:2 @0"][..]),
        ("600", "f /a/", &["/a dir 0600 0:0 @99", "/a/f file(f) 0600 5:6 @0"]),
        // A symbolic mode changes what is there, and what is made for it has nothing to change.
        ("go=u", "f /a/", &["/a dir 0755 0:0 @99", "/a/f file(f) 0666 5:6 @0"]),
        (
            "1:2 u=rwX,go=",
            "d /n",
            &[
                "/n dir 0755 1:2 @0",
                "/n/l -> x 0777 1:2 @0",
                "/n/s dir 0700 1:2 @0",
                "/n/s/x file(d/s/x) 0600 1:2 @0",
            ],
        ),
        ("1:2 0444", "<<h /a/", &["/a dir 0444 1:2 @99", "/a/h file(text) 0444 1:2 @99"]),
        ("", "<<h /a", &["/a file(text) 0644 0:0 @99"]),
        ("u+x", "<<h /a", &["/a file(text) 0744 0:0 @99"]),
    ] {
        check(&from, &[], flags, arguments, expected);
    }
}

#[test]
fn links_of_the_source() {
    let from = [
        "d/",
        "d/f",
        "l -> d/f",
        "e -> d",
        "up -> ../../d",
        "loop -> loop",
        "gone -> nothing",
        "in/",
        "in/l -> ../d",
    ];
    for (arguments, expected) in [
        // A source that is a link is what it leads to, under its own name.
        ("l /n/", &["/n dir 0755 0:0 @99", "/n/l file(d/f) 0644 0:0 @0"][..]),
        ("e /n", &["/n dir 0755 0:0 @0", "/n/f file(d/f) 0644 0:0 @0"]),
        ("e/f /n", &["/n file(d/f) 0644 0:0 @0"]),
        ("up/f /n", &["/n file(d/f) 0644 0:0 @0"]),
        ("in/l/f /n", &["/n file(d/f) 0644 0:0 @0"]),
        // In a folder it stays a link.
        ("in /n", &["/n dir 0755 0:0 @0", "/n/l -> ../d 0644 0:0 @0"]),
        ("gone /n", &["\"/gone\": not found in the source"]),
        ("loop /n", &["/loop: too many levels of symbolic links"]),
        ("d/f/x /n", &["\"/d/f/x\": not found in the source"]),
        // There is nothing outside.
        ("../../d/f /n", &["/n file(d/f) 0644 0:0 @0"]),
        ("/d/f /n", &["/n file(d/f) 0644 0:0 @0"]),
    ] {
        check(&from, &[], "", arguments, expected);
    }
}

#[test]
fn hard_links_stay_together() {
    let from = ["d/", "d/a", "d/b = d/a", "d/c", "e = d/a"];
    check(
        &from,
        &[],
        "",
        "d e /n/",
        &[
            "/n dir 0755 0:0 @0",
            "/n/a file(d/a) 0644 0:0 @0",
            "/n/b = /n/a",
            "/n/c file(d/c) 0644 0:0 @0",
            "/n/e = /n/a",
        ],
    );
}

#[test]
fn patterns() {
    let from = tree(&[
        "a.txt",
        "b.txt",
        ".c.txt",
        "d/",
        "d/a.txt",
        "d/e/",
        "d/e/f.txt",
        "l -> d",
        "x*y",
        "xzy",
        "[z]",
    ]);
    let source = source(&from);
    let plainly = |written: &str| select(&source, written, &Ignore::default());
    for (written, expected) in [
        ("*.txt", &["/.c.txt", "/a.txt", "/b.txt"][..]),
        ("?.txt", &["/a.txt", "/b.txt"]),
        ("[^a].txt", &["/b.txt"]),
        ("./*.txt", &["/.c.txt", "/a.txt", "/b.txt"]),
        ("../*.txt", &["/.c.txt", "/a.txt", "/b.txt"]),
        // A pattern does not look behind links; what is before it does, and what matches may be one.
        ("*/*.txt", &["/d/a.txt"]),
        ("d/*", &["/d/a.txt", "/d/e"]),
        ("l/e/*", &["/l/e/f.txt"]),
        ("*/e/f.txt", &["/d/e/f.txt"]),
        ("[l]", &["/l"]),
        ("x\\*[y]", &["/x*y"]),
        ("[[]z]", &["/[z]"]),
        ("*.none", &[]),
        ("none/*", &[]),
        ("a.txt/*", &[]),
        ("/", &["/"]),
    ] {
        let found: Vec<String> = plainly(written).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(found, expected, "{written}");
    }
    assert_eq!(plainly("none").unwrap_err().message, "\"/none\": not found in the source");
    assert!(plainly("a[").unwrap_err().message.contains("syntax error in pattern"));
}

/// An entry of an archive: `d/`, `f`, `l -> t`, `h = t`; as 0640, of 5:6, at 7.
fn archive(lines: &[&str]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for line in lines {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o640);
        header.set_uid(5);
        header.set_gid(6);
        header.set_mtime(7);
        header.set_size(0);
        let (name, kind, target) = match line.split_once(" -> ").map(|pair| (tar::EntryType::Symlink, pair)) {
            Some((kind, (name, target))) => (name, kind, Some(target)),
            None => match line.split_once(" = ") {
                Some((name, target)) => (name, tar::EntryType::Link, Some(target)),
                None if line.ends_with('/') => (*line, tar::EntryType::Directory, None),
                None => (*line, tar::EntryType::Regular, None),
            },
        };
        header.set_entry_type(kind);
        // Names as they are: the library would refuse those that mean harm.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        if let Some(target) = target {
            header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
        }
        header.set_cksum();
        builder.append(&header, io::empty()).unwrap();
    }
    builder.into_inner().unwrap()
}

#[test]
fn archives() {
    for (onto, lines, owner, expected) in [
        (&[][..], &["f"][..], None, &["/x dir 0755 0:0 @99", "/x/f file() 0640 5:6 @7"][..]),
        (&["x/"], &["./", "./f"], None, &["/x/f file() 0640 5:6 @7"]),
        (&["x/"], &["f", "g = f"], Some((1, 2)), &["/x/f file() 0640 1:2 @7", "/x/g = /x/f"]),
        (
            &["x/"],
            &["d/e/f"],
            Some((1, 2)),
            &["/x/d dir 0755 1:2 @99", "/x/d/e dir 0755 1:2 @99", "/x/d/e/f file() 0640 1:2 @7"],
        ),
        // A folder merges with what is there; anything else takes its place.
        (
            &["x/", "x/d/", "x/d/old"],
            &["d/", "d/f"],
            None,
            &["/x/d dir 0640 5:6 @7", "/x/d/f file() 0640 5:6 @7"],
        ),
        (&["x/", "x/l -> /y"], &["l/", "l/f"], None, &["/x/l dir 0640 5:6 @7", "/x/l/f file() 0640 5:6 @7"]),
        (&["x/", "x/l -> /y"], &["l"], None, &["/x/l file() 0640 5:6 @7"]),
        // Links on the way are followed inside the root, the archive's own too.
        (&["x/", "x/l -> /y", "y/"], &["l/f"], None, &["/y/f file() 0640 5:6 @7"]),
        (
            &["x/"],
            &["l -> ../../../out", "l/f"],
            None,
            &["/x/l -> ../../../out 0640 5:6 @7", "/out dir 0755 0:0 @99", "/out/f file() 0640 5:6 @7"],
        ),
        (&["x/"], &["../../f"], None, &["/x/f file() 0640 5:6 @7"]),
        (&["x/"], &["/f"], None, &["/x/f file() 0640 5:6 @7"]),
        // A hard link to what only the tree has brings it into the layer.
        (
            &["x/", "x/f 0600 1:2 @3"],
            &["g = f", "h = f"],
            None,
            &["/x/f file(x/f) 0600 1:2 @3", "/x/g = /x/f", "/x/h = /x/f"],
        ),
        (&["x/", "x/l -> y"], &["g = l"], None, &["/x/l -> y 0644 0:0 @0", "/x/g = /x/l"]),
        (&["x/"], &["g = f"], None, &["/x/f, which is no file"]),
        (&["x/", "x/d/"], &["g = d"], None, &["/x/d, which is no file"]),
        (&["x/", "x/f"], &["f/g"], None, &["/x/f: not a directory"]),
        (&["x"], &["f"], None, &["/x: not a directory"]),
    ] {
        let mut beneath = tree(onto);
        let mut entries = Entries::default();
        let bytes = archive(lines);
        let place = TreePath::new("x").unwrap();
        let open = |path: &TreePath| {
            let bytes = path.as_bytes().to_vec();
            Ok(Box::new(io::Cursor::new(bytes)) as Box<dyn io::Read + Send>)
        };
        let mut extraction = Extraction {
            destination: &place,
            owner,
            now: NOW,
            tree: &mut beneath,
            base: None,
            open: &open,
            sink: &mut entries,
        };
        let done = extraction.extract(&bytes[..]);
        let found = match done {
            Ok(()) => entries.0,
            Err(error) => {
                let at = error.message.rfind("/x").unwrap_or_default();
                vec![error.message[at..].to_owned()]
            }
        };
        assert_eq!(found, expected, "{lines:?} onto {onto:?}");
    }
}

/// What a COPY with further flags puts into a layer: `parents`, `link`, and patterns of `--exclude`.
fn copied_with(from: &[&str], onto: &[&str], flags: &[&str], arguments: &str) -> Result<Vec<String>> {
    let (from, onto, nothing) = (tree(from), tree(onto), Tree::new());
    let source = source(&from);
    let (sources, written) = arguments.rsplit_once(' ').unwrap();
    let link = flags.contains(&"link");
    let beneath = if link { &nothing } else { &onto };
    let exclude = Ignore::from_patterns(flags.iter().filter_map(|flag| flag.strip_prefix('-'))).unwrap();
    let destination = Destination::new(beneath, &TreePath::root(), written)?;
    let mut plan = Plan::new(beneath, look(""), &exclude).linked_onto(link.then_some(&onto));
    for written in sources.split(' ') {
        if flags.contains(&"parents") {
            plan.copy_with_parents(&source, written, &destination)?;
            continue;
        }
        for path in select(&source, written, &exclude)? {
            plan.copy(&source, &path, &destination)?;
        }
    }
    let mut replaced: Vec<String> =
        plan.replaced().map(|(path, what)| format!("instead of the {what} {path}")).collect();
    let mut entries = Entries::default();
    plan.emit(&mut entries)?;
    entries.0.append(&mut replaced);
    Ok(entries.0)
}

#[test]
fn parents() {
    let from = ["a/ 0750 5:6 @1", "a/b/ 0700 5:6 @2", "a/b/f @3", "a/g @4", "l -> a", "a/l -> g"];
    let onto = ["o/", "o/a/ 0711 7:8 @9"];
    for (arguments, expected) in [
        (
            "a/b/f /n",
            &[
                "/n dir 0755 0:0 @99",
                "/n/a dir 0750 5:6 @99",
                "/n/a/b dir 0700 5:6 @99",
                "/n/a/b/f file(a/b/f) 0644 0:0 @3",
            ][..],
        ),
        ("a/./b/f /o", &["/o/b dir 0700 5:6 @99", "/o/b/f file(a/b/f) 0644 0:0 @3"]),
        // A folder that is there takes the mode alone.
        ("a/g /o", &["/o/a dir 0750 7:8 @9", "/o/a/g file(a/g) 0644 0:0 @4"]),
        ("l/./g /o", &["/o/g file(a/g) 0644 0:0 @4"]),
        ("**/f /o", &["/o/a dir 0750 7:8 @9", "/o/a/b dir 0700 5:6 @99", "/o/a/b/f file(a/b/f) 0644 0:0 @3"]),
        ("**/none /o", &[]),
        ("l/g /o", &["/l is a symbolic link, which --parents does not follow"]),
        ("a/none /o", &["\"/a/none\": not found in the source"]),
        ("a/g/./x /o", &["/a/g: not a directory"]),
    ] {
        let found = copied_with(&from, &onto, &["parents"], arguments)
            .unwrap_or_else(|error| vec![error.message.clone()]);
        assert_eq!(found, expected, "{arguments}");
    }
}

#[test]
fn excluded() {
    let from = ["d/ @1", "d/a", "d/s/ 0700 @2", "d/s/a", "d/s/b", "a"];
    let top = "/n dir 0755 0:0 @1";
    for (exclude, arguments, expected) in [
        (&["-s"][..], "d /n", &[top, "/n/a file(d/a) 0644 0:0 @0"][..]),
        (
            &["-a"],
            "d /n",
            &[
                top,
                "/n/s dir 0700 0:0 @2",
                "/n/s/a file(d/s/a) 0644 0:0 @0",
                "/n/s/b file(d/s/b) 0644 0:0 @0",
            ],
        ),
        // A folder that is left out is there, as of now, for what comes back.
        (&["-*", "-!s/b"], "d /n", &[top, "/n/s dir 0700 0:0 @99", "/n/s/b file(d/s/b) 0644 0:0 @0"]),
        (&["-**"], "d /n", &[top]),
        (&["-a"], "a d/a /n/", &[]),
        (&["-d/a"], "a d/a /n/", &["/n dir 0755 0:0 @99", "/n/a file(a) 0644 0:0 @0"]),
        (
            &["-d"],
            "d /n",
            &[
                top,
                "/n/a file(d/a) 0644 0:0 @0",
                "/n/s dir 0700 0:0 @2",
                "/n/s/a file(d/s/a) 0644 0:0 @0",
                "/n/s/b file(d/s/b) 0644 0:0 @0",
            ],
        ),
        (&["-d"], "* /n/", &["/n dir 0755 0:0 @99", "/n/a file(a) 0644 0:0 @0"]),
    ] {
        let found = copied_with(&from, &[], exclude, arguments).unwrap();
        assert_eq!(found, expected, "{exclude:?} {arguments}");
    }
}

#[test]
fn a_linked_layer_is_the_same_on_every_base_with_its_folders() {
    let from = ["d/ @1", "d/s/", "d/s/f", "f"];
    let copied = |onto: &[&str], arguments: &str| copied_with(&from, onto, &["link"], arguments).unwrap();
    for arguments in ["f /t/u/", "d /t/u", "f /t/u/g"] {
        let one = copied(&["t/ 1777", "t/u/ 0700 5:6", "t/u/s/ 0711"], arguments);
        let other = copied(&["t/ 0711 7:8", "t/u/", "t/u/x"], arguments);
        assert_eq!(one, other, "{arguments}");
        assert!(
            one.iter().all(|entry| !entry.starts_with("/t dir") && !entry.starts_with("/t/u dir")),
            "{one:?}"
        );
    }
    assert_eq!(copied(&[], "f /t/"), ["/t dir 0755 0:0 @99", "/t/f file(f) 0644 0:0 @0"]);
    assert_eq!(
        copied(&["t -> u", "u/"], "f /t/"),
        ["/t dir 0755 0:0 @99", "/t/f file(f) 0644 0:0 @0", "instead of the symbolic link /t"]
    );
    assert_eq!(copied(&["t/"], "f /t"), ["/t file(f) 0644 0:0 @0", "instead of the directory /t"]);
    assert_eq!(copied(&["t/", "t/s"], "d /t"), ["/t/s dir 0755 0:0 @0", "/t/s/f file(d/s/f) 0644 0:0 @0"]);
}

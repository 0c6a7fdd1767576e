//! Text to layers, layers to text, and the same from other programs.

use std::os::unix::fs::MetadataExt;
use std::process::Command;

use oci::Compression;
use testkit::{ImageBuilder, Layer, Tree, available, busybox, pack};

const EVERYTHING: &str = "
    # a comment
    /bin dir 0700 1:2
    /bin/tool file 4755 0:3000000 mtime=1700000000 xattr:user.note=hello = #!/bin/sh\\n
    /bin/alias symlink -> ../a b
    /bin/other link 4755 0:3000000 -> /bin/tool
    /dev/null char 0666 0:0 1:3
    /dev/disk block 0660 0:6 8:1
    /dev/pipe fifo
    /empty file 0000
    /noise file * 3000
";

#[test]
fn layers() {
    let tar = Layer::new().tree(EVERYTHING).tar();
    let tool = oci::Digest::of(b"#!/bin/sh\n").short();
    let expected = format!(
        "\
/bin dir 0700 1:2
/bin/alias symlink 0777 0:0 ->../a\\sb
/bin/other file 4755 0:3000000 10 {tool} user.note=hello
/bin/tool link 4755 0:3000000 ->/bin/other user.note=hello
/dev/disk block 0660 0:6 8:1
/dev/null char 0666 0:0 1:3
/dev/pipe fifo 0644 0:0
/empty file 0000 0:0 0 e3b0c44298fc
"
    );
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let text = Tree::of_layer(&pack(&tar, compression)[..]).text();
        let (known, noise) = text.split_at(text.find("/noise").unwrap());
        assert_eq!(known, expected);
        assert!(noise.starts_with("/noise file 0644 0:0 3000 "));
    }
    let times = Tree::of_layer(&tar[..]).text_with_times();
    assert!(times.contains("/bin/other file 4755 0:3000000 @1700000000 10 "), "{times}");
}

#[test]
fn names_that_are_long_or_hostile() {
    let long = "x".repeat(150);
    let tar = Layer::new().tree(&format!("/{long} file\n../up file\n//etc/x file\n./dot/ dir")).tar();
    let mut archive = tar::Archive::new(&tar[..]);
    let names: Vec<_> =
        archive.entries().unwrap().map(|entry| entry.unwrap().path_bytes().into_owned()).collect();
    let expected = [long.as_bytes(), b"../up", b"/etc/x", b"./dot/"];
    assert_eq!(names, expected);
}

#[test]
fn one_layer_over_another() {
    let check = |layers: &[&str], expected: &[&str]| {
        let tree = layers.iter().fold(Tree::default(), |below, layer| {
            below.under(Tree::of_layer(&Layer::new().tree(layer).tar()[..]))
        });
        let text = tree.text();
        let found: Vec<&str> = text.lines().map(|line| line.split(" 0").next().unwrap()).collect();
        assert_eq!(found, expected, "{layers:?}");
    };
    check(&["/a file\n/b file", "/.wh.a file"], &["/b file"]);
    check(&["/d dir\n/d/a file\n/dx file", "/.wh.d file"], &["/dx file"]);
    check(&["/d dir\n/d/a file", "/d/b file\n/d/.wh..wh..opq file"], &["/d dir", "/d/b file"]);
    check(&["/d dir\n/d/a file", "/d file"], &["/d file"]);
    check(&["/d dir\n/d/a file", "/d dir 0700"], &["/d dir", "/d/a file"]);
    check(&["/a file\n/b link -> /a", "/.wh.a file"], &["/b file"]);
    check(&["/a file", "/b link -> /a"], &["/a file", "/b link"]);
    check(&["/a file\n/b link -> /a", "/a file"], &["/a file", "/b file"]);
    check(&["/a file", "/.wh.a file\n/a file"], &["/a file"]);
}

#[test]
fn a_directory_is_what_another_tar_made_of_it() {
    if !available("tar") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let tree = "
        /d dir 0750
        /d/file file 0640 = hello
        /d/hard link -> /d/file
        /d/soft symlink -> file
        /pipe fifo 0600
    ";
    let path = dir.path().join("layer.tar");
    std::fs::write(&path, Layer::new().tree(tree).tar()).unwrap();
    let root = dir.path().join("root");
    std::fs::create_dir(&root).unwrap();
    let status = Command::new("tar").arg("-xpf").arg(&path).arg("-C").arg(&root).status().unwrap();
    assert!(status.success());
    let owner =
        |text: String| text.lines().map(|line| format!("{}\n", without_owner(line))).collect::<String>();
    let layer = Tree::of_layer(std::fs::File::open(&path).unwrap());
    assert_eq!(owner(Tree::of_dir(&root).text()), owner(layer.text()));
}

/// Who is not root unpacks everything as his own.
fn without_owner(line: &str) -> String {
    let words: Vec<&str> =
        line.split(' ').enumerate().filter(|(at, _)| *at != 3).map(|(_, word)| word).collect();
    words.join(" ")
}

#[test]
fn an_image_is_what_umoci_makes_of_it() {
    if !available("umoci") {
        return;
    }
    if std::fs::metadata("/proc/self").unwrap().uid() != 0 {
        assert!(std::env::var_os("CI").is_none(), "only root can unpack owners");
        eprintln!("skipped: only root can unpack owners");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let layout = layout::Layout::create(dir.path().join("image")).unwrap();
    let below = "
        /a dir 0750 1:2
        /a/gone file = x
        /a/kept file 4755 3:4 mtime=5 xattr:user.note=hello = y
        /a/other link 4755 3:4 -> /a/kept
        /b dir
        /b/gone file
        /c symlink -> a/kept
        /d file
    ";
    let above = "
        /a dir 0700 1:2
        /a/.wh.gone file
        /b dir
        /b/.wh..wh..opq file
        /b/new fifo 0600 5:6
        /d dir
        /d/in file = z
    ";
    let stored = ImageBuilder::new().layer(below).compression(Compression::None).layer(above);
    let stored = stored.store(&layout, Some("1"));
    let bundle = dir.path().join("bundle");
    let image = format!("{}:1", layout.dir().display());
    let output = Command::new("umoci").args(["unpack", "--image", &image]).arg(&bundle).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(Tree::of_image(&layout, &stored.manifest).text(), Tree::of_dir(&bundle.join("rootfs")).text());
}

#[test]
fn busybox_is_an_image() {
    let Some(image) = busybox() else { return };
    let dir = tempfile::tempdir().unwrap();
    let layout = layout::Layout::create(dir.path()).unwrap();
    let stored = image.layer("/extra file = x").store(&layout, Some("latest"));
    let text = Tree::of_image(&layout, &stored.manifest).text();
    for line in ["/bin/sh link 0755 0:0 ->/bin/[", "/tmp dir 1777 0:0", "/extra file 0644 0:0 1 2d711642b726"]
    {
        assert!(text.lines().any(|other| other == line), "{line} in\n{text}");
    }
    assert_eq!(stored.config.config.cmd.unwrap(), ["sh"]);
}

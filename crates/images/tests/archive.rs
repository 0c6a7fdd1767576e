//! Archives of `docker save` as sources: which image is meant, what becomes of its layers, what is refused.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use std::path::Path;

use images::{Location, Selection, copy};
use layout::Layout;
use oci::{Digest, ManifestOrIndex, MediaType};
use registry::{Client, ClientOptions};
use serde_json::json;
use testkit::TestRegistry;

/// A layer as a tar with one file.
fn layer(text: &str) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    add(&mut tar, "file", text.as_bytes());
    tar.into_inner().unwrap()
}

fn add(tar: &mut tar::Builder<Vec<u8>>, name: &str, bytes: &[u8]) {
    let mut header = tar::Header::new_ustar();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, name, bytes).unwrap();
}

fn link(tar: &mut tar::Builder<Vec<u8>>, kind: tar::EntryType, name: &str, target: &str) {
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(kind);
    header.set_size(0);
    tar.append_link(&mut header, name, target).unwrap();
}

fn config(layers: &[&[u8]]) -> Vec<u8> {
    let diff_ids: Vec<Digest> = layers.iter().map(|layer| Digest::of(layer)).collect();
    let config = json!({
        "architecture": "amd64", "os": "linux", "config": {"Cmd": ["/file"]},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    });
    // Not as we would write it: it has to keep its bytes.
    serde_json::to_vec_pretty(&config).unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    layer::gzip(bytes, &mut packed).unwrap();
    packed
}

/// Two images as docker has written them over the years: layers that are links to others, or packed.
fn saved(damage: Option<&str>) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let (below, above) = (layer("below"), layer("above"));
    let (one, other) = (config(&[&below, &above, &below]), config(&[&above]));
    let list = json!([
        {"Config": "one.json", "RepoTags": ["app:1", "app:latest"], "Layers": ["a/layer.tar", "b/layer.tar", "c/layer.tar"]},
        {"Config": "./other.json", "RepoTags": ["r.example/app:2"], "Layers": ["d/layer.tar"]},
        {"Config": "none.json", "RepoTags": null, "Layers": []},
    ]);
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in [
        ("manifest.json", list.to_string().as_bytes()),
        ("one.json", &one),
        ("other.json", &other),
        ("a/layer.tar", &below),
        ("b/layer.tar", &gzip(&above)),
    ] {
        let damaged = layer("damaged");
        add(&mut tar, name, if damage == Some(name) { &damaged } else { bytes });
    }
    link(&mut tar, tar::EntryType::Symlink, "c/layer.tar", "../a/layer.tar");
    link(&mut tar, tar::EntryType::Link, "d/layer.tar", "b/layer.tar");
    (tar.into_inner().unwrap(), one, other)
}

fn copied(archive: &Path, name: &str, to: &Location, work: &Path) -> Result<Digest, String> {
    let from = match name {
        "" => format!("docker-archive:{}", archive.display()),
        name => format!("docker-archive:{}:{name}", archive.display()),
    };
    let client = Client::new(ClientOptions::default()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let work = tempfile::tempdir_in(work).unwrap();
    let from = from.parse().unwrap();
    let copying = copy(&client, &from, to, &Selection::All, work.path());
    runtime.block_on(copying).map_err(|error| error.to_string())
}

#[test]
fn the_image_that_is_meant() {
    let folder = tempfile::tempdir().unwrap();
    let (archive, one, other) = saved(None);
    let file = folder.path().join("saved.tar");
    std::fs::write(&file, archive).unwrap();
    let registry = TestRegistry::start();
    for (name, expected) in [
        ("app:1", Ok(&one)),
        ("docker.io/library/app:latest", Ok(&one)),
        ("r.example/app:2", Ok(&other)),
        ("@0", Ok(&one)),
        ("@1", Ok(&other)),
        ("@3", Err("has 3 images, and no @3")),
        ("app:3", Err("has no image of the name app:3")),
        ("", Err("has several images; say which, as in docker-archive:")),
        ("@2", Err("does not hold none.json")),
    ] {
        let layout = folder.path().join("layout");
        let to = Location::Layout(layout.clone(), Some("x".to_owned()));
        let found = copied(&file, name, &to, folder.path());
        match (found, expected) {
            (Ok(digest), Ok(config)) => {
                let layout = Layout::open(layout).unwrap();
                let bytes = layout.read_blob(digest, 1 << 20).unwrap();
                let ManifestOrIndex::Manifest(manifest) = ManifestOrIndex::parse(bytes, None).unwrap() else {
                    panic!("{name}: an index");
                };
                let manifest = manifest.value();
                assert_eq!(&layout.read_blob(manifest.config.digest, 1 << 20).unwrap(), config, "{name}");
                for layer in &manifest.layers {
                    assert_eq!(layer.media_type, MediaType::OciLayerGzip);
                    assert_eq!(layout.has(layer.digest).unwrap(), Some(layer.size));
                }
                // To a registry it is the same image.
                let to = Location::Registry(registry.reference("app", "x"));
                assert_eq!(copied(&file, name, &to, folder.path()), Ok(digest));
            }
            (Err(error), Err(expected)) => assert!(error.contains(expected), "{name}: {error}"),
            (found, expected) => panic!("{name}: {found:?}, and not {expected:?}"),
        }
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "the archive and the layout");
}

#[test]
fn what_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("saved.tar");
    let to = Location::Layout(folder.path().join("layout"), None);
    let whole = saved(None).0;
    for (bytes, message) in [
        (saved(Some("a/layer.tar")).0, "a/layer.tar: it holds sha256:"),
        (saved(Some("b/layer.tar")).0, "b/layer.tar: it holds sha256:"),
        (saved(Some("one.json")).0, "malformed image config"),
        (saved(Some("manifest.json")).0, "manifest.json of"),
        (gzip(&whole), "is compressed as a whole; unpack it with gunzip first"),
        (layer("no image"), "has no manifest.json"),
        (whole[..whole.len() / 2].to_vec(), "saved.tar"),
    ] {
        std::fs::write(&file, bytes).unwrap();
        let error = copied(&file, "app:1", &to, folder.path()).unwrap_err();
        assert!(error.contains(message), "{message}: {error}");
    }
    let archive = Location::DockerArchive(folder.path().join("new.tar"), None);
    std::fs::write(&file, whole).unwrap();
    let error = copied(&file, "app:1", &archive, folder.path()).unwrap_err();
    assert!(error.contains("are read and not written"), "{error}");
}

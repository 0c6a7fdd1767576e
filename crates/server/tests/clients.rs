//! Clients that others wrote: what they push, they and others find again.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says what it skips"
)]

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use layout::{Layout, REFERENCE_NAME};
use oci::{Descriptor, DiffId, ImageConfig, Index, Manifest, MediaType, Raw};
use server::{Credentials, Options, Server};

/// True if a program is there; if it is not, the test is skipped, but not in CI.
fn have(program: &str) -> bool {
    let found = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .any(|dir| dir.join(program).is_file());
    if !found {
        assert!(std::env::var_os("CI").is_none(), "{program} is not installed");
        eprintln!("skipped: {program} is not installed");
    }
    found
}

/// Runs a program to its success, and yields what it wrote.
fn run(program: &str, arguments: &[&str], environment: &[(&str, &Path)]) -> String {
    let output = Command::new(program).args(arguments).envs(environment.iter().copied()).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

struct Fixture {
    dir: tempfile::TempDir,
    server: Server,
}

impl Fixture {
    async fn start(credentials: Option<Credentials>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listen = (Ipv4Addr::LOCALHOST, 0).into();
        let options = Options { dir: dir.path().join("registry"), listen, credentials };
        Fixture { dir, server: server::serve(options).await.unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A layout, as skopeo names it, with a small image of our own.
    fn image(&self) -> String {
        let layout = Layout::create(self.path("image")).unwrap();
        let descriptor = image(&layout, "hello\n");
        put(&layout, descriptor);
        format!("oci:{}:1", layout.dir().display())
    }

    /// A repository's files, as skopeo names them.
    fn files(&self, folder: &str, tag: &str) -> String {
        format!("oci:{}:{tag}", self.path("registry").join(folder).display())
    }

    fn docker(&self, reference: &str) -> String {
        format!("docker://{}/{reference}", self.server.local_addr())
    }
}

/// Stores an image of one file.
fn image(layout: &Layout, content: &str) -> Descriptor {
    let mut header = [0_u8; 512];
    for (offset, text) in [
        (0, "hello"),
        (100, "0000644"),
        (108, "0000000"),
        (116, "0000000"),
        (124, &format!("{:011o}", content.len())),
        (136, "00000000000"),
        (148, "        "),
        (156, "0"),
        (257, "ustar\x0000"),
    ] {
        header[offset..offset + text.len()].copy_from_slice(text.as_bytes());
    }
    let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    let mut tar = [&header[..], content.as_bytes()].concat();
    tar.resize(512 + 512 + 1024, 0);
    let layer = layout.write_blob(&tar).unwrap();
    let mut config =
        ImageConfig { architecture: "amd64".into(), os: "linux".into(), ..ImageConfig::default() };
    config.rootfs.diff_ids.push(DiffId(layer));
    let config = Raw::write(config);
    layout.write_blob(config.bytes()).unwrap();
    let layer = Descriptor::new(MediaType::OciLayer, layer, tar.len() as u64);
    let config = Descriptor::of(MediaType::OciConfig, &config);
    let manifest = Raw::write(Manifest::new(MediaType::OciManifest, config, vec![layer]));
    layout.write_blob(manifest.bytes()).unwrap();
    Descriptor::of(MediaType::OciManifest, &manifest)
}

fn put(layout: &Layout, mut descriptor: Descriptor) {
    descriptor.annotations.insert(REFERENCE_NAME.to_owned(), "1".to_owned());
    layout.put_reference(descriptor).unwrap();
}

/// Without it, skopeo compresses plain layers on their way to a registry.
const EXACT: [&str; 1] = ["--preserve-digests"];
const PLAIN: [&str; 2] = ["--src-tls-verify=false", "--dest-tls-verify=false"];

fn skopeo_copy(options: &[&str], from: &str, to: &str) {
    run("skopeo", &[&["--insecure-policy", "copy"], &PLAIN[..], options, &[from, to]].concat(), &[]);
}

fn skopeo_digest(image: &str) -> String {
    run("skopeo", &["inspect", "--tls-verify=false", "--format", "{{.Digest}}", image], &[])
}

#[tokio::test(flavor = "multi_thread")]
async fn skopeo_copies_there_and_back() {
    if !have("skopeo") {
        return;
    }
    let fixture = Fixture::start(None).await;
    let image = fixture.image();
    let (first, second) = (fixture.docker("team/app:1.4"), fixture.docker("other:1.4"));
    skopeo_copy(&EXACT, &image, &first);
    // Within one registry, where blobs are mounted.
    skopeo_copy(&[], &first, &second);
    for copy in [&first, &second, &fixture.files("team+app", "1.4"), &fixture.files("other", "1.4")] {
        assert_eq!(skopeo_digest(copy), skopeo_digest(&image), "{copy}");
    }
    let plain = fixture.path("plain");
    skopeo_copy(&[], &second, &format!("dir:{}", plain.display()));
    assert!(plain.join("manifest.json").is_file());
    let tags = run("skopeo", &["list-tags", "--tls-verify=false", &fixture.docker("team/app")], &[]);
    assert!(tags.contains(r#""1.4""#), "{tags}");
    let docker = fixture.docker("docker:1");
    skopeo_copy(&["--format", "v2s2"], &image, &docker);
    let manifest = run("skopeo", &["inspect", "--raw", "--tls-verify=false", &docker], &[]);
    assert!(manifest.contains(MediaType::DockerConfig.as_str()), "{manifest}");
    run("skopeo", &["delete", "--tls-verify=false", &second], &[]);
    let listed = Layout::open(fixture.path("registry/other")).unwrap().index().unwrap().manifests;
    assert_eq!(listed, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn skopeo_copies_an_image_for_two_platforms() {
    if !have("skopeo") {
        return;
    }
    let fixture = Fixture::start(None).await;
    let layout = Layout::create(fixture.path("image")).unwrap();
    let manifests = ["linux/amd64", "linux/arm64"]
        .map(|platform| Descriptor { platform: Some(platform.parse().unwrap()), ..image(&layout, platform) });
    let index = Raw::write(Index::new(manifests.to_vec()));
    layout.write_blob(index.bytes()).unwrap();
    put(&layout, Descriptor::of(MediaType::OciIndex, &index));
    let source = format!("oci:{}:1", layout.dir().display());
    skopeo_copy(&["--all", EXACT[0]], &source, &fixture.docker("multi:1"));
    skopeo_copy(&["--all", EXACT[0]], &fixture.docker("multi:1"), &fixture.docker("again:1"));
    let raw = run("skopeo", &["inspect", "--raw", "--tls-verify=false", &fixture.docker("again:1")], &[]);
    assert_eq!(raw.as_bytes(), index.bytes());
    // What skopeo wrote into the files by itself is served too.
    skopeo_copy(&["--all", EXACT[0]], &source, &fixture.files("behind", "1"));
    skopeo_copy(
        &["--all", EXACT[0]],
        &fixture.docker("behind:1"),
        &format!("dir:{}", fixture.path("dir").display()),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn skopeo_says_who_it_is() {
    if !have("skopeo") {
        return;
    }
    let fixture = Fixture::start(Some(Credentials::new("user", "secret"))).await;
    let (image, target) = (fixture.image(), fixture.docker("a:1"));
    skopeo_copy(&["--dest-creds", "user:secret"], &image, &target);
    let refused = Command::new("skopeo")
        .args(["inspect", "--tls-verify=false", "--creds", "user:other", &target])
        .output()
        .unwrap();
    assert!(!refused.status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn umoci_unpacks_what_was_pushed() {
    if !have("skopeo") || !have("umoci") {
        return;
    }
    let fixture = Fixture::start(None).await;
    skopeo_copy(&[], &fixture.image(), &fixture.docker("team/app:1"));
    let (image, bundle) = (fixture.path("registry/team+app"), fixture.path("bundle"));
    let image = format!("{}:1", image.display());
    run("umoci", &["unpack", "--rootless", "--image", &image, bundle.to_str().unwrap()], &[]);
    assert_eq!(fs::read_to_string(bundle.join("rootfs/hello")).unwrap(), "hello\n");
    // umoci changes the layout in its own way, and the registry goes on serving it.
    run("umoci", &["tag", "--image", &image, "2"], &[]);
    run("umoci", &["gc", "--layout", fixture.path("registry/team+app").to_str().unwrap()], &[]);
    assert_eq!(skopeo_digest(&fixture.docker("team/app:2")), skopeo_digest(&fixture.docker("team/app:1")));
}

#[tokio::test(flavor = "multi_thread")]
async fn podman_pulls_and_pushes() {
    if !have("podman") || !have("skopeo") {
        return;
    }
    let fixture = Fixture::start(None).await;
    skopeo_copy(&[], &fixture.image(), &fixture.docker("team/app:1"));
    let root = fixture.path("podman");
    fs::create_dir(&root).unwrap();
    fs::set_permissions(&root, fs::Permissions::from_mode(0o700)).unwrap();
    let storage = root.join("storage.conf");
    let text = format!(
        "[storage]\ndriver = \"vfs\"\ngraphroot = \"{0}/graph\"\nrunroot = \"{0}/run\"\n",
        root.display()
    );
    fs::write(&storage, text).unwrap();
    let environment = [("CONTAINERS_STORAGE_CONF", storage.as_path()), ("HOME", &root)];
    let podman = |arguments: &[&str]| run("podman", arguments, &environment);
    let image = |name: &str| format!("{}/{name}", fixture.server.local_addr());
    podman(&["pull", "--tls-verify=false", &image("team/app:1")]);
    podman(&["push", "--tls-verify=false", &image("team/app:1"), &image("pushed:1")]);
    let inspected = podman(&["image", "inspect", "--format", "{{.Digest}}", &image("team/app:1")]);
    assert_eq!(inspected, skopeo_digest(&fixture.docker("team/app:1")));
    assert!(skopeo_digest(&fixture.docker("pushed:1")).starts_with("sha256:"));
}

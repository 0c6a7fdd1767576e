//! Where an image goes and what others read there: registries, archives, layouts, digest files.
#![forbid(unsafe_code)]

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::Result;
use e2e::process::{Finished, finish, output};
use e2e::{Bako, Image, Registry, bases, image, program, require, tree};
use tempfile::TempDir;

/// A program, a registry with a base in it, and a context that uses the base.
struct Fixture {
    bako: Bako,
    registry: Registry,
    base: String,
    folder: TempDir,
}

impl Fixture {
    fn new(registry: impl FnOnce(&Bako) -> Result<Registry>, dockerfile: &str) -> Result<Self> {
        let bako = Bako::built()?;
        let registry = registry(&bako)?;
        let base = bases::busybox(&bako, &registry)?;
        let folder = tempfile::tempdir()?;
        let context = folder.path().join("context");
        fs::create_dir(&context)?;
        fs::write(context.join("file.txt"), "contents\n")?;
        fs::write(context.join("Dockerfile"), dockerfile.replace("BASE", &base))?;
        Ok(Self { bako, registry, base, folder })
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn build(&self, arguments: &[&str]) -> Result<Finished> {
        let mut build = self.bako.build(&self.path("context"));
        build.arg("--work-dir").arg(self.path("work")).args(arguments).env("SOURCE_DATE_EPOCH", "1700000000");
        finish(&mut build)?.success()
    }
}

const SMALL: &str =
    "FROM BASE\nCOPY file.txt /\nRUN cat /file.txt /file.txt > /twice.txt\nCMD [\"cat\", \"/twice.txt\"]\n";

#[test]
fn debians_registry_and_ours_get_the_same_image() -> Result<()> {
    if !require(&["docker-registry", "skopeo"]) {
        return Ok(());
    }
    let mut digests = Vec::new();
    for registry in [|_: &Bako| Registry::debian(), Registry::ours as fn(&Bako) -> Result<Registry>] {
        let fixture = Fixture::new(registry, SMALL)?;
        let reference = fixture.registry.reference("team/app:1.0");
        let digest = program::digest(&fixture.build(&["--destination", &reference])?)?;
        let source = format!("docker://{reference}");
        let inspected = image::skopeo(&["inspect", "--tls-verify=false", &source])?;
        assert!(inspected.contains(&digest), "{digest} is not in {inspected}");
        digests.push(digest);
    }
    assert_eq!(digests[0], digests[1]);
    Ok(())
}

#[test]
fn an_image_runs_under_runc() -> Result<()> {
    if !require(image::JUDGES) || !require(&["runc"]) {
        return Ok(());
    }
    let fixture = Fixture::new(Registry::ours, SMALL)?;
    let reference = fixture.registry.reference("app:latest");
    fixture.build(&["--destination", &reference])?;
    let ran = Image::pull(&reference)?.run()?.success()?;
    assert_eq!(ran.stdout, "contents\ncontents\n");
    Ok(())
}

#[test]
fn an_archive_and_a_layout_hold_what_the_registry_holds() -> Result<()> {
    if !require(image::JUDGES) {
        return Ok(());
    }
    let fixture = Fixture::new(Registry::ours, SMALL)?;
    let reference = fixture.registry.reference("app:latest");
    let (archive, layout, file) = (fixture.path("app.tar"), fixture.path("layout"), fixture.path("digest"));
    let built = fixture.build(&[
        "--destination",
        &reference,
        "--tar-path",
        &archive.to_string_lossy(),
        "--oci-layout-path",
        &layout.to_string_lossy(),
        "--digest-file",
        &file.to_string_lossy(),
    ])?;
    let digest = program::digest(&built)?;
    assert_eq!(fs::read_to_string(file)?.trim_end(), digest);

    let pushed = Image::pull(&reference)?;
    let sources = [format!("docker-archive:{}", archive.display()), format!("oci:{}", layout.display())];
    for source in sources {
        let read = Image::fetch(&source)?;
        assert_eq!(read.config, pushed.config, "{source}");
        assert_eq!(read.tree()?, pushed.tree()?, "{source}");
    }
    let index = fs::read_to_string(layout.join("index.json"))?;
    assert!(index.contains(&digest), "{digest} is not in {index}");
    Ok(())
}

/// In either format what is written is alike but for the names of types; blobs of a base in the other format
/// are not written anew, and Docker's fields stay.
#[test]
fn media_types_are_those_of_the_format() -> Result<()> {
    if !require(&["skopeo"]) {
        return Ok(());
    }
    let dockerfile =
        "FROM BASE\nCOPY file.txt /\nSHELL [\"/bin/sh\", \"-e\"]\nHEALTHCHECK CMD x\nONBUILD LABEL a=b\n";
    let fixture = Fixture::new(Registry::ours, dockerfile)?;
    let mut base = fixture.base.clone();
    let docker = [
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.docker.container.image.v1+json",
        "application/vnd.docker.image.rootfs.diff.tar.gzip",
    ];
    let oci = [
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.oci.image.config.v1+json",
        "application/vnd.oci.image.layer.v1.tar+gzip",
    ];
    for (format, [manifest_type, config_type, layer_type]) in [("docker", docker), ("oci", oci)] {
        // The image in Docker's format is the base of the one in OCI's.
        fs::write(fixture.path("context/Dockerfile"), dockerfile.replace("BASE", &base))?;
        let reference = fixture.registry.reference(&format!("{format}:1"));
        let (layout, archive) = (fixture.path(format), fixture.path(&format!("{format}.tar")));
        let metadata = fixture.path("metadata.json");
        let built = fixture.build(&[
            "--destination",
            &reference,
            "--image-format",
            format,
            "--oci-layout-path",
            &layout.to_string_lossy(),
            "--tar-path",
            &archive.to_string_lossy(),
            "--metadata-file",
            &metadata.to_string_lossy(),
        ])?;
        let digest = program::digest(&built)?;
        // Without its tag: skopeo looks for tags among OCI's own types alone.
        let sources = [format!("docker://{reference}"), format!("oci:{}", layout.display())];
        for source in &sources {
            let inspect = ["inspect", "--tls-verify=false", "--raw", source];
            let manifest: serde_json::Value = serde_json::from_str(&image::skopeo(&inspect)?)?;
            assert_eq!(manifest["mediaType"], manifest_type, "{source}");
            assert_eq!(manifest["config"]["mediaType"], config_type, "{source}");
            for layer in manifest["layers"].as_array().into_iter().flatten() {
                assert_eq!(layer["mediaType"], layer_type, "{source}");
            }
        }
        let archive = format!("docker-archive:{}", archive.display());
        for source in sources.iter().chain([&archive]) {
            let inspect = ["inspect", "--tls-verify=false", "--config", "--raw", source];
            let config: serde_json::Value = serde_json::from_str(&image::skopeo(&inspect)?)?;
            assert_eq!(config["config"]["Healthcheck"]["Test"][0], "CMD-SHELL", "{source}");
            assert_eq!(config["config"]["Shell"][1], "-e", "{source}");
            assert_eq!(config["config"]["OnBuild"][0], "LABEL a=b", "{source}");
        }
        let metadata: serde_json::Value = serde_json::from_str(&fs::read_to_string(metadata)?)?;
        assert_eq!(metadata["containerimage.digest"], digest.as_str());
        assert_eq!(metadata["containerimage.descriptor"]["mediaType"], manifest_type);
        assert_eq!(metadata["image.name"], reference.as_str());
        base = reference;
    }
    let below = fixture.registry.manifest("docker", "1")?;
    let above = fixture.registry.manifest("oci", "1")?;
    for (position, layer) in below["layers"].as_array().into_iter().flatten().enumerate() {
        assert_eq!(above["layers"][position]["digest"], layer["digest"], "the blobs are the same");
    }
    Ok(())
}

#[test]
fn several_destinations_get_one_image() -> Result<()> {
    let fixture = Fixture::new(Registry::ours, SMALL)?;
    let other = Registry::ours(&fixture.bako)?;
    let names =
        [fixture.registry.reference("a:1"), fixture.registry.reference("b/c:2"), other.reference("d:3")];
    let arguments: Vec<&str> = names.iter().flat_map(|name| ["--destination", name.as_str()]).collect();
    let digest = program::digest(&fixture.build(&arguments)?)?;
    assert_eq!(fixture.registry.digest("a", "1")?, digest);
    assert_eq!(fixture.registry.digest("b/c", "2")?, digest);
    assert_eq!(other.digest("d", "3")?, digest);
    Ok(())
}

#[test]
fn without_a_push_nothing_is_stored() -> Result<()> {
    let fixture = Fixture::new(Registry::ours, SMALL)?;
    let reference = fixture.registry.reference("app:latest");
    let pushed = fixture.build(&["--no-push", "--destination", &reference])?;
    assert!(!fixture.registry.has_tag("app", "latest")?);
    let again = fixture.build(&["--destination", &reference])?;
    assert_eq!(pushed.stdout, again.stdout, "with and without a push it is the same image");
    Ok(())
}

#[test]
fn the_digest_is_alone_on_standard_output() -> Result<()> {
    let fixture = Fixture::new(Registry::ours, "FROM BASE\nRUN echo to-stdout; echo to-stderr >&2\n")?;
    for format in ["text", "color", "json"] {
        let built = fixture.build(&["--no-push", "--log-format", format, "--verbosity", "debug"])?;
        program::digest(&built)?;
        for said in ["to-stdout", "to-stderr"] {
            assert!(built.stderr.contains(said), "{format}: {said} is not in {}", built.stderr);
        }
        if format == "json" {
            for line in built.stderr.lines() {
                serde_json::from_str::<serde_json::Value>(line)?;
            }
        }
    }
    Ok(())
}

#[test]
fn an_image_of_a_registry_is_a_source_of_copy() -> Result<()> {
    if !require(image::JUDGES) {
        return Ok(());
    }
    let fixture =
        Fixture::new(Registry::ours, "FROM scratch\nCOPY --from=BASE /etc/passwd /bin/sh /from/\n")?;
    fixture.registry.put_index("busybox", "index", "latest")?;
    let index = fixture.registry.reference("busybox:index");
    let digest = fixture.registry.digest("busybox", "latest")?;
    let pinned = format!("{}@{digest}", fixture.registry.reference("busybox"));
    for source in [&fixture.base, &index, &pinned] {
        let text = format!("FROM scratch\nCOPY --from={source} /etc/passwd /bin/sh /from/\n");
        fs::write(fixture.path("context/Dockerfile"), text)?;
        let reference = fixture.registry.reference("app:latest");
        fixture.build(&["--destination", &reference])?;
        let tree = Image::pull(&reference)?.tree()?;
        let names: Vec<&str> = tree.keys().map(String::as_str).collect();
        assert_eq!(names, ["/", "/from", "/from/passwd", "/from/sh"], "{source}");
        // A source that is a link is followed: this is busybox itself.
        assert!(tree["/from/sh"].starts_with("file 0755 0:0 "), "{}", tree["/from/sh"]);
    }
    Ok(())
}

/// SOURCE_DATE_EPOCH caps times, and leaves earlier ones alone.
#[test]
fn times_are_capped() -> Result<()> {
    if !require(image::JUDGES) {
        return Ok(());
    }
    let fixture =
        Fixture::new(Registry::ours, "FROM BASE\nCOPY new old /\nRUN echo x > /made && touch -d @5 /past\n")?;
    let context = fixture.path("context");
    for (name, seconds) in [("new", 1_800_000_000), ("old", 1_500_000_000)] {
        let file = fs::File::create(context.join(name))?;
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))?;
    }
    let reference = fixture.registry.reference("app:latest");
    fixture.build(&["--destination", &reference])?;
    let image = Image::pull(&reference)?;
    let root = image.bundle()?.join("rootfs");
    let time = |name: &str| fs::symlink_metadata(root.join(name)).map(|metadata| metadata.mtime());
    let times = (time("new")?, time("old")?, time("made")?, time("past")?);
    assert_eq!(times, (1_700_000_000, 1_500_000_000, 1_700_000_000, 5));
    Ok(())
}

/// The second build of a changed source knows the base's index: it asks for none of the base's blobs.
#[test]
fn a_copy_on_a_known_base_downloads_nothing_of_it() -> Result<()> {
    if !require(&["docker-registry"]) {
        return Ok(());
    }
    let fixture = Fixture::new(|_| Registry::debian(), "FROM BASE\nCOPY file.txt /\n")?;
    let cache = fixture.path("cache");
    let cache = cache.to_string_lossy();
    let reference = fixture.registry.reference("app:latest");
    let first = fixture.build(&["--destination", &reference, "--cache-dir", &cache])?;
    fs::write(fixture.path("context/file.txt"), "other contents\n")?;
    let before = fixture.registry.log()?.len();
    let second = fixture.build(&["--destination", &reference, "--cache-dir", &cache])?;
    assert_ne!(first.stdout, second.stdout);

    let base = fixture.registry.manifest("busybox", "latest")?;
    let log = fixture.registry.log()?;
    for layer in base["layers"].as_array().into_iter().flatten() {
        let request = format!("GET /v2/busybox/blobs/{}", layer["digest"].as_str().unwrap_or_default());
        assert!(!log[before..].contains(&request), "{request}");
    }
    Ok(())
}

#[test]
fn what_is_pushed_can_be_built_upon() -> Result<()> {
    if !require(image::JUDGES) {
        return Ok(());
    }
    let fixture = Fixture::new(Registry::ours, SMALL)?;
    let one = fixture.registry.reference("one:latest");
    fixture.build(&["--destination", &one])?;
    let text = format!("FROM {one}\nRUN rm /file.txt && echo three >> /twice.txt\n");
    fs::write(fixture.path("context/Dockerfile"), text)?;
    let two = fixture.registry.reference("two:latest");
    fixture.build(&["--destination", &two])?;
    let changes = tree::changes(&Image::pull(&one)?.tree()?, &Image::pull(&two)?.tree()?);
    assert_eq!(changes, ["- /file.txt", "/twice.txt file 0644 0:0 24 \"contents\\ncontents\\nthree\\n\""]);
    Ok(())
}

/// The program needs nothing around it: it is linked statically.
#[test]
fn the_program_is_static() -> Result<()> {
    let program = Bako::built()?.program;
    let header = output(Command::new("readelf").arg("-lW").arg(&program));
    if let Ok(header) = header {
        assert!(!header.contains("INTERP"), "{} asks for a dynamic linker", program.display());
    }
    // In an empty root there is neither a linker nor a library to find.
    if !e2e::host::is_root() {
        e2e::skip("needs root for an empty root folder");
        return Ok(());
    }
    let root = tempfile::tempdir()?;
    fs::copy(&program, root.path().join("bako"))?;
    output(Command::new("chroot").arg(root.path()).arg(Path::new("/bako")).arg("--version"))?;
    Ok(())
}

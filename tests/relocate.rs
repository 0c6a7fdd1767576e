//! Pinned images brought elsewhere, by `relocate` and by way of a file with `package` and `unpackage`, under our name and
//! kbld's, between bako's registry and Debian's; and sources that other programs build.
#![forbid(unsafe_code)]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use e2e::process::{Finished, finish, output};
use e2e::{Bako, Registry, bases, require};
use serde_json::Value;
use tempfile::TempDir;

struct Fixture {
    bako: Bako,
    kbld: Bako,
    registry: Registry,
    folder: TempDir,
}

impl Fixture {
    fn new() -> Result<Self> {
        let bako = Bako::built()?;
        let registry = Registry::ours(&bako)?;
        let folder = tempfile::tempdir()?;
        let program = folder.path().join("kbld");
        symlink(&bako.program, &program)?;
        Ok(Self { kbld: Bako { program }, bako, registry, folder })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn kbld(&self, arguments: &[&str]) -> Result<Finished> {
        finish(self.kbld.command().current_dir(self.folder.path()).args(arguments))
    }

    /// An index of two platforms and an image; the layers of all three are one and the same.
    fn stock(&self) -> Result<(String, String)> {
        let context = self.path("context");
        fs::create_dir(&context)?;
        fs::write(
            context.join("Dockerfile"),
            "FROM scratch\nARG TARGETARCH\nCOPY f /\nLABEL for=$TARGETARCH\n",
        )?;
        fs::write(context.join("f"), "x".repeat(10_000))?;
        let mut pinned = Vec::new();
        for (name, platforms) in [("team/several", "linux/amd64,linux/arm64"), ("team/one", "linux/s390x")] {
            let reference = self.registry.reference(name);
            let mut build = self.bako.build(&context);
            build.args(["--destination", &format!("{reference}:1"), "--platform", platforms, "--work-dir"]);
            finish(build.arg(self.folder.path()).env("SOURCE_DATE_EPOCH", "1700000000"))?.success()?;
            pinned.push(format!("{reference}@{}", self.registry.digest(name, "1")?));
        }
        let one = pinned.pop().context("two images")?;
        Ok((pinned.pop().context("two images")?, one))
    }
}

/// Both documents and what an override means.
fn manifests(several: &str, one: &str) -> String {
    format!(
        "# kept\nkind: Pod\nspec: {{image: {several}}}\n---\nkind: Pod\nspec: {{image: {one}}} # this too\n---\napiVersion: kbld.k14s.io/v1alpha1\nkind: Config\noverrides:\n- {{image: app, newImage: {several}, preresolved: true}}\n"
    )
}

#[test]
fn a_bundle_carries_everything() -> Result<()> {
    if !require(&["docker-registry", "skopeo"]) {
        return Ok(());
    }
    let fixture = Fixture::new()?;
    let (several, one) = fixture.stock()?;
    fs::write(fixture.path("in.yml"), manifests(&several, &one))?;
    let packed = fixture.kbld(&["package", "-f", "in.yml", "-o", "a.tar"])?.success()?;
    for line in [
        "Warning: Command \"package\" is deprecated, please use 'imgpkg push', learn more in https://carvel.dev/imgpkg/docs/latest/commands/#push\n",
        "package | exporting 2 images...\n",
        &format!("package | will export {several}\n"),
        "package | exported 2 images\npackage | writing layers...\npackage | done: file 'sha256-",
    ] {
        assert!(packed.stderr.contains(line), "{line:?} is missing in\n{}", packed.stderr);
    }
    assert_eq!(packed.stdout, "");
    // The same bytes, under our name too, and whatever is on its way first.
    let mut ours = fixture.bako.command();
    ours.current_dir(fixture.folder.path());
    finish(ours.args(["resolve", "package", "-f", "in.yml", "-o", "b.tar", "--concurrency", "1"]))?
        .success()?;
    assert_eq!(fs::read(fixture.path("a.tar"))?, fs::read(fixture.path("b.tar"))?);

    // What a reader of the form expects.
    let listed = output(Command::new("tar").arg("-tvf").arg(fixture.path("a.tar")))?;
    let names: Vec<&str> = listed.lines().filter_map(|line| line.split_whitespace().last()).collect();
    assert_eq!(names.len(), 2, "the layer is there once\n{listed}");
    assert_eq!(names[0], "manifest.json");
    assert!(
        listed.lines().all(|line| line.starts_with("-rw-r--r-- 0/0") && line.contains("1970-01-01")),
        "{listed}"
    );
    let list = output(Command::new("tar").arg("-xOf").arg(fixture.path("a.tar")).arg("manifest.json"))?;
    let list: Value = serde_json::from_str(&list)?;
    let digests: Vec<&str> = list
        .as_array()
        .context("a list")?
        .iter()
        .filter_map(|entry| {
            entry["ImageIndex"]["Digest"].as_str().or(entry["Image"]["Manifest"]["Digest"].as_str())
        })
        .collect();
    let mut expected = [&several, &one].map(|text| text.split('@').next_back().unwrap_or_default());
    expected.sort_unstable();
    assert_eq!(digests, expected);
    let index = list
        .as_array()
        .and_then(|list| list.iter().find(|entry| entry["Image"].is_null()))
        .context("an index")?;
    assert_eq!(index["ImageIndex"]["Refs"][0], several.as_str());
    assert_eq!(index["ImageIndex"]["Images"].as_array().map(Vec::len), Some(2));
    assert!(index["ImageIndex"]["Indexes"].is_null());
    let image = &index["ImageIndex"]["Images"][0];
    assert_eq!(
        names[1],
        format!("{}.tar.gz", image["Layers"][0]["Digest"].as_str().context("a digest")?.replace(':', "-"))
    );
    assert!(
        image["Config"]["Raw"]
            .as_str()
            .is_some_and(|raw| raw.contains(image["Layers"][0]["DiffID"].as_str().unwrap_or("?")))
    );

    // Into the reference registry, which checks what is there.
    let other = Registry::debian()?;
    let repository = other.reference("moved/here");
    let unpackage = [
        "unpackage",
        "-f",
        "in.yml",
        "-i",
        "a.tar",
        "-r",
        &repository,
        "--lock-output",
        "lock.yml",
        "--work-dir",
        ".",
    ];
    let moved = fixture.kbld(&unpackage)?.success()?;
    let digest_of = |text: &str| text.split('@').next_back().unwrap_or_default().to_owned();
    let new = |old: &str| format!("{repository}@{}", digest_of(old));
    assert_eq!(
        moved.stdout,
        format!(
            "---\nkind: Pod\nspec:\n  image: {}\n---\nkind: Pod\nspec:\n  image: {}\n",
            new(&several),
            new(&one)
        )
    );
    assert!(
        moved.stderr.contains(&format!("unpackage | importing {several} -> {repository}...\n")),
        "{}",
        moved.stderr
    );
    assert!(moved.stderr.contains("unpackage | imported 2 images\n"), "{}", moved.stderr);
    for old in [&several, &one] {
        let tag = format!("kbld-{}", digest_of(old).replace(':', "-"));
        assert_eq!(other.digest("moved/here", &tag)?, digest_of(old));
    }
    let mut copy = Command::new("skopeo");
    copy.args(["copy", "--all", "--src-tls-verify=false", &format!("docker://{}", new(&several))]);
    output(copy.arg(format!("oci:{}:x", fixture.path("theirs").display())))?;
    // The lock leads there, by way of the override too.
    fs::write(fixture.path("app.yml"), format!("kind: A\nimage: app\n---\nkind: B\nimage: {one}\n"))?;
    let locked =
        fixture.kbld(&["-f", "app.yml", "-f", "lock.yml", "--images-annotation=false"])?.success()?;
    assert_eq!(
        locked.stdout,
        format!("---\nimage: {}\nkind: A\n---\nimage: {}\nkind: B\n", new(&several), new(&one))
    );

    // Again is no work, and nothing is left.
    let before = other.log()?.matches("PUT").count();
    fixture.kbld(&unpackage)?.success()?;
    let uploads = other.log()?.matches("/blobs/uploads/").count();
    fixture.kbld(&unpackage)?.success()?;
    assert_eq!(other.log()?.matches("/blobs/uploads/").count(), uploads, "blobs are there already");
    ensure!(before <= other.log()?.matches("PUT").count());
    let left: Vec<_> = fs::read_dir(fixture.folder.path())?
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .filter(|name| name.starts_with("bako") || name.starts_with(".tmp"))
        .collect();
    assert_eq!(left, Vec::<String>::new());
    Ok(())
}

#[test]
fn relocated_images_keep_their_digests_and_the_text_its_form() -> Result<()> {
    let fixture = Fixture::new()?;
    let (several, one) = fixture.stock()?;
    fs::write(fixture.path("in.yml"), manifests(&several, &one))?;
    let other = Registry::ours(&fixture.bako)?;
    let repository = other.reference("moved");
    let mut command = fixture.bako.command();
    command.current_dir(fixture.folder.path()).args([
        "resolve",
        "relocate",
        "-f",
        "in.yml",
        "-r",
        &repository,
    ]);
    let moved = finish(&mut command)?.success()?;
    let new = |old: &str| format!("{repository}@{}", old.split('@').next_back().unwrap_or_default());
    assert_eq!(
        moved.stdout,
        format!(
            "# kept\nkind: Pod\nspec: {{image: '{}'}}\n---\nkind: Pod\nspec: {{image: '{}'}} # this too\n",
            new(&several),
            new(&one)
        )
        .replace('\'', "")
    );
    assert!(!moved.stderr.contains("deprecated"), "{}", moved.stderr);
    for (name, old) in [("team/several", &several), ("team/one", &one)] {
        let digest = old.split('@').next_back().context("a digest")?;
        assert_eq!(other.manifest("moved", digest)?, fixture.registry.manifest(name, digest)?);
    }
    Ok(())
}

#[test]
fn what_is_refused() -> Result<()> {
    let fixture = Fixture::new()?;
    let digest = format!("sha256:{}", "0".repeat(64));
    fs::write(fixture.path("tag.yml"), "kind: A\nimage: r.example/a:1\n")?;
    fs::write(
        fixture.path("digest.yml"),
        format!("kind: A\nimage: {}@{digest}\n", fixture.registry.reference("absent")),
    )?;
    fs::write(fixture.path("empty.tar"), [0; 1024])?;
    fs::write(fixture.path("none.yml"), "kind: A\n")?;
    fs::create_dir(fixture.path("t"))?;
    fs::write(fixture.path("t/manifest.json"), "[]")?;
    output(
        Command::new("tar")
            .arg("-cf")
            .arg(fixture.path("other.tar"))
            .arg("-C")
            .arg(fixture.path("t"))
            .arg("manifest.json"),
    )?;
    let to = fixture.registry.reference("to");
    for (arguments, message) in [
        (vec!["relocate", "-f", "tag.yml"], "Expected repository flag to be non-empty"),
        (vec!["relocate", "-r", &to], "Expected at least one input file"),
        (
            vec!["package", "-f", "tag.yml"],
            "Expected image 'r.example/a:1' to be in digest form (i.e. image@digest)",
        ),
        (vec!["package", "-f", "none.yml"], "Expected 'output' flag to be non-empty"),
        (vec!["unpackage", "-f", "digest.yml", "-r", &to], "Expected 'input' flag to be non-empty"),
        (
            vec!["relocate", "-f", "digest.yml", "-r", &format!("{to}:1")],
            "to have neither a tag nor a digest",
        ),
        (vec!["relocate", "-f", "digest.yml", "-r", &to], "not found"),
        (vec!["package", "-f", "digest.yml", "-o", "x.tar"], "not found"),
        (vec!["package", "-f", "none.yml", "-o", "nowhere/x.tar"], "write nowhere/x.tar"),
        (
            vec!["unpackage", "-f", "digest.yml", "-r", &to, "-i", "empty.tar"],
            "empty.tar has no manifest.json",
        ),
        (
            vec!["unpackage", "-f", "digest.yml", "-r", &to, "-i", "other.tar"],
            "\n- Expected to find image for '",
        ),
    ] {
        let ran = fixture.kbld(&arguments)?;
        assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{arguments:?}");
        assert!(ran.stderr.contains(message), "{arguments:?}: {}", ran.stderr);
    }
    ensure!(!fixture.path("x.tar").exists(), "what failed has left a file");
    Ok(())
}

/// Programs in the folder `bin` that stand in for pack, ko and bazel: the real ones, which fetch builders and toolchains
/// from the network, cannot be had here. Their command lines and what they print are as documented by each.
fn stand_ins(fixture: &Fixture, base: &str, digest: &str) -> Result<PathBuf> {
    let bin = fixture.path("bin");
    fs::create_dir_all(&bin)?;
    let bako = fixture.bako.program.display();
    let to = fixture.registry.reference("built");
    // pack pushes under the name that is its argument, and names no digest that is easily read.
    let pack = format!(
        "{{ pwd; printf '%s\\n' \"$@\"; }} > \"$RECORD\"\necho '*** Images (0123456789ab):'\n'{bako}' copy {base} \"$3\" >&2\n"
    );
    // ko prints the whole reference on standard output.
    let ko = format!(
        "{{ pwd; echo \"$KO_DOCKER_REPO\"; printf '%s\\n' \"$@\"; }} > \"$RECORD\"\necho building >&2\necho \"$KO_DOCKER_REPO@{digest}\"\n"
    );
    let bazel = format!(
        "{{ pwd; printf '%s\\n' \"$@\"; }} > \"$RECORD\"\necho 'INFO: Running command line' >&2\necho '{to}@{digest}' >&2\n[ \"$2\" != :broken ]\n"
    );
    for (name, text) in [("pack", pack), ("ko", ko), ("bazel", bazel)] {
        fs::write(bin.join(name), format!("#!/bin/sh\nset -e\n{text}"))?;
        fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755))?;
    }
    Ok(bin)
}

#[test]
fn other_programs_build_what_is_theirs() -> Result<()> {
    let fixture = Fixture::new()?;
    let base = bases::busybox(&fixture.bako, &fixture.registry)?;
    let (name, tag) = base.split_once('/').and_then(|(_, name)| name.rsplit_once(':')).context("a tag")?;
    let digest = fixture.registry.digest(name, tag)?;
    let bin = stand_ins(&fixture, &base, &digest)?;
    fs::create_dir(fixture.path("src"))?;
    let source = fs::canonicalize(fixture.path("src"))?.display().to_string();
    let to = fixture.registry.reference("built");
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
    let run = |builder: &str, path: &str, tags: &str| -> Result<Finished> {
        fs::write(
            fixture.path("in.yml"),
            format!(
                "apiVersion: kbld.k14s.io/v1alpha1\nkind: Config\nsources: [{{image: app, path: src, {builder}}}]\ndestinations: [{{image: app, newImage: {to}, tags: {tags}}}]\n---\nkind: A\nimage: app\n"
            ),
        )?;
        let mut command = fixture.kbld.command();
        command.current_dir(fixture.folder.path()).args([
            "-f",
            "in.yml",
            "--images-annotation=false",
            "--work-dir",
            ".",
        ]);
        finish(command.env("PATH", path).env("RECORD", fixture.path("record")))
    };
    for (builder, tags, arguments) in [
        (
            "pack: {build: {builder: b, buildpacks: [p], clearCache: true, rawOptions: [--env, A=b]}}",
            "[v1, v2]",
            format!(
                "build --verbose {to}:v1 --path . --builder b --publish --tag {to}:v2 --buildpack p --clear-cache --env A=b"
            ),
        ),
        (
            "ko: {build: {rawOptions: [--sbom=none]}}",
            "[v3]",
            format!("{to} build . --bare --tags v3 --sbom=none"),
        ),
        ("bazel: {run: {target: ':push'}}", "[]", format!("run :push -- --repository {to}")),
    ] {
        let ran = run(builder, &path, tags)?.success()?;
        assert_eq!(ran.stdout, format!("---\nimage: {to}@{digest}\nkind: A\n"), "{builder}");
        let record = fs::read_to_string(fixture.path("record"))?;
        let mut lines = record.lines();
        assert_eq!(lines.next(), Some(source.as_str()), "{builder}");
        assert_eq!(lines.collect::<Vec<_>>().join(" "), arguments, "{builder}");
        let program = builder.split(':').next().context("a name")?;
        assert!(
            ran.stderr.contains(&format!("app | starting build (using {program}): src -> {to}\n")),
            "{}",
            ran.stderr
        );
        assert!(ran.stderr.contains(&format!("app | finished build (using {program})\n")), "{}", ran.stderr);
    }
    let failed = run("bazel: {run: {target: ':broken'}}", &path, "[]")?;
    assert_eq!(failed.code, 1);
    assert!(failed.stderr.contains("bazel: exit status: 1"), "{}", failed.stderr);
    // What is not there is said, with what to do.
    for (builder, message) in [
        ("pack: {build: {builder: b}}", "pack is not installed: install pack (https://buildpacks.io)"),
        ("ko: {build: {}}", "ko is not installed: install ko (https://ko.build)"),
        ("bazel: {run: {target: t}}", "bazel is not installed: install bazel (https://bazel.build)"),
    ] {
        let nowhere = Path::new("/nowhere").display().to_string();
        let failed = run(builder, &nowhere, "[]")?;
        assert_eq!(failed.code, 1, "{builder}");
        assert!(failed.stderr.contains(message), "{builder}: {}", failed.stderr);
        assert!(failed.stderr.contains("name it by an override"), "{builder}: {}", failed.stderr);
    }
    Ok(())
}

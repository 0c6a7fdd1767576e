//! `bako resolve` and `kbld` from outside: the example, the words and codes of kbld, and large input.
#![forbid(unsafe_code)]

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use e2e::process::{Finished, finish};
use e2e::{Bako, Image, Registry, bases, host, image, require};
use tempfile::TempDir;

/// The program under the name of kbld, and a registry with one image.
struct Fixture {
    kbld: Bako,
    bako: Bako,
    registry: Registry,
    base: String,
    folder: TempDir,
}

impl Fixture {
    fn new() -> Result<Self> {
        let bako = Bako::built()?;
        let registry = Registry::ours(&bako)?;
        let base = bases::busybox(&bako, &registry)?;
        let folder = tempfile::tempdir()?;
        let program = folder.path().join("kbld");
        symlink(&bako.program, &program)?;
        Ok(Self { kbld: Bako { program }, bako, registry, base, folder })
    }

    fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().context("a file is in a folder")?)?;
        fs::write(&path, text.replace("BASE", &self.base))?;
        Ok(path)
    }

    /// Runs kbld in the folder of the fixture.
    fn kbld(&self, arguments: &[&str]) -> Result<Finished> {
        finish(self.kbld.command().current_dir(self.folder.path()).args(arguments))
    }

    /// The digest of the base, by its full name.
    fn pinned(&self) -> Result<String> {
        let (name, tag) = self.base.rsplit_once(':').context("the base has a tag")?;
        let repository = name.split_once('/').context("the base has a registry")?.1;
        Ok(format!("{name}@{}", self.registry.digest(repository, tag)?))
    }
}

#[test]
fn the_example_is_built_pushed_pinned_and_applied() -> Result<()> {
    if !require(image::JUDGES) || !require(&["runc"]) {
        return Ok(());
    }
    let fixture = Fixture::new()?;
    let folder = fixture.folder.path().join("example");
    copy(&host::repository().join("examples/kbld"), &folder, |text| {
        text.replace("docker.io/library/busybox:1", &fixture.base)
            .replace("registry.example", &fixture.registry.address)
    })?;
    // What is applied is written down in place of a cluster.
    let kubectl =
        fixture.write("kubectl", "#!/bin/sh\n[ \"$*\" = \"apply -f -\" ] && cat > \"$APPLIED\"\n")?;
    fs::set_permissions(&kubectl, fs::Permissions::from_mode(0o755))?;
    let applied = fixture.folder.path().join("applied.yml");
    let line =
        format!("'{}' resolve -f . | '{}' apply -f -", fixture.bako.program.display(), kubectl.display());
    let mut shell = Command::new("sh");
    shell.args(["-e", "-c", &line]).current_dir(&folder).env("APPLIED", &applied);
    shell.env("TMPDIR", fixture.folder.path()).env_remove("DOCKER_CONFIG");
    let ran = finish(&mut shell)?.success()?;
    let digest = fixture.registry.digest("team/app1", "v1")?;
    let pinned = format!("{}/team/app1@{digest}", fixture.registry.address);
    assert!(ran.stderr.contains(&format!("resolve | final: app1 -> {pinned}\n")), "{}", ran.stderr);
    assert!(ran.stderr.contains("app1 | starting build (using bako): app1 -> "), "{}", ran.stderr);

    let applied = fs::read_to_string(applied)?;
    let expected = fs::read_to_string(folder.join("deployment.yml"))?;
    for line in expected.lines() {
        let line = line.replace("image: app1 ", &format!("image: {pinned} "));
        let line =
            line.replace(&format!("image: {}", fixture.base), &format!("image: {}", fixture.pinned()?));
        assert!(applied.lines().any(|other| other == line), "{line:?} is missing in\n{applied}");
    }
    assert!(!applied.contains("kind: Config"), "{applied}");
    assert!(applied.contains("tagged:\n            tags:\n            - v1\n"), "{applied}");

    let ran = Image::pull(&pinned)?.run()?.success()?;
    assert_eq!(ran.stdout, "hello everybody\n");
    // If there is a kubectl, it understands what would be applied.
    if host::find("kubectl").is_some() {
        let file = fixture.folder.path().join("applied.yml");
        let mut command = Command::new("kubectl");
        command.args(["label", "--local", "-o", "name", "a=b", "-f"]).arg(&file);
        assert_eq!(finish(&mut command)?.success()?.stdout, "deployment.apps/app1\n");
    }
    Ok(())
}

#[test]
fn several_are_built_side_by_side() -> Result<()> {
    let fixture = Fixture::new()?;
    let mut config = "apiVersion: kbld.k14s.io/v1alpha1\nkind: Config\nsources:\n".to_owned();
    let (mut destinations, mut resources) = ("destinations:\n".to_owned(), String::new());
    for number in 0..4 {
        fixture.write(&format!("src{number}/Dockerfile"), &format!("FROM BASE\nCOPY f /f{number}\n"))?;
        fixture.write(&format!("src{number}/f"), "x")?;
        writeln!(config, "- {{image: app{number}, path: src{number}}}")?;
        writeln!(
            destinations,
            "- {{image: app{number}, newImage: {}}}",
            fixture.registry.reference("built")
        )?;
        writeln!(resources, "---\nkind: A\nimage: app{number}\nagain: {{image: app{number}}}")?;
    }
    fixture.write("in.yml", &format!("{config}{destinations}{resources}"))?;
    let ran = fixture.kbld(&["-f", "in.yml"])?.success()?;
    assert_eq!(ran.stdout.matches("image: ").count(), 8);
    for number in 0..4 {
        assert_eq!(ran.stderr.matches(&format!("app{number} | finished build")).count(), 1, "{}", ran.stderr);
    }
    // Pushed by digest: no tag that nobody asked for.
    let tags = finish(fixture.bako.command().args(["ls", &fixture.registry.reference("built")]))?;
    assert_eq!(tags.stdout, "");
    Ok(())
}

#[test]
fn the_words_and_codes_of_kbld() -> Result<()> {
    let fixture = Fixture::new()?;
    let pinned = fixture.pinned()?;
    fixture.write("a.yml", "# c\nkind: Pod\nspec: {image: BASE}\n")?;
    fixture.write("bad.yml", "overrides: [{image: a}]\nkind: Config\napiVersion: kbld.k14s.io/v1alpha1\n")?;
    fixture.write("src.yml", "apiVersion: kbld.k14s.io/v1alpha1\nkind: Config\nsources:\n- {image: app1, path: nowhere}\ndestinations:\n- {image: app1, newImage: r.example/app1}\n---\nkind: A\nimage: app1\n")?;
    fixture.write("none.yml", "apiVersion: kbld.k14s.io/v1alpha1\nkind: Config\nsources:\n- {image: app1, path: .}\n---\nkind: A\nimage: app1\n")?;
    fixture.write("m/sub/c.json", "{\"kind\":\"C\"}")?;
    fixture.write("m/a-b/d.yaml", "kind: D\n")?;
    fixture.write("m/a.yml", "kind: A\n")?;
    fixture.write("m/no.txt", "kind: Other\n")?;
    fixture.write("map.json", "{\"app9\": \"r.example/app9:x\"}")?;
    fixture.write("mapped.yml", "kind: A\nimage: app9\n")?;
    let annotation = format!(
        "  annotations:\n    kbld.k14s.io/images: |\n      - origins:\n        - resolved:\n            tag: {}\n            url: {}\n        url: {pinned}\n",
        fixture.base.rsplit(':').next().unwrap_or_default(),
        fixture.base
    );
    let document = format!("---\nkind: Pod\nmetadata:\n{annotation}spec:\n  image: {pinned}\n");
    let last = format!("resolve | final: {} -> {pinned}\n", fixture.base);
    for (arguments, code, stdout, stderr) in [
        (&["-f", "a.yml"][..], 0, document.as_str(), last.as_str()),
        (&["-f", "a.yml", "--tty"], 0, &format!("{document}\nSucceeded\n"), &last),
        (&["-f", "m"], 0, "---\nkind: D\n---\nkind: A\n---\nkind: C\n", ""),
        (&["-f", "m/a.yml,m/no.txt"], 0, "---\nkind: A\n---\nkind: Other\n", ""),
        (&[], 0, "", ""),
        (&["version"], 0, "kbld version 0.42.0\n\nSucceeded\n", ""),
        (&["-v"], 0, "kbld version 0.42.0\n\nSucceeded\n", ""),
        (&["-f", "a.yml", "--unresolved-inspect"], 0, &format!("- image: {}\n", fixture.base), ""),
        (
            &["-f", "m/a.yml", "--json"],
            0,
            "{\n    \"Tables\": null,\n    \"Blocks\": [\n        \"---\\nkind: A\\n\"\n    ],\n    \"Lines\": [\n        \"Succeeded\"\n    ]\n}",
            "",
        ),
        (
            &["-f", "mapped.yml", "--image-map-file", "map.json", "--images-annotation=false"],
            0,
            "---\nimage: r.example/app9:x\nkind: A\n",
            "resolve | final: app9 -> r.example/app9:x\n",
        ),
        (&["inspect", "-f", "mapped.yml"], 0, "app9\t\n-\t\na/ () cluster\t\n", ""),
        (&["--nope"], 1, "", "kbld: Error: unknown flag: --nope\n"),
        (&["surplus"], 1, "", "kbld: Error: command 'kbld' does not accept extra arguments 'surplus'\n"),
        (
            &["-f", "absent.yaml"],
            1,
            "",
            "kbld: Error: Unable to stat file: stat absent.yaml: no such file or directory\n",
        ),
        (
            &["-f", "bad.yml"],
            1,
            "",
            "kbld: Error: Validating config/ (kbld.k14s.io/v1alpha1) cluster:\n  Validating Overrides[0]:\n    Expected NewImage to be non-empty\n",
        ),
        (
            &["-f", "src.yml"],
            1,
            "",
            "kbld: Error: \n- Resolving image 'app1': Checking if path 'nowhere' is a directory: stat nowhere: no such file or directory\n",
        ),
        (
            &["-f", "a.yml", "--lock-output", "x", "--imgpkg-lock-output", "y"],
            1,
            "",
            "kbld: Error: Can only output one lockfile type, please provide only one of '--lock-output' or '--imgpkg-lock-output'\n",
        ),
        (
            &["-f", "a.yml", "--registry-ca-cert-path", "absent"],
            1,
            "",
            "kbld: Error: Reading CA certificates from 'absent':\n  No such file or directory (os error 2)\n",
        ),
        (
            &["-f", "a.yml", "--registry-ca-cert-path", "a.yml"],
            1,
            "",
            "kbld: Error: Adding CA certificates from 'a.yml': failed\n",
        ),
    ] {
        let ran = fixture.kbld(arguments)?;
        assert_eq!(
            (ran.code, ran.stdout.as_str(), ran.stderr.as_str()),
            (code, stdout, stderr),
            "kbld {arguments:?}"
        );
    }
    let ran = fixture.kbld(&["-f", "none.yml"])?;
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
    assert!(
        ran.stderr.contains("and no destination") && ran.stderr.contains("--oci-layout-path"),
        "{}",
        ran.stderr
    );
    let mut command = fixture.kbld.command();
    let ran = finish(
        command.current_dir(fixture.folder.path()).args(["-f", "a.yml"]).env("KBLD_REGISTRY_NOPE", "x"),
    )?;
    assert_eq!(
        (ran.code, ran.stderr.as_str()),
        (1, "kbld: Error: Unknown env variable 'KBLD_REGISTRY_NOPE'\n")
    );
    Ok(())
}

#[test]
fn locks_are_for_their_owner_and_come_to_the_same() -> Result<()> {
    let fixture = Fixture::new()?;
    fixture.write("a.yml", "kind: Pod\nspec: {image: BASE}\n")?;
    let pinned = fixture.pinned()?;
    for flag in ["--lock-output", "--imgpkg-lock-output"] {
        fixture.kbld(&["-f", "a.yml", flag, "lock.yml"])?.success()?;
        let lock = fixture.folder.path().join("lock.yml");
        assert_eq!(fs::metadata(&lock)?.permissions().mode() & 0o777, 0o600, "{flag}");
        let again =
            fixture.kbld(&["-f", "a.yml", "-f", "lock.yml", "--images-annotation=false"])?.success()?;
        assert_eq!(again.stdout, format!("---\nkind: Pod\nspec:\n  image: {pinned}\n"), "{flag}");
        fs::remove_file(lock)?;
    }
    Ok(())
}

#[test]
fn an_image_without_destination_goes_to_a_layout() -> Result<()> {
    let fixture = Fixture::new()?;
    fixture.write("app/Dockerfile", "FROM scratch\nCOPY f /\n")?;
    fixture.write("app/f", "x")?;
    fixture.write("in.yml", "apiVersion: kbld.k14s.io/v1alpha1\nkind: Config\nsources: [{image: app1, path: app}]\n---\nkind: A\nimage: app1\n")?;
    let ran = fixture.kbld(&["-f", "in.yml", "--oci-layout-path", "out"])?.success()?;
    let digest =
        ran.stdout.split('@').nth(1).and_then(|rest| rest.split('\n').next()).context("a digest")?.to_owned();
    let blob = format!("out/app1/blobs/sha256/{}", digest.trim_start_matches("sha256:"));
    assert!(fixture.folder.path().join(blob).is_file(), "{}", ran.stdout);
    Ok(())
}

#[test]
fn two_thousand_documents_with_five_hundred_references() -> Result<()> {
    let fixture = Fixture::new()?;
    let digest = fixture.registry.digest("busybox", "latest").or_else(|_| {
        let name = fixture.base.split_once('/').context("the base has a registry")?.1;
        let (name, tag) = name.rsplit_once(':').context("the base has a tag")?;
        fixture.registry.digest(name, tag)
    })?;
    let (name, _) = fixture.base.rsplit_once(':').context("the base has a tag")?;
    // Five hundred tags of one image.
    for number in 0..500 {
        let to = format!("{name}:n{number}");
        let (repository, tag) = (name.split_once('/').context("a registry")?.1, format!("n{number}"));
        if number == 0 {
            finish(fixture.bako.command().args(["copy", &fixture.base, &to]))?.success()?;
            continue;
        }
        let manifest = e2e::http::get(&fixture.registry.address, &format!("/v2/{repository}/manifests/n0"))?;
        let media_type = manifest.header("content-type").context("a type")?.to_owned();
        let path = format!("/v2/{repository}/manifests/{tag}");
        let stored = e2e::http::put(&fixture.registry.address, &path, &media_type, &manifest.body)?;
        ensure!(stored.status == 201, "tag {tag}");
    }
    let mut text = String::new();
    for number in 0..2000 {
        writeln!(
            text,
            "---\n# {number}\nkind: Pod\nmetadata:\n  name: p{number}\nspec:\n  containers:\n  - image: {name}:n{}",
            number % 500
        )?;
    }
    let file = fixture.write("many.yml", &text)?;
    let start = Instant::now();
    let ran = finish(fixture.bako.command().args(["resolve", "-f"]).arg(file))?.success()?;
    let took = start.elapsed();
    assert_eq!(ran.stdout.matches(&format!("{name}@{digest}\n")).count(), 4000);
    eprintln!("resolved 2000 documents with 500 references in {took:?}");
    // A second on a machine that does nothing else; others share this one.
    assert!(took < Duration::from_secs(10), "{took:?}");
    Ok(())
}

#[test]
fn ten_thousand_documents_in_bounded_memory() -> Result<()> {
    let fixture = Fixture::new()?;
    let file = fixture.folder.path().join("large.yml");
    let mut out = BufWriter::new(File::create(&file)?);
    let padding = "x".repeat(5100);
    for number in 0..10_000 {
        write!(
            out,
            "---\nkind: ConfigMap\nmetadata:\n  name: c{number}\ndata:\n  text: {padding}\n  image: {}\n",
            fixture.base
        )?;
    }
    out.flush()?;
    drop(out);
    ensure!(fs::metadata(&file)?.len() > 48 << 20, "the input is large");
    let result = File::create(fixture.folder.path().join("out.yml"))?;
    let mut child = fixture
        .bako
        .command()
        .args(["resolve", "-f"])
        .arg(&file)
        .stdout(result)
        .stderr(Stdio::null())
        .spawn()?;
    let mut peak = 0;
    let status = loop {
        let text = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
        peak = kib.unwrap_or(0).max(peak);
        if let Some(status) = child.try_wait()? {
            break status;
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    ensure!(status.success(), "{status}");
    eprintln!("10000 documents, 50 MB: a peak of {peak} KiB");
    assert!(peak > 0 && peak < 64 << 10, "{peak} KiB");
    let written = fs::metadata(fixture.folder.path().join("out.yml"))?.len();
    assert!(written > 50 << 20, "{written} bytes");
    Ok(())
}

/// Copies a folder of texts, each changed on the way.
fn copy(from: &Path, to: &Path, change: impl Fn(&str) -> String + Copy) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target, change)?;
        } else {
            fs::write(target, change(&fs::read_to_string(entry.path())?))?;
        }
    }
    Ok(())
}

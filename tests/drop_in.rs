//! What Kaniko's users rely on beside the image: flags that are not ours, files that pipelines read, programs by
//! another name, pushes of what is there already.
#![forbid(unsafe_code)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, ensure};
use e2e::process::{Finished, finish};
use e2e::web::Web;
use e2e::{Bako, Image, Registry, bases, image, own, pod, program, require};
use tempfile::TempDir;

struct Fixture {
    bako: Bako,
    registry: Registry,
    folder: TempDir,
}

const SMALL: &str = "FROM BASE\nCOPY file.txt /\nRUN cat /file.txt > /again.txt\n";

impl Fixture {
    fn new(dockerfile: &str) -> Result<Self> {
        let bako = Bako::built()?;
        let registry = Registry::ours(&bako)?;
        let base = bases::busybox(&bako, &registry)?;
        let folder = tempfile::tempdir()?;
        let context = folder.path().join("context");
        fs::create_dir(&context)?;
        fs::write(context.join("file.txt"), "contents\n")?;
        fs::write(context.join("Dockerfile"), dockerfile.replace("BASE", &base))?;
        Ok(Self { bako, registry, folder })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> Result<String> {
        fs::read_to_string(self.path(name)).with_context(|| name.to_owned())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut build = self.bako.build(&self.path("context"));
        build.arg("--work-dir").arg(self.path("work")).args(arguments).current_dir(self.folder.path());
        build
    }

    fn build(&self, arguments: &[&str]) -> Result<Finished> {
        finish(&mut self.command(arguments))?.success()
    }
}

#[test]
fn digest_files() -> Result<()> {
    let fixture = Fixture::new(SMALL)?;
    let [first, second] = ["team/app:1.0", "app"].map(|name| fixture.registry.reference(name));
    let finished = finish(
        fixture
            .command(&["-d", &first, "-d", &second, "--digest-file=made/for/it/digest"])
            .args(["--image-name-with-digest-file=names", "--image-name-tag-with-digest-file=tags"])
            .env("BUILDER_OUTPUT", fixture.path("output")),
    )?
    .success()?;
    let digest = program::digest(&finished)?;
    let address = &fixture.registry.address;
    assert_eq!(fixture.text("made/for/it/digest")?, digest);
    assert_eq!(fixture.text("names")?, format!("{address}/team/app@{digest}\n{address}/app@{digest}\n"));
    let tags = format!("{address}/team/app:1.0@{digest}\n{address}/app:latest@{digest}\n");
    assert_eq!(fixture.text("tags")?, tags);
    let output: Vec<serde_json::Value> =
        fixture.text("output/images")?.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    assert_eq!(output[1], serde_json::json!({"name": format!("{address}/app:latest"), "digest": digest}));
    assert_eq!(output.len(), 2);
    Ok(())
}

/// Kaniko writes it before the push; a pipeline that goes on with it must not go on here.
#[test]
fn no_digest_file_without_an_image() -> Result<()> {
    let fixture = Fixture::new(SMALL)?;
    let finished = finish(
        fixture
            .command(&["-d", "127.0.0.1:1/app", "--skip-push-permission-check", "--digest-file=digest"])
            .arg("--image-name-with-digest-file=names"),
    )?;
    assert_eq!(finished.code, 1, "{}", finished.stderr);
    ensure!(!fixture.path("digest").exists() && !fixture.path("names").exists(), "there are digest files");
    Ok(())
}

#[test]
fn a_digest_is_put_to_a_url() -> Result<()> {
    let fixture = Fixture::new(SMALL)?;
    let web = Web::start("Bearer token")?;
    let url = |path: &str| format!("http://{}/{path}?signature=secret", web.address);
    let finished = fixture.build(&["--no-push", "--digest-file", &url("digest")])?;
    let expected = format!("text/plain\n{}", program::digest(&finished)?);
    assert_eq!(fs::read_to_string(web.folder.path().join("digest"))?, expected);

    let refused = finish(&mut fixture.command(&["--no-push", "--digest-file", &url("private/digest")]))?;
    assert_eq!(refused.code, 1);
    ensure!(refused.stderr.contains("answers with status 401"), "{}", refused.stderr);
    ensure!(!refused.stderr.contains("secret"), "{}", refused.stderr);
    Ok(())
}

#[test]
fn flags_that_are_not_ours() -> Result<()> {
    let fixture = Fixture::new(SMALL)?;
    let finished = finish(
        fixture
            .command(&["--no-push", "--cleanup", "--snapshotMode=redo", "--use-new-run", "--log-timestamp"])
            .env("FF_KANIKO_NOVEL", "1"),
    )?
    .success()?;
    for (name, note) in [
        ("--cleanup", "a build works in a directory of its own"),
        ("--snapshotMode", "what a RUN has changed is found exactly"),
        ("--use-new-run", "what a RUN has changed is found exactly"),
        ("FF_KANIKO_NOVEL", "no switch of Kaniko is called so"),
    ] {
        let mut lines = finished.stderr.lines();
        let said = lines.find(|line| line.contains(&format!("note: {name}: {note}")));
        let said = said.with_context(|| format!("{name}: {}", finished.stderr))?;
        ensure!(said.starts_with("20") && said.as_bytes()[19] == b'Z', "a time: {said}");
    }
    let refused = finish(&mut fixture.command(&["--no-push", "--materialize"]))?;
    assert_eq!((refused.code, refused.stdout.as_str()), (2, ""));
    ensure!(refused.stderr.contains("--tar-path or --oci-layout-path"), "{}", refused.stderr);
    Ok(())
}

#[test]
fn what_is_in_the_manifest() -> Result<()> {
    let fixture = Fixture::new(SMALL)?;
    let destination = fixture.registry.reference("app");
    fixture.build(&[
        "-d",
        &destination,
        "--annotation=a.b=c=d",
        "--compression=zstd",
        "--compression-level=7",
    ])?;
    let manifest = fixture.registry.manifest("app", "latest")?;
    assert_eq!(manifest["annotations"], serde_json::json!({"a.b": "c=d"}));
    let types: Vec<&str> =
        manifest["layers"].as_array().into_iter().flatten().filter_map(|l| l["mediaType"].as_str()).collect();
    let [gzip, zstd] = ["gzip", "zstd"].map(|name| format!("application/vnd.oci.image.layer.v1.tar+{name}"));
    assert_eq!(types, [&gzip, &zstd, &zstd].map(String::as_str), "layers of the base stay");
    for arguments in [["--compression=zstd", "--tar-path=x"], ["--compression-level=13", "--no-push"]] {
        let refused = finish(fixture.command(&["--no-push"]).args(arguments))?;
        ensure!(refused.code == 1 && refused.stderr.contains("--compression"), "{}", refused.stderr);
    }
    Ok(())
}

/// The same bytes whatever the times of files are, in the context and in what a RUN makes, without SOURCE_DATE_EPOCH.
#[test]
fn reproducible() -> Result<()> {
    let dockerfile = "FROM BASE\nCOPY file.txt /\n\
        RUN --mount=type=secret,id=time,required cp /file.txt /again.txt && touch -d @$(cat /run/secrets/time) /again.txt\n";
    let fixture = Fixture::new(dockerfile)?;
    let destination = fixture.registry.reference("app");
    let build = |seconds: u64| -> Result<String> {
        let file = fs::File::options().write(true).open(fixture.path("context/file.txt"))?;
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))?;
        fs::write(fixture.path("time"), seconds.to_string())?;
        let secret = format!("id=time,src={}", fixture.path("time").display());
        let arguments = ["-d", &destination, "--reproducible", "--oci-layout-path=one", "--secret", &secret];
        program::digest(&fixture.build(&arguments)?)
    };
    let first = build(1_500_000_000)?;
    assert_eq!(build(1_600_000_000)?, first);
    let listed = fs::read_to_string(fixture.path("one/index.json"))?;
    ensure!(listed.contains(&first), "{listed}");
    let created = &fixture.registry.config("app", "latest")?["created"];
    assert_eq!(created, "1970-01-01T00:00:00Z", "the clock is in no image");
    Ok(())
}

/// Where Kubernetes reads why a container ended: a file of the node that is mounted there. It says which image was made,
/// and nothing of one that was not.
#[test]
fn the_termination_log() -> Result<()> {
    if !require(image::JUDGES) || !require(&["runc"]) {
        return Ok(());
    }
    let fixture = Fixture::new(SMALL)?;
    let executor = Image::pull(&own::image(&fixture.bako, &fixture.registry, "executor")?)?;
    let log = fixture.path("termination-log");
    for (tag, further, code) in [("good", "true", 0), ("bad", "exit 3", 3)] {
        fs::write(&log, "")?;
        fs::write(
            fixture.path("context/Dockerfile"),
            format!("FROM {}\nRUN {further}\n", fixture.registry.reference("busybox")),
        )?;
        let destination = fixture.registry.reference(&format!("app:{tag}"));
        let ran = executor.run_with(|spec| {
            let command =
                ["/kaniko/executor", "--destination", &destination, "--digest-file=/dev/termination-log"];
            pod::unprivileged(spec, &command);
            pod::volume(spec, &fixture.path("context"), "/workspace");
            pod::volume(spec, &log, "/dev/termination-log");
        })?;
        assert_eq!(ran.code, code, "{}", ran.stderr);
        let expected = if code == 0 { fixture.registry.digest("app", tag)? } else { String::new() };
        assert_eq!(fs::read_to_string(&log)?, expected, "{tag}");
    }
    Ok(())
}

#[test]
fn further_targets_are_built_and_go_nowhere() -> Result<()> {
    let fixture = Fixture::new(
        "FROM BASE AS test\nRUN echo tests ran\nFROM BASE AS other\nRUN exit 1\nFROM BASE AS app\nRUN touch /app\n",
    )?;
    let destination = fixture.registry.reference("app");
    let finished = fixture.build(&["-d", &destination, "--target=app,test"])?;
    ensure!(finished.stderr.contains("  test | tests ran\n"), "{}", finished.stderr);
    let config = fixture.registry.config("app", "latest")?.to_string();
    ensure!(config.contains("touch /app") && !config.contains("tests ran"), "{config}");
    Ok(())
}

/// `FROM` a registry that is not there at all, but for its mirror.
#[test]
fn mirrors() -> Result<()> {
    let fixture =
        Fixture::new("FROM nowhere.invalid/busybox\nRUN true\nCOPY --from=busybox /bin/busybox /\n")?;
    let address = &fixture.registry.address;
    let mut plain = fixture.command(&["--no-push", "--skip-default-registry-fallback"]);
    plain.arg("--registry-map").arg(format!("nowhere.invalid={address};index.docker.io={address}"));
    // Docker Hub's image is below `library/` at a mirror too.
    let copied = finish(Command::new("cp").arg("-r").args([
        fixture.registry.images().join("busybox"),
        fixture.registry.images().join("library+busybox"),
    ]))?;
    copied.success()?;
    finish(&mut plain)?.success()?;
    let mut by_variable = fixture.command(&["--no-push", "--registry-map"]);
    by_variable
        .arg(format!("nowhere.invalid={address}"))
        .env("KANIKO_REGISTRY_MIRROR", format!("127.0.0.1:1,{address}"));
    finish(&mut by_variable)?.success().map(drop)
}

#[test]
fn a_dockerfile_at_a_url() -> Result<()> {
    let fixture = Fixture::new("FROM scratch\n")?;
    let web = Web::start("")?;
    web.write(
        "there/Dockerfile.web",
        format!("FROM {}\nRUN cat file.txt\n", fixture.registry.reference("busybox")),
    )?;
    let url = format!("http://{}/there/Dockerfile.web?token=secret", web.address);
    let failed = finish(&mut fixture.command(&["--no-push", "--dockerfile", &url]))?;
    ensure!(
        failed.stderr.contains("--> Dockerfile.web:2:1") && !failed.stderr.contains("secret"),
        "{}",
        failed.stderr
    );
    Ok(())
}

/// Archives and layouts that others wrote: layers as they are, or packed here, and the digest that they have.
#[test]
fn pushes_what_is_there() -> Result<()> {
    if !require(&["skopeo"]) {
        return Ok(());
    }
    let fixture = Fixture::new(SMALL)?;
    let app = fixture.registry.reference("app:1");
    let digest =
        program::digest(&fixture.build(&["-d", &app, "--tar-path=own.tar", "--oci-layout-path=layout"])?)?;
    let source = format!("docker://{app}");
    for (kind, name) in [("docker-archive", "saved.tar"), ("oci-archive", "oci.tar"), ("oci", "copied")] {
        let destination = format!("{kind}:{}", fixture.path(name).display());
        image::skopeo(&["copy", "--quiet", "--src-tls-verify=false", &source, &destination])?;
    }
    for (from, expected) in [
        ("own.tar", Some(&digest)),
        ("layout", Some(&digest)),
        ("oci.tar", Some(&digest)),
        ("copied", Some(&digest)),
        // Its layers are not packed, and are not packed again as they were.
        ("saved.tar", None),
    ] {
        let to = fixture.registry.reference(&format!("pushed/{}", from.replace(".tar", "")));
        let mut push = fixture.bako.command();
        push.arg("push").arg(fixture.path(from)).args(["--destination", &to, "--digest-file"]);
        push.arg(fixture.path("digest")).arg("--work-dir").arg(fixture.path("work"));
        let pushed = program::digest(&finish(&mut push)?.success().context(from)?)?;
        ensure!(expected.is_none_or(|expected| *expected == pushed), "{from} is {pushed}");
        assert_eq!(fixture.text("digest")?, pushed);
        let layers = |reference: &str| -> Result<serde_json::Value> {
            let source = format!("docker://{reference}");
            let config = image::skopeo(&["inspect", "--config", "--tls-verify=false", &source])?;
            Ok(serde_json::from_str::<serde_json::Value>(&config)?["rootfs"]["diff_ids"].clone())
        };
        assert_eq!(layers(&to)?, layers(&app)?, "{from}");
        // Every layer is what the config says: read by another program.
        let check = format!("dir:{}", fixture.path(&format!("checked-{from}")).display());
        image::skopeo(&["copy", "--quiet", "--src-tls-verify=false", &format!("docker://{to}"), &check])?;
    }
    ensure!(fs::read_dir(fixture.path("work"))?.next().is_none(), "something is left in the work directory");
    Ok(())
}

#[test]
fn archives_that_are_none() -> Result<()> {
    let fixture = Fixture::new(SMALL)?;
    fs::write(fixture.path("text.tar"), "no archive at all")?;
    let finished = fixture.build(&["--no-push", "--tar-path=own.tar"])?;
    drop(finished);
    let mut damaged = fs::read(fixture.path("own.tar"))?;
    let place = damaged.len() / 2;
    damaged[place] ^= 1;
    fs::write(fixture.path("damaged.tar"), damaged)?;
    fs::create_dir(fixture.path("empty"))?;
    for from in ["text.tar", "damaged.tar", "empty", "no-such.tar"] {
        let mut push = fixture.bako.command();
        push.arg("push")
            .arg(fixture.path(from))
            .arg("--destination")
            .arg(fixture.registry.reference("never"));
        let refused = finish(push.arg("--work-dir").arg(fixture.path("work")))?;
        ensure!(refused.code == 1 && refused.stdout.is_empty(), "{from}: {}", refused.stderr);
        ensure!(refused.stderr.contains(from), "{from}: {}", refused.stderr);
    }
    ensure!(!fixture.registry.has_tag("never", "latest")?, "a tag was left");
    Ok(())
}

/// Another program finds the login, and it is for nobody else to read.
#[test]
fn login() -> Result<()> {
    if !require(&["skopeo"]) {
        return Ok(());
    }
    let bako = Bako::built()?;
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("docker");
    let password = folder.path().join("password");
    fs::write(&password, "pass:word\n")?;
    let mut login = bako.command();
    login.args(["login", "r.example:5000", "-u", "me", "--password-stdin"]).env("DOCKER_CONFIG", &config);
    let output = login.stdin(fs::File::open(&password)?).stdout(Stdio::piped()).output()?;
    ensure!(
        output.status.success() && output.stdout.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let file = config.join("config.json");
    let found =
        image::skopeo(&["login", "--get-login", "--authfile", &file.to_string_lossy(), "r.example:5000"])?;
    assert_eq!(found, "me\n");
    let mode = std::os::unix::fs::MetadataExt::mode(&fs::metadata(&file)?);
    assert_eq!(mode & 0o777, 0o600);
    let plain = finish(bako.command().args(["login", "-u", "me", "-p", ""]).env("DOCKER_CONFIG", &config))?;
    assert_eq!(plain.code, 1, "{}", plain.stderr);
    Ok(())
}

/// A program that is called `warmer` fills a cache from which a build takes all of its base.
#[test]
fn warmer() -> Result<()> {
    let fixture = Fixture::new("ARG TAG=none\nFROM BASE:$TAG\nCOPY file.txt /\nRUN cat /file.txt\n")?;
    let text = fixture.text("context/Dockerfile")?.replace(":latest:", ":");
    fs::write(fixture.path("context/Dockerfile"), text)?;
    symlink(&fixture.bako.program, fixture.path("warmer"))?;
    let warm = |arguments: &[&str]| {
        let mut command = Command::new(fixture.path("warmer"));
        finish(command.arg("--cache-dir").arg(fixture.path("cache/made")).args(arguments))
    };
    let dockerfile = fixture.path("context/Dockerfile").to_string_lossy().into_owned();
    let warmed = warm(&["--dockerfile", &dockerfile, "--build-arg=TAG=latest", "--force"])?.success()?;
    ensure!(
        warmed.stderr.contains("pulling") && warmed.stderr.contains("note: --force"),
        "{}",
        warmed.stderr
    );
    let again = warm(&["-i", &fixture.registry.reference("busybox")])?.success()?;
    ensure!(!again.stderr.contains("pulling"), "{}", again.stderr);

    let mut build = fixture.command(&["--no-push", "--build-arg=TAG=latest", "--cache-dir"]);
    let built = finish(build.arg(fixture.path("cache/made")))?.success()?;
    ensure!(!built.stderr.contains("pulling"), "{}", built.stderr);

    let failed = warm(&["-i", &fixture.registry.reference("busybox"), "-i", "127.0.0.1:1/none"])?;
    assert_eq!(failed.code, 1);
    ensure!(failed.stderr.contains("1 of 2 images"), "{}", failed.stderr);

    // Of an index, every platform that is asked for; one that is not there is a failure.
    fixture.registry.put_index("busybox", "index", "latest")?;
    let index = fixture.registry.reference("busybox:index");
    let own = if cfg!(target_arch = "x86_64") { "linux/amd64" } else { "linux/arm64" };
    warm(&["-i", &index, "--custom-platform", &format!("{own},linux/riscv64")])?.success()?;
    let failed = warm(&["-i", &index, "--platform", &format!("{own},linux/s390x")])?;
    ensure!(failed.code == 1 && failed.stderr.contains("for linux/s390x"), "{}", failed.stderr);

    // Two at once fill a directory one after the other.
    let at_once = |name: &str| {
        let mut command = Command::new(fixture.path("warmer"));
        command
            .arg("--cache-dir")
            .arg(fixture.path(name))
            .args(["-i", &fixture.registry.reference("busybox")]);
        finish(&mut command)
    };
    let (one, two) = std::thread::scope(|scope| {
        let (one, two) = (scope.spawn(|| at_once("cache/both")), scope.spawn(|| at_once("cache/both")));
        (one.join().expect("no panic"), two.join().expect("no panic"))
    });
    let pulled =
        [one?.success()?, two?.success()?].iter().filter(|run| run.stderr.contains("pulling")).count();
    assert_eq!(pulled, 1, "the second has nothing to do");
    Ok(())
}

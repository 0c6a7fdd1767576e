//! Who we are, from the command line to the registry: every place for credentials with a registry that wants some, and
//! buckets as contexts.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "shared with tests of crates, which fail by panicking"
)]

#[path = "../crates/objects/tests/support/emulator.rs"]
#[allow(dead_code, unreachable_pub, missing_docs, reason = "shared with tests of crates")]
mod emulator;
#[path = "../crates/registry/tests/support/real.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    missing_debug_implementations,
    reason = "shared with tests of crates"
)]
mod real;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use e2e::Bako;
use e2e::process::{Finished, finish};
use emulator::Emulator;
use real::{Real, Setup};
use tempfile::TempDir;

/// The password of the registry's only user, `user`.
const PASSWORD: &str = "hunter2";

/// A home, a context of one file, and bako.
struct Site {
    bako: Bako,
    home: TempDir,
}

impl Site {
    fn new() -> Result<Self> {
        let site = Site { bako: Bako::built()?, home: tempfile::tempdir()? };
        site.write("context/Dockerfile", "FROM scratch\nCOPY a /a\n")?;
        site.write("context/a", "a")?;
        site.write("work/.keep", "")?;
        Ok(site)
    }

    fn path(&self, path: &str) -> std::path::PathBuf {
        self.home.path().join(path)
    }

    fn write(&self, path: &str, text: &str) -> Result<()> {
        let path = self.path(path);
        fs::create_dir_all(path.parent().context("a path has a parent")?)?;
        Ok(fs::write(path, text)?)
    }

    /// Runs bako with this home and these variables alone; `~` is the home, `$R` the registry.
    fn run(&self, registry: &str, variables: &[(&str, &str)], arguments: &[&str]) -> Result<Finished> {
        let home = self.home.path().display().to_string();
        let filled = |text: &str| text.replace('~', &home).replace("$R", registry);
        let mut command = self.bako.command();
        command.env_clear().env("HOME", &home).env("PATH", format!("{home}/bin:/usr/bin:/bin"));
        command.env("AWS_EC2_METADATA_DISABLED", "true");
        command.envs(variables.iter().map(|(name, value)| (name, filled(value))));
        command.args(arguments.iter().map(|argument| filled(argument)));
        command.arg("--work-dir").arg(self.path("work")).args(["-v", "debug"]);
        let finished = finish(&mut command)?;
        let said = format!("{}{}", finished.stdout, finished.stderr);
        ensure!(
            !said.contains(PASSWORD) && !said.contains("dXNlcjpodW50ZXIy"),
            "the password is shown: {said}"
        );
        Ok(finished)
    }
}

/// `auths` with the registry's user.
fn config(key: &str) -> String {
    format!(r#"{{"auths":{{"{key}":{{"auth":"dXNlcjpodW50ZXIy"}}}}}}"#)
}

#[test]
fn every_place_for_credentials() -> Result<()> {
    let Some(registry) = Real::start(&Setup { login: true, ..Setup::default() }) else { return Ok(()) };
    let r = registry.address.as_str();
    let (host, port) = r.split_once(':').context("an address has a port")?;
    let variable = format!("KANIKO_{}_{port}", host.replace('.', "_"));
    let (user, password) = (format!("{variable}_USER"), format!("{variable}_PASSWORD"));
    let whole = config(r);
    let legacy = format!(r#"{{"{r}":{{"username":"user","password":"{PASSWORD}"}}}}"#);
    let wrong = format!(r#"{{"auths":{{"{r}":{{"username":"user","password":"wrong"}}}}}}"#);
    let helper = format!(r#"{{"credHelpers":{{"{r}":"mine"}}}}"#);
    let check = |variables: &[(&str, &str)],
                 files: &[(&str, &str)],
                 more: &[&str],
                 source: Option<&str>|
     -> Result<String> {
        let site = Site::new()?;
        for (path, text) in files {
            site.write(path, text)?;
        }
        site.write(
            "bin/docker-credential-mine",
            &format!(
                "#!/bin/sh\ncat > /dev/null\necho '{{\"Username\":\"user\",\"Secret\":\"{PASSWORD}\"}}'\n"
            ),
        )?;
        fs::set_permissions(site.path("bin/docker-credential-mine"), fs::Permissions::from_mode(0o755))?;
        let mut arguments = vec!["--context", "~/context", "--destination", "$R/team/app:1"];
        arguments.extend(more);
        let built = site.run(r, variables, &arguments)?;
        let home = site.home.path().display().to_string();
        let said = built.stderr.replace(&home, "~");
        match source {
            Some(source) => {
                ensure!(built.code == 0, "{variables:?} {files:?}: {said}");
                ensure!(said.contains(&format!("source=\"{source}\"")), "{source}: {said}");
            }
            None => ensure!(built.code == 1, "{variables:?} {files:?} should fail: {said}"),
        }
        Ok(said)
    };
    let home_config = Some("~/.docker/config.json");
    check(&[(user.as_str(), "user"), (password.as_str(), PASSWORD)], &[], &[], Some(&user))?;
    check(&[("DOCKER_AUTH_CONFIG", &whole)], &[], &[], Some("DOCKER_AUTH_CONFIG"))?;
    check(&[("REGISTRY_AUTH_FILE", "~/x.json")], &[("x.json", &whole)], &[], Some("~/x.json"))?;
    check(&[("DOCKER_CONFIG", "~/d")], &[("d/config.json", &whole)], &[], Some("~/d/config.json"))?;
    check(
        &[("DOCKER_CONFIG", "~/d")],
        &[("d/.dockerconfigjson", &whole)],
        &[],
        Some("~/d/.dockerconfigjson"),
    )?;
    check(&[], &[(".docker/config.json", &whole)], &[], home_config)?;
    check(&[], &[(".docker/config.json", &config(&format!("{r}/team")))], &[], home_config)?;
    check(&[], &[(".docker/config.json", &config(&format!("127.0.*.1:{port}")))], &[], home_config)?;
    check(
        &[("XDG_RUNTIME_DIR", "~/run")],
        &[("run/containers/auth.json", &whole)],
        &[],
        Some("~/run/containers/auth.json"),
    )?;
    check(&[], &[(".config/containers/auth.json", &whole)], &[], Some("~/.config/containers/auth.json"))?;
    check(&[], &[(".dockercfg", &legacy)], &[], Some("~/.dockercfg"))?;
    check(&[], &[("s/one/.dockercfg", &legacy)], &["--authfile", "~/s"], Some("~/s/one/.dockercfg"))?;
    check(
        &[("CI_REGISTRY", r), ("CI_REGISTRY_USER", "user"), ("CI_REGISTRY_PASSWORD", PASSWORD)],
        &[],
        &[],
        Some("CI_REGISTRY_USER"),
    )?;
    check(
        &[],
        &[(".docker/config.json", &helper)],
        &[],
        Some("docker-credential-mine of ~/.docker/config.json"),
    )?;
    check(
        &[],
        &[(".docker/config.json", r#"{"credsStore":"mine"}"#)],
        &[],
        Some("docker-credential-mine of ~/.docker/config.json"),
    )?;
    // What is refused is no end.
    let both = [(".docker/config.json", wrong.as_str()), (".dockercfg", legacy.as_str())];
    check(&[], &both, &[], Some("~/.dockercfg"))?;
    let said = check(&[], &[(".docker/config.json", &wrong)], &[], None)?;
    ensure!(said.contains("did not accept user user of ~/.docker/config.json"), "{said}");
    let said = check(&[], &[(".docker/config.json", r#"{"credsStore":"missing"}"#)], &[], None)?;
    ensure!(said.contains("docker-credential-missing is not installed"), "{said}");
    let said = check(&[], &[(".docker/config.json", &config(&format!("{r}/teamster")))], &[], None)?;
    ensure!(said.contains("no credentials matched"), "{said}");
    check(
        &[("CI_REGISTRY", r), ("CI_REGISTRY_USER", "user"), ("CI_REGISTRY_PASSWORD", PASSWORD)],
        &[],
        &["--credential-helpers="],
        None,
    )?;
    let said = check(&[], &[], &["--authfile", "~/missing"], None)?;
    ensure!(said.contains("~/missing: there is no such file"), "{said}");
    Ok(())
}

/// An archive of these entries: `name=text`, a name that ends with a slash, or `name->target`.
fn archive(folder: &Path, script: &str) -> Result<Vec<u8>> {
    let tar = folder.join("made.tar");
    let python = format!(
        "import io,sys,tarfile\nt=tarfile.open(sys.argv[1],'w:gz')\ndef f(n,d):\n i=tarfile.TarInfo(n); i.size=len(d); t.addfile(i,io.BytesIO(d))\ndef l(n,d):\n i=tarfile.TarInfo(n); i.type=tarfile.SYMTYPE; i.linkname=d; t.addfile(i)\n{script}\nt.close()"
    );
    finish(std::process::Command::new("python3").args(["-c", &python]).arg(&tar))?.success()?;
    Ok(fs::read(tar)?)
}

#[test]
fn a_bucket_is_a_context() -> Result<()> {
    let Some(moto) = Emulator::start("moto_server", &["-H", "127.0.0.1", "-p", "$PORT"], &[]) else {
        return Ok(());
    };
    let site = Site::new()?;
    let outside = site.path("outside");
    fs::create_dir(&outside)?;
    let good = archive(site.home.path(), "f('Dockerfile',b'FROM scratch\\nCOPY . /\\n')\nf('a',b'a')")?;
    let hostile = archive(
        site.home.path(),
        &format!(
            "f('Dockerfile',b'FROM scratch\\nCOPY . /\\n')\nf('../../outside/x',b'x')\nf('{0}/y',b'y')\nl('l','{0}')\nf('l/z',b'z')",
            outside.display()
        ),
    )?;
    ensure!(moto.send("PUT", "/bucket", &[], b"").0 == 200);
    for (name, bytes) in [
        ("good.tar.gz", &good),
        ("hostile.tar.gz", &hostile),
        ("broken.tar.gz", &good[..good.len() / 2].to_vec()),
    ] {
        ensure!(moto.send("PUT", &format!("/bucket/{name}"), &[], bytes).0 == 200);
    }
    let endpoint = format!("http://{}", moto.address);
    let build = |name: &str, code: i32, says: &str| -> Result<()> {
        let variables = [
            ("S3_ENDPOINT", endpoint.as_str()),
            ("S3_FORCE_PATH_STYLE", "true"),
            ("AWS_ACCESS_KEY_ID", "AKID"),
            ("AWS_SECRET_ACCESS_KEY", PASSWORD),
            ("AWS_REGION", "eu-central-1"),
        ];
        let context = format!("s3://bucket/{name}");
        let layout = format!("~/{name}.layout");
        let built =
            site.run("", &variables, &["--context", &context, "--no-push", "--oci-layout-path", &layout])?;
        ensure!(built.code == code && built.stderr.contains(says), "{name}: {} {}", built.code, built.stderr);
        ensure!(fs::read_dir(&outside)?.count() == 0, "{name} has written outside");
        let left: Vec<_> = fs::read_dir(site.path("work"))?
            .map(|entry| entry.map(|entry| entry.file_name()))
            .collect::<Result<_, _>>()?;
        ensure!(left == [".keep"], "{name} has left {left:?}");
        Ok(())
    };
    build("good.tar.gz", 0, "")?;
    build("hostile.tar.gz", 0, "")?;
    build("broken.tar.gz", 1, "broken.tar.gz")?;
    build("missing.tar.gz", 1, "status 404 (Not Found): NoSuchKey")?;
    // The archive itself is no file of the context.
    let index = fs::read_to_string(site.path("good.tar.gz.layout/index.json"))?;
    ensure!(index.contains("sha256:"), "{index}");
    let found = finish(std::process::Command::new("sh").arg("-c").arg(format!(
        "for blob in {}/blobs/sha256/*; do tar tzf $blob 2>/dev/null; done | sort",
        site.path("good.tar.gz.layout").display()
    )))?;
    let names: Vec<&str> = found.stdout.lines().collect();
    ensure!(names == ["Dockerfile", "a"], "{names:?}");
    Ok(())
}

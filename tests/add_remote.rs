//! ADD of what is not in the context: files and repositories that a server on loopback gives.
#![forbid(unsafe_code)]

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, ensure};
use e2e::process::{Finished, finish, output};
use e2e::web::{MODIFIED, Web};
use e2e::{Bako, Image, Registry, image, require};
use tempfile::TempDir;

/// What the server wants of those who ask for something private.
const AUTHORIZATION: &str = "Basic bWU6c2VjcmV0LXdvcmQ=";
/// When everything is built.
const NOW: i64 = 1_700_000_000;

struct Fixture {
    bako: Bako,
    registry: Registry,
    web: Web,
    folder: TempDir,
}

impl Fixture {
    fn new() -> Result<Self> {
        let bako = Bako::built()?;
        let registry = Registry::ours(&bako)?;
        let folder = tempfile::tempdir()?;
        fs::create_dir(folder.path().join("context"))?;
        fs::write(folder.path().join("context/local"), "local\n")?;
        Ok(Self { bako, registry, web: Web::start(AUTHORIZATION)?, folder })
    }

    /// A tar with `sub/file` in it.
    fn archive(&self) -> Result<Vec<u8>> {
        let folder = self.folder.path().join("archive");
        fs::create_dir_all(folder.join("sub"))?;
        fs::write(folder.join("sub/file"), "packed\n")?;
        let archive = self.folder.path().join("in.tar");
        let mut tar = Command::new("tar");
        tar.arg("-C").arg(&folder).arg("-cf").arg(&archive);
        output(tar.args(["--mtime=@1500000000", "--owner=3", "--group=4", "--mode=640", "sub/file"]))?;
        Ok(fs::read(archive)?)
    }

    /// Builds from scratch with one more line, in which WEB is the server's address.
    fn build(&self, line: &str, arguments: &[&str]) -> Result<Finished> {
        let context = self.folder.path().join("context");
        let line = line.replace("WEB", &self.web.address);
        fs::write(context.join("Dockerfile"), format!("FROM scratch\n{line}\n"))?;
        let mut command = self.bako.build(&context);
        command.args(["--destination", &self.registry.reference("app:latest")]).args(arguments);
        command.arg("--work-dir").arg(self.folder.path().join("work"));
        let finished = finish(command.env("SOURCE_DATE_EPOCH", NOW.to_string()))?;
        let work = fs::read_dir(self.folder.path().join("work"))?;
        let left: Vec<PathBuf> = work.flatten().map(|entry| entry.path()).collect();
        ensure!(left.is_empty(), "left in the work directory: {left:?}");
        Ok(finished)
    }

    fn image(&self, line: &str) -> Result<Image> {
        self.build(line, &[])?.success()?;
        Image::pull(&self.registry.reference("app:latest"))
    }

    /// The tree of the image that a line makes has these lines and no others but the root.
    fn check(&self, line: &str, expected: &[&str]) -> Result<()> {
        let tree = self.image(line)?.tree()?;
        let found: Vec<String> = tree
            .iter()
            .filter(|(path, _)| *path != "/")
            .map(|(path, line)| format!("{path} {line}"))
            .collect();
        ensure!(found == expected, "{line}:\n{}", found.join("\n"));
        Ok(())
    }

    /// A line that fails says this, once, and leaves no tag.
    fn fails(&self, line: &str, says: &[&str]) -> Result<()> {
        let finished = self.build(line, &[])?;
        ensure!(finished.code == 1, "exit code {}\n{}", finished.code, finished.stderr);
        for text in says {
            let text = text.replace("WEB", &self.web.address);
            ensure!(finished.stderr.contains(&text), "{text:?} is not in:\n{}", finished.stderr);
        }
        ensure!(!self.registry.has_tag("app", "latest")?, "a tag was left");
        Ok(())
    }
}

fn can_look_inside() -> bool {
    require(image::JUDGES)
}

#[test]
fn a_url_is_a_file_of_its_last_name() -> Result<()> {
    if !can_look_inside() {
        return Ok(());
    }
    let fixture = Fixture::new()?;
    fixture.web.write("a.txt", "a\n")?;
    fixture.web.write("deep/with space", "b\n")?;
    for (line, expected) in [
        ("ADD http://WEB/a.txt /", &["/a.txt file 0600 0:0 2 \"a\\n\""][..]),
        ("ADD http://WEB/a.txt /named", &["/named file 0600 0:0 2 \"a\\n\""]),
        ("ADD http://WEB/a.txt?x=/y#z /d/", &["/d dir 0755 0:0", "/d/a.txt file 0600 0:0 2 \"a\\n\""]),
        ("ADD http://WEB/ /d/", &["/d dir 0755 0:0", "/d/__unnamed__ file 0600 0:0 0"]),
        ("ADD http://WEB/redirect/a.txt /", &["/a.txt file 0600 0:0 2 \"a\\n\""]),
        ("ADD http://WEB/deep/with%20space /", &["/with space file 0600 0:0 2 \"b\\n\""]),
        ("ADD --chmod=4755 --chown=5:6 http://WEB/a.txt /", &["/a.txt file 4755 5:6 2 \"a\\n\""]),
        ("ADD --chmod=go+r http://WEB/a.txt /", &["/a.txt file 0644 0:0 2 \"a\\n\""]),
        ("ADD --link http://WEB/a.txt /d/", &["/d dir 0755 0:0", "/d/a.txt file 0600 0:0 2 \"a\\n\""]),
        (
            "ARG NAME=a\nADD local http://WEB/$NAME.txt http://WEB/deep/with%20space /d/",
            &[
                "/d dir 0755 0:0",
                "/d/a.txt file 0600 0:0 2 \"a\\n\"",
                "/d/local file 0644 0:0 6 \"local\\n\"",
                "/d/with space file 0600 0:0 2 \"b\\n\"",
            ],
        ),
    ] {
        fixture.check(line, expected)?;
    }
    Ok(())
}

#[test]
fn a_download_has_the_time_that_the_server_says() -> Result<()> {
    if !can_look_inside() {
        return Ok(());
    }
    let fixture = Fixture::new()?;
    fixture.web.write("dated", "x")?;
    fixture.web.write("undated", "x")?;
    let image = fixture.image("ADD http://WEB/dated http://WEB/undated /")?;
    let root = image.bundle()?.join("rootfs");
    ensure!(fs::metadata(root.join("dated"))?.mtime() == MODIFIED);
    ensure!(fs::metadata(root.join("undated"))?.mtime() == NOW);
    Ok(())
}

#[test]
fn a_downloaded_archive_is_unpacked_if_that_is_said() -> Result<()> {
    if !can_look_inside() {
        return Ok(());
    }
    let fixture = Fixture::new()?;
    let archive = fixture.archive()?;
    fixture.web.write("in.tar", &archive)?;
    fixture.web.write("a.txt", "a\n")?;
    let packed = format!("/d/in.tar file 0600 0:0 {}", archive.len());
    let unpacked = ["/d dir 0755 0:0", "/d/sub dir 0755 0:0", "/d/sub/file file 0640 3:4 7 \"packed\\n\""];
    fixture.check("ADD http://WEB/in.tar /d/", &["/d dir 0755 0:0", &packed])?;
    fixture.check("ADD --unpack=false http://WEB/in.tar /d/", &["/d dir 0755 0:0", &packed])?;
    fixture.check("ADD --unpack http://WEB/in.tar /d/", &unpacked)?;
    fixture.check("ADD --unpack=true http://WEB/in.tar /d", &unpacked)?;
    fixture.check("ADD --unpack http://WEB/a.txt /", &["/a.txt file 0600 0:0 2 \"a\\n\""])
}

#[test]
fn a_checksum_is_compared() -> Result<()> {
    let fixture = Fixture::new()?;
    fixture.web.write("a.txt", "abc")?;
    let right = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let wrong = right.replace("ba78", "0000");
    fixture.fails(
        &format!("ADD --checksum={wrong} http://WEB/a.txt /"),
        &[&format!("http://WEB/a.txt: digest mismatch {right}: {wrong}"), "Dockerfile:2"],
    )?;
    fixture.fails(
        "ADD --checksum=md5:00 http://WEB/a.txt /",
        &["checksum algorithm \"md5\" is not supported"],
    )?;
    fixture.build(&format!("ARG SUM={right}\nADD --checksum=$SUM http://WEB/a.txt /"), &[])?.success()?;
    Ok(())
}

#[test]
fn what_cannot_be_had_is_told() -> Result<()> {
    let fixture = Fixture::new()?;
    for (line, says) in [
        ("ADD http://WEB/none /", &["http://WEB/none: the server answers with status 404 (Not Found)"][..]),
        (
            "ADD http://WEB/private/a /",
            &["status 401 (Unauthorized)", "no credentials were given for this server", "Dockerfile:2"],
        ),
        ("ADD http://127.0.0.1:1/a /", &["http://127.0.0.1:1/a: cannot reach 127.0.0.1:1"]),
        ("ADD http://[::1/a /", &["invalid IPv6 address"]),
    ] {
        fixture.fails(line, says)?;
    }
    Ok(())
}

#[test]
fn credentials_of_a_url_are_sent_and_not_kept() -> Result<()> {
    if !can_look_inside() {
        return Ok(());
    }
    let fixture = Fixture::new()?;
    fixture.web.write("private/a.txt", "a\n")?;
    let image = fixture.image("ADD http://me:secret-word@WEB/private/a.txt /")?;
    ensure!(fixture.web.authorizations("/private/a.txt").contains(&AUTHORIZATION.to_owned()));
    ensure!(image.holds(b"secret-word")?.is_none(), "the password is in {:?}", image.holds(b"secret-word")?);
    let history = image.config["history"].to_string();
    ensure!(
        history.contains(&format!("ADD http://xxxxx@{}/private/a.txt /", fixture.web.address)),
        "{history}"
    );
    Ok(())
}

#[test]
fn secrets_are_sent_to_their_server_alone() -> Result<()> {
    if !can_look_inside() {
        return Ok(());
    }
    let fixture = Fixture::new()?;
    fixture.web.write("private/a.txt", "a\n")?;
    let other = Web::start("Bearer token-word")?;
    other.write("private/b.txt", "b\n")?;
    let secret = |id: &str, value: &str| -> Result<String> {
        let file = fixture.folder.path().join(id);
        fs::write(&file, format!("{value}\n"))?;
        Ok(format!("id={id},src={}", file.display()))
    };
    let header = secret(&format!("HTTP_AUTH_HEADER_{}", fixture.web.address), AUTHORIZATION)?;
    let token = secret(&format!("HTTP_AUTH_TOKEN_{}", other.address), "token-word")?;
    let line = format!("ADD http://WEB/private/a.txt http://{}/private/b.txt /d/", other.address);
    fixture.build(&line, &["--secret", &header, "--secret", &token])?.success()?;
    let image = Image::pull(&fixture.registry.reference("app:latest"))?;
    ensure!(image.tree()?.contains_key("/d/a.txt") && image.tree()?.contains_key("/d/b.txt"));
    for word in ["token-word", "bWU6c2VjcmV0LXdvcmQ="] {
        ensure!(image.holds(word.as_bytes())?.is_none(), "{word} is in the image");
    }
    ensure!(fixture.web.authorizations("/private/a.txt") == [AUTHORIZATION]);
    ensure!(other.authorizations("/private/b.txt") == ["Bearer token-word"]);
    Ok(())
}

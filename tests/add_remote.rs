//! ADD of what is not in the context: files and repositories that a server on loopback gives.
#![forbid(unsafe_code)]

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, ensure};
use e2e::process::{Finished, finish, output};
use e2e::web::{MODIFIED, Web, run_git};
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

#[test]
fn a_download_is_kept_as_long_as_it_is_the_same() -> Result<()> {
    if !can_look_inside() {
        return Ok(());
    }
    let fixture = Fixture::new()?;
    let cache = fixture.folder.path().join("cache");
    let directory = cache.display().to_string();
    let contents = |text: &str| -> Result<()> {
        for name in ["tagged", "dated", "undated", "private/tagged"] {
            fixture.web.write(name, text)?;
        }
        Ok(())
    };
    let secret = fixture.folder.path().join("header");
    fs::write(&secret, AUTHORIZATION)?;
    let secret = format!("id=HTTP_AUTH_HEADER_{},src={}", fixture.web.address, secret.display());
    let with = ["--cache-dir", &directory, "--secret", &secret];
    let line = "ADD http://WEB/tagged http://WEB/dated http://WEB/undated http://WEB/private/tagged?signature=hidden /d/\n\
                ADD http://WEB/tagged /again";
    let build = |arguments: &[&str]| -> Result<std::collections::BTreeMap<String, String>> {
        fixture.build(line, arguments)?.success()?;
        Image::pull(&fixture.registry.reference("app:latest"))?.tree()
    };
    contents("one")?;
    let first = build(&with)?;
    let second = build(&with)?;
    ensure!(first == second, "{first:?}\n{second:?}");
    let asked = |name: &str| fixture.web.answers(name).join(" ");
    // The second ADD of a build finds what the first has kept.
    ensure!(asked("/tagged") == "200 304 304 304", "{}", asked("/tagged"));
    ensure!(asked("/private/tagged") == "200 304", "{}", asked("/private/tagged"));
    ensure!(asked("/dated") == "200 304" && asked("/undated") == "200 200");
    // Another file has another tag.
    contents("two")?;
    // The server's clock has not moved on, but the tag tells.
    let third = build(&with)?;
    for (path, text) in [("/again", "two"), ("/d/tagged", "two"), ("/d/undated", "two"), ("/d/dated", "one")]
    {
        ensure!(third[path].contains(text), "{third:?}");
    }
    ensure!(asked("/tagged").ends_with("304 304 200 304"), "{}", asked("/tagged"));
    // What was damaged is fetched again, and who may not have it does not get it.
    for entry in fs::read_dir(cache.join("blobs/sha256"))? {
        let path = entry?.path();
        if fs::read(&path)? == b"two" {
            fs::write(path, "owt")?;
        }
    }
    ensure!(build(&with)? == third);
    ensure!(asked("/tagged").ends_with("304 200 304"), "{}", asked("/tagged"));
    let finished = fixture.build(line, &["--cache-dir", &directory])?;
    ensure!(finished.code == 1 && finished.stderr.contains("401"), "{}", finished.stderr);
    // No URL is kept, as it may be signed.
    for entry in fs::read_dir(cache.join("downloads"))? {
        let text = fs::read_to_string(entry?.path())?;
        ensure!(!text.contains("hidden") && !text.contains(&fixture.web.address), "{text}");
    }
    Ok(())
}

#[test]
fn a_download_may_have_a_limit() -> Result<()> {
    let fixture = Fixture::new()?;
    fixture.web.write("three", "123")?;
    for (limit, code) in [("3", 0), ("2", 1), ("1k", 0)] {
        let finished = fixture.build("ADD http://WEB/three /", &["--download-limit", limit])?;
        ensure!(finished.code == code, "{limit}: {}", finished.stderr);
        if code == 1 {
            let says = "it has more than the allowed 2 bytes";
            ensure!(
                finished.stderr.contains(says) && finished.stderr.contains("--download-limit"),
                "{}",
                finished.stderr
            );
        }
    }
    Ok(())
}

/// When every commit was made, as `run_git` has it.
const COMMITTED: i64 = 1_500_000_000;

/// A repository that is served.
struct Repository {
    fixture: Fixture,
    /// The commit that the tag `v1` leads to.
    first: String,
    /// That of the branch `main`.
    main: String,
}

impl Repository {
    /// At `NAME.git`: a tag, two branches, a program, a link and a directory.
    fn at(name: &str) -> Result<Self> {
        let fixture = Fixture::new()?;
        let work = fixture.folder.path().join("repository");
        fs::create_dir_all(work.join("sub/deep"))?;
        run_git(&work, &["init"])?;
        fs::write(work.join("a"), "one\n")?;
        run_git(&work, &["add", "."])?;
        run_git(&work, &["commit", "-m", "first"])?;
        run_git(&work, &["tag", "-a", "v1", "-m", "version 1"])?;
        let first = run_git(&work, &["rev-parse", "HEAD"])?.trim().to_owned();
        fs::write(work.join("a"), "two\n")?;
        fs::write(work.join("sub/deep/b"), "b\n")?;
        fs::write(work.join("sub/run.sh"), "#!/bin/sh\n")?;
        fs::set_permissions(work.join("sub/run.sh"), fs::Permissions::from_mode(0o700))?;
        std::os::unix::fs::symlink("sub/run.sh", work.join("link"))?;
        run_git(&work, &["add", "."])?;
        run_git(&work, &["commit", "-m", "second"])?;
        let main = run_git(&work, &["rev-parse", "HEAD"])?.trim().to_owned();
        run_git(&work, &["checkout", "-b", "other/branch", "v1"])?;
        fs::write(work.join("a"), "three\n")?;
        run_git(&work, &["commit", "-am", "third"])?;
        run_git(&work, &["checkout", "main"])?;
        let served = fixture.web.folder.path().join(format!("{name}.git"));
        run_git(fixture.folder.path(), &["clone", "--bare", "repository", &served.display().to_string()])?;
        Ok(Repository { fixture, first, main })
    }

    /// A line with the names of commits in it.
    fn line(&self, line: &str) -> String {
        line.replace("FIRST", &self.first).replace("MAIN", &self.main)
    }
}

const WHOLE: &[&str] = &[
    "/r dir 0755 0:0",
    "/r/a file 0644 0:0 4 \"two\\n\"",
    "/r/link symlink 0:0 -> sub/run.sh",
    "/r/sub dir 0755 0:0",
    "/r/sub/deep dir 0755 0:0",
    "/r/sub/deep/b file 0644 0:0 2 \"b\\n\"",
    "/r/sub/run.sh file 0755 0:0 10 \"#!/bin/sh\\n\"",
];

#[test]
fn a_repository_is_its_files_at_a_reference() -> Result<()> {
    if !can_look_inside() || !require(&["git"]) {
        return Ok(());
    }
    let repository = Repository::at("app")?;
    let first = &["/r dir 0755 0:0", "/r/a file 0644 0:0 4 \"one\\n\""][..];
    let other = &["/r dir 0755 0:0", "/r/a file 0644 0:0 6 \"three\\n\""][..];
    for (line, expected) in [
        ("ADD http://WEB/app.git /r", WHOLE),
        ("ADD http://WEB/app.git#main /r/", WHOLE),
        ("ARG REF=v1\nADD http://WEB/app.git#$REF /r", first),
        ("ADD http://WEB/app.git?tag=v1 /r", first),
        ("ADD http://WEB/app.git#FIRST /r", first),
        ("ADD http://WEB/app.git?branch=other/branch /r", other),
        ("ADD --checksum=MAIN http://WEB/app.git /r", WHOLE),
        ("ADD http://WEB/app.git?tag=v1&commit=FIRST&fetch-by-commit=true /r", first),
        ("ADD http://WEB/app.git#main:sub/deep /r", &["/r dir 0755 0:0", "/r/b file 0644 0:0 2 \"b\\n\""]),
        ("ADD --link --exclude=sub --exclude=link http://WEB/app.git#v1 /r", first),
        (
            "ADD --chown=5:6 --chmod=600 local http://WEB/app.git?subdir=/sub/deep/ /r/",
            &["/r dir 0600 5:6", "/r/b file 0600 5:6 2 \"b\\n\"", "/r/local file 0600 5:6 6 \"local\\n\""],
        ),
    ] {
        repository.fixture.check(&repository.line(line), expected)?;
    }
    Ok(())
}

#[test]
fn a_checkout_has_its_time_or_that_of_its_commit() -> Result<()> {
    if !can_look_inside() || !require(&["git"]) {
        return Ok(());
    }
    let repository = Repository::at("app")?;
    for (query, time) in [("", NOW), ("?mtime=checkout", NOW), ("?mtime=commit", COMMITTED)] {
        let image = repository.fixture.image(&format!("ADD http://WEB/app.git{query} /r/"))?;
        let root = image.bundle()?.join("rootfs/r");
        for path in ["a", "link", "sub", "sub/run.sh"] {
            let found = fs::symlink_metadata(root.join(path))?.mtime();
            ensure!(found == time, "{query}: {path} has {found}");
        }
    }
    Ok(())
}

#[test]
fn a_git_directory_that_is_kept_is_a_repository() -> Result<()> {
    if !can_look_inside() || !require(&["git"]) {
        return Ok(());
    }
    let repository = Repository::at("app")?;
    for line in [
        "ADD --keep-git-dir http://WEB/app.git#v1 /r/",
        "ADD http://WEB/app.git?tag=v1&keep-git-dir=1 /r/",
        "ADD --keep-git-dir=true http://WEB/app.git?tag=v1&keep-git-dir=true /r/",
    ] {
        let image = repository.fixture.image(line)?;
        let root = image.bundle()?.join("rootfs/r");
        let owned = format!("safe.directory={}", root.display());
        let git = |arguments: &[&str]| run_git(&root, &[&["-c", &owned][..], arguments].concat());
        ensure!(git(&["log", "--format=%H %s"])? == format!("{} first\n", repository.first), "{line}");
        ensure!(git(&["status", "--porcelain"])?.is_empty(), "{}", git(&["status"])?);
        ensure!(git(&["fsck"]).is_ok());
        let url = git(&["remote", "get-url", "origin"])?;
        ensure!(url.trim() == format!("http://{}/app.git", repository.fixture.web.address), "{url}");
    }
    let warned = |line: &str, text: &str| -> Result<()> {
        let finished = repository.fixture.build(line, &[])?;
        ensure!(finished.code == 0 && finished.stderr.contains(text), "{line}:\n{}", finished.stderr);
        Ok(())
    };
    warned(
        "ADD --keep-git-dir http://WEB/app.git#:sub /r/",
        "keep-git-dir is without effect: of the repository",
    )?;
    warned("ADD --keep-git-dir local /r/", "--keep-git-dir is without effect: no source is a git repository")
}

#[test]
fn what_a_repository_does_not_have_is_told() -> Result<()> {
    if !require(&["git"]) {
        return Ok(());
    }
    let repository = Repository::at("app")?;
    for (line, says) in [
        (
            "ADD --checksum=FIRST http://WEB/app.git /",
            &["http://WEB/app.git: expected checksum to match FIRST, got MAIN", "Dockerfile:2"][..],
        ),
        ("ADD http://WEB/app.git?ref=main&checksum=FIRST /", &["expected checksum to match FIRST, got MAIN"]),
        ("ADD http://WEB/app.git#none /", &["http://WEB/app.git: repository does not contain ref none"]),
        ("ADD http://WEB/app.git?branch=v1 /", &["repository does not contain branch v1", "Dockerfile:2"]),
        ("ADD http://WEB/app.git?tag=main /", &["repository does not contain tag main"]),
        ("ADD http://WEB/app.git#main:none /", &["subdirectory none: the repository has no such directory"]),
        ("ADD http://WEB/app.git#main:a /", &["subdirectory a: it is no directory"]),
        ("ADD http://WEB/none.git /", &["http://WEB/none.git: "]),
        ("ADD http://127.0.0.1:1/a.git /", &["http://127.0.0.1:1/a.git: cannot reach 127.0.0.1:1"]),
    ] {
        let says: Vec<String> = says.iter().map(|text| repository.line(text)).collect();
        let says: Vec<&str> = says.iter().map(String::as_str).collect();
        repository.fixture.fails(&repository.line(line), &says)?;
    }
    Ok(())
}

#[test]
fn a_private_repository_wants_a_secret() -> Result<()> {
    if !can_look_inside() || !require(&["git"]) {
        return Ok(());
    }
    let repository = Repository::at("private/app")?;
    let fixture = &repository.fixture;
    let line = "ADD http://WEB/private/app.git#v1 /r/";
    fixture.fails(line, &["answers with status 401", "--secret id=GIT_AUTH_TOKEN.WEB,…", "Dockerfile:2"])?;
    let file = fixture.folder.path().join("header");
    fs::write(&file, format!("{AUTHORIZATION}\n"))?;
    for id in ["GIT_AUTH_HEADER".to_owned(), format!("GIT_AUTH_HEADER.{}", fixture.web.address)] {
        let secret = format!("id={id},src={}", file.display());
        fixture.build(line, &["--secret", &secret])?.success()?;
        let image = Image::pull(&fixture.registry.reference("app:latest"))?;
        ensure!(image.tree()?.contains_key("/r/a"));
        ensure!(image.holds(b"bWU6c2VjcmV0LXdvcmQ=")?.is_none());
    }
    // `Basic` of `x-access-token:t` is what a token becomes.
    let other = Web::start("Basic eC1hY2Nlc3MtdG9rZW46dA==")?;
    let served = other.folder.path().join("private");
    fs::create_dir(&served)?;
    let source = fixture.folder.path().join("repository").display().to_string();
    run_git(&served, &["clone", "--bare", &source, "app.git"])?;
    fs::write(&file, "t\n")?;
    let secret = format!("id=GIT_AUTH_TOKEN.{},src={}", other.address, file.display());
    let line = format!("ADD http://{}/private/app.git /r/", other.address);
    fixture.build(&line, &["--secret", &secret])?.success()?;
    Ok(())
}

#[test]
fn credentials_of_a_repository_are_sent_and_not_kept() -> Result<()> {
    if !can_look_inside() || !require(&["git"]) {
        return Ok(());
    }
    let repository = Repository::at("private/app")?;
    let fixture = &repository.fixture;
    let image = fixture.image("ADD --keep-git-dir http://me:secret-word@WEB/private/app.git /r/")?;
    ensure!(image.tree()?.contains_key("/r/.git/config"));
    ensure!(image.holds(b"secret-word")?.is_none(), "the password is in {:?}", image.holds(b"secret-word")?);
    let history = image.config["history"].to_string();
    let shown = format!("ADD http://xxxxx@{}/private/app.git /r/", fixture.web.address);
    ensure!(history.contains(&shown), "{history}");
    Ok(())
}

#[test]
fn submodules_come_along_unless_they_are_not_wanted() -> Result<()> {
    if !can_look_inside() || !require(&["git"]) {
        return Ok(());
    }
    let repository = Repository::at("app")?;
    let fixture = &repository.fixture;
    let outer = fixture.folder.path().join("outer");
    fs::create_dir(&outer)?;
    run_git(&outer, &["init"])?;
    let url = format!("http://{}/app.git", fixture.web.address);
    run_git(&outer, &["submodule", "add", "-b", "other/branch", &url, "inner"])?;
    fs::write(outer.join(".gitmodules"), "[submodule \"inner\"]\n\tpath = inner\n\turl = ../app.git\n")?;
    run_git(&outer, &["add", "."])?;
    run_git(&outer, &["commit", "-m", "outer"])?;
    let served = fixture.web.folder.path().join("outer.git").display().to_string();
    run_git(fixture.folder.path(), &["clone", "--bare", "outer", &served])?;
    let image = fixture.image("ADD http://WEB/outer.git /r")?;
    let tree = image.tree()?;
    ensure!(tree.get("/r/inner/a").is_some_and(|line| line.contains("three")), "{tree:?}");
    ensure!(!tree.keys().any(|path| path.ends_with("/.git")), "{tree:?}");
    let tree = fixture.image("ADD http://WEB/outer.git?submodules=false /r")?.tree()?;
    ensure!(tree.contains_key("/r/inner") && !tree.contains_key("/r/inner/a"), "{tree:?}");
    Ok(())
}

#[test]
fn a_repository_is_fetched_once_in_a_build() -> Result<()> {
    if !require(&["git"]) {
        return Ok(());
    }
    let repository = Repository::at("app")?;
    let line = "ADD http://WEB/app.git#v1 /a/\nADD http://WEB/app.git#v1 /b/\nFROM scratch\nCOPY --from=0 / /\n\
                ADD http://WEB/app.git#v1 /c/";
    repository.fixture.build(line, &[])?.success()?;
    let asked = repository.fixture.web.authorizations("/app.git/info/refs").len();
    ensure!(asked == 1, "asked {asked} times");
    Ok(())
}

#[test]
fn a_signal_ends_a_checkout() -> Result<()> {
    let fixture = Fixture::new()?;
    // It takes connections and never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0")?;
    let context = fixture.folder.path().join("context");
    let line = format!("ADD http://{}/app.git /r/", silent.local_addr()?);
    fs::write(context.join("Dockerfile"), format!("FROM scratch\n{line}\n"))?;
    let work = fixture.folder.path().join("work");
    let mut command = fixture.bako.build(&context);
    command.args(["--destination", &fixture.registry.reference("app:latest")]).arg("--work-dir").arg(&work);
    let child = command.stderr(std::process::Stdio::piped()).spawn()?;
    let connection = silent.accept()?;
    output(Command::new("kill").args(["-TERM", &child.id().to_string()]))?;
    let finished = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&finished.stderr);
    drop(connection);
    ensure!(finished.status.code() == Some(143), "{:?}\n{said}", finished.status);
    ensure!(said.contains("ended by signal 15"), "{said}");
    ensure!(fs::read_dir(&work)?.next().is_none(), "something is left in the work directory");
    Ok(())
}

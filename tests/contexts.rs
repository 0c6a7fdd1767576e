//! Contexts that are no files of a case: what comes on standard input, over HTTP, or from a git repository.
#![forbid(unsafe_code)]

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use e2e::process::output;
use e2e::web::{Web, run_git};
use e2e::{Bako, require};
use tempfile::TempDir;

/// A tar archive of `files`, packed as `tar`'s flag says.
fn archive(packing: &[&str], files: &[(&str, &str)]) -> Result<Vec<u8>> {
    let folder = TempDir::new()?;
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().context("below the folder")?)?;
        fs::write(path, text)?;
    }
    let file = TempDir::new()?;
    let path = file.path().join("context.tar");
    output(Command::new("tar").args(packing).arg("-cf").arg(&path).arg("-C").arg(folder.path()).arg("."))?;
    Ok(fs::read(path)?)
}

/// Builds with `input` on standard input and this command line; what the layers of the image hold, or
/// standard error.
fn build(arguments: &[&str], input: &[u8]) -> Result<(i32, String)> {
    build_with(&[], arguments, input)
}

/// The same with variables in the environment.
fn build_with(variables: &[(&str, &str)], arguments: &[&str], input: &[u8]) -> Result<(i32, String)> {
    let folder = TempDir::new()?;
    let layout = folder.path().join("layout");
    let work = folder.path().join("work");
    let mut command = Bako::built()?.command();
    command.envs(variables.iter().copied());
    command.args(arguments).arg("--no-push").arg("--oci-layout-path").arg(&layout);
    command.arg("--work-dir").arg(&work).current_dir(folder.path());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut stdin = child.stdin.take().context("a pipe")?;
    let input = input.to_owned();
    // Who does not read to the end is told by an error, which is not ours.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let ended = child.wait_with_output()?;
    writer.join().map_err(|_| anyhow::anyhow!("the writer panicked"))?;
    // A command line that makes no sense does not get so far.
    let left = if work.exists() { fs::read_dir(&work)?.count() } else { 0 };
    ensure!(left == 0, "{left} things left in the work directory");
    let code = ended.status.code().context("ended by a signal")?;
    if code != 0 {
        return Ok((code, String::from_utf8_lossy(&ended.stderr).into_owned()));
    }
    Ok((code, names(&layout)?))
}

/// The names in the layers of a layout's image.
fn names(layout: &Path) -> Result<String> {
    let mut names = Vec::new();
    for blob in fs::read_dir(layout.join("blobs/sha256"))? {
        let path = blob?.path();
        if fs::read(&path)?.starts_with(&[0x1f, 0x8b]) {
            names.extend(output(Command::new("tar").arg("-tzf").arg(&path))?.lines().map(str::to_owned));
        }
    }
    Ok(names.join(" "))
}

#[test]
fn an_archive_on_standard_input() -> Result<()> {
    if !require(&["tar"]) {
        return Ok(());
    }
    let files =
        [("Dockerfile", "FROM scratch\nCOPY a d /to/\n"), ("a", "a"), ("d/b", "b"), (".dockerignore", "a\n")];
    let other = [
        ("Dockerfile", "FROM scratch\nCOPY no /\n"),
        ("sub/dockerfile", "FROM scratch\nCOPY b /\n"),
        ("sub/b", "b"),
    ];
    for packing in [&[][..], &["-z"], &["-j"], &["-J"]] {
        for context in ["-", "tar://stdin"] {
            let found = build(&["--context", context], &archive(packing, &files)?)?;
            assert_eq!(found, (0, "to/ to/a to/b".to_owned()), "{packing:?} as {context}");
        }
    }
    let found = build(&["--context", "-", "--context-sub-path", "sub"], &archive(&[], &other)?)?;
    assert_eq!(found, (0, "b".to_owned()));
    Ok(())
}

#[test]
fn standard_input_that_is_no_context() -> Result<()> {
    if !require(&["tar"]) {
        return Ok(());
    }
    let whole = archive(&["-z"], &[("Dockerfile", "FROM scratch\n")])?;
    for (input, says) in [
        (&b""[..], "standard input: the archive is empty"),
        (b"FROM scratch\n", "standard input: damaged tar"),
        (&whole[..whole.len() / 2], "standard input: damaged gzip data"),
        (&archive(&[], &[("a", "a")])?, "--dockerfile Dockerfile: no such file"),
    ] {
        let (code, text) = build(&["--context", "-"], input)?;
        ensure!(code == 1 && text.contains(says), "{code}: {text}, not {says}");
    }
    Ok(())
}

/// A server that gives everybody these bytes under `/context.tar`; its address. It ends with the tests.
fn serve(bytes: Vec<u8>) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let mut lines = BufReader::new(&connection).lines().map_while(std::io::Result::ok);
            let found = lines.next().is_some_and(|request| request.contains(" /context.tar"));
            lines.take_while(|line| !line.is_empty()).for_each(drop);
            let status = if found { "200 OK" } else { "404 Not Found" };
            let body = if found { &bytes[..] } else { b"" };
            let head =
                format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            // Who hangs up early is judged by its own test.
            let _ = (&connection).write_all(head.as_bytes()).and_then(|()| (&connection).write_all(body));
        }
    });
    Ok(address)
}

#[test]
fn an_archive_over_http() -> Result<()> {
    if !require(&["tar"]) {
        return Ok(());
    }
    let files = [
        ("Dockerfile", "FROM scratch\nCOPY a /\n"),
        ("a", "a"),
        (".dockerignore", "a\n"),
        ("sub/Dockerfile", "FROM files AS base\nFROM base\nCOPY --from=files a /b/\n"),
    ];
    let address = serve(archive(&["-z"], &files)?)?;
    let url = format!("http://user:secret@{address}/context.tar?signature=hidden");
    assert_eq!(build(&["--context", &url], b"")?, (0, "a".to_owned()));
    let named = format!("files={url}");
    let (code, names) =
        build(&["--context", &url, "--context-sub-path", "sub", "--build-context", &named], b"")?;
    let mut names: Vec<&str> = names.split(' ').collect();
    names.sort_unstable();
    assert_eq!(code, 0, "{names:?}");
    assert_eq!(names.join(" "), ".dockerignore Dockerfile a b/ b/a sub/ sub/Dockerfile");
    Ok(())
}

#[test]
fn what_is_no_archive_over_http() -> Result<()> {
    if !require(&["tar"]) {
        return Ok(());
    }
    let whole = archive(&["-z"], &[("Dockerfile", "FROM scratch\n")])?;
    let (text, cut) = (serve(b"a page\n".to_vec())?, serve(whole[..whole.len() / 2].to_vec())?);
    for (address, path, says) in [
        (&text, "no.tar", "404"),
        (&text, "context.tar", "damaged tar"),
        (&cut, "context.tar", "damaged gzip data"),
    ] {
        let url = format!("http://user:secret@{address}/{path}?signature=hidden");
        let (code, message) = build(&["--context", &url], b"")?;
        ensure!(
            code == 1 && message.contains(says) && message.contains(path),
            "{code}: {message}, not {says}"
        );
        ensure!(!message.contains("secret") && !message.contains("hidden"), "{message}");
    }
    Ok(())
}

#[test]
fn a_dockerfile_on_standard_input() -> Result<()> {
    if !require(&["tar"]) {
        return Ok(());
    }
    let context = TempDir::new()?;
    for (name, text) in [("a", "a"), ("b", "b"), (".dockerignore", "b\n"), ("-", "FROM nothing\n")] {
        fs::write(context.path().join(name), text)?;
    }
    let directory = context.path().display().to_string();
    let found = build(&["-c", &directory, "-f", "-"], b"FROM scratch\nCOPY a b* /to/\n")?;
    assert_eq!(found, (0, "to/ to/a".to_owned()));
    let (code, text) = build(&["-c", &directory, "-f-"], b"FROM scratch\nCOPPY a /\n")?;
    ensure!(code == 1 && text.contains("--> -:2:1"), "{text}");
    let (code, text) = build(&["-c", "-", "-f", "-"], b"")?;
    ensure!(code == 1 && text.contains("standard input is the context already"), "{text}");
    Ok(())
}

/// What the server wants of those who ask for something private: `me` and `secret-word`.
const AUTHORIZATION: &str = "Basic bWU6c2VjcmV0LXdvcmQ=";

/// A served repository: a tag `v1`; a branch `main`, which has a `b` more; a request to pull, which has a `c` more.
struct Repository {
    web: Web,
    /// The commit of `v1`.
    first: String,
    main: String,
}

impl Repository {
    fn at(name: &str) -> Result<Self> {
        let web = Web::start(AUTHORIZATION)?;
        let folder = TempDir::new()?;
        let work = folder.path().join("work");
        fs::create_dir_all(work.join("sub"))?;
        for (name, text) in [
            ("Dockerfile", "FROM scratch\nCOPY . /\n"),
            ("sub/Dockerfile", "FROM scratch\nCOPY . /in/\n"),
            ("sub/own.Dockerfile", "FROM scratch\nCOPY . /own/\n"),
            ("sub/own.Dockerfile.dockerignore", "*\n!a\n"),
            (".dockerignore", "sub\n.dockerignore\nDockerfile\nleft-out\n"),
            ("a", "a"),
            ("left-out", ""),
        ] {
            fs::write(work.join(name), text)?;
        }
        std::os::unix::fs::symlink("/etc", work.join("outside"))?;
        run_git(&work, &["init"])?;
        let commit = |files: &[&str], message: &str| -> Result<String> {
            for file in files {
                fs::write(work.join(file), "")?;
            }
            run_git(&work, &["add", "."])?;
            run_git(&work, &["commit", "-m", message])?;
            Ok(run_git(&work, &["rev-parse", "HEAD"])?.trim().to_owned())
        };
        let first = commit(&[], "first")?;
        run_git(&work, &["tag", "v1"])?;
        let main = commit(&["b"], "second")?;
        commit(&["c"], "third")?;
        run_git(&work, &["update-ref", "refs/pull/1/head", "HEAD"])?;
        run_git(&work, &["reset", "--hard", &main])?;
        let served = web.folder.path().join(format!("{name}.git"));
        run_git(folder.path(), &["clone", "--mirror", "work", &served.display().to_string()])?;
        Ok(Repository { web, first, main })
    }

    /// A text with the server's address and the names of commits in it.
    fn text(&self, text: &str) -> String {
        text.replace("WEB", &self.web.address).replace("FIRST", &self.first).replace("MAIN", &self.main)
    }

    fn build(&self, line: &str) -> Result<(i32, String)> {
        let line = self.text(line);
        // Kaniko's `git://` is HTTPS, which this server does not speak.
        build_with(&[("GIT_PULL_METHOD", "http")], &line.split(' ').collect::<Vec<_>>(), b"")
    }
}

#[test]
fn a_git_repository() -> Result<()> {
    if !require(&["git", "tar"]) {
        return Ok(());
    }
    let repository = Repository::at("app")?;
    let (first, main, pull) = ("a outside", "a b outside", "a b c outside");
    for (line, expected) in [
        ("-c git://WEB/app.git", main),
        ("-c git://WEB/app.git#refs/heads/main", main),
        ("-c git://WEB/app.git#main", main),
        ("-c git://WEB/app.git#refs/tags/v1", first),
        ("-c git://WEB/app.git#FIRST", first),
        ("-c git://WEB/app.git#refs/heads/main#FIRST", first),
        ("-c git://WEB/app.git#refs/pull/1/head", pull),
        ("-c git://WEB/app.git --git branch=v1,single-branch=true", first),
        ("-c git://WEB/app.git#v1 --git branch=main --git recurse-submodules=true", main),
        ("-c http://WEB/app.git", main),
        ("-c http://WEB/app.git?tag=v1", first),
        ("-c http://WEB/app.git?branch=main&commit=MAIN", main),
        // A directory has no ignore file of its own here; that of the whole is not for it.
        (
            "-c http://WEB/app.git#v1:sub",
            "in/ in/Dockerfile in/own.Dockerfile in/own.Dockerfile.dockerignore",
        ),
        (
            "-c git://WEB/app.git#v1 --context-sub-path sub",
            "in/ in/Dockerfile in/own.Dockerfile in/own.Dockerfile.dockerignore",
        ),
        // The ignore file beside the Dockerfile goes before that of the context.
        ("-c git://WEB/app.git -f sub/own.Dockerfile", "own/ own/a"),
    ] {
        ensure!(repository.build(line)? == (0, expected.to_owned()), "{line}: {:?}", repository.build(line)?);
    }
    let (code, names) =
        repository.build("-c http://WEB/app.git --build-arg BUILDKIT_CONTEXT_KEEP_GIT_DIR=1")?;
    ensure!(code == 0 && names.contains(".git/HEAD") && !names.contains("hooks"), "{names}");
    Ok(())
}

#[test]
fn what_a_git_repository_does_not_have() -> Result<()> {
    if !require(&["git", "tar"]) {
        return Ok(());
    }
    let repository = Repository::at("app")?;
    for (line, says) in [
        ("-c git://WEB/none.git", "--context: http://WEB/none.git: "),
        ("-c git://WEB/app.git#none", "http://WEB/app.git: repository does not contain ref none"),
        ("-c git://WEB/app.git --git branch=none", "repository does not contain ref none"),
        ("-c git://WEB/app.git#main#none", "#none is not the 40 hexadecimal digits of a commit"),
        ("-c http://WEB/app.git?commit=FIRST&branch=main", "expected checksum to match FIRST, got MAIN"),
        ("-c http://WEB/app.git#:none", "subdirectory none: the repository has no such directory"),
        ("-c http://WEB/app.git --context-sub-path none", "no directory \"none\" in the build context"),
        ("-c http://WEB/app.git --context-sub-path outside", "no directory \"outside\" in the build context"),
        ("-c http://WEB/app.git -f outside/passwd", "--dockerfile outside/passwd: no such file"),
        ("-c git://user:hidden@WEB/app.git?x=y", "--context git://WEB/app.git: unexpected query"),
        ("-c http://WEB/app.git --build-arg BUILDKIT_CONTEXT_KEEP_GIT_DIR=yes", "expected true or false"),
        ("-c . --git banch=main", "unknown key \"banch\""),
    ] {
        let (code, text) = repository.build(line)?;
        ensure!(code != 0 && text.contains(&repository.text(says)), "{line}: {code}: {text}");
        ensure!(!text.contains("hidden"), "{line}: {text}");
    }
    Ok(())
}

#[test]
fn a_private_git_repository() -> Result<()> {
    if !require(&["git", "tar"]) {
        return Ok(());
    }
    let repository = Repository::at("private/app")?;
    let url = repository.text("http://WEB/private/app.git");
    let (code, text) = build(&["-c", &url], b"")?;
    ensure!(code == 1 && text.contains("answers with status 401"), "{text}");
    let variables = &[("GIT_USERNAME", "me"), ("GIT_PASSWORD", "secret-word"), ("HEADER", AUTHORIZATION)];
    let (with, without) = (&variables[..], &variables[2..]);
    let own = repository.text("http://me:secret-word@WEB/private/app.git");
    for (variables, url, arguments, expected) in [
        (with, &url, &[][..], 0),
        (without, &own, &[], 0),
        (without, &url, &["--secret", "id=GIT_AUTH_HEADER,env=HEADER"], 0),
        // A secret goes before the variables, and they before the URL.
        (with, &url, &["--secret", "id=GIT_AUTH_TOKEN,env=HEADER"], 1),
        (&[("GIT_TOKEN", "t")], &own, &[], 1),
    ] {
        let (code, text) = build_with(variables, &[&["-c", url][..], arguments].concat(), b"")?;
        ensure!(code == expected, "{url} {arguments:?}: {text}");
        ensure!(!text.contains("secret-word"), "{text}");
    }
    // `Basic` of `x-access-token:t` is what a token becomes; it is sent to the context's host alone.
    let sent = repository.web.authorizations("/private/app.git/info/refs");
    ensure!(sent.last().is_some_and(|sent| sent == "Basic eC1hY2Nlc3MtdG9rZW46dA=="), "{sent:?}");
    Ok(())
}

#[test]
fn a_git_repository_by_a_name() -> Result<()> {
    if !require(&["git", "tar"]) {
        return Ok(());
    }
    let repository = Repository::at("app")?;
    let context = TempDir::new()?;
    let of = |text: &str| -> Result<String> {
        fs::write(context.path().join("Dockerfile"), text)?;
        Ok(context.path().display().to_string())
    };
    let line = |named: &str, text: &str| -> Result<(i32, String)> {
        let context = of(text)?;
        repository.build(&format!("-c {context} --build-context src=http://WEB/{named}"))
    };
    // No ignore file counts, as with BuildKit.
    for (named, text, expected) in [
        ("app.git#v1", "FROM scratch\nCOPY --from=src a left-out /x/\n", "x/ x/a x/left-out"),
        ("app.git#v1:sub", "FROM src\n", "Dockerfile own.Dockerfile own.Dockerfile.dockerignore"),
        ("app.git#FIRST", "FROM scratch AS src\nRUN false\nFROM scratch\nCOPY --from=src a b* /\n", "a"),
    ] {
        ensure!(line(named, text)? == (0, expected.to_owned()), "{named}: {:?}", line(named, text)?);
    }
    for (named, says) in [
        ("app.git#none", "named context src: http://WEB/app.git: repository does not contain ref none"),
        ("none.git", "named context src: http://WEB/none.git: "),
    ] {
        let (code, text) = line(named, "FROM src\n")?;
        ensure!(code == 1 && text.contains(&repository.text(says)), "{named}: {text}");
    }
    Ok(())
}

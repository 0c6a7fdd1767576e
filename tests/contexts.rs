//! Contexts that are no files of a case: what comes on standard input, or over HTTP.
#![forbid(unsafe_code)]

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use e2e::process::output;
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
    let folder = TempDir::new()?;
    let layout = folder.path().join("layout");
    let work = folder.path().join("work");
    let mut command = Bako::built()?.command();
    command.args(arguments).arg("--no-push").arg("--oci-layout-path").arg(&layout);
    command.arg("--work-dir").arg(&work).current_dir(folder.path());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut stdin = child.stdin.take().context("a pipe")?;
    let input = input.to_owned();
    // Who does not read to the end is told by an error, which is not ours.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let ended = child.wait_with_output()?;
    writer.join().map_err(|_| anyhow::anyhow!("the writer panicked"))?;
    let left = fs::read_dir(&work)?.count();
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

//! Archives as contexts, from every kind of place: a good one, two that want out, half of one, and none at all.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "shared with tests of crates, which fail by panicking"
)]

#[path = "../crates/objects/tests/support/emulator.rs"]
#[allow(dead_code, unreachable_pub, missing_docs, reason = "shared with tests of crates")]
mod emulator;

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use e2e::authority::{Authority, Pair};
use e2e::process::output;
use e2e::web::Web;
use e2e::{Bako, require};
use emulator::Emulator;
use tempfile::TempDir;

/// What must not be in any image.
const OUTSIDE: &str = "nobody's business";

/// Makes the archives; the first argument is their folder, the second one a folder outside.
const MAKE: &str = r"
import io, os, sys, tarfile
here, outside = sys.argv[1:]
def archive(name, entries):
    tar = tarfile.open(os.path.join(here, name), 'w:gz')
    for kind, path, text in [('file', 'Dockerfile', 'FROM scratch\nCOPY . /\n'), ('file', 'a', 'a')] + entries:
        entry = tarfile.TarInfo(path)
        if kind == 'file':
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text.encode()))
        else:
            entry.type, entry.linkname = {'symlink': tarfile.SYMTYPE, 'link': tarfile.LNKTYPE}[kind], text
            tar.addfile(entry)
    tar.close()
archive('good.tar.gz', [])
archive('paths.tar.gz', [
    ('file', '../../outside/x', 'x'), ('file', outside + '/y', 'y'),
    ('symlink', 'l', outside), ('file', 'l/z', 'z'), ('symlink', 'secret', outside + '/secret'),
])
archive('link.tar.gz', [('link', 'stolen', outside + '/secret')])
whole = open(os.path.join(here, 'good.tar.gz'), 'rb').read()
open(os.path.join(here, 'broken.tar.gz'), 'wb').write(whole[:len(whole) // 2])
";

/// The archives, and what each comes to: an exit code, and what is said.
const ARCHIVES: [(&str, i32, &str); 5] = [
    ("good.tar.gz", 0, ""),
    ("paths.tar.gz", 0, ""),
    ("link.tar.gz", 1, "stolen"),
    ("broken.tar.gz", 1, "damaged gzip data"),
    ("missing.tar.gz", 1, "missing.tar.gz"),
];

/// The archives in `archives`, and what they want to get at in `outside`.
struct Site {
    bako: Bako,
    folder: TempDir,
}

impl Site {
    fn new() -> Result<Self> {
        let site = Self { bako: Bako::built()?, folder: tempfile::tempdir()? };
        for folder in ["archives", "outside", "work"] {
            fs::create_dir(site.path(folder))?;
        }
        fs::write(site.path("outside/secret"), OUTSIDE)?;
        let mut make = Command::new("python3");
        output(make.args(["-c", MAKE]).arg(site.path("archives")).arg(site.path("outside")))?;
        Ok(site)
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    /// The archives that exist, with their files.
    fn archives(&self) -> impl Iterator<Item = (&'static str, PathBuf)> {
        let files = ARCHIVES.map(|(name, ..)| (name, self.path("archives").join(name)));
        files.into_iter().filter(|(_, file)| file.exists())
    }

    /// Builds from each archive; `context` says how it is asked for.
    fn check(&self, context: impl Fn(&mut Command, &str) -> Result<()>) -> Result<()> {
        for (name, code, says) in ARCHIVES {
            self.build(name, code, says, &context).with_context(|| name.to_owned())?;
        }
        Ok(())
    }

    fn build(
        &self,
        name: &str,
        code: i32,
        says: &str,
        context: impl Fn(&mut Command, &str) -> Result<()>,
    ) -> Result<()> {
        let layout = self.path(&format!("{name}.layout"));
        let mut command = self.bako.command();
        command.env_clear().env("HOME", self.folder.path()).env("AWS_EC2_METADATA_DISABLED", "true");
        command.stdin(Stdio::null()).arg("--no-push").arg("--oci-layout-path").arg(&layout);
        command.arg("--work-dir").arg(self.path("work"));
        context(&mut command, name)?;
        let ended = command.output()?;
        let stderr = String::from_utf8_lossy(&ended.stderr);
        ensure!(ended.status.code() == Some(code) && stderr.contains(says), "{:?}: {stderr}", ended.status);
        let names = |folder: &str| -> Result<Vec<_>> {
            fs::read_dir(self.path(folder))?.map(|entry| Ok(entry?.file_name())).collect()
        };
        assert_eq!(names("outside")?, ["secret"], "written outside");
        assert_eq!(fs::read_to_string(self.path("outside/secret"))?, OUTSIDE);
        ensure!(names("work")?.is_empty(), "left in the work directory");
        if code == 0 {
            let script = "for blob in \"$1\"/blobs/sha256/*; do gzip -dcq \"$blob\" 2> /dev/null; done";
            let mut unpack = Command::new("sh");
            let layers = output(unpack.args(["-c", &format!("{script}; true"), "sh"]).arg(&layout))?;
            ensure!(layers.contains("Dockerfile") && !layers.contains(OUTSIDE), "{layers}");
            // The archive itself is no file of the context.
            ensure!(!layers.contains(".tar"), "{layers}");
        }
        Ok(())
    }
}

#[test]
fn files_and_standard_input() -> Result<()> {
    if !require(&["python3"]) {
        return Ok(());
    }
    let site = Site::new()?;
    site.check(|command, name| {
        command.arg("--context").arg(format!("tar://{}", site.path("archives").join(name).display()));
        Ok(())
    })?;
    for (name, code, says) in ARCHIVES.into_iter().filter(|(name, ..)| *name != "missing.tar.gz") {
        site.build(name, code, says, |command, name| {
            let file = File::open(site.path("archives").join(name))?;
            command.args(["--context", "tar://stdin"]).stdin(file);
            Ok(())
        })?;
    }
    Ok(())
}

#[test]
fn a_web_server() -> Result<()> {
    if !require(&["python3"]) {
        return Ok(());
    }
    let site = Site::new()?;
    let web = Web::start("")?;
    for (name, file) in site.archives() {
        web.write(name, fs::read(file)?)?;
    }
    site.check(|command, name| {
        command.arg("--context").arg(format!("http://{}/{name}", web.address));
        Ok(())
    })
}

/// Puts a file, or nothing, by TLS; the key is that of an account at Azure, if there is one.
const PUT: &str = r"
import base64, hashlib, hmac, http.client, ssl, sys
from email.utils import formatdate
address, key, path, query, file = sys.argv[1:]
body = open(file, 'rb').read() if file else b''
# Buckets of S3 are open to nobody else.
headers = {'Content-Length': str(len(body)), 'x-amz-acl': 'public-read'}
if key:
    known = {'x-ms-date': formatdate(usegmt=True), 'x-ms-version': '2021-12-02'}
    if file:
        known['x-ms-blob-type'] = 'BlockBlob'
    account = path.split('/')[1]
    lines = ['PUT', '', '', str(len(body)) if body else ''] + [''] * 8
    lines += sorted(f'{name}:{value}' for name, value in known.items())
    lines += [f'/{account}{path}'] + ([query.replace('=', ':')] if query else [])
    signature = hmac.new(base64.b64decode(key), '\n'.join(lines).encode(), hashlib.sha256).digest()
    headers.update(known, Authorization=f'SharedKey {account}:{base64.b64encode(signature).decode()}')
connection = http.client.HTTPSConnection(address, context=ssl._create_unverified_context())
connection.request('PUT', path + ('?' + query if query else ''), body, headers)
answer = connection.getresponse()
sys.exit(0 if answer.status in (200, 201) else f'{answer.status}: {answer.read()}')
";

/// Puts a folder's name, and the archives in it.
fn put_all(site: &Site, emulator: &Emulator, key: &str, folder: &str, query: &str) -> Result<()> {
    let put = |path: &str, query: &str, file: &str| {
        output(Command::new("python3").args(["-c", PUT, &emulator.address, key, path, query, file]))
    };
    put(folder, query, "")?;
    for (name, file) in site.archives() {
        put(&format!("{folder}/{name}"), "", &file.to_string_lossy())?;
    }
    Ok(())
}

/// As S3's protocol has it, and as anybody sees it at its URL; both by TLS.
#[test]
fn s3_and_https() -> Result<()> {
    if !require(&["python3", "openssl"]) {
        return Ok(());
    }
    let authority = Authority::new()?;
    let Pair { certificate, key } = authority.issue("server", "IP:127.0.0.1")?;
    let (certificate, key) = (certificate.display().to_string(), key.display().to_string());
    let arguments = ["-H", "127.0.0.1", "-p", "$PORT", "--ssl-cert", &certificate, "--ssl-key", &key];
    let Some(moto) = Emulator::start("moto_server", &arguments, &[]) else { return Ok(()) };
    let site = Site::new()?;
    put_all(&site, &moto, "", "/bucket", "")?;
    let endpoint = format!("https://{}", moto.address);
    site.check(|command, name| {
        command.env("S3_ENDPOINT", &endpoint).env("S3_FORCE_PATH_STYLE", "true");
        command.env("AWS_ACCESS_KEY_ID", "AKID").env("AWS_SECRET_ACCESS_KEY", "hush");
        command.env("AWS_REGION", "us-east-1").env("SSL_CERT_FILE", authority.own().certificate);
        command.arg("--context").arg(format!("s3://bucket/{name}"));
        Ok(())
    })?;
    let trusted = format!("{}={}", moto.address, authority.own().certificate.display());
    site.check(|command, name| {
        command
            .args(["--registry-certificate", &trusted, "--context"])
            .arg(format!("{endpoint}/bucket/{name}"));
        Ok(())
    })
}

#[test]
fn google_cloud_storage() -> Result<()> {
    if !require(&["python3"]) {
        return Ok(());
    }
    let arguments = ["start", "--host=127.0.0.1", "--port=$PORT", "--in-memory", "--default-bucket=bucket"];
    let Some(emulator) = Emulator::start("gcp-storage-emulator", &arguments, &[]) else { return Ok(()) };
    let site = Site::new()?;
    for (name, file) in site.archives() {
        let path = format!("/upload/storage/v1/b/bucket/o?uploadType=media&name={name}");
        let headers = [("Content-Type", "application/gzip")];
        let (status, body) = emulator.send("POST", &path, &headers, &fs::read(file)?);
        ensure!(status == 200, "{status}: {body}");
    }
    site.check(|command, name| {
        command.env("STORAGE_EMULATOR_HOST", &emulator.address);
        command.arg("--context").arg(format!("gs://bucket/{name}"));
        Ok(())
    })
}

/// The account that azurite has, with the key that its manual tells.
const ACCOUNT: &str = "devstoreaccount1";
const KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// Under the name that the account has at Azure: a proxy leads to the emulator.
#[test]
fn azure() -> Result<()> {
    if !require(&["python3", "openssl"]) {
        return Ok(());
    }
    let authority = Authority::new()?;
    let host = format!("{ACCOUNT}.blob.core.windows.net");
    let Pair { certificate, key } = authority.issue("server", &format!("IP:127.0.0.1,DNS:{host}"))?;
    let (certificate, key) = (certificate.display().to_string(), key.display().to_string());
    let arguments = [
        "--blobHost",
        "127.0.0.1",
        "--blobPort",
        "$PORT",
        "--inMemoryPersistence",
        "--skipApiVersionCheck",
        "--silent",
        "--disableTelemetry",
        "--cert",
        &certificate,
        "--key",
        &key,
    ];
    let Some(emulator) = Emulator::start("azurite-blob", &arguments, &[]) else { return Ok(()) };
    let site = Site::new()?;
    put_all(&site, &emulator, KEY, &format!("/{ACCOUNT}/container"), "restype=container")?;
    let proxy = tunnel(&emulator.address)?;
    site.check(|command, name| {
        command.env("AZURE_STORAGE_ACCESS_KEY", KEY).env("HTTPS_PROXY", &proxy);
        command.env("SSL_CERT_FILE", authority.own().certificate);
        command.arg("--context").arg(format!("https://{host}/container/{name}"));
        Ok(())
    })
}

/// A proxy that leads every CONNECT to one address; its URL. It ends with the tests.
fn tunnel(to: &str) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}", listener.local_addr()?);
    let to = to.to_owned();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let to = to.clone();
            // Who hangs up early is judged by its own test.
            std::thread::spawn(move || drop(join(stream, &to)));
        }
    });
    Ok(url)
}

fn join(mut client: TcpStream, to: &str) -> Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    let mut line = String::new();
    // Nothing of what follows comes before the answer.
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    let mut server = TcpStream::connect(to)?;
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    let (mut from, mut back) = (server.try_clone()?, client.try_clone()?);
    let answers = std::thread::spawn(move || std::io::copy(&mut from, &mut back));
    std::io::copy(&mut client, &mut server)?;
    server.shutdown(std::net::Shutdown::Write)?;
    drop(answers.join());
    Ok(())
}

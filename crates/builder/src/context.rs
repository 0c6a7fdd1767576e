//! Contexts: from where the user says that files are to a directory of this machine.
//!
//! What is not a directory already becomes one below the work directory, and goes with it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use dockerfile::GitUrl;
use download::{Downloader, Outcome, Request};
use layer::{Content, Metadata, Sink, TreePath};
use rootfs::{Applier, Ownership, Root};
use sandbox::{Cancel, Secret};
use tokio::runtime::Handle;
use transport::Network;

use crate::copy::{DirectorySource, FoundKind, Source};
use crate::error::{Context, Error, Result};
use crate::interruptible::Patient;
use crate::waiting::cancelled;
use crate::{WorkDir, checkout};

/// Where the files of the build context are.
#[derive(Debug)]
pub enum ContextLocation {
    /// In a directory, which is used where it is.
    Directory(PathBuf),
    /// In a tar archive, plain or packed with gzip, bzip2, xz or zstd.
    Archive(PathBuf),
    /// In a tar archive that comes from an open file, such as standard input.
    Stream(File),
    /// In a tar archive at a URL.
    Http(String),
    /// In a tar archive that this request is for, as an object in a bucket.
    Object(Box<Request>),
    /// In a git repository.
    Git(Box<GitUrl>),
}

/// What it takes to bring files here.
#[derive(Debug, Clone, Copy)]
pub struct Fetching<'a> {
    /// How servers are met.
    pub network: &'a Network,
    /// The most bytes that a download may have.
    pub limit: Option<u64>,
    /// What may be said to them, by id.
    pub secrets: &'a BTreeMap<String, Secret>,
    /// Sockets of SSH agents, by id.
    pub agents: &'a BTreeMap<String, PathBuf>,
    /// Where requests run.
    pub runtime: &'a Handle,
    /// Where files go.
    pub work_dir: &'a WorkDir,
    /// What ends it early.
    pub cancel: &'a Cancel,
}

/// A build context that is here.
#[derive(Debug)]
pub struct BuildContext {
    /// Its directory.
    pub directory: PathBuf,
    /// Where it comes from.
    pub origin: ContextOrigin,
}

/// Where the files of a build context come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContextOrigin {
    /// They are where the user has them.
    Local,
    /// From an archive. No ignore file counts there, since nothing was left out of it when it was made.
    Archive,
    /// From a repository. Its ignore file counts, as with Kaniko: a checkout is what it was written for.
    Repository {
        /// The repository, without credentials.
        location: String,
        /// The commit, 40 hexadecimal digits.
        commit: String,
    },
}

/// What a build reads as a whole, as a Dockerfile: far more than anybody writes.
const TEXT_LIMIT: u64 = 16 << 20;

/// How messages call the main context.
pub(crate) const BUILD_CONTEXT: &str = "the build context";

impl BuildContext {
    /// Brings a context here. `below` is the directory of it that is meant, if not all.
    pub fn fetch(location: ContextLocation, below: Option<&str>, fetching: Fetching<'_>) -> Result<Self> {
        let fetched = fetching.work_dir.path().join("context");
        let cancel = fetching.cancel;
        let (directory, origin) = match location {
            ContextLocation::Directory(directory) => (directory, ContextOrigin::Local),
            ContextLocation::Archive(path) => {
                unpack_file(&path, &fetched, cancel)?;
                (fetched, ContextOrigin::Archive)
            }
            ContextLocation::Stream(stream) => {
                unpack(stream, &fetched, cancel).map_err(|error| error.during("standard input"))?;
                (fetched, ContextOrigin::Archive)
            }
            ContextLocation::Http(url) => {
                unpack_url(&url, &fetched, fetching)?;
                (fetched, ContextOrigin::Archive)
            }
            ContextLocation::Git(url) => {
                let checkout = fetching.check_out(&url, &fetched)?;
                let location = checkout::location(&url)?.0.to_string();
                (checkout.path, ContextOrigin::Repository { location, commit: checkout.commit })
            }
            ContextLocation::Object(request) => {
                unpack_request(&request, &fetched, fetching)?;
                (fetched, ContextOrigin::Archive)
            }
        };
        let whole = DirectorySource::open(BUILD_CONTEXT, &directory, None)?;
        let directory = match below {
            None => directory,
            Some(below) => directory.join(directory_below(&whole, below)?.as_relative()),
        };
        Ok(BuildContext { directory, origin })
    }

    /// The text of a file, links followed inside the context; `None` if there is none.
    pub fn read_text(&self, path: &str) -> Result<Option<String>> {
        let source = DirectorySource::open(BUILD_CONTEXT, &self.directory, None)?;
        read_text(&source, path)
    }
}

/// A directory of a source, links followed inside it.
fn directory_below(source: &DirectorySource, below: &str) -> Result<TreePath> {
    let path = source.resolve(&TreePath::root().join_clean(below)?)?;
    match source.get(&path)?.map(|found| found.kind) {
        Some(FoundKind::Directory) => Ok(path),
        Some(_) => Err(Error::new(format!("{below:?} in {} is not a directory", source.describe()))),
        None => Err(Error::new(format!("no directory {below:?} in {}", source.describe()))),
    }
}

/// The text of a file of a source; `None` if there is none.
fn read_text(source: &DirectorySource, path: &str) -> Result<Option<String>> {
    let during = format!("{path} in {}", source.describe());
    let path = source.resolve(&TreePath::root().join_clean(path)?)?;
    if !matches!(source.get(&path)?.map(|found| found.kind), Some(FoundKind::File { .. })) {
        return Ok(None);
    }
    let mut text = String::new();
    let read = source.open(&path)?.take(TEXT_LIMIT + 1).read_to_string(&mut text).during(&during)?;
    if read as u64 > TEXT_LIMIT {
        return Err(Error::new(format!("{during} is larger than {TEXT_LIMIT} bytes")));
    }
    Ok(Some(text))
}

/// A local directory as a named context: its own ignore file counts.
pub(crate) fn open_named(name: &str, directory: &Path) -> Result<DirectorySource> {
    let name = describe(name);
    let whole = DirectorySource::open(&name, directory, None)?;
    let ignore = read_text(&whole, ".dockerignore")?;
    DirectorySource::open(&name, directory, ignore.as_deref())
}

/// How messages call a named context.
pub(crate) fn describe(name: &str) -> String {
    format!("named context {name}")
}

/// The text at a URL, such as a Dockerfile.
pub fn download_text(url: &str, fetching: Fetching<'_>) -> Result<String> {
    let (file, shown) = download(&request(url)?, fetching)?;
    let mut text = String::new();
    let read = file.take(TEXT_LIMIT + 1).read_to_string(&mut text).during(&shown)?;
    if read as u64 > TEXT_LIMIT {
        return Err(Error::new(format!("{shown} is larger than {TEXT_LIMIT} bytes")));
    }
    Ok(text)
}

/// Downloads an archive, and unpacks it into a new directory.
pub(crate) fn unpack_url(url: &str, directory: &Path, fetching: Fetching<'_>) -> Result<()> {
    unpack_request(&request(url)?, directory, fetching)
}

fn request(url: &str) -> Result<Request> {
    Request::new(url).map_err(|error| Error::new(error.to_string()))
}

/// Downloads what a request is for, and unpacks it into a new directory.
fn unpack_request(request: &Request, directory: &Path, fetching: Fetching<'_>) -> Result<()> {
    let (file, shown) = download(request, fetching)?;
    unpack(file, directory, fetching.cancel).map_err(|error| error.during(shown))
}

/// Downloads a file that goes when it is closed, and says what to call it.
fn download(request: &Request, fetching: Fetching<'_>) -> Result<(File, String)> {
    let mut request = request.clone();
    request.limit = request.limit.or(fetching.limit);
    let downloader = Downloader::new(fetching.network.clone()).map_err(Error::new)?;
    let outcome = fetching.runtime.block_on(async {
        tokio::select! {
            outcome = downloader.fetch(&request, fetching.work_dir.path()) => outcome.map_err(|error| {
                let hint = error.hint();
                let converted = Error::from_chain(&error);
                match hint {
                    Some(hint) => converted.hint(hint),
                    None => converted,
                }
            }),
            signal = cancelled(fetching.cancel) => Err(Error::ended_by(signal)),
        }
    })?;
    // A query may be a signature.
    let mut shown = request.url().clone();
    shown.set_query(None);
    let Outcome::Fetched(fetched) = outcome else {
        return Err(Error::new(format!(
            "{shown}: the server says that it is unchanged, which was not asked"
        )));
    };
    let file = File::open(&fetched.path).during(fetched.path.display())?;
    // Its bytes are ours until the file is closed.
    std::fs::remove_file(&fetched.path).during(fetched.path.display())?;
    Ok((file, shown.to_string()))
}

/// Unpacks an archive of this disk into a new directory.
fn unpack_file(archive: &Path, directory: &Path, cancel: &Cancel) -> Result<()> {
    let file = File::open(archive).during(archive.display())?;
    unpack(file, directory, cancel).map_err(|error| error.during(archive.display()))
}

/// Unpacks an archive into a new directory. Nothing in it can reach outside.
fn unpack(archive: impl Read + AsFd + Send, directory: &Path, cancel: &Cancel) -> Result<()> {
    std::fs::create_dir(directory).during(directory.display())?;
    let root = Root::open(directory).during(directory.display())?;
    let mut applier = Applier::new(&root, Ownership::Kernel);
    let owner = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let mut sink = Ours { sink: &mut applier, owner, entries: 0 };
    layer::read_archive(Patient { inner: archive, cancel }, &mut sink)?;
    if sink.entries == 0 {
        return Err(Error::new("the archive is empty"));
    }
    applier.finish()?;
    Ok(())
}

/// Hands everything on as ours. Who owns the files of a context is none of the image's business, and we may
/// not be allowed to give them away.
struct Ours<'a> {
    sink: &'a mut dyn Sink,
    owner: (u32, u32),
    entries: u64,
}

impl Sink for Ours<'_> {
    fn put(&mut self, path: &TreePath, metadata: &Metadata, content: Content<'_>) -> io::Result<()> {
        self.entries += 1;
        let (uid, gid) = self.owner;
        self.sink.put(path, &Metadata { uid, gid, ..metadata.clone() }, content)
    }

    fn link(&mut self, path: &TreePath, target: &TreePath) -> io::Result<()> {
        self.sink.link(path, target)
    }

    fn remove(&mut self, path: &TreePath) -> io::Result<()> {
        self.sink.remove(path)
    }

    fn clear(&mut self, path: &TreePath) -> io::Result<()> {
        self.sink.clear(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An archive: `name` a file of that content, `name/` a directory, `name -> target` a link.
    fn archive(entries: &[&str]) -> Vec<u8> {
        let mut archive = tar::Builder::new(Vec::new());
        for entry in entries {
            let mut header = tar::Header::new_gnu();
            header.set_mode(if entry.ends_with('/') { 0o755 } else { 0o644 });
            header.set_uid(1234);
            if let Some((name, target)) = entry.split_once(" -> ") {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_size(0);
                archive.append_link(&mut header, name, target).unwrap();
                continue;
            }
            if entry.ends_with('/') {
                header.set_entry_type(tar::EntryType::Directory);
            }
            let data = if entry.ends_with('/') { "" } else { entry };
            header.set_size(data.len() as u64);
            // The crate refuses to write what an attacker would.
            header.as_gnu_mut().unwrap().name[..entry.len()].copy_from_slice(entry.as_bytes());
            header.set_cksum();
            archive.append(&header, data.as_bytes()).unwrap();
        }
        archive.into_inner().unwrap()
    }

    /// A context fetched from an archive of these entries.
    fn fetched(entries: &[&str], below: Option<&str>) -> (tempfile::TempDir, WorkDir, Result<BuildContext>) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("context.tar");
        std::fs::write(&path, archive(entries)).unwrap();
        let work_dir = WorkDir::create(&directory.path().join("work")).unwrap();
        let network = Network::default();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let (runtime, cancel) = (runtime.handle(), &Cancel::new());
        let (secrets, agents) = (&BTreeMap::new(), &BTreeMap::new());
        let network = &network;
        let fetching =
            Fetching { network, limit: None, secrets, agents, runtime, work_dir: &work_dir, cancel };
        let context = BuildContext::fetch(ContextLocation::Archive(path), below, fetching);
        (directory, work_dir, context)
    }

    #[test]
    fn files_of_an_archive() {
        for (entries, below, path, expected) in [
            (&["a", "d/", "d/b"][..], None, "d/b", Ok(Some("d/b"))),
            (&["d/b"], Some("d"), "b", Ok(Some("d/b"))),
            (&["d/b", "l -> d"], Some("l"), "b", Ok(Some("d/b"))),
            (&["d/b"], Some("../d/../d/"), "b", Ok(Some("d/b"))),
            (&["a", "l -> a"], None, "l", Ok(Some("a"))),
            (&["a"], None, "b", Ok(None)),
            (&["d/"], None, "d", Ok(None)),
            (&["a"], Some("a"), "", Err("\"a\" in the build context is not a directory")),
            (&["a"], Some("b"), "", Err("no directory \"b\" in the build context")),
            (&[], None, "", Err("the archive is empty")),
            // Nothing leads outside.
            (&["l -> /etc/passwd"], None, "l", Ok(None)),
            (&["l -> ../../../../../../etc"], Some("l"), "", Err("no directory \"l\"")),
            (&["l -> /", "l/x"], None, "x", Ok(Some("l/x"))),
            (&["../../x"], None, "x", Ok(Some("../../x"))),
        ] {
            let (_directory, _work_dir, context) = fetched(entries, below);
            let found = context.and_then(|context| {
                assert_eq!(context.origin, ContextOrigin::Archive);
                context.read_text(path)
            });
            match (found, expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found.as_deref(), expected, "{entries:?}"),
                (Err(error), Err(text)) => assert!(error.message.contains(text), "{error}"),
                (found, expected) => panic!("{entries:?}: {found:?}, not {expected:?}"),
            }
        }
    }

    #[test]
    fn what_is_no_archive() {
        for (bytes, says) in [
            (&b""[..], "the archive is empty"),
            (b"FROM scratch\n", "damaged tar"),
            (b"\x1f\x8b\x08\x00half of a gzip", "damaged gzip data"),
            (&archive(&["a long enough file"])[..600], "damaged tar"),
        ] {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("context.tar");
            std::fs::write(&path, bytes).unwrap();
            let error = unpack_file(&path, &directory.path().join("to"), &Cancel::new()).unwrap_err();
            assert!(error.message.contains(says), "{error}");
            assert!(error.message.contains("context.tar"), "{error}");
        }
    }

    #[test]
    fn a_named_directory_has_its_own_ignore_file() {
        let directory = tempfile::tempdir().unwrap();
        for (path, text) in [("a", ""), ("b", ""), (".dockerignore", "b\n")] {
            std::fs::write(directory.path().join(path), text).unwrap();
        }
        let source = open_named("assets", directory.path()).unwrap();
        let is_there = |path: &str| source.get(&TreePath::new(path).unwrap()).unwrap().is_some();
        assert!(is_there("a") && !is_there("b"));
        assert_eq!(source.describe(), "named context assets");
        let error = open_named("assets", Path::new("/no/such")).err().unwrap();
        assert!(error.message.starts_with("named context assets: /no/such"), "{error}");
    }
}

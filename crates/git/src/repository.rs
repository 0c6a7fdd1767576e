//! One repository: found out which commit is meant, fetched, checked out; then its submodules, each in the same way.

use std::fs;
use std::path::Path;

use gix::ObjectId;
use gix::bstr::ByteSlice as _;
use transport::Backoff;

use crate::checkout::{settle, settle_root, write_files};
use crate::connect::Connector;
use crate::error::{Error, ErrorKind, words};
use crate::fetch::{Depth, Reference, Session};
use crate::submodule::submodules;
use crate::tree::index_of;
use crate::{Authorization, Location, Request, Revision, Times};

/// Submodules inside submodules: so deep, and no repository can hold itself for ever.
const NESTING: usize = 20;

/// What was found where a revision points.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Target {
    /// A commit, or a tag that leads to one.
    id: ObjectId,
    /// The reference, if it was found by one.
    reference: Option<String>,
}

/// A commit that is checked out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Commit {
    pub(crate) id: ObjectId,
    /// When it was made, in seconds since 1970.
    pub(crate) time: i64,
}

/// Which of a repository's commits, and what of it, for the repository itself or for one of its submodules.
pub(crate) struct Wanted<'a> {
    pub(crate) location: &'a Location,
    /// What stood in the repository's address.
    pub(crate) authorization: Option<Authorization>,
    pub(crate) revision: &'a Revision,
    pub(crate) checksum: Option<&'a str>,
    /// The time that files get, once the outermost commit is known.
    pub(crate) time: Option<i64>,
    pub(crate) nesting: usize,
}

/// Checks a repository out into an empty directory, with its submodules.
pub(crate) fn check_out(
    connector: &Connector,
    request: &Request,
    wanted: Wanted<'_>,
    directory: &Path,
) -> Result<Commit, Error> {
    let location = wanted.location.to_string();
    run(connector, request, wanted, directory).map_err(|kind| Error { location, kind })
}

fn run(
    connector: &Connector,
    request: &Request,
    wanted: Wanted<'_>,
    directory: &Path,
) -> Result<Commit, ErrorKind> {
    if wanted.nesting > NESTING {
        let reason = format!("submodules are nested more than {NESTING} deep");
        return Err(ErrorKind::Invalid { reason });
    }
    let failed = |error: gix::Error| ErrorKind::protocol(words(error.error()));
    let repository = create(directory)?;
    let git_dir = directory.join(".git");
    let target = fetch(connector, request, &wanted, &git_dir)?;
    let object = repository.find_object(target.id).map_err(failed)?;
    let commit = object.peel_to_commit().map_err(|_| ErrorKind::Invalid {
        reason: format!("{} does not lead to a commit", wanted.revision),
    })?;
    if let Some(expected) = wanted.checksum {
        let is_it = |id: ObjectId| id.to_string().starts_with(&expected.to_ascii_lowercase());
        if !is_it(commit.id) && !is_it(target.id) {
            let (expected, actual) = (expected.to_owned(), commit.id.to_string());
            return Err(ErrorKind::Checksum { expected, actual });
        }
    }
    let made = commit.time().map_err(failed)?.seconds;
    let time = wanted.time.or((request.times == Times::Commit).then_some(made));
    let tree = commit.tree_id().map_err(failed)?.detach();
    let mut index = index_of(&repository, tree, &connector.stop)?;
    write_files(&repository, &mut index, directory, &connector.stop)?;
    if request.submodules {
        for submodule in submodules(&repository, &index, wanted.location)? {
            let path = directory.join(submodule.path.to_path_lossy());
            let shown = crate::checkout::shown(submodule.path.as_bstr());
            let inner = Wanted {
                location: &submodule.location,
                authorization: submodule.authorization,
                revision: &Revision::Commit(submodule.commit.to_string()),
                checksum: None,
                time,
                nesting: wanted.nesting + 1,
            };
            check_out(connector, request, inner, &path)
                .map_err(|error| ErrorKind::Submodule { path: shown, source: Box::new(error) })?;
        }
    }
    settle(&mut index, directory, time)?;
    if request.keep_git_dir {
        keep(&git_dir, &target, commit.id, wanted.location)?;
        let mut file = gix::index::File::from_state(index, git_dir.join("index"));
        file.write(gix::index::write::Options::default()).map_err(failed)?;
    } else {
        fs::remove_dir_all(&git_dir).map_err(|error| ErrorKind::write(&git_dir, error))?;
    }
    settle_root(directory, time)?;
    Ok(Commit { id: commit.id, time: made })
}

/// An empty repository that obeys no configuration of this machine.
fn create(directory: &Path) -> Result<gix::Repository, ErrorKind> {
    let options = gix::create::Options {
        destination_must_be_empty: Some(true),
        fs_capabilities: Some(gix::fs::Capabilities {
            precompose_unicode: false,
            ignore_case: false,
            executable_bit: true,
            symlink: true,
        }),
        ..Default::default()
    };
    let kind = gix::create::Kind::WithWorktree;
    let repository =
        gix::ThreadSafeRepository::init_opts(directory, kind, options, gix::open::Options::isolated());
    match repository {
        Ok(repository) => Ok(repository.to_thread_local()),
        Err(error) => {
            let source = std::io::Error::other(words(error.error()));
            Err(ErrorKind::write(directory, source))
        }
    }
}

/// Brings the commit's objects here; tried again where that may help.
fn fetch(
    connector: &Connector,
    request: &Request,
    wanted: &Wanted<'_>,
    git_dir: &Path,
) -> Result<Target, ErrorKind> {
    let by_host = wanted.location.authority().and_then(|host| request.authorizations.get(&host));
    let authorization = wanted.authorization.as_ref().or(by_host);
    let mut backoff = Backoff::new(&connector.options.network.retry);
    let mut depth = Depth::One;
    loop {
        let error = match attempt(connector, wanted, authorization, git_dir, depth) {
            Ok(target) => return Ok(target),
            Err(error) => error,
        };
        // Not every server hands out a commit by its id, or one without its history.
        if matches!(error, ErrorKind::Protocol { .. }) && depth == Depth::One {
            tracing::debug!(location = %wanted.location, %error, "again with all history");
            depth = Depth::Full;
            continue;
        }
        let Some(delay) = error.is_transient().then(|| backoff.next(None)).flatten() else {
            return Err(error);
        };
        tracing::debug!(location = %wanted.location, %error, ?delay, "again");
        let slept = connector.runtime.block_on(connector.stop.or(tokio::time::sleep(delay)));
        if slept.is_none() {
            return Err(ErrorKind::Cancelled);
        }
    }
}

fn attempt(
    connector: &Connector,
    wanted: &Wanted<'_>,
    authorization: Option<&Authorization>,
    git_dir: &Path,
    depth: Depth,
) -> Result<Target, ErrorKind> {
    let mut session = Session::open(connector, wanted.location, authorization)?;
    if let Some(id) = commit_id(wanted.revision) {
        let wants = match depth {
            Depth::One => vec![id],
            // Whatever leads to it.
            Depth::Full => {
                let prefixes = ["refs/heads/".to_owned(), "refs/tags/".to_owned()];
                match session.references(&prefixes) {
                    Ok(references) => references.iter().map(|reference| reference.id).collect(),
                    Err(told) => return Err(session.explain(told)),
                }
            }
        };
        if let Err(told) = session.fetch(git_dir, &wants, depth) {
            return Err(session.explain(told));
        }
        let there = gix::open_opts(git_dir, gix::open::Options::isolated())
            .is_ok_and(|repository| repository.try_find_header(id).is_ok_and(|header| header.is_some()));
        return match there {
            true => Ok(Target { id, reference: None }),
            false => Err(ErrorKind::NoSuchRevision { revision: wanted.revision.to_string() }),
        };
    }
    let candidates = candidates(wanted.revision);
    let references = match session.references(&candidates) {
        Ok(references) => references,
        Err(told) => return Err(session.explain(told)),
    };
    let found = candidates
        .iter()
        .find_map(|name| references.iter().find(|reference| reference.name == *name))
        .ok_or_else(|| ErrorKind::NoSuchRevision { revision: wanted.revision.to_string() })?;
    let Reference { name, target, id, .. } = found.clone();
    if let Err(told) = session.fetch(git_dir, &[id], depth) {
        return Err(session.explain(told));
    }
    // HEAD stands for a branch, unless it is detached at the server too.
    let reference = if name == "HEAD" { target } else { Some(name) };
    Ok(Target { id, reference })
}

/// The id, if it is one that is asked for.
fn commit_id(revision: &Revision) -> Option<ObjectId> {
    match revision {
        Revision::Commit(text) | Revision::Name(text) => ObjectId::from_hex(text.as_bytes()).ok(),
        _ => None,
    }
}

/// The references that a revision may mean, the one preferred first.
fn candidates(revision: &Revision) -> Vec<String> {
    match revision {
        Revision::Default => vec!["HEAD".to_owned()],
        Revision::Name(name) if name == "HEAD" || name.starts_with("refs/") => vec![name.clone()],
        // As `git checkout` has it, a branch goes before a tag of the same name.
        Revision::Name(name) => {
            vec![format!("refs/heads/{name}"), format!("refs/tags/{name}"), format!("refs/{name}")]
        }
        Revision::Branch(name) => vec![format!("refs/heads/{name}")],
        Revision::Tag(name) => vec![format!("refs/tags/{name}")],
        Revision::Commit(_) => Vec::new(),
    }
}

/// Makes `.git` into what a clone would have left.
fn keep(git_dir: &Path, target: &Target, commit: ObjectId, location: &Location) -> Result<(), ErrorKind> {
    // Samples that nobody has asked for.
    let hooks = git_dir.join("hooks");
    fs::remove_dir_all(&hooks).map_err(|error| ErrorKind::write(&hooks, error))?;
    let mut config = format!(
        "[remote \"origin\"]\n\turl = {}\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n",
        quoted(&location.to_string())
    );
    let mut head = format!("{commit}\n");
    if let Some(name) = &target.reference {
        // The name comes from outside, and becomes a path.
        if gix::refs::FullName::try_from(name.as_str()).is_err() {
            return Err(ErrorKind::Invalid { reason: format!("{name:?} is no name of a reference") });
        }
        write_reference(git_dir, name, target.id)?;
        if let Some(branch) = name.strip_prefix("refs/heads/") {
            head = format!("ref: {name}\n");
            write_reference(git_dir, &format!("refs/remotes/origin/{branch}"), target.id)?;
            config +=
                &format!("[branch {}]\n\tremote = origin\n\tmerge = {}\n", quoted(branch), quoted(name));
        }
    }
    append(&git_dir.join("config"), &config)?;
    let path = git_dir.join("HEAD");
    fs::write(&path, head).map_err(|error| ErrorKind::write(&path, error))
}

fn write_reference(git_dir: &Path, name: &str, id: ObjectId) -> Result<(), ErrorKind> {
    let path = git_dir.join(name);
    let parent = path.parent().unwrap_or(git_dir);
    fs::create_dir_all(parent).map_err(|error| ErrorKind::write(parent, error))?;
    fs::write(&path, format!("{id}\n")).map_err(|error| ErrorKind::write(&path, error))
}

fn append(path: &Path, text: &str) -> Result<(), ErrorKind> {
    use std::io::Write as _;
    let file = fs::File::options().append(true).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|error| ErrorKind::write(path, error))
}

/// A value or a name as git's configuration writes it.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

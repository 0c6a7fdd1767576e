//! Requests: which repository, which of its commits, and what of it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use transport::{Network, Secret};

use crate::Location;

/// How repositories are reached.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// TLS, proxies and retries, for HTTP.
    pub network: Network,
    /// How ssh is run.
    pub ssh: Ssh,
    /// Whether a repository may be a path of this machine, read by the `git` program. For tests: no build
    /// may read what its context does not hold.
    pub local: bool,
}

/// The ssh program, which alone speaks that protocol here.
#[derive(Debug, Clone)]
pub struct Ssh {
    /// A name, looked up in `PATH`, or a path.
    pub program: PathBuf,
    /// Arguments before those that name host and command, as in `-i`, `/key`.
    pub arguments: Vec<String>,
    /// The socket of an agent; none is used without.
    pub agent: Option<PathBuf>,
}

impl Default for Ssh {
    fn default() -> Self {
        Ssh { program: PathBuf::from("ssh"), arguments: Vec::new(), agent: None }
    }
}

/// A checkout to be made.
#[derive(Debug, Clone)]
pub struct Request {
    /// Where the repository is.
    pub location: Location,
    /// Which commit.
    pub revision: Revision,
    /// What the commit's id, or that of the tag that leads to it, begins with: hexadecimal digits.
    pub checksum: Option<String>,
    /// What is wanted of it: a directory, by a path that is resolved inside the checkout.
    pub subdirectory: Option<String>,
    /// Whether submodules are fetched, and theirs.
    pub submodules: bool,
    /// Whether `.git` stays.
    pub keep_git_dir: bool,
    /// What times files get.
    pub times: Times,
    /// By host and, if it is in the URL, port: what to say to servers reached by HTTP. They go to no other host.
    pub authorizations: BTreeMap<String, Authorization>,
}

impl Request {
    /// The default branch, with submodules.
    #[must_use]
    pub fn new(location: Location) -> Self {
        Request {
            location,
            revision: Revision::Default,
            checksum: None,
            subdirectory: None,
            submodules: true,
            keep_git_dir: false,
            times: Times::Checkout,
            authorizations: BTreeMap::new(),
        }
    }
}

/// Which commit of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revision {
    /// That of the server's `HEAD`.
    Default,
    /// Whatever the name is of: a commit if it is the 40 digits of an id, a reference if it begins with `refs/`, else a
    /// branch, else a tag, else `refs/NAME`.
    Name(String),
    /// A branch.
    Branch(String),
    /// A tag.
    Tag(String),
    /// A commit, by its whole id.
    Commit(String),
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Revision::Default => f.write_str("default branch"),
            Revision::Name(name) => write!(f, "ref {name}"),
            Revision::Branch(name) => write!(f, "branch {name}"),
            Revision::Tag(name) => write!(f, "tag {name}"),
            Revision::Commit(id) => write!(f, "commit {id}"),
        }
    }
}

/// What modification times files get. Git keeps none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Times {
    /// That at which they are written.
    #[default]
    Checkout,
    /// That at which the commit was made, for all files of the checkout.
    Commit,
}

/// The value of an `Authorization` header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorization(Secret);

impl Authorization {
    /// A token, in the form that GitHub, GitLab, Gitea and BuildKit agree upon.
    #[must_use]
    pub fn token(token: &Secret) -> Self {
        Authorization::basic("x-access-token", token)
    }

    /// A user and a password.
    #[must_use]
    pub fn basic(user: &str, password: &Secret) -> Self {
        let both = STANDARD.encode(format!("{user}:{}", password.expose()));
        Authorization(Secret::new(format!("Basic {both}")))
    }

    /// The value as it is sent.
    #[must_use]
    pub fn header(value: Secret) -> Self {
        Authorization(value)
    }

    pub(crate) fn value(&self) -> &Secret {
        &self.0
    }
}

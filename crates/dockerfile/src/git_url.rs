//! Git URLs: a repository, and what of it is meant, in the forms that BuildKit knows.
//!
//! `https://host/repository.git`, `ssh://…`, `git://…` or `user@host:repository`, then either a fragment
//! `#ref:subdirectory` or a [query]. A URL over HTTP is a repository only if its path ends in `.git`.
//!
//! [query]: https://docs.docker.com/build/concepts/context/#url-queries

use std::fmt;

use crate::mount::boolean;
use crate::percent::decode;

/// A reference to a git repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitUrl {
    /// What git itself is given: the URL without its query and fragment.
    pub remote: String,
    /// How the repository is reached.
    pub transport: GitTransport,
    /// The host, with its port if one is given and without the user: what credentials are chosen by.
    pub host: String,
    /// A branch, a tag, or a commit; `refs/heads/x` or `refs/tags/x` if the query says which. `None` is
    /// the repository's default branch.
    pub reference: Option<String>,
    /// The directory of the repository that is meant; `None` is all of it.
    pub subdirectory: Option<String>,
    /// The commit the reference has to lead to, or the beginning of its name; hexadecimal digits.
    pub checksum: Option<String>,
    /// Whether `.git` is kept.
    pub keep_git_dir: Option<bool>,
    /// Whether submodules are fetched, which they are if nothing is said.
    pub submodules: Option<bool>,
    /// Which time files get, which is that of the checkout if nothing is said.
    pub mtime: Option<GitTime>,
    /// Whether the commit is asked for by its name and not through the reference.
    pub fetch_by_commit: Option<bool>,
}

/// How a repository is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GitTransport {
    /// `http://`, which nothing protects.
    Http,
    /// `https://`
    Https,
    /// `ssh://` or `user@host:path`
    Ssh,
    /// `git://`, which nothing protects.
    Git,
}

/// The modification time of the files of a checkout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GitTime {
    /// When they were checked out.
    Checkout,
    /// When the commit was made.
    Commit,
}

/// Why a text that is meant as a git URL is none. The wording is BuildKit's where it has one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum GitUrlError {
    #[error("query {0:?} has no value")]
    NoValue(String),
    #[error("query {0:?} has multiple values")]
    MultipleValues(String),
    #[error("unexpected query {0:?}")]
    Unexpected(String),
    #[error("{what} conflicts: {one:?} vs {other:?}")]
    Conflict { what: &'static str, one: String, other: String },
    #[error("branch conflicts with tag")]
    BranchAndTag,
    #[error("invalid {key} value: {value:?}")]
    Value { key: &'static str, value: String },
    #[error("fetch-by-commit requires a commit or checksum")]
    NoCommit,
    #[error("invalid escape in git URL {0:?}")]
    Escape(String),
    #[error("git URL {0:?} has no host")]
    NoHost(String),
    #[error("git URL {0:?} has no repository")]
    NoRepository(String),
    /// It would be an option to git or ssh, which nobody means.
    #[error("{what} {value:?} of a git URL starts with a dash")]
    Dash { what: &'static str, value: String },
    #[error("git URL {0:?} has a blank or control character")]
    Blank(String),
}

impl GitUrl {
    /// Reads a source of `ADD` or `COPY` after its expansion; `None` if it is not a git URL.
    pub fn parse(text: &str) -> Result<Option<Self>, GitUrlError> {
        let Some((transport, rest)) = transport(text) else { return Ok(None) };
        let scheme = &text[..text.len() - rest.len()];
        let (location, fragment) = rest.split_once('#').unwrap_or((rest, ""));
        let (location, query) = location.split_once('?').unwrap_or((location, ""));
        let (host, path) = if scheme.is_empty() {
            location.split_once(':').unwrap_or((location, ""))
        } else {
            location.split_once('/').unwrap_or((location, ""))
        };
        let is_http = matches!(transport, GitTransport::Http | GitTransport::Https);
        if is_http && !decode(path, false).is_some_and(|path| path.ends_with(".git")) {
            return Ok(None);
        }
        if location.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(GitUrlError::Blank(text.to_owned()));
        }
        let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
        if host.is_empty() {
            return Err(GitUrlError::NoHost(text.to_owned()));
        }
        if path.trim_matches('/').is_empty() {
            return Err(GitUrlError::NoRepository(text.to_owned()));
        }
        dash("host", location)?;
        dash("host", host)?;
        let mut url = GitUrl {
            remote: format!("{scheme}{location}"),
            transport,
            host: host.to_owned(),
            reference: None,
            subdirectory: None,
            checksum: None,
            keep_git_dir: None,
            submodules: None,
            mtime: None,
            fetch_by_commit: None,
        };
        let escape = || GitUrlError::Escape(text.to_owned());
        let fragment = decode(fragment, false).ok_or_else(escape)?;
        let (reference, subdirectory) = fragment.split_once(':').unwrap_or((&fragment, ""));
        let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        (url.reference, url.subdirectory) = (some(reference), some(subdirectory));
        url.read_query(query, &escape)?;
        if let Some(reference) = &url.reference {
            dash("reference", reference)?;
            if reference.contains(|c: char| c.is_whitespace() || c.is_control()) {
                return Err(GitUrlError::Blank(text.to_owned()));
            }
        }
        Ok(Some(url))
    }

    /// The same for the context of a build, where `github.com/owner/repository` is a git URL too, which
    /// otherwise is a path.
    pub fn parse_context(text: &str) -> Result<Option<Self>, GitUrlError> {
        if !text.starts_with("github.com/") {
            return GitUrl::parse(text);
        }
        let end = text.find(['?', '#']).unwrap_or(text.len());
        let (location, options) = text.split_at(end);
        let location = location.trim_end_matches('/');
        GitUrl::parse(&format!("https://{}.git{options}", location.strip_suffix(".git").unwrap_or(location)))
    }

    /// The repository's own name: the last part of its path, without `.git`.
    #[must_use]
    pub fn name(&self) -> &str {
        let path = self.remote.trim_end_matches('/');
        let name = path.rsplit(['/', ':']).next().unwrap_or(path);
        name.strip_suffix(".git").unwrap_or(name)
    }

    fn read_query(&mut self, query: &str, escape: &dyn Fn() -> GitUrlError) -> Result<(), GitUrlError> {
        let mut seen: Vec<String> = Vec::new();
        let (mut tag, mut branch) = (None, None);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (key, value) = decode(key, true).zip(decode(value, true)).ok_or_else(escape)?;
            if seen.contains(&key) {
                return Err(GitUrlError::MultipleValues(key));
            }
            let boolean_keys = ["keep-git-dir", "submodules", "fetch-by-commit"];
            if value.is_empty() && !boolean_keys.contains(&key.as_str()) {
                return Err(GitUrlError::NoValue(key));
            }
            match key.as_str() {
                "ref" => set("ref", &mut self.reference, value)?,
                "subdir" => set("subdir", &mut self.subdirectory, value)?,
                "checksum" | "commit" => {
                    if !value.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                        return Err(GitUrlError::Value { key: "checksum", value });
                    }
                    set("checksum", &mut self.checksum, value)?;
                }
                "tag" => tag = Some(prefixed("refs/tags/", value)),
                "branch" => branch = Some(prefixed("refs/heads/", value)),
                "keep-git-dir" => self.keep_git_dir = Some(switch("keep-git-dir", value)?),
                "submodules" => self.submodules = Some(switch("submodules", value)?),
                "fetch-by-commit" => self.fetch_by_commit = Some(switch("fetch-by-commit", value)?),
                "mtime" => {
                    self.mtime = Some(match value.as_str() {
                        "checkout" => GitTime::Checkout,
                        "commit" => GitTime::Commit,
                        _ => return Err(GitUrlError::Value { key: "mtime", value }),
                    });
                }
                _ => return Err(GitUrlError::Unexpected(key)),
            }
            seen.push(key);
        }
        if tag.is_some() && branch.is_some() {
            return Err(GitUrlError::BranchAndTag);
        }
        if let Some(reference) = tag.or(branch) {
            set("ref", &mut self.reference, reference)?;
        }
        if self.fetch_by_commit == Some(true) && self.checksum.is_none() {
            return Err(GitUrlError::NoCommit);
        }
        if self.reference.is_none() {
            self.reference.clone_from(&self.checksum);
        }
        Ok(())
    }
}

impl fmt::Display for GitUrl {
    /// The repository and the fragment, without what else the query said.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.remote)?;
        match (&self.reference, &self.subdirectory) {
            (None, None) => Ok(()),
            (reference, None) => write!(f, "#{}", reference.as_deref().unwrap_or_default()),
            (reference, Some(directory)) => {
                write!(f, "#{}:{directory}", reference.as_deref().unwrap_or_default())
            }
        }
    }
}

/// The transport, and what follows the scheme; `None` if git is not meant.
fn transport(text: &str) -> Option<(GitTransport, &str)> {
    if let Some((scheme, location)) = text.split_once("://")
        && !scheme.is_empty()
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric())
    {
        let transport = match scheme.to_ascii_lowercase().as_str() {
            "http" => GitTransport::Http,
            "https" => GitTransport::Https,
            "ssh" => GitTransport::Ssh,
            "git" => GitTransport::Git,
            _ => return None,
        };
        return Some((transport, location));
    }
    // As scp has it: `user@host:path`, where the user may be left out; `x:/y` then is a URL's scheme.
    let (place, path) = text.split_once(':')?;
    let (user, host) = place.split_once('@').map_or((None, place), |(user, host)| (Some(user), host));
    if user.is_none() && (path.is_empty() || path.starts_with('/')) {
        return None;
    }
    let plain = |text: &str, more: &[char]| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(&c))
    };
    let is_place = plain(host, &['-', '.']) && user.is_none_or(|user| plain(user, &['-', '_']));
    is_place.then_some((GitTransport::Ssh, text))
}

/// Gives a value to what has none yet, or has the same.
fn set(what: &'static str, field: &mut Option<String>, value: String) -> Result<(), GitUrlError> {
    match field {
        Some(one) if *one != value => Err(GitUrlError::Conflict { what, one: one.clone(), other: value }),
        _ => {
            *field = Some(value);
            Ok(())
        }
    }
}

fn prefixed(prefix: &str, name: String) -> String {
    if name.starts_with(prefix) { name } else { format!("{prefix}{name}") }
}

/// A key alone switches on.
fn switch(key: &'static str, value: String) -> Result<bool, GitUrlError> {
    if value.is_empty() {
        return Ok(true);
    }
    boolean(&value).ok_or(GitUrlError::Value { key, value })
}

fn dash(what: &'static str, value: &str) -> Result<(), GitUrlError> {
    if value.starts_with('-') {
        return Err(GitUrlError::Dash { what, value: value.to_owned() });
    }
    Ok(())
}

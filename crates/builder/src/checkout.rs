//! Git repositories that a build takes files from: each becomes a directory of the work directory.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use dockerfile::{GitTime, GitUrl};
use git::{Authorization, Checkout, Git, Location, Request, Revision, Ssh, Times};
use sandbox::Secret;

use crate::context::Fetching;
use crate::copy::DirectorySource;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::event::Event;
use crate::once::lock;
use crate::waiting::cancelled;

/// The agent that repositories are reached with by ssh, as BuildKit has it.
const AGENT: &str = "default";

impl Fetching<'_> {
    /// Checks out what a URL means, into a directory that is empty or is made.
    pub(crate) fn check_out(&self, url: &GitUrl, directory: &Path) -> Result<Checkout> {
        let request = request(url, self.secrets)?;
        let ssh = Ssh { agent: self.agents.get(AGENT).cloned(), ..Ssh::default() };
        let options = git::Options { network: self.network.clone(), ssh, local: false };
        let git = Git::new(options).map_err(Error::new)?;
        self.runtime.block_on(async {
            let mut signal = None;
            let stop = async { signal = Some(cancelled(self.cancel).await) };
            let result = git.checkout(&request, directory, stop).await;
            match signal {
                Some(signal) => Err(Error::ended_by(signal)),
                None => result.map_err(git_error),
            }
        })
    }
}

impl Engine<'_> {
    /// A repository as a directory to copy from. Each is checked out once, however often it is asked for.
    pub(crate) fn checkout(&self, url: &GitUrl) -> Result<Arc<DirectorySource>> {
        self.once.alone(format!("checkout {url:?}"), || {
            let known = lock(&self.checkouts).iter().find(|(known, _)| known == url).cloned();
            known.map_or_else(|| self.checkout_anew(url), |(_, found)| Ok(found))
        })
    }

    fn checkout_anew(&self, url: &GitUrl) -> Result<Arc<DirectorySource>> {
        let directory = self.scratch_directory("checkout")?;
        let checkout =
            self.timings.measure("check out repositories", || self.fetching().check_out(url, &directory))?;
        let (location, _) = location(url)?;
        self.report(Event::Note(format!("{location} is at {}", checkout.commit)));
        let source = Arc::new(DirectorySource::open(&location.to_string(), &checkout.path, None)?);
        lock(&self.checkouts).push((url.clone(), source.clone()));
        Ok(source)
    }
}

/// Where a repository is, and what its address says to the server.
pub(crate) fn location(url: &GitUrl) -> Result<(Location, Option<transport::Secret>)> {
    Location::parse(&url.remote).map_err(|error| Error::new(error.to_string()))
}

/// A URL in the words of the client.
fn request(url: &GitUrl, secrets: &BTreeMap<String, Secret>) -> Result<Request> {
    let (location, own) = location(url)?;
    let authorizations = authorizations(url, &location, own, secrets)?;
    let revision = match (&url.reference, &url.checksum) {
        (_, Some(commit)) if url.fetch_by_commit == Some(true) => Revision::Commit(commit.clone()),
        (Some(reference), _) => {
            if let Some(branch) = reference.strip_prefix("refs/heads/") {
                Revision::Branch(branch.to_owned())
            } else if let Some(tag) = reference.strip_prefix("refs/tags/") {
                Revision::Tag(tag.to_owned())
            } else {
                Revision::Name(reference.clone())
            }
        }
        (None, _) => Revision::Default,
    };
    Ok(Request {
        revision,
        checksum: url.checksum.clone(),
        subdirectory: url.subdirectory.clone(),
        submodules: url.submodules.unwrap_or(true),
        keep_git_dir: url.keep_git_dir.unwrap_or(false),
        times: match url.mtime {
            Some(GitTime::Commit) => Times::Commit,
            Some(GitTime::Checkout) | None => Times::Checkout,
        },
        authorizations,
        ..Request::new(location)
    })
}

/// What to say to which server. BuildKit's names: `GIT_AUTH_HEADER.host` is the whole value of the header,
/// `GIT_AUTH_TOKEN.host` a token; without `.host`, they are for the server of the URL. Those with a host are
/// for submodules at that host too. A secret goes before what the URL itself says.
fn authorizations(
    url: &GitUrl,
    location: &Location,
    own: Option<transport::Secret>,
    secrets: &BTreeMap<String, Secret>,
) -> Result<BTreeMap<String, Authorization>> {
    let mut found = BTreeMap::new();
    let Some(authority) = location.authority() else { return Ok(found) };
    found.extend(own.map(|own| (authority.clone(), Authorization::header(own))));
    // Later ones replace earlier ones.
    for kind in ["GIT_AUTH_TOKEN", "GIT_AUTH_HEADER"] {
        if let Some(secret) = secrets.get(kind) {
            found.insert(authority.clone(), authorization(kind, kind, secret)?);
        }
    }
    for kind in ["GIT_AUTH_TOKEN", "GIT_AUTH_HEADER"] {
        for (id, secret) in secrets {
            let Some(host) = id.strip_prefix(kind).and_then(|rest| rest.strip_prefix('.')) else { continue };
            // The default port is not in what is known as the server.
            let is_own = host.eq_ignore_ascii_case(&url.host);
            let host = if is_own { authority.clone() } else { host.to_ascii_lowercase() };
            found.insert(host, authorization(kind, id, secret)?);
        }
    }
    Ok(found)
}

fn authorization(kind: &str, id: &str, secret: &Secret) -> Result<Authorization> {
    let text = std::str::from_utf8(secret.expose())
        .map_err(|_| Error::new(format!("the secret {id} is no text, so it cannot be sent")))?;
    // A file mostly ends with the end of a line.
    let text = transport::Secret::new(text.trim());
    Ok(match kind {
        "GIT_AUTH_TOKEN" => Authorization::token(&text),
        _ => Authorization::header(text),
    })
}

fn git_error(error: git::Error) -> Error {
    let converted = Error::new(error.to_string());
    match error.kind {
        git::ErrorKind::Denied { ref host, authorized: false, .. } => converted.hint(format!(
            "a private repository needs --secret id=GIT_AUTH_TOKEN.{host},… with a token for it"
        )),
        _ => match error.hint() {
            Some(hint) => converted.hint(hint),
            None => converted,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> GitUrl {
        GitUrl::parse(text).unwrap().unwrap()
    }

    #[test]
    fn requests() {
        let id = "0123456789abcdef0123456789abcdef01234567";
        for (text, revision) in [
            ("", Revision::Default),
            ("#main", Revision::Name("main".into())),
            ("?branch=main", Revision::Branch("main".into())),
            ("?tag=v1", Revision::Tag("v1".into())),
            ("#refs/pull/1/head", Revision::Name("refs/pull/1/head".into())),
            (&format!("?commit={id}"), Revision::Name(id.into())),
            (&format!("?tag=v1&commit={id}"), Revision::Tag("v1".into())),
            (&format!("?tag=v1&commit={id}&fetch-by-commit"), Revision::Commit(id.into())),
        ] {
            let request = request(&url(&format!("https://x.example/a.git{text}")), &BTreeMap::new()).unwrap();
            assert_eq!(request.revision, revision, "{text}");
            assert!(request.submodules && !request.keep_git_dir && request.times == Times::Checkout);
        }
        let all = "https://x.example/a.git?subdir=d&submodules=false&keep-git-dir&mtime=commit&checksum=ab";
        let request = request(&url(all), &BTreeMap::new()).unwrap();
        assert_eq!((request.subdirectory.as_deref(), request.checksum.as_deref()), (Some("d"), Some("ab")));
        assert!(!request.submodules && request.keep_git_dir && request.times == Times::Commit);
    }

    #[test]
    fn secrets_are_for_their_server() {
        let header = |text: &str| Authorization::header(transport::Secret::new(text));
        let token = |text: &str| Authorization::token(&transport::Secret::new(text));
        let own = ("x.example", header("Basic dTpw"));
        for (text, secrets, expected) in [
            ("https://x.example/a.git", &[][..], &[][..]),
            ("https://u:p@x.example/a.git", &[], std::slice::from_ref(&own)),
            ("https://u:p@x.example/a.git", &["GIT_AUTH_TOKEN=t\n"], &[("x.example", token("t"))]),
            (
                "https://x.example/a.git",
                &["GIT_AUTH_HEADER=h", "GIT_AUTH_TOKEN=t"],
                &[("x.example", header("h"))],
            ),
            (
                "https://x.example/a.git",
                &["GIT_AUTH_HEADER=h", "GIT_AUTH_TOKEN.x.example=t"],
                &[("x.example", token("t"))],
            ),
            (
                "https://x.example/a.git",
                &["GIT_AUTH_HEADER.x.example=h", "GIT_AUTH_TOKEN.x.example=t"],
                &[("x.example", header("h"))],
            ),
            (
                "https://X.example:443/a.git",
                &["GIT_AUTH_TOKEN.x.example:443=t"],
                &[("x.example", token("t"))],
            ),
            ("https://x.example:8443/a.git", &["GIT_AUTH_TOKEN=t"], &[("x.example:8443", token("t"))]),
            ("https://x.example/a.git", &["GIT_AUTH_TOKEN.y.example=t"], &[("y.example", token("t"))]),
            ("https://x.example/a.git", &["HTTP_AUTH_TOKEN_x.example=t", "GIT_AUTH_TOKENx=t"], &[]),
        ] {
            let secrets: BTreeMap<String, Secret> = secrets
                .iter()
                .map(|secret| secret.split_once('=').unwrap())
                .map(|(id, value)| (id.to_owned(), Secret::new(value)))
                .collect();
            let expected: BTreeMap<String, Authorization> =
                expected.iter().map(|(host, value)| ((*host).to_owned(), value.clone())).collect();
            assert_eq!(request(&url(text), &secrets).unwrap().authorizations, expected, "{text}");
        }
        let secrets = BTreeMap::from([("GIT_AUTH_TOKEN".to_owned(), Secret::new(vec![0xff]))]);
        let error = request(&url("https://x.example/a.git"), &secrets).unwrap_err();
        assert_eq!(error.message, "the secret GIT_AUTH_TOKEN is no text, so it cannot be sent");
    }
}

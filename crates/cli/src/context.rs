//! `--context` and `--build-context`: what users of Kaniko and of BuildKit write there.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::IsTerminal;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use builder::{ContextLocation, NamedContext};
use cloud::{Clouds, Environment};
use download::{Progress, Request};
use oci::Platform;
use report::text;
use serde_json::json;

use crate::git_flag::{GitFlag, Repository, repository};
use crate::log_args::Verbosity;
use crate::terminal::Terminal;

/// How often a download says how far it is.
const PROGRESS: Duration = Duration::from_secs(5);

/// Where the build context is, and how it is met.
#[derive(Debug)]
pub(crate) struct Located {
    pub(crate) location: ContextLocation,
    /// The host whose certificate is not to be verified.
    pub(crate) skip_tls: Option<String>,
    /// What is to be told of the flags.
    pub(crate) notes: Vec<String>,
}

/// Where `--context`, and `--git` with it, says that the files are. `pull_method` is `GIT_PULL_METHOD`.
pub(crate) fn locate(text: &str, git: &[GitFlag], pull_method: Option<&str>) -> Result<Located> {
    let is_git = ["git://", "ssh://"].iter().any(|scheme| text.starts_with(scheme));
    let repository = match is_git || !Path::new(text).exists() {
        true => repository(text, git, pull_method)
            .with_context(|| format!("--context {}", without_secrets(text)))?,
        false => None,
    };
    if let Some(Repository { url, skip_tls, notes }) = repository {
        return Ok(Located { location: ContextLocation::Git(Box::new(url)), skip_tls, notes });
    }
    let is_given = git.iter().any(|flag| *flag != GitFlag::default());
    let note = "--git is without effect: the context is no git repository";
    let notes = is_given.then(|| note.to_owned()).into_iter().collect();
    Ok(Located { location: location(text)?, skip_tls: None, notes })
}

/// Where the files are, if not in a repository.
fn location(text: &str) -> Result<ContextLocation> {
    if text == "-" {
        return standard_input();
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        return directory(text);
    };
    match scheme {
        "dir" => directory(rest),
        "tar" if rest == "stdin" => standard_input(),
        "tar" => {
            let path = PathBuf::from(rest);
            if !path.is_file() {
                bail!("--context {text}: no such file");
            }
            Ok(ContextLocation::Archive(path))
        }
        "http" | "https" => Ok(ContextLocation::Http(text.to_owned())),
        _ => bail!(
            "--context {}: unknown kind of context {scheme}://; expected a directory, dir://, tar://, https://, git://, ssh://, s3://, gs:// or -",
            without_secrets(text)
        ),
    }
}

fn directory(text: &str) -> Result<ContextLocation> {
    let path = PathBuf::from(text);
    if !path.is_dir() {
        bail!("--context {}: no such directory", path.display());
    }
    Ok(ContextLocation::Directory(path))
}

fn standard_input() -> Result<ContextLocation> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        bail!("--context: standard input is a terminal; pipe a tar archive into it");
    }
    Ok(ContextLocation::Stream(File::from(stdin.as_fd().try_clone_to_owned()?)))
}

/// An object in a bucket, if that is what `--context` names.
pub(crate) fn object(
    text: &str,
    clouds: &Clouds,
    environment: &Environment,
) -> Result<Option<ContextLocation>> {
    let during = || format!("--context {}", without_secrets(text));
    let Some(found) = objects::Location::parse(text).with_context(during)? else { return Ok(None) };
    let request = found.request(clouds, environment).with_context(during)?;
    Ok(Some(ContextLocation::Object(Box::new(request))))
}

/// Gives a download what a secret says to its server, by the names that BuildKit has for it: `HTTP_AUTH_HEADER_host`
/// is the whole value of the header, `HTTP_AUTH_TOKEN_host` a token. A user in the URL, and an identity, go before.
pub(crate) fn authorize(request: &mut Request, secrets: &BTreeMap<String, sandbox::Secret>) -> Result<()> {
    if request.authorize.is_some() || request.authorization.is_some() {
        return Ok(());
    }
    let url = request.url();
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let host = format!("{}{port}", url.host_str().unwrap_or_default());
    for (kind, scheme) in [("HEADER", ""), ("TOKEN", "Bearer ")] {
        let id = format!("HTTP_AUTH_{kind}_{host}");
        let Some(secret) = secrets.get(&id) else { continue };
        let text = std::str::from_utf8(secret.expose())
            .with_context(|| format!("the secret {id} is no text, so it cannot be sent"))?;
        // A file mostly ends with the end of a line.
        request.authorization = Some(registry::Secret::new(format!("{scheme}{}", text.trim())));
        break;
    }
    Ok(())
}

/// Has a download say how far it is.
pub(crate) fn with_progress(location: ContextLocation, terminal: &Arc<Terminal>) -> Result<ContextLocation> {
    let mut request = match location {
        ContextLocation::Object(request) => request,
        ContextLocation::Http(url) => Box::new(Request::new(&url).context("--context")?),
        other => return Ok(other),
    };
    let terminal = Arc::clone(terminal);
    let said = Mutex::new(Instant::now());
    request.progress = Some(Progress::new(move |here, total| {
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.elapsed() < PROGRESS {
            return;
        }
        *said = Instant::now();
        let of = total.map(|total| format!(" of {}", text::bytes(total))).unwrap_or_default();
        let text = format!("fetching the context: {}{of}", text::bytes(here));
        terminal.line(Verbosity::Info, &text, json!({ "event": "fetching", "bytes": here, "total": total }));
    }));
    Ok(ContextLocation::Object(request))
}

/// A URL without user and password, and without its query, which may be a signature.
fn without_secrets(text: &str) -> String {
    let text = text.split('?').next().unwrap_or_default();
    match text.split_once("://") {
        Some((scheme, rest)) => {
            let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
            let host = host.rsplit('@').next().unwrap_or_default();
            format!("{scheme}://{host}{}{path}", if path.is_empty() { "" } else { "/" })
        }
        None => text.to_owned(),
    }
}

/// `--build-context`, again for more. Platforms get the one spelling they have among us.
pub(crate) fn named(given: &[String]) -> Result<Vec<NamedContext>> {
    let parse = |text: &String| {
        let mut context = NamedContext::parse(text).context("--build-context")?;
        if let Some(platform) = &context.platform {
            let platform: Platform =
                platform.parse().with_context(|| format!("--build-context {}", context.name))?;
            context.platform = Some(platform.to_string());
        }
        Ok(context)
    };
    given.iter().map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git_flag::git_flag;

    #[test]
    fn who_is_said_to_a_server() {
        let secrets: BTreeMap<String, sandbox::Secret> =
            [("HTTP_AUTH_HEADER_h.example:8443", "Custom x\n"), ("HTTP_AUTH_TOKEN_h.example", "t\n")]
                .map(|(id, text)| (id.to_owned(), sandbox::Secret::new(text.as_bytes().to_vec())))
                .into();
        for (url, expected) in [
            ("https://h.example/c.tar", Some("Bearer t")),
            ("https://h.example:8443/c.tar", Some("Custom x")),
            ("https://u:p@h.example/c.tar", Some("Basic dTpw")),
            ("https://h.example.evil.example/c.tar", None),
        ] {
            let mut request = Request::new(url).unwrap();
            authorize(&mut request, &secrets).unwrap();
            assert_eq!(request.authorization.as_ref().map(registry::Secret::expose), expected, "{url}");
        }
    }

    #[test]
    fn kinds() {
        let directory = tempfile::tempdir().unwrap();
        let there = directory.path().display().to_string();
        std::fs::write(directory.path().join("c.tar"), "").unwrap();
        let located = |text: &str| locate(text, &[], None);
        let refused = |text: &str| format!("{:#}", located(text).unwrap_err());
        let location = |text: &str| located(text).map(|located| located.location);
        assert!(matches!(location(&there), Ok(ContextLocation::Directory(path)) if path == directory.path()));
        assert!(matches!(location(&format!("dir://{there}")), Ok(ContextLocation::Directory(_))));
        assert!(matches!(location(&format!("tar://{there}/c.tar")), Ok(ContextLocation::Archive(_))));
        assert!(matches!(location("https://h/x.tar.gz?a=b"), Ok(ContextLocation::Http(_))));
        for text in ["https://h/x.git#main", "git://h/x", "git@h:x", "ssh://h/x", "github.com/a/b"] {
            assert!(matches!(location(text), Ok(ContextLocation::Git(_))), "{text}");
        }
        let flag = git_flag("branch=b").unwrap();
        assert_eq!(locate(&there, &[flag], None).unwrap().notes.len(), 1);
        for (text, says) in [
            ("/no/such", "--context /no/such: no such directory"),
            ("dir:///no/such", "--context /no/such: no such directory"),
            ("tar:///no/such", "--context tar:///no/such: no such file"),
            ("https://u:secret@h/x.git?x=y#main", "--context https://h/x.git: unexpected query \"x\""),
            ("git://u:secret@h/x#main#commit", "--context git://h/x#main#commit: #commit is not the 40"),
            ("ftp://u:secret@h/x?key", "--context ftp://h/x: unknown kind of context ftp://"),
        ] {
            let found = refused(text);
            assert!(found.contains(says) && !found.contains("secret") && !found.contains("key;"), "{found}");
        }
    }

    #[test]
    fn names() {
        let names = |texts: &[&str]| {
            let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
            named(&texts).map(|contexts| {
                let shown = |context: NamedContext| {
                    format!("{}::{}", context.name, context.platform.unwrap_or_default())
                };
                contexts.into_iter().map(shown).collect::<Vec<_>>().join(" ")
            })
        };
        assert_eq!(
            names(&["a=.", "alpine:latest::linux/x86_64=docker-image://b"]).unwrap(),
            "a:: alpine::linux/amd64"
        );
        for (text, says) in [("a", "expected key=value"), ("a::linux/=.", "a"), ("=.", "it is empty")] {
            let error = format!("{:#}", names(&[text]).unwrap_err());
            assert!(error.contains("--build-context") && error.contains(says), "{error}");
        }
    }
}

//! `--git` and the variables that go with it: how Kaniko's users ask for a repository as the context.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use builder::{GitTransport, GitUrl};
use sandbox::Secret;

use crate::switch::go_bool;

/// What `--git` says, `KEY=VALUE` with commas between.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct GitFlag {
    branch: Option<String>,
    recurse_submodules: Option<bool>,
    insecure_skip_tls: bool,
    /// Keys that say how much is cloned, which is the one commit whatever they say.
    moot: Vec<&'static str>,
}

/// Reads one `--git`. Kaniko passes over keys that it does not know.
pub(crate) fn git_flag(text: &str) -> Result<GitFlag, String> {
    let mut flag = GitFlag::default();
    for field in text.split(',').filter(|field| !field.is_empty()) {
        let (key, value) = field.split_once('=').ok_or_else(|| format!("{field:?} is no key=value"))?;
        let switch = || go_bool(value).map_err(|expected| format!("{key}={value}: {expected}"));
        match key {
            "branch" => flag.branch = Some(value.to_owned()).filter(|branch| !branch.is_empty()),
            "recurse-submodules" => flag.recurse_submodules = Some(switch()?),
            "insecure-skip-tls" => flag.insecure_skip_tls = switch()?,
            "single-branch" => {
                switch()?;
                flag.moot.push("single-branch");
            }
            "depth" => {
                value.parse::<u32>().map_err(|_| format!("depth={value}: expected a number"))?;
                flag.moot.push("depth");
            }
            _ => {
                return Err(format!(
                    "unknown key {key:?}: branch, recurse-submodules, insecure-skip-tls, single-branch or depth"
                ));
            }
        }
    }
    Ok(flag)
}

/// A repository as `--context` names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Repository {
    pub(crate) url: GitUrl,
    /// The host whose certificate is not to be verified.
    pub(crate) skip_tls: Option<String>,
    /// What is to be told of the flags.
    pub(crate) notes: Vec<String>,
}

/// A repository, if the text of a `--context` means one: by a URL of BuildKit's, or by one of Kaniko's,
/// `git://HOST/PATH#REF#COMMIT`, which is fetched over HTTPS.
pub(crate) fn repository(
    text: &str,
    flags: &[GitFlag],
    pull_method: Option<&str>,
) -> Result<Option<Repository>> {
    // A branch may have a # in its name, but Kaniko's users mean a commit by what follows it.
    let end = text.find('#').map_or(text.len(), |start| start + 1);
    let (text, commit) = match text[end..].split_once('#') {
        None => (text, ""),
        Some((reference, commit)) => (&text[..end + reference.len()], commit),
    };
    let Some(mut url) = GitUrl::parse_context(text)? else { return Ok(None) };
    if !commit.is_empty() {
        if commit.len() != 40 || !commit.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            bail!("#{commit} is not the 40 hexadecimal digits of a commit");
        }
        url.checksum = Some(commit.to_owned());
        url.fetch_by_commit = Some(true);
    }
    if url.transport == GitTransport::Git {
        let rest = url.remote.split_once("://").map_or("", |(_, rest)| rest);
        let (scheme, transport) = match pull_method {
            None | Some("" | "https") => ("https", GitTransport::Https),
            Some("http") => ("http", GitTransport::Http),
            Some("git") => ("git", GitTransport::Git),
            Some(other) => bail!("GIT_PULL_METHOD={other}: expected https, http or git"),
        };
        (url.remote, url.transport) = (format!("{scheme}://{rest}"), transport);
        // Kaniko leaves them out unless it is told.
        url.submodules.get_or_insert(false);
    }
    let mut repository = Repository { url, skip_tls: None, notes: Vec::new() };
    for flag in flags {
        repository.obey(flag);
    }
    Ok(Some(repository))
}

impl Repository {
    /// The flag goes before the URL, as with Kaniko.
    fn obey(&mut self, flag: &GitFlag) {
        let url = &mut self.url;
        if let Some(branch) = &flag.branch {
            let own = url.reference.as_deref().map(|own| own.strip_prefix("refs/heads/").unwrap_or(own));
            if let Some(own) = own.filter(|own| own != branch) {
                self.notes.push(format!("--git branch={branch} goes before #{own} of the context"));
            }
            url.reference = Some(branch.clone());
        }
        url.submodules = flag.recurse_submodules.or(url.submodules);
        if flag.insecure_skip_tls {
            self.skip_tls = Some(url.host.strip_suffix(":443").unwrap_or(&url.host).to_ascii_lowercase());
        }
        for key in &flag.moot {
            self.notes.push(format!("--git {key} makes no difference: only the one commit is fetched"));
        }
    }
}

/// Whether `.git` of the context is kept, by the build argument that BuildKit has for it.
pub(crate) fn keep_git_dir(build_args: &BTreeMap<String, String>) -> Result<Option<bool>> {
    let Some(text) = build_args.get("BUILDKIT_CONTEXT_KEEP_GIT_DIR") else { return Ok(None) };
    match go_bool(text) {
        Ok(keep) => Ok(Some(keep)),
        Err(expected) => bail!("build argument BUILDKIT_CONTEXT_KEEP_GIT_DIR={text}: {expected}"),
    }
}

/// What is said to the context's server: secrets by BuildKit's names or, without any for whatever server is
/// asked, what Kaniko takes from the environment. No RUN gets to see the latter.
pub(crate) fn credentials(
    secrets: &BTreeMap<String, Secret>,
    variable: impl Fn(&str) -> Option<String>,
) -> BTreeMap<String, Secret> {
    let mut secrets = secrets.clone();
    let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
    if secrets.contains_key("GIT_AUTH_TOKEN") || secrets.contains_key("GIT_AUTH_HEADER") {
        return secrets;
    }
    if let Some(token) = variable("GIT_TOKEN") {
        secrets.insert("GIT_AUTH_TOKEN".to_owned(), Secret::new(token));
        return secrets;
    }
    let (user, password) = (variable("GIT_USERNAME"), variable("GIT_PASSWORD"));
    if user.is_some() || password.is_some() {
        let both = format!("{}:{}", user.unwrap_or_default(), password.unwrap_or_default());
        let header = format!("Basic {}", STANDARD.encode(both));
        secrets.insert("GIT_AUTH_HEADER".to_owned(), Secret::new(header));
    }
    secrets
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef01234567";

    fn found(text: &str, flags: &[&str], method: Option<&str>) -> Result<Option<Repository>> {
        let flags: Vec<GitFlag> = flags.iter().map(|text| git_flag(text).unwrap()).collect();
        repository(&text.replace("ID", ID), &flags, method)
    }

    #[test]
    fn repositories() {
        // What is fetched, the reference, the directory, the commit, and submodules.
        for (text, flags, method, expected) in [
            ("git://h.example/a", &[][..], None, "https://h.example/a - - - false"),
            ("git://u:p@h.example/a.git", &[], Some(""), "https://u:p@h.example/a.git - - - false"),
            ("git://h.example:80/a", &[], Some("http"), "http://h.example:80/a - - - false"),
            ("git://h.example/a", &[], Some("git"), "git://h.example/a - - - false"),
            ("git://h.example/a#refs/heads/b", &[], None, "https://h.example/a refs/heads/b - - false"),
            ("git://h.example/a#ID", &[], None, "https://h.example/a ID - - false"),
            ("git://h.example/a#refs/heads/b#ID", &[], None, "https://h.example/a refs/heads/b - ID false"),
            ("git://h.example/a#refs/heads/b#", &[], None, "https://h.example/a refs/heads/b - - false"),
            ("git://h.example/a##ID", &[], None, "https://h.example/a - - ID false"),
            ("git://h.example/a#b:c/d", &[], None, "https://h.example/a b c/d - false"),
            ("git://h.example/a?submodules=1", &[], None, "https://h.example/a - - - true"),
            ("git://h.example/a", &["recurse-submodules=true"], None, "https://h.example/a - - - true"),
            ("git://h.example/a", &["branch=b,single-branch=true"], None, "https://h.example/a b - - false"),
            ("git://h.example/a", &["branch=b", "branch="], None, "https://h.example/a b - - false"),
            ("https://h.example/a.git#b:c", &[], Some("http"), "https://h.example/a.git b c - -"),
            (
                "https://h.example/a.git",
                &["recurse-submodules=false"],
                None,
                "https://h.example/a.git - - - false",
            ),
            ("https://h.example/a.git?ref=b%23c", &[], None, "https://h.example/a.git b#c - - -"),
            ("git@h.example:a.git#b", &[], None, "git@h.example:a.git b - - -"),
            ("ssh://git@h.example/a", &[], None, "ssh://git@h.example/a - - - -"),
            ("github.com/a/b#c", &[], None, "https://github.com/a/b.git c - - -"),
            ("https://h.example/a.tar", &[], None, "none"),
            ("some/directory", &[], None, "none"),
        ] {
            let shown = match found(text, flags, method).unwrap() {
                None => "none".to_owned(),
                Some(Repository { url, .. }) => {
                    let dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
                    let by_commit = url.checksum.filter(|_| url.fetch_by_commit == Some(true));
                    format!(
                        "{} {} {} {} {}",
                        url.remote,
                        dash(url.reference),
                        dash(url.subdirectory),
                        dash(by_commit),
                        dash(url.submodules.map(|submodules| submodules.to_string()))
                    )
                }
            };
            assert_eq!(shown.replace(ID, "ID"), expected, "{text} {flags:?}");
        }
        for (text, method, says) in [
            ("git://h.example/a#b#c", None, "#c is not the 40 hexadecimal digits of a commit"),
            ("git://h.example/a", Some("ftp"), "GIT_PULL_METHOD=ftp: expected https, http or git"),
            ("git://h.example/", None, "no repository"),
            ("https://h.example/a.git?x=y", None, "unexpected query"),
        ] {
            let error = found(text, &[], method).unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn flags() {
        for (text, says) in [
            ("branch", "\"branch\" is no key=value"),
            ("brunch=a", "unknown key \"brunch\""),
            ("single-branch=maybe", "single-branch=maybe: expected true or false"),
            ("depth=-1", "depth=-1: expected a number"),
        ] {
            let error = git_flag(text).unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
        assert_eq!(git_flag("").unwrap(), GitFlag::default());
        for (text, flag, skip_tls, note) in [
            ("git://H.example:443/a", "insecure-skip-tls=true", Some("h.example"), None),
            ("git://h.example:8443/a", "insecure-skip-tls=1", Some("h.example:8443"), None),
            ("git://h.example/a#refs/heads/b", "branch=b", None, None),
            ("git://h.example/a#b", "branch=c", None, Some("--git branch=c goes before #b of the context")),
            ("git://h.example/a", "depth=1", None, Some("--git depth makes no difference")),
            ("git://h.example/a", "single-branch=1", None, Some("--git single-branch makes no difference")),
        ] {
            let found = found(text, &[flag], None).unwrap().unwrap();
            assert_eq!(found.skip_tls.as_deref(), skip_tls, "{text}");
            match note {
                None => assert!(found.notes.is_empty(), "{:?}", found.notes),
                Some(note) => assert!(found.notes[0].starts_with(note), "{:?}", found.notes),
            }
        }
    }

    #[test]
    fn what_the_environment_says_comes_last() {
        let all = &["GIT_TOKEN=t", "GIT_USERNAME=u", "GIT_PASSWORD=p"][..];
        for (secrets, variables, expected) in [
            (&[][..], &[][..], ""),
            (&[], all, "GIT_AUTH_TOKEN=t"),
            (&[], &all[1..], "GIT_AUTH_HEADER=Basic dTpw"),
            (&[], &["GIT_TOKEN=", "GIT_PASSWORD=p"], "GIT_AUTH_HEADER=Basic OnA="),
            (&["GIT_AUTH_TOKEN=s"], all, "GIT_AUTH_TOKEN=s"),
            (&["GIT_AUTH_HEADER=s"], all, "GIT_AUTH_HEADER=s"),
            (&["GIT_AUTH_TOKEN.h=s"], &all[..1], "GIT_AUTH_TOKEN=t GIT_AUTH_TOKEN.h=s"),
        ] {
            let secrets = secrets.iter().map(|secret| secret.split_once('=').unwrap());
            let secrets = secrets.map(|(id, value)| (id.to_owned(), Secret::new(value))).collect();
            let of = |name: &str| {
                let pairs = variables.iter().map(|pair| pair.split_once('=').unwrap());
                pairs.filter(|(key, _)| *key == name).map(|(_, value)| value.to_owned()).next()
            };
            let found = credentials(&secrets, of);
            let shown: Vec<String> = found
                .iter()
                .map(|(id, secret)| format!("{id}={}", String::from_utf8_lossy(secret.expose())))
                .collect();
            assert_eq!(shown.join(" "), expected);
        }
    }

    #[test]
    fn the_git_directory() {
        let of = |value: Option<&str>| {
            let name = "BUILDKIT_CONTEXT_KEEP_GIT_DIR".to_owned();
            keep_git_dir(&value.map(|value| (name, value.to_owned())).into_iter().collect())
        };
        assert_eq!(of(None).unwrap(), None);
        assert_eq!(of(Some("1")).unwrap(), Some(true));
        assert_eq!(of(Some("false")).unwrap(), Some(false));
        assert!(of(Some("yes")).unwrap_err().to_string().ends_with("=yes: expected true or false"));
    }
}

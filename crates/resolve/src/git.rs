//! Git: which commit a directory is at, as the program `git` tells it.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::Origin;

/// The origin of a directory in a work tree; `None` if it is in none, or if there is no `git` to ask.
#[must_use]
pub fn git_origin(directory: &Path) -> Option<Origin> {
    let ask = |arguments: &[&str]| {
        let mut command = Command::new("git");
        // A repository may name a program that watches its files; it is not run for this.
        command.args(["-c", "core.fsmonitor=false", "-C"]).arg(directory).args(arguments);
        command.stdin(Stdio::null()).stderr(Stdio::null()).env("GIT_OPTIONAL_LOCKS", "0");
        let output = command.output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    if ask(&["rev-parse", "--is-inside-work-tree"])? != "true" {
        return None;
    }
    let tags = ask(&["describe", "--tags", "--exact-match", "HEAD"]).unwrap_or_default();
    let remote = ask(&["remote"]).filter(|remotes| !remotes.is_empty());
    let url = remote.and_then(|_| ask(&["ls-remote", "--get-url"])).filter(|url| !url.is_empty());
    Some(Origin::Git {
        dirty: !ask(&["status", "--short", "--", "."])?.is_empty(),
        remote_url: url.map_or("<unknown>".to_owned(), |url| redacted(&url)),
        sha: ask(&["rev-parse", "--verify", "HEAD"]).unwrap_or_else(|| "<no commits>".to_owned()),
        tags: tags.lines().map(str::to_owned).collect(),
    })
}

/// An address without a user and a password; those of SSH say only who everybody is.
fn redacted(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let authority = rest.split('/').next().unwrap_or(rest);
    match authority.rsplit_once('@') {
        Some((user, host)) => format!("{scheme}://_redacted_@{host}{}", &rest[user.len() + 1 + host.len()..]),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_tell_no_secrets() {
        for (url, expected) in [
            ("https://user:secret@host/a.git", "https://_redacted_@host/a.git"),
            ("https://host/a@b", "https://host/a@b"),
            ("git@host:a/b", "git@host:a/b"),
        ] {
            assert_eq!(redacted(url), expected);
        }
    }
}

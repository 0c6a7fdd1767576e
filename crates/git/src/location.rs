//! Locations: where a repository is, in every form that git takes.

use std::fmt;
use std::path::PathBuf;

use transport::Secret;
use url::Url;

/// The address of a repository. It holds no credentials; those that stood in its text are handed out by
/// [`Location::parse`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// `https://host/path` or `http://host/path`.
    Http(Url),
    /// `git://host[:port]/path`, the protocol of git's own daemon.
    Daemon {
        /// The host.
        host: String,
        /// The port, if it is not 9418.
        port: Option<u16>,
        /// The path, with its leading slash.
        path: String,
    },
    /// `ssh://[user@]host[:port]/path` or `[user@]host:path`.
    Ssh {
        /// Whom to log in as.
        user: Option<String>,
        /// The host.
        host: String,
        /// The port, if it is not what ssh itself takes.
        port: Option<u16>,
        /// The path as the other side reads it: without a leading slash it begins in the user's home.
        path: String,
    },
    /// `file:///path`, or a path. Refused unless [`crate::Options::local`] allows it.
    Local(PathBuf),
}

/// Why a text is no location of a repository.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{location}: {reason}")]
pub struct LocationError {
    /// The text, less what may be a password.
    pub location: String,
    /// What is wrong with it.
    pub reason: String,
}

impl Location {
    /// Reads an address. What stands before the `@` of an HTTP URL is the second value, as that of an `Authorization`
    /// header. Fragment and query belong to the builder's language, not to git's: they are refused here.
    pub fn parse(text: &str) -> Result<(Location, Option<Secret>), LocationError> {
        let wrong = |reason: &str| LocationError { location: redacted(text), reason: reason.to_owned() };
        if text.contains(|c: char| c.is_control()) {
            return Err(wrong("it holds control characters"));
        }
        if let Some((scheme, rest)) = text.split_once("://") {
            return match scheme {
                "file" => Ok((Location::Local(PathBuf::from(rest)), None)),
                "http" | "https" | "git" | "ssh" | "git+ssh" | "ssh+git" => parse_url(text, scheme, wrong),
                _ => Err(wrong("expected https, http, ssh or git before ://")),
            };
        }
        if text.starts_with(['/', '.']) {
            return Ok((Location::Local(PathBuf::from(text)), None));
        }
        let Some((server, path)) = text.split_once(':') else {
            return Err(wrong("it is neither a URL nor of the form host:path"));
        };
        if path.starts_with(':') {
            return Err(wrong("git's remote helpers are not run"));
        }
        let (user, host) = match server.rsplit_once('@') {
            Some((user, host)) => (Some(user.to_owned()), host),
            None => (None, server),
        };
        let location = Location::Ssh { user, host: host.to_owned(), port: None, path: path.to_owned() };
        location.check().map_err(|reason| wrong(&reason))?;
        Ok((location, None))
    }

    /// Host and, if it is given, port: what credentials are kept by.
    #[must_use]
    pub fn authority(&self) -> Option<String> {
        let with_port = |host: &str, port: Option<u16>| {
            port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
        };
        match self {
            Location::Http(url) => Some(with_port(url.host_str()?, url.port())),
            Location::Daemon { host, port, .. } | Location::Ssh { host, port, .. } => {
                Some(with_port(host, *port))
            }
            Location::Local(_) => None,
        }
    }

    /// Where a submodule is whose `.gitmodules` gives this URL. `./` and `../` begin at this repository, as git has it
    /// ([gitmodules(5)]).
    ///
    /// [gitmodules(5)]: https://git-scm.com/docs/gitmodules
    pub(crate) fn submodule(&self, url: &str) -> Result<(Location, Option<Secret>), LocationError> {
        if !(url.starts_with("./") || url.starts_with("../")) {
            return Location::parse(url);
        }
        let wrong = |reason: &str| LocationError { location: redacted(url), reason: reason.to_owned() };
        let mut location = self.clone();
        let path = match self {
            Location::Http(url) => url.path().to_owned(),
            Location::Daemon { path, .. } | Location::Ssh { path, .. } => path.clone(),
            Location::Local(path) => path.to_string_lossy().into_owned(),
        };
        let absolute = path.starts_with('/');
        let mut parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        for part in url.split('/') {
            match part {
                "" | "." => {}
                ".." => {
                    if parts.pop().is_none() {
                        return Err(wrong("it leads above the root of its server"));
                    }
                }
                part => parts.push(part),
            }
        }
        let joined = format!("{}{}", if absolute { "/" } else { "" }, parts.join("/"));
        match &mut location {
            Location::Http(url) => url.set_path(&joined),
            Location::Daemon { path, .. } | Location::Ssh { path, .. } => *path = joined,
            Location::Local(path) => *path = PathBuf::from(joined),
        }
        location.check().map_err(|reason| wrong(&reason))?;
        Ok((location, None))
    }

    /// What would reach a command line or a request as something else than a host or a path is refused, as git does.
    fn check(&self) -> Result<(), String> {
        let (user, host, path) = match self {
            Location::Daemon { host, path, .. } => (None, host, path),
            Location::Ssh { user, host, path, .. } => (user.as_deref(), host, path),
            Location::Http(_) | Location::Local(_) => return Ok(()),
        };
        if host.is_empty() {
            return Err("it has no host".to_owned());
        }
        if path.trim_matches('/').is_empty() {
            return Err("it has no path".to_owned());
        }
        for (what, text) in [("user", user.unwrap_or_default()), ("host", host), ("path", path)] {
            if text.starts_with('-') {
                return Err(format!("its {what} begins with a dash, and would be taken for an option"));
            }
        }
        Ok(())
    }
}

fn parse_url(
    text: &str,
    scheme: &str,
    wrong: impl Fn(&str) -> LocationError,
) -> Result<(Location, Option<Secret>), LocationError> {
    let mut url: Url = text.parse().map_err(|error: url::ParseError| wrong(&error.to_string()))?;
    if url.fragment().is_some() || url.query().is_some() {
        return Err(wrong("it has a fragment or a query, which git does not know"));
    }
    if scheme == "http" || scheme == "https" {
        let authorization = transport::take_credentials(&mut url);
        return Ok((Location::Http(url), authorization));
    }
    if url.password().is_some() {
        return Err(wrong("a password is of no use here"));
    }
    let decoded = |text: &str| {
        percent_encoding::percent_decode_str(text)
            .decode_utf8()
            .map(std::borrow::Cow::into_owned)
            .map_err(|_| wrong("it is not UTF-8"))
    };
    let host = url.host_str().unwrap_or_default().to_owned();
    let user = Some(decoded(url.username())?).filter(|user| !user.is_empty());
    let (port, path) = (url.port(), decoded(url.path())?);
    let location = if scheme == "git" {
        if user.is_some() {
            return Err(wrong("a user is of no use here"));
        }
        Location::Daemon { host, port, path }
    } else {
        // `ssh://host/~user/path` is how a home directory is written in a URL.
        let path = if path.starts_with("/~") { path[1..].to_owned() } else { path };
        Location::Ssh { user, host, port, path }
    };
    // Encoded ones have become real ones.
    if location.to_string().contains(|c: char| c.is_control()) {
        return Err(wrong("it holds control characters"));
    }
    location.check().map_err(|reason| wrong(&reason))?;
    Ok((location, None))
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let colon = |port: &Option<u16>| port.map_or_else(String::new, |port| format!(":{port}"));
        match self {
            Location::Http(url) => write!(f, "{url}"),
            Location::Daemon { host, port, path } => write!(f, "git://{host}{}{path}", colon(port)),
            Location::Ssh { user, host, port, path } => {
                let user = user.as_ref().map_or_else(String::new, |user| format!("{user}@"));
                if path.starts_with('/') {
                    write!(f, "ssh://{user}{host}{}{path}", colon(port))
                } else if let Some(port) = port {
                    write!(f, "ssh://{user}{host}:{port}/{path}")
                } else {
                    write!(f, "{user}{host}:{path}")
                }
            }
            Location::Local(path) => write!(f, "{}", path.display()),
        }
    }
}

/// A text that is no location, without what stands before an `@` and without its query.
fn redacted(text: &str) -> String {
    let text: String = text.chars().filter(|c| !c.is_control()).collect();
    let text = text.split(['?', '#']).next().unwrap_or_default();
    match (text.split_once("://"), text.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://{rest}"),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        let check = |text: &str, shown: &str, authority: &str, authorization: Option<&str>| {
            let (location, found) = Location::parse(text).unwrap();
            assert_eq!(location.to_string(), shown, "{text}");
            assert_eq!(location.authority().as_deref(), Some(authority).filter(|a| !a.is_empty()), "{text}");
            assert_eq!(found.as_ref().map(Secret::expose), authorization, "{text}");
        };
        check("https://x.example/a/b.git", "https://x.example/a/b.git", "x.example", None);
        check(
            "https://u:p@x.example:8443/a",
            "https://x.example:8443/a",
            "x.example:8443",
            Some("Basic dTpw"),
        );
        check("git://x.example/a", "git://x.example/a", "x.example", None);
        check("git://x.example:99/a%20b", "git://x.example:99/a b", "x.example:99", None);
        check("ssh://git@x.example:22/a", "ssh://git@x.example:22/a", "x.example:22", None);
        check("ssh://x.example/~me/a", "x.example:~me/a", "x.example", None);
        check("git@x.example:a/b.git", "git@x.example:a/b.git", "x.example", None);
        check("x.example:/a", "ssh://x.example/a", "x.example", None);
        check("file:///a/b", "/a/b", "", None);
        check("../a", "../a", "", None);
    }

    #[test]
    fn refusals() {
        let check = |text: &str, message: &str| {
            assert_eq!(Location::parse(text).unwrap_err().to_string(), message, "{text}");
        };
        check("ftp://u:p@x.example/a", "ftp://x.example/a: expected https, http, ssh or git before ://");
        check(
            "https://x.example/a#b",
            "https://x.example/a: it has a fragment or a query, which git does not know",
        );
        check("a", "a: it is neither a URL nor of the form host:path");
        check("ext::sh -c x", "ext::sh -c x: git's remote helpers are not run");
        check(":a", ":a: it has no host");
        check("git://x.example/", "git://x.example/: it has no path");
        check("ssh://u:p@x.example/a", "ssh://x.example/a: a password is of no use here");
    }

    #[test]
    fn dashes() {
        for text in [
            "-oProxyCommand=x:a",
            "ssh://-oProxyCommand=x/a",
            "ssh://-x@h.example/a",
            "h.example:-x",
            "-u@h:a",
        ] {
            assert!(Location::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn submodules() {
        let check = |base: &str, url: &str, expected: &str| {
            let (base, _) = Location::parse(base).unwrap();
            let found = match base.submodule(url) {
                Ok((location, _)) => location.to_string(),
                Err(error) => error.reason,
            };
            assert_eq!(found, expected, "{base} {url}");
        };
        check("https://x.example/a/b.git", "../c.git", "https://x.example/a/c.git");
        check("https://x.example/a/b.git/", "../../d/c.git", "https://x.example/d/c.git");
        check("https://x.example/a/b.git", "./c", "https://x.example/a/b.git/c");
        check("https://x.example/a", "../../c", "it leads above the root of its server");
        check("git@x.example:a/b.git", "../c", "git@x.example:a/c");
        check("ssh://x.example:5/a/b", "../c", "ssh://x.example:5/a/c");
        check("git://x.example/a/b", "../c", "git://x.example/a/c");
        check("https://x.example/a", "https://y.example/c", "https://y.example/c");
        check("https://x.example/a", "git@y.example:c", "git@y.example:c");
    }
}

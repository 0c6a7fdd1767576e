//! Keys: `host[:port][/path]`, whose host may hold globs, and which repositories they cover.
//!
//! The rules are those of [kubelet], but for one: a path covers whole components, so `/team` does not cover `/teamster`.
//!
//! [kubelet]: https://kubernetes.io/docs/concepts/containers/images/#config-json

use std::cmp::Reverse;

/// Where a credential counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    /// With the port, in lower case.
    host: String,
    /// Without slashes around it.
    path: String,
}

impl Key {
    /// A key without a scheme, without the `/v1/` or `/v2/` of an API, and with one name for Docker Hub.
    pub(crate) fn new(text: &str) -> Self {
        let text = text.split_once("://").map_or(text, |(_, rest)| rest).trim_matches('/');
        let (host, path) = text.split_once('/').unwrap_or((text, ""));
        let path = match path.split_once('/') {
            Some(("v1" | "v2", rest)) => rest,
            None if matches!(path, "v1" | "v2") => "",
            _ => path,
        };
        let host = host.to_ascii_lowercase();
        let host = match host.as_str() {
            "index.docker.io" | "registry-1.docker.io" => "docker.io".to_owned(),
            _ => host,
        };
        Key { host, path: path.trim_matches('/').to_owned() }
    }

    /// True if the key covers a repository of a registry.
    pub(crate) fn covers(&self, registry: &Key, repository: &str) -> bool {
        let rest = repository.strip_prefix(&self.path);
        let path = self.path.is_empty() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        path && host_matches(&self.host, &registry.host)
    }

    /// True if the key is this registry, without a path and globs or not.
    pub(crate) fn is_registry(&self, registry: &Key) -> bool {
        self.path.is_empty() && host_matches(&self.host, &registry.host)
    }

    /// By what keys are sorted, the one that says most about a repository first.
    pub(crate) fn order(&self) -> impl Ord + use<> {
        let is_glob = self.host.contains(['*', '?', '[']);
        (Reverse(self.path.len()), is_glob, Reverse(self.host.clone()))
    }
}

/// Ports have to be equal, and each part between dots has to match the one at its place.
fn host_matches(pattern: &str, host: &str) -> bool {
    // An IPv6 address is no place for globs: its brackets are its own.
    if pattern.starts_with('[') || host.starts_with('[') {
        return pattern == host;
    }
    let split = |text: &str| {
        let (name, port) = text.rsplit_once(':').unwrap_or((text, ""));
        (name.to_owned(), port.to_owned())
    };
    let ((pattern, pattern_port), (host, port)) = (split(pattern), split(host));
    if pattern_port != port || pattern.matches('.').count() != host.matches('.').count() {
        return false;
    }
    pattern.split('.').zip(host.split('.')).all(|(pattern, label)| glob(pattern.as_bytes(), label.as_bytes()))
}

/// `*`, `?`, `[a-z]`, `[^a-z]` and a backslash, as Go's `path.Match` has them.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => (0..=text.len()).any(|at| glob(rest, &text[at..])),
        (Some((b'?', rest)), Some((_, text))) => glob(rest, text),
        (Some((b'[', rest)), Some((byte, text))) => {
            let Some(end) = rest.iter().position(|byte| *byte == b']') else { return false };
            let (class, after) = (&rest[..end], &rest[end + 1..]);
            let (class, wanted) = match class.split_first() {
                Some((b'^', class)) => (class, false),
                _ => (class, true),
            };
            let mut found = false;
            let mut at = 0;
            while at < class.len() {
                match class.get(at + 1..at + 3) {
                    Some([b'-', last]) => {
                        found |= (class[at]..=*last).contains(byte);
                        at += 3;
                    }
                    _ => {
                        found |= class[at] == *byte;
                        at += 1;
                    }
                }
            }
            found == wanted && glob(after, text)
        }
        (Some((b'\\', rest)), Some((byte, text))) => {
            rest.split_first().is_some_and(|(escaped, rest)| escaped == byte && glob(rest, text))
        }
        (Some((expected, rest)), Some((byte, text))) => expected == byte && glob(rest, text),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(key: &str, reference: &str) -> bool {
        let (registry, repository) = reference.split_once('/').unwrap_or((reference, ""));
        Key::new(key).covers(&Key::new(registry), repository)
    }

    #[test]
    fn what_keys_cover() {
        for (key, reference, expected) in [
            // As kubelet's own tests have it.
            ("kubernetes.io", "kubernetes.io", true),
            ("*.kubernetes.io", "prefix.kubernetes.io", true),
            ("prefix.*.io", "prefix.kubernetes.io", true),
            ("prefix.kubernetes.*", "prefix.kubernetes.io", true),
            ("*-good.kubernetes.io", "prefix-good.kubernetes.io", true),
            ("*.kubernetes.io/blah", "prefix.kubernetes.io/blah", true),
            ("prefix.*.io/foo", "prefix.kubernetes.io/foo/bar", true),
            ("*.kubernetes.io:1111/blah", "prefix.kubernetes.io:1111/blah", true),
            ("prefix.*.io:1111/foo", "prefix.kubernetes.io:1111/foo/bar", true),
            ("*.kubernetes.io", "kubernetes.io", false),
            ("*.*.kubernetes.io", "prefix.kubernetes.io", false),
            ("*.*.kubernetes.io", "*.kubernetes.io", false),
            ("kubernetes.io", "kubernetes.com", false),
            ("k*.io", "quay.io", false),
            ("*.kubernetes.io:1234/blah", "prefix.kubernetes.io:1111/blah", false),
            ("prefix.*.io/foo", "prefix.kubernetes.io:1111/foo/bar", false),
            ("https://*.docker.io/v1/", "prefix.docker.io/foo/bar", true),
            // Ours.
            ("r.example/team", "r.example/team/app", true),
            ("r.example/team", "r.example/teamster", false),
            ("r.example/team/app", "r.example/team", false),
            ("R.Example", "r.example/a", true),
            ("https://r.example/v2/", "r.example/a", true),
            ("r.example/v1/team", "r.example/team", true),
            ("index.docker.io", "docker.io/library/busybox", true),
            ("https://index.docker.io/v1/", "docker.io/a/b", true),
            ("docker.io", "docker.io.evil.example/a", false),
            ("r[0-9].example", "r7.example/a", true),
            ("r[^0-9].example", "r7.example/a", false),
            ("r?.example", "r.example/a", false),
            ("r[.example", "r[.example/a", false),
            ("*", "r.example/a", false),
            ("*:5000", "localhost:5000/a", true),
            ("[::1]:5000", "[::1]:5000/a", true),
            ("[::1]:5000", "[::1]:5001/a", false),
        ] {
            assert_eq!(covers(key, reference), expected, "{key} of {reference}");
        }
    }

    #[test]
    fn the_one_that_says_most_is_first() {
        let mut keys =
            ["*.r.example", "a.r.example", "*.r.example/team", "a.r.example/team", "a.r.example/team/app"]
                .map(Key::new);
        keys.sort_by_key(Key::order);
        let shown: Vec<String> = keys.iter().map(|key| format!("{}/{}", key.host, key.path)).collect();
        let expected =
            ["a.r.example/team/app", "a.r.example/team", "*.r.example/team", "a.r.example/", "*.r.example/"];
        assert_eq!(shown, expected);
    }
}

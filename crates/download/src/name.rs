//! The name that a file is given when the destination is a directory.

use percent_encoding::percent_decode_str;
use url::Url;

/// The name of what has none.
const UNNAMED: &str = "__unnamed__";

/// The last element of the URL's path, decoded, as BuildKit takes it; `__unnamed__` if there is none. The query, and
/// what a server proposes by `Content-Disposition`, have no part in it: a name is to follow from what was written down.
#[must_use]
pub fn file_name(url: &Url) -> Vec<u8> {
    let last = url.path().rsplit('/').next().unwrap_or_default();
    let name: Vec<u8> = percent_decode_str(last).collect();
    match &*name {
        b"" | b"." | b".." => UNNAMED.into(),
        name if name.contains(&b'/') || name.contains(&0) => UNNAMED.into(),
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (url, name) in [
            ("http://x.example/a/b.tar.gz", "b.tar.gz"),
            ("http://x.example/a/b.tar.gz?x=/c#/d", "b.tar.gz"),
            ("http://x.example/a%20b", "a b"),
            ("http://x.example/%C3%A9", "é"),
            ("http://x.example", UNNAMED),
            ("http://x.example/", UNNAMED),
            ("http://x.example/a/", UNNAMED),
            ("http://x.example/a/%2e%2e", UNNAMED),
            ("http://x.example/..%2Fetc%2Fpasswd", UNNAMED),
            ("http://x.example/a%00", UNNAMED),
        ] {
            assert_eq!(file_name(&url.parse().unwrap()), name.as_bytes(), "{url}");
        }
    }
}

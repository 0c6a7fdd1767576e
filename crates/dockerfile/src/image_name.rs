//! Names of images, as far as the language itself looks at them: their short form, and whether a text can be one.

/// The short form of an image's name, which a named context of that name stands for: without `docker.io/`,
/// `library/` and `:latest`.
#[must_use]
pub fn familiar_name(name: &str) -> String {
    let short = ["docker.io/", "index.docker.io/"].iter().find_map(|host| name.strip_prefix(host));
    let short = short.unwrap_or(name);
    let short = short.strip_prefix("library/").filter(|rest| !rest.contains('/')).unwrap_or(short);
    short.strip_suffix(":latest").unwrap_or(short).to_owned()
}

/// True if the text has the [form] of a reference: `host/path:tag@digest`. Whether there is such an image is
/// another matter.
///
/// [form]: https://pkg.go.dev/github.com/distribution/reference
#[must_use]
pub fn is_image_name(text: &str) -> bool {
    let (rest, digest) = text.split_once('@').map_or((text, None), |(rest, digest)| (rest, Some(digest)));
    let (name, tag) = match rest.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (rest, None),
    };
    let is_id = text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    !is_id && is_path(name) && tag.is_none_or(is_tag) && digest.is_none_or(is_digest)
}

/// A host if the first part looks like one, and parts in lower case.
fn is_path(name: &str) -> bool {
    let path = match name.split_once('/') {
        Some((host, path))
            if host.contains(['.', ':']) || host == "localhost" || host != host.to_lowercase() =>
        {
            if !is_host(host) {
                return false;
            }
            path
        }
        _ => name,
    };
    path.split('/').all(is_part)
}

fn is_host(host: &str) -> bool {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        _ => (host, None),
    };
    let is_label = |label: &str| {
        let plain = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        plain && !label.is_empty() && !label.starts_with('-') && !label.ends_with('-')
    };
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    let is_name = match address {
        Some(address) => {
            !address.is_empty() && address.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b':')
        }
        None => name.split('.').all(is_label),
    };
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    is_name && port.is_none_or(is_port)
}

/// Letters and digits, parted by one dot, one or two underscores, or dashes.
fn is_part(part: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let mut rest = part;
    loop {
        let after = rest.trim_start_matches(is_plain);
        if after.len() == rest.len() {
            return false;
        }
        if after.is_empty() {
            return true;
        }
        let dashes = after.trim_start_matches('-');
        rest = if dashes.len() < after.len() {
            dashes
        } else if let Some(rest) =
            after.strip_prefix("__").or(after.strip_prefix('_')).or(after.strip_prefix('.'))
        {
            rest
        } else {
            return false;
        };
    }
}

fn is_tag(tag: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let bytes = tag.as_bytes();
    bytes.len() <= 128
        && bytes.first().is_some_and(|first| word(*first))
        && bytes.iter().all(|byte| word(*byte) || matches!(byte, b'.' | b'-'))
}

fn is_digest(digest: &str) -> bool {
    digest.split_once(':').is_some_and(|(algorithm, hex)| {
        let letters = |part: &str| {
            part.starts_with(|c: char| c.is_ascii_alphabetic())
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
        };
        algorithm.split(['+', '.', '-', '_']).all(letters)
            && hex.len() >= 32
            && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let digest = format!("a@sha256:{}", "0".repeat(64));
        for name in [
            "a",
            "scratch",
            "a:1.2-x_Y",
            "a/b-c__d.e_f",
            "a--b",
            "localhost/a",
            "Host/a",
            "x.example:5000/a/b:1",
            "[::1]:5000/a",
            digest.as_str(),
        ] {
            assert!(is_image_name(name), "{name}");
        }
        for name in [
            "",
            ":1",
            "a:",
            "A",
            "a/B",
            "a b",
            "a/",
            "/a",
            "a//b",
            "-a",
            "a-",
            "a..b",
            "a___b",
            "a:.b",
            "a@sha256:0",
            "a@",
            "x.example:port/a",
            "x..example/a",
            &"0".repeat(64),
        ] {
            assert!(!is_image_name(name), "{name}");
        }
    }

    #[test]
    fn short_names() {
        for (name, short) in [
            ("a", "a"),
            ("docker.io/library/a:latest", "a"),
            ("index.docker.io/a/b:1", "a/b:1"),
            ("library/a", "a"),
            ("library/a/b", "library/a/b"),
            ("x.example/library/a:latest", "x.example/library/a"),
        ] {
            assert_eq!(familiar_name(name), short);
        }
    }
}

//! Lock files of JavaScript's package managers other than npm.

use std::io::{self, BufRead};

use super::Package;
use super::languages::named;
use super::lines::each_line;

/// `yarn.lock` of both kinds: above each version the ranges that it is for, of which the first has the name.
pub(crate) fn yarn(reader: &mut dyn BufRead) -> io::Result<Vec<Package>> {
    let mut found = Vec::new();
    let mut name = String::new();
    each_line(reader, |line| {
        if !line.starts_with([' ', '#']) {
            let range = line.trim_start_matches('"');
            // The sign of a scope is the first character.
            let end = range.char_indices().skip(1).find(|(_, one)| *one == '@').map_or(0, |(at, _)| at);
            // The project itself and its parts are none that were fetched.
            let is_local = range[end..].starts_with("@workspace:");
            name = if is_local { String::new() } else { range[..end].to_owned() };
        } else if let Some(version) = line.strip_prefix("  version")
            && !name.is_empty()
        {
            let version = version.trim_start_matches(':').trim().trim_matches('"');
            found.push(named("npm", &std::mem::take(&mut name), version));
        }
    })?;
    Ok(found)
}

/// `pnpm-lock.yaml`: the keys of `packages`, which are names with versions, and in older files paths.
pub(crate) fn pnpm(reader: &mut dyn BufRead) -> io::Result<Vec<Package>> {
    let mut found = Vec::new();
    let mut in_packages = false;
    each_line(reader, |line| {
        if !line.starts_with(' ') && !line.trim().is_empty() {
            in_packages = line.trim_end() == "packages:";
            return;
        }
        let key = line.strip_prefix("  ").filter(|rest| in_packages && !rest.starts_with(' '));
        let Some(key) = key.and_then(|key| key.trim_end().strip_suffix(':')) else { return };
        let key = key.trim_matches(['\'', '"']);
        // Behind the version, what it was resolved with.
        let key = key.split('(').next().unwrap_or(key);
        let path = key.strip_prefix('/');
        let key = path.unwrap_or(key);
        // Of the oldest kind the peers stand behind a low line, and no sign of a version before it.
        let (plain, _) = key.split_once('_').filter(|_| path.is_some()).unwrap_or((key, ""));
        let key = if plain.char_indices().skip(1).any(|(_, one)| one == '@') { key } else { plain };
        let at = key.char_indices().skip(1).find(|(_, one)| *one == '@').map(|(at, _)| at);
        match (at, key.rsplit_once('/')) {
            // Tarballs and directories have no version there.
            (Some(at), _) if !key[at + 1..].contains(':') => {
                found.push(named("npm", &key[..at], &key[at + 1..]));
            }
            (None, Some((name, version))) if path.is_some() => {
                found.push(named("npm", name, version));
            }
            _ => {}
        }
    })?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn purls(found: &[Package]) -> Vec<String> {
        found.iter().map(Package::purl).collect()
    }

    #[test]
    fn lock_files_of_yarn() {
        for text in [
            "# yarn lockfile v1\n\n\n\"@babel/core@^7.0.0\", \"@babel/core@^7.1.0\":\n  version \"7.1.0\"\n  dependencies:\n    a \"1\"\n\na@1, a@^1:\n  version \"1.2.3\"\n",
            "__metadata:\n  version: 8\n\n\"@babel/core@npm:^7.0.0\":\n  version: 7.1.0\n  resolution: \"@babel/core@npm:7.1.0\"\n\n\"a@npm:1, a@npm:^1\":\n  version: 1.2.3\n\n\"app@workspace:.\":\n  version: 0.0.0-use.local\n",
        ] {
            let found = yarn(&mut text.as_bytes()).unwrap();
            assert_eq!(purls(&found), ["pkg:npm/%40babel/core@7.1.0", "pkg:npm/a@1.2.3"], "{text}");
        }
    }

    #[test]
    fn lock_files_of_pnpm() {
        for text in [
            "lockfileVersion: '9.0'\n\npackages:\n\n  '@babel/core@7.1.0':\n    resolution: {integrity: sha512-x}\n\n  a@1.2.3:\n    engines: {node: '>=1'}\n\n  b@https://x.example/b.tgz:\n    resolution: {}\n\nsnapshots:\n\n  c@1.0.0: {}\n",
            "lockfileVersion: '6.0'\npackages:\n\n  /@babel/core@7.1.0(a@1.2.3):\n    dev: true\n  /a@1.2.3:\n    dev: true\n",
            "lockfileVersion: 5.4\npackages:\n  /@babel/core/7.1.0_a@1.2.3:\n    dev: true\n  /a/1.2.3:\n    dev: true\n",
        ] {
            let found = pnpm(&mut text.as_bytes()).unwrap();
            assert_eq!(purls(&found), ["pkg:npm/%40babel/core@7.1.0", "pkg:npm/a@1.2.3"], "{text}");
        }
    }
}

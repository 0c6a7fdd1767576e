//! Packages of programming languages: lock files, and the metadata of what is installed.

use std::collections::BTreeMap;
use std::io::{self, BufRead};

use serde::Deserialize;

use super::Package;
use super::lines::each_line;

/// A name with what stands before its last slash as namespace.
pub(crate) fn named(ecosystem: &'static str, name: &str, version: &str) -> Package {
    let (namespace, name) = name.rsplit_once('/').unwrap_or(("", name));
    Package { namespace: namespace.to_owned(), ..Package::new(ecosystem, name, version) }
}

fn malformed(error: serde_json::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// `package-lock.json` of npm, of all versions; also the one that npm leaves in `node_modules`.
pub(crate) fn npm(reader: &mut dyn BufRead) -> io::Result<Vec<Package>> {
    #[derive(Deserialize)]
    struct Lock {
        packages: Option<BTreeMap<String, Entry>>,
        dependencies: Option<BTreeMap<String, Old>>,
    }
    #[derive(Deserialize)]
    struct Entry {
        name: Option<String>,
        version: Option<String>,
        #[serde(default)]
        link: bool,
        license: Option<serde_json::Value>,
    }
    #[derive(Deserialize)]
    struct Old {
        version: Option<String>,
        dependencies: Option<BTreeMap<String, Old>>,
    }
    fn old(found: &mut Vec<Package>, dependencies: &BTreeMap<String, Old>) {
        for (name, entry) in dependencies {
            found.push(named("npm", name, entry.version.as_deref().unwrap_or_default()));
            old(found, entry.dependencies.as_ref().unwrap_or(&BTreeMap::new()));
        }
    }
    let lock: Lock = serde_json::from_reader(reader).map_err(malformed)?;
    let mut found = Vec::new();
    match (&lock.packages, &lock.dependencies) {
        (Some(packages), _) => {
            // The one without a path is the project itself, and links lead to others of the list.
            for (path, entry) in packages.iter().filter(|(path, entry)| !path.is_empty() && !entry.link) {
                let by_path = path.rsplit("node_modules/").next().unwrap_or(path);
                let name = entry.name.as_deref().unwrap_or(by_path);
                let mut package = named("npm", name, entry.version.as_deref().unwrap_or_default());
                package.license =
                    entry.license.as_ref().and_then(|text| text.as_str()).unwrap_or_default().to_owned();
                found.push(package);
            }
        }
        (None, Some(dependencies)) => old(&mut found, dependencies),
        (None, None) => {}
    }
    Ok(found)
}

/// `Cargo.lock`.
pub(crate) fn cargo(reader: &mut dyn BufRead) -> io::Result<Vec<Package>> {
    tables("cargo", reader)
}

/// `poetry.lock`, `uv.lock`.
pub(crate) fn python_lock(reader: &mut dyn BufRead) -> io::Result<Vec<Package>> {
    let found = tables("pypi", reader)?;
    Ok(found.iter().map(|package| python(&package.name, &package.version)).collect())
}

/// A table for each package, a key on each line, which is how these programs write TOML.
fn tables(ecosystem: &'static str, reader: &mut dyn BufRead) -> io::Result<Vec<Package>> {
    let mut found: Vec<Package> = Vec::new();
    let mut in_package = false;
    each_line(reader, |line| {
        if line.starts_with('[') {
            in_package = line.trim() == "[[package]]";
            if in_package {
                found.push(Package::new(ecosystem, "", ""));
            }
        } else if let (true, Some((key, value)), Some(package)) =
            (in_package, line.split_once('='), found.last_mut())
        {
            let value = value.trim().trim_matches('"').to_owned();
            match key.trim() {
                "name" => package.name = value,
                "version" => package.version = value,
                _ => {}
            }
        }
    })?;
    found.retain(|package| !package.name.is_empty());
    Ok(found)
}

/// `go.mod`: what it requires, indirect requirements too.
pub(crate) fn go_mod(reader: &mut dyn BufRead) -> io::Result<Vec<Package>> {
    let mut found = Vec::new();
    let mut in_require = false;
    each_line(reader, |line| {
        let line = line.split("//").next().unwrap_or_default().trim();
        let required = match line.strip_prefix("require") {
            Some(rest) if rest.trim() == "(" => {
                in_require = true;
                return;
            }
            Some(rest) => Some(rest),
            None if line == ")" => {
                in_require = false;
                return;
            }
            None => Some(line).filter(|_| in_require),
        };
        let mut words = required.unwrap_or_default().split_whitespace();
        if let (Some(module), Some(version), None) = (words.next(), words.next(), words.next()) {
            found.push(named("golang", module.trim_matches('"'), version));
        }
    })?;
    Ok(found)
}

/// `go.sum`: every module whose contents were of use, which is more than are built in.
pub(crate) fn go_sum(reader: &mut dyn BufRead) -> io::Result<Vec<Package>> {
    let mut found = Vec::new();
    each_line(reader, |line| {
        let mut words = line.split_whitespace();
        if let (Some(module), Some(version), Some(_)) = (words.next(), words.next(), words.next())
            && !version.ends_with("/go.mod")
        {
            found.push(named("golang", module, version));
        }
    })?;
    Ok(found)
}

/// A name of a Python package in the form that package URLs have (PEP 503).
fn python(name: &str, version: &str) -> Package {
    let mut normal = String::new();
    for part in name.split(['-', '_', '.']).filter(|part| !part.is_empty()) {
        if !normal.is_empty() {
            normal.push('-');
        }
        normal.push_str(&part.to_ascii_lowercase());
    }
    Package::new("pypi", normal, version)
}

/// `requirements.txt`: a version only where it is pinned.
pub(crate) fn requirements(reader: &mut dyn BufRead) -> io::Result<Vec<Package>> {
    let mut found = Vec::new();
    let mut goes_on = false;
    each_line(reader, |line| {
        let is_more = std::mem::replace(&mut goes_on, line.trim_end().ends_with('\\'));
        let line = line.split(" #").next().unwrap_or_default().trim_end_matches('\\').trim();
        if is_more
            || line.is_empty()
            || line.starts_with(['#', '-', '.', '/'])
            || line.contains("://") && !line.contains('@')
        {
            return;
        }
        // Markers and hashes stand behind.
        let line = line.split([';', ' ']).next().unwrap_or_default();
        let end = line.find(['=', '<', '>', '!', '~', '[', '@', '(']).unwrap_or(line.len());
        let version = match line.split_once("==") {
            Some((_, version)) if !version.contains(['*', ',']) => version.trim_start_matches('='),
            _ => "",
        };
        let name = line[..end].trim();
        if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        {
            found.push(python(name, version));
        }
    })?;
    Ok(found)
}

/// `METADATA` of an installed Python package, or its older form `PKG-INFO`: fields like those of a mail, then a text.
pub(crate) fn python_metadata(reader: &mut dyn BufRead) -> io::Result<Vec<Package>> {
    let (mut name, mut version, mut license, mut author) = Default::default();
    let mut in_text = false;
    each_line(reader, |line| {
        in_text |= line.is_empty();
        if let (false, Some((field, value))) = (in_text, line.split_once(": ")) {
            let field: Option<&mut String> = match field {
                "Name" => Some(&mut name),
                "Version" => Some(&mut version),
                "License-Expression" => Some(&mut license),
                "License" if license.is_empty() && value.len() < 100 => Some(&mut license),
                "Author" => Some(&mut author),
                _ => None,
            };
            if let Some(field) = field {
                *field = value.trim().to_owned();
            }
        }
    })?;
    if name.is_empty() {
        return Ok(Vec::new());
    }
    Ok(vec![Package { license, maintainer: author, ..python(&name, &version) }])
}

/// `Gemfile.lock`: the lines of `specs:` with four blanks before them; those with more are what a gem needs.
pub(crate) fn gems(reader: &mut dyn BufRead) -> io::Result<Vec<Package>> {
    let mut found = Vec::new();
    let mut in_specs = false;
    each_line(reader, |line| {
        if !line.starts_with("    ") {
            in_specs = line.trim_end() == "  specs:";
        } else if let Some(spec) = line.strip_prefix("    ").filter(|rest| in_specs && !rest.starts_with(' '))
        {
            let (name, version) = spec.split_once(" (").unwrap_or((spec, ""));
            found.push(Package::new("gem", name.trim(), version.trim_end().trim_end_matches(')')));
        }
    })?;
    Ok(found)
}

/// `composer.lock`, and `installed.json` of a `vendor` directory.
pub(crate) fn composer(reader: &mut dyn BufRead) -> io::Result<Vec<Package>> {
    #[derive(Deserialize)]
    struct Lock {
        #[serde(default)]
        packages: Vec<Entry>,
        #[serde(default, rename = "packages-dev")]
        dev: Vec<Entry>,
    }
    #[derive(Deserialize)]
    struct Entry {
        name: String,
        version: Option<String>,
    }
    let lock: Lock = serde_json::from_reader(reader).map_err(malformed)?;
    let entries = lock.packages.iter().chain(&lock.dev);
    let entries =
        entries.map(|entry| named("composer", &entry.name, entry.version.as_deref().unwrap_or_default()));
    Ok(entries.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(read: impl Fn(&mut dyn BufRead) -> io::Result<Vec<Package>>, text: &str, expected: &[&str]) {
        let found = read(&mut text.as_bytes()).unwrap();
        let found: Vec<String> = found.iter().map(Package::purl).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn lock_files_of_npm() {
        check(
            npm,
            r#"{"name":"app","lockfileVersion":3,"packages":{"":{"name":"app","version":"1.0.0"},
            "node_modules/@babel/core":{"version":"7.1.0","license":"MIT"},"node_modules/a":{"resolved":"lib/a","link":true},
            "lib/a":{"name":"a","version":"0.1.0"},"node_modules/b/node_modules/c":{"version":"2.0.0"}}}"#,
            &["pkg:npm/a@0.1.0", "pkg:npm/%40babel/core@7.1.0", "pkg:npm/c@2.0.0"],
        );
        check(
            npm,
            r#"{"lockfileVersion":1,"dependencies":{"a":{"version":"1.0.0","dependencies":{"b":{"version":"2.0.0"}}}}}"#,
            &["pkg:npm/a@1.0.0", "pkg:npm/b@2.0.0"],
        );
        check(npm, "{}", &[]);
        for text in ["", "[]", "{\"packages\": 1}"] {
            assert!(npm(&mut text.as_bytes()).is_err(), "{text}");
        }
        let deep = format!("{}{}", "{\"dependencies\":{\"a\":".repeat(200), "}}".repeat(200));
        assert!(npm(&mut deep.as_bytes()).is_err());
    }

    #[test]
    fn lock_files_of_others() {
        check(
            cargo,
            "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1.0.0+x\"\ndependencies = [\n \"b\",\n]\n\n[[package]]\nname = \"b\"\nversion = \"0.1.0\"\n[metadata]\nname = \"no\"\n",
            &["pkg:cargo/a@1.0.0%2Bx", "pkg:cargo/b@0.1.0"],
        );
        check(
            go_mod,
            "module x.example/m\ngo 1.22\nrequire a.example/b v1.0.0 // indirect\nrequire (\n\tc.example/d/v2 v2.1.0\n\te v0.0.0\n)\nreplace e => ../e\n",
            &["pkg:golang/a.example/b@v1.0.0", "pkg:golang/c.example/d/v2@v2.1.0", "pkg:golang/e@v0.0.0"],
        );
        check(
            go_sum,
            "a.example/b v1.0.0 h1:x=\na.example/b v1.0.0/go.mod h1:y=\nc.example/d v1.0.0/go.mod h1:z=\n",
            &["pkg:golang/a.example/b@v1.0.0"],
        );
        check(
            gems,
            "GEM\n  remote: https://rubygems.example/\n  specs:\n    rack (3.0.8)\n    rails (7.1.0)\n      rack (>= 2.2)\n\nPLATFORMS\n    ruby\n",
            &["pkg:gem/rack@3.0.8", "pkg:gem/rails@7.1.0"],
        );
        check(
            composer,
            r#"{"packages":[{"name":"a/b","version":"v1.0"}],"packages-dev":[{"name":"c/d"}]}"#,
            &["pkg:composer/a/b@v1.0", "pkg:composer/c/d"],
        );
    }

    #[test]
    fn packages_of_python() {
        check(
            requirements,
            "# what we need\nFlask==2.3.1 # web\nruamel.yaml [jinja2]>=1,<2\nx_y==1.* ; python_version>'3'\n-r other.txt\nhttps://x.example/a.whl\nn @ https://x.example/n.whl\nhashed==1.0 \\\n    --hash=sha256:00\n",
            &[
                "pkg:pypi/flask@2.3.1",
                "pkg:pypi/ruamel-yaml",
                "pkg:pypi/x-y",
                "pkg:pypi/n",
                "pkg:pypi/hashed@1.0",
            ],
        );
        check(
            python_metadata,
            "Metadata-Version: 2.1\nName: Jinja2\nVersion: 3.1.2\nLicense: BSD-3-Clause\n\nName: of the text\n",
            &["pkg:pypi/jinja2@3.1.2"],
        );
        check(python_metadata, "Version: 1\n", &[]);
        check(
            python_lock,
            "[[package]]\nname = \"Foo_bar\"\nversion = \"2.0\"\n\n[package.dependencies]\nname = \"no\"\n[metadata]\npython-versions = \"*\"\n",
            &["pkg:pypi/foo-bar@2.0"],
        );
    }
}

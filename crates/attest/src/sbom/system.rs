//! Packages of distributions whose databases are text: dpkg's and apk's; and which distribution it is.

use std::io::{self, BufRead};

use super::Package;
use super::lines::each_line;

/// What `/etc/os-release` says (os-release(5)).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct OsRelease {
    /// `debian`, `alpine`.
    pub(crate) id: String,
    /// `12`, `3.20.1`.
    pub(crate) version_id: String,
}

impl OsRelease {
    pub(crate) fn read(reader: &mut dyn BufRead) -> io::Result<Self> {
        let mut found = OsRelease::default();
        each_line(reader, |line| {
            let Some((name, value)) = line.split_once('=') else { return };
            let value = value.trim().trim_matches(['"', '\'']).to_owned();
            match name.trim() {
                "ID" => found.id = value,
                "VERSION_ID" => found.version_id = value,
                _ => {}
            }
        })?;
        Ok(found)
    }

    /// As package URLs name it: `debian-12`.
    pub(crate) fn distro(&self) -> String {
        match (self.id.as_str(), self.version_id.as_str()) {
            ("", _) => String::new(),
            (id, "") => id.to_owned(),
            (id, version) => format!("{id}-{version}"),
        }
    }
}

/// The status of dpkg: paragraphs of fields (deb-control(5)). Those that are removed but for their configuration are
/// not there; a file of `status.d`, as distroless images have them, holds one paragraph and no status.
pub(crate) fn dpkg(reader: &mut dyn BufRead) -> io::Result<Vec<Package>> {
    let mut packages = Vec::new();
    let mut package = Package::new("deb", "", "");
    let (mut architecture, mut is_there) = (String::new(), true);
    let mut end = |package: &mut Package, architecture: &mut String, is_there: &mut bool| {
        let mut done = std::mem::replace(package, Package::new("deb", "", ""));
        let architecture = std::mem::take(architecture);
        if std::mem::replace(is_there, true) && !done.name.is_empty() {
            done.qualifiers.push(("arch", architecture));
            packages.push(done);
        }
    };
    each_line(reader, |line| {
        if line.is_empty() {
            return end(&mut package, &mut architecture, &mut is_there);
        }
        let Some((name, value)) = line.split_once(':') else { return };
        let value = value.trim();
        match name {
            "Package" => package.name = value.to_owned(),
            "Version" => package.version = value.to_owned(),
            "Architecture" => architecture = value.to_owned(),
            // With its version in parentheses, if that is another one.
            "Source" => package.source = value.split(' ').next().unwrap_or_default().to_owned(),
            "Maintainer" => package.maintainer = value.to_owned(),
            "Status" => is_there = value.ends_with(" installed"),
            _ => {}
        }
    })?;
    end(&mut package, &mut architecture, &mut is_there);
    Ok(packages)
}

/// The database of apk: paragraphs of fields of one letter.
pub(crate) fn apk(reader: &mut dyn BufRead) -> io::Result<Vec<Package>> {
    let mut packages = Vec::new();
    let mut package = Package::new("apk", "", "");
    let mut end = |package: &mut Package| {
        let done = std::mem::replace(package, Package::new("apk", "", ""));
        if !done.name.is_empty() {
            packages.push(done);
        }
    };
    each_line(reader, |line| {
        if line.is_empty() {
            return end(&mut package);
        }
        let Some((name, value)) = line.split_once(':') else { return };
        match name {
            "P" => package.name = value.to_owned(),
            "V" => package.version = value.to_owned(),
            "A" => package.qualifiers.push(("arch", value.to_owned())),
            "o" => package.source = value.to_owned(),
            "m" => package.maintainer = value.to_owned(),
            "L" => package.license = value.to_owned(),
            _ => {}
        }
    })?;
    end(&mut package);
    Ok(packages)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(packages: &[Package]) -> Vec<String> {
        packages.iter().map(Package::purl).collect()
    }

    #[test]
    fn dpkgs_status() {
        let text = "Package: bash\nStatus: install ok installed\nMaintainer: M <m@x.example>\nArchitecture: amd64\nSource: bash (5.2-1)\nVersion: 5.2.15-2+b2\nDescription: GNU\n Version: of another line\n\nPackage: gone\nStatus: deinstall ok config-files\nVersion: 1\n\nPackage: libc6\nVersion: 2.36\nArchitecture: amd64\n";
        let found = dpkg(&mut text.as_bytes()).unwrap();
        assert_eq!(shown(&found), ["pkg:deb/bash@5.2.15-2%2Bb2?arch=amd64", "pkg:deb/libc6@2.36?arch=amd64"]);
        assert_eq!((found[0].source.as_str(), found[0].maintainer.as_str()), ("bash", "M <m@x.example>"));
        assert_eq!(dpkg(&mut "\n\nno field\n".as_bytes()).unwrap(), []);
    }

    #[test]
    fn apks_database() {
        let text = "C:Q1x\nP:musl\nV:1.2.5-r0\nA:x86_64\nL:MIT\no:musl\nm:T <t@x.example>\nF:lib\nR:ld-musl.so\n\nP:busybox\nV:1.36\nA:x86_64\nL:GPL-2.0-only";
        let found = apk(&mut text.as_bytes()).unwrap();
        assert_eq!(shown(&found), ["pkg:apk/musl@1.2.5-r0?arch=x86_64", "pkg:apk/busybox@1.36?arch=x86_64"]);
        assert_eq!(found[1].license, "GPL-2.0-only");
    }

    #[test]
    fn distributions() {
        for (text, expected) in [
            ("NAME=\"x\"\nID=debian\nVERSION_ID=\"12\"\n", "debian-12"),
            ("ID='arch'\n", "arch"),
            ("VERSION_ID=1", ""),
        ] {
            assert_eq!(OsRelease::read(&mut text.as_bytes()).unwrap().distro(), expected);
        }
    }
}

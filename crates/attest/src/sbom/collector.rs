//! The collector: a sink that reads what lists packages while the layers of an image stream by.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek as _};
use std::path::PathBuf;

use layer::{Content, LayerIndex, Metadata, Sink, Tree, TreePath};

use super::system::{self, OsRelease};
use super::{Package, go_program, java, javascript, languages, rpm};

/// What a file is, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    OsRelease,
    Dpkg,
    Apk,
    Rpm,
    /// Changes to rpm's database that are not in it yet.
    RpmLog,
    /// rpm's database in a format that is not read.
    OldRpm,
    Npm,
    Yarn,
    Pnpm,
    Cargo,
    GoMod,
    GoSum,
    /// A program, by its mode and not by its name.
    Program,
    Requirements,
    PythonLock,
    PythonMetadata,
    Gems,
    Composer,
    Java,
    MavenProperties,
}

/// A database or lock file of text that is larger is passed over, with a note.
const TEXT_LIMIT: u64 = 256 << 20;
/// A lock file of JSON is in memory as a whole.
const JSON_LIMIT: u64 = 16 << 20;
/// rpm's database is copied, since it is not read from front to back.
const RPM_LIMIT: u64 = 1 << 30;
/// Packages of one image, so that no image takes all memory.
const MOST: usize = 200_000;

impl Source {
    fn of(path: &TreePath) -> Option<Self> {
        let bytes = path.as_bytes();
        let name = path.name();
        let parent = bytes.strip_suffix(name).unwrap_or_default();
        Some(match bytes {
            b"etc/os-release" | b"usr/lib/os-release" => Source::OsRelease,
            b"var/lib/dpkg/status" => Source::Dpkg,
            _ if parent == b"var/lib/dpkg/status.d/" && !name.ends_with(b".md5sums") => Source::Dpkg,
            b"lib/apk/db/installed" | b"usr/lib/apk/db/installed" => Source::Apk,
            _ if parent == b"var/lib/rpm/" || parent == b"usr/lib/sysimage/rpm/" => match name {
                b"rpmdb.sqlite" => Source::Rpm,
                b"rpmdb.sqlite-wal" => Source::RpmLog,
                b"Packages" | b"Packages.db" => Source::OldRpm,
                _ => return None,
            },
            _ => match name {
                b"package-lock.json" | b".package-lock.json" => Source::Npm,
                b"yarn.lock" => Source::Yarn,
                b"pnpm-lock.yaml" => Source::Pnpm,
                b"Cargo.lock" => Source::Cargo,
                b"go.mod" => Source::GoMod,
                b"go.sum" => Source::GoSum,
                b"requirements.txt" => Source::Requirements,
                b"poetry.lock" | b"uv.lock" => Source::PythonLock,
                b"METADATA" if parent.ends_with(b".dist-info/") => Source::PythonMetadata,
                b"PKG-INFO" if parent.ends_with(b".egg-info/") => Source::PythonMetadata,
                b"Gemfile.lock" => Source::Gems,
                b"composer.lock" => Source::Composer,
                b"installed.json" if parent.ends_with(b"vendor/composer/") => Source::Composer,
                b"pom.properties" if has_part(parent, b"META-INF/maven/") => Source::MavenProperties,
                name if java::is_archive(name) => Source::Java,
                _ => return None,
            },
        })
    }

    fn limit(self) -> u64 {
        match self {
            Source::Npm | Source::Composer => JSON_LIMIT,
            Source::Rpm => RPM_LIMIT,
            // They are as large as they are; of neither is more in memory than the names of what it holds.
            Source::Program | Source::Java => u64::MAX,
            _ => TEXT_LIMIT,
        }
    }
}

/// True if the bytes are somewhere in a path.
fn has_part(path: &[u8], part: &[u8]) -> bool {
    path.windows(part.len()).any(|window| window == part)
}

/// What a file held.
#[derive(Debug)]
struct Found {
    layer: u32,
    source: Source,
    held: Held,
}

#[derive(Debug)]
enum Held {
    Os(OsRelease),
    Packages(Vec<Package>),
    /// Why it is not in the bill.
    Note(String),
}

/// Sees the layers of an image pass, bottom first.
#[derive(Debug)]
pub struct Collector {
    scratch: PathBuf,
    layer: u32,
    tree: Tree,
    found: BTreeMap<TreePath, Found>,
    packages: usize,
}

/// What an image holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Contents {
    /// Its packages, and the files that say so.
    pub packages: BTreeMap<Package, BTreeSet<String>>,
    /// The distribution, as `debian-12`.
    pub distro: String,
    /// What could not be read, and why.
    pub notes: Vec<String>,
}

impl Collector {
    /// Before the first layer. Files that cannot be read from front to back are copied to `scratch`, one at a time,
    /// which is where this may write.
    #[must_use]
    pub fn new(scratch: impl Into<PathBuf>) -> Self {
        let (found, tree) = (BTreeMap::new(), Tree::new());
        Collector { scratch: scratch.into(), layer: 0, tree, found, packages: 0 }
    }

    /// Ends a layer.
    pub fn laid(&mut self, index: &LayerIndex) {
        self.tree.apply(self.layer, index);
        self.layer += 1;
    }

    /// What is there once all layers are in place.
    #[must_use]
    pub fn finish(self) -> Contents {
        let Collector { tree, found, .. } = self;
        let is_there = |path: &TreePath, found: &Found| {
            let resolved = tree.resolve(path, false).ok();
            resolved.and_then(|resolved| resolved.inode).is_some_and(|inode| inode.layer == found.layer)
        };
        let found: BTreeMap<TreePath, Found> =
            found.into_iter().filter(|(path, found)| is_there(path, found)).collect();
        let os = found.values().find_map(|found| match &found.held {
            Held::Os(os) => Some(os.clone()),
            _ => None,
        });
        let os = os.unwrap_or_default();
        let has_go_mod = |path: &TreePath| {
            let beside = path.parent().unwrap_or_default().child(b"go.mod");
            found.contains_key(&beside)
        };
        let mut contents = Contents { distro: os.distro(), ..Contents::default() };
        for (path, one) in &found {
            match &one.held {
                Held::Os(_) => {}
                Held::Note(note) => contents.notes.push(format!("{path}: {note}")),
                // Beside a go.mod, a go.sum only adds what was looked at and not taken.
                Held::Packages(_) if one.source == Source::GoSum && has_go_mod(path) => {}
                Held::Packages(packages) => {
                    for package in packages {
                        let mut package = package.clone();
                        if matches!(package.ecosystem, "deb" | "apk" | "rpm") {
                            package.namespace.clone_from(&os.id);
                            package.qualifiers.push(("distro", os.distro()));
                        }
                        contents.packages.entry(package).or_default().insert(path.to_string());
                    }
                }
            }
        }
        contents
    }

    fn read(&mut self, source: Source, size: u64, data: &mut dyn Read) -> Held {
        if size > source.limit() {
            return Held::Note(format!("it is not read: it has {size} bytes"));
        }
        let held = match source {
            Source::OldRpm => {
                return Held::Note("a database of rpm that is not SQLite's is not read".to_owned());
            }
            Source::RpmLog if size > 0 => {
                return Held::Note("what it says is not in the database yet, and not read".to_owned());
            }
            Source::RpmLog => Ok(Vec::new()),
            Source::Rpm => self.rpm(data),
            Source::OsRelease => {
                return match OsRelease::read(&mut BufReader::new(data)) {
                    Ok(os) => Held::Os(os),
                    Err(error) => Held::Note(error.to_string()),
                };
            }
            _ => packages_of(source, &mut BufReader::new(data)),
        };
        match held {
            Ok(packages) => {
                self.packages += packages.len();
                match self.packages <= MOST {
                    true => Held::Packages(packages),
                    false => Held::Note(format!("it is not read: there are more than {MOST} packages")),
                }
            }
            Err(error) => Held::Note(error.to_string()),
        }
    }

    fn rpm(&self, data: &mut dyn Read) -> io::Result<Vec<Package>> {
        let path = self.scratch.join("rpmdb.sqlite");
        let mut copy = File::options().read(true).write(true).create(true).truncate(true).open(&path)?;
        let copied = io::copy(data, &mut copy).and_then(|_| copy.rewind());
        let packages = copied.and_then(|()| rpm::packages(&copy));
        // What is left behind goes with the scratch directory.
        let _ = std::fs::remove_file(&path);
        packages
    }
}

fn packages_of(source: Source, reader: &mut dyn BufRead) -> io::Result<Vec<Package>> {
    match source {
        Source::Dpkg => system::dpkg(reader),
        Source::Apk => system::apk(reader),
        Source::Npm => languages::npm(reader),
        Source::Yarn => javascript::yarn(reader),
        Source::Pnpm => javascript::pnpm(reader),
        Source::Program => go_program::packages(&mut &mut *reader),
        Source::PythonLock => languages::python_lock(reader),
        Source::Java => java::archive(reader),
        Source::MavenProperties => java::properties(reader),
        Source::Cargo => languages::cargo(reader),
        Source::GoMod => languages::go_mod(reader),
        Source::GoSum => languages::go_sum(reader),
        Source::Requirements => languages::requirements(reader),
        Source::PythonMetadata => languages::python_metadata(reader),
        Source::Gems => languages::gems(reader),
        Source::Composer => languages::composer(reader),
        Source::OsRelease | Source::Rpm | Source::RpmLog | Source::OldRpm => Ok(Vec::new()),
    }
}

impl Sink for Collector {
    fn put(&mut self, path: &TreePath, metadata: &Metadata, content: Content<'_>) -> io::Result<()> {
        let program = Some(Source::Program).filter(|_| metadata.mode & 0o111 != 0);
        if let (Some(source), Content::File { size, data }) = (Source::of(path).or(program), content) {
            let held = self.read(source, size, data);
            if source == Source::Program && matches!(&held, Held::Packages(packages) if packages.is_empty()) {
                // Most programs are none of Go.
                return Ok(());
            }
            self.found.insert(path.clone(), Found { layer: self.layer, source, held });
        }
        Ok(())
    }

    fn link(&mut self, _: &TreePath, _: &TreePath) -> io::Result<()> {
        Ok(())
    }

    fn remove(&mut self, _: &TreePath) -> io::Result<()> {
        Ok(())
    }

    fn clear(&mut self, _: &TreePath) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use layer::read_layer;
    use oci::Compression;
    use testkit::Layer;

    use super::*;

    fn collected(layers: &[&str]) -> (String, Vec<String>) {
        let scratch = tempfile::tempdir().unwrap();
        let mut collector = Collector::new(scratch.path());
        for text in layers {
            let tar = Layer::new().tree(text).tar();
            let index = read_layer(&tar[..], Compression::None, &mut collector).unwrap();
            collector.laid(&index);
        }
        let contents = collector.finish();
        let packages: Vec<String> = contents.packages.keys().map(Package::purl).collect();
        (packages.join(" "), contents.notes)
    }

    #[test]
    fn what_the_last_layer_leaves() {
        let debian = "/etc/os-release file = ID=debian\\nVERSION_ID=12\\n\n/var/lib/dpkg/status file = Package: a\\nVersion: 1\\nArchitecture: all\\n";
        let a = "pkg:deb/debian/a@1?arch=all&distro=debian-12";
        for (layers, expected) in [
            (&[debian][..], a),
            (&[debian, "/x file"], a),
            (&[debian, "/var/lib/dpkg/.wh.status file"], ""),
            (&[debian, "/.wh.var file"], ""),
            (
                &[debian, "/var/lib/dpkg/status file = Package: b\\nVersion: 2\\n"],
                "pkg:deb/debian/b@2?distro=debian-12",
            ),
            (
                &[
                    "/var/lib/dpkg/status.d/c file = Package: c\\nVersion: 3\\n\n/var/lib/dpkg/status.d/c.md5sums file = Package: no\\n",
                ],
                "pkg:deb/c@3",
            ),
            // Through a link of the image.
            (
                &["/usr/lib dir\n/lib symlink -> usr/lib", "/lib/apk/db/installed file = P:m\\nV:1\\n"],
                "pkg:apk/m@1",
            ),
            (
                &["/app/go.mod file = require a.b/c v1\\n\n/app/go.sum file = a.b/d v2 h1:x\\n"],
                "pkg:golang/a.b/c@v1",
            ),
            (&["/app/go.sum file = a.b/d v2 h1:x\\n"], "pkg:golang/a.b/d@v2"),
            (
                &["/p/x-1.dist-info/METADATA file = Name: x\\nVersion: 1\\n\n/p/METADATA file = Name: y\\n"],
                "pkg:pypi/x@1",
            ),
        ] {
            assert_eq!(collected(layers), (expected.to_owned(), vec![]), "{layers:?}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        for (layer, note) in [
            (
                "/var/lib/rpm/Packages file = x",
                "/var/lib/rpm/Packages: a database of rpm that is not SQLite's is not read",
            ),
            (
                "/var/lib/rpm/rpmdb.sqlite file = x",
                "/var/lib/rpm/rpmdb.sqlite: the SQLite database is damaged: it is too short",
            ),
            (
                "/var/lib/rpm/rpmdb.sqlite-wal file = x",
                "/var/lib/rpm/rpmdb.sqlite-wal: what it says is not in the database yet, and not read",
            ),
            (
                "/a/package-lock.json file = {",
                "/a/package-lock.json: EOF while parsing an object at line 1 column 1",
            ),
            (
                "/a/package-lock.json file * 20000000",
                "/a/package-lock.json: it is not read: it has 20000000 bytes",
            ),
        ] {
            assert_eq!(collected(&[layer]), (String::new(), vec![note.to_owned()]));
        }
        assert_eq!(
            collected(&["/a/package-lock.json file = {", "/a/.wh.package-lock.json file"]),
            Default::default()
        );
    }
}

//! Images with compilers and runtimes, under the names that Dockerfiles know them by: made of Debian's packages by the
//! recipes in `tests/toolchains`, each once for this machine.

use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::process::finish;
use crate::{Bako, Registry, bases, host};

/// The registries that the recipes' images are of.
const REGISTRIES: [&str; 3] = ["docker.io", "gcr.io", "mcr.microsoft.com"];

/// What every recipe but one is built on.
const DEBIAN: &str = "library/debian:bookworm-slim";

/// A registry that has what the images of a Dockerfile are called.
#[derive(Debug)]
pub struct Toolchains {
    registry: Registry,
    folder: PathBuf,
}

/// A folder of `tests/toolchains`.
struct Recipe {
    folder: PathBuf,
    /// Repositories with tags, as the first line of the Dockerfile has them.
    names: Vec<String>,
}

impl Toolchains {
    /// Those that the `FROM` lines of a Dockerfile name. What is not there yet is made; others who want the same wait.
    pub fn of(bako: &Bako, dockerfile: &str) -> Result<Self> {
        let folder = bases::cache_folder()?.join("toolchains");
        fs::create_dir_all(&folder)?;
        let toolchains = Self { registry: Registry::of_folder(bako, &folder.join("images"))?, folder };
        let recipes = recipes()?;
        let wanted: Vec<String> = dockerfile.lines().filter_map(repository).collect();
        for recipe in recipes.iter().filter(|recipe| wanted.iter().any(|name| recipe.has(name))) {
            toolchains.make(bako, recipe)?;
        }
        if wanted.iter().any(|name| name == "library/debian") {
            toolchains.debian(bako)?;
        }
        Ok(toolchains)
    }

    /// What a build is told so that it finds them: the Dockerfile stays as it is.
    #[must_use]
    pub fn arguments(&self) -> Vec<String> {
        let maps = REGISTRIES.map(|registry| format!("{registry}={}", self.registry.address));
        vec!["--registry-map".to_owned(), maps.join(";"), "--skip-default-registry-fallback".to_owned()]
    }

    fn make(&self, bako: &Bako, recipe: &Recipe) -> Result<()> {
        let context = tempfile::tempdir()?;
        bases::machine_settings(context.path())?;
        crate::registry::copy_folder(&recipe.folder, context.path())?;
        let key = format!("made-by-{:016x}", key(context.path())?);
        self.once(&recipe.names[0], &key, |marked| {
            if fs::read_to_string(recipe.folder.join("Dockerfile"))?.contains(DEBIAN) {
                self.debian(bako)?;
            }
            let work = tempfile::tempdir()?;
            let mut build = bako.build(context.path());
            build.args([
                "--build-arg",
                &format!("REGISTRY={}", self.registry.address),
                "--destination",
                marked,
            ]);
            for name in &recipe.names {
                build.args(["--destination", &self.registry.reference(name)]);
            }
            build.arg("--work-dir").arg(work.path());
            finish(&mut build)?.success().map(drop)
        })
        .with_context(|| format!("make {}", recipe.folder.display()))
    }

    fn debian(&self, bako: &Bako) -> Result<()> {
        self.once(DEBIAN, "made", |marked| {
            let references = [marked.to_owned(), self.registry.reference(DEBIAN)];
            bases::push_debian_as(bako, bases::SLIM, &references)
        })
    }

    /// Makes an image, unless the tag that marks it is there.
    fn once(&self, name: &str, mark: &str, make: impl FnOnce(&str) -> Result<()>) -> Result<()> {
        let (repository, _) = name.split_once(':').context("a recipe's image has a tag")?;
        let lock = fs::File::create(self.folder.join(format!("{}.lock", repository.replace('/', "+"))))?;
        lock.lock()?;
        if self.registry.has_tag(repository, mark)? {
            return Ok(());
        }
        make(&self.registry.reference(&format!("{repository}:{mark}")))
    }
}

impl Recipe {
    fn has(&self, repository: &str) -> bool {
        self.names.iter().any(|name| name.split(':').next() == Some(repository))
    }
}

fn recipes() -> Result<Vec<Recipe>> {
    let mut recipes = Vec::new();
    for entry in fs::read_dir(host::repository().join("tests/toolchains"))? {
        let folder = entry?.path();
        let text = fs::read_to_string(folder.join("Dockerfile"))?;
        let first = text.lines().next().and_then(|line| line.strip_prefix("# "));
        let names = first.context("a recipe begins with the names of its image")?.split(' ');
        recipes.push(Recipe { folder, names: names.map(str::to_owned).collect() });
    }
    Ok(recipes)
}

/// The repository in a `FROM`; Docker Hub's own images are below `library`.
fn repository(line: &str) -> Option<String> {
    let image = line.strip_prefix("FROM ")?.split([' ', ':', '@']).next()?;
    let of_registry = REGISTRIES.iter().find_map(|registry| image.strip_prefix(registry)?.strip_prefix('/'));
    Some(of_registry.map_or_else(|| format!("library/{image}"), str::to_owned))
}

/// Changes with every file of a context.
fn key(context: &Path) -> Result<u64> {
    let mut hasher = DefaultHasher::new();
    let mut files: Vec<_> = fs::read_dir(context)?.collect::<Result<_, _>>()?;
    files.sort_by_key(fs::DirEntry::file_name);
    for file in files {
        (file.file_name(), fs::read(file.path())?).hash(&mut hasher);
    }
    Ok(hasher.finish())
}

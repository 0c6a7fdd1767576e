//! The configuration: kbld's `Config`, in its version `kbld.k14s.io/v1alpha1`, and imgpkg's `ImagesLock`.

use yaml::Node;

use crate::fields::{Fields, text_or_empty};
use crate::platform::PlatformSelection;
use crate::rules::{KeyMatcher, PathPart, Rule, Strategy, ValueMatcher};
use crate::semver::Version;
use crate::{Name, Origin, repository_part};

/// The version of kbld whose behaviour this is; what `minimumRequiredVersion` is compared with.
pub(crate) const VERSION: &str = "0.42.0";

/// `apiVersion` of a configuration.
pub(crate) const API_VERSION: &str = "kbld.k14s.io/v1alpha1";

/// `apiVersion` of a lock of imgpkg.
pub(crate) const IMGPKG_VERSION: &str = "imgpkg.carvel.dev/v1alpha1";

/// What is to be done with which reference.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Config {
    /// Images that are built.
    pub sources: Vec<Source>,
    /// Where built images go.
    pub destinations: Vec<Destination>,
    /// References that stand for others.
    pub overrides: Vec<Override>,
    /// Keys under which references stand.
    pub keys: Vec<String>,
    /// Other places where references stand.
    pub search_rules: Vec<Rule>,
}

/// Which references are meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageMatch {
    /// Those of exactly this text.
    pub image: String,
    /// Those of this repository, whatever tag or digest.
    pub image_repo: String,
}

/// An image that is built.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// Which references it stands for.
    pub image: ImageMatch,
    /// Its directory, relative to where the program is started.
    pub path: String,
    /// How it is built.
    pub builder: Builder,
}

/// What builds an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Builder {
    /// A Dockerfile: docker, buildx or kubectl-buildkit there, and ourselves here.
    Docker(DockerBuild),
    /// Buildpacks.
    Pack(Pack),
    /// Another program, with what is added to its command line.
    Program(ProgramBuild),
}

/// Options of a build from a Dockerfile.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DockerBuild {
    /// The stage.
    pub target: String,
    /// The platform.
    pub platform: String,
    /// To look for a newer base.
    pub pull: bool,
    /// Not to use what is cached.
    pub no_cache: bool,
    /// The Dockerfile, relative to the path of the source.
    pub file: String,
    /// Flags of `docker build`.
    pub raw_options: Vec<String>,
}

/// Options of `pack build`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pack {
    /// The builder image.
    pub builder: String,
    /// Buildpacks.
    pub buildpacks: Vec<String>,
    /// To throw away what is cached.
    pub clear_cache: bool,
    /// More flags.
    pub raw_options: Vec<String>,
}

/// A build by a program of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProgramBuild {
    /// `ko publish`
    Ko {
        /// More flags.
        raw_options: Vec<String>,
    },
    /// `bazel run`
    Bazel {
        /// What to run.
        target: String,
        /// More flags.
        raw_options: Vec<String>,
    },
}

/// Where a built image goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// Which references it is for.
    pub image: ImageMatch,
    /// Registry and repository.
    pub new_image: String,
    /// Tags that it gets there.
    pub tags: Vec<String>,
}

/// A reference that stands for another.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Override {
    /// Which references it is for.
    pub image: ImageMatch,
    /// What takes their place.
    pub new_image: String,
    /// True if that is final.
    pub preresolved: bool,
    /// How its tag is found.
    pub tag_selection: Option<TagSelection>,
    /// Which image of an index is meant.
    pub platform_selection: Option<PlatformSelection>,
    /// What is known of how it came to be.
    pub origins: Vec<Origin>,
}

/// The highest version among the tags of a repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TagSelection {
    /// Ranges; empty for any.
    pub constraints: String,
    /// Whether prereleases count: those with one of these identifiers, or all if there are none.
    pub prereleases: Option<Vec<String>>,
}

impl ImageMatch {
    /// True if a reference is meant.
    #[must_use]
    pub fn matches(&self, reference: &str) -> bool {
        match self.image.is_empty() {
            false => self.image == reference,
            true => !self.image_repo.is_empty() && self.image_repo == repository_part(reference),
        }
    }

    fn read(fields: &Fields<'_>) -> Result<Self, String> {
        Ok(ImageMatch { image: fields.text("image")?, image_repo: fields.text("imageRepo")? })
    }

    fn check(&self) -> Result<(), String> {
        match self.image.is_empty() && self.image_repo.is_empty() {
            true => Err("Expected Image or ImageRepo to be non-empty".to_owned()),
            false => Ok(()),
        }
    }
}

/// True for a document that is configuration and no resource.
pub(crate) fn is_config(node: &Node) -> bool {
    let kind = node.get("kind").and_then(Node::as_str).unwrap_or_default();
    match node.get("apiVersion").and_then(Node::as_str) {
        Some(API_VERSION) => {
            matches!(kind, "Config" | "Sources" | "ImageOverrides" | "ImageDestinations" | "ImageKeys")
        }
        Some(IMGPKG_VERSION) => kind == "ImagesLock",
        _ => false,
    }
}

impl Config {
    /// Reads a document that is configuration.
    pub fn read(node: &Node) -> Result<Config, String> {
        if node.get("apiVersion").and_then(Node::as_str) == Some(IMGPKG_VERSION) {
            return images_lock(node);
        }
        let subject = subject(node);
        let config = Config::fields(node).map_err(|error| format!("Unmarshaling {subject}: {error}"))?;
        config.0.check().map_err(|error| format!("Validating {subject}: {error}"))?;
        meets_minimum(&config.1).map_err(|error| format!("Validating {subject}: {error}"))?;
        Ok(config.0)
    }

    fn fields(node: &Node) -> Result<(Config, String), String> {
        let fields = Fields::of(node, "Config")?;
        let config = Config {
            sources: fields.each("sources", |fields| source(&fields))?,
            destinations: fields.each("destinations", |fields| destination(&fields))?,
            overrides: fields.each("overrides", |fields| override_(&fields))?,
            keys: fields.texts("keys")?,
            search_rules: fields.each("searchRules", |fields| rule(&fields))?,
        };
        Ok((config, fields.text("minimumRequiredVersion")?))
    }

    fn check(&self) -> Result<(), String> {
        let within = |what: &'static str, index: usize| {
            move |error: String| format!("Validating {what}[{index}]: {error}")
        };
        for (index, source) in self.sources.iter().enumerate() {
            check_source(source).map_err(within("Sources", index))?;
        }
        for (index, one) in self.overrides.iter().enumerate() {
            let checked = one.image.check().and_then(|()| match one.new_image.is_empty() {
                true => Err("Expected NewImage to be non-empty".to_owned()),
                false => Ok(()),
            });
            checked.map_err(within("Overrides", index))?;
        }
        for (index, destination) in self.destinations.iter().enumerate() {
            destination.image.check().map_err(within("Destinations", index))?;
        }
        for (index, rule) in self.search_rules.iter().enumerate() {
            rule.check().map_err(within("SearchRules", index))?;
        }
        Ok(())
    }

    /// Adds what another one says.
    pub fn add(&mut self, other: Config) {
        self.sources.extend(other.sources);
        self.destinations.extend(other.destinations);
        self.overrides.extend(other.overrides);
        self.keys.extend(other.keys);
        self.search_rules.extend(other.search_rules);
    }

    /// The rules by which references are found, in the order in which they are tried.
    #[must_use]
    pub fn rules(&self) -> Vec<Rule> {
        let mut rules = self.own_rules();
        let default = Rule::key("image");
        if !rules.contains(&default) {
            rules.push(default);
        }
        rules
    }

    /// The rules that the input gives.
    pub(crate) fn own_rules(&self) -> Vec<Rule> {
        let mut rules: Vec<Rule> = Vec::new();
        let given = self.keys.iter().map(|key| Rule::key(key)).chain(self.search_rules.iter().cloned());
        for rule in given {
            if !rules.contains(&rule) {
                rules.push(rule);
            }
        }
        rules
    }
}

/// A document as kbld names it: `config/NAME (apiVersion) cluster`.
fn subject(node: &Node) -> String {
    crate::resource::Resource::of(node).to_string()
}

fn meets_minimum(minimum: &str) -> Result<(), String> {
    let within = |error: String| format!("Validating minimum version: {error}");
    if minimum.is_empty() {
        return Ok(());
    }
    if minimum.starts_with('v') {
        return Err(within("Must not have prefix 'v' (e.g. '0.8.0')".to_owned()));
    }
    let wanted = Version::parse(minimum)
        .ok_or_else(|| within(format!("Parsing version '{minimum}': it is no semantic version")))?;
    let ours = Version::parse(VERSION).expect("it is a version of ours");
    match ours < wanted {
        true => {
            Err(format!("kbld version '{VERSION}' does not meet the minimum required version '{minimum}'"))
        }
        false => Ok(()),
    }
}

fn check_source(source: &Source) -> Result<(), String> {
    source.image.check()?;
    if source.path.is_empty() {
        return Err("Expected Path to be non-empty".to_owned());
    }
    match &source.builder {
        Builder::Pack(pack) if pack.builder.is_empty() => {
            Err("Expected Pack.Build.Builder to be non-empty".to_owned())
        }
        Builder::Program(ProgramBuild::Bazel { target, .. }) if target.is_empty() => {
            Err("Expected Bazel.Run.Target to be non-empty".to_owned())
        }
        _ => Ok(()),
    }
}

fn source(fields: &Fields<'_>) -> Result<Source, String> {
    let docker_build = |fields: Fields<'_>| {
        fields.flag("buildkit").or_else(|_| fields.inside("buildkit", |_| Ok(false)).map(|_| true))?;
        Ok(DockerBuild {
            target: fields.text("target")?,
            platform: fields.text("platform")?,
            pull: fields.flag("pull")?,
            no_cache: fields.flag("noCache")?,
            file: fields.text("file")?,
            raw_options: fields.texts("rawOptions")?,
        })
    };
    let build = |name: &str| fields.inside(name, |fields| fields.inside("build", docker_build));
    let docker = fields.inside("docker", |fields| {
        let (buildx, build) = (fields.inside("buildx", docker_build)?, fields.inside("build", docker_build)?);
        Ok(buildx.or(build).unwrap_or_default())
    })?;
    let pack = fields.inside("pack", |fields| {
        fields.inside("build", |fields| {
            Ok(Pack {
                builder: fields.text("builder")?,
                buildpacks: fields.texts("buildpacks")?,
                clear_cache: fields.flag("clearCache")?,
                raw_options: fields.texts("rawOptions")?,
            })
        })
    })?;
    let raw = |fields: Fields<'_>| fields.texts("rawOptions");
    let ko = fields.inside("ko", |fields| fields.inside("build", raw))?;
    let bazel = fields.inside("bazel", |fields| {
        fields.inside("run", |fields| {
            Ok(ProgramBuild::Bazel {
                target: fields.text("target")?,
                raw_options: fields.texts("rawOptions")?,
            })
        })
    })?;
    if fields.has("maven") {
        return Err(
            "maven is not supported: build with jib yourself and name the image by an override".to_owned()
        );
    }
    // The order in which kbld looks when several are named.
    let builder = if let Some(pack) = pack {
        Builder::Pack(pack.unwrap_or_default())
    } else if let Some(build) = build("kubectlBuildkit")? {
        Builder::Docker(build.unwrap_or_default())
    } else if let Some(raw) = ko {
        Builder::Program(ProgramBuild::Ko { raw_options: raw.unwrap_or_default() })
    } else if let Some(bazel) = bazel {
        let empty = ProgramBuild::Bazel { target: String::new(), raw_options: Vec::new() };
        Builder::Program(bazel.unwrap_or(empty))
    } else {
        Builder::Docker(docker.unwrap_or_default())
    };
    Ok(Source { image: ImageMatch::read(fields)?, path: fields.text("path")?, builder })
}

fn destination(fields: &Fields<'_>) -> Result<Destination, String> {
    let image = ImageMatch::read(fields)?;
    let mut new_image = fields.text("newImage")?;
    if new_image.is_empty() {
        new_image = if image.image.is_empty() { image.image_repo.clone() } else { image.image.clone() };
    }
    Ok(Destination { image, new_image, tags: fields.texts("tags")? })
}

fn override_(fields: &Fields<'_>) -> Result<Override, String> {
    let tag_selection = fields.inside("tagSelection", |fields| {
        fields.inside("semver", |fields| {
            Ok(TagSelection {
                constraints: fields.text("constraints")?,
                prereleases: fields.inside("prereleases", |fields| fields.texts("identifiers"))?,
            })
        })
    })?;
    let platform_selection = fields.inside("platformSelection", |fields| {
        Ok(PlatformSelection {
            os: fields.text("os")?,
            architecture: fields.text("architecture")?,
            variant: fields.text("variant")?,
            os_version: fields.text("os.version")?,
            os_features: fields.texts("os.features")?,
        })
    })?;
    Ok(Override {
        image: ImageMatch::read(fields)?,
        new_image: fields.text("newImage")?,
        preresolved: fields.flag("preresolved")?,
        tag_selection: tag_selection.flatten(),
        platform_selection,
        origins: Vec::new(),
    })
}

fn rule(fields: &Fields<'_>) -> Result<Rule, String> {
    let key = fields.inside("keyMatcher", |fields| {
        let mut path = Vec::new();
        for part in fields.list("path")? {
            path.push(match part.as_str() {
                Some(name) => PathPart::Key(name.to_owned()),
                None => {
                    let part = Fields::of(part, "KeyMatcher.path")?;
                    match (part.get("index").map(|node| &node.value), part.flag("allIndexes")?) {
                        (Some(yaml::Value::Number(yaml::Number::Whole(index))), _) => {
                            let index = usize::try_from(*index);
                            PathPart::Index(index.map_err(|_| "an index of a path is negative".to_owned())?)
                        }
                        (_, true) => PathPart::AllIndexes,
                        _ => return Err("Unknown path part".to_owned()),
                    }
                }
            });
        }
        Ok(KeyMatcher { name: fields.text("name")?, path })
    })?;
    let value = fields.inside("valueMatcher", |fields| {
        Ok(ValueMatcher { image: fields.text("image")?, image_repo: fields.text("imageRepo")? })
    })?;
    let strategy = fields.inside("updateStrategy", |fields| {
        let nested =
            |name: &str| fields.inside(name, |fields| fields.each("searchRules", |fields| rule(&fields)));
        Ok(if fields.has("none") {
            Strategy::None
        } else if let Some(rules) = nested("json")? {
            Strategy::Json(rules)
        } else if let Some(rules) = nested("yaml")? {
            Strategy::Yaml(rules)
        } else {
            Strategy::EntireValue
        })
    })?;
    Ok(Rule { key, value, strategy: strategy.unwrap_or(Strategy::EntireValue) })
}

/// A lock of imgpkg: each image an override that is final. Read strictly, as imgpkg reads it.
fn images_lock(node: &Node) -> Result<Config, String> {
    let subject = subject(node);
    let within = |error: String| format!("Parsing {subject}: {error}");
    let fields = Fields::of(node, "ImagesLock").map_err(within)?;
    let unknown = |fields: &Fields<'_>, known: &[&str]| match fields.unknown(known) {
        Some(name) => {
            Err(format!("error unmarshaling JSON: while decoding JSON: json: unknown field {name:?}"))
        }
        None => Ok(()),
    };
    unknown(&fields, &["apiVersion", "kind", "images", "metadata"]).map_err(within)?;
    let read = |fields: Fields<'_>| {
        unknown(&fields, &["image", "annotations"])?;
        let image = fields.text("image")?;
        let url = Name::digested(&image).map_err(|_| {
            format!("Validating images lock: Expected ref to be in digest form, got '{image}'")
        })?;
        let annotations = fields.get("annotations");
        let annotation = |name: &str| annotations.map(|node| text_or_empty(node, name)).unwrap_or_default();
        let id = annotation("kbld.carvel.dev/id");
        let origins = annotation("kbld.carvel.dev/origins");
        let origins = yaml::parse(&origins).map_err(|error| error.to_string())?;
        let mut origins: Vec<Origin> =
            origins.as_ref().and_then(Node::items).unwrap_or_default().iter().map(Origin::read).collect();
        let url = url.to_string();
        let preresolved = Origin::Preresolved { url: url.clone() };
        if !origins.contains(&preresolved) {
            origins.push(preresolved);
        }
        let image = ImageMatch { image: if id.is_empty() { image } else { id }, image_repo: String::new() };
        Ok(Override { image, new_image: url, preresolved: true, origins, ..Override::default() })
    };
    let overrides = fields.each("images", read).map_err(within)?;
    Ok(Config { overrides, ..Config::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(rest: &str) -> Result<Config, String> {
        let text = format!("apiVersion: {API_VERSION}\nkind: Config\n{rest}");
        Config::read(&yaml::parse(&text).unwrap().unwrap())
    }

    #[test]
    fn checks() {
        for (text, expected) in [
            (
                "overrides: [{image: a}]",
                "Validating config/ (kbld.k14s.io/v1alpha1) cluster: Validating Overrides[0]: Expected NewImage to be non-empty",
            ),
            (
                "metadata: {name: nn, namespace: s}\noverrides: [{newImage: a}]",
                "Validating config/nn (kbld.k14s.io/v1alpha1) namespace: s: Validating Overrides[0]: Expected Image or ImageRepo to be non-empty",
            ),
            (
                "sources: [{image: a}]",
                "Validating config/ (kbld.k14s.io/v1alpha1) cluster: Validating Sources[0]: Expected Path to be non-empty",
            ),
            (
                "searchRules: [{updateStrategy: {none: {}}}]",
                "Validating config/ (kbld.k14s.io/v1alpha1) cluster: Validating SearchRules[0]: Expected KeyMatcher or ValueMatcher to be non-empty",
            ),
            (
                "minimumRequiredVersion: 99.0.0",
                "Validating config/ (kbld.k14s.io/v1alpha1) cluster: kbld version '0.42.0' does not meet the minimum required version '99.0.0'",
            ),
            (
                "minimumRequiredVersion: v0.1.0",
                "Validating config/ (kbld.k14s.io/v1alpha1) cluster: Validating minimum version: Must not have prefix 'v' (e.g. '0.8.0')",
            ),
            (
                "overrides: [{image: 5}]",
                "Unmarshaling config/ (kbld.k14s.io/v1alpha1) cluster: error unmarshaling JSON: json: cannot unmarshal number into Go struct field Config.overrides.image of type string",
            ),
        ] {
            assert_eq!(read(text).unwrap_err(), expected, "{text}");
        }
        let config = read(
            "OVERRIDES: [{Image: a, newimage: b}]\nunknown: 1\nkeys: [k, k]\nminimumRequiredVersion: 0.42.0",
        )
        .unwrap();
        assert_eq!(config.overrides[0].new_image, "b");
        assert_eq!(config.rules().len(), 2);
    }

    #[test]
    fn builders() {
        for (text, expected) in [
            ("{}", "Docker"),
            ("{docker: {build: {target: t, rawOptions: [a]}}}", "Docker"),
            ("{docker: {build: {buildkit: {}}}}", "Docker"),
            ("{pack: {build: {builder: b}}, ko: {}}", "Pack"),
            ("{ko: {build: {}}}", "Program(Ko"),
            ("{bazel: {run: {target: ':t'}}}", "Program(Bazel"),
            ("{kubectlBuildkit: {build: {platform: linux/arm64}}}", "Docker"),
        ] {
            let inner = text.trim_start_matches('{').trim_end_matches('}');
            let rest = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap();
            let comma = if inner.is_empty() { "" } else { ", " };
            let config = read(&format!("sources: [{{image: a, path: p{comma}{rest}}}]")).unwrap();
            let builder = format!("{:?}", config.sources[0].builder);
            assert!(builder.starts_with(expected), "{text}: {builder}");
        }
    }
}

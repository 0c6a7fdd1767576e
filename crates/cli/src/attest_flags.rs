//! `--provenance`, `--sbom`, `--attest` and `--annotation`, in the words of `docker buildx build`.

use builder::{Annotation, AnnotationLevel, Detail, Provenance};
use clap::Args;
use oci::Platform;

use crate::switch::go_bool;

/// What is to be stated of an image.
#[derive(Debug, Args)]
pub(crate) struct AttestArgs {
    /// State beside the image how it was made (SLSA v1); true, false, or mode=min, mode=max, builder-id=URI with commas
    /// between.
    #[arg(long, value_name = "VALUE", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = provenance)]
    pub(crate) provenance: Option<Stated>,
    /// State beside the image what is in it (SPDX 2.3): packages of its system and of programming languages.
    #[arg(long, value_name = "VALUE", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = sbom)]
    pub(crate) sbom: Option<bool>,
    /// The same as type=provenance,… and type=sbom. May be repeated.
    #[arg(long, value_name = "VALUE", value_parser = attest)]
    pub(crate) attest: Vec<Attest>,
    /// An annotation, as [LEVEL:]NAME=VALUE; LEVEL is manifest (if none is given), index, manifest-descriptor or
    /// index-descriptor, several with commas between, each also with [PLATFORM] behind. May be repeated.
    #[arg(long, value_name = "NAME=VALUE", value_parser = annotation)]
    pub(crate) annotation: Vec<Annotations>,
}

/// A statement that is wanted, or is not.
#[derive(Debug, Clone)]
pub(crate) struct Stated(Option<Provenance>);

/// What `--attest` asks for.
#[derive(Debug, Clone)]
pub(crate) enum Attest {
    Provenance(Stated),
    Sbom(bool),
}

/// One `--annotation`, at every level that it is for.
#[derive(Debug, Clone)]
pub(crate) struct Annotations(Vec<Annotation>);

impl AttestArgs {
    /// How much is to be told of how the image is made, if anything.
    pub(crate) fn provenance(&self) -> Option<Provenance> {
        let by_attest = self.attest.iter().rev().find_map(|one| match one {
            Attest::Provenance(stated) => Some(stated),
            Attest::Sbom(_) => None,
        });
        self.provenance.as_ref().or(by_attest).and_then(|stated| stated.0.clone())
    }

    /// Whether a bill of materials is wanted.
    pub(crate) fn sbom(&self) -> bool {
        let by_attest = self.attest.iter().rev().find_map(|one| match one {
            Attest::Sbom(wanted) => Some(*wanted),
            Attest::Provenance(_) => None,
        });
        self.sbom.or(by_attest).unwrap_or(false)
    }

    /// All annotations.
    pub(crate) fn annotations(&self) -> Vec<Annotation> {
        self.annotation.iter().flat_map(|one| one.0.clone()).collect()
    }
}

fn provenance(text: &str) -> Result<Stated, String> {
    if let Ok(wanted) = go_bool(text) {
        return Ok(Stated(wanted.then(Provenance::default)));
    }
    let mut found = Provenance::default();
    for part in text.split(',') {
        match part.split_once('=') {
            Some(("mode", "min")) => found.detail = Detail::Min,
            Some(("mode", "max")) => found.detail = Detail::Max,
            Some(("builder-id", id)) => id.clone_into(&mut found.builder),
            Some(("version", "v1")) => {}
            Some(("version", _)) => return Err("only v1 of SLSA's provenance is written".to_owned()),
            Some(("disabled", value)) => {
                if go_bool(value)? {
                    return Ok(Stated(None));
                }
            }
            _ => {
                return Err(format!(
                    "{part:?} is not known: expected true, false, mode=min, mode=max or builder-id=URI"
                ));
            }
        }
    }
    Ok(Stated(Some(found)))
}

fn sbom(text: &str) -> Result<bool, String> {
    if text.starts_with("generator=") {
        return Err("no scanner is run: databases of packages and lock files are read".to_owned());
    }
    go_bool(text)
}

fn attest(text: &str) -> Result<Attest, String> {
    let (kind, rest) = text.split_once(',').unwrap_or((text, ""));
    let rest = if rest.is_empty() { "true" } else { rest };
    match kind {
        "type=provenance" => provenance(rest).map(Attest::Provenance),
        "type=sbom" => match rest.strip_prefix("disabled=") {
            Some(value) => Ok(Attest::Sbom(!go_bool(value)?)),
            None => sbom(rest).map(Attest::Sbom),
        },
        _ => Err("expected type=provenance or type=sbom first".to_owned()),
    }
}

fn annotation(text: &str) -> Result<Annotations, String> {
    let (key, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    let (levels, name) = match key.split_once(':') {
        Some((levels, name)) if is_level(levels) => (levels, name),
        _ => ("manifest", key),
    };
    if name.is_empty() {
        return Err("expected NAME=VALUE".to_owned());
    }
    let mut found = Vec::new();
    for level in levels.split(',') {
        let (word, platform) = match level.split_once('[') {
            Some((word, rest)) => {
                let platform = rest.strip_suffix(']').ok_or_else(|| format!("{level:?}: a ] is missing"))?;
                let parsed = platform.parse::<Platform>().map_err(|error| error.to_string())?;
                (word, Some(parsed))
            }
            None => (level, None),
        };
        let (level, of_images) = match word {
            "manifest" => (AnnotationLevel::Manifest, true),
            "index" => (AnnotationLevel::Index, false),
            "manifest-descriptor" => (AnnotationLevel::ManifestDescriptor, true),
            "index-descriptor" => (AnnotationLevel::IndexDescriptor, false),
            _ => {
                return Err(format!(
                    "{word:?} is no level: expected manifest, index, manifest-descriptor or index-descriptor"
                ));
            }
        };
        if platform.is_some() && !of_images {
            return Err(format!("{word}: an index is for no one platform"));
        }
        let (name, value) = (name.to_owned(), value.to_owned());
        found.push(Annotation { level, platform, name, value });
    }
    Ok(Annotations(found))
}

/// True for what is meant as levels, be it spelled right or not: names of annotations have dots before a colon.
fn is_level(text: &str) -> bool {
    let words = text.split(',').map(|part| part.split('[').next().unwrap_or_default());
    let mut words = words.filter(|word| !word.is_empty()).peekable();
    words.peek().is_some()
        && words.all(|word| word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    use crate::args::Cli;
    use crate::build_args::BuildArgs;

    fn parse(line: &str) -> Result<BuildArgs, clap::Error> {
        Cli::try_parse_from(line.split_whitespace()).map(|cli| cli.build)
    }

    #[test]
    fn words_of_buildx() {
        for (line, sbom, provenance) in [
            ("bako", false, None),
            ("bako --sbom --provenance", true, Some((Detail::Min, ""))),
            ("bako --sbom=false --provenance=false", false, None),
            ("bako --provenance=mode=max,builder-id=u:x", false, Some((Detail::Max, "u:x"))),
            ("bako --provenance=mode=max,disabled=true", false, None),
            ("bako --attest type=sbom --attest type=provenance,mode=max", true, Some((Detail::Max, ""))),
            (
                "bako --attest type=sbom,disabled=true --attest type=provenance",
                false,
                Some((Detail::Min, "")),
            ),
        ] {
            let args = parse(line).unwrap().attest;
            assert_eq!(args.sbom(), sbom, "{line}");
            let found = args.provenance();
            let found = found.as_ref().map(|found| (found.detail, found.builder.as_str()));
            assert_eq!(found, provenance, "{line}");
        }
        for line in [
            "bako --provenance=mode=most",
            "bako --provenance=version=v0.2",
            "bako --sbom=generator=x",
            "bako --attest type=other",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn levels_of_annotations() {
        use AnnotationLevel::{Index, IndexDescriptor, Manifest, ManifestDescriptor};
        for (text, expected) in [
            ("a.b=c=d", &[(Manifest, None, "a.b", "c=d")][..]),
            ("a.b:c=d", &[(Manifest, None, "a.b:c", "d")]),
            ("index:a=b", &[(Index, None, "a", "b")]),
            ("manifest,index-descriptor:a=", &[(Manifest, None, "a", ""), (IndexDescriptor, None, "a", "")]),
            ("manifest-descriptor[linux/arm64]:a=b", &[(ManifestDescriptor, Some("linux/arm64"), "a", "b")]),
        ] {
            let found = annotation(text).unwrap().0;
            let shown: Vec<_> = found
                .iter()
                .map(|one| {
                    let platform = one.platform.as_ref().map(ToString::to_string);
                    (one.level, platform, one.name.as_str(), one.value.as_str())
                })
                .collect();
            let expected: Vec<_> = expected
                .iter()
                .map(|(level, platform, name, value)| (*level, platform.map(str::to_owned), *name, *value))
                .collect();
            assert_eq!(shown, expected, "{text}");
        }
        for (text, part) in [
            ("a", "NAME=VALUE"),
            ("=b", "NAME=VALUE"),
            ("index:=b", "NAME=VALUE"),
            ("manifets:a=b", "is no level"),
            ("index[linux/amd64]:a=b", "no one platform"),
            ("manifest[linux:a=b", "missing"),
            ("manifest[linux]:a=b", "platform"),
        ] {
            let error = annotation(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}

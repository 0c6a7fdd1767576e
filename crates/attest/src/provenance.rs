//! Provenance: how an image was made, as [SLSA v1](https://slsa.dev/spec/v1.1/provenance) has it. The parameters have
//! the names that BuildKit gives them, so that what reads its statements reads these.

use std::collections::BTreeMap;

use oci::{Digest, Platform};
use serde_json::{Value, json};

use crate::sbom::percent;
use crate::statement::Predicate;

/// The type of the statement.
pub const PREDICATE_TYPE: &str = "https://slsa.dev/provenance/v1";
/// What says how the parameters are to be understood.
pub const BUILD_TYPE: &str =
    "https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md";

/// How much is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Detail {
    /// Not what the caller has set, which may be nobody's business: arguments and labels.
    #[default]
    Min,
    /// All but the values of secrets.
    Max,
}

/// What an image was made of.
#[derive(Debug, Clone, Default)]
pub struct Build {
    /// Who vouches for it: a URI; empty if nobody has said.
    pub builder: String,
    /// The context, if it was a repository: where it is, and its commit.
    pub repository: Option<(String, String)>,
    /// The Dockerfile's digest.
    pub dockerfile: Option<Digest>,
    /// The stage that was built, if not the last.
    pub target: Option<String>,
    /// Arguments.
    pub build_args: BTreeMap<String, String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Identifiers of secrets.
    pub secrets: Vec<String>,
    /// Identifiers of agents.
    pub agents: Vec<String>,
    /// Images that it was made from, and their digests.
    pub images: BTreeMap<String, Digest>,
    /// When it began and when it was done, RFC 3339; none if it is to be the same each time.
    pub times: Option<(String, String)>,
}

/// States how an image was made. `tool` is the program and its version.
#[must_use]
pub fn predicate(build: &Build, platform: &Platform, detail: Detail, tool: &str) -> Predicate {
    let mut source = json!({"path": "Dockerfile"});
    let mut resolved = Vec::new();
    if let Some((uri, commit)) = &build.repository {
        source["uri"] = json!(uri);
        source["digest"] = json!({"sha1": commit});
        resolved.push(json!({"uri": uri, "digest": {"sha1": commit}}));
    }
    if let Some(digest) = build.dockerfile {
        resolved.push(json!({"name": "Dockerfile", "digest": {"sha256": digest.hex()}}));
    }
    let for_platform = percent(&platform.to_string());
    for (name, digest) in &build.images {
        let uri = format!("pkg:docker/{name}?platform={for_platform}");
        resolved.push(json!({"uri": uri, "digest": {"sha256": digest.hex()}}));
    }
    let mut request = json!({"frontend": "dockerfile.v0"});
    let mut args = serde_json::Map::new();
    if let Some(target) = &build.target {
        args.insert("target".to_owned(), json!(target));
    }
    if detail == Detail::Max {
        let given = build.build_args.iter().map(|(name, value)| (format!("build-arg:{name}"), json!(value)));
        args.extend(given);
        args.extend(build.labels.iter().map(|(name, value)| (format!("label:{name}"), json!(value))));
        let ids =
            |ids: &[String]| ids.iter().map(|id| json!({"id": id, "optional": true})).collect::<Vec<_>>();
        for (name, given) in [("secrets", &build.secrets), ("ssh", &build.agents)] {
            if !given.is_empty() {
                request[name] = json!(ids(given));
            }
        }
    }
    if !args.is_empty() {
        request["args"] = Value::Object(args);
    }
    let mut metadata = json!({
        "buildkit_completeness": {"request": detail == Detail::Max, "resolvedDependencies": false},
        "buildkit_hermetic": false,
    });
    if let Some((started, finished)) = &build.times {
        metadata["startedOn"] = json!(started);
        metadata["finishedOn"] = json!(finished);
    }
    let value = json!({
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": {"configSource": source, "request": request},
            "internalParameters": {"builderPlatform": Platform::host().to_string()},
            "resolvedDependencies": resolved,
        },
        "runDetails": {
            "builder": {"id": build.builder, "version": {"bako": tool}},
            "metadata": metadata,
        },
    });
    Predicate { kind: PREDICATE_TYPE, value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_much_is_told() {
        let build = Build {
            builder: "https://ci.example/1".to_owned(),
            repository: Some(("https://g.example/r.git#main".to_owned(), "ab".repeat(20))),
            dockerfile: Some(Digest::of(b"FROM a")),
            build_args: BTreeMap::from([("A".to_owned(), "1".to_owned())]),
            labels: BTreeMap::from([("l".to_owned(), "v".to_owned())]),
            secrets: vec!["token".to_owned()],
            images: BTreeMap::from([("alpine@3".to_owned(), Digest::of(b"manifest"))]),
            ..Build::default()
        };
        let platform: Platform = "linux/arm64".parse().unwrap();
        let Predicate { value: min, kind } = predicate(&build, &platform, Detail::Min, "0.1.0");
        assert_eq!(kind, PREDICATE_TYPE);
        let parameters = &min["buildDefinition"]["externalParameters"];
        assert_eq!(parameters["request"], json!({"frontend": "dockerfile.v0"}));
        assert_eq!(parameters["configSource"]["digest"]["sha1"], "ab".repeat(20));
        let resolved = min["buildDefinition"]["resolvedDependencies"].as_array().unwrap();
        assert_eq!(resolved.len(), 3);
        assert_eq!(resolved[2]["uri"], "pkg:docker/alpine@3?platform=linux%2Farm64");
        assert_eq!(min["runDetails"]["builder"]["id"], "https://ci.example/1");
        assert!(min["runDetails"]["metadata"].get("startedOn").is_none());
        let max = predicate(&build, &platform, Detail::Max, "0.1.0").value;
        let request = &max["buildDefinition"]["externalParameters"]["request"];
        assert_eq!(request["args"], json!({"build-arg:A": "1", "label:l": "v"}));
        assert_eq!(request["secrets"], json!([{"id": "token", "optional": true}]));
        assert!(request.get("ssh").is_none());
    }
}

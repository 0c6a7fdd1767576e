//! Lists: an index as docker writes it, from members with their platforms.

use std::collections::BTreeMap;

use oci::{Descriptor, MediaType, Platform};

/// The type of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListType {
    /// That of its first member.
    Auto,
    /// An OCI index.
    Oci,
    /// A Docker manifest list.
    Docker,
}

impl ListType {
    /// The media type of a list of these members.
    #[must_use]
    pub fn media_type(self, members: &[Descriptor]) -> MediaType {
        match (self, members.first().map(|first| &first.media_type)) {
            (ListType::Oci, _) | (ListType::Auto, Some(MediaType::OciManifest | MediaType::OciIndex)) => {
                MediaType::OciIndex
            }
            (ListType::Docker | ListType::Auto, _) => MediaType::DockerIndex,
        }
    }
}

/// The bytes of a list, in the form and the order of keys that `docker manifest push` gives them: indented by three
/// spaces, without a newline at the end. Annotations are written where there are some; Docker's own type has none.
#[must_use]
pub fn render(
    media_type: &MediaType,
    members: &[Descriptor],
    annotations: &BTreeMap<String, String>,
) -> String {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let map = |map: &BTreeMap<String, String>, indent: &str| {
        let entries: Vec<String> =
            map.iter().map(|(key, value)| format!("{indent}   {}: {}", quoted(key), quoted(value))).collect();
        format!("{{\n{}\n{indent}}}", entries.join(",\n"))
    };
    let platform = |platform: &Platform| {
        let mut fields = vec![
            format!("            \"architecture\": {}", quoted(&platform.architecture)),
            format!("            \"os\": {}", quoted(&platform.os)),
        ];
        if let Some(version) = &platform.os_version {
            fields.push(format!("            \"os.version\": {}", quoted(version)));
        }
        if !platform.os_features.is_empty() {
            let features: Vec<String> = platform
                .os_features
                .iter()
                .map(|feature| format!("               {}", quoted(feature)))
                .collect();
            fields.push(format!("            \"os.features\": [\n{}\n            ]", features.join(",\n")));
        }
        if let Some(variant) = &platform.variant {
            fields.push(format!("            \"variant\": {}", quoted(variant)));
        }
        format!("{{\n{}\n         }}", fields.join(",\n"))
    };
    let member = |member: &Descriptor| {
        let mut fields = vec![
            format!("         \"mediaType\": {}", quoted(member.media_type.as_str())),
            format!("         \"size\": {}", member.size),
            format!("         \"digest\": {}", quoted(&member.digest.to_string())),
        ];
        if let Some(of) = &member.platform {
            fields.push(format!("         \"platform\": {}", platform(of)));
        }
        if !member.annotations.is_empty() {
            fields.push(format!("         \"annotations\": {}", map(&member.annotations, "         ")));
        }
        format!("      {{\n{}\n      }}", fields.join(",\n"))
    };
    let members: Vec<String> = members.iter().map(member).collect();
    let mut fields = vec![
        "   \"schemaVersion\": 2".to_owned(),
        format!("   \"mediaType\": {}", quoted(media_type.as_str())),
        match members.is_empty() {
            true => "   \"manifests\": []".to_owned(),
            false => format!("   \"manifests\": [\n{}\n   ]", members.join(",\n")),
        },
    ];
    if !annotations.is_empty() {
        fields.push(format!("   \"annotations\": {}", map(annotations, "   ")));
    }
    format!("{{\n{}\n}}", fields.join(",\n"))
}

/// True for a pair of system and architecture that Go knows, which is what Docker accepts and a few more.
#[must_use]
pub fn is_known(os: &str, architecture: &str) -> bool {
    const KNOWN: [(&str, &str); 14] = [
        ("aix", "ppc64"),
        ("android", "386 amd64 arm arm64"),
        ("darwin", "386 amd64 arm arm64"),
        ("dragonfly", "amd64"),
        ("freebsd", "386 amd64 arm arm64 riscv64"),
        ("illumos", "amd64"),
        ("js", "wasm"),
        (
            "linux",
            "386 amd64 arm arm64 loong64 mips mips64 mips64le mipsle ppc64 ppc64le riscv64 s390x sparc64 wasm",
        ),
        ("netbsd", "386 amd64 arm arm64"),
        ("openbsd", "386 amd64 arm arm64 ppc64 riscv64"),
        ("plan9", "386 amd64 arm"),
        ("solaris", "amd64"),
        ("wasip1", "wasm"),
        ("windows", "386 amd64 arm arm64"),
    ];
    KNOWN.iter().any(|(known, list)| *known == os && list.split(' ').any(|one| one == architecture))
}

#[cfg(test)]
mod tests {
    use oci::Digest;

    use super::*;

    #[test]
    fn as_docker_writes_it() {
        let mut one = Descriptor::new(MediaType::DockerManifest, Digest::of(b"a"), 12);
        one.platform = Some("linux/arm/v6".parse().unwrap());
        let media_type = ListType::Auto.media_type(std::slice::from_ref(&one));
        let expected = format!(
            "{{\n   \"schemaVersion\": 2,\n   \"mediaType\": \"application/vnd.docker.distribution.manifest.list.v2+json\",\n   \"manifests\": [\n      {{\n         \"mediaType\": \"application/vnd.docker.distribution.manifest.v2+json\",\n         \"size\": 12,\n         \"digest\": \"{}\",\n         \"platform\": {{\n            \"architecture\": \"arm\",\n            \"os\": \"linux\",\n            \"variant\": \"v6\"\n         }}\n      }}\n   ]\n}}",
            Digest::of(b"a")
        );
        assert_eq!(render(&media_type, &[one], &BTreeMap::new()), expected);
    }

    #[test]
    fn pairs() {
        for (os, architecture, expected) in [
            ("linux", "amd64", true),
            ("windows", "arm64", true),
            ("linux", "m68k", false),
            ("", "m68k", false),
        ] {
            assert_eq!(is_known(os, architecture), expected, "{os}/{architecture}");
        }
    }
}

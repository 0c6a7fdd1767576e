//! SPDX 2.3 in JSON ([specification](https://spdx.github.io/spdx-spec/v2.3/)): the form in which a bill is kept.

use std::collections::BTreeSet;

use oci::{Digest, Reference};
use serde_json::{Value, json};

use super::{Contents, Package, percent};

/// What the statement calls such a document.
pub const PREDICATE_TYPE: &str = "https://spdx.dev/Document";

/// The image that a bill is of.
#[derive(Debug, Clone)]
pub struct Subject<'a> {
    /// Its first name, if it has one.
    pub name: Option<&'a Reference>,
    /// Its manifest.
    pub digest: Digest,
    /// When it was made, RFC 3339.
    pub created: &'a str,
    /// The program and its version.
    pub tool: &'a str,
}

/// A bill as a document. Equal inputs give equal documents.
#[must_use]
pub fn document(subject: &Subject<'_>, contents: &Contents) -> Value {
    let name = subject.name.map_or_else(|| "image".to_owned(), Reference::name);
    let short = name.rsplit('/').next().unwrap_or(&name).to_owned();
    let mut locator = format!("pkg:oci/{}@{}", percent(&short), percent(&subject.digest.to_string()));
    if subject.name.is_some() {
        locator.push_str(&format!("?repository_url={}", percent(&name)));
    }
    let mut packages = vec![json!({
        "SPDXID": "SPDXRef-Image",
        "name": name,
        "versionInfo": subject.digest,
        "primaryPackagePurpose": "CONTAINER",
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": false,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": "NOASSERTION",
        "copyrightText": "NOASSERTION",
        "checksums": [{"algorithm": "SHA256", "checksumValue": subject.digest.hex()}],
        "externalRefs": [purl(&locator)],
    })];
    let mut relationships = vec![relation("SPDXRef-DOCUMENT", "DESCRIBES", "SPDXRef-Image")];
    for (package, files) in &contents.packages {
        let (id, described) = describe(package, files);
        relationships.push(relation("SPDXRef-Image", "CONTAINS", &id));
        packages.push(described);
    }
    let mut document = json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": name,
        "creationInfo": {"created": subject.created, "creators": [format!("Tool: {}", subject.tool)]},
        "packages": packages,
        "relationships": relationships,
    });
    if !contents.notes.is_empty() {
        document["comment"] = json!(format!("Not read: {}", contents.notes.join("; ")));
    }
    // A name of its own for each document, and the same one for equal documents.
    let hash = Digest::of(document.to_string().as_bytes());
    document["documentNamespace"] =
        json!(format!("https://spdx.org/spdxdocs/{}-{}", percent(&short), hash.hex()));
    document
}

fn purl(locator: &str) -> Value {
    json!({
        "referenceCategory": "PACKAGE-MANAGER",
        "referenceType": "purl",
        "referenceLocator": locator,
    })
}

fn relation(from: &str, kind: &str, to: &str) -> Value {
    json!({"spdxElementId": from, "relationshipType": kind, "relatedSpdxElement": to})
}

fn describe(package: &Package, files: &BTreeSet<String>) -> (String, Value) {
    let locator = package.purl();
    // Letters, digits, dots and hyphens are all that an identifier may have; the hash tells apart what is alike then.
    let plain =
        |byte: u8| if byte.is_ascii_alphanumeric() || b".-".contains(&byte) { char::from(byte) } else { '-' };
    let readable: String = package.name.bytes().map(plain).collect();
    // Packages may differ in what their URL does not say.
    let hash = Digest::of(
        format!("{locator} {} {} {}", package.source, package.maintainer, package.license).as_bytes(),
    );
    let id = format!("SPDXRef-Package-{}-{readable}-{}", package.ecosystem, &hash.hex()[..16]);
    let name = match package.namespace.as_str() {
        "" => package.name.clone(),
        _ if matches!(package.ecosystem, "deb" | "apk" | "rpm") => package.name.clone(),
        namespace => format!("{namespace}/{}", package.name),
    };
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let mut described = json!({
        "SPDXID": id,
        "name": name,
        "supplier": supplier(package),
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": false,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": "NOASSERTION",
        "copyrightText": "NOASSERTION",
        "sourceInfo": format!("listed in {}", files.join(", ")),
        "externalRefs": [purl(&locator)],
    });
    if !package.version.is_empty() {
        described["versionInfo"] = json!(package.version);
    }
    if !package.license.is_empty() {
        // What packagers write need not be an expression of SPDX.
        described["licenseComments"] = json!(format!("declared as: {}", package.license));
    }
    if !package.source.is_empty() && package.source != package.name {
        described["comment"] = json!(format!("built from {}", package.source));
    }
    (id, described)
}

/// `Organization: NAME (ADDRESS)`; packagers have the address in angle brackets.
fn supplier(package: &Package) -> String {
    let text = package.maintainer.split_whitespace().collect::<Vec<_>>().join(" ");
    let (name, address) = text.split_once(" <").unwrap_or((&text, ""));
    let clean = |text: &str| text.replace(['(', ')', '<', '>'], "");
    match (clean(name), clean(address)) {
        (name, _) if name.is_empty() => "NOASSERTION".to_owned(),
        (name, address) if address.is_empty() => format!("Organization: {name}"),
        (name, address) => format!("Organization: {name} ({address})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_document_says() {
        let mut contents = Contents::default();
        let mut package = Package::new("npm", "co_re", "1");
        (package.namespace, package.license) = ("@b".to_owned(), "MIT".to_owned());
        package.maintainer = "M (x) <m@x.example>".to_owned();
        contents.packages.insert(package.clone(), BTreeSet::from(["/a".to_owned(), "/b".to_owned()]));
        let digest = Digest::of(b"manifest");
        let name = "r.example/team/app:1".parse().unwrap();
        let subject =
            Subject { name: Some(&name), digest, created: "1970-01-01T00:00:00Z", tool: "bako-0.1.0" };
        let found = document(&subject, &contents);
        assert_eq!(found["packages"][0]["name"], "r.example/team/app");
        assert_eq!(
            found["packages"][0]["externalRefs"][0]["referenceLocator"],
            format!("pkg:oci/app@{digest}?repository_url=r.example%2Fteam%2Fapp")
        );
        let one = &found["packages"][1];
        for (key, expected) in [
            ("name", "@b/co_re"),
            ("versionInfo", "1"),
            ("supplier", "Organization: M x (m@x.example)"),
            ("licenseComments", "declared as: MIT"),
            ("sourceInfo", "listed in /a, /b"),
        ] {
            assert_eq!(one[key], expected);
        }
        assert!(one["SPDXID"].as_str().unwrap().starts_with("SPDXRef-Package-npm-co-re-"));
        assert_eq!(found["relationships"][1]["relatedSpdxElement"], one["SPDXID"]);
        assert_eq!(found, document(&subject, &contents));
        package.version = "2".to_owned();
        contents.packages.insert(package, BTreeSet::new());
        assert_ne!(found["documentNamespace"], document(&subject, &contents)["documentNamespace"]);
    }
}

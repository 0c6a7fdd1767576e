//! Results that have to be signed.

use std::sync::Arc;

use builder::{SigningKey, VerifyingKey};

use crate::fixture::{Built, Fixture};

/// Made with openssl, for this test alone.
const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIGXfFWx4VcytmtH6eLdLn5z4v+uqjDUH2KM6AY/xkv8D\n-----END PRIVATE KEY-----\n";
const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA8w+nMW2K4slZF6L4FjBiYzfheBrkyynzojzwxAP5zSo=\n-----END PUBLIC KEY-----\n";

const DOCKERFILE: &str = "FROM BASE\nCOPY src /src\nCOPY other.txt /other\n";

fn build(fixture: &Fixture, dockerfile: &str, sign: bool, verify: bool) -> Built {
    let mut options = fixture.options(dockerfile);
    let cache = options.cache.as_mut().unwrap();
    cache.sign = sign.then(|| Arc::new(SigningKey::from_pem(PRIVATE).unwrap()));
    cache.verify = verify.then(|| VerifyingKey::from_pem(PUBLIC).unwrap());
    fixture.build_with(options)
}

#[test]
fn only_what_is_signed_is_used() {
    let fixture = Fixture::new();
    build(&fixture, DOCKERFILE, false, false).expect(0, 2);
    let refused = build(&fixture, DOCKERFILE, true, true).expect(0, 2);
    assert_eq!(refused.warnings().len(), 1, "{:?}", refused.warnings());
    assert!(refused.warnings()[0].contains("not signed"), "{:?}", refused.warnings());
    let found = build(&fixture, DOCKERFILE, false, true).expect(2, 0);
    assert_eq!(found.warnings(), Vec::<String>::new());
    build(&fixture, DOCKERFILE, false, false).expect(2, 0);
}

/// A signed record under the tag of another step.
#[test]
fn a_signature_is_for_one_key() {
    let fixture = Fixture::new();
    build(&fixture, DOCKERFILE, true, true).expect(0, 2);
    let other = DOCKERFILE.replace("/other", "/another");
    build(&fixture, &other, true, true).expect(1, 1);
    let layout = fixture.registry.layout("cache");
    let manifests = layout.index().unwrap().manifests;
    let name = |entry: &oci::Descriptor| entry.annotations.get(layout::REFERENCE_NAME).cloned();
    let is_step = |name: &String| name.starts_with("d1-") || name.starts_with("c1-");
    let steps: Vec<&oci::Descriptor> =
        manifests.iter().filter(|entry| name(entry).is_some_and(|name| is_step(&name))).collect();
    assert_eq!(steps.len(), 6);
    for step in &steps {
        let other = steps.iter().find(|other| other.digest != step.digest).unwrap();
        let mut entry = (*other).clone();
        entry.annotations.insert(layout::REFERENCE_NAME.to_owned(), name(step).unwrap());
        layout.put_reference(entry).unwrap();
    }
    let built = build(&fixture, DOCKERFILE, true, true).expect(0, 2);
    assert_eq!(built.warnings().len(), 1, "{:?}", built.warnings());
}

//! What is said of images: looked into, signed, stated beside them, and shown on a page. Judged by openssl, SPDX's own
//! tools and a browser.
#![forbid(unsafe_code)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use e2e::process::{Finished, finish, output};
use e2e::{Bako, Registry, host, http, program, require, skip};
use serde_json::Value;
use tempfile::TempDir;

/// A program, a registry, and a context without a base.
struct Fixture {
    bako: Bako,
    registry: Registry,
    folder: TempDir,
}

impl Fixture {
    fn new(registry: impl FnOnce(&Bako) -> Result<Registry>, files: &[(&str, &str)]) -> Result<Self> {
        let bako = Bako::built()?;
        let registry = registry(&bako)?;
        let folder = tempfile::tempdir()?;
        for (path, text) in files {
            let path = folder.path().join("context").join(path);
            fs::create_dir_all(path.parent().context("a file is in a folder")?)?;
            fs::write(path, text)?;
        }
        Ok(Self { bako, registry, folder })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut build = self.bako.build(&self.path("context"));
        build.arg("--work-dir").arg(self.folder.path()).args(arguments);
        build.env("SOURCE_DATE_EPOCH", "1700000000").env("DOCKER_CONFIG", self.folder.path());
        build
    }

    fn build(&self, arguments: &[&str]) -> Result<Finished> {
        finish(&mut self.command(arguments))?.success()
    }

    fn bako(&self, arguments: &[&str]) -> Result<Finished> {
        finish(self.bako.command().args(arguments).env("DOCKER_CONFIG", self.folder.path()))
    }

    fn inspect(&self, image: &str) -> Result<Value> {
        let found = self.bako(&["inspect", "--format", "json", image])?.success()?;
        Ok(serde_json::from_str(&found.stdout)?)
    }

    fn blob(&self, name: &str, digest: &Value) -> Result<Vec<u8>> {
        let digest = digest.as_str().context("a digest")?;
        let response = http::get(&self.registry.address, &format!("/v2/{name}/blobs/{digest}"))?;
        anyhow::ensure!(response.status == 200, "{digest}: {}", response.status);
        Ok(response.body)
    }
}

const TWO_LAYERS: &[(&str, &str)] = &[
    ("Dockerfile", "FROM scratch\nCOPY one /\nCOPY two /\nUSER app\nLABEL a=\"b\\u001b[2J\"\n"),
    ("one/d/big", "twelve bytes"),
    ("one/d/same", "1"),
    ("two/d/big", "now it is longer"),
    ("two/new", "123"),
];

#[test]
fn an_image_is_the_same_wherever_it_is() -> Result<()> {
    let fixture = Fixture::new(Registry::ours, TWO_LAYERS)?;
    let reference = fixture.registry.reference("app:1");
    let (layout, archive) = (fixture.text("layout"), fixture.text("app.tar"));
    let built = fixture.build(&[
        "--destination",
        &reference,
        "--oci-layout-path",
        &layout,
        "--tar-path",
        &archive,
    ])?;
    let digest = program::digest(&built)?;
    let packed = format!("oci-archive:{}", fixture.text("layout.tar"));
    let copy = ["copy", "--work-dir", &fixture.text(""), &format!("oci:{layout}:1"), &packed];
    fixture.bako(&copy)?.success()?;
    let first = fixture.inspect(&reference)?;
    assert_eq!(first["digest"], digest.as_str());
    assert_eq!(first["config"]["config"]["User"], "app");
    for (pointer, expected) in [
        ("/contents/paths", 4),
        ("/contents/bytes", 20),
        ("/hidden/paths", 1),
        ("/hidden/bytes", 12),
        ("/layers/0/changes/added/bytes", 13),
        ("/layers/1/changes/added/paths", 1),
        ("/layers/1/changes/changed/bytes", 16),
        ("/layers/1/changes/hidden/bytes", 12),
        ("/files/0/size", 16),
        ("/files/0/layer", 2),
    ] {
        assert_eq!(first.pointer(pointer), Some(&Value::from(expected)), "{pointer} of {first:#}");
    }
    assert_eq!(first["files"][0]["path"], "/d/big");
    assert_eq!(first["layers"][0]["createdBy"], "COPY one / # buildkit");
    for other in [
        format!("oci:{layout}:1"),
        layout.clone(),
        packed.clone(),
        fixture.text("layout.tar"),
        format!("docker-archive:{archive}:{reference}"),
        archive.clone(),
    ] {
        let found = fixture.inspect(&other)?;
        for key in ["size", "unpacked", "contents", "hidden", "files", "config"] {
            assert_eq!(found[key], first[key], "{key} of {other}");
        }
        for (number, layer) in found["layers"].as_array().context("layers")?.iter().enumerate() {
            for key in ["digest", "diffId", "changes", "createdBy"] {
                assert_eq!(layer[key], first["layers"][number][key], "{key} of {number} of {other}");
            }
        }
    }
    // For people, and with nothing in it that moves a cursor.
    let text = fixture.bako(&["inspect", &reference])?.success()?.stdout;
    for part in [&digest[..], "user", "hides 12 B", "/d/big", "biggest files", "COPY two / # buildkit"] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    assert!(!text.contains('\u{1b}'), "{text:?}");
    Ok(())
}

#[test]
fn what_cannot_be_inspected_is_told() -> Result<()> {
    let fixture = Fixture::new(Registry::ours, TWO_LAYERS)?;
    let layout = fixture.text("layout");
    fixture.build(&["--no-push", "--oci-layout-path", &layout])?;
    // A layer with one byte otherwise is not what its name says.
    let index: Value = serde_json::from_str(&fs::read_to_string(fixture.path("layout/index.json"))?)?;
    let blob = |digest: &Value| {
        let hex = digest.as_str().and_then(|digest| digest.strip_prefix("sha256:"));
        hex.map(|hex| fixture.path("layout/blobs/sha256").join(hex)).context("a digest")
    };
    let manifest: Value = serde_json::from_slice(&fs::read(blob(&index["manifests"][0]["digest"])?)?)?;
    let layer = blob(&manifest["layers"][1]["digest"])?;
    let mut bytes = fs::read(&layer)?;
    // The time in the header of gzip, which no decoder minds.
    bytes[5] ^= 1;
    fs::remove_file(&layer)?;
    fs::write(&layer, &bytes)?;
    fs::write(fixture.path("no.tar"), "no tar at all")?;
    for (image, part) in [
        (layout.clone(), "layer 2: sha256:"),
        (format!("oci:{layout}:2"), "no image of the name 2"),
        (fixture.text("no.tar"), "no.tar"),
        (fixture.text("nothing"), "nothing"),
        (fixture.registry.reference("nothing:1"), "nothing:1"),
    ] {
        let failed = fixture.bako(&["inspect", &image])?;
        assert_eq!(failed.code, 1, "{image}");
        assert!(failed.stderr.starts_with("error: inspect: "), "{}", failed.stderr);
        assert!(failed.stderr.contains(part), "{part} is not in {}", failed.stderr);
        assert_eq!(failed.stderr.lines().count(), 1, "{}", failed.stderr);
    }
    Ok(())
}

/// Makes a pair of keys with openssl.
fn keys(folder: &Path, name: &str) -> Result<(String, String)> {
    let (private, public) = (folder.join(format!("{name}.key")), folder.join(format!("{name}.pub")));
    let generate = ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out"];
    output(Command::new("openssl").args(generate).arg(&private))?;
    output(Command::new("openssl").args(["pkey", "-pubout", "-in"]).arg(&private).arg("-out").arg(&public))?;
    Ok((private.display().to_string(), public.display().to_string()))
}

/// Checks a manifest of signatures as cosign does, and by nothing of ours: the annotation is a signature in base64 over
/// the blob, and the blob names the image.
fn check_signature(fixture: &Fixture, manifest: &Value, digest: &str, public: &str) -> Result<()> {
    let layer = &manifest["layers"][0];
    assert_eq!(layer["mediaType"], "application/vnd.dev.cosign.simplesigning.v1+json");
    let payload = fixture.blob("app", &layer["digest"])?;
    let text = layer["annotations"]["dev.cosignproject.cosign/signature"].as_str().context("a signature")?;
    let (encoded, signature, file) =
        (fixture.path("signature.b64"), fixture.path("signature"), fixture.path("payload"));
    fs::write(&encoded, text)?;
    fs::write(&file, &payload)?;
    output(
        Command::new("openssl").args(["base64", "-d", "-A", "-in"]).arg(&encoded).arg("-out").arg(&signature),
    )?;
    let verify = ["dgst", "-sha256", "-verify", public, "-signature"];
    output(Command::new("openssl").args(verify).arg(&signature).arg(&file))?;
    let payload: Value = serde_json::from_slice(&payload)?;
    assert_eq!(payload["critical"]["image"]["docker-manifest-digest"], digest);
    assert_eq!(payload["critical"]["type"], "cosign container image signature");
    assert_eq!(payload["critical"]["identity"]["docker-reference"], fixture.registry.reference("app"));
    Ok(())
}

#[test]
fn signatures_are_cosigns() -> Result<()> {
    if !require(&["openssl", "docker-registry"]) {
        return Ok(());
    }
    for registry in [Registry::ours as fn(&Bako) -> Result<Registry>, |_: &Bako| Registry::debian()] {
        let fixture = Fixture::new(registry, TWO_LAYERS)?;
        let (private, public) = keys(fixture.folder.path(), "ours")?;
        let (_, other) = keys(fixture.folder.path(), "other")?;
        let reference = fixture.registry.reference("app:1");
        let arguments = ["--destination", &reference, "--sign-key", &private];
        let built = fixture.build(&arguments)?;
        let digest = program::digest(&built)?;
        assert!(built.stderr.contains(&format!("signed {}@{digest}", fixture.registry.reference("app"))));
        let tag = format!("{}.sig", digest.replace(':', "-"));
        check_signature(&fixture, &fixture.registry.manifest("app", &tag)?, &digest, &public)?;

        // What refers to the image: as the registry lists it or, if it does not, under the tag for that.
        let listed = http::get(&fixture.registry.address, &format!("/v2/app/referrers/{digest}"))?;
        let index: Value = match listed.status {
            200 => serde_json::from_slice(&listed.body)?,
            _ => fixture.registry.manifest("app", &digest.replace(':', "-"))?,
        };
        let found = index["manifests"].as_array().context("an index")?;
        assert_eq!(found.len(), 1, "{index}");
        assert_eq!(found[0]["artifactType"], "application/vnd.dev.cosign.artifact.sig.v1+json");
        let referring = fixture.registry.manifest("app", found[0]["digest"].as_str().context("a digest")?)?;
        assert_eq!(referring["subject"]["digest"], digest.as_str());
        check_signature(&fixture, &referring, &digest, &public)?;

        let verified = fixture.bako(&["verify", &reference, "--key", &public])?.success()?;
        assert_eq!(verified.stdout, format!("{}@{digest}\n", fixture.registry.reference("app")));
        let failed = fixture.bako(&["verify", &reference, "--key", &other])?;
        assert_eq!((failed.code, failed.stdout.as_str()), (1, ""));
        assert!(failed.stderr.contains("it was not made with this key"), "{}", failed.stderr);

        // Signed once is signed.
        let again = fixture.build(&arguments)?;
        assert!(again.stderr.contains("was signed with this key before"), "{}", again.stderr);
        let layers = &fixture.registry.manifest("app", &tag)?["layers"];
        assert_eq!(layers.as_array().map(Vec::len), Some(1));
        let unsigned = fixture.registry.reference("other:1");
        fixture.build(&["--destination", &unsigned])?;
        let failed = fixture.bako(&["verify", &unsigned, "--key", &public])?;
        assert!(failed.stderr.contains("has no signature"), "{}", failed.stderr);
    }
    Ok(())
}

#[test]
fn a_digest_is_told_once_its_image_is_signed() -> Result<()> {
    if !require(&["openssl"]) {
        return Ok(());
    }
    let fixture = Fixture::new(Registry::ours, TWO_LAYERS)?;
    let (private, _) = keys(fixture.folder.path(), "ours")?;
    let reference = fixture.registry.reference("app:1");
    let digest = program::digest(&fixture.build(&["--destination", &reference])?)?;
    // What stands where the signature belongs is somebody else's.
    fixture.registry.put_index("app", &format!("{}.sig", digest.replace(':', "-")), &digest)?;
    let told = fixture.folder.path().join("told");
    let told_json = fixture.folder.path().join("told.json");
    let mut signed = fixture.command(&["--destination", &reference, "--sign-key", &private]);
    signed.arg("--digest-file").arg(&told).arg("--metadata-file").arg(&told_json);
    let failed = finish(&mut signed)?;
    assert_eq!((failed.code, failed.stdout.as_str()), (1, ""));
    assert!(failed.stderr.contains("no manifest of signatures"), "{}", failed.stderr);
    assert!(!told.exists() && !told_json.exists());
    Ok(())
}

#[test]
fn keys_of_cosign_need_their_password() -> Result<()> {
    let fixture = Fixture::new(Registry::ours, TWO_LAYERS)?;
    let folder = host::repository().join("crates/attest/tests/keys");
    let (private, public) = (folder.join("cosign.key"), folder.join("cosign.pub"));
    let reference = fixture.registry.reference("app:1");
    let private = private.display().to_string();
    let arguments = ["--destination", &reference, "--sign-key", &private];
    for (password, expected) in [
        (None, Some("the private key is encrypted, and COSIGN_PASSWORD is not set")),
        (Some("wrong"), Some("the private key cannot be decrypted with COSIGN_PASSWORD")),
        (Some("for tests"), None),
    ] {
        let mut build = fixture.command(&arguments);
        build.env_remove("COSIGN_PASSWORD");
        build.envs(password.map(|password| ("COSIGN_PASSWORD", password)));
        let built = finish(&mut build)?;
        assert_eq!(built.code, i32::from(expected.is_some()), "{}", built.stderr);
        match expected {
            // Before anything is built.
            Some(text) => {
                assert!(built.stderr.contains(text), "{}", built.stderr);
                assert!(!fixture.registry.has_tag("app", "1")?);
            }
            None => assert!(
                fixture.bako(&["verify", &reference, "--key", &public.display().to_string()])?.code == 0
            ),
        }
        assert!(!built.stderr.contains("for tests"));
    }
    let failed = finish(&mut fixture.command(&["--no-push", "--sign-key", &private]))?;
    assert!(failed.stderr.contains("--sign-key: "), "{}", failed.stderr);
    Ok(())
}

const PACKAGES: &[(&str, &str)] = &[
    ("Dockerfile", "FROM scratch AS base\nARG A\nCOPY root /\nRUN --mount=type=secret,id=token true\n"),
    ("root/etc/os-release", "ID=debian\nVERSION_ID=\"12\"\n"),
    (
        "root/var/lib/dpkg/status",
        "Package: libc6\nStatus: install ok installed\nMaintainer: GNU <gnu@x.example>\nArchitecture: amd64\nVersion: 2.36-9+deb12u4\n",
    ),
    (
        "root/app/package-lock.json",
        r#"{"lockfileVersion":3,"packages":{"":{"version":"1.0.0"},"node_modules/@babel/core":{"version":"7.1.0","license":"MIT"}}}"#,
    ),
    ("root/app/Cargo.lock", "[[package]]\nname = \"serde\"\nversion = \"1.0.0\"\n"),
    ("root/var/lib/rpm/Packages", "a database of long ago"),
];

/// The statements beside the image that an index lists first.
fn statements(fixture: &Fixture, index: &Value) -> Result<Vec<Value>> {
    let [image, attestation] = &index["manifests"].as_array().context("an index")?[..] else {
        anyhow::bail!("not one image and its attestation: {index}")
    };
    assert_eq!(attestation["platform"], serde_json::json!({"architecture": "unknown", "os": "unknown"}));
    assert_eq!(attestation["annotations"]["vnd.docker.reference.type"], "attestation-manifest");
    assert_eq!(attestation["annotations"]["vnd.docker.reference.digest"], image["digest"]);
    let manifest = fixture.registry.manifest("app", attestation["digest"].as_str().context("a digest")?)?;
    assert_eq!(manifest["mediaType"], "application/vnd.oci.image.manifest.v1+json");
    let config: Value = serde_json::from_slice(&fixture.blob("app", &manifest["config"]["digest"])?)?;
    let mut found = Vec::new();
    for (number, layer) in manifest["layers"].as_array().context("layers")?.iter().enumerate() {
        assert_eq!(layer["mediaType"], "application/vnd.in-toto+json");
        assert_eq!(config["rootfs"]["diff_ids"][number], layer["digest"]);
        let statement: Value = serde_json::from_slice(&fixture.blob("app", &layer["digest"])?)?;
        assert_eq!(statement["_type"], "https://in-toto.io/Statement/v1");
        assert_eq!(statement["predicateType"], layer["annotations"]["in-toto.io/predicate-type"]);
        let digest = image["digest"].as_str().unwrap_or_default();
        assert_eq!(
            format!("sha256:{}", statement["subject"][0]["digest"]["sha256"].as_str().unwrap_or_default()),
            digest
        );
        found.push(statement);
    }
    Ok(found)
}

#[test]
fn statements_stand_beside_the_image() -> Result<()> {
    // Without the RUN, which needs a base.
    let mut files = PACKAGES.to_vec();
    files[0].1 = "FROM scratch AS base\nARG A\nCOPY root /\n";
    let fixture = Fixture::new(Registry::ours, &files)?;
    fs::write(fixture.path("token"), "not for all to see")?;
    let reference = fixture.registry.reference("app:1");
    let (layout, metadata) = (fixture.text("layout"), fixture.text("metadata.json"));
    let secret = format!("id=token,src={}", fixture.text("token"));
    let arguments = [
        "--destination",
        &reference,
        "--oci-layout-path",
        &layout,
        "--metadata-file",
        &metadata,
        "--sbom",
        "--provenance=mode=max,builder-id=https://ci.example/job/1",
        "--build-arg",
        "A=1",
        "--secret",
        &secret,
        "--annotation",
        "a=1",
        "--annotation",
        "index:b=2",
        "--annotation",
        "manifest-descriptor:c=3",
        "--annotation",
        "index-descriptor:d=4",
    ];
    let built = fixture.build(&arguments)?;
    let digest = program::digest(&built)?;
    assert!(built.stderr.contains("/var/lib/rpm/Packages: a database of rpm"), "{}", built.stderr);
    let index = fixture.registry.manifest("app", "1")?;
    assert_eq!(fixture.registry.digest("app", "1")?, digest);
    let image = &index["manifests"][0];
    let manifest = fixture.registry.manifest("app", image["digest"].as_str().context("a digest")?)?;
    assert_eq!(manifest["annotations"], serde_json::json!({"a": "1"}));
    assert_eq!(index["annotations"], serde_json::json!({"b": "2"}));
    assert_eq!(image["annotations"], serde_json::json!({"c": "3"}));
    let laid: Value = serde_json::from_str(&fs::read_to_string(fixture.path("layout/index.json"))?)?;
    assert_eq!(laid["manifests"][0]["digest"], digest.as_str());
    assert_eq!(laid["manifests"][0]["annotations"]["d"], "4");
    let metadata: Value = serde_json::from_str(&fs::read_to_string(&metadata)?)?;
    assert_eq!(metadata["containerimage.digest"], digest.as_str());
    assert_eq!(metadata["containerimage.config.digest"], manifest["config"]["digest"]);
    assert_eq!(metadata["containerimage.descriptor"]["mediaType"], "application/vnd.oci.image.index.v1+json");
    assert_eq!(metadata["image.name"], reference.as_str());

    let found = statements(&fixture, &index)?;
    let (bill, provenance) = (&found[0]["predicate"], &found[1]["predicate"]);
    assert_eq!(found[0]["predicateType"], "https://spdx.dev/Document");
    assert_eq!(found[1]["predicateType"], "https://slsa.dev/provenance/v1");
    let locators: Vec<&str> = bill["packages"]
        .as_array()
        .context("packages")?
        .iter()
        .filter_map(|package| package["externalRefs"][0]["referenceLocator"].as_str())
        .collect();
    assert_eq!(
        &locators[1..],
        [
            "pkg:cargo/serde@1.0.0",
            "pkg:deb/debian/libc6@2.36-9%2Bdeb12u4?arch=amd64&distro=debian-12",
            "pkg:npm/%40babel/core@7.1.0",
        ]
    );
    assert_eq!(bill["creationInfo"]["created"], "2023-11-14T22:13:20Z");
    let definition = &provenance["buildDefinition"];
    let request = &definition["externalParameters"]["request"];
    assert_eq!(request["args"]["build-arg:A"], "1");
    assert_eq!(request["secrets"][0]["id"], "token");
    assert_eq!(definition["resolvedDependencies"][0]["name"], "Dockerfile");
    assert_eq!(provenance["runDetails"]["builder"]["id"], "https://ci.example/job/1");
    assert!(!serde_json::to_string(&found)?.contains("not for all"));

    // The same again, and the layout holds all of it.
    assert_eq!(program::digest(&fixture.build(&arguments)?)?, digest);
    let copied = fixture.registry.reference("copied:1");
    fixture.bako(&["copy", &format!("oci:{layout}:1"), &copied])?.success()?;
    assert_eq!(fixture.registry.digest("copied", "1")?, digest);
    let inspected = fixture.inspect(&reference)?;
    assert_eq!(inspected["digest"], image["digest"]);
    assert_eq!(inspected["index"]["digest"], digest.as_str());

    for (arguments, text) in [
        (&["--image-format", "docker"][..], "do not hold attestations"),
        (&["--tar-path", "x.tar"], "does not hold attestations"),
    ] {
        let failed = finish(&mut fixture.command(&[&["--no-push", "--sbom"], arguments].concat()))?;
        assert_eq!(failed.code, 1);
        assert!(failed.stderr.contains(text), "{}", failed.stderr);
    }
    let failed = finish(&mut fixture.command(&["--no-push", "--annotation", "index:a=b"]))?;
    assert!(failed.stderr.contains("an image for one platform has no index"), "{}", failed.stderr);
    validate(&fixture, bill)
}

/// Asks SPDX's own validator about a document, if it is here.
fn validate(fixture: &Fixture, bill: &Value) -> Result<()> {
    let own = host::repository().join("target/emulators/python/bin/pyspdxtools");
    let Some(program) = host::find("pyspdxtools").or(Some(own).filter(|own| own.is_file())) else {
        skip("needs pyspdxtools of the Python package spdx-tools, which cargo xtask test installs");
        return Ok(());
    };
    let file = fixture.path("bill.spdx.json");
    fs::write(&file, bill.to_string())?;
    output(Command::new(program).arg("--infile").arg(&file)).map(drop)
}

#[test]
fn the_page_about_a_build_is_clicked_through() -> Result<()> {
    let hostile = "<script>window.harm = 1</script><img src=x onerror=\"window.harm = 2\">";
    let dockerfile = format!(
        "FROM scratch AS first\nCOPY one /\nFROM scratch\nCOPY --from=first /d /d\nCOPY two /two\nLABEL a='{hostile}'\n"
    );
    let mut files = TWO_LAYERS.to_vec();
    files[0].1 = &dockerfile;
    let fixture = Fixture::new(Registry::ours, &files)?;
    let (reference, cache) = (fixture.registry.reference("app:1"), format!("oci:{}", fixture.text("cache")));
    let file = fixture.text("build.html");
    let caching = ["--cache", "--cache-copy-layers", "--cache-repo", &cache, "--explain"];
    let arguments = [&["--destination", &reference, "--build-report", &file][..], &caching].concat();
    fixture.build(&arguments)?;
    fs::write(fixture.path("context/two/new"), "otherwise")?;
    fixture.build(&[&arguments[..], &["--build-arg", hostile]].concat())?;
    let Some(mut page) = e2e::browser::Page::open(Path::new(&file))? else {
        skip("needs the Debian package chromium");
        return Ok(());
    };
    let hidden = "[...document.querySelectorAll('.step')].filter(step => step.hidden).length";
    let steps = page.ask("document.querySelectorAll('.step').length")?.as_u64().context("a number")?;
    let of = |state: &str| format!("document.querySelectorAll('.step.{state}').length");
    let (made, cached) = (page.ask(&of("made"))?, page.ask(&of("cached"))?);
    assert_eq!((made.as_u64(), cached.as_u64()), (Some(1), Some(1)), "of {steps}");
    // What was written by others is text, and nothing is asked for.
    assert_eq!(page.ask("typeof window.harm")?, "undefined");
    assert_eq!(page.ask("document.images.length + performance.getEntriesByType('resource').length")?, 0);
    assert_eq!(page.ask("document.body.textContent.includes('window.harm = 2')")?, true);
    // Filters.
    page.click("[data-filter=cached]")?;
    assert_eq!(page.ask(hidden)?, steps - 1);
    page.click("[data-filter=all]")?;
    assert_eq!(page.ask(hidden)?, 0);
    // A step opens.
    assert_eq!(page.ask("document.querySelector('.step.made').open")?, false);
    page.click(".step.made summary")?;
    assert_eq!(page.ask("document.querySelector('.step.made').open")?, true);
    assert_eq!(page.ask("document.querySelector('.step.made dl').checkVisibility()")?, true);
    // A layer says what it is.
    page.click(".layer:last-of-type")?;
    let about = page.ask("document.getElementById('cell').textContent")?;
    assert!(about.as_str().is_some_and(|text| text.starts_with("layer 2, ")), "{about}");
    assert_eq!(page.ask("document.querySelectorAll('.layer.chosen').length")?, 1);
    // Why it was made.
    page.click(".explanation summary")?;
    assert_eq!(page.ask("document.querySelector('.explanation').open")?, true);
    // Light and dark, by the system and by the button.
    let colour = "getComputedStyle(document.body).backgroundColor";
    let mut seen = Vec::new();
    for scheme in ["light", "dark"] {
        let feature = serde_json::json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        page.call("Emulation.setEmulatedMedia", feature)?;
        seen.push(page.ask(colour)?);
    }
    assert_ne!(seen[0], seen[1]);
    page.click("#theme")?;
    assert_eq!(page.ask(colour)?, seen[0]);
    // Nothing is wider than a telephone.
    let narrow = serde_json::json!({"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": false});
    page.call("Emulation.setDeviceMetricsOverride", narrow)?;
    assert_eq!(page.ask("document.documentElement.scrollWidth <= 390")?, true);
    Ok(())
}

#[test]
fn a_failed_build_has_a_page_too() -> Result<()> {
    let files = [("Dockerfile", "FROM scratch\nCOPY f /\nCOPY nothing /\n"), ("f", "x")];
    let fixture = Fixture::new(Registry::ours, &files)?;
    let file = fixture.text("build.html");
    let failed = finish(&mut fixture.command(&["--no-push", "--build-report", &file]))?;
    assert_eq!(failed.code, 1);
    let page = fs::read_to_string(&file)?;
    for text in ["data-state=\"made\"", "data-state=\"failed\"", "role=\"alert\"", "nothing"] {
        assert!(page.contains(text), "{text}");
    }
    let failed = finish(&mut fixture.command(&["--no-push", "--build-report", "/no/such/x.html"]))?;
    assert!(failed.stderr.contains("--build-report /no/such/x.html"), "{}", failed.stderr);
    Ok(())
}

//! The whole protocol against the reference implementation.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::collections::BTreeMap;
use std::io::Read as _;
use std::process::Command;

use bytes::Bytes;
use oci::{Digest, Index, Manifest, ManifestOrIndex, MediaType, Platform, Raw, Reference, RootFs};
use registry::{
    BlobSource, Cause, Client, ClientCertificate, ClientOptions, Error, ErrorKind, Exemption, Keychain,
    Pushed, Secret, UploadMethod,
};
use support::real::{Real, Setup};
use support::{bytes, client, descriptor, options, read_all, reference, user};

/// Pushes an image of one layer and returns the digest of its manifest.
async fn push_image(client: &Client, to: &Reference, layer: &[u8], architecture: &str) -> Digest {
    let config = Raw::write(oci::ImageConfig {
        architecture: architecture.to_owned(),
        os: "linux".to_owned(),
        rootfs: RootFs { diff_ids: vec![oci::DiffId(Digest::of(layer))], ..RootFs::default() },
        ..oci::ImageConfig::default()
    });
    let config_descriptor = oci::Descriptor::of(MediaType::OciConfig, &config);
    let layer_descriptor = descriptor(layer);
    for (descriptor, bytes) in [(&config_descriptor, config.bytes()), (&layer_descriptor, layer)] {
        let source = BlobSource::Bytes(Bytes::copy_from_slice(bytes));
        client.push_blob(to, descriptor, &source, &[]).await.unwrap();
    }
    let manifest =
        Raw::write(Manifest::new(MediaType::OciManifest, config_descriptor, vec![layer_descriptor]));
    client.push_manifest(to, &MediaType::OciManifest, manifest.bytes().to_vec()).await.unwrap()
}

#[tokio::test]
async fn images_there_and_back() {
    let Some(real) = Real::start(&Setup::default()) else { return };
    let client = client();
    let layer = bytes(3_000_000);
    let to = reference(&real.address, "team/app:1");
    let mut index = Index::new(Vec::new());
    for architecture in ["amd64", "arm64"] {
        let digest = push_image(&client, &to.with_tag(architecture), &layer, architecture).await;
        let mut entry = client.head_manifest(&to.at(digest)).await.unwrap();
        assert_eq!((entry.digest, &entry.media_type), (digest, &MediaType::OciManifest));
        entry.platform = Some(Platform::new("linux", architecture, None));
        index.manifests.push(entry);
    }
    let index = Raw::write(index);
    let digest = client.push_manifest(&to, &MediaType::OciIndex, index.bytes().to_vec()).await.unwrap();
    assert_eq!(digest, index.digest());

    let image = client.resolve(&to, &"linux/arm64".parse().unwrap()).await.unwrap();
    assert_eq!(image.index, Some(digest));
    assert_eq!(image.reference, to.at(index.value().manifests[1].digest));
    let manifest = image.manifest.value();
    let config = client.config(&image.reference, &manifest.config).await.unwrap();
    assert_eq!(config.value().architecture, "arm64");
    let reader = client.blob(&image.reference, &manifest.layers[0]).await.unwrap();
    assert_eq!(read_all(reader).await.unwrap(), layer);

    let wrong = client.resolve(&to, &"linux/s390x".parse().unwrap()).await.unwrap_err();
    assert_eq!(
        wrong.to_string(),
        format!("pull {to}: no image for linux/s390x: the index offers linux/amd64, linux/arm64")
    );
    let mut tags = client.tags(&to).await.unwrap();
    tags.sort();
    assert_eq!(tags, ["1", "amd64", "arm64"]);
    assert_eq!(client.referrers(&to.at(digest), None).await.unwrap(), []);

    client.delete_manifest(&to.at(digest)).await.unwrap();
    let gone = client.manifest(&to).await.unwrap_err();
    assert!(gone.is_not_found(), "{gone}");
    assert_eq!(gone.to_string(), format!("pull {to}: not found: manifest unknown (MANIFEST_UNKNOWN)"));
    client.check_push(&to).await.unwrap();
}

#[tokio::test]
async fn what_becomes_of_a_blob() {
    let Some(real) = Real::start(&Setup::default()) else { return };
    let Some(other) = Real::start(&Setup::default()) else { return };
    let content = bytes(2_500_000);
    let blob = descriptor(&content);
    let size = Pushed::Uploaded { bytes: blob.size };
    let file = real.directory.path().join("blob");
    std::fs::write(&file, &content).unwrap();
    let whole = client();
    let chunked = Client::new(ClientOptions { upload: UploadMethod::Chunked(700_000), ..options() }).unwrap();

    let a = reference(&real.address, "a");
    let from_file = BlobSource::File(file);
    assert_eq!(whole.push_blob(&a, &blob, &from_file, &[]).await.unwrap(), size);
    assert_eq!(whole.push_blob(&a, &blob, &from_file, &[]).await.unwrap(), Pushed::Existed);

    let mounted = Pushed::Mounted { from: "a".to_owned() };
    let candidates = [reference(&real.address, "nothing-here"), reference(&other.address, "x"), a.clone()];
    let b = reference(&real.address, "b");
    assert_eq!(whole.push_blob(&b, &blob, &from_file, &candidates).await.unwrap(), mounted);
    assert_eq!(whole.copy_blob(&a, &reference(&real.address, "c"), &blob).await.unwrap(), mounted);

    let far = reference(&other.address, "far");
    assert_eq!(whole.copy_blob(&a, &far, &blob).await.unwrap(), size);
    assert_eq!(read_all(whole.blob(&far, &blob).await.unwrap()).await.unwrap(), content);

    for (name, source) in [
        ("chunks-file", from_file.clone()),
        ("chunks-bytes", BlobSource::Bytes(content.clone().into())),
        ("chunks-remote", BlobSource::Repository(reference(&real.address, "a"))),
    ] {
        // Another registry, so that nothing can be mounted.
        let third = Real::start(&Setup::default()).unwrap();
        let to = reference(&third.address, name);
        assert_eq!(chunked.push_blob(&to, &blob, &source, &[]).await.unwrap(), size, "{name}");
        assert_eq!(read_all(chunked.blob(&to, &blob).await.unwrap()).await.unwrap(), content, "{name}");
    }
    for length in [0, 1, 700_000, 700_001] {
        let content = bytes(length);
        let blob = descriptor(&content);
        let source = BlobSource::Bytes(content.clone().into());
        for (client, name) in [(&whole, "whole"), (&chunked, "chunked")] {
            let to = reference(&other.address, &format!("{name}-{length}"));
            client.push_blob(&to, &blob, &source, &[]).await.unwrap();
            assert_eq!(read_all(client.blob(&to, &blob).await.unwrap()).await.unwrap(), content);
        }
    }

    let wrong = BlobSource::Bytes(bytes(2_499_999).into());
    let error = whole.push_blob(&reference(&real.address, "d"), &blob, &wrong, &[]).await.unwrap_err();
    assert_eq!(error.to_string(), format!("read blob {}: it ends 1 bytes too early", blob.digest));
    let missing = BlobSource::File("/nonexistent/blob".into());
    let error = whole.push_blob(&reference(&real.address, "d"), &blob, &missing, &[]).await.unwrap_err();
    assert_eq!(error.to_string(), "read /nonexistent/blob: No such file or directory (os error 2)");
    let mut altered = content.clone();
    altered[0] ^= 1;
    let altered = BlobSource::Bytes(altered.into());
    let error = whole.push_blob(&reference(&real.address, "d"), &blob, &altered, &[]).await.unwrap_err();
    assert!(error.is_corrupt(), "{error}");
}

#[tokio::test]
async fn a_blob_for_a_thread() {
    let Some(real) = Real::start(&Setup::default()) else { return };
    let client = client();
    let content = bytes(1_500_000);
    let blob = descriptor(&content);
    let at = reference(&real.address, "a");
    client.push_blob(&at, &blob, &BlobSource::Bytes(content.clone().into()), &[]).await.unwrap();

    let runtime = tokio::runtime::Handle::current();
    let whole = client.blob_to_reader(&runtime, &at, &blob);
    let partly = client.blob_to_reader(&runtime, &at, &blob);
    let missing = client.blob_to_reader(&runtime, &at, &descriptor(b"missing"));
    let (whole, start) = tokio::task::spawn_blocking(move || {
        let mut all = Vec::new();
        { whole }.read_to_end(&mut all).unwrap();
        let mut start = [0; 10];
        let mut partly = partly;
        partly.read_exact(&mut start).unwrap();
        partly.finish().unwrap();
        let error = { missing }.read(&mut [0; 1]).unwrap_err();
        assert!(Error::of_io(&error).unwrap().is_not_found(), "{error}");
        (all, start)
    })
    .await
    .unwrap();
    assert_eq!(whole, content);
    assert_eq!(start, content[..10]);
}

#[tokio::test]
async fn basic_login() {
    let Some(real) = Real::start(&Setup { login: true, ..Setup::default() }) else { return };
    let at = reference(&real.address, "team/app:1");
    let with = |keychain: Keychain| Client::new(ClientOptions { keychain, ..options() }).unwrap();
    let key = format!("{}/team", real.address);

    let right = with(Keychain::of(&key, user("user", "hunter2"), "config.json"));
    right.check_push(&at).await.unwrap();
    push_image(&right, &at, b"layer", "amd64").await;
    assert!(matches!(right.manifest(&at).await.unwrap(), ManifestOrIndex::Manifest(_)));

    let wrong = with(Keychain::of(&key, user("user", "hunter3"), "config.json"));
    let error = wrong.check_push(&at).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Unauthorized { .. }), "{error}");
    assert_eq!(error.hint().unwrap(), format!("{} did not accept user user of config.json", real.address));
    assert!(!format!("{error} {error:?}").contains("hunter3"));

    let none = with(Keychain::of("elsewhere.example", user("user", "hunter2"), "config.json"));
    let error = none.manifest(&at).await.unwrap_err();
    assert_eq!(error.to_string(), format!("pull {at}: unauthorized: authentication required (UNAUTHORIZED)"));
    assert_eq!(error.hint().unwrap(), format!("no credentials matched {} in config.json", real.address));

    let helper = Keychain::from_docker_config(r#"{"credsStore":"desktop"}"#, "config.json").unwrap();
    let error = with(helper.clone()).manifest(&at).await.unwrap_err();
    let missing = "docker-credential-desktop of config.json: docker-credential-desktop is not installed";
    assert_eq!(error.hint().unwrap(), missing);

    // Each is tried, whoever fails before it; and if none is left, all are named.
    let wrong = || Keychain::of(&key, user("user", "hunter3"), "a").or(helper.clone());
    let both = with(wrong().or(Keychain::of(&key, user("user", "hunter2"), "b")));
    both.manifest(&at).await.unwrap();
    both.check_push(&at).await.unwrap();
    let error = with(wrong()).check_push(&at).await.unwrap_err();
    let hint = format!("{} did not accept user user of a; {missing}", real.address);
    assert_eq!(error.hint().unwrap(), hint);
}

#[tokio::test]
async fn tls() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    // Without a word on it, `openssl req -x509` makes an authority.
    let leaf = &["-addext", "basicConstraints=critical,CA:FALSE"][..];
    for (name, extension) in [("a", &[][..]), ("b", leaf), ("c", leaf), ("client", leaf)] {
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"])
            .args(["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"])
            .args(extension)
            .arg("-keyout")
            .arg(path(&format!("{name}.key")))
            .arg("-out")
            .arg(path(&format!("{name}.pem")))
            .output();
        match made {
            Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr)),
            Err(error) => return println!("skipped: openssl cannot be run: {error}"),
        }
    }
    let start = |name: &str| {
        let (certificate, key) = (path(&format!("{name}.pem")), path(&format!("{name}.key")));
        let authority = path("client.pem");
        let client_authority = (name == "c").then_some(authority.as_path());
        let real =
            Real::start(&Setup { tls: Some((&certificate, &key)), client_authority, ..Setup::default() })?;
        Some((real.address.replace("127.0.0.1", "localhost"), real))
    };
    let (Some((a, _a)), Some((b, _b)), Some((c, _c))) = (start("a"), start("b"), start("c")) else { return };
    let pem = |name: &str| std::fs::read_to_string(path(&format!("{name}.pem"))).unwrap();

    let only_a =
        Client::new(ClientOptions { certificates: BTreeMap::from([(a.clone(), pem("a"))]), ..options() })
            .unwrap();
    only_a.check_push(&reference(&a, "x")).await.unwrap();
    let content = bytes(9_000_000);
    let blob = descriptor(&content);
    let at = reference(&a, "x");
    only_a.push_blob(&at, &blob, &BlobSource::Bytes(content.clone().into()), &[]).await.unwrap();
    assert!(read_all(only_a.blob(&at, &blob).await.unwrap()).await.unwrap() == content);
    let other_name = reference(&a.replace("localhost", "127.0.0.1"), "x");
    let given = BTreeMap::from([(a.replace("localhost", "127.0.0.1"), pem("a"))]);
    let other_name_trusts_a = Client::new(ClientOptions { certificates: given, ..options() }).unwrap();
    assert!(other_name_trusts_a.check_push(&other_name).await.is_err(), "its name counts all the same");
    let error = only_a.check_push(&reference(&b, "x")).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Unreachable { cause: Cause::Certificate, .. }), "{error}");
    assert!(error.hint().unwrap().contains(&format!("--registry-certificate {b}=")), "{:?}", error.hint());

    let skip = Exemption { registries: [b.clone()].into(), ..Exemption::default() };
    let skip_b = Client::new(ClientOptions { skip_tls_verify: skip, ..options() }).unwrap();
    skip_b.check_push(&reference(&b, "x")).await.unwrap();
    assert!(skip_b.check_push(&reference(&a, "x")).await.is_err());
    let skip_push = Exemption { push: true, ..Exemption::default() };
    let skip_push = Client::new(ClientOptions { skip_tls_verify: skip_push, ..options() }).unwrap();
    skip_push.check_push(&reference(&a, "x")).await.unwrap();
    assert!(skip_push.tags(&reference(&a, "x")).await.unwrap_err().hint().is_some());

    let certificates = BTreeMap::from([(c.clone(), pem("c"))]);
    let nobody = Client::new(ClientOptions { certificates: certificates.clone(), ..options() }).unwrap();
    assert!(nobody.check_push(&reference(&c, "x")).await.is_err());
    let key = Secret::new(std::fs::read_to_string(path("client.key")).unwrap());
    let client_certificates = BTreeMap::from([(c.clone(), ClientCertificate { chain: pem("client"), key })]);
    let somebody = ClientOptions { certificates, client_certificates, ..options() };
    Client::new(somebody).unwrap().check_push(&reference(&c, "x")).await.unwrap();

    let bad = ClientOptions { certificates: BTreeMap::from([(a.clone(), "x".to_owned())]), ..options() };
    let error = Client::new(bad).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("connect to {a}: certificates: there is no certificate in PEM form in it")
    );
}

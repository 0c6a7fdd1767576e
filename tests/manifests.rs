//! Whole images from outside: what `docker manifest` and skopeo make of what we made, and the other way round.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use e2e::process::{finish, output};
use e2e::{Bako, Registry, bases, require};
use serde_json::Value;

/// Builds an image for a platform that holds one file.
fn image(bako: &Bako, registry: &Registry, name: &str, platform: &str, format: &str) -> Result<String> {
    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join("Dockerfile"), "FROM scratch\nCOPY f /\n")?;
    fs::write(folder.path().join("f"), name)?;
    let reference = registry.reference(name);
    let mut build = bako.build(folder.path());
    build.args(["--destination", &reference, "--platform", platform, "--image-format", format, "--work-dir"]);
    finish(build.arg(folder.path()).env("SOURCE_DATE_EPOCH", "1700000000"))?.success()?;
    Ok(reference)
}

fn bako(bako: &Bako, config: &Path, arguments: &[&str]) -> Result<String> {
    output(bako.command().args(arguments).env("DOCKER_CONFIG", config))
}

fn docker(config: &Path, arguments: &[&str]) -> Result<String> {
    output(Command::new("docker").args(arguments).env("DOCKER_CONFIG", config))
}

#[test]
fn docker_and_we_make_the_same_list() -> Result<()> {
    if !require(&["docker"]) {
        return Ok(());
    }
    let program = Bako::built()?;
    let registry = Registry::ours(&program)?;
    for format in ["docker", "oci"] {
        let mut members = Vec::new();
        for (name, platform) in
            [("a/amd64", "linux/amd64"), ("a/arm", "linux/arm/v6"), ("b/s390x", "linux/s390x")]
        {
            members.push(image(&program, &registry, &format!("{name}-{format}:1"), platform, format)?);
        }
        let (ours, theirs) = (tempfile::tempdir()?, tempfile::tempdir()?);
        let list = registry.reference(&format!("list-{format}:1"));
        let mut create = vec!["manifest", "create", &list];
        create.extend(members.iter().map(String::as_str));
        let said = bako(&program, ours.path(), &create)?;
        assert_eq!(said, format!("Created manifest list {list}\n"));
        create.insert(2, "--insecure");
        assert_eq!(docker(theirs.path(), &create)?, said);
        for (config, by_docker) in [(ours.path(), false), (theirs.path(), true)] {
            let annotate = ["manifest", "annotate", "--variant", "v7", &list, &members[1]];
            if by_docker {
                docker(config, &annotate)?
            } else {
                bako(&program, config, &annotate)?
            };
        }
        // Each reads what the other has on disk.
        let shown = bako(&program, ours.path(), &["manifest", "inspect", &list])?;
        assert_eq!(shown.trim_end(), docker(ours.path(), &["manifest", "inspect", &list])?.trim_end());
        assert_eq!(shown, bako(&program, theirs.path(), &["manifest", "inspect", &list])?);

        let pushed = docker(theirs.path(), &["manifest", "push", "--insecure", &list])?;
        let digest = pushed.lines().last().context("a digest")?.to_owned();
        let pushed = bako(&program, ours.path(), &["manifest", "push", "--purge", &list])?;
        assert_eq!(pushed.lines().last(), Some(digest.as_str()), "{format}");
        assert_eq!(fs::read_dir(ours.path().join("manifests"))?.count(), 0);

        // In one step, in the order of the command line, which here is that of the names.
        let direct = registry.reference(&format!("direct-{format}:1"));
        let mut push = vec!["manifest", "push", &direct, "--tag", "2"];
        let said = format!("linux/arm/v6={}", members[1]);
        push.extend(["--from", &members[0], "--from", &said, "--from", &members[2]]);
        let one = bako(&program, ours.path(), &push)?;
        let name = format!("direct-{format}");
        assert_eq!(registry.digest(&name, "2")?, one.lines().last().context("a digest")?);
        let manifest = registry.manifest(&name, "1")?;
        assert_eq!(manifest["manifests"][1]["platform"]["variant"], "v6");
        assert_eq!(manifest["manifests"].as_array().map(Vec::len), Some(3));
    }
    Ok(())
}

#[test]
fn copies_are_what_skopeo_reads_and_makes() -> Result<()> {
    if !require(&["skopeo"]) {
        return Ok(());
    }
    let program = Bako::built()?;
    let (registry, other) = (Registry::ours(&program)?, Registry::ours(&program)?);
    let amd64 = image(&program, &registry, "a/amd64:1", "linux/amd64", "oci")?;
    let arm64 = image(&program, &registry, "a/arm64:1", "linux/arm64", "oci")?;
    let folder = tempfile::tempdir()?;
    let config = folder.path();
    let list = registry.reference("list:1");
    bako(&program, config, &["manifest", "push", &list, "--from", &amd64, "--from", &arm64])?;
    let digest = registry.digest("list", "1")?;
    assert_eq!(bako(&program, config, &["digest", &list])?.trim(), digest);
    assert_eq!(
        bako(&program, config, &["digest", "--platform", "linux/arm64", &list])?.trim(),
        registry.digest("a/arm64", "1")?
    );
    // Around: registry, layout, archive, registry.
    let layout = format!("oci:{}:1", folder.path().join("layout").display());
    let archive = format!("oci-archive:{}:1", folder.path().join("archive.tar").display());
    let last = other.reference("copied:1");
    for (from, to) in [(&list, &layout), (&layout, &archive), (&archive, &last)] {
        let copied =
            bako(&program, config, &["copy", "--work-dir", &folder.path().display().to_string(), from, to])?;
        assert_eq!(copied.trim(), digest, "{from} to {to}");
    }
    assert_eq!(bako(&program, config, &["ls", &other.reference("copied")])?, "1\n");
    for source in [layout.clone(), archive.clone(), format!("docker://{last}")] {
        let raw = output(Command::new("skopeo").args(["inspect", "--raw", "--tls-verify=false", &source]))?;
        let value: Value = serde_json::from_str(&raw)?;
        assert_eq!(value["manifests"].as_array().map(Vec::len), Some(2), "{source}");
    }
    // What skopeo copies, index and all, is read here.
    let theirs = format!("oci:{}:x", folder.path().join("theirs").display());
    output(Command::new("skopeo").args([
        "copy",
        "--all",
        "--src-tls-verify=false",
        &format!("docker://{list}"),
        &theirs,
    ]))?;
    let one = other.reference("one:arm");
    let copied = bako(&program, config, &["copy", "--platform", "linux/arm64", &theirs, &one])?;
    assert_eq!(copied.trim(), registry.digest("a/arm64", "1")?);
    // An archive in the form of `docker save` has the config, and gets a manifest.
    let saved = folder.path().join("saved.tar").display().to_string();
    let skopeo = |arguments: &[&str]| output(Command::new("skopeo").args(arguments));
    let arm = format!("docker://{arm64}");
    skopeo(&["copy", "--src-tls-verify=false", &arm, &format!("docker-archive:{saved}:r.example/a:1")])?;
    let unsaved = other.reference("unsaved:1");
    for source in [format!("docker-archive:{saved}"), format!("docker-archive:{saved}:r.example/a:1")] {
        bako(&program, config, &["copy", "--work-dir", &config.display().to_string(), &source, &unsaved])?;
    }
    let unsaved = format!("docker://{unsaved}");
    let configs =
        [&arm, &unsaved].map(|image| skopeo(&["inspect", "--raw", "--config", "--tls-verify=false", image]));
    let [arm, read] = configs;
    assert_eq!(arm?, read?);
    // skopeo compares layers with the config as it reads them.
    let checked = format!("dir:{}", folder.path().join("checked").display());
    skopeo(&["copy", "--src-tls-verify=false", &unsaved, &checked])?;
    let written = bako(&program, config, &["copy", &list, &format!("docker-archive:{saved}")]);
    let refused = written.err().context("such archives are not written")?;
    assert!(format!("{refused:#}").contains("are read and not written"), "{refused:#}");
    Ok(())
}

#[test]
fn several_platforms_make_an_index() -> Result<()> {
    let program = Bako::built()?;
    let registry = Registry::ours(&program)?;
    let folder = tempfile::tempdir()?;
    let context = folder.path().join("context");
    fs::create_dir(&context)?;
    fs::write(context.join("f"), "x")?;
    let dockerfile = "FROM scratch\nARG TARGETPLATFORM\nLABEL for=$TARGETPLATFORM\nCOPY f /\n";
    fs::write(context.join("Dockerfile"), dockerfile)?;
    let reference = registry.reference("multi:1");
    let (layout, file) = (folder.path().join("layout"), folder.path().join("digest"));
    let build = |platforms: &str| {
        let mut build = program.build(&context);
        build.args(["--destination", &reference, "--platform", platforms, "--work-dir"]);
        build
            .arg(folder.path().join("work"))
            .arg("--oci-layout-path")
            .arg(&layout)
            .arg("--digest-file")
            .arg(&file);
        finish(build.env("SOURCE_DATE_EPOCH", "1700000000"))
    };
    let built = build("linux/s390x,linux/amd64,linux/arm/v7")?.success()?;
    let digest = registry.digest("multi", "1")?;
    assert_eq!(
        (built.stdout.trim(), fs::read_to_string(&file)?.as_str()),
        (digest.as_str(), digest.as_str())
    );
    let index = registry.manifest("multi", "1")?;
    let members = index["manifests"].as_array().context("an index has members")?;
    let shown: Vec<String> = members
        .iter()
        .map(|member| format!("{} {}", member["platform"]["architecture"], member["platform"]["variant"]))
        .collect();
    assert_eq!(shown, ["\"s390x\" null", "\"amd64\" null", "\"arm\" \"v7\""]);
    for (member, label) in members.iter().zip(["linux/s390x", "linux/amd64", "linux/arm/v7"]) {
        let named = member["digest"].as_str().context("a member has a digest")?;
        let config = registry.config("multi", named)?;
        assert_eq!(config["config"]["Labels"]["for"], label);
    }
    let listed: Value = serde_json::from_slice(&fs::read(layout.join("index.json"))?)?;
    assert_eq!(listed["manifests"][0]["digest"], digest.as_str());
    assert_eq!(fs::read_dir(folder.path().join("work"))?.count(), 0, "nothing is left in the work directory");

    // What is for Windows is another layer, though nothing in the Dockerfile says so.
    build("linux/amd64,windows/amd64")?.success()?;
    let index = registry.manifest("multi", "1")?;
    let layer = |at: usize| -> Result<Value> {
        let named = index["manifests"][at]["digest"].as_str().context("a member has a digest")?;
        Ok(registry.manifest("multi", named)?["layers"][0]["digest"].clone())
    };
    assert_eq!(index["manifests"][1]["platform"]["os"], "windows");
    assert_ne!(layer(0)?, layer(1)?);
    Ok(())
}

#[test]
fn what_does_not_depend_on_the_platform_is_done_once() -> Result<()> {
    let program = Bako::built()?;
    let registry = Registry::ours(&program)?;
    let base = bases::busybox(&program, &registry)?;
    let folder = tempfile::tempdir()?;
    let dockerfile = format!(
        "FROM --platform=$BUILDPLATFORM {base} AS build\n\
         RUN head -c 16 /dev/urandom > /once\n\
         ARG TARGETARCH\n\
         RUN echo $TARGETARCH > /each\n\
         FROM scratch\n\
         COPY --from=build /once /\n\
         COPY --from=build /each /\n"
    );
    fs::write(folder.path().join("Dockerfile"), dockerfile)?;
    let kept = registry.reference("kept");
    for (name, cached) in [("plain", &[][..]), ("cached", &["--cache", "--cache-repo", &kept])] {
        let reference = registry.reference(&format!("{name}:1"));
        let mut build = program.build(folder.path());
        build.args(["--destination", &reference, "--platform", "linux/arm64,linux/s390x,linux/amd64"]);
        build.args(cached).arg("--work-dir").arg(folder.path()).env("SOURCE_DATE_EPOCH", "1700000000");
        finish(&mut build)?.success()?;
        let index = registry.manifest(name, "1")?;
        let members = index["manifests"].as_array().context("an index has members")?;
        let mut layers: [BTreeSet<String>; 2] = Default::default();
        for member in members {
            let manifest = registry.manifest(name, member["digest"].as_str().context("a digest")?)?;
            for (layer, seen) in layers.iter_mut().enumerate() {
                seen.insert(manifest["layers"][layer]["digest"].as_str().context("a digest")?.to_owned());
            }
        }
        assert_eq!(layers.map(|seen| seen.len()), [1, 3], "{name}");
    }
    Ok(())
}

#[test]
fn engines_choose_by_platform() -> Result<()> {
    if !require(&["skopeo", "podman"]) {
        return Ok(());
    }
    let program = Bako::built()?;
    let registry = Registry::ours(&program)?;
    let folder = tempfile::tempdir()?;
    let context = folder.path().join("context");
    fs::create_dir(&context)?;
    fs::write(
        context.join("Dockerfile"),
        "FROM scratch\nARG TARGETPLATFORM\nLABEL for=$TARGETPLATFORM\nCOPY f /\n",
    )?;
    fs::write(context.join("f"), "x")?;
    let reference = registry.reference("multi:1");
    let mut build = program.build(&context);
    build.args([
        "--destination",
        &reference,
        "--platform",
        "linux/amd64,linux/arm64,linux/arm/v7",
        "--work-dir",
    ]);
    finish(build.arg(folder.path()))?.success()?;
    for (platform, architecture, variant) in
        [("linux/amd64", "amd64", ""), ("linux/arm64", "arm64", ""), ("linux/arm/v7", "arm", "v7")]
    {
        let mut inspect = Command::new("skopeo");
        inspect.args(["--override-os", "linux", "--override-arch", architecture]);
        if !variant.is_empty() {
            inspect.args(["--override-variant", variant]);
        }
        inspect.args(["inspect", "--config", "--tls-verify=false", &format!("docker://{reference}")]);
        let config: Value = serde_json::from_str(&output(&mut inspect)?)?;
        assert_eq!(config["config"]["Labels"]["for"], platform);
        let podman = |arguments: &[&str]| {
            let path = |name: &str| folder.path().join(name).display().to_string();
            let mut command = Command::new("podman");
            command.args(["--storage-driver", "vfs", "--root", &path("storage"), "--runroot", &path("run")]);
            output(command.args(arguments))
        };
        let id = podman(&["pull", "--quiet", "--tls-verify=false", "--platform", platform, &reference])?;
        let shown = podman(&[
            "image",
            "inspect",
            "--format",
            "{{.Architecture}} {{index .Labels \"for\"}}",
            id.trim(),
        ])?;
        assert_eq!(shown.trim(), format!("{architecture} {platform}"));
    }
    Ok(())
}

#[test]
fn what_is_refused() -> Result<()> {
    let program = Bako::built()?;
    let registry = Registry::ours(&program)?;
    let base = bases::busybox(&program, &registry)?;
    let folder = tempfile::tempdir()?;
    let list = registry.reference("list:1");
    let absent = registry.reference("absent:1");
    let unknown = format!("linux/m68k={base}");
    bako(&program, folder.path(), &["manifest", "create", &list, &base])?;
    let spec = folder.path().join("spec.yml");
    fs::write(&spec, format!("image: {list}\nmanifests:\n- image: {absent}\n"))?;
    let spec = spec.display().to_string();
    for (arguments, message) in [
        (
            vec!["manifest", "create", &list, &base],
            "refusing to amend an existing manifest list with no --amend flag".to_owned(),
        ),
        (vec!["manifest", "create", "-a", &list, &absent], format!("no such manifest: {absent}")),
        (
            vec!["manifest", "annotate", &list, &absent, "--os", "linux"],
            format!("manifest for image {absent} does not exist in {list}"),
        ),
        (
            vec!["manifest", "annotate", &list, &base, "--arch", "m68k"],
            "manifest entry for image has unsupported os/arch combination: /m68k".to_owned(),
        ),
        (vec!["manifest", "push", &absent], format!("No such manifest: {absent}")),
        (
            vec!["manifest", "push", "--from-spec", &spec],
            format!("inspect of image \"{absent}\" failed with error: {absent}: not found"),
        ),
        (
            vec!["manifest", "push", &list, "--from", &base, "--from", &base],
            "are both for linux/amd64".to_owned(),
        ),
        (
            vec!["manifest", "push", &list, "--type", "docker", "--annotation", "a=b"],
            "does not support annotations; use --type oci instead".to_owned(),
        ),
        (vec!["manifest", "rm", &absent], format!("No such manifest: {absent}")),
        (vec!["digest", &absent], "not found".to_owned()),
        (vec!["copy", &absent, "oci:/nowhere/x"], "".to_owned()),
    ] {
        let mut command = program.command();
        let ran = finish(command.args(&arguments).env("DOCKER_CONFIG", folder.path()))?;
        assert_eq!(ran.code, 1, "{arguments:?}");
        assert!(ran.stderr.contains(&message), "{arguments:?}: {}", ran.stderr);
    }
    let mut command = program.command();
    let ran = finish(command.args(["manifest", "push", &list, "--from", &unknown]))?;
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("there is no platform linux/m68k"), "{}", ran.stderr);
    bako(&program, folder.path(), &["manifest", "rm", &list])?;
    Ok(())
}

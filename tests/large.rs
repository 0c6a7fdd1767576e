//! A folder of a hundred thousand files: copied, and found changed in three places.
#![forbid(unsafe_code)]

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use e2e::image::skopeo;
use e2e::process::{finish, output};
use e2e::stock::Stock;
use e2e::{Bako, program, require};
use serde_json::Value;

/// How many files there are.
const FILES: usize = 100_000;

#[test]
fn a_hundred_thousand_files_and_three_changes() -> Result<()> {
    if !require(&["skopeo"]) {
        return Ok(());
    }
    let bako = Bako::built()?;
    let registry = Stock::of(&bako)?.registry(&bako)?;
    let folder = tempfile::tempdir()?;
    let context = folder.path().join("context");
    fs::create_dir_all(context.join("many"))?;
    for number in 0..FILES {
        fs::write(context.join(format!("many/{number:06}")), if number % 2 == 0 { "even" } else { "" })?;
    }
    let dockerfile = format!(
        "FROM {}\nCOPY many /many\nRUN cd /many && echo odd > 000001 && rm 000002 && echo new > new\n",
        registry.reference("busybox")
    );
    fs::write(context.join("Dockerfile"), dockerfile)?;

    let reference = registry.reference("large:latest");
    let mut digests = Vec::new();
    for isolation in bako.isolations()? {
        let mut build = bako.build(&context);
        build.args(["--destination", &reference, "--insecure", "--isolation", &isolation, "--work-dir"]);
        build.arg(folder.path().join("work")).env("SOURCE_DATE_EPOCH", "1700000000");
        digests.push(program::digest(&finish(&mut build)?.success()?)?);
    }
    digests.dedup();
    assert_eq!(digests.len(), 1, "one image, whichever the isolation");

    let image = folder.path().join("image");
    skopeo(&[
        "copy",
        "--src-tls-verify=false",
        &format!("docker://{reference}"),
        &format!("dir:{}", image.display()),
    ])?;
    let copied = names(&image, 1)?;
    assert_eq!(copied.len(), FILES + 1, "the folder and its files");
    assert_eq!(copied[0], "many/");
    assert_eq!(copied[FILES], format!("many/{:06}", FILES - 1));
    // The folder's time was set to the build's by COPY, and is so again.
    assert_eq!(names(&image, 2)?, ["many/.wh.000002", "many/000001", "many/new"]);
    Ok(())
}

/// The names in a layer of a folder that skopeo wrote, in their order, as tar lists them.
fn names(image: &Path, layer: usize) -> Result<Vec<String>> {
    let manifest: Value = serde_json::from_slice(&fs::read(image.join("manifest.json"))?)?;
    let digest = manifest["layers"][layer]["digest"].as_str().context("no such layer")?;
    let blob = image.join(digest.trim_start_matches("sha256:"));
    let listed = output(Command::new("tar").arg("-tzf").arg(blob))?;
    Ok(listed.lines().map(|name| name.trim_start_matches("./").to_owned()).collect())
}

//! Size and number: a folder of a hundred thousand files, copied and found changed in three places; eight stages at once.
#![forbid(unsafe_code)]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::image::skopeo;
use e2e::process::{finish, output};
use e2e::stock::Stock;
use e2e::{Bako, program, require};
use serde_json::Value;

/// How many files there are.
const FILES: usize = 100_000;

/// How many stages there are.
const STAGES: usize = 8;

/// The most memory that a build may take.
const LIMIT: u64 = 64 << 20;

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

/// Eight stages that need nothing of each other, each with files to copy, a command and a layer of either.
#[test]
fn eight_stages_at_once_take_little_memory() -> Result<()> {
    let bako = Bako::built()?;
    let isolation = bako.isolations()?.into_iter().next().context("no isolation works here")?;
    let registry = Stock::of(&bako)?.registry(&bako)?;
    let folder = tempfile::tempdir()?;
    let context = folder.path().join("context");
    fs::create_dir(&context)?;
    let base = registry.reference("busybox");
    let mut dockerfile = String::new();
    for stage in 0..STAGES {
        fs::write(context.join(format!("{stage}")), noise(stage, 6 << 20))?;
        dockerfile.push_str(&format!(
            "FROM {base} AS s{stage}\nCOPY {stage} /copied\nRUN head -c 6000000 /dev/urandom > /made\n"
        ));
    }
    dockerfile.push_str(&format!("FROM {base}\n"));
    (0..STAGES)
        .for_each(|stage| dockerfile.push_str(&format!("COPY --from=s{stage} /copied /made /{stage}/\n")));
    fs::write(context.join("Dockerfile"), dockerfile)?;
    let mut build = bako.build(&context);
    build.args([
        "--destination",
        &registry.reference("stages:latest"),
        "--insecure",
        "--isolation",
        &isolation,
    ]);
    build.args([
        "--jobs",
        "8",
        "--cache",
        "--cache-copy-layers",
        "--cache-repo",
        &registry.reference("cache"),
    ]);
    build.arg("--work-dir").arg(folder.path().join("work"));
    let log = fs::File::create(folder.path().join("log"))?;
    let mut child = build.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?;
    let mut peak = 0;
    let status = loop {
        peak = peak.max(most_memory(child.id()));
        if let Some(status) = child.try_wait()? {
            break status;
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    ensure!(status.success(), "{status}\n{}", fs::read_to_string(folder.path().join("log"))?);
    eprintln!("{STAGES} stages at once: a peak of {} KiB", peak >> 10);
    ensure!(peak > 0 && peak <= LIMIT, "a peak of {peak} bytes");
    Ok(())
}

/// The most memory that a process has had, in bytes: `VmHWM` of proc_pid_status(5).
fn most_memory(process: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) << 10
}

/// Bytes that cannot be packed, and are others for each seed: xorshift64.
fn noise(seed: usize, length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15 ^ (seed as u64 + 1);
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes
}

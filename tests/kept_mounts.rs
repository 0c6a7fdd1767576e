//! Cache mounts that outlast the machine, and `bako cache`: builds on empty disks that share a repository.
#![forbid(unsafe_code)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use e2e::Bako;
use e2e::process::{Finished, finish};
use e2e::registry::Registry;
use e2e::stock::Stock;
use serde_json::Value;
use tempfile::TempDir;

/// What the commands of these tests run.
const APPLETS: &[&str] =
    &["cat", "chmod", "chown", "date", "head", "ln", "mkdir", "mkfifo", "readlink", "rm", "sh", "stat"];

/// A registry with a small base, and a folder to build in.
struct Fixture {
    bako: Bako,
    registry: Registry,
    folder: TempDir,
    isolation: String,
}

impl Fixture {
    fn new(bako: &Bako, isolation: &str) -> Result<Self> {
        let registry = Stock::of(bako)?.registry(bako)?;
        let folder = tempfile::tempdir()?;
        fs::create_dir(folder.path().join("context"))?;
        fs::create_dir(folder.path().join("work"))?;
        push_small_base(bako, &registry, &folder.path().join("base"))?;
        Ok(Self { bako: bako.clone(), registry, folder, isolation: isolation.to_owned() })
    }

    /// With the best isolation.
    fn best() -> Result<Self> {
        let bako = Bako::built()?;
        let isolations = bako.isolations()?;
        Self::new(&bako, isolations.first().context("no isolation works here")?)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A build on a machine that has nothing but what `disk` has from builds before.
    fn command(&self, disk: &str, instructions: &str, arguments: &[&str]) -> Result<Command> {
        let (file, work) = (self.path(&format!("Dockerfile.{disk}")), self.path("work").join(disk));
        fs::create_dir_all(&work)?;
        fs::write(&file, format!("FROM {}/small\n{instructions}", self.registry.address))?;
        let mut command = self.bako.build(&self.path("context"));
        command.arg("--dockerfile").arg(&file).args(["--isolation", &self.isolation, "--no-push"]);
        command.arg("--work-dir").arg(&work).arg("--cache-dir").arg(self.path(&format!("cache-{disk}")));
        command.args(arguments);
        Ok(command)
    }

    fn build(&self, disk: &str, instructions: &str, arguments: &[&str]) -> Result<Finished> {
        let built = finish(&mut self.command(disk, instructions, arguments)?)?.success()?;
        let left = fs::read_dir(self.path("work").join(disk))?.count();
        ensure!(left == 0, "{left} entries are left in the work directory");
        Ok(built)
    }

    /// `bako cache` with these words; what it prints.
    fn cache(&self, words: &[&str]) -> Result<Finished> {
        finish(self.bako.command().arg("cache").args(words))
    }
}

/// The busybox base has hundreds of links, which are unpacked and removed by every build here. ext4 gives no inode away
/// for some seconds after it was freed (`recently_deleted`), and looks at all of them for each new one: that took most
/// of the time of these tests. This base has busybox and a dozen.
fn push_small_base(bako: &Bako, registry: &Registry, folder: &Path) -> Result<()> {
    let programs = folder.join("bin");
    fs::create_dir_all(&programs)?;
    for name in APPLETS {
        symlink("busybox", programs.join(name))?;
    }
    let busybox = registry.reference("busybox");
    let text = format!("FROM scratch\nCOPY --from={busybox} /bin/busybox /bin/\nCOPY bin /bin\n");
    fs::write(folder.join("Dockerfile"), text)?;
    let mut build = bako.build(folder);
    build.args(["--insecure", "--destination", &registry.reference("small"), "--work-dir"]);
    build.arg(folder.join("work"));
    finish(&mut build)?.success().context("build the small base").map(drop)
}

/// The lines that a command of a build has printed.
fn printed(built: &Finished) -> Vec<&str> {
    built.stderr.lines().filter_map(|line| line.trim_start().strip_prefix("| ")).collect()
}

fn warnings(built: &Finished) -> Vec<&str> {
    built.stderr.lines().filter(|line| line.contains("warning")).collect()
}

const MAKE: &str = "RUN --mount=type=cache,target=/c,mode=0750 cd /c && [ ! -e log ] && mkdir -p deep/empty \
    && echo text > file && ln file other && ln -s file link && echo x > deep/own && mkfifo pipe \
    && chmod 4711 file && chown 1000:50 deep deep/own && chmod 1770 deep/empty && echo made >> log\n";
const LOOK: &str = "RUN --mount=type=cache,target=/c,mode=0750 cd /c && cat log \
    && stat -c '%n %a %u:%g %F' . file deep deep/own deep/empty pipe && readlink link && stat -c %h file && cat other\n";
const SEEN: &[&str] = &[
    "made",
    ". 750 0:0 directory",
    "file 4711 0:0 regular file",
    "deep 755 1000:50 directory",
    "deep/own 644 1000:50 regular file",
    "deep/empty 1770 0:0 directory",
    "pipe 644 0:0 fifo",
    "file",
    "2",
    "text",
];

/// Everything comes back as it was, with its owners and modes, on a disk that has nothing.
#[test]
fn a_mount_outlasts_the_disk() -> Result<()> {
    let bako = Bako::built()?;
    for isolation in bako.isolations()? {
        let fixture = Fixture::new(&bako, &isolation)?;
        let directory = format!("oci:{}", fixture.path("kept").display());
        for (number, place) in [fixture.registry.reference("mounts"), directory].iter().enumerate() {
            let disk = |name: &str| format!("{name}{number}");
            let made = fixture.build(&disk("a"), MAKE, &["--cache-mounts-repo", place])?;
            ensure!(warnings(&made).is_empty(), "{isolation}: {}", made.stderr);
            let seen = fixture.build(&disk("b"), LOOK, &["--cache-mounts-repo", place, "--no-cache"])?;
            ensure!(printed(&seen) == SEEN, "{isolation}: {}", seen.stderr);
            ensure!(warnings(&seen).is_empty(), "{isolation}: {}", seen.stderr);
        }
    }
    Ok(())
}

/// As package managers use it: what was downloaded once is not downloaded again, wherever the next build is made; and
/// where results of steps are kept, mounts are too, unless that is switched off.
#[test]
fn a_package_manager_finds_what_it_has_downloaded() -> Result<()> {
    let fixture = Fixture::best()?;
    let place = fixture.registry.reference("cache");
    let install = |name: &str| {
        format!(
            "RUN --mount=type=cache,id=packages,target=/var/cache/packages,sharing=locked cd /var/cache/packages; \
             for name in base {name}; do [ -e $name ] && echo kept $name || {{ echo fetched $name; \
             head -c 100000 /dev/zero > $name; }}; done\n"
        )
    };
    let build = |disk: &str, name: &str, more: &[&str]| -> Result<Vec<String>> {
        let flags = [&["--cache", "--cache-repo", &place, "-v", "debug"][..], more].concat();
        let built = fixture.build(disk, &install(name), &flags)?;
        ensure!(warnings(&built).is_empty(), "{}", built.stderr);
        Ok(printed(&built).into_iter().map(str::to_owned).collect())
    };
    assert_eq!(build("a", "one", &[])?, ["fetched base", "fetched one"]);
    assert_eq!(build("b", "two", &[])?, ["kept base", "fetched two"]);
    assert_eq!(build("c", "one two", &[])?, ["kept base", "kept one", "kept two"]);
    assert_eq!(
        build("d", "one two three", &["--cache-mounts=false"])?.first().map(String::as_str),
        Some("fetched base")
    );
    // What is not changed is not sent again.
    let before = fixture.registry.digest("cache", &mount_tag(&fixture, &place)?)?;
    assert_eq!(build("e", "two one", &[])?, ["kept base", "kept two", "kept one"]);
    assert_eq!(fixture.registry.digest("cache", &mount_tag(&fixture, &place)?)?, before);
    // Nor is it where nothing is to be kept.
    assert_eq!(build("f", "four", &["--no-push-cache"])?, ["kept base", "fetched four"]);
    assert_eq!(fixture.registry.digest("cache", &mount_tag(&fixture, &place)?)?, before);
    Ok(())
}

fn mount_tag(fixture: &Fixture, place: &str) -> Result<String> {
    let listed = fixture.cache(&["ls", place, "--format", "json"])?.success()?;
    let listed: Value = serde_json::from_str(&listed.stdout)?;
    let mounts: Vec<&Value> = list(&listed).iter().filter(|entry| entry["kind"] == "mount").collect();
    let [mount] = mounts[..] else { anyhow::bail!("{} mounts", mounts.len()) };
    Ok(format!("m1-{}", mount["key"].as_str().context("a key")?))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

const USE: &str = "RUN --mount=type=cache,target=/c [ -e /c/x ] && echo kept || echo empty; date > /c/x\n";

/// What is damaged, missing, too large or not signed is an empty mount, and one warning.
#[test]
fn what_is_of_no_use_is_told_and_done_without() -> Result<()> {
    let fixture = Fixture::best()?;
    let kept = fixture.path("kept");
    let place = format!("oci:{}", kept.display());
    let flags = ["--cache-mounts-repo", &place];
    let check = |disk: &str, more: &[&str], expected: &str, warning: &str| -> Result<()> {
        let built = fixture.build(disk, USE, &[&flags[..], more].concat())?;
        ensure!(printed(&built) == [expected], "{disk}: {}", built.stderr);
        let warnings = warnings(&built);
        match warning {
            "" => ensure!(warnings.is_empty(), "{disk}: {warnings:?}"),
            text => ensure!(warnings.len() == 1 && warnings[0].contains(text), "{disk}: {warnings:?}"),
        }
        Ok(())
    };
    /// The layer of the mount, which is the largest blob.
    fn layer(kept: &std::path::Path) -> Result<PathBuf> {
        let mut blobs = Vec::new();
        for blob in fs::read_dir(kept.join("blobs/sha256"))? {
            let path = blob?.path();
            if fs::read(&path)?.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
                blobs.push(path);
            }
        }
        ensure!(blobs.len() == 1, "what was replaced is to be gone: {blobs:?}");
        blobs.pop().context("a layer")
    }
    check("a", &[], "empty", "")?;
    check("b", &[], "kept", "")?;
    let blob = layer(&kept)?;
    let mut bytes = fs::read(&blob)?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x20;
    fs::write(&blob, &bytes)?;
    check("c", &[], "empty", "is not to be had from")?;
    check("d", &[], "kept", "")?;
    fs::remove_file(layer(&kept)?)?;
    check("e", &[], "empty", "is not to be had from")?;
    let small = fixture.build("f", USE, &[&flags[..], &["--cache-mounts-max-size", "8"]].concat())?;
    let told = warnings(&small);
    ensure!(printed(&small) == ["empty"] && told.len() == 2, "{}", small.stderr);
    ensure!(told.iter().all(|text| text.contains("it holds")), "{told:?}");
    check("g", &[], "kept", "")?;
    check("h", &["--cache-ttl", "1ns"], "empty", "")?;

    let (private, public) = (fixture.path("private.pem"), fixture.path("public.pem"));
    fs::write(
        &private,
        "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIGXfFWx4VcytmtH6eLdLn5z4v+uqjDUH2KM6AY/xkv8D\n-----END PRIVATE KEY-----\n",
    )?;
    fs::write(
        &public,
        "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA8w+nMW2K4slZF6L4FjBiYzfheBrkyynzojzwxAP5zSo=\n-----END PUBLIC KEY-----\n",
    )?;
    let (private, public) = (private.to_string_lossy().into_owned(), public.to_string_lossy().into_owned());
    let keys = ["--cache-sign-key", &private, "--cache-verify-key", &public];
    check("i", &keys, "empty", "not signed")?;
    check("j", &keys, "kept", "")
}

/// A mount that holds more than it may is not kept.
#[test]
fn a_mount_that_is_too_large_stays_here() -> Result<()> {
    let fixture = Fixture::best()?;
    let place = fixture.registry.reference("mounts");
    let make = "RUN --mount=type=cache,target=/c head -c 5000 /dev/zero > /c/large\n";
    let built =
        fixture.build("a", make, &["--cache-mounts-repo", &place, "--cache-mounts-max-size", "4k"])?;
    let told = warnings(&built);
    ensure!(told.len() == 1 && told[0].contains("it holds 5000 bytes"), "{told:?}");
    Ok(())
}

/// Of two builds that bring a mount back at once, all of one is there, and nothing of the other.
#[test]
fn two_builds_at_once() -> Result<()> {
    let fixture = Fixture::best()?;
    for place in [fixture.registry.reference("mounts"), format!("oci:{}", fixture.path("kept").display())] {
        for round in 0..4 {
            let make = |who: &str| {
                let text = format!(
                    "RUN --mount=type=cache,target=/c rm -rf /c/* && for n in 1 2 3; do echo {who}{round} > /c/$n; done\n"
                );
                fixture.command(&format!("{who}{round}"), &text, &["--cache-mounts-repo", &place])
            };
            let (mut one, mut two) = (make("one")?, make("two")?);
            let (one, two) = std::thread::scope(|scope| {
                let (one, two) = (scope.spawn(|| finish(&mut one)), scope.spawn(|| finish(&mut two)));
                (one.join().expect("no panic"), two.join().expect("no panic"))
            });
            for built in [one?.success()?, two?.success()?] {
                ensure!(warnings(&built).is_empty(), "{}", built.stderr);
            }
            let look = "RUN --mount=type=cache,target=/c cat /c/1 /c/2 /c/3\n";
            let disk = format!("look{round}");
            let seen = fixture.build(&disk, look, &["--cache-mounts-repo", &place])?;
            let lines = printed(&seen);
            ensure!(lines.len() == 3 && lines.iter().all(|line| *line == lines[0]), "{}", seen.stderr);
            ensure!(lines[0].ends_with(&round.to_string()), "{}", seen.stderr);
            for name in ["one", "two", "look"] {
                fs::remove_dir_all(fixture.path(&format!("cache-{name}{round}")))?;
            }
        }
    }
    Ok(())
}

/// What a cache has is listed, told of one by one, and removed, by age and by size; in a registry and in a directory.
#[test]
fn a_cache_is_seen_and_pruned() -> Result<()> {
    let fixture = Fixture::best()?;
    let instructions =
        "RUN --mount=type=cache,target=/c echo x > /c/x; echo one > /one\nRUN echo two > /two\n";
    for place in [fixture.registry.reference("cache"), format!("oci:{}", fixture.path("kept").display())] {
        let disk = if place.starts_with("oci:") { "b" } else { "a" };
        fixture.build(disk, instructions, &["--cache", "--cache-repo", &place])?;
        let json = |words: &[&str]| -> Result<Value> {
            let words = [words, &[place.as_str(), "--format", "json"]].concat();
            Ok(serde_json::from_str(&fixture.cache(&words)?.success()?.stdout)?)
        };
        let listed = json(&["ls"])?;
        let kinds = |listed: &Value| {
            let mut kinds: Vec<String> =
                list(listed).iter().filter_map(|entry| Some(entry["kind"].as_str()?.to_owned())).collect();
            kinds.sort();
            kinds.join(" ")
        };
        assert_eq!(kinds(&listed), "build indexes mount step step");
        let step = list(&listed).iter().find(|entry| entry["what"] == "RUN echo two > /two");
        let key = step.and_then(|step| step["key"].as_str()).context("a step is known by its instruction")?;
        let told = json(&["inspect", &key[..12]])?;
        assert_eq!(told["steps"][0]["step"], "RUN echo two > /two");
        let inputs: Vec<&str> =
            list(&told["steps"][0]["inputs"]).iter().filter_map(|input| input["name"].as_str()).collect();
        ensure!(inputs.contains(&"argument") && inputs.contains(&"variable PATH"), "{inputs:?}");
        let text = fixture.cache(&["inspect", key, &place])?.success()?.stdout;
        ensure!(text.contains("\nwhat      RUN echo two > /two\n"), "{text}");
        let text = fixture.cache(&["ls", &place])?.success()?.stdout;
        ensure!(text.lines().count() == 6 && text.contains("RUN echo two"), "{text}");

        let none = json(&["prune", "--older-than", "1h"])?;
        ensure!(list(&none["removed"]).is_empty(), "{none}");
        let dry = json(&["prune", "--keep-size", "1", "--dry-run"])?;
        ensure!(list(&dry["removed"]).len() == 5 && dry["bytes"].as_u64() > Some(0), "{dry}");
        assert_eq!(kinds(&json(&["ls"])?), "build indexes mount step step");
        let gone = json(&["prune", "--keep-size", "1"])?;
        ensure!(list(&gone["removed"]).len() == 5, "{gone}");
        assert_eq!(kinds(&json(&["ls"])?), "");
    }
    let left = fs::read_dir(fixture.path("kept/blobs/sha256"))?.count();
    ensure!(left <= 1, "{left} blobs are left");

    let own = fixture.path("cache-a").to_string_lossy().into_owned();
    let text = fixture.cache(&["ls", "--cache-dir", &own])?.success()?.stdout;
    for kind in ["blob ", "index ", "mount "] {
        ensure!(text.lines().any(|line| line.starts_with(kind)), "{kind}: {text}");
    }
    fixture.cache(&["prune", "--cache-dir", &own, "--keep-size", "1"])?.success()?;
    let text = fixture.cache(&["ls", "--cache-dir", &own])?.success()?.stdout;
    assert_eq!(text.lines().count(), 1, "{text}");
    fixture.build("a", instructions, &[])?;

    for (words, expected) in [
        (&["ls"][..], "name a cache repository"),
        (&["ls", "oci:/no/such/place"], "there is no such directory"),
        (&["inspect", "none", "--cache-dir", &own], "nothing has a key that begins with none"),
        (&["prune", "--cache-dir", &own], "--older-than"),
    ] {
        let failed = fixture.cache(words)?;
        ensure!(failed.code != 0 && failed.stderr.contains(expected), "{words:?}: {}", failed.stderr);
    }
    Ok(())
}

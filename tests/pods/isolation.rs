//! What a RUN sees and does is the same under every profile and isolation: the checks, all in one build, and a real
//! build whose image has the same digest everywhere.
//!
//! Each profile is built under the isolation that a build there would take; with `EVERY_ISOLATION` set, under each that
//! works there.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use e2e::process::{finish, output};
use e2e::{Bako, Registry, bases, http, program, tree};

use crate::EPOCH;
use crate::base;
use crate::check::Check;
use crate::container::{Container, VOLUME};
use crate::profiles::Profile;

/// Runs all scripts of a folder, and keeps what each prints. The time is there for a check that hangs.
const RUNNER: &str = r#"export LC_ALL=C DEBIAN_FRONTEND=noninteractive
mkdir -p /results
for script in /checks/$1/*; do
    cd /tmp
    timeout 120 sh "$script" > /tmp/output 2>&1 < /dev/null
    code=$?
    { cat /tmp/output; [ $code = 0 ] || echo "exit: $code"; } >> "/results/${script##*/}"
done
rm /tmp/output
"#;

pub(crate) const CHECKS: &str = "FROM BASE
COPY checks /checks
RUN sh /checks/run first
RUN sh /checks/run again
";

/// A compiler, a program, users, owners, capabilities, another user, and files of another stage. Logs are removed, as
/// the time is in them.
const REAL: &str = r#"FROM BASE AS prepared
RUN useradd -m -u 4000 -s /bin/sh builder && mkdir /srv/app && echo data > /srv/app/data \
 && chown -R builder:games /srv/app && chmod 2750 /srv/app && ln -s data /srv/app/link && chown -h 7:8 /srv/app/link \
 && cp /bin/true /srv/app/able && setcap cap_net_bind_service=ep /srv/app/able && chmod 4755 /srv/app/data && rm -f /var/log/*log
FROM BASE
ENV DEBIAN_FRONTEND=noninteractive
RUN apt-get install -y -qq --no-install-recommends /debs/compiler/*.deb > /dev/null \
 && rm -rf /var/log/* /var/cache/apt/*.bin /var/cache/ldconfig /var/cache/debconf/*-old /debs
COPY hello.c /src/
WORKDIR /src
RUN gcc -O2 -o hello hello.c && ./hello && gcc -O2 -static -o static hello.c && ./static > said
RUN groupadd -g 4000 builder && useradd -u 4000 -g builder -m builder && install -o builder -g games -m 6711 hello /usr/local/bin/hello \
 && setcap cap_net_raw+ep static && chown -R builder /src && rm -f /var/log/*log
COPY --from=prepared --chown=builder:games /srv/app /srv/app
COPY --from=prepared /srv/app /srv/app-of-root
USER builder
RUN hello > ~/said && id > ~/id && umask 027 && mkdir ~/private && cp /src/hello.c ~/private && ln ~/private/hello.c ~/linked
"#;

const HELLO: &str = "#include <stdio.h>\nint main(void) { return puts(\"compiled\") < 0; }\n";

/// The checks under a profile.
pub(crate) fn checks(profile: &Profile) -> Result<()> {
    let bako = Bako::built()?;
    let (registry, base) = base::registry(&bako)?;
    let checks = Check::all()?;
    let mut wrong = String::new();
    for isolation in isolations(&bako, profile)? {
        let container = Container::new(&bako, profile.security)?;
        let context = context(&container, CHECKS, &base)?;
        write_checks(&context, &checks)?;
        let tag = tag(&format!("{}-{isolation}", profile.name));
        build(&container, &registry, &isolation, &tag)?.with_context(|| isolation.clone())?;
        let layers = tempfile::tempdir()?;
        unpack(&registry, &tag, layers.path())?;
        let failed = judge(&checks, layers.path())?;
        let (excused, failed): (Vec<_>, Vec<_>) =
            failed.into_iter().partition(|(check, _)| check.exception(profile.name, &isolation).is_some());
        let excuses: Vec<&str> = excused.iter().map(|(check, _)| check.name.as_str()).collect();
        let passed = checks.len() - excused.len() - failed.len();
        say(&[
            profile.name,
            profile.what,
            &isolation,
            &format!("{passed} of {}", checks.len()),
            &excuses.join(", "),
        ]);
        for (check, how) in failed {
            wrong += &format!("{}, {isolation}, {}:\n{how}\n", profile.name, check.name);
        }
    }
    ensure!(wrong.is_empty(), "{wrong}");
    Ok(())
}

/// The real build under a profile: its image is that of root outside of any container.
pub(crate) fn real_build(profile: &Profile) -> Result<()> {
    let bako = Bako::built()?;
    let (registry, base) = base::registry(&bako)?;
    let expected = outside(&bako, &registry, &base)?;
    for isolation in isolations(&bako, profile)? {
        let container = Container::new(&bako, profile.security)?;
        let context = context(&container, REAL, &base)?;
        fs::write(context.join("hello.c"), HELLO)?;
        let tag = tag(&format!("real-{}-{isolation}", profile.name));
        let digest = build(&container, &registry, &isolation, &tag)?.with_context(|| isolation.clone())?;
        say(&[profile.name, profile.what, &isolation, &digest, ""]);
        if digest != expected {
            let layers =
                |tag: &str| anyhow::Ok(registry.config("app", tag)?["rootfs"]["diff_ids"].to_string());
            anyhow::bail!("{isolation}: {digest}, outside {expected}; layers {}", layers(&tag)?);
        }
    }
    Ok(())
}

/// A line of the table that `cargo xtask test isolation` prints.
#[allow(clippy::print_stderr, reason = "as a skipped test does")]
fn say(cells: &[&str]) {
    eprintln!("isolation: {}", cells.join(" | "));
}

/// The isolations to build under.
fn isolations(bako: &Bako, profile: &Profile) -> Result<Vec<String>> {
    let container = Container::new(bako, profile.security)?;
    let probe = container.run(&["bako", "probe", "--work-dir", &format!("{VOLUME}/work")], &[])?.success()?;
    let mut works = program::parse_probe(&probe.stdout);
    if std::env::var_os("EVERY_ISOLATION").is_none() {
        works.truncate(1);
    }
    ensure!(!works.is_empty(), "no isolation works:\n{}", probe.stdout);
    Ok(works)
}

fn tag(name: &str) -> String {
    name.replace(|character: char| !character.is_ascii_alphanumeric(), "-")
}

/// Makes the context in the container's volume.
fn context(container: &Container, dockerfile: &str, base: &str) -> Result<std::path::PathBuf> {
    let context = container.volume().join("context");
    fs::create_dir(&context)?;
    fs::write(context.join("Dockerfile"), dockerfile.replace("BASE", base))?;
    Ok(context)
}

pub(crate) fn write_checks(context: &Path, checks: &[Check]) -> Result<()> {
    let folder = context.join("checks");
    for name in ["first", "again"] {
        fs::create_dir_all(folder.join(name))?;
    }
    fs::write(folder.join("run"), RUNNER)?;
    for (number, check) in checks.iter().enumerate() {
        let name = file_name(number, check);
        fs::write(folder.join("first").join(&name), &check.script)?;
        if !check.again.is_empty() {
            fs::write(folder.join("again").join(&name), &check.again)?;
        }
    }
    Ok(())
}

fn file_name(number: usize, check: &Check) -> String {
    format!("{number:03}-{}", check.name)
}

/// Builds in a container; the digest.
fn build(container: &Container, registry: &Registry, isolation: &str, tag: &str) -> Result<Result<String>> {
    let (context, work) = (format!("{VOLUME}/context"), format!("{VOLUME}/work"));
    let to = registry.reference(&format!("app:{tag}"));
    let words =
        ["bako", "--context", &context, "--work-dir", &work, "--isolation", isolation, "--destination", &to];
    Ok(container.run(&words, &[EPOCH])?.success().and_then(|built| program::digest(&built)))
}

/// Unpacks what the two RUNs have changed; what was there before stays out.
pub(crate) fn unpack(registry: &Registry, tag: &str, folder: &Path) -> Result<()> {
    let manifest = registry.manifest("app", tag)?;
    let layers = manifest["layers"].as_array().context("an image has layers")?;
    ensure!(layers.len() > 3, "{} layers", layers.len());
    for layer in &layers[layers.len() - 2..] {
        let digest = layer["digest"].as_str().context("a layer has a digest")?;
        let blob = http::get(&registry.address, &format!("/v2/app/blobs/{digest}"))?;
        let archive = tempfile::NamedTempFile::new()?;
        fs::write(archive.path(), blob.body)?;
        let mut tar = Command::new("tar");
        tar.args(["--numeric-owner", "--xattrs", "--xattrs-include=*", "-xpf"]).arg(archive.path());
        finish(tar.arg("-C").arg(folder))?.success()?;
    }
    Ok(())
}

/// The checks that failed, and how.
pub(crate) fn judge<'a>(checks: &'a [Check], layers: &Path) -> Result<Vec<(&'a Check, String)>> {
    let entries: BTreeMap<String, String> = tree::read(layers)?;
    let mut failed = Vec::new();
    for (number, check) in checks.iter().enumerate() {
        let printed = fs::read(layers.join("results").join(file_name(number, check))).unwrap_or_default();
        let printed = String::from_utf8_lossy(&printed);
        let mut how = String::new();
        if printed != check.prints {
            how += &format!("  expected {:?}\n  printed  {printed:?}\n", check.prints);
        }
        for line in &check.layer {
            let (path, expected) = line.split_once(' ').with_context(|| line.clone())?;
            let found = entries.get(path).map_or("nothing", String::as_str);
            let fits = match expected.strip_suffix('…') {
                Some(beginning) => found.starts_with(beginning),
                None => found == expected,
            };
            if !fits {
                how += &format!("  {path} in the layer: expected {expected}\n  found {found}\n");
            }
        }
        if !how.is_empty() {
            failed.push((check, how));
        }
    }
    Ok(failed)
}

/// What root builds outside of any container. It is built once for all profiles, which are processes of their own.
fn outside(bako: &Bako, registry: &Registry, base: &str) -> Result<String> {
    use std::os::unix::fs::MetadataExt as _;
    let program = bako.program.metadata()?;
    // The day is in /etc/shadow.
    let day = std::time::UNIX_EPOCH.elapsed()?.as_secs() / 86_400;
    let key = format!("{} {} {day} {REAL}", program.mtime(), program.mtime_nsec());
    let cache = bases::cache_folder()?;
    let file = cache.join("isolation-digest");
    let lock = fs::File::create(cache.join("isolation-digest.lock"))?;
    lock.lock()?;
    let kept = fs::read_to_string(&file).unwrap_or_default();
    // The registry's address is not part of an image.
    if let Some((digest, of)) = kept.split_once('\n')
        && of == key
    {
        return Ok(digest.to_owned());
    }
    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join("Dockerfile"), REAL.replace("BASE", base))?;
    fs::write(folder.path().join("hello.c"), HELLO)?;
    let work = tempfile::tempdir()?;
    let mut build = bako.build(folder.path());
    build.args(["--destination", &registry.reference("app:outside"), "--work-dir"]).arg(work.path());
    let printed = output(build.env(EPOCH.0, EPOCH.1))?;
    let digest = printed.trim().to_owned();
    fs::write(&file, format!("{digest}\n{key}"))?;
    Ok(digest)
}

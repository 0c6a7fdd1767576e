//! Builds of which a cache has something, in a pod that has nothing: a new process, an empty disk, and a registry on
//! loopback. Beside each, what a buildah needs whose cache is as full.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use e2e::{Bako, Registry, bases};

use super::Results;
use super::measure::{Sample, measure, median};
use super::proxy::Proxy;
use super::scratch::Scratch;
use super::workload::{BASE, source};

/// What it is called on the command line.
pub(crate) const NAME: &str = "cache";
/// What is measured.
pub(crate) const WHAT: &str =
    "builds that a cache has, in part or wholly, on an empty disk; and stages side by side";

/// The most memory that a build may take, in MiB.
const MEMORY: f64 = 64.0;

/// One kind of build, and what it may cost.
struct Case {
    name: &'static str,
    dockerfile: &'static str,
    /// Writes what is copied to the folder `files` of the context.
    files: fn(&Path) -> Result<()>,
    /// Changes the context before each build.
    edit: Option<fn(&Path, usize) -> Result<()>>,
    base: Base,
    limit: Limit,
    /// The most bytes that may pass between bako and the registry, if that is a target.
    bytes: Option<u64>,
}

enum Base {
    /// Some 600 MB.
    Toolbox,
    /// Some 2 MB.
    Busybox,
}

/// Seconds that it takes to read and hash a context once.
#[derive(Default)]
struct Hashing {
    by_one: Vec<f64>,
    /// By as many threads as there are cores.
    by_all: Vec<f64>,
}

enum Limit {
    /// So often the time that it takes to read and hash the context once, by as many threads as there are cores.
    Hashing(f64),
    Seconds(f64),
}

const CASES: [Case; 4] = [
    Case {
        name: "cached, 20,000 files",
        dockerfile: "WORKDIR /app\nCOPY files files\nRUN find files -type f | wc -l > /count\nCMD [\"cat\", \"/count\"]\n",
        files: many,
        edit: None,
        base: Base::Toolbox,
        limit: Limit::Hashing(1.5),
        bytes: None,
    },
    Case {
        name: "cached, two stages",
        dockerfile: "WORKDIR /src\nCOPY files .\nRUN make -j2\nFROM scratch\nCOPY --from=0 /src/program /\n",
        files: source,
        edit: None,
        base: Base::Toolbox,
        limit: Limit::Seconds(0.150),
        bytes: None,
    },
    Case {
        name: "1 of 300 files edited",
        dockerfile: "RUN dd if=/dev/urandom of=/dependencies bs=1M count=50\nCOPY files /src\nENV MODE=production\nCMD [\"make\"]\n",
        files: sources,
        edit: Some(|files, round| Ok(fs::write(files.join("part-7.c"), format!("int edited = {round};\n"))?)),
        base: Base::Toolbox,
        limit: Limit::Seconds(0.300),
        bytes: Some(2_000_000),
    },
    Case {
        name: "two RUNs of 5 s",
        dockerfile: "AS one\nRUN sleep 5; date > /one\nFROM BASE AS two\nRUN sleep 5; date > /two\nFROM BASE\nCOPY --from=one /one /\nCOPY --from=two /two /\n",
        files: |_| Ok(()),
        edit: None,
        base: Base::Busybox,
        limit: Limit::Seconds(6.0),
        bytes: None,
    },
];

/// Measures every case, and says which targets are missed.
pub(crate) fn run(bako: &Bako, rounds: usize, with_buildah: bool) -> Result<()> {
    let registry = Registry::debian()?;
    println!("putting the bases into a registry (made by mmdebstrap if this is the first time)");
    let toolbox = bases::push_debian(bako, &registry, BASE)?;
    let busybox = bases::busybox(bako, &registry)?;
    println!("\n{:<22} {:>18} {:>18} {:>7}  target", NAME, "bako", "buildah", "ratio");
    for case in &CASES {
        let base = match case.base {
            Base::Toolbox => &toolbox,
            Base::Busybox => &busybox,
        };
        let bench = Bench { bako, registry: &registry, case, base };
        bench.run(rounds, with_buildah).context(case.name)?;
    }
    Ok(())
}

struct Bench<'a> {
    bako: &'a Bako,
    registry: &'a Registry,
    case: &'a Case,
    base: &'a str,
}

impl Bench<'_> {
    fn run(&self, rounds: usize, with_buildah: bool) -> Result<()> {
        let case = self.case;
        let context = tempfile::tempdir()?;
        let files = context.path().join("files");
        fs::create_dir(&files)?;
        (case.files)(&files)?;
        self.write_dockerfile(context.path(), &self.registry.address)?;
        // What nobody has to do twice fills the caches.
        let is_cached = !matches!(case.base, Base::Busybox);
        if is_cached {
            self.bako(context.path(), &self.registry.address, "first")?;
            if with_buildah {
                self.buildah(context.path(), "first")?;
            }
        }
        let (mut ours, mut theirs, mut hashing) =
            (Results::default(), Results::default(), Hashing::default());
        let threads = std::thread::available_parallelism()?.get();
        for round in 0..rounds {
            // Everyone is to find the context in memory, or nobody.
            hash(&files, 1)?;
            hashing.by_one.push(hash(&files, 1)?);
            hashing.by_all.push(hash(&files, threads)?);
            self.edit(&files, 2 * round)?;
            ours.add(&self.bako(context.path(), &self.registry.address, &format!("bako-{round}"))?);
            if with_buildah {
                self.edit(&files, 2 * round + 1)?;
                theirs.add(&self.buildah(context.path(), &format!("buildah-{round}"))?);
            }
        }
        let passed = match case.bytes {
            None => None,
            Some(_) => {
                self.edit(&files, usize::MAX)?;
                let proxy = Proxy::start(&self.registry.address)?;
                self.write_dockerfile(context.path(), &proxy.address)?;
                self.bako(context.path(), &proxy.address, "counted")?;
                Some(proxy.bytes())
            }
        };
        self.show(&ours, &theirs, &hashing, passed);
        Ok(())
    }

    fn show(&self, ours: &Results, theirs: &Results, hashing: &Hashing, passed: Option<u64>) {
        let seconds = median(&ours.seconds);
        let (target, mut is_met) = match self.case.limit {
            Limit::Hashing(factor) => {
                let (by_all, by_one) = (median(&hashing.by_all), median(&hashing.by_one));
                let (times, of_one) = (seconds / by_all, seconds / by_one);
                let text = format!(
                    "{times:.2}x the {by_all:.3} s of hashing, of {factor:.1}x ({of_one:.2}x the {by_one:.3} s of one thread)"
                );
                (text, times <= factor)
            }
            Limit::Seconds(limit) => (format!("{seconds:.3} s of {limit:.3} s"), seconds <= limit),
        };
        let mut target = target;
        if let (Some(passed), Some(most)) = (passed, self.case.bytes) {
            target.push_str(&format!(", {:.2} MB of {:.2} MB", passed as f64 / 1e6, most as f64 / 1e6));
            is_met &= passed <= most;
        }
        is_met &= median(&ours.megabytes) <= MEMORY;
        let (beside, ratio) = match theirs.seconds.is_empty() {
            true => (String::new(), String::new()),
            false => (theirs.shown(), format!("{:.1}x", median(&theirs.seconds) / seconds)),
        };
        let verdict = if is_met { "met" } else { "MISSED" };
        println!("{:<22} {} {beside:>18} {ratio:>7}  {verdict}: {target}", self.case.name, ours.shown());
    }

    fn write_dockerfile(&self, context: &Path, address: &str) -> Result<()> {
        let base = self.base.replace(&self.registry.address, address);
        let steps = self.case.dockerfile.replace("BASE", &base);
        let gap = if steps.starts_with("AS ") { " " } else { "\n" };
        Ok(fs::write(context.join("Dockerfile"), format!("FROM {base}{gap}{steps}"))?)
    }

    fn edit(&self, files: &Path, round: usize) -> Result<()> {
        self.case.edit.map_or(Ok(()), |edit| edit(files, round))
    }

    /// The repository of this case at a registry.
    fn repository(&self, address: &str, who: &str) -> String {
        let name: String = self.case.name.chars().filter(char::is_ascii_alphanumeric).collect();
        format!("{address}/bench/{}-{who}", name.to_ascii_lowercase())
    }

    fn bako(&self, context: &Path, address: &str, tag: &str) -> Result<Sample> {
        let scratch = Scratch::new()?;
        let repository = self.repository(address, "bako");
        let mut build = self.bako.build(context);
        build.arg("--destination").arg(format!("{repository}:{tag}")).arg("--insecure");
        build.args(["--cache", "--cache-copy-layers", "--cache-repo"]).arg(format!("{repository}/cache"));
        build.arg("--cache-dir").arg(scratch.folder("cache")?).arg("--work-dir").arg(scratch.folder("work")?);
        if matches!(self.case.base, Base::Busybox) {
            build.arg("--no-cache");
        }
        measure(&mut [build])
    }

    fn buildah(&self, context: &Path, tag: &str) -> Result<Sample> {
        let scratch = Scratch::new()?;
        let temporary = scratch.folder("tmp")?;
        let repository = self.repository(&self.registry.address, "buildah");
        let (image, kept) = (format!("{repository}:{tag}"), format!("{repository}/cache"));
        let buildah = |words: &[&str]| {
            let mut command = Command::new("buildah");
            command.arg("--root").arg(scratch.path().join("root"));
            command.arg("--runroot").arg(scratch.path().join("run"));
            command.env("TMPDIR", &temporary).args(["--storage-driver", "overlay"]).args(words);
            command
        };
        let mut build = buildah(&["bud", "--isolation", "chroot", "--network=host", "--tls-verify=false"]);
        build.args(["--layers", "--cache-from", &kept, "--cache-to", &kept, "-t", &image]);
        if matches!(self.case.base, Base::Busybox) {
            build.args(["--no-cache", "--jobs", "2"]);
        }
        build.arg(context);
        let push = buildah(&["push", "--tls-verify=false", &image, &format!("docker://{image}")]);
        measure(&mut [build, push])
    }
}

/// Reads and hashes everything in a folder, and says how many seconds that takes.
fn hash(folder: &Path, threads: usize) -> Result<f64> {
    let start = Instant::now();
    // Folders that nobody has begun, and how many are not done.
    let (pending, left) = (Mutex::new(vec![folder.to_owned()]), AtomicUsize::new(1));
    let lock = || pending.lock().unwrap_or_else(PoisonError::into_inner);
    let work = || -> Result<()> {
        while left.load(Ordering::Acquire) > 0 {
            let next = lock().pop();
            let Some(folder) = next else {
                std::thread::yield_now();
                continue;
            };
            let outcome = hash_files(&folder).map(|folders| {
                left.fetch_add(folders.len(), Ordering::AcqRel);
                lock().extend(folders);
            });
            left.fetch_sub(1, Ordering::AcqRel);
            outcome?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        work()?;
        others.into_iter().try_for_each(|other| other.join().expect("it does not panic"))
    })?;
    Ok(start.elapsed().as_secs_f64())
}

/// Reads and hashes the files of a folder, and gives the folders in it.
fn hash_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut folders = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            folders.push(entry.path());
        } else {
            let mut hasher = blake3::Hasher::new();
            io::copy(&mut fs::File::open(entry.path())?, &mut hasher)?;
            std::hint::black_box(hasher.finalize());
        }
    }
    Ok(folders)
}

/// Twenty thousand files of 92 MB, as `node_modules` has.
fn many(folder: &Path) -> Result<()> {
    let mut bytes = 0;
    for module in 0..200 {
        let folder = folder.join(format!("module-{module}/lib"));
        fs::create_dir_all(&folder)?;
        for file in 0..100 {
            let line = format!("exports.value{file} = require('./{module}/{file}');\n");
            let text = line.repeat(4 + (module * 7 + file * 13) % 220);
            bytes += text.len();
            fs::write(folder.join(format!("file-{file}.js")), text)?;
        }
    }
    ensure!((85_000_000..100_000_000).contains(&bytes), "{bytes} bytes");
    Ok(())
}

/// Three hundred files of source code.
fn sources(folder: &Path) -> Result<()> {
    for file in 0..300 {
        let line = format!("int value_{file}(int a) {{ return a + {file}; }}\n");
        fs::write(folder.join(format!("part-{file}.c")), line.repeat(20 + file % 40))?;
    }
    Ok(())
}

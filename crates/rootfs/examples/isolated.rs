//! What commands cost under an isolation: `cargo xtask bench isolation` starts this once for each sample.
//!
//! ```text
//! isolated WAY BASE.tar DIRECTORY < TASKS
//! ```
//!
//! The base is unpacked into the directory, as the way wants it (`native`: a chroot by root with what it needs mounted,
//! or one of the isolations); then the tasks, a JSON list of pairs, are run one after the other: first the script that
//! prepares, then the one that is measured. For each a line is printed: seconds of the clock and of the processors for
//! the command with all that serves it, and for the work before and after it that finds what it changed.
#![allow(clippy::print_stdout, reason = "whoever starts it reads that")]

use std::error::Error;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use layer::{LayerIndex, LayerWriter, Tree, TreePath, WriteOptions, read_layer};
use oci::Compression;
use rootfs::{Ownership, Run, RunRoot, Shape, Shared, Stub, StubKind, Workspace};
use sandbox::{Cancel, Choice, Exit, Isolation, Network, Process, RootFiles, RootShape, User};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// What mounts a chroot's file systems and enters it: arguments are the root and the script.
const NATIVE: &str = r#"mount -t proc proc "$1/proc" && mount --rbind /dev "$1/dev" && mount --rbind /sys "$1/sys" &&
exec chroot "$1" /bin/sh -c "$2""#;

const ENVIRONMENT: [(&str, &str); 4] = [
    ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
    ("HOME", "/root"),
    ("LC_ALL", "C"),
    ("DEBIAN_FRONTEND", "noninteractive"),
];

/// How the commands are run.
enum Way {
    Native,
    Isolated(Box<dyn Isolation>),
}

/// Seconds.
#[derive(Debug, Clone, Copy)]
struct Cost {
    clock: f64,
    processors: f64,
}

fn main() -> Outcome<()> {
    sandbox::init_if_asked();
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let [way, base, directory] = &arguments[..] else {
        return Err("usage: isolated WAY BASE.tar DIRECTORY".into());
    };
    let directory = PathBuf::from(directory);
    let choose = |choice| sandbox::choose(&[choice], &directory).map(Way::Isolated);
    let way = match way.to_str() {
        Some("native") => Way::Native,
        Some("ns") => choose(Choice::Ns)?,
        Some("chroot") => choose(Choice::Chroot)?,
        Some("supervised") => choose(Choice::Supervised)?,
        _ => return Err(format!("no way is called {}", way.display()).into()),
    };
    sandbox::protect_self()?;
    let tasks: Vec<(String, String)> = serde_json::from_reader(io::stdin().lock())?;
    let mut stage = Stage::unpack(way, Path::new(base), &directory.join("workspace"))?;
    for (prepare, script) in &tasks {
        stage.run(prepare)?;
        rustix::fs::sync();
        let [command, before, after] = stage.run(script)?;
        println!("{} {} {} {}", command.clock, command.processors, before.clock, after.clock);
        io::stdout().flush()?;
    }
    Ok(())
}

/// A tree, on disk and as a value.
struct Stage {
    way: Way,
    workspace: Workspace,
    tree: Tree,
    layers: u32,
}

impl Stage {
    fn unpack(way: Way, base: &Path, directory: &Path) -> Outcome<Self> {
        let (shape, ownership) = match &way {
            Way::Native => (Shape::InPlace, Ownership::Kernel),
            Way::Isolated(isolation) => match isolation.shape() {
                RootShape::Stacked => (Shape::Stacked, Ownership::Kernel),
                RootShape::InPlace => (Shape::InPlace, Ownership::Kernel),
                RootShape::Described => (Shape::InPlace, Ownership::Table(Shared::default())),
            },
        };
        let mut workspace = Workspace::create(directory, shape, ownership)?;
        let archive = io::BufReader::with_capacity(1 << 20, File::open(base)?);
        let tree = Tree::new();
        let index = workspace.with_sink(&tree, |sink| Ok(read_layer(archive, Compression::None, sink)?))?;
        let mut stage = Stage { way, workspace, tree, layers: 0 };
        stage.add(&index);
        Ok(stage)
    }

    fn add(&mut self, index: &LayerIndex) {
        self.tree.apply(self.layers, index);
        self.layers += 1;
    }

    /// What the command cost, what was done before it, and what after it.
    fn run(&mut self, script: &str) -> Outcome<[Cost; 3]> {
        let stub = |path: &str| Ok(Stub { path: TreePath::new(path)?, kind: StubKind::Directory });
        let stubs = ["dev", "proc", "sys"].map(stub).into_iter().collect::<Outcome<Vec<Stub>>>()?;
        let (run, before) = measured(|| Ok(self.workspace.begin(&self.tree, &stubs, &[], &[])?))?;
        let ((), command) = measured(|| self.way.run(&run, script))?;
        let mut writer = LayerWriter::new(io::sink(), WriteOptions::default())?;
        let ((), after) = measured(|| Ok(self.workspace.changes(run, &self.tree, None, &mut writer)?))?;
        self.add(&writer.finish()?.index);
        Ok([command, before, after])
    }
}

impl Way {
    fn run(&self, run: &Run, script: &str) -> Outcome<()> {
        let isolation = match (self, &run.root) {
            (Way::Isolated(isolation), _) => isolation,
            (Way::Native, RunRoot::InPlace { directory }) => return native(directory, script),
            (Way::Native, _) => return Err("a chroot is in place".into()),
        };
        let root = match run.root.clone() {
            RunRoot::InPlace { directory } => RootFiles::InPlace { dir: directory },
            RunRoot::Described { directory, owners, log } => {
                RootFiles::Described { dir: directory, owners, log }
            }
            RunRoot::Stacked { lower, upper, work } => RootFiles::Stacked { lower, upper, work },
        };
        let process = Process {
            argv: ["/bin/sh", "-c", script].map(OsString::from).to_vec(),
            env: ENVIRONMENT.map(|(name, value)| (name.into(), value.into())).to_vec(),
            cwd: "/".into(),
            user: User::default(),
            hostname: "bench".into(),
            network: Network::Host,
            mounts: Vec::new(),
        };
        let mut said = Vec::new();
        let exit =
            isolation.run(&process, &root, &mut |_, bytes| said.extend_from_slice(bytes), &Cancel::new())?;
        match exit {
            Exit::Code(0) => Ok(()),
            other => Err(format!("{other:?}: {}", String::from_utf8_lossy(&said)).into()),
        }
    }
}

fn native(root: &Path, script: &str) -> Outcome<()> {
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", NATIVE, "sh"]).arg(root).arg(script);
    let output = command.env_clear().envs(ENVIRONMENT).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr)).into())
}

/// Does something, and what it cost with all processes that it started.
fn measured<T>(work: impl FnOnce() -> Outcome<T>) -> Outcome<(T, Cost)> {
    let (begin, before) = (Instant::now(), processors()?);
    let result = work()?;
    Ok((result, Cost { clock: begin.elapsed().as_secs_f64(), processors: processors()? - before }))
}

/// The time of processors that this process has used, and those of its children that have ended. proc_pid_stat(5)
fn processors() -> Outcome<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let (_, rest) = stat.rsplit_once(')').ok_or("the name has an end")?;
    let ticks: Vec<u64> = rest.split_ascii_whitespace().skip(11).take(4).flat_map(str::parse).collect();
    Ok(ticks.iter().sum::<u64>() as f64 / rustix::param::clock_ticks_per_second() as f64)
}

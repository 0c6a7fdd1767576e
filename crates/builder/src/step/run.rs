//! RUN: the one instruction that needs a directory and a process.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use dockerfile::instruction::{Network, Run, Script};
use layer::{Content, Metadata, ReadError, Tree, TreePath};
use rootfs::{Stub, StubKind};
use sandbox::{Exit, Mount, Process, RunError, User, Writes};

use super::Surroundings;
use super::config::{proxies, shell};
use super::refusal::script_file;
use crate::engine::Engine;
use crate::error::{Context, Error, Result};
use crate::event::Event;
use crate::new_layer::NewLayer;
use crate::stage::Stage;

/// The host name inside a RUN, which is what BuildKit's users find there.
const HOSTNAME: &str = "buildkitsandbox";

pub(super) fn run(around: &mut Surroundings<'_>, stage: &mut Stage, run: &Run) -> Result<()> {
    let engine = around.engine;
    let command = match run.script() {
        Script::Exec(arguments) => arguments.to_vec(),
        Script::Shell(text) => shell(stage).into_iter().chain([text.into_owned()]).collect(),
        Script::File { .. } => return Err(script_file(run)),
    };
    let history = history(stage, &command);
    if command.is_empty() {
        let layer = NewLayer::create(engine)?;
        return engine.finish_layer(stage, layer, history);
    }
    let isolation = engine.isolation()?;
    let accounts = stage.accounts(engine)?;
    let who = accounts.user(&stage.image.config.config.user)?;
    let environment = environment(around, stage, &who.home);

    stage.materialise(engine)?;
    let tree = stage.tree(engine)?;
    let mut layer = NewLayer::create(engine)?;
    let working_dir = stage.working_dir()?;
    let missing = missing_directories(&tree, &working_dir)?;
    let workspace = stage.materialise(engine)?;
    // A working directory that the base only names is made for the process. It gets into the layer if the
    // process leaves something in it; runtimes make it otherwise.
    if !missing.is_empty() {
        let metadata =
            Metadata { mode: 0o755, uid: who.uid, gid: who.gid, mtime: engine.now(), ..Metadata::default() };
        workspace
            .with_sink(&tree, |sink| {
                missing.iter().try_for_each(|path| {
                    let put = sink.put(path, &metadata, Content::Directory);
                    put.map_err(|source| ReadError::Sink { path: path.clone(), source }.into())
                })
            })
            .during("work directory")?;
    }
    let (stubs, mounts) = mount_points(engine, &tree)?;
    let root = workspace.begin(&tree, &stubs).during("work directory")?;
    let process = Process {
        argv: command.iter().map(OsString::from).collect(),
        env: environment,
        cwd: absolute(&working_dir),
        user: User { uid: who.uid, gid: who.gid, groups: who.groups },
        hostname: HOSTNAME.to_owned(),
        network: match run.network.as_ref().map(|network| network.value) {
            Some(Network::None) => sandbox::Network::None,
            _ => sandbox::Network::Host,
        },
        mounts,
    };
    let files = engine.root_files(&root.root);
    let mut output = |stream, bytes: &[u8]| engine.report(Event::Output { stream, bytes: bytes.to_vec() });
    let outcome = engine
        .timings
        .measure("run processes", || isolation.run(&process, &files, &mut output, engine.cancel()));
    check(&command, outcome, engine)?;
    engine.timings.measure("find and pack changes", || {
        workspace.changes(root, &tree, engine.clamp(), &mut layer).during("changes of this RUN")
    })?;
    engine.finish_layer(stage, layer, history)?;
    stage.layer_is_in_workspace();
    Ok(())
}

/// BuildKit's form, which names the declared ARGs that the command may have used.
fn history(stage: &Stage, command: &[String]) -> String {
    let args = stage.scope.args();
    let mut words = vec!["RUN".to_owned()];
    if !args.is_empty() {
        words.push(format!("|{}", args.len()));
        words.extend(args);
    }
    words.extend(command.iter().cloned());
    words.push("# buildkit".to_owned());
    words.join(" ")
}

fn environment(around: &Surroundings<'_>, stage: &Stage, home: &str) -> Vec<(OsString, OsString)> {
    let mut environment: Vec<(String, String)> =
        stage.scope.environment().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let add = |name: &str, value: &str, to: &mut Vec<(String, String)>| {
        if !to.iter().any(|(known, _)| known == name) {
            to.push((name.to_owned(), value.to_owned()));
        }
    };
    add("HOME", home, &mut environment);
    for (name, value) in proxies(|name| around.engine.build_arg(name).map(str::to_owned)) {
        add(&name, &value, &mut environment);
    }
    environment.into_iter().map(|(name, value)| (name.into(), value.into())).collect()
}

/// Levels of the working directory that are not there, outermost first.
fn missing_directories(tree: &Tree, path: &TreePath) -> Result<Vec<TreePath>> {
    let mut at = tree.resolve(path, true)?.path;
    let mut missing = Vec::new();
    while tree.get(&at).is_none() {
        let parent = at.parent().expect("the root is always there");
        missing.push(std::mem::replace(&mut at, parent));
    }
    missing.reverse();
    Ok(missing)
}

/// What the process sees that the image does not have, and where in the root that appears.
fn mount_points(engine: &Engine, tree: &Tree) -> Result<(Vec<Stub>, Vec<Mount>)> {
    let mut stubs = Vec::new();
    let mut mounts = Vec::new();
    for directory in ["proc", "sys", "dev"] {
        let path = tree.resolve(&TreePath::new(directory)?, true)?.path;
        stubs.push(Stub { path, kind: StubKind::Directory });
    }
    for (path, source) in engine.network_files()? {
        let path = tree.resolve(&TreePath::new(path)?, true)?.path;
        // Read-only, as with BuildKit: what a RUN wrote there would be seen by the next one.
        mounts.push(Mount::Bind { source, target: absolute(&path), writes: Writes::Refused });
        stubs.push(Stub { path, kind: StubKind::File });
    }
    Ok((stubs, mounts))
}

/// A path of the tree as the process has it.
fn absolute(path: &TreePath) -> PathBuf {
    PathBuf::from(OsString::from_vec([b"/", path.as_bytes()].concat()))
}

fn check(command: &[String], outcome: Result<Exit, RunError>, engine: &Engine) -> Result<()> {
    let failed = |code: i32, how: String| {
        let mut error =
            Error::new(format!("process {:?} did not complete successfully: {how}", command.join(" ")));
        error.exit_code = Some(code);
        Err(error)
    };
    if let Some(signal) = engine.cancel().signal() {
        return Err(Error::ended_by(signal));
    }
    match outcome {
        Ok(Exit::Code(0)) => Ok(()),
        Ok(Exit::Code(code)) => failed(code, format!("exit code: {code}")),
        Ok(exit @ Exit::Signal(signal)) => failed(exit.code(), format!("ended by signal {signal}")),
        Err(RunError::Exec(error)) => failed(error.code(), error.to_string()),
        Err(error) => Err(Error::new(error.to_string())),
    }
}

//! RUN: the one instruction that needs a directory and a process.

mod agent;
mod cache_mount;
mod mask;
mod mounts;
mod shown;

pub(crate) use mounts::Mounting;

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use dockerfile::instruction::{Network, Run, Script};
use layer::{Metadata, Tree, TreePath};
use oci::Platform;
use sandbox::{Exit, Process, RunError, User};

use self::mask::MaskedOutput;
use self::mounts::Mounts;
use super::config::{proxies, shell};
use super::{Surroundings, located};
use crate::engine::Engine;
use crate::error::{Context, Error, Result};
use crate::event::Event;
use crate::new_layer::NewLayer;
use crate::stage::Stage;

/// Why a RUN of a stage for Windows is refused, whether or not the machine can run programs of others.
pub(crate) fn for_windows(stage: &str, platform: &Platform) -> Error {
    Error::new(format!(
        "a RUN of the stage {stage} would be for {platform}, and programs for Windows cannot run here"
    ))
    .hint("make what it makes in a stage FROM --platform=$BUILDPLATFORM, and COPY it from there")
}

pub(super) fn run(around: &Surroundings<'_>, stage: &mut Stage, run: &Run) -> Result<()> {
    let engine = around.engine;
    if stage.image.is_for_windows() {
        return Err(for_windows(&stage.name, &stage.image.config.platform()));
    }
    let command = command(stage, run);
    let history = history(stage, &command);
    if command.is_empty() {
        let layer = NewLayer::create(engine, stage.image.form())?;
        return engine.finish_layer(stage, layer, history);
    }
    let isolation = engine.isolation()?;
    let accounts = stage.accounts(engine)?;
    let who = accounts.user(&stage.image.config.config.user)?;
    let mut environment = environment(around, stage, &who.home);

    stage.materialise(engine)?;
    let tree = stage.tree(engine)?;
    let mounts = Mounts::new(around, stage, run, &tree)?;
    for (name, value) in &mounts.env {
        environment.retain(|(known, _)| known != name.as_str());
        environment.push((name.into(), value.clone()));
    }
    let mut layer = NewLayer::create(engine, stage.image.form())?;
    let working_dir = stage.working_dir()?;
    let missing = missing_directories(&tree, &working_dir)?;
    let workspace = stage.materialise(engine)?;
    // A working directory that is not there, as one that the base only names, is made for the process, and is in the
    // layer, as with BuildKit.
    let metadata =
        Metadata { mode: 0o755, uid: who.uid, gid: who.gid, mtime: engine.now(), ..Metadata::default() };
    let made: Vec<_> = missing.into_iter().map(|path| (path, metadata.clone())).collect();
    let ignored = &engine.options.ignored_paths;
    let root = workspace.begin(&tree, &mounts.stubs, ignored, &made).during("work directory")?;
    let process = Process {
        argv: command.iter().map(OsString::from).collect(),
        env: environment,
        cwd: absolute(&working_dir),
        user: User { uid: who.uid, gid: who.gid, groups: who.groups },
        hostname: engine.hostname().to_owned(),
        network: network(run),
        mounts: mounts.mounts.clone(),
    };
    let files = engine.root_files(&root.root);
    let mut show = |stream, bytes| {
        engine.report(Event::Output { stage: around.name.clone(), stream, bytes });
    };
    let mut output = MaskedOutput::new(&engine.mounting.masks, &mut show);
    let outcome = engine.timings.measure("run processes", || {
        isolation.run(&process, &files, &mut |stream, bytes| output.write(stream, bytes), engine.cancel())
    });
    output.finish();
    let kept = mounts.keep_owners(&root.root);
    // Locks end here, and sockets.
    drop(mounts);
    check(&command, outcome, engine)?;
    kept?;
    engine.timings.measure("find and pack changes", || {
        workspace.changes(root, &tree, engine.clamp(), &mut layer).during("changes of this RUN")
    })?;
    engine.finish_layer(stage, layer, history)?;
    stage.layer_is_in_workspace();
    Ok(())
}

/// The arguments that a RUN comes to.
pub(super) fn command(stage: &Stage, run: &Run) -> Vec<String> {
    match run.script() {
        Script::Exec(arguments) => arguments.to_vec(),
        Script::Shell(text) => shell(stage).into_iter().chain([text.into_owned()]).collect(),
        // The shell starts it, as with BuildKit: one that reads a profile first still does.
        Script::File { name, .. } => shell(stage).into_iter().chain([format!("/{PIPES}/{name}")]).collect(),
    }
}

/// Refuses what this isolation cannot give, and what was not given to this build, before anything is fetched; as far
/// as it is known without variables.
pub(crate) fn foresee(engine: &Engine, run: &Run) -> Result<()> {
    let process = Process {
        argv: Vec::new(),
        env: Vec::new(),
        cwd: PathBuf::from("/"),
        user: User::default(),
        hostname: engine.hostname().to_owned(),
        network: network(run),
        mounts: mounts::foresee(engine, run)?,
    };
    let checked = engine.isolation()?.check(&process, engine.options.work_dir.path());
    checked.map_err(|error| Error::new(error.to_string()))
}

fn network(run: &Run) -> sandbox::Network {
    match run.network.as_ref().map(|network| network.value) {
        Some(Network::None) => sandbox::Network::None,
        _ => sandbox::Network::Host,
    }
}

/// BuildKit's form, which names the declared ARGs that the command may have used.
pub(super) fn history(stage: &Stage, command: &[String]) -> String {
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

/// Where a heredoc that is a program is shown.
const PIPES: &str = "dev/pipes";

/// A directory with the heredoc of a RUN that is a program, if it has one: BuildKit's name, mode and content.
fn pipes(engine: &Engine, run: &Run) -> Result<Option<PathBuf>> {
    let Script::File { name, content } = run.script() else { return Ok(None) };
    if !super::copy::is_file_name(name) {
        let span = run.heredocs.first().map(|heredoc| heredoc.span).unwrap_or_default();
        return Err(located(span, Error::new(format!("heredoc name {name:?} is no name of a file"))));
    }
    let directory = engine.scratch_directory("pipes")?.canonicalize().during("work directory")?;
    let file = directory.join(name);
    std::fs::write(&file, content.as_bytes()).during(file.display())?;
    for path in [&directory, &file] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).during(path.display())?;
    }
    Ok(Some(directory))
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

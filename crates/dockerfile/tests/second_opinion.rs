//! A second opinion: another parser finds the same instructions in the same places.
//!
//! The Dockerfiles leave out where it is known to be wrong: `\\` at a line's end, which does not continue it,
//! and heredocs behind a command.

use dockerfile::{InstructionKind, Keyword, ShellOrExec, parse};
use parse_dockerfile::{Command, Instruction};

/// Keyword and first line of each instruction, `FROM` included.
fn ours(dockerfile: &dockerfile::Dockerfile) -> Vec<(Keyword, usize)> {
    let mut found: Vec<_> = dockerfile
        .global_args
        .iter()
        .filter_map(|arg| arg.declarations.first())
        .map(|declaration| (Keyword::Arg, declaration.name.span.first_line))
        .collect();
    for stage in &dockerfile.stages {
        found.push((Keyword::From, stage.span.first_line));
        found.extend(stage.instructions.iter().map(|one| (one.keyword(), one.span.first_line)));
    }
    found
}

fn theirs(text: &str, dockerfile: &parse_dockerfile::Dockerfile) -> Vec<(Keyword, usize)> {
    let place = |keyword, start| (keyword, text[..start].matches('\n').count() + 1);
    let instructions = dockerfile.instructions.iter().map(|instruction| match instruction {
        Instruction::Add(one) => place(Keyword::Add, one.add.span.start),
        Instruction::Arg(one) => place(Keyword::Arg, one.arg.span.start),
        Instruction::Cmd(one) => place(Keyword::Cmd, one.cmd.span.start),
        Instruction::Copy(one) => place(Keyword::Copy, one.copy.span.start),
        Instruction::Entrypoint(one) => place(Keyword::Entrypoint, one.entrypoint.span.start),
        Instruction::Env(one) => place(Keyword::Env, one.env.span.start),
        Instruction::Expose(one) => place(Keyword::Expose, one.expose.span.start),
        Instruction::From(one) => place(Keyword::From, one.from.span.start),
        Instruction::Healthcheck(one) => place(Keyword::Healthcheck, one.healthcheck.span.start),
        Instruction::Label(one) => place(Keyword::Label, one.label.span.start),
        Instruction::Maintainer(one) => place(Keyword::Maintainer, one.maintainer.span.start),
        Instruction::Onbuild(one) => place(Keyword::Onbuild, one.onbuild.span.start),
        Instruction::Run(one) => place(Keyword::Run, one.run.span.start),
        Instruction::Shell(one) => place(Keyword::Shell, one.shell.span.start),
        Instruction::Stopsignal(one) => place(Keyword::Stopsignal, one.stopsignal.span.start),
        Instruction::User(one) => place(Keyword::User, one.user.span.start),
        Instruction::Volume(one) => place(Keyword::Volume, one.volume.span.start),
        Instruction::Workdir(one) => place(Keyword::Workdir, one.workdir.span.start),
        other => panic!("{other:?}"),
    });
    instructions.collect()
}

/// Which `RUN`, `CMD` and `ENTRYPOINT` are arguments, and which is text.
fn our_forms(dockerfile: &dockerfile::Dockerfile) -> Vec<bool> {
    let instructions = dockerfile.stages.iter().flat_map(|stage| &stage.instructions);
    let commands = instructions.filter_map(|instruction| match &instruction.kind {
        InstructionKind::Run(run) => Some(&run.command),
        InstructionKind::Cmd(command) | InstructionKind::Entrypoint(command) => Some(command),
        _ => None,
    });
    commands.map(|command| matches!(command, ShellOrExec::Exec(_))).collect()
}

fn their_forms(dockerfile: &parse_dockerfile::Dockerfile) -> Vec<bool> {
    let commands = dockerfile.instructions.iter().filter_map(|instruction| match instruction {
        Instruction::Run(one) => Some(&one.arguments),
        Instruction::Cmd(one) => Some(&one.arguments),
        Instruction::Entrypoint(one) => Some(&one.arguments),
        _ => None,
    });
    commands.map(|command| matches!(command, Command::Exec(_))).collect()
}

#[test]
fn agrees() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/dockerfiles");
    let mut files = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let (one, other) = (parse(&text).unwrap(), parse_dockerfile::parse(&text).unwrap());
        assert_eq!(ours(&one), theirs(&text, &other), "{}", path.display());
        assert_eq!(our_forms(&one), their_forms(&other), "{}", path.display());
        files += 1;
    }
    assert!(files > 0, "there are no Dockerfiles in {directory}");
}

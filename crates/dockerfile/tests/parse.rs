//! Dockerfiles as values: `tests/data/parse.txt`, and those that are refused: `tests/data/errors.txt`.

mod support;

use dockerfile::instruction::{Declaration, Pair, Probe, Script, Source};
use dockerfile::{
    Dockerfile, Heredoc, Instruction, InstructionKind, Lookup, ShellOrExec, Spanned, Stage, Word, parse,
};
use support::check_table;

#[test]
fn values() {
    check_table(include_str!("data/parse.txt"), |text| match parse(text) {
        Ok(dockerfile) => render(&dockerfile),
        Err(error) => format!("error: {error}"),
    });
}

#[test]
fn errors() {
    check_table(include_str!("data/errors.txt"), |text| match parse(text) {
        Ok(dockerfile) => format!("no error: {}", render(&dockerfile)),
        Err(error) => error.to_string(),
    });
}

/// The whole of a Dockerfile on one line: words as `word`, final texts as 'text'.
fn render(dockerfile: &Dockerfile) -> String {
    let global =
        dockerfile.global_args.iter().map(|arg| format!("ARG {}", join(&arg.declarations, declaration)));
    global.chain(dockerfile.stages.iter().map(stage)).collect::<Vec<_>>().join("; ")
}

fn stage(stage: &Stage) -> String {
    let mut text = format!("FROM {}", word(&stage.base));
    text += &option(" platform", stage.platform.as_ref(), word);
    text += &option(" as", stage.name.as_ref(), |name| name.clone());
    text += &option(" doc", stage.description.as_ref(), |text| format!("'{text}'"));
    stage.instructions.iter().fold(text, |text, one| format!("{text}; {}", instruction(one)))
}

fn instruction(instruction: &Instruction) -> String {
    let mut text = instruction.keyword().to_string();
    match &instruction.kind {
        InstructionKind::Add(add) => {
            text += &option(" chown", add.chown.as_ref(), word);
            text += &option(" chmod", add.chmod.as_ref(), word);
            text += &option(" checksum", add.checksum.as_ref(), word);
            text += &flag(" link", &add.link);
            text += &flag(" keep-git-dir", &add.keep_git_dir);
            text += &flag(" unpack", &add.unpack);
            text += &add.exclude.iter().map(|pattern| format!(" exclude='{pattern}'")).collect::<String>();
            text += &format!(" {} to {}", join(&add.sources, source), word(&add.destination));
        }
        InstructionKind::Copy(copy) => {
            text += &option(" from", copy.from.as_ref(), |from| format!("'{from}'"));
            text += &option(" chown", copy.chown.as_ref(), word);
            text += &option(" chmod", copy.chmod.as_ref(), word);
            text += &flag(" link", &copy.link);
            text += &flag(" parents", &copy.parents);
            text += &copy.exclude.iter().map(|pattern| format!(" exclude='{pattern}'")).collect::<String>();
            text += &format!(" {} to {}", join(&copy.sources, source), word(&copy.destination));
        }
        InstructionKind::Arg(arg) => text += &format!(" {}", join(&arg.declarations, declaration)),
        InstructionKind::Cmd(line) | InstructionKind::Entrypoint(line) => text += &command(line),
        InstructionKind::Env(env) => text += &pairs(&env.pairs, env.legacy),
        InstructionKind::Label(label) => text += &pairs(&label.pairs, label.legacy),
        InstructionKind::Expose(expose) => text += &format!(" {}", join(&expose.ports, word)),
        InstructionKind::Healthcheck(check) => {
            text += &option(" interval", check.interval, |time| format!("{time:?}"));
            text += &option(" timeout", check.timeout, |time| format!("{time:?}"));
            text += &option(" start-period", check.start_period, |time| format!("{time:?}"));
            text += &option(" start-interval", check.start_interval, |time| format!("{time:?}"));
            text += &option(" retries", check.retries, |number| number.to_string());
            match &check.probe {
                Probe::None => text += " none",
                Probe::Command(line) => text += &command(line),
            }
        }
        InstructionKind::Maintainer(name) => text += &format!(" '{name}'"),
        InstructionKind::Onbuild(onbuild) => text += &format!(" '{}'", onbuild.trigger),
        InstructionKind::Run(run) => {
            for mount in &run.mounts {
                let fields = mount.fields.iter().map(|field| {
                    field.key.clone()
                        + &field.value.as_ref().map(|value| format!("={value}")).unwrap_or_default()
                });
                text += &format!(" mount({})", fields.collect::<Vec<_>>().join(";"));
                text += &option("from", mount.from.as_ref(), |from| format!("'{from}'"));
            }
            text += &option(" network", run.network.as_ref(), |network| format!("{:?}", network.value));
            text += &option(" security", run.security.as_ref(), |security| format!("{:?}", security.value));
            for device in &run.devices {
                text += &format!(" device({:?} {})", device.value.name, device.value.required);
            }
            match run.script() {
                Script::Exec(arguments) => text += &format!(" exec {arguments:?}"),
                Script::Shell(script) => text += &format!(" shell '{script}'"),
                Script::File { name, content } => text += &format!(" file {name} '{content}'"),
            }
        }
        InstructionKind::Shell(arguments) => text += &format!(" {arguments:?}"),
        InstructionKind::Volume(volume) => {
            let json = if volume.json { " json" } else { "" };
            text += &format!("{json} {}", join(&volume.paths, word));
        }
        InstructionKind::Stopsignal(one) | InstructionKind::User(one) | InstructionKind::Workdir(one) => {
            text += &format!(" {}", word(one));
        }
    }
    text
}

fn join<T>(items: &[T], each: impl Fn(&T) -> String) -> String {
    items.iter().map(each).collect::<Vec<_>>().join(" ")
}

fn option<T>(name: &str, value: Option<T>, show: impl Fn(T) -> String) -> String {
    value.map(|value| format!("{name}={}", show(value))).unwrap_or_default()
}

fn flag(name: &str, value: &Option<Spanned<bool>>) -> String {
    option(name, value.as_ref(), |value| value.value.to_string())
}

fn word(word: &Word) -> String {
    format!("`{}`", word.text)
}

fn declaration(declaration: &Declaration) -> String {
    let text = declaration.name.value.clone() + &option("", declaration.default.as_ref(), word);
    text + &option(" doc", declaration.description.as_ref(), |text| format!("'{text}'"))
}

fn pairs(pairs: &[Pair], legacy: bool) -> String {
    let pair = |pair: &Pair| format!("{}={}", word(&pair.key), word(&pair.value));
    format!("{} {}", if legacy { " legacy" } else { "" }, join(pairs, pair))
}

fn command(command: &ShellOrExec) -> String {
    match command {
        ShellOrExec::Shell(text) => format!(" shell '{text}'"),
        ShellOrExec::Exec(arguments) => format!(" exec {arguments:?}"),
    }
}

fn source(source: &Source) -> String {
    let env: Lookup = &|name| (name == "NAME").then(|| "me".to_owned());
    match source {
        Source::Path(path) => word(path),
        Source::Heredoc(heredoc) => format!("{}'{}'", heredoc.name, expanded(heredoc, env)),
    }
}

fn expanded(heredoc: &Heredoc, env: Lookup) -> String {
    heredoc.expanded(env).map_or_else(|error| error.to_string(), |expansion| expansion.text)
}

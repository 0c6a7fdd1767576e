//! `RUN --mount`: `tests/data/mounts.txt`.

mod support;

use dockerfile::mount::{Bind, Cache, Secret, Ssh, Tmpfs};
use dockerfile::{Escape, InstructionKind, Mount, parse};
use support::{check_table, with_environment};

#[test]
fn mounts() {
    check_table(include_str!("data/mounts.txt"), |input| {
        let (env, flag) = with_environment(input);
        let dockerfile = match parse(&format!("FROM a\nRUN --mount={flag} x")) {
            Ok(dockerfile) => dockerfile,
            Err(error) => return error.to_string(),
        };
        let InstructionKind::Run(run) = &dockerfile.stages[0].instructions[0].kind else {
            panic!("{dockerfile:?}")
        };
        match run.mounts[0].resolve(Escape::Backslash, &env) {
            Ok(mount) => render(&mount),
            Err(error) => error.to_string(),
        }
    });
}

fn render(mount: &Mount) -> String {
    match mount {
        Mount::Bind(Bind { target, source, from, writable }) => {
            format!("bind {from:?} {source:?} at {target:?}{}", if *writable { " rw" } else { "" })
        }
        Mount::Cache(Cache { target, id, read_only, sharing, from, source, mode, uid, gid }) => {
            let read_only = if *read_only { " ro" } else { "" };
            format!(
                "cache {id:?} at {target:?}{read_only} {sharing:?} {from:?} {source:?} {}",
                owner(*mode, *uid, *gid)
            )
        }
        Mount::Tmpfs(Tmpfs { target, size, read_only }) => {
            format!("tmpfs at {target:?} {size:?}{}", if *read_only { " ro" } else { "" })
        }
        Mount::Secret(Secret { id, target, env, required, mode, uid, gid }) => {
            let required = if *required { " required" } else { "" };
            format!("secret {id:?} at {target:?} env {env:?}{required} {}", owner(*mode, *uid, *gid))
        }
        Mount::Ssh(Ssh { id, target, required, mode, uid, gid }) => {
            let required = if *required { " required" } else { "" };
            format!("ssh {id:?} at {target:?}{required} {}", owner(*mode, *uid, *gid))
        }
    }
}

fn owner(mode: Option<u32>, uid: Option<u32>, gid: Option<u32>) -> String {
    let mode = mode.map_or("-".to_owned(), |mode| format!("{mode:04o}"));
    format!("{mode} {uid:?} {gid:?}")
}

//! The user namespace in which an unprivileged program has the privilege that namespaces need.
//!
//! It maps at least 65536 ids. With a single one every chown and setuid to another would fail, and with them most
//! package managers.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, exit};

use nix::sched::{CloneFlags, unshare};
use rustix::process::{Gid, Uid, WaitOptions, getgid, getuid, waitpid};
use rustix::thread::{
    CapabilitySet, capabilities, set_thread_groups, set_thread_res_gid, set_thread_res_uid,
};

use crate::failure::{During, Failure};
use crate::sys::SingleThreaded;

/// The fewest ids that an image can do with.
const IDS: u64 = 65_536;

/// Where distributions install newuidmap. Not `PATH`: a program that gets to write our id map is not looked for in
/// a directory that somebody else may write to.
const DIRECTORIES: [&str; 4] = ["/usr/bin", "/bin", "/usr/sbin", "/usr/local/bin"];

/// One line of an id map: `count` ids from `inside` on are those from `outside` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    inside: u64,
    outside: u64,
    count: u64,
}

/// Which ids to map, and who writes the map.
#[derive(Debug)]
enum Maps {
    /// We, with CAP_SETUID and CAP_SETGID: every id we have ourselves, as it is.
    Direct { uids: Vec<Range>, gids: Vec<Range> },
    /// newuidmap(1) and newgidmap(1): our own id as root, and those that `/etc/subuid` grants.
    Helpers { uids: Vec<Range>, gids: Vec<Range> },
}

/// Moves this process into a new user namespace, as root in it. user_namespaces(7).
pub(crate) fn enter(single: SingleThreaded) -> Result<(), Failure> {
    let maps = plan();
    // The map must be written from outside: by a child that stays there.
    let (mut ours, mut theirs) = UnixStream::pair().during("socketpair")?;
    let me = std::process::id();
    let Some(child) = single.fork().during("fork")? else {
        drop(ours);
        let mut go = [0];
        if theirs.read_exact(&mut go).is_ok() {
            let written = maps.and_then(|maps| write_maps(me, &maps));
            let answer = serde_json::to_vec(&written).expect("a failure is text and a number");
            // Who does not listen has ended.
            let _ = theirs.write_all(&answer);
        }
        exit(0)
    };
    drop(theirs);
    let unshared = unshare(CloneFlags::CLONE_NEWUSER).during("unshare the user namespace");
    let mut answer = Vec::new();
    if unshared.is_ok() {
        ours.write_all(b"!").and_then(|()| ours.read_to_end(&mut answer)).during("write the id map")?;
    }
    drop(ours);
    let _ = rustix::io::retry_on_intr(|| waitpid(Some(child), WaitOptions::empty()));
    unshared?;
    serde_json::from_slice::<Result<(), Failure>>(&answer)
        .unwrap_or_else(|_| Err(Failure::because("write the id map: no answer")))?;
    set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT).during("setresgid in the user namespace")?;
    set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT).during("setresuid in the user namespace")?;
    set_thread_groups(&[]).during("setgroups in the user namespace")
}

fn plan() -> Result<Maps, Failure> {
    let (uid, gid) = (getuid().as_raw(), getgid().as_raw());
    let own = capabilities(None).during("capget")?.effective;
    if own.contains(CapabilitySet::SETUID | CapabilitySet::SETGID) {
        let uids = identity(&read("/proc/self/uid_map")?);
        let gids = identity(&read("/proc/self/gid_map")?);
        return wide_enough(Maps::Direct { uids, gids });
    }
    let name = name_of(&read("/etc/passwd").unwrap_or_default(), uid);
    let granted = |file: &str, own: u32| -> Result<Vec<Range>, Failure> {
        Ok(subordinate(&read(file)?, name.as_deref(), uid, own))
    };
    wide_enough(Maps::Helpers { uids: granted("/etc/subuid", uid)?, gids: granted("/etc/subgid", gid)? })
}

fn wide_enough(maps: Maps) -> Result<Maps, Failure> {
    let (Maps::Direct { uids, gids } | Maps::Helpers { uids, gids }) = &maps;
    for (what, ranges) in [("user", uids), ("group", gids)] {
        let count: u64 = ranges.iter().map(|range| range.count).sum();
        if count < IDS {
            return Err(Failure::because(format!("map {IDS} {what} ids: only {count} may be mapped")));
        }
    }
    Ok(maps)
}

fn write_maps(process: u32, maps: &Maps) -> Result<(), Failure> {
    match maps {
        Maps::Direct { uids, gids } => {
            for (file, ranges) in [("gid_map", gids), ("uid_map", uids)] {
                let lines: String = ranges
                    .iter()
                    .map(|range| format!("{} {} {}\n", range.inside, range.outside, range.count))
                    .collect();
                fs::write(format!("/proc/{process}/{file}"), lines).during(format_args!("write {file}"))?;
            }
            Ok(())
        }
        Maps::Helpers { uids, gids } => {
            run_helper("newuidmap", process, uids)?;
            run_helper("newgidmap", process, gids)
        }
    }
}

fn run_helper(name: &str, process: u32, ranges: &[Range]) -> Result<(), Failure> {
    let program =
        DIRECTORIES.iter().map(|directory| Path::new(directory).join(name)).find(|path| path.exists());
    let program = program.ok_or_else(|| Failure::because(format!("{name}: not installed")))?;
    let mut command = Command::new(program);
    command.arg(process.to_string()).env_clear();
    for range in ranges {
        command.args([range.inside, range.outside, range.count].map(|number| number.to_string()));
    }
    let output = command.output().during(format_args!("run {name}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
    Err(Failure::because(format!("{name} failed: {said}")))
}

fn read(path: &str) -> Result<String, Failure> {
    fs::read_to_string(path).during(format_args!("read {path}"))
}

/// The map that keeps every id of ours: `map` is our own `/proc/self/uid_map`.
fn identity(map: &str) -> Vec<Range> {
    map.lines()
        .filter_map(|line| {
            let mut numbers = line.split_ascii_whitespace().map(|word| word.parse().ok());
            let (inside, _, count) = (numbers.next()??, numbers.next()??, numbers.next()??);
            Some(Range { inside, outside: inside, count })
        })
        .collect()
}

/// The map of `own` to root and of all ids that the text of `/etc/subuid` grants to the user, by name or by uid, to
/// those from 1 on. subuid(5).
fn subordinate(text: &str, name: Option<&str>, uid: u32, own: u32) -> Vec<Range> {
    let mut ranges = vec![Range { inside: 0, outside: own.into(), count: 1 }];
    let mut inside = 1;
    for line in text.lines() {
        let mut words = line.split(':');
        let (Some(who), Some(Ok(outside)), Some(Ok(count))) =
            (words.next(), words.next().map(str::parse), words.next().map(|word| word.trim().parse::<u64>()))
        else {
            continue;
        };
        if Some(who) == name || who.parse() == Ok(uid) {
            ranges.push(Range { inside, outside, count });
            inside += count;
        }
    }
    ranges
}

/// The name that the text of `/etc/passwd` has for `uid`. passwd(5).
fn name_of(text: &str, uid: u32) -> Option<String> {
    text.lines().find_map(|line| {
        let mut words = line.split(':');
        let name = words.next()?;
        (words.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(ranges: &[Range]) -> Vec<String> {
        ranges.iter().map(|range| format!("{} {} {}", range.inside, range.outside, range.count)).collect()
    }

    #[test]
    fn identity_keeps_what_is_mapped() {
        for (map, expected) in [
            ("         0          0 4294967295\n", &["0 0 4294967295"][..]),
            ("0 1000 1\n1 100000 65536\n", &["0 0 1", "1 1 65536"]),
            ("", &[]),
            ("nonsense", &[]),
        ] {
            assert_eq!(text(&identity(map)), expected, "{map:?}");
        }
    }

    #[test]
    fn subordinate_ids_follow_the_own_one() {
        let file = "root:1:65536\nalice:100000:65536\n1000:300000:10\nalice:x:1\nbroken\nalice:400000:5\n";
        for (name, uid, expected) in [
            (Some("alice"), 1000, &["0 1000 1", "1 100000 65536", "65537 300000 10", "65547 400000 5"][..]),
            (None, 1000, &["0 1000 1", "1 300000 10"]),
            (Some("bob"), 1001, &["0 1001 1"]),
        ] {
            assert_eq!(text(&subordinate(file, name, uid, uid)), expected, "{name:?} {uid}");
        }
    }

    #[test]
    fn names_come_from_passwd() {
        let file = "root:x:0:0::/root:/bin/sh\nbroken\nalice:x:1000:1000::/:\n";
        for (uid, name) in [(0, Some("root")), (1000, Some("alice")), (7, None)] {
            assert_eq!(name_of(file, uid).as_deref(), name);
        }
    }
}

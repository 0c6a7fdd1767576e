//! Programs: what an execve is to do, found out as the kernel would: scripts, loaders, set-id bits. execve(2)

use std::ffi::{CString, OsStr};
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;

use nix::libc;
use rustix::fs::OFlags;
use rustix::io::Errno;

use super::access;
use super::credentials::Grant;
use super::elf::{Elf, read_head};
use super::furnish::STARTER;
use super::proc;
use super::resolve::{Last, Object, WHICH, reopen};
use super::start::{Image, Start};
use super::supervisor::{Caller, file_type, identity};
use super::task::lock;

/// How deep scripts may be the interpreters of scripts.
const SCRIPTS: u32 = 5;
/// How much of a script's first line counts (`BINPRM_BUF_SIZE`).
const FIRST_LINE: usize = 256;
/// The longest name that a task has (`TASK_COMM_LEN`, less its end).
const NAME: usize = 15;

/// What the kernel is to execute.
#[derive(Debug)]
pub(super) struct Program {
    /// The starter, by a path on this machine that ends in the name of the process.
    pub(super) file: CString,
    /// What takes the place of the first argument, if the file of the call is a script.
    pub(super) arguments: Vec<CString>,
    /// Its path in the tree.
    pub(super) path: Vec<u8>,
    pub(super) grant: Grant,
    pub(super) start: Start,
}

/// Finds out what to execute for a call with this path.
pub(super) fn find(
    caller: &Caller<'_>,
    at: i32,
    path: &[u8],
    last: Last,
    by_descriptor: bool,
) -> Result<Program, Errno> {
    let mut invoked = path.to_vec();
    let mut object = if by_descriptor {
        let object = caller.descriptor(at)?;
        invoked = format!("/dev/fd/{at}").into_bytes();
        object
    } else {
        if at != libc::AT_FDCWD && !path.starts_with(b"/") {
            // As execveat(2) has it.
            invoked = [format!("/dev/fd/{at}/").as_bytes(), path].concat();
        }
        caller.object(at, path, last, WHICH)?
    };
    // The kernel names a process after the file of the call, also if that is a script.
    let called = text(&invoked)?;
    let mut arguments = Vec::new();
    for _ in 0..=SCRIPTS {
        let file = open(caller, &object)?;
        let mut head = [0; FIRST_LINE];
        let length = read_head(&file, &mut head)?;
        if head.starts_with(b"#!") {
            let (interpreter, argument) = first_line(&head[..length])?;
            let mut new = vec![interpreter.clone()];
            new.extend(argument);
            new.push(text(&invoked)?);
            new.extend(arguments.drain(..).skip(1));
            arguments = new;
            invoked = interpreter.to_bytes().to_vec();
            object = caller.object(libc::AT_FDCWD, &invoked, Last::Follow, WHICH)?;
            continue;
        }
        let path = path_in_tree(caller, &object)?;
        let grant = grant(caller, &object);
        let program = Image { elf: Elf::read(&file)?, file };
        let loader = program.elf.loader.as_ref().map(|path| loader(caller, path)).transpose()?;
        let file = named(caller, called.to_bytes())?;
        return Ok(Program { file, arguments, path, grant, start: Start { called, program, loader } });
    }
    Err(Errno::LOOP)
}

/// The loader of a program, which has none itself.
fn loader(caller: &Caller<'_>, path: &[u8]) -> Result<Image, Errno> {
    let object = caller.object(libc::AT_FDCWD, path, Last::Follow, WHICH)?;
    let file = open(caller, &object)?;
    let elf = Elf::read(&file);
    Ok(Image { elf: elf.map_err(|error| if error == Errno::NOEXEC { Errno::LIBBAD } else { error })?, file })
}

/// Opens a file that may be executed.
fn open(caller: &Caller<'_>, object: &Object) -> Result<File, Errno> {
    let seen = caller.supervisor.seen(object.stat);
    if file_type(&seen) != libc::S_IFREG {
        return Err(Errno::ACCESS);
    }
    access::check(&caller.task.credentials(), &seen, access::EXECUTE)?;
    Ok(reopen(object.fd.as_fd(), OFlags::RDONLY | OFlags::CLOEXEC)?.into())
}

/// The path of a file in the tree, or what stands for it if it has none, as in `/proc/self/exe`.
fn path_in_tree(caller: &Caller<'_>, object: &Object) -> Result<Vec<u8>, Errno> {
    let host = proc::link_of(object.fd.as_fd())?;
    Ok(caller.supervisor.areas.seen(&host).map_or(host, |(_, path)| path))
}

fn grant(caller: &Caller<'_>, object: &Object) -> Grant {
    let seen = caller.supervisor.seen(object.stat);
    let owners = lock(&caller.supervisor.owners);
    let entry = owners.get(identity(&object.stat));
    Grant {
        uid: (seen.st_mode & libc::S_ISUID != 0).then_some(seen.st_uid),
        // Without the group's right to execute the bit means something else.
        gid: (seen.st_mode & (libc::S_ISGID | 0o010) == libc::S_ISGID | 0o010).then_some(seen.st_gid),
        capability: entry.and_then(|entry| entry.capability.clone()),
    }
}

/// The interpreter of a script, and its one argument.
fn first_line(head: &[u8]) -> Result<(CString, Option<CString>), Errno> {
    let line = head[2..head.len().min(FIRST_LINE)].split(|&byte| byte == b'\n').next().unwrap_or_default();
    let line = line.split(|&byte| byte == 0).next().unwrap_or_default().trim_ascii();
    let end = line.iter().position(|byte| matches!(byte, b' ' | b'\t')).unwrap_or(line.len());
    let (interpreter, rest) = line.split_at(end);
    let rest = rest.trim_ascii();
    if interpreter.is_empty() {
        return Err(Errno::NOEXEC);
    }
    Ok((text(interpreter)?, if rest.is_empty() { None } else { Some(text(rest)?) }))
}

fn text(bytes: &[u8]) -> Result<CString, Errno> {
    CString::new(bytes).map_err(|_| Errno::NOEXEC)
}

/// A path for the kernel that ends in the name that the process is to have: a link to the starter.
fn named(caller: &Caller<'_>, called: &[u8]) -> Result<CString, Errno> {
    let name = called.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    let link = caller.supervisor.programs.join(OsStr::from_bytes(&name[..name.len().min(NAME)]));
    match rustix::fs::symlink(std::path::Path::new("..").join(STARTER), &link) {
        Ok(()) | Err(Errno::EXIST) => text(link.as_os_str().as_bytes()),
        Err(error) => Err(error),
    }
}

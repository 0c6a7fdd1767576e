//! Programs: what an execve is to do, found out as the kernel would: scripts, loaders, set-id bits. execve(2)

use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;

use nix::libc;
use rustix::fs::OFlags;
use rustix::io::Errno;

use super::access;
use super::credentials::Grant;
use super::machine;
use super::proc;
use super::resolve::{Last, Object, WHICH, reopen};
use super::supervisor::{Caller, file_type, identity};
use super::task::{Running, lock};

/// How deep scripts may be the interpreters of scripts.
const SCRIPTS: u32 = 5;
/// How much of a script's first line counts (`BINPRM_BUF_SIZE`).
const FIRST_LINE: usize = 256;
/// Program headers are looked for in so many bytes at the beginning of a file.
const HEADERS: usize = 4096;
/// How much of a loader is searched for its options.
const LOADER: u64 = 4 << 20;
/// The longest name that a task has (`TASK_COMM_LEN`, less its end).
const NAME: usize = 15;

/// What the kernel is to execute.
#[derive(Debug)]
pub(super) struct Program {
    /// The file, by its path on this machine.
    pub(super) file: CString,
    /// What takes the place of the first arguments: that many of them.
    pub(super) replaces: usize,
    pub(super) arguments: Vec<Argument>,
    /// The program itself, which the file may only be the loader of.
    pub(super) program: Running,
    pub(super) grant: Grant,
}

/// An argument in the place of others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Argument {
    /// This text.
    Text(CString),
    /// The first argument of the call, where it is.
    First,
}

impl Argument {
    /// How many bytes it takes.
    pub(super) fn length(&self) -> usize {
        match self {
            Argument::Text(text) => text.to_bytes_with_nul().len(),
            Argument::First => 1,
        }
    }
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
        caller.object(at, path, last, WHICH)?
    };
    let mut arguments = Vec::new();
    let mut replaces = 0;
    // The kernel names a process after the file of the call, also if that is a script.
    let name = file_name(&invoked).to_vec();
    for _ in 0..=SCRIPTS {
        let file = open(caller, &object)?;
        let mut head = [0; HEADERS];
        let length = read_head(&file, &mut head)?;
        let head = &head[..length];
        if head.starts_with(b"#!") {
            let (interpreter, argument) = first_line(head)?;
            let mut new = vec![Argument::Text(interpreter.clone())];
            new.extend(argument.map(Argument::Text));
            new.push(Argument::Text(text(&invoked)?));
            new.extend(arguments.drain(..).skip(1));
            arguments = new;
            replaces = 1;
            invoked = interpreter.to_bytes().to_vec();
            object = caller.object(libc::AT_FDCWD, &invoked, Last::Follow, WHICH)?;
            continue;
        }
        let (host, seen) = paths(caller, &object)?;
        let program = Running { path: seen.clone(), file: Some(identity(&object.stat)) };
        let grant = grant(caller, &object);
        let Some(loader) = loader(&file, head)? else {
            return Ok(Program {
                file: named(caller, &name, &object, &host)?,
                replaces,
                arguments,
                program,
                grant,
            });
        };
        let loader = caller.object(libc::AT_FDCWD, &loader, Last::Follow, WHICH)?;
        let loader_file = open(caller, &loader)?;
        let (loader_host, _) = paths(caller, &loader)?;
        let first = if replaces == 0 { Argument::First } else { arguments.remove(0) };
        let mut new = vec![Argument::Text(text(b"ld.so")?)];
        if takes_name(caller, &loader, &loader_file)? {
            new.extend([Argument::Text(text(b"--argv0")?), first]);
        }
        new.push(Argument::Text(text(&caller.inside(seen))?));
        new.append(&mut arguments);
        return Ok(Program {
            file: named(caller, &name, &loader, &loader_host)?,
            replaces: 1,
            arguments: new,
            program,
            grant,
        });
    }
    Err(Errno::LOOP)
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

/// The paths of a file on this machine and in the tree. A file without a name can be executed by its descriptor only,
/// which we cannot pass on.
fn paths(caller: &Caller<'_>, object: &Object) -> Result<(Vec<u8>, Vec<u8>), Errno> {
    let host = proc::link_of(object.fd.as_fd())?;
    let (_, seen) = caller.supervisor.areas.seen(&host).ok_or(Errno::ACCESS)?;
    Ok((host, seen))
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

fn read_head(file: &File, head: &mut [u8]) -> Result<usize, Errno> {
    file.read_at(head, 0).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
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

/// The loader that a program asks for in its `PT_INTERP` header; `None` for one without. elf(5)
fn loader(file: &File, head: &[u8]) -> Result<Option<Vec<u8>>, Errno> {
    const PT_INTERP: u64 = 3;
    // 64 bits, little-endian, for this machine: others are refused.
    if !head.starts_with(b"\x7fELF\x02\x01") || number(head, 18, 2)? != u64::from(machine::ELF_MACHINE) {
        return Err(Errno::NOEXEC);
    }
    let (headers, size, count) = (number(head, 32, 8)?, number(head, 54, 2)?, number(head, 56, 2)?);
    for index in 0..count {
        let header = usize::try_from(headers + index * size).map_err(|_| Errno::NOEXEC)?;
        if number(head, header, 4)? == PT_INTERP {
            let offset = number(head, header.saturating_add(8), 8)?;
            let length = usize::try_from(number(head, header.saturating_add(32), 8)?).unwrap_or(usize::MAX);
            if !(2..=libc::PATH_MAX as usize).contains(&length) {
                return Err(Errno::NOEXEC);
            }
            let mut path = vec![0; length];
            file.read_exact_at(&mut path, offset).map_err(|_| Errno::NOEXEC)?;
            path.truncate(path.iter().position(|&byte| byte == 0).ok_or(Errno::NOEXEC)?);
            return Ok(Some(path));
        }
    }
    Ok(None)
}

fn number(bytes: &[u8], at: usize, length: usize) -> Result<u64, Errno> {
    let bytes = bytes.get(at..at.saturating_add(length)).ok_or(Errno::NOEXEC)?;
    Ok(bytes.iter().rev().fold(0, |sum, &byte| sum << 8 | u64::from(byte)))
}

/// Whether a loader has the option `--argv0` (glibc 2.33, musl 1.2): without it a program learns its path instead of the
/// name it was called by.
fn takes_name(caller: &Caller<'_>, object: &Object, loader: &File) -> Result<bool, Errno> {
    let version = (identity(&object.stat), object.stat.st_ctime, object.stat.st_ctime_nsec);
    if let Some(takes) = lock(&caller.supervisor.loaders).get(&version) {
        return Ok(*takes);
    }
    let mut bytes = Vec::new();
    loader.take(LOADER).read_to_end(&mut bytes).map_err(|_| Errno::IO)?;
    let takes = bytes.windows(5).any(|window| window == b"argv0");
    let mut loaders = lock(&caller.supervisor.loaders);
    // An image has one or two.
    if loaders.len() >= 64 {
        loaders.clear();
    }
    loaders.insert(version, takes);
    Ok(takes)
}

/// A path for the kernel that ends in the name that the process is to have: a link to the file.
fn named(caller: &Caller<'_>, name: &[u8], object: &Object, host: &[u8]) -> Result<CString, Errno> {
    let name = &name[..name.len().min(NAME)];
    if name.is_empty() || file_name(host) == name {
        return text(host);
    }
    let (device, inode) = identity(&object.stat);
    let programs = &caller.supervisor.programs;
    let directory = programs.join(format!("{device}-{inode}"));
    let link = directory.join(OsStr::from_bytes(name));
    let io = |error: std::io::Error| Errno::from_io_error(&error).unwrap_or(Errno::IO);
    match std::fs::read_link(&link) {
        Ok(found) if found.as_os_str().as_bytes() == host => {}
        Ok(_) => {
            std::fs::remove_file(&link).map_err(io)?;
            std::os::unix::fs::symlink(Path::new(OsStr::from_bytes(host)), &link).map_err(io)?;
        }
        Err(_) => {
            std::fs::create_dir_all(&directory).map_err(io)?;
            match std::os::unix::fs::symlink(Path::new(OsStr::from_bytes(host)), &link) {
                Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(io(error)),
                _ => {}
            }
        }
    }
    text(link.as_os_str().as_bytes())
}

fn file_name(path: &[u8]) -> &[u8] {
    path.rsplit(|&byte| byte == b'/').next().unwrap_or_default()
}

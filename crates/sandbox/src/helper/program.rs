//! The program: the last steps in the process that becomes it. No error here is ours to report as ours: it is told
//! apart from the program's own exit code by being reported at all.

use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use nix::libc;
use nix::unistd::{AccessFlags, execve};
use rustix::fs::Mode;
use rustix::process::{Signal, set_parent_process_death_signal};
use rustix::thread::{Gid, Uid, set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use super::{Helper, capabilities};
use crate::failure::{During, Failure};
use crate::isolation::{ExecError, ExecErrorKind};
use crate::job::Report;
use crate::process::{Process, User};
use crate::sys::{self, Close};

/// Where programs are looked up when the environment has no `PATH`; Docker's default.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How much of a script is read to name its interpreter; the kernel reads as much (`BINPRM_BUF_SIZE`).
const FIRST_LINE: usize = 256;

/// Becomes the program of `process`; the root is `/` already. Returns only if that fails.
pub(crate) fn become_program(helper: &Helper, process: &Process) -> Result<(), Failure> {
    rustix::process::setsid().during("setsid")?;
    sys::reset_signals();
    rustix::stdio::dup2_stdin(File::open("/dev/null").during("open /dev/null in the root")?)
        .during("redirect standard input")?;
    rustix::process::umask(Mode::from_raw_mode(0o022));
    let entered = enter(&process.cwd);
    switch_user(&process.user)?;
    // What follows a change of credentials, which resets it: the program dies with its supervisor.
    set_parent_process_death_signal(Some(Signal::KILL)).during("PR_SET_PDEATHSIG")?;
    sys::close_from_three(Close::OnExec).during("close_range")?;
    let error = match entered {
        Err(kind) => error_of(process, kind),
        Ok(()) => exec(process),
    };
    helper.report(&Report::Exec(error));
    Ok(())
}

/// Changes the directory, and makes sure that it lies in the root: a working directory like `/proc/self/fd/7` could
/// be a way out (CVE-2024-21626).
fn enter(cwd: &Path) -> Result<(), ExecErrorKind> {
    let failed = |errno| ExecErrorKind::WorkingDirectory { dir: cwd.display().to_string(), errno };
    std::env::set_current_dir(cwd).map_err(|error| failed(error.raw_os_error().unwrap_or_default()))?;
    nix::unistd::getcwd().map(drop).map_err(|errno| failed(errno as i32))
}

fn switch_user(user: &User) -> Result<(), Failure> {
    let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
    let groups: Vec<Gid> = user.groups.iter().copied().map(Gid::from_raw).collect();
    // So that the user may open /dev/stdout and /dev/stderr. A container that shares them with others may refuse.
    let _ = rustix::fs::fchown(rustix::stdio::stdout(), Some(uid), Some(gid));
    let _ = rustix::fs::fchown(rustix::stdio::stderr(), Some(uid), Some(gid));
    set_thread_groups(&groups).during("setgroups")?;
    set_thread_res_gid(gid, gid, gid).during(format_args!("setresgid {}", user.gid))?;
    set_thread_res_uid(uid, uid, uid).during(format_args!("setresuid {}", user.uid))?;
    capabilities::limit_to_user(user.uid)
}

/// Executes the program; the reason if that is not possible.
fn exec(process: &Process) -> ExecError {
    let Some(program) = process.argv.first() else {
        return ExecError { program: String::new(), kind: ExecErrorKind::NotFound };
    };
    let path = match find(program, process) {
        Ok(path) => path,
        Err(kind) => return error_of(process, kind),
    };
    let c_string = |text: &OsStr| CString::new(text.as_bytes());
    let argv: Result<Vec<_>, _> = process.argv.iter().map(|text| c_string(text)).collect();
    let env: Result<Vec<_>, _> = process
        .env
        .iter()
        .map(|(name, value)| CString::new([name.as_bytes(), b"=", value.as_bytes()].concat()))
        .collect();
    let (Ok(file), Ok(argv), Ok(env)) = (c_string(path.as_os_str()), argv, env) else {
        return error_of(process, ExecErrorKind::Other(libc::EINVAL));
    };
    let Err(errno) = execve(&file, &argv, &env);
    error_of(process, explain(&path, errno as i32))
}

fn error_of(process: &Process, kind: ExecErrorKind) -> ExecError {
    let program = process.argv.first().map(|word| word.to_string_lossy().into_owned());
    ExecError { program: program.unwrap_or_default(), kind }
}

/// Looks the program up as a shell would: a name with a slash is a path, any other is looked for in `PATH`.
fn find(program: &OsStr, process: &Process) -> Result<PathBuf, ExecErrorKind> {
    if program.as_bytes().contains(&b'/') {
        return Ok(program.into());
    }
    let path = process.env.iter().rev().find(|(name, _)| name == "PATH").map(|(_, value)| value.as_os_str());
    let path = path.unwrap_or(OsStr::new(DEFAULT_PATH));
    let mut forbidden = false;
    for directory in std::env::split_paths(path) {
        let candidate = Path::new(".").join(directory).join(program);
        match candidate.metadata() {
            Ok(found) if found.is_file() && nix::unistd::eaccess(&candidate, AccessFlags::X_OK).is_ok() => {
                return Ok(candidate);
            }
            Ok(found) => forbidden |= found.is_file(),
            Err(_) => {}
        }
    }
    if forbidden {
        Err(ExecErrorKind::NotExecutable)
    } else {
        Err(ExecErrorKind::NotInPath(path.to_string_lossy().into_owned()))
    }
}

/// What an error number of execve means for the file at `path`.
fn explain(path: &Path, errno: i32) -> ExecErrorKind {
    match (errno, path.metadata()) {
        (_, Ok(found)) if found.is_dir() => ExecErrorKind::Directory,
        (libc::ENOENT | libc::ENOTDIR, Err(_)) => ExecErrorKind::NotFound,
        // The file exists, so it is what the file asks for that does not.
        (libc::ENOENT, Ok(_)) => ExecErrorKind::NoInterpreter(interpreter(path).unwrap_or_default()),
        (libc::EACCES, _) => ExecErrorKind::NotExecutable,
        (libc::ENOEXEC, _) => ExecErrorKind::Format,
        (errno, _) => ExecErrorKind::Other(errno),
    }
}

/// The interpreter that a script's first line names, or the loader of an ELF program.
fn interpreter(path: &Path) -> io::Result<String> {
    let mut head = Vec::new();
    let file = File::open(path)?;
    if file.metadata()?.file_type().is_fifo() {
        return Ok(String::new());
    }
    file.take(4096).read_to_end(&mut head)?;
    let text = match head.strip_prefix(b"#!") {
        Some(line) => {
            let line = &line[..line.len().min(FIRST_LINE)];
            let line = line.split(|&byte| byte == b'\n').next().unwrap_or_default();
            line.trim_ascii_start().split(u8::is_ascii_whitespace).next().unwrap_or_default().to_vec()
        }
        None => elf_interpreter(&head).unwrap_or_default(),
    };
    Ok(std::ffi::OsString::from_vec(text).to_string_lossy().into_owned())
}

/// The path in the `PT_INTERP` header of a 64-bit little-endian program. elf(5).
fn elf_interpreter(head: &[u8]) -> Option<Vec<u8>> {
    const PT_INTERP: u64 = 3;
    let number = |at: usize, length: usize| {
        let bytes = head.get(at..at.checked_add(length)?)?;
        bytes.iter().rev().try_fold(0u64, |sum, &byte| Some(sum << 8 | u64::from(byte)))
    };
    if !head.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let (headers, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
    for index in 0..count {
        let header = usize::try_from(headers.checked_add(index * size)?).ok()?;
        if number(header, 4)? == PT_INTERP {
            let start = usize::try_from(number(header.checked_add(8)?, 8)?).ok()?;
            let length = usize::try_from(number(header.checked_add(32)?, 8)?).ok()?;
            let path = head.get(start..start.checked_add(length)?)?;
            return Some(path.strip_suffix(b"\0").unwrap_or(path).to_vec());
        }
    }
    None
}

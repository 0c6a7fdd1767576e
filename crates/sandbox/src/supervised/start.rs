//! Starting: how a process becomes another program without the kernel opening a file of the tree.
//!
//! What the kernel executes is a program of ours, the starter, whose path ends in the name that the process is to have. It
//! is stopped before its first instruction; then what it has to do is written into its memory, and the auxiliary vector
//! on its stack is changed to what the kernel would have said of the program itself. It maps the program and its loader,
//! whose files it is given as the first that it opens, and goes on as either. So names, arguments and everything that a
//! program can ask for are those of a native exec, and what was found to be allowed is what runs. getauxval(3)

use std::ffi::CString;
use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nix::libc;
use rustix::io::Errno;

use super::credentials::Credentials;
use super::elf::{self, Elf, PF_R, PF_W, PF_X, PT_GNU_STACK, PT_LOAD, Segment};
use super::memory::Memory;
use crate::sys::starter::{self, CODE, GO, Special, TABLE, ZERO};

/// How long the table may be, and with it the path behind it.
const DATA: u64 = 0x8000;
/// Where the path is.
const PATH: u64 = TABLE + DATA - PATH_MAX;
const PATH_MAX: u64 = libc::PATH_MAX as u64;
/// As many variables as fit into what the kernel takes of a stack of 8 MiB.
const VARIABLES: usize = 256 * 1024;
/// Right below the starter there may be what the kernel gives every process. vdso(7)
const CLEAR: u64 = 2 << 20;
/// The smallest page of any machine.
const PAGE: u64 = 4096;
/// The auxiliary vector has some twenty entries.
const ENTRIES: usize = 64;
/// The program and its loader are so many bytes away from each other at most, at random.
const APART: u64 = 1 << 30;

/// A file to be loaded.
#[derive(Debug)]
pub(super) struct Image {
    pub(super) file: File,
    pub(super) elf: Elf,
}

/// A program to be started.
#[derive(Debug)]
pub(super) struct Start {
    /// What it was called by: `AT_EXECFN`.
    pub(super) called: CString,
    pub(super) program: Image,
    pub(super) loader: Option<Image>,
}

/// Writes the starter, as a file that can be executed. elf(5)
pub(super) fn write_starter(path: &Path) -> std::io::Result<()> {
    let code = starter::code();
    let length = CODE + code.len() as u64;
    // A program that can be anywhere, and has no loader: code, and data with a byte of its own.
    let headers = [
        [PT_LOAD, PF_R | PF_X, 0, 0, length, length],
        [PT_LOAD, PF_R | PF_W, TABLE, TABLE, 1, DATA],
        [PT_GNU_STACK, PF_R | PF_W, 0, 0, 0, 0],
    ];
    let mut bytes = elf::beginning(elf::MOVABLE, CODE, &headers);
    bytes.extend(code);
    bytes.resize(usize::try_from(TABLE).unwrap_or_default() + 1, 0);
    fs::write(path, bytes)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

impl Start {
    /// The files that the starter opens, in the order in which it does.
    pub(super) fn into_files(self) -> Vec<OwnedFd> {
        let loader = self.loader.map(|loader| loader.file.into());
        std::iter::once(self.program.file.into()).chain(loader).collect()
    }

    /// Tells a process what to do that has just executed the starter, and whose stack begins at `stack`.
    pub(super) fn tell(&self, memory: Memory, stack: u64, who: &Credentials) -> Result<(), Errno> {
        let (at, mut vector) = read_vector(memory, stack)?;
        let value = |kind: u64| vector.iter().find(|[key, _]| *key == kind).map(|[_, value]| *value);
        let page = value(libc::AT_PAGESZ).ok_or(Errno::NOEXEC)?;
        let starter = value(libc::AT_ENTRY).ok_or(Errno::NOEXEC)?.wrapping_sub(CODE);
        // Another process of the RUN may have been at its memory already.
        if !page.is_power_of_two() || page < PAGE {
            return Err(Errno::NOEXEC);
        }
        for elf in self.loader.iter().chain([&self.program]).map(|image| &image.elf) {
            let (begin, end) = elf.extent();
            if !elf.is_movable && begin < starter.saturating_add(TABLE + DATA + page) && end > starter {
                return Err(Errno::NOEXEC);
            }
        }

        let mut below = Below { next: starter.saturating_sub(CLEAR), page };
        let mut steps = Steps { words: Vec::new(), page };
        let loader = match &self.loader {
            Some(loader) => Some((below.place(&loader.elf)?, &loader.elf)),
            None => None,
        };
        let base = below.place(&self.program.elf)?;
        steps.load(base, &self.program.elf);
        if let Some((base, elf)) = loader {
            steps.load(base, elf);
        }
        if self.program.elf.executes_stack {
            let protection = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC | libc::PROT_GROWSDOWN;
            let arguments = [stack / page * page, page, protection as u64, 0, 0, 0];
            steps.call(libc::SYS_mprotect, arguments, Special::Nothing);
        }
        let entry = |base: u64, elf: &Elf| base.wrapping_add(elf.entry);
        let program = &self.program.elf;
        steps.words.extend([GO, loader.map_or(entry(base, program), |(base, elf)| entry(base, elf))]);

        let path = starter.wrapping_add(PATH);
        let table: Vec<u8> = steps.words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let called = self.called.to_bytes_with_nul();
        if table.len() as u64 > PATH - TABLE || called.len() as u64 > PATH_MAX {
            return Err(Errno::NOEXEC);
        }
        let is_other = who.uid.real != who.uid.effective || who.gid.real != who.gid.effective;
        let has_gained = who.uid.real != 0 && who.permitted & !who.ambient != 0;
        let headers = if program.headers == 0 { 0 } else { base.wrapping_add(program.headers) };
        for [key, value] in &mut vector {
            *value = match *key {
                libc::AT_PHDR => headers,
                libc::AT_PHNUM => program.header_count,
                libc::AT_BASE => loader.map_or(0, |(base, _)| base),
                libc::AT_ENTRY => entry(base, program),
                libc::AT_UID => who.uid.real.into(),
                libc::AT_EUID => who.uid.effective.into(),
                libc::AT_GID => who.gid.real.into(),
                libc::AT_EGID => who.gid.effective.into(),
                libc::AT_SECURE => u64::from(is_other || has_gained),
                libc::AT_EXECFN => path,
                _ => *value,
            };
        }
        let vector: Vec<u8> = vector.iter().flatten().flat_map(|word| word.to_le_bytes()).collect();
        memory.write(starter.wrapping_add(TABLE), &table)?;
        memory.write(path, called)?;
        memory.write(at, &vector)
    }
}

/// The auxiliary vector of a new process, up to its end: where it is, and its pairs. It comes after the arguments and the
/// variables, each of which a null ends.
fn read_vector(memory: Memory, stack: u64) -> Result<(u64, Vec<[u64; 2]>), Errno> {
    let count: u64 = memory.read_value(stack)?;
    let variables = count.checked_add(2).and_then(|words| stack.checked_add(words.checked_mul(8)?));
    let variables = variables.ok_or(Errno::FAULT)?;
    let number = memory.read_pointers(variables, VARIABLES)?.len() as u64;
    let at = variables + 8 * (number + 1);
    let mut words = Vec::new();
    while words.len() < 2 * ENTRIES {
        // Behind the page there may be nothing.
        let address = at + 8 * words.len() as u64;
        let mut bytes = vec![0; usize::try_from(PAGE - address % PAGE).unwrap_or_default().min(512)];
        memory.read(address, &mut bytes)?;
        let more =
            bytes.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().expect("chunks of eight")));
        words.extend(more);
        let pairs = || words.chunks_exact(2).map(|pair| [pair[0], pair[1]]);
        if let Some(end) = pairs().position(|[key, _]| key == libc::AT_NULL) {
            return Ok((at, pairs().take(end).collect()));
        }
    }
    Err(Errno::NOEXEC)
}

/// The memory some way below the starter, where nothing is yet.
struct Below {
    next: u64,
    page: u64,
}

impl Below {
    /// A place: what has to be added to each address.
    fn place(&mut self, elf: &Elf) -> Result<u64, Errno> {
        if !elf.is_movable {
            return Ok(0);
        }
        let mut random = [0; 8];
        rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())?;
        let alignment = elf.alignment().max(self.page);
        let (begin, end) = elf.extent();
        let begin = begin / alignment * alignment;
        let space = end - begin + self.page + u64::from_le_bytes(random) % APART;
        let place = self.next.checked_sub(space).ok_or(Errno::NOMEM)? / alignment * alignment;
        self.next = place;
        Ok(place.wrapping_sub(begin))
    }
}

/// The table of what the starter is to do.
struct Steps {
    words: Vec<u64>,
    page: u64,
}

impl Steps {
    fn call(&mut self, number: i64, arguments: [u64; 6], special: Special) {
        self.words.push(number.cast_unsigned());
        self.words.extend(arguments);
        self.words.push(special as u64);
    }

    /// Loads the file that is opened next.
    fn load(&mut self, base: u64, elf: &Elf) {
        self.call(libc::SYS_openat, [0; 6], Special::Keep);
        for (index, segment) in elf.segments.iter().enumerate() {
            // Later ones may begin on the page on which the one before ends.
            let fixed = if index == 0 { libc::MAP_FIXED_NOREPLACE } else { libc::MAP_FIXED };
            self.map(base, segment, libc::MAP_PRIVATE | fixed);
        }
        self.call(libc::SYS_close, [0; 6], Special::FirstIsKept);
    }

    fn map(&mut self, base: u64, segment: &Segment, flags: i32) {
        if segment.in_memory == 0 {
            return;
        }
        let page = self.page;
        let address = base.wrapping_add(segment.address);
        let into_page = address % page;
        let (begin, end) = (address - into_page, address.wrapping_add(segment.in_memory));
        let (mut mapped, mut flags) = (begin, flags);
        let protection = segment.protection as u64;
        if segment.in_file > 0 {
            let file_end = address.wrapping_add(segment.in_file);
            mapped = file_end.next_multiple_of(page);
            let offset = segment.offset.wrapping_sub(into_page);
            let arguments = [begin, mapped - begin, protection, flags as u64, 0, offset];
            self.call(libc::SYS_mmap, arguments, Special::FifthIsKept);
            flags = libc::MAP_PRIVATE | libc::MAP_FIXED;
            // The rest of the page is the file's, and is to be zero where anybody could have counted on that.
            let rest = mapped - file_end;
            if end > file_end && rest > 0 && segment.protection & libc::PROT_WRITE != 0 {
                self.words.extend([ZERO, file_end, rest, 0, 0, 0, 0, 0]);
            }
        }
        if end > mapped {
            let flags = flags | libc::MAP_ANONYMOUS;
            let length = end.next_multiple_of(page) - mapped;
            let arguments = [mapped, length, protection, flags as u64, u64::MAX, 0];
            self.call(libc::SYS_mmap, arguments, Special::Nothing);
        }
    }
}

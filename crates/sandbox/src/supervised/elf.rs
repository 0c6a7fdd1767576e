//! ELF: what has to be known of a program's file to load it. elf(5)

use std::fs::File;
use std::os::unix::fs::FileExt;

use nix::libc;
use rustix::io::Errno;

use super::machine;

/// Most files have their program headers in so many bytes at the beginning.
const HEAD: usize = 4096;
/// The length of a program header.
const PROGRAM_HEADER: usize = 56;
/// No program is known to have more to be loaded.
const SEGMENTS: usize = 64;
/// `ET_EXEC`, `ET_DYN`.
pub(super) const FIXED: u64 = 2;
pub(super) const MOVABLE: u64 = 3;
/// Types of program headers.
pub(super) const PT_LOAD: u64 = 1;
const PT_INTERP: u64 = 3;
pub(super) const PT_GNU_STACK: u64 = 0x6474_e551;
/// Flags of program headers.
pub(super) const PF_X: u64 = 1;
pub(super) const PF_W: u64 = 2;
pub(super) const PF_R: u64 = 4;

/// A program, or a loader of programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Elf {
    /// It can be anywhere in memory. Addresses are from its beginning then.
    pub(super) is_movable: bool,
    /// Where it begins to run.
    pub(super) entry: u64,
    /// Where its program headers are in memory, and how many; 0 if they are not.
    pub(super) headers: u64,
    pub(super) header_count: u64,
    /// What is to be loaded, by address.
    pub(super) segments: Vec<Segment>,
    /// The path of the loader it asks for.
    pub(super) loader: Option<Vec<u8>>,
    /// It wants a stack that can be executed.
    pub(super) executes_stack: bool,
}

/// A part of the memory of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) address: u64,
    /// Where it begins in the file, so many bytes of which it has.
    pub(super) offset: u64,
    pub(super) in_file: u64,
    /// Its whole length. What the file does not have is zero.
    pub(super) in_memory: u64,
    /// As mmap(2) wants it.
    pub(super) protection: i32,
    pub(super) alignment: u64,
}

impl Elf {
    /// Reads what a file says. ENOEXEC for what is no program of this machine.
    pub(super) fn read(file: &File) -> Result<Self, Errno> {
        let mut head = [0; HEAD];
        let length = read_head(file, &mut head)?;
        let head = &head[..length];
        let kind = number(head, 16, 2)?;
        let is_ours =
            head.starts_with(b"\x7fELF\x02\x01") && number(head, 18, 2)? == u64::from(machine::ELF_MACHINE);
        if !is_ours || !matches!(kind, FIXED | MOVABLE) || number(head, 54, 2)? != PROGRAM_HEADER as u64 {
            return Err(Errno::NOEXEC);
        }
        let (at, count) = (number(head, 32, 8)?, number(head, 56, 2)?);
        let mut headers = vec![0; usize::try_from(count).map_err(|_| Errno::NOEXEC)? * PROGRAM_HEADER];
        match usize::try_from(at).ok().and_then(|at| head.get(at..at.checked_add(headers.len())?)) {
            Some(found) => headers.copy_from_slice(found),
            None => file.read_exact_at(&mut headers, at).map_err(|_| Errno::NOEXEC)?,
        }
        let mut elf = Elf {
            is_movable: kind == MOVABLE,
            entry: number(head, 24, 8)?,
            headers: 0,
            header_count: count,
            segments: Vec::new(),
            loader: None,
            executes_stack: false,
        };
        for header in headers.chunks_exact(PROGRAM_HEADER) {
            match number(header, 0, 4)? {
                PT_LOAD => {
                    let segment = segment(header)?;
                    if (segment.offset..segment.offset + segment.in_file).contains(&at) {
                        elf.headers = at - segment.offset + segment.address;
                    }
                    elf.segments.push(segment);
                }
                PT_INTERP if elf.loader.is_none() => elf.loader = Some(loader(file, header)?),
                PT_GNU_STACK => elf.executes_stack = number(header, 4, 4)? & PF_X != 0,
                _ => {}
            }
        }
        let is_sorted = elf.segments.is_sorted_by_key(|segment| segment.address);
        if elf.segments.is_empty() || elf.segments.len() > SEGMENTS || !is_sorted {
            return Err(Errno::NOEXEC);
        }
        Ok(elf)
    }

    /// From where to where its memory reaches, before it is moved.
    pub(super) fn extent(&self) -> (u64, u64) {
        let begin = self.segments.first().map_or(0, |segment| segment.address);
        let end = self.segments.iter().map(|segment| segment.address + segment.in_memory).max();
        (begin, end.unwrap_or(begin))
    }

    /// What its address is to be a multiple of.
    pub(super) fn alignment(&self) -> u64 {
        self.segments.iter().map(|segment| segment.alignment).max().unwrap_or(1)
    }
}

fn segment(header: &[u8]) -> Result<Segment, Errno> {
    let flags = number(header, 4, 4)?;
    let protection = [(PF_R, libc::PROT_READ), (PF_W, libc::PROT_WRITE), (PF_X, libc::PROT_EXEC)];
    let alignment = number(header, 48, 8)?;
    let segment = Segment {
        offset: number(header, 8, 8)?,
        address: number(header, 16, 8)?,
        in_file: number(header, 32, 8)?,
        in_memory: number(header, 40, 8)?,
        protection: protection.iter().filter(|(flag, _)| flags & flag != 0).map(|(_, bit)| bit).sum(),
        alignment: if alignment.is_power_of_two() { alignment } else { 1 },
    };
    // Far below the end of all addresses, so that sums of them are addresses too.
    const LIMIT: u64 = 1 << 48;
    let fits = [segment.offset, segment.address, segment.in_memory, segment.alignment]
        .iter()
        .all(|&number| number < LIMIT);
    if !fits || segment.in_file > segment.in_memory { Err(Errno::NOEXEC) } else { Ok(segment) }
}

fn loader(file: &File, header: &[u8]) -> Result<Vec<u8>, Errno> {
    let length = usize::try_from(number(header, 32, 8)?).unwrap_or(usize::MAX);
    if !(2..=libc::PATH_MAX as usize).contains(&length) {
        return Err(Errno::NOEXEC);
    }
    let mut path = vec![0; length];
    file.read_exact_at(&mut path, number(header, 8, 8)?).map_err(|_| Errno::NOEXEC)?;
    path.truncate(path.iter().position(|&byte| byte == 0).ok_or(Errno::NOEXEC)?);
    Ok(path)
}

/// The beginning of a program of ours, up to where its code is. Of each program header: type, flags, where it is in the file,
/// its address, and its lengths in the file and in memory.
pub(super) fn beginning(kind: u64, entry: u64, headers: &[[u64; 6]]) -> Vec<u8> {
    const HEADER: u64 = 64;
    let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
    bytes.resize(16, 0);
    let mut push = |number: u64, length: usize| bytes.extend(&number.to_le_bytes()[..length]);
    push(kind, 2);
    push(machine::ELF_MACHINE.into(), 2);
    push(1, 4);
    [entry, HEADER, 0].into_iter().for_each(|number| push(number, 8));
    push(0, 4);
    let count = headers.len() as u64;
    [HEADER, PROGRAM_HEADER as u64, count, 0, 0, 0].into_iter().for_each(|number| push(number, 2));
    for &[kind, flags, offset, address, in_file, in_memory] in headers {
        push(kind, 4);
        push(flags, 4);
        let rest = [offset, address, address, in_file, in_memory, machine::PAGE_MAX];
        rest.into_iter().for_each(|number| push(number, 8));
    }
    bytes
}

/// Reads the beginning of a file, as much as there is.
pub(super) fn read_head(file: &File, head: &mut [u8]) -> Result<usize, Errno> {
    file.read_at(head, 0).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
}

fn number(bytes: &[u8], at: usize, length: usize) -> Result<u64, Errno> {
    let bytes = bytes.get(at..at.saturating_add(length)).ok_or(Errno::NOEXEC)?;
    Ok(bytes.iter().rev().fold(0, |sum, &byte| sum << 8 | u64::from(byte)))
}

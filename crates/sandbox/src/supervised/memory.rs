//! Memory: what a child's pointers point to. Every length is bounded, and everything is copied once.

use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, IoSliceMut};
use std::os::unix::fs::FileExt;

use nix::errno::Errno as Refusal;
use nix::sys::uio::{RemoteIoVec, process_vm_readv, process_vm_writev};
use nix::unistd::Pid;
use rustix::io::Errno;

use crate::sys::plain::{self, Plain};

/// The longest path with its end, as in `linux/limits.h`.
const PATH_MAX: usize = 4096;
/// Reads stop at the ends of pages, behind which there may be nothing.
const PAGE: usize = 4096;

/// Whether the calls for it are refused by a container's list, which the child's memory as a file is not on.
fn is_refused(error: Refusal) -> bool {
    matches!(error, Refusal::EPERM | Refusal::ENOSYS)
}

/// The memory of one thread's address space.
#[derive(Debug, Clone, Copy)]
pub(super) struct Memory(pub(super) i32);

impl Memory {
    fn pid(self) -> Pid {
        Pid::from_raw(self.0)
    }

    /// Copies bytes; as many as are asked for, or EFAULT.
    pub(super) fn read(self, address: u64, into: &mut [u8]) -> Result<(), Errno> {
        if into.is_empty() {
            return Ok(());
        }
        let length = into.len();
        let base = usize::try_from(address).map_err(|_| Errno::FAULT)?;
        let remote = [RemoteIoVec { base, len: length }];
        match process_vm_readv(self.pid(), &mut [IoSliceMut::new(into)], &remote) {
            Ok(copied) if copied == length => Ok(()),
            Err(error) if is_refused(error) => {
                self.file(File::options().read(true), |memory| memory.read_exact_at(into, address))
            }
            _ => Err(Errno::FAULT),
        }
    }

    /// Does something with the memory as a file, which takes longer. proc_pid_mem(5)
    fn file(self, options: &OpenOptions, work: impl FnOnce(&File) -> io::Result<()>) -> Result<(), Errno> {
        let memory = options.open(format!("/proc/{}/mem", self.0));
        memory.and_then(|memory| work(&memory)).map_err(|_| Errno::FAULT)
    }

    /// Copies a value.
    pub(super) fn read_value<T: Plain>(self, address: u64) -> Result<T, Errno> {
        let mut bytes = vec![0; size_of::<T>()];
        self.read(address, &mut bytes)?;
        plain::from_bytes(&bytes).ok_or(Errno::FAULT)
    }

    /// Copies text up to its NUL: at most `limit` bytes with it.
    fn read_text(self, address: u64, limit: usize) -> Result<CString, Errno> {
        let mut text: Vec<u8> = Vec::with_capacity(256);
        let mut address = address;
        while text.len() < limit {
            let to_page_end = PAGE - usize::try_from(address % PAGE as u64).unwrap_or_default();
            // Most paths are short, and copying costs.
            let length = to_page_end.min(limit - text.len()).min(if text.is_empty() { 256 } else { PAGE });
            let begin = text.len();
            text.resize(begin + length, 0);
            self.read(address, &mut text[begin..])?;
            if let Some(end) = text[begin..].iter().position(|&byte| byte == 0) {
                text.truncate(begin + end);
                return Ok(CString::new(text).expect("it ends before its first NUL"));
            }
            address = address.checked_add(length as u64).ok_or(Errno::FAULT)?;
        }
        Err(Errno::NAMETOOLONG)
    }

    /// Copies a path.
    pub(super) fn read_path(self, address: u64) -> Result<CString, Errno> {
        self.read_text(address, PATH_MAX)
    }

    /// Copies the name of an attribute. xattr(7).
    pub(super) fn read_attribute_name(self, address: u64) -> Result<CString, Errno> {
        match self.read_text(address, 257) {
            Err(Errno::NAMETOOLONG) => Err(Errno::RANGE),
            Ok(name) if name.is_empty() => Err(Errno::RANGE),
            result => result,
        }
    }

    /// Copies pointers up to the null that ends them, at most `limit`.
    pub(super) fn read_pointers(self, address: u64, limit: usize) -> Result<Vec<u64>, Errno> {
        let mut pointers = Vec::new();
        if address == 0 {
            return Ok(pointers);
        }
        let mut address = address;
        let mut bytes = [0; 512];
        while pointers.len() < limit {
            let to_page_end = PAGE - usize::try_from(address % PAGE as u64).unwrap_or_default();
            let length = (to_page_end / 8 * 8).clamp(8, bytes.len());
            self.read(address, &mut bytes[..length])?;
            for pointer in bytes[..length].chunks_exact(8) {
                match u64::from_le_bytes(pointer.try_into().expect("chunks of eight")) {
                    0 => return Ok(pointers),
                    pointer => pointers.push(pointer),
                }
            }
            address = address.checked_add(length as u64).ok_or(Errno::FAULT)?;
        }
        Err(Errno::TOOBIG)
    }

    /// Writes bytes where the child itself could; as a file also to its own copy of what it may only read.
    pub(super) fn write(self, address: u64, bytes: &[u8]) -> Result<(), Errno> {
        if bytes.is_empty() {
            return Ok(());
        }
        let base = usize::try_from(address).map_err(|_| Errno::FAULT)?;
        let remote = [RemoteIoVec { base, len: bytes.len() }];
        match process_vm_writev(self.pid(), &[IoSlice::new(bytes)], &remote) {
            Ok(copied) if copied == bytes.len() => Ok(()),
            Err(error) if is_refused(error) => self.write_file(address, bytes),
            _ => Err(Errno::FAULT),
        }
    }

    fn write_file(self, address: u64, bytes: &[u8]) -> Result<(), Errno> {
        self.file(File::options().write(true), |memory| memory.write_all_at(bytes, address))
    }

    /// Writes a value.
    pub(super) fn write_value<T: Plain>(self, address: u64, value: &T) -> Result<(), Errno> {
        self.write(address, &plain::to_bytes(value))
    }

    /// Writes below a stack, which grows for it; [`Memory::write`] does not make it grow (Linux 6.5).
    pub(super) fn write_growing(self, address: u64, bytes: &[u8]) -> Result<(), Errno> {
        self.write(address, bytes).or_else(|_| self.write_file(address, bytes))
    }
}

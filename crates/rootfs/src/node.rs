//! Nodes: making one thing of every kind in an open directory, with everything a layer says of it.

use std::ffi::CStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use layer::{Content, Metadata};
use rustix::fs::{AtFlags, Dev, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::filler::{Filler, Unfilled};
use crate::ownership::Ownership;
use crate::root::open_child;
use crate::stat::times;
use crate::xattr;

/// Large files are copied in pieces of so many bytes.
const BUFFER: usize = 256 * 1024;

/// Makes nodes.
#[derive(Debug)]
pub(crate) struct NodeWriter {
    ownership: Ownership,
    buffer: Vec<u8>,
    filler: Option<Filler>,
}

/// Whether there is something at the name now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Made {
    Yes,
    Omitted,
}

impl NodeWriter {
    pub(crate) fn new(ownership: Ownership) -> Self {
        NodeWriter { ownership, buffer: Vec::new(), filler: None }
    }

    /// Waits until all is on disk.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        self.filler.take().map_or(Ok(()), |mut filler| filler.finish())
    }

    /// Makes a directory where nothing is.
    pub(crate) fn directory(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &CStr,
        metadata: &Metadata,
    ) -> io::Result<()> {
        rustix::fs::mkdirat(parent, name, Mode::RWXU)?;
        let directory = open_child(parent, name)?;
        self.describe(&directory, metadata)
    }

    /// Gives a directory that was there what a layer says of it.
    pub(crate) fn redescribe(&mut self, directory: impl AsFd, metadata: &Metadata) -> io::Result<()> {
        xattr::remove_others(&directory, &metadata.xattrs)?;
        self.describe(directory, metadata)
    }

    /// Makes anything but a directory where nothing is; else the error is `EEXIST` and no content was read.
    pub(crate) fn make(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &CStr,
        metadata: &Metadata,
        content: &mut Content<'_>,
    ) -> io::Result<Made> {
        let mode = Mode::from_raw_mode(metadata.mode & 0o7777);
        let device = match content {
            Content::Directory => {
                self.directory(parent, name, metadata)?;
                return Ok(Made::Yes);
            }
            Content::File { size, data } => {
                let flags =
                    OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let file = rustix::fs::openat(parent, name, flags, Mode::RUSR | Mode::WUSR)?;
                self.fill(File::from(file), name, *data, *size, metadata)?;
                return Ok(Made::Yes);
            }
            Content::Symlink { target } => {
                rustix::fs::symlinkat(*target, parent, name)?;
                self.ownership.describe_at(parent, name, metadata)?;
                return self.complete(parent, name, metadata);
            }
            Content::CharDevice { major, minor } => {
                (FileType::CharacterDevice, rustix::fs::makedev(*major, *minor))
            }
            Content::BlockDevice { major, minor } => {
                (FileType::BlockDevice, rustix::fs::makedev(*major, *minor))
            }
            Content::Fifo => (FileType::Fifo, 0),
        };
        // In an overlay's directory this node would mean that the name is gone.
        if device == (FileType::CharacterDevice, 0) {
            return match crate::Stat::at(parent, name) {
                Err(Errno::NOENT) => Ok(Made::Omitted),
                Err(other) => Err(other.into()),
                Ok(_) => Err(Errno::EXIST.into()),
            };
        }
        if self.ownership.make_device(parent, name, device, metadata)? {
            return self.complete(parent, name, metadata);
        }
        match mknod(parent, name, device, mode) {
            Ok(()) => {}
            // In a user namespace nobody may make devices.
            Err(Errno::PERM) => return Ok(Made::Omitted),
            Err(other) => return Err(other.into()),
        }
        self.ownership.describe_at(parent, name, metadata)?;
        self.complete(parent, name, metadata)
    }

    /// What a node without a descriptor of its own still wants.
    fn complete(&mut self, parent: BorrowedFd<'_>, name: &CStr, metadata: &Metadata) -> io::Result<Made> {
        // The attributes that images have are those of files and directories: the kernel refuses `user.*`
        // on everything else (xattr(7)).
        rustix::fs::utimensat(parent, name, &times((metadata.mtime, 0)), AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(Made::Yes)
    }

    fn describe(&mut self, file: impl AsFd, metadata: &Metadata) -> io::Result<()> {
        self.ownership.describe(file, metadata)
    }

    /// Small contents are read at once and written in the background; large ones are copied in pieces.
    fn fill(
        &mut self,
        mut file: File,
        name: &CStr,
        data: &mut dyn Read,
        size: u64,
        metadata: &Metadata,
    ) -> io::Result<()> {
        let Some(length) = usize::try_from(size).ok().filter(|length| *length <= BUFFER) else {
            self.copy(data, size, &mut file)?;
            return self.describe(OwnedFd::from(file), metadata);
        };
        let filler = self.filler.get_or_insert_with(|| Filler::start(self.ownership.clone()));
        let mut bytes = filler.buffer();
        bytes.resize(length, 0);
        data.read_exact(&mut bytes)?;
        filler.fill(Unfilled { name: name.to_owned(), file, bytes, metadata: metadata.clone() })
    }

    fn copy(&mut self, data: &mut dyn Read, size: u64, file: &mut File) -> io::Result<()> {
        if self.buffer.is_empty() {
            self.buffer.resize(BUFFER, 0);
        }
        let mut left = size;
        while left > 0 {
            let room = self.buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let mut filled = 0;
            // Readers give what they have; fewer and larger writes are cheaper.
            while filled < room {
                match data.read(&mut self.buffer[filled..room]) {
                    Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                    Ok(read) => filled += read,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            file.write_all(&self.buffer[..filled])?;
            left -= filled as u64;
        }
        Ok(())
    }
}

/// Makes the node by which overlayfs says that a name is gone, which needs no privilege.
pub(crate) fn overlay_whiteout(parent: impl AsFd, name: &CStr) -> io::Result<()> {
    Ok(mknod(parent.as_fd(), name, (FileType::CharacterDevice, 0), Mode::empty())?)
}

fn mknod(
    parent: BorrowedFd<'_>,
    name: &CStr,
    (file_type, device): (FileType, Dev),
    mode: Mode,
) -> rustix::io::Result<()> {
    rustix::fs::mknodat(parent, name, file_type, mode, device)
}

//! A transcript: changes as text, to compare two ways of finding them.

use std::io;

use layer::{Content, Metadata, Sink, TreePath};

/// A line for each change.
#[derive(Debug, Default)]
pub(crate) struct Transcript(Vec<String>);

impl Transcript {
    /// An error if the other says something else, with the first line that differs.
    pub(crate) fn compare(&self, by_log: &Transcript) -> io::Result<()> {
        if self.0 == by_log.0 {
            return Ok(());
        }
        let same = self.0.iter().zip(&by_log.0).take_while(|(one, other)| one == other).count();
        let line = |lines: &[String]| lines.get(same).cloned().unwrap_or_else(|| "the end".to_owned());
        Err(io::Error::other(format!(
            "the log of the run is wrong: a scan finds {}, the log leads to {}",
            line(&self.0),
            line(&by_log.0)
        )))
    }
}

impl Sink for Transcript {
    fn put(&mut self, path: &TreePath, metadata: &Metadata, content: Content<'_>) -> io::Result<()> {
        let content = match content {
            Content::Directory => "directory".to_owned(),
            Content::File { size, .. } => format!("file of {size} bytes"),
            Content::Symlink { target } => format!("link to {}", target.escape_ascii()),
            Content::CharDevice { major, minor } => format!("character device {major}:{minor}"),
            Content::BlockDevice { major, minor } => format!("block device {major}:{minor}"),
            Content::Fifo => "fifo".to_owned(),
        };
        self.0.push(format!("{path}: {content}, {metadata:?}"));
        Ok(())
    }

    fn link(&mut self, path: &TreePath, target: &TreePath) -> io::Result<()> {
        self.0.push(format!("{path}: another name of {target}"));
        Ok(())
    }

    fn remove(&mut self, path: &TreePath) -> io::Result<()> {
        self.0.push(format!("{path}: removed"));
        Ok(())
    }

    fn clear(&mut self, path: &TreePath) -> io::Result<()> {
        self.0.push(format!("{path}: emptied"));
        Ok(())
    }
}

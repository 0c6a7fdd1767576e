//! Look: the owner, the mode and the time of what is copied.

use dockerfile::ModeChange;
use layer::Metadata;

/// How copied things are to look.
#[derive(Debug, Clone, Default)]
pub(crate) struct Look {
    /// `--chown`; without it, what the source says (which for a context is root).
    pub(crate) owner: Option<(u32, u32)>,
    /// `--chmod`.
    pub(crate) mode: Option<ModeChange>,
    /// The time of what has no source.
    pub(crate) now: i64,
}

impl Look {
    /// What something of a source looks like at its destination.
    pub(crate) fn of(&self, mut metadata: Metadata, is_directory: bool) -> Metadata {
        if let Some((uid, gid)) = self.owner {
            (metadata.uid, metadata.gid) = (uid, gid);
        }
        if let Some(mode) = &self.mode {
            metadata.mode = mode.apply(metadata.mode, is_directory);
        }
        metadata
    }

    /// What a directory looks like that nobody asked for by name: 0755 and root's, or as `--chown` and an
    /// octal `--chmod` say, made now.
    pub(crate) fn of_new_directory(&self) -> Metadata {
        let mut metadata = Metadata { mode: 0o755, mtime: self.now, ..Metadata::default() };
        if let Some((uid, gid)) = self.owner {
            (metadata.uid, metadata.gid) = (uid, gid);
        }
        if let Some(ModeChange::Octal(mode)) = &self.mode {
            metadata.mode = *mode;
        }
        metadata
    }
}

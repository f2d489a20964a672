//! What goes wrong on a simulated disk at the bidding of a test, and what it counts.

use std::io;
use std::path::Path;

/// A kind of call to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Opening a file that exists.
    Open,
    /// Creating a file, by opening or locking it.
    Create,
    /// Reading or mapping.
    Read,
    /// Writing.
    Write,
    /// Setting the length of a file, also by opening it with `Truncate`.
    SetLength,
    /// Syncing a file.
    Sync,
    /// Creating one directory.
    CreateDir,
    /// Renaming.
    Rename,
    /// Removing one file, also within `remove_dir_all`.
    RemoveFile,
    /// Removing one directory.
    RemoveDir,
    /// Listing a directory.
    ReadDir,
    /// Syncing a directory.
    SyncDir,
}

impl Operation {
    pub(super) const COUNT: usize = 12;

    /// Whether it changes the disk, or what of it is durable.
    pub fn is_mutation(self) -> bool {
        !matches!(self, Self::Open | Self::Read | Self::ReadDir)
    }
}

/// What a disk was asked to do since it was made, failed calls included. Survives crashes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counters {
    calls: [u64; Operation::COUNT],
    /// Bytes written to files.
    pub written_bytes: u64,
    /// Bytes read from files.
    pub read_bytes: u64,
}

impl Counters {
    /// How many calls of this kind there were.
    pub fn calls(&self, operation: Operation) -> u64 {
        self.calls[operation as usize]
    }

    /// How many calls there were that change the disk; the unit of [`SimDisk::crash_at_op`](super::SimDisk::crash_at_op).
    pub fn mutations(&self) -> u64 {
        MUTATIONS.iter().map(|operation| self.calls(*operation)).sum()
    }

    pub(super) fn count(&mut self, operation: Operation) {
        self.calls[operation as usize] += 1;
    }
}

const MUTATIONS: [Operation; 9] = [
    Operation::Create,
    Operation::Write,
    Operation::SetLength,
    Operation::Sync,
    Operation::CreateDir,
    Operation::Rename,
    Operation::RemoveFile,
    Operation::RemoveDir,
    Operation::SyncDir,
];

/// A failure to come. It may be narrowed to some paths and lasts for one call unless it is made lasting.
///
/// A failing write may have written any prefix. A failing sync loses what was not written back, for good, though
/// later reads still see it and a later sync succeeds: that is what Linux does.
#[derive(Debug, Clone)]
pub struct Fault {
    operation: Operation,
    kind: io::ErrorKind,
    path_part: Option<String>,
    /// Matching calls that still go well.
    spared: u64,
    lasting: bool,
}

impl Fault {
    /// Fails the next call of this kind with an error of this kind (`Other` stands for EIO).
    pub fn new(operation: Operation, kind: io::ErrorKind) -> Self {
        Self { operation, kind, path_part: None, spared: 0, lasting: false }
    }

    /// Fails the `n`th matching call instead, counted from 1.
    #[must_use]
    pub fn nth(mut self, n: u64) -> Self {
        self.spared = n.saturating_sub(1);
        self
    }

    /// Only calls on paths that contain `part`. For a rename, either path.
    #[must_use]
    pub fn on(mut self, part: &str) -> Self {
        self.path_part = Some(part.to_owned());
        self
    }

    /// All matching calls from then on, until [`SimDisk::clear_faults`](super::SimDisk::clear_faults).
    #[must_use]
    pub fn lasting(mut self) -> Self {
        self.lasting = true;
        self
    }

    /// Whether this call is hit; counts it if it matches.
    fn strikes(&mut self, operation: Operation, paths: &[&Path]) -> bool {
        let on_path = self
            .path_part
            .as_ref()
            .is_none_or(|part| paths.iter().any(|path| path.to_string_lossy().contains(part.as_str())));
        if operation != self.operation || !on_path {
            return false;
        }
        if self.spared > 0 {
            self.spared -= 1;
            return false;
        }
        true
    }
}

/// The first of `faults` that hits this call, as an error; a passing one is used up.
pub(super) fn strike(faults: &mut Vec<Fault>, operation: Operation, paths: &[&Path]) -> Option<io::Error> {
    // Every fault counts the call, not only those before the first that hits.
    let struck: Vec<usize> =
        (0..faults.len()).filter(|&index| faults[index].strikes(operation, paths)).collect();
    let first = *struck.first()?;
    let error = error_of(faults[first].kind);
    if !faults[first].lasting {
        faults.remove(first);
    }
    Some(error)
}

/// The error as the system would give it, with its code where there is one.
pub(super) fn error_of(kind: io::ErrorKind) -> io::Error {
    let code = match kind {
        io::ErrorKind::StorageFull => libc::ENOSPC,
        io::ErrorKind::QuotaExceeded => libc::EDQUOT,
        io::ErrorKind::PermissionDenied => libc::EACCES,
        io::ErrorKind::ReadOnlyFilesystem => libc::EROFS,
        io::ErrorKind::NotFound => libc::ENOENT,
        io::ErrorKind::AlreadyExists => libc::EEXIST,
        io::ErrorKind::IsADirectory => libc::EISDIR,
        io::ErrorKind::NotADirectory => libc::ENOTDIR,
        io::ErrorKind::DirectoryNotEmpty => libc::ENOTEMPTY,
        io::ErrorKind::InvalidInput => libc::EINVAL,
        io::ErrorKind::Interrupted => libc::EINTR,
        io::ErrorKind::Other => libc::EIO,
        other => return other.into(),
    };
    io::Error::from_raw_os_error(code)
}

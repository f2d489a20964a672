//! [`Disk`] and [`DiskFile`]: the file operations an event log needs, and no others.
//!
//! All calls are synchronous: writes into the page cache are cheaper inline than handed to another thread, and the
//! caller knows which calls wait for the device. There is no cursor, so a file can be read and written by many
//! threads at once. What is durable when: content after [`DiskFile::sync`], a name (created, renamed, removed) only
//! after [`Disk::sync_dir`] of its directory. [`crate::crashsafe`] has the usual combinations.

use std::fmt;
use std::io;
use std::ops::Deref;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How [`Disk::open`] opens a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenMode {
    /// Read only; the file must exist.
    Read,
    /// Read and write; the file must exist.
    ReadWrite,
    /// Read and write; created empty if missing, kept as it is otherwise.
    Create,
    /// Read and write; fails with `AlreadyExists` if there is anything of that name.
    CreateNew,
    /// Read and write; created if missing, emptied otherwise.
    Truncate,
}

impl OpenMode {
    /// Whether a file opened this way can be written.
    pub fn is_writable(self) -> bool {
        self != Self::Read
    }
}

/// One entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DirEntry {
    /// The name inside its directory. Bytes that are not UTF-8 are replaced by U+FFFD.
    pub name: String,
    /// Whether it is a directory (or a link to one).
    pub is_dir: bool,
}

/// A file system. Cheap to clone; clones are the same disk.
pub trait Disk: Clone + Send + Sync + 'static {
    /// An open file of this disk.
    type File: DiskFile;

    /// Opens a file. A created file's name is durable only after [`Disk::sync_dir`] of its directory.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Self::File>;

    /// Creates a directory and its missing parents; nothing happens if it exists. Not durable by itself, see
    /// [`crate::crashsafe::create_dir_all`].
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;

    /// Gives a file or directory another name, replacing a file (or an empty directory) of that name atomically.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Exchanges the names of two files or directories in one step.
    ///
    /// # Errors
    /// [`io::ErrorKind::Unsupported`] where the disk cannot; nothing has happened then, nor after any other error.
    fn exchange(&self, one: &Path, other: &Path) -> io::Result<()>;

    /// Removes the name of a file. Open files of it stay usable.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Removes a directory and all below it. Not atomic: on an error or a crash any part may remain.
    fn remove_dir_all(&self, path: &Path) -> io::Result<()>;

    /// The entries of a directory, sorted by name.
    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>>;

    /// Whether there is a file or directory of that name.
    fn exists(&self, path: &Path) -> io::Result<bool>;

    /// Makes the names in this directory durable: what was created, renamed into it and removed.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// Takes the lock file at `path` for this process, creating it if missing. Never waits. The lock ends when the
    /// [`DirLock`] is dropped or the process dies, whichever way it dies.
    fn lock(&self, path: &Path) -> Result<DirLock, LockError>;
}

/// An open file, usable from many threads at once.
pub trait DiskFile: Send + Sync + 'static {
    /// Its length in bytes.
    fn len(&self) -> io::Result<u64>;

    /// Whether its length is zero.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Reads up to `buffer.len()` bytes; fewer only at the end of the file, 0 at or past it.
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize>;

    /// Reads exactly `buffer.len()` bytes, or fails with `UnexpectedEof`.
    fn read_exact_at(&self, buffer: &mut [u8], position: u64) -> io::Result<()> {
        let mut done = 0;
        while done < buffer.len() {
            match self.read_at(&mut buffer[done..], position + done as u64)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => done += count,
            }
        }
        Ok(())
    }

    /// Writes all of `buffer`; past the end the gap reads as zeros. **Not atomic**: after an error any prefix may
    /// have been written.
    fn write_all_at(&self, buffer: &[u8], position: u64) -> io::Result<()>;

    /// Cuts the file, or lengthens it with zeros.
    fn set_len(&self, length: u64) -> io::Result<()>;

    /// Makes content and length durable. After an error nothing is known about what was written since the last
    /// success, and a second attempt that succeeds proves nothing: give the file up.
    fn sync(&self) -> io::Result<()>;

    /// Maps the whole file for reading. Only for files that will never change again: cutting a mapped file turns
    /// reads of the map into a fatal signal.
    fn map(&self) -> io::Result<FileMap>;

    /// The descriptor, for [`crate::net::sendfile`]; `None` under simulation.
    fn raw_fd(&self) -> Option<BorrowedFd<'_>>;
}

/// The content of a sealed file, in memory. Clones share it.
#[derive(Clone)]
pub struct FileMap(Arc<MapContent>);

enum MapContent {
    Mapped(memmap2::Mmap),
    Copied(Vec<u8>),
}

impl FileMap {
    pub(crate) fn mapped(map: memmap2::Mmap) -> Self {
        Self(Arc::new(MapContent::Mapped(map)))
    }

    pub(crate) fn copied(bytes: Vec<u8>) -> Self {
        Self(Arc::new(MapContent::Copied(bytes)))
    }
}

impl Deref for FileMap {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &*self.0 {
            MapContent::Mapped(map) => map,
            MapContent::Copied(bytes) => bytes,
        }
    }
}

impl AsRef<[u8]> for FileMap {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for FileMap {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("FileMap").field("length", &self.len()).finish()
    }
}

/// A held lock file. Dropping it releases the lock, but only in the process that took it: in a forked child the
/// drop does nothing.
pub struct DirLock {
    path: PathBuf,
    // Held for its destructor alone; the two sides have different ones.
    _guard: Box<dyn Send + Sync>,
}

impl DirLock {
    pub(crate) fn new(path: PathBuf, guard: Box<dyn Send + Sync>) -> Self {
        Self { path, _guard: guard }
    }

    /// The lock file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl fmt::Debug for DirLock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("DirLock").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Who holds a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockHolder {
    /// Its process id; 0 if it lives where this process cannot see it.
    pub pid: u32,
    /// Its command line, where the system tells and it is another process.
    pub command: Option<String>,
}

impl fmt::Display for LockHolder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.pid, &self.command) {
            (0, _) => {
                formatter.write_str("a process out of sight, in another container or on another machine")
            }
            (pid, _) if pid == std::process::id() => write!(formatter, "this process itself ({pid})"),
            (pid, Some(command)) => write!(formatter, "process {pid} (`{command}`)"),
            (pid, None) => write!(formatter, "process {pid}"),
        }
    }
}

/// Why a lock was not given.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody else has it, maybe this very process. Try again when they are gone.
    #[error("{} is locked by {holder}", path.display())]
    Held {
        /// Who has it.
        holder: LockHolder,
        /// The lock file.
        path: PathBuf,
    },
    /// The lock file could not be opened or locked.
    #[error("cannot lock {}: {source}", path.display())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

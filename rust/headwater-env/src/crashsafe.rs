//! File work that survives a power cut, written once.
//!
//! A file's content is durable after its `sync`, its name after the `sync_dir` of its directory; forgetting the
//! second is the classic way to lose a file that was "synced". All functions wait for the device: call them on the
//! blocking pool.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use crate::disk::{Disk, DiskFile, OpenMode};

/// What is appended to a file's name while its next content is being written.
pub const TEMPORARY_SUFFIX: &str = ".tmp";

/// Replaces the content of `path`: after a crash either the old or the new is there, whole; after success the new.
///
/// Writes beside the target (`path` + [`TEMPORARY_SUFFIX`]), syncs, renames, syncs the directory. A left-over
/// temporary file of a crash is overwritten.
pub fn write_file<D: Disk>(disk: &D, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = temporary_path(path);
    let written = disk.open(&temporary, OpenMode::Truncate).and_then(|file| {
        file.write_all_at(bytes, 0)?;
        file.sync()
    });
    if let Err(error) = written {
        // Best effort: on a full disk the room is wanted back, and the first error is the one to report.
        disk.remove_file(&temporary).ok();
        return Err(error);
    }
    disk.rename(&temporary, path)?;
    disk.sync_dir(parent(path))
}

/// The whole content of `path`. Fails with `FileTooLarge` above `size_max` bytes, before allocating.
pub fn read_file<D: Disk>(disk: &D, path: &Path, size_max: usize) -> io::Result<Vec<u8>> {
    let file = disk.open(path, OpenMode::Read)?;
    let length = file.len()?;
    let size = usize::try_from(length).ok().filter(|size| *size <= size_max).ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("{} has {length} bytes, at most {size_max} were expected", path.display()),
        )
    })?;
    let mut bytes = vec![0; size];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

/// Creates `path` and its missing parents, all of them durable. Nothing happens if it exists.
pub fn create_dir_all<D: Disk>(disk: &D, path: &Path) -> io::Result<()> {
    let mut missing = Vec::new();
    let mut current = path;
    while !disk.exists(current)? {
        missing.push(current);
        current = parent(current);
    }
    disk.create_dir_all(path)?;
    // From the top down, so that at every moment what is durable is reachable.
    missing.iter().rev().try_for_each(|created| disk.sync_dir(parent(created)))
}

/// Renames durably, within a directory or across two.
pub fn rename<D: Disk>(disk: &D, from: &Path, to: &Path) -> io::Result<()> {
    disk.rename(from, to)?;
    disk.sync_dir(parent(to))?;
    if parent(from) == parent(to) { Ok(()) } else { disk.sync_dir(parent(from)) }
}

/// Removes a file durably. A missing file is no error: a former attempt may have got this far.
pub fn remove_file_durably<D: Disk>(disk: &D, path: &Path) -> io::Result<()> {
    ignore_missing(disk.remove_file(path))?;
    disk.sync_dir(parent(path))
}

/// Removes a directory and all below it, durably. A missing one is no error.
pub fn remove_dir_durably<D: Disk>(disk: &D, path: &Path) -> io::Result<()> {
    ignore_missing(disk.remove_dir_all(path))?;
    disk.sync_dir(parent(path))
}

/// The directory that holds the name `path`; `.` for a bare file name, `/` for the root itself.
pub fn parent(path: &Path) -> &Path {
    match path.parent() {
        None => path,
        Some(directory) if directory.as_os_str().is_empty() => Path::new("."),
        Some(directory) => directory,
    }
}

fn temporary_path(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(TEMPORARY_SUFFIX);
    name.into()
}

fn ignore_missing(outcome: io::Result<()>) -> io::Result<()> {
    match outcome {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

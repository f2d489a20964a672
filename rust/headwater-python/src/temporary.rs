//! Data directories of brokers that were given none.
//!
//! An ordinary end removes them. A killed process leaves its own behind; the next broker that makes one removes it: a
//! directory with our mark whose lock nobody holds. The mark is made by a broker that holds the lock, so a directory
//! that is just being made is never taken for one that was left.

use headwater_env::{Disk, OpenMode};
use headwater_log::LOCK_FILE;
use std::io;
use std::path::Path;

/// What their names begin with.
pub(crate) const PREFIX: &str = "headwater-";
/// The file that says that the directory may go.
const MARK: &str = ".temporary";

/// Says that `directory`, whose lock this process holds, may go when it is found unlocked.
pub(crate) fn mark(disk: &impl Disk, directory: &Path) -> io::Result<()> {
    disk.open(&directory.join(MARK), OpenMode::Create).map(drop)
}

/// Removes the directory of a broker that has stopped.
pub(crate) fn remove(disk: &impl Disk, directory: &Path) {
    match disk.remove_dir_all(directory) {
        Ok(()) => {}
        // A broker that was just starting has taken it for one that was left.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => tracing::warn!(%error, data = %directory.display(), "the temporary directory stays"),
    }
}

/// Removes what killed brokers have left beside `directory`.
pub(crate) fn remove_left_beside(disk: &impl Disk, directory: &Path) {
    let Some(place) = directory.parent() else { return };
    let Ok(entries) = disk.read_dir(place) else { return };
    for entry in entries.into_iter().filter(|entry| entry.is_dir && entry.name.starts_with(PREFIX)) {
        let directory = place.join(entry.name);
        // Others' directories cannot be looked into.
        if !disk.exists(&directory.join(MARK)).unwrap_or(false) {
            continue;
        }
        let Ok(_lock) = disk.lock(&directory.join(LOCK_FILE)) else { continue };
        tracing::info!(data = %directory.display(), "removed what a killed broker left");
        remove(disk, &directory);
    }
}

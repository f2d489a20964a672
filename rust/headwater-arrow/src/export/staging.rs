//! The directory that an export is written into before it takes its place.
//!
//! ```text
//! flights.parquet/                      the target, whole or absent
//! .flights.parquet.headwater-export/    the staging directory, locked by the run that writes it
//! ```
//!
//! Its name is always the same, so a run finds, and empties, what a killed one left. The lock file inside keeps
//! two runs apart; it travels with the final rename and is removed after it. Should a kill leave it there: readers
//! pass over hidden files, and the next overwrite takes it along.

use std::path::{Path, PathBuf};

use headwater_env::{DirLock, Disk, crashsafe};

use super::{ExportError, publish};

const LOCK_NAME: &str = ".lock";

/// A staging directory, locked.
pub(super) struct Staging<'a, D: Disk> {
    disk: &'a D,
    target: PathBuf,
    path: PathBuf,
    lock: DirLock,
}

impl<'a, D: Disk> Staging<'a, D> {
    /// Looks at the target and makes an empty staging directory for it.
    pub(super) fn begin(disk: &'a D, target: &Path, overwrite: bool) -> Result<Staging<'a, D>, ExportError> {
        let Some(name) = target.file_name() else {
            return Err(ExportError::BadTarget { target: target.to_owned() });
        };
        let parent = crashsafe::parent(target);
        let mut staging_name = std::ffi::OsString::from(".");
        staging_name.push(name);
        staging_name.push(".headwater-export");
        let path = parent.join(staging_name);
        // Before anything is touched, so that a refusal leaves no trace.
        check_target(disk, target, overwrite)?;
        crashsafe::create_dir_all(disk, &path).map_err(|error| ExportError::write(&path, error))?;
        let lock = disk.lock(&path.join(LOCK_NAME)).map_err(|error| ExportError::lock(target, error))?;
        let staging = Staging { disk, target: target.to_owned(), path, lock };
        match staging.tidy(overwrite) {
            Ok(()) => Ok(staging),
            Err(error) => {
                staging.abandon();
                Err(error)
            }
        }
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Creates a folder in it and returns its path.
    pub(super) fn create_folder(&self, name: &Path) -> Result<PathBuf, ExportError> {
        let folder = self.path.join(name);
        self.disk.create_dir_all(&folder).map_err(|error| ExportError::write(&folder, error))?;
        Ok(folder)
    }

    /// Undoes and removes what a killed run left.
    fn tidy(&self, overwrite: bool) -> Result<(), ExportError> {
        self.empty()?;
        publish::recover(self.disk, &self.target).map_err(|error| ExportError::write(&self.target, error))?;
        check_target(self.disk, &self.target, overwrite).map(drop)
    }

    fn empty(&self) -> Result<(), ExportError> {
        let failed = |error| ExportError::write(&self.path, error);
        for entry in self.disk.read_dir(&self.path).map_err(failed)? {
            let path = self.path.join(&entry.name);
            match (entry.is_dir, entry.name.as_str()) {
                (true, _) => self.disk.remove_dir_all(&path).map_err(failed)?,
                (false, LOCK_NAME) => {}
                (false, _) => self.disk.remove_file(&path).map_err(failed)?,
            }
        }
        Ok(())
    }

    /// Makes it the target, durably.
    pub(super) fn publish(self, overwrite: bool) -> Result<(), ExportError> {
        let published = self.try_publish(overwrite);
        if published.is_err() {
            self.abandon();
        }
        published
    }

    fn try_publish(&self, overwrite: bool) -> Result<(), ExportError> {
        let failed = |error| ExportError::write(&self.target, error);
        self.disk.sync_dir(&self.path).map_err(failed)?;
        // It may have appeared while the export was running.
        let exists = check_target(self.disk, &self.target, overwrite)?;
        if exists {
            publish::replace(self.disk, &self.path, &self.target).map_err(failed)?;
        } else {
            crashsafe::rename(self.disk, &self.path, &self.target).map_err(failed)?;
        }
        // From here on the export stands; what is left over is only untidy.
        self.disk.remove_file(&self.target.join(LOCK_NAME)).ok();
        Ok(())
    }

    /// Removes it, as far as that is possible.
    pub(super) fn abandon(self) {
        self.disk.remove_dir_all(&self.path).ok();
        drop(self.lock);
    }
}

/// Whether the target exists; an error if it may not be replaced.
fn check_target<D: Disk>(disk: &D, target: &Path, overwrite: bool) -> Result<bool, ExportError> {
    if !disk.exists(target).map_err(|error| ExportError::write(target, error))? {
        return Ok(false);
    }
    if !overwrite {
        return Err(ExportError::Exists { target: target.to_owned() });
    }
    // `--overwrite` on the wrong directory must not cost anybody their data.
    let foreign = |found: String| ExportError::NotAnExport { target: target.to_owned(), found };
    let entries = disk.read_dir(target).map_err(|error| foreign(error.to_string()))?;
    match entries.into_iter().find(|entry| !belongs(&entry.name, entry.is_dir)) {
        Some(entry) => Err(foreign(entry.name)),
        None => Ok(true),
    }
}

fn belongs(name: &str, is_dir: bool) -> bool {
    match name.strip_prefix("partition=") {
        Some(number) => is_dir && number.parse::<i32>().is_ok(),
        None => !is_dir && name == LOCK_NAME,
    }
}

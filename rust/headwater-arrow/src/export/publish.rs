//! Puts a finished export in the place of an older one, so that a kill at any moment leaves one of the two.
//!
//! Most disks exchange two names in one step. Where one cannot, there are two renames, and [`recover`] brings the old
//! export back if a run was killed between them.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use headwater_env::{Disk, crashsafe};

/// Exchanges `staging` and `target`, durably, and removes what was the target.
pub(super) fn replace<D: Disk>(disk: &D, staging: &Path, target: &Path) -> io::Result<()> {
    let old = if disk.exchange(staging, target).is_ok() {
        staging.to_owned()
    } else {
        let aside = aside(target);
        crashsafe::rename(disk, target, &aside)?;
        if let Err(error) = disk.rename(staging, target) {
            crashsafe::rename(disk, &aside, target).ok();
            return Err(error);
        }
        aside
    };
    disk.sync_dir(crashsafe::parent(target))?;
    // The new one stands; should this fail, the next run removes the old one.
    disk.remove_dir_all(&old).ok();
    Ok(())
}

/// Brings back the old export if a run was killed when it had just moved it aside; else removes what is left of it.
pub(super) fn recover<D: Disk>(disk: &D, target: &Path) -> io::Result<()> {
    let aside = aside(target);
    if !disk.exists(&aside)? {
        return Ok(());
    }
    match disk.exists(target)? {
        true => crashsafe::remove_dir_durably(disk, &aside),
        false => crashsafe::rename(disk, &aside, target),
    }
}

fn aside(target: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(target.file_name().unwrap_or_default());
    name.push(".headwater-replaced");
    crashsafe::parent(target).join(name)
}

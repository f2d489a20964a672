//! The lock that keeps two brokers off one data directory.
//!
//! `fcntl(F_SETLK)` rather than `flock`: an flock belongs to the open file, so a forked child that inherits the
//! descriptor keeps the directory locked after its owner died; an fcntl lock belongs to the process, ends with it
//! whichever way it dies, and `F_GETLK` names its holder. It has two traps of its own. The process that holds it is
//! granted it again, hence [`HELD`]. And closing *any* descriptor of the file drops it, so the file is opened only
//! after [`HELD`] says that this process does not have it, and nobody else in the project opens lock files.

#![expect(clippy::disallowed_methods, reason = "this is the door to the file system")]

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{FlockOperation, fcntl_lock};
use rustix::io::Errno;
use rustix::process::{Flock, FlockType, Pid, fcntl_getlk};

use crate::crashsafe::parent;
use crate::disk::{DirLock, LockError, LockHolder};

/// Characters of a command line that an error shows at the most: notebooks' kernels have long ones.
const COMMAND_CHARACTERS_MAX: usize = 120;

/// How often a lock that was refused but turns out to have no holder is asked for again.
const ATTEMPTS_MAX: usize = 16;

/// Canonical paths of the locks held here, with the process that took each: after a fork the child's copy names its
/// parent, and does not count. The mutex is never held across a system call.
static HELD: Mutex<BTreeMap<PathBuf, u32>> = Mutex::new(BTreeMap::new());

/// A path in [`HELD`] that is taken out again.
struct Claim {
    path: PathBuf,
    pid: u32,
}

/// The descriptor that carries the lock. Fields drop in order: the lock is gone before the claim is, so nobody here
/// opens the file while its lock still stands. In a forked child both are harmless: closing a descriptor there drops
/// the child's locks, of which it has none.
struct Held {
    _file: File,
    _claim: Claim,
}

pub(super) fn acquire(path: &Path) -> Result<DirLock, LockError> {
    let failed = |source: io::Error| LockError::Io { path: path.to_owned(), source };
    let claim = Claim::new(canonical(path).map_err(failed)?).map_err(|pid| LockError::Held {
        holder: LockHolder { pid, command: None },
        path: path.to_owned(),
    })?;
    let file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(failed)?;
    if let Some(pid) = try_lock(&file).map_err(failed)? {
        let holder = LockHolder { pid, command: command(pid) };
        return Err(LockError::Held { holder, path: path.to_owned() });
    }
    // Best effort: a full disk must not keep a broker from serving what it has.
    write_pid(&file, claim.pid).ok();
    Ok(DirLock::new(path.to_owned(), Box::new(Held { _file: file, _claim: claim })))
}

/// Takes the lock, or tells who has it (0: a process that cannot be seen from here).
fn try_lock(file: &File) -> io::Result<Option<u32>> {
    for _ in 0..ATTEMPTS_MAX {
        match fcntl_lock(file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(None),
            Err(Errno::AGAIN | Errno::ACCESS) => {}
            Err(error) => return Err(error.into()),
        }
        // No holder: it let go between the two calls.
        if let Some(holder) = fcntl_getlk(file, &Flock::from(FlockType::WriteLock))? {
            return Ok(Some(holder.pid.map_or(0, pid_number)));
        }
    }
    Ok(Some(0))
}

fn pid_number(pid: Pid) -> u32 {
    pid.as_raw_nonzero().get().unsigned_abs()
}

/// The command line of another process, asked of Linux's `/proc`; other systems have none. Asked only now rather than
/// kept in the lock file: command lines hold secrets at times, and a file outlives its process.
fn command(pid: u32) -> Option<String> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let words: Vec<_> = line.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
    let text = words.join(" ").replace(|of: char| of.is_control(), " ");
    let text = text.trim_end();
    match text.char_indices().nth(COMMAND_CHARACTERS_MAX) {
        Some((end, _)) => Some(format!("{}…", &text[..end])),
        None => (!text.is_empty()).then(|| text.to_owned()),
    }
}

/// The content is for people who find the file; the lock itself never reads it.
fn write_pid(file: &File, pid: u32) -> io::Result<()> {
    file.set_len(0)?;
    file.write_all_at(format!("{pid}\n").as_bytes(), 0)
}

/// The file itself may not exist yet, and a link in its place must not hide that two names are one file.
fn canonical(path: &Path) -> io::Result<PathBuf> {
    match fs::canonicalize(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
            Ok(fs::canonicalize(parent(path))?.join(name))
        }
        other => other,
    }
}

fn held() -> MutexGuard<'static, BTreeMap<PathBuf, u32>> {
    // Inserting and removing cannot leave the map half-done, so a poisoned one is as good as any.
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Claim {
    /// Fails with this process's id if it has the lock already.
    fn new(path: PathBuf) -> Result<Self, u32> {
        let pid = process::id();
        let mut held = held();
        if held.get(&path) == Some(&pid) {
            return Err(pid);
        }
        held.insert(path.clone(), pid);
        Ok(Self { path, pid })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // A forked child may meet the mutex locked by a thread that does not exist in it.
        if process::id() == self.pid {
            held().remove(&self.path);
        }
    }
}

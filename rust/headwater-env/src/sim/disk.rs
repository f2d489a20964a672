//! [`SimDisk`]: the [`Disk`] over a simulated world, and its levers for tests.

use std::io;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand::SeedableRng;
use rand::rngs::SmallRng;

use super::faults::{Counters, Fault, Operation};
use super::world::{NodeId, World, power_lost};
use crate::disk::{DirEntry, DirLock, Disk, DiskFile, FileMap, LockError, LockHolder, OpenMode};

/// The process id of everybody on a simulated machine.
pub(super) const SIMULATED_PID: u32 = 1;

/// A disk in memory that keeps only what it must. Clones are the same disk.
///
/// The root exists; relative paths start there. After [`SimDisk::crash`] only the disk that it returned works.
#[derive(Debug, Clone)]
pub struct SimDisk {
    world: Arc<Mutex<World>>,
    generation: u64,
}

/// An open file of a [`SimDisk`].
#[derive(Debug)]
pub struct SimFile {
    disk: SimDisk,
    node: NodeId,
    path: PathBuf,
    is_writable: bool,
}

impl SimDisk {
    /// An empty disk whose crashes and torn writes follow from `seed`.
    pub fn new(seed: u64) -> Self {
        Self { world: Arc::new(Mutex::new(World::new(SmallRng::seed_from_u64(seed)))), generation: 0 }
    }

    /// Cuts the power and brings it back. Of what was not synced, any part is lost or torn; locks are gone. Faults
    /// and [`SimDisk::crash_at_op`] are forgotten, [`SimDisk::fill`] and the counters stay. This disk and its open
    /// files only give errors from now on.
    #[must_use = "the disk that works from now on"]
    pub fn crash(&self) -> Self {
        let mut world = self.any_world();
        world.crash();
        Self { world: self.world.clone(), generation: world.generation }
    }

    /// Cuts the power: every call fails until [`SimDisk::crash`] brings the machine back.
    pub fn power_off(&self) {
        let mut world = self.any_world();
        if world.generation == self.generation {
            world.powered = false;
        }
    }

    /// Whether it is the disk of a running machine.
    pub fn is_powered(&self) -> bool {
        self.world().is_ok()
    }

    /// Cuts the power at the `n`th call from now that changes the disk, counted from 1 (0 takes it back). Whether
    /// that call still had its effect is open; it and all later ones fail.
    pub fn crash_at_op(&self, n: u64) {
        self.any_world().crash_after = (n > 0).then_some(n);
    }

    /// Fails the `n`th call of this kind from now, counted from 1.
    pub fn fail_nth(&self, operation: Operation, n: u64, kind: io::ErrorKind) {
        self.fail(Fault::new(operation, kind).nth(n));
    }

    /// Fails the next call of this kind.
    pub fn fail_next(&self, operation: Operation, kind: io::ErrorKind) {
        self.fail(Fault::new(operation, kind));
    }

    /// Adds a fault.
    pub fn fail(&self, fault: Fault) {
        self.any_world().faults.push(fault);
    }

    /// Forgets all faults to come.
    pub fn clear_faults(&self) {
        self.any_world().faults.clear();
    }

    /// Limits what all files hold together. A write beyond writes what fits and fails with ENOSPC.
    pub fn fill(&self, limit_bytes: u64) {
        self.any_world().capacity = Some(limit_bytes);
    }

    /// Takes the limit of [`SimDisk::fill`] away.
    pub fn unfill(&self) {
        self.any_world().capacity = None;
    }

    /// What the disk was asked to do so far.
    pub fn counters(&self) -> Counters {
        self.any_world().counters.clone()
    }

    /// A copy that goes its own way, with randomness of its own: many crashes can be tried from one moment. Files
    /// open here are not open there, and nothing is locked.
    pub fn snapshot(&self, seed: u64) -> Self {
        let mut world = self.any_world().clone();
        world.random = SmallRng::seed_from_u64(seed);
        world.locked.clear();
        let generation = world.generation;
        Self { world: Arc::new(Mutex::new(world)), generation }
    }

    /// The world whether or not it is this disk's any more.
    fn any_world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The world, if this disk is of the present one.
    fn world(&self) -> io::Result<MutexGuard<'_, World>> {
        let world = self.any_world();
        if world.powered && world.generation == self.generation { Ok(world) } else { Err(power_lost()) }
    }
}

impl Disk for SimDisk {
    type File = SimFile;

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<SimFile> {
        let mut world = self.world()?;
        let node = match world.resolve(path) {
            Ok(_) if mode == OpenMode::CreateNew => {
                return Err(io::Error::from_raw_os_error(libc::EEXIST));
            }
            Ok(node) => {
                world.open_existing(path, node)?;
                if mode == OpenMode::Truncate && world.length(node)? > 0 {
                    world.set_length(path, node, 0)?;
                }
                node
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => match mode {
                OpenMode::Read | OpenMode::ReadWrite => return Err(error),
                OpenMode::Create | OpenMode::CreateNew | OpenMode::Truncate => world.create_file(path)?,
            },
            Err(error) => return Err(error),
        };
        Ok(SimFile { disk: self.clone(), node, path: path.to_owned(), is_writable: mode.is_writable() })
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.world()?.create_dir_all(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.world()?.rename(from, to)
    }

    /// Never, so that what callers do instead is what the power is cut in.
    fn exchange(&self, _one: &Path, _other: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.world()?.remove_file(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.world()?.remove_dir_all(path)
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let entries = self.world()?.list(path)?;
        Ok(entries.into_iter().map(|(name, is_dir)| DirEntry { name, is_dir }).collect())
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        match self.world()?.resolve(path) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.world()?.sync_dir(path)
    }

    fn lock(&self, path: &Path) -> Result<DirLock, LockError> {
        let failed = |source: io::Error| LockError::Io { path: path.to_owned(), source };
        let mut world = self.world().map_err(failed)?;
        let node = match world.resolve(path) {
            Ok(node) => node,
            Err(_) => world.create_file(path).map_err(failed)?,
        };
        if !world.locked.insert(node) {
            return Err(LockError::Held {
                holder: LockHolder { pid: SIMULATED_PID, command: None },
                path: path.to_owned(),
            });
        }
        Ok(DirLock::new(path.to_owned(), Box::new(SimLock { disk: self.clone(), node })))
    }
}

struct SimLock {
    disk: SimDisk,
    node: NodeId,
}

impl Drop for SimLock {
    fn drop(&mut self) {
        // After a crash there is nothing to release, and the node may be locked by somebody else.
        if let Ok(mut world) = self.disk.world() {
            world.locked.remove(&self.node);
        }
    }
}

impl SimFile {
    fn writable_world(&self) -> io::Result<MutexGuard<'_, World>> {
        if self.is_writable { self.disk.world() } else { Err(io::Error::from_raw_os_error(libc::EBADF)) }
    }
}

impl DiskFile for SimFile {
    fn len(&self) -> io::Result<u64> {
        self.disk.world()?.length(self.node)
    }

    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        self.disk.world()?.read(&self.path, self.node, buffer, position)
    }

    fn write_all_at(&self, buffer: &[u8], position: u64) -> io::Result<()> {
        self.writable_world()?.write(&self.path, self.node, buffer, position)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        if !self.is_writable {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        self.disk.world()?.set_length(&self.path, self.node, length)
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.world()?.sync(&self.path, self.node)
    }

    fn map(&self) -> io::Result<FileMap> {
        self.disk.world()?.read_whole(&self.path, self.node).map(FileMap::copied)
    }

    fn raw_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

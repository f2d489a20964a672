//! A bounded number of open files for everything that is sealed.
//!
//! Active segments hold their own descriptor. Evicting only drops the cache's share: a reader that was handed the
//! file keeps it open as long as it needs it, so deletion and eviction under a reader are both safe.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, DefaultHasher};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use headwater_env::{Disk, Env, OpenMode};

use crate::types::DiskFileOf;

/// Sealed files a data directory keeps open: logs and indexes together.
pub(crate) const OPEN_FILES_MAX: usize = 512;

/// Which file of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum FileKind {
    Log,
    OffsetIndex,
    TimeIndex,
    TransactionIndex,
}

impl FileKind {
    /// The file's extension, with the dot.
    pub(crate) const fn suffix(self) -> &'static str {
        match self {
            FileKind::Log => ".log",
            FileKind::OffsetIndex => ".index",
            FileKind::TimeIndex => ".timeindex",
            FileKind::TransactionIndex => ".txnindex",
        }
    }
}

type Key = (u64, FileKind);

/// Least recently used out first.
pub(crate) struct DescriptorCache<E: Env> {
    files_max: usize,
    // The hasher without random keys: a simulated run must not depend on the process.
    open: Mutex<Open<E>>,
}

struct Open<E: Env> {
    files: HashMap<Key, (Arc<DiskFileOf<E>>, u64), BuildHasherDefault<DefaultHasher>>,
    uses: u64,
}

impl<E: Env> DescriptorCache<E> {
    pub(crate) fn new(files_max: usize) -> DescriptorCache<E> {
        DescriptorCache { files_max, open: Mutex::new(Open { files: HashMap::default(), uses: 0 }) }
    }

    /// The open file, opened if need be.
    pub(crate) fn get(
        &self,
        env: &E,
        segment: u64,
        kind: FileKind,
        path: impl FnOnce() -> std::path::PathBuf,
    ) -> io::Result<Arc<DiskFileOf<E>>> {
        if let Some(file) = self.lookup((segment, kind)) {
            return Ok(file);
        }
        // Opened outside the lock: two readers may both open it, the later one wins and the other's is closed.
        let file = Arc::new(open_read(env, &path())?);
        self.insert((segment, kind), Arc::clone(&file));
        Ok(file)
    }

    /// Forgets the files of a segment that is gone or was changed.
    pub(crate) fn forget(&self, segment: u64) {
        self.lock().files.retain(|(of, _), _| *of != segment);
    }

    /// How many files are open.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.lock().files.len()
    }

    fn lookup(&self, key: Key) -> Option<Arc<DiskFileOf<E>>> {
        let mut open = self.lock();
        open.uses += 1;
        let now = open.uses;
        let (file, used) = open.files.get_mut(&key)?;
        *used = now;
        Some(Arc::clone(file))
    }

    fn insert(&self, key: Key, file: Arc<DiskFileOf<E>>) {
        let mut open = self.lock();
        while open.files.len() >= self.files_max {
            // A scan of a few hundred entries, beside an open(2) that cost more.
            let Some(oldest) = open.files.iter().min_by_key(|(_, (_, used))| *used).map(|(key, _)| *key)
            else {
                break;
            };
            open.files.remove(&oldest);
        }
        open.uses += 1;
        let now = open.uses;
        open.files.insert(key, (file, now));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Open<E>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn open_read<E: Env>(env: &E, path: &Path) -> io::Result<DiskFileOf<E>> {
    env.disk().open(path, OpenMode::Read)
}

#[cfg(test)]
mod tests {
    use headwater_env::real::RealEnv;

    use super::*;

    #[test]
    fn the_least_recently_used_goes_first() {
        let folder = tempfile::tempdir().unwrap();
        let env = RealEnv::new();
        let path = |segment: u64| folder.path().join(segment.to_string());
        for segment in 0..4 {
            env.disk().open(&path(segment), OpenMode::Create).unwrap();
        }
        let cache = DescriptorCache::new(3);
        let get = |segment| cache.get(&env, segment, FileKind::Log, || path(segment)).unwrap();
        let held = get(0);
        (1..3).for_each(|segment| _ = get(segment));
        assert!(Arc::ptr_eq(&held, &get(0)), "it is still open");
        get(3);
        assert_eq!(cache.len(), 3);
        // 1 was used least recently, so 0 is the same file still.
        assert!(Arc::ptr_eq(&held, &get(0)));
        cache.forget(0);
        assert_eq!(cache.len(), 2);
    }
}

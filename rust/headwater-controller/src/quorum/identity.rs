//! Whose metadata directory this is: `quorum.properties`, written once when the directory is made.
//!
//! Text, one `key=value` a line like Kafka's `meta.properties`, for whoever has to look into a directory by hand; the
//! last line is the CRC-32C of all before it.

use std::path::Path;

use headwater_env::{Disk, Env, crashsafe};
use headwater_record::{Uuid, crc32c};

use super::scan::{damaged, io_error};
use crate::decide::voters::FIRST_RAFT_ID;
use crate::error::OpenError;

const FILE_NAME: &str = "quorum.properties";
const FILE_SIZE_MAX: usize = 4096;
const VERSION: u64 = 1;

/// What never changes about a metadata directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) cluster_id: Uuid,
    pub(crate) node_id: i32,
    /// Drawn when the directory was made: a wiped and remade one is another.
    pub(crate) directory: Uuid,
    pub(crate) raft_id: u64,
}

/// Draws a random id.
pub(crate) fn random_uuid<E: Env>(env: &E) -> Uuid {
    loop {
        let mut bytes = [0; 16];
        env.fill_random(&mut bytes);
        if let Some(id) = Uuid::from_random(bytes) {
            return id;
        }
    }
}

/// Of the first node of a new cluster.
pub(super) fn first<E: Env>(env: &E, node_id: i32, cluster_id: Option<Uuid>) -> Identity {
    Identity {
        cluster_id: cluster_id.unwrap_or_else(|| random_uuid(env)),
        node_id,
        directory: random_uuid(env),
        raft_id: FIRST_RAFT_ID,
    }
}

/// Reads who the directory belongs to; `None` if nobody has said yet.
pub(super) fn read<D: Disk>(disk: &D, directory: &Path) -> Result<Option<Identity>, OpenError> {
    let path = directory.join(FILE_NAME);
    if !disk.exists(&path).map_err(|source| io_error("look for", &path, source))? {
        return Ok(None);
    }
    let bytes =
        crashsafe::read_file(disk, &path, FILE_SIZE_MAX).map_err(|source| io_error("read", &path, source))?;
    parse(&bytes, &path).map(Some)
}

pub(super) fn write<D: Disk>(disk: &D, directory: &Path, identity: &Identity) -> Result<(), OpenError> {
    let path = directory.join(FILE_NAME);
    crashsafe::write_file(disk, &path, format(identity).as_bytes())
        .map_err(|source| io_error("write", &path, source))
}

fn format(identity: &Identity) -> String {
    let Identity { cluster_id, node_id, directory, raft_id } = identity;
    let text = format!(
        "version={VERSION}\ncluster.id={cluster_id}\nnode.id={node_id}\ndirectory.id={directory}\nraft.id={raft_id}\n"
    );
    let crc = crc32c(text.as_bytes());
    format!("{text}crc32c={crc:08x}\n")
}

fn parse(bytes: &[u8], path: &Path) -> Result<Identity, OpenError> {
    let wrong = |reason: &str| damaged(path, 0, reason);
    let text = std::str::from_utf8(bytes).map_err(|_| wrong("it is not text"))?;
    let (covered, crc) = text.trim_end().rsplit_once("crc32c=").ok_or_else(|| wrong("it has no checksum"))?;
    if u32::from_str_radix(crc, 16).ok() != Some(crc32c(covered.as_bytes())) {
        return Err(wrong("its checksum is wrong"));
    }
    let value = |key: &str| {
        covered
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
            .ok_or_else(|| damaged(path, 0, format!("`{key}` is missing")))
    };
    let unreadable = |key: &str| damaged(path, 0, format!("`{key}` cannot be read"));
    let version: u64 = value("version")?.parse().map_err(|_| unreadable("version"))?;
    if version != VERSION {
        return Err(OpenError::Newer { path: path.to_owned(), found: version, supported: VERSION });
    }
    Ok(Identity {
        cluster_id: value("cluster.id")?.parse().map_err(|_| unreadable("cluster.id"))?,
        node_id: value("node.id")?.parse().map_err(|_| unreadable("node.id"))?,
        directory: value("directory.id")?.parse().map_err(|_| unreadable("directory.id"))?,
        raft_id: value("raft.id")?.parse().map_err(|_| unreadable("raft.id"))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_version_stays_readable() {
        let identity =
            Identity { cluster_id: Uuid::ZERO, node_id: 3, directory: Uuid::from_bytes([1; 16]), raft_id: 1 };
        let text = format(&identity);
        let golden = "version=1\ncluster.id=AAAAAAAAAAAAAAAAAAAAAA\nnode.id=3\ndirectory.id=AQEBAQEBAQEBAQEBAQEBAQ\n\
                      raft.id=1\ncrc32c=";
        assert!(text.starts_with(golden), "{text}");
        assert_eq!(parse(text.as_bytes(), Path::new("x")).unwrap(), identity);
    }

    #[test]
    fn damage_and_newer_versions_are_told_apart() {
        let identity = Identity { cluster_id: Uuid::ZERO, node_id: 3, directory: Uuid::ZERO, raft_id: 1 };
        let text = format(&identity).replace("node.id=3", "node.id=4");
        assert!(matches!(parse(text.as_bytes(), Path::new("x")), Err(OpenError::Damaged { .. })));
        let newer = "version=2\n";
        let newer = format!("{newer}crc32c={:08x}\n", crc32c(newer.as_bytes()));
        assert!(matches!(parse(newer.as_bytes(), Path::new("x")), Err(OpenError::Newer { found: 2, .. })));
    }
}

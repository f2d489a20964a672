//! Snapshots: an image in one file, from which a node starts without the log before it.
//!
//! ```text
//!   file   := magic "HWMETASN" | version u32 | block(header) | block(batch of records)*
//!   header := cluster id | last log id? | log id of the membership? | membership | number of batches u32
//!   block  := length u32 | crc u32 | bytes
//! ```
//!
//! The file is written beside its place, synced and renamed; then the one before it is removed.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use headwater_env::{Disk, Env, crashsafe};
use headwater_record::{Uuid, crc32c};
use openraft::storage::SnapshotMeta;

use super::scan::{damaged, io_error};
use super::types::{
    CommittedLeaderId, StoredMembers, Voter, decode_log_id, decode_members, encode_log_id, encode_members,
};
use crate::error::OpenError;
use crate::image::MetadataImage;
use crate::records::{Decoder, Encoder, RecordError, decode_batch, encode_batch};

const MAGIC: &[u8; 8] = b"HWMETASN";
const VERSION: u32 = 1;
const SUFFIX: &str = ".snapshot";
/// Largest snapshot that is read.
const SNAPSHOT_SIZE_MAX: usize = 1 << 30;
const RECORDS_PER_BATCH: usize = 1000;

/// A snapshot file's content.
pub(crate) type SnapshotBytes = Bytes;
pub(super) type Meta = SnapshotMeta<CommittedLeaderId, u64, Voter>;

/// Encodes an image.
pub(super) fn encode(image: &MetadataImage, meta: &Meta) -> SnapshotBytes {
    let records = image.to_records();
    let batches = records.chunks(RECORDS_PER_BATCH);
    let mut header = Encoder::new();
    header.uuid(image.cluster_id);
    header.option(meta.last_log_id.as_ref(), encode_log_id);
    header.option(meta.last_membership.log_id().as_ref(), encode_log_id);
    encode_members(&mut header, meta.last_membership.membership());
    header.u32(batches.len() as u32);
    let mut encoder = Encoder::new();
    encoder.raw(MAGIC);
    encoder.u32(VERSION);
    block(&mut encoder, &header.into_bytes());
    for batch in batches {
        block(&mut encoder, &encode_batch(batch));
    }
    encoder.into_bytes().into()
}

fn block(encoder: &mut Encoder, bytes: &[u8]) {
    encoder.u32(bytes.len() as u32);
    encoder.u32(crc32c(bytes));
    encoder.raw(bytes);
}

fn unblock<'a>(decoder: &mut Decoder<'a>) -> Result<&'a [u8], RecordError> {
    let length = decoder.u32()? as usize;
    let crc = decoder.u32()?;
    let bytes = decoder.raw(length)?;
    if crc32c(bytes) != crc {
        return Err(RecordError::Malformed("the checksum of a block is wrong".into()));
    }
    Ok(bytes)
}

struct Header {
    cluster_id: Uuid,
    meta: Meta,
    batches: u32,
}

fn decode_header(decoder: &mut Decoder<'_>) -> Result<Header, RecordError> {
    if decoder.raw(MAGIC.len())? != MAGIC {
        return Err(RecordError::Malformed("this is no snapshot of metadata".into()));
    }
    let version = decoder.u32()?;
    if version != VERSION {
        return Err(RecordError::Newer { record_type: 0, version: u8::try_from(version).unwrap_or(u8::MAX) });
    }
    let mut header = Decoder::new(unblock(decoder)?);
    let cluster_id = header.uuid()?;
    let last_log_id = header.option(decode_log_id)?;
    let membership_log_id = header.option(decode_log_id)?;
    let last_membership = StoredMembers::new(membership_log_id, decode_members(&mut header)?);
    let batches = header.u32()?;
    header.finish()?;
    Ok(Header { cluster_id, meta: Meta { last_log_id, last_membership }, batches })
}

/// What a snapshot is of.
pub(super) fn decode_meta(bytes: &[u8]) -> Result<Meta, RecordError> {
    Ok(decode_header(&mut Decoder::new(bytes))?.meta)
}

/// Makes the image that [`encode`] was given.
pub(super) fn decode(
    bytes: &[u8],
    cluster_id: Uuid,
    controller_id: i32,
) -> Result<MetadataImage, RecordError> {
    let mut decoder = Decoder::new(bytes);
    let header = decode_header(&mut decoder)?;
    if header.cluster_id != cluster_id {
        return Err(RecordError::Misfit(format!(
            "the snapshot is of cluster {}, not of {cluster_id}",
            header.cluster_id
        )));
    }
    let mut image = MetadataImage::empty(cluster_id, controller_id);
    image.index = header.meta.last_log_id.map_or(0, |id| id.index);
    for _ in 0..header.batches {
        for record in decode_batch(unblock(&mut decoder)?)? {
            image.replay(&record, image.index)?;
        }
    }
    decoder.finish()?;
    Ok(image)
}

/// For `fuzz/`: the image in a snapshot of whatever cluster, and the image in the snapshot made of that.
#[cfg(fuzzing)]
pub(crate) fn decode_twice(bytes: &[u8]) -> Option<(MetadataImage, MetadataImage)> {
    let header = decode_header(&mut Decoder::new(bytes)).ok()?;
    let image = decode(bytes, header.cluster_id, 1).ok()?;
    let again = decode(&encode(&image, &header.meta), header.cluster_id, 1);
    Some((image, again.expect("a snapshot of ours can be read")))
}

/// The snapshot file of a metadata directory. Clones are the same one.
pub(super) struct SnapshotStore<E: Env> {
    env: E,
    directory: PathBuf,
    current: Arc<Mutex<Option<(Meta, PathBuf)>>>,
}

impl<E: Env> Clone for SnapshotStore<E> {
    fn clone(&self) -> Self {
        SnapshotStore {
            env: self.env.clone(),
            directory: self.directory.clone(),
            current: self.current.clone(),
        }
    }
}

impl<E: Env> SnapshotStore<E> {
    /// Finds the newest snapshot in `directory`. Waits for the disk.
    pub(super) fn open(env: &E, directory: &Path) -> Result<SnapshotStore<E>, OpenError> {
        let disk = env.disk();
        let entries = disk.read_dir(directory).map_err(|source| io_error("list", directory, source))?;
        // Names begin with the index, so the last is the newest; an older one was left by a crash before its removal.
        let newest = entries.iter().rev().find(|entry| entry.name.ends_with(SUFFIX));
        let current = match newest {
            None => None,
            Some(entry) => {
                let path = directory.join(&entry.name);
                let bytes = crashsafe::read_file(disk, &path, SNAPSHOT_SIZE_MAX)
                    .map_err(|source| io_error("read", &path, source))?;
                let meta = decode_meta(&bytes).map_err(|error| match error {
                    RecordError::Newer { version, .. } => OpenError::Newer {
                        path: path.clone(),
                        found: u64::from(version),
                        supported: u64::from(VERSION),
                    },
                    other => damaged(&path, 0, other.to_string()),
                })?;
                Some((meta, path))
            }
        };
        let current = Arc::new(Mutex::new(current));
        Ok(SnapshotStore { env: env.clone(), directory: directory.to_owned(), current })
    }

    pub(super) fn meta(&self) -> Option<Meta> {
        self.current().as_ref().map(|(meta, _)| meta.clone())
    }

    fn current(&self) -> std::sync::MutexGuard<'_, Option<(Meta, PathBuf)>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the newest snapshot.
    pub(super) async fn read(&self) -> io::Result<Option<(Meta, SnapshotBytes)>> {
        let Some((meta, path)) = self.current().clone() else { return Ok(None) };
        let disk = self.env.disk().clone();
        let bytes = self.env.blocking(move || crashsafe::read_file(&disk, &path, SNAPSHOT_SIZE_MAX)).await?;
        Ok(Some((meta, bytes.into())))
    }

    /// Keeps a snapshot instead of the one before.
    pub(super) async fn write(&self, meta: &Meta, bytes: SnapshotBytes) -> io::Result<()> {
        if self.meta().is_some_and(|current| current.last_log_id == meta.last_log_id) {
            return Ok(());
        }
        let (term, index) = meta.last_log_id.map_or((0, 0), |id| (id.leader_id.term, id.index));
        let path = self.directory.join(format!("{index:020}-{term:010}{SUFFIX}"));
        let (disk, directory, target) = (self.env.disk().clone(), self.directory.clone(), path.clone());
        self.env
            .blocking(move || {
                crashsafe::write_file(&disk, &target, &bytes)?;
                remove_others(&disk, &directory, &target)
            })
            .await?;
        *self.current() = Some((meta.clone(), path));
        Ok(())
    }
}

/// Removes older snapshots and what interrupted attempts have left.
fn remove_others<D: Disk>(disk: &D, directory: &Path, keep: &Path) -> io::Result<()> {
    for entry in disk.read_dir(directory)? {
        let path = directory.join(&entry.name);
        if entry.name.contains(SUFFIX) && path != keep {
            disk.remove_file(&path)?;
        }
    }
    disk.sync_dir(directory)
}

#[cfg(test)]
mod tests {
    use super::super::types::{Members, log_id};
    use super::*;
    use crate::decide::testing::{cluster, with_topic};

    fn snapshot() -> (MetadataImage, Meta, SnapshotBytes) {
        let mut image = cluster(3, &["a", "b"]);
        with_topic(&mut image, "one", 3, 2);
        with_topic(&mut image, "t.w.o", 1, 3);
        image.next_producer_id = 3000;
        let meta = Meta {
            last_log_id: Some(log_id(2, image.index)),
            last_membership: StoredMembers::new(Some(log_id(1, 0)), Members::default()),
        };
        let bytes = encode(&image, &meta);
        (image, meta, bytes)
    }

    #[test]
    fn an_image_comes_back_as_it_was() {
        let (image, meta, bytes) = snapshot();
        assert_eq!(decode_meta(&bytes), Ok(meta));
        assert_eq!(decode(&bytes, image.cluster_id, 1), Ok(image));
    }

    #[test]
    fn another_clusters_snapshot_is_refused() {
        let (_, _, bytes) = snapshot();
        assert!(matches!(decode(&bytes, Uuid::from_bytes([9; 16]), 1), Err(RecordError::Misfit(_))));
    }

    #[test]
    fn no_damage_goes_unnoticed() {
        let (image, _, bytes) = snapshot();
        for position in 0..bytes.len() {
            let mut damaged = bytes.to_vec();
            damaged[position] ^= 1;
            assert!(decode(&damaged, image.cluster_id, 1).is_err(), "byte {position}");
            assert!(decode(&bytes[..position], image.cluster_id, 1).is_err(), "cut at {position}");
        }
    }
}

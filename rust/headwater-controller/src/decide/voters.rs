//! Raft ids: one per directory of a node, never given out twice.
//!
//! A voter that lost its disk must not come back under its old id, or it could vote a second time in a term and forget
//! entries it had acknowledged. So the user's node id is not the raft id: a directory has a random id of its own, and
//! a new directory of the same node gets a new raft id.

use headwater_record::Uuid;

use crate::image::MetadataImage;
use crate::records::{MetadataRecord, RaftIdRecord};

/// The raft id of the first node of a new cluster.
pub(crate) const FIRST_RAFT_ID: u64 = 1;

/// The raft id of `directory` of node `node_id`, with the record that allocates it if it is new.
pub(crate) fn allocate(
    image: &MetadataImage,
    node_id: i32,
    directory: Uuid,
) -> (u64, Option<MetadataRecord>) {
    let known =
        image.raft_ids.iter().find(|(_, owner)| owner.node_id == node_id && owner.directory == directory);
    if let Some((raft_id, _)) = known {
        return (*raft_id, None);
    }
    let raft_id = image.raft_ids.last_key_value().map_or(FIRST_RAFT_ID, |(last, _)| last + 1);
    (raft_id, Some(MetadataRecord::RaftId(RaftIdRecord { raft_id, node_id, directory })))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{replay, uuid};
    use super::*;

    #[test]
    fn a_wiped_directory_gets_a_new_raft_id() {
        let mut image = MetadataImage::empty(Uuid::ZERO, 1);
        let (first, record) = allocate(&image, 1, uuid(1));
        assert_eq!(first, FIRST_RAFT_ID);
        replay(&mut image, &[record.unwrap()]);
        assert_eq!(allocate(&image, 1, uuid(1)), (first, None));
        let (second, record) = allocate(&image, 1, uuid(2));
        assert_eq!(second, first + 1);
        replay(&mut image, &[record.unwrap()]);
        assert_eq!(allocate(&image, 2, uuid(1)).0, second + 1);
    }
}

//! Blocks of producer ids.

use std::ops::Range;

use super::brokers::check_epoch;
use crate::error::ProducerIdError;
use crate::image::MetadataImage;
use crate::records::{MetadataRecord, ProducerIdsRecord};

/// Producer ids in a block. A broker asks again when it has used them up; what is left at its end is lost.
pub const PRODUCER_ID_BLOCK_SIZE: i64 = 1000;

/// Gives the next block to a broker.
pub(crate) fn allocate(
    image: &MetadataImage,
    node_id: i32,
    broker_epoch: i64,
) -> Result<(MetadataRecord, Range<i64>), ProducerIdError> {
    check_epoch(image, node_id, broker_epoch)?;
    let first = image.next_producer_id;
    let next = first.checked_add(PRODUCER_ID_BLOCK_SIZE).ok_or(ProducerIdError::Exhausted)?;
    Ok((MetadataRecord::ProducerIds(ProducerIdsRecord { node_id, broker_epoch, next }), first..next))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{cluster, replay};
    use super::*;
    use crate::error::BrokerError;

    #[test]
    fn blocks_follow_one_another() {
        let mut image = cluster(1, &[]);
        for start in [0, 1000, 2000] {
            let (record, block) = allocate(&image, 1, 1).unwrap();
            assert_eq!(block, start..start + 1000);
            replay(&mut image, &[record]);
        }
    }

    #[test]
    fn only_the_living_incarnation_gets_one() {
        let image = cluster(1, &[]);
        assert_eq!(allocate(&image, 1, 7).unwrap_err().kafka_code(), 77);
        assert_eq!(allocate(&image, 2, 1), Err(BrokerError::NotRegistered(2).into()));
    }

    #[test]
    fn the_last_id_is_the_last() {
        let mut image = cluster(1, &[]);
        image.next_producer_id = i64::MAX - 10;
        assert_eq!(allocate(&image, 1, 1), Err(ProducerIdError::Exhausted));
    }
}

//! The managers, one per concern: an image and a request in, records or an error out.
//!
//! A manager changes nothing, asks nobody for the time, and draws nothing: what it needs of the world comes as an
//! argument. So every rule is tested without a disk, a clock or a quorum.

pub(crate) mod brokers;
pub(crate) mod configs;
pub(crate) mod election;
pub(crate) mod isr;
pub(crate) mod names;
pub(crate) mod placement;
pub(crate) mod producer_ids;
pub(crate) mod topics;
pub(crate) mod voters;

use std::collections::BTreeSet;

/// The first id that occurs twice.
fn duplicate(ids: &[i32]) -> Option<i32> {
    let mut seen = BTreeSet::new();
    ids.iter().copied().find(|id| !seen.insert(*id))
}

/// What the tests of the managers stand on: images made by replaying what the managers decide.
#[cfg(test)]
pub(crate) mod testing {
    use headwater_record::Uuid;

    use super::topics::{self, NewTopic};
    use crate::image::MetadataImage;
    use crate::records::{BrokerRecord, MetadataRecord};

    pub(crate) fn uuid(number: u8) -> Uuid {
        Uuid::from_bytes([number; 16])
    }

    pub(crate) fn replay(image: &mut MetadataImage, records: &[MetadataRecord]) {
        image.index += 1;
        for record in records {
            image.replay(record, image.index).unwrap();
        }
        image.validate().unwrap();
    }

    /// A cluster of brokers `1..=count` whose racks repeat `racks`.
    pub(crate) fn cluster(count: i32, racks: &[&str]) -> MetadataImage {
        let mut image = MetadataImage::empty(Uuid::ZERO, 1);
        for node_id in 1..=count {
            let rack = (!racks.is_empty()).then(|| racks[(node_id - 1) as usize % racks.len()].to_owned());
            let record = BrokerRecord {
                node_id,
                incarnation: uuid(node_id as u8),
                epoch: None,
                endpoints: vec![],
                rack,
                directories: vec![uuid(100 + node_id as u8)],
                fenced: false,
            };
            replay(&mut image, &[MetadataRecord::Broker(record)]);
        }
        image
    }

    pub(crate) fn with_topic(image: &mut MetadataImage, name: &str, partitions: i32, replicas: i16) -> Uuid {
        let id = uuid(200 + image.topics.len() as u8);
        let request = NewTopic::new(name, partitions, replicas);
        let records = topics::create(image, &super::configs::AcceptAnyConfig, &request, id).unwrap();
        replay(image, &records);
        id
    }
}

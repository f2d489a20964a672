//! Registration, fencing and removal of brokers.
//!
//! Sessions and heartbeats live outside the log; what comes out of them, fencing, comes here as a request.

use headwater_record::Uuid;

use super::election;
use crate::error::BrokerError;
use crate::image::{BrokerImage, Endpoint, MetadataImage};
use crate::records::{BrokerRecord, FencingRecord, MetadataRecord};

/// What a broker says of itself at its start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerRegistration {
    /// The user's node id.
    pub node_id: i32,
    /// Drawn at the start of the process. The same one again is a repeated request and changes no epoch.
    pub incarnation: Uuid,
    /// Where it listens: at least one, each under its own name.
    pub listeners: Vec<Endpoint>,
    /// The rack, where one is configured.
    pub rack: Option<String>,
    /// Ids of its data directories.
    pub directories: Vec<Uuid>,
    /// Whether it starts fenced, to be let in when it has caught up. The lone broker of a node does not.
    pub fenced: bool,
}

/// Registers a broker; an unfenced one takes over at once what it can lead.
pub(crate) fn register(
    image: &MetadataImage,
    request: &BrokerRegistration,
) -> Result<Vec<MetadataRecord>, BrokerError> {
    check(request)?;
    let known = image.brokers.get(request.node_id);
    let repeated = known.filter(|known| known.incarnation == request.incarnation);
    if repeated.is_some_and(|known| is_same(known, request)) {
        return Ok(Vec::new());
    }
    let mut records = vec![MetadataRecord::Broker(BrokerRecord {
        node_id: request.node_id,
        incarnation: request.incarnation,
        epoch: repeated.map(|known| known.epoch),
        endpoints: request.listeners.clone(),
        rack: request.rack.clone(),
        directories: request.directories.clone(),
        fenced: request.fenced,
    })];
    if request.fenced {
        records.extend(election::on_loss(image, request.node_id));
    } else if repeated.is_none_or(|known| known.fenced) {
        records.extend(election::on_arrival(image, request.node_id));
    }
    Ok(records)
}

fn check(request: &BrokerRegistration) -> Result<(), BrokerError> {
    if request.node_id < 0 {
        return Err(BrokerError::Invalid(format!("{} cannot be a node id", request.node_id)));
    }
    if request.incarnation.is_zero() {
        return Err(BrokerError::Invalid("a broker needs an incarnation id".into()));
    }
    for (index, endpoint) in request.listeners.iter().enumerate() {
        if request.listeners[..index].iter().any(|other| other.name == endpoint.name) {
            return Err(BrokerError::Invalid(format!("listener `{}` occurs twice", endpoint.name)));
        }
    }
    for (index, directory) in request.directories.iter().enumerate() {
        if request.directories[..index].contains(directory) {
            return Err(BrokerError::Invalid(format!("directory {directory} occurs twice")));
        }
    }
    Ok(())
}

fn is_same(known: &BrokerImage, request: &BrokerRegistration) -> bool {
    known.endpoints == request.listeners
        && known.rack == request.rack
        && known.directories == request.directories
        && known.fenced == request.fenced
}

/// Fences a broker or lets it in.
pub(crate) fn set_fenced(
    image: &MetadataImage,
    node_id: i32,
    epoch: i64,
    fenced: bool,
) -> Result<Vec<MetadataRecord>, BrokerError> {
    check_epoch(image, node_id, epoch)?;
    if image.brokers.is_usable(node_id) != fenced {
        return Ok(Vec::new());
    }
    let mut records = vec![MetadataRecord::Fencing(FencingRecord { node_id, epoch, fenced })];
    records.extend(match fenced {
        true => election::on_loss(image, node_id),
        false => election::on_arrival(image, node_id),
    });
    Ok(records)
}

/// Takes a broker out of the cluster. Its replicas stay assigned to it.
pub(crate) fn unregister(image: &MetadataImage, node_id: i32) -> Result<Vec<MetadataRecord>, BrokerError> {
    let broker = image.brokers.get(node_id).ok_or(BrokerError::NotRegistered(node_id))?;
    let mut records = election::on_loss(image, node_id);
    records.push(MetadataRecord::RemoveBroker { node_id, epoch: broker.epoch });
    Ok(records)
}

/// Checks that `epoch` is that of the living incarnation of a broker.
pub(crate) fn check_epoch(image: &MetadataImage, node_id: i32, epoch: i64) -> Result<(), BrokerError> {
    match image.brokers.get(node_id) {
        Some(broker) if broker.epoch == epoch => Ok(()),
        Some(broker) => Err(BrokerError::StaleEpoch { node_id, current: broker.epoch, given: epoch }),
        None => Err(BrokerError::NotRegistered(node_id)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{cluster, replay, uuid, with_topic};
    use super::*;
    use crate::image::NO_LEADER;

    fn registration(node_id: i32, incarnation: u8) -> BrokerRegistration {
        BrokerRegistration {
            node_id,
            incarnation: uuid(incarnation),
            listeners: vec![],
            rack: None,
            directories: vec![uuid(100 + node_id as u8)],
            fenced: false,
        }
    }

    #[test]
    fn a_restart_gets_a_new_epoch_and_leads_in_a_new_epoch() {
        let mut image = cluster(1, &[]);
        with_topic(&mut image, "a", 2, 1);
        let before = image.brokers.get(1).unwrap().epoch;
        let records = register(&image, &registration(1, 77)).unwrap();
        replay(&mut image, &records);
        assert!(image.brokers.get(1).unwrap().epoch > before);
        for partition in &image.topics.by_name("a").unwrap().partitions {
            assert_eq!((partition.leader, partition.leader_epoch, partition.partition_epoch), (1, 1, 1));
        }
    }

    #[test]
    fn a_repeated_request_changes_nothing() {
        let image = cluster(1, &[]);
        assert_eq!(register(&image, &registration(1, 1)), Ok(vec![]));
        let mut moved = registration(1, 1);
        moved.rack = Some("b".into());
        let mut image = image;
        let epoch = image.brokers.get(1).unwrap().epoch;
        let records = register(&image, &moved).unwrap();
        replay(&mut image, &records);
        assert_eq!(image.brokers.get(1).unwrap().epoch, epoch);
        assert_eq!(image.brokers.get(1).unwrap().rack.as_deref(), Some("b"));
    }

    #[test]
    fn fencing_moves_leaders_and_the_last_in_sync_replica_stays() {
        let mut image = cluster(2, &[]);
        with_topic(&mut image, "two", 1, 2);
        let leader = image.topics.partition("two", 0).unwrap().leader;
        let other = 3 - leader;
        let epoch = image.brokers.get(leader).unwrap().epoch;
        let records = set_fenced(&image, leader, epoch, true).unwrap();
        replay(&mut image, &records);
        let partition = image.topics.partition("two", 0).unwrap().clone();
        assert_eq!((partition.leader, partition.isr.as_slice()), (other, &[other][..]));

        let epoch = image.brokers.get(other).unwrap().epoch;
        let records = set_fenced(&image, other, epoch, true).unwrap();
        replay(&mut image, &records);
        let partition = image.topics.partition("two", 0).unwrap().clone();
        assert_eq!((partition.leader, partition.isr.as_slice()), (NO_LEADER, &[other][..]));

        let records = set_fenced(&image, other, epoch, false).unwrap();
        replay(&mut image, &records);
        assert_eq!(image.topics.partition("two", 0).unwrap().leader, other);
        assert_eq!(set_fenced(&image, other, epoch, false), Ok(vec![]));
    }

    #[test]
    fn a_stale_incarnation_is_told_so() {
        let image = cluster(1, &[]);
        assert_eq!(
            set_fenced(&image, 1, 9, true),
            Err(BrokerError::StaleEpoch { node_id: 1, current: 1, given: 9 })
        );
        assert_eq!(unregister(&image, 5), Err(BrokerError::NotRegistered(5)));
    }

    #[test]
    fn removal_takes_the_broker_and_its_leadership() {
        let mut image = cluster(1, &[]);
        with_topic(&mut image, "a", 1, 1);
        let records = unregister(&image, 1).unwrap();
        replay(&mut image, &records);
        assert!(image.brokers.is_empty());
        assert_eq!(image.topics.partition("a", 0).unwrap().leader, NO_LEADER);
    }
}

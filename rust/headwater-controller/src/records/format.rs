//! How each record type lies in bytes. A field is added by raising the type's version and decoding both.

use super::codec::{Decoder, Encoder};
use super::{
    BrokerRecord, ConfigRecord, FencingRecord, MetadataRecord, PartitionChangeRecord, PartitionRecord,
    ProducerIdsRecord, RaftIdRecord, RecordError, TopicRecord,
};
use crate::image::{ConfigResource, ConfigResourceKind, Endpoint};

/// Type, version and length.
pub(super) const RECORD_SIZE_MIN: usize = 7;

/// Every type is at its first version.
const VERSION: u8 = 1;

const NO_OP: u16 = 0;
const FEATURE_LEVEL: u16 = 1;
const RAFT_ID: u16 = 2;
const BROKER: u16 = 3;
const REMOVE_BROKER: u16 = 4;
const FENCING: u16 = 5;
const TOPIC: u16 = 6;
const PARTITION: u16 = 7;
const PARTITION_CHANGE: u16 = 8;
const REMOVE_TOPIC: u16 = 9;
const CONFIG: u16 = 10;
const PRODUCER_IDS: u16 = 11;

/// The epoch of a broker record that takes the index of its entry.
const EPOCH_OF_ENTRY: i64 = -1;

impl MetadataRecord {
    fn record_type(&self) -> u16 {
        match self {
            MetadataRecord::NoOp => NO_OP,
            MetadataRecord::FeatureLevel { .. } => FEATURE_LEVEL,
            MetadataRecord::RaftId(_) => RAFT_ID,
            MetadataRecord::Broker(_) => BROKER,
            MetadataRecord::RemoveBroker { .. } => REMOVE_BROKER,
            MetadataRecord::Fencing(_) => FENCING,
            MetadataRecord::Topic(_) => TOPIC,
            MetadataRecord::Partition(_) => PARTITION,
            MetadataRecord::PartitionChange(_) => PARTITION_CHANGE,
            MetadataRecord::RemoveTopic { .. } => REMOVE_TOPIC,
            MetadataRecord::Config(_) => CONFIG,
            MetadataRecord::ProducerIds(_) => PRODUCER_IDS,
        }
    }

    pub(super) fn encode(&self, encoder: &mut Encoder) {
        encoder.u16(self.record_type());
        encoder.u8(VERSION);
        let opened = encoder.open_length();
        match self {
            MetadataRecord::NoOp => {}
            MetadataRecord::FeatureLevel { name, level } => {
                encoder.string(name);
                encoder.i32(i32::from(*level));
            }
            MetadataRecord::RaftId(record) => {
                encoder.u64(record.raft_id);
                encoder.i32(record.node_id);
                encoder.uuid(record.directory);
            }
            MetadataRecord::Broker(record) => encode_broker(record, encoder),
            MetadataRecord::RemoveBroker { node_id, epoch } => {
                encoder.i32(*node_id);
                encoder.i64(*epoch);
            }
            MetadataRecord::Fencing(record) => {
                encoder.i32(record.node_id);
                encoder.i64(record.epoch);
                encoder.bool(record.fenced);
            }
            MetadataRecord::Topic(record) => {
                encoder.string(&record.name);
                encoder.uuid(record.id);
            }
            MetadataRecord::Partition(record) => encode_partition(record, encoder),
            MetadataRecord::PartitionChange(record) => encode_partition_change(record, encoder),
            MetadataRecord::RemoveTopic { id } => encoder.uuid(*id),
            MetadataRecord::Config(record) => {
                encoder.u8(record.resource.kind.code());
                encoder.string(&record.resource.name);
                encoder.string(&record.key);
                encoder.option(record.value.as_deref(), Encoder::string);
            }
            MetadataRecord::ProducerIds(record) => {
                encoder.i32(record.node_id);
                encoder.i64(record.broker_epoch);
                encoder.i64(record.next);
            }
        }
        encoder.close_length(opened);
    }

    pub(super) fn decode(decoder: &mut Decoder<'_>) -> Result<MetadataRecord, RecordError> {
        let record_type = decoder.u16()?;
        let version = decoder.u8()?;
        let length = decoder.u32()? as usize;
        let mut body = Decoder::new(decoder.raw(length)?);
        if version != VERSION {
            return Err(RecordError::Newer { record_type, version });
        }
        let record = match record_type {
            NO_OP => MetadataRecord::NoOp,
            FEATURE_LEVEL => {
                MetadataRecord::FeatureLevel { name: body.string()?, level: decode_level(&mut body)? }
            }
            RAFT_ID => MetadataRecord::RaftId(RaftIdRecord {
                raft_id: body.u64()?,
                node_id: body.i32()?,
                directory: body.uuid()?,
            }),
            BROKER => MetadataRecord::Broker(decode_broker(&mut body)?),
            REMOVE_BROKER => MetadataRecord::RemoveBroker { node_id: body.i32()?, epoch: body.i64()? },
            FENCING => MetadataRecord::Fencing(FencingRecord {
                node_id: body.i32()?,
                epoch: body.i64()?,
                fenced: body.bool()?,
            }),
            TOPIC => MetadataRecord::Topic(TopicRecord { name: body.string()?, id: body.uuid()? }),
            PARTITION => MetadataRecord::Partition(decode_partition(&mut body)?),
            PARTITION_CHANGE => MetadataRecord::PartitionChange(decode_partition_change(&mut body)?),
            REMOVE_TOPIC => MetadataRecord::RemoveTopic { id: body.uuid()? },
            CONFIG => MetadataRecord::Config(decode_config(&mut body, record_type)?),
            PRODUCER_IDS => MetadataRecord::ProducerIds(ProducerIdsRecord {
                node_id: body.i32()?,
                broker_epoch: body.i64()?,
                next: body.i64()?,
            }),
            _ => return Err(RecordError::Newer { record_type, version }),
        };
        body.finish()?;
        Ok(record)
    }
}

fn decode_level(body: &mut Decoder<'_>) -> Result<i16, RecordError> {
    let level = body.i32()?;
    i16::try_from(level).map_err(|_| RecordError::Malformed(format!("{level} is no feature level")))
}

fn decode_config(body: &mut Decoder<'_>, record_type: u16) -> Result<ConfigRecord, RecordError> {
    let code = body.u8()?;
    // A kind of resource that is not known is a newer program's doing, like a type that is not known.
    let kind =
        ConfigResourceKind::from_code(code).ok_or(RecordError::Newer { record_type, version: VERSION })?;
    Ok(ConfigRecord {
        resource: ConfigResource { kind, name: body.string()? },
        key: body.string()?,
        value: body.option(Decoder::string)?,
    })
}

pub(crate) fn encode_endpoint(encoder: &mut Encoder, endpoint: &Endpoint) {
    encoder.string(&endpoint.name);
    encoder.string(&endpoint.host);
    encoder.u16(endpoint.port);
}

pub(crate) fn decode_endpoint(decoder: &mut Decoder<'_>) -> Result<Endpoint, RecordError> {
    Ok(Endpoint { name: decoder.string()?, host: decoder.string()?, port: decoder.u16()? })
}

/// Two empty strings and a port.
pub(crate) const ENDPOINT_SIZE_MIN: usize = 10;

fn encode_broker(record: &BrokerRecord, encoder: &mut Encoder) {
    encoder.i32(record.node_id);
    encoder.uuid(record.incarnation);
    encoder.i64(record.epoch.unwrap_or(EPOCH_OF_ENTRY));
    encoder.list(&record.endpoints, encode_endpoint);
    encoder.option(record.rack.as_deref(), Encoder::string);
    encoder.list(&record.directories, |encoder, id| encoder.uuid(*id));
    encoder.bool(record.fenced);
}

fn decode_broker(body: &mut Decoder<'_>) -> Result<BrokerRecord, RecordError> {
    Ok(BrokerRecord {
        node_id: body.i32()?,
        incarnation: body.uuid()?,
        epoch: Some(body.i64()?).filter(|epoch| *epoch != EPOCH_OF_ENTRY),
        endpoints: body.list(ENDPOINT_SIZE_MIN, decode_endpoint)?,
        rack: body.option(Decoder::string)?,
        directories: body.list(16, Decoder::uuid)?,
        fenced: body.bool()?,
    })
}

fn encode_ids(encoder: &mut Encoder, ids: &[i32]) {
    encoder.list(ids, |encoder, id| encoder.i32(*id));
}

fn encode_directories(encoder: &mut Encoder, directories: &[headwater_record::Uuid]) {
    encoder.list(directories, |encoder, id| encoder.uuid(*id));
}

fn decode_ids(decoder: &mut Decoder<'_>) -> Result<Vec<i32>, RecordError> {
    decoder.list(4, Decoder::i32)
}

fn decode_directories(decoder: &mut Decoder<'_>) -> Result<Vec<headwater_record::Uuid>, RecordError> {
    decoder.list(16, Decoder::uuid)
}

fn encode_partition(record: &PartitionRecord, encoder: &mut Encoder) {
    encoder.uuid(record.topic_id);
    encoder.i32(record.partition);
    encode_ids(encoder, &record.replicas);
    encode_ids(encoder, &record.isr);
    encode_ids(encoder, &record.elr);
    encode_ids(encoder, &record.last_known_elr);
    encoder.i32(record.leader);
    encoder.i32(record.leader_epoch);
    encoder.i32(record.partition_epoch);
    encode_directories(encoder, &record.directories);
}

fn decode_partition(body: &mut Decoder<'_>) -> Result<PartitionRecord, RecordError> {
    Ok(PartitionRecord {
        topic_id: body.uuid()?,
        partition: body.i32()?,
        replicas: decode_ids(body)?,
        isr: decode_ids(body)?,
        elr: decode_ids(body)?,
        last_known_elr: decode_ids(body)?,
        leader: body.i32()?,
        leader_epoch: body.i32()?,
        partition_epoch: body.i32()?,
        directories: decode_directories(body)?,
    })
}

fn encode_partition_change(record: &PartitionChangeRecord, encoder: &mut Encoder) {
    encoder.uuid(record.topic_id);
    encoder.i32(record.partition);
    encoder.option(record.replicas.as_deref(), encode_ids);
    encoder.option(record.isr.as_deref(), encode_ids);
    encoder.option(record.elr.as_deref(), encode_ids);
    encoder.option(record.last_known_elr.as_deref(), encode_ids);
    encoder.option(record.leader, Encoder::i32);
    encoder.option(record.directories.as_deref(), encode_directories);
}

fn decode_partition_change(body: &mut Decoder<'_>) -> Result<PartitionChangeRecord, RecordError> {
    Ok(PartitionChangeRecord {
        topic_id: body.uuid()?,
        partition: body.i32()?,
        replicas: body.option(decode_ids)?,
        isr: body.option(decode_ids)?,
        elr: body.option(decode_ids)?,
        last_known_elr: body.option(decode_ids)?,
        leader: body.option(Decoder::i32)?,
        directories: body.option(decode_directories)?,
    })
}

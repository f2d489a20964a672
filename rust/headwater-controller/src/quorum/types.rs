//! What openraft is told about our types, and how those of its values that we keep lie in bytes.
//!
//! The formats are written out here by hand: openraft's own serialisation is switched off.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use headwater_record::Uuid;
use openraft::impls::{
    BoxedErrorSource, Entry, EntryPayload, InlineBatch, LogId, OneshotResponder, Vote, leader_id_std,
};
use openraft::vote::RaftLeaderId;
use openraft::{Membership, OptionalSend, RaftTypeConfig, StoredMembership};
use openraft_rt_tokio::TokioRuntime;

use crate::image::{Endpoint, MetadataImage};
use crate::records::format::{ENDPOINT_SIZE_MIN, decode_endpoint, encode_endpoint};
use crate::records::{Decoder, Encoder, RecordError};

/// Raft as this crate uses it: one leader per term, tokio underneath.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TypeConfig;

pub(super) type LeaderId = leader_id_std::LeaderId<u64, u64>;
pub(super) type CommittedLeaderId = <LeaderId as RaftLeaderId>::Committed;
pub(super) type RaftLogId = LogId<CommittedLeaderId>;
pub(super) type RaftVote = Vote<LeaderId>;
pub(super) type Payload = EntryPayload<Proposal, u64, Voter>;
pub(super) type RaftEntry = Entry<CommittedLeaderId, Payload>;
pub(super) type Members = Membership<u64, Voter>;
pub(super) type StoredMembers = StoredMembership<CommittedLeaderId, u64, Voter>;

impl RaftTypeConfig for TypeConfig {
    type D = Proposal;
    type R = Applied;
    type NodeId = u64;
    type Node = Voter;
    type Term = u64;
    type LeaderId = LeaderId;
    type Vote = RaftVote;
    type Payload = Payload;
    type Entry = RaftEntry;
    type AsyncRuntime = TokioRuntime;
    type Responder<T>
        = OneshotResponder<Self, T>
    where
        T: OptionalSend + 'static;
    type Batch<T>
        = InlineBatch<T>
    where
        T: OptionalSend + 'static;
    type ErrorSource = BoxedErrorSource;
}

/// What an entry carries: one encoded batch of metadata records.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Proposal(pub(super) Bytes);

impl fmt::Debug for Proposal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Proposal({} bytes)", self.0.len())
    }
}

impl fmt::Display for Proposal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} bytes of records", self.0.len())
    }
}

/// What openraft hands back when an entry is applied: the image right after it.
#[derive(Debug, Clone)]
pub(crate) struct Applied(pub(super) Arc<MetadataImage>);

/// Who a raft id stands for and where it is reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Voter {
    pub(super) node_id: i32,
    pub(super) directory: Uuid,
    pub(super) endpoints: Vec<Endpoint>,
}

pub(super) fn log_id(term: u64, index: u64) -> RaftLogId {
    LogId::new_term_index(term, index)
}

pub(super) fn encode_log_id(encoder: &mut Encoder, id: &RaftLogId) {
    encoder.u64(id.leader_id.term);
    encoder.u64(id.index);
}

pub(super) fn decode_log_id(decoder: &mut Decoder<'_>) -> Result<RaftLogId, RecordError> {
    let (term, index) = (decoder.u64()?, decoder.u64()?);
    // Nothing could follow it, so nobody has written it; whoever reads it may count on.
    if index == u64::MAX {
        return Err(RecordError::Malformed("no entry of a log has the largest index there is".into()));
    }
    Ok(log_id(term, index))
}

pub(super) fn encode_vote(encoder: &mut Encoder, vote: &RaftVote) {
    encoder.u64(vote.leader_id.term);
    encoder.u64(vote.leader_id.voted_for);
    encoder.bool(vote.committed);
}

pub(super) fn decode_vote(decoder: &mut Decoder<'_>) -> Result<RaftVote, RecordError> {
    let leader_id = LeaderId { term: decoder.u64()?, voted_for: decoder.u64()? };
    Ok(RaftVote { leader_id, committed: decoder.bool()? })
}

const BLANK: u8 = 0;
const RECORDS: u8 = 1;
const MEMBERSHIP: u8 = 2;

pub(super) fn encode_entry(encoder: &mut Encoder, entry: &RaftEntry) {
    encode_log_id(encoder, &entry.log_id);
    match &entry.payload {
        EntryPayload::Blank => encoder.u8(BLANK),
        EntryPayload::Normal(proposal) => {
            encoder.u8(RECORDS);
            encoder.raw(&proposal.0);
        }
        EntryPayload::Membership(members) => {
            encoder.u8(MEMBERSHIP);
            encode_members(encoder, members);
        }
    }
}

pub(super) fn decode_entry(decoder: &mut Decoder<'_>) -> Result<RaftEntry, RecordError> {
    let log_id = decode_log_id(decoder)?;
    let payload = match decoder.u8()? {
        BLANK => EntryPayload::Blank,
        RECORDS => EntryPayload::Normal(Proposal(Bytes::copy_from_slice(decoder.raw(decoder.remaining())?))),
        MEMBERSHIP => EntryPayload::Membership(decode_members(decoder)?),
        other => return Err(RecordError::Malformed(format!("{other} is no kind of log entry"))),
    };
    Ok(RaftEntry { log_id, payload })
}

pub(super) fn encode_members(encoder: &mut Encoder, members: &Members) {
    encoder.list(members.get_joint_config(), |encoder, config| {
        let ids: Vec<u64> = config.iter().copied().collect();
        encoder.list(&ids, |encoder, id| encoder.u64(*id));
    });
    let nodes: Vec<(&u64, &Voter)> = members.nodes().collect();
    encoder.list(&nodes, |encoder, (raft_id, voter)| {
        encoder.u64(**raft_id);
        encoder.i32(voter.node_id);
        encoder.uuid(voter.directory);
        encoder.list(&voter.endpoints, encode_endpoint);
    });
}

pub(super) fn decode_members(decoder: &mut Decoder<'_>) -> Result<Members, RecordError> {
    let configs = decoder
        .list(4, |decoder| Ok(decoder.list(8, Decoder::u64)?.into_iter().collect::<BTreeSet<u64>>()))?;
    let nodes = decoder.list(32, |decoder| {
        let raft_id = decoder.u64()?;
        let voter = Voter {
            node_id: decoder.i32()?,
            directory: decoder.uuid()?,
            endpoints: decoder.list(ENDPOINT_SIZE_MIN, decode_endpoint)?,
        };
        Ok((raft_id, voter))
    })?;
    let nodes: BTreeMap<u64, Voter> = nodes.into_iter().collect();
    Membership::new(configs, nodes).map_err(|error| RecordError::Malformed(format!("membership: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_round_trip() {
        let voter = Voter {
            node_id: 7,
            directory: Uuid::from_bytes([3; 16]),
            endpoints: vec![Endpoint { name: "CONTROLLER".into(), host: "a".into(), port: 9093 }],
        };
        let members =
            Membership::new(vec![BTreeSet::from([1])], BTreeMap::from([(1, voter.clone()), (2, voter)]))
                .unwrap();
        for payload in [
            EntryPayload::Blank,
            EntryPayload::Normal(Proposal(Bytes::from_static(b"abc"))),
            EntryPayload::Membership(members),
            EntryPayload::Membership(Members::default()),
        ] {
            let entry = RaftEntry { log_id: log_id(3, 9), payload };
            let mut encoder = Encoder::new();
            encode_entry(&mut encoder, &entry);
            let bytes = encoder.into_bytes();
            let mut decoder = Decoder::new(&bytes);
            assert_eq!(decode_entry(&mut decoder), Ok(entry));
            assert_eq!(decoder.finish(), Ok(()));
        }
    }
}

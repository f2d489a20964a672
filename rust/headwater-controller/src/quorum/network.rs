//! The way to other controllers. There are none yet: everybody is unreachable.

use openraft::OptionalSend;
use openraft::errors::{RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{RPCOption, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse,
};
use openraft::storage::Snapshot;

use super::snapshot::SnapshotBytes;
use super::types::{CommittedLeaderId, RaftVote, TypeConfig, Voter};

/// Makes connections to other controllers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Network;

/// A connection to one controller.
#[derive(Debug)]
pub(super) struct Peer {
    raft_id: u64,
    node_id: i32,
}

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = Peer;

    async fn new_client(&mut self, target: u64, node: &Voter) -> Peer {
        Peer { raft_id: target, node_id: node.node_id }
    }
}

impl Peer {
    fn unreachable(&self) -> Unreachable<TypeConfig> {
        let reason = format!("no way leads to controller {} (raft id {})", self.node_id, self.raft_id);
        Unreachable::new(&std::io::Error::new(std::io::ErrorKind::NotConnected, reason))
    }
}

impl RaftNetworkV2<TypeConfig> for Peer {
    type SnapshotData = SnapshotBytes;

    async fn append_entries(
        &mut self,
        _: AppendEntriesRequest<TypeConfig>,
        _: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, RPCError<TypeConfig>> {
        Err(self.unreachable().into())
    }

    async fn vote(
        &mut self,
        _: VoteRequest<TypeConfig>,
        _: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        Err(self.unreachable().into())
    }

    /// Not left to the default, which would count silence as a vote.
    async fn pre_vote(
        &mut self,
        _: VoteRequest<TypeConfig>,
        _: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        Err(self.unreachable().into())
    }

    async fn full_snapshot(
        &mut self,
        _: RaftVote,
        _: Snapshot<CommittedLeaderId, u64, Voter, SnapshotBytes>,
        _: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        Err(self.unreachable().into())
    }
}

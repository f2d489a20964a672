//! The group APIs over the protocol: every version of each, errors by version, pipelining, restarts.

use bytes::Bytes;
use headwater_env::net::{MemoryConnection, MemoryNetwork};
use headwater_env::sim::{self, SimEnv};
use headwater_protocol::messages::create_topics::{CreatableTopic, CreateTopicsRequest};
use headwater_protocol::messages::delete_groups::DeleteGroupsRequest;
use headwater_protocol::messages::delete_topics::{DeleteTopicState, DeleteTopicsRequest};
use headwater_protocol::messages::describe_groups::DescribeGroupsRequest;
use headwater_protocol::messages::find_coordinator::FindCoordinatorRequest;
use headwater_protocol::messages::heartbeat::HeartbeatRequest;
use headwater_protocol::messages::join_group::{
    JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse,
};
use headwater_protocol::messages::leave_group::{LeaveGroupRequest, MemberIdentity};
use headwater_protocol::messages::list_groups::ListGroupsRequest;
use headwater_protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use headwater_protocol::messages::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use headwater_protocol::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use headwater_protocol::messages::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment};
use headwater_protocol::{ErrorCode, Request, Str, Uuid, frame};

use crate::{Broker, BrokerConfig, BrokerHandle};

async fn start(env: &SimEnv) -> BrokerHandle<SimEnv> {
    let mut config = BrokerConfig::new("/data");
    config.listen(Vec::new());
    config.set("offsets.topic.num.partitions", "5").expect("a known key");
    Broker::start(env.clone(), config, Some(MemoryNetwork::new())).await.expect("a broker")
}

struct Client(MemoryConnection);

impl Client {
    async fn connect(broker: &BrokerHandle<SimEnv>) -> Client {
        let network = broker.memory_network().expect("a network");
        Client(network.connect(broker.node_id()).await.expect("a connection"))
    }

    async fn send<R: Request>(&mut self, request: &R, version: i16) {
        let writer = frame::encode_request(request, version, 7, Some("tester".into())).expect("a request");
        self.0.send(writer.into_chunks()).await.expect("sent");
    }

    async fn receive<R: Request>(&mut self, version: i16) -> R::Response {
        let frame = self.0.recv().await.expect("a connection").expect("an answer");
        frame::decode_response::<R>(Bytes::from(frame.concat()), version).expect("a response").1
    }

    async fn call<R: Request>(&mut self, request: &R, version: i16) -> R::Response {
        self.send(request, version).await;
        self.receive::<R>(version).await
    }

    /// Calls in the version nearest to `version` that we serve; `version` then is that one.
    async fn call_near<R: Request>(&mut self, request: &R, version: i16) -> R::Response {
        self.call(request, near::<R>(version)).await
    }

    async fn create_topic(&mut self) -> Uuid {
        let topic = CreatableTopic {
            name: "t".into(),
            num_partitions: 2,
            replication_factor: 1,
            ..CreatableTopic::default()
        };
        let request = CreateTopicsRequest { topics: vec![topic], ..CreateTopicsRequest::default() };
        self.call(&request, 7).await.topics[0].topic_id
    }

    async fn find(&mut self, group: &str) {
        let request = FindCoordinatorRequest { key: group.into(), ..FindCoordinatorRequest::default() };
        let found = self.call(&request, 1).await;
        assert_eq!((found.error_code, found.node_id), (0, 1));
    }

    async fn commit(&mut self, group: &str, offset: i64, version: i16) -> i16 {
        let request = commit(group, offset, Uuid::ZERO, version);
        self.call(&request, version).await.topics[0].partitions[0].error_code
    }

    async fn committed(&mut self, group: &str) -> (i64, String) {
        let response = self.call(&fetch_named(group), 7).await;
        assert_eq!(response.error_code, 0);
        let partition = &response.topics[0].partitions[0];
        assert_eq!(partition.error_code, 0);
        (partition.committed_offset, partition.metadata.as_deref().unwrap_or("null").to_owned())
    }
}

fn near<R: Request>(version: i16) -> i16 {
    let (_, min, max) =
        crate::handlers::advertised::<SimEnv>().find(|(key, _, _)| *key == R::API_KEY).expect("served");
    assert_eq!(
        (min, max),
        (R::MIN_VERSION.max(min), R::MAX_VERSION.min(max)),
        "all that can be said is served"
    );
    version.clamp(min, max)
}

fn commit(group: &str, offset: i64, topic_id: Uuid, version: i16) -> OffsetCommitRequest {
    let by_id = version >= 10;
    let partition = OffsetCommitRequestPartition {
        committed_offset: offset,
        committed_metadata: Some("note".into()),
        ..OffsetCommitRequestPartition::default()
    };
    let topic = OffsetCommitRequestTopic {
        name: if by_id { Str::new() } else { "t".into() },
        topic_id: if by_id { topic_id } else { Uuid::ZERO },
        partitions: vec![partition],
    };
    OffsetCommitRequest { group_id: group.into(), topics: vec![topic], ..OffsetCommitRequest::default() }
}

fn fetch_named(group: &str) -> OffsetFetchRequest {
    let topic = OffsetFetchRequestTopic { name: "t".into(), partition_indexes: vec![0] };
    OffsetFetchRequest { group_id: group.into(), topics: Some(vec![topic]), ..OffsetFetchRequest::default() }
}

fn fetch_batched(group: &str, topic_id: Uuid, version: i16) -> OffsetFetchRequest {
    let by_id = version >= 10;
    let topic = OffsetFetchRequestTopics {
        name: if by_id { Str::new() } else { "t".into() },
        topic_id: if by_id { topic_id } else { Uuid::ZERO },
        partition_indexes: vec![0],
    };
    let everything = OffsetFetchRequestGroup { group_id: group.into(), topics: None, ..Default::default() };
    let named =
        OffsetFetchRequestGroup { group_id: group.into(), topics: Some(vec![topic]), ..Default::default() };
    OffsetFetchRequest { groups: vec![named, everything], ..OffsetFetchRequest::default() }
}

fn join(group: &str, member: &str) -> JoinGroupRequest {
    JoinGroupRequest {
        group_id: group.into(),
        session_timeout_ms: 30_000,
        rebalance_timeout_ms: 60_000,
        member_id: member.into(),
        protocol_type: "consumer".into(),
        protocols: vec![JoinGroupRequestProtocol {
            name: "range".into(),
            metadata: Bytes::from_static(b"\0\0\0\0\0\x01\0\x01t\xff\xff\xff\xff"),
        }],
        ..JoinGroupRequest::default()
    }
}

/// The life of a group with one member, all APIs in the version nearest to `version`.
async fn life(client: &mut Client, group: &str, topic_id: Uuid, version: i16) {
    find_coordinator(client, group, version).await;
    let joined = join_group(client, group, version).await;
    let (member, generation) = (&*joined.member_id, joined.generation_id);
    assert_eq!((generation, joined.protocol_name.as_deref()), (1, Some("range")));
    assert_eq!((joined.leader.as_str(), joined.members.len()), (member, 1));

    let assignment = Bytes::from_static(b"all");
    let sync = SyncGroupRequest {
        group_id: group.into(),
        generation_id: generation,
        member_id: member.into(),
        protocol_type: Some("consumer".into()).filter(|_| version >= 5),
        protocol_name: Some("range".into()).filter(|_| version >= 5),
        assignments: vec![SyncGroupRequestAssignment {
            member_id: member.into(),
            assignment: assignment.clone(),
        }],
        ..SyncGroupRequest::default()
    };
    let synced = client.call_near(&sync, version).await;
    assert_eq!((synced.error_code, &synced.assignment), (0, &assignment));

    let beat = HeartbeatRequest {
        group_id: group.into(),
        generation_id: generation,
        member_id: member.into(),
        ..HeartbeatRequest::default()
    };
    assert_eq!(client.call_near(&beat, version).await.error_code, 0);
    commit_and_fetch(client, group, topic_id, version, &joined).await;
    describe_and_list(client, group, version, &joined).await;
    leave_and_delete(client, group, version, member).await;
}

async fn find_coordinator(client: &mut Client, group: &str, version: i16) {
    let is_batched = version >= 4;
    let request = FindCoordinatorRequest {
        key: if is_batched { Str::new() } else { group.into() },
        coordinator_keys: if is_batched { vec![group.into(), "another".into()] } else { Vec::new() },
        ..FindCoordinatorRequest::default()
    };
    let found = client.call_near(&request, version).await;
    if is_batched {
        assert_eq!(found.coordinators.len(), 2);
        assert!(found.coordinators.iter().all(|found| (found.error_code, found.node_id) == (0, 1)));
    } else {
        assert_eq!((found.error_code, found.node_id), (0, 1));
    }
}

async fn join_group(client: &mut Client, group: &str, version: i16) -> JoinGroupResponse {
    let first = client.call_near(&join(group, ""), version).await;
    if version < 4 {
        return first;
    }
    assert_eq!(first.error_code, ErrorCode::MemberIdRequired.code());
    client.call_near(&join(group, &first.member_id), version).await
}

async fn commit_and_fetch(
    client: &mut Client,
    group: &str,
    topic_id: Uuid,
    version: i16,
    joined: &JoinGroupResponse,
) {
    let request = OffsetCommitRequest {
        generation_id_or_member_epoch: joined.generation_id,
        member_id: joined.member_id.clone(),
        ..commit(group, 42, topic_id, version)
    };
    assert_eq!(client.call_near(&request, version).await.topics[0].partitions[0].error_code, 0);
    if version < 8 {
        let fetched = client.call_near(&fetch_named(group), version).await;
        let partition = &fetched.topics[0].partitions[0];
        assert_eq!((partition.committed_offset, partition.metadata.as_deref()), (42, Some("note")));
        return;
    }
    let fetched = client.call_near(&fetch_batched(group, topic_id, version), version).await;
    assert_eq!(fetched.groups.len(), 2);
    for group in &fetched.groups {
        assert_eq!((group.error_code, group.topics.len()), (0, 1));
        let topic = &group.topics[0];
        assert_eq!((topic.partitions[0].committed_offset, topic.partitions[0].error_code), (42, 0));
        assert_eq!(topic.topic_id, if version >= 10 { topic_id } else { Uuid::ZERO });
    }
}

async fn describe_and_list(client: &mut Client, group: &str, version: i16, joined: &JoinGroupResponse) {
    let request = DescribeGroupsRequest {
        groups: vec![group.into(), "nothing".into()],
        include_authorized_operations: version >= 3,
    };
    let described = client.call_near(&request, version).await.groups;
    assert_eq!((described[0].error_code, described[0].group_state.as_str()), (0, "Stable"));
    assert_eq!(
        (described[0].protocol_type.as_str(), described[0].protocol_data.as_str()),
        ("consumer", "range")
    );
    let member = &described[0].members[0];
    assert_eq!((&member.member_id, member.client_id.as_str()), (&joined.member_id, "tester"));
    assert_eq!((&member.member_assignment[..], member.member_metadata.is_empty()), (&b"all"[..], false));
    assert_eq!(described[0].authorized_operations != i32::MIN, version >= 3);
    let missing = if version >= 6 { ErrorCode::GroupIdNotFound } else { ErrorCode::None };
    assert_eq!((described[1].error_code, described[1].group_state.as_str()), (missing.code(), "Dead"));

    let request = ListGroupsRequest {
        states_filter: if version >= 4 { vec!["stable".into()] } else { Vec::new() },
        types_filter: if version >= 5 { vec!["Classic".into()] } else { Vec::new() },
    };
    let listed = client.call_near(&request, version).await.groups;
    let found = listed.iter().find(|listed| listed.group_id == group).expect("listed");
    assert_eq!(found.group_state, if version >= 4 { "Stable" } else { "" });
    assert_eq!(found.group_type, if version >= 5 { "classic" } else { "" });
}

async fn leave_and_delete(client: &mut Client, group: &str, version: i16, member: &str) {
    let delete = DeleteGroupsRequest { groups_names: vec![group.into(), "nothing".into(), group.into()] };
    let refused = client.call_near(&delete, version).await.results;
    let codes: Vec<i16> = refused.iter().map(|result| result.error_code).collect();
    assert_eq!(codes, [ErrorCode::NonEmptyGroup.code(), ErrorCode::GroupIdNotFound.code()]);

    let is_batched = version >= 3;
    let identity = MemberIdentity { member_id: member.into(), ..MemberIdentity::default() };
    let leave = LeaveGroupRequest {
        group_id: group.into(),
        member_id: if is_batched { Str::new() } else { member.into() },
        members: if is_batched { vec![identity] } else { Vec::new() },
    };
    let left = client.call_near(&leave, version).await;
    assert_eq!((left.error_code, left.members.len()), (0, usize::from(is_batched)));
    let again = client.call_near(&leave, version).await;
    let code = if is_batched { again.members[0].error_code } else { again.error_code };
    assert_eq!(code, ErrorCode::UnknownMemberId.code());

    let partition = OffsetDeleteRequestPartition { partition_index: 0 };
    let topic =
        |name: &str| OffsetDeleteRequestTopic { name: name.into(), partitions: vec![partition.clone()] };
    let forget = OffsetDeleteRequest { group_id: group.into(), topics: vec![topic("t"), topic("nothing")] };
    let forgotten = client.call_near(&forget, version).await.topics;
    let code = |name: &str| {
        let topic = forgotten.iter().find(|topic| topic.name == name).expect("answered");
        ErrorCode::from_wire(topic.partitions[0].error_code)
    };
    assert_eq!((code("t"), code("nothing")), (ErrorCode::None, ErrorCode::UnknownTopicOrPartition));
    let deleted = client.call_near(&delete, version).await.results;
    assert_eq!(deleted[0].error_code, 0);
}

#[test]
fn every_version_of_every_api_works() {
    sim::run(1, |env| async move {
        let broker = start(&env).await;
        let mut client = Client::connect(&broker).await;
        let topic_id = client.create_topic().await;
        for version in 0..=10 {
            life(&mut client, &format!("group-{version}"), topic_id, version).await;
        }
        broker.stop().await.expect("stopped");
    });
}

#[test]
fn errors_are_those_that_the_version_knows() {
    sim::run(2, |env| async move {
        let broker = start(&env).await;
        let mut client = Client::connect(&broker).await;
        client.create_topic().await;
        assert_eq!(
            client.commit("g", 1, 8).await,
            ErrorCode::NotCoordinator.code(),
            "nobody asked for one yet"
        );
        client.find("g").await;

        let stale = |version| OffsetCommitRequest {
            generation_id_or_member_epoch: 3,
            member_id: "m".into(),
            ..commit("g", 1, Uuid::ZERO, version)
        };
        for (version, code) in [(8, ErrorCode::IllegalGeneration), (9, ErrorCode::GroupIdNotFound)] {
            let response = client.call(&stale(version), version).await;
            assert_eq!(response.topics[0].partitions[0].error_code, code.code());
        }
        let unknown = commit("g", 1, Uuid::from_bytes([9; 16]), 10);
        let response = client.call(&unknown, 10).await;
        assert_eq!(response.topics[0].partitions[0].error_code, ErrorCode::UnknownTopicId.code());
        let mut unnamed = commit("g", 1, Uuid::ZERO, 9);
        unnamed.topics[0].name = "nothing".into();
        unnamed.topics.push(commit("g", 5, Uuid::ZERO, 9).topics.remove(0));
        let response = client.call(&unnamed, 9).await;
        let codes: Vec<i16> = response.topics.iter().map(|topic| topic.partitions[0].error_code).collect();
        assert_eq!(codes, [ErrorCode::UnknownTopicOrPartition.code(), 0]);
        assert_eq!(client.committed("g").await, (5, "note".to_owned()));
        let mut beyond = commit("g", 6, Uuid::ZERO, 9);
        let partition = |partition_index| OffsetCommitRequestPartition {
            partition_index,
            ..beyond.topics[0].partitions[0].clone()
        };
        let partitions = [99, 0, -1].map(partition).to_vec();
        beyond.topics[0].partitions = partitions;
        let response = client.call(&beyond, 9).await;
        let unknown = ErrorCode::UnknownTopicOrPartition.code();
        let codes = response.topics[0].partitions.iter().map(|one| (one.partition_index, one.error_code));
        assert_eq!(
            codes.collect::<Vec<_>>(),
            [(99, unknown), (0, 0), (-1, unknown)],
            "t has no such partitions"
        );
        assert_eq!(client.committed("g").await, (6, "note".to_owned()));

        let twice = DescribeGroupsRequest { groups: vec!["g".into(); 3], ..DescribeGroupsRequest::default() };
        assert_eq!(client.call(&twice, 5).await.groups.len(), 1, "named three times, described once");
        let group = OffsetFetchRequestGroup { group_id: "g".into(), topics: None, ..Default::default() };
        let twice = OffsetFetchRequest { groups: vec![group; 2], ..OffsetFetchRequest::default() };
        let codes: Vec<i16> =
            client.call(&twice, 8).await.groups.iter().map(|group| group.error_code).collect();
        assert_eq!(codes, [0, ErrorCode::InvalidRequest.code()]);

        let transactional = FindCoordinatorRequest { key: "x".into(), key_type: 1, ..Default::default() };
        let found = client.call(&transactional, 3).await;
        assert_eq!(found.error_code, ErrorCode::InvalidRequest.code());
        let refused = client.call(&JoinGroupRequest { session_timeout_ms: 1, ..join("g", "") }, 5).await;
        assert_eq!(refused.error_code, ErrorCode::InvalidSessionTimeout.code());
        assert_eq!(refused.protocol_name.as_deref(), Some(""), "not null before version 7");
        let sync = SyncGroupRequest { group_id: "g".into(), ..SyncGroupRequest::default() };
        let code = client.call(&sync, 5).await.error_code;
        assert_eq!(code, ErrorCode::InconsistentGroupProtocol.code(), "version 5 must name the protocol");
    });
}

#[test]
fn pipelined_requests_take_effect_in_order() {
    sim::run(3, |env| async move {
        let broker = start(&env).await;
        let mut client = Client::connect(&broker).await;
        client.create_topic().await;
        client.find("g").await;
        let delete = DeleteGroupsRequest { groups_names: vec!["g".into()] };
        for round in 0..20 {
            client.send(&commit("g", round, Uuid::ZERO, 9), 9).await;
            client.send(&delete, 2).await;
            client.send(&commit("g", round + 100, Uuid::ZERO, 9), 9).await;
            assert_eq!(client.receive::<OffsetCommitRequest>(9).await.topics[0].partitions[0].error_code, 0);
            assert_eq!(client.receive::<DeleteGroupsRequest>(2).await.results[0].error_code, 0);
            assert_eq!(client.receive::<OffsetCommitRequest>(9).await.topics[0].partitions[0].error_code, 0);
            assert_eq!(client.committed("g").await.0, round + 100);
        }
    });
}

#[test]
fn what_was_answered_survives_a_stop_and_a_power_cut() {
    for seed in 0..8 {
        sim::run(seed, |env| async move {
            let broker = start(&env).await;
            let mut client = Client::connect(&broker).await;
            client.create_topic().await;
            client.find("g").await;
            assert_eq!(client.commit("g", 1, 9).await, 0);
            broker.stop().await.expect("stopped");

            let broker = start(&env).await;
            let mut client = Client::connect(&broker).await;
            client.find("g").await;
            assert_eq!(client.committed("g").await, (1, "note".to_owned()));
            assert_eq!(client.commit("g", 2, 9).await, 0);
            let env = env.power_cut().await;

            let broker = start(&env).await;
            let mut client = Client::connect(&broker).await;
            client.find("g").await;
            assert_eq!(client.committed("g").await.0, 2);
        });
    }
}

#[test]
fn offsets_go_with_their_topic() {
    sim::run(5, |env| async move {
        let broker = start(&env).await;
        let mut client = Client::connect(&broker).await;
        client.create_topic().await;
        client.find("g").await;
        assert_eq!(client.commit("g", 7, 9).await, 0);
        let topic = DeleteTopicState { name: Some("t".into()), ..DeleteTopicState::default() };
        let request = DeleteTopicsRequest { topics: vec![topic], ..DeleteTopicsRequest::default() };
        assert_eq!(client.call(&request, 6).await.responses[0].error_code, 0);
        client.create_topic().await;
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        assert_eq!(client.committed("g").await.0, -1);
    });
}

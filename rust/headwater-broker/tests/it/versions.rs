//! Every version that is advertised is answered in that version, with values in all fields that it has.

use headwater_protocol::messages::api_versions::ApiVersionsRequest;
use headwater_protocol::messages::create_partitions::{CreatePartitionsRequest, CreatePartitionsTopic};
use headwater_protocol::messages::delete_records::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};
use headwater_protocol::messages::delete_topics::{DeleteTopicState, DeleteTopicsRequest};
use headwater_protocol::messages::describe_cluster::DescribeClusterRequest;
use headwater_protocol::messages::describe_configs::{DescribeConfigsRequest, DescribeConfigsResource};
use headwater_protocol::messages::describe_log_dirs::DescribeLogDirsRequest;
use headwater_protocol::messages::init_producer_id::InitProducerIdRequest;
use headwater_protocol::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use headwater_protocol::messages::offset_for_leader_epoch::{
    OffsetForLeaderEpochRequest, OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use headwater_protocol::{ApiKey, Str};

use crate::client::Client;
use crate::support::*;

/// Topics are named by id in Produce and Fetch from here on.
const TOPIC_IDS_SINCE: i16 = 13;

async fn ready() -> (Server, Client) {
    let server = Server::start().await;
    let mut client = server.memory().await;
    create_topic(&mut client, "t", 1, &[]).await;
    (server, client)
}

#[tokio::test]
async fn produce_and_fetch() {
    let (_server, mut client) = ready().await;
    let id = client.call(&all_topics(), 12).await.topics[0].topic_id;
    for version in 3..=13 {
        let mut request = produce_request("t", 0, batch(&["x"]), -1);
        if version >= TOPIC_IDS_SINCE {
            request.topic_data[0].name = Str::default();
            request.topic_data[0].topic_id = id;
        }
        let answer = client.call(&request, version).await;
        assert_eq!(answer.responses[0].partition_responses[0].error_code, 0, "Produce {version}");
        request.topic_data[0].partition_data[0].index = 5;
        request.topic_data[0].partition_data[0].records = Some(batch(&["x"]));
        let answer = client.call(&request, version).await;
        assert_ne!(answer.responses[0].partition_responses[0].error_code, 0, "Produce {version}");
    }
    for version in 4..=18 {
        let mut request = fetch_request("t", 0, 3);
        request.isolation_level = 1;
        if version >= TOPIC_IDS_SINCE {
            request.topics[0].topic = Str::default();
            request.topics[0].topic_id = id;
        }
        if version >= 7 {
            request.session_epoch = 0;
        }
        let answer = client.call(&request, version).await;
        assert_eq!(values_of(&answer).len(), 8, "Fetch {version}");
        request.topics[0].partitions[0].fetch_offset = 1000;
        let answer = client.call(&request, version).await;
        assert_ne!(answer.responses[0].partitions[0].error_code, 0, "Fetch {version}");
    }
}

#[tokio::test]
async fn offsets() {
    let (_server, mut client) = ready().await;
    produce_ok(&mut client, "t", 0, batch_at(1_000, &["x"])).await;
    for version in 1..=11 {
        for timestamp in [-1, -2, 0] {
            let partition = ListOffsetsPartition { partition_index: 0, timestamp, ..Default::default() };
            let topic = ListOffsetsTopic { name: Str::from("t"), partitions: vec![partition] };
            let request = ListOffsetsRequest { replica_id: -1, topics: vec![topic], ..Default::default() };
            let answer = client.call(&request, version).await;
            let found = &answer.topics[0].partitions[0];
            assert_eq!(
                (found.error_code, found.offset),
                (0, i64::from(timestamp == -1)),
                "{version} {timestamp}"
            );
        }
    }
    for version in 2..=4 {
        let partition = OffsetForLeaderPartition { partition: 0, leader_epoch: 0, ..Default::default() };
        let topic = OffsetForLeaderTopic { topic: Str::from("t"), partitions: vec![partition] };
        let request = OffsetForLeaderEpochRequest { topics: vec![topic], ..Default::default() };
        assert_eq!(client.call(&request, version).await.topics[0].partitions[0].end_offset, 1, "{version}");
    }
}

#[tokio::test]
async fn administration() {
    let (_server, mut client) = ready().await;
    for version in 0..=5 {
        let request = InitProducerIdRequest { transactional_id: None, ..init_producer() };
        assert_eq!(client.call(&request, version).await.error_code, 0, "InitProducerId {version}");
    }
    for version in 0..=3 {
        let topic =
            CreatePartitionsTopic { name: Str::from("t"), count: 2 + i32::from(version), assignments: None };
        let request = CreatePartitionsRequest { topics: vec![topic], ..Default::default() };
        assert_eq!(
            client.call(&request, version).await.results[0].error_code,
            0,
            "CreatePartitions {version}"
        );
        let again = client.call(&request, version).await;
        assert!(again.results[0].error_message.is_some());
    }
    for version in 0..=2 {
        let partition = DeleteRecordsPartition { partition_index: 0, offset: -1 };
        let topic = DeleteRecordsTopic { name: Str::from("t"), partitions: vec![partition] };
        let request = DeleteRecordsRequest { topics: vec![topic], timeout_ms: 100 };
        assert_eq!(client.call(&request, version).await.topics[0].partitions[0].error_code, 0);
        let cluster =
            DescribeClusterRequest { include_cluster_authorized_operations: true, ..Default::default() };
        assert_eq!(client.call(&cluster, version).await.cluster_authorized_operations, 8096);
    }
    for version in 1..=4 {
        let resource = DescribeConfigsResource {
            resource_type: 2,
            resource_name: Str::from("t"),
            configuration_keys: None,
        };
        let request = DescribeConfigsRequest {
            resources: vec![resource],
            include_synonyms: true,
            include_documentation: version >= 3,
        };
        let answer = client.call(&request, version).await;
        assert_eq!(
            answer.results[0].configs.len(),
            headwater_broker::config::topic_keys().len(),
            "{version}"
        );
    }
    for version in 1..=5 {
        let answer = client.call(&DescribeLogDirsRequest { topics: None }, version).await;
        assert_eq!(answer.results[0].topics[0].partitions.len(), 5, "DescribeLogDirs {version}");
    }
    for version in 1..=6 {
        let name = format!("short-lived-{version}");
        create_topic(&mut client, &name, 1, &[]).await;
        let mut request = DeleteTopicsRequest::default();
        match version {
            6 => {
                request.topics = vec![DeleteTopicState { name: Some(Str::from(&name)), ..Default::default() }]
            }
            _ => request.topic_names = vec![Str::from(&name)],
        }
        assert_eq!(client.call(&request, version).await.responses[0].error_code, 0, "DeleteTopics {version}");
        assert_ne!(client.call(&request, version).await.responses[0].error_code, 0, "DeleteTopics {version}");
    }
}

#[tokio::test]
async fn the_apis_that_clients_look_for_are_advertised() {
    let (_server, mut client) = ready().await;
    let answer = client.call(&ApiVersionsRequest::default(), 0).await;
    let range = |key: ApiKey| {
        let api = answer.api_keys.iter().find(|api| api.api_key == key as i16);
        api.map(|api| (api.min_version, api.max_version))
    };
    for (key, expected) in [
        (ApiKey::OffsetCommit, (2, 10)),
        (ApiKey::OffsetFetch, (1, 10)),
        (ApiKey::FindCoordinator, (0, 6)),
        (ApiKey::JoinGroup, (0, 9)),
        (ApiKey::Heartbeat, (0, 4)),
        (ApiKey::LeaveGroup, (0, 5)),
        (ApiKey::SyncGroup, (0, 5)),
        (ApiKey::DescribeGroups, (0, 6)),
        (ApiKey::ListGroups, (0, 5)),
        (ApiKey::DeleteGroups, (0, 2)),
        (ApiKey::OffsetDelete, (0, 0)),
        (ApiKey::InitProducerId, (0, 5)),
        (ApiKey::CreateTopics, (2, 7)),
        (ApiKey::IncrementalAlterConfigs, (0, 1)),
        (ApiKey::DescribeTopicPartitions, (0, 0)),
    ] {
        assert_eq!(range(key), Some(expected), "{}", key.name());
    }
}

//! ApiVersions, Metadata, DescribeCluster and their like.

use headwater_protocol::messages::api_versions::ApiVersionsRequest;
use headwater_protocol::messages::describe_cluster::DescribeClusterRequest;
use headwater_protocol::messages::describe_log_dirs::DescribeLogDirsRequest;
use headwater_protocol::messages::describe_producers::{
    DescribeProducersRequest, TopicRequest as ProducersTopic,
};
use headwater_protocol::messages::describe_topic_partitions::{DescribeTopicPartitionsRequest, TopicRequest};
use headwater_protocol::messages::metadata::{MetadataRequest, MetadataRequestTopic};
use headwater_protocol::{ApiKey, ErrorCode, Str, Uuid};

use crate::support::*;

fn named(names: &[&str]) -> MetadataRequest {
    let topic = |name: &&str| MetadataRequestTopic {
        name: Some(Str::from(*name)),
        ..MetadataRequestTopic::default()
    };
    MetadataRequest {
        topics: Some(names.iter().map(topic).collect()),
        allow_auto_topic_creation: false,
        ..MetadataRequest::default()
    }
}

#[tokio::test]
async fn api_versions_tells_what_old_clients_want_to_hear() {
    let server = Server::start().await;
    let mut client = server.tcp().await;
    for version in 0..=4 {
        let request = ApiVersionsRequest {
            client_software_name: Str::from("test"),
            client_software_version: Str::from("1.0"),
        };
        let response = client.call(&request, version).await;
        let range = |key: ApiKey| {
            let api = response.api_keys.iter().find(|api| api.api_key == key as i16);
            api.map(|api| (api.min_version, api.max_version))
        };
        assert_eq!(range(ApiKey::Produce), Some((0, 13)), "librdkafka compresses only then");
        assert_eq!(range(ApiKey::Fetch), Some((4, 18)));
        assert_eq!(range(ApiKey::DescribeCluster), Some((0, 2)));
        assert_eq!(range(ApiKey::ApiVersions), Some((0, 4)));
        assert!(response.finalized_features.is_empty() && response.finalized_features_epoch == -1);
    }
    let nameless = client.call(&ApiVersionsRequest::default(), 3).await;
    assert_eq!(ErrorCode::from_wire(nameless.error_code), ErrorCode::InvalidRequest);
}

#[tokio::test]
async fn every_version_of_metadata_names_the_broker_and_the_topic() {
    let server = Server::start().await;
    let mut client = server.tcp().await;
    create_topic(&mut client, "t", 2, &[]).await;
    let address = server.broker.local_address().unwrap();
    for version in 0..=13 {
        let mut request = named(&["t"]);
        // Before version 4 there is no way to say no.
        request.allow_auto_topic_creation = version < 4;
        let response = client.call(&request, version).await;
        let broker = &response.brokers[0];
        assert_eq!((broker.node_id, &*broker.host, broker.port), (1, "127.0.0.1", i32::from(address.port())));
        assert_eq!((response.topics[0].error_code, response.topics[0].partitions.len()), (0, 2));
        assert_eq!(response.topics[0].partitions[1].leader_id, 1);
        if version >= 1 {
            assert_eq!(response.controller_id, 1);
        }
        if version >= 2 {
            assert_eq!(response.cluster_id, Some(Str::from(server.broker.cluster_id().to_string())));
        }
        if version >= 10 {
            assert_ne!(response.topics[0].topic_id, Uuid::ZERO);
        }
    }
    let none = MetadataRequest { topics: Some(Vec::new()), ..MetadataRequest::default() };
    assert_eq!(client.call(&none, 0).await.topics.len(), 1, "in version 0 none means all");
    assert_eq!(client.call(&none, 1).await.topics.len(), 0);
    assert_eq!(client.call(&all_topics(), 1).await.topics.len(), 1);
    let mut request = named(&["t"]);
    request.include_topic_authorized_operations = true;
    request.include_cluster_authorized_operations = true;
    let response = client.call(&request, 8).await;
    assert_eq!(
        (response.topics[0].topic_authorized_operations, response.cluster_authorized_operations),
        (3576, 8096)
    );
}

#[tokio::test]
async fn topics_that_are_not_there_are_created_only_when_all_agree() {
    let server = Server::with(&[("num.partitions", "3")]).await;
    let mut client = server.tcp().await;
    let code = |response: &headwater_protocol::messages::metadata::MetadataResponse| {
        ErrorCode::from_wire(response.topics[0].error_code)
    };
    assert_eq!(code(&client.call(&named(&["new"]), 12).await), ErrorCode::UnknownTopicOrPartition);
    assert_eq!(code(&client.call(&named(&["bad name"]), 12).await), ErrorCode::InvalidTopicException);
    let mut request = named(&["new"]);
    request.allow_auto_topic_creation = true;
    let response = client.call(&request, 12).await;
    assert_eq!((code(&response), response.topics[0].partitions.len()), (ErrorCode::None, 3));
    produce_ok(&mut client, "new", 2, batch(&["at once"])).await;
    let twice = client.call(&named(&["new", "missing", "new"]), 12).await;
    let names: Vec<&str> = twice.topics.iter().filter_map(|topic| topic.name.as_deref()).collect();
    assert_eq!(names, ["new", "missing"], "named twice, answered once");
    let mut by_id = named(&[]);
    by_id.topics = Some(vec![MetadataRequestTopic { topic_id: Uuid::from_bytes([3; 16]), name: None }]);
    assert_eq!(code(&client.call(&by_id, 12).await), ErrorCode::UnknownTopicId);

    let strict = Server::with(&[("auto.create.topics.enable", "false")]).await;
    let mut client = strict.tcp().await;
    assert_eq!(code(&client.call(&request, 12).await), ErrorCode::UnknownTopicOrPartition);
}

#[tokio::test]
async fn the_cluster_its_directories_and_its_producers_are_described() {
    let server = Server::start().await;
    let mut client = server.tcp().await;
    create_topic(&mut client, "t", 2, &[]).await;
    produce_ok(&mut client, "t", 1, sequenced(42, 0, &["x", "y"])).await;
    let cluster = DescribeClusterRequest { endpoint_type: 1, ..DescribeClusterRequest::default() };
    for version in 0..=2 {
        let response = client.call(&cluster, version).await;
        assert_eq!((response.error_code, response.controller_id, response.brokers.len()), (0, 1, 1));
    }
    let controllers = DescribeClusterRequest { endpoint_type: 2, ..DescribeClusterRequest::default() };
    let refused = client.call(&controllers, 1).await;
    assert_eq!(ErrorCode::from_wire(refused.error_code), ErrorCode::MismatchedEndpointType);

    let everything = DescribeLogDirsRequest { topics: None };
    let directories = client.call(&everything, 4).await;
    let topic = &directories.results[0].topics[0];
    assert_eq!((&*topic.name, topic.partitions.len()), ("t", 2));
    assert!(topic.partitions[1].partition_size > 0 && topic.partitions[0].partition_size == 0);

    let asked = ProducersTopic { name: Str::from("t"), partition_indexes: vec![0, 1, 2] };
    let producers = client.call(&DescribeProducersRequest { topics: vec![asked] }, 0).await;
    let partitions = &producers.topics[0].partitions;
    assert!(partitions[0].active_producers.is_empty());
    assert_eq!(
        (partitions[1].active_producers[0].producer_id, partitions[1].active_producers[0].last_sequence),
        (42, 1)
    );
    assert_eq!(ErrorCode::from_wire(partitions[2].error_code), ErrorCode::UnknownTopicOrPartition);
}

#[tokio::test]
async fn topic_partitions_come_in_pages() {
    let server = Server::start().await;
    let mut client = server.tcp().await;
    for (name, partitions) in [("a", 3), ("b", 2)] {
        create_topic(&mut client, name, partitions, &[]).await;
    }
    let mut request = DescribeTopicPartitionsRequest { response_partition_limit: 2, ..Default::default() };
    let mut seen = Vec::new();
    loop {
        let response = client.call(&request, 0).await;
        for topic in &response.topics {
            let name = topic.name.clone().unwrap();
            seen.extend(
                topic.partitions.iter().map(|partition| format!("{name}-{}", partition.partition_index)),
            );
        }
        request.cursor = response.next_cursor;
        if request.cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, ["a-0", "a-1", "a-2", "b-0", "b-1"]);
    let mut missing = DescribeTopicPartitionsRequest { response_partition_limit: 10, ..Default::default() };
    missing.topics = vec![TopicRequest { name: Str::from("c") }];
    let response = client.call(&missing, 0).await;
    assert_eq!(ErrorCode::from_wire(response.topics[0].error_code), ErrorCode::UnknownTopicOrPartition);
    missing.topics = vec![TopicRequest { name: Str::from("bad name") }];
    let response = client.call(&missing, 0).await;
    assert_eq!(ErrorCode::from_wire(response.topics[0].error_code), ErrorCode::InvalidTopicException);
}

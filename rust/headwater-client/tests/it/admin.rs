//! Administration.

use crate::consume::fill;
use crate::support::{eventually, server, unique};
use headwater_client::admin::{ConfigChange, ConfigResource, NewTopic, OffsetSpec};
use headwater_client::{ErrorCode, IsolationLevel, OffsetAndMetadata};
use headwater_record::TopicPartition;
use std::collections::BTreeMap;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topics_are_created_described_grown_and_deleted() {
    let Some(server) = server() else { return };
    let admin = server.admin();
    let name = unique("admin");
    let new = NewTopic {
        name: name.clone(),
        partitions: Some(2),
        configs: [("retention.ms".to_owned(), "-1".to_owned())].into(),
        ..Default::default()
    };
    let only_checked = admin.create_topics(std::slice::from_ref(&new), true).await.unwrap();
    assert!(only_checked[&name].is_ok());
    assert!(!admin.list_topics(false).await.unwrap().iter().any(|topic| topic.name == name));
    let created = admin.create_topics(std::slice::from_ref(&new), false).await.unwrap();
    assert_eq!(created[&name].as_ref().unwrap().partitions, 2);
    let twice = admin.create_topics(&[new], false).await.unwrap();
    assert_eq!(twice[&name].as_ref().unwrap_err().code(), Some(ErrorCode::TopicAlreadyExists));
    let grown = admin.create_partitions(&BTreeMap::from([(name.clone(), 3.into())]), false).await.unwrap();
    assert!(grown[&name].is_ok());
    // A broker may learn of a change a moment after the controller has made it.
    let grown = async || {
        let described = admin.describe_topics(&[&name]).await.unwrap();
        described[&name].as_ref().is_ok_and(|topic| topic.partitions.len() == 3)
    };
    eventually(grown).await;
    let described = admin.describe_topics(&["no-such-topic"]).await.unwrap();
    assert_eq!(
        described["no-such-topic"].as_ref().unwrap_err().code(),
        Some(ErrorCode::UnknownTopicOrPartition)
    );
    assert!(admin.list_topics(false).await.unwrap().iter().any(|topic| topic.name == name));
    assert!(admin.delete_topics(&[&name]).await.unwrap()[&name].is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_are_described_and_altered() {
    let Some(server) = server() else { return };
    let admin = server.admin();
    let name = server.topic("configs", 1).await;
    let resource = ConfigResource::Topic(name);
    let changes = BTreeMap::from([(
        resource.clone(),
        vec![ConfigChange::Set("retention.ms".into(), "1234567".into())],
    )]);
    assert!(admin.alter_configs(&changes, false).await.unwrap()[&resource].is_ok());
    let altered = async || {
        let described = admin.describe_configs(std::slice::from_ref(&resource)).await.unwrap();
        described[&resource]
            .as_ref()
            .is_ok_and(|entries| entries.iter().any(|e| e.value.as_deref() == Some("1234567")))
    };
    eventually(altered).await;
    let described = admin.describe_configs(std::slice::from_ref(&resource)).await.unwrap();
    let entries = described[&resource].as_ref().unwrap();
    let entry = |name: &str| entries.iter().find(|entry| entry.name == name).unwrap();
    assert_eq!(entry("retention.ms").value.as_deref(), Some("1234567"));
    assert!(!entry("retention.ms").is_default());
    assert!(entry("segment.bytes").is_default());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_cluster_its_offsets_and_its_groups() {
    let Some(server) = server() else { return };
    let admin = server.admin();
    let cluster = admin.describe_cluster().await.unwrap();
    assert!(!cluster.nodes.is_empty() && !cluster.cluster_id.is_empty());
    let name = server.topic("records", 1).await;
    fill(&server, &name, 40, "none").await;
    let partition = TopicPartition::new(name.as_str(), 0);
    let deleted = admin.delete_records(&BTreeMap::from([(partition.clone(), 15)])).await.unwrap();
    assert_eq!(*deleted[&partition].as_ref().unwrap(), 15);
    let offset = async |spec| {
        let specs = BTreeMap::from([(partition.clone(), spec)]);
        let found = admin.list_offsets(&specs, IsolationLevel::ReadUncommitted).await.unwrap();
        found[&partition].as_ref().unwrap().map(|found| found.offset)
    };
    assert_eq!(offset(OffsetSpec::Earliest).await, Some(15));
    assert_eq!(offset(OffsetSpec::Latest).await, Some(40));
    assert_eq!(offset(OffsetSpec::AtTime(30_000)).await, Some(30));
    assert_eq!(offset(OffsetSpec::AtTime(i64::MAX / 4)).await, None);
    let group = unique("admin-group");
    let offsets = BTreeMap::from([(partition.clone(), OffsetAndMetadata::from(21))]);
    let altered = admin.alter_group_offsets(&group, &offsets).await.unwrap();
    altered[&partition].as_ref().unwrap();
    let listed = admin.list_group_offsets(&group, None).await.unwrap();
    assert_eq!(listed[&partition].as_ref().unwrap().offset, 21);
    assert!(admin.list_groups().await.unwrap().iter().any(|listing| listing.group_id == group));
    let described = admin.describe_groups(&[&group]).await.unwrap();
    assert_eq!(described[&group].as_ref().unwrap().state, "Empty");
    let forgotten = admin.delete_group_offsets(&group, std::slice::from_ref(&partition)).await.unwrap();
    assert!(forgotten[&partition].is_ok());
    // The last offset took the group along, or the group can be deleted now.
    let gone = admin.delete_groups(&[&group]).await.unwrap();
    assert!(
        gone[&group].is_ok() || gone[&group].as_ref().unwrap_err().code() == Some(ErrorCode::GroupIdNotFound)
    );
}

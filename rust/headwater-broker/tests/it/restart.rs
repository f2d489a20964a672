//! What a restart keeps, and what it refuses to make up.

use headwater_protocol::ErrorCode;

use crate::client::Client;
use crate::support::*;

#[tokio::test]
async fn topics_records_and_producers_survive_a_restart() {
    let server = Server::start().await;
    let mut client = server.tcp().await;
    create_topic(&mut client, "t", 3, &[("retention.ms", "-1")]).await;
    let init = init_producer();
    let id = client.call(&init, 4).await.producer_id;
    produce_ok(&mut client, "t", 2, sequenced(id, 0, &["a", "b"])).await;
    produce_ok(&mut client, "t", 2, sequenced(id, 2, &["c"])).await;
    let cluster = server.broker.cluster_id();
    let epoch = client.call(&all_topics(), 12).await.topics[0].partitions[2].leader_epoch;

    let server = server.restart().await;
    let mut client = server.tcp().await;
    assert_eq!(server.broker.cluster_id(), cluster);
    let metadata = client.call(&all_topics(), 12).await;
    assert_eq!(metadata.topics[0].partitions.len(), 3);
    assert!(metadata.topics[0].partitions[2].leader_epoch > epoch, "a new term of leadership");
    let records = read_all(&mut client, "t", 2).await;
    assert_eq!(records.iter().map(|(_, value)| value.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!(produce_ok(&mut client, "t", 2, sequenced(id, 2, &["c"])).await, 2, "a repetition");
    assert_eq!(produce_ok(&mut client, "t", 2, sequenced(id, 3, &["d"])).await, 3);
    let next = client.call(&init, 4).await.producer_id;
    assert!(next > id, "an id is never given twice");
}

#[tokio::test]
async fn a_partition_whose_folder_is_gone_is_offline_and_not_empty() {
    let server = Server::start().await;
    let mut client = server.tcp().await;
    create_topic(&mut client, "t", 2, &[]).await;
    produce_ok(&mut client, "t", 0, batch(&["lost"])).await;
    produce_ok(&mut client, "t", 1, batch(&["kept"])).await;
    server.broker.stop().await.unwrap();
    let folder = server.directory.path().join("t-0");
    headwater_env::Disk::remove_dir_all(&headwater_env::real::RealDisk, &folder).unwrap();
    let broker = start_in(&server.directory, &[]).await;
    let mut client = Client::memory(&broker).await;
    let refused = produce(&mut client, "t", 0, batch(&["x"])).await;
    assert_eq!(ErrorCode::from_wire(refused.error_code), ErrorCode::KafkaStorageError);
    let metadata = client.call(&all_topics(), 12).await;
    let lost = &metadata.topics[0].partitions[0];
    assert_eq!((lost.leader_id, &lost.offline_replicas[..]), (-1, &[1][..]));
    assert_eq!(read_all(&mut client, "t", 1).await, [(0, "kept".to_owned())]);
    broker.stop().await.unwrap();
    let again = start_in(&server.directory, &[]).await;
    let refused = produce(&mut Client::memory(&again).await, "t", 0, batch(&["x"])).await;
    assert_eq!(ErrorCode::from_wire(refused.error_code), ErrorCode::KafkaStorageError, "still");
    again.stop().await.unwrap();
}

#[tokio::test]
async fn a_folder_of_no_known_topic_is_set_aside() {
    let server = Server::start().await;
    let mut client = server.tcp().await;
    create_topic(&mut client, "t", 1, &[]).await;
    server.broker.stop().await.unwrap();
    let disk = headwater_env::real::RealDisk;
    let stranger = server.directory.path().join("stranger-0");
    headwater_env::Disk::create_dir_all(&disk, &stranger).unwrap();
    let broker = start_in(&server.directory, &[]).await;
    assert_eq!(broker.topics(), ["t"]);
    let entries = headwater_env::Disk::read_dir(&disk, server.directory.path()).unwrap();
    assert!(
        entries.iter().any(|entry| entry.name.starts_with("stranger-0") && entry.name.ends_with("-stray"))
    );
    assert!(!entries.iter().any(|entry| entry.name == "stranger-0"));
    broker.stop().await.unwrap();
}

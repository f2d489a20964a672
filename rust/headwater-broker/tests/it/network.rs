//! Connections: limits, idleness, stopping, and several brokers in one process.

use std::time::Duration;

use headwater_broker::{Broker, BrokerConfig, Listener, StartError};
use headwater_env::net::MemoryNetwork;
use headwater_env::real::RealEnv;
use headwater_protocol::messages::api_versions::ApiVersionsRequest;
use headwater_protocol::messages::fetch::FetchRequest;
use headwater_protocol::messages::produce::ProduceRequest;

use crate::client::Client;
use crate::support::*;

const SOON: Duration = Duration::from_secs(5);

#[tokio::test]
async fn idle_connections_are_closed_and_waiting_ones_are_not() {
    let server = Server::with(&[("connections.max.idle.ms", "150")]).await;
    let mut waiting = server.tcp().await;
    create_topic(&mut waiting, "t", 1, &[]).await;
    let mut request = fetch_request("t", 0, 0);
    request.max_wait_ms = 600;
    waiting.send(&request, FETCH).await;
    let mut idle = server.tcp().await;
    assert!(tokio::time::timeout(SOON, idle.is_closed()).await.unwrap());
    let answered = tokio::time::timeout(SOON, waiting.receive::<FetchRequest>(FETCH)).await;
    assert!(answered.is_ok(), "a long poll is not idleness");
}

#[tokio::test]
async fn a_connection_beyond_the_limit_is_closed_at_once() {
    let server = Server::with(&[("max.connections", "1")]).await;
    let mut first = server.tcp().await;
    first.call(&ApiVersionsRequest::default(), 0).await;
    assert!(server.tcp().await.is_closed().await);
    first.call(&ApiVersionsRequest::default(), 0).await;
    drop(first);
    let again = async {
        loop {
            let mut next = server.tcp().await;
            next.send(&ApiVersionsRequest::default(), 0).await;
            if next.receive_frame().await.is_some() {
                return;
            }
        }
    };
    tokio::time::timeout(SOON, again).await.expect("the place is free again");
}

#[tokio::test]
async fn requests_beyond_the_limits_of_a_connection_wait_and_are_answered() {
    let server =
        Server::with(&[("headwater.connection.requests.max", "2"), ("queued.max.request.bytes", "2000")])
            .await;
    for mut client in [server.tcp().await, server.memory().await] {
        if server.broker.topics().is_empty() {
            create_topic(&mut client, "t", 1, &[]).await;
        }
        // Larger than all the memory there is: it takes it all, alone.
        let value = "v".repeat(3000);
        for _ in 0..20 {
            client.send(&produce_request("t", 0, batch(&[&value]), -1), PRODUCE).await;
        }
        for _ in 0..20 {
            let (_, response) = client.receive::<ProduceRequest>(PRODUCE).await;
            assert_eq!(response.responses[0].partition_responses[0].error_code, 0);
        }
    }
    assert_eq!(read_all(&mut server.tcp().await, "t", 0).await.len(), 40);
}

#[tokio::test]
async fn a_client_that_goes_away_takes_its_waits_along() {
    let server = Server::start().await;
    let mut admin = server.tcp().await;
    create_topic(&mut admin, "t", 1, &[]).await;
    for _ in 0..20 {
        let mut client = server.tcp().await;
        let mut request = fetch_request("t", 0, 0);
        request.max_wait_ms = 600_000;
        client.send(&request, FETCH).await;
        drop(client);
    }
    let gone = async {
        while server.broker.metrics().connections() > 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(SOON, gone).await.expect("the connections end");
}

#[tokio::test]
async fn stopping_ends_connections_and_waits_is_idempotent_and_frees_the_directory() {
    let server = Server::start().await;
    let mut client = server.tcp().await;
    create_topic(&mut client, "t", 1, &[]).await;
    let mut request = fetch_request("t", 0, 0);
    request.max_wait_ms = 600_000;
    client.send(&request, FETCH).await;
    let second = Broker::start(RealEnv::new(), BrokerConfig::new(server.directory.path()), None).await;
    assert!(matches!(second, Err(StartError::Directory(_))), "the directory is locked");
    tokio::time::timeout(SOON, server.broker.stop()).await.expect("nothing holds it up").unwrap();
    server.broker.stop().await.unwrap();
    assert!(client.receive_frame().await.is_none());
    let again = start_in(&server.directory, &[]).await;
    assert_eq!(again.topics(), ["t"]);
    again.stop().await.unwrap();
}

#[tokio::test]
async fn an_address_that_is_taken_is_named_and_nothing_stays_locked() {
    let server = Server::start().await;
    let taken = server.broker.local_address().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let mut config = BrokerConfig::new(directory.path());
    config.listen(vec![Listener::plaintext("127.0.0.1", taken.port())]);
    let error = match Broker::start(RealEnv::new(), config, None).await {
        Err(error) => error.to_string(),
        Ok(_) => panic!("the port is taken"),
    };
    assert!(error.contains(&taken.to_string()), "{error}");
    start_in(&directory, &[]).await.stop().await.unwrap();
}

#[tokio::test]
async fn several_brokers_live_in_one_process() {
    let network = MemoryNetwork::new();
    let mut brokers = Vec::new();
    for id in 1..=3 {
        let directory = tempfile::tempdir().unwrap();
        let mut config = BrokerConfig::new(directory.path());
        config.set("node.id", &id.to_string()).unwrap();
        config.listen(Vec::new());
        brokers
            .push((Broker::start(RealEnv::new(), config, Some(network.clone())).await.unwrap(), directory));
    }
    for (broker, _) in &brokers {
        assert_eq!(broker.local_address(), None);
        let mut client = Client::memory(broker).await;
        create_topic(&mut client, &format!("topic-{}", broker.node_id()), 1, &[]).await;
    }
    for (broker, _) in &brokers {
        assert_eq!(broker.topics(), [format!("topic-{}", broker.node_id())]);
        let counted = "headwater_requests_total{api=\"CreateTopics\",version=\"7\"} 1";
        assert!(broker.metrics().encode().contains(counted), "each counts its own");
        broker.stop().await.unwrap();
    }
    assert!(network.nodes().is_empty());
}

#[tokio::test]
async fn a_broker_serves_soon_after_its_start() {
    let directory = tempfile::tempdir().unwrap();
    let first = start_in(&directory, &[]).await;
    first.stop().await.unwrap();
    let started = tokio::time::timeout(Duration::from_secs(2), async {
        let broker = start_in(&directory, &[]).await;
        Client::memory(&broker).await.call(&ApiVersionsRequest::default(), 0).await;
        broker
    });
    started.await.expect("far longer than it should take").stop().await.unwrap();
}

#[tokio::test]
async fn clients_are_given_a_host_that_they_can_reach() {
    let everywhere = Server::with(&[("listeners", "PLAINTEXT://0.0.0.0:0")]).await;
    let port = everywhere.broker.local_address().unwrap().port();
    let mut client = Client::tcp(([127, 0, 0, 1], port).into()).await;
    let broker = client.call(&all_topics(), 12).await.brokers.remove(0);
    assert_eq!((&*broker.host, broker.port), ("127.0.0.1", i32::from(port)), "the address it came by");

    let named = Server::with(&[
        ("listeners", "PLAINTEXT://127.0.0.1:0"),
        ("advertised.listeners", "PLAINTEXT://events.example:9999"),
    ])
    .await;
    let broker = named.tcp().await.call(&all_topics(), 12).await.brokers.remove(0);
    assert_eq!((&*broker.host, broker.port), ("events.example", 9999));
}

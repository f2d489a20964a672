//! Frames in memory: order, limits, and both ways of closing.

use std::io::ErrorKind;
use std::time::Duration;

use bytes::Bytes;
use headwater_env::net::{FRAME_OVERHEAD_BYTES, Frame, MemoryConnection, MemoryNetwork};
use headwater_env::{Env, sim};
use tokio::time::timeout;

fn frame(byte: u8, size: usize) -> Frame {
    vec![Bytes::from(vec![byte; size / 2]), Bytes::from(vec![byte; size - size / 2])]
}

#[test]
fn a_client_and_a_broker_talk() {
    for seed in 0..30 {
        sim::run(seed, |env| async move {
            let network = MemoryNetwork::with_direction_bytes_max(1000);
            assert_eq!(network.connect(1).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
            let mut listener = network.listen(1);
            assert_eq!((network.nodes(), listener.node_id()), (vec![1], 1));
            let broker = env.spawn("broker", async move {
                let mut connection = listener.accept().await.unwrap();
                while let Some(request) = connection.recv().await.unwrap() {
                    connection.send(request).await.unwrap();
                }
            });
            let (mut sender, mut receiver) = network.connect(1).await.unwrap().split();
            let requests = env.spawn("requests", async move {
                for number in 0..200 {
                    sender.send(frame(number, usize::from(number) * 10)).await.unwrap();
                }
            });
            for number in 0..200 {
                let reply = receiver.recv().await.unwrap();
                assert_eq!(reply, Some(frame(number, usize::from(number) * 10)), "in order, chunks kept");
            }
            requests.await.unwrap();
            assert_eq!(receiver.recv().await.unwrap(), None, "both have closed");
            broker.await.unwrap();
            assert_eq!(network.nodes(), Vec::<i32>::new(), "the listener went with its task");
        });
    }
}

#[tokio::test(start_paused = true)]
async fn a_sender_waits_while_the_reader_is_slow() {
    let (mut ours, mut theirs) = MemoryConnection::pair(2 * (100 + FRAME_OVERHEAD_BYTES));
    let patience = Duration::from_secs(1);
    ours.send(frame(1, 5000)).await.expect("a larger one passes alone");
    assert!(timeout(patience, ours.send(frame(2, 0))).await.is_err(), "and nothing beside it");
    theirs.recv().await.unwrap();
    ours.send(frame(3, 100)).await.unwrap();
    ours.send(frame(4, 100)).await.expect("exactly the limit");
    assert!(timeout(patience, ours.send(frame(5, 0))).await.is_err());
    for number in [3, 4] {
        assert_eq!(
            theirs.recv().await.unwrap(),
            Some(frame(number, 100)),
            "a cancelled send has sent nothing"
        );
    }
    assert!(timeout(patience, theirs.recv()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn closing_is_seen_by_the_other_end() {
    let (mut ours, mut theirs) = MemoryConnection::pair(100);
    ours.send(frame(1, 10)).await.unwrap();
    drop(ours);
    assert_eq!(theirs.recv().await.unwrap(), Some(frame(1, 10)), "what was sent before is read first");
    assert_eq!(theirs.recv().await.unwrap(), None);
    assert_eq!(theirs.send(frame(2, 10)).await.unwrap_err().kind(), ErrorKind::BrokenPipe);

    let (mut ours, theirs) = MemoryConnection::pair(100);
    ours.send(frame(1, 100)).await.unwrap();
    let waiting = tokio::spawn(async move { ours.send(frame(2, 100)).await });
    tokio::time::sleep(Duration::from_secs(1)).await;
    drop(theirs);
    assert_eq!(
        waiting.await.unwrap().unwrap_err().kind(),
        ErrorKind::BrokenPipe,
        "a waiting sender is woken"
    );
}

#[tokio::test]
async fn a_new_listener_takes_the_node_over() {
    let network = MemoryNetwork::new();
    let mut former = network.listen(1);
    let mut present = network.listen(1);
    let _connection = network.connect(1).await.unwrap();
    assert!(former.accept().await.is_none());
    drop(former);
    assert_eq!(network.nodes(), [1], "the former one takes nothing with it");
    assert!(present.accept().await.is_some());
}

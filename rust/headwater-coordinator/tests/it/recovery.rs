//! Taking over: what a fresh shard makes of the log, snapshots, transactions and foreign records.

use bytes::Bytes;
use headwater_coordinator::groups::*;
use headwater_coordinator::{EndTransaction, Record, RecordPosition, ReplayError, Shard};

use crate::driver::{Driver, commit_request, rejoin};

fn all(shard: &GroupShard) -> Vec<Record> {
    shard.snapshot(None, usize::MAX).records
}

#[test]
fn members_survive_a_restart_and_keep_their_assignments() {
    let mut driver = Driver::new();
    let ids = driver.stable_group(2);
    let before = driver.describe();
    driver.restart();
    assert_eq!(driver.describe(), before);
    assert_eq!(driver.heartbeat(&ids[0], 1), Ok(()));
    driver.advance(10_000);
    assert_eq!(driver.heartbeat(&ids[1], 1), Err(GroupError::UnknownMemberId), "sessions start anew and end");
}

#[test]
fn a_group_grown_beyond_a_lowered_limit_sheds_members() {
    let mut driver = Driver::new();
    let ids = driver.stable_group(3);
    let log = driver.log.clone();
    let mut driver = Driver::with(GroupConfig { size_max: 2, ..GroupConfig::default() });
    driver.log = log;
    driver.restart();
    assert_eq!(driver.state(), GroupState::PreparingRebalance);
    let tokens: Vec<_> = ids.iter().map(|id| driver.join(rejoin(id))).collect();
    assert_eq!(driver.joined(tokens[2]).error, Some(GroupError::GroupMaxSizeReached));
}

#[test]
fn a_snapshot_in_pieces_gives_the_same_state() {
    let mut driver = Driver::new();
    driver.stable_group(2);
    for group in ["a", "b", "c"] {
        for (topic, partitions) in [("t", 4), ("u", 3)] {
            for partition in 0..partitions {
                let mut request = CommitRequest { group_id: group.into(), ..commit_request("", -1, 1) };
                request.topics[0].topic = topic.into();
                request.topics[0].partitions[0].partition = partition;
                driver.commit_offset(request).expect("accepted");
            }
        }
    }
    let foreign = RecordPosition::plain(driver.log.len() as i64);
    driver.shard.replay(foreign, b"\0\x05\0\x01g", Some(b"kept")).expect("kept");

    let whole = all(&driver.shard);
    assert_eq!(whole.len(), 3 * 7 + 2);
    for bytes_max in [1, 100, 300] {
        let mut copy = GroupShard::new(GroupConfig::default());
        let (mut cursor, mut offset) = (None, 0);
        loop {
            let chunk = driver.shard.snapshot(cursor, bytes_max);
            for record in chunk.records {
                copy.replay(RecordPosition::plain(offset), &record.key, record.value.as_deref())
                    .expect("valid");
                offset += 1;
            }
            cursor = chunk.next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(all(&copy), whole);
    }
}

#[test]
fn what_is_written_again_frees_what_was_before() {
    let mut driver = Driver::new();
    for offset in 0..100 {
        driver.commit_offset(commit_request("", -1, offset)).expect("accepted");
    }
    assert_eq!(driver.shard.oldest_needed(), Some(99));
    for record in all(&driver.shard) {
        driver.shard.replay(RecordPosition::plain(100), &record.key, record.value.as_deref()).expect("valid");
    }
    assert_eq!(driver.shard.oldest_needed(), Some(100));
}

#[test]
fn transactional_offsets_count_when_their_marker_says_so() {
    let mut driver = Driver::new();
    driver.commit_offset(commit_request("", -1, 1)).expect("accepted");
    let plain = driver.log[0].clone();
    driver.commit_offset(commit_request("", -1, 2)).expect("accepted");
    let newer = driver.log[1].clone();

    let replay = |shard: &mut GroupShard, offset, producer, record: &Record| {
        let position = RecordPosition { offset, transactional_producer_id: producer };
        shard.replay(position, &record.key, record.value.as_deref()).expect("valid");
    };
    for end in [EndTransaction::Commit, EndTransaction::Abort] {
        let mut shard = GroupShard::new(GroupConfig::default());
        replay(&mut shard, 0, None, &plain);
        replay(&mut shard, 1, Some(77), &newer);
        assert_eq!(all(&shard), [], "an open transaction keeps its partition out of snapshots");
        assert_eq!(shard.oldest_needed(), Some(0));
        shard.replay_end_transaction(2, 77, end);
        let expected = if end == EndTransaction::Commit { &newer } else { &plain };
        assert_eq!(all(&shard), std::slice::from_ref(expected));
        shard.revert(2);
        assert_eq!(all(&shard), [], "a marker can be taken back");
    }
    let mut shard = GroupShard::new(GroupConfig::default());
    replay(&mut shard, 0, Some(77), &plain);
    assert_eq!((shard.oldest_needed(), shard.live_records()), (Some(0), 0), "the log must keep it");
    replay(&mut shard, 1, None, &newer);
    assert_eq!(shard.oldest_needed(), Some(0));
    shard.replay_end_transaction(2, 77, EndTransaction::Commit);
    assert_eq!(all(&shard), [newer], "the later record wins, not the later marker");
}

#[test]
fn damaged_records_are_named_and_change_nothing() {
    let mut shard = GroupShard::new(GroupConfig::default());
    let damaged: [(&[u8], Option<&[u8]>); 4] = [
        (b"", None),
        (b"\0\x01\0\x05g", None),
        (b"\0\x01\0\x01g\0\x01t\0\0\0\0", Some(b"\0\x09")),
        (b"\0\x02\0\x01g", Some(b"\0\x03\0\x01")),
    ];
    for (key, value) in damaged {
        let error = shard.replay(RecordPosition::plain(12), key, value).expect_err("damaged");
        assert!(matches!(error, ReplayError::Damaged { offset: 12, .. }));
    }
    assert_eq!(shard.live_records(), 0);
    shard
        .replay(RecordPosition::plain(0), b"\0\x63x", Some(&Bytes::from_static(b"later kind")))
        .expect("kept");
    assert_eq!(shard.live_records(), 1);
}

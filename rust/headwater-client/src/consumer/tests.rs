//! Cutting answers, walking and handing out records, without a broker: bounds, gaps, markers, aborted transactions,
//! damage, partitions that are about to be given up.

use super::buffer::{Allowance, Answer, Checksums, Marks};
use super::fetched::{AbortedTransaction, FetchedPartition};
use super::state::{Position, Reached, State};
use super::{PollLimits, RebalanceKind};
use crate::error::ClientError;
use bytes::Bytes;
use headwater_record::control::ControlType;
use headwater_record::{BatchBuilder, Compression, TopicPartition};
use std::collections::BTreeSet;

/// A batch of records whose values are their offsets.
fn batch(codec: Compression, base: i64, count: i64, producer: Option<i64>) -> Vec<u8> {
    let mut builder = BatchBuilder::new(codec);
    builder.set_base_offset(base);
    if let Some(id) = producer {
        builder.set_producer(id, 0, 0);
        builder.set_transactional(true);
    }
    for offset in base..base + count {
        builder.append(offset, None, Some(&offset.to_be_bytes()), &[]).unwrap();
    }
    builder.finish().unwrap().to_vec()
}

fn marker(kind: ControlType, base: i64, producer: i64) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Compression::None);
    builder.set_base_offset(base);
    builder.set_producer(producer, 0, -1);
    builder.set_transactional(true);
    builder.set_control(true);
    builder.append(0, Some(&kind.to_key()), Some(&[0; 6]), &[]).unwrap();
    builder.finish().unwrap().to_vec()
}

fn answer(bytes: Vec<u8>, aborted: Option<Vec<AbortedTransaction>>) -> Answer {
    let marks = Marks { high_watermark: 100, last_stable_offset: 100, log_start_offset: 0 };
    Answer::new(Bytes::from(bytes), marks, aborted)
}

fn at(offset: i64, leader_epoch: Option<i32>) -> Reached {
    Reached { offset, leader_epoch }
}

fn offsets(fetched: &FetchedPartition) -> Vec<i64> {
    let mut seen = Vec::new();
    let mut cursor = fetched.records();
    while let Some(record) = cursor.next_record().unwrap() {
        assert_eq!(record.value, Some(&record.offset.to_be_bytes()[..]));
        seen.push(record.offset);
    }
    seen
}

/// Reads all from `start` by polls of `records`.
fn drain(answer: &mut Answer, start: i64, records: usize) -> (Vec<i64>, i64) {
    let name = TopicPartition::new("t", 0);
    let mut seen = Vec::new();
    let mut position = start;
    loop {
        let cut = answer
            .cut(&name, position, Allowance { records, bytes: usize::MAX }, Checksums::Verified)
            .unwrap();
        assert!(cut.records <= records);
        if let Some(fetched) = &cut.fetched {
            assert_eq!((fetched.start_offset, fetched.end_offset), (position, cut.next_offset));
            seen.extend(offsets(fetched));
        }
        position = cut.next_offset;
        if cut.finished {
            return (seen, position);
        }
    }
}

#[test]
fn polls_of_any_size_see_every_record_once() {
    for codec in [Compression::None, Compression::Lz4, Compression::Zstd] {
        let bytes =
            [batch(codec, 10, 7, None), batch(codec, 17, 1, None), batch(codec, 30, 12, None)].concat();
        let all: Vec<i64> = (10..18).chain(30..42).collect();
        for records in 1..25 {
            for start in [0, 10, 13, 17, 20, 30, 41] {
                let expected: Vec<i64> = all.iter().copied().filter(|offset| *offset >= start).collect();
                let seen = drain(&mut answer(bytes.clone(), None), start, records);
                assert_eq!(seen, (expected, 42), "{codec} from {start} by {records}");
            }
        }
    }
}

#[test]
fn aborted_records_and_markers_are_not_seen_and_are_passed() {
    let none = Compression::None;
    let bytes = [
        batch(none, 0, 3, Some(1)),
        batch(none, 3, 2, Some(2)),
        batch(none, 5, 2, None),
        marker(ControlType::Abort, 7, 1),
        batch(none, 8, 2, Some(1)),
        marker(ControlType::Commit, 10, 2),
        marker(ControlType::Commit, 11, 1),
    ]
    .concat();
    let aborted = vec![AbortedTransaction { producer_id: 1, first_offset: 0 }];
    for records in 1..12 {
        let committed = drain(&mut answer(bytes.clone(), Some(aborted.clone())), 0, records);
        assert_eq!(committed, (vec![3, 4, 5, 6, 8, 9], 12), "by {records}");
        let all = drain(&mut answer(bytes.clone(), None), 0, records);
        assert_eq!(all, (vec![0, 1, 2, 3, 4, 5, 6, 8, 9], 12), "by {records}");
    }
}

#[test]
fn a_cut_last_batch_is_left_for_the_next_fetch() {
    let mut bytes = [batch(Compression::None, 0, 3, None), batch(Compression::None, 3, 3, None)].concat();
    bytes.truncate(bytes.len() - 5);
    assert_eq!(drain(&mut answer(bytes, None), 0, 500), (vec![0, 1, 2], 3));
}

#[test]
fn damage_is_named_and_never_handed_out() {
    let mut bytes = [batch(Compression::None, 0, 3, None), batch(Compression::None, 3, 3, None)].concat();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    let name = TopicPartition::new("t", 0);
    let mut answer = answer(bytes, None);
    let allowance = Allowance { records: 3, bytes: usize::MAX };
    let cut = answer.cut(&name, 0, allowance, Checksums::Verified).unwrap();
    assert_eq!(offsets(&cut.fetched.unwrap()), [0, 1, 2]);
    let error = answer.cut(&name, 3, allowance, Checksums::Verified).err().unwrap();
    assert!(matches!(error, ClientError::CorruptBatch { offset: 3, .. }), "{error}");
}

/// Header fields are covered by the checksum as well: damaged, they hide records from whoever does not compare.
#[test]
fn a_batch_that_is_passed_over_is_verified_also_where_readers_verify() {
    let name = TopicPartition::new("t", 0);
    let allowance = Allowance { records: 100, bytes: usize::MAX };
    let (attributes_low, count_high) = (22, 57);
    for (place, bit) in [(attributes_low, 0x20), (count_high, 0x80)] {
        let mut bytes = [batch(Compression::None, 0, 3, None), batch(Compression::None, 3, 3, None)].concat();
        bytes[place] ^= bit;
        let mut damaged = answer(bytes, None);
        for _ in 0..2 {
            let error = damaged.cut(&name, 0, allowance, Checksums::LeftToReader).err().unwrap();
            assert!(matches!(error, ClientError::CorruptBatch { offset: 0, .. }), "{place}: {error}");
        }
        let cut = damaged.cut(&name, 0, allowance, Checksums::Ignored).unwrap();
        assert!(!cut.fetched.unwrap().checksums_due);
    }
    let good = batch(Compression::None, 0, 3, None);
    let cut = answer(good, None).cut(&name, 0, allowance, Checksums::LeftToReader).unwrap();
    assert!(cut.fetched.unwrap().checksums_due);
}

/// The group task commits and removes a partition some time after the polling thread has heard of its revocation. What a
/// poll in between hands out would be handed out again by the next owner.
#[test]
fn a_partition_about_to_be_given_up_hands_out_nothing_more() {
    let names = ["kept", "moving"].map(|topic| TopicPartition::new(topic, 0));
    let mut state = State::default();
    state.assign(&names.iter().cloned().collect(), Position::At(0));
    for partition in state.partitions.values_mut() {
        partition.push(answer(batch(Compression::None, 0, 9, None), None), 9);
    }
    let few = PollLimits { records: 6, bytes: usize::MAX };
    let first = state.take(few, None, Checksums::Verified).unwrap().unwrap();
    assert_eq!(first.partitions.iter().map(|piece| offsets(piece).len()).sum::<usize>(), 6);

    let moving = BTreeSet::from([names[1].clone()]);
    let mut dealt_with = state.revoke(&moving);
    let told = state.take(few, None, Checksums::Verified).unwrap().unwrap();
    assert_eq!(
        (told.events[0].kind, told.events[0].partitions.as_slice()),
        (RebalanceKind::Revoked, &names[1..])
    );
    state.acknowledge();
    dealt_with.try_recv().unwrap();
    let position = state.partitions[&names[1]].offset();
    while let Some(polled) = state.take(few, None, Checksums::Verified).unwrap() {
        assert!(polled.partitions.iter().all(|piece| *piece.topic == *names[0].topic));
    }
    assert_eq!(state.partitions[&names[1]].offset(), position, "what is committed is what was handed out");
    assert_eq!(state.partitions[&names[0]].offset(), Some(9));
}

#[test]
fn a_seek_ends_the_error_that_the_old_position_was_lost_and_no_other() {
    let names = ["sought", "lost"].map(|topic| TopicPartition::new(topic, 0));
    let mut state = State::default();
    state.assign(&names.iter().cloned().collect(), Position::Unknown);
    for name in &names {
        state.fail(ClientError::NoOffset { topic: name.topic.clone(), partition: 0 });
    }
    let gone = ClientError::OffsetOutOfRange { topic: names[0].topic.clone(), partition: 0, offset: 9 };
    state.fail(gone);
    assert!(!state.seek(&TopicPartition::new("sought", 1), Position::At(4), None), "not assigned");
    assert!(state.seek(&names[0], Position::At(4), Some(7)));
    let sought = &state.partitions[&names[0]];
    assert_eq!(
        (sought.offset(), sought.committable, sought.fetch_end),
        (Some(4), Some(at(4, None)), Some(7))
    );
    let all = PollLimits { records: usize::MAX, bytes: usize::MAX };
    let error = state.take(all, None, Checksums::Verified).err().unwrap();
    assert!(matches!(&error, ClientError::NoOffset { topic, .. } if **topic == *"lost"), "{error}");
    assert!(state.take(all, None, Checksums::Verified).unwrap().is_none());
}

/// A committed epoch that is not the one of the last batch read would make a broker that has it take a sound log for one
/// that was cut.
#[test]
fn a_position_knows_the_leader_epoch_of_what_was_read_before_it() {
    let name = TopicPartition::new("t", 0);
    let mut state = State::default();
    state.assign(&BTreeSet::from([name.clone()]), Position::Unknown);
    let known = |state: &State| state.partitions[&name].reached();
    assert_eq!(known(&state), None);
    state.partitions.get_mut(&name).unwrap().found(at(0, Some(2)));
    assert_eq!(known(&state), Some(at(0, Some(2))), "as it was committed");
    let epochs = [(3, 0), (4, 5), (-1, 10)].map(|(epoch, base)| {
        let mut bytes = batch(Compression::None, base, 5, None);
        bytes[12..16].copy_from_slice(&i32::to_be_bytes(epoch));
        bytes
    });
    state.partitions.get_mut(&name).unwrap().push(answer(epochs.concat(), None), 15);
    let mut seen = Vec::new();
    for records in [5, 1, 4, 5] {
        let limits = PollLimits { records, bytes: usize::MAX };
        state.take(limits, None, Checksums::Verified).unwrap().unwrap();
        seen.push(known(&state).unwrap());
    }
    assert_eq!(seen, [at(5, Some(3)), at(6, Some(4)), at(10, Some(4)), at(15, None)]);
    assert!(state.seek(&name, Position::At(7), None));
    assert_eq!(known(&state), Some(at(7, None)), "nothing was read on the way");
}

#[test]
fn one_partition_is_taken_alone_and_fetched_up_to_its_end() {
    let names = ["read", "ahead"].map(|topic| TopicPartition::new(topic, 0));
    let mut state = State::default();
    state.assign(&names.iter().cloned().collect(), Position::Unknown);
    for partition in state.partitions.values_mut() {
        assert!(!partition.is_fetched(), "no position yet");
        partition.go_to(Position::At(0));
        partition.fetch_end = Some(5);
        assert!(partition.is_fetched());
        partition.push(answer(batch(Compression::None, 0, 9, None), None), 9);
        assert!(!partition.is_fetched(), "the end was passed");
    }
    let all = PollLimits { records: usize::MAX, bytes: usize::MAX };
    let taken = state.take(all, Some(&names[0]), Checksums::Verified).unwrap().unwrap();
    assert_eq!(taken.partitions.iter().map(|piece| &*piece.topic).collect::<Vec<_>>(), ["read"]);
    assert!(state.take(all, Some(&names[0]), Checksums::Verified).unwrap().is_none());
    assert_eq!(state.partitions[&names[1]].offset(), Some(0), "what was fetched ahead waits");
    assert_eq!(offsets(&state.take(all, None, Checksums::Verified).unwrap().unwrap().partitions[0]).len(), 9);
    let ahead = state.partitions.get_mut(&names[1]).unwrap();
    ahead.go_to(Position::At(7));
    assert!(ahead.is_fetched(), "a seek forgets the end");
}

/// The fetcher waits while its share of the queue is full; whoever polls sees by this that there is room again.
#[test]
fn what_holds_nothing_to_be_seen_makes_room_as_well() {
    let name = TopicPartition::new("t", 0);
    let mut state = State::default();
    state.assign(&BTreeSet::from([name.clone()]), Position::At(0));
    let partition = state.partitions.get_mut(&name).unwrap();
    partition.push(answer(marker(ControlType::Abort, 0, 1), None), 1);
    partition.push(answer(marker(ControlType::Abort, 1, 2), None), 2);
    assert!(state.queued_bytes() > 0);
    let all = PollLimits { records: usize::MAX, bytes: usize::MAX };
    assert!(state.take(all, Some(&name), Checksums::LeftToReader).unwrap().is_none());
    assert_eq!((state.queued_bytes(), state.partitions[&name].offset()), (0, Some(2)));
}

#[test]
fn batches_of_another_origin_are_walked_like_fetched_ones() {
    let mut bytes = batch(Compression::None, 0, 5, None);
    bytes.extend(marker(ControlType::Commit, 5, 1));
    bytes.extend(batch(Compression::Lz4, 6, 4, None));
    let walk = |start, end| {
        offsets(&FetchedPartition::from_batches("t".into(), 0, Bytes::from(bytes.clone()), start, end))
    };
    assert_eq!(walk(0, 10), [0, 1, 2, 3, 4, 6, 7, 8, 9]);
    assert_eq!(walk(3, 8), [3, 4, 6, 7]);
    assert_eq!(walk(10, 10), [0; 0]);
}

//! Appending, rolling, and what comes back.

use headwater_log::{AppendError, Isolation, LogConfig, OpenHints, Origin};
use headwater_record::{TimestampType, batches};

use crate::support::{batch, batch_of, marker, open, outline, read_all, small};

#[test]
fn offsets_and_epochs_are_assigned() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path(), small(), OpenHints::default());
    let first = log.append_as_leader(batch(1000, 3), 4, Origin::Client, 5000).unwrap();
    assert_eq!((first.first_offset, first.last_offset, first.max_timestamp), (0, 2, 1002));
    let second = log.append_as_leader(batch(2000, 2), 5, Origin::Client, 5000).unwrap();
    assert_eq!((second.first_offset, second.last_offset), (3, 4));
    assert_eq!(outline(&read_all(&log, 0)), [(0, 2, 4), (3, 4, 5)]);
    assert_eq!(log.leader_epochs(), [(4, 0), (5, 3)]);
    assert!(matches!(
        log.append_as_leader(batch(2000, 2), 3, Origin::Client, 5000),
        Err(AppendError::FencedLeaderEpoch { current_epoch: 5, .. })
    ));
}

#[test]
fn segments_roll_by_size_and_reads_cross_them() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path(), small(), OpenHints::default());
    let mut expected = Vec::new();
    for index in 0..40 {
        let mut bytes = batch(1000 + index, 10);
        log.append_as_leader(&mut bytes[..], 0, Origin::Client, 5000).unwrap();
        expected.extend(bytes);
    }
    assert!(log.segment_count() > 5);
    assert_eq!(read_all(&log, 0), expected);
    // An offset inside a batch gives the whole batch.
    let slice = log.read(123, 1, true, Isolation::LogEnd).unwrap();
    let mut bytes = Vec::new();
    slice.read_into(&mut bytes).unwrap();
    assert_eq!(outline(&bytes), [(120, 129, 0)]);
    assert_eq!(log.read(123, 1, false, Isolation::LogEnd).unwrap().length, 0, "half a batch is of no use");
}

#[test]
fn segments_roll_by_the_age_of_their_batches() {
    let folder = tempfile::tempdir().unwrap();
    let log =
        open(folder.path(), LogConfig { segment_ms: 1000, ..LogConfig::default() }, OpenHints::default());
    for timestamp in [10_000, 10_900, 11_000, 11_001, 12_000, 50] {
        log.append_as_leader(batch(timestamp, 1), 0, Origin::Client, 99_999).unwrap();
    }
    // 11_001 is the first that is more than a second younger than the first of its segment.
    assert_eq!(log.segment_count(), 2);
}

#[test]
fn log_append_time_stamps_the_batch() {
    let folder = tempfile::tempdir().unwrap();
    let config = LogConfig { timestamp_type: TimestampType::LogAppendTime, ..LogConfig::default() };
    let log = open(folder.path(), config, OpenHints::default());
    let appended = log.append_as_leader(batch(1000, 2), 0, Origin::Client, 77_000).unwrap();
    assert_eq!((appended.log_append_time, appended.max_timestamp), (Some(77_000), 77_000));
    let bytes = read_all(&log, 0);
    let view = batches(&bytes).next().unwrap().unwrap();
    view.verify_crc().unwrap();
    assert_eq!(view.header().timestamp_type(), TimestampType::LogAppendTime);
    assert_eq!(view.header().max_timestamp, 77_000);
}

#[test]
fn duplicates_get_their_first_offsets() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path(), small(), OpenHints::default());
    for sequence in [0, 5, 10] {
        log.append_as_leader(batch_of(1000, 5, Some((9, 0, sequence, false))), 0, Origin::Client, 0).unwrap();
    }
    let size = log.size();
    let again =
        log.append_as_leader(batch_of(1000, 5, Some((9, 0, 5, false))), 0, Origin::Client, 0).unwrap();
    assert_eq!((again.first_offset, again.last_offset, again.duplicate), (5, 9, true));
    assert_eq!(log.size(), size);
    assert!(matches!(
        log.append_as_leader(batch_of(1000, 5, Some((9, 0, 16, false))), 0, Origin::Client, 0),
        Err(AppendError::OutOfOrderSequence { last_sequence: 14, base_sequence: 16, .. })
    ));
}

#[test]
fn bad_appends_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path(), small(), OpenHints::default());
    let mut cut = batch(1000, 3);
    cut.pop();
    assert!(matches!(log.append_as_leader(cut, 0, Origin::Client, 0), Err(AppendError::Malformed(_))));
    assert!(matches!(
        log.append_as_leader(Vec::new(), 0, Origin::Client, 0),
        Err(AppendError::Invalid { .. })
    ));
    assert!(matches!(
        log.append_as_leader(marker(true, 0, 1, 0), 0, Origin::Client, 0),
        Err(AppendError::Invalid { .. })
    ));
    assert!(matches!(
        log.append_as_leader(batch(1000, 100), 0, Origin::Client, 0),
        Err(AppendError::TooLarge { segment_bytes: 4096, .. })
    ));
    assert_eq!((log.log_end(), log.size()), (0, 0));
}

#[test]
fn followers_keep_bytes_offsets_and_holes() {
    let leader_folder = tempfile::tempdir().unwrap();
    let leader = open(leader_folder.path(), small(), OpenHints::default());
    for index in 0..20 {
        leader.append_as_leader(batch(1000 + index, 5), index as i32 / 7, Origin::Client, 0).unwrap();
    }
    let all = read_all(&leader, 0);
    // Without the second batch, as a compacted leader might have it, and with a batch cut at the end.
    let second = batches(&all).nth(1).unwrap().unwrap().bytes().len();
    let mut fetched = [&all[..second], &all[2 * second..]].concat();
    fetched.truncate(fetched.len() - 7);
    let folder = tempfile::tempdir().unwrap();
    let follower = open(folder.path(), small(), OpenHints::default());
    let appended = follower.append_as_follower(&fetched).unwrap();
    assert_eq!((appended.first_offset, appended.last_offset, follower.log_end()), (0, 94, 95));
    let whole = fetched.len() - fetched.len() % second;
    assert_eq!(read_all(&follower, 0), &fetched[..whole]);
    assert_eq!(follower.leader_epochs(), leader.leader_epochs());
    assert!(matches!(
        follower.append_as_follower(&fetched),
        Err(AppendError::BelowLogEnd { log_end: 95, .. })
    ));
    let mut flipped = all[19 * second..].to_vec();
    flipped[70] ^= 1;
    assert!(matches!(follower.append_as_follower(&flipped), Err(AppendError::Malformed(_))));
    follower.append_as_follower(&all[19 * second..]).unwrap();
    assert_eq!(follower.log_end(), 100);
}

#[test]
fn a_hole_wider_than_a_segment_reaches_begins_another() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path(), small(), OpenHints::default());
    log.append_as_leader(batch(1000, 1), 0, Origin::Client, 0).unwrap();
    let mut far = batch(1000, 2);
    headwater_record::patch::set_base_offset(&mut far, 5_000_000_000);
    headwater_record::patch::set_leader_epoch(&mut far, 0);
    log.append_as_follower(&far).unwrap();
    assert_eq!(log.log_end(), 5_000_000_002);
    assert_eq!(outline(&read_all(&log, 0)), [(0, 0, 0), (5_000_000_000, 5_000_000_001, 0)]);
    log.close().unwrap();
    let hints = OpenHints { recovery_point: log.flushed(), ..OpenHints::default() };
    assert_eq!(open(folder.path(), small(), hints).log_end(), 5_000_000_002);
}

#[test]
fn a_full_index_rolls_the_segment() {
    let folder = tempfile::tempdir().unwrap();
    let config = LogConfig { segment_index_bytes: 8 * 4, index_interval_bytes: 0, ..LogConfig::default() };
    let log = open(folder.path(), config, OpenHints::default());
    for index in 0..20 {
        log.append_as_leader(batch(1000 + index, 1), 0, Origin::Client, 0).unwrap();
    }
    assert!(log.segment_count() >= 4, "{}", log.segment_count());
    assert_eq!(outline(&read_all(&log, 0)).len(), 20);
}

//! Bounds, isolation, aborted transactions, times.

use headwater_log::{AbortedTransaction, Isolation, LogConfig, OpenHints, Origin, ReadError, StorageError};

use crate::support::{batch, batch_of, marker, open, outline, small};

fn bytes_of<E: headwater_env::Env>(slice: &headwater_log::Slice<E>) -> Vec<u8> {
    let mut bytes = Vec::new();
    slice.read_into(&mut bytes).unwrap();
    bytes
}

#[test]
fn bounds() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path(), small(), OpenHints::default());
    for index in 0..30 {
        log.append_as_leader(batch(1000 + index, 10), 0, Origin::Client, 0).unwrap();
    }
    assert!(log.read(0, 100, true, Isolation::HighWatermark).unwrap().is_empty());
    assert_eq!(log.set_high_watermark(150), 150);
    let mut offset = 0;
    while offset < 150 {
        let slice = log.read(offset, 1000, true, Isolation::HighWatermark).unwrap();
        let seen = outline(&bytes_of(&slice)[..]);
        offset = seen.last().unwrap().1 + 1;
        assert!(offset <= 150);
    }
    assert!(log.read(150, 1000, true, Isolation::HighWatermark).unwrap().is_empty());
    assert!(log.read(300, 1000, true, Isolation::LogEnd).unwrap().is_empty());
    for outside in [-1, 301] {
        assert!(matches!(
            log.read(outside, 1000, true, Isolation::LogEnd),
            Err(ReadError::OffsetOutOfRange { log_start: 0, log_end: 300, .. })
        ));
    }
    assert_eq!(log.set_high_watermark(10), 150, "it never goes back by itself");
    assert_eq!(log.set_high_watermark(1000), 300);
}

#[test]
fn transactions_bound_what_is_stable() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path(), small(), OpenHints::default());
    let append = |bytes: Vec<u8>, origin| log.append_as_leader(bytes, 0, origin, 0).unwrap().last_offset;
    append(batch(1000, 5), Origin::Client);
    append(batch_of(1000, 5, Some((1, 0, 0, true))), Origin::Client);
    append(batch_of(1000, 5, Some((2, 0, 0, true))), Origin::Client);
    log.set_high_watermark(15);
    assert_eq!(log.last_stable(), 5);
    append(marker(false, 1000, 1, 0), Origin::Coordinator);
    append(marker(true, 1000, 2, 0), Origin::Coordinator);
    log.set_high_watermark(17);
    assert_eq!(log.last_stable(), 17);
    let slice = log.read(0, 1 << 20, true, Isolation::LastStable).unwrap();
    assert_eq!(slice.aborted, [AbortedTransaction { producer_id: 1, first_offset: 5 }]);
    assert!(log.read(16, 1 << 20, true, Isolation::LastStable).unwrap().aborted.is_empty());
    assert!(log.read(0, 1 << 20, true, Isolation::HighWatermark).unwrap().aborted.is_empty());
}

#[test]
fn aborted_transactions_are_found_in_later_segments_and_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path(), small(), OpenHints::default());
    log.append_as_leader(batch_of(1000, 5, Some((1, 0, 0, true))), 0, Origin::Client, 0).unwrap();
    for _ in 0..20 {
        log.append_as_leader(batch(1000, 10), 0, Origin::Client, 0).unwrap();
    }
    log.append_as_leader(marker(false, 1000, 1, 0), 0, Origin::Coordinator, 0).unwrap();
    for _ in 0..20 {
        log.append_as_leader(batch(1000, 10), 0, Origin::Client, 0).unwrap();
    }
    let expected = [AbortedTransaction { producer_id: 1, first_offset: 0 }];
    log.set_high_watermark(log.log_end());
    assert_eq!(log.read(0, 100, true, Isolation::LastStable).unwrap().aborted, expected);
    log.close().unwrap();
    for clean_shutdown in [true, false] {
        let hints = OpenHints { clean_shutdown, high_watermark: log.log_end(), ..OpenHints::default() };
        let log = open(folder.path(), small(), hints);
        assert_eq!(log.last_stable(), log.log_end());
        assert_eq!(log.read(0, 100, true, Isolation::LastStable).unwrap().aborted, expected);
        // Not closed: the second round recovers what the first left.
    }
}

#[test]
fn times_are_found_to_the_record() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path(), small(), OpenHints::default());
    for index in 0..60 {
        // Every third batch lies behind its time.
        let timestamp = 10_000 + 100 * index - if index % 3 == 2 { 5_000 } else { 0 };
        log.append_as_leader(batch(timestamp, 10), 0, Origin::Client, 0).unwrap();
    }
    let brute = |wanted: i64| {
        (0..60)
            .flat_map(|index| {
                let timestamp = 10_000 + 100 * index - if index % 3 == 2 { 5_000 } else { 0 };
                (0..10).map(move |record| (timestamp + record, index * 10 + record))
            })
            .find(|(timestamp, _)| *timestamp >= wanted)
    };
    for wanted in (9_990..16_100).step_by(7) {
        let found = log.offset_for_timestamp(wanted).unwrap().map(|found| (found.timestamp, found.offset));
        assert_eq!(found, brute(wanted), "{wanted}");
    }
    let newest = log.max_timestamp_offset().unwrap().unwrap();
    assert_eq!((newest.timestamp, newest.offset), (15_809, 589));
    log.close().unwrap();
    assert!(matches!(log.offset_for_timestamp(0), Err(ReadError::Storage(StorageError::Closed))));
    let hints = OpenHints { clean_shutdown: true, ..OpenHints::default() };
    let log = open(folder.path(), small(), hints);
    let found = log.offset_for_timestamp(12_345).unwrap().map(|found| (found.timestamp, found.offset));
    assert_eq!(found, brute(12_345));
    assert_eq!(log.max_timestamp_offset().unwrap().unwrap().offset, 589);
}

#[test]
fn a_log_without_records_answers() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path(), LogConfig::default(), OpenHints { log_start: 7, ..OpenHints::default() });
    assert_eq!((log.log_start(), log.log_end()), (7, 7));
    assert!(log.read(7, 100, true, Isolation::LogEnd).unwrap().is_empty());
    assert_eq!(log.offset_for_timestamp(0).unwrap(), None);
    assert_eq!(log.max_timestamp_offset().unwrap(), None);
}

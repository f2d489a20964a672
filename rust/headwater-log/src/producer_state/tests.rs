//! The rules of idempotence and transactions, one test each.

use headwater_record::BatchHeader;
use proptest::prelude::*;

use super::*;

const TRANSACTIONAL: i16 = 1 << 4;
const CONTROL: i16 = 1 << 5;

fn batch(producer_id: i64, producer_epoch: i16, base_sequence: i32, count: i32) -> BatchHeader {
    BatchHeader {
        base_offset: 0,
        batch_length: 100,
        partition_leader_epoch: 0,
        magic: 2,
        crc: 0,
        attributes: 0,
        last_offset_delta: count - 1,
        base_timestamp: 1000,
        max_timestamp: 1000,
        producer_id,
        producer_epoch,
        base_sequence,
        record_count: count,
    }
}

fn transactional(header: BatchHeader) -> BatchHeader {
    BatchHeader { attributes: TRANSACTIONAL, ..header }
}

fn marker(producer_id: i64, producer_epoch: i16) -> BatchHeader {
    BatchHeader { attributes: TRANSACTIONAL | CONTROL, ..batch(producer_id, producer_epoch, -1, 1) }
}

/// A log of headers only.
#[derive(Default)]
struct Fixture {
    producers: Producers,
    draft: Draft,
    end: i64,
    aborted: Vec<AbortedEntry>,
}

impl Fixture {
    fn append(&mut self, header: BatchHeader) -> Result<Checked, AppendError> {
        self.append_as(header, None, Origin::Client)
    }

    fn end_transaction(
        &mut self,
        header: BatchHeader,
        commit: bool,
        coordinator_epoch: i32,
    ) -> Result<Checked, AppendError> {
        self.append_as(header, Some(EndTransactionMarker { commit, coordinator_epoch }), Origin::Coordinator)
    }

    fn append_as(
        &mut self,
        header: BatchHeader,
        marker: Option<EndTransactionMarker>,
        origin: Origin,
    ) -> Result<Checked, AppendError> {
        self.draft.clear();
        let checked = self.producers.check(&mut self.draft, &header, marker, self.end, origin)?;
        if checked == Checked::Fresh {
            self.producers.commit(&mut self.draft, |entry| self.aborted.push(entry));
            self.end += i64::from(header.last_offset_delta) + 1;
        }
        Ok(checked)
    }
}

#[test]
fn the_last_five_batches_are_recognised() {
    let mut log = Fixture::default();
    for index in 0..6 {
        assert_eq!(log.append(batch(1, 0, index * 10, 10)).unwrap(), Checked::Fresh);
    }
    assert_eq!(
        log.append(batch(1, 0, 10, 10)).unwrap(),
        Checked::Duplicate { first_offset: 10, last_offset: 19, timestamp: 1000 }
    );
    // The sixth from the end is forgotten, and so looks like a step back.
    assert!(matches!(
        log.append(batch(1, 0, 0, 10)),
        Err(AppendError::OutOfOrderSequence { last_sequence: 59, .. })
    ));
}

#[test]
fn a_gap_is_refused_and_an_unknown_producer_may_begin_anywhere() {
    let mut log = Fixture::default();
    assert_eq!(log.append(batch(1, 0, 77, 1)).unwrap(), Checked::Fresh);
    assert!(matches!(log.append(batch(1, 0, 79, 1)), Err(AppendError::OutOfOrderSequence { .. })));
    assert_eq!(log.append(batch(1, 0, 78, 1)).unwrap(), Checked::Fresh);
}

#[test]
fn sequences_wrap_after_the_largest() {
    let mut log = Fixture::default();
    log.append(batch(1, 0, i32::MAX - 2, 2)).unwrap();
    // Four records: MAX, 0, 1, 2.
    log.append(batch(1, 0, i32::MAX, 4)).unwrap();
    assert_eq!(
        log.append(batch(1, 0, i32::MAX, 4)).unwrap(),
        Checked::Duplicate { first_offset: 2, last_offset: 5, timestamp: 1000 }
    );
    assert_eq!(log.append(batch(1, 0, 3, 1)).unwrap(), Checked::Fresh);
}

#[test]
fn epochs_only_rise_and_begin_at_zero() {
    let mut log = Fixture::default();
    log.append(batch(1, 3, 0, 5)).unwrap();
    assert!(matches!(
        log.append(batch(1, 2, 5, 1)),
        Err(AppendError::InvalidProducerEpoch { current_epoch: 3, .. })
    ));
    assert!(matches!(log.append(batch(1, 4, 5, 1)), Err(AppendError::OutOfOrderSequence { .. })));
    assert_eq!(log.append(batch(1, 4, 0, 1)).unwrap(), Checked::Fresh);
}

#[test]
fn a_marker_with_a_new_epoch_fences_the_old_instance() {
    let mut log = Fixture::default();
    log.append(transactional(batch(1, 0, 0, 5))).unwrap();
    log.end_transaction(marker(1, 1), false, 0).unwrap();
    assert!(matches!(
        log.append(transactional(batch(1, 0, 5, 1))),
        Err(AppendError::InvalidProducerEpoch { .. })
    ));
    assert_eq!(log.append(transactional(batch(1, 1, 0, 1))).unwrap(), Checked::Fresh);
}

#[test]
fn the_first_open_transaction_bounds_what_is_stable() {
    let mut log = Fixture::default();
    log.append(batch(9, 0, 0, 5)).unwrap();
    assert_eq!(log.producers.first_unstable(), None);
    log.append(transactional(batch(1, 0, 0, 5))).unwrap();
    log.append(transactional(batch(2, 0, 0, 5))).unwrap();
    assert_eq!(log.producers.first_unstable(), Some(5));
    log.end_transaction(marker(1, 0), false, 0).unwrap();
    // Ended, but a consumer may not see the marker before it is replicated.
    assert_eq!(log.producers.first_unstable(), Some(5));
    log.producers.on_high_watermark(16);
    assert_eq!(log.producers.first_unstable(), Some(10));
    log.end_transaction(marker(2, 0), true, 0).unwrap();
    log.producers.on_high_watermark(17);
    assert_eq!(log.producers.first_unstable(), None);
    let expected = AbortedEntry { producer_id: 1, first_offset: 5, last_offset: 15, last_stable: 10 };
    assert_eq!(log.aborted, [expected]);
}

#[test]
fn an_empty_transaction_leaves_no_trace_in_the_index() {
    let mut log = Fixture::default();
    log.end_transaction(marker(1, 0), false, 0).unwrap();
    assert!(log.aborted.is_empty());
    assert_eq!(log.producers.first_unstable(), None);
}

#[test]
fn plain_batches_inside_a_transaction_and_old_coordinators_are_refused() {
    let mut log = Fixture::default();
    log.append(transactional(batch(1, 0, 0, 5))).unwrap();
    assert!(matches!(
        log.append(batch(1, 0, 5, 1)),
        Err(AppendError::InvalidTransactionState { first_offset: 0, .. })
    ));
    log.end_transaction(marker(1, 0), true, 7).unwrap();
    assert!(matches!(
        log.end_transaction(marker(1, 0), true, 6),
        Err(AppendError::TransactionCoordinatorFenced { current_epoch: 7, .. })
    ));
}

#[test]
fn silence_expires_but_not_inside_a_transaction() {
    let mut log = Fixture::default();
    log.append(batch(1, 0, 0, 1)).unwrap();
    log.append(transactional(batch(2, 0, 0, 1))).unwrap();
    log.producers.remove_expired(1000 + 499, 500);
    assert_eq!(log.producers.views().count(), 2);
    log.producers.remove_expired(1000 + 500, 500);
    assert_eq!(log.producers.views().map(|view| view.producer_id).collect::<Vec<_>>(), [2]);
}

#[test]
fn damaged_snapshots_are_refused() {
    let mut log = Fixture::default();
    log.append(batch(1, 0, 0, 1)).unwrap();
    let good = log.producers.to_snapshot();
    for index in 0..good.len() {
        let mut bad = good.clone();
        bad[index] ^= 0x40;
        assert!(Producers::from_snapshot(&bad).is_err(), "byte {index}");
        assert!(Producers::from_snapshot(&good[..index]).is_err(), "cut at {index}");
    }
}

proptest! {
    #[test]
    fn snapshot_round_trip(producers in proptest::collection::vec((0..1_000_000i64, 0..100i16, 0..i32::MAX, 1..50i32, any::<bool>()), 0..20)) {
        let mut log = Fixture::default();
        for (producer_id, epoch, sequence, count, open) in producers {
            let header = batch(producer_id, epoch, sequence, count);
            log.append(if open { transactional(header) } else { header }).ok();
        }
        let bytes = log.producers.to_snapshot();
        let loaded = Producers::from_snapshot(&bytes).unwrap();
        prop_assert_eq!(loaded.to_snapshot(), bytes);
        prop_assert_eq!(loaded.first_unstable(), log.producers.first_unstable());
    }
}

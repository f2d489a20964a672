//! The checks: the log against the model, and the log against itself.

use std::collections::BTreeMap;

use headwater_env::Env;
use headwater_record::{BatchView, DecompressBuffer, batches};

use super::generate::Random;
use super::model::Model;
use crate::error::ReadError;
use crate::log::{Log, marker_of};
use crate::log_dir::ReadOnlyLog;
use crate::producer_state::Producers;
use crate::types::{Isolation, Slice};

/// All of them.
pub(super) fn everything<E: Env>(log: &Log<E>, model: &Model, random: &mut Random) {
    offsets(log, model);
    bytes(log, model, random);
    producers(log, model);
    epochs(log, model);
    times(log, model, random);
    aborted(log, model, random);
}

fn offsets<E: Env>(log: &Log<E>, model: &Model) {
    let progress = log.progress();
    assert_eq!((progress.log_start, progress.log_end), (model.start, model.end));
    assert!(progress.log_start <= progress.last_stable, "{progress:?}");
    assert!(progress.last_stable <= progress.high_watermark, "{progress:?}");
    assert!(progress.high_watermark <= progress.log_end, "{progress:?}");
    assert!(progress.flushed <= progress.log_end, "{progress:?}");
}

fn bytes<E: Env>(log: &Log<E>, model: &Model, random: &mut Random) {
    let expected: Vec<u8> = model.visible().flat_map(|batch| batch.bytes.iter().copied()).collect();
    let mut limit = || 1 + random.below(4096);
    let found = read(model.start, model.end, |offset| log.read(offset, limit(), true, Isolation::LogEnd));
    assert!(found == expected, "the log holds other bytes: {} instead of {}", found.len(), expected.len());
}

/// Everything a log can read.
pub(super) fn read_all<E: Env>(log: &Log<E>) -> Vec<u8> {
    read(log.log_start(), log.log_end(), |offset| log.read(offset, 1 << 20, true, Isolation::LogEnd))
}

/// Everything a read-only log can read.
pub(super) fn read_all_read_only<E: Env>(log: &ReadOnlyLog<E>) -> Vec<u8> {
    let progress = log.progress();
    read(progress.log_start, progress.log_end, |offset| log.read(offset, 1 << 20, true, Isolation::LogEnd))
}

fn read<E: Env>(from: i64, to: i64, mut read: impl FnMut(i64) -> Result<Slice<E>, ReadError>) -> Vec<u8> {
    let (mut offset, mut all, mut buffer) = (from, Vec::new(), Vec::new());
    while offset < to {
        let slice = read(offset).unwrap_or_else(|error| panic!("cannot read at {offset}: {error}"));
        slice.read_into(&mut buffer).expect("what a slice names can be read");
        let mut whole = batches(&buffer);
        let mut last = None;
        for view in whole.by_ref() {
            let view = view.expect("a batch");
            view.verify_crc().expect("an intact batch");
            assert!(view.header().last_offset() >= offset, "a batch below the offset asked for");
            last = Some(view.header().next_offset());
        }
        let Some(next) = last else { break };
        all.extend_from_slice(&buffer[..whole.position()]);
        offset = next;
    }
    all
}

fn producers<E: Env>(log: &Log<E>, model: &Model) {
    let mut rebuilt = Producers::default();
    for batch in &model.batches {
        let view = BatchView::new(&batch.bytes).expect("a batch of the model");
        rebuilt.replay(&batch.header, marker_of(&view).expect("readable"), |_| {});
    }
    assert!(
        log.producer_snapshot() == rebuilt.to_snapshot(),
        "producer state differs from a rebuild: {:?}",
        log.producers()
    );
}

fn epochs<E: Env>(log: &Log<E>, model: &Model) {
    let epochs = log.leader_epochs();
    for batch in model.visible() {
        let offset = batch.header.base_offset.max(model.start);
        let known = epochs.iter().rev().find(|(_, start)| *start <= offset).map(|(epoch, _)| *epoch);
        assert_eq!(known, Some(batch.header.partition_leader_epoch), "epoch at offset {offset}: {epochs:?}");
    }
    if let Some((latest, _)) = epochs.last() {
        assert_eq!(log.end_offset_for_epoch(*latest).end_offset, model.end);
    }
}

fn times<E: Env>(log: &Log<E>, model: &Model, random: &mut Random) {
    let mut buffer = DecompressBuffer::new();
    let mut records = Vec::new();
    for batch in model.visible() {
        let view = BatchView::new(&batch.bytes).expect("a batch of the model");
        for record in view.records(&mut buffer, 1 << 20).expect("records") {
            let record = record.expect("a record");
            if record.offset >= model.start {
                records.push((record.timestamp, record.offset));
            }
        }
    }
    for _ in 0..3 {
        if records.is_empty() {
            return;
        }
        let (timestamp, _) = records[random.below(records.len() as u64) as usize];
        let wanted = timestamp + random.below(3) as i64 - 1;
        let expected = records.iter().find(|(timestamp, _)| *timestamp >= wanted);
        let found = log.offset_for_timestamp(wanted).expect("readable");
        assert_eq!(found.map(|found| (found.timestamp, found.offset)).as_ref(), expected, "time {wanted}");
    }
}

fn aborted<E: Env>(log: &Log<E>, model: &Model, random: &mut Random) {
    let mut open: BTreeMap<i64, i64> = BTreeMap::new();
    let mut aborted = Vec::new();
    for batch in &model.batches {
        let header = &batch.header;
        let view = BatchView::new(&batch.bytes).expect("a batch of the model");
        match marker_of(&view).expect("readable") {
            Some(marker) => {
                if let Some(first) = open.remove(&header.producer_id)
                    && !marker.commit
                {
                    aborted.push((header.producer_id, first, header.last_offset()));
                }
            }
            None if header.is_transactional() => {
                _ = open.entry(header.producer_id).or_insert(header.base_offset)
            }
            None => {}
        }
    }
    let progress = log.progress();
    let offset = random.between(progress.log_start, progress.last_stable);
    let slice = log.read(offset, 1 + random.below(8192), true, Isolation::LastStable).expect("readable");
    let mut buffer = Vec::new();
    slice.read_into(&mut buffer).expect("readable");
    let Some(last) = batches(&buffer).flatten().last().map(|view| view.header().last_offset()) else {
        return;
    };
    assert!(last < progress.last_stable, "records above the last stable offset");
    for (producer_id, first, marker) in &aborted {
        let touches = *marker >= offset && *first <= last;
        let listed =
            slice.aborted.iter().any(|one| (one.producer_id, one.first_offset) == (*producer_id, *first));
        assert!(
            !touches || listed,
            "the transaction of {producer_id} at {first} was aborted, and is not listed"
        );
    }
    for one in &slice.aborted {
        let known = aborted
            .iter()
            .any(|(producer, first, _)| (*producer, *first) == (one.producer_id, one.first_offset));
        assert!(known, "{one:?} was not aborted");
    }
}

//! Random batches: plain, of idempotent producers, of transactions, fetched from a leader with holes.

use headwater_record::control::EndTransactionMarker;
use headwater_record::{BatchBuilder, Compression, RecordHeader, batches, patch};

use super::model::{Model, ModelBatch};

const PRODUCERS: usize = 3;

/// A small generator of its own, so that a seed gives the same steps on every machine (splitmix64).
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Random {
        Random(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    pub(super) fn between(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low).max(0) as u64 + 1) as i64
    }

    pub(super) fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }
}

/// A producer as it sees itself.
#[derive(Clone, Copy, Debug, Default)]
struct Producer {
    epoch: i16,
    next_sequence: i32,
    in_transaction: bool,
}

/// Makes batches that the log must accept.
#[derive(Debug, Default)]
pub(super) struct Generator {
    producers: [Producer; PRODUCERS],
    leader_epoch: i32,
}

impl Generator {
    pub(super) fn leader_epoch(&self) -> i32 {
        self.leader_epoch
    }

    /// A leader's batch and epoch.
    pub(super) fn batch(&mut self, random: &mut Random, now_ms: i64) -> (Vec<u8>, i32) {
        if random.one_in(20) {
            self.leader_epoch += 1;
        }
        let codec = if random.one_in(4) { Compression::Lz4 } else { Compression::None };
        let mut builder = BatchBuilder::new(codec);
        if !random.one_in(3) {
            let number = random.below(PRODUCERS as u64) as usize;
            let producer = &mut self.producers[number];
            if !producer.in_transaction && random.one_in(10) {
                *producer = Producer { epoch: producer.epoch + 1, ..Producer::default() };
            }
            builder.set_producer(number as i64 + 100, producer.epoch, producer.next_sequence);
            builder.set_transactional(producer.in_transaction || random.one_in(3));
        }
        fill(&mut builder, random, now_ms);
        (builder.finish().expect("a batch with records").to_vec(), self.leader_epoch)
    }

    /// The end of an open transaction, if there is one.
    pub(super) fn marker(&mut self, random: &mut Random, now_ms: i64) -> Option<(Vec<u8>, i32)> {
        let number = self.producers.iter().position(|producer| producer.in_transaction)?;
        let marker = EndTransactionMarker { commit: random.one_in(2), coordinator_epoch: 0 };
        let bytes =
            marker.to_batch(now_ms, number as i64 + 100, self.producers[number].epoch).expect("a marker");
        Some((bytes.to_vec(), self.leader_epoch))
    }

    /// Batches as a leader would answer a fetch from `from`: offsets and epochs assigned, some compacted away.
    pub(super) fn fetched(&mut self, random: &mut Random, now_ms: i64, from: i64) -> Vec<u8> {
        if random.one_in(4) {
            self.leader_epoch += 1;
        }
        let mut offset = from + if random.one_in(3) { random.below(20) as i64 } else { 0 };
        let mut fetched = Vec::new();
        for _ in 0..=random.below(4) {
            let mut builder = BatchBuilder::new(Compression::None);
            fill(&mut builder, random, now_ms);
            let mut batch = builder.finish().expect("a batch with records").to_vec();
            patch::set_base_offset(&mut batch, offset);
            patch::set_leader_epoch(&mut batch, self.leader_epoch);
            let view = batches(&batch).next().expect("one").expect("whole");
            offset = view.header().next_offset() + if random.one_in(5) { random.below(20) as i64 } else { 0 };
            fetched.extend_from_slice(&batch);
        }
        fetched
    }

    /// Takes note of what the log accepted.
    pub(super) fn appended(&mut self, bytes: &[u8]) {
        for view in batches(bytes) {
            let header = *view.expect("a batch that was appended").header();
            self.leader_epoch = self.leader_epoch.max(header.partition_leader_epoch);
            let Some(number) =
                usize::try_from(header.producer_id - 100).ok().filter(|number| *number < PRODUCERS)
            else {
                continue;
            };
            let producer = &mut self.producers[number];
            producer.in_transaction = header.is_transactional() && !header.is_control();
            if !header.is_control() {
                producer.epoch = header.producer_epoch;
                producer.next_sequence = header.last_sequence() + 1;
            }
        }
    }

    /// Takes the producers back to what the log holds. Leader epochs never go back.
    pub(super) fn rebuild(&mut self, model: &Model) {
        self.producers = Default::default();
        for batch in &model.batches {
            self.appended(&batch.bytes);
        }
    }

    /// One of the last batches of some producer that may be sent again, and whether it is the very last.
    pub(super) fn sent<'m>(&self, random: &mut Random, model: &'m Model) -> Option<(&'m ModelBatch, bool)> {
        let number = random.below(PRODUCERS as u64) as usize;
        let producer = &self.producers[number];
        let mut of_producer = model.batches.iter().rev().filter(|batch| {
            batch.header.producer_id == number as i64 + 100
                && batch.header.producer_epoch == producer.epoch
                && !batch.header.is_control()
        });
        let back = random.below(5) as usize;
        of_producer.nth(back).map(|batch| (batch, back == 0))
    }
}

fn fill(builder: &mut BatchBuilder, random: &mut Random, now_ms: i64) {
    let headers: &[RecordHeader<'_>] = &[];
    for _ in 0..=random.below(5) {
        let value = vec![random.below(256) as u8; random.below(120) as usize];
        let timestamp = now_ms - 5_000 + random.below(10_000) as i64;
        builder.append(timestamp, Some(b"k"), Some(&value), headers).expect("a small record");
    }
}

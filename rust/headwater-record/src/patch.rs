//! What a broker may write into a producer's batch without encoding it again.
//!
//! Base offset and leader epoch lie before the checksummed bytes. The others change checksummed bytes and
//! compute the CRC anew, so they must only be used on a batch whose CRC has been verified.
//!
//! # Panics
//! Every function panics on fewer than 61 bytes: hand in a batch that [`BatchView`](crate::BatchView) accepted,
//! exactly its bytes.

use crate::TimestampType;
use crate::attributes::{DELETE_HORIZON_BIT, TIMESTAMP_TYPE_BIT};
use crate::header::{
    ATTRIBUTES_AT, BASE_SEQUENCE_AT, BASE_TIMESTAMP_AT, CRC_AT, LEADER_EPOCH_AT, MAX_TIMESTAMP_AT,
    PRODUCER_EPOCH_AT, PRODUCER_ID_AT,
};

/// Writes the base offset.
pub fn set_base_offset(batch: &mut [u8], base_offset: i64) {
    batch[..8].copy_from_slice(&base_offset.to_be_bytes());
}

/// Writes the leader epoch.
pub fn set_leader_epoch(batch: &mut [u8], leader_epoch: i32) {
    batch[LEADER_EPOCH_AT..LEADER_EPOCH_AT + 4].copy_from_slice(&leader_epoch.to_be_bytes());
}

/// Makes `now_ms` the timestamp of every record, type LogAppendTime. Computes the CRC anew.
pub fn set_log_append_time(batch: &mut [u8], now_ms: i64) {
    set_max_timestamp(batch, TimestampType::LogAppendTime, now_ms);
}

/// Writes timestamp type and largest timestamp (in ms). Computes the CRC anew if anything changed.
pub fn set_max_timestamp(batch: &mut [u8], timestamp_type: TimestampType, max_timestamp: i64) {
    let before = attributes(batch);
    let after = match timestamp_type {
        TimestampType::CreateTime => before & !TIMESTAMP_TYPE_BIT,
        TimestampType::LogAppendTime => before | TIMESTAMP_TYPE_BIT,
    };
    let place = MAX_TIMESTAMP_AT..MAX_TIMESTAMP_AT + 8;
    if after == before && batch[place.clone()] == max_timestamp.to_be_bytes() {
        return;
    }
    batch[place].copy_from_slice(&max_timestamp.to_be_bytes());
    batch[ATTRIBUTES_AT..ATTRIBUTES_AT + 2].copy_from_slice(&after.to_be_bytes());
    update_crc(batch);
}

/// Sets the time (in ms) from which compaction may drop tombstones. Computes the CRC anew.
///
/// It takes the place of the base timestamp, so the records' deltas must already be relative to it.
pub fn set_delete_horizon(batch: &mut [u8], horizon_ms: i64) {
    let attributes = attributes(batch) | DELETE_HORIZON_BIT;
    batch[ATTRIBUTES_AT..ATTRIBUTES_AT + 2].copy_from_slice(&attributes.to_be_bytes());
    batch[BASE_TIMESTAMP_AT..BASE_TIMESTAMP_AT + 8].copy_from_slice(&horizon_ms.to_be_bytes());
    update_crc(batch);
}

/// Writes producer id, epoch and base sequence. Computes the CRC anew.
///
/// For a producer that learns its id, or must bump its epoch, after a batch was built.
pub fn set_producer(batch: &mut [u8], producer_id: i64, producer_epoch: i16, base_sequence: i32) {
    batch[PRODUCER_ID_AT..PRODUCER_ID_AT + 8].copy_from_slice(&producer_id.to_be_bytes());
    batch[PRODUCER_EPOCH_AT..PRODUCER_EPOCH_AT + 2].copy_from_slice(&producer_epoch.to_be_bytes());
    batch[BASE_SEQUENCE_AT..BASE_SEQUENCE_AT + 4].copy_from_slice(&base_sequence.to_be_bytes());
    update_crc(batch);
}

fn attributes(batch: &[u8]) -> i16 {
    i16::from_be_bytes([batch[ATTRIBUTES_AT], batch[ATTRIBUTES_AT + 1]])
}

fn update_crc(batch: &mut [u8]) {
    let crc = crate::crc32c(&batch[ATTRIBUTES_AT..]);
    batch[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_be_bytes());
}

//! Batches to Arrow: an error or sound columns.

use std::sync::Arc;

use arrow_array::Array;
use bytes::Bytes;
use headwater_arrow::source::{AbortedTransaction, RawBatches};
use headwater_arrow::{BatchLimits, BytesLayout, Decoder, Filled, Projection};

use crate::{Feed, mend};

/// Flags and limits, then batches.
pub fn arrow_decode(input: &[u8]) {
    let mut feed = Feed::new(input);
    let flags = feed.u8();
    let rows = 1 + usize::from(feed.u8());
    let start = i64::from(feed.u16());
    let mut bytes = feed.rest().to_vec();
    if flags & 1 != 0 {
        mend::batches(&mut bytes);
    }
    let layout = if flags & 2 != 0 { BytesLayout::View } else { BytesLayout::Binary };
    let limits = BatchLimits { rows, bytes: 1 << 12, decompressed: 1 << 20 };
    let mut decoder = Decoder::new(Projection::all(layout), limits);
    let aborted = AbortedTransaction { producer_id: 1, first_offset: start };
    let raw = RawBatches {
        bytes: Bytes::from(bytes),
        verified: flags & 4 != 0,
        aborted: if flags & 8 != 0 { vec![aborted] } else { Vec::new() },
        ..RawBatches::default()
    };
    decoder.begin(&Arc::from("t"), 0, raw, start..i64::MAX);
    loop {
        let filled = decoder.fill();
        let Ok(filled) = filled else { return };
        let batch = decoder.take().expect("columns fit together");
        assert!(batch.num_rows() <= rows, "{} rows, {rows} allowed", batch.num_rows());
        for column in batch.columns() {
            column.to_data().validate_full().expect("a sound column");
        }
        if filled == Filled::UsedUp {
            return;
        }
    }
}

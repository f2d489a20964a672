//! Damaged bytes: an error or fewer rows, never a panic.

use std::sync::Arc;

use bytes::Bytes;
use headwater_arrow::source::RawBatches;
use headwater_arrow::*;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::model::*;

proptest! {
    #[test]
    fn mutations(
        kafka in vec(batch_strategy(), 1..4),
        changes in vec((any::<Index>(), any::<u8>()), 1..6),
        view: bool,
        verified: bool,
    ) {
        let mut bytes = partition("t", 0, 0, &kafka).0.to_vec();
        for (place, value) in changes {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        let layout = if view { BytesLayout::View } else { BytesLayout::Binary };
        let limits = BatchLimits { rows: 5, bytes: 100, decompressed: 1 << 20 };
        let mut decoder = Decoder::new(Projection::all(layout), limits);
        let raw = RawBatches { bytes: Bytes::from(bytes), verified, ..RawBatches::default() };
        decoder.begin(&Arc::from("t"), 0, raw, 0..i64::MAX);
        while let Ok(Filled::Full) = decoder.fill() {
            prop_assert!(decoder.take().unwrap().num_rows() <= 5);
        }
        decoder.take().unwrap();
    }
}

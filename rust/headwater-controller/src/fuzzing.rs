//! Doors for `fuzz/` to decoders that nobody else may use. Only built with `--cfg fuzzing`.

use headwater_record::Uuid;

use crate::image::MetadataImage;
use crate::quorum::decode_twice;
use crate::records::{MetadataRecord, decode_batch, encode_batch};

/// Decodes a batch of records and replays it; what decodes must come back when it is encoded, and an image
/// that replay accepts must come back from its own records.
///
/// # Panics
/// When one of these promises is broken.
pub fn records(bytes: &[u8]) {
    let Ok(records) = decode_batch(bytes) else { return };
    let encoded = encode_batch(&records);
    assert_eq!(decode_batch(&encoded).as_ref(), Ok(&records), "encoded and decoded again");
    replay(&records);
}

fn replay(records: &[MetadataRecord]) {
    let empty = MetadataImage::empty(Uuid::from_bytes([1; 16]), 1);
    let mut image = empty.clone();
    if records.iter().all(|record| image.replay(record, 7).is_ok()) {
        let mut copy = MetadataImage { index: image.index, ..empty };
        for record in image.to_records() {
            copy.replay(&record, 7).expect("an image's own records can be replayed");
        }
        assert_eq!(copy, image, "an image from its own records");
    }
}

/// Decodes a snapshot file, whatever cluster it is of.
///
/// # Panics
/// When the image that came out does not come back from its own records.
pub fn snapshot(bytes: &[u8]) {
    if let Some((image, again)) = decode_twice(bytes) {
        assert_eq!(again, image, "an image from its own snapshot");
    }
}

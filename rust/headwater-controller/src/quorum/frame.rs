//! The frames of the metadata log, and the headers of the files that hold them.
//!
//! ```text
//!   segment := magic "HWMETALG" | version u32 | number u64 | first sequence u64 | crc u32 | frame*
//!   frame   := length u32 | crc u32 | kind u8 | version u8 | 0 u16 | sequence u64 | synced u64 | body
//! ```
//!
//! `length` counts what follows the CRC, the CRC-32C covers the same. A length of zero is the end: files are filled
//! with zeros ahead of the log. Frames are numbered without gaps over all segments; `synced` says up to which of them
//! everything was on stable storage when this one was written. That tells a torn tail from damage: a frame that
//! cannot be read was lost in a power cut, *unless* a later one swears that it had been synced.

use headwater_record::crc32c;

use super::types::{
    RaftEntry, RaftLogId, RaftVote, decode_entry, decode_log_id, decode_vote, encode_entry, encode_log_id,
    encode_vote,
};
use crate::records::{Decoder, Encoder, RecordError};

const MAGIC: &[u8; 8] = b"HWMETALG";
/// Of segments and frames.
pub(super) const VERSION: u32 = 1;
/// Magic, version, number, first sequence, CRC.
pub(super) const SEGMENT_HEADER_SIZE: usize = 32;
/// Frames and segments are counted one by one, so no number comes near the end of its type, and whoever has read one
/// may count on.
const COUNTED_MAX: u64 = u64::MAX / 2;
/// Length and CRC.
const FRAME_PREFIX_SIZE: usize = 8;
/// Everything before the body.
pub(super) const FRAME_HEADER_SIZE: usize = FRAME_PREFIX_SIZE + 20;

const ENTRY: u8 = 1;
const VOTE: u8 = 2;
const COMMITTED: u8 = 3;
const TRUNCATE_AFTER: u8 = 4;
const PURGED: u8 = 5;

/// What a frame says.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Frame {
    /// The next entry of the log.
    Entry(RaftEntry),
    /// This node's vote from now on.
    Vote(RaftVote),
    /// Everything up to here is committed.
    Committed(Option<RaftLogId>),
    /// Everything after this entry (everything, for `None`) is no longer part of the log.
    TruncateAfter(Option<RaftLogId>),
    /// Everything up to this entry is no longer needed.
    Purged(RaftLogId),
}

/// A frame as found in a file.
#[derive(Debug, PartialEq)]
pub(super) struct Framed {
    pub(super) frame: Frame,
    pub(super) sequence: u64,
    pub(super) synced: u64,
    /// Bytes in the file.
    pub(super) size: usize,
}

/// Why there is no frame at a position.
#[derive(Debug, PartialEq)]
pub(super) enum NoFrame {
    /// Zeros, or nothing at all.
    End,
    /// Bytes that are no frame, or not a whole one.
    Broken(String),
    /// A frame of a newer version.
    Newer(u8),
}

pub(super) fn encode_frame(encoder: &mut Encoder, frame: &Frame, sequence: u64, synced: u64) {
    let mut body = Encoder::new();
    let kind = match frame {
        Frame::Entry(entry) => {
            encode_entry(&mut body, entry);
            ENTRY
        }
        Frame::Vote(vote) => {
            encode_vote(&mut body, vote);
            VOTE
        }
        Frame::Committed(id) => {
            body.option(id.as_ref(), encode_log_id);
            COMMITTED
        }
        Frame::TruncateAfter(id) => {
            body.option(id.as_ref(), encode_log_id);
            TRUNCATE_AFTER
        }
        Frame::Purged(id) => {
            encode_log_id(&mut body, id);
            PURGED
        }
    };
    let mut covered = Encoder::new();
    covered.u8(kind);
    covered.u8(VERSION as u8);
    covered.u16(0);
    covered.u64(sequence);
    covered.u64(synced);
    covered.raw(&body.into_bytes());
    let covered = covered.into_bytes();
    encoder.u32(covered.len() as u32);
    encoder.u32(crc32c(&covered));
    encoder.raw(&covered);
}

/// Reads the frame at the start of `bytes`.
pub(super) fn decode_frame(bytes: &[u8]) -> Result<Framed, NoFrame> {
    let Some((length, crc)) = bytes.first_chunk::<FRAME_PREFIX_SIZE>().map(prefix) else {
        return if bytes.iter().all(|byte| *byte == 0) {
            Err(NoFrame::End)
        } else {
            Err(NoFrame::Broken("the file ends within the head of a frame".into()))
        };
    };
    if length == 0 {
        return Err(NoFrame::End);
    }
    let Some(covered) = bytes[FRAME_PREFIX_SIZE..].get(..length) else {
        return Err(NoFrame::Broken(format!("a frame of {length} bytes does not fit in the file")));
    };
    if crc32c(covered) != crc {
        return Err(NoFrame::Broken("the checksum of a frame is wrong".into()));
    }
    let malformed = |error: RecordError| NoFrame::Broken(error.to_string());
    let mut decoder = Decoder::new(covered);
    let kind = decoder.u8().map_err(malformed)?;
    let version = decoder.u8().map_err(malformed)?;
    if u32::from(version) != VERSION {
        return Err(NoFrame::Newer(version));
    }
    decode_covered(kind, version, &mut decoder, FRAME_PREFIX_SIZE + length)
}

fn prefix(bytes: &[u8; FRAME_PREFIX_SIZE]) -> (usize, u32) {
    let [a, b, c, d, e, f, g, h] = *bytes;
    (u32::from_be_bytes([a, b, c, d]) as usize, u32::from_be_bytes([e, f, g, h]))
}

fn decode_covered(kind: u8, version: u8, decoder: &mut Decoder<'_>, size: usize) -> Result<Framed, NoFrame> {
    let parse = |decoder: &mut Decoder<'_>| -> Result<Option<Framed>, RecordError> {
        decoder.u16()?;
        let (sequence, synced) = (decoder.u64()?, decoder.u64()?);
        let frame = match kind {
            ENTRY => Frame::Entry(decode_entry(decoder)?),
            VOTE => Frame::Vote(decode_vote(decoder)?),
            COMMITTED => Frame::Committed(decoder.option(decode_log_id)?),
            TRUNCATE_AFTER => Frame::TruncateAfter(decoder.option(decode_log_id)?),
            PURGED => Frame::Purged(decode_log_id(decoder)?),
            _ => return Ok(None),
        };
        decoder.finish()?;
        Ok(Some(Framed { frame, sequence, synced, size }))
    };
    match parse(decoder) {
        Ok(Some(framed)) => Ok(framed),
        // The checksum is right, so somebody meant it: a kind that comes later.
        Ok(None) => Err(NoFrame::Newer(version)),
        Err(error) => Err(NoFrame::Broken(error.to_string())),
    }
}

/// Where in `bytes`, at whatever position, a frame lies that proves that frame `missing` was on stable storage once.
pub(super) fn find_witness(bytes: &[u8], missing: u64) -> Option<usize> {
    // Room filled with zeros ends most files, and no frame lies in it.
    let written = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    (0..written.min(bytes.len().saturating_sub(FRAME_HEADER_SIZE))).find(|position| {
        // Cheap looks first: this may run over every byte of megabytes.
        let candidate = &bytes[*position..];
        let plausible = (ENTRY..=PURGED).contains(&candidate[8])
            && u32::from(candidate[9]) == VERSION
            && candidate[10..12] == [0, 0];
        plausible
            && decode_frame(candidate)
                .is_ok_and(|framed| framed.sequence > missing && framed.synced >= missing)
    })
}

pub(super) fn encode_segment_header(encoder: &mut Encoder, number: u64, first_sequence: u64) {
    let mut header = Encoder::new();
    header.raw(MAGIC);
    header.u32(VERSION);
    header.u64(number);
    header.u64(first_sequence);
    let header = header.into_bytes();
    encoder.raw(&header);
    encoder.u32(crc32c(&header));
}

/// What the head of a segment says: its number and the sequence number of its first frame.
///
/// # Errors
/// `Newer` where the version is, `Malformed` for anything else that is not a head of ours.
pub(super) fn decode_segment_header(bytes: &[u8]) -> Result<(u64, u64), RecordError> {
    let mut decoder = Decoder::new(bytes);
    let covered = decoder.raw(SEGMENT_HEADER_SIZE - 4)?;
    let crc = decoder.u32()?;
    let mut header = Decoder::new(covered);
    if header.raw(MAGIC.len())? != MAGIC {
        return Err(RecordError::Malformed("this is no segment of a metadata log".into()));
    }
    let version = header.u32()?;
    if crc != crc32c(covered) {
        return Err(RecordError::Malformed("the checksum of the segment's head is wrong".into()));
    }
    if version != VERSION {
        return Err(RecordError::Newer { record_type: 0, version: u8::try_from(version).unwrap_or(u8::MAX) });
    }
    let (number, first_sequence) = (header.u64()?, header.u64()?);
    if number.min(first_sequence) == 0 || number.max(first_sequence) > COUNTED_MAX {
        return Err(RecordError::Malformed(format!(
            "segment {number} cannot begin with frame {first_sequence}: both are counted from 1"
        )));
    }
    Ok((number, first_sequence))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::types::log_id;
    use super::*;

    fn encoded(frame: &Frame, sequence: u64, synced: u64) -> Vec<u8> {
        let mut encoder = Encoder::new();
        encode_frame(&mut encoder, frame, sequence, synced);
        encoder.into_bytes()
    }

    #[test]
    fn frames_round_trip() {
        let vote =
            RaftVote { leader_id: super::super::types::LeaderId { term: 4, voted_for: 2 }, committed: true };
        for frame in [
            Frame::Vote(vote),
            Frame::Committed(None),
            Frame::Committed(Some(log_id(1, 2))),
            Frame::TruncateAfter(Some(log_id(3, 4))),
            Frame::Purged(log_id(5, 6)),
        ] {
            let bytes = encoded(&frame, 9, 8);
            let framed = Framed { frame, sequence: 9, synced: 8, size: bytes.len() };
            assert_eq!(decode_frame(&bytes), Ok(framed));
        }
    }

    #[test]
    fn a_segment_that_cannot_be_counted_on_from_is_refused() {
        for (number, first_sequence, is_ours) in [
            (1, 1, true),
            (3, 700, true),
            (0, 1, false),
            (1, 0, false),
            (1, u64::MAX, false),
            (u64::MAX, 1, false),
        ] {
            let mut encoder = Encoder::new();
            encode_segment_header(&mut encoder, number, first_sequence);
            let decoded = decode_segment_header(&encoder.into_bytes());
            assert_eq!(decoded.is_ok(), is_ours, "{decoded:?}");
        }
    }

    #[test]
    fn an_index_that_nothing_can_follow_is_refused() {
        for frame in [Frame::Purged(log_id(1, u64::MAX)), Frame::TruncateAfter(Some(log_id(1, u64::MAX)))] {
            assert!(matches!(decode_frame(&encoded(&frame, 9, 8)), Err(NoFrame::Broken(_))), "{frame:?}");
        }
    }

    #[test]
    fn a_flipped_bit_is_noticed_anywhere() {
        let bytes = encoded(&Frame::Purged(log_id(5, 6)), 1, 0);
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(decode_frame(&bytes).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_witness_is_found_at_any_position_and_only_if_it_was_synced() {
        let mut bytes = vec![0xab; 13];
        bytes.extend(encoded(&Frame::Committed(None), 7, 5));
        assert_eq!(find_witness(&bytes, 5), Some(13));
        assert_eq!(find_witness(&bytes, 6), None);
    }

    #[test]
    fn the_first_version_of_a_segment_stays_readable() {
        let mut encoder = Encoder::new();
        encode_segment_header(&mut encoder, 3, 17);
        encode_frame(&mut encoder, &Frame::Purged(log_id(5, 6)), 17, 16);
        let golden = [
            &b"HWMETALG\0\0\0\x01\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0\x11"[..],
            &crc32c(b"HWMETALG\0\0\0\x01\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0\x11").to_be_bytes(),
            &[0, 0, 0, 36],
            &crc32c(&golden_frame()).to_be_bytes(),
            &golden_frame(),
        ]
        .concat();
        assert_eq!(encoder.into_bytes(), golden);
        assert_eq!(decode_segment_header(&golden), Ok((3, 17)));
    }

    fn golden_frame() -> Vec<u8> {
        let numbers = [17u64, 16, 5, 6].map(u64::to_be_bytes).concat();
        [&[5, 1, 0, 0][..], &numbers].concat()
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
            let _ = decode_frame(&bytes);
            let _ = decode_segment_header(&bytes);
            let _ = find_witness(&bytes, 0);
        }
    }
}

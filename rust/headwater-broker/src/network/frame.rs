//! Frames out of a byte stream: a four-byte length, then so many bytes.
//!
//! The length is checked before anything is allocated for it. A frame that fits is read into the spare room
//! of the buffer; for a larger one exactly its size is reserved, so that the records in it are the only
//! owner of their memory once the rest of the request is decoded.

use bytes::buf::Limit;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use headwater_protocol::FrameError;

/// Bytes of the length prefix.
const PREFIX: usize = 4;

/// The room that a connection at rest keeps for what may come.
const REST_BYTES: usize = 8 * 1024;

/// A buffer between a socket and the frames in it.
#[derive(Debug)]
pub(super) struct FrameBuffer {
    bytes: BytesMut,
    limit: usize,
    /// The length of the frame that has begun, prefix already taken off.
    announced: Option<usize>,
}

impl FrameBuffer {
    /// A buffer that refuses frames of more than `limit` bytes.
    pub(super) fn new(limit: usize) -> FrameBuffer {
        FrameBuffer { bytes: BytesMut::new(), limit, announced: None }
    }

    /// The length of the frame that comes next, once its prefix is here.
    pub(super) fn announced(&mut self) -> Result<Option<usize>, FrameError> {
        if self.announced.is_none() && self.bytes.len() >= PREFIX {
            let length = self.bytes.get_i32();
            let length = usize::try_from(length).map_err(|_| FrameError::Negative(length))?;
            if length > self.limit {
                return Err(FrameError::TooLarge { length, limit: self.limit });
            }
            self.announced = Some(length);
        }
        Ok(self.announced)
    }

    /// The next frame, if all of it is here.
    pub(super) fn take(&mut self) -> Result<Option<Bytes>, FrameError> {
        match self.announced()? {
            Some(length) if self.bytes.len() >= length => {
                self.announced = None;
                // A large frame leaves with its memory, so that its last holder may change it in place.
                let alone = length > REST_BYTES && self.bytes.len() == length;
                let frame = if alone { std::mem::take(&mut self.bytes) } else { self.bytes.split_to(length) };
                Ok(Some(frame.freeze()))
            }
            _ => Ok(None),
        }
    }

    /// Where to read to, with room for the rest of the announced frame. Nothing is read past the end of a
    /// large frame.
    pub(super) fn room(&mut self) -> Limit<&mut BytesMut> {
        let wanted = match self.announced {
            Some(length) => length.saturating_sub(self.bytes.len()),
            None => 0,
        };
        if wanted > REST_BYTES {
            self.bytes.reserve(wanted);
            return (&mut self.bytes).limit(wanted);
        }
        if self.bytes.capacity() - self.bytes.len() < wanted.max(PREFIX) {
            self.bytes.reserve(REST_BYTES);
        }
        let spare = self.bytes.capacity() - self.bytes.len();
        (&mut self.bytes).limit(spare)
    }

    /// Whether a frame, or its prefix, has begun and is not whole.
    pub(super) fn is_in_frame(&self) -> bool {
        self.announced.is_some() || !self.bytes.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lengths_out_of_bounds_are_refused_before_anything_is_reserved() {
        for (length, expected) in [
            (-1, FrameError::Negative(-1)),
            (i32::MIN, FrameError::Negative(i32::MIN)),
            (i32::MAX, FrameError::TooLarge { length: i32::MAX as usize, limit: 100 }),
            (101, FrameError::TooLarge { length: 101, limit: 100 }),
        ] {
            let mut buffer = FrameBuffer::new(100);
            buffer.room().put_i32(length);
            assert_eq!(buffer.take(), Err(expected));
            assert!(buffer.bytes.capacity() <= REST_BYTES);
        }
    }

    #[test]
    fn a_frame_of_no_bytes_is_a_frame() {
        let mut buffer = FrameBuffer::new(100);
        buffer.room().put_i32(0);
        assert_eq!(buffer.take(), Ok(Some(Bytes::new())));
        assert!(!buffer.is_in_frame());
    }

    proptest! {
        #[test]
        fn however_the_bytes_arrive_the_frames_are_the_same(
            lengths in prop::collection::vec(0_usize..20_000, 1..6),
            pieces in prop::collection::vec(1_usize..9_000, 5..20),
        ) {
            let frames: Vec<Vec<u8>> =
                (0_u8..).zip(&lengths).map(|(seed, length)| (0..*length).map(|at| at as u8 ^ seed).collect()).collect();
            let mut stream = BytesMut::new();
            for frame in &frames {
                stream.put_u32(frame.len() as u32);
                stream.put_slice(frame);
            }
            let mut buffer = FrameBuffer::new(1 << 20);
            let mut seen = Vec::new();
            let mut pieces = pieces.iter().cycle();
            while !stream.is_empty() {
                let mut room = buffer.room();
                let spare = room.remaining_mut();
                prop_assert!(spare > 0, "a read into no room would look like the end");
                let count = (*pieces.next().unwrap()).min(spare).min(stream.len());
                room.put_slice(&stream.split_to(count));
                while let Some(frame) = buffer.take().unwrap() {
                    seen.push(frame.to_vec());
                }
            }
            prop_assert_eq!(seen, frames);
            prop_assert!(!buffer.is_in_frame());
        }
    }
}

//! Large buffers that come back when their last reader lets go of them.
//!
//! Memory fresh from the system costs a page fault for every 4 KiB, and lies in no cache; a stream of buffers of about
//! one size had better go round.

use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// Capacities are multiples of this, so that a buffer fits the next one's length, too. Smaller buffers are cheap to have
/// anew, and are not rounded up and not kept.
const GRAIN_BYTES: usize = 256 * 1024;
/// A buffer is given to whom it has at most so many times the room that is needed, rounded up.
const ROOM_TIMES_MAX: usize = 4;

/// Where buffers go when they are done with. Clones share their buffers, which go back to the system when the last clone is
/// dropped, or, if they are in use then, when they are done with.
#[derive(Clone, Debug)]
pub struct Recycler {
    shelf: Arc<Shelf>,
}

#[derive(Debug)]
struct Shelf {
    bytes_max: usize,
    // The one that came back last is at the back: it is in the caches still.
    free: Mutex<VecDeque<Vec<u8>>>,
}

struct Shared {
    buffer: Vec<u8>,
    shelf: Weak<Shelf>,
}

impl Recycler {
    /// Keeps at most `bytes_max` bytes of buffers that nobody uses.
    pub fn new(bytes_max: usize) -> Recycler {
        Recycler { shelf: Arc::new(Shelf { bytes_max, free: Mutex::default() }) }
    }

    /// An empty buffer with room for `capacity` bytes at least, and not for many times as much: who keeps it keeps all of
    /// it. One used before if there is one.
    pub fn take(&self, capacity: usize) -> Vec<u8> {
        if capacity < GRAIN_BYTES {
            return Vec::with_capacity(capacity);
        }
        let wanted = capacity.next_multiple_of(GRAIN_BYTES);
        let fits = |buffer: &Vec<u8>| {
            (capacity..=wanted.saturating_mul(ROOM_TIMES_MAX)).contains(&buffer.capacity())
        };
        let mut free = self.shelf.free();
        let used = free.iter().rposition(fits).and_then(|place| free.remove(place));
        drop(free);
        used.unwrap_or_else(|| Vec::with_capacity(wanted))
    }

    /// The buffer's bytes, to be shared; its memory comes back when the last of their clones and slices is dropped.
    pub fn share(&self, buffer: Vec<u8>) -> Bytes {
        Bytes::from_owner(Shared { buffer, shelf: Arc::downgrade(&self.shelf) })
    }
}

impl Shelf {
    fn free(&self) -> MutexGuard<'_, VecDeque<Vec<u8>>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, mut buffer: Vec<u8>) {
        if !(GRAIN_BYTES..=self.bytes_max).contains(&buffer.capacity()) {
            return;
        }
        buffer.clear();
        let mut dropped = Vec::new();
        let mut free = self.free();
        free.push_back(buffer);
        let mut kept: usize = free.iter().map(Vec::capacity).sum();
        // Sizes that nobody asks for any more come to the front.
        while kept > self.bytes_max
            && let Some(oldest) = free.pop_front()
        {
            kept -= oldest.capacity();
            dropped.push(oldest);
        }
        // The system takes its time to take them back: not under the lock.
        drop(free);
    }
}

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(shelf) = self.shelf.upgrade() {
            shelf.put(std::mem::take(&mut self.buffer));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(recycler: &Recycler, length: usize) -> Bytes {
        let mut buffer = recycler.take(length);
        assert!(buffer.is_empty() && buffer.capacity() >= length);
        buffer.resize(length, 7);
        recycler.share(buffer)
    }

    fn kept(recycler: &Recycler) -> usize {
        recycler.shelf.free().iter().map(Vec::capacity).sum()
    }

    #[test]
    fn a_buffer_comes_back_when_its_last_slice_is_dropped() {
        let recycler = Recycler::new(1 << 20);
        let first = filled(&recycler, GRAIN_BYTES);
        let address = first.as_ptr();
        let slice = first.slice(10..20);
        drop(first);
        assert_ne!(
            filled(&recycler, GRAIN_BYTES).as_ptr(),
            address,
            "while a slice is there it is nobody else's"
        );
        recycler.shelf.free().clear();
        assert_eq!(*slice, [7; 10]);
        drop(slice);
        let again = filled(&recycler, GRAIN_BYTES);
        assert_eq!((again.as_ptr(), again.len()), (address, GRAIN_BYTES));
    }

    #[test]
    fn no_more_is_kept_than_allowed() {
        let recycler = Recycler::new(3 * GRAIN_BYTES);
        let many: Vec<Bytes> = (0..10).map(|_| filled(&recycler, GRAIN_BYTES)).collect();
        drop(many);
        assert_eq!(kept(&recycler), 3 * GRAIN_BYTES);
        drop(filled(&recycler, 4 * GRAIN_BYTES));
        assert!(kept(&recycler) <= 3 * GRAIN_BYTES);
    }

    #[test]
    fn sizes_that_nobody_asks_for_make_way() {
        let recycler = Recycler::new(4 * GRAIN_BYTES);
        drop([filled(&recycler, GRAIN_BYTES), filled(&recycler, GRAIN_BYTES)]);
        drop([filled(&recycler, 2 * GRAIN_BYTES), filled(&recycler, 2 * GRAIN_BYTES)]);
        let sizes: Vec<usize> = recycler.shelf.free().iter().map(Vec::capacity).collect();
        assert_eq!(sizes, [2 * GRAIN_BYTES; 2]);
    }

    #[test]
    fn a_small_need_pins_no_large_buffer() {
        let recycler = Recycler::new(64 * GRAIN_BYTES);
        drop(filled(&recycler, 32 * GRAIN_BYTES));
        let small = filled(&recycler, GRAIN_BYTES);
        assert_eq!(kept(&recycler), 32 * GRAIN_BYTES);
        drop(small);
        assert!(filled(&recycler, 9 * GRAIN_BYTES).len() == 9 * GRAIN_BYTES);
        assert_eq!(kept(&recycler), 33 * GRAIN_BYTES);
    }

    #[test]
    fn small_buffers_are_neither_rounded_up_nor_kept() {
        let recycler = Recycler::new(8 * GRAIN_BYTES);
        drop([recycler.share(Vec::new()), filled(&recycler, 1), filled(&recycler, GRAIN_BYTES - 1)]);
        assert!(recycler.shelf.free().is_empty());
        assert!(recycler.take(1000).capacity() < GRAIN_BYTES);
    }

    #[test]
    fn buffers_outlive_their_recycler() {
        let recycler = Recycler::new(1 << 20);
        let bytes = filled(&recycler, 100);
        drop(recycler);
        assert_eq!(*bytes, [7; 100]);
    }
}

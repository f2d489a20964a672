//! What a forked child must let go of.
//!
//! Python programs fork without an exec (multiprocessing, Spark's workers). The child inherits every descriptor, so
//! a port stays taken and a peer sees no end of stream for as long as the child lives. The handler that runs in the
//! child may use nothing but atomics and close(2): any lock may be held by a thread that does not exist there.
//! Everything else that was inherited is leaked, here by [`Own`].

use std::ops::Deref;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::process;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

/// Descriptors the table holds. One that finds it full is not closed in children, which then hold that socket until
/// they exit; its owner still ends the connection with shutdown(2), which no inherited copy can prevent.
const SLOTS: usize = 4096;

const FREE: RawFd = -1;

static TABLE: [AtomicI32; SLOTS] = [const { AtomicI32::new(FREE) }; SLOTS];

/// Where the last free slot was found.
static HINT: AtomicUsize = AtomicUsize::new(0);

/// Closes every listening and connected socket that was inherited. To be called in a forked child and nowhere else
/// (`pthread_atfork`); async-signal-safe. The objects of these sockets are dead afterwards: dropping them is
/// harmless, using them fails.
pub fn close_inherited_in_child() {
    for slot in &TABLE {
        let descriptor = slot.swap(FREE, Ordering::AcqRel);
        if descriptor != FREE {
            // SAFETY: the descriptor was listed by its owner, which takes it off the list before closing it, so it
            // is open. The owner's copy in this child never uses or closes it again: `Own` leaks it.
            unsafe { libc::close(descriptor) };
        }
    }
}

/// A place in the table, given back on drop.
#[derive(Debug)]
struct Slot(Option<usize>);

impl Slot {
    fn take(descriptor: RawFd) -> Self {
        let start = HINT.load(Ordering::Relaxed);
        let found = (0..SLOTS).map(|step| (start + step) % SLOTS).find(|&index| {
            TABLE[index].compare_exchange(FREE, descriptor, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        });
        if let Some(index) = found {
            HINT.store(index + 1, Ordering::Relaxed);
        }
        Self(found)
    }

    fn release(&mut self) {
        if let Some(index) = self.0.take() {
            TABLE[index].store(FREE, Ordering::Release);
            HINT.store(index, Ordering::Relaxed);
        }
    }
}

/// A socket, or a file that another process has lent, listed in the table while it lives, dropped only by the process that made it.
#[derive(Debug)]
pub(super) struct Own<S: AsFd> {
    // Some until drop.
    socket: Option<S>,
    slot: Slot,
    pid: u32,
}

impl<S: AsFd> Own<S> {
    pub(super) fn new(socket: S) -> Self {
        let slot = Slot::take(socket.as_fd().as_raw_fd());
        Self { socket: Some(socket), slot, pid: process::id() }
    }
}

impl<S: AsFd> Deref for Own<S> {
    type Target = S;

    fn deref(&self) -> &S {
        self.socket.as_ref().expect("the socket is there until it is dropped")
    }
}

impl<S: AsFd> std::ops::DerefMut for Own<S> {
    fn deref_mut(&mut self) -> &mut S {
        self.socket.as_mut().expect("the socket is there until it is dropped")
    }
}

impl<S: AsFd> Drop for Own<S> {
    fn drop(&mut self) {
        if process::id() == self.pid {
            // Off the list first: once closed, the number may belong to somebody else's file.
            self.slot.release();
            if let Some(socket) = &self.socket {
                // A child may hold a copy, and a close would then not end the connection. Fails on sockets that are
                // not connected and on files, which is fine.
                rustix::net::shutdown(socket, rustix::net::Shutdown::Both).ok();
            }
        } else {
            std::mem::forget(self.socket.take());
        }
    }
}

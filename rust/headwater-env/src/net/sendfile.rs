//! File ranges straight from the page cache into a socket.
//!
//! `sendfile` runs on the connection's own task. It copies nothing into this process, but on a page that is not in
//! memory it waits for the device, and with it every task of that worker thread; so ranges far behind the tail are
//! first brought in with [`read_ahead`] on the blocking pool, and [`is_cached`] tells whether that is needed.
//! macOS: its sendfile differs in every respect, so a buffer is read and written instead.

use std::io;
use std::os::fd::BorrowedFd;

use tokio::io::Interest;

use super::tcp::TcpStream;

/// The most that one call of [`sendfile`] sends: other connections of the thread get their turn in between.
pub const SENDFILE_BYTES_MAX: usize = 256 * 1024;

/// How far apart [`is_cached`] looks: as far as the kernel reads ahead by default. It mostly drops together what it
/// brought in together, so a wrong answer is rare, and costs one wait for the device. At 32 KiB the probes took a fifth of
/// a broker's time in long fetches.
#[cfg(target_os = "linux")]
const PROBE_STRIDE: u64 = 128 * 1024;

/// The size of the reads of [`read_ahead`].
const READ_AHEAD_BYTES: usize = 128 * 1024;

/// Why a file range did not go out.
#[derive(Debug, thiserror::Error)]
pub enum SendFileError {
    /// The file ends before the range does. The peer was promised more bytes, so the connection must be closed.
    #[error("the file ends at {position}, {missing} bytes before the end of the range")]
    FileTooShort {
        /// Where the file ends.
        position: u64,
        /// How many bytes of the range are missing.
        missing: usize,
    },
    /// Reading the file or writing the socket failed. Close the connection.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Sends a first part of the file range of `length` bytes at `position`: waits until the socket takes bytes, sends
/// at most [`SENDFILE_BYTES_MAX`], moves `position` on and returns how many went (0 only if `length` is 0). Call it
/// again for the rest.
///
/// Cancel-safe: what was sent is counted in `position`.
pub async fn sendfile(
    stream: &TcpStream,
    file: BorrowedFd<'_>,
    position: &mut u64,
    length: usize,
) -> Result<usize, SendFileError> {
    if length == 0 {
        return Ok(0);
    }
    let turn = length.min(SENDFILE_BYTES_MAX);
    // Waits for the socket as often as it says that it is full, and gives way to other tasks now and then.
    let sent = stream.async_io(Interest::WRITABLE, || send_once(stream, file, position, turn)).await?;
    match sent {
        0 => Err(SendFileError::FileTooShort { position: *position, missing: length }),
        sent => Ok(sent),
    }
}

#[cfg(target_os = "linux")]
fn send_once(stream: &TcpStream, file: BorrowedFd<'_>, position: &mut u64, turn: usize) -> io::Result<usize> {
    // The kernel moves `position` itself.
    Ok(rustix::io::retry_on_intr(|| rustix::fs::sendfile(&**stream, file, Some(&mut *position), turn))?)
}

#[cfg(not(target_os = "linux"))]
fn send_once(stream: &TcpStream, file: BorrowedFd<'_>, position: &mut u64, turn: usize) -> io::Result<usize> {
    let mut buffer = vec![0; turn];
    let count = rustix::io::retry_on_intr(|| rustix::io::pread(file, &mut buffer[..], *position))?;
    if count == 0 {
        return Ok(0);
    }
    let sent = rustix::io::retry_on_intr(|| rustix::io::write(&**stream, &buffer[..count]))?;
    *position += sent as u64;
    Ok(sent)
}

/// Whether the range is in memory, as far as samples tell: if not, reading it waits for the device. Where the
/// system cannot tell, the answer is `true`. Costs one system call per 128 KiB.
pub fn is_cached(file: BorrowedFd<'_>, position: u64, length: usize) -> bool {
    let Some(last) = (length as u64).checked_sub(1).map(|span| position.saturating_add(span)) else {
        return true;
    };
    probes(position, last).all(|position| is_byte_cached(file, position))
}

#[cfg(target_os = "linux")]
fn probes(first: u64, last: u64) -> impl Iterator<Item = u64> {
    let stride = usize::try_from(PROBE_STRIDE).unwrap_or(usize::MAX);
    (first..last).step_by(stride).chain(std::iter::once(last))
}

#[cfg(target_os = "linux")]
fn is_byte_cached(file: BorrowedFd<'_>, position: u64) -> bool {
    use rustix::io::{Errno, ReadWriteFlags, preadv2};
    let mut byte = [0];
    let read = preadv2(file, &mut [io::IoSliceMut::new(&mut byte)], position, ReadWriteFlags::NOWAIT);
    // Any other failure will show in the read itself; a file system that does not know the flag cannot tell.
    !matches!(read, Err(Errno::AGAIN))
}

#[cfg(not(target_os = "linux"))]
fn probes(_first: u64, last: u64) -> impl Iterator<Item = u64> {
    std::iter::once(last)
}

#[cfg(not(target_os = "linux"))]
fn is_byte_cached(_file: BorrowedFd<'_>, _position: u64) -> bool {
    true
}

/// Brings the range into memory. Waits for the device: for the blocking pool. Stops quietly at the end of the file.
pub fn read_ahead(file: BorrowedFd<'_>, position: u64, length: usize) -> io::Result<()> {
    // Advice alone returns before the pages are there, and is cut short under memory pressure; so the range is also
    // read, which costs a copy that stays in the processor's cache.
    #[cfg(target_os = "linux")]
    rustix::fs::fadvise(
        file,
        position,
        std::num::NonZeroU64::new(length as u64),
        rustix::fs::Advice::WillNeed,
    )?;
    let mut buffer = vec![0; length.min(READ_AHEAD_BYTES)];
    let mut done = 0;
    while done < length {
        let wanted = (length - done).min(buffer.len());
        let piece = &mut buffer[..wanted];
        match rustix::io::retry_on_intr(|| rustix::io::pread(file, &mut *piece, position + done as u64))? {
            0 => break,
            count => done += count,
        }
    }
    Ok(())
}

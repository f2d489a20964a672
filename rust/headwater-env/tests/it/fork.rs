//! What a forked child keeps of sockets.

use std::os::fd::{AsFd, AsRawFd};

use headwater_env::net::{close_inherited_in_child, connect, listen};

/// Runs `check` in a forked child, which may do only what is allowed between fork and exec, and expects `true`.
pub(super) fn in_child(check: impl FnOnce() -> bool) {
    // SAFETY: the child calls only `check`, which keeps to async-signal-safe functions, and _exit.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "fork");
    if pid == 0 {
        let code = if check() { 0 } else { 1 };
        // SAFETY: ends the child without running anything of the parent's.
        unsafe { libc::_exit(code) };
    }
    let mut status = 0;
    // SAFETY: `pid` is our child, `status` a valid place.
    let waited = unsafe { libc::waitpid(pid, &mut status, 0) };
    assert_eq!((waited, status), (pid, 0), "the child found what it expected");
}

fn is_open(descriptor: i32) -> bool {
    // SAFETY: F_GETFD only looks, also at a number that is no descriptor.
    unsafe { libc::fcntl(descriptor, libc::F_GETFD) != -1 }
}

#[tokio::test]
async fn a_child_closes_listeners_and_streams_and_nothing_else() {
    let listener = listen(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stream, accepted) = tokio::join!(connect("127.0.0.1", address.port()), listener.accept());
    let (stream, accepted) = (stream.unwrap(), accepted.unwrap().0);
    let released = connect("127.0.0.1", address.port()).await.unwrap();
    drop(released);
    // Most likely takes the number that has just become free, and must not be taken for a socket.
    let file = tempfile::tempfile().unwrap();
    let sockets = [listener.as_fd().as_raw_fd(), stream.as_raw_fd(), accepted.as_raw_fd()];
    in_child(|| {
        let before = sockets.iter().all(|socket| is_open(*socket));
        close_inherited_in_child();
        // A copy of the value, as fork makes of all memory: dropping it must not end the parent's connection.
        // SAFETY: the child ends right after, so the value is dropped once in this process.
        drop(unsafe { std::ptr::read(&stream) });
        before && sockets.iter().all(|socket| !is_open(*socket)) && is_open(file.as_raw_fd())
    });
    assert!(sockets.iter().all(|socket| is_open(*socket)), "the parent keeps them");

    stream.writable().await.unwrap();
    stream.try_write(b"still here").unwrap();
    accepted.readable().await.unwrap();
    let mut buffer = [0; 20];
    assert_eq!(accepted.try_read(&mut buffer).unwrap(), 10, "the connection works on");
}

#[tokio::test]
async fn a_dropped_stream_ends_though_a_child_holds_a_copy() {
    let listener = listen("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (stream, accepted) = tokio::join!(connect("127.0.0.1", port), listener.accept());
    let (stream, (accepted, _)) = (stream.unwrap(), accepted.unwrap());
    // SAFETY: a valid descriptor; the copy stands for the one a child inherits.
    let copy = unsafe { libc::dup(stream.as_raw_fd()) };
    assert!(copy >= 0);
    drop(stream);
    accepted.readable().await.unwrap();
    assert_eq!(accepted.try_read(&mut [0; 4]).unwrap(), 0, "the end of the stream");
    // SAFETY: closes the copy made above, once.
    unsafe { libc::close(copy) };
}

#[tokio::test]
async fn a_port_in_use_is_refused() {
    let listener = listen("127.0.0.1:0").await.unwrap();
    let again = listen(listener.local_addr().unwrap()).await;
    assert_eq!(again.unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
}

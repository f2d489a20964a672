//! Files over local sockets.

use std::io::ErrorKind;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::Duration;

use headwater_env::net::{LocalStream, ReadOnlyFile, close_inherited_in_child, connect_local, listen_local};
use headwater_env::real::{RealDisk, RealFile};
use headwater_env::{Disk, DiskFile, OpenMode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::fork::in_child;

fn name(test: &str) -> String {
    format!("headwater-test-{}-{test}", std::process::id())
}

async fn connected(test: &str) -> (LocalStream, LocalStream) {
    let listener = listen_local(&name(test)).unwrap();
    let ours = connect_local(&name(test)).unwrap();
    (ours, listener.accept().await.unwrap())
}

fn file(directory: &tempfile::TempDir, content: &[u8]) -> RealFile {
    let file = RealDisk.open(&directory.path().join("file"), OpenMode::Create).unwrap();
    file.write_all_at(content, 0).unwrap();
    file
}

fn lent(file: &RealFile) -> ReadOnlyFile {
    ReadOnlyFile::of(file.raw_fd().unwrap()).unwrap()
}

/// The descriptors of this process that lead to `path`: those of a lent file are private to the crate.
fn descriptors_of(path: &Path) -> Vec<i32> {
    let entries = std::fs::read_dir("/proc/self/fd").unwrap();
    let found = entries.filter_map(|entry| {
        let entry = entry.ok()?.path();
        let number = entry.file_name()?.to_str()?.parse().ok()?;
        (std::fs::read_link(&entry).ok()? == path).then_some(number)
    });
    found.collect()
}

/// Everything up to the end of the stream, with the offset of the last byte of the read that each file came with.
async fn receive_all(stream: &LocalStream) -> (Vec<u8>, Vec<ReadOnlyFile>) {
    let (mut bytes, mut files, mut buffer) = (Vec::new(), Vec::new(), [0; 7]);
    loop {
        let count = stream.receive(&mut buffer, &mut files).await.unwrap();
        if count == 0 {
            return (bytes, files);
        }
        bytes.extend_from_slice(&buffer[..count]);
    }
}

#[tokio::test]
async fn files_arrive_in_order_among_the_bytes_around_them() {
    let directory = tempfile::tempdir().unwrap();
    let content: Vec<u8> = (0..600_000_u32).map(|index| (index * 31 + index / 255) as u8).collect();
    let file = file(&directory, &content);
    let (mut sender, receiver) = connected("order").await;
    sender.write_all(b"before").await.unwrap();
    assert_eq!(sender.send_with_file(b"first", &lent(&file)).await.unwrap(), 5);
    assert_eq!(sender.send_with_file(b"second", &lent(&file)).await.unwrap(), 6);
    sender.write_all(b"after").await.unwrap();
    drop(sender);
    let (bytes, files) = receive_all(&receiver).await;
    assert_eq!(bytes, b"beforefirstsecondafter");
    assert_eq!(files.len(), 2);
    // Its name may be gone by the time it is read.
    std::fs::remove_file(directory.path().join("file")).unwrap();
    let mut range = Vec::with_capacity(600_000);
    files[0].read(&mut range, 3, 10).await.unwrap();
    files[1].read(&mut range, 1000, 599_000).await.unwrap();
    assert!(range[..10] == content[3..13] && range[10..] == content[1000..], "the ranges, byte for byte");
}

#[tokio::test]
async fn ranges_that_cannot_be_had_are_errors() {
    let directory = tempfile::tempdir().unwrap();
    let file = lent(&file(&directory, b"0123456789"));
    let mut room = Vec::with_capacity(100);
    let capacity = room.capacity();
    assert_eq!(file.read(&mut room, 5, 6).await.unwrap_err().kind(), ErrorKind::UnexpectedEof);
    assert_eq!(file.read(&mut room, u64::MAX, 1).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(file.read(&mut room, 0, capacity + 1).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(room.capacity(), capacity, "nothing grew");
}

#[tokio::test]
async fn what_is_lent_cannot_be_written() {
    let directory = tempfile::tempdir().unwrap();
    let file = file(&directory, b"as it was");
    let (sender, receiver) = connected("readonly").await;
    sender.send_with_file(b"x", &lent(&file)).await.unwrap();
    drop(sender);
    let (_, files) = receive_all(&receiver).await;
    let opened = descriptors_of(&directory.path().join("file"));
    // SAFETY: F_GETFL only looks.
    let modes: Vec<i32> = opened
        .into_iter()
        .map(|number| unsafe { libc::fcntl(number, libc::F_GETFL) } & libc::O_ACCMODE)
        .collect();
    assert_eq!(modes.iter().filter(|mode| **mode == libc::O_RDWR).count(), 1, "the sender's own: {modes:?}");
    assert!(modes.contains(&libc::O_RDONLY), "the one that came: {modes:?}");
    drop(files);
}

#[tokio::test]
async fn a_name_is_taken_while_its_listener_lives_and_nobody_listens_afterwards() {
    let name = name("taken");
    assert_eq!(connect_local(&name).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    let listener = listen_local(&name).unwrap();
    assert_eq!(listen_local(&name).unwrap_err().kind(), ErrorKind::AddrInUse);
    drop(listener);
    assert_eq!(connect_local(&name).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    drop(listen_local(&name).unwrap());
}

#[tokio::test]
async fn a_reader_that_expects_no_files_drops_them_and_misses_no_byte() {
    let directory = tempfile::tempdir().unwrap();
    let file = file(&directory, b"content");
    let (sender, mut receiver) = connected("unexpected").await;
    for bytes in [b"one", b"two", b"tri"] {
        sender.send_with_file(bytes, &lent(&file)).await.unwrap();
    }
    let mut bytes = [0; 9];
    let reading = receiver.read_exact(&mut bytes);
    tokio::time::timeout(Duration::from_secs(5), reading).await.expect("all of it is here").unwrap();
    assert_eq!(&bytes, b"onetwotri");
}

#[tokio::test]
async fn a_forked_child_holds_neither_listener_nor_stream_nor_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = lent(&file(&directory, b"content"));
    let opened = descriptors_of(&directory.path().join("file"));
    assert_eq!(opened.len(), 1);
    let listener = listen_local(&name("fork")).unwrap();
    let stream = connect_local(&name("fork")).unwrap();
    let accepted = listener.accept().await.unwrap();
    let socket = stream.as_raw_fd();
    in_child(|| {
        close_inherited_in_child();
        // SAFETY: F_GETFD only looks, also at a number that is no descriptor.
        [socket, opened[0]].iter().all(|number| unsafe { libc::fcntl(*number, libc::F_GETFD) == -1 })
    });
    let mut content = Vec::with_capacity(7);
    file.read(&mut content, 0, 7).await.unwrap();
    assert_eq!(content, b"content", "the parent keeps it");
    stream.writable().await.unwrap();
    stream.try_write(b"still here").unwrap();
    tokio::time::timeout(Duration::from_secs(5), accepted.readable()).await.unwrap().unwrap();
    assert_eq!(accepted.try_read(&mut [0; 20]).unwrap(), 10);
}

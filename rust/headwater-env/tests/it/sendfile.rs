//! File ranges over real sockets.

use std::os::fd::BorrowedFd;

use headwater_env::net::{SENDFILE_BYTES_MAX, SendFileError, TcpStream, connect, listen, sendfile};
use headwater_env::real::{RealDisk, RealFile};
use headwater_env::{Disk, DiskFile, OpenMode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

async fn connected() -> (TcpStream, TcpStream) {
    let listener = listen("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (ours, accepted) = tokio::join!(connect("localhost", port), listener.accept());
    (ours.unwrap(), accepted.unwrap().0)
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index * 31 + index / 255) as u8).collect()
}

fn file(directory: &tempfile::TempDir, content: &[u8]) -> RealFile {
    let file = RealDisk.open(&directory.path().join("file"), OpenMode::Create).unwrap();
    file.write_all_at(content, 0).unwrap();
    file
}

fn descriptor(file: &RealFile) -> BorrowedFd<'_> {
    file.raw_fd().expect("a real file has one")
}

#[tokio::test]
async fn the_exact_bytes_arrive_however_slow_the_reader() {
    const LENGTH: usize = 24 * 1024 * 1024;
    let directory = tempfile::tempdir().unwrap();
    let content = pattern(LENGTH + 2000);
    let file = file(&directory, &content);
    let (mut sender, mut receiver) = connected().await;
    let sending = tokio::spawn(async move {
        let (mut position, mut left, mut turns) = (1000, LENGTH, 0);
        while left > 0 {
            let sent = sendfile(&sender, descriptor(&file), &mut position, left).await.unwrap();
            assert!(sent > 0 && sent <= SENDFILE_BYTES_MAX);
            left -= sent;
            turns += 1;
            assert_eq!(position, (1000 + LENGTH - left) as u64);
        }
        sender.write_all(b"end").await.unwrap();
        turns
    });
    // More than the buffers of both sockets hold: the sender has to wait.
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    assert!(!sending.is_finished());
    let mut received = Vec::new();
    receiver.read_to_end(&mut received).await.unwrap();
    assert!(received[..LENGTH] == content[1000..1000 + LENGTH], "the range, byte for byte");
    assert_eq!(&received[LENGTH..], b"end");
    assert!(sending.await.unwrap() >= LENGTH / SENDFILE_BYTES_MAX);
}

#[tokio::test]
async fn a_file_shorter_than_promised_is_an_error_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let file = file(&directory, &pattern(1000));
    let (sender, _receiver) = connected().await;
    let mut position = 400;
    assert_eq!(sendfile(&sender, descriptor(&file), &mut position, 0).await.unwrap(), 0);
    assert_eq!(sendfile(&sender, descriptor(&file), &mut position, 2000).await.unwrap(), 600);
    match sendfile(&sender, descriptor(&file), &mut position, 1400).await {
        Err(SendFileError::FileTooShort { position: 1000, missing: 1400 }) => {}
        other => panic!("not {other:?}"),
    }
}

#[tokio::test]
async fn a_closed_peer_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let file = file(&directory, &pattern(SENDFILE_BYTES_MAX));
    let (sender, receiver) = connected().await;
    drop(receiver);
    let outcome = loop {
        let mut position = 0;
        if let Err(error) = sendfile(&sender, descriptor(&file), &mut position, SENDFILE_BYTES_MAX).await {
            break error;
        }
    };
    assert!(matches!(outcome, SendFileError::Io(_)), "{outcome:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn cold_pages_are_noticed_and_brought_in() {
    use headwater_env::net::{is_cached, read_ahead};
    const LENGTH: usize = 4 * 1024 * 1024;
    // Beside the build's output, since the system's temporary directory may live in memory.
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let file = file(&directory, &pattern(LENGTH));
    file.sync().unwrap();
    assert!(is_cached(descriptor(&file), 0, LENGTH), "just written");
    assert!(is_cached(descriptor(&file), 0, 0));
    rustix::fs::fadvise(descriptor(&file), 0, None, rustix::fs::Advice::DontNeed).unwrap();
    if rustix::fs::fstatfs(descriptor(&file)).unwrap().f_type != libc::TMPFS_MAGIC {
        assert!(!is_cached(descriptor(&file), 0, LENGTH), "dropped from memory");
    }
    read_ahead(descriptor(&file), 1 << 20, 1 << 20).unwrap();
    assert!(is_cached(descriptor(&file), 1 << 20, 1 << 20), "brought in");
    read_ahead(descriptor(&file), LENGTH as u64 - 10, 1000).expect("the end of the file is no error");
}

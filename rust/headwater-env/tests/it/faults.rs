//! Calls of the simulated disk that fail at a test's bidding.

use std::io::ErrorKind;
use std::path::Path;

use headwater_env::crashsafe;
use headwater_env::sim::{Fault, Operation, SimDisk};
use headwater_env::{Disk, DiskFile, OpenMode};

#[test]
fn the_chosen_call_fails_once() {
    let disk = SimDisk::new(1);
    let file = disk.open(Path::new("file"), OpenMode::Create).unwrap();
    disk.fail_nth(Operation::Sync, 2, ErrorKind::Other);
    file.sync().unwrap();
    assert_eq!(file.sync().unwrap_err().raw_os_error(), Some(libc::EIO));
    file.sync().unwrap();
}

#[test]
fn a_fault_can_be_narrowed_and_lasting() {
    let disk = SimDisk::new(1);
    let [log, index] = ["0.log", "0.index"].map(|name| disk.open(Path::new(name), OpenMode::Create).unwrap());
    disk.fail(Fault::new(Operation::Write, ErrorKind::QuotaExceeded).on(".log").lasting());
    for _ in 0..3 {
        index.write_all_at(b"x", 0).unwrap();
        assert_eq!(log.write_all_at(b"x", 0).unwrap_err().raw_os_error(), Some(libc::EDQUOT));
    }
    disk.clear_faults();
    log.write_all_at(b"x", 0).unwrap();
}

#[test]
fn a_failed_create_or_rename_changes_nothing() {
    let disk = SimDisk::new(1);
    disk.fail_next(Operation::Create, ErrorKind::PermissionDenied);
    assert!(disk.open(Path::new("a"), OpenMode::Create).is_err());
    assert!(!disk.exists(Path::new("a")).unwrap());
    disk.open(Path::new("a"), OpenMode::Create).unwrap();
    disk.fail_next(Operation::Rename, ErrorKind::Other);
    assert!(disk.rename(Path::new("a"), Path::new("b")).is_err());
    assert!(disk.exists(Path::new("a")).unwrap() && !disk.exists(Path::new("b")).unwrap());
}

/// A page that could not be written is marked clean: still to be read, never to be written.
#[test]
fn what_a_failed_sync_lost_no_later_sync_brings_back() {
    let mut lost = 0;
    for seed in 0..50 {
        let disk = SimDisk::new(seed);
        let file = disk.open(Path::new("file"), OpenMode::Create).unwrap();
        disk.sync_dir(Path::new("/")).unwrap();
        file.write_all_at(b"before", 0).unwrap();
        disk.fail_next(Operation::Sync, ErrorKind::Other);
        assert!(file.sync().is_err());
        file.write_all_at(b"after", 6).unwrap();
        file.sync().unwrap();
        let mut seen = [0; 11];
        file.read_exact_at(&mut seen, 0).unwrap();
        assert_eq!(&seen, b"beforeafter", "the page cache still has it");
        let found = crashsafe::read_file(&disk.crash(), Path::new("file"), 100).unwrap();
        assert_eq!(&found[6..], b"after", "what was synced with success is there");
        lost += u32::from(found[..6] != *b"before");
    }
    assert!(lost > 10, "lost in {lost} of 50");
}

#[test]
fn a_failed_write_leaves_a_prefix() {
    let lengths: Vec<u64> = (0..20)
        .map(|seed| {
            let disk = SimDisk::new(seed);
            let file = disk.open(Path::new("file"), OpenMode::Create).unwrap();
            disk.fail_next(Operation::Write, ErrorKind::StorageFull);
            assert_eq!(file.write_all_at(&[7; 100], 0).unwrap_err().kind(), ErrorKind::StorageFull);
            file.len().unwrap()
        })
        .collect();
    assert!(
        lengths.iter().all(|length| *length <= 100) && lengths.iter().any(|length| *length != lengths[0])
    );
}

#[test]
fn a_full_disk_takes_what_fits_and_recovers() {
    let disk = SimDisk::new(1);
    disk.fill(1000);
    let file = disk.open(Path::new("file"), OpenMode::Create).unwrap();
    let other = disk.open(Path::new("other"), OpenMode::Create).unwrap();
    other.write_all_at(&[1; 400], 0).unwrap();
    let error = file.write_all_at(&[2; 700], 0).unwrap_err();
    assert_eq!((error.kind(), error.raw_os_error()), (ErrorKind::StorageFull, Some(libc::ENOSPC)));
    assert_eq!(file.len().unwrap(), 600);
    file.write_all_at(&[3; 600], 0).expect("overwriting needs no room");
    disk.remove_file(Path::new("other")).unwrap();
    file.write_all_at(&[2; 400], 600).expect("there is room again");
    assert!(file.write_all_at(&[2; 1], 1000).is_err());
    disk.unfill();
    file.write_all_at(&[2; 1], 1000).unwrap();
}

#[test]
fn calls_and_bytes_are_counted() {
    let disk = SimDisk::new(1);
    let before = disk.counters();
    crashsafe::write_file(&disk, Path::new("file"), &[0; 300]).unwrap();
    crashsafe::read_file(&disk, Path::new("file"), 300).unwrap();
    let after = disk.counters();
    let calls = |operation| after.calls(operation) - before.calls(operation);
    assert_eq!([Operation::Create, Operation::Write, Operation::Sync].map(calls), [1; 3]);
    assert_eq!([Operation::Rename, Operation::SyncDir, Operation::Open].map(calls), [1; 3]);
    assert_eq!((after.written_bytes, after.read_bytes), (300, 300));
    assert_eq!(after.mutations(), 5);
}

//! Unclean stops, torn tails, missing indexes, bit rot.

use std::fs;
use std::path::Path;

use headwater_env::real::RealEnv;
use headwater_log::verify::verify_partition;
use headwater_log::{Isolation, Log, OpenError, OpenHints, Origin, ReadError, ReadOnlyLog, StorageError};

use crate::support::{batch, batch_of, env, identity, open, read_all, small};

/// Fills a log with 30 batches of 10 records, closes it, and returns its bytes.
fn filled(folder: &Path) -> Vec<u8> {
    let log = open(folder, small(), OpenHints::default());
    for index in 0..30 {
        log.append_as_leader(batch(1000 + index, 10), 3, Origin::Client, 0).unwrap();
    }
    log.close().unwrap();
    let log = open(folder, small(), clean());
    let bytes = read_all(&log, 0);
    log.close().unwrap();
    bytes
}

fn clean() -> OpenHints {
    OpenHints { clean_shutdown: true, recovery_point: 300, ..OpenHints::default() }
}

fn unclean(recovery_point: i64) -> OpenHints {
    OpenHints { recovery_point, ..OpenHints::default() }
}

fn files(folder: &Path, suffix: &str) -> Vec<std::path::PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.to_string_lossy().ends_with(suffix));
    files.sort();
    files
}

fn damage(result: Result<Log<RealEnv>, OpenError>) -> headwater_log::Damage {
    match result {
        Err(OpenError::Storage(StorageError::Damaged(damage))) => damage,
        Err(error) => panic!("another error: {error}"),
        Ok(_) => panic!("the damage went unnoticed"),
    }
}

fn try_open(folder: &Path, hints: OpenHints) -> Result<Log<RealEnv>, OpenError> {
    Log::open(env(), folder, identity(), small(), hints).map(|(log, _)| log)
}

#[test]
fn a_torn_tail_is_cut_wherever_it_is_torn() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = filled(folder.path());
    let last = files(folder.path(), ".log").pop().unwrap();
    let whole = fs::read(&last).unwrap();
    let one = bytes.len() / 30;
    for cut in [1, 20, 61, one - 1, one, one + 1, 2 * one - 5] {
        fs::write(&last, &whole[..whole.len() - cut]).unwrap();
        let seen = ReadOnlyLog::open(env(), folder.path(), identity(), unclean(0)).unwrap();
        let (log, report) = Log::open(env(), folder.path(), identity(), small(), unclean(0)).unwrap();
        let kept = 30 - cut.div_ceil(one);
        assert_eq!(log.log_end(), kept as i64 * 10, "{cut}");
        assert_eq!(seen.progress().log_end, log.log_end());
        assert_eq!(read_all(&log, 0), bytes[..kept * one]);
        assert_eq!(report.cut.is_some(), cut % one != 0, "{cut}");
        assert_eq!(report.scanned_bytes, (kept * one) as u64);
        log.close().unwrap();
    }
}

#[test]
fn zeros_and_flipped_bits_above_the_recovery_point_are_cut() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = filled(folder.path());
    let last = files(folder.path(), ".log").pop().unwrap();
    let mut whole = fs::read(&last).unwrap();
    let one = bytes.len() / 30;
    let middle = whole.len() - one / 2;
    whole[middle] ^= 0x10;
    whole.extend_from_slice(&[0; 5000]);
    fs::write(&last, &whole).unwrap();
    let (log, report) = Log::open(env(), folder.path(), identity(), small(), unclean(200)).unwrap();
    assert_eq!(log.log_end(), 290);
    let cut = report.cut.unwrap();
    assert_eq!((cut.bytes, cut.at.file), (5000 + one as u64, last));
    // What comes afterwards goes where the torn batch was.
    log.append_as_leader(batch(5000, 10), 3, Origin::Client, 0).unwrap();
    assert_eq!(log.log_end(), 300);
}

#[test]
fn damage_below_the_recovery_point_is_told_and_never_cut() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path());
    let last = files(folder.path(), ".log").pop().unwrap();
    let whole = fs::read(&last).unwrap();
    fs::write(&last, &whole[..whole.len() - 1]).unwrap();
    for hints in [unclean(300), clean()] {
        let damage = damage(try_open(folder.path(), hints));
        assert_eq!(damage.file, last);
        assert_eq!(fs::read(&last).unwrap().len(), whole.len() - 1, "nothing was cut");
    }
    fs::remove_file(&last).unwrap();
    assert!(damage(try_open(folder.path(), unclean(300))).reason.contains("below 300"));
}

#[test]
fn a_sealed_segment_that_was_cut_is_damage() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path());
    let first = files(folder.path(), ".log").remove(0);
    let whole = fs::read(&first).unwrap();
    fs::write(&first, &whole[..whole.len() - 10]).unwrap();
    assert_eq!(damage(try_open(folder.path(), unclean(300))).file, first);
    let report = verify_partition(&headwater_env::real::RealDisk, folder.path(), unclean(300)).unwrap();
    assert!(!report.is_sound());
}

#[test]
fn bit_rot_is_refused_by_the_first_read() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = filled(folder.path());
    let one = (bytes.len() / 30) as u64;
    let first = files(folder.path(), ".log").remove(0);
    let mut whole = fs::read(&first).unwrap();
    let position = 2 * one as usize + 200;
    whole[position] ^= 0x01;
    fs::write(&first, &whole).unwrap();
    let log = open(folder.path(), small(), clean());
    let before = log.read(0, 1 << 20, true, Isolation::LogEnd).unwrap();
    assert_eq!(before.length, 2 * one, "what lies before is served");
    for _ in 0..2 {
        match log.read(25, 1 << 20, true, Isolation::LogEnd) {
            Err(ReadError::Storage(StorageError::Damaged(damage))) => {
                assert_eq!((damage.file, damage.position), (first.clone(), 2 * one));
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(log.read(30, 1 << 20, true, Isolation::LogEnd).unwrap().length > 0, "what lies behind is served");
}

#[test]
fn missing_and_odd_indexes_of_sealed_segments_are_rebuilt() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = filled(folder.path());
    let indexes = files(folder.path(), ".index");
    let times = files(folder.path(), ".timeindex");
    let expected: Vec<_> = indexes.iter().chain(&times).map(|path| fs::read(path).unwrap()).collect();
    fs::remove_file(&indexes[0]).unwrap();
    fs::remove_file(&times[1]).unwrap();
    fs::write(&indexes[2], b"odd").unwrap();
    let mut wrong = fs::read(&indexes[3]).unwrap();
    let at = wrong.len() - 1;
    wrong[at] ^= 1;
    fs::write(&indexes[3], wrong).unwrap();
    let (log, report) = Log::open(env(), folder.path(), identity(), small(), clean()).unwrap();
    assert_eq!(report.rebuilt_indexes.len(), 4);
    assert_eq!(read_all(&log, 0), bytes);
    let found: Vec<_> = indexes.iter().chain(&times).map(|path| fs::read(path).unwrap()).collect();
    assert!(found == expected, "rebuilt as they were");
}

#[test]
fn a_clean_stop_skips_the_scan() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path());
    let (log, report) = Log::open(env(), folder.path(), identity(), small(), clean()).unwrap();
    assert_eq!(report, Default::default());
    drop(log);
    let (_, report) = Log::open(env(), folder.path(), identity(), small(), unclean(300)).unwrap();
    assert_eq!(report.scanned_bytes, 0, "everything is below the recovery point");
}

#[test]
fn producers_are_known_after_any_stop() {
    for hints in [clean(), unclean(0)] {
        let folder = tempfile::tempdir().unwrap();
        let log = open(folder.path(), small(), OpenHints::default());
        for sequence in 0..30 {
            let producer = Some((7, 0, sequence * 10, false));
            log.append_as_leader(batch_of(1000, 10, producer), 3, Origin::Client, 0).unwrap();
        }
        if hints.clean_shutdown {
            log.close().unwrap();
        }
        drop(log);
        let log = open(folder.path(), small(), hints);
        // The last one by the snapshot, those before it recalled from the log.
        for sequence in [29, 28] {
            let again = batch_of(1000, 10, Some((7, 0, sequence * 10, false)));
            let appended = log.append_as_leader(again, 3, Origin::Client, 0).unwrap();
            assert!(appended.duplicate);
            assert_eq!(appended.first_offset, i64::from(sequence) * 10);
        }
    }
}

#[test]
fn a_read_only_look_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path());
    let last = files(folder.path(), ".log").pop().unwrap();
    let whole = fs::read(&last).unwrap();
    fs::write(&last, &whole[..whole.len() - 3]).unwrap();
    fs::remove_file(&files(folder.path(), ".index")[0]).unwrap();
    let before: Vec<_> =
        files(folder.path(), "").into_iter().map(|path| (fs::read(&path).unwrap(), path)).collect();
    let log = ReadOnlyLog::open(env(), folder.path(), identity(), unclean(0)).unwrap();
    assert_eq!(log.progress().log_end, 290);
    assert!(log.report().cut.is_some());
    assert_eq!(log.offset_for_timestamp(1020).unwrap().unwrap().offset, 119);
    let after: Vec<_> =
        files(folder.path(), "").into_iter().map(|path| (fs::read(&path).unwrap(), path)).collect();
    assert!(before == after);
}

//! What goes by time, by size, by request, and what stays.

use headwater_log::{CleanupPolicy, DeleteRecordsError, Isolation, LogConfig, OpenHints, Origin};

use crate::support::{batch, open, outline, read_all, small};

fn filled(folder: &std::path::Path, config: LogConfig) -> headwater_log::Log<headwater_env::real::RealEnv> {
    let log = open(folder, config, OpenHints::default());
    for index in 0..40 {
        log.append_as_leader(batch(1_000_000 + 1000 * index, 10), 0, Origin::Client, 0).unwrap();
    }
    log.flush().unwrap();
    log
}

#[test]
fn by_time_and_only_below_the_high_watermark() {
    let folder = tempfile::tempdir().unwrap();
    let log = filled(folder.path(), LogConfig { retention_ms: 10_000, ..small() });
    assert_eq!(log.apply_retention(1_045_000).unwrap().segments, 0, "the high watermark is 0");
    log.set_high_watermark(200);
    log.apply_retention(1_045_000).unwrap();
    assert!(log.log_start() > 0 && log.log_start() <= 200);
    log.set_high_watermark(400);
    log.apply_retention(1_045_000).unwrap();
    let oldest = outline(&read_all(&log, log.log_start()));
    assert!((300..=350).contains(&oldest.first().unwrap().0), "segments go whole");
    // All of it: an empty segment stays, and offsets go on.
    log.apply_retention(2_000_000).unwrap();
    assert_eq!((log.log_start(), log.log_end(), log.segment_count()), (400, 400, 1));
    assert_eq!(log.append_as_leader(batch(0, 1), 0, Origin::Client, 0).unwrap().first_offset, 400);
    let names: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!names.iter().any(|name| name.to_string_lossy().contains("deleted")), "{names:?}");
}

#[test]
fn by_size() {
    let folder = tempfile::tempdir().unwrap();
    let log = filled(folder.path(), LogConfig { retention_bytes: 10_000, ..small() });
    log.set_high_watermark(400);
    log.apply_retention(0).unwrap();
    assert!((10_000..14_096).contains(&log.size()), "{}", log.size());
}

#[test]
fn compacted_topics_keep_everything() {
    let folder = tempfile::tempdir().unwrap();
    let config =
        LogConfig { retention_ms: 1, retention_bytes: 1, cleanup_policy: CleanupPolicy::COMPACT, ..small() };
    let log = filled(folder.path(), config);
    log.set_high_watermark(400);
    assert_eq!(log.apply_retention(i64::MAX).unwrap().segments, 0);
    log.set_config(LogConfig { cleanup_policy: CleanupPolicy::COMPACT_DELETE, retention_ms: 1, ..small() });
    assert!(log.apply_retention(2_000_000).unwrap().segments > 0);
}

#[test]
fn by_request() {
    let folder = tempfile::tempdir().unwrap();
    let log = filled(folder.path(), small());
    log.set_high_watermark(250);
    assert!(matches!(
        log.delete_records_before(251),
        Err(DeleteRecordsError::AboveHighWatermark { high_watermark: 250, .. })
    ));
    assert_eq!(log.delete_records_before(123).unwrap(), 123);
    assert_eq!(log.delete_records_before(100).unwrap(), 123);
    assert!(log.read(122, 100, true, Isolation::LogEnd).is_err());
    assert_eq!(outline(&read_all(&log, 123))[0].0, 120);
    let before = log.segment_count();
    log.apply_retention(0).unwrap();
    assert!(log.segment_count() < before);
    assert_eq!(log.log_start(), 123);
    assert_eq!(log.delete_records_before(-1).unwrap(), 250);
    assert_eq!(log.leader_epochs(), [(0, 250)]);
}

#[test]
fn readers_keep_what_they_hold() {
    let folder = tempfile::tempdir().unwrap();
    let log = filled(folder.path(), LogConfig { retention_ms: 1, ..small() });
    log.set_high_watermark(400);
    let slice = log.read(0, 1 << 20, true, Isolation::LogEnd).unwrap();
    log.apply_retention(2_000_000).unwrap();
    let mut bytes = Vec::new();
    slice.read_into(&mut bytes).unwrap();
    assert_eq!(outline(&bytes)[0], (0, 9, 0));
}

#[test]
fn truncation_and_restart() {
    let folder = tempfile::tempdir().unwrap();
    let log = filled(folder.path(), small());
    let all = read_all(&log, 0);
    let one = all.len() / 40;
    log.set_high_watermark(300);
    assert_eq!(log.truncate_to(400).unwrap(), 400);
    assert_eq!(log.truncate_to(205).unwrap(), 200, "a batch goes whole");
    assert_eq!((log.log_end(), log.high_watermark(), log.flushed()), (200, 200, 200));
    assert_eq!(read_all(&log, 0), all[..20 * one]);
    assert_eq!(log.append_as_leader(batch(0, 10), 1, Origin::Client, 0).unwrap().first_offset, 200);
    assert_eq!(log.end_offset_for_epoch(0).end_offset, 200);
    log.restart_at(5000).unwrap();
    assert_eq!((log.log_start(), log.log_end(), log.size()), (5000, 5000, 0));
    assert_eq!(log.append_as_leader(batch(0, 10), 1, Origin::Client, 0).unwrap().first_offset, 5000);
    assert_eq!(log.truncate_to(4000).unwrap(), 4000);
    assert_eq!((log.log_start(), log.log_end()), (4000, 4000));
}

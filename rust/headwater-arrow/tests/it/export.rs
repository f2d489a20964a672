//! Exports: what is in the files, and what a kill, a second run or a full disk leave behind.

use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use headwater_arrow::source::PartitionSource;
use headwater_arrow::*;
use headwater_env::real::RealDisk;
use headwater_env::sim::SimDisk;
use headwater_env::{Disk, OpenMode};
use headwater_record::Compression;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::model::*;

fn sources(value: &str) -> (Vec<Box<dyn PartitionSource>>, Vec<Row>) {
    let (mut made, mut rows) = (Vec::new(), Vec::new());
    for number in 0..2 {
        let mut batches =
            vec![simple(value, 40, 1000, Compression::None), simple(value, 25, 2000, Compression::Zstd)];
        batches[0].records[3].1 = None;
        batches[0].records[4].2 = None;
        batches[1].records[0].3 = vec![("h".into(), Some(b"1".to_vec())), ("h".into(), None)];
        let (bytes, expected) = partition("t", number, 7, &batches);
        made.push(source("t", number, &bytes));
        rows.extend(expected);
    }
    (made, rows)
}

fn bytes_of<D: Disk>(disk: &D, path: &Path) -> bytes::Bytes {
    headwater_env::crashsafe::read_file(disk, path, 1 << 30).unwrap().into()
}

/// The rows of an export, with the partition out of the folder names; `None` if it is not there.
fn read_back<D: Disk>(disk: &D, target: &Path) -> Option<Vec<Row>> {
    if !disk.exists(target).unwrap() {
        return None;
    }
    let mut rows = Vec::new();
    for folder in disk.read_dir(target).unwrap().into_iter().filter(|entry| entry.is_dir) {
        let number: i32 = folder.name.strip_prefix("partition=").unwrap().parse().unwrap();
        let file = bytes_of(disk, &target.join(&folder.name).join("part-00000.parquet"));
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
        for batch in reader {
            let batch: RecordBatch = batch.unwrap();
            assert!(batch.column_by_name("partition").is_none());
            rows.extend(rows_of(&batch).into_iter().map(|row| Row { partition: Some(number), ..row }));
        }
    }
    Some(rows)
}

fn run<D: Disk>(disk: &D, value: &str, target: &Path, overwrite: bool) -> Result<ExportReport, ExportError> {
    let options = ExportOptions { overwrite, ..ExportOptions::default() };
    export(disk, &ScanPlan::default(), sources(value).0, target, &options, &mut |_| {})
}

fn names(directory: &Path) -> Vec<String> {
    RealDisk.read_dir(directory).unwrap().into_iter().map(|entry| entry.name).collect()
}

#[test]
fn files_hold_every_row_with_statistics() {
    let (disk, folder) = (RealDisk, tempfile::tempdir().unwrap());
    let target = folder.path().join("deep/er/t.parquet");
    let (made, expected) = sources("v");
    let options = ExportOptions { row_group_rows: 30, ..ExportOptions::default() };
    let mut seen = Vec::new();
    let report =
        export(&disk, &ScanPlan::default(), made, &target, &options, &mut |progress| seen.push(progress))
            .unwrap();
    assert_eq!(read_back(&disk, &target).unwrap(), expected);
    assert_eq!((report.rows(), report.partitions.len()), (130, 2));
    assert_eq!((report.partitions[1].start, report.partitions[1].end), (7, 72));
    let last = seen.last().unwrap();
    assert_eq!((last.rows, last.offsets_done, last.offsets_total), (130, 130, 130));

    let path = target.join(&report.partitions[0].file);
    assert_eq!(bytes_of(&disk, &path).len() as u64, report.partitions[0].bytes_written);
    let file = ParquetRecordBatchReaderBuilder::try_new(bytes_of(&disk, &path)).unwrap();
    let metadata = file.metadata();
    assert_eq!(metadata.num_row_groups(), 3, "65 rows in groups of 30");
    for column in metadata.row_group(0).columns() {
        let wanted = ["offset", "timestamp"].contains(&column.column_path().string().as_str());
        assert_eq!(column.statistics().is_some(), wanted, "{}", column.column_path());
    }
    let about = metadata.file_metadata().key_value_metadata().unwrap();
    let value = |key: &str| about.iter().find(|entry| entry.key == key).and_then(|entry| entry.value.clone());
    assert_eq!(value("headwater.offset.end").as_deref(), Some("72"));
    assert_eq!(names(&folder.path().join("deep/er")), ["t.parquet"], "nothing is left beside the target");
    assert_eq!(names(&target), ["partition=0", "partition=1"]);
}

#[test]
fn chosen_columns_and_ranges() {
    let (disk, folder) = (RealDisk, tempfile::tempdir().unwrap());
    let target = folder.path().join("t");
    let plan = ScanPlan {
        projection: Projection::from_names(["offset", "partition", "value"], BytesLayout::View).unwrap(),
        start: ScanBound::Offset(10),
        end: ScanBound::Offset(12),
        partitions: Some(vec![1]),
        ..ScanPlan::default()
    };
    export(&disk, &plan, sources("v").0, &target, &ExportOptions::default(), &mut |_| {}).unwrap();
    let rows = read_back(&disk, &target).unwrap();
    assert_eq!(rows.len(), 2);
    let expected =
        Row { partition: Some(1), offset: Some(10), value: Some(Some(b"v3".to_vec())), ..Row::default() };
    assert_eq!(rows[0], expected);
}

#[test]
fn empty_topics_are_readable() {
    let (disk, folder) = (RealDisk, tempfile::tempdir().unwrap());
    let target = folder.path().join("t");
    let empty = vec![source("t", 0, &bytes::Bytes::new())];
    export(&disk, &ScanPlan::default(), empty, &target, &ExportOptions::default(), &mut |_| {}).unwrap();
    assert_eq!(read_back(&disk, &target), Some(vec![]));
    assert_eq!(names(&target), ["partition=0"]);
}

#[test]
fn an_existing_target_is_refused_or_replaced() {
    let (disk, folder) = (RealDisk, tempfile::tempdir().unwrap());
    let target = folder.path().join("t");
    run(&disk, "old", &target, false).unwrap();
    assert!(matches!(run(&disk, "new", &target, false), Err(ExportError::Exists { .. })));
    assert_eq!(read_back(&disk, &target).unwrap(), sources("old").1);
    run(&disk, "new", &target, true).unwrap();
    assert_eq!(read_back(&disk, &target).unwrap(), sources("new").1);
    assert_eq!(names(folder.path()), ["t"]);
}

#[test]
fn only_exports_are_overwritten() {
    let (disk, folder) = (RealDisk, tempfile::tempdir().unwrap());
    let target = folder.path().join("precious");
    disk.create_dir_all(&target).unwrap();
    drop(disk.open(&target.join("thesis.tex"), OpenMode::CreateNew).unwrap());
    let error = run(&disk, "v", &target, true).unwrap_err();
    assert!(matches!(&error, ExportError::NotAnExport { found, .. } if found == "thesis.tex"), "{error}");
    let error = run(&disk, "v", &target.join("thesis.tex"), true).unwrap_err();
    assert!(matches!(error, ExportError::NotAnExport { .. }), "{error}");
    assert_eq!(names(folder.path()), ["precious"], "a refusal leaves no trace");
    assert!(matches!(run(&disk, "v", Path::new("/"), true), Err(ExportError::BadTarget { .. })));
}

#[test]
fn leftovers_of_a_killed_run_are_cleaned() {
    let (disk, folder) = (RealDisk, tempfile::tempdir().unwrap());
    let target = folder.path().join("t");
    let staging = folder.path().join(".t.headwater-export");
    disk.create_dir_all(&staging.join("partition=9")).unwrap();
    drop(disk.open(&staging.join("partition=9/part-00000.parquet"), OpenMode::CreateNew).unwrap());
    drop(disk.open(&staging.join(".lock"), OpenMode::CreateNew).unwrap());
    run(&disk, "v", &target, false).unwrap();
    assert_eq!(read_back(&disk, &target).unwrap(), sources("v").1);
    assert_eq!(names(folder.path()), ["t"]);
}

#[test]
fn two_runs_do_not_meet() {
    let (disk, folder) = (RealDisk, tempfile::tempdir().unwrap());
    let target = folder.path().join("t");
    let mut inner = None;
    let mut progress = |_| {
        inner.get_or_insert_with(|| run(&disk, "other", &target, false).map(drop));
    };
    export(&disk, &ScanPlan::default(), sources("v").0, &target, &ExportOptions::default(), &mut progress)
        .unwrap();
    assert!(matches!(inner, Some(Err(ExportError::Busy { holder, .. })) if holder.pid == std::process::id()));
    assert_eq!(read_back(&disk, &target).unwrap(), sources("v").1);
}

#[test]
fn a_failed_run_leaves_nothing() {
    let (disk, folder) = (RealDisk, tempfile::tempdir().unwrap());
    let target: PathBuf = folder.path().join("t");
    let flag = CancelFlag::new();
    let plan = ScanPlan { interrupt: std::sync::Arc::new(flag.clone()), ..ScanPlan::default() };
    let mut progress = |_| flag.cancel();
    let error =
        export(&disk, &plan, sources("v").0, &target, &ExportOptions::default(), &mut progress).unwrap_err();
    assert!(matches!(error, ExportError::Scan(ScanError::Interrupted(_))), "{error}");
    assert_eq!(names(folder.path()), [] as [&str; 0]);
    let options = ExportOptions { zstd_level: 99, ..ExportOptions::default() };
    let error =
        export(&disk, &ScanPlan::default(), sources("v").0, &target, &options, &mut |_| {}).unwrap_err();
    assert!(matches!(error, ExportError::BadLevel { level: 99 }), "{error}");
}

/// Runs `work` with the power cut at every call that changes the disk, and shows each outcome to `check`.
fn at_every_cut(before: &SimDisk, work: impl Fn(&SimDisk), check: impl Fn(&SimDisk, bool)) {
    let mut cut = 1;
    loop {
        let disk = before.snapshot(cut);
        let calls = disk.counters().mutations();
        disk.crash_at_op(cut);
        work(&disk);
        let finished = disk.counters().mutations() - calls < cut;
        check(&disk.crash(), finished);
        if finished {
            return;
        }
        cut += 1;
    }
}

#[test]
fn a_power_cut_leaves_a_whole_export_or_none() {
    let target = Path::new("/exports/t");
    at_every_cut(
        &SimDisk::new(1),
        |disk| drop(run(disk, "v", target, false)),
        |disk, finished| {
            let found = read_back(disk, target);
            assert!(found.is_none() && !finished || found == Some(sources("v").1));
            // Whatever was left, the next run works.
            run(disk, "w", target, true).unwrap();
            assert_eq!(read_back(disk, target).unwrap(), sources("w").1);
            assert_eq!(disk.read_dir(Path::new("/exports")).unwrap().len(), 1);
        },
    );
}

#[test]
fn a_power_cut_while_overwriting_leaves_the_old_or_the_new() {
    let target = Path::new("/exports/t");
    let disk = SimDisk::new(2);
    run(&disk, "old", target, false).unwrap();
    at_every_cut(
        &disk,
        |disk| drop(run(disk, "new", target, true)),
        |disk, finished| {
            // The simulated disk cannot exchange names; a run that refuses to overwrite brings back what was aside.
            assert!(matches!(run(disk, "other", target, false), Err(ExportError::Exists { .. })));
            let found = read_back(disk, target).unwrap();
            assert!(found == sources("new").1 || !finished && found == sources("old").1);
        },
    );
}

#[test]
fn a_full_disk_is_told_and_leaves_nothing() {
    let disk = SimDisk::new(3);
    disk.fill(1000);
    let error = run(&disk, "v", Path::new("/t"), false).unwrap_err();
    assert!(
        matches!(&error, ExportError::Write { source, .. } if source.kind() == std::io::ErrorKind::StorageFull),
        "{error}"
    );
    assert_eq!(disk.read_dir(Path::new("/")).unwrap(), []);
}

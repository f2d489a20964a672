//! `headwater verify`: looks through a stopped server's directory and says what is wrong where.

use crate::arguments::examples;
use crate::failure::{Failure, say};
use crate::session::Session;
use crate::table;
use clap::Args;
use headwater_env::real::RealDisk;
use headwater_env::{Disk, Env, LockError};
use headwater_log::verify::{Finding, Severity, VerifyReport, verify_directory};
use serde::Serialize;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// The file that whoever uses a data directory holds locked, Kafka too.
const LOCK_FILE: &str = ".lock";

/// Check the directory of a stopped server
///
/// Every checksum, index entry, offset, snapshot and checkpoint is compared with the records. Nothing is changed. Each
/// finding is one line on stdout with file and position; the exit code is 1 if there is one. What the next start mends
/// by itself, such as a write that a crash cut short, is a note and no finding.
#[derive(Debug, Args)]
#[command(after_help = examples!("headwater verify ./data", "headwater verify ./data --json | jq '.findings[]'"))]
pub(crate) struct Verify {
    /// Data directory
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    directory: &'a Path,
    sound: bool,
    partitions: u64,
    segments: u64,
    batches: u64,
    records: u64,
    bytes: u64,
    findings: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Row<'a> {
    severity: &'static str,
    file: &'a Path,
    position: Option<u64>,
    what: &'a str,
}

impl Verify {
    pub(crate) async fn run(&self, session: &Session) -> Result<(), Failure> {
        let directory = self.directory.clone();
        let report = session.env.blocking(move || verify(&directory)).await?;
        let text =
            if self.json { table::json(&Report::new(&self.directory, &report)) } else { lines(&report) };
        session.print(text).await?;
        if !self.json {
            say(&summary(&report));
        }
        if report.is_sound() { Ok(()) } else { Err(Failure::Said) }
    }
}

fn verify(directory: &Path) -> Result<VerifyReport, Failure> {
    let unreadable = |error| Failure::io(format!("cannot read `{}`", directory.display()), &error);
    if !RealDisk.exists(directory).map_err(unreadable)? {
        return Err(Failure::new(format!("there is no directory `{}`", directory.display())));
    }
    // Held until the end, so that no server starts meanwhile.
    let _lock = RealDisk.lock(&directory.join(LOCK_FILE)).map_err(|error| match error {
        LockError::Held { holder, .. } => {
            Failure::new(format!("`{}` is in use by {holder}", directory.display()))
                .hint("only the directory of a stopped server can be checked")
        }
        LockError::Io { .. } => Failure::new(error),
    })?;
    verify_directory(&RealDisk, directory).map_err(unreadable)
}

fn severity(finding: &Finding) -> &'static str {
    match finding.severity {
        Severity::Note => "note",
        Severity::Error => "error",
    }
}

fn lines(report: &VerifyReport) -> String {
    let mut text = String::new();
    for finding in &report.findings {
        // A string takes whatever is written to it.
        let _ = writeln!(text, "{}: {finding}", severity(finding));
    }
    text
}

fn summary(report: &VerifyReport) -> String {
    let errors = report.findings.iter().filter(|finding| finding.severity == Severity::Error).count();
    let notes = report.findings.len() - errors;
    let verdict = match (errors, notes) {
        (0, 0) => "nothing is wrong".to_owned(),
        (0, notes) => format!("nothing is wrong that the next start does not mend, notes: {notes}"),
        (errors, notes) => format!("errors: {errors}, notes: {notes}"),
    };
    format!(
        "checked {} partitions, {} segments, {} batches, {} records; {verdict}",
        report.partitions, report.segments, report.batches, report.records
    )
}

impl<'a> Report<'a> {
    fn new(directory: &'a Path, report: &'a VerifyReport) -> Self {
        let rows = report.findings.iter().map(|finding| Row {
            severity: severity(finding),
            file: &finding.file,
            position: finding.position,
            what: &finding.what,
        });
        Self {
            directory,
            sound: report.is_sound(),
            partitions: report.partitions,
            segments: report.segments,
            batches: report.batches,
            records: report.records,
            bytes: report.bytes,
            findings: rows.collect(),
        }
    }
}

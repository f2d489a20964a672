//! `headwater export`: a topic as Parquet files, over the network or from a stopped server's directory.
//!
//! The exporter blocks, so it runs on a thread that may; a signal raises its flag and waits until it has cleaned up.

use crate::arguments::examples;
use crate::connect::Connect;
use crate::failure::{Failure, say};
use crate::moment;
use crate::session::Session;
use crate::table;
use crate::values::ValueFlags;
use clap::Args;
use headwater_arrow::source::{ClusterSources, Isolation, PartitionSource, ReadOnlySources, SCAN_SETTINGS};
use headwater_arrow::{
    BytesLayout, CancelFlag, DecodeError, ExportError, ExportOptions, ExportProgress, ExportReport,
    Interruption, Projection, ScanBound, ScanError, ScanPlan, SourceError, export,
};
use headwater_client::Consumer;
use headwater_env::Env;
use headwater_env::real::{RealDisk, RealEnv};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::runtime::Handle;

/// Write a topic to Parquet files
///
/// One directory per partition (`partition=0/`, `partition=1/`, …) with columns for key, value, topic, offset, timestamp,
/// timestamp type and headers, zstd inside. DuckDB, Polars, Spark and pyarrow read the whole and make a column
/// `partition` of the directory names. With `--value-format json` the fields of the values become columns of their own.
///
/// What is there when the command starts is exported. The files are written beside the target and renamed at the end, so
/// the target is whole or not there. With `--data` no server is needed: the directory of a stopped one is read as it is.
#[derive(Debug, Args)]
#[command(after_help = examples!(
    "headwater export flights --to flights.parquet",
    "headwater export flights --to july.parquet --start 2013-07-01 --end 2013-08-01",
    "headwater export flights --to flights.parquet --value-format json --value-schema 'carrier string, delay long'",
    "headwater export flights --to flights.parquet --data ./data --overwrite",
))]
pub(crate) struct Export {
    /// Name of the topic
    topic: String,
    /// Directory to write
    #[arg(short = 'o', long = "to", value_name = "DIR")]
    target: PathBuf,
    /// Replace an earlier export
    #[arg(long)]
    overwrite: bool,
    /// Partitions to export [default: all]
    #[arg(
        short,
        long,
        visible_alias = "partition",
        value_name = "N[,N…]",
        value_delimiter = ',',
        value_parser = clap::value_parser!(i32).range(0..)
    )]
    partitions: Vec<i32>,
    /// Columns to write, in this order; `value` among them stands for all fields of typed values [default: all]
    #[arg(long, value_name = "NAME[,NAME…]", value_delimiter = ',')]
    columns: Vec<String>,
    /// Where to begin: an offset, a date and time, or `@MILLISECONDS` [default: the first retained record]
    #[arg(long, value_name = "WHERE", value_parser = bound)]
    start: Option<ScanBound>,
    /// Where to end, itself not included [default: the last record]
    #[arg(long, value_name = "WHERE", value_parser = bound)]
    end: Option<ScanBound>,
    /// Leave out records of transactions that are open or aborted
    #[arg(long)]
    read_committed: bool,
    /// zstd level of the files
    #[arg(long, value_name = "LEVEL", default_value_t = 1, value_parser = clap::value_parser!(i32).range(1..=22))]
    zstd_level: i32,
    /// Read this directory of a stopped server instead of asking a running one
    #[arg(short, long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Print what was written as JSON
    #[arg(long)]
    json: bool,
    /// Show no progress and no summary
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    values: ValueFlags,
    #[command(flatten)]
    connect: Connect,
}

fn bound(text: &str) -> Result<ScanBound, String> {
    if let Some(offset) = text.parse().ok().filter(|offset| *offset >= 0) {
        return Ok(ScanBound::Offset(offset));
    }
    moment::parse(text)
        .map(ScanBound::Timestamp)
        .ok_or_else(|| "expected an offset, a time like 2013-07-01T00:00:00Z, or @MILLISECONDS".to_owned())
}

#[derive(Serialize)]
struct Report {
    target: PathBuf,
    rows: u64,
    bytes_read: u64,
    bytes_written: u64,
    partitions: Vec<PartitionRow>,
}

#[derive(Serialize)]
struct PartitionRow {
    partition: i32,
    start: i64,
    end: i64,
    rows: u64,
    file: PathBuf,
}

impl Export {
    pub(crate) async fn run(&self, session: &Session) -> Result<(), Failure> {
        let projection = self.values.known(&self.columns)?;
        let origin = match &self.data {
            Some(data) => Origin::Directory(data.clone()),
            None => Origin::Cluster(session.unless_interrupted(self.consumer(session)).await?),
        };
        let cancel = CancelFlag::new();
        let job = Job {
            topic: self.topic.clone(),
            origin,
            plan: self.plan(&cancel),
            projection,
            columns: self.columns.clone(),
            values: self.values.clone(),
            quiet: self.quiet,
            read_committed: self.read_committed,
            cancel: cancel.clone(),
            target: self.target.clone(),
            options: ExportOptions {
                overwrite: self.overwrite,
                zstd_level: self.zstd_level,
                ..ExportOptions::default()
            },
            progress: self.progress(),
            env: session.env.clone(),
        };
        let working = session.env.blocking(move || job.run());
        tokio::pin!(working);
        let outcome = tokio::select! {
            biased;
            outcome = &mut working => outcome,
            () = session.interrupt.cancelled() => {
                cancel.cancel();
                working.await
            }
        };
        self.conclude(session, &outcome?).await
    }

    async fn consumer(&self, session: &Session) -> Result<Consumer, Failure> {
        let isolation = if self.read_committed { "read_committed" } else { "read_uncommitted" };
        // What retention deletes while the export runs is noticed by the scan.
        let fixed = [("auto.offset.reset", "earliest"), ("isolation.level", isolation)];
        let settings: Vec<_> = SCAN_SETTINGS.into_iter().chain(fixed).collect();
        let config = self.connect.consumer_config(&settings)?;
        let consumer = Consumer::new(session.runtime(), self.connect.servers()?, config)?;
        self.connect.answers(consumer.client()).await?;
        Ok(consumer)
    }

    fn plan(&self, cancel: &CancelFlag) -> ScanPlan {
        ScanPlan {
            start: self.start.clone().unwrap_or_default(),
            end: self.end.clone().unwrap_or_default(),
            partitions: (!self.partitions.is_empty()).then(|| self.partitions.clone()),
            interrupt: Arc::new(cancel.clone()),
            ..ScanPlan::default()
        }
    }

    fn progress(&self) -> ProgressBar {
        let shown = !self.quiet && std::io::stderr().is_terminal();
        let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(0), target);
        let template = "{bar:30} {percent:>3} %  {human_pos} of {human_len}  {per_sec}  {eta} left";
        bar.with_style(
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
        )
    }

    async fn conclude(&self, session: &Session, report: &ExportReport) -> Result<(), Failure> {
        if self.json {
            return session.print(table::json(&Report::from(report))).await;
        }
        if !self.quiet {
            let (rows, megabytes) = (report.rows(), report.bytes_written() as f64 / 1e6);
            let records = if rows == 1 { "1 record".to_owned() } else { format!("{rows} records") };
            say(&format!(
                "exported {records} of `{}` to `{}`, {megabytes:.1} MB",
                self.topic,
                self.target.display()
            ));
        }
        Ok(())
    }
}

impl From<&ExportReport> for Report {
    fn from(report: &ExportReport) -> Self {
        let rows = report.partitions.iter().map(|partition| PartitionRow {
            partition: partition.partition,
            start: partition.start,
            end: partition.end,
            rows: partition.rows,
            file: partition.file.clone(),
        });
        Self {
            target: report.target.clone(),
            rows: report.rows(),
            bytes_read: report.bytes_read(),
            bytes_written: report.bytes_written(),
            partitions: rows.collect(),
        }
    }
}

/// Where the records come from.
enum Origin {
    Directory(PathBuf),
    Cluster(Consumer),
}

/// What the blocking thread needs.
struct Job {
    topic: String,
    origin: Origin,
    plan: ScanPlan,
    // `None`: to be inferred.
    projection: Option<Projection>,
    columns: Vec<String>,
    values: ValueFlags,
    quiet: bool,
    read_committed: bool,
    cancel: CancelFlag,
    target: PathBuf,
    options: ExportOptions,
    progress: ProgressBar,
    env: RealEnv,
}

impl Job {
    fn run(self) -> Result<ExportReport, Failure> {
        let projection = match &self.projection {
            Some(known) => known.clone(),
            None => self.values.inferred(&self.columns, &self.plan, self.sources()?, self.quiet)?,
        };
        let plan = ScanPlan { projection, ..self.plan.clone() };
        let sources = self.sources()?;
        let bar = &self.progress;
        let mut show = |progress: ExportProgress| {
            bar.set_length(progress.offsets_total);
            bar.set_position(progress.offsets_done);
        };
        let outcome = export(&RealDisk, &plan, sources, &self.target, &self.options, &mut show);
        bar.finish_and_clear();
        outcome.map_err(not_exported)
    }

    fn sources(&self) -> Result<Vec<Box<dyn PartitionSource>>, Failure> {
        match &self.origin {
            Origin::Directory(directory) => self.stopped(directory),
            Origin::Cluster(consumer) => {
                let cluster = ClusterSources::new(consumer.clone(), Handle::current());
                let sources = cluster.of_topic(&self.topic, &self.cancel).map_err(|error| match error {
                    SourceError::Client(error) => error.into(),
                    SourceError::Interrupted(_) => Failure::Interrupted,
                    other => Failure::new(other),
                })?;
                sources.ok_or_else(|| {
                    Failure::new(format!("there is no topic `{}`", self.topic))
                        .hint("`headwater topic list` shows the topics")
                })
            }
        }
    }

    fn stopped(&self, directory: &Path) -> Result<Vec<Box<dyn PartitionSource>>, Failure> {
        let isolation =
            if self.read_committed { Isolation::ReadCommitted } else { Isolation::ReadUncommitted };
        let sources = ReadOnlySources::open(self.env.clone(), directory)
            .and_then(|sources| sources.of_topic(&self.topic, isolation, BytesLayout::Binary));
        sources.map_err(|error| {
            Failure::new(error)
                .hint("`--data` reads the directory of a stopped server; ask a running one without it")
        })
    }
}

fn not_exported(error: ExportError) -> Failure {
    match error {
        ExportError::Exists { .. } => Failure::new(error).hint("`--overwrite` replaces it"),
        ExportError::Scan(ScanError::Interrupted(Interruption::Cancelled)) => Failure::Interrupted,
        ExportError::Scan(ScanError::UnknownPartitions { .. }) => {
            Failure::new(error).hint("`headwater topic describe` shows the partitions")
        }
        ExportError::Scan(ScanError::Decode(DecodeError::BadValue { .. })) => {
            Failure::new(error).hint("`--bad-rows column` goes on and says in a column what is wrong")
        }
        other => Failure::new(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_offsets_or_times() {
        assert_eq!(bound("17"), Ok(ScanBound::Offset(17)));
        assert_eq!(bound("@17"), Ok(ScanBound::Timestamp(17)));
        assert_eq!(bound("1970-01-02"), Ok(ScanBound::Timestamp(86_400_000)));
        assert!(bound("-1").is_err());
        assert!(bound("later").is_err());
    }
}

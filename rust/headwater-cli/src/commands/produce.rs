//! `headwater produce`: lines of stdin become records.
//!
//! ```text
//!  stdin ─ Input (bounded) ─ Lines (bounded) ─ key, value, headers ─ Producer (buffer.memory) ─ Tally
//! ```
//!
//! Memory is bounded everywhere along the way, so a stream without end works. Records of one partition are delivered in
//! the order of their lines. The first failure stops the reading: what comes after a hole would be out of order.

use crate::arguments::{examples, key_value};
use crate::connect::Connect;
use crate::escape::Unescaped;
use crate::failure::{Failure, say};
use crate::input::{Input, Lines};
use crate::record_text::{JsonRecord, LineFormat, OwnedHeader};
use crate::session::Session;
use crate::{escape, moment};
use clap::Args;
use headwater_client::{
    BatchReport, ClientError, DeliverySink, ProduceError, ProduceRecord, Producer, TopicHandle,
};
use headwater_record::{Compression, RecordHeader};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long delivery may take after an interruption.
const FAREWELL: Duration = Duration::from_secs(5);

/// Write lines of stdin to a topic, one record each
///
/// A line is a value, byte by byte without its end; an empty line is an empty value. With `--key-separator` the key comes
/// first. With `--json` each line is an object like those of `headwater consume --json`: `value` or `value_base64`, and
/// optionally `key` or `key_base64`, `headers`, `timestamp` in ms and `partition`; a key or value that is an object, a
/// list, a number or a boolean is taken as the text of that JSON.
///
/// Records with the same key go to the same partition. Lines are delivered in order, whatever has to be retried, and the
/// command ends when all of them are acknowledged; it stops reading at the first that fails.
#[derive(Debug, Args)]
#[command(after_help = examples!(
    "echo hello | headwater produce greetings",
    "headwater produce flights --key-separator '\\t' < flights.tsv",
    "jq -c '{key: .carrier, value: .}' flights.json | headwater produce flights --json",
    "headwater consume flights --json | headwater produce copy --json",
))]
pub(crate) struct Produce {
    /// Name of the topic
    topic: String,
    /// What stands between key and value; the first one in a line counts
    #[arg(short = 'K', long, value_name = "TEXT", value_parser = escape::separator, conflicts_with_all = ["json", "key"])]
    key_separator: Option<Unescaped>,
    /// Key of every record
    #[arg(short, long)]
    key: Option<String>,
    /// Header of every record; without `=` its value is null; may be repeated
    #[arg(short = 'H', long = "header", visible_alias = "headers", value_name = "NAME=VALUE", value_parser = header)]
    headers: Vec<OwnedHeader>,
    /// Partition of every record
    #[arg(short, long, value_parser = clap::value_parser!(i32).range(0..))]
    partition: Option<i32>,
    /// Time stamp of every record: `@MILLISECONDS` or a date and time [default: now]
    #[arg(long, value_name = "TIME", value_parser = timestamp)]
    timestamp: Option<i64>,
    /// Codec: none, gzip, snappy, lz4 or zstd
    #[arg(short = 'z', long, value_name = "CODEC", value_parser = codec)]
    compression: Option<Compression>,
    /// A key or value that is exactly this text is null
    #[arg(short = 'Z', long, value_name = "TEXT", value_parser = escape::argument, conflicts_with = "json")]
    null: Option<Unescaped>,
    /// The byte that ends a line
    #[arg(short = 'D', long, value_name = "BYTE", default_value = "\\n", value_parser = escape::delimiter)]
    delimiter: u8,
    /// Lines are JSON objects
    #[arg(short, long)]
    json: bool,
    /// Leave out the summary
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    connect: Connect,
}

fn header(text: &str) -> Result<OwnedHeader, String> {
    if !text.contains('=') && !text.is_empty() {
        return Ok((text.to_owned(), None));
    }
    let (name, value) = key_value(text).map_err(|_| "expected NAME=VALUE or NAME".to_owned())?;
    Ok((name, Some(value.into_bytes())))
}

fn timestamp(text: &str) -> Result<i64, String> {
    let ms = moment::parse(text).filter(|ms| *ms >= 0);
    ms.ok_or_else(|| "expected a time like 2013-01-01T10:15:00Z or @1357035300000".to_owned())
}

fn codec(text: &str) -> Result<Compression, String> {
    text.parse().map_err(|_| "expected none, gzip, snappy, lz4 or zstd".to_owned())
}

/// Counts what became of the records. The token of a record is the number of its line.
#[derive(Debug, Default)]
struct Tally {
    delivered: AtomicU64,
    failed: AtomicU64,
    stop: AtomicBool,
    first: Mutex<Option<(u64, ClientError)>>,
}

impl DeliverySink for Tally {
    fn report(&self, report: BatchReport) {
        let count = report.len() as u64;
        let Some(error) = report.error() else {
            self.delivered.fetch_add(count, Ordering::Relaxed);
            return;
        };
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        let line = report.records().map(|(line, _, _)| line).min().unwrap_or(u64::MAX);
        if first.as_ref().is_none_or(|(earlier, _)| line < *earlier) {
            *first = Some((line, error.clone()));
        }
        self.failed.fetch_add(count, Ordering::Relaxed);
        self.stop.store(true, Ordering::Release);
    }
}

/// Everything that one line after the other goes through.
struct Writer<'a> {
    producer: &'a Producer,
    topic: TopicHandle,
    options: &'a Produce,
    format: LineFormat,
    line: u64,
}

impl Produce {
    pub(crate) async fn run(&self, session: &Session) -> Result<(), Failure> {
        let compression = self.compression.map(|codec| codec.to_string());
        let mut settings = vec![("request.timeout.ms", "10000"), ("delivery.timeout.ms", "30000")];
        settings.extend(compression.as_deref().map(|codec| ("compression.type", codec)));
        let config = self.connect.producer_config(&settings)?;
        let length_max = config.max_request_size;
        let tally = Arc::new(Tally::default());
        let sink: Arc<dyn DeliverySink> = Arc::clone(&tally) as _;
        let producer = Producer::with_sink(session.runtime(), self.connect.servers()?, config, sink)?;
        session.unless_interrupted(self.connect.answers(producer.client())).await?;

        let bytes = |argument: &Option<Unescaped>| argument.clone().map(|Unescaped(bytes)| bytes);
        let format = LineFormat { key_separator: bytes(&self.key_separator), null: bytes(&self.null) };
        let topic = producer.topic(&self.topic)?;
        let mut writer = Writer { producer: &producer, topic, options: self, format, line: 0 };
        let lines = Lines::new(self.delimiter, length_max);
        let read = writer.read(session, &tally, lines).await;
        let farewell = session.interrupt.is_cancelled().then_some(FAREWELL);
        let flushed = producer.flush(farewell).await;
        let closed = producer.close(if farewell.is_some() { Duration::ZERO } else { FAREWELL }).await;
        self.conclude(&tally, read, flushed.and(closed))
    }

    /// Says how it went: the summary, then the first reason to fail.
    fn conclude(
        &self,
        tally: &Tally,
        read: Result<(), Failure>,
        finished: Result<(), ClientError>,
    ) -> Result<(), Failure> {
        let delivered = tally.delivered.load(Ordering::Relaxed);
        let failed = tally.failed.load(Ordering::Relaxed);
        if !self.quiet {
            let records = if delivered == 1 { "1 record".to_owned() } else { format!("{delivered} records") };
            let failures = if failed > 0 { format!(", {failed} failed") } else { String::new() };
            say(&format!("produced {records} to `{}`{failures}", self.topic));
        }
        if let Some((line, error)) = tally.first.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(at_line(line, error.into()));
        }
        read?;
        finished.map_err(Failure::from)
    }
}

impl Writer<'_> {
    async fn read(&mut self, session: &Session, tally: &Tally, mut lines: Lines) -> Result<(), Failure> {
        let mut input = Input::stdin(&session.env);
        loop {
            let chunk = tokio::select! {
                biased;
                () = session.interrupt.cancelled() => return Err(Failure::Interrupted),
                chunk = input.chunk() => chunk.map_err(|error| Failure::io("stdin cannot be read", &error))?,
            };
            let Some(chunk) = chunk else { break };
            let mut rest = chunk.as_slice();
            loop {
                let next = lines.next(&mut rest).map_err(|_| at_line(self.line + 1, self.too_long()))?;
                let Some(line) = next else { break };
                self.write(session, line).await?;
                if tally.stop.load(Ordering::Acquire) {
                    return Ok(());
                }
            }
        }
        match lines.last() {
            Some(line) => self.write(session, &line).await,
            None => Ok(()),
        }
    }

    fn too_long(&self) -> Failure {
        let limit = self.producer.config().max_request_size;
        Failure::new(format!("longer than max.request.size={limit}"))
            .hint("`-X max.request.size=BYTES` allows more, if the topic does too")
    }

    async fn write(&mut self, session: &Session, line: &[u8]) -> Result<(), Failure> {
        self.line += 1;
        let outcome = if self.options.json {
            match JsonRecord::parse(line) {
                Ok(record) => self.send_json(session, &record).await,
                Err(why) => Err(Failure::new(why)),
            }
        } else {
            match self.format.cut(line) {
                Ok((key, value)) => {
                    let key = key.or(self.options.key.as_deref().map(str::as_bytes));
                    self.send(session, ProduceRecord { key, value, ..self.defaults() }, &[]).await
                }
                Err(why) => Err(Failure::new(why)),
            }
        };
        outcome.map_err(|failure| at_line(self.line, failure))
    }

    async fn send_json(&self, session: &Session, record: &JsonRecord<'_>) -> Result<(), Failure> {
        let defaults = self.defaults();
        let produced = ProduceRecord {
            partition: record.partition.or(defaults.partition),
            timestamp: record.timestamp.or(defaults.timestamp),
            key: record.key.as_deref().or(self.options.key.as_deref().map(str::as_bytes)),
            value: record.value.as_deref(),
            ..defaults
        };
        self.send(session, produced, &record.headers).await
    }

    /// A record as the options alone would have it.
    fn defaults(&self) -> ProduceRecord<'_> {
        ProduceRecord {
            partition: self.options.partition,
            timestamp: self.options.timestamp,
            token: Some(self.line),
            ..ProduceRecord::default()
        }
    }

    async fn send(
        &self,
        session: &Session,
        record: ProduceRecord<'_>,
        headers: &[OwnedHeader],
    ) -> Result<(), Failure> {
        let all = self.options.headers.iter().chain(headers);
        let headers: Vec<RecordHeader<'_>> =
            all.map(|(key, value)| RecordHeader { key, value: value.as_deref() }).collect();
        let record = ProduceRecord { headers: &headers, ..record };
        loop {
            match self.producer.produce(&self.topic, &record) {
                Ok(_) => return Ok(()),
                Err(ProduceError::WouldBlock(_)) => tokio::select! {
                    biased;
                    () = session.interrupt.cancelled() => return Err(Failure::Interrupted),
                    ready = self.producer.ready(&self.topic, &record) => ready?,
                },
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Puts the number of the line before a message.
fn at_line(line: u64, failure: Failure) -> Failure {
    match failure {
        Failure::Failed { message, hint } => {
            Failure::Failed { message: format!("line {line}: {message}"), hint }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_may_be_null() {
        assert_eq!(header("a=b=c"), Ok(("a".to_owned(), Some(b"b=c".to_vec()))));
        assert_eq!(header("a="), Ok(("a".to_owned(), Some(Vec::new()))));
        assert_eq!(header("a"), Ok(("a".to_owned(), None)));
        assert!(header("").is_err());
        assert!(header("=b").is_err());
    }
}

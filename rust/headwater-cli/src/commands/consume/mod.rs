//! `headwater consume`: records become text on stdout.
//!
//! Without `--follow` the ends of all partitions are noted first, and the command ends when they are reached. With a
//! group, positions are committed only after their records have been written out, so what a broken pipe swallowed is
//! read again.

mod reading;
mod start;

use crate::arguments::examples;
use crate::connect::Connect;
use crate::escape::{self, Unescaped};
use crate::failure::Failure;
use crate::output::Output;
use crate::record_text::{Format, PLACEHOLDERS, Placed, write_json};
use crate::session::Session;
use clap::Args;
use headwater_client::{Consumer, ConsumerConfig};
use headwater_record::TopicPartition;
use reading::Reading;
use start::From;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long writing out, committing and leaving the group may take after an interruption.
const FAREWELL: Duration = Duration::from_secs(3);

/// Print the records of a topic
///
/// Reads what is there when the command starts, and ends; with `--follow` it goes on with what arrives. Without `--group`
/// all partitions are read and nothing is remembered. With `--group` the partitions are shared with the other members,
/// reading begins at the committed offsets, and positions are committed after their records have been written out.
///
/// By default each value is printed with a newline behind it. `--format '%v'` prints values and nothing else, byte by
/// byte.
#[derive(Debug, Args)]
#[command(
    after_help = examples!(
        "headwater consume flights",
        "headwater consume flights --follow --from end",
        "headwater consume flights --from -5 --format '%p/%o %k: %v\\n'",
        "headwater consume flights --from 2013-07-04 -n 100 --json",
        "headwater consume flights --follow --group dashboard",
    ),
    after_long_help = format!("{PLACEHOLDERS}\n\n{}", examples!(
        "headwater consume flights",
        "headwater consume flights --follow --from end",
        "headwater consume flights --from -5 --format '%p/%o %k: %v\\n'",
        "headwater consume flights --from 2013-07-04 -n 100 --json",
        "headwater consume flights --follow --group dashboard",
    ))
)]
pub(crate) struct Consume {
    /// Name of the topic
    topic: String,
    /// Where to begin: `beginning`, `end`, an offset, `-COUNT` before the end, a date and time, or `@MILLISECONDS`; with
    /// `--group`, only where nothing is committed
    #[arg(long, value_name = "WHERE", default_value = "beginning", value_parser = From::parse, allow_hyphen_values = true)]
    from: From,
    /// Partitions to read [default: all]
    #[arg(
        short,
        long = "partition",
        value_name = "N[,N…]",
        value_delimiter = ',',
        value_parser = clap::value_parser!(i32).range(0..),
        conflicts_with = "group"
    )]
    partitions: Vec<i32>,
    /// End after so many records
    #[arg(short = 'n', long, value_name = "COUNT")]
    count: Option<u64>,
    /// Read as a member of this group
    #[arg(short, long)]
    group: Option<String>,
    /// Go on with the records that arrive
    #[arg(short, long)]
    follow: bool,
    /// How to print a record; `--help` lists the placeholders
    #[arg(long, value_name = "FORMAT", default_value = "%v\\n", value_parser = Format::parse)]
    format: Format,
    /// What to print for a key or value that is null
    #[arg(short = 'Z', long, value_name = "TEXT", default_value = "", value_parser = escape::argument)]
    null: Unescaped,
    /// Print one JSON object per line
    #[arg(short, long, conflicts_with_all = ["format", "null"])]
    json: bool,
    #[command(flatten)]
    connect: Connect,
}

impl Consume {
    pub(crate) async fn run(&self, session: &Session) -> Result<(), Failure> {
        let consumer = Consumer::new(session.runtime(), self.connect.servers()?, self.config()?)?;
        session.unless_interrupted(self.connect.answers(consumer.client())).await?;
        // Whoever should read our output may never do so again.
        let overdue = async {
            session.interrupt.cancelled().await;
            tokio::time::sleep(FAREWELL).await;
        };
        tokio::select! {
            biased;
            outcome = self.read_and_close(session, &consumer) => outcome,
            () = overdue => Err(Failure::Interrupted),
        }
    }

    async fn read_and_close(&self, session: &Session, consumer: &Consumer) -> Result<(), Failure> {
        let mut output = Output::stdout(&session.env);
        let outcome = self.read(session, consumer, &mut output).await;
        let written = output.close().await;
        let closed = match &self.group {
            Some(_) => consumer.close(FAREWELL).await.map_err(Failure::from),
            None => Ok(()),
        };
        outcome.and(written).and(closed)
    }

    fn config(&self) -> Result<ConsumerConfig, Failure> {
        let reset = match (&self.group, self.from) {
            (_, From::End) => "latest",
            (None, _) | (Some(_), From::Beginning) => "earliest",
            (Some(_), _) => {
                return Err(Failure::usage("with `--group`, `--from` can only be `beginning` or `end`")
                    .hint("without a group any offset or time will do"));
            }
        };
        let mut settings = vec![("allow.auto.create.topics", "false"), ("auto.offset.reset", reset)];
        if let Some(group) = &self.group {
            // Positions are committed after their records have been written out, which only this command knows.
            settings.extend([("group.id", group.as_str()), ("enable.auto.commit", "false")]);
        }
        self.connect.consumer_config(&settings)
    }

    async fn read(&self, session: &Session, consumer: &Consumer, output: &mut Output) -> Result<(), Failure> {
        let reading = session.unless_interrupted(self.begin(consumer)).await?;
        reading.run(session, output).await
    }

    async fn begin<'a>(&'a self, consumer: &'a Consumer) -> Result<Reading<'a>, Failure> {
        let partitions = self.partitions(consumer).await?;
        let ends = consumer.end_offsets(&partitions).await?;
        if self.group.is_some() {
            consumer.subscribe(&[&self.topic])?;
            return Ok(Reading::new(self, consumer, ends, BTreeMap::new()));
        }
        let starts = self.from.offsets(consumer, &partitions, &ends).await?;
        consumer.assign(&partitions)?;
        for (partition, offset) in &starts {
            consumer.seek(partition, *offset)?;
        }
        Ok(Reading::new(self, consumer, ends, starts))
    }

    async fn partitions(&self, consumer: &Consumer) -> Result<Vec<TopicPartition>, Failure> {
        let known = consumer.partitions_for(&self.topic).await?.ok_or_else(|| {
            Failure::new(format!("there is no topic `{}`", self.topic))
                .hint("`headwater topic list` shows the topics")
        })?;
        let known: Vec<i32> = known.iter().map(|partition| partition.partition).collect();
        if let Some(missing) = self.partitions.iter().find(|partition| !known.contains(partition)) {
            return Err(Failure::usage(format!(
                "`{}` has {} partitions, there is no partition {missing}",
                self.topic,
                known.len()
            )));
        }
        let wanted = if self.partitions.is_empty() { &known } else { &self.partitions };
        let mut wanted = wanted.clone();
        wanted.sort_unstable();
        wanted.dedup();
        Ok(wanted.into_iter().map(|partition| TopicPartition::new(self.topic.as_str(), partition)).collect())
    }

    /// Appends one record as text.
    fn print(&self, output: &mut Vec<u8>, record: &Placed<'_>) {
        if self.json {
            write_json(output, record);
        } else {
            self.format.write(output, record, &self.null.0);
        }
    }
}

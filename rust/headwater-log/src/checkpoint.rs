//! Kafka's text checkpoints: a version line `0`, a line with the count, then one line per entry.
//!
//! Recovery points, log starts and high watermarks of a directory are `topic partition offset` lines; the epochs of a
//! partition `epoch offset` lines. Files are replaced whole and atomically (`crashsafe`), so a malformed one is damage.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::Path;

use headwater_env::{Disk, crashsafe};
use headwater_record::TopicPartition;

/// Everything below is on stable storage, per partition.
pub(crate) const RECOVERY_POINTS: &str = "recovery-point-offset-checkpoint";
/// Log starts that were moved past the first segment's base.
pub(crate) const LOG_STARTS: &str = "log-start-offset-checkpoint";
/// High watermarks.
pub(crate) const HIGH_WATERMARKS: &str = "replication-offset-checkpoint";

/// No checkpoint is larger: a hundred thousand partitions with names of full length fit.
pub(crate) const CHECKPOINT_SIZE_MAX: usize = 32 << 20;

/// What is wrong with a checkpoint's text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub(crate) struct CheckpointError {
    /// From 1.
    pub(crate) line: usize,
    pub(crate) reason: &'static str,
}

/// The text of a checkpoint with these entries.
pub(crate) fn encode(entries: impl ExactSizeIterator<Item = String>) -> String {
    let mut text = format!("0\n{}\n", entries.len());
    for entry in entries {
        text.push_str(&entry);
        text.push('\n');
    }
    text
}

/// The entry lines of a checkpoint, each with its line number.
pub(crate) fn decode(text: &str) -> Result<Vec<(usize, &str)>, CheckpointError> {
    let mut lines = text.lines().enumerate().map(|(index, line)| (index + 1, line));
    match lines.next() {
        Some((_, "0")) => {}
        _ => return Err(CheckpointError { line: 1, reason: "expected version 0" }),
    }
    let count: usize = lines
        .next()
        .and_then(|(_, line)| line.parse().ok())
        .ok_or(CheckpointError { line: 2, reason: "expected the number of entries" })?;
    let entries: Vec<_> = lines.collect();
    if entries.len() != count {
        return Err(CheckpointError { line: 2, reason: "the number of entries is another" });
    }
    Ok(entries)
}

/// The text of a directory checkpoint.
pub(crate) fn encode_offsets(offsets: &BTreeMap<TopicPartition, i64>) -> String {
    encode(offsets.iter().map(|(partition, offset)| {
        let mut line = String::with_capacity(partition.topic.len() + 24);
        // Writing into a String cannot fail.
        write!(line, "{} {} {offset}", partition.topic, partition.partition).ok();
        line
    }))
}

/// The entries of a directory checkpoint.
pub(crate) fn decode_offsets(text: &str) -> Result<BTreeMap<TopicPartition, i64>, CheckpointError> {
    decode(text)?
        .into_iter()
        .map(|(line, entry)| {
            let mut words = entry.split(' ');
            let parsed = (|| {
                let topic = words.next().filter(|topic| !topic.is_empty())?;
                let (partition, offset) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
                words.next().is_none().then_some((TopicPartition::new(topic, partition), offset))
            })();
            parsed.ok_or(CheckpointError { line, reason: "expected topic, partition and offset" })
        })
        .collect()
}

/// Reads a text file; `None` if it does not exist.
pub(crate) fn read_text<D: Disk>(disk: &D, path: &Path) -> io::Result<Option<String>> {
    match crashsafe::read_file(disk, path, CHECKPOINT_SIZE_MAX) {
        Ok(bytes) => String::from_utf8(bytes).map(Some).map_err(|_| io::ErrorKind::InvalidData.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_round_trip() {
        let offsets = BTreeMap::from([
            (TopicPartition::new("flights", 0), 336_776),
            (TopicPartition::new("my-topic.x", 12), 0),
        ]);
        let text = encode_offsets(&offsets);
        assert_eq!(text, "0\n2\nflights 0 336776\nmy-topic.x 12 0\n");
        assert_eq!(decode_offsets(&text).unwrap(), offsets);
    }

    #[test]
    fn malformed_text_is_refused() {
        for text in ["", "0", "0\n2\na 0 0\n", "0\n1\na 0\n", "0\n1\na 0 0 0\n", "2\n0\n", "0\n1\n 0 0\n"] {
            assert!(decode_offsets(text).is_err(), "{text:?}");
        }
    }
}

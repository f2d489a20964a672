//! Why Arrow data could not be sent. What concerns a row names it.

use arrow_schema::{ArrowError, DataType, TimeUnit};

/// The columns do not fit: nothing was sent.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// Name a column that there is.
    #[error("{role}: there is no column `{column}`; the data has {}", listed(.present))]
    NoColumn {
        /// What the column was to be, such as `key`.
        role: &'static str,
        /// The name asked for.
        column: String,
        /// The names that there are.
        present: Vec<String>,
    },
    /// Rename one of them: which is meant?
    #[error("{role}: the data has more than one column `{column}`")]
    Ambiguous {
        /// What the column was to be.
        role: &'static str,
        /// The name.
        column: String,
    },
    /// Cast the column, or choose another.
    #[error("{role}: column `{column}` has type {found}, expected {expected}")]
    WrongType {
        /// What the column was to be.
        role: &'static str,
        /// Its name.
        column: String,
        /// Its type.
        found: DataType,
        /// The types that do.
        expected: &'static str,
    },
    /// Give the topic's name, or a column `topic`.
    #[error("topic is None, and the data has no column `topic`; it has {}", listed(.present))]
    NoTopic {
        /// The names that there are.
        present: Vec<String>,
    },
    /// Name the value's column.
    #[error("no column is left for the value: each of {} has another role", listed(.present))]
    NoValue {
        /// The names that there are.
        present: Vec<String>,
    },
    /// Cast the column, or leave it out.
    #[error("value: column `{column}` cannot be written as JSON: {reason}")]
    NoJson {
        /// Its name.
        column: String,
        /// What stands in the way.
        reason: String,
    },
}

/// What is wrong with one row.
#[derive(Debug, thiserror::Error)]
pub enum RowProblem {
    /// Every row needs a topic.
    #[error("column `topic` is null, expected the name of a topic")]
    NoTopic,
    /// No topic has such a partition.
    #[error("column `{column}` is {value}, expected the number of a partition, or null")]
    NoPartition {
        /// The column.
        column: String,
        /// What it holds.
        value: i64,
    },
    /// Kafka has no moments before 1970, nor after the year 292278994.
    #[error("column `{column}` is {value} {}, expected a moment from 1970 on, or null", suffix(.unit))]
    BadTimestamp {
        /// The column.
        column: String,
        /// What it holds.
        value: i64,
        /// In which unit.
        unit: TimeUnit,
    },
    /// Every header needs a key; its value may be null.
    #[error("column `{column}` has a header whose key is null, expected text")]
    HeaderWithoutKey {
        /// The column.
        column: String,
    },
    /// A value has no JSON form.
    #[error("{reason}")]
    NoJson {
        /// What it is.
        reason: String,
    },
}

/// Why sending ended early.
#[derive(Debug, thiserror::Error)]
pub enum SendError<E> {
    /// The columns do not fit: nothing was sent.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A row makes no record; those before it were sent.
    #[error("row {row}: {problem}{}", rows_before(*.row))]
    Row {
        /// Its number, the first row of the data being 0.
        row: u64,
        /// What is wrong with it.
        problem: RowProblem,
    },
    /// The data could not be read on.
    #[error("the data cannot be read from row {row} on: {source}{}", rows_before(*.row))]
    Data {
        /// The first row that is missing.
        row: u64,
        /// The reader's own words.
        source: ArrowError,
    },
    /// The sink did not take a row, or asked to stop before it.
    #[error("row {row} was not sent{}", rows_before(*.row))]
    Sink {
        /// Its number.
        row: u64,
        /// The sink's own reason.
        source: E,
    },
}

/// What became of the rows before the one that failed, as the end of a sentence.
pub fn rows_before(row: u64) -> String {
    match row {
        0 => " (nothing was sent)".into(),
        1 => " (the row before it was sent)".into(),
        rows => format!(" (the {rows} rows before it were sent)"),
    }
}

fn suffix(unit: &TimeUnit) -> &'static str {
    match unit {
        TimeUnit::Second => "s",
        TimeUnit::Millisecond => "ms",
        TimeUnit::Microsecond => "µs",
        TimeUnit::Nanosecond => "ns",
    }
}

fn listed(names: &[String]) -> String {
    if names.is_empty() {
        return "none".into();
    }
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

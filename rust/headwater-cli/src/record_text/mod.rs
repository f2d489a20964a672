//! Records as text: a format with placeholders, JSON lines, and lines with a key.

mod format;
mod json;
mod line;

pub(crate) use format::{Format, PLACEHOLDERS};
pub(crate) use json::{JsonRecord, write_json};
pub(crate) use line::LineFormat;

use headwater_record::RecordView;

/// A record that was read, with where it lay.
#[derive(Clone, Copy)]
pub(crate) struct Placed<'a> {
    pub(crate) topic: &'a str,
    pub(crate) partition: i32,
    pub(crate) record: RecordView<'a>,
}

/// A header to be produced.
pub(crate) type OwnedHeader = (String, Option<Vec<u8>>);

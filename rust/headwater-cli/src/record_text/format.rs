//! `consume --format`: text with placeholders, in the letters of kcat where kcat has one.

use super::Placed;
use crate::{escape, moment};
use std::io::Write;

/// The placeholders, for the help text.
pub(crate) const PLACEHOLDERS: &str = "\
Placeholders of --format:
  %v value      %k key        %h headers as NAME=VALUE,…
  %t topic      %p partition  %o offset
  %T timestamp in ms since 1970           %D timestamp in UTC, as 2013-01-01T10:15:00.000Z
  %S bytes of the value, -1 for null      %K bytes of the key, -1 for null
  %% a percent sign, and the escapes \\n \\t \\r \\0 \\\\ \\xHH";

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(Vec<u8>),
    Value,
    Key,
    Headers,
    Topic,
    Partition,
    Offset,
    Timestamp,
    Date,
    ValueLength,
    KeyLength,
}

/// A parsed format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Format {
    pieces: Vec<Piece>,
}

impl Format {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(place) = rest.find('%') {
            push_literal(&mut pieces, &rest[..place])?;
            let letter = rest[place + 1..].chars().next();
            pieces.push(match letter {
                Some('v' | 's') => Piece::Value,
                Some('k') => Piece::Key,
                Some('h') => Piece::Headers,
                Some('t') => Piece::Topic,
                Some('p') => Piece::Partition,
                Some('o') => Piece::Offset,
                Some('T') => Piece::Timestamp,
                Some('D') => Piece::Date,
                Some('S') => Piece::ValueLength,
                Some('K') => Piece::KeyLength,
                Some('%') => Piece::Literal(vec![b'%']),
                Some(other) => {
                    return Err(format!("there is no placeholder `%{other}`; `%%` is a percent sign"));
                }
                None => return Err("a `%` at the end; `%%` is a percent sign".to_owned()),
            });
            rest = &rest[place + 1 + letter.map_or(0, char::len_utf8)..];
        }
        push_literal(&mut pieces, rest)?;
        Ok(Self { pieces })
    }

    /// Appends one record. Keys and values go out byte by byte; `null` stands for those that are missing.
    pub(crate) fn write(&self, out: &mut Vec<u8>, placed: &Placed<'_>, null: &[u8]) {
        let record = &placed.record;
        for piece in &self.pieces {
            match piece {
                Piece::Literal(bytes) => out.extend_from_slice(bytes),
                Piece::Value => out.extend_from_slice(record.value.unwrap_or(null)),
                Piece::Key => out.extend_from_slice(record.key.unwrap_or(null)),
                Piece::Headers => write_headers(out, placed, null),
                Piece::Topic => out.extend_from_slice(placed.topic.as_bytes()),
                Piece::Partition => number(out, placed.partition.into()),
                Piece::Offset => number(out, record.offset),
                Piece::Timestamp => number(out, record.timestamp),
                Piece::Date if record.timestamp < 0 => out.extend_from_slice(b"-"),
                Piece::Date => out.extend_from_slice(moment::show(record.timestamp).as_bytes()),
                Piece::ValueLength => number(out, length(record.value)),
                Piece::KeyLength => number(out, length(record.key)),
            }
        }
    }
}

fn push_literal(pieces: &mut Vec<Piece>, text: &str) -> Result<(), String> {
    if !text.is_empty() {
        pieces.push(Piece::Literal(escape::unescape(text)?));
    }
    Ok(())
}

fn write_headers(out: &mut Vec<u8>, placed: &Placed<'_>, null: &[u8]) {
    for (index, header) in placed.record.headers.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(header.key);
        out.push(b'=');
        out.extend_from_slice(header.value.unwrap_or(null));
    }
}

fn number(out: &mut Vec<u8>, number: i64) {
    // A vector takes whatever is written to it.
    let _ = write!(out, "{number}");
}

fn length(bytes: Option<&[u8]>) -> i64 {
    bytes.map_or(-1, |bytes| i64::try_from(bytes.len()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_record::{HeadersView, RecordView};

    fn show(format: &str, key: Option<&[u8]>, value: Option<&[u8]>) -> Vec<u8> {
        let record = RecordView {
            offset: 7,
            timestamp: 1_357_035_300_000,
            key,
            value,
            headers: HeadersView::default(),
        };
        let mut out = Vec::new();
        Format::parse(format).unwrap().write(&mut out, &Placed { topic: "t", partition: 3, record }, b"NULL");
        out
    }

    #[test]
    fn placeholders_and_escapes() {
        let shown = show(r"%t-%p@%o %k=%v\t%T %D %S %K 100%%\n", Some(b"k"), None);
        assert_eq!(
            String::from_utf8(shown).unwrap(),
            "t-3@7 k=NULL\t1357035300000 2013-01-01T10:15:00.000Z -1 1 100%\n"
        );
    }

    #[test]
    fn values_pass_byte_by_byte() {
        let value = b"\xff\0%v\\n";
        assert_eq!(show("%v", None, Some(value)), value);
        assert_eq!(show("%s", None, Some(b"")), b"");
    }

    #[test]
    fn wrong_formats_are_explained() {
        for bad in ["%x", "%", r"\q", "%ü"] {
            assert!(Format::parse(bad).is_err(), "{bad}");
        }
    }
}

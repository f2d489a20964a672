//! Schemas as people write them: `carrier string, delay long`.
//!
//! ```text
//!  fields  =  field { "," field }
//!  field   =  name [":"] type [ "not" "null" ]
//!  name    =  word | "`" anything "`"
//!  type    =  word [ "(" number { "," number } ")" ] [ "[" … "]" ]
//!          |  ("array" | "list" | …) "<" [ name ":" ] type ">"
//!          |  "struct" "<" fields ">"
//!          |  "map" "<" type "," type ">"
//! ```
//!
//! Names of types are those of Spark SQL and of Arrow, in any case; `timestamp` is Spark's, microseconds in UTC.

use std::sync::Arc;

use arrow_schema::{DataType, Field, FieldRef, Fields, TimeUnit};

use super::schema::DEPTH_MAX;

/// What is wrong with a schema's text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{reason} at {place} of the value schema {text:?}; expected names and types, as in \"carrier string, delay long\""
)]
pub struct DdlError {
    reason: String,
    place: String,
    text: String,
}

/// Reads fields, or the one type `struct<…>` that holds them.
pub(super) fn schema(text: &str) -> Result<Fields, DdlError> {
    let mut reader = Reader { text, at: 0 };
    if reader.word().is_some_and(|word| word.eq_ignore_ascii_case("struct"))
        && reader.peek() == Some('<')
        && let DataType::Struct(fields) = data_type(text)?
    {
        return Ok(fields);
    }
    reader.at = 0;
    let fields = reader.fields(0, None)?;
    reader.end()?;
    Ok(fields)
}

/// Reads one type.
pub(super) fn data_type(text: &str) -> Result<DataType, DdlError> {
    let mut reader = Reader { text, at: 0 };
    let data_type = reader.data_type(0)?;
    reader.end()?;
    Ok(data_type)
}

struct Reader<'a> {
    text: &'a str,
    // A boundary between characters of `text`.
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn skip_space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn peek(&mut self) -> Option<char> {
        self.skip_space();
        self.rest().chars().next()
    }

    /// Passes `wanted` if it comes next.
    fn take(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.at += wanted.len_utf8();
        }
        found
    }

    fn expect(&mut self, wanted: char) -> Result<(), DdlError> {
        if self.take(wanted) { Ok(()) } else { Err(self.error(&format!("expected `{wanted}`"))) }
    }

    fn end(&mut self) -> Result<(), DdlError> {
        if self.peek().is_none() { Ok(()) } else { Err(self.error("expected `,` or the end")) }
    }

    fn error(&mut self, reason: &str) -> DdlError {
        self.skip_space();
        let place = match self.rest() {
            "" => "the end".to_owned(),
            _ => format!("character {}", self.text[..self.at].chars().count() + 1),
        };
        DdlError { reason: reason.to_owned(), place, text: self.text.to_owned() }
    }

    fn word(&mut self) -> Option<&'a str> {
        self.skip_space();
        let rest = self.rest();
        let end = rest
            .find(|char: char| !(char.is_alphanumeric() || char == '_' || char == '$'))
            .unwrap_or(rest.len());
        self.at += end;
        (end > 0).then(|| &rest[..end])
    }

    fn name(&mut self) -> Result<String, DdlError> {
        if !self.take('`') {
            return self.word().map(str::to_owned).ok_or_else(|| self.error("expected the name of a field"));
        }
        let mut name = String::new();
        loop {
            let rest = self.rest();
            let Some(end) = rest.find('`') else { return Err(self.error("a name's closing ` is missing")) };
            name.push_str(&rest[..end]);
            self.at += end + 1;
            if !self.rest().starts_with('`') {
                return Ok(name);
            }
            name.push('`');
            self.at += 1;
        }
    }

    /// Fields up to the end, or up to `closing`.
    fn fields(&mut self, depth: usize, closing: Option<char>) -> Result<Fields, DdlError> {
        let mut fields: Vec<FieldRef> = Vec::new();
        while self.peek() != closing {
            let name = self.name()?;
            self.take(':');
            let data_type = self.data_type(depth)?;
            self.skip_not_null();
            fields.push(Arc::new(Field::new(name, data_type, true)));
            if !self.take(',') {
                break;
            }
        }
        Ok(fields.into())
    }

    /// Any record may lack any field, so this says nothing.
    fn skip_not_null(&mut self) {
        let before = self.at;
        let said = self.word().is_some_and(|word| word.eq_ignore_ascii_case("not"))
            && self.word().is_some_and(|word| word.eq_ignore_ascii_case("null"));
        if !said {
            self.at = before;
        }
    }

    fn data_type(&mut self, depth: usize) -> Result<DataType, DdlError> {
        if depth > DEPTH_MAX {
            return Err(self.error(&format!("types are nested deeper than {DEPTH_MAX} levels")));
        }
        self.skip_space();
        let before = self.at;
        let Some(word) = self.word() else { return Err(self.error("expected the name of a type")) };
        let word = word.to_ascii_lowercase();
        match word.as_str() {
            "array" | "list" | "large_list" => {
                self.expect('<')?;
                let item = Arc::new(Field::new("element", self.item(depth + 1)?, true));
                self.expect('>')?;
                Ok(if word == "large_list" { DataType::LargeList(item) } else { DataType::List(item) })
            }
            "struct" => {
                self.expect('<')?;
                let fields = self.fields(depth + 1, Some('>'))?;
                self.expect('>')?;
                Ok(DataType::Struct(fields))
            }
            "map" => {
                self.expect('<')?;
                let key = self.data_type(depth + 1)?;
                self.expect(',')?;
                let value = self.data_type(depth + 1)?;
                self.expect('>')?;
                Ok(map_of(key, value))
            }
            "decimal" | "dec" | "numeric" | "decimal128" => self.decimal(38, DataType::Decimal128),
            "decimal32" => self.decimal(9, DataType::Decimal32),
            "decimal64" => self.decimal(18, DataType::Decimal64),
            "decimal256" => self.decimal(76, DataType::Decimal256),
            "timestamp" if self.peek() == Some('[') => self.timestamp(),
            _ => {
                let Some(found) = simple(&word) else {
                    self.at = before;
                    return Err(self.error(&format!("unknown type `{word}`")));
                };
                if word == "date32" && self.take('[') {
                    self.word();
                    self.expect(']')?;
                }
                Ok(found)
            }
        }
    }

    /// The type of a list's elements, which Arrow writes with a name: `list<item: int64>`.
    fn item(&mut self, depth: usize) -> Result<DataType, DdlError> {
        let before = self.at;
        if self.name().is_err() || !self.take(':') {
            self.at = before;
        }
        let item = self.data_type(depth)?;
        self.skip_not_null();
        Ok(item)
    }

    /// `(precision, scale)`, both or one of them left out as in Spark: `decimal` is `decimal(10, 0)`.
    fn decimal(&mut self, precision_max: u8, make: fn(u8, i8) -> DataType) -> Result<DataType, DdlError> {
        if !self.take('(') {
            return Ok(make(10.min(precision_max), 0));
        }
        let precision: u8 = self.number()?;
        let scale: i8 = if self.take(',') { self.number()? } else { 0 };
        if precision == 0 || precision > precision_max || scale < 0 || scale as u8 > precision {
            let expected =
                format!("expected a precision from 1 to {precision_max} and a scale from 0 to the precision");
            return Err(self.error(&expected));
        }
        self.expect(')')?;
        Ok(make(precision, scale))
    }

    fn number<T: std::str::FromStr>(&mut self) -> Result<T, DdlError> {
        self.skip_space();
        let before = self.at;
        let number = self.word().and_then(|word| word.parse().ok());
        number.ok_or_else(|| {
            self.at = before;
            self.error("expected a small number")
        })
    }

    /// `[us]`, `[us, tz=UTC]` or `[us, UTC]`.
    fn timestamp(&mut self) -> Result<DataType, DdlError> {
        self.expect('[')?;
        let unit = match self.word() {
            Some("s") => TimeUnit::Second,
            Some("ms") => TimeUnit::Millisecond,
            Some("us" | "µs") => TimeUnit::Microsecond,
            Some("ns") => TimeUnit::Nanosecond,
            _ => return Err(self.error("expected s, ms, us or ns")),
        };
        let zone = if self.take(',') {
            self.skip_space();
            let rest = self.rest();
            let end = rest.find(']').unwrap_or(rest.len());
            self.at += end;
            let zone = rest[..end].trim();
            Some(zone.strip_prefix("tz=").unwrap_or(zone).into())
        } else {
            None
        };
        self.expect(']')?;
        Ok(DataType::Timestamp(unit, zone))
    }
}

/// A map as Arrow and Spark build it.
fn map_of(key: DataType, value: DataType) -> DataType {
    let pair = vec![Field::new("key", key, false), Field::new("value", value, true)];
    DataType::Map(Arc::new(Field::new("entries", DataType::Struct(pair.into()), false)), false)
}

/// Types without parts.
fn simple(word: &str) -> Option<DataType> {
    Some(match word {
        "boolean" | "bool" => DataType::Boolean,
        "byte" | "tinyint" | "int8" => DataType::Int8,
        "short" | "smallint" | "int16" => DataType::Int16,
        "int" | "integer" | "int32" => DataType::Int32,
        "long" | "bigint" | "int64" => DataType::Int64,
        "uint8" => DataType::UInt8,
        "uint16" => DataType::UInt16,
        "uint32" => DataType::UInt32,
        "uint64" => DataType::UInt64,
        "float" | "real" | "float32" => DataType::Float32,
        "double" | "float64" => DataType::Float64,
        "string" | "varchar" | "utf8" | "str" => DataType::Utf8,
        "large_string" | "large_utf8" => DataType::LargeUtf8,
        "string_view" | "utf8_view" => DataType::Utf8View,
        "binary" => DataType::Binary,
        "large_binary" => DataType::LargeBinary,
        "binary_view" => DataType::BinaryView,
        "date" | "date32" => DataType::Date32,
        "timestamp" | "timestamp_ltz" => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        "timestamp_ntz" => DataType::Timestamp(TimeUnit::Microsecond, None),
        _ => return None,
    })
}

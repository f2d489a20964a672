//! What each type accepts, where `arrow-json` would accept more: it cuts fractions off integers, reads text as
//! numbers, takes numbers for times of any unit, and knows bytes as hexadecimal.
//!
//! | type | accepts |
//! |---|---|
//! | integers | numbers without a fraction that fit; `11.0` is one |
//! | `float`, `double` | numbers that are finite in the type; the texts `NaN`, `Infinity`, `-Infinity`, as Spark |
//! | `decimal` | numbers and text of numbers, rounded to the scale (by `arrow-json`) |
//! | `boolean` | `true`, `false` |
//! | `string` | text; anything else as its JSON text, as Spark |
//! | `binary` | text in base64, as Spark |
//! | `timestamp` | ISO-8601 text; without a zone, in the column's |
//! | `date` | `YYYY-MM-DD` |

use std::marker::PhantomData;
use std::sync::Arc;

use arrow_array::builder::{
    BinaryViewBuilder, GenericBinaryBuilder, GenericStringBuilder, PrimitiveBuilder, StringViewBuilder,
};
use arrow_array::timezone::Tz;
use arrow_array::types::{
    ArrowPrimitiveType, ArrowTimestampType, Date32Type, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{ArrayRef, OffsetSizeTrait};
use arrow_cast::parse::{Parser, string_to_datetime};
use arrow_json::reader::{ArrayDecoder, DecoderContext, DecoderFactory, Tape, TapeElement};
use arrow_schema::{ArrowError, DataType, FieldRef, TimeUnit};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::spell;

/// What a schema may consist of, for messages.
pub(super) const EXPECTED: &str = "expected boolean, integers, floats, decimal, string, binary, date, timestamp \
                                   (in UTC or at an offset), or a list, struct or map (with string keys) of these";

/// Whether a type without parts can be read.
pub(super) fn reads(data_type: &DataType) -> bool {
    match data_type {
        DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32
        | DataType::UInt64
        | DataType::Float32
        | DataType::Float64
        | DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Utf8View
        | DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::Date32
        | DataType::Timestamp(_, None) => true,
        DataType::Timestamp(_, Some(zone)) => time_zone(zone).is_ok(),
        DataType::Decimal32(_, scale)
        | DataType::Decimal64(_, scale)
        | DataType::Decimal128(_, scale)
        | DataType::Decimal256(_, scale) => *scale >= 0,
        _ => false,
    }
}

/// UTC or an offset such as `+02:00`. A database of named zones is a megabyte, and no client's default needs it.
fn time_zone(name: &str) -> Result<Tz, ArrowError> {
    if matches!(name, "UTC" | "Etc/UTC" | "GMT" | "Z") { "+00:00" } else { name }.parse()
}

/// Puts the decoders of this file in the place of `arrow-json`'s.
#[derive(Debug)]
pub(super) struct Leaves;

impl DecoderFactory for Leaves {
    fn make_default_decoder(
        &self,
        context: &DecoderContext,
        field: &FieldRef,
        nullable: bool,
    ) -> Result<Option<Box<dyn ArrayDecoder>>, ArrowError> {
        let data_type = field.data_type();
        Ok(Some(match data_type {
            DataType::Int8 => number::<Int8Type>(data_type, integer),
            DataType::Int16 => number::<Int16Type>(data_type, integer),
            DataType::Int32 => number::<Int32Type>(data_type, integer),
            DataType::Int64 => number::<Int64Type>(data_type, integer),
            DataType::UInt8 => number::<UInt8Type>(data_type, integer),
            DataType::UInt16 => number::<UInt16Type>(data_type, integer),
            DataType::UInt32 => number::<UInt32Type>(data_type, integer),
            DataType::UInt64 => number::<UInt64Type>(data_type, integer),
            DataType::Float32 => number::<Float32Type>(data_type, |token| match token {
                Token::Number(text) => text.parse().ok().filter(|number: &f32| number.is_finite()),
                Token::Text(text) => not_finite(text).map(|number| number as f32),
            }),
            DataType::Float64 => number::<Float64Type>(data_type, |token| match token {
                Token::Number(text) => text.parse().ok().filter(|number: &f64| number.is_finite()),
                Token::Text(text) => not_finite(text),
            }),
            DataType::Date32 => number::<Date32Type>(data_type, |token| match token {
                Token::Text(text) if is_date(text) => Date32Type::parse(text),
                _ => None,
            }),
            DataType::Timestamp(unit, zone) => {
                let zone = time_zone(zone.as_deref().unwrap_or("UTC"))?;
                match unit {
                    TimeUnit::Second => time::<TimestampSecondType>(data_type, zone),
                    TimeUnit::Millisecond => time::<TimestampMillisecondType>(data_type, zone),
                    TimeUnit::Microsecond => time::<TimestampMicrosecondType>(data_type, zone),
                    TimeUnit::Nanosecond => time::<TimestampNanosecondType>(data_type, zone),
                }
            }
            DataType::Utf8 => Box::new(Strings::<i32>(PhantomData)),
            DataType::LargeUtf8 => Box::new(Strings::<i64>(PhantomData)),
            DataType::Utf8View => Box::new(StringViews),
            DataType::Binary => Box::new(Bytes::<i32>(PhantomData)),
            DataType::LargeBinary => Box::new(Bytes::<i64>(PhantomData)),
            DataType::BinaryView => Box::new(ByteViews),
            DataType::Decimal32(..)
            | DataType::Decimal64(..)
            | DataType::Decimal128(..)
            | DataType::Decimal256(..) => Box::new(Decimals(context.make_builtin_decoder(field, nullable)?)),
            _ => return Ok(None),
        }))
    }
}

/// What a number or a time may be made of.
enum Token<'a> {
    Number(&'a str),
    Text(&'a str),
}

struct Primitive<P, F> {
    data_type: DataType,
    read: F,
    made: PhantomData<fn() -> P>,
}

fn number<P: ArrowPrimitiveType>(
    data_type: &DataType,
    read: impl Fn(Token<'_>) -> Option<P::Native> + Send + 'static,
) -> Box<dyn ArrayDecoder> {
    Box::new(Primitive::<P, _> { data_type: data_type.clone(), read, made: PhantomData })
}

fn time<P: ArrowTimestampType>(data_type: &DataType, zone: Tz) -> Box<dyn ArrayDecoder> {
    number::<P>(data_type, move |token| {
        let Token::Text(text) = token else { return None };
        let time = string_to_datetime(&zone, text).ok()?;
        match P::UNIT {
            TimeUnit::Second => Some(time.timestamp()),
            TimeUnit::Millisecond => Some(time.timestamp_millis()),
            TimeUnit::Microsecond => Some(time.timestamp_micros()),
            TimeUnit::Nanosecond => time.timestamp_nanos_opt(),
        }
    })
}

impl<P, F> ArrayDecoder for Primitive<P, F>
where
    P: ArrowPrimitiveType,
    F: Fn(Token<'_>) -> Option<P::Native> + Send,
{
    fn decode(&mut self, tape: &Tape<'_>, positions: &[u32]) -> Result<ArrayRef, ArrowError> {
        let mut builder =
            PrimitiveBuilder::<P>::with_capacity(positions.len()).with_data_type(self.data_type.clone());
        for &position in positions {
            let value = match tape.get(position) {
                TapeElement::Null => {
                    builder.append_null();
                    continue;
                }
                TapeElement::Number(index) => (self.read)(Token::Number(tape.get_string(index))),
                TapeElement::String(index) => (self.read)(Token::Text(tape.get_string(index))),
                _ => None,
            };
            let Some(value) = value else { return Err(mismatch(tape, position, &self.data_type)) };
            builder.append_value(value);
        }
        Ok(Arc::new(builder.finish()))
    }
}

fn mismatch(tape: &Tape<'_>, position: u32, data_type: &DataType) -> ArrowError {
    let mut found = String::new();
    write_json(tape, position, &mut found);
    ArrowError::JsonError(format!("expected {}, got {found}", spell::data_type(data_type)))
}

/// An integer as a number; `11.0` and `1e3` are integers, too, as far as a double holds them exactly.
fn integer<T: std::str::FromStr + TryFrom<i64>>(token: Token<'_>) -> Option<T> {
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    let Token::Number(text) = token else { return None };
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    let number: f64 = text.parse().ok()?;
    let whole = number.fract() == 0.0 && number.abs() <= EXACT_MAX;
    if whole { T::try_from(number as i64).ok() } else { None }
}

/// The numbers that JSON has no form for.
fn not_finite(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() == 10 && bytes[4] == b'-' && bytes[7] == b'-'
}

/// `arrow-json`'s decoder, with errors that name the field as the others do.
struct Decimals(Box<dyn ArrayDecoder>);

impl ArrayDecoder for Decimals {
    fn decode(&mut self, tape: &Tape<'_>, positions: &[u32]) -> Result<ArrayRef, ArrowError> {
        self.0.decode(tape, positions).map_err(|error| match error {
            ArrowError::ParseError(reason) => ArrowError::JsonError(reason),
            other => other,
        })
    }
}

/// Where text is collected.
trait TextBuilder {
    fn text(&mut self, text: &str);
    fn null(&mut self);
}

impl<O: OffsetSizeTrait> TextBuilder for GenericStringBuilder<O> {
    fn text(&mut self, text: &str) {
        self.append_value(text);
    }

    fn null(&mut self) {
        self.append_null();
    }
}

impl TextBuilder for StringViewBuilder {
    fn text(&mut self, text: &str) {
        self.append_value(text);
    }

    fn null(&mut self) {
        self.append_null();
    }
}

fn read_text(tape: &Tape<'_>, positions: &[u32], builder: &mut impl TextBuilder) {
    let mut json = String::new();
    for &position in positions {
        match tape.get(position) {
            TapeElement::Null => builder.null(),
            TapeElement::String(index) => builder.text(tape.get_string(index)),
            _ => {
                json.clear();
                write_json(tape, position, &mut json);
                builder.text(&json);
            }
        }
    }
}

/// Bytes of the texts at `positions`, so that columns need not grow while they are filled.
fn text_length(tape: &Tape<'_>, positions: &[u32]) -> usize {
    let length = |&position: &u32| match tape.get(position) {
        TapeElement::String(index) => tape.get_string(index).len(),
        _ => 0,
    };
    positions.iter().map(length).sum()
}

struct Strings<O>(PhantomData<fn() -> O>);

impl<O: OffsetSizeTrait> ArrayDecoder for Strings<O> {
    fn decode(&mut self, tape: &Tape<'_>, positions: &[u32]) -> Result<ArrayRef, ArrowError> {
        let mut builder =
            GenericStringBuilder::<O>::with_capacity(positions.len(), text_length(tape, positions));
        read_text(tape, positions, &mut builder);
        Ok(Arc::new(builder.finish()))
    }
}

struct StringViews;

impl ArrayDecoder for StringViews {
    fn decode(&mut self, tape: &Tape<'_>, positions: &[u32]) -> Result<ArrayRef, ArrowError> {
        let mut builder = StringViewBuilder::with_capacity(positions.len());
        read_text(tape, positions, &mut builder);
        Ok(Arc::new(builder.finish()))
    }
}

fn read_bytes(
    tape: &Tape<'_>,
    positions: &[u32],
    mut append: impl FnMut(Option<&[u8]>),
) -> Result<(), ArrowError> {
    let mut bytes = Vec::new();
    for &position in positions {
        match tape.get(position) {
            TapeElement::Null => append(None),
            TapeElement::String(index) => {
                bytes.clear();
                if STANDARD.decode_vec(tape.get_string(index), &mut bytes).is_err() {
                    let ArrowError::JsonError(reason) = mismatch(tape, position, &DataType::Binary) else {
                        continue;
                    };
                    return Err(ArrowError::JsonError(format!("{reason}, which is not base64")));
                }
                append(Some(&bytes));
            }
            _ => return Err(mismatch(tape, position, &DataType::Binary)),
        }
    }
    Ok(())
}

struct Bytes<O>(PhantomData<fn() -> O>);

impl<O: OffsetSizeTrait> ArrayDecoder for Bytes<O> {
    fn decode(&mut self, tape: &Tape<'_>, positions: &[u32]) -> Result<ArrayRef, ArrowError> {
        let mut builder =
            GenericBinaryBuilder::<O>::with_capacity(positions.len(), text_length(tape, positions));
        read_bytes(tape, positions, |bytes| builder.append_option(bytes))?;
        Ok(Arc::new(builder.finish()))
    }
}

struct ByteViews;

impl ArrayDecoder for ByteViews {
    fn decode(&mut self, tape: &Tape<'_>, positions: &[u32]) -> Result<ArrayRef, ArrowError> {
        let mut builder = BinaryViewBuilder::with_capacity(positions.len());
        read_bytes(tape, positions, |bytes| builder.append_option(bytes))?;
        Ok(Arc::new(builder.finish()))
    }
}

/// The value at `position` as JSON text. Goes as deep as the value does, which was bounded before.
fn write_json(tape: &Tape<'_>, position: u32, out: &mut String) -> u32 {
    match tape.get(position) {
        TapeElement::StartObject(end) => {
            out.push('{');
            let mut at = position + 1;
            while at < end {
                if at > position + 1 {
                    out.push(',');
                }
                at = write_json(tape, at, out);
                out.push(':');
                at = write_json(tape, at, out);
            }
            out.push('}');
            return end + 1;
        }
        TapeElement::StartList(end) => {
            out.push('[');
            let mut at = position + 1;
            while at < end {
                if at > position + 1 {
                    out.push(',');
                }
                at = write_json(tape, at, out);
            }
            out.push(']');
            return end + 1;
        }
        TapeElement::String(index) => {
            out.push_str(&serde_json::Value::from(tape.get_string(index)).to_string());
        }
        TapeElement::Number(index) => out.push_str(tape.get_string(index)),
        TapeElement::True => out.push_str("true"),
        TapeElement::False => out.push_str("false"),
        TapeElement::Null => out.push_str("null"),
        // Text makes no other elements.
        _ => {}
    }
    position + 1
}

//! Rows as JSON, the way Spark's `to_json` writes them: nulls left out of objects (not out of lists and maps), bytes
//! as base64, numbers that JSON lacks as the strings `"NaN"`, `"Infinity"` and `"-Infinity"`.
//!
//! arrow-json does the writing, one encoder per batch and one buffer for all rows. What it does differently is replaced
//! here, type by type. Unlike Spark, a timestamp keeps all its digits, and one with a zone is written in UTC: the
//! bytes of a record must not depend on the zone of the machine that sent it.

use std::fmt::Display;
use std::io::Write;
use std::sync::{Arc, LazyLock, OnceLock};

use arrow_array::cast::AsArray;
use arrow_array::temporal_conversions::{as_date, as_datetime, as_time};
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Date64Type, Float16Type, Float32Type, Float64Type, Time32MillisecondType,
    Time32SecondType, Time64MicrosecondType, Time64NanosecondType, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};
use arrow_array::{Array, ArrayAccessor, ArrayRef, PrimitiveArray, new_empty_array};
use arrow_buffer::OffsetBuffer;
use arrow_json::writer::{NullableEncoder, make_encoder};
use arrow_json::{Encoder, EncoderFactory, EncoderOptions};
use arrow_schema::{ArrowError, DataType, FieldRef, TimeUnit};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::bytes::is_text;
use super::error::RowProblem;

/// arrow-json's own ways, for what is left to it.
static PLAIN: LazyLock<EncoderOptions> = LazyLock::new(EncoderOptions::default);

/// What an encoder could not write. Encoders cannot fail, so the first of them says it here.
type Complaint = Arc<OnceLock<String>>;

/// How JSON is written in one sending.
pub(super) struct Json {
    options: EncoderOptions,
    complaint: Complaint,
}

impl Default for Json {
    fn default() -> Self {
        let complaint = Complaint::default();
        let ways = Arc::new(Ways { complaint: Arc::clone(&complaint) });
        Self { options: EncoderOptions::default().with_encoder_factory(ways), complaint }
    }
}

impl Json {
    /// Whether a column can be written; the error says why not.
    pub(super) fn check(&self, field: &FieldRef) -> Result<(), String> {
        let empty = new_empty_array(field.data_type());
        make_encoder(field, &empty, &self.options).map(|_| ()).map_err(|error| match error {
            ArrowError::JsonError(reason) => reason,
            other => other.to_string(),
        })
    }

    /// A column of one batch.
    pub(super) fn column<'a>(&'a self, field: &'a FieldRef, array: ArrayRef) -> JsonColumn<'a> {
        JsonColumn { json: self, field, array }
    }
}

/// A column of one batch that is to be written as JSON.
pub(super) struct JsonColumn<'a> {
    json: &'a Json,
    field: &'a FieldRef,
    array: ArrayRef,
}

impl JsonColumn<'_> {
    pub(super) fn rows(&self) -> Result<JsonRows<'_>, ArrowError> {
        let encoder = make_encoder(self.field, &self.array, &self.json.options)?;
        Ok(JsonRows { encoder, buffer: Vec::new(), complaint: &self.json.complaint })
    }
}

/// Its rows, written one after the other into the same buffer.
pub(super) struct JsonRows<'a> {
    encoder: NullableEncoder<'a>,
    buffer: Vec<u8>,
    complaint: &'a Complaint,
}

impl JsonRows<'_> {
    pub(super) fn of(&mut self, row: usize) -> Result<Option<&[u8]>, RowProblem> {
        if self.encoder.is_null(row) {
            return Ok(None);
        }
        self.buffer.clear();
        self.encoder.encode(row, &mut self.buffer);
        match self.complaint.get() {
            None => Ok(Some(&self.buffer)),
            Some(reason) => Err(RowProblem::NoJson { reason: reason.clone() }),
        }
    }
}

/// The types that are written in our own way.
#[derive(Debug)]
struct Ways {
    complaint: Complaint,
}

impl EncoderFactory for Ways {
    fn make_default_encoder<'a>(
        &self,
        field: &'a FieldRef,
        array: &'a dyn Array,
        options: &'a EncoderOptions,
    ) -> Result<Option<NullableEncoder<'a>>, ArrowError> {
        let encoder = match array.data_type() {
            DataType::Binary => bytes(array.as_binary::<i32>()),
            DataType::LargeBinary => bytes(array.as_binary::<i64>()),
            DataType::BinaryView => bytes(array.as_binary_view()),
            DataType::FixedSizeBinary(_) => bytes(array.as_fixed_size_binary()),
            DataType::Float16 => float::<Float16Type>(field, array, |value| f64::from(value.to_f32()))?,
            DataType::Float32 => float::<Float32Type>(field, array, f64::from)?,
            DataType::Float64 => float::<Float64Type>(field, array, |value| value)?,
            DataType::Dictionary(..) => return dictionary(field, array, options).map(Some),
            DataType::Map(..) => self.map(field, array, options)?,
            other => match self.moment(other, field, array) {
                Some(encoder) => encoder,
                None => return Ok(None),
            },
        };
        Ok(Some(NullableEncoder::new(encoder, array.nulls().cloned())))
    }
}

type Boxed<'a> = Box<dyn Encoder + 'a>;

/// An encoder that is a closure.
struct Writes<F>(F);

impl<F: FnMut(usize, &mut Vec<u8>)> Encoder for Writes<F> {
    fn encode(&mut self, index: usize, out: &mut Vec<u8>) {
        (self.0)(index, out);
    }
}

fn writes<'a>(write: impl FnMut(usize, &mut Vec<u8>) + 'a) -> Boxed<'a> {
    Box::new(Writes(write))
}

fn bytes<'a, A: ArrayAccessor<Item = &'a [u8]> + 'a>(array: A) -> Boxed<'a> {
    writes(move |index, out| {
        let value = array.value(index);
        out.push(b'"');
        let start = out.len();
        out.resize(start + value.len().div_ceil(3) * 4, 0);
        let written = STANDARD.encode_slice(value, &mut out[start..]).unwrap_or(0);
        out.truncate(start + written);
        out.push(b'"');
    })
}

fn float<'a, T: ArrowPrimitiveType>(
    field: &'a FieldRef,
    array: &'a dyn Array,
    widened: fn(T::Native) -> f64,
) -> Result<Boxed<'a>, ArrowError> {
    let mut plain = make_encoder(field, array, &PLAIN)?;
    let values = array.as_primitive::<T>();
    Ok(writes(move |index, out| match widened(values.value(index)) {
        value if value.is_nan() => out.extend_from_slice(b"\"NaN\""),
        f64::INFINITY => out.extend_from_slice(b"\"Infinity\""),
        f64::NEG_INFINITY => out.extend_from_slice(b"\"-Infinity\""),
        _ => plain.encode(index, out),
    }))
}

/// Unlike arrow-json's own, it knows that an entry of the dictionary may be null.
fn dictionary<'a>(
    field: &'a FieldRef,
    array: &'a dyn Array,
    options: &'a EncoderOptions,
) -> Result<NullableEncoder<'a>, ArrowError> {
    let dictionary = array.as_any_dictionary();
    let mut values = make_encoder(field, dictionary.values(), options)?;
    let keys = if dictionary.values().is_empty() { Vec::new() } else { dictionary.normalized_keys() };
    let encoder = writes(move |index, out| values.encode(keys[index], out));
    Ok(NullableEncoder::new(encoder, array.logical_nulls()))
}

impl Ways {
    /// Unlike arrow-json's own, it does not drop a key because its value is null.
    fn map<'a>(
        &self,
        field: &'a FieldRef,
        array: &'a dyn Array,
        options: &'a EncoderOptions,
    ) -> Result<Boxed<'a>, ArrowError> {
        let map = array.as_map();
        if !is_text(map.keys().data_type()) {
            let found = map.keys().data_type();
            return Err(ArrowError::JsonError(format!("the keys of a map must be strings, not {found}")));
        }
        let mut keys = make_encoder(field, map.keys(), options)?;
        let mut values = make_encoder(field, map.values(), options)?;
        let offsets: &OffsetBuffer<i32> = map.offsets();
        let complaint = Arc::clone(&self.complaint);
        Ok(writes(move |index, out| {
            out.push(b'{');
            let range = offsets[index] as usize..offsets[index + 1] as usize;
            for entry in range.clone() {
                if entry != range.start {
                    out.push(b',');
                }
                if keys.is_null(entry) {
                    complaint.get_or_init(|| "a map has a null key, which JSON cannot hold".into());
                    return;
                }
                keys.encode(entry, out);
                out.push(b':');
                if values.is_null(entry) { out.extend_from_slice(b"null") } else { values.encode(entry, out) }
            }
            out.push(b'}');
        }))
    }

    /// Dates and times as ISO 8601; a moment with a zone in UTC. `None` for other types.
    fn moment<'a>(&self, data_type: &DataType, field: &FieldRef, array: &'a dyn Array) -> Option<Boxed<'a>> {
        Some(match data_type {
            DataType::Date32 => self.text::<Date32Type, _>(field, array, "", as_date::<Date32Type>),
            DataType::Date64 => self.text::<Date64Type, _>(field, array, "", as_date::<Date64Type>),
            DataType::Time32(TimeUnit::Second) => {
                self.text::<Time32SecondType, _>(field, array, "", as_time::<Time32SecondType>)
            }
            DataType::Time32(_) => {
                self.text::<Time32MillisecondType, _>(field, array, "", as_time::<Time32MillisecondType>)
            }
            DataType::Time64(TimeUnit::Microsecond) => {
                self.text::<Time64MicrosecondType, _>(field, array, "", as_time::<Time64MicrosecondType>)
            }
            DataType::Time64(_) => {
                self.text::<Time64NanosecondType, _>(field, array, "", as_time::<Time64NanosecondType>)
            }
            DataType::Timestamp(unit, zone) => {
                let zone = if zone.is_some() { "Z" } else { "" };
                match unit {
                    TimeUnit::Second => self.timestamp::<TimestampSecondType>(field, array, zone),
                    TimeUnit::Millisecond => self.timestamp::<TimestampMillisecondType>(field, array, zone),
                    TimeUnit::Microsecond => self.timestamp::<TimestampMicrosecondType>(field, array, zone),
                    TimeUnit::Nanosecond => self.timestamp::<TimestampNanosecondType>(field, array, zone),
                }
            }
            _ => return None,
        })
    }

    fn timestamp<'a, T: ArrowPrimitiveType<Native = i64>>(
        &self,
        field: &FieldRef,
        array: &'a dyn Array,
        zone: &'static str,
    ) -> Boxed<'a> {
        self.text::<T, _>(field, array, zone, as_datetime::<T>)
    }

    fn text<'a, T: ArrowPrimitiveType, M: std::fmt::Debug + 'a>(
        &self,
        field: &FieldRef,
        array: &'a dyn Array,
        after: &'static str,
        moment: fn(i64) -> Option<M>,
    ) -> Boxed<'a>
    where
        i64: From<T::Native>,
        T::Native: Display,
    {
        let values: &PrimitiveArray<T> = array.as_primitive::<T>();
        let complaint = Arc::clone(&self.complaint);
        let name = field.name().clone();
        writes(move |index, out| {
            let value = values.value(index);
            match moment(i64::from(value)) {
                // Debug is chrono's ISO 8601, with as many digits of the second as there are. Writing to a Vec
                // cannot fail.
                Some(moment) => drop(write!(out, "\"{moment:?}{after}\"")),
                None => drop(
                    complaint.set(format!("column `{name}` is {value}, no {} of the calendar", T::DATA_TYPE)),
                ),
            }
        })
    }
}

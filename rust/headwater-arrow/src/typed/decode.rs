//! A column of values into columns of fields.
//!
//! Values are read in small runs, so that what is parsed stays in the cache and a bad row costs little: a run that
//! `arrow-json` refuses is halved until the row is found. Rows stay in step by construction: each value is checked to
//! be one object before it is read, and one that is not is read as `{}`.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::{Array, ArrayRef, BinaryArray, BinaryViewArray, RecordBatch};
use arrow_json::ReaderBuilder;
use arrow_json::reader::Decoder;
use arrow_schema::{ArrowError, Schema, SchemaRef};
use arrow_select::concat::concat;

use super::leaves::Leaves;
use super::{BadRows, TypedValues, strict};

/// Rows that are parsed at once.
const RUN_ROWS: usize = 1024;
/// Bytes of values that are parsed at once, unless one value is larger.
const RUN_BYTES: usize = 1 << 20;
/// Places for parsed tokens that are made in advance.
const RUN_TOKENS: usize = 64 * 1024;
/// Characters of a reason at most: the text of a bad value may be long.
const REASON_CHARS: usize = 300;

/// A row that cannot be decoded, counted from the first value.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadValue {
    pub(crate) row: usize,
    pub(crate) reason: String,
}

/// What came out of a column of values.
pub(crate) struct Decoded {
    /// One array per field.
    pub(crate) columns: Vec<ArrayRef>,
    /// Why rows are null; null where they are good.
    pub(crate) errors: ArrayRef,
}

/// Decodes values of one schema.
pub(crate) struct ValueDecoder {
    schema: SchemaRef,
    bad_rows: BadRows,
    run_rows: usize,
    // Made when first needed, and again after an error, which leaves it in the middle of a value.
    decoder: Option<Decoder>,
}

/// Values one after the other.
pub(crate) trait Values {
    fn count(&self) -> usize;
    fn get(&self, row: usize) -> Option<&[u8]>;
}

impl Values for BinaryArray {
    fn count(&self) -> usize {
        self.len()
    }

    fn get(&self, row: usize) -> Option<&[u8]> {
        self.is_valid(row).then(|| self.value(row))
    }
}

impl Values for BinaryViewArray {
    fn count(&self) -> usize {
        self.len()
    }

    fn get(&self, row: usize) -> Option<&[u8]> {
        self.is_valid(row).then(|| self.value(row))
    }
}

impl ValueDecoder {
    pub(crate) fn new(typed: &TypedValues) -> ValueDecoder {
        let fields = typed.fields.len().max(1);
        ValueDecoder {
            schema: Arc::new(Schema::new(typed.fields.clone())),
            bad_rows: typed.bad_rows,
            run_rows: (RUN_TOKENS / fields).clamp(16, RUN_ROWS),
            decoder: None,
        }
    }

    /// Decodes all of `values`. In [`BadRows::Fail`] mode, the first bad row is the error.
    pub(crate) fn decode(&mut self, values: &impl Values) -> Result<Decoded, BadValue> {
        let mut run = Run { errors: BTreeMap::new(), batches: Vec::new() };
        let mut start = 0;
        while start < values.count() {
            let (end, malformed) = self.check_run(values, start, &mut run);
            self.decode_run(values, start..end, &mut run, Reuse::Decoder)?;
            if let Some(reason) = malformed {
                return Err(BadValue { row: end, reason });
            }
            start = end;
        }
        run.finish(&self.schema, values.count()).map_err(|error| BadValue { row: 0, reason: reason(error) })
    }

    /// Where the run that begins at `start` ends. Values that are not one object are noted; the first of them ends the
    /// run if it is to end everything.
    fn check_run(&self, values: &impl Values, start: usize, run: &mut Run) -> (usize, Option<String>) {
        let mut end = start;
        let mut bytes = 0;
        while end < values.count() && end - start < self.run_rows && bytes < RUN_BYTES {
            let value = values.get(end);
            bytes += value.map_or(0, <[u8]>::len);
            if let Some(Err(error)) = value.map(strict::one_object) {
                let reason = shortened(&format!("not one JSON object: {error}"));
                match self.bad_rows {
                    BadRows::Fail => return (end, Some(reason)),
                    BadRows::Column => drop(run.errors.insert(end, reason)),
                }
            }
            end += 1;
        }
        (end, None)
    }

    /// Decodes the rows of `range` in order, one by one where one of them is bad.
    fn decode_run(
        &mut self,
        values: &impl Values,
        range: Range<usize>,
        run: &mut Run,
        reuse: Reuse,
    ) -> Result<(), BadValue> {
        if range.is_empty() {
            return Ok(());
        }
        match self.try_run(values, &range, run, reuse) {
            Ok(batch) => {
                run.batches.push(batch);
                Ok(())
            }
            Err(_) if range.len() > 1 => {
                let middle = range.start + range.len() / 2;
                self.decode_run(values, range.start..middle, run, Reuse::Nothing)?;
                self.decode_run(values, middle..range.end, run, Reuse::Nothing)
            }
            Err(error) => {
                let (row, reason) = (range.start, reason(error));
                if self.bad_rows == BadRows::Fail || run.errors.insert(row, reason.clone()).is_some() {
                    return Err(BadValue { row, reason });
                }
                // Now that it is known as bad, it is read as an empty object.
                self.decode_run(values, range, run, Reuse::Nothing)
            }
        }
    }

    fn new_decoder(&self, rows: usize) -> Result<Decoder, ArrowError> {
        ReaderBuilder::new(self.schema.clone())
            .with_batch_size(rows + 1)
            .with_decoder_factory(Arc::new(Leaves))
            .build_decoder()
    }

    fn try_run(
        &mut self,
        values: &impl Values,
        range: &Range<usize>,
        run: &Run,
        reuse: Reuse,
    ) -> Result<RecordBatch, ArrowError> {
        let known = if reuse == Reuse::Decoder { self.decoder.take() } else { None };
        let mut decoder = match known {
            Some(decoder) => decoder,
            None => self.new_decoder(if reuse == Reuse::Decoder { self.run_rows } else { range.len() })?,
        };
        for row in range.clone() {
            let value = values.get(row).filter(|_| !run.errors.contains_key(&row)).unwrap_or(b"{}");
            let read = decoder.decode(value)?;
            let rows = row - range.start + 1;
            if read != value.len() || decoder.len() != rows || decoder.has_partial_record() {
                return Err(ArrowError::JsonError("not one JSON object".to_owned()));
            }
        }
        let batch = decoder.flush()?;
        // An error above leaves the decoder behind.
        if reuse == Reuse::Decoder {
            self.decoder = Some(decoder);
        }
        batch
            .filter(|batch| batch.num_rows() == range.len())
            .ok_or_else(|| ArrowError::JsonError("rows are out of step".to_owned()))
    }
}

/// Whether a run is a whole one, or a part that is looked through for a bad row.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reuse {
    /// With the decoder that whole runs share.
    Decoder,
    /// With a small one of its own: what an error leaves behind cannot be used again.
    Nothing,
}

/// What has been decoded.
struct Run {
    errors: BTreeMap<usize, String>,
    batches: Vec<RecordBatch>,
}

impl Run {
    fn finish(self, schema: &SchemaRef, rows: usize) -> Result<Decoded, ArrowError> {
        let empty = [RecordBatch::new_empty(schema.clone())];
        let batches = if self.batches.is_empty() { &empty[..] } else { &self.batches };
        let column = |index: usize| {
            let parts: Vec<&dyn Array> = batches.iter().map(|batch| &**batch.column(index)).collect();
            match parts.as_slice() {
                [_] => Ok(batches[0].column(index).clone()),
                parts => concat(parts),
            }
        };
        let columns = (0..schema.fields().len()).map(column).collect::<Result<_, _>>()?;
        let mut errors = StringBuilder::with_capacity(rows, 0);
        for row in 0..rows {
            errors.append_option(self.errors.get(&row));
        }
        Ok(Decoded { columns, errors: Arc::new(errors.finish()) })
    }
}

/// An error of `arrow-json` in our words: the field, then what is wrong with it.
fn reason(error: ArrowError) -> String {
    let text = match error {
        ArrowError::JsonError(text) | ArrowError::ParseError(text) => text,
        other => other.to_string(),
    };
    let mut path = String::new();
    let mut rest = text.as_str();
    while let Some((name, inner)) =
        rest.strip_prefix("whilst decoding field '").and_then(|inner| inner.split_once("': "))
    {
        path += if path.is_empty() { "" } else { "." };
        path += name;
        rest = inner;
    }
    for (theirs, ours) in
        [("expected [ got", "expected an array, got"), ("expected { got", "expected an object, got")]
    {
        if let Some(found) = rest.strip_prefix(theirs) {
            return shortened(&format!("field `{path}`: {ours}{found}"));
        }
    }
    shortened(&if path.is_empty() { rest.to_owned() } else { format!("field `{path}`: {rest}") })
}

fn shortened(reason: &str) -> String {
    match reason.char_indices().nth(REASON_CHARS) {
        Some((end, _)) => format!("{}…", &reason[..end]),
        None => reason.to_owned(),
    }
}

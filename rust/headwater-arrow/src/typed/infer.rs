//! A schema from the first records of a scan.
//!
//! | seen in a field | type |
//! |---|---|
//! | whole numbers that fit | `long` |
//! | other numbers, or both | `double` |
//! | `true`, `false` | `boolean` |
//! | text | `string` |
//! | arrays, objects | `array`, `struct` of what is inside |
//! | nothing but null, empty objects, or kinds that do not go together | `string` |
//!
//! Fields stand in the order in which they were first seen, so the same records always give the same schema. Times
//! stay text, as in Spark: whether some text is one, the sample cannot promise for the rest.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_schema::{DataType, Field, Fields};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::{ValueSchema, ValueSchemaError};
use crate::source::PartitionSource;
use crate::{
    BatchLimits, BytesLayout, Column, Projection, RawRange, Scan, ScanError, ScanPlan, decode_fetched,
};

/// Fields of one schema, nested ones included: more are a sign of objects used as maps.
const FIELDS_MAX: usize = 4096;
/// Levels below which values stay JSON text.
const DEPTH_MAX: usize = 32;

/// A schema that was inferred.
#[derive(Clone, Debug)]
pub struct Inferred {
    /// The schema.
    pub schema: ValueSchema,
    /// Records that were looked at.
    pub records: usize,
    /// Of these, how many had a value that is not one JSON object; tombstones are not among them.
    pub bad: usize,
}

/// Why no schema could be inferred.
#[derive(Debug, thiserror::Error)]
pub enum InferError {
    /// The records could not be read.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// There was no object with a field.
    #[error(
        "no schema can be inferred: none of the first {records} records has a value that is a JSON object with fields; \
         give a value schema, as in \"carrier string, delay long\""
    )]
    Nothing {
        /// Records that were looked at.
        records: usize,
    },
    /// The objects have too many fields.
    #[error(
        "no schema can be inferred: the values have more than {FIELDS_MAX} different fields; give a value schema, \
         with `map<string, …>` for objects whose names are data"
    )]
    TooMany,
    /// What was inferred is no schema.
    #[error(transparent)]
    Schema(#[from] ValueSchemaError),
}

/// Looks at the values of the first `sample` records that `plan` reads of `sources`: partition by partition, in order.
/// Blocking.
///
/// # Errors
/// [`InferError`].
pub fn infer_values(
    plan: &ScanPlan,
    sources: Vec<Box<dyn PartitionSource>>,
    sample: usize,
) -> Result<Inferred, InferError> {
    let rows = sample.clamp(1, BatchLimits::default().rows);
    let limits = BatchLimits { rows, ..plan.limits };
    let plan = ScanPlan { projection: only_values(), limits, ..plan.clone() };
    let mut scan = Scan::new(plan, sources)?;
    let mut seen = Sample::new(sample);
    while !seen.is_full() {
        let Some(batch) = scan.next_batch()? else { break };
        seen.look_at(&batch)?;
    }
    seen.finish()
}

/// Looks at the values of the first `sample` records that a consumer's poll returned.
///
/// # Errors
/// [`InferError`].
pub fn infer_fetched(
    fetched: impl IntoIterator<Item: Into<RawRange>>,
    sample: usize,
) -> Result<Inferred, InferError> {
    let mut seen = Sample::new(sample);
    let batches = decode_fetched(&only_values(), BatchLimits::default(), fetched).map_err(ScanError::from)?;
    batches.iter().try_for_each(|batch| seen.look_at(batch))?;
    seen.finish()
}

fn only_values() -> Projection {
    // One column that exists cannot be chosen wrongly.
    Projection::new(&[Column::Value], BytesLayout::Binary)
        .unwrap_or_else(|_| Projection::all(BytesLayout::Binary))
}

/// What the records looked at so far have shown.
struct Sample {
    records_max: usize,
    records: usize,
    bad: usize,
    seen: Objects,
}

impl Sample {
    fn new(records_max: usize) -> Sample {
        Sample { records_max, records: 0, bad: 0, seen: Objects::default() }
    }

    fn is_full(&self) -> bool {
        self.records >= self.records_max
    }

    fn look_at(&mut self, batch: &RecordBatch) -> Result<(), InferError> {
        let Some(values) = batch.column_by_name(Column::Value.name()) else { return Ok(()) };
        for value in values.as_binary::<i32>() {
            if self.is_full() {
                break;
            }
            self.records += 1;
            let Some(value) = value else { continue };
            match serde_json::from_slice(value) {
                Ok(Shape::Object(fields)) => self.seen.merge(fields),
                _ => self.bad += 1,
            }
            if self.seen.count() > FIELDS_MAX {
                return Err(InferError::TooMany);
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<Inferred, InferError> {
        let Sample { records, bad, seen, .. } = self;
        if seen.order.is_empty() {
            return Err(InferError::Nothing { records });
        }
        Ok(Inferred { schema: ValueSchema::new(&seen.fields(0))?, records, bad })
    }
}

/// What kind of value a field had.
enum Shape {
    Null,
    Boolean,
    Whole,
    Number,
    Text,
    /// Kinds that do not go together.
    Mixed,
    List(Box<Shape>),
    Object(Objects),
}

/// The fields of objects, in the order in which they were first seen.
#[derive(Default)]
struct Objects {
    order: Vec<(String, Shape)>,
    index: HashMap<String, usize>,
}

impl Objects {
    /// Takes a field of one object; false if the object has it already.
    fn add(&mut self, name: String, shape: Shape) -> bool {
        let next = self.order.len();
        if *self.index.entry(name.clone()).or_insert(next) != next {
            return false;
        }
        self.order.push((name, shape));
        true
    }

    fn merge(&mut self, other: Objects) {
        for (name, shape) in other.order {
            match self.index.get(&name) {
                Some(&at) => {
                    let known = std::mem::replace(&mut self.order[at].1, Shape::Null);
                    self.order[at].1 = known.merge(shape);
                }
                None => drop(self.add(name, shape)),
            }
        }
    }

    fn count(&self) -> usize {
        self.order.iter().map(|(_, shape)| 1 + shape.count()).sum()
    }

    fn fields(&self, depth: usize) -> Fields {
        let field = |(name, shape): &(String, Shape)| Field::new(name, shape.data_type(depth), true);
        self.order.iter().map(field).collect()
    }
}

impl Shape {
    fn merge(self, other: Shape) -> Shape {
        match (self, other) {
            (Shape::Null, shape) | (shape, Shape::Null) => shape,
            (Shape::Boolean, Shape::Boolean) => Shape::Boolean,
            (Shape::Whole, Shape::Whole) => Shape::Whole,
            (Shape::Whole | Shape::Number, Shape::Whole | Shape::Number) => Shape::Number,
            (Shape::Text, Shape::Text) => Shape::Text,
            (Shape::List(one), Shape::List(other)) => Shape::List(Box::new(one.merge(*other))),
            (Shape::Object(mut one), Shape::Object(other)) => {
                one.merge(other);
                Shape::Object(one)
            }
            _ => Shape::Mixed,
        }
    }

    fn count(&self) -> usize {
        match self {
            Shape::List(item) => item.count(),
            Shape::Object(fields) => fields.count(),
            _ => 0,
        }
    }

    fn data_type(&self, depth: usize) -> DataType {
        match self {
            Shape::Boolean => DataType::Boolean,
            Shape::Whole => DataType::Int64,
            Shape::Number => DataType::Float64,
            Shape::List(item) if depth < DEPTH_MAX => {
                DataType::List(Arc::new(Field::new("element", item.data_type(depth + 1), true)))
            }
            Shape::Object(fields) if depth < DEPTH_MAX && !fields.order.is_empty() => {
                DataType::Struct(fields.fields(depth + 1))
            }
            _ => DataType::Utf8,
        }
    }
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Shape, D::Error> {
        deserializer.deserialize_any(ShapeVisitor)
    }
}

struct ShapeVisitor;

impl<'de> Visitor<'de> for ShapeVisitor {
    type Value = Shape;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Shape, E> {
        Ok(Shape::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Shape, E> {
        Ok(Shape::Boolean)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Shape, E> {
        Ok(Shape::Whole)
    }

    fn visit_u64<E>(self, number: u64) -> Result<Shape, E> {
        Ok(if i64::try_from(number).is_ok() { Shape::Whole } else { Shape::Number })
    }

    fn visit_f64<E>(self, _: f64) -> Result<Shape, E> {
        Ok(Shape::Number)
    }

    fn visit_str<E>(self, _: &str) -> Result<Shape, E> {
        Ok(Shape::Text)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Shape, A::Error> {
        let mut item = Shape::Null;
        while let Some(next) = items.next_element()? {
            item = item.merge(next);
        }
        Ok(Shape::List(Box::new(item)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Shape, A::Error> {
        let mut fields = Objects::default();
        while let Some((name, shape)) = map.next_entry::<String, Shape>()? {
            if !fields.add(name, shape) {
                return Err(A::Error::custom("a field occurs twice"));
            }
        }
        Ok(Shape::Object(fields))
    }
}

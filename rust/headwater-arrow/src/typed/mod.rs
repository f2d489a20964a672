//! Values with types: JSON objects in, one Arrow column per field out.
//!
//! ```text
//!  "carrier string, delay long" ──┐
//!  a schema of Arrow ─────────────┼─> ValueSchema ── chosen fields ──> TypedValues ──> ValueDecoder
//!  the first records (infer) ─────┘                                                     value bytes ─> columns
//!                                                                                                   └> value_error
//! ```
//!
//! A value is exactly one JSON object, or it is a bad row: [`strict`] sees to it before `arrow-json`, which forgives
//! more than rows in step can bear, reads the bytes. What the fields' types accept is in [`leaves`].
//!
//! Deliberately absent: schemas with a registry, Avro and Protobuf, and writing (another module turns columns into
//! JSON).

mod ddl;
mod decode;
mod infer;
mod leaves;
mod names;
mod schema;
mod spell;
mod strict;

pub use ddl::DdlError;
pub use infer::{InferError, Inferred, infer_fetched, infer_values};
pub use schema::{ValueSchema, ValueSchemaError};

pub(crate) use decode::{BadValue, Decoded, ValueDecoder};
pub(crate) use names::{VALUE_ERROR, output_names};

use arrow_schema::Fields;

/// What becomes of a value that is not one JSON object of the schema's types.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BadRows {
    /// The scan ends with an error that names topic, partition and offset.
    #[default]
    Fail,
    /// The row's typed columns are null, and a string column `value_error` says why; it is null for good rows.
    Column,
}

/// Which fields of the values are decoded. Empty if only the count of rows, or nothing typed, is asked for.
#[derive(Clone, Debug)]
pub(crate) struct TypedValues {
    /// The fields, named as in the JSON objects.
    pub(crate) fields: Fields,
    pub(crate) bad_rows: BadRows,
}

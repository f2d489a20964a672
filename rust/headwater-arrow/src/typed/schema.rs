//! The fields of a topic's values, checked: each can be read from JSON, and may be absent.

use std::fmt;
use std::sync::Arc;

use arrow_schema::{DataType, Field, FieldRef, Fields, Schema};

use super::{DdlError, ddl, leaves, spell};

/// Levels of lists, structs and maps that a type may have: as deep as JSON is read.
pub(super) const DEPTH_MAX: usize = 64;

/// The fields of values, in order. All are nullable: any record may lack any of them.
///
/// Its text is a DDL string that [`ValueSchema::parse`] understands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueSchema {
    fields: Fields,
}

/// Why a schema cannot be that of JSON values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueSchemaError {
    /// The text is not a list of names and types.
    #[error(transparent)]
    Ddl(#[from] DdlError),
    /// There is no field.
    #[error("the value schema has no fields; expected at least one, as in \"carrier string, delay long\"")]
    Empty,
    /// A name occurs twice.
    #[error("the value schema names field `{name}` twice")]
    Twice {
        /// The name.
        name: String,
    },
    /// The type cannot be read from JSON.
    #[error("field `{name}` has type {data_type}, which is not read from JSON; {expected}", expected = leaves::EXPECTED)]
    Type {
        /// The field, with the names of those around it.
        name: String,
        /// Its type.
        data_type: String,
    },
    /// The types are nested too deeply.
    #[error("field `{name}` is nested deeper than {DEPTH_MAX} levels")]
    Depth {
        /// The outermost field.
        name: String,
    },
}

impl ValueSchema {
    /// Reads a DDL string: `"carrier string, delay long"`, or `"struct<carrier: string, delay: long>"`.
    ///
    /// # Errors
    /// [`ValueSchemaError`].
    pub fn parse(text: &str) -> Result<ValueSchema, ValueSchemaError> {
        ValueSchema::new(&ddl::schema(text)?)
    }

    /// Reads the name of one type, of Arrow or of Spark SQL.
    ///
    /// # Errors
    /// [`DdlError`].
    pub fn parse_type(text: &str) -> Result<DataType, DdlError> {
        ddl::data_type(text)
    }

    /// The fields of an Arrow schema; they become nullable.
    ///
    /// # Errors
    /// [`ValueSchemaError`].
    pub fn new(fields: &Fields) -> Result<ValueSchema, ValueSchemaError> {
        if fields.is_empty() {
            return Err(ValueSchemaError::Empty);
        }
        Ok(ValueSchema { fields: nullable_fields(fields, "", 0)? })
    }

    /// The fields.
    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    /// Each field's name with that of its type.
    pub fn type_names(&self) -> impl Iterator<Item = (&str, String)> {
        self.fields.iter().map(|field| (field.name().as_str(), spell::data_type(field.data_type())))
    }

    /// As an Arrow schema.
    pub fn to_arrow(&self) -> Schema {
        Schema::new(self.fields.clone())
    }
}

impl fmt::Display for ValueSchema {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&spell::fields(&self.fields))
    }
}

fn nullable_fields(fields: &Fields, around: &str, depth: usize) -> Result<Fields, ValueSchemaError> {
    let mut names = std::collections::HashSet::new();
    fields
        .iter()
        .map(|field| {
            let name = path(around, field.name());
            if !names.insert(field.name()) {
                return Err(ValueSchemaError::Twice { name });
            }
            nullable(field, &name, depth)
        })
        .collect()
}

fn path(around: &str, name: &str) -> String {
    if around.is_empty() { name.to_owned() } else { format!("{around}.{name}") }
}

/// The field as nullable as JSON makes it, all the way down.
fn nullable(field: &Field, name: &str, depth: usize) -> Result<FieldRef, ValueSchemaError> {
    if depth > DEPTH_MAX {
        return Err(ValueSchemaError::Depth { name: name.to_owned() });
    }
    let refused =
        || ValueSchemaError::Type { name: name.to_owned(), data_type: field.data_type().to_string() };
    let data_type = match field.data_type() {
        DataType::List(item) => DataType::List(nullable(item, &path(name, "element"), depth + 1)?),
        DataType::LargeList(item) => DataType::LargeList(nullable(item, &path(name, "element"), depth + 1)?),
        DataType::Struct(fields) if !fields.is_empty() => {
            DataType::Struct(nullable_fields(fields, name, depth + 1)?)
        }
        DataType::Map(entries, false) => {
            let DataType::Struct(pair) = entries.data_type() else { return Err(refused()) };
            let [key, value] = &pair[..] else { return Err(refused()) };
            if !matches!(key.data_type(), DataType::Utf8 | DataType::LargeUtf8) {
                return Err(refused());
            }
            let key = key.as_ref().clone().with_nullable(false);
            let pair = vec![Arc::new(key), nullable(value, &path(name, "value"), depth + 1)?];
            let entries = Field::new(entries.name(), DataType::Struct(pair.into()), false);
            DataType::Map(Arc::new(entries), false)
        }
        other if leaves::reads(other) => other.clone(),
        _ => return Err(refused()),
    };
    Ok(Arc::new(Field::new(field.name(), data_type, true).with_metadata(field.metadata().clone())))
}

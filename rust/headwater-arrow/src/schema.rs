//! The columns of a topic, and the choice of them.

use std::collections::HashSet;
use std::sync::Arc;

use arrow_schema::{DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};

use crate::requested::as_requested;
use crate::typed::{BadRows, TypedValues, VALUE_ERROR, ValueSchema, output_names};

/// One column of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Column {
    /// `key`: binary, null where the record has none.
    Key,
    /// `value`: binary, null for a tombstone.
    Value,
    /// `topic`: string.
    Topic,
    /// `partition`: int32.
    Partition,
    /// `offset`: int64.
    Offset,
    /// `timestamp`: timestamp(ms, UTC), or in microseconds if these are requested; a record without one has -1 ms,
    /// the last millisecond of 1969, as in Kafka.
    Timestamp,
    /// `timestamp_type`: int32, 0 for CreateTime and 1 for LogAppendTime.
    TimestampType,
    /// `headers`: list of (`key` string, `value` binary), order and duplicates kept; empty, not null, without
    /// headers. A key that is not UTF-8 has its odd bytes replaced.
    Headers,
}

impl Column {
    /// Every column, in the order of the full schema.
    pub const ALL: [Column; 8] = [
        Column::Key,
        Column::Value,
        Column::Topic,
        Column::Partition,
        Column::Offset,
        Column::Timestamp,
        Column::TimestampType,
        Column::Headers,
    ];

    /// Its name in the schema.
    pub const fn name(self) -> &'static str {
        match self {
            Column::Key => "key",
            Column::Value => "value",
            Column::Topic => "topic",
            Column::Partition => "partition",
            Column::Offset => "offset",
            Column::Timestamp => "timestamp",
            Column::TimestampType => "timestamp_type",
            Column::Headers => "headers",
        }
    }

    /// The column of this name.
    pub fn from_name(name: &str) -> Option<Column> {
        Column::ALL.into_iter().find(|column| column.name() == name)
    }

    fn field(self, layout: BytesLayout) -> Field {
        let (data_type, nullable) = match self {
            Column::Key | Column::Value => (layout.data_type(), true),
            Column::Topic => (DataType::Utf8, false),
            Column::Partition | Column::TimestampType => (DataType::Int32, false),
            Column::Offset => (DataType::Int64, false),
            Column::Timestamp => (DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())), false),
            Column::Headers => (DataType::List(Arc::new(header_field())), false),
        };
        Field::new(self.name(), data_type, nullable)
    }
}

/// The element of the headers' list. Parquet's name for it, so that files need no renaming.
pub(crate) fn header_field() -> Field {
    Field::new("element", DataType::Struct(header_fields()), false)
}

pub(crate) fn header_fields() -> Fields {
    Fields::from(vec![Field::new("key", DataType::Utf8, false), Field::new("value", DataType::Binary, true)])
}

/// How keys and values are laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BytesLayout {
    /// `Binary`: copied together; understood everywhere.
    #[default]
    Binary,
    /// `BinaryView`: pointing into the fetched or mapped bytes, which stay in memory as long as the array does.
    View,
}

impl BytesLayout {
    fn data_type(self) -> DataType {
        match self {
            BytesLayout::Binary => DataType::Binary,
            BytesLayout::View => DataType::BinaryView,
        }
    }
}

/// One column of the batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    /// A column that every record has.
    Record(Column),
    /// The field of this index among those that are decoded.
    Field(usize),
    /// Why the row's typed columns are null.
    ValueError,
}

/// The columns asked for, in that order.
#[derive(Clone, Debug)]
pub struct Projection {
    slots: Arc<[Slot]>,
    layout: BytesLayout,
    typed: Option<Arc<TypedValues>>,
    schema: SchemaRef,
}

impl Projection {
    /// All columns.
    pub fn all(layout: BytesLayout) -> Projection {
        let slots = Column::ALL.map(|column| (Slot::Record(column), column.field(layout)));
        Projection::build(slots.to_vec(), layout, None)
    }

    /// These columns.
    ///
    /// # Errors
    /// [`ProjectionError::Twice`] for a column that is named more than once. No column at all is allowed: such
    /// batches carry their number of rows only.
    pub fn new(columns: &[Column], layout: BytesLayout) -> Result<Projection, ProjectionError> {
        Projection::from_names(columns.iter().map(|column| column.name()), layout)
    }

    /// The columns of these names.
    ///
    /// # Errors
    /// [`ProjectionError`], naming the column.
    pub fn from_names<'a>(
        names: impl IntoIterator<Item = &'a str>,
        layout: BytesLayout,
    ) -> Result<Projection, ProjectionError> {
        let known = Projection::all(layout);
        known.choose(names, |name| vec![name])
    }

    /// The columns of these names (default: all) where `value` is replaced, at its place, by one column per field of
    /// `values`, and with [`BadRows::Column`] by `value_error` after them. Only fields that are asked for are decoded;
    /// `value_error` alone speaks of all of them.
    ///
    /// # Errors
    /// [`ProjectionError`], naming the column.
    pub fn with_values(
        names: Option<&[&str]>,
        values: &ValueSchema,
        bad_rows: BadRows,
        layout: BytesLayout,
    ) -> Result<Projection, ProjectionError> {
        let output = output_names(values.fields());
        let mut slots = Vec::new();
        for column in Column::ALL {
            if column != Column::Value {
                slots.push((Slot::Record(column), column.field(layout)));
                continue;
            }
            for (index, (field, name)) in values.fields().iter().zip(&output).enumerate() {
                slots.push((Slot::Field(index), field.as_ref().clone().with_name(name)));
            }
            if bad_rows == BadRows::Column {
                slots.push((Slot::ValueError, Field::new(VALUE_ERROR, DataType::Utf8, true)));
            }
        }
        let typed = TypedValues { fields: values.fields().clone(), bad_rows };
        let all = Projection::build(slots, layout, Some(typed));
        let Some(names) = names else { return Ok(all) };
        let mut in_place: Vec<&str> = output.iter().map(String::as_str).collect();
        if bad_rows == BadRows::Column {
            in_place.push(VALUE_ERROR);
        }
        let chosen = all.choose(names.iter().copied(), |name| match Column::from_name(name) {
            Some(Column::Value) => in_place.clone(),
            _ => vec![name],
        })?;
        Ok(chosen.without_unused_fields())
    }

    /// Those of this projection's columns that have these names, each of which may stand for several.
    fn choose<'a>(
        &self,
        names: impl IntoIterator<Item = &'a str>,
        meaning: impl Fn(&'a str) -> Vec<&'a str>,
    ) -> Result<Projection, ProjectionError> {
        let mut chosen = Vec::new();
        let mut seen = HashSet::new();
        for name in names.into_iter().flat_map(meaning) {
            let Ok(index) = self.schema.index_of(name) else {
                let expected: Vec<&str> = self.names().collect();
                return Err(ProjectionError::Unknown {
                    name: name.to_owned(),
                    expected: expected.join(", "),
                });
            };
            if !seen.insert(index) {
                return Err(ProjectionError::Twice { name: name.to_owned() });
            }
            chosen.push((self.slots[index], self.schema.field(index).clone()));
        }
        let typed = self.typed.as_deref().cloned();
        Ok(Projection::build(chosen, self.layout, typed))
    }

    /// Leaves out the fields that no column shows, unless only their errors are asked for.
    fn without_unused_fields(self) -> Projection {
        let Some(typed) = &self.typed else { return self };
        let shown = |slot: &Slot| matches!(slot, Slot::Field(_));
        let only_errors = !self.slots.iter().any(shown) && self.slots.contains(&Slot::ValueError);
        if only_errors {
            return self;
        }
        let mut fields: Vec<FieldRef> = Vec::new();
        let slots = self.slots.iter().zip(self.schema.fields()).map(|(slot, field)| {
            let slot = match slot {
                Slot::Field(index) => {
                    fields.push(typed.fields[*index].clone());
                    Slot::Field(fields.len() - 1)
                }
                other => *other,
            };
            (slot, field.as_ref().clone())
        });
        let slots = slots.collect();
        let typed = TypedValues { fields: fields.into(), bad_rows: typed.bad_rows };
        Projection::build(slots, self.layout, Some(typed))
    }

    /// This projection as `requested` wants it: views if its `key` or `value` is a `BinaryView`, then the types that
    /// [`as_requested`](crate::as_requested) can give.
    pub fn with_requested(&self, requested: &Schema) -> Projection {
        let wants_views = |field: &FieldRef| {
            matches!(Column::from_name(field.name()), Some(Column::Key | Column::Value))
                && field.data_type() == &DataType::BinaryView
        };
        let views = requested.fields().iter().any(wants_views);
        let layout = if views { BytesLayout::View } else { BytesLayout::Binary };
        let natural = self.laid_out(layout);
        Projection { schema: as_requested(&natural.schema, requested), ..natural }
    }

    /// The same columns, laid out differently.
    fn laid_out(&self, layout: BytesLayout) -> Projection {
        let slots = self.slots.iter().zip(self.schema.fields()).map(|(slot, field)| match slot {
            Slot::Record(column) => (*slot, column.field(layout)),
            _ => (*slot, field.as_ref().clone()),
        });
        Projection::build(slots.collect(), layout, self.typed.as_deref().cloned())
    }

    /// The same columns without `column`, in the `Binary` layout.
    pub(crate) fn without(&self, column: Column) -> Projection {
        let all = self.slots.iter().zip(self.schema.fields());
        let kept = all.filter(|(slot, _)| **slot != Slot::Record(column));
        let kept = kept.map(|(slot, field)| (*slot, field.as_ref().clone())).collect();
        Projection::build(kept, self.layout, self.typed.as_deref().cloned()).laid_out(BytesLayout::Binary)
    }

    fn build(slots: Vec<(Slot, Field)>, layout: BytesLayout, typed: Option<TypedValues>) -> Projection {
        let (slots, fields): (Vec<Slot>, Vec<Field>) = slots.into_iter().unzip();
        let schema = Arc::new(Schema::new(fields));
        Projection { slots: slots.into(), layout, typed: typed.map(Arc::new), schema }
    }

    /// The columns' names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.schema.fields().iter().map(|field| field.name().as_str())
    }

    /// Names of the columns that are fields of values.
    pub(crate) fn typed_names(&self) -> impl Iterator<Item = &str> {
        let typed = |(slot, name)| matches!(slot, &Slot::Field(_)).then_some(name);
        self.slots.iter().zip(self.names()).filter_map(typed)
    }

    pub(crate) fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// Whether `column`, as every record has it, is among them.
    pub fn contains(&self, column: Column) -> bool {
        self.slots.contains(&Slot::Record(column))
    }

    /// The fields to decode, if there is any.
    pub(crate) fn typed(&self) -> Option<&TypedValues> {
        self.typed.as_deref().filter(|typed| !typed.fields.is_empty())
    }

    /// Rows that one batch may have: even a row of nulls takes room for each typed column, whatever its value's size.
    pub(crate) fn rows_max(&self) -> usize {
        const CELLS_MAX: usize = 8 << 20;
        let fields = self.typed().map_or(0, |typed| typed.fields.len());
        (CELLS_MAX / fields.max(1)).max(1)
    }

    /// How keys and values are laid out.
    pub fn layout(&self) -> BytesLayout {
        self.layout
    }

    /// The schema of the batches.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }
}

/// Why columns cannot be chosen like that.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProjectionError {
    /// There is no such column.
    #[error("unknown column `{name}`; expected some of {expected}")]
    Unknown {
        /// The name given.
        name: String,
        /// The names there are.
        expected: String,
    },
    /// The column was named before.
    #[error("column `{name}` is named twice")]
    Twice {
        /// Its name.
        name: String,
    },
}

//! The columns of a topic, and the choice of them.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};

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
    /// `timestamp`: timestamp(ms, UTC); a record without one has -1, the last millisecond of 1969, as in Kafka.
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

/// The columns asked for, in that order.
#[derive(Clone, Debug)]
pub struct Projection {
    columns: Arc<[Column]>,
    layout: BytesLayout,
    schema: SchemaRef,
}

impl Projection {
    /// All columns.
    pub fn all(layout: BytesLayout) -> Projection {
        Projection::build(&Column::ALL, layout)
    }

    /// These columns.
    ///
    /// # Errors
    /// [`ProjectionError::Twice`] for a column that is named more than once. No column at all is allowed: such
    /// batches carry their number of rows only.
    pub fn new(columns: &[Column], layout: BytesLayout) -> Result<Projection, ProjectionError> {
        for (index, column) in columns.iter().enumerate() {
            if columns[..index].contains(column) {
                return Err(ProjectionError::Twice { name: column.name() });
            }
        }
        Ok(Projection::build(columns, layout))
    }

    /// The columns of these names.
    ///
    /// # Errors
    /// [`ProjectionError`], naming the column.
    pub fn from_names<'a>(
        names: impl IntoIterator<Item = &'a str>,
        layout: BytesLayout,
    ) -> Result<Projection, ProjectionError> {
        let column = |name: &str| {
            Column::from_name(name).ok_or_else(|| ProjectionError::Unknown { name: name.to_owned() })
        };
        let columns: Vec<Column> = names.into_iter().map(column).collect::<Result<_, _>>()?;
        Projection::new(&columns, layout)
    }

    /// This projection in the layout that `requested` wants: views if its `key` or `value` is a `BinaryView`.
    ///
    /// A requested schema is a wish: types that cannot be given are passed over, as the PyCapsule interface allows.
    pub fn with_requested(&self, requested: &Schema) -> Projection {
        let wants = |field: &Arc<Field>| {
            matches!(Column::from_name(field.name()), Some(Column::Key | Column::Value))
                && field.data_type() == &DataType::BinaryView
        };
        let layout =
            if requested.fields().iter().any(wants) { BytesLayout::View } else { BytesLayout::Binary };
        Projection::build(&self.columns, layout)
    }

    fn build(columns: &[Column], layout: BytesLayout) -> Projection {
        let fields: Vec<Field> = columns.iter().map(|column| column.field(layout)).collect();
        Projection { columns: columns.into(), layout, schema: Arc::new(Schema::new(fields)) }
    }

    /// The columns, in order.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Whether `column` is among them.
    pub fn contains(&self, column: Column) -> bool {
        self.columns.contains(&column)
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
    #[error(
        "unknown column `{name}`: expected key, value, topic, partition, offset, timestamp, timestamp_type or headers"
    )]
    Unknown {
        /// The name given.
        name: String,
    },
    /// The column was named before.
    #[error("column `{name}` is named twice")]
    Twice {
        /// Its name.
        name: &'static str,
    },
}

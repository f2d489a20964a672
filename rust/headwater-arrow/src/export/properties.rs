//! How the Parquet files are encoded.

use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use super::{ExportError, ExportOptions};
use crate::{Column, PartitionScan, Projection};

/// Version of what the file's own metadata says; raised when its meaning changes.
const METADATA_VERSION: &str = "1";

/// Properties of one partition's file.
///
/// Statistics only where readers filter: offset, timestamp and typed columns. The first two grow nearly steadily, so they are stored as
/// deltas. Values hardly repeat: looking for a dictionary would be work for nothing. Everything else is the
/// writer's default, for the sake of older readers.
pub(super) fn writer_properties(
    scan: &PartitionScan,
    projection: &Projection,
    options: &ExportOptions,
) -> Result<WriterProperties, ExportError> {
    let level = options.zstd_level;
    let level = ZstdLevel::try_new(level).map_err(|_| ExportError::BadLevel { level })?;
    let mut builder = WriterProperties::builder()
        .set_created_by(concat!("headwater version ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_row_count(Some(options.row_group_rows.max(1)))
        .set_max_row_group_bytes(Some(options.row_group_bytes.max(1)))
        .set_statistics_enabled(EnabledStatistics::None)
        .set_key_value_metadata(Some(metadata(scan)));
    for column in [Column::Offset, Column::Timestamp] {
        let path = ColumnPath::from(column.name());
        builder = builder
            .set_column_statistics_enabled(path.clone(), EnabledStatistics::Page)
            .set_column_dictionary_enabled(path.clone(), false)
            .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED);
    }
    for name in projection.typed_names() {
        builder = builder.set_column_statistics_enabled(ColumnPath::from(name), EnabledStatistics::Chunk);
    }
    let value = ColumnPath::from(Column::Value.name());
    Ok(builder.set_column_dictionary_enabled(value, false).build())
}

fn metadata(scan: &PartitionScan) -> Vec<KeyValue> {
    let range = scan.range();
    [
        ("headwater.version", METADATA_VERSION.to_owned()),
        ("headwater.topic", scan.topic().to_owned()),
        ("headwater.partition", scan.partition().to_string()),
        ("headwater.offset.start", range.start.to_string()),
        ("headwater.offset.end", range.end.to_string()),
    ]
    .into_iter()
    .map(|(key, value)| KeyValue::new(key.to_owned(), value))
    .collect()
}

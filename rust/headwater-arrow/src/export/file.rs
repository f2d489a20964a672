//! One Parquet file on the environment's disk.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use headwater_env::{Disk, DiskFile, OpenMode};
use parquet::arrow::ArrowWriter;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use super::ExportError;

/// Bytes that are gathered before a write.
const BUFFER_SIZE: usize = 1 << 20;

/// A Parquet file being written.
pub(super) struct PartitionFile<D: Disk> {
    path: PathBuf,
    writer: ArrowWriter<AppendFile<D::File>>,
}

impl<D: Disk> PartitionFile<D> {
    pub(super) fn create(
        disk: &D,
        path: &Path,
        schema: &SchemaRef,
        properties: WriterProperties,
    ) -> Result<PartitionFile<D>, ExportError> {
        let file = disk.open(path, OpenMode::CreateNew).map_err(|error| ExportError::write(path, error))?;
        let file = AppendFile { file, position: 0, buffer: Vec::with_capacity(BUFFER_SIZE) };
        let writer = ArrowWriter::try_new(file, schema.clone(), Some(properties))
            .map_err(|error| failed(path, error))?;
        Ok(PartitionFile { path: path.to_owned(), writer })
    }

    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<(), ExportError> {
        self.writer.write(batch).map_err(|error| failed(&self.path, error))
    }

    /// Writes the footer and waits until all of it is on stable storage. Returns the file's size in bytes.
    pub(super) fn finish(self) -> Result<u64, ExportError> {
        let PartitionFile { path, writer } = self;
        let mut file = writer.into_inner().map_err(|error| failed(&path, error))?;
        file.flush().and_then(|()| file.file.sync()).map_err(|error| ExportError::write(&path, error))?;
        Ok(file.position)
    }
}

/// A full disk is a matter of writing, not of Parquet.
fn failed(path: &Path, error: ParquetError) -> ExportError {
    match error {
        ParquetError::External(inner) => match inner.downcast::<io::Error>() {
            Ok(error) => ExportError::write(path, *error),
            Err(inner) => {
                ExportError::Parquet { path: path.to_owned(), source: ParquetError::External(inner) }
            }
        },
        source => ExportError::Parquet { path: path.to_owned(), source },
    }
}

/// Appends to a file of the environment's disk.
struct AppendFile<F: DiskFile> {
    file: F,
    position: u64,
    buffer: Vec<u8>,
}

impl<F: DiskFile> AppendFile<F> {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, self.position)?;
        self.position += bytes.len() as u64;
        Ok(())
    }
}

impl<F: DiskFile> Write for AppendFile<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.buffer.len() + bytes.len() > BUFFER_SIZE {
            self.flush()?;
        }
        if bytes.len() >= BUFFER_SIZE {
            self.append(bytes)?;
        } else {
            self.buffer.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let buffer = std::mem::take(&mut self.buffer);
        let written = self.append(&buffer);
        self.buffer = buffer;
        self.buffer.clear();
        written
    }
}

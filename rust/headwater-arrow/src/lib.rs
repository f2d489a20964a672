//! Record batches to Arrow, and retained segments to Parquet

//! Kafka record batches (format 2): view, builder, validation, compression, CRC-32C

//! Kafka protocol messages of every supported version, and their frames

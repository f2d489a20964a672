//! Native producer, consumer and admin for any cluster that speaks the Kafka protocol

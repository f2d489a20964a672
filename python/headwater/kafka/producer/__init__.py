"""Sending records."""

from headwater.kafka.producer.kafka import KafkaProducer

__all__ = ["KafkaProducer"]

"""Reading records."""

from headwater.kafka.consumer.group import KafkaConsumer

__all__ = ["KafkaConsumer"]

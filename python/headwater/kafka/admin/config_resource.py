"""Where kafka-python 2 keeps `ConfigResource`."""

from headwater.kafka.admin.configs import ConfigResource, ConfigResourceType

__all__ = ["ConfigResource", "ConfigResourceType"]

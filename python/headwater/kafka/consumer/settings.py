"""The arguments of `KafkaConsumer`, and what they are to Headwater's consumer."""

from __future__ import annotations

from typing import Any

from headwater import __version__
from headwater.kafka.coordinator.assignors.abstract import RebalanceProtocol, strategies
from headwater.kafka.coordinator.assignors.range import RangePartitionAssignor
from headwater.kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from headwater.kafka.enums import IsolationLevel, build_from
from headwater.kafka.errors import KafkaConfigurationError
from headwater.kafka.serializer import Deserializer, DeserializeWrapper
from headwater.kafka.settings import COMMON, passed_on

__all__ = ["DEFAULTS", "understood"]

DEFAULTS: dict[str, Any] = {
    **COMMON,
    "client_id": f"headwater-kafka-{__version__}",
    "client_rack": "",
    "group_id": None,
    "group_instance_id": None,
    "key_deserializer": None,
    "value_deserializer": None,
    "enable_incremental_fetch_sessions": True,
    "fetch_max_wait_ms": 500,
    "fetch_min_bytes": 1,
    "fetch_max_bytes": 52428800,
    "max_partition_fetch_bytes": 1024 * 1024,
    "auto_offset_reset": "latest",
    "enable_auto_commit": True,
    "auto_commit_interval_ms": 5000,
    "default_offset_commit_callback": lambda offsets, response: True,
    "check_crcs": True,
    "isolation_level": "read_uncommitted",
    "allow_auto_create_topics": True,
    "partition_assignment_strategy": (RangePartitionAssignor, RoundRobinPartitionAssignor),
    "max_poll_records": 500,
    "max_poll_interval_ms": 300000,
    "session_timeout_ms": 45000,
    "heartbeat_interval_ms": 3000,
    "consumer_timeout_ms": float("inf"),
    "ssl_ciphers": None,
    "metrics_enabled": True,
    "metric_group_prefix": "consumer",
    "exclude_internal_topics": True,
}
"""All arguments with their defaults. Without effect besides those of `COMMON`: enable_incremental_fetch_sessions."""

_PASSED_ON = (
    "allow_auto_create_topics",
    "auto_commit_interval_ms",
    "check_crcs",
    "client_rack",
    "exclude_internal_topics",
    "fetch_max_bytes",
    "fetch_max_wait_ms",
    "fetch_min_bytes",
    "group_instance_id",
    "heartbeat_interval_ms",
    "max_partition_fetch_bytes",
    "max_poll_interval_ms",
    "max_poll_records",
    "session_timeout_ms",
)
_RESETS = {"earliest": "earliest", "smallest": "earliest", "latest": "latest", "largest": "latest"}


def understood(config: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """Settings for Headwater's consumer, and whether everything is revoked before a rebalance.

    Callables in `config` become deserializers.

    Raises:
        KafkaConfigurationError: a value is impossible, or contradicts another one.
    """
    if not config["fetch_max_wait_ms"] < config["request_timeout_ms"] < config["connections_max_idle_ms"]:
        raise KafkaConfigurationError(
            f"connections_max_idle_ms ({config['connections_max_idle_ms']}) must be larger than request_timeout_ms "
            f"({config['request_timeout_ms']}), which must be larger than fetch_max_wait_ms "
            f"({config['fetch_max_wait_ms']})"
        )
    if config["group_instance_id"] is not None and config["group_id"] is None:
        raise KafkaConfigurationError("group_instance_id requires group_id")
    for name in ("key_deserializer", "value_deserializer"):
        if callable(config[name]) and not isinstance(config[name], Deserializer):
            config[name] = DeserializeWrapper(config[name])
    config["auto_offset_reset"] = _RESETS.get(config["auto_offset_reset"], config["auto_offset_reset"])
    try:
        isolation = build_from(IsolationLevel, config["isolation_level"])
    except ValueError as error:
        raise KafkaConfigurationError(str(error)) from error
    chosen = strategies(config["partition_assignment_strategy"])
    settings = {
        **passed_on(config, _PASSED_ON),
        # What kafka-python does not know means that there is no place to start.
        "auto_offset_reset": _RESETS.get(config["auto_offset_reset"], "none"),
        "default_api_timeout_ms": passed_on(config)["request_timeout_ms"],
        "enable_auto_commit": bool(config["enable_auto_commit"]) and config["group_id"] is not None,
        "isolation_level": isolation.name.lower(),
        "partition_assignment_strategy": [strategy.name for strategy in chosen],
    }
    return settings, chosen[0].protocol is RebalanceProtocol.EAGER

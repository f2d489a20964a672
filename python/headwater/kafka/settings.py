"""The arguments of kafka-python's classes: what they are here, and which of them promise more than is kept."""

from __future__ import annotations

import copy
import selectors
import socket
from collections.abc import Iterable, Mapping
from typing import Any

from headwater.kafka.errors import KafkaConfigurationError

__all__ = ["COMMON", "in_force", "passed_on", "refuse_promises", "seconds"]

COMMON: dict[str, Any] = {
    "bootstrap_servers": "localhost",
    "request_timeout_ms": 30000,
    "connections_max_idle_ms": 9 * 60 * 1000,
    "reconnect_backoff_ms": 50,
    "reconnect_backoff_max_ms": 30000,
    "max_in_flight_requests_per_connection": 5,
    "receive_message_max_bytes": 100_000_000,
    "receive_buffer_bytes": None,
    "send_buffer_bytes": None,
    "socket_options": [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
    "retry_backoff_ms": 100,
    "metadata_max_age_ms": 300000,
    "client_dns_lookup": "use_all_dns_ips",
    "security_protocol": "PLAINTEXT",
    "ssl_context": None,
    "ssl_check_hostname": True,
    "ssl_cafile": None,
    "ssl_certfile": None,
    "ssl_keyfile": None,
    "ssl_password": None,
    "ssl_crlfile": None,
    "api_version": None,
    "bootstrap_timeout_ms": 30000,
    "selector": selectors.DefaultSelector,
    "sasl_mechanism": None,
    "sasl_plain_username": None,
    "sasl_plain_password": None,
    "sasl_kerberos_name": None,
    "sasl_kerberos_service_name": "kafka",
    "sasl_kerberos_domain_name": None,
    "sasl_oauth_token_provider": None,
    "proxy_url": None,
    "socks5_proxy": None,
    "metric_reporters": [],
    "metrics_num_samples": 2,
    "metrics_sample_window_ms": 30000,
    "kafka_client": None,
}
"""Arguments of all three clients with their defaults.

Without effect, because Headwater's client does these things in its own way: api_version, selector, socket_options, the
buffer sizes, client_dns_lookup, receive_message_max_bytes, metrics_num_samples, metrics_sample_window_ms.
"""

# Silence about these would be a lie: somebody asks for encryption, a password, a proxy, or code of their own.
_PROMISES = {
    "security_protocol": "encrypted or authenticated connections",
    "proxy_url": "proxies",
    "socks5_proxy": "proxies",
    "kafka_client": "another network client",
    "metric_reporters": "metric reporters",
}

_COMMON_PASSED = (
    "client_id",
    "request_timeout_ms",
    "connections_max_idle_ms",
    "reconnect_backoff_ms",
    "reconnect_backoff_max_ms",
    "retry_backoff_ms",
    "metadata_max_age_ms",
)

_LARGEST = 2**31 - 1


def in_force(defaults: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The defaults with what was given over them."""
    return {**copy.copy(dict(defaults)), **given}


def refuse_promises(config: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
    """Refuses arguments that ask for what does not exist here.

    Raises:
        KafkaConfigurationError: names the argument.
    """
    for name, default in defaults.items():
        what = _PROMISES.get(name)
        if what is None and name.startswith(("ssl_", "sasl_")):
            what = "encrypted or authenticated connections"
        if what is not None and config[name] != default:
            raise KafkaConfigurationError(
                f"{name}={config[name]!r}: headwater.kafka has no {what} yet; leave {name} at {default!r}"
            )


def passed_on(config: Mapping[str, Any], names: Iterable[str] = ()) -> dict[str, Any]:
    """The settings among these that Headwater's own classes understand under the same name; None leaves a default."""
    chosen = {name: config[name] for name in (*_COMMON_PASSED, *names)}
    return {name: _whole(value) for name, value in chosen.items() if value is not None}


def seconds(timeout_ms: float | None) -> float | None:
    """A limit as Headwater's own calls take it; None leaves theirs."""
    return None if timeout_ms is None else max(0.0, min(timeout_ms, _LARGEST)) / 1000


def _whole(value: Any) -> Any:
    # kafka-python takes floats and infinity for milliseconds and counts.
    return int(min(value, _LARGEST)) if isinstance(value, float) else value

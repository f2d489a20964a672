"""Where a client connects, and whether somebody is there."""

from __future__ import annotations

from typing import Any

from headwater._headwater import Admin, Broker
from headwater.errors import HeadwaterError
from headwater.kafka.errors import KafkaConfigurationError, KafkaTimeoutError

__all__ = ["connected", "target_of"]

_PORT = 9092


def target_of(bootstrap_servers: Any) -> Broker | str:
    """A `headwater.Broker`, or `"host:port,…"` of a text or a list of texts; the port is 9092 where none is named."""
    if isinstance(bootstrap_servers, list | tuple) and len(bootstrap_servers) == 1:
        bootstrap_servers = bootstrap_servers[0]
    if isinstance(bootstrap_servers, Broker):
        return bootstrap_servers
    servers = bootstrap_servers.split(",") if isinstance(bootstrap_servers, str) else bootstrap_servers
    if not isinstance(servers, list | tuple | set) or not all(isinstance(server, str) for server in servers):
        raise KafkaConfigurationError(
            "bootstrap_servers expects 'host:port', a list of them, or a headwater.Broker, "
            f"got {type(bootstrap_servers).__name__}"
        )
    return ",".join(_with_port(server.strip()) for server in servers)


def _with_port(server: str) -> str:
    # kafka-python allows a protocol before the host.
    host = server.rpartition("://")[2]
    if host.startswith("["):
        return host if "]:" in host else f"{host}:{_PORT}"
    return host if host.count(":") == 1 else f"[{host}]:{_PORT}" if ":" in host else f"{host}:{_PORT}"


def connected(target: Broker | str, settings: dict[str, Any], timeout_ms: float) -> Admin:
    """An admin client that has seen the cluster.

    Raises:
        KafkaTimeoutError: no broker answered within `timeout_ms`.
    """
    limit = max(1, int(min(timeout_ms, 2**31 - 1)))
    admin = Admin(target, **settings)
    try:
        Admin(target, **{**settings, "default_api_timeout_ms": limit}).describe_cluster()
    except HeadwaterError as error:
        where = target if isinstance(target, str) else "the broker of this process"
        raise KafkaTimeoutError(f"no broker answered at {where} within {limit} ms: {error}") from error
    return admin

"""`KafkaAdminClient`, over `headwater.Admin`. What kafka-python can do and this cannot says so when it is called."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from typing_extensions import Self

from headwater import __version__
from headwater.kafka.admin.access import AccessAdmin
from headwater.kafka.admin.cluster import ClusterAdmin
from headwater.kafka.admin.configs import ConfigAdmin
from headwater.kafka.admin.older import OlderAdmin
from headwater.kafka.admin.partitions import PartitionAdmin
from headwater.kafka.admin.topics import TopicAdmin
from headwater.kafka.bootstrap import connected, target_of
from headwater.kafka.errors import KafkaConfigurationError
from headwater.kafka.settings import COMMON, in_force, passed_on, refuse_promises

__all__ = ["KafkaAdminClient"]


class KafkaAdminClient(TopicAdmin, PartitionAdmin, ConfigAdmin, OlderAdmin, ClusterAdmin, AccessAdmin):
    """Administers a cluster.

    Takes kafka-python's arguments by name, `DEFAULT_CONFIG` lists them; `bootstrap_servers` may also be a
    `headwater.Broker`.

    Raises:
        KafkaConfigurationError: an argument is unknown or asks for what does not exist here.
        KafkaTimeoutError: no broker answers within `bootstrap_timeout_ms`.
    """

    DEFAULT_CONFIG: dict[str, Any] = {**COMMON, "client_id": f"headwater-kafka-{__version__}"}  # noqa: RUF012

    def __init__(self, **configs: Any) -> None:
        if unknown := set(configs) - set(self.DEFAULT_CONFIG):
            raise KafkaConfigurationError(f"Unrecognized configs: {unknown}")
        self.config = in_force(self.DEFAULT_CONFIG, configs)
        refuse_promises(self.config, self.DEFAULT_CONFIG)
        self._target = target_of(self.config["bootstrap_servers"])
        settings = passed_on(self.config)
        self._settings = {**settings, "default_api_timeout_ms": settings["request_timeout_ms"]}
        self._admin = connected(self._target, self._settings, self.config["bootstrap_timeout_ms"])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends all connections."""
        self._admin.close()

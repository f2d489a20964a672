"""The cluster as a whole.

Absent: log directories, the metadata quorum, features, versions.
"""

from __future__ import annotations

from typing import Any, NoReturn

from headwater.kafka.absent import absent
from headwater.kafka.admin.base import AdminBase

__all__ = ["ClusterAdmin"]


class ClusterAdmin(AdminBase):
    """The calls about the cluster."""

    def describe_cluster(self) -> dict[str, Any]:
        """`cluster_id`, `controller_id`, and `brokers` with `broker_id`, `host`, `port` and `rack`."""
        cluster = self._kafka(self._admin.describe_cluster)
        brokers = [
            {"broker_id": node.id, "host": node.host, "port": node.port, "rack": node.rack} for node in cluster.nodes
        ]
        return {"cluster_id": cluster.cluster_id, "controller_id": cluster.controller_id, "brokers": brokers}

    def describe_log_dirs(self, topic_partitions: Any = None, brokers: Any = None) -> NoReturn:
        """Not available."""
        absent("describe_log_dirs")

    def alter_replica_log_dirs(self, replica_assignments: Any) -> NoReturn:
        """Not available."""
        absent("alter_replica_log_dirs")

    def describe_metadata_quorum(self) -> NoReturn:
        """Not available."""
        absent("describe_metadata_quorum")

    def describe_features(self, send_request_to_controller: bool = False) -> NoReturn:
        """Not available."""
        absent("describe_features")

    def update_features(self, feature_updates: Any, validate_only: bool = False, timeout_ms: int = 60000) -> NoReturn:
        """Not available."""
        absent("update_features")

    def get_broker_version_data(self, broker_id: int) -> NoReturn:
        """Not available."""
        absent("get_broker_version_data")

    def api_versions(self) -> NoReturn:
        """Not available."""
        absent("api_versions")

    def list_config_resources(self, resource_types: Any = None) -> NoReturn:
        """Not available."""
        absent("list_config_resources", "use list_topics and describe_cluster")

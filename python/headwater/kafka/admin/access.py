"""Users, permissions and transactions: none of kafka-python's calls about them exists here, and each says so."""

from __future__ import annotations

from typing import Any, NoReturn

from headwater.kafka.absent import absent
from headwater.kafka.admin.base import AdminBase

__all__ = ["AccessAdmin"]


class AccessAdmin(AdminBase):
    """The calls that exist by name alone."""

    def describe_acls(self, acl_filter: Any) -> NoReturn:
        """Not available."""
        absent("describe_acls")

    def create_acls(self, acls: Any) -> NoReturn:
        """Not available."""
        absent("create_acls")

    def delete_acls(self, acl_filters: Any) -> NoReturn:
        """Not available."""
        absent("delete_acls")

    def alter_user_scram_credentials(self, alterations: Any) -> NoReturn:
        """Not available."""
        absent("alter_user_scram_credentials")

    def describe_user_scram_credentials(self, users: Any = None) -> NoReturn:
        """Not available."""
        absent("describe_user_scram_credentials")

    def list_transactions(
        self,
        broker_ids: Any = None,
        producer_id_filters: Any = None,
        state_filters: Any = None,
        duration_filter_ms: Any = None,
        transactional_id_pattern: Any = None,
    ) -> NoReturn:
        """Not available."""
        absent("list_transactions")

    def describe_transactions(self, transactional_ids: Any) -> NoReturn:
        """Not available."""
        absent("describe_transactions")

    def describe_producers(self, partitions: Any, broker_id: Any = None) -> NoReturn:
        """Not available."""
        absent("describe_producers")

    def abort_transaction(self, spec: Any) -> NoReturn:
        """Not available."""
        absent("abort_transaction")

    def find_hanging_transactions(self, broker_ids: Any = None, max_transaction_timeout_ms: int = 900000) -> NoReturn:
        """Not available."""
        absent("find_hanging_transactions")

"""The error that all refusals of permission are."""

from __future__ import annotations

from headwater.kafka.errors.base import BrokerResponseError

__all__ = ["AuthorizationError"]


class AuthorizationError(BrokerResponseError):
    """The client is not allowed to do this."""

"""Who may do what: what brokers answer, by Kafka's numbers."""

from __future__ import annotations

from headwater.kafka.errors.base import BrokerResponseError
from headwater.kafka.errors.refused import AuthorizationError

__all__ = [
    "ClusterAuthorizationFailedError",
    "DelegationTokenAuthDisabledError",
    "DelegationTokenAuthorizationFailedError",
    "DelegationTokenExpiredError",
    "DelegationTokenNotFoundError",
    "DelegationTokenOwnerMismatchError",
    "DelegationTokenRequestNotAllowedError",
    "DuplicateResourceError",
    "IllegalSaslStateError",
    "ResourceNotFoundError",
    "SaslAuthenticationFailedError",
    "SecurityDisabledError",
    "TopicAuthorizationFailedError",
    "UnacceptableCredentialError",
    "UnsupportedSaslMechanismError",
]


class TopicAuthorizationFailedError(AuthorizationError):
    """Not authorized for the topic."""

    errno = 29
    message = "TOPIC_AUTHORIZATION_FAILED"


class ClusterAuthorizationFailedError(AuthorizationError):
    """Not authorized for the cluster."""

    errno = 31
    message = "CLUSTER_AUTHORIZATION_FAILED"


class UnsupportedSaslMechanismError(BrokerResponseError):
    """The broker does not offer this SASL mechanism."""

    errno = 33
    message = "UNSUPPORTED_SASL_MECHANISM"


class IllegalSaslStateError(BrokerResponseError):
    """The request does not fit the state of the authentication."""

    errno = 34
    message = "ILLEGAL_SASL_STATE"


class SecurityDisabledError(BrokerResponseError):
    """Security is not switched on."""

    errno = 54
    message = "SECURITY_DISABLED"


class SaslAuthenticationFailedError(BrokerResponseError):
    """Authentication failed."""

    errno = 58
    message = "SASL_AUTHENTICATION_FAILED"


class DelegationTokenAuthDisabledError(BrokerResponseError):
    """Delegation tokens are not switched on."""

    errno = 61
    message = "DELEGATION_TOKEN_AUTH_DISABLED"


class DelegationTokenNotFoundError(BrokerResponseError):
    """There is no such delegation token."""

    errno = 62
    message = "DELEGATION_TOKEN_NOT_FOUND"


class DelegationTokenOwnerMismatchError(BrokerResponseError):
    """The principal neither owns nor renews the delegation token."""

    errno = 63
    message = "DELEGATION_TOKEN_OWNER_MISMATCH"


class DelegationTokenRequestNotAllowedError(BrokerResponseError):
    """Delegation tokens cannot be managed over this kind of connection."""

    errno = 64
    message = "DELEGATION_TOKEN_REQUEST_NOT_ALLOWED"


class DelegationTokenAuthorizationFailedError(AuthorizationError):
    """Not authorized for the delegation token."""

    errno = 65
    message = "DELEGATION_TOKEN_AUTHORIZATION_FAILED"


class DelegationTokenExpiredError(BrokerResponseError):
    """The delegation token has expired."""

    errno = 66
    message = "DELEGATION_TOKEN_EXPIRED"


class ResourceNotFoundError(BrokerResponseError):
    """There is no such resource."""

    errno = 91
    message = "RESOURCE_NOT_FOUND"


class DuplicateResourceError(BrokerResponseError):
    """The resource exists already or is named twice."""

    errno = 92
    message = "DUPLICATE_RESOURCE"


class UnacceptableCredentialError(BrokerResponseError):
    """The credential does not meet the requirements."""

    errno = 93
    message = "UNACCEPTABLE_CREDENTIAL"

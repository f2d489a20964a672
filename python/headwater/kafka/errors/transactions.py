"""Idempotent producers and transactions: what brokers answer, by Kafka's numbers."""

from __future__ import annotations

from headwater.kafka.errors.base import BrokerResponseError, RetriableError
from headwater.kafka.errors.refused import AuthorizationError

__all__ = [
    "ConcurrentTransactionsError",
    "DuplicateSequenceNumberError",
    "InvalidPrincipalTypeError",
    "InvalidProducerEpochError",
    "InvalidProducerIdMappingError",
    "InvalidTransactionTimeoutError",
    "InvalidTxnStateError",
    "OutOfOrderSequenceNumberError",
    "PrincipalDeserializationFailureError",
    "ProducerFencedError",
    "TransactionAbortableError",
    "TransactionCoordinatorFencedError",
    "TransactionalIdAuthorizationFailedError",
    "TransactionalIdNotFoundError",
    "UnknownProducerIdError",
]


class OutOfOrderSequenceNumberError(BrokerResponseError):
    """The batch does not follow the producer's last one."""

    errno = 45
    message = "OUT_OF_ORDER_SEQUENCE_NUMBER"


class DuplicateSequenceNumberError(BrokerResponseError):
    """The batch was already written."""

    errno = 46
    message = "DUPLICATE_SEQUENCE_NUMBER"


class InvalidProducerEpochError(BrokerResponseError):
    """The producer's epoch is older than the current one."""

    errno = 47
    message = "INVALID_PRODUCER_EPOCH"


class InvalidTxnStateError(BrokerResponseError):
    """The transaction's state does not allow this."""

    errno = 48
    message = "INVALID_TXN_STATE"


class InvalidProducerIdMappingError(BrokerResponseError):
    """The producer id is not the one of the transactional id."""

    errno = 49
    message = "INVALID_PRODUCER_ID_MAPPING"


class InvalidTransactionTimeoutError(BrokerResponseError):
    """The transaction timeout is above what the broker allows."""

    errno = 50
    message = "INVALID_TRANSACTION_TIMEOUT"


class ConcurrentTransactionsError(RetriableError, BrokerResponseError):
    """The producer's previous transaction is not completed yet."""

    errno = 51
    message = "CONCURRENT_TRANSACTIONS"


class TransactionCoordinatorFencedError(BrokerResponseError):
    """A newer transaction coordinator has taken over."""

    errno = 52
    message = "TRANSACTION_COORDINATOR_FENCED"


class TransactionalIdAuthorizationFailedError(AuthorizationError):
    """Not authorized for the transactional id."""

    errno = 53
    message = "TRANSACTIONAL_ID_AUTHORIZATION_FAILED"


class UnknownProducerIdError(BrokerResponseError):
    """Nothing is known of this producer any more."""

    errno = 59
    message = "UNKNOWN_PRODUCER_ID"


class InvalidPrincipalTypeError(BrokerResponseError):
    """The kind of principal is not supported."""

    errno = 67
    message = "INVALID_PRINCIPAL_TYPE"


class ProducerFencedError(BrokerResponseError):
    """A newer producer with the same transactional id has taken over."""

    errno = 90
    message = "PRODUCER_FENCED"


class PrincipalDeserializationFailureError(BrokerResponseError):
    """The forwarded principal could not be read."""

    errno = 97
    message = "PRINCIPAL_DESERIALIZATION_FAILURE"


class TransactionalIdNotFoundError(BrokerResponseError):
    """There is no such transactional id."""

    errno = 105
    message = "TRANSACTIONAL_ID_NOT_FOUND"


class TransactionAbortableError(BrokerResponseError):
    """The transaction can only be aborted."""

    errno = 120
    message = "TRANSACTION_ABORTABLE"

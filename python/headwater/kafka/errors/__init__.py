"""Errors with the names, the numbers and the family of kafka-python's."""

from headwater.kafka.errors.base import *  # noqa: F403
from headwater.kafka.errors.cluster import *  # noqa: F403
from headwater.kafka.errors.codes import for_code as for_code
from headwater.kafka.errors.codes import kafka_errors as kafka_errors
from headwater.kafka.errors.groups import *  # noqa: F403
from headwater.kafka.errors.refused import *  # noqa: F403
from headwater.kafka.errors.security import *  # noqa: F403
from headwater.kafka.errors.topics import *  # noqa: F403
from headwater.kafka.errors.transactions import *  # noqa: F403

"""Runs the examples with kafka-python, in a process of its own: `python -m mirror HOST:PORT`.

It leaves sockets and threads behind, and both would be found in tests of others. Each result goes to standard output as
soon as it is there: a pickled pair of name and outcome, the outcome being `("value", …)` or `("error", traceback)`.
"""

from __future__ import annotations

import os
import pickle
import sys
import traceback
import warnings
from typing import Any

import kafka

import mirror


def patient(original: Any) -> Any:
    """kafka-python's consumer that joins a group before it has heard of the topics' partitions now and then shares
    nothing, and leaves it at that: it must hear of them first, and ask again soon."""

    def init(self: Any, *topics: str, **configs: Any) -> None:
        original(self, **{"metadata_max_age_ms": 500, **configs})
        for topic in topics:
            self.partitions_for_topic(topic)
        if topics:
            self.subscribe(topics)

    return init


def main(bootstrap: str) -> None:
    """Runs all examples in order."""
    warnings.simplefilter("ignore")
    kafka.KafkaConsumer.__init__ = patient(kafka.KafkaConsumer.__init__)
    for name, run in mirror.load().items():
        try:
            outcome: tuple[str, Any] = ("value", mirror.plain(run(kafka, bootstrap)))
            said = pickle.dumps((name, outcome))
        except BaseException:
            said = pickle.dumps((name, ("error", traceback.format_exc())))
        sys.stdout.buffer.write(said)
        sys.stdout.buffer.flush()


main(sys.argv[1])
# Not the ordinary way out: threads of clients whose making failed would be waited for.
os._exit(0)

"""Apache Kafka's own dump tool reads our segments, indexes and producer snapshots without a complaint."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from clients import confluent, kafka_python
from event import CODECS, events
from kafka.admin import KafkaAdminClient, NewTopic
from server import Server

KAFKA = Path(__file__).parents[1] / "kafka" / "kafka.sh"
COUNT = 20_000
COMPLAINT = re.compile(r"isvalid: false|corrupt|mismatch|exception|error|could not|not found|invalid", re.IGNORECASE)


def dump(*arguments: str) -> str:
    done = subprocess.run(
        [str(KAFKA), "run", "org.apache.kafka.tools.DumpLogSegments", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    return said


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with several segments, every codec, idempotent producers, a group; its server is stopped."""
    data = tmp_path_factory.mktemp("dump") / "data"
    with Server(data) as server:
        admin = KafkaAdminClient(bootstrap_servers=server.bootstrap)
        config = {"retention.ms": "-1", "segment.bytes": str(1 << 20), "index.interval.bytes": "1024"}
        admin.create_topics([NewTopic("dumped", num_partitions=1, replication_factor=1, topic_configs=config)])
        admin.close()
        for codec in CODECS:
            confluent.produce(server.bootstrap, "dumped", events(COUNT), codec)
        seen = kafka_python.consume(server.bootstrap, ["dumped"], "readers", 5 * len(events(COUNT)), members=1)
        assert len(seen) == 5 * len(events(COUNT))
    return data


def files(data: Path, folder: str, pattern: str) -> str:
    found = sorted(data.glob(f"{folder}/{pattern}"))
    assert found, f"no {pattern} in {folder}"
    return ",".join(map(str, found))


def test_segments(data: Path) -> None:
    assert len(list(data.glob("dumped-0/*.log"))) > 1
    said = dump("--deep-iteration", "--files", files(data, "dumped-0", "*.log"))
    assert not COMPLAINT.search(said.replace("isvalid: true", "")), said[-3000:]
    assert said.count("| offset: ") == 5 * len(events(COUNT))


@pytest.mark.parametrize("pattern", ["*.index", "*.timeindex"])
def test_indexes(data: Path, pattern: str) -> None:
    said = dump("--verify-index-only", "--files", files(data, "dumped-0", pattern))
    assert not COMPLAINT.search(said), said[-3000:]
    said = dump("--files", files(data, "dumped-0", pattern))
    assert re.search(r"offset: [1-9]\d*", said), "the indexes are empty"


def test_producer_snapshots(data: Path) -> None:
    said = dump("--files", files(data, "dumped-0", "*.snapshot"))
    assert not COMPLAINT.search(said), said[-3000:]
    assert said.count("producerId: ") >= 1


def test_consumer_offsets(data: Path) -> None:
    logs = [p for p in sorted(data.glob("__consumer_offsets-*/*.log")) if p.stat().st_size > 0]
    assert logs
    said = dump("--offsets-decoder", "--files", ",".join(map(str, logs)))
    assert not COMPLAINT.search(said), said[-3000:]
    assert "readers" in said

"""A streaming query that is killed, its JVM with it, goes on as if nothing had been: every record once in the sink."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from spark_rows import TopicRow, place, spark_rows, write_events
from streams import Stream

SEED = random.SystemRandom().randrange(1 << 32)
KILLS = 2
SECONDS_MAX = 100

#: Reads batch after batch until it is killed; tells each batch when it is planned, and when it is in the sink.
QUERY = """\
    import sys
    from pathlib import Path
    from spark_session import local_session

    work, bootstrap, topic = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    spark = local_session(work / "spark", quick=True)
    # Small batches, so that there is much to be killed in.
    options = {"startingOffsets": "earliest", "includeHeaders": "true", "maxOffsetsPerTrigger": "12"}
    source = spark.readStream.format("headwater").option("kafka.bootstrap.servers", bootstrap)
    frame = source.option("subscribe", topic).options(**options).load()

    def write(batch, number):
        print("planned", number, flush=True)
        batch.write.mode("overwrite").parquet(str(work / "sink" / f"batch={number}"))
        print("written", number, flush=True)

    writer = frame.writeStream.foreachBatch(write).option("checkpointLocation", str(work / "checkpoint"))
    writer.start().awaitTermination()
"""


@pytest.mark.timeout(400)
def test_a_killed_query_goes_on_and_every_record_is_there_once(
    spark: SparkSession, bootstrap: str, topic: str, tmp_path: Path
) -> None:
    print(f"seed {SEED}")
    chance = random.Random(SEED)
    events = write_events(bootstrap, topic, range(120))
    stream = Stream(spark, tmp_path, {"kafka.bootstrap.servers": bootstrap, "subscribe": topic})
    for _ in range(KILLS):
        # Between the two a batch is half in the sink; after "written" it is there, but not in the commits.
        moment = f"{chance.choice(['planned', 'written'])} {len(stream.planned()) + chance.randrange(3)}"
        kill_at(moment, tmp_path, bootstrap, topic)
        events += write_events(bootstrap, topic, range(len(events), len(events) + 30))
    options = {"startingOffsets": "earliest", "includeHeaders": "true"}
    query = (
        stream.source(**options)
        .writeStream.foreachBatch(
            lambda batch, number: batch.write.mode("overwrite").parquet(str(stream.sink / f"batch={number}"))
        )
        .option("checkpointLocation", str(stream.checkpoint))
        .trigger(availableNow=True)
        .start()
    )
    assert query.awaitTermination(SECONDS_MAX)
    assert rows(stream) == sorted(events, key=place)


def rows(stream: Stream) -> list[TopicRow]:
    return spark_rows(stream.rows())


def kill_at(moment: str, work: Path, bootstrap: str, topic: str) -> None:
    """Runs the query until it says this, then kills it with its JVM and its workers."""
    path = os.pathsep.join([str(Path(__file__).parent), os.environ["PYTHONPATH"]])
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(QUERY), str(work), bootstrap, topic],
        env=os.environ | {"PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=(work / "query.log").open("a"),
        text=True,
        start_new_session=True,
    ) as query:
        try:
            assert query.stdout is not None
            assert moment in map(str.strip, query.stdout), f"the query ended before it said `{moment}`"
        finally:
            os.killpg(query.pid, signal.SIGKILL)

"""What goes wrong reaches the user as one sentence: unknown topics, a broker that is gone, a bare executor."""

from __future__ import annotations

import os
import pickle
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import headwater
import pytest
from pyspark import SparkContext, cloudpickle
from pyspark.errors import AnalysisException, PythonException, StreamingQueryException
from pyspark.sql import SparkSession
from pyspark_headwater import DefaultSource, check_workers
from pyspark_headwater.errors import MissingWheelError
from server import Server
from spark_rows import write_events
from streams import Stream

#: So that a test need not wait for the minute that a broker has to come back.
IMPATIENT = {"kafka.default.api.timeout.ms": "2000", "kafka.request.timeout.ms": "1000"}


@pytest.mark.every_spark
def test_unknown_topics_and_partitions(spark: SparkSession, bootstrap: str, topic: str, tmp_path: Path) -> None:
    source = spark.read.format("headwater").option("kafka.bootstrap.servers", bootstrap)
    with pytest.raises(AnalysisException) as error:
        source.option("subscribe", f"{topic},nowhere").load().count()
    assert f"option subscribe: topic nowhere does not exist on {bootstrap}" in str(error.value)
    assert "Traceback" not in str(error.value)
    with pytest.raises(StreamingQueryException, match="option subscribe: topic nowhere does not exist") as failed:
        Stream(spark, tmp_path, {"kafka.bootstrap.servers": bootstrap, "subscribe": "nowhere"}).run()
    assert "Traceback" not in str(failed.value)
    spark.sql("select 1").collect()


def test_an_assigned_partition_that_is_not_there(spark: SparkSession, bootstrap: str, topic: str) -> None:
    def read(**options: str) -> None:
        spark.read.format("headwater").option("kafka.bootstrap.servers", bootstrap).options(**options).load().count()

    with pytest.raises(AnalysisException, match=f"option assign: partition 7 of topic {topic} does not exist on"):
        read(assign=f'{{"{topic}": [0, 7]}}')
    with pytest.raises(
        AnalysisException, match=f"option startingOffsets must name every partition .* {topic}-1 is missing"
    ):
        read(subscribe=topic, startingOffsets=f'{{"{topic}": {{"0": 0}}}}')


@pytest.mark.every_spark
def test_wrong_options_are_named_when_the_frame_is_made(spark: SparkSession, bootstrap: str) -> None:
    source = spark.read.format("headwater").option("kafka.bootstrap.servers", bootstrap)
    with pytest.raises(AnalysisException, match="exactly one of the options subscribe, subscribePattern and assign"):
        source.load()
    with pytest.raises(AnalysisException, match="option startingofsets is unknown; did you mean startingOffsets"):
        source.option("subscribe", "t").option("startingOfsets", "earliest").load()


@pytest.mark.every_spark
def test_wrong_options_of_a_stream_are_named_when_it_starts(
    spark: SparkSession, bootstrap: str, topic: str, tmp_path: Path
) -> None:
    stream = Stream(
        spark, tmp_path, {"kafka.bootstrap.servers": bootstrap, "subscribe": topic, "endingOffsets": "latest"}
    )
    with pytest.raises(StreamingQueryException, match="option endingOffsets is for batch reads; a stream has no end"):
        stream.run()


def create_and_write(bootstrap: str, count: int) -> None:
    with headwater.Admin(bootstrap) as admin:
        admin.create_topic("gone", partitions=3, config={"retention.ms": "-1"})
    write_events(bootstrap, "gone", range(count))


def test_a_broker_that_is_gone_when_tasks_read(spark: SparkSession, own_server: Server) -> None:
    create_and_write(own_server.bootstrap, 3)
    source = spark.read.format("headwater").option("kafka.bootstrap.servers", own_server.bootstrap).options(**IMPATIENT)
    frame = source.option("subscribe", "gone").load()
    # Planned while the broker is there, read when it is not.
    assert frame.rdd.getNumPartitions() == 3
    own_server.kill()
    with pytest.raises(PythonException) as error:
        frame.collect()
    assert re.search("reading gone-[012] from offset 0 to 1: ", str(error.value))
    assert own_server.bootstrap in str(error.value)
    assert "Traceback" not in str(error.value)
    with pytest.raises(AnalysisException) as unplanned:
        source.load().count()
    assert f"cannot reach {own_server.bootstrap}" in str(unplanned.value)


def test_a_stream_outlives_a_restart_of_the_broker_but_not_its_end(
    spark: SparkSession, own_server: Server, tmp_path: Path
) -> None:
    create_and_write(own_server.bootstrap, 6)
    options = {"kafka.bootstrap.servers": own_server.bootstrap, "subscribe": "gone", "startingOffsets": "earliest"}
    stream = Stream(spark, tmp_path, options | IMPATIENT)
    counts: list[int] = []
    writer = stream.source().writeStream.foreachBatch(lambda frame, _: counts.append(frame.count()))
    query = writer.option("checkpointLocation", str(stream.checkpoint)).start()
    try:
        query.processAllAvailable()
        own_server.kill()
        own_server.start()
        write_events(own_server.bootstrap, "gone", range(6, 9))
        query.processAllAvailable()
        assert sum(counts) == 9
        own_server.kill()
        with pytest.raises(StreamingQueryException) as error:
            query.awaitTermination(60)
        assert own_server.bootstrap in str(error.value)
        assert "asking for the latest offsets" in str(error.value)
        assert "Traceback" not in str(error.value)
    finally:
        query.stop()


def test_the_driver_can_ask_what_the_workers_lack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SparkContext, "_active_spark_context", None)
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    check_workers()
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S "$@"\n')
    bare.chmod(0o755)
    monkeypatch.setenv("PYSPARK_PYTHON", str(bare))
    lacks = f"{bare}, which does not have headwater and pyspark_headwater: set PYSPARK_PYTHON to {sys.executable}"
    with pytest.raises(MissingWheelError, match=re.escape(lacks)):
        check_workers()
    monkeypatch.setenv("PYSPARK_PYTHON", "/nowhere/python")
    with pytest.raises(MissingWheelError, match="/nowhere/python, which is not there"):
        check_workers()


def test_an_interpreter_without_the_wheel_says_so(tmp_path: Path) -> None:
    """As an executor unpickles it: with Spark's own modules, and nothing of ours."""
    sent = tmp_path / "source.pickle"
    sent.write_bytes(cloudpickle.dumps(DefaultSource({"subscribe": "t"})))
    assert pickle.loads(sent.read_bytes()).options == {"subscribe": "t"}
    code = f"import pickle, sys; sys.modules['headwater'] = None; pickle.loads(open({str(sent)!r}, 'rb').read())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("RuntimeError: the Spark worker on ")
    assert f"runs {sys.executable}, which cannot import headwater" in last
    assert f"planned by {sys.executable}: install headwater-spark on every executor, or set PYSPARK_PYTHON" in last


@pytest.mark.timeout(330)
@pytest.mark.every_spark
def test_an_executor_without_the_wheel_says_so(bootstrap: str, topic: str, tmp_path: Path) -> None:
    """A session of its own, whose tasks, unlike the workers that plan, cannot import `headwater`."""
    write_events(bootstrap, topic, range(3))
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "headwater.py").write_text("raise ImportError('there is no headwater here')\n")
    python = tmp_path / "python"
    python.write_text(
        textwrap.dedent(
            f"""\
            #!/bin/sh
            case "$*" in *"pyspark.daemon pyspark.worker"*) export PYTHONPATH={broken}:$PYTHONPATH ;; esac
            exec {sys.executable} "$@"
            """
        )
    )
    python.chmod(0o755)
    query = tmp_path / "query.py"
    query.write_text(
        textwrap.dedent(
            f"""\
            import os
            from pathlib import Path
            from spark_session import local_session
            os.environ["PYSPARK_PYTHON"] = {str(python)!r}
            spark = local_session(Path({str(tmp_path)!r}), quick=True)
            source = spark.read.format("headwater").option("kafka.bootstrap.servers", {bootstrap!r})
            frame = source.option("subscribe", {topic!r}).load()
            try:
                frame.collect()
            except Exception as error:
                print(str(error))
            spark.stop()
            """
        )
    )
    path = os.pathsep.join([str(Path(__file__).parent), os.environ["PYTHONPATH"]])
    done = subprocess.run(
        [sys.executable, str(query)],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert "which cannot import headwater (there is no headwater here)" in done.stdout, done.stdout + done.stderr
    assert "install headwater-spark on every executor" in done.stdout
    assert "Traceback" not in done.stdout

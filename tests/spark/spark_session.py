"""A Spark of the repository's own: `local[2]`, its workers on this interpreter, both sources on the path.

Tests and benchmarks import this before they start Spark: workers inherit the environment of the JVM.
"""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

import pyspark
from pyspark.sql import SparkSession

REPOSITORY = Path(__file__).parents[2]
CONNECTOR = REPOSITORY / "spark-connector"
JARS = Path(os.environ.get("SPARK_CACHE", REPOSITORY / ".cache")) / "spark-jars"
# The same number as in pom.xml.
SPARK_SQL_KAFKA_VERSION = "4.2.0"
WITH_SPARK_SQL_KAFKA = pyspark.__version__ == SPARK_SQL_KAFKA_VERSION

# Options without two waits of spark-sql-kafka: each of its tasks ends in a fetch of what is not there yet, for half a
# second, and it asks four times, a second apart, for an offset that there is none of.
PROMPT = {"kafka.fetch.max.wait.ms": "10", "fetchOffset.retryIntervalMs": "1"}

# Spark starts its workers, and the process that looks for `pyspark_*` modules, with this variable of the driver.
sys.path.insert(0, str(CONNECTOR))
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(CONNECTOR), os.environ.get("PYTHONPATH")]))
os.environ["PYSPARK_PYTHON"] = sys.executable
os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"

# What runs a few times need not be compiled twice.
QUICK_JVM = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"


def local_session(work: Path, *, memory: str = "1g", quick: bool = False) -> SparkSession:
    """Starts Spark with its files below `work`, and with spark-sql-kafka where its jars fit this Spark.

    Args:
        quick: for tests, whose queries are small and many: the JVM and the workers start sooner, and are slower later.
    """
    builder = (
        SparkSession.builder.master("local[2]")
        .appName("headwater")
        .config("spark.driver.memory", memory)
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.warehouse.dir", str(work / "warehouse"))
        .config("spark.local.dir", str(work / "local"))
    )
    if quick:
        builder = builder.config("spark.driver.extraJavaOptions", QUICK_JVM)
        # A test may have chosen another one.
        if os.environ["PYSPARK_PYTHON"] == sys.executable:
            os.environ["PYSPARK_PYTHON"] = str(worker_python(work))
    if WITH_SPARK_SQL_KAFKA:
        jars = sorted(JARS.glob("*.jar"))
        assert jars, f"no jars in {JARS}: run `tests/spark/spark.sh fetch` first"
        builder = builder.config("spark.jars", ",".join(map(str, jars)))
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    return session


def worker_python(work: Path) -> Path:
    """This interpreter, for workers: they take pyspark from where the tests have it.

    Spark puts its pyspark.zip before all else on their path. A zip keeps no compiled modules, so that every worker
    would compile a hundred of them anew.
    """
    script = work / "python"
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text(
        f'#!/bin/sh\nexport PYTHONPATH="${{PYTHONPATH##*/pyspark.zip:}}"\nexec {shlex.quote(sys.executable)} "$@"\n'
    )
    script.chmod(0o755)
    return script

"""A Spark of the repository's own: `local[2]`, its workers on this interpreter, both sources on the path.

Tests and benchmarks import this before they start Spark: workers inherit the environment of the JVM.
"""

from __future__ import annotations

import os
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

# Spark starts its workers, and the process that looks for `pyspark_*` modules, with this variable of the driver.
sys.path.insert(0, str(CONNECTOR))
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(CONNECTOR), os.environ.get("PYTHONPATH")]))
os.environ["PYSPARK_PYTHON"] = sys.executable
os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"


def local_session(work: Path, *, memory: str = "1g") -> SparkSession:
    """Starts Spark with its files below `work`, and with spark-sql-kafka where its jars fit this Spark."""
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
    if WITH_SPARK_SQL_KAFKA:
        jars = sorted(JARS.glob("*.jar"))
        assert jars, f"no jars in {JARS}: run `tests/spark/spark.sh fetch` first"
        builder = builder.config("spark.jars", ",".join(map(str, jars)))
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    return session

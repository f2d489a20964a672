"""The ground the other tests stand on: which Spark runs, and with which Python."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import headwater
import pyspark

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def test_the_jvm_and_the_module_are_of_one_version(spark: SparkSession) -> None:
    assert spark.version == pyspark.__version__


def test_workers_run_this_interpreter_and_find_the_wheel(spark: SparkSession) -> None:
    asked = ["__import__('sys').executable", "__import__('headwater').__file__"]
    # `eval` crosses by its name: a function of this file would be looked for in a module that workers cannot import.
    answers = spark.sparkContext.parallelize(asked, 2).map(eval).collect()
    assert answers == [sys.executable, headwater.__file__]

"""Headwater as a data source of Spark: `spark.read.format("headwater")`.

Spark imports every installed module whose name begins with `pyspark_` and registers its `DefaultSource`, so nothing
needs to be imported or registered by hand. The import is light and needs neither a broker nor the `headwater` wheel: a
failure here would take all Python data sources of the session down with it.
"""

from pyspark_headwater.source import DefaultSource
from pyspark_headwater.workers import check_workers

__all__ = ["DefaultSource", "check_workers"]

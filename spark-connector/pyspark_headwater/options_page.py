"""Writes docs/spark-options.md from the table of options.

`python -m pyspark_headwater.options_page > docs/spark-options.md`
"""

from __future__ import annotations

from collections.abc import Iterator

from pyspark_headwater.options import OPTIONS, Option, Relation, Use

__all__ = ["page"]

_INTRODUCTION = """\
# Options of the Spark source

`format("headwater")` takes the options of `format("kafka")`. The column *as there* says how each compares with
spark-sql-kafka: **same**, **different** (and how), **refused** (with an error that says what to do), or **ours**. Names
of options have no case. An option that is not in this table is an error, while spark-sql-kafka passes over a misspelt
one.

This page is made by `python -m pyspark_headwater.options_page`; a test keeps it so, and another walks the table with
both sources over one topic and compares the rows.
"""

_REST = """\
## Columns

Reading gives the columns of spark-sql-kafka, in its order and with its types: `key` and `value` binary, `topic` string,
`partition` int, `offset` bigint, `timestamp` timestamp, `timestampType` int, and `headers`
array<struct<key: string, value: binary>> with `includeHeaders`.

With `valueFormat=json` the fields of the value stand in the place of `value`. A field with the name of a column of the
record is called `value_<name>`. With `.schema("carrier string, delay long, offset long")` a DataFrame has just the
columns that are named: those with names of the record's columns are the record's, the others are fields of the value. A
value that is null (a tombstone) is a row of nulls.

Writing takes `value` (string or binary, required), `key` (string or binary), `topic` (string), `partition` (int) and
`headers`, and passes over other columns. With `valueFormat=json` a column `value` of any type is written as JSON, and
without it all other columns become one JSON object for each row.

## What else is different

- A batch write needs `.mode("append")`: the other mode that Spark has for a Python source, `overwrite`, is refused.
- A stream writes with `outputMode("append")` or `"complete"`: Spark refuses `"update"` for a Python sink. Write the
  batches of such a query with
  `foreachBatch(lambda rows, _: rows.write.format("headwater").mode("append").options(**options).save())`.
- In SQL a topic is a temporary view, `CREATE TEMPORARY VIEW … USING headwater OPTIONS (…)`. A table of the catalog is
  refused: Spark hands a Python source the options of a table when it is made and not when it is read.
- Spark plans a DataFrame of a Python source once: actions on the same DataFrame read the same offsets, also when
  records have come since. `load()` again to see them.
- Spark asks Python sources for all their columns, also where only some are used.
- Filters on `topic`, `partition` and `offset`, and lower limits of `timestamp`, become fewer partitions and shorter
  ranges where `spark.sql.python.filterPushdown.enabled` is true (Spark 4.1 and later; false by default).
- Offsets in a checkpoint look like those of spark-sql-kafka, but a query cannot change its source and keep its
  checkpoint. The end of the first batch also says where that batch began, under `(start)`.
- On a compacted topic `failOnDataLoss` can raise a false alarm: a gap that compaction left looks like one of retention
  once the log begins after it.
- Before Spark 4.2 a run with `Trigger.AvailableNow` is one batch: all there is, or only that of a run that was killed.
- There is no continuous processing, and Spark's progress reports have no `metrics` of the source: how far a stream is
  behind is the difference between `latestOffset` and `endOffset` there.
- A topic that was deleted and made anew under a checkpoint is noticed while it is shorter than what was read before, as
  with spark-sql-kafka.
- A cluster that does not answer is given up after 15 s when a batch or the first micro-batch is planned, later and in
  tasks after a minute; `kafka.default.api.timeout.ms` sets both.

## What is read once, and what is written twice

The offsets of a batch are in the checkpoint before it is read, so a query that was killed at any moment repeats that
batch with the same records: into a sink that can be written twice without harm (files, tables by batch id) every record
goes exactly once.

Each writing task has an idempotent producer of its own, and ends when all of its records are acknowledged; what it
sends again after an error of the network is not doubled. A task that fails after it has sent records, and that Spark
then runs again (`spark.task.maxFailures`, speculation, a stage whose shuffle was lost, a batch of a stream repeated
after a kill), sends all of its records again: those of the first attempt stay. Where that matters, give records a key
by which a reader can tell.

## The interpreter of the workers

Spark plans and reads in Python workers, which it starts with the interpreter that `PYSPARK_PYTHON` names, by default
the first `python3` of the path: not always the one the notebook runs. If that one has no `headwater-spark`, Spark says
`DATA_SOURCE_NOT_FOUND`. Set it before the session is made:

```python
import os, sys

os.environ["PYSPARK_PYTHON"] = sys.executable
```

`pyspark_headwater.check_workers()` says which interpreter that is and what it lacks.

On a cluster, every executor needs the package as well. One without it fails its tasks with a sentence that names the
host, its interpreter and what is missing.
"""

_TITLES = {
    Use.READ: "reads",
    Use.BATCH: "batch reads",
    Use.STREAM: "streams",
    Use.WRITE: "writes",
    Use.READ | Use.WRITE: "all",
}


def page() -> str:
    """The whole page."""
    return "\n".join([_INTRODUCTION, *_table(), "", _REST]).rstrip() + "\n"


def _table() -> Iterator[str]:
    yield "| option | for | default | as there | meaning |"
    yield "|---|---|---|---|---|"
    for option in OPTIONS:
        cells = (_names(option), _TITLES[option.use], option.default, option.relation.value, _meaning(option))
        yield f"| {' | '.join(cells)} |"


def _names(option: Option) -> str:
    return ", ".join(f"`{name}`" for name in option.name.split(", "))


def _meaning(option: Option) -> str:
    note = f" **Here:** {option.note}" if option.note and option.relation is not Relation.OURS else option.note
    return f"{option.meaning}{note}".replace("|", "\\|")


if __name__ == "__main__":
    print(page(), end="")

"""docs/spark-options.md is the table of options, and every option in it is known to the source."""

from __future__ import annotations

from pathlib import Path

from pyspark_headwater.kafka_settings import CONSUMER, PRODUCER, REFUSED_IN_READS, REFUSED_IN_WRITES
from pyspark_headwater.options import OPTIONS, Relation
from pyspark_headwater.options_page import page

PAGE = Path(__file__).parents[2] / "docs" / "spark-options.md"


def test_the_page_is_made_from_the_table() -> None:
    assert PAGE.read_text() == page(), "run `python -m pyspark_headwater.options_page > docs/spark-options.md`"


def test_what_differs_says_how() -> None:
    assert [option.name for option in OPTIONS if option.relation in (Relation.DIFFERENT, Relation.REFUSED)] == [
        option.name for option in OPTIONS if option.note
    ]


def test_the_page_names_every_refused_setting() -> None:
    named = {name for option in OPTIONS if option.relation is Relation.REFUSED for name in option.name.split(", ")}
    assert named == {f"kafka.{name}" for name in {**REFUSED_IN_READS, **REFUSED_IN_WRITES}}
    assert not (CONSUMER | PRODUCER) & {name.removeprefix("kafka.") for name in named}

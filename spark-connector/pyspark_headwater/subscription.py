"""Which topics and partitions a query reads: `subscribe`, `subscribePattern` or `assign`, exactly one of them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from pyspark_headwater.errors import OptionError

__all__ = ["Assigned", "Pattern", "Subscription", "TopicPartition", "Topics", "subscription"]

#: A topic and the number of one of its partitions.
TopicPartition: TypeAlias = tuple[str, int]


@dataclass(frozen=True)
class Topics:
    """All partitions of these topics, also those that are added later."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class Pattern:
    """All partitions of the topics in whose names there is a match, also of those that are created later; never
    internal ones."""

    text: str
    regex: re.Pattern[str]


@dataclass(frozen=True)
class Assigned:
    """Exactly these partitions."""

    partitions: tuple[TopicPartition, ...]


Subscription: TypeAlias = Topics | Pattern | Assigned

_KINDS = ("subscribe", "subscribePattern", "assign")


def subscription(options: Mapping[str, str]) -> Subscription:
    """The one subscription among the options.

    Raises:
        OptionError: there is none or more than one, or it is malformed.
    """
    given = [kind for kind in _KINDS if kind in options]
    if len(given) != 1:
        found = " and ".join(given) or "none"
        raise OptionError(f"exactly one of the options subscribe, subscribePattern and assign is expected, got {found}")
    text = options[given[0]].strip()
    if given == ["subscribe"]:
        names = [name.strip() for name in text.split(",")]
        unique = tuple(dict.fromkeys(name for name in names if name))
        if not unique:
            raise OptionError(f'option subscribe expects topics separated by commas, got "{text}"')
        return Topics(unique)
    if given == ["subscribePattern"]:
        return Pattern(text, _java_regex(text))
    return Assigned(_assigned(text))


def _assigned(text: str) -> tuple[TopicPartition, ...]:
    expected = 'option assign expects {"topic": [0, 1]}, partitions by topic as JSON'
    try:
        topics = json.loads(text)
    except ValueError as error:
        raise OptionError(f'{expected}, got "{text}" ({error})') from None
    if not isinstance(topics, dict):
        raise OptionError(f'{expected}, got "{text}"')
    found = []
    for topic, partitions in topics.items():
        for partition in partitions if isinstance(partitions, list) else [None]:
            if type(partition) is not int or partition < 0:
                raise OptionError(f"{expected}; those of {topic} are {json.dumps(partitions)}")
            found.append((topic, partition))
    if not found:
        raise OptionError(f'{expected}, got "{text}" without any partition')
    return tuple(sorted(set(found)))


# POSIX classes that Java's \p{...} names, ASCII only as in Java. Other properties are not in Python's `re`.
_CLASSES = {
    "Lower": "a-z",
    "Upper": "A-Z",
    "ASCII": r"\x00-\x7f",
    "Alpha": "a-zA-Z",
    "Digit": "0-9",
    "Alnum": "a-zA-Z0-9",
    "Punct": r"!-/:-@\[-`{-~",
    "Graph": "!-~",
    "Print": " -~",
    "Blank": r" \t",
    "XDigit": "0-9a-fA-F",
    "Space": r" \t\n\x0b\f\r",
}
_TOKEN = re.compile(
    r"\\Q(?P<quoted>.*?)(?:\\E|$)|\\(?P<sign>[pP])\{(?:Is)?(?P<name>\w+)\}|(?P<end>\\[zZ])|(?P<escape>\\.)"
    r"|(?P<group>\(\?<(?=[A-Za-z]))|(?P<bracket>[\[\]])|(?P<both>&&)|.",
    re.DOTALL,
)


def _java_regex(text: str) -> re.Pattern[str]:
    """A regular expression of Java as one of Python.

    What names of topics need is the same in both. Translated are `\\Q…\\E`, `\\p{Alpha}` and its kin, the end of the
    input and named groups; refused are intersections and unions of character classes, which Python does not have.
    """
    if not text:
        raise OptionError("option subscribePattern expects a regular expression, got an empty one")
    parts, in_class = [], False
    for token in _TOKEN.finditer(text):
        found = token.group()
        if token["quoted"] is not None:
            found = re.escape(token["quoted"])
        elif token["name"]:
            found = _posix_class(text, token["sign"], token["name"], in_class)
        elif token["end"]:
            found = r"\Z"
        elif token["group"]:
            found = "(?P<"
        elif in_class and (token["both"] or found == "["):
            raise OptionError(
                f'option subscribePattern: "{text}" combines character classes, which only Java can; write one class'
            )
        elif token["bracket"]:
            in_class = found == "["
        parts.append(found)
    try:
        return re.compile("".join(parts))
    except re.error as error:
        raise OptionError(f'option subscribePattern: "{text}" is not a regular expression ({error})') from None


def _posix_class(text: str, sign: str, name: str, in_class: bool) -> str:
    letters = _CLASSES.get(name)
    if letters is None or (sign == "P" and in_class):
        raise OptionError(f'option subscribePattern: "{text}" uses \\{sign}{{{name}}}, which is not known here')
    if in_class:
        return letters
    return f"[^{letters}]" if sign == "P" else f"[{letters}]"

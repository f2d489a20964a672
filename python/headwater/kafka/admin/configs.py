"""Settings of topics, brokers and groups.

Absent: settings of loggers and of clients' metrics; changes that set everything back that they do not name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any, NamedTuple

from headwater._types import ConfigValue
from headwater.errors import HeadwaterError
from headwater.kafka.absent import absent
from headwater.kafka.admin.base import AdminBase
from headwater.kafka.enums import build_from
from headwater.kafka.errors.codes import translated

__all__ = [
    "AlterConfigOp",
    "ConfigAdmin",
    "ConfigFilterType",
    "ConfigResource",
    "ConfigResourceType",
    "ConfigSourceType",
    "ConfigType",
    "summary",
]


class AlterConfigOp(IntEnum):
    """What to do with a setting."""

    SET = 0
    DELETE = 1
    APPEND = 2
    SUBTRACT = 3


class ConfigFilterType(IntEnum):
    """Which settings are wanted."""

    ALL = 0
    DYNAMIC = 1
    MODIFIED = 2
    DEFAULT = 3
    STATIC = 4


class ConfigResourceType(IntEnum):
    """What has settings."""

    UNKNOWN = 0
    TOPIC = 2
    BROKER = 4
    BROKER_LOGGER = 8
    CLIENT_METRICS = 16
    GROUP = 32


class ConfigType(IntEnum):
    """The type of a setting."""

    UNKNOWN = 0
    BOOLEAN = 1
    STRING = 2
    INT = 3
    SHORT = 4
    LONG = 5
    DOUBLE = 6
    LIST = 7
    CLASS = 8
    PASSWORD = 9


class ConfigSourceType(IntEnum):
    """Where a setting's value comes from."""

    UNKNOWN = 0
    DYNAMIC_TOPIC_CONFIG = 1
    DYNAMIC_BROKER_CONFIG = 2
    DYNAMIC_DEFAULT_BROKER_CONFIG = 3
    STATIC_BROKER_CONFIG = 4
    DEFAULT_CONFIG = 5
    DYNAMIC_BROKER_LOGGER_CONFIG = 6
    DYNAMIC_CLIENT_METRICS_CONFIG = 7
    DYNAMIC_GROUP_CONFIG = 8

    def is_modified(self) -> bool:
        """Whether somebody changed this very thing."""
        return self.name not in ("DYNAMIC_DEFAULT_BROKER_CONFIG", "STATIC_BROKER_CONFIG", "DEFAULT_CONFIG")


class ConfigResource:
    """A thing with settings: which (`configs` as names) or what they shall be (`configs` as a dict)."""

    def __init__(self, resource_type: ConfigResourceType | str, name: str, configs: Any = None) -> None:
        if not isinstance(resource_type, ConfigResourceType):
            resource_type = ConfigResourceType[str(resource_type).upper()]
        self.resource_type = resource_type
        self.name = name
        self.configs = configs

    def __str__(self) -> str:
        return f"ConfigResource {self.name}={self.resource_type}"

    def __repr__(self) -> str:
        return f"ConfigResource({self.resource_type}, {self.name}, {self.configs})"


class ConfigAdmin(AdminBase):
    """The calls about settings."""

    def describe_configs(
        self,
        config_resources: Sequence[ConfigResource],
        include_synonyms: bool = False,
        config_filter: ConfigFilterType | str = "modified",
    ) -> dict[str, dict[str, dict[str, dict[str, Any]]]]:
        """Settings by resource type, resource name and setting name; by default those that were changed.

        Each has `value`, `config_source`, `read_only`, `is_sensitive`, `config_type`, `synonyms` (with
        `include_synonyms`) and `documentation`, which is None.

        Raises:
            UnknownTopicOrPartitionError, …: the first refusal, where kafka-python tells of no settings.
        """
        wanted = build_from(ConfigFilterType, config_filter)
        answer: dict[str, dict[str, dict[str, dict[str, Any]]]] = {}
        for resource in config_resources:
            values = self._config_values(resource)
            if resource.configs is not None:
                values = {name: value for name, value in values.items() if name in resource.configs}
            shown = {
                name: _described(value, include_synonyms) for name, value in values.items() if _is_wanted(value, wanted)
            }
            answer.setdefault(resource.resource_type.name.lower(), {})[resource.name] = shown
        return answer

    def alter_configs(
        self,
        config_resources: Sequence[ConfigResource],
        validate_only: bool = False,
        raise_on_unknown: bool = True,
        incremental: bool | None = None,
    ) -> dict[str, dict[str, str]]:
        """Changes single settings: `{name: value}` or `{name: (AlterConfigOp, value)}`.

        What is not named stays as it is, also with `incremental=False`, which allows `AlterConfigOp.SET` alone.

        Returns `OK` or the error, by resource type and resource name.

        Raises:
            ValueError: a setting does not exist or cannot be changed, unless `raise_on_unknown=False`; an operation is
                not allowed.
        """
        changes = [_changes(resource) for resource in config_resources]
        if incremental is False:
            for change in changes:
                change.expect_only_set()
        return self._alter(config_resources, changes, validate_only, raise_on_unknown)

    def reset_configs(
        self,
        config_resources: Sequence[ConfigResource],
        validate_only: bool = False,
        raise_on_unknown: bool = True,
        incremental: bool | None = None,
    ) -> dict[str, dict[str, str]]:
        """Sets the named settings back to their defaults; without names, all that were changed."""
        changes: list[_Changes] = []
        for resource in config_resources:
            names = resource.configs or [
                name
                for name, value in self._config_values(resource).items()
                if _is_wanted(value, ConfigFilterType.MODIFIED)
            ]
            changes.append(_Changes(dict.fromkeys(names), {}, {}))
        return self._alter(config_resources, changes, validate_only, raise_on_unknown)

    def _alter(
        self,
        resources: Sequence[ConfigResource],
        changes: Sequence[_Changes],
        validate_only: bool,
        raise_on_unknown: bool,
    ) -> dict[str, dict[str, str]]:
        for resource, change in zip(resources, changes, strict=True):
            if raise_on_unknown:
                known = {name for name, value in self._config_values(resource).items() if not value.read_only}
                if unknown := change.names() - known:
                    raise ValueError(f"Unrecognized configs: {unknown}")
        answer: dict[str, dict[str, str]] = {}
        for resource, change in zip(resources, changes, strict=True):
            try:
                self._change(resource, change, validate_only)
                outcome = "OK"
            except HeadwaterError as error:
                outcome = str(translated(error))
            answer.setdefault(resource.resource_type.name.lower(), {})[resource.name] = outcome
        return answer

    def _change(self, resource: ConfigResource, change: _Changes, validate_only: bool) -> None:
        how: dict[str, Any] = {"append": change.append, "subtract": change.subtract, "validate_only": validate_only}
        match resource.resource_type:
            case ConfigResourceType.TOPIC:
                self._admin.alter_config(resource.name, change.new, **how)
            case ConfigResourceType.BROKER:
                self._admin.alter_broker_config(change.new, node=_node(resource), **how)
            case ConfigResourceType.GROUP:
                self._admin.alter_group_config(resource.name, change.new, **how)
            case other:
                absent(f"settings of a {other.name.lower()}")

    def _config_values(self, resource: ConfigResource) -> dict[str, ConfigValue]:
        match resource.resource_type:
            case ConfigResourceType.TOPIC:
                return self._kafka(self._admin.describe_config, resource.name)
            case ConfigResourceType.BROKER:
                return self._kafka(self._admin.describe_broker_config, _node(resource))
            case ConfigResourceType.GROUP:
                return self._kafka(self._admin.describe_group_config, resource.name)
            case other:
                absent(f"settings of a {other.name.lower()}")


class _Changes(NamedTuple):
    """New values (None: the default), what is added to lists, and what is taken from them."""

    new: dict[str, Any]
    append: dict[str, Any]
    subtract: dict[str, Any]

    def names(self) -> set[str]:
        """All settings that are named."""
        return {*self.new, *self.append, *self.subtract}

    def expect_only_set(self) -> None:
        """Refuses what the older request for changes cannot say."""
        deleted = [name for name, value in self.new.items() if value is None]
        for op, names in (("DELETE", deleted), ("APPEND", self.append), ("SUBTRACT", self.subtract)):
            if names:
                raise ValueError(f"incremental=False does not support operation {op} (SET only)")


def _node(resource: ConfigResource) -> int:
    try:
        return int(resource.name)
    except ValueError:
        raise ValueError(f"a broker is named by its node id, got {resource.name!r}") from None


def summary(value: ConfigValue) -> dict[str, Any]:
    """One setting as the answer to `create_topics` tells of it."""
    return {
        "value": value.value,
        "config_source": value.source,
        "read_only": value.read_only,
        "is_sensitive": value.sensitive,
    }


def _described(value: ConfigValue, with_synonyms: bool) -> dict[str, Any]:
    synonyms = value.synonyms if with_synonyms else []
    return summary(value) | {
        "synonyms": [{"name": name, "value": other, "source": source} for name, other, source in synonyms],
        "config_type": value.type,
        # It is never asked for.
        "documentation": None,
    }


def _is_wanted(value: ConfigValue, wanted: ConfigFilterType) -> bool:
    source = ConfigSourceType[value.source]
    return {
        ConfigFilterType.ALL: True,
        ConfigFilterType.DYNAMIC: not value.read_only,
        ConfigFilterType.MODIFIED: source.is_modified(),
        ConfigFilterType.DEFAULT: not source.is_modified(),
        ConfigFilterType.STATIC: source is ConfigSourceType.STATIC_BROKER_CONFIG,
    }[wanted]


def _changes(resource: ConfigResource) -> _Changes:
    if not isinstance(resource.configs, Mapping):
        raise TypeError(f"configs expects a dict of {{name: value}}, got {type(resource.configs).__name__}")
    changes = _Changes({}, {}, {})
    for name, change in resource.configs.items():
        op, value = change if isinstance(change, tuple) else (AlterConfigOp.SET, change)
        match build_from(AlterConfigOp, op):
            case AlterConfigOp.SET:
                changes.new[name] = value
            case AlterConfigOp.DELETE:
                changes.new[name] = None
            case AlterConfigOp.APPEND:
                changes.append[name] = value
            case AlterConfigOp.SUBTRACT:
                changes.subtract[name] = value
    return changes

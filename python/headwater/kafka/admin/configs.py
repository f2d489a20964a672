"""Settings of topics and brokers.

Absent: setting types, synonyms and documentation beyond what Headwater's admin client tells; changing settings of
brokers and groups; APPEND and SUBTRACT.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any

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
    "described",
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

        Each has `value`, `config_source`, `read_only` and `is_sensitive`.
        """
        if include_synonyms:
            absent("describe_configs(include_synonyms=True)")
        wanted = build_from(ConfigFilterType, config_filter)
        answer: dict[str, dict[str, dict[str, dict[str, Any]]]] = {}
        for resource in config_resources:
            values = self._config_values(resource)
            if resource.configs is not None:
                values = {name: value for name, value in values.items() if name in resource.configs}
            shown = {name: described(value) for name, value in values.items() if _is_wanted(value, wanted)}
            answer.setdefault(resource.resource_type.name.lower(), {})[resource.name] = shown
        return answer

    def alter_configs(
        self,
        config_resources: Sequence[ConfigResource],
        validate_only: bool = False,
        raise_on_unknown: bool = True,
        incremental: bool | None = None,
    ) -> dict[str, dict[str, str]]:
        """Changes single settings of topics: `{name: value}` or `{name: (AlterConfigOp, value)}`.

        Returns `OK` or the error, by resource type and resource name.

        Raises:
            ValueError: a setting does not exist or cannot be changed, unless `raise_on_unknown=False`.
        """
        if incremental is False:
            absent("alter_configs(incremental=False)", "leave incremental alone: what is not named stays as it is")
        changes = [_changes(resource) for resource in config_resources]
        return self._alter(config_resources, changes, validate_only, raise_on_unknown)

    def reset_configs(
        self,
        config_resources: Sequence[ConfigResource],
        validate_only: bool = False,
        raise_on_unknown: bool = True,
        incremental: bool | None = None,
    ) -> dict[str, dict[str, str]]:
        """Sets the named settings of topics back to their defaults; without names, all that were changed."""
        if incremental is False:
            absent("reset_configs(incremental=False)", "leave incremental alone: what is not named stays as it is")
        changes: list[Mapping[str, Any]] = []
        for resource in config_resources:
            names = resource.configs or [
                name
                for name, value in self._config_values(resource).items()
                if _is_wanted(value, ConfigFilterType.MODIFIED)
            ]
            changes.append(dict.fromkeys(names))
        return self._alter(config_resources, changes, validate_only, raise_on_unknown)

    def _alter(
        self,
        resources: Sequence[ConfigResource],
        changes: Sequence[Mapping[str, Any]],
        validate_only: bool,
        raise_on_unknown: bool,
    ) -> dict[str, dict[str, str]]:
        for resource, change in zip(resources, changes, strict=True):
            if resource.resource_type is not ConfigResourceType.TOPIC:
                absent(f"change of settings of a {resource.resource_type.name.lower()}", "only those of topics change")
            if raise_on_unknown:
                known = {name for name, value in self._config_values(resource).items() if not value.read_only}
                if unknown := set(change) - known:
                    raise ValueError(f"Unrecognized configs: {unknown}")
        answer: dict[str, str] = {}
        for resource, change in zip(resources, changes, strict=True):
            try:
                self._admin.alter_config(resource.name, change, validate_only=validate_only)
                answer[resource.name] = "OK"
            except HeadwaterError as error:
                answer[resource.name] = str(translated(error))
        return {"topic": answer}

    def _config_values(self, resource: ConfigResource) -> dict[str, ConfigValue]:
        if resource.resource_type is ConfigResourceType.TOPIC:
            return self._kafka(self._admin.describe_config, resource.name)
        if resource.resource_type is ConfigResourceType.BROKER:
            try:
                node = int(resource.name)
            except ValueError:
                raise ValueError(f"a broker is named by its node id, got {resource.name!r}") from None
            return self._kafka(self._admin.describe_broker_config, node)
        return absent(f"settings of a {resource.resource_type.name.lower()}")


def described(value: ConfigValue) -> dict[str, Any]:
    """One setting as a dict."""
    return {
        "value": value.value,
        "config_source": value.source,
        "read_only": value.read_only,
        "is_sensitive": value.sensitive,
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


def _changes(resource: ConfigResource) -> Mapping[str, Any]:
    if not isinstance(resource.configs, Mapping):
        raise TypeError(f"configs expects a dict of {{name: value}}, got {type(resource.configs).__name__}")
    changes: dict[str, Any] = {}
    for name, change in resource.configs.items():
        op, value = change if isinstance(change, tuple) else (AlterConfigOp.SET, change)
        op = build_from(AlterConfigOp, op)
        if op in (AlterConfigOp.APPEND, AlterConfigOp.SUBTRACT):
            absent(f"AlterConfigOp.{op.name}", f"set {name} to its whole value")
        changes[name] = None if op is AlterConfigOp.DELETE else value
    return changes

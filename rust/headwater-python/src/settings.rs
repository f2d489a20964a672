//! Settings of topics, brokers and groups: changes read, values made.

use crate::config::{pairs, text};
use crate::names::make;
use headwater_client::admin::{ConfigChange, ConfigEntry};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Changes as the three arguments of the `alter` calls give them: what is set (`None`: back to the default), what is added
/// to lists, and what is taken from them.
pub(crate) fn read_changes(
    set: Option<&Bound<'_, PyDict>>,
    append: Option<&Bound<'_, PyDict>>,
    subtract: Option<&Bound<'_, PyDict>>,
) -> PyResult<Vec<ConfigChange>> {
    let mut changes = Vec::new();
    for (key, value) in set.into_iter().flatten() {
        let key: String = key.extract()?;
        changes.push(if value.is_none() {
            ConfigChange::Delete(key)
        } else {
            let value = text(&key, &value)?;
            ConfigChange::Set(key, value)
        });
    }
    changes.extend(parts_of_lists(append, ConfigChange::Append)?);
    changes.extend(parts_of_lists(subtract, ConfigChange::Subtract)?);
    Ok(changes)
}

fn parts_of_lists(
    given: Option<&Bound<'_, PyDict>>,
    change: fn(String, String) -> ConfigChange,
) -> PyResult<Vec<ConfigChange>> {
    Ok(pairs(given)?.into_iter().map(|(key, parts)| change(key, parts)).collect())
}

/// `ConfigValue(…)`.
pub(crate) fn config_value(py: Python<'_>, entry: ConfigEntry) -> PyResult<Bound<'_, PyAny>> {
    let synonyms = entry
        .synonyms
        .into_iter()
        .map(|(name, value, source)| make(py, "ConfigSynonym", (name, value, source_name(source))))
        .collect::<PyResult<Vec<_>>>()?;
    let fields = (
        entry.value,
        source_name(entry.source),
        entry.read_only,
        entry.sensitive,
        entry.documentation,
        type_name(entry.config_type),
        synonyms,
    );
    make(py, "ConfigValue", fields)
}

/// Kafka's names of where a value comes from.
fn source_name(number: i8) -> &'static str {
    match number {
        1 => "DYNAMIC_TOPIC_CONFIG",
        2 => "DYNAMIC_BROKER_CONFIG",
        3 => "DYNAMIC_DEFAULT_BROKER_CONFIG",
        4 => "STATIC_BROKER_CONFIG",
        5 => "DEFAULT_CONFIG",
        6 => "DYNAMIC_BROKER_LOGGER_CONFIG",
        7 => "DYNAMIC_CLIENT_METRICS_CONFIG",
        8 => "DYNAMIC_GROUP_CONFIG",
        _ => "UNKNOWN",
    }
}

/// Kafka's names of the types of settings.
fn type_name(number: i8) -> &'static str {
    match number {
        1 => "BOOLEAN",
        2 => "STRING",
        3 => "INT",
        4 => "SHORT",
        5 => "LONG",
        6 => "DOUBLE",
        7 => "LIST",
        8 => "CLASS",
        9 => "PASSWORD",
        _ => "UNKNOWN",
    }
}

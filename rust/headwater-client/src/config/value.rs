//! How the text of one setting is read and shown.

use super::ConfigError;

/// Reads and shows values of one kind.
pub(crate) struct Value<T> {
    pub(crate) expects: &'static str,
    pub(crate) parse: fn(&str) -> Option<T>,
    pub(crate) show: fn(&T) -> String,
}

impl<T> Value<T> {
    pub(crate) fn read(&self, key: &str, value: &str) -> Result<T, ConfigError> {
        (self.parse)(value.trim()).ok_or_else(|| ConfigError::Invalid {
            key: key.to_owned(),
            expects: self.expects,
            value: value.to_owned(),
        })
    }
}

pub(crate) const MILLISECONDS: Value<u64> = Value {
    expects: "a number of milliseconds ≥ 0",
    parse: |text| text.parse().ok().filter(|ms| *ms <= i64::MAX as u64 / 2_000_000),
    show: u64::to_string,
};

pub(crate) const TIMEOUT: Value<u64> = Value {
    expects: "a number of milliseconds from 1 to 2147483647",
    parse: |text| text.parse().ok().filter(|ms| (1..=i32::MAX as u64).contains(ms)),
    show: u64::to_string,
};

pub(crate) const BYTES: Value<usize> = Value {
    expects: "a number of bytes from 0 to 2147483647",
    parse: |text| text.parse().ok().filter(|bytes| *bytes <= i32::MAX as usize),
    show: usize::to_string,
};

/// For budgets that never travel in a message and so may be larger than 2 GiB.
pub(crate) const BUDGET: Value<usize> = Value {
    expects: "a number of bytes ≥ 1",
    parse: |text| text.parse().ok().filter(|bytes| *bytes >= 1),
    show: usize::to_string,
};

pub(crate) const COUNT: Value<usize> = Value {
    expects: "a whole number from 1 to 2147483647",
    parse: |text| text.parse().ok().filter(|count| (1..=i32::MAX as usize).contains(count)),
    show: usize::to_string,
};

pub(crate) const RETRIES: Value<u32> = Value {
    expects: "a whole number from 0 to 2147483647",
    parse: |text| text.parse().ok().filter(|count| *count <= i32::MAX as u32),
    show: u32::to_string,
};

pub(crate) const FLAG: Value<bool> =
    Value { expects: "true or false", parse: parse_flag, show: bool::to_string };

pub(crate) const FLAG_IF_SET: Value<Option<bool>> = Value {
    expects: "true or false",
    parse: |text| parse_flag(text).map(Some),
    show: |flag| flag.map(|flag| flag.to_string()).unwrap_or_default(),
};

pub(crate) const TEXT: Value<String> =
    Value { expects: "text", parse: |text| Some(text.to_owned()), show: String::clone };

pub(crate) const TEXT_IF_SET: Value<Option<String>> = Value {
    expects: "text that is not empty",
    parse: |text| (!text.is_empty()).then(|| Some(text.to_owned())),
    show: |text| text.clone().unwrap_or_default(),
};

fn parse_flag(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") || text == "1" {
        return Some(true);
    }
    (text.eq_ignore_ascii_case("false") || text == "0").then_some(false)
}

//! What a config key is: its type, default, valid values, and the parsing of a value.
//!
//! Names, types, defaults and ranges are Kafka 4.3's, so that tools and habits carry over; the documentation
//! lines are ours. A key whose [`Effect`] is `Ignored` is accepted and listed because configuration files
//! and tools mention it, and changes nothing here.

use std::fmt::Write as _;

/// The type of a value, with the codes that DescribeConfigs uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i8)]
pub enum Kind {
    /// `true` or `false`.
    Boolean = 1,
    /// Any text.
    String = 2,
    /// 32 bits.
    Int = 3,
    /// 16 bits.
    Short = 4,
    /// 64 bits.
    Long = 5,
    /// A floating-point number.
    Double = 6,
    /// Text separated by commas.
    List = 7,
    /// A Java class in Kafka; text here.
    Class = 8,
    /// Never shown.
    Password = 9,
}

impl Kind {
    /// The word used in messages and on the reference page.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Boolean => "boolean",
            Kind::String => "string",
            Kind::Int => "int",
            Kind::Short => "short",
            Kind::Long => "long",
            Kind::Double => "double",
            Kind::List => "list",
            Kind::Class => "class",
            Kind::Password => "password",
        }
    }
}

/// Which values of a type are valid.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Valid {
    /// All.
    Any,
    /// Whole numbers from here on.
    AtLeast(i64),
    /// Whole numbers from the first to the second, both included.
    Between(i64, i64),
    /// Whole numbers in the range, or the one named third.
    BetweenOr(i64, i64, i64),
    /// Floating-point numbers from 0 to 1.
    Fraction,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// A list of these words.
    ListOf(&'static [&'static str]),
}

/// Whether a key does anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// The broker goes by it.
    Honoured,
    /// Known, validated and listed; nothing depends on it.
    Ignored,
}

/// Whether a broker key can change while the broker runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Update {
    /// Only in the configuration that the broker starts with.
    ReadOnly,
    /// By IncrementalAlterConfigs, for one broker or for all.
    Dynamic,
}

/// How a synonym's number becomes the number of the key it stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// As it is.
    Same,
    /// Minutes for milliseconds.
    Minutes,
    /// Hours for milliseconds.
    Hours,
}

impl Unit {
    /// The value in the unit of the key.
    pub fn convert(self, value: &str) -> String {
        let factor = match self {
            Unit::Same => return value.to_owned(),
            Unit::Minutes => 60_000,
            Unit::Hours => 3_600_000,
        };
        match value.parse::<i64>() {
            // A negative number means "no limit" in every unit.
            Ok(number) if number >= 0 => number.saturating_mul(factor).to_string(),
            _ => value.to_owned(),
        }
    }
}

/// A row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Kafka's name, or ours with the prefix `headwater.`.
    pub name: &'static str,
    /// The type of its values.
    pub kind: Kind,
    /// The default as text; `None` is Kafka's null.
    pub default: Option<&'static str>,
    /// The values that are accepted.
    pub valid: Valid,
    /// Other keys that say the same, with lower precedence, in order: broker keys for a topic key, other
    /// units for a broker key.
    pub synonyms: &'static [(&'static str, Unit)],
    /// Whether it can change at run time. Topic keys always can.
    pub update: Update,
    /// Whether it does anything.
    pub effect: Effect,
    /// What it means, in one or two sentences.
    pub doc: &'static str,
}

impl Key {
    const fn new(name: &'static str, kind: Kind, default: Option<&'static str>, doc: &'static str) -> Key {
        Key {
            name,
            kind,
            default,
            valid: Valid::Any,
            synonyms: &[],
            update: Update::ReadOnly,
            effect: Effect::Honoured,
            doc,
        }
    }

    /// A whole number of 32 bits.
    pub(super) const fn int(name: &'static str, default: &'static str, doc: &'static str) -> Key {
        Key::new(name, Kind::Int, Some(default), doc)
    }

    /// A whole number of 16 bits.
    pub(super) const fn short(name: &'static str, default: &'static str, doc: &'static str) -> Key {
        Key::new(name, Kind::Short, Some(default), doc)
    }

    /// A whole number of 64 bits.
    pub(super) const fn long(name: &'static str, default: &'static str, doc: &'static str) -> Key {
        Key::new(name, Kind::Long, Some(default), doc)
    }

    /// `true` or `false`.
    pub(super) const fn boolean(name: &'static str, default: &'static str, doc: &'static str) -> Key {
        Key::new(name, Kind::Boolean, Some(default), doc)
    }

    /// A floating-point number.
    pub(super) const fn double(name: &'static str, default: &'static str, doc: &'static str) -> Key {
        Key::new(name, Kind::Double, Some(default), doc)
    }

    /// Text.
    pub(super) const fn string(name: &'static str, default: &'static str, doc: &'static str) -> Key {
        Key::new(name, Kind::String, Some(default), doc)
    }

    /// Text separated by commas.
    pub(super) const fn list(name: &'static str, default: &'static str, doc: &'static str) -> Key {
        Key::new(name, Kind::List, Some(default), doc)
    }

    /// Without a default.
    pub(super) const fn null(mut self) -> Key {
        self.default = None;
        self
    }

    /// With only these values.
    pub(super) const fn valid(mut self, valid: Valid) -> Key {
        self.valid = valid;
        self
    }

    /// With whole numbers from `least` on.
    pub(super) const fn from(self, least: i64) -> Key {
        self.valid(Valid::AtLeast(least))
    }

    /// With one other key that says the same.
    pub(super) const fn like(mut self, synonyms: &'static [(&'static str, Unit)]) -> Key {
        self.synonyms = synonyms;
        self
    }

    /// Changeable at run time.
    pub(super) const fn dynamic(mut self) -> Key {
        self.update = Update::Dynamic;
        self
    }

    /// Listed, and without effect.
    pub(super) const fn ignored(mut self) -> Key {
        self.effect = Effect::Ignored;
        self
    }

    /// Whether the value must not be shown.
    pub fn is_sensitive(&self) -> bool {
        self.kind == Kind::Password
    }

    /// Checks `value` and returns it in its canonical form (trimmed, lists without blanks and repetitions).
    pub fn check(&self, value: &str) -> Result<String, ConfigError> {
        let trimmed = value.trim();
        let canonical = self.parse(trimmed).ok_or_else(|| self.refuse(value))?;
        if self.admits(&canonical) { Ok(canonical) } else { Err(self.refuse(value)) }
    }

    fn parse(&self, value: &str) -> Option<String> {
        match self.kind {
            Kind::Boolean => match value.to_ascii_lowercase().as_str() {
                "true" => Some("true".to_owned()),
                "false" => Some("false".to_owned()),
                _ => None,
            },
            Kind::Short => value.parse::<i16>().ok().map(|number| number.to_string()),
            Kind::Int => value.parse::<i32>().ok().map(|number| number.to_string()),
            Kind::Long => value.parse::<i64>().ok().map(|number| number.to_string()),
            Kind::Double => value.parse::<f64>().ok().filter(|n| n.is_finite()).map(|_| value.to_owned()),
            Kind::List => {
                let mut words: Vec<&str> = Vec::new();
                for word in elements(value) {
                    if !words.contains(&word) {
                        words.push(word);
                    }
                }
                Some(words.join(","))
            }
            Kind::String | Kind::Class | Kind::Password => Some(value.to_owned()),
        }
    }

    fn admits(&self, canonical: &str) -> bool {
        let number = || canonical.parse::<i64>().ok();
        match self.valid {
            Valid::Any => true,
            Valid::AtLeast(least) => number().is_some_and(|n| n >= least),
            Valid::Between(least, most) => number().is_some_and(|n| (least..=most).contains(&n)),
            Valid::BetweenOr(least, most, other) => {
                number().is_some_and(|n| n == other || (least..=most).contains(&n))
            }
            Valid::Fraction => canonical.parse::<f64>().is_ok_and(|n| (0.0..=1.0).contains(&n)),
            Valid::OneOf(words) => words.contains(&canonical),
            Valid::ListOf(words) => elements(canonical).all(|word| words.contains(&word)),
        }
    }

    fn refuse(&self, value: &str) -> ConfigError {
        ConfigError::Invalid {
            key: self.name.to_owned(),
            value: if self.is_sensitive() { "[hidden]".to_owned() } else { value.to_owned() },
            expected: self.expected(),
        }
    }

    /// What a value must be, in words: `a whole number of at least 1048576`.
    pub fn expected(&self) -> String {
        let mut text = match self.kind {
            Kind::Boolean => "true or false".to_owned(),
            Kind::Short | Kind::Int | Kind::Long => format!("a whole number ({})", self.kind.name()),
            Kind::Double => "a number".to_owned(),
            Kind::List => "a list separated by commas".to_owned(),
            Kind::String | Kind::Class | Kind::Password => "text".to_owned(),
        };
        // Writing to a String cannot fail.
        let _ = match self.valid {
            Valid::Any => Ok(()),
            Valid::AtLeast(least) => write!(text, " of at least {least}"),
            Valid::Between(least, most) => write!(text, " from {least} to {most}"),
            Valid::BetweenOr(least, most, other) => write!(text, " from {least} to {most}, or {other}"),
            Valid::Fraction => write!(text, " from 0 to 1"),
            Valid::OneOf(words) => write!(text, ", one of {}", words.join(", ")),
            Valid::ListOf(words) => write!(text, ", of {}", words.join(", ")),
        };
        text
    }
}

/// The elements of a list value.
pub(crate) fn elements(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim).filter(|element| !element.is_empty())
}

/// Why a configuration is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The value is not one that the key accepts.
    #[error("invalid value `{value}` for `{key}`: expected {expected}")]
    Invalid {
        /// The key.
        key: String,
        /// What was given.
        value: String,
        /// What would be accepted.
        expected: String,
    },
    /// No such key.
    #[error("unknown config `{0}`")]
    Unknown(String),
    /// The key promises a safety that this broker does not give yet. Going on without it would be worse
    /// than not starting.
    #[error("`{key}` is not supported: {reason}")]
    Unsupported {
        /// The key.
        key: String,
        /// Why.
        reason: &'static str,
    },
    /// Two keys contradict each other.
    #[error("{0}")]
    Contradiction(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_out_of_range_names_key_and_expectation() {
        let key = Key::int("segment.bytes", "1073741824", "").from(1_048_576);
        assert_eq!(key.check(" 2097152 "), Ok("2097152".to_owned()));
        let error = key.check("1024").unwrap_err().to_string();
        assert!(error.contains("segment.bytes") && error.contains("1048576"), "{error}");
        assert!(key.check("4294967296").is_err(), "an int has 32 bits");
        assert!(key.check("ten").is_err());
    }

    #[test]
    fn lists_are_trimmed_without_repetitions_and_refuse_strangers() {
        let key = Key::list("cleanup.policy", "delete", "").valid(Valid::ListOf(&["compact", "delete"]));
        assert_eq!(key.check("compact, delete"), Ok("compact,delete".to_owned()));
        assert_eq!(key.check(""), Ok(String::new()));
        assert_eq!(key.check("compact,compact"), Ok("compact".to_owned()));
        assert!(key.check("delete,tidy").is_err());
    }

    #[test]
    fn units_scale_and_keep_the_meaning_of_minus_one() {
        assert_eq!(Unit::Hours.convert("168"), "604800000");
        assert_eq!(Unit::Minutes.convert("-1"), "-1");
    }

    #[test]
    fn booleans_and_fractions() {
        assert_eq!(Key::boolean("b", "true", "").check("FALSE"), Ok("false".to_owned()));
        assert!(Key::boolean("b", "true", "").check("yes").is_err());
        let ratio = Key::double("r", "0.5", "").valid(Valid::Fraction);
        assert!(ratio.check("0.25").is_ok() && ratio.check("1.5").is_err() && ratio.check("NaN").is_err());
    }
}

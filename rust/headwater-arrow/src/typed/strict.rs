//! Whether a value is exactly one JSON object, and no more.
//!
//! `arrow-json` reads a stream of objects and forgives missing commas, several objects in a row, numbers like `1-2`
//! and fields that occur twice. A record's value is one row whatever it holds, so `serde_json` looks at it first:
//! its grammar is the standard's, it stops at 128 levels, and it checks UTF-8. Nothing is kept but an object's names.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Checks `value`; the error says what is wrong with it.
pub(super) fn one_object(value: &[u8]) -> Result<(), serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(value);
    deserializer.deserialize_map(Object)?;
    deserializer.end()
}

struct Object;

impl<'de> Visitor<'de> for Object {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut names = Names::default();
        while let Some(name) = map.next_key_seed(Name)? {
            if let Err(name) = names.add(name) {
                return Err(A::Error::custom(format_args!("field `{name}` occurs twice")));
            }
            map.next_value_seed(Anything)?;
        }
        Ok(())
    }
}

/// The names of an object's fields: compared one by one while they are few, and then only with a name that looks alike.
#[derive(Default)]
struct Names<'de> {
    // A bit for each look of the few.
    looks: u64,
    few: Vec<Cow<'de, str>>,
    many: HashSet<Cow<'de, str>>,
}

const FEW: usize = 32;

impl<'de> Names<'de> {
    /// Gives `name` back if it is known.
    fn add(&mut self, name: Cow<'de, str>) -> Result<(), Cow<'de, str>> {
        let look = look(name.as_bytes());
        if self.looks & look != 0 && self.few.contains(&name) || self.many.contains(&name) {
            return Err(name);
        }
        if self.few.len() < FEW {
            self.looks |= look;
            self.few.push(name);
        } else {
            self.many.insert(name);
        }
        Ok(())
    }
}

/// One of 64 bits, by length and ends: most names of one object differ in these.
fn look(name: &[u8]) -> u64 {
    let end = |byte: Option<&u8>| usize::from(byte.copied().unwrap_or_default());
    let middle = name.get(name.len() / 2);
    let mixed = name.len() + 7 * end(name.first()) + 31 * end(middle) + 13 * end(name.last());
    1 << (mixed % 64)
}

/// A field's name, borrowed unless it holds escapes.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Cow<'de, str>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the name of a field")
    }

    fn visit_borrowed_str<E: Error>(self, name: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}

struct Anything;

impl<'de> DeserializeSeed<'de> for Anything {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Anything {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(Anything)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        Object.visit_map(map)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_object_and_nothing_else() {
        for good in [r"{}", r#" {"a": [1, {"b": null}], "b": 1.5e3} "#, r#"{"\u0061": "\ud83d\ude00"}"#] {
            assert!(one_object(good.as_bytes()).is_ok(), "{good}");
        }
        let deep = format!("{}{}", r#"{"a":"#.repeat(200), "}".repeat(200));
        let bad: [(&[u8], &str); 17] = [
            (b"", "EOF"),
            (b"  ", "EOF"),
            (b"null", "expected a JSON object"),
            (b"[]", "expected a JSON object"),
            (b"1", "expected a JSON object"),
            (b"\"a\"", "expected a JSON object"),
            (b"{\"a\": 1", "EOF"),
            (b"{} {}", "trailing"),
            (b"{},", "trailing"),
            (b"{\"a\" 1}", "expected `:`"),
            (b"{\"a\": 1 \"b\": 2}", "expected `,`"),
            (b"{\"a\": 1,}", "trailing comma"),
            (b"{\"a\": 1-2}", "expected `,`"),
            (b"{\"a\": 1, \"\\u0061\": 2}", "`a` occurs twice"),
            (b"{\"a\": {\"b\": 1, \"b\": 2}}", "`b` occurs twice"),
            (b"{\"a\": \"\xff\"}", "unicode"),
            (deep.as_bytes(), "recursion limit"),
        ];
        for (value, reason) in bad {
            let error = one_object(value).expect_err(&String::from_utf8_lossy(value)).to_string();
            assert!(error.contains(reason), "{}: {error}", String::from_utf8_lossy(value));
        }
    }

    #[test]
    fn names_are_compared_beyond_the_first_few() {
        let mut text = String::from("{");
        for index in 0..3 * FEW {
            text += &format!("\"field{index}\": {index}, ");
        }
        assert!(one_object(format!("{text}\"last\": 0}}").as_bytes()).is_ok());
        for known in [0, FEW, 3 * FEW - 1] {
            assert!(one_object(format!("{text}\"field{known}\": 0}}").as_bytes()).is_err());
        }
    }
}

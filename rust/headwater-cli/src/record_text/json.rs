//! One record as one line of JSON, in both directions.
//!
//! `{"topic":"t","partition":0,"offset":7,"timestamp":1357035300000,"key":"AA","value":"…","headers":[{"key":"a","value":"b"}]}`
//!
//! What is not UTF-8 stands as base64 in a field whose name ends in `_base64`, so a program always knows which it is and
//! what `consume --json` wrote, `produce --json` reads back byte by byte. On the way in, a `value` (or key) that is an
//! object, a list, a number or a boolean is taken as the text of that JSON, as it stands in the line.

use super::{OwnedHeader, Placed};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::Error as _;
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Appends the line, with its newline.
pub(crate) fn write_json(out: &mut Vec<u8>, placed: &Placed<'_>) {
    // Writing to a vector cannot fail, and all keys are text.
    let _ = serde_json::to_writer(&mut *out, placed);
    out.push(b'\n');
}

impl Serialize for Placed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let record = &self.record;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("topic", self.topic)?;
        map.serialize_entry("partition", &self.partition)?;
        map.serialize_entry("offset", &record.offset)?;
        map.serialize_entry("timestamp", &(record.timestamp >= 0).then_some(record.timestamp))?;
        bytes(&mut map, ["key", "key_base64"], record.key)?;
        bytes(&mut map, ["value", "value_base64"], record.value)?;
        map.serialize_entry("headers", &Headers(self))?;
        map.end()
    }
}

fn bytes<M: SerializeMap>(map: &mut M, names: [&str; 2], bytes: Option<&[u8]>) -> Result<(), M::Error> {
    match bytes.map(|bytes| std::str::from_utf8(bytes).map_err(|_| bytes)) {
        None => map.serialize_entry(names[0], &()),
        Some(Ok(text)) => map.serialize_entry(names[0], text),
        Some(Err(bytes)) => map.serialize_entry(names[1], &STANDARD.encode(bytes)),
    }
}

struct Headers<'a>(&'a Placed<'a>);
struct Header<'a>(headwater_record::HeaderView<'a>);

impl Serialize for Headers<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let headers = self.0.record.headers;
        let mut list = serializer.serialize_seq(Some(headers.len()))?;
        for header in headers.iter() {
            list.serialize_element(&Header(header))?;
        }
        list.end()
    }
}

impl Serialize for Header<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        bytes(&mut map, ["key", "key_base64"], Some(self.0.key))?;
        bytes(&mut map, ["value", "value_base64"], self.0.value)?;
        map.end()
    }
}

/// A record to be produced, read from one line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct JsonRecord<'a> {
    pub(crate) partition: Option<i32>,
    pub(crate) timestamp: Option<i64>,
    pub(crate) key: Option<Cow<'a, [u8]>>,
    pub(crate) value: Option<Cow<'a, [u8]>>,
    pub(crate) headers: Vec<OwnedHeader>,
}

impl<'a> JsonRecord<'a> {
    pub(crate) fn parse(line: &'a [u8]) -> Result<Self, String> {
        // Left alone, a list would be taken as the fields in their order.
        if line.trim_ascii_start().first() != Some(&b'{') {
            return Err("expected an object".to_owned());
        }
        let fields: Fields<'a> = serde_json::from_slice(line).map_err(|error| plain(&error))?;
        if fields.value.is_none() && fields.value_base64.is_none() {
            return Err("the field `value` is missing; null makes a tombstone".to_owned());
        }
        Ok(Self {
            partition: fields.partition,
            timestamp: fields.timestamp,
            key: either("key", fields.key, fields.key_base64)?,
            value: either("value", fields.value, fields.value_base64)?,
            headers: fields.headers.0,
        })
    }
}

/// The message without its position: a record is one line, and the caller knows which.
fn plain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or(&text).to_owned()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields<'a> {
    // What `consume --json` writes and only the server can say.
    #[serde(rename = "topic", default)]
    _topic: Option<serde::de::IgnoredAny>,
    #[serde(rename = "offset", default)]
    _offset: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    partition: Option<i32>,
    #[serde(default)]
    timestamp: Option<i64>,
    #[serde(borrow, default, deserialize_with = "present")]
    key: Option<&'a RawValue>,
    #[serde(default)]
    key_base64: Option<String>,
    #[serde(borrow, default, deserialize_with = "present")]
    value: Option<&'a RawValue>,
    #[serde(default)]
    value_base64: Option<String>,
    #[serde(default)]
    headers: HeaderList,
}

/// Keeps a null apart from a missing field.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

fn either<'a>(
    name: &str,
    text: Option<&'a RawValue>,
    base64: Option<String>,
) -> Result<Option<Cow<'a, [u8]>>, String> {
    match (text, base64) {
        (Some(_), Some(_)) => Err(format!("`{name}` and `{name}_base64` exclude each other")),
        (None, None) => Ok(None),
        (None, Some(encoded)) => decode(name, &encoded).map(|bytes| Some(Cow::Owned(bytes))),
        (Some(raw), None) => Ok(match raw.get() {
            "null" => None,
            text if text.starts_with('"') => {
                let text: String = serde_json::from_str(text).map_err(|error| plain(&error))?;
                Some(Cow::Owned(text.into_bytes()))
            }
            other => Some(Cow::Borrowed(other.as_bytes())),
        }),
    }
}

fn decode(name: &str, encoded: &str) -> Result<Vec<u8>, String> {
    STANDARD.decode(encoded).map_err(|error| format!("`{name}_base64` is not base64: {error}"))
}

/// Headers as a list of `{"key":…,"value":…}`, which keeps order and duplicates, or as an object.
#[derive(Default)]
struct HeaderList(Vec<OwnedHeader>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OneHeader {
    key: String,
    #[serde(default)]
    value: Option<String>,
    #[serde(default)]
    value_base64: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum HeaderForms {
    List(Vec<OneHeader>),
    Object(BTreeMap<String, Option<String>>),
    None(()),
}

impl<'de> Deserialize<'de> for HeaderList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let forms = HeaderForms::deserialize(deserializer).map_err(|_| {
            D::Error::custom("`headers` must be a list of {\"key\":…,\"value\":…} or an object of texts")
        })?;
        let headers = match forms {
            HeaderForms::None(()) => Vec::new(),
            HeaderForms::Object(map) => {
                map.into_iter().map(|(key, value)| (key, value.map(String::into_bytes))).collect()
            }
            HeaderForms::List(list) => {
                list.into_iter().map(OneHeader::read).collect::<Result<_, _>>().map_err(D::Error::custom)?
            }
        };
        Ok(Self(headers))
    }
}

impl OneHeader {
    fn read(self) -> Result<OwnedHeader, String> {
        let value = match (self.value, self.value_base64) {
            (Some(_), Some(_)) => return Err("`value` and `value_base64` exclude each other".to_owned()),
            (None, Some(encoded)) => Some(decode("value", &encoded)?),
            (text, None) => text.map(String::into_bytes),
        };
        Ok((self.key, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_record::{
        BatchBuilder, BatchView, Compression, DecompressBuffer, RecordHeader, RecordView,
    };

    fn parse(line: &str) -> Result<JsonRecord<'_>, String> {
        JsonRecord::parse(line.as_bytes())
    }

    #[test]
    fn values_that_are_json_are_taken_as_they_stand() {
        let record = parse(r#"{"key": 7, "value": {"b": 1.0, "a":[ ]}}"#).unwrap();
        assert_eq!(record.key.as_deref(), Some(&b"7"[..]));
        assert_eq!(record.value.as_deref(), Some(&br#"{"b": 1.0, "a":[ ]}"#[..]));
    }

    #[test]
    fn null_and_empty_differ() {
        let record = parse(r#"{"key":"","value":null,"partition":2,"timestamp":5}"#).unwrap();
        assert_eq!((record.key.as_deref(), record.value.as_deref()), (Some(&b""[..]), None));
        assert_eq!((record.partition, record.timestamp), (Some(2), Some(5)));
    }

    #[test]
    fn headers_come_as_list_or_object() {
        let list = parse(
            r#"{"value":"v","headers":[{"key":"a","value":"1"},{"key":"a"},{"key":"b","value_base64":"/w=="}]}"#,
        );
        let expected = [
            ("a".to_owned(), Some(b"1".to_vec())),
            ("a".to_owned(), None),
            ("b".to_owned(), Some(vec![0xff])),
        ];
        assert_eq!(list.unwrap().headers, expected);
        assert_eq!(parse(r#"{"value":"v","headers":{"a":"1"}}"#).unwrap().headers, expected[..1]);
        assert_eq!(parse(r#"{"value":"v","headers":null}"#).unwrap().headers, []);
    }

    #[test]
    fn bad_lines_are_explained() {
        for (line, words) in [
            ("", "expected an object"),
            ("{", "EOF"),
            ("[]", "expected an object"),
            ("{}", "`value` is missing"),
            (r#"{"valeu":"x"}"#, "unknown field `valeu`"),
            (r#"{"value":"x","value_base64":"eA=="}"#, "exclude each other"),
            (r#"{"value_base64":"%"}"#, "not base64"),
            (r#"{"value":"x","headers":[1]}"#, "`headers` must be"),
            (r#"{"value":"x"} trailing"#, "trailing"),
            (r#"{"value":"\ud800"}"#, "hex escape"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(words), "{line}: {error}");
            assert!(!error.contains("line 1"), "{error}");
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        let headers = [("a", Some(&b"1"[..])), ("a", None), ("b", Some(&b"\xff\0"[..]))];
        let fields: [Option<&[u8]>; 4] =
            [None, Some(b""), Some("\u{1F600}\"\n".as_bytes()), Some(b"\xff\xfe\0")];
        for key in fields {
            for value in fields {
                let mut out = Vec::new();
                let owned = headers.map(|(key, value)| (key.to_owned(), value.map(<[u8]>::to_vec)));
                with_record(key, value, &headers, |record| {
                    write_json(&mut out, &Placed { topic: "t", partition: 1, record });
                });
                assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), 1, "one line");
                let read = JsonRecord::parse(&out).unwrap();
                assert_eq!((read.key.as_deref(), read.value.as_deref()), (key, value));
                assert_eq!(
                    (read.headers.as_slice(), read.partition, read.timestamp),
                    (&owned[..], Some(1), Some(42))
                );
            }
        }
    }

    fn with_record(
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[(&str, Option<&[u8]>)],
        look: impl FnOnce(RecordView<'_>),
    ) {
        let headers: Vec<RecordHeader<'_>> =
            headers.iter().map(|&(key, value)| RecordHeader { key, value }).collect();
        let mut builder = BatchBuilder::new(Compression::None);
        builder.append(42, key, value, &headers).unwrap();
        let bytes = builder.finish().unwrap();
        let mut buffer = DecompressBuffer::new();
        let view = BatchView::new(&bytes).unwrap();
        look(view.records(&mut buffer, 1 << 20).unwrap().next().unwrap().unwrap());
    }
}

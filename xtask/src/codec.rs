//! The bodies of `decode` and `encode` of one structure.
//!
//! Decoding evaluates a struct literal in field order, so that a field's name can never shadow `version`;
//! tagged fields start at their defaults and are overwritten in the loop over the tags.

use std::fmt::Write as _;

use crate::emit::{Names, Structure, ident};
use crate::schema::{Declaration, Field, Type, Versions};

impl Structure<'_> {
    /// Expressions for "the field is at its default" and for the opposite.
    fn is_default(&self, field: &Field, names: &Names) -> [String; 2] {
        let place = format!("self.{}", ident(field));
        let sized = field.array || matches!(field.kind, Type::String | Type::Bytes | Type::Records);
        match (self.default(field, names).as_str(), field.nullable.is_some()) {
            ("None", _) => [format!("{place}.is_none()"), format!("{place}.is_some()")],
            (_, true) if sized => [
                format!("{place}.as_ref().is_some_and(|value| value.is_empty())"),
                format!("{place}.as_ref().is_none_or(|value| !value.is_empty())"),
            ],
            (_, false) if sized => [format!("{place}.is_empty()"), format!("!{place}.is_empty()")],
            ("false", _) => [format!("!{place}"), place],
            ("true", _) => [place.clone(), format!("!{place}")],
            (value, _) => [format!("{place} == {value}"), format!("{place} != {value}")],
        }
    }

    /// An expression for "the version is in `range`", or `None` when that is always so.
    fn condition(&self, range: Versions) -> Option<String> {
        let own = self.versions;
        if range.covers(own) {
            return None;
        }
        Some(match (range.first <= own.first, range.last >= own.last) {
            (false, true) => format!("version >= {}", range.first),
            (true, false) => format!("version <= {}", range.last),
            _ if range.first == range.last => format!("version == {}", range.first),
            _ => format!("({}..={}).contains(&version)", range.first, range.last),
        })
    }

    /// The opposite of [`condition`](Self::condition).
    fn outside(&self, range: Versions) -> Option<String> {
        let own = self.versions;
        match (range.first <= own.first, range.last >= own.last) {
            (true, true) => None,
            (false, true) => Some(format!("version < {}", range.first)),
            (true, false) => Some(format!("version > {}", range.last)),
            (false, false) => Some(format!("!({}..={}).contains(&version)", range.first, range.last)),
        }
    }

    /// `true`, `false` or `flexible`.
    fn flexible(&self) -> &'static str {
        match self.message.flexible {
            Some(first) if first <= self.versions.first => "true",
            Some(first) if first <= self.versions.last => "flexible",
            _ => "false",
        }
    }

    fn flexible_binding(&self) -> String {
        match (self.flexible(), self.message.flexible) {
            ("flexible", Some(first)) => format!("let flexible = version >= {first};\n"),
            _ => String::new(),
        }
    }

    fn when_flexible(&self, code: &str) -> String {
        match self.flexible() {
            "true" => code.to_owned(),
            "flexible" => format!("if flexible {{ {code} }}\n"),
            _ => String::new(),
        }
    }

    pub(crate) fn decode(&self, names: &Names) -> String {
        let mut text = self.flexible_binding();
        let tagged: Vec<&Field> = self.fields.iter().filter(|field| field.tag.is_some()).collect();
        let skips = tagged.is_empty();
        let direct = skips && self.flexible() == "false";
        text.push_str(match (direct, skips) {
            (true, _) => "Ok(Self {\n",
            (false, true) => "let value = Self {\n",
            (false, false) => "let mut value = Self {\n",
        });
        for field in self.fields {
            let default = self.default(field, names);
            let value = if field.tag.is_some() {
                default
            } else {
                let read = self.read(field, names, false);
                match self.condition(field.versions) {
                    None => read,
                    Some(condition) => format!("if {condition} {{ {read} }} else {{ {default} }}"),
                }
            };
            let _ = writeln!(text, "{}: {value},", ident(field));
        }
        if direct {
            text.push_str("})");
            return text;
        }
        text.push_str("};\n");
        if skips {
            text.push_str(&self.when_flexible("reader.skip_tags()?;\n"));
        } else {
            text.push_str(&self.when_flexible(&self.decode_tags(&tagged, names)));
        }
        text.push_str("Ok(value)");
        text
    }

    fn decode_tags(&self, tagged: &[&Field], names: &Names) -> String {
        let mut arms = String::new();
        for field in tagged {
            let guard = match (self.condition(field.versions), self.message.flexible) {
                (Some(_), Some(first)) if field.versions.first <= first => String::new(),
                (Some(condition), _) => format!(" if {condition}"),
                (None, _) => String::new(),
            };
            let read = self.read(field, names, true);
            let _ = writeln!(
                arms,
                "{}{guard} => value.{} = {read},",
                field.tag.unwrap_or_default(),
                ident(field)
            );
        }
        format!(
            "for _ in 0..reader.tags()? {{
                let tag = reader.begin_tag()?;
                match tag.number {{ {arms} _ => reader.skip_tag() }}
                reader.end_tag(&tag)?;
            }}\n"
        )
    }

    /// The middle of a reader's or writer's method name, and its arguments.
    fn method(&self, field: &Field, flexible: &str) -> (String, Vec<String>) {
        let flexible = if field.inflexible { "false".to_owned() } else { flexible.to_owned() };
        let plain = format!("{:?}", field.kind).to_lowercase();
        match (&field.kind, field.array) {
            (Type::Struct(_), true) => ("structs".to_owned(), vec![flexible, "version".to_owned()]),
            (Type::Struct(_), false) => ("struct".to_owned(), vec!["version".to_owned()]),
            (_, true) => (format!("{plain}s"), vec![flexible]),
            (Type::String | Type::Bytes | Type::Records, false) => (plain, vec![flexible]),
            (_, false) => (plain, Vec::new()),
        }
    }

    fn read(&self, field: &Field, names: &Names, tag: bool) -> String {
        // In a tagged field the version is flexible.
        let flexible = if tag { "true" } else { self.flexible() };
        let (method, arguments) = self.method(field, flexible);
        let method = if field.kind == Type::Records { "bytes".to_owned() } else { method };
        let arguments = arguments.join(", ");
        let plain = match &field.kind {
            Type::Struct(name) if !field.array => {
                format!("{}::decode(reader, version)?", self.rust_name(name, names))
            }
            _ => format!("reader.{method}({arguments})?"),
        };
        let Some(nullable) = field.nullable else { return plain };
        let prefix = if tag && method == "struct" { "tagged_nullable" } else { "nullable" };
        let read = format!("reader.{prefix}_{method}({arguments})?");
        match self.condition(nullable) {
            Some(condition) if !nullable.covers(field.versions) => {
                format!("if {condition} {{ {read} }} else {{ Some({plain}) }}")
            }
            _ => read,
        }
    }

    pub(crate) fn encode(&self, names: &Names) -> String {
        let mut text = self.flexible_binding();
        for field in self.fields.iter().filter(|field| field.tag.is_none()) {
            let write = self.write(field, "writer", false);
            match self.condition(field.versions) {
                None => text.push_str(&write),
                Some(condition) => {
                    let _ = write!(text, "if {condition} {{ {write} }}");
                    if !field.ignorable {
                        let _ = write!(text, " else {{ {} }}", self.only_default(field, names));
                    }
                    text.push('\n');
                }
            }
        }
        let mut tagged: Vec<&Field> = self.fields.iter().filter(|field| field.tag.is_some()).collect();
        tagged.sort_by_key(|field| field.tag);
        if tagged.is_empty() {
            text.push_str(&self.when_flexible("writer.put_unsigned_varint(0);\n"));
        } else {
            let required: String = tagged
                .iter()
                .filter(|field| !field.ignorable)
                .filter_map(|field| Some((self.outside(field.versions)?, field)))
                .map(|(outside, field)| format!("if {outside} {{ {} }}\n", self.only_default(field, names)))
                .collect();
            text.push_str(&required);
            text.push_str(&self.when_flexible(&self.encode_tags(&tagged, names)));
        }
        text.push_str("Ok(())");
        text
    }

    fn only_default(&self, field: &Field, names: &Names) -> String {
        let [default, _] = self.is_default(field, names);
        format!("only_default({default}, \"{}.{}\", version)?;", self.name, field.name)
    }

    fn encode_tags(&self, tagged: &[&Field], names: &Names) -> String {
        let mut text = String::new();
        let present = |field: &Field| {
            let [_, set] = self.is_default(field, names);
            match (self.condition(field.versions), self.message.flexible) {
                (Some(_), Some(first)) if field.versions.first <= first => set,
                (Some(condition), _) => format!("{condition} && {set}"),
                (None, _) => set,
            }
        };
        let counts: Vec<String> =
            tagged.iter().map(|field| format!("u32::from({})", present(field))).collect();
        let _ = writeln!(text, "writer.put_unsigned_varint({});", counts.join(" + "));
        for field in tagged {
            let write = self.write(field, "content", true);
            let write = write.trim_end();
            let _ = writeln!(
                text,
                "if {} {{
                    let mut content = Writer::new();
                    {write}
                    writer.put_tag({}, content)?;
                }}",
                present(field),
                field.tag.unwrap_or_default()
            );
        }
        text
    }

    fn write(&self, field: &Field, writer: &str, tag: bool) -> String {
        let flexible = if tag { "true" } else { self.flexible() };
        let (method, mut arguments) = self.method(field, flexible);
        let place = format!("self.{}", ident(field));
        let structure = !field.array && matches!(field.kind, Type::Struct(_));
        let by_value = !field.array
            && !matches!(field.kind, Type::String | Type::Bytes | Type::Records | Type::Struct(_));
        let fails = if by_value { "" } else { "?" };
        let target = if writer == "content" { "&mut content" } else { "writer" };
        let Some(nullable) = field.nullable else {
            if structure {
                return format!("{place}.encode({target}, version)?;\n");
            }
            arguments.push(if by_value { place } else { format!("&{place}") });
            return format!("{writer}.put_{method}({}){fails};\n", arguments.join(", "));
        };
        let borrowed = match (&field.kind, field.array) {
            (_, true) | (Type::String, _) => format!("{place}.as_deref()"),
            _ => format!("{place}.as_ref()"),
        };
        let prefix = if tag && structure { "tagged_nullable" } else { "nullable" };
        let all: Vec<String> = arguments.iter().cloned().chain([borrowed]).collect();
        let write = format!("{writer}.put_{prefix}_{method}({})?;\n", all.join(", "));
        match self.condition(nullable) {
            Some(condition) if !nullable.covers(field.versions) => {
                let value = format!("not_null(&{place}, \"{}.{}\", version)?", self.name, field.name);
                arguments.push(value);
                let plain = format!("{writer}.put_{method}({})?;", arguments.join(", "));
                format!("if {condition} {{ {write} }} else {{ {plain} }}\n")
            }
            _ => write,
        }
    }
}

/// Bytes that `fields` take at least in `version`.
pub(crate) fn size(message: &Declaration, fields: &[Field], version: i16) -> usize {
    let flexible = message.is_flexible(version);
    let present = fields.iter().filter(|field| field.tag.is_none() && field.versions.contains(version));
    let sum: usize = present
        .map(|field| match &field.kind {
            _ if field.array => {
                if flexible {
                    1
                } else {
                    4
                }
            }
            Type::Struct(_) if field.nullable.is_some_and(|range| range.contains(version)) => 1,
            Type::Struct(name) => size(message, message.fields_of(name).unwrap_or_default(), version),
            Type::Bool | Type::Int8 => 1,
            Type::Int16 | Type::Uint16 => 2,
            Type::Int32 | Type::Uint32 => 4,
            Type::Int64 | Type::Float64 => 8,
            Type::Uuid => 16,
            Type::String if flexible && !field.inflexible => 1,
            Type::String => 2,
            Type::Bytes | Type::Records => {
                if flexible {
                    1
                } else {
                    4
                }
            }
        })
        .sum();
    sum + usize::from(flexible)
}

/// `version`, or `_version` when the code does not use it.
pub(crate) fn parameter(code: &str) -> &'static str {
    let ident = |c: char| c.is_alphanumeric() || c == '_';
    let used = code.match_indices("version").any(|(at, word)| {
        let (before, after) = (&code[..at], &code[at + word.len()..]);
        !before.ends_with(ident)
            && !before.ends_with('.')
            && !after.starts_with(ident)
            && !after.starts_with(':')
    });
    if used { "version" } else { "_version" }
}

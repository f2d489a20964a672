//! One schema file to the text of one Rust file.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::codec::{parameter, size};
use crate::codegen::MARK;
use crate::schema::{Declaration, Default, Field, Kind, Module, Type, Versions};

/// Header comment and module documentation of a generated file.
pub(crate) fn opening(documentation: &str) -> String {
    format!("{MARK}; do not edit.\n\n//! {documentation}\n\n")
}

/// A structure with the names it has in Rust.
pub(crate) struct Structure<'a> {
    pub(crate) message: &'a Declaration,
    /// Its Rust name.
    pub(crate) name: String,
    /// The versions in which it occurs.
    pub(crate) versions: Versions,
    pub(crate) fields: &'a [Field],
    /// Whether it is the message itself.
    top: bool,
}

/// Rust names of structures by (message, Kafka's name).
pub(crate) type Names = BTreeMap<(String, String), String>;

/// The text of the file for `module`, before formatting.
pub(crate) fn module(module: &Module) -> Result<String, String> {
    let mut all = Vec::new();
    for message in &module.declarations {
        structures(message, &mut all)?;
    }
    let names = names(&mut all)?;
    let title = title(module);
    let mut body = String::new();
    let mut written: Vec<&str> = Vec::new();
    for structure in &all {
        if !written.contains(&structure.name.as_str()) {
            written.push(&structure.name);
            // Of those that are the same, the one with the most versions stands for all.
            let same = all.iter().filter(|other| other.name == structure.name);
            let widest =
                same.max_by_key(|other| i32::from(other.versions.last) - i32::from(other.versions.first));
            widest.unwrap_or(structure).emit(&names, &mut body)?;
        }
    }
    Ok(format!("{}{}\n{body}", opening(&title), imports(&body)))
}

fn title(module: &Module) -> String {
    let first = &module.declarations[0];
    let mut title = match first.kind {
        Kind::Request(key) => {
            format!("`{}` (key {key}), {}.", first.name.trim_end_matches("Request"), spelled(first.versions))
        }
        _ => {
            let names: Vec<String> =
                module.declarations.iter().map(|message| format!("`{}`", message.name)).collect();
            format!("{}.", names.join(", "))
        }
    };
    for meaning in module.declarations.iter().filter_map(|message| message.meaning.as_deref()).take(1) {
        let _ = write!(title, "\n//!\n//! {meaning}");
    }
    title
}

/// Only what the text uses, so that nothing has to be allowed.
fn imports(body: &str) -> String {
    let uses = |word: &str| {
        body.match_indices(word).any(|(at, _)| {
            let ident = |c: char| c.is_alphanumeric() || c == '_';
            !body[..at].ends_with(ident) && !body[at + word.len()..].starts_with(ident)
        })
    };
    let mut text = String::new();
    if uses("Bytes") {
        text.push_str("use bytes::Bytes;\n\n");
    }
    let functions: Vec<&str> = ["Part", "check_decode", "check_encode", "not_null", "only_default"]
        .into_iter()
        .filter(|f| uses(f))
        .collect();
    let _ = writeln!(text, "use crate::message::{{{}}};", functions.join(", "));
    let candidates = [
        "ApiKey",
        "DecodeError",
        "EncodeError",
        "Message",
        "Reader",
        "RecordKey",
        "Request",
        "Str",
        "Uuid",
        "Writer",
    ];
    let types: Vec<&str> = candidates.into_iter().filter(|name| uses(name)).collect();
    let _ = writeln!(text, "use crate::{{{}}};", types.join(", "));
    text
}

/// The message and every structure in it, in the order of their declaration.
fn structures<'a>(message: &'a Declaration, list: &mut Vec<Structure<'a>>) -> Result<(), String> {
    fn nested<'a>(message: &'a Declaration, fields: &'a [Field], list: &mut Vec<Structure<'a>>) {
        for field in fields {
            if let (Type::Struct(name), false) = (&field.kind, field.fields.is_empty()) {
                let (name, versions) = (name.clone(), field.versions);
                list.push(Structure { message, name, versions, fields: &field.fields, top: false });
                nested(message, &field.fields, list);
            }
        }
    }
    let start = list.len();
    let (name, versions) = (message.name.clone(), message.versions);
    list.push(Structure { message, name, versions, fields: &message.fields, top: true });
    nested(message, &message.fields, list);
    for declared in &message.structs {
        let (name, versions) = (declared.name.clone(), declared.versions);
        list.push(Structure { message, name, versions, fields: &declared.fields, top: false });
        nested(message, &declared.fields, list);
    }
    let own = &list[start..];
    for (index, structure) in own.iter().enumerate() {
        if own[..index].iter().any(|other| other.name == structure.name) {
            return Err(format!("{} declares {} twice", message.name, structure.name));
        }
        let known = |name: &str| own.iter().any(|other| other.name == name);
        for field in structure.fields {
            if let Type::Struct(name) = &field.kind
                && !known(name)
            {
                return Err(format!("{} uses {name}, which nobody declares", message.name));
            }
        }
    }
    depth(message, &message.fields, 0)
}

/// Structures must not contain themselves: nesting is bounded by the schema.
fn depth(message: &Declaration, fields: &[Field], level: usize) -> Result<(), String> {
    if level > 16 {
        return Err(format!("{} is recursive", message.name));
    }
    for field in fields {
        if let Type::Struct(name) = &field.kind {
            depth(message, message.fields_of(name).unwrap_or_default(), level + 1)?;
        }
    }
    Ok(())
}

/// Two messages of a module may use one name: for the same structure it is written once, for different ones
/// each gets its side as a prefix.
fn names(all: &mut [Structure<'_>]) -> Result<Names, String> {
    let mut names = Names::new();
    let mut renamed = Vec::new();
    for (index, structure) in all.iter().enumerate() {
        let clashes = all.iter().enumerate().any(|(other_index, other)| {
            other_index != index && other.name == structure.name && !same(structure, other)
        });
        let side = match structure.message.kind {
            Kind::Request(_) => "Request",
            Kind::Response(_) => "Response",
            _ if clashes => return Err(format!("two structures are called {}", structure.name)),
            _ => "",
        };
        let name = if clashes { format!("{side}{}", structure.name) } else { structure.name.clone() };
        names.insert((structure.message.name.clone(), structure.name.clone()), name.clone());
        renamed.push(name);
    }
    for (structure, name) in all.iter_mut().zip(renamed) {
        structure.name = name;
    }
    Ok(names)
}

/// Whether one Rust structure can stand for both. The versions of one may go beyond the other's.
fn same(one: &Structure<'_>, other: &Structure<'_>) -> bool {
    (one.versions.covers(other.versions) || other.versions.covers(one.versions))
        && one.message.flexible == other.message.flexible
        && relative(one.fields, one.versions) == relative(other.fields, other.versions)
}

/// The fields, where "all versions of the enclosing structure" is the same whatever they are.
fn relative(fields: &[Field], scope: Versions) -> Vec<Field> {
    const ALL: Versions = Versions { first: i16::MIN, last: i16::MAX };
    let mut fields = fields.to_vec();
    for field in &mut fields {
        field.meaning = None;
        field.fields = relative(&field.fields, field.versions);
        field.nullable = field.nullable.map(|range| if range.covers(field.versions) { ALL } else { range });
        if field.versions.covers(scope) {
            field.versions = ALL;
        }
    }
    fields
}

impl Structure<'_> {
    fn emit(&self, names: &Names, text: &mut String) -> Result<(), String> {
        self.emit_struct(names, text);
        self.emit_default(names, text);
        let decode = self.decode(names);
        let encode = self.encode(names);
        let (decode_version, encode_version) = (parameter(&decode), parameter(&encode));
        if self.top {
            let message = self.message;
            let _ = writeln!(
                text,
                "impl Message for {name} {{
                    const NAME: &'static str = \"{name}\";
                    const MIN_VERSION: i16 = {};
                    const MAX_VERSION: i16 = {};

                    fn decode(reader: &mut Reader, version: i16) -> Result<Self, DecodeError> {{
                        check_decode::<Self>(version)?;
                        {decode}
                    }}

                    fn encode(&self, writer: &mut Writer, version: i16) -> Result<(), EncodeError> {{
                        check_encode::<Self>(version)?;
                        {encode}
                    }}
                }}\n",
                message.versions.first,
                message.versions.last,
                name = self.name,
            );
            self.emit_kind(text);
            return Ok(());
        }
        let size =
            self.versions_in_use().map(|version| size(self.message, self.fields, version)).min().unwrap_or(0);
        if size == 0 {
            return Err(format!("{} can be empty on the wire", self.name));
        }
        let _ = writeln!(
            text,
            "impl Part for {} {{
                const MIN_SIZE: usize = {size};

                fn decode(reader: &mut Reader, {decode_version}: i16) -> Result<Self, DecodeError> {{ {decode} }}

                fn encode(&self, writer: &mut Writer, {encode_version}: i16) -> Result<(), EncodeError> {{ {encode} }}
            }}\n",
            self.name,
        );
        Ok(())
    }

    fn versions_in_use(&self) -> std::ops::RangeInclusive<i16> {
        self.versions.first..=self.versions.last
    }

    fn emit_kind(&self, text: &mut String) {
        match self.message.kind {
            Kind::Request(_) => {
                let api = self.name.trim_end_matches("Request");
                let _ = writeln!(
                    text,
                    "impl Request for {api}Request {{
                        const API_KEY: ApiKey = ApiKey::{api};
                        type Response = {api}Response;
                    }}\n"
                );
            }
            Kind::Key(number) => {
                let value = format!("{}Value", self.name.trim_end_matches("Key"));
                let _ = writeln!(
                    text,
                    "impl RecordKey for {} {{ const RECORD_TYPE: i16 = {number}; type Value = {value}; }}\n",
                    self.name
                );
            }
            _ => {}
        }
    }

    fn emit_struct(&self, names: &Names, text: &mut String) {
        let part = if self.top { "" } else { "Part of " };
        let _ = writeln!(text, "/// {part}`{}`, {}.", self.message.name, spelled(self.versions));
        let derive =
            if self.plain_default() { "Clone, Debug, Default, PartialEq" } else { "Clone, Debug, PartialEq" };
        let _ = writeln!(text, "#[derive({derive})]\npub struct {} {{", self.name);
        for field in self.fields {
            let _ = writeln!(
                text,
                "{}pub {}: {},",
                self.documentation(field),
                ident(field),
                self.rust_type(field, names)
            );
        }
        text.push_str("}\n\n");
    }

    /// What the Rust type does not say: meaning, versions, nullability, default, tag.
    fn documentation(&self, field: &Field) -> String {
        let mut facts = Vec::new();
        let element = match &field.kind {
            Type::Struct(name) => name.clone(),
            other => format!("{other:?}").to_lowercase(),
        };
        facts.push(if field.array { format!("list of {element}") } else { element });
        if !field.versions.covers(self.versions) {
            facts.push(spelled(field.versions));
        }
        match field.nullable {
            Some(nullable) if nullable.covers(field.versions) => facts.push("nullable".to_owned()),
            Some(nullable) => facts.push(format!("nullable in {nullable}")),
            None => {}
        }
        match &field.default {
            Default::Zero => {}
            Default::Null => facts.push("default null".to_owned()),
            Default::Number(number) => facts.push(format!("default {number}")),
            Default::Bool(value) => facts.push(format!("default {value}")),
        }
        if let Some(tag) = field.tag {
            facts.push(format!("tag {tag}"));
        }
        match &field.meaning {
            Some(meaning) if facts.len() == 1 => format!("/// {}\n", sentence(meaning)),
            Some(meaning) => format!("/// {}\n///\n/// {}\n", sentence(meaning), sentence(&facts.join(", "))),
            None => format!("/// {}\n", sentence(&facts.join(", "))),
        }
    }

    fn rust_type(&self, field: &Field, names: &Names) -> String {
        let element = match &field.kind {
            Type::Bool => "bool",
            Type::Int8 => "i8",
            Type::Int16 => "i16",
            Type::Int32 => "i32",
            Type::Int64 => "i64",
            Type::Uint16 => "u16",
            Type::Uint32 => "u32",
            Type::Float64 => "f64",
            Type::Uuid => "Uuid",
            Type::String => "Str",
            Type::Bytes | Type::Records => "Bytes",
            Type::Struct(name) => self.rust_name(name, names),
        };
        let whole = if field.array { format!("Vec<{element}>") } else { element.to_owned() };
        if field.nullable.is_some() { format!("Option<{whole}>") } else { whole }
    }

    pub(crate) fn rust_name<'n>(&self, name: &'n str, names: &'n Names) -> &'n str {
        names.get(&(self.message.name.clone(), name.to_owned())).map_or(name, String::as_str)
    }

    fn plain_default(&self) -> bool {
        self.fields.iter().all(|field| match field.default {
            Default::Zero => field.nullable.is_none() || field.kind == Type::Records,
            Default::Null => true,
            Default::Number(_) | Default::Bool(_) => false,
        })
    }

    fn emit_default(&self, names: &Names, text: &mut String) {
        if self.plain_default() {
            return;
        }
        let _ = writeln!(text, "impl Default for {0} {{ fn default() -> Self {{ Self {{", self.name);
        for field in self.fields {
            let _ = writeln!(text, "{}: {},", ident(field), self.default(field, names));
        }
        text.push_str("} } }\n\n");
    }

    pub(crate) fn default(&self, field: &Field, names: &Names) -> String {
        let zero = match &field.kind {
            _ if field.array => "Vec::new()".to_owned(),
            Type::Bool => "false".to_owned(),
            Type::Float64 => "0.0".to_owned(),
            Type::Uuid => "Uuid::ZERO".to_owned(),
            Type::String => "Str::new()".to_owned(),
            Type::Bytes | Type::Records => "Bytes::new()".to_owned(),
            Type::Struct(name) => format!("{}::default()", self.rust_name(name, names)),
            _ => "0".to_owned(),
        };
        match (&field.default, field.nullable) {
            (Default::Null, _) => "None".to_owned(),
            // Kafka keeps records at null when nobody set them.
            (Default::Zero, Some(_)) if field.kind == Type::Records => "None".to_owned(),
            (Default::Zero, Some(_)) => format!("Some({zero})"),
            (Default::Zero, None) => zero,
            (Default::Number(number), _) => number.to_string(),
            (Default::Bool(value), _) => value.to_string(),
        }
    }
}

pub(crate) fn ident(field: &Field) -> String {
    match field.name.as_str() {
        "type" | "match" => format!("r#{}", field.name),
        name => name.to_owned(),
    }
}

fn spelled(versions: Versions) -> String {
    format!("version{} {versions}", if versions.first == versions.last { "" } else { "s" })
}

/// With a capital first letter and a full stop.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    let stop = if text.ends_with(['.', '?', '!']) { "" } else { "." };
    format!("{first}{}{stop}", letters.as_str())
}

//! The compact message schema: its model and its parser.
//!
//! The language is described in `rust/headwater-protocol/schema/README.md`. The parser is strict: an unknown
//! word is an error that names file and line. Besides the code generator, the tests of `headwater-protocol`
//! use this model to build messages without the generated code.

use std::fmt;
use std::path::Path;

/// An inclusive range of message versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions {
    /// The oldest version.
    pub first: i16,
    /// The newest version.
    pub last: i16,
}

impl Versions {
    /// Whether `version` lies in the range.
    pub fn contains(self, version: i16) -> bool {
        self.first <= version && version <= self.last
    }

    /// Whether every version of `other` lies in the range.
    pub fn covers(self, other: Versions) -> bool {
        self.first <= other.first && other.last <= self.last
    }

    /// The versions both ranges have, if any.
    pub fn intersect(self, other: Versions) -> Option<Versions> {
        let both = Versions { first: self.first.max(other.first), last: self.last.min(other.last) };
        (both.first <= both.last).then_some(both)
    }
}

impl fmt::Display for Versions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(formatter, "{}", self.first)
        } else {
            write!(formatter, "{}-{}", self.first, self.last)
        }
    }
}

/// What a declared message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A request of the API with this key.
    Request(i16),
    /// A response of the API with this key.
    Response(i16),
    /// A request or response header.
    Header,
    /// The key of an internal topic's record; the number is the record type that stands before it.
    Key(i16),
    /// The value of an internal topic's record of this type.
    Value(i16),
    /// Any other structure with versions.
    Data,
}

/// A type without its array marker.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each variant is the Kafka type of the same name")]
pub enum Type {
    Bool,
    Int8,
    Int16,
    Int32,
    Int64,
    Uint16,
    Uint32,
    Float64,
    Uuid,
    String,
    Bytes,
    Records,
    Struct(String),
}

/// A field's value when nobody set it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Default {
    /// Zero, false, or empty.
    Zero,
    /// Null.
    Null,
    /// A number.
    Number(i64),
    /// A boolean.
    Bool(bool),
}

/// One field.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// Kafka's name in `snake_case`.
    pub name: String,
    /// The type, or the type of the array's elements.
    pub kind: Type,
    /// Whether it is an array.
    pub array: bool,
    /// The versions that have the field.
    pub versions: Versions,
    /// The versions in which it may be null.
    pub nullable: Option<Versions>,
    /// Its default.
    pub default: Default,
    /// Its tag, when it is a tagged field.
    pub tag: Option<u32>,
    /// Whether a value is silently dropped in versions that lack the field.
    pub ignorable: bool,
    /// Whether a string keeps its classic encoding in flexible versions.
    pub inflexible: bool,
    /// What it means, where the name does not say it.
    pub meaning: Option<String>,
    /// The fields of the structure that this field declares in place.
    pub fields: Vec<Field>,
}

/// A structure declared by name, to be used by several fields of one message.
#[derive(Clone, Debug, PartialEq)]
pub struct Struct {
    /// Its name.
    pub name: String,
    /// The versions in which it is used.
    pub versions: Versions,
    /// Its fields.
    pub fields: Vec<Field>,
}

/// One message.
#[derive(Clone, Debug, PartialEq)]
pub struct Declaration {
    /// Its name, `ProduceRequest` for instance.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// The versions it has.
    pub versions: Versions,
    /// The first flexible version.
    pub flexible: Option<i16>,
    /// What it is for.
    pub meaning: Option<String>,
    /// Structures declared by name.
    pub structs: Vec<Struct>,
    /// Its fields.
    pub fields: Vec<Field>,
}

impl Declaration {
    /// Whether `version` uses compact lengths and tagged fields.
    pub fn is_flexible(&self, version: i16) -> bool {
        self.flexible.is_some_and(|first| version >= first)
    }

    /// The fields of the structure called `name`, wherever in the message it is declared.
    pub fn fields_of(&self, name: &str) -> Option<&[Field]> {
        fn search<'a>(fields: &'a [Field], name: &str) -> Option<&'a [Field]> {
            fields.iter().find_map(|field| match &field.kind {
                Type::Struct(own) if own == name && !field.fields.is_empty() => Some(&field.fields[..]),
                _ => search(&field.fields, name),
            })
        }
        let declared = self.structs.iter().find(|declared| declared.name == name);
        declared
            .map(|declared| &declared.fields[..])
            .or_else(|| search(&self.fields, name))
            .or_else(|| self.structs.iter().find_map(|declared| search(&declared.fields, name)))
    }
}

/// One schema file.
#[derive(Clone, Debug, PartialEq)]
pub struct Module {
    /// `messages` or `records`: the folder, and the Rust module above this one.
    pub area: &'static str,
    /// The file's stem and the Rust module's name.
    pub name: String,
    /// What it declares, in order.
    pub declarations: Vec<Declaration>,
}

/// Reads every schema file under `folder`.
pub fn load(folder: &Path) -> Result<Vec<Module>, String> {
    let mut modules = Vec::new();
    for area in ["messages", "records"] {
        let directory = folder.join(area);
        let listing = std::fs::read_dir(&directory).map_err(|e| format!("{}: {e}", directory.display()))?;
        let mut paths: Vec<_> = listing.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
        paths.sort();
        for path in paths.iter().filter(|path| path.extension().is_some_and(|e| e == "schema")) {
            let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let declarations = parse(&text).map_err(|e| format!("{}:{e}", path.display()))?;
            modules.push(Module { area, name, declarations });
        }
    }
    Ok(modules)
}

struct Line {
    number: usize,
    indent: usize,
    words: Vec<String>,
    meaning: Option<String>,
}

impl Line {
    fn error(&self, message: impl fmt::Display) -> String {
        format!("{}: {message}", self.number)
    }

    fn word(&self, index: usize) -> Result<&str, String> {
        self.words.get(index).map(String::as_str).ok_or_else(|| self.error("a word is missing"))
    }
}

/// Reads one schema file's text. Errors begin with the line number.
pub fn parse(text: &str) -> Result<Vec<Declaration>, String> {
    let mut lines = Vec::new();
    for (index, raw) in text.lines().enumerate() {
        let (code, meaning) = match raw.split_once('#') {
            Some((code, meaning)) => (code, Some(meaning.trim().to_owned())),
            None => (raw, None),
        };
        let indent = code.len() - code.trim_start().len();
        let words: Vec<String> = code.split_whitespace().map(str::to_owned).collect();
        if !words.is_empty() {
            lines.push(Line { number: index + 1, indent, words, meaning });
        }
    }
    let mut lines = lines.into_iter().peekable();
    let mut declarations = Vec::new();
    while let Some(line) = lines.next() {
        let head = Head::parse(&line)?;
        if head.word != "api" {
            declarations.push(head.body(&mut lines, head.kind(&line)?, head.name.clone())?);
            continue;
        }
        for (section, kind) in
            [("request", Kind::Request(head.number)), ("response", Kind::Response(head.number))]
        {
            let opening = lines.next().ok_or_else(|| line.error(format!("`{section}` is missing")))?;
            if opening.indent != 0 || opening.words != [section] {
                return Err(opening.error(format!("expected `{section}`")));
            }
            let suffix = if section == "request" { "Request" } else { "Response" };
            declarations.push(head.body(&mut lines, kind, format!("{}{suffix}", head.name))?);
        }
    }
    Ok(declarations)
}

type Lines = std::iter::Peekable<std::vec::IntoIter<Line>>;

/// `api Name key 0 versions 0-3 flexible 2+`, and its like.
struct Head {
    word: String,
    name: String,
    number: i16,
    versions: Versions,
    flexible: Option<i16>,
    meaning: Option<String>,
}

impl Head {
    fn parse(line: &Line) -> Result<Head, String> {
        let mut head = Head {
            word: line.word(0)?.to_owned(),
            name: line.word(1)?.to_owned(),
            number: -1,
            versions: Versions { first: 0, last: -1 },
            flexible: None,
            meaning: line.meaning.clone(),
        };
        for pair in line.words[2..].chunks(2) {
            let [word, value] = pair else { return Err(line.error("a value is missing")) };
            let number = || value.trim_end_matches('+').parse().map_err(|_| line.error("not a number"));
            match word.as_str() {
                "key" | "type" => head.number = number()?,
                "versions" => {
                    head.versions = versions(value, Versions { first: 0, last: i16::MAX })
                        .ok_or_else(|| line.error("not a range of versions"))?;
                }
                "flexible" => head.flexible = Some(number()?),
                other => return Err(line.error(format!("unknown word `{other}`"))),
            }
        }
        if line.indent != 0 || head.versions.last < head.versions.first {
            return Err(line.error("expected a declaration with its versions"));
        }
        Ok(head)
    }

    fn kind(&self, line: &Line) -> Result<Kind, String> {
        match self.word.as_str() {
            "header" => Ok(Kind::Header),
            "key" => Ok(Kind::Key(self.number)),
            "value" => Ok(Kind::Value(self.number)),
            "data" => Ok(Kind::Data),
            other => Err(line.error(format!("unknown declaration `{other}`"))),
        }
    }

    fn body(&self, lines: &mut Lines, kind: Kind, name: String) -> Result<Declaration, String> {
        let mut structs = Vec::new();
        while let Some(line) = lines.next_if(|line| line.indent == 2 && line.words[0] == "struct") {
            let own = match line.words.get(2) {
                Some(word) => {
                    versions(word, self.versions).ok_or_else(|| line.error("not a range of versions"))?
                }
                None => self.versions,
            };
            structs.push(Struct {
                name: line.word(1)?.to_owned(),
                versions: own,
                fields: fields(lines, 4, own, self.versions)?,
            });
        }
        let fields = fields(lines, 2, self.versions, self.versions)?;
        let meaning = self.meaning.clone();
        Ok(Declaration {
            name,
            kind,
            versions: self.versions,
            flexible: self.flexible,
            meaning,
            structs,
            fields,
        })
    }
}

/// Fields at `indent`; `scope` are the versions of the structure they belong to, `all` those of the message.
fn fields(lines: &mut Lines, indent: usize, scope: Versions, all: Versions) -> Result<Vec<Field>, String> {
    let mut list: Vec<Field> = Vec::new();
    while let Some(line) = lines.next_if(|line| line.indent >= indent) {
        if line.indent != indent {
            return Err(line.error("unexpected indentation"));
        }
        let mut field = field(&line, scope, all)?;
        if let Type::Struct(_) = field.kind {
            field.fields = fields(lines, indent + 2, field.versions, all)?;
        }
        if list.iter().any(|other| other.name == field.name) {
            return Err(line.error("the name is taken"));
        }
        list.push(field);
    }
    Ok(list)
}

fn field(line: &Line, scope: Versions, all: Versions) -> Result<Field, String> {
    let (spelled, question) = match line.word(1)?.split_once('?') {
        Some((kind, range)) => (kind, Some(range.to_owned())),
        None => (line.word(1)?, None),
    };
    let (array, element) = match spelled.strip_prefix("[]") {
        Some(element) => (true, element),
        None => (false, spelled),
    };
    let mut field = Field {
        name: line.word(0)?.to_owned(),
        kind: kind(element).ok_or_else(|| line.error(format!("unknown type `{element}`")))?,
        array,
        versions: scope,
        nullable: None,
        default: Default::Zero,
        tag: None,
        ignorable: false,
        inflexible: false,
        meaning: line.meaning.clone(),
        fields: Vec::new(),
    };
    let mut words = line.words[2..].iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| line.error("a value is missing"));
        match word.as_str() {
            "=" => field.default = default(value()?).ok_or_else(|| line.error("not a default"))?,
            "tag" => field.tag = Some(value()?.parse().map_err(|_| line.error("not a tag"))?),
            "ignorable" => field.ignorable = true,
            "inflexible" => field.inflexible = true,
            other => {
                let range =
                    versions(other, all).ok_or_else(|| line.error(format!("unknown word `{other}`")))?;
                field.versions = range
                    .intersect(scope)
                    .filter(|both| *both == range || range.last == all.last)
                    .ok_or_else(|| line.error("versions outside of the enclosing structure's"))?;
            }
        }
    }
    field.nullable = match question.as_deref() {
        None => None,
        Some("") => Some(field.versions),
        Some(range) => Some(
            versions(range, all)
                .and_then(|range| range.intersect(field.versions))
                .ok_or_else(|| line.error("nullable versions outside of the field's"))?,
        ),
    };
    Ok(field)
}

fn kind(word: &str) -> Option<Type> {
    Some(match word {
        "bool" => Type::Bool,
        "int8" => Type::Int8,
        "int16" => Type::Int16,
        "int32" => Type::Int32,
        "int64" => Type::Int64,
        "uint16" => Type::Uint16,
        "uint32" => Type::Uint32,
        "float64" => Type::Float64,
        "uuid" => Type::Uuid,
        "string" => Type::String,
        "bytes" => Type::Bytes,
        "records" => Type::Records,
        name if name.starts_with(|first: char| first.is_ascii_uppercase()) => Type::Struct(name.to_owned()),
        _ => return None,
    })
}

fn default(word: &str) -> Option<Default> {
    Some(match word {
        "null" => Default::Null,
        "true" => Default::Bool(true),
        "false" => Default::Bool(false),
        number => Default::Number(number.parse().ok()?),
    })
}

/// `4`, `4-7` or `4+`; the open end is the newest of `all`.
fn versions(word: &str, all: Versions) -> Option<Versions> {
    let range = if let Some(first) = word.strip_suffix('+') {
        Versions { first: first.parse().ok()?, last: all.last }
    } else if let Some((first, last)) = word.split_once('-') {
        Versions { first: first.parse().ok()?, last: last.parse().ok()? }
    } else {
        let only = word.parse().ok()?;
        Versions { first: only, last: only }
    };
    (range.first <= range.last).then_some(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = "api Sample key 3 versions 1-4 flexible 3+  # for tests\n\nrequest\n  struct Item 2+\n    size int32 = -1\n  name string?3+ 2-4 = null ignorable\n  items []Item\n\nresponse\n  rows []Row  # nested\n    id uuid 3+ tag 0\n";

    #[test]
    fn reads_every_part_of_a_declaration() {
        let declarations = parse(SAMPLE).unwrap();
        let [request, response] = &declarations[..] else { panic!("two declarations") };
        assert_eq!(
            (request.name.as_str(), request.kind, request.flexible),
            ("SampleRequest", Kind::Request(3), Some(3))
        );
        assert_eq!(request.structs[0].versions, Versions { first: 2, last: 4 });
        let name = &request.fields[0];
        assert_eq!((name.versions.first, name.nullable.unwrap().first, name.ignorable), (2, 3, true));
        assert_eq!(name.default, Default::Null);
        assert_eq!(request.fields_of("Item").unwrap()[0].default, Default::Number(-1));
        let row = &response.fields_of("Row").unwrap()[0];
        assert_eq!((row.tag, row.versions), (Some(0), Versions { first: 3, last: 4 }));
        assert_eq!(response.fields[0].meaning.as_deref(), Some("nested"));
    }

    #[test]
    fn errors_name_the_line() {
        for (text, line) in [
            ("api A key 1 versions 0\nrequest\n  x int99\nresponse\n", "3:"),
            ("api A key 1 versions 0\nresponse\n", "2:"),
            ("data A versions 0\n  x int8 sometimes\n", "2:"),
            ("data A versions 1-3\n  x int8 5\n", "2:"),
            ("data A versions 0\n  x int8\n  x int8\n", "3:"),
            ("data A\n", "1:"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.starts_with(line), "{text:?}: {error}");
        }
    }
}

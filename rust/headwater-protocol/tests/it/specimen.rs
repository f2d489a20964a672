//! Valid messages made from the schema alone, as bytes.
//!
//! An encoder of its own, small and slow, that shares nothing with the generated code but the schema. A field
//! that is tagged and at its default is left out, as Kafka does, so the bytes are the only right ones.

use std::path::Path;
use std::sync::LazyLock;

use xtask::schema::{self, Declaration, Default, Field, Module, Type};

static MODULES: LazyLock<Vec<Module>> = LazyLock::new(|| {
    schema::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("schema")).expect("a schema that can be read")
});

/// The schema of `name`.
pub(crate) fn declaration(name: &str) -> &'static Declaration {
    let mut all = declarations();
    all.find(|declaration| declaration.name == name).unwrap_or_else(|| panic!("no schema of {name}"))
}

/// Every message of the schema.
pub(crate) fn declarations() -> impl Iterator<Item = &'static Declaration> {
    MODULES.iter().flat_map(|module| &module.declarations)
}

/// A fast generator of numbers (splitmix64), so that a case is one seed.
#[derive(Clone)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}

/// What kind of message to make.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Style {
    /// As Kafka writes it.
    Canonical,
    /// With tagged fields that nobody knows.
    UnknownTags,
}

/// A message of `declaration` in `version`; the same seed gives the same values in every style.
pub(crate) fn specimen(declaration: &Declaration, version: i16, seed: u64, style: Style) -> Vec<u8> {
    let mut maker = Maker {
        message: declaration,
        version,
        flexible: declaration.is_flexible(version),
        dice: Dice(seed),
        // Small messages and large ones, but never an explosion of nested lists.
        budget: 1 + Dice(seed ^ 1).below(120),
        extra: (style == Style::UnknownTags).then(|| Dice(seed.rotate_left(7))),
        bytes: Vec::new(),
    };
    maker.structure(&declaration.fields);
    maker.bytes
}

struct Maker<'a> {
    message: &'a Declaration,
    version: i16,
    flexible: bool,
    dice: Dice,
    /// Elements that lists may still have.
    budget: usize,
    extra: Option<Dice>,
    bytes: Vec<u8>,
}

pub(crate) fn unsigned_varint(mut value: u64, bytes: &mut Vec<u8>) {
    while value >= 0x80 {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

impl Maker<'_> {
    fn structure(&mut self, fields: &[Field]) {
        let version = self.version;
        let present = |field: &&Field| field.versions.contains(version);
        for field in fields.iter().filter(present).filter(|field| field.tag.is_none()) {
            self.field(field);
        }
        if !self.flexible {
            return;
        }
        let mut tagged: Vec<(u32, Vec<u8>)> = Vec::new();
        for field in fields.iter().filter(present) {
            let Some(tag) = field.tag else { continue };
            if self.dice.below(2) == 0 {
                continue;
            }
            let content = self.content(|maker| maker.field(field));
            if content != self.content(|maker| maker.default_of(field)) {
                tagged.push((tag, content));
            }
        }
        if let Some(extra) = &mut self.extra {
            for number in 0..extra.below(3) as u32 {
                let content = vec![0xff; extra.below(9)];
                tagged.push((100 + number, content));
            }
        }
        tagged.sort_by_key(|(tag, _)| *tag);
        unsigned_varint(tagged.len() as u64, &mut self.bytes);
        for (tag, content) in tagged {
            unsigned_varint(u64::from(tag), &mut self.bytes);
            unsigned_varint(content.len() as u64, &mut self.bytes);
            self.bytes.extend(content);
        }
    }

    /// What `make` appends, on its own.
    fn content(&mut self, make: impl FnOnce(&mut Self)) -> Vec<u8> {
        let outside = std::mem::take(&mut self.bytes);
        make(self);
        std::mem::replace(&mut self.bytes, outside)
    }

    fn is_structure(field: &Field) -> bool {
        !field.array && matches!(field.kind, Type::Struct(_))
    }

    /// The byte before a structure that may be null.
    fn presence(&mut self, field: &Field, present: bool) {
        self.bytes.push(match (field.tag.is_some(), present) {
            (_, true) => 1,
            (true, false) => 0,
            (false, false) => 0xff,
        });
    }

    fn field(&mut self, field: &Field) {
        let nullable = field.nullable.is_some_and(|range| range.contains(self.version));
        let null = nullable && self.dice.below(3) == 0;
        let structure = Self::is_structure(field);
        if null {
            return if structure { self.presence(field, false) } else { self.length(field, None) };
        }
        if nullable && structure {
            self.presence(field, true);
        }
        if !field.array {
            return self.value(field);
        }
        let count = self.dice.below(4).min(self.budget);
        self.budget -= count;
        self.length(field, Some(count));
        (0..count).for_each(|_| self.value(field));
    }

    /// A length as this kind of field writes it.
    fn length(&mut self, field: &Field, length: Option<usize>) {
        let short = field.kind == Type::String && !field.array;
        match (self.flexible && !field.inflexible, length) {
            (true, length) => unsigned_varint(length.map_or(0, |length| length as u64 + 1), &mut self.bytes),
            (false, length) if short => {
                self.bytes.extend(length.map_or(-1, |length| length as i16).to_be_bytes());
            }
            (false, length) => self.bytes.extend(length.map_or(-1, |length| length as i32).to_be_bytes()),
        }
    }

    fn value(&mut self, field: &Field) {
        // Numbers near the edges are as likely as any others.
        let number = match self.dice.below(4) {
            0 => 0,
            1 => u64::MAX,
            2 => self.dice.next() % 200,
            _ => self.dice.next(),
        };
        match &field.kind {
            Type::Bool => self.bytes.push((number & 1) as u8),
            Type::Int8 => self.bytes.push(number as u8),
            Type::Int16 | Type::Uint16 => self.bytes.extend((number as u16).to_be_bytes()),
            Type::Int32 | Type::Uint32 => self.bytes.extend((number as u32).to_be_bytes()),
            Type::Int64 => self.bytes.extend(number.to_be_bytes()),
            Type::Float64 => self.bytes.extend((number as i64 as f64 / 3.0).to_be_bytes()),
            Type::Uuid => {
                self.bytes.extend(number.to_be_bytes());
                self.bytes.extend(number.rotate_left(9).to_be_bytes());
            }
            Type::String => {
                let text = self.text();
                self.length(&Field { array: false, ..field.clone() }, Some(text.len()));
                self.bytes.extend(text.into_bytes());
            }
            Type::Bytes | Type::Records => {
                // Now and then large enough to become a chunk of its own.
                let size = if self.dice.below(40) == 0 { 5000 } else { self.dice.below(20) };
                self.length(field, Some(size));
                let fill = number as u8;
                self.bytes.extend(std::iter::repeat_n(fill, size));
            }
            Type::Struct(name) => {
                let message = self.message;
                self.structure(message.fields_of(name).expect("a declared structure"));
            }
        }
    }

    fn text(&mut self) -> String {
        const LETTERS: [char; 8] = ['a', 'Z', '0', '-', '.', 'é', '水', '🌊'];
        let length = if self.dice.below(60) == 0 { 300 } else { self.dice.below(12) };
        (0..length).map(|_| LETTERS[self.dice.below(LETTERS.len())]).collect()
    }

    fn default_of(&mut self, field: &Field) {
        let structure = Self::is_structure(field);
        let nullable = field.nullable.is_some_and(|range| range.contains(self.version));
        match (&field.default, &field.kind) {
            (Default::Null, _) if structure => self.presence(field, false),
            (Default::Null, _) => self.length(field, None),
            (_, Type::Struct(name)) if structure => {
                if nullable {
                    self.presence(field, true);
                }
                let message = self.message;
                for inner in message.fields_of(name).expect("a declared structure") {
                    if inner.versions.contains(self.version) && inner.tag.is_none() {
                        self.default_of(inner);
                    }
                }
                self.bytes.push(0);
            }
            (Default::Number(number), kind) => {
                let bytes = number.to_be_bytes();
                self.bytes.extend(&bytes[8 - width(kind)..]);
            }
            (Default::Bool(value), _) => self.bytes.push(u8::from(*value)),
            (Default::Zero, kind) => match width(kind) {
                0 => self.length(field, Some(0)),
                _ if field.array => self.length(field, Some(0)),
                width => self.bytes.extend(std::iter::repeat_n(0, width)),
            },
        }
    }
}

/// Bytes of a value of fixed size; 0 for the others.
fn width(kind: &Type) -> usize {
    match kind {
        Type::Bool | Type::Int8 => 1,
        Type::Int16 | Type::Uint16 => 2,
        Type::Int32 | Type::Uint32 => 4,
        Type::Int64 | Type::Float64 => 8,
        Type::Uuid => 16,
        Type::String | Type::Bytes | Type::Records | Type::Struct(_) => 0,
    }
}

//! Whatever is called backward compatible can be read: a schema, another that grew out of it, and datums of the first.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use super::datum_tests::resolved;
use super::parse::{self, Names};
use super::wire::{put_bytes, put_long};
use crate::json::properties::config;
use crate::{Definition, SchemaText};
use apache_avro::Schema as Avro;
use apache_avro::schema::UuidSchema;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

/// Choices, of a seed.
pub(crate) struct Choices {
    state: u64,
    names: usize,
}

impl Choices {
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed | 1, names: 0 }
    }

    fn next(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    /// One of so many.
    pub(crate) fn of(&mut self, count: u64) -> u64 {
        self.next() % count
    }

    fn name(&mut self) -> String {
        self.names += 1;
        format!("N{}", self.names)
    }

    /// A type and what became of it.
    fn pair(&mut self, depth: u32) -> (Json, Json) {
        let leaf = depth == 0;
        let (writer, reader) = match self.of(if leaf { 9 } else { 14 }) {
            0 => (
                json!("int"),
                [json!("int"), json!("long"), json!("float"), json!("double")][self.of(4) as usize].clone(),
            ),
            1 => (json!("long"), [json!("long"), json!("double")][self.of(2) as usize].clone()),
            2 => (json!("float"), [json!("float"), json!("double")][self.of(2) as usize].clone()),
            3 => (json!("string"), [json!("string"), json!("bytes")][self.of(2) as usize].clone()),
            4 => (json!("boolean"), json!("boolean")),
            5 => {
                let same = [
                    json!({"type": "int", "logicalType": "date"}),
                    json!({"type": "long", "logicalType": "timestamp-micros"}),
                    json!({"type": "string", "logicalType": "uuid"}),
                    json!({"type": "long", "logicalType": "local-timestamp-nanos"}),
                    json!({"type": "bytes", "logicalType": "decimal", "precision": 30, "scale": 3}),
                ][self.of(5) as usize]
                    .clone();
                (same.clone(), same)
            }
            6 => {
                let name = self.name();
                let same = json!({"type": "fixed", "name": name, "size": 1 + self.of(5)});
                (same.clone(), same)
            }
            7 => self.enumeration(),
            8 => (json!("double"), [json!("double"), json!("float")][(self.of(6) == 0) as usize].clone()),
            9 => {
                let (writer, reader) = self.pair(depth - 1);
                (json!({"type": "array", "items": writer}), json!({"type": "array", "items": reader}))
            }
            10 => {
                let (writer, reader) = self.pair(depth - 1);
                (json!({"type": "map", "values": writer}), json!({"type": "map", "values": reader}))
            }
            11 => return self.union(depth - 1),
            _ => self.record(depth - 1),
        };
        // A type may become one of several.
        match self.of(8) {
            0 => (writer, json!(["null", reader])),
            1 => (json!([writer]), reader),
            2 if writer != "boolean" && reader != "boolean" => (writer, json!([reader, "null", "boolean"])),
            _ => (writer, reader),
        }
        .flat()
    }

    fn enumeration(&mut self) -> (Json, Json) {
        let name = self.name();
        let writer = json!({"type": "enum", "name": name, "symbols": ["A", "B", "C"]});
        let reader = match self.of(4) {
            0 => json!({"type": "enum", "name": name, "symbols": ["C", "A"], "default": "A"}),
            1 => json!({"type": "enum", "name": name, "symbols": ["D", "C", "B", "A"]}),
            2 => {
                json!({"type": "enum", "name": format!("{name}x"), "aliases": [name], "symbols": ["A", "B", "C"]})
            }
            _ => writer.clone(),
        };
        (writer, reader)
    }

    fn union(&mut self, depth: u32) -> (Json, Json) {
        let mut writer = vec![json!("null")];
        let mut reader = vec![json!("null")];
        for kind in ["string", "long", "boolean"] {
            if self.of(2) == 0 {
                writer.push(json!(kind));
            }
            if self.of(4) != 0 {
                reader.push(json!(kind));
            }
        }
        if self.of(2) == 0 {
            let (w, r) = self.record(depth);
            writer.push(w);
            reader.insert(self.of(reader.len() as u64) as usize, r);
        }
        (writer.into(), reader.into())
    }

    fn record(&mut self, depth: u32) -> (Json, Json) {
        let name = self.name();
        let (mut writer, mut reader) = (Vec::new(), Vec::new());
        for i in 0..self.of(4) {
            let field = format!("f{i}");
            let (w, r) = self.pair(depth);
            match self.of(6) {
                // It went.
                0 => writer.push(json!({"name": field, "type": w})),
                // It came, with a default.
                1 => reader.push(json!({"name": field, "type": flat(json!(["null", r])), "default": null})),
                2 => reader.insert(0, json!({"name": field, "type": "int", "default": 7})),
                3 => {
                    writer.push(json!({"name": field, "type": w}));
                    reader.push(json!({"name": format!("g{i}"), "aliases": [field], "type": r}));
                }
                _ => {
                    writer.push(json!({"name": field, "type": w}));
                    reader
                        .insert(self.of(reader.len() as u64 + 1) as usize, json!({"name": field, "type": r}));
                }
            }
        }
        (
            json!({"type": "record", "name": name, "fields": writer}),
            json!({"type": "record", "name": format!("other.{name}"), "fields": reader}),
        )
    }

    /// Appends a datum.
    fn datum(&mut self, names: &Names<'_>, avro: &Avro, out: &mut Vec<u8>) {
        match names.resolve(avro).unwrap() {
            Avro::Null => {}
            Avro::Boolean => out.push(self.of(2) as u8),
            Avro::Int | Avro::Date => put_long(out, self.of(200) as i64 - 100),
            Avro::Float => out.extend_from_slice(&1.5_f32.to_le_bytes()),
            Avro::Double => out.extend_from_slice(&(self.of(9) as f64).to_le_bytes()),
            Avro::Bytes | Avro::String | Avro::Decimal(_) | Avro::Uuid(UuidSchema::String) => {
                put_bytes(out, &b"abcdef"[..self.of(6) as usize]);
            }
            Avro::Fixed(of) => out.extend(std::iter::repeat_n(b'x', of.size)),
            Avro::Enum(of) => put_long(out, self.of(of.symbols.len() as u64) as i64),
            Avro::Array(of) => {
                let count = self.of(3);
                if count > 0 {
                    put_long(out, count as i64);
                }
                (0..count).for_each(|_| self.datum(names, &of.items, out));
                put_long(out, 0);
            }
            Avro::Map(of) => {
                if self.of(2) == 0 {
                    put_long(out, 1);
                    put_bytes(out, b"k");
                    self.datum(names, &of.types, out);
                }
                put_long(out, 0);
            }
            Avro::Union(of) => {
                let at = self.of(of.variants().len() as u64);
                put_long(out, at as i64);
                self.datum(names, &of.variants()[at as usize], out);
            }
            Avro::Record(of) => of.fields.iter().for_each(|f| self.datum(names, &f.schema, out)),
            _ => put_long(out, self.next() as i64),
        }
    }
}

trait Flat {
    /// Without unions in unions, which Avro does not have.
    fn flat(self) -> Self;
}

impl Flat for (Json, Json) {
    fn flat(self) -> Self {
        (flat(self.0), flat(self.1))
    }
}

fn flat(json: Json) -> Json {
    let Json::Array(branches) = json else { return json };
    let mut all: Vec<Json> = Vec::new();
    for branch in branches {
        let inner = if let Json::Array(inner) = branch { inner } else { vec![branch] };
        for branch in inner {
            if !all.contains(&branch) {
                all.push(branch);
            }
        }
    }
    all.into()
}

fn text(json: &Json) -> SchemaText {
    SchemaText::avro(json.to_string())
}

/// Whether the pair was compatible; then it was read.
fn check(seed: u64) -> bool {
    let mut choices = Choices::new(seed);
    let (writer, reader) = choices.record(3);
    let (Ok(old), Ok(new)) = (Definition::parse_new(&text(&writer)), Definition::parse_new(&text(&reader)))
    else {
        return false;
    };
    if !new.incompatibilities(&old).is_empty() {
        return false;
    }
    let avro = parse::schema(&writer, false).unwrap();
    let names = Names::of(&avro).unwrap();
    for _ in 0..4 {
        let mut datum = Vec::new();
        choices.datum(&names, &avro, &mut datum);
        let read = resolved(&reader.to_string(), &writer.to_string(), &datum);
        assert!(read.is_ok(), "{} does not read {datum:?} of {writer}: {}", reader, read.unwrap_err());
    }
    true
}

#[test]
fn many_of_the_pairs_are_compatible() {
    let compatible =
        (1..400).filter(|seed: &u64| check(u64::wrapping_mul(*seed, 0x9e37_79b9_7f4a_7c15))).count();
    assert!(compatible > 100, "{compatible}");
}

proptest! {
    #![proptest_config(config(600))]

    #[test]
    fn what_is_called_backward_compatible_is_read(seed in any::<u64>()) {
        check(seed);
    }
}

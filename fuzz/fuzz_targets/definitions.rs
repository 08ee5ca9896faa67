//! Any text as a schema of any type, beside another one and with one that it refers to: what a registry makes of them does not
//! panic and is stable, and every schema can read what it wrote itself.
//!
//! The input: the type, then texts parted by a byte that none holds: a schema, another, one that both refer to as `ref`.
#![no_main]

use bd_schema::{CompatibilityPolicy, Definition, Referenced, SchemaText, SchemaType};
use libfuzzer_sys::fuzz_target;

#[path = "../src/records.rs"]
mod records;

fuzz_target!(|data: &[u8]| {
    let [of, texts @ ..] = data else { return };
    let schema_type = SchemaType::ALL[usize::from(*of) % SchemaType::ALL.len()];
    let mut texts = records::parts(texts, 0xff).into_iter().flatten().map(String::from_utf8_lossy);
    let first = texts.next().unwrap_or_default();
    let (second, third) = (texts.next(), texts.next());
    let referenced: Vec<Referenced> =
        third.into_iter().map(|text| Referenced { name: "ref".into(), text: (&*text).into() }).collect();
    let parse = |text: &str| {
        let text = SchemaText { schema_type, text: text.into(), referenced: referenced.clone() };
        let _ = Definition::parse_new(&text);
        Definition::parse(&text)
    };
    let Ok(schema) = parse(&first) else { return };
    let _ = (schema.name(), schema.formatted("serialized"));
    let canonical = schema.canonical();
    assert_eq!(parse(&canonical).expect("the canonical text is a schema").canonical(), canonical);
    let normalized = schema.normalized();
    assert_eq!(parse(&normalized).expect("the normal form is a schema").normalized(), normalized);
    assert_eq!(schema.incompatibilities(&schema), []);
    let Some(Ok(other)) = second.map(|text| parse(&text)) else { return };
    let _ = (schema.incompatibilities(&other), other.incompatibilities(&schema));
    if let (Definition::Json(a), Definition::Json(b)) = (&schema, &other) {
        let _ = a.incompatibilities(b, CompatibilityPolicy::Lenient);
    }
});

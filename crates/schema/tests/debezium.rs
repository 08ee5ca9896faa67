//! Debezium's change events as a real Kafka Connect with an Avro converter wrote them: `BD_PEER_RECORDS` is a file of `bd consume --format
//! hex`, `BD_PEER_REGISTRY` the URL of a registry with their schemas. See `tests/peers/debezium.sh`; built only with the feature `peers`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test without its records has failed")]

use bd_schema::{AvroCodec, AvroReader, Codec, RegistryClient, Role};
use serde_json::Value as Json;
use std::sync::Arc;

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect()
}

#[test]
fn change_events_are_encoded_to_the_same_bytes_under_the_same_schema() {
    let env = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
    let registry = Arc::new(RegistryClient::new(&env("BD_PEER_REGISTRY")));
    let reader = AvroReader::new(registry.clone());
    let records = std::fs::read_to_string(env("BD_PEER_RECORDS")).unwrap();
    let (mut checked, mut told) = (0, String::new());
    for line in records.lines() {
        let record: Json = serde_json::from_str(line).unwrap();
        for (part, role) in [("key", Role::Key), ("value", Role::Value)] {
            let Some(hex) = record[part].as_str() else { continue };
            let written = bytes(hex);
            let (shape, row) = reader.decode(&written).unwrap();
            told.push_str(&shape.text);
            let subject = format!("{}-{part}", record["topic"].as_str().unwrap());
            let schema = shape.schema.clone();
            // Registers its declaration, which must be the schema that is there: else it had another id.
            let codec =
                AvroCodec::with_declaration(registry.clone(), subject, schema, role, &*shape.text).unwrap();
            let mut again = Vec::new();
            codec.encode_row(&row, &mut again).unwrap();
            assert_eq!(again, written, "{part} of {line}");
            checked += 1;
        }
    }
    // Six keys, five values and a tombstone; and Connect's metadata was there to be lost.
    assert_eq!(checked, 11);
    for metadata in ["connect.name", "connect.parameters", "connect.default", "connect.version"] {
        assert!(told.contains(metadata), "no {metadata} in {told}");
    }
}

//! A datum of any schema: any bytes as a reader's schema, a writer's and a datum. Rows and Arrow agree, nothing panics, and what a
//! registry makes of the schemas is stable.
#![no_main]

use bd_schema::avro::{AvroDatumCodec, AvroFraming, schema_of_avro};
use bd_schema::{Codec, DataType, Definition, Field, Role, Schema, SchemaText, arrow_to_rows};
use libfuzzer_sys::fuzz_target;
use std::sync::Arc;

const SCHEMAS: [&str; 4] = [
    r#"{"type":"record","name":"R","fields":[{"name":"a","type":["null","string","long",{"type":"record","name":"P","fields":[{"name":"x","type":"int"}]}]},{"name":"b","type":{"type":"array","items":"null"}},{"name":"c","type":{"type":"map","values":"double"}}]}"#,
    r#"{"type":"record","name":"R","fields":[{"name":"a","type":["null","string"]},{"name":"d","type":{"type":"bytes","logicalType":"decimal","precision":38,"scale":4},"default":"\u0001"},{"name":"e","type":{"type":"enum","name":"E","symbols":["A","B"],"default":"A"},"default":"B"}]}"#,
    r#"{"type":"record","name":"L","fields":[{"name":"v","type":"int"},{"name":"next","type":["null","L"]},{"name":"f","type":{"type":"fixed","name":"F","size":16,"logicalType":"uuid"}}]}"#,
    r#"["null","long",{"type":"fixed","name":"D","size":12,"logicalType":"duration"},{"type":"array","items":{"type":"record","name":"Z","fields":[]}}]"#,
];

fn schema(choice: u8, text: &[u8]) -> String {
    match SCHEMAS.get(choice as usize % (SCHEMAS.len() + 1)) {
        Some(known) => (*known).to_owned(),
        None => String::from_utf8_lossy(text).into_owned(),
    }
}

fuzz_target!(|input: &[u8]| {
    let [of_reader, of_writer, split, rest @ ..] = input else { return };
    let (text, datum) = rest.split_at((*split as usize).min(rest.len()));
    let (reader, writer) = (schema(*of_reader, text), schema(*of_writer, text));
    let parse = |text: &str| Definition::parse(&SchemaText::avro(text));
    if let (Ok(new), Ok(old)) = (parse(&reader), parse(&writer)) {
        let canonical = new.canonical();
        assert_eq!(parse(&canonical).unwrap().canonical(), canonical);
        let normalized = new.normalized();
        assert_eq!(parse(&normalized).unwrap().normalized(), normalized);
        let _ = new.incompatibilities(&old);
    }
    let any = Schema::new(vec![
        Field::new("v", DataType::BigInt),
        Field::new("a", DataType::Varchar),
        Field::new("next", DataType::Struct(Arc::from([Field::new("v", DataType::Decimal(9, 2))]))),
    ]);
    let columns = schema_of_avro(&reader).map(|shape| shape.schema).unwrap_or(any);
    let codec = AvroDatumCodec::new(reader, columns, Role::Value, AvroFraming::Plain)
        .and_then(|codec| codec.with_writer(&writer));
    let Ok(codec) = codec else { return };
    let row = codec.decode_row(datum);
    let decoded = codec.decode_arrow(&[Some(datum), None, Some(datum)]);
    match row {
        Ok(row) => {
            let rows = arrow_to_rows(codec.schema(), &decoded.batch).unwrap();
            assert_eq!(format!("{rows:?}"), format!("{:?}", [&row, &row]));
            let mut out = Vec::new();
            let _ = codec.encode_row(&row, &mut out);
        }
        Err(_) => assert_eq!(decoded.errors.len(), 2),
    }
});

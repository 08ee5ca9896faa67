//! Any bytes as JSON Schemas and as JSON records: nothing panics, and what two ways of reading say is the same.
#![no_main]

use bd_schema::json_schema::{JsonSchemaReader, JsonSchemaCodec};
use bd_schema::{
    Codec, DataType, Definition, Field, JsonCodec, NewSchema, RegisteredSchema, RegistryError, Role, Schema,
    SchemaRegistry, SchemaText, SchemaType, arrow_to_rows,
};
use libfuzzer_sys::fuzz_target;
use std::sync::{Arc, LazyLock};

/// One schema.
struct One(Arc<SchemaText>);

impl SchemaRegistry for One {
    fn schema(&self, _: u32) -> Result<Arc<SchemaText>, RegistryError> {
        Ok(self.0.clone())
    }

    fn register(&self, _: &str, _: &NewSchema) -> Result<u32, RegistryError> {
        Ok(1)
    }

    fn latest(&self, _: &str) -> Result<Option<RegisteredSchema>, RegistryError> {
        Ok(None)
    }
}

static CODECS: LazyLock<Vec<Box<dyn Codec>>> = LazyLock::new(|| {
    let inner = DataType::Struct([Field::new("x", DataType::Double), Field::new("y", DataType::Varchar)].into());
    let types = [
        DataType::Boolean, DataType::Integer, DataType::BigInt, DataType::Double, DataType::Decimal(9, 2),
        DataType::Varchar, DataType::Bytes, DataType::Date, DataType::Time, DataType::Timestamp,
        DataType::Array(Arc::new(DataType::BigInt)), DataType::Map(Arc::new(DataType::Varchar)), inner,
    ];
    let fields = types.into_iter().zip('a'..).map(|(t, name)| Field::new(name, t)).collect();
    let schema = Schema::new(fields);
    let registry = Arc::new(One(Arc::new(SchemaText::new(SchemaType::Json, "{}"))));
    vec![
        Box::new(JsonCodec::new(schema.clone())),
        Box::new(JsonCodec::new(schema.clone()).unknown_fields_refused(true).case_sensitive(true)),
        Box::new(JsonCodec::key(Schema::new(vec![Field::new("k", DataType::Varchar)]))),
        Box::new(JsonSchemaCodec::new(registry, "t", schema, Role::Value)),
    ]
});

fuzz_target!(|data: &[u8]| {
    // Records, parted by a byte that no JSON holds: each as Arrow and as a row.
    let records: Vec<Option<&[u8]>> = data.split(|b| *b == 0xff).map(Some).collect();
    for codec in CODECS.iter() {
        let decoded = codec.decode_arrow(&records);
        let rows = arrow_to_rows(codec.schema(), &decoded.batch).expect("its own batch");
        for (place, row) in decoded.rows.iter().zip(&rows) {
            let alone = codec.decode_row(records[*place as usize].unwrap_or_default()).expect("decoded before");
            assert_eq!(format!("{alone:?}"), format!("{row:?}"));
        }
        for error in &decoded.errors {
            assert!(codec.decode_row(records[error.index].unwrap_or_default()).is_err());
        }
    }
    // Schemas: two texts, and a record of the first.
    let mut texts = data.split(|b| *b == 0xff).map(|t| String::from_utf8_lossy(t).into_owned());
    let (Some(first), second, record) = (texts.next(), texts.next(), texts.next()) else { return };
    let parse = |text: &str| Definition::parse(&SchemaText::new(SchemaType::Json, text));
    let Ok(schema) = parse(&first) else { return };
    let normal = parse(&schema.normalized()).expect("the normal form is a schema");
    assert_eq!(normal.normalized(), schema.normalized());
    let _ = schema.incompatibilities(&schema);
    if let Some(other) = second.and_then(|text| parse(&text).ok()) {
        let _ = (schema.incompatibilities(&other), other.incompatibilities(&schema));
    }
    let reader = JsonSchemaReader::new(Arc::new(One(Arc::new(SchemaText::new(SchemaType::Json, first)))));
    let framed = [&[0, 0, 0, 0, 1][..], record.unwrap_or_default().as_bytes()].concat();
    let _ = reader.decode(&framed);
});

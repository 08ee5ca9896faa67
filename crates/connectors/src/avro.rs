//! Avro declarations as Connect's schemas.

use bd_connect::sdk::{ConnectField, ConnectSchema, Shape};
use bd_schema::avro::{AvroField, schema_of_avro};

/// The schema of values that an Avro record declares; converters that write Avro register that declaration.
///
/// # Errors
/// It is no Avro schema, or not one of a record; says why.
pub(crate) fn schema_of_record(declaration: &str) -> Result<ConnectSchema, String> {
    let shape = schema_of_avro(declaration).map_err(|e| e.to_string())?;
    if shape.single {
        return Err("an Avro record wanted, it declares another type".to_owned());
    }
    let fields = shape.fields.into_iter().map(field).collect();
    let shape_of = Shape::Struct { schema: shape.schema, fields };
    Ok(ConnectSchema { name: shape.name, shape: shape_of, avro: Some(shape.avro) })
}

fn field(field: AvroField) -> ConnectField {
    let fields = field.fields.into_iter().map(self::field).collect();
    ConnectField { required: field.required, semantic: field.semantic, fields }
}

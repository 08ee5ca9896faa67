//! Avro declarations as Connect's schemas.

use bd_connect::sdk::ConnectSchema;
use bd_schema::avro::schema_of_avro;

/// The schema of values that an Avro record declares; converters that write Avro register that declaration.
///
/// # Errors
/// It is no Avro schema, or not one of a record; says why.
pub(crate) fn schema_of_record(declaration: &str) -> Result<ConnectSchema, String> {
    let shape = schema_of_avro(declaration).map_err(|e| e.to_string())?;
    if shape.single {
        return Err("an Avro record wanted, it declares another type".to_owned());
    }
    Ok(ConnectSchema { avro: Some(shape.text.clone()), ..ConnectSchema::read(&shape) })
}

//! A line of delimited text: rows and Arrow agree on any bytes, and what was read is written so that it is read as the same.
#![no_main]

use bd_schema::{Codec, DataType, DelimitedCodec, Delimiter, Field, Schema, arrow_to_rows};
use libfuzzer_sys::fuzz_target;

const TYPES: [DataType; 10] = [
    DataType::Varchar,
    DataType::Integer,
    DataType::BigInt,
    DataType::Double,
    DataType::Decimal(12, 3),
    DataType::Boolean,
    DataType::Bytes,
    DataType::Date,
    DataType::Time,
    DataType::Timestamp,
];

fuzz_target!(|input: &[u8]| {
    let [delimiter, width, first, payload @ ..] = input else { return };
    let delimiter = [",", "TAB", "SPACE", ";", "€"][*delimiter as usize % 5];
    let of = |i: u8| TYPES[(first.wrapping_add(i)) as usize % TYPES.len()].clone();
    let fields = (0..=width % 6).map(|i| Field::new(format!("c{i}"), of(i))).collect();
    let codec = DelimitedCodec::new(Schema::new(fields), Delimiter::parse(delimiter).unwrap()).unwrap();
    let decoded = codec.decode_arrow(&[Some(payload)]);
    match codec.decode_row(payload) {
        Ok(row) => {
            let rows = arrow_to_rows(codec.schema(), &decoded.batch).unwrap();
            assert_eq!(format!("{rows:?}"), format!("{:?}", [&row]));
            let mut out = Vec::new();
            codec.encode_row(&row, &mut out).unwrap();
            assert_eq!(format!("{:?}", codec.decode_row(&out).unwrap()), format!("{row:?}"));
        }
        Err(error) => assert_eq!(decoded.errors, [error]),
    }
});

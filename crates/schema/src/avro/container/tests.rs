//! Container files, judged by the crate `apache-avro`; damaged ones.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use super::{AvroFileError, AvroFileReader, AvroFileWriter, Compression};
use crate::avro::avro_of_schema;
use crate::conformance::{telling_types, telling_values};
use crate::json::properties::{config, schema_and_rows};
use crate::{Field, Row, Schema, Value, arrow_to_rows, rows_to_arrow};
use apache_avro::types::Value as Theirs;
use proptest::prelude::*;

const ONE: &str =
    r#"{"type":"record","name":"R","fields":[{"name":"id","type":"long"},{"name":"t","type":"string"}]}"#;

fn row(id: i64) -> Row {
    vec![Value::BigInt(id), Value::Varchar(format!("row {id}"))]
}

fn file(rows: &[Row], compression: Compression) -> Vec<u8> {
    let mut writer = AvroFileWriter::create(Vec::new(), ONE, compression).unwrap();
    rows.iter().for_each(|row| writer.write_row(row).unwrap());
    writer.finish().unwrap()
}

fn rows(file: &[u8]) -> Vec<Row> {
    let mut reader = AvroFileReader::open(file).unwrap();
    let mut all = Vec::new();
    while let Some(rows) = reader.next_rows().unwrap() {
        all.extend(rows);
    }
    all
}

#[test]
fn rows_and_arrow_of_every_type_come_back_with_every_compression() {
    let types = telling_types();
    let fields = types.iter().enumerate().map(|(i, t)| Field::new(format!("c{i}"), t.clone())).collect();
    let schema = Schema::new(fields);
    let values: Vec<Vec<Value>> = types.iter().map(telling_values).collect();
    let of = |i: usize| -> Row { values.iter().map(|v| v[i % v.len()].clone()).collect() };
    let mut wanted: Vec<Row> = (0..40).map(of).collect();
    wanted.push(vec![Value::Null; types.len()]);
    let declared = avro_of_schema("n.R", &schema, &[]).unwrap();
    for compression in Compression::ALL {
        let mut writer = AvroFileWriter::create(Vec::new(), &declared, compression).unwrap();
        let columns = writer.shape().schema.clone();
        wanted[..20].iter().for_each(|row| writer.write_row(row).unwrap());
        writer.flush().unwrap();
        writer.write_arrow(&rows_to_arrow(&columns, &wanted[20..]).unwrap()).unwrap();
        let file = writer.finish().unwrap();
        assert_eq!(format!("{:?}", rows(&file)), format!("{wanted:?}"), "{compression}");

        let mut reader = AvroFileReader::open(file.as_slice()).unwrap();
        assert_eq!((reader.compression(), &reader.shape().schema), (compression, &columns));
        let mut found = Vec::new();
        while let Some(batch) = reader.next_arrow().unwrap() {
            found.extend(arrow_to_rows(&columns, &batch).unwrap());
        }
        assert_eq!(format!("{found:?}"), format!("{wanted:?}"), "{compression}");
    }
}

#[test]
fn apache_avro_reads_what_is_written_and_what_it_writes_is_read() {
    let wanted: Vec<Row> = (0..5000).map(row).collect();
    for compression in [Compression::Null, Compression::Deflate, Compression::Snappy] {
        let bytes = file(&wanted, compression);
        let theirs = apache_avro::Reader::new(bytes.as_slice()).unwrap();
        let ids = theirs.map(|value| match value.unwrap() {
            Theirs::Record(fields) => match (&fields[0].1, &fields[1].1) {
                (Theirs::Long(id), Theirs::String(text)) => {
                    vec![Value::BigInt(*id), Value::Varchar(text.clone())]
                }
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        });
        assert_eq!(ids.collect::<Vec<_>>(), wanted, "{compression}");
    }
    let schema = apache_avro::Schema::parse_str(ONE).unwrap();
    for codec in [apache_avro::Codec::Null, apache_avro::Codec::Snappy] {
        let mut writer = apache_avro::Writer::with_codec(&schema, Vec::new(), codec).unwrap();
        for id in 0..5000_i64 {
            let fields = vec![
                ("id".to_owned(), Theirs::Long(id)),
                ("t".to_owned(), Theirs::String(format!("row {id}"))),
            ];
            writer.append_value(Theirs::Record(fields)).unwrap();
        }
        assert_eq!(rows(&writer.into_inner().unwrap()), wanted);
    }
}

#[test]
fn a_reader_s_schema_tells_the_columns() {
    let reader = r#"{"type":"record","name":"R","fields":[{"name":"text","aliases":["t"],"type":"string"},{"name":"n","type":"int","default":7}]}"#;
    let file = file(&[row(45)], Compression::Zstandard);
    let mut reader = AvroFileReader::open_with(file.as_slice(), reader).unwrap();
    assert_eq!(
        reader.next_rows().unwrap(),
        Some(vec![vec![Value::Varchar("row 45".into()), Value::Integer(7)]])
    );
    assert_eq!(reader.next_rows().unwrap(), None);
    assert_eq!(reader.metadata("avro.codec"), Some(&b"zstandard"[..]));
}

#[test]
fn a_broken_record_costs_its_block_only() {
    let mut writer = AvroFileWriter::create(Vec::new(), ONE, Compression::Null).unwrap();
    let error = writer.write_row(&vec![Value::Null, Value::Null]).unwrap_err();
    assert!(matches!(&error, AvroFileError::Record(e) if e.path == "id"), "{error}");
    for id in [1, 2, 3] {
        writer.write_row(&row(id)).unwrap();
        writer.write_row(&row(id)).unwrap();
        writer.flush().unwrap();
    }
    let mut bytes = writer.finish().unwrap();
    let at = bytes.windows(5).rposition(|w| w == b"row 2").unwrap();
    bytes[at] = 0xff;
    let mut reader = AvroFileReader::open(bytes.as_slice()).unwrap();
    assert_eq!(reader.next_rows().unwrap(), Some(vec![row(1), row(1)]));
    let error = reader.next_rows().unwrap_err();
    assert!(matches!(&error, AvroFileError::Record(e) if (e.index, &*e.path) == (3, "t")), "{error}");
    assert_eq!(reader.next_rows().unwrap(), Some(vec![row(3), row(3)]));
    assert_eq!(reader.next_rows().unwrap(), None);
}

#[test]
fn damaged_files_are_told_and_end() {
    let good = file(&[row(1), row(2)], Compression::Snappy);
    assert!(matches!(AvroFileReader::open(&b"Obj\x02"[..]), Err(AvroFileError::Format(_))));
    for cut in 0..good.len() {
        let read = AvroFileReader::open(&good[..cut]).and_then(|mut reader| {
            let first = reader.next_rows();
            assert!(first.is_ok() || matches!(reader.next_rows(), Ok(None)));
            first
        });
        assert!(!matches!(read, Ok(Some(_))), "cut at {cut}");
    }
    // A block that claims more than there is; records that take no bytes, without end.
    let header = &good[..good.len() - 16];
    let header_end =
        AvroFileWriter::create(Vec::new(), ONE, Compression::Null).unwrap().finish().unwrap().len() + 2;
    let mut claims = header[..header_end].to_vec();
    claims.extend_from_slice(&[2, 0xfe, 0xff, 0xff, 0x7f]);
    assert!(AvroFileReader::open(claims.as_slice()).unwrap().next_rows().is_err());
    let empty = r#"{"type":"record","name":"R","fields":[]}"#;
    let mut nothing = AvroFileWriter::create(Vec::new(), empty, Compression::Null).unwrap().finish().unwrap();
    let sync = nothing[nothing.len() - 16..].to_vec();
    nothing.extend_from_slice(&[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0]);
    nothing.extend_from_slice(&sync);
    let error = AvroFileReader::open(nothing.as_slice()).unwrap().next_rows().unwrap_err();
    assert!(error.to_string().contains("take no bytes"), "{error}");
}

proptest! {
    #![proptest_config(config(60))]

    #[test]
    fn any_rows_of_any_schema_come_back((schema, wanted) in schema_and_rows(), which in 0..4_usize) {
        let declared = avro_of_schema("n.R", &schema, &[]).unwrap();
        let mut writer = AvroFileWriter::create(Vec::new(), &declared, Compression::ALL[which]).unwrap();
        wanted.iter().for_each(|row| writer.write_row(row).unwrap());
        let file = writer.finish().unwrap();
        prop_assert_eq!(format!("{:?}", rows(&file)), format!("{wanted:?}"));
    }

    #[test]
    fn no_damage_makes_it_panic(at in any::<proptest::sample::Index>(), byte in any::<u8>(), which in 0..4_usize) {
        let mut bytes = file(&(0..20).map(row).collect::<Vec<_>>(), Compression::ALL[which]);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(mut reader) = AvroFileReader::open(bytes.as_slice()) {
            while !matches!(reader.next_rows(), Ok(None)) {}
        }
        if let Ok(mut reader) = AvroFileReader::open(bytes.as_slice()) {
            while !matches!(reader.next_arrow(), Ok(None)) {}
        }
    }
}

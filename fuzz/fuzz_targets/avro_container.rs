//! An Avro object container file, damaged anywhere: it is read to an end, by rows and by Arrow alike, without a panic.
#![no_main]

use bd_schema::avro::{AvroFileReader, AvroFileWriter, Compression};
use bd_schema::{Value, arrow_to_rows};
use libfuzzer_sys::fuzz_target;

const SCHEMA: &str = r#"{"type":"record","name":"R","fields":[{"name":"id","type":"long"},{"name":"t","type":["null","string"]}]}"#;

/// A file whose bytes the input changes, or the input itself.
fn file(input: &[u8]) -> Vec<u8> {
    let [kind, rest @ ..] = input else { return Vec::new() };
    let Some(compression) = Compression::ALL.get(*kind as usize % 5) else { return rest.to_vec() };
    let mut writer = AvroFileWriter::create(Vec::new(), SCHEMA, *compression).unwrap();
    for id in 0..20 {
        writer.write_row(&vec![Value::BigInt(id), Value::Varchar("text".repeat(id as usize))]).unwrap();
        if id % 7 == 0 {
            writer.flush().unwrap();
        }
    }
    let mut bytes = writer.finish().unwrap();
    for change in rest.chunks_exact(4) {
        let at = (usize::from(change[0]) << 8 | usize::from(change[1])) % bytes.len();
        match change[2] % 3 {
            0 => bytes[at] = change[3],
            1 => bytes.insert(at, change[3]),
            _ => drop(bytes.remove(at)),
        }
    }
    bytes
}

fuzz_target!(|input: &[u8]| {
    let file = file(input);
    let (Ok(mut rows), Ok(mut arrow)) = (AvroFileReader::open(&*file), AvroFileReader::open(&*file)) else {
        return;
    };
    let columns = rows.shape().schema.clone();
    loop {
        match (rows.next_rows(), arrow.next_arrow()) {
            (Ok(Some(rows)), Ok(Some(batch))) => {
                let found = arrow_to_rows(&columns, &batch).unwrap();
                assert_eq!(format!("{found:?}"), format!("{rows:?}"));
            }
            (Ok(None), Ok(None)) => return,
            (Err(a), Err(b)) => assert_eq!(a.to_string(), b.to_string()),
            (rows, arrow) => panic!("{rows:?} and {arrow:?}"),
        }
    }
});

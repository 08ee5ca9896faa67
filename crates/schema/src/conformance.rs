//! The behaviour tests that every codec calls from its own tests.
//!
//! A format gives a [`Format`]; [`all`] runs each case on every schema that the format can hold. What is asserted:
//! * rows → bytes → rows, rows → bytes → Arrow, Arrow → bytes → rows, Arrow → bytes → Arrow all give back what went in;
//! * both encoders write the same bytes, also after others in the same arena;
//! * a bad record costs itself only, and is reported at its place with its path; a tombstone is no row and no error;
//! * what does not fit the schema is refused, and leaves the output as it was.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed assertion is a failed test")]

use crate::{
    Codec, DataType, Decoded, Encoded, Field, RecordError, Row, Schema, Value, arrow_to_rows, rows_to_arrow,
};
use arrow_array::{Array, RecordBatch};
use std::sync::Arc;

/// A format under test.
pub struct Format<'a> {
    /// A codec for that schema; `None` if the format cannot hold it.
    pub codec: &'a dyn Fn(&Schema) -> Option<Arc<dyn Codec>>,
    /// Whether it has a form for a NULL column.
    pub nulls: bool,
    /// Whether it has a form for NaN and infinities.
    pub all_doubles: bool,
    /// Payloads that a codec of that schema must refuse.
    pub malformed: &'a dyn Fn(&Schema) -> Vec<Malformed>,
}

/// What a format holds for a value of a type.
pub type Held<'a> = &'a dyn Fn(&DataType, Value) -> Value;

fn of_schema(schema: &Schema, rows: Vec<Row>, held: Held<'_>) -> Vec<Row> {
    let of_row = |row: Row| row.into_iter().zip(&schema.fields).map(|(v, f)| held(&f.data_type, v)).collect();
    rows.into_iter().map(of_row).collect()
}

/// A payload that must be refused.
pub struct Malformed {
    /// The payload.
    pub payload: Vec<u8>,
    /// The path that the error must name; empty for the record as a whole.
    pub path: String,
}

impl Malformed {
    /// A payload and the path that its error must name.
    pub fn new(payload: impl Into<Vec<u8>>, path: impl Into<String>) -> Self {
        Self { payload: payload.into(), path: path.into() }
    }
}

/// Decodes to Arrow and to a row, which must agree.
///
/// # Errors
/// The codec's.
///
/// # Panics
/// They do not agree.
pub fn read(codec: &dyn Codec, payload: &[u8]) -> Result<Row, RecordError> {
    let row = codec.decode_row(payload);
    let decoded = codec.decode_arrow(&[Some(payload)]);
    match &row {
        Ok(row) => {
            assert_eq!(decoded.errors, []);
            let rows = arrow_to_rows(codec.schema(), &decoded.batch).unwrap();
            // NaN is not itself.
            assert_eq!(format!("{rows:?}"), format!("{:?}", [row]));
        }
        Err(error) => {
            assert_eq!(decoded.errors, std::slice::from_ref(error));
            assert_eq!(decoded.batch.num_rows(), 0);
        }
    }
    row
}

/// Runs every case.
///
/// # Panics
/// On the first promise that the format breaks.
pub fn all(format: &Format<'_>) {
    all_of(format, &|_, value| value);
}

/// Runs every case on the values that the format holds: `held` gives for a value of a type the one that is tried instead, such as an
/// empty array for NULL where these are the same.
///
/// # Panics
/// On the first promise that the format breaks.
pub fn all_of(format: &Format<'_>, held: Held<'_>) {
    every_type_round_trips(format, held);
    wide_and_nested_rows_round_trip(format, held);
    a_bad_record_costs_only_itself(format, held);
    tombstones_are_no_rows(format);
    an_empty_batch_has_the_schema(format);
    what_does_not_fit_is_refused(format);
}

/// Values of a type that are easily got wrong: extremes, zeros, empties, text beyond ASCII.
pub fn telling_values(data_type: &DataType) -> Vec<Value> {
    match data_type {
        DataType::Boolean => vec![Value::Boolean(true), Value::Boolean(false)],
        DataType::Integer => [0, 1, -1, i32::MIN, i32::MAX].map(Value::Integer).into(),
        DataType::BigInt => [0, -1, 10_i64.pow(17), 10_i64.pow(18), -(10_i64.pow(18)), i64::MIN, i64::MAX]
            .map(Value::BigInt)
            .into(),
        DataType::Double => [
            0.0,
            -0.0,
            1.0,
            -8.0,
            -86.0689,
            0.1,
            1e-3,
            9.99e-4,
            1e7,
            1e10,
            1e21,
            5e-324,
            f64::MIN_POSITIVE,
            f64::MAX,
            f64::MIN,
            std::f64::consts::PI,
        ]
        .map(Value::Double)
        .into(),
        DataType::Decimal(precision, _) => {
            let most = 10_i128.pow(u32::from(*precision)) - 1;
            [0, 1, -1, 5, most, -most].map(Value::Decimal).into()
        }
        DataType::Varchar => [
            "",
            " ",
            "plain",
            "null",
            "exactly8",
            "Zoë, Добрый день, 日本語, 😀",
            "a \"quote\", a \\backslash\\, a /slash",
            "line\nbreak\r\ttab\u{8}\u{c}\u{0}\u{1f}\u{7f}",
            "\u{feff}\u{2028}\u{fffd}\u{10ffff}",
            "{\"a\":[1,2]}",
        ]
        .map(|text| Value::Varchar(text.to_owned()))
        .into(),
        DataType::Bytes => {
            [&b""[..], b"\0", b"\xff\xfe", b"abc", &[0x80; 100]].map(|b| Value::Bytes(b.to_vec())).into()
        }
        DataType::Date => [0, -1, 18_659, i32::MIN, i32::MAX].map(Value::Date).into(),
        DataType::Time => [0, 1, 86_399_999].map(Value::Time).into(),
        DataType::Timestamp => [0, -1, 1_612_223_747_000, i64::MIN, i64::MAX].map(Value::Timestamp).into(),
        DataType::Array(element) => {
            let inner = telling_values(element);
            let with_null = vec![Value::Null, inner[0].clone(), Value::Null];
            vec![
                Value::Array(vec![]),
                Value::Array(vec![Value::Null]),
                Value::Array(with_null),
                Value::Array(inner),
            ]
        }
        DataType::Map(value) => {
            let inner = telling_values(value);
            let keys = ["", "a", "a.b", "\"é\"\n", "A"];
            let entries = |count: usize| {
                let values = inner.iter().cycle();
                Value::Map(
                    keys.iter().zip(values).take(count).map(|(k, v)| ((*k).to_owned(), v.clone())).collect(),
                )
            };
            let many = (0..30).map(|i| (format!("k{i}"), inner[i % inner.len()].clone())).collect();
            vec![
                Value::Map(vec![]),
                entries(1),
                entries(5),
                Value::Map(vec![("n".to_owned(), Value::Null)]),
                Value::Map(many),
            ]
        }
        DataType::Struct(fields) => {
            let all: Vec<Vec<Value>> = fields.iter().map(|f| telling_values(&f.data_type)).collect();
            let longest = all.iter().map(Vec::len).max().unwrap_or(1);
            let mut values = vec![Value::Struct(vec![Value::Null; fields.len()])];
            values.extend(
                (0..longest).map(|i| Value::Struct(all.iter().map(|v| v[i % v.len()].clone()).collect())),
            );
            values
        }
    }
}

fn leaf_types() -> Vec<DataType> {
    vec![
        DataType::Boolean,
        DataType::Integer,
        DataType::BigInt,
        DataType::Double,
        DataType::Decimal(1, 0),
        DataType::Decimal(18, 4),
        DataType::Decimal(38, 38),
        DataType::Varchar,
        DataType::Bytes,
        DataType::Date,
        DataType::Time,
        DataType::Timestamp,
    ]
}

/// Every leaf, and each leaf in an array, a map, a struct, and one deep combination.
pub fn telling_types() -> Vec<DataType> {
    let mut types = leaf_types();
    for leaf in leaf_types() {
        types.push(DataType::Array(Arc::new(leaf.clone())));
        types.push(DataType::Map(Arc::new(leaf.clone())));
        types.push(DataType::Struct([Field::new("f", leaf.clone()), Field::new("Größe", leaf)].into()));
    }
    let point =
        DataType::Struct([Field::new("lon", DataType::Double), Field::new("lat", DataType::Double)].into());
    let path = DataType::Array(Arc::new(DataType::Map(Arc::new(DataType::Array(Arc::new(point))))));
    types.push(DataType::Struct([Field::new("name", DataType::Varchar), Field::new("path", path)].into()));
    types
}

fn single(data_type: &DataType) -> Schema {
    Schema::new(vec![Field::new("v", data_type.clone())])
}

/// A schema of all types, and rows of it.
fn wide() -> (Schema, Vec<Row>) {
    let types = telling_types();
    let fields = types.iter().enumerate().map(|(i, t)| Field::new(format!("c{i}"), t.clone())).collect();
    let values: Vec<Vec<Value>> = types.iter().map(telling_values).collect();
    let mut rows: Vec<Row> =
        (0..40).map(|i| values.iter().map(|v| v[i % v.len()].clone()).collect()).collect();
    rows.push(vec![Value::Null; types.len()]);
    (Schema::new(fields), rows)
}

fn decode(codec: &dyn Codec, encoded: &Encoded) -> Decoded {
    let payloads: Vec<Option<&[u8]>> = (0..encoded.ends.len()).map(|i| Some(encoded.get(i))).collect();
    codec.decode_arrow(&payloads)
}

/// Bit for bit: `-0.0` is not `0.0`, and a NaN is itself.
fn assert_same(wanted: &[Row], got: &[Row], what: &str) {
    // The debug form of a double tells all finite values and both zeros apart.
    assert_eq!(wanted.len(), got.len(), "{what}");
    for (wanted, got) in wanted.iter().zip(got) {
        assert_eq!(format!("{wanted:?}"), format!("{got:?}"), "{what}");
    }
}

fn assert_valid(batch: &RecordBatch, schema: &Schema, what: &str) {
    assert_eq!(batch.schema(), schema.to_arrow(), "{what}: the batch's schema");
    for column in batch.columns() {
        column.to_data().validate_full().unwrap();
    }
}

/// Rows and Arrow, there and back, in all four ways.
///
/// # Panics
/// If any way loses or changes anything.
pub fn rows_round_trip(codec: &dyn Codec, rows: &[Row]) {
    let schema = codec.schema();
    let what = format!("{} of {:?}", codec.format(), schema.fields);
    let batch = rows_to_arrow(schema, rows).unwrap();
    assert_valid(&batch, schema, &what);
    assert_same(rows, &arrow_to_rows(schema, &batch).unwrap(), &what);

    let mut encoded = Encoded { arena: b"before".to_vec(), ends: vec![6] };
    codec.encode_arrow(&batch, &mut encoded).unwrap();
    assert_eq!(encoded.get(0), b"before", "{what}: what was there stays");
    assert_eq!(encoded.ends.len(), rows.len() + 1, "{what}");
    let encoded = Encoded {
        arena: encoded.arena.split_off(6),
        ends: encoded.ends[1..].iter().map(|e| e - 6).collect(),
    };

    for (i, row) in rows.iter().enumerate() {
        let mut out = b"before".to_vec();
        codec.encode_row(row, &mut out).unwrap();
        assert_eq!(&out[6..], encoded.get(i), "{what}: both encoders write the same");
        let back = codec.decode_row(&out[6..]).unwrap();
        assert_same(std::slice::from_ref(row), &[back], &what);
    }

    let decoded = decode(codec, &encoded);
    assert_eq!((decoded.errors, decoded.nulls), (vec![], vec![]), "{what}");
    assert_eq!(decoded.rows, (0..rows.len() as u32).collect::<Vec<_>>(), "{what}");
    assert_valid(&decoded.batch, schema, &what);
    assert_same(rows, &arrow_to_rows(schema, &decoded.batch).unwrap(), &what);

    // A slice of a batch shares its buffers, and must not show more than itself.
    if rows.len() > 2 {
        let mut middle = Encoded::default();
        codec.encode_arrow(&batch.slice(1, rows.len() - 2), &mut middle).unwrap();
        for i in 0..rows.len() - 2 {
            assert_eq!(middle.get(i), encoded.get(i + 1), "{what}: a slice encodes as its rows");
        }
    }
}

/// Each type alone, with its telling values and NULL.
///
/// # Panics
/// If a value is lost or changed.
pub fn every_type_round_trips(format: &Format<'_>, held: Held<'_>) {
    let mut tried = 0;
    for data_type in telling_types() {
        let Some(codec) = (format.codec)(&single(&data_type)) else { continue };
        tried += 1;
        let mut rows: Vec<Row> = telling_values(&data_type).into_iter().map(|v| vec![v]).collect();
        if format.nulls {
            rows.insert(1, vec![Value::Null]);
            rows.push(vec![Value::Null]);
        }
        if format.all_doubles && data_type == DataType::Double {
            rows.extend([f64::NAN, f64::INFINITY, f64::NEG_INFINITY].map(|v| vec![Value::Double(v)]));
        }
        rows_round_trip(codec.as_ref(), &of_schema(codec.schema(), rows, held));
    }
    assert!(tried > 0, "the format holds no type at all");
}

/// Many columns of all types, with NULL everywhere.
///
/// # Panics
/// If a value is lost or changed.
pub fn wide_and_nested_rows_round_trip(format: &Format<'_>, held: Held<'_>) {
    let (schema, rows) = wide();
    if let Some(codec) = (format.codec)(&schema) {
        rows_round_trip(codec.as_ref(), &of_schema(&schema, rows, held));
    }
}

/// A bad record at the start, between and at the end leaves the others as if it were not there.
///
/// # Panics
/// If it costs another record, or is reported elsewhere.
pub fn a_bad_record_costs_only_itself(format: &Format<'_>, held: Held<'_>) {
    let (wide, wide_rows) = wide();
    let mut cases: Vec<(Schema, Vec<Row>)> = telling_types()
        .iter()
        .map(|t| (single(t), telling_values(t).into_iter().map(|v| vec![v]).collect()))
        .collect();
    cases.push((wide, wide_rows));
    let mut tried = 0;
    for (schema, rows) in cases {
        let Some(codec) = (format.codec)(&schema) else { continue };
        let rows = of_schema(&schema, rows, held);
        let good: Vec<Vec<u8>> = rows
            .iter()
            .map(|row| {
                let mut out = Vec::new();
                codec.encode_row(row, &mut out).unwrap();
                out
            })
            .collect();
        for Malformed { payload: bad, path } in (format.malformed)(&schema) {
            tried += 1;
            let what =
                format!("{} of {:?}: {}", codec.format(), schema.fields, String::from_utf8_lossy(&bad));
            let error = codec.decode_row(&bad).err().unwrap_or_else(|| panic!("{what} was accepted"));
            assert_eq!((error.index, error.path.as_str()), (0, path.as_str()), "{what}: {error}");

            // bad, good, bad, tombstone, good, bad, tombstone, ...
            let mut payloads: Vec<Option<&[u8]>> = vec![Some(&bad)];
            let (mut places, mut bads, mut nulls) = (vec![], vec![0], vec![]);
            for (i, payload) in good.iter().enumerate() {
                places.push(payloads.len() as u32);
                payloads.push(Some(payload));
                bads.push(payloads.len());
                payloads.push(Some(&bad));
                if i % 2 == 0 {
                    nulls.push(payloads.len() as u32);
                    payloads.push(None);
                }
            }
            let decoded = codec.decode_arrow(&payloads);
            assert_valid(&decoded.batch, &schema, &what);
            assert_same(&rows, &arrow_to_rows(&schema, &decoded.batch).unwrap(), &what);
            assert_eq!((decoded.rows, decoded.nulls), (places, nulls), "{what}");
            let found: Vec<usize> = decoded.errors.iter().map(|e| e.index).collect();
            assert_eq!(found, bads, "{what}");
            for found in decoded.errors {
                assert_eq!((found.path, found.reason), (error.path.clone(), error.reason.clone()), "{what}");
            }
        }
    }
    assert!(tried > 0, "no payload is malformed");
}

/// Null payloads are reported as such, and are nothing else.
///
/// # Panics
/// If one is a row or an error.
pub fn tombstones_are_no_rows(format: &Format<'_>) {
    let Some(codec) = (format.codec)(&single(&DataType::Varchar)) else { return };
    let mut payload = Vec::new();
    codec.encode_row(&vec![Value::Varchar("x".into())], &mut payload).unwrap();
    let decoded = codec.decode_arrow(&[None, Some(&payload), None]);
    assert_eq!((decoded.nulls, decoded.rows, decoded.errors), (vec![0, 2], vec![1], vec![]));
    let decoded = codec.decode_arrow(&[None, None]);
    assert_eq!((decoded.batch.num_rows(), decoded.nulls), (0, vec![0, 1]));
}

/// Nothing in is nothing out, of the right type.
///
/// # Panics
/// If the empty batch is not of the schema.
pub fn an_empty_batch_has_the_schema(format: &Format<'_>) {
    let (wide, _) = wide();
    for schema in telling_types().iter().map(single).chain([wide]) {
        let Some(codec) = (format.codec)(&schema) else { continue };
        let decoded = codec.decode_arrow(&[]);
        assert_eq!(decoded.batch.num_rows(), 0);
        assert_valid(&decoded.batch, &schema, codec.format());
        let mut out = Encoded::default();
        codec.encode_arrow(&decoded.batch, &mut out).unwrap();
        assert_eq!((out.arena.len(), out.ends.len()), (0, 0));
    }
}

/// A row or a batch of another shape is an error that leaves the output as it was.
///
/// # Panics
/// If it is written.
pub fn what_does_not_fit_is_refused(format: &Format<'_>) {
    let Some(codec) = (format.codec)(&single(&DataType::BigInt)) else { return };
    let mut out = b"before".to_vec();
    for row in [vec![], vec![Value::Integer(1)], vec![Value::BigInt(1), Value::BigInt(2)]] {
        let error = codec.encode_row(&row, &mut out).err();
        assert!(error.is_some(), "{row:?} was written");
        assert_eq!(out, b"before");
    }
    let other = single(&DataType::Varchar);
    let batch = rows_to_arrow(&other, &[vec![Value::Varchar("1".into())]]).unwrap();
    let mut out = Encoded { arena: b"before".to_vec(), ends: vec![6] };
    let error = codec.encode_arrow(&batch, &mut out).unwrap_err();
    assert_eq!(error.path, "v", "{error}");
    assert_eq!((out.arena.as_slice(), out.ends.as_slice()), (&b"before"[..], &[6][..]));
}

//! The files source over real files.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use arrow_array::builder::{Int64Builder, ListBuilder, MapBuilder, StringBuilder, StructBuilder};
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray, UInt16Array};
use arrow_schema::{DataType as ArrowType, Field as ArrowField};
use bd_connect::sdk::{
    Cells, Config, Plugin, Polled, Rejected, Shape, SourceOffset, SourceTask, StopFlag, TaskContext,
};
use bd_schema::{DataType, Row, Value, arrow_to_rows};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The source with the offsets that it has committed, which can be stopped and opened again.
struct Source {
    config: Config,
    offsets: BTreeMap<String, SourceOffset>,
    task: Option<Box<dyn SourceTask>>,
}

/// What a source gave.
#[derive(Debug, Default)]
struct Given {
    values: Vec<String>,
    keys: Vec<String>,
    rejected: Vec<Rejected>,
}

fn plugin() -> Arc<dyn Plugin> {
    bd_connectors::files::plugins().remove(0)
}

impl Source {
    fn new(file: &str, extra: &[(&str, &str)]) -> Self {
        let config = Config::default().with("file", file).with("topic", "t").with("poll.interval.ms", "5");
        let config = extra.iter().fold(config, |config, (k, v)| config.with(k, *v));
        let config = config.with_defaults(&plugin().config_def());
        assert_eq!(plugin().validate(&config), []);
        Self { config, offsets: BTreeMap::new(), task: None }
    }

    fn poll(&mut self, wait: Duration) -> Option<Polled> {
        let task = self.task.get_or_insert_with(|| {
            let context = TaskContext {
                connector: "files".to_owned(),
                task: 0,
                config: self.config.clone(),
                offsets: self.offsets.clone(),
                stop: StopFlag::default(),
                registry: None,
            };
            plugin().open_source(context).unwrap()
        });
        let polled = task.poll(wait).unwrap()?;
        for (partition, offset) in &polled.offsets {
            let key = serde_json::to_string(partition).unwrap();
            self.offsets.insert(key, offset.clone().unwrap());
        }
        Some(polled)
    }

    /// A poll whose transaction is lost: the task begins again where it stood before.
    fn lose_poll(&mut self) {
        let before = self.offsets.clone();
        self.poll(Duration::from_secs(5)).unwrap();
        (self.offsets, self.task) = (before, None);
    }

    /// Polls until there are so many records and rejections, and nothing more for a while.
    fn read(&mut self, wanted: usize) -> Given {
        let mut given = Given::default();
        let deadline = Instant::now() + Duration::from_secs(10);
        while given.values.len() + given.rejected.len() < wanted {
            assert!(Instant::now() < deadline, "{wanted} wanted, given {given:?}");
            self.poll(Duration::from_millis(100)).into_iter().for_each(|p| given.take(p));
        }
        self.settle(&mut given);
        given
    }

    /// What comes without waiting for anything.
    fn settle(&mut self, given: &mut Given) {
        while let Some(polled) = self.poll(Duration::from_millis(40)) {
            given.take(polled);
        }
    }
}

impl Given {
    fn take(&mut self, polled: Polled) {
        for batch in polled.batches {
            assert_eq!(&*batch.topic, "t");
            assert_eq!(batch.keys.len(), batch.values.len());
            self.values.extend(shown(&batch.values));
            self.keys.extend(shown(&batch.keys));
        }
        self.rejected.extend(polled.rejected);
    }

    fn headers(&self) -> Vec<String> {
        let shown = |r: &Rejected| {
            let value = |v: &Option<Vec<u8>>| String::from_utf8(v.clone().unwrap()).unwrap();
            let file = Path::new(&value(&r.headers[0].1)).file_name().unwrap().to_str().unwrap().to_owned();
            r.headers[1..].iter().fold(file, |text, (name, v)| format!("{text} {name}={}", value(v)))
        };
        self.rejected.iter().map(shown).collect()
    }
}

fn shown(cells: &Cells) -> Vec<String> {
    let rows: Vec<Option<Row>> = match cells {
        Cells::Null(count) => return vec!["null".to_owned(); *count],
        Cells::Bytes(cells) => {
            return cells.iter().map(|c| String::from_utf8(c.clone().unwrap()).unwrap()).collect();
        }
        Cells::Arrow { schema, batch } => {
            let rows = arrow_to_rows(&schema.columns(), batch).unwrap();
            rows.into_iter().map(Some).collect()
        }
        Cells::Rows { rows, .. } => rows.clone(),
    };
    let row = |row: Option<Row>| row.unwrap().iter().map(value).collect::<Vec<_>>().join(" ");
    rows.into_iter().map(row).collect()
}

fn value(value: &Value) -> String {
    let list = |values: &[Value]| values.iter().map(self::value).collect::<Vec<_>>().join(",");
    match value {
        Value::Null => "-".to_owned(),
        Value::Varchar(v) => v.clone(),
        Value::BigInt(v) | Value::Timestamp(v) => v.to_string(),
        Value::Integer(v) => v.to_string(),
        Value::Array(items) => format!("[{}]", list(items)),
        Value::Struct(items) => format!("({})", list(items)),
        Value::Map(entries) => {
            let entries: Vec<String> =
                entries.iter().map(|(k, v)| format!("{k}:{}", self::value(v))).collect();
            format!("{{{}}}", entries.join(","))
        }
        other => format!("{other:?}"),
    }
}

fn folder() -> (TempDir, impl Fn(&str) -> String) {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().to_str().unwrap().to_owned();
    (dir, move |name: &str| format!("{root}/{name}"))
}

fn append(path: &str, text: &str) {
    let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

#[test]
fn json_lines_become_columns_and_bad_lines_are_rejected_with_their_place() {
    let (_dir, at) = folder();
    let text = "\u{feff}{\"ad_id\":1,\"channel\":\"a\"}\r\n\n{\"ad_id\":\"x\"}\nnonsense\n{\"channel\":\"b\",\"ad_id\":2,\"more\":0}\n";
    append(&at("ads.jsonl"), text);
    let mut source =
        Source::new(&at("*.jsonl"), &[("schema", "ad_id BIGINT, channel VARCHAR"), ("key.fields", "AD_ID")]);
    let given = source.read(4);
    assert_eq!(given.values, ["1 a", "2 b"]);
    assert_eq!(given.keys, ["1", "2"]);
    assert_eq!(given.headers(), ["ads.jsonl line=3", "ads.jsonl line=4"]);
    assert_eq!(given.rejected[1].value.as_deref(), Some(&b"nonsense"[..]));
    assert!(given.rejected[0].reason.contains("field ad_id"), "{}", given.rejected[0].reason);
}

#[test]
fn without_a_schema_lines_pass_as_they_are() {
    let (_dir, at) = folder();
    append(&at("a.jsonl"), "{\"id\": 7, \"n\":\"x\"}\n{\"n\":\"y\"}\n[]\n");
    let given = Source::new(&at("a.jsonl"), &[("key.fields", "id")]).read(3);
    assert_eq!(
        (given.values, given.keys),
        (vec!["{\"id\": 7, \"n\":\"x\"}".to_owned()], vec!["7".to_owned()])
    );
    assert_eq!(given.rejected.len(), 2);
    let given = Source::new(&at("a.jsonl"), &[("key.fields", "n,id")]).read(3);
    assert_eq!(given.keys, ["{\"n\":\"x\",\"id\":7}"]);
    // Kafka's own connector knows lines of text only.
    let class = "org.apache.kafka.connect.file.FileStreamSourceConnector";
    let polled =
        Source::new(&at("a.jsonl"), &[("connector.class", class)]).poll(Duration::from_secs(5)).unwrap();
    let schema = polled.batches[0].values.schema().unwrap();
    assert_eq!((&schema.shape, polled.batches[0].len()), (&Shape::Single(DataType::Varchar), 3));
}

#[test]
fn an_avro_schema_is_kept_for_the_registry_and_its_required_fields_are_held() {
    let (_dir, at) = folder();
    let avro = r#"{"type":"record","name":"Ad","namespace":"tv","fields":[{"name":"ad_id","type":"long"},
        {"name":"note","type":["null","string"],"default":null}]}"#;
    append(&at("ad.avsc"), avro);
    append(&at("a.jsonl"), "{\"ad_id\":1}\n{\"note\":\"no id\"}\n{\"ad_id\":3,\"note\":\"x\"}\n");
    let mut source = Source::new(&at("a.jsonl"), &[("schema.file", &at("ad.avsc"))]);
    let polled = source.poll(Duration::from_secs(5)).unwrap();
    let schema = polled.batches[0].values.schema().unwrap();
    assert_eq!(schema.name.as_deref(), Some("tv.Ad"));
    assert_eq!(schema.avro.as_deref(), Some(avro));
    assert!(
        matches!(&schema.shape, Shape::Struct { fields, .. } if fields[0].required && !fields[1].required)
    );
    let mut given = Given::default();
    given.take(polled);
    assert_eq!(given.values, ["1 -", "3 x"]);
    assert_eq!(given.headers(), ["a.jsonl line=2"]);
}

#[test]
fn a_growing_file_gives_whole_lines_only() {
    let (_dir, at) = folder();
    let path = at("log.jsonl");
    append(&path, "{\"n\":1}\n{\"n\":");
    let mut source = Source::new(&path, &[]);
    assert_eq!(source.read(1).values, ["{\"n\":1}"]);
    append(&path, "2}");
    let mut given = Given::default();
    source.settle(&mut given);
    assert!(given.values.is_empty(), "the line has no end yet");
    append(&path, "\n{\"n\":3}\n");
    assert_eq!(source.read(2).values, ["{\"n\":2}", "{\"n\":3}"]);
    // Written anew and shorter: from its start.
    fs::write(&path, "{\"n\":9}\n").unwrap();
    assert_eq!(source.read(1).values, ["{\"n\":9}"]);
}

#[test]
fn finished_files_give_their_last_line_and_are_read_once() {
    let (_dir, at) = folder();
    append(&at("b.txt"), "b1\nb2");
    append(&at("a.txt"), "a1\n\na2\n");
    let mut source = Source::new(&at("*.txt"), &[("tail", "false")]);
    assert_eq!(source.read(5).values, ["a1", "", "a2", "b1", "b2"]);
    append(&at("b.txt"), "more\n");
    append(&at("c.txt"), "c1");
    assert_eq!(source.read(1).values, ["c1"]);
    source.task = None;
    let mut given = Given::default();
    source.settle(&mut given);
    assert!(given.values.is_empty(), "{given:?}");
}

#[test]
fn a_restart_goes_on_with_the_next_row() {
    let (_dir, at) = folder();
    let lines: String = (0..25).map(|i| format!("{{\"n\":{i}}}\n")).collect();
    append(&at("1.jsonl"), &lines);
    append(&at("2.csv"), "n\n100\n\"101\"\n102\n");
    write_parquet(&at("3.parquet"), 25, 10);
    let mut source =
        Source::new(&at("*"), &[("batch.size", "4"), ("schema", "n BIGINT"), ("schema.name", "N")]);
    let mut given = Given::default();
    while given.values.len() < 53 {
        source.lose_poll();
        given.take(source.poll(Duration::from_secs(5)).unwrap());
        source.task = None;
    }
    let wanted: Vec<String> = (0..25).chain(100..103).chain(0..25).map(|n| n.to_string()).collect();
    assert_eq!(given.values, wanted);
    source.settle(&mut given);
    assert_eq!(given.values.len(), 53);
}

#[test]
fn csv_is_read_by_its_header_and_types() {
    let (_dir, at) = folder();
    let text = "Name;id;at;tags;unused\r\n\"Ann; \"\"A\"\"\";1;2021-02-01T23:55:47Z;[\"x\"];z\r\n;2;1612223747000;;\r\n\
                \"\";3;NULL;NULL;\r\nbob;x;;;\r\nshort;4\r\n\"two\nlines\"; 5 ;;;\r\n";
    append(&at("u.csv"), text);
    let schema = "id BIGINT, name VARCHAR, at TIMESTAMP, tags ARRAY<VARCHAR>";
    let extra = [("schema", schema), ("csv.delimiter", ";"), ("csv.null", "NULL"), ("key.fields", "id")];
    let given = Source::new(&at("u.csv"), &extra).read(6);
    assert_eq!(
        given.values,
        ["1 Ann; \"A\" 1612223747000 [x]", "2  1612223747000 -", "3  - -", "5 two\nlines - -"],
    );
    assert_eq!(given.keys, ["1", "2", "3", "5"]);
    assert_eq!(given.headers(), ["u.csv line=6", "u.csv line=5"]);
    assert!(given.rejected[0].reason.contains("5 fields wanted, the record has 2"));
}

#[test]
fn csv_without_a_schema_is_text_by_its_header() {
    let (_dir, at) = folder();
    append(&at("u.tsv"), "a\tb\n1\t\n\"\"\tx\n");
    let given = Source::new(&at("u.tsv"), &[]).read(2);
    assert_eq!(given.values, ["1 -", " x"]);
    append(&at("v.csv"), "1,2\n");
    let given = Source::new(&at("v.csv"), &[("csv.header", "false")]).read(1);
    assert!(given.rejected[0].reason.contains("set schema"), "{}", given.rejected[0].reason);
    let given = Source::new(&at("v.csv"), &[("csv.header", "false"), ("schema", "a INT, b INT")]).read(1);
    assert_eq!(given.values, ["1 2"]);
    append(&at("w.csv"), "a,c\n1,2\n");
    let given = Source::new(&at("w.csv"), &[("schema", "a INT, b INT")]).read(1);
    assert!(given.rejected[0].reason.contains("has no column b"), "{}", given.rejected[0].reason);
}

#[test]
fn a_quote_that_is_not_closed_costs_its_line_only() {
    let (_dir, at) = folder();
    append(&at("a.csv"), "a\n1\n\"open\n3\n4\n");
    let given = Source::new(&at("a.csv"), &[("tail", "false")]).read(4);
    assert_eq!(given.values, ["1", "3", "4"]);
    assert_eq!(given.headers(), ["a.csv line=3"]);
    // While the file may grow the quote may still be closed, until the record is too long.
    let mut source = Source::new(&at("a.csv"), &[("max.line.bytes", "30")]);
    assert_eq!(source.read(1).values, ["1"]);
    append(&at("a.csv"), "much more text\nmuch more text\n");
    let given = source.read(5);
    assert_eq!(given.values, ["3", "4", "much more text", "much more text"]);
    assert_eq!(given.headers(), ["a.csv line=3"]);
}

#[test]
fn a_line_that_is_too_long_is_rejected_with_its_start() {
    let (_dir, at) = folder();
    append(&at("a.txt"), &format!("short\n{}\nlast\n", "x".repeat(5000)));
    let given = Source::new(&at("a.txt"), &[("max.line.bytes", "100")]).read(3);
    assert_eq!(given.values, ["short", "last"]);
    assert_eq!(given.rejected[0].value.as_ref().unwrap().len(), 100);
}

/// Rows `n` from 0, in row groups of that size.
fn write_parquet(path: &str, rows: i64, group: usize) {
    let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows));
    let batch = RecordBatch::try_from_iter([("n", column)]).unwrap();
    let properties =
        WriterProperties::builder().set_max_row_group_row_count(Some(group)).set_dictionary_enabled(false);
    let file = fs::File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties.build())).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// The shape of a television's schedule, with names inside as Spark writes them.
fn schedule() -> RecordBatch {
    let parts = vec![
        ArrowField::new("program", ArrowType::Utf8, true),
        ArrowField::new("program_id", ArrowType::Int64, true),
        ArrowField::new("start", ArrowType::Utf8, true),
    ];
    let programs = StructBuilder::from_fields(parts, 4);
    let mut map = MapBuilder::new(None, StringBuilder::new(), ListBuilder::new(programs));
    for day in ["mon", "tue"] {
        map.keys().append_value(day);
        let programs = map.values().values();
        programs.field_builder::<StringBuilder>(0).unwrap().append_value("news");
        programs.field_builder::<Int64Builder>(1).unwrap().append_value(4);
        programs.field_builder::<StringBuilder>(2).unwrap().append_null();
        programs.append(true);
        map.values().append(true);
    }
    map.append(true).unwrap();
    map.append(false).unwrap();
    let at = TimestampMicrosecondArray::from(vec![1_612_223_747_000_999, -1]).with_timezone("UTC");
    let columns: [(&str, ArrayRef); 4] = [
        ("channel", Arc::new(StringArray::from(vec!["one", "two"]))),
        ("channel_id", Arc::new(UInt16Array::from(vec![1, 2]))),
        ("at", Arc::new(at)),
        ("schedule", Arc::new(map.finish())),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

#[test]
fn nested_parquet_comes_as_columns() {
    let (_dir, at) = folder();
    let batch = schedule();
    let file = fs::File::create(at("channels.parquet")).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let mut source = Source::new(&at("channels.parquet"), &[("key.fields", "channel")]);
    let polled = source.poll(Duration::from_secs(5)).unwrap();
    assert!(matches!(polled.batches[0].values, Cells::Arrow { .. }));
    let columns = polled.batches[0].values.schema().unwrap().columns().into_owned();
    assert_eq!(
        columns.fields[3].data_type.to_string(),
        "MAP<VARCHAR, ARRAY<STRUCT<program VARCHAR, program_id BIGINT, start VARCHAR>>>"
    );
    let mut given = Given::default();
    given.take(polled);
    let wanted = ["one 1 1612223747000 {mon:[(news,4,-)],tue:[(news,4,-)]}", "two 2 -1 -"];
    assert_eq!(given.values, wanted);
    assert_eq!(given.keys, ["one", "two"]);
}

#[test]
fn a_parquet_file_cut_short_is_rejected_once_and_read_when_it_is_whole() {
    let (_dir, at) = folder();
    write_parquet(&at("whole"), 30, 10);
    let whole = fs::read(at("whole")).unwrap();
    let path = at("a.parquet");
    fs::write(&path, &whole[..whole.len() - 20]).unwrap();
    write_parquet(&at("b.parquet"), 2, 10);
    let mut source = Source::new(&at("*.parquet"), &[]);
    let given = source.read(3);
    assert_eq!(given.values, ["0", "1"]);
    assert_eq!(given.headers(), ["a.parquet"]);
    assert!(
        given.rejected[0].reason.contains("no Parquet file that can be read"),
        "{}",
        given.rejected[0].reason
    );
    // Not again, also after a restart; but when it is whole.
    source.task = None;
    let mut given = Given::default();
    source.settle(&mut given);
    assert!(given.rejected.is_empty());
    fs::write(&path, &whole).unwrap();
    assert_eq!(source.read(30).values.len(), 30);
}

#[test]
fn a_parquet_file_being_written_is_waited_for() {
    let (_dir, at) = folder();
    write_parquet(&at("whole"), 30, 10);
    let whole = fs::read(at("whole")).unwrap();
    let mut source = Source::new(&at("*.parquet"), &[("poll.interval.ms", "200")]);
    fs::write(at("a.parquet"), &whole[..100]).unwrap();
    assert!(source.poll(Duration::from_millis(20)).is_none());
    fs::write(at("a.parquet"), &whole).unwrap();
    let given = source.read(30);
    assert_eq!((given.values.len(), given.rejected.len()), (30, 0));
}

#[test]
fn a_broken_row_group_is_rejected_and_the_next_is_read() {
    let (_dir, at) = folder();
    let path = at("a.parquet");
    write_parquet(&path, 30, 10);
    let mut bytes = fs::read(&path).unwrap();
    // The header of the second group's page, between the values 9 and 10.
    let find = |n: i64, bytes: &[u8]| {
        let pattern: Vec<u8> = (n..n + 2).flat_map(i64::to_le_bytes).collect();
        bytes.windows(pattern.len()).position(|w| w == pattern).unwrap()
    };
    let (header, values) = (find(8, &bytes) + 16, find(10, &bytes));
    bytes[header..values].fill(0xff);
    fs::write(&path, bytes).unwrap();
    let given = Source::new(&path, &[]).read(21);
    let wanted: Vec<String> = (0..10).chain(20..30).map(|n: i32| n.to_string()).collect();
    assert_eq!(given.values, wanted);
    assert_eq!(given.headers(), ["a.parquet row.group=1"]);
}

#[test]
fn a_configuration_that_cannot_work_is_refused_by_its_key() {
    for (key, value) in [
        ("format", "xml"),
        ("schema", "a LONG"),
        ("schema.avro", "{}"),
        ("schema.file", "/nowhere/a.avsc"),
        ("csv.delimiter", "ab"),
        ("csv.quote", ","),
        ("batch.size", "0"),
        ("poll.interval.ms", "soon"),
    ] {
        let config = Config::default().with("file", "x").with("topic", "t").with("csv.delimiter", ",");
        let errors = plugin().validate(&config.with(key, value));
        assert_eq!(errors.iter().map(|e| e.key.as_str()).collect::<Vec<_>>(), [key]);
    }
    let config = Config::default().with("file", "x").with("topic", "t").with("schema", "a INT");
    assert_eq!(plugin().validate(&config.clone().with("key.fields", "b"))[0].key, "key.fields");
    assert_eq!(plugin().validate(&config.with("schema.avro", "{}"))[0].key, "schema.avro");
}

//! Samples of files for [`Inference`]: JSON, CSV, Parquet, from a file or a stream.

use super::arrow;
use super::csv::{Fed, Parser};
use super::parquet::guarded;
use bd_schema::Inference;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use serde::Deserializer;
use serde::de::{SeqAccess, Visitor};
use serde_json::Value as Json;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, Read};
use std::path::Path;

/// A longer line is no record.
const MAX_LINE: u64 = 16 << 20;
/// More bad lines are not noted one by one.
const MAX_NOTES: usize = 5;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// What a sample is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SampleFormat {
    /// A value a line, an array of records, or one document after another.
    Json,
    /// Comma, semicolon or bar, as its header shows.
    Csv,
    /// Tabs.
    Tsv,
    /// Parquet.
    Parquet,
}

impl SampleFormat {
    /// The format that a file's name says.
    pub fn of_name(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        Some(match extension.as_str() {
            "json" | "jsonl" | "ndjson" => Self::Json,
            "csv" => Self::Csv,
            "tsv" | "tab" => Self::Tsv,
            "parquet" | "pq" => Self::Parquet,
            _ => return None,
        })
    }

    /// The format that the first bytes show.
    pub fn of_text(start: &[u8]) -> Self {
        let start = start.strip_prefix(BYTE_ORDER_MARK).unwrap_or(start);
        if start.starts_with(b"PAR1") {
            return Self::Parquet;
        }
        let line = start.trim_ascii_start().split(|b| *b == b'\n').next().unwrap_or_default();
        let whole = serde_json::from_slice::<Json>(line).is_ok();
        match line.first() {
            Some(b'{' | b'[') => Self::Json,
            _ if whole => Self::Json,
            _ if line.contains(&b'\t') => Self::Tsv,
            _ => Self::Csv,
        }
    }
}

/// What was read of a sample.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sampled {
    /// Records that went into the inference; of Parquet all that the file says it holds.
    pub records: u64,
    /// Records that could not be used.
    pub rejected: u64,
    /// Why, with their lines; of the first few.
    pub reasons: Vec<String>,
}

impl Sampled {
    fn reject(&mut self, line: u64, reason: impl fmt::Display) {
        self.rejected += 1;
        if self.reasons.len() < MAX_NOTES {
            self.reasons.push(format!("line {line}: {reason}"));
        }
    }
}

/// Takes the columns that a Parquet file declares.
///
/// # Errors
/// Its footer cannot be read, or it has columns that bd has not.
pub fn sample_parquet(path: &Path, inference: &mut Inference) -> Result<Sampled, String> {
    let file = File::open(path).map_err(|e| e.to_string())?;
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let metadata = guarded(|| ArrowReaderMetadata::load(&file, options).map_err(|e| e.to_string()))?;
    let schema = arrow::schema(metadata.schema())?;
    let required: Vec<bool> = metadata.schema().fields().iter().map(|f| !f.is_nullable()).collect();
    let records = u64::try_from(metadata.metadata().file_metadata().num_rows()).unwrap_or_default();
    inference.columns(&schema, &required, records);
    Ok(Sampled { records, ..Sampled::default() })
}

/// Takes up to `limit` records of a text.
///
/// # Errors
/// It cannot be read, is not of that format, or (Parquet) is no text.
pub fn sample_text(
    input: impl Read,
    format: SampleFormat,
    limit: u64,
    inference: &mut Inference,
) -> Result<Sampled, String> {
    let mut input = io::BufReader::with_capacity(64 << 10, input);
    let start = input.fill_buf().map_err(|e| e.to_string())?;
    if start.starts_with(BYTE_ORDER_MARK) {
        input.consume(BYTE_ORDER_MARK.len());
    }
    match format {
        SampleFormat::Json => json(input, limit, inference),
        SampleFormat::Csv => csv(input, None, limit, inference),
        SampleFormat::Tsv => csv(input, Some(b'\t'), limit, inference),
        SampleFormat::Parquet => Err("Parquet is read from a file only, not from a stream".to_owned()),
    }
}

/// Reads a line without its break; `None` at the end.
fn line(input: &mut impl BufRead, line: &mut Vec<u8>) -> Result<Option<()>, String> {
    line.clear();
    let read = input.by_ref().take(MAX_LINE + 1).read_until(b'\n', line).map_err(|e| e.to_string())?;
    if read as u64 > MAX_LINE {
        return Err(format!("a line is longer than {} MiB", MAX_LINE >> 20));
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    }
    Ok((read > 0).then_some(()))
}

fn json(mut input: impl BufRead, limit: u64, inference: &mut Inference) -> Result<Sampled, String> {
    let mut sampled = Sampled::default();
    let (mut text, mut number) = (Vec::new(), 0);
    // Lines, if the first one that is not empty is a value by itself.
    while line(&mut input, &mut text)?.is_some() {
        number += 1;
        if text.trim_ascii().is_empty() {
            continue;
        }
        match serde_json::from_slice::<Json>(&text) {
            Ok(value) => {
                let mut left = true;
                match value {
                    Json::Array(records) if sampled.records == 0 && sampled.rejected == 0 => {
                        records.iter().for_each(|record| left = take(record, limit, &mut sampled, inference));
                    }
                    record => left = take(&record, limit, &mut sampled, inference),
                }
                if !left {
                    return Ok(sampled);
                }
            }
            Err(_) if sampled.records == 0 => {
                text.push(b'\n');
                return documents(io::Cursor::new(text).chain(input), number, limit, inference);
            }
            Err(error) => sampled.reject(number, format_args!("no JSON: {}", without_place(&error))),
        }
    }
    Ok(sampled)
}

/// The error alone: its line is that of what was parsed.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or(&text).to_owned()
}

/// False when there are enough.
fn take(record: &Json, limit: u64, sampled: &mut Sampled, inference: &mut Inference) -> bool {
    if sampled.records < limit {
        inference.record(record);
        sampled.records += u64::from(!record.is_null());
    }
    sampled.records < limit
}

/// JSON that spans lines: an array of records, or documents one after another, the first at `line`.
fn documents(
    mut input: impl BufRead,
    line: u64,
    limit: u64,
    inference: &mut Inference,
) -> Result<Sampled, String> {
    let mut sampled = Sampled::default();
    let at = |error: serde_json::Error| {
        let line = error.line() as u64 + line - 1;
        format!("line {line}, column {}: no JSON: {}", error.column(), without_place(&error))
    };
    let start = input.fill_buf().map_err(|e| e.to_string())?;
    if start.trim_ascii_start().starts_with(b"[") {
        let each = Each { limit, sampled: &mut sampled, inference };
        let read = serde_json::Deserializer::from_reader(input).deserialize_seq(each);
        // Who has enough leaves the rest of the array.
        return match read {
            Err(_) if sampled.records >= limit => Ok(sampled),
            Err(error) => Err(at(error)),
            Ok(()) => Ok(sampled),
        };
    }
    for document in serde_json::Deserializer::from_reader(input).into_iter::<Json>() {
        if !take(&document.map_err(at)?, limit, &mut sampled, inference) {
            break;
        }
    }
    Ok(sampled)
}

/// The elements of an array, one at a time.
struct Each<'a> {
    limit: u64,
    sampled: &'a mut Sampled,
    inference: &'a mut Inference,
}

impl<'de> Visitor<'de> for Each<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of records")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut records: A) -> Result<(), A::Error> {
        while let Some(record) = records.next_element::<Json>()? {
            if !take(&record, self.limit, self.sampled, self.inference) {
                break;
            }
        }
        Ok(())
    }
}

fn csv(
    mut input: impl BufRead,
    delimiter: Option<u8>,
    limit: u64,
    inference: &mut Inference,
) -> Result<Sampled, String> {
    let mut sampled = Sampled::default();
    let (mut text, mut number) = (Vec::new(), 0);
    let mut parser: Option<Parser> = None;
    let mut names: Vec<String> = Vec::new();
    let (mut began, mut open) = (0, false);
    while sampled.records < limit && line(&mut input, &mut text)?.is_some() {
        number += 1;
        if !open {
            began = number;
            if text.trim_ascii().is_empty() {
                continue;
            }
        }
        let parser =
            parser.get_or_insert_with(|| Parser::new(delimiter.unwrap_or_else(|| guess(&text)), b'"'));
        let fed = parser.feed(&text);
        open = fed == Fed::Open;
        match fed {
            Fed::Open => {}
            Fed::Bad(reason) if names.is_empty() => {
                return Err(format!("line {began}: the header: {reason}"));
            }
            Fed::Bad(reason) => sampled.reject(began, reason),
            Fed::Record(fields) if names.is_empty() => {
                let found = fields.iter().map(|f| String::from_utf8_lossy(&f.text).trim().to_owned());
                names = header(found.collect())?;
            }
            Fed::Record(fields) if fields.len() != names.len() => {
                let reason = format!("{} fields wanted, the record has {}", names.len(), fields.len());
                sampled.reject(began, reason);
            }
            Fed::Record(fields) => {
                let cells: Result<Vec<&str>, _> =
                    fields.iter().map(|f| std::str::from_utf8(&f.text)).collect();
                match cells {
                    Ok(cells) => {
                        let cells = names.iter().zip(cells).zip(&fields);
                        inference.texts(cells.map(|((name, text), f)| (name.as_str(), text, f.quoted)));
                        sampled.records += 1;
                    }
                    Err(_) => sampled.reject(began, "no text in UTF-8"),
                }
            }
        }
    }
    match (open, names.is_empty()) {
        (true, _) => sampled.reject(began, "a quoted field is not closed"),
        (_, true) => return Err("there is no header".to_owned()),
        _ => {}
    }
    Ok(sampled)
}

/// Names of columns; those without one are `column_1`, `column_2`, ...
fn header(mut names: Vec<String>) -> Result<Vec<String>, String> {
    for i in 0..names.len() {
        if names[i].is_empty() {
            names[i] = format!("column_{}", i + 1);
        }
        if names[..i].contains(&names[i]) {
            return Err(format!("the header has two columns {}", names[i]));
        }
    }
    Ok(names)
}

/// The delimiter that a header shows: the one that it has most of, outside of quotes.
fn guess(header: &[u8]) -> u8 {
    let mut quoted = false;
    let mut counts = [(b',', 0_usize), (b';', 0), (b'\t', 0), (b'|', 0)];
    for byte in header {
        quoted ^= *byte == b'"';
        for (delimiter, count) in &mut counts {
            *count += usize::from(!quoted && byte == delimiter);
        }
    }
    // The first of equals.
    counts.iter().rev().max_by_key(|(_, count)| *count).map_or(b',', |(delimiter, _)| *delimiter)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bd_schema::InferOptions;

    fn sample(text: &str, format: SampleFormat, limit: u64) -> (Result<Sampled, String>, Vec<String>) {
        let mut inference = Inference::new(InferOptions::default());
        let sampled = sample_text(text.as_bytes(), format, limit, &mut inference);
        let columns = inference.finish().map(|i| i.columns().fields).unwrap_or_default();
        (sampled, columns.iter().map(|f| format!("{} {}", f.name, f.data_type)).collect())
    }

    #[test]
    fn json_is_lines_an_array_or_documents() {
        for text in [
            "{\"a\":1}\n\n{\"a\":2.5}\n",
            "[{\"a\":1},{\"a\":2.5}]",
            "[\n  {\"a\":1},\n  {\"a\":2.5}\n]\n",
            "{\n\"a\":1\n}\n{\n\"a\":2.5\n}",
            "\u{feff}{\"a\":1} {\"a\":2.5}",
        ] {
            let (sampled, columns) = sample(text, SampleFormat::Json, 10);
            assert_eq!(sampled.unwrap(), Sampled { records: 2, ..Sampled::default() }, "{text}");
            assert_eq!(columns, ["a DOUBLE"], "{text}");
            let (sampled, columns) = sample(text, SampleFormat::Json, 1);
            assert_eq!((sampled.unwrap().records, columns), (1, vec!["a BIGINT".to_owned()]), "{text}");
        }
    }

    #[test]
    fn a_bad_line_costs_itself_and_a_bad_document_says_where() {
        let (sampled, _) = sample("{\"a\":1}\n{\"a\":\n{\"a\":2}", SampleFormat::Json, 10);
        let sampled = sampled.unwrap();
        assert_eq!((sampled.records, sampled.rejected), (2, 1));
        assert!(sampled.reasons[0].starts_with("line 2: no JSON: "), "{sampled:?}");
        let (sampled, _) = sample("\n{\n \"a\": x\n}", SampleFormat::Json, 10);
        let error = sampled.unwrap_err();
        assert!(error.starts_with("line 3, column 7: no JSON: "), "{error}");
        let (sampled, _) = sample("a,b\n1\n2,3\n\"x", SampleFormat::Csv, 10);
        let sampled = sampled.unwrap();
        assert_eq!((sampled.records, sampled.rejected), (1, 2));
        assert_eq!(
            sampled.reasons,
            ["line 2: 2 fields wanted, the record has 1", "line 4: a quoted field is not closed"]
        );
    }

    #[test]
    fn csv_has_the_delimiter_that_its_header_shows() {
        for (text, format) in [
            ("a,b\n1,x\n\"2\",\"y\nz\"\r\n", SampleFormat::Csv),
            ("a;b\n1;x\n", SampleFormat::Csv),
            ("a|b\n1|x\n", SampleFormat::Csv),
            ("a\tb\n1\tx\n", SampleFormat::Tsv),
            ("a\tb\n1\tx\n", SampleFormat::Csv),
            ("\"a\",\"b\"\n1,\"x;y;z\"\n", SampleFormat::Csv),
        ] {
            assert_eq!(sample(text, format, 10).1, ["a BIGINT", "b VARCHAR"], "{text}");
        }
        assert_eq!(sample("", SampleFormat::Csv, 1).0.unwrap_err(), "there is no header");
        assert_eq!(sample("a,a\n", SampleFormat::Csv, 1).0.unwrap_err(), "the header has two columns a");
        assert_eq!(sample("a,\n1,2\n", SampleFormat::Csv, 1).1, ["a BIGINT", "column_2 BIGINT"]);
    }

    #[test]
    fn parquet_tells_its_columns_itself() {
        use arrow_array::{ArrayRef, Int32Array, RecordBatch, StringArray};
        use arrow_schema::{DataType, Field, Schema};
        let fields = vec![Field::new("id", DataType::Int32, false), Field::new("note", DataType::Utf8, true)];
        let schema = std::sync::Arc::new(Schema::new(fields));
        let columns: Vec<ArrayRef> = vec![
            std::sync::Arc::new(Int32Array::from(vec![1, 2])),
            std::sync::Arc::new(StringArray::from(vec![Some("x"), None])),
        ];
        let batch = RecordBatch::try_new(schema.clone(), columns).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut writer = parquet::arrow::ArrowWriter::try_new(file.reopen().unwrap(), schema, None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let mut inference = Inference::new(InferOptions::default());
        let sampled = sample_parquet(file.path(), &mut inference).unwrap();
        assert_eq!(sampled, Sampled { records: 2, ..Sampled::default() });
        let avro = inference.finish().unwrap().text(bd_schema::SchemaType::Avro, "R").unwrap();
        let wanted = r#""fields":[{"name":"id","type":"int"},{"name":"note","type":["null","string"],"default":null}]"#;
        assert!(avro.contains(wanted), "{avro}");
        let mut inference = Inference::new(InferOptions::default());
        std::fs::write(file.path(), "PAR1 and no more").unwrap();
        assert!(sample_parquet(file.path(), &mut inference).is_err());
    }

    #[test]
    fn a_streams_format_is_told_by_its_start() {
        for (text, wanted) in [
            ("{\"a\":1}", SampleFormat::Json),
            (" [\n1]", SampleFormat::Json),
            ("\u{feff}12\n13", SampleFormat::Json),
            ("a,b\n", SampleFormat::Csv),
            ("a\tb\n", SampleFormat::Tsv),
            ("PAR1...", SampleFormat::Parquet),
        ] {
            assert_eq!(SampleFormat::of_text(text.as_bytes()), wanted, "{text}");
        }
        assert_eq!(SampleFormat::of_name(Path::new("x/a.ndjson")), Some(SampleFormat::Json));
        assert_eq!(SampleFormat::of_name(Path::new("x/a.txt")), None);
    }
}

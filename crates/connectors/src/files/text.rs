//! Files of text: JSON lines, CSV, lines.

use super::config::{CsvSettings, Format, Settings};
use super::csv::{CsvField, Fed, Parser};
use super::lines::{Line, LineReader};
use super::progress::Progress;
use super::values::{self, KeyColumns, Made, Numbered, reject};
use bd_connect::sdk::{ConnectSchema, Rejected};
use bd_schema::{DataType, Field, Schema};
use serde::de::IgnoredAny;
use std::io;
use std::sync::Arc;

/// The most bytes of one poll, one line more or less.
const MAX_BYTES: usize = 4 << 20;
/// The most bytes of a line that is too long that go to its rejection.
const SHOWN: usize = 1024;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// What was read of a file.
#[derive(Debug, Default)]
pub(super) struct Piece {
    pub(super) made: Made,
    pub(super) progress: Progress,
    /// There is nothing more for now.
    pub(super) end: bool,
}

/// A file of text being read.
pub(super) struct TextFile {
    path: String,
    lines: LineReader,
    progress: Progress,
    format: Format,
    /// Of JSON lines and CSV.
    schema: Option<Arc<ConnectSchema>>,
    keys: KeyColumns,
    csv: Option<Csv>,
}

/// How CSV records become columns.
struct Csv {
    settings: CsvSettings,
    parser: Parser,
    /// The place of each column among a record's fields.
    places: Vec<usize>,
    /// The fields of a record.
    width: usize,
}

/// Why a file cannot be begun.
pub(super) enum Unusable {
    Io(io::Error),
    /// There is not enough of it yet.
    Wait,
    /// It does not fit the configuration.
    Bad(String),
}

impl From<io::Error> for Unusable {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl TextFile {
    /// Opens a file where it stood.
    pub(super) fn open(
        path: &str,
        format: Format,
        progress: Progress,
        settings: &Settings,
    ) -> Result<Self, Unusable> {
        let mut lines = LineReader::open(path, progress.position, settings.max_line_bytes)?;
        let mut progress = progress;
        let (mut schema, mut csv) = (settings.schema.clone(), None);
        if format == Format::Csv {
            let (declared, bound) = begin_csv(path, settings, &mut lines, &mut progress)?;
            (schema, csv) = (Some(declared), Some(bound));
        }
        let keys = match &schema {
            Some(schema) => KeyColumns::new(&schema.columns(), &settings.key_fields),
            None if format == Format::Text && !settings.key_fields.is_empty() => {
                Err("lines of text have no fields: key.fields needs jsonl, csv or parquet".to_owned())
            }
            None => KeyColumns::new(&Schema::default(), &[]),
        };
        let keys = keys.map_err(Unusable::Bad)?;
        Ok(Self { path: path.to_owned(), lines, progress, format, schema, keys, csv })
    }

    /// Reads the next records.
    pub(super) fn read(&mut self, settings: &Settings) -> io::Result<Piece> {
        let mut records: Vec<Numbered> = Vec::new();
        let mut rejected: Vec<Rejected> = Vec::new();
        let mut bytes = 0;
        let mut end = false;
        while !end && records.len() + rejected.len() < settings.batch_size && bytes < MAX_BYTES {
            let before = records.len();
            end = self.record(settings, &mut records, &mut rejected)?;
            bytes += records.get(before).map_or(0, |r| r.raw.len());
        }
        self.progress.position = self.lines.position();
        self.progress.done = end && !settings.tail;
        let mut made = match (&self.schema, self.format) {
            (_, Format::Text) => values::strings(&self.path, &records),
            (Some(schema), _) => values::columns(&self.path, schema, &self.keys, &records),
            (None, _) => values::bytes(&self.path, settings, records),
        };
        made.rejected.splice(0..0, rejected);
        Ok(Piece { made, progress: self.progress, end })
    }

    /// Reads one record, or a rejected line, or an empty one. True at the end of what there is.
    fn record(
        &mut self,
        settings: &Settings,
        records: &mut Vec<Numbered>,
        rejected: &mut Vec<Rejected>,
    ) -> io::Result<bool> {
        let start = self.lines.position();
        let mut raw = Vec::new();
        let kind = self.lines.next(&mut raw)?;
        match kind {
            Line::End => return Ok(true),
            Line::Partial | Line::Endless if settings.tail => {
                self.lines.seek(start)?;
                return Ok(true);
            }
            Line::Partial | Line::Endless => self.lines.take_partial(),
            Line::Whole | Line::TooLong => {}
        }
        self.progress.rows += 1;
        let line = self.progress.rows;
        let too_long = matches!(kind, Line::TooLong | Line::Endless);
        if start == 0 && raw.starts_with(BYTE_ORDER_MARK) {
            raw.drain(..BYTE_ORDER_MARK.len());
        }
        if too_long {
            raw.truncate(SHOWN);
            let reason =
                format!("longer than max.line.bytes ({}); its start is shown", settings.max_line_bytes);
            rejected.push(reject(&self.path, line, &raw, reason));
            return Ok(false);
        }
        if self.csv.is_some() {
            return self.csv_record(settings, raw, line, start, records, rejected);
        }
        if raw.last() == Some(&b'\r') {
            raw.pop();
        }
        if self.format == Format::Text || !raw.trim_ascii().is_empty() {
            records.push(Numbered { line, raw, json: None });
        }
        Ok(false)
    }

    /// Reads a CSV record that begins with this line. One that does not end costs its first line only.
    fn csv_record(
        &mut self,
        settings: &Settings,
        mut raw: Vec<u8>,
        line: u64,
        start: u64,
        records: &mut Vec<Numbered>,
        rejected: &mut Vec<Rejected>,
    ) -> io::Result<bool> {
        let Some(csv) = &mut self.csv else { return Ok(false) };
        if raw.trim_ascii().is_empty() {
            return Ok(false);
        }
        let (first_length, after_first) = (raw.len(), self.lines.position());
        let mut fed = csv.parser.feed(&raw);
        let mut more = Vec::new();
        while fed == Fed::Open {
            let kind = self.lines.next(&mut more)?;
            match kind {
                Line::End | Line::Partial | Line::Endless if settings.tail => {
                    csv.parser.reset();
                    self.lines.seek(start)?;
                    self.progress.rows = line - 1;
                    return Ok(true);
                }
                Line::End => fed = Fed::Bad("a quoted field is not closed"),
                _ if raw.len() + more.len() >= settings.max_line_bytes => {
                    fed = Fed::Bad("a quoted field is not closed within max.line.bytes");
                }
                Line::Whole | Line::Partial | Line::TooLong | Line::Endless => {
                    if kind == Line::Partial {
                        self.lines.take_partial();
                    }
                    raw.push(b'\n');
                    raw.extend_from_slice(&more);
                    fed = csv.parser.feed(&more);
                    self.progress.rows += 1;
                }
            }
            if matches!(fed, Fed::Bad(_)) {
                // What follows the first line may be records of their own.
                csv.parser.reset();
                self.lines.seek(after_first)?;
                self.progress.rows = line;
                raw.truncate(first_length);
            }
        }
        let json = match (&fed, &self.schema) {
            (Fed::Record(fields), Some(schema)) => csv.json(&schema.columns(), fields),
            (Fed::Bad(reason), _) => Err((*reason).to_owned()),
            _ => Err("no record".to_owned()),
        };
        match json {
            Ok(json) => records.push(Numbered { line, raw, json: Some(json) }),
            Err(reason) => rejected.push(reject(&self.path, line, &raw, reason)),
        }
        Ok(false)
    }
}

/// Reads a CSV file's header, and finds the columns among its fields.
fn begin_csv(
    path: &str,
    settings: &Settings,
    lines: &mut LineReader,
    progress: &mut Progress,
) -> Result<(Arc<ConnectSchema>, Csv), Unusable> {
    let csv = settings.csv_of(path);
    let mut parser = Parser::new(csv.delimiter, csv.quote);
    let names = if csv.header {
        let (names, read) = header(lines, &mut parser, settings)?;
        if progress.position == 0 {
            (progress.position, progress.rows) = (lines.position(), read);
        } else {
            lines.seek(progress.position)?;
        }
        Some(names)
    } else {
        None
    };
    let schema = match (&settings.schema, &names) {
        (Some(schema), _) => Arc::clone(schema),
        (None, Some(names)) => {
            let fields = names.iter().map(|n| Field::new(n, DataType::Varchar)).collect();
            Arc::new(ConnectSchema::of(settings.schema_name.clone(), Schema::new(fields)))
        }
        (None, None) => {
            return Err(Unusable::Bad("CSV without a header needs its columns: set schema".to_owned()));
        }
    };
    let columns = schema.columns();
    let (places, width) = match &names {
        None => ((0..columns.fields.len()).collect(), columns.fields.len()),
        Some(names) => {
            let place = |field: &Field| {
                let exact = names.iter().position(|n| *n == field.name);
                exact.or_else(|| names.iter().position(|n| n.eq_ignore_ascii_case(&field.name))).ok_or_else(
                    || {
                        Unusable::Bad(format!(
                            "its header ({}) has no column {}",
                            names.join(", "),
                            field.name
                        ))
                    },
                )
            };
            (columns.fields.iter().map(place).collect::<Result<Vec<_>, _>>()?, names.len())
        }
    };
    drop(columns);
    Ok((schema, Csv { settings: csv, parser, places, width }))
}

/// The names in a CSV file's first record, and how many lines it takes.
fn header(
    lines: &mut LineReader,
    parser: &mut Parser,
    settings: &Settings,
) -> Result<(Vec<String>, u64), Unusable> {
    lines.seek(0)?;
    let (mut line, mut read) = (Vec::new(), 0);
    loop {
        match lines.next(&mut line)? {
            Line::Whole => {}
            Line::Partial if !settings.tail => lines.take_partial(),
            Line::End | Line::Partial => return Err(Unusable::Wait),
            Line::TooLong | Line::Endless => {
                return Err(Unusable::Bad("its header is longer than max.line.bytes".to_owned()));
            }
        }
        read += 1;
        let text = if read == 1 { line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&line) } else { &line };
        match parser.feed(text) {
            Fed::Open if read < 100 => {}
            Fed::Record(fields) => {
                let names =
                    fields.iter().map(|f| String::from_utf8_lossy(&f.text).trim().to_owned()).collect();
                return Ok((names, read));
            }
            Fed::Open | Fed::Bad(_) => return Err(Unusable::Bad("its header is no CSV record".to_owned())),
        }
    }
}

impl Csv {
    /// A record as a JSON object with the fields' texts, which the JSON codec reads by the columns' types.
    fn json(&self, columns: &Schema, fields: &[CsvField]) -> Result<Vec<u8>, String> {
        if fields.len() != self.width {
            return Err(format!("{} fields wanted, the record has {}", self.width, fields.len()));
        }
        let mut json = Vec::from(b"{");
        for (column, place) in columns.fields.iter().zip(&self.places) {
            let Some(field) = fields.get(*place) else { continue };
            let text = std::str::from_utf8(&field.text)
                .map_err(|_| format!("field {}: no text (UTF-8)", column.name))?;
            let is_text = matches!(column.data_type, DataType::Varchar | DataType::Bytes);
            let text = if is_text { text } else { text.trim() };
            if (!field.quoted && text == self.settings.null) || (!is_text && text.is_empty()) {
                continue;
            }
            if json.len() > 1 {
                json.push(b',');
            }
            json.extend_from_slice(serde_json::Value::from(column.name.as_str()).to_string().as_bytes());
            json.push(b':');
            match &column.data_type {
                DataType::Array(_) | DataType::Map(_) | DataType::Struct(_) => {
                    serde_json::from_str::<IgnoredAny>(text).map_err(|e| {
                        format!("field {}: no JSON, as {} wants: {e}", column.name, column.data_type)
                    })?;
                    json.extend_from_slice(text.as_bytes());
                }
                // A number as such: a timestamp in milliseconds is no ISO 8601.
                DataType::Timestamp | DataType::Date | DataType::Time if text.parse::<i64>().is_ok() => {
                    json.extend_from_slice(text.as_bytes());
                }
                _ => json.extend_from_slice(serde_json::Value::from(text).to_string().as_bytes()),
            }
        }
        json.push(b'}');
        Ok(json)
    }
}

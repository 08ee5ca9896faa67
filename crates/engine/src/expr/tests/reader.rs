//! Reads the tables.
//!
//! ```text
//! # what the table shows
//! a + b -> BIGINT                an expression over the columns, and the type of its result
//! a BIGINT | b BIGINT | =        the columns, and = for the result
//! 1        | 2        | 3
//! NULL     | 2        | NULL
//! 9e18.. + 1 overflows: ERROR is NULL and an error of the row; a value with ! behind it is that value and an error
//! ```
//! Strings stand in quotes where they are empty, start or end with a space, or would read as one of these words.

use bd_schema::{DataType, Field, Value};
use std::sync::Arc;

/// One table.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) title: String,
    pub(super) sql: String,
    pub(super) result: DataType,
    pub(super) columns: Vec<Field>,
    pub(super) rows: Vec<Row>,
}

/// A row: one value a column, the result, and whether it counts as an error.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) input: Vec<Value>,
    pub(super) expected: Value,
    pub(super) error: bool,
}

pub(super) fn read(text: &str) -> Vec<Table> {
    let blocks = text.split("\n\n").map(|b| b.lines().filter(|l| !l.trim().is_empty()).collect::<Vec<_>>());
    blocks.filter(|b| b.len() > 1).map(|lines| table(&lines)).collect()
}

fn table(lines: &[&str]) -> Table {
    let title = lines[0].strip_prefix("# ").unwrap_or_else(|| panic!("no title: {}", lines[0])).to_owned();
    let (sql, result) = lines[1].rsplit_once(" -> ").unwrap_or_else(|| panic!("{title}: no result type"));
    let result = data_type(result);
    let header: Vec<&str> = lines[2].split('|').map(str::trim).collect();
    assert_eq!(header.last(), Some(&"="), "{title}");
    let columns: Vec<Field> = header[..header.len() - 1]
        .iter()
        .map(|c| {
            let (name, data_type_) = c.split_once(' ').unwrap_or_else(|| panic!("{title}: {c}"));
            Field::new(name, data_type(data_type_))
        })
        .collect();
    let rows = lines[3..].iter().map(|line| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        assert_eq!(cells.len(), columns.len() + 1, "{title}: {line}");
        let input = columns.iter().zip(&cells).map(|(f, c)| value(c, &f.data_type)).collect();
        let last = cells[cells.len() - 1];
        let (last, error) = match last.strip_suffix(" !") {
            Some(rest) => (rest, true),
            None if last == "ERROR" => ("NULL", true),
            None => (last, false),
        };
        Row { input, expected: value(last, &result), error }
    });
    Table { sql: sql.trim().to_owned(), rows: rows.collect(), title, result, columns }
}

/// A type as written in a statement.
pub(super) fn data_type(text: &str) -> DataType {
    let text = text.trim();
    let inner = |prefix: &str, close: char| text.strip_prefix(prefix).and_then(|t| t.strip_suffix(close));
    if let Some(inner) = inner("ARRAY<", '>') {
        return DataType::Array(Arc::new(data_type(inner)));
    }
    if let Some(inner) = inner("MAP<VARCHAR,", '>') {
        return DataType::Map(Arc::new(data_type(inner)));
    }
    if let Some(inner) = inner("STRUCT<", '>') {
        let fields = parts(inner).into_iter().map(|p| {
            let (name, of) = p.trim().split_once(' ').expect("a field has a name and a type");
            Field::new(name, data_type(of))
        });
        return DataType::Struct(fields.collect());
    }
    if let Some(inner) = inner("DECIMAL(", ')') {
        let (p, s) = inner.split_once(',').expect("precision, scale");
        return DataType::Decimal(p.trim().parse().expect("precision"), s.trim().parse().expect("scale"));
    }
    match text {
        "BOOLEAN" => DataType::Boolean,
        "INTEGER" => DataType::Integer,
        "BIGINT" => DataType::BigInt,
        "DOUBLE" => DataType::Double,
        "VARCHAR" => DataType::Varchar,
        "BYTES" => DataType::Bytes,
        "DATE" => DataType::Date,
        "TIME" => DataType::Time,
        "TIMESTAMP" => DataType::Timestamp,
        other => panic!("no type: {other}"),
    }
}

/// Split at the commas that stand in no brackets.
fn parts(text: &str) -> Vec<&str> {
    let (mut out, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, c) in text.char_indices() {
        match c {
            '<' | '(' | '[' | '{' => depth += 1,
            '>' | ')' | ']' | '}' => depth -= 1,
            ',' if depth == 0 => {
                out.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    if !text.trim().is_empty() {
        out.push(&text[start..]);
    }
    out
}

fn value(cell: &str, of: &DataType) -> Value {
    let cell = cell.trim();
    if cell == "NULL" {
        return Value::Null;
    }
    let bare = cell.strip_prefix('\'').and_then(|c| c.strip_suffix('\'')).unwrap_or(cell);
    let wrong = || -> Value { panic!("{cell} is no {of}") };
    let inner = |open: char, close: char| {
        parts(cell.strip_prefix(open).and_then(|c| c.strip_suffix(close)).unwrap_or_else(|| panic!("{cell}")))
    };
    match of {
        DataType::Boolean => cell.parse().map_or_else(|_| wrong(), Value::Boolean),
        DataType::Integer => cell.parse().map_or_else(|_| wrong(), Value::Integer),
        DataType::BigInt => cell.parse().map_or_else(|_| wrong(), Value::BigInt),
        DataType::Double => cell.parse().map_or_else(|_| wrong(), Value::Double),
        DataType::Decimal(_, scale) => {
            let (whole, fraction) = cell.split_once('.').unwrap_or((cell, ""));
            let digits = format!("{whole}{fraction:0<width$}", width = usize::try_from(*scale).unwrap_or(0));
            digits.parse().map_or_else(|_| wrong(), Value::Decimal)
        }
        DataType::Varchar => Value::Varchar(bare.to_owned()),
        DataType::Bytes => {
            let byte = |at: usize| u8::from_str_radix(&cell[at..at + 2], 16).expect("hexadecimal bytes");
            Value::Bytes((0..cell.len()).step_by(2).map(byte).collect())
        }
        DataType::Date => Value::Date(i32::try_from(days(cell)).expect("a day")),
        DataType::Time => Value::Time(i32::try_from(time(cell)).expect("a time")),
        DataType::Timestamp => match cell.split_once('T') {
            Some((date, at)) => Value::Timestamp(days(date) * 86_400_000 + time(at)),
            None => cell.parse().map_or_else(|_| wrong(), Value::Timestamp),
        },
        DataType::Array(e) => Value::Array(inner('[', ']').iter().map(|p| value(p, e)).collect()),
        DataType::Map(v) => {
            let entry = |p: &&str| {
                let (key, of) = p.split_once(':').unwrap_or_else(|| panic!("{cell}"));
                (key.trim().to_owned(), value(of, v))
            };
            Value::Map(inner('{', '}').iter().map(entry).collect())
        }
        DataType::Struct(fields) => {
            let values = inner('{', '}');
            Value::Struct(fields.iter().zip(values).map(|(f, p)| value(p, &f.data_type)).collect())
        }
    }
}

/// Days since 1970-01-01, counted one year and one month after the other: slow, and not the calendar that is tested.
pub(super) fn days(text: &str) -> i64 {
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |t| (true, t));
    let numbers: Vec<i64> = text.split('-').map(|n| n.parse().expect("a date")).collect();
    let [year, month, day] = numbers[..] else { panic!("{text} is no date") };
    let year = if negative { -year } else { year };
    let leap = |y: i64| y % 4 == 0 && (y % 100 != 0 || y % 400 == 0);
    let length = |y: i64| if leap(y) { 366 } else { 365 };
    let years: i64 =
        if year >= 1970 { (1970..year).map(length).sum() } else { -(year..1970).map(length).sum::<i64>() };
    let february = if leap(year) { 29 } else { 28 };
    let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    years + months[..usize::try_from(month).expect("a month") - 1].iter().sum::<i64>() + day - 1
}

fn time(text: &str) -> i64 {
    let (clock, ms) = text.split_once('.').unwrap_or((text, "0"));
    let parts: Vec<i64> = clock.split(':').map(|n| n.parse().expect("a time")).collect();
    let [h, m, s] = parts[..] else { panic!("{text} is no time") };
    ((h * 60 + m) * 60 + s) * 1000 + ms.parse::<i64>().expect("milliseconds")
}

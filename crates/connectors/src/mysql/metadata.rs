//! The optional metadata of TABLE_MAP_EVENT. With `binlog_row_metadata=FULL` it is a whole definition, by which tables are understood
//! whose DDL is not.

use super::catalog::Table;
use super::charset::Charset;
use super::ddl::Column;
use super::image::Bytes;
use super::tablemap::{Layout, TableMap, code};
use std::collections::HashMap;

/// Numbers of collations, and the character sets they are of.
pub(super) type Collations = HashMap<u64, String>;

/// The fields that matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Metadata {
    /// Of each numeric column, the high bit first: whether it is unsigned.
    unsigned: Vec<u8>,
    /// Collations of columns of text; of ENUM and SET.
    text: Charsets,
    members: Charsets,
    /// Empty: not told.
    pub(super) names: Vec<String>,
    sets: Vec<Vec<Vec<u8>>>,
    enums: Vec<Vec<Vec<u8>>>,
    key: Vec<usize>,
}

/// Collations of some columns, counted among themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Charsets {
    default: u64,
    of: HashMap<u64, u64>,
}

fn narrow(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

impl Metadata {
    /// Reads fields of type, length and value to the end.
    ///
    /// # Errors
    /// They are cut short.
    pub(super) fn read(b: &mut Bytes<'_>) -> Result<Self, String> {
        let mut metadata = Self::default();
        while !b.is_empty() {
            let kind = b.le(1)?;
            let length = narrow(b.length()?);
            let mut field = Bytes::new(b.take(length)?);
            match kind {
                1 => metadata.unsigned = field.rest().to_vec(),
                2 => metadata.text = Charsets::with_default(&mut field)?,
                3 => metadata.text = Charsets::of_each(&mut field)?,
                4 => {
                    metadata.names =
                        texts(&mut field)?.iter().map(|n| String::from_utf8_lossy(n).into_owned()).collect()
                }
                5 => metadata.sets = lists(&mut field)?,
                6 => metadata.enums = lists(&mut field)?,
                8 => metadata.key = numbers(&mut field)?.into_iter().map(narrow).collect(),
                // Places and lengths of prefixes in turn.
                9 => metadata.key = numbers(&mut field)?.into_iter().step_by(2).map(narrow).collect(),
                10 => metadata.members = Charsets::with_default(&mut field)?,
                11 => metadata.members = Charsets::of_each(&mut field)?,
                _ => {}
            }
        }
        Ok(metadata)
    }
}

impl Charsets {
    fn with_default(b: &mut Bytes<'_>) -> Result<Self, String> {
        let default = b.length()?;
        let numbers = numbers(b)?;
        let pairs = numbers.chunks_exact(2).filter_map(|pair| Some((*pair.first()?, *pair.get(1)?)));
        Ok(Self { default, of: pairs.collect() })
    }

    fn of_each(b: &mut Bytes<'_>) -> Result<Self, String> {
        Ok(Self { default: 0, of: (0..).zip(numbers(b)?).collect() })
    }

    fn name<'a>(&self, place: u64, collations: &'a Collations) -> Result<&'a str, String> {
        let id = self.of.get(&place).copied().unwrap_or(self.default);
        collations.get(&id).map(String::as_str).ok_or_else(|| format!("collation {id} is not known"))
    }
}

fn numbers(b: &mut Bytes<'_>) -> Result<Vec<u64>, String> {
    let mut numbers = Vec::new();
    while !b.is_empty() {
        numbers.push(b.length()?);
    }
    Ok(numbers)
}

fn texts(b: &mut Bytes<'_>) -> Result<Vec<Vec<u8>>, String> {
    let mut texts = Vec::new();
    while !b.is_empty() {
        let length = narrow(b.length()?);
        texts.push(b.take(length)?.to_vec());
    }
    Ok(texts)
}

fn lists(b: &mut Bytes<'_>) -> Result<Vec<Vec<Vec<u8>>>, String> {
    let mut lists = Vec::new();
    while !b.is_empty() {
        let mut members = Vec::new();
        for _ in 0..b.length()? {
            let length = narrow(b.length()?);
            members.push(b.take(length)?.to_vec());
        }
        lists.push(members);
    }
    Ok(lists)
}

/// Places of columns among those of their sort.
#[derive(Default)]
struct Seen {
    numeric: usize,
    text: u64,
    members: u64,
    sets: usize,
    enums: usize,
}

/// The definition that a table map tells. What it does not tell: BOOL from TINYINT, generated columns; neither matters.
///
/// # Errors
/// The server does not tell all, or a type is not known.
pub(super) fn definition(map: &TableMap, collations: &Collations) -> Result<Table, String> {
    let metadata = &map.metadata;
    if metadata.names.len() != map.columns.len() {
        return Err("binlog_row_metadata is not FULL".to_owned());
    }
    let mut seen = Seen::default();
    let mut columns = Vec::with_capacity(map.columns.len());
    for (i, (name, layout)) in metadata.names.iter().zip(&map.columns).enumerate() {
        let nullable = map.nullable.get(i / 8).is_some_and(|b| b >> (i % 8) & 1 == 1);
        let column = column(name, *layout, metadata, &mut seen, collations)
            .map_err(|e| format!("column {name}: {e}"))?;
        columns.push(Column { nullable, ..column });
    }
    let name = |&i: &usize| metadata.names.get(i).cloned();
    let primary_key = metadata.key.iter().filter_map(name).collect();
    let charset = collations.get(&metadata.text.default).cloned().unwrap_or_else(|| "utf8mb4".to_owned());
    Ok(Table { columns, primary_key, charset, system_versioned: false })
}

fn column(
    name: &str,
    Layout { code, meta }: Layout,
    metadata: &Metadata,
    seen: &mut Seen,
    collations: &Collations,
) -> Result<Column, String> {
    use code::*;
    let (low, high) = (u32::from(meta & 0xff), u32::from(meta >> 8));
    let mut column = Column::of(name);
    let (type_name, args) = match code {
        TINY => ("tinyint", vec![]),
        SHORT => ("smallint", vec![]),
        INT24 => ("mediumint", vec![]),
        LONG => ("int", vec![]),
        LONGLONG => ("bigint", vec![]),
        FLOAT => ("float", vec![]),
        DOUBLE => ("double", vec![]),
        NEWDECIMAL => ("decimal", vec![low, high]),
        YEAR => ("year", vec![]),
        DATE | NEWDATE => ("date", vec![]),
        DATETIME | DATETIME2 => ("datetime", vec![low]),
        TIMESTAMP | TIMESTAMP2 => ("timestamp", vec![low]),
        TIME | TIME2 => ("time", vec![low]),
        BIT => ("bit", vec![high * 8 + low]),
        JSON => ("json", vec![]),
        ENUM => ("enum", vec![]),
        SET => ("set", vec![]),
        // Of BINARY the length counts, of CHAR it does not.
        STRING => ("char", vec![u32::from(meta)]),
        VARCHAR | VAR_STRING => ("varchar", vec![]),
        TINY_BLOB..=BLOB => ("text", vec![]),
        other => return Err(format!("type {other} is not built")),
    };
    column.type_name = type_name.to_owned();
    column.args = args;
    match code {
        TINY | SHORT | INT24 | LONG | LONGLONG | FLOAT | DOUBLE | NEWDECIMAL => {
            let bits = metadata.unsigned.get(seen.numeric / 8);
            column.unsigned = bits.is_some_and(|b| b >> (7 - seen.numeric % 8) & 1 == 1);
            seen.numeric += 1;
        }
        STRING | VARCHAR | VAR_STRING | TINY_BLOB..=BLOB => {
            column.charset = Some(metadata.text.name(seen.text, collations)?.to_owned());
            seen.text += 1;
        }
        ENUM | SET => {
            let charset =
                Charset::of(metadata.members.name(seen.members, collations)?).unwrap_or(Charset::Utf8);
            let (lists, place) = if code == ENUM {
                (&metadata.enums, &mut seen.enums)
            } else {
                (&metadata.sets, &mut seen.sets)
            };
            let members = lists.get(*place).ok_or_else(|| "its members are not told".to_owned())?;
            column.values = members.iter().map(|m| charset.decode(m)).collect();
            *place += 1;
            seen.members += 1;
        }
        _ => {}
    }
    Ok(column)
}

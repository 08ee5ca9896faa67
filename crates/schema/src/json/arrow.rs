//! From bytes to Arrow columns, without anything in between.
//!
//! Records of a topic mostly name the same keys in the same order with the same spacing. So each object remembers, for each key,
//! which key came after it and the exact bytes of that, from the comma to the value. The next record is first compared with those
//! bytes; only where they differ is the key scanned and looked up. What is remembered changes speed only: equal bytes mean an
//! equal key.

use super::scalar;
use super::scan::Scanner;
use super::shape::{ObjectShape, Shape, Target};
use crate::column::{Column, Map};
use crate::failure::{Failure, Fallible};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

/// What reading a type remembers from record to record.
pub(super) enum Reader<'a> {
    Leaf,
    Array(Box<Reader<'a>>),
    Map(Box<Reader<'a>>),
    Struct(ObjectReader<'a>),
}

impl<'a> Reader<'a> {
    fn new(shape: &'a Shape) -> Self {
        match shape {
            Shape::Leaf(_) | Shape::Unscaled(_) => Self::Leaf,
            Shape::Array(element) => Self::Array(Box::new(Self::new(element))),
            Shape::Map(value) => Self::Map(Box::new(Self::new(value))),
            Shape::Struct(fields) => Self::Struct(ObjectReader::new(fields)),
        }
    }
}

/// No key.
const NONE: usize = usize::MAX;
/// Longer keys are not remembered, nor more keys than this beside the schema's, so that a hostile record costs little memory.
const MAX_KEY: usize = 128;
const MAX_UNKNOWN: usize = 64;

/// A key that was seen: those of the schema's fields first, in their order, then others.
struct Seen {
    /// From after the comma or brace to the value; empty: nothing is remembered.
    text: Vec<u8>,
    target: Option<Target>,
    /// The key that came after it.
    next: usize,
}

/// Reads objects of one shape.
pub(super) struct ObjectReader<'a> {
    shape: &'a ObjectShape,
    fields: Vec<Reader<'a>>,
    seen: Vec<Seen>,
    /// The key that came first.
    first: usize,
    /// Fields of the present object whose value came under a key that differs in case.
    inexact: Vec<usize>,
}

impl<'a> ObjectReader<'a> {
    pub(super) fn new(shape: &'a ObjectShape) -> Self {
        let unseen = || Seen { text: Vec::new(), target: None, next: NONE };
        Self {
            shape,
            fields: shape.fields.iter().map(Reader::new).collect(),
            seen: shape.names.iter().map(|_| unseen()).collect(),
            first: NONE,
            inexact: Vec::new(),
        }
    }

    /// Reads an object, appending one value to each column, all of which hold `row` values.
    pub(super) fn read(&mut self, s: &mut Scanner<'_>, columns: &mut [Column], row: usize) -> Fallible<()> {
        s.enter(b'{')?;
        self.inexact.clear();
        let mut previous = NONE;
        let mut filled = 0;
        let mut first = true;
        while s.more(b'}', first)? {
            first = false;
            let guess = if previous == NONE { self.first } else { self.seen[previous].next };
            let (place, target) = match self.seen.get(guess) {
                Some(seen) if !seen.text.is_empty() && s.take_all(&seen.text) => {
                    // There may be more space than last time.
                    s.skip_space();
                    (guess, seen.target)
                }
                _ => self.look_up(s, previous)?,
            };
            // NONE if the key is not remembered: the next guess is then that for the first key, and harmless.
            previous = place;
            match target {
                Some(target) => filled += usize::from(self.field(s, columns, row, target)?),
                None => s.skip_value()?,
            }
        }
        if filled < columns.len() {
            columns.iter_mut().filter(|c| c.len() == row).for_each(Column::push_null);
        }
        Ok(())
    }

    /// Reads the bare value of the only field.
    pub(super) fn read_bare(&mut self, s: &mut Scanner<'_>, columns: &mut [Column]) -> Fallible<()> {
        match (columns.first_mut(), self.fields.first_mut()) {
            (Some(column), Some(reader)) => {
                value(s, column, reader).map_err(|e| e.in_field(&self.shape.names[0]))
            }
            _ => Err(Failure::new("a bare value needs a column")),
        }
    }

    /// Reads the value of a field. True if it is the object's first for it.
    #[inline]
    fn field(
        &mut self,
        s: &mut Scanner<'_>,
        columns: &mut [Column],
        row: usize,
        Target { field, exact }: Target,
    ) -> Fallible<bool> {
        let column = &mut columns[field];
        let fresh = column.len() == row;
        if !fresh {
            if !exact && !self.inexact.contains(&field) {
                s.skip_value()?;
                return Ok(false);
            }
            column.truncate(row);
            self.inexact.retain(|f| *f != field);
        }
        if !exact {
            self.inexact.push(field);
        }
        match value(s, column, &mut self.fields[field]) {
            Ok(()) => Ok(fresh),
            Err(failure) => Err(failure.in_field(&self.shape.names[field])),
        }
    }

    /// Scans a key, finds what it names, and remembers it.
    #[cold]
    fn look_up(&mut self, s: &mut Scanner<'_>, previous: usize) -> Fallible<(usize, Option<Target>)> {
        let start = s.pos();
        let key = s.key()?;
        let text = s.since(start);
        let target = self.shape.find(&key)?;
        let known = self.shape.names.len();
        let place = match target {
            _ if text.len() > MAX_KEY => NONE,
            Some(target) => target.field,
            None => match self.seen[known..].iter().position(|seen| seen.text == text) {
                Some(at) => known + at,
                None if self.seen.len() - known < MAX_UNKNOWN => {
                    self.seen.push(Seen { text: Vec::new(), target: None, next: NONE });
                    self.seen.len() - 1
                }
                None => NONE,
            },
        };
        if let Some(seen) = self.seen.get_mut(place) {
            seen.text.clear();
            seen.text.extend_from_slice(text);
            seen.target = target;
        }
        match self.seen.get_mut(previous) {
            Some(seen) => seen.next = place,
            None => self.first = place,
        }
        Ok((place, target))
    }
}

/// Reads a value, appending it.
#[inline]
pub(super) fn value(s: &mut Scanner<'_>, column: &mut Column, reader: &mut Reader<'_>) -> Fallible<()> {
    match (column, reader) {
        (Column::BigInt(c), _) => c.push(scalar::bigint(s)?),
        (Column::Integer(c), _) => c.push(scalar::integer(s)?),
        (Column::Varchar(c), _) => match scalar::varchar(s)? {
            Some(text) => c.push(text.as_bytes())?,
            None => c.push_null(),
        },
        (Column::Double(c), _) => c.push(scalar::double(s)?),
        (Column::Timestamp(c), _) => c.push(scalar::timestamp(s)?),
        (column, reader) => return rarer_value(s, column, reader),
    }
    Ok(())
}

fn rarer_value(s: &mut Scanner<'_>, column: &mut Column, reader: &mut Reader<'_>) -> Fallible<()> {
    match (column, reader) {
        (Column::Boolean(c), _) => c.push(scalar::boolean(s)?),
        (Column::Decimal(c, precision, scale), _) => c.push(scalar::decimal(s, *precision, *scale)?),
        (Column::Date(c), _) => c.push(scalar::date(s)?),
        (Column::Time(c), _) => c.push(scalar::time(s)?),
        (Column::Bytes(c), _) => match scalar::bytes(s)? {
            Some(bytes) => c.push(&bytes)?,
            None => c.push_null(),
        },
        (column @ (Column::Array(_) | Column::Map(_) | Column::Struct(_)), reader) => {
            let Some(open) = scalar::opening(s, reader.opening(), reader.name())? else {
                column.push_null();
                return Ok(());
            };
            debug_assert_eq!(s.peek(), Some(open));
            match (column, reader) {
                (Column::Array(c), Reader::Array(item)) => {
                    s.enter(open)?;
                    let start = c.items.len();
                    let mut first = true;
                    while s.more(b']', first)? {
                        first = false;
                        s.skip_space();
                        let at = c.items.len() - start;
                        value(s, &mut c.items, item).map_err(|e| e.in_element(at))?;
                    }
                    c.offsets.push(c.items.len())?;
                }
                (Column::Map(c), Reader::Map(entry)) => map(s, c, entry)?,
                (Column::Struct(c), Reader::Struct(object)) => {
                    let row = c.len();
                    object.read(s, &mut c.fields, row)?;
                    c.push();
                }
                _ => return Err(Failure::new("the reader is not of the column's type")),
            }
        }
        _ => return Err(Failure::new("the reader is not of the column's type")),
    }
    Ok(())
}

impl Reader<'_> {
    fn opening(&self) -> u8 {
        if matches!(self, Self::Array(_)) { b'[' } else { b'{' }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Leaf => "a scalar",
            Self::Array(_) => "ARRAY",
            Self::Map(_) => "MAP",
            Self::Struct(_) => "STRUCT",
        }
    }
}

fn map(s: &mut Scanner<'_>, c: &mut Map, entry: &mut Reader<'_>) -> Fallible<()> {
    let start = c.keys.len();
    let opening = s.clone();
    s.enter(b'{')?;
    let mut first = true;
    while s.more(b'}', first)? {
        first = false;
        let key = s.key()?;
        c.keys.push(key.as_bytes())?;
        value(s, &mut c.values, entry).map_err(|e| e.in_entry(&key))?;
    }
    if repeats(&c.keys, start) {
        c.keys.truncate(start);
        c.values.truncate(start);
        distinct_map(opening, c, entry)?;
    }
    c.offsets.push(c.keys.len())
}

/// Whether any key from `start` on is there twice.
fn repeats(keys: &crate::column::Variable, start: usize) -> bool {
    let count = keys.len() - start;
    if count <= 8 {
        return (start..keys.len()).any(|i| (start..i).any(|j| keys.get(i) == keys.get(j)));
    }
    let mut seen = HashSet::with_capacity(count);
    !(start..keys.len()).all(|i| seen.insert(keys.get(i)))
}

/// Reads a map again in which keys repeat: each stands where it came first, with its last value.
#[cold]
fn distinct_map(mut s: Scanner<'_>, c: &mut Map, entry: &mut Reader<'_>) -> Fallible<()> {
    let mut places: HashMap<Cow<'_, str>, usize> = HashMap::new();
    let mut entries: Vec<(Cow<'_, str>, usize)> = Vec::new();
    s.enter(b'{')?;
    let mut first = true;
    while s.more(b'}', first)? {
        first = false;
        let key = s.key()?;
        let place = *places.entry(key.clone()).or_insert(entries.len());
        match entries.get_mut(place) {
            Some(known) => known.1 = s.pos(),
            None => entries.push((key, s.pos())),
        }
        s.skip_value()?;
    }
    for (key, pos) in entries {
        s.set_pos(pos);
        c.keys.push(key.as_bytes())?;
        value(&mut s, &mut c.values, entry)?;
    }
    Ok(())
}

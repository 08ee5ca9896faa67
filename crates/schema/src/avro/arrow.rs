//! From bytes to Arrow columns, without anything in between.

use super::plan::{Plan, Read, RecordPlan, Root, Skip, Step};
use super::scalar;
use super::skip::skip;
use super::wire::{Blocks, Wire};
use crate::batch;
use crate::column::{Column, List, Map, Struct};
use crate::failure::{Failure, Fallible};
use crate::{DataType, Field};
use std::borrow::Cow;

/// Reads a datum, appending one value to each column, or fails having appended any part of that.
pub(super) fn datum(bytes: &[u8], plan: &Plan, fields: &[Field], columns: &mut [Column]) -> Fallible<()> {
    let mut w = Wire::new(bytes);
    Reader { named: &plan.named }.root(&mut w, &plan.root, fields, columns)?;
    w.end()
}

/// Reads the datum at the start of the bytes in the same way, and gives what follows it.
pub(super) fn prefix<'b>(
    bytes: &'b [u8],
    plan: &Plan,
    fields: &[Field],
    columns: &mut [Column],
) -> Fallible<&'b [u8]> {
    let mut w = Wire::new(bytes);
    Reader { named: &plan.named }.root(&mut w, &plan.root, fields, columns)?;
    Ok(w.rest())
}

struct Reader<'a> {
    named: &'a [Skip],
}

impl Reader<'_> {
    fn root(&self, w: &mut Wire<'_>, root: &Root, fields: &[Field], columns: &mut [Column]) -> Fallible<()> {
        match root {
            Root::Record(record) => self.record(w, record, fields, columns),
            Root::Bare(read) => match (fields.first(), columns.first_mut()) {
                (Some(field), Some(column)) => {
                    self.value(w, read, &field.data_type, column).map_err(|e| e.in_field(&field.name))
                }
                _ => Ok(()),
            },
            Root::Union(branches) => {
                let branch = &branches[w.index(branches.len(), "branch")?];
                self.root(w, branch, fields, columns)
            }
            Root::Refused(reason) => Err(Failure::new(reason.clone())),
        }
    }

    #[inline]
    fn record(
        &self,
        w: &mut Wire<'_>,
        plan: &RecordPlan,
        fields: &[Field],
        columns: &mut [Column],
    ) -> Fallible<()> {
        for step in &plan.steps {
            match step {
                Step::Read { field, read } => {
                    let at = &fields[*field];
                    self.value(w, read, &at.data_type, &mut columns[*field])
                        .map_err(|e| e.in_field(&at.name))?;
                }
                Step::Skip(what) => skip(w, what, self.named)?,
            }
        }
        plan.absent.iter().for_each(|field| columns[*field].push_null());
        for (field, default) in &plan.defaults {
            batch::push(&mut columns[*field], &fields[*field].data_type, default)?;
        }
        Ok(())
    }

    #[inline]
    fn value(&self, w: &mut Wire<'_>, read: &Read, target: &DataType, column: &mut Column) -> Fallible<()> {
        match read {
            Read::Nullable(null, inner) => {
                if w.index(2, "branch")? == *null {
                    column.push_null();
                    return Ok(());
                }
                self.present(w, inner, target, column)
            }
            read => self.present(w, read, target, column),
        }
    }

    #[inline]
    fn present(&self, w: &mut Wire<'_>, read: &Read, target: &DataType, column: &mut Column) -> Fallible<()> {
        match (read, column) {
            (Read::Whole(_), Column::BigInt(c)) => c.push(Some(scalar::bigint(w, read)?)),
            (Read::Whole(_), Column::Integer(c)) => c.push(Some(scalar::integer(w, read)?)),
            (Read::Text, Column::Varchar(c)) => c.push(w.string()?.as_bytes())?,
            (Read::Whole(_), Column::Timestamp(c)) => c.push(Some(scalar::timestamp(w, read)?)),
            (Read::Double, Column::Double(c)) => c.push(Some(w.double()?)),
            (read, column) => self.rarer(w, read, target, column)?,
        }
        Ok(())
    }

    fn rarer(&self, w: &mut Wire<'_>, read: &Read, target: &DataType, column: &mut Column) -> Fallible<()> {
        match (read, column, target) {
            (Read::Null, column, _) => column.push_null(),
            (Read::Nullable(..), column, _) => self.value(w, read, target, column)?,
            (Read::Union(branches), column, _) => {
                let branch = &branches[w.index(branches.len(), "branch")?];
                self.value(w, branch, target, column)?;
            }
            (Read::Refused(reason), ..) => return Err(Failure::new(reason.clone())),
            (_, Column::Boolean(c), _) => c.push(Some(scalar::boolean(w, read)?)),
            (_, Column::Integer(c), _) => c.push(Some(scalar::integer(w, read)?)),
            (_, Column::BigInt(c), _) => c.push(Some(scalar::bigint(w, read)?)),
            (_, Column::Double(c), _) => c.push(Some(scalar::double(w, read)?)),
            (_, Column::Decimal(c, precision, scale), _) => {
                c.push(Some(scalar::decimal(w, read, *precision, *scale)?));
            }
            (_, Column::Varchar(c), _) => c.push(scalar::varchar(w, read)?.as_bytes())?,
            (_, Column::Bytes(c), _) => c.push(scalar::bytes(w, read)?)?,
            (_, Column::Date(c), _) => c.push(Some(scalar::date(w, read)?)),
            (_, Column::Time(c), _) => c.push(Some(scalar::time(w, read)?)),
            (_, Column::Timestamp(c), _) => c.push(Some(scalar::timestamp(w, read)?)),
            (Read::Array { item, free }, Column::Array(c), DataType::Array(element)) => {
                self.array(w, (item, *free), element, c)?;
            }
            (Read::Map(value), Column::Map(c), DataType::Map(entry)) => {
                self.map(w, (&Read::Text, value), entry, c)?;
            }
            (Read::Entries { key, value }, Column::Map(c), DataType::Map(entry)) => {
                self.map(w, (key, value), entry, c)?;
            }
            (Read::Record(plan), Column::Struct(c), DataType::Struct(fields)) => {
                self.record(w, plan, fields, &mut c.fields)?;
                c.push();
            }
            (Read::Branches(branches), Column::Struct(c), DataType::Struct(fields)) => {
                let Some((field, read)) = &branches[w.index(branches.len(), "branch")?] else {
                    c.push_null();
                    return Ok(());
                };
                self.branch(w, (*field, read), fields, c)?;
            }
            (Read::Branch(field, read), Column::Struct(c), DataType::Struct(fields)) => {
                self.branch(w, (*field, read), fields, c)?;
            }
            _ => return Err(Failure::new(format!("{target} is not read from this type"))),
        }
        Ok(())
    }

    /// The one field of a struct that is not null.
    fn branch(
        &self,
        w: &mut Wire<'_>,
        (field, read): (usize, &Read),
        fields: &[Field],
        c: &mut Struct,
    ) -> Fallible<()> {
        for (at, column) in c.fields.iter_mut().enumerate() {
            if at == field {
                let of = &fields[at];
                self.value(w, read, &of.data_type, column).map_err(|e| e.in_field(&of.name))?;
            } else {
                column.push_null();
            }
        }
        c.push();
        Ok(())
    }

    fn array(
        &self,
        w: &mut Wire<'_>,
        (item, free): (&Read, bool),
        element: &DataType,
        c: &mut List,
    ) -> Fallible<()> {
        let start = c.items.len();
        let mut blocks = Blocks::default();
        while w.next(&mut blocks, free)? {
            let at = c.items.len() - start;
            self.value(w, item, element, &mut c.items).map_err(|e| e.in_element(at))?;
        }
        c.offsets.push(c.items.len())
    }

    fn map(
        &self,
        w: &mut Wire<'_>,
        (key, value): (&Read, &Read),
        entry: &DataType,
        c: &mut Map,
    ) -> Fallible<()> {
        let mut blocks = Blocks::default();
        while w.next(&mut blocks, false)? {
            let key = map_key(w, key)?;
            c.keys.push(key.as_bytes())?;
            self.value(w, value, entry, &mut c.values).map_err(|e| e.in_entry(&key))?;
        }
        c.offsets.push(c.keys.len())
    }
}

/// The key of a map's entry, which is never null.
pub(super) fn map_key<'o, 'w: 'o, 'r: 'o>(w: &mut Wire<'w>, read: &'r Read) -> Fallible<Cow<'o, str>> {
    match read {
        Read::Nullable(null, inner) if w.index(2, "branch")? != *null => scalar::varchar(w, inner),
        Read::Nullable(..) => Err(Failure::new("a map's key is null")),
        read => scalar::varchar(w, read),
    }
}

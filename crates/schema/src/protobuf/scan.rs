//! One pass over a message: the last value of each single field, every value of the others.

use super::plan::{FieldPlan, MessagePlan, Shape};
use super::scalar::{packed, packs, takes};
use super::wire::{Raw, Wire};
use crate::failure::{Failure, Fallible};

/// What was found of the single fields.
pub(super) struct Found<'s, 'a> {
    /// By place.
    pub(super) slots: &'s mut [Option<Raw<'a>>],
    /// Messages that came in parts, by place: together they are one message.
    merged: Vec<(usize, Vec<u8>)>,
}

impl<'s, 'a> Found<'s, 'a> {
    pub(super) fn new(slots: &'s mut [Option<Raw<'a>>]) -> Self {
        Self { slots, merged: Vec::new() }
    }

    /// The value of the single field at that place.
    #[inline]
    pub(super) fn get(&self, place: usize) -> Option<Raw<'_>> {
        if !self.merged.is_empty()
            && let Some((_, bytes)) = self.merged.iter().find(|(p, _)| *p == place)
        {
            return Some(Raw::Bytes(bytes));
        }
        self.slots[place]
    }

    /// Reads a message; `item` gets each value of fields of several.
    #[inline]
    pub(super) fn scan(
        &mut self,
        bytes: &'a [u8],
        plan: &MessagePlan,
        mut item: impl FnMut(&FieldPlan, Raw<'a>) -> Fallible<()>,
    ) -> Fallible<()> {
        let mut wire = Wire::new(bytes);
        while !wire.is_empty() {
            let (number, raw) = wire.field()?;
            let Some(place) = plan.place(number) else {
                if plan.beyond.contains(&number) {
                    return Err(too_deep());
                }
                continue;
            };
            let field = &plan.fields[place];
            match (&field.shape, raw) {
                (Shape::List { .. }, Raw::Bytes(bytes)) if packs(&field.read) => {
                    let mut values = Wire::new(bytes);
                    while !values.is_empty() {
                        let raw = packed(&mut values, &field.read).map_err(|e| e.in_field(&field.name))?;
                        item(field, raw)?;
                    }
                }
                (Shape::Map { .. }, raw) => item(field, raw)?,
                (Shape::Single, Raw::Bytes(bytes)) if packs(&field.read) => {
                    let mut values = Wire::new(bytes);
                    while !values.is_empty() {
                        let raw = packed(&mut values, &field.read).map_err(|e| e.in_field(&field.name))?;
                        self.put(place, field, raw);
                    }
                }
                (_, raw) if !takes(&field.read, raw) => {}
                (Shape::List { .. }, raw) => item(field, raw)?,
                (Shape::Single, raw) => self.put(place, field, raw),
            }
        }
        Ok(())
    }

    #[inline]
    fn put(&mut self, place: usize, field: &FieldPlan, raw: Raw<'a>) {
        for rival in &field.rivals {
            self.slots[*rival] = None;
            self.merged.retain(|(p, _)| p != rival);
        }
        if let (Some(Raw::Bytes(first)), Raw::Bytes(more)) = (self.slots[place], raw)
            && field.read.is_message()
        {
            match self.merged.iter_mut().find(|(p, _)| *p == place) {
                Some((_, all)) => all.extend_from_slice(more),
                None => self.merged.push((place, [first, more].concat())),
            }
            return;
        }
        self.slots[place] = Some(raw);
    }
}

#[cold]
fn too_deep() -> Box<Failure> {
    Failure::new("a message is too many times within itself")
}

/// The key and value of an entry of a map.
pub(super) fn entry(raw: Raw<'_>) -> Fallible<(Option<Raw<'_>>, Option<Raw<'_>>)> {
    let Raw::Bytes(bytes) = raw else { return Ok((None, None)) };
    let (mut key, mut value) = (None, None);
    let mut wire = Wire::new(bytes);
    while !wire.is_empty() {
        match wire.field()? {
            (1, raw) => key = Some(raw),
            (2, raw) => value = Some(raw),
            _ => {}
        }
    }
    Ok((key, value))
}

//! Functions that keep one value of all: MIN, MAX; LATEST_ and EARLIEST_BY_OFFSET; MAX_BY, MIN_BY.

use super::accumulator::{Accumulator, Rows};
use super::repr::{Repr, load_value, save_value, take};
use crate::error::EngineError;
use arrow_array::ArrayRef;
use arrow_schema::DataType as ArrowType;

/// `MIN(x)`, `MAX(x)`.
pub(crate) struct Extreme<R: Repr> {
    repr: R,
    max: bool,
    values: Vec<Option<R::Value>>,
}

impl<R: Repr> Extreme<R> {
    pub(crate) fn new(data_type: &ArrowType, max: bool) -> Result<Self, EngineError> {
        Ok(Self { repr: R::new(data_type)?, max, values: Vec::new() })
    }

    fn offer(&mut self, slot: usize, value: R::Value) {
        let place = &mut self.values[slot];
        let better = |old: &R::Value| if self.max { value > *old } else { value < *old };
        if place.as_ref().is_none_or(better) {
            *place = Some(value);
        }
    }
}

impl<R: Repr> Accumulator for Extreme<R> {
    fn resize(&mut self, slots: usize) {
        self.values.resize(slots, None);
    }

    fn update(&mut self, rows: &Rows<'_>, args: &[ArrayRef]) -> Result<(), EngineError> {
        let values = self.repr.read(&args[0])?;
        for (slot, row, _) in rows.iter() {
            if let Some(value) = &values[row] {
                self.offer(slot, value.clone());
            }
        }
        Ok(())
    }

    fn merge(&mut self, from: usize, into: usize) {
        if let Some(value) = self.values[from].clone() {
            self.offer(into, value);
        }
    }

    fn clear(&mut self, slot: usize, _saved: &mut Vec<Vec<u8>>) {
        self.values[slot] = None;
    }

    fn finish(&self, slots: &[u32]) -> Result<ArrayRef, EngineError> {
        self.repr.write(&slots.iter().map(|s| self.values[*s as usize].as_ref()).collect::<Vec<_>>())
    }

    fn save(&self, slot: usize, into: &mut Vec<u8>) {
        save_value::<R>(self.values[slot].as_ref(), into);
    }

    fn load(&mut self, slot: usize, from: &mut &[u8]) -> Result<(), EngineError> {
        self.values[slot] = load_value::<R>(from)?;
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.values.iter().flatten().map(R::heap).sum::<usize>()
            + self.values.len() * size_of::<Option<R::Value>>()
    }
}

/// `LATEST_BY_OFFSET(x)`, `EARLIEST_BY_OFFSET(x)`.
pub(crate) struct Edge<R: Repr> {
    repr: R,
    latest: bool,
    /// With the row's arrival.
    values: Vec<Option<(u64, R::Value)>>,
}

impl<R: Repr> Edge<R> {
    pub(crate) fn new(data_type: &ArrowType, latest: bool) -> Result<Self, EngineError> {
        Ok(Self { repr: R::new(data_type)?, latest, values: Vec::new() })
    }

    fn wins(&self, slot: usize, arrival: u64) -> bool {
        let better = |old: u64| if self.latest { arrival > old } else { arrival < old };
        self.values[slot].as_ref().is_none_or(|(old, _)| better(*old))
    }
}

impl<R: Repr> Accumulator for Edge<R> {
    fn resize(&mut self, slots: usize) {
        self.values.resize(slots, None);
    }

    fn update(&mut self, rows: &Rows<'_>, args: &[ArrayRef]) -> Result<(), EngineError> {
        let values = self.repr.read(&args[0])?;
        for (slot, row, _) in rows.iter() {
            let arrival = rows.arrival + row as u64;
            if let Some(value) = &values[row]
                && self.wins(slot, arrival)
            {
                self.values[slot] = Some((arrival, value.clone()));
            }
        }
        Ok(())
    }

    fn merge(&mut self, from: usize, into: usize) {
        if let Some((arrival, value)) = self.values[from].clone()
            && self.wins(into, arrival)
        {
            self.values[into] = Some((arrival, value));
        }
    }

    fn clear(&mut self, slot: usize, _saved: &mut Vec<Vec<u8>>) {
        self.values[slot] = None;
    }

    fn finish(&self, slots: &[u32]) -> Result<ArrayRef, EngineError> {
        let value = |slot: &u32| self.values[*slot as usize].as_ref().map(|v| &v.1);
        self.repr.write(&slots.iter().map(value).collect::<Vec<_>>())
    }

    fn save(&self, slot: usize, into: &mut Vec<u8>) {
        let value = self.values[slot].as_ref();
        into.extend_from_slice(&value.map_or(0, |v| v.0).to_be_bytes());
        save_value::<R>(value.map(|v| &v.1), into);
    }

    fn load(&mut self, slot: usize, from: &mut &[u8]) -> Result<(), EngineError> {
        let arrival = u64::from_be_bytes(take(from)?);
        self.values[slot] = load_value::<R>(from)?.map(|v| (arrival, v));
        Ok(())
    }

    fn bytes(&self) -> usize {
        let heap = self.values.iter().flatten().map(|v| R::heap(&v.1)).sum::<usize>();
        heap + self.values.len() * size_of::<Option<(u64, R::Value)>>()
    }
}

/// The value to order by, the row's arrival, and the value to give.
struct Best<X, Y> {
    by: Y,
    arrival: u64,
    value: X,
}

/// `MAX_BY(x, y)`: of equal y the last row; `MIN_BY(x, y)`: of equal y the first.
pub(crate) struct By<X: Repr, Y: Repr> {
    x: X,
    y: Y,
    max: bool,
    values: Vec<Option<Best<X::Value, Y::Value>>>,
}

impl<X: Repr, Y: Repr> By<X, Y> {
    pub(crate) fn new(x: &ArrowType, y: &ArrowType, max: bool) -> Result<Self, EngineError> {
        Ok(Self { x: X::new(x)?, y: Y::new(y)?, max, values: Vec::new() })
    }

    fn wins(&self, slot: usize, by: &Y::Value, arrival: u64) -> bool {
        let better = |old: &Best<X::Value, Y::Value>| {
            let (new, old) = ((by, arrival), (&old.by, old.arrival));
            if self.max { new > old } else { new < old }
        };
        self.values[slot].as_ref().is_none_or(better)
    }
}

impl<X: Repr, Y: Repr> Accumulator for By<X, Y> {
    fn resize(&mut self, slots: usize) {
        self.values.resize_with(slots, || None);
    }

    fn update(&mut self, rows: &Rows<'_>, args: &[ArrayRef]) -> Result<(), EngineError> {
        let (x, y) = (self.x.read(&args[0])?, self.y.read(&args[1])?);
        for (slot, row, _) in rows.iter() {
            let arrival = rows.arrival + row as u64;
            if let (Some(value), Some(by)) = (&x[row], &y[row])
                && self.wins(slot, by, arrival)
            {
                self.values[slot] = Some(Best { by: by.clone(), arrival, value: value.clone() });
            }
        }
        Ok(())
    }

    fn merge(&mut self, from: usize, into: usize) {
        if let Some(best) = self.values[from].take()
            && self.wins(into, &best.by, best.arrival)
        {
            self.values[into] = Some(best);
        }
    }

    fn clear(&mut self, slot: usize, _saved: &mut Vec<Vec<u8>>) {
        self.values[slot] = None;
    }

    fn finish(&self, slots: &[u32]) -> Result<ArrayRef, EngineError> {
        let value = |slot: &u32| self.values[*slot as usize].as_ref().map(|b| &b.value);
        self.x.write(&slots.iter().map(value).collect::<Vec<_>>())
    }

    fn save(&self, slot: usize, into: &mut Vec<u8>) {
        let best = self.values[slot].as_ref();
        into.extend_from_slice(&best.map_or(0, |b| b.arrival).to_be_bytes());
        save_value::<Y>(best.map(|b| &b.by), into);
        save_value::<X>(best.map(|b| &b.value), into);
    }

    fn load(&mut self, slot: usize, from: &mut &[u8]) -> Result<(), EngineError> {
        let arrival = u64::from_be_bytes(take(from)?);
        let (by, value) = (load_value::<Y>(from)?, load_value::<X>(from)?);
        self.values[slot] = by.zip(value).map(|(by, value)| Best { by, arrival, value });
        Ok(())
    }

    fn bytes(&self) -> usize {
        let heap = self.values.iter().flatten().map(|b| X::heap(&b.value) + Y::heap(&b.by)).sum::<usize>();
        heap + self.values.len() * size_of::<Option<Best<X::Value, Y::Value>>>()
    }
}

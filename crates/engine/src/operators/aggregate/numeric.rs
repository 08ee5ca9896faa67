//! COUNT, SUM, AVG: they add up, and take away again over tables.

use super::accumulator::{Accumulator, Rows};
use super::repr::take;
use crate::error::EngineError;
use arrow_array::types::{Decimal128Type, Float64Type, Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, Decimal128Array, Float64Array, Int64Array, cast::AsArray};
use arrow_schema::DataType as ArrowType;
use std::sync::Arc;

/// `COUNT(*)`, `COUNT(x)`.
#[derive(Default)]
pub(crate) struct Count {
    counts: Vec<i64>,
}

impl Accumulator for Count {
    fn resize(&mut self, slots: usize) {
        self.counts.resize(slots, 0);
    }

    fn update(&mut self, rows: &Rows<'_>, args: &[ArrayRef]) -> Result<(), EngineError> {
        let nulls = args.first().and_then(|a| a.logical_nulls());
        for (slot, row, sign) in rows.iter() {
            if nulls.as_ref().is_none_or(|n| n.is_valid(row)) {
                self.counts[slot] += sign;
            }
        }
        Ok(())
    }

    fn merge(&mut self, from: usize, into: usize) {
        self.counts[into] += self.counts[from];
    }

    fn clear(&mut self, slot: usize, _saved: &mut Vec<Vec<u8>>) {
        self.counts[slot] = 0;
    }

    fn finish(&self, slots: &[u32]) -> Result<ArrayRef, EngineError> {
        Ok(Arc::new(slots.iter().map(|s| self.counts[*s as usize]).collect::<Int64Array>()))
    }

    fn save(&self, slot: usize, into: &mut Vec<u8>) {
        into.extend_from_slice(&self.counts[slot].to_be_bytes());
    }

    fn load(&mut self, slot: usize, from: &mut &[u8]) -> Result<(), EngineError> {
        self.counts[slot] = i64::from_be_bytes(take(from)?);
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.counts.len() * 8
    }
}

/// A sum of integers (exact, in 128 bits) or of doubles, and how many values it is of.
#[derive(Debug, Clone, Copy, Default)]
struct Total {
    exact: i128,
    double: f64,
    count: i64,
}

impl Total {
    fn add(&mut self, other: &Self, sign: i64) {
        // 128 bits cannot overflow by 64-bit values; decimals that do wrap back when they are taken out.
        self.exact = self.exact.wrapping_add(other.exact.wrapping_mul(i128::from(sign)));
        self.double += other.double * sign as f64;
        self.count += other.count * sign;
        if self.count == 0 {
            // What rounding, infinities and NaN have left behind.
            self.double = 0.0;
        }
    }
}

#[derive(Default)]
struct Totals(Vec<Total>);

impl Totals {
    fn update(&mut self, rows: &Rows<'_>, arg: &ArrayRef) -> Result<(), EngineError> {
        let exact = |exact: i128| Total { exact, double: 0.0, count: 1 };
        match arg.data_type() {
            ArrowType::Int32 => {
                let values = arg.as_primitive::<Int32Type>();
                self.add_all(rows, arg, |row| exact(i128::from(values.value(row))));
            }
            ArrowType::Int64 => {
                let values = arg.as_primitive::<Int64Type>();
                self.add_all(rows, arg, |row| exact(i128::from(values.value(row))));
            }
            ArrowType::Decimal128(..) => {
                let values = arg.as_primitive::<Decimal128Type>();
                self.add_all(rows, arg, |row| exact(values.value(row)));
            }
            ArrowType::Float64 => {
                let values = arg.as_primitive::<Float64Type>();
                self.add_all(rows, arg, |row| Total { exact: 0, double: values.value(row), count: 1 });
            }
            other => return Err(EngineError::Unsupported(format!("a sum of {other}"))),
        }
        Ok(())
    }

    fn add_all(&mut self, rows: &Rows<'_>, arg: &ArrayRef, value: impl Fn(usize) -> Total) {
        for (slot, row, sign) in rows.iter() {
            if arg.is_valid(row) {
                self.0[slot].add(&value(row), sign);
            }
        }
    }

    fn merge(&mut self, from: usize, into: usize) {
        let from = self.0[from];
        self.0[into].add(&from, 1);
    }

    fn save(&self, slot: usize, into: &mut Vec<u8>) {
        let total = &self.0[slot];
        into.extend_from_slice(&total.count.to_be_bytes());
        into.extend_from_slice(&total.exact.to_be_bytes());
        into.extend_from_slice(&total.double.to_be_bytes());
    }

    fn load(&mut self, slot: usize, from: &mut &[u8]) -> Result<(), EngineError> {
        let count = i64::from_be_bytes(take(from)?);
        let exact = i128::from_be_bytes(take(from)?);
        self.0[slot] = Total { count, exact, double: f64::from_be_bytes(take(from)?) };
        Ok(())
    }
}

/// `SUM(x)`: NULL without values, and where the result's type cannot hold it.
pub(crate) struct Sum {
    result: ArrowType,
    totals: Totals,
}

impl Sum {
    pub(crate) fn new(result: ArrowType) -> Self {
        Self { result, totals: Totals::default() }
    }
}

impl Accumulator for Sum {
    fn resize(&mut self, slots: usize) {
        self.totals.0.resize(slots, Total::default());
    }

    fn update(&mut self, rows: &Rows<'_>, args: &[ArrayRef]) -> Result<(), EngineError> {
        args.first().map_or(Ok(()), |arg| self.totals.update(rows, arg))
    }

    fn merge(&mut self, from: usize, into: usize) {
        self.totals.merge(from, into);
    }

    fn clear(&mut self, slot: usize, _saved: &mut Vec<Vec<u8>>) {
        self.totals.0[slot] = Total::default();
    }

    fn finish(&self, slots: &[u32]) -> Result<ArrayRef, EngineError> {
        let totals = slots.iter().map(|s| &self.totals.0[*s as usize]).map(|t| (t.count != 0).then_some(t));
        Ok(match &self.result {
            ArrowType::Float64 => Arc::new(totals.map(|t| t.map(|t| t.double)).collect::<Float64Array>()),
            ArrowType::Decimal128(precision, scale) => {
                let limit = 10i128.checked_pow(u32::from(*precision)).unwrap_or(i128::MAX);
                let fits = |t: &Total| (-limit < t.exact && t.exact < limit).then_some(t.exact);
                let sums = totals.map(|t| t.and_then(fits)).collect::<Decimal128Array>();
                Arc::new(sums.with_precision_and_scale(*precision, *scale)?)
            }
            _ => {
                Arc::new(totals.map(|t| t.and_then(|t| i64::try_from(t.exact).ok())).collect::<Int64Array>())
            }
        })
    }

    fn save(&self, slot: usize, into: &mut Vec<u8>) {
        self.totals.save(slot, into);
    }

    fn load(&mut self, slot: usize, from: &mut &[u8]) -> Result<(), EngineError> {
        self.totals.load(slot, from)
    }

    fn bytes(&self) -> usize {
        self.totals.0.len() * size_of::<Total>()
    }
}

/// `AVG(x)`.
#[derive(Default)]
pub(crate) struct Avg {
    totals: Totals,
    scale: i8,
}

impl Accumulator for Avg {
    fn resize(&mut self, slots: usize) {
        self.totals.0.resize(slots, Total::default());
    }

    fn update(&mut self, rows: &Rows<'_>, args: &[ArrayRef]) -> Result<(), EngineError> {
        let Some(arg) = args.first() else { return Ok(()) };
        if let ArrowType::Decimal128(_, scale) = arg.data_type() {
            self.scale = *scale;
        }
        self.totals.update(rows, arg)
    }

    fn merge(&mut self, from: usize, into: usize) {
        self.totals.merge(from, into);
    }

    fn clear(&mut self, slot: usize, _saved: &mut Vec<Vec<u8>>) {
        self.totals.0[slot] = Total::default();
    }

    fn finish(&self, slots: &[u32]) -> Result<ArrayRef, EngineError> {
        let unit = 10f64.powi(i32::from(self.scale));
        let average = |t: &Total| (t.exact as f64 / unit + t.double) / t.count as f64;
        let totals = slots.iter().map(|s| &self.totals.0[*s as usize]);
        Ok(Arc::new(totals.map(|t| (t.count != 0).then(|| average(t))).collect::<Float64Array>()))
    }

    fn save(&self, slot: usize, into: &mut Vec<u8>) {
        self.totals.save(slot, into);
        into.push(self.scale as u8);
    }

    fn load(&mut self, slot: usize, from: &mut &[u8]) -> Result<(), EngineError> {
        self.totals.load(slot, from)?;
        let [scale] = take(from)?;
        self.scale = scale as i8;
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.totals.0.len() * size_of::<Total>()
    }
}

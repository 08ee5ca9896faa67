//! What an aggregate function keeps per slot (a group, or a window of one), in arrays by slot.

use super::collect::{CollectList, CountDistinct};
use super::numeric::{Avg, Count, Sum};
use super::pick::{By, Edge, Extreme};
use super::repr::{BytesRepr, IntRepr, is_int};
use crate::error::EngineError;
use arrow_array::ArrayRef;
use arrow_schema::DataType as ArrowType;
use bd_sql::plan::{Aggregate, AggregateFunction};

/// Rows on their way into slots: entry `i` says that input row `rows[i]` belongs to slot `slots[i]`.
pub(crate) struct Rows<'a> {
    pub(crate) slots: &'a [u32],
    pub(crate) rows: &'a [u32],
    /// By input row: whether it is taken out again.
    pub(crate) deletes: Option<&'a [bool]>,
    /// The arrival number of input row 0.
    pub(crate) arrival: u64,
}

impl Rows<'_> {
    /// Slot, input row, and 1 or -1.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, usize, i64)> {
        self.slots.iter().zip(self.rows).map(|(slot, row)| {
            let deleted = self.deletes.is_some_and(|d| d[*row as usize]);
            (*slot as usize, *row as usize, if deleted { -1 } else { 1 })
        })
    }
}

/// Writes one entry of a slot's state: its key within the slot, and the value; `None` removes it.
pub(crate) type PutEntry<'a> = &'a mut dyn FnMut(&[u8], Option<&[u8]>);

/// An aggregate function over slots.
///
/// State is of two kinds: a few bytes a slot ([`Accumulator::save`]), written whole when the slot has changed; and for functions
/// that keep many values entries of a slot ([`Accumulator::save_entries`]), of which only the changed ones are written.
pub(crate) trait Accumulator: Send {
    /// Slots are below `slots` from now on; new ones are empty.
    fn resize(&mut self, slots: usize);
    /// Takes rows in; `args` are the arguments over all input rows.
    fn update(&mut self, rows: &Rows<'_>, args: &[ArrayRef]) -> Result<(), EngineError>;
    /// Adds what slot `from` holds to slot `into`.
    fn merge(&mut self, from: usize, into: usize);
    /// Empties a slot; `saved` gets the keys of its entries that have been written.
    fn clear(&mut self, slot: usize, saved: &mut Vec<Vec<u8>>);
    /// The results of slots.
    fn finish(&self, slots: &[u32]) -> Result<ArrayRef, EngineError>;
    /// Appends a slot's few bytes.
    fn save(&self, slot: usize, into: &mut Vec<u8>);
    /// Reads what `save` wrote, and takes it off `from`.
    fn load(&mut self, slot: usize, from: &mut &[u8]) -> Result<(), EngineError>;
    /// Writes a slot's entries that changed since the last call, or all.
    fn save_entries(&mut self, slot: usize, full: bool, put: PutEntry<'_>) {
        let _ = (slot, full, put);
    }
    /// Takes an entry back.
    fn load_entry(&mut self, slot: usize, key: &[u8], value: &[u8]) -> Result<(), EngineError> {
        let _ = (slot, key, value);
        Ok(())
    }
    /// About how many bytes it takes.
    fn bytes(&self) -> usize;
}

/// The accumulator of an aggregate; `undo`: rows are taken out again.
pub(crate) fn accumulator(aggregate: &Aggregate, undo: bool) -> Result<Box<dyn Accumulator>, EngineError> {
    use AggregateFunction as F;
    let function = aggregate.function;
    if undo && !matches!(function, F::Count | F::CountDistinct | F::Sum | F::Avg) {
        return Err(EngineError::Unsupported(format!("{function:?} over a table")));
    }
    let arg = |place: usize| -> Result<ArrowType, EngineError> {
        let arg = aggregate.args.get(place);
        arg.map(|e| e.data_type.to_arrow()).ok_or_else(|| {
            EngineError::Unsupported(format!("{function:?} with {} arguments", aggregate.args.len()))
        })
    };
    Ok(match function {
        F::Count => Box::new(Count::default()),
        F::Sum => Box::new(Sum::new(aggregate.data_type.to_arrow())),
        F::Avg => Box::new(Avg::default()),
        F::CountDistinct => one(&arg(0)?, CountDistinctOf)?,
        F::Min | F::Max => one(&arg(0)?, ExtremeOf(function == F::Max))?,
        F::LatestByOffset | F::EarliestByOffset => one(&arg(0)?, EdgeOf(function == F::LatestByOffset))?,
        F::CollectList => Box::new(CollectList::new(&arg(0)?)?),
        F::MaxBy | F::MinBy => {
            let (x, y, max) = (arg(0)?, arg(1)?, function == F::MaxBy);
            match (is_int(&x), is_int(&y)) {
                (true, true) => Box::new(By::<IntRepr, IntRepr>::new(&x, &y, max)?),
                (true, false) => Box::new(By::<IntRepr, BytesRepr>::new(&x, &y, max)?),
                (false, true) => Box::new(By::<BytesRepr, IntRepr>::new(&x, &y, max)?),
                (false, false) => Box::new(By::<BytesRepr, BytesRepr>::new(&x, &y, max)?),
            }
        }
    })
}

struct CountDistinctOf;
struct ExtremeOf(bool);
struct EdgeOf(bool);

/// Chooses the representation of a function's argument.
trait OfOne {
    fn ints(self, data_type: &ArrowType) -> Result<Box<dyn Accumulator>, EngineError>;
    fn bytes(self, data_type: &ArrowType) -> Result<Box<dyn Accumulator>, EngineError>;
}

fn one(data_type: &ArrowType, function: impl OfOne) -> Result<Box<dyn Accumulator>, EngineError> {
    if is_int(data_type) { function.ints(data_type) } else { function.bytes(data_type) }
}

impl OfOne for CountDistinctOf {
    fn ints(self, data_type: &ArrowType) -> Result<Box<dyn Accumulator>, EngineError> {
        Ok(Box::new(CountDistinct::<IntRepr>::new(data_type)?))
    }
    fn bytes(self, data_type: &ArrowType) -> Result<Box<dyn Accumulator>, EngineError> {
        Ok(Box::new(CountDistinct::<BytesRepr>::new(data_type)?))
    }
}

impl OfOne for ExtremeOf {
    fn ints(self, data_type: &ArrowType) -> Result<Box<dyn Accumulator>, EngineError> {
        Ok(Box::new(Extreme::<IntRepr>::new(data_type, self.0)?))
    }
    fn bytes(self, data_type: &ArrowType) -> Result<Box<dyn Accumulator>, EngineError> {
        Ok(Box::new(Extreme::<BytesRepr>::new(data_type, self.0)?))
    }
}

impl OfOne for EdgeOf {
    fn ints(self, data_type: &ArrowType) -> Result<Box<dyn Accumulator>, EngineError> {
        Ok(Box::new(Edge::<IntRepr>::new(data_type, self.0)?))
    }
    fn bytes(self, data_type: &ArrowType) -> Result<Box<dyn Accumulator>, EngineError> {
        Ok(Box::new(Edge::<BytesRepr>::new(data_type, self.0)?))
    }
}

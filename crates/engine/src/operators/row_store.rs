//! Retained rows, in columns: what joins, window functions and tables hold.
//!
//! ```text
//!  id (dense u32, reused) ─▶ place (chunk, row) ─▶ chunks of Arrow columns
//! ```
//! Holders keep ids; only the store knows places, so moving rows (merging small chunks, compacting sparse ones) is invisible to
//! them. Small chunks are merged as in a binary counter, sparse ones are rewritten when over half of all held rows are dead: each
//! row is copied O(log n) times in all.

use crate::chunk::Chunk;
use crate::error::EngineError;
use arrow_array::{Array, ArrayRef, UInt32Array, new_null_array};
use arrow_schema::DataType as ArrowType;
use hashbrown::HashMap;

/// No row: gathers to NULLs.
pub(crate) const NONE: u32 = u32::MAX;
const DEAD: u64 = u64::MAX;
/// Chunks from this many rows on are left alone until they are sparse.
const SETTLED: usize = 4096;

#[derive(Debug)]
struct Held {
    columns: Vec<ArrayRef>,
    ids: Vec<u32>,
    live: usize,
}

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct RowStore {
    types: Vec<ArrowType>,
    chunks: Vec<Option<Held>>,
    free_chunks: Vec<u32>,
    /// Chunks below [`SETTLED`] rows, oldest first.
    small: Vec<u32>,
    /// The place of each id.
    places: Vec<u64>,
    free: Vec<u32>,
    live: usize,
    held: usize,
    nulls: Vec<ArrayRef>,
}

/// Where some rows are, for gathering several columns of them.
pub(crate) struct Located {
    sources: Vec<u32>,
    indices: Vec<(usize, usize)>,
    nulls: bool,
}

impl RowStore {
    pub(crate) fn new(types: Vec<ArrowType>) -> Self {
        let nulls = types.iter().map(|t| new_null_array(t, 1)).collect();
        Self {
            types,
            chunks: Vec::new(),
            free_chunks: Vec::new(),
            small: Vec::new(),
            places: Vec::new(),
            free: Vec::new(),
            live: 0,
            held: 0,
            nulls,
        }
    }

    /// Live rows.
    pub(crate) fn len(&self) -> usize {
        self.live
    }

    /// All ids are below this: the size of arrays by id.
    pub(crate) fn capacity(&self) -> usize {
        self.places.len()
    }

    pub(crate) fn is_live(&self, id: u32) -> bool {
        self.places.get(id as usize).is_some_and(|p| *p != DEAD)
    }

    /// The ids of all live rows, in the order of ids.
    pub(crate) fn live_ids(&self) -> Vec<u32> {
        (0..self.places.len() as u32).filter(|id| self.is_live(*id)).collect()
    }

    /// About how many bytes it takes.
    pub(crate) fn bytes(&self) -> usize {
        let columns = self.chunks.iter().flatten().flat_map(|c| &c.columns);
        columns.map(|c| c.get_buffer_memory_size()).sum::<usize>() + self.places.len() * 8 + self.held * 4
    }

    /// Takes rows in; gives their ids.
    pub(crate) fn append(&mut self, columns: Vec<ArrayRef>, len: usize) -> Result<Vec<u32>, EngineError> {
        if len == 0 {
            return Ok(Vec::new());
        }
        let reused = self.free.split_off(self.free.len().saturating_sub(len));
        let mut ids = reused;
        ids.reverse();
        while ids.len() < len {
            ids.push(self.places.len() as u32);
            self.places.push(DEAD);
        }
        self.live += len;
        self.put_chunk(columns, ids.clone())?;
        self.merge_small()?;
        Ok(ids)
    }

    /// Forgets rows.
    pub(crate) fn remove(&mut self, ids: &[u32]) -> Result<(), EngineError> {
        for id in ids {
            let Some(place) = self.places.get_mut(*id as usize).filter(|p| **p != DEAD) else { continue };
            let chunk = (*place >> 32) as usize;
            *place = DEAD;
            self.free.push(*id);
            self.live -= 1;
            if let Some(held) = self.chunks[chunk].as_mut() {
                held.live -= 1;
                if held.live == 0 {
                    self.drop_chunk(chunk as u32);
                }
            }
        }
        if self.held > 2 * self.live + SETTLED {
            self.compact()?;
        }
        Ok(())
    }

    /// Finds rows, [`NONE`] among them giving NULLs.
    pub(crate) fn locate(&self, ids: &[u32]) -> Located {
        let mut sources: Vec<u32> = Vec::new();
        // Few rows of many chunks: a map of the chunks that occur; else a table of all chunks.
        let mut sparse: HashMap<u32, usize> = HashMap::new();
        let dense_ok = self.chunks.len() <= ids.len().max(64);
        let mut dense = vec![usize::MAX; if dense_ok { self.chunks.len() } else { 0 }];
        let mut indices = Vec::with_capacity(ids.len());
        let mut nulls = false;
        for id in ids {
            let place = self.places.get(*id as usize).copied().unwrap_or(DEAD);
            if place == DEAD {
                nulls = true;
                indices.push((usize::MAX, 0));
                continue;
            }
            let chunk = (place >> 32) as u32;
            let slot =
                if dense_ok { &mut dense[chunk as usize] } else { sparse.entry(chunk).or_insert(usize::MAX) };
            if *slot == usize::MAX {
                *slot = sources.len();
                sources.push(chunk);
            }
            indices.push((*slot, place as u32 as usize));
        }
        if nulls {
            let null = sources.len();
            indices.iter_mut().filter(|i| i.0 == usize::MAX).for_each(|i| i.0 = null);
        }
        Located { sources, indices, nulls }
    }

    /// One column of located rows.
    pub(crate) fn column(&self, column: usize, rows: &Located) -> Result<ArrayRef, EngineError> {
        let held = |chunk: &u32| self.chunks[*chunk as usize].as_ref().map(|c| &c.columns[column]);
        if rows.sources.is_empty() {
            return Ok(new_null_array(&self.types[column], rows.indices.len()));
        }
        if let ([only], false) = (&rows.sources[..], rows.nulls)
            && let Some(array) = held(only)
        {
            let indices: UInt32Array = rows.indices.iter().map(|i| i.1 as u32).collect::<Vec<_>>().into();
            return Ok(arrow_select::take::take(array, &indices, None)?);
        }
        let mut arrays: Vec<&dyn Array> = rows.sources.iter().filter_map(held).map(|a| a.as_ref()).collect();
        if rows.nulls {
            arrays.push(self.nulls[column].as_ref());
        }
        Ok(arrow_select::interleave::interleave(&arrays, &rows.indices)?)
    }

    /// All columns of rows.
    pub(crate) fn gather(&self, ids: &[u32]) -> Result<Vec<ArrayRef>, EngineError> {
        let located = self.locate(ids);
        (0..self.types.len()).map(|c| self.column(c, &located)).collect()
    }

    /// All live rows, in pieces.
    pub(crate) fn pieces(&self, rows: usize) -> Result<Vec<Chunk>, EngineError> {
        let ids = self.live_ids();
        ids.chunks(rows.max(1)).map(|piece| Ok(Chunk::inserts(self.gather(piece)?, piece.len()))).collect()
    }

    fn put_chunk(&mut self, columns: Vec<ArrayRef>, ids: Vec<u32>) -> Result<(), EngineError> {
        // Smaller ones are copied soon.
        let columns = if ids.len() < SETTLED {
            columns
        } else {
            columns.into_iter().map(fitted).collect::<Result<_, _>>()?
        };
        let chunk = self.free_chunks.pop().unwrap_or(self.chunks.len() as u32);
        for (row, id) in ids.iter().enumerate() {
            self.places[*id as usize] = u64::from(chunk) << 32 | row as u64;
        }
        self.held += ids.len();
        if ids.len() < SETTLED {
            self.small.push(chunk);
        }
        let held = Held { columns, live: ids.len(), ids };
        if chunk as usize == self.chunks.len() {
            self.chunks.push(Some(held));
        } else {
            self.chunks[chunk as usize] = Some(held);
        }
        Ok(())
    }

    fn drop_chunk(&mut self, chunk: u32) {
        if let Some(held) = self.chunks[chunk as usize].take() {
            self.held -= held.ids.len();
            self.free_chunks.push(chunk);
            if held.ids.len() < SETTLED {
                self.small.retain(|c| *c != chunk);
            }
        }
    }

    fn rows_of(&self, chunk: u32) -> usize {
        self.chunks[chunk as usize].as_ref().map_or(0, |c| c.ids.len())
    }

    fn merge_small(&mut self) -> Result<(), EngineError> {
        while let [.., before, last] = self.small[..]
            && self.rows_of(before) <= 2 * self.rows_of(last)
        {
            self.rewrite(&[before, last])?;
        }
        Ok(())
    }

    /// Rewrites the chunks that are mostly dead.
    fn compact(&mut self) -> Result<(), EngineError> {
        let sparse = |c: &Option<Held>| c.as_ref().is_some_and(|c| 2 * c.live < c.ids.len());
        let chunks: Vec<u32> =
            (0..self.chunks.len()).filter(|i| sparse(&self.chunks[*i])).map(|i| i as u32).collect();
        let mut group = Vec::new();
        let mut rows = 0;
        for chunk in chunks {
            rows += self.chunks[chunk as usize].as_ref().map_or(0, |c| c.live);
            group.push(chunk);
            if rows >= 2 * SETTLED {
                self.rewrite(&std::mem::take(&mut group))?;
                rows = 0;
            }
        }
        self.rewrite(&group)?;
        self.merge_small()
    }

    /// Puts the live rows of some chunks into one new chunk, in their order.
    fn rewrite(&mut self, chunks: &[u32]) -> Result<(), EngineError> {
        let mut ids = Vec::new();
        for chunk in chunks {
            let Some(held) = &self.chunks[*chunk as usize] else { continue };
            let here = |row: usize, id: u32| self.places[id as usize] == u64::from(*chunk) << 32 | row as u64;
            ids.extend(held.ids.iter().enumerate().filter(|(row, id)| here(*row, **id)).map(|(_, id)| *id));
        }
        let columns = self.gather(&ids)?;
        for chunk in chunks {
            self.drop_chunk(*chunk);
        }
        if !ids.is_empty() {
            self.put_chunk(columns, ids)?;
        }
        Ok(())
    }
}

/// A column that holds no more memory than its rows take: what was decoded or built has grown by doubling.
fn fitted(column: ArrayRef) -> Result<ArrayRef, EngineError> {
    let needed = column.to_data().get_slice_memory_size()?;
    if column.get_buffer_memory_size() <= needed + needed / 8 {
        return Ok(column);
    }
    let all: UInt32Array = (0..column.len() as u32).collect::<Vec<_>>().into();
    Ok(arrow_select::take::take(&column, &all, None)?)
}

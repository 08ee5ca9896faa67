//! A batch with some of its records taken out, as compaction leaves it: offsets and the header's range of offsets stay.

use std::ops::Range;

use bytes::Bytes;

use super::{BatchError, BatchHeader, HEADER_BYTES, Record, RecordsIter, varint};
use crate::compression::{self, Codec};

/// The records of an uncompressed batch that stay.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// Where each lies in the batch, its length included.
    ranges: Vec<Range<usize>>,
    /// Greatest timestamp of those that stay.
    max_timestamp: i64,
    /// Records taken out.
    pub(crate) removed: usize,
    /// A record without value stays.
    pub(crate) has_tombstone: bool,
}

impl Kept {
    /// Asks for each record of `plain`, an uncompressed batch.
    pub(crate) fn of(plain: &Bytes, mut stays: impl FnMut(&Record) -> bool) -> Result<Kept, BatchError> {
        let mut kept = Kept { max_timestamp: i64::MIN, ..Kept::default() };
        let mut records = RecordsIter::new(plain)?;
        let mut from = records.position();
        while let Some(record) = records.next() {
            let record = record?;
            let range = from..records.position();
            from = range.end;
            if !stays(&record) {
                kept.removed += 1;
                continue;
            }
            kept.ranges.push(range);
            kept.max_timestamp = kept.max_timestamp.max(record.timestamp);
            kept.has_tombstone |= record.value.is_none();
        }
        Ok(kept)
    }

    pub(crate) fn len(&self) -> usize {
        self.ranges.len()
    }

    /// The batch with these records. `header` is that of `plain` with the codec wanted; with `delete_horizon` (ms) that takes
    /// the place of the base timestamp (KIP-534).
    pub(crate) fn rebuild(
        &self,
        plain: &Bytes,
        header: &BatchHeader,
        delete_horizon: Option<i64>,
    ) -> Result<Vec<u8>, BatchError> {
        let mut header = *header;
        let old_base = header.base_timestamp;
        if let Some(horizon) = delete_horizon {
            header.set_delete_horizon(horizon);
        }
        let shift = old_base.wrapping_sub(header.base_timestamp);
        let mut section = Vec::with_capacity(self.ranges.iter().map(|r| r.len() + 4).sum());
        for range in &self.ranges {
            let record = plain.get(range.clone()).unwrap_or_default();
            if shift == 0 {
                section.extend_from_slice(record);
            } else {
                put_shifted(&mut section, record, shift)?;
            }
        }
        if self.ranges.is_empty() {
            header.attributes &= !0x07;
        } else if !header.is_log_append_time() {
            header.max_timestamp = self.max_timestamp;
        }
        header.record_count = self.ranges.len() as i32;
        let mut batch = vec![0; HEADER_BYTES];
        match header.codec()? {
            Codec::None => batch.extend_from_slice(&section),
            codec => match compression::compress(codec, &section) {
                Ok(compressed) => batch.extend_from_slice(&compressed),
                // In memory this does not happen; an uncompressed batch is just as valid.
                Err(_) => {
                    header.attributes &= !0x07;
                    batch.extend_from_slice(&section);
                }
            },
        }
        header.write_to(&mut batch);
        Ok(batch)
    }
}

/// A record whose timestamp is told relative to another base: `shift` is added.
fn put_shifted(out: &mut Vec<u8>, record: &[u8], shift: i64) -> Result<(), BatchError> {
    let mut at = 0;
    varint::get(record, &mut at)?;
    let attributes = record.get(at).copied().unwrap_or(0);
    at += 1;
    let delta = varint::get(record, &mut at)?.wrapping_add(shift);
    let rest = record.get(at..).unwrap_or_default();
    varint::put(out, (1 + varint::size(delta) + rest.len()) as i64);
    out.push(attributes);
    varint::put(out, delta);
    out.extend_from_slice(rest);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{BatchBuilder, verify_crc};
    use crate::compression::plain_batch;

    fn offsets(batch: &Bytes) -> Vec<(i64, i64)> {
        let plain = plain_batch(batch, 1 << 20).unwrap();
        RecordsIter::new(&plain).unwrap().map(|r| r.unwrap()).map(|r| (r.offset, r.timestamp)).collect()
    }

    #[test]
    fn a_filtered_batch_keeps_offsets_times_and_the_header_of_the_rest() {
        for codec in [Codec::None, Codec::Lz4, Codec::Zstd] {
            let mut builder = BatchBuilder::new().producer(4, 1, 10).codec(codec);
            for i in 0..6 {
                builder.append(100 - i, Some(b"k"), (i != 3).then_some(b"v"), &[("h", None)]);
            }
            let batch = builder.build().freeze();
            let header = BatchHeader::parse(&batch).unwrap();
            let plain = plain_batch(&batch, 1 << 20).unwrap();
            for horizon in [None, Some(5_000), Some(-7)] {
                let kept = Kept::of(&plain, |r| r.offset % 2 == 1).unwrap();
                assert!(kept.has_tombstone && kept.removed == 3);
                let rebuilt = Bytes::from(kept.rebuild(&plain, &header, horizon).unwrap());
                verify_crc(&rebuilt).unwrap();
                assert_eq!(offsets(&rebuilt), [(1, 99), (3, 97), (5, 95)]);
                let after = BatchHeader::parse(&rebuilt).unwrap();
                assert_eq!(after.delete_horizon_ms(), horizon);
                assert_eq!((after.last_offset(), after.last_sequence()), (5, 15));
                assert_eq!((after.record_count, after.max_timestamp), (3, 99));
                assert_eq!(after.codec().unwrap(), codec);
            }
            let none = Kept::of(&plain, |_| false).unwrap();
            let empty = Bytes::from(none.rebuild(&plain, &header, None).unwrap());
            verify_crc(&empty).unwrap();
            let after = BatchHeader::parse(&empty).unwrap();
            assert_eq!((empty.len(), after.record_count, after.last_offset()), (HEADER_BYTES, 0, 5));
            assert_eq!((after.max_timestamp, after.last_sequence()), (100, 15));
        }
    }
}

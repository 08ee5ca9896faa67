//! From fetched batches to records, as consumers see them: without transaction markers and, for read_committed, without what
//! was aborted.

use anyhow::{Result, anyhow};
use bd_client::{ClientError, Fetched};
use bd_log::batch::{BatchError, BatchHeader, Batches, ControlMarker, HeaderRanges, RecordsIter};
use bd_log::compression::plain_batch;
use bytes::Bytes;
use std::collections::BTreeSet;

/// A batch's records, decompressed, are at most this large.
const PLAIN_BYTES: usize = 512 << 20;

/// A record where it lies.
pub(super) struct Record<'a> {
    pub(super) topic: &'a str,
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) timestamp: i64,
    pub(super) key: Option<&'a [u8]>,
    pub(super) value: Option<&'a [u8]>,
    pub(super) headers: Headers<'a>,
}

/// Its headers, decoded when they are looked at.
pub(super) enum Headers<'a> {
    /// In a batch.
    Encoded(&'a [u8], HeaderRanges),
    /// As librdkafka gives them.
    Decoded(Vec<(&'a str, Option<&'a [u8]>)>),
}

impl<'a> Headers<'a> {
    /// Name and value of each, in order.
    pub(super) fn to_vec(&self) -> Vec<(String, Option<&'a [u8]>)> {
        match self {
            Self::Encoded(batch, ranges) => {
                let whole = ranges.iter(batch).filter_map(|header| header.ok());
                whole
                    .map(|h| {
                        let name = String::from_utf8_lossy(batch.get(h.key).unwrap_or_default()).into_owned();
                        (name, h.value.and_then(|range| batch.get(range)))
                    })
                    .collect()
            }
            Self::Decoded(headers) => headers.iter().map(|(n, v)| ((*n).to_owned(), *v)).collect(),
        }
    }
}

/// Transactions that were aborted and have begun at the batch at hand.
struct Aborted {
    /// First offset and producer id, the last first.
    to_come: Vec<(i64, i64)>,
    active: BTreeSet<i64>,
}

impl Aborted {
    fn new(fetched: &Fetched) -> Self {
        let mut to_come: Vec<(i64, i64)> = fetched.aborted.iter().map(|(id, first)| (*first, *id)).collect();
        to_come.sort_unstable_by(|a, b| b.cmp(a));
        Self { to_come, active: BTreeSet::new() }
    }

    /// Whether the records of a batch were aborted. Markers end transactions.
    fn covers(&mut self, header: &BatchHeader, batch: &[u8]) -> Result<bool, BatchError> {
        while let Some((first, id)) = self.to_come.last().copied() {
            if first > header.last_offset() {
                break;
            }
            self.active.insert(id);
            self.to_come.pop();
        }
        if header.is_control() {
            if ControlMarker::parse(batch)?.is_some_and(|marker| !marker.commit) {
                self.active.remove(&header.producer_id);
            }
            return Ok(false);
        }
        Ok(header.is_transactional() && self.active.contains(&header.producer_id))
    }
}

/// Gives the whole batches with readable records to `batch`, until it returns `false`; the offset to read on from.
fn for_each_batch(
    fetched: &Fetched,
    end: i64,
    read_committed: bool,
    take: &mut dyn FnMut(&BatchHeader, &Bytes) -> Result<bool>,
) -> Result<i64> {
    let place = |offset: i64, reason: String| {
        let (topic, partition) = (fetched.topic.clone(), fetched.partition);
        anyhow!(ClientError::Records { topic, partition, offset, reason })
    };
    let mut next = fetched.position;
    let mut aborted = Aborted::new(fetched);
    for batch in Batches::new(&fetched.batches) {
        let (range, header) = match batch {
            Ok(batch) => batch,
            // The answer was full.
            Err(BatchError::Truncated { .. }) => break,
            Err(e) => return Err(place(next, e.to_string())),
        };
        if header.base_offset >= end {
            return Ok(end);
        }
        let bytes = fetched.batches.slice(range);
        let skip = aborted.covers(&header, &bytes).map_err(|e| place(header.base_offset, e.to_string()))?;
        let hidden = header.is_control() || (skip && read_committed);
        if !hidden && header.next_offset() > fetched.position && !take(&header, &bytes)? {
            return Ok(header.next_offset());
        }
        next = next.max(header.next_offset());
    }
    Ok(next)
}

/// Gives the records from the position to `end` to `take`, until it returns `false`; the offset to read on from.
pub(super) fn for_each(
    fetched: &Fetched,
    end: i64,
    read_committed: bool,
    take: &mut dyn FnMut(&Record<'_>) -> Result<bool>,
) -> Result<i64> {
    for_each_batch(fetched, end, read_committed, &mut |header, bytes| {
        let place = |reason: String| {
            let (topic, partition) = (fetched.topic.clone(), fetched.partition);
            ClientError::Records { topic, partition, offset: header.base_offset, reason }
        };
        let plain = plain_batch(bytes, PLAIN_BYTES).map_err(|e| place(e.to_string()))?;
        for record in RecordsIter::new(&plain).map_err(|e| place(e.to_string()))? {
            let record = record.map_err(|e| place(e.to_string()))?;
            if record.offset < fetched.position {
                continue;
            }
            if record.offset >= end {
                return Ok(false);
            }
            let record = Record {
                topic: &fetched.topic,
                partition: fetched.partition,
                offset: record.offset,
                timestamp: record.timestamp,
                key: record.key.and_then(|range| plain.get(range)),
                value: record.value.and_then(|range| plain.get(range)),
                headers: Headers::Encoded(&plain, record.headers),
            };
            if !take(&record)? {
                return Ok(false);
            }
        }
        Ok(true)
    })
}

/// Counts the records from the position to `end` without decoding batches that lie between them as a whole; also the offset to
/// read on from.
pub(super) fn plain_count(fetched: &Fetched, end: i64, read_committed: bool) -> Result<(i64, u64)> {
    let mut count = 0;
    let next = for_each_batch(fetched, end, read_committed, &mut |header, bytes| {
        if header.base_offset >= fetched.position && header.next_offset() <= end {
            count += u64::try_from(header.record_count).unwrap_or(0);
            return Ok(true);
        }
        let part = Fetched { batches: bytes.clone(), aborted: Vec::new(), ..fetched.clone() };
        for_each(&part, end, false, &mut |_| {
            count += 1;
            Ok(true)
        })?;
        Ok(true)
    })?;
    Ok((next, count))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bd_log::batch::BatchBuilder;

    fn at(mut batch: bytes::BytesMut, offset: i64) -> Vec<u8> {
        batch[..8].copy_from_slice(&offset.to_be_bytes());
        batch.to_vec()
    }

    fn data(producer: i64, offset: i64, values: &[&str]) -> Vec<u8> {
        let mut builder = BatchBuilder::new();
        if producer >= 0 {
            builder = builder.producer(producer, 0, 0).transactional(true);
        }
        for value in values {
            builder.append(1, None, Some(value.as_bytes()), &[]);
        }
        at(builder.build(), offset)
    }

    fn marker(producer: i64, offset: i64, commit: bool) -> Vec<u8> {
        at(ControlMarker { commit, coordinator_epoch: 0 }.build(producer, 0, 1), offset)
    }

    fn fetched(position: i64, batches: &[Vec<u8>], aborted: &[(i64, i64)]) -> Fetched {
        Fetched {
            topic: "t".into(),
            partition: 0,
            position,
            batches: Bytes::from(batches.concat()),
            high_watermark: 100,
            last_stable_offset: 100,
            log_start_offset: 0,
            aborted: aborted.to_vec(),
        }
    }

    fn read(fetched: &Fetched, end: i64, committed: bool) -> (Vec<String>, i64) {
        let mut found = Vec::new();
        let next = for_each(fetched, end, committed, &mut |r| {
            found.push(String::from_utf8_lossy(r.value.unwrap()).into_owned());
            Ok(true)
        });
        let next = next.unwrap();
        let counted = plain_count(fetched, end, committed).unwrap();
        assert_eq!((counted.0, counted.1), (next, found.len() as u64));
        (found, next)
    }

    #[test]
    fn aborted_records_and_markers_are_not_seen() {
        let log = [
            data(1, 0, &["a", "b"]),
            data(2, 2, &["c"]),
            marker(1, 3, false),
            data(1, 4, &["d"]),
            marker(2, 5, true),
            data(-1, 6, &["e"]),
            marker(1, 7, true),
        ];
        let all = fetched(0, &log, &[(1, 0)]);
        assert_eq!(read(&all, 100, true), (["c", "d", "e"].map(String::from).to_vec(), 8));
        assert_eq!(read(&all, 100, false).0, ["a", "b", "c", "d", "e"]);
    }

    #[test]
    fn only_records_between_position_and_end_count_and_a_cut_batch_is_left_for_later() {
        let (one, two) = (data(-1, 0, &["a", "b", "c"]), data(-1, 3, &["d", "e"]));
        let cut = two[..two.len() - 1].to_vec();
        assert_eq!(read(&fetched(1, &[one.clone(), cut], &[]), 100, true), (vec!["b".into(), "c".into()], 3));
        let (found, next) = read(&fetched(0, &[one, two], &[]), 4, true);
        assert_eq!(found, ["a", "b", "c", "d"]);
        assert!(next >= 4);
    }
}

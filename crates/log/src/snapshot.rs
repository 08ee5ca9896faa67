//! The producers' state in a file (`<offset>.snapshot`): everything up to that offset, so that a start need not scan older
//! segments. Layout, big endian, behind a CRC-32C of it all: version u16, u8 that means
//! nothing any more, count u32, then per producer: id i64, epoch i16,
//! coordinator epoch i32, last timestamp i64, last seen i64, first offset of its open transaction i64 (-1: none), count u8
//! of batches, and per batch first and last sequence i32, first and last offset i64, timestamp i64.

use std::collections::{HashMap, VecDeque};

use crate::files;
use crate::producer::{BatchMeta, Producer, Producers, REMEMBERED};

const VERSION: u16 = 1;

/// The file content for this state.
pub(crate) fn encode(producers: &Producers) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend(VERSION.to_be_bytes());
    out.push(0);
    out.extend((producers.map().len() as u32).to_be_bytes());
    for (id, p) in producers.map() {
        out.extend(id.to_be_bytes());
        out.extend(p.epoch.to_be_bytes());
        out.extend(p.coordinator_epoch.to_be_bytes());
        out.extend(p.last_timestamp.to_be_bytes());
        out.extend(p.last_seen.to_be_bytes());
        out.extend(p.txn_first_offset.unwrap_or(-1).to_be_bytes());
        out.push(p.batches.len() as u8);
        for b in &p.batches {
            out.extend(b.first_sequence.to_be_bytes());
            out.extend(b.last_sequence.to_be_bytes());
            out.extend(b.base_offset.to_be_bytes());
            out.extend(b.last_offset.to_be_bytes());
            out.extend(b.max_timestamp.to_be_bytes());
        }
    }
    files::seal(&out)
}

struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }
    fn i32(&mut self) -> Option<i32> {
        self.take().map(i32::from_be_bytes)
    }
    fn i64(&mut self) -> Option<i64> {
        self.take().map(i64::from_be_bytes)
    }
}

/// The state in a file's content; `None` if it is cut, damaged, or of another version.
pub(crate) fn decode(sealed: &[u8]) -> Option<Producers> {
    let mut input = Input(files::unseal(sealed)?);
    if u16::from_be_bytes(input.take()?) != VERSION {
        return None;
    }
    let [_] = input.take()?;
    let count = u32::from_be_bytes(input.take()?);
    let mut map = HashMap::new();
    for _ in 0..count {
        let id = input.i64()?;
        let mut producer = Producer {
            epoch: i16::from_be_bytes(input.take()?),
            coordinator_epoch: input.i32()?,
            last_timestamp: input.i64()?,
            last_seen: input.i64()?,
            txn_first_offset: Some(input.i64()?).filter(|first| *first >= 0),
            batches: VecDeque::with_capacity(REMEMBERED),
        };
        let [batches] = input.take()?;
        for _ in 0..batches {
            producer.batches.push_back(BatchMeta {
                first_sequence: input.i32()?,
                last_sequence: input.i32()?,
                base_offset: input.i64()?,
                last_offset: input.i64()?,
                max_timestamp: input.i64()?,
            });
        }
        map.insert(id, producer);
    }
    Some(Producers::from_map(map))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_restores_every_producer_and_a_damaged_one_is_refused() {
        let mut map = HashMap::new();
        for id in 0..3 {
            let mut producer = Producer::new(id as i16);
            producer.txn_first_offset = (id == 1).then_some(40);
            for i in 0..id as i32 * 2 {
                let (at, last) = (i64::from(i) * 10, i64::from(i) * 10 + 9);
                let (first_sequence, last_sequence) = (i * 10, i * 10 + 9);
                let meta = BatchMeta {
                    first_sequence,
                    last_sequence,
                    base_offset: at,
                    last_offset: last,
                    max_timestamp: 5,
                };
                producer.batches.push_back(meta);
            }
            map.insert(id, producer);
        }
        let content = encode(&Producers::from_map(map.clone()));
        let restored = decode(&content).unwrap();
        assert_eq!(restored.map(), &map);
        assert_eq!(restored.first_unstable(), 40);
        for cut in 0..content.len() {
            assert!(decode(&content[..cut]).is_none());
        }
    }
}

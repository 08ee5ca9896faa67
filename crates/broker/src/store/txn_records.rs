//! The records of `__transaction_state`, in Kafka's own format. A null value deletes.
//!
//! Keys have version 0. Values are written in version 1 (flexible: lengths are varints, one more than they say; what KIP-890
//! needs stands in tagged fields) and read in versions 0 and 1.

use super::fields::{BadRecord, Fields, PutFields};
use crate::txn::state::{NO_PRODUCER_ID, TxnMeta, TxnState, TxnVersion};
use bytes::{BufMut, Bytes, BytesMut};
use std::collections::BTreeMap;

const PREVIOUS_PRODUCER_ID: u32 = 0;
const NEXT_PRODUCER_ID: u32 = 1;
const CLIENT_VERSION: u32 = 2;

pub(crate) fn key(transactional_id: &str) -> Bytes {
    let mut key = BytesMut::with_capacity(4 + transactional_id.len());
    key.put_i16(0);
    key.put_text(transactional_id);
    key.freeze()
}

fn put_varint(out: &mut BytesMut, mut value: u32) {
    while value >= 0x80 {
        out.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

fn put_count(out: &mut BytesMut, count: usize) {
    put_varint(out, u32::try_from(count).unwrap_or(u32::MAX - 1) + 1);
}

pub(crate) fn value(txn: &TxnMeta) -> Bytes {
    let mut out = BytesMut::with_capacity(64);
    out.put_i16(1);
    out.put_i64(txn.producer_id);
    out.put_i16(txn.epoch);
    out.put_i32(txn.timeout_ms);
    out.put_i8(txn.state.code());
    if txn.state == TxnState::Empty {
        put_varint(&mut out, 0);
    } else {
        let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
        for (topic, partition) in &txn.partitions {
            topics.entry(topic).or_default().push(*partition);
        }
        put_count(&mut out, topics.len());
        for (topic, partitions) in topics {
            put_count(&mut out, topic.len());
            out.put_slice(topic.as_bytes());
            put_count(&mut out, partitions.len());
            for partition in partitions {
                out.put_i32(partition);
            }
            put_varint(&mut out, 0);
        }
    }
    out.put_i64(txn.updated_ms);
    out.put_i64(txn.started_ms);
    put_tags(&mut out, txn);
    out.freeze()
}

fn put_tags(out: &mut BytesMut, txn: &TxnMeta) {
    let ids = [(PREVIOUS_PRODUCER_ID, txn.prev_producer_id), (NEXT_PRODUCER_ID, txn.next_producer_id)];
    let ids = ids.into_iter().filter(|(_, id)| *id != NO_PRODUCER_ID);
    let is_v2 = txn.client == TxnVersion::V2;
    put_varint(out, ids.clone().count() as u32 + u32::from(is_v2));
    for (tag, id) in ids {
        put_varint(out, tag);
        put_varint(out, 8);
        out.put_i64(id);
    }
    if is_v2 {
        put_varint(out, CLIENT_VERSION);
        put_varint(out, 2);
        out.put_i16(2);
    }
}

/// Reads varints where the value is of a flexible version, else the lengths of version 0.
struct Reader<'a> {
    fields: Fields<'a>,
    flexible: bool,
}

impl Reader<'_> {
    fn varint(&mut self) -> Result<u32, BadRecord> {
        let mut value = 0u64;
        for shift in 0..5 {
            let byte = self.fields.i8()? as u8;
            value |= u64::from(byte & 0x7f) << (7 * shift);
            if byte & 0x80 == 0 {
                return u32::try_from(value).map_err(|_| BadRecord(format!("varint {value}")));
            }
        }
        Err(BadRecord("varint of more than five bytes".into()))
    }

    /// Null counts as 0.
    fn count(&mut self) -> Result<usize, BadRecord> {
        if self.flexible { Ok((self.varint()? as usize).saturating_sub(1)) } else { self.fields.count() }
    }

    fn string(&mut self) -> Result<String, BadRecord> {
        if !self.flexible {
            return self.fields.string();
        }
        let n = self.count()?;
        let text = std::str::from_utf8(self.fields.bytes(n)?).map_err(|e| BadRecord(e.to_string()))?;
        Ok(text.to_owned())
    }

    /// Hands each tagged field to `each`.
    fn tags(
        &mut self,
        mut each: impl FnMut(u32, Fields<'_>) -> Result<(), BadRecord>,
    ) -> Result<(), BadRecord> {
        if self.flexible {
            for _ in 0..self.varint()? {
                let (tag, size) = (self.varint()?, self.varint()?);
                each(tag, Fields(self.fields.bytes(size as usize)?))?;
            }
        }
        Ok(())
    }
}

/// Reads a record back: the transactional id, and its state unless it was deleted.
pub(crate) fn read(key: &[u8], value: Option<&[u8]>) -> Result<(String, Option<TxnMeta>), BadRecord> {
    let mut key = Fields(key);
    match key.i16()? {
        0 => {}
        version => return Err(BadRecord(format!("key version {version} is not known"))),
    }
    let id = key.string()?;
    let Some(value) = value else { return Ok((id, None)) };
    let mut value = Fields(value);
    let flexible = match value.i16()? {
        0 => false,
        1 => true,
        version => return Err(BadRecord(format!("value version {version} is not known"))),
    };
    let mut value = Reader { fields: value, flexible };
    let (producer_id, epoch, timeout_ms) = (value.fields.i64()?, value.fields.i16()?, value.fields.i32()?);
    let state = value.fields.i8()?;
    let mut txn = TxnMeta::new(producer_id, epoch, timeout_ms, 0);
    txn.state = TxnState::from_code(state).ok_or_else(|| BadRecord(format!("state {state} is not known")))?;
    for _ in 0..value.count()? {
        let topic = value.string()?;
        for _ in 0..value.count()? {
            txn.partitions.insert((topic.clone(), value.fields.i32()?));
        }
        value.tags(|_, _| Ok(()))?;
    }
    txn.updated_ms = value.fields.i64()?;
    txn.started_ms = value.fields.i64()?;
    value.tags(|tag, mut field| {
        match tag {
            PREVIOUS_PRODUCER_ID => txn.prev_producer_id = field.i64()?,
            NEXT_PRODUCER_ID => txn.next_producer_id = field.i64()?,
            CLIENT_VERSION if field.i16()? >= 2 => txn.client = TxnVersion::V2,
            _ => {}
        }
        Ok(())
    })?;
    Ok((id, Some(txn)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_is_read_back_as_written() {
        for (state, v2) in TxnState::ALL.into_iter().flat_map(|s| [(s, false), (s, true)]) {
            let mut txn = TxnMeta::new(7, 3, 60_000, 11);
            txn.state = state;
            txn.started_ms = 12;
            if state != TxnState::Empty {
                txn.partitions = [("a".into(), 0), ("a".into(), 2), ("b".repeat(300), 1)].into();
            }
            if v2 {
                (txn.prev_producer_id, txn.next_producer_id, txn.client) = (5, 9, TxnVersion::V2);
            }
            let value = value(&txn);
            for cut in 0..value.len() {
                assert!(read(&key("id"), Some(&value[..cut])).is_err(), "{state:?} cut at {cut}");
            }
            assert_eq!(read(&key("id"), Some(&value)).unwrap(), ("id".into(), Some(txn)));
        }
        assert_eq!(read(&key("id"), None).unwrap(), ("id".into(), None));
    }

    #[test]
    fn a_value_of_version_0_is_read() {
        let mut value = BytesMut::new();
        value.put_i16(0);
        value.put_i64(7);
        value.put_i16(3);
        value.put_i32(1000);
        value.put_i8(TxnState::Ongoing.code());
        value.put_i32(1);
        value.put_text("t");
        value.put_i32(1);
        value.put_i32(4);
        value.put_i64(11);
        value.put_i64(12);
        let (_, txn) = read(&key("id"), Some(&value)).unwrap();
        let txn = txn.unwrap();
        assert_eq!((txn.producer_id, txn.epoch, txn.state), (7, 3, TxnState::Ongoing));
        assert_eq!(txn.partitions, [("t".to_owned(), 4)].into());
        assert_eq!((txn.updated_ms, txn.started_ms, txn.prev_producer_id), (11, 12, -1));
    }

    #[test]
    fn claimed_counts_reserve_nothing() {
        let mut value = BytesMut::from(&value(&TxnMeta::new(7, 3, 1, 1))[..17]);
        value.put_slice(&[0xff, 0xff, 0xff, 0xff, 0x0f]);
        assert!(read(&key("id"), Some(&value)).is_err());
    }
}

//! The records of `__transaction_state`, in Kafka's own format (key and value version 0). A null value deletes.

use super::fields::{BadRecord, Fields, PutFields};
use crate::txn::state::{TxnMeta, TxnState};
use bytes::{BufMut, Bytes, BytesMut};
use std::collections::BTreeMap;

pub(crate) fn key(transactional_id: &str) -> Bytes {
    let mut key = BytesMut::with_capacity(4 + transactional_id.len());
    key.put_i16(0);
    key.put_text(transactional_id);
    key.freeze()
}

pub(crate) fn value(txn: &TxnMeta) -> Bytes {
    let mut out = BytesMut::with_capacity(64);
    out.put_i16(0);
    out.put_i64(txn.producer_id);
    out.put_i16(txn.epoch);
    out.put_i32(txn.timeout_ms);
    out.put_i8(txn.state.code());
    if txn.state == TxnState::Empty {
        out.put_i32(-1);
    } else {
        let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
        for (topic, partition) in &txn.partitions {
            topics.entry(topic).or_default().push(*partition);
        }
        out.put_i32(topics.len() as i32);
        for (topic, partitions) in topics {
            out.put_text(topic);
            out.put_i32(partitions.len() as i32);
            for partition in partitions {
                out.put_i32(partition);
            }
        }
    }
    out.put_i64(txn.updated_ms);
    out.put_i64(txn.started_ms);
    out.freeze()
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
    match value.i16()? {
        0 => {}
        version => return Err(BadRecord(format!("value version {version} is not known"))),
    }
    let (producer_id, epoch, timeout_ms) = (value.i64()?, value.i16()?, value.i32()?);
    let state = value.i8()?;
    let mut txn = TxnMeta {
        producer_id,
        epoch,
        timeout_ms,
        state: TxnState::from_code(state).ok_or_else(|| BadRecord(format!("state {state} is not known")))?,
        partitions: Default::default(),
        updated_ms: 0,
        started_ms: 0,
        last_epoch: -1,
    };
    for _ in 0..value.count()? {
        let topic = value.string()?;
        for _ in 0..value.count()? {
            txn.partitions.insert((topic.clone(), value.i32()?));
        }
    }
    txn.updated_ms = value.i64()?;
    txn.started_ms = value.i64()?;
    Ok((id, Some(txn)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_is_read_back_as_written() {
        for state in TxnState::ALL {
            let mut txn = TxnMeta::new(7, 3, 60_000, 11);
            txn.state = state;
            txn.started_ms = 12;
            if state != TxnState::Empty {
                txn.partitions = [("a".into(), 0), ("a".into(), 2), ("b".into(), 1)].into();
            }
            assert_eq!(read(&key("id"), Some(&value(&txn))).unwrap(), ("id".into(), Some(txn)));
        }
        assert_eq!(read(&key("id"), None).unwrap(), ("id".into(), None));
    }
}

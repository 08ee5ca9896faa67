//! Transaction markers: control batches that end a transaction (KIP-98).

use bytes::BytesMut;

use super::{BatchBuilder, BatchError, RecordsIter};

/// A commit or abort marker: one record whose key is `(version i16, type i16)`, type 0 abort, 1 commit, and whose value is
/// `(version i16, coordinator epoch i32)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ControlMarker {
    /// Commit, else abort.
    pub commit: bool,
    /// Epoch of the coordinator that wrote it.
    pub coordinator_epoch: i32,
}

impl ControlMarker {
    /// The control batch of this marker.
    pub fn build(&self, producer_id: i64, producer_epoch: i16, timestamp: i64) -> BytesMut {
        let key = [0, 0, 0, u8::from(self.commit)];
        let mut value = [0; 6];
        value[2..].copy_from_slice(&self.coordinator_epoch.to_be_bytes());
        let mut builder =
            BatchBuilder::new().producer(producer_id, producer_epoch, -1).transactional(true).control();
        builder.append(timestamp, Some(&key), Some(&value), &[]);
        builder.build()
    }

    /// Reads the marker of a control batch; `None` for a control record of another type, which readers must ignore, and for a
    /// batch that compaction has emptied.
    ///
    /// # Errors
    /// [`BatchError`] if the bytes are not a control batch with a whole record.
    pub fn parse(batch: &[u8]) -> Result<Option<ControlMarker>, BatchError> {
        let malformed =
            |field, value: usize| BatchError::Field { field, value: value as i64, reason: "not a marker" };
        let mut records = RecordsIter::new(batch)?;
        let Some(record) = records.next().transpose()? else { return Ok(None) };
        let key = record.key.and_then(|r| batch.get(r)).unwrap_or_default();
        let commit = match key {
            [_, _, 0, 0, ..] => false,
            [_, _, 0, 1, ..] => true,
            [_, _, _, _, ..] => return Ok(None),
            _ => return Err(malformed("control key length", key.len())),
        };
        let value = record.value.and_then(|r| batch.get(r)).unwrap_or_default();
        let epoch = value
            .get(2..6)
            .and_then(|b| b.try_into().ok())
            .ok_or_else(|| malformed("control value length", value.len()))?;
        Ok(Some(ControlMarker { commit, coordinator_epoch: i32::from_be_bytes(epoch) }))
    }
}

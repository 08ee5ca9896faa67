//! Which requests to append a broker takes: Kafka's `ProduceRequest.validateRecords` and the header's part of its `LogValidator`,
//! with their texts. Sizes, checksums, single records, sequences and epochs are the log's to check.

use crate::partition::Partition;
use crate::topics::Topic;
use bd_log::batch::{BatchError, BatchHeader};
use bd_log::compression::Codec;
use kafka_protocol::ResponseError as E;

/// The first version that may carry zstd.
const ZSTD_FROM: i16 = 7;

/// Why records are not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rejected {
    pub(crate) code: E,
    pub(crate) message: String,
}

fn reject<T>(code: E, message: String) -> Result<T, Rejected> {
    Err(Rejected { code, message })
}

/// Checks that these bytes are one batch that a client may send in this version, and gives its header.
pub(crate) fn header(
    batch: Option<&[u8]>,
    version: i16,
    partition: &Partition,
) -> Result<BatchHeader, Rejected> {
    let request = format_args!("{partition:?}: Produce requests with version {version}");
    let Some(bytes) = batch.filter(|b| !b.is_empty()) else {
        return reject(
            E::InvalidRecord,
            format!("{request} must have exactly one record batch per partition"),
        );
    };
    let header = match BatchHeader::parse(bytes) {
        Ok(header) => header,
        Err(BatchError::Magic(magic)) => {
            let reason = "are only allowed to contain record batches with magic version 2";
            return reject(E::InvalidRecord, format!("{request} {reason}, not {magic}"));
        }
        Err(error) => return reject(E::CorruptMessage, format!("{partition:?}: {error}")),
    };
    if header.size() < bytes.len() {
        let reason = "are only allowed to contain exactly one record batch per partition";
        return reject(E::InvalidRecord, format!("{request} {reason}"));
    }
    match header.codec() {
        Ok(Codec::Zstd) if version < ZSTD_FROM => {
            let reason = "are not allowed to use ZStandard compression";
            return reject(E::UnsupportedCompressionType, format!("{request} {reason}"));
        }
        Ok(_) => {}
        Err(error) => return reject(E::CorruptMessage, format!("{partition:?}: {error}")),
    }
    if header.is_control() {
        let reason = "Clients are not allowed to write control records";
        return reject(E::InvalidRecord, format!("{partition:?}: {reason}"));
    }
    if header.has_producer() && header.base_sequence < 0 {
        let (sequence, producer) = (header.base_sequence, header.producer_id);
        let reason = format!("Invalid sequence number {sequence} in record batch with producerId {producer}");
        return reject(E::InvalidRecord, format!("{partition:?}: {reason}"));
    }
    if header.record_count < 1 || header.last_offset_delta != header.record_count - 1 {
        let (count, delta) = (header.record_count, header.last_offset_delta);
        let reason = format!("Inconsistent batch: {count} records, last offset delta {delta}");
        return reject(E::InvalidRecord, format!("{partition:?}: {reason}"));
    }
    Ok(header)
}

/// Refuses `acks=all` where a topic wants more replicas than the one there is.
pub(crate) fn replicas(topic: &Topic, acks: i16, partition: &Partition) -> Result<(), Rejected> {
    if acks != -1 {
        return Ok(());
    }
    let wanted = topic.min_insync_replicas();
    if wanted > 1 {
        let reason = format!(
            "The size of the current ISR : 1 is insufficient to satisfy the min.isr requirement of {wanted} for \
             partition {partition:?}"
        );
        return reject(E::NotEnoughReplicas, reason);
    }
    Ok(())
}

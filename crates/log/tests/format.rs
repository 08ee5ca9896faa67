//! Batches as others write and read them: the codec of the Kafka protocol crate is the second opinion.
#![allow(clippy::unwrap_used)]

use bd_log::batch::{BatchBuilder, BatchError, BatchHeader, ControlMarker, RecordsIter, verify_crc};
use bd_log::compression::{Codec, plain_batch};
use bytes::{Bytes, BytesMut};
use indexmap::IndexMap;
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records::{
    Compression, Record, RecordBatchDecoder, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};

fn foreign_record(i: i64) -> Record {
    let headers = [("trace", Some("abc")), ("empty", Some("")), ("null", None)];
    let headers: IndexMap<StrBytes, Option<Bytes>> = headers
        .into_iter()
        .map(|(k, v)| (StrBytes::from_static_str(k), v.map(|v| Bytes::from_static(v.as_bytes()))))
        .collect();
    Record {
        transactional: true,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: 3,
        producer_id: 77,
        producer_epoch: 2,
        timestamp_type: TimestampType::Creation,
        offset: 40 + i,
        sequence: 9 + i as i32,
        timestamp: 1_700_000_000_000 - i * 50,
        key: (i != 1).then(|| Bytes::from(format!("key {i}"))),
        value: (i != 2).then(|| Bytes::from("välue ".repeat(i as usize))),
        headers,
    }
}

#[test]
fn a_batch_encoded_elsewhere_is_read() {
    let records: Vec<Record> = (0..20).map(foreign_record).collect();
    let mut encoded = BytesMut::new();
    let options = RecordEncodeOptions { version: 2, compression: Compression::None };
    RecordBatchEncoder::encode(&mut encoded, &records, &options).unwrap();
    verify_crc(&encoded).unwrap();
    let header = BatchHeader::parse(&encoded).unwrap();
    assert_eq!((header.base_offset, header.last_offset(), header.size()), (40, 59, encoded.len()));
    assert_eq!((header.producer_id, header.producer_epoch, header.base_sequence), (77, 2, 9));
    assert_eq!((header.last_sequence(), header.record_count), (28, 20));
    assert_eq!(header.max_timestamp, 1_700_000_000_000);
    assert!(header.is_transactional() && !header.is_control());
    let read: Vec<_> = RecordsIter::new(&encoded).unwrap().map(|r| r.unwrap()).collect();
    assert_eq!(read.len(), 20);
    for (ours, theirs) in read.into_iter().zip(records) {
        assert_eq!((ours.offset, ours.timestamp), (theirs.offset, theirs.timestamp));
        assert_eq!(ours.key.map(|r| &encoded[r]), theirs.key.as_deref());
        assert_eq!(ours.value.map(|r| &encoded[r]), theirs.value.as_deref());
        let headers: Vec<_> = ours.headers.iter(&encoded).map(|h| h.unwrap()).collect();
        let headers = headers.into_iter().map(|h| (&encoded[h.key], h.value.map(|v| &encoded[v])));
        assert!(headers.eq(theirs.headers.iter().map(|(k, v)| (k.as_bytes(), v.as_deref()))));
    }
}

#[test]
fn a_batch_built_here_is_read_elsewhere() {
    let mut builder = BatchBuilder::new().producer(5, 1, 100).transactional(true);
    builder.append(1_000, Some(b"k"), Some(b"v"), &[("a", Some(b"1".as_slice())), ("b", None)]);
    builder.append(900, None, None, &[]);
    let mut batch = builder.build().freeze();
    let set = RecordBatchDecoder::decode(&mut batch).unwrap();
    assert_eq!(set.records.len(), 2);
    let [first, second] = set.records.as_slice() else { unreachable!() };
    assert_eq!((first.offset, first.timestamp, first.sequence, first.producer_id), (0, 1_000, 100, 5));
    assert_eq!(
        (first.key.as_deref(), first.value.as_deref()),
        (Some(b"k".as_slice()), Some(b"v".as_slice()))
    );
    assert_eq!(first.headers.len(), 2);
    assert!(first.transactional);
    assert_eq!((second.offset, second.timestamp, second.key.is_none()), (1, 900, true));
}

#[test]
fn markers_come_back_and_are_control_batches_elsewhere_too() {
    for commit in [true, false] {
        let marker = ControlMarker { commit, coordinator_epoch: 12 };
        let batch = marker.build(7, 3, 55);
        assert_eq!(ControlMarker::parse(&batch).unwrap(), Some(marker));
        let set = RecordBatchDecoder::decode(&mut batch.freeze()).unwrap();
        assert!(set.records[0].control && set.records[0].transactional);
        assert_eq!(set.records[0].key.as_deref(), Some([0, 0, 0, u8::from(commit)].as_slice()));
    }
}

#[test]
fn headers_keep_their_order_and_repeated_names() {
    let mut builder = BatchBuilder::new();
    builder.append(0, None, None, &[("x", Some(b"1".as_slice())), ("y", None), ("x", Some(b"2".as_slice()))]);
    let batch = builder.build();
    let record = RecordsIter::new(&batch).unwrap().next().unwrap().unwrap();
    let names: Vec<_> = record.headers.iter(&batch).map(|h| batch[h.unwrap().key].to_vec()).collect();
    assert_eq!(names, [b"x", b"y", b"x"]);
}

#[test]
fn a_compressed_batch_becomes_a_plain_valid_one() {
    for codec in [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let mut builder = BatchBuilder::new().codec(codec);
        for i in 0..100 {
            builder.append(i, Some(b"key"), Some(b"the same value again and again"), &[]);
        }
        let plain_size = builder.size();
        let batch = builder.build().freeze();
        verify_crc(&batch).unwrap();
        if codec != Codec::None {
            assert!(batch.len() < plain_size / 2);
            assert_eq!(RecordsIter::new(&batch).err(), Some(BatchError::Compressed(codec)));
        }
        let plain = plain_batch(&batch, 1 << 20).unwrap();
        verify_crc(&plain).unwrap();
        assert_eq!(plain.len(), plain_size);
        assert_eq!(RecordsIter::new(&plain).unwrap().map(|r| r.unwrap().timestamp).sum::<i64>(), 4950);
        assert!(codec == Codec::None || plain_batch(&batch, 1000).is_err());
    }
}

#[test]
fn damaged_records_give_errors_and_never_panic() {
    let mut builder = BatchBuilder::new();
    for i in 0..5 {
        builder.append(i, Some(b"key"), Some(b"value"), &[("h", Some(b"v".as_slice()))]);
    }
    let batch = builder.build();
    for i in 0..batch.len() {
        for bit in 0..8 {
            let mut damaged = batch.clone();
            damaged[i] ^= 1 << bit;
            let Ok(records) = RecordsIter::new(&damaged) else { continue };
            for record in records.take(1000) {
                let Ok(record) = record else { break };
                let _ = record.headers.iter(&damaged).take(1000).count();
            }
        }
        let _ = RecordsIter::new(&batch[..i]).map(|records| records.count());
    }
}

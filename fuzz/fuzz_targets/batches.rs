//! Any bytes as record batches: headers, checksums, records, decompression. Nothing panics, and no claimed size is believed.
#![no_main]

use bd_log::batch::{BatchHeader, Batches, ControlMarker, RecordsIter, verify_crc};
use bd_log::compression::{Codec, decompress, plain_batch};
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;

const LIMIT: usize = 1 << 20;

fn look(batch: &Bytes) {
    let _ = BatchHeader::parse(batch);
    let _ = verify_crc(batch);
    let _ = ControlMarker::parse(batch);
    if let Ok(plain) = plain_batch(batch, LIMIT) {
        let Ok(records) = RecordsIter::new(&plain) else { return };
        for record in records {
            let Ok(record) = record else { return };
            let _ = (record.key.map(|range| &plain[range]), record.value.map(|range| &plain[range]));
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let bytes = Bytes::copy_from_slice(data);
    look(&bytes);
    for item in Batches::new(&bytes) {
        let Ok((range, _)) = item else { break };
        look(&bytes.slice(range));
    }
    // The records section alone, in each codec.
    if let Some((codec, section)) = data.split_first()
        && let Ok(codec) = Codec::from_id(i16::from(*codec & 7))
        && let Ok(plain) = decompress(codec, section, LIMIT)
    {
        assert!(plain.len() <= LIMIT);
    }
});

//! New numbers in the header of a batch that is already there.

/// What to change; `None` stays.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stamp {
    /// Producer id, epoch and the sequence number of the first record.
    pub producer: Option<(i64, i16, i32)>,
    /// The timestamp of the first record, ms; the others and the greatest move with it.
    pub base_timestamp: Option<i64>,
}

/// Stamps one batch (format 2) and its CRC. `false` if the bytes are no batch. The records themselves may have been changed, too.
pub fn stamp(batch: &mut [u8], stamp: &Stamp) -> bool {
    let Some((header, _)) = batch.split_first_chunk_mut::<61>() else { return false };
    if header[16] != 2 {
        return false;
    }
    if let Some((id, epoch, sequence)) = stamp.producer {
        header[43..51].copy_from_slice(&id.to_be_bytes());
        header[51..53].copy_from_slice(&epoch.to_be_bytes());
        header[53..57].copy_from_slice(&sequence.to_be_bytes());
    }
    if let Some(base) = stamp.base_timestamp {
        let at =
            |at: usize| header.get(at..at + 8).and_then(|b| b.try_into().ok()).map_or(0, i64::from_be_bytes);
        let max = base.wrapping_add(at(35).wrapping_sub(at(27)));
        header[27..35].copy_from_slice(&base.to_be_bytes());
        header[35..43].copy_from_slice(&max.to_be_bytes());
    }
    let crc = crc32c::crc32c(batch.get(21..).unwrap_or_default());
    match batch.get_mut(17..21) {
        Some(room) => room.copy_from_slice(&crc.to_be_bytes()),
        None => return false,
    }
    true
}

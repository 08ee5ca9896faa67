//! Cutting records in two.

use bd_cluster::Records;

/// Splits records at an offset: those before it (whose position is then at most `offset`) and the rest.
pub(super) fn split_at(records: Records, offset: i64) -> (Records, Option<Records>) {
    let rows = records.offsets.partition_point(|o| *o < offset);
    let (mut head, tail) = split_rows(records, rows);
    head.next_offset = head.next_offset.min(offset);
    (head, tail)
}

/// Splits records after so many rows.
pub(super) fn split_rows(mut records: Records, rows: usize) -> (Records, Option<Records>) {
    if records.len() <= rows {
        return (records, None);
    }
    let mut tail = Records::empty(records.partition.clone(), records.next_offset);
    tail.arena = records.arena.clone();
    tail.last_stable_offset = records.last_stable_offset;
    tail.high_watermark = records.high_watermark;
    tail.offsets = records.offsets.split_off(rows);
    tail.timestamps = records.timestamps.split_off(rows);
    tail.keys = records.keys.split_off(rows);
    tail.values = records.values.split_off(rows);
    if !records.header_ends.is_empty() {
        tail.header_ends = records.header_ends.split_off(rows);
        let cut = records.header_ends.last().copied().unwrap_or(0);
        tail.headers = records.headers.split_off(cut as usize);
        tail.header_ends.iter_mut().for_each(|end| *end -= cut);
    }
    records.next_offset = tail.offsets[0];
    (records, Some(tail))
}

//! Zigzag variable-length integers, as in Protocol Buffers and Kafka records.

use super::BatchError;

pub(super) fn put(out: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// Bytes that [`put`] takes.
pub(super) fn size(value: i64) -> usize {
    let zigzag = ((value << 1) ^ (value >> 63)) as u64;
    (64 - (zigzag | 1).leading_zeros() as usize).div_ceil(7)
}

/// Reads one value at `*at` and moves `*at` behind it.
#[inline]
pub(super) fn get(data: &[u8], at: &mut usize) -> Result<i64, BatchError> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = *data.get(*at).ok_or(BatchError::Truncated { need: *at + 1, have: data.len() })?;
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok((value >> 1) as i64 ^ -((value & 1) as i64));
        }
    }
    Err(BatchError::Field {
        field: "variable-length integer",
        value: *at as i64,
        reason: "longer than ten bytes",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_in_the_size_announced() {
        for value in [0, 1, -1, 63, 64, -64, -65, 300, i64::from(i32::MAX), i64::MAX, i64::MIN] {
            let mut out = Vec::new();
            put(&mut out, value);
            assert_eq!(out.len(), size(value), "{value}");
            let mut at = 0;
            assert_eq!(get(&out, &mut at), Ok(value));
            assert_eq!(at, out.len());
        }
        assert!(get(&[0x80], &mut 0).is_err());
        assert!(get(&[0xff; 11], &mut 0).is_err());
    }
}

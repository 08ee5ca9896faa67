//! Confluent's framing: a zero byte, the schema's id in four bytes, the message.

use crate::failure::{Failure, Fallible};

/// Splits a payload into the id of its writer's schema and the JSON text.
#[inline]
pub(super) fn framed(payload: &[u8]) -> Fallible<(u32, &[u8])> {
    match payload {
        [0, a, b, c, d, text @ ..] => Ok((u32::from_be_bytes([*a, *b, *c, *d]), text)),
        _ => Err(unframed(payload)),
    }
}

#[cold]
fn unframed(payload: &[u8]) -> Box<Failure> {
    let why = match payload.first() {
        None => "it is empty".to_owned(),
        Some(0) => format!("5 bytes wanted at least, found {}", payload.len()),
        Some(other) => format!("magic byte 0 wanted, found 0x{other:02x}"),
    };
    Failure::new(format!("no JSON record in Confluent's framing: {why}"))
}

/// Begins a record.
#[inline]
pub(super) fn begin(out: &mut Vec<u8>, id: u32) {
    out.push(0);
    out.extend_from_slice(&id.to_be_bytes());
}

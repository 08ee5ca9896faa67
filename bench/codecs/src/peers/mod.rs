//! Other libraries, a module for each format. They get the very records that bd reads.

pub(crate) mod delimited;
pub(crate) mod fastavro;
pub(crate) mod json;
pub(crate) mod protobuf;

use crate::Case;

/// The cases of one format.
#[derive(Default)]
pub(crate) struct Cases {
    pub(crate) decode: Vec<Case>,
    pub(crate) encode: Vec<Case>,
}

/// Records as libraries for files want them: one text of lines.
fn lines(payloads: &[Vec<u8>]) -> Vec<u8> {
    payloads.iter().flat_map(|p| p.iter().copied().chain([b'\n'])).collect()
}

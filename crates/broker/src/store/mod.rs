//! What the broker keeps on disk beside the records of topics: small files of metadata, and the records of the internal topics.

pub(crate) mod compact;
pub(crate) mod consumer_records;
pub(crate) mod fields;
pub(crate) mod meta;
pub(crate) mod offset_records;
pub(crate) mod topics_file;
pub(crate) mod txn_records;

//! Bytes of the Kafka protocol: which APIs and versions are spoken, and how a request is checked before it is decoded.

pub(crate) mod error_codes;
pub(crate) mod fetch;
pub(crate) mod frame;
pub(crate) mod layout;
pub(crate) mod produce;
pub(crate) mod versions;

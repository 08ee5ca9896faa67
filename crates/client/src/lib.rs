//! A small Kafka client for tools: one connection a broker, requests of the `kafka-protocol` crate, record batches as bytes.

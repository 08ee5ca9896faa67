//! A small blocking Kafka client for tools: requests of the `kafka-protocol` crate, record batches as bytes.
//!
//! It finds the broker that a request is for (leader, coordinator, controller), agrees on versions, logs in (SASL PLAIN or SCRAM, TLS),
//! and says in its errors which broker, request, topic and partition they are about. It does not retry, batch, balance or decode
//! records: commands and load generators do what they need of that on top, `bd_log::batch` builds and reads batches.
//!
//! ```text
//!  Client ── request(Node, &R) ─▶ R::Response     any request, any broker
//!    ├─ open(Node) ─▶ Connection ─▶ Pipeline      several Produce requests in flight, batches straight from memory
//!    └─ Fetcher::fetch ─▶ [Fetched]               batches as bytes, from all leaders at once
//! ```
//! ```no_run
//! use bd_client::messages::DescribeClusterRequest;
//! use bd_client::{Client, ClientConfig, Node};
//! let mut client = Client::connect(ClientConfig::new("127.0.0.1:9092"))?;
//! let cluster = client.request(Node::Any, &DescribeClusterRequest::default())?;
//! assert_eq!(client.topic("orders")?.partitions.len(), 3);
//! # Ok::<(), bd_client::ClientError>(())
//! ```

mod client;
mod config;
mod connection;
mod error;
mod fetch;
mod offsets;
mod produce;
pub mod scram;
mod stamp;
mod tls;
mod transport;

pub use client::{Client, Node, PartitionInfo, TopicInfo};
pub use config::{ClientConfig, Mechanism, Sasl, Tls, parse_properties};
pub use connection::{Connection, Requests, Responses, Sent, Versions};
pub use error::{ClientError, Code};
pub use fetch::{Counted, FetchOptions, Fetched, Fetcher, count};
pub use kafka_protocol::{ResponseError, messages, protocol};
pub use offsets::{Committed, ListedOffset, OffsetSpec, TopicPartition};
pub use produce::{PartitionBatch, Pipeline, ProduceOptions, Produced, receive_produce, send_produce};
pub use stamp::{Stamp, stamp};

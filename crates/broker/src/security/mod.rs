//! Who may do what: principals, operations, resources and the rules between them, in Kafka's terms.

use std::fmt;

/// Who a connection acts for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Principal {
    /// Kafka's principal type; `User` for all that authenticate here.
    pub kind: String,
    /// The name; `ANONYMOUS` on listeners without authentication.
    pub name: String,
}

impl Principal {
    /// A user.
    pub fn user(name: impl Into<String>) -> Self {
        Self { kind: "User".to_owned(), name: name.into() }
    }

    /// Whoever comes without authentication: `User:ANONYMOUS`.
    pub fn anonymous() -> Self {
        Self::user("ANONYMOUS")
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.name)
    }
}

/// What is done to a resource; the numbers are those of the protocol (`AclOperation`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i8)]
pub enum Operation {
    /// In a rule: any operation.
    All = 2,
    /// Fetch, commit offsets (topic, group).
    Read = 3,
    /// Produce; use a transactional id.
    Write = 4,
    /// Make topics (topic, cluster).
    Create = 5,
    /// Delete.
    Delete = 6,
    /// Change partitions.
    Alter = 7,
    /// See that it exists.
    Describe = 8,
    /// What only brokers do.
    ClusterAction = 9,
    /// See configs.
    DescribeConfigs = 10,
    /// Change configs.
    AlterConfigs = 11,
    /// Produce idempotently (cluster).
    IdempotentWrite = 12,
}

/// What rules are about; the numbers are those of the protocol (`ResourceType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i8)]
pub enum ResourceType {
    /// A topic.
    Topic = 2,
    /// A consumer group.
    Group = 3,
    /// The cluster, whose one name is [`CLUSTER`].
    Cluster = 4,
    /// A transactional id.
    TransactionalId = 5,
}

/// The name of the one resource of type [`ResourceType::Cluster`].
pub const CLUSTER: &str = "kafka-cluster";

/// Decides who may do what. Without security everybody may do everything.
#[derive(Debug, Default)]
pub struct Authorizer {}

impl Authorizer {
    /// Whether `principal`, coming from `host` (an address without a slash), may do `operation` to the resource.
    pub fn allows(
        &self,
        _principal: &Principal,
        _host: &str,
        _operation: Operation,
        _resource: ResourceType,
        _name: &str,
    ) -> bool {
        true
    }
}

/// A connection's SASL exchange between two of its requests.
#[derive(Debug, Default)]
pub(crate) struct SaslState {}

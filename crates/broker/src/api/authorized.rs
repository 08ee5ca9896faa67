//! Kafka's texts of refusals for want of authorization, and the operations that a caller may do, as bits.

use super::Call;
use crate::broker::Broker;
use crate::security::{CLUSTER, Operation, ResourceType};

/// Kafka's text of TOPIC_AUTHORIZATION_FAILED.
pub(super) const TOPIC_FAILED: &str = "Topic authorization failed.";
/// Kafka's text of CLUSTER_AUTHORIZATION_FAILED.
pub(super) const CLUSTER_FAILED: &str = "Cluster authorization failed.";
/// Kafka's text of GROUP_AUTHORIZATION_FAILED.
pub(super) const GROUP_FAILED: &str = "Group authorization failed.";
/// What is answered where the operations were not asked for.
pub(super) const NOT_ASKED: i32 = i32::MIN;

const OF_TOPIC: [Operation; 8] = [
    Operation::Read,
    Operation::Write,
    Operation::Create,
    Operation::Describe,
    Operation::Delete,
    Operation::Alter,
    Operation::DescribeConfigs,
    Operation::AlterConfigs,
];
const OF_CLUSTER: [Operation; 7] = [
    Operation::Create,
    Operation::ClusterAction,
    Operation::DescribeConfigs,
    Operation::AlterConfigs,
    Operation::IdempotentWrite,
    Operation::Alter,
    Operation::Describe,
];

fn bits(call: &Call, broker: &Broker, operations: &[Operation], resource: ResourceType, name: &str) -> i32 {
    let allowed = operations.iter().filter(|operation| call.allows(broker, **operation, resource, name));
    allowed.fold(0, |bits, operation| bits | 1 << *operation as i32)
}

/// What the caller may do with a topic (KIP-430).
pub(super) fn topic_operations(call: &Call, broker: &Broker, name: &str) -> i32 {
    bits(call, broker, &OF_TOPIC, ResourceType::Topic, name)
}

/// What the caller may do with the cluster; nothing where it may not even see it.
pub(super) fn cluster_operations(call: &Call, broker: &Broker) -> i32 {
    if !call.allows(broker, Operation::Describe, ResourceType::Cluster, CLUSTER) {
        return 0;
    }
    bits(call, broker, &OF_CLUSTER, ResourceType::Cluster, CLUSTER)
}

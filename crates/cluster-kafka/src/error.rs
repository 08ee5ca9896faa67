//! librdkafka's errors in the terms of the trait.

use bd_cluster::ClusterError;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// The code of an error, also of those of which librdkafka's wrapper does not tell it.
pub(crate) fn code_of(error: &KafkaError) -> Option<RDKafkaErrorCode> {
    match error {
        KafkaError::AdminOp(code) => Some(*code),
        KafkaError::PartitionEOF(_) => Some(RDKafkaErrorCode::PartitionEOF),
        error => error.rdkafka_error_code(),
    }
}

/// An error of something that concerns no topic, or whose topic `what` names.
pub(crate) fn named(what: &str, error: KafkaError) -> ClusterError {
    match error {
        KafkaError::ClientConfig(_, reason, key, value) => {
            ClusterError::InvalidConfig { key, reason: format!("{reason} (value {value:?})") }
        }
        error => match code_of(&error) {
            Some(code) => coded(what, code, error.to_string()),
            None => ClusterError::Fatal { what: what.into(), reason: error.to_string() },
        },
    }
}

/// An error of something done to a topic: tells when that does not exist.
pub(crate) fn of_topic(what: &str, topic: &str, error: KafkaError) -> ClusterError {
    match code_of(&error) {
        Some(code) if is_unknown_topic(code) => ClusterError::UnknownTopic(topic.into()),
        _ => named(&format!("{what} {topic}"), error),
    }
}

/// The class of an error code.
pub(crate) fn coded(what: &str, code: RDKafkaErrorCode, reason: String) -> ClusterError {
    if is_fenced(code) {
        ClusterError::Fenced(format!("{what}: {reason}"))
    } else if is_retriable(code) {
        ClusterError::Retriable { what: what.into(), reason }
    } else {
        ClusterError::Fatal { what: what.into(), reason }
    }
}

/// The topic or its partition is not there.
pub(crate) fn is_unknown_topic(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode::{InvalidTopic, UnknownPartition, UnknownTopic, UnknownTopicOrPartition};
    matches!(code, UnknownTopicOrPartition | UnknownTopic | UnknownPartition | InvalidTopic)
}

/// Another producer of the same transactional id has taken over.
fn is_producer_fenced(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode::{Fenced, InvalidProducerEpoch, ProducerFenced};
    matches!(code, Fenced | InvalidProducerEpoch | ProducerFenced)
}

/// The group has gone on without this member (KIP-447).
pub(crate) fn is_member_fenced(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode::{
        AssignmentLost, FencedInstanceId, IllegalGeneration, PollExceeded, UnknownMemberId,
    };
    matches!(code, IllegalGeneration | UnknownMemberId | FencedInstanceId | AssignmentLost | PollExceeded)
}

/// A newer writer or member is at work.
pub(crate) fn is_fenced(code: RDKafkaErrorCode) -> bool {
    is_producer_fenced(code) || is_member_fenced(code)
}

/// A server that is away, changes its role, or is late.
pub(crate) fn is_retriable(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode::*;
    matches!(
        code,
        AllBrokersDown
            | BrokerDestroy
            | BrokerNotAvailable
            | BrokerTransportFailure
            | ConcurrentTransactions
            | CoordinatorLoadInProgress
            | CoordinatorNotAvailable
            | EligibleLeadersNotAvailable
            | FencedLeaderEpoch
            | InProgress
            | KafkaStorageError
            | LeaderNotAvailable
            | MessageTimedOut
            | NetworkException
            | NotController
            | NotCoordinator
            | NotEnoughReplicas
            | NotEnoughReplicasAfterAppend
            | NotLeaderForPartition
            | OffsetNotAvailable
            | OperationTimedOut
            | PreviousInProgress
            | QueueFull
            | RebalanceInProgress
            | ReplicaNotAvailable
            | RequestTimedOut
            | Resolve
            | Retry
            | ThrottlingQuotaExceeded
            | TimedOutQueue
            | UnknownLeaderEpoch
            | UnstableOffsetCommit
            | WaitingForCoordinator
    )
}

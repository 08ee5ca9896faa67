//! Where answers have their error codes: those that Kafka counts (`AbstractResponse.errorCounts` of each class, as of 4.3), of
//! requests that succeed too.

use super::fetch::Answer;
use kafka_protocol::messages::{
    AddOffsetsToTxnResponse, AddPartitionsToTxnResponse, AlterClientQuotasResponse, AlterConfigsResponse,
    AlterPartitionReassignmentsResponse, AlterReplicaLogDirsResponse, AlterUserScramCredentialsResponse,
    ApiVersionsResponse, ConsumerGroupDescribeResponse, ConsumerGroupHeartbeatResponse, CreateAclsResponse,
    CreatePartitionsResponse, CreateTopicsResponse, DeleteAclsResponse, DeleteGroupsResponse,
    DeleteRecordsResponse, DeleteTopicsResponse, DescribeAclsResponse, DescribeClientQuotasResponse,
    DescribeClusterResponse, DescribeConfigsResponse, DescribeGroupsResponse, DescribeLogDirsResponse,
    DescribeProducersResponse, DescribeQuorumResponse, DescribeTopicPartitionsResponse,
    DescribeTransactionsResponse, DescribeUserScramCredentialsResponse, ElectLeadersResponse, EndTxnResponse,
    FindCoordinatorResponse, HeartbeatResponse, IncrementalAlterConfigsResponse, InitProducerIdResponse,
    JoinGroupResponse, LeaveGroupResponse, ListConfigResourcesResponse, ListGroupsResponse,
    ListOffsetsResponse, ListPartitionReassignmentsResponse, ListTransactionsResponse, MetadataResponse,
    OffsetCommitResponse, OffsetDeleteResponse, OffsetFetchResponse, OffsetForLeaderEpochResponse,
    ProduceResponse, SaslAuthenticateResponse, SaslHandshakeResponse, SyncGroupResponse,
    TxnOffsetCommitResponse, UpdateFeaturesResponse, WriteTxnMarkersResponse,
};

/// An answer with error codes.
pub(crate) trait ErrorCodes {
    /// Gives each of them to `count`, 0 (NONE) too.
    fn each_error(&self, count: &mut dyn FnMut(i16));
}

/// The codes that a path through fields and lists leads to.
macro_rules! each {
    ($of:expr, $count:ident, $code:ident) => {
        $count($of.$code)
    };
    ($of:expr, $count:ident, $list:ident > $($rest:ident)>+) => {
        for one in &$of.$list {
            each!(one, $count, $($rest)>+);
        }
    };
}

/// A table of answers and the paths to their codes. What stands behind `unless` counts only where that list is empty, which
/// tells versions apart.
macro_rules! error_codes {
    ($($answer:ident: $($($path:ident)>+ $(unless $list:ident)?),+;)*) => {$(
        impl ErrorCodes for $answer {
            fn each_error(&self, count: &mut dyn FnMut(i16)) {
                $(if true $(&& self.$list.is_empty())? {
                    each!(self, count, $($path)>+);
                })+
            }
        }
    )*};
}

error_codes! {
    AddOffsetsToTxnResponse: error_code;
    AddPartitionsToTxnResponse:
        error_code unless results_by_topic_v3_and_below,
        results_by_topic_v3_and_below > results_by_partition > partition_error_code,
        results_by_transaction > topic_results > results_by_partition > partition_error_code;
    AlterClientQuotasResponse: entries > error_code;
    AlterConfigsResponse: responses > error_code;
    AlterPartitionReassignmentsResponse: error_code, responses > partitions > error_code;
    AlterReplicaLogDirsResponse: results > partitions > error_code;
    AlterUserScramCredentialsResponse: results > error_code;
    ApiVersionsResponse: error_code;
    ConsumerGroupDescribeResponse: groups > error_code;
    ConsumerGroupHeartbeatResponse: error_code;
    CreateAclsResponse: results > error_code;
    CreatePartitionsResponse: results > error_code;
    CreateTopicsResponse: topics > error_code;
    DeleteAclsResponse: filter_results > error_code;
    DeleteGroupsResponse: results > error_code;
    DeleteRecordsResponse: topics > partitions > error_code;
    DeleteTopicsResponse: responses > error_code;
    DescribeAclsResponse: error_code;
    DescribeClientQuotasResponse: error_code;
    DescribeClusterResponse: error_code;
    DescribeConfigsResponse: results > error_code;
    DescribeGroupsResponse: groups > error_code;
    DescribeLogDirsResponse: error_code, results > error_code;
    DescribeProducersResponse: topics > partitions > error_code;
    DescribeQuorumResponse: error_code, topics > partitions > error_code;
    DescribeTopicPartitionsResponse: topics > partitions > error_code, topics > error_code;
    DescribeTransactionsResponse: transaction_states > error_code;
    DescribeUserScramCredentialsResponse: results > error_code;
    ElectLeadersResponse: error_code, replica_election_results > partition_result > error_code;
    EndTxnResponse: error_code;
    FindCoordinatorResponse: error_code unless coordinators, coordinators > error_code;
    HeartbeatResponse: error_code;
    IncrementalAlterConfigsResponse: responses > error_code;
    InitProducerIdResponse: error_code;
    JoinGroupResponse: error_code;
    LeaveGroupResponse: error_code, members > error_code;
    ListConfigResourcesResponse: error_code;
    ListGroupsResponse: error_code;
    ListOffsetsResponse: topics > partitions > error_code;
    ListPartitionReassignmentsResponse: error_code;
    ListTransactionsResponse: error_code;
    MetadataResponse: topics > partitions > error_code, topics > error_code;
    OffsetCommitResponse: topics > partitions > error_code;
    OffsetDeleteResponse: error_code, topics > partitions > error_code;
    OffsetFetchResponse:
        error_code,
        topics > partitions > error_code,
        groups > error_code,
        groups > topics > partitions > error_code;
    OffsetForLeaderEpochResponse: topics > partitions > error_code;
    ProduceResponse: responses > partition_responses > error_code;
    SaslAuthenticateResponse: error_code;
    SaslHandshakeResponse: error_code;
    SyncGroupResponse: error_code;
    TxnOffsetCommitResponse: topics > partitions > error_code;
    UpdateFeaturesResponse: error_code, results > error_code;
    WriteTxnMarkersResponse: markers > topics > partitions > error_code;
}

/// Fetch.
impl ErrorCodes for Answer {
    fn each_error(&self, count: &mut dyn FnMut(i16)) {
        count(self.error);
        for (_, fetched) in self.topics.iter().flat_map(|topic| &topic.partitions) {
            count(fetched.as_ref().map_or_else(|error| error.code(), |_| 0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_protocol::messages::add_partitions_to_txn_response::{
        AddPartitionsToTxnPartitionResult, AddPartitionsToTxnTopicResult,
    };
    use kafka_protocol::messages::find_coordinator_response::Coordinator;

    fn codes(answer: &dyn ErrorCodes) -> Vec<i16> {
        let mut codes = Vec::new();
        answer.each_error(&mut |code| codes.push(code));
        codes
    }

    #[test]
    fn a_code_that_only_some_versions_have_does_not_count_in_others() {
        let one = FindCoordinatorResponse::default().with_error_code(15);
        assert_eq!(codes(&one), [15]);
        let found = [0, 16].map(|code| Coordinator::default().with_error_code(code));
        assert_eq!(codes(&FindCoordinatorResponse::default().with_coordinators(found.into())), [0, 16]);

        assert_eq!(codes(&AddPartitionsToTxnResponse::default().with_error_code(31)), [31]);
        let partition = AddPartitionsToTxnPartitionResult::default().with_partition_error_code(3);
        let topic = AddPartitionsToTxnTopicResult::default().with_results_by_partition(vec![partition]);
        let old = AddPartitionsToTxnResponse::default().with_results_by_topic_v3_and_below(vec![topic]);
        assert_eq!(codes(&old), [3]);
    }
}

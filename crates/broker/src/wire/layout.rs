//! Checks that a request's lengths fit into the request, before anything is allocated for them.
//!
//! The generated decoders reserve room for as many array elements as the sender *claims*, so one frame of 20 bytes could ask
//! for terabytes. [`check`] walks the bytes first, by a layout as terse as the protocol's own grammar:
//!
//! ```text
//! 1 2 4 8 u   integers by their size, u = uuid          [ .. ]  array of structs     @a-b  only in versions a to b
//! s b         string, bytes (nullable or not)           ( x )   array of primitives  @a    from version a on
//!                                                       <n ..>  tagged field n; several fields are a struct
//! ```
//! `{ x }` is one nullable struct. Structs end with tagged fields in flexible versions. Fields are those of Kafka's message definitions, in their order. The
//! decoders trust that a tagged field they know has the size that is said of it, so these are listed, too.
//!
//! A new API needs its layout here, and its request in the list of the tests, which compare layout and decoder in all versions.

mod walk;

#[cfg(test)]
mod tests;

use kafka_protocol::messages::ApiKey;
use walk::Walk;

/// A request has at most so many array elements and tagged fields in all; decoded, they may be a hundred times larger than on
/// the wire.
const MAX_ELEMENTS: usize = 250_000;

/// The layout of a request's body and the first flexible version.
fn layout(api: ApiKey) -> Option<(&'static str, i16)> {
    Some(match api {
        ApiKey::Fetch => (
            "4@0-14 4 4 4 1 4@7 4@7 [s@0-12 u@13 [4 4@9 8 4@12 8@5 4 <0 u>@17 <1 8>@18]] [s@0-12 u@13 (4)]@7 s@11 \
                 <0 s>@12 <1 4 8>@15",
            12,
        ),
        ApiKey::ListOffsets => ("4 1@2 [s [4 4@4 8]] 4@10", 6),
        ApiKey::Metadata => ("[u@10 s] 1@4 1@8-10 1@8", 9),
        ApiKey::OffsetCommit => ("s 4 s s@7 8@2-4 [s [4 8 4@6 s]]", 8),
        ApiKey::OffsetFetch => ("s@0-7 [s (4)]@0-7 [s s@9 4@9 [s (4)]]@8 1@7", 6),
        ApiKey::FindCoordinator => ("s@0-3 1@1 (s)@4", 3),
        ApiKey::JoinGroup => ("s 4 4@1 s s@5 s [s b] s@8", 6),
        ApiKey::Heartbeat => ("s 4 s s@3", 4),
        ApiKey::LeaveGroup => ("s s@0-2 [s s s@5]@3", 4),
        ApiKey::SyncGroup => ("s 4 s s@3 s@5 s@5 [s b]", 4),
        ApiKey::DescribeGroups => ("(s) 1@3", 5),
        ApiKey::ListGroups => ("(s)@4 (s)@5", 3),
        ApiKey::ApiVersions => ("s@3 s@3", 3),
        ApiKey::CreateTopics => ("[s 4 2 [4 (4)] [s s]] 4 1", 5),
        ApiKey::DeleteTopics => ("[s u]@6 (s)@0-5 4", 4),
        ApiKey::DeleteRecords => ("[s [4 8]] 4", 2),
        ApiKey::InitProducerId => ("s 4 8@3 2@3", 2),
        ApiKey::AddPartitionsToTxn => ("[s 8 2 1 [s (4)]]@4 s@0-3 8@0-3 2@0-3 [s (4)]@0-3", 3),
        ApiKey::AddOffsetsToTxn => ("s 8 2 s", 3),
        ApiKey::EndTxn => ("s 8 2 1", 3),
        ApiKey::TxnOffsetCommit => ("s s 8 2 4@3 s@3 s@3 [s [4 8 4@2 s]]", 3),
        ApiKey::DescribeConfigs => ("[1 s (s)] 1 1@3", 4),
        ApiKey::AlterConfigs => ("[1 s [s s]] 1", 2),
        ApiKey::ListConfigResources => ("(1)@1", 0),
        ApiKey::IncrementalAlterConfigs => ("[1 s [s 1 s]] 1", 1),
        ApiKey::CreatePartitions => ("[s 4 [(4)]] 4 1", 2),
        ApiKey::DeleteGroups => ("(s)", 2),
        ApiKey::OffsetDelete => ("s [s [4]]", 1),
        ApiKey::ConsumerGroupHeartbeat => ("s s 4 s s 4 (s) s@1 s [u (4)]", 0),
        ApiKey::ConsumerGroupDescribe => ("(s) 1", 0),
        ApiKey::OffsetForLeaderEpoch => ("4@3 [s [4 4 4]]", 4),
        ApiKey::WriteTxnMarkers => ("[8 2 1 [s (4)] 4]", 1),
        ApiKey::DescribeProducers => ("[s (4)]", 0),
        ApiKey::DescribeTransactions => ("(s)", 0),
        ApiKey::ListTransactions => ("(s) (8) 8@1 s@2", 0),
        ApiKey::DescribeCluster => ("1 1@1 1@2", 0),
        ApiKey::DescribeTopicPartitions => ("[s] 4 {s 4}", 0),
        ApiKey::AlterReplicaLogDirs => ("[s [s (4)]]", 2),
        ApiKey::DescribeLogDirs => ("[s (4)]", 2),
        ApiKey::ElectLeaders => ("1@1 [s (4)] 4", 2),
        ApiKey::AlterPartitionReassignments => ("4 1@1 [s [4 (4)]]", 0),
        ApiKey::ListPartitionReassignments => ("4 [s (4)]", 0),
        ApiKey::DescribeClientQuotas => ("[s 1 s] 1", 1),
        ApiKey::AlterClientQuotas => ("[[s s] [s 8 1]] 1", 1),
        ApiKey::DescribeQuorum => ("[s [4]]", 0),
        ApiKey::UpdateFeatures => ("4 [s 2 1@0-0 1@1] 1@1", 0),
        ApiKey::SaslHandshake => ("s", i16::MAX),
        ApiKey::SaslAuthenticate => ("b", 2),
        ApiKey::DescribeAcls => ("1 s 1 s s 1 1", 2),
        ApiKey::CreateAcls => ("[1 s 1 s s 1 1]", 2),
        ApiKey::DeleteAcls => ("[1 s 1 s s 1 1]", 2),
        ApiKey::DescribeUserScramCredentials => ("[s]", 0),
        ApiKey::AlterUserScramCredentials => ("[s 1] [s 1 4 b b]", 0),
        _ => return None,
    })
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LayoutError {
    /// A length points past the end of the request.
    #[error("a length at byte {0} points past the end of the request")]
    PastEnd(usize),
    /// A tagged field that the decoder knows has another size than is said of it.
    #[error("the tagged field that ends at byte {0} has not the size that it claims")]
    Tag(usize),
    /// See [`MAX_ELEMENTS`].
    #[error("more than {MAX_ELEMENTS} array elements")]
    TooMany,
    /// No layout: the API is not spoken (the dispatcher refuses it before).
    #[error("no layout for this API")]
    Unknown,
}

/// Checks the body of a request (the bytes after the header).
pub(crate) fn check(api: ApiKey, version: i16, body: &[u8]) -> Result<(), LayoutError> {
    let (text, flexible_from) = layout(api).ok_or(LayoutError::Unknown)?;
    Walk::new(body, version, version >= flexible_from).structure(text.as_bytes())?;
    // Bytes may follow: librdkafka 2.12 sends three too many when it asks for the metadata of all topics.
    Ok(())
}

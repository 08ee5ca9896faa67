//! Checks that a request's lengths fit into the request, before anything is allocated for them.
//!
//! The generated decoders reserve room for as many array elements as the sender *claims*, so one frame of 20 bytes could ask
//! for terabytes. [`check`] walks the bytes first, by a layout as terse as the protocol's own grammar:
//!
//! ```text
//! 1 2 4 8 u   integers by their size, u = uuid          [ .. ]  array of structs     @a-b  only in versions a to b
//! s b         string, bytes (nullable or not)           ( x )   array of primitives  @a    from version a on
//! ```
//! Structs end with tagged fields in flexible versions. Fields are those of Kafka's message definitions, in their order.

use kafka_protocol::messages::ApiKey;

/// A request has at most so many array elements in all; decoded, they may be a hundred times larger than on the wire.
const MAX_ELEMENTS: usize = 1_000_000;

/// The layout of a request's body and the first flexible version.
fn layout(api: ApiKey) -> Option<(&'static str, i16)> {
    Some(match api {
        ApiKey::Fetch => {
            ("4@0-14 4 4 4 1 4@7 4@7 [s@0-12 u@13 [4 4@9 8 4@12 8@5 4]] [s@0-12 u@13 (4)]@7 s@11", 12)
        }
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
        ApiKey::DescribeCluster => ("1 1@1", 0),
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
    let mut walk = Walk { body, at: 0, elements: 0, version, flexible: version >= flexible_from };
    walk.fields(text.as_bytes())?;
    walk.tags()?;
    // Bytes may follow: librdkafka 2.12 sends three too many when it asks for the metadata of all topics.
    Ok(())
}

struct Walk<'a> {
    body: &'a [u8],
    at: usize,
    elements: usize,
    version: i16,
    flexible: bool,
}

/// Splits the first field off: (its kind, its inner text, whether it is in this version, the rest).
fn next_field(text: &[u8], version: i16) -> Option<(u8, &[u8], bool, &[u8])> {
    let start = text.iter().position(|c| *c != b' ')?;
    let text = &text[start..];
    let kind = text[0];
    let mut end = 1;
    if kind == b'[' || kind == b'(' {
        let mut depth = 1;
        while depth > 0 && end < text.len() {
            match text[end] {
                b'[' | b'(' => depth += 1,
                b']' | b')' => depth -= 1,
                _ => {}
            }
            end += 1;
        }
    }
    let inner = &text[1..end.max(2) - 1];
    let mut rest = &text[end..];
    let mut present = true;
    if rest.first() == Some(&b'@') {
        let stop = rest.iter().position(|c| *c == b' ').unwrap_or(rest.len());
        let range = std::str::from_utf8(&rest[1..stop]).unwrap_or("");
        let (low, high) = range.split_once('-').unwrap_or((range, "99"));
        present =
            low.parse().is_ok_and(|l: i16| version >= l) && high.parse().is_ok_and(|h: i16| version <= h);
        rest = &rest[stop..];
    }
    Some((kind, inner, present, rest))
}

impl Walk<'_> {
    fn skip(&mut self, n: usize) -> Result<(), LayoutError> {
        if n > self.body.len() - self.at {
            return Err(LayoutError::PastEnd(self.at));
        }
        self.at += n;
        Ok(())
    }

    fn int(&mut self, size: usize) -> Result<i64, LayoutError> {
        let start = self.at;
        self.skip(size)?;
        let bytes = &self.body[start..self.at];
        let first = bytes.first().map_or(0, |b| i64::from(*b as i8));
        Ok(bytes.iter().skip(1).fold(first, |n, b| (n << 8) | i64::from(*b)))
    }

    fn varint(&mut self) -> Result<usize, LayoutError> {
        let mut value: u64 = 0;
        for shift in 0..5 {
            let byte = self.int(1)? as u8;
            value |= u64::from(byte & 0x7f) << (7 * shift);
            if byte & 0x80 == 0 {
                return Ok(value as usize);
            }
        }
        Err(LayoutError::PastEnd(self.at))
    }

    /// The length of a string, bytes or array; null counts as 0. `width` is that of the length in inflexible versions.
    fn length(&mut self, width: usize) -> Result<usize, LayoutError> {
        if self.flexible {
            return Ok(self.varint()?.saturating_sub(1));
        }
        match self.int(width)? {
            -1 => Ok(0),
            n => usize::try_from(n).map_err(|_| LayoutError::PastEnd(self.at)),
        }
    }

    fn tags(&mut self) -> Result<(), LayoutError> {
        if self.flexible {
            for _ in 0..self.varint()? {
                self.elements += 1;
                self.varint()?;
                let n = self.varint()?;
                self.skip(n)?;
            }
        }
        Ok(())
    }

    fn fields(&mut self, mut text: &[u8]) -> Result<(), LayoutError> {
        while let Some((kind, inner, present, rest)) = next_field(text, self.version) {
            text = rest;
            if !present {
                continue;
            }
            match kind {
                b's' | b'b' => {
                    let n = self.length(if kind == b's' { 2 } else { 4 })?;
                    self.skip(n)?;
                }
                b'u' => self.skip(16)?,
                b'[' | b'(' => {
                    for _ in 0..self.length(4)? {
                        self.elements += 1;
                        if self.elements > MAX_ELEMENTS {
                            return Err(LayoutError::TooMany);
                        }
                        self.fields(inner)?;
                        if kind == b'[' {
                            self.tags()?;
                        }
                    }
                }
                digit => self.skip(usize::from(digit.wrapping_sub(b'0')))?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::versions::SPOKEN;
    use bytes::{BufMut, BytesMut};
    use kafka_protocol::messages::*;
    use kafka_protocol::protocol::{Encodable, StrBytes};

    fn s(text: &'static str) -> StrBytes {
        StrBytes::from_static_str(text)
    }

    #[test]
    fn an_array_that_claims_more_elements_than_there_are_bytes_is_refused() {
        let mut body = BytesMut::new();
        body.put_i32(i32::MAX);
        assert!(matches!(check(ApiKey::Metadata, 1, &body), Err(LayoutError::PastEnd(_))));
        // compact: u32::MAX - 1 elements
        assert!(matches!(
            check(ApiKey::Metadata, 9, &[0xff, 0xff, 0xff, 0xff, 0x0f]),
            Err(LayoutError::PastEnd(_))
        ));
    }

    #[test]
    fn a_string_longer_than_the_request_is_refused() {
        assert!(matches!(
            check(ApiKey::DeleteGroups, 0, &[0, 0, 0, 1, 0x7f, 0xff, b'x']),
            Err(LayoutError::PastEnd(_))
        ));
    }

    #[test]
    fn bytes_after_the_last_field_are_ignored_as_kafka_does() {
        assert_eq!(check(ApiKey::Metadata, 12, &[0, 0, 0, 0, 0, 0, 0]), Ok(()));
    }

    #[test]
    fn every_spoken_api_but_produce_has_a_layout_that_accepts_an_empty_request_in_all_versions() {
        macro_rules! empty {
            ($($key:ident $request:ident),*) => {
                $(for version in SPOKEN.iter().filter(|s| s.0 == ApiKey::$key).flat_map(|s| s.1..=s.2) {
                    let mut body = BytesMut::new();
                    $request::default().encode(&mut body, version).unwrap_or_else(|e| panic!("{} v{version}: {e}", stringify!($key)));
                    assert_eq!(check(ApiKey::$key, version, &body), Ok(()), "{} v{version}", stringify!($key));
                })*
                let covered = [$(ApiKey::$key),*];
                for (api, ..) in SPOKEN.iter().filter(|s| s.0 != ApiKey::Produce) {
                    assert!(covered.contains(api), "{api:?} is not tested");
                }
            };
        }
        empty!(
            Fetch FetchRequest, ListOffsets ListOffsetsRequest, Metadata MetadataRequest,
            OffsetCommit OffsetCommitRequest, OffsetFetch OffsetFetchRequest, FindCoordinator FindCoordinatorRequest,
            JoinGroup JoinGroupRequest, Heartbeat HeartbeatRequest, LeaveGroup LeaveGroupRequest, SyncGroup SyncGroupRequest,
            DescribeGroups DescribeGroupsRequest, ListGroups ListGroupsRequest, ApiVersions ApiVersionsRequest,
            CreateTopics CreateTopicsRequest, DeleteTopics DeleteTopicsRequest, DeleteRecords DeleteRecordsRequest,
            InitProducerId InitProducerIdRequest, AddPartitionsToTxn AddPartitionsToTxnRequest,
            AddOffsetsToTxn AddOffsetsToTxnRequest, EndTxn EndTxnRequest, TxnOffsetCommit TxnOffsetCommitRequest,
            DescribeConfigs DescribeConfigsRequest, IncrementalAlterConfigs IncrementalAlterConfigsRequest,
            CreatePartitions CreatePartitionsRequest, DeleteGroups DeleteGroupsRequest,
            OffsetDelete OffsetDeleteRequest, ConsumerGroupHeartbeat ConsumerGroupHeartbeatRequest,
            ConsumerGroupDescribe ConsumerGroupDescribeRequest,
            OffsetForLeaderEpoch OffsetForLeaderEpochRequest, DescribeCluster DescribeClusterRequest,
            SaslHandshake SaslHandshakeRequest, SaslAuthenticate SaslAuthenticateRequest,
            DescribeAcls DescribeAclsRequest, CreateAcls CreateAclsRequest, DeleteAcls DeleteAclsRequest,
            DescribeUserScramCredentials DescribeUserScramCredentialsRequest,
            AlterUserScramCredentials AlterUserScramCredentialsRequest,
            WriteTxnMarkers WriteTxnMarkersRequest, DescribeProducers DescribeProducersRequest,
            DescribeTransactions DescribeTransactionsRequest, ListTransactions ListTransactionsRequest
        );
    }

    #[test]
    fn nested_arrays_are_walked() {
        use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic, ForgottenTopic};
        for version in 4..=12 {
            let mut request = FetchRequest::default().with_topics(vec![
                FetchTopic::default()
                    .with_topic(TopicName(s("a")))
                    .with_partitions(vec![FetchPartition::default(), FetchPartition::default()]),
                FetchTopic::default().with_topic(TopicName(s("long name"))),
            ]);
            if version >= 7 {
                request = request.with_forgotten_topics_data(vec![
                    ForgottenTopic::default().with_topic(TopicName(s("b"))).with_partitions(vec![1, 2, 3]),
                ]);
            }
            let mut body = BytesMut::new();
            request.encode(&mut body, version).unwrap();
            assert_eq!(check(ApiKey::Fetch, version, &body), Ok(()), "v{version}");
            for cut in 0..body.len() {
                assert!(check(ApiKey::Fetch, version, &body[..cut]).is_err(), "v{version} cut at {cut}");
            }
        }
    }

    #[test]
    fn filled_requests_are_accepted() {
        use kafka_protocol::messages::create_topics_request::{
            CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
        };
        use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
        use kafka_protocol::messages::txn_offset_commit_request::*;
        for version in 2..=7 {
            let topic = CreatableTopic::default()
                .with_name(TopicName(s("t")))
                .with_assignments(vec![
                    CreatableReplicaAssignment::default().with_broker_ids(vec![BrokerId(1), BrokerId(2)]),
                ])
                .with_configs(vec![
                    CreatableTopicConfig::default().with_name(s("k")).with_value(Some(s("v"))),
                ]);
            let mut body = BytesMut::new();
            CreateTopicsRequest::default().with_topics(vec![topic]).encode(&mut body, version).unwrap();
            assert_eq!(check(ApiKey::CreateTopics, version, &body), Ok(()), "v{version}");
        }
        for version in 0..=9 {
            let protocol = JoinGroupRequestProtocol::default()
                .with_name(s("range"))
                .with_metadata(bytes::Bytes::from_static(b"abc"));
            let mut body = BytesMut::new();
            JoinGroupRequest::default()
                .with_member_id(s("m"))
                .with_protocols(vec![protocol])
                .encode(&mut body, version)
                .unwrap();
            assert_eq!(check(ApiKey::JoinGroup, version, &body), Ok(()), "v{version}");
        }
        for version in 0..=5 {
            let topic = TxnOffsetCommitRequestTopic::default().with_partitions(vec![
                TxnOffsetCommitRequestPartition::default().with_committed_metadata(Some(s("x"))),
                TxnOffsetCommitRequestPartition::default().with_committed_metadata(None),
            ]);
            let mut body = BytesMut::new();
            TxnOffsetCommitRequest::default().with_topics(vec![topic]).encode(&mut body, version).unwrap();
            assert_eq!(check(ApiKey::TxnOffsetCommit, version, &body), Ok(()), "v{version}");
        }
    }
}

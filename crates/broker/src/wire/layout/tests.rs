//! Layouts against the generated encoders and decoders.

use super::walk::{next_field, tag_of};
use super::*;
use crate::wire::versions::SPOKEN;
use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};
use proptest::prelude::*;

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

/// All requests with their types: a new API is added here.
macro_rules! with_requests {
    ($action:ident) => {
        $action!(
            Fetch FetchRequest, ListOffsets ListOffsetsRequest, Metadata MetadataRequest,
            OffsetCommit OffsetCommitRequest, OffsetFetch OffsetFetchRequest, FindCoordinator FindCoordinatorRequest,
            JoinGroup JoinGroupRequest, Heartbeat HeartbeatRequest, LeaveGroup LeaveGroupRequest, SyncGroup SyncGroupRequest,
            DescribeGroups DescribeGroupsRequest, ListGroups ListGroupsRequest, ApiVersions ApiVersionsRequest,
            CreateTopics CreateTopicsRequest, DeleteTopics DeleteTopicsRequest, DeleteRecords DeleteRecordsRequest,
            InitProducerId InitProducerIdRequest, AddPartitionsToTxn AddPartitionsToTxnRequest,
            AddOffsetsToTxn AddOffsetsToTxnRequest, EndTxn EndTxnRequest, TxnOffsetCommit TxnOffsetCommitRequest,
            DescribeConfigs DescribeConfigsRequest, IncrementalAlterConfigs IncrementalAlterConfigsRequest,
            CreatePartitions CreatePartitionsRequest, DeleteGroups DeleteGroupsRequest,
            OffsetForLeaderEpoch OffsetForLeaderEpochRequest, DescribeCluster DescribeClusterRequest,
            SaslHandshake SaslHandshakeRequest, SaslAuthenticate SaslAuthenticateRequest,
            DescribeAcls DescribeAclsRequest, CreateAcls CreateAclsRequest, DeleteAcls DeleteAclsRequest,
            DescribeUserScramCredentials DescribeUserScramCredentialsRequest,
            AlterUserScramCredentials AlterUserScramCredentialsRequest,
            DescribeTopicPartitions DescribeTopicPartitionsRequest, AlterReplicaLogDirs AlterReplicaLogDirsRequest,
            DescribeLogDirs DescribeLogDirsRequest, ElectLeaders ElectLeadersRequest,
            AlterPartitionReassignments AlterPartitionReassignmentsRequest,
            ListPartitionReassignments ListPartitionReassignmentsRequest,
            DescribeClientQuotas DescribeClientQuotasRequest, AlterClientQuotas AlterClientQuotasRequest,
            DescribeQuorum DescribeQuorumRequest, UpdateFeatures UpdateFeaturesRequest,
            AlterConfigs AlterConfigsRequest, ListConfigResources ListConfigResourcesRequest,
            OffsetDelete OffsetDeleteRequest,
            ConsumerGroupHeartbeat ConsumerGroupHeartbeatRequest,
            ConsumerGroupDescribe ConsumerGroupDescribeRequest,
            WriteTxnMarkers WriteTxnMarkersRequest,
            DescribeProducers DescribeProducersRequest,
            DescribeTransactions DescribeTransactionsRequest,
            ListTransactions ListTransactionsRequest
        )
    };
}

/// A request with nothing in it.
fn empty(api: ApiKey, version: i16) -> Option<BytesMut> {
    let mut body = BytesMut::new();
    macro_rules! empty {
        ($($key:ident $request:ident),*) => {
            match api {
                $(ApiKey::$key => $request::default().encode(&mut body, version).ok()?,)*
                _ => return None,
            }
        };
    }
    with_requests!(empty);
    Some(body)
}

/// Bytes left by the decoder; `None` if it refuses them.
fn decode(api: ApiKey, version: i16, body: &[u8]) -> Option<usize> {
    let mut body = Bytes::copy_from_slice(body);
    macro_rules! decode {
        ($($key:ident $request:ident),*) => {
            match api {
                $(ApiKey::$key => drop($request::decode(&mut body, version).ok()?),)*
                _ => return None,
            }
        };
    }
    with_requests!(decode);
    Some(body.len())
}

/// Every API and version but Produce, which has a decoder of its own.
fn spoken() -> Vec<(ApiKey, i16)> {
    let spoken = SPOKEN.iter().filter(|s| s.0 != ApiKey::Produce);
    spoken.flat_map(|(api, low, high)| (*low..=*high).map(|version| (*api, version))).collect()
}

#[test]
fn every_spoken_api_has_a_layout_that_accepts_an_empty_request_in_all_versions() {
    for (api, version) in spoken() {
        let body = empty(api, version);
        let body = body.unwrap_or_else(|| panic!("{api:?} v{version} is not in the list of these tests"));
        assert_eq!(check(api, version, &body), Ok(()), "{api:?} v{version}");
    }
}

/// Makes requests by their layout.
struct Maker<'a> {
    choices: std::slice::Iter<'a, u8>,
    version: i16,
    flexible: bool,
    out: BytesMut,
}

impl Maker<'_> {
    fn choose(&mut self, n: u8) -> u8 {
        self.choices.next().map_or(0, |c| c % n)
    }

    fn length(&mut self, n: usize, width: usize) {
        match (self.flexible, width) {
            (true, _) => self.out.put_u8(n as u8 + 1),
            (false, 2) => self.out.put_i16(n as i16),
            (false, _) => self.out.put_i32(n as i32),
        }
    }

    fn fill(&mut self, n: usize) {
        for _ in 0..n {
            let byte = self.choose(128);
            self.out.put_u8(byte);
        }
    }

    fn structure(&mut self, text: &[u8]) {
        self.fields(text);
        self.tags(text);
    }

    fn fields(&mut self, mut text: &[u8]) {
        while let Some((field, rest)) = next_field(text, self.version) {
            text = rest;
            if !field.present {
                continue;
            }
            match field.kind {
                b's' | b'b' => {
                    let n = usize::from(self.choose(5));
                    self.length(n, if field.kind == b's' { 2 } else { 4 });
                    self.fill(n);
                }
                b'u' => self.fill(16),
                b'[' | b'(' => {
                    let n = usize::from(self.choose(4));
                    self.length(n, 4);
                    for _ in 0..n {
                        match field.kind {
                            b'[' => self.structure(field.inner),
                            _ => self.fields(field.inner),
                        }
                    }
                }
                b'{' if self.choose(2) == 1 => {
                    self.out.put_i8(1);
                    self.structure(field.inner);
                }
                b'{' => self.out.put_i8(-1),
                b'<' => {}
                digit => self.fill(usize::from(digit - b'0')),
            }
        }
    }

    /// Those that the decoder knows, and one that nobody knows.
    fn tags(&mut self, mut text: &[u8]) {
        if !self.flexible {
            return;
        }
        let mut tags = Vec::new();
        while let Some((field, rest)) = next_field(text, self.version) {
            text = rest;
            if field.kind == b'<' && field.present && self.choose(2) == 1 {
                let (number, fields) = tag_of(field.inner);
                let out = std::mem::take(&mut self.out);
                match fields.iter().filter(|c| **c == b' ').count() {
                    1 => self.fields(fields),
                    _ => self.structure(fields),
                }
                tags.push((number as u8, std::mem::replace(&mut self.out, out)));
            }
        }
        if self.choose(4) == 3 {
            tags.push((99, BytesMut::from(&b"new"[..])));
        }
        self.out.put_u8(tags.len() as u8);
        for (number, value) in tags {
            self.out.put_u8(number);
            self.out.put_u8(value.len() as u8);
            self.out.put_slice(&value);
        }
    }
}

fn make(api: ApiKey, version: i16, choices: &[u8]) -> BytesMut {
    let (text, flexible_from) = layout(api).unwrap();
    let flexible = version >= flexible_from;
    let mut maker = Maker { choices: choices.iter(), version, flexible, out: BytesMut::new() };
    maker.structure(text.as_bytes());
    maker.out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Were a field missing in a layout, or in it in a wrong version, decoder and layout would not end at the same byte.
    #[test]
    fn layouts_are_those_of_the_decoders(which: prop::sample::Index, choices: Vec<u8>) {
        let (api, version) = *which.get(&spoken());
        let body = make(api, version, &choices);
        prop_assert_eq!(check(api, version, &body), Ok(()), "{:?} v{}", api, version);
        prop_assert_eq!(decode(api, version, &body), Some(0), "{:?} v{} {:?}", api, version, body);
    }

    /// The decoder would panic or take memory as it is told to.
    #[test]
    fn damaged_requests_are_refused_or_harmless(
        which: prop::sample::Index,
        choices: Vec<u8>,
        damage: Vec<(prop::sample::Index, u8)>,
        cut: prop::sample::Index,
    ) {
        let (api, version) = *which.get(&spoken());
        let mut body = make(api, version, &choices);
        for (at, byte) in damage.iter().filter(|_| !body.is_empty()).collect::<Vec<_>>() {
            let at = at.index(body.len());
            body[at] = *byte;
        }
        for body in [&body[..], &body[..cut.index(body.len() + 1)]] {
            if check(api, version, body).is_ok() {
                decode(api, version, body);
            }
        }
    }

    #[test]
    fn any_bytes_are_refused_or_harmless(which: prop::sample::Index, body: Vec<u8>) {
        let (api, version) = *which.get(&spoken());
        if check(api, version, &body).is_ok() {
            decode(api, version, &body);
        }
    }
}

#[test]
fn a_tagged_field_that_lies_about_its_size_is_refused() {
    use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
    let partition = FetchPartition::default().with_replica_directory_id(uuid::Uuid::from_u128(u128::MAX));
    let request =
        FetchRequest::default().with_topics(vec![FetchTopic::default().with_partitions(vec![partition])]);
    let mut body = BytesMut::new();
    request.encode(&mut body, 17).unwrap();
    assert_eq!(check(ApiKey::Fetch, 17, &body), Ok(()));
    let id = body.windows(16).position(|w| w == [0xff; 16]).unwrap();
    assert_eq!(body[id - 1], 16);
    // The decoder would take the 16 bytes nevertheless, and then all that follows for something else.
    body[id - 1] = 0;
    assert!(matches!(check(ApiKey::Fetch, 17, &body), Err(LayoutError::Tag(_))));
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
            .with_configs(vec![CreatableTopicConfig::default().with_name(s("k")).with_value(Some(s("v")))]);
        let mut body = BytesMut::new();
        CreateTopicsRequest::default().with_topics(vec![topic]).encode(&mut body, version).unwrap();
        assert_eq!(check(ApiKey::CreateTopics, version, &body), Ok(()), "v{version}");
    }
    for version in 0..=9 {
        let protocol = JoinGroupRequestProtocol::default()
            .with_name(s("range"))
            .with_metadata(Bytes::from_static(b"abc"));
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

//! Valid requests, as a fuzz target changes them: each with the fields of its newest version filled in.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::add_partitions_to_txn_request::{
    AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
};
use kafka_protocol::messages::alter_user_scram_credentials_request::{
    ScramCredentialDeletion, ScramCredentialUpsertion,
};
use kafka_protocol::messages::consumer_group_heartbeat_request::TopicPartitions;
use kafka_protocol::messages::create_acls_request::AclCreation;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use kafka_protocol::messages::describe_topic_partitions_request::{Cursor, TopicRequest};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use kafka_protocol::messages::write_txn_markers_request::{WritableTxnMarker, WritableTxnMarkerTopic};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Encodable, Message, Request, StrBytes};

/// A request: key of its API, version, body. The version is the nearest that there is.
pub struct Body {
    pub api: i16,
    pub version: i16,
    pub bytes: Vec<u8>,
}

fn text(text: &'static str) -> StrBytes {
    StrBytes::from_static_str(text)
}

fn topic() -> TopicName {
    TopicName(text("t"))
}

fn id() -> TransactionalId {
    TransactionalId(text("tx"))
}

fn group() -> GroupId {
    GroupId(text("g"))
}

fn body<R: Request + Encodable + Message>(version: i16, request: R) -> Body {
    let mut bytes = BytesMut::new();
    let mut version = version.clamp(R::VERSIONS.min, R::VERSIONS.max);
    // A field that the version does not have: one that has all.
    if request.encode(&mut bytes, version).is_err() {
        version = R::VERSIONS.max;
        bytes.clear();
        let _ = request.encode(&mut bytes, version);
    }
    Body { api: R::KEY, version, bytes: bytes.to_vec() }
}

fn batch(in_txn: bool) -> Bytes {
    let mut batch = bd_log::batch::BatchBuilder::new();
    if in_txn {
        batch = batch.producer(0, 0, 0).transactional(true);
    }
    batch.append(1_000, Some(b"k"), Some(b"v"), &[]);
    batch.build().freeze()
}

/// How many kinds there are.
pub const KINDS: u8 = 26;

/// The request of a kind, in a version.
pub fn of(kind: u8, version: i16, uuid: [u8; 16]) -> Body {
    let topic_id = || uuid::Uuid::from_bytes(uuid);
    let commit = || {
        TxnOffsetCommitRequestPartition::default()
            .with_committed_offset(3)
            .with_committed_metadata(Some(text("m")))
    };
    match kind % KINDS {
        0 => body(
            version,
            ConsumerGroupHeartbeatRequest::default()
                .with_group_id(group())
                .with_member_id(text("m"))
                .with_rebalance_timeout_ms(1_000)
                .with_server_assignor(Some(text("uniform")))
                .with_subscribed_topic_names(Some(vec![topic()]))
                .with_topic_partitions(Some(vec![])),
        ),
        1 => body(
            version,
            ConsumerGroupHeartbeatRequest::default()
                .with_group_id(group())
                .with_member_id(text("m"))
                .with_member_epoch(1)
                .with_subscribed_topic_regex(Some(text("t.*")))
                .with_topic_partitions(Some(vec![
                    TopicPartitions::default().with_topic_id(topic_id()).with_partitions(vec![0, 1]),
                ])),
        ),
        2 => body(version, ConsumerGroupDescribeRequest::default().with_group_ids(vec![group()])),
        3 => body(
            version,
            DescribeTopicPartitionsRequest::default()
                .with_topics(vec![TopicRequest::default().with_name(topic())])
                .with_response_partition_limit(1)
                .with_cursor(Some(Cursor::default().with_topic_name(topic()).with_partition_index(1))),
        ),
        4 => {
            let config =
                |name, value| AlterableConfig::default().with_name(text(name)).with_value(Some(text(value)));
            let configs = vec![
                config("cleanup.policy", "compact"),
                config("internal.segment.bytes", "2000").with_config_operation(0),
            ];
            let resource =
                AlterConfigsResource::default().with_resource_type(2).with_resource_name(text("t"));
            body(
                version,
                IncrementalAlterConfigsRequest::default()
                    .with_resources(vec![resource.with_configs(configs)]),
            )
        }
        5 => body(
            version,
            TxnOffsetCommitRequest::default().with_transactional_id(id()).with_group_id(group()).with_topics(
                vec![
                    TxnOffsetCommitRequestTopic::default().with_name(topic()).with_partitions(vec![commit()]),
                ],
            ),
        ),
        6 => body(
            version.min(3),
            AddPartitionsToTxnRequest::default()
                .with_v3_and_below_transactional_id(id())
                .with_v3_and_below_topics(vec![
                    AddPartitionsToTxnTopic::default().with_name(topic()).with_partitions(vec![0, 1]),
                ]),
        ),
        7 => body(
            version.max(4),
            AddPartitionsToTxnRequest::default().with_transactions(vec![
                AddPartitionsToTxnTransaction::default().with_transactional_id(id()).with_topics(vec![
                    AddPartitionsToTxnTopic::default().with_name(topic()).with_partitions(vec![0, 1]),
                ]),
            ]),
        ),
        8 => body(
            version,
            CreateAclsRequest::default().with_creations(vec![
                AclCreation::default()
                    .with_resource_type(2)
                    .with_resource_name(text("t"))
                    .with_resource_pattern_type(3)
                    .with_principal(text("User:u"))
                    .with_host(text("*"))
                    .with_operation(3)
                    .with_permission_type(3),
            ]),
        ),
        9 => body(
            version,
            AlterUserScramCredentialsRequest::default()
                .with_deletions(vec![
                    ScramCredentialDeletion::default().with_name(text("w")).with_mechanism(1),
                ])
                .with_upsertions(vec![
                    ScramCredentialUpsertion::default()
                        .with_name(text("v"))
                        .with_mechanism(1)
                        .with_iterations(4096)
                        .with_salt(Bytes::from_static(b"salt"))
                        .with_salted_password(Bytes::from_static(&[7; 32])),
                ]),
        ),
        10 => body(
            version,
            JoinGroupRequest::default()
                .with_group_id(group())
                .with_session_timeout_ms(10_000)
                .with_rebalance_timeout_ms(1)
                .with_protocol_type(text("consumer"))
                .with_protocols(vec![
                    JoinGroupRequestProtocol::default()
                        .with_name(text("range"))
                        .with_metadata(Bytes::from_static(b"\0\0\0\0\0\x01\0\x01t\0\0\0\0")),
                ]),
        ),
        11 => body(
            version.min(9),
            OffsetCommitRequest::default().with_group_id(group()).with_topics(vec![
                OffsetCommitRequestTopic::default()
                    .with_name(topic())
                    .with_partitions(vec![OffsetCommitRequestPartition::default().with_committed_offset(7)]),
            ]),
        ),
        12 => body(
            version.clamp(8, 9),
            OffsetFetchRequest::default().with_groups(vec![
                OffsetFetchRequestGroup::default().with_group_id(group()).with_topics(Some(vec![
                    OffsetFetchRequestTopics::default().with_name(topic()).with_partition_indexes(vec![0]),
                ])),
            ]),
        ),
        13 => {
            let partitions = [-1, -2, -3, 1_000]
                .iter()
                .map(|timestamp| ListOffsetsPartition::default().with_timestamp(*timestamp))
                .collect();
            body(
                version,
                ListOffsetsRequest::default().with_replica_id(BrokerId(-1)).with_topics(vec![
                    ListOffsetsTopic::default().with_name(topic()).with_partitions(partitions),
                ]),
            )
        }
        14 => {
            let config =
                CreatableTopicConfig::default().with_name(text("retention.ms")).with_value(Some(text("9")));
            body(
                version,
                CreateTopicsRequest::default().with_validate_only(true).with_topics(vec![
                    CreatableTopic::default()
                        .with_name(TopicName(text("n")))
                        .with_num_partitions(1)
                        .with_replication_factor(1)
                        .with_configs(vec![config]),
                ]),
            )
        }
        15 => body(
            version.max(13),
            FetchRequest::default()
                .with_max_bytes(1 << 20)
                .with_session_epoch(-1)
                .with_isolation_level(1)
                .with_topics(vec![FetchTopic::default().with_topic_id(topic_id()).with_partitions(vec![
                    FetchPartition::default().with_partition_max_bytes(1 << 20),
                    FetchPartition::default().with_partition(1).with_fetch_offset(1),
                ])]),
        ),
        16 | 17 => body(
            version.min(12),
            ProduceRequest::default()
                .with_transactional_id((kind % KINDS == 17).then(id))
                .with_acks(-1)
                .with_timeout_ms(10)
                .with_topic_data(vec![TopicProduceData::default().with_name(topic()).with_partition_data(
                    vec![PartitionProduceData::default().with_records(Some(batch(kind % KINDS == 17)))],
                )]),
        ),
        18 => body(
            version,
            WriteTxnMarkersRequest::default().with_markers(vec![WritableTxnMarker::default().with_topics(
                vec![WritableTxnMarkerTopic::default().with_name(topic()).with_partition_indexes(vec![0])],
            )]),
        ),
        19 => body(
            version,
            DeleteRecordsRequest::default().with_topics(vec![
                DeleteRecordsTopic::default()
                    .with_name(topic())
                    .with_partitions(vec![DeleteRecordsPartition::default().with_offset(-1)]),
            ]),
        ),
        20 => body(version, InitProducerIdRequest::default().with_transactional_id(Some(id()))),
        21 => body(version, EndTxnRequest::default().with_transactional_id(id()).with_committed(true)),
        22 => body(version, SaslHandshakeRequest::default().with_mechanism(text("SCRAM-SHA-256"))),
        23 => body(
            version,
            SaslAuthenticateRequest::default()
                .with_auth_bytes(Bytes::from_static(b"n,,n=u,r=fyko+d2lbbFgONRv9qkxdawL")),
        ),
        24 => body(version, SaslHandshakeRequest::default().with_mechanism(text("PLAIN"))),
        _ => body(version, SaslAuthenticateRequest::default().with_auth_bytes(Bytes::from_static(b"\0u\0p"))),
    }
}

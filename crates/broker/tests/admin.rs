//! Topics, configs and the cluster as admin clients see and change them, by raw requests.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed expectation fails the test")]

mod support;

use bd_broker::ResponseError as E;
use kafka_protocol::messages::alter_partition_reassignments_request::{
    ReassignablePartition, ReassignableTopic,
};
use kafka_protocol::messages::create_partitions_request::{
    CreatePartitionsAssignment, CreatePartitionsTopic,
};
use kafka_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::DescribeConfigsResourceResult;
use kafka_protocol::messages::describe_topic_partitions_request::{Cursor, TopicRequest};
use kafka_protocol::messages::elect_leaders_request::TopicPartitions;
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::*;
use kafka_protocol::protocol::StrBytes;
use support::raw::Raw;
use support::*;

const TOPIC: i8 = 2;
const BROKER: i8 = 4;

fn s(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn name(text: &str) -> TopicName {
    TopicName(s(text))
}

fn new_topic(topic: &str, partitions: i32, replicas: i16) -> CreatableTopic {
    CreatableTopic::default()
        .with_name(name(topic))
        .with_num_partitions(partitions)
        .with_replication_factor(replicas)
}

fn with_config(topic: CreatableTopic, key: &str, value: &str) -> CreatableTopic {
    let config = CreatableTopicConfig::default().with_name(s(key)).with_value(Some(s(value)));
    topic.with_configs(vec![config])
}

/// The code and text of one topic's creation.
fn create(raw: &mut Raw, topic: CreatableTopic) -> (i16, String) {
    let request = CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(1000);
    let answer: CreateTopicsResponse = raw.call(7, &request);
    let topic = &answer.topics[0];
    (topic.error_code, topic.error_message.as_ref().map(|m| m.to_string()).unwrap_or_default())
}

fn alter(raw: &mut Raw, kind: i8, resource: &str, op: i8, key: &str, value: Option<&str>) -> (i16, String) {
    let config =
        AlterableConfig::default().with_name(s(key)).with_config_operation(op).with_value(value.map(s));
    let resource = AlterConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(s(resource))
        .with_configs(vec![config]);
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
    let answer: IncrementalAlterConfigsResponse = raw.call(1, &request);
    let one = &answer.responses[0];
    (one.error_code, one.error_message.as_ref().map(|m| m.to_string()).unwrap_or_default())
}

fn describe(raw: &mut Raw, kind: i8, resource: &str, key: &str) -> Option<DescribeConfigsResourceResult> {
    let resource = DescribeConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(s(resource))
        .with_configuration_keys(Some(vec![s(key)]));
    let request = DescribeConfigsRequest::default()
        .with_resources(vec![resource])
        .with_include_synonyms(true)
        .with_include_documentation(true);
    let mut answer: DescribeConfigsResponse = raw.call(4, &request);
    answer.results.remove(0).configs.pop()
}

/// Value, source, and synonyms as `source:name=value`.
fn shown(raw: &mut Raw, kind: i8, resource: &str, key: &str) -> (String, i8, Vec<String>) {
    let config = describe(raw, kind, resource, key).unwrap();
    assert!(config.documentation.is_some_and(|doc| !doc.is_empty()), "{key} has no documentation");
    let synonym = |source: i8, name: &str, value: Option<&StrBytes>| {
        format!("{source}:{name}={}", value.map(|v| v.as_str()).unwrap_or("null"))
    };
    let synonyms = config.synonyms.iter().map(|y| synonym(y.source, &y.name, y.value.as_ref()));
    (config.value.unwrap_or_default().to_string(), config.config_source, synonyms.collect())
}

#[test]
fn what_kafka_refuses_to_create_is_refused_by_its_codes_and_texts() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let mut raw = Raw::connect(&server.address);
    assert_eq!(create(&mut raw, new_topic("a.b", -1, -1)), (0, String::new()));
    let registered = "The manual partition assignment includes broker 2, but no such broker is registered.";
    let assigned = |index: i32, broker: i32| {
        let assignment = CreatableReplicaAssignment::default()
            .with_partition_index(index)
            .with_broker_ids(vec![BrokerId(broker)]);
        new_topic("m", -1, -1).with_assignments(vec![assignment])
    };
    for (topic, code, text) in [
        (new_topic("a.b", 1, 1), E::TopicAlreadyExists, "Topic 'a.b' already exists."),
        (new_topic("a_b", 1, 1), E::InvalidTopicException, "Topic 'a_b' collides with existing topic: a.b"),
        (
            new_topic("a b", 1, 1),
            E::InvalidTopicException,
            "Topic name is invalid: 'a b' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'",
        ),
        (
            new_topic("r", 1, 0),
            E::InvalidReplicationFactor,
            "Replication factor must be larger than 0, or -1 to use the default value.",
        ),
        (
            new_topic("r", 0, 1),
            E::InvalidPartitions,
            "Number of partitions was set to an invalid non-positive value.",
        ),
        (
            with_config(new_topic("r", 1, 1), "retention.ms", "-2"),
            E::InvalidConfig,
            "Invalid value -2 for configuration retention.ms: Value must be at least -1",
        ),
        (with_config(new_topic("r", 1, 1), "foo", "1"), E::InvalidConfig, "Unknown topic config name: foo"),
        (assigned(0, 2), E::InvalidReplicaAssignment, registered),
        (
            assigned(1, 1),
            E::InvalidReplicaAssignment,
            "partitions should be a consecutive 0-based integer sequence",
        ),
        (
            new_topic("huge", 100_000, 1),
            E::PolicyViolation,
            "Excessively large number of partitions per request.",
        ),
    ] {
        assert_eq!(create(&mut raw, topic), (code.code(), text.to_owned()));
    }
    let (code, text) = create(&mut raw, new_topic("r", 1, 2));
    assert_eq!(code, E::InvalidReplicationFactor.code());
    assert!(text.starts_with("Unable to replicate the partition 2 time(s): The target replication factor"));
    assert_eq!(create(&mut raw, assigned(0, 1)), (0, String::new()));
}

#[test]
fn a_checked_creation_makes_nothing_and_a_real_one_tells_its_configs() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let mut raw = Raw::connect(&server.address);
    let topic = with_config(new_topic("t", 3, 1), "cleanup.policy", "compact, delete");
    let mut request = CreateTopicsRequest::default().with_topics(vec![topic]).with_validate_only(true);
    let answer: CreateTopicsResponse = raw.call(7, &request);
    assert_eq!((answer.topics[0].error_code, answer.topics[0].num_partitions), (0, 3));
    assert!(server.broker.topics().get("t").is_none());
    request.validate_only = false;
    let answer: CreateTopicsResponse = raw.call(7, &request);
    let configs = answer.topics[0].configs.as_ref().unwrap();
    let policy = configs.iter().find(|c| c.name.as_str() == "cleanup.policy").unwrap();
    assert_eq!((policy.value.as_ref().unwrap().as_str(), policy.config_source), ("compact,delete", 1));
    assert_eq!(answer.topics[0].topic_id, server.broker.topics().get("t").unwrap().id);
}

#[test]
fn a_thousand_topics_come_and_go_in_a_short_time_and_survive_a_start() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let mut raw = Raw::connect(&server.address);
    let begun = std::time::Instant::now();
    for i in 0..1000 {
        assert_eq!(create(&mut raw, new_topic(&format!("t{i}"), 1, 1)).0, 0);
    }
    assert!(begun.elapsed() < PATIENCE, "1000 topics took {:?}", begun.elapsed());
    let ids: Vec<_> = server.broker.topics().all().iter().map(|t| t.id).collect();
    server.stop();
    let server = start(dir.path());
    let after: Vec<_> = server.broker.topics().all().iter().map(|t| t.id).collect();
    assert_eq!(ids, after);
    let mut raw = Raw::connect(&server.address);
    let states = ids.iter().map(|id| DeleteTopicState::default().with_name(None).with_topic_id(*id));
    let request = DeleteTopicsRequest::default().with_topics(states.collect()).with_timeout_ms(1000);
    let answer: DeleteTopicsResponse = raw.call(6, &request);
    assert!(answer.responses.iter().all(|r| r.error_code == 0));
    assert!(server.broker.topics().all().is_empty());
}

#[test]
fn a_deleted_topic_comes_back_empty_and_its_files_go_after_the_delay() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let mut raw = Raw::connect(&server.address);
    create(&mut raw, with_config(new_topic("t", 1, 1), "file.delete.delay.ms", "0"));
    server.send("t", "old");
    server.broker.topics().delete("t").unwrap();
    create(&mut raw, new_topic("t", 1, 1));
    server.send("t", "new");
    assert_eq!(server.read_all("read_uncommitted", "t"), ["new"]);
    let removed = || {
        let entries = std::fs::read_dir(dir.path()).unwrap();
        entries.flatten().all(|e| !e.file_name().to_string_lossy().ends_with("-delete"))
    };
    until("the folder of the deleted topic is gone", removed);
}

#[test]
fn partitions_are_added_under_kafkas_rules() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let mut raw = Raw::connect(&server.address);
    create(&mut raw, new_topic("t", 2, 1));
    let mut add = |count: i32, brokers: Option<Vec<i32>>, only_check: bool| {
        let assignments = brokers.map(|brokers| {
            let assign = |id| CreatePartitionsAssignment::default().with_broker_ids(vec![BrokerId(id)]);
            brokers.into_iter().map(assign).collect()
        });
        let topic = CreatePartitionsTopic::default()
            .with_name(name("t"))
            .with_count(count)
            .with_assignments(assignments);
        let request =
            CreatePartitionsRequest::default().with_topics(vec![topic]).with_validate_only(only_check);
        let answer: CreatePartitionsResponse = raw.call(3, &request);
        let result = &answer.results[0];
        (result.error_code, result.error_message.as_ref().map(|m| m.to_string()).unwrap_or_default())
    };
    assert_eq!(add(2, None, false).1, "Topic already has 2 partition(s).");
    assert_eq!(
        add(1, None, false).1,
        "The topic t currently has 2 partition(s); 1 would not be an increase."
    );
    assert_eq!(add(3, Some(vec![2]), false).0, E::InvalidReplicaAssignment.code());
    assert_eq!(
        add(3, Some(vec![1, 1]), false).1,
        "Attempted to add 1 additional partition(s), but only 2 assignment(s) were specified."
    );
    assert_eq!(add(3, None, true).0, 0);
    assert_eq!(server.broker.topics().get("t").unwrap().partition_count(), 2);
    assert_eq!(add(3, Some(vec![1]), false).0, 0);
    assert_eq!(server.broker.topics().get("t").unwrap().partition_count(), 3);
}

#[test]
fn a_value_says_where_it_comes_from_and_what_would_be_in_force_without_it() {
    let dir = tempfile::tempdir().unwrap();
    let server = start_with(dir.path(), |config| config.set("log.segment.bytes", "2000000").unwrap());
    let mut raw = Raw::connect(&server.address);
    create(&mut raw, new_topic("t", 1, 1));
    let key = "segment.bytes";
    let fixed = ["4:log.segment.bytes=2000000", "5:log.segment.bytes=1073741824"];
    assert_eq!(shown(&mut raw, TOPIC, "t", key), ("2000000".into(), 4, fixed.map(String::from).to_vec()));
    assert_eq!(alter(&mut raw, BROKER, "", 0, "log.segment.bytes", Some("3000000")).0, 0);
    assert_eq!(shown(&mut raw, TOPIC, "t", key).1, 3);
    assert_eq!(alter(&mut raw, BROKER, "1", 0, "log.segment.bytes", Some("4000000")).0, 0);
    assert_eq!(alter(&mut raw, TOPIC, "t", 0, key, Some("5000000")).0, 0);
    let (value, source, synonyms) = shown(&mut raw, TOPIC, "t", key);
    assert_eq!((value.as_str(), source), ("5000000", 1));
    assert_eq!(
        synonyms[..3],
        ["1:segment.bytes=5000000", "2:log.segment.bytes=4000000", "3:log.segment.bytes=3000000"]
    );
    let kept = ["3:min.insync.replicas=1", "5:min.insync.replicas=1"].map(String::from).to_vec();
    assert_eq!(shown(&mut raw, TOPIC, "t", "min.insync.replicas"), ("1".into(), 3, kept), "KIP-966");
    let bytes =
        |server: &TestBroker| server.broker.topics().partition("t", 0).unwrap().log().config().segment_bytes;
    assert_eq!(bytes(&server), 5_000_000);
    assert_eq!(alter(&mut raw, TOPIC, "t", 1, key, None).0, 0);
    assert_eq!(bytes(&server), 4_000_000);
    server.stop();
    let server = start(dir.path());
    assert_eq!(bytes(&server), 4_000_000, "what was set is there after a start");
}

#[test]
fn lists_grow_and_shrink_and_what_cannot_change_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let mut raw = Raw::connect(&server.address);
    create(&mut raw, new_topic("t", 1, 1));
    assert_eq!(alter(&mut raw, TOPIC, "t", 2, "cleanup.policy", Some("compact")).0, 0);
    assert_eq!(shown(&mut raw, TOPIC, "t", "cleanup.policy").0, "delete,compact");
    assert_eq!(alter(&mut raw, TOPIC, "t", 3, "cleanup.policy", Some("delete")).0, 0);
    assert_eq!(shown(&mut raw, TOPIC, "t", "cleanup.policy").0, "compact");
    for (kind, resource, op, key, value, code, text) in [
        (
            TOPIC,
            "t",
            2,
            "retention.ms",
            "5",
            E::InvalidConfig,
            "Can't APPEND to key retention.ms because its type is not LIST.",
        ),
        (
            TOPIC,
            "none",
            0,
            "retention.ms",
            "5",
            E::UnknownTopicOrPartition,
            "The topic 'none' does not exist.",
        ),
        (
            BROKER,
            "1",
            0,
            "num.partitions",
            "3",
            E::InvalidRequest,
            "Cannot update these configs dynamically: [num.partitions]",
        ),
        (BROKER, "", 0, "foo", "3", E::InvalidConfig, "Unknown broker config name: foo"),
        (
            BROKER,
            "2",
            0,
            "log.retention.ms",
            "3",
            E::InvalidRequest,
            "Unexpected broker id, expected 1, but received 2",
        ),
        (
            TOPIC,
            "t",
            0,
            "remote.storage.enable",
            "true",
            E::InvalidConfig,
            "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage.",
        ),
    ] {
        let refused = alter(&mut raw, kind, resource, op, key, Some(value));
        assert_eq!(refused, (code.code(), text.to_owned()));
    }
}

#[test]
fn topics_are_described_in_pages() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let mut raw = Raw::connect(&server.address);
    create(&mut raw, new_topic("a", 3, 1));
    create(&mut raw, new_topic("b", 2, 1));
    let mut seen = Vec::new();
    let mut cursor = None;
    loop {
        let request = DescribeTopicPartitionsRequest::default()
            .with_topics(["a", "b", "none"].map(|t| TopicRequest::default().with_name(name(t))).to_vec())
            .with_response_partition_limit(2)
            .with_cursor(cursor.clone());
        let answer: DescribeTopicPartitionsResponse = raw.call(0, &request);
        for topic in &answer.topics {
            let indexes: Vec<i32> = topic.partitions.iter().map(|p| p.partition_index).collect();
            seen.push((topic.name.clone().unwrap().to_string(), topic.error_code, indexes));
        }
        let Some(next) = answer.next_cursor else { break };
        let partition = next.partition_index;
        cursor = Some(Cursor::default().with_topic_name(next.topic_name).with_partition_index(partition));
    }
    let page = |topic: &str, code: i16, indexes: &[i32]| (topic.to_owned(), code, indexes.to_vec());
    let unknown = E::UnknownTopicOrPartition.code();
    assert_eq!(
        seen,
        [
            page("a", 0, &[0, 1]),
            page("a", 0, &[2]),
            page("b", 0, &[0]),
            page("b", 0, &[1]),
            page("none", unknown, &[])
        ]
    );
}

#[test]
fn one_node_answers_what_is_asked_of_clusters() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let mut raw = Raw::connect(&server.address);
    create(&mut raw, new_topic("t", 1, 1));
    server.send("t", "x");
    let wanted = TopicPartitions::default().with_topic(name("t")).with_partitions(vec![0, 9]);
    let request = ElectLeadersRequest::default().with_topic_partitions(Some(vec![wanted]));
    let answer: ElectLeadersResponse = raw.call(2, &request);
    let codes: Vec<i16> =
        answer.replica_election_results[0].partition_result.iter().map(|p| p.error_code).collect();
    assert_eq!(codes, [E::ElectionNotNeeded.code(), E::UnknownTopicOrPartition.code()]);
    for (broker, code) in [(1, 0), (2, E::InvalidReplicaAssignment.code())] {
        let partition = ReassignablePartition::default().with_replicas(Some(vec![BrokerId(broker)]));
        let topic = ReassignableTopic::default().with_name(name("t")).with_partitions(vec![partition]);
        let request = AlterPartitionReassignmentsRequest::default().with_topics(vec![topic]);
        let answer: AlterPartitionReassignmentsResponse = raw.call(0, &request);
        assert_eq!(answer.responses[0].partitions[0].error_code, code);
    }
    let answer: DescribeLogDirsResponse = raw.call(4, &DescribeLogDirsRequest::default().with_topics(None));
    let partition = &answer.results[0].topics[0].partitions[0];
    assert!(partition.partition_size > 0 && answer.results[0].usable_bytes > 0);
    let answer: DescribeQuorumResponse = raw.call(
        2,
        &DescribeQuorumRequest::default().with_topics(vec![
            describe_quorum_request::TopicData::default()
                .with_topic_name(name("__cluster_metadata"))
                .with_partitions(vec![describe_quorum_request::PartitionData::default()]),
        ]),
    );
    assert_eq!(answer.topics[0].partitions[0].leader_id, BrokerId(1));
    let versions: ApiVersionsResponse = raw.call(
        4,
        &ApiVersionsRequest::default()
            .with_client_software_name(s("test"))
            .with_client_software_version(s("1")),
    );
    assert!(versions.finalized_features.iter().any(|f| f.name.as_str() == "metadata.version"));
    for version in [0, 1, 2] {
        let update = |feature: &str, level: i16| {
            let update = update_features_request::FeatureUpdateKey::default()
                .with_feature(s(feature))
                .with_max_version_level(level);
            UpdateFeaturesRequest::default().with_feature_updates(vec![update])
        };
        let level = versions.finalized_features.iter().find(|f| f.name.as_str() == "group.version").unwrap();
        let answer: UpdateFeaturesResponse =
            raw.call(version, &update("group.version", level.max_version_level));
        assert_eq!((answer.error_code, answer.results.len()), (0, usize::from(version < 2)));
        let answer: UpdateFeaturesResponse = raw.call(version, &update("no.such", 1));
        assert_eq!((answer.error_code, answer.results.len()), (E::InvalidUpdateVersion.code(), 0));
    }
}

#[test]
fn metadata_creates_topics_only_where_it_is_allowed_to() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let mut raw = Raw::connect(&server.address);
    let mut ask = |topic: &str, create: bool| {
        let wanted = MetadataRequestTopic::default().with_name(Some(name(topic)));
        let request = MetadataRequest::default()
            .with_topics(Some(vec![wanted]))
            .with_allow_auto_topic_creation(create)
            .with_include_topic_authorized_operations(true);
        let mut answer: MetadataResponse = raw.call(13, &request);
        answer.topics.remove(0)
    };
    assert_eq!(ask("t", false).error_code, E::UnknownTopicOrPartition.code());
    assert_eq!(ask("a b", true).error_code, E::InvalidTopicException.code());
    let made = ask("t", true);
    assert_eq!((made.error_code, made.partitions.len()), (0, 1));
    assert_eq!(made.topic_authorized_operations, 0b1101_1111_1000);
}

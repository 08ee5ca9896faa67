//! Topics: created, described, deleted, never by accident.

use super::Setup;
use super::support::{Must, append_values, new_topic, plain_writer, unique};
use crate::{ClusterError, NewTopic, OffsetSpec, TopicInfo, TopicPartition};

/// A created topic is described with its partitions, and listed among all topics by name.
pub fn a_created_topic_is_described_and_listed(setup: &Setup) {
    let cluster = setup.cluster();
    let topic = NewTopic::new(unique("described"), 3).with("retention.ms", "86400000");
    cluster.create_topic(&topic).must("create topic with a config");
    let expected = TopicInfo { name: topic.name.clone(), partitions: 3 };
    assert_eq!(cluster.topic(&topic.name).must("describe"), Some(expected.clone()));
    let all = setup.cluster().topics().must("list topics");
    assert!(all.contains(&expected), "{} is not among {all:?}", topic.name);
    assert!(all.is_sorted_by(|a, b| a.name < b.name), "topics are not sorted by name: {all:?}");
    assert!(!all.iter().any(|t| t.name.starts_with("__")), "the cluster's own topics are listed: {all:?}");
    for partition in 0..3 {
        let partition = TopicPartition::new(topic.name.as_str(), partition);
        assert_eq!(
            cluster.offset(&partition, OffsetSpec::Latest),
            Ok(0),
            "{partition} cannot be read at once"
        );
    }
}

/// Creating a topic that is there fails and changes nothing.
pub fn creating_a_topic_twice_fails(setup: &Setup) {
    let cluster = setup.cluster();
    let name = new_topic(&*cluster, "twice", 1);
    assert_eq!(cluster.create_topic(&NewTopic::new(&name, 2)), Err(ClusterError::TopicExists(name.clone())));
    assert_eq!(cluster.topic(&name).must("describe").map(|t| t.partitions), Some(1));
}

/// Kafka's rules for names, partitions and configs hold.
pub fn bad_topic_names_partitions_and_configs_are_refused(setup: &Setup) {
    let cluster = setup.cluster();
    for name in ["", ".", "..", "with space", "slash/ed", "ümlaut", &"x".repeat(250)] {
        let result = cluster.create_topic(&NewTopic::new(name, 1));
        assert!(matches!(result, Err(ClusterError::InvalidTopic { .. })), "name {name:?}: {result:?}");
    }
    for partitions in [0, -2] {
        let name = unique("partitions");
        let result = cluster.create_topic(&NewTopic::new(&name, partitions));
        assert!(
            matches!(result, Err(ClusterError::InvalidTopic { .. })),
            "{partitions} partitions: {result:?}"
        );
        assert_eq!(cluster.topic(&name), Ok(None));
    }
    for (key, value) in [("no.such.config", "1"), ("retention.ms", "soon"), ("cleanup.policy", "burn")] {
        let name = unique("config");
        let result = cluster.create_topic(&NewTopic::new(&name, 1).with(key, value));
        assert!(
            matches!(&result, Err(ClusterError::InvalidConfig { key: k, .. }) if k == key),
            "config {key}={value}: {result:?}"
        );
        assert_eq!(cluster.topic(&name), Ok(None));
    }
}

/// Describing, looking up offsets and writing fail on an unknown topic or partition and do not create it.
pub fn a_topic_is_not_created_by_asking_or_writing(setup: &Setup) {
    let cluster = setup.cluster();
    let name = unique("unknown");
    let partition = TopicPartition::new(name.as_str(), 0);
    let unknown = |e: &ClusterError| matches!(e, ClusterError::UnknownTopic(_));
    assert_eq!(cluster.topic(&name), Ok(None));
    for spec in [OffsetSpec::Earliest, OffsetSpec::Latest, OffsetSpec::Stable, OffsetSpec::AtTime(0)] {
        let result = cluster.offset(&partition, spec);
        assert!(result.as_ref().is_err_and(unknown), "{spec:?}: {result:?}");
    }
    let result = cluster.trim(&partition, 0);
    assert!(result.as_ref().is_err_and(unknown), "trim: {result:?}");
    let result = cluster.delete_topic(&name);
    assert!(result.as_ref().is_err_and(unknown), "delete: {result:?}");

    let written = |to: &TopicPartition| {
        let mut writer = plain_writer(&*cluster);
        writer.append(to, super::support::values(&["lost"])).and_then(|ack| ack.wait(setup.wait()))
    };
    let result = written(&partition);
    assert!(result.as_ref().is_err_and(unknown), "append: {result:?}");
    assert_eq!(cluster.topic(&name), Ok(None), "the topic was created by writing to it");

    let missing = TopicPartition::new(new_topic(&*cluster, "one", 1), 1);
    let result = cluster.offset(&missing, OffsetSpec::Latest);
    assert!(result.as_ref().is_err_and(unknown), "offset of a partition that is not there: {result:?}");
    let result = written(&missing);
    assert!(result.as_ref().is_err_and(unknown), "append to a partition that is not there: {result:?}");
}

/// A deleted topic is gone when `delete_topic` returns, and a new one of that name is empty.
pub fn a_deleted_topic_is_gone_and_can_be_created_empty_again(setup: &Setup) {
    let cluster = setup.cluster();
    let name = new_topic(&*cluster, "deleted", 1);
    let partition = TopicPartition::new(name.as_str(), 0);
    append_values(setup, &mut *plain_writer(&*cluster), &partition, &["a", "b"]);
    cluster.delete_topic(&name).must("delete");
    assert_eq!(cluster.topic(&name), Ok(None));
    assert!(!cluster.topics().must("list topics").iter().any(|t| t.name == name), "{name} is still listed");

    cluster.create_topic(&NewTopic::new(&name, 2)).must("create again");
    assert_eq!(cluster.topic(&name).must("describe").map(|t| t.partitions), Some(2));
    assert_eq!(cluster.offset(&partition, OffsetSpec::Latest), Ok(0), "the new topic has old records");
    let written = append_values(setup, &mut *plain_writer(&*cluster), &partition, &["c"]);
    assert_eq!(written.base_offset, 0);
}

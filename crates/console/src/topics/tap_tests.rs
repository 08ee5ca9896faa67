use super::*;
use bd_broker::{Broker, BrokerConfig};
use bd_cluster::{NewTopic, RecordsBuilder, WriterConfig};
use bd_cluster_embedded::EmbeddedCluster;

const TOPIC: &str = "actions";

fn topics() -> Vec<String> {
    vec![TOPIC.to_owned()]
}

fn cluster(dir: &tempfile::TempDir) -> EmbeddedCluster {
    EmbeddedCluster::new(Broker::open(BrokerConfig::new(dir.path())).unwrap())
}

fn append(cluster: &EmbeddedCluster, count: usize, timestamp: i64) {
    let mut records = RecordsBuilder::new();
    (0..count).for_each(|_| records.push(None, Some(b"{}"), timestamp, &[]));
    let mut writer = cluster.open_writer(WriterConfig::default()).unwrap();
    writer.append(&TopicPartition::new(TOPIC, 0), records).unwrap().wait(Duration::from_secs(10)).unwrap();
}

fn seen(tap: &Tap) -> f64 {
    tap.counts.lock()[TOPIC].seen
}

/// Turns until so many records were seen.
fn until(tap: &Tap, tapping: &mut Tapping, wanted: f64) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while seen(tap) < wanted {
        assert!(Instant::now() < deadline, "{} of {wanted} records were seen", seen(tap));
        tap.turn(tapping);
    }
}

#[test]
fn records_are_counted_from_when_the_console_started() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = cluster(&dir);
    let tap = Tap::new(topics());
    let mut tapping = Tapping::new(Arc::new(cluster.clone()));
    tap.turn(&mut tapping);
    assert_eq!(tap.now(&topics(), TopicMetric::Rate), Err(topics()));

    cluster.create_topic(&NewTopic::new(TOPIC, 1)).unwrap();
    append(&cluster, 30, 5_000);
    // Looks for topics that were not there come once a second.
    tapping.looked = None;
    until(&tap, &mut tapping, 30.0);
    append(&cluster, 7, 5_000);
    until(&tap, &mut tapping, 37.0);
    assert_eq!(seen(&tap), 37.0);
    let age = tap.now(&topics(), TopicMetric::Age).unwrap().unwrap();
    assert!((now_ms() as f64 - age).abs() < 10_000.0, "{age} is the time of appending, not the record's own");
}

#[test]
fn what_was_there_before_is_not_counted_but_tells_the_time_of_the_newest_record() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = cluster(&dir);
    cluster.create_topic(&NewTopic::new(TOPIC, 1)).unwrap();
    append(&cluster, 200, 5_000);
    let tap = Tap::new(topics());
    let mut tapping = Tapping::new(Arc::new(cluster.clone()));
    tap.turn(&mut tapping);
    assert_eq!(seen(&tap), 0.0);
    assert_eq!(tap.now(&topics(), TopicMetric::Age), Ok(Some(5_000.0)));
    assert_eq!(tap.now(&topics(), TopicMetric::Records), Ok(Some(200.0)));
}

#[test]
fn markers_of_transactions_are_no_records() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = cluster(&dir);
    cluster.create_topic(&NewTopic::new(TOPIC, 1)).unwrap();
    let tap = Tap::new(topics());
    let mut tapping = Tapping::new(Arc::new(cluster.clone()));
    tap.turn(&mut tapping);
    let config = WriterConfig { transactional_id: Some("t".into()), ..WriterConfig::default() };
    let mut writer = cluster.open_writer(config).unwrap();
    for _ in 0..5 {
        let mut records = RecordsBuilder::new();
        records.push(None, Some(b"{}"), 1, &[]);
        writer.append(&TopicPartition::new(TOPIC, 0), records).unwrap();
        writer.commit(&[], None).unwrap();
    }
    until(&tap, &mut tapping, 5.0);
    tap.turn(&mut tapping);
    assert_eq!(seen(&tap), 5.0);
    assert!(cluster.offset(&TopicPartition::new(TOPIC, 0), OffsetSpec::Latest).unwrap() >= 10);
}

#[test]
fn of_a_topic_that_is_too_fast_records_are_skipped_and_estimated() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = cluster(&dir);
    cluster.create_topic(&NewTopic::new(TOPIC, 1)).unwrap();
    let tap = Tap::new(topics());
    let mut tapping = Tapping::new(Arc::new(cluster.clone()));
    tap.turn(&mut tapping);
    let count = usize::try_from(MAX_BEHIND).unwrap() + 5_000;
    append(&cluster, count, 1);
    until(&tap, &mut tapping, count as f64);
    assert_eq!(seen(&tap), count as f64);
}

#[test]
fn a_rate_is_that_of_the_last_seconds() {
    let mut count = Count { exists: true, ..Count::default() };
    for second in 0..10 {
        count.seen = f64::from(second) * 50.0;
        count.sample(i64::from(second) * 1000);
    }
    assert_eq!(count.rate(), Some(50.0));
    for second in 10..20 {
        count.sample(second * 1000);
    }
    assert_eq!(count.rate(), Some(0.0));
    assert!(count.recent.len() <= 5);
    assert_eq!(count.history.len(), 20);
}

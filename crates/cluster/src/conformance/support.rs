//! What the behaviours share: names of their own, writing and reading with bounded waits, failures that say what was awaited.

use super::Setup;
use crate::{
    Ack, Cluster, Isolation, NewTopic, OffsetSpec, Reader, ReaderConfig, Records, RecordsBuilder,
    TopicPartition, Writer, WriterConfig, Written,
};
use std::fmt::Debug;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// How long one `poll` or `next` waits: short, so that a failed condition is noticed soon.
pub(super) const STEP: Duration = Duration::from_millis(100);

/// An arbitrary time, ms since epoch.
pub(super) const T0: i64 = 1_612_223_747_000;

/// A result that must be `Ok`.
pub(super) trait Must<T> {
    /// The value; panics with `what` was tried and the error.
    fn must(self, what: &str) -> T;
}

impl<T, E: Debug> Must<T> for Result<T, E> {
    #[track_caller]
    fn must(self, what: &str) -> T {
        match self {
            Ok(value) => value,
            Err(e) => panic!("{what}: {e:?}"),
        }
    }
}

/// A name that no other test, run or process has.
pub(super) fn unique(what: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_micros();
    format!("conformance-{what}-{}-{now:x}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A new topic that keeps its records, old as their timestamps are.
#[track_caller]
pub(super) fn new_topic(cluster: &dyn Cluster, what: &str, partitions: i32) -> String {
    let name = unique(what);
    cluster.create_topic(&NewTopic::new(&name, partitions).with("retention.ms", "-1")).must("create topic");
    name
}

/// Partition 0 of a new topic of one partition.
#[track_caller]
pub(super) fn new_partition(cluster: &dyn Cluster, what: &str) -> TopicPartition {
    TopicPartition::new(new_topic(cluster, what, 1), 0)
}

/// A writer without transactions.
#[track_caller]
pub(super) fn plain_writer(cluster: &dyn Cluster) -> Box<dyn Writer> {
    cluster
        .open_writer(WriterConfig { client_id: "conformance".into(), ..Default::default() })
        .must("open writer")
}

/// A writer with transactions of `id`.
#[track_caller]
pub(super) fn transactional_writer(cluster: &dyn Cluster, id: &str) -> Box<dyn Writer> {
    let config = WriterConfig {
        transactional_id: Some(id.into()),
        client_id: "conformance".into(),
        ..Default::default()
    };
    cluster.open_writer(config).must("open transactional writer")
}

/// Records with these values, no key, times `T0`, `T0 + 1`, ...
pub(super) fn values(values: &[&str]) -> RecordsBuilder {
    let mut records = RecordsBuilder::new();
    for (i, value) in values.iter().enumerate() {
        records.push(None, Some(value.as_bytes()), T0 + i as i64, &[]);
    }
    records
}

/// Appends and waits for the answer.
#[track_caller]
pub(super) fn append(
    setup: &Setup,
    writer: &mut dyn Writer,
    to: &TopicPartition,
    records: RecordsBuilder,
) -> Written {
    let ack: Ack = writer.append(to, records).must("append");
    ack.wait(setup.wait()).must("acknowledgement of append")
}

/// Appends records of these values and waits for the answer.
#[track_caller]
pub(super) fn append_values(
    setup: &Setup,
    writer: &mut dyn Writer,
    to: &TopicPartition,
    of: &[&str],
) -> Written {
    append(setup, writer, to, values(of))
}

/// One record, owned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Got {
    pub(super) offset: i64,
    pub(super) timestamp: i64,
    pub(super) key: Option<Vec<u8>>,
    pub(super) value: Option<Vec<u8>>,
    pub(super) headers: Vec<(String, Option<Vec<u8>>)>,
}

/// The rows of `records`, after checking that its columns agree with each other.
#[track_caller]
pub(super) fn rows(records: &Records) -> Vec<Got> {
    let n = records.len();
    assert_eq!(
        (records.timestamps.len(), records.keys.len(), records.values.len()),
        (n, n, n),
        "columns differ"
    );
    assert!(
        records.header_ends.is_empty() || records.header_ends.len() == n,
        "header_ends has another length"
    );
    assert!(records.offsets.is_sorted_by(|a, b| a < b), "offsets do not ascend: {:?}", records.offsets);
    if let Some(last) = records.offsets.last() {
        assert!(records.next_offset > *last, "next_offset {} after offset {last}", records.next_offset);
    }
    let header =
        |h: crate::HeaderRef<'_>| (String::from_utf8_lossy(h.name).into_owned(), h.value.map(<[u8]>::to_vec));
    let row = |(i, r): (usize, crate::RecordRef<'_>)| Got {
        offset: r.offset,
        timestamp: r.timestamp,
        key: r.key.map(<[u8]>::to_vec),
        value: r.value.map(<[u8]>::to_vec),
        headers: records.headers(i).map(header).collect(),
    };
    records.iter().enumerate().map(row).collect()
}

/// The values as text, null as `-`.
pub(super) fn texts(rows: &[Got]) -> Vec<String> {
    let text = |v: &Vec<u8>| String::from_utf8_lossy(v).into_owned();
    rows.iter().map(|r| r.value.as_ref().map_or("-".into(), text)).collect()
}

/// A reader without partitions.
#[track_caller]
pub(super) fn reader(cluster: &dyn Cluster, isolation: Isolation) -> Box<dyn Reader> {
    cluster.open_reader(ReaderConfig { isolation, client_id: "conformance".into() }).must("open reader")
}

/// A reader of one partition from an offset on.
#[track_caller]
pub(super) fn reader_at(
    cluster: &dyn Cluster,
    isolation: Isolation,
    of: &TopicPartition,
    offset: i64,
) -> Box<dyn Reader> {
    let mut reader = reader(cluster, isolation);
    reader.assign(of, offset).must("assign");
    reader
}

/// A bound in time for a loop over something that should happen.
pub(super) struct Deadline {
    until: Instant,
    what: String,
}

impl Deadline {
    /// From now on for the setup's wait; `what` is awaited.
    pub(super) fn new(setup: &Setup, what: impl Into<String>) -> Self {
        Self { until: Instant::now() + setup.wait(), what: what.into() }
    }

    /// Panics when the time is over, with `state` as it is now.
    #[track_caller]
    pub(super) fn check(&self, state: impl FnOnce() -> String) {
        assert!(Instant::now() < self.until, "waited in vain for {}; now: {}", self.what, state());
    }
}

/// Polls until there are records (or only a new position), of any partition.
#[track_caller]
pub(super) fn poll_some(setup: &Setup, reader: &mut dyn Reader, max_bytes: usize, what: &str) -> Records {
    let deadline = Deadline::new(setup, what);
    loop {
        if let Some(records) = reader.poll(max_bytes, STEP).must(what) {
            return records;
        }
        deadline.check(|| "poll gives None".into());
    }
}

/// Reads one partition, the reader's only one, until its position reaches `end`.
#[track_caller]
pub(super) fn read_to(setup: &Setup, reader: &mut dyn Reader, of: &TopicPartition, end: i64) -> Vec<Got> {
    let deadline = Deadline::new(setup, format!("{of} read to offset {end}"));
    let mut got = Vec::new();
    while reader.position(of).unwrap_or(-1) < end {
        if let Some(records) = reader.poll(1 << 20, STEP).must("poll") {
            assert_eq!(&records.partition, of, "records of a partition that was not assigned");
            got.extend(rows(&records));
            assert_eq!(
                reader.position(of),
                Some(records.next_offset),
                "position is not the last next_offset"
            );
        }
        deadline.check(|| format!("position {:?}, {} records read", reader.position(of), got.len()));
    }
    got
}

/// All records of a partition that a new reader sees up to the end (committed: the last stable offset).
#[track_caller]
pub(super) fn read_all(
    setup: &Setup,
    cluster: &dyn Cluster,
    isolation: Isolation,
    of: &TopicPartition,
) -> Vec<Got> {
    let spec = match isolation {
        Isolation::ReadCommitted => OffsetSpec::Stable,
        Isolation::ReadUncommitted => OffsetSpec::Latest,
    };
    let start = cluster.offset(of, OffsetSpec::Earliest).must("earliest offset");
    let end = cluster.offset(of, spec).must("end offset");
    let mut reader = reader_at(cluster, isolation, of, start);
    read_to(setup, &mut *reader, of, end)
}

/// Waits until no transaction is open in a partition, and gives its end. A commit that was answered is decided; a real
/// cluster makes it visible a moment later, when it has written the markers.
#[track_caller]
pub(super) fn settled(setup: &Setup, cluster: &dyn Cluster, of: &TopicPartition) -> i64 {
    let deadline = Deadline::new(setup, format!("{of} without an open transaction"));
    loop {
        let [stable, latest] =
            [OffsetSpec::Stable, OffsetSpec::Latest].map(|spec| cluster.offset(of, spec).must("offset"));
        assert!(stable <= latest, "the stable offset {stable} lies past the end {latest} of {of}");
        if stable == latest {
            return latest;
        }
        deadline.check(|| format!("stable {stable}, latest {latest}"));
    }
}

/// The committed values of a partition in which nothing is open, as text.
#[track_caller]
pub(super) fn settled_texts(setup: &Setup, cluster: &dyn Cluster, of: &TopicPartition) -> Vec<String> {
    settled(setup, cluster, of);
    committed_texts(setup, cluster, of)
}

/// The committed values of a partition as of now, as text.
#[track_caller]
pub(super) fn committed_texts(setup: &Setup, cluster: &dyn Cluster, of: &TopicPartition) -> Vec<String> {
    texts(&read_all(setup, cluster, Isolation::ReadCommitted, of))
}

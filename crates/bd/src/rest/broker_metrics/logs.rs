//! Topics, partitions, their logs, fsyncs and compaction.

use super::requests::histogram;
use crate::rest::metrics::{Page, label, labels};
use bd_broker::{CleanerSnapshot, HistogramSnapshot, LogsSnapshot, PartitionSnapshot, TopicSnapshot};

pub(super) fn topics(page: &mut Page, topics: &[TopicSnapshot]) {
    let mut each = |name: &str, kind: &str, help: &str, value: fn(&TopicSnapshot) -> u64| {
        page.family(name, kind, help, topics.iter().map(|t| (label("topic", &t.topic), value(t))));
    };
    each("bd_topic_messages_in_total", "counter", "Records appended (MessagesInPerSec by topic)", |t| {
        t.messages_in
    });
    each("bd_topic_bytes_in_total", "counter", "Bytes appended (BytesInPerSec by topic)", |t| t.bytes_in);
    each("bd_topic_bytes_out_total", "counter", "Bytes sent to readers (BytesOutPerSec by topic)", |t| {
        t.bytes_out
    });
    each("bd_topic_partitions", "gauge", "Partitions", |t| t.partitions);
    each("bd_topic_log_bytes", "gauge", "Bytes on disk (Log Size by topic)", |t| t.log_bytes);
}

pub(super) fn partitions(page: &mut Page, partitions: &[PartitionSnapshot]) {
    let of = |p: &PartitionSnapshot| labels(&[("topic", &p.topic), ("partition", &p.partition.to_string())]);
    let mut each = |name: &str, help: &str, value: fn(&PartitionSnapshot) -> i64| {
        page.family(name, "gauge", help, partitions.iter().map(|p| (of(p), value(p))));
    };
    each("bd_partition_log_start_offset", "First offset that can be read (Log LogStartOffset)", |p| {
        p.start_offset
    });
    each("bd_partition_log_end_offset", "Offset of the next record (Log LogEndOffset)", |p| p.end_offset);
    each("bd_partition_log_bytes", "Bytes of the log's segments (Log Size)", |p| {
        i64::try_from(p.log_bytes).unwrap_or(i64::MAX)
    });
}

pub(super) fn logs(page: &mut Page, logs: &LogsSnapshot) {
    let all: [(&str, &str, u64); 10] = [
        ("bd_broker_topics", "Topics, internal ones too (KafkaController GlobalTopicCount)", logs.topics),
        (
            "bd_broker_partitions",
            "Partitions, all led by this node (ReplicaManager PartitionCount and LeaderCount)",
            logs.partitions,
        ),
        (
            "bd_broker_under_min_isr_partitions",
            "Partitions with fewer replicas than min.insync.replicas, which refuse acks=all: there is one replica \
             (ReplicaManager UnderMinIsrPartitionCount)",
            logs.under_min_insync,
        ),
        (
            "bd_broker_at_min_isr_partitions",
            "Partitions with just min.insync.replicas replicas (ReplicaManager AtMinIsrPartitionCount)",
            logs.at_min_insync,
        ),
        (
            "bd_broker_offline_partitions",
            "Partitions that take no writes since a write or an fsync failed, until a restart (KafkaController \
             OfflinePartitionsCount)",
            logs.offline,
        ),
        (
            "bd_broker_offline_log_directories",
            "1 while there are such partitions: the data folder's disk has failed (LogManager OfflineLogDirectoryCount)",
            u64::from(logs.offline > 0),
        ),
        (
            "bd_broker_logs_at_rest",
            "Logs that nobody uses: no file is open, only offsets are in memory",
            logs.at_rest,
        ),
        ("bd_broker_open_log_files", "Files that logs hold open", logs.open_files),
        (
            "bd_broker_producer_ids",
            "Producer ids that the logs in use know of (ReplicaManager ProducerIdCount)",
            logs.producer_ids,
        ),
        (
            "bd_broker_late_transaction_partitions",
            "Partitions with a transaction open for longer than transaction.max.timeout.ms and 5 minutes \
             (ReplicaManager PartitionsWithLateTransactionsCount)",
            logs.late_transactions,
        ),
    ];
    for (name, help, value) in all {
        page.family(name, "gauge", help, [(String::new(), value)]);
    }
}

pub(super) fn flushes(page: &mut Page, flushes: &HistogramSnapshot) {
    let help = "How long fsyncs of logs took, each for all that waited (LogFlushStats LogFlushRateAndTimeMs)";
    histogram(page, "bd_broker_log_flush_seconds", help, std::iter::once((String::new(), flushes)));
}

pub(super) fn cleaner(page: &mut Page, cleaner: &CleanerSnapshot) {
    let mut gauge =
        |name: &str, help: &str, value: f64| page.family(name, "gauge", help, [(String::new(), value)]);
    gauge(
        "bd_cleaner_max_dirty_percent",
        "Uncompacted part of the dirtiest log that the last round found due (LogCleanerManager max-dirty-percent)",
        cleaner.max_dirty_ratio * 100.0,
    );
    gauge(
        "bd_cleaner_seconds_since_last_run",
        "Since the last round ended; -1 before the first (LogCleanerManager time-since-last-run-ms)",
        cleaner.last_round.map_or(-1.0, |at| at.elapsed().as_secs_f64()),
    );
    gauge(
        "bd_cleaner_max_clean_seconds",
        "The longest compaction of the last round (LogCleaner max-clean-time-secs)",
        cleaner.max_clean_time.as_secs_f64(),
    );
    gauge(
        "bd_cleaner_recopy_percent",
        "Bytes left by bytes read in the last round (LogCleaner cleaner-recopy-percent)",
        cleaner.recopy_ratio * 100.0,
    );
    gauge(
        "bd_cleaner_uncleanable_partitions",
        "Logs that cannot be compacted, tried again after 15 minutes (LogCleanerManager uncleanable-partitions-count)",
        cleaner.uncleanable as f64,
    );
    let mut counter =
        |name: &str, help: &str, value: u64| page.family(name, "counter", help, [(String::new(), value)]);
    counter("bd_cleaner_compactions_total", "Logs compacted", cleaner.compactions);
    counter("bd_cleaner_records_removed_total", "Records that compaction dropped", cleaner.records_removed);
}

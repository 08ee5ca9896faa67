//! What the embedded log counts, with the name that Kafka's operators know it by.

mod coordinators;
mod logs;
mod process;
mod requests;

use super::metrics::Page;
use bd_broker::{Broker, CountersSnapshot};

/// All of it as Prometheus text.
pub(crate) fn broker_metrics(broker: &Broker) -> String {
    let mut page = Page::default();
    let counters = broker.counters().snapshot();
    totals(&mut page, &counters);
    sessions(&mut page, broker);
    requests::requests(&mut page, &counters.requests);
    logs::topics(&mut page, &broker.topic_snapshots());
    logs::partitions(&mut page, &broker.partition_snapshots());
    logs::logs(&mut page, &broker.logs_snapshot());
    logs::flushes(&mut page, &counters.flushes);
    logs::cleaner(&mut page, &broker.cleaner_snapshot());
    coordinators::groups(&mut page, &broker.groups_snapshot());
    coordinators::lags(&mut page, &broker.lag_snapshots());
    coordinators::coordinated(&mut page, &counters.coordinated);
    process::process(&mut page);
    page.text
}

fn totals(page: &mut Page, counters: &CountersSnapshot) {
    let all: [(&str, &str, &str, u64); 12] = [
        (
            "bd_broker_messages_in_total",
            "counter",
            "Records appended, those of internal topics too (BrokerTopicMetrics MessagesInPerSec)",
            counters.messages_in,
        ),
        (
            "bd_broker_bytes_in_total",
            "counter",
            "Bytes of record batches appended (BrokerTopicMetrics BytesInPerSec)",
            counters.bytes_in,
        ),
        (
            "bd_broker_bytes_out_total",
            "counter",
            "Bytes of record batches sent to readers (BrokerTopicMetrics BytesOutPerSec)",
            counters.bytes_out,
        ),
        (
            "bd_broker_failed_produce_partitions_total",
            "counter",
            "Partitions of Produce requests answered by an error (BrokerTopicMetrics FailedProduceRequestsPerSec)",
            counters.failed_produce,
        ),
        (
            "bd_broker_failed_fetch_partitions_total",
            "counter",
            "Partitions of Fetch requests answered by an error (BrokerTopicMetrics FailedFetchRequestsPerSec)",
            counters.failed_fetch,
        ),
        (
            "bd_broker_flush_requests_total",
            "counter",
            "Appends that waited for an fsync; many share one",
            counters.flush_requests,
        ),
        (
            "bd_broker_connections",
            "gauge",
            "Connections that are open (socket-server-metrics connection-count)",
            counters.connections,
        ),
        (
            "bd_broker_connections_accepted_total",
            "counter",
            "Connections accepted (socket-server-metrics connection-creation-total)",
            counters.connections_accepted,
        ),
        (
            "bd_broker_connections_refused_total",
            "counter",
            "Connections closed at once because of max.connections.per.ip",
            counters.connections_refused,
        ),
        (
            "bd_broker_authentications_total",
            "counter",
            "Logins by SASL that succeeded, renewed ones too (Kafka: successful-authentication-total)",
            counters.authentications,
        ),
        (
            "bd_broker_failed_authentications_total",
            "counter",
            "Logins by SASL that failed (Kafka: failed-authentication-total)",
            counters.failed_authentications,
        ),
        (
            "bd_broker_malformed_requests_total",
            "counter",
            "Requests that cannot be answered, for which the connection was closed",
            counters.malformed_requests,
        ),
    ];
    for (name, kind, help, value) in all {
        page.family(name, kind, help, [(String::new(), value)]);
    }
}

fn sessions(page: &mut Page, broker: &Broker) {
    let sessions = broker.fetch_sessions_snapshot();
    let mut one = |name: &str, kind: &str, help: &str, value: u64| {
        page.family(name, kind, help, [(String::new(), value)])
    };
    one(
        "bd_broker_fetch_sessions",
        "gauge",
        "Incremental fetch sessions (FetchSessionCache NumIncrementalFetchSessions)",
        sessions.sessions,
    );
    one(
        "bd_broker_fetch_session_partitions",
        "gauge",
        "Partitions in them (FetchSessionCache NumIncrementalFetchPartitionsCached)",
        sessions.partitions,
    );
    one(
        "bd_broker_fetch_session_evictions_total",
        "counter",
        "Sessions that made room for others (FetchSessionCache IncrementalFetchSessionEvictionsPerSec)",
        sessions.evictions,
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use bd_broker::BrokerConfig;

    #[test]
    fn every_family_is_in_the_documentation_and_every_one_there_is_given() {
        let dir = tempfile::tempdir().unwrap();
        let broker = Broker::open(BrokerConfig::new(dir.path())).unwrap();
        let text = broker_metrics(&broker);
        let mut given: Vec<&str> =
            text.lines().filter_map(|line| line.strip_prefix("# HELP ")?.split_whitespace().next()).collect();
        given.sort_unstable();
        let docs = include_str!("../../../../../docs/metrics.md");
        let quoted = docs.split('`').skip(1).step_by(2);
        let mut told: Vec<&str> = quoted
            .filter(|name| name.starts_with("bd_") || *name != "process_" && name.starts_with("process_"))
            .collect();
        told.sort_unstable();
        told.dedup();
        assert_eq!(given, told);
        broker.close().unwrap();
    }
}

//! What the embedded log counts, with the name that Kafka's operators know it by.

use super::metrics::{Page, label};
use bd_broker::{ApiSnapshot, Broker, CountersSnapshot, HistogramSnapshot, TIME_BUCKETS_US, TopicSnapshot};
use std::fmt::Write;

/// All of it as Prometheus text.
pub(crate) fn broker_metrics(broker: &Broker) -> String {
    let mut page = Page::default();
    let counters = broker.counters().snapshot();
    totals(&mut page, &counters);
    sessions(&mut page, broker);
    requests(&mut page, &counters.requests);
    topics(&mut page, &broker.topic_snapshots());
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

fn requests(page: &mut Page, apis: &[ApiSnapshot]) {
    let of = |api: &ApiSnapshot| label("api", &format!("{:?}", api.api));
    let mut each = |name: &str, help: &str, value: fn(&ApiSnapshot) -> u64| {
        page.family(name, "counter", help, apis.iter().map(|api| (of(api), value(api))));
    };
    each("bd_broker_requests_total", "Requests by API (RequestMetrics RequestsPerSec)", |api| api.requests);
    each("bd_broker_request_bytes_total", "Bytes of requests by API (RequestMetrics RequestBytes)", |api| {
        api.request_bytes
    });
    each("bd_broker_response_bytes_total", "Bytes of answers by API (RequestMetrics ResponseBytes)", |api| {
        api.response_bytes
    });
    let total = "From a request's last byte until its answer is handed to the system, waiting for records or an fsync \
                 included (RequestMetrics TotalTimeMs)";
    histograms(page, "bd_broker_request_seconds", total, apis, |api| &api.total);
    let send =
        "From when an answer is known until it is handed to the system (RequestMetrics ResponseSendTimeMs)";
    histograms(page, "bd_broker_response_send_seconds", send, apis, |api| &api.send);
}

fn histograms(
    page: &mut Page,
    name: &str,
    help: &str,
    apis: &[ApiSnapshot],
    of: fn(&ApiSnapshot) -> &HistogramSnapshot,
) {
    // Writing to a String cannot fail.
    let _ = writeln!(page.text, "# HELP {name} {help}\n# TYPE {name} histogram");
    for api in apis {
        let (histogram, key) = (of(api), format!("{:?}", api.api));
        let mut so_far = 0;
        for (i, n) in histogram.buckets.iter().enumerate() {
            so_far += n;
            let bound = TIME_BUCKETS_US.get(i).map_or("+Inf".to_owned(), |us| (*us as f64 / 1e6).to_string());
            let _ = writeln!(page.text, "{name}_bucket{{api=\"{key}\",le=\"{bound}\"}} {so_far}");
        }
        let seconds = histogram.sum_us as f64 / 1e6;
        let _ = writeln!(
            page.text,
            "{name}_sum{{api=\"{key}\"}} {seconds}\n{name}_count{{api=\"{key}\"}} {so_far}"
        );
    }
}

fn topics(page: &mut Page, topics: &[TopicSnapshot]) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histograms_are_cumulative_and_end_with_all() {
        let histogram = HistogramSnapshot { buckets: vec![1; TIME_BUCKETS_US.len() + 1], sum_us: 2_500_000 };
        let api = ApiSnapshot {
            api: bd_broker::ApiKey::Fetch,
            requests: 15,
            request_bytes: 1,
            response_bytes: 2,
            total: histogram.clone(),
            send: histogram,
        };
        let mut page = Page::default();
        requests(&mut page, &[api]);
        for line in [
            "bd_broker_requests_total{api=\"Fetch\"} 15",
            "bd_broker_request_seconds_bucket{api=\"Fetch\",le=\"0.00025\"} 1",
            "bd_broker_request_seconds_bucket{api=\"Fetch\",le=\"30\"} 14",
            "bd_broker_request_seconds_bucket{api=\"Fetch\",le=\"+Inf\"} 15",
            "bd_broker_request_seconds_sum{api=\"Fetch\"} 2.5",
            "bd_broker_request_seconds_count{api=\"Fetch\"} 15",
        ] {
            assert!(page.text.lines().any(|l| l == line), "{line} in\n{}", page.text);
        }
    }
}

//! Requests by API: how many, how large, how long.

use crate::rest::metrics::{Page, label, labels};
use bd_broker::{ApiSnapshot, HistogramSnapshot, TIME_BUCKETS_US, error_name};
use std::fmt::Write;

pub(super) fn requests(page: &mut Page, apis: &[ApiSnapshot]) {
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
    errors(page, apis);
    let total = "From a request's last byte until its answer is handed to the system, waiting for records or an fsync \
                 included (RequestMetrics TotalTimeMs)";
    histograms(page, "bd_broker_request_seconds", total, apis, |api| &api.total);
    let queue = "From a request's last byte until work on it begins: those before it on its connection are answered first \
                 (RequestMetrics RequestQueueTimeMs)";
    histograms(page, "bd_broker_request_queue_seconds", queue, apis, |api| &api.queue);
    let local = "From then until it is answered or waits for the first time (RequestMetrics LocalTimeMs)";
    histograms(page, "bd_broker_request_local_seconds", local, apis, |api| &api.local);
    let remote = "Waiting for an fsync, records, other members of a group or a thread for what blocks, until the answer is known \
                  (RequestMetrics RemoteTimeMs)";
    histograms(page, "bd_broker_request_remote_seconds", remote, apis, |api| &api.remote);
    let send =
        "From when an answer is known until it is handed to the system (RequestMetrics ResponseSendTimeMs)";
    histograms(page, "bd_broker_response_send_seconds", send, apis, |api| &api.send);
}

fn errors(page: &mut Page, apis: &[ApiSnapshot]) {
    let help = "Error codes answered by API, NONE too: an answer has one for each partition, topic, group or the like \
                (RequestMetrics ErrorsPerSec)";
    let each = apis.iter().flat_map(|api| {
        let of = move |code| labels(&[("api", &format!("{:?}", api.api)), ("error", &error_name(code))]);
        api.errors.iter().map(move |(code, times)| (of(*code), times))
    });
    page.family("bd_broker_request_errors_total", "counter", help, each);
}

fn histograms(
    page: &mut Page,
    name: &str,
    help: &str,
    apis: &[ApiSnapshot],
    of: fn(&ApiSnapshot) -> &HistogramSnapshot,
) {
    let of = apis.iter().map(|api| (format!("api=\"{:?}\"", api.api), of(api)));
    histogram(page, name, help, of);
}

/// A family of histograms, each with its label or none.
pub(super) fn histogram<'a>(
    page: &mut Page,
    name: &str,
    help: &str,
    histograms: impl Iterator<Item = (String, &'a HistogramSnapshot)>,
) {
    // Writing to a String cannot fail.
    let _ = writeln!(page.text, "# HELP {name} {help}\n# TYPE {name} histogram");
    for (label, histogram) in histograms {
        let (comma, own) = match label.is_empty() {
            true => ("", String::new()),
            false => (",", format!("{{{label}}}")),
        };
        let mut so_far = 0;
        for (i, n) in histogram.buckets.iter().enumerate() {
            so_far += n;
            let bound = TIME_BUCKETS_US.get(i).map_or("+Inf".to_owned(), |us| (*us as f64 / 1e6).to_string());
            let _ = writeln!(page.text, "{name}_bucket{{{label}{comma}le=\"{bound}\"}} {so_far}");
        }
        let seconds = histogram.sum_us as f64 / 1e6;
        let _ = writeln!(page.text, "{name}_sum{own} {seconds}\n{name}_count{own} {so_far}");
    }
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
            errors: vec![(-1, 1), (0, 14), (6, 2)],
            total: histogram.clone(),
            queue: histogram.clone(),
            local: histogram.clone(),
            remote: histogram.clone(),
            send: histogram,
        };
        let mut page = Page::default();
        requests(&mut page, &[api]);
        for line in [
            "bd_broker_requests_total{api=\"Fetch\"} 15",
            "bd_broker_request_errors_total{api=\"Fetch\",error=\"UNKNOWN_SERVER_ERROR\"} 1",
            "bd_broker_request_errors_total{api=\"Fetch\",error=\"NONE\"} 14",
            "bd_broker_request_errors_total{api=\"Fetch\",error=\"NOT_LEADER_OR_FOLLOWER\"} 2",
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

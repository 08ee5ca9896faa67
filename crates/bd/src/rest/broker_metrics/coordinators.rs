//! Groups, their lag, and transactions.

use crate::rest::metrics::{Page, labels};
use bd_broker::{Coordinated, GroupsSnapshot, LagSnapshot};

pub(super) fn groups(page: &mut Page, groups: &[GroupsSnapshot]) {
    let of = |g: &GroupsSnapshot| labels(&[("protocol", g.protocol), ("state", g.state)]);
    let help = "Groups by protocol and state (group-coordinator-metrics group-count, consumer-group-count)";
    page.family("bd_groups", "gauge", help, groups.iter().map(|g| (of(g), g.groups)));
}

pub(super) fn lags(page: &mut Page, lags: &[LagSnapshot]) {
    let of = |l: &LagSnapshot| {
        labels(&[("group", &l.group), ("topic", &l.topic), ("partition", &l.partition.to_string())])
    };
    let mut each = |name: &str, help: &str, value: fn(&LagSnapshot) -> i64| {
        page.family(name, "gauge", help, lags.iter().map(|l| (of(l), value(l))));
    };
    each("bd_group_committed_offset", "Offset that a group has committed", |l| l.committed);
    let help = "Offsets from the one committed to the high watermark, as kafka-consumer-groups shows LAG";
    each("bd_group_lag", help, |l| l.lag);
}

pub(super) fn coordinated(page: &mut Page, counted: &[(Coordinated, u64)]) {
    for (what, n) in counted {
        let (name, help) = match what {
            Coordinated::ClassicRebalance => (
                "bd_groups_classic_rebalances_total",
                "Rebalances of classic groups that came to their end (group-coordinator-metrics \
                 group-completed-rebalance-count)",
            ),
            Coordinated::ConsumerRebalance => (
                "bd_groups_consumer_rebalances_total",
                "New epochs of groups of the consumer protocol (group-coordinator-metrics consumer-group-rebalance-count)",
            ),
            Coordinated::OffsetCommit => (
                "bd_groups_offset_commits_total",
                "Offsets committed (group-coordinator-metrics offset-commit-count)",
            ),
            Coordinated::OffsetExpiration => (
                "bd_groups_offset_expirations_total",
                "Offsets expired after offsets.retention.minutes (group-coordinator-metrics offset-expiration-count)",
            ),
            Coordinated::OffsetDeletion => (
                "bd_groups_offset_deletions_total",
                "Offsets deleted (group-coordinator-metrics offset-deletion-count)",
            ),
            Coordinated::TxnCommit => ("bd_transactions_committed_total", "Transactions committed"),
            Coordinated::TxnAbort => {
                ("bd_transactions_aborted_total", "Transactions aborted, for any reason")
            }
            Coordinated::TxnTimeout => (
                "bd_transactions_timed_out_total",
                "Transactions aborted because they lasted longer than their timeout",
            ),
        };
        page.family(name, "counter", help, [(String::new(), n)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lag_is_labelled_by_group_topic_and_partition_with_quotes_escaped() {
        let mut page = Page::default();
        let lag = LagSnapshot { group: "a\"b".into(), topic: "t".into(), partition: 3, committed: 5, lag: 2 };
        lags(&mut page, &[lag]);
        let expected = "bd_group_lag{group=\"a\\\"b\",topic=\"t\",partition=\"3\"} 2";
        assert!(page.text.lines().any(|l| l == expected), "{}", page.text);
    }
}

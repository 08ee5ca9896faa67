//! Broker settings of Kafka that tools change while a broker runs and that have no object here. They are checked, kept and shown,
//! so that such a tool goes on; nothing depends on them.

use super::BrokerSetting;
use crate::configs::def::{Kind, Rule};

const fn moot(
    name: &'static str,
    kind: Kind,
    rule: Rule,
    default: Option<&'static str>,
    doc: &'static str,
) -> BrokerSetting {
    BrokerSetting { name, kind, rule, default, dynamic: true, get: None, set: None, log: None, doc }
}

const fn threads(name: &'static str, default: &'static str, doc: &'static str) -> BrokerSetting {
    moot(name, Kind::Int, Rule::AtLeast(1), Some(default), doc)
}

const fn rate(name: &'static str, doc: &'static str) -> BrokerSetting {
    moot(name, Kind::Long, Rule::AtLeast(0), None, doc)
}

/// All of them, by name.
pub(crate) static SETTINGS: &[BrokerSetting] = &[
    threads("background.threads", "10", "Threads for background tasks; here they are not set apart."),
    rate(
        "follower.replication.throttled.rate",
        "Bytes per second of throttled followers; one node has none.",
    ),
    rate(
        "leader.replication.throttled.rate",
        "Bytes per second of throttled leaders; one node replicates nothing.",
    ),
    threads("log.cleaner.threads", "1", "Threads of compaction; there is one."),
    threads("num.io.threads", "8", "Threads that answer requests; their number is fixed."),
    threads(
        "num.network.threads",
        "3",
        "Threads that serve connections; their number is fixed at the start.",
    ),
    threads("num.recovery.threads.per.data.dir", "2", "Threads that recover logs; their number is fixed."),
    threads("num.replica.fetchers", "1", "Threads that replicate; one node replicates nothing."),
    rate(
        "replica.alter.log.dirs.io.max.bytes.per.second",
        "Bytes per second of moves between log folders; there is one folder.",
    ),
    moot(
        "sasl.kerberos.min.time.before.relogin",
        Kind::Long,
        Rule::Any,
        Some("60000"),
        "How often a Kerberos login may be renewed; there is no Kerberos.",
    ),
];

//! The one table of keys: parsing, `--set`, environment, the JSON Schema and `bd config --docs` all read it.

/// What a key's value looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Any text.
    Text,
    /// `true` or `false`.
    Boolean,
    /// A whole number within these bounds.
    Integer(u64, u64),
    /// A list of files.
    Files,
    /// A mapping of names to texts.
    Properties,
    /// The topics to be created.
    Topics,
    /// The connectors to be there.
    Connectors,
}

/// A key of the pipeline file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key {
    /// Its full name: what stands before the last group's dot is where it is written in the file.
    pub(crate) path: &'static str,
    /// Its value.
    pub(crate) kind: Kind,
    /// What holds where it is not set; empty: nothing, as the documentation says.
    pub(crate) default: &'static str,
    /// What it does, one line.
    pub(crate) doc: &'static str,
}

const fn key(path: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Key {
    Key { path, kind, default, doc }
}

/// Mappings of the file that only hold other keys.
pub(crate) const GROUPS: &[(&str, &str)] = &[
    ("roles", "Where each role is: `embedded`, or the keys of the real one"),
    ("roles.cluster", "A Kafka cluster in place of the embedded log"),
    ("roles.registry", "A schema registry in place of the embedded one"),
    ("roles.engine", "Streaming SQL in another process"),
    ("roles.connect", "A Connect worker in another process"),
    ("roles.search", "Elasticsearch or OpenSearch in place of the embedded search"),
    ("engine", "How streaming SQL runs"),
    ("registry", "The schema registry"),
    ("connect", "How connectors run"),
    ("search", "How the embedded search runs"),
    ("console", "The console"),
    ("metrics", "Metrics for Prometheus"),
];

const EMBEDDED: Kind = Kind::Choice(&["embedded"]);

/// All keys.
pub(crate) const KEYS: &[Key] = &[
    key("roles.cluster", EMBEDDED, "embedded", "The log: `embedded`, or the keys of a Kafka cluster"),
    key(
        "roles.cluster.bootstrap",
        Kind::Text,
        "",
        "host:port of a Kafka cluster, several separated by commas; takes the place of the embedded log",
    ),
    key(
        "roles.cluster.properties",
        Kind::Properties,
        "{}",
        "librdkafka's properties for that cluster, such as security.protocol",
    ),
    key("roles.registry", EMBEDDED, "embedded", "Schemas: `embedded`, or where the registry is"),
    key(
        "roles.registry.url",
        Kind::Text,
        "",
        "http(s)://[user:password@]host:port of a registry that speaks Confluent's REST",
    ),
    key(
        "roles.registry.properties",
        Kind::Properties,
        "{}",
        "How that registry is asked, by the names of Confluent's clients: basic.auth.user.info, bearer.auth.token, ssl.ca.location",
    ),
    key("roles.engine", EMBEDDED, "embedded", "Streaming SQL: `embedded`, or where it is"),
    key("roles.engine.url", Kind::Text, "", "http://host:port of ksqlDB's REST, for the console"),
    key("roles.connect", EMBEDDED, "embedded", "Connectors: `embedded`, or where their worker is"),
    key("roles.connect.url", Kind::Text, "", "http://host:port of Kafka Connect's REST, for the console"),
    key("roles.search", EMBEDDED, "embedded", "Search: `embedded`, or where Elasticsearch or OpenSearch is"),
    key(
        "roles.search.url",
        Kind::Text,
        "",
        "http(s)://host:port of Elasticsearch or OpenSearch; `${role:search}` in connectors stands for it",
    ),
    key("roles.search.username", Kind::Text, "", "The user for HTTP basic authentication there"),
    key("roles.search.password", Kind::Text, "", "Its password"),
    key("roles.search.api_key", Kind::Text, "", "Or an API key, in its encoded form"),
    key("roles.console", EMBEDDED, "embedded", "The console: dashboards, topics, connectors, queries"),
    key("data", Kind::Text, "./data", "Where embedded roles keep their data; relative to the current folder"),
    key(
        "listeners",
        Kind::Text,
        "127.0.0.1:9092",
        "[NAME://]host:port on which the embedded log speaks the Kafka protocol, several separated by commas; without a name it is \
         PLAINTEXT, without a host all addresses, port 0 takes any free one",
    ),
    key(
        "advertised.listeners",
        Kind::Text,
        "",
        "[NAME://]host:port that Kafka clients are told to connect to, for each listener; by default the listener's own",
    ),
    key(
        "listener.security.protocol.map",
        Kind::Text,
        "",
        "NAME:PROTOCOL of listeners, separated by commas: PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL; by default a listener is \
         named after its protocol",
    ),
    key(
        "sasl.enabled.mechanisms",
        Kind::Text,
        "SCRAM-SHA-256,SCRAM-SHA-512",
        "How clients may log in on SASL listeners: these and PLAIN, separated by commas",
    ),
    key(
        "users",
        Kind::Properties,
        "{}",
        "Users of the embedded log and their passwords, for all mechanisms; others are made by AlterUserScramCredentials \
         (kafka-configs.sh --alter --entity-type users)",
    ),
    key(
        "authorizer",
        Kind::Choice(&["auto", "on", "off"]),
        "auto",
        "Whether ACLs decide what users may do, denying by default; auto: where a listener asks for a login",
    ),
    key("super.users", Kind::Text, "", "Who may do everything, separated by semicolons: User:admin;User:ops"),
    key(
        "allow.everyone.if.no.acl.found",
        Kind::Boolean,
        "false",
        "Whether everybody may do everything to resources that no ACL is about",
    ),
    key(
        "ssl.keystore.location",
        Kind::Text,
        "",
        "The file with the certificate chain and the private key of SSL and SASL_SSL listeners; read again when it changes",
    ),
    key(
        "ssl.keystore.certificate.chain",
        Kind::Text,
        "",
        "Or the certificate chain alone: PEM text, or a file",
    ),
    key("ssl.keystore.key", Kind::Text, "", "And its private key, not encrypted: PEM text, or a file"),
    key("ssl.keystore.type", Kind::Choice(&["PEM"]), "PEM", "The format of these"),
    key(
        "ssl.enabled.protocols",
        Kind::Text,
        "TLSv1.2,TLSv1.3",
        "Versions of TLS that are spoken, separated by commas",
    ),
    key(
        "ssl.client.auth",
        Kind::Choice(&["none"]),
        "none",
        "Whether clients show a certificate: they are not asked for one",
    ),
    key(
        "connections.max.reauth.ms",
        Kind::Integer(0, 1 << 31),
        "0",
        "How long a login lasts; then the client must log in again, or is disconnected; 0: for ever",
    ),
    key(
        "connection.failed.authentication.delay.ms",
        Kind::Integer(0, 60_000),
        "100",
        "How long the answer to a failed login is held up",
    ),
    key(
        "sasl.server.max.receive.size",
        Kind::Integer(1_024, 1 << 30),
        "524288",
        "The longest request before login, bytes",
    ),
    key(
        "flush",
        Kind::Choice(&["group", "always", "os"]),
        "group",
        "When the embedded log fsyncs: group: before an acknowledgement, shared by those who wait; always: each append by itself; \
         os: when the system likes, as Kafka does, so that power loss takes the last seconds",
    ),
    key(
        "auto.create.topics.enable",
        Kind::Boolean,
        "true",
        "Whether Kafka clients create topics by asking for them",
    ),
    key(
        "num.partitions",
        Kind::Integer(1, 10_000),
        "1",
        "Partitions of topics that are created without a number",
    ),
    key(
        "broker",
        Kind::Properties,
        "{}",
        "More of the embedded log's settings, under Kafka's names, such as log.retention.ms or message.max.bytes",
    ),
    key(
        "topics",
        Kind::Topics,
        "{}",
        "Topics by name, created where absent: `partitions` and Kafka's topic configs",
    ),
    key(
        "sql",
        Kind::Files,
        "[]",
        "SQL files, applied in order at every start; relative to the pipeline file",
    ),
    key(
        "connectors",
        Kind::Connectors,
        "{}",
        "Connectors by name, created or changed at every start: Kafka Connect's keys. In values, `${role:NAME}` is where a role \
         is, `${env:NAME}` an environment variable, `${file:PATH:KEY}` a line of a properties file",
    ),
    key(
        "dashboards",
        Kind::Files,
        "[]",
        "Dashboards (YAML), or folders of them; relative to the pipeline file",
    ),
    key(
        "engine.listener",
        Kind::Text,
        "127.0.0.1:8088",
        "host:port of streaming SQL's REST interface; port 0 takes any free one",
    ),
    key(
        "engine.commit.interval.ms",
        Kind::Integer(1, 3_600_000),
        "100",
        "The time between barriers: how long results take to become visible",
    ),
    key(
        "engine.batch.rows",
        Kind::Integer(1, 1 << 31),
        "",
        "Cut what is read into batches of so many rows; by default as much as a read gives",
    ),
    key(
        "engine.poll.bytes",
        Kind::Integer(1, 1 << 30),
        "1048576",
        "At most about so many bytes of a partition are read at once",
    ),
    key(
        "registry.listener",
        Kind::Text,
        "127.0.0.1:8081",
        "[http(s)://]host:port of the schema registry's REST interface; port 0 takes any free one",
    ),
    key(
        "registry.authentication.method",
        Kind::Choice(&["auto", "NONE", "BASIC", "BEARER"]),
        "auto",
        "How those who ask the registry say who they are; auto: by users and tokens that are set, else everybody may do everything; \
         with BASIC or BEARER nothing starts without users or tokens",
    ),
    key(
        "registry.users",
        Kind::Properties,
        "{}",
        "Who may ask the registry, and their passwords (basic authentication)",
    ),
    key("registry.tokens", Kind::Properties, "{}", "Or by a token (bearer): names and their tokens"),
    key(
        "registry.roles",
        Kind::Properties,
        "{}",
        "What these may do there: read, write (register, too) or admin (all; what holds without a role); ANONYMOUS is who says nothing",
    ),
    key(
        "registry.ssl.keystore.location",
        Kind::Text,
        "",
        "The registry's own certificate chain and private key, where its listener is https://; by default the one of \
         ssl.keystore.*; read again when it changes",
    ),
    key(
        "registry.ssl.keystore.certificate.chain",
        Kind::Text,
        "",
        "Or the certificate chain alone: PEM text, or a file",
    ),
    key(
        "registry.ssl.keystore.key",
        Kind::Text,
        "",
        "And its private key, not encrypted: PEM text, or a file",
    ),
    key("registry.kafkastore.topic", Kind::Text, "_schemas", "The topic that holds the schemas"),
    key(
        "registry.schema.compatibility.level",
        Kind::Text,
        "backward",
        "What a new schema must fit where neither its subject nor the registry has a level: none, backward, forward, full, \
         backward_transitive, forward_transitive, full_transitive",
    ),
    key(
        "registry.mode.mutability",
        Kind::Boolean,
        "true",
        "Whether requests may change modes (READONLY, READWRITE, IMPORT)",
    ),
    key(
        "registry.leader.eligibility",
        Kind::Boolean,
        "true",
        "Whether this registry writes; false: it reads what others write to the topic, and refuses all changes",
    ),
    key(
        "connect.listener",
        Kind::Text,
        "127.0.0.1:8083",
        "host:port of Kafka Connect's REST interface; port 0 takes any free one",
    ),
    key(
        "connect.group.id",
        Kind::Text,
        "connect-cluster",
        "The worker's name on the cluster, as `group.id` of Kafka Connect",
    ),
    key(
        "search.listener",
        Kind::Text,
        "127.0.0.1:9200",
        "host:port of Elasticsearch's REST interface; port 0 takes any free one",
    ),
    key(
        "search.refresh.interval.ms",
        Kind::Integer(1, 3_600_000),
        "1000",
        "How long a document waits at most until searches see it",
    ),
    key(
        "console.listener",
        Kind::Text,
        "127.0.0.1:8080",
        "[http(s)://]host:port of the console; port 0 takes any free one",
    ),
    key(
        "metrics.listener",
        Kind::Text,
        "127.0.0.1:9464",
        "[http(s)://]host:port of /metrics of all roles of this process; port 0 takes any free one",
    ),
];

/// The keys of all listeners.
pub(crate) const LISTENERS: [&str; 7] = [
    "listeners",
    "registry.listener",
    "connect.listener",
    "engine.listener",
    "search.listener",
    "console.listener",
    "metrics.listener",
];

/// The key of that name.
pub(crate) fn find(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|k| k.path == path)
}

/// Whether it is a mapping of other keys.
pub(crate) fn is_group(path: &str) -> bool {
    GROUPS.iter().any(|(g, _)| *g == path)
}

/// The keys and groups directly in a group (`""`: at the top), without the group's name.
pub(crate) fn members(group: &str) -> Vec<&'static str> {
    let mut members: Vec<&'static str> = Vec::new();
    for path in KEYS.iter().map(|k| k.path).chain(GROUPS.iter().map(|(g, _)| *g)) {
        if group_of(path) == group && !members.contains(&path) {
            members.push(path);
        }
    }
    let skip = if group.is_empty() { 0 } else { group.len() + 1 };
    members.iter().map(|path| &path[skip..]).collect()
}

/// The innermost group that a key stands in.
pub(crate) fn group_of(path: &str) -> &'static str {
    let holds = |g: &str| path.strip_prefix(g).is_some_and(|rest| rest.starts_with('.'));
    GROUPS.iter().map(|(g, _)| *g).filter(|g| holds(g)).max_by_key(|g| g.len()).unwrap_or("")
}

/// The environment variable of a key.
pub(crate) fn variable(path: &str) -> String {
    format!("BD_{}", path.to_ascii_uppercase().replace(['.', '-'], "_"))
}

/// The name nearest to a wrong one, if it may be a slip of it.
pub(crate) fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_ascii_lowercase();
    let best = candidates
        .into_iter()
        .map(|c| (bd_sql::edit_distance(&lower, &c.to_ascii_lowercase()), c))
        .min_by_key(|(d, _)| *d)?;
    let limit = (name.chars().count() / 3).max(2);
    (best.0 <= limit).then_some(best.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_in_a_group_that_exists_and_has_a_word_of_documentation() {
        for key in KEYS {
            assert!(!key.doc.is_empty(), "{}", key.path);
            assert!(KEYS.iter().filter(|k| k.path == key.path).count() == 1, "{} twice", key.path);
        }
        assert_eq!(members("roles"), ["cluster", "registry", "engine", "connect", "search", "console"]);
        assert_eq!(members("roles.cluster"), ["bootstrap", "properties"]);
        assert!(members("").contains(&"engine") && members("").contains(&"advertised.listeners"));
    }

    #[test]
    fn the_nearest_key_is_a_slip_away() {
        let all = || KEYS.iter().map(|k| k.path);
        assert_eq!(nearest("lisners", all()), Some("listeners"));
        assert_eq!(nearest("engine.comit.interval.ms", all()), Some("engine.commit.interval.ms"));
        assert_eq!(nearest("zzzzzz", all()), None);
    }
}

use super::settings::{Origin, Settings};
use super::*;

fn parse(yaml: &str) -> Result<Config> {
    let mut settings = Settings::default();
    settings.read_yaml(yaml, Origin::File("p/pipe.yaml".into()))?;
    Config::from_settings(&settings)
}

#[test]
fn an_empty_file_gives_the_documented_defaults() {
    let config = parse("").unwrap();
    assert_eq!(config, parse("roles: {cluster: embedded}\ntopics:\n").unwrap());
    assert_eq!(config.cluster, ClusterRole::Embedded);
    assert_eq!(config.listeners[0].bind.to_string(), "127.0.0.1:9092");
    assert_eq!(config.engine.listener.to_string(), "127.0.0.1:8088");
    assert_eq!(config.data, Path::new("./data"));
    assert_eq!(config.engine.commit_interval, Duration::from_millis(100));
    assert_eq!((config.engine.batch_rows, config.engine.poll_bytes), (None, 1 << 20));
}

#[test]
fn a_whole_file_is_read() {
    let config = parse(
        "roles:\n  cluster: {bootstrap: 'kafka-0:9092', properties: {security.protocol: SSL, linger.ms: 5}}\n  engine: embedded\n\
         advertised.listeners: PLAINTEXT://example.org:9092\n\
         topics:\n  tv.tv.users: {partitions: 4, cleanup.policy: compact}\n  plain:\n\
         sql: [a.sql, sub/b.sql]\nengine: {commit.interval.ms: 7, batch.rows: 3}\ndashboards: [d]\n\
         connectors:\n  users: {connector.class: MySqlConnector, tasks.max: 1}\n",
    )
    .unwrap();
    let ClusterRole::Kafka { bootstrap, properties } = config.cluster else { panic!("embedded") };
    assert_eq!(bootstrap, "kafka-0:9092");
    assert_eq!(properties["linger.ms"], "5");
    assert_eq!(config.listeners[0].advertised.as_ref().unwrap().to_string(), "example.org:9092");
    assert_eq!(config.topics[0].partitions, Some(4));
    assert_eq!(config.topics[0].configs["cleanup.policy"], "compact");
    assert_eq!((config.topics[1].name.as_str(), config.topics[1].partitions), ("plain", None));
    assert_eq!(config.sql, [Path::new("p/a.sql"), Path::new("p/sub/b.sql")]);
    assert_eq!(config.engine.batch_rows, Some(3));
    assert_eq!(config.dashboards, [Path::new("p/d")]);
    assert_eq!(config.connectors[0].name, "users");
    assert_eq!(config.connectors[0].config["tasks.max"], "1");
}

#[test]
fn roles_elsewhere_are_urls() {
    let config = parse(
        "roles:\n  registry: {url: 'http://r:8081/'}\n  search: {url: 'https://es:9200', username: u, password: p}\n",
    )
    .unwrap();
    assert_eq!(config.roles.registry, RestRole::At { url: "http://r:8081".into(), auth: None });
    let auth = Some(Auth::Basic { user: "u".into(), password: "p".into() });
    assert_eq!(config.roles.search, RestRole::At { url: "https://es:9200".into(), auth });
    assert_eq!((&config.roles.engine, &config.roles.connect), (&RestRole::Embedded, &RestRole::Embedded));
    assert!(!format!("{config:?}").contains("password"), "secrets are not shown");
}

#[test]
fn errors_say_what_is_wrong_where_and_what_is_nearest() {
    for (yaml, expected) in [
        ("listner: x", "p/pipe.yaml: unknown key listner: did you mean listeners?"),
        (
            "engine: {comit.interval.ms: 5}",
            "unknown key engine.comit.interval.ms: did you mean engine.commit.interval.ms?",
        ),
        (
            "roles: {lake: embedded}",
            "unknown key roles.lake. The keys of roles: cluster, registry, engine, connect, search, console",
        ),
        (
            "roles: {search: {url: elastic}}",
            "roles.search.url: expected http://host:port or https://host:port",
        ),
        ("roles: {search: {username: u}}", "roles.search.username is set, and roles.search.password is not"),
        ("roles: {search: {api_key: u}}", "roles.search has credentials and no url"),
        ("connectors: {a: {topics: t}}", "connector a: connector.class is missing"),
        ("connectors: {a: {connector.class: C, topics: [t]}}", "connector a: topics is not a single value"),
        ("connectors: [a]", "expected a mapping, such as {users: {connector.class: MySqlConnector, ...}}"),
        ("roles: {cluster: {bootstap: x}}", "did you mean roles.cluster.bootstrap?"),
        ("frobnicate: 1", "unknown key frobnicate. The keys: "),
        ("engine: 5", "engine is a mapping of keys: listener, commit.interval.ms, batch.rows, poll.bytes"),
        (
            "engine: {commit.interval.ms: soon}",
            "engine.commit.interval.ms: expected a whole number from 1 to 3600000, not soon",
        ),
        ("engine: {batch.rows: 0}", "expected a whole number from 1 to"),
        ("roles: {cluster: remote}", "expected embedded, or a mapping of bootstrap, properties, not remote"),
        ("roles: {cluster: {properties: {a: b}}}", "roles.cluster.bootstrap is not"),
        ("engine: {listener: 'SSL://:8088'}", "protocol SSL is not supported here, only http"),
        ("listeners: nowhere", "nowhere: expected host:port"),
        ("listeners: a:99999", "99999 is not a port"),
        ("sql: a.sql", "expected a list of files, such as [a.sql, b.sql], not a.sql"),
        ("topics: {a: {partitions: 0}}", "topic a: partitions: expected a whole number from 1"),
        ("topics: [a]", "expected a mapping, such as"),
        ("engine: {batch.rows: 1}\nengine.batch.rows: 2", "engine.batch.rows is set twice"),
        ("- a", "expected a mapping of keys"),
        ("a: [", "p/pipe.yaml is not YAML"),
    ] {
        let error = format!("{:#}", parse(yaml).expect_err(yaml));
        assert!(error.contains(expected), "{yaml}\n  gives    {error}\n  expected {expected}");
    }
}

#[test]
fn set_wins_over_environment_wins_over_file() {
    let mut settings = Settings::default();
    settings.read_yaml("data: file\nlisteners: a:1\nnum.partitions: 2", Origin::File("f".into())).unwrap();
    let variables = [
        ("BD_DATA", "environment"),
        ("BD_LISTENERS", "b:2"),
        ("BD_SERVICE_HOST", "10.0.0.1"),
        ("BD_PORT", "tcp://10.0.0.1:1"),
    ];
    settings.read_environment(variables.map(|(k, v)| (k.to_string(), v.to_string()))).unwrap();
    settings.set("data=option").unwrap();
    let slip = settings.read_environment([("BD_LISTNERS".to_string(), "b:2".to_string())]).unwrap_err();
    assert_eq!(slip.to_string(), "unknown environment variable BD_LISTNERS: did you mean BD_LISTENERS?");
    let config = Config::from_settings(&settings).unwrap();
    assert_eq!(config.data, Path::new("option"));
    assert_eq!(config.listeners[0].bind.to_string(), "b:2");
    assert_eq!(config.num_partitions, 2);
}

#[test]
fn a_further_file_adds_to_the_first_and_wins() {
    let mut settings = Settings::default();
    let first =
        "sql: [a.sql]\nconnectors: {a: {connector.class: A, x: 1}, b: {connector.class: B}}\ndata: one";
    settings.read_yaml(first, Origin::File("p/one.yaml".into())).unwrap();
    let second = "connectors: {a: {connector.class: C}, c: {connector.class: C}}\ndata: two";
    settings.read_yaml(second, Origin::File("p/two.yaml".into())).unwrap();
    let config = Config::from_settings(&settings).unwrap();
    assert_eq!((config.data, config.sql), ("two".into(), vec!["p/a.sql".into()]));
    let classes: Vec<_> =
        config.connectors.iter().map(|c| (c.name.as_str(), c.config["connector.class"].as_str())).collect();
    assert_eq!(classes, [("a", "C"), ("b", "B"), ("c", "C")]);
    assert_eq!(config.connectors[0].config.len(), 1);
}

#[test]
fn set_reaches_every_key_and_single_entries_of_mappings() {
    let mut settings = Settings::default();
    for assignment in [
        "roles.cluster.bootstrap=k:9092",
        "roles.cluster.properties.security.protocol=SSL",
        "roles.cluster.properties.linger.ms=5",
        "topics={a: {partitions: 3}}",
        "topics={b: {}}",
        "sql=[x.sql, y.sql]",
    ] {
        settings.set(assignment).unwrap();
    }
    let config = Config::from_settings(&settings).unwrap();
    let ClusterRole::Kafka { properties, .. } = &config.cluster else { panic!("embedded") };
    assert_eq!(properties.len(), 2);
    assert_eq!(config.topics.len(), 2);
    assert_eq!(config.sql.len(), 2);
    settings.set("roles.cluster=embedded").unwrap();
    assert_eq!(Config::from_settings(&settings).unwrap().cluster, ClusterRole::Embedded);
    for (wrong, expected) in [
        ("data", "expected KEY=VALUE"),
        ("daat=x", "did you mean data?"),
        ("topics.a.partitions=3", "set topics as a mapping"),
        ("connectors.a.topics=t", "set connectors as a mapping"),
    ] {
        let error = format!("{:#}", settings.set(wrong).unwrap_err());
        assert!(error.contains(expected), "{wrong}: {error}");
    }
}

#[test]
fn the_schema_knows_every_key() {
    let schema = schema::schema();
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(schema["properties"]["engine"]["properties"]["commit.interval.ms"]["default"], 100);
    assert_eq!(schema["properties"]["roles"]["properties"]["cluster"]["oneOf"][0]["enum"][0], "embedded");
    let text = schema.to_string();
    let documentation = schema::documentation();
    for key in keys::KEYS {
        assert!(text.contains(key.doc), "{}", key.path);
        assert!(documentation.contains(key.path));
    }
}

//! The commands for a cluster: against a bd of their own, or, with `BD_TEST_BOOTSTRAP`, against the cluster there (as
//! `tests/peers/cluster-kafka.sh` runs them against Apache Kafka).

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

mod support;

use rustix::process::Signal;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use support::cluster::{Cluster, cells, name};
use support::{Up, bd, dir, eventually, run, stdout, with_input};

#[test]
fn a_topic_is_made_described_grown_emptied_and_deleted() {
    let cluster = Cluster::start();
    let topic = name("orders");
    let topic = topic.as_str();
    cluster.ok(&["topics", "create", topic, "--partitions", "2", "--config", "retention.ms=3600000"]);
    assert!(cluster.fails(&["topics", "create", topic]).contains("TOPIC_ALREADY_EXISTS (36)"));
    assert_eq!(
        cluster.json(&["topics", "create", topic, "--if-not-exists"]),
        json!({"topic": topic, "result": "exists"})
    );
    cluster.put(&[topic, "--partition", "1"], "a\nb\nc\n");
    let described = cluster.json(&["topics", "describe", topic]);
    assert_eq!(described["configs"], json!({"retention.ms": "3600000"}));
    assert_eq!(described["partitions"][0]["high_watermark"], 0);
    let (start, end) =
        (&described["partitions"][1]["start_offset"], &described["partitions"][1]["high_watermark"]);
    assert_eq!((start, end), (&json!(0), &json!(3)));
    assert_eq!(described["id"].as_str().map(str::len), Some(22));
    let table = cluster.ok(&["topics", "describe", topic]);
    assert!(table.contains("\nconfigs  retention.ms=3600000\n"), "{table}");
    assert_eq!(cells(&table)[1][4..7], ["0", "3", "3"], "{table}");

    cluster.ok(&["topics", "alter", topic, "--partitions", "3"]);
    assert!(
        cluster.fails(&["topics", "alter", topic, "--partitions", "1"]).contains("INVALID_PARTITIONS (37)")
    );
    let list = cluster.json(&["topics"]);
    let found = list.as_array().unwrap().iter().find(|t| t["name"] == topic).unwrap();
    assert_eq!((&found["partitions"], &found["internal"]), (&json!(3), &json!(false)));

    let deleted = cluster.ok(&["topics", "delete-records", topic, "--before", "2", "--partition", "1"]);
    assert_eq!(cells(&deleted), [["1", "2"]]);
    let said = cluster.fails(&["topics", "delete-records", topic, "--before", "9", "--partition", "1"]);
    assert!(said.contains(&format!("{topic}-1 before offset 9: OFFSET_OUT_OF_RANGE (1)")), "{said}");
    assert_eq!(cluster.ok(&["consume", topic, "--from-beginning", "--no-follow"]), "c\n");

    assert_eq!(cluster.ok(&["topics", "delete", topic]), format!("topic {topic} deleted\n"));
    eventually("the topic is gone", || {
        let said = run(&cluster.at(&["topics", "describe", topic])).stderr;
        String::from_utf8(said).unwrap().contains("does not exist").then_some(())
    });
    assert!(cluster.fails(&["topics", "delete", topic]).contains("UNKNOWN_TOPIC_OR_PARTITION (3)"));
    cluster.ok(&["topics", "delete", topic, "--if-exists"]);
}

#[test]
fn configs_are_set_and_go_back_to_their_defaults() {
    let cluster = Cluster::start();
    let topic = name("configs");
    let of = ["--topic", topic.as_str()];
    cluster.ok(&["topics", "create", &topic]);
    let describe = || cluster.json(&[&["configs", "describe"], &of[..]].concat());
    assert_eq!(describe(), json!([]));
    cluster.ok(&[&["configs", "set"], &of[..], &["cleanup.policy=compact", "retention.ms=5000"]].concat());
    let set = describe();
    assert_eq!((&set[0]["name"], &set[0]["value"]), (&json!("cleanup.policy"), &json!("compact")));
    assert_eq!(
        (&set[1]["name"], &set[1]["source"]),
        (&json!("retention.ms"), &json!("DYNAMIC_TOPIC_CONFIG"))
    );
    cluster.ok(&[&["configs", "unset"], &of[..], &["retention.ms", "cleanup.policy"]].concat());
    assert_eq!(describe(), json!([]));
    let all = cluster.ok(&[&["configs", "describe", "--all"], &of[..]].concat());
    assert!(cells(&all).iter().any(|row| row[0] == "segment.bytes"), "{all}");
    let said = cluster.fails(&[&["configs", "set"], &of[..], &["no.such=1"]].concat());
    assert!(said.contains("INVALID_CONFIG (40)") && said.contains("no.such"), "{said}");
}

#[test]
fn records_with_keys_headers_tombstones_and_any_codec_come_back() {
    let cluster = Cluster::start();
    let topic = name("records");
    let topic = topic.as_str();
    cluster.ok(&["topics", "create", topic, "--partitions", "2"]);
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let args =
            [topic, "--key-separator", ":", "--compression", codec, "--header", "codec", "--null", "-"];
        let args = args.map(|arg| if arg == "codec" { "codec=x" } else { arg });
        cluster.put(&args, &format!("{codec}:value of {codec}\n"));
    }
    cluster.put(&[topic, "--key-separator", ":", "--null", "-", "--partition", "1"], "gone:-\n");
    cluster.put(
        &[topic, "--format", "json", "--acks", "1"],
        "{\"key\":\"j\",\"value\":{\"a\":1},\"headers\":[[\"h\",null]],\"partition\":0,\"timestamp\":1000}\n",
    );
    let read = |args: &[&str]| {
        let all = [&["consume", topic, "--from-beginning", "--no-follow", "--json"], args].concat();
        cluster.lines(&all)
    };
    let all = read(&[]);
    assert_eq!(all.len(), 7);
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let record = all.iter().find(|r| r["key"] == codec).unwrap();
        assert_eq!(record["value"], format!("value of {codec}"));
        assert_eq!(record["headers"], json!([["codec", "x"]]));
    }
    let json = all.iter().find(|r| r["key"] == "j").unwrap();
    assert_eq!((&json["timestamp"], &json["headers"]), (&json!(1000), &json!([["h", null]])));
    assert_eq!((&json["value"], &json["partition"]), (&json!("{\"a\":1}"), &json!(0)));

    let keys = |args: &[&str]| -> Vec<String> {
        let mut keys: Vec<_> = read(args).iter().map(|r| r["key"].as_str().unwrap().to_owned()).collect();
        keys.sort();
        keys
    };
    assert_eq!(keys(&["--key", "gone"]), ["gone"]);
    assert_eq!(keys(&["--key-contains", "z"]), ["gzip", "lz4", "zstd"]);
    assert_eq!(keys(&["--value-contains", "of l"]), ["lz4"]);
    assert_eq!(keys(&["--header", "h"]), ["j"]);
    assert_eq!(keys(&["--header", "codec=y"]), [""; 0]);
    assert_eq!(keys(&["--until", "1970-01-01T00:00:02"]), ["j"]);
    assert_eq!(read(&["--max", "3"]).len(), 3);
    let recent = cluster.lines(&["consume", topic, "--from", "1h", "--no-follow", "--json"]);
    assert_eq!(recent.len(), 6);
    assert_eq!(cluster.lines(&["consume", topic, "--last", "1", "--no-follow", "--json"]).len(), 2);
    assert_eq!(cluster.ok(&["consume", topic, "--count"]), "7\n");
    assert_eq!(cluster.json(&["consume", topic, "--count", "--key-contains", "z"])["records"], 3);
    let hex = &read(&["--format", "hex", "--key", "j"])[0];
    assert_eq!((&hex["key"], &hex["value"]), (&json!("6a"), &json!("7b2261223a317d")));
    let raw =
        cluster.ok(&["consume", topic, "--from-beginning", "--no-follow", "--format", "raw", "--key", "lz4"]);
    assert_eq!(raw, "value of lz4");
}

#[test]
fn mistakes_name_the_line_the_partition_and_the_topic() {
    let cluster = Cluster::start();
    let topic = name("mistakes");
    let topic = topic.as_str();
    cluster.ok(&["topics", "create", topic]);
    let said = |args: &[&str], input: &str| {
        let output = cluster.produce(args, input);
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    let line = said(&[topic, "--key-separator", ":"], "a:b\nc\n");
    assert!(line.contains("stdin, line 2: no \":\" between key and value"), "{line}");
    let line = said(&[topic, "--format", "json"], "{\"valeu\":1}\n");
    assert!(line.contains("line 1: unknown field valeu"), "{line}");
    let partition = said(&[topic, "--partition", "4"], "a\n");
    assert!(partition.contains(&format!("topic {topic} has partitions 0 to 0")), "{partition}");
    cluster.ok(&["configs", "set", "--topic", topic, "max.message.bytes=200"]);
    let large = said(&[topic], &"x".repeat(5000));
    assert!(large.contains(&format!("1 of 1 records were not written; first {topic}-0: ")), "{large}");
    let offset = cluster.fails(&["consume", topic, "--offset", "77"]);
    assert!(offset.contains(&format!("Fetch {topic}-0 at offset 77: OFFSET_OUT_OF_RANGE (1)")), "{offset}");
    assert!(
        cluster.fails(&["consume", "no-such-topic", "--group", "g"]).contains("no-such-topic does not exist")
    );
    let time = cluster.fails(&["consume", topic, "--from", "noon"]);
    assert!(time.contains("--from: noon: expected a time"), "{time}");
    let file = dir();
    let path = file.path().join("client.properties");
    std::fs::write(&path, "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=GSSAPI\nlinger.ms=5\n").unwrap();
    let config = cluster.fails(&["topics", "--command-config", path.to_str().unwrap()]);
    assert!(config.contains("sasl.mechanism: GSSAPI: expected PLAIN"), "{config}");
    let property = cluster.fails(&["topics", "--property", "no.such=1"]);
    assert!(property.contains("no.such: unknown key"), "{property}");
}

#[test]
fn a_reader_goes_on_when_the_cluster_comes_back() {
    if std::env::var("BD_TEST_BOOTSTRAP").is_ok() {
        return;
    }
    let data = dir();
    let up = Up::cluster(data.path());
    let at = up.cluster.clone();
    let at = ["--bootstrap", at.as_str()];
    stdout(&[&["topics", "create", "t"], &at[..]].concat());
    with_input(&[&["produce", "t"], &at[..]].concat(), "a\n");
    let args = [&["consume", "t", "--from-beginning"], &at[..]].concat();
    let mut child = bd().args(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "a");
    up.signal(Signal::KILL);
    up.wait();
    let listeners = format!("listeners={}", at[1]);
    let _up = Up::cluster_with(data.path(), &["--set", &listeners]);
    with_input(&[&["produce", "t"], &at[..]].concat(), "b\n");
    assert_eq!(lines.next().unwrap().unwrap(), "b");
    child.kill().unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("; trying again"), "{output:?}");
}

#[test]
fn a_partition_s_files_are_dumped_and_damage_is_found() {
    let cluster = Cluster::start();
    let Some((up, data)) = &cluster.ours else { return };
    cluster.ok(&["topics", "create", "kept"]);
    cluster.put(
        &["kept", "--key-separator", ":", "--compression", "lz4"],
        &format!("k1:{}\nk2:v2\n", "v1".repeat(50)),
    );
    up.signal(Signal::TERM);
    let folder = eventually("the folder is no longer in use", || {
        let found = std::fs::read_dir(data.path().join("cluster")).ok()?;
        found.filter_map(Result::ok).map(|e| e.path()).find(|p| p.ends_with("kept-0"))
    });
    let path = folder.to_str().unwrap();
    let batches = stdout(&["log", "dump", path, "--records", "--json"]);
    let batch: Value = serde_json::from_str(batches.lines().next().unwrap()).unwrap();
    assert_eq!((&batch["codec"], &batch["crc_ok"]), (&json!("lz4"), &json!(true)));
    assert_eq!(batch["content"][1]["value"], "v2");
    assert!(stdout(&["log", "dump", path, "--records"]).contains("key \"k2\" value \"v2\""));
    assert!(stdout(&["log", "verify", path]).ends_with("sound\n"));
    let log = folder.join("00000000000000000000.log");
    let mut bytes = std::fs::read(&log).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&log, bytes).unwrap();
    let output = run(&["log", "verify", path, "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["sound"], false);
    assert_eq!(run(&["log", "dump", path]).status.code(), Some(1));
    let said = run(&["log", "verify", data.path().to_str().unwrap()]);
    assert!(String::from_utf8(said.stderr).unwrap().contains("holds no segments"));
}

#[test]
fn benchmarks_write_and_read_what_they_say() {
    let cluster = Cluster::start();
    let topic = name("bench");
    let bench = |args: &[&str]| cluster.json(&[&["bench"], args].concat());
    let written = bench(&[
        "produce",
        "--topic",
        &topic,
        "--records",
        "10007",
        "--size",
        "100",
        "--partitions",
        "3",
        "--compression",
        "lz4",
        "--idempotent",
    ]);
    assert_eq!(written["records"], 10007);
    assert!(written["ack_latency_ms"]["p99"].as_f64().unwrap() > 0.0, "{written}");
    assert_eq!(cluster.ok(&["consume", &topic, "--count"]), "10007\n");
    assert_eq!(bench(&["consume", "--topic", &topic])["records"], 10007);
    for codec in ["none", "zstd"] {
        let args = ["latency", "--topic", &topic, "--records", "500", "--rate", "2000", "--warmup-s", "0"];
        let latency = bench(&[&args[..], &["--compression", codec]].concat());
        let of = |p: &str| latency["latency_ms"][p].as_f64().unwrap();
        assert!(of("p50") > 0.0 && of("p50") <= of("p99") && of("p99") <= of("max"), "{latency}");
        assert!(latency["seconds"].as_f64().unwrap() >= 0.24, "500 records at 2000/s: {latency}");
    }
    assert_eq!(cluster.ok(&["consume", &topic, "--count"]), "11007\n");
    let paced = bench(&[
        "produce",
        "--topic",
        &topic,
        "--records",
        "1000",
        "--rate",
        "4000",
        "--batch-bytes",
        "1024",
    ]);
    assert!(paced["seconds"].as_f64().unwrap() >= 0.2, "{paced}");
}

#[test]
fn avro_is_decoded_by_the_registry_and_what_cannot_be_is_told() {
    let data = dir();
    let up = Up::start(data.path());
    up.ksql(
        "CREATE STREAM prices (name VARCHAR KEY, price DECIMAL(6, 2), tags ARRAY<VARCHAR>) \
         WITH (kafka_topic = 'prices', key_format = 'KAFKA', value_format = 'AVRO', partitions = 1);",
    );
    up.ksql("INSERT INTO prices (name, price, tags) VALUES ('tea', 1.50, ARRAY['hot', 'ünï']);");
    let args =
        ["prices", "--from-beginning", "--no-follow", "--bootstrap", &up.cluster, "--registry", &up.registry];
    let consume = |more: &[&str]| run(&[&["consume"], &args[..], more].concat());
    let output = consume(&["--json"]);
    assert!(output.status.success(), "{output:?}");
    let record: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(record["key"], "tea");
    let value: serde_json::Map<String, Value> =
        record["value"].as_object().unwrap().iter().map(|(k, v)| (k.to_lowercase(), v.clone())).collect();
    assert_eq!((&value["price"], &value["tags"]), (&json!(1.50), &json!(["hot", "ünï"])));
    let output = with_input(&["produce", "prices", "--bootstrap", &up.cluster], "\0\0\0\0\u{1}x\n");
    assert!(output.status.success(), "{output:?}");
    let output = consume(&[]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("prices-0 at offset 1: value of schema 1: "), "{said}");
    assert!(said.contains("1 keys or values could not be decoded"), "{said}");
}

#[test]
fn users_log_in_over_tls_and_may_do_what_rules_say() {
    let data = dir();
    let file = |name: &str, text: &str| {
        let path = data.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let key = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let ca = file("ca.pem", &key.cert.pem());
    let store = file("store.pem", &format!("{}{}", key.signing_key.serialize_pem(), key.cert.pem()));
    let store = format!("ssl.keystore.location={store}");
    let set = ["listeners=SASL_SSL://127.0.0.1:0", &store, "users={admin: first}", "super.users=User:admin"];
    let set: Vec<&str> = set.into_iter().flat_map(|pair| ["--set", pair]).collect();
    let up = Up::cluster_with(&data.path().join("data"), &set);
    let properties = |user: &str, password: &str, mechanism: &str| {
        let login = "org.apache.kafka.common.security.scram.ScramLoginModule required";
        file(
            &format!("{user}-{password}-{mechanism}.properties"),
            &format!(
                "security.protocol=SASL_SSL\nssl.ca.location={ca}\nsasl.mechanism={mechanism}\n\
                 sasl.jaas.config={login} username=\"{user}\" password=\"{password}\";\n"
            ),
        )
    };
    let admin = properties("admin", "first", "SCRAM-SHA-256");
    let by = |config: &str, args: &[&str], input: &str| {
        let at = ["--bootstrap", &up.cluster, "--command-config", config];
        let output = with_input(&[args, &at].concat(), input);
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.success(), text(output.stdout), text(output.stderr))
    };
    let good = |config: &str, args: &[&str], input: &str| {
        let (success, out, said) = by(config, args, input);
        assert!(success, "{args:?}: {said}");
        out
    };
    let bad = |config: &str, args: &[&str]| {
        let (success, _, said) = by(config, args, "");
        assert!(!success, "{args:?}");
        said
    };
    good(&admin, &["users", "set", "ann"], "second\n");
    good(&admin, &["topics", "create", "t"], "");
    good(&admin, &["produce", "t"], "a\nb\n");
    let ann = properties("ann", "second", "SCRAM-SHA-512");
    let said = bad(&properties("ann", "guess", "SCRAM-SHA-256"), &["topics"]);
    assert!(said.contains("SASL SCRAM-SHA-256 authentication failed"), "{said}");
    let said = bad(&ann, &["consume", "t", "--count"]);
    assert!(said.contains(" t") && said.contains("TOPIC_AUTHORIZATION_FAILED (29)"), "{said}");
    let add = ["acls", "add", "--allow", "User:ann", "--consumer", "--topic", "t", "--group", "g"];
    assert_eq!(cells(&good(&admin, &add, "")).len(), 3);
    assert_eq!(good(&ann, &["consume", "t", "--count"], ""), "2\n");
    let group = ["consume", "t", "--group", "g", "--from-beginning", "--no-follow"];
    assert_eq!(good(&ann, &group, ""), "a\nb\n");
    let other = bad(&ann, &["consume", "t", "--group", "h", "--from-beginning", "--no-follow"]);
    assert!(other.contains("group h: "), "{other}");
    good(
        &admin,
        &[
            "acls",
            "add",
            "--deny",
            "User:ann",
            "--operation",
            "read",
            "--topic",
            "t",
            "--pattern",
            "prefixed",
        ],
        "",
    );
    let said = bad(&ann, &["consume", "t", "--count"]);
    assert!(said.contains("t-0") && said.contains("TOPIC_AUTHORIZATION_FAILED (29)"), "{said}");
    let rules = good(
        &admin,
        &["acls", "list", "--topic", "t", "--pattern", "match", "--permission", "deny", "--json"],
        "",
    );
    let rules: Value = serde_json::from_str(&rules).unwrap();
    assert_eq!(rules.as_array().unwrap().len(), 1, "{rules}");
    assert_eq!((&rules[0]["pattern"], &rules[0]["operation"]), (&json!("Prefixed"), &json!("Read")));
    good(&admin, &["acls", "remove", "--principal", "User:ann", "--permission", "deny"], "");
    assert_eq!(good(&ann, &["consume", "t", "--count"], ""), "2\n");
    let users: Value = serde_json::from_str(&good(&admin, &["users", "--json"], "")).unwrap();
    let of_ann = users.as_array().unwrap().iter().filter(|u| u["user"] == "ann").count();
    assert_eq!(of_ann, 2, "{users}");
    good(&admin, &["users", "delete", "ann"], "");
    assert!(bad(&ann, &["topics"]).contains("authentication failed"));
    let plain = run(&["topics", "--bootstrap", &up.cluster, "--property", "request.timeout.ms=2000"]);
    assert_eq!(plain.status.code(), Some(1));
}

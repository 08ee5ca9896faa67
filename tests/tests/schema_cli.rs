//! `bd schema` as people type it, against the registry of a running bd.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed assertion is a failed test")]

use anyhow::{Context, Result, ensure};
use bd_e2e::{Bd, bd_binary};
use serde_json::{Value, json};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// A folder of files, and the registry of a bd.
struct Bench {
    bd: Bd,
    dir: tempfile::TempDir,
}

/// What a command did.
struct Done {
    code: Option<i32>,
    out: String,
    said: String,
}

impl Bench {
    fn new() -> Result<Self> {
        Ok(Self { bd: Bd::start(&[])?, dir: tempfile::tempdir()? })
    }

    fn file(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text)?;
        Ok(path)
    }

    /// `bd schema ARGS`, in the folder, with this input.
    fn fed(&self, args: &[&str], input: &str) -> Result<Done> {
        let mut command = Command::new(bd_binary()?);
        let command = command.arg("schema").args(args).current_dir(self.dir.path());
        let command = command.env("BD_REGISTRY", &self.bd.registry);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        child.stdin.take().context("its input")?.write_all(input.as_bytes())?;
        let output = child.wait_with_output()?;
        Ok(Done {
            code: output.status.code(),
            out: String::from_utf8(output.stdout)?,
            said: String::from_utf8(output.stderr)?,
        })
    }

    fn run(&self, args: &[&str]) -> Result<Done> {
        self.fed(args, "")
    }

    /// What a command that succeeds prints.
    fn out(&self, args: &[&str]) -> Result<String> {
        let done = self.run(args)?;
        ensure!(done.code == Some(0), "bd schema {args:?}: {:?}\n{}{}", done.code, done.out, done.said);
        Ok(done.out)
    }

    fn json(&self, args: &[&str]) -> Result<Value> {
        Ok(serde_json::from_str(&self.out(&[args, &["--json"]].concat())?)?)
    }
}

const ORDER: &str = r#"{"type":"record","name":"Order","namespace":"shop","fields":[
    {"name":"id","type":"int"},{"name":"note","type":["null","string"],"default":null}]}"#;
/// A wider id, and a field without a default.
const BROKEN: &str = r#"{"type":"record","name":"Order","namespace":"shop","fields":[
    {"name":"id","type":"long"},{"name":"note","type":["null","string"],"default":null},{"name":"total","type":"double"}]}"#;
const WIDER: &str = r#"{"type":"record","name":"Order","namespace":"shop","fields":[
    {"name":"id","type":"long"},{"name":"total","type":"double","default":0.0}]}"#;

#[test]
fn a_schema_is_registered_checked_shown_compared_and_deleted() -> Result<()> {
    let bench = Bench::new()?;
    bench.file("order.avsc", ORDER)?;
    bench.file("broken.avsc", BROKEN)?;
    bench.file("wider.avsc", WIDER)?;
    let subject = "orders-value";

    let dry = bench.json(&["register", subject, "order.avsc", "--dry-run"])?;
    assert_eq!((&dry["version"], &dry["registered"]), (&json!(1), &json!(false)));
    assert_eq!(bench.out(&["list"])?.lines().count(), 2, "a dry run has registered");
    let first = bench.json(&["register", subject, "order.avsc"])?;
    assert_eq!((&first["version"], &first["registered"]), (&json!(1), &json!(true)));
    let again = bench.out(&["register", subject, "order.avsc"])?;
    assert!(again.contains("version 1, was there already"), "{again}");

    let refused = bench.run(&["check", subject, "broken.avsc"])?;
    assert_eq!(refused.code, Some(1));
    assert!(refused.out.contains("READER_FIELD_MISSING_DEFAULT_VALUE: The field 'total'"), "{}", refused.out);
    let refused = bench.run(&["register", subject, "broken.avsc", "--dry-run"])?;
    assert_eq!(refused.code, Some(1));
    let refused = bench.run(&["register", subject, "broken.avsc"])?;
    assert_eq!(refused.code, Some(1));
    assert!(refused.said.contains("40901") || refused.said.contains("409"), "{}", refused.said);
    let offline = ["check", "broken.avsc", "--against", "order.avsc", "--registry", "http://127.0.0.1:1"];
    let done = bench.run(&offline)?;
    assert_eq!(done.code, Some(1));
    assert!(done.out.contains("give it a default"), "{}", done.out);
    let done = bench.run(&[&offline[..], &["--level", "FORWARD"]].concat())?;
    assert_eq!(done.code, Some(1), "a long is no int: {}", done.out);
    let done = bench.run(&[&offline[..], &["--level", "none"]].concat())?;
    assert_eq!(done.code, Some(0), "{}", done.out);

    assert_eq!(bench.run(&["check", subject, "wider.avsc"])?.code, Some(0));
    bench.out(&["register", subject, "wider.avsc"])?;
    let list = bench.json(&["list"])?;
    assert_eq!(list[0]["versions"], json!([1, 2]));
    assert_eq!(list[0]["level"], "BACKWARD");
    assert_eq!(bench.json(&["list", "--prefix", "other"])?, json!([]));

    let shown = bench.out(&["show", subject])?;
    assert!(shown.contains("version") && shown.contains(r#"{"name": "id", "type": "long"}"#), "{shown}");
    let id = bench.json(&["show", &format!("{subject}:1")])?["id"].to_string();
    let by_id = bench.json(&["show", "--id", &id])?;
    assert_eq!(by_id["subjects"], json!([{"subject": subject, "version": 1}]));
    let columns = bench.json(&["show", subject, "--columns"])?;
    assert_eq!(columns[1], json!({"name": "total", "type": "DOUBLE", "required": true}));
    let done = bench.run(&["show", &format!("{subject}:9")])?;
    assert_eq!(done.code, Some(1));
    assert!(done.said.contains("has no version 9; it has 1, 2"), "{}", done.said);

    let diff = bench.json(&["diff", subject, "1", "2"])?;
    let change = |field: &str, change: &str, backward: bool, forward: bool| json!({"field": field, "change": change, "backward": backward, "forward": forward});
    assert_eq!(
        diff["changes"],
        json!([
            change("id", "int -> long", true, false),
            change("total", "added: double, default 0.0", true, true),
            change("note", "removed: [null, string], default null", true, true),
        ])
    );
    assert_eq!(diff["levels"], json!(["BACKWARD", "NONE"]));
    let text = bench.out(&["diff", subject, "broken.avsc"])?;
    assert!(text.contains("version 2 -> broken.avsc"), "{text}");

    assert!(bench.out(&["delete", &format!("{subject}:1")])?.contains("version 1 deleted"));
    assert_eq!(bench.json(&["list", "--deleted"])?[0]["deleted"], json!([1]));
    bench.out(&["delete", subject])?;
    assert_eq!(bench.json(&["list"])?, json!([]));
    bench.out(&["delete", subject, "--permanent"])?;
    assert_eq!(bench.json(&["list", "--deleted"])?, json!([]));
    Ok(())
}

#[test]
fn a_schema_is_inferred_from_data_and_registered_through_a_pipe() -> Result<()> {
    let bench = Bench::new()?;
    let lines: String = (0..20)
        .map(|i| format!("{{\"id\": {i}, \"at\": \"2026-02-28T14:30:{i:02}Z\", \"tags\": [\"a\"]}}\n"))
        .collect();
    bench.file("web-orders.jsonl", &lines)?;
    bench.file("prices.csv", "sku;zip;price;day\nA1;01234;1.5;2026-02-28\nB2;98765;2;\n")?;

    let inferred = bench.run(&["infer", "web-orders.jsonl"])?;
    assert!(inferred.said.contains("20 records"), "{}", inferred.said);
    assert!(inferred.said.contains("at: 20 timestamps"), "{}", inferred.said);
    for (kind, subject) in [("avro", "orders-value"), ("json", "orders-json"), ("protobuf", "orders-proto")] {
        let text = bench.out(&["infer", "web-orders.jsonl", "--type", kind])?;
        let done = bench.fed(&["register", subject, "-"], &text)?;
        assert_eq!(done.code, Some(0), "{kind}: {}{}", done.out, done.said);
    }
    let list = bench.json(&["list", "orders"])?;
    let types: Vec<&Value> = list.as_array().context("a list")?.iter().map(|s| &s["type"]).collect();
    assert_eq!(types, ["JSON", "PROTOBUF", "AVRO"]);
    let columns = bench.json(&["show", "orders-value", "--columns"])?;
    let types: Vec<&Value> = columns.as_array().context("columns")?.iter().map(|c| &c["type"]).collect();
    assert_eq!(types, ["BIGINT", "TIMESTAMP", "ARRAY<VARCHAR>"]);

    let prices: Value = serde_json::from_str(&bench.out(&["infer", "prices.csv", "--name", "a.Price"])?)?;
    assert_eq!(prices["fields"][0], json!({"name": "sku", "type": "string"}));
    assert_eq!(prices["fields"][1], json!({"name": "zip", "type": "string"}));
    let day = json!({"type": "int", "logicalType": "date"});
    assert_eq!(prices["fields"][3], json!({"name": "day", "type": ["null", day], "default": null}));

    for command in [&["topics", "create", "clicks"][..], &["produce", "clicks", "--file", "web-orders.jsonl"]]
    {
        let mut bd = Command::new(bd_binary()?);
        bd.args(command).args(["--bootstrap", &bench.bd.cluster]).current_dir(bench.dir.path());
        ensure!(bd.stdout(Stdio::null()).status()?.success(), "bd {command:?}");
    }
    let of_topic =
        bench.json(&["infer", "--topic", "clicks", "--bootstrap", &bench.bd.cluster, "--sample", "5"])?;
    assert_eq!(of_topic["records"], json!(5));
    let schema: Value = serde_json::from_str(of_topic["schema"].as_str().context("a schema")?)?;
    assert_eq!(schema["name"], "Clicks");
    Ok(())
}

#[test]
fn a_registry_that_is_not_there_is_named_with_what_helps() -> Result<()> {
    let bench = Bench::new()?;
    let done = bench.run(&["list", "--registry", "http://user:secret@127.0.0.1:1"])?;
    assert_eq!(done.code, Some(1));
    assert!(done.said.contains("127.0.0.1:1") && done.said.contains("bd up"), "{}", done.said);
    assert!(!done.said.contains("secret"), "{}", done.said);
    let done = bench.run(&["check", "s", "missing.avsc"])?;
    assert!(done.said.contains("cannot read missing.avsc"), "{}", done.said);
    Ok(())
}

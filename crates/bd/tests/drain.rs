//! `bd run FILE --drain`: a pipeline played to its end, killed at any point and started again.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

mod support;

use std::path::{Path, PathBuf};
use std::process::Output;
use support::{Up, bd, dir, stdout, with_input};

const SQL: &str = "CREATE STREAM numbers (n BIGINT) WITH (kafka_topic = 'numbers', value_format = 'JSON');\n\
    CREATE STREAM doubled AS SELECT n, n * 2 AS twice FROM numbers WHERE n <> 13 EMIT CHANGES;\n\
    CREATE STREAM again AS SELECT twice FROM doubled EMIT CHANGES;\n";

fn pipeline(folder: &Path) -> PathBuf {
    std::fs::create_dir(folder.join("sql")).unwrap();
    std::fs::write(folder.join("sql/all.sql"), SQL).unwrap();
    let file = folder.join("pipe.yaml");
    std::fs::write(
        &file,
        "sql: [sql/all.sql]\ntopics: {numbers: {partitions: 2}}\nengine: {commit.interval.ms: 5}\n",
    )
    .unwrap();
    file
}

fn drain(file: &Path, data: &Path, kill: Option<&str>) -> Output {
    let mut command = bd();
    command.arg("run").arg(file).args(["--drain", "--free-ports", "--data"]).arg(data);
    if let Some(kill) = kill {
        command.env("BD_TEST_KILL", kill);
    }
    command.output().unwrap()
}

/// Writes the numbers before `count` and a record that is none.
fn load(data: &Path, count: usize) {
    let up = Up::with(data, &["--set", "topics={numbers: {partitions: 2}}"]);
    let lines: String =
        (0..count).map(|n| format!("k{n}|{{\"n\":{n}}}\n")).chain(["x|nonsense\n".into()]).collect();
    let done =
        with_input(&["produce", "numbers", "--key-separator", "|", "--bootstrap", &up.cluster], &lines);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

fn rows(data: &Path, topic: &str) -> Vec<String> {
    let up = Up::start(data);
    let text = stdout(&["consume", topic, "--from-beginning", "--no-follow", "--bootstrap", &up.cluster]);
    let mut rows: Vec<String> = text.lines().map(str::to_string).collect();
    rows.sort();
    rows
}

fn expected(count: usize) -> Vec<String> {
    let mut rows: Vec<String> =
        (0..count).filter(|n| *n != 13).map(|n| format!("{{\"twice\":{}}}", n * 2)).collect();
    rows.sort();
    rows
}

#[test]
fn it_ends_when_all_queries_are_completed_and_again_changes_nothing() {
    let folder = dir();
    let data = folder.path().join("data");
    let file = pipeline(folder.path());
    load(&data, 50);
    let output = drain(&file, &data, None);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    let table = String::from_utf8(output.stdout).unwrap();
    let of = |name: &str| {
        let line = table.lines().find(|l| l.starts_with(name)).unwrap_or_else(|| panic!("{table}"));
        line.split_whitespace().skip(1).map(str::to_string).collect::<Vec<_>>()
    };
    assert_eq!(of("doubled"), ["COMPLETED", "51", "49", "0", "1", "0"], "{table}");
    assert_eq!(of("again"), ["COMPLETED", "49", "49", "0", "0", "0"], "{table}");
    for _ in 0..2 {
        assert_eq!(rows(&data, "again"), expected(50));
        assert_eq!(drain(&file, &data, None).status.code(), Some(0));
    }
    assert_eq!(rows(&data, "numbers-dlq"), ["nonsense"]);
}

#[test]
fn killed_at_any_point_it_goes_on_from_there() {
    let folder = dir();
    let data = folder.path().join("data");
    let file = pipeline(folder.path());
    load(&data, 500);
    let mut killed = 0;
    for n in 1..8 {
        for point in ["append", "fsync", "barrier", "commit", "committed"] {
            let output = drain(&file, &data, Some(&format!("{point}:{n}")));
            // Without a code: ended by a signal.
            if output.status.code().is_none() {
                killed += 1;
            } else {
                assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
            }
        }
    }
    assert!(killed > 5, "killed {killed} times");
    assert_eq!(drain(&file, &data, None).status.code(), Some(0));
    assert_eq!(rows(&data, "again"), expected(500));
    assert_eq!(rows(&data, "numbers-dlq"), ["nonsense"]);
}

#[test]
fn a_statement_that_is_wrong_ends_it_with_the_place() {
    let folder = dir();
    let file = pipeline(folder.path());
    std::fs::write(
        folder.path().join("sql/all.sql"),
        SQL.replace("twice FROM doubled", "twize FROM doubled"),
    )
    .unwrap();
    let output = drain(&file, &folder.path().join("data"), None);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    for part in ["all.sql", "line 3, column ", "twice"] {
        assert!(said.contains(part), "{said}");
    }
}

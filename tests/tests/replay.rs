//! `make replay`: a Kafka client loads a folder of events, bd drains, the outputs are compared, the topics stay.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

use bd_e2e::{bd_binary, cases_binary, check_outputs, open_cluster, root};
use std::path::Path;
use std::process::{Command, Output};

fn replay(case: &Path, data: &Path) -> Output {
    let mut command = Command::new(root().join("demo/tv/replay.sh"));
    command.arg(bd_binary().unwrap()).arg(cases_binary().unwrap()).arg(case).arg(data);
    command.output().unwrap()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn the_fixture_loaded_by_a_kafka_client_gives_the_expected_rows_and_stays() {
    let data = tempfile::tempdir().unwrap();
    let case = root().join("demo/tv/fixture");
    let output = replay(&case, data.path());
    assert!(output.status.success(), "{}", text(&output));
    check_outputs(open_cluster(&data.path().join("cluster")).unwrap().as_ref(), &case).unwrap();

    let again = replay(&case, data.path());
    assert_eq!(again.status.code(), Some(2), "{}", text(&again));
    assert!(text(&again).contains("is not empty"), "{}", text(&again));
}

#[test]
fn a_row_that_differs_is_printed_and_is_an_error() {
    let case = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(root().join("demo/tv/fixture")).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), case.path().join(entry.file_name())).unwrap();
    }
    let sessions = case.path().join("expected_sessions.jsonl");
    let changed = std::fs::read_to_string(&sessions).unwrap().replacen("23:59:14Z", "23:59:15Z", 1);
    std::fs::write(&sessions, changed).unwrap();
    let data = tempfile::tempdir().unwrap();
    let output = replay(case.path(), data.path());
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(
        text(&output).contains("sessions: 5 expected, 5 got, 1 missing, 1 unexpected"),
        "{}",
        text(&output)
    );
}

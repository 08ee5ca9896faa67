//! `kill -9` changes nothing: the process is ended again and again at seeded points of its progress, and started again.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

use bd_e2e::{bd_binary, check_outputs, load, open_cluster, root};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use tv_cases::rng::Rng;
use tv_cases::{Options, Topic};

const KILLS: usize = 100;

/// One life of bd over the case's pipeline; `kill` says at which step it ends itself with SIGKILL.
fn live(data: &Path, kill: Option<&str>) -> (ExitStatus, String) {
    let mut command = Command::new(bd_binary().unwrap());
    command.arg("run").arg(root().join("demo/tv/tv.yaml")).arg("--drain").arg("--data").arg(data);
    command.args(["--roles", "cluster,registry,engine", "--free-ports"]);
    command.args(["--set", "engine.commit.interval.ms=1", "--set", "engine.poll.bytes=4096"]);
    if let Some(kill) = kill {
        command.env("BD_TEST_KILL", kill);
    }
    let output = command.stdin(Stdio::null()).output().unwrap();
    (output.status, String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_hundred_kills_in_one_run_lose_nothing_and_double_nothing() {
    let case = tempfile::tempdir().unwrap();
    let options = Options {
        seed: 11,
        actions: 20_000,
        users: None,
        devices: None,
        channels: None,
        days: None,
        late: Some(1.0),
        hard: Some(true),
        inputs_only: false,
    };
    tv_cases::generate(&options, case.path()).unwrap();
    let data = tempfile::tempdir().unwrap();
    {
        let cluster = open_cluster(&data.path().join("cluster")).unwrap();
        load(&cluster, case.path(), &Topic::ALL, 1).unwrap();
    }
    let mut rng = Rng::new(11);
    let mut kills = 0;
    while kills < KILLS {
        // The points lie close to the start of a life, so that a hundred lives see all of the run; a few come later.
        let (step, most) = *rng.pick(&[("append", 400), ("fsync", 200), ("commit", 60), ("barrier", 60)]);
        let point = format!("{step}:{}", rng.between(1, most));
        let (status, errors) = live(data.path(), Some(&point));
        if status.success() {
            break;
        }
        assert_eq!(
            status.signal(),
            Some(9),
            "life {kills} until {point} ended by itself: {status}\n{errors}"
        );
        kills += 1;
    }
    assert_eq!(kills, KILLS, "the run was over after {kills} kills: make its lives shorter");
    let (status, errors) = live(data.path(), None);
    assert!(status.success(), "the last life: {status}\n{errors}");
    let cluster = open_cluster(&data.path().join("cluster")).unwrap();
    check_outputs(cluster.as_ref(), case.path()).unwrap();
    // Once drained, it stays drained.
    drop(cluster);
    let (status, errors) = live(data.path(), None);
    assert!(status.success(), "after the end: {status}\n{errors}");
    let cluster = open_cluster(&data.path().join("cluster")).unwrap();
    check_outputs(cluster.as_ref(), case.path()).unwrap();
}

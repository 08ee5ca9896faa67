//! The digital-TV case gives exactly the expected rows, whatever the cuts, the order of loading and the partitions.

use anyhow::Result;
use bd_e2e::{check_outputs, count, load, open_cluster, root, run_and_drain};
use bd_engine::runtime::query::QueryConfig;
use std::path::Path;
use std::time::Duration;
use tv_cases::{Options, Topic};

fn options(seed: u64, late: Option<f64>) -> Options {
    Options {
        seed,
        actions: 40 + (seed as usize * 37) % 200,
        users: None,
        devices: None,
        channels: None,
        days: None,
        late,
        hard: Some(true),
        inputs_only: false,
    }
}

/// The topics in one of their 120 orders.
fn order(mut number: usize) -> Vec<Topic> {
    let mut left = Topic::ALL.to_vec();
    let mut order = Vec::new();
    while !left.is_empty() {
        order.push(left.remove(number % left.len()));
        number /= left.len() + 1;
    }
    order
}

fn run(
    case: &Path,
    order: &[Topic],
    partitions: i32,
    batch_rows: Option<usize>,
    commit_ms: u64,
) -> Result<()> {
    let data = tempfile::tempdir()?;
    let cluster = open_cluster(data.path())?;
    load(&cluster, case, order, partitions)?;
    let config = QueryConfig {
        batch_rows,
        commit_interval: Duration::from_millis(commit_ms),
        // With short intervals full snapshots, too.
        snapshot_bytes: commit_ms * 1000,
        ..QueryConfig::default()
    };
    run_and_drain(cluster.clone(), config)?;
    check_outputs(cluster.as_ref(), case)
}

#[test]
fn the_recorded_case_gives_the_recorded_rows() {
    run(&root().join("demo/tv/fixture"), &Topic::ALL, 1, None, 100).unwrap();
}

#[test]
fn fifty_random_cases_are_equal_at_any_cut_and_order_of_loading() {
    for seed in 0..50 {
        let case = tempfile::tempdir().unwrap();
        tv_cases::generate(&options(seed, None), case.path()).unwrap();
        let number = seed as usize * 7;
        run(case.path(), &order(number), 1, None, 100).unwrap();
        run(case.path(), &order(number + 1), 1, Some(7), 20).unwrap();
        run(case.path(), &order(number + 2), 1, Some(1), 5).unwrap();
    }
}

#[test]
fn cases_without_late_rows_are_equal_with_four_partitions() {
    for seed in 100..120 {
        let case = tempfile::tempdir().unwrap();
        tv_cases::generate(&options(seed, Some(0.0)), case.path()).unwrap();
        run(case.path(), &order(seed as usize), 1, None, 100).unwrap();
        run(case.path(), &order(seed as usize * 3), 4, Some(7), 20).unwrap();
    }
}

#[test]
fn a_larger_case_is_equal_and_every_rejected_record_is_written_once() {
    let case = tempfile::tempdir().unwrap();
    let options = Options { actions: 30_000, ..options(7, Some(1.0)) };
    tv_cases::generate(&options, case.path()).unwrap();
    let data = tempfile::tempdir().unwrap();
    let cluster = open_cluster(data.path()).unwrap();
    load(&cluster, case.path(), &Topic::ALL, 1).unwrap();
    run_and_drain(cluster.clone(), QueryConfig::default()).unwrap();
    check_outputs(cluster.as_ref(), case.path()).unwrap();

    let parsed = tv_cases::case::Case::read(case.path()).unwrap();
    let counts = tv_cases::expect(&parsed).unwrap().counts;
    let expected = [
        ("sessions-late", counts.actions_late),
        ("actions-dlq", counts.actions_dead),
        ("ads-late", counts.ads_late),
        ("ads-dlq", counts.ads_dead),
        ("device_locations-late", counts.device_locations_late),
        ("device_locations-dlq", counts.device_locations_dead),
    ];
    for (topic, number) in expected {
        assert_eq!(count(cluster.as_ref(), topic).unwrap(), number, "{topic}");
    }
    assert!(counts.actions_late > 0 && counts.actions_dead > 0, "the case must hold some of both");
}

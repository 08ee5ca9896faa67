//! Restarts at every barrier, and a second engine, change no row.

use bd_cluster::Cluster;
use bd_e2e::small::Small;
use bd_e2e::{check_outputs, codecs, load, open_cluster, tv_sql};
use bd_engine::runtime::engine::Engine;
use bd_engine::runtime::query::QueryConfig;
use bd_engine::runtime::status::QueryState;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tv_cases::{Options, Topic};

fn case(seed: u64, folder: &std::path::Path) {
    let options = Options {
        seed,
        actions: 60,
        users: None,
        devices: None,
        channels: None,
        days: None,
        late: None,
        hard: Some(true),
        inputs_only: false,
    };
    tv_cases::generate(&options, folder).unwrap();
}

/// A barrier after each poll of few rows, told to `steps`.
fn config(cluster: &Arc<dyn Cluster>, steps: Sender<()>) -> QueryConfig {
    let steps = Mutex::new(steps);
    QueryConfig {
        codecs: codecs(cluster).unwrap(),
        commit_interval: Duration::ZERO,
        batch_rows: Some(7),
        poll_bytes: 400,
        // Full snapshots again and again, too.
        snapshot_bytes: 2_000,
        on_step: Some(Arc::new(move |step| {
            if step == "committed" {
                let _ = steps.lock().unwrap().send(());
            }
        })),
    }
}

fn all_completed(engine: &Engine) -> bool {
    let queries = engine.queries();
    for query in &queries {
        let state = query.status.state();
        assert!(!matches!(state, QueryState::Error(_)), "{}: {state:?}", query.status.id);
    }
    queries.iter().all(|q| q.status.state() == QueryState::Completed)
}

#[test]
fn an_engine_that_is_stopped_and_opened_after_some_barriers_again_and_again_gives_the_same_rows() {
    let folder = tempfile::tempdir().unwrap();
    case(3, folder.path());
    let data = tempfile::tempdir().unwrap();
    let cluster = open_cluster(data.path()).unwrap();
    load(&cluster, folder.path(), &Topic::ALL, 1).unwrap();
    let mut restarts = 0;
    loop {
        let (send, steps) = channel();
        let engine = Engine::open(cluster.clone(), config(&cluster, send)).unwrap();
        if restarts == 0 {
            tv_sql().unwrap().iter().for_each(|file| drop(engine.ensure(file).unwrap()));
            engine.drain().unwrap();
        }
        for _ in 0..1 + 5 * (restarts % 3) {
            if all_completed(&engine) || steps.recv_timeout(Duration::from_millis(200)).is_err() {
                break;
            }
        }
        let done = all_completed(&engine);
        engine.close();
        if done {
            break;
        }
        restarts += 1;
        assert!(restarts < 5_000, "it never ends");
    }
    assert!(restarts >= 5, "only {restarts} restarts");
    check_outputs(cluster.as_ref(), folder.path()).unwrap();
}

#[test]
fn a_second_engine_takes_over_and_the_first_ones_queries_are_fenced() {
    let folder = tempfile::tempdir().unwrap();
    case(5, folder.path());
    let data = tempfile::tempdir().unwrap();
    let cluster = open_cluster(data.path()).unwrap();
    load(&cluster, folder.path(), &Topic::ALL, 1).unwrap();
    let (send, steps) = channel();
    let first = Engine::open(cluster.clone(), config(&cluster, send)).unwrap();
    tv_sql().unwrap().iter().for_each(|file| drop(first.ensure(file).unwrap()));
    (0..5).for_each(|_| steps.recv_timeout(Duration::from_secs(60)).unwrap());
    let (send, _steps) = channel();
    let second = Engine::open(cluster.clone(), config(&cluster, send)).unwrap();
    second.drain().unwrap();
    bd_e2e::wait_completed(&second).unwrap();
    first.close();
    second.close();
    check_outputs(cluster.as_ref(), folder.path()).unwrap();
}

#[test]
fn a_closed_engine_starts_nothing() {
    let small = Small::new();
    small.engine.close();
    assert!(
        small
            .fails(
                "CREATE STREAM s (id BIGINT) WITH (kafka_topic = 's', value_format = 'JSON', partitions = 1);"
            )
            .contains("closed")
    );
}

#[test]
fn what_was_recorded_is_the_same_after_a_restart() {
    let mut small = Small::new();
    small.sql(
        "CREATE STREAM s (id BIGINT, t BIGINT) WITH (kafka_topic = 's', value_format = 'JSON', partitions = 1, timestamp = 't');
         CREATE STREAM gone AS SELECT id FROM s EMIT CHANGES;
         CREATE STREAM a AS SELECT id, t + 1 AS t FROM s EMIT CHANGES;
         DROP STREAM gone;
         CREATE TABLE n AS SELECT id, COUNT(*) AS n FROM a GROUP BY id EMIT CHANGES;
         CREATE STREAM b AS SELECT id FROM a EMIT CHANGES;",
    );
    let id = small.query("b").status.id.clone();
    small.sql(&format!("TERMINATE {id};"));
    let look = |small: &Small| {
        let queries = small.engine.queries();
        let of_query =
            |q: &bd_engine::runtime::engine::Query| (q.status.id.clone(), q.sink.clone(), q.plan.to_string());
        (
            small.engine.catalog().iter().cloned().collect::<Vec<_>>(),
            queries.iter().map(of_query).collect::<Vec<_>>(),
        )
    };
    let before = look(&small);
    small.reopen();
    assert_eq!(look(&small), before);
}

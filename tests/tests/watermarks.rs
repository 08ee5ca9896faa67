//! The topic of watermarks is kept short without anybody missing one.

use bd_cluster::{OffsetSpec, TopicPartition};
use bd_e2e::{codecs, load, open_cluster, root, run_and_drain, stream_rows, wait_completed};
use bd_engine::runtime::engine::Engine;
use bd_engine::runtime::query::QueryConfig;
use bd_engine::runtime::{janitor, watermarks};
use tv_cases::Topic;

#[test]
fn a_reader_that_comes_after_the_topic_was_shortened_still_finds_the_end() {
    let data = tempfile::tempdir().unwrap();
    let cluster = open_cluster(data.path()).unwrap();
    load(&cluster, &root().join("demo/tv/fixture"), &Topic::ALL, 1).unwrap();
    run_and_drain(cluster.clone(), QueryConfig::default()).unwrap();

    let marks = TopicPartition::new(watermarks::TOPIC, 0);
    let before = cluster.offset(&marks, OffsetSpec::Stable).unwrap();
    assert_eq!(janitor::shorten(cluster.as_ref(), before, 1).unwrap(), 0, "not long enough");
    assert_eq!(janitor::shorten(cluster.as_ref(), 5, 1).unwrap(), before - 1);
    assert_eq!(cluster.offset(&marks, OffsetSpec::Earliest).unwrap(), before - 1);

    // The sessions' query has ended: who reads them now must learn so from the marks.
    let codecs = codecs(&cluster).unwrap();
    let engine = Engine::open(cluster.clone(), QueryConfig { codecs, ..QueryConfig::default() }).unwrap();
    engine.ensure("CREATE STREAM again AS SELECT user_id, channel_id FROM sessions EMIT CHANGES;").unwrap();
    wait_completed(&engine).unwrap();
    engine.close();
    assert_eq!(stream_rows(cluster.as_ref(), "again").unwrap().len(), 5);
}

#[test]
fn a_topic_that_another_query_writes_later_is_not_taken_for_ended() {
    let data = tempfile::tempdir().unwrap();
    let cluster = open_cluster(data.path()).unwrap();
    let engine = Engine::open(cluster.clone(), QueryConfig::default()).unwrap();
    let run = |sql: &str| {
        if let Err(e) = engine.execute(sql, true) {
            panic!("{sql}: {e}");
        }
    };
    run("CREATE STREAM s (x INT) WITH (kafka_topic = 's', value_format = 'JSON');");
    run("INSERT INTO s (x) VALUES (1); INSERT INTO s (x) VALUES (2);");
    run("CREATE STREAM t AS SELECT x FROM s EMIT CHANGES;");
    engine.drain().unwrap();
    wait_completed(&engine).unwrap();
    // The same topic, written by a new query from its beginning.
    run("DROP STREAM t DELETE TOPIC;");
    run("INSERT INTO s (x) VALUES (3);");
    run("CREATE STREAM t AS SELECT x FROM s EMIT CHANGES;");
    run("CREATE STREAM u AS SELECT x FROM t EMIT CHANGES;");
    engine.drain().unwrap();
    wait_completed(&engine).unwrap();
    engine.close();
    assert_eq!(stream_rows(cluster.as_ref(), "u").unwrap().len(), 3);
}

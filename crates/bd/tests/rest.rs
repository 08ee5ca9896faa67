//! ksqlDB's REST interface, by a real HTTP client against a real process.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

mod support;

use rustix::process::Signal;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::time::Duration;
use support::{Up, agent, dir, eventually, run, stdout, with_input};

const EVENTS: &str = "CREATE STREAM events (id BIGINT KEY, name VARCHAR, price DECIMAL(6, 2), at TIMESTAMP) \
    WITH (kafka_topic = 'events', value_format = 'JSON', partitions = 1);";
const INSERT: &str = "INSERT INTO events (id, name, price, at) VALUES (7, 'ünï', 1.50, 1612223747000);";

fn value(body: &str) -> Value {
    serde_json::from_str(body).unwrap_or_else(|e| panic!("{e}: {body}"))
}

#[test]
fn statements_give_ksqldbs_entities() {
    let data = dir();
    let up = Up::start(data.path());
    let created = up.ksql(EVENTS);
    assert_eq!(created[0]["@type"], "currentStatus");
    assert_eq!(created[0]["commandId"], "stream/`events`/create");
    assert_eq!(created[0]["commandStatus"]["status"], "SUCCESS");
    assert_eq!(created[0]["commandStatus"]["message"], "Stream created");
    assert_eq!(up.ksql(INSERT), json!([]));
    let made =
        up.ksql("CREATE TABLE counts AS SELECT id, COUNT(*) AS n FROM events GROUP BY id EMIT CHANGES;");
    let id = made[0]["commandStatus"]["queryId"].as_str().unwrap().to_string();
    assert!(id.starts_with("CTAS_COUNTS_"), "{id}");

    let all = up.ksql("SHOW STREAMS; SHOW TABLES; SHOW QUERIES; SHOW TOPICS; DESCRIBE events; EXPLAIN SELECT id FROM events EMIT CHANGES;");
    assert_eq!(
        all[0]["streams"],
        json!([{"type": "STREAM", "name": "events", "topic": "events", "keyFormat": "KAFKA", "valueFormat": "JSON", "isWindowed": false}])
    );
    assert_eq!((&all[1]["@type"], &all[1]["tables"][0]["name"]), (&json!("tables"), &json!("counts")));
    assert_eq!((&all[2]["@type"], &all[2]["queries"][0]["id"]), (&json!("queries"), &json!(id)));
    let topics = all[3]["topics"].as_array().unwrap();
    assert!(topics.contains(&json!({"name": "events", "replicaInfo": [1]})), "{topics:?}");
    let described = &all[4]["sourceDescription"];
    assert_eq!(
        described["fields"][0],
        json!({"name": "id", "schema": {"type": "BIGINT", "fields": null, "memberSchema": null}, "type": "KEY"})
    );
    assert_eq!(described["fields"][1]["schema"]["type"], "STRING");
    assert_eq!(described["readQueries"][0]["id"], json!(id));
    assert_eq!(all[5]["@type"], "queryDescription");
    assert!(all[5]["queryDescription"]["executionPlan"].as_str().unwrap().contains("events"));
}

#[test]
fn push_queries_stream_rows_until_their_limit() {
    let data = dir();
    let up = Up::start(data.path());
    up.ksql(EVENTS);
    up.ksql(INSERT);
    let lines = up.query("SELECT id, name, price, at FROM events EMIT CHANGES LIMIT 1;");
    assert_eq!(lines[0]["columnNames"], json!(["id", "name", "price", "at"]));
    assert_eq!(lines[0]["columnTypes"], json!(["BIGINT", "STRING", "DECIMAL(6, 2)", "TIMESTAMP"]));
    assert!(lines[0]["queryId"].as_str().unwrap().starts_with("transient_"));
    assert_eq!(lines[1..], [json!([7, "ünï", 1.5, "2021-02-01T23:55:47.000"])]);

    let request = json!({"ksql": "SELECT id, name FROM events EMIT CHANGES LIMIT 1;",
        "streamsProperties": {"ksql.streams.auto.offset.reset": "earliest"}});
    let (status, body) = up.post("/query", &request);
    assert_eq!(status, 200);
    let old = value(&body);
    assert_eq!(old[0]["header"]["schema"], "`id` BIGINT, `name` STRING");
    assert_eq!(old[1], json!({"row": {"columns": [7, "ünï"]}}));
    assert_eq!(old[2], json!({"finalMessage": "Limit Reached"}));

    // The event time is a column where it is asked for.
    let lines = up.query("SELECT id, ROWTIME FROM events EMIT CHANGES LIMIT 1;");
    assert_eq!(lines[0]["columnNames"], json!(["id", "ROWTIME"]));
    assert!(lines[1][1].as_i64().unwrap() > 0);

    // Where plain JSON is asked for, the answer is one array.
    let sql = json!({"sql": "SELECT id FROM events EMIT CHANGES LIMIT 1;", "streamsProperties": {"auto.offset.reset": "earliest"}});
    let url = format!("{}/query-stream", up.engine);
    let mut response = agent().post(url).header("Accept", "application/json").send(sql.to_string()).unwrap();
    let array = value(&response.body_mut().read_to_string().unwrap());
    assert_eq!(array[1], json!([7]));
}

#[test]
fn a_push_query_without_properties_reads_from_now_on_and_ends_when_it_is_closed() {
    let data = dir();
    let up = Up::start(data.path());
    up.ksql(EVENTS);
    up.ksql("INSERT INTO events (id, name) VALUES (1, 'before');");
    let url = format!("{}/query-stream", up.engine);
    let request = json!({"sql": "SELECT id, name FROM events EMIT CHANGES;"});
    let response = agent().post(url).send(request.to_string()).unwrap();
    let mut lines = BufReader::new(response.into_body().into_reader()).lines();
    let header = value(&lines.next().unwrap().unwrap());
    let id = header["queryId"].as_str().unwrap();
    // The header comes before the query stands at the end of its topic, so rows are written until one is seen.
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                up.ksql("INSERT INTO events (id, name) VALUES (2, 'after');");
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let first = lines.next();
        // Before anything can fail: the other thread must end.
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(value(&first.unwrap().unwrap()), json!([2, "after"]));
    });
    assert_eq!(up.post("/close-query", &json!({"queryId": id})).0, 200);
    for line in lines {
        assert_eq!(value(&line.unwrap()), json!([2, "after"]));
    }
    let gone = eventually("the query is forgotten", || {
        let (status, body) = up.post("/close-query", &json!({"queryId": id}));
        (status == 400).then_some(body)
    });
    assert!(gone.contains("No query with id"), "{gone}");
}

#[test]
fn pull_queries_give_the_rows_of_now() {
    let data = dir();
    let up = Up::start(data.path());
    up.ksql(EVENTS);
    up.ksql("CREATE TABLE counts AS SELECT id, COUNT(*) AS n FROM events GROUP BY id EMIT CHANGES;");
    for id in [1, 2, 1] {
        up.ksql(&format!("INSERT INTO events (id, name) VALUES ({id}, 'x');"));
    }
    eventually("the table holds both rows", || {
        let rows = up.query("SELECT id, n FROM counts WHERE n > 0 ORDER BY id;");
        (rows[1..] == [json!([1, 2]), json!([2, 1])]).then_some(())
    });
    let (status, body) = up.post("/query", &json!({"ksql": "SELECT n FROM counts WHERE id = 1;"}));
    assert_eq!(status, 200);
    assert_eq!(value(&body)[1]["row"]["columns"], json!([2]));
}

#[test]
fn errors_have_ksqldbs_form_and_say_where() {
    let data = dir();
    let up = Up::start(data.path());
    up.ksql(EVENTS);
    let (status, body) = up.post("/ksql", &json!({"ksql": "SHOW STREAMS;\n  DROP STREAM evnts;"}));
    let error = value(&body);
    assert_eq!(
        (status, &error["@type"], &error["error_code"]),
        (400, &json!("statement_error"), &json!(40001))
    );
    assert_eq!(error["statementText"], "DROP STREAM evnts;");
    assert_eq!(error["entities"][0]["@type"], "streams");
    let message = error["message"].as_str().unwrap();
    assert!(message.starts_with("line 2, column "), "{message}");
    assert!(message.contains("events"), "{message}");

    let push = json!({"ksql": "SELECT id FROM events EMIT CHANGES;"});
    assert_eq!(value(&up.post("/ksql", &push).1)["error_code"], 40002);
    for (path, request, expected) in [
        ("/query-stream", json!({"sql": "SELECT nme FROM events EMIT CHANGES;"}), "name"),
        ("/query-stream", json!({"sql": "SHOW STREAMS;"}), "is not a query"),
        (
            "/query-stream",
            json!({"sql": "SELECT id FROM events EMIT CHANGES; SELECT id FROM events EMIT CHANGES;"}),
            "exactly one query, got 2",
        ),
        (
            "/query-stream",
            json!({"sql": "SELECT id FROM events EMIT CHANGES;", "properties": {"auto.offset.reset": "middle"}}),
            "expected earliest or latest",
        ),
        ("/query", json!({"sql": "SELECT id FROM events EMIT CHANGES;"}), "missing field `ksql`"),
    ] {
        let (status, body) = up.post(path, &request);
        assert_eq!(status, 400, "{body}");
        assert!(value(&body)["message"].as_str().unwrap().contains(expected), "{body}");
    }
    assert_eq!(up.get("/nowhere").0, 404);
}

#[test]
fn info_health_metrics_and_drain_answer() {
    let data = dir();
    let up = Up::start(data.path());
    assert_eq!(value(&up.get("/info").1)["KsqlServerInfo"]["serverStatus"], "RUNNING");
    assert_eq!(value(&up.get("/healthcheck").1)["isHealthy"], true);
    assert_eq!(value(&up.get("/drain").1), json!({"state": "none", "queries": []}));
    up.ksql(EVENTS);
    up.ksql(INSERT);
    up.ksql("CREATE STREAM copies AS SELECT id, name FROM events EMIT CHANGES;");
    // Idempotent, also after a kill.
    assert_eq!(up.post("/drain", &json!({})).0, 200);
    assert_eq!(up.post("/drain", &json!({})).0, 200);
    up.signal(Signal::KILL);
    up.wait();
    let up = Up::start(data.path());
    assert_eq!(up.post("/drain", &json!({})).0, 200);
    eventually("the drain is completed", || {
        (value(&up.get("/drain").1)["state"] == "completed").then_some(())
    });
    let rows = up.query("SELECT id, name FROM copies EMIT CHANGES LIMIT 1;");
    assert_eq!(rows[1], json!([7, "ünï"]));
    let metrics = up.get("/metrics").1;
    assert!(
        metrics.contains(
            "# TYPE bd_query_records_in_total counter\nbd_query_records_in_total{query=\"CSAS_COPIES_"
        ),
        "{metrics}"
    );
    assert!(metrics.contains("\nbd_broker_messages_in_total "), "{metrics}");
}

#[test]
fn a_client_that_goes_away_and_a_server_that_stops_end_push_queries() {
    let data = dir();
    let up = Up::start(data.path());
    up.ksql(EVENTS);
    let open = || {
        let url = format!("{}/query-stream", up.engine);
        let request = json!({"sql": "SELECT id FROM events EMIT CHANGES;"});
        let response = agent().post(url).send(request.to_string()).unwrap();
        let mut reader = BufReader::new(response.into_body().into_reader());
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        (value(&line)["queryId"].as_str().unwrap().to_string(), reader)
    };
    let (id, gone) = open();
    drop(gone);
    eventually("the query of the client that is gone has ended", || {
        (up.post("/close-query", &json!({"queryId": id})).0 == 400).then_some(())
    });
    let (_, mut stays) = open();
    up.signal(Signal::TERM);
    let mut rest = String::new();
    stays.read_line(&mut rest).unwrap();
    assert_eq!(rest, "");
    let (status, took, said) = up.wait();
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(took < Duration::from_secs(8), "{took:?}");
}

#[test]
fn the_sql_command_prints_tables_and_errors() {
    let data = dir();
    let up = Up::start(data.path());
    let server = ["sql", "--server", up.engine.as_str()];
    let file = data.path().join("a.sql");
    std::fs::write(&file, format!("-- two; statements\n{EVENTS}\n{INSERT}")).unwrap();
    assert_eq!(stdout(&[&server[..], &["-f", file.to_str().unwrap()]].concat()), "Stream created\n");
    let shown = stdout(&[&server[..], &["-e", "SHOW STREAMS"]].concat());
    assert_eq!(
        shown,
        "Stream Name  Kafka Topic  Key Format  Value Format\n-----------  -----------  ----------  ------------\nevents       events       KAFKA       JSON\n"
    );
    let described = stdout(&[&server[..], &["-e", "DESCRIBE events;"]].concat());
    assert!(described.contains("\nid     BIGINT (key)\nname   VARCHAR\n"), "{described}");
    let rows = stdout(
        &[&server[..], &["--from-beginning", "-e", "SELECT name, id FROM events EMIT CHANGES LIMIT 1;"]]
            .concat(),
    );
    assert_eq!(rows, "name  id\n----  --\nünï   7\n");
    let typed = with_input(
        &server,
        "SET 'auto.offset.reset' = 'earliest';\nSELECT id\n FROM events EMIT CHANGES LIMIT 1;\nexit;\n",
    );
    assert!(String::from_utf8_lossy(&typed.stdout).ends_with("id\n--\n7\n"), "{typed:?}");
    let typed = with_input(&server, "SHOW STREAMS;\n\nSHOW TABLES; SELECT\n nme FROM events EMIT CHANGES;\n");
    assert!(String::from_utf8_lossy(&typed.stderr).contains("line 4, column 2"), "{typed:?}");
    let failed = run(&[&server[..], &["-e", "\nDROP STREAM nowhere;"]].concat());
    let said = String::from_utf8_lossy(&failed.stderr).into_owned();
    assert_eq!(failed.status.code(), Some(1));
    assert!(said.contains("line 2, column ") && said.contains('^'), "{said}");
    let away = run(&["sql", "--server", "http://127.0.0.1:1", "-e", "SHOW STREAMS;"]);
    assert!(String::from_utf8_lossy(&away.stderr).contains("`bd up` starts one"));
}

//! The live demo while its sources change and fail: everything goes on, and arrives.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

use anyhow::{Context, Result, ensure};
use bd_cluster::{RecordsBuilder, TopicPartition, WriterConfig};
use bd_e2e::demo::Demo;
use bd_e2e::{count, read_topic};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::time::{Duration, Instant};

/// How long a change may take to arrive, with all restarts of its way.
const SOON: Duration = Duration::from_secs(30);
/// What happens to the demo, and what must come of it.
type Step = fn(&mut Demo);

/// How long Mosquitto stands still.
const STANDSTILL: Duration = Duration::from_secs(8);

/// A small world in which only the test changes users.
fn live() -> Demo {
    let mut demo = Demo::start(&["--users", "60", "--rate", "10", "--changes", "0"]).unwrap();
    demo.within(SOON, "the first users, views and devices", |demo| {
        Ok(demo.documents("users") == 60 && demo.documents("show_views") > 0)
    })
    .unwrap();
    nothing_fails(&mut demo, "after the start");
    demo
}

/// All connectors, tasks and queries run.
fn nothing_fails(demo: &mut Demo, step: &str) {
    let what = format!("{step}: everything runs");
    let all = demo.within(SOON, &what, |demo| {
        let troubles = demo.troubles()?;
        ensure!(troubles.is_empty(), "{}", troubles.join("; "));
        Ok(true)
    });
    all.unwrap();
}

/// The user as the table (`user_id`, `name`, `age`, `gender`) and the index have it, once they are `expected` (`None`: gone).
fn user_becomes(demo: &mut Demo, step: &str, id: i64, expected: Option<Value>) {
    let row = expected.as_ref().map(|e| json!([e["user_id"], e["name"], e["age"], e["gender"]]));
    let rows: Vec<Value> = row.into_iter().collect();
    let arrived = demo.within(SOON, &format!("{step}: user {id}"), |demo| {
        let table = demo.pull(&format!("SELECT * FROM users WHERE user_id = {id};"))?;
        ensure!(table == rows, "the table has {table:?}, not {rows:?}");
        let document = demo.document("users", &id.to_string())?;
        ensure!(document == expected, "the index has {document:?}, not {expected:?}");
        Ok(true)
    });
    arrived.unwrap();
}

/// The actions that have arrived.
fn actions(demo: &Demo) -> Result<u64> {
    let offsets = demo.get(demo.ports.connect, "/connectors/actions/offsets")?;
    offsets["offsets"][0]["offset"]["messages"].as_u64().context("messages")
}

/// What the simulator has handed to the broker so far, in order: `DATA/world/spool`. A message there is the length of what follows
/// (4 bytes, little endian), the length of its topic (2 bytes), the topic, the payload.
fn spooled(demo: &Demo) -> Result<Vec<Vec<u8>>> {
    let spool = std::fs::read(demo.data.join("world/spool/00000000000000000000.spool"))?;
    let mut rest = spool.as_slice();
    let mut payloads = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let length = u32::from_le_bytes(*length) as usize;
        let Some((message, after)) = after.split_at_checked(length) else { break };
        let (topic, message) = message.split_first_chunk::<2>().context("a topic")?;
        let payload = message.get(u16::from_le_bytes(*topic) as usize..).context("a payload")?;
        payloads.push(payload.to_vec());
        rest = after;
    }
    Ok(payloads)
}

/// Waits until actions go on after a fault.
fn actions_go_on(demo: &mut Demo, step: &str) {
    let before = spooled(demo).unwrap().len() as u64;
    let more = demo.within(SOON, &format!("{step}: actions go on"), |demo| {
        let now = actions(demo)?;
        ensure!(now >= before + 10, "{now} of {before} and 10 more");
        Ok(true)
    });
    more.unwrap();
}

/// The headers of the last record of a topic, once it has `records`.
fn dead_letter(demo: &mut Demo, step: &str, topic: &str, records: usize) -> Value {
    let mut headers = json!({});
    let path = format!("/api/topics/{topic}/messages?n=1");
    let arrived = demo.within(SOON, &format!("{step}: a dead letter in {topic}"), |demo| {
        if count(demo.cluster()?.as_ref(), topic)? < records {
            return Ok(false);
        }
        let page = demo.get(demo.ports.console, &path)?;
        let all = page["messages"][0]["headers"].as_array().context("headers")?;
        headers =
            all.iter().map(|h| (h[0].as_str().unwrap_or("").to_owned(), h[1]["text"].clone())).collect();
        Ok(true)
    });
    arrived.unwrap();
    headers
}

/// A number of the query that writes this topic.
fn of_query(demo: &Demo, sink: &str, number: &str) -> Result<u64> {
    let queries = demo.get(demo.ports.console, "/api/queries")?;
    let query = queries["queries"].as_array().and_then(|all| all.iter().find(|q| q["sink"] == sink));
    query.and_then(|q| q[number].as_u64()).with_context(|| format!("{number} of the query of {sink}"))
}

fn users_follow_the_database(demo: &mut Demo) {
    let step = "inserted";
    demo.database("INSERT INTO users VALUES (9001, 'Ann', 30, 'F'), (9002, 'Bo', NULL, NULL)").unwrap();
    let ann = json!({"user_id": 9001, "name": "Ann", "age": 30, "gender": "F"});
    let bo = json!({"user_id": 9002, "name": "Bo", "age": null, "gender": null});
    user_becomes(demo, step, 9001, Some(ann));
    user_becomes(demo, step, 9002, Some(bo));
    demo.within(SOON, "inserted: no others", |demo| Ok(demo.documents("users") == 62)).unwrap();

    let step = "updated";
    demo.database("UPDATE users SET name = 'Ann Ødegård', age = 31 WHERE user_id = 9001").unwrap();
    let ann = json!({"user_id": 9001, "name": "Ann Ødegård", "age": 31, "gender": "F"});
    user_becomes(demo, step, 9001, Some(ann));

    let step = "primary key changed";
    demo.database("UPDATE users SET user_id = 9003 WHERE user_id = 9001").unwrap();
    let ann = json!({"user_id": 9003, "name": "Ann Ødegård", "age": 31, "gender": "F"});
    user_becomes(demo, step, 9003, Some(ann));
    user_becomes(demo, step, 9001, None);

    let step = "deleted";
    demo.database("DELETE FROM users WHERE user_id = 9002").unwrap();
    user_becomes(demo, step, 9002, None);

    let step = "rolled back";
    demo.database("START TRANSACTION; INSERT INTO users VALUES (9004, 'No', 1, 'F'); ROLLBACK").unwrap();
    demo.database("INSERT INTO users VALUES (9005, 'Yes', 2, 'M')").unwrap();
    let yes = json!({"user_id": 9005, "name": "Yes", "age": 2, "gender": "M"});
    user_becomes(demo, step, 9005, Some(yes));
    user_becomes(demo, step, 9004, None);
    nothing_fails(demo, "users changed");
}

fn versions_of_users(demo: &Demo) -> Value {
    demo.get(demo.ports.registry, "/subjects/tv.tv.users-value/versions").unwrap()
}

fn a_new_column_arrives(demo: &mut Demo) {
    let step = "a column added";
    assert_eq!(versions_of_users(demo), json!([1]), "{step}: before");
    demo.database("ALTER TABLE tv.users ADD COLUMN city VARCHAR(40)").unwrap();
    demo.database("INSERT INTO users VALUES (9010, 'Cleo', 50, 'F', 'Rome')").unwrap();
    let mut cleo = json!({"user_id": 9010, "name": "Cleo", "age": 50, "gender": "F", "city": "Rome"});
    user_becomes(demo, step, 9010, Some(cleo.clone()));
    assert_eq!(versions_of_users(demo), json!([1, 2]), "{step}: after");
    let search = json!({"query": {"term": {"city.keyword": "Rome"}}});
    let searchable = demo.within(SOON, "a column added: the field is searchable", |demo| {
        let found = demo.call("POST", demo.ports.search, "/users/_search", Some(&search))?;
        ensure!(found["hits"]["hits"][0]["_id"] == "9010", "{found}");
        Ok(true)
    });
    searchable.unwrap();

    // A row from before gets the field with its next change.
    demo.database("UPDATE users SET city = 'Oslo' WHERE user_id = 9003").unwrap();
    let ann = json!({"user_id": 9003, "name": "Ann Ødegård", "age": 31, "gender": "F", "city": "Oslo"});
    user_becomes(demo, step, 9003, Some(ann));

    let step = "a column dropped";
    demo.database("ALTER TABLE tv.users DROP COLUMN city").unwrap();
    demo.database("UPDATE users SET age = 51 WHERE user_id = 9010").unwrap();
    cleo.as_object_mut().unwrap().remove("city");
    cleo["age"] = json!(51);
    user_becomes(demo, step, 9010, Some(cleo.clone()));

    let step = "a column added that is NOT NULL";
    demo.database("ALTER TABLE tv.users ADD COLUMN plan VARCHAR(10) NOT NULL DEFAULT 'basic'").unwrap();
    demo.database("UPDATE users SET age = 52 WHERE user_id = 9010").unwrap();
    cleo["age"] = json!(52);
    cleo["plan"] = json!("basic");
    user_becomes(demo, step, 9010, Some(cleo.clone()));
    demo.database("ALTER TABLE tv.users DROP COLUMN plan").unwrap();
    cleo.as_object_mut().unwrap().remove("plan");
    cleo["age"] = json!(53);
    demo.database("UPDATE users SET age = 53 WHERE user_id = 9010").unwrap();
    user_becomes(demo, step, 9010, Some(cleo));
    nothing_fails(demo, step);
}

fn mariadb_is_killed(demo: &mut Demo) {
    let step = "MariaDB killed, its log flushed";
    demo.kill("mariadb").unwrap();
    let flush = "FLUSH BINARY LOGS; INSERT INTO users VALUES (9020, 'Dan', 20, 'M')";
    demo.within(SOON, step, |demo| demo.database(flush).map(|_| true)).unwrap();
    let dan = json!({"user_id": 9020, "name": "Dan", "age": 20, "gender": "M"});
    user_becomes(demo, step, 9020, Some(dan));
    nothing_fails(demo, step);
}

fn mosquitto_stands_still(demo: &mut Demo) {
    let step = "Mosquitto stood still";
    demo.pause("mosquitto").unwrap();
    // The fault itself: that nobody answers for so long.
    std::thread::sleep(STANDSTILL);
    demo.resume("mosquitto").unwrap();
    actions_go_on(demo, step);
    nothing_fails(demo, step);
    // Each action once, and none left out.
    let cluster = demo.cluster().unwrap();
    let rows = read_topic(cluster.as_ref(), "actions").unwrap();
    let arrived: Vec<Vec<u8>> = rows.into_iter().filter_map(|(_, value)| value).collect();
    let sent = spooled(demo).unwrap();
    let once: HashSet<&Vec<u8>> = arrived.iter().collect();
    assert_eq!(once.len(), arrived.len(), "{step}: no action twice");
    // Those of a moment may overtake each other, for they have different devices.
    let begun: Vec<_> = sent.iter().take(arrived.len().saturating_sub(10)).collect();
    let lost: Vec<_> = begun.into_iter().filter(|payload| !once.contains(payload)).collect();
    assert_eq!(lost, Vec::<&Vec<u8>>::new(), "{step}: actions lost of {}", arrived.len());
}

fn mosquitto_is_killed(demo: &mut Demo) {
    let step = "Mosquitto killed";
    let before = demo.pid("mosquitto").unwrap();
    demo.kill("mosquitto").unwrap();
    demo.within(SOON, step, |demo| Ok(demo.pid("mosquitto")? != before)).unwrap();
    actions_go_on(demo, step);
    nothing_fails(demo, step);
}

fn an_unknown_schema_becomes_a_dead_letter(demo: &mut Demo) {
    let step = "an ad of an unknown schema";
    let cluster = demo.cluster().unwrap();
    let mut writer = cluster.open_writer(WriterConfig::default()).unwrap();
    let mut records = RecordsBuilder::new();
    records.push(Some(b"k"), Some(b"\0\0\0\x27\x0fnothing"), 0, &[]);
    writer.append(&TopicPartition::new("ads", 0), records).unwrap();
    writer.flush(SOON).unwrap();
    let headers = dead_letter(demo, step, "ads-dlq", 1);
    assert_eq!(headers["__connect.errors.topic"], "ads", "{step}: {headers}");
    assert_eq!(headers["__connect.errors.stage"], "VALUE_CONVERTER", "{step}: {headers}");
    let reason = headers["__connect.errors.exception.message"].to_string();
    assert!(reason.contains("schema 9999 is not in the registry"), "{step}: {headers}");
    let dead = read_topic(cluster.as_ref(), "ads-dlq").unwrap();
    let expected = (Some(b"k".to_vec()), Some(b"\0\0\0\x27\x0fnothing".to_vec()));
    assert_eq!(dead, [expected], "{step}: the record as it came, once");
    let read = of_query(demo, "watched_ads", "records_in").unwrap();
    let goes_on = |demo: &Demo| Ok(of_query(demo, "watched_ads", "records_in")? > read + 1);
    demo.within(SOON, &format!("{step}: the query goes on"), goes_on).unwrap();
    assert_eq!(of_query(demo, "watched_ads", "dead_letters").unwrap(), 1, "{step}: counted");
    nothing_fails(demo, step);
}

fn a_parquet_file_cut_short_becomes_a_dead_letter(demo: &mut Demo) {
    let step = "a Parquet file cut short";
    let folder = demo.data.join("feed/channels");
    let file = std::fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
    let whole = std::fs::read(file).unwrap();
    let records = |demo: &Demo| count(demo.cluster()?.as_ref(), "channels");
    let before = records(demo).unwrap();
    std::fs::write(folder.join("cut.parquet"), &whole[..whole.len() / 2]).unwrap();
    let headers = dead_letter(demo, step, "channels-dlq", 1);
    let reason = headers["__connect.errors.exception.message"].to_string();
    assert!(reason.contains("cut.parquet: no Parquet file that can be read"), "{step}: {headers}");
    assert_eq!(records(demo).unwrap(), before, "{step}: no record of it");
    nothing_fails(demo, step);

    let step = "a whole Parquet file after it";
    std::fs::write(folder.join(".whole.new"), &whole).unwrap();
    std::fs::rename(folder.join(".whole.new"), folder.join("whole.parquet")).unwrap();
    demo.within(SOON, step, |demo| Ok(records(demo)? == 2 * before)).unwrap();
}

fn the_database_and_bd_are_killed_at_once(demo: &mut Demo) {
    let step = "MariaDB and bd killed at once";
    demo.database("INSERT INTO users VALUES (9030, 'Eve', 40, 'F')").unwrap();
    demo.kill("bd").unwrap();
    demo.kill("mariadb").unwrap();
    demo.within(SOON, step, |demo| demo.database("DELETE FROM users WHERE user_id = 9020").map(|_| true))
        .unwrap();
    let eve = json!({"user_id": 9030, "name": "Eve", "age": 40, "gender": "F"});
    user_becomes(demo, step, 9030, Some(eve));
    user_becomes(demo, step, 9020, None);
    actions_go_on(demo, step);
    nothing_fails(demo, step);
}

#[test]
fn a_live_demo_goes_on_through_changes_and_faults_of_its_sources() {
    let mut demo = live();
    let bd = demo.pid("bd").unwrap();
    let steps: [(&str, Step); 8] = [
        ("users", users_follow_the_database),
        ("columns", a_new_column_arrives),
        ("MariaDB", mariadb_is_killed),
        ("ads", an_unknown_schema_becomes_a_dead_letter),
        ("channels", a_parquet_file_cut_short_becomes_a_dead_letter),
        ("Mosquitto stands still", mosquitto_stands_still),
        ("Mosquitto", mosquitto_is_killed),
        ("bd", the_database_and_bd_are_killed_at_once),
    ];
    for (name, step) in steps {
        let begin = Instant::now();
        if name == "bd" {
            assert_eq!(demo.pid("bd").unwrap(), bd, "bd has lived through all of it");
        }
        step(&mut demo);
        println!("{name}: {:?}", begin.elapsed());
    }
    // The table and the index hold what the database holds.
    let rows: u64 = demo.database("SELECT COUNT(*) FROM users").unwrap().trim().parse().unwrap();
    demo.within(SOON, "users of the index", |demo| Ok(demo.documents("users") == rows)).unwrap();
    let table = demo.pull("SELECT user_id FROM users;").unwrap();
    assert_eq!(table.len() as u64, rows, "users of the table");
    demo.stop().unwrap();
}

//! What the REST service answers, and what the Parquet file looks like.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may panic")]

mod common;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_schema::DataType;
use common::get;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use tv_world::rest::{Feed, Live, Service};
use tv_world::schedule;
use tv_world::world::World;

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixture")
}

/// Serves until the test ends; gives the address.
fn serve(service: Service) -> String {
    let (send, receive) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            send.send(listener.local_addr().unwrap()).unwrap();
            tv_world::rest::serve(listener, service).await.unwrap();
        });
    });
    format!("http://{}/data/2.5", receive.recv().unwrap())
}

fn parsed((status, body): (u16, String)) -> (u16, Value) {
    (status, serde_json::from_str(&body).unwrap())
}

#[test]
fn the_weather_has_the_shape_of_openweather_and_dt_moves_on_with_time() {
    let now = Arc::new(AtomicI64::new(1_795_435_200));
    let world = Arc::new(Mutex::new(World::new(1, 20)));
    let service =
        Service { live: Some(Live { world, now: now.clone() }), interval: 30, ..Service::default() };
    let url = serve(service);
    let ask = || parsed(get(&format!("{url}/weather?id=14&appid=k"))).1;
    let first = ask();
    for field in [
        "coord",
        "weather",
        "base",
        "main",
        "visibility",
        "wind",
        "clouds",
        "dt",
        "sys",
        "timezone",
        "id",
        "name",
        "cod",
    ] {
        assert!(first.get(field).is_some(), "{field}");
    }
    assert!(first["coord"]["lon"].is_f64() && first["coord"]["lat"].is_f64() && first["visibility"].is_i64());
    assert_eq!((&first["id"], &first["cod"]), (&json!(14), &json!(200)));
    let dt = first["dt"].as_i64().unwrap();
    assert!((1_795_435_170..=1_795_435_200).contains(&dt));
    assert_eq!(ask(), first, "the same until it is measured again");
    now.fetch_add(30, Ordering::AcqRel);
    assert_eq!(ask()["dt"], json!(dt + 30));
    let refused = parsed(get(&format!("{url}/weather?id=14")));
    assert_eq!(refused.0, 401);
    assert_eq!(refused.1["cod"], json!(401));
    assert_eq!(
        parsed(get(&format!("{url}/weather?id=99999&appid=k"))),
        (404, json!({"cod": "404", "message": "city not found"}))
    );
    assert_eq!(
        parsed(get(&format!("{url}/weather?appid=k"))),
        (400, json!({"cod": "400", "message": "Nothing to geocode"}))
    );
}

#[test]
fn the_feed_of_a_replay_is_read_page_by_page_and_keeps_no_position() {
    let recorded = Arc::new(Feed::open(&fixture().join("device_locations.jsonl")).unwrap());
    let count = recorded.len();
    let url = serve(Service { recorded, ..Service::default() });
    let page = |start: &str| parsed(get(&format!("{url}/history?start={start}&limit=7&appid=k"))).1;
    assert_eq!(page("0"), page("0"));
    assert_eq!(
        page("0")["list"][0],
        json!({"id": 14, "name": "Ireland", "coord": {"lon": -8.0, "lat": 53.0}, "visibility": 10000, "dt": 1_612_223_700})
    );
    let (mut cursor, mut all) = ("0".to_owned(), Vec::new());
    loop {
        let page = page(&cursor);
        let list = page["list"].as_array().unwrap().clone();
        let next = page["next"].as_str().unwrap().to_owned();
        if list.is_empty() {
            assert_eq!(next, cursor);
            break;
        }
        assert!(list.len() <= 7);
        all.extend(list);
        cursor = next;
    }
    assert_eq!(all.len(), count);
    assert_eq!(cursor, tv_world::rest::cursor(count));
    assert!(all.windows(2).all(|w| w[0]["dt"].as_i64() <= w[1]["dt"].as_i64()));
    assert_eq!(parsed(get(&format!("{url}/history?start=p999999&appid=k"))).0, 400);
    assert_eq!(parsed(get(&format!("{url}/history?start=0"))).0, 401);
}

#[test]
fn lines_that_are_no_places_are_served_as_what_cannot_be_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x");
    let lines: [&[u8]; 5] =
        [b"{\"device_id\": 1, \"lon\": 62.649793826403084}", b"{\"device_id\": ", b"[1]", b"", b"\xff\"x"];
    std::fs::write(&path, lines.join(&b'\n')).unwrap();
    let url = serve(Service { recorded: Arc::new(Feed::open(&path).unwrap()), ..Service::default() });
    let list = parsed(get(&format!("{url}/history?start=0&appid=k"))).1["list"].clone();
    assert_eq!(list[0], json!({"id": 1, "coord": {"lon": 62.649_793_826_403_084}}));
    assert_eq!(list[1], json!("{\"device_id\": "));
    assert_eq!(list[2], json!([1]));
    assert_eq!(list[3], json!("\u{fffd}\"x"));
    assert_eq!(list.as_array().unwrap().len(), 4);
}

#[test]
fn the_schedule_is_one_row_a_channel_nested() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("channels.parquet");
    let case = tv_world::replay::Case::open(&fixture()).unwrap();
    schedule::write(&path, &case.channels().unwrap()).unwrap();
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    let reader =
        ParquetRecordBatchReaderBuilder::try_new(File::open(&path).unwrap()).unwrap().build().unwrap();
    let batch = reader.map(|b| b.unwrap()).next().unwrap();
    assert_eq!(batch.num_rows(), 2);
    let names: Vec<&str> = batch.schema_ref().fields().iter().map(|f| f.name().as_str()).collect();
    assert_eq!(names, ["channel", "channel_id", "schedule"]);
    assert_eq!(batch.column(0).as_string::<i32>().value(1), "HBO");
    assert_eq!(batch.column(1).as_primitive::<Int64Type>().values(), &[57, 58]);
    let days = batch.column(2).as_map();
    assert!(matches!(days.value_type(), DataType::List(_)));
    let first = days.value(0);
    assert_eq!(first.column(0).as_string::<i32>().value(0), "01-02-2021");
    let programs = first.column(1).as_list::<i32>().value(0);
    let programs = programs.as_struct();
    assert_eq!(programs.column_names(), ["program", "program_id", "start"]);
    assert_eq!(programs.column(0).as_string::<i32>().value(2), "Planet Earth");
    assert_eq!(programs.column(1).as_primitive::<Int64Type>().value(2), 14);
    assert_eq!(programs.column(2).as_string::<i32>().value(2), "23:58:00");
    assert_eq!(case.shows().unwrap(), 10);
}

#[test]
fn a_new_day_has_a_new_file_and_the_old_one_goes() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(1, 5);
    let names = || {
        let all = std::fs::read_dir(dir.path()).unwrap();
        all.map(|e| e.unwrap().file_name().into_string().unwrap()).collect::<Vec<_>>()
    };
    schedule::publish(dir.path(), &world, 1_795_435_200).unwrap();
    assert_eq!(names(), ["channels-2026-11-23.parquet"]);
    schedule::publish(dir.path(), &world, 1_795_435_200 + 86_400).unwrap();
    assert_eq!(names(), ["channels-2026-11-24.parquet"]);
    let days = schedule::of_world(&world, 1_795_435_200)[0]
        .schedule
        .0
        .iter()
        .map(|(day, _)| day.clone())
        .collect::<Vec<_>>();
    assert_eq!(days, ["22-11-2026", "23-11-2026", "24-11-2026"]);
}

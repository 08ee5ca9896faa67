//! The weather service: OpenWeather's current weather API, where `id` is a device's.
//!
//! | endpoint | answer |
//! |---|---|
//! | `GET /data/2.5/weather?id=N&appid=KEY` | where the device is and how the weather is there; `dt` is when that was measured |
//! | `GET /data/2.5/history?start=CURSOR&limit=N&appid=KEY` | replay: `{"list": [...], "next": "CURSOR"}`, the recorded places from there on |
//!
//! Without `appid`: 401, as the real one. No read position is kept: the same request gives the same list, and later ones what was
//! added. The first cursor is 0; an empty list has the `next` that was asked for.

use crate::world::{World, geography};
use anyhow::{Context, Result};
use axum::Router;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpListener;

/// A list has at most so many places.
const MOST: usize = 10_000;

/// What the service tells of.
#[derive(Clone, Default)]
pub struct Service {
    /// The simulated world; `None` in a replay.
    pub live: Option<Live>,
    /// How often a device's place is measured (s of world time).
    pub interval: i64,
    /// The recorded places of a replay, in order.
    pub recorded: Arc<Feed>,
}

/// A simulated world.
#[derive(Clone)]
pub struct Live {
    /// The world.
    pub world: Arc<Mutex<World>>,
    /// Its time, epoch seconds.
    pub now: Arc<AtomicI64>,
}

/// The lines of a file of places. Only where they begin is held in memory.
#[derive(Debug, Default)]
pub struct Feed {
    file: Option<File>,
    /// Where each line begins and how long it is (bytes, without its end).
    lines: Vec<(u64, u32)>,
}

impl Feed {
    /// The places of a case's `device_locations.jsonl`; empty lines are left out.
    ///
    /// # Errors
    /// The file cannot be read; a line of over 4 GB.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
        let (mut lines, mut at) = (Vec::new(), 0);
        for line in BufReader::with_capacity(1 << 20, &file).split(b'\n') {
            let line = line.with_context(|| format!("cannot read {}", path.display()))?;
            let length = u32::try_from(line.len())
                .with_context(|| format!("{}: a line is too long", path.display()))?;
            if length > 0 {
                lines.push((at, length));
            }
            at += u64::from(length) + 1;
        }
        Ok(Self { file: Some(file), lines })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The places from `first` on, at most `count`, in the shape of the API: a JSON list.
    fn list(&self, first: usize, count: usize) -> std::io::Result<String> {
        let mut out = String::from("[");
        for (number, (at, length)) in self.lines.iter().skip(first).take(count).enumerate() {
            let Some(file) = &self.file else { break };
            let mut line = vec![0; *length as usize];
            file.read_exact_at(&mut line, *at)?;
            if number > 0 {
                out.push(',');
            }
            out.push_str(&place_json(&line));
        }
        out.push(']');
        Ok(out)
    }
}

#[derive(Deserialize)]
struct WeatherQuery {
    id: Option<String>,
    appid: Option<String>,
}

#[derive(Deserialize)]
struct HistoryQuery {
    start: Option<String>,
    limit: Option<usize>,
    appid: Option<String>,
}

/// Serves for ever.
///
/// # Errors
/// The listener's.
pub async fn serve(listener: TcpListener, service: Service) -> std::io::Result<()> {
    axum::serve(listener, router(service)).await
}

/// The service's endpoints.
pub fn router(service: Service) -> Router {
    Router::new()
        .route("/data/2.5/weather", get(weather))
        .route("/data/2.5/history", get(history))
        .fallback(|| async {
            failure(StatusCode::NOT_FOUND, json!({"cod": "404", "message": "Internal error"}))
        })
        .with_state(service)
}

async fn weather(State(service): State<Service>, Query(query): Query<WeatherQuery>) -> Response {
    if query.appid.is_none_or(|key| key.is_empty()) {
        return unauthorized();
    }
    let Some(id) = query.id else {
        return failure(StatusCode::BAD_REQUEST, json!({"cod": "400", "message": "Nothing to geocode"}));
    };
    let Ok(id) = id.parse::<i64>() else {
        return failure(
            StatusCode::BAD_REQUEST,
            json!({"cod": "400", "message": format!("{id} is not a city ID")}),
        );
    };
    let Some(Live { world, now }) = &service.live else { return not_found() };
    let now = now.load(Ordering::Acquire);
    let world = world.lock().unwrap_or_else(PoisonError::into_inner);
    match current(&world, id, now, service.interval) {
        Some(answer) => json_response(StatusCode::OK, answer.to_string()),
        None => not_found(),
    }
}

/// What the API says of a device at `now` (epoch seconds): measured every `interval` seconds, each device in its own second.
pub fn current(world: &World, id: i64, now: i64, interval: i64) -> Option<Value> {
    let device = world.device(id);
    let household = match device {
        Some(device) => world.household(device.household)?,
        None => &world.spare.iter().find(|spare| spare.id == id)?.home,
    };
    let region = geography::region(household.region);
    let interval = interval.max(1);
    let phase = id.rem_euclid(interval);
    let dt = (now - phase).div_euclid(interval) * interval + phase;
    let home = geography::Point { lon: household.lon, lat: household.lat };
    let at = device.map_or(home, |device| geography::place(world, device, dt));
    let weather = geography::weather(world.seed, at, dt);
    let round = |degrees: f64| (degrees * 10_000.0).round() / 10_000.0;
    let kelvin = |t: f64| (t * 100.0).round() / 100.0;
    let offset = region.offset * 3600;
    let midnight = (dt + offset).div_euclid(86_400) * 86_400 - offset;
    let city = region.cities.get(usize::from(household.city)).map_or("", |c| c.name);
    let (code, group, description) = weather.condition;
    Some(json!({
        "coord": {"lon": round(at.lon), "lat": round(at.lat)},
        "weather": [{"id": code, "main": group, "description": description, "icon": "01d"}],
        "base": "stations",
        "main": {
            "temp": weather.temperature,
            "feels_like": kelvin(weather.temperature - weather.wind * 0.3),
            "temp_min": kelvin(weather.temperature - 1.2),
            "temp_max": kelvin(weather.temperature + 1.2),
            "pressure": weather.pressure,
            "humidity": weather.humidity,
        },
        "visibility": weather.visibility,
        "wind": {"speed": weather.wind, "deg": weather.direction},
        "clouds": {"all": weather.clouds},
        "dt": dt,
        "sys": {"type": 1, "id": 1000 + i64::from(household.city), "country": "", "sunrise": midnight + 6 * 3600, "sunset": midnight + 18 * 3600},
        "timezone": offset,
        "id": id,
        "name": city,
        "cod": 200,
    }))
}

async fn history(State(service): State<Service>, Query(query): Query<HistoryQuery>) -> Response {
    if query.appid.is_none_or(|key| key.is_empty()) {
        return unauthorized();
    }
    let start = query.start.unwrap_or_else(|| "0".to_owned());
    let feed = &service.recorded;
    let Some(first) = place_of(&start).filter(|first| *first <= feed.len()) else {
        let message = format!("start={start} is no cursor of this feed");
        return failure(StatusCode::BAD_REQUEST, json!({"cod": "400", "message": message}));
    };
    let count = query.limit.unwrap_or(1000).clamp(1, MOST).min(feed.len() - first);
    let next = if count == 0 { start } else { cursor(first + count) };
    match feed.list(first, count) {
        Ok(list) => json_response(StatusCode::OK, format!("{{\"list\":{list},\"next\":{}}}", json!(next))),
        Err(error) => {
            let message = format!("the recorded places cannot be read: {error}");
            failure(StatusCode::INTERNAL_SERVER_ERROR, json!({"cod": "500", "message": message}))
        }
    }
}

/// The cursor behind so many places.
pub fn cursor(places: usize) -> String {
    if places == 0 { "0".to_owned() } else { format!("p{places}") }
}

fn place_of(cursor: &str) -> Option<usize> {
    if cursor == "0" { Some(0) } else { cursor.strip_prefix('p')?.parse().ok() }
}

fn unauthorized() -> Response {
    let message = "Invalid API key. Please see https://openweathermap.org/faq#error401 for more info.";
    failure(StatusCode::UNAUTHORIZED, json!({"cod": 401, "message": message}))
}

fn not_found() -> Response {
    failure(StatusCode::NOT_FOUND, json!({"cod": "404", "message": "city not found"}))
}

fn failure(status: StatusCode, body: Value) -> Response {
    json_response(status, body.to_string())
}

fn json_response(status: StatusCode, body: String) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json; charset=utf-8")], body).into_response()
}

/// A recorded place in the shape of the API. A line that is no JSON object becomes a JSON text, so that it is a dead letter where it
/// is read.
pub fn place_json(line: &[u8]) -> String {
    let Ok(Value::Object(mut place)) = serde_json::from_slice::<Value>(line) else {
        return match serde_json::from_slice::<Value>(line) {
            Ok(other) => other.to_string(),
            Err(_) => json!(String::from_utf8_lossy(line)).to_string(),
        };
    };
    let mut out = serde_json::Map::new();
    let mut coord = serde_json::Map::new();
    let mut take = |from: &str, to: &str, out: &mut serde_json::Map<String, Value>| {
        if let Some(value) = place.remove(from) {
            out.insert(to.to_owned(), value);
        }
    };
    take("device_id", "id", &mut out);
    take("location", "name", &mut out);
    take("lon", "lon", &mut coord);
    take("lat", "lat", &mut coord);
    out.insert("coord".to_owned(), Value::Object(coord));
    take("visibility", "visibility", &mut out);
    // A time that is none is left out: without one, the record is as dead as the line was.
    let time =
        place.get("ts").and_then(Value::as_str).and_then(|ts| chrono::DateTime::parse_from_rfc3339(ts).ok());
    if let Some(time) = time.filter(|time| time.timestamp_subsec_nanos() == 0) {
        out.insert("dt".to_owned(), json!(time.timestamp()));
    }
    Value::Object(out).to_string()
}

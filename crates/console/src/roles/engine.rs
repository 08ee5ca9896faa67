//! Streaming queries by ksqlDB's REST, and their counters by Prometheus' text.

use crate::config::Endpoint;
use crate::http::{CallError, Remote};
use crate::panel::now_ms;
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use std::collections::{HashMap, VecDeque};

/// A rate is that of the last so many ms.
const RATE_OVER: i64 = 5000;
/// Older looks say nothing about now.
const STALE: i64 = 30_000;

/// The counters that are shown: of the metrics page, and in the answer.
const COUNTERS: [(&str, &str); 9] = [
    ("bd_query_records_in_total", "records_in"),
    ("bd_query_rows_out_total", "rows_out"),
    ("bd_query_late_rows_total", "late_rows"),
    ("bd_query_dead_letters_total", "dead_letters"),
    ("bd_query_dropped_rows_total", "dropped_rows"),
    ("bd_query_processing_errors_total", "processing_errors"),
    ("bd_query_watermark_seconds", "watermark_seconds"),
    ("bd_query_state_rows", "state_rows"),
    ("bd_query_state_bytes", "state_bytes"),
];

/// The streaming-SQL role.
pub(crate) struct EngineRest {
    remote: Remote,
    /// By query.
    looks: Mutex<HashMap<String, Looks>>,
}

/// (ms, records in, rows out) of the last seconds.
type Looks = VecDeque<(i64, f64, f64)>;

/// Counters by query.
type Counters = HashMap<String, Map<String, Value>>;

impl EngineRest {
    pub(crate) fn new(endpoint: &Endpoint) -> Self {
        Self { remote: Remote::new("streaming SQL", endpoint), looks: Mutex::default() }
    }

    /// Runs one statement; its entity.
    fn statement(&self, ksql: &str) -> Result<Value, CallError> {
        let answer = self.remote.post("/ksql", Some(&json!({"ksql": ksql, "streamsProperties": {}})))?;
        Ok(answer.get(0).cloned().unwrap_or_default())
    }

    /// All queries: `id`, `sql`, `state`, `sink`, `topic`, `error`, and where the role counts them `records_in`, `rows_out`,
    /// `in_rate`, `out_rate` (a second), ...
    pub(crate) fn queries(&self) -> Result<Vec<Value>, CallError> {
        let answer = self.statement("SHOW QUERIES;")?;
        // Only bd's own role has these; ksqlDB's queries are shown without.
        let counters = self.remote.get_text("/metrics").map(|page| counters(&page)).unwrap_or_default();
        let drain = self.remote.get("/drain").unwrap_or_default();
        let found = answer.get("queries").and_then(Value::as_array);
        let found: Vec<&Value> = found.into_iter().flatten().take(1000).collect();
        let mut looks = self.looks.lock();
        looks.retain(|id, _| found.iter().any(|q| q.get("id").is_some_and(|i| i == id.as_str())));
        Ok(found.into_iter().map(|q| shown(q, &counters, &drain, &mut looks)).collect())
    }

    /// One query's description: its plan and errors.
    pub(crate) fn query(&self, id: &str) -> Result<Value, CallError> {
        let quoted = id.replace('`', "``");
        let answer = self.statement(&format!("EXPLAIN `{quoted}`;"))?;
        let of = answer.get("queryDescription").unwrap_or(&Value::Null);
        Ok(json!({
            "id": id,
            "sql": of.get("statementText"),
            "state": of.get("state"),
            "plan": of.get("executionPlan"),
            "topology": of.get("topology"),
            "sources": of.get("sources"),
            "sinks": of.get("sinks"),
            "errors": of.get("queryErrors"),
        }))
    }
}

fn shown(query: &Value, counters: &Counters, drain: &Value, looks: &mut HashMap<String, Looks>) -> Value {
    let id = query.get("id").and_then(Value::as_str).unwrap_or_default();
    let drained = drain.get("queries").and_then(Value::as_array);
    let drained = drained.into_iter().flatten().find(|q| q.get("id").is_some_and(|i| i == id));
    let status = query.get("statusCount").and_then(Value::as_object).and_then(|s| s.keys().next());
    let mut shown = Map::from_iter([
        ("id".to_owned(), json!(id)),
        ("sql".to_owned(), json!(query.get("queryString"))),
        ("type".to_owned(), json!(query.get("queryType"))),
        (
            "state".to_owned(),
            json!(query.get("state").and_then(Value::as_str).or(status.map(String::as_str))),
        ),
        ("sink".to_owned(), json!(query.pointer("/sinks/0"))),
        ("topic".to_owned(), json!(query.pointer("/sinkKafkaTopics/0"))),
        ("error".to_owned(), json!(drained.and_then(|d| d.get("error")))),
    ]);
    if let Some(of) = counters.get(id) {
        shown.extend(of.clone());
        let number = |name: &str| of.get(name).and_then(Value::as_f64).unwrap_or(0.0);
        let look = (now_ms(), number("records_in"), number("rows_out"));
        if let Some((read, written)) = rates(looks.entry(id.to_owned()).or_default(), look) {
            shown.insert("in_rate".into(), json!(read));
            shown.insert("out_rate".into(), json!(written));
        }
    }
    Value::Object(shown)
}

/// Adds a look; the rates over those that are kept.
fn rates(looks: &mut Looks, look: (i64, f64, f64)) -> Option<(f64, f64)> {
    let now = look.0;
    // A counter that goes back is that of a role that was started anew.
    if looks.back().is_some_and(|(t, n, m)| *n > look.1 || *m > look.2 || now - t > STALE) {
        looks.clear();
    }
    looks.push_back(look);
    while looks.len() > 2 && looks.get(1).is_some_and(|(t, ..)| now - t >= RATE_OVER) {
        looks.pop_front();
    }
    let (from, read, written) = *looks.front()?;
    let a_second = |n: f64| (n * 10_000.0 / (now - from) as f64).round() / 10.0;
    (now - from >= 200).then(|| (a_second(look.1 - read), a_second(look.2 - written)))
}

/// The samples of [`COUNTERS`] that have a label `query`.
fn counters(page: &str) -> Counters {
    let mut counters = Counters::new();
    for line in page.lines().filter(|l| !l.starts_with('#')) {
        let Some((name, rest)) = line.split_once("{query=\"") else { continue };
        let Some((_, shown)) = COUNTERS.iter().find(|(n, _)| *n == name) else { continue };
        let Some((id, value)) = rest.split_once("\"} ") else { continue };
        let Ok(value) = value.trim().parse::<f64>() else { continue };
        let value = if value.fract() == 0.0 { json!(value as i64) } else { json!(value) };
        counters.entry(id.replace("\\\"", "\"")).or_default().insert((*shown).to_owned(), value);
    }
    counters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_read_from_prometheus_text() {
        let page = "# HELP x\nbd_query_rows_out_total{query=\"CSAS_A_1\"} 12\nbd_query_watermark_seconds{query=\"CSAS_A_1\"} 1.5\n\
                    bd_query_rows_out_total{query=\"CTAS_B_2\"} nonsense\nother{query=\"a\"} 1\nbd_broker_connections 4\n";
        let counters = counters(page);
        assert_eq!(json!(counters), json!({"CSAS_A_1": {"rows_out": 12, "watermark_seconds": 1.5}}));
    }

    #[test]
    fn a_rate_is_that_of_the_last_seconds_and_starts_anew_with_its_counter() {
        let mut looks = Looks::new();
        assert_eq!(rates(&mut looks, (0, 0.0, 0.0)), None);
        assert_eq!(rates(&mut looks, (1000, 100.0, 50.0)), Some((100.0, 50.0)));
        for second in 2..20 {
            rates(&mut looks, (second * 1000, 100.0, 50.0));
        }
        assert_eq!(rates(&mut looks, (20_000, 100.0, 50.0)), Some((0.0, 0.0)));
        assert!(looks.len() < 10);
        assert_eq!(rates(&mut looks, (21_000, 3.0, 1.0)), None);
    }
}

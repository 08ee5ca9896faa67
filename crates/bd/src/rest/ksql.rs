//! `POST /ksql`: statements, in order, up to the first that fails.

use super::errors::ApiError;
use super::{Service, entities};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bd_engine::EngineError;
use bd_sql::ParsedStatement;
use bd_sql::ast::Statement;
use bytes::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

#[derive(Deserialize)]
struct Request {
    ksql: String,
    #[serde(default, rename = "streamsProperties")]
    properties: Map<String, Value>,
}

/// The handler.
pub(super) async fn post(State(service): State<Service>, body: Bytes) -> Result<Response, ApiError> {
    let request: Request = parse(&body)?;
    from_beginning(&request.properties)?;
    let answer = blocking(move || execute(&service, &request.ksql)).await??;
    Ok(([(header::CONTENT_TYPE, "application/json")], Value::Array(answer).to_string()).into_response())
}

fn execute(service: &Service, text: &str) -> Result<Vec<Value>, ApiError> {
    let parsed = bd_sql::parse(text);
    let statements =
        parsed.map_err(|e| ApiError::statement(&EngineError::Sql(e.to_string()), text.trim(), Vec::new()))?;
    let mut answer = Vec::new();
    for statement in statements {
        let shown = format!("{};", statement.text);
        if matches!(statement.ast, Statement::Select(_)) {
            return Err(ApiError::query_endpoint(&shown, answer));
        }
        let outcomes = match service.0.engine.execute(&placed(&statement), true) {
            Ok(outcomes) => outcomes,
            Err(error) => return Err(ApiError::statement(&error, &shown, answer)),
        };
        for outcome in outcomes {
            match entities::of(service, &statement, outcome) {
                Ok(entity) => answer.extend(entity),
                Err(error) => return Err(ApiError::statement(&error, &shown, answer)),
            }
        }
    }
    Ok(answer)
}

/// The statement where it stands in its text, with blanks for all before it, so that errors name the line and column of the whole
/// text.
fn placed(statement: &ParsedStatement) -> String {
    let before = statement.source.get(..statement.offset).unwrap_or_default();
    let mut text: String = before.chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect();
    text.push_str(&statement.text);
    text
}

/// The body as JSON, whatever its content type says: `curl -d` says that it is a form.
pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body)
        .map_err(|e| ApiError::bad_request(format!("the request's body cannot be read: {e}")))
}

/// Whether push queries are to read from the beginning; by default they read from now on, as ksqlDB's do.
pub(super) fn from_beginning(properties: &Map<String, Value>) -> Result<bool, ApiError> {
    let mut earliest = false;
    for (name, value) in properties {
        match (name.strip_prefix("ksql.streams.").unwrap_or(name), value.as_str()) {
            ("auto.offset.reset", Some("earliest")) => earliest = true,
            ("auto.offset.reset", Some("latest")) => earliest = false,
            ("auto.offset.reset", _) => {
                return Err(ApiError::refused(format!(
                    "auto.offset.reset: expected earliest or latest, not {value}"
                )));
            }
            // What they ask for is always so here.
            ("processing.guarantee", Some("exactly_once" | "exactly_once_v2")) => {}
            ("ksql.query.pull.table.scan.enabled", _) => {}
            _ => {
                return Err(ApiError::refused(format!(
                    "property {name} is not known here; the known one is auto.offset.reset (earliest or latest)"
                )));
            }
        }
    }
    Ok(earliest)
}

/// Runs what blocks on a thread of its own.
pub(super) async fn blocking<T: Send + 'static>(
    f: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ApiError> {
    let done = tokio::task::spawn_blocking(f).await;
    done.map_err(|_| ApiError::internal("the request's thread ended by a panic; the log says where"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_keeps_its_place_in_the_whole_text() {
        let text = "-- é\nSHOW STREAMS; SHOW TABLES;";
        let statements = bd_sql::parse(text).unwrap();
        assert_eq!(placed(&statements[1]), "    \n              SHOW TABLES");
    }
}

//! `POST /query-stream`, `POST /query`: rows as they come; `POST /close-query`.
//!
//! ```text
//!  query's thread ─ chunks (16) ─▶ pump: rows to JSON ─ texts (8) ─▶ HTTP body ─▶ client
//! ```
//! Both channels are bounded. The pump ends with the query, at LIMIT, when the client is gone, or when the server stops.

use super::errors::{ApiError, SERVER_ERROR, generic};
use super::ksql::{blocking, from_beginning, parse};
use super::{Service, json, types};
use arrow_array::{RecordBatch, RecordBatchOptions};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bd_engine::EngineError;
use bd_engine::chunk::{Chunk, Op};
use bd_engine::runtime::engine::Outcome;
use bd_engine::runtime::push::Push;
use bd_engine::runtime::status::QueryState;
use bd_schema::{Field, Row, Schema};
use bd_sql::ParsedStatement;
use bd_sql::ast::{ExprKind, SelectItem, Statement};
use bytes::Bytes;
use futures_core::Stream;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

/// Texts that may wait for the client.
const WAITING: usize = 8;
/// Texts are about so large (bytes).
const TEXT_BYTES: usize = 64 << 10;
/// The name of the event time, as a column.
const ROWTIME: &str = "ROWTIME";
/// How often a silent query looks whether it is still wanted.
const LOOK: Duration = Duration::from_millis(100);

#[derive(Deserialize)]
struct QueryRequest {
    ksql: String,
    #[serde(default, rename = "streamsProperties")]
    properties: Map<String, Value>,
}

#[derive(Deserialize)]
struct QueryStreamRequest {
    sql: String,
    #[serde(default, alias = "streamsProperties")]
    properties: Map<String, Value>,
}

#[derive(Deserialize)]
struct CloseRequest {
    #[serde(rename = "queryId")]
    query_id: String,
}

/// How rows are laid out in the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `/query`: one array of `{"header":..}`, `{"row":..}`, ..., `{"finalMessage":..}`.
    Objects,
    /// `/query-stream`: a header line, then one array a line.
    Delimited,
    /// `/query-stream` where JSON is asked for: the same within one array.
    Array,
}

/// `POST /query`.
pub(super) async fn post_query(State(service): State<Service>, body: Bytes) -> Result<Response, ApiError> {
    let request: QueryRequest = parse(&body)?;
    answer(service, request.ksql, &request.properties, Form::Objects).await
}

/// `POST /query-stream`.
pub(super) async fn post_query_stream(
    State(service): State<Service>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let request: QueryStreamRequest = parse(&body)?;
    let accept = headers.get(header::ACCEPT).and_then(|a| a.to_str().ok()).unwrap_or_default();
    let form = if accept.trim() == "application/json" { Form::Array } else { Form::Delimited };
    answer(service, request.sql, &request.properties, form).await
}

/// `POST /close-query`.
pub(super) async fn post_close(State(service): State<Service>, body: Bytes) -> Result<Response, ApiError> {
    let request: CloseRequest = parse(&body)?;
    let status = service.pushes().get(&request.query_id).cloned();
    match status {
        Some(status) => {
            status.stop();
            Ok(StatusCode::OK.into_response())
        }
        None => Err(ApiError::refused(format!("No query with id {}", request.query_id))),
    }
}

async fn answer(
    service: Service,
    text: String,
    properties: &Map<String, Value>,
    form: Form,
) -> Result<Response, ApiError> {
    let earliest = from_beginning(properties)?;
    let engine = service.0.engine.clone();
    let slot = service.0.push_slots.clone().try_acquire_owned();
    let (started, shows_time) =
        blocking(move || start(|t, e| engine.execute(t, e), &text, earliest)).await??;
    let (texts, body) = mpsc::channel(WAITING);
    match started {
        Outcome::Push(mut push) => {
            // A plan of a stream carries the event time along behind its columns; it is shown where it was asked for.
            if !shows_time {
                push.columns.pop_if(|last| last.name.eq_ignore_ascii_case(ROWTIME));
            }
            let slot = slot.map_err(|_| {
                ApiError::refused("too many push queries are running here; close one of them, and try again")
            })?;
            tokio::task::spawn_blocking(move || pump(&service, push, form, &texts, slot));
        }
        Outcome::Rows { columns, rows } => {
            tokio::task::spawn_blocking(move || {
                let mut layout = Layout::new(form, "", &columns);
                let sent = rows.iter().try_for_each(|row| layout.row(row, &texts));
                if sent.is_ok() {
                    layout.end(None, &texts);
                }
            });
        }
        _ => return Err(ApiError::refused("Statement is not a query")),
    }
    let content_type = match form {
        Form::Delimited => "application/vnd.ksqlapi.delimited.v1",
        Form::Objects | Form::Array => "application/json",
    };
    Ok(([(header::CONTENT_TYPE, content_type)], Body::from_stream(Texts(body))).into_response())
}

/// Checks that the text is one query, and starts it. True where its last column is the event time, by the query's own words.
fn start(
    execute: impl Fn(&str, bool) -> Result<Vec<Outcome>, EngineError>,
    text: &str,
    earliest: bool,
) -> Result<(Outcome, bool), ApiError> {
    let failed = |error: &EngineError| ApiError::statement(error, text.trim(), Vec::new());
    let statements = bd_sql::parse(text).map_err(|e| failed(&EngineError::Sql(e.to_string())))?;
    let shows_time = match statements.as_slice() {
        [ParsedStatement { ast: Statement::Select(select), .. }] => select.items.last().is_some_and(is_time),
        [one] => return Err(ApiError::refused(format!("{};: is not a query: send it to /ksql", one.text))),
        other => return Err(ApiError::refused(format!("Expected exactly one query, got {}", other.len()))),
    };
    let mut outcomes = execute(text, earliest).map_err(|e| failed(&e))?;
    let outcome = outcomes.pop().ok_or_else(|| ApiError::refused("Expected exactly one query, got 0"))?;
    Ok((outcome, shows_time))
}

/// Whether an item of a SELECT gives a column named ROWTIME.
fn is_time(item: &SelectItem) -> bool {
    match item {
        SelectItem::All { .. } => false,
        SelectItem::Expr { alias: Some(alias), .. } => alias.is(ROWTIME),
        SelectItem::Expr { expr, alias: None } => {
            matches!(&expr.kind, ExprKind::Path(path) if path.last().is_some_and(|name| name.is(ROWTIME)))
        }
    }
}

/// The client is gone.
struct Gone;

/// Carries the rows of a push query to its client.
fn pump(service: &Service, push: Push, form: Form, texts: &mpsc::Sender<Bytes>, _slot: OwnedSemaphorePermit) {
    let id = push.status.id.clone();
    service.pushes().insert(id.clone(), push.status.clone());
    let mut layout = Layout::new(form, &id, &push.columns);
    let ended = run(service, &push, &mut layout, texts);
    service.pushes().remove(&id);
    if let Ok(last) = ended {
        layout.end(Some(&last), texts);
    }
}

/// What an answer ends with.
enum Last {
    Message(&'static str),
    Error(String),
}

fn run(
    service: &Service,
    push: &Push,
    layout: &mut Layout<'_>,
    texts: &mpsc::Sender<Bytes>,
) -> Result<Last, Gone> {
    let mut left = push.limit.unwrap_or(usize::MAX);
    // The header goes out at once, so that the client knows that the query runs.
    layout.flush(texts)?;
    while left > 0 {
        if texts.is_closed() {
            return Err(Gone);
        }
        if service.is_stopped() {
            return Ok(Last::Message("The server is stopping"));
        }
        let chunk = match push.next(LOOK) {
            Ok(Some(chunk)) => chunk,
            Ok(None) => continue,
            Err(error) => return Ok(how_it_ended(push, &error)),
        };
        let rows = match rows_of(&push.columns, &chunk) {
            Ok(rows) => rows,
            Err(error) => return Ok(Last::Error(error)),
        };
        for row in rows.iter().take(left) {
            layout.row(row, texts)?;
        }
        left -= rows.len().min(left);
        layout.flush(texts)?;
    }
    Ok(Last::Message("Limit Reached"))
}

/// The query's thread drops its end of the channel a moment before it says why it ended.
fn how_it_ended(push: &Push, error: &EngineError) -> Last {
    let deadline = Instant::now() + Duration::from_secs(1);
    while Instant::now() < deadline {
        match push.status.state() {
            QueryState::Error(reason) => return Last::Error(reason),
            QueryState::Completed | QueryState::Stopped => return Last::Message("Query Completed"),
            QueryState::Starting | QueryState::Running => push.status.wait_change(Duration::from_millis(20)),
        }
    }
    Last::Error(error.to_string())
}

/// The rows that are put in; those that are taken out of a table are not shown, as in ksqlDB.
fn rows_of(columns: &[Field], chunk: &Chunk) -> Result<Vec<Row>, String> {
    let schema = Schema::new(columns.to_vec());
    let arrays = chunk.columns.get(..columns.len()).unwrap_or_default().to_vec();
    let options = RecordBatchOptions::new().with_row_count(Some(chunk.len));
    let batch =
        RecordBatch::try_new_with_options(schema.to_arrow(), arrays, &options).map_err(|e| e.to_string())?;
    let rows = bd_schema::arrow_to_rows(&schema, &batch).map_err(|e| e.to_string())?;
    Ok(rows.into_iter().enumerate().filter(|(i, _)| chunk.op(*i) == Op::Insert).map(|(_, row)| row).collect())
}

/// Lays rows out into texts.
struct Layout<'a> {
    form: Form,
    columns: &'a [Field],
    text: String,
}

impl<'a> Layout<'a> {
    fn new(form: Form, id: &str, columns: &'a [Field]) -> Self {
        let names: Vec<&str> = columns.iter().map(|c| c.name.as_str()).collect();
        let kinds: Vec<String> = columns.iter().map(|c| types::name(&c.data_type)).collect();
        let id = if id.is_empty() { Value::Null } else { json!(id) };
        let text = match form {
            Form::Objects => {
                format!("[{}", json!({"header": {"queryId": id, "schema": types::columns(columns)}}))
            }
            Form::Delimited | Form::Array => {
                let open = if form == Form::Array { "[" } else { "" };
                let close = if form == Form::Array { "" } else { "\n" };
                format!("{open}{}{close}", json!({"queryId": id, "columnNames": names, "columnTypes": kinds}))
            }
        };
        Self { form, columns, text }
    }

    fn row(&mut self, row: &Row, texts: &mpsc::Sender<Bytes>) -> Result<(), Gone> {
        match self.form {
            Form::Objects => self.text.push_str(",\n{\"row\":{\"columns\":"),
            Form::Array => self.text.push_str(",\n"),
            Form::Delimited => {}
        }
        json::write_row(self.columns, row, &mut self.text);
        match self.form {
            Form::Objects => self.text.push_str("}}"),
            Form::Delimited => self.text.push('\n'),
            Form::Array => {}
        }
        if self.text.len() >= TEXT_BYTES { self.flush(texts) } else { Ok(()) }
    }

    fn flush(&mut self, texts: &mpsc::Sender<Bytes>) -> Result<(), Gone> {
        if self.text.is_empty() {
            return Ok(());
        }
        texts.blocking_send(Bytes::from(std::mem::take(&mut self.text))).map_err(|_| Gone)
    }

    fn end(&mut self, last: Option<&Last>, texts: &mpsc::Sender<Bytes>) {
        let closing = match (self.form, last) {
            (Form::Objects, Some(Last::Message(message))) => {
                format!(",\n{}]\n", json!({"finalMessage": message}))
            }
            (Form::Objects, Some(Last::Error(e))) => {
                format!(",\n{}]\n", json!({"errorMessage": generic(SERVER_ERROR, e)}))
            }
            (Form::Array, Some(Last::Error(e))) => format!(",\n{}]\n", generic(SERVER_ERROR, e)),
            (Form::Delimited, Some(Last::Error(e))) => format!("{}\n", generic(SERVER_ERROR, e)),
            (Form::Objects | Form::Array, _) => "]\n".into(),
            (Form::Delimited, _) => String::new(),
        };
        self.text.push_str(&closing);
        // A client that is gone misses nothing.
        let _ = self.flush(texts);
    }
}

/// The channel as a body.
struct Texts(mpsc::Receiver<Bytes>);

impl Stream for Texts {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context).map(|text| text.map(Ok))
    }
}

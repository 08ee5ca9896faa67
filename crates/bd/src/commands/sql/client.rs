//! ksqlDB's REST interface, from the client's side.

use anyhow::{Context, Result, anyhow};
use serde_json::{Value, json};
use std::io::BufReader;
use ureq::{Agent, Body, BodyReader};

/// A server.
pub(super) struct Client {
    agent: Agent,
    server: String,
}

/// What a statement gave.
pub(super) enum Answer {
    /// One entity a statement.
    Done(Vec<Value>),
    /// Why not, as the server says it.
    Refused(String),
}

impl Client {
    /// At `http://host:port`.
    pub(super) fn new(server: &str) -> Self {
        let config = Agent::config_builder().http_status_as_error(false).build();
        Self { agent: Agent::new_with_config(config), server: server.trim_end_matches('/').into() }
    }

    pub(super) fn server(&self) -> &str {
        &self.server
    }

    fn post(&self, path: &str, body: &Value) -> Result<(bool, Body)> {
        let url = format!("{}{path}", self.server);
        let response = self
            .agent
            .post(&url)
            .header("Content-Type", "application/json")
            .send(body.to_string())
            .with_context(|| format!("no answer from {}. Is it running? `bd up` starts one", self.server))?;
        let ok = response.status().is_success();
        Ok((ok, response.into_body()))
    }

    /// Statements that are no queries.
    pub(super) fn statement(&self, text: &str) -> Result<Answer> {
        let (ok, body) = self.post("/ksql", &json!({"ksql": text, "streamsProperties": {}}))?;
        let value = read(body)?;
        Ok(match (ok, value) {
            (true, Value::Array(entities)) => Answer::Done(entities),
            (_, value) => Answer::Refused(message(&value)),
        })
    }

    /// A query: lines of rows behind a header, until it ends.
    pub(super) fn query(&self, text: &str, from_beginning: bool) -> Result<BufReader<BodyReader<'static>>> {
        let reset = if from_beginning { "earliest" } else { "latest" };
        let request = json!({"sql": text, "properties": {"auto.offset.reset": reset}});
        let (ok, body) = self.post("/query-stream", &request)?;
        match ok {
            true => Ok(BufReader::new(body.into_reader())),
            false => Err(anyhow!("{}", message(&read(body)?))),
        }
    }

    /// Ends a push query. That it has ended already is as good.
    pub(super) fn close(&self, id: &str) -> Result<()> {
        self.post("/close-query", &json!({"queryId": id})).map(drop)
    }
}

fn read(body: Body) -> Result<Value> {
    let text = body.into_with_config().limit(1 << 30).read_to_string().context("the answer broke off")?;
    Ok(serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

/// The text of an error, as it is: it holds line, column and what to do.
pub(super) fn message(value: &Value) -> String {
    value["message"].as_str().map_or_else(|| value.to_string(), str::to_string)
}

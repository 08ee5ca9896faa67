//! What the replay and the supervisor ask bd, through its public REST interfaces.

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use ureq::Agent;

/// Where bd's roles are.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct Urls {
    /// Streaming SQL
    #[arg(long, default_value = "http://127.0.0.1:8088", value_name = "URL")]
    pub engine_url: String,
    /// Connectors
    #[arg(long, default_value = "http://127.0.0.1:8083", value_name = "URL")]
    pub connect_url: String,
    /// Search
    #[arg(long, default_value = "http://127.0.0.1:9200", value_name = "URL")]
    pub search_url: String,
    /// The console's page that is shown to people
    #[arg(long, default_value = "http://127.0.0.1:8080/", value_name = "URL")]
    pub console_url: String,
    /// The log
    #[arg(long, default_value = "127.0.0.1:9092", value_name = "HOST:PORT")]
    pub bootstrap: String,
}

impl Default for Urls {
    fn default() -> Self {
        let url = |port: u16| format!("http://127.0.0.1:{port}");
        Self {
            engine_url: url(8088),
            connect_url: url(8083),
            search_url: url(9200),
            console_url: format!("{}/", url(8080)),
            bootstrap: "127.0.0.1:9092".into(),
        }
    }
}

/// A client of bd.
#[derive(Debug, Clone)]
pub struct Bd {
    urls: Urls,
    agent: Agent,
}

/// A connector as the worker tells of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Connector {
    /// Its name.
    pub name: String,
    /// Its configuration.
    pub config: BTreeMap<String, String>,
    /// The state of its first task, such as `RUNNING`.
    pub state: String,
    /// Why it failed, where it did.
    pub trace: String,
}

impl Connector {
    /// Whether its class is of that kind: `mysql`, `mqtt`, `http`, ...
    pub fn is(&self, kind: &str) -> bool {
        self.config.get("connector.class").is_some_and(|class| class.to_ascii_lowercase().contains(kind))
    }

    /// Whether it fills that topic.
    pub fn fills(&self, topic: &str) -> bool {
        ["topic", "kafka.topic"].iter().any(|key| self.config.get(*key).is_some_and(|value| value == topic))
    }
}

impl Bd {
    /// A client of the bd at these addresses.
    pub fn new(urls: Urls) -> Self {
        let config = Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(60)))
            .timeout_connect(Some(Duration::from_secs(1)))
            .http_status_as_error(false)
            .build();
        Self { urls, agent: config.into() }
    }

    /// The addresses.
    pub fn urls(&self) -> &Urls {
        &self.urls
    }

    fn get(&self, url: &str) -> Result<(u16, String)> {
        let mut answer = self.agent.get(url).call().with_context(|| format!("{url} does not answer"))?;
        let status = answer.status().as_u16();
        let body = answer.body_mut().with_config().limit(1 << 30).read_to_string();
        Ok((status, body.with_context(|| format!("{url} did not answer whole"))?))
    }

    fn post(&self, url: &str, body: &Value) -> Result<(u16, String)> {
        let request = self.agent.post(url).header("Content-Type", "application/json");
        let mut answer = request.send(body.to_string()).with_context(|| format!("{url} does not answer"))?;
        let status = answer.status().as_u16();
        let body = answer.body_mut().with_config().limit(1 << 30).read_to_string();
        Ok((status, body.with_context(|| format!("{url} did not answer whole"))?))
    }

    fn json(url: &str, (status, body): (u16, String)) -> Result<Value> {
        if !(200..300).contains(&status) {
            bail!("{url} answers {status}: {}", body.chars().take(500).collect::<String>());
        }
        serde_json::from_str(&body).with_context(|| format!("{url} does not answer JSON"))
    }

    /// Whether the console serves its page.
    pub fn console_serves(&self) -> bool {
        self.get(&self.urls.console_url).is_ok_and(|(status, _)| (200..400).contains(&status))
    }

    /// The rows of a pull query.
    ///
    /// # Errors
    /// The engine does not answer, or refuses.
    pub fn rows(&self, sql: &str) -> Result<Vec<Value>> {
        let url = format!("{}/query", self.urls.engine_url);
        let (status, body) = self.post(&url, &json!({"ksql": sql}))?;
        if status != 200 {
            bail!("{sql}: {}", body.chars().take(500).collect::<String>());
        }
        let items: Vec<Value> =
            serde_json::from_str(&body).with_context(|| format!("{url} does not answer JSON"))?;
        if let Some(message) = items.iter().find_map(|item| item.get("errorMessage")) {
            bail!("{sql}: {message}");
        }
        Ok(items
            .into_iter()
            .filter_map(|mut item| Some(item.get_mut("row")?.get_mut("columns")?.take()))
            .collect())
    }

    /// The queries that read a table, by their ids, with their states.
    ///
    /// # Errors
    /// The engine does not answer, or there is no such table.
    pub fn readers(&self, table: &str) -> Result<Vec<(String, String)>> {
        let url = format!("{}/ksql", self.urls.engine_url);
        let answer = Self::json(&url, self.post(&url, &json!({"ksql": format!("DESCRIBE {table};")}))?)?;
        let readers = answer.pointer("/0/sourceDescription/readQueries").and_then(Value::as_array);
        let readers = readers.with_context(|| format!("{url} does not describe {table}"))?;
        let text =
            |query: &Value, field: &str| query.get(field).and_then(Value::as_str).unwrap_or("").to_owned();
        Ok(readers.iter().map(|query| (text(query, "id"), text(query, "state"))).collect())
    }

    /// How many records a query has read since bd's start.
    ///
    /// # Errors
    /// The engine does not answer.
    pub fn records_in(&self) -> Result<BTreeMap<String, String>> {
        let url = format!("{}/metrics", self.urls.engine_url);
        let (_, text) = self.get(&url)?;
        let sample = |line: &str| {
            let rest = line.strip_prefix("bd_query_records_in_total{query=\"")?;
            let (query, value) = rest.split_once("\"}")?;
            Some((query.to_owned(), value.trim().to_owned()))
        };
        Ok(text.lines().filter_map(sample).collect())
    }

    /// Asks for a drain; again, it changes nothing. Gives its state: `draining`, `completed` or `error`, and what is wrong.
    ///
    /// # Errors
    /// The engine does not answer.
    pub fn drain(&self) -> Result<(String, Vec<String>)> {
        let url = format!("{}/drain", self.urls.engine_url);
        let answer = Self::json(&url, self.post(&url, &json!({}))?)?;
        let state = answer.get("state").and_then(Value::as_str).unwrap_or("none").to_owned();
        let queries = answer.get("queries").and_then(Value::as_array).cloned().unwrap_or_default();
        let errors = queries.iter().filter(|query| query.get("error").is_some_and(|e| !e.is_null()));
        Ok((state, errors.map(|query| format!("{}: {}", query["id"], query["error"])).collect()))
    }

    /// All connectors.
    ///
    /// # Errors
    /// The worker does not answer.
    pub fn connectors(&self) -> Result<Vec<Connector>> {
        let url = format!("{}/connectors?expand=info&expand=status", self.urls.connect_url);
        let answer = Self::json(&url, self.get(&url)?)?;
        let all = answer.as_object().with_context(|| format!("{url} does not answer an object"))?;
        let of = |(name, about): (&String, &Value)| {
            let config = about.pointer("/info/config").and_then(Value::as_object);
            let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let config =
                config.map(|c| c.iter().map(|(k, v)| (k.clone(), text(v))).collect()).unwrap_or_default();
            let at = |path: &str| about.pointer(path).and_then(Value::as_str).unwrap_or("").to_owned();
            Connector {
                name: name.clone(),
                config,
                state: at("/status/tasks/0/state"),
                trace: at("/status/tasks/0/trace"),
            }
        };
        Ok(all.iter().map(of).collect())
    }

    /// The offsets that a connector has committed: pairs of partition and offset.
    ///
    /// # Errors
    /// The worker does not answer.
    pub fn offsets(&self, connector: &str) -> Result<Vec<(Value, Value)>> {
        let url = format!("{}/connectors/{connector}/offsets", self.urls.connect_url);
        let answer = Self::json(&url, self.get(&url)?)?;
        let all = answer.get("offsets").and_then(Value::as_array).cloned().unwrap_or_default();
        Ok(all.into_iter().map(|mut pair| (pair["partition"].take(), pair["offset"].take())).collect())
    }

    /// How many documents an index has; `None` where there is no such index yet.
    ///
    /// # Errors
    /// The search role does not answer.
    pub fn count(&self, index: &str) -> Result<Option<u64>> {
        let refresh = format!("{}/{index}/_refresh", self.urls.search_url);
        if self.post(&refresh, &json!({}))?.0 == 404 {
            return Ok(None);
        }
        let url = format!("{}/{index}/_count", self.urls.search_url);
        let answer = self.get(&url)?;
        if answer.0 == 404 {
            return Ok(None);
        }
        Self::json(&url, answer)?.get("count").and_then(Value::as_u64).map(Some).context("no count")
    }
}

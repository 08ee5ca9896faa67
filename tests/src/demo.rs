//! A whole demo as a test starts it: the supervisor with its servers, its world and bd, all on ports of their own.

use crate::{bd_binary, root, world_binary};
use anyhow::{Context, Result, bail, ensure};
use bd_cluster::Cluster;
use bd_cluster_kafka::{KafkaCluster, KafkaConfig};
use serde_json::Value;
use std::io::Read;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long anything of a demo may take.
pub const PATIENCE: Duration = Duration::from_secs(240);
/// How long all of it may take to end.
const STOP_WITHIN: Duration = Duration::from_secs(8);

/// The ports of one demo.
#[derive(Debug, Clone, Copy)]
pub struct Ports {
    /// Kafka.
    pub cluster: u16,
    /// The schema registry.
    pub registry: u16,
    /// Streaming SQL.
    pub engine: u16,
    /// Kafka Connect.
    pub connect: u16,
    /// Elasticsearch.
    pub search: u16,
    /// The console.
    pub console: u16,
    /// Prometheus.
    pub metrics: u16,
    /// MariaDB.
    pub mariadb: u16,
    /// Mosquitto.
    pub mosquitto: u16,
    /// The weather service.
    pub weather: u16,
}

impl Ports {
    fn free() -> Result<Self> {
        // All at once, so that none is given twice.
        let sockets: Vec<TcpListener> =
            (0..10).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<_, _>>()?;
        let ports: Vec<u16> =
            sockets.iter().map(|s| s.local_addr().map(|a| a.port())).collect::<Result<_, _>>()?;
        let [cluster, registry, engine, connect, search, console, metrics, mariadb, mosquitto, weather] =
            ports[..]
        else {
            bail!("ten ports")
        };
        Ok(Self { cluster, registry, engine, connect, search, console, metrics, mariadb, mosquitto, weather })
    }
}

/// A demo at work. It ends with this value.
pub struct Demo {
    /// Where it is.
    pub ports: Ports,
    /// Its DATA folder.
    pub data: PathBuf,
    supervisor: Child,
    log: PathBuf,
    _folder: Option<tempfile::TempDir>,
}

impl Demo {
    /// Starts a demo in a folder of its own; `args` are the supervisor's.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(args: &[&str]) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("bd-demo").tempdir()?;
        let data = folder.path().join("d");
        let mut demo = Self::start_in(&data, Ports::free()?, args)?;
        demo._folder = Some(folder);
        Ok(demo)
    }

    /// Starts a demo in this folder.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start_in(data: &Path, ports: Ports, args: &[&str]) -> Result<Self> {
        std::fs::create_dir_all(data)?;
        let log = data.join("demo.log");
        let out = std::fs::OpenOptions::new().create(true).append(true).open(&log)?;
        let mut command = Command::new(world_binary()?);
        command.arg("demo").arg("--bd").arg(bd_binary()?).arg("--data").arg(data);
        command.arg("--pipeline").arg(root().join("demo/tv/tv.yaml"));
        command.arg("--replay-pipeline").arg(root().join("demo/tv/replay.yaml"));
        let at = |port: u16| format!("127.0.0.1:{port}");
        for (key, port) in [
            ("listeners", ports.cluster),
            ("registry.listener", ports.registry),
            ("engine.listener", ports.engine),
            ("connect.listener", ports.connect),
            ("search.listener", ports.search),
            ("console.listener", ports.console),
            ("metrics.listener", ports.metrics),
        ] {
            command.arg("--set").arg(format!("{key}={}", at(port)));
        }
        for (role, port) in [
            ("engine", ports.engine),
            ("connect", ports.connect),
            ("search", ports.search),
            ("console", ports.console),
        ] {
            command.arg(format!("--{role}-url")).arg(format!("http://{}", at(port)));
        }
        command.arg("--bootstrap").arg(at(ports.cluster));
        for (server, port) in
            [("mariadb", ports.mariadb), ("mosquitto", ports.mosquitto), ("weather", ports.weather)]
        {
            command.arg(format!("--{server}-port")).arg(port.to_string());
        }
        command.args(args).stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out);
        Ok(Self { ports, data: data.to_owned(), supervisor: command.spawn()?, log, _folder: None })
    }

    /// What it has told people so far.
    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits for a line that contains `text`.
    ///
    /// # Errors
    /// It ends or says nothing of the kind.
    pub fn wait_for(&mut self, text: &str) -> Result<String> {
        let mut found = None;
        self.wait(text, |demo| {
            found = demo.said().lines().find(|line| line.contains(text)).map(str::to_owned);
            Ok(found.is_some())
        })?;
        found.context("a line")
    }

    /// Waits until `is_so`; `what` stands in the error.
    ///
    /// # Errors
    /// It ends before, or time is over.
    pub fn wait(&mut self, what: &str, is_so: impl FnMut(&Self) -> Result<bool>) -> Result<()> {
        self.within(PATIENCE, what, is_so)
    }

    /// As [`Demo::wait`], for `patience` at most.
    ///
    /// # Errors
    /// As [`Demo::wait`]'s.
    pub fn within(
        &mut self,
        patience: Duration,
        what: &str,
        mut is_so: impl FnMut(&Self) -> Result<bool>,
    ) -> Result<()> {
        let deadline = Instant::now() + patience;
        loop {
            let last = match is_so(self) {
                Ok(true) => return Ok(()),
                Ok(false) => String::new(),
                Err(error) => format!("{error:#}"),
            };
            if let Some(status) = self.supervisor.try_wait()? {
                bail!("waiting for {what}: the demo has ended ({status}):\n{}", self.report());
            }
            if Instant::now() > deadline {
                bail!("{what}: not within {patience:?} ({last})\n{}", self.report());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What people and logs were told, for errors.
    pub fn report(&self) -> String {
        let mut report = self.said();
        for name in ["bd", "world"] {
            let log = std::fs::read_to_string(self.data.join(format!("logs/{name}.log"))).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let tail = &lines[lines.len().saturating_sub(25)..];
            report.push_str(&format!("\n{name}.log:\n{}\n", tail.join("\n")));
        }
        report
    }

    /// The process id of one of its processes: `bd`, `mosquitto`, `mariadb`, `world`.
    ///
    /// # Errors
    /// It does not run.
    pub fn pid(&self, name: &str) -> Result<i32> {
        let text = std::fs::read_to_string(self.data.join(format!("run/{name}.json")))?;
        let record: Value = serde_json::from_str(&text)?;
        Ok(i32::try_from(record["pid"].as_i64().context("pid")?)?)
    }

    /// `kill -9` of one of its processes.
    ///
    /// # Errors
    /// It does not run.
    pub fn kill(&self, name: &str) -> Result<()> {
        signal("KILL", self.pid(name)?)
    }

    /// Lets one of its processes stand still; [`Demo::resume`] lets it go on.
    ///
    /// # Errors
    /// It does not run.
    pub fn pause(&self, name: &str) -> Result<()> {
        signal("STOP", self.pid(name)?)
    }

    /// The opposite of [`Demo::pause`].
    ///
    /// # Errors
    /// It does not run.
    pub fn resume(&self, name: &str) -> Result<()> {
        signal("CONT", self.pid(name)?)
    }

    /// GET of a role's REST interface as JSON.
    ///
    /// # Errors
    /// It does not answer with 2xx and JSON.
    pub fn get(&self, port: u16, path: &str) -> Result<Value> {
        self.call("GET", port, path, None)
    }

    /// A call of a role's REST interface.
    ///
    /// # Errors
    /// It does not answer with 2xx and JSON.
    pub fn call(&self, method: &str, port: u16, path: &str, body: Option<&Value>) -> Result<Value> {
        let text = self.text(method, port, path, body)?;
        serde_json::from_str(&text).with_context(|| format!("{method} {path}: {text}"))
    }

    /// A call of a role's REST interface; the answer as text.
    ///
    /// # Errors
    /// It does not answer with 2xx.
    pub fn text(&self, method: &str, port: u16, path: &str, body: Option<&Value>) -> Result<String> {
        let (status, text) = self.answer(method, port, path, body)?;
        ensure!((200..300).contains(&status), "{method} {path}: {status}: {text}");
        Ok(text)
    }

    /// A call of a role's REST interface; the status and the text of its answer.
    ///
    /// # Errors
    /// It does not answer.
    pub fn answer(&self, method: &str, port: u16, path: &str, body: Option<&Value>) -> Result<(u16, String)> {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(20)));
        let agent: ureq::Agent = config.build().into();
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("http://127.0.0.1:{port}{path}"))
            .header("content-type", "application/json")
            .body(body.map(Value::to_string).unwrap_or_default())?;
        let mut answer = agent.run(request)?;
        let mut text = String::new();
        answer.body_mut().as_reader().read_to_string(&mut text)?;
        Ok((answer.status().as_u16(), text))
    }

    /// The source of a document; `None` where it is not there.
    ///
    /// # Errors
    /// The search does not answer as it should.
    pub fn document(&self, index: &str, id: &str) -> Result<Option<Value>> {
        let path = format!("/{index}/_doc/{id}");
        let (status, text) = self.answer("GET", self.ports.search, &path, None)?;
        let answer: Value = serde_json::from_str(&text).with_context(|| format!("{path}: {text}"))?;
        match (status, answer["found"].as_bool()) {
            (200, Some(true)) => Ok(Some(answer["_source"].clone())),
            (404, Some(false)) => Ok(None),
            _ => bail!("{path}: {status}: {text}"),
        }
    }

    /// The rows of a pull query.
    ///
    /// # Errors
    /// It is refused.
    pub fn pull(&self, sql: &str) -> Result<Vec<Value>> {
        let body = serde_json::json!({"ksql": sql});
        let answer = self.call("POST", self.ports.engine, "/query", Some(&body))?;
        let lines = answer.as_array().with_context(|| format!("{sql}: {answer}"))?;
        Ok(lines.iter().filter_map(|line| line["row"].get("columns")).cloned().collect())
    }

    /// Its log, over the socket.
    ///
    /// # Errors
    /// The client's.
    pub fn cluster(&self) -> Result<Arc<dyn Cluster>> {
        let bootstrap = format!("127.0.0.1:{}", self.ports.cluster);
        Ok(Arc::new(KafkaCluster::connect(KafkaConfig::new(bootstrap))?))
    }

    /// Errors of connectors, tasks and queries that do not run.
    ///
    /// # Errors
    /// The console does not answer.
    pub fn troubles(&self) -> Result<Vec<String>> {
        let mut troubles = Vec::new();
        let connectors = self.get(self.ports.console, "/api/connectors")?;
        for connector in connectors["connectors"].as_array().context("connectors")? {
            let tasks = connector["tasks"].as_array().context("tasks")?;
            if tasks.is_empty() || tasks.iter().chain([connector]).any(|of| of["state"] != "RUNNING") {
                troubles.push(format!("connector {connector}"));
            }
        }
        let queries = self.get(self.ports.console, "/api/queries")?;
        for query in queries["queries"].as_array().context("queries")? {
            if query["state"] != "RUNNING" || !query["error"].is_null() {
                troubles.push(format!("query {}: {}: {}", query["id"], query["state"], query["error"]));
            }
        }
        Ok(troubles)
    }

    /// The number of documents of an index; 0 where it is not there.
    pub fn documents(&self, index: &str) -> u64 {
        let answer = self.get(self.ports.search, &format!("/{index}/_count"));
        answer.ok().and_then(|a| a["count"].as_u64()).unwrap_or(0)
    }

    /// Carries out SQL in the database of users.
    ///
    /// # Errors
    /// The client's.
    pub fn database(&self, sql: &str) -> Result<String> {
        let mut command = Command::new("mariadb");
        command.args(["--no-defaults", "--protocol=tcp", "-h", "127.0.0.1", "-u", "bd", "-pbd", "-N", "-B"]);
        command.arg(format!("-P{}", self.ports.mariadb)).args(["tv", "-e", sql]);
        let output = command.output().context("mariadb: run make setup")?;
        ensure!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Ctrl-C; waits for the end of everything, and that nothing is left.
    ///
    /// # Errors
    /// It takes longer than it may, or leaves a process.
    pub fn stop(&mut self) -> Result<ExitStatus> {
        let names = ["bd", "mosquitto", "mariadb", "world"];
        let pids: Vec<i32> = names.iter().filter_map(|name| self.pid(name).ok()).collect();
        let begin = Instant::now();
        signal("INT", i32::try_from(self.supervisor.id())?)?;
        let status = loop {
            if let Some(status) = self.supervisor.try_wait()? {
                break status;
            }
            ensure!(begin.elapsed() < 2 * STOP_WITHIN, "it does not end:\n{}", self.report());
            std::thread::sleep(Duration::from_millis(10));
        };
        ensure!(begin.elapsed() < STOP_WITHIN, "it took {:?} to end", begin.elapsed());
        for pid in pids {
            ensure!(!Path::new(&format!("/proc/{pid}")).exists(), "process {pid} is left");
        }
        Ok(status)
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        if matches!(self.supervisor.try_wait(), Ok(Some(_))) {
            return;
        }
        if self.stop().is_err() {
            for name in ["world", "bd", "mosquitto", "mariadb"] {
                let _ = self.kill(name);
            }
            let _ = self.supervisor.kill();
            let _ = self.supervisor.wait();
        }
    }
}

fn signal(name: &str, pid: i32) -> Result<()> {
    let status = Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).status()?;
    ensure!(status.success(), "kill -{name} {pid}");
    Ok(())
}

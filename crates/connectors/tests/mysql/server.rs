//! A private MariaDB, made and started for one test, ended with it.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder, Value};
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const SETTINGS: &[&str] = &[
    "--innodb-log-file-size=4M",
    "--innodb-buffer-pool-size=16M",
    "--innodb-flush-log-at-trx-commit=2",
    "--innodb-flush-method=nosync",
    "--performance-schema=off",
    "--key-buffer-size=64K",
    "--aria-pagecache-buffer-size=1M",
];

/// A running server.
pub(crate) struct Server {
    dir: TempDir,
    pub(crate) port: u16,
    child: Option<Child>,
    extra: Vec<String>,
    runtime: tokio::runtime::Runtime,
    /// It is a MySQL that somebody else started.
    pub(crate) mysql: bool,
}

/// Root must say that it means it.
fn user() -> Option<&'static str> {
    (fs::metadata("/proc/self").unwrap().uid() == 0).then_some("--user=root")
}

fn missing(what: &str, error: &std::io::Error) -> ! {
    panic!("{what} cannot be run ({error}): these tests need MariaDB; run `make setup`")
}

/// A data directory as `mariadb-install-db` makes it: made once, copied for each server.
fn template() -> &'static Path {
    static TEMPLATE: OnceLock<PathBuf> = OnceLock::new();
    TEMPLATE.get_or_init(|| {
        let version = Command::new("mariadbd").arg("--version").output();
        let version = version.unwrap_or_else(|error| missing("mariadbd", &error));
        let name: String =
            String::from_utf8_lossy(&version.stdout).chars().filter(char::is_ascii_alphanumeric).collect();
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("mariadb-{name}"));
        if path.join("mysql").exists() {
            return path;
        }
        let made =
            tempfile::Builder::new().prefix("mariadb-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let data = made.path().join("data");
        let output = Command::new("mariadb-install-db")
            .args(["--no-defaults", "--skip-test-db", "--auth-root-authentication-method=normal"])
            .args(user())
            .arg(format!("--datadir={}", data.display()))
            .args(SETTINGS)
            .output()
            .unwrap_or_else(|error| missing("mariadb-install-db", &error));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        // Another process may have been faster.
        if let Err(error) = fs::rename(&data, &path) {
            assert!(path.join("mysql").exists(), "{error}");
        }
        path
    })
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Server {
    /// Starts one that writes a row binlog.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with more options.
    pub(crate) fn start_with(extra: &[&str]) -> Self {
        let dir = tempfile::Builder::new().prefix("bd-m-").tempdir_in("/tmp").unwrap();
        copy(template(), &dir.path().join("db"));
        let init = "CREATE USER IF NOT EXISTS bd@'%' IDENTIFIED BY 'bd';
            GRANT ALL PRIVILEGES ON *.* TO bd@'%' WITH GRANT OPTION;
            CREATE DATABASE IF NOT EXISTS tv;";
        let init: Vec<String> = init.lines().map(str::trim).map(str::to_owned).collect();
        fs::write(dir.path().join("init.sql"), format!("SET sql_log_bin=0;\n{}\n", init.join("\n"))).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let extra = extra.iter().map(|e| (*e).to_owned()).collect();
        let mut server = Self { dir, port: free_port(), child: None, extra, runtime, mysql: false };
        server.launch();
        server
    }

    /// A MySQL with a row binlog that runs at the port of `BD_TEST_MYSQL_PORT` on loopback, user and password `bd`; its database
    /// `tv` is emptied.
    pub(crate) fn mysql() -> Self {
        let port = std::env::var("BD_TEST_MYSQL_PORT").unwrap().parse().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let server = Self { dir, port, child: None, extra: Vec::new(), runtime, mysql: true };
        server.runtime.block_on(async {
            let mut conn = Conn::new(server.opts()).await.unwrap();
            for statement in ["DROP DATABASE IF EXISTS tv", "CREATE DATABASE tv CHARACTER SET utf8mb4"] {
                conn.query_drop(statement).await.unwrap();
            }
            conn.disconnect().await.unwrap();
        });
        server
    }

    /// Starts the process again, on the same port and data.
    pub(crate) fn launch(&mut self) {
        let path = self.dir.path();
        let child = Command::new("mariadbd")
            .arg("--no-defaults")
            .args(user())
            .arg(format!("--datadir={}", path.join("db").display()))
            .arg(format!("--socket={}", path.join("s").display()))
            .arg(format!("--pid-file={}", path.join("pid").display()))
            .arg(format!("--tmpdir={}", path.display()))
            .arg(format!("--port={}", self.port))
            .arg(format!("--init-file={}", path.join("init.sql").display()))
            .args(["--bind-address=127.0.0.1", "--skip-name-resolve", "--server-id=1", "--log-bin=binlog"])
            .args(["--binlog-format=ROW", "--binlog-row-image=FULL", "--character-set-server=utf8mb4"])
            .args(["--default-time-zone=+03:00", "--sync-binlog=0"])
            .args(SETTINGS)
            .args(&self.extra)
            .stdout(Stdio::null())
            .stderr(fs::File::create(path.join("log")).unwrap())
            .spawn()
            .unwrap_or_else(|error| missing("mariadbd", &error));
        self.child = Some(child);
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.runtime.block_on(Conn::new(self.opts())).is_err() {
            let log = || fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "mariadbd ended: {}", log());
            assert!(Instant::now() < deadline, "mariadbd does not answer: {}", log());
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }

    /// Ends the process at once.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Lets the process end in order.
    pub(crate) fn shutdown(&mut self) {
        let _ = self.runtime.block_on(async { Conn::new(self.opts()).await?.query_drop("SHUTDOWN").await });
        if let Some(mut child) = self.child.take() {
            child.wait().unwrap();
        }
    }

    fn opts(&self) -> Opts {
        OptsBuilder::default()
            .ip_or_hostname("127.0.0.1")
            .tcp_port(self.port)
            .user(Some("bd"))
            .pass(Some("bd"))
            .prefer_socket(false)
            .init(vec!["SET NAMES utf8mb4", "SET sql_mode = ''"])
            .into()
    }

    /// Runs statements, separated by semicolons at the end of lines, on one connection with `tv` as its database.
    pub(crate) fn sql(&self, statements: &str) {
        self.runtime.block_on(async {
            let mut conn = Conn::new(self.opts()).await.unwrap();
            conn.query_drop("USE tv").await.unwrap();
            for statement in statements.split(";\n").map(str::trim).filter(|s| !s.is_empty()) {
                let done = conn.query_drop(statement.trim_end_matches(';')).await;
                done.unwrap_or_else(|error| panic!("{statement}: {error}"));
            }
            conn.disconnect().await.unwrap();
        });
    }

    /// The first value of a query.
    pub(crate) fn value(&self, query: &str) -> String {
        self.runtime.block_on(async {
            let mut conn = Conn::new(self.opts()).await.unwrap();
            let row: mysql_async::Row = conn.query_first(query).await.unwrap().unwrap();
            match row.get::<Value, _>(0).unwrap() {
                Value::Bytes(bytes) => String::from_utf8(bytes).unwrap(),
                other => format!("{other:?}"),
            }
        })
    }

    /// Ends what the server still sends to clients of its binlog.
    pub(crate) fn end_dumps(&self) {
        self.runtime.block_on(async {
            let mut conn = Conn::new(self.opts()).await.unwrap();
            let query = "SELECT id FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%'";
            let ids: Vec<u64> = conn.query(query).await.unwrap();
            for id in ids {
                // It may have ended by itself.
                let _ = conn.query_drop(format!("KILL {id}")).await;
            }
            conn.disconnect().await.unwrap();
        });
    }

    /// Writes from another thread until the answer is dropped or `count` statements are done.
    pub(crate) fn write_in_background(&self, statements: Vec<String>) -> std::thread::JoinHandle<()> {
        let opts = self.opts();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let mut conn = Conn::new(opts).await.unwrap();
                conn.query_drop("USE tv").await.unwrap();
                for statement in statements {
                    conn.query_drop(statement).await.unwrap();
                }
                conn.disconnect().await.unwrap();
            });
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

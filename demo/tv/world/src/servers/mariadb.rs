//! MariaDB: a database with a row binlog, and the table `tv.users`.

use super::{Server, environment, program};
use crate::files;
use crate::layout::Layout;
use crate::process::{Process, Spec};
use anyhow::{Context, Result, bail};
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// What the server does at each start: its users and, in the binlog like any other change, its table.
const INIT: &str = "\
SET SESSION sql_log_bin=0;
CREATE USER IF NOT EXISTS 'bd'@'%' IDENTIFIED BY 'bd';
GRANT ALL PRIVILEGES ON *.* TO 'bd'@'%' WITH GRANT OPTION;
SET SESSION sql_log_bin=1;
CREATE DATABASE IF NOT EXISTS tv CHARACTER SET utf8mb4;
CREATE TABLE IF NOT EXISTS tv.users (user_id BIGINT NOT NULL PRIMARY KEY, name VARCHAR(255), age BIGINT, gender VARCHAR(32)) ENGINE=InnoDB;
";

/// A private MariaDB.
#[derive(Debug)]
pub struct MariaDb {
    layout: Layout,
    port: u16,
}

impl MariaDb {
    /// Of that world, on that port.
    pub fn new(layout: Layout, port: u16) -> Self {
        Self { layout, port }
    }

    fn tables(&self) -> PathBuf {
        self.layout.mariadb().join("db")
    }

    fn new_tables(&self) -> PathBuf {
        self.layout.mariadb().join("db.new")
    }

    /// For temporary tables: a MariaDB that starts deletes those of any other in its folder.
    fn temporary(&self) -> PathBuf {
        self.layout.mariadb().join("tmp")
    }

    fn settings(&self) -> PathBuf {
        self.layout.mariadb().join("my.cnf")
    }

    /// The settings of the server. The binlog is kept for ever: bd may be away for long, and rows are small.
    fn write_settings(&self) -> Result<()> {
        let (folder, temporary) = (self.layout.mariadb(), self.temporary());
        std::fs::create_dir_all(&temporary)
            .with_context(|| format!("cannot make {}", temporary.display()))?;
        // The socket is relative to the data folder: a path in it may be 107 bytes at most.
        let text = format!(
            "[mariadbd]\ndatadir={0}/db\ntmpdir={0}/tmp\nsocket=mariadbd.sock\npid-file=mariadbd.pid\nport={1}\nbind-address=127.0.0.1\n\
             skip-name-resolve\ndefault-time-zone=+00:00\ncharacter-set-server=utf8mb4\nserver-id=1\nlog-bin=binlog\n\
             binlog_format=ROW\nbinlog_row_image=FULL\nmax_binlog_size=64M\nexpire_logs_days=0\n\
             innodb_buffer_pool_size=32M\ninnodb_log_file_size=16M\ninnodb_buffer_pool_dump_at_shutdown=OFF\n\
             innodb_buffer_pool_load_at_startup=OFF\nperformance_schema=OFF\nkey_buffer_size=1M\n\
             aria_pagecache_buffer_size=8M\nmax_connections=50\nmax_connect_errors=1000000\nlog_warnings=1\ninit-file={0}/init.sql\n",
            folder.display(),
            self.port
        );
        files::write(&folder.join("init.sql"), INIT.as_bytes())?;
        files::write(&self.settings(), text.as_bytes())
    }
}

impl Server for MariaDb {
    fn name(&self) -> &'static str {
        "mariadb"
    }

    fn port(&self) -> u16 {
        self.port
    }

    fn first(&self) -> Option<Spec> {
        if self.tables().exists() {
            return None;
        }
        let made = (|| {
            // One that a killed start has left would write into the same folder.
            if let Some(mut left) = Process::running("mariadb-init", &self.layout.run())? {
                left.kill();
                left.wait(Duration::from_secs(2));
            }
            let _ = std::fs::remove_dir_all(self.new_tables());
            self.write_settings()?;
            Ok::<_, anyhow::Error>(vec![
                program("mariadb-install-db", "mariadb-server")?,
                "--no-defaults".into(),
                // Relative to the working folder, and that to the data folder: the script takes no path with spaces.
                "--datadir=./db.new".into(),
                "--tmpdir=../tmp".into(),
                format!("--user={}", user_name()?),
                "--auth-root-authentication-method=normal".into(),
                "--skip-test-db".into(),
                "--innodb-log-file-size=16M".into(),
            ])
        })();
        // What is wrong with it is said when the server is prepared.
        let command = made.ok()?;
        Some(Spec {
            name: "mariadb-init",
            command,
            environment: environment(&self.layout),
            folder: self.layout.mariadb(),
        })
    }

    fn first_done(&self) -> Result<()> {
        std::fs::rename(self.new_tables(), self.tables())
            .context("cannot move MariaDB's new data to its place")
    }

    fn prepare(&self) -> Result<Spec> {
        self.write_settings()?;
        let program = program("mariadbd", "mariadb-server")?;
        program_of_init()?;
        Ok(Spec {
            name: self.name(),
            command: vec![
                program,
                format!("--defaults-file={}", self.settings().display()),
                format!("--user={}", user_name()?),
            ],
            environment: environment(&self.layout),
            folder: self.layout.mariadb(),
        })
    }

    fn ready(&self) -> Result<()> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let mut socket = TcpStream::connect_timeout(&address, Duration::from_millis(500))
            .with_context(|| format!("no answer on {address}"))?;
        socket.set_read_timeout(Some(Duration::from_millis(500)))?;
        // The greeting: length (3 bytes), number, protocol version 10. The init file has run by then.
        let mut greeting = [0; 5];
        socket.read_exact(&mut greeting).context("no greeting")?;
        if greeting[4] != 10 {
            bail!("port {} does not speak MariaDB's protocol", self.port);
        }
        Ok(())
    }
}

fn program_of_init() -> Result<String> {
    program("mariadb-install-db", "mariadb-server")
}

/// The name of the user who runs this, for servers that are to run as the same one.
pub(super) fn user_name() -> Result<String> {
    let output = Command::new("id").arg("-un").output().context("cannot run id")?;
    let name = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if name.is_empty() {
        bail!("this user has no name: `id -un` says nothing")
    }
    Ok(name)
}

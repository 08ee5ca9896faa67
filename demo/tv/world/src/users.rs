//! The table `tv.users` of MariaDB.

use crate::world::{Change, Person};
use anyhow::{Context, Result};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder, Params, Value};

/// So many rows go into one statement.
const ROWS: usize = 500;

/// A row; a column may be null in recorded cases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// `user_id`.
    pub id: i64,
    /// `name`.
    pub name: Option<String>,
    /// `age`.
    pub age: Option<i64>,
    /// `gender`.
    pub gender: Option<String>,
}

impl From<&Person> for Row {
    fn from(person: &Person) -> Self {
        Self {
            id: person.id,
            name: Some(person.name.clone()),
            age: Some(person.age),
            gender: Some(person.gender.clone()),
        }
    }
}

/// A connection to the database.
#[derive(Debug)]
pub struct Users {
    connection: Conn,
}

impl Users {
    /// Connects.
    ///
    /// # Errors
    /// The server does not answer, or refuses.
    pub async fn connect(port: u16) -> Result<Self> {
        let options = OptsBuilder::default()
            .ip_or_hostname("127.0.0.1")
            .tcp_port(port)
            .user(Some("bd"))
            .pass(Some("bd"))
            .db_name(Some("tv"))
            .prefer_socket(false);
        let mut connection =
            Conn::new(options).await.with_context(|| format!("cannot connect to MariaDB on port {port}"))?;
        connection.query_drop("SET NAMES utf8mb4").await?;
        Ok(Self { connection })
    }

    /// Inserts rows, or replaces the columns of those whose id is there; the later of two with one id holds. One transaction for some
    /// hundred rows.
    ///
    /// # Errors
    /// The server's.
    pub async fn put(&mut self, rows: &[Row]) -> Result<()> {
        for rows in rows.chunks(ROWS) {
            let places = vec!["(?,?,?,?)"; rows.len()].join(",");
            let sql = format!(
                "INSERT INTO users (user_id, name, age, gender) VALUES {places} \
                 ON DUPLICATE KEY UPDATE name = VALUES(name), age = VALUES(age), gender = VALUES(gender)"
            );
            let values: Vec<Value> = rows
                .iter()
                .flat_map(|r| {
                    [r.id.into(), r.name.as_deref().into(), r.age.into(), r.gender.as_deref().into()]
                })
                .collect();
            self.connection
                .exec_drop(sql, Params::Positional(values))
                .await
                .context("cannot write users to MariaDB")?;
        }
        Ok(())
    }

    /// Makes one change; again, it changes nothing.
    ///
    /// # Errors
    /// The server's.
    pub async fn apply(&mut self, change: &Change) -> Result<()> {
        match change {
            Change::Insert(person) => self.put(&[person.into()]).await,
            Change::Update(p) => {
                let sql = "UPDATE users SET name = ?, age = ?, gender = ? WHERE user_id = ?";
                let values = (&p.name, p.age, &p.gender, p.id);
                self.connection.exec_drop(sql, values).await.context("cannot change a user in MariaDB")
            }
            Change::Delete(id, _) => {
                let sql = "DELETE FROM users WHERE user_id = ?";
                self.connection.exec_drop(sql, (id,)).await.context("cannot delete a user from MariaDB")
            }
        }
    }

    /// All rows by their ids.
    ///
    /// # Errors
    /// The server's; a row whose columns have other types.
    pub async fn all(&mut self) -> Result<Vec<Row>> {
        let sql = "SELECT user_id, name, age, gender FROM users ORDER BY user_id";
        let row = |(id, name, age, gender)| Row { id, name, age, gender };
        self.connection.query_map(sql, row).await.context("cannot read users from MariaDB")
    }
}

use super::*;
use crate::mysql::Flavor;
use bd_connect::sdk::{Config, StopFlag};

fn settings(extra: &[(&str, &str)]) -> Settings {
    let mut config = Config::default()
        .with("topic.prefix", "p")
        .with("database.hostname", "h")
        .with("database.user", "u")
        .with("table.include.list", r"tv\.(users|people)");
    for (key, value) in extra {
        config = config.with(key, *value);
    }
    Settings::read(&config, Flavor::MariaDb).unwrap()
}

fn catalog(statements: &[&str]) -> Catalog {
    let mut catalog = Catalog { prefix: "p".to_owned(), ..Catalog::default() };
    for statement in statements {
        catalog.apply(&settings(&[]), "tv", statement).unwrap();
    }
    catalog
}

fn names(catalog: &Catalog, table: &str) -> String {
    let table = catalog.table("tv", table).unwrap();
    let names: Vec<&str> = table.columns.iter().map(|c| c.name.as_str()).collect();
    format!("{} key {}", names.join(" "), table.primary_key.join(" "))
}

const USERS: &str =
    "CREATE TABLE users (id INT PRIMARY KEY, a VARCHAR(3), b TEXT CHARACTER SET latin1, c INT)";

#[test]
fn alter_table_moves_columns_as_the_server_does() {
    let cases = [
        ("ALTER TABLE users ADD d INT", "id a b c d key id"),
        ("ALTER TABLE users ADD d INT FIRST, ADD e INT AFTER d", "d e id a b c key id"),
        ("ALTER TABLE users DROP b, ADD b INT", "id a c b key id"),
        ("ALTER TABLE users MODIFY c BIGINT AFTER id", "id c a b key id"),
        ("ALTER TABLE users CHANGE id key_id BIGINT", "key_id a b c key key_id"),
        ("ALTER TABLE users RENAME COLUMN a TO b, RENAME COLUMN b TO a", "id b a c key id"),
        ("ALTER TABLE users DROP PRIMARY KEY, ADD PRIMARY KEY (c, id)", "id a b c key c id"),
        ("ALTER TABLE users DROP COLUMN IF EXISTS zz", "id a b c key id"),
    ];
    for (alter, expected) in cases {
        assert_eq!(names(&catalog(&[USERS, alter]), "users"), expected, "{alter}");
    }
}

#[test]
fn character_sets_come_from_column_table_or_database() {
    let charset = |statements: &[&str], column: usize| {
        let catalog = catalog(statements);
        catalog.table("tv", "users").unwrap().columns.get(column).unwrap().charset.clone().unwrap()
    };
    assert_eq!(charset(&[USERS], 1), "utf8mb4");
    assert_eq!(charset(&[USERS], 2), "latin1");
    assert_eq!(charset(&["ALTER DATABASE tv CHARACTER SET latin1", USERS], 1), "latin1");
    assert_eq!(charset(&[USERS, "ALTER TABLE users CONVERT TO CHARACTER SET ascii"], 2), "ascii");
    assert_eq!(charset(&[USERS, "ALTER TABLE users CHARSET latin1, ADD d TEXT"], 4), "latin1");
}

#[test]
fn tables_are_renamed_copied_and_dropped() {
    let renamed = catalog(&[USERS, "RENAME TABLE users TO people"]);
    assert!(renamed.table("tv", "users").is_none());
    assert_eq!(names(&renamed, "people"), "id a b c key id");
    // How online schema changes swap a table.
    let swap = catalog(&[
        USERS,
        "CREATE TABLE _users_new LIKE users",
        "ALTER TABLE _users_new ADD d INT",
        "RENAME TABLE users TO _users_old, _users_new TO users",
    ]);
    assert_eq!(names(&swap, "users"), "id a b c d key id");
    let altered = catalog(&[USERS, "ALTER TABLE users ADD d INT, RENAME people"]);
    assert_eq!(names(&altered, "people"), "id a b c d key id");
    assert!(catalog(&[USERS, "DROP TABLE users"]).table("tv", "users").is_none());
    assert!(catalog(&[USERS, "DROP DATABASE tv"]).table("tv", "users").is_none());
    let again = catalog(&[USERS, "CREATE TABLE IF NOT EXISTS users (x INT)"]);
    assert_eq!(names(&again, "users"), "id a b c key id");
}

#[test]
fn definitions_survive_in_source_offsets() {
    let mut first = catalog(&[
        "ALTER DATABASE tv CHARSET latin1",
        USERS,
        "CREATE TABLE people (e ENUM('x','y'), PRIMARY KEY (e))",
    ]);
    let offsets = first.take_changes().into_iter();
    let offsets = offsets.map(|(p, o)| (serde_json::to_string(&p).unwrap(), o.unwrap())).collect();
    let context = TaskContext {
        connector: "c".to_owned(),
        task: 0,
        config: Config::default(),
        offsets,
        stop: StopFlag::default(),
        registry: None,
    };
    let second = Catalog::load(&context, "p");
    assert_eq!(second.tables, first.tables);
    assert_eq!(second.charsets, first.charsets);
    assert!(Catalog::load(&context, "other").tables.is_empty());
    first.apply(&settings(&[]), "tv", "DROP TABLE people").unwrap();
    let gone = first.take_changes();
    assert_eq!(gone.len(), 1);
    assert!(gone.iter().all(|(p, o)| o.is_none()
        && serde_json::to_string(p).unwrap() == r#"{"server":"p","database":"tv","table":"people"}"#));
}

#[test]
fn a_statement_not_understood_is_fatal_for_captured_tables_only() {
    let mut catalog = catalog(&[USERS, "CREATE TABLE other (id INT)"]);
    let error = catalog.apply(&settings(&[]), "tv", "ALTER TABLE users DROP nothing").unwrap_err();
    let TaskError::Fatal(text) = error else { panic!("{error}") };
    assert!(text.contains("tv.users") && text.contains("ALTER TABLE users DROP nothing"), "{text}");
    catalog.apply(&settings(&[]), "tv", "ALTER TABLE other DROP nothing").unwrap();
    assert!(catalog.table("tv", "other").is_none());
}

#[test]
fn changes_logged_as_statements_are_fatal_for_captured_tables_only() {
    let mut catalog = catalog(&[USERS]);
    catalog.apply(&settings(&[]), "tv", "INSERT INTO other VALUES (1)").unwrap();
    assert!(catalog.apply(&settings(&[]), "x", "DELETE FROM tv.users").is_err());
}

#[test]
fn json_of_mariadb_is_longtext_as_show_create_table_says() {
    let mut catalog = Catalog { mariadb: true, ..Catalog::default() };
    catalog.apply(&settings(&[]), "tv", "CREATE TABLE users (j JSON)").unwrap();
    let table = catalog.table("tv", "users").unwrap();
    assert_eq!(table.columns.first().unwrap().type_name, "longtext");
}

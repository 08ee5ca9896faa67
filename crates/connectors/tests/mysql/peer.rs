//! The same against a MySQL: its global transaction ids, its password hashing, its JSON, its DDL.

use crate::server::Server;
use crate::world::World;
use serde_json::json;

const NEEDS: &str = "a MySQL 8 with gtid_mode=ON";

#[test]
#[ignore = "needs a MySQL 8 with gtid_mode=ON and binlog_row_metadata=FULL at BD_TEST_MYSQL_PORT"]
fn mysql_is_read_as_mariadb_is() {
    let gtid = crate::streaming::changes(&Server::mysql());
    assert_eq!(gtid.len() - gtid.find(':').unwrap_or_else(|| panic!("{NEEDS}")), gtid.len() - 36, "{gtid}");
    crate::resume::stops(&Server::mysql());
    crate::definitions::backlog(&Server::mysql());
    crate::types::every_type(&Server::mysql());
    crate::definitions::described(&Server::mysql());
    documents(&Server::mysql());
}

/// Documents as text, and as the binlog's binary form.
fn documents(server: &Server) {
    let documents = [
        "'null'",
        "'[]'",
        "'{}'",
        "'[1, -1, 32767, 32768, 65535, 65536, 2147483648, 4294967296, 9223372036854775807, 18446744073709551615]'",
        "'[0.1, 1.0, -2.5e-7, 1e20, 1.7976931348623157e308]'",
        "'[true, false, null]'",
        r#"'["quote \\" backslash \\\\ newline \\n tab \\t control \\u0001 slash / é 日本 😀"]'"#,
        r#"'{"b": {"a": [{"deep": ["x"]}]}, "": 1, "aa": 2}'"#,
        "JSON_OBJECT('d', CAST('2018-06-20' AS DATE), 't', CAST('17:51:04.25' AS TIME(2)), 'at', CAST('2018-06-20 06:37:03.5' AS DATETIME(1)))",
        "JSON_ARRAY(CAST(1.50 AS DECIMAL(10,2)), CAST(-0.05 AS DECIMAL(5,2)), CAST('-01:00:00' AS TIME))",
        "JSON_ARRAY(REPEAT('long', 50000), 1)",
        "CAST(CONCAT('[', REPEAT('70000,', 20000), '1]') AS JSON)",
    ];
    let values: Vec<String> = documents.iter().enumerate().map(|(i, d)| format!("({i}, {d})")).collect();
    let insert = |table: &str| {
        format!(
            "CREATE TABLE {table} (id INT PRIMARY KEY, j JSON);\nINSERT INTO {table} VALUES {}",
            values.join(",")
        )
    };
    server.sql(&insert("docs"));
    let mut world = World::new(server);
    world.open();
    world.until_count(documents.len());
    server.sql(&insert("docs2"));
    world.until_marker(server, 1);
    let of = |topic: &str| {
        let records = world.records.iter().filter(|r| r.topic == topic);
        records.map(|r| r.after()["j"].clone()).collect::<Vec<_>>()
    };
    let (snapshot, streamed) = (of("p.tv.docs"), of("p.tv.docs2"));
    assert_eq!(streamed.len(), documents.len());
    for (i, document) in documents.iter().enumerate() {
        assert_eq!(streamed[i], snapshot[i], "{document}");
    }
    assert_eq!(snapshot[2], json!("{}"));
    assert_eq!(snapshot[4], json!("[0.1,1.0,-2.5e-7,1e+20,1.7976931348623157e+308]"));
}

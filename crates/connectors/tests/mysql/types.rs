//! Values: a row is the same whether the snapshot or the binlog gave it, and it is what is expected.

use crate::server::Server;
use crate::world::World;
use serde_json::{Value as Json, json};

/// Column, then rows of `SQL value => JSON`.
const COLUMNS: &[(&str, &[(&str, &str)])] = &[
    ("TINYINT", &[("-128", "-128"), ("127", "127"), ("NULL", "null")]),
    ("TINYINT UNSIGNED", &[("255", "255")]),
    ("BOOL", &[("TRUE", "1"), ("FALSE", "0")]),
    ("SMALLINT", &[("-32768", "-32768")]),
    ("SMALLINT UNSIGNED", &[("65535", "65535")]),
    ("MEDIUMINT", &[("-8388608", "-8388608"), ("8388607", "8388607")]),
    ("MEDIUMINT UNSIGNED", &[("16777215", "16777215")]),
    ("INT", &[("-2147483648", "-2147483648")]),
    ("INT UNSIGNED", &[("4294967295", "4294967295")]),
    ("INT(5) ZEROFILL", &[("42", "42")]),
    ("BIGINT", &[("-9223372036854775808", "-9223372036854775808")]),
    ("BIGINT UNSIGNED", &[("9223372036854775807", "9223372036854775807"), ("18446744073709551615", "-1")]),
    (
        "FLOAT",
        &[("1.1", "1.1"), ("-3.4e38", "-3.4e38"), ("0.333333343", "0.33333334"), ("16777217", "16777216.0")],
    ),
    ("DOUBLE", &[("1.1", "1.1"), ("-1.7976931348623157e308", "-1.7976931348623157e308")]),
    (
        "DECIMAL(10,2)",
        &[("-12345678.90", "\"-1234567890e-2\""), ("0.05", "\"5e-2\""), ("-0.5", "\"-50e-2\"")],
    ),
    (
        "DECIMAL(38,10)",
        &[("1234567890123456789012345678.0123456789", "\"12345678901234567890123456780123456789e-10\"")],
    ),
    ("DECIMAL(5)", &[("-99999", "\"-99999e-0\"")]),
    ("CHAR(5)", &[("'ab  '", "\"ab\""), ("'zażół'", "\"zażół\""), ("''", "\"\"")]),
    ("CHAR(200)", &[("REPEAT('é', 200)", "long")]),
    ("VARCHAR(20)", &[("'ab  '", "\"ab  \""), ("'日本😀'", "\"日本😀\"")]),
    ("VARCHAR(300)", &[("REPEAT('x', 300)", "long")]),
    ("VARCHAR(20) CHARACTER SET latin1", &[("'café € ™'", "\"café € ™\"")]),
    ("CHAR(5) CHARACTER SET ascii", &[("'a'", "\"a\"")]),
    ("TINYTEXT", &[("'t'", "\"t\"")]),
    ("TEXT", &[("'line\\n\\'quoted\\''", "\"line\\n'quoted'\"")]),
    ("MEDIUMTEXT", &[("REPEAT('m', 70000)", "long")]),
    ("LONGTEXT", &[("'l'", "\"l\"")]),
    (
        "BINARY(4)",
        &[("x'0102'", "\"01020000\""), ("x'00000000'", "\"00000000\""), ("x'20200020'", "\"20200020\"")],
    ),
    ("VARBINARY(9)", &[("x'010200'", "\"010200\""), ("''", "\"\"")]),
    ("BLOB", &[("x'00ff00'", "\"00ff00\"")]),
    ("LONGBLOB", &[("REPEAT(x'01', 70000)", "long")]),
    (
        "DATE",
        &[
            ("'2018-06-20'", "17702"),
            ("'1000-01-01'", "-354285"),
            ("'0000-00-00'", "null"),
            ("'9999-12-31'", "2932896"),
        ],
    ),
    ("DATE NOT NULL", &[("'0000-00-00'", "0"), ("'2020-00-10'", "0")]),
    (
        "DATETIME",
        &[
            ("'2018-06-20 06:37:03'", "1529476623000"),
            ("'1000-01-01 00:00:00'", "-30610224000000"),
            ("'0000-00-00 00:00:00'", "null"),
        ],
    ),
    ("DATETIME(1)", &[("'2018-06-20 06:37:03.1'", "1529476623100")]),
    ("DATETIME(3)", &[("'2018-06-20 06:37:03.123'", "1529476623123")]),
    ("DATETIME(4)", &[("'2018-06-20 06:37:03.1234'", "1529476623123400")]),
    (
        "DATETIME(6)",
        &[("'2018-06-20 06:37:03.123456'", "1529476623123456"), ("'1969-12-31 23:59:59.999999'", "-1")],
    ),
    (
        "TIMESTAMP NULL",
        &[("'2018-06-20 06:37:03'", "\"2018-06-20T06:37:03Z\""), ("'0000-00-00 00:00:00'", "null")],
    ),
    ("TIMESTAMP(3) NULL", &[("'2018-06-20 06:37:03.120'", "\"2018-06-20T06:37:03.120Z\"")]),
    ("TIMESTAMP(6) NULL", &[("'2038-01-19 03:14:07.999999'", "\"2038-01-19T03:14:07.999999Z\"")]),
    (
        "TIME",
        &[
            ("'17:51:04'", "64264000000"),
            ("'838:59:59'", "3020399000000"),
            ("'-838:59:59'", "-3020399000000"),
        ],
    ),
    ("TIME(2)", &[("'-00:00:00.25'", "-250000"), ("'-01:00:01.99'", "-3601990000")]),
    ("TIME(4)", &[("'-00:00:01.0001'", "-1000100")]),
    ("TIME(6)", &[("'17:51:04.777777'", "64264777777"), ("'-100:00:00.000001'", "-360000000001")]),
    ("YEAR", &[("2018", "2018"), ("1901", "1901"), ("0", "0")]),
    (
        "ENUM('small','it''s','größe')",
        &[("'small'", "\"small\""), ("3", "\"größe\""), ("'it\\'s'", "\"it's\""), ("'no'", "\"\"")],
    ),
    ("SET('a','b','ü')", &[("'a,ü'", "\"a,ü\""), ("''", "\"\""), ("'ü,b,a'", "\"a,b,ü\"")]),
    (
        "JSON",
        &[(
            "'{\"a\": [1, true, \"x\"], \"b\": null}'",
            "\"{\\\"a\\\": [1, true, \\\"x\\\"], \\\"b\\\": null}\"",
        )],
    ),
    ("BIT(1)", &[("b'1'", "true"), ("b'0'", "false")]),
    ("BIT(20)", &[("b'10000000011111111000'", "\"f80708\"")]),
    ("BIT(64)", &[("x'8000000000000001'", "\"0100000000000080\"")]),
    ("INT AS (id * 2) STORED", &[]),
    ("INT AS (id * 3) VIRTUAL", &[]),
];

fn create(table: &str) -> String {
    let columns: Vec<String> = COLUMNS.iter().enumerate().map(|(i, (t, _))| format!("c{i} {t}")).collect();
    format!("CREATE TABLE {table} (id INT PRIMARY KEY, {});\n", columns.join(", "))
}

/// As many rows as the longest column has values; others repeat their last one.
fn insert(table: &str) -> String {
    let rows = COLUMNS.iter().map(|(_, values)| values.len()).max().unwrap();
    let given: Vec<usize> = (0..COLUMNS.len()).filter(|&i| !COLUMNS[i].1.is_empty()).collect();
    let names: Vec<String> = given.iter().map(|i| format!("c{i}")).collect();
    let row = |n: usize| {
        let values: Vec<&str> =
            given.iter().map(|&i| COLUMNS[i].1[n.min(COLUMNS[i].1.len() - 1)].0).collect();
        format!("({n}, {})", values.join(", "))
    };
    let rows: Vec<String> = (0..rows).map(row).collect();
    format!(
        "SET time_zone = '+00:00';\nINSERT INTO {table} (id, {}) VALUES {};\n",
        names.join(", "),
        rows.join(", ")
    )
}

fn check(rows: &[&Json], mysql: bool) {
    for (i, (data_type, values)) in COLUMNS.iter().enumerate() {
        for (n, (sql, expected)) in values.iter().enumerate() {
            let value = &rows[n][format!("c{i}")];
            if *expected != "long" {
                let mut expected: Json = serde_json::from_str(expected).unwrap();
                if mysql && *data_type == "JSON" {
                    // A type of its own there, given without spaces.
                    expected = json!(expected.as_str().unwrap().replace(' ', ""));
                }
                assert_eq!(*value, expected, "{data_type} {sql}");
            }
        }
    }
}

#[test]
fn every_type_has_one_value_in_snapshot_and_binlog() {
    every_type(&Server::start());
}

pub(crate) fn every_type(server: &Server) {
    server.sql(&format!("{}{}{}", create("t"), insert("t"), "CREATE TABLE streamed LIKE t"));
    let mut world = World::new(server);
    world.open();
    let rows = COLUMNS.iter().map(|(_, values)| values.len()).max().unwrap();
    world.until_count(rows);
    server.sql(&insert("streamed"));
    // The same of a table whose definition comes from the binlog.
    server.sql(&format!("{}{}", create("declared"), insert("declared")));
    world.until_marker(server, 1);
    assert_eq!(world.records.len(), 3 * rows);
    let after = |topic: &str| {
        let records = world.records.iter().filter(|r| r.topic == topic);
        records.map(|r| r.after()).collect::<Vec<&Json>>()
    };
    let (snapshot, streamed, declared) = (after("p.tv.t"), after("p.tv.streamed"), after("p.tv.declared"));
    check(&snapshot, server.mysql);
    for (n, row) in snapshot.iter().enumerate() {
        for (column, value) in row.as_object().unwrap() {
            assert_eq!(&streamed[n][column], value, "{column}, row {n}, of the binlog");
            assert_eq!(
                &declared[n][column], value,
                "{column}, row {n}, of the binlog with its own definition"
            );
        }
        assert_eq!(row.as_object().unwrap().len(), COLUMNS.len() + 1);
    }
    assert_eq!(snapshot[2][format!("c{}", COLUMNS.len() - 2)], json!(4));
    assert_eq!(snapshot[2][format!("c{}", COLUMNS.len() - 1)], json!(6));
}

#[test]
fn modes_change_the_form_of_decimals_times_and_large_numbers() {
    let server = Server::start();
    let table =
        "(id INT PRIMARY KEY, d DECIMAL(50,2), b BIGINT UNSIGNED, day DATE, at DATETIME(6), t TIME(3))";
    let values =
        "VALUES (1, -0.50, 18446744073709551615, '2018-06-20', '2018-06-20 06:37:03.123456', '17:51:04.777')";
    server.sql(&format!("CREATE TABLE t {table};\nINSERT INTO t {values}"));
    let mut world = World::new(&server)
        .with("decimal.handling.mode", "string")
        .with("bigint.unsigned.handling.mode", "precise")
        .with("time.precision.mode", "connect");
    world.open();
    world.until_count(1);
    server.sql("UPDATE t SET id = 1, d = d - 0");
    server.sql(&format!("CREATE TABLE u {table};\nINSERT INTO u {values}"));
    world.until_marker(&server, 1);
    let expected = json!({
        "id": 1,
        "d": "-0.50",
        "b": "18446744073709551615e-0",
        "day": "17702 days",
        "at": "1529476623123 ms",
        "t": "64264777 ms of day",
    });
    assert_eq!(world.records[0].after(), &expected);
    assert_eq!(world.records[1].after(), &expected);

    let mut world =
        World::new(&server).with("decimal.handling.mode", "double").with("table.include.list", r"tv\.t");
    world.open();
    world.until_count(1);
    assert_eq!(world.records[0].after()["d"], json!(-0.5));
}

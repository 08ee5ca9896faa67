//! No text brings it down.

mod support;

use bd_sql::catalog::Catalog;
use bd_sql::{analyze, parse};
use proptest::prelude::*;
use std::sync::LazyLock;
use support::everything;

const WORDS: &[&str] = &[
    "SELECT",
    "FROM",
    "WHERE",
    "GROUP",
    "BY",
    "actions",
    "users",
    "sessions",
    "shows",
    "user_id",
    "action_ts",
    "coord",
    "*",
    "(",
    ")",
    ",",
    ".",
    "->",
    "[",
    "]",
    "=",
    "<=",
    "+",
    "-",
    "||",
    "NOT",
    "AND",
    "OR",
    "IN",
    "BETWEEN",
    "LIKE",
    "IS",
    "NULL",
    "CASE",
    "WHEN",
    "THEN",
    "ELSE",
    "END",
    "1",
    "99999999999",
    "1.5",
    "'a'",
    "LEAD",
    "OVER",
    "PARTITION",
    "ORDER",
    "WINDOW",
    "w",
    "AS",
    "TUMBLING",
    "SIZE",
    "HOUR",
    "COUNT",
    "SUM",
    "JOIN",
    "LEFT",
    "ON",
    "WITHIN",
    "EMIT",
    "CHANGES",
    "LIMIT",
    "CREATE",
    "STREAM",
    "TABLE",
    "WITH",
    "timestamp",
    "kafka_topic",
    "BIGINT",
    "MAP",
    "<",
    ">",
    "STRUCT",
    ":=",
    "ARRAY",
    "INTERVAL",
    "CAST",
    "UNNEST",
    "CROSS",
    "INSERT",
    "INTO",
    "VALUES",
    "KEY",
    "PRIMARY",
    "CHECK",
    ";",
    "ROWTIME",
    "%",
    "/",
    "FORMAT_TIMESTAMP",
    "FROM_UNIXTIME",
    "GREATEST",
    "COALESCE",
    "TIMESTAMPADD",
    "AS_VALUE",
    "HAVING",
    "DISTINCT",
];

static CATALOG: LazyLock<Catalog> = LazyLock::new(everything);

fn try_all(text: &str) {
    match parse(text) {
        Ok(parsed) => parsed.iter().for_each(|p| {
            if let Err(e) = analyze(p, &CATALOG) {
                assert!(!e.to_string().is_empty());
            }
        }),
        Err(e) => assert!(!e.to_string().is_empty()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,80}") {
        try_all(&text);
    }

    #[test]
    fn any_words_are_read_or_refused(words in prop::collection::vec(prop::sample::select(WORDS), 0..40)) {
        try_all(&words.join(" "));
    }

    #[test]
    fn any_expression_is_read_or_refused(words in prop::collection::vec(prop::sample::select(WORDS), 1..12)) {
        try_all(&format!("SELECT {} AS x FROM actions a EMIT CHANGES", words.join(" ")));
    }

    #[test]
    fn any_cut_and_doubled_demo_is_read_or_refused(file in 0usize..5, from in 0usize..900, len in 0usize..900, at in 0usize..900) {
        let text: Vec<char> = support::demo(support::DEMO[file]).chars().collect();
        let part: String = text.iter().skip(from).take(len).collect();
        let head: String = text.iter().take(at).collect();
        let tail: String = text.iter().skip(at).collect();
        try_all(&format!("{head}{part}{tail}"));
    }
}

#[test]
fn deep_nesting_is_an_error_not_an_overflow() {
    let n = 20_000;
    for text in [
        format!("SELECT {}1{} FROM a", "(".repeat(n), ")".repeat(n)),
        format!("SELECT {}1 FROM a", "- ".repeat(n)),
        format!("SELECT {}TRUE FROM a", "NOT ".repeat(n)),
        format!("SELECT 1{} FROM a", " + 1".repeat(n)),
        format!("SELECT x{} FROM a", "[1]".repeat(n)),
        format!("SELECT x FROM {}a{}", "(SELECT x FROM ".repeat(n), ")".repeat(n)),
        format!("SELECT x FROM a{}", " JOIN b ON x = y".repeat(n)),
        format!("CREATE STREAM a (b {}BIGINT{}) WITH (kafka_topic='t')", "ARRAY<".repeat(n), ">".repeat(n)),
        format!("SELECT {}1{} FROM a", "CASE WHEN TRUE THEN ".repeat(n), " END".repeat(n)),
        format!("SELECT {}1{} FROM a", "ABS(".repeat(n), ")".repeat(n)),
    ] {
        let error = parse(&text).unwrap_err();
        assert!(error.message.contains("nested more than"), "{}: {}", &text[..40], error.message);
    }
}

#[test]
fn what_is_computed_twice_does_not_grow_without_measure() {
    for text in [
        format!(
            "SELECT {}TRUE{} AS x FROM actions EMIT CHANGES",
            "(".repeat(80),
            " BETWEEN FALSE AND TRUE)".repeat(80)
        ),
        format!(
            "SELECT {}'a'{} AS x FROM device_locations EMIT CHANGES",
            "LCASE(".repeat(40),
            " || name)".repeat(40)
        ),
    ] {
        let parsed = parse(&text).unwrap();
        assert!(analyze(&parsed[0], &everything()).unwrap_err().message.contains("too large"));
    }
}

#[test]
fn what_is_just_not_too_deep_is_analyzed_on_a_small_stack() {
    for text in [
        format!("SELECT action_ts{} AS x FROM actions EMIT CHANGES", " + 1".repeat(95)),
        format!("SELECT {}action_ts{} AS x FROM actions EMIT CHANGES", "ABS(".repeat(90), ")".repeat(90)),
        format!(
            "SELECT {}action_ts{} AS x FROM actions EMIT CHANGES",
            "CASE WHEN TRUE THEN ".repeat(90),
            " END".repeat(90)
        ),
        format!(
            "SELECT user_id, {}COUNT(*){} AS x FROM actions GROUP BY user_id EMIT CHANGES",
            "ABS(".repeat(60),
            ")".repeat(60)
        ),
        format!(
            "SELECT user_id FROM actions WHERE user_id = 1{} EMIT CHANGES",
            " AND user_id = 1".repeat(95)
        ),
        format!("SELECT * FROM {}actions{} EMIT CHANGES", "(SELECT * FROM ".repeat(18), ")".repeat(18)),
    ] {
        let parsed = parse(&text).unwrap_or_else(|e| panic!("{e}"));
        let catalog = everything();
        let done = std::thread::Builder::new()
            .stack_size(2 << 20)
            .spawn(move || analyze(&parsed[0], &catalog).is_ok());
        assert!(done.unwrap().join().unwrap(), "{}", &text[..60]);
    }
}

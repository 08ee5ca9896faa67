use super::*;

fn body(text: &str) -> TableBody {
    match parse(text).unwrap() {
        Statement::CreateTable { body, .. } => body,
        other => panic!("{other:?}"),
    }
}

fn changes(text: &str) -> Vec<Change> {
    match parse(text).unwrap() {
        Statement::AlterTable { changes, .. } => changes,
        other => panic!("{other:?}"),
    }
}

/// A column in a line: `name type(args) 'values' flags charset`.
fn line(column: &crate::mysql::ddl::Column) -> String {
    let mut text = format!("{} {}", column.name, column.type_name);
    if !column.args.is_empty() {
        text += &format!("{:?}", column.args);
    }
    if !column.values.is_empty() {
        text += &format!("{:?}", column.values);
    }
    for (flag, name) in [
        (column.unsigned, " unsigned"),
        (!column.nullable, " required"),
        (column.virtual_generated, " virtual"),
        (column.compressed, " compressed"),
    ] {
        text += if flag { name } else { "" };
    }
    text + &column.charset.as_ref().map_or(String::new(), |c| format!(" {c}"))
}

#[test]
fn show_create_table_of_the_server_is_read() {
    let body = body(
        "CREATE TABLE `users` (
  `user_id` int(10) unsigned NOT NULL AUTO_INCREMENT COMMENT 'the key, NOT NULL',
  `name` varchar(100) CHARACTER SET latin1 COLLATE latin1_swedish_ci DEFAULT NULL,
  `price` decimal(10,2) NOT NULL DEFAULT 1.50,
  `kind` enum('a','b,c','it''s') DEFAULT 'a',
  `at` timestamp(3) NOT NULL DEFAULT current_timestamp(3) ON UPDATE current_timestamp(3),
  `twice` int(11) GENERATED ALWAYS AS (`price` * 2) VIRTUAL,
  `kept` int(11) GENERATED ALWAYS AS (`price` * 3) STORED,
  `doc` longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NULL CHECK (json_valid(`doc`)),
  PRIMARY KEY (`user_id`,`name`(10)),
  UNIQUE KEY `n` (`name`),
  CONSTRAINT `f` FOREIGN KEY (`kind`) REFERENCES `x` (`y`) ON DELETE SET NULL
) ENGINE=InnoDB AUTO_INCREMENT=48 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci COMMENT='CHARSET=x'",
    );
    let lines: Vec<String> = body.columns.iter().map(line).collect();
    let expected = [
        "user_id int[10] unsigned required",
        "name varchar[100] latin1",
        "price decimal[10, 2] required",
        "kind enum[\"a\", \"b,c\", \"it's\"]",
        "at timestamp[3] required",
        "twice int[11] virtual",
        "kept int[11]",
        "doc longtext utf8mb4",
    ];
    assert_eq!(lines, expected);
    assert_eq!(body.primary_key, ["user_id", "name"]);
    assert_eq!(body.charset.as_deref(), Some("utf8mb4"));
}

#[test]
fn synonyms_of_types_have_one_name() {
    let body = body(
        "create table if not exists t (a integer primary key, b bool, c double precision not null, d dec(5), e character varying(3),
         f national char(2), g long varbinary, h serial, i real default -1.5e3 null, j numeric(3,1) zerofill, k char(3) byte,
         l float(30), m text charset latin1, n nvarchar(4) unique key, o json, p varchar(9) compressed default 'key')",
    );
    let lines: Vec<String> = body.columns.iter().map(line).collect();
    let expected = [
        "a int required",
        "b tinyint[1]",
        "c double required",
        "d decimal[5]",
        "e varchar[3]",
        "f char[2] utf8",
        "g mediumblob",
        "h bigint unsigned required",
        "i double",
        "j decimal[3, 1] unsigned",
        "k char[3] binary",
        "l double[30]",
        "m text latin1",
        "n varchar[4] utf8",
        "o json",
        "p varchar[9] compressed",
    ];
    assert_eq!(lines, expected);
    assert_eq!(body.primary_key, ["a"]);
}

#[test]
fn alter_table_gives_its_changes_in_order() {
    let changes = changes(
        "ALTER ONLINE TABLE `tv`.users /* c */ ADD COLUMN IF NOT EXISTS city VARCHAR(20) NOT NULL DEFAULT 'a,b' AFTER `name`,
         ADD (x INT, y INT), ADD INDEX i (x), DROP old, DROP COLUMN IF EXISTS older, DROP FOREIGN KEY k, MODIFY x BIGINT UNSIGNED FIRST,
         CHANGE y z DECIMAL(4,2), RENAME COLUMN a TO b, DROP PRIMARY KEY, ADD CONSTRAINT pk PRIMARY KEY USING BTREE (id, x),
         ENGINE=InnoDB, ALTER COLUMN z SET DEFAULT 3, CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, DEFAULT CHARSET=latin1,
         ALGORITHM=INPLACE, LOCK=NONE, RENAME INDEX i TO j, RENAME TO people",
    );
    let texts: Vec<String> = changes.iter().map(describe).collect();
    let expected = [
        "add city varchar[20] required After(\"name\") if",
        "add x int Default",
        "add y int Default",
        "drop old",
        "drop older if",
        "change x to x bigint unsigned First",
        "change y to z decimal[4, 2] Default",
        "rename a b",
        "drop key",
        "key id,x",
        "default z Some(Number(\"3\"))",
        "convert utf8mb4",
        "default latin1",
        "to people",
    ];
    assert_eq!(texts, expected);
}

fn describe(change: &Change) -> String {
    let mark = |flag: &bool| if *flag { " if" } else { "" };
    match change {
        Change::Add { spec, if_not_exists } => {
            format!("add {} {:?}{}", line(&spec.column), spec.place, mark(if_not_exists))
        }
        Change::Drop { name, if_exists } => format!("drop {name}{}", mark(if_exists)),
        Change::Modify { old, spec, .. } => {
            format!("change {old} to {} {:?}", line(&spec.column), spec.place)
        }
        Change::RenameColumn { old, new, .. } => format!("rename {old} {new}"),
        Change::RenameTable((_, table)) => format!("to {table}"),
        Change::Default { name, default, .. } => format!("default {name} {default:?}"),
        Change::PrimaryKey(key) => format!("key {}", key.join(",")),
        Change::DropPrimaryKey => "drop key".to_owned(),
        Change::DefaultCharset(charset) => format!("default {charset}"),
        Change::ConvertCharset(charset) => format!("convert {charset}"),
        Change::SystemVersioning(on) => format!("versioning {on}"),
    }
}

#[test]
fn other_statements_are_told_apart() {
    let name = |db: Option<&str>, t: &str| (db.map(str::to_owned), t.to_owned());
    let cases = [
        (
            "DROP TABLE IF EXISTS `a`, b.c /* generated by server */",
            Statement::DropTables(vec![name(None, "a"), name(Some("b"), "c")]),
        ),
        (
            "rename table a to b.c, d to e",
            Statement::RenameTables(vec![
                (name(None, "a"), name(Some("b"), "c")),
                (name(None, "d"), name(None, "e")),
            ]),
        ),
        (
            "CREATE TABLE a LIKE b.c",
            Statement::CreateTableLike {
                name: name(None, "a"),
                like: name(Some("b"), "c"),
                if_not_exists: false,
            },
        ),
        (
            "CREATE DATABASE x CHARACTER SET = latin1",
            Statement::DatabaseCharset {
                name: Some("x".into()),
                charset: Some("latin1".into()),
                create: true,
            },
        ),
        (
            "ALTER DATABASE DEFAULT CHARSET utf8",
            Statement::DatabaseCharset { name: None, charset: Some("utf8".into()), create: false },
        ),
        ("DROP SCHEMA x", Statement::DropDatabase("x".into())),
        ("INSERT INTO a.b VALUES (1)", Statement::Dml(Some(name(Some("a"), "b")))),
        ("UPDATE t SET a = 1", Statement::Dml(Some(name(None, "t")))),
        ("CREATE VIEW v AS SELECT 1", Statement::Other),
        ("CREATE UNIQUE INDEX i ON t (a)", Statement::Other),
        ("CREATE TEMPORARY TABLE t (a INT)", Statement::Other),
        ("DROP TEMPORARY TABLE t", Statement::Other),
        ("TRUNCATE TABLE t", Statement::Other),
        ("GRANT ALL ON *.* TO x", Statement::Other),
        ("BEGIN", Statement::Other),
    ];
    for (text, expected) in cases {
        assert_eq!(parse(text).unwrap(), expected, "{text}");
    }
}

#[test]
fn what_is_not_understood_names_its_table() {
    let (table, error) = parse("ALTER TABLE tv.users ADD COLUMN = 3").unwrap_err();
    assert_eq!(table, Some((Some("tv".to_owned()), "users".to_owned())));
    assert_eq!(error.to_string(), "a name was wanted at \"= 3\"");
}

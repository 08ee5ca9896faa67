//! The cases of Apache Avro's and Confluent's public tables, told again: what is compatible, what is not, and in which words.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use crate::{Definition, Incompatibility, SchemaText};

fn parse(text: &str) -> Definition {
    Definition::parse(&SchemaText::avro(text)).unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn faults(reader: &str, writer: &str) -> Vec<Incompatibility> {
    parse(reader).incompatibilities(&parse(writer))
}

fn record(fields: &str) -> String {
    format!(r#"{{"type":"record","name":"Record1","fields":[{fields}]}}"#)
}

fn enumeration(name: &str, symbols: &str, more: &str) -> String {
    let symbols: Vec<String> = symbols.split(',').map(|s| format!("\"{s}\"")).collect();
    format!(r#"{{"type":"enum","name":"{name}","symbols":[{}]{more}}}"#, symbols.join(","))
}

fn fixed(name: &str, size: u32) -> String {
    format!(r#"{{"type":"fixed","name":"{name}","size":{size}}}"#)
}

const INTS: &str = r#"{"type":"array","items":"int"}"#;
const LONGS: &str = r#"{"type":"array","items":"long"}"#;
const INT_MAP: &str = r#"{"type":"map","values":"int"}"#;
const LONG_MAP: &str = r#"{"type":"map","values":"long"}"#;
/// A list of ints, and one of longs.
const INT_LIST: &str = r#"{"type":"record","name":"List","fields":[{"name":"head","type":"int"},{"name":"tail","type":"List"}]}"#;
const LONG_LIST: &str = r#"{"type":"record","name":"List","fields":[{"name":"head","type":"long"},{"name":"tail","type":"List"}]}"#;

#[test]
fn readers_that_can_read_all_that_was_written() {
    let a_int = record(r#"{"name":"a","type":"int"}"#);
    let a_int_default = record(r#"{"name":"a","type":"int","default":0}"#);
    let two = record(r#"{"name":"a","type":"int"},{"name":"b","type":"int"}"#);
    let two_defaults =
        record(r#"{"name":"a","type":"int","default":0},{"name":"b","type":"int","default":0}"#);
    let a_long = record(r#"{"name":"a","type":"long"}"#);
    let renamed = record(r#"{"name":"new","aliases":["a"],"type":"int"}"#);
    let record_renamed = r#"{"type":"record","name":"Other","aliases":["Record1"],"fields":[]}"#;
    let spaced = r#"{"type":"record","name":"x.Record1","fields":[]}"#;
    let (ab, abc, ba) =
        (enumeration("E", "A,B", ""), enumeration("E", "A,B,C", ""), enumeration("E", "B,A", ""));
    let ab_default = enumeration("E", "A,B", r#","default":"A""#);
    let aliased = enumeration("New", "A,B", r#","aliases":["E"]"#);
    let of_enum = |e: &str| record(&format!(r#"{{"name":"e","type":{e}}}"#));
    for (reader, writer) in [
        ("\"boolean\"", "\"boolean\""),
        ("\"int\"", "\"int\""),
        (INTS, INTS),
        (INT_MAP, INT_MAP),
        ("\"long\"", "\"int\""),
        ("\"float\"", "\"int\""),
        ("\"float\"", "\"long\""),
        ("\"double\"", "\"int\""),
        ("\"double\"", "\"long\""),
        ("\"double\"", "\"float\""),
        ("\"string\"", "\"bytes\""),
        ("\"bytes\"", "\"string\""),
        (LONGS, INTS),
        (LONG_MAP, INT_MAP),
        (&*abc, &*ab),
        (&ab, &ba),
        (&ab_default, &abc),
        (&aliased, &ab),
        (&of_enum(&ab_default), &of_enum(&abc)),
        (&fixed("a.F", 4), &fixed("b.F", 4)),
        ("[]", "[]"),
        (r#"["int"]"#, r#"["int"]"#),
        (r#"["int","string"]"#, r#"["string","int"]"#),
        (r#"["int","string"]"#, r#"["int"]"#),
        (r#"["long"]"#, r#"["int"]"#),
        (r#"["float"]"#, r#"["int","long"]"#),
        (r#"["double"]"#, r#"["int","long","float"]"#),
        (r#"["bytes"]"#, r#"["string"]"#),
        (r#"["string"]"#, r#"["bytes"]"#),
        (r#"["double"]"#, r#"["int","float"]"#),
        ("\"int\"", r#"["int"]"#),
        ("\"double\"", r#"["int","long","float"]"#),
        (r#"["int","string"]"#, "\"int\""),
        (&record(""), &record("")),
        (&record(""), &a_int),
        (&a_int, &a_int),
        (&a_int_default, &a_int),
        (&a_int_default, &record("")),
        (&a_int, &two),
        (&two_defaults, &a_int),
        (&two_defaults, &record("")),
        (&a_long, &a_int),
        (&renamed, &a_int),
        (record_renamed, &record("")),
        (spaced, &record("")),
        (INT_LIST, INT_LIST),
        (LONG_LIST, INT_LIST),
        ("\"null\"", "\"null\""),
    ] {
        assert_eq!(faults(reader, writer), [], "reader {reader}, writer {writer}");
    }
}

/// Each fault as `rule location additional`.
fn told(reader: &str, writer: &str) -> Vec<String> {
    let place = |description: &str| {
        let at = description.find('\'').filter(|_| description.contains("path")).unwrap();
        let from = description.find("path '").map_or(at, |p| p + 5) + 1;
        description[from..].split('\'').next().unwrap().to_owned()
    };
    let told = |f: Incompatibility| {
        format!("{} {} {}", f.rule, place(&f.description), f.additional.unwrap_or_default())
    };
    faults(reader, writer).into_iter().map(told).collect()
}

#[test]
fn readers_that_cannot_are_told_what_and_where() {
    let mismatch =
        |r: &str, w: &str| format!("TYPE_MISMATCH / reader type: {r} not compatible with writer type: {w}");
    for (reader, writer) in [
        ("null", "int"),
        ("null", "long"),
        ("boolean", "int"),
        ("int", "null"),
        ("int", "boolean"),
        ("int", "long"),
        ("int", "float"),
        ("int", "double"),
        ("long", "float"),
        ("long", "double"),
        ("float", "double"),
        ("double", "string"),
        ("string", "boolean"),
        ("string", "int"),
        ("bytes", "null"),
        ("bytes", "int"),
    ] {
        let wanted = mismatch(&reader.to_uppercase(), &writer.to_uppercase());
        assert_eq!(told(&format!("\"{reader}\""), &format!("\"{writer}\"")), [wanted]);
    }
    for (reader, writer, wanted) in [
        (INTS, LONGS, vec!["TYPE_MISMATCH /items reader type: INT not compatible with writer type: LONG"]),
        (
            INT_MAP,
            LONG_MAP,
            vec!["TYPE_MISMATCH /values reader type: INT not compatible with writer type: LONG"],
        ),
        (INT_MAP, INTS, vec!["TYPE_MISMATCH / reader type: MAP not compatible with writer type: ARRAY"]),
        (
            "\"int\"",
            r#"["int","string"]"#,
            vec!["TYPE_MISMATCH /1 reader type: INT not compatible with writer type: STRING"],
        ),
        (
            r#"["int"]"#,
            r#"["int","string"]"#,
            vec!["MISSING_UNION_BRANCH /1 reader union lacking writer type: STRING"],
        ),
        (
            r#"["string"]"#,
            r#"["int","string"]"#,
            vec!["MISSING_UNION_BRANCH /0 reader union lacking writer type: INT"],
        ),
        (r#"["int"]"#, "\"long\"", vec!["MISSING_UNION_BRANCH / reader union lacking writer type: LONG"]),
        (
            r#"["int"]"#,
            r#"["int","long","float","double"]"#,
            vec![
                "MISSING_UNION_BRANCH /1 reader union lacking writer type: LONG",
                "MISSING_UNION_BRANCH /2 reader union lacking writer type: FLOAT",
                "MISSING_UNION_BRANCH /3 reader union lacking writer type: DOUBLE",
            ],
        ),
        (&*fixed("F", 4), &*fixed("F", 8), vec!["FIXED_SIZE_MISMATCH /size expected: 8, found: 4"]),
        (&fixed("F", 4), &fixed("n.G", 4), vec!["NAME_MISMATCH /name expected: n.G"]),
        (
            &enumeration("E", "A,B", ""),
            &enumeration("E", "B,D,A,C", ""),
            vec!["MISSING_ENUM_SYMBOLS /symbols [C, D]"],
        ),
        (&enumeration("E", "A", ""), &enumeration("F", "A", ""), vec!["NAME_MISMATCH /name expected: F"]),
        (
            &record(r#"{"name":"a","type":"int"}"#),
            &record(""),
            vec!["READER_FIELD_MISSING_DEFAULT_VALUE /fields/0 a"],
        ),
        (
            &record(r#"{"name":"a","type":"int","default":0},{"name":"b","type":["int"]}"#),
            &record(r#"{"name":"b","type":["int","string"]}"#),
            vec!["MISSING_UNION_BRANCH /fields/1/type/1 reader union lacking writer type: STRING"],
        ),
        (
            INT_LIST,
            LONG_LIST,
            vec!["TYPE_MISMATCH /fields/0/type reader type: INT not compatible with writer type: LONG"],
        ),
    ] {
        assert_eq!(told(reader, writer), wanted, "reader {reader}, writer {writer}");
    }
}

#[test]
fn all_faults_of_a_schema_are_told_in_its_order() {
    let of = |a: &str, b: &str, c: &str, d: &str| {
        record(&format!(
            r#"{{"name":"symbols","type":{a}}},{{"name":"name","type":{b}}},{{"name":"kind","type":"{c}"}},{{"name":"sub","type":{d}}}"#
        ))
    };
    let sub = |fields: &str| format!(r#"{{"type":"record","name":"Sub","fields":[{fields}]}}"#);
    let inner = |space: &str, items: &str| {
        format!(
            r#"{{"type":"record","name":"{space}.A","fields":[{{"name":"x","type":"boolean","default":true}},{{"name":"y","type":{{"type":"array","items":"{items}"}}}}]}}"#
        )
    };
    let reader = of(
        &enumeration("E", "A,C", ""),
        &enumeration("F", "A,B", ""),
        "string",
        &sub(&format!(
            r#"{{"name":"same","type":"long","default":42}},{{"name":"extra","type":"long"}},{{"name":"f","type":{}}},{{"name":"u","type":["boolean"]}},{{"name":"v","type":["boolean"]}},{{"name":"r","type":{}}}"#,
            fixed("X", 4),
            inner("not", "string")
        )),
    );
    let writer = of(
        &enumeration("E", "A,B,C,D", ""),
        &enumeration("F_ERR", "A,B", ""),
        "long",
        &sub(&format!(
            r#"{{"name":"same","type":"long"}},{{"name":"f","type":{}}},{{"name":"u","type":["boolean","double","string"]}},{{"name":"v","type":"long"}},{{"name":"r","type":{}}}"#,
            fixed("X", 8),
            inner("other", "boolean")
        )),
    );
    assert_eq!(
        told(&reader, &writer),
        [
            "MISSING_ENUM_SYMBOLS /fields/0/type/symbols [B, D]",
            "NAME_MISMATCH /fields/1/type/name expected: F_ERR",
            "TYPE_MISMATCH /fields/2/type reader type: STRING not compatible with writer type: LONG",
            "READER_FIELD_MISSING_DEFAULT_VALUE /fields/3/type/fields/1 extra",
            "FIXED_SIZE_MISMATCH /fields/3/type/fields/2/type/size expected: 8, found: 4",
            "MISSING_UNION_BRANCH /fields/3/type/fields/3/type/1 reader union lacking writer type: DOUBLE",
            "MISSING_UNION_BRANCH /fields/3/type/fields/3/type/2 reader union lacking writer type: STRING",
            "MISSING_UNION_BRANCH /fields/3/type/fields/4/type reader union lacking writer type: LONG",
            "TYPE_MISMATCH /fields/3/type/fields/5/type/fields/1/type/items reader type: STRING not compatible with writer type: BOOLEAN",
        ]
    );
}

#[test]
fn the_words_are_confluent_s() {
    let one = record(r#"{"name":"f1","type":"string"}"#);
    let two = record(r#"{"name":"f1","type":"string"},{"name":"f2","type":"string"}"#);
    let found = faults(&two, &one);
    assert_eq!(
        found[0].describe("new", "old"),
        "The field 'f2' at path '/fields/1' in the new schema has no default value and is missing in the old schema"
    );
    assert_eq!(
        (found[0].rule, found[0].additional.as_deref()),
        ("READER_FIELD_MISSING_DEFAULT_VALUE", Some("f2"))
    );
    let words = |reader: &str, writer: &str| faults(reader, writer)[0].describe("old", "new");
    assert_eq!(
        words("\"int\"", "\"string\""),
        "The type (path '/') of a field in the old schema does not match with the new schema"
    );
    assert_eq!(
        words(r#"["int"]"#, r#"["int","string"]"#),
        "The old schema is missing a type inside a union field at path '/1' in the new schema"
    );
    assert_eq!(
        words(&enumeration("E", "A", ""), &enumeration("E", "A,B", "")),
        "The old schema is missing enum symbols '[B]' at path '/symbols' in the new schema"
    );
    assert_eq!(
        words(&fixed("F", 1), &fixed("F", 2)),
        "The size of FIXED type field at path '/size' in the old schema does not match with the new schema"
    );
    assert_eq!(words(&fixed("F", 1), &fixed("G", 1)), "The name of the schema has changed (path '/name')");
}

/// Confluent's example of a subject's life.
#[test]
fn a_subject_evolves_as_in_confluent_s_examples() {
    let one = record(r#"{"name":"f1","type":"string"}"#);
    let with_default =
        record(r#"{"name":"f1","type":"string"},{"name":"f2","type":"string","default":"foo"}"#);
    let without = record(r#"{"name":"f1","type":"string"},{"name":"f2","type":"string"}"#);
    let renamed = record(r#"{"name":"f1_new","type":"string","aliases":["f1"]}"#);
    let union = record(r#"{"name":"f1","type":["null","string"]}"#);
    let wider = record(r#"{"name":"f1","type":["null","string","int"]}"#);
    let ok = |reader: &str, writer: &str| faults(reader, writer).is_empty();
    assert!(ok(&with_default, &one) && !ok(&without, &one) && ok(&renamed, &one) && ok(&union, &one));
    assert!(!ok(&one, &union) && ok(&wider, &union) && !ok(&union, &wider) && ok(&without, &with_default));
    assert!(ok(&one, &with_default) && ok(&one, &without) && ok(&with_default, &without));
}

#[test]
fn types_that_refer_to_one_another_without_end_are_judged() {
    let chain = |leaf: &str| {
        let next = |i: usize| if i == 399 { format!("\"{leaf}\"") } else { format!("\"R{}\"", i + 1) };
        let types: Vec<String> = (0..400)
            .map(|i| {
                format!(r#"{{"type":"record","name":"R{i}","fields":[{{"name":"f","type":{}}}]}}"#, next(i))
            })
            .collect();
        format!("[{}]", types.join(","))
    };
    let both = [chain("int"), chain("string")];
    assert!(!faults(&both[0], &both[1]).is_empty());
    let same = parse(INT_LIST);
    assert!(same.incompatibilities(&same).is_empty());
}

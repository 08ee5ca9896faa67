use super::*;

fn problems(yaml: &str) -> Vec<String> {
    parse("test", yaml).expect_err("it is not valid")
}

fn of_panel(panel: &str) -> Vec<String> {
    problems(&format!("title: T\npanels:\n  - {}", panel.replace('\n', "\n    ")))
}

#[test]
fn the_example_of_the_documentation_is_valid() {
    let docs = include_str!("mod.rs");
    let yaml: String = docs
        .lines()
        .skip_while(|l| !l.starts_with("//! ```yaml"))
        .skip(1)
        .take_while(|l| !l.starts_with("//! ```"))
        .map(|l| format!("{}\n", l.trim_start_matches("//!").strip_prefix(' ').unwrap_or_default()))
        .collect();
    let dashboard = parse("viewing", &yaml).unwrap();
    assert_eq!(dashboard.range, Range::Last(900_000));
    assert_eq!(dashboard.panels[0].view.kind(), "timeseries");
}

#[test]
fn the_demos_dashboards_are_valid() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../demo/tv/dashboards");
    let dashboards = super::super::load(&[folder]).unwrap();
    assert!(dashboards["viewing"].panels.len() >= 8);
}

#[test]
fn problems_name_their_keys() {
    for (panel, expected) in [
        ("kind: stat\nindex: a\nvalue: count", "panels[0].title: missing"),
        (
            "title: A\nkind: pie",
            "panels[0].kind: expected timeseries, top, bars, stat, table or map, not pie",
        ),
        (
            "title: A\nkind: stat\nindex: a\nvalue: total",
            "panels[0].value: expected count, or one of {sum: FIELD}",
        ),
        ("title: A\nkind: stat\nindex: a", "panels[0].value: missing"),
        ("title: A\nkind: stat\nvalue: count", "panels[0].index: missing"),
        ("title: A\nkind: stat\nindex: a/../b\nvalue: count", "panels[0].index: a/../b cannot be an index"),
        ("title: A\nkind: stat\nindex: a\nvalue: count\nspark: true", "panels[0].time: missing; spark"),
        ("title: A\nkind: stat\nindex: a\nvalue: {last: b}", "panels[0].time: missing; last"),
        ("title: A\nkind: top\nindex: a\nvalue: count", "panels[0].by: missing"),
        ("title: A\nkind: top\nindex: a\nby: b\nvalue: {last: c}", "panels[0].value: last is for"),
        ("title: A\nkind: timeseries\nindex: a\nvalue: count", "panels[0].time: missing; a timeseries"),
        ("title: A\nkind: timeseries\ntopics: [a]\nvalue: age", "panels[0].value: expected rate"),
        ("title: A\nkind: stat\nindex: a\nvaleu: count", "panels[0].valeu: unknown key; did you mean value?"),
        (
            "title: A\nkind: stat\nindex: a\nvalue: count\ncolour: red",
            "panels[0].colour: unknown key; known here:",
        ),
        (
            "title: A\nkind: stat\ngrid: {x: 8, y: 0, w: 8, h: 2}\nindex: a\nvalue: count",
            "panels[0].grid: x + w is 16",
        ),
        (
            "title: A\nkind: stat\ngrid: {x: 8, y: 0, w: 2}\nindex: a\nvalue: count",
            "panels[0].grid.h: missing",
        ),
        ("title: A\nkind: table\nindex: a", "panels[0].columns: missing"),
        ("title: A\nkind: table\nindex: a\ncolumns: [{titel: b}]", "panels[0].columns[0].field: missing"),
        ("title: A\nkind: table\nindex: a\ncolumns: [b]\nsort: {b: down}", "panels[0].sort: expected a map"),
        (
            "title: A\nkind: top\nindex: a\nvalue: count\nby: {field: b, labels: c}",
            "panels[0].by.labels: expected",
        ),
        ("just text", "panels[0]: expected a map of keys, not just text"),
    ] {
        let problems = of_panel(panel);
        assert!(problems.iter().any(|p| p.starts_with(expected)), "{panel}\n{problems:#?}");
    }
    assert!(problems("range: soon\ntitle: A\npanels: []")[0].starts_with("range: expected all"));
    assert!(problems("- a")[0].starts_with("the file: expected a map"));
    assert!(problems("a: [")[0].starts_with("not YAML"));
}

#[test]
fn all_problems_are_told_at_once() {
    let found = problems(
        "titel: A\npanels:\n  - title: A\n    kind: pie\n  - kind: stat\n    index: a\n    value: 1",
    );
    assert!(found.len() >= 5, "{found:#?}");
}

#[test]
fn panels_that_overlap_are_refused_and_those_without_a_place_find_one() {
    let panel = |grid: &str| format!("  - {{title: A, kind: stat, index: a, value: count{grid}}}\n");
    let head = "title: T\npanels:\n";
    let first = panel(", grid: {x: 0, y: 0, w: 4, h: 2}");
    let on_it = panel(", grid: {x: 3, y: 1, w: 4, h: 2}");
    assert!(problems(&format!("{head}{first}{on_it}"))[0].starts_with("panels[1].grid: stands on"));
    let dashboard = parse("t", &format!("{head}{}{first}{}{}", panel(""), panel(""), panel(""))).unwrap();
    let places: Vec<_> = dashboard.panels.iter().map(|p| (p.grid.x, p.grid.y)).collect();
    assert_eq!(places, [(0, 2), (0, 0), (6, 2), (0, 9)]);
}

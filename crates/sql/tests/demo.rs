//! The files of the digital-TV demo: their plans, as text.

mod support;

use bd_sql::catalog::Catalog;
use bd_sql::plan::Statement;
use support::{DEMO, columns, demo, run};

#[test]
fn the_plans_of_the_demo_are_as_intended() {
    let mut catalog = Catalog::default();
    let mut text = String::new();
    for name in DEMO {
        for statement in run(&mut catalog, &demo(name)).unwrap_or_else(|e| panic!("{name}: {e}")) {
            if let Statement::CreateAs { def, plan, .. } = &statement {
                text += &format!("{}\n  {}\n{plan}\n\n", def.name, columns(&statement));
            }
        }
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/plans/demo.txt");
    if std::env::var_os("UPDATE_PLANS").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    let expected = std::fs::read_to_string(path).unwrap_or_default();
    assert!(text == expected, "plans differ from {path} (UPDATE_PLANS=1 writes them):\n{text}");
}

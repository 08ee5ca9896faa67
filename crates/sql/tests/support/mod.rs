//! Runs statements against a catalog, as the engine does.

#![allow(dead_code, unreachable_pub, clippy::panic, reason = "each test file uses a part")]

use bd_sql::catalog::Catalog;
use bd_sql::plan::Statement;
use bd_sql::{SqlError, analyze, parse};

/// Analyzes each statement, declaring what it creates; gives all of them.
pub fn run(catalog: &mut Catalog, text: &str) -> Result<Vec<Statement>, SqlError> {
    let mut out = Vec::new();
    for (i, parsed) in parse(text)?.iter().enumerate() {
        let statement = analyze(parsed, catalog)?;
        match &statement {
            Statement::CreateSource { def, exists: false, .. } => _ = catalog.insert(def.clone()),
            Statement::CreateAs { def, exists: false, .. } => {
                let mut def = def.clone();
                def.query = Some(format!("query_{i}"));
                catalog.insert(def);
            }
            _ => {}
        }
        out.push(statement);
    }
    Ok(out)
}

/// The file of the digital-TV demo.
pub fn demo(name: &str) -> String {
    let path = format!("{}/../../demo/tv/sql/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"))
}

pub const DEMO: [&str; 5] =
    ["1-sources.sql", "2-shows.sql", "3-sessions.sql", "4-views.sql", "5-dashboard.sql"];

/// The sources of the demo.
pub fn sources() -> Catalog {
    let mut catalog = Catalog::default();
    run(&mut catalog, &demo(DEMO[0])).unwrap_or_else(|e| panic!("{e}"));
    catalog
}

/// All that the demo declares.
pub fn everything() -> Catalog {
    let mut catalog = Catalog::default();
    for name in DEMO {
        run(&mut catalog, &demo(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    }
    catalog
}

/// The plan of one statement, as text.
pub fn plan(catalog: &Catalog, text: &str) -> String {
    let parsed = parse(text).unwrap_or_else(|e| panic!("{e}"));
    match analyze(&parsed[0], catalog).unwrap_or_else(|e| panic!("{e}")) {
        Statement::CreateAs { plan, .. } | Statement::Push { plan, .. } | Statement::Pull { plan, .. } => {
            plan.to_string()
        }
        other => panic!("no plan: {other:?}"),
    }
}

/// The error of a text.
pub fn error(catalog: &Catalog, text: &str) -> SqlError {
    let parsed = match parse(text) {
        Ok(parsed) => parsed,
        Err(error) => return error,
    };
    for statement in &parsed {
        if let Err(error) = analyze(statement, catalog) {
            return error;
        }
    }
    panic!("no error: {text}")
}

/// `name PLACE type` of each column of a sink.
pub fn columns(statement: &Statement) -> String {
    let (Statement::CreateAs { def, .. } | Statement::CreateSource { def, .. }) = statement else {
        return String::new();
    };
    let columns: Vec<String> =
        def.columns.iter().map(|c| format!("{} {:?} {}", c.name, c.place, c.data_type)).collect();
    format!("{:?} {} key {}: {}", def.kind, def.topic, def.key_format, columns.join(", "))
}

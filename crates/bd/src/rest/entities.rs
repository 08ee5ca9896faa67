//! What a statement gave, as ksqlDB's entities.

use super::{Service, types};
use bd_engine::EngineError;
use bd_engine::runtime::engine::{Outcome, Query};
use bd_sql::ParsedStatement;
use bd_sql::ast::Statement;
use bd_sql::catalog::{ColumnPlace, SourceDef, SourceKind};
use bd_sql::plan::{Node, Plan, Show};
use serde_json::{Map, Value, json};

/// The entity of a statement; INSERT has none.
///
/// # Errors
/// The cluster's.
pub(super) fn of(
    service: &Service,
    statement: &ParsedStatement,
    outcome: Outcome,
) -> Result<Option<Value>, EngineError> {
    let (kind, fields) = match (&statement.ast, outcome) {
        (Statement::Insert { .. }, _) => return Ok(None),
        (Statement::Show(show), outcome) => shown(service, *show, outcome)?,
        (Statement::Describe { name, extended }, outcome) => {
            let text = if let Outcome::Text(text) = outcome { text } else { String::new() };
            let description = source_description(service, &name.name, *extended, &text)?;
            ("sourceDescription", json!({"sourceDescription": description}))
        }
        (Statement::Explain(_), Outcome::Text(plan)) => {
            ("queryDescription", json!({"queryDescription": explained(statement, &plan)}))
        }
        (Statement::ExplainQuery(id), Outcome::Text(plan)) => {
            let queries = service.0.engine.queries();
            let query = queries.iter().find(|q| id.is(&q.status.id));
            let description =
                query.map_or_else(|| explained(statement, &plan), |q| query_description(q, &plan));
            ("queryDescription", json!({"queryDescription": description}))
        }
        (ast, Outcome::Done { message, query }) => ("currentStatus", current_status(ast, &message, query)),
        (_, Outcome::Listing { columns, rows }) => ("listing", json!({"columns": columns, "rows": rows})),
        (_, Outcome::Text(text)) => ("text", json!({"text": text})),
        (_, Outcome::Rows { .. } | Outcome::Push(_)) => return Ok(None),
    };
    let mut entity = Map::new();
    entity.insert("@type".into(), json!(kind));
    entity.insert("statementText".into(), json!(format!("{};", statement.text)));
    if let Value::Object(mut fields) = fields {
        entity.append(&mut fields);
    }
    entity.insert("warnings".into(), json!([]));
    Ok(Some(Value::Object(entity)))
}

fn current_status(ast: &Statement, message: &str, query: Option<String>) -> Value {
    let kind = |kind: SourceKind| if kind == SourceKind::Stream { "stream" } else { "table" };
    let id = match ast {
        Statement::Create(create) => format!("{}/`{}`/create", kind(create.kind), create.name.name),
        Statement::Drop { kind: of, name, .. } => format!("{}/`{}`/drop", kind(*of), name.name),
        Statement::Terminate(id) => format!("terminate/{}/execute", id.name),
        _ => "statement/execute".into(),
    };
    json!({
        "commandId": id,
        "commandStatus": {"status": "SUCCESS", "message": message, "queryId": query},
        "commandSequenceNumber": -1,
    })
}

fn shown(service: &Service, show: Show, outcome: Outcome) -> Result<(&'static str, Value), EngineError> {
    let rows = if let Outcome::Listing { rows, .. } = outcome { rows } else { Vec::new() };
    Ok(match show {
        Show::Streams => ("streams", json!({"streams": sources(service, SourceKind::Stream)})),
        Show::Tables => ("tables", json!({"tables": sources(service, SourceKind::Table)})),
        Show::Queries => {
            let queries: Vec<Value> = service.0.engine.queries().iter().map(running_query).collect();
            ("queries", json!({"queries": queries}))
        }
        Show::Topics => {
            let topics = service.0.cluster.topics()?;
            let user = topics.iter().filter(|t| !t.name.starts_with("_bd_"));
            let topics: Vec<Value> = user
                .map(|t| json!({"name": t.name, "replicaInfo": vec![1; usize::try_from(t.partitions).unwrap_or(0)]}))
                .collect();
            ("kafka_topics", json!({"topics": topics}))
        }
        Show::Functions => {
            let functions: Vec<Value> = rows
                .iter()
                .map(|row| {
                    let category = cell(row, 1);
                    let kind = if category.to_ascii_lowercase().contains("aggregate") {
                        "AGGREGATE"
                    } else {
                        "SCALAR"
                    };
                    json!({"name": cell(row, 0), "type": kind, "category": category})
                })
                .collect();
            ("function_names", json!({"functions": functions}))
        }
        Show::Properties => {
            let properties: Vec<Value> = rows
                .iter()
                .map(|row| {
                    json!({"name": cell(row, 0), "scope": "KSQL", "value": cell(row, 1), "editable": false, "level": "SERVER"})
                })
                .collect();
            let all = json!({"properties": properties, "overwrittenProperties": [], "defaultProperties": []});
            ("properties", all)
        }
    })
}

fn cell(row: &[String], i: usize) -> &str {
    row.get(i).map_or("", String::as_str)
}

fn kind_name(kind: SourceKind) -> &'static str {
    match kind {
        SourceKind::Stream => "STREAM",
        SourceKind::Table => "TABLE",
    }
}

fn sources(service: &Service, kind: SourceKind) -> Vec<Value> {
    let of = |s: &SourceDef| {
        json!({
            "type": kind_name(kind),
            "name": s.name,
            "topic": s.topic,
            "keyFormat": s.key_format,
            "valueFormat": s.value_format,
            "isWindowed": false,
        })
    };
    service.0.engine.catalog().iter().filter(|s| s.kind == kind).map(|s| of(s)).collect()
}

fn running_query(query: &Query) -> Value {
    let state = query.status.state();
    let name = state.to_string();
    json!({
        "queryString": query.sink.sql,
        "sinks": [query.sink.name],
        "sinkKafkaTopics": [query.sink.topic],
        "id": query.status.id,
        "statusCount": {&name: 1},
        "queryType": "PERSISTENT",
        "state": name,
    })
}

fn source_description(
    service: &Service,
    name: &str,
    extended: bool,
    text: &str,
) -> Result<Value, EngineError> {
    let engine = &service.0.engine;
    let catalog = engine.catalog();
    let source = catalog
        .get(name)
        .ok_or_else(|| EngineError::Statement(format!("Could not find STREAM/TABLE '{name}'")))?;
    let fields: Vec<Value> = source
        .columns
        .iter()
        .map(|c| types::field(&c.name, &c.data_type, (c.place != ColumnPlace::Value).then_some("KEY")))
        .collect();
    let queries = engine.queries();
    let readers = queries.iter().filter(|q| reads(&q.plan, &source.name)).map(running_query);
    let writers = queries.iter().filter(|q| source.query.as_ref() == Some(&q.status.id)).map(running_query);
    let partitions = match extended {
        true => service.0.cluster.topic(&source.topic)?.map_or(0, |t| t.partitions),
        false => 0,
    };
    let timestamp =
        source.timestamp.as_ref().and_then(|t| source.columns.get(t.column)).map_or("", |c| &c.name);
    Ok(json!({
        "name": source.name,
        "windowType": null,
        "readQueries": readers.collect::<Vec<_>>(),
        "writeQueries": writers.collect::<Vec<_>>(),
        "fields": fields,
        "type": kind_name(source.kind),
        "timestamp": timestamp,
        "statistics": text,
        "errorStats": "",
        "extended": extended,
        "keyFormat": source.key_format,
        "valueFormat": source.value_format,
        "topic": source.topic,
        "partitions": partitions,
        "replication": i32::from(extended),
        "statement": source.sql,
        "queryOffsetSummaries": [],
        "sourceConstraints": [],
    }))
}

fn explained(statement: &ParsedStatement, plan: &str) -> Value {
    json!({
        "id": "",
        "statementText": statement.text,
        "windowType": null,
        "fields": [],
        "sources": [],
        "sinks": [],
        "topology": "",
        "executionPlan": plan,
        "overriddenProperties": {},
        "ksqlHostQueryStatus": {},
        "queryType": "PUSH",
        "queryErrors": [],
        "tasksMetadata": [],
        "state": null,
    })
}

fn query_description(query: &Query, plan: &str) -> Value {
    let fields: Vec<Value> =
        query.sink.columns.iter().map(|c| types::field(&c.name, &c.data_type, None)).collect();
    let mut names = Vec::new();
    source_names(&query.plan, &mut names);
    let state = query.status.state();
    let errors = match &state {
        bd_engine::runtime::status::QueryState::Error(e) => {
            vec![json!({"errorMessage": e, "type": "SYSTEM"})]
        }
        _ => Vec::new(),
    };
    json!({
        "id": query.status.id,
        "statementText": query.sink.sql,
        "windowType": null,
        "fields": fields,
        "sources": names,
        "sinks": [query.sink.name],
        "topology": "",
        "executionPlan": plan,
        "overriddenProperties": {},
        "ksqlHostQueryStatus": {},
        "queryType": "PERSISTENT",
        "queryErrors": errors,
        "tasksMetadata": [],
        "state": state.to_string(),
    })
}

fn reads(plan: &Plan, name: &str) -> bool {
    let mut names = Vec::new();
    source_names(plan, &mut names);
    names.iter().any(|n| n == name)
}

/// The names of the sources that a plan reads, each once.
fn source_names(plan: &Plan, names: &mut Vec<String>) {
    match &plan.node {
        Node::StreamScan { source, .. } | Node::TableScan { source, .. } => {
            if !names.contains(&source.name) {
                names.push(source.name.clone());
            }
        }
        Node::Project { input, .. }
        | Node::Filter { input, .. }
        | Node::Unnest { input, .. }
        | Node::LeadLag { input, .. }
        | Node::Aggregate { input, .. } => source_names(input, names),
        Node::IntervalJoin { left, right, .. } | Node::TableJoin { left, right, .. } => {
            source_names(left, names);
            source_names(right, names);
        }
    }
}

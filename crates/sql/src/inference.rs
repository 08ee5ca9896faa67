//! Columns that a CREATE leaves to the schema registry: what to ask it for, and the statement with them written in.
//!
//! ```text
//!  CREATE STREAM s WITH (kafka_topic = 't', value_format = 'AVRO')
//!    wanted_schemas ─▶ the value's, of the subject t-value or by VALUE_SCHEMA_ID      (asked for by the engine)
//!    with_columns   ─▶ CREATE STREAM s (`a` INTEGER, `b` VARCHAR) WITH (...)          (what it runs, and keeps)
//! ```
//! A statement means the same for ever once its columns are in it, whatever is registered later.

use crate::analyzer::formats::{Rules, Stated, format};
use crate::analyzer::properties::Properties;
use crate::ast::{self, Create};
use crate::catalog::SourceKind;
use crate::error::{Res, Span, SqlError, fail};
use crate::lexer::{Token, tokens};
use crate::parser::{ParsedStatement, parse};
use bd_schema::{DataType, FormatOptions, Role, Schema};

/// A schema that gives a statement its columns.
#[derive(Debug, Clone, PartialEq)]
pub struct WantedSchema {
    /// The topic.
    pub topic: String,
    /// Of its keys or its values.
    pub role: Role,
    /// The format whose schemas these are: `AVRO`, `JSON_SR` or `PROTOBUF`.
    pub format: &'static str,
    /// What is said of it beside its name; its id where it is given.
    pub options: FormatOptions,
}

/// The schemas that a statement needs: those of a CREATE that has no column of its key or its value, with a format whose schemas a
/// registry keeps.
///
/// # Errors
/// Properties that do not fit; columns beside a schema's id.
pub fn wanted_schemas(statement: &ParsedStatement) -> Result<Vec<WantedSchema>, SqlError> {
    let ast::Statement::Create(create) = &statement.ast else { return Ok(Vec::new()) };
    if create.query.is_some() {
        return Ok(Vec::new());
    }
    of_create(create).map_err(|fault| fault.place(&statement.source))
}

fn of_create(create: &Create) -> Res<Vec<WantedSchema>> {
    let properties = Properties::read(&create.properties)?;
    // What lacks its topic is refused when it is analyzed.
    let Some(topic) = &properties.topic else { return Ok(Vec::new()) };
    let span = create.name.span;
    let has = |key: bool| create.columns.iter().any(|c| c.key.is_some() == key);
    let mut wanted = Vec::new();
    for (role, stated, default, has) in [
        (Role::Key, &properties.key, "KAFKA", has(true)),
        (Role::Value, &properties.value, "JSON", has(false)),
    ] {
        let rules = stated.format.map_or_else(|| format(default, span), |(rules, _)| Ok(rules))?;
        let options = stated.options(rules, role)?;
        if is_wanted(stated, rules, role, has)? {
            // Other framings of Avro have Avro's schemas.
            let format = if rules.name.starts_with("AVRO") { "AVRO" } else { rules.name };
            wanted.push(WantedSchema { topic: topic.clone(), role, format, options });
        }
    }
    Ok(wanted)
}

fn is_wanted(stated: &Stated, rules: &Rules, role: Role, has_columns: bool) -> Res<bool> {
    match stated.schema_id {
        Some((_, span)) if has_columns => {
            let name = role.to_string().to_uppercase();
            let message =
                format!("Table elements and {name}_SCHEMA_ID cannot both exist for create statement.");
            fail(span, message, format!("remove the columns of the {role}, or the id"))
        }
        given => Ok((rules.infers || given.is_some()) && !has_columns),
    }
}

/// The statement with these columns of its key in front of those it has, and these of its value behind them.
///
/// # Errors
/// Columns that no statement can have, such as two of the same name.
pub fn with_columns(
    statement: &ParsedStatement,
    key: Option<&Schema>,
    value: Option<&Schema>,
) -> Result<ParsedStatement, SqlError> {
    let rewritten = rewritten(statement, key, value).map_err(|fault| fault.place(&statement.source))?;
    let mut parsed = parse(&rewritten)?;
    Ok(if parsed.len() == 1 { parsed.remove(0) } else { statement.clone() })
}

fn rewritten(statement: &ParsedStatement, key: Option<&Schema>, value: Option<&Schema>) -> Res<String> {
    let ast::Statement::Create(create) = &statement.ast else { return Ok(statement.text.clone()) };
    let as_key = if create.kind == SourceKind::Table { " PRIMARY KEY" } else { " KEY" };
    let keys = key.map_or(Vec::new(), |schema| columns(schema, as_key));
    let values = value.map_or(Vec::new(), |schema| columns(schema, ""));
    let text = &statement.text;
    let behind_name = create.name.span.end - statement.offset;
    if create.columns.is_empty() && create.checks.is_empty() {
        let all: Vec<String> = keys.into_iter().chain(values).collect();
        return Ok(format!("{} ({}){}", &text[..behind_name], all.join(", "), &text[behind_name..]));
    }
    let Span { start, end } = parentheses(text, behind_name)?;
    // A comment may stand at its end.
    let own = format!("{}\n", text[start..end].trim());
    let all: Vec<String> = keys.into_iter().chain([own]).chain(values).collect();
    Ok(format!("{}{}{}", &text[..start], all.join(", "), &text[end..]))
}

/// What stands between the first parentheses behind a place.
fn parentheses(text: &str, behind: usize) -> Res<Span> {
    let (mut depth, mut start) = (0, behind);
    for token in tokens(text)?.iter().filter(|t| t.span.start >= behind) {
        match token.token {
            Token::Symbol("(") => {
                if depth == 0 {
                    start = token.span.end;
                }
                depth += 1;
            }
            Token::Symbol(")") => {
                depth -= 1;
                if depth == 0 {
                    return Ok(Span::new(start, token.span.start));
                }
            }
            _ => {}
        }
    }
    Ok(Span::new(behind, behind))
}

fn columns(schema: &Schema, suffix: &str) -> Vec<String> {
    let column = |f: &bd_schema::Field| format!("{} {}{suffix}", quoted(&f.name), type_text(&f.data_type));
    schema.fields.iter().map(column).collect()
}

fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A type as a statement can say it, whatever its fields are called.
fn type_text(data_type: &DataType) -> String {
    match data_type {
        DataType::Array(of) => format!("ARRAY<{}>", type_text(of)),
        DataType::Map(of) => format!("MAP<VARCHAR, {}>", type_text(of)),
        DataType::Struct(fields) => {
            let fields: Vec<String> =
                fields.iter().map(|f| format!("{} {}", quoted(&f.name), type_text(&f.data_type))).collect();
            format!("STRUCT<{}>", fields.join(", "))
        }
        other => other.to_string(),
    }
}

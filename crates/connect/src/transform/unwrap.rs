//! `io.debezium.transforms.ExtractNewRecordState`: the row after a change instead of the change event.
//!
//! | key | default | |
//! |---|---|---|
//! | `delete.tombstone.handling.mode` | `tombstone` | `drop`, `tombstone`, `rewrite`, `rewrite-with-tombstone`, `delete-to-tombstone` |
//! | `add.fields`, `add.fields.prefix` | none, `__` | fields of the event to add, `op`, `source.ts_ms:name`, ... |
//! | `add.headers`, `add.headers.prefix` | none, `__` | the same as headers |
//! | `route.by.field` | none | the field of the row that names the topic |
//!
//! `delete.handling.mode` and `drop.tombstones` of earlier versions are understood. A record that is no change event (`op`,
//! `before`, `after`) passes as it is.

use super::chain::Keys;
use super::flow::{alone, columns, struct_like, with_known, with_rows};
use super::{Flow, Step, Transform};
use crate::convert::{Memo, text_of};
use crate::sdk::{Cells, ConfigError, ConnectField, ConnectSchema};
use bd_schema::{DataType, Field, Role, Row, Value};
use std::sync::Arc;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Drop,
    Tombstone,
    Rewrite,
    RewriteWithTombstone,
    DeleteToTombstone,
}

impl Mode {
    fn rewrites(self) -> bool {
        matches!(self, Self::Rewrite | Self::RewriteWithTombstone)
    }

    fn keeps_tombstones(self) -> bool {
        matches!(self, Self::Tombstone | Self::RewriteWithTombstone)
    }
}

/// A field of the event to add.
#[derive(Debug, Clone)]
struct Added {
    /// `source` of `source.ts_ms`; none where the name alone was given.
    of: Option<String>,
    name: String,
    new_name: String,
}

/// Where a value stands in the event's row.
type Place = Vec<usize>;

/// What follows from an event's schema.
struct Event {
    after: usize,
    before: Option<usize>,
    op: usize,
    row: Arc<ConnectSchema>,
    fields: Vec<Place>,
    headers: Vec<(String, DataType, Place)>,
    route: Option<usize>,
}

struct Unwrap {
    mode: Mode,
    fields: Vec<Added>,
    headers: Vec<Added>,
    route: Option<String>,
    memo: Memo<Option<Event>>,
}

pub(super) fn open(keys: &Keys) -> Result<Box<dyn Transform>, ConfigError> {
    Ok(Box::new(Unwrap {
        mode: mode(keys)?,
        fields: added(keys, "add.fields"),
        headers: added(keys, "add.headers"),
        route: keys.get("route.by.field").map(str::to_owned),
        memo: Memo::default(),
    }))
}

fn mode(keys: &Keys) -> Result<Mode, ConfigError> {
    const KEY: &str = "delete.tombstone.handling.mode";
    let (old, dropped) = (keys.get("delete.handling.mode"), keys.get("drop.tombstones"));
    match keys.get(KEY) {
        None if old.is_some() || dropped.is_some() => {
            let dropped = dropped.is_none() || keys.boolean("drop.tombstones")?;
            match (old.unwrap_or("drop"), dropped) {
                ("drop", true) => Ok(Mode::Drop),
                ("drop", false) => Ok(Mode::Tombstone),
                ("rewrite", true) => Ok(Mode::Rewrite),
                ("rewrite", false) => Ok(Mode::RewriteWithTombstone),
                ("none", true) => Ok(Mode::DeleteToTombstone),
                (other, _) => {
                    let reason = format!("invalid value {other}: use {KEY}");
                    Err(keys.error("delete.handling.mode", reason))
                }
            }
        }
        None | Some("tombstone") => Ok(Mode::Tombstone),
        Some("drop") => Ok(Mode::Drop),
        Some("rewrite") => Ok(Mode::Rewrite),
        Some("rewrite-with-tombstone") => Ok(Mode::RewriteWithTombstone),
        Some("delete-to-tombstone") => Ok(Mode::DeleteToTombstone),
        Some(other) => {
            let all = "drop, tombstone, rewrite, rewrite-with-tombstone, delete-to-tombstone";
            Err(keys.error(
                KEY,
                format!("Invalid value {other} for configuration {KEY}: Value must be one of {all}"),
            ))
        }
    }
}

fn added(keys: &Keys, key: &str) -> Vec<Added> {
    let prefix = keys.get(&format!("{key}.prefix")).unwrap_or("__");
    let one = |text: &str| {
        let (path, renamed) = match text.split_once(':') {
            Some((path, name)) => (path.trim(), Some(name.trim())),
            None => (text, None),
        };
        let (of, name) = match path.split_once('.') {
            Some((of, name)) => (Some(of.to_owned()), name.to_owned()),
            None => (None, path.to_owned()),
        };
        let new_name = match (renamed, &of) {
            (Some(renamed), _) => format!("{prefix}{renamed}"),
            (None, Some(of)) => format!("{prefix}{of}_{name}"),
            (None, None) => format!("{prefix}{name}"),
        };
        Added { of, name, new_name }
    };
    keys.list(key).into_iter().map(one).collect()
}

type Columns = Vec<(Field, ConnectField)>;

fn find(columns: &Columns, name: &str) -> Option<usize> {
    columns.iter().position(|(f, _)| f.name == name)
}

/// The place of an added field; a bare name is the event's own, else its source's.
fn place(columns: &Columns, added: &Added) -> Option<(Place, DataType, ConnectField)> {
    let inner = |of: &str| {
        let at = find(columns, of)?;
        let (field, known) = columns.get(at)?;
        let DataType::Struct(fields) = &field.data_type else { return None };
        let inner = with_known(fields, &known.fields);
        let within = find(&inner, &added.name)?;
        let (field, known) = inner.into_iter().nth(within)?;
        Some((vec![at, within], field.data_type, known))
    };
    if let Some(of) = &added.of {
        return inner(of);
    }
    match find(columns, &added.name) {
        Some(at) => {
            let (field, known) = columns.get(at)?;
            Some((vec![at], field.data_type.clone(), known.clone()))
        }
        None => inner("source"),
    }
}

fn value_at(row: &Row, place: &Place) -> Value {
    let mut at = place.iter();
    let Some(mut value) = at.next().and_then(|i| row.get(*i)) else { return Value::Null };
    for i in at {
        match value {
            Value::Struct(values) if *i < values.len() => value = &values[*i],
            _ => return Value::Null,
        }
    }
    value.clone()
}

impl Unwrap {
    /// `None` where the schema is not an event's.
    fn event(&self, schema: &ConnectSchema) -> Result<Option<Event>, String> {
        let Some(all) = columns(schema) else { return Ok(None) };
        let (Some(op), Some(after)) = (find(&all, "op"), find(&all, "after")) else { return Ok(None) };
        let before = find(&all, "before");
        // Of documents without a schema, a null `after` does not show that it is a struct; `before` does then.
        let is_struct = |at: &usize| matches!(all[*at].0.data_type, DataType::Struct(_));
        let Some(state) = [Some(after), before].into_iter().flatten().find(is_struct) else {
            return Ok(None);
        };
        let inner = alone(&all[state].0, &all[state].1);
        let mut row = columns(&inner).unwrap_or_default();
        let route = match &self.route {
            None => None,
            Some(name) => Some(find(&row, name).ok_or_else(|| format!("route.by.field: no field {name}"))?),
        };
        if self.mode.rewrites() {
            row.push((Field::new("__deleted", DataType::Varchar), ConnectField::default()));
        }
        let mut fields = Vec::new();
        for added in &self.fields {
            let (place, data_type, known) = place(&all, added)
                .ok_or_else(|| format!("add.fields: the event has no field {}", added.name))?;
            row.push((Field::new(&added.new_name, data_type), ConnectField { required: false, ..known }));
            fields.push(place);
        }
        let mut headers = Vec::new();
        for added in &self.headers {
            let (place, data_type, _) = place(&all, added)
                .ok_or_else(|| format!("add.headers: the event has no field {}", added.name))?;
            headers.push((added.new_name.clone(), data_type, place));
        }
        Ok(Some(Event { after, before, op, row: struct_like(&inner, row), fields, headers, route }))
    }

    /// The row of an event: none is dropped, an inner none is a tombstone.
    fn unwrap(&self, event: &Event, mut row: Row) -> Option<Option<Row>> {
        let added: Vec<Value> = event.fields.iter().map(|place| value_at(&row, place)).collect();
        let deleted = matches!(row.get(event.op), Some(Value::Varchar(op)) if op == "d");
        let truncated = matches!(row.get(event.op), Some(Value::Varchar(op)) if op == "t");
        let mut take = |at: usize| row.get_mut(at).map(|v| std::mem::replace(v, Value::Null));
        let state = match (deleted, self.mode) {
            _ if truncated => return None,
            (true, Mode::Drop | Mode::Tombstone) => return None,
            (true, Mode::DeleteToTombstone) => return Some(None),
            (true, _) => event.before.and_then(&mut take),
            (false, _) => take(event.after),
        };
        let mut state = match state {
            Some(Value::Struct(values)) => values,
            // A delete without the row as it was: what is known is that it is gone.
            _ if deleted => {
                let own = event.row.columns().fields.len() - added.len() - 1;
                vec![Value::Null; own]
            }
            _ => return Some(None),
        };
        if self.mode.rewrites() {
            state.push(Value::Varchar(deleted.to_string()));
        }
        state.extend(added);
        Some(Some(state))
    }
}

impl Transform for Unwrap {
    fn apply(&mut self, flow: Flow, out: &mut Step) {
        let mut memo = std::mem::take(&mut self.memo);
        with_rows(flow, Role::Value, out, |mut flow, schema, rows, out| {
            let event = match memo.get(&schema, |schema| self.event(schema)) {
                Err(reason) => return out.fail_all(&flow, &reason),
                Ok(None) => {
                    flow.set(Role::Value, Cells::Rows { schema, rows });
                    return out.flows.push(flow);
                }
                Ok(Some(event)) => event,
            };
            let (mut kept, mut states, mut routes) = (Vec::new(), Vec::new(), Vec::new());
            for (i, row) in rows.into_iter().enumerate() {
                let Some(row) = row else {
                    if self.mode.keeps_tombstones() {
                        kept.push(i);
                        states.push(None);
                        routes.push(None);
                    }
                    continue;
                };
                for (name, data_type, place) in &event.headers {
                    let text = text_of(&value_at(&row, place), data_type).into_bytes();
                    flow.add_header(i, (name.clone(), Some(text)));
                }
                let Some(state) = self.unwrap(event, row) else { continue };
                let route = event.route.and_then(|at| match state.as_ref()?.get(at)? {
                    Value::Varchar(topic) => Some(topic.clone()),
                    _ => None,
                });
                kept.push(i);
                states.push(state);
                routes.push(route);
            }
            if kept.len() < flow.len() {
                flow = flow.select(&kept);
            }
            flow.set(Role::Value, Cells::Rows { schema: Arc::clone(&event.row), rows: states });
            for (route, mut flow) in flow.split_by(|i| routes[i].clone()) {
                if let Some(topic) = route {
                    flow.batch.topic = topic.into();
                }
                out.flows.push(flow);
            }
        });
        self.memo = memo;
    }
}

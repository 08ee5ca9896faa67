//! Transforms that choose, rename and wrap fields.

use super::chain::Keys;
use super::flow::{alone, alone_row, columns, struct_like, struct_of, with_known, with_rows};
use super::{Flow, Step, Transform};
use crate::convert::Memo;
use crate::sdk::{Cells, ConfigError, ConnectField, ConnectSchema};
use bd_schema::{DataType, Field, Role, Row, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

type Columns = Vec<(Field, ConnectField)>;

/// The new name of a column; `None` leaves it out.
type Choose = dyn Fn(&str) -> Option<String> + Send;

/// A transform of the columns of a struct: which of the old ones, in which order, under which names.
struct Pick {
    role: Role,
    choose: Box<Choose>,
    memo: Memo<(Arc<ConnectSchema>, Vec<usize>)>,
}

impl Transform for Pick {
    fn apply(&mut self, flow: Flow, out: &mut Step) {
        let (role, choose, memo) = (self.role, &self.choose, &mut self.memo);
        with_rows(flow, role, out, |mut flow, schema, rows, out| {
            let picked = memo.get(&schema, |schema| {
                let all = columns(schema).ok_or("the record is no struct")?;
                let chosen = all.into_iter().enumerate().filter_map(|(i, (field, known))| {
                    let name = choose(&field.name)?;
                    Some((i, (Field::new(name, field.data_type), known)))
                });
                let (places, columns): (Vec<_>, Columns) = chosen.unzip();
                Ok::<_, &str>((struct_like(schema, columns), places))
            });
            match picked {
                Err(reason) => out.fail_all(&flow, reason),
                Ok((schema, places)) => {
                    let pick = |mut row: Row| -> Row {
                        places.iter().map(|i| std::mem::replace(&mut row[*i], Value::Null)).collect()
                    };
                    let rows = rows.into_iter().map(|row| row.map(pick)).collect();
                    flow.set(role, Cells::Rows { schema: Arc::clone(schema), rows });
                    out.flows.push(flow);
                }
            }
        });
    }
}

/// `ReplaceField`: keys `include`, `exclude`, `renames` (`old:new,...`).
pub(super) fn open_replace(keys: &Keys, role: Role) -> Result<Box<dyn Transform>, ConfigError> {
    let set = |key: &str, old: &str| -> BTreeSet<String> {
        let names = if keys.get(key).is_some() { keys.list(key) } else { keys.list(old) };
        names.into_iter().map(str::to_owned).collect()
    };
    let (include, exclude) = (set("include", "whitelist"), set("exclude", "blacklist"));
    let mut renames = BTreeMap::new();
    for rename in keys.list("renames") {
        let (old, new) = rename.split_once(':').ok_or_else(|| {
            keys.error("renames", format!("Invalid rename mapping: {rename}, expected old:new"))
        })?;
        renames.insert(old.trim().to_owned(), new.trim().to_owned());
    }
    let choose = move |name: &str| {
        let wanted = !exclude.contains(name) && (include.is_empty() || include.contains(name));
        wanted.then(|| renames.get(name).cloned().unwrap_or_else(|| name.to_owned()))
    };
    Ok(Box::new(Pick { role, choose: Box::new(choose), memo: Memo::default() }))
}

/// `ExtractField`: key `field`, a name or (with `field.syntax.version=V2`) a path `a.b`.
struct Extract {
    role: Role,
    path: Vec<String>,
    memo: Memo<(Arc<ConnectSchema>, Vec<usize>)>,
}

pub(super) fn open_extract(keys: &Keys, role: Role) -> Result<Box<dyn Transform>, ConfigError> {
    let field = keys.text("field")?;
    let path = match keys.get("field.syntax.version") {
        Some("V2") => field.split('.').map(str::to_owned).collect(),
        _ => vec![field.to_owned()],
    };
    Ok(Box::new(Extract { role, path, memo: Memo::default() }))
}

impl Extract {
    fn find(path: &[String], schema: &ConnectSchema) -> Result<(Arc<ConnectSchema>, Vec<usize>), String> {
        let mut all = columns(schema).unwrap_or_default();
        let (mut places, mut found) = (Vec::new(), None);
        for name in path {
            let at = all.iter().position(|(f, _)| f.name == *name);
            let at = at.ok_or_else(|| format!("Unknown field: {}", path.join(".")))?;
            places.push(at);
            let column = all.swap_remove(at);
            all = match &column.0.data_type {
                DataType::Struct(fields) => with_known(fields, &column.1.fields),
                _ => Vec::new(),
            };
            found = Some(column);
        }
        let (field, known) = found.ok_or("no field is named")?;
        Ok((alone(&field, &known), places))
    }
}

impl Transform for Extract {
    fn apply(&mut self, flow: Flow, out: &mut Step) {
        let (role, path, memo) = (self.role, &self.path, &mut self.memo);
        with_rows(flow, role, out, |mut flow, schema, rows, out| {
            match memo.get(&schema, |schema| Self::find(path, schema)) {
                Err(reason) => out.fail_all(&flow, &reason),
                Ok((schema, places)) => {
                    let extract = |row: Row| {
                        let take = |value: Value, at: &usize| match value {
                            Value::Struct(mut values) if *at < values.len() => values.swap_remove(*at),
                            _ => Value::Null,
                        };
                        alone_row(places.iter().fold(Value::Struct(row), take), schema)
                    };
                    let rows = rows.into_iter().map(|row| row.and_then(extract)).collect();
                    flow.set(role, Cells::Rows { schema: Arc::clone(schema), rows });
                    out.flows.push(flow);
                }
            }
        });
    }
}

/// `HoistField`: key `field`.
struct Hoist {
    role: Role,
    field: String,
}

pub(super) fn open_hoist(keys: &Keys, role: Role) -> Result<Box<dyn Transform>, ConfigError> {
    Ok(Box::new(Hoist { role, field: keys.text("field")?.to_owned() }))
}

impl Transform for Hoist {
    fn apply(&mut self, flow: Flow, out: &mut Step) {
        with_rows(flow, self.role, out, |mut flow, schema, rows, out| {
            let whole = !schema.is_single();
            let (data_type, known) = schema.as_field();
            let hoisted = struct_of(vec![(Field::new(&self.field, data_type), known)]);
            let hoist = |row: Option<Row>| match row {
                None => vec![Value::Null],
                Some(row) if whole => vec![Value::Struct(row)],
                Some(row) => row,
            };
            let rows = rows.into_iter().map(|row| Some(hoist(row))).collect();
            flow.set(self.role, Cells::Rows { schema: hoisted, rows });
            out.flows.push(flow);
        });
    }
}

/// `ValueToKey`: key `fields`.
struct ValueToKey {
    fields: Vec<String>,
    memo: Memo<(Arc<ConnectSchema>, Vec<usize>)>,
}

pub(super) fn open_value_to_key(keys: &Keys) -> Result<Box<dyn Transform>, ConfigError> {
    keys.text("fields")?;
    let fields = keys.list("fields").into_iter().map(str::to_owned).collect();
    Ok(Box::new(ValueToKey { fields, memo: Memo::default() }))
}

impl Transform for ValueToKey {
    fn apply(&mut self, flow: Flow, out: &mut Step) {
        let (names, memo) = (&self.fields, &mut self.memo);
        with_rows(flow, Role::Value, out, |mut flow, schema, rows, out| {
            let found = memo.get(&schema, |schema| {
                let all = columns(schema).ok_or("the record is no struct")?;
                let place = |name: &String| {
                    all.iter()
                        .position(|(f, _)| f.name == *name)
                        .ok_or(format!("Field does not exist: {name}"))
                };
                let places = names.iter().map(place).collect::<Result<Vec<_>, String>>()?;
                let columns = places.iter().map(|i| all[*i].clone()).collect();
                Ok::<_, String>((struct_of(columns), places))
            });
            match found {
                Err(reason) => out.fail_all(&flow, &reason),
                Ok((key_schema, places)) => {
                    flow.schemaless.keys = flow.schemaless.values;
                    // A tombstone has no value to take a key from and keeps the one that it has.
                    let keys: Vec<Option<Row>> = rows
                        .iter()
                        .map(|row| row.as_ref().map(|row| places.iter().map(|i| row[*i].clone()).collect()))
                        .collect();
                    if keys.iter().any(Option::is_none) {
                        let missing = "a record without a value has no fields to make a key of; put a Filter with \
                                       RecordIsTombstone before ValueToKey";
                        let places = |some: bool| -> Vec<usize> {
                            (0..keys.len()).filter(|i| keys[*i].is_some() == some).collect()
                        };
                        out.fail_all(&flow.select(&places(false)), missing);
                        flow.set(Role::Value, Cells::Rows { schema, rows });
                        let mut kept = flow.select(&places(true));
                        let keys = keys.into_iter().flatten().map(Some).collect();
                        kept.set(Role::Key, Cells::Rows { schema: Arc::clone(key_schema), rows: keys });
                        out.flows.push(kept);
                        return;
                    }
                    flow.set(Role::Key, Cells::Rows { schema: Arc::clone(key_schema), rows: keys });
                    flow.set(Role::Value, Cells::Rows { schema, rows });
                    out.flows.push(flow);
                }
            }
        });
    }
}

/// `MaskField`: keys `fields`, `replacement`.
struct Mask {
    role: Role,
    fields: BTreeSet<String>,
    replacement: Option<String>,
}

pub(super) fn open_mask(keys: &Keys, role: Role) -> Result<Box<dyn Transform>, ConfigError> {
    keys.text("fields")?;
    let fields = keys.list("fields").into_iter().map(str::to_owned).collect();
    Ok(Box::new(Mask { role, fields, replacement: keys.get("replacement").map(str::to_owned) }))
}

impl Transform for Mask {
    fn apply(&mut self, flow: Flow, out: &mut Step) {
        with_rows(flow, self.role, out, |mut flow, schema, mut rows, out| {
            let all = schema.columns().into_owned();
            let masked = all.fields.iter().enumerate().filter(|(_, f)| self.fields.contains(&f.name));
            for (i, field) in masked {
                match empty(&field.data_type, self.replacement.as_deref()) {
                    Ok(value) => rows.iter_mut().flatten().for_each(|row| row[i] = value.clone()),
                    Err(reason) => return out.fail_all(&flow, &format!("field {}: {reason}", field.name)),
                }
            }
            flow.set(self.role, Cells::Rows { schema, rows });
            out.flows.push(flow);
        });
    }
}

/// What hides a value of that type.
fn empty(data_type: &DataType, replacement: Option<&str>) -> Result<Value, String> {
    if let Some(text) = replacement {
        let wrong = || format!("the replacement {text} is no {data_type}");
        return match data_type {
            DataType::Varchar => Ok(Value::Varchar(text.to_owned())),
            DataType::Integer => text.parse().map(Value::Integer).map_err(|_| wrong()),
            DataType::BigInt => text.parse().map(Value::BigInt).map_err(|_| wrong()),
            DataType::Double => text.parse().map(Value::Double).map_err(|_| wrong()),
            _ => Err(format!("{data_type} cannot be masked with a replacement")),
        };
    }
    Ok(match data_type {
        DataType::Boolean => Value::Boolean(false),
        DataType::Integer => Value::Integer(0),
        DataType::BigInt => Value::BigInt(0),
        DataType::Double => Value::Double(0.0),
        DataType::Decimal(..) => Value::Decimal(0),
        DataType::Varchar => Value::Varchar(String::new()),
        DataType::Bytes => Value::Bytes(Vec::new()),
        DataType::Date => Value::Date(0),
        DataType::Time => Value::Time(0),
        DataType::Timestamp => Value::Timestamp(0),
        DataType::Array(_) => Value::Array(Vec::new()),
        DataType::Map(_) => Value::Map(Vec::new()),
        DataType::Struct(_) => Value::Null,
    })
}

/// `Flatten`: key `delimiter` (`.`). Structs only; arrays and maps stay.
struct Flatten {
    role: Role,
    delimiter: String,
    memo: Memo<Arc<ConnectSchema>>,
}

pub(super) fn open_flatten(keys: &Keys, role: Role) -> Result<Box<dyn Transform>, ConfigError> {
    let delimiter = keys.get("delimiter").unwrap_or(".").to_owned();
    Ok(Box::new(Flatten { role, delimiter, memo: Memo::default() }))
}

fn flat_columns(columns: Columns, prefix: &str, delimiter: &str, optional: bool, out: &mut Columns) {
    for (field, known) in columns {
        let name = format!("{prefix}{}", field.name);
        match &field.data_type {
            DataType::Struct(fields) => {
                let inner = with_known(fields, &known.fields);
                let optional = optional || !known.required;
                flat_columns(inner, &format!("{name}{delimiter}"), delimiter, optional, out);
            }
            other => {
                let known = ConnectField { required: known.required && !optional, ..known };
                out.push((Field::new(name, other.clone()), known));
            }
        }
    }
}

fn flat_values(values: Vec<Value>, fields: &[Field], out: &mut Row) {
    for (value, field) in values.into_iter().zip(fields) {
        match (value, &field.data_type) {
            (Value::Struct(values), DataType::Struct(fields)) => flat_values(values, fields, out),
            (_, DataType::Struct(fields)) => flat_values(vec![Value::Null; fields.len()], fields, out),
            (value, _) => out.push(value),
        }
    }
}

impl Transform for Flatten {
    fn apply(&mut self, flow: Flow, out: &mut Step) {
        let (role, delimiter, memo) = (self.role, &self.delimiter, &mut self.memo);
        with_rows(flow, role, out, |mut flow, schema, rows, out| {
            let flat = memo.get(&schema, |schema| {
                let all = columns(schema).ok_or("the record is no struct")?;
                let mut flat = Vec::new();
                flat_columns(all, "", delimiter, false, &mut flat);
                Ok::<_, &str>(struct_like(schema, flat))
            });
            match flat {
                Err(reason) => out.fail_all(&flow, reason),
                Ok(flat) => {
                    let fields = schema.columns();
                    let flatten = |row: Row| {
                        let mut flat = Row::new();
                        flat_values(row, &fields.fields, &mut flat);
                        flat
                    };
                    let rows = rows.into_iter().map(|row| row.map(flatten)).collect();
                    flow.set(role, Cells::Rows { schema: Arc::clone(flat), rows });
                    out.flows.push(flow);
                }
            }
        });
    }
}

/// `SetSchemaMetadata`: keys `schema.name`, `schema.version`.
struct SetSchema {
    role: Role,
    name: Option<String>,
    version: Option<i32>,
}

pub(super) fn open_set_schema(keys: &Keys, role: Role) -> Result<Box<dyn Transform>, ConfigError> {
    let wrong = |version: &str| {
        let reason =
            format!("Invalid value {version} for configuration schema.version: Not a number of type INT");
        keys.error("schema.version", reason)
    };
    let version = keys.get("schema.version");
    let version = version.map(|v| v.trim().parse().map_err(|_| wrong(v))).transpose()?;
    Ok(Box::new(SetSchema { role, name: keys.get("schema.name").map(str::to_owned), version }))
}

impl Transform for SetSchema {
    fn apply(&mut self, mut flow: Flow, out: &mut Step) {
        let rename = |schema: &Arc<ConnectSchema>| {
            let mut renamed = ConnectSchema { avro: None, ..ConnectSchema::clone(schema) };
            renamed.name = self.name.clone().or(renamed.name);
            renamed.meta.version = self.version.or(renamed.meta.version);
            Arc::new(renamed)
        };
        let cells = match self.role {
            Role::Key => &mut flow.batch.keys,
            Role::Value => &mut flow.batch.values,
        };
        if let Cells::Rows { schema, .. } | Cells::Arrow { schema, .. } = cells {
            *schema = rename(schema);
        }
        out.flows.push(flow);
    }
}

//! JSON values by their writer's schema.

use super::derive::Plan;
use crate::failure::{Failure, Fallible, abridged};
use crate::{DataType, Value, numeric, temporal};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value as Json;

#[cold]
fn wrong(wanted: &dyn std::fmt::Display, json: &Json) -> Box<Failure> {
    Failure::new(format!("{wanted} wanted, found {}", abridged(&json.to_string())))
}

/// A value. What is absent is null.
pub(super) fn value(plan: &Plan, json: &Json) -> Fallible<Value> {
    if json.is_null() {
        return Ok(Value::Null);
    }
    match (plan, json) {
        (Plan::Leaf(data_type), json) => leaf(data_type, json),
        (Plan::Decimal(precision, scale), json) => decimal(*precision, *scale, json),
        (Plan::Array(item), Json::Array(items)) => {
            let of = |(i, json): (usize, &Json)| value(item, json).map_err(|e| e.in_element(i));
            items.iter().enumerate().map(of).collect::<Fallible<_>>().map(Value::Array)
        }
        (Plan::Map(entry), Json::Object(members)) => {
            let of = |(key, json): (&String, &Json)| {
                Ok((key.clone(), value(entry, json).map_err(|e| e.in_entry(key))?))
            };
            members.iter().map(of).collect::<Fallible<_>>().map(Value::Map)
        }
        (Plan::Entries(entry), Json::Array(items)) => {
            let of = |(i, item): (usize, &Json)| {
                let key = item.get("key").filter(|_| item.is_object());
                let key = match key {
                    Some(Json::String(key)) => key.clone(),
                    Some(other) => other.to_string(),
                    None => return Err(wrong(&"an entry of key and value", item).in_element(i)),
                };
                let of_key = item.get("value").unwrap_or(&Json::Null);
                let of_key = value(entry, of_key).map_err(|e| e.in_entry(&key))?;
                Ok((key, of_key))
            };
            items.iter().enumerate().map(of).collect::<Fallible<_>>().map(Value::Map)
        }
        (Plan::Struct(fields), Json::Object(_)) => fields_of(fields, json).map(Value::Struct),
        (Plan::Union(branches), json) => union(branches, json),
        (Plan::Array(_) | Plan::Entries(_), json) => Err(wrong(&"an array", json)),
        (Plan::Map(_) | Plan::Struct(_), json) => Err(wrong(&"an object", json)),
    }
}

/// The values of an object's fields.
pub(super) fn fields_of(fields: &[(String, Plan)], json: &Json) -> Fallible<Vec<Value>> {
    if !json.is_object() {
        return Err(wrong(&"an object", json));
    }
    let of = |(name, plan): &(String, Plan)| {
        value(plan, json.get(name).unwrap_or(&Json::Null)).map_err(|e| e.in_field(name))
    };
    fields.iter().map(of).collect()
}

/// The first scalar branch that fits, else the object that has most of its fields there, as Confluent's converter.
fn union(branches: &[Plan], json: &Json) -> Fallible<Value> {
    let fits = |plan: &Plan| match (plan, json) {
        (Plan::Leaf(DataType::Boolean), json) => json.is_boolean(),
        (Plan::Leaf(DataType::BigInt | DataType::Integer), json) => json.is_i64(),
        (Plan::Leaf(DataType::Double) | Plan::Decimal(..), json) => json.is_number(),
        (Plan::Leaf(DataType::Varchar | DataType::Bytes), json) => json.is_string(),
        (Plan::Leaf(_), json) => json.is_number(),
        (Plan::Array(_) | Plan::Entries(_), json) => json.is_array(),
        _ => false,
    };
    let known = |plan: &Plan| match plan {
        Plan::Struct(fields) => fields.iter().filter(|(name, _)| json.get(name).is_some()).count(),
        Plan::Map(_) => usize::from(json.is_object()),
        _ => 0,
    };
    let chosen = branches.iter().position(fits).or_else(|| {
        let best = branches.iter().map(known).max().filter(|n| *n > 0)?;
        branches.iter().position(|b| known(b) == best)
    });
    let Some(chosen) = chosen else { return Err(wrong(&"a value of one of the schema's types", json)) };
    let of = |(i, plan): (usize, &Plan)| match i == chosen {
        true => value(plan, json),
        false => Ok(Value::Null),
    };
    branches.iter().enumerate().map(of).collect::<Fallible<_>>().map(Value::Struct)
}

fn leaf(data_type: &DataType, json: &Json) -> Fallible<Value> {
    let wrong = || wrong(data_type, json);
    let whole = || {
        let exact = |n: &f64| n.fract() == 0.0 && n.abs() < 9e15;
        let n = json.as_i64().or_else(|| json.as_f64().filter(exact).map(|n| n as i64));
        n.ok_or_else(wrong)
    };
    let int = || i32::try_from(whole()?).map_err(|_| wrong());
    let text = json.as_str();
    Ok(match data_type {
        DataType::Boolean => Value::Boolean(json.as_bool().ok_or_else(wrong)?),
        DataType::Integer => Value::Integer(int()?),
        DataType::BigInt => Value::BigInt(whole()?),
        DataType::Double => Value::Double(json.as_f64().ok_or_else(wrong)?),
        DataType::Date => Value::Date(text.and_then(temporal::date).map_or_else(int, Ok)?),
        DataType::Time => Value::Time(text.and_then(temporal::time).map_or_else(int, Ok)?),
        DataType::Timestamp => Value::Timestamp(text.and_then(temporal::timestamp).map_or_else(whole, Ok)?),
        DataType::Bytes => {
            let bytes = text.and_then(|t| BASE64_STANDARD.decode(t).ok());
            Value::Bytes(bytes.ok_or_else(wrong)?)
        }
        DataType::Decimal(precision, scale) => decimal(*precision, *scale, json)?,
        _ => Value::Varchar(text.map_or_else(|| json.to_string(), str::to_owned)),
    })
}

fn decimal(precision: u8, scale: i8, json: &Json) -> Fallible<Value> {
    let wrong = || wrong(&DataType::Decimal(precision, scale), json);
    let unscaled = match json {
        Json::Number(number) => numeric::scaled(&number.to_string(), i32::from(scale)).ok(),
        Json::String(text) if !text.is_empty() => {
            BASE64_STANDARD.decode(text).ok().and_then(|bytes| numeric::of_big_integer(&bytes))
        }
        _ => None,
    };
    let unscaled = unscaled.filter(|n| numeric::fits_precision(*n, precision)).ok_or_else(wrong)?;
    Ok(Value::Decimal(unscaled))
}

//! The body of an aggregation in a request.

use serde_json::{Map, Value};

use super::Source;
use super::order::{By, Order, parse as parse_order};
use crate::error::{EsError, EsResult};
use crate::mapping::plain;

/// The members of an aggregation's body, each of which must be known.
pub(super) struct Body<'a> {
    pub(super) name: &'a str,
    pub(super) kind: &'a str,
    pub(super) members: &'a Map<String, Value>,
}

impl Body<'_> {
    pub(super) fn known(&self, keys: &[&str]) -> EsResult<()> {
        match self.members.keys().find(|key| !keys.contains(&key.as_str())) {
            None => Ok(()),
            Some(key) => Err(EsError::x_content(format!("[1:1] [{}] unknown field [{key}]", self.kind))),
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.members.get(key).filter(|value| !value.is_null())
    }

    pub(super) fn field(&self) -> EsResult<String> {
        self.get("field").map(plain).ok_or_else(|| {
            EsError::illegal("Required one of fields [field, script], but none were specified. ")
        })
    }

    pub(super) fn source(&self) -> EsResult<Source> {
        Ok(Source {
            field: self.field()?,
            missing: self.get("missing").cloned(),
            format: self.get("format").map(plain),
        })
    }

    pub(super) fn whole(&self, key: &str, default: u64) -> EsResult<u64> {
        let Some(value) = self.get(key) else { return Ok(default) };
        let number = value.as_i64().or_else(|| value.as_str()?.parse().ok());
        number.and_then(|number| u64::try_from(number).ok()).ok_or_else(|| {
            EsError::illegal(format!(
                "[{key}] must be greater than or equal to 0. Found [{}] in [{}]",
                plain(value),
                self.name
            ))
        })
    }

    pub(super) fn flag(&self, key: &str) -> bool {
        self.get(key).is_some_and(|value| plain(value) == "true")
    }

    pub(super) fn order(&self, default: Vec<Order>) -> EsResult<Vec<Order>> {
        let mut order = match self.get("order") {
            Some(order) => parse_order(order)?,
            None => default,
        };
        if !order.iter().any(|order| order.by == By::Key) {
            order.push(Order { by: By::Key, descending: false });
        }
        Ok(order)
    }

    pub(super) fn bounds(&self, key: &str) -> EsResult<(Option<Value>, Option<Value>)> {
        let Some(bounds) = self.get(key) else { return Ok((None, None)) };
        let Some(members) = bounds.as_object() else {
            return Err(EsError::x_content(format!(
                "[1:1] [{}] {key} doesn't support values of type: {bounds}",
                self.kind
            )));
        };
        if let Some(unknown) = members.keys().find(|key| !matches!(key.as_str(), "min" | "max")) {
            return Err(EsError::x_content(format!("[1:1] [bounds] unknown field [{unknown}]")));
        }
        let end = |key: &str| members.get(key).filter(|value| !value.is_null()).cloned();
        Ok((end("min"), end("max")))
    }
}

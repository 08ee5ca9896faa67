//! The order of buckets.

use serde_json::Value;

use crate::error::{EsError, EsResult};
use crate::mapping::plain;

/// What buckets are ordered by.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum By {
    Count,
    Key,
    /// An aggregation in the bucket by name, and which of its values.
    Metric {
        name: String,
        value: Option<String>,
    },
}

/// One criterion.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Order {
    pub(crate) by: By,
    pub(crate) descending: bool,
}

/// Reads `order`: `{"_count": "desc"}`, or an array of such.
pub(crate) fn parse(json: &Value) -> EsResult<Vec<Order>> {
    let items = match json {
        Value::Array(items) => items.as_slice(),
        one => std::slice::from_ref(one),
    };
    let mut orders = Vec::new();
    for item in items {
        let members = item.as_object().filter(|members| members.len() == 1);
        let Some((name, direction)) = members.and_then(|members| members.iter().next()) else {
            return Err(EsError::parsing("Must specify at least one field for [order]"));
        };
        let descending = match plain(direction).to_lowercase().as_str() {
            "asc" => false,
            "desc" => true,
            other => return Err(EsError::parsing(format!("Unknown order direction [{other}]"))),
        };
        let by = match name.as_str() {
            "_count" => By::Count,
            "_key" | "_term" | "_time" => By::Key,
            path if path.contains('>') => {
                return Err(EsError::illegal(format!("ordering by the path [{path}] is not supported")));
            }
            path => match path.split_once('.') {
                Some((name, value)) => By::Metric { name: name.into(), value: Some(value.into()) },
                None => By::Metric { name: path.into(), value: None },
            },
        };
        orders.push(Order { by, descending });
    }
    Ok(orders)
}

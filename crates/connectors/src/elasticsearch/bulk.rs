//! Answers to bulk requests: one outcome an item.

use super::document::Action;
use serde::Deserialize;

/// What became of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is in the index, or something newer is.
    Done,
    /// It may work when sent again.
    Retry(String),
    /// The index is not there.
    NoIndex(String),
    /// The index refuses the document.
    Malformed(String),
}

#[derive(Deserialize)]
struct Answer {
    items: Vec<Entry>,
}

/// One member: the name of the operation.
#[derive(Deserialize)]
struct Entry {
    #[serde(alias = "create", alias = "delete", alias = "update")]
    index: Item,
}

#[derive(Deserialize)]
struct Item {
    status: u16,
    #[serde(default)]
    error: serde_json::Value,
}

/// The outcomes of a bulk request's items, in order.
///
/// # Errors
/// The answer is not one of a bulk request for these items; says how.
pub(super) fn outcomes(answer: &[u8], actions: &[Action]) -> Result<Vec<Outcome>, String> {
    let answer: Answer = serde_json::from_slice(answer).map_err(|e| format!("not a bulk answer: {e}"))?;
    if answer.items.len() != actions.len() {
        return Err(format!("{} items answered for {} sent", answer.items.len(), actions.len()));
    }
    Ok(actions.iter().zip(&answer.items).map(|(action, entry)| outcome(*action, &entry.index)).collect())
}

fn outcome(action: Action, item: &Item) -> Outcome {
    let kind = item.error.get("type").and_then(|t| t.as_str()).unwrap_or_default();
    let reason = || format!("{} ({})", reason(&item.error), item.status);
    match (item.status, action) {
        (200..=299, _) => Outcome::Done,
        (404, _) if kind == "index_not_found_exception" => Outcome::NoIndex(reason()),
        (404, Action::Delete) => Outcome::Done,
        (409, Action::Create | Action::Index | Action::Delete) => Outcome::Done,
        (409 | 408 | 429 | 500..=599, _) => Outcome::Retry(reason()),
        // A full disk, or an index that is closed for maintenance.
        _ if kind == "cluster_block_exception" => Outcome::Retry(reason()),
        _ => Outcome::Malformed(reason()),
    }
}

/// `type: reason`, with its causes.
pub(super) fn reason(error: &serde_json::Value) -> String {
    let mut text = String::new();
    let mut at = Some(error);
    for _ in 0..5 {
        let Some(error) = at.filter(|e| !e.is_null()) else { break };
        if !text.is_empty() {
            text.push_str("; caused by ");
        }
        match (error.get("type").and_then(|t| t.as_str()), error.get("reason").and_then(|r| r.as_str())) {
            (Some(kind), Some(reason)) => text.push_str(&format!("{kind}: {reason}")),
            (Some(one), None) | (None, Some(one)) => text.push_str(one),
            (None, None) => text.push_str(error.as_str().unwrap_or("no reason given")),
        }
        at = error.get("caused_by");
    }
    if text.is_empty() {
        text.push_str("no reason given");
    }
    match text.char_indices().nth(1000) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_items_status_decides_what_becomes_of_it() {
        let done = Outcome::Done;
        for (action, status, kind, wanted) in [
            (Action::Create, 201, "", Some(done.clone())),
            (Action::Create, 409, "version_conflict_engine_exception", Some(done.clone())),
            (Action::Index, 200, "", Some(done.clone())),
            (Action::Index, 409, "version_conflict_engine_exception", Some(done.clone())),
            (Action::Delete, 404, "", Some(done.clone())),
            (Action::Delete, 409, "version_conflict_engine_exception", Some(done)),
            (Action::Upsert, 409, "version_conflict_engine_exception", None),
            (Action::Index, 429, "es_rejected_execution_exception", None),
            (Action::Index, 503, "unavailable_shards_exception", None),
            (Action::Index, 403, "cluster_block_exception", None),
        ] {
            let item = Item { status, error: serde_json::json!({"type": kind, "reason": "why"}) };
            match wanted {
                Some(wanted) => assert_eq!(outcome(action, &item), wanted, "{action:?} {status}"),
                None => assert!(matches!(outcome(action, &item), Outcome::Retry(_)), "{action:?} {status}"),
            }
        }
    }

    #[test]
    fn a_refused_document_says_all_causes() {
        let answer = br#"{"took":1,"errors":true,"items":[{"index":{"_id":"1","status":400,"error":{"type":
            "document_parsing_exception","reason":"failed to parse field [a]","caused_by":{"type":"illegal_argument_exception",
            "reason":"For input string: \"x\""}}}}]}"#;
        let outcomes = outcomes(answer, &[Action::Index]).unwrap();
        let wanted = "document_parsing_exception: failed to parse field [a]; caused by illegal_argument_exception: For input \
                      string: \"x\" (400)";
        assert_eq!(outcomes, [Outcome::Malformed(wanted.to_owned())]);
    }

    #[test]
    fn an_index_that_is_gone_is_told_apart() {
        let answer = br#"{"items":[{"delete":{"status":404,"error":{"type":"index_not_found_exception","reason":"r"}}}]}"#;
        assert!(matches!(outcomes(answer, &[Action::Delete]).unwrap()[0], Outcome::NoIndex(_)));
    }

    #[test]
    fn answers_to_something_else_are_errors() {
        for answer in [&b"<html>"[..], b"{}", b"{\"items\":[]}", b"", b"{\"items\":[{\"index\":{}}]}"] {
            assert!(outcomes(answer, &[Action::Index]).is_err());
        }
    }
}

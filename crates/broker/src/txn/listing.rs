//! What DescribeTransactions and ListTransactions tell.

use super::coordinator::TxnCoordinator;
use super::state::{TxnMeta, TxnState};
use crate::wait::now_ms;
use kafka_protocol::ResponseError as E;
use regex::Regex;

/// Which transactional ids are listed; empty parts filter nothing.
#[derive(Debug, Default)]
pub struct TxnFilter {
    /// In one of these states; `Some` of nothing: in none of the states there are.
    pub states: Option<Vec<TxnState>>,
    /// Of one of these producers.
    pub producer_ids: Vec<i64>,
    /// Whose transaction began longer ago than this, ms; negative: no matter (KIP-994).
    pub longer_than_ms: i64,
    /// Whose name matches as a whole (KIP-1152).
    pub pattern: Option<Regex>,
}

/// One transactional id of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedTxn {
    /// The transactional id.
    pub id: String,
    /// Its producer.
    pub producer_id: i64,
    /// Where it stands.
    pub state: TxnState,
}

impl TxnFilter {
    fn takes(&self, id: &str, meta: &TxnMeta, now_ms: i64) -> bool {
        self.states.as_ref().is_none_or(|s| s.contains(&meta.state))
            && (self.producer_ids.is_empty() || self.producer_ids.contains(&meta.producer_id))
            && (self.longer_than_ms < 0 || now_ms - meta.started_ms > self.longer_than_ms)
            && self.pattern.as_ref().is_none_or(|p| p.is_match(id))
    }
}

impl TxnCoordinator {
    /// What is known of an id.
    ///
    /// # Errors
    /// INVALID_REQUEST for an empty id, TRANSACTIONAL_ID_NOT_FOUND.
    pub fn describe(&self, transactional_id: &str) -> Result<TxnMeta, E> {
        if transactional_id.is_empty() {
            return Err(E::InvalidRequest);
        }
        let entry = self.entry(transactional_id).ok_or(E::TransactionalIdNotFound)?;
        let stored = entry.state.read();
        stored.meta.clone().ok_or(E::TransactionalIdNotFound)
    }

    /// The ids that the filter takes, by name.
    pub fn list(&self, filter: &TxnFilter) -> Vec<ListedTxn> {
        let entries: Vec<_> = self.entries.read().values().cloned().collect();
        let now = now_ms();
        let listed = entries.iter().filter_map(|entry| {
            let stored = entry.state.read();
            let meta = stored.meta.as_ref().filter(|meta| filter.takes(&entry.id, meta, now))?;
            Some(ListedTxn { id: entry.id.clone(), producer_id: meta.producer_id, state: meta.state })
        });
        let mut listed: Vec<_> = listed.collect();
        listed.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        listed
    }
}

//! Sending operations until each is done or refused.

use super::bulk::{self, Outcome};
use super::client::{Answer, Call, Client};
use super::config::Settings;
use super::document::{Action, Operation, Operations};
use super::index::{Indices, Missing};
use bd_connect::sdk::{StopFlag, TaskError};
use serde_json::Value;
use std::collections::HashSet;
use std::time::{Duration, Instant};

const MAX_BACKOFF: Duration = Duration::from_secs(30);

/// A way to Elasticsearch, with what is known of its indices.
pub(super) struct Sender {
    client: Client,
    indices: Indices,
    stop: StopFlag,
    max_retries: u32,
    backoff: Duration,
    batch_size: usize,
    bulk_bytes: usize,
}

/// Why a request came to nothing.
enum Trouble {
    /// Send it again, not before that time has passed.
    Later(String, Option<Duration>),
    /// It has to be smaller, or holds something that spoils it as a whole.
    Whole(String),
    Fatal(String),
}

impl From<Missing> for Trouble {
    fn from(missing: Missing) -> Self {
        match missing {
            Missing::Later(reason) => Self::Later(reason, None),
            Missing::Never(reason) => Self::Fatal(reason),
        }
    }
}

impl Sender {
    pub(super) fn new(settings: &Settings, stop: StopFlag) -> Result<Self, TaskError> {
        Ok(Self {
            client: Client::new(settings)?,
            indices: Indices::default(),
            stop,
            max_retries: settings.max_retries,
            backoff: settings.backoff,
            batch_size: settings.batch_size,
            bulk_bytes: settings.bulk_bytes,
        })
    }

    /// Sends all operations to an index. Gives those that it refuses: their record and why.
    ///
    /// # Errors
    /// [`TaskError`], after `max.retries`.
    pub(super) fn deliver(
        &mut self,
        index: &str,
        mapping: Option<&Value>,
        operations: &Operations,
    ) -> Result<Vec<(usize, String)>, TaskError> {
        let mut refused = Vec::new();
        let mut requests = chunks(&operations.items, self.batch_size, self.bulk_bytes);
        requests.reverse();
        let mut attempt = 0;
        while let Some(mut pending) = requests.pop() {
            let trouble = match self.send(index, mapping, operations, &mut pending, &mut refused) {
                Ok(None) => {
                    attempt = 0;
                    continue;
                }
                Ok(Some(reason)) => Trouble::Later(reason, None),
                Err(trouble) => trouble,
            };
            match trouble {
                Trouble::Fatal(reason) => return Err(TaskError::Fatal(reason)),
                Trouble::Whole(reason) => {
                    if pending.len() > 1 {
                        requests.push(pending.split_off(pending.len() / 2));
                        requests.push(pending);
                    } else {
                        refused.extend(pending.iter().map(|i| (operations.items[*i].record, reason.clone())));
                    }
                }
                Trouble::Later(reason, wait) => {
                    attempt += 1;
                    self.pause(attempt, reason, wait)?;
                    requests.push(pending);
                }
            }
        }
        Ok(refused)
    }

    /// One request. Leaves in `pending` what has to be sent again, and gives a reason if there is any.
    fn send(
        &mut self,
        index: &str,
        mapping: Option<&Value>,
        operations: &Operations,
        pending: &mut Vec<usize>,
        refused: &mut Vec<(usize, String)>,
    ) -> Result<Option<String>, Trouble> {
        self.indices.ensure(&mut self.client, index, mapping)?;
        let answer = {
            let body = body(operations, pending);
            self.client.call(Call::Post(&body), "/_bulk").map_err(|e| Trouble::Later(e, None))?
        };
        if answer.status != 200 {
            return Err(self.trouble(&answer));
        }
        let actions: Vec<Action> = pending.iter().map(|i| operations.items[*i].action).collect();
        let outcomes = bulk::outcomes(&answer.body, &actions).map_err(|e| {
            Trouble::Later(
                format!("{}/_bulk does not answer as Elasticsearch does: {e}", self.client.url()),
                None,
            )
        })?;
        let mut again = Vec::new();
        let mut waiting: HashSet<&str> = HashSet::new();
        let mut why = None;
        for (i, outcome) in pending.iter().zip(outcomes) {
            let Operation { record, action, id, .. } = &operations.items[*i];
            match outcome {
                // Updates have no versions: one may not overtake an earlier one of the same document.
                Outcome::Done if *action == Action::Upsert && waiting.contains(id.as_str()) => again.push(*i),
                Outcome::Done => {}
                Outcome::Retry(reason) => {
                    again.push(*i);
                    waiting.insert(id);
                    why.get_or_insert(reason);
                }
                Outcome::NoIndex(reason) => {
                    self.indices.forget(index);
                    again.push(*i);
                    waiting.insert(id);
                    why.get_or_insert(reason);
                }
                Outcome::Malformed(reason) => {
                    refused.push((*record, format!("index {index} refuses document {id}: {reason}")));
                }
            }
        }
        let total = pending.len();
        *pending = again;
        Ok(why.map(|reason| {
            format!("{} of {total} documents did not get into index {index}: {reason}", pending.len())
        }))
    }

    /// What an answer other than 200 to a bulk request means.
    fn trouble(&mut self, answer: &Answer) -> Trouble {
        let reason = format!("{}/_bulk: {}", self.client.url(), answer.describe());
        match answer.status {
            _ if answer.may_work_later() => {
                self.client.turn();
                Trouble::Later(reason, answer.retry_after)
            }
            413 => Trouble::Whole(reason),
            400 if answer.json().get("error").is_some() => Trouble::Whole(reason),
            401 | 403 => Trouble::Fatal(format!(
                "{reason}; check connection.username, connection.password and its rights"
            )),
            _ => Trouble::Fatal(format!("{reason}; check that connection.url is Elasticsearch's")),
        }
    }

    /// Waits before the next attempt, as long as the last one asked for or twice as long as before.
    fn pause(&self, attempt: u32, reason: String, wait: Option<Duration>) -> Result<(), TaskError> {
        if attempt > self.max_retries {
            let message = format!("{reason} (tried {attempt} times)");
            return Err(match wait {
                Some(wait) => TaskError::RetryAfter { message, wait },
                None => TaskError::Retriable(message),
            });
        }
        let backoff = self.backoff.saturating_mul(1 << (attempt - 1).min(16)).min(MAX_BACKOFF);
        let wait = wait.map_or(backoff, |w| w.max(backoff));
        tracing::warn!(attempt, "{reason}; sent again in {wait:?}");
        let until = Instant::now() + wait;
        while let Some(left) = until.checked_duration_since(Instant::now()).filter(|l| !l.is_zero()) {
            if self.stop.is_set() {
                return Err(TaskError::Retriable(format!("stopped while waiting to send again: {reason}")));
            }
            std::thread::sleep(left.min(Duration::from_millis(20)));
        }
        Ok(())
    }
}

/// The places of operations, a request each: at most so many, and so many bytes unless one alone has more.
fn chunks(items: &[Operation], count: usize, bytes: usize) -> Vec<Vec<usize>> {
    let mut chunks: Vec<Vec<usize>> = Vec::new();
    let mut size = 0;
    for (i, item) in items.iter().enumerate() {
        let length = item.lines.len();
        match chunks.last_mut() {
            Some(chunk) if chunk.len() < count && size + length <= bytes => {
                chunk.push(i);
                size += length;
            }
            _ => {
                chunks.push(vec![i]);
                size = length;
            }
        }
    }
    chunks
}

/// The NDJSON of those operations; without copying where they stand side by side.
fn body<'a>(operations: &'a Operations, pending: &[usize]) -> std::borrow::Cow<'a, [u8]> {
    let lines = |i: &usize| operations.items[*i].lines.clone();
    match (pending.first(), pending.last()) {
        (Some(first), Some(last)) if last - first + 1 == pending.len() => {
            operations.arena[lines(first).start..lines(last).end].into()
        }
        _ => pending
            .iter()
            .flat_map(|i| operations.arena[lines(i)].iter().copied())
            .collect::<Vec<u8>>()
            .into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(lengths: &[usize]) -> Vec<Operation> {
        let mut start = 0;
        let item = |(record, length): (usize, &usize)| {
            let lines = start..start + length;
            start += length;
            Operation { record, action: Action::Create, id: record.to_string(), lines }
        };
        lengths.iter().enumerate().map(item).collect()
    }

    #[test]
    fn requests_are_cut_by_count_and_bytes() {
        let chunk = |count, bytes| -> Vec<usize> {
            chunks(&items(&[10, 10, 50, 10, 10, 10]), count, bytes).iter().map(Vec::len).collect()
        };
        assert_eq!(chunk(100, 1000), [6]);
        assert_eq!(chunk(4, 1000), [4, 2]);
        assert_eq!(chunk(100, 20), [2, 1, 2, 1]);
        assert_eq!(chunk(1, 20), [1, 1, 1, 1, 1, 1]);
    }

    #[test]
    fn a_body_holds_the_pending_operations_only() {
        let operations =
            Operations { arena: b"aabbbcccc".to_vec(), items: items(&[2, 3, 4]), invalid: Vec::new() };
        assert_eq!(&*body(&operations, &[0, 1, 2]), b"aabbbcccc");
        assert_eq!(&*body(&operations, &[1, 2]), b"bbbcccc");
        assert_eq!(&*body(&operations, &[0, 2]), b"aacccc");
    }
}

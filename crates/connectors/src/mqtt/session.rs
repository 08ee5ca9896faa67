//! What a connector knows of its session at the broker, as its offset keeps it, and what packets change in it.

use super::exchanges::{Answer, Arrival, Exchanges, Overflow};
use super::packet::{self, Ack};
use super::settings::Settings;
use bd_connect::sdk::{SourceOffset, SourcePartition};
use serde_json::{Map, Value};

/// The packet identifiers of our own packets.
pub(super) const SUBSCRIBE_ID: u16 = 1;
/// See [`SUBSCRIBE_ID`].
pub(super) const UNSUBSCRIBE_ID: u16 = 2;

/// The part of the source that the offset is of.
pub(super) fn partition(client_id: &str) -> SourcePartition {
    let mut partition = Map::new();
    partition.insert("client".to_owned(), client_id.into());
    partition
}

/// The state of a session.
pub(super) struct Session {
    /// The number of messages taken so far.
    messages: u64,
    exchanges: Exchanges,
    /// Messages of QoS 1 that wait for a commit.
    pubacks: Vec<u16>,
    answers: Vec<Answer>,
    /// What the session is subscribed to, as far as the broker has confirmed it.
    filters: Map<String, Value>,
    /// What it shall be subscribed to.
    wanted: Map<String, Value>,
    /// SUBACK, UNSUBACK that have not come.
    awaited: u8,
    asked: Vec<String>,
    /// Something but messages changed in the offset.
    dirty: bool,
}

/// What was to be checked when the broker's answer to CONNECT is there.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// Nothing.
    Nothing,
    /// So many exchanges cannot be finished.
    Exchanges(usize),
    /// What was published since the connection ended.
    Backlog,
}

impl Session {
    /// The session that an offset tells of, or a new one.
    pub(super) fn restore(settings: &Settings, offset: Option<&SourceOffset>) -> Self {
        let part = |key: &str| offset.and_then(|o| o.get(key));
        let wanted = settings.filters.iter().map(|f| (f.clone(), settings.qos.into())).collect();
        Self {
            messages: part("messages").and_then(Value::as_u64).unwrap_or(0),
            exchanges: Exchanges::from_json(part("open").unwrap_or(&Value::Null)),
            pubacks: Vec::new(),
            answers: Vec::new(),
            filters: part("filters").and_then(Value::as_object).cloned().unwrap_or_default(),
            wanted,
            awaited: 0,
            asked: Vec::new(),
            dirty: offset.is_none(),
        }
    }

    /// The broker has kept no session: what this one knew is void. Says what that loses.
    pub(super) fn forget(&mut self) -> Lost {
        let lost = match (self.exchanges.open(), self.filters.is_empty()) {
            (0, true) => Lost::Nothing,
            (0, false) => Lost::Backlog,
            (open, _) => Lost::Exchanges(open),
        };
        if lost != Lost::Nothing {
            self.exchanges = Exchanges::new();
            self.filters.clear();
            self.dirty = true;
        }
        lost
    }

    /// Writes SUBSCRIBE and UNSUBSCRIBE as far as the session differs from the configuration.
    pub(super) fn put_subscriptions(&mut self, out: &mut Vec<u8>, qos: u8) {
        let same = |filter: &&str, of: &Map<String, Value>, than: &Map<String, Value>| {
            of.get(*filter).is_some() && of.get(*filter) == than.get(*filter)
        };
        let missing: Vec<&str> = self.wanted.keys().map(String::as_str).collect();
        let missing: Vec<&str> =
            missing.into_iter().filter(|f| !same(f, &self.wanted, &self.filters)).collect();
        let stale: Vec<&str> =
            self.filters.keys().map(String::as_str).filter(|f| !self.wanted.contains_key(*f)).collect();
        if !missing.is_empty() {
            packet::put_subscribe(out, SUBSCRIBE_ID, &missing, qos);
            self.awaited += 1;
        }
        if !stale.is_empty() {
            packet::put_unsubscribe(out, UNSUBSCRIBE_ID, &stale);
            self.awaited += 1;
        }
        self.asked = missing.into_iter().map(str::to_owned).collect();
    }

    /// SUBACK has come.
    ///
    /// # Errors
    /// The filter that the broker refused.
    pub(super) fn subscribed(&mut self, id: u16, codes: &[u8]) -> Result<(), String> {
        if id != SUBSCRIBE_ID || self.asked.is_empty() {
            return Ok(());
        }
        if let Some((filter, _)) = self.asked.iter().zip(codes).find(|(_, code)| **code == 0x80) {
            return Err(filter.clone());
        }
        let granted =
            |(filter, code): &(&String, &u8)| self.wanted.get(*filter).is_some_and(|w| *w != **code);
        if let Some((filter, code)) = self.asked.iter().zip(codes).find(granted) {
            tracing::warn!(filter, granted = code, "the MQTT broker grants another QoS than was asked for");
        }
        self.asked.clear();
        self.confirmed();
        Ok(())
    }

    /// SUBACK or UNSUBACK has come.
    pub(super) fn confirmed(&mut self) {
        self.awaited = self.awaited.saturating_sub(1);
        if self.awaited == 0 && self.filters != self.wanted {
            self.filters.clone_from(&self.wanted);
            self.dirty = true;
        }
    }

    /// Whether the broker's answer to a subscription is awaited.
    pub(super) fn awaits(&self) -> bool {
        self.awaited > 0
    }

    /// A message has come. Whether it is new, or was written before.
    ///
    /// # Errors
    /// The broker uses the id too often.
    pub(super) fn publish(&mut self, qos: u8, id: u16, dup: bool) -> Result<Arrival, Overflow> {
        let arrival = match qos {
            2 => self.exchanges.publish(id, dup, &mut self.answers)?,
            1 => {
                self.pubacks.push(id);
                Arrival::New
            }
            _ => Arrival::New,
        };
        self.messages += u64::from(arrival == Arrival::New);
        Ok(arrival)
    }

    /// The broker has answered a ping.
    pub(super) fn ponged(&mut self) {
        self.exchanges.resent();
    }

    /// A PUBREL has come.
    pub(super) fn release(&mut self, id: u16) {
        self.exchanges.release(id, &mut self.answers);
    }

    /// All given so far is committed.
    pub(super) fn committed(&mut self, out: &mut Vec<u8>) {
        for id in std::mem::take(&mut self.pubacks) {
            packet::put_ack(out, Ack::Taken, id);
        }
        self.exchanges.committed(&mut self.answers);
        self.put_answers(out);
    }

    /// Writes the answers that are due.
    pub(super) fn put_answers(&mut self, out: &mut Vec<u8>) {
        for answer in self.answers.drain(..) {
            match answer {
                Answer::Rec(id) => packet::put_ack(out, Ack::Received, id),
                Answer::Comp(id) => packet::put_ack(out, Ack::Complete, id),
            }
        }
    }

    /// Whether a PUBREL waits for a commit.
    pub(super) fn has_released(&self) -> bool {
        self.exchanges.has_released()
    }

    /// Whether the offset should be written even if no message comes.
    pub(super) fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// The offset.
    pub(super) fn offset(&mut self) -> SourceOffset {
        self.dirty = false;
        let mut offset = Map::new();
        offset.insert("messages".to_owned(), self.messages.into());
        offset.insert("open".to_owned(), self.exchanges.to_json());
        offset.insert("filters".to_owned(), Value::Object(self.filters.clone()));
        offset
    }
}

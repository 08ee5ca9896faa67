//! The open QoS 2 exchanges of a session: which packet identifiers are ours, and which answers are due. Pure: no I/O.
//!
//! # Rules
//! An exchange is what a broker and we say about one message: `PUBLISH X`, `PUBREC X`, `PUBREL X`, `PUBCOMP X`. The broker
//! must not use `X` for another message before it has our PUBCOMP, and it sends the exchange again, from where it stood, when
//! we come back. So:
//! * a message is written in one transaction with its id being open; PUBREC goes out after that commit;
//! * PUBREL closes the id; PUBCOMP goes out after the commit that says so. (Were it sent earlier, the broker could use the id
//!   again and we, after a crash, would take the new message for the old one.)
//! * `PUBLISH X` while `X` is open and not yet seen on this connection is the old message: it is not written again.
//!
//! Brokers that do not limit what is in flight (Mosquitto's `max_inflight_messages 0`) do use an id again while it is open
//! once more than 65535 messages wait. Hence an id may be open several times over. Exchanges of one id are then taken one
//! after the other, in the order of their messages: only the first is answered. The broker finds a message by its id alone, so
//! any other order would close the wrong one. No message is lost then, nor written twice, but for one case: we die between
//! writing a PUBCOMP and the broker's reading it, while a further message of the same id is open. The PUBREL that comes again
//! is taken for that message's, which then is written once more. A limit of at most 65535 in flight excludes it.
//!
//! A message with the DUP flag whose id is open and was seen on this connection is a repetition (some brokers repeat after
//! seconds without an answer), except among what a broker sends again right after a connection: there, each comes once.

use serde_json::Value;

/// What to do with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrival {
    /// It is new: it goes into the transaction.
    New,
    /// It was written before.
    Duplicate,
}

/// An answer that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// PUBREC of that id.
    Rec(u16),
    /// PUBCOMP of that id.
    Comp(u16),
}

/// An id was open 255 times at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the broker has over 255 messages in flight with packet id {0}: set a limit (Mosquitto: max_inflight_messages)"
)]
pub(super) struct Overflow(pub(super) u16);

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    /// Exchanges that are open, the uncommitted included.
    open: u8,
    /// Of these, how many are committed.
    committed: u8,
    /// Of the open ones, how many have come as PUBLISH on this connection.
    seen: u8,
    /// PUBREC of the first open one went out on this connection.
    answered: bool,
    /// PUBREL has come for an earlier exchange, and its commit is awaited.
    closing: bool,
}

/// The state of all packet identifiers.
pub(super) struct Exchanges {
    slots: Vec<Slot>,
    open: usize,
    accepted: Vec<u16>,
    released: Vec<u16>,
    /// The broker may still be sending what it had sent on an earlier connection.
    resending: bool,
    /// No higher id was used.
    highest: u16,
}

impl Exchanges {
    /// Nothing is open.
    pub(super) fn new() -> Self {
        Self {
            slots: vec![Slot::default(); usize::from(u16::MAX) + 1],
            open: 0,
            accepted: Vec::new(),
            released: Vec::new(),
            resending: true,
            highest: 0,
        }
    }

    /// What [`Self::to_json`] wrote, as committed. What is no list of ids is left out.
    pub(super) fn from_json(json: &Value) -> Self {
        let mut this = Self::new();
        let id = |v: &Value| v.as_u64().and_then(|v| u16::try_from(v).ok()).filter(|v| *v > 0);
        for member in json.as_array().into_iter().flatten() {
            let range = match member.as_array().map(Vec::as_slice) {
                Some([from, to]) => id(from).zip(id(to)),
                _ => id(member).map(|id| (id, id)),
            };
            let Some((from, to)) = range else { continue };
            this.highest = this.highest.max(to);
            for id in from..=to {
                let slot = &mut this.slots[usize::from(id)];
                if slot.open < u8::MAX {
                    slot.open += 1;
                    slot.committed += 1;
                    this.open += 1;
                }
            }
        }
        this
    }

    /// The open ids, ascending: single ones as numbers, runs as `[from, to]`; ids that are open several times come again in
    /// further runs. The order makes equal states equal bytes.
    pub(super) fn to_json(&self) -> Value {
        let mut members = Vec::new();
        let mut left = self.open;
        let mut layer = 0u8;
        while left > 0 && layer < u8::MAX {
            let mut run: Option<(usize, usize)> = None;
            for (id, slot) in self.slots[..=usize::from(self.highest)].iter().enumerate() {
                if slot.open <= layer {
                    continue;
                }
                left -= 1;
                match &mut run {
                    Some((_, to)) if *to + 1 == id => *to = id,
                    _ => members.extend(run.replace((id, id)).map(member)),
                }
            }
            members.extend(run.map(member));
            layer += 1;
        }
        Value::Array(members)
    }

    /// The number of open exchanges.
    pub(super) fn open(&self) -> usize {
        self.open
    }

    /// Whether a PUBREL waits for a commit.
    pub(super) fn has_released(&self) -> bool {
        !self.released.is_empty()
    }

    /// A message of QoS 2 has come.
    ///
    /// # Errors
    /// Its id is open too often.
    pub(super) fn publish(
        &mut self,
        id: u16,
        dup: bool,
        answers: &mut Vec<Answer>,
    ) -> Result<Arrival, Overflow> {
        let slot = &mut self.slots[usize::from(id)];
        if !dup && !self.resending && slot.seen == 0 && !slot.closing {
            // Sent for the first time: a broker that crashed has forgotten the exchange of that id.
            self.open -= usize::from(slot.open);
            (slot.open, slot.committed) = (0, 0);
        }
        if slot.seen < slot.open {
            slot.seen += 1;
            answer(slot, id, answers);
            return Ok(Arrival::Duplicate);
        }
        if dup && slot.open > 0 && !self.resending {
            // Sent again on the same connection: its PUBREC is out, or comes with the commit.
            if slot.answered {
                answers.push(Answer::Rec(id));
            }
            return Ok(Arrival::Duplicate);
        }
        slot.open = slot.open.checked_add(1).ok_or(Overflow(id))?;
        slot.seen += 1;
        self.open += 1;
        self.accepted.push(id);
        self.highest = self.highest.max(id);
        Ok(Arrival::New)
    }

    /// What was sent on earlier connections has come again: the broker has answered a ping.
    pub(super) fn resent(&mut self) {
        self.resending = false;
    }

    /// A PUBREL has come.
    pub(super) fn release(&mut self, id: u16, answers: &mut Vec<Answer>) {
        let slot = &mut self.slots[usize::from(id)];
        // Answered on this connection, or on an earlier one: then PUBREL is the first that comes of it.
        let ours = slot.answered || slot.seen == 0 && !slot.closing;
        if slot.committed == 0 || !ours {
            // Of an exchange that ended for us: our PUBCOMP was lost. While one still ends, that one's PUBCOMP answers.
            if slot.seen == 0 && !slot.closing {
                answers.push(Answer::Comp(id));
            }
            return;
        }
        slot.committed -= 1;
        slot.open -= 1;
        slot.seen = slot.seen.saturating_sub(1);
        slot.answered = false;
        slot.closing = true;
        self.open -= 1;
        self.released.push(id);
    }

    /// All that has come so far is committed; what is due goes into `answers`, in the order it came.
    pub(super) fn committed(&mut self, answers: &mut Vec<Answer>) {
        for id in std::mem::take(&mut self.released) {
            let slot = &mut self.slots[usize::from(id)];
            slot.closing = false;
            answers.push(Answer::Comp(id));
            answer(slot, id, answers);
        }
        for id in std::mem::take(&mut self.accepted) {
            let slot = &mut self.slots[usize::from(id)];
            slot.committed += 1;
            answer(slot, id, answers);
        }
    }
}

fn member((from, to): (usize, usize)) -> Value {
    if from == to { from.into() } else { Value::Array(vec![from.into(), to.into()]) }
}

/// PUBREC of the first open exchange of an id, if it is due.
fn answer(slot: &mut Slot, id: u16, answers: &mut Vec<Answer>) {
    if !slot.answered && slot.committed > 0 && slot.seen > 0 && !slot.closing {
        slot.answered = true;
        answers.push(Answer::Rec(id));
    }
}

#[cfg(test)]
#[path = "exchanges_tests.rs"]
mod tests;

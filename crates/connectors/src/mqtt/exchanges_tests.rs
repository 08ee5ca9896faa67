use super::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use std::collections::VecDeque;

/// What a broker knows of a message on its way to us.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Stage {
    Publish,
    WaitRec,
    Rel,
    WaitComp,
}

/// A broker that keeps a session as Mosquitto does: messages in order, found by id alone (the first wins), ids running in a
/// circle of `ids` whether they are free or not.
struct Broker {
    flight: Vec<(u16, u32, Stage, bool)>,
    next_id: u16,
    ids: u16,
    sent: u32,
}

/// A packet on the wire to us: a message (id, number, dup), a PUBREL, or the answer to a ping.
#[derive(Debug, Clone, Copy)]
enum Wire {
    Publish(u16, u32, bool),
    Rel(u16),
    Pong,
}

impl Broker {
    fn publish(&mut self) {
        self.next_id = self.next_id % self.ids + 1;
        self.flight.push((self.next_id, self.sent, Stage::Publish, false));
        self.sent += 1;
    }

    fn reconnect(&mut self) {
        for (.., stage, _) in &mut self.flight {
            *stage = match stage {
                Stage::Publish | Stage::WaitRec => Stage::Publish,
                Stage::Rel | Stage::WaitComp => Stage::Rel,
            };
        }
    }

    fn write(&mut self, wire: &mut VecDeque<Wire>) {
        for (id, number, stage, dup) in &mut self.flight {
            match stage {
                Stage::Publish => {
                    wire.push_back(Wire::Publish(*id, *number, *dup));
                    (*stage, *dup) = (Stage::WaitRec, true);
                }
                Stage::Rel => {
                    wire.push_back(Wire::Rel(*id));
                    *stage = Stage::WaitComp;
                }
                _ => {}
            }
        }
    }

    /// Whether it stays connected: it does not where a PUBCOMP fits nothing.
    fn take(&mut self, answer: Answer, wire: &mut VecDeque<Wire>) -> bool {
        let (Answer::Rec(id) | Answer::Comp(id)) = answer;
        let Some(at) = self.flight.iter().position(|m| m.0 == id) else { return true };
        match answer {
            Answer::Rec(_) => {
                self.flight[at].2 = Stage::WaitComp;
                wire.push_back(Wire::Rel(id));
            }
            Answer::Comp(_) if self.flight[at].2 != Stage::WaitComp => return false,
            Answer::Comp(_) => drop(self.flight.remove(at)),
        }
        true
    }
}

/// Runs a broker and a subscriber that dies at random points; gives the numbers of the committed messages.
fn run(seed: u64, ids: u16, messages: u32, deaths: f64) -> (Vec<u32>, usize) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut broker = Broker { flight: Vec::new(), next_id: 0, ids, sent: 0 };
    let (mut durable, mut durable_open) = (Vec::new(), json!([]));
    for _ in 0..100_000 {
        if broker.sent == messages && broker.flight.is_empty() {
            return (durable, Exchanges::from_json(&durable_open).open());
        }
        broker.reconnect();
        let mut wire = VecDeque::new();
        let mut exchanges = Exchanges::from_json(&durable_open);
        let mut written = durable.clone();
        broker.write(&mut wire);
        wire.push_back(Wire::Pong);
        'connected: loop {
            for _ in 0..random.random_range(0..4) {
                if broker.sent < messages {
                    broker.publish();
                }
            }
            broker.write(&mut wire);
            let mut answers = Vec::new();
            for _ in 0..random.random_range(0..6) {
                match wire.pop_front() {
                    Some(Wire::Publish(id, number, dup)) => {
                        if exchanges.publish(id, dup, &mut answers) == Ok(Arrival::New) {
                            written.push(number);
                        }
                    }
                    Some(Wire::Rel(id)) => exchanges.release(id, &mut answers),
                    Some(Wire::Pong) => exchanges.resent(),
                    None => break,
                }
            }
            for answer in answers.drain(..) {
                if !broker.take(answer, &mut wire) {
                    break 'connected;
                }
            }
            if random.random_bool(deaths) {
                break 'connected;
            }
            durable = written.clone();
            durable_open = exchanges.to_json();
            if random.random_bool(deaths) {
                break 'connected;
            }
            exchanges.committed(&mut answers);
            for answer in answers {
                if !broker.take(answer, &mut wire) || random.random_bool(deaths / 4.0) {
                    break 'connected;
                }
            }
            if broker.sent == messages && broker.flight.is_empty() {
                break 'connected;
            }
        }
    }
    panic!("seed {seed}: the exchanges never end");
}

#[test]
fn every_message_is_written_once_and_in_order_wherever_the_subscriber_dies() {
    for seed in 0..30 {
        // Where the subscriber lives, an id may be in use many times over.
        for (ids, deaths) in [(1000, 0.05), (1000, 0.3), (1000, 0.0), (3, 0.0), (1, 0.0)] {
            let (written, open) = run(seed, ids, 40, deaths);
            assert_eq!(written, (0..40).collect::<Vec<_>>(), "seed {seed}, {ids} ids, deaths {deaths}");
            assert_eq!(open, 0, "seed {seed}, {ids} ids, deaths {deaths}");
        }
    }
}

#[test]
fn a_broker_that_uses_open_ids_again_loses_nothing_wherever_the_subscriber_dies() {
    for seed in 0..30 {
        for (ids, deaths) in [(1, 0.2), (3, 0.05), (3, 0.2), (10, 0.1)] {
            let (mut written, _) = run(seed, ids, 40, deaths);
            written.sort_unstable();
            written.dedup();
            assert_eq!(written, (0..40).collect::<Vec<_>>(), "seed {seed}, {ids} ids, deaths {deaths}");
        }
    }
}

#[test]
fn answers_wait_for_their_commit() {
    let (mut exchanges, mut answers) = (Exchanges::new(), Vec::new());
    assert_eq!(exchanges.publish(5, false, &mut answers), Ok(Arrival::New));
    assert_eq!(exchanges.publish(6, false, &mut answers), Ok(Arrival::New));
    assert_eq!(answers, []);
    assert_eq!(exchanges.to_json(), json!([[5, 6]]));
    exchanges.committed(&mut answers);
    assert_eq!(answers, [Answer::Rec(5), Answer::Rec(6)]);
    answers.clear();
    exchanges.release(5, &mut answers);
    assert_eq!(answers, []);
    assert_eq!(exchanges.to_json(), json!([6]));
    exchanges.committed(&mut answers);
    assert_eq!(answers, [Answer::Comp(5)]);
}

#[test]
fn an_open_id_that_comes_again_is_answered_but_not_written() {
    let (mut exchanges, mut answers) = (Exchanges::from_json(&json!([[5, 6]])), Vec::new());
    assert_eq!(exchanges.publish(5, true, &mut answers), Ok(Arrival::Duplicate));
    assert_eq!(answers, [Answer::Rec(5)]);
    answers.clear();
    exchanges.release(6, &mut answers);
    assert_eq!((answers.len(), exchanges.to_json()), (0, json!([5])));
    exchanges.committed(&mut answers);
    assert_eq!(answers, [Answer::Comp(6)]);
}

#[test]
fn an_exchange_that_the_broker_forgot_does_not_hide_a_new_message() {
    let (mut exchanges, mut answers) = (Exchanges::from_json(&json!([5])), Vec::new());
    exchanges.resent();
    assert_eq!(exchanges.publish(5, false, &mut answers), Ok(Arrival::New));
    assert_eq!((exchanges.open(), exchanges.to_json()), (1, json!([5])));
    exchanges.committed(&mut answers);
    assert_eq!(answers, [Answer::Rec(5)]);
}

#[test]
fn a_release_of_an_unknown_id_is_answered() {
    let (mut exchanges, mut answers) = (Exchanges::new(), Vec::new());
    exchanges.release(9, &mut answers);
    assert_eq!(answers, [Answer::Comp(9)]);
    assert!(!exchanges.has_released());
}

#[test]
fn open_ids_are_kept_as_runs_and_several_times_over() {
    let ids = json!([1, [3, 5], 9, [3, 4], 4]);
    let exchanges = Exchanges::from_json(&ids);
    assert_eq!((exchanges.open(), exchanges.to_json()), (8, ids));
    let all = Exchanges::from_json(&json!([[1, 65535]]));
    assert_eq!((all.open(), all.to_json()), (65535, json!([[1, 65535]])));
    for broken in [json!(null), json!(["x", 0, -1, 70000, [1], [1, 2, 3], {}, [5, 2]])] {
        assert_eq!(Exchanges::from_json(&broken).open(), 0, "{broken}");
    }
}

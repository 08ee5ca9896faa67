//! librdkafka's delivery reports, one per record, as one answer per `append`.

use super::fatal;
use crate::error::of_topic;
use crate::logging;
use bd_cluster::{ClusterError, TopicPartition, Written};
use parking_lot::{Condvar, Mutex};
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::ProducerContext;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Instant;

/// The records of one `append`, on their way.
#[derive(Debug)]
pub(crate) struct Batch {
    partition: TopicPartition,
    answer: SyncSender<Result<Written, ClusterError>>,
    state: Mutex<BatchState>,
}

#[derive(Debug)]
struct BatchState {
    /// Records without a report.
    remaining: usize,
    base_offset: i64,
    last_offset: i64,
    /// Of the first record that was not written.
    error: Option<KafkaError>,
}

impl Batch {
    /// `records` records on their way to `partition`, and where their answer comes out.
    pub(crate) fn new(
        partition: TopicPartition,
        records: usize,
    ) -> (Arc<Self>, Receiver<Result<Written, ClusterError>>) {
        let (answer, receiver) = sync_channel(1);
        let state = BatchState { remaining: records, base_offset: i64::MAX, last_offset: -1, error: None };
        (Arc::new(Self { partition, answer, state: Mutex::new(state) }), receiver)
    }

    /// A caller that does not want to know has dropped the receiver.
    fn answer(&self, result: Result<Written, ClusterError>) {
        let _ = self.answer.try_send(result);
    }
}

/// What the producer's thread and the writer's share.
#[derive(Debug, Default)]
pub(crate) struct Deliveries {
    state: Mutex<State>,
    /// On each report.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Records given to librdkafka without a report so far.
    on_the_way: usize,
    /// Reports so far.
    delivered: u64,
    /// Batches that failed, to be answered when it is known whether the producer is dead.
    failed: Vec<(Arc<Batch>, KafkaError)>,
    /// The first failure since the last commit or abort.
    failure: Option<KafkaError>,
}

impl Deliveries {
    /// Records are about to be sent.
    pub(crate) fn sending(&self, records: usize) {
        self.state.lock().on_the_way += records;
    }

    /// The last `records` of the batch were not taken by librdkafka.
    pub(crate) fn not_sent(&self, batch: &Batch, records: usize, error: &ClusterError) {
        self.state.lock().on_the_way -= records;
        self.changed.notify_all();
        batch.answer(Err(error.clone()));
    }

    /// How many reports have come.
    pub(crate) fn delivered(&self) -> u64 {
        self.state.lock().delivered
    }

    /// Waits until there are more than `seen` reports, or the time has come.
    pub(crate) fn await_delivery(&self, seen: u64, deadline: Instant) {
        let mut state = self.state.lock();
        while state.delivered == seen && !self.changed.wait_until(&mut state, deadline).timed_out() {}
    }

    /// Waits until no record is on its way (`true`), or the time has come.
    pub(crate) fn await_all(&self, deadline: Instant) -> bool {
        let mut state = self.state.lock();
        while state.on_the_way > 0 {
            if self.changed.wait_until(&mut state, deadline).timed_out() {
                return state.on_the_way == 0;
            }
        }
        true
    }

    /// The first failure since the last call.
    pub(crate) fn take_failure(&self) -> Option<KafkaError> {
        self.state.lock().failure.take()
    }

    /// Answers the batches that failed. A fenced producer's records are purged, with an error that does not say why; `dead`
    /// does.
    pub(crate) fn answer_failures(&self, dead: impl Fn() -> Option<(RDKafkaErrorCode, String)>) {
        let failed = std::mem::take(&mut self.state.lock().failed);
        for (batch, error) in failed {
            let what = format!("append to {}", batch.partition);
            batch.answer(Err(match dead() {
                Some((code, reason)) => fatal(&what, code, reason),
                None => of_topic("append to", &batch.partition.topic, error),
            }));
        }
    }
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        logging::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        logging::global_error(&error, reason);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Arc<Batch>;

    fn delivery(&self, result: &DeliveryResult<'_>, batch: Arc<Batch>) {
        let mut state = batch.state.lock();
        match result {
            Ok(message) => {
                state.base_offset = state.base_offset.min(message.offset());
                state.last_offset = state.last_offset.max(message.offset());
            }
            Err((error, _)) => {
                state.error.get_or_insert_with(|| error.clone());
            }
        }
        state.remaining -= 1;
        let outcome = (state.remaining == 0).then(|| match state.error.take() {
            Some(error) => Err(error),
            None => Ok(Written { base_offset: state.base_offset, last_offset: state.last_offset }),
        });
        drop(state);
        let mut shared = self.state.lock();
        match outcome {
            Some(Ok(written)) => batch.answer(Ok(written)),
            Some(Err(error)) => {
                shared.failure.get_or_insert_with(|| error.clone());
                shared.failed.push((batch, error));
            }
            None => {}
        }
        shared.on_the_way -= 1;
        shared.delivered += 1;
        drop(shared);
        self.changed.notify_all();
    }
}

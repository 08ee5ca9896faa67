//! Requests in flight: one thread sends, one hears the answers of each connection.

use super::histogram::Histogram;
use anyhow::{Result, anyhow};
use bd_client::{
    Connection, PartitionBatch, ProduceOptions, Requests, Responses, Sent, receive_produce, send_produce,
};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Instant;

/// A request whose answer is awaited, since when, and for how many records.
type Waiting = (Sent, Instant, u64);

/// One connection with a bounded number of requests in flight.
pub(super) struct Sender {
    requests: Requests,
    waiting: SyncSender<Waiting>,
    /// One for each request that may be sent.
    free: Receiver<()>,
    answers: JoinHandle<Result<Histogram>>,
    acks: bool,
}

impl Sender {
    pub(super) fn new(connection: Connection, in_flight: usize, acks: bool) -> Result<Self> {
        let (waiting, heard) = sync_channel::<Waiting>(in_flight);
        let (give, free) = sync_channel(in_flight);
        for _ in 0..in_flight {
            give.send(())?;
        }
        let responses = connection.responses;
        let answers = std::thread::Builder::new()
            .name("answers".into())
            .spawn(move || hear(responses, &heard, &give))?;
        Ok(Self { requests: connection.requests, waiting, free, answers, acks })
    }

    /// Sends one batch; waits while too many are in flight. Latency counts from `due`, or from now.
    pub(super) fn send(
        &mut self,
        topic: &str,
        part: PartitionBatch<'_>,
        options: &ProduceOptions<'_>,
        due: Option<Instant>,
        records: u64,
    ) -> Result<()> {
        // The other thread ends only when a request has failed; joining tells why.
        if self.acks && self.free.recv().is_err() {
            return Err(anyhow!("{topic}-{}: no more answers", part.partition));
        }
        let since = due.unwrap_or_else(Instant::now);
        let sent = send_produce(&mut self.requests, topic, &[part], options)?;
        if self.acks {
            self.waiting
                .send((sent, since, records))
                .map_err(|_| anyhow!("{topic}-{}: no more answers", part.partition))?;
        }
        Ok(())
    }

    /// Waits for all answers; latencies by record.
    pub(super) fn finish(self) -> Result<Histogram> {
        drop(self.waiting);
        self.answers.join().map_err(|_| anyhow!("the thread of answers has failed"))?
    }
}

fn hear(mut responses: Responses, heard: &Receiver<Waiting>, give: &SyncSender<()>) -> Result<Histogram> {
    let mut latency = Histogram::new();
    while let Ok((sent, since, records)) = heard.recv() {
        receive_produce(&mut responses, sent)?;
        latency.add(since.elapsed().as_nanos() as u64, records);
        // Fails when the sender has ended, which is no fault.
        let _ = give.send(());
    }
    Ok(latency)
}

/// The senders' histograms in one; the first failure, if there is one.
pub(super) fn finish(senders: Vec<Sender>) -> Result<Histogram> {
    let (mut all, mut failed) = (Histogram::new(), None);
    for sender in senders {
        match sender.finish() {
            Ok(histogram) => all.merge(&histogram),
            Err(e) => failed = failed.or(Some(e)),
        }
    }
    failed.map_or(Ok(all), Err)
}

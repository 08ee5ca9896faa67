//! `bd consume --group`: as a member of a group, over librdkafka.

use super::filter::Filter;
use super::format::Printer;
use super::interrupt::Interrupt;
use super::records::{Headers, Record};
use super::{MAX_WAIT, Output};
use crate::cli::{Consume, GroupProtocol, IsolationName};
use anyhow::{Context, Result, anyhow};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Headers as _, Message};
use std::collections::BTreeSet;
use std::io::Write;
use std::time::{Duration, Instant};

/// How often offsets are committed while records flow.
const COMMIT: Duration = Duration::from_secs(1);

pub(super) fn consume(
    args: &Consume,
    group: &str,
    filter: &Filter,
    printer: &mut Printer,
    out: &mut Output<'_>,
    interrupt: &Interrupt,
) -> Result<()> {
    super::super::topic(&mut super::super::connect(&args.cluster, "bd-consume")?, &args.topic)?;
    let isolation = match args.isolation {
        IsolationName::ReadCommitted => "read_committed",
        IsolationName::ReadUncommitted => "read_uncommitted",
    };
    let consumer: BaseConsumer = super::super::librdkafka::config(&args.cluster, "bd-consume")?
        .set("group.id", group)
        .set(
            "group.protocol",
            if args.group_protocol == GroupProtocol::Consumer { "consumer" } else { "classic" },
        )
        .set("auto.offset.reset", if args.from_beginning { "earliest" } else { "latest" })
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("enable.partition.eof", "true")
        .set("isolation.level", isolation)
        .create()?;
    consumer.subscribe(&[&args.topic]).with_context(|| format!("group {group}"))?;
    let (mut ended, mut committed) = (BTreeSet::new(), Instant::now());
    while out.left > 0 && !interrupt.is_set() {
        match consumer.poll(MAX_WAIT) {
            None => out.out.flush()?,
            Some(Ok(message)) => {
                ended.remove(&message.partition());
                take(&message, filter, printer, out)?;
                consumer
                    .store_offset_from_message(&message)
                    .with_context(|| format!("group {group}, {}-{}", message.topic(), message.partition()))?;
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                ended.insert(partition);
                let assigned = consumer.assignment()?;
                let all = assigned.elements().iter().all(|e| ended.contains(&e.partition()));
                if all && (args.no_follow || args.count) {
                    break;
                }
            }
            Some(Err(e)) if is_passing(&e) => tracing::warn!("group {group}: {e}"),
            Some(Err(e)) => return Err(anyhow!("group {group}: {e}")),
        }
        if committed.elapsed() > COMMIT {
            commit(&consumer, group, out, CommitMode::Async)?;
            committed = Instant::now();
        }
        out.stats.tick();
    }
    commit(&consumer, group, out, CommitMode::Sync)
}

fn take(message: &impl Message, filter: &Filter, printer: &mut Printer, out: &mut Output<'_>) -> Result<()> {
    let headers = message.headers().map(|all| all.iter().map(|h| (h.key, h.value)).collect());
    let record = Record {
        topic: message.topic(),
        partition: message.partition(),
        offset: message.offset(),
        timestamp: message.timestamp().to_millis().unwrap_or(-1),
        key: message.key(),
        value: message.payload(),
        headers: Headers::Decoded(headers.unwrap_or_default()),
    };
    out.stats.records(1);
    out.stats.bytes(record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len));
    if filter.passes(&record) {
        out.take(printer, &record)?;
    }
    Ok(())
}

/// What was printed is written before it is committed.
fn commit(consumer: &BaseConsumer, group: &str, out: &mut Output<'_>, mode: CommitMode) -> Result<()> {
    out.out.flush()?;
    match consumer.commit_consumer_state(mode) {
        // Nothing was read since.
        Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::NoOffset)) => Ok(()),
        committed => committed.with_context(|| format!("group {group}: cannot commit")),
    }
}

/// librdkafka goes on by itself.
fn is_passing(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::OperationTimedOut
                | RDKafkaErrorCode::RequestTimedOut
                | RDKafkaErrorCode::CoordinatorNotAvailable
                | RDKafkaErrorCode::NotCoordinator
                | RDKafkaErrorCode::CoordinatorLoadInProgress
        )
    )
}

//! `bd produce`: lines to records.

use crate::cli::Produce;
use anyhow::{Context, Result, anyhow};
use bd_cluster::{Ack, Cluster, RecordsBuilder, TopicPartition, Writer, WriterConfig};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A batch is sent when it holds so many bytes, or when no further line is there yet.
const BATCH_BYTES: usize = 256 << 10;
/// So many batches may be on their way.
const UNDER_WAY: usize = 64;
const ACK_WAIT: Duration = Duration::from_secs(60);

pub(super) fn run(args: &Produce) -> Result<ExitCode> {
    let input: Box<dyn Read> = match &args.file {
        Some(path) => Box::new(File::open(path).with_context(|| format!("cannot read {}", path.display()))?),
        None => Box::new(std::io::stdin().lock()),
    };
    let cluster = super::connect(&args.cluster)?;
    let topic = args.topic.as_str();
    let info = cluster
        .topic(topic)?
        .ok_or_else(|| anyhow!("topic {topic} does not exist; `bd topics create {topic}` makes it"))?;
    let config = WriterConfig { client_id: "bd-produce".into(), ..WriterConfig::default() };
    let writer = cluster.open_writer(config)?;
    let partitions =
        (0..info.partitions).map(|p| (TopicPartition::new(topic, p), RecordsBuilder::new())).collect();
    let mut sender = Sender { writer, partitions, under_way: VecDeque::new(), sticky: 0, bytes: 0 };
    let mut input = BufReader::with_capacity(BATCH_BYTES, input);
    let separator = args.key_separator.as_deref().map(str::as_bytes);
    let mut line = Vec::new();
    let mut count = 0_u64;
    loop {
        line.clear();
        if input.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        count += 1;
        let (key, value) = match separator {
            None => (None, text),
            Some(separator) => {
                split(text, separator).map(|(key, value)| (Some(key), value)).ok_or_else(|| {
                    anyhow!("line {count} has no {:?} between key and value", args.key_separator)
                })?
            }
        };
        sender.push(key, value);
        // A slow input (a person, `tail -f`) must not wait for a full batch.
        if sender.bytes >= BATCH_BYTES || !input.buffer().contains(&b'\n') {
            sender.send()?;
        }
    }
    sender.finish()?;
    eprintln!("{count} records to {topic}");
    Ok(ExitCode::SUCCESS)
}

struct Sender {
    writer: Box<dyn Writer>,
    partitions: Vec<(TopicPartition, RecordsBuilder)>,
    under_way: VecDeque<Ack>,
    /// Where records without a key go until the next batch.
    sticky: usize,
    bytes: usize,
}

impl Sender {
    fn push(&mut self, key: Option<&[u8]>, value: &[u8]) {
        let partition = match key {
            Some(key) => bd_cluster::partition_of_key(key, self.partitions.len()),
            None => self.sticky,
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64);
        if let Some((_, records)) = self.partitions.get_mut(partition) {
            records.push(key, Some(value), now, &[]);
        }
        self.bytes += key.map_or(0, <[u8]>::len) + value.len() + 16;
    }

    fn send(&mut self) -> Result<()> {
        for (partition, records) in &mut self.partitions {
            if !records.is_empty() {
                self.under_way.push_back(self.writer.append(partition, records.take())?);
            }
        }
        self.bytes = 0;
        self.sticky = (self.sticky + 1) % self.partitions.len();
        while self.under_way.len() > UNDER_WAY {
            self.wait_for_one()?;
        }
        Ok(())
    }

    fn wait_for_one(&mut self) -> Result<()> {
        match self.under_way.pop_front() {
            Some(ack) => ack.wait(ACK_WAIT).map(drop).map_err(Into::into),
            None => Ok(()),
        }
    }

    fn finish(&mut self) -> Result<()> {
        self.send()?;
        while !self.under_way.is_empty() {
            self.wait_for_one()?;
        }
        Ok(())
    }
}

/// What stands before and behind the first separator.
fn split<'a>(text: &'a [u8], separator: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    if separator.is_empty() {
        return None;
    }
    let at = text.windows(separator.len()).position(|w| w == separator)?;
    Some((text.get(..at)?, text.get(at + separator.len()..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_splits_at_its_first_separator() {
        assert_eq!(split(b"k::v::w", b"::"), Some((&b"k"[..], &b"v::w"[..])));
        assert_eq!(split(b"kv", b":"), None);
        assert_eq!(split(b"kv", b""), None);
    }
}

//! The records of a run, as batches made before the clock starts.

use crate::cli::{ClusterArgs, Compression, Load};
use crate::commands::{connect, topics};
use anyhow::{Result, bail};
use bd_client::{Client, OffsetSpec};
use bd_log::batch::{BatchBuilder, RecordsIter};
use bd_log::compression::Codec;
use std::collections::BTreeMap;

/// Different batches, so that a codec cannot learn one by heart.
const VARIANTS: usize = 16;
/// Bytes of a record besides its value, about.
pub(super) const RECORD_OVERHEAD: usize = 9;

pub(super) fn codec(compression: Compression) -> Codec {
    match compression {
        Compression::None => Codec::None,
        Compression::Gzip => Codec::Gzip,
        Compression::Snappy => Codec::Snappy,
        Compression::Lz4 => Codec::Lz4,
        Compression::Zstd => Codec::Zstd,
    }
}

/// Connects, creates the topic if it is not there; partitions with their leaders.
pub(super) fn prepare(cluster: &ClusterArgs, load: &Load) -> Result<(Client, Vec<(i32, i32)>)> {
    let mut client = connect(cluster, "bd-bench")?;
    let name = load.topic.as_str();
    if let Err(e) = client.topic(name) {
        if e.code().is_none_or(|code| code.0 != 3) {
            return Err(e.into());
        }
        topics::create_topic(&mut client, name, load.partitions, -1, &BTreeMap::new())?;
    }
    let leaders = leaders(&mut client, name)?;
    Ok((client, leaders))
}

/// Partitions with their leaders.
pub(super) fn leaders(client: &mut Client, topic: &str) -> Result<Vec<(i32, i32)>> {
    let until = std::time::Instant::now() + client.config().request_timeout;
    let info = loop {
        // A topic that was just created may not be known to the broker that is asked.
        match client.topic(topic) {
            Err(e) if e.code().is_some_and(|code| code.0 == 3) && std::time::Instant::now() < until => {
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            found => break found?,
        }
    };
    let mut leaders = Vec::new();
    for p in &info.partitions {
        leaders.push((p.partition, client.leader(topic, p.partition)?));
    }
    // Asked until each leader knows that it is one.
    let all = leaders.iter().map(|(p, _)| ((topic.to_owned(), *p), OffsetSpec::Latest)).collect();
    client.list_offsets(&all, false)?;
    Ok(leaders)
}

/// Values of which about the part `entropy` is noise; the rest repeats.
pub(super) struct Values {
    state: u64,
    size: usize,
    noise: usize,
}

impl Values {
    pub(super) fn new(load: &Load) -> Result<Self> {
        if !(0.0..=1.0).contains(&load.entropy) {
            bail!("--entropy {}: expected 0 to 1", load.entropy);
        }
        let size = load.size as usize;
        Ok(Self { state: 0x9e37_79b9_7f4a_7c15, size, noise: (size as f64 * load.entropy) as usize })
    }

    pub(super) fn next(&mut self) -> Vec<u8> {
        const TEXT: &[u8] = b"{\"sensor\":\"temperature\",\"unit\":\"celsius\",\"site\":\"north\"} ";
        let mut value = Vec::with_capacity(self.size);
        while value.len() < self.noise {
            // xorshift64
            self.state ^= self.state << 13;
            self.state ^= self.state >> 7;
            self.state ^= self.state << 17;
            value.extend_from_slice(&self.state.to_le_bytes());
        }
        value.truncate(self.noise);
        value.extend(TEXT.iter().copied().cycle().take(self.size - self.noise));
        value
    }
}

/// Batches of `records` records each.
pub(super) fn batches(load: &Load, records: usize) -> Result<Vec<Vec<u8>>> {
    let mut values = Values::new(load)?;
    let variants = if load.compression == Compression::None { 1 } else { VARIANTS };
    let one = |values: &mut Values| {
        let mut builder = BatchBuilder::new().codec(codec(load.compression));
        for _ in 0..records {
            builder.append(0, None, Some(&values.next()), &[]);
        }
        builder.build().to_vec()
    };
    Ok((0..variants).map(|_| one(&mut values)).collect())
}

/// An uncompressed batch and where in it each value begins.
pub(super) struct Template {
    pub(super) bytes: Vec<u8>,
    pub(super) values: Vec<usize>,
}

impl Template {
    pub(super) fn new(values: &mut Values, records: usize) -> Result<Self> {
        let mut builder = BatchBuilder::new();
        for _ in 0..records {
            builder.append(0, None, Some(&values.next()), &[]);
        }
        let bytes = builder.build().to_vec();
        let mut at = Vec::with_capacity(records);
        for record in RecordsIter::new(&bytes)? {
            at.extend(record?.value.map(|range| range.start));
        }
        Ok(Self { bytes, values: at })
    }
}

//! Opening a task: the writer, the state of the last commit, the tables.

use super::{
    Destination, Part, QueryContext, RejectsOf, SourceInput, Task, TopicOutput, Use, changelog_topic,
    group_of, leaf_key, time_key,
};
use crate::error::EngineError;
use crate::operators::UpsertMap;
use crate::runtime::chain::Chain;
use crate::runtime::changelog::{self, Kind, QUERY_NODE};
use crate::runtime::input::Input;
use crate::runtime::query::split::split_at;
use crate::runtime::sink::Sink;
use crate::runtime::watermarks::{self, Adopter};
use bd_cluster::{
    Cluster, ClusterError, GroupMember, Isolation, NewTopic, OffsetSpec, Reader, ReaderConfig,
    TopicPartition, WriterConfig,
};
use bd_sql::catalog::{SourceDef, SourceKind};
use bd_sql::plan::Node;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// One scan of a source: its leaf, its columns, whether it has the time.
type Scan = (usize, Vec<usize>, bool);

impl Task {
    /// Opens the writer, restores the state of the last commit and loads the lookup tables.
    ///
    /// # Errors
    /// The cluster's, or state that cannot be read.
    pub fn open(context: Arc<QueryContext>, destination: Destination) -> Result<Self, EngineError> {
        let cluster = context.cluster.clone();
        let chain = Chain::new(&context.plan)?;
        let reader_config = ReaderConfig {
            isolation: Isolation::ReadCommitted,
            client_id: format!("bd-{}", context.status.id),
        };
        let reader = cluster.open_reader(reader_config.clone())?;
        let (mut output, mut client, mut from_beginning) = (None, None, true);
        match destination {
            Destination::Topic(def) => output = Some(open_output(&context, &def)?),
            Destination::Client { send, from_beginning: from } => {
                client = Some(send);
                from_beginning = from;
            }
        }
        let inputs = open_inputs(&context, &chain, output.is_some(), from_beginning)?;
        let mut task = Self {
            chain,
            reader,
            inputs,
            by_partition: HashMap::new(),
            adopter: Adopter::default(),
            output: None,
            client,
            client_gone: false,
            rejects: BTreeMap::new(),
            rows: Vec::new(),
            stream_time: 0,
            dirty: false,
            drain_seen: false,
            tables_loaded: false,
            context,
        };
        if let Some(output) = &mut output {
            task.restore(output)?;
        }
        task.output = output;
        if task.is_completed() {
            return Ok(task);
        }
        let mut loader = cluster.open_reader(reader_config)?;
        task.tables_loaded = task.load_tables(loader.as_mut())?;
        task.start_reading()?;
        Ok(task)
    }

    /// Whether an earlier life of the query has read its inputs to their ends.
    pub fn is_completed(&self) -> bool {
        self.output.as_ref().is_some_and(|o| o.completed)
    }

    fn restore(&mut self, output: &mut TopicOutput) -> Result<(), EngineError> {
        let cluster = self.context.cluster.clone();
        let start = cluster.offset(&output.changelog, OffsetSpec::Earliest)?;
        let end = cluster.offset(&output.changelog, OffsetSpec::Stable)?;
        let mut reader = cluster.open_reader(ReaderConfig::default())?;
        reader.assign(&output.changelog, start)?;
        let mut position = start;
        while position < end {
            let Some(records) = reader.poll(8 << 20, Duration::from_secs(5))? else { continue };
            for record in records.iter() {
                let value = record.value.unwrap_or_default();
                let (kind, entries) = changelog::read_record(value)?;
                if kind == Kind::FullStart {
                    self.chain = Chain::new(&self.context.plan)?;
                    output.full_bytes = 0;
                    output.bytes_since_full = 0;
                }
                let bytes =
                    if kind == Kind::Changes { &mut output.bytes_since_full } else { &mut output.full_bytes };
                *bytes += value.len() as u64;
                for (node, key, value) in entries {
                    if node == QUERY_NODE {
                        self.restore_query_entry(output, key, value)?;
                    } else {
                        self.chain.restore(node, key, value)?;
                    }
                }
            }
            position = records.next_offset;
        }
        Ok(())
    }

    fn restore_query_entry(
        &mut self,
        output: &mut TopicOutput,
        key: &[u8],
        value: Option<&[u8]>,
    ) -> Result<(), EngineError> {
        let corrupt = || EngineError::Corrupt {
            what: format!("state of query {}", self.context.status.id),
            reason: format!("entry {}", String::from_utf8_lossy(key)),
        };
        let number = i64::from_le_bytes(value.and_then(|v| v.try_into().ok()).ok_or_else(corrupt)?);
        match std::str::from_utf8(key).map_err(|_| corrupt())? {
            "completed" => output.completed = true,
            "stream_time" => self.stream_time = number,
            "watermark" => output.watermark = number,
            key => {
                // A partition's greatest event time; of one that is read no more it is of no use.
                for input in &mut self.inputs {
                    let source = &input.input.source;
                    for part in input.parts.iter_mut().filter(|p| key == time_key(source, &p.tp)) {
                        part.max_time = number;
                        part.saved_time = number;
                    }
                }
                if let Some(leaf) = (0..self.chain.leaves().len()).find(|l| key == leaf_key(*l)) {
                    self.chain.restore_watermark(leaf, number)?;
                }
            }
        }
        Ok(())
    }

    /// Reads tables before anything else: those that are looked up in to their captured ends, a table that drives the query up to
    /// what was committed (its rows were handled already; the next change needs to know the row before it). False where the
    /// query was told to stop meanwhile.
    fn load_tables(&mut self, loader: &mut dyn Reader) -> Result<bool, EngineError> {
        for producer in self.context.producers.clone() {
            while !producer.is_loaded() {
                if self.context.status.must_stop() {
                    return Ok(false);
                }
                producer.wait_change(Duration::from_millis(50));
            }
        }
        let cluster = self.context.cluster.clone();
        let mut targets = HashMap::new();
        for (i, input) in self.inputs.iter_mut().enumerate() {
            if input.input.source.kind != SourceKind::Table {
                continue;
            }
            for (p, part) in input.parts.iter_mut().enumerate() {
                let start = cluster.offset(&part.tp, OffsetSpec::Earliest)?;
                let target =
                    if input.lookup { cluster.offset(&part.tp, OffsetSpec::Stable)? } else { part.position };
                part.position = start;
                if start < target {
                    loader.assign(&part.tp, start)?;
                    targets.insert(part.tp.clone(), (i, p, target));
                }
            }
        }
        while !targets.is_empty() {
            if self.context.status.must_stop() {
                return Ok(false);
            }
            let Some(records) = loader.poll(self.context.config.poll_bytes, Duration::from_millis(100))?
            else {
                continue;
            };
            let Some((i, p, target)) = targets.get(&records.partition).copied() else { continue };
            let (records, _) = split_at(records, target);
            self.table_records(i, p, &records, self.inputs[i].lookup)?;
            let part = &mut self.inputs[i].parts[p];
            part.position = records.next_offset.min(target);
            if records.next_offset >= target {
                part.position = target;
                loader.unassign(&records.partition);
                targets.remove(&records.partition);
            }
        }
        Ok(true)
    }

    fn start_reading(&mut self) -> Result<(), EngineError> {
        let mut derived = false;
        // Two sources over one topic: each skips what it has.
        let mut starts: BTreeMap<TopicPartition, i64> = BTreeMap::new();
        for (i, input) in self.inputs.iter().enumerate() {
            let query = input.input.source.query.as_deref();
            derived |= query.is_some();
            for (p, part) in input.parts.iter().enumerate() {
                self.by_partition.entry(part.tp.clone()).or_default().push((i, p));
                let from = starts.entry(part.tp.clone()).or_insert(part.position);
                *from = part.position.min(*from);
                if let Some(query) = query {
                    self.adopter.watch(query, &part.tp, part.position);
                }
            }
        }
        for uses in self.by_partition.values_mut() {
            // A row that looks itself up in a table over its own topic finds itself.
            uses.sort_by_key(|(i, _)| self.inputs[*i].input.source.kind == SourceKind::Stream);
        }
        for (tp, from) in &starts {
            self.reader.assign(tp, *from)?;
        }
        if derived {
            let marks = TopicPartition::new(watermarks::TOPIC, 0);
            let start = self.context.cluster.offset(&marks, OffsetSpec::Earliest)?;
            self.reader.assign(&marks, start)?;
        }
        Ok(())
    }
}

fn open_output(context: &QueryContext, def: &SourceDef) -> Result<TopicOutput, EngineError> {
    let cluster = &context.cluster;
    let id = &context.status.id;
    let writer = cluster.open_writer(WriterConfig {
        transactional_id: Some(format!("bd-{id}")),
        transaction_timeout: Duration::from_secs(60),
        client_id: format!("bd-{id}"),
    })?;
    let keep = NewTopic::new(changelog_topic(id), 1).with("retention.ms", "-1");
    ensure_topic(cluster.as_ref(), keep)?;
    let info = cluster.topic(&def.topic)?.ok_or_else(|| ClusterError::UnknownTopic(def.topic.clone()))?;
    let sink = Sink::new(def, &context.plan, info.partitions, &context.config.codecs)?;
    let ends = sink
        .partitions()
        .iter()
        .map(|tp| cluster.offset(tp, OffsetSpec::Stable))
        .collect::<Result<_, _>>()?;
    Ok(TopicOutput {
        writer,
        sink,
        group: GroupMember::offsets_only(group_of(id)),
        changelog: TopicPartition::new(changelog_topic(id), 0),
        bytes_since_full: 0,
        full_bytes: 0,
        ends,
        watermark: i64::MIN,
        completed: false,
    })
}

/// Creates a topic unless it is there.
///
/// # Errors
/// The cluster's.
pub fn ensure_topic(cluster: &dyn Cluster, topic: NewTopic) -> Result<(), EngineError> {
    if cluster.topic(&topic.name)?.is_some() {
        return Ok(());
    }
    match cluster.create_topic(&topic) {
        Ok(()) | Err(ClusterError::TopicExists(_)) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

fn open_inputs(
    context: &QueryContext,
    chain: &Chain,
    persistent: bool,
    from_beginning: bool,
) -> Result<Vec<SourceInput>, EngineError> {
    let cluster = &context.cluster;
    let mut by_source: BTreeMap<String, (Arc<SourceDef>, Vec<Scan>)> = BTreeMap::new();
    for (leaf, scan) in chain.leaves().iter().enumerate() {
        let (source, columns, rowtime) = match &scan.plan.node {
            Node::StreamScan { source, columns } => (source, columns, true),
            Node::TableScan { source, columns, rowtime } => (source, columns, *rowtime),
            _ => continue,
        };
        let entry =
            by_source.entry(source.name.to_ascii_lowercase()).or_insert_with(|| (source.clone(), Vec::new()));
        entry.1.push((leaf, columns.clone(), rowtime));
    }
    let mut inputs = Vec::new();
    for (name, (source, scans)) in by_source {
        let lookup = scans.iter().all(|(leaf, ..)| chain.leaves()[*leaf].lookup);
        if !lookup && scans.iter().any(|(leaf, ..)| chain.leaves()[*leaf].lookup) {
            return Err(EngineError::Unsupported(format!(
                "joining table {} with its own changes",
                source.name
            )));
        }
        let columns = scans.iter().flat_map(|(_, columns, _)| columns.iter().copied());
        let input = Input::new(source.clone(), columns, &context.config.codecs)?;
        let uses = scans
            .iter()
            .map(|(leaf, columns, rowtime)| {
                let mut places = input.places_of(columns);
                if *rowtime {
                    places.push(input.time_place());
                }
                let table = (source.kind == SourceKind::Table).then(|| {
                    let keys = source.key_columns();
                    let key = (0..columns.len()).filter(|i| keys.contains(&columns[*i])).collect();
                    let columns = chain.leaves()[*leaf].plan.columns.iter();
                    UpsertMap::new(key, columns.map(|f| f.data_type.to_arrow()).collect())
                });
                Ok(Use { leaf: *leaf, places, table: table.transpose()? })
            })
            .collect::<Result<Vec<_>, EngineError>>()?;
        let info =
            cluster.topic(&source.topic)?.ok_or_else(|| ClusterError::UnknownTopic(source.topic.clone()))?;
        let tps: Vec<_> =
            (0..info.partitions).map(|p| TopicPartition::new(source.topic.as_str(), p)).collect();
        let committed = if persistent {
            cluster.committed(&group_of(&context.status.id), &tps)?
        } else {
            vec![None; tps.len()]
        };
        let rejects = context.rejects_of.iter().find(|r| r.source == name);
        let written = rejects.map(|r| written_by_others(cluster.as_ref(), r, &tps)).transpose()?;
        let mut parts = Vec::new();
        for (p, (tp, committed)) in tps.into_iter().zip(committed).enumerate() {
            let from = if from_beginning || lookup { OffsetSpec::Earliest } else { OffsetSpec::Stable };
            let start = cluster.offset(&tp, from)?;
            parts.push(Part {
                position: committed.unwrap_or(start),
                rejects_from: committed.max(written.as_ref().and_then(|w| w[p])).unwrap_or(i64::MIN),
                tp,
                max_time: i64::MIN,
                saved_time: i64::MIN,
                end: None,
                stable: start,
                paused: false,
                last_data: Instant::now(),
            });
        }
        let writes_rejects = rejects.is_some();
        if writes_rejects && persistent {
            ensure_topic(cluster.as_ref(), NewTopic::new(&source.dead_letter_topic, 1))?;
            if source.kind == SourceKind::Stream {
                ensure_topic(cluster.as_ref(), NewTopic::new(&source.late_topic, 1))?;
            }
        }
        inputs.push(SourceInput { input, uses, lookup, parts, writes_rejects });
    }
    Ok(inputs)
}

/// Up to which offset other queries have written the rejects of a source's partitions.
fn written_by_others(
    cluster: &dyn Cluster,
    rejects: &RejectsOf,
    tps: &[TopicPartition],
) -> Result<Vec<Option<i64>>, EngineError> {
    let mut written: Vec<Option<i64>> = tps
        .iter()
        .map(|tp| rejects.ended.iter().map(|ends| ends.get(tp).copied().unwrap_or(0)).max())
        .collect();
    for query in &rejects.former {
        for (so_far, committed) in written.iter_mut().zip(cluster.committed(&group_of(query), tps)?) {
            *so_far = committed.max(*so_far);
        }
    }
    Ok(written)
}

//! The topic: read into the [`State`], written one decision after the other.
//!
//! Several registries may write one topic; the log's order decides. A registration is decided on the state that its registry has
//! read, and says by a header ([`Standing`]) that it takes a version that was free, and gives a new schema its id. Where another registry
//! took that version first, or gave the id to another schema, or the schema another id, the record says nothing: its writer sees so when
//! it reads it back, and decides anew. What stands in the log for a version must be its latest record there, since the topic is compacted
//! and Confluent's registry takes the latest: so whoever writes next writes the winner's once more, or that there is none, with a header by which the record changes nothing. Where that comes too late, as somebody has changed the version meanwhile, it is itself
//! overtaken and made good.
//!
//! Within one registry decisions are made one at a time, but what they come to is waited for together ([`Flights`]): so many
//! registrations share an fsync.

use crate::error::Error;
use crate::flights::{Flights, Footprint};
use crate::record::{Change, Standing};
use crate::state::{State, Version};
use bd_cluster::{
    Ack, Cluster, ClusterError, NewTopic, OffsetSpec, Reader, ReaderConfig, RecordRef, RecordsBuilder,
    TopicPartition, Writer, WriterConfig,
};
use parking_lot::{Condvar, Mutex, RwLock};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// An answer of the cluster is waited for at most so long.
const WAIT: Duration = Duration::from_secs(30);
/// So many bytes are read at once.
const READ_BYTES: usize = 4 << 20;
/// A batch is closed when it has so many bytes.
const BATCH_BYTES: usize = 256 << 10;
/// A larger record is refused: the broker's limit of a batch, less what frames it.
const RECORD_BYTES: usize = (1 << 20) - 2048;
/// A decision that was overtaken so often is given up.
const ATTEMPTS: usize = 1000;

/// See the module's documentation. Calls block.
pub(crate) struct Store {
    cluster: Arc<dyn Cluster>,
    partition: TopicPartition,
    state: RwLock<State>,
    tail: Mutex<Tail>,
    /// `None`: this registry does not write.
    lane: Option<Lane>,
}

/// Where decisions are made and sent off.
struct Lane {
    departing: Mutex<Departing>,
    landed: Condvar,
}

struct Departing {
    writer: Box<dyn Writer>,
    flights: Flights,
}

/// A decision on its way; it has landed when this is dropped.
struct Flight<'a> {
    lane: &'a Lane,
    number: u64,
    acks: Vec<Ack>,
    /// It makes good what others left behind.
    repaired: bool,
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.lane.departing.lock().flights.land(self.number);
        self.lane.landed.notify_all();
    }
}

/// How far the topic is read.
struct Tail {
    reader: Box<dyn Reader>,
    position: i64,
    /// Subjects and versions whose latest record says nothing.
    overtaken: BTreeSet<(String, u32)>,
}

/// What a decision comes to: records to write, in order, and the answer.
pub(crate) struct Decision<T> {
    pub(crate) changes: Vec<Change>,
    /// Of its schemas; what is not a schema is told.
    pub(crate) standing: Standing,
    pub(crate) answer: T,
}

impl<T> Decision<T> {
    /// Nothing is to be written.
    pub(crate) fn nothing(answer: T) -> Self {
        Self { changes: Vec::new(), standing: Standing::Told, answer }
    }

    pub(crate) fn write(changes: Vec<Change>, answer: T) -> Self {
        Self { changes, standing: Standing::Told, answer }
    }
}

impl Store {
    /// Reads the topic to its end. Where it is absent and this registry writes, it is created.
    pub(crate) fn open(
        cluster: Arc<dyn Cluster>,
        topic: &str,
        state: State,
        writes: bool,
    ) -> Result<Self, Error> {
        create(cluster.as_ref(), topic, writes)?;
        let partition = TopicPartition::new(topic, 0);
        let position = cluster.offset(&partition, OffsetSpec::Earliest)?;
        let client_id = "bd-registry".to_owned();
        let config = ReaderConfig { client_id: client_id.clone(), ..ReaderConfig::default() };
        let mut reader = cluster.open_reader(config)?;
        reader.assign(&partition, position)?;
        let lane = match writes {
            true => {
                let writer = cluster.open_writer(WriterConfig { client_id, ..WriterConfig::default() })?;
                let departing = Departing { writer, flights: Flights::default() };
                Some(Lane { departing: Mutex::new(departing), landed: Condvar::new() })
            }
            false => None,
        };
        let tail = Mutex::new(Tail { reader, position, overtaken: BTreeSet::new() });
        let store = Self { cluster, partition, state: RwLock::new(state), tail, lane };
        store.catch_up(0)?;
        Ok(store)
    }

    /// The state as far as it is read.
    pub(crate) fn known<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        read(&self.state.read())
    }

    /// The same, but nothing where the state is being changed just now: for who must not wait.
    pub(crate) fn known_at_once<T>(&self, read: impl FnOnce(&State) -> T) -> Option<T> {
        self.state.try_read().map(|state| read(&state))
    }

    /// The state as of now.
    pub(crate) fn fresh<T>(&self, read: impl FnOnce(&State) -> T) -> Result<T, Error> {
        self.catch_up(0)?;
        Ok(read(&self.state.read()))
    }

    /// Applies what was written since the last call, by whomever; at least up to that offset.
    fn catch_up(&self, to: i64) -> Result<(), Error> {
        let end = self.cluster.offset(&self.partition, OffsetSpec::Latest)?.max(to);
        let mut tail = self.tail.lock();
        let deadline = Instant::now() + WAIT;
        while tail.position < end {
            let Some(records) = tail.reader.poll(READ_BYTES, Duration::from_millis(100))? else {
                if Instant::now() > deadline {
                    let at = tail.position;
                    return Err(Error::Store(format!("{} cannot be read from offset {at}", self.partition)));
                }
                continue;
            };
            let decoded: Vec<_> = (0..records.len())
                .zip(records.iter())
                .filter_map(|(i, record)| {
                    let headers = records.headers(i).map(|header| (header.name, header.value));
                    self.decode(&record).map(|change| (change, Standing::of_headers(headers)))
                })
                .collect();
            let mut state = self.state.write();
            for (change, standing) in decoded {
                apply(&mut state, &mut tail.overtaken, change, standing);
            }
            tail.position = records.next_offset;
        }
        Ok(())
    }

    fn decode(&self, record: &RecordRef<'_>) -> Option<Change> {
        let passed_over =
            |why: String| tracing::warn!("{} offset {}: passed over: {why}", self.partition, record.offset);
        match record.key.map(|key| Change::decode(key, record.value, record.timestamp)) {
            Some(Ok(change)) => return change,
            Some(Err(error)) => passed_over(error.to_string()),
            None => passed_over("it has no key".into()),
        }
        None
    }

    /// Decides on the state as of now and writes what that comes to; it is durable and applied when this returns. `decide` is called
    /// anew when something else was faster.
    pub(crate) fn transact<T>(
        &self,
        mut decide: impl FnMut(&State, &Flights) -> Result<Decision<T>, Error>,
    ) -> Result<T, Error> {
        let lane = self.lane.as_ref().ok_or(Error::NoLeader)?;
        for _ in 0..ATTEMPTS {
            let (decision, flight) = self.depart(lane, &mut decide)?;
            let Some(mut flight) = flight else { return Ok(decision.answer) };
            self.await_landing(&mut flight)?;
            let holds = decision.standing == Standing::Told || self.holds(&decision.changes);
            let repaired = flight.repaired;
            drop(flight);
            if repaired && let Err(error) = self.mend(lane) {
                tracing::warn!(
                    "{}: an overtaken record is left for the next writer: {error}",
                    self.partition
                );
            }
            if holds {
                return Ok(decision.answer);
            }
        }
        Err(Error::Store("other registries were faster each time; try again".into()))
    }

    /// Waits until its records are durable and applied.
    fn await_landing(&self, flight: &mut Flight<'_>) -> Result<(), Error> {
        let mut end = 0;
        for ack in flight.acks.drain(..) {
            end = ack.wait(WAIT)?.last_offset + 1;
        }
        self.catch_up(end)
    }

    /// Makes repairs that came too late good in turn: none may stay the latest record of its version.
    fn mend(&self, lane: &Lane) -> Result<(), Error> {
        for _ in 0..ATTEMPTS {
            let repairs = self.repairs(&[]);
            if repairs.is_empty() {
                return Ok(());
            }
            let mut decide = |_: &State, _: &Flights| {
                Ok(Decision { changes: repairs.clone(), standing: Standing::Repair, answer: () })
            };
            if let (_, Some(mut flight)) = self.depart(lane, &mut decide)? {
                self.await_landing(&mut flight)?;
            }
        }
        Err(Error::Store("other registries were faster each time".into()))
    }

    /// Decides and sends off what is to be written, once nothing is on its way that has to do with it.
    fn depart<'a, T>(
        &self,
        lane: &'a Lane,
        decide: &mut impl FnMut(&State, &Flights) -> Result<Decision<T>, Error>,
    ) -> Result<(Decision<T>, Option<Flight<'a>>), Error> {
        let mut departing = lane.departing.lock();
        loop {
            self.catch_up(0)?;
            let (decision, mut footprint) = {
                let state = self.state.read();
                let decision = decide(&state, &departing.flights)?;
                let footprint = Footprint::of(&state, &decision.changes);
                (decision, footprint)
            };
            if decision.changes.is_empty() {
                return Ok((decision, None));
            }
            let repairs = self.repairs(&decision.changes);
            if !repairs.is_empty() {
                footprint = Footprint::of_all();
            }
            if departing.flights.meets(&footprint) {
                while departing.flights.meets(&footprint) {
                    lane.landed.wait(&mut departing);
                }
                continue;
            }
            let repaired = !repairs.is_empty();
            let repairs = encode(&repairs, Standing::Repair)?;
            let batches = repairs.into_iter().chain(encode(&decision.changes, decision.standing)?);
            let acks = batches.map(|batch| departing.writer.append(&self.partition, batch));
            let acks = acks.collect::<Result<Vec<_>, _>>()?;
            let number = departing.flights.start(footprint);
            return Ok((decision, Some(Flight { lane, number, acks, repaired })));
        }
    }

    /// Whether the versions that these changes claim are theirs.
    fn holds(&self, changes: &[Change]) -> bool {
        let state = self.state.read();
        changes.iter().all(|change| match change {
            Change::Schema { subject, version } => {
                let there = state.version(subject, version.version);
                there.is_some_and(|there| there.id == version.id && there.schema == version.schema)
            }
            _ => true,
        })
    }

    /// The records that make good what overtaken ones leave behind, but for those that `changes` write anyway.
    fn repairs(&self, changes: &[Change]) -> Vec<Change> {
        let tail = self.tail.lock();
        let state = self.state.read();
        let written = |place: &(String, u32)| {
            changes.iter().any(|change| match change {
                Change::Schema { subject, version } => *subject == place.0 && version.version == place.1,
                Change::Purge { subject, version } => *subject == place.0 && *version == place.1,
                _ => false,
            })
        };
        let repair = |(subject, version): &(String, u32)| match state.version(subject, *version) {
            Some(there) => Change::Schema { subject: subject.clone(), version: there.clone() },
            None => Change::Purge { subject: subject.clone(), version: *version },
        };
        tail.overtaken.iter().filter(|place| !written(place)).map(repair).collect()
    }
}

/// The batches of these changes.
fn encode(changes: &[Change], standing: Standing) -> Result<Vec<RecordsBuilder>, Error> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64);
    let header = standing.header();
    let (mut full, mut batch) = (Vec::new(), RecordsBuilder::new());
    for change in changes {
        let (key, value) = change.encode().map_err(|e| Error::Store(e.to_string()))?;
        if key.len() + value.as_ref().map_or(0, Vec::len) > RECORD_BYTES {
            return Err(Error::SchemaTooLarge);
        }
        let headers = match change {
            Change::Schema { .. } => header.as_slice(),
            Change::Purge { .. } if standing == Standing::Repair => header.as_slice(),
            _ => &[],
        };
        batch.push(Some(&key), value.as_deref(), now, headers);
        if batch.bytes() >= BATCH_BYTES {
            full.push(std::mem::take(&mut batch));
        }
    }
    if !batch.is_empty() {
        full.push(batch);
    }
    Ok(full)
}

fn apply(state: &mut State, overtaken: &mut BTreeSet<(String, u32)>, change: Change, standing: Standing) {
    let place = match &change {
        Change::Schema { subject, version } => (subject.clone(), version.version),
        Change::Purge { subject, version } => (subject.clone(), *version),
        _ => return state.apply(change),
    };
    let there = state.version(&place.0, place.1);
    let refused = match &change {
        Change::Schema { subject, version } => {
            let same =
                |v: &Version| (v.id, v.deleted, &v.schema) == (version.id, version.deleted, &version.schema);
            // Where nothing is there, what it repeats was compacted away.
            let late = standing == Standing::Repair && there.is_some_and(|there| !same(there));
            late || state.refuses(subject, version, standing)
        }
        _ => standing == Standing::Repair && there.is_some(),
    };
    if !refused {
        overtaken.remove(&place);
        state.apply(change);
    } else if standing == Standing::Told {
        tracing::warn!("subject {}, version {}: passed over: another schema has its id", place.0, place.1);
    } else {
        overtaken.insert(place);
    }
}

fn create(cluster: &dyn Cluster, topic: &str, writes: bool) -> Result<(), Error> {
    if writes && cluster.topic(topic)?.is_none() {
        match cluster.create_topic(&NewTopic::new(topic, 1).with("cleanup.policy", "compact")) {
            Ok(()) | Err(ClusterError::TopicExists(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    match cluster.topic(topic)? {
        Some(info) if info.partitions == 1 => Ok(()),
        Some(info) => Err(Error::Store(format!(
            "topic {topic} has {} partitions, a registry's topic has one, so that its order decides",
            info.partitions
        ))),
        None => Err(Error::Store(format!("topic {topic} does not exist"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Level;
    use crate::state::Stored;
    use bd_schema::SchemaType;

    fn version(number: u32, id: u32, text: &str) -> Version {
        let schema = Arc::new(Stored::new(SchemaType::Avro, text, Vec::new(), None, None));
        Version { version: number, id, deleted: false, time: 0, schema }
    }

    fn schema(subject: &str, number: u32, id: u32, text: &str) -> Change {
        Change::Schema { subject: subject.into(), version: version(number, id, text) }
    }

    /// The ids of `a` and `b`, version 1, and what was overtaken.
    fn after(records: Vec<(Change, Standing)>) -> (Option<u32>, Option<u32>, Vec<(String, u32)>) {
        let (mut state, mut overtaken) = (State::new(Level::None), BTreeSet::new());
        for (change, standing) in records {
            apply(&mut state, &mut overtaken, change, standing);
        }
        let id = |subject| state.version(subject, 1).map(|v| v.id);
        (id("a"), id("b"), overtaken.into_iter().collect())
    }

    #[test]
    fn the_first_claim_of_a_version_an_id_or_a_schema_holds() {
        use Standing::Schema;
        let b = || vec![("b".to_owned(), 1)];
        let (int, long) = ("\"int\"", "\"long\"");
        let first = || (schema("a", 1, 1, int), Schema);
        assert_eq!(after(vec![first(), (schema("a", 1, 2, long), Schema)]).0, Some(1));
        assert_eq!(after(vec![first(), (schema("b", 1, 1, long), Schema)]), (Some(1), None, b()));
        assert_eq!(after(vec![first(), (schema("b", 1, 2, int), Schema)]), (Some(1), None, b()));
        // An id that was asked for, as in import mode.
        assert_eq!(after(vec![first(), (schema("b", 1, 2, int), Standing::Version)]).1, Some(2));
    }

    #[test]
    fn a_repair_changes_nothing_and_is_overtaken_where_it_comes_late() {
        use Standing::{Repair, Schema};
        let purge = || Change::Purge { subject: "b".into(), version: 1 };
        let (int, long) = ("\"int\"", "\"long\"");
        let overtaken = [(schema("a", 1, 1, int), Schema), (schema("b", 1, 1, long), Schema)];
        let with = |more: Vec<(Change, Standing)>| after(overtaken.iter().cloned().chain(more).collect());
        assert_eq!(with(vec![(purge(), Repair)]), (Some(1), None, vec![]));
        // Its writer has decided anew before the repair comes.
        let again = || (schema("b", 1, 2, long), Schema);
        let b = vec![("b".to_owned(), 1)];
        assert_eq!(with(vec![again(), (purge(), Repair)]), (Some(1), Some(2), b));
        let mended = vec![again(), (purge(), Repair), (again().0, Repair)];
        assert_eq!(with(mended), (Some(1), Some(2), vec![]));
        // All that compaction has left.
        assert_eq!(after(vec![(again().0, Repair)]), (None, Some(2), vec![]));
    }
}

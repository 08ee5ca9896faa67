//! The task: packets in, transactions out.

use super::connection::Connection;
use super::exchanges::Arrival;
use super::packet::{Packet, Publish};
use super::session::{Lost, Session, partition};
use super::settings::Settings;
use bd_connect::sdk::{
    Batch, Cells, ConnectSchema, Header, Polled, Rejected, SourceTask, StopFlag, TaskContext, TaskError,
};
use bd_schema::{DataType, Row, Value};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A poll ends at so many messages, or a bit over so many bytes: the rest waits in the socket.
const MAX_MESSAGES: usize = 20_000;
const MAX_BYTES: usize = 8 << 20;
/// How long PUBRELs wait for a message to share a transaction with.
const LINGER: Duration = Duration::from_millis(10);

/// A task of the MQTT source.
pub(super) struct MqttTask {
    settings: Settings,
    key_schema: Arc<ConnectSchema>,
    topic: Arc<str>,
    connection: Connection,
    session: Session,
    stop: StopFlag,
    subscribe_by: Instant,
    out: Vec<u8>,
}

/// What a poll has gathered.
#[derive(Default)]
struct Gathered {
    keys: Vec<Option<Row>>,
    values: Vec<Option<Vec<u8>>>,
    headers: Vec<Vec<Header>>,
    rejected: Vec<Rejected>,
    bytes: usize,
}

impl MqttTask {
    /// Connects and subscribes.
    ///
    /// # Errors
    /// See [`Connection::open`].
    pub(super) fn open(context: &TaskContext) -> Result<Self, TaskError> {
        let settings = Settings::read(&context.config, &context.connector, context.task)?;
        if settings.qos > 0 && settings.clean_session {
            tracing::warn!(
                connector = context.connector,
                "mqtt.clean.session.enabled is true: the broker drops what is published while the connector is away"
            );
        }
        let mut session = Session::restore(&settings, context.offset(&partition(&settings.client_id)));
        let mut connection = Connection::open(&settings, &context.stop)?;
        if !connection.session_present {
            let lost = session.forget();
            warn_of(&lost, &settings, &connection);
        }
        let mut out = Vec::new();
        session.put_subscriptions(&mut out, settings.qos);
        connection.write(&out)?;
        connection.ping()?;
        out.clear();
        Ok(Self {
            key_schema: Arc::new(ConnectSchema::single(DataType::Varchar)),
            topic: settings.topic.as_str().into(),
            subscribe_by: Instant::now() + settings.connect_timeout,
            stop: context.stop.clone(),
            settings,
            connection,
            session,
            out,
        })
    }

    /// Takes the packets that are read already, up to the bound of a poll.
    fn take(&mut self, gathered: &mut Gathered) -> Result<(), TaskError> {
        while !gathered.is_full() {
            let Some(packet) = self.connection.next()? else { break };
            match packet {
                Packet::Publish(publish) => {
                    let arrival = self.session.publish(publish.qos, publish.id, publish.dup);
                    let arrival = arrival.map_err(|e| TaskError::Fatal(format!("MQTT: {e}")))?;
                    if arrival == Arrival::New {
                        gathered.push(&publish, &self.settings);
                    }
                }
                Packet::PubRel(id) => self.session.release(id),
                Packet::SubAck(id, codes) => {
                    if let Err(filter) = self.session.subscribed(id, codes) {
                        return Err(TaskError::Fatal(format!(
                            "MQTT: {} refused the subscription to {filter} (SUBACK 0x80): check mqtt.topics and the broker's \
                             access rules",
                            self.connection.server()
                        )));
                    }
                }
                Packet::UnsubAck(_) => self.session.confirmed(),
                Packet::PingResp => self.session.ponged(),
                Packet::ConnAck { .. } => {
                    let server = self.connection.server();
                    return Err(TaskError::Retriable(format!("MQTT: {server} sent a second CONNACK")));
                }
            }
        }
        self.session.put_answers(&mut self.out);
        self.flush()
    }

    fn flush(&mut self) -> Result<(), TaskError> {
        if self.out.is_empty() {
            return Ok(());
        }
        let result = self.connection.write(&self.out);
        self.out.clear();
        result
    }

    fn polled(&mut self, gathered: Gathered) -> Polled {
        let mut batches = Vec::new();
        if !gathered.values.is_empty() {
            let keys = Cells::Rows { schema: self.key_schema.clone(), rows: gathered.keys };
            let mut batch = Batch::new(self.topic.clone(), Cells::Bytes(gathered.values)).with_keys(keys);
            batch.headers = gathered.headers;
            batches.push(batch);
        }
        let offset = self.session.offset();
        let offsets = vec![(partition(&self.settings.client_id), Some(offset))];
        Polled { batches, rejected: gathered.rejected, offsets }
    }
}

impl SourceTask for MqttTask {
    fn poll(&mut self, wait: Duration) -> Result<Option<Polled>, TaskError> {
        let start = Instant::now();
        let mut released: Option<Instant> = None;
        let mut gathered = Gathered::default();
        let (mut more, mut filled) = (false, false);
        loop {
            self.take(&mut gathered)?;
            // What is gathered is counted already and must be given, also while the socket has ever more.
            let waited = start.elapsed() >= wait;
            if gathered.is_full() || !gathered.is_empty() && (!more || waited) {
                return Ok(Some(self.polled(gathered)));
            }
            if self.session.awaits() && Instant::now() > self.subscribe_by {
                let message = format!("MQTT: {} did not answer SUBSCRIBE", self.connection.server());
                return Err(TaskError::Retriable(message));
            }
            let spent = start.elapsed();
            let over = spent >= wait && filled || self.stop.is_set();
            if self.session.has_released() {
                released.get_or_insert_with(Instant::now);
            }
            let lingered = released.is_some_and(|at| over || at.elapsed() >= LINGER);
            if lingered || self.session.is_dirty() && (over || !self.session.awaits()) {
                return Ok(Some(self.polled(gathered)));
            }
            if over {
                return Ok(None);
            }
            let left = wait.saturating_sub(spent);
            let left = if more { Duration::ZERO } else { released.map_or(left, |_| left.min(LINGER)) };
            more = self.connection.fill(left)?;
            filled = true;
        }
    }

    fn committed(&mut self) -> Result<(), TaskError> {
        self.session.committed(&mut self.out);
        self.flush()
    }
}

impl Gathered {
    fn is_full(&self) -> bool {
        self.values.len() + self.rejected.len() >= MAX_MESSAGES || self.bytes >= MAX_BYTES
    }

    fn is_empty(&self) -> bool {
        self.values.is_empty() && self.rejected.is_empty()
    }

    fn push(&mut self, publish: &Publish<'_>, settings: &Settings) {
        let headers = if settings.headers { headers(publish) } else { Vec::new() };
        self.bytes += publish.payload.len() + publish.topic.len();
        let length = publish.cut.unwrap_or(publish.payload.len());
        if length > settings.max_message {
            self.rejected.push(Rejected {
                index: 0,
                key: Some(publish.topic.as_bytes().to_vec()),
                value: Some(publish.payload[..publish.payload.len().min(settings.max_message)].to_vec()),
                headers,
                reason: format!(
                    "the MQTT message on {} has {length} bytes, more than mqtt.max.message.bytes ({}); this is its start",
                    publish.topic, settings.max_message
                ),
            });
            return;
        }
        let key = settings.key.as_ref().and_then(|p| p.key(publish.topic)).unwrap_or(publish.topic);
        self.keys.push(Some(vec![Value::Varchar(key.to_owned())]));
        self.values.push(Some(publish.payload.to_vec()));
        if settings.headers {
            self.headers.push(headers);
        }
    }
}

fn headers(publish: &Publish<'_>) -> Vec<Header> {
    let flag = |set: bool| if set { "true" } else { "false" }.to_owned();
    [
        ("mqtt.topic", publish.topic.to_owned()),
        ("mqtt.message.id", publish.id.to_string()),
        ("mqtt.qos", publish.qos.to_string()),
        ("mqtt.retained", flag(publish.retain)),
        ("mqtt.duplicate", flag(publish.dup)),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), Some(value.into_bytes())))
    .collect()
}

fn warn_of(lost: &Lost, settings: &Settings, connection: &Connection) {
    if settings.clean_session {
        return;
    }
    let (server, client) = (connection.server().to_string(), &settings.client_id);
    match lost {
        Lost::Nothing => {}
        Lost::Exchanges(open) => tracing::warn!(
            server,
            client,
            open,
            "the MQTT broker has lost our session: messages that it had not sent are gone, and those it was sending may come again; \
             check that it keeps its sessions on disk (Mosquitto: persistence true)"
        ),
        Lost::Backlog => tracing::warn!(
            server,
            client,
            "the MQTT broker has lost our session: what was published since the connector was last here is gone; check that it \
             keeps its sessions on disk (Mosquitto: persistence true)"
        ),
    }
}

//! A cluster: which broker leads what, one connection to each.

use crate::config::ClientConfig;
use crate::connection::Connection;
use crate::error::{ClientError, Code};
use crate::tls;
use kafka_protocol::messages::{
    BrokerId, FindCoordinatorRequest, MetadataRequest, MetadataResponse, TopicName,
    metadata_request::MetadataRequestTopic,
};
use kafka_protocol::protocol::{Request, StrBytes};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long between two tries of what may succeed later.
const RETRY: Duration = Duration::from_millis(100);

/// Who is to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Node<'a> {
    /// Whoever is there.
    Any,
    /// The controller, or the broker that passes requests on to it.
    Controller,
    /// The broker of this id.
    Broker(i32),
    /// The leader of a partition.
    Leader(&'a str, i32),
    /// The coordinator of a consumer group.
    Group(&'a str),
    /// The coordinator of a transactional id.
    Transaction(&'a str),
}

/// A partition as the metadata has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionInfo {
    /// Its number.
    pub partition: i32,
    /// The broker that leads it, -1 if none does.
    pub leader: i32,
    /// How often the leader has changed.
    pub leader_epoch: i32,
    /// Brokers that have it.
    pub replicas: Vec<i32>,
    /// Those of them that are up to date.
    pub isr: Vec<i32>,
}

/// A topic as the metadata has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicInfo {
    /// Its name.
    pub name: String,
    /// Its id in Kafka's spelling (URL-safe base64 of 16 bytes).
    pub id: String,
    /// Whether the cluster keeps it for itself.
    pub internal: bool,
    /// In the order of their numbers.
    pub partitions: Vec<PartitionInfo>,
}

/// A connection to a cluster, for one thread. Calls block until the answer is there.
///
/// A request that fails because its connection broke is not sent again: nobody knows whether it was carried out. A connection that
/// the broker closed while it was idle is opened anew; the next request after a failure opens a new one as well.
pub struct Client {
    config: ClientConfig,
    tls: Option<Arc<rustls::ClientConfig>>,
    /// By broker id; -1 is the one from the bootstrap list.
    connections: BTreeMap<i32, Open>,
    brokers: BTreeMap<i32, String>,
    controller: i32,
    cluster_id: Option<String>,
    topics: BTreeMap<String, TopicInfo>,
    coordinators: BTreeMap<(i8, String), i32>,
}

/// A connection and when it was used last.
struct Open {
    connection: Connection,
    used: Instant,
}

impl Open {
    fn new(connection: Connection) -> Self {
        Self { connection, used: Instant::now() }
    }
}

/// A connection that was idle for so long is looked at before it is used: brokers close those (`connections.max.idle.ms`).
const IDLE: Duration = Duration::from_secs(1);
const BOOTSTRAP: i32 = -1;
/// Leaders and coordinators remembered; more are asked for again.
const REMEMBERED: usize = 100_000;

impl Client {
    /// Connects to the first bootstrap server that answers.
    ///
    /// # Errors
    /// [`ClientError`]: settings, or why each server could not be reached.
    pub fn connect(config: ClientConfig) -> Result<Self, ClientError> {
        config.sasl()?;
        let tls = config.tls()?.map(|tls| tls::client_config(&tls)).transpose()?;
        let mut client = Self {
            config,
            tls,
            connections: BTreeMap::new(),
            brokers: BTreeMap::new(),
            controller: BOOTSTRAP,
            cluster_id: None,
            topics: BTreeMap::new(),
            coordinators: BTreeMap::new(),
        };
        client.bootstrap()?;
        let request = MetadataRequest::default().with_topics(Some(Vec::new()));
        client.metadata(&request)?;
        Ok(client)
    }

    /// The settings.
    pub fn config(&self) -> &ClientConfig {
        &self.config
    }

    /// The cluster's id, as the brokers tell it.
    pub fn cluster_id(&self) -> Option<&str> {
        self.cluster_id.as_deref()
    }

    /// Brokers by id, as `host:port`.
    pub fn brokers(&self) -> &BTreeMap<i32, String> {
        &self.brokers
    }

    fn bootstrap(&mut self) -> Result<(), ClientError> {
        let mut reasons = Vec::new();
        for address in self.config.bootstrap.split(',').map(str::trim).filter(|a| !a.is_empty()) {
            match Connection::open(address, &self.config, self.tls.as_ref()) {
                Ok(connection) => {
                    self.connections.insert(BOOTSTRAP, Open::new(connection));
                    return Ok(());
                }
                // A wrong password is wrong on all of them.
                Err(e @ (ClientError::Authentication { .. } | ClientError::Config { .. })) => return Err(e),
                Err(e) => reasons.push(e.to_string()),
            }
        }
        if reasons.is_empty() {
            reasons.push("bootstrap.servers is empty".into());
        }
        Err(ClientError::Bootstrap(reasons.join("; ")))
    }

    /// Asks in the highest common version and waits for the answer.
    ///
    /// # Errors
    /// [`ClientError`] if nobody is there to ask, or no answer comes. Error codes within the answer are the caller's to look at.
    pub fn request<R: Request>(&mut self, node: Node<'_>, request: &R) -> Result<R::Response, ClientError> {
        self.request_in(node, request, 0..=i16::MAX)
    }

    /// The same, in a version of this range.
    ///
    /// # Errors
    /// As [`Client::request`].
    pub fn request_in<R: Request>(
        &mut self,
        node: Node<'_>,
        request: &R,
        wanted: RangeInclusive<i16>,
    ) -> Result<R::Response, ClientError> {
        let id = self.resolve(node)?;
        let answer = self.connection(id)?.request_in(request, wanted);
        if !matches!(&answer, Ok(_) | Err(ClientError::Unsupported { .. })) {
            self.connections.remove(&id);
        }
        answer
    }

    /// A connection of its own to a node, for pipelining.
    ///
    /// # Errors
    /// As [`Client::request`].
    pub fn open(&mut self, node: Node<'_>) -> Result<Connection, ClientError> {
        let id = self.resolve(node)?;
        let address = self.address(id)?;
        Connection::open(&address, &self.config, self.tls.as_ref())
    }

    /// The shared connection to the broker of this id (from [`Client::leader`]).
    pub(crate) fn connection(&mut self, id: i32) -> Result<&mut Connection, ClientError> {
        if self.connections.get(&id).is_some_and(|o| o.used.elapsed() > IDLE && o.connection.is_closed()) {
            self.connections.remove(&id);
        }
        if !self.connections.contains_key(&id) {
            if id == BOOTSTRAP {
                self.bootstrap()?;
            } else {
                let address = self.address(id)?;
                let opened = Connection::open(&address, &self.config, self.tls.as_ref())?;
                self.connections.insert(id, Open::new(opened));
            }
        }
        match self.connections.get_mut(&id) {
            None => Err(ClientError::Bootstrap("not connected".into())),
            Some(open) => {
                open.used = Instant::now();
                Ok(&mut open.connection)
            }
        }
    }

    pub(crate) fn disconnect(&mut self, id: i32) {
        self.connections.remove(&id);
    }

    fn address(&self, id: i32) -> Result<String, ClientError> {
        if id == BOOTSTRAP {
            let connected = self.connections.get(&BOOTSTRAP).map(|o| o.connection.broker().to_owned());
            return Ok(connected.unwrap_or_else(|| self.config.bootstrap.clone()));
        }
        self.brokers.get(&id).cloned().ok_or_else(|| ClientError::Connect {
            broker: format!("broker {id}"),
            reason: "the cluster's metadata does not have it".into(),
        })
    }

    fn resolve(&mut self, node: Node<'_>) -> Result<i32, ClientError> {
        match node {
            Node::Any => Ok(BOOTSTRAP),
            Node::Controller if self.brokers.contains_key(&self.controller) => Ok(self.controller),
            Node::Controller => Ok(BOOTSTRAP),
            Node::Broker(id) => Ok(id),
            Node::Leader(topic, partition) => self.leader(topic, partition),
            Node::Group(group) => self.coordinator(0, group),
            Node::Transaction(id) => self.coordinator(1, id),
        }
    }

    /// Forgets who leads a topic, after an answer that says so.
    pub fn forget_topic(&mut self, topic: &str) {
        self.topics.remove(topic);
    }

    /// Forgets who coordinates a group or transactional id, after an answer that says so.
    pub fn forget_coordinators(&mut self) {
        self.coordinators.clear();
    }

    /// The broker that leads a partition.
    ///
    /// # Errors
    /// [`ClientError`] if there is no such partition, or no leader in time.
    pub fn leader(&mut self, topic: &str, partition: i32) -> Result<i32, ClientError> {
        let until = Instant::now() + self.config.request_timeout;
        loop {
            let info = match self.topics.get(topic) {
                Some(info) => info.clone(),
                None => self.topic(topic)?,
            };
            let found = info.partitions.iter().find(|p| p.partition == partition);
            let wrong =
                |reason: String| ClientError::Partition { topic: topic.to_owned(), partition, reason };
            match found {
                None => {
                    self.topics.remove(topic);
                    let count = info.partitions.len();
                    return Err(wrong(format!("there is no such partition; the topic has {count}")));
                }
                Some(p) if p.leader >= 0 => return Ok(p.leader),
                Some(_) if Instant::now() > until => return Err(wrong("the partition has no leader".into())),
                Some(_) => {
                    self.topics.remove(topic);
                    std::thread::sleep(RETRY);
                }
            }
        }
    }

    /// A topic, asked for anew.
    ///
    /// # Errors
    /// [`ClientError::Response`] with `UNKNOWN_TOPIC_OR_PARTITION` if there is none (it is not created).
    pub fn topic(&mut self, name: &str) -> Result<TopicInfo, ClientError> {
        let until = Instant::now() + self.config.request_timeout;
        loop {
            let wanted = MetadataRequestTopic::default()
                .with_name(Some(TopicName(StrBytes::from_string(name.to_owned()))));
            let request = MetadataRequest::default()
                .with_topics(Some(vec![wanted]))
                .with_allow_auto_topic_creation(false);
            let response = self.metadata(&request)?;
            let code = response.topics.first().map_or(3, |topic| topic.error_code);
            let retry = code != 3 && Code(code).is_retriable() && Instant::now() < until;
            match response.topics.into_iter().find_map(topic_info) {
                Some(info) => {
                    if self.topics.len() >= REMEMBERED {
                        self.topics.clear();
                    }
                    self.topics.insert(name.to_owned(), info.clone());
                    return Ok(info);
                }
                None if retry => std::thread::sleep(RETRY),
                None => return Err(ClientError::response("Metadata", format!("topic {name}"), code, None)),
            }
        }
    }

    /// All topics that may be seen, by name.
    ///
    /// # Errors
    /// As [`Client::request`].
    pub fn topics(&mut self) -> Result<Vec<TopicInfo>, ClientError> {
        let request = MetadataRequest::default().with_topics(None).with_allow_auto_topic_creation(false);
        let response = self.metadata(&request)?;
        let mut topics: Vec<TopicInfo> = response.topics.into_iter().filter_map(topic_info).collect();
        topics.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(topics)
    }

    fn metadata(&mut self, request: &MetadataRequest) -> Result<MetadataResponse, ClientError> {
        let response = self.request_in(Node::Any, request, 1..=12)?;
        self.brokers = response
            .brokers
            .iter()
            .map(|b| (b.node_id.0, format!("{}:{}", bracketed(&b.host), b.port)))
            .collect();
        self.controller = response.controller_id.0;
        self.cluster_id = response.cluster_id.as_ref().map(ToString::to_string);
        Ok(response)
    }

    fn coordinator(&mut self, kind: i8, key: &str) -> Result<i32, ClientError> {
        if let Some(id) = self.coordinators.get(&(kind, key.to_owned())) {
            return Ok(*id);
        }
        let name = if kind == 0 { "group" } else { "transactional id" };
        let until = Instant::now() + self.config.request_timeout;
        loop {
            let text = StrBytes::from_string(key.to_owned());
            let batched = FindCoordinatorRequest::default()
                .with_key_type(kind)
                .with_coordinator_keys(vec![text.clone()]);
            let (code, message, id, host, port) = match self.request_in(Node::Any, &batched, 4..=6) {
                Ok(response) => match response.coordinators.into_iter().next() {
                    Some(c) => (c.error_code, c.error_message, c.node_id, c.host, c.port),
                    None => (15, None, BrokerId(-1), StrBytes::new(), 0),
                },
                Err(ClientError::Unsupported { .. }) => {
                    let one = FindCoordinatorRequest::default().with_key_type(kind).with_key(text);
                    let c = self.request_in(Node::Any, &one, 1..=3)?;
                    (c.error_code, c.error_message, c.node_id, c.host, c.port)
                }
                Err(e) => return Err(e),
            };
            if code == 0 {
                self.brokers.insert(id.0, format!("{}:{port}", bracketed(&host)));
                if self.coordinators.len() >= REMEMBERED {
                    self.coordinators.clear();
                }
                self.coordinators.insert((kind, key.to_owned()), id.0);
                return Ok(id.0);
            }
            if !Code(code).is_retriable() || Instant::now() > until {
                let resource = format!("{name} {key}");
                return Err(ClientError::response("FindCoordinator", resource, code, message.as_deref()));
            }
            std::thread::sleep(RETRY);
        }
    }
}

/// An IPv6 address stands in brackets before a port.
fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

fn topic_info(
    topic: kafka_protocol::messages::metadata_response::MetadataResponseTopic,
) -> Option<TopicInfo> {
    if topic.error_code != 0 {
        return None;
    }
    let ids = |nodes: Vec<BrokerId>| nodes.into_iter().map(|id| id.0).collect();
    let mut partitions: Vec<PartitionInfo> = topic
        .partitions
        .into_iter()
        .map(|p| PartitionInfo {
            partition: p.partition_index,
            leader: p.leader_id.0,
            leader_epoch: p.leader_epoch,
            replicas: ids(p.replica_nodes),
            isr: ids(p.isr_nodes),
        })
        .collect();
    partitions.sort_by_key(|p| p.partition);
    Some(TopicInfo {
        name: topic.name?.to_string(),
        id: base64::Engine::encode(
            &base64::engine::general_purpose::URL_SAFE_NO_PAD,
            topic.topic_id.as_bytes(),
        ),
        internal: topic.is_internal,
        partitions,
    })
}

//! Requests of the Kafka protocol: decoded, handed to the broker, answered. One file for each group of APIs.

mod alter_configs;
mod authorized;
mod cluster;
mod configs;
mod consumer_groups;
mod data;
mod describe_topics;
mod fetch;
mod groups;
mod metadata;
mod offsets;
mod producers;
mod replicas;
mod security;
mod topics;
mod txn;

use crate::broker::Broker;
use crate::metrics::Counters;
use crate::security::{Operation, ResourceType};
use crate::server::session::Session;
use crate::wire::error_codes::ErrorCodes;
pub(crate) use crate::wire::frame::Frame;
use crate::wire::frame::Piece;
use crate::wire::layout::{self, LayoutError};
use crate::wire::produce::Malformed;
use crate::wire::versions::is_spoken;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::{ApiKey, ApiVersionsRequest, ApiVersionsResponse, RequestHeader};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// A request cannot be answered; the connection is closed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestError {
    #[error("request header: {0}")]
    Header(String),
    #[error("API {0} is not spoken")]
    Api(i16),
    #[error("{0:?} version {1} is not spoken")]
    Version(ApiKey, i16),
    #[error("{api:?} version {version}: {source}")]
    Layout { api: ApiKey, version: i16, source: LayoutError },
    #[error(transparent)]
    Produce(#[from] Malformed),
    #[error("{api:?} version {version}: {reason}")]
    Decode { api: ApiKey, version: i16, reason: String },
    #[error("answer to {api:?} version {version}: {reason}")]
    Encode { api: ApiKey, version: i16, reason: String },
    #[error("{0:?} before the connection is authenticated, or after its session has ended")]
    Unauthenticated(ApiKey),
    #[error("SASL without SaslAuthenticate requests: {0}")]
    Sasl(String),
    #[error("the broker is closing")]
    Closing,
}

/// An answer to come.
pub(crate) type Pending = Pin<Box<dyn Future<Output = Result<Frame, RequestError>> + Send>>;

/// A request under way.
pub(crate) enum Started {
    /// It is in the log, in its order: the next request may start before this one is answered.
    Overlapping(Pending),
    /// The next request starts when this one is answered.
    Exclusive(Pending),
}

/// What a handler needs to know of a request beside its body.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub api: ApiKey,
    pub version: i16,
    pub correlation_id: i32,
    pub client_id: String,
    /// The connection that asks: its address, principal and listener.
    pub client: Arc<Session>,
    /// Where its answer is counted.
    pub counters: Arc<Counters>,
}

impl Call {
    /// Whether the caller may do this: every handler asks, and answers the code of the resource's type if not
    /// (TOPIC_AUTHORIZATION_FAILED, GROUP_AUTHORIZATION_FAILED, ...), as Kafka's `KafkaApis` does.
    pub(crate) fn allows(
        &self,
        broker: &Broker,
        operation: Operation,
        resource: ResourceType,
        name: &str,
    ) -> bool {
        let host = self.client.host.trim_start_matches('/');
        broker.authorizer().allows(&self.client.principal(), host, operation, resource, name)
    }

    /// Whether the caller may do this to at least one resource of the type (KIP-679): writing to some topic stands for
    /// IDEMPOTENT_WRITE on the cluster.
    pub(crate) fn allows_some(&self, broker: &Broker, operation: Operation, resource: ResourceType) -> bool {
        let host = self.client.host.trim_start_matches('/');
        broker.authorizer().allows_some(&self.client.principal(), host, operation, resource)
    }

    /// The answer's frame; its error codes are counted.
    pub(crate) fn answer<T: Encodable + ErrorCodes>(&self, response: &T) -> Result<Frame, RequestError> {
        self.counters.answers(self.api, response);
        let mut frame = self.begin();
        let failed =
            |e: anyhow_text::Text| RequestError::Encode { api: self.api, version: self.version, reason: e.0 };
        response.encode(&mut frame, self.version).map_err(|e| failed(e.into()))?;
        let length = (frame.len() - 4) as i32;
        frame[..4].copy_from_slice(&length.to_be_bytes());
        Ok(vec![Piece::Bytes(frame.freeze())])
    }

    /// Room for the length, and the response header.
    pub(crate) fn begin(&self) -> BytesMut {
        // Most answers are no longer.
        let mut frame = BytesMut::with_capacity(256);
        frame.put_i32(0);
        frame.put_i32(self.correlation_id);
        if self.api.response_header_version(self.version) >= 1 {
            frame.put_u8(0);
        }
        frame
    }
}

mod anyhow_text {
    /// The text of the decoder's errors, whose type is not a dependency of this crate.
    pub(super) struct Text(pub(super) String);

    impl<E: std::fmt::Display> From<E> for Text {
        fn from(error: E) -> Self {
            Text(format!("{error:#}"))
        }
    }
}

/// Starts a request: `frame` is what follows the length.
pub(crate) fn start(
    broker: &Arc<Broker>,
    client: &Arc<Session>,
    mut frame: BytesMut,
) -> Result<Started, RequestError> {
    if client.takes_raw_tokens() {
        let answer = security::raw_token(Arc::clone(broker), Arc::clone(client), frame.freeze());
        return Ok(Started::Exclusive(Box::pin(answer)));
    }
    if frame.len() < 8 {
        return Err(RequestError::Header(format!("{} bytes", frame.len())));
    }
    let (key, version) = (i16::from_be_bytes([frame[0], frame[1]]), i16::from_be_bytes([frame[2], frame[3]]));
    let api = ApiKey::try_from(key).map_err(|()| RequestError::Api(key))?;
    broker.counters().requested(api, frame.len());
    if !client.may_ask(api) {
        return Err(RequestError::Unauthenticated(api));
    }
    if !is_spoken(api, version) {
        if api == ApiKey::ApiVersions {
            // A newer client is told in version 0 which versions there are (KIP-511).
            let correlation_id = i32::from_be_bytes([frame[4], frame[5], frame[6], frame[7]]);
            let call = Call {
                api,
                version: 0,
                correlation_id,
                client_id: String::new(),
                client: Arc::clone(client),
                counters: Arc::clone(broker.shared_counters()),
            };
            let frame = call.answer(&metadata::unsupported_version())?;
            return Ok(Started::Exclusive(Box::pin(async move { Ok(frame) })));
        }
        return Err(RequestError::Version(api, version));
    }
    let header_version = api.request_header_version(version);
    check_header(&frame, header_version)?;
    let header = RequestHeader::decode(&mut frame, header_version)
        .map_err(|e| RequestError::Header(anyhow_text::Text::from(e).0))?;
    client.note_client_id(header.client_id.as_deref().unwrap_or_default());
    let call = Call {
        api,
        version,
        correlation_id: header.correlation_id,
        client_id: header.client_id.map(|s| s.to_string()).unwrap_or_default(),
        client: Arc::clone(client),
        counters: Arc::clone(broker.shared_counters()),
    };
    if api == ApiKey::Produce {
        return data::produce(broker, call, frame);
    }
    layout::check(api, version, &frame).map_err(|source| RequestError::Layout { api, version, source })?;
    let (broker, body) = (Arc::clone(broker), frame.freeze());
    Ok(Started::Exclusive(Box::pin(answer(broker, call, body))))
}

/// The decoder of headers takes lengths as they come, too.
fn check_header(frame: &BytesMut, version: i16) -> Result<(), RequestError> {
    let short = || RequestError::Header("ends early".into());
    let mut rest = frame.get(8..).ok_or_else(short)?;
    if rest.len() < 2 {
        return Err(short());
    }
    let client_id = usize::try_from(rest.get_i16()).unwrap_or(0);
    rest = rest.get(client_id..).ok_or_else(short)?;
    if version >= 2 && rest.is_empty() {
        return Err(short());
    }
    Ok(())
}

async fn answer(broker: Arc<Broker>, call: Call, body: Bytes) -> Result<Frame, RequestError> {
    macro_rules! decode {
        () => {{
            let mut body = body;
            Decodable::decode(&mut body, call.version).map_err(|e| RequestError::Decode {
                api: call.api,
                version: call.version,
                reason: anyhow_text::Text::from(e).0,
            })?
        }};
    }
    match call.api {
        ApiKey::ApiVersions => call.answer(&api_versions(&call, decode!())),
        ApiKey::Metadata => call.answer(&metadata::metadata(&broker, &call, decode!()).await?),
        ApiKey::DescribeCluster => call.answer(&cluster::describe(&broker, &call, decode!())),
        ApiKey::DescribeQuorum => call.answer(&cluster::quorum(&broker, &call, decode!())),
        ApiKey::UpdateFeatures => call.answer(&cluster::update_features(&broker, &call, decode!())),
        ApiKey::DescribeClientQuotas => call.answer(&cluster::describe_quotas(&broker, &call)),
        ApiKey::AlterClientQuotas => call.answer(&cluster::alter_quotas(&broker, &call, decode!())),
        ApiKey::DescribeTopicPartitions => {
            let (api, version) = (call.api, call.version);
            let described = describe_topics::describe(&broker, &call, decode!());
            call.answer(&described.map_err(|reason| RequestError::Decode { api, version, reason })?)
        }
        ApiKey::DescribeLogDirs => call.answer(&replicas::describe_log_dirs(&broker, &call, decode!())),
        ApiKey::AlterReplicaLogDirs => call.answer(&replicas::alter_log_dirs(&broker, &call, decode!())),
        ApiKey::ElectLeaders => call.answer(&replicas::elect_leaders(&broker, &call, decode!())),
        ApiKey::AlterPartitionReassignments => {
            call.answer(&replicas::alter_reassignments(&broker, &call, decode!()))
        }
        ApiKey::ListPartitionReassignments => call.answer(&replicas::list_reassignments(&broker, &call)),
        ApiKey::FindCoordinator => call.answer(&metadata::find_coordinator(&broker, &call, decode!())),
        ApiKey::CreateTopics => call.answer(&topics::create(broker, &call, decode!()).await?),
        ApiKey::DeleteTopics => call.answer(&topics::delete(broker, &call, decode!()).await?),
        ApiKey::CreatePartitions => call.answer(&topics::create_partitions(broker, &call, decode!()).await?),
        ApiKey::DescribeConfigs => call.answer(&configs::describe(&broker, &call, decode!())),
        ApiKey::ListConfigResources => call.answer(&configs::list(&broker, &call, decode!())),
        ApiKey::AlterConfigs => call.answer(&alter_configs::whole(broker, &call, decode!()).await?),
        ApiKey::IncrementalAlterConfigs => {
            call.answer(&alter_configs::incremental(broker, &call, decode!()).await?)
        }
        ApiKey::DeleteRecords => call.answer(&data::delete_records(broker, &call, decode!()).await?),
        ApiKey::Fetch => fetch::fetch(&broker, &call, decode!()).await,
        ApiKey::ListOffsets => call.answer(&data::list_offsets(broker, &call, decode!()).await?),
        ApiKey::OffsetForLeaderEpoch => {
            call.answer(&data::offset_for_leader_epoch(&broker, &call, decode!()))
        }
        ApiKey::JoinGroup => call.answer(&groups::join(&broker, &call, decode!()).await?),
        ApiKey::SyncGroup => call.answer(&groups::sync(&broker, &call, decode!()).await?),
        ApiKey::Heartbeat => call.answer(&groups::heartbeat(&broker, &call, decode!())),
        ApiKey::LeaveGroup => call.answer(&groups::leave(&broker, &call, decode!())),
        ApiKey::ListGroups => call.answer(&groups::list(&broker, &call, decode!())),
        ApiKey::DescribeGroups => call.answer(&groups::describe(&broker, &call, decode!())),
        ApiKey::DeleteGroups => call.answer(&groups::delete(broker, &call, decode!()).await?),
        ApiKey::ConsumerGroupHeartbeat => {
            call.answer(&consumer_groups::heartbeat(&broker, &call, decode!()).await?)
        }
        ApiKey::ConsumerGroupDescribe => call.answer(&consumer_groups::describe(&broker, &call, decode!())),
        ApiKey::OffsetDelete => call.answer(&offsets::delete(&broker, &call, decode!()).await?),
        ApiKey::OffsetCommit => call.answer(&offsets::commit(&broker, &call, decode!()).await?),
        ApiKey::OffsetFetch => call.answer(&offsets::fetch(&broker, &call, decode!())),
        ApiKey::TxnOffsetCommit => call.answer(&offsets::txn_commit(broker, &call, decode!()).await?),
        ApiKey::InitProducerId => call.answer(&txn::init_producer(broker, &call, decode!()).await?),
        ApiKey::AddPartitionsToTxn => call.answer(&txn::add_partitions(broker, &call, decode!()).await?),
        ApiKey::AddOffsetsToTxn => call.answer(&txn::add_offsets(broker, &call, decode!()).await?),
        ApiKey::EndTxn => call.answer(&txn::end(broker, &call, decode!()).await?),
        ApiKey::SaslHandshake => call.answer(&security::sasl_handshake(&broker, &call, decode!()).await),
        ApiKey::SaslAuthenticate => {
            call.answer(&security::sasl_authenticate(broker, &call, decode!()).await?)
        }
        ApiKey::DescribeAcls => call.answer(&security::describe_acls(broker, &call, decode!()).await?),
        ApiKey::CreateAcls => call.answer(&security::create_acls(broker, &call, decode!()).await?),
        ApiKey::DeleteAcls => call.answer(&security::delete_acls(broker, &call, decode!()).await?),
        ApiKey::DescribeUserScramCredentials => {
            call.answer(&security::describe_users(&broker, &call, decode!()))
        }
        ApiKey::AlterUserScramCredentials => {
            call.answer(&security::alter_users(broker, &call, decode!()).await?)
        }
        ApiKey::WriteTxnMarkers => {
            call.answer(&producers::write_txn_markers(broker, &call, decode!()).await?)
        }
        ApiKey::DescribeProducers => call.answer(&producers::describe_producers(&broker, &call, decode!())),
        ApiKey::DescribeTransactions => {
            call.answer(&producers::describe_transactions(&broker, &call, decode!()))
        }
        ApiKey::ListTransactions => call.answer(&producers::list_transactions(&broker, &call, decode!())),
        _ => Err(RequestError::Version(call.api, call.version)),
    }
}

/// The versions; notes what the client says of its software (KIP-511).
fn api_versions(call: &Call, request: ApiVersionsRequest) -> VersionsAnswer {
    let (name, version) = (&request.client_software_name, &request.client_software_version);
    if call.version >= 3 {
        if !is_software(name) || !is_software(version) {
            return metadata::api_versions(call.version)
                .with_error_code(ResponseError::InvalidRequest.code());
        }
        call.client.note_software(name, version);
    }
    metadata::api_versions(call.version)
}

/// Kafka's rule for names and versions of software: `[a-zA-Z0-9](?:[a-zA-Z0-9\\-.]*[a-zA-Z0-9])?`.
fn is_software(text: &str) -> bool {
    let edge = |c: Option<&u8>| c.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    edge(bytes.first())
        && edge(bytes.last())
        && bytes.iter().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'.'))
}

/// Runs what blocks on the disk away from the tasks that serve sockets.
async fn off_task<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, RequestError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| RequestError::Closing)
}

/// A string of an answer.
fn text(s: &str) -> StrBytes {
    StrBytes::from_string(s.to_owned())
}

/// Keeps the type of the one answer that is made before its request is decoded in sight.
type VersionsAnswer = ApiVersionsResponse;

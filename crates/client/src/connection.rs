//! One connection to one broker: versions, login, requests and answers in their order.

use crate::config::{ClientConfig, Mechanism, Sasl};
use crate::error::{ClientError, Code};
use crate::scram::{self, Scram};
use crate::transport::{self, ReadHalf, WriteHalf};
use base64::Engine;
use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{
    ApiKey, ApiVersionsRequest, ApiVersionsResponse, RequestHeader, ResponseHeader, SaslAuthenticateRequest,
    SaslHandshakeRequest,
};
use kafka_protocol::protocol::{
    Decodable, Encodable, HeaderVersion, Message, Request, StrBytes, VersionRange,
};
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

/// An answer's claimed length reserves no more than this before bytes come.
const RESERVE_AT_MOST: usize = 16 << 20;
const UNSUPPORTED_VERSION: i16 = 35;

/// The name of an API by its key.
pub(crate) fn api_name(key: i16) -> String {
    ApiKey::try_from(key).map_or_else(|()| format!("request {key}"), |key| format!("{key:?}"))
}

/// Which versions a broker answers.
#[derive(Debug, Clone, Default)]
pub struct Versions(BTreeMap<i16, VersionRange>);

impl Versions {
    /// The highest version of an API that both sides speak and that lies in `wanted`.
    pub fn highest(&self, key: i16, ours: VersionRange, wanted: &RangeInclusive<i16>) -> Option<i16> {
        let both = self.0.get(&key)?.intersect(&ours);
        let (low, high) = (both.min.max(*wanted.start()), both.max.min(*wanted.end()));
        (low <= high).then_some(high)
    }

    /// The range that the broker tells for an API.
    pub fn of(&self, api: ApiKey) -> Option<RangeInclusive<i16>> {
        self.0.get(&(api as i16)).map(|range| range.min..=range.max)
    }
}

/// The half that asks.
pub struct Requests {
    half: WriteHalf,
    broker: Arc<str>,
    client_id: StrBytes,
    versions: Arc<Versions>,
    correlation: i32,
    head: BytesMut,
}

/// The half that hears the answers. They come in the order of the requests.
pub struct Responses {
    half: ReadHalf,
    broker: Arc<str>,
    max_bytes: usize,
    timeout: Duration,
}

/// A connection to one broker that has agreed on versions and logged in.
pub struct Connection {
    /// For asking.
    pub requests: Requests,
    /// For answers.
    pub responses: Responses,
}

impl Connection {
    /// Connects to `host:port`, asks for the versions, and logs in as the configuration says.
    ///
    /// # Errors
    /// [`ClientError`]: what failed of it.
    pub fn open(
        address: &str,
        config: &ClientConfig,
        tls: Option<&Arc<rustls::ClientConfig>>,
    ) -> Result<Self, ClientError> {
        let (read, write) = transport::connect(address, tls, config.connect_timeout, config.request_timeout)?;
        let broker: Arc<str> = address.into();
        let mut connection = Self {
            requests: Requests {
                half: write,
                broker: broker.clone(),
                client_id: StrBytes::from_string(config.client_id.clone()),
                versions: Arc::default(),
                correlation: 0,
                head: BytesMut::new(),
            },
            responses: Responses {
                half: read,
                broker,
                max_bytes: config.max_response_bytes,
                timeout: config.request_timeout,
            },
        };
        connection.requests.versions = Arc::new(connection.ask_versions()?);
        if let Some(sasl) = config.sasl()? {
            connection.log_in(&sasl)?;
        }
        Ok(connection)
    }

    /// Which versions the broker answers.
    pub fn versions(&self) -> &Arc<Versions> {
        &self.requests.versions
    }

    /// `host:port` of the broker.
    pub fn broker(&self) -> &str {
        &self.requests.broker
    }

    /// Whether the broker has closed the connection.
    pub(crate) fn is_closed(&self) -> bool {
        self.responses.half.is_closed()
    }

    /// Asks in the highest common version and waits for the answer.
    ///
    /// # Errors
    /// [`ClientError`] if there is no common version, the connection breaks or no answer comes in time.
    pub fn request<R: Request>(&mut self, request: &R) -> Result<R::Response, ClientError> {
        self.request_in(request, 0..=i16::MAX)
    }

    /// The same, in a version of this range.
    ///
    /// # Errors
    /// As [`Connection::request`].
    pub fn request_in<R: Request>(
        &mut self,
        request: &R,
        wanted: RangeInclusive<i16>,
    ) -> Result<R::Response, ClientError> {
        let sent = self.requests.send(request, wanted)?;
        self.responses.receive::<R>(sent, Duration::ZERO)
    }

    fn ask_versions(&mut self) -> Result<Versions, ClientError> {
        let request = ApiVersionsRequest::default()
            .with_client_software_name(StrBytes::from_static_str("bd"))
            .with_client_software_version(StrBytes::from_static_str(env!("CARGO_PKG_VERSION")));
        let mut response = self.ask_versions_in(&request, 3)?;
        if response.error_code == UNSUPPORTED_VERSION {
            response = self.ask_versions_in(&ApiVersionsRequest::default(), 0)?;
        }
        ClientError::check("ApiVersions", &self.requests.broker, response.error_code, None)?;
        let ranges = response
            .api_keys
            .iter()
            .map(|api| (api.api_key, VersionRange { min: api.min_version, max: api.max_version }));
        Ok(Versions(ranges.collect()))
    }

    fn ask_versions_in(
        &mut self,
        request: &ApiVersionsRequest,
        version: i16,
    ) -> Result<ApiVersionsResponse, ClientError> {
        let sent = self.requests.send_as(request, version)?;
        let mut body = self.responses.receive_body(sent, Duration::ZERO)?;
        // A broker that does not know the version answers in version 0.
        let known = body.get(..2).is_none_or(|code| code != UNSUPPORTED_VERSION.to_be_bytes());
        let version = if known { version } else { 0 };
        decode(&self.requests.broker, "ApiVersions", &mut body, version)
    }

    fn log_in(&mut self, sasl: &Sasl) -> Result<(), ClientError> {
        let broker = self.requests.broker.clone();
        let failed = |reason: String| ClientError::Authentication {
            broker: broker.to_string(),
            mechanism: sasl.mechanism.name().into(),
            reason,
        };
        let handshake =
            SaslHandshakeRequest::default().with_mechanism(StrBytes::from_static_str(sasl.mechanism.name()));
        let response = self.request_in(&handshake, 1..=1)?;
        if response.error_code != 0 {
            let offered: Vec<&str> = response.mechanisms.iter().map(StrBytes::as_str).collect();
            let code = Code(response.error_code);
            return Err(failed(format!("{code}; the broker offers {}", offered.join(", "))));
        }
        if sasl.mechanism == Mechanism::Plain {
            let text = format!("\0{}\0{}", sasl.username, sasl.password);
            return self.authenticate(text, &failed).map(drop);
        }
        let nonce = scram::random::<24>().ok_or_else(|| failed("no random numbers".into()))?;
        let nonce = base64::engine::general_purpose::STANDARD.encode(nonce);
        let mut scram = Scram::new(sasl.mechanism, &sasl.username, &sasl.password, nonce);
        let first = self.authenticate(scram.first(), &failed)?;
        let proof = scram.proof(&first).map_err(&failed)?;
        let last = self.authenticate(proof, &failed)?;
        scram.verify(&last).map_err(&failed)
    }

    fn authenticate(
        &mut self,
        text: String,
        failed: &impl Fn(String) -> ClientError,
    ) -> Result<String, ClientError> {
        let request = SaslAuthenticateRequest::default().with_auth_bytes(Bytes::from(text.into_bytes()));
        let response = self.request(&request)?;
        if response.error_code != 0 {
            let message = response.error_message.as_deref().unwrap_or_default();
            return Err(failed(format!("{}: {message}", Code(response.error_code))));
        }
        String::from_utf8(response.auth_bytes.to_vec()).map_err(|_| failed("the answer is not text".into()))
    }
}

/// A request that was sent: what its answer must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// The API.
    pub key: i16,
    /// The version.
    pub version: i16,
    correlation: i32,
    response_header: i16,
}

impl Requests {
    /// Which versions the broker answers.
    pub fn versions(&self) -> &Versions {
        &self.versions
    }

    /// Sends without waiting, in the highest common version of the range.
    ///
    /// # Errors
    /// [`ClientError`] if there is no such version, or the connection breaks.
    pub fn send<R: Request>(
        &mut self,
        request: &R,
        wanted: RangeInclusive<i16>,
    ) -> Result<Sent, ClientError> {
        let version = self.version(R::KEY, R::VERSIONS, &wanted)?;
        self.send_as(request, version)
    }

    /// The version that a request would be sent in.
    ///
    /// # Errors
    /// [`ClientError::Unsupported`] if there is none.
    pub fn version(
        &self,
        key: i16,
        ours: VersionRange,
        wanted: &RangeInclusive<i16>,
    ) -> Result<i16, ClientError> {
        self.versions.highest(key, ours, wanted).ok_or_else(|| {
            let reason = match self.versions.0.get(&key) {
                None => "it does not know it at all".to_owned(),
                Some(theirs) => format!(
                    "it answers {} to {}, wanted is {} to {}",
                    theirs.min,
                    theirs.max,
                    ours.min.max(*wanted.start()),
                    ours.max.min(*wanted.end())
                ),
            };
            ClientError::Unsupported { broker: self.broker.to_string(), request: api_name(key), reason }
        })
    }

    fn send_as<R: Request>(&mut self, request: &R, version: i16) -> Result<Sent, ClientError> {
        let sent =
            self.start(R::KEY, version, R::header_version(version), R::Response::header_version(version))?;
        if let Err(e) = request.encode(&mut self.head, version) {
            return Err(self.malformed(R::KEY, format!("version {version} cannot say this: {e}")));
        }
        self.finish(sent, &[])
    }

    /// Begins a request in `head`: room for the size, then the header.
    pub(crate) fn start(
        &mut self,
        key: i16,
        version: i16,
        header_version: i16,
        response_header: i16,
    ) -> Result<Sent, ClientError> {
        self.correlation = self.correlation.wrapping_add(1) & i32::MAX;
        let header = RequestHeader::default()
            .with_request_api_key(key)
            .with_request_api_version(version)
            .with_correlation_id(self.correlation)
            .with_client_id(Some(self.client_id.clone()));
        self.head.clear();
        self.head.put_i32(0);
        if let Err(e) = header.encode(&mut self.head, header_version) {
            return Err(self.malformed(key, e.to_string()));
        }
        Ok(Sent { key, version, correlation: self.correlation, response_header })
    }

    /// Bytes of the request being made.
    pub(crate) fn body(&mut self) -> &mut BytesMut {
        &mut self.head
    }

    /// Sends `head`, with `tails` put in: each stands behind so many bytes of it.
    pub(crate) fn finish(&mut self, sent: Sent, tails: &[(usize, &[u8])]) -> Result<Sent, ClientError> {
        let size = self.head.len() - 4 + tails.iter().map(|(_, tail)| tail.len()).sum::<usize>();
        let Ok(size) = i32::try_from(size) else {
            return Err(self.malformed(sent.key, format!("a request of {size} bytes")));
        };
        if let Some(room) = self.head.get_mut(..4) {
            room.copy_from_slice(&size.to_be_bytes());
        }
        let mut parts: Vec<&[u8]> = Vec::with_capacity(tails.len() * 2 + 1);
        let mut at = 0;
        for (behind, tail) in tails {
            parts.push(self.head.get(at..*behind).unwrap_or_default());
            parts.push(tail);
            at = *behind;
        }
        parts.push(self.head.get(at..).unwrap_or_default());
        parts.retain(|part| !part.is_empty());
        match self.half.write_parts(&parts) {
            Ok(()) => Ok(sent),
            Err(source) => {
                Err(ClientError::Io { broker: self.broker.to_string(), request: api_name(sent.key), source })
            }
        }
    }

    fn malformed(&self, key: i16, reason: String) -> ClientError {
        ClientError::Malformed { broker: self.broker.to_string(), request: api_name(key), reason }
    }
}

impl Responses {
    /// Waits for the answer to `sent`, which must be the oldest that is open, for the configured time and `more`.
    ///
    /// # Errors
    /// [`ClientError`] if the connection breaks, no answer comes in time or it cannot be decoded.
    pub fn receive<R: Request>(&mut self, sent: Sent, more: Duration) -> Result<R::Response, ClientError> {
        let mut body = self.receive_body(sent, more)?;
        decode(&self.broker, &api_name(sent.key), &mut body, sent.version)
    }

    /// The same, as bytes after the header.
    pub(crate) fn receive_body(&mut self, sent: Sent, more: Duration) -> Result<Bytes, ClientError> {
        let mut frame = Bytes::from(self.frame(sent, more)?);
        let name = api_name(sent.key);
        let header: ResponseHeader = decode(&self.broker, &name, &mut frame, sent.response_header)?;
        if header.correlation_id != sent.correlation {
            let reason =
                format!("the answer is to request {}, not {}", header.correlation_id, sent.correlation);
            return Err(ClientError::Malformed { broker: self.broker.to_string(), request: name, reason });
        }
        Ok(frame)
    }

    fn frame(&mut self, sent: Sent, more: Duration) -> Result<Vec<u8>, ClientError> {
        let wait = self.timeout + more;
        let broker = self.broker.clone();
        let failed = |source: io::Error| {
            let (broker, request) = (broker.to_string(), api_name(sent.key));
            match source.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                    ClientError::Timeout { broker, request, ms: wait.as_millis() }
                }
                _ => ClientError::Io { broker, request, source },
            }
        };
        if !more.is_zero() {
            self.half.set_timeout(wait).map_err(&failed)?;
        }
        let mut size = [0; 4];
        self.half.read_exact(&mut size).map_err(&failed)?;
        let size = usize::try_from(i32::from_be_bytes(size)).ok().filter(|size| *size <= self.max_bytes);
        let Some(size) = size else {
            let reason = format!("an answer of more than {} bytes, or of a negative size", self.max_bytes);
            return Err(ClientError::Malformed {
                broker: broker.to_string(),
                request: api_name(sent.key),
                reason,
            });
        };
        let mut frame = Vec::with_capacity(size.min(RESERVE_AT_MOST));
        self.half.read_bytes(size, &mut frame).map_err(&failed)?;
        if !more.is_zero() {
            self.half.set_timeout(self.timeout).map_err(&failed)?;
        }
        Ok(frame)
    }
}

fn decode<T: Decodable + Message>(
    broker: &str,
    request: &str,
    body: &mut Bytes,
    version: i16,
) -> Result<T, ClientError> {
    T::decode(body, version).map_err(|e| ClientError::Malformed {
        broker: broker.to_owned(),
        request: request.to_owned(),
        reason: format!("the answer cannot be decoded: {e}"),
    })
}

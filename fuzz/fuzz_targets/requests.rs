//! Any bytes on a connection to a broker with topics, groups and a transaction: it answers or closes, and never panics.
//!
//! The input: a flag (the connection has to authenticate first), then requests: what they are, version and length, then as many
//! bytes. A valid request of some kind is changed by these (where, high and low byte, and what is flipped); or they are the body of
//! any API, with the frame's length and header put before it; or, for 255, the whole frame.
#![no_main]

#[path = "../src/bodies.rs"]
mod bodies;

use bd_broker::security::{SaslMechanism, ScramMechanism, SecurityConfig};
use bd_broker::server::{ListenerConfig, SecurityProtocol, serve_pipe};
use bd_broker::{Broker, BrokerConfig, Endpoint};
use bd_log::testing::MemFs;
use bytes::BytesMut;
use kafka_protocol::messages::{ApiKey, RequestHeader};
use kafka_protocol::protocol::{Encodable, StrBytes};
use libfuzzer_sys::fuzz_target;
use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A new broker after so many inputs: it keeps what they wrote.
const INPUTS: u32 = 2_000;

struct World {
    runtime: tokio::runtime::Runtime,
    broker: Arc<Broker>,
    inputs: u32,
}

impl World {
    fn new() -> World {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        let mechanisms = vec![SaslMechanism::Plain, SaslMechanism::Scram(ScramMechanism::Sha256)];
        let security = SecurityConfig {
            sasl_mechanisms: mechanisms,
            users: [("u".to_owned(), "p".to_owned())].into(),
            failed_authentication_delay: Duration::ZERO,
            ..SecurityConfig::default()
        };
        let config = BrokerConfig {
            security,
            fs: Arc::new(MemFs::new()),
            max_request_bytes: 1 << 20,
            ..BrokerConfig::new("/fuzz")
        };
        let broker = Broker::open(config).expect("a broker");
        broker.topics().create("t", 2, Default::default()).expect("a topic");
        World { runtime, broker, inputs: 0 }
    }
}

thread_local! {
    static WORLD: RefCell<Option<World>> = const { RefCell::new(None) };
}

/// Kinds of requests from this one on are valid ones, changed.
const VALID_FROM: u8 = 100;

fn frames(mut data: &[u8], topic_id: [u8; 16]) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some((&[what, version, high, low], rest)) = data.split_first_chunk::<4>() {
        let length = usize::from(u16::from_be_bytes([high, low]) % 2048).min(rest.len());
        let (given, rest) = rest.split_at(length);
        data = rest;
        let version = i16::from(version % 20);
        let mut frame = Vec::new();
        match what {
            255 => frame.extend_from_slice(given),
            VALID_FROM..255 => {
                let mut body = bodies::of(what - VALID_FROM, version, topic_id);
                for change in given.chunks_exact(3) {
                    let at =
                        usize::from(u16::from_be_bytes([change[0], change[1]])) % body.bytes.len().max(1);
                    if let Some(byte) = body.bytes.get_mut(at) {
                        *byte ^= change[2];
                    }
                }
                header(body.api, body.version, &mut frame);
                frame.extend_from_slice(&body.bytes);
            }
            api => {
                header(i16::from(api), version, &mut frame);
                frame.extend_from_slice(given);
            }
        }
        out.extend_from_slice(&(frame.len() as i32).to_be_bytes());
        out.extend_from_slice(&frame);
    }
    out
}

fn header(api: i16, version: i16, frame: &mut Vec<u8>) {
    let header = RequestHeader::default()
        .with_request_api_key(api)
        .with_request_api_version(version)
        .with_correlation_id(7)
        .with_client_id(Some(StrBytes::from_static_str("f")));
    let of = ApiKey::try_from(api).map_or(1, |api| api.request_header_version(version));
    let mut bytes = BytesMut::new();
    let _ = header.encode(&mut bytes, of);
    frame.extend_from_slice(&bytes);
}

fuzz_target!(|data: &[u8]| {
    WORLD.with_borrow_mut(|world| {
        if world.as_ref().is_none_or(|w| w.inputs >= INPUTS) {
            if let Some(old) = world.take() {
                let _ = old.broker.close();
            }
            *world = Some(World::new());
        }
        let Some(world) = world.as_mut() else { return };
        world.inputs += 1;
        let broker = Arc::clone(&world.broker);
        let Some((flags, data)) = data.split_first() else { return };
        let mut listener = ListenerConfig::plaintext(Endpoint { host: "localhost".into(), port: 9092 });
        if flags & 1 == 1 {
            listener.protocol = SecurityProtocol::SaslPlaintext;
        }
        let topic_id = broker.topics().get("t").map_or([0; 16], |topic| topic.id.into_bytes());
        world.runtime.block_on(async move {
            let (mut client, server) = tokio::io::duplex(1 << 20);
            let input = frames(data, topic_id);
            let talk = async move {
                let _ = client.write_all(&input).await;
                let _ = client.shutdown().await;
                let mut answers = Vec::new();
                let _ = client.read_to_end(&mut answers).await;
            };
            // Waiting requests (a fetch, a join) are not waited for.
            let both = async { tokio::join!(serve_pipe(broker, server, listener), talk) };
            let _ = tokio::time::timeout(Duration::from_millis(20), both).await;
        });
    });
});

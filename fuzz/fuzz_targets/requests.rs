//! Any bytes on a connection to a broker with topics, groups and a transaction: it answers or closes, and never panics.
//!
//! The input is a list of requests: API, version and length of the body, then the body; the frame's length and header are put before
//! it, so that most of the work is behind them. An API of 255 sends the body as it is, without a header.
#![no_main]

use bd_broker::server::{ListenerConfig, serve_pipe};
use bd_broker::{Broker, BrokerConfig, Endpoint};
use bd_log::testing::MemFs;
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
        let config = BrokerConfig {
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

fn frames(mut data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some((&[api, version, high, low], rest)) = data.split_first_chunk::<4>() {
        let length = usize::from(u16::from_be_bytes([high, low]) % 2048).min(rest.len());
        let (body, rest) = rest.split_at(length);
        data = rest;
        let mut frame = Vec::new();
        if api != 255 {
            frame.extend_from_slice(&i16::from(api).to_be_bytes());
            frame.extend_from_slice(&i16::from(version % 20).to_be_bytes());
            frame.extend_from_slice(&7i32.to_be_bytes());
            frame.extend_from_slice(&[0, 1, b'f']);
        }
        frame.extend_from_slice(body);
        out.extend_from_slice(&(frame.len() as i32).to_be_bytes());
        out.extend_from_slice(&frame);
    }
    out
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
        let listener = ListenerConfig::plaintext(Endpoint { host: "localhost".into(), port: 9092 });
        world.runtime.block_on(async move {
            let (mut client, server) = tokio::io::duplex(1 << 20);
            let input = frames(data);
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

//! A broker on a port, to try clients on: `cargo run -p bd-broker --example serve -- DATA_DIR 9092`, until Ctrl-C.

use bd_broker::server::{self, ListenerConfig};
use bd_broker::{Broker, BrokerConfig, Endpoint};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let dir = args.next().ok_or("usage: serve DATA_DIR [PORT]")?;
    let port = args.next().map_or(Ok(9092), |p| p.parse())?;
    let advertised = Endpoint { host: "127.0.0.1".into(), port };
    let broker = Broker::open(BrokerConfig::new(dir))?;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    let stop = async {
        let _ = tokio::signal::ctrl_c().await;
    };
    server::serve(broker.clone(), listener, ListenerConfig::plaintext(advertised), stop).await?;
    broker.close()?;
    Ok(())
}

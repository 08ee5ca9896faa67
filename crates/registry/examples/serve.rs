//! A registry by itself, over a log in a folder: `cargo run -p bd-registry --example serve -- FOLDER 127.0.0.1:8081`.
#![allow(clippy::print_stdout, reason = "says where it listens")]

use bd_broker::{Broker, BrokerConfig};
use bd_cluster::Cluster;
use bd_cluster_embedded::EmbeddedCluster;
use bd_registry::{Registry, RegistryConfig, router};
use std::error::Error;
use std::sync::Arc;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(folder), Some(address)) = (arguments.next(), arguments.next()) else {
        return Err("usage: serve FOLDER ADDRESS".into());
    };
    let cluster: Arc<dyn Cluster> = Arc::new(EmbeddedCluster::new(Broker::open(BrokerConfig::new(folder))?));
    let registry = Arc::new(Registry::open(cluster, &RegistryConfig::default())?);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(address).await?;
        println!("listening on {}", listener.local_addr()?);
        axum::serve(listener, router(registry)).await
    })?;
    Ok(())
}

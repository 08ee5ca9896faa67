//! A publisher of MQTT 3.1.1 at QoS 2 whose messages survive kills of itself, of the network and of the broker's clients.
//!
//! Exactly once needs more than a client library keeps: after a kill of the publisher, a message must go out again under the packet
//! id that it had, unless the broker was told to release it. So packet ids follow from a message's place in its [`Outbox`], and how
//! far messages were released and completed is written down before the broker hears of it ([`publisher`]).
//!
//! ```text
//!  outbox ─▶ PUBLISH ─▶ PUBREC ─▶ cursor.released ─▶ PUBREL ─▶ PUBCOMP ─▶ cursor.completed ─▶ outbox lets go
//! ```
//! With session state lost at the broker (its files deleted), messages that were not completed are sent again: at least once.

mod packet;
mod publisher;
mod spool;

pub use packet::{Packet, decode};
pub use publisher::{Outbox, Progress, Publisher, WINDOW};
pub use spool::{Spool, SpoolReader};

use anyhow::{Context, Result, bail};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(2);

/// A message on its way to the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The topic, such as `tv/16/actions`.
    pub topic: String,
    /// The bytes.
    pub payload: Vec<u8>,
}

/// Whether a broker answers on that port.
///
/// # Errors
/// It does not.
pub fn ping(port: u16) -> Result<()> {
    let mut socket = connect(port, "tv-ping", true)?;
    socket.write_all(&packet::DISCONNECT).context("the broker closed the connection")
}

/// Makes a persistent session for a client that is not there yet: from now on the broker keeps for it what matches `filter`.
///
/// # Errors
/// The broker does not answer, or refuses.
pub fn make_session(port: u16, client: &str, filter: &str) -> Result<()> {
    let mut socket = connect(port, client, false)?;
    socket.write_all(&packet::subscribe(1, filter, 2)).context("cannot subscribe")?;
    match read(&mut socket)? {
        Packet::SubAck { granted: 2 } => {}
        other => bail!("the broker does not grant QoS 2 for {filter}: {other:?}"),
    }
    socket.write_all(&packet::DISCONNECT).context("the broker closed the connection")
}

fn connect(port: u16, client: &str, clean: bool) -> Result<TcpStream> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut socket = TcpStream::connect_timeout(&address, PATIENCE)
        .with_context(|| format!("no broker answers on {address}"))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.write_all(&packet::connect(client, clean, 30)).context("cannot connect")?;
    match read(&mut socket)? {
        Packet::ConnAck { code: 0, .. } => Ok(socket),
        other => bail!("the broker on {address} refuses the connection: {other:?}"),
    }
}

fn read(socket: &mut TcpStream) -> Result<Packet> {
    let mut buffer = Vec::new();
    loop {
        if let Some((packet, _)) = decode(&buffer)? {
            return Ok(packet);
        }
        let mut chunk = [0; 256];
        let count = socket.read(&mut chunk).context("the broker does not answer")?;
        if count == 0 {
            bail!("the broker closed the connection");
        }
        buffer.extend_from_slice(&chunk[..count]);
    }
}

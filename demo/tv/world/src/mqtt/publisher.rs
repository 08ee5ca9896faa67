//! Messages of an outbox to a broker, in order, each once.

use super::packet::{self, Packet};
use super::{Message, decode};
use anyhow::{Context, Result};
use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// So many messages are on their way at once.
pub const WINDOW: usize = 1000;
/// Packet ids go round in as many; more than [`WINDOW`], so that an id is free when its turn comes.
const IDS: u64 = 65_535;
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// A broker that says nothing for so long is gone.
const SILENCE: Duration = Duration::from_secs(30);
/// How long an outbox that is empty is left alone at most.
const LOOK: Duration = Duration::from_millis(20);
const PAUSES: [Duration; 4] = [
    Duration::from_millis(50),
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_secs(1),
];

/// Messages in order, numbered from 0.
pub trait Outbox: Send {
    /// The next message; `None`: none right now. After [`Outbox::seek`] the one of that number.
    ///
    /// # Errors
    /// It cannot be read.
    fn next(&mut self) -> Result<Option<Message>>;

    /// Goes to a message that was not let go of.
    ///
    /// # Errors
    /// It cannot be read.
    fn seek(&mut self, number: u64) -> Result<()>;

    /// No message before `number` is asked for again.
    ///
    /// # Errors
    /// The file system's.
    fn let_go(&mut self, number: u64) -> Result<()>;
}

/// How far a publisher has come; shared.
#[derive(Debug, Default)]
pub struct Progress {
    /// Messages of which the broker has said that they are complete.
    pub completed: AtomicU64,
    /// Whether there is a connection.
    pub connected: AtomicBool,
}

/// How far messages were released and completed, on disk. Written in place: a kill leaves the old content or the new.
#[derive(Debug)]
struct Cursor {
    file: File,
    completed: u64,
    released: u64,
}

impl Cursor {
    fn open(path: &Path) -> Result<Self> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).open(path);
        let file = file.with_context(|| format!("cannot open {}", path.display()))?;
        let mut bytes = [0; 16];
        // A new file is empty: all is at 0.
        let _ = file.read_exact_at(&mut bytes, 0);
        let number = |at: usize| bytes[at..at + 8].iter().rev().fold(0, |n, b| (n << 8) | u64::from(*b));
        let (completed, released) = (number(0), number(8));
        Ok(Self { file, completed, released: released.max(completed) })
    }

    fn store(&self) -> Result<()> {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.completed.to_le_bytes());
        bytes[8..].copy_from_slice(&self.released.to_le_bytes());
        self.file.write_all_at(&bytes, 0).context("cannot write how far messages were released")
    }
}

/// A message in the window, and what the broker has said of it on this connection.
struct InFlight {
    message: Message,
    received: bool,
    completed: bool,
}

/// Sends the messages of an outbox.
pub struct Publisher<O> {
    outbox: O,
    cursor: Cursor,
    client: String,
    port: u16,
    progress: Arc<Progress>,
    /// From `cursor.completed` on.
    window: VecDeque<InFlight>,
    /// The number of the next message that this connection sends.
    next: u64,
    /// Messages before it may have been sent on an earlier connection.
    sent_before: u64,
}

impl<O: Outbox> Publisher<O> {
    /// A publisher with a fixed client id; `cursor` is the file that says how far it has come.
    ///
    /// # Errors
    /// The cursor or the outbox cannot be read.
    pub fn open(
        mut outbox: O,
        cursor: &Path,
        client: &str,
        port: u16,
        progress: Arc<Progress>,
    ) -> Result<Self> {
        let cursor = Cursor::open(cursor)?;
        outbox.seek(cursor.completed)?;
        progress.completed.store(cursor.completed, Ordering::Release);
        let (next, sent_before) = (cursor.completed, cursor.completed + WINDOW as u64);
        // Those that were released are not sent again, but the window begins with them.
        let mut window = VecDeque::new();
        for _ in cursor.completed..cursor.released {
            let message =
                outbox.next()?.context("a message that was released is not in the outbox any more")?;
            window.push_back(InFlight { message, received: true, completed: false });
        }
        Ok(Self { outbox, cursor, client: client.to_owned(), port, progress, window, next, sent_before })
    }

    /// Sends for ever, over one connection after the other.
    ///
    /// # Errors
    /// The outbox or the cursor fails; a broker that is away is no error.
    pub async fn run(mut self) -> Result<()> {
        let mut failures = 0;
        loop {
            let mut lost = None;
            self.connection(&mut lost).await?;
            if self.progress.connected.swap(false, Ordering::AcqRel) {
                failures = 0;
            }
            if failures == 0 {
                eprintln!("mosquitto: {}; connecting again", lost.unwrap_or_default());
            }
            tokio::time::sleep(PAUSES[failures.min(PAUSES.len() - 1)]).await;
            failures += 1;
        }
    }

    /// One connection, until it is lost (why: `lost`).
    async fn connection(&mut self, lost: &mut Option<String>) -> Result<()> {
        let mut socket = match TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))).await {
            Ok(socket) => socket,
            Err(error) => {
                *lost = Some(format!("no broker on port {}: {error}", self.port));
                return Ok(());
            }
        };
        let _ = socket.set_nodelay(true);
        let mut out = packet::connect(&self.client, false, KEEP_ALIVE.as_secs() as u16 * 3);
        let (mut input, mut heard, mut said) = (Vec::new(), Instant::now(), Instant::now());
        let mut open = false;
        loop {
            if !out.is_empty() {
                if let Err(error) = socket.write_all(&out).await {
                    *lost = Some(format!("the connection is lost: {error}"));
                    return Ok(());
                }
                out.clear();
                said = Instant::now();
            }
            match tokio::time::timeout(LOOK, socket.read_buf(&mut input)).await {
                Ok(Ok(0)) => {
                    *lost = Some("the broker closed the connection".into());
                    return Ok(());
                }
                Ok(Err(error)) => {
                    *lost = Some(format!("the connection is lost: {error}"));
                    return Ok(());
                }
                Ok(Ok(_)) => heard = Instant::now(),
                Err(_) if heard.elapsed() > SILENCE => {
                    *lost = Some(format!("the broker has said nothing for {SILENCE:?}"));
                    return Ok(());
                }
                Err(_) => {}
            }
            match self.take(&mut input, &mut open, &mut out) {
                Ok(()) => {}
                Err(Failure::Broker(why)) => {
                    *lost = Some(why);
                    return Ok(());
                }
                Err(Failure::Own(error)) => return Err(error),
            }
            if open {
                self.fill(&mut out)?;
                if said.elapsed() > KEEP_ALIVE {
                    out.extend(packet::PINGREQ);
                }
            }
        }
    }

    /// Takes what the broker sent.
    fn take(&mut self, input: &mut Vec<u8>, open: &mut bool, out: &mut Vec<u8>) -> Result<(), Failure> {
        let (mut at, before) = (0, self.cursor.completed);
        loop {
            match decode(&input[at..]).map_err(|e| Failure::Broker(e.to_string()))? {
                None => break,
                Some((packet, length)) => {
                    at += length;
                    match packet {
                        Packet::ConnAck { code: 0, session } => {
                            self.begin(session, out)?;
                            *open = true;
                        }
                        Packet::ConnAck { code, .. } => {
                            return Err(Failure::Broker(format!(
                                "the broker refuses the connection (code {code})"
                            )));
                        }
                        Packet::PubRec(id) => self.received(id),
                        Packet::PubComp(id) => self.completed(id),
                        Packet::SubAck { .. } | Packet::PingResp | Packet::Other(_) => {}
                    }
                }
            }
        }
        input.drain(..at);
        if *open {
            self.release(out)?;
        }
        if self.cursor.completed > before {
            self.cursor.store()?;
            self.outbox.let_go(self.cursor.completed)?;
            self.progress.completed.store(self.cursor.completed, Ordering::Release);
        }
        Ok(())
    }

    /// The connection is there: released messages are released again, those after them are sent again.
    fn begin(&mut self, session: bool, out: &mut Vec<u8>) -> Result<()> {
        self.progress.connected.store(true, Ordering::Release);
        if !session && self.cursor.released > self.cursor.completed {
            // The broker has forgotten them, released or not.
            self.cursor.released = self.cursor.completed;
            self.cursor.store()?;
        }
        self.sent_before = self.sent_before.max(self.next);
        self.next = self.cursor.released;
        for message in &mut self.window {
            (message.received, message.completed) = (false, false);
        }
        (self.cursor.completed..self.cursor.released).for_each(|number| packet::release(out, id_of(number)));
        Ok(())
    }

    /// Sends what fits into the window.
    fn fill(&mut self, out: &mut Vec<u8>) -> Result<()> {
        while self.next < self.cursor.completed + WINDOW as u64 && out.len() < 256 << 10 {
            let place = (self.next - self.cursor.completed) as usize;
            while self.window.len() <= place {
                let Some(message) = self.outbox.next()? else { return Ok(()) };
                self.window.push_back(InFlight { message, received: false, completed: false });
            }
            let message = &self.window[place].message;
            let again = self.next < self.sent_before;
            packet::publish(out, id_of(self.next), again, &message.topic, &message.payload);
            self.next += 1;
        }
        Ok(())
    }

    fn received(&mut self, id: u16) {
        let place = self.place(id);
        if let Some(message) = place.and_then(|place| self.window.get_mut(place)) {
            message.received = true;
        }
    }

    /// Releases what has arrived without a gap: messages reach subscribers in the order of their release.
    fn release(&mut self, out: &mut Vec<u8>) -> Result<()> {
        let begin = self.cursor.released;
        let place = |number: u64, completed: u64| (number - completed) as usize;
        while self
            .window
            .get(place(self.cursor.released, self.cursor.completed))
            .is_some_and(|m| m.received && self.cursor.released < self.next)
        {
            self.cursor.released += 1;
        }
        if self.cursor.released > begin {
            self.cursor.store()?;
            (begin..self.cursor.released).for_each(|number| packet::release(out, id_of(number)));
        }
        Ok(())
    }

    fn completed(&mut self, id: u16) {
        let place = self.place(id);
        if let Some(message) = place.and_then(|place| self.window.get_mut(place)) {
            message.completed = true;
        }
        while self.cursor.completed < self.cursor.released && self.window.front().is_some_and(|m| m.completed)
        {
            self.cursor.completed += 1;
            self.window.pop_front();
        }
    }

    /// Where the message of that id is in the window.
    fn place(&self, id: u16) -> Option<usize> {
        let first = u64::from(id_of(self.cursor.completed));
        let place = (u64::from(id) + IDS - first) % IDS;
        (place < WINDOW as u64).then_some(place as usize)
    }
}

fn id_of(number: u64) -> u16 {
    (number % IDS) as u16 + 1
}

enum Failure {
    Broker(String),
    Own(anyhow::Error),
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Own(error)
    }
}

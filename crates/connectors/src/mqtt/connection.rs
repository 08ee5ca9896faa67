//! A connection to a broker: one socket, one bounded buffer, keep-alive.

use super::packet::{self, Connect, DISCONNECT, Head, Malformed, PINGREQ, Packet};
use super::settings::{Server, Settings};
use bd_connect::sdk::{StopFlag, TaskError};
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// The room for what is read at once.
const BUFFER: usize = 256 << 10;
/// What is kept of a packet that is too long: its topic and the start of its payload.
const KEPT: usize = 128 << 10;
/// What a packet may have beside its payload: topic, lengths, identifier.
const AROUND: usize = (64 << 10) + 16;
/// How long a wait may be before the stop flag is looked at.
const SLICE: Duration = Duration::from_millis(100);

/// A connection on which the broker has accepted us.
pub(super) struct Connection {
    server: Server,
    stream: TcpStream,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    skip: usize,
    max_packet: usize,
    keep_alive: Duration,
    wrote: Instant,
    pinged: Option<Instant>,
    /// The broker kept a session of ours.
    pub(super) session_present: bool,
}

impl Connection {
    /// Connects to the first server that answers.
    ///
    /// # Errors
    /// [`TaskError::Fatal`] where one refuses us for good, [`TaskError::Retriable`] where none answers.
    pub(super) fn open(settings: &Settings, stop: &StopFlag) -> Result<Self, TaskError> {
        let mut failures = Vec::new();
        for server in &settings.servers {
            match Self::open_one(server, settings, stop) {
                Ok(connection) => return Ok(connection),
                Err(TaskError::Fatal(message)) => return Err(TaskError::Fatal(message)),
                Err(other) => failures.push(other.to_string()),
            }
        }
        Err(TaskError::Retriable(failures.join("; ")))
    }

    fn open_one(server: &Server, settings: &Settings, stop: &StopFlag) -> Result<Self, TaskError> {
        let deadline = Instant::now() + settings.connect_timeout;
        let failed = |e: std::io::Error| {
            TaskError::Retriable(format!("MQTT: connecting to {server} failed: {e}; is the broker running?"))
        };
        let stream = connect(server, deadline, stop).map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        stream.set_write_timeout(Some(settings.connect_timeout)).map_err(failed)?;
        let mut this = Self {
            server: server.clone(),
            stream,
            buffer: vec![0; BUFFER],
            start: 0,
            end: 0,
            skip: 0,
            max_packet: settings.max_message.saturating_add(AROUND),
            keep_alive: Duration::from_secs(settings.keep_alive.into()),
            wrote: Instant::now(),
            pinged: None,
            session_present: false,
        };
        let mut out = Vec::new();
        let connect = Connect {
            client_id: &settings.client_id,
            clean_session: settings.clean_session,
            keep_alive: settings.keep_alive,
            username: settings.username.as_deref(),
            password: settings.password.as_deref(),
        };
        packet::put_connect(&mut out, &connect);
        this.write(&out)?;
        this.await_connack(settings, deadline, stop)?;
        Ok(this)
    }

    fn await_connack(
        &mut self,
        settings: &Settings,
        deadline: Instant,
        stop: &StopFlag,
    ) -> Result<(), TaskError> {
        loop {
            let code = match self.next()? {
                Some(Packet::ConnAck { session_present, code }) => Some((session_present, code)),
                Some(_) => return Err(self.broken(Malformed("the first packet is no CONNACK".into()))),
                None => None,
            };
            if let Some((session_present, code)) = code {
                self.session_present = session_present;
                return accepted(code, &self.server, settings);
            }
            if Instant::now() >= deadline || stop.is_set() {
                let (server, seconds) = (&self.server, settings.connect_timeout.as_secs());
                return Err(TaskError::Retriable(format!(
                    "MQTT: {server} did not answer CONNECT in {seconds} s"
                )));
            }
            self.fill(SLICE)?;
        }
    }

    /// The server, for messages.
    pub(super) fn server(&self) -> &Server {
        &self.server
    }

    /// The next packet of those that are read already; `None`: read more ([`Self::fill`]).
    ///
    /// # Errors
    /// [`TaskError::Retriable`]: what came is no MQTT.
    pub(super) fn next(&mut self) -> Result<Option<Packet<'_>>, TaskError> {
        let skipped = self.skip.min(self.end - self.start);
        self.start += skipped;
        self.skip -= skipped;
        let Some((head, kept)) = self.whole().map_err(|e| self.broken(e))? else { return Ok(None) };
        let from = self.start + head.header;
        self.start = from + kept;
        self.skip = head.remaining - kept;
        match packet::decode(head, &self.buffer[from..from + kept]) {
            Ok(packet) => {
                if packet == Packet::PingResp {
                    self.pinged = None;
                }
                Ok(Some(packet))
            }
            Err(error) => Err(broken(&self.server, &error)),
        }
    }

    /// The head of the next packet and how much of its rest is kept, if that is here.
    fn whole(&self) -> Result<Option<(Head, usize)>, Malformed> {
        if self.skip > 0 {
            return Ok(None);
        }
        let Some(head) = packet::head(&self.buffer[self.start..self.end])? else { return Ok(None) };
        let kept = if head.remaining > self.max_packet { KEPT.min(head.remaining) } else { head.remaining };
        let here = self.end - self.start >= head.header + kept;
        Ok(here.then_some((head, kept)))
    }

    /// Reads what there is; waits at most `wait` where there is nothing. Whether there may be more at once.
    ///
    /// # Errors
    /// [`TaskError::Retriable`]: the connection ended, or the broker is silent.
    pub(super) fn fill(&mut self, wait: Duration) -> Result<bool, TaskError> {
        self.keep_alive()?;
        self.make_room();
        let room = self.buffer.len() - self.end;
        let lost =
            |server: &Server, why: &str| TaskError::Retriable(format!("MQTT: {server} is lost: {why}"));
        let wait = wait.clamp(Duration::from_millis(1), SLICE);
        self.stream.set_read_timeout(Some(wait)).map_err(|e| lost(&self.server, &e.to_string()))?;
        match self.stream.read(&mut self.buffer[self.end..]) {
            Ok(0) => {
                Err(lost(&self.server, "it closed the connection (does another client use our client id?)"))
            }
            Ok(count) => {
                self.end += count;
                Ok(count == room)
            }
            Err(e)
                if matches!(
                    e.kind(),
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                ) =>
            {
                Ok(false)
            }
            Err(e) => Err(lost(&self.server, &e.to_string())),
        }
    }

    fn make_room(&mut self) {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.buffer.len() == self.end {
            // One packet fills it all: `whole` bounds how long that may be.
            self.buffer.resize(self.buffer.len() * 2, 0);
        } else if self.end == 0 && self.buffer.len() > BUFFER {
            self.buffer = vec![0; BUFFER];
        }
    }

    fn keep_alive(&mut self) -> Result<(), TaskError> {
        if self.pinged.is_some_and(|at| at.elapsed() > self.keep_alive) {
            let seconds = self.keep_alive.as_secs();
            let message = format!("MQTT: {} is lost: no answer to a ping in {seconds} s", self.server);
            return Err(TaskError::Retriable(message));
        }
        if self.wrote.elapsed() * 2 >= self.keep_alive {
            self.ping()?;
        }
        Ok(())
    }

    /// Asks for a sign of life, which comes after all that the broker has sent before.
    ///
    /// # Errors
    /// [`TaskError::Retriable`]: the connection ended.
    pub(super) fn ping(&mut self) -> Result<(), TaskError> {
        self.pinged.get_or_insert_with(Instant::now);
        self.write(&PINGREQ)
    }

    /// Writes packets.
    ///
    /// # Errors
    /// [`TaskError::Retriable`]: the connection ended.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), TaskError> {
        self.wrote = Instant::now();
        let result = self.stream.write_all(bytes);
        result.map_err(|e| TaskError::Retriable(format!("MQTT: {} is lost: {e}", self.server)))
    }

    fn broken(&self, error: Malformed) -> TaskError {
        broken(&self.server, &error)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // A courtesy: the broker keeps the session either way.
        let _ = self.stream.set_write_timeout(Some(SLICE));
        let _ = self.stream.write_all(&DISCONNECT);
    }
}

fn broken(server: &Server, error: &Malformed) -> TaskError {
    TaskError::Retriable(format!(
        "MQTT: what {server} sends is not understood: {error}; is it an MQTT broker?"
    ))
}

fn connect(server: &Server, deadline: Instant, stop: &StopFlag) -> std::io::Result<TcpStream> {
    let addresses: Vec<_> = (server.host.as_str(), server.port).to_socket_addrs()?.collect();
    let mut failure = std::io::Error::new(ErrorKind::NotFound, "the name has no address");
    loop {
        for address in &addresses {
            // In short tries, so that a stop does not wait for a host that swallows packets.
            let left = deadline.saturating_duration_since(Instant::now());
            let wait = left.clamp(Duration::from_millis(1), Duration::from_secs(3));
            match TcpStream::connect_timeout(address, wait) {
                Ok(stream) => return Ok(stream),
                Err(e) => failure = e,
            }
        }
        let again = failure.kind() == ErrorKind::TimedOut && Instant::now() < deadline && !stop.is_set();
        if !again {
            return Err(failure);
        }
    }
}

fn accepted(code: u8, server: &Server, settings: &Settings) -> Result<(), TaskError> {
    let fatal = |what: &str, hint: &str| {
        Err(TaskError::Fatal(format!("MQTT: {server} {what} (CONNACK {code}): {hint}")))
    };
    match code {
        0 => Ok(()),
        1 => fatal("does not speak MQTT 3.1.1", "use a broker that does"),
        2 => fatal(
            &format!("refused the client id {}", settings.client_id),
            "set mqtt.client.id to one it accepts",
        ),
        4 => fatal("refused the username or password", "check mqtt.username and mqtt.password"),
        5 => fatal(
            "does not authorize us",
            "check mqtt.username and mqtt.password, and the broker's access rules",
        ),
        _ => Err(TaskError::Retriable(format!("MQTT: {server} is not available (CONNACK {code})"))),
    }
}

//! One connection: reads requests, starts them, writes their answers in order; one task.

use super::frames::{FrameIn, Frames, Limits};
use super::output;
use super::session::{Session, Stage};
use super::transport::Transport;
use crate::api::{self, Frame, Pending, RequestError, Started};
use crate::broker::Broker;
use crate::fetch::ahead::ReadAhead;
use crate::metrics::Course;
use crate::wire::frame::Piece;
use kafka_protocol::messages::ApiKey;
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;
use tokio::io::AsyncWriteExt;
use tokio::sync::OwnedSemaphorePermit;

/// Answers that a connection may have under way.
const MAX_UNDER_WAY: usize = 64;

/// An answer to come, and the memory of its request.
struct UnderWay {
    answer: Pending,
    api: Option<ApiKey>,
    arrived: Instant,
    /// When work on it began, and when it was answered or first waited; a produce request has both behind it.
    begun: Option<Instant>,
    worked: Option<Instant>,
    _room: Option<OwnedSemaphorePermit>,
}

/// The answer to a request.
struct Answered {
    frame: Result<Frame, RequestError>,
    api: Option<ApiKey>,
    arrived: Instant,
    begun: Instant,
    worked: Instant,
}

/// What happens next.
enum Event {
    /// The oldest request is answered.
    Answer(Answered),
    Request(FrameIn),
    /// No more requests: the client has closed its side, or the server stops.
    End,
}

/// A connection at work.
pub(super) struct Connection<T> {
    broker: Arc<Broker>,
    session: Arc<Session>,
    socket: T,
    frames: Frames,
    under_way: VecDeque<UnderWay>,
    ahead: ReadAhead,
    /// The last request under way must be answered before the next one is read.
    exclusive: bool,
    /// No more requests are read.
    ending: bool,
}

fn invalid(reason: impl ToString) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason.to_string())
}

impl<T: Transport> Connection<T> {
    pub(super) fn new(broker: Arc<Broker>, session: Arc<Session>, socket: T) -> Self {
        let request = broker.config().max_request_bytes;
        let unauthenticated = request.min(broker.config().security.sasl_max_receive_bytes);
        let frames = Frames::new(Arc::clone(broker.network()), Limits { request, unauthenticated });
        Self {
            broker,
            session,
            socket,
            frames,
            under_way: VecDeque::new(),
            ahead: ReadAhead::default(),
            exclusive: false,
            ending: false,
        }
    }

    /// Serves the connection to its end. What is under way when the client closes its side, or when the server stops, is
    /// still answered.
    ///
    /// # Errors
    /// `InvalidData`: the client does not keep to the protocol, or asks for what is not there. Others: the socket's.
    pub(super) async fn run(mut self) -> io::Result<()> {
        let session = Arc::clone(&self.session);
        let mut stop = pin!(session.stopping());
        loop {
            if self.ending && self.under_way.is_empty() {
                return self.socket.shutdown().await;
            }
            match poll_fn(|cx| self.poll_event(cx, stop.as_mut())).await? {
                Event::Answer(first) => self.write_answers(first).await?,
                Event::Request(frame) => {
                    if let Err(error) = self.start(frame) {
                        return self.end_with(invalid(error)).await;
                    }
                }
                Event::End => self.ending = true,
            }
        }
    }

    fn poll_event(
        &mut self,
        cx: &mut Context<'_>,
        stop: Pin<&mut impl Future<Output = ()>>,
    ) -> Poll<io::Result<Event>> {
        if let Poll::Ready(Some(answer)) = self.poll_answer(cx) {
            return Poll::Ready(Ok(Event::Answer(answer)));
        }
        if self.ending {
            return Poll::Pending;
        }
        if stop.poll(cx).is_ready() {
            return Poll::Ready(Ok(Event::End));
        }
        if !self.exclusive && self.under_way.len() < MAX_UNDER_WAY {
            return self
                .frames
                .poll_next(cx, &mut self.socket, &self.session)
                .map_ok(|frame| frame.map_or(Event::End, Event::Request));
        }
        Poll::Pending
    }

    /// The oldest answer, if it is there; `None` if there is none to come.
    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Option<Answered>> {
        let Some(oldest) = self.under_way.front_mut() else { return Poll::Ready(None) };
        let begun = *oldest.begun.get_or_insert_with(Instant::now);
        let polled = oldest.answer.as_mut().poll(cx);
        let worked = *oldest.worked.get_or_insert_with(Instant::now);
        let frame = std::task::ready!(polled);
        let answered = Answered { frame, api: oldest.api, arrived: oldest.arrived, begun, worked };
        self.under_way.pop_front();
        Poll::Ready(Some(answered))
    }

    fn start(&mut self, frame: FrameIn) -> Result<(), RequestError> {
        self.session.note_active(Stage::Answering);
        let FrameIn { bytes, room } = frame;
        let arrived = Instant::now();
        let api = match bytes.first_chunk::<2>() {
            Some(key) if !self.session.takes_raw_tokens() => ApiKey::try_from(i16::from_be_bytes(*key)).ok(),
            _ => None,
        };
        let (answer, begun, worked) = match api::start(&self.broker, &self.session, bytes)? {
            Started::Overlapping(answer) => (answer, Some(arrived), Some(Instant::now())),
            Started::Exclusive(answer) => {
                self.exclusive = true;
                (answer, None, None)
            }
        };
        self.under_way.push_back(UnderWay { answer, api, arrived, begun, worked, _room: room });
        Ok(())
    }

    /// What is under way is still answered.
    async fn end_with(mut self, error: io::Error) -> io::Result<()> {
        while let Some(answer) = poll_fn(|cx| self.poll_answer(cx)).await {
            self.write_answers(answer).await?;
        }
        Err(error)
    }

    /// Writes an answer and those behind it that are ready, too.
    ///
    /// # Errors
    /// The socket's; a request that cannot be answered, after the answers before it.
    async fn write_answers(&mut self, first: Answered) -> io::Result<()> {
        let mut next = Some(first);
        let (mut frames, mut written, mut failed) = (Vec::new(), Vec::new(), None);
        poll_fn(|cx| {
            while let Some(Answered { frame, api, arrived, begun, worked }) = next.take() {
                match frame {
                    Ok(frame) => {
                        let times = (arrived, begun, worked);
                        written.push((api, times, frame.iter().map(Piece::len).sum()));
                        frames.push(frame);
                    }
                    Err(error) => {
                        failed = Some(invalid(error));
                        break;
                    }
                }
                if let Poll::Ready(answer) = self.poll_answer(cx) {
                    next = answer;
                }
            }
            Poll::Ready(())
        })
        .await;
        if self.under_way.is_empty() {
            self.exclusive = false;
            // Room for many answers is not kept by those who rarely ask.
            self.under_way.shrink_to(4);
        }
        let known = Instant::now();
        output::write(&mut self.socket, &self.session, &mut self.ahead, frames).await?;
        let sent = Instant::now();
        for (api, (arrived, begun, worked), bytes) in written {
            if let Some(api) = api {
                let course = Course { arrived, begun, worked, known, sent };
                self.broker.counters().answered(api, bytes, course);
            }
        }
        self.ending |= self.session.is_closing();
        failed.map_or(Ok(()), Err)
    }
}

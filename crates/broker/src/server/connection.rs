//! One connection: reads requests, starts them, writes their answers in order; one task.

use super::frames::{FrameIn, Frames, Limits};
use super::output;
use super::session::{Session, Stage};
use super::transport::Transport;
use crate::api::{self, Frame, Pending, RequestError, Started};
use crate::broker::Broker;
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::AsyncWriteExt;
use tokio::sync::OwnedSemaphorePermit;

/// Answers that a connection may have under way.
const MAX_UNDER_WAY: usize = 64;

/// An answer to come, and the memory of its request.
struct UnderWay {
    answer: Pending,
    _room: Option<OwnedSemaphorePermit>,
}

/// What happens next.
enum Event {
    /// The oldest request is answered.
    Answer(Result<Frame, RequestError>),
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
        Self { broker, session, socket, frames, under_way: VecDeque::new(), exclusive: false, ending: false }
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
                Event::Request(frame) => self.start(frame)?,
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
    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, RequestError>>> {
        let Some(oldest) = self.under_way.front_mut() else { return Poll::Ready(None) };
        let answer = std::task::ready!(oldest.answer.as_mut().poll(cx));
        self.under_way.pop_front();
        Poll::Ready(Some(answer))
    }

    fn start(&mut self, frame: FrameIn) -> io::Result<()> {
        self.session.note_active(Stage::Answering);
        let FrameIn { bytes, room } = frame;
        let answer = match api::start(&self.broker, &self.session, bytes).map_err(invalid)? {
            Started::Overlapping(answer) => answer,
            Started::Exclusive(answer) => {
                self.exclusive = true;
                answer
            }
        };
        self.under_way.push_back(UnderWay { answer, _room: room });
        Ok(())
    }

    /// Writes an answer and those behind it that are ready, too.
    async fn write_answers(&mut self, first: Result<Frame, RequestError>) -> io::Result<()> {
        let mut answers = vec![first.map_err(invalid)?];
        poll_fn(|cx| {
            while let Poll::Ready(Some(answer)) = self.poll_answer(cx) {
                answers.push(answer.map_err(invalid)?);
            }
            Poll::Ready(io::Result::Ok(()))
        })
        .await?;
        if self.under_way.is_empty() {
            self.exclusive = false;
            // Room for many answers is not kept by those who rarely ask.
            self.under_way.shrink_to(4);
        }
        output::write(&mut self.socket, &self.session, answers).await?;
        self.ending |= self.session.is_closing();
        Ok(())
    }
}

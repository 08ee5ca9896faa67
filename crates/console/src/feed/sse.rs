//! A feed as Server-Sent Events (<https://html.spec.whatwg.org/multipage/server-sent-events.html>).
//!
//! | event | data |
//! |---|---|
//! | `state` | `{"at": ms, "parts": {name: ...}}`: all parts, first of all |
//! | `change` | the same with those parts only that changed |
//! | `beat` | `{"at": ms}`: every five seconds, so that silence means that the connection is gone |
//!
//! Event ids are `epoch-version`: a browser that comes back with one (`Last-Event-ID`) gets what changed since.

use super::Viewing;
use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_core::Stream;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::mpsc;

const BEAT: Duration = Duration::from_secs(5);
/// Who does not take a message for so long is let go.
const PATIENCE: Duration = Duration::from_secs(15);
/// Changes that come closer together are sent together.
const TOGETHER: Duration = Duration::from_millis(20);

/// The stream of a feed; `last` is the browser's `Last-Event-ID`.
pub(crate) fn response(viewing: Viewing, last: Option<&str>) -> Response {
    let (sender, receiver) = mpsc::channel(1);
    let seen = last.and_then(|id| version_of(id, viewing.feed.epoch));
    tokio::spawn(send(viewing, seen, sender));
    let mut response = Body::from_stream(Frames(receiver)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

async fn send(viewing: Viewing, seen: Option<u64>, sender: mpsc::Sender<Bytes>) {
    let mut versions = viewing.feed.version.subscribe();
    let mut stopping = viewing.stopping.clone();
    let (mut name, mut version) = if seen.is_some() { ("change", seen) } else { ("state", Some(0)) };
    let mut frame = None;
    loop {
        let next = match frame.take() {
            Some(frame) => frame,
            None => {
                let _ = versions.borrow_and_update();
                let (to, data) = viewing.feed.since(version.unwrap_or(0));
                version = Some(to);
                let id = format!("{}-{to}", viewing.feed.epoch);
                event(std::mem::replace(&mut name, "change"), Some(&id), &data)
            }
        };
        if sender.send_timeout(next, PATIENCE).await.is_err() {
            return;
        }
        if *stopping.borrow_and_update() {
            return;
        }
        tokio::select! {
            () = sender.closed() => return,
            // Sent once, when the console closes.
            _ = stopping.changed() => return,
            changed = versions.changed() => {
                if changed.is_err() {
                    return;
                }
                tokio::time::sleep(TOGETHER).await;
            }
            () = tokio::time::sleep(BEAT) => {
                frame = Some(event("beat", None, &format!("{{\"at\":{}}}", crate::panel::now_ms())));
            }
        }
    }
}

/// One event; `data` has no line breaks (it is JSON on one line).
fn event(name: &str, id: Option<&str>, data: &str) -> Bytes {
    let id = id.map(|id| format!("id: {id}\n")).unwrap_or_default();
    Bytes::from(format!("event: {name}\n{id}data: {data}\n\n"))
}

/// The version of an event id of this epoch.
fn version_of(id: &str, epoch: i64) -> Option<u64> {
    let (of, version) = id.split_once('-')?;
    (of.parse::<i64>().ok()? == epoch).then(|| version.parse().ok()).flatten()
}

struct Frames(mpsc::Receiver<Bytes>);

impl Stream for Frames {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context).map(|frame| frame.map(Ok))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_framed_as_the_standard_says() {
        let framed = event("change", Some("7-3"), r#"{"a":1}"#);
        assert_eq!(framed, "event: change\nid: 7-3\ndata: {\"a\":1}\n\n");
        assert_eq!(event("beat", None, "{}"), "event: beat\ndata: {}\n\n");
    }

    #[test]
    fn an_id_counts_only_for_its_own_epoch() {
        assert_eq!(version_of("7-3", 7), Some(3));
        for other in ["8-3", "7", "", "7-x", "x-3", "7--3"] {
            assert_eq!(version_of(other, 7), None, "{other}");
        }
    }
}

//! A dashboard as a browser follows it: the console's event stream.

use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// How often a console that does not answer yet is asked again.
const KNOCK: Duration = Duration::from_millis(5);
/// Events that may wait to be looked at.
const WAITING: usize = 1024;

/// What changed, and when that was read.
pub(crate) struct Event {
    pub(crate) at: Instant,
    parts: Map<String, Value>,
}

/// An open stream. Its thread ends with the console.
pub(crate) struct Dashboard {
    events: Receiver<Event>,
    /// Ids by titles.
    panels: HashMap<String, String>,
}

impl Dashboard {
    /// Follows a dashboard, once the console is there.
    pub(crate) fn open(console: &str, name: &str, deadline: Instant) -> Result<Self> {
        loop {
            match Self::try_open(console, name) {
                Ok(open) => return Ok(open),
                Err(error) if Instant::now() > deadline => return Err(error),
                Err(_) => thread::sleep(KNOCK),
            }
        }
    }

    fn try_open(console: &str, name: &str) -> Result<Self> {
        let url = format!("{console}/api/dashboards/{name}");
        let text = ureq::get(&url).call().and_then(|mut a| a.body_mut().read_to_string());
        let about: Value = serde_json::from_str(&text.with_context(|| url.clone())?).context(url)?;
        let of =
            |panel: &Value| Some((panel["title"].as_str()?.to_owned(), panel["id"].as_str()?.to_owned()));
        let panels = about["panels"].as_array().into_iter().flatten().filter_map(of).collect();

        let url = format!("{console}/api/stream?page=dashboard&name={name}");
        let stream = ureq::get(&url).call().context(url)?.into_body().into_reader();
        let (sender, events) = sync_channel(WAITING);
        thread::spawn(move || {
            // Its end is the channel's.
            let _ = each_event(stream, |event| sender.send(event).is_ok());
        });
        Ok(Self { events, panels })
    }

    /// The id of a panel.
    fn id(&self, title: &str) -> Result<&str> {
        self.panels
            .get(title)
            .map(String::as_str)
            .ok_or_else(|| anyhow!("the dashboard has no panel {title}"))
    }

    /// The next event that says something of a panel, with what it shows.
    pub(crate) fn next_of(&self, title: &str, deadline: Instant) -> Result<(Instant, Value)> {
        let id = self.id(title)?;
        loop {
            match self.events.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(mut event) => {
                    if let Some(data) = event.parts.get_mut(id) {
                        return Ok((event.at, data.take()));
                    }
                }
                Err(RecvTimeoutError::Timeout) => bail!("the panel {title} did not change in time"),
                Err(RecvTimeoutError::Disconnected) => bail!("the console has ended the stream"),
            }
        }
    }

    /// What a panel shows by the newest event that has come, if one since the last look says so.
    pub(crate) fn newest_of(&self, title: &str) -> Result<Option<Value>> {
        let id = self.id(title)?;
        Ok(self.events.try_iter().filter_map(|mut event| event.parts.get_mut(id).map(Value::take)).last())
    }
}

/// Calls `take` with every event of the stream, until it gives false.
fn each_event(stream: impl Read, mut take: impl FnMut(Event) -> bool) -> Result<()> {
    let mut lines = BufReader::new(stream);
    let mut line = String::new();
    loop {
        line.clear();
        if lines.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let Some(data) = line.strip_prefix("data:") else { continue };
        let at = Instant::now();
        let mut data: Value = serde_json::from_str(data).with_context(|| line.clone())?;
        // A beat has no parts.
        if let Some(Value::Object(parts)) = data.get_mut("parts").map(Value::take)
            && !take(Event { at, parts })
        {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_and_beats_are_not() {
        let text = "event: state\nid: 1-1\ndata: {\"at\":1,\"parts\":{\"p0\":{\"value\":7}}}\n\n\
                    event: beat\ndata: {\"at\":2}\n\nevent: change\ndata: {\"at\":3,\"parts\":{}}\n\n";
        let mut seen = Vec::new();
        each_event(text.as_bytes(), |event| {
            seen.push(Value::Object(event.parts));
            true
        })
        .unwrap();
        assert_eq!(seen, [serde_json::json!({"p0": {"value": 7}}), serde_json::json!({})]);
    }
}

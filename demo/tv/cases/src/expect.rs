//! What must come out of a case, by plain loops over its inputs.
//!
//! Obviously right matters here and speed does not, so there is no stream, no state and no watermark: every step reads
//! all rows of the one before. The loops run within one channel or device, or large cases would take hours.

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io::{BufWriter, Write},
    path::Path,
};

use serde::{Serialize, Serializer, ser::Error};

use crate::{
    CaseError, OUTPUTS,
    case::{Action, Ad, Case, Place},
    text,
};

/// Seconds by which an action may lie behind the latest before it.
pub const ACTIONS_LATENESS: i64 = 5;
/// Seconds by which an ad or a device's place may lie behind the latest before it.
pub const OTHER_LATENESS: i64 = 60;
/// Seconds of the longest session that is kept.
pub const LONGEST_SESSION: i64 = text::DAY;

/// The file with the [`Counts`].
pub const COUNTS_FILE: &str = "expected_counts.json";

/// All outputs of a case. Times are epoch seconds, written as ISO 8601.
#[derive(Debug, Clone, PartialEq)]
pub struct Expected<'a> {
    /// The table `shows`.
    pub shows: Vec<Show<'a>>,
    /// The stream `sessions`.
    pub sessions: Vec<Session>,
    /// The stream `show_views`.
    pub show_views: Vec<ShowView<'a>>,
    /// The stream `ad_views`.
    pub ad_views: Vec<AdView<'a>>,
    /// What does not come out.
    pub counts: Counts,
}

/// How many lines and rows are left out, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Actions that are late, if their topic has one partition.
    pub actions_late: usize,
    /// Lines of `actions.jsonl` that are no row.
    pub actions_dead: usize,
    /// Ads that are late, if their topic has one partition.
    pub ads_late: usize,
    /// Lines of `ads.jsonl` that are no row.
    pub ads_dead: usize,
    /// Places that are late, if their topic has one partition.
    pub device_locations_late: usize,
    /// Lines of `device_locations.jsonl` that are no row.
    pub device_locations_dead: usize,
    /// Sessions that are longer than a day.
    pub sessions_too_long: usize,
}

/// A show with its time.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[allow(missing_docs, reason = "the columns of the case")]
pub struct Show<'a> {
    pub channel_id: i64,
    pub channel: Option<&'a str>,
    pub program_id: Option<i64>,
    pub program: Option<&'a str>,
    #[serde(serialize_with = "iso")]
    pub start_ts: i64,
    #[serde(serialize_with = "iso")]
    pub end_ts: i64,
}

/// One channel watched on one device without a pause.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[allow(missing_docs, reason = "the columns of the case")]
pub struct Session {
    pub user_id: Option<i64>,
    pub device_id: Option<i64>,
    pub channel_id: Option<i64>,
    #[serde(serialize_with = "iso")]
    pub start_ts: i64,
    #[serde(serialize_with = "iso")]
    pub end_ts: i64,
}

/// The part of a show that someone watched, with one place of the device meanwhile.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[allow(missing_docs, reason = "the columns of the case")]
pub struct ShowView<'a> {
    pub program_id: Option<i64>,
    pub channel_id: i64,
    pub program: Option<&'a str>,
    pub channel: Option<&'a str>,
    #[serde(flatten)]
    pub viewing: Viewing<'a>,
}

/// The part of an ad that someone watched, with one place of the device meanwhile.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[allow(missing_docs, reason = "the columns of the case")]
pub struct AdView<'a> {
    pub ad_id: Option<i64>,
    pub channel_id: i64,
    #[serde(flatten)]
    pub viewing: Viewing<'a>,
}

/// What both kinds of views have in common: who, on which device, where, when.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[allow(missing_docs, reason = "the columns of the case")]
pub struct Viewing<'a> {
    pub user_id: i64,
    pub name: Option<&'a str>,
    pub age: Option<i64>,
    pub gender: Option<&'a str>,
    pub device_id: Option<i64>,
    pub lon: Option<f64>,
    pub lat: Option<f64>,
    pub visibility: Option<i64>,
    #[serde(serialize_with = "iso")]
    pub start_ts: i64,
    #[serde(serialize_with = "iso")]
    pub end_ts: i64,
    #[serde(serialize_with = "maybe_iso")]
    pub location_ts: Option<i64>,
}

/// Works out all outputs of `case`, each topic having one partition.
///
/// # Errors
/// If the schedule has a day or a start in another form than dd-MM-yyyy and HH:mm:ss.
pub fn expect(case: &Case) -> Result<Expected<'_>, CaseError> {
    let (actions, actions_late) = on_time(&case.actions.rows, |action| action.action_ts, ACTIONS_LATENESS);
    let (ads, ads_late) = on_time(&case.ads.rows, |ad| ad.start_ts, OTHER_LATENESS);
    let (places, device_locations_late) = on_time(&case.places.rows, |place| place.ts, OTHER_LATENESS);

    let shows = shows(case)?;
    let (sessions, sessions_too_long) = sessions(&actions);
    let places = group(places, |place| place.device_id);
    let (show_views, ad_views) = (
        show_views(case, &sessions, &shows, &places),
        ad_views(case, &sessions, &group(ads, |ad| ad.channel_id), &places),
    );
    Ok(Expected {
        shows,
        sessions,
        show_views,
        ad_views,
        counts: Counts {
            actions_late,
            actions_dead: case.actions.dead,
            ads_late,
            ads_dead: case.ads.dead,
            device_locations_late,
            device_locations_dead: case.places.dead,
            sessions_too_long,
        },
    })
}

/// The rows that are not late, and how many are. A row is late iff its time lies more than `bound` seconds behind the
/// greatest one before it.
fn on_time<T>(rows: &[T], time: impl Fn(&T) -> i64, bound: i64) -> (Vec<&T>, usize) {
    let mut kept = Vec::new();
    let mut latest = i64::MIN;
    for row in rows {
        if time(row) >= latest.saturating_sub(bound) {
            kept.push(row);
        }
        latest = latest.max(time(row));
    }
    let late = rows.len() - kept.len();
    (kept, late)
}

/// A show ends where the next one of its channel and day starts, the last one of a day at 24:00.
fn shows(case: &Case) -> Result<Vec<Show<'_>>, CaseError> {
    let mut shows = Vec::new();
    for channel in case.channels.values() {
        let wrong = |what, text: &str, form| CaseError::Schedule {
            channel_id: channel.channel_id,
            what,
            text: text.to_owned(),
            form,
        };
        for (day, programs) in &channel.schedule {
            let midnight = text::parse_day(day).ok_or_else(|| wrong("day", day, "dd-MM-yyyy"))?;
            let mut starts = Vec::new();
            for program in programs {
                let start = text::parse_clock(&program.start)
                    .ok_or_else(|| wrong("start", &program.start, "HH:mm:ss"))?;
                starts.push((midnight + start, program));
            }
            starts.sort_by_key(|(start, _)| *start);
            for (i, (start, program)) in starts.iter().enumerate() {
                shows.push(Show {
                    channel_id: channel.channel_id,
                    channel: channel.channel.as_deref(),
                    program_id: program.program_id,
                    program: program.program.as_deref(),
                    start_ts: *start,
                    end_ts: starts.get(i + 1).map_or(midnight + text::DAY, |(next, _)| *next),
                });
            }
        }
    }
    Ok(shows)
}

/// A session is a start or switch whose next action of the same user and device is a stop or switch, within a day.
fn sessions(actions: &[&Action]) -> (Vec<Session>, usize) {
    let mut by_user_and_device = BTreeMap::<_, Vec<&Action>>::new();
    for action in actions {
        by_user_and_device.entry((action.user_id, action.device_id)).or_default().push(action);
    }
    let mut sessions = Vec::new();
    let mut too_long = 0;
    for ((user_id, device_id), mut actions) in by_user_and_device {
        // This sort is stable: actions at one instant keep the order in which they arrived.
        actions.sort_by_key(|action| action.action_ts);
        for pair in actions.windows(2) {
            let [this, next] = pair else { continue };
            if !matches!(this.action, Some(1 | 3)) || !matches!(next.action, Some(2 | 3)) {
                continue;
            }
            if next.action_ts - this.action_ts > LONGEST_SESSION {
                too_long += 1;
                continue;
            }
            sessions.push(Session {
                user_id,
                device_id,
                channel_id: this.channel_id,
                start_ts: this.action_ts,
                end_ts: next.action_ts,
            });
        }
    }
    (sessions, too_long)
}

fn show_views<'a>(
    case: &'a Case,
    sessions: &[Session],
    shows: &[Show<'a>],
    places: &HashMap<i64, Vec<&Place>>,
) -> Vec<ShowView<'a>> {
    let shows = group(shows.iter().collect(), |show| Some(show.channel_id));
    let mut views = Vec::new();
    for session in sessions {
        let Some(channel_id) = session.channel_id else { continue };
        for show in shows.get(&channel_id).into_iter().flatten() {
            for viewing in viewings(case, session, show.start_ts, show.end_ts, places) {
                views.push(ShowView {
                    program_id: show.program_id,
                    channel_id,
                    program: show.program,
                    channel: show.channel,
                    viewing,
                });
            }
        }
    }
    views
}

fn ad_views<'a>(
    case: &'a Case,
    sessions: &[Session],
    ads: &HashMap<i64, Vec<&Ad>>,
    places: &HashMap<i64, Vec<&Place>>,
) -> Vec<AdView<'a>> {
    let mut views = Vec::new();
    for session in sessions {
        let Some(channel_id) = session.channel_id else { continue };
        for ad in ads.get(&channel_id).into_iter().flatten() {
            let Some(duration_secs) = ad.duration_secs else { continue };
            for viewing in viewings(case, session, ad.start_ts, ad.start_ts + duration_secs, places) {
                views.push(AdView { ad_id: ad.ad_id, channel_id, viewing });
            }
        }
    }
    views
}

/// The views of something that ran on the session's channel from `start` to `end`: none if they do not meet or nobody
/// knows the user, else one for each place of the device meanwhile, else one without a place. All bounds are inclusive.
fn viewings<'a>(
    case: &'a Case,
    session: &Session,
    start: i64,
    end: i64,
    places: &HashMap<i64, Vec<&Place>>,
) -> Vec<Viewing<'a>> {
    if session.start_ts > end || session.end_ts < start {
        return Vec::new();
    }
    let Some(user) = session.user_id.and_then(|user_id| case.users.get(&user_id)) else { return Vec::new() };
    let nowhere = Viewing {
        user_id: user.user_id,
        name: user.name.as_deref(),
        age: user.age,
        gender: user.gender.as_deref(),
        device_id: session.device_id,
        lon: None,
        lat: None,
        visibility: None,
        start_ts: start.max(session.start_ts),
        end_ts: end.min(session.end_ts),
        location_ts: None,
    };
    let mut views = Vec::new();
    if let Some(device_id) = session.device_id {
        for place in places.get(&device_id).into_iter().flatten() {
            if nowhere.start_ts <= place.ts && place.ts <= nowhere.end_ts {
                views.push(Viewing {
                    lon: place.lon,
                    lat: place.lat,
                    visibility: place.visibility,
                    location_ts: Some(place.ts),
                    ..nowhere.clone()
                });
            }
        }
    }
    if views.is_empty() {
        views.push(nowhere);
    }
    views
}

/// Rows by their key; a null equals nothing, so rows with a null key are in no group.
fn group<'a, T>(rows: Vec<&'a T>, key: impl Fn(&T) -> Option<i64>) -> HashMap<i64, Vec<&'a T>> {
    let mut groups = HashMap::<i64, Vec<&'a T>>::new();
    for row in rows {
        if let Some(key) = key(row) {
            groups.entry(key).or_default().push(row);
        }
    }
    groups
}

impl Expected<'_> {
    /// Writes `expected_*.jsonl` and `expected_counts.json` into `folder`.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), CaseError> {
        let [shows, sessions, show_views, ad_views] = OUTPUTS.map(|output| folder.join(output.file));
        write_rows(&shows, &self.shows)?;
        write_rows(&sessions, &self.sessions)?;
        write_rows(&show_views, &self.show_views)?;
        write_rows(&ad_views, &self.ad_views)?;
        write_rows(&folder.join(COUNTS_FILE), std::slice::from_ref(&self.counts))
    }
}

fn write_rows<T: Serialize>(path: &Path, rows: &[T]) -> Result<(), CaseError> {
    let failed = |source| CaseError::File { what: "write", path: path.to_owned(), source };
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path).map_err(failed)?);
    for row in rows {
        let mut line = text::line(row).map_err(CaseError::Row)?;
        line.push(b'\n');
        file.write_all(&line).map_err(failed)?;
    }
    file.flush().map_err(failed)
}

fn iso<S: Serializer>(epoch: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    let text =
        text::iso(*epoch).ok_or_else(|| S::Error::custom(format!("{epoch} is no time of the calendar")))?;
    serializer.serialize_str(&text)
}

fn maybe_iso<S: Serializer>(epoch: &Option<i64>, serializer: S) -> Result<S::Ok, S::Error> {
    match epoch {
        Some(epoch) => iso(epoch, serializer),
        None => serializer.serialize_none(),
    }
}

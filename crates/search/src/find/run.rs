//! Runs a search.

use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};
use tantivy::SegmentReader;
use tantivy::query::{AllQuery, EnableScoring, Query, Weight};

use super::answer::{HitSpec, hits_json};
use super::hits::{SegmentTop, Top};
use super::output::{Out, single};
use super::request::Request;
use super::sort::{Columns, needs_score};
use crate::agg::{self, Partial};
use crate::engine::{Engine, Snapshot};
use crate::error::EsResult;
use crate::mapping::{Mapping, date};
use crate::query::{self, QueryContext};

/// Documents are handed on so many at a time.
const CHUNK: usize = 1 << 18;

/// One index as a search sees it.
pub(crate) struct Target {
    pub(crate) engine: Arc<Engine>,
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) mapping: Arc<Mapping>,
}

/// All indices of a search.
pub(crate) struct Targets(pub(crate) Vec<Target>);

impl Targets {
    pub(crate) fn new(engines: Vec<Arc<Engine>>) -> Targets {
        let target = |engine: Arc<Engine>| Target {
            // The mapping may know more than the snapshot, never less.
            snapshot: engine.snapshot(),
            mapping: engine.mapping(),
            engine,
        };
        Targets(engines.into_iter().map(target).collect())
    }
}

impl Target {
    fn context(&self, now: i64) -> QueryContext<'_> {
        QueryContext {
            mapping: &self.mapping,
            fields: &self.engine.fields,
            index: &self.engine.name,
            now,
            depth: 0,
        }
    }

    fn weight(&self, json: Option<&Value>, now: i64, scored: bool) -> EsResult<Box<dyn Weight>> {
        let query: Box<dyn Query> = match json {
            Some(json) => query::parse(self.context(now), json)?,
            None => Box::new(AllQuery),
        };
        let searcher = &self.snapshot.searcher;
        let scoring = if scored {
            EnableScoring::enabled_from_searcher(searcher)
        } else {
            EnableScoring::disabled_from_searcher(searcher)
        };
        Ok(query.weight(scoring)?)
    }
}

/// What was found.
#[derive(Default)]
struct Found {
    total: u64,
    top: Top,
    aggs: Vec<Partial>,
}

/// How many documents match a query.
pub(crate) fn count(engines: Vec<Arc<Engine>>, request: &Request) -> EsResult<u64> {
    let now = date::now();
    let mut total = 0;
    for target in &Targets::new(engines).0 {
        let weight = target.weight(request.query.as_ref(), now, false)?;
        for reader in target.snapshot.searcher.segment_readers() {
            total += u64::from(weight.count(reader)?);
        }
    }
    Ok(total)
}

/// The whole answer of a search.
pub(crate) fn search(engines: Vec<Arc<Engine>>, request: &Request) -> EsResult<Out> {
    let started = Instant::now();
    let now = date::now();
    let targets = Targets::new(engines);
    let mut found = Found { top: Top::new(request.from + request.size), ..Found::default() };
    for index in 0..targets.0.len() {
        run_index(&targets, index, request, now, &mut found)?;
    }
    let shards = targets.0.len();
    let mut members: Vec<(String, Out)> = Vec::new();
    members.push(("took".into(), u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX).into()));
    members.push(("timed_out".into(), false.into()));
    members.push((
        "_shards".into(),
        json!({"total": shards, "successful": shards, "skipped": 0, "failed": 0}).into(),
    ));
    members.push(("hits".into(), hits(&targets, request, &found)?));
    if !request.aggs.is_empty() {
        let show = agg::Show::new(&targets, request.typed_keys, now);
        members.push(("aggregations".into(), Out::Object(agg::show(&show, &request.aggs, found.aggs)?)));
    }
    Ok(Out::Object(members))
}

fn hits(targets: &Targets, request: &Request, found: &Found) -> EsResult<Out> {
    let scored = !request.sorted || needs_score(&request.sorts) || request.track_scores;
    let spec = HitSpec {
        sorts: &request.sorts,
        sorted: request.sorted,
        source: &request.source,
        version: request.version,
        seq_no: request.seq_no,
        fields: &request.fields,
        scored,
    };
    let mut members: Vec<(String, Out)> = Vec::new();
    if let Some(limit) = request.track_total {
        let (value, relation) = if found.total > limit { (limit, "gte") } else { (found.total, "eq") };
        members.push(("total".into(), json!({"value": value, "relation": relation}).into()));
    }
    let max = found.top.hits.iter().map(|hit| hit.score).reduce(f32::max).filter(|_| scored);
    members.push(("max_score".into(), max.map_or(Value::Null, |score| single(score.into())).into()));
    let shown = found.top.hits.get(request.from..).unwrap_or_default();
    members.push(("hits".into(), Out::Array(hits_json(targets, &spec, shown)?)));
    Ok(Out::Object(members))
}

/// Feeds what one segment has.
struct Feed<'a> {
    segment: agg::Segment<'a>,
    request: &'a Request,
    aggs: Vec<agg::Bound<'a>>,
    post_filter: Option<tantivy::BitSet>,
    docs: Vec<u32>,
    scores: Vec<f32>,
}

fn run_index(
    targets: &Targets,
    index: usize,
    request: &Request,
    now: i64,
    found: &mut Found,
) -> EsResult<()> {
    let Some(target) = targets.0.get(index) else { return Ok(()) };
    let scored = request.scores();
    let weight = target.weight(request.query.as_ref(), now, scored)?;
    let post_filter = match &request.post_filter {
        Some(json) => Some(target.weight(Some(json), now, false)?),
        None => None,
    };
    let hits = request.from + request.size;
    let readers = target.snapshot.searcher.segment_readers();
    if readers.is_empty() {
        // What is wrong with a request is said of an empty index, too.
        return check(target, request);
    }
    for (ord, reader) in readers.iter().enumerate() {
        if hits == 0 && request.aggs.is_empty() && request.min_score.is_none() && post_filter.is_none() {
            found.total += u64::from(weight.count(reader)?);
            continue;
        }
        let segment = agg::Segment {
            reader,
            snapshot: &target.snapshot,
            query: target.context(now),
            index,
            segment: ord as u32,
        };
        let columns = open_columns(target, request, ord, reader)?;
        let after = match (&request.after, &columns) {
            (Some(values), Some(columns)) => Some(columns.after(&request.sorts, &target.mapping, values)?),
            _ => None,
        };
        let mut top = columns.as_ref().map(|columns| {
            SegmentTop::new(&request.sorts, columns, after.as_deref(), hits, index, ord as u32)
        });
        let mut feed = Feed {
            aggs: agg::bind(&request.aggs, segment)?,
            post_filter: post_filter.as_ref().map(|weight| documents(&**weight, reader)).transpose()?,
            segment,
            request,
            docs: Vec::new(),
            scores: Vec::new(),
        };
        feed.run(&*weight, scored, top.as_mut(), found)?;
        if let Some(top) = top {
            top.finish(&mut found.top, &request.sorts)?;
        }
    }
    Ok(())
}

fn open_columns(
    target: &Target,
    request: &Request,
    ord: usize,
    reader: &SegmentReader,
) -> EsResult<Option<Columns>> {
    if request.from + request.size == 0 {
        return Ok(None);
    }
    let (mapping, name) = (&target.mapping, &target.engine.name);
    Columns::open(&request.sorts, mapping, name, &target.snapshot, ord, reader).map(Some)
}

/// Looks for what [`Columns::open`] and [`agg::bind`] would refuse: fields of no fitting type.
fn check(target: &Target, request: &Request) -> EsResult<()> {
    if request.from + request.size > 0 {
        Columns::check(&request.sorts, &target.mapping, &target.engine.name)?;
    }
    Ok(())
}

fn documents(weight: &dyn Weight, reader: &SegmentReader) -> EsResult<tantivy::BitSet> {
    let mut found = tantivy::BitSet::with_max_value(reader.max_doc());
    weight.for_each_no_score(reader, &mut |docs| {
        for doc in docs {
            found.insert(*doc);
        }
    })?;
    Ok(found)
}

impl Feed<'_> {
    fn run(
        &mut self,
        weight: &dyn Weight,
        scored: bool,
        mut top: Option<&mut SegmentTop<'_>>,
        found: &mut Found,
    ) -> EsResult<()> {
        let alive = self.segment.reader.alive_bitset();
        let mut failed = Ok(());
        if scored {
            weight.for_each(self.segment.reader, &mut |doc, score| {
                let low = self.request.min_score.is_some_and(|least| score < least);
                if failed.is_err() || low || alive.is_some_and(|alive| alive.is_deleted(doc)) {
                    return;
                }
                self.docs.push(doc);
                self.scores.push(score);
                if self.docs.len() >= CHUNK {
                    failed = self.flush(top.as_deref_mut(), found);
                }
            })?;
        } else {
            weight.for_each_no_score(self.segment.reader, &mut |docs| {
                if failed.is_err() {
                    return;
                }
                match alive {
                    Some(alive) => self.docs.extend(docs.iter().filter(|doc| alive.is_alive(**doc))),
                    None => self.docs.extend(docs),
                }
                if self.docs.len() >= CHUNK {
                    failed = self.flush(top.as_deref_mut(), found);
                }
            })?;
        }
        failed?;
        self.flush(top, found)
    }

    fn flush(&mut self, top: Option<&mut SegmentTop<'_>>, found: &mut Found) -> EsResult<()> {
        if !self.aggs.is_empty() && !self.docs.is_empty() {
            let scores = agg::Scores { docs: &self.docs, scores: &self.scores };
            let partials = agg::collect_all(&self.aggs, &self.docs, scores)?;
            agg::merge(&self.request.aggs, &mut found.aggs, partials);
        }
        let mut matched = 0;
        let mut scores = self.scores.iter();
        let mut top = top;
        for doc in &self.docs {
            let score = scores.next().copied().unwrap_or(1.0);
            if self.post_filter.as_ref().is_some_and(|filter| !filter.contains(*doc)) {
                continue;
            }
            matched += 1;
            if let Some(top) = &mut top {
                top.collect(*doc, score);
            }
        }
        found.total += matched;
        self.docs.clear();
        self.scores.clear();
        Ok(())
    }
}

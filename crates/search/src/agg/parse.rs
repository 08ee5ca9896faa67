//! Reads aggregations.

use serde_json::{Map, Value};

use super::body::Body;
use super::interval::{Interval, calendar, fixed, offset};
use super::order::{By, Order};
use super::{Agg, Aggs, Histogram, Kind, Metric, OneRange, Range, Terms, TopHits};
use crate::error::{EsError, EsResult};
use crate::find::Request;
use crate::mapping::{date, plain};

/// Reads `aggs`.
pub(crate) fn parse(json: &Value) -> EsResult<Aggs> {
    parse_depth(json, 0)
}

fn parse_depth(json: &Value, depth: usize) -> EsResult<Aggs> {
    let Value::Object(members) = json else {
        return Err(EsError::parsing("Expected [START_OBJECT] under [aggs]"));
    };
    if depth > 20 {
        return Err(EsError::illegal("aggregations are nested deeper than 20"));
    }
    let mut aggs = Vec::new();
    for (name, definition) in members {
        if name.is_empty() || name.contains(['[', ']', '>']) {
            return Err(EsError::parsing(format!(
                "Invalid aggregation name [{name}]. Aggregation names can contain any character except '[', ']', and '>'"
            )));
        }
        aggs.push((name.clone(), one(name, definition, depth)?));
    }
    Ok(Aggs(aggs))
}

fn one(name: &str, definition: &Value, depth: usize) -> EsResult<Agg> {
    let Value::Object(definition) = definition else {
        return Err(EsError::parsing(format!(
            "Aggregation definition for [{name}] starts with a [VALUE_STRING], expected a [START_OBJECT]."
        )));
    };
    let (mut kind, mut subs, mut meta) = (None, Aggs::default(), None);
    for (key, body) in definition {
        match key.as_str() {
            "aggs" | "aggregations" => subs = parse_depth(body, depth + 1)?,
            "meta" => meta = Some(body.clone()),
            type_name => {
                if let Some((first, _)) = &kind {
                    return Err(EsError::parsing(format!(
                        "Found two aggregation type definitions in [{name}]: [{first}] and [{type_name}]"
                    )));
                }
                let empty = Map::new();
                let members = match body {
                    Value::Object(members) => members,
                    _ => &empty,
                };
                kind = Some((type_name, kind_of(name, type_name, members, body)?));
            }
        }
    }
    let Some((type_name, kind)) = kind else {
        return Err(EsError::parsing(format!("Missing definition for aggregation [{name}]")));
    };
    let metric = matches!(
        kind,
        Kind::Metric(..) | Kind::Cardinality { .. } | Kind::Percentiles { .. } | Kind::TopHits(_)
    );
    if metric && !subs.is_empty() {
        return Err(EsError::new(
            400,
            "aggregation_initialization_exception",
            format!("Aggregator [{name}] of type [{type_name}] cannot accept sub-aggregations"),
        ));
    }
    check_order(&kind, &subs)?;
    Ok(Agg { kind, subs, meta })
}

fn check_order(kind: &Kind, subs: &Aggs) -> EsResult<()> {
    let orders = match kind {
        Kind::Terms(terms) => &terms.order,
        Kind::Histogram(histogram) => &histogram.order,
        _ => return Ok(()),
    };
    for order in orders {
        let By::Metric { name, value } = &order.by else { continue };
        let Some((_, sub)) = subs.0.iter().find(|(sub, _)| sub == name) else {
            return Err(EsError::new(
                400,
                "aggregation_execution_exception",
                format!(
                    "Invalid aggregation order path [{name}]. The provided aggregation [{name}] either does not exist, or is a pipeline \
                     aggregation and cannot be used to sort the buckets."
                ),
            )
            .on_shard());
        };
        let stats = matches!(sub.kind, Kind::Metric(Metric::Stats, _));
        let fits = match (&sub.kind, value.as_deref()) {
            (Kind::Metric(..), Some("count" | "sum" | "avg" | "min" | "max")) if stats => true,
            (Kind::Metric(..) | Kind::Cardinality { .. }, None | Some("value")) => !stats,
            (Kind::Filter(_) | Kind::Missing(_), None | Some("_count" | "doc_count")) => true,
            _ => false,
        };
        if !fits {
            return Err(EsError::illegal(format!("ordering buckets by [{name}] this way is not supported")));
        }
    }
    Ok(())
}

fn kind_of(name: &str, kind: &str, members: &Map<String, Value>, raw: &Value) -> EsResult<Kind> {
    let body = Body { name, kind, members };
    let metric = |metric: Metric| -> EsResult<Kind> {
        body.known(&["field", "missing", "format"])?;
        Ok(Kind::Metric(metric, body.source()?))
    };
    match kind {
        "terms" => terms(&body),
        "date_histogram" => date_histogram(&body),
        "histogram" => histogram(&body),
        "range" => range(&body, false),
        "date_range" => range(&body, true),
        "filter" => Ok(Kind::Filter(raw.clone())),
        "filters" => filters(&body),
        "missing" => {
            body.known(&["field"])?;
            Ok(Kind::Missing(body.field()?))
        }
        "sum" => metric(Metric::Sum),
        "avg" => metric(Metric::Avg),
        "min" => metric(Metric::Min),
        "max" => metric(Metric::Max),
        "value_count" => metric(Metric::ValueCount),
        "stats" => metric(Metric::Stats),
        "cardinality" => {
            body.known(&["field", "missing", "precision_threshold", "execution_hint"])?;
            let threshold = body.whole("precision_threshold", 3000)?.min(40_000);
            Ok(Kind::Cardinality { source: body.source()?, threshold: threshold as usize })
        }
        "percentiles" => percentiles(&body),
        "top_hits" => top_hits(&body),
        known if KNOWN.contains(&known) => {
            Err(EsError::illegal(format!("aggregation type [{known}] is not supported by this server")))
        }
        unknown => {
            let cause = EsError::new(
                400,
                "named_object_not_found_exception",
                format!("[1:1] unknown field [{unknown}]"),
            );
            Err(EsError::parsing(format!("Unknown aggregation type [{unknown}]")).because(cause))
        }
    }
}

/// Aggregations of Elasticsearch that are not done here.
const KNOWN: &[&str] = &[
    "adjacency_matrix",
    "auto_date_histogram",
    "avg_bucket",
    "bucket_correlation",
    "bucket_count_ks_test",
    "bucket_script",
    "bucket_selector",
    "bucket_sort",
    "boxplot",
    "categorize_text",
    "change_point",
    "children",
    "composite",
    "cumulative_cardinality",
    "cumulative_sum",
    "derivative",
    "diversified_sampler",
    "extended_stats",
    "extended_stats_bucket",
    "frequent_item_sets",
    "geo_bounds",
    "geo_centroid",
    "geo_distance",
    "geo_line",
    "geohash_grid",
    "geohex_grid",
    "geotile_grid",
    "global",
    "inference",
    "ip_prefix",
    "ip_range",
    "matrix_stats",
    "max_bucket",
    "median_absolute_deviation",
    "min_bucket",
    "moving_fn",
    "moving_percentiles",
    "multi_terms",
    "nested",
    "normalize",
    "parent",
    "percentile_ranks",
    "percentiles_bucket",
    "random_sampler",
    "rare_terms",
    "rate",
    "reverse_nested",
    "sampler",
    "scripted_metric",
    "serial_diff",
    "significant_terms",
    "significant_text",
    "stats_bucket",
    "string_stats",
    "sum_bucket",
    "t_test",
    "time_series",
    "top_metrics",
    "variable_width_histogram",
    "weighted_avg",
];

fn terms(body: &Body<'_>) -> EsResult<Kind> {
    body.known(&[
        "field",
        "size",
        "shard_size",
        "min_doc_count",
        "shard_min_doc_count",
        "order",
        "missing",
        "include",
        "exclude",
        "execution_hint",
        "collect_mode",
        "show_term_doc_count_error",
        "format",
    ])?;
    if body.flag("show_term_doc_count_error") {
        return Err(EsError::illegal("[show_term_doc_count_error] is not supported"));
    }
    let list = |key: &str| -> EsResult<Option<Vec<String>>> {
        match body.get(key) {
            None => Ok(None),
            Some(Value::Array(items)) => Ok(Some(items.iter().map(plain).collect())),
            Some(_) => Err(EsError::illegal(format!(
                "[{key}] of a terms aggregation must be an array of exact values here"
            ))),
        }
    };
    let size = body.whole("size", 10)? as usize;
    if size == 0 {
        return Err(EsError::illegal(format!("[size] must be greater than 0. Found [0] in [{}]", body.name)));
    }
    let default = vec![Order { by: By::Count, descending: true }];
    Ok(Kind::Terms(Terms {
        source: body.source()?,
        size,
        min_doc_count: body.whole("min_doc_count", 1)?,
        order: body.order(default)?,
        include: list("include")?,
        exclude: list("exclude")?.unwrap_or_default(),
    }))
}

fn date_histogram(body: &Body<'_>) -> EsResult<Kind> {
    body.known(&[
        "field",
        "calendar_interval",
        "fixed_interval",
        "offset",
        "time_zone",
        "min_doc_count",
        "extended_bounds",
        "hard_bounds",
        "format",
        "keyed",
        "order",
        "missing",
    ])?;
    if let Some(zone) = body.get("time_zone").map(plain)
        && date::time_zone(&zone)? != 0
    {
        return Err(EsError::illegal(format!(
            "[time_zone] of a date_histogram must be UTC here, not [{zone}]"
        )));
    }
    let shift = body.get("offset").map(offset).transpose()?.unwrap_or(0);
    let interval = match (body.get("calendar_interval"), body.get("fixed_interval")) {
        (Some(text), None) => Interval::Calendar {
            unit: calendar(&plain(text)).map_err(|cause| {
                EsError::x_content("[1:1] [date_histogram] failed to parse field [calendar_interval]")
                    .because(cause)
            })?,
            offset: shift,
        },
        (None, Some(text)) => Interval::Fixed { width: fixed(&plain(text))?, offset: shift },
        (Some(_), Some(_)) => {
            return Err(EsError::illegal(
                "Cannot use [fixed_interval] with [calendar_interval] configuration option.",
            ));
        }
        (None, None) => {
            return Err(
                EsError::illegal("Invalid interval specified, must be non-null and non-empty").on_shard()
            );
        }
    };
    Ok(Kind::Histogram(Box::new(Histogram {
        source: body.source()?,
        interval,
        min_doc_count: body.whole("min_doc_count", 0)?,
        order: body.order(Vec::new())?,
        extended: body.bounds("extended_bounds")?,
        hard: body.bounds("hard_bounds")?,
        keyed: body.flag("keyed"),
        dates: true,
    })))
}

fn histogram(body: &Body<'_>) -> EsResult<Kind> {
    body.known(&[
        "field",
        "interval",
        "offset",
        "min_doc_count",
        "extended_bounds",
        "hard_bounds",
        "keyed",
        "order",
        "missing",
    ])?;
    let number = |key: &str| body.get(key).map(|value| plain(value).parse::<f64>());
    let width = match number("interval") {
        Some(Ok(width)) if width > 0.0 && width.is_finite() => width,
        _ => {
            return Err(EsError::illegal(format!(
                "[interval] must be >0 for histogram aggregation [{}]",
                body.name
            )));
        }
    };
    let offset = number("offset")
        .transpose()
        .map_err(|_| EsError::illegal("[offset] must be a number"))?
        .unwrap_or(0.0);
    Ok(Kind::Histogram(Box::new(Histogram {
        source: body.source()?,
        interval: Interval::Number { width, offset },
        min_doc_count: body.whole("min_doc_count", 0)?,
        order: body.order(Vec::new())?,
        extended: body.bounds("extended_bounds")?,
        hard: body.bounds("hard_bounds")?,
        keyed: body.flag("keyed"),
        dates: false,
    })))
}

fn range(body: &Body<'_>, dates: bool) -> EsResult<Kind> {
    body.known(&["field", "ranges", "keyed", "missing", "format"])?;
    let ranges = body.get("ranges").and_then(Value::as_array).filter(|ranges| !ranges.is_empty());
    let ranges = ranges.ok_or_else(|| {
        EsError::illegal(format!("No [ranges] specified for the [{}] aggregation", body.name))
    })?;
    let mut parsed = Vec::new();
    for range in ranges {
        let mut one = OneRange { key: None, from: None, to: None };
        for (key, value) in range.as_object().into_iter().flatten() {
            match key.as_str() {
                "key" => one.key = Some(plain(value)),
                "from" => one.from = Some(value.clone()).filter(|value| !value.is_null()),
                "to" => one.to = Some(value.clone()).filter(|value| !value.is_null()),
                _ => return Err(EsError::x_content(format!("[1:1] [range] unknown field [{key}]"))),
            }
        }
        parsed.push(one);
    }
    Ok(Kind::Range(Range { source: body.source()?, ranges: parsed, keyed: body.flag("keyed"), dates }))
}

fn filters(body: &Body<'_>) -> EsResult<Kind> {
    body.known(&["filters", "other_bucket", "other_bucket_key"])?;
    let (filters, keyed) = match body.get("filters") {
        Some(Value::Object(named)) => {
            (named.iter().map(|(name, query)| (name.clone(), query.clone())).collect::<Vec<_>>(), true)
        }
        Some(Value::Array(items)) => {
            (items.iter().map(|query| (String::new(), query.clone())).collect(), false)
        }
        _ => {
            return Err(EsError::illegal(format!(
                "[filters] must be given for the [{}] aggregation",
                body.name
            )));
        }
    };
    let key = body.get("other_bucket_key").map(plain);
    let other = (body.flag("other_bucket") || key.is_some()).then(|| key.unwrap_or_else(|| "_other_".into()));
    Ok(Kind::Filters { filters, keyed, other })
}

fn percentiles(body: &Body<'_>) -> EsResult<Kind> {
    body.known(&["field", "percents", "keyed", "missing"])?;
    let percents = match body.get("percents") {
        None => vec![1.0, 5.0, 25.0, 50.0, 75.0, 95.0, 99.0],
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_f64).collect(),
        Some(_) => return Err(EsError::illegal("[percents] must be an array of numbers")),
    };
    if percents.is_empty() || percents.iter().any(|percent| !(0.0..=100.0).contains(percent)) {
        return Err(EsError::illegal(format!(
            "percent must be in [0,100], got {percents:?}: [{}]",
            body.name
        )));
    }
    let keyed = body.get("keyed").is_none_or(|keyed| plain(keyed) == "true");
    Ok(Kind::Percentiles { source: body.source()?, percents, keyed })
}

fn top_hits(body: &Body<'_>) -> EsResult<Kind> {
    body.known(&[
        "from",
        "size",
        "sort",
        "_source",
        "version",
        "seq_no_primary_term",
        "fields",
        "docvalue_fields",
        "track_scores",
    ])?;
    let mut members = body.members.clone();
    members.entry("size").or_insert(Value::from(3));
    let request = Request::parse(&Value::Object(members), &std::collections::BTreeMap::new())?;
    if request.from + request.size > 100 {
        return Err(EsError::illegal(format!(
            "Top hits result window is too large, the top hits aggregator [{}]'s from + size must be less than or equal to: [100] but was \
             [{}]. This limit can be set by changing the [index.max_inner_result_window] index level setting.",
            body.name,
            request.from + request.size
        ))
        .on_shard());
    }
    Ok(Kind::TopHits(TopHits {
        from: request.from,
        size: request.size,
        sorts: request.sorts,
        sorted: request.sorted,
        source: request.source,
        version: request.version,
        seq_no: request.seq_no,
        fields: request.fields,
    }))
}

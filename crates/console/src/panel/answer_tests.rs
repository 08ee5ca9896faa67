use super::*;

fn split(order: &[&str]) -> Split {
    let order = order.iter().map(|s| (*s).to_owned()).collect();
    Split { field: "k".into(), limit: 3, order, labels: None }
}

fn newest(viewers: i64) -> Value {
    json!({"hits": {"hits": [{"_source": {"viewers": viewers}}]}})
}

#[test]
fn lines_are_put_on_one_grid_and_carried_forward() {
    let window = Window::new(0, 3999, Some(1000));
    assert_eq!((window.from, window.to), (0, 4000));
    let metric = Metric::Last("viewers".into());
    let answer = json!({"aggregations": {"by": {"buckets": [
        {"key": 57, "doc_count": 2, "time": {"buckets": [
            {"key": 1000, "doc_count": 1, "value": newest(5)},
            {"key": 3000.0, "doc_count": 1, "value": newest(7)},
            {"key": 9000, "doc_count": 1, "value": newest(8)},
        ]}},
        {"key": 9, "doc_count": 1, "time": {"buckets": []}},
    ]}}});
    let by = split(&[]);
    let mut lines = lines(&answer, &metric, Some(&by), &window);
    assert_eq!(lines["57"], [None, Some(5.0), None, Some(7.0)]);
    let seeds = HashMap::from([("9".to_owned(), 2.0), ("60".to_owned(), 1.0)]);
    carry(&mut lines, &seeds, 4);
    let names = Names::from([("57".to_owned(), "BBC".to_owned())]);
    let series = series(lines, Some(&by), &metric, &names);
    assert_eq!(
        json!(series),
        json!([
            {"key": "9", "name": "9", "values": [2, 2, 2, 2]},
            {"key": "57", "name": "BBC", "values": [null, 5, 5, 7]},
            {"key": "60", "name": "60", "values": [1, 1, 1, 1]},
        ])
    );
}

#[test]
fn kept_lines_move_with_the_window_and_take_what_is_new() {
    let window = |from: i64, to: i64| Window { from, to, interval: 1000 };
    let kept = Lines::from_iter([("a".into(), vec![Some(0.0), Some(1.0), None, Some(3.0)])]);
    let to = window(2000, 6000);
    let mut lines = moved(&kept, &window(1000, 5000), &to, 4000);
    assert_eq!(lines["a"], [Some(1.0), None, None, None], "what is asked for anew is left out");
    let new = Lines::from_iter([("a".into(), vec![Some(9.0), None]), ("b".into(), vec![None, Some(5.0)])]);
    overlay(&mut lines, &to, new, &window(4000, 6000));
    assert_eq!(lines["a"], [Some(1.0), None, Some(9.0), None]);
    assert_eq!(lines["b"], [None, None, None, Some(5.0)]);
}

#[test]
fn rates_have_no_gaps_where_samples_are_further_apart_than_intervals() {
    let window = Window { from: 0, to: 5000, interval: 1000 };
    let samples = [(500, 0.0), (1600, 11.0), (2700, 33.0), (9000, 33.0)];
    let rates: Vec<Value> = super::rates(&samples, &window).into_iter().map(number).collect();
    assert_eq!(json!(rates), json!([10, 14, 14, 0, 0]));
    assert_eq!(super::rates(&[], &window), [None; 5]);
    assert_eq!(super::rates(&[(0, 1.0)], &window), [None; 5]);
}

#[test]
fn the_greatest_lines_are_kept() {
    let line = |n: f64| vec![None, Some(n), Some(n)];
    let mut lines =
        Lines::from_iter([("a".into(), line(1.0)), ("b".into(), line(3.0)), ("c".into(), line(2.0))]);
    greatest(&mut lines, 2);
    assert_eq!(lines.keys().collect::<Vec<_>>(), ["b", "c"]);
}

#[test]
fn an_interval_without_rows_counts_zero_but_has_no_mean() {
    let window = Window::new(0, 1999, Some(1000));
    let of = |metric: Metric, value: Value| {
        let answer = json!({"aggregations": {"time": {"buckets": [{"key": 1000, "doc_count": 4, "value": {"value": value}}]}}});
        series(lines(&answer, &metric, None, &window), None, &metric, &Names::new())[0]["values"].clone()
    };
    assert_eq!(of(Metric::Count, Value::Null), json!([0, 4]));
    assert_eq!(of(Metric::Sum("a".into()), json!(1.25)), json!([0, 1.25]));
    assert_eq!(of(Metric::Avg("a".into()), json!(0.333_333_333_333)), json!([null, 0.333_333_3]));
}

#[test]
fn bars_are_in_the_files_order_then_by_their_value() {
    let answer = json!({"aggregations": {"by": {"buckets": [
        {"key": "b", "doc_count": 9}, {"key": "a", "doc_count": 7}, {"key": "z", "doc_count": 1}, {"key": "c", "doc_count": 8},
    ]}}});
    let keys = |order: &[&str]| -> Vec<Value> {
        bars(&answer, &Metric::Count, &split(order), &Names::new()).iter().map(|b| b["key"].clone()).collect()
    };
    assert_eq!(keys(&[]), ["b", "c", "a"]);
    assert_eq!(keys(&["z", "nope"]), ["z", "b", "c"]);
}

#[test]
fn stacks_have_a_value_for_every_pair() {
    let part = |key: &str, value: f64| json!({"key": key, "doc_count": 1, "value": {"value": value}});
    let answer = json!({"aggregations": {"by": {"buckets": [
        {"key": "18-34", "doc_count": 3, "stack": {"buckets": [part("M", 2.0)]}},
        {"key": "55+", "doc_count": 3, "stack": {"buckets": [part("F", 30.5), part("M", 1.0)]}},
    ]}}});
    let metric = Metric::Sum("minutes".into());
    let names = Names::from([("F".to_owned(), "women".to_owned())]);
    let of = stacks(&answer, &metric, (&split(&["18-34"]), &split(&["F", "M"])), (&Names::new(), &names));
    assert_eq!(
        Value::Object(of),
        json!({"bars": ["18-34", "55+"], "parts": ["women", "M"], "values": [[0, 2], [30.5, 1]]})
    );
}

#[test]
fn places_outside_the_world_are_left_out() {
    let hit = |lon: f64, lat: f64| json!({"_source": {"at": {"lon": lon, "lat": lat}, "name": "Cork"}});
    let answer =
        json!({"hits": {"hits": [hit(-8.0, 53.0), hit(-8.01, 53.01), hit(200.0, 0.0), {"_source": {}}]}});
    let places = single_places(&answer, "at.lon", "at.lat", Some("name"));
    assert_eq!(json!(places), json!([[-8.0, 53.0, 2, "Cork"]]));
    let bucket = json!({"key": "Cork", "doc_count": 3, "lon": {"value": -8.0}, "lat": {"value": null}});
    assert!(super::places(&json!({"aggregations": {"by": {"buckets": [bucket]}}})).is_empty());
}

#[test]
fn answers_that_are_not_as_expected_read_as_empty() {
    for answer in
        [json!(null), json!([]), json!({"aggregations": {"by": {"buckets": {"a": 1}}}}), json!({"hits": 4})]
    {
        assert_eq!(total(&answer), 0);
        assert!(bars(&answer, &Metric::Count, &split(&[]), &Names::new()).is_empty());
        assert!(places(&answer).is_empty() && labels(&answer).is_empty());
        assert_eq!(sorted_time(&answer, "ts"), None);
    }
}

#[test]
fn times_are_read_from_both_forms() {
    let sorted = json!({"hits": {"hits": [{"sort": [1_612_223_747_000_i64]}]}});
    assert_eq!(sorted_time(&sorted, "ts"), Some(1_612_223_747_000));
    let source = json!({"hits": {"hits": [{"_source": {"ts": "2021-02-01T23:55:47Z"}}]}});
    assert_eq!(sorted_time(&source, "ts"), Some(1_612_223_747_000));
}

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]
use super::*;

const NOW: i64 = 1_700_000_000_123; // 2023-11-14T22:13:20.123Z

fn show(result: EsResult<i64>) -> String {
    result.map_or_else(|e| e.reason, |ms| format(ms, None))
}

#[test]
fn iso_dates_of_every_precision_are_read() {
    let table = [
        ("2024", Some("2024-01-01T00:00:00.000Z")),
        ("2024-03", Some("2024-03-01T00:00:00.000Z")),
        ("2024-03-05", Some("2024-03-05T00:00:00.000Z")),
        ("2024-03-05T07", Some("2024-03-05T07:00:00.000Z")),
        ("2024-03-05T07:08:09Z", Some("2024-03-05T07:08:09.000Z")),
        ("2024-03-05T07:08:09.5+01:00", Some("2024-03-05T06:08:09.500Z")),
        ("2024-03-05T07:08:09.123456789-0230", Some("2024-03-05T09:38:09.123Z")),
        ("2024-3-5", None),
        ("2024-13-01", None),
        ("20240305", None),
        ("2024-03-05 07:08", None),
        ("2024-03-05T07:08:09x", None),
        ("hello", None),
        ("", None),
    ];
    for (text, expected) in table {
        assert_eq!(parse_iso(text).map(|(ms, _)| format(ms, None)).as_deref(), expected, "{text}");
    }
}

#[test]
fn date_math_adds_subtracts_and_rounds_both_ways() {
    let formats = parse_format(DEFAULT).unwrap();
    let table = [
        ("now", false, "2023-11-14T22:13:20.123Z"),
        ("now-15m", false, "2023-11-14T21:58:20.123Z"),
        ("now-15m/m", false, "2023-11-14T21:58:00.000Z"),
        ("now/d", true, "2023-11-14T23:59:59.999Z"),
        ("now/w", false, "2023-11-13T00:00:00.000Z"),
        ("now/M", true, "2023-11-30T23:59:59.999Z"),
        ("now+1y-1d/y", false, "2024-01-01T00:00:00.000Z"),
        ("2024-01-31||+1M", false, "2024-02-29T00:00:00.000Z"),
        ("2024-01-31||/M", true, "2024-01-31T23:59:59.999Z"),
        ("2024-01", true, "2024-01-31T23:59:59.999Z"),
        ("1700000000123", true, "2023-11-14T22:13:20.123Z"),
        ("now*2", false, "operator not supported for date math [*2]"),
        (
            "yesterday",
            false,
            "failed to parse date field [yesterday] with format [strict_date_optional_time||epoch_millis]: [failed to parse date field [yesterday] with format [strict_date_optional_time||epoch_millis]]",
        ),
    ];
    for (text, up, expected) in table {
        assert_eq!(show(parse_math(text, &formats, NOW, up, 0)), expected, "{text}");
    }
    assert_eq!(show(parse_math("2024-01-01T00:00", &formats, NOW, false, 3600)), "2023-12-31T23:00:00.000Z");
}

#[test]
fn patterns_are_read_and_written() {
    let formats = parse_format("yyyy-MM-dd HH:mm:ss||epoch_second||dd/MM/yyyy").unwrap();
    for (text, expected) in [
        ("2024-03-05 07:08:09", Some("2024-03-05T07:08:09.000Z")),
        ("05/03/2024", Some("2024-03-05T00:00:00.000Z")),
        ("1700000000", Some("2023-11-14T22:13:20.000Z")),
        ("2024-03-05", None),
    ] {
        assert_eq!(parse(text, &formats).map(|ms| format(ms, None)).as_deref(), expected, "{text}");
    }
    assert_eq!(format(NOW, formats.first()), "2023-11-14 22:13:20");
    assert!(parse_format("QQQ").is_err());
}

-- Who watched which part of which show, and which ad. ISO 8601 strings in UTC sort as the times they stand for.
-- Bounds are inclusive: a touch is a view of zero length. A view's time (ROWTIME) is its session's end.
CREATE STREAM watched_shows AS
SELECT
  x.program_id, s.channel_id, x.program, x.channel,
  s.user_id, u.name, u.age, u.gender, s.device_id,
  GREATEST(s.start_ts, x.start_ts) AS start_ts,
  LEAST(s.end_ts, x.end_ts) AS end_ts
FROM sessions s
JOIN shows x ON s.channel_id = x.channel_id AND s.start_ts <= x.end_ts AND s.end_ts >= x.start_ts
JOIN users u ON s.user_id = u.user_id
EMIT CHANGES;

-- An ad lasts at most an hour and a session 24, so an ad that overlaps a session starts within the 25 hours before its end.
CREATE STREAM watched_ads AS
SELECT
  x.ad_id, s.channel_id,
  s.user_id, u.name, u.age, u.gender, s.device_id,
  GREATEST(s.start_ts, x.start_ts) AS start_ts,
  LEAST(s.end_ts, x.end_ts) AS end_ts
FROM sessions s
JOIN (
  SELECT
    ad_id, channel_id,
    FORMAT_TIMESTAMP(FROM_UNIXTIME(start_ts * 1000), 'yyyy-MM-dd''T''HH:mm:ssX') AS start_ts,
    FORMAT_TIMESTAMP(FROM_UNIXTIME((start_ts + duration_secs) * 1000), 'yyyy-MM-dd''T''HH:mm:ssX') AS end_ts
  FROM ads
) x WITHIN (25 HOURS, 0 SECONDS)
  ON s.channel_id = x.channel_id AND s.start_ts <= x.end_ts AND s.end_ts >= x.start_ts
JOIN users u ON s.user_id = u.user_id
EMIT CHANGES;

-- Each view with every place that its device was at meanwhile; one row with nulls where none is known.
CREATE STREAM show_views AS
SELECT
  v.program_id, v.channel_id, v.program, v.channel, v.user_id, v.name, v.age, v.gender, v.device_id,
  p.coord->lon AS lon, p.coord->lat AS lat, p.visibility AS visibility,
  v.start_ts, v.end_ts, p.location_ts
FROM watched_shows v
LEFT JOIN (
  SELECT id, coord, visibility,
    FORMAT_TIMESTAMP(FROM_UNIXTIME(dt * 1000), 'yyyy-MM-dd''T''HH:mm:ssX') AS location_ts
  FROM device_locations
) p WITHIN (24 HOURS, 0 SECONDS)
  ON v.device_id = p.id AND p.location_ts BETWEEN v.start_ts AND v.end_ts
EMIT CHANGES;

CREATE STREAM ad_views AS
SELECT
  v.ad_id, v.channel_id, v.user_id, v.name, v.age, v.gender, v.device_id,
  p.coord->lon AS lon, p.coord->lat AS lat, p.visibility AS visibility,
  v.start_ts, v.end_ts, p.location_ts
FROM watched_ads v
LEFT JOIN (
  SELECT id, coord, visibility,
    FORMAT_TIMESTAMP(FROM_UNIXTIME(dt * 1000), 'yyyy-MM-dd''T''HH:mm:ssX') AS location_ts
  FROM device_locations
) p WITHIN (24 HOURS, 0 SECONDS)
  ON v.device_id = p.id AND p.location_ts BETWEEN v.start_ts AND v.end_ts
EMIT CHANGES;

-- What the dashboard shows. AS_VALUE writes a key into the row as well, for those who see only that: the search.

CREATE TABLE minutes_watched AS
SELECT
  AS_VALUE(program), AS_VALUE(channel), AS_VALUE(age_band), AS_VALUE(gender),
  COUNT(*) AS views,
  SUM(seconds) / 60.0 AS minutes
FROM (
  SELECT
    program, channel, gender,
    CASE WHEN age < 18 THEN 'under 18' WHEN age < 35 THEN '18-34' WHEN age < 55 THEN '35-54' ELSE '55+' END AS age_band,
    (UNIX_TIMESTAMP(PARSE_TIMESTAMP(end_ts, 'yyyy-MM-dd''T''HH:mm:ssX'))
      - UNIX_TIMESTAMP(PARSE_TIMESTAMP(start_ts, 'yyyy-MM-dd''T''HH:mm:ssX'))) / 1000 AS seconds
  FROM watched_shows
)
GROUP BY program, channel, age_band, gender
EMIT CHANGES;

-- The latest action of each device, as it arrives: it does not wait for a session to close.
CREATE TABLE devices_now AS
SELECT
  device_id,
  MAX_BY(channel_id, action_ts) AS channel_id,
  MAX_BY(action, action_ts) AS action
FROM actions
GROUP BY device_id
EMIT CHANGES;

CREATE TABLE current_viewers WITH (key_format = 'JSON') AS
SELECT AS_VALUE(channel_id), SUM(CASE WHEN action IN (1, 3) THEN 1 ELSE 0 END) AS viewers
FROM devices_now
GROUP BY channel_id
EMIT CHANGES;

-- Where the devices that are on are: the latest place of each.
CREATE TABLE device_places WITH (key_format = 'JSON') AS
SELECT
  p.id, AS_VALUE(p.id) AS device_id,
  MAX_BY(p.coord->lon, p.dt) AS lon,
  MAX_BY(p.coord->lat, p.dt) AS lat,
  MAX_BY(p.name, p.dt) AS name,
  MAX_BY(d.channel_id, p.dt) AS channel_id
FROM device_locations p
JOIN devices_now d ON p.id = d.device_id
GROUP BY p.id
HAVING MAX_BY(d.action, p.dt) IN (1, 3)
EMIT CHANGES;

-- Reach: how many people saw an ad; frequency: how often each of them did.
CREATE TABLE ad_reach WITH (key_format = 'JSON') AS
SELECT
  AS_VALUE(ad_id),
  COUNT_DISTINCT(user_id) AS reach,
  COUNT(*) AS views,
  COUNT(*) / CAST(COUNT_DISTINCT(user_id) AS DOUBLE) AS frequency
FROM watched_ads
GROUP BY ad_id
EMIT CHANGES;

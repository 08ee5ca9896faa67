-- What the dashboard shows.

CREATE TABLE minutes_watched AS
SELECT
  program, channel, age_band, gender,
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

CREATE TABLE current_viewers AS
SELECT channel_id, COUNT(*) AS viewers
FROM devices_now
WHERE action IN (1, 3)
GROUP BY channel_id
EMIT CHANGES;

-- Reach: how many people saw an ad; frequency: how often each of them did.
CREATE TABLE ad_reach AS
SELECT
  ad_id,
  COUNT_DISTINCT(user_id) AS reach,
  COUNT(*) AS views,
  COUNT(*) / CAST(COUNT_DISTINCT(user_id) AS DOUBLE) AS frequency
FROM watched_ads
GROUP BY ad_id
EMIT CHANGES;

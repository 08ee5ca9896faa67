-- A session is one channel watched on one device without a pause: from a start or switch to the next stop or switch.
-- A start while one is open drops the open one; a stop without an open one is ignored; over 24 hours is no session.
-- The row's time is the session's end.
CREATE STREAM sessions
WITH (timestamp = 'end_ts', timestamp_format = 'yyyy-MM-dd''T''HH:mm:ssX') AS
SELECT
  user_id, device_id, channel_id,
  FORMAT_TIMESTAMP(FROM_UNIXTIME(action_ts * 1000), 'yyyy-MM-dd''T''HH:mm:ssX') AS start_ts,
  FORMAT_TIMESTAMP(FROM_UNIXTIME(next_ts * 1000), 'yyyy-MM-dd''T''HH:mm:ssX') AS end_ts
FROM (
  SELECT
    user_id, device_id, channel_id, action, action_ts,
    LEAD(action) OVER w AS next_action,
    LEAD(action_ts) OVER w AS next_ts
  FROM actions
  WINDOW w AS (PARTITION BY user_id, device_id ORDER BY action_ts)
)
WHERE action IN (1, 3) AND next_action IN (2, 3)
  AND next_ts - action_ts <= 24 * 3600
EMIT CHANGES;

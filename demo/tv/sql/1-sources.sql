-- The topics that the sources fill.

-- One record a channel with its whole schedule: day (dd-MM-yyyy) -> programs, all times UTC.
-- A new record replaces all shows of its channel.
CREATE TABLE channels (
  channel_id BIGINT PRIMARY KEY,
  channel    VARCHAR,
  schedule   MAP<VARCHAR, ARRAY<STRUCT<program VARCHAR, program_id BIGINT, start VARCHAR>>>
) WITH (kafka_topic = 'channels', key_format = 'JSON', value_format = 'JSON');

CREATE TABLE users (
  user_id BIGINT PRIMARY KEY,
  name    VARCHAR,
  age     BIGINT,
  gender  VARCHAR
) WITH (kafka_topic = 'tv.tv.users', key_format = 'AVRO', value_format = 'AVRO');

-- What people do at their devices. action: 1 start, 2 stop, 3 switch to channel_id.
CREATE STREAM actions (
  user_id    BIGINT,
  device_id  BIGINT,
  channel_id BIGINT,
  action     BIGINT,
  action_ts  BIGINT
) WITH (
  kafka_topic = 'actions', value_format = 'JSON',
  timestamp = 'action_ts', timestamp_format = 'epoch_seconds',
  lateness = '5 SECONDS', late_topic = 'sessions-late'
);

CREATE STREAM ads (
  ad_id         BIGINT,
  channel_id    BIGINT,
  start_ts      BIGINT,
  duration_secs BIGINT CHECK (duration_secs BETWEEN 0 AND 3600)
) WITH (
  kafka_topic = 'ads', value_format = 'AVRO',
  timestamp = 'start_ts', timestamp_format = 'epoch_seconds', lateness = '60 SECONDS'
);

-- Where devices are, in the shape of the OpenWeather API; id is the device's.
CREATE STREAM device_locations (
  id         BIGINT,
  name       VARCHAR,
  coord      STRUCT<lon DOUBLE, lat DOUBLE>,
  visibility BIGINT,
  dt         BIGINT
) WITH (
  kafka_topic = 'device_locations', value_format = 'JSON',
  timestamp = 'dt', timestamp_format = 'epoch_seconds', lateness = '60 SECONDS'
);

-- When each show runs: it ends where the next one of its day starts, the day's last one at 24:00.
CREATE TABLE shows AS
SELECT
  AS_VALUE(channel_id), day, start,
  channel, program_id, program,
  FORMAT_TIMESTAMP(starts, 'yyyy-MM-dd''T''HH:mm:ssX') AS start_ts,
  FORMAT_TIMESTAMP(
    COALESCE(LEAD(starts) OVER (PARTITION BY channel_id, day ORDER BY starts), midnight + INTERVAL '24' HOUR),
    'yyyy-MM-dd''T''HH:mm:ssX') AS end_ts
FROM (
  SELECT
    c.channel_id, c.channel, d.day, p.program, p.program_id, p.start,
    PARSE_TIMESTAMP(d.day, 'dd-MM-yyyy') AS midnight,
    PARSE_TIMESTAMP(CONCAT(d.day, ' ', p.start), 'dd-MM-yyyy HH:mm:ss') AS starts
  FROM channels c
  CROSS JOIN UNNEST(c.schedule) AS d (day, programs)
  CROSS JOIN UNNEST(d.programs) AS p (program, program_id, start)
)
PARTITION BY channel_id, day, start;

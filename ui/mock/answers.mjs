// What a console would answer in the middle of a busy evening: made up, seeded, and moving a little with each call.

function random(seed) {
  let state = seed;
  return () => {
    state = (state * 1664525 + 1013904223) % 4294967296;
    return state / 4294967296;
  };
}

const CHANNELS = ['BBC One', 'ITV', 'Channel 4', 'Sky Arts', 'Nature HD', 'Film4', 'News 24', 'Sport One'];
const SHOWS = [
  'Planet Earth', 'The Late Bulletin', 'Blue Kingdom', 'Match of the Evening', 'Wild China', 'Kitchen Stories',
  'Living Planet', 'The Long Road North', 'Animal Planet', 'Quiz at Eight',
];
const CITIES = [
  [-0.13, 51.51, 'London'], [-6.26, 53.35, 'Dublin'], [-3.19, 55.95, 'Edinburgh'], [2.35, 48.86, 'Paris'], [13.4, 52.52, 'Berlin'],
  [-3.7, 40.42, 'Madrid'], [12.5, 41.9, 'Rome'], [18.07, 59.33, 'Stockholm'], [21.01, 52.23, 'Warsaw'], [-74.0, 40.71, 'New York'],
  [-118.24, 34.05, 'Los Angeles'], [-87.63, 41.88, 'Chicago'], [-79.38, 43.65, 'Toronto'], [-99.13, 19.43, 'Mexico City'],
  [-46.63, -23.55, 'São Paulo'], [-58.38, -34.6, 'Buenos Aires'], [-74.07, 4.71, 'Bogotá'], [3.38, 6.52, 'Lagos'], [36.82, -1.29, 'Nairobi'],
  [18.42, -33.92, 'Cape Town'], [31.24, 30.04, 'Cairo'], [28.98, 41.01, 'Istanbul'], [37.62, 55.76, 'Moscow'], [55.27, 25.2, 'Dubai'],
  [72.88, 19.08, 'Mumbai'], [77.21, 28.61, 'Delhi'], [77.59, 12.97, 'Bengaluru'], [103.82, 1.35, 'Singapore'], [100.5, 13.76, 'Bangkok'],
  [114.17, 22.32, 'Hong Kong'], [121.47, 31.23, 'Shanghai'], [116.4, 39.9, 'Beijing'], [126.98, 37.57, 'Seoul'], [139.69, 35.68, 'Tokyo'],
  [151.21, -33.87, 'Sydney'], [144.96, -37.81, 'Melbourne'], [174.76, -36.85, 'Auckland'], [106.85, -6.21, 'Jakarta'], [120.98, 14.6, 'Manila'],
];

const panel = (id, kind, title, x, y, w, h, more = {}) => ({
  id, kind, title, hint: null, grid: { x, y, w, h }, unit: null, decimals: null, age: false, stacked: false, ranged: false, from: 'mock', ...more,
});

export const DASHBOARD = {
  name: 'viewing',
  title: 'Viewing',
  description: 'Who watches what, right now',
  range: '15m',
  refresh_ms: 500,
  panels: [
    panel('p0', 'stat', 'Watching now', 0, 0, 3, 3, { unit: 'viewers' }),
    panel('p1', 'stat', 'Events per second', 3, 0, 3, 3, { unit: '/s' }),
    panel('p2', 'stat', 'Newest row', 6, 0, 2, 3, { age: true }),
    panel('p3', 'stat', 'Subscribers', 8, 0, 2, 3),
    panel('p4', 'stat', 'Shows watched', 10, 0, 2, 3),
    panel('p5', 'timeseries', 'Current viewers by channel', 0, 3, 6, 7, { unit: 'viewers', hint: 'Devices that are on, each change as it happens', ranged: true }),
    panel('p6', 'top', 'Top shows', 6, 3, 3, 7, { unit: 'min', decimals: 0, hint: 'By minutes watched' }),
    panel('p7', 'map', 'Active devices', 0, 10, 6, 8, { unit: 'devices', hint: 'Where devices are that are on' }),
    panel('p8', 'bars', 'Minutes by age and gender', 9, 3, 3, 7, { unit: 'min', decimals: 0 }),
    panel('p9', 'table', 'Ad reach', 6, 10, 3, 8, { hint: 'How many people saw an ad, and how often each of them did' }),
    panel('p10', 'timeseries', 'Events by source', 9, 10, 3, 8, { unit: '/s', hint: 'Records per second of each source’s topic', ranged: true }),
  ],
};

const SPAN = { '5m': 300, '15m': 900, '1h': 3600, '24h': 86400, all: 86400 };

/** The parts of the dashboard at a time. */
export function dashboard(now, range) {
  const span = (SPAN[range] ?? 900) * 1000;
  const step = span / 90;
  const from = Math.floor(now / step) * step - span;
  const times = Array.from({ length: 91 }, (_, i) => Math.min(from + (i + 1) * step, now));
  const wave = (seed, base) => times.map((t) => {
    const w = Math.sin(t / span * 9 + seed) * 0.18 + Math.sin(t / span * 31 + seed * 3) * 0.08 + Math.sin(t / 7000 + seed) * 0.012;
    return Math.max(0, Math.round(base * (1 + w)));
  });
  const lines = CHANNELS.map((name, i) => ({ key: String(57 + i), name, values: wave(i * 1.7, 480 / (1 + i * 0.42)) }));
  const total = lines.reduce((sum, l) => sum + l.values.at(-1), 0);
  const tick = now / 1000;
  const rates = [['actions', 212], ['device_locations', 88], ['ads', 6], ['tv.tv.users', 2]].map(([key, base], i) => ({
    key, name: key, values: wave(i + 9, base),
  }));
  const events = times.map((_, i) => rates.reduce((sum, r) => sum + r.values[i], 0));
  const grown = (base, rate) => base + Math.floor((tick % 100000) * rate);
  const bars = SHOWS.map((name, i) => ({ key: name, name, value: 18400 / (1 + i * 0.31) + (tick % 977) }));
  const minutes = [[2140, 1980], [9120, 8420], [12810, 13460], [10230, 8170]];
  const next = random(3);
  const points = CITIES.map(([lon, lat, name]) => [lon, lat, 4 + Math.floor(next() ** 3 * 260), name]);
  const ads = Array.from({ length: 10 }, (_, i) => {
    const reach = Math.round(3120 / (1 + i * 0.24) + (tick % 50));
    const views = Math.round(reach * (1.3 + ((i * 7) % 5) / 4));
    return [1001 + ((i * 37) % 90), reach, views, views / reach];
  });
  const column = (title, more) => ({ title, bar: false, unit: null, decimals: null, ...more });
  const parts = {
    p0: { value: total },
    p1: { value: events.at(-1), spark: { times, values: events } },
    p2: { value: now - (now % 700) - 120 },
    p3: { value: 24816 },
    p4: { value: grown(48210, 3) },
    p5: { times, series: lines },
    p6: { bars },
    p7: { points, total: points.reduce((sum, p) => sum + p[2], 0) },
    p8: { bars: ['under 18', '18-34', '35-54', '55+'], parts: ['F', 'M'], values: minutes },
    p9: { columns: [column('Ad'), column('Reach', { bar: true }), column('Views'), column('Frequency', { decimals: 2 })], rows: ads, total: 12 },
    p10: { times, series: rates },
  };
  for (const part of Object.values(parts)) part.state = 'ok';
  return parts;
}

/** The same before the first row came. */
export function waiting() {
  const parts = {};
  for (const { id, kind } of DASHBOARD.panels) {
    parts[id] = { state: 'waiting', message: 'The index current_viewers does not exist yet.', awaits: kind === 'stat' ? null : 'It comes with the first device that is switched on.' };
  }
  parts.p3 = { state: 'error', message: 'search at http://127.0.0.1:9200 does not answer: connection refused' };
  return parts;
}

export function topics(now) {
  const topic = (name, partitions, offsets, rate, age, internal = false) => ({
    name, partitions, offsets: offsets + Math.floor((now / 1000 % 10000) * (rate ?? 0)), rate, newest: age === null ? null : now - age, internal,
  });
  const topics = [
    topic('_bd_commands', 1, 14, 0, 812000, true), topic('actions', 4, 1204811, 212.4, 120), topic('ad_views', 4, 88123, 14.2, 800),
    topic('ads', 1, 4021, 0.4, 1900), topic('channels', 1, 8, 0, 812000), topic('current_viewers', 4, 391204, 101.9, 90),
    topic('device_locations', 4, 302118, 88.1, 210), topic('minutes_watched', 4, 120881, 31.5, 700), topic('sessions', 4, 64022, 22.7, 640),
    topic('sessions-late', 1, 0, 0, null), topic('show_views', 4, 58120, 25.1, 650), topic('shows', 1, 672, 0, 811000), topic('tv.tv.users', 2, 25204, 0.2, 4200),
  ];
  return { state: 'ok', topics };
}

export function messages(now) {
  const next = random(11);
  const count = 50;
  const base = 301200 + Math.floor(now / 1000) % 10000;
  const rows = Array.from({ length: count }, (_, i) => {
    const device = Math.floor(next() * 4000);
    const at = now - i * 47;
    const data = { user: 'vihaan', user_id: 40 + Math.floor(next() * 900), channel_id: 57 + Math.floor(next() * 8), device_id: device, action: 1 + Math.floor(next() * 3), action_ts: Math.floor(at / 1000) };
    const value = i === 6 ? { format: 'text', text: '{"user_id": 46, "channel', bytes: 24, cut: false } : { format: 'json', data, bytes: 104 };
    return {
      partition: i % 4, offset: base - Math.floor(i / 4), timestamp: at, key: { format: 'json', data: device, bytes: 4 }, value,
      headers: i % 9 === 0 ? [['mqtt.topic', { format: 'text', text: `tv/${device}/actions`, bytes: 15, cut: false }], ['mqtt.qos', { format: 'text', text: '2', bytes: 1, cut: false }]] : [],
    };
  });
  return { state: 'ok', topic: 'actions', partitions: [0, 1, 2, 3].map((partition) => ({ partition, start: 0, end: base + 1 })), messages: rows };
}

export function connectors() {
  const connector = (name, type, cls, topics, trace = null) => ({
    name, type, class: cls, topics, state: 'RUNNING', worker: '127.0.0.1:8083', trace: null,
    tasks: [{ id: 0, state: trace ? 'FAILED' : 'RUNNING', worker: '127.0.0.1:8083', trace }],
  });
  return {
    state: 'ok',
    connectors: [
      connector('actions', 'source', 'bd.mqtt.MqttSourceConnector', 'actions'),
      connector('ads', 'source', 'io.confluent.kafka.connect.datagen.DatagenConnector', 'ads'),
      connector('places', 'source', 'bd.http.HttpSourceConnector', 'device_locations'),
      connector('schedule', 'source', 'bd.files.FileSourceConnector', 'channels'),
      connector('search', 'sink', 'io.confluent.connect.elasticsearch.ElasticsearchSinkConnector', 'sessions,show_views,ad_views'),
      connector('users', 'source', 'io.debezium.connector.mysql.MySqlConnector', 'tv',
        'cannot connect to 127.0.0.1:3307 as user bd: Access denied for user \'bd\'@\'localhost\' (using password: YES)\n  while reading the binlog from mariadb-bin.000003:48211\n  the task is tried again by a restart; check database.user and database.password'),
    ],
  };
}

const SQL = `CREATE TABLE current_viewers AS
SELECT channel_id, COUNT(*) AS viewers
FROM devices_now -- latest action of each device
WHERE action IN (1, 3)
GROUP BY channel_id
EMIT CHANGES;`;

export function queries(now) {
  const query = (sink, kind, read, written, more = {}) => {
    const rows = (rate) => Math.floor(rate * 3600 + (now / 1000 % 10000) * rate);
    return {
      id: `${kind}_${sink.toUpperCase()}_${sink.length}`, sql: SQL.replaceAll('current_viewers', sink), type: 'PERSISTENT', state: 'RUNNING', sink, topic: sink, error: null,
      records_in: rows(read), rows_out: rows(written), in_rate: read, out_rate: written, late_rows: 0, dead_letters: 0, dropped_rows: 0, processing_errors: 0,
      watermark_seconds: now / 1000 - 4, state_rows: 4120, state_bytes: 812_400, ...more,
    };
  };
  return {
    state: 'ok',
    queries: [
      query('shows', 'CTAS', 0, 0, { state: 'RUNNING' }), query('sessions', 'CSAS', 212.4, 22.7, { late_rows: 12, dead_letters: 3 }),
      query('watched_shows', 'CSAS', 22.7, 25.1), query('watched_ads', 'CSAS', 22.7, 14.2), query('show_views', 'CSAS', 113.2, 25.1, { state_rows: 301288, state_bytes: 31_204_112 }),
      query('ad_views', 'CSAS', 102.3, 14.2), query('minutes_watched', 'CTAS', 25.1, 31.5), query('devices_now', 'CTAS', 212.4, 212.4),
      query('current_viewers', 'CTAS', 212.4, 101.9), query('ad_reach', 'CTAS', 14.2, 14.2, { state: 'ERROR', error: 'topic watched_ads: offset 812 is out of range 9000..12044; the records were deleted before they were read' }),
    ],
  };
}

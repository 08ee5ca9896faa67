// The built UI over made-up answers, for working on it and for screenshots: `npm run build && npm run mock`, then
// http://127.0.0.1:8090. `?mock=waiting` in the page's address (kept by a cookie) shows a console before its first row.
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DASHBOARD, connectors, dashboard, messages, queries, topics, waiting } from './answers.mjs';

const DIST = fileURLToPath(new URL('../dist', import.meta.url));
const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' };
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'";

function json(response, body, status = 200) {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}

function stream(request, response, query) {
  const held = /mock=waiting/.test(request.headers.cookie ?? '');
  const make = {
    dashboard: (now) => (held ? waiting() : dashboard(now, query.get('range') ?? '15m')),
    topics: (now) => ({ topics: topics(now) }),
    topic: (now) => ({ messages: messages(now) }),
    connectors: () => ({ connectors: connectors() }),
    queries: (now) => ({ queries: queries(now) }),
  }[query.get('page') ?? ''];
  if (!make) return json(response, { error: 'page: unknown' }, 400);
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  const before = new Map();
  const send = () => {
    const now = Date.now();
    const changed = Object.entries(make(now)).filter(([name, part]) => before.get(name) !== JSON.stringify(part));
    const event = before.size === 0 ? 'state' : 'change';
    for (const [name, part] of changed) before.set(name, JSON.stringify(part));
    const data = JSON.stringify({ at: now, parts: Object.fromEntries(changed) });
    response.write(changed.length > 0 ? `event: ${event}\ndata: ${data}\n\n` : `event: beat\ndata: {"at":${now}}\n\n`);
  };
  send();
  const timer = setInterval(send, 500);
  request.on('close', () => clearInterval(timer));
}

function api(request, response, { pathname, searchParams }) {
  if (pathname === '/api/info') {
    const dashboards = [{ name: DASHBOARD.name, title: DASHBOARD.title, description: DASHBOARD.description }];
    return json(response, { version: '0.1.0', cluster: 'embedded', roles: { engine: true, connect: true, search: true }, dashboards });
  }
  if (pathname === '/api/dashboards/viewing') return json(response, DASHBOARD);
  if (pathname === '/api/stream') return stream(request, response, searchParams);
  if (/^\/api\/topics\/[^/]+\/messages$/.test(pathname)) return json(response, messages(Date.now()));
  if (/^\/api\/connectors\/[^/]+\/restart$/.test(pathname) && request.method === 'POST') return json(response, { restarted: true });
  if (pathname.startsWith('/api/queries/')) return json(response, { id: 'q', plan: 'Aggregate by channel_id: COUNT(*)\n  Filter action IN (1, 3)\n    TableScan devices_now', errors: [] });
  return json(response, { error: `${pathname} is not there` }, 404);
}

function file(request, response, { pathname, searchParams }) {
  const path = join(DIST, normalize(pathname));
  const found = path.startsWith(DIST) && extname(path) !== '' && existsSync(path) ? path : join(DIST, 'index.html');
  const headers = { 'content-type': TYPES[extname(found)] ?? 'application/octet-stream', 'content-security-policy': POLICY };
  const mock = searchParams.get('mock');
  if (mock !== null) headers['set-cookie'] = `mock=${encodeURIComponent(mock)}; path=/`;
  response.writeHead(200, headers);
  response.end(readFileSync(found));
}

/** Serves until it is closed. */
export function serve(port) {
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://localhost');
    if (url.pathname.startsWith('/api/')) api(request, response, url);
    else file(request, response, url);
  });
  return new Promise((resolve) => server.listen(port, '127.0.0.1', () => resolve(server)));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const port = Number(process.env.PORT ?? 8090);
  await serve(port);
  console.log(`http://127.0.0.1:${port}`);
}

/** Connectors and their tasks; restart. */
import { useState } from 'react';
import { Badge } from '../components/badge';
import { Dialog } from '../components/dialog';
import { Icon } from '../components/icon';
import { Link } from '../components/link';
import { Empty, Failed, LiveMark, Reconnecting, RowSkeleton, Stale } from '../components/states';
import { useRows } from '../components/use-rows';
import { post } from '../lib/api';
import { shortClass } from '../lib/format';
import { useStream } from '../lib/stream';
import type { Connector, Part } from '../lib/types';
import { hrefOf, useParam } from '../lib/url';

const failed = (c: Connector) => c.state === 'FAILED' || c.tasks.some((t) => t.state === 'FAILED');

export function ConnectorsPage() {
  const { parts, status } = useStream('/api/stream?page=connectors');
  const part = parts.connectors as Part<{ connectors: Connector[] }> | undefined;
  const [search, setSearch] = useParam('q');
  const [asked, setAsked] = useState<string | null>(null);
  const { list, filter } = useRows<HTMLTableElement>();
  const all = part?.state === 'ok' ? part.connectors : [];
  const shown = all
    .filter((c) => `${c.name} ${c.class} ${c.topics}`.toLowerCase().includes(search.toLowerCase()))
    .sort((a, b) => Number(failed(b)) - Number(failed(a)));
  const bad = all.filter(failed).length;
  return (
    <div className="page">
      <div className="page-head">
        <div className="titles">
          <h1>Connectors</h1>
          <p className="about">{part?.state === 'ok' ? `${all.length} in all${bad ? `, ${bad} failed` : ''}` : '\u00a0'}</p>
        </div>
        <LiveMark status={status} />
        <input ref={filter} type="search" className="search" placeholder="Filter ( / )" aria-label="Filter connectors" value={search} onChange={(e) => setSearch(e.target.value)} />
      </div>
      <Reconnecting status={status} />
      {part?.state === 'ok' && part.error && <Stale message={part.error} />}
      {part === undefined && <RowSkeleton />}
      {part?.state === 'error' && <Failed message={part.message} hint="It is tried again by itself." />}
      {part?.state === 'ok' && shown.length === 0 && (
        <Empty title={search ? 'No connector fits' : 'There are no connectors yet'} text={search ? null : 'They are listed under connectors in the pipeline file, or created by PUT /connectors/{name}/config on the connect role.'} />
      )}
      {shown.length > 0 && (
        <div className="card">
          <table className="list" ref={list}>
            <thead>
              <tr>
                <th scope="col">Connector</th>
                <th scope="col">State</th>
                <th scope="col" className="wide">Tasks</th>
                <th scope="col" className="wide">Class</th>
                <th scope="col" className="wide">Topics</th>
                <th scope="col"><span className="unseen">Actions</span></th>
              </tr>
            </thead>
            {shown.map((c) => <Row key={c.name} connector={c} onRestart={() => setAsked(c.name)} />)}
          </table>
        </div>
      )}
      {asked !== null && <Restart name={asked} onClose={() => setAsked(null)} />}
    </div>
  );
}

function Row({ connector: c, onRestart }: { connector: Connector; onRestart: () => void }) {
  const running = c.tasks.filter((t) => t.state === 'RUNNING').length;
  const state = failed(c) ? 'FAILED' : c.state;
  const traces = [
    ...(c.trace ? [['Connector', c.trace] as const] : []),
    ...c.tasks.filter((t) => t.trace).map((t) => [`Task ${t.id}`, t.trace ?? ''] as const),
  ];
  const topics = (c.topics ?? '').split(',').map((t) => t.trim()).filter(Boolean);
  return (
    <tbody>
      <tr>
        <td><strong className="mono">{c.name}</strong>{c.type && <span className="dim type">{c.type}</span>}</td>
        <td><Badge state={state} /></td>
        <td className="wide">{running} of {c.tasks.length} running</td>
        <td className="wide" title={c.class ?? ''}>{shortClass(c.class)}</td>
        <td className="wide mono topics">{topics.length === 0 ? '–' : topics.map((t) => <Link key={t} to={hrefOf.topic(t)}>{t}</Link>)}</td>
        <td className="num">
          <button data-row className="button quiet" onClick={onRestart} aria-label={`Restart ${c.name}`}><Icon name="restart" />Restart</button>
        </td>
      </tr>
      {traces.map(([of, trace]) => (
        <tr className="detail" key={of}>
          <td colSpan={6}>
            <details open>
              <summary>{of}: {trace.split('\n')[0]}</summary>
              <pre tabIndex={0}>{trace}</pre>
            </details>
          </td>
        </tr>
      ))}
    </tbody>
  );
}

function Restart({ name, onClose }: { name: string; onClose: () => void }) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<string | null>(null);
  const restart = () => {
    setBusy(true);
    post(`/api/connectors/${encodeURIComponent(name)}/restart`).then(onClose, (problem: Error) => {
      setBusy(false);
      setError(problem.message);
    });
  };
  return (
    <Dialog title={`Restart ${name}?`} onClose={onClose}>
      <p>The connector and all its tasks are stopped and started again. They go on from their committed offsets.</p>
      {error && <p className="failed" role="alert">{error}</p>}
      <div className="actions">
        <button className="button quiet" onClick={onClose} autoFocus>Cancel</button>
        <button className="button" onClick={restart} disabled={busy}>{busy ? 'Restarting' : 'Restart'}</button>
      </div>
    </Dialog>
  );
}

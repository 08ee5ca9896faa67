/** Streaming queries: their SQL, state and rates. */
import { useState } from 'react';
import { Badge } from '../components/badge';
import { Link } from '../components/link';
import { Sql } from '../components/sql';
import { Empty, Failed, LiveMark, Reconnecting, RowSkeleton, Stale } from '../components/states';
import { useRows } from '../components/use-rows';
import { useLoaded } from '../lib/api';
import { bytes, number, time } from '../lib/format';
import { useStream } from '../lib/stream';
import type { Part, Query, QueryDetail } from '../lib/types';
import { hrefOf, useParam } from '../lib/url';

export function QueriesPage() {
  const { parts, status } = useStream('/api/stream?page=queries');
  const part = parts.queries as Part<{ queries: Query[] }> | undefined;
  const [search, setSearch] = useParam('q');
  const [open, setOpen] = useParam('query');
  const { list, filter } = useRows();
  const all = part?.state === 'ok' ? part.queries : [];
  const shown = all.filter((q) => `${q.id} ${q.sink} ${q.sql}`.toLowerCase().includes(search.toLowerCase()));
  return (
    <div className="page">
      <div className="page-head">
        <div className="titles">
          <h1>Queries</h1>
          <p className="about">{part?.state === 'ok' ? `${all.length} in all` : '\u00a0'}</p>
        </div>
        <LiveMark status={status} />
        <input ref={filter} type="search" className="search" placeholder="Filter ( / )" aria-label="Filter queries" value={search} onChange={(e) => setSearch(e.target.value)} />
      </div>
      <Reconnecting status={status} />
      {part?.state === 'ok' && part.error && <Stale message={part.error} />}
      {part === undefined && <RowSkeleton />}
      {part?.state === 'error' && <Failed message={part.message} hint="It is tried again by itself." />}
      {part?.state === 'ok' && shown.length === 0 && (
        <Empty title={search ? 'No query fits' : 'There are no queries yet'} text={search ? null : 'CREATE STREAM ... AS SELECT and CREATE TABLE ... AS SELECT start one: in the pipeline’s SQL files, or by bd sql.'} />
      )}
      {shown.length > 0 && (
        <div className="card">
          <table className="list">
            <thead>
              <tr>
                <th scope="col">Query</th>
                <th scope="col">State</th>
                <th scope="col" className="num">In</th>
                <th scope="col" className="num">Out</th>
                <th scope="col" className="num wide">Rows in</th>
                <th scope="col" className="num wide">Rows out</th>
                <th scope="col" className="num wide" title="Rows behind their stream's bound">Late</th>
                <th scope="col" className="num wide">Dead letters</th>
                <th scope="col" className="num wide" title="Rows held in state">State</th>
              </tr>
            </thead>
            <tbody ref={list}>
              {shown.map((q) => <Row key={q.id} query={q} open={open === q.id} onToggle={() => setOpen(open === q.id ? null : q.id)} />)}
            </tbody>
          </table>
        </div>
      )}
    </div>
  );
}

function Rate({ value }: { value: number | undefined }) {
  return value === undefined ? <span className="dim">–</span> : <>{number(value)}<span className="unit">/s</span></>;
}

function Row({ query: q, open, onToggle }: { query: Query; open: boolean; onToggle: () => void }) {
  const warn = (n: number | undefined) => (n ? 'num wide tone-warn' : 'num wide dim');
  return (
    <>
      <tr className={`link-row${open ? ' open' : ''}`} onClick={onToggle}>
        <td>
          <button data-row className="plain" aria-expanded={open} onClick={(e) => { e.stopPropagation(); onToggle(); }}>
            <strong className="mono">{q.sink ?? q.id}</strong>
          </button>
          <span className="dim type">{q.id}</span>
        </td>
        <td><Badge state={q.state} /></td>
        <td className="num"><Rate value={q.in_rate} /></td>
        <td className="num"><Rate value={q.out_rate} /></td>
        <td className="num wide">{number(q.records_in)}</td>
        <td className="num wide">{number(q.rows_out)}</td>
        <td className={warn(q.late_rows)}>{number(q.late_rows)}</td>
        <td className={warn(q.dead_letters)}>{number(q.dead_letters)}</td>
        <td className="num wide dim" title={`${bytes(q.state_bytes)}`}>{number(q.state_rows)}</td>
      </tr>
      {(open || q.error) && (
        <tr className="detail">
          <td colSpan={9}>
            {q.error && <p className="failed" role="alert">{q.error}</p>}
            {open && <Detail query={q} />}
          </td>
        </tr>
      )}
    </>
  );
}

function Detail({ query: q }: { query: Query }) {
  const [plan, setPlan] = useState(false);
  const { data, error } = useLoaded<QueryDetail>(plan ? `/api/queries/${encodeURIComponent(q.id)}` : null);
  return (
    <>
      <dl className="facts">
        {q.topic && <div><dt>Output</dt><dd><Link to={hrefOf.topic(q.topic)} className="mono">{q.topic}</Link></dd></div>}
        {q.watermark_seconds !== undefined && <div><dt>Watermark</dt><dd>{time(q.watermark_seconds * 1000)}</dd></div>}
        {q.state_bytes !== undefined && <div><dt>State</dt><dd>{number(q.state_rows)} rows, {bytes(q.state_bytes)}</dd></div>}
        {q.dropped_rows !== undefined && q.dropped_rows > 0 && <div><dt>Dropped</dt><dd>{number(q.dropped_rows)}</dd></div>}
        {q.processing_errors !== undefined && q.processing_errors > 0 && <div><dt>Errors in expressions</dt><dd>{number(q.processing_errors)}</dd></div>}
      </dl>
      {q.sql && <Sql text={q.sql} />}
      <details onToggle={(event) => setPlan(event.currentTarget.open)}>
        <summary>Plan</summary>
        {error ? <p className="failed">{error}</p> : <pre tabIndex={0}>{data ? (data.plan ?? 'none') : 'Asking for it'}</pre>}
      </details>
    </>
  );
}
